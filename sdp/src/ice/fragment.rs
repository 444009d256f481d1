//! Bodies of type `application/trickle-ice-sdpfrag` (RFC 8840 §9).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

use super::{Candidate, IceCredentials};
use crate::line::split;
use crate::{AttributeValue, Error, ErrorKind, Limits, Line};

/// Candidates on their way from one SIP user agent to another: a part of a description, with `m=`
/// lines that name sections and say nothing else.
///
/// A body repeats all candidates of its generation, in the order in which they were found
/// (RFC 8840 §4.4): its sender keeps one, appends to it and sends it again; its receiver lets
/// [`Negotiator::take_fragment`](crate::Negotiator::take_fragment) take out what is new.
///
/// ```
/// use floe_sdp::ice::{Fragment, IceCredentials};
///
/// let mut body = Fragment::default();
/// let section = body.section("0");
/// section.credentials = IceCredentials::new("8hhY", "asd88fgpdd777uzjYhagZg").ok();
/// section.candidates.push("candidate:1 1 udp 2130706431 192.0.2.1 5010 typ host".parse()?);
/// let text = body.to_text();
/// assert_eq!(Fragment::parse(text.as_bytes())?, body);
///
/// body.section("0").candidates.push("candidate:2 1 udp 1694498815 192.0.2.3 5010 typ relay".parse()?);
/// body.section("0").end_of_candidates = true;
/// assert!(body.to_text().starts_with(&text));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// `ice-ufrag` and `ice-pwd` of all sections that have none of their own.
    pub credentials: Option<IceCredentials>,
    /// `ice-options`.
    pub ice_options: Vec<String>,
    /// `ice-pacing`.
    pub pacing: Option<Duration>,
    /// `ice-lite`.
    pub lite: bool,
    /// The mids of each `group:BUNDLE`; they change nothing of what was agreed.
    pub bundles: Vec<Vec<String>>,
    /// Whether there will be no more candidates for any section.
    pub end_of_candidates: bool,
    /// The sections, in the order of the body.
    pub sections: Vec<FragmentSection>,
}

/// The candidates of one section in a [`Fragment`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FragmentSection {
    /// Which section of the descriptions it is about.
    pub mid: String,
    /// Its own `ice-ufrag` and `ice-pwd`: where descriptions have them, there bodies do.
    pub credentials: Option<IceCredentials>,
    /// All of the generation, in the order in which they were found.
    pub candidates: Vec<Candidate>,
    /// `candidate` lines that are malformed; they are not written.
    pub ignored_candidates: usize,
    /// Whether there will be no more of them.
    pub end_of_candidates: bool,
    /// `rtcp-mux`.
    pub rtcp_mux: bool,
    /// `rtcp-mux-only`.
    pub rtcp_mux_only: bool,
}

/// Attributes whose grammar is older than that of bodies, which compares the names of all others
/// with regard to case (§9.2).
const OLDER: [&str; 8] = [
    "candidate",
    "ice-lite",
    "ice-options",
    "ice-pacing",
    "ice-pwd",
    "ice-ufrag",
    "mid",
    "remote-candidates",
];

impl Fragment {
    /// Reads a body within [`Limits::DEFAULT`].
    ///
    /// What stands on an `m=` line is not looked at, and unknown attributes are ignored. Refused are
    /// bodies with lines of another kind than `m=` and `a=`, with a section that has no `mid` before
    /// its candidates, and with candidates, or the end of them, of no generation: without
    /// `ice-ufrag` and `ice-pwd`.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        Self::parse_with(text, &Limits::DEFAULT)
    }

    /// Reads a body within the given limits.
    pub fn parse_with(text: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut reader = Reader::default();
        let mut start = 0;
        if text.len() > limits.max_bytes.min(u32::MAX as usize - 1) {
            return Err(end(ErrorKind::TooLong, 1, 0));
        }
        while start < text.len() {
            let mut split = split(text, start, false);
            let number = reader.lines + 1;
            let line = Line::new(text, split.entry, split.next, number, false);
            if reader.lines as usize >= limits.max_lines {
                return Err(line.error_at_letter(ErrorKind::TooManyLines));
            }
            if line.raw().len() > limits.max_line_bytes {
                return Err(line.error_at_letter(ErrorKind::LineTooLong));
            }
            if let Some((kind, at)) = split.trouble {
                return Err(Error {
                    column: (at - start) as u32 + 1,
                    ..end(kind, number, at)
                });
            }
            match line.letter() {
                b'm' => reader.next_section(&line, limits)?,
                b'a' => {
                    split.entry.name_end = line.find_name()?;
                    let line = Line::new(text, split.entry, split.next, number, false);
                    reader.attribute(&line, limits)?;
                }
                _ => return Err(line.error_at_letter(ErrorKind::OutOfOrder)),
            }
            reader.lines = number;
            start = split.next;
        }
        reader.finish(text.len())
    }

    /// The section of this mid; the last one, new, if there was none.
    pub fn section(&mut self, mid: &str) -> &mut FragmentSection {
        let known = self.sections.iter().position(|section| section.mid == mid);
        let at = known.unwrap_or_else(|| {
            self.sections.push(FragmentSection {
                mid: mid.to_string(),
                ..FragmentSection::default()
            });
            self.sections.len() - 1
        });
        &mut self.sections[at]
    }

    /// The credentials that count in a section.
    pub fn credentials_of<'a>(
        &'a self,
        section: &'a FragmentSection,
    ) -> Option<&'a IceCredentials> {
        section.credentials.as_ref().or(self.credentials.as_ref())
    }

    /// The body, to be sent; it holds a password. Its `m=` lines are those of §4.4 for senders that
    /// do not know better, and say nothing.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        if self.lite {
            out.push_str("a=ice-lite\r\n");
        }
        write_credentials(&mut out, self.credentials.as_ref());
        if !self.ice_options.is_empty() {
            let _ = write!(out, "a=ice-options:{}\r\n", self.ice_options.join(" "));
        }
        if let Some(pacing) = self.pacing {
            let _ = write!(out, "a=ice-pacing:{}\r\n", pacing.as_millis());
        }
        for mids in &self.bundles {
            let _ = write!(out, "a=group:BUNDLE {}\r\n", mids.join(" "));
        }
        if self.end_of_candidates {
            out.push_str("a=end-of-candidates\r\n");
        }
        for section in &self.sections {
            out.push_str("m=audio 9 RTP/AVP 0\r\n");
            // What belongs to the section goes before its mid, which the candidates follow.
            write_credentials(&mut out, section.credentials.as_ref());
            if section.rtcp_mux {
                out.push_str("a=rtcp-mux\r\n");
            }
            if section.rtcp_mux_only {
                out.push_str("a=rtcp-mux-only\r\n");
            }
            let _ = write!(out, "a=mid:{}\r\n", section.mid);
            for candidate in &section.candidates {
                let _ = write!(out, "a={candidate}\r\n");
            }
            if section.end_of_candidates {
                out.push_str("a=end-of-candidates\r\n");
            }
        }
        out
    }
}

fn write_credentials(out: &mut String, credentials: Option<&IceCredentials>) {
    if let Some(credentials) = credentials {
        let (ufrag, pwd) = (credentials.ufrag(), credentials.pwd());
        let _ = write!(out, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
    }
}

/// An error that is not about a word.
fn end(kind: ErrorKind, line: u32, offset: usize) -> Error {
    Error {
        kind,
        line,
        column: 1,
        offset,
        span: 0,
    }
}

/// Both of `ice-ufrag` and `ice-pwd`, which stand on lines of their own.
#[derive(Default)]
struct Halves<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
}

/// What may stand once.
fn once<T>(line: &Line<'_>, slot: &mut Option<T>, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        Some(_) => Err(line.error_at_letter(ErrorKind::OutOfOrder)),
        None => Ok(()),
    }
}

#[derive(Default)]
struct Reader<'a> {
    body: Fragment,
    session: Halves<'a>,
    sections: Vec<Halves<'a>>,
    /// Where each section begins, for errors about the whole of it.
    places: Vec<Error>,
    lines: u32,
    attributes: usize,
}

impl<'a> Reader<'a> {
    fn next_section(&mut self, line: &Line<'a>, limits: &Limits) -> Result<(), Error> {
        if self.sections.len() >= limits.max_media {
            return Err(line.error_at_letter(ErrorKind::TooManyMedia));
        }
        self.attributes = 0;
        self.sections.push(Halves::default());
        self.places
            .push(line.error_at_letter(ErrorKind::MissingAttribute("mid")));
        self.body.sections.push(FragmentSection::default());
        Ok(())
    }

    fn attribute(&mut self, line: &Line<'a>, limits: &Limits) -> Result<(), Error> {
        self.attributes += 1;
        if self.attributes > limits.max_attributes {
            return Err(line.error_at_letter(ErrorKind::TooManyAttributes));
        }
        let Some(attribute) = line.attribute() else {
            return Ok(());
        };
        let name = attribute.name();
        let same = |known: &&str| known.eq_ignore_ascii_case(name);
        let name = OLDER.into_iter().find(same).unwrap_or(name);
        let (name_len, text) = (attribute.name().len(), attribute.text());
        let value = match (
            AttributeValue::read(name, text),
            self.body.sections.last_mut(),
        ) {
            (Ok(value), _) => value,
            (Err(_), Some(section)) if name == "candidate" => {
                section.ignored_candidates += 1;
                return Ok(());
            }
            // What has no place in a body is ignored, whatever it says.
            (Err(at), _) if is_known(name) => {
                let colon = usize::from(text.is_some());
                return Err(line.error(ErrorKind::AttributeValue, name_len + colon + at));
            }
            (Err(_), _) => return Ok(()),
        };
        match self.sections.last_mut().zip(self.body.sections.last_mut()) {
            Some((halves, section)) => in_section(line, value, halves, section, limits),
            None => self.in_session(line, value),
        }
    }

    fn in_session(&mut self, line: &Line<'a>, value: AttributeValue<'a>) -> Result<(), Error> {
        use AttributeValue as Value;
        let body = &mut self.body;
        match value {
            Value::IceUfrag(ufrag) => once(line, &mut self.session.ufrag, ufrag)?,
            Value::IcePwd(pwd) => once(line, &mut self.session.pwd, pwd.reveal())?,
            Value::IceLite => body.lite = true,
            Value::IcePacing(pacing) => body.pacing = Some(Duration::from_millis(pacing)),
            Value::IceOptions(options) => {
                body.ice_options = options.iter().map(ToString::to_string).collect();
            }
            Value::Group(group) if group.semantics.eq_ignore_ascii_case("BUNDLE") => {
                let mids = group.mids.iter().map(ToString::to_string);
                body.bundles.push(mids.collect());
            }
            Value::EndOfCandidates => body.end_of_candidates = true,
            _ => {}
        }
        Ok(())
    }

    /// Credentials are put together, and what needs them is refused without.
    fn finish(self, length: usize) -> Result<Fragment, Error> {
        let Self {
            mut body,
            session,
            sections,
            places,
            lines,
            ..
        } = self;
        body.credentials = session.credentials();
        let missing = |place: Error| Error {
            kind: ErrorKind::MissingAttribute("ice-ufrag and ice-pwd"),
            ..place
        };
        if body.end_of_candidates && body.credentials.is_none() && body.sections.is_empty() {
            return Err(missing(end(ErrorKind::Attribute, lines + 1, length)));
        }
        for ((section, halves), place) in body.sections.iter_mut().zip(&sections).zip(places) {
            if section.mid.is_empty() {
                return Err(place);
            }
            section.credentials = Halves {
                ufrag: halves.ufrag.or(session.ufrag),
                pwd: halves.pwd.or(session.pwd),
            }
            .credentials();
            let says = section.end_of_candidates || !section.candidates.is_empty();
            if (says || body.end_of_candidates) && section.credentials.is_none() {
                return Err(missing(place));
            }
            // What is inherited stays where it was said.
            if halves.ufrag.is_none() && halves.pwd.is_none() {
                section.credentials = None;
            }
        }
        Ok(body)
    }
}

impl Halves<'_> {
    fn credentials(&self) -> Option<IceCredentials> {
        IceCredentials::new(self.ufrag?, self.pwd?).ok()
    }
}

fn in_section<'a>(
    line: &Line<'a>,
    value: AttributeValue<'a>,
    halves: &mut Halves<'a>,
    section: &mut FragmentSection,
    limits: &Limits,
) -> Result<(), Error> {
    use AttributeValue as Value;
    let nameless = section.mid.is_empty();
    match value {
        Value::Mid(mid) if nameless => section.mid = mid.to_string(),
        // Whose they are is said before.
        Value::Candidate(_) | Value::EndOfCandidates if nameless => {
            return Err(line.error_at_letter(ErrorKind::MissingAttribute("mid")));
        }
        Value::Mid(_) => return Err(line.error_at_letter(ErrorKind::OutOfOrder)),
        Value::Candidate(_) if section.candidates.len() >= limits.max_candidates => {
            return Err(line.error_at_letter(ErrorKind::TooManyCandidates));
        }
        Value::Candidate(candidate) => section.candidates.push(candidate.into()),
        Value::EndOfCandidates => section.end_of_candidates = true,
        Value::IceUfrag(ufrag) => once(line, &mut halves.ufrag, ufrag)?,
        Value::IcePwd(pwd) => once(line, &mut halves.pwd, pwd.reveal())?,
        Value::RtcpMux => section.rtcp_mux = true,
        Value::RtcpMuxOnly => section.rtcp_mux_only = true,
        _ => {}
    }
    Ok(())
}

/// Whether an attribute of this name has a place in a body, and a grammar. `rtcp` has two: with an
/// address (RFC 3605), and without (RFC 8840 §9.2).
fn is_known(name: &str) -> bool {
    OLDER.contains(&name)
        || matches!(
            name,
            "end-of-candidates" | "group" | "rtcp-mux" | "rtcp-mux-only"
        )
}

//! Attributes: `a=name` and `a=name:value` (RFC 8866 §5.13, §6), read when asked for.

use alloc::boxed::Box;
use core::fmt;

use nom::Parser;
use nom::bytes::complete::{tag, take_while_m_n, take_while1};
use nom::combinator::{map_opt, opt, rest};
use nom::sequence::{preceded, separated_pair, terminated};

use crate::dtls::{self, Fingerprint, Setup};
use crate::grammar::{self, whole};
use crate::ice::{self, Candidate};
use crate::{Direction, Error, ErrorKind, Line};

/// An attribute as it stands in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    line: Line<'a>,
    name: &'a str,
    text: Option<&'a [u8]>,
}

impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({} {})", self.line.number(), self.name)
    }
}

/// A password that `Debug` does not show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password<'a>(&'a str);

impl<'a> Password<'a> {
    /// The password itself.
    pub fn reveal(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Password<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Words with a space between them; order and repetitions as in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// The words in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }
}

/// `group`: sections that belong together (RFC 5888 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// Such as `BUNDLE` or `LS`.
    pub semantics: &'a str,
    /// The mids of the sections; may be none.
    pub mids: Words<'a>,
}

/// `rtpmap`: what a payload type means (§6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtpmap<'a> {
    /// 0..=127.
    pub payload_type: u8,
    /// Encoding name, compared without regard to case.
    pub encoding: &'a str,
    /// Hertz.
    pub clock_rate: u32,
    /// Audio channels, if given; without, one.
    pub channels: Option<u32>,
}

/// `fmtp`: parameters of a format (§6.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fmtp<'a> {
    /// One of the formats of the `m=` line.
    pub format: &'a str,
    /// Parameters in the format's own grammar.
    pub parameters: &'a [u8],
}

/// `extmap`: what an RTP header extension id means (RFC 8285 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extmap<'a> {
    /// Identifier, 1..=65535 as the grammar has it.
    pub id: u16,
    /// Direction, if it is restricted.
    pub direction: Option<Direction>,
    /// Name of the extension.
    pub uri: &'a str,
    /// Parameters, if any.
    pub parameters: Option<&'a [u8]>,
}

/// The meaning of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeValue<'a> {
    /// `group` (RFC 5888), session level.
    Group(Group<'a>),
    /// `mid` (RFC 5888), media level.
    Mid(&'a str),
    /// `bundle-only` (RFC 9143), media level.
    BundleOnly,
    /// `sendrecv`, `sendonly`, `recvonly`, `inactive`.
    Direction(Direction),
    /// `ice-ufrag`: 4 to 256 ice-chars (RFC 8839 §5.4).
    IceUfrag(&'a str),
    /// `ice-pwd`: 22 to 256 ice-chars (RFC 8839 §5.4).
    IcePwd(Password<'a>),
    /// `ice-options` (RFC 8839 §5.6).
    IceOptions(Words<'a>),
    /// `ice-pacing` in milliseconds (RFC 8839 §5.5).
    IcePacing(u64),
    /// `ice-lite`, session level.
    IceLite,
    /// `ice-mismatch`, media level of answers.
    IceMismatch,
    /// `candidate` (RFC 8839 §5.1), media level.
    Candidate(Box<Candidate>),
    /// `end-of-candidates` (RFC 8840 §8.1).
    EndOfCandidates,
    /// `fingerprint` (RFC 8122 §5).
    Fingerprint(Fingerprint),
    /// `setup` (RFC 4145 §4).
    Setup(Setup),
    /// `tls-id` (RFC 8842 §4).
    TlsId(&'a str),
    /// `sctp-port` (RFC 8841 §5).
    SctpPort(u16),
    /// `max-message-size` in bytes, 0 = no bound (RFC 8841 §6).
    MaxMessageSize(u64),
    /// `rtpmap`.
    Rtpmap(Rtpmap<'a>),
    /// `fmtp`.
    Fmtp(Fmtp<'a>),
    /// `extmap`.
    Extmap(Extmap<'a>),
    /// `rtcp-mux` (RFC 5761).
    RtcpMux,
    /// `rtcp-mux-only` (RFC 8858).
    RtcpMuxOnly,
    /// `crypto` or `key-mgmt`: keying that WebRTC forbids (RFC 9429 §5.1.1).
    ForbiddenKeying,
    /// Any other attribute: to be ignored, and to be kept.
    Other,
}

impl<'a> Attribute<'a> {
    pub(crate) fn read(line: Line<'a>) -> Result<Self, Error> {
        let value = preceded(tag(":".as_bytes()), take_while1(|_| true));
        let (name, text) = line.read(ErrorKind::Attribute, (grammar::token, opt(value)))?;
        Ok(Self { line, name, text })
    }

    /// The line it stands on.
    pub fn line(&self) -> Line<'a> {
        self.line
    }

    /// What stands before the colon; compared with regard to case.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// What stands after the colon; `None` for a property attribute.
    pub fn text(&self) -> Option<&'a [u8]> {
        self.text
    }

    /// An error at the given byte of the text after the colon.
    fn error(&self, at: usize) -> Error {
        let before = if self.text.is_some() {
            self.name.len() + 1
        } else {
            self.name.len()
        };
        self.line.error(ErrorKind::AttributeValue, before + at)
    }

    fn parse<T>(
        &self,
        parser: impl Parser<&'a [u8], Output = T, Error = grammar::Failure<'a>>,
    ) -> Result<T, Error> {
        whole(self.text.unwrap_or_default(), parser).map_err(|at| self.error(at))
    }

    fn property(&self, value: AttributeValue<'a>) -> Result<AttributeValue<'a>, Error> {
        if self.text.is_some() {
            Err(self.error(0))
        } else {
            Ok(value)
        }
    }

    /// Reads the value by the grammar that belongs to the name.
    ///
    /// ```
    /// use floe_sdp::{AttributeValue, Session};
    ///
    /// let text = b"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0 1\n";
    /// let session = Session::parse(text)?;
    /// let AttributeValue::Group(group) = session.attribute("group").unwrap().value()? else { panic!() };
    /// assert_eq!(group.mids.iter().collect::<Vec<_>>(), ["0", "1"]);
    /// # Ok::<(), floe_sdp::Error>(())
    /// ```
    pub fn value(&self) -> Result<AttributeValue<'a>, Error> {
        use AttributeValue as Value;
        if let Some(direction) = Direction::from_name(self.name) {
            return self.property(Value::Direction(direction));
        }
        let words = || grammar::text_of(grammar::list(grammar::token)).map(Words);
        Ok(match self.name {
            "group" => {
                let mids = opt(preceded(grammar::space, words())).map(Option::unwrap_or_default);
                Value::Group(self.parse(
                    (grammar::token, mids).map(|(semantics, mids)| Group { semantics, mids }),
                )?)
            }
            "mid" => Value::Mid(self.parse(grammar::token)?),
            "bundle-only" => return self.property(Value::BundleOnly),
            "ice-ufrag" => {
                Value::IceUfrag(self.parse(grammar::ice_chars(ice::UFRAG.0, ice::UFRAG.1))?)
            }
            "ice-pwd" => Value::IcePwd(Password(
                self.parse(grammar::ice_chars(ice::PWD.0, ice::PWD.1))?,
            )),
            "ice-options" => Value::IceOptions(self.parse(words())?),
            "ice-pacing" => Value::IcePacing(self.parse(grammar::number(0, 9_999_999_999))?),
            "ice-lite" => return self.property(Value::IceLite),
            "ice-mismatch" => return self.property(Value::IceMismatch),
            "candidate" => Value::Candidate(Box::new(self.parse(ice::candidate_value)?)),
            "end-of-candidates" => return self.property(Value::EndOfCandidates),
            "fingerprint" => Value::Fingerprint(self.parse(dtls::fingerprint)?),
            "setup" => Value::Setup(self.parse(map_opt(grammar::token, Setup::from_name))?),
            "tls-id" => Value::TlsId(self.parse(grammar::text_of(take_while_m_n(
                20,
                255,
                dtls::is_tls_id_char,
            )))?),
            "sctp-port" => {
                let port = map_opt(grammar::plain_number(0, 65_535), |port| {
                    u16::try_from(port).ok()
                });
                Value::SctpPort(self.parse(port)?)
            }
            "max-message-size" => {
                Value::MaxMessageSize(self.parse(grammar::plain_number(0, u64::MAX))?)
            }
            "rtpmap" => Value::Rtpmap(self.parse(rtpmap)?),
            "fmtp" => {
                let pair = separated_pair(grammar::token, grammar::space, take_while1(|_| true));
                Value::Fmtp(
                    self.parse(pair.map(|(format, parameters)| Fmtp { format, parameters }))?,
                )
            }
            "extmap" => Value::Extmap(self.parse(extmap)?),
            "rtcp-mux" => return self.property(Value::RtcpMux),
            "rtcp-mux-only" => return self.property(Value::RtcpMuxOnly),
            "crypto" | "key-mgmt" => Value::ForbiddenKeying,
            _ => Value::Other,
        })
    }
}

fn rtpmap(input: &[u8]) -> grammar::Parsed<'_, Rtpmap<'_>> {
    let payload_type = map_opt(grammar::plain_number(0, 127), |number| {
        u8::try_from(number).ok()
    });
    let slash = || tag("/".as_bytes());
    (
        terminated(payload_type, grammar::space),
        terminated(grammar::token, slash()),
        grammar::number32(1, u32::MAX),
        opt(preceded(slash(), grammar::number32(1, u32::MAX))),
    )
        .map(|(payload_type, encoding, clock_rate, channels)| Rtpmap {
            payload_type,
            encoding,
            clock_rate,
            channels,
        })
        .parse(input)
}

fn extmap(input: &[u8]) -> grammar::Parsed<'_, Extmap<'_>> {
    let id = map_opt(grammar::number(1, 65_535), |number| {
        u16::try_from(number).ok()
    });
    let direction = preceded(
        tag("/".as_bytes()),
        map_opt(grammar::token, Direction::from_name),
    );
    (
        terminated((id, opt(direction)), grammar::space),
        grammar::visible,
        opt(preceded(grammar::space, rest)),
    )
        .map(|((id, direction), uri, parameters)| Extmap {
            id,
            direction,
            uri,
            parameters,
        })
        .parse(input)
}

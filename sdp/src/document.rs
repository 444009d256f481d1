//! The document: the text itself and an index of its lines.

use alloc::vec::Vec;
use core::fmt;

use nom::Parser;

use crate::field::{self, Connection, MediaLine, Origin};
use crate::grammar::{Failure, whole};
use crate::{Attribute, Direction, Error, ErrorKind, Limits};

/// One line of a description.
///
/// `Debug` shows no value, since values may be passwords.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    number: u32,
    offset: usize,
    raw: &'a [u8],
    value: &'a [u8],
}

impl<'a> Line<'a> {
    /// Place in the description, counted from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where the line starts, in bytes from the start of the text.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The type letter.
    pub fn letter(&self) -> u8 {
        self.raw.first().copied().unwrap_or_default()
    }

    /// What stands between `=` and the line end.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The whole line with its line end.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// An error at the given byte of the value.
    pub(crate) fn error(&self, kind: ErrorKind, at: usize) -> Error {
        let column = at + 2;
        Error {
            kind,
            line: self.number,
            column: column as u32 + 1,
            offset: self.offset + column,
        }
    }

    /// Reads the whole value with a parser.
    pub(crate) fn read<T>(
        &self,
        kind: ErrorKind,
        parser: impl Parser<&'a [u8], Output = T, Error = Failure<'a>>,
    ) -> Result<T, Error> {
        whole(self.value, parser).map_err(|at| self.error(kind, at))
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(self.letter());
        write!(
            f,
            "Line({} {letter}=…{} bytes)",
            self.number,
            self.value.len()
        )
    }
}

/// A description (RFC 8866): the text and an index of its lines.
///
/// The text is the truth. Nothing is copied, nothing is normalised, and what this crate does not
/// understand stays where it is: [`Session::to_bytes`] gives back the bytes that came in. Order,
/// mandatory lines and the grammar of every line except the values of attributes are checked by
/// [`Session::parse`], in one pass; values of attributes are read when they are asked for
/// ([`Attribute::value`]).
///
/// ```
/// use floe_sdp::Session;
///
/// let text = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=x-unknown:kept\r\n\
///              m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n";
/// let session = Session::parse(text)?;
/// assert_eq!(session.origin().session_id, "1");
/// let media = session.media().next().unwrap();
/// assert_eq!(media.line().protocol, "UDP/DTLS/SCTP");
/// assert_eq!(session.to_bytes(), text);
/// # Ok::<(), floe_sdp::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Session<'a> {
    text: &'a [u8],
    lines: Vec<Line<'a>>,
    origin: Origin<'a>,
    connection: Option<Connection<'a>>,
    sections: Vec<Section<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Section<'a> {
    first: usize,
    line: MediaLine<'a>,
    connection: Option<Connection<'a>>,
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("bytes", &self.text.len())
            .field("lines", &self.lines.len())
            .field("media", &self.sections.len())
            .finish_non_exhaustive()
    }
}

/// Where in the grammar the next line stands.
struct Order {
    last: u8,
    in_media: bool,
}

impl Order {
    const SESSION: &'static [u8] = b"vosiuepcbtrzka";
    const MEDIA: &'static [u8] = b"micbka";

    /// Whether `letter` may follow the last line, and if so, makes it the last line.
    fn accept(&mut self, letter: u8) -> Result<(), ErrorKind> {
        if !Self::SESSION.contains(&letter) && letter != b'm' {
            return Err(ErrorKind::UnknownType);
        }
        let rank = |order: &[u8], letter| order.iter().position(|&known| known == letter);
        let last = self.last;
        if letter == b'm' {
            self.require_head(b'm')?;
            self.in_media = true;
        } else if self.in_media {
            let (Some(from), Some(to)) = (rank(Self::MEDIA, last), rank(Self::MEDIA, letter))
            else {
                return Err(ErrorKind::OutOfOrder);
            };
            let repeats = from == to && b"cba".contains(&letter);
            if to <= from && !repeats {
                return Err(ErrorKind::OutOfOrder);
            }
        } else {
            self.require_head(letter)?;
            let from = rank(Self::SESSION, last);
            let to = rank(Self::SESSION, letter);
            let allowed = match letter {
                b't' => to > from || b"trz".contains(&last),
                b'r' => b"tr".contains(&last),
                b'z' => last == b'r',
                b'e' | b'p' | b'b' | b'a' => to >= from,
                _ => to > from,
            };
            if !allowed {
                return Err(ErrorKind::OutOfOrder);
            }
        }
        self.last = letter;
        Ok(())
    }

    /// `v o s` come first and in this order; `t` before `k`, `a`, `m` and the end.
    fn require_head(&self, letter: u8) -> Result<(), ErrorKind> {
        let missing = match self.last {
            0 if letter != b'v' => 'v',
            b'v' if letter != b'o' => 'o',
            b'o' if letter != b's' => 's',
            b's' | b'i' | b'u' | b'e' | b'p' | b'c' | b'b'
                if !self.in_media && b"kam\0".contains(&letter) =>
            {
                't'
            }
            _ => return Ok(()),
        };
        let repeated = Self::SESSION.iter().position(|&known| known == letter)
            < Self::SESSION.iter().position(|&known| known == self.last);
        let known_before = letter != b'm' && letter != 0 && (repeated || letter == self.last);
        Err(if known_before {
            ErrorKind::OutOfOrder
        } else {
            ErrorKind::MissingLine(missing)
        })
    }
}

/// Splits one line off `text` at `offset`; checks only what makes it a line.
fn split_line(text: &[u8], offset: usize, number: u32) -> Result<Line<'_>, Error> {
    let rest = text.get(offset..).unwrap_or_default();
    let fail = |kind, at: usize| Error {
        kind,
        line: number,
        column: at as u32 + 1,
        offset: offset + at,
    };
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
        return Err(fail(ErrorKind::UnterminatedLine, rest.len()));
    };
    let (body, raw) = (
        rest.get(..end).unwrap_or_default(),
        rest.get(..=end).unwrap_or_default(),
    );
    let body = body.strip_suffix(b"\r").unwrap_or(body);
    let [_, b'=', value @ ..] = body else {
        return Err(fail(ErrorKind::NotALine, body.len().min(1)));
    };
    if value.is_empty() {
        return Err(fail(ErrorKind::EmptyValue, 2));
    }
    if let Some(at) = value.iter().position(|&byte| byte == 0 || byte == b'\r') {
        return Err(fail(ErrorKind::ForbiddenByte, at + 2));
    }
    Ok(Line {
        number,
        offset,
        raw,
        value,
    })
}

impl<'a> Session<'a> {
    /// Reads a description within [`Limits::DEFAULT`].
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        Self::parse_with(text, &Limits::DEFAULT)
    }

    /// Reads a description within the given limits.
    ///
    /// Time is linear in the text: every byte is split once and read by one grammar.
    pub fn parse_with(text: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        if text.len() > limits.max_bytes.min(u32::MAX as usize) {
            return Err(Error {
                kind: ErrorKind::TooLong,
                line: 1,
                column: 1,
                offset: 0,
            });
        }
        let mut order = Order {
            last: 0,
            in_media: false,
        };
        let mut lines: Vec<Line<'a>> = Vec::new();
        let mut sections: Vec<Section<'a>> = Vec::new();
        let mut origin = None;
        let mut connection = None;
        let mut directed = false;
        let mut offset = 0;
        while offset < text.len() {
            let line = split_line(text, offset, lines.len() as u32 + 1)?;
            let at_letter = |kind| Error {
                kind,
                line: line.number,
                column: 1,
                offset: line.offset,
            };
            if lines.len() >= limits.max_lines {
                return Err(at_letter(ErrorKind::TooManyLines));
            }
            order.accept(line.letter()).map_err(at_letter)?;
            match line.letter() {
                b'o' => origin = Some(field::origin(line)?),
                b'c' => {
                    let here = field::connection(line, sections.is_empty())?;
                    match sections.last_mut() {
                        Some(section) => section.connection = section.connection.or(Some(here)),
                        None => connection = Some(here),
                    }
                }
                b'm' => {
                    if sections.len() >= limits.max_media {
                        return Err(at_letter(ErrorKind::TooManyMedia));
                    }
                    Self::require_connection(connection, sections.last(), &lines)?;
                    directed = false;
                    let first = lines.len();
                    sections.push(Section {
                        first,
                        line: field::media(line)?,
                        connection: None,
                    });
                }
                b'a' => {
                    let attribute = Attribute::read(line)?;
                    if attribute.text().is_none()
                        && Direction::from_name(attribute.name()).is_some()
                    {
                        if directed {
                            return Err(at_letter(ErrorKind::DuplicateDirection));
                        }
                        directed = true;
                    }
                }
                _ => field::check(line)?,
            }
            offset += line.raw.len();
            lines.push(line);
        }
        let at_end = |kind| Error {
            kind,
            line: lines.len() as u32 + 1,
            column: 1,
            offset,
        };
        order.require_head(0).map_err(at_end)?;
        Self::require_connection(connection, sections.last(), &lines)?;
        let origin = origin.ok_or_else(|| at_end(ErrorKind::MissingLine('o')))?;
        Ok(Self {
            text,
            lines,
            origin,
            connection,
            sections,
        })
    }

    /// §5.7: `c=` at session level or in every section.
    fn require_connection(
        session: Option<Connection<'a>>,
        section: Option<&Section<'a>>,
        lines: &[Line<'a>],
    ) -> Result<(), Error> {
        let Some(section) = section else {
            return Ok(());
        };
        if session.or(section.connection).is_some() {
            return Ok(());
        }
        let line = lines.get(section.first);
        let (number, offset) = line.map_or((1, 0), |line| (line.number, line.offset));
        Err(Error {
            kind: ErrorKind::MissingConnection,
            line: number,
            column: 1,
            offset,
        })
    }

    /// The text that was read.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// The text put together from its lines; equal to what was read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len());
        for line in &self.lines {
            out.extend_from_slice(line.raw);
        }
        out
    }

    /// All lines in order.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'a>> + '_ {
        self.lines.iter().copied()
    }

    /// `o=`.
    pub fn origin(&self) -> Origin<'a> {
        self.origin
    }

    /// `s=`; a single space or `-` if the session has no name.
    pub fn name(&self) -> &'a [u8] {
        self.lines.get(2).map_or(b"", |line| line.value)
    }

    /// `c=` of the session level.
    pub fn connection(&self) -> Option<Connection<'a>> {
        self.connection
    }

    /// The attributes of the session level, in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + '_ {
        attributes(self.lines.get(..self.session_end()).unwrap_or_default())
    }

    /// The first attribute of this name at session level; looks at every line of it.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'a>> {
        self.attributes().find(|attribute| attribute.name() == name)
    }

    /// The media sections, in order.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'_, 'a>> + '_ {
        self.sections.iter().enumerate().map(|(index, section)| {
            let end = self
                .sections
                .get(index + 1)
                .map_or(self.lines.len(), |next| next.first);
            Media {
                session: self,
                section: *section,
                index,
                end,
            }
        })
    }

    fn session_end(&self) -> usize {
        self.sections
            .first()
            .map_or(self.lines.len(), |section| section.first)
    }
}

fn attributes<'s, 'a>(lines: &'s [Line<'a>]) -> impl Iterator<Item = Attribute<'a>> + use<'s, 'a> {
    lines
        .iter()
        .filter(|line| line.letter() == b'a')
        .filter_map(|line| Attribute::read(*line).ok())
}

/// One media section of a [`Session`].
#[derive(Clone, Copy, Debug)]
pub struct Media<'s, 'a> {
    session: &'s Session<'a>,
    section: Section<'a>,
    index: usize,
    end: usize,
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.fmt(f)
    }
}

impl<'s, 'a> Media<'s, 'a> {
    /// Place among the `m=` lines, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// `m=`.
    pub fn line(&self) -> MediaLine<'a> {
        self.section.line
    }

    /// The first `c=` of this section, else that of the session.
    pub fn connection(&self) -> Option<Connection<'a>> {
        self.section.connection.or(self.session.connection)
    }

    /// All lines of the section, `m=` first.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'a>> + use<'s, 'a> {
        self.range().iter().copied()
    }

    fn range(&self) -> &'s [Line<'a>] {
        self.session
            .lines
            .get(self.section.first..self.end)
            .unwrap_or_default()
    }

    /// The attributes of this section, in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'s, 'a> {
        attributes(self.range())
    }

    /// The first attribute of this name in the section; looks at every line of it.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'a>> {
        self.attributes().find(|attribute| attribute.name() == name)
    }

    /// The attribute of the section, else that of the session, for attributes that are defined at
    /// both levels: direction, `ice-ufrag`, `ice-pwd`, `ice-options`, `fingerprint`, `setup`, ….
    ///
    /// Looks at every line of both levels; a caller who wants many attributes of many sections
    /// reads [`Session::attributes`] once instead.
    pub fn inherited(&self, name: &str) -> Option<Attribute<'a>> {
        self.attribute(name)
            .or_else(|| self.session.attribute(name))
    }
}

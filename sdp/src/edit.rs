//! A document with a text of its own, and edits that leave every other line as it is.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::index::Index;
use crate::line::split;
use crate::{Error, ErrorKind, Field, Limits, Line, Session};

/// A description that owns its text, and can be edited.
///
/// Every edit puts a new text together and reads it: what would not be read is refused, and the
/// document is then what it was. The limits it was read within hold on. Lines that an edit is not about stay byte for byte what they are; a new
/// line takes the line end of the one before it. Line numbers count from 1, as in errors.
///
/// ```
/// use floe_sdp::attribute::AttributeValue;
/// use floe_sdp::{Field, Level, SessionBuf, Setup};
///
/// let mut sdp = SessionBuf::parse(
///     "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 9 RTP/AVP 0\na=setup:actpass\n",
/// )?;
/// sdp.set_attribute(Level::Media(0), AttributeValue::Setup(Setup::Active))?;
/// sdp.set_attribute(Level::Media(0), Field::Generic("x-new", Some(b"1")))?;
/// assert!(sdp.as_bytes().ends_with(b"m=audio 9 RTP/AVP 0\na=setup:active\na=x-new:1\n"));
/// assert!(sdp.set_attribute(Level::Session, AttributeValue::Tool(b"a\r\nb")).is_err());
/// assert_eq!(sdp.remove_attributes(Level::Media(0), "setup")?, 1);
/// # Ok::<(), floe_sdp::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionBuf {
    text: Vec<u8>,
    index: Index,
}

/// The session level, or a media section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The lines before the first `m=`.
    Session,
    /// The media section of this index, counted from 0.
    Media(usize),
}

impl fmt::Debug for SessionBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionBuf").field(&self.session()).finish()
    }
}

impl SessionBuf {
    /// Reads a description within [`Limits::DEFAULT`].
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self::read(text.into(), Limits::DEFAULT, false)
    }

    /// Reads a description within the given limits, which hold for edits too.
    pub fn parse_with(text: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self, Error> {
        Self::read(text.into(), *limits, false)
    }

    /// Reads a description as [`Session::parse_lenient_with`] does; so are edits.
    pub fn parse_lenient_with(text: impl Into<Vec<u8>>, limits: &Limits) -> Result<Self, Error> {
        Self::read(text.into(), *limits, true)
    }

    fn read(text: Vec<u8>, limits: Limits, lenient: bool) -> Result<Self, Error> {
        let index = Index::read(&text, &limits, lenient)?;
        Ok(Self { text, index })
    }

    pub(crate) fn of(text: Vec<u8>, index: Index) -> Self {
        Self { text, index }
    }

    /// The document.
    pub fn session(&self) -> Session<'_> {
        Session::of(&self.text, Cow::Borrowed(&self.index))
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The text.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text
    }

    /// Puts a line in the place of that of this number.
    pub fn set_line<'f>(&mut self, number: u32, field: impl Into<Field<'f>>) -> Result<(), Error> {
        let line = self.line(number)?;
        let range = line.offset()..line.offset() + line.raw().len();
        let new = self.write(field.into(), range.start, number)?;
        self.splice(range, &new)
    }

    /// Puts a line before that of this number, or behind the last one.
    pub fn insert_line<'f>(
        &mut self,
        number: u32,
        field: impl Into<Field<'f>>,
    ) -> Result<(), Error> {
        let at = self.start_of(number)?;
        let new = self.write(field.into(), at, number)?;
        self.splice(at..at, &new)
    }

    /// Takes the line of this number away.
    pub fn remove_line(&mut self, number: u32) -> Result<(), Error> {
        let line = self.line(number)?;
        let range = line.offset()..line.offset() + line.raw().len();
        self.splice(range, b"")
    }

    /// Puts an attribute in the place of the first one of its name, or behind the last line of the
    /// level.
    pub fn set_attribute<'f>(
        &mut self,
        level: Level,
        field: impl Into<Field<'f>>,
    ) -> Result<(), Error> {
        let field = field.into();
        let name = match &field {
            Field::Attribute(value) => value.name(),
            Field::Generic(name, _) => name,
            _ => "",
        };
        let lines = self.lines(level)?;
        let known = |line: &Line<'_>| line.attribute().is_some_and(|found| found.name() == name);
        let session = self.session();
        let found = lines.clone().find(|&at| known(&session.line(at)));
        match found {
            Some(at) => self.set_line(at as u32 + 1, field),
            None => self.insert_line(lines.end as u32 + 1, field),
        }
    }

    /// Puts an attribute behind the last line of the level, whatever attributes there are.
    pub fn add_attribute<'f>(
        &mut self,
        level: Level,
        field: impl Into<Field<'f>>,
    ) -> Result<(), Error> {
        let lines = self.lines(level)?;
        self.insert_line(lines.end as u32 + 1, field)
    }

    /// Takes all attributes of this name away, and tells how many there were.
    pub fn remove_attributes(&mut self, level: Level, name: &str) -> Result<usize, Error> {
        let lines = self.lines(level)?;
        let session = self.session();
        let mut text = Vec::with_capacity(self.text.len());
        let mut removed = 0;
        for (at, line) in session.lines().enumerate() {
            let named = line.attribute().is_some_and(|found| found.name() == name);
            if named && lines.contains(&at) {
                removed += 1;
            } else {
                text.extend_from_slice(line.raw());
            }
        }
        self.replace(text)?;
        Ok(removed)
    }

    /// Puts a section, `m=` and all its lines, before the section of this index, or behind the last
    /// one.
    pub fn insert_section(&mut self, index: usize, section: &[u8]) -> Result<(), Error> {
        if index > self.index.sections.len() {
            return Err(self.no_such_place());
        }
        let at = self.start_of(self.index.section_start(index) as u32 + 1)?;
        self.splice_section(at..at, section, self.index.sections.len() + 1)
    }

    /// Puts a section, `m=` and all its lines, in the place of that of this index.
    pub fn replace_section(&mut self, index: usize, section: &[u8]) -> Result<(), Error> {
        let range = self.section(index)?;
        self.splice_section(range, section, self.index.sections.len())
    }

    /// Takes a section away. Offer/answer never does; it refuses a section with port 0
    /// (RFC 3264 §8.2).
    pub fn remove_section(&mut self, index: usize) -> Result<(), Error> {
        let range = self.section(index)?;
        self.splice(range, b"")
    }

    fn no_such_place(&self) -> Error {
        Error {
            kind: ErrorKind::NoSuchPlace,
            line: self.index.entries.len() as u32 + 1,
            column: 1,
            offset: self.text.len(),
            span: 0,
        }
    }

    fn line(&self, number: u32) -> Result<Line<'_>, Error> {
        let at = (number as usize).checked_sub(1);
        let at = at.filter(|at| *at < self.index.entries.len());
        let at = at.ok_or_else(|| self.no_such_place())?;
        Ok(self.index.line(&self.text, at))
    }

    /// Where the line of this number begins, or would.
    fn start_of(&self, number: u32) -> Result<usize, Error> {
        if number as usize == self.index.entries.len() + 1 {
            return Ok(self.text.len());
        }
        self.line(number).map(|line| line.offset())
    }

    /// The lines of a level, counted from 0.
    fn lines(&self, level: Level) -> Result<Range<usize>, Error> {
        match level {
            Level::Session => Ok(0..self.index.section_start(0)),
            Level::Media(index) if index < self.index.sections.len() => {
                Ok(self.index.section_start(index)..self.index.section_start(index + 1))
            }
            Level::Media(_) => Err(self.no_such_place()),
        }
    }

    /// The bytes of a section.
    fn section(&self, index: usize) -> Result<Range<usize>, Error> {
        let lines = self.lines(Level::Media(index))?;
        let end = self.start_of(lines.end as u32 + 1)?;
        Ok(self.start_of(lines.start as u32 + 1)?..end)
    }

    /// The text of a new line, with the line end of the line before it; refuses what would not be read
    /// as this field.
    fn write(&self, field: Field<'_>, at: usize, number: u32) -> Result<Vec<u8>, Error> {
        let mut new = Vec::new();
        field.write(&mut new);
        let error = |kind, column: usize| Error {
            kind,
            line: number,
            column: column as u32 + 1,
            offset: at + column,
            span: 0,
        };
        if matches!(field, Field::Key) {
            return Err(error(ErrorKind::Key, 0));
        }
        let found = split(&new, 0, false);
        if let Some((kind, column)) = found.trouble {
            return Err(error(kind, column));
        }
        if found.next < new.len() {
            return Err(error(ErrorKind::ForbiddenByte, found.entry.end as usize));
        }
        let mut entry = found.entry;
        let moved = |mistake: Error| error(mistake.kind, mistake.offset);
        if entry.letter == b'a' {
            let line = Line::new(&new, entry, new.len(), number, false);
            entry.name_end = line.find_name().map_err(moved)?;
        }
        let line = Line::new(&new, entry, new.len(), number, false);
        let same = match field {
            Field::Generic(name, text) => {
                let found = line.attribute();
                found.is_some_and(|found| found.name() == name && found.text() == text)
            }
            _ => line.field().map_err(moved)? == field,
        };
        if !same {
            return Err(error(ErrorKind::AttributeValue, 2));
        }
        let before = self.text.get(..at).unwrap_or_default();
        if before.ends_with(b"\n") && !before.ends_with(b"\r\n") {
            new.truncate(new.len() - 2);
            new.push(b'\n');
        }
        Ok(new)
    }

    fn splice_section(
        &mut self,
        range: Range<usize>,
        section: &[u8],
        sections: usize,
    ) -> Result<(), Error> {
        let at = range.start;
        let old = self.clone();
        self.splice(range, section)?;
        let starts = |index: &Index| {
            let mut sections = index.sections.iter();
            let first = |section: &crate::index::Section| section.first as usize;
            sections.any(|section| {
                let entry = index.entries.get(first(section));
                entry.is_some_and(|entry| entry.start as usize >= at)
            })
        };
        if self.index.sections.len() != sections || !starts(&self.index) {
            *self = old;
            return Err(Error {
                kind: ErrorKind::Media,
                offset: at,
                ..self.no_such_place()
            });
        }
        Ok(())
    }

    fn splice(&mut self, range: Range<usize>, new: &[u8]) -> Result<(), Error> {
        let mut text = Vec::with_capacity(self.text.len() + new.len() + 2);
        let before = self.text.get(..range.start).unwrap_or_default();
        text.extend_from_slice(before);
        // Only lenient reading lets the last line have no end.
        if !new.is_empty()
            && !before.is_empty()
            && !before.ends_with(b"\n")
            && !before.ends_with(b"\r")
        {
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(new);
        text.extend_from_slice(self.text.get(range.end..).unwrap_or_default());
        self.replace(text)
    }

    fn replace(&mut self, text: Vec<u8>) -> Result<(), Error> {
        *self = Self::read(text, self.index.limits, self.index.lenient)?;
        Ok(())
    }
}

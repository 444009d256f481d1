//! The index of a description: where its lines and sections are, found in one pass.

use alloc::vec::Vec;

use crate::line::{Entry, NO_NAME, Split, split};
use crate::order::Order;
use crate::{Direction, Error, ErrorKind, Limits, Line};

/// No line.
pub(crate) const NONE: u32 = u32::MAX;

/// Where everything is. Lines are told by their number, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    pub(crate) sections: Vec<Section>,
    pub(crate) warnings: Vec<Error>,
    /// The first `o=`, `s=` and `c=` of the session level, or [`NONE`].
    pub(crate) origin: u32,
    pub(crate) name: u32,
    pub(crate) connection: u32,
    pub(crate) lenient: bool,
    /// Those it was read within.
    pub(crate) limits: Limits,
}

/// A media section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Its `m=`.
    pub(crate) first: u32,
    /// Its first `c=`, or [`NONE`].
    pub(crate) connection: u32,
}

impl Index {
    /// The line of this number, counted from 0.
    pub(crate) fn line<'a>(&self, text: &'a [u8], at: usize) -> Line<'a> {
        let next = self.entries.get(at + 1);
        let next = next.map_or(text.len(), |next| next.start as usize);
        match self.entries.get(at) {
            Some(entry) => Line::new(text, *entry, next, at as u32 + 1, self.lenient),
            None => Line::new(text, Entry::END, 0, 0, self.lenient),
        }
    }

    /// The line where a section starts; behind the last one, where the lines end.
    pub(crate) fn section_start(&self, index: usize) -> usize {
        let section = self.sections.get(index);
        section.map_or(self.entries.len(), |section| section.first as usize)
    }

    /// Reads a text in one pass.
    pub(crate) fn read(text: &[u8], limits: &Limits, lenient: bool) -> Result<Self, Error> {
        let max_bytes = limits.max_bytes.min(u32::MAX as usize - 1);
        if text.len() > max_bytes {
            return Err(too_long(text, max_bytes));
        }
        // Lines have some 40 bytes each; a list that is too short grows.
        let lines = (text.len() / 32 + 8).min(limits.max_lines.saturating_add(1));
        let mut reader = Reader::new(*limits, lenient, true);
        reader.index.entries.reserve(lines);
        let mut offset = 0;
        while offset < text.len() {
            let line = split(text, offset, lenient);
            offset = line.next;
            reader.line(text, &line)?;
        }
        reader.end(text.len())?;
        Ok(reader.index)
    }
}

impl Entry {
    const END: Self = Self {
        start: 0,
        value: 0,
        end: 0,
        name_end: NO_NAME,
        letter: 0,
    };
}

/// The place of the first byte that is too much.
fn too_long(text: &[u8], max_bytes: usize) -> Error {
    let before = text.get(..max_bytes).unwrap_or_default();
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let lines = memchr::memchr_iter(b'\n', before).count();
    Error {
        kind: ErrorKind::TooLong,
        line: lines as u32 + 1,
        column: (max_bytes - line_start) as u32 + 1,
        offset: max_bytes,
        span: 1,
    }
}

/// What has been seen of the level that is being read.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    attributes: usize,
    candidates: usize,
    directed: bool,
    /// What to say if it turns out that no `c=` counts here.
    unconnected: Option<Error>,
}

/// Takes one line after the other, and knows what is wrong with it.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) index: Index,
    /// Whether the index gets the lines, or whoever asks only wants to know whether they are good.
    keep: bool,
    lines: usize,
    sections: usize,
    /// Where the last line begins, if it has no end.
    unended: Option<u32>,
    order: Order,
    level: Level,
}

/// See [`Reader::state`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    connection: u32,
    sections: usize,
    order: Order,
    level: Level,
}

impl Reader {
    pub(crate) fn new(limits: Limits, lenient: bool, keep: bool) -> Self {
        Self {
            index: Index {
                entries: Vec::new(),
                sections: Vec::new(),
                warnings: Vec::new(),
                origin: NONE,
                name: NONE,
                connection: NONE,
                lenient,
                limits,
            },
            keep,
            lines: 0,
            sections: 0,
            unended: None,
            order: Order::default(),
            level: Level::default(),
        }
    }

    fn report(&mut self, error: Error) -> Result<(), Error> {
        if self.index.lenient && error.kind.is_forgiven() {
            self.index.warnings.push(error);
            return Ok(());
        }
        Err(error)
    }

    /// What a line that is refused must not change, if reading goes on without it.
    pub(crate) fn state(&self) -> State {
        State {
            connection: self.index.connection,
            sections: self.sections,
            order: self.order,
            level: self.level,
        }
    }

    /// Forgets the lines since [`Reader::state`].
    pub(crate) fn restore(&mut self, state: State) {
        self.index.connection = state.connection;
        self.sections = state.sections;
        self.order = state.order;
        self.level = state.level;
    }

    /// An error at a byte of the text, in the next line, which begins at `start`.
    pub(crate) fn error(&self, kind: ErrorKind, start: usize, at: usize) -> Error {
        Error {
            kind,
            line: self.lines as u32 + 1,
            column: (at - start) as u32 + 1,
            offset: at,
            span: 1,
        }
    }

    /// The next line of `text`.
    pub(crate) fn line(&mut self, text: &[u8], split: &Split) -> Result<(), Error> {
        let mut entry = split.entry;
        let line = self.view(text, entry, split.next);
        if self.lines >= self.index.limits.max_lines {
            return Err(line.error_at_letter(ErrorKind::TooManyLines));
        }
        if (entry.end - entry.start) as usize > self.index.limits.max_line_bytes {
            return Err(line.error_at_letter(ErrorKind::LineTooLong));
        }
        // Of two errors in a line, that which stands first counts. What is wrong with the value where
        // a forbidden byte cuts it short is wrong because of that byte.
        let result = match entry.letter {
            0 => Ok(()),
            _ => self.value(text, &mut entry, &line),
        };
        let trouble = split.trouble.map(|(kind, at)| Error {
            kind,
            line: line.number(),
            column: at as u32 - entry.start + 1,
            offset: at,
            span: u32::from(at < split.next),
        });
        match (result, trouble) {
            (Err(error), Some(trouble)) if trouble.offset <= error.offset => Err(trouble),
            (Err(error), _) => Err(error),
            (Ok(()), Some(trouble)) => self.report(trouble),
            (Ok(()), None) => Ok(()),
        }?;
        if self.keep {
            self.index.entries.push(entry);
        }
        self.lines += 1;
        let ended = matches!(line.raw().last(), Some(b'\n' | b'\r'));
        self.unended = (!ended).then_some(entry.start);
        Ok(())
    }

    fn view<'a>(&self, text: &'a [u8], entry: Entry, next: usize) -> Line<'a> {
        let number = self.lines as u32 + 1;
        Line::new(text, entry, next, number, self.index.lenient)
    }

    /// Whether the next line may be an attribute, and nothing comes of that but one more line.
    pub(crate) fn is_at_attributes(&self) -> bool {
        self.order.is_at_attributes() && !self.keep
    }

    /// An attribute that needs no look, where [`Self::is_at_attributes`], and no limits count.
    pub(crate) const fn safe_attribute(&mut self) {
        self.lines += 1;
    }

    /// Place and value of a line that has a letter.
    fn value<'a>(
        &mut self,
        text: &'a [u8],
        entry: &mut Entry,
        line: &Line<'a>,
    ) -> Result<(), Error> {
        let letter = entry.letter;
        if letter == b'a' && self.order.is_at_attributes() {
            return self.attribute(text, entry, line);
        }
        let mut order = self.order;
        order.accept(letter, |kind| self.report(line.error_at_letter(kind)))?;
        self.order = order;
        if b"bkam".contains(&letter) {
            self.require_connection()?;
        }
        match letter {
            b'a' => return self.attribute(text, entry, line),
            b's' | b'i' => {} // free text
            _ if line.value().is_empty() && letter != b'm' => {}
            _ => self.field(text, entry, line)?,
        }
        self.note(letter, line)
    }

    /// Remembers a line that will be asked for.
    fn note(&mut self, letter: u8, line: &Line<'_>) -> Result<(), Error> {
        let number = self.lines as u32;
        if letter == b'm' {
            if self.sections >= self.index.limits.max_media {
                return Err(line.error_at_letter(ErrorKind::TooManyMedia));
            }
            self.sections += 1;
            let missing = line.error_at_letter(ErrorKind::MissingConnection);
            self.level = Level {
                unconnected: Some(missing).filter(|_| self.index.connection == NONE),
                ..Level::default()
            };
            if self.keep {
                let connection = NONE;
                let first = number;
                self.index.sections.push(Section { first, connection });
            }
            return Ok(());
        }
        let slot = match (letter, self.sections) {
            (b'o', 0) => &mut self.index.origin,
            (b's', 0) => &mut self.index.name,
            (b'c', 0) => &mut self.index.connection,
            (b'c', _) => {
                self.level.unconnected = None;
                match self.index.sections.last_mut() {
                    Some(section) => &mut section.connection,
                    None => return Ok(()),
                }
            }
            _ => return Ok(()),
        };
        if *slot == NONE {
            *slot = number;
        }
        Ok(())
    }

    /// The value of a line that is not an attribute.
    fn field<'a>(
        &mut self,
        text: &'a [u8],
        entry: &mut Entry,
        line: &Line<'a>,
    ) -> Result<(), Error> {
        let Err(error) = self.check(line) else {
            return Ok(());
        };
        if self.index.lenient {
            let trimmed = trimmed(text, *entry);
            let better = self.view(text, trimmed, entry.start as usize + line.raw().len());
            if self.check(&better).is_ok() {
                let before = trimmed.value > entry.value;
                let at = if before { 0 } else { better.value().len() };
                *entry = trimmed;
                return self.report(line.error(ErrorKind::StrayBlank, at));
            }
        }
        self.report(error)
    }

    fn check(&self, line: &Line<'_>) -> Result<(), Error> {
        if line.letter() != b'm' {
            return line.check(self.sections == 0);
        }
        let media = line.media_line()?;
        if media.format_count() > self.index.limits.max_formats {
            return Err(line.error_at_letter(ErrorKind::TooManyFormats));
        }
        Ok(())
    }

    fn attribute<'a>(
        &mut self,
        text: &'a [u8],
        entry: &mut Entry,
        line: &Line<'a>,
    ) -> Result<(), Error> {
        self.level.attributes += 1;
        if self.level.attributes > self.index.limits.max_attributes {
            return Err(line.error_at_letter(ErrorKind::TooManyAttributes));
        }
        if line.value().is_empty() {
            return Ok(());
        }
        let better;
        let mut line = line;
        if entry.name_end == NO_NAME {
            match line.find_name() {
                Ok(name_end) => entry.name_end = name_end,
                Err(error) => {
                    let trimmed = trimmed(text, *entry);
                    better = self.view(text, trimmed, entry.start as usize + line.raw().len());
                    let name_end = better.find_name().ok().filter(|_| self.index.lenient);
                    let Some(name_end) = name_end else {
                        return self.report(error);
                    };
                    *entry = trimmed;
                    entry.name_end = name_end;
                    self.report(line.error(ErrorKind::StrayBlank, 0))?;
                    line = &better;
                }
            }
        }
        match line.value().split_at_checked(entry.name_end as usize) {
            Some((b"candidate", _)) => {
                self.level.candidates += 1;
                if self.level.candidates > self.index.limits.max_candidates {
                    return Err(line.error_at_letter(ErrorKind::TooManyCandidates));
                }
            }
            // All directions have the same length.
            Some((name, [])) if name.len() == 8 => {
                let name = core::str::from_utf8(name).ok();
                if name.and_then(Direction::from_name).is_some()
                    && core::mem::replace(&mut self.level.directed, true)
                {
                    return self.report(line.error_at_letter(ErrorKind::DuplicateDirection));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// §5.7: `c=` at session level or in every section. It stands before all but `i=`.
    fn require_connection(&mut self) -> Result<(), Error> {
        match self.level.unconnected.take() {
            Some(missing) => self.report(missing),
            None => Ok(()),
        }
    }

    /// Behind the last line, at the end of the text.
    pub(crate) fn end(&mut self, offset: usize) -> Result<(), Error> {
        let lines = self.lines as u32;
        let (line, column) = match self.unended {
            Some(start) => (lines, offset as u32 - start + 1),
            None => (lines + 1, 1),
        };
        let end = |kind| Error {
            kind,
            line,
            column,
            offset,
            span: 0,
        };
        if self.order.is_untouched() {
            return Err(end(ErrorKind::MissingLine('v')));
        }
        // A section without c= stands before the end, where lines may be missing.
        self.require_connection()?;
        let mut order = self.order;
        order.require_head(0, |kind| self.report(end(kind)))?;
        self.index.warnings.sort_by_key(|warning| warning.offset);
        Ok(())
    }
}

/// The entry without blanks around its value.
fn trimmed(text: &[u8], mut entry: Entry) -> Entry {
    let range = entry.value as usize..entry.end as usize;
    let value = text.get(range).unwrap_or_default();
    let start = value.len() - value.trim_ascii_start().len();
    entry.value += start as u32;
    entry.end = entry.value + value.trim_ascii().len() as u32;
    entry
}

//! A line of a description, and how lines are split.

use core::fmt;

use crate::grammar::{Parsed, TOKEN, whole};
use crate::{Attribute, Error, ErrorKind};
use memchr::memchr3;

/// One line of a description.
///
/// `Debug` shows no value, since values may be passwords.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    raw: &'a [u8],
    value: &'a [u8],
    offset: u32,
    number: u32,
    /// Where the value begins in `raw`.
    value_at: u32,
    /// Where the name of an attribute ends in `value`; [`NO_NAME`] if it has none.
    name_end: u32,
    letter: u8,
    pub(crate) lenient: bool,
}

/// Stands for the end of a name that is not there.
pub(crate) const NO_NAME: u32 = u32::MAX;

/// What the index keeps of a line: bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) start: u32,
    pub(crate) value: u32,
    pub(crate) end: u32,
    pub(crate) name_end: u32,
    /// 0 for what is not a line of SDP, which only lenient reading keeps.
    pub(crate) letter: u8,
}

impl<'a> Line<'a> {
    /// The line of an entry; `next` is where the one after it begins.
    pub(crate) fn new(
        text: &'a [u8],
        entry: Entry,
        next: usize,
        number: u32,
        lenient: bool,
    ) -> Self {
        let at = |from: u32, to: usize| text.get(from as usize..to).unwrap_or_default();
        Self {
            raw: at(entry.start, next),
            value: at(entry.value, entry.end as usize),
            offset: entry.start,
            number,
            value_at: entry.value - entry.start,
            name_end: entry.name_end,
            letter: entry.letter,
            lenient,
        }
    }

    /// Place in the description, counted from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where the line starts, in bytes from the start of the text.
    pub fn offset(&self) -> usize {
        self.offset as usize
    }

    /// The type letter; 0 for what is not a line of SDP, which only lenient reading keeps.
    pub fn letter(&self) -> u8 {
        self.letter
    }

    /// What stands between `=` and the line end; in lenient mode without stray blanks.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The whole line with its line end.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Name and value of an `a=` line that has a name.
    pub fn attribute(&self) -> Option<Attribute<'a>> {
        if self.letter != b'a' || self.name_end == NO_NAME {
            return None;
        }
        let (name, rest) = self.value.split_at_checked(self.name_end as usize)?;
        Some(Attribute::new(*self, name, rest.get(1..)))
    }

    /// An error at the given byte of the value: the word that begins there is meant.
    pub(crate) fn error(&self, kind: ErrorKind, at: usize) -> Error {
        let rest = self.value.get(at..).unwrap_or_default();
        let column = self.value_at as usize + at;
        let blank = |&byte: &u8| byte == b' ';
        let word = rest.iter().position(blank).unwrap_or(rest.len());
        let word = if rest.is_empty() { 0 } else { word.max(1) };
        Error {
            kind,
            line: self.number,
            column: column as u32 + 1,
            offset: self.offset() + column,
            span: word as u32,
        }
    }

    /// An error that is about the line as such.
    pub(crate) fn error_at_letter(&self, kind: ErrorKind) -> Error {
        let letter = self.raw.iter().position(|byte| !b" \t".contains(byte));
        let column = letter.unwrap_or_default();
        Error {
            kind,
            line: self.number,
            column: column as u32 + 1,
            offset: self.offset() + column,
            span: u32::from(!self.raw.is_empty()),
        }
    }

    /// Reads the whole value with a parser.
    pub(crate) fn read<T>(
        &self,
        kind: ErrorKind,
        parser: impl Fn(&'a [u8]) -> Parsed<'a, T>,
    ) -> Result<T, Error> {
        whole(self.value, parser).map_err(|at| self.error(kind, at))
    }

    /// Where the name of an attribute ends; the error is where its grammar does.
    pub(crate) fn find_name(&self) -> Result<u32, Error> {
        let len = TOKEN.run(self.value);
        let stopped = match self.value.get(len..) {
            _ if len == 0 => 0,
            Some([] | [b':', _, ..]) => return Ok(len as u32),
            _ => len,
        };
        Err(self.error(ErrorKind::Attribute, stopped))
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(self.letter);
        let (number, len) = (self.number, self.value.len());
        write!(f, "Line({number} {letter}=…{len} bytes)")
    }
}

/// A line as it was split off, before anybody has looked at its value.
pub(crate) struct Split {
    pub(crate) entry: Entry,
    /// Where the next line begins.
    pub(crate) next: usize,
    /// What makes it no good line, at which byte of the text.
    pub(crate) trouble: Option<(ErrorKind, usize)>,
}

/// Splits one line off `text` at `start`.
///
/// In strict mode a CR that no LF follows and a NUL end the search: what is before them is the line. In
/// lenient mode such a CR is a line end, as very old stacks write it.
pub(crate) fn split(text: &[u8], start: usize, lenient: bool) -> Split {
    let rest = text.get(start..).unwrap_or_default();
    let mut trouble = None;
    let (end, next) = match memchr3(b'\n', b'\r', 0, rest) {
        None => {
            trouble = Some((ErrorKind::UnterminatedLine, text.len()));
            (text.len(), text.len())
        }
        Some(at) => {
            let end = start + at;
            match rest.get(at..) {
                Some([b'\n', ..]) => (end, end + 1),
                Some([b'\r', b'\n', ..]) => (end, end + 2),
                Some([b'\r', ..]) if lenient => {
                    trouble = Some((ErrorKind::BareCr, end));
                    (end, end + 1)
                }
                _ => {
                    trouble = Some((ErrorKind::ForbiddenByte, end));
                    (end, end + 1)
                }
            }
        }
    };
    let body = text.get(start..end).unwrap_or_default();
    let entry = |letter, value| Entry {
        start: start as u32,
        value: value as u32,
        end: end as u32,
        name_end: NO_NAME,
        letter,
    };
    let entry = match *body {
        [letter, b'=', ..] if letter != b' ' => entry(letter, start + 2),
        _ => {
            if let Some((letter, value)) = loose(body).filter(|_| lenient) {
                trouble = trouble.or(Some((ErrorKind::StrayBlank, start)));
                entry(letter, start + value)
            } else {
                let no_line = (ErrorKind::NotALine, start + body.len().min(1));
                // Where a NUL cuts it short, that counts, unless strict mode stops before it.
                let cut = trouble.filter(|(kind, at)| {
                    *kind == ErrorKind::ForbiddenByte && (lenient || *at <= no_line.1)
                });
                trouble = cut.or(Some(no_line));
                entry(0, end)
            }
        }
    };
    if trouble.is_none() && entry.letter != 0 && entry.value == entry.end {
        trouble = Some((ErrorKind::EmptyValue, entry.value as usize));
    }
    Split {
        entry,
        next,
        trouble,
    }
}

/// What was just written, from `start` to the end of `text`, as one line that ends with CRLF, and has no
/// other line end.
pub(crate) fn whole_line(text: &[u8], start: usize, letter: u8, name_end: u32) -> Split {
    let (value, end) = (start + 2, text.len() - 2);
    let trouble = (value == end).then_some((ErrorKind::EmptyValue, value));
    Split {
        entry: Entry {
            start: start as u32,
            value: value as u32,
            end: end as u32,
            name_end,
            letter,
        },
        next: text.len(),
        trouble,
    }
}

/// A letter and `=` with blanks around them: the letter, and where the value begins.
fn loose(body: &[u8]) -> Option<(u8, usize)> {
    let skip = |from: usize| {
        let rest = body.get(from..).unwrap_or_default();
        let word = rest.iter().position(|byte| !b" \t".contains(byte));
        from + word.unwrap_or(rest.len())
    };
    let letter_at = skip(0);
    let letter = *body.get(letter_at)?;
    let equals = skip(letter_at + 1);
    (letter.is_ascii_alphabetic() && body.get(equals) == Some(&b'='))
        .then_some((letter, equals + 1))
}

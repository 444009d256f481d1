//! What is wrong with a description, and where.

use core::fmt;

/// A description was refused, or read with a warning: the rule it breaks and the place.
///
/// Of several errors, [`Session::parse`](crate::Session::parse) gives the one that stands first.
///
/// ```
/// use floe_sdp::{ErrorKind, Session};
///
/// let error = Session::parse(b"v=1\r\n").unwrap_err();
/// assert_eq!((error.kind, error.line, error.column, error.offset), (ErrorKind::Version, 1, 3, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// The rule that was broken.
    pub kind: ErrorKind,
    /// Line, counted from 1.
    pub line: u32,
    /// Byte in the line, counted from 1.
    pub column: u32,
    /// Byte in the text, counted from 0.
    pub offset: usize,
    /// How many bytes from there are meant: the rest of a word, most often; 0 where something is
    /// missing.
    pub span: u32,
}

/// The rule that a description breaks. Section numbers are those of RFC 8866 if no other is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is longer than [`Limits::max_bytes`](crate::Limits::max_bytes).
    TooLong,
    /// A line is longer than [`Limits::max_line_bytes`](crate::Limits::max_line_bytes).
    LineTooLong,
    /// There are more lines than [`Limits::max_lines`](crate::Limits::max_lines).
    TooManyLines,
    /// There are more `m=` lines than [`Limits::max_media`](crate::Limits::max_media).
    TooManyMedia,
    /// A level has more attributes than [`Limits::max_attributes`](crate::Limits::max_attributes).
    TooManyAttributes,
    /// A section has more candidates than [`Limits::max_candidates`](crate::Limits::max_candidates).
    TooManyCandidates,
    /// An `m=` line has more formats than [`Limits::max_formats`](crate::Limits::max_formats).
    TooManyFormats,
    /// The last line does not end with CRLF or LF.
    UnterminatedLine,
    /// A line is not a letter followed by `=` (§5).
    NotALine,
    /// A line has no value (§5).
    EmptyValue,
    /// A value holds NUL, or CR that is not part of a line end (§9).
    ForbiddenByte,
    /// A CR that no LF follows; lenient reading takes it for a line end. In strict mode it is a
    /// [`ErrorKind::ForbiddenByte`].
    BareCr,
    /// No line begins with this letter (§5).
    UnknownType,
    /// The line stands in a place where the grammar has no room for it (§9).
    OutOfOrder,
    /// The mandatory line of this letter is missing before this place (§5).
    MissingLine(char),
    /// `c=` is neither at session level nor in this section (§5.7).
    MissingConnection,
    /// `v=` is not `0` (§5.1).
    Version,
    /// `o=` (§5.2).
    Origin,
    /// `u=` (§5.5).
    Uri,
    /// `e=` (§5.6).
    Email,
    /// `p=` (§5.6).
    Phone,
    /// `c=` (§5.7).
    Connection,
    /// `b=` (§5.8).
    Bandwidth,
    /// `t=` (§5.9).
    Time,
    /// `r=` (§5.10).
    Repeat,
    /// `z=` (§5.11).
    Zone,
    /// `k=` (§5.12).
    Key,
    /// `m=` (§5.14).
    Media,
    /// `a=` whose name is not a token, or which has a colon and no value (§5.13).
    Attribute,
    /// An attribute with a grammar of its own whose value does not follow it.
    AttributeValue,
    /// A [`Fragment`](crate::ice::Fragment) lacks what this names, before this place or in this
    /// section (RFC 8840 §4.4).
    MissingAttribute(&'static str),
    /// Two directions at one level (§6.7).
    DuplicateDirection,
    /// A blank where the grammar has no room for one (§5). Only a warning: in strict mode the line is
    /// malformed, each in its way.
    StrayBlank,
    /// An edit has no such line or section to work on; the place is the end of the text.
    NoSuchPlace,
}

impl ErrorKind {
    /// Whether lenient reading goes on with a warning.
    ///
    /// What it does not forgive: limits, NUL (which no stack sends by mistake), another version, and an
    /// `m=` that is malformed, since what follows would have no place.
    pub(crate) fn is_forgiven(self) -> bool {
        !matches!(
            self,
            Self::TooLong
                | Self::LineTooLong
                | Self::TooManyLines
                | Self::TooManyMedia
                | Self::TooManyAttributes
                | Self::TooManyCandidates
                | Self::TooManyFormats
                | Self::ForbiddenByte
                | Self::Version
                | Self::Media
                | Self::NoSuchPlace
        )
    }

    fn text(self) -> &'static str {
        match self {
            Self::TooLong => "description is longer than allowed",
            Self::LineTooLong => "line is longer than allowed",
            Self::TooManyLines => "more lines than allowed",
            Self::TooManyMedia => "more media sections than allowed",
            Self::TooManyAttributes => "more attributes than allowed",
            Self::TooManyCandidates => "more candidates than allowed",
            Self::TooManyFormats => "more formats than allowed",
            Self::UnterminatedLine => "last line does not end",
            Self::NotALine => "not a letter followed by '='",
            Self::EmptyValue => "empty value",
            Self::ForbiddenByte => "NUL or CR inside a value",
            Self::BareCr => "CR without LF",
            Self::UnknownType => "unknown line type",
            Self::OutOfOrder => "line out of order",
            Self::MissingLine(_) => "mandatory line missing:",
            Self::MissingConnection => "no c= for this section",
            Self::Version => "version is not 0",
            Self::Origin => "malformed o=",
            Self::Uri => "malformed u=",
            Self::Email => "malformed e=",
            Self::Phone => "malformed p=",
            Self::Connection => "malformed c=",
            Self::Bandwidth => "malformed b=",
            Self::Time => "malformed t=",
            Self::Repeat => "malformed r=",
            Self::Zone => "malformed z=",
            Self::Key => "malformed k=",
            Self::Media => "malformed m=",
            Self::Attribute => "malformed a=",
            Self::AttributeValue => "malformed attribute value",
            Self::MissingAttribute(_) => "attribute missing:",
            Self::DuplicateDirection => "more than one direction",
            Self::StrayBlank => "stray blank",
            Self::NoSuchPlace => "no such line or section",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Self::MissingLine(letter) => write!(f, " {letter}="),
            Self::MissingAttribute(name) => write!(f, " {name}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind, line, column, ..
        } = self;
        write!(f, "line {line}, column {column}: {kind}")
    }
}

impl core::error::Error for Error {}

impl Error {
    /// Shows the line of the error, with a caret below the place.
    ///
    /// `text` is the description that was read. A long line is cut to what is around the place, and bytes
    /// that a terminal might obey are shown as `·`. What is shown may hold a password.
    ///
    /// ```
    /// use floe_sdp::Session;
    ///
    /// let text = b"v=0\r\no=- one 1 IN IP4 0.0.0.0\r\n";
    /// let error = Session::parse(text).unwrap_err();
    /// assert_eq!(error.render(text).to_string(), "\
    /// line 2, column 5: malformed o=
    ///   |
    /// 2 | o=- one 1 IN IP4 0.0.0.0
    ///   |     ^^^");
    /// ```
    pub fn render<'a>(&self, text: &'a [u8]) -> Rendered<'a> {
        Rendered { error: *self, text }
    }
}

/// An [`Error`] with its line, to be displayed.
#[derive(Clone, Copy)]
pub struct Rendered<'a> {
    error: Error,
    text: &'a [u8],
}

impl fmt::Debug for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rendered").field(&self.error).finish()
    }
}

impl Rendered<'_> {
    /// Bytes shown before the place, and from it on, in a long line.
    const BEFORE: usize = 60;
    const AFTER: usize = 40;

    fn put(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                let shown = if character.is_control() {
                    '·'
                } else {
                    character
                };
                fmt::Write::write_char(f, shown)?;
            }
            for _ in chunk.invalid() {
                fmt::Write::write_char(f, '·')?;
            }
        }
        Ok(())
    }
}

/// How many characters [`Rendered::put`] shows for these bytes.
fn width(bytes: &[u8]) -> usize {
    let chunks = bytes.utf8_chunks();
    chunks
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum()
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { line, offset, .. } = self.error;
        let offset = offset.min(self.text.len());
        let (before, after) = self.text.split_at(offset);
        let start = (self.error.column as usize).saturating_sub(1).min(offset);
        let before = before.get(offset - start..).unwrap_or_default();
        let ends = |byte: &u8| b"\r\n".contains(byte);
        let end = after.iter().position(ends).unwrap_or(after.len());
        let after = after.get(..end).unwrap_or_default();
        let cut_before = before.len().saturating_sub(Self::BEFORE);
        let before = before.get(cut_before..).unwrap_or_default();
        let kept = after.get(..Self::AFTER).unwrap_or(after);
        let ellipsis = if cut_before > 0 { "…" } else { "" };

        let margin = line.checked_ilog10().unwrap_or_default() as usize + 1;
        writeln!(f, "{}", self.error)?;
        writeln!(f, "{:margin$} |", "")?;
        write!(f, "{line} | {ellipsis}")?;
        Self::put(f, before)?;
        Self::put(f, kept)?;
        writeln!(f, "{}", if kept.len() < after.len() { "…" } else { "" })?;
        let meant = kept.get(..self.error.span as usize).unwrap_or(kept);
        let column = width(before) + ellipsis.chars().count();
        let carets = width(meant).max(1);
        write!(f, "{:margin$} | {:column$}{:^<carets$}", "", "", "")
    }
}

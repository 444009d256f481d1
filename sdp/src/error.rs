//! What is wrong with a description, and where.

use core::fmt;

/// A description was refused: the rule it breaks and the place.
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
}

/// The rule that a description breaks. Section numbers are those of RFC 8866 if no other is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is longer than [`Limits::max_bytes`](crate::Limits::max_bytes).
    TooLong,
    /// There are more lines than [`Limits::max_lines`](crate::Limits::max_lines).
    TooManyLines,
    /// There are more `m=` lines than [`Limits::max_media`](crate::Limits::max_media).
    TooManyMedia,
    /// The last line does not end with CRLF or LF.
    UnterminatedLine,
    /// A line is not a letter followed by `=` (§5).
    NotALine,
    /// A line has no value (§5).
    EmptyValue,
    /// A value holds NUL, or CR that is not part of a line end (§9).
    ForbiddenByte,
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
    /// Two directions at one level (§6.7).
    DuplicateDirection,
}

impl ErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::TooLong => "description is longer than allowed",
            Self::TooManyLines => "more lines than allowed",
            Self::TooManyMedia => "more media sections than allowed",
            Self::UnterminatedLine => "last line does not end",
            Self::NotALine => "not a letter followed by '='",
            Self::EmptyValue => "empty value",
            Self::ForbiddenByte => "NUL or CR inside a value",
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
            Self::DuplicateDirection => "more than one direction",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            Self::MissingLine(letter) => write!(f, " {letter}="),
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

//! What can be wrong.

use std::fmt;

/// A contradiction, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Path from the root of the repository.
    pub file: String,
    /// Line, from 1; 0 if it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong; with the id of the row where there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultKind {
    /// A line of a requirement table that is no row: wrong number of cells, id or level unknown.
    BadRow,
    /// The id stands in the tables twice.
    DuplicateRow(String),
    /// A citation is not `/// req: ID[, ID…]`, alone on its line and the only one of its test.
    MalformedCitation,
    /// A citation in the doc comment of something that is not a test.
    NotOnATest,
    /// A citation on a test that is ignored, so that it does not run.
    IgnoredTest,
    /// More than [`MOST_ROWS`](crate::MOST_ROWS) rows cited by one test: how many.
    TooManyRows(usize),
    /// One id twice in a citation.
    RepeatedRow(String),
    /// The id stands in no table.
    UnknownRow(String),
    /// The row was withdrawn.
    WithdrawnRow(String),
    /// An entry of a decision file is not `deviation: ID reason`, `declined: ID reason` or
    /// `documented: ID PATH#HEADING` in a paragraph of its own.
    MalformedDecision,
    /// A deviation or refusal without a reason that deserves the name.
    NoReason(String),
    /// The decision stands in another file than that of the row's table.
    WrongFile(String),
    /// The row has a decision already.
    SecondDecision(String),
    /// A row above MAY cannot be declined: it is a deviation.
    NotOptional(String),
    /// A MAY row is declined, not deviated from.
    Optional(String),
    /// A declined row has a test nevertheless.
    DeclinedButTested(String),
    /// The row has something to test: a document is not enough.
    Testable(String),
    /// There is no such file or heading, or there are two.
    NoSuchPlace(String),
    /// No paragraph under the heading names the row and says something about it.
    PlaceSaysNothing(String),
    /// A finished scope that is neither a table nor a prefix.
    UnknownScope(String),
    /// A row of a finished scope without test, deviation or document.
    Uncovered(String),
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRow => f.write_str("not a row of a requirement table"),
            Self::DuplicateRow(id) => write!(f, "{id} stands here a second time"),
            Self::MalformedCitation => {
                f.write_str("not `/// req: ID[, ID…]`, alone on its line and once a test")
            }
            Self::NotOnATest => f.write_str("cited by what is no test"),
            Self::IgnoredTest => f.write_str("cited by a test that is ignored"),
            Self::TooManyRows(count) => {
                write!(f, "{count} rows cited by one test, at most {}", crate::MOST_ROWS)
            }
            Self::RepeatedRow(id) => write!(f, "{id} is cited twice"),
            Self::UnknownRow(id) => write!(f, "{id} is in no table"),
            Self::WithdrawnRow(id) => write!(f, "{id} was withdrawn"),
            Self::MalformedDecision => f.write_str(
                "not `deviation: ID reason`, `declined: ID reason` or `documented: ID PATH#HEADING`",
            ),
            Self::NoReason(id) => write!(f, "{id}: no reason given"),
            Self::WrongFile(id) => write!(f, "{id} belongs into the file of its table"),
            Self::SecondDecision(id) => write!(f, "{id} is decided already"),
            Self::NotOptional(id) => write!(f, "{id} is no MAY row: a deviation, not declined"),
            Self::Optional(id) => write!(f, "{id} is a MAY row: declined, not a deviation"),
            Self::DeclinedButTested(id) => write!(f, "{id} is declined, yet a test cites it"),
            Self::Testable(id) => write!(f, "{id} needs a test: its observable is no document"),
            Self::NoSuchPlace(id) => write!(f, "{id}: no such file and heading, or two"),
            Self::PlaceSaysNothing(id) => write!(f, "{id}: nothing is said about it there"),
            Self::UnknownScope(scope) => write!(f, "{scope} is neither a table nor a prefix"),
            Self::Uncovered(id) => write!(f, "{id} has no test, deviation or document"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.kind)
    }
}

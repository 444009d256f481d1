//! `floe sdp check`: what is wrong, as a compiler shows it.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use floe_sdp::Session;

use super::args::CheckArgs;
use super::input;
use crate::error::Error;
use crate::run::Verdict;
use crate::style::{self, paint};

/// How much a mistake matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
}

impl Level {
    fn shown(self) -> impl Display {
        match self {
            Self::Error => paint(style::ERROR, "error:"),
            Self::Warning => paint(style::WARNING, "warning:"),
        }
    }
}

pub(super) fn run(args: &CheckArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let mut verdict = Verdict::Passed;
    for file in &args.files {
        let text = input::read(file)?;
        if !check(&input::name(file), &text, args.lenient, out)? {
            verdict = Verdict::Failed;
        }
    }
    Ok(verdict)
}

/// Everything that is wrong with a description, by position. What lenient reading forgives is an error in
/// strict mode; so is a malformed value of an attribute.
fn check(name: &str, text: &[u8], lenient: bool, out: &mut impl Write) -> io::Result<bool> {
    let forgiven = if lenient {
        Level::Warning
    } else {
        Level::Error
    };
    let mut found = Vec::new();
    match Session::parse_lenient(text) {
        Ok(session) => {
            found.extend(session.warnings().iter().map(|error| (*error, forgiven)));
            let values = session.lines().filter_map(|line| line.attribute());
            let malformed = values.filter_map(|attribute| attribute.value().err());
            found.extend(malformed.map(|error| (error, forgiven)));
            // What strict reading stops at and lenient reading sees nothing in, there is none of; this
            // says so if ever there is.
            if let Err(error) = Session::parse(text)
                && !lenient
                && found.is_empty()
            {
                found.push((error, Level::Error));
            }
        }
        Err(error) => {
            // What comes before it is not lost.
            if let Err(first) = Session::parse(text)
                && first.offset < error.offset
            {
                found.push((first, forgiven));
            }
            found.push((error, Level::Error));
        }
    }
    found.sort_by_key(|(error, _)| error.offset);
    for (error, level) in &found {
        show(name, text, error, *level, out)?;
    }
    let count = |level| found.iter().filter(|(_, other)| *other == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if found.is_empty() {
        writeln!(out, "{name}: {}", paint(style::GOOD, "ok"))?;
    } else {
        let plural = |count| if count == 1 { "" } else { "s" };
        let (s, w) = (plural(errors), plural(warnings));
        writeln!(out, "{name}: {errors} error{s}, {warnings} warning{w}")?;
    }
    Ok(errors == 0)
}

/// One mistake, with its line.
pub(super) fn show(
    name: &str,
    text: &[u8],
    error: &floe_sdp::Error,
    level: Level,
    out: &mut impl Write,
) -> io::Result<()> {
    let floe_sdp::Error {
        kind, line, column, ..
    } = error;
    let level = level.shown();
    writeln!(out, "{name}:{line}:{column}: {level} {kind}")?;
    let rendered = error.render(text).to_string();
    for line in rendered.lines().skip(1) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// A description that cannot be read: why, on standard error.
pub(super) fn refuse(file: &Path, text: &[u8], error: &floe_sdp::Error) -> Result<Verdict, Error> {
    let mut err = anstream::AutoStream::auto(io::stderr().lock());
    show(&input::name(file), text, error, Level::Error, &mut err)?;
    Ok(Verdict::Failed)
}

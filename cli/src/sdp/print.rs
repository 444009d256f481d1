//! `floe sdp print`: the bytes that came in.

use std::io::{self, Write};

use floe_sdp::Session;

use super::args::PrintArgs;
use super::check::refuse;
use super::input;
use crate::error::Error;
use crate::run::Verdict;

pub(super) fn run(args: &PrintArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let text = input::read(&args.file)?;
    let session = if args.lenient {
        Session::parse_lenient(&text)
    } else {
        Session::parse(&text)
    };
    match session {
        Ok(session) => {
            out.flush()?;
            // Not through `out`, which takes away what looks like a command to the terminal.
            let mut raw = io::stdout().lock();
            for line in session.lines() {
                raw.write_all(line.raw())?;
            }
            raw.flush()?;
            Ok(Verdict::Passed)
        }
        Err(error) => refuse(&args.file, &text, &error),
    }
}

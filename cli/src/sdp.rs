//! `floe sdp`: descriptions checked, printed, explained, answered.

mod answer;
mod args;
mod check;
mod explain;
mod input;
mod print;

pub(crate) use args::SdpCommand;

use std::io::Write;

use crate::error::Error;
use crate::run::Verdict;

pub(crate) fn run(command: &SdpCommand, out: &mut impl Write) -> Result<Verdict, Error> {
    match command {
        SdpCommand::Check(args) => check::run(args, out),
        SdpCommand::Print(args) => print::run(args, out),
        SdpCommand::Explain(args) => explain::run(args, out),
        SdpCommand::Answer(args) => answer::run(args, out),
    }
}

//! The `floe` command: negotiations between peers behind NATs, simulated and real.

mod args;
mod bench;
mod conditions;
mod connect;
mod discover;
mod error;
mod format;
mod ladder;
mod matrix;
mod nat;
mod pair;
mod progress;
mod quantity;
mod run;
mod sdp;
mod search;
mod serve;
mod stun;
mod style;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Args, Command, NatCommand};
use crate::bench::BenchCommand;
use crate::error::Error;
use crate::run::Verdict;
use crate::stun::StunCommand;

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = BufWriter::new(anstream::AutoStream::auto(io::stdout().lock()));
    let result = match args.command {
        Some(Command::Matrix(args)) => matrix::run(&args, &mut out),
        Some(Command::Pair(args)) => pair::run(&args, &mut out),
        Some(Command::Bench(BenchCommand::Connect(args))) => bench::connect(&args, &mut out),
        Some(Command::Search(args)) => search::run(&args, &mut out),
        Some(Command::Discover(args)) => discover::run(&args, &mut out),
        Some(Command::Nat(NatCommand::List(args))) => nat::list(args.format, &mut out),
        Some(Command::Serve(args)) => serve::run(&args, &mut out),
        Some(Command::Connect(args)) => connect::run(&args, &mut out),
        Some(Command::Stun(StunCommand::Decode(args))) => stun::decode(&args, &mut out),
        Some(Command::Sdp(command)) => sdp::run(&command, &mut out),
        None => help(&mut out),
    };
    let result = result.and_then(|verdict| {
        out.flush()?;
        Ok(verdict)
    });
    match result {
        Ok(verdict) => verdict.into(),
        // Who listened has heard enough.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{}error:{:#} {error}", style::ERROR, style::ERROR);
            error.exit_code()
        }
    }
}

fn help(out: &mut impl Write) -> Result<Verdict, Error> {
    write!(out, "{}", Args::command().render_help().ansi())?;
    Ok(Verdict::Passed)
}

//! Comma-separated values (RFC 4180): no value needs quotes, an absent one is empty.

use std::fmt::Display;
use std::io::{self, Write};

use super::Format;
use crate::run::Run;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Csv;

const HEADER: &str = "a,b,seed,outcome,local,remote,valid_ms,selected_ms,stun_messages,\
    gathering_messages,oracle";

fn optional(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

impl Format for Csv {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{HEADER}")
    }

    fn run(&mut self, run: &Run, out: &mut dyn Write) -> io::Result<()> {
        let run = run.record();
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{}",
            run.a,
            run.b,
            run.seed,
            run.outcome,
            optional(run.local),
            optional(run.remote),
            optional(run.valid_ms),
            optional(run.selected_ms),
            run.stun_messages,
            run.gathering_messages,
            run.oracle,
        )
    }

    fn end(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

//! A JSON array with one object a line.

use std::io::{self, Write};

use super::Format;
use crate::run::Run;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Json {
    any: bool,
}

impl Format for Json {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "[")
    }

    fn run(&mut self, run: &Run, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.any { b",\n  " } else { b"\n  " })?;
        self.any = true;
        Ok(serde_json::to_writer(out, &run.record())?)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n]")
    }
}

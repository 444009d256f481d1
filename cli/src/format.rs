//! The formats of a matrix: each gets the runs one by one, in order.

mod csv;
mod json;
mod table;

use std::io::{self, Write};

use crate::run::Run;

pub(crate) use csv::Csv;
pub(crate) use json::Json;
pub(crate) use table::Table;

pub(crate) trait Format {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()>;
    fn run(&mut self, run: &Run, out: &mut dyn Write) -> io::Result<()>;
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

//! What can go wrong, and with which exit status.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use floe_sim::{Preset, SessionError};

#[derive(Debug)]
pub(crate) enum Error {
    /// Standard output cannot be written.
    Output(io::Error),
    /// The trace cannot be written.
    Trace(PathBuf, io::Error),
    /// The threads cannot be started.
    Threads(String),
    /// More runs than can be counted.
    TooManyRuns,
    /// A run came to no result: a fault of the simulator.
    Session {
        a: Preset,
        b: Preset,
        seed: u64,
        error: SessionError,
    },
}

impl Error {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Session { .. } => ExitCode::from(1),
            _ => ExitCode::from(2),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Trace(path, error) => {
                write!(f, "cannot write the trace to {}: {error}", path.display())
            }
            Self::Threads(error) => write!(f, "cannot start the threads: {error}"),
            Self::TooManyRuns => f.write_str("more runs than can be counted: take fewer seeds"),
            Self::Session { a, b, seed, error } => {
                write!(f, "{a} × {b} with seed {seed} came to no result: {error}")
            }
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

//! What can go wrong, and with which exit status.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use floe_sim::{Preset, SessionError};

#[derive(Debug)]
pub(crate) enum Error {
    /// Standard output cannot be written.
    Output(io::Error),
    /// The trace cannot be written.
    Trace(PathBuf, io::Error),
    /// Arguments that cannot be meant together, or a side that cannot begin.
    Argument(String),
    /// The server is to relay from no address in particular.
    RelayIp,
    /// The server cannot listen here.
    Bind(SocketAddr, io::Error),
    /// The agent's sockets cannot be had.
    Sockets(io::Error),
    /// The operating system gives no event loop or no randomness.
    Runtime(io::Error),
    /// The threads cannot be started.
    Threads(String),
    /// More runs than can be counted.
    TooManyRuns,
    /// A discovery came to no result: a fault of the simulator.
    Survey {
        nat: Preset,
        seed: u64,
        error: Option<SessionError>,
    },
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
            Self::Session { .. } | Self::Survey { .. } => ExitCode::from(1),
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
            Self::Argument(error) => f.write_str(error),
            Self::RelayIp => f.write_str(
                "relayed addresses need an address of their own: give one with --relay-ip",
            ),
            Self::Bind(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Sockets(error) => write!(f, "cannot open a socket: {error}"),
            Self::Runtime(error) => write!(f, "the operating system does not help: {error}"),
            Self::Threads(error) => write!(f, "cannot start the threads: {error}"),
            Self::TooManyRuns => f.write_str("more runs than can be counted: take fewer seeds"),
            Self::Survey { nat, seed, error } => {
                write!(f, "{nat} with seed {seed} came to no result")?;
                match error {
                    Some(error) => write!(f, ": {error}"),
                    None => f.write_str(" in time"),
                }
            }
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

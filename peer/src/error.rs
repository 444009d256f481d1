use core::fmt;

use floe_ice::CommandError;
use floe_sdp::NegotiationError;

/// Why a command was rejected; the connection is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The description or candidate is malformed, unacceptable, or comes in the wrong state.
    Negotiation(NegotiationError),
    /// The ICE agent cannot take it.
    Ice(CommandError),
    /// The answer restarts ICE and the offer did not, or the other way round.
    Restart,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negotiation(error) => error.fmt(f),
            Self::Ice(error) => error.fmt(f),
            Self::Restart => f.write_str("ICE restart in only one of offer and answer"),
        }
    }
}

impl core::error::Error for Error {}

impl From<NegotiationError> for Error {
    fn from(error: NegotiationError) -> Self {
        Self::Negotiation(error)
    }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        Self::Ice(error)
    }
}

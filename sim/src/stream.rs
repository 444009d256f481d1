//! What an endpoint and the TCP of its host say to each other.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use floe_sansio::FiveTuple;

/// What an endpoint wants done about TCP connections.
///
/// To write, it hands out a [`Transmit`](floe_sansio::Transmit) whose path is that of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamCommand {
    /// Accept connections to this address, which must be one of the host's.
    Listen(SocketAddr),
    /// Open a connection. [`StreamEvent::Opened`] or [`StreamEvent::Failed`] follows.
    Connect {
        /// The endpoint's own name for it until it is open.
        id: u64,
        /// From this address of the host; its TCP picks the port.
        local: IpAddr,
        /// To whom.
        remote: SocketAddr,
    },
    /// Open it no longer; nothing follows. Of an open connection this id is no name.
    Cancel(u64),
    /// Send what has been written, and then an end. Bytes of the other side still come.
    Close(FiveTuple),
    /// End it at once, on both sides; nothing follows here.
    Reset(FiveTuple),
}

/// What happened to a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// It is open.
    Opened {
        /// The name that it had until now.
        id: u64,
        /// The name that it has from now on.
        path: FiveTuple,
    },
    /// It could not be opened.
    Failed {
        /// Its name.
        id: u64,
        /// Why.
        error: StreamError,
    },
    /// Somebody has opened one to an address that is listened on.
    Accepted(FiveTuple),
    /// The next bytes. How many come at once says nothing of how they were written.
    Data {
        /// On which connection.
        path: FiveTuple,
        /// What.
        bytes: Vec<u8>,
    },
    /// The other side has written its last byte. It may go on reading until this side, too, closes.
    Ended(FiveTuple),
    /// It is gone before both sides had closed it.
    Lost {
        /// Which.
        path: FiveTuple,
        /// Why.
        error: StreamError,
    },
}

/// Why a TCP connection is no more, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StreamError {
    /// Nobody listens there.
    Refused,
    /// The other side has reset it.
    Reset,
    /// Nothing was heard of the other side in all tries.
    TimedOut,
    /// More was written than [`TcpConfig::send_limit`](crate::TcpConfig::send_limit) allows to wait.
    Overrun,
    /// There is no local port left, or there are as many connections as there may be.
    Exhausted,
}

impl StreamError {
    /// Its name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::TimedOut => "timed-out",
            Self::Overrun => "overrun",
            Self::Exhausted => "exhausted",
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for StreamError {}

//! One server asked from one local address.

use core::net::SocketAddr;

use alloc::boxed::Box;
use floe_sansio::{FiveTuple, Instant, Transport};

use super::socket::StreamId;

/// Names a source; none gets the name of another.
pub(crate) type SourceId = u32;

/// What a server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// How the base is seen from outside.
    Binding,
    /// A relayed address.
    Relay,
}

/// One server asked from one local address.
#[derive(Debug)]
pub(crate) struct Source {
    /// The local address.
    pub(crate) base: SocketAddr,
    /// The server, as it is reached from there.
    pub(crate) server: SocketAddr,
    /// What carries the conversation.
    pub(crate) transport: Transport,
    pub(super) kind: Kind,
    /// The place of the server in its list of the configuration.
    pub(super) named: usize,
    /// On which path the client talks; of a socket of its own only while that is open.
    pub(super) path: Option<FiveTuple>,
    /// Under which relayed address it is found.
    pub(super) listed: Option<SocketAddr>,
    /// The socket that was asked of the owner for it alone: a stream, or another port.
    pub(super) socket: Option<StreamId>,
    pub(super) client: Client,
    pub(super) progress: Progress,
    /// Since when it is its turn: others wait for it for a while.
    pub(super) since: Option<Instant>,
    /// It must not be asked before.
    pub(super) not_before: Instant,
    /// How often another port was asked for.
    pub(super) fresh_ports: u8,
}

/// The machine that talks to the server.
#[derive(Debug)]
pub(super) enum Client {
    /// None yet, or none any more.
    None,
    Stun(Box<floe_stun::Client>),
    Turn(Box<floe_turn::Client>),
}

/// How far a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is not its turn.
    Idle,
    /// Its socket is being opened.
    Opening,
    /// It is the next to be asked, or one of the next.
    Waiting,
    /// It was asked.
    Asked,
    /// It gave a candidate.
    Answered,
    /// It gave none, or is not needed.
    Ended,
}

impl Progress {
    pub(super) const fn is_done(self) -> bool {
        matches!(self, Self::Answered | Self::Ended)
    }
}

impl Source {
    /// The relayed address, while there is an allocation.
    pub(crate) fn relayed(&self) -> Option<SocketAddr> {
        match &self.client {
            Client::Turn(client) => client.relayed(),
            _ => None,
        }
    }

    /// How the server saw the client when it made the allocation.
    pub(crate) fn mapped(&self) -> Option<SocketAddr> {
        match &self.client {
            Client::Turn(client) => client.mapped(),
            _ => None,
        }
    }

    /// Whether what the server sees is the base: not so over a stream, or from another port.
    pub(crate) fn shows_base(&self) -> bool {
        let path = self.path;
        path.is_some_and(|path| !path.transport.is_reliable() && path.local == self.base)
    }

    /// Whether the owner opens a socket before it can be asked.
    pub(super) const fn needs_socket(&self) -> bool {
        self.transport.is_reliable() || self.fresh_ports > 0
    }

    /// Whether it still gives back what it had.
    pub(super) fn is_leaving(&self) -> bool {
        self.progress != Progress::Asked
            && matches!(&self.client, Client::Turn(client) if !client.is_ended() && !client.is_allocated())
    }
}

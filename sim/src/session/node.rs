//! What runs on the hosts of a session.

use floe_sansio::{Datagram, Input, Instant, Transmit};

use super::{PeerHost, ServerHost};
use crate::{Endpoint, HostId, Message, StreamCommand, StreamEvent};

/// A peer or the server.
#[derive(Debug)]
pub enum Node {
    /// A peer.
    Peer(Box<PeerHost>),
    /// The server.
    Server(Box<ServerHost>),
}

impl Node {
    /// The server, if it is that.
    pub fn server(&self) -> Option<&ServerHost> {
        match self {
            Self::Server(server) => Some(server),
            Self::Peer(_) => None,
        }
    }

    /// The peer, if it is one.
    pub fn peer(&self) -> Option<&PeerHost> {
        match self {
            Self::Peer(peer) => Some(peer),
            Self::Server(_) => None,
        }
    }

    /// The peer, if it is one.
    pub fn peer_mut(&mut self) -> Option<&mut PeerHost> {
        match self {
            Self::Peer(peer) => Some(peer),
            Self::Server(_) => None,
        }
    }
}

impl Endpoint for Node {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        match self {
            Self::Peer(peer) => peer.receive(now, datagram),
            Self::Server(server) => server.receive(now, datagram),
        }
    }

    fn timeout(&mut self, now: Instant) {
        match self {
            Self::Peer(peer) => peer.timeout(now),
            Self::Server(server) => server.timeout(now),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Peer(peer) => peer.poll_transmit(),
            Self::Server(server) => server.poll_transmit(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Peer(peer) => peer.deadline(),
            Self::Server(server) => server.deadline(),
        }
    }

    fn poll_stream(&mut self) -> Option<StreamCommand> {
        match self {
            Self::Peer(peer) => peer.poll_stream(),
            Self::Server(server) => server.poll_stream(),
        }
    }

    fn stream(&mut self, now: Instant, event: StreamEvent) {
        match self {
            Self::Peer(peer) => peer.stream(now, event),
            Self::Server(server) => server.stream(now, event),
        }
    }

    fn message(&mut self, now: Instant, from: HostId, text: &str) {
        if let Self::Peer(peer) = self {
            peer.message(now, from, text);
        }
    }

    fn poll_message(&mut self) -> Option<Message> {
        self.peer_mut()?.poll_message()
    }
}

//! TCP connections to peers (RFC 6062): asked for or offered, then bound to a connection of their own.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{DropReason, FiveTuple, Input, Instant};
use floe_stun::{AttributeType, ConnectionId, Message, StatusCode, XorPeerAddress};

use super::requests::{Request, Want};
use super::{AllocateError, Client, ClientEvent, CommandError, PeerTransport, plain};

/// TCP connections that one client keeps at most.
pub const MAX_CONNECTIONS: usize = 64;

/// How long the server waits for `ConnectionBind` (RFC 6062 §5.2, §5.3).
const BIND_WAIT: Duration = Duration::from_secs(30);
/// How long a peer is left alone that could not be reached (RFC 6062 §4.3).
const CONNECT_PAUSE: Duration = Duration::from_secs(10);

/// What `ConnectionAttempt` may carry that must be understood.
const ATTEMPT: &[AttributeType] = &[
    AttributeType::CONNECTION_ID,
    AttributeType::XOR_PEER_ADDRESS,
];

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Connect is under way.
    Connecting,
    /// It waits at the server.
    Waiting(ConnectionId),
    /// `ConnectionBind` is under way, on this path.
    Binding(ConnectionId, FiveTuple),
    /// The path carries its bytes.
    Bound(ConnectionId, FiveTuple),
    /// It could not be had, and must not be asked for again yet.
    Resting,
}

impl Stage {
    const fn id(self) -> Option<ConnectionId> {
        match self {
            Self::Waiting(id) | Self::Binding(id, _) | Self::Bound(id, _) => Some(id),
            Self::Connecting | Self::Resting => None,
        }
    }
}

/// The connections of one allocation, one for each peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections(BTreeMap<SocketAddr, Stage>);

impl Connections {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn of_id(&self, id: ConnectionId) -> Option<(SocketAddr, Stage)> {
        let mut all = self.0.iter().map(|(&peer, &stage)| (peer, stage));
        all.find(|(_, stage)| stage.id() == Some(id))
    }

    /// The path on which this peer's connection is being bound.
    pub(super) fn binding_path(&self, peer: SocketAddr) -> Option<(ConnectionId, FiveTuple)> {
        match self.0.get(&peer) {
            Some(&Stage::Binding(id, path)) => Some((id, path)),
            _ => None,
        }
    }

    /// Whether a connection is being bound on this path.
    pub(super) fn is_binding(&self, path: FiveTuple) -> bool {
        let mut all = self.0.values();
        all.any(|stage| matches!(stage, Stage::Binding(_, on) if *on == path))
    }

    /// Whether a connection has or will have this path.
    fn has_path(&self, path: FiveTuple) -> bool {
        let mut all = self.0.values();
        all.any(|stage| matches!(stage, Stage::Binding(_, on) | Stage::Bound(_, on) if *on == path))
    }
}

impl Client {
    /// Asks the server for a TCP connection to `peer` (RFC 6062 §4.3);
    /// [`ClientEvent::ConnectionWanted`] follows, or [`ClientEvent::ConnectionFailed`].
    pub fn connect(&mut self, now: Instant, peer: SocketAddr) -> Result<(), CommandError> {
        let peer = plain(peer);
        if self.config.peers != PeerTransport::Tcp {
            return Err(CommandError::PeerTransport);
        }
        if !self.is_allocated() {
            return Err(CommandError::Closed);
        }
        self.may_want(peer.ip())?;
        if peer.port() == 0 {
            return Err(CommandError::Port);
        }
        match self.connections.0.get(&peer) {
            Some(Stage::Resting) => return Err(CommandError::BackOff),
            Some(_) => return Err(CommandError::Connected),
            None if self.connections.0.len() >= MAX_CONNECTIONS => {
                return Err(CommandError::Capacity);
            }
            None => {}
        }
        let now = self.clock.advance(now);
        self.connections.0.insert(peer, Stage::Connecting);
        self.request(now, Request::Connect(peer), 0);
        Ok(())
    }

    /// The owner opened a connection for [`ClientEvent::ConnectionWanted`]: to the same server, over
    /// the same transport, from another local address (RFC 6062 §4.3, §4.4).
    pub fn bind_connection(
        &mut self,
        now: Instant,
        id: ConnectionId,
        path: FiveTuple,
    ) -> Result<(), CommandError> {
        let Some((peer, Stage::Waiting(_))) = self.connections.of_id(id) else {
            return Err(CommandError::NoConnection);
        };
        let own = self.path;
        let leads_there = path.remote == own.remote && path.transport == own.transport;
        if !leads_there || path == own || self.connections.has_path(path) {
            return Err(CommandError::Path);
        }
        let now = self.clock.advance(now);
        self.agenda.stop(Want::Connection(peer));
        self.connections.0.insert(peer, Stage::Binding(id, path));
        self.request(now, Request::BindConnection(peer), 0);
        Ok(())
    }

    /// The connection has ended, or is not wanted any more.
    pub fn close_connection(&mut self, id: ConnectionId) {
        if let Some((peer, _)) = self.connections.of_id(id) {
            self.drop_connection(peer);
        }
    }

    fn drop_connection(&mut self, peer: SocketAddr) {
        self.connections.0.remove(&peer);
        self.agenda.stop(Want::Connection(peer));
        self.transactions.retain(|context| match context.request {
            Request::Connect(of) | Request::BindConnection(of) => of != peer,
            _ => true,
        });
    }

    /// Connect succeeded: the connection waits at the server.
    pub(super) fn connected(&mut self, now: Instant, message: &Message<'_>, peer: SocketAddr) {
        let Ok(Some(id)) = message.get::<ConnectionId>() else {
            return self.connection_failed(now, peer, AllocateError::Malformed);
        };
        self.connection_waits(now, id, peer, false);
    }

    /// `ConnectionAttempt`: a peer has connected (RFC 6062 §4.4).
    pub(super) fn connection_attempt(&mut self, now: Instant, message: &Message<'_>) -> Input {
        let parts = (message.get(), message.get());
        let (Ok(Some(id)), Ok(Some(XorPeerAddress(peer)))) = parts else {
            return Input::Dropped(DropReason::Malformed);
        };
        if message.unknown_required(ATTEMPT).next().is_some() {
            return Input::Dropped(DropReason::Malformed);
        }
        if !self.is_allocated() || self.config.peers != PeerTransport::Tcp {
            return Input::Dropped(DropReason::NoAllocation);
        }
        if !self.permissions.contains_key(&peer.ip()) {
            return Input::Dropped(DropReason::NoPermission);
        }
        let is_taken = self.connections.0.contains_key(&peer);
        if is_taken || self.connections.of_id(id).is_some() {
            return Input::Dropped(DropReason::Unsupported);
        }
        if self.connections.0.len() >= MAX_CONNECTIONS {
            return Input::Dropped(DropReason::Capacity);
        }
        self.connection_waits(now, id, peer, true);
        Input::Handled
    }

    fn connection_waits(
        &mut self,
        now: Instant,
        id: ConnectionId,
        peer: SocketAddr,
        incoming: bool,
    ) {
        self.connections.0.insert(peer, Stage::Waiting(id));
        self.agenda.set(Want::Connection(peer), now + BIND_WAIT);
        self.events
            .push_back(ClientEvent::ConnectionWanted { id, peer, incoming });
    }

    /// `ConnectionBind` succeeded.
    pub(super) fn connection_bound(&mut self, peer: SocketAddr) {
        if let Some((id, path)) = self.connections.binding_path(peer) {
            self.connections.0.insert(peer, Stage::Bound(id, path));
            self.events
                .push_back(ClientEvent::ConnectionBound { id, peer, path });
        }
    }

    /// A peer that cannot be reached is left alone for a while.
    pub(super) fn connection_failed(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        error: AllocateError,
    ) {
        self.drop_connection(peer);
        if error == AllocateError::Rejected(StatusCode::CONNECTION_TIMEOUT) {
            self.connections.0.insert(peer, Stage::Resting);
            self.agenda.set(Want::Connection(peer), now + CONNECT_PAUSE);
        }
        self.events
            .push_back(ClientEvent::ConnectionFailed(peer, error));
    }

    /// Time is up: for a connection that waits, or for a rest.
    pub(super) fn connection_due(&mut self, now: Instant, peer: SocketAddr) {
        match self.connections.0.get(&peer) {
            Some(Stage::Resting) => {
                self.connections.0.remove(&peer);
            }
            Some(Stage::Waiting(_)) => {
                self.connection_failed(now, peer, AllocateError::Timeout);
            }
            _ => {}
        }
    }
}

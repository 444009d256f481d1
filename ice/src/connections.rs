//! TCP connections with the peer: which there are, and what they are for (RFC 6544 §7, §11).

use alloc::collections::{BTreeMap, VecDeque};
use core::net::{IpAddr, SocketAddr};

use floe_sansio::{FiveTuple, Instant};
use floe_stun::Framing;

use crate::event::Event;
use crate::gatherer::StreamId;
use crate::tcp::ACTIVE_PORT;

/// One connection, open or being opened.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Its 5-tuple; while it is being opened, with the port of an active candidate.
    pub(crate) path: FiveTuple,
    /// The local candidate that it was opened from, or accepted at.
    pub(crate) local: u32,
    pub(crate) component: usize,
    /// Whether this side opens it.
    pub(crate) opens: bool,
    pub(crate) stage: Stage,
    /// When it was wanted or accepted.
    pub(crate) since: Instant,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Opening,
    Open,
    /// A frame has come, and it was a STUN message.
    Heard,
    /// An authentic message of the peer has come.
    Proven,
}

impl Connection {
    pub(crate) fn is_open(&self) -> bool {
        self.stage >= Stage::Open
    }

    /// Whether somebody has opened it who may be anybody.
    pub(crate) fn is_unproven(&self) -> bool {
        !self.opens && self.stage < Stage::Proven
    }
}

/// All connections of one agent. What they cost is bounded by [`Limits`](crate::Limits).
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    by_id: BTreeMap<StreamId, Connection>,
    by_path: BTreeMap<FiveTuple, StreamId>,
    named: u32,
    events: VecDeque<Event>,
}

impl Connections {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamId, &Connection)> {
        self.by_id.iter().map(|(&id, connection)| (id, connection))
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Connection> {
        self.by_id.get(&id)
    }

    /// The connection of a path, open or being opened.
    pub(crate) fn on(&self, path: FiveTuple) -> Option<&Connection> {
        self.by_id.get(self.by_path.get(&path)?)
    }

    pub(crate) fn id_on(&self, path: FiveTuple) -> Option<StreamId> {
        self.by_path.get(&path).copied()
    }

    pub(crate) fn on_mut(&mut self, path: FiveTuple) -> Option<&mut Connection> {
        self.by_id.get_mut(self.by_path.get(&path)?)
    }

    /// The open connection of a path.
    pub(crate) fn open_on(&self, path: FiveTuple) -> Option<&Connection> {
        self.on(path).filter(|connection| connection.is_open())
    }

    /// How many are being opened to this address.
    pub(crate) fn attempts(&self, to: IpAddr) -> usize {
        let connections = self.by_id.values();
        connections
            .filter(|it| !it.is_open() && it.path.remote.ip() == to)
            .count()
    }

    /// How many were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.by_id.values().filter(|it| !it.opens).count()
    }

    /// Of those that were accepted and have proven nothing the eldest.
    pub(crate) fn eldest_unproven(&self) -> Option<(StreamId, Instant)> {
        let unproven = self.iter().filter(|(_, it)| it.is_unproven());
        unproven
            .map(|(id, it)| (id, it.since))
            .min_by_key(|&(id, since)| (since, id))
    }

    /// Keeps one more; its name.
    pub(crate) fn insert(&mut self, connection: Connection) -> StreamId {
        let id = StreamId::of_peer(self.named);
        self.named = self.named.wrapping_add(1);
        self.by_path.insert(connection.path, id);
        self.by_id.insert(id, connection);
        id
    }

    /// Asks the owner to open one to a peer.
    pub(crate) fn want(&mut self, connection: Connection) {
        let FiveTuple {
            transport,
            local,
            remote,
        } = connection.path;
        let id = self.insert(connection);
        self.events.push_back(Event::StreamWanted {
            id,
            transport,
            framing: Framing::Rfc4571,
            local: local.ip(),
            remote,
        });
    }

    /// One that was wanted is open, from this port.
    pub(crate) fn opened(&mut self, id: StreamId, local: SocketAddr) {
        if let Some(connection) = self.by_id.get_mut(&id) {
            self.by_path.remove(&connection.path);
            connection.path.local = local;
            connection.stage = Stage::Open;
            self.by_path.insert(connection.path, id);
        }
    }

    /// One is gone.
    pub(crate) fn remove(&mut self, id: StreamId) -> Option<Connection> {
        let connection = self.by_id.remove(&id)?;
        self.by_path.remove(&connection.path);
        Some(connection)
    }

    /// One is not wanted any more.
    pub(crate) fn close(&mut self, id: StreamId) -> Option<Connection> {
        let connection = self.remove(id)?;
        self.events.push_back(Event::StreamUnwanted(id));
        Some(connection)
    }

    pub(crate) fn close_all(&mut self) {
        while let Some((&id, _)) = self.by_id.first_key_value() {
            self.close(id);
        }
    }

    /// What the owner has to know of them.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// The path of a connection that is still to be opened, or to be opened again.
pub(crate) fn unopened(path: FiveTuple) -> FiveTuple {
    FiveTuple {
        local: SocketAddr::new(path.local.ip(), ACTIVE_PORT),
        ..path
    }
}

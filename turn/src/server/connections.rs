//! TCP connections between relayed addresses and peers (RFC 6062). The bytes never come here: the
//! driver joins the connections.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use floe_sansio::{DropReason, FiveTuple, Instant, Transmit};
use floe_stun::{
    Builder, Class, ConnectionId, Message, MessageType, Method, Seal, TransactionId, XorPeerAddress,
};

use super::config::{Limits, ServerEvent};
use super::permissions::Permissions;
use super::refuse::RefuseReason;
use super::relays::Owner;
use super::requests::{Caller, Refused, Success};
use super::{Server, Slot};

/// How long a connection may take to come about, and how long one waits for its `ConnectionBind`
/// (RFC 6062 §5.2, §5.3).
const PATIENCE: Duration = Duration::from_secs(30);

/// A Connect request that is answered later.
#[derive(Clone, Debug)]
struct Waiting {
    request: Bytes,
    seal: Seal,
}

#[derive(Clone, Debug)]
enum State {
    /// It is being made.
    Connecting(Option<Waiting>),
    /// There is no `ConnectionBind` yet.
    Pending,
    /// It is joined to the connection of a client.
    Joined,
}

#[derive(Clone, Debug)]
struct Connection {
    slot: Slot,
    peer: SocketAddr,
    /// When patience ends, if anybody waits.
    due: Option<Instant>,
    state: State,
}

/// What one TCP allocation has.
#[derive(Clone, Debug, Default)]
struct Links {
    permissions: Permissions,
    by_peer: BTreeMap<SocketAddr, u32>,
}

/// The connections and permissions of all TCP allocations.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    by_id: BTreeMap<u32, Connection>,
    by_slot: BTreeMap<Slot, Links>,
    due: BTreeSet<(Instant, u32)>,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many permissions there are.
    pub(super) fn held(&self) -> usize {
        self.by_slot.values().map(|it| it.permissions.len()).sum()
    }

    /// Whose the connection is.
    #[cfg(feature = "third-party")]
    pub(super) fn slot(&self, id: u32) -> Option<Slot> {
        self.by_id.get(&id).map(|it| it.slot)
    }

    /// When the next one has taken too long.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }

    /// Keeps the request until it can be answered.
    pub(super) fn wait(&mut self, id: u32, request: &Message<'_>, seal: Seal) {
        if let Some(Connection {
            state: State::Connecting(waiting),
            ..
        }) = self.by_id.get_mut(&id)
        {
            *waiting = Some(Waiting {
                request: Bytes::copy_from_slice(request.as_bytes()),
                seal,
            });
        }
    }

    /// Whether there can be one more, to this peer.
    fn check(&self, limits: &Limits, slot: Slot, peer: SocketAddr) -> Result<(), RefuseReason> {
        let links = self.by_slot.get(&slot);
        if links.is_some_and(|it| it.by_peer.contains_key(&peer)) {
            return Err(RefuseReason::Connected);
        }
        let count = links.map_or(0, |it| it.by_peer.len());
        if count >= limits.connections || self.by_id.len() >= limits.all_connections {
            return Err(RefuseReason::Connections);
        }
        Ok(())
    }

    fn add(&mut self, id: u32, slot: Slot, peer: SocketAddr, due: Instant, state: State) {
        let links = self.by_slot.entry(slot).or_default();
        links.by_peer.insert(peer, id);
        self.due.insert((due, id));
        let connection = Connection {
            slot,
            peer,
            due: Some(due),
            state,
        };
        self.by_id.insert(id, connection);
    }

    fn set_due(&mut self, id: u32, due: Option<Instant>) {
        if let Some(connection) = self.by_id.get_mut(&id) {
            let former = core::mem::replace(&mut connection.due, due);
            if let Some(at) = former {
                self.due.remove(&(at, id));
            }
            if let Some(at) = due {
                self.due.insert((at, id));
            }
        }
    }

    fn remove(&mut self, id: u32) -> Option<Connection> {
        self.set_due(id, None);
        let connection = self.by_id.remove(&id)?;
        if let Some(links) = self.by_slot.get_mut(&connection.slot) {
            links.by_peer.remove(&connection.peer);
        }
        Some(connection)
    }
}

impl Server {
    /// What came of [`ServerEvent::Connect`]. A connection that the server has given up meanwhile is not
    /// known any more, as [`ServerEvent::Disconnect`] has said.
    pub fn connected(&mut self, now: Instant, connection: u32, succeeded: bool) {
        let now = self.clock.advance(now);
        let Some(Connection {
            state: State::Connecting(_),
            ..
        }) = self.connections.by_id.get(&connection)
        else {
            return;
        };
        if !succeeded {
            self.give_up(connection);
            return;
        }
        self.connections.set_due(connection, Some(now + PATIENCE));
        if let Some(known) = self.connections.by_id.get_mut(&connection) {
            let slot = known.slot;
            let former = core::mem::replace(&mut known.state, State::Pending);
            let client = self.allocations.get(slot).map(|it| it.client);
            if let (State::Connecting(Some(waiting)), Some(client)) = (former, client) {
                self.answer_connect(client, &waiting, Ok(Success::Connected(connection)));
            }
        }
    }

    /// A peer has opened a TCP connection to a relayed address: its id, or `None` if it is to be closed at
    /// once (RFC 6062 §5.3). What arrives on it stays there until [`ServerEvent::Splice`].
    pub fn accept(&mut self, now: Instant, relayed: SocketAddr, peer: SocketAddr) -> Option<u32> {
        let now = self.clock.advance(now);
        match self.check_peer(now, relayed, peer) {
            Ok((slot, client)) => {
                let id = self.new_connection(now, slot, peer, State::Pending);
                let mut buffer = [0; 128];
                let kind = MessageType::new(Class::Indication, Method::CONNECTION_ATTEMPT);
                let transaction = TransactionId::random(&mut self.entropy);
                let builder = Builder::new(&mut buffer, kind, transaction)
                    .with(&XorPeerAddress(peer))
                    .with(&ConnectionId(id));
                if let Ok(payload) = builder.finish_bytes() {
                    let path = client;
                    self.transmits.push_back(Transmit { path, payload });
                }
                Some(id)
            }
            Err(reason) => {
                self.stats.count_drop(reason);
                None
            }
        }
    }

    /// A connection to a peer has ended, or that of the client which it was joined to.
    pub fn disconnected(&mut self, connection: u32) {
        match self.connections.by_id.get(&connection) {
            Some(known) if matches!(known.state, State::Connecting(_)) => self.give_up(connection),
            _ => drop(self.connections.remove(connection)),
        }
    }

    /// The permissions of the allocation in `slot`.
    pub(super) fn permissions(&mut self, slot: Slot) -> Option<&mut Permissions> {
        let allocation = self.allocations.get_mut(slot)?;
        if allocation.is_tcp {
            let links = self.connections.by_slot.entry(slot).or_default();
            return Some(&mut links.permissions);
        }
        Some(&mut allocation.permissions)
    }

    /// RFC 6062 §5.2.
    pub(super) fn connect(
        &mut self,
        now: Instant,
        caller: Caller,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        let slot = self.owned(now, caller)?;
        let allocation = (self.allocations.get(slot)).ok_or(RefuseReason::Internal)?;
        if !allocation.is_tcp {
            return Err(RefuseReason::Mismatch.into());
        }
        let XorPeerAddress(peer) = message.get()?.ok_or(RefuseReason::BadRequest)?;
        let slot = self.part(now, slot, peer.is_ipv4())?;
        self.may_permit(peer.ip())?;
        self.may_reach(slot, peer)?;
        self.connections.check(&self.config.limits, slot, peer)?;
        let connection = self.new_connection(now, slot, peer, State::Connecting(None));
        let relayed = (self.allocations.get(slot)).map(|it| self.relays.address(it.relayed));
        self.events.push_back(ServerEvent::Connect {
            connection,
            relayed: relayed.ok_or(RefuseReason::Internal)?,
            peer,
        });
        Ok(Success::Waits(connection))
    }

    /// RFC 6062 §5.4.
    pub(super) fn connection_bind(
        &mut self,
        now: Instant,
        caller: Caller,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        let client = caller.path;
        // The control connection stays what it is.
        if !client.transport.is_reliable() || self.of_client(now, &client).is_some() {
            return Err(RefuseReason::BadRequest.into());
        }
        let ConnectionId(connection) = message.get()?.ok_or(RefuseReason::BadRequest)?;
        let known = (self.connections.by_id.get_mut(&connection))
            .filter(|it| matches!(it.state, State::Pending) && it.due.is_some_and(|due| now < due))
            .ok_or(RefuseReason::BadRequest)?;
        let allocation = (self.allocations.get(known.slot))
            .filter(|it| now < it.expires)
            .ok_or(RefuseReason::BadRequest)?;
        if allocation.user != caller.user {
            return Err(RefuseReason::WrongUser.into());
        }
        known.state = State::Joined;
        self.connections.set_due(connection, None);
        self.events
            .push_back(ServerEvent::Splice { connection, client });
        Ok(Success::Done)
    }

    /// Ends the next connection that has taken too long; whether there was one.
    pub(super) fn expire_connection(&mut self, now: Instant) -> bool {
        let Some(&(at, id)) = self.connections.due.first() else {
            return false;
        };
        if now < at {
            return false;
        }
        self.give_up(id);
        self.events
            .push_back(ServerEvent::Disconnect { connection: id });
        true
    }

    /// Ends the connections of an allocation that has ended.
    pub(super) fn disconnect_all(&mut self, slot: Slot, client: FiveTuple) {
        let Some(links) = self.connections.by_slot.remove(&slot) else {
            return;
        };
        for connection in links.by_peer.into_values() {
            if let Some(Connection {
                state: State::Connecting(Some(waiting)),
                ..
            }) = self.connections.remove(connection)
            {
                let outcome = Err(RefuseReason::NotConnected.into());
                self.answer_connect(client, &waiting, outcome);
            }
            self.events
                .push_back(ServerEvent::Disconnect { connection });
        }
    }

    /// Forgets a connection, and says so to who waits for it.
    fn give_up(&mut self, id: u32) {
        let Some(connection) = self.connections.remove(id) else {
            return;
        };
        let client = self.allocations.get(connection.slot).map(|it| it.client);
        if let (State::Connecting(Some(waiting)), Some(client)) = (connection.state, client) {
            self.answer_connect(client, &waiting, Err(RefuseReason::NotConnected.into()));
        }
    }

    fn answer_connect(
        &mut self,
        client: FiveTuple,
        waiting: &Waiting,
        outcome: Result<Success, Refused>,
    ) {
        if let Ok(request) = Message::parse(&waiting.request) {
            self.respond(client, &request, &waiting.seal, outcome);
        }
    }

    fn new_connection(&mut self, now: Instant, slot: Slot, peer: SocketAddr, state: State) -> u32 {
        // There are far fewer than half of all ids.
        let id = loop {
            let id = self.entropy.u32();
            if !self.connections.by_id.contains_key(&id) {
                break id;
            }
        };
        (self.connections).add(id, slot, peer, now + PATIENCE, state);
        id
    }

    /// Whose connection from a peer it is, if it is welcome.
    fn check_peer(
        &self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
    ) -> Result<(Slot, FiveTuple), DropReason> {
        let slot = match self.relays.owner(&relayed) {
            Owner::Slot(slot) => slot,
            Owner::Free => return Err(DropReason::NoAllocation),
            Owner::None => return Err(DropReason::UnknownLocal),
        };
        let allocation = (self.allocations.get(slot))
            .filter(|it| it.is_tcp && now < it.expires)
            .ok_or(DropReason::NoAllocation)?;
        let links = self.connections.by_slot.get(&slot);
        if !links.is_some_and(|it| it.permissions.permits(now, peer.ip())) {
            return Err(DropReason::NoPermission);
        }
        let limits = &self.config.limits;
        let room = self.connections.check(limits, slot, peer);
        room.map_err(|_| DropReason::Capacity)?;
        Ok((slot, allocation.client))
    }
}

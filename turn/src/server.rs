//! The server: allocations of many clients, and the data path between them and their peers.

mod allocation;
mod config;
mod ports;
mod requests;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::{
    Clock, Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Route, Transmit, Transport,
    impl_machine,
};
use floe_stun::{
    Class, LongTermConfig, LongTermServer, Message, Method, ParseErrorKind, Protocol, StaticUsers,
    TransactionId,
};

use crate::agenda::Agenda;
use crate::frame::{self, RFC5766_CHANNELS, within};
use crate::policy::canonical;
use allocation::Allocation;
pub use config::{CloseCause, Limits, ServerConfig, ServerEvent, Stats, Traffic};
use ports::{Ports, Slot};

/// Responses that wait for `poll_transmit` at most; a driver drains after every call, so only a
/// broken one ever gets there.
pub const MAX_PENDING: usize = 64;

/// Expired allocations that are cleared away in one call; the others follow a millisecond later.
const REAP_BATCH: usize = 64;
const REAP_PAUSE: Duration = Duration::from_millis(1);

#[derive(Clone)]
struct User {
    name: Arc<str>,
    allocations: usize,
}

/// A TURN server with any number of listeners and clients.
///
/// All datagrams of the host come in through [`Self::handle_input`], those from clients with a
/// listener as local address, those from peers with a relayed address. It binds no sockets: what it
/// needs, it says by [`ServerEvent`]. Relayed datagrams are framed in the caller's buffer
/// ([`floe_sansio::HEADROOM`] and [`floe_sansio::TAILROOM`] are needed) and come back as
/// [`Input::Forward`]. A route to another relayed address of this server may go through the network,
/// or straight back into [`Self::handle_input`].
///
/// Nothing is kept for a source that has not authenticated itself. Binding requests are not its
/// business: it drops them as [`DropReason::Unsupported`], uncounted, and [`floe_stun::Server`] may
/// answer them on the same listener.
///
/// See the [crate documentation](crate) for client and server together.
#[derive(Clone)]
pub struct Server {
    config: ServerConfig,
    clock: Clock,
    entropy: Entropy,
    auth: LongTermServer,
    users: Vec<User>,
    keys: StaticUsers,
    relays: Vec<Ports>,
    allocations: Vec<Option<Allocation>>,
    vacant: Vec<Slot>,
    by_client: BTreeMap<FiveTuple, Slot>,
    /// Allocations of each client IP address.
    per_address: BTreeMap<IpAddr, usize>,
    /// When each allocation expires.
    expiry: Agenda<Slot>,
    /// Clearing away rests until then.
    paused_until: Instant,
    transmits: VecDeque<Transmit>,
    events: VecDeque<ServerEvent>,
    stats: Stats,
}

impl Server {
    /// A server without allocations. The seed is the secret behind nonces and ports.
    pub fn new(mut config: ServerConfig, seed: [u8; 32], now: Instant) -> Self {
        let channels = &config.channels;
        let first = *channels.start().max(RFC5766_CHANNELS.start());
        config.channels = first..=*channels.end().min(RFC5766_CHANNELS.end());
        let mut entropy = Entropy::new(seed);
        let auth = {
            let mut long_term = LongTermConfig::new(&config.realm);
            long_term.nonce_lifetime = config.nonce_lifetime;
            long_term.anonymity = true;
            LongTermServer::new(&long_term, entropy.seed(), now)
        };
        let credentials = core::mem::take(&mut config.users);
        let keys = StaticUsers::new(&config.realm, &credentials);
        let users = (credentials.iter())
            .map(|credentials| User {
                name: credentials.username.as_str().into(),
                allocations: 0,
            })
            .collect();
        let relays = (config.relay_ips.iter())
            .map(|&ip| {
                let is_taken = |port| is_listener(&config.listeners, SocketAddr::new(ip, port));
                Ports::new(ip, config.ports.clone(), is_taken)
            })
            .collect();
        Self {
            config,
            clock: Clock::new(now),
            entropy,
            auth,
            users,
            keys,
            relays,
            allocations: Vec::new(),
            vacant: Vec::new(),
            by_client: BTreeMap::new(),
            per_address: BTreeMap::new(),
            expiry: Agenda::new(),
            paused_until: now,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// How many allocations there are, with those that expired and are not yet cleared away.
    pub fn allocations(&self) -> usize {
        self.by_client.len()
    }

    /// How many permissions and channels all allocations hold. Costs a walk over the allocations.
    pub fn held(&self) -> usize {
        self.allocations
            .iter()
            .flatten()
            .map(Allocation::held)
            .sum()
    }

    /// How many relayed ports are free.
    pub fn free_ports(&self) -> usize {
        self.relays.iter().map(Ports::free_count).sum()
    }

    /// What it has done so far.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Ends the allocation of this relayed address, for instance because its socket could not be
    /// bound; [`ServerEvent::RelayClosed`] follows. `false` if there is none.
    pub fn close(&mut self, relayed: SocketAddr) -> bool {
        let owner = self
            .relay(relayed.ip())
            .and_then(|ports| ports.owner(relayed.port()));
        if let Some(slot) = owner {
            self.remove(slot, CloseCause::Closed);
        }
        owner.is_some()
    }

    /// One datagram arrived, from a client or from a peer.
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let now = self.clock.advance(now);
        let bytes = datagram.range().len();
        let local = datagram.path.local;
        let result = if is_listener(&self.config.listeners, local) {
            self.client_input(now, &datagram)
        } else {
            self.peer_input(now, datagram, bytes)
        };
        match result {
            Ok(input) => input,
            Err(reason) => {
                self.stats.count_drop(reason);
                Input::Dropped(reason)
            }
        }
    }

    /// The clock reached [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if now >= self.paused_until && self.reap(now) {
            self.paused_until = now + REAP_PAUSE;
        }
    }

    /// The next response.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.expiry.next().map(|at| at.max(self.paused_until))
    }

    fn client_input(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<Input, DropReason> {
        match Protocol::of(datagram.payload()) {
            Protocol::Channel => self.channel_data(now, datagram),
            Protocol::Stun => {
                let message =
                    Message::parse(datagram.payload()).map_err(|error| match error.kind {
                        ParseErrorKind::TooShort
                        | ParseErrorKind::TopBits
                        | ParseErrorKind::Cookie => DropReason::NotStun,
                        _ => DropReason::Malformed,
                    })?;
                match (message.class(), message.method()) {
                    // Not a fault, and not counted as one.
                    (_, Method::BINDING) => Ok(Input::Dropped(DropReason::Unsupported)),
                    (
                        Class::Request,
                        Method::ALLOCATE
                        | Method::REFRESH
                        | Method::CREATE_PERMISSION
                        | Method::CHANNEL_BIND,
                    ) => self.request(now, datagram.path, &message),
                    (Class::Indication, Method::SEND) => self.send(now, datagram, &message),
                    _ => Err(DropReason::Unsupported),
                }
            }
            // Beyond what RFC 7983 leaves to TURN, if that is wanted.
            _ if self.is_old_channel(datagram.payload()) => self.channel_data(now, datagram),
            _ => Err(DropReason::NotStun),
        }
    }

    /// Whether a datagram is `ChannelData` of a client of RFC 5766, and such clients are served.
    fn is_old_channel(&self, datagram: &[u8]) -> bool {
        datagram
            .first_chunk()
            .is_some_and(|&channel| self.config.channels.contains(&u16::from_be_bytes(channel)))
    }

    /// `ChannelData` from a client (RFC 8656 §12.6).
    fn channel_data(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<Input, DropReason> {
        let (number, data) = frame::parse_channel_data(datagram.payload(), &self.config.channels)
            .ok_or(DropReason::Malformed)?;
        let (slot, allocation) = self.of_client(now, datagram.path)?;
        let peer = allocation.peer(now, number).ok_or(DropReason::NoChannel)?;
        if self.config.strict_permissions && !allocation.permits(now, peer.ip()) {
            return Err(DropReason::NoPermission);
        }
        let path = FiveTuple::udp(allocation.relayed, peer);
        self.forward_to_peer(slot, path, within(&datagram.range(), &data))
    }

    /// A Send indication from a client (RFC 8656 §11.2).
    fn send(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
        message: &Message<'_>,
    ) -> Result<Input, DropReason> {
        let (slot, allocation) = self.of_client(now, datagram.path)?;
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Err(DropReason::Unauthenticated);
        }
        let indication = frame::parse_indication(message).ok_or(DropReason::Malformed)?;
        let data = indication.data.ok_or(DropReason::Malformed)?;
        let peer = indication.peer;
        if !allocation.permits(now, peer.ip()) {
            return Err(DropReason::NoPermission);
        }
        let path = FiveTuple::udp(allocation.relayed, peer);
        self.forward_to_peer(slot, path, within(&datagram.range(), &data))
    }

    fn forward_to_peer(
        &mut self,
        slot: Slot,
        path: FiveTuple,
        data: core::ops::Range<usize>,
    ) -> Result<Input, DropReason> {
        if !self.may_reach(slot, path.remote) {
            return Err(DropReason::Forbidden);
        }
        self.stats.to_peers.add(data.len());
        Ok(Input::Forward(Route::new(path, data)))
    }

    /// A datagram from a peer (RFC 8656 §11.3).
    fn peer_input(
        &mut self,
        now: Instant,
        mut datagram: Datagram<'_>,
        bytes: usize,
    ) -> Result<Input, DropReason> {
        let FiveTuple {
            transport,
            local,
            remote,
        } = datagram.path;
        let ports = self.relay(local.ip()).ok_or(DropReason::UnknownLocal)?;
        if transport != Transport::Udp || !ports.covers(local.port()) {
            return Err(DropReason::UnknownLocal);
        }
        let slot = ports.owner(local.port()).ok_or(DropReason::NoAllocation)?;
        let allocation = self.live(now, slot).ok_or(DropReason::NoAllocation)?;
        let peer = SocketAddr::new(remote.ip(), remote.port());
        if peer.port() == 0 {
            return Err(DropReason::Forbidden);
        }
        if !allocation.permits(now, peer.ip()) {
            return Err(DropReason::NoPermission);
        }
        let client = allocation.client;
        let range = datagram.range();
        let framed = match allocation.channel_to(now, peer) {
            Some(number) => {
                frame::channel_data(datagram.buffer_mut(), range, number, client.transport)
            }
            None => frame::indication(datagram.buffer_mut(), range, Method::DATA, peer, || {
                TransactionId::random(&mut self.entropy)
            }),
        };
        let range = framed.map_err(|_| DropReason::NoRoom)?;
        self.stats.to_clients.add(bytes);
        Ok(Input::Forward(Route::new(client, range)))
    }

    /// The living allocation on a client's 5-tuple.
    fn of_client(&self, now: Instant, path: FiveTuple) -> Result<(Slot, &Allocation), DropReason> {
        let slot = *self.by_client.get(&path).ok_or(DropReason::NoAllocation)?;
        let allocation = self.live(now, slot).ok_or(DropReason::NoAllocation)?;
        Ok((slot, allocation))
    }

    fn live(&self, now: Instant, slot: Slot) -> Option<&Allocation> {
        let allocation = self.allocations.get(slot as usize)?.as_ref()?;
        (now < allocation.expires).then_some(allocation)
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Allocation> {
        self.allocations.get_mut(slot as usize)?.as_mut()
    }

    /// The ports of one of our relay addresses.
    fn relay(&self, ip: IpAddr) -> Option<&Ports> {
        self.relays.iter().find(|ports| ports.ip == ip)
    }

    /// Whether the allocation in `slot` may send to `peer`, whose address the policy permits. Of our
    /// own ports those of other allocations are open, and no others.
    fn may_reach(&self, slot: Slot, peer: SocketAddr) -> bool {
        let peer = SocketAddr::new(canonical(peer.ip()), peer.port());
        if peer.port() == 0 || is_listener(&self.config.listeners, peer) {
            return false;
        }
        match self.relay(peer.ip()) {
            Some(ports) => ports.owner(peer.port()).is_some_and(|owner| owner != slot),
            None => true,
        }
    }

    /// Whether a client may have a permission for `ip`.
    fn may_permit(&self, ip: IpAddr) -> bool {
        let ip = canonical(ip);
        let is_ours = || self.config.listeners.iter().any(|own| own.ip() == ip);
        self.relay(ip).is_some() || (!is_ours() && self.config.peers.permits(ip))
    }

    /// Clears away expired allocations; whether there may be more of them.
    fn reap(&mut self, now: Instant) -> bool {
        for _ in 0..REAP_BATCH {
            match self.expiry.expire(now) {
                Some(slot) => self.remove(slot, CloseCause::Expired),
                None => return false,
            }
        }
        true
    }

    /// Ends an allocation and frees all it holds.
    fn remove(&mut self, slot: Slot, cause: CloseCause) {
        let place = self.allocations.get_mut(slot as usize);
        let Some(allocation) = place.and_then(Option::take) else {
            return;
        };
        let Allocation {
            client, relayed, ..
        } = allocation;
        self.vacant.push(slot);
        self.expiry.stop(slot);
        self.by_client.remove(&client);
        if let Some(ports) = self.relays.iter_mut().find(|it| it.ip == relayed.ip()) {
            ports.give_back(relayed.port());
        }
        if let Some(user) = self.users.get_mut(allocation.user) {
            user.allocations -= 1;
        }
        if let Some(count) = self.per_address.get_mut(&client.remote.ip()) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&client.remote.ip());
            }
        }
        self.events.push_back(ServerEvent::RelayClosed {
            relayed,
            client,
            cause,
        });
    }
}

/// Whether `address` is one of `listeners`.
fn is_listener(listeners: &[SocketAddr], address: SocketAddr) -> bool {
    listeners.iter().any(|own| {
        own.port() == address.port()
            && (own.ip() == address.ip()
                || own.ip().is_unspecified() && own.is_ipv4() == address.is_ipv4())
    })
}

/// Never prints users or keys.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.config.listeners)
            .field("realm", &self.config.realm)
            .field("users", &self.users.len())
            .field("allocations", &self.by_client.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl_machine!(Server, ServerEvent);

#[cfg(test)]
mod tests {
    use super::*;
    use floe_stun::{
        Builder, Credentials, LongTermClient, MessageType, Nonce, Realm, RequestedTransport,
    };

    /// Allocations that end leave nothing behind, not even their places.
    #[test]
    fn places_are_used_again() {
        let listener: SocketAddr = "192.0.2.1:3478".parse().unwrap();
        let config = ServerConfig::new(alloc::vec![listener], alloc::vec![listener.ip()], "r")
            .with_user("u", "p");
        let mut server = Server::new(config, [1; 32], Instant::ZERO);
        let path = FiveTuple::udp(listener, "198.51.100.5:4000".parse().unwrap());
        let mut auth = LongTermClient::new(Credentials::new("u", "p"));
        for round in 0..50u8 {
            let mut buffer = [0; 256];
            let kind = MessageType::new(Class::Request, Method::ALLOCATE);
            let builder = Builder::new(&mut buffer, kind, TransactionId([round; 12]))
                .with(&RequestedTransport::UDP);
            let len = auth.authenticate(builder).finish().unwrap();
            let datagram = Datagram::new(path, &mut buffer, 0..len);
            assert_eq!(server.handle_input(Instant::ZERO, datagram), Input::Handled);
            let answer = server.poll_transmit().unwrap().payload;
            let answer = Message::parse(&answer).unwrap();
            if round == 0 {
                assert!(answer.get::<Realm<'_>>().unwrap().is_some());
                assert!(answer.get::<Nonce<'_>>().unwrap().is_some());
                auth.challenge(&answer, false).unwrap();
                continue;
            }
            assert_eq!(answer.class(), Class::Success);
            let relayed = server.allocations[0].as_ref().unwrap().relayed;
            assert!(server.close(relayed));
        }
        assert_eq!(server.allocations.len(), 1);
        assert!(server.by_client.is_empty() && server.per_address.is_empty());
    }
}

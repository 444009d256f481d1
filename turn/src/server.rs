//! The server: allocations of many clients, and the data path between them and their peers.

mod allocate;
mod allocation;
mod channels;
mod config;
mod connections;
mod data;
mod deadlines;
mod icmp;
mod index;
mod meter;
mod mobility;
mod permissions;
mod quotas;
mod refuse;
mod relays;
mod requests;
mod reservations;
mod slab;
mod stats;
#[cfg(feature = "third-party")]
mod tokens;
mod users;

use alloc::collections::VecDeque;
use core::fmt;
use core::net::{IpAddr, SocketAddr, SocketAddrV4};
use core::time::Duration;

use floe_sansio::{Clock, Datagram, Entropy, FiveTuple, Input, Instant, Transmit, impl_machine};
use floe_stun::{Answers, LongTermConfig, LongTermServer, Parking};

use crate::frame::RFC5766_CHANNELS;
use crate::policy::canonical;
use allocation::{ALONE, Allocation};
pub use config::{CloseCause, Limits, ServerConfig, ServerEvent};
use connections::Connections;
use deadlines::Deadlines;
use index::Index;
use meter::Pace;
pub use meter::TrafficBudget;
use mobility::Mobility;
use quotas::Quotas;
pub use refuse::RefuseReason;
use relays::Relays;
use reservations::Reservations;
use slab::{Slab, Slot};
pub use stats::{Stats, Traffic};
#[cfg(feature = "third-party")]
use tokens::Tokens;
#[cfg(feature = "third-party")]
pub use tokens::{ThirdParty, TokenKey};
use users::Directory;
pub use users::UserBase;

/// Responses that wait for `poll_transmit` at most; a driver drains after every call, so only a
/// broken one ever gets there.
pub const MAX_PENDING: usize = 64;

/// How long a nonce is good at most (RFC 8656 §5).
const NONCE_LIFETIME: Duration = Duration::from_secs(3600);

/// Expired allocations that are cleared away in one call; the others follow a millisecond later.
const REAP_BATCH: usize = 64;
const REAP_PAUSE: Duration = Duration::from_millis(1);

/// A TURN server with any number of listeners and clients.
///
/// All datagrams of the host come in through [`Self::handle_input`], those from clients with a
/// listener as local address, those from peers with a relayed address. It binds no sockets: what it
/// needs, it says by [`ServerEvent`]. Relayed datagrams are framed in the caller's buffer
/// ([`floe_sansio::HEADROOM`] and [`floe_sansio::TAILROOM`] are needed) and come back as
/// [`Input::Forward`]. What goes from one relayed address to another of the same server never
/// leaves it: it comes back as a route to the other client.
///
/// Nothing is kept for a source that has not authenticated itself. Binding requests are not its
/// business: it drops them as [`DropReason::Unsupported`](floe_sansio::DropReason::Unsupported),
/// uncounted, and [`floe_stun::Server`] may answer them on the same listener.
///
/// See the [crate documentation](crate) for client and server together.
#[derive(Clone)]
pub struct Server {
    config: ServerConfig,
    clock: Clock,
    entropy: Entropy,
    auth: LongTermServer,
    users: Directory,
    #[cfg(feature = "third-party")]
    tokens: Option<Tokens>,
    /// Requests whose users are being looked for.
    parking: Parking,
    relays: Relays,
    reservations: Reservations,
    allocations: Slab<Allocation>,
    by_client: Index,
    quotas: Quotas,
    /// What strangers are still answered.
    answers: Option<Answers>,
    /// What clients are still told of ICMP errors.
    icmp: Option<Answers>,
    connections: Connections,
    mobility: Mobility,
    /// What one allocation may relay, if that is bounded.
    pace: Option<Pace>,
    /// When to look whether an allocation has expired: never later than it does.
    deadlines: Deadlines,
    /// Clearing away rests until then.
    paused_until: Instant,
    is_draining: bool,
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
        let secret = entropy.seed();
        let list = core::mem::take(&mut config.users);
        let users = Directory::new(&config.realm, &list, config.user_base.take());
        let auth = {
            let mut long_term = LongTermConfig::new(&config.realm);
            long_term.nonce_lifetime = config.nonce_lifetime.min(NONCE_LIFETIME);
            long_term.anonymity = users.knows_hashes();
            LongTermServer::new(&long_term, secret, now)
        };
        let relays = Relays::new(&config.relay_ips, &config.ports, |address| {
            is_listener(&config.listeners, &address)
        });
        // Not from the stream that transaction ids show pieces of.
        let mut hidden = Entropy::new(secret);
        Self {
            clock: Clock::new(now),
            auth,
            users,
            #[cfg(feature = "third-party")]
            tokens: config.third_party.take().map(|it| Tokens::new(&it)),
            parking: Parking::default(),
            relays,
            reservations: Reservations::default(),
            allocations: Slab::new(),
            by_client: Index::new(&mut hidden),
            entropy,
            quotas: Quotas::default(),
            answers: (config.answers).map(|budget| Answers::new(budget, &mut hidden)),
            icmp: (config.icmp).map(|budget| Answers::new(budget, &mut hidden)),
            connections: Connections::default(),
            mobility: Mobility::new(&mut hidden),
            pace: config.budget.map(Pace::new),
            deadlines: Deadlines::new(),
            paused_until: now,
            is_draining: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            config,
        }
    }

    /// How many allocations there are, of two relayed addresses each or of one, with those that
    /// expired and are not yet cleared away.
    pub fn allocations(&self) -> usize {
        self.by_client.len()
    }

    /// How many permissions and channels all allocations hold. Costs a walk over the allocations.
    pub fn held(&self) -> usize {
        let held: usize = self.allocations.iter().map(Allocation::held).sum();
        held + self.connections.held()
    }

    /// How many relayed ports are free.
    pub fn free_ports(&self) -> usize {
        self.relays.free_count()
    }

    /// How many relayed ports are kept for whoever has their tokens.
    pub fn reserved_ports(&self) -> usize {
        self.reservations.len()
    }

    /// How many TCP connections to peers there are, or are being made.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// What it has done so far.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What the allocation of this relayed address has relayed, to peers and to its client.
    pub fn traffic(&self, relayed: SocketAddr) -> Option<[Traffic; 2]> {
        let slot = self.relays.owner(&relayed).slot()?;
        Some(self.allocations.get(slot)?.traffic)
    }

    /// From now on no allocation is made (508); those that there are live on, and can be refreshed.
    pub const fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Ends what [`Self::drain`] began.
    pub const fn resume(&mut self) {
        self.is_draining = false;
    }

    /// Whether it drains and no allocation is left.
    pub const fn is_drained(&self) -> bool {
        self.is_draining && self.by_client.len() == 0
    }

    /// The driver could not send a datagram that was to be forwarded. It is lost and counted;
    /// nothing else changes.
    pub const fn unsent(&mut self) {
        self.stats.unsent += 1;
    }

    /// Ends the allocation of this relayed address, for instance because its socket could not be
    /// bound; [`ServerEvent::RelayClosed`] follows. `false` if there is none.
    pub fn close(&mut self, relayed: SocketAddr) -> bool {
        let owner = self.relays.owner(&relayed).slot();
        if let Some(slot) = owner {
            self.remove(slot, CloseCause::Closed);
        }
        owner.is_some()
    }

    /// One datagram arrived, from a client or from a peer.
    pub fn handle_input(&mut self, now: Instant, mut datagram: Datagram<'_>) -> Input {
        let now = self.clock.advance(now);
        if is_listener(&self.config.listeners, &datagram.path.local) {
            self.client_input(now, &mut datagram)
        } else {
            self.peer_input(now, &mut datagram)
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
        let allocations = self.deadlines.next().map(|(at, _)| at);
        let all = [
            allocations,
            self.reservations.next(),
            self.connections.next(),
        ];
        let at = all.into_iter().flatten().min()?;
        Some(at.max(self.paused_until))
    }

    /// The living allocation on a client's 5-tuple; of a dual one the first part that lives.
    #[inline]
    fn of_client(&self, now: Instant, path: &FiveTuple) -> Option<(Slot, &Allocation)> {
        let slot = match self.slot_of(path) {
            Some(slot) => slot,
            None => self.mobility.arriving(path)?,
        };
        let allocation = self.allocations.get(slot)?;
        if now < allocation.expires {
            return Some((slot, allocation));
        }
        self.twin(now, allocation)
    }

    /// The other part of a dual allocation, if it lives.
    fn twin(&self, now: Instant, allocation: &Allocation) -> Option<(Slot, &Allocation)> {
        let twin = self.allocations.get(allocation.twin)?;
        (now < twin.expires).then_some((allocation.twin, twin))
    }

    #[inline]
    fn slot_of(&self, path: &FiveTuple) -> Option<Slot> {
        let is_it = |slot| {
            let allocation = self.allocations.get(slot);
            allocation.is_some_and(|it| is_same(&it.client, path))
        };
        self.by_client.get(self.by_client.hash(path), is_it)
    }

    /// Whether the allocation in `slot` may send to `peer`, whose address the policy permits. Of our
    /// own ports those of other allocations are open, and no others.
    fn may_reach(&self, slot: Slot, peer: SocketAddr) -> Result<(), RefuseReason> {
        if self.config.peers.is_protected(peer) {
            return Err(RefuseReason::Protected);
        }
        let ip = canonical(peer.ip());
        let peer = SocketAddr::new(ip, peer.port());
        let is_open = peer.port() != 0
            && !is_listener(&self.config.listeners, &peer)
            && (!self.relays.contains(ip)
                || (self.relays.owner(&peer).slot()).is_some_and(|owner| owner != slot));
        is_open.then_some(()).ok_or(RefuseReason::Forbidden)
    }

    /// Whether a client may have a permission for `ip`.
    fn may_permit(&self, ip: IpAddr) -> Result<(), RefuseReason> {
        let ip = canonical(ip);
        if self.relays.contains(ip) {
            return Ok(());
        }
        if self.config.listeners.iter().any(|own| own.ip() == ip) {
            return Err(RefuseReason::Forbidden);
        }
        Ok(self.config.peers.judge(ip)?)
    }

    /// Clears away expired allocations; whether there may be more of them.
    fn reap_allocations(&mut self, now: Instant) -> bool {
        for _ in 0..REAP_BATCH {
            let Some((_, slot)) = self.deadlines.next().filter(|&(at, _)| at <= now) else {
                return false;
            };
            match self.allocations.get(slot) {
                // It was refreshed.
                Some(allocation) if now < allocation.expires => {
                    self.deadlines.set(slot, allocation.expires);
                }
                _ => self.remove(slot, CloseCause::Expired),
            }
        }
        true
    }

    /// Clears away whatever is over; whether there may be more of it.
    fn reap(&mut self, now: Instant) -> bool {
        let ports = (0..REAP_BATCH).all(|_| self.expire_reservation(now));
        let connections = (0..REAP_BATCH).all(|_| self.expire_connection(now));
        self.reap_allocations(now) | ports | connections
    }

    fn expire_reservation(&mut self, now: Instant) -> bool {
        let place = self.reservations.expire(now);
        if let Some(place) = place {
            self.relays.give_back(place);
        }
        place.is_some()
    }

    /// Ends an allocation and frees all it holds.
    fn remove(&mut self, slot: Slot, cause: CloseCause) {
        self.deadlines.stop(slot);
        let Some(allocation) = self.allocations.remove(slot) else {
            return;
        };
        let client = allocation.client;
        let hash = self.by_client.hash(&client);
        let was_first = self.by_client.get(hash, |it| it == slot).is_some();
        self.by_client.remove(hash, slot);
        if let Some(twin) = self.allocations.get_mut(allocation.twin) {
            twin.twin = ALONE;
            if was_first {
                self.by_client.insert(hash, allocation.twin);
            }
        }
        self.mobility.left(slot, allocation.twin);
        #[cfg(feature = "third-party")]
        if let Some(tokens) = &mut self.tokens {
            tokens.left(slot, allocation.twin);
        }
        self.disconnect_all(slot, client);
        self.quotas.subtract(allocation.user, client.remote.ip());
        self.relays.give_back(allocation.relayed);
        self.events.push_back(ServerEvent::RelayClosed {
            relayed: self.relays.address(allocation.relayed),
            client,
            cause,
        });
    }
}

/// Whether two 5-tuples are one. Those of IPv4 are compared as two numbers.
#[inline]
fn is_same(a: &FiveTuple, b: &FiveTuple) -> bool {
    match (packed(a), packed(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => is_same_ipv6(a, b),
        _ => false,
    }
}

#[inline]
fn packed(path: &FiveTuple) -> Option<(u64, u64)> {
    let (SocketAddr::V4(remote), SocketAddr::V4(local)) = (path.remote, path.local) else {
        return None;
    };
    let pack = |address: SocketAddrV4, rest: u8| {
        let ip = u32::from_ne_bytes(address.ip().octets());
        u64::from(ip) << 32 | u64::from(address.port()) << 8 | u64::from(rest)
    };
    Some((pack(remote, path.transport as u8), pack(local, 0)))
}

#[inline(never)]
fn is_same_ipv6(a: &FiveTuple, b: &FiveTuple) -> bool {
    a == b
}

/// Whether `address` is one of `listeners`.
#[inline]
fn is_listener(listeners: &[SocketAddr], address: &SocketAddr) -> bool {
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
            .field("users", &self.users)
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
        Algorithm, Builder, Class, Credentials, Key, KeyDerivation, LongTermClient, Message,
        MessageType, Method, Nonce, Realm, RequestedTransport, TransactionId, UserAnswer, UserName,
        UserQuery, Users,
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
            let relayed = server.allocations.get(0).unwrap().relayed;
            assert!(server.close(server.relays.address(relayed)));
        }
        assert_eq!(server.allocations.next_slot(), 0);
        assert!(server.by_client.len() == 0 && server.quotas.is_empty());
        assert_eq!(server.poll_timeout(), None);
    }

    /// Of the users that the owner lists, keys are kept: hashes of name, realm and password.
    ///
    /// req: TURN-6-3, TURN-6-4
    #[test]
    fn keys_are_kept_and_no_passwords() {
        let listener: SocketAddr = "192.0.2.1:3478".parse().unwrap();
        let config = ServerConfig::new(alloc::vec![listener], alloc::vec![listener.ip()], "r")
            .with_user("u", "a password");
        let server = Server::new(config, [1; 32], Instant::ZERO);
        assert!(server.config.users.is_empty(), "they have the passwords");
        let Directory::List { keys, .. } = &server.users else {
            panic!("a list");
        };
        for derivation in [KeyDerivation::Md5, KeyDerivation::Sha256] {
            let query = UserQuery {
                now: Instant::ZERO,
                realm: "r",
                name: UserName::Plain("u"),
                derivation,
            };
            let UserAnswer::Known(user) = keys.find(&query) else {
                panic!("the user is there");
            };
            let key = match derivation {
                KeyDerivation::Md5 => Key::long_term("u", "r", "a password"),
                KeyDerivation::Sha256 => Key::long_term_sha256("u", "r", "a password"),
            };
            let mut buffer = [0; 64];
            let kind = MessageType::new(Class::Request, Method::REFRESH);
            let builder = Builder::new(&mut buffer, kind, TransactionId([1; 12]));
            let len = builder.with_integrity(&key).finish().unwrap();
            let message = Message::parse(&buffer[..len]).unwrap();
            assert!(message.verify(&user.key, Algorithm::Sha1));
        }
    }
}

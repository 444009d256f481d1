//! The client: one allocation on one server, its permissions, its channels and its connections.

mod allocation;
mod auth;
mod channels;
mod config;
mod connections;
mod data;
mod history;
mod outcome;
mod relays;
mod requests;
mod responses;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::{
    Clock, Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Timer, Timers, Transmit,
    impl_machine,
};
use floe_stun::{
    AddressFamily, Attribute, Class, Due, Limits, Message, Method, Protocol, TransactionError,
    Transactions, Username,
};

use crate::agenda::Agenda;
use allocation::Asked;
use auth::Auth;
pub use auth::Token;
use channels::Channels;
pub use config::{ClientConfig, PeerTransport, RelayPort};
use connections::Connections;
pub use connections::MAX_CONNECTIONS;
use history::History;
pub use outcome::{AllocateError, ClientEvent, CommandError, Retry, SendError};
use relays::Relays;
pub use requests::MAX_BATCH;
use requests::{Context, Request, Want};

/// Permissions that one client keeps at most.
pub const MAX_PERMISSIONS: usize = 256;

/// Requests for permissions and channels started in one call; the others follow a millisecond later.
const BURST: usize = 16;
const BURST_PAUSE: Duration = Duration::from_millis(1);

/// The deadlines of the allocation itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientTimer {
    Refresh,
    Expire,
    KeepAlive,
}

impl Timer for ClientTimer {
    const ALL: &'static [Self] = &[Self::Refresh, Self::Expire, Self::KeepAlive];

    fn index(self) -> usize {
        self as usize
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    New,
    /// `abandoned`: to be released as soon as it is there.
    Allocating {
        abandoned: bool,
    },
    Allocated {
        relays: Relays,
        mapped: SocketAddr,
    },
    /// `retry`: the owner knows already that there is no allocation, and what may follow.
    Releasing {
        retry: Option<Retry>,
    },
    Ended {
        retry: Retry,
    },
}

/// A permission that is wanted.
#[derive(Clone, Copy, Debug, Default)]
struct Permission {
    /// The server has confirmed it.
    installed: bool,
    /// Server errors in a row.
    failures: u8,
}

/// One allocation on one server, asked for from one local address.
///
/// It authenticates, retransmits, refreshes and takes new nonces by itself. What is relayed it frames
/// in the caller's buffer, without allocation: outgoing by [`Self::encapsulate`], incoming by
/// [`Self::handle_input`], which answers with [`Input::Data`].
///
/// Over TCP and TLS the driver cuts the stream into frames ([`floe_stun::Deframer`]); nothing is
/// retransmitted there. When there is no allocation any more, [`Self::retry`] says what may be done:
/// permissions and channels come back with the next one.
///
/// See the [crate documentation](crate) for client and server together.
#[derive(Clone)]
pub struct Client {
    config: ClientConfig,
    /// The path in use, and another that is heard: where the allocation moves to, or came from.
    path: FiveTuple,
    also: Option<FiveTuple>,
    clock: Clock,
    entropy: Entropy,
    auth: Auth,
    history: History,
    state: State,
    asked: Asked,
    transactions: Transactions<Context>,
    timers: Timers<ClientTimer, 3>,
    /// Nothing has been sent to the server since the last look.
    is_idle: bool,
    refresh_failures: u8,
    /// Permissions asked for, by address.
    permissions: BTreeMap<IpAddr, Permission>,
    channels: Channels,
    connections: Connections,
    /// When permissions and channels are asked for.
    agenda: Agenda<Want>,
    /// The agenda rests until then.
    paused_until: Instant,
    /// Requests that wait for a token, and the challenges they have met.
    parked: Vec<(Request, u8)>,
    ticket: Option<Box<[u8]>>,
    alternate_domain: Option<Box<str>>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Instant) -> Self {
        Self {
            path: config.path,
            also: None,
            auth: Auth::new(&config),
            config,
            clock: Clock::new(now),
            entropy: Entropy::new(seed),
            history: History::default(),
            state: State::New,
            asked: Asked::Any,
            // `BURST` and its pause limit them.
            transactions: Transactions::new(Limits::UNLIMITED),
            timers: Timers::new(),
            is_idle: false,
            refresh_failures: 0,
            permissions: BTreeMap::new(),
            channels: Channels::new(),
            connections: Connections::default(),
            agenda: Agenda::new(),
            paused_until: now,
            parked: Vec::new(),
            ticket: None,
            alternate_domain: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// From the local address to the server.
    pub const fn path(&self) -> FiveTuple {
        self.path
    }

    /// The relayed address, where peers send to; of two the IPv4 one.
    pub const fn relayed(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Allocated { relays, .. } => relays.first(),
            _ => None,
        }
    }

    /// The relayed address of the family of `peer`: what that peer sees.
    pub const fn relayed_for(&self, peer: IpAddr) -> Option<SocketAddr> {
        match &self.state {
            State::Allocated { relays, .. } => relays.facing(peer),
            _ => None,
        }
    }

    /// The local address as the server sees it.
    pub const fn mapped(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated { mapped, .. } => Some(mapped),
            _ => None,
        }
    }

    /// Whether the server relays now.
    pub const fn is_allocated(&self) -> bool {
        matches!(self.state, State::Allocated { .. })
    }

    /// Whether the allocation has failed, was lost, or was released.
    pub const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// What may be done for another allocation; `None` while there is one, or one is under way.
    pub const fn retry(&self) -> Option<Retry> {
        match self.state {
            State::Ended { retry } => Some(retry),
            _ => None,
        }
    }

    /// Whose certificate the server of [`Retry::Elsewhere`] shows, over TLS and DTLS; `None`: the same
    /// as this one's (RFC 8489 §10).
    pub fn alternate_domain(&self) -> Option<&str> {
        self.alternate_domain.as_deref()
    }

    /// The name of the server that wants a token (RFC 7635 §6.1).
    pub fn token_server(&self) -> Option<&str> {
        self.auth.wants_token()
    }

    /// When the first relayed address expires unless a Refresh gets through.
    pub fn expires(&self) -> Option<Instant> {
        self.timers.get(ClientTimer::Expire)
    }

    /// Whether the server has confirmed a permission for `ip`.
    pub fn has_permission(&self, ip: IpAddr) -> bool {
        self.permissions
            .get(&ip)
            .is_some_and(|known| known.installed)
    }

    /// Whether data to `peer` travels as `ChannelData`.
    pub fn has_channel(&self, peer: SocketAddr) -> bool {
        self.bound_channel(plain(peer)).is_some()
    }

    /// Asks for the allocation; also again after a failure that allows it, see [`Self::retry`].
    pub fn allocate(&mut self, now: Instant) -> Result<(), CommandError> {
        let now = self.clock.now().max(now);
        match self.state {
            State::Ended {
                retry: Retry::From(at),
            } if at > now => return Err(CommandError::BackOff),
            State::New
            | State::Ended {
                retry: Retry::From(_),
            } => {}
            _ => return Err(CommandError::Closed),
        }
        self.check(self.config.path.transport)?;
        self.start(now);
        Ok(())
    }

    /// As [`Self::allocate`], on another path: from a fresh local port after 437, over a new
    /// connection, to an alternate server, or from where the host has moved to. What the allocation
    /// before it had, if there was one, is asked for anew; that one is given back, as well as one
    /// request on the old path can.
    pub fn allocate_from(&mut self, now: Instant, path: FiveTuple) -> Result<(), CommandError> {
        let now = self.clock.now().max(now);
        let is_elsewhere = path.remote != self.path.remote;
        let is_fresh = path != self.path;
        match self.state {
            State::Ended { .. } if is_elsewhere => {}
            State::Ended {
                retry: Retry::From(at) | Retry::FreshPath(at),
            } if at > now => return Err(CommandError::BackOff),
            State::Ended {
                retry: Retry::Never | Retry::Elsewhere(_),
            }
            | State::Allocating { .. }
            | State::Releasing { .. } => return Err(CommandError::Closed),
            State::New | State::Allocated { .. } | State::Ended { .. } => {}
        }
        if !is_fresh && !matches!(self.state, State::New) {
            return Err(CommandError::Path);
        }
        self.check(path.transport)?;
        if self.is_allocated() {
            self.request(now, Request::Release(None), 0);
        }
        self.clear();
        self.path = path;
        if is_elsewhere {
            self.auth = Auth::new(&self.config);
            self.history.change_server();
        }
        self.start(now);
        Ok(())
    }

    /// Whether the configuration can be asked for over this transport.
    fn check(&self, transport: floe_sansio::Transport) -> Result<(), CommandError> {
        if !Username(&self.config.credentials.username).is_sendable() {
            return Err(CommandError::Credentials);
        }
        if !self.config.is_consistent(transport) {
            return Err(CommandError::Combination);
        }
        Ok(())
    }

    fn start(&mut self, now: Instant) {
        self.clock.advance(now);
        self.alternate_domain = None;
        self.state = State::Allocating { abandoned: false };
        self.request(now, Request::Allocate, 0);
    }

    /// Asks for a permission for datagrams from and to `ip`, at once if there is an allocation, and
    /// keeps it alive until [`Self::revoke`].
    ///
    /// Sending need not wait for it: the server drops what comes too early, and checks are repeated.
    pub fn create_permission(&mut self, now: Instant, ip: IpAddr) -> Result<(), CommandError> {
        self.may_want(ip)?;
        if self.permissions.contains_key(&ip) {
            return Ok(());
        }
        if self.permissions.len() >= MAX_PERMISSIONS {
            return Err(CommandError::Capacity);
        }
        let now = self.clock.advance(now);
        self.permissions.insert(ip, Permission::default());
        self.want(now, Want::Permission(ip));
        Ok(())
    }

    /// Lets the permission for `ip`, and the channels to it, run out on the server, and drops its
    /// data from now on.
    pub fn revoke(&mut self, ip: IpAddr) {
        self.agenda.stop(Want::Permission(ip));
        self.permissions.remove(&ip);
        let peers: Vec<_> = self.channels.to(ip).collect();
        for &peer in &peers {
            self.agenda.stop(Want::Channel(peer));
            if let Some(channel) = self.channels.get_mut(peer) {
                channel.give_up();
            }
        }
        let permissions = &self.permissions;
        self.transactions.retain(|context| match &context.request {
            Request::Permissions(ips) => ips.iter().any(|ip| permissions.contains_key(ip)),
            Request::Channel(peer) => !peers.contains(peer),
            _ => true,
        });
    }

    /// Binds a channel to `peer`, which saves 32 bytes a datagram (44 with IPv6), and keeps it alive.
    /// Implies a permission for the peer's address. Until the server confirms, data travels in
    /// indications, unless [`ClientConfig::early_channels`] says otherwise.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) -> Result<(), CommandError> {
        let peer = plain(peer);
        if self.config.peers != PeerTransport::Udp {
            return Err(CommandError::PeerTransport);
        }
        self.may_want(peer.ip())?;
        if peer.port() == 0 {
            return Err(CommandError::Port);
        }
        if self
            .channels
            .get(peer)
            .is_some_and(|channel| channel.wanted)
        {
            return Ok(());
        }
        let known = self.permissions.contains_key(&peer.ip());
        if !known && self.permissions.len() >= MAX_PERMISSIONS {
            return Err(CommandError::Capacity);
        }
        let now = self.clock.now().max(now);
        if !self.channels.want(now, peer) {
            return Err(CommandError::Capacity);
        }
        self.clock.advance(now);
        self.permissions.entry(peer.ip()).or_default();
        self.want(now, Want::Channel(peer));
        Ok(())
    }

    /// Asks for the full lifetime now, of one of two relayed addresses or of all there are
    /// (RFC 8656 §8).
    pub fn refresh(
        &mut self,
        now: Instant,
        family: Option<AddressFamily>,
    ) -> Result<(), CommandError> {
        self.may_name(family)?;
        let now = self.clock.advance(now);
        if let State::Allocated { relays, .. } = &mut self.state {
            for relay in relays.of_mut(family) {
                relay.refresh_at = None;
            }
        }
        self.arm();
        self.request(now, Request::Refresh(family), 0);
        Ok(())
    }

    /// Gives the allocation back; [`ClientEvent::Released`] follows, at the latest when the request
    /// times out.
    pub fn release(&mut self, now: Instant) -> Result<(), CommandError> {
        match &mut self.state {
            State::New => {
                self.clock.advance(now);
                self.released();
            }
            State::Allocating { abandoned } if !*abandoned => *abandoned = true,
            State::Allocated { .. } => {
                let now = self.clock.advance(now);
                self.start_release(now, None);
            }
            _ => return Err(CommandError::Closed),
        }
        Ok(())
    }

    /// Gives back one of two relayed addresses, with its permissions and channels;
    /// [`ClientEvent::FamilyReleased`] follows. The only one there is goes as by [`Self::release`].
    pub fn release_family(
        &mut self,
        now: Instant,
        family: AddressFamily,
    ) -> Result<(), CommandError> {
        self.may_name(Some(family))?;
        match self.state {
            State::Allocated { relays, .. } if relays.second().is_some() => {
                let now = self.clock.advance(now);
                self.drop_family(family);
                self.request(now, Request::Release(Some(family)), 0);
                Ok(())
            }
            _ => self.release(now),
        }
    }

    /// The host has another local address: takes the allocation there (RFC 8016 §3.2).
    /// [`ClientEvent::Moved`] or [`ClientEvent::MoveFailed`] follows; until then data goes the old
    /// way, if there still is one.
    pub fn migrate(&mut self, now: Instant, path: FiveTuple) -> Result<(), CommandError> {
        if !self.is_allocated() {
            return Err(CommandError::Closed);
        }
        if self.ticket.is_none() {
            return Err(CommandError::NoTicket);
        }
        if path == self.path {
            return Err(CommandError::Path);
        }
        let now = self.clock.advance(now);
        self.transactions
            .retain(|context| context.request != Request::Move);
        self.also = Some(path);
        self.request(now, Request::Move, 0);
        Ok(())
    }

    /// The owner got a token for [`ClientEvent::TokenWanted`]; `None` if there is none for this
    /// server.
    pub fn provide_token(
        &mut self,
        now: Instant,
        token: Option<Token>,
    ) -> Result<(), CommandError> {
        if self.parked.is_empty() {
            return Err(CommandError::NoTokenWanted);
        }
        let now = self.clock.advance(now);
        let token = token.filter(|token| Username(&token.kid).is_sendable());
        let parked = core::mem::take(&mut self.parked);
        if let Some(token) = token {
            self.auth.set_token(token);
            for (request, challenges) in parked {
                self.request(now, request, challenges);
            }
        } else {
            for (request, _) in parked {
                self.fail(now, request, AllocateError::Refused);
            }
        }
        Ok(())
    }

    /// The connection of this path is gone, or a hard ICMP error came for it (RFC 8489 §6.2). An
    /// allocation ends with its connection.
    pub fn path_failed(&mut self, now: Instant, path: FiveTuple) {
        let now = self.clock.advance(now);
        if !path.transport.is_reliable() {
            return self.transactions.fail(path, TransactionError::Unreachable);
        }
        self.transactions.fail(path, TransactionError::Disconnected);
        if path == self.path && self.is_allocated() {
            self.lose(now, AllocateError::Disconnected);
        }
    }

    /// One datagram arrived.
    #[allow(clippy::needless_pass_by_value)] // as every machine takes it
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let now = self.clock.advance(now);
        let path = datagram.path;
        let is_control = path == self.path || Some(path) == self.also;
        if !is_control && !self.connections.is_binding(path) {
            let own = self.path;
            let is_local = path.local == own.local && path.transport == own.transport;
            return Input::Dropped(if is_local {
                DropReason::UnknownRemote
            } else {
                DropReason::UnknownLocal
            });
        }
        match Protocol::of(datagram.payload()) {
            Protocol::Channel if is_control => self.channel_data(&datagram),
            Protocol::Stun => match Message::parse(datagram.payload()) {
                Ok(message) => match message.class() {
                    Class::Indication if !is_control => Input::Dropped(DropReason::Unsupported),
                    Class::Indication if message.method() == Method::CONNECTION_ATTEMPT => {
                        self.connection_attempt(now, &message)
                    }
                    Class::Indication => self.indication(&message, &datagram.range()),
                    Class::Request => Input::Dropped(DropReason::Unsupported),
                    Class::Success | Class::Error => self.response(now, path, &message),
                },
                Err(error) if error.kind.is_not_stun() => Input::Dropped(DropReason::NotStun),
                Err(_) => Input::Dropped(DropReason::Malformed),
            },
            _ => Input::Dropped(DropReason::NotStun),
        }
    }

    /// The clock reached [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        // First what ends everything: nothing is sent for an allocation that is gone.
        if self.expires().is_some_and(|at| at <= now) {
            self.expire(now);
        }
        while let Some(due) = self.transactions.handle_timeout(now) {
            match due {
                Due::Transmit(transmit) => self.transmit(transmit),
                Due::Failed(_, transaction, error) => {
                    self.fail(now, transaction.context.request, error.into());
                }
            }
        }
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                ClientTimer::Refresh => self.refresh_due(now),
                ClientTimer::Expire => self.expire(now),
                ClientTimer::KeepAlive => self.keep_alive(now),
            }
        }
        self.work_off(now);
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let agenda = self.agenda.next().map(|at| at.max(self.paused_until));
        self.transactions
            .poll_timeout()
            .into_iter()
            .chain(self.timers.next().map(|(at, _)| at))
            .chain(agenda)
            .min()
    }

    /// Whether a permission or channel for `ip` can be asked for.
    fn may_want(&self, ip: IpAddr) -> Result<(), CommandError> {
        match &self.state {
            State::Allocated { relays, .. } if relays.facing(ip).is_none() => {
                Err(CommandError::Family)
            }
            State::New | State::Allocating { abandoned: false } | State::Allocated { .. } => Ok(()),
            _ => Err(CommandError::Closed),
        }
    }

    /// Whether a Refresh may name this family: one that is allocated (RFC 8656 §8.1).
    fn may_name(&self, family: Option<AddressFamily>) -> Result<(), CommandError> {
        let State::Allocated { relays, .. } = &self.state else {
            return Err(CommandError::Closed);
        };
        match family {
            Some(family) if !relays::FAMILIES.contains(&family) || relays.get(family).is_none() => {
                Err(CommandError::Family)
            }
            _ => Ok(()),
        }
    }
}

/// The address as it stands on the wire: without flow label and scope.
const fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

/// Never prints credentials, nonces, tickets or tokens.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("path", &self.path)
            .field("state", &self.state)
            .field("timers", &self.timers)
            .field("permissions", &self.permissions)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

impl_machine!(Client, ClientEvent);

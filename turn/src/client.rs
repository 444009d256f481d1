//! The client: one allocation on one server, its permissions and its channels.

mod channels;
mod config;
mod data;
mod responses;

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
    Attribute, Builder, ChannelNumber, Choice, Class, Due, Lifetime, Limits, LongTermClient,
    Message, MessageType, Method, Protocol, RequestedAddressFamily, RequestedTransport,
    TransactionId, Transactions, Username, XorPeerAddress,
};

use crate::agenda::Agenda;
use channels::Channels;
pub use config::{AllocateError, ClientConfig, ClientEvent, CommandError, SendError};

/// Permissions that one client keeps at most.
pub const MAX_PERMISSIONS: usize = 256;

/// Requests for permissions and channels started in one call; the others follow a millisecond later.
const BURST: usize = 16;
const BURST_PAUSE: Duration = Duration::from_millis(1);
/// Bytes of the longest request: user name, realm and nonce of 508 bytes each.
const REQUEST_MAX: usize = 2048;

/// The deadlines of the allocation itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientTimer {
    Refresh,
    Expire,
}

impl Timer for ClientTimer {
    const ALL: &'static [Self] = &[Self::Refresh, Self::Expire];

    fn index(self) -> usize {
        self as usize
    }
}

/// What is to be asked for, or asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Want {
    Permission(IpAddr),
    Channel(SocketAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Allocate,
    Refresh,
    Release,
    Want(Want),
}

impl Request {
    const fn method(self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh | Self::Release => Method::REFRESH,
            Self::Want(Want::Permission(_)) => Method::CREATE_PERMISSION,
            Self::Want(Want::Channel(_)) => Method::CHANNEL_BIND,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Context {
    request: Request,
    /// It carried credentials.
    authenticated: bool,
    /// Challenges met so far.
    challenges: u8,
}

#[derive(Clone, Copy, Debug)]
enum State {
    New,
    /// `abandoned`: to be released as soon as it is there.
    Allocating {
        abandoned: bool,
    },
    Allocated {
        relayed: SocketAddr,
        mapped: SocketAddr,
    },
    /// `silent`: the owner knows already that there is no allocation.
    Releasing {
        silent: bool,
    },
    /// `retry_at`: when another attempt is allowed; never if `None`.
    Ended {
        retry_at: Option<Instant>,
    },
}

/// One allocation on one server, asked for from one local address.
///
/// It authenticates, retransmits, refreshes and takes new nonces by itself. What is relayed it frames
/// in the caller's buffer, without allocation: outgoing by [`Self::encapsulate`], incoming by
/// [`Self::handle_input`], which answers with [`Input::Data`].
///
/// See the [crate documentation](crate) for client and server together.
#[derive(Clone)]
pub struct Client {
    config: ClientConfig,
    clock: Clock,
    entropy: Entropy,
    auth: LongTermClient,
    state: State,
    transactions: Transactions<Context>,
    timers: Timers<ClientTimer, 2>,
    /// Permissions asked for, by address; whether the server has installed them.
    permissions: BTreeMap<IpAddr, bool>,
    channels: Channels,
    /// When permissions and channels are asked for.
    agenda: Agenda<Want>,
    /// The agenda rests until then.
    paused_until: Instant,
    transmits: VecDeque<Transmit>,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Instant) -> Self {
        Self {
            auth: LongTermClient::new(config.credentials.clone()).with_choice(Choice::Strongest),
            config,
            clock: Clock::new(now),
            entropy: Entropy::new(seed),
            state: State::New,
            // `BURST` and its pause limit them.
            transactions: Transactions::new(Limits::UNLIMITED),
            timers: Timers::new(),
            permissions: BTreeMap::new(),
            channels: Channels::new(),
            agenda: Agenda::new(),
            paused_until: now,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// From the local address to the server.
    pub const fn path(&self) -> FiveTuple {
        self.config.path
    }

    /// The relayed address, where peers send to.
    pub const fn relayed(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated { relayed, .. } => Some(relayed),
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

    /// When the allocation expires unless a Refresh gets through.
    pub fn expires(&self) -> Option<Instant> {
        self.timers.get(ClientTimer::Expire)
    }

    /// Whether the server has confirmed a permission for `ip`.
    pub fn has_permission(&self, ip: IpAddr) -> bool {
        self.permissions.get(&ip) == Some(&true)
    }

    /// Whether data to `peer` travels as `ChannelData`.
    pub fn has_channel(&self, peer: SocketAddr) -> bool {
        self.bound_channel(plain(peer)).is_some()
    }

    /// Asks for the allocation; also again after a failure that allows it, see
    /// [`AllocateError::retry_after`].
    pub fn allocate(&mut self, now: Instant) -> Result<(), CommandError> {
        let now = self.clock.now().max(now);
        match self.state {
            State::Ended { retry_at: Some(at) } if at > now => return Err(CommandError::BackOff),
            State::New | State::Ended { retry_at: Some(_) } => {}
            _ => return Err(CommandError::Closed),
        }
        if !Username(&self.config.credentials.username).is_sendable() {
            return Err(CommandError::Credentials);
        }
        self.clock.advance(now);
        self.state = State::Allocating { abandoned: false };
        self.request(now, Request::Allocate, 0);
        Ok(())
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
        self.permissions.insert(ip, false);
        self.want(now, Want::Permission(ip));
        Ok(())
    }

    /// Lets the permission for `ip`, and the channels to it, run out on the server, and drops its
    /// data from now on.
    pub fn revoke(&mut self, ip: IpAddr) {
        self.forget(Want::Permission(ip));
        self.permissions.remove(&ip);
        let peers: Vec<_> = self.channels.to(ip).collect();
        for peer in peers {
            self.forget(Want::Channel(peer));
            if let Some(channel) = self.channels.get_mut(peer) {
                channel.give_up();
            }
        }
    }

    /// Binds a channel to `peer`, which saves 32 bytes a datagram (44 with IPv6), and keeps it alive.
    /// Implies a permission for the peer's address. Until the server confirms, data travels in
    /// indications.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) -> Result<(), CommandError> {
        let peer = plain(peer);
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
        self.permissions.entry(peer.ip()).or_insert(false);
        self.want(now, Want::Channel(peer));
        Ok(())
    }

    /// Gives the allocation back; [`ClientEvent::Released`] follows, at the latest when the request
    /// times out.
    pub fn release(&mut self, now: Instant) -> Result<(), CommandError> {
        match &mut self.state {
            State::New => {
                self.clock.advance(now);
                self.end(None, ClientEvent::Released);
            }
            State::Allocating { abandoned } if !*abandoned => *abandoned = true,
            State::Allocated { .. } => {
                let now = self.clock.advance(now);
                self.start_release(now, false);
            }
            _ => return Err(CommandError::Closed),
        }
        Ok(())
    }

    /// One datagram arrived.
    #[allow(clippy::needless_pass_by_value)] // as every machine takes it
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let now = self.clock.advance(now);
        let path = self.config.path;
        if datagram.path.local != path.local || datagram.path.transport != path.transport {
            return Input::Dropped(DropReason::UnknownLocal);
        }
        if datagram.path.remote != path.remote {
            return Input::Dropped(DropReason::UnknownRemote);
        }
        match Protocol::of(datagram.payload()) {
            Protocol::Channel => self.channel_data(&datagram),
            Protocol::Stun => match Message::parse(datagram.payload()) {
                Ok(message) => match message.class() {
                    Class::Indication => self.indication(&message, &datagram.range()),
                    Class::Request => Input::Dropped(DropReason::Unsupported),
                    Class::Success | Class::Error => self.response(now, &message),
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
            return self.lose(now, AllocateError::Expired);
        }
        while let Some(due) = self.transactions.handle_timeout(now) {
            match due {
                Due::Transmit(transmit) => self.transmits.push_back(transmit),
                Due::Failed(_, transaction, _) => {
                    self.fail(now, transaction.context.request, AllocateError::Timeout);
                }
            }
        }
        if self.timers.expire(now) == Some(ClientTimer::Refresh) {
            self.request(now, Request::Refresh, 0);
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
        match self.state {
            State::Allocated { relayed, .. } if relayed.is_ipv4() != ip.is_ipv4() => {
                Err(CommandError::Family)
            }
            State::New | State::Allocating { abandoned: false } | State::Allocated { .. } => Ok(()),
            _ => Err(CommandError::Closed),
        }
    }

    fn want(&mut self, now: Instant, want: Want) {
        if self.is_allocated() {
            self.agenda.set(want, now);
            self.work_off(now);
        }
    }

    fn forget(&mut self, want: Want) {
        self.agenda.stop(want);
        self.transactions
            .retain(|context| context.request != Request::Want(want));
    }

    /// Asks for what is due on the agenda, not too much at once.
    fn work_off(&mut self, now: Instant) {
        if now < self.paused_until {
            return;
        }
        for _ in 0..BURST {
            let Some(want) = self.agenda.expire(now) else {
                return;
            };
            self.request(now, Request::Want(want), 0);
        }
        self.paused_until = now + BURST_PAUSE;
    }

    /// Sends a request in a new transaction.
    fn request(&mut self, now: Instant, request: Request, challenges: u8) {
        let id = TransactionId::random(&mut self.entropy);
        let mut buffer = [0; REQUEST_MAX];
        let kind = MessageType::new(Class::Request, request.method());
        let builder = Builder::new(&mut buffer, kind, id);
        let lifetime = self.config.lifetime.map(|lifetime| {
            // 0 would delete the allocation.
            Lifetime(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).max(1))
        });
        let builder = match request {
            Request::Allocate => builder
                .with(&RequestedTransport::UDP)
                .with_some(self.config.family.map(RequestedAddressFamily).as_ref())
                .with_some(lifetime.as_ref()),
            Request::Refresh => builder.with_some(lifetime.as_ref()),
            Request::Release => builder.with(&Lifetime(0)),
            // The port does not count (RFC 8656 §9).
            Request::Want(Want::Permission(ip)) => {
                builder.with(&XorPeerAddress(SocketAddr::new(ip, 0)))
            }
            Request::Want(Want::Channel(peer)) => {
                let Some(channel) = self.channels.get_mut(peer) else {
                    return;
                };
                channel.touch(now);
                builder
                    .with(&ChannelNumber(channel.number))
                    .with(&XorPeerAddress(peer))
            }
        };
        let built = self.auth.authenticate(builder).with_fingerprint();
        let Ok(payload) = built.finish_bytes() else {
            return self.fail(now, request, AllocateError::Malformed);
        };
        let context = Context {
            request,
            authenticated: self.auth.is_challenged(),
            challenges,
        };
        let schedule = self.config.retransmission;
        let path = self.config.path;
        let started = self
            .transactions
            .start(now, path, id, payload, schedule, context);
        match started {
            Ok(transmit) => self.transmits.extend(transmit),
            Err(_) => self.fail(now, request, AllocateError::Timeout),
        }
    }
}

/// The address as it stands on the wire: without flow label and scope.
const fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

/// Never prints credentials or nonces.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("path", &self.config.path)
            .field("state", &self.state)
            .field("timers", &self.timers)
            .field("permissions", &self.permissions)
            .finish_non_exhaustive()
    }
}

impl_machine!(Client, ClientEvent);

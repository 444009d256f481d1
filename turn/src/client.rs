//! The client: one allocation on one server, its permissions and its channels.

mod channels;
mod config;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::time::Duration;

use bytes::Bytes;
use floe_sansio::{
    Clock, Datagram, DropReason, Entropy, FiveTuple, HEADROOM, Input, Instant, Route, TAILROOM,
    Timer, Timers, Transmit, impl_machine,
};
use floe_stun::{
    AddressFamily, Attribute, AttributeType, Builder, ChallengeError, ChannelNumber, Class, Due,
    ErrorCode, Lifetime, LongTermClient, Message, MessageType, Method, Protocol,
    RequestedAddressFamily, RequestedTransport, StatusCode, Transaction, TransactionId,
    Transactions, Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};

use crate::agenda::Agenda;
use crate::frame::{self, FrameError, within};
use channels::{CHANNEL_LIFETIME, Channels};
pub use config::{AllocateError, ClientConfig, ClientEvent, CommandError, SendError};

/// Permissions that one client keeps at most.
pub const MAX_PERMISSIONS: usize = 256;

/// How long the server keeps a permission (RFC 8656 §9).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long before something expires it is refreshed (RFC 8656 §8): more than a transaction takes.
const REFRESH_MARGIN: Duration = Duration::from_secs(60);
/// The pause after a Refresh that failed and may be repeated.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);
/// 401 and 438 responses that one request may meet: the first challenge and three stale nonces.
const MAX_CHALLENGES: u8 = 4;
/// Requests for permissions and channels started in one call; the others follow a millisecond later.
const BURST: usize = 16;
const BURST_PAUSE: Duration = Duration::from_millis(1);
/// Bytes of the longest request: user name, realm and nonce of 508 bytes each.
const REQUEST_MAX: usize = 2048;

/// What a response may carry that must be understood.
const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::USERNAME,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::XOR_RELAYED_ADDRESS,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::RESERVATION_TOKEN,
];

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
            auth: LongTermClient::new(config.credentials.clone()),
            config,
            clock: Clock::new(now),
            entropy: Entropy::new(seed),
            state: State::New,
            transactions: Transactions::default(),
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
        let at = self.clock.now().max(now);
        match self.state {
            State::New => {}
            State::Ended { retry_at: Some(at) } if at > now => return Err(CommandError::BackOff),
            State::Ended { retry_at: Some(_) } => {}
            _ => return Err(CommandError::Closed),
        }
        if !Username(&self.config.credentials.username).is_sendable() {
            return Err(CommandError::Credentials);
        }
        self.clock.advance(at);
        self.state = State::Allocating { abandoned: false };
        self.request(at, Request::Allocate, 0);
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
        if self.channels.get(peer).is_some_and(|channel| channel.wanted) {
            return Ok(());
        }
        let known = self.permissions.contains_key(&peer.ip());
        if !known && self.permissions.len() >= MAX_PERMISSIONS {
            return Err(CommandError::Capacity);
        }
        let at = self.clock.now().max(now);
        if !self.channels.want(at, peer) {
            return Err(CommandError::Capacity);
        }
        self.clock.advance(at);
        self.permissions.entry(peer.ip()).or_insert(false);
        self.want(at, Want::Channel(peer));
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

    /// Frames `buffer[payload]` for `peer`, in place: as `ChannelData` if a channel is bound, else as
    /// a Send indication. The route says which range to send, and on which path.
    ///
    /// Leave [`HEADROOM`] bytes before the payload and [`TAILROOM`] behind it.
    pub fn encapsulate(
        &mut self,
        peer: SocketAddr,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Route, SendError> {
        let State::Allocated { .. } = self.state else {
            return Err(SendError::NotAllocated);
        };
        let peer = plain(peer);
        if !self.permissions.contains_key(&peer.ip()) {
            return Err(SendError::NoPermission);
        }
        let path = self.config.path;
        let framed = if let Some(number) = self.bound_channel(peer) {
            frame::channel_data(buffer, payload, number, path.transport)
        } else {
            let id = || TransactionId::random(&mut self.entropy);
            frame::indication(buffer, payload, Method::SEND, peer, id)
        };
        match framed {
            Ok(range) => Ok(Route::new(path, range)),
            Err(FrameError::NoRoom) => Err(SendError::NoRoom),
            Err(FrameError::TooLong) => Err(SendError::TooLong),
        }
    }

    /// As [`Self::encapsulate`], for the bytes of another machine that are to go through the relay.
    pub fn wrap(&mut self, peer: SocketAddr, payload: &[u8]) -> Result<Transmit, SendError> {
        let mut buffer = vec![0; HEADROOM + payload.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + payload.len();
        buffer[range.clone()].copy_from_slice(payload);
        let route = self.encapsulate(peer, &mut buffer, range)?;
        Ok(Transmit {
            path: route.path,
            payload: Bytes::from(buffer).slice(route.range()),
        })
    }

    /// One datagram arrived.
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
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
                    Class::Indication => self.indication(now, &message, &datagram.range()),
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
                Due::Retransmit(transmit) => self.transmits.push_back(transmit),
                Due::TimedOut(_, transaction) => {
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

    /// The number of the channel to `peer`, while data may be sent on it.
    fn bound_channel(&self, peer: SocketAddr) -> Option<u16> {
        let channel = self.channels.get(peer)?;
        (channel.bound_until? > self.clock.now()).then_some(channel.number)
    }

    /// Whether a permission or channel for `ip` can be asked for.
    fn may_want(&self, ip: IpAddr) -> Result<(), CommandError> {
        match self.state {
            State::New | State::Allocating { abandoned: false } => Ok(()),
            State::Allocated { relayed, .. } if relayed.is_ipv4() != ip.is_ipv4() => {
                Err(CommandError::Family)
            }
            State::Allocated { .. } => Ok(()),
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
        let transmit = self
            .transactions
            .start(now, path, id, payload, schedule, context);
        self.transmits.push_back(transmit);
    }

    fn channel_data(&self, datagram: &Datagram<'_>) -> Input {
        let State::Allocated { relayed, .. } = self.state else {
            return Input::Dropped(DropReason::NoAllocation);
        };
        let Some((number, data)) = frame::parse_channel_data(datagram.payload()) else {
            return Input::Dropped(DropReason::Malformed);
        };
        let Some(peer) = self.channels.peer(number) else {
            return Input::Dropped(DropReason::NoChannel);
        };
        // A channel that is wanted has a permission, unless the server refused just that.
        if !self.permissions.contains_key(&peer.ip()) {
            return Input::Dropped(DropReason::NoPermission);
        }
        let data = within(&datagram.range(), &data);
        Input::Data(Route::new(FiveTuple::udp(relayed, peer), data))
    }

    fn indication(&mut self, now: Instant, message: &Message<'_>, range: &Range<usize>) -> Input {
        if message.method() != Method::DATA {
            return Input::Dropped(DropReason::Unsupported);
        }
        let State::Allocated { relayed, .. } = self.state else {
            return Input::Dropped(DropReason::NoAllocation);
        };
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let Some(indication) = frame::parse_indication(message) else {
            return Input::Dropped(DropReason::Malformed);
        };
        let peer = indication.peer;
        if !self.permissions.contains_key(&peer.ip()) {
            return Input::Dropped(DropReason::NoPermission);
        }
        if let Some([_, _, kind, code, data @ ..]) = indication.icmp {
            self.clock.advance(now);
            self.events.push_back(ClientEvent::Unreachable {
                peer,
                kind,
                code,
                data: u32::from_be_bytes(data),
            });
            return Input::Handled;
        }
        match indication.data {
            Some(data) => {
                let route = Route::new(FiveTuple::udp(relayed, peer), within(range, &data));
                Input::Data(route)
            }
            None => Input::Dropped(DropReason::Malformed),
        }
    }

    fn response(&mut self, now: Instant, message: &Message<'_>) -> Input {
        let id = message.transaction_id();
        let Some(transaction) = self.transactions.find(id, self.config.path) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let context = transaction.context;
        if context.request.method() != message.method() {
            return Input::Dropped(DropReason::NoTransaction);
        }
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let code = match message.class() {
            Class::Error => message.get::<ErrorCode<'_>>().ok().flatten(),
            _ => None,
        }
        .map(|error| error.code);
        let is_challenge = matches!(
            code,
            Some(StatusCode::UNAUTHENTICATED | StatusCode::STALE_NONCE)
        );
        // Only a challenge can come without integrity; what else does is not believed, as if it had
        // never been received (RFC 8489 §9.2.5).
        if !is_challenge && !(context.authenticated && self.auth.verify(message)) {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let now = self.clock.advance(now);
        let Some(transaction) = self.transactions.remove(id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let request = context.request;
        if is_challenge {
            self.challenged(now, message, context);
        } else if message.unknown_required(KNOWN).next().is_some() {
            self.fail(now, request, AllocateError::Malformed);
        } else if message.class() == Class::Success {
            self.succeed(now, message, &transaction);
        } else {
            let error = match code {
                Some(StatusCode::ALLOCATION_MISMATCH) => AllocateError::Mismatch,
                Some(code) => AllocateError::Rejected(code),
                None => AllocateError::Malformed,
            };
            self.fail(now, request, error);
        }
        Input::Handled
    }

    /// 401 or 438, on any method: again, with the new nonce.
    fn challenged(&mut self, now: Instant, message: &Message<'_>, context: Context) {
        let challenges = context.challenges + 1;
        let result = if challenges > MAX_CHALLENGES {
            Err(AllocateError::StaleNonce)
        } else {
            self.auth
                .challenge(message, context.authenticated)
                .map_err(|error| match error {
                    ChallengeError::Refused => AllocateError::Refused,
                    ChallengeError::BidDown => AllocateError::BidDown,
                    _ => AllocateError::Malformed,
                })
        };
        match result {
            Ok(()) => self.request(now, context.request, challenges),
            Err(error) => self.fail(now, context.request, error),
        }
    }

    fn succeed(&mut self, now: Instant, message: &Message<'_>, of: &Transaction<Context>) {
        match of.context.request {
            Request::Allocate => self.allocated(now, message, of),
            Request::Refresh => match message.get() {
                Ok(Some(lifetime)) => self.set_lifetime(now, of.started, lifetime),
                _ => self.lose(now, AllocateError::Malformed),
            },
            Request::Release => self.end(None, ClientEvent::Released),
            Request::Want(Want::Permission(ip)) => self.permitted(of.started, ip),
            Request::Want(Want::Channel(peer)) => {
                let Some(channel) = self.channels.get_mut(peer) else {
                    return;
                };
                channel.touch(now);
                let until = of.started + CHANNEL_LIFETIME;
                let is_new = channel.bound_until.replace(until).is_none();
                let again = of.started + (CHANNEL_LIFETIME - REFRESH_MARGIN);
                self.agenda.set(Want::Channel(peer), again);
                self.permitted(of.started, peer.ip());
                if is_new {
                    self.events.push_back(ClientEvent::ChannelBound(peer));
                }
            }
        }
    }

    fn allocated(&mut self, now: Instant, message: &Message<'_>, of: &Transaction<Context>) {
        let abandoned = matches!(self.state, State::Allocating { abandoned: true });
        let parts = (message.get(), message.get(), message.get());
        let (
            Ok(Some(XorRelayedAddress(relayed))),
            Ok(Some(XorMappedAddress(mapped))),
            Ok(Some(lifetime)),
        ) = parts
        else {
            return self.unusable(now, AllocateError::Malformed);
        };
        let family = self.config.family.unwrap_or(AddressFamily::IPV4);
        if relayed.is_ipv4() != (family == AddressFamily::IPV4) {
            return self.unusable(now, AllocateError::Family);
        }
        if abandoned {
            return self.start_release(now, false);
        }
        self.state = State::Allocated { relayed, mapped };
        self.events.push_back(ClientEvent::Allocated {
            relayed,
            mapped,
            round_trip: of.round_trip(now),
        });
        self.set_lifetime(now, of.started, lifetime);
        if !self.is_allocated() {
            return;
        }
        let permissions = self.permissions.keys().copied();
        let wanted: Vec<_> = permissions
            .map(|ip| (ip, Want::Permission(ip)))
            .chain((self.channels.wanted()).map(|peer| (peer.ip(), Want::Channel(peer))))
            .collect();
        for (ip, want) in wanted {
            if ip.is_ipv4() == relayed.is_ipv4() {
                self.agenda.set(want, now);
            } else {
                self.fail(now, Request::Want(want), AllocateError::Family);
            }
        }
        self.work_off(now);
    }

    /// The server gave something that this client cannot use: give it back, and ask no more
    /// (RFC 8656 §7.3).
    fn unusable(&mut self, now: Instant, error: AllocateError) {
        if matches!(self.state, State::Allocating { abandoned: true }) {
            return self.start_release(now, false);
        }
        self.events.push_back(ClientEvent::Failed(error));
        self.start_release(now, true);
    }

    fn permitted(&mut self, asked: Instant, ip: IpAddr) {
        let Some(installed) = self.permissions.get_mut(&ip) else {
            return;
        };
        let is_new = !core::mem::replace(installed, true);
        let again = asked + (PERMISSION_LIFETIME - REFRESH_MARGIN);
        self.agenda.set(Want::Permission(ip), again);
        if is_new {
            self.events.push_back(ClientEvent::PermissionCreated(ip));
        }
    }

    /// The server granted `lifetime`, counted from when it was asked at the earliest.
    fn set_lifetime(&mut self, now: Instant, asked: Instant, lifetime: Lifetime) {
        let lifetime = lifetime.duration();
        let expires = asked + lifetime;
        if expires <= now {
            return self.lose(now, AllocateError::Expired);
        }
        let refresh = asked + lifetime.saturating_sub(REFRESH_MARGIN).max(lifetime / 2);
        // Late is not never, but time must pass.
        let refresh = refresh.max(now + BURST_PAUSE);
        self.timers.set(ClientTimer::Expire, expires);
        self.timers.set(ClientTimer::Refresh, refresh);
    }

    fn start_release(&mut self, now: Instant, silent: bool) {
        self.clear();
        self.state = State::Releasing { silent };
        self.request(now, Request::Release, 0);
    }

    /// A request failed for good.
    fn fail(&mut self, now: Instant, request: Request, error: AllocateError) {
        match request {
            Request::Allocate => {
                let retry_at = error.retry_after().map(|pause| now + pause);
                match self.state {
                    State::Allocating { abandoned: true } => self.end(None, ClientEvent::Released),
                    _ => self.end(retry_at, ClientEvent::Failed(error)),
                }
            }
            Request::Refresh => match error {
                // There is time for another.
                AllocateError::Timeout => self.timers.set(ClientTimer::Refresh, now + REFRESH_PAUSE),
                AllocateError::Rejected(code) if code.number() >= 500 => {
                    self.timers.set(ClientTimer::Refresh, now + REFRESH_PAUSE);
                }
                error => self.lose(now, error),
            },
            // 437 says that it is gone (RFC 8656 §8.3); without an answer it will expire.
            Request::Release => self.end(None, ClientEvent::Released),
            Request::Want(_) if error == AllocateError::Mismatch => self.lose(now, error),
            Request::Want(Want::Permission(ip)) => {
                // Only this peer is harmed.
                self.revoke(ip);
                let event = ClientEvent::PermissionRefused(ip, error);
                self.events.push_back(event);
            }
            Request::Want(Want::Channel(peer)) => {
                self.agenda.stop(Want::Channel(peer));
                if let Some(channel) = self.channels.get_mut(peer) {
                    channel.give_up();
                }
                self.events
                    .push_back(ClientEvent::ChannelRefused(peer, error));
                // The permission that the channel would have brought, for indications.
                let ip = peer.ip();
                if self.permissions.get(&ip) == Some(&false) {
                    self.agenda.set(Want::Permission(ip), now);
                    self.work_off(now);
                }
            }
        }
    }

    fn lose(&mut self, now: Instant, error: AllocateError) {
        let retry_at = error.retry_after().map(|pause| now + pause);
        self.end(retry_at, ClientEvent::Lost(error));
    }

    fn end(&mut self, retry_at: Option<Instant>, event: ClientEvent) {
        let silent = matches!(self.state, State::Releasing { silent: true });
        self.clear();
        self.permissions.clear();
        self.channels.clear();
        self.state = State::Ended { retry_at };
        if !silent {
            self.events.push_back(event);
        }
    }

    /// Asks for nothing any more.
    fn clear(&mut self) {
        self.transactions = Transactions::default();
        self.timers = Timers::new();
        self.agenda.clear();
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

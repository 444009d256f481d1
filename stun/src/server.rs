//! The Binding server: it tells everyone where their packets come from, and remembers nothing.

mod access;
mod budget;
mod classic;
mod config;

use alloc::collections::VecDeque;
use alloc::vec;
use core::net::SocketAddr;

use bytes::Bytes;
use floe_sansio::{
    Clock, Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Transmit, Transport,
    impl_machine,
};

pub use access::Access;
pub use budget::{Answers, Budget};
pub use config::{AddressGrid, BehaviourService, Redirect, ServerConfig, ServerConfigError};

use self::access::{Guard, Pass};
use self::classic::Classic;
use crate::attribute::AttributeType;
use crate::attributes::{
    AlternateDomain, AlternateServer, ChangeRequest, ErrorCode, MappedAddress, OtherAddress,
    Padding, ResponseOrigin, ResponsePort, Software, StatusCode, UnknownRequired, XorMappedAddress,
};
use crate::auth::{MAX_PARKED, Parking, Refusal, Seal, User, UserAnswer, UserWanted};
use crate::builder::{BuildError, Builder};
use crate::integrity::Algorithm;
use crate::message::{Class, Message, Method, ParseErrorKind};

/// Responses that wait for `poll_transmit` at most; a driver drains after every call, so only a
/// broken one ever gets there.
pub const MAX_PENDING: usize = 64;

/// Bytes of the longest response of a basic server: a 420 with [`UnknownRequired::MAX`] types and a
/// fingerprint.
const BASIC_MAX: usize = 128;
/// Bytes of the longest response of any other, without PADDING: SOFTWARE and REALM are the largest
/// parts, of 508 bytes each.
const RESPONSE_MAX: usize = 2048;

/// What a Binding request may carry that must be understood, by what is served. Credentials are
/// tolerated and not checked: the basic server has no users (RFC 8489 §12).
macro_rules! known {
    ($($more:ident),*) => {
        &[
            AttributeType::USERNAME,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::USERHASH,
            AttributeType::PASSWORD_ALGORITHM,
            AttributeType::PRIORITY,
            AttributeType::USE_CANDIDATE,
            $(AttributeType::$more),*
        ]
    };
}

const KNOWN: &[AttributeType] = known!();
/// A response cannot leave a connection, or an association of DTLS.
const KNOWN_CONNECTED: &[AttributeType] = known!(PADDING);
const KNOWN_ONE_ADDRESS: &[AttributeType] = known!(PADDING, RESPONSE_PORT);
const KNOWN_TWO_ADDRESSES: &[AttributeType] = known!(PADDING, RESPONSE_PORT, CHANGE_REQUEST);

/// Answers Binding requests (RFC 8489 §12), and where wanted those of behaviour discovery (RFC 5780);
/// keeps nothing per source, since every answer can be computed again (RFC 8489 §6.3.1).
///
/// See [`Client`](crate::Client) for the other side.
#[derive(Clone, Debug)]
pub struct Server {
    config: ServerConfig,
    clock: Clock,
    guard: Guard,
    answers: Option<Answers>,
    /// Whether [`BASIC_MAX`] bytes are enough for every response.
    is_basic: bool,
    transmits: VecDeque<Transmit>,
    parking: Parking,
    events: VecDeque<UserWanted>,
}

/// What a request is answered with.
struct Plan<'s> {
    now: Instant,
    /// From where, and to where.
    path: FiveTuple,
    /// Where the request came from.
    source: SocketAddr,
    /// What signs the response.
    seal: Option<&'s Seal>,
    outcome: Outcome,
}

enum Outcome {
    Success {
        /// OTHER-ADDRESS, where there is one.
        other: Option<SocketAddr>,
        padded: bool,
    },
    Error(StatusCode),
    Unknown(UnknownRequired),
    Refused(Refusal),
    Redirected {
        /// Of the family of the source.
        first: SocketAddr,
        second: Option<SocketAddr>,
        /// Whether ALTERNATE-DOMAIN is told, where there is one.
        domain: bool,
    },
}

impl Outcome {
    const BAD: Self = Self::Error(StatusCode::BAD_REQUEST);
}

impl Server {
    /// A basic server without a budget, for owners that bound themselves what they answer. It needs
    /// neither randomness nor time; the arguments are those of every machine.
    pub fn new(_seed: [u8; 32], now: Instant) -> Self {
        Self {
            config: ServerConfig::BASIC,
            clock: Clock::new(now),
            guard: Guard::Open,
            answers: None,
            is_basic: true,
            transmits: VecDeque::new(),
            parking: Parking::default(),
            events: VecDeque::new(),
        }
    }

    /// A server that does what `config` says.
    ///
    /// # Errors
    ///
    /// See [`ServerConfig::check`].
    pub fn with_config(
        config: ServerConfig,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, ServerConfigError> {
        config.check()?;
        let mut entropy = Entropy::new(seed);
        let answers = config.budget;
        Ok(Self {
            answers: answers.map(|budget| Answers::new(budget, &mut entropy)),
            guard: Guard::new(&config.access, entropy.seed(), now),
            config,
            clock: Clock::new(now),
            is_basic: false,
            transmits: VecDeque::new(),
            parking: Parking::default(),
            events: VecDeque::new(),
        })
    }

    /// One datagram arrived.
    #[allow(clippy::needless_pass_by_value)] // the signature of every machine
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let now = self.clock.advance(now);
        let path = datagram.path;
        match Message::parse(datagram.payload()) {
            Ok(message) => self.handle_message(now, path, &message, None),
            Err(error) if error.kind == ParseErrorKind::Cookie => {
                self.handle_classic(now, path, datagram.payload())
            }
            Err(error) if error.kind.is_not_stun() => Input::Dropped(DropReason::NotStun),
            Err(_) => Input::Dropped(DropReason::Malformed),
        }
    }

    /// The user of a request that waited is found, or is nobody; see [`UserAnswer::Later`]. A ticket that is too old
    /// does nothing.
    pub fn answer_user(&mut self, now: Instant, ticket: u64, user: Option<User>) {
        let now = self.clock.advance(now);
        let Some((path, bytes)) = self.parking.take(ticket) else {
            return;
        };
        let found = user.map_or(UserAnswer::Unknown, UserAnswer::Known);
        if let Ok(message) = Message::parse(&bytes) {
            let _ = self.handle_message(now, path, &message, Some(found));
        }
    }

    fn handle_message(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
        found: Option<UserAnswer>,
    ) -> Input {
        if message.method() != Method::BINDING {
            return Input::Dropped(DropReason::Unsupported);
        }
        let has_fingerprint = message.has_fingerprint();
        if (self.config.multiplexed && !has_fingerprint)
            || (has_fingerprint && !message.verify_fingerprint())
        {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let unknown = UnknownRequired::find(message, self.known(path));
        match message.class() {
            Class::Request => {}
            // RFC 8489 §6.3.2.
            Class::Indication if unknown.is_some() => {
                return Input::Dropped(DropReason::Unsupported);
            }
            // Received, and that is all there is to it (RFC 8489 §6.3.2).
            Class::Indication if self.guard.takes(message) => return Input::Handled,
            Class::Indication => return Input::Dropped(DropReason::Unauthenticated),
            Class::Success | Class::Error => return Input::Dropped(DropReason::NoTransaction),
        }
        // By reference from here on: a key is large.
        let pass = self.guard.check(now, path.remote, message, found);
        let (seal, refusal) = match &pass {
            Pass::Anyone => (None, None),
            Pass::User(seal) => (Some(seal), None),
            Pass::Refused(refusal) => (None, Some(*refusal)),
            Pass::Later(claim) => {
                // A driver drains after every call; one that does not is none to keep more for.
                let room = self.events.len() < MAX_PARKED;
                let parked = room.then(|| self.parking.park(now, path, message, claim));
                return match parked.flatten() {
                    Some(wanted) => {
                        self.events.push_back(wanted);
                        Input::Handled
                    }
                    None => Input::Dropped(DropReason::Capacity),
                };
            }
        };
        if let Some(reason) = self.refuses(now, path, seal.is_some()) {
            return Input::Dropped(reason);
        }
        let outcome = match (refusal, unknown) {
            (Some(refusal), _) => Err(Outcome::Refused(refusal)),
            (None, Some(unknown)) => Err(Outcome::Unknown(unknown)),
            (None, None) => self.plan(path, message),
        };
        let source = path.remote;
        let (path, outcome) = match outcome {
            Ok((path, success)) => (path, self.redirected(path, seal, success)),
            Err(error) => (path, error),
        };
        let plan = Plan {
            now,
            path,
            source,
            seal,
            outcome,
        };
        if let Ok(payload) = self.respond(message, &plan) {
            self.transmits.push_back(Transmit { path, payload });
        }
        Input::Handled
    }

    fn handle_classic(&mut self, now: Instant, path: FiveTuple, datagram: &[u8]) -> Input {
        let served = match path.transport {
            Transport::Udp => self.config.classic,
            // Answered to be refused (RFC 8489 §11).
            Transport::Dtls => true,
            _ => false,
        };
        let Some(classic) = served.then(|| Classic::read(datagram)).flatten() else {
            return Input::Dropped(DropReason::NotStun);
        };
        if let Some(reason) = self.refuses(now, path, false) {
            return Input::Dropped(reason);
        }
        let answer = match path.transport {
            Transport::Dtls => classic.refusal(),
            _ => classic.answer(path),
        };
        self.transmits
            .extend(answer.map(|payload| Transmit { path, payload }));
        Input::Handled
    }

    /// Why a request is not answered at all; if it is, that is taken from the budget.
    fn refuses(&mut self, now: Instant, path: FiveTuple, signed: bool) -> Option<DropReason> {
        // Port 0 cannot be answered.
        if path.remote.port() == 0 {
            return Some(DropReason::Forbidden);
        }
        if self.transmits.len() >= MAX_PENDING {
            return Some(DropReason::Capacity);
        }
        let within = match &mut self.answers {
            Some(answers) if !signed => answers.take(now, path.remote.ip()),
            _ => true,
        };
        (!within).then_some(DropReason::Capacity)
    }

    /// The addresses that serve behaviour discovery where a request arrived.
    fn grid(&self, path: FiveTuple) -> Option<AddressGrid> {
        let grid = self.config.behaviour?.grid(path.transport)?;
        // Elsewhere there is no other address.
        grid.all().contains(&path.local).then_some(grid)
    }

    fn known(&self, path: FiveTuple) -> &'static [AttributeType] {
        match path.transport {
            _ if self.config.behaviour.is_none() => KNOWN,
            Transport::Udp if self.grid(path).is_some() => KNOWN_TWO_ADDRESSES,
            Transport::Udp => KNOWN_ONE_ADDRESS,
            _ => KNOWN_CONNECTED,
        }
    }

    /// How a request is answered that is all understood, from where and to where (RFC 5780 §6.1).
    fn plan(
        &self,
        mut path: FiveTuple,
        request: &Message<'_>,
    ) -> Result<(FiveTuple, Outcome), Outcome> {
        let mut other = None;
        let mut padded = false;
        if self.config.behaviour.is_some() {
            let change = request.get::<ChangeRequest>().map_err(|_| Outcome::BAD)?;
            let port = request.get::<ResponsePort>().map_err(|_| Outcome::BAD)?;
            padded = matches!(request.get::<Padding<'_>>(), Ok(Some(_)));
            if padded && port.is_some() {
                return Err(Outcome::BAD);
            }
            if let Some(grid) = self.grid(path) {
                let both = ChangeRequest {
                    ip: true,
                    port: true,
                };
                other = grid.origin(path.local, both);
                let origin = grid.origin(path.local, change.unwrap_or_default());
                path.local = origin.unwrap_or(path.local);
            }
            match port {
                Some(ResponsePort(0)) => return Err(Outcome::BAD),
                Some(ResponsePort(port)) => path.remote.set_port(port),
                None => {}
            }
        }
        Ok((path, Outcome::Success { other, padded }))
    }

    /// What would be a success, if there is no other server for this user.
    fn redirected(&self, path: FiveTuple, seal: Option<&Seal>, success: Outcome) -> Outcome {
        let (Some(redirect), Some(seal)) = (&self.config.redirect, seal) else {
            return success;
        };
        let (Some(first), second) = redirect.addresses(path.remote) else {
            return success;
        };
        // Only there the client can trust the name (RFC 8489 §10).
        let secure = matches!(path.transport, Transport::Tls | Transport::Dtls);
        Outcome::Redirected {
            first,
            second,
            domain: secure && seal.algorithm() == Algorithm::Sha256,
        }
    }

    fn respond(&self, request: &Message<'_>, plan: &Plan<'_>) -> Result<Bytes, BuildError> {
        if self.is_basic {
            let mut buffer = [0; BASIC_MAX];
            let len = self.build(&mut buffer, request, plan, None)?;
            return Ok(Bytes::copy_from_slice(&buffer[..len]));
        }
        let mut buffer = [0; RESPONSE_MAX];
        let len = self.build(&mut buffer, request, plan, None)?;
        if !matches!(plan.outcome, Outcome::Success { padded: true, .. }) {
            return Ok(Bytes::copy_from_slice(&buffer[..len]));
        }
        // PADDING must be in the response (RFC 5780 §6.1), and the response must not outgrow the
        // request if it does not so anyhow.
        let room = request.as_bytes().len().saturating_sub(len + 4) & !3;
        let zeros = vec![0; room];
        let mut buffer = vec![0; len + 4 + room];
        let len = self.build(&mut buffer, request, plan, Some(Padding(&zeros)))?;
        buffer.truncate(len);
        Ok(buffer.into())
    }

    fn build(
        &self,
        buffer: &mut [u8],
        request: &Message<'_>,
        plan: &Plan<'_>,
        padding: Option<Padding<'_>>,
    ) -> Result<usize, BuildError> {
        let class = match plan.outcome {
            Outcome::Success { .. } => Class::Success,
            _ => Class::Error,
        };
        let mut builder = Builder::response(buffer, request, class);
        match &plan.outcome {
            Outcome::Success { other, .. } => {
                builder = builder.with(&XorMappedAddress(plan.source));
                if self.config.behaviour.is_some() {
                    builder = builder
                        .with(&MappedAddress(plan.source))
                        .with(&ResponseOrigin(plan.path.local))
                        .with_some(other.map(OtherAddress).as_ref())
                        .with_some(padding.as_ref());
                }
            }
            Outcome::Error(code) => builder = builder.with(&ErrorCode::of(*code)),
            Outcome::Unknown(unknown) => {
                builder = builder
                    .with(&ErrorCode::of(StatusCode::UNKNOWN_ATTRIBUTE))
                    .with(&unknown.attribute());
            }
            Outcome::Refused(refusal) => {
                builder = builder.with(&ErrorCode::of(refusal.code()));
                if let Some(machine) = self.guard.challenger().filter(|_| refusal.has_challenge()) {
                    builder = machine.with_challenge(builder, plan.now, plan.source);
                }
            }
            Outcome::Redirected {
                first,
                second,
                domain,
            } => {
                builder = builder
                    .with(&ErrorCode::of(StatusCode::TRY_ALTERNATE))
                    .with(&AlternateServer(*first))
                    .with_some(second.map(AlternateServer).as_ref());
                let redirect = self.config.redirect.as_ref().filter(|_| *domain);
                let name = redirect.and_then(|redirect| redirect.domain.as_deref());
                builder = builder.with_some(name.map(AlternateDomain).as_ref());
            }
        }
        let software = self.config.software.as_deref().map(Software);
        builder = builder.with_some(software.as_ref());
        if let Some(seal) = plan.seal {
            builder = seal.append(builder);
        }
        // Echoed, and with a shared port always there (RFC 8489 §7, §12).
        if request.has_fingerprint() {
            builder = builder.with_fingerprint();
        }
        builder.finish()
    }

    /// Nothing ever becomes due; the time is noted.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock.advance(now);
    }

    /// The next response.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next user that the owner is to find.
    pub fn poll_event(&mut self) -> Option<UserWanted> {
        self.events.pop_front()
    }

    /// Never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl_machine!(Server, UserWanted);

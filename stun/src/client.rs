//! The Binding client: how the outside world sees a local address.

use alloc::collections::VecDeque;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{
    Clock, Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Transmit, impl_machine,
};

use crate::attribute::AttributeType;
use crate::attributes::{ErrorCode, MappedAddress, StatusCode, XorMappedAddress};
use crate::builder::Builder;
use crate::message::{Class, Message, MessageType, Method, TransactionId};
use crate::transaction::{Due, Retransmission, Transactions};

/// What a [`Client`] is told at birth.
#[derive(Clone, Copy, Debug)]
pub struct ClientConfig {
    /// From the local address to the server.
    pub path: FiveTuple,
    /// The schedule of a request.
    pub retransmission: Retransmission,
    /// Asks again this long after an answer, so that NATs keep the mapping alive; `None` asks only
    /// when told to.
    pub keepalive: Option<Duration>,
}

impl ClientConfig {
    /// The defaults of RFC 8489, without keepalive.
    pub fn new(path: FiveTuple) -> Self {
        Self {
            path,
            retransmission: Retransmission::default(),
            keepalive: None,
        }
    }
}

/// Why the server did not tell an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindingError {
    /// No response came.
    Timeout,
    /// The server refused.
    Rejected(StatusCode),
    /// The response holds no mapped address, or an attribute that must be understood and is not.
    Unusable,
}

impl fmt::Display for BindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no response"),
            Self::Rejected(code) => write!(f, "rejected: {code:?}"),
            Self::Unusable => f.write_str("the response holds no address"),
        }
    }
}

impl core::error::Error for BindingError {}

/// What a [`Client`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server saw requests come from this address.
    Mapped {
        /// The server-reflexive transport address.
        address: SocketAddr,
        /// The round trip, where no retransmission makes it ambiguous.
        round_trip: Option<Duration>,
    },
    /// The request failed.
    Failed(BindingError),
}

/// Asks one server for the mapped address of one local address, and may keep the mapping alive.
///
/// ```
/// use floe_sansio::{Datagram, FiveTuple, Instant};
/// use floe_stun::{Client, ClientConfig, ClientEvent, Server};
///
/// let now = Instant::ZERO;
/// let path = FiveTuple::udp("192.0.2.1:5000".parse().unwrap(), "198.51.100.1:3478".parse().unwrap());
/// let mut client = Client::new(ClientConfig::new(path), [1; 32], now);
/// let mut server = Server::new([2; 32], now);
///
/// client.bind(now);
/// let request = client.poll_transmit().unwrap();
/// let mut buffer = request.payload.to_vec();
/// let _ = server.handle_input(now, Datagram::whole(request.path.mirrored(), &mut buffer));
/// let response = server.poll_transmit().unwrap();
/// let mut buffer = response.payload.to_vec();
/// let _ = client.handle_input(now, Datagram::whole(response.path.mirrored(), &mut buffer));
///
/// let event = client.poll_event().unwrap();
/// assert!(matches!(event, ClientEvent::Mapped { address, .. } if address == path.local));
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    config: ClientConfig,
    clock: Clock,
    entropy: Entropy,
    transactions: Transactions<()>,
    keepalive_at: Option<Instant>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Instant) -> Self {
        Self {
            config,
            clock: Clock::new(now),
            entropy: Entropy::new(seed),
            transactions: Transactions::default(),
            keepalive_at: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Where it asks, and from where.
    pub const fn path(&self) -> FiveTuple {
        self.config.path
    }

    /// Asks, unless a request is under way.
    pub fn bind(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        self.keepalive_at = None;
        if !self.transactions.is_empty() {
            return;
        }
        let id = TransactionId::random(&mut self.entropy);
        let mut buffer = [0; 32];
        let kind = MessageType::new(Class::Request, Method::BINDING);
        let Ok(payload) = Builder::new(&mut buffer, kind, id)
            .with_fingerprint()
            .finish_bytes()
        else {
            return;
        };
        let path = self.config.path;
        let schedule = self.config.retransmission;
        let started = self
            .transactions
            .start(now, path, id, payload, schedule, ());
        self.transmits.extend(started.ok().flatten());
    }

    /// Stops asking and forgets what is under way.
    pub fn stop(&mut self) {
        self.transactions.clear();
        self.keepalive_at = None;
    }

    /// One datagram arrived.
    #[allow(clippy::needless_pass_by_value)] // the signature of every machine
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let now = self.clock.advance(now);
        let message = match Message::parse(datagram.payload()) {
            Ok(message) => message,
            Err(error) if error.kind.is_not_stun() => return Input::Dropped(DropReason::NotStun),
            Err(_) => return Input::Dropped(DropReason::Malformed),
        };
        let id = message.transaction_id();
        if !matches!(message.class(), Class::Success | Class::Error) {
            return Input::Dropped(DropReason::Unsupported);
        }
        if message.method() != Method::BINDING
            || self.transactions.find(id, datagram.path).is_none()
        {
            return Input::Dropped(DropReason::NoTransaction);
        }
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let Some(transaction) = self.transactions.remove(id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let event = match read_response(&message) {
            Ok(address) => ClientEvent::Mapped {
                address,
                round_trip: transaction.round_trip(now),
            },
            Err(error) => ClientEvent::Failed(error),
        };
        self.finish(now, event);
        Input::Handled
    }

    /// The clock reached [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        while let Some(due) = self.transactions.handle_timeout(now) {
            match due {
                Due::Transmit(transmit) => self.transmits.push_back(transmit),
                Due::Failed(..) => self.finish(now, ClientEvent::Failed(BindingError::Timeout)),
            }
        }
        if self.keepalive_at.is_some_and(|at| at <= now) {
            self.bind(now);
        }
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
        self.transactions
            .poll_timeout()
            .into_iter()
            .chain(self.keepalive_at)
            .min()
    }

    fn finish(&mut self, now: Instant, event: ClientEvent) {
        self.events.push_back(event);
        self.keepalive_at = self.config.keepalive.map(|interval| now + interval);
    }
}

/// What a response to a Binding request may carry that must be understood.
const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    // Reserved since RFC 3489, still sent by old servers (RFC 5389 §12.1).
    AttributeType(0x0002),
    AttributeType(0x0004),
    AttributeType(0x0005),
    AttributeType(0x000B),
];

/// The mapped address in the response to a Binding request.
pub fn read_response(message: &Message<'_>) -> Result<SocketAddr, BindingError> {
    if message.unknown_required(KNOWN).next().is_some() {
        return Err(BindingError::Unusable);
    }
    if message.class() == Class::Error {
        let error = message.get::<ErrorCode<'_>>().ok().flatten();
        return Err(error.map_or(BindingError::Unusable, |e| BindingError::Rejected(e.code)));
    }
    if let Ok(Some(XorMappedAddress(address))) = message.get() {
        return Ok(address);
    }
    match message.get() {
        Ok(Some(MappedAddress(address))) => Ok(address),
        _ => Err(BindingError::Unusable),
    }
}

impl_machine!(Client, ClientEvent);

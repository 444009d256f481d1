//! The Binding server: it tells everyone where their packets come from, and remembers nothing.

mod budget;
mod classic;
mod config;

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::net::SocketAddr;

use bytes::Bytes;
use floe_sansio::{
    Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Transmit, Transport, impl_machine,
};

pub use budget::Budget;
pub use config::{AddressGrid, BehaviourService, ServerConfig, ServerConfigError};

use self::budget::Answers;
use self::classic::Classic;
use crate::attribute::AttributeType;
use crate::attributes::{
    ChangeRequest, ErrorCode, MappedAddress, OtherAddress, Padding, ResponseOrigin, ResponsePort,
    Software, StatusCode, UnknownRequired, XorMappedAddress,
};
use crate::builder::{BuildError, Builder};
use crate::message::{Class, Message, Method, ParseErrorKind};

/// Responses that wait for `poll_transmit` at most; a driver drains after every call, so only a
/// broken one ever gets there.
pub const MAX_PENDING: usize = 64;

/// Bytes of the longest response of a basic server: a 420 with [`UnknownRequired::MAX`] types and a
/// fingerprint.
const BASIC_MAX: usize = 128;
/// What SOFTWARE and the addresses of RFC 5780 may add to it.
const MORE_MAX: usize = 1024;

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
    answers: Option<Answers>,
    /// Where responses are built.
    scratch: Vec<u8>,
    transmits: VecDeque<Transmit>,
}

/// What a request is answered with.
struct Plan {
    /// From where, and to where.
    path: FiveTuple,
    outcome: Outcome,
}

enum Outcome {
    Success {
        /// XOR-MAPPED-ADDRESS.
        seen: SocketAddr,
        /// OTHER-ADDRESS, where there is one.
        other: Option<SocketAddr>,
        padded: bool,
    },
    Error(StatusCode),
    Unknown(UnknownRequired),
}

impl Server {
    /// A basic server without a budget, for owners that bound themselves what they answer. It needs
    /// neither randomness nor time; the arguments are those of every machine.
    pub fn new(_seed: [u8; 32], _now: Instant) -> Self {
        Self {
            config: ServerConfig::BASIC,
            answers: None,
            scratch: vec![0; BASIC_MAX],
            transmits: VecDeque::new(),
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
        Ok(Self {
            answers: config
                .budget
                .map(|budget| Answers::new(budget, &mut entropy, now)),
            config,
            scratch: vec![0; BASIC_MAX + MORE_MAX],
            transmits: VecDeque::new(),
        })
    }

    /// One datagram arrived.
    #[allow(clippy::needless_pass_by_value)] // the signature of every machine
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let path = datagram.path;
        match Message::parse(datagram.payload()) {
            Ok(message) => self.handle_message(now, path, &message),
            Err(error) if error.kind == ParseErrorKind::Cookie => {
                self.handle_classic(now, path, datagram.payload())
            }
            Err(error) if error.kind.is_not_stun() => Input::Dropped(DropReason::NotStun),
            Err(_) => Input::Dropped(DropReason::Malformed),
        }
    }

    fn handle_message(&mut self, now: Instant, path: FiveTuple, message: &Message<'_>) -> Input {
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
            Class::Indication => return Input::Handled,
            Class::Success | Class::Error => return Input::Dropped(DropReason::NoTransaction),
        }
        if let Some(reason) = self.refuses(now, path) {
            return Input::Dropped(reason);
        }
        let plan = match unknown {
            Some(unknown) => Plan {
                path,
                outcome: Outcome::Unknown(unknown),
            },
            None => self.plan(path, message).unwrap_or_else(|code| Plan {
                path,
                outcome: Outcome::Error(code),
            }),
        };
        if let Ok(payload) = self.respond(message, &plan) {
            let path = plan.path;
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
        if let Some(reason) = self.refuses(now, path) {
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
    fn refuses(&mut self, now: Instant, path: FiveTuple) -> Option<DropReason> {
        // Port 0 cannot be answered.
        if path.remote.port() == 0 {
            return Some(DropReason::Forbidden);
        }
        if self.transmits.len() >= MAX_PENDING {
            return Some(DropReason::Capacity);
        }
        let within = match &mut self.answers {
            Some(answers) => answers.take(now, path.remote.ip()),
            None => true,
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

    /// How a request is answered that is all understood (RFC 5780 §6.1).
    fn plan(&self, mut path: FiveTuple, request: &Message<'_>) -> Result<Plan, StatusCode> {
        let seen = path.remote;
        let mut other = None;
        let mut padded = false;
        if self.config.behaviour.is_some() {
            let malformed = |_| StatusCode::BAD_REQUEST;
            let change = request.get::<ChangeRequest>().map_err(malformed)?;
            let port = request.get::<ResponsePort>().map_err(malformed)?;
            padded = request.get::<Padding<'_>>().map_err(malformed)?.is_some();
            if padded && port.is_some() {
                return Err(StatusCode::BAD_REQUEST);
            }
            if let Some(grid) = self.grid(path) {
                let both = ChangeRequest {
                    ip: true,
                    port: true,
                };
                other = grid.origin(path.local, both);
                if let Some(origin) = grid.origin(path.local, change.unwrap_or_default()) {
                    path.local = origin;
                }
            }
            match port {
                Some(ResponsePort(0)) => return Err(StatusCode::BAD_REQUEST),
                Some(ResponsePort(port)) => path.remote.set_port(port),
                None => {}
            }
        }
        Ok(Plan {
            path,
            outcome: Outcome::Success {
                seen,
                other,
                padded,
            },
        })
    }

    fn respond(&mut self, request: &Message<'_>, plan: &Plan) -> Result<Bytes, BuildError> {
        let mut scratch = core::mem::take(&mut self.scratch);
        let response = self.build(&mut scratch, request, plan, None);
        let response = match (response, &plan.outcome) {
            (Ok(len), Outcome::Success { padded: true, .. }) => {
                // PADDING must be in the response, and the response must not outgrow the request
                // unless it does so without.
                let size = request.as_bytes().len();
                let room = size.saturating_sub(len + 4) & !3;
                let mut buffer = vec![0; len + 4 + room];
                let zeros = vec![0; room];
                let len = self.build(&mut buffer, request, plan, Some(Padding(&zeros)));
                buffer.truncate(len.unwrap_or(0));
                len.map(|_| Bytes::from(buffer))
            }
            (Ok(len), _) => Ok(Bytes::copy_from_slice(&scratch[..len])),
            (Err(error), _) => Err(error),
        };
        self.scratch = scratch;
        response
    }

    fn build(
        &self,
        buffer: &mut [u8],
        request: &Message<'_>,
        plan: &Plan,
        padding: Option<Padding<'_>>,
    ) -> Result<usize, BuildError> {
        let class = match plan.outcome {
            Outcome::Success { .. } => Class::Success,
            _ => Class::Error,
        };
        let builder = Builder::response(buffer, request, class);
        let builder = match &plan.outcome {
            Outcome::Success { seen, other, .. } => {
                let builder = builder.with(&XorMappedAddress(*seen));
                if self.config.behaviour.is_some() {
                    builder
                        .with(&MappedAddress(*seen))
                        .with(&ResponseOrigin(plan.path.local))
                        .with_some(other.map(OtherAddress).as_ref())
                        .with_some(padding.as_ref())
                } else {
                    builder
                }
            }
            Outcome::Error(code) => builder.with(&ErrorCode::of(*code)),
            Outcome::Unknown(unknown) => builder
                .with(&ErrorCode::of(StatusCode::UNKNOWN_ATTRIBUTE))
                .with(&unknown.attribute()),
        };
        let builder = builder.with_some(self.config.software.as_deref().map(Software).as_ref());
        // Echoed, and with a shared port always there (RFC 8489 §7, §12).
        if request.has_fingerprint() {
            builder.with_fingerprint().finish()
        } else {
            builder.finish()
        }
    }

    /// Nothing ever becomes due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// The next response.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// There is nothing to tell.
    pub fn poll_event(&mut self) -> Option<Infallible> {
        None
    }

    /// Never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl_machine!(Server, Infallible);

//! The Binding server: it tells everyone where their packets come from, and remembers nothing.

use alloc::collections::VecDeque;
use core::convert::Infallible;

use floe_sansio::{Datagram, DropReason, Input, Instant, Transmit, impl_machine};

use crate::attribute::AttributeType;
use crate::attributes::{ErrorCode, StatusCode, UnknownRequired, XorMappedAddress};
use crate::builder::Builder;
use crate::message::{Class, Message, Method};

/// Responses that wait for `poll_transmit` at most; a driver drains after every call, so only a
/// broken one ever gets there.
pub const MAX_PENDING: usize = 64;

/// Bytes of the longest response: a 420 with [`UnknownRequired::MAX`] types and a fingerprint.
const RESPONSE_MAX: usize = 128;

/// What a Binding request may carry that must be understood. Credentials are tolerated and not
/// checked: the basic server has no users (RFC 8489 §12).
const KNOWN: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::USERHASH,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
];

/// Answers Binding requests (RFC 8489 §12); keeps nothing per source.
///
/// See [`Client`](crate::Client) for the two together.
#[derive(Clone, Debug)]
pub struct Server {
    transmits: VecDeque<Transmit>,
}

impl Server {
    /// A server. It needs neither randomness nor time; the arguments are those of every machine.
    pub fn new(_seed: [u8; 32], _now: Instant) -> Self {
        Self {
            transmits: VecDeque::new(),
        }
    }

    /// One datagram arrived.
    #[allow(clippy::needless_pass_by_value)] // the signature of every machine
    pub fn handle_input(&mut self, _now: Instant, datagram: Datagram<'_>) -> Input {
        let message = match Message::parse(datagram.payload()) {
            Ok(message) => message,
            Err(error) if error.kind.is_not_stun() => return Input::Dropped(DropReason::NotStun),
            Err(_) => return Input::Dropped(DropReason::Malformed),
        };
        if message.method() != Method::BINDING {
            return Input::Dropped(DropReason::Unsupported);
        }
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let unknown = UnknownRequired::find(&message, KNOWN);
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
        // Port 0 cannot be answered.
        if datagram.path.remote.port() == 0 {
            return Input::Dropped(DropReason::Forbidden);
        }
        if self.transmits.len() >= MAX_PENDING {
            return Input::Dropped(DropReason::Capacity);
        }

        let mut buffer = [0; RESPONSE_MAX];
        let response = if let Some(unknown) = unknown {
            Builder::response(&mut buffer, &message, Class::Error)
                .with(&ErrorCode::of(StatusCode::UNKNOWN_ATTRIBUTE))
                .with(&unknown.attribute())
        } else {
            Builder::response(&mut buffer, &message, Class::Success)
                .with(&XorMappedAddress(datagram.path.remote))
        };
        let response = if message.has_fingerprint() {
            response.with_fingerprint()
        } else {
            response
        };
        if let Ok(payload) = response.finish_bytes() {
            self.transmits.push_back(Transmit {
                path: datagram.path,
                payload,
            });
        }
        Input::Handled
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

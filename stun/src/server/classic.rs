//! Clients of RFC 3489, whose messages have no magic cookie (RFC 5389 §12.2, RFC 8489 §11).

use bytes::Bytes;
use floe_sansio::FiveTuple;

use crate::attribute::AttributeType;
use crate::attributes::{ErrorCode, MappedAddress, StatusCode, UnknownRequired};
use crate::builder::{BuildError, Builder};
use crate::message::{Class, HEADER_LEN, MAGIC_COOKIE, Message, Method};

/// Bytes of the longest classic request that is read; larger ones are not STUN here.
const REQUEST_MAX: usize = 548;

/// Bytes of the longest answer: a 420 with [`UnknownRequired::MAX`] types.
const RESPONSE_MAX: usize = 64;

/// What a classic request may carry that must be understood. CHANGE-REQUEST and RESPONSE-ADDRESS are
/// not served (RFC 5389 §12.2).
const KNOWN: &[AttributeType] = &[AttributeType::USERNAME];

/// A classic message as it would be with the cookie.
pub(super) struct Classic {
    bytes: [u8; REQUEST_MAX],
    len: usize,
    /// What stands in the place of the cookie: part of the transaction id.
    id: [u8; 4],
}

impl Classic {
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        let mut bytes = [0; REQUEST_MAX];
        bytes.get_mut(..datagram.len())?.copy_from_slice(datagram);
        let id = *datagram.get(4..)?.first_chunk()?;
        bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        let classic = Self {
            bytes,
            len: datagram.len(),
            id,
        };
        classic.request().is_some().then_some(classic)
    }

    /// A Binding request; a classic client sends nothing else.
    fn request(&self) -> Option<Message<'_>> {
        let message = Message::parse(&self.bytes[..self.len]).ok()?;
        let kind = (message.method(), message.class());
        (kind == (Method::BINDING, Class::Request)).then_some(message)
    }

    /// The answer over UDP.
    pub(super) fn answer(&self, path: FiveTuple) -> Option<Bytes> {
        let request = self.request()?;
        self.respond(|buffer| match UnknownRequired::find(&request, KNOWN) {
            Some(unknown) => Builder::response(buffer, &request, Class::Error)
                .with(&bare(StatusCode::UNKNOWN_ATTRIBUTE))
                .with_raw(AttributeType::UNKNOWN_ATTRIBUTES, even(&unknown).as_slice())
                .finish(),
            None => Builder::response(buffer, &request, Class::Success)
                .with(&MappedAddress(path.remote))
                .finish(),
        })
    }

    /// The answer over DTLS, where there are no classic clients (RFC 8489 §11).
    pub(super) fn refusal(&self) -> Option<Bytes> {
        let request = self.request()?;
        self.respond(|buffer| {
            Builder::response(buffer, &request, Class::Error)
                .with(&bare(StatusCode::SERVER_ERROR))
                .finish()
        })
    }

    /// Puts the received bits back into the place of the cookie.
    fn respond(&self, build: impl FnOnce(&mut [u8]) -> Result<usize, BuildError>) -> Option<Bytes> {
        let mut buffer = [0; RESPONSE_MAX + HEADER_LEN];
        let len = build(&mut buffer).ok()?;
        buffer[4..8].copy_from_slice(&self.id);
        Some(Bytes::copy_from_slice(&buffer[..len]))
    }
}

/// Without a reason phrase: RFC 3489 has no padding, so that values are multiples of 4 bytes.
const fn bare(code: StatusCode) -> ErrorCode<'static> {
    ErrorCode { code, reason: "" }
}

/// The list with an even number of types, the last one repeated where needed (RFC 3489 §11.2.10).
fn even(unknown: &UnknownRequired) -> alloc::vec::Vec<u8> {
    let mut types: alloc::vec::Vec<_> = unknown.attribute().iter().collect();
    if types.len() % 2 == 1 {
        types.extend(types.last().copied());
    }
    types.iter().flat_map(|kind| kind.0.to_be_bytes()).collect()
}

//! Connectivity checks on the wire: Binding requests and their answers (RFC 8445 §7).

use alloc::format;
use alloc::string::String;
use core::net::SocketAddr;

use bytes::Bytes;
use floe_stun::{
    AttributeType, BuildError, Builder, Class, ErrorCode, IceControlled, IceControlling, Key,
    Message, MessageType, Method, Priority, StatusCode, TransactionId, UnknownRequired,
    UseCandidate, Username, XorMappedAddress,
};

use crate::role::Role;
use floe_sdp::ice::IceCredentials;

/// Bytes of a value that may be attached to checks and their answers.
pub(crate) const PIGGYBACK_MAX: usize = 500;
/// Bytes of the longest check: two fragments of up to 256 characters in USERNAME, and what is attached.
const REQUEST_MAX: usize = 712 + PIGGYBACK_MAX + 4;
/// Bytes of the longest answer: a 420 with a full list, integrity and fingerprint, or what is attached.
const RESPONSE_MAX: usize = 160 + PIGGYBACK_MAX + 4;

/// The counter of nominations of draft-thatcher-ice-renomination: comprehension-optional, 32 bits.
/// Browsers use this number, which IANA has not assigned.
const NOMINATION: AttributeType = AttributeType(0xC001);

/// What a check or its answer may carry that must be understood.
const KNOWN: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::MAPPED_ADDRESS,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::USERHASH,
];

/// An attribute that the owner attaches to checks and their answers.
pub(crate) type Attached = (u16, Bytes);

fn attach<'b>(builder: Builder<'b>, attached: Option<&Attached>) -> Builder<'b> {
    match attached {
        Some((kind, value)) => builder.with_raw(AttributeType(*kind), value),
        None => builder,
    }
}

/// Both sides' credentials, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// USERNAME of the requests that this agent sends: `remote:local`.
    username: String,
    /// Key of the requests that this agent sends and of the answers to them.
    pub(crate) remote_key: Key,
}

impl Session {
    pub(crate) fn new(local: &IceCredentials, remote: &IceCredentials) -> Self {
        Self {
            username: format!("{}:{}", remote.ufrag(), local.ufrag()),
            remote_key: Key::short_term(remote.pwd()),
        }
    }

    /// A check.
    pub(crate) fn request(
        &self,
        id: TransactionId,
        check: Check,
        attached: Option<&Attached>,
    ) -> Result<Bytes, BuildError> {
        let mut buffer = [0; REQUEST_MAX];
        let kind = MessageType::new(Class::Request, Method::BINDING);
        let mut builder = Builder::new(&mut buffer, kind, id)
            .with(&Username(&self.username))
            .with(&Priority(check.priority))
            .with_some(check.nominate.then_some(&UseCandidate));
        if let Some(counter) = check.nomination {
            builder = builder.with_raw(NOMINATION, &counter.to_be_bytes());
        }
        let builder = attach(builder, attached);
        let builder = match check.role {
            Role::Controlling => builder.with(&IceControlling(check.tie_breaker)),
            Role::Controlled => builder.with(&IceControlled(check.tie_breaker)),
        };
        builder
            .with_integrity(&self.remote_key)
            .with_fingerprint()
            .finish_bytes()
    }
}

/// What a check says beside who sends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// Of the peer-reflexive candidate that the check may reveal.
    pub(crate) priority: u32,
    /// The sender's role.
    pub(crate) role: Role,
    /// The sender's tie-breaker.
    pub(crate) tie_breaker: u64,
    /// Whether the pair is nominated.
    pub(crate) nominate: bool,
    /// Which nomination of the session it is, between agents that renominate.
    pub(crate) nomination: Option<u32>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400: USERNAME or integrity is missing, or something in it is malformed. Not signed.
    Malformed,
    /// 401: not this agent's name or password. Not signed.
    Unauthenticated,
    /// 420: signed.
    Unknown(UnknownTypes),
}

/// [`UnknownRequired`], with the comparison that tests want.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnknownTypes(UnknownRequired);

impl PartialEq for UnknownTypes {
    fn eq(&self, other: &Self) -> bool {
        self.0.attribute() == other.0.attribute()
    }
}

impl Eq for UnknownTypes {}

/// Reads a check and proves that it comes from someone who was given the credentials `local`
/// (RFC 8445 §7.3, RFC 8489 §9.1.3, in its order).
///
/// A check without a role attribute comes from an agent that does not detect conflicts; it counts
/// as the role that fits.
pub(crate) fn read_request(
    message: &Message<'_>,
    local: &IceCredentials,
    local_key: &Key,
    own_role: Role,
) -> Result<Check, Refusal> {
    let Some(algorithm) = message.integrity() else {
        return Err(Refusal::Malformed);
    };
    let Ok(Some(Username(username))) = message.get() else {
        return Err(Refusal::Malformed);
    };
    let named = username
        .split_once(':')
        .is_some_and(|(own, rest)| own == local.ufrag() && !rest.contains(':'));
    if !named || !message.verify(local_key, algorithm) {
        return Err(Refusal::Unauthenticated);
    }
    if let Some(unknown) = UnknownRequired::find(message, KNOWN) {
        return Err(Refusal::Unknown(UnknownTypes(unknown)));
    }
    let malformed = |_| Refusal::Malformed;
    let Some(Priority(priority)) = message.get().map_err(malformed)? else {
        return Err(Refusal::Malformed);
    };
    let controlling = message.get().map_err(malformed)?;
    let controlled = message.get().map_err(malformed)?;
    let (role, tie_breaker) = match (controlling, controlled) {
        (Some(IceControlling(value)), _) => (Role::Controlling, value),
        (None, Some(IceControlled(value))) => (Role::Controlled, value),
        (None, None) => (own_role.other(), 0),
    };
    let nominate = message.get::<UseCandidate>().map_err(malformed)?.is_some();
    let nomination = raw(message, NOMINATION).and_then(|value| value.try_into().ok());
    Ok(Check {
        priority,
        role,
        tie_breaker,
        nominate,
        nomination: nomination.map(u32::from_be_bytes),
    })
}

/// The value of an attribute that no type describes.
pub(crate) fn raw<'a>(message: &Message<'a>, kind: AttributeType) -> Option<&'a [u8]> {
    let mut attributes = message.attributes();
    attributes.find(|it| it.kind == kind).map(|it| it.value)
}

/// The first of two parts of a USERNAME: the fragment of whom a request is for.
pub(crate) fn recipient<'a>(message: &Message<'a>) -> Option<&'a str> {
    let Ok(Some(Username(username))) = message.get() else {
        return None;
    };
    username.split_once(':').map(|(own, _)| own)
}

/// The answer to an accepted check: where it came from.
pub(crate) fn success(
    request: &Message<'_>,
    source: SocketAddr,
    local_key: &Key,
    attached: Option<&Attached>,
) -> Result<Bytes, BuildError> {
    let mut buffer = [0; RESPONSE_MAX];
    let builder =
        Builder::response(&mut buffer, request, Class::Success).with(&XorMappedAddress(source));
    attach(builder, attached)
        .with_integrity_like(request, local_key)
        .with_fingerprint()
        .finish_bytes()
}

/// A signed error: the 487 that tells the sender to change its role, or the 400 that refuses what it
/// nominates.
pub(crate) fn error(
    request: &Message<'_>,
    code: StatusCode,
    local_key: &Key,
) -> Result<Bytes, BuildError> {
    let mut buffer = [0; RESPONSE_MAX];
    let builder = Builder::response(&mut buffer, request, Class::Error).with(&ErrorCode::of(code));
    builder
        .with_integrity_like(request, local_key)
        .with_fingerprint()
        .finish_bytes()
}

/// The answer to a check that is refused.
pub(crate) fn refusal(
    request: &Message<'_>,
    refusal: Refusal,
    local_key: &Key,
) -> Result<Bytes, BuildError> {
    let mut buffer = [0; RESPONSE_MAX];
    let builder = Builder::response(&mut buffer, request, Class::Error);
    match refusal {
        Refusal::Malformed => builder.with(&ErrorCode::of(StatusCode::BAD_REQUEST)),
        Refusal::Unauthenticated => builder.with(&ErrorCode::of(StatusCode::UNAUTHENTICATED)),
        Refusal::Unknown(UnknownTypes(unknown)) => {
            let builder = builder
                .with(&ErrorCode::of(StatusCode::UNKNOWN_ATTRIBUTE))
                .with(&unknown.attribute());
            builder.with_integrity_like(request, local_key)
        }
    }
    .with_fingerprint()
    .finish_bytes()
}

/// A keepalive that asks for nothing (RFC 8445 §11): no more in it than a FINGERPRINT.
pub(crate) fn indication(id: TransactionId) -> Result<Bytes, BuildError> {
    let mut buffer = [0; 32];
    let kind = MessageType::new(Class::Indication, Method::BINDING);
    let builder = Builder::new(&mut buffer, kind, id);
    builder.with_fingerprint().finish_bytes()
}

/// What an answer to a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The check came from this address.
    Mapped(SocketAddr),
    /// It was refused with this code.
    Refused(StatusCode),
    /// Nothing that can be used.
    Unusable,
}

/// Reads an answer whose integrity has been verified.
pub(crate) fn read_answer(message: &Message<'_>) -> Answer {
    if message.unknown_required(KNOWN).next().is_some() {
        return Answer::Unusable;
    }
    if message.class() == Class::Error {
        return match message.get::<ErrorCode<'_>>() {
            Ok(Some(error)) => Answer::Refused(error.code),
            _ => Answer::Unusable,
        };
    }
    match message.get() {
        Ok(Some(XorMappedAddress(address))) => Answer::Mapped(address),
        _ => Answer::Unusable,
    }
}

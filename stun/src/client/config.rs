//! What a client is told at birth, and what it tells.

use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{FiveTuple, Transport};

use super::authentication::Authentication;
use crate::attributes::{StatusCode, UnknownRequired};
use crate::auth::ChallengeError;
use crate::builder::BuildError;
use crate::transaction::{Retransmission, TransactionError};

/// The servers that one request may be sent on to, unless told otherwise (RFC 8489 §10).
pub const MAX_REDIRECTS: usize = 8;

/// How often a request is repeated after an error 500 to 599 (RFC 8489 §6.3.4).
pub const MAX_SERVER_ERROR_RETRIES: u32 = 4;

/// What FINGERPRINT is to a client (RFC 8489 §7). One in a response is checked in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// Requests have none.
    Unused,
    /// Requests have one; servers that do not know it are put up with.
    Offered,
    /// It is in use: a response without one is discarded.
    Required,
}

/// What a [`Client`](super::Client) is told at birth.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// From the local address to the server. Over TCP, TLS and DTLS the owner has connected it, and
    /// has found the server to be who it should be.
    pub path: FiveTuple,
    /// The schedule of a request; its RTO is for servers of which nothing better is known.
    pub retransmission: Retransmission,
    /// Asks again this long after an answer, so that NATs keep the mapping alive; `None` asks only
    /// when told to.
    pub keepalive: Option<Duration>,
    /// How requests are authenticated. Where the server is one of several of the same name, what is
    /// known of it may come from the client of another one; see
    /// [`Client::authentication`](super::Client::authentication).
    pub authentication: Authentication,
    /// SOFTWARE in requests (RFC 8489 §14.14): up to 127 characters; `None` tells nobody.
    pub software: Option<String>,
    /// Whether FINGERPRINT is used.
    pub fingerprint: Fingerprint,
    /// Whether the server may be one of RFC 3489: requests have no attributes then (RFC 5389 §12.1).
    pub classic: bool,
    /// Whether an address is accepted of another family than that of the local address
    /// (RFC 8489 §6.3.3).
    pub other_family: bool,
    /// Of how many servers the RTO is estimated and remembered (RFC 8489 §6.2.1); 0 leaves it as it
    /// is in `retransmission`.
    pub rto_servers: usize,
    /// How many servers in five minutes the requests may be sent on to; 0 takes 300 (Try Alternate)
    /// for a failure. Only a genuine 300 is followed, so that there must be credentials
    /// (RFC 8489 §10, §14.8).
    pub redirects: usize,
    /// The name that the certificate of the server was checked against; over TLS and DTLS a server
    /// that is redirected to needs it.
    pub domain: Option<String>,
    /// How often a request is repeated after an error 500 to 599, each time after twice the wait,
    /// which begins with the RTO (RFC 8489 §6.3.4).
    pub server_error_retries: u32,
    /// How often a request that fails because an idle connection was dead is repeated on a new one
    /// (RFC 8489 §6.2.2).
    pub reconnects: u32,
}

impl ClientConfig {
    /// What a usage builds on that has its own say in the rest, such as gathering in ICE: the
    /// schedule of RFC 8489, FINGERPRINT offered, and any other answer than an address is a failure.
    pub fn new(path: FiveTuple) -> Self {
        Self {
            path,
            retransmission: Retransmission::default(),
            keepalive: None,
            authentication: Authentication::None,
            software: None,
            fingerprint: Fingerprint::Offered,
            classic: false,
            other_family: true,
            rto_servers: 0,
            redirects: 0,
            domain: None,
            server_error_retries: 0,
            reconnects: 0,
        }
    }

    /// A client by itself, with all that RFC 8489 recommends: SOFTWARE, an RTO that is learnt, a
    /// server that may send it on, repetition after errors of the server and on new connections.
    ///
    /// `domain` is as in the field of that name.
    pub fn standalone(path: FiveTuple, domain: Option<&str>) -> Self {
        let can_follow = !is_secured(path.transport) || domain.is_some();
        Self {
            software: Some(SOFTWARE.into()),
            fingerprint: Fingerprint::Unused,
            rto_servers: MAX_REDIRECTS,
            redirects: if can_follow { MAX_REDIRECTS } else { 0 },
            domain: domain.map(String::from),
            server_error_retries: MAX_SERVER_ERROR_RETRIES,
            reconnects: 1,
            ..Self::new(path)
        }
    }

    /// A client of servers that may be of RFC 3489 (RFC 5389 §12.1).
    pub fn classic(local: SocketAddr, server: SocketAddr) -> Self {
        Self {
            fingerprint: Fingerprint::Unused,
            classic: true,
            ..Self::new(FiveTuple::udp(local, server))
        }
    }

    /// Whether all of this can go together; a client whose configuration cannot fails every request.
    pub fn check(&self) -> Result<(), ClientConfigError> {
        if self.classic && self.fingerprint != Fingerprint::Unused {
            return Err(ClientConfigError::ClassicFingerprint);
        }
        if self.classic && self.path.transport != Transport::Udp {
            return Err(ClientConfigError::ClassicTransport);
        }
        let is_bare = self.software.is_none() && self.authentication.is_none();
        if self.classic && !is_bare {
            return Err(ClientConfigError::ClassicAttributes);
        }
        if self.redirects > 0 && is_secured(self.path.transport) && self.domain.is_none() {
            return Err(ClientConfigError::NoDomain);
        }
        Ok(())
    }
}

/// SOFTWARE of a client by itself.
const SOFTWARE: &str = concat!("floe ", env!("CARGO_PKG_VERSION"));

/// Whether certificates are shown.
pub(super) const fn is_secured(transport: Transport) -> bool {
    matches!(transport, Transport::Tls | Transport::Dtls)
}

/// What cannot go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientConfigError {
    /// FINGERPRINT and RFC 3489 (RFC 8489 §7).
    ClassicFingerprint,
    /// RFC 3489 and anything but UDP (RFC 5389 §12.1, RFC 8489 §11).
    ClassicTransport,
    /// RFC 3489 and attributes in the request (RFC 5389 §12.1).
    ClassicAttributes,
    /// Redirection over TLS or DTLS, and no domain to check certificates against (RFC 8489 §10).
    NoDomain,
}

impl fmt::Display for ClientConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClassicFingerprint => "FINGERPRINT is not for servers of RFC 3489",
            Self::ClassicTransport => "servers of RFC 3489 are asked over UDP",
            Self::ClassicAttributes => "servers of RFC 3489 are asked without attributes",
            Self::NoDomain => "following redirection over TLS or DTLS needs a domain",
        })
    }
}

impl core::error::Error for ClientConfigError {}

/// Why the server did not tell an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindingError {
    /// No response came. Another server may be tried (RFC 8489 §8.1).
    Timeout,
    /// The server refused.
    Rejected(StatusCode),
    /// The server refused, for it does not understand these attributes (RFC 8489 §6.3.4).
    NotUnderstood(UnknownRequired),
    /// The response holds no mapped address, or an attribute that must be understood and is not.
    Unusable,
    /// Responses came, but none with the right integrity (RFC 8489 §9.1.4, §9.2.5).
    IntegrityViolated,
    /// The challenge of the server cannot be answered, or was too often.
    Challenge(ChallengeError),
    /// A hard ICMP error: the server cannot be reached.
    Unreachable,
    /// The connection is gone, or could not be established.
    Disconnected,
    /// The server sent us on, but to no address that we can reach (RFC 8489 §10).
    NoAlternate,
    /// The server sent us on to one that was asked in the last five minutes, or once too often
    /// (RFC 8489 §10).
    RedirectLoop,
    /// The configuration contradicts itself; nothing was sent.
    Config(ClientConfigError),
    /// The request cannot be built; nothing was sent.
    Unsendable(BuildError),
}

impl fmt::Display for BindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no response"),
            Self::Rejected(code) => write!(f, "rejected: {code:?}"),
            Self::NotUnderstood(_) => f.write_str("the server does not understand the request"),
            Self::Unusable => f.write_str("the response holds no address"),
            Self::IntegrityViolated => TransactionError::IntegrityViolated.fmt(f),
            Self::Challenge(error) => error.fmt(f),
            Self::Unreachable => TransactionError::Unreachable.fmt(f),
            Self::Disconnected => TransactionError::Disconnected.fmt(f),
            Self::NoAlternate => f.write_str("sent on to no address that can be reached"),
            Self::RedirectLoop => f.write_str("sent on in a loop"),
            Self::Config(error) => error.fmt(f),
            Self::Unsendable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BindingError {}

impl From<TransactionError> for BindingError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::IntegrityViolated => Self::IntegrityViolated,
            TransactionError::Unreachable => Self::Unreachable,
            TransactionError::Disconnected => Self::Disconnected,
            TransactionError::TimedOut | TransactionError::QueueFull => Self::Timeout,
        }
    }
}

/// What a [`Client`](super::Client) reports.
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
    /// Connect to `path.remote` by `path.transport`, from any local address; `path.local` is the one
    /// of the connection before. Over TLS and DTLS check the certificate against
    /// [`Client::domain`](super::Client::domain), see
    /// [`certificate_names`](crate::certificate_names). Answer with
    /// [`Client::connected`](super::Client::connected) or
    /// [`Client::disconnected`](super::Client::disconnected); nothing is sent before that.
    Connect {
        /// Where to.
        path: FiveTuple,
    },
    /// This connection is dead: reset it (RFC 8489 §6.2.2).
    Abort {
        /// Which.
        path: FiveTuple,
    },
    /// This connection is not needed any more: close it.
    Close {
        /// Which.
        path: FiveTuple,
    },
}

/// Why [`Client::connected`](super::Client::connected) was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectedError {
    /// No connection was asked for.
    NotAwaited,
    /// It leads elsewhere, or by another transport.
    OtherServer,
}

impl fmt::Display for ConnectedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAwaited => "no connection was asked for",
            Self::OtherServer => "the connection leads elsewhere",
        })
    }
}

impl core::error::Error for ConnectedError {}

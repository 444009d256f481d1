//! What a client reports, and why something fails.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::{FiveTuple, Instant};
use floe_stun::{AddressFamily, ConnectionId, ReservationToken, StatusCode, TransactionError};

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocateError {
    /// No response came, or none that could be believed.
    Timeout,
    /// The network says that the server cannot be reached.
    Unreachable,
    /// The connection to the server is gone.
    Disconnected,
    /// Over a reliable transport a response came whose integrity is missing or wrong.
    Integrity,
    /// The server refused the credentials (401 to an authenticated request), or the owner has no token.
    Refused,
    /// The server called each new nonce stale.
    StaleNonce,
    /// Somebody on the way weakened the authentication (RFC 8489 §9.2.5).
    BidDown,
    /// The server wants the user name in clear, and the configuration forbids that.
    Exposed,
    /// 437: the server has another allocation for this 5-tuple, or none where there should be one.
    /// Try another local port.
    Mismatch,
    /// 300: the server sends its users there (RFC 8489 §10).
    Redirected(SocketAddr),
    /// 300, back to a server that has sent us away in the last five minutes (RFC 8489 §10).
    RedirectLoop,
    /// The server rejected the request with this code.
    Rejected(StatusCode),
    /// The response lacks an attribute, or carries one that must be understood and is not.
    Malformed,
    /// The relayed address is not of the family that was asked for (RFC 8656 §7.3).
    Family,
    /// The lifetime ran out before a Refresh got through.
    Expired,
}

/// How long to wait after 486, 508 and 5xx (RFC 8656 §7.4).
pub(super) const BACK_OFF: Duration = Duration::from_secs(60);

impl AllocateError {
    /// How long to wait before the same client may ask again on the same path; `None` if it must not,
    /// because the answer would be the same (RFC 8656 §7.4). See [`Client::retry`](super::Client::retry)
    /// for what a client may do now.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Timeout
            | Self::StaleNonce
            | Self::Expired
            | Self::Unreachable
            | Self::Integrity => Some(Duration::ZERO),
            Self::Rejected(code) if matches!(code.number(), 486 | 500..=599) => Some(BACK_OFF),
            _ => None,
        }
    }

    /// 5xx but 508: the same request may succeed a little later (RFC 8489 §6.3.4).
    pub(super) fn is_server_error(self) -> bool {
        matches!(self, Self::Rejected(code)
            if code.number() / 100 == 5 && code != StatusCode::INSUFFICIENT_CAPACITY)
    }
}

impl From<TransactionError> for AllocateError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::IntegrityViolated => Self::Integrity,
            TransactionError::Unreachable => Self::Unreachable,
            TransactionError::Disconnected => Self::Disconnected,
            _ => Self::Timeout,
        }
    }
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no response"),
            Self::Unreachable => f.write_str("the server cannot be reached"),
            Self::Disconnected => f.write_str("the connection is gone"),
            Self::Integrity => f.write_str("a response had no right integrity"),
            Self::Refused => f.write_str("the credentials were refused"),
            Self::StaleNonce => f.write_str("every nonce was called stale"),
            Self::BidDown => f.write_str("the authentication was weakened on the way"),
            Self::Exposed => f.write_str("the server wants the user name in clear"),
            Self::Mismatch => f.write_str("allocation mismatch (437)"),
            Self::Redirected(server) => write!(f, "try {server} instead (300)"),
            Self::RedirectLoop => f.write_str("the servers send users in a circle (300)"),
            Self::Rejected(code) => write!(f, "rejected: {code:?}"),
            Self::Malformed => f.write_str("the response is malformed"),
            Self::Family => f.write_str("the relayed address is of another family"),
            Self::Expired => f.write_str("the allocation expired"),
        }
    }
}

impl core::error::Error for AllocateError {}

/// What may be done for another allocation, once there is none (RFC 8656 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// Nothing at this server: it would say the same again.
    Never,
    /// [`Client::allocate`](super::Client::allocate), from then on.
    From(Instant),
    /// [`Client::allocate_from`](super::Client::allocate_from) with another local address, from then
    /// on: open a socket or a connection.
    FreshPath(Instant),
    /// [`Client::allocate_from`](super::Client::allocate_from), to this server;
    /// [`Client::alternate_domain`](super::Client::alternate_domain) says whose certificate it shows.
    Elsewhere(SocketAddr),
}

/// What a [`Client`](super::Client) reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server relays now.
    Allocated {
        /// Where peers send to.
        relayed: SocketAddr,
        /// The IPv6 address where peers send to as well, if one was asked for and granted.
        additional: Option<SocketAddr>,
        /// Where the server saw the request come from: a server-reflexive address.
        mapped: SocketAddr,
        /// The round trip of the last request, where no retransmission makes it ambiguous.
        round_trip: Option<Duration>,
    },
    /// Of two families asked for, the server gives no address of this one (RFC 8656 §7.3): 440 is
    /// final; after 508 a later allocation asks again.
    FamilyRefused(AddressFamily, StatusCode),
    /// The port after the relayed one is reserved, for 30 s or longer (RFC 8656 §7.2).
    Reserved(ReservationToken),
    /// There is no allocation; [`Client::retry`](super::Client::retry) says what may be done.
    Failed(AllocateError),
    /// Datagrams from and to this address are relayed.
    PermissionCreated(IpAddr),
    /// They are not; neither the permission nor channels to this address are asked for any more.
    PermissionRefused(IpAddr, AllocateError),
    /// Datagrams to this peer travel in four bytes of header.
    ChannelBound(SocketAddr),
    /// They travel in indications; the channel is no longer asked for.
    ChannelRefused(SocketAddr, AllocateError),
    /// A datagram to this peer provoked an ICMP message (RFC 8656 §11.6).
    Unreachable {
        /// Where the datagram went; port 0 if unknown.
        peer: SocketAddr,
        /// The ICMP type.
        kind: u8,
        /// The ICMP code.
        code: u8,
        /// The MTU of the next hop where the type has one, else 0.
        data: u32,
    },
    /// The allocation is gone, with its channels and data connections. What was wanted of it is
    /// remembered, and asked for again with the next one: see [`Client::retry`](super::Client::retry).
    Lost(AllocateError),
    /// Of two relayed addresses the one of this family is gone, with all that belongs to it.
    FamilyLost(AddressFamily, AllocateError),
    /// The allocation was released on command.
    Released,
    /// Of two relayed addresses the one of this family was released on command.
    FamilyReleased(AddressFamily),
    /// The allocation is reached on this path now (RFC 8016).
    Moved(FiveTuple),
    /// The allocation stays where it is (RFC 8016).
    MoveFailed(AllocateError),
    /// The server takes tokens: get one for the server named by
    /// [`Client::token_server`](super::Client::token_server), and hand it to
    /// [`Client::provide_token`](super::Client::provide_token) (RFC 7635).
    TokenWanted,
    /// A TCP connection to or from this peer waits at the server, for 30 s: open a connection to the
    /// server from another local address and hand it to
    /// [`Client::bind_connection`](super::Client::bind_connection) (RFC 6062).
    ConnectionWanted {
        /// Which.
        id: ConnectionId,
        /// Its other end.
        peer: SocketAddr,
        /// The peer opened it.
        incoming: bool,
    },
    /// What comes and goes on this path from now on are the bytes of the connection: hand no more of
    /// them to the client, and tell it by
    /// [`Client::close_connection`](super::Client::close_connection) when it ends.
    ConnectionBound {
        /// Which.
        id: ConnectionId,
        /// Its other end.
        peer: SocketAddr,
        /// The connection to the server.
        path: FiveTuple,
    },
    /// There is no TCP connection to this peer; close what was opened for it.
    ConnectionFailed(SocketAddr, AllocateError),
}

/// Why a command was rejected. The client is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The allocation has ended, or an allocation was asked for already.
    Closed,
    /// Too early: the server wants a pause after this failure.
    BackOff,
    /// The peer is not of the family of a relayed address.
    Family,
    /// The peer's port is 0.
    Port,
    /// As many permissions, channels or connections as there can be.
    Capacity,
    /// The credentials are longer than RFC 8489 allows to send.
    Credentials,
    /// The configuration asks for what cannot be had together (RFC 8656 §7.1, RFC 6062 §4.1).
    Combination,
    /// The path is not a fresh one, or does not lead where it should.
    Path,
    /// The server gave no ticket, so that the allocation cannot move.
    NoTicket,
    /// Not with what the server speaks with peers.
    PeerTransport,
    /// There is a connection to this peer, or one under way (RFC 6062 §4.3).
    Connected,
    /// No connection with this id waits.
    NoConnection,
    /// No token was asked for.
    NoTokenWanted,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the allocation has ended or is under way",
            Self::BackOff => "the server wants a pause",
            Self::Family => "the peer is of another address family",
            Self::Port => "the peer's port is 0",
            Self::Capacity => "too many permissions, channels or connections",
            Self::Credentials => "the credentials are too long",
            Self::Combination => "what is asked for cannot be had together",
            Self::Path => "the path is not fresh, or leads elsewhere",
            Self::NoTicket => "the allocation cannot move",
            Self::PeerTransport => "not with this transport to peers",
            Self::Connected => "there is a connection to this peer already",
            Self::NoConnection => "no such connection waits",
            Self::NoTokenWanted => "no token was asked for",
        })
    }
}

impl core::error::Error for CommandError {}

/// Why bytes cannot be sent through the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no allocation, or none for datagrams.
    NotAllocated,
    /// No permission was asked for this peer (RFC 8656 §11.1).
    NoPermission,
    /// The buffer has no room around the payload.
    NoRoom,
    /// The payload does not fit a datagram.
    TooLong,
    /// The server was not asked whether it can send without fragmentation, or it cannot
    /// (RFC 8656 §3.7).
    Fragmentation,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllocated => "there is no allocation",
            Self::NoPermission => "no permission was asked for this peer",
            Self::NoRoom => "no room around the payload",
            Self::TooLong => "the payload does not fit a datagram",
            Self::Fragmentation => "the server may have to fragment",
        })
    }
}

impl core::error::Error for SendError {}

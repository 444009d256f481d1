use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::FiveTuple;
use floe_stun::{AddressFamily, Credentials, Retransmission, StatusCode};

/// What a [`Client`](super::Client) is told at birth.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// From the local address to the server.
    pub path: FiveTuple,
    /// The user and the password (RFC 8489 §9.2).
    pub credentials: Credentials,
    /// The schedule of every request.
    pub retransmission: Retransmission,
    /// The lifetime to ask for; `None` leaves it to the server, which then gives 600 s.
    pub lifetime: Option<Duration>,
    /// The family of the relayed address; `None` asks for IPv4 without saying so.
    pub family: Option<AddressFamily>,
}

impl ClientConfig {
    /// The defaults of RFC 8656: an IPv4 relayed address, and the lifetime that the server gives.
    pub fn new(path: FiveTuple, credentials: Credentials) -> Self {
        Self {
            path,
            credentials,
            retransmission: Retransmission::default(),
            lifetime: None,
            family: None,
        }
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocateError {
    /// No response came, or none that could be believed.
    Timeout,
    /// The server refused the credentials (401 to an authenticated request).
    Refused,
    /// The server called each new nonce stale.
    StaleNonce,
    /// Somebody on the way weakened the authentication (RFC 8489 §9.2.5).
    BidDown,
    /// 437: the server has another allocation for this 5-tuple, or none where there should be one.
    /// Try another local port.
    Mismatch,
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
const BACK_OFF: Duration = Duration::from_secs(60);

impl AllocateError {
    /// How long to wait before the same client may ask again; `None` if it must not, because the
    /// answer would be the same (RFC 8656 §7.4).
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Timeout | Self::StaleNonce | Self::Expired => Some(Duration::ZERO),
            Self::Rejected(code) if matches!(code.number(), 486 | 500..=599) => Some(BACK_OFF),
            _ => None,
        }
    }
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no response"),
            Self::Refused => f.write_str("the credentials were refused"),
            Self::StaleNonce => f.write_str("every nonce was called stale"),
            Self::BidDown => f.write_str("the authentication was weakened on the way"),
            Self::Mismatch => f.write_str("allocation mismatch (437)"),
            Self::Rejected(code) => write!(f, "rejected: {code:?}"),
            Self::Malformed => f.write_str("the response is malformed"),
            Self::Family => f.write_str("the relayed address is of another family"),
            Self::Expired => f.write_str("the allocation expired"),
        }
    }
}

impl core::error::Error for AllocateError {}

/// What a [`Client`](super::Client) reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server relays now.
    Allocated {
        /// Where peers send to.
        relayed: SocketAddr,
        /// Where the server saw the request come from: a server-reflexive address.
        mapped: SocketAddr,
        /// The round trip of the last request, where no retransmission makes it ambiguous.
        round_trip: Option<Duration>,
    },
    /// There is no allocation.
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
    /// The allocation is gone, with its permissions and channels.
    Lost(AllocateError),
    /// The allocation was released on command.
    Released,
}

/// Why a command was rejected. The client is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The allocation has ended, or an allocation was asked for already.
    Closed,
    /// Too early: the server wants a pause after this failure.
    BackOff,
    /// The peer is not of the family of the relayed address.
    Family,
    /// The peer's port is 0.
    Port,
    /// As many permissions or channels as there can be.
    Capacity,
    /// The credentials are longer than RFC 8489 allows to send.
    Credentials,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the allocation has ended or is under way",
            Self::BackOff => "the server wants a pause",
            Self::Family => "the peer is of another address family",
            Self::Port => "the peer's port is 0",
            Self::Capacity => "too many permissions or channels",
            Self::Credentials => "the credentials are too long",
        })
    }
}

impl core::error::Error for CommandError {}

/// Why bytes cannot be sent through the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no allocation.
    NotAllocated,
    /// No permission was asked for this peer (RFC 8656 §11.1).
    NoPermission,
    /// The buffer has no room around the payload.
    NoRoom,
    /// The payload does not fit a datagram.
    TooLong,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllocated => "there is no allocation",
            Self::NoPermission => "no permission was asked for this peer",
            Self::NoRoom => "no room around the payload",
            Self::TooLong => "the payload does not fit a datagram",
        })
    }
}

impl core::error::Error for SendError {}

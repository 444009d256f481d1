use alloc::string::String;
use core::time::Duration;

use floe_sansio::{FiveTuple, Transport};
use floe_stun::{AddressFamily, Credentials, ReservationToken, Retransmission};

/// What a [`Client`](super::Client) is told at birth.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each asks for another extension
pub struct ClientConfig {
    /// From the local address to the server. Take a local port that nothing else has used lately
    /// (RFC 8656 §7.1), and UDP unless it is blocked.
    pub path: FiveTuple,
    /// The user and the password (RFC 8489 §9.2).
    pub credentials: Credentials,
    /// The schedule of every request.
    pub retransmission: Retransmission,
    /// The lifetime to ask for; `None` leaves it to the server, which then gives 600 s.
    pub lifetime: Option<Duration>,
    /// The family of the relayed address; `None` asks for IPv4 without saying so.
    pub family: Option<AddressFamily>,
    /// Asks for an IPv6 relayed address beside the IPv4 one (RFC 8656 §7.1); not with `family`, nor
    /// with a reserved port or one to reserve.
    pub additional_ipv6: bool,
    /// Which relayed port.
    pub port: RelayPort,
    /// What the server speaks with peers.
    pub peers: PeerTransport,
    /// Asks whether the server can send without fragmentation; only then
    /// [`encapsulate_unfragmented`](super::Client::encapsulate_unfragmented) may be used
    /// (RFC 8656 §3.7). A server that cannot is asked again without.
    pub dont_fragment: bool,
    /// Asks for a ticket, so that [`migrate`](super::Client::migrate) can take the allocation to
    /// another local address (RFC 8016). A server that forbids it is asked again without.
    pub mobility: bool,
    /// Sends `ChannelData` from the moment that `ChannelBind` has been sent (RFC 8656 §12), so that every
    /// datagram is framed in four bytes. What overtakes the request, or is sent in vain because that is
    /// lost, challenged or refused, the server drops; by default it goes in indications until the server
    /// has confirmed the channel, for which a permission is enough.
    pub early_channels: bool,
    /// Takes the server's offer of third-party authorization, with
    /// [`ClientEvent::TokenWanted`](super::ClientEvent::TokenWanted), before the credentials
    /// (RFC 7635).
    pub third_party: bool,
    /// Rather fails than sends the user name in clear: over UDP and TCP the server must take its hash
    /// (RFC 8656 §21.1.6).
    pub private_username: bool,
    /// How long nothing may be sent before the 5-tuple is kept alive by a Binding indication; `None`
    /// leaves that to the owner. NATs forget after 30 s at the earliest (RFC 4787 §4.3 wants 2 min).
    pub keepalive: Option<Duration>,
    /// SOFTWARE in Allocate and Refresh (RFC 8656 §5): `None`, as it tells attackers more than it helps.
    pub software: Option<String>,
}

/// Which relayed port to ask for (RFC 8656 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayPort {
    /// Whichever.
    #[default]
    Any,
    /// An even one. If there is none, any other.
    Even,
    /// An even one, with the next one reserved:
    /// [`ClientEvent::Reserved`](super::ClientEvent::Reserved) has the token. If there is no such
    /// pair, any other.
    EvenAndNext,
    /// The one that was reserved under this token. If it is gone, any other.
    Reserved(ReservationToken),
}

/// What the server speaks with peers (REQUESTED-TRANSPORT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerTransport {
    /// UDP (RFC 8656).
    #[default]
    Udp,
    /// TCP (RFC 6062); only over TCP or TLS, with any port, and without `dont_fragment`.
    Tcp,
}

impl ClientConfig {
    /// The defaults of RFC 8656: an IPv4 relayed address, and the lifetime that the server gives; the
    /// 5-tuple is kept alive every 25 s.
    pub fn new(path: FiveTuple, credentials: Credentials) -> Self {
        Self {
            path,
            credentials,
            retransmission: Retransmission::default(),
            lifetime: None,
            family: None,
            additional_ipv6: false,
            port: RelayPort::Any,
            peers: PeerTransport::Udp,
            dont_fragment: false,
            mobility: false,
            early_channels: false,
            third_party: false,
            private_username: false,
            keepalive: Some(Duration::from_secs(25)),
            software: None,
        }
    }

    /// Whether what is asked for may be asked for together (RFC 8656 §7.1, RFC 6062 §4.1).
    pub(super) fn is_consistent(&self, transport: Transport) -> bool {
        let reserved = matches!(self.port, RelayPort::Reserved(_));
        let families = !(self.family.is_some() && (self.additional_ipv6 || reserved));
        let additional =
            !(self.additional_ipv6 && (reserved || self.port == RelayPort::EvenAndNext));
        let tcp = self.peers == PeerTransport::Udp
            || transport.is_reliable() && !self.dont_fragment && self.port == RelayPort::Any;
        families && additional && tcp
    }
}

/// Whether others on the way can read what is sent.
pub(super) const fn is_in_clear(transport: Transport) -> bool {
    !matches!(transport, Transport::Tls | Transport::Dtls)
}

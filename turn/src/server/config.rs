use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;
use core::time::Duration;

use floe_sansio::FiveTuple;
use floe_stun::{Budget, Credentials, Redirect, UserWanted};

use super::meter::TrafficBudget;
use super::users::UserBase;
use crate::frame::CHANNELS;
use crate::policy::PeerPolicy;

/// What a [`Server`](super::Server) is told at birth.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // as many switches
pub struct ServerConfig {
    /// Where clients send to. An unspecified address stands for any address with this port.
    pub listeners: Vec<SocketAddr>,
    /// Where relayed addresses are made, IPv4 or IPv6 or both; of several of one family the first
    /// that has a free port.
    pub relay_ips: Vec<IpAddr>,
    /// The ports of relayed addresses (RFC 8656 §7.2); those below 1024 and those of listeners are
    /// left out.
    pub ports: RangeInclusive<u16>,
    /// Whose users these are (RFC 8656 §5).
    pub realm: String,
    /// Who may allocate. Only keys are kept, not passwords.
    pub users: Vec<Credentials>,
    /// Who may allocate, instead of `users`.
    pub user_base: Option<UserBase>,
    /// Who may allocate besides: whoever an authorization server has given a token (RFC 7635).
    #[cfg(feature = "third-party")]
    pub third_party: Option<super::ThirdParty>,
    /// The shortest lifetime given, and that of those who ask for none (RFC 8656 §7.2).
    pub default_lifetime: Duration,
    /// The longest lifetime given (RFC 8656 §7.2).
    pub max_lifetime: Duration,
    /// How long a nonce is good (RFC 8656 §5); more than an hour counts as an hour.
    pub nonce_lifetime: Duration,
    /// For how long a port is kept for whoever has its RESERVATION-TOKEN; 30 s at least
    /// (RFC 8656 §7.2).
    pub reservation_lifetime: Duration,
    /// How much is held at most.
    pub limits: Limits,
    /// How often requests that nobody has signed are answered, by IPv4 address and IPv6 /56; what goes
    /// beyond is dropped as [`DropReason::OverBudget`](floe_sansio::DropReason::OverBudget). `None` for
    /// no bound.
    pub answers: Option<Budget>,
    /// How often the client at one IPv4 address or IPv6 /56 is told of ICMP errors; `None` for never.
    pub icmp: Option<Budget>,
    /// How much each allocation relays at most; `None` for no bound.
    pub budget: Option<TrafficBudget>,
    /// Which peers are relayed to. The server's own relayed addresses always are, its listeners
    /// never.
    pub peers: PeerPolicy,
    /// Which channels clients may bind: those of RFC 8656, or also those that clients of RFC 5766
    /// choose from, [`RFC5766_CHANNELS`](crate::RFC5766_CHANNELS). What lies outside of the latter is
    /// cut off.
    pub channels: RangeInclusive<u16>,
    /// Whether `ChannelData` from the client needs a living permission. RFC 8656 §12.6 asks for a
    /// living channel only.
    pub strict_permissions: bool,
    /// Whether the driver sets the DF bit where a [`Route`](floe_sansio::Route) asks for it. If not,
    /// DONT-FRAGMENT is answered as any attribute that is not understood (RFC 8656 §7.2, §11.2); so it
    /// is in any case where datagrams of an IPv4 client are to go out by IPv6 (§3.7).
    pub dont_fragment: bool,
    /// Whether UDP is relayed; if not, such requests are forbidden (RFC 6062 §5.1).
    pub udp: bool,
    /// Whether TCP is relayed (RFC 6062). The driver must follow the events that speak of connections.
    pub tcp: bool,
    /// Whether an allocation may move to another address of its client (RFC 8016).
    pub mobility: bool,
    /// Another server, to which new clients are sent when this one drains or is full (RFC 8656 §7.2).
    pub alternate: Option<Redirect>,
    /// SOFTWARE, for who has authenticated himself: on Allocate and Refresh (RFC 8656 §5). Up to 127
    /// characters.
    pub software: Option<String>,
}

impl ServerConfig {
    /// A server that listens on `listeners` and relays from `relay_ips`, with the numbers of
    /// RFC 8656, no users, and no special peers.
    pub fn new(listeners: Vec<SocketAddr>, relay_ips: Vec<IpAddr>, realm: &str) -> Self {
        Self {
            listeners,
            relay_ips,
            ports: 49152..=65535,
            realm: realm.into(),
            users: Vec::new(),
            user_base: None,
            #[cfg(feature = "third-party")]
            third_party: None,
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            nonce_lifetime: Duration::from_secs(3600),
            reservation_lifetime: Duration::from_secs(30),
            limits: Limits::default(),
            answers: Some(Budget::DEFAULT),
            icmp: Some(Budget {
                rate: 10,
                burst: 20,
                ..Budget::DEFAULT
            }),
            budget: None,
            peers: PeerPolicy::default(),
            channels: CHANNELS,
            strict_permissions: false,
            dont_fragment: false,
            udp: true,
            tcp: false,
            mobility: false,
            alternate: None,
            software: None,
        }
    }

    /// The same with one user more.
    #[must_use]
    pub fn with_user(mut self, username: &str, password: &str) -> Self {
        self.users.push(Credentials::new(username, password));
        self
    }
}

/// How much a [`Server`](super::Server) holds at most. What goes beyond is answered with the code
/// named here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Allocations in all (508). A dual allocation counts twice, here and below.
    pub allocations: usize,
    /// Allocations of one user (486).
    pub per_user: usize,
    /// Allocations of one IPv4 address, or one /56 of IPv6 addresses, of clients (486).
    pub per_address: usize,
    /// Permissions of one relayed address, and addresses in one request (508).
    pub permissions: usize,
    /// Channels of one relayed address (508).
    pub channels: usize,
    /// Ports that are kept for whoever has a RESERVATION-TOKEN (508).
    pub reservations: usize,
    /// TCP connections to peers, of one allocation (508).
    pub connections: usize,
    /// TCP connections to peers, in all (508).
    pub all_connections: usize,
}

/// 100,000 allocations, 1,000 of them for one user or address, with 256 permissions and
/// channels and 64 connections each; 1,000 reservations and 10,000 connections in all.
impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations: 100_000,
            per_user: 1_000,
            per_address: 1_000,
            permissions: 256,
            channels: 256,
            reservations: 1_000,
            connections: 64,
            all_connections: 10_000,
        }
    }
}

/// What a [`Server`](super::Server) reports. Act on it before sending what `poll_transmit` returns:
/// a client may use its relayed address as soon as it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// Bind a UDP socket to this address, and hand in what arrives there.
    RelayOpened {
        /// The address.
        relayed: SocketAddr,
        /// Whose it is: local is the listener.
        client: FiveTuple,
        /// The user who asked for it; empty if only his user base knows him.
        username: Arc<str>,
    },
    /// Listen for TCP connections at this address (RFC 6062 §5.1), and report them with
    /// [`Server::accept`](super::Server::accept).
    TcpRelayOpened {
        /// The address.
        relayed: SocketAddr,
        /// Whose it is: local is the listener.
        client: FiveTuple,
        /// The user who asked for it; empty if only his user base knows him.
        username: Arc<str>,
    },
    /// Close that socket.
    RelayClosed {
        /// The address.
        relayed: SocketAddr,
        /// Whose it was.
        client: FiveTuple,
        /// Why.
        cause: CloseCause,
    },
    /// The client of this relayed address has moved (RFC 8016).
    ClientMoved {
        /// The address.
        relayed: SocketAddr,
        /// Where the client was.
        from: FiveTuple,
        /// Where it is.
        to: FiveTuple,
    },
    /// Open a TCP connection from `relayed` to `peer`, and say with
    /// [`Server::connected`](super::Server::connected) what came of it (RFC 6062 §5.2). Nothing is read
    /// from it yet.
    Connect {
        /// Names the connection.
        connection: u32,
        /// From where.
        relayed: SocketAddr,
        /// To where.
        peer: SocketAddr,
    },
    /// Send what is to be sent to `client`; all that follows on that connection goes to the peer's as it
    /// is, and the other way (RFC 6062 §5.4). If one of the two ends, end the other, and say so with
    /// [`Server::disconnected`](super::Server::disconnected).
    Splice {
        /// The connection to the peer.
        connection: u32,
        /// The connection to the client.
        client: FiveTuple,
    },
    /// Give up or close the connection to the peer, and that to the client if they were joined.
    Disconnect {
        /// Names the connection.
        connection: u32,
    },
    /// A request waits until the owner has found its user, who is then told with
    /// [`Server::answer_user`](super::Server::answer_user).
    UserWanted(UserWanted),
}

/// Why a relayed address is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// The client gave it back.
    Released,
    /// The client did not refresh it in time.
    Expired,
    /// The owner of the server closed it.
    Closed,
    /// The connection to the client ended.
    Disconnected,
}

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;
use core::time::Duration;

use floe_sansio::FiveTuple;
use floe_stun::{Budget, Credentials};

use super::meter::TrafficBudget;
use crate::frame::CHANNELS;
use crate::policy::PeerPolicy;

/// What a [`Server`](super::Server) is told at birth.
#[derive(Clone, Debug)]
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
    /// The shortest lifetime given, and that of those who ask for none (RFC 8656 §7.2).
    pub default_lifetime: Duration,
    /// The longest lifetime given (RFC 8656 §7.2).
    pub max_lifetime: Duration,
    /// How long a nonce is good, an hour at most (RFC 8656 §5).
    pub nonce_lifetime: Duration,
    /// How much is held at most.
    pub limits: Limits,
    /// How often requests that nobody has signed are answered, by IPv4 address and IPv6 /56; what goes
    /// beyond is dropped as [`DropReason::OverBudget`](floe_sansio::DropReason::OverBudget). `None` for
    /// no bound.
    pub answers: Option<Budget>,
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
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            nonce_lifetime: Duration::from_secs(3600),
            limits: Limits::default(),
            answers: Some(Budget::DEFAULT),
            budget: None,
            peers: PeerPolicy::default(),
            channels: CHANNELS,
            strict_permissions: false,
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
    /// Allocations in all (508).
    pub allocations: usize,
    /// Allocations of one user (486).
    pub per_user: usize,
    /// Allocations of one IPv4 address, or one /56 of IPv6 addresses, of clients (486).
    pub per_address: usize,
    /// Permissions of one allocation, and addresses in one request (508).
    pub permissions: usize,
    /// Channels of one allocation (508).
    pub channels: usize,
}

/// 100,000 allocations, 1,000 of them for one user or address, with 256 permissions and channels each.
impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations: 100_000,
            per_user: 1_000,
            per_address: 1_000,
            permissions: 256,
            channels: 256,
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
        /// The user who asked for it.
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
}

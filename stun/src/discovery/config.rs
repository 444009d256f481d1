//! What behaviour discovery is told at birth.

use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use crate::transaction::Retransmission;

/// What a [`Discovery`](crate::Discovery) is told at birth.
#[derive(Clone, Debug)]
pub struct DiscoveryConfig {
    /// A server of RFC 5780, as [`Usage::BehaviorDiscovery`](crate::resolve::Usage::BehaviorDiscovery) finds it.
    pub server: SocketAddr,
    /// The socket to be tested, if it is open already: the one that the application will use, from which
    /// nothing has been sent for 15 minutes (RFC 5780 §4.1). `None` asks for one.
    pub local: Option<SocketAddr>,
    /// From where the ports of the sockets that are asked for are drawn. NATs may treat ports of other
    /// ranges otherwise (RFC 5780 §4.1): [`DYNAMIC_PORTS`] or [`REGISTERED_PORTS`].
    pub ports: RangeInclusive<u16>,
    /// The schedule of each request. Silence is an answer too, and takes all of it.
    pub retransmission: Retransmission,
    /// Whether FINGERPRINT is used, as where application data share the socket (RFC 5780 §5):
    /// responses without one are then dropped.
    pub fingerprint: bool,
    /// Whether to test hairpinning; takes a second socket.
    pub hairpinning: bool,
    /// How to search for the lifetime of a binding, if at all; takes two sockets more, and several times
    /// as long as what it finds.
    pub lifetime: Option<LifetimeSearch>,
    /// The MTU of the interface, in bytes, to test fragments with a datagram that exceeds it, if at
    /// all; up to [`MTU_MAX`].
    pub mtu: Option<u16>,
}

impl DiscoveryConfig {
    /// Everything, with the times of RFC 8489, an MTU of 1500 bytes and dynamic ports.
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            local: None,
            ports: DYNAMIC_PORTS,
            retransmission: Retransmission::default(),
            fingerprint: false,
            hairpinning: true,
            lifetime: Some(LifetimeSearch::default()),
            mtu: Some(1500),
        }
    }
}

/// The dynamic ports (RFC 5780 §4.1).
pub const DYNAMIC_PORTS: RangeInclusive<u16> = 49_152..=65_535;
/// The upper end of the registered ports (RFC 5780 §4.1).
pub const REGISTERED_PORTS: RangeInclusive<u16> = 32_768..=49_151;

/// The largest MTU that is tested, in bytes: a datagram with its headers stays below 64 KiB
/// (RFC 5780 §7.6).
pub const MTU_MAX: u16 = 60_000;

/// How to search for the lifetime of a binding (RFC 5780 §4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifetimeSearch {
    /// The first wait; it doubles until a binding is found expired.
    pub first: Duration,
    /// The longest wait; a binding that outlives it is left alone.
    pub longest: Duration,
    /// The search ends when it knows the lifetime within this much.
    pub resolution: Duration,
}

impl Default for LifetimeSearch {
    /// From 10 s to 10 minutes, to the second.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(10),
            longest: Duration::from_secs(600),
            resolution: Duration::from_secs(1),
        }
    }
}

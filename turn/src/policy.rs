//! Which peers a server relays to: public unicast addresses, unless its operator says otherwise.

mod canonical;
mod prefix;
mod range;

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

pub(crate) use canonical::canonical;
use canonical::embedded;
pub use prefix::{Prefix, PrefixError};
use prefix::{v4, v6};
use range::RangeSet;
pub use range::{AddressRange, AddressRangeError};

/// No host, or many hosts. No option opens them.
const NOT_UNICAST: &[Prefix] = &[
    v4(0, 0, 0, 0, 8),
    v4(224, 0, 0, 0, 4),
    v4(255, 255, 255, 255, 32),
    v6(0, 0, 0, 128),
    v6(0xff00, 0, 0, 8),
];

/// Teredo and 6to4. No option opens them (RFC 8656 §21.4).
const TUNNELS: &[Prefix] = &[v6(0x2001, 0, 0, 32), v6(0x2002, 0, 0, 16)];

/// What is not public by the registries of special-purpose addresses (RFC 6890), with what was
/// public once or leads elsewhere.
const SPECIAL: &[Prefix] = &[
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(240, 0, 0, 0, 4),
    v6(0, 0, 0, 8), // loopback, and everything unassigned around it
    v6(0x64, 0xff9b, 1, 48),
    v6(0x100, 0, 0, 63), // discard-only, and the dummy prefix beside it
    v6(0x2001, 0, 0, 23),
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x3fff, 0, 0, 20),
    v6(0x5f00, 0, 0, 16),
    v6(0xfc00, 0, 0, 7),
    v6(0xfe80, 0, 0, 10),
    v6(0xfec0, 0, 0, 10),
];

fn is_within(list: &[Prefix], ip: IpAddr) -> bool {
    list.iter().any(|prefix| prefix.contains(ip))
}

/// Whether `ip` is tunnelled by Teredo or 6to4 (RFC 8656 §21.4).
pub(crate) fn is_tunnelled(ip: IpAddr) -> bool {
    is_within(TUNNELS, ip)
}

/// Whether one host can have the address: neither nobody's nor a group's.
pub(crate) fn is_unicast(ip: IpAddr) -> bool {
    !is_within(NOT_UNICAST, ip)
}

/// Why a [`PeerPolicy`] refuses a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PeerRefusal {
    /// The unspecified address, a group, or the broadcast address.
    NotUnicast,
    /// A tunnel: Teredo or 6to4 (RFC 8656 §21.4).
    Tunnelled,
    /// The operator denied it.
    Denied,
    /// The operator protects it: something of the server's own.
    Protected,
    /// A special-purpose address that the operator did not allow.
    SpecialPurpose,
}

impl fmt::Display for PeerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUnicast => "not the address of one host",
            Self::Tunnelled => "a tunnel",
            Self::Denied => "denied",
            Self::Protected => "an address of the server's own",
            Self::SpecialPurpose => "a special-purpose address",
        })
    }
}

/// Which peers a server relays to (RFC 8656 §9.2, §21): by default public unicast addresses only, so
/// that a server in front of a private network opens no way into it.
///
/// It judges what an address stands for: an IPv4 address inside an IPv6 address is judged as itself,
/// and so are the ranges it is told.
///
/// ```
/// use floe_turn::PeerPolicy;
///
/// let policy = PeerPolicy::default().allow("10.0.0.0/8".parse().unwrap());
/// assert!(policy.permits("10.1.2.3".parse().unwrap()));
/// assert!(policy.permits("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!policy.permits("127.0.0.1".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerPolicy {
    allowed: RangeSet,
    denied: RangeSet,
    /// Canonical; port 0 stands for all.
    protected: Vec<SocketAddr>,
}

impl PeerPolicy {
    /// Also relays to these special-purpose addresses. Groups, the unspecified address and tunnels
    /// (Teredo, 6to4) stay closed.
    #[must_use]
    pub fn allow(self, prefix: Prefix) -> Self {
        self.allow_range(prefix.into())
    }

    /// As [`Self::allow`], for a range that need not be a prefix.
    #[must_use]
    pub fn allow_range(mut self, range: AddressRange) -> Self {
        self.allowed.insert(range);
        self
    }

    /// Never relays to these, whatever is allowed.
    #[must_use]
    pub fn deny(self, prefix: Prefix) -> Self {
        self.deny_range(prefix.into())
    }

    /// As [`Self::deny`], for a range that need not be a prefix.
    #[must_use]
    pub fn deny_range(mut self, range: AddressRange) -> Self {
        self.denied.insert(range);
        self
    }

    /// Never relays to something of the server's own, whatever is allowed: a port for its
    /// administration, a database. Port 0 stands for all ports of the address.
    ///
    /// Listeners and relays of the server itself need not be named: it knows them, and which of the
    /// relays are open to each other.
    #[must_use]
    pub fn protect(mut self, address: SocketAddr) -> Self {
        let address = SocketAddr::new(canonical(address.ip()), address.port());
        self.protected.push(address);
        self
    }

    /// Whether a peer may have this address; if not, why.
    pub fn judge(&self, ip: IpAddr) -> Result<(), PeerRefusal> {
        let ip = canonical(ip);
        self.judge_one(ip)?;
        embedded(ip).try_for_each(|inner| self.judge_one(inner))
    }

    /// As [`Self::judge`], with the port.
    pub fn judge_address(&self, peer: SocketAddr) -> Result<(), PeerRefusal> {
        self.judge(peer.ip())?;
        if self.is_protected(peer) {
            return Err(PeerRefusal::Protected);
        }
        Ok(())
    }

    /// Whether [`Self::protect`] named this port of this address.
    pub(crate) fn is_protected(&self, peer: SocketAddr) -> bool {
        let is_own = |ip: IpAddr| {
            let own = SocketAddr::new(ip, peer.port());
            self.protected.contains(&own)
        };
        let ip = canonical(peer.ip());
        !self.protected.is_empty() && (is_own(ip) || embedded(ip).any(is_own))
    }

    /// Whether a peer may have this address.
    pub fn permits(&self, ip: IpAddr) -> bool {
        self.judge(ip).is_ok()
    }

    fn judge_one(&self, ip: IpAddr) -> Result<(), PeerRefusal> {
        if !is_unicast(ip) {
            return Err(PeerRefusal::NotUnicast);
        }
        if is_tunnelled(ip) {
            return Err(PeerRefusal::Tunnelled);
        }
        if self.denied.contains(ip) {
            return Err(PeerRefusal::Denied);
        }
        if self.protected.contains(&SocketAddr::new(ip, 0)) {
            return Err(PeerRefusal::Protected);
        }
        if is_within(SPECIAL, ip) && !self.allowed.contains(ip) {
            return Err(PeerRefusal::SpecialPurpose);
        }
        Ok(())
    }
}

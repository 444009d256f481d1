//! Which peers a server relays to: public unicast addresses, unless its operator says otherwise.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// A range of addresses: those that share the first bits with one.
///
/// ```
/// use floe_turn::Prefix;
///
/// let lan: Prefix = "10.0.0.0/8".parse().unwrap();
/// assert!(lan.contains("10.1.2.3".parse().unwrap()));
/// assert!("10.0.0.0/33".parse::<Prefix>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// A prefix that is not `address/length`, or longer than its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixError;

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address prefix: expected ADDRESS/LENGTH")
    }
}

impl core::error::Error for PrefixError {}

impl Prefix {
    /// The addresses whose first `length` bits are those of `address`.
    pub const fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if length > bits {
            return Err(PrefixError);
        }
        Ok(Self { address, length })
    }

    /// Whether `ip` lies in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let length = u32::from(self.length);
        match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let difference = a.to_bits() ^ b.to_bits();
                difference.checked_shr(32 - length).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let difference = a.to_bits() ^ b.to_bits();
                difference.checked_shr(128 - length).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = text.split_once('/').ok_or(PrefixError)?;
        let address = address.parse().map_err(|_| PrefixError)?;
        Self::new(address, length.parse().map_err(|_| PrefixError)?)
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Prefix {
    Prefix {
        address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        length,
    }
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Prefix {
    Prefix {
        address: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)),
        length,
    }
}

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
    v6(0x100, 0, 0, 64),
    v6(0x2001, 0, 0, 23),
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x3fff, 0, 0, 20),
    v6(0x5f00, 0, 0, 16),
    v6(0xfc00, 0, 0, 7),
    v6(0xfe80, 0, 0, 10),
    v6(0xfec0, 0, 0, 10),
];

/// The translation prefix of RFC 6052, whose addresses are IPv4 addresses in disguise.
const NAT64: Prefix = v6(0x64, 0xff9b, 0, 96);

/// The address that `ip` stands for: IPv4 where it is mapped, compatible, or translated.
pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else {
        return ip;
    };
    let low = Ipv4Addr::from_bits(v6.to_bits() as u32);
    match v6.segments() {
        // :: and ::1 are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => ip,
        // Compatible, mapped (RFC 4291 §2.5.5), translated (RFC 2765 §2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => low.into(),
        _ if NAT64.contains(ip) => low.into(),
        _ => ip,
    }
}

/// Further addresses that a datagram to `ip` may end at: those that a tunnel or translator on the way
/// takes out of it.
fn embedded(ip: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(v6) = ip else {
        return [None; 2];
    };
    let bits = v6.to_bits();
    let low = || IpAddr::V4(Ipv4Addr::from_bits(bits as u32));
    match v6.segments() {
        // ISATAP (RFC 5214 §6.1).
        [_, _, _, _, 0 | 0x0200, 0x5efe, _, _] => [Some(low()), None],
        // Local translation (RFC 8215): with a /48 the address lies around bit 64 (RFC 6052 §2.2),
        // with a /96 at the end.
        [0x64, 0xff9b, 1, ..] => {
            let middle = ((bits >> 64) as u32) << 16 | ((bits >> 40) as u32 & 0xFFFF);
            [Some(low()), Some(IpAddr::V4(Ipv4Addr::from_bits(middle)))]
        }
        _ => [None; 2],
    }
}

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

/// Which peers a server relays to (RFC 8656 §9.2, §21): by default public unicast addresses only, so
/// that a server in front of a private network opens no way into it.
///
/// It judges what an address stands for: an IPv4 address inside an IPv6 address is judged as itself.
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
    allowed: Vec<Prefix>,
    denied: Vec<Prefix>,
}

impl PeerPolicy {
    /// Also relays to these special-purpose addresses. Groups, the unspecified address and tunnels
    /// (Teredo, 6to4) stay closed.
    #[must_use]
    pub fn allow(mut self, prefix: Prefix) -> Self {
        self.allowed.push(prefix);
        self
    }

    /// Never relays to these, whatever is allowed.
    #[must_use]
    pub fn deny(mut self, prefix: Prefix) -> Self {
        self.denied.push(prefix);
        self
    }

    /// Whether a peer may have this address.
    pub fn permits(&self, ip: IpAddr) -> bool {
        let ip = canonical(ip);
        self.permits_one(ip)
            && (embedded(ip).into_iter().flatten()).all(|inner| self.permits_one(inner))
    }

    fn permits_one(&self, ip: IpAddr) -> bool {
        is_unicast(ip)
            && !is_tunnelled(ip)
            && !is_within(&self.denied, ip)
            && (is_within(&self.allowed, ip) || !is_within(SPECIAL, ip))
    }
}

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

    /// The first and the last address in it.
    pub fn bounds(&self) -> (IpAddr, IpAddr) {
        let length = u32::from(self.length);
        match self.address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(length).unwrap_or(0);
                let first = address.to_bits() & !host;
                let at = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
                (at(first), at(first | host))
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(length).unwrap_or(0);
                let first = address.to_bits() & !host;
                let at = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
                (at(first), at(first | host))
            }
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

pub(super) const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Prefix {
    Prefix {
        address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        length,
    }
}

pub(super) const fn v6(a: u16, b: u16, c: u16, length: u8) -> Prefix {
    Prefix {
        address: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)),
        length,
    }
}

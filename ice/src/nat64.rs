//! IPv4 addresses as a host with IPv6 alone reaches them (RFC 6052, RFC 6146).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The prefix under which a NAT64 makes IPv4 hosts appear (RFC 6052 §2.2). The owner finds it by
/// resolving `ipv4only.arpa` (RFC 7050 §3), or knows it.
///
/// ```
/// use floe_ice::Nat64Prefix;
///
/// let prefix = Nat64Prefix::new("2001:db8:122:344::".parse()?, 96).unwrap();
/// assert_eq!(prefix.embed([192, 0, 2, 33].into()).to_string(), "2001:db8:122:344::c000:221");
/// assert_eq!(Nat64Prefix::new("2001:db8::".parse()?, 80), None);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat64Prefix {
    address: Ipv6Addr,
    length: u8,
}

impl Nat64Prefix {
    /// `64:ff9b::/96`, the one that is the same everywhere (RFC 6052 §2.1).
    pub const WELL_KNOWN: Self = Self {
        address: Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, 0, 0),
        length: 96,
    };

    /// A prefix of `length` bits: 32, 40, 48, 56, 64 or 96; `None` if it has another one.
    pub const fn new(address: Ipv6Addr, length: u8) -> Option<Self> {
        match length {
            32 | 40 | 48 | 56 | 64 | 96 => Some(Self { address, length }),
            _ => None,
        }
    }

    /// The IPv6 address that stands for an IPv4 address (RFC 6052 §2.2). Bits 64 to 71 are zero.
    pub fn embed(self, ip: Ipv4Addr) -> Ipv6Addr {
        let mut octets = [0; 16];
        let kept = usize::from(self.length / 8);
        octets[..kept].copy_from_slice(&self.address.octets()[..kept]);
        let mut at = kept;
        for octet in ip.octets() {
            if at == 8 {
                at += 1;
            }
            octets[at] = octet;
            at += 1;
        }
        if kept == 12 {
            octets[8] = 0;
        }
        octets.into()
    }

    pub(crate) fn embed_address(self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) => SocketAddr::new(self.embed(ip).into(), address.port()),
            IpAddr::V6(_) => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 6052 §2.4.
    #[test]
    fn addresses_are_embedded_as_in_the_table_of_the_rfc() {
        for (prefix, length, wanted) in [
            ("2001:db8::", 32, "2001:db8:c000:221::"),
            ("2001:db8:100::", 40, "2001:db8:1c0:2:21::"),
            ("2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::", 96, "2001:db8:122:344::c000:221"),
        ] {
            let prefix = Nat64Prefix::new(prefix.parse().unwrap(), length).unwrap();
            let embedded = prefix.embed(Ipv4Addr::new(192, 0, 2, 33));
            assert_eq!(embedded, wanted.parse::<Ipv6Addr>().unwrap(), "/{length}");
        }
    }
}

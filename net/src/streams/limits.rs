//! Who may connect.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Bounds on the TCP connections to a [`Server`](crate::Server).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections in all; who comes beyond is turned away.
    pub connections: usize,
    /// Connections from one IPv4 address, or from one /56 of IPv6 addresses.
    pub per_address: usize,
    /// How long a connection may stay that has no allocation: until its first authenticated request
    /// has made one, and after its last one has ended.
    pub unproven: Duration,
    /// Bytes of one frame, its header and padding included; a connection with a longer one is closed.
    pub frame: usize,
}

/// 4,096 connections, 256 from one address, 30 s without an allocation, and frames as long as there
/// can be.
impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            per_address: 256,
            unproven: Duration::from_secs(30),
            frame: floe_stun::MAX_FRAME,
        }
    }
}

/// The connections that were accepted, by where they come from.
#[derive(Debug, Default)]
pub(super) struct Guests {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

impl Guests {
    /// Counts one more, unless that is too many.
    pub(super) fn admit(&mut self, limits: &StreamLimits, ip: IpAddr) -> bool {
        let network = network(ip);
        let known = self.by_network.get(&network).copied().unwrap_or(0);
        if self.all >= limits.connections || known >= limits.per_address {
            return false;
        }
        self.all += 1;
        self.by_network.insert(network, known + 1);
        true
    }

    pub(super) fn leave(&mut self, ip: IpAddr) {
        let network = network(ip);
        if let Some(known) = self.by_network.get_mut(&network) {
            *known -= 1;
            self.all -= 1;
            if *known == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}

/// Whoever has an address of a network usually has all of them.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !(u128::MAX >> 56)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_counted_by_network_and_in_all() {
        let limits = StreamLimits {
            connections: 4,
            per_address: 2,
            ..StreamLimits::default()
        };
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut guests = Guests::default();
        for (who, admitted) in [
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:ff::2", true),
            ("192.0.2.2", false),
        ] {
            assert_eq!(guests.admit(&limits, ip(who)), admitted, "{who}");
        }
        guests.leave(ip("192.0.2.1"));
        assert!(!guests.admit(&limits, ip("2001:db8:0:2::1")));
        assert!(guests.admit(&limits, ip("192.0.2.2")));
        for who in ["192.0.2.1", "192.0.2.2", "2001:db8::", "2001:db8:0:2::9"] {
            guests.leave(ip(who));
        }
        assert!(guests.all == 0 && guests.by_network.is_empty());
    }
}

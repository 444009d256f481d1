//! Local preferences: which of several candidates of one kind comes first (RFC 8445 §5.1.2.2,
//! RFC 8421).
//!
//! A local preference is 65535 less a rank, so that ranks only have to differ among the candidates of
//! one component and kind (RFC 8421 §5).

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::LocalAddress;

/// Addresses of one component that can have ranks of their own.
pub(crate) const MAX_PLACES: usize = 256;
/// Servers of one kind that can.
pub(crate) const MAX_SERVERS: usize = 128;

/// The order in which the addresses of one component are preferred: their positions, best first.
///
/// Networks that come and go are last. Of the others those that cost least are first, and where they
/// cost the same, IPv6 and IPv4 alternate after a head start of IPv6 (RFC 8421 §3, §4). Link-local
/// addresses, which reach nobody elsewhere, wait until then. All else follows the owner's order.
pub(crate) fn order(addresses: &[LocalAddress]) -> Vec<usize> {
    let class = |at: &usize| {
        let it = &addresses[*at];
        (it.unreliable, it.network.cost, is_link_local(it))
    };
    let mut ranked: Vec<usize> = (0..addresses.len()).collect();
    ranked.sort_by_key(class);
    let mut order = Vec::with_capacity(ranked.len());
    for alike in ranked.chunk_by(|one, two| class(one) == class(two)) {
        let (unreliable, ..) = class(&alike[0]);
        if unreliable {
            order.extend(alike);
        } else {
            let is_v6 = |at: &usize| addresses[*at].address.is_ipv6();
            let (v6, v4) = alike.iter().copied().partition(is_v6);
            interleave(v6, v4, &mut order);
        }
    }
    order
}

/// IPv6 has a head start; then they take turns.
fn interleave(v6: Vec<usize>, v4: Vec<usize>, order: &mut Vec<usize>) {
    let head = head_start(v4.len(), v6.len());
    let mut v6 = v6.into_iter();
    order.extend(v6.by_ref().take(head));
    for v4 in v4 {
        order.push(v4);
        order.extend(v6.next());
    }
    order.extend(v6);
}

/// How many IPv6 addresses come before the first IPv4 address: (N4 + N6) / N4 (RFC 8421 §4).
const fn head_start(v4: usize, v6: usize) -> usize {
    match (v4 + v6).checked_div(v4) {
        Some(head) => head,
        None => v6,
    }
}

fn is_link_local(address: &LocalAddress) -> bool {
    matches!(address.address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// The local preference of a host candidate: its address is in this place.
pub(crate) const fn of_host(place: u16) -> u16 {
    u16::MAX - place
}

/// That of a server-reflexive candidate, so many of which were found before from the same base.
pub(crate) fn of_reflexive(place: u16, before: usize) -> u16 {
    u16::MAX - (place.min(0xFF) << 8 | u16::try_from(before).unwrap_or(0xFF).min(0xFF))
}

/// That of a relayed candidate: those reached over a stream are last, if there are others too; then the
/// base counts, then the server.
pub(crate) fn of_relay(over_stream: bool, place: u16, server: usize) -> u16 {
    let server = u16::try_from(server).unwrap_or(0x7F).min(0x7F);
    u16::MAX - (u16::from(over_stream) << 15 | place.min(0xFF) << 7 | server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Network;

    fn places(addresses: &[LocalAddress]) -> Vec<std::string::String> {
        let order = order(addresses);
        let texts = order.iter().map(|&at| addresses[at].address.ip());
        texts.map(|ip| std::format!("{ip}")).collect()
    }

    fn address(text: &str) -> LocalAddress {
        LocalAddress::new(std::format!("{text}:1").parse().unwrap())
    }

    fn families(v4: usize, v6: usize) -> std::string::String {
        let mut addresses: Vec<_> = (0..v4)
            .map(|n| address(&std::format!("192.0.2.{n}")))
            .collect();
        addresses.extend((0..v6).map(|n| address(&std::format!("[2001:db8::{n:x}]"))));
        let order = order(&addresses);
        order
            .iter()
            .map(|&at| if at < v4 { '4' } else { '6' })
            .collect()
    }

    /// req: FAIR-4-2
    #[test]
    fn ipv6_has_the_head_start_of_the_formula() {
        let text = include_str!("../tests/data/head_start.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let vectors = vectors.as_array().unwrap();
        assert_eq!(vectors.len(), 3);
        for vector in vectors {
            let [n4, n6, hi] =
                ["n4", "n6", "hi"].map(|name| vector[name].as_u64().unwrap() as usize);
            assert_eq!(head_start(n4, n6), hi, "{vector}");
        }
        assert_eq!(families(2, 6), "66664646");
    }

    /// req: FAIR-4-1, ICE-5.1.2.1-4
    #[test]
    fn families_alternate_after_the_head_start() {
        assert_eq!(families(1, 1), "64");
        assert_eq!(families(3, 3), "664644");
        assert_eq!(families(4, 1), "64444");
        assert_eq!(families(0, 2), "66");
        assert_eq!(families(2, 0), "44");
    }

    #[test]
    fn within_a_family_the_order_of_naming_counts() {
        let order =
            places(&["192.0.2.7", "[2001:db8::9]", "192.0.2.3", "[2001:db8::2]"].map(address));
        assert_eq!(
            order,
            ["2001:db8::9", "2001:db8::2", "192.0.2.7", "192.0.2.3"]
        );
    }

    /// req: FAIR-3-1, FAIR-5-3
    #[test]
    fn unreliable_networks_come_last_and_do_not_count_among_families() {
        let unreliable = |text| LocalAddress {
            unreliable: true,
            ..address(text)
        };
        let order = places(&[
            unreliable("[2001:db8::a]"),
            unreliable("[2001:db8::b]"),
            unreliable("[2001:db8::c]"),
            address("192.0.2.1"),
            address("[2001:db8::1]"),
            address("192.0.2.2"),
        ]);
        // With those that are left out the head start would be three.
        let wanted = [
            "2001:db8::1",
            "192.0.2.1",
            "192.0.2.2",
            "2001:db8::a",
            "2001:db8::b",
            "2001:db8::c",
        ];
        assert_eq!(order, wanted);
    }

    #[test]
    fn what_costs_less_comes_first_whatever_its_family() {
        let costs = |text, cost| address(text).in_network(Network { id: cost, cost });
        let order = places(&[
            costs("[2001:db8::1]", 900),
            costs("192.0.2.1", 10),
            costs("192.0.2.2", 0),
        ]);
        assert_eq!(order, ["192.0.2.2", "192.0.2.1", "2001:db8::1"]);
    }

    #[test]
    fn a_link_local_address_holds_up_nobody() {
        let order = places(&["[fe80::1]", "192.0.2.1", "[2001:db8::1]"].map(address));
        assert_eq!(order, ["2001:db8::1", "192.0.2.1", "fe80::1"]);
    }

    /// req: FAIR-5-1
    #[test]
    fn no_two_candidates_of_a_kind_have_the_same_preference() {
        let mut relays = alloc::collections::BTreeSet::new();
        let mut reflexive = alloc::collections::BTreeSet::new();
        for place in 0..MAX_PLACES as u16 {
            for server in 0..MAX_SERVERS {
                assert!(relays.insert(of_relay(false, place, server)));
                assert!(relays.insert(of_relay(true, place, server)));
                assert!(reflexive.insert(of_reflexive(place, server)));
            }
        }
        let first = [of_host(0), of_reflexive(0, 0), of_relay(false, 0, 0)];
        assert_eq!(first, [u16::MAX; 3]);
    }
}

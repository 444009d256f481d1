//! Which peers a server relays to: every spelling of an address, exact ranges, and what no option
//! opens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use floe_turn::{AddressRange, PeerPolicy, PeerRefusal, Prefix};
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn range(text: &str) -> AddressRange {
    text.parse().unwrap()
}

/// The IPv6 addresses that stand for an IPv4 address wherever they are met.
fn spellings(v4: Ipv4Addr) -> Vec<IpAddr> {
    let low = u128::from(v4.to_bits());
    let prefixes = ["::ffff:0:0", "::", "::ffff:0:0:0", "64:ff9b::"];
    let at = |prefix: &&str| prefix.parse::<Ipv6Addr>().unwrap().to_bits() | low;
    let spelled = prefixes.iter().map(at);
    spelled
        // `::` and `::1` are addresses of their own.
        .filter(|&bits| bits > 1)
        .map(|bits| Ipv6Addr::from_bits(bits).into())
        .collect()
}

/// An ISATAP address below a public prefix.
fn isatap(v4: Ipv4Addr, marker: u16) -> IpAddr {
    let [.., high, low] = v4.to_ipv6_mapped().segments();
    Ipv6Addr::new(0x2620, 0xfe, 0, 7, marker, 0x5efe, high, low).into()
}

/// An address of RFC 8215 with the IPv4 address behind a prefix of this length (RFC 6052 §2.2).
fn translated(v4: Ipv4Addr, length: usize) -> IpAddr {
    let mut bytes = "64:ff9b:1::".parse::<Ipv6Addr>().unwrap().octets();
    let mut at = length / 8;
    for byte in v4.octets() {
        at += usize::from(at == 8 && length != 96);
        bytes[at] = byte;
        at += 1;
    }
    bytes.into()
}

/// Addresses of every kind, those at the borders of the registries more often than chance would.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    let borders = [
        "0.0.0.0",
        "0.255.255.255",
        "1.0.0.0",
        "9.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "127.0.0.1",
        "128.0.0.0",
        "169.253.255.255",
        "169.254.169.254",
        "169.255.0.0",
        "172.15.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "172.32.0.0",
        "192.0.0.255",
        "192.0.1.0",
        "192.0.2.0",
        "192.88.99.1",
        "192.167.255.255",
        "192.168.0.0",
        "192.169.0.0",
        "198.17.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.20.0.0",
        "198.51.100.7",
        "203.0.113.7",
        "223.255.255.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.254",
        "255.255.255.255",
    ];
    let border = prop::sample::select(borders.to_vec()).prop_map(|text| text.parse().unwrap());
    prop_oneof![border, any::<u32>().prop_map(Ipv4Addr::from_bits)]
}

/// What the registries say, written down once more and in another way.
fn is_public(v4: Ipv4Addr) -> bool {
    !matches!(
        v4.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Attacks 1 to 4: an IPv4 address is judged alike however it is spelled, whatever the operator
    /// allows and denies, and however he spells that.
    #[test]
    fn every_spelling_counts_as_the_address(
        v4 in any_v4(), allowed in any_v4(), denied in any_v4(), length in 0u8..=32, spelling in 0usize..4,
    ) {
        prop_assert_eq!(PeerPolicy::default().permits(v4.into()), is_public(v4));
        let spelled = |v4: Ipv4Addr| {
            let guises = spellings(v4);
            let (guise, shift) = guises.get(spelling).map_or((v4.into(), 0), |&guise| (guise, 96));
            Prefix::new(guise, length + shift).unwrap()
        };
        let policies = [
            PeerPolicy::default(),
            PeerPolicy::default().allow(spelled(allowed)),
            PeerPolicy::default().allow(spelled(allowed)).deny(spelled(denied)),
        ];
        for policy in policies {
            let expected = policy.judge(v4.into());
            for spelling in spellings(v4) {
                prop_assert_eq!(policy.judge(spelling), expected, "{}", spelling);
            }
            for marker in [0, 0x0100, 0x0200, 0x0300] {
                prop_assert_eq!(policy.judge(isatap(v4, marker)), expected);
            }
        }
    }

    /// Attack 4: local translation is closed; where it is allowed, it leads nowhere else than the
    /// address it hides may be reached itself.
    #[test]
    fn local_translation_leads_only_to_what_is_open(v4 in any_v4(), length in 0usize..4) {
        let length = [48, 56, 64, 96][length];
        let hidden = translated(v4, length);
        let closed = PeerPolicy::default();
        prop_assert!(!closed.permits(hidden));
        let allowed = PeerPolicy::default().allow("64:ff9b:1::/48".parse().unwrap());
        if v4.octets()[0] == 0 {
            // Where no translator sends: another reading counts.
        } else if !closed.permits(v4.into()) {
            prop_assert!(!allowed.permits(hidden), "{} {}", v4, hidden);
        } else if length == 96 {
            prop_assert!(allowed.permits(hidden), "{} {}", v4, hidden);
        }
    }

    /// Attack 4: Teredo and 6to4, whatever is allowed.
    /// req: TURN-21.4-2
    #[test]
    fn tunnels_are_never_permitted(low: u128) {
        let policy = PeerPolicy::default().allow("::/0".parse().unwrap());
        let teredo = (0x2001_0000u128 << 96) | (low >> 32);
        let six_to_four = (0x2002u128 << 112) | (low >> 16);
        for bits in [teredo, six_to_four] {
            let tunnel = Ipv6Addr::from_bits(bits).into();
            prop_assert_eq!(policy.judge(tunnel), Err(PeerRefusal::Tunnelled));
        }
    }

    /// Attack 5: ranges are ordered as the numbers that addresses are.
    #[test]
    fn ranges_are_exact(a: u128, b: u128, near in -2i8..=2, x: u128, end: bool) {
        let (first, last) = (a.min(b), a.max(b));
        let v6 = |bits| IpAddr::from(Ipv6Addr::from_bits(bits));
        let range = AddressRange::new(v6(first), v6(last)).unwrap();
        let border = if end { last } else { first };
        let close = border.wrapping_add_signed(near.into());
        for bits in [x, close, first, last] {
            prop_assert_eq!(range.contains(v6(bits)), (first..=last).contains(&bits));
        }
        prop_assert!(!range.contains(Ipv4Addr::from_bits(x as u32).into()));
        prop_assert_eq!(AddressRange::new(v6(last), v6(first)).is_err(), first != last);
    }

    /// Attack 5: many ranges, overlapping and apart, and borders with carries across bytes.
    #[test]
    fn many_ranges_are_the_sum_of_each(
        pairs in prop::collection::vec((0u32..2048, 0u32..2048), 0..12), at in 0u32..2048,
    ) {
        // Public addresses, so that only what is denied is closed.
        let v4 = |n: u32| Ipv4Addr::from_bits(0x0900_FC00 + n);
        let v6 = |n: u32| Ipv6Addr::from_bits((0x2620_00fe_u128 << 96) + 0xFFFF_FFFF_FC00 + u128::from(n));
        let mut policy = PeerPolicy::default();
        for &(a, b) in &pairs {
            let (low, high) = (a.min(b), a.max(b));
            policy = policy
                .deny_range(AddressRange::new(v4(low).into(), v4(high).into()).unwrap())
                .deny_range(AddressRange::new(v6(low).into(), v6(high).into()).unwrap());
        }
        let denied = pairs.iter().any(|&(a, b)| (a.min(b)..=a.max(b)).contains(&at));
        prop_assert_eq!(policy.permits(v4(at).into()), !denied);
        prop_assert_eq!(policy.permits(v6(at).into()), !denied);
    }

    /// A prefix is the range between its bounds.
    #[test]
    fn a_prefix_is_a_range(bits: u128, length in 0u8..=128, x: u128) {
        let v6 = |bits| IpAddr::from(Ipv6Addr::from_bits(bits));
        let prefix = Prefix::new(v6(bits), length).unwrap();
        let range = AddressRange::from(prefix);
        let (first, last) = prefix.bounds();
        let near = if x & 1 == 0 { last } else { first };
        let IpAddr::V6(near) = near else { unreachable!() };
        for x in [v6(x), v6(near.to_bits().wrapping_add(x >> 127)), v6(near.to_bits().wrapping_sub(1))] {
            prop_assert_eq!(range.contains(x), prefix.contains(x));
        }
    }
}

#[test]
fn ranges_are_read_as_operators_write_them() {
    assert!(range("10.0.0.9-10.0.1.3").contains(ip("10.0.1.0")));
    assert!(!range("10.0.0.9-10.0.1.3").contains(ip("10.0.1.4")));
    assert!(range("fc00::/7").contains(ip("fdff::1")));
    assert!(range("192.0.2.1").contains(ip("192.0.2.1")));
    for wrong in [
        "",
        "-",
        "10.0.0.2-10.0.0.1",
        "10.0.0.1-::1",
        "10.0.0.0/33",
        "10.0.0",
        "::/129",
    ] {
        assert!(wrong.parse::<AddressRange>().is_err(), "{wrong}");
    }
}

/// Attack 6: a port for administration and a database stay closed in a network that is open.
#[test]
fn what_is_protected_stays_closed() {
    let policy = PeerPolicy::default()
        .allow("10.0.0.0/8".parse().unwrap())
        .protect("10.0.0.1:9090".parse().unwrap())
        .protect("[::ffff:10.0.0.2]:0".parse().unwrap());
    let judge = |text: &str| policy.judge_address(text.parse().unwrap());
    assert_eq!(judge("10.0.0.1:9091"), Ok(()));
    for closed in [
        "10.0.0.1:9090",
        "[::ffff:10.0.0.1]:9090",
        "[64:ff9b::10.0.0.1]:9090",
        "[2620:fe::200:5efe:10.0.0.1]:9090",
        "10.0.0.2:1",
        "[::10.0.0.2]:65535",
    ] {
        assert_eq!(judge(closed), Err(PeerRefusal::Protected), "{closed}");
    }
    assert_eq!(policy.judge(ip("10.0.0.1")), Ok(()));
    assert_eq!(policy.judge(ip("10.0.0.2")), Err(PeerRefusal::Protected));
}

#[test]
fn every_refusal_has_its_reason() {
    let policy = PeerPolicy::default().deny("9.9.9.9/32".parse().unwrap());
    for (peer, reason) in [
        ("224.0.0.1", PeerRefusal::NotUnicast),
        ("::", PeerRefusal::NotUnicast),
        ("2002::1", PeerRefusal::Tunnelled),
        ("9.9.9.9", PeerRefusal::Denied),
        ("192.168.1.1", PeerRefusal::SpecialPurpose),
        ("100:0:0:1::1", PeerRefusal::SpecialPurpose),
    ] {
        assert_eq!(policy.judge(ip(peer)), Err(reason), "{peer}");
    }
}

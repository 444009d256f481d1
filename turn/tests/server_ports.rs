//! The server against clients made by hand: two families in one allocation, and ports kept for later.

mod support;

use std::net::SocketAddr;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::Server;
use support::*;

const V6: AddressFamily = AddressFamily::IPV6;

fn udp(b: Builder<'_>) -> Builder<'_> {
    b.with(&RequestedTransport::UDP)
}

fn dual(b: Builder<'_>) -> Builder<'_> {
    udp(b).with(&AdditionalAddressFamily(V6))
}

fn pair(b: Builder<'_>) -> Builder<'_> {
    udp(b).with(&EvenPort { reserve_next: true })
}

fn relayed(answer: &Answer) -> Vec<SocketAddr> {
    let message = answer.message();
    (message.attributes())
        .filter(|raw| raw.kind == AttributeType::XOR_RELAYED_ADDRESS)
        .map(|raw| {
            XorRelayedAddress::decode(raw.value, message.transaction_id())
                .unwrap()
                .0
        })
        .collect()
}

fn lacking(answer: &Answer) -> Option<(AddressFamily, u16)> {
    let error = answer.message().get::<AddressErrorCode<'_>>().unwrap()?;
    Some((error.family, error.error.code.number()))
}

fn token(answer: &Answer) -> Option<ReservationToken> {
    answer.message().get().unwrap()
}

/// A client with two relayed addresses.
fn both(server: &mut Server, now: Instant) -> (Asker, SocketAddr, SocketAddr) {
    let mut asker = Asker::new();
    let answer = asker.ask(server, now, Method::ALLOCATE, dual);
    assert_eq!(answer.code(), 0);
    let [v4, v6] = relayed(&answer)[..] else {
        panic!("two relayed addresses");
    };
    assert!(v4.is_ipv4() && v6.is_ipv6());
    (asker, v4, v6)
}

// ---- two families --------------------------------------------------------------------------

/// req: TURN-7.2-15, TURN-7.2-30, TURN-5-18
#[test]
fn a_dual_allocation_relays_to_both_families_with_one_5_tuple() {
    let (mut server, now) = server_with(server_config_v6());
    let (mut asker, v4, v6) = both(&mut server, now);
    assert_eq!(server.allocations(), 1);
    for (relayed, peer, number) in [(v4, peer(), 0x4000), (v6, peer6(), 0x4001)] {
        assert_eq!(asker.permit(&mut server, now, peer), 0);
        let out = asker.push(&mut server, now, &send_indication(peer, b"out"));
        assert_eq!(out, Some((FiveTuple::udp(relayed, peer), b"out".to_vec())));
        let back = arrive(&mut server, now, peer, relayed, b"back").unwrap();
        assert_eq!(back.0, asker.path);
        assert_eq!(asker.bind(&mut server, now, number, peer), 0);
        let out = asker.push(&mut server, now, &channel_data(number, b"out"));
        assert_eq!(out, Some((FiveTuple::udp(relayed, peer), b"out".to_vec())));
        let (_, back) = arrive(&mut server, now, peer, relayed, b"back").unwrap();
        assert_eq!(back[..8], channel_data(number, b"back"));
    }
    // What one family permits, the other does not.
    assert_eq!(arrive(&mut server, now, peer6(), v4, b"x"), None);
}

/// req: TURN-12-4, TURN-12.2-1, TURN-12-1
#[test]
fn a_channel_number_is_used_once_in_both_families() {
    let (mut server, now) = server_with(server_config_v6());
    let (mut asker, ..) = both(&mut server, now);
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer6()), 400);
    assert_eq!(asker.bind(&mut server, now, 0x4001, peer6()), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4001, peer()), 400);
}

/// req: TURN-10.2-5, TURN-10.2-3
#[test]
fn permissions_of_both_families_are_installed_by_one_request_or_none_is() {
    let (mut server, now) = server_with(server_config_v6());
    let (mut asker, v4, v6) = both(&mut server, now);
    let ask = |server: &mut Server, asker: &mut Asker, peers: [SocketAddr; 2]| {
        let answer = asker.ask(server, now, Method::CREATE_PERMISSION, |b| {
            (peers.iter()).fold(b, |b, &peer| b.with(&XorPeerAddress(peer)))
        });
        answer.code()
    };
    let forbidden = addr("[fe80::1]:1");
    assert_eq!(ask(&mut server, &mut asker, [peer(), forbidden]), 403);
    assert_eq!(server.held(), 0);
    assert_eq!(ask(&mut server, &mut asker, [peer6(), peer()]), 0);
    assert_eq!(server.held(), 2);
    assert!(arrive(&mut server, now, peer(), v4, b"x").is_some());
    assert!(arrive(&mut server, now, peer6(), v6, b"x").is_some());
}

/// req: TURN-7.2-15, TURN-18.12-2
#[test]
fn a_family_that_is_not_to_be_had_is_named_and_the_other_is_given() {
    // No IPv6 at all.
    let (mut server, now) = server();
    let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, dual);
    assert_eq!((answer.code(), relayed(&answer).len()), (0, 1));
    assert_eq!(lacking(&answer), Some((V6, 440)));
    // No port left, first of IPv6, then of both, then of IPv4.
    let mut config = server_config_v6();
    config.ports = 50000..=50000;
    let (mut server, now) = server_with(config);
    let mut third = Asker::at(addr("198.51.100.7:1"));
    let answer = third.ask(&mut server, now, Method::ALLOCATE, |b| {
        udp(b).with(&RequestedAddressFamily(V6))
    });
    assert_eq!(answer.code(), 0);
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, dual);
    assert_eq!((answer.code(), relayed(&answer)[0].is_ipv4()), (0, true));
    assert_eq!(lacking(&answer), Some((V6, 508)));
    let mut late = Asker::at(addr("198.51.100.8:1"));
    assert_eq!(
        late.ask(&mut server, now, Method::ALLOCATE, dual).code(),
        508
    );
    third.refresh(&mut server, now, 0);
    let answer = late.ask(&mut server, now, Method::ALLOCATE, dual);
    assert_eq!((answer.code(), relayed(&answer)[0].is_ipv6()), (0, true));
    assert_eq!(lacking(&answer), Some((AddressFamily::IPV4, 508)));
    assert_eq!(server.free_ports(), 0);
}

/// req: TURN-7.2-14, TURN-7.2-9, TURN-7.2-13, TURN-18.11-1
#[test]
fn an_additional_family_is_ipv6_and_stands_alone() {
    let rows: [fn(Builder<'_>) -> Builder<'_>; 4] = [
        |b| udp(b).with_raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[1, 0, 0, 0]),
        |b| udp(b).with_raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2]),
        |b| dual(b).with(&RequestedAddressFamily(AddressFamily::IPV4)),
        |b| dual(b).with(&EvenPort { reserve_next: true }),
    ];
    for build in rows {
        let (mut server, now) = server_with(server_config_v6());
        let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, build);
        assert_eq!((answer.code(), server.allocations()), (400, 0));
    }
}

/// req: TURN-8.1-3, TURN-8.1-4, TURN-8.2-1, TURN-9-5, TURN-8.2-3
#[test]
fn one_family_can_be_deleted_or_refreshed_without_the_other() {
    let (mut server, now) = server_with(server_config_v6());
    let (mut asker, v4, v6) = both(&mut server, now);
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4001, peer6()), 0);
    let refresh = |server: &mut Server, asker: &mut Asker, family, lifetime, at| {
        let answer = asker.ask(server, at, Method::REFRESH, |b| {
            b.with(&RequestedAddressFamily(family))
                .with(&Lifetime(lifetime))
        });
        (answer.code() == 0).then(|| answer.lifetime())
    };
    let free = server.free_ports();
    let gone = refresh(&mut server, &mut asker, AddressFamily::IPV4, 0, now);
    assert_eq!((gone, server.free_ports()), (Some(0), free + 1));
    assert_eq!(arrive(&mut server, now, peer(), v4, b"x"), None);
    assert!(arrive(&mut server, now, peer6(), v6, b"x").is_some());
    assert!(
        asker
            .push(&mut server, now, &channel_data(0x4001, b"x"))
            .is_some()
    );
    assert_eq!(
        asker.push(&mut server, now, &channel_data(0x4000, b"x")),
        None
    );
    assert_eq!(asker.permit(&mut server, now, peer()), 443);
    let again = refresh(&mut server, &mut asker, AddressFamily::IPV4, 600, now);
    assert_eq!(again, None, "443: it is gone");
    assert_eq!(asker.refresh(&mut server, now, 0).code(), 0);
    assert_eq!((server.allocations(), server.free_ports()), (0, free + 2));

    // Of two, one is refreshed and outlives the other; without a family both are.
    let (mut asker, v4, v6) = both(&mut server, now);
    let later = now + secs(500);
    assert_eq!(refresh(&mut server, &mut asker, V6, 600, later), Some(600));
    assert_eq!(asker.permit(&mut server, later, peer()), 0);
    assert_eq!(asker.permit(&mut server, later, peer6()), 0);
    let after = now + secs(601);
    assert_eq!(arrive(&mut server, after, peer(), v4, b"x"), None);
    assert!(arrive(&mut server, after, peer6(), v6, b"x").is_some());
    assert!(
        asker
            .push(&mut server, after, &send_indication(peer6(), b"x"))
            .is_some()
    );
    while let Some(at) = server.poll_timeout().filter(|&at| at <= after) {
        server.handle_timeout(at.max(after));
    }
    assert!(
        asker
            .push(&mut server, after, &send_indication(peer6(), b"x"))
            .is_some()
    );

    let (mut server, now) = server_with(server_config_v6());
    let (mut asker, ..) = both(&mut server, now);
    assert_eq!(asker.refresh(&mut server, later, 600).code(), 0);
    assert_eq!(asker.permit(&mut server, now + secs(1099), peer()), 0);
    assert_eq!(asker.permit(&mut server, now + secs(1099), peer6()), 0);
}

/// req: TURN-7.2-31, TURN-5-21
#[test]
fn a_retransmitted_dual_allocate_is_answered_alike() {
    for config in [server_config_v6(), server_config()] {
        let (mut server, now) = server_with(config);
        let mut asker = Asker::new();
        let first = asker.message(Method::ALLOCATE, &|b| b);
        let challenge = asker.tell(&mut server, now, &first).unwrap();
        asker.auth.challenge(&challenge.message(), false).unwrap();
        let request = asker.message(Method::ALLOCATE, &|b| dual(b));
        let one = asker.tell(&mut server, now, &request).unwrap();
        let free = server.free_ports();
        let two = asker.tell(&mut server, now, &request).unwrap();
        assert_eq!((one.code(), &one.0), (0, &two.0));
        assert_eq!(server.free_ports(), free);
    }
}

/// req: TURN-7.2-16, TURN-5-22
#[test]
fn a_dual_allocation_counts_twice() {
    let mut config = server_config_v6();
    config.limits.per_user = 3;
    let (mut server, now) = server_with(config);
    both(&mut server, now);
    let mut asker = Asker::at(addr("198.51.100.7:1"));
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, dual);
    assert_eq!(lacking(&answer), Some((V6, 508)));
    let mut asker = Asker::at(addr("198.51.100.7:2"));
    assert_eq!(
        asker.ask(&mut server, now, Method::ALLOCATE, dual).code(),
        486
    );
}

// ---- ports kept for later ------------------------------------------------------------------

/// req: TURN-7.2-22, TURN-7.2-21, TURN-7.2-23, TURN-7.2-8
#[test]
fn the_port_above_an_even_one_is_kept_for_whoever_has_the_token() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, pair);
    let even = answer.relayed();
    let token = token(&answer).expect("a token");
    assert_eq!((answer.code(), even.port() % 2), (0, 0));
    assert_eq!(server.reserved_ports(), 1);
    // Another user, another address.
    let mut bob = Asker::user(addr("198.51.100.7:5"), "bob", "tr0ub4dor");
    let at = now + millis(29_900);
    let answer = bob.ask(&mut server, at, Method::ALLOCATE, |b| udp(b).with(&token));
    assert_eq!(answer.code(), 0);
    assert_eq!(
        answer.relayed(),
        SocketAddr::new(even.ip(), even.port() + 1)
    );
    assert_eq!(answer.message().get::<ReservationToken>().unwrap(), None);
    assert_eq!(server.reserved_ports(), 0);
    assert_eq!(bob.permit(&mut server, at, peer()), 0);
    assert!(arrive(&mut server, at, peer(), answer.relayed(), b"x").is_some());
    // It is good once.
    let mut third = Asker::at(addr("198.51.100.8:5"));
    let answer = third.ask(&mut server, at, Method::ALLOCATE, |b| udp(b).with(&token));
    assert_eq!(answer.code(), 508);
}

/// req: TURN-7.2-8, TURN-7.2-23
#[test]
fn a_reservation_ends_and_frees_its_port() {
    let (mut server, now) = server();
    let range = server.free_ports();
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, pair);
    let token = token(&answer).unwrap();
    assert_eq!(server.free_ports() + 2, range);
    assert_eq!(server.poll_timeout(), Some(now + secs(30)));
    let late = now + secs(30);
    let mut other = Asker::at(addr("198.51.100.8:5"));
    let answer = other.ask(&mut server, late, Method::ALLOCATE, |b| udp(b).with(&token));
    assert_eq!(answer.code(), 508);
    server.handle_timeout(late);
    assert_eq!(
        (server.free_ports() + 1, server.reserved_ports()),
        (range, 0)
    );
    // It outlives the allocation that made it.
    let answer = other.ask(&mut server, late, Method::ALLOCATE, pair);
    assert_eq!(answer.code(), 0);
    other.refresh(&mut server, late, 0);
    assert_eq!(
        (server.free_ports() + 2, server.reserved_ports()),
        (range, 1)
    );
}

/// For as long as the owner likes, and never for less than the RFC wants.
/// req: TURN-7.2-24, TURN-7.2-23
#[test]
fn a_port_may_be_kept_for_longer() {
    for (configured, kept) in [(120, 120), (31, 31), (5, 30), (0, 30)] {
        let mut config = server_config();
        config.reservation_lifetime = secs(configured);
        for (at, code) in [(kept * 1000 - 100, 0), (kept * 1000, 508)] {
            let (mut server, now) = server_with(config.clone());
            let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, pair);
            let token = token(&answer).unwrap();
            let mut other = Asker::at(addr("198.51.100.8:5"));
            let at = now + millis(at);
            server.handle_timeout(at);
            let answer = other.ask(&mut server, at, Method::ALLOCATE, |b| udp(b).with(&token));
            assert_eq!(answer.code(), code, "{configured} s");
        }
    }
}

/// req: TURN-7.2-31
#[test]
fn a_retransmitted_allocate_repeats_the_token() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let first = asker.message(Method::ALLOCATE, &|b| b);
    let challenge = asker.tell(&mut server, now, &first).unwrap();
    asker.auth.challenge(&challenge.message(), false).unwrap();
    let request = asker.message(Method::ALLOCATE, &|b| pair(b));
    let one = asker.tell(&mut server, now, &request).unwrap();
    let two = asker.tell(&mut server, now, &request).unwrap();
    assert!(token(&one).is_some());
    assert_eq!(one.0, two.0);
    assert_eq!(server.reserved_ports(), 1);
}

/// req: TURN-7.2-13
#[test]
fn without_a_pair_of_ports_none_is_given() {
    for ports in [50000..=50000, 50001..=50001, 50001..=50002] {
        let mut config = server_config();
        config.ports = ports;
        let (mut server, now) = server_with(config);
        let range = server.free_ports();
        let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, pair);
        assert_eq!(answer.code(), 508);
        assert_eq!((server.free_ports(), server.allocations()), (range, 0));
    }
    // A listener's port is no half of a pair.
    let mut config = server_config();
    config.ports = 50000..=50001;
    config.listeners.push(addr("192.0.2.1:50001"));
    let (mut server, now) = server_with(config);
    let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, pair);
    assert_eq!((answer.code(), server.free_ports()), (508, 1));
}

/// Attack 26: pairs whose tokens nobody uses.
#[test]
fn reservations_are_bounded_and_leak_no_port() {
    let mut config = server_config();
    config.limits.reservations = 5;
    let (mut server, now) = server_with(config);
    let range = server.free_ports();
    for n in 0..20u16 {
        let mut asker = Asker::at(SocketAddr::new(home().ip(), 1000 + n));
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, pair);
        assert_eq!(answer.code(), if n < 5 { 0 } else { 508 });
        asker.refresh(&mut server, now, 0);
        assert_eq!(server.free_ports() + server.reserved_ports(), range);
    }
    server.handle_timeout(now + secs(30));
    assert_eq!(server.free_ports(), range);
    assert_eq!(server.poll_timeout(), None);
}

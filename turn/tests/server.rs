//! The server against clients made by hand: requests.

mod support;

use std::collections::BTreeSet;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Server, *};
use support::*;

const REQUESTS: [Method; 4] = [
    Method::ALLOCATE,
    Method::REFRESH,
    Method::CREATE_PERMISSION,
    Method::CHANNEL_BIND,
];

type Build = fn(Builder<'_>) -> Builder<'_>;

fn udp(b: Builder<'_>) -> Builder<'_> {
    b.with(&RequestedTransport::UDP)
}

fn events(server: &mut Server) -> Vec<ServerEvent> {
    std::iter::from_fn(|| server.poll_event()).collect()
}

// ---- authentication ------------------------------------------------------------------------

/// req: TURN-7.2-2, STUN-9.2.4-3
#[test]
fn every_request_is_challenged_first() {
    for method in REQUESTS {
        let (mut server, now) = server();
        let request = Asker::new().message(method, &|b| b);
        let answer = Asker::new().tell(&mut server, now, &request).unwrap();
        assert_eq!(answer.code(), 401);
        assert_eq!(answer.message().get().unwrap(), Some(Realm(REALM)));
        assert!(answer.message().get::<Nonce<'_>>().unwrap().is_some());
        assert!(answer.message().integrity().is_none());
        assert!(answer.0.len() <= 100, "{} bytes", answer.0.len());
        assert_eq!(server.allocations(), 0);
    }
}

/// req: TURN-5-6
#[test]
fn a_nonce_is_stale_after_an_hour() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    assert_eq!(asker.refresh(&mut server, now, 3600).code(), 0);
    let later = now + secs(3599);
    let request = asker.message(Method::REFRESH, &|b| b.with(&Lifetime(3600)));
    assert_eq!(asker.tell(&mut server, later, &request).unwrap().code(), 0);
    let request = asker.message(Method::REFRESH, &|b| b);
    let answer = asker.tell(&mut server, now + secs(3601), &request).unwrap();
    assert_eq!(answer.code(), 438);
    assert_eq!(asker.refresh(&mut server, now + secs(3601), 600).code(), 0);

    // Whatever the owner says.
    let mut config = server_config();
    config.nonce_lifetime = secs(7200);
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    assert_eq!(asker.refresh(&mut server, now, 3600).code(), 0);
    let request = asker.message(Method::REFRESH, &|b| b.with(&Lifetime(3600)));
    let answer = asker.tell(&mut server, now + secs(3599), &request).unwrap();
    assert_eq!(answer.code(), 0);
    let request = asker.message(Method::REFRESH, &|b| b);
    let answer = asker.tell(&mut server, now + secs(3601), &request).unwrap();
    assert_eq!(answer.code(), 438);
}

/// req: TURN-5-8, TURN-5-9
#[test]
fn strangers_and_other_users_touch_no_allocation() {
    let builds: [(Method, Build); 3] = [
        (Method::REFRESH, |b| b.with(&Lifetime(0))),
        (Method::CREATE_PERMISSION, |b| {
            b.with(&XorPeerAddress(peer()))
        }),
        (Method::CHANNEL_BIND, |b| {
            b.with(&ChannelNumber(0x4000)).with(&XorPeerAddress(peer()))
        }),
    ];
    for (method, build) in builds {
        let (mut server, now) = server();
        let mut asker = Asker::new();
        assert_eq!(asker.ask(&mut server, now, method, build).code(), 437);
        asker.allocate(&mut server, now);
        let mut bob = Asker::user(home(), "bob", "tr0ub4dor");
        assert_eq!(bob.ask(&mut server, now, method, build).code(), 441);
        assert_eq!((server.allocations(), server.held()), (1, 0));
        assert_eq!(asker.ask(&mut server, now, method, build).code(), 0);
    }
}

// ---- Allocate ------------------------------------------------------------------------------

/// req: TURN-7.2-30, TURN-7.2-12, TURN-7.2-20, TURN-5-19
#[test]
fn a_success_tells_three_things() {
    let (mut server, now) = server_with(server_config_v6());
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, udp);
    let relayed = answer.relayed();
    assert_eq!(relayed.ip(), addr("192.0.2.1:0").ip());
    assert_eq!(answer.lifetime(), 600);
    assert_eq!(
        answer.message().get().unwrap(),
        Some(XorMappedAddress(home()))
    );
    assert_eq!(answer.message().attributes().count(), 3);
    assert_eq!(
        events(&mut server),
        [ServerEvent::RelayOpened {
            relayed,
            client: asker.path,
            username: USER.into(),
        }]
    );
    assert_eq!(server.held(), 0);
    assert_eq!(arrive(&mut server, now, peer(), relayed, b"x"), None);
}

/// The checks of §7.2, each with faults of later checks as well: the first one decides.
/// req: TURN-7.2-5, TURN-7.2-6, TURN-7.2-7, TURN-7.2-8, TURN-18.10-1, TURN-7.2-19
#[test]
fn allocate_is_refused_by_the_first_check_that_fails() {
    let rows: &[(u16, &str, Build)] = &[
        (420, "unknown attribute", |b| {
            b.with_raw(AttributeType(0x7777), &[]).with(&DontFragment)
        }),
        (400, "no transport", |b| b.with(&DontFragment)),
        (400, "malformed transport", |b| {
            b.with_raw(AttributeType::REQUESTED_TRANSPORT, &[17])
        }),
        (442, "TCP", |b| {
            b.with(&RequestedTransport::TCP).with(&DontFragment)
        }),
        (442, "SCTP", |b| b.with(&RequestedTransport(132))),
        (420, "DONT-FRAGMENT", |b| {
            udp(b).with(&DontFragment).with(&ReservationToken([1; 8]))
        }),
        (400, "token and EVEN-PORT", |b| {
            udp(b).with(&ReservationToken([1; 8])).with(&EvenPort {
                reserve_next: false,
            })
        }),
        (400, "token and family", |b| {
            udp(b)
                .with(&ReservationToken([1; 8]))
                .with(&RequestedAddressFamily(AddressFamily::IPV4))
        }),
        (400, "token and additional family", |b| {
            udp(b)
                .with(&ReservationToken([1; 8]))
                .with_raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])
        }),
        (508, "invalid token", |b| {
            udp(b).with(&ReservationToken([1; 8]))
        }),
        (400, "token of 7 bytes", |b| {
            udp(b).with_raw(AttributeType::RESERVATION_TOKEN, &[1; 7])
        }),
    ];
    refused_without_a_trace(rows);
}

/// req: TURN-7.2-9, TURN-7.2-10, TURN-7.2-13, TURN-7.2-14, TURN-18.6-2, TURN-18.9-1
#[test]
fn allocate_is_refused_by_the_first_check_of_families_and_ports() {
    let rows: &[(u16, &str, Build)] = &[
        (400, "two families", |b| {
            udp(b)
                .with_raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[9, 0, 0, 0])
                .with_raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])
        }),
        (440, "family 9", |b| {
            udp(b)
                .with_raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[9, 0, 0, 0])
                .with(&EvenPort { reserve_next: true })
        }),
        (440, "no IPv6 here", |b| {
            udp(b).with(&RequestedAddressFamily(AddressFamily::IPV6))
        }),
        (400, "a pair and an additional family", |b| {
            udp(b)
                .with(&EvenPort { reserve_next: true })
                .with_raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])
        }),
        (400, "additional IPv4", |b| {
            udp(b).with_raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[1, 0, 0, 0])
        }),
        (400, "lifetime of 3 bytes", |b| {
            udp(b).with_raw(AttributeType::LIFETIME, &[0; 3])
        }),
        (400, "DONT-FRAGMENT with a value", |b| {
            udp(b).with_raw(AttributeType::DONT_FRAGMENT, &[0; 4])
        }),
    ];
    refused_without_a_trace(rows);
}

fn refused_without_a_trace(rows: &[(u16, &str, Build)]) {
    for &(code, what, build) in rows {
        let (mut server, now) = server();
        let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, build);
        assert_eq!(answer.code(), code, "{what}");
        assert_eq!(server.allocations(), 0, "{what}");
        assert_eq!(server.free_ports(), 16384, "{what}");
        assert!(events(&mut server).is_empty(), "{what}");
    }
}

/// req: TURN-7.2-4
#[test]
fn a_used_five_tuple_is_refused_before_all_else() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::TCP).with(&DontFragment)
    });
    assert_eq!(answer.code(), 437);
    let mut bob = Asker::user(home(), "bob", "tr0ub4dor");
    assert_eq!(bob.ask(&mut server, now, Method::ALLOCATE, udp).code(), 437);
    assert_eq!(server.allocations(), 1);
}

/// req: TURN-7.2-6, TURN-18.9-1
#[test]
fn dont_fragment_is_listed_as_unknown() {
    let (mut server, now) = server();
    let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, |b| {
        udp(b).with(&DontFragment)
    });
    let list = answer
        .message()
        .get::<UnknownAttributes<'_>>()
        .unwrap()
        .unwrap();
    assert_eq!(
        list.iter().collect::<Vec<_>>(),
        [AttributeType::DONT_FRAGMENT]
    );
}

/// req: TURN-7.2-10, TURN-7.2-11, TURN-5-18
#[test]
fn families_are_given_where_there_are_any() {
    let ask = |config, family: Option<AddressFamily>| {
        let (mut server, now) = server_with(config);
        let answer = Asker::new().ask(&mut server, now, Method::ALLOCATE, |b| {
            udp(b).with_some(family.map(RequestedAddressFamily).as_ref())
        });
        match answer.code() {
            0 => Ok(answer.relayed().is_ipv6()),
            code => Err(code),
        }
    };
    let only_v6 = || {
        let mut config = server_config_v6();
        config.relay_ips.remove(0);
        config
    };
    assert_eq!(ask(server_config_v6(), Some(AddressFamily::IPV6)), Ok(true));
    assert_eq!(
        ask(server_config_v6(), Some(AddressFamily::IPV4)),
        Ok(false)
    );
    assert_eq!(ask(server_config_v6(), None), Ok(false));
    assert_eq!(ask(only_v6(), None), Err(440));
    assert_eq!(ask(only_v6(), Some(AddressFamily::IPV4)), Err(440));
    assert_eq!(ask(only_v6(), Some(AddressFamily::IPV6)), Ok(true));
}

/// req: TURN-7.2-15, TURN-18.12-1, TURN-18.12-2
#[test]
fn an_additional_family_that_is_not_to_be_had_is_named() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        udp(b).with_raw(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])
    });
    assert_eq!(answer.code(), 0);
    assert!(answer.relayed().is_ipv4());
    let error = answer
        .message()
        .attributes()
        .find(|raw| raw.kind == AttributeType::ADDRESS_ERROR_CODE)
        .unwrap();
    assert_eq!(error.value, [2, 0, 4, 40]);
}

/// req: TURN-7.2-28, TURN-8.2-2, TURN-7.2-29
#[test]
fn lifetimes_lie_between_the_default_and_the_maximum() {
    for (asked, given) in [
        (None, 600),
        (Some(0), 600),
        (Some(10), 600),
        (Some(600), 600),
        (Some(1200), 1200),
        (Some(3600), 3600),
        (Some(99_999), 3600),
        (Some(u32::MAX), 3600),
    ] {
        let (mut server, now) = server();
        let mut asker = Asker::new();
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
            udp(b).with_some(asked.map(Lifetime).as_ref())
        });
        assert_eq!(answer.lifetime(), given);
        assert_eq!(server.poll_timeout(), Some(now + secs(given.into())));
        if asked != Some(0) {
            let answer = asker.ask(&mut server, now + secs(5), Method::REFRESH, |b| {
                b.with_some(asked.map(Lifetime).as_ref())
            });
            assert_eq!(answer.lifetime(), given);
            let end = now + secs(5 + u64::from(given));
            assert_eq!(
                asker.permit(&mut server, now + secs(4 + u64::from(given)), peer()),
                0
            );
            assert_eq!(asker.permit(&mut server, end, peer()), 437);
        }
    }
}

/// req: TURN-7.2-31, TURN-5-21, STUN-6.3.1-2
#[test]
fn a_retransmitted_allocate_gets_the_same_answer() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let first = asker.message(Method::ALLOCATE, &udp);
    let challenge = asker.tell(&mut server, now, &first).unwrap();
    asker.auth.challenge(&challenge.message(), false).unwrap();
    let request = asker.message(Method::ALLOCATE, &udp);
    let one = asker.tell(&mut server, now, &request).unwrap();
    let two = asker.tell(&mut server, now, &request).unwrap();
    assert_eq!(one.0, two.0);
    let later = asker.tell(&mut server, now + secs(3), &request).unwrap();
    assert_eq!((later.relayed(), later.lifetime()), (one.relayed(), 597));
    assert_eq!(server.allocations(), 1);
    assert_eq!(events(&mut server).len(), 1);
}

/// req: TURN-7.2-22, TURN-18.7-1
#[test]
fn an_even_port_is_even() {
    let mut config = server_config();
    config.ports = 50000..=50019;
    let (mut server, now) = server_with(config);
    for i in 0..10 {
        let mut asker = Asker::at(addr(&format!("198.51.100.5:{}", 1000 + i)));
        // The reserved bits do not count.
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
            udp(b).with_raw(AttributeType::EVEN_PORT, &[0x7F])
        });
        assert_eq!(answer.relayed().port() % 2, 0);
    }
    let mut asker = Asker::at(addr("198.51.100.5:2000"));
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        udp(b).with(&EvenPort {
            reserve_next: false,
        })
    });
    assert_eq!(answer.code(), 508);
    assert_eq!(server.free_ports(), 10);
    assert_eq!(asker.allocate(&mut server, now).port() % 2, 1);
}

/// req: TURN-6-2, TURN-7.2-25, TURN-7.2-26, TURN-7.2-27
#[test]
fn relayed_ports_are_random_unique_and_in_range() {
    let mut config = server_config();
    config.limits.per_address = 10_000;
    config.limits.per_user = 10_000;
    let allocate = |seed: u8| {
        let now = Instant::from_secs(1);
        let mut server = Server::new(config.clone(), [seed; 32], now);
        let ports: Vec<_> = (0..300)
            .map(|i| {
                let source = addr(&format!("198.51.100.5:{}", 1000 + i));
                Asker::at(source).allocate(&mut server, now).port()
            })
            .collect();
        ports
    };
    let ports = allocate(1);
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    assert!(ports.iter().all(|port| (49152..=65535).contains(port)));
    let upper = ports.iter().filter(|&&port| port >= 57344).count();
    assert!(
        (100..200).contains(&upper),
        "{upper} of 300 in the upper half"
    );
    assert_eq!(ports, allocate(1));
    assert_ne!(ports, allocate(2));

    let mut config = server_config();
    config.ports = 0..=1025;
    let (mut server, now) = server_with(config);
    assert_eq!(server.free_ports(), 2);
    assert!(Asker::new().allocate(&mut server, now).port() >= 1024);
}

#[test]
fn a_listener_in_the_range_is_no_relayed_address() {
    let mut config = server_config();
    config.listeners.push(addr("192.0.2.1:50001"));
    config.ports = 50000..=50002;
    assert_eq!(server_with(config).0.free_ports(), 2);
}

/// req: TURN-7.2-16, TURN-7.2-17, TURN-5-22, TURN-5-4
#[test]
fn quotas_count_users_addresses_and_all() {
    let ask = |server: &mut Server, now, source: &str, user: (&str, &str)| {
        let mut asker = Asker::user(addr(source), user.0, user.1);
        asker.ask(server, now, Method::ALLOCATE, udp).code()
    };
    let alice = (USER, PASSWORD);
    let bob = ("bob", "tr0ub4dor");

    let mut config = server_config();
    config.limits.per_user = 2;
    let (mut server, now) = server_with(config);
    assert_eq!(ask(&mut server, now, "198.51.100.1:1", alice), 0);
    assert_eq!(ask(&mut server, now, "198.51.100.2:1", alice), 0);
    assert_eq!(ask(&mut server, now, "198.51.100.3:1", alice), 486);
    assert_eq!(ask(&mut server, now, "198.51.100.3:1", bob), 0);

    let mut config = server_config();
    config.limits.per_address = 2;
    let (mut server, now) = server_with(config);
    assert_eq!(ask(&mut server, now, "198.51.100.1:1", alice), 0);
    assert_eq!(ask(&mut server, now, "198.51.100.1:2", bob), 0);
    assert_eq!(ask(&mut server, now, "198.51.100.1:3", bob), 486);
    assert_eq!(ask(&mut server, now, "198.51.100.2:3", bob), 0);

    let mut config = server_config();
    config.limits.allocations = 2;
    let (mut server, now) = server_with(config);
    assert_eq!(ask(&mut server, now, "198.51.100.1:1", alice), 0);
    assert_eq!(ask(&mut server, now, "198.51.100.2:1", bob), 0);
    assert_eq!(ask(&mut server, now, "198.51.100.3:1", bob), 508);
    // What has expired makes room at once.
    assert_eq!(ask(&mut server, now + secs(600), "198.51.100.3:1", bob), 0);
}

// ---- Refresh and expiry --------------------------------------------------------------------

/// req: TURN-6-7, TURN-6-6
#[test]
fn only_refresh_keeps_an_allocation() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut server, now);
    events(&mut server);
    let data = send_indication(peer(), b"x");
    for i in 0..599 {
        let at = now + secs(i);
        if i % 100 == 0 {
            assert_eq!(asker.permit(&mut server, at, peer()), 0);
        }
        assert!(asker.push(&mut server, at, &data).is_some());
    }
    let end = now + secs(600);
    assert_eq!(asker.push(&mut server, end, &data), None);
    assert_eq!(arrive(&mut server, end, peer(), relayed, b"x"), None);
    assert_eq!(asker.refresh(&mut server, end, 600).code(), 437);
    server.handle_timeout(end);
    assert_eq!(
        events(&mut server),
        [ServerEvent::RelayClosed {
            relayed,
            client: asker.path,
            cause: CloseCause::Expired,
        }]
    );
    assert_eq!(server.poll_timeout(), None);
    assert_eq!((server.allocations(), server.held()), (0, 0));
    assert_eq!(server.free_ports(), 16384);
    asker.allocate(&mut server, end);
}

/// req: TURN-8.2-3, TURN-8.2-4
#[test]
fn a_refresh_to_zero_deletes() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut server, now);
    events(&mut server);
    let answer = asker.refresh(&mut server, now, 0);
    assert_eq!((answer.code(), answer.lifetime()), (0, 0));
    assert_eq!(asker.refresh(&mut server, now, 0).code(), 437);
    assert_eq!(
        events(&mut server),
        [ServerEvent::RelayClosed {
            relayed,
            client: asker.path,
            cause: CloseCause::Released,
        }]
    );
    assert_eq!(server.poll_timeout(), None);
}

/// req: TURN-8.2-1
#[test]
fn a_refresh_names_the_family_that_there_is() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    for (family, code) in [(1, 0), (2, 443), (9, 443)] {
        let answer = asker.ask(&mut server, now, Method::REFRESH, |b| {
            b.with_raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0])
        });
        assert_eq!(answer.code(), code);
    }
}

#[test]
fn many_expiries_are_cleared_away_in_small_steps() {
    let mut config = server_config();
    config.limits.per_address = 1000;
    let (mut server, now) = server_with(config);
    for i in 0..200 {
        Asker::at(addr(&format!("198.51.100.5:{}", 1000 + i))).allocate(&mut server, now);
        events(&mut server);
    }
    let mut at = server.poll_timeout().unwrap();
    assert_eq!(at, now + secs(600));
    let mut closed = 0;
    loop {
        server.handle_timeout(at);
        let batch = events(&mut server).len();
        assert!(batch <= 64);
        server.handle_timeout(at);
        assert!(events(&mut server).is_empty(), "twice is as once");
        closed += batch;
        match server.poll_timeout() {
            Some(next) => assert_eq!(next, at + millis(1)),
            None => break,
        }
        at += millis(1);
    }
    assert_eq!(closed, 200);
    assert_eq!(server.free_ports(), 16384);
}

/// A Refresh moves the deadline only; the old one is looked at when it comes, and nothing ends.
#[test]
fn refreshed_allocations_outlive_their_first_deadline() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    asker.refresh(&mut server, now + secs(1), 3600);
    events(&mut server);
    let mut deadlines = Vec::new();
    while let Some(at) = server.poll_timeout() {
        deadlines.push(at);
        server.handle_timeout(at);
        assert!(server.poll_timeout().is_none_or(|next| next > at));
    }
    assert_eq!(deadlines, [now + secs(600), now + secs(3601)]);
    assert_eq!(events(&mut server).len(), 1);
    // A shorter life than before is noticed in time.
    asker.allocate(&mut server, now + secs(4000));
    asker.refresh(&mut server, now + secs(4000), 3600);
    asker.refresh(&mut server, now + secs(4000), 600);
    assert_eq!(server.poll_timeout(), Some(now + secs(4600)));
}

#[test]
fn a_draining_server_keeps_what_it_has_and_takes_nothing_new() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut server, now);
    server.drain();
    let mut late = Asker::at(addr("198.51.100.9:1"));
    assert_eq!(
        late.ask(&mut server, now, Method::ALLOCATE, udp).code(),
        508
    );
    assert_eq!(server.stats().refused(RefuseReason::Draining), 1);
    assert_eq!(asker.refresh(&mut server, now, 600).code(), 0);
    assert_eq!(asker.permit(&mut server, now, peer()), 0);
    assert!(arrive(&mut server, now, peer(), relayed, b"x").is_some());
    assert!(!server.is_drained());
    assert_eq!(asker.refresh(&mut server, now, 0).code(), 0);
    assert!(server.is_drained());
    server.resume();
    assert!(!server.is_drained());
    late.allocate(&mut server, now);
}

/// Whoever holds a /56 has as many addresses as he wants, and is one source all the same.
#[test]
fn a_network_counts_as_one_source() {
    let mut config = server_config();
    config.limits.per_address = 2;
    let (mut server, now) = server_with(config);
    let rows = [
        ("[2620:fe:0:100::1]:1", 0),
        ("[2620:fe:0:1ff::2]:1", 0),
        ("[2620:fe:0:123::3]:1", 486),
        ("[2620:fe:0:200::1]:1", 0),
        ("198.51.100.1:1", 0),
        ("198.51.100.1:2", 0),
        ("[::ffff:198.51.100.1]:3", 486),
        ("198.51.100.2:1", 0),
    ];
    for (source, code) in rows {
        let mut asker = Asker::at(addr(source));
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, udp);
        assert_eq!(answer.code(), code, "{source}");
    }
    assert_eq!(server.stats().refused(RefuseReason::SourceQuota), 2);
    assert_eq!(server.stats().opened, 6);
}

#[test]
fn the_owner_can_close_a_relay() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut server, now);
    events(&mut server);
    assert!(!server.close(addr("192.0.2.1:1")));
    assert!(server.close(relayed));
    assert!(!server.close(relayed));
    assert!(matches!(
        events(&mut server)[..],
        [ServerEvent::RelayClosed {
            cause: CloseCause::Closed,
            ..
        }]
    ));
    assert_eq!(asker.refresh(&mut server, now, 600).code(), 437);
}

// ---- CreatePermission and ChannelBind ------------------------------------------------------

/// req: TURN-10.2-1, TURN-10.2-3, TURN-10.2-4, TURN-10.2-5, TURN-10.2-6, TURN-10.1-2
#[test]
fn permissions_are_installed_all_or_none() {
    let (mut server, now) = server_with(server_config_v6());
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let rows: &[(u16, Build)] = &[
        (400, |b| b),
        (400, |b| {
            b.with(&XorPeerAddress(peer()))
                .with_raw(AttributeType::XOR_PEER_ADDRESS, &[0, 1, 0, 0, 9])
        }),
        (443, |b| {
            b.with(&XorPeerAddress(peer()))
                .with(&XorPeerAddress(peer6()))
        }),
        (403, |b| {
            b.with(&XorPeerAddress(peer()))
                .with(&XorPeerAddress(addr("127.0.0.1:1")))
        }),
    ];
    for &(code, build) in rows {
        let answer = asker.ask(&mut server, now, Method::CREATE_PERMISSION, build);
        assert_eq!(answer.code(), code);
        assert_eq!(server.held(), 0);
    }
    let answer = asker.ask(&mut server, now, Method::CREATE_PERMISSION, |b| {
        b.with(&XorPeerAddress(peer()))
            .with(&XorPeerAddress(other_peer()))
    });
    assert_eq!(answer.code(), 0);
    assert_eq!(answer.message().attributes().count(), 0);
    assert_eq!(server.held(), 2);
}

/// req: TURN-12.2-1, TURN-12.2-2, TURN-12.2-3, TURN-12-1, TURN-12-4, TURN-12.2-6
#[test]
fn channels_are_bound_one_to_one() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let rows: &[(u16, Build)] = &[
        (400, |b| b),
        (400, |b| b.with(&ChannelNumber(0x4000))),
        (400, |b| b.with(&XorPeerAddress(peer()))),
    ];
    for &(code, build) in rows {
        let answer = asker.ask(&mut server, now, Method::CHANNEL_BIND, build);
        assert_eq!(answer.code(), code);
    }
    for number in [0, 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF] {
        assert_eq!(
            asker.bind(&mut server, now, number, peer()),
            400,
            "{number:#x}"
        );
    }
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer6()), 443);
    assert_eq!(
        asker.bind(&mut server, now, 0x4000, addr("127.0.0.1:9")),
        403
    );
    assert_eq!(asker.bind(&mut server, now, 0x4000, addr("9.9.9.9:0")), 400);
    assert_eq!(server.held(), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4FFF, other_peer()), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4000, other_peer()), 400);
    assert_eq!(asker.bind(&mut server, now, 0x4001, peer()), 400);
    assert_eq!(
        asker.bind(&mut server, now, 0x4000, addr("9.9.9.9:5001")),
        400
    );
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    assert_eq!(server.held(), 4);
}

/// req: TURN-10.2-2, TURN-12.2-4
#[test]
fn permissions_and_channels_are_bounded() {
    let mut config = server_config();
    config.limits.permissions = 3;
    config.limits.channels = 2;
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let ip = |n: u8| addr(&format!("9.9.9.{n}:7"));
    for n in 0..3 {
        assert_eq!(asker.permit(&mut server, now, ip(n)), 0);
    }
    assert_eq!(asker.permit(&mut server, now, ip(3)), 508);
    assert_eq!(asker.permit(&mut server, now, ip(1)), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4000, ip(4)), 508);
    assert_eq!(asker.bind(&mut server, now, 0x4000, ip(0)), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4001, ip(1)), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4002, ip(2)), 508);
    assert_eq!(server.held(), 5);
    let many = asker.ask(&mut server, now, Method::CREATE_PERMISSION, |b| {
        (0..500).fold(b, |b, n| {
            b.with(&XorPeerAddress(addr(&format!("9.9.9.1:{}", n + 1))))
        })
    });
    assert_eq!(many.code(), 508, "too many addresses in one request");
    // What has expired makes room.
    assert_eq!(asker.permit(&mut server, now + secs(300), ip(3)), 0);
}

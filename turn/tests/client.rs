//! The client against a scripted server.

mod support;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{ClientEvent, Retry, *};
use support::*;

fn peer_of(bytes: &[u8]) -> std::net::SocketAddr {
    let XorPeerAddress(peer) = parse(bytes).get().unwrap().unwrap();
    peer
}

/// Makes the client do something.
type Act = fn(&mut Clients);
/// Answers a request.
type Respond = fn(&[u8]) -> Vec<u8>;

// ---- allocation ----------------------------------------------------------------------------

/// req: TURN-7.1-4, TURN-18.8-1, TURN-5-2, TURN-7.3-4
#[test]
fn allocate_is_asked_first_without_and_then_with_credentials() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    assert_eq!(method(&first), Method::ALLOCATE);
    assert!(!has::<Username<'_>>(&first) && parse(&first).integrity().is_none());
    assert!(parse(&first).verify_fingerprint());
    let transport: Vec<_> = parse(&first)
        .attributes()
        .filter(|raw| raw.kind == AttributeType::REQUESTED_TRANSPORT)
        .map(|raw| raw.value.to_vec())
        .collect();
    assert_eq!(transport, [[17, 0, 0, 0]]);

    assert_eq!(t.offer(&challenge(&first, 401, "n1")), Input::Handled);
    let second = t.sent();
    assert_ne!(
        parse(&first).transaction_id(),
        parse(&second).transaction_id()
    );
    assert_eq!(parse(&second).get().unwrap(), Some(Username(USER)));
    assert_eq!(parse(&second).get().unwrap(), Some(Realm(REALM)));
    assert_eq!(parse(&second).get().unwrap(), Some(Nonce("n1")));
    assert!(parse(&second).verify(&key(), Algorithm::Sha1));

    t.now += millis(30);
    assert_eq!(t.offer(&allocated(&second)), Input::Handled);
    assert_eq!(
        t.event(),
        Some(ClientEvent::Allocated {
            relayed: relayed(),
            additional: None,
            mapped: home(),
            round_trip: Some(millis(30)),
        })
    );
    assert_eq!(t.client.relayed(), Some(relayed()));
    assert_eq!(t.client.mapped(), Some(home()));
    assert_eq!(t.client.expires(), Some(Instant::from_secs(601)));
    assert!(t.all_sent().is_empty());
}

/// req: TURN-7.1-11, TURN-7.1-5, TURN-18.6-1
#[test]
fn lifetime_and_family_are_asked_for_only_if_configured() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let plain = t.sent();
    assert!(!has::<Lifetime>(&plain) && !has::<RequestedAddressFamily>(&plain));

    let mut config = client_config();
    config.lifetime = Some(secs(1200));
    config.family = Some(AddressFamily::IPV6);
    let mut t = Clients::with(config);
    t.client.allocate(t.now).unwrap();
    let asked = t.sent();
    assert_eq!(parse(&asked).get().unwrap(), Some(Lifetime(1200)));
    let families: Vec<_> = parse(&asked)
        .attributes()
        .filter(|raw| raw.kind == AttributeType::REQUESTED_ADDRESS_FAMILY)
        .map(|raw| raw.value.to_vec())
        .collect();
    assert_eq!(families, [[2, 0, 0, 0]]);
}

/// req: TURN-7.4-4, TURN-7.4-5, STUN-9.2.5-10
#[test]
fn a_second_401_is_final() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    t.give(&challenge(&first, 401, "n1"));
    let second = t.sent();
    t.give(&challenge(&second, 401, "n2"));
    assert_eq!(t.event(), Some(ClientEvent::Failed(AllocateError::Refused)));
    assert_eq!(t.client.poll_timeout(), None);
    assert_eq!(t.client.allocate(t.now), Err(CommandError::Closed));
    assert!(t.all_sent().is_empty());
}

/// req: TURN-7.4-17, TURN-8.3-1
#[test]
fn a_stale_nonce_is_replaced_on_every_method() {
    let commands: [(Method, Act); 5] = [
        (Method::ALLOCATE, |t| {
            t.client.allocate(t.now).unwrap();
            let first = t.sent();
            t.give(&challenge(&first, 401, "n0"));
        }),
        (Method::REFRESH, |t| {
            t.allocate();
            t.now += secs(540);
            t.client.handle_timeout(t.now);
        }),
        (Method::REFRESH, |t| {
            t.allocate();
            t.client.release(t.now).unwrap();
        }),
        (Method::CREATE_PERMISSION, |t| {
            t.allocate();
            t.client.create_permission(t.now, peer().ip()).unwrap();
        }),
        (Method::CHANNEL_BIND, |t| {
            t.allocate();
            t.client.bind_channel(t.now, peer()).unwrap();
        }),
    ];
    for (kind, command) in commands {
        let mut t = Clients::new();
        command(&mut t);
        for nonce in ["fresh-1", "fresh-2"] {
            let stale = t.sent();
            assert_eq!(method(&stale), kind);
            assert_eq!(t.offer(&challenge(&stale, 438, nonce)), Input::Handled);
        }
        let request = t.sent();
        assert_eq!(parse(&request).get().unwrap(), Some(Nonce("fresh-2")));
        assert!(parse(&request).verify(&key(), Algorithm::Sha1));
        assert_eq!(t.offer(&granted(&request)), Input::Handled);
        let events: Vec<_> = std::iter::from_fn(|| t.event()).collect();
        let bad = |e: &ClientEvent| matches!(e, ClientEvent::Failed(_) | ClientEvent::Lost(_));
        assert!(!events.iter().any(bad), "{kind:?}: {events:?}");
    }
}

#[test]
fn endless_stale_nonces_end() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    t.give(&challenge(&first, 401, "n"));
    let mut requests = 1;
    while let Some(transmit) = t.client.poll_transmit() {
        requests += 1;
        t.give(&challenge(&transmit.payload, 438, &format!("n{requests}")));
    }
    assert_eq!(requests, 5);
    assert_eq!(
        t.event(),
        Some(ClientEvent::Failed(AllocateError::StaleNonce))
    );
}

/// 437: the owner takes another port, so another client.
/// req: TURN-7.4-8
#[test]
fn mismatch_on_allocate_wants_another_port() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    t.give(&challenge(&first, 401, "n"));
    let second = t.sent();
    t.give(&refused(&second, 437));
    assert_eq!(
        t.event(),
        Some(ClientEvent::Failed(AllocateError::Mismatch))
    );
    assert_eq!(
        t.client.allocate(t.now + secs(3600)),
        Err(CommandError::Closed)
    );
}

/// req: TURN-7.4-3, TURN-7.4-6, TURN-7.4-11, TURN-7.4-12, TURN-7.4-13, TURN-7.4-15
#[test]
fn rejections_are_told_and_repeated_only_where_time_may_help() {
    for (code, pause) in [
        (300, None),
        (400, None),
        (403, None),
        (420, None),
        (440, None),
        (441, None),
        (442, None),
        (486, Some(60)),
        (499, None),
        (500, Some(60)),
        (508, Some(60)),
        (599, Some(60)),
        (699, None),
    ] {
        let mut t = Clients::new();
        t.client.allocate(t.now).unwrap();
        let first = t.sent();
        t.give(&challenge(&first, 401, "n"));
        let second = t.sent();
        assert_eq!(t.offer(&refused(&second, code)), Input::Handled);
        let error = AllocateError::Rejected(StatusCode::new(code).unwrap());
        assert_eq!(t.event(), Some(ClientEvent::Failed(error)), "{code}");
        assert_eq!(error.retry_after(), pause.map(secs), "{code}");
        assert!(t.all_sent().is_empty());
        assert_eq!(t.client.poll_timeout(), None);
        match pause {
            None => assert_eq!(
                t.client.allocate(t.now + secs(9999)),
                Err(CommandError::Closed)
            ),
            Some(pause) => {
                let early = t.now + secs(pause) - Instant::from_nanos(1);
                let early = Instant::ZERO + early;
                assert_eq!(t.client.allocate(early), Err(CommandError::BackOff));
                assert!(t.all_sent().is_empty());
                t.client.allocate(t.now + secs(pause)).unwrap();
                assert_eq!(method(&t.sent()), Method::ALLOCATE);
            }
        }
    }
}

/// req: TURN-7.4-16
#[test]
fn unknown_errors_are_final_unless_they_are_of_the_server() {
    for (number, again) in [(399, false), (499, false), (599, true), (699, false)] {
        let mut t = Clients::new();
        let request = t.asked();
        t.give(&refused(&request, number));
        let expected = if again {
            Retry::From(t.now + secs(60))
        } else {
            Retry::Never
        };
        assert_eq!(t.client.retry(), Some(expected), "{number}");
    }
}

/// req: STUN-9.2.5-13, STUN-9.2.5-14
#[test]
fn responses_without_integrity_are_as_if_never_received() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    for code in [300, 400, 437, 486, 508] {
        let forged = refused_unsigned(&first, code);
        assert_eq!(
            t.offer(&forged),
            Input::Dropped(DropReason::Unauthenticated)
        );
    }
    assert_eq!(
        t.offer(&allocated(&first)),
        Input::Dropped(DropReason::Unauthenticated),
        "nobody can sign an answer to a request without credentials"
    );
    t.give(&challenge(&first, 401, "n"));
    let second = t.sent();
    for code in [400, 437, 508] {
        let forged = refused_unsigned(&second, code);
        assert_eq!(
            t.offer(&forged),
            Input::Dropped(DropReason::Unauthenticated)
        );
    }
    let mut forged = allocated(&second);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(
        t.offer(&forged),
        Input::Dropped(DropReason::Unauthenticated)
    );
    assert_eq!(t.event(), None);
    // The retransmissions go on, and the true answer is taken.
    t.now += millis(500);
    t.client.handle_timeout(t.now);
    assert_eq!(t.sent(), second);
    t.give(&allocated(&second));
    assert!(t.client.is_allocated());
}

#[test]
fn a_lost_allocate_follows_the_schedule_of_rfc_8489() {
    let mut t = Clients::new();
    let start = t.now;
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    let sent = t.run_until(start + secs(100));
    let times: Vec<_> = sent
        .iter()
        .map(|(at, _)| (*at - start).as_millis())
        .collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 15500, 31500]);
    assert!(sent.iter().all(|(_, bytes)| *bytes == first));
    assert_eq!(t.event(), Some(ClientEvent::Failed(AllocateError::Timeout)));
    // A timeout may be followed by another attempt.
    t.client.allocate(t.now).unwrap();
    assert_ne!(t.sent(), first);
}

/// req: TURN-7.3-1, TURN-7.3-2, TURN-7.3-3
#[test]
fn a_relayed_address_of_another_family_is_given_back() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    t.give(&challenge(&first, 401, "n"));
    let second = t.sent();
    t.give(&success(&second, |b| {
        b.with(&XorRelayedAddress(addr("[2001:db8::1]:50000")))
            .with(&Lifetime(600))
            .with(&XorMappedAddress(home()))
    }));
    assert_eq!(t.event(), Some(ClientEvent::Failed(AllocateError::Family)));
    let delete = t.sent();
    assert_eq!(method(&delete), Method::REFRESH);
    assert_eq!(parse(&delete).get().unwrap(), Some(Lifetime(0)));
    t.give(&success(&delete, |b| b.with(&Lifetime(0))));
    assert_eq!(t.event(), None, "the owner knows already");
    assert_eq!(
        t.client.allocate(t.now + secs(9999)),
        Err(CommandError::Closed)
    );
}

#[test]
fn an_answer_that_lacks_an_attribute_or_has_an_unknown_one_is_unusable() {
    let answers: [fn(Builder<'_>) -> Builder<'_>; 4] = [
        |b| b.with(&Lifetime(600)).with(&XorMappedAddress(home())),
        |b| b.with(&XorRelayedAddress(relayed())).with(&Lifetime(600)),
        |b| {
            b.with(&XorRelayedAddress(relayed()))
                .with(&XorMappedAddress(home()))
        },
        |b| {
            b.with(&XorRelayedAddress(relayed()))
                .with(&Lifetime(600))
                .with(&XorMappedAddress(home()))
                .with_raw(AttributeType(0x7777), &[])
        },
    ];
    for answer in answers {
        let mut t = Clients::new();
        t.client.allocate(t.now).unwrap();
        let first = t.sent();
        t.give(&challenge(&first, 401, "n"));
        let second = t.sent();
        assert_eq!(t.offer(&success(&second, answer)), Input::Handled);
        assert_eq!(
            t.event(),
            Some(ClientEvent::Failed(AllocateError::Malformed))
        );
        assert!(!t.client.is_allocated());
    }
}

// ---- refresh and release -------------------------------------------------------------------

/// req: TURN-8-1, TURN-8.3-1, TURN-5-23
#[test]
fn the_allocation_is_refreshed_a_minute_before_it_expires() {
    let mut t = Clients::allocated();
    let start = t.now;
    let sent = t.run_granted(start + secs(3000));
    let times: Vec<_> = sent.iter().map(|(at, _)| (*at - start).as_secs()).collect();
    assert_eq!(times, [540, 1080, 1620, 2160, 2700]);
    for (_, bytes) in &sent {
        assert_eq!(method(bytes), Method::REFRESH);
        assert!(!has::<Lifetime>(bytes));
        assert_eq!(parse(bytes).get().unwrap(), Some(Username(USER)));
    }
    assert!(t.client.is_allocated());
    // Whatever is asked for, the same user asks.
    t.client.bind_channel(t.now, peer()).unwrap();
    t.client
        .create_permission(t.now, other_peer().ip())
        .unwrap();
    t.client.release(t.now).unwrap();
    let sent = t.all_sent();
    assert_eq!(sent.len(), 3);
    for bytes in &sent {
        assert_eq!(parse(bytes).get().unwrap(), Some(Username(USER)));
        assert!(parse(bytes).verify(&key(), Algorithm::Sha1));
    }
}

/// req: TURN-5-11
#[test]
fn mismatch_on_any_later_request_means_that_the_allocation_is_gone() {
    let commands: [Act; 3] = [
        |t| {
            t.now += secs(540);
            t.client.handle_timeout(t.now);
        },
        |t| t.client.create_permission(t.now, peer().ip()).unwrap(),
        |t| t.client.bind_channel(t.now, peer()).unwrap(),
    ];
    for command in commands {
        let mut t = Clients::allocated();
        command(&mut t);
        let request = t.sent();
        t.give(&refused(&request, 437));
        assert_eq!(t.event(), Some(ClientEvent::Lost(AllocateError::Mismatch)));
        assert!(!t.client.is_allocated());
        assert_eq!(t.client.poll_timeout(), None);
        let mut buffer = [0; 100];
        assert_eq!(
            t.client.encapsulate(peer(), &mut buffer, 50..60),
            Err(SendError::NotAllocated)
        );
    }
}

#[test]
fn a_refresh_that_never_gets_through_ends_in_expiry() {
    let mut t = Clients::allocated();
    let start = t.now;
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let request = t.sent();
    t.give(&granted(&request));
    t.event();
    t.run_until(start + secs(599));
    assert!(t.client.is_allocated());
    t.run_until(start + secs(600));
    let events: Vec<_> = std::iter::from_fn(|| t.event()).collect();
    assert_eq!(
        events.last(),
        Some(&ClientEvent::Lost(AllocateError::Expired))
    );
    assert_eq!(t.client.poll_timeout(), None);
}

#[test]
fn a_refresh_that_meets_a_server_error_is_repeated() {
    let mut t = Clients::allocated();
    t.now += secs(540);
    t.client.handle_timeout(t.now);
    let request = t.sent();
    t.give(&refused(&request, 500));
    assert_eq!(t.event(), None);
    let again = t.run_granted(t.now + secs(10));
    assert_eq!(again.len(), 1);
    assert!(t.client.is_allocated());
}

/// req: TURN-8-2, TURN-8.1-1, TURN-8.2-4, TURN-8.3-1
#[test]
fn release_deletes_and_437_counts_as_success() {
    let answers: [Respond; 2] = [
        |request| success(request, |b| b.with(&Lifetime(0))),
        |request| refused(request, 437),
    ];
    for answer in answers {
        let mut t = Clients::allocated();
        t.client.release(t.now).unwrap();
        assert!(!t.client.is_allocated());
        let request = t.sent();
        assert_eq!(method(&request), Method::REFRESH);
        assert_eq!(parse(&request).get().unwrap(), Some(Lifetime(0)));
        assert_eq!(t.client.release(t.now), Err(CommandError::Closed));
        assert_eq!(t.event(), None);
        t.give(&answer(&request));
        assert_eq!(t.event(), Some(ClientEvent::Released));
        assert_eq!(t.client.poll_timeout(), None);
    }
}

#[test]
fn release_ends_even_if_the_server_is_silent() {
    let mut t = Clients::allocated();
    t.client.release(t.now).unwrap();
    t.run_until(t.now + secs(40));
    assert_eq!(t.event(), Some(ClientEvent::Released));
    assert!(t.client.is_ended());
}

#[test]
fn release_before_the_answer_releases_upon_the_answer() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    t.client.release(t.now).unwrap();
    let first = t.sent();
    t.give(&challenge(&first, 401, "n"));
    let second = t.sent();
    t.give(&allocated(&second));
    assert_eq!(t.event(), None);
    let delete = t.sent();
    assert_eq!(parse(&delete).get().unwrap(), Some(Lifetime(0)));
    t.give(&refused(&delete, 437));
    assert_eq!(t.event(), Some(ClientEvent::Released));
}

#[test]
fn an_hour_of_sleep_makes_no_storm() {
    let mut t = Clients::allocated();
    for i in 0..100 {
        let ip = std::net::Ipv4Addr::new(9, 9, 9, i);
        t.client.create_permission(t.now, ip.into()).unwrap();
    }
    t.run_granted(t.now + secs(100));
    t.all_sent();
    while t.event().is_some() {}
    t.now += secs(3600);
    t.client.handle_timeout(t.now);
    assert!(t.all_sent().is_empty());
    assert_eq!(t.event(), Some(ClientEvent::Lost(AllocateError::Expired)));
    assert_eq!(t.client.poll_timeout(), None);
}

// ---- permissions ---------------------------------------------------------------------------

/// req: TURN-10.1-1, TURN-10.3-1, TURN-9-1
#[test]
fn a_permission_is_kept_alive_until_revoked() {
    let mut t = Clients::allocated();
    let start = t.now;
    t.client.create_permission(t.now, peer().ip()).unwrap();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let request = t.sent();
    assert!(t.all_sent().is_empty(), "wanted twice is asked once");
    assert_eq!(method(&request), Method::CREATE_PERMISSION);
    assert_eq!(peer_of(&request).ip(), peer().ip());
    assert!(!t.client.has_permission(peer().ip()));
    t.give(&granted(&request));
    assert_eq!(t.event(), Some(ClientEvent::PermissionCreated(peer().ip())));
    assert!(t.client.has_permission(peer().ip()));

    let sent = t.run_granted(start + secs(1000));
    let times: Vec<_> = (sent.iter())
        .filter(|(_, bytes)| method(bytes) == Method::CREATE_PERMISSION)
        .map(|(at, _)| (*at - start).as_secs())
        .collect();
    assert_eq!(times, [240, 480, 720, 960]);
    assert_eq!(t.event(), None, "a refresh is no news");

    t.client.revoke(peer().ip());
    let sent = t.run_granted(t.now + secs(1000));
    assert!(
        sent.iter()
            .all(|(_, bytes)| method(bytes) == Method::REFRESH)
    );
}

#[test]
fn permissions_wanted_early_are_asked_for_when_there_is_an_allocation() {
    let mut t = Clients::new();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    t.client.create_permission(t.now, peer6().ip()).unwrap();
    assert!(t.all_sent().is_empty());
    t.allocate();
    let sent = t.all_sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(peer_of(&sent[0]).ip(), peer().ip());
    let events: Vec<_> = std::iter::from_fn(|| t.event()).collect();
    assert_eq!(
        events[1..],
        [ClientEvent::PermissionRefused(
            peer6().ip(),
            AllocateError::Family
        )]
    );
}

/// req: TURN-10.1-3, TURN-12.1-1
#[test]
fn peers_of_another_family_are_refused_at_once() {
    let mut t = Clients::allocated();
    let error = Err(CommandError::Family);
    assert_eq!(t.client.create_permission(t.now, peer6().ip()), error);
    assert_eq!(t.client.bind_channel(t.now, peer6()), error);
    assert!(t.all_sent().is_empty());
}

#[test]
fn a_refused_peer_harms_only_itself() {
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    t.client
        .create_permission(t.now, other_peer().ip())
        .unwrap();
    for request in t.all_sent() {
        let bad = peer_of(&request).ip() == peer().ip();
        t.give(&if bad {
            refused(&request, 403)
        } else {
            granted(&request)
        });
    }
    let error = AllocateError::Rejected(StatusCode::FORBIDDEN);
    assert_eq!(
        t.event(),
        Some(ClientEvent::PermissionRefused(peer().ip(), error))
    );
    assert_eq!(
        t.event(),
        Some(ClientEvent::PermissionCreated(other_peer().ip()))
    );
    let mut buffer = [0; 200];
    assert_eq!(
        t.client.encapsulate(peer(), &mut buffer, 100..110),
        Err(SendError::NoPermission)
    );
    assert!(
        t.client
            .encapsulate(other_peer(), &mut buffer, 100..110)
            .is_ok()
    );
}

#[test]
fn permissions_are_bounded_and_asked_for_in_bursts() {
    let mut t = Clients::new();
    let ip = |i: u32| std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(0x0909_0000 + i));
    for i in 0..client::MAX_PERMISSIONS as u32 {
        t.client.create_permission(t.now, ip(i)).unwrap();
    }
    assert_eq!(
        t.client.create_permission(t.now, ip(9999)),
        Err(CommandError::Capacity)
    );
    t.allocate();
    let requests = client::MAX_PERMISSIONS / client::MAX_BATCH;
    let at_once = t.all_sent();
    assert_eq!(at_once.len(), 16);
    assert!(at_once.iter().all(|request| request.len() < 548));
    let later = t.run_until(t.now + millis(100));
    assert_eq!(at_once.len() + later.len(), requests);
    for (at, _) in &later {
        let together = later.iter().filter(|(other, _)| other == at);
        assert!(together.count() <= 16);
    }
}

// ---- channels ------------------------------------------------------------------------------

/// req: TURN-12-1, TURN-18.1-1, TURN-12.1-2, TURN-12.3-2, TURN-12.5-1
#[test]
fn a_channel_is_used_from_its_confirmation_on() {
    let mut t = Clients::allocated();
    let start = t.now;
    t.client.bind_channel(t.now, peer()).unwrap();
    t.client.bind_channel(t.now, peer()).unwrap();
    let request = t.sent();
    assert!(t.all_sent().is_empty(), "wanted twice is asked once");
    let number = parse(&request)
        .attributes()
        .find(|raw| raw.kind == AttributeType::CHANNEL_NUMBER)
        .unwrap();
    assert_eq!(number.value, [0x40, 0, 0, 0]);
    assert_eq!(peer_of(&request), peer());

    let early = t.client.wrap(peer(), b"early").unwrap();
    assert_eq!(method(&early.payload), Method::SEND);
    t.give(&granted(&request));
    assert_eq!(t.event(), Some(ClientEvent::PermissionCreated(peer().ip())));
    assert_eq!(t.event(), Some(ClientEvent::ChannelBound(peer())));
    assert!(t.client.has_channel(peer()));
    let later = t.client.wrap(peer(), b"later").unwrap();
    assert_eq!(later.payload[..], channel_data(0x4000, b"later"));
    assert_eq!(later.path, client_path());
    // Another port of the same address has a permission, but no channel.
    let side = t.client.wrap(addr("9.9.9.9:1"), b"x").unwrap();
    assert_eq!(method(&side.payload), Method::SEND);

    let sent = t.run_granted(start + secs(1100));
    let times = |wanted| -> Vec<_> {
        (sent.iter())
            .filter(|(_, bytes)| method(bytes) == wanted)
            .map(|(at, _)| (*at - start).as_secs())
            .collect()
    };
    assert_eq!(times(Method::CHANNEL_BIND), [540, 1080]);
    // The ChannelBind at 540 s refreshes the permission too.
    assert_eq!(times(Method::CREATE_PERMISSION), [240, 480, 780, 1020]);
    assert!(t.client.has_channel(peer()));
}

/// req: TURN-12-8
#[test]
fn a_channel_is_used_from_the_asking_on_if_so_configured() {
    let mut config = client_config();
    config.early_channels = true;
    let mut t = Clients::with(config);
    t.client.bind_channel(t.now, peer()).unwrap();
    let number_of = |bytes: &[u8]| parse(bytes).get::<ChannelNumber>().unwrap().unwrap().0;
    // Not before it has been asked for: there is no allocation.
    assert!(!t.client.has_channel(peer()));
    t.allocate();
    t.events();
    let sent = t.all_sent();
    let asks = |bytes: &&Vec<u8>| method(bytes) == Method::CHANNEL_BIND;
    let request = sent.iter().find(asks).unwrap().clone();
    assert!(t.client.has_channel(peer()));
    let early = t.client.wrap(peer(), b"early").unwrap();
    assert_eq!(
        early.payload[..],
        channel_data(number_of(&request), b"early")
    );
    // Where there is none, indications serve.
    let mut refused_one = t.client.clone();
    let _ = feed(
        &mut refused_one,
        t.now,
        client_path(),
        &refused(&request, 508),
    );
    let instead = refused_one.wrap(peer(), b"x").unwrap();
    assert_eq!(method(&instead.payload), Method::SEND);
    t.give(&granted(&request));
    let later = t.client.wrap(peer(), b"later").unwrap();
    assert_eq!(
        later.payload[..],
        channel_data(number_of(&request), b"later")
    );
    // A channel that the server lets run out, since it is refreshed in vain, is none.
    let end = t.now + secs(600);
    while let Some(at) = t.client.poll_timeout().filter(|&at| at < end) {
        for (_, request) in t.run_until(at) {
            if method(&request) != Method::CHANNEL_BIND {
                t.give(&granted(&request));
            }
        }
    }
    t.run_until(end);
    assert!(t.client.is_allocated() && !t.client.has_channel(peer()));
}

/// req: TURN-12-6
#[test]
fn numbers_differ_and_a_peer_keeps_its_number() {
    let mut t = Clients::allocated();
    let mut bind = |peer| {
        t.client.bind_channel(t.now, peer).unwrap();
        let request = t.sent();
        t.give(&granted(&request));
        let ChannelNumber(number) = parse(&request).get().unwrap().unwrap();
        number
    };
    assert_eq!(bind(peer()), 0x4000);
    assert_eq!(bind(other_peer()), 0x4001);
    t.client.revoke(peer().ip());
    let mut bind = |peer| {
        t.client.bind_channel(t.now, peer).unwrap();
        let ChannelNumber(number) = parse(&t.sent()).get().unwrap().unwrap();
        number
    };
    assert_eq!(
        bind(peer()),
        0x4000,
        "the pair that the server may still know"
    );
    assert_eq!(
        bind(addr("9.9.9.9:5001")),
        0x4002,
        "never the number of another peer"
    );
}

/// All 4096 numbers are bound and given up; each comes free 300 s after its expiry.
/// req: TURN-12-6
#[test]
fn a_number_serves_another_peer_only_after_its_guard_time() {
    let mut t = Clients::allocated();
    let peer_at = |port: u16| std::net::SocketAddr::new(peer().ip(), port);
    for port in 1..=4096 {
        t.client.bind_channel(t.now, peer_at(port)).unwrap();
    }
    let start = t.now;
    t.run_granted(start + secs(2));
    let new = addr("8.8.8.8:1");
    assert_eq!(
        t.client.bind_channel(t.now, new),
        Err(CommandError::Capacity)
    );
    t.client.revoke(peer().ip());
    t.run_granted(start + secs(899));
    assert_eq!(
        t.client.bind_channel(t.now, new),
        Err(CommandError::Capacity)
    );
    t.run_granted(start + secs(903));
    t.client.bind_channel(t.now, new).unwrap();
    let ChannelNumber(number) = parse(&t.sent()).get().unwrap().unwrap();
    assert_eq!(number, 0x4000);
}

#[test]
fn without_a_channel_data_still_flows() {
    let mut t = Clients::allocated();
    t.client.bind_channel(t.now, peer()).unwrap();
    let request = t.sent();
    t.give(&refused(&request, 508));
    let error = AllocateError::Rejected(StatusCode::INSUFFICIENT_CAPACITY);
    assert_eq!(t.event(), Some(ClientEvent::ChannelRefused(peer(), error)));
    let instead = t.sent();
    assert_eq!(method(&instead), Method::CREATE_PERMISSION);
    t.give(&granted(&instead));
    assert_eq!(t.event(), Some(ClientEvent::PermissionCreated(peer().ip())));
    let wrapped = t.client.wrap(peer(), b"x").unwrap();
    assert_eq!(method(&wrapped.payload), Method::SEND);
}

#[test]
fn a_channel_to_port_0_makes_no_sense() {
    let mut t = Clients::allocated();
    assert_eq!(
        t.client.bind_channel(t.now, addr("9.9.9.9:0")),
        Err(CommandError::Port)
    );
}

// ---- outgoing data -------------------------------------------------------------------------

/// Not even the first datagram waits for the server's answer.
/// req: TURN-11.1-1, TURN-11.1-2
#[test]
fn sending_needs_a_permission_that_was_asked_for() {
    let mut t = Clients::allocated();
    let mut buffer = [0xAA; 100];
    assert_eq!(
        t.client.encapsulate(peer(), &mut buffer, 60..63),
        Err(SendError::NoPermission)
    );
    t.client.create_permission(t.now, peer().ip()).unwrap();
    buffer[60..63].copy_from_slice(b"abc");
    let route = t.client.encapsulate(peer(), &mut buffer, 60..63).unwrap();
    assert_eq!(route.path, client_path());
    assert_eq!(route.range(), 24..64);
    let message = Message::parse(&buffer[route.range()]).unwrap();
    assert_eq!(message.class(), Class::Indication);
    assert_eq!(message.method(), Method::SEND);
    assert_eq!(message.get().unwrap(), Some(XorPeerAddress(peer())));
    assert_eq!(message.get().unwrap(), Some(Data(b"abc")));
    assert_eq!(buffer[63], 0, "padding shows nothing of the buffer");
    assert_eq!(buffer[64], 0xAA);
}

/// req: STUN-6.2.1-14
#[test]
fn what_was_sent_in_an_indication_is_not_sent_again() {
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    assert_eq!(method(&t.sent()), Method::CREATE_PERMISSION);
    let sent = t.client.wrap(peer(), b"once").unwrap();
    assert_eq!(method(&sent.payload), Method::SEND);
    // The permission is asked for again and again, the datagram is gone.
    let mut requests = 0;
    while let Some(at) = t.client.poll_timeout().filter(|&at| at < t.now + secs(60)) {
        t.client.handle_timeout(at);
        while let Some(again) = t.client.poll_transmit() {
            assert_eq!(parse(&again.payload).class(), Class::Request);
            requests += 1;
        }
    }
    assert!(requests >= 6);
}

#[test]
fn what_cannot_be_framed_changes_nothing() {
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let mut twin = t.client.clone();
    let mut small = [0; 38];
    for range in [30..38, 36..37] {
        let result = t.client.encapsulate(peer(), &mut small, range);
        assert_eq!(result, Err(SendError::NoRoom));
    }
    let huge = vec![0; 65_536];
    assert_eq!(t.client.wrap(peer(), &huge), Err(SendError::TooLong));
    assert_eq!(
        t.client.wrap(peer(), b"x").unwrap().payload,
        twin.wrap(peer(), b"x").unwrap().payload
    );
}

// ---- incoming data -------------------------------------------------------------------------

fn from_relay(peer: std::net::SocketAddr) -> FiveTuple {
    FiveTuple::udp(relayed(), peer)
}

fn data_indication(build: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>) -> Vec<u8> {
    indication(Method::DATA, build)
}

/// req: TURN-11.4-1, TURN-11.4-2, TURN-11.4-3
#[test]
fn a_data_indication_is_unwrapped_in_place() {
    let mut t = Clients::allocated();
    let good = data_indication(|b| b.with(&XorPeerAddress(peer())).with(&Data(b"hello")));
    let mut take = |bytes: &[u8]| feed(&mut t.client, t.now, client_path(), bytes);
    assert_eq!(dropped(take(&good)), DropReason::NoPermission);
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let mut take = |bytes: &[u8]| feed(&mut t.client, t.now, client_path(), bytes);
    assert_eq!(
        routed(take(&good)),
        Some((from_relay(peer()), b"hello".to_vec()))
    );
    let empty = data_indication(|b| b.with(&XorPeerAddress(peer())).with(&Data(b"")));
    assert_eq!(routed(take(&empty)), Some((from_relay(peer()), vec![])));
    let no_peer = data_indication(|b| b.with(&Data(b"hello")));
    assert_eq!(dropped(take(&no_peer)), DropReason::Malformed);
    let no_data = data_indication(|b| b.with(&XorPeerAddress(peer())));
    assert_eq!(dropped(take(&no_data)), DropReason::Malformed);
    let foreign = data_indication(|b| {
        b.with(&XorPeerAddress(peer()))
            .with(&Data(b"x"))
            .with_raw(AttributeType(0x7777), &[])
    });
    assert_eq!(dropped(take(&foreign)), DropReason::Malformed);
}

/// req: TURN-11.6-1, TURN-11.6-2
#[test]
fn icmp_from_a_permitted_peer_is_reported() {
    let mut t = Clients::allocated();
    let value = [0, 0, 3, 4, 0, 0, 5, 0xDC];
    let icmp = data_indication(|b| {
        b.with(&XorPeerAddress(peer()))
            .with_raw(AttributeType::ICMP, &value)
    });
    assert_eq!(t.offer(&icmp), Input::Dropped(DropReason::NoPermission));
    t.client.create_permission(t.now, peer().ip()).unwrap();
    assert_eq!(t.offer(&icmp), Input::Handled);
    assert_eq!(
        t.event(),
        Some(ClientEvent::Unreachable {
            peer: peer(),
            kind: 3,
            code: 4,
            data: 1500,
        })
    );
}

/// req: TURN-12-7, TURN-12.6-1, TURN-12.6-2, TURN-12.6-3, TURN-12.6-4, TURN-12.5-4
#[test]
fn channel_data_is_unwrapped_from_the_moment_of_asking() {
    let mut t = Clients::allocated();
    let message = channel_data(0x4000, b"data");
    assert_eq!(t.offer(&message), Input::Dropped(DropReason::NoChannel));
    t.client.bind_channel(t.now, peer()).unwrap();
    let mut take = |bytes: &[u8]| feed(&mut t.client, t.now, client_path(), bytes);
    let expected = |data: &[u8]| Some((from_relay(peer()), data.to_vec()));
    assert_eq!(routed(take(&message)), expected(b"data"));
    assert_eq!(routed(take(&channel_data(0x4000, b""))), expected(b""));
    let mut padded = channel_data(0x4000, b"abc");
    padded.push(0);
    assert_eq!(routed(take(&padded)), expected(b"abc"));

    assert_eq!(dropped(take(&message[..7])), DropReason::Malformed);
    assert_eq!(dropped(take(&message[..3])), DropReason::Malformed);
    assert_eq!(
        dropped(take(&channel_data(0x4001, b"data"))),
        DropReason::NoChannel
    );
    for reserved in [0x5000, 0x7FFF, 0x8000, 0xFFFF] {
        assert_eq!(
            dropped(take(&channel_data(reserved, b"data"))),
            DropReason::NotStun
        );
    }
    t.client.revoke(peer().ip());
    assert_eq!(t.offer(&message), Input::Dropped(DropReason::NoChannel));
}

#[test]
fn only_the_server_is_heard() {
    let mut t = Clients::allocated();
    t.client.bind_channel(t.now, peer()).unwrap();
    let message = channel_data(0x4000, b"data");
    let stranger = FiveTuple::udp(home(), addr("192.0.2.66:3478"));
    let reason = dropped(feed(&mut t.client, t.now, stranger, &message));
    assert_eq!(reason, DropReason::UnknownRemote);
    let elsewhere = FiveTuple::udp(addr("198.51.100.5:40001"), listener());
    let reason = dropped(feed(&mut t.client, t.now, elsewhere, &message));
    assert_eq!(reason, DropReason::UnknownLocal);
    let request = t.sent();
    assert_eq!(
        t.offer(&request),
        Input::Dropped(DropReason::Unsupported),
        "a client answers no requests"
    );
    assert_eq!(t.offer(b""), Input::Dropped(DropReason::NotStun));
}

#[test]
fn debug_shows_no_secrets() {
    let t = Clients::allocated();
    let text = format!("{:?} {:?}", t.client, client_config());
    assert!(
        !text.contains(PASSWORD) && !text.contains("nonce-1"),
        "{text}"
    );
}

// ---- what is not for the client ------------------------------------------------------------

/// One port carries several protocols, told apart by their first byte.
/// req: TURN-12-2, TURN-12-3
#[test]
fn what_is_neither_stun_nor_channel_data_is_left_alone() {
    let mut t = Clients::allocated();
    t.client.bind_channel(t.now, peer()).unwrap();
    for first in 0..=255 {
        let mut bytes = channel_data(0x4000, b"0123456789abcdef");
        bytes[0] = first;
        let input = t.offer(&bytes);
        match first {
            0x40 => assert!(matches!(input, Input::Data(_))),
            0x41..=0x4F => assert_eq!(input, Input::Dropped(DropReason::NoChannel)),
            // From 0 to 3 it would be STUN, but lacks the cookie.
            _ => assert_eq!(input, Input::Dropped(DropReason::NotStun), "{first}"),
        }
    }
}

/// req: TURN-12.4-1
#[test]
fn channel_data_is_a_number_a_length_and_data() {
    let mut t = Clients::allocated();
    t.client.bind_channel(t.now, peer()).unwrap();
    let request = t.sent();
    t.give(&granted(&request));
    let sent = |t: &mut Clients, data: &[u8]| t.client.wrap(peer(), data).unwrap().payload;
    assert_eq!(sent(&mut t, b"ab")[..], [0x40, 0x00, 0, 2, b'a', b'b']);
    assert_eq!(sent(&mut t, b"")[..], [0x40, 0x00, 0, 0]);
    assert_eq!(sent(&mut t, &[7; 300])[..4], [0x40, 0x00, 1, 44]);
}

/// req: TURN-17-1
#[test]
fn methods_and_classes_that_do_not_go_together_are_dropped() {
    let mut t = Clients::allocated();
    t.client.bind_channel(t.now, peer()).unwrap();
    let asked = t.sent();
    let id = parse(&asked).transaction_id();
    for method in (0..16).map(Method::new) {
        for class in [
            Class::Request,
            Class::Indication,
            Class::Success,
            Class::Error,
        ] {
            let fits = match class {
                Class::Request => false,
                Class::Indication => method == Method::DATA,
                Class::Success | Class::Error => method == Method::CHANNEL_BIND,
            };
            let mut buffer = [0; 256];
            let builder = Builder::new(&mut buffer, MessageType::new(class, method), id);
            let builder = match class {
                Class::Error => builder.with(&code(508)),
                _ => builder.with(&XorPeerAddress(peer())).with(&Data(b"x")),
            };
            let length = builder.with_integrity(&key()).finish().unwrap();
            let mut client = t.client.clone();
            let (input, _) = feed(&mut client, t.now, client_path(), &buffer[..length]);
            let is_dropped = matches!(input, Input::Dropped(_));
            // A success that carries what it must not is taken as far as it goes.
            assert!(is_dropped != fits, "{method:?} {class:?}: {input:?}");
        }
    }
}

/// req: TURN-5-16
#[test]
fn a_fingerprint_is_welcome_and_a_wrong_one_is_not() {
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let mut data = data_indication(|b| {
        b.with(&XorPeerAddress(peer()))
            .with(&Data(b"x"))
            .with_fingerprint()
    });
    assert!(matches!(t.offer(&data), Input::Data(_)));
    let last = data.len() - 1;
    data[last] ^= 1;
    assert_eq!(t.offer(&data), Input::Dropped(DropReason::Unauthenticated));
}

#[test]
fn a_response_with_a_wrong_fingerprint_is_as_if_never_received() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    let mut wrong = response(&first, Class::Error, |b| {
        b.with(&code(401))
            .with(&Realm(REALM))
            .with(&Nonce("n"))
            .with_fingerprint()
    });
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    assert_eq!(t.offer(&wrong), Input::Dropped(DropReason::Unauthenticated));
    wrong[last] ^= 1;
    t.give(&wrong);
}

/// req: TURN-5-17
#[test]
fn messages_without_the_magic_cookie_are_not_stun() {
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let mut data = data_indication(|b| b.with(&XorPeerAddress(peer())).with(&Data(b"x")));
    data[4] ^= 1;
    assert_eq!(t.offer(&data), Input::Dropped(DropReason::NotStun));
}

/// req: TURN-18.13-1
#[test]
fn the_reserved_bits_of_icmp_do_not_count() {
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let value = [0xFF, 0xFF, 11, 0, 0, 0, 0, 0];
    let icmp = data_indication(|b| {
        b.with(&XorPeerAddress(peer()))
            .with_raw(AttributeType::ICMP, &value)
    });
    assert_eq!(t.offer(&icmp), Input::Handled);
    let Some(ClientEvent::Unreachable { kind, code, .. }) = t.event() else {
        panic!("not reported");
    };
    assert_eq!((kind, code), (11, 0));
}

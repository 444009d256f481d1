//! What an operator or driver may switch on in the server: ICMP errors, DONT-FRAGMENT, another server,
//! SOFTWARE, and a Binding service beside it.

mod support;

use std::net::SocketAddr;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{RefuseReason, Server, ServerConfig};
use support::*;

fn udp(b: Builder<'_>) -> Builder<'_> {
    b.with(&RequestedTransport::UDP)
}

const UNREACHABLE: Icmp = Icmp {
    kind: 3,
    code: 1,
    data: 0,
};

// ---- ICMP ----------------------------------------------------------------------------------

/// A server with both families, and a client that has sent something to a peer of each.
fn sending() -> (Server, Instant, Asker, [SocketAddr; 2]) {
    let (mut server, now) = server_with(server_config_v6());
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        udp(b).with(&AdditionalAddressFamily(AddressFamily::IPV6))
    });
    let message = answer.message();
    let relayed: Vec<_> = (message.attributes())
        .filter(|raw| raw.kind == AttributeType::XOR_RELAYED_ADDRESS)
        .map(|raw| {
            XorRelayedAddress::decode(raw.value, message.transaction_id())
                .unwrap()
                .0
        })
        .collect();
    for peer in [peer(), peer6()] {
        assert_eq!(asker.permit(&mut server, now, peer), 0);
        let sent = asker.push(&mut server, now, &send_indication(peer, b"x"));
        assert!(sent.is_some());
    }
    (server, now, asker, [relayed[0], relayed[1]])
}

/// req: TURN-11.5-1, TURN-11.5-4, TURN-11.5-5, TURN-18.13-1, TURN-18.13-2
#[test]
fn the_client_is_told_of_icmp_errors_of_certain_types() {
    let (mut server, now, mut asker, [v4, v6]) = sending();
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    for kind in 0..=255 {
        for (relayed, peer, told) in [
            (v4, peer(), [3, 11].contains(&kind)),
            (v6, peer6(), [1, 2, 3].contains(&kind)),
        ] {
            // One at a time, within the budget.
            let now = now + millis(u64::from(kind) * 1000);
            for code in [0, 4] {
                let error = Icmp {
                    kind,
                    code,
                    data: 1400,
                };
                assert_eq!(asker.permit(&mut server, now, peer), 0);
                let result = server.icmp_error(now, relayed, peer, error);
                let sent = server.poll_transmit();
                assert_eq!((result.is_ok(), sent.is_some()), (told, told), "{kind}");
                let Some(sent) = sent else { continue };
                assert_eq!(sent.path, asker.path);
                let message = parse(&sent.payload);
                assert_eq!(message.class(), Class::Indication);
                assert_eq!(message.method(), Method::DATA, "not ChannelData");
                assert_eq!(message.get().unwrap(), Some(XorPeerAddress(peer)));
                assert_eq!(message.get::<Data<'_>>().unwrap(), None);
                let too_big =
                    (relayed == v4 && (kind, code) == (3, 4)) || (relayed == v6 && kind == 2);
                let data = if too_big { 1400 } else { 0 };
                let expected = Icmp { kind, code, data };
                assert_eq!(message.get().unwrap(), Some(expected));
                let [value] = &values_of(&sent.payload, AttributeType::ICMP)[..] else {
                    panic!("one ICMP");
                };
                assert_eq!(value[..4], [0, 0, kind, code]);
            }
            if now > Instant::from_secs(500) {
                assert_eq!(asker.refresh(&mut server, now, 3600).code(), 0);
            }
        }
    }
}

/// Attack 40: errors that are forged.
/// req: TURN-11.5-3
#[test]
fn an_icmp_error_counts_only_for_what_was_sent_to_who_is_permitted() {
    let (mut server, now, asker, [v4, v6]) = sending();
    let mut idle = Asker::at(addr("198.51.100.77:1"));
    let idle_relay = idle.allocate(&mut server, now);
    assert_eq!(idle.permit(&mut server, now, peer()), 0);
    let mut ports = (49152..).map(|port| SocketAddr::new(v4.ip(), port));
    let free = ports.find(|at| ![v4, idle_relay].contains(at)).unwrap();
    for (relayed, to) in [
        (v4, other_peer()),   // no permission
        (v4, peer6()),        // another family
        (v6, peer()),         // another family
        (idle_relay, peer()), // nothing was sent
        (listener(), peer()), // no relayed address
        (free, peer()),       // nobody's
        (peer(), peer()),     // not ours
    ] {
        let told = server.icmp_error(now, relayed, to, UNREACHABLE);
        assert!(told.is_err(), "{relayed} {to}");
    }
    assert!(server.poll_transmit().is_none());
    // Any port of the peer, and none.
    let no_port = SocketAddr::new(peer().ip(), 0);
    assert_eq!(server.icmp_error(now, v4, no_port, UNREACHABLE), Ok(()));
    assert_eq!(server.poll_transmit().unwrap().path, asker.path);
    // When the permission has ended, so has this.
    let late = now + secs(300);
    let told = server.icmp_error(late, v4, peer(), UNREACHABLE);
    assert_eq!(told, Err(DropReason::NoPermission));
}

/// Whoever sent the error, a router mostly, needs no permission; whom the datagram was for does.
/// req: TURN-11.5-2
#[test]
fn the_router_that_reports_an_error_needs_no_permission() {
    let (mut server, now, mut asker, [v4, _]) = sending();
    let router = addr("8.8.8.8:0");
    // The driver says for which datagram the error came, not from where.
    assert_eq!(server.icmp_error(now, v4, peer(), UNREACHABLE), Ok(()));
    assert_eq!(server.poll_transmit().unwrap().path, asker.path);
    // And a permission for the router is none for others.
    assert_eq!(asker.permit(&mut server, now, router), 0);
    let told = server.icmp_error(now, v4, other_peer(), UNREACHABLE);
    assert_eq!(told, Err(DropReason::NoPermission));
    assert!(server.poll_transmit().is_none());
}

/// Attack 40: not more often than the budget says.
#[test]
fn icmp_errors_are_told_within_a_budget() {
    let (mut server, now, _, [v4, _]) = sending();
    let mut flood = |at| {
        let told = |_: &u32| {
            let told = server.icmp_error(at, v4, peer(), UNREACHABLE).is_ok();
            assert_eq!(server.poll_transmit().is_some(), told);
            told
        };
        (0..1000).filter(told).count()
    };
    assert_eq!(flood(now), 20);
    assert_eq!(flood(now + secs(1)), 10);
    assert!(server.stats().dropped(DropReason::OverBudget) > 1900);
}

// ---- DONT-FRAGMENT -------------------------------------------------------------------------

/// req: TURN-14-4, TURN-13.1-4, TURN-13.2-7, TURN-13.3-4, TURN-15-2
#[test]
fn dont_fragment_is_asked_of_the_driver_where_it_counts() {
    let mut config = server_config_v6();
    config.dont_fragment = true;
    config.listeners.push(addr("[2001:db8:1::2]:3478"));
    let home6 = addr("[2620:fe::5]:40000");
    for (transport, source, peer, counts) in [
        (Transport::Udp, home(), peer(), true),
        (Transport::Udp, home(), peer6(), false),
        (Transport::Udp, home6, peer(), false),
        (Transport::Udp, home6, peer6(), false),
        (Transport::Tcp, home(), peer(), true),
        (Transport::Tcp, home6, peer6(), true),
    ] {
        let (mut server, now) = server_with(config.clone());
        let mut asker = Asker::at(source);
        asker.path.transport = transport;
        // Who may not ask for it uses it all the same.
        let may_ask = transport == Transport::Tcp || source.is_ipv6();
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
            udp(b)
                .with_some(may_ask.then_some(DontFragment).as_ref())
                .with(&AdditionalAddressFamily(AddressFamily::IPV6))
        });
        assert_eq!(answer.code(), 0);
        assert_eq!(asker.permit(&mut server, now, peer), 0);
        for asked in [true, false] {
            let message = indication(Method::SEND, |b| {
                b.with(&XorPeerAddress(peer))
                    .with(&Data(b"x"))
                    .with_some(asked.then_some(DontFragment).as_ref())
            });
            let (input, _) = feed(&mut server, now, asker.path, &message);
            let Input::Forward(route) = input else {
                panic!("{input:?}");
            };
            assert_eq!(route.dont_fragment(), asked && counts);
        }
    }
}

/// What is sent by IPv6 for a client whose datagrams come by IPv4 would have to follow their DF bits,
/// and nobody sees those.
/// req: TURN-3.7-4
#[test]
fn dont_fragment_is_unknown_where_ipv4_is_translated_to_ipv6() {
    type Build = fn(Builder<'_>) -> Builder<'_>;
    let ipv4: Build = |b| b;
    let ipv6: Build = |b| b.with(&RequestedAddressFamily(AddressFamily::IPV6));
    let both: Build = |b| b.with(&AdditionalAddressFamily(AddressFamily::IPV6));
    let mut config = server_config_v6();
    config.dont_fragment = true;
    config.listeners.push(addr("[2001:db8:1::2]:3478"));
    let home6 = addr("[2620:fe::5]:40000");
    let ask = |config: &ServerConfig, transport, source, build: Build| {
        let (mut server, now) = server_with(config.clone());
        let mut asker = Asker::at(source);
        asker.path.transport = transport;
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
            build(udp(b).with(&DontFragment))
        });
        let list = answer.message().get::<UnknownAttributes<'_>>().unwrap();
        let listed = list.is_some_and(|it| it.iter().eq([AttributeType::DONT_FRAGMENT]));
        assert_eq!(listed, answer.code() == 420);
        answer.code()
    };
    for (transport, source, build, code) in [
        (Transport::Udp, home(), ipv4, 0),
        (Transport::Udp, home(), ipv6, 420),
        (Transport::Udp, home(), both, 420),
        (Transport::Dtls, home(), ipv6, 420),
        (Transport::Tcp, home(), ipv6, 0),
        (Transport::Tls, home(), both, 0),
        (Transport::Udp, home6, ipv6, 0),
        (Transport::Udp, home6, both, 0),
    ] {
        let got = ask(&config, transport, source, build);
        assert_eq!(got, code, "{transport:?} {source}");
    }
    // Without IPv6 nothing is translated.
    config.relay_ips.pop();
    assert_eq!(ask(&config, Transport::Udp, home(), both), 0);

    // A port that is kept has its family already.
    let mut config = server_config_v6();
    config.dont_fragment = true;
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    let pair = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        ipv6(udp(b)).with(&EvenPort { reserve_next: true })
    });
    let token: ReservationToken = pair.message().get().unwrap().unwrap();
    let mut other = Asker::at(addr("198.51.100.6:1"));
    let mut claim = |flag: Option<DontFragment>| {
        let answer = other.ask(&mut server, now, Method::ALLOCATE, |b| {
            udp(b).with(&token).with_some(flag.as_ref())
        });
        answer.code()
    };
    assert_eq!(claim(Some(DontFragment)), 420);
    assert_eq!(claim(None), 0, "it is still kept");
}

// ---- another server ------------------------------------------------------------------------

fn with_alternate() -> ServerConfig {
    let mut config = server_config();
    config.alternate = Some(Redirect {
        ipv4: Some("192.0.2.99:3478".parse().unwrap()),
        ..Redirect::default()
    });
    config
}

/// req: TURN-7.2-18
#[test]
fn a_server_that_drains_sends_its_users_to_another() {
    let (mut server, now) = server_with(with_alternate());
    let mut first = Asker::new();
    first.allocate(&mut server, now);
    server.drain();
    let mut asker = Asker::at(addr("198.51.100.7:1"));
    let stranger = asker.message(Method::ALLOCATE, &|b| udp(b));
    let answer = asker.tell(&mut server, now, &stranger).unwrap();
    assert_eq!(answer.code(), 401, "who is nobody's user is told nothing");
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, udp);
    let alternate = answer.message().get::<AlternateServer>().unwrap();
    assert_eq!(answer.code(), 300);
    assert_eq!(alternate, Some(AlternateServer(addr("192.0.2.99:3478"))));
    assert_eq!(server.stats().refused(RefuseReason::Redirected), 1);
    assert_eq!(first.refresh(&mut server, now, 600).code(), 0);
    // It has no address that a client over IPv6 could use.
    let mut v6 = Asker::at(addr("[2620:fe::5]:1"));
    assert_eq!(v6.ask(&mut server, now, Method::ALLOCATE, udp).code(), 508);
    server.resume();
    asker.allocate(&mut server, now);
}

#[test]
fn a_quota_is_no_reason_to_go_elsewhere_but_a_full_server_is() {
    let mut config = with_alternate();
    config.limits.per_user = 1;
    config.limits.allocations = 2;
    let (mut server, now) = server_with(config);
    Asker::new().allocate(&mut server, now);
    let mut again = Asker::at(addr("198.51.100.7:1"));
    assert_eq!(
        again.ask(&mut server, now, Method::ALLOCATE, udp).code(),
        486
    );
    let mut bob = Asker::user(addr("198.51.100.8:1"), "bob", "tr0ub4dor");
    bob.allocate(&mut server, now);
    let mut config = with_alternate();
    config.limits.allocations = 1;
    let (mut server, now) = server_with(config);
    Asker::new().allocate(&mut server, now);
    assert_eq!(
        again.ask(&mut server, now, Method::ALLOCATE, udp).code(),
        300
    );
}

// ---- SOFTWARE ------------------------------------------------------------------------------

/// Attack 18: strangers are told no more than they must be.
/// req: TURN-5-14
#[test]
fn software_is_told_to_users_in_answers_to_allocate_and_refresh() {
    let mut config = server_config();
    config.software = Some("floe".into());
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    let software = |answer: &Answer| answer.message().get::<Software<'_>>().unwrap().is_some();
    let stranger = asker.message(Method::ALLOCATE, &|b| udp(b));
    assert!(!software(&asker.tell(&mut server, now, &stranger).unwrap()));
    assert!(software(&asker.ask(
        &mut server,
        now,
        Method::ALLOCATE,
        udp
    )));
    assert!(
        software(&asker.ask(&mut server, now, Method::ALLOCATE, udp)),
        "437"
    );
    assert!(software(&asker.refresh(&mut server, now, 600)));
    let permit = asker.ask(&mut server, now, Method::CREATE_PERMISSION, |b| {
        b.with(&XorPeerAddress(peer()))
    });
    assert!(!software(&permit));
}

// ---- a Binding service on the same listener ------------------------------------------------

/// Attack 19: both machines get what arrives at a listener, the TURN server first; what it drops as
/// [`DropReason::Unsupported`] is the other's. RFC 5780 works from there.
#[test]
fn a_binding_server_answers_on_the_same_listener() {
    let (mut turn, now) = server();
    let other = addr("192.0.2.2:3479");
    let config = floe_stun::ServerConfig {
        behaviour: Some(BehaviourService {
            udp: Some(AddressGrid::new(listener(), other).unwrap()),
            ..BehaviourService::default()
        }),
        ..floe_stun::ServerConfig::default()
    };
    let mut binding = floe_stun::Server::with_config(config, [6; 32], now).unwrap();
    let mut send = |bytes: &[u8]| {
        let path = Asker::new().path;
        let (input, _) = feed(&mut turn, now, path, bytes);
        if input == Input::Dropped(DropReason::Unsupported) {
            let _ = feed(&mut binding, now, path, bytes);
        }
        let answers = [turn.poll_transmit(), binding.poll_transmit()];
        answers.map(|it| it.map(|it| (it.path.local, Answer(it.payload.to_vec()))))
    };
    let request = Asker::new().message(Method::BINDING, &|b| b);
    let [None, Some((from, answer))] = send(&request) else {
        panic!("the Binding server answers");
    };
    assert_eq!((answer.code(), from), (0, listener()));
    assert_eq!(
        answer.message().get().unwrap(),
        Some(XorMappedAddress(home()))
    );
    assert_eq!(answer.message().get().unwrap(), Some(OtherAddress(other)));
    let changed = Asker::new().message(Method::BINDING, &|b| {
        b.with(&ChangeRequest {
            ip: true,
            port: true,
        })
    });
    let [None, Some((from, _))] = send(&changed) else {
        panic!("the Binding server answers");
    };
    assert_eq!(from, other);
    let request = Asker::new().message(Method::ALLOCATE, &|b| b);
    let [Some((_, answer)), None] = send(&request) else {
        panic!("the TURN server answers");
    };
    assert_eq!(answer.code(), 401);
    assert_eq!(turn.stats().dropped(DropReason::Unsupported), 0);
}

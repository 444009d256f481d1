//! What hostile clients and peers try, and what becomes of it.
//!
//! The numbers are those of `docs/attacks.md`, which names all tests for each. Here are the attacks that any
//! server meets; others are tested where the thing attacked is.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Server, server::MAX_PENDING, *};
use proptest::prelude::*;
use support::*;

/// Addresses that no peer may have by default: many, nobody's, this host's.
const CLOSED_V4: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "127.255.255.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "169.254.169.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.2.77",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
];
const CLOSED_V6: &[&str] = &[
    "::",
    "::1",
    "ff02::1",
    "ff00::",
    "fe80::1",
    "febf::1",
    "fc00::1",
    "fdff::1",
    "fec0::1",
    "2001:db8::1",
    "64:ff9b:1::9.9.9.9",
    "100::1",
    "2001::1",
    "2001:0:4136:e378::1",
    "2002:909:909::1",
    "2001:10::1",
];
const OPEN: &[&str] = &[
    "9.9.9.9",
    "172.15.0.1",
    "172.32.0.1",
    "100.63.0.1",
    "100.128.0.1",
    "169.253.0.1",
    "11.0.0.1",
    "2620:fe::fe",
    "2606:4700::1111",
    "2003::1",
    "2001:200::1",
    "::ffff:9.9.9.9",
    "64:ff9b::9.9.9.9",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An asker with an IPv4 and one with an IPv6 allocation.
fn both_families() -> (Server, Instant, Asker, Asker) {
    let (mut server, now) = server_with(server_config_v6());
    let mut v4 = Asker::new();
    v4.allocate(&mut server, now);
    let mut v6 = Asker::at(addr("198.51.100.6:40000"));
    let answer = v6.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP)
            .with(&RequestedAddressFamily(AddressFamily::IPV6))
    });
    assert_eq!(answer.code(), 0);
    (server, now, v4, v6)
}

/// Attacks 1, 2 and 3: peers that are not public, by every way to name them.
/// req: TURN-10.2-4, TURN-11.2-4, TURN-12.2-3, TURN-21.4-1, TURN-21.4-2
#[test]
fn special_purpose_peers_are_forbidden() {
    let (mut server, now, mut v4, mut v6) = both_families();
    for text in CLOSED_V4.iter().chain(CLOSED_V6) {
        let peer = SocketAddr::new(ip(text), 80);
        let asker = if peer.is_ipv4() { &mut v4 } else { &mut v6 };
        assert_eq!(asker.permit(&mut server, now, peer), 403, "{text}");
        assert_eq!(asker.bind(&mut server, now, 0x4000, peer), 403, "{text}");
        assert_eq!(
            asker.push(&mut server, now, &send_indication(peer, b"x")),
            None
        );
    }
    assert_eq!(server.held(), 0);
    let count = (CLOSED_V4.len() + CLOSED_V6.len()) as u64;
    assert_eq!(server.stats().dropped(DropReason::NoPermission), count);
    for text in OPEN {
        let peer = SocketAddr::new(ip(text), 80);
        let asker = if peer.is_ipv4() { &mut v4 } else { &mut v6 };
        assert_eq!(asker.permit(&mut server, now, peer), 0, "{text}");
    }
}

/// Attacks 1, 2 and 3 over TCP: no connection is made to such peers, and none of theirs is taken.
/// req: TURNTCP-5.2-4, TURN-21.4-2
#[test]
fn special_purpose_peers_cannot_be_connected() {
    let mut config = server_config_v6();
    config.tcp = true;
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    asker.path.transport = Transport::Tcp;
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::TCP)
            .with(&AdditionalAddressFamily(AddressFamily::IPV6))
    });
    let relayed = answer.relayed();
    for text in CLOSED_V4.iter().chain(CLOSED_V6) {
        let peer = SocketAddr::new(ip(text), 80);
        let answer = asker.ask(&mut server, now, Method::CONNECT, |b| {
            b.with(&XorPeerAddress(peer))
        });
        assert_eq!(answer.code(), 403, "{text}");
        assert_eq!(asker.permit(&mut server, now, peer), 403, "{text}");
        assert_eq!(server.accept(now, relayed, peer), None);
    }
    assert_eq!((server.connections(), server.held()), (0, 0));
}

/// Attack 3: what is special may be allowed; what is no host, or a tunnel, may not.
#[test]
fn an_option_opens_private_networks_only() {
    let all = ["0.0.0.0/0", "::/0"].map(|text| text.parse().unwrap());
    let policy = all
        .into_iter()
        .fold(PeerPolicy::default(), PeerPolicy::allow);
    for open in [
        "10.1.1.1",
        "127.0.0.1",
        "169.254.169.254",
        "fe80::1",
        "::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(policy.permits(ip(open)), "{open}");
    }
    for closed in [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::1",
        "2002::1",
        "2001::1",
    ] {
        assert!(!policy.permits(ip(closed)), "{closed}");
    }
    let policy = PeerPolicy::default()
        .allow("10.0.0.0/8".parse().unwrap())
        .deny("10.9.0.0/16".parse().unwrap())
        .deny("9.9.9.9/32".parse().unwrap());
    assert!(policy.permits(ip("10.8.255.255")) && policy.permits(ip("10.10.0.0")));
    assert!(!policy.permits(ip("10.9.0.0")) && !policy.permits(ip("10.9.255.255")));
    assert!(!policy.permits(ip("9.9.9.9")) && !policy.permits(ip("::ffff:9.9.9.9")));
    assert!(policy.permits(ip("9.9.9.8")));
}

proptest! {
    /// Attack 4: an IPv4 address in an IPv6 disguise is judged as itself.
    #[test]
    fn disguises_change_nothing(bits: u32, prefix: u64) {
        let v4 = Ipv4Addr::from_bits(bits);
        let policy = PeerPolicy::default();
        let open = policy.permits(v4.into());
        let low = u128::from(bits);
        let at = |prefix: &str| Ipv6Addr::from_bits(prefix.parse::<Ipv6Addr>().unwrap().to_bits() | low);
        let permits = |ip: Ipv6Addr| policy.permits(ip.into());
        prop_assert_eq!(permits(at("::ffff:0:0")), open);
        prop_assert_eq!(permits(at("::")), open && bits > 1);
        prop_assert_eq!(permits(at("::ffff:0:0:0")), open);
        prop_assert_eq!(permits(at("64:ff9b::")), open);
        prop_assert!(!permits(at("64:ff9b:1::")));
        // ISATAP, below a prefix that is open itself.
        let site = (0x2620_00feu128 << 96) | (u128::from(prefix & 0xFFFF) << 64);
        for marker in [0x0000_5efeu128, 0x0200_5efe] {
            prop_assert_eq!(permits(Ipv6Addr::from_bits(site | marker << 32 | low)), open);
        }
        // Local translation stays closed where it leads to closed addresses, even if it is allowed.
        let local = PeerPolicy::default().allow("64:ff9b:1::/48".parse().unwrap());
        if !open {
            prop_assert!(!local.permits(at("64:ff9b:1::").into()));
        }
    }
}

/// Attack 4: clients behind Teredo and 6to4 get nothing, not even an answer.
/// req: TURN-21.4-2
#[test]
fn tunnelled_clients_are_refused() {
    let (mut server, now) = server();
    for source in ["[2001::1]:4000", "[2002:909:909::1]:4000"] {
        let mut asker = Asker::at(addr(source));
        let request = asker.message(Method::ALLOCATE, &|b| b.with(&RequestedTransport::UDP));
        let reason = dropped(feed(&mut server, now, asker.path, &request));
        assert_eq!(reason, DropReason::Forbidden);
        assert!(server.poll_transmit().is_none());
    }
}

/// Attack 6: the way through the relay to the server itself.
#[test]
fn the_server_is_no_peer_but_its_other_relays_are() {
    let mut config = server_config();
    config.listeners.push(addr("9.9.9.1:3478"));
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    let own = asker.allocate(&mut server, now);
    let mut other = Asker::at(addr("198.51.100.6:40000"));
    let theirs = other.allocate(&mut server, now);

    assert_eq!(
        asker.permit(&mut server, now, addr("9.9.9.1:1")),
        403,
        "a listener's address"
    );
    assert_eq!(
        asker.permit(&mut server, now, theirs),
        0,
        "the relay's own address"
    );
    let closed = [
        listener(),
        own,
        addr("192.0.2.1:9090"),
        SocketAddr::new(
            own.ip(),
            if own.port() == 49152 {
                49153
            } else {
                own.port() - 1
            },
        ),
    ];
    for peer in closed.into_iter().filter(|peer| *peer != theirs) {
        assert_eq!(asker.bind(&mut server, now, 0x4000, peer), 403, "{peer}");
        let reason = dropped(feed(
            &mut server,
            now,
            asker.path,
            &send_indication(peer, b"x"),
        ));
        assert_eq!(reason, DropReason::Forbidden, "{peer}");
    }
    assert_eq!(asker.bind(&mut server, now, 0x4000, theirs), 0);
    assert_eq!(other.permit(&mut server, now, own), 0);
    assert!(
        asker
            .push(&mut server, now, &channel_data(0x4000, b"x"))
            .is_some()
    );
    // When the other relay is gone, the channel leads nowhere.
    other.refresh(&mut server, now, 0);
    let reason = dropped(feed(
        &mut server,
        now,
        asker.path,
        &channel_data(0x4000, b"x"),
    ));
    assert_eq!(reason, DropReason::Forbidden);
}

/// Attack 6: a port for administration or a data base, in a network that is open otherwise, however its
/// address is spelled. Permissions are for addresses; each way to use one asks for the port.
#[test]
fn protected_ports_are_no_peers() {
    let mut config = server_config_v6();
    config.tcp = true;
    config.peers = PeerPolicy::default()
        .allow("10.0.0.0/8".parse().unwrap())
        .protect(addr("10.0.0.1:5432"))
        .protect(addr("10.0.0.2:0"));
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP)
            .with(&AdditionalAddressFamily(AddressFamily::IPV6))
    });
    assert_eq!(answer.code(), 0);
    for spelling in ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"] {
        let at = |port| SocketAddr::new(ip(spelling), port);
        assert_eq!(asker.permit(&mut server, now, at(5432)), 0, "the address");
        let closed = send_indication(at(5432), b"x");
        let reason = dropped(feed(&mut server, now, asker.path, &closed));
        assert_eq!(reason, DropReason::Forbidden, "{spelling}");
        let open = send_indication(at(5433), b"x");
        assert!(asker.push(&mut server, now, &open).is_some());
        let number = 0x4000 + u16::from(at(1).is_ipv6());
        assert_eq!(asker.bind(&mut server, now, number + 8, at(5432)), 403);
    }
    assert_eq!(asker.permit(&mut server, now, addr("10.0.0.2:1")), 403);
    let mut tcp = Asker::at(addr("198.51.100.6:1"));
    tcp.path.transport = Transport::Tcp;
    let answer = tcp.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::TCP)
    });
    assert_eq!(answer.code(), 0);
    let answer = tcp.ask(&mut server, now, Method::CONNECT, |b| {
        b.with(&XorPeerAddress(addr("10.0.0.1:5432")))
    });
    assert_eq!(answer.code(), 403);
}

/// Attacks 3 and 6: each refusal of a peer is counted for its reason.
#[test]
fn refused_peers_are_counted_for_their_reasons() {
    let mut config = server_config();
    let policy = PeerPolicy::default().protect(addr("9.9.9.3:0"));
    config.peers = policy.deny("9.9.9.4/32".parse().unwrap());
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let reasons = [
        ("9.9.9.3:1", RefuseReason::Protected),
        ("9.9.9.4:1", RefuseReason::Denied),
        ("10.0.0.1:1", RefuseReason::SpecialPurpose),
        ("224.0.0.1:1", RefuseReason::NotUnicast),
    ];
    for (peer, reason) in reasons {
        assert_eq!(asker.permit(&mut server, now, addr(peer)), 403);
        assert_eq!(server.stats().refused(reason), 1, "{peer}");
    }
}

/// Attack 7.
/// req: TURN-10.2-3, TURN-12.2-2
#[test]
fn a_peer_of_another_family_is_a_mismatch() {
    let (mut server, now, mut v4, mut v6) = both_families();
    assert_eq!(v4.permit(&mut server, now, peer6()), 443);
    assert_eq!(v6.permit(&mut server, now, peer()), 443);
    assert_eq!(v4.bind(&mut server, now, 0x4000, peer6()), 443);
    assert_eq!(v6.bind(&mut server, now, 0x4000, peer()), 443);
    assert_eq!(v4.permit(&mut server, now, addr("[::ffff:9.9.9.9]:1")), 443);
}

/// Attack 9: of several alike, the first counts.
#[test]
fn of_duplicate_attributes_the_first_wins() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP)
            .with(&RequestedTransport::TCP)
            .with(&Lifetime(1200))
            .with(&Lifetime(0))
    });
    assert_eq!((answer.code(), answer.lifetime()), (0, 1200));
    let answer = asker.ask(&mut server, now, Method::REFRESH, |b| {
        b.with(&Lifetime(700)).with(&Lifetime(0))
    });
    assert_eq!((answer.code(), answer.lifetime()), (0, 700));
    assert_eq!(asker.permit(&mut server, now, peer()), 0);
    let twice = indication(Method::SEND, |b| {
        b.with(&XorPeerAddress(peer()))
            .with(&XorPeerAddress(other_peer()))
            .with(&Data(b"first"))
            .with(&Data(b"second"))
    });
    let (path, data) = asker.push(&mut server, now, &twice).unwrap();
    assert_eq!((path.remote, &data[..]), (peer(), &b"first"[..]));
}

/// Attack 10: what stands behind the integrity attribute does not count.
#[test]
fn attributes_behind_integrity_are_ignored() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let mut request = asker.message(Method::REFRESH, &|b| b);
    request.extend([0, 0x0D, 0, 4, 0, 0, 0, 0]);
    let length = (request.len() - 20) as u16;
    request[2..4].copy_from_slice(&length.to_be_bytes());
    let answer = asker.tell(&mut server, now, &request).unwrap();
    assert_eq!(
        (answer.code(), answer.lifetime()),
        (0, 600),
        "LIFETIME 0 would delete"
    );
}

/// Attack 13: nonces that are made up, another's, or old.
#[test]
fn false_nonces_are_stale_and_get_a_true_one() {
    let (mut server, now) = server();
    let nonce_for = |server: &mut Server, source| {
        let request = Asker::at(source).message(Method::ALLOCATE, &|b| b);
        let answer = Asker::at(source).tell(server, now, &request).unwrap();
        let Nonce(nonce) = answer.message().get().unwrap().unwrap();
        nonce.to_owned()
    };
    let mine = nonce_for(&mut server, home());
    let of_other_port = nonce_for(&mut server, addr("198.51.100.5:40001"));
    let of_other_ip = nonce_for(&mut server, addr("198.51.100.6:40000"));
    assert_ne!(mine, of_other_port);
    let mut changed = mine.clone();
    changed.replace_range(
        mine.len() - 1..,
        if mine.ends_with('0') { "1" } else { "0" },
    );
    let ask = |server: &mut Server, now, nonce: &str| {
        let mut buffer = [0; 512];
        let kind = MessageType::new(Class::Request, Method::ALLOCATE);
        let len = Builder::new(&mut buffer, kind, TransactionId([7; 12]))
            .with(&RequestedTransport::UDP)
            .with(&Username(USER))
            .with(&Realm(REALM))
            .with(&Nonce(nonce))
            .with_integrity(&key())
            .finish()
            .unwrap();
        let answer = Asker::new().tell(server, now, &buffer[..len]).unwrap();
        let fresh = answer.message().get::<Nonce<'_>>().unwrap().is_some();
        assert_eq!(fresh, answer.code() == 438);
        answer.code()
    };
    for nonce in [
        "",
        "made up",
        &of_other_port,
        &of_other_ip,
        &changed,
        &mine[1..],
    ] {
        assert_eq!(ask(&mut server, now, nonce), 438, "{nonce}");
    }
    assert_eq!(ask(&mut server, now + secs(3601), &mine), 438);
    assert_eq!(server.allocations(), 0);
    assert_eq!(ask(&mut server, now, &mine), 438, "time does not run back");
    let (mut server, now) = support::server();
    assert_eq!(
        ask(&mut server, now, &mine),
        0,
        "the same seed, the same nonces"
    );
}

/// Attack 14: a captured request, sent again.
#[test]
fn a_replayed_request_has_no_further_effect() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let request = asker.message(Method::CREATE_PERMISSION, &|b| {
        b.with(&XorPeerAddress(peer()))
    });
    assert_eq!(asker.tell(&mut server, now, &request).unwrap().code(), 0);
    assert_eq!(asker.tell(&mut server, now, &request).unwrap().code(), 0);
    assert_eq!(server.held(), 1);
    let thief = Asker::at(addr("198.51.100.66:40000"));
    assert_eq!(thief.tell(&mut server, now, &request).unwrap().code(), 438);
    assert_eq!((server.allocations(), server.held()), (1, 1));
}

/// Attack 15: no answer tells whether a user exists.
/// req: TURN-7.2-3
#[test]
fn unknown_users_and_wrong_passwords_look_alike() {
    let (mut server, now) = server();
    let mut lengths = Vec::new();
    for (user, password) in [(USER, "wrong"), ("nobod", PASSWORD)] {
        let mut asker = Asker::user(home(), user, password);
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
            b.with(&RequestedTransport::UDP)
        });
        assert_eq!(answer.code(), 401);
        lengths.push(answer.0.len());
    }
    assert_eq!(lengths[0], lengths[1]);
    assert_eq!(server.allocations(), 0);
}

/// Attack 17: a flood of strangers leaves nothing behind.
#[test]
fn unauthenticated_sources_cost_no_memory() {
    let (mut server, now) = server();
    let request = Asker::new().message(Method::ALLOCATE, &|b| b.with(&RequestedTransport::UDP));
    for i in 0..5000u32 {
        let source = SocketAddr::new(Ipv4Addr::from_bits(0x0900_0000 + i).into(), 1000);
        assert!(Asker::at(source).tell(&mut server, now, &request).is_some());
    }
    assert_eq!((server.allocations(), server.held()), (0, 0));
    assert_eq!(server.poll_timeout(), None);
    assert!(server.poll_event().is_none() && server.poll_transmit().is_none());
}

/// Attack 18: of whoever is named as the source, no more answers are sent to than the budget says; and
/// the others do not notice.
#[test]
fn strangers_are_answered_within_a_budget() {
    let mut config = server_config();
    config.answers = Some(Budget {
        rate: 10,
        burst: 20,
        ..Budget::DEFAULT
    });
    let (mut server, now) = server_with(config);
    let mut flood = |source: &dyn Fn(u16) -> SocketAddr, at: Instant| {
        let request = Asker::new().message(Method::ALLOCATE, &|b| b);
        let answers = (1..=1000).filter(|&n| {
            let path = FiveTuple::udp(listener(), source(n));
            let (input, _) = feed(&mut server, at, path, &request);
            assert_eq!(input == Input::Handled, server.poll_transmit().is_some());
            input == Input::Handled
        });
        answers.count()
    };
    let victim = |port| SocketAddr::new(ip("198.51.100.77"), port);
    let network = |n: u16| SocketAddr::new(ip(&format!("2620:fe:0:1{:02x}::{n:x}", n % 256)), n);
    assert_eq!(flood(&victim, now), 20);
    assert_eq!(flood(&network, now), 20);
    assert_eq!(flood(&victim, now + secs(1)), 10);
    let stats = server.stats();
    assert_eq!(stats.dropped(DropReason::OverBudget), 3000 - 50);
    assert_eq!(stats.refused(RefuseReason::Unauthenticated), 50);
    // Users of other networks are served as ever, and what is signed is not counted.
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    for _ in 0..100 {
        assert_eq!(asker.permit(&mut server, now, peer()), 0);
    }
}

/// A driver that never drains cannot be made to hold ever more.
#[test]
fn answers_that_nobody_takes_are_bounded() {
    let (mut server, now) = server();
    let request = Asker::new().message(Method::ALLOCATE, &|b| b);
    let path = Asker::new().path;
    for _ in 0..1000 {
        let _ = feed(&mut server, now, path, &request);
    }
    let waiting = std::iter::from_fn(|| server.poll_transmit()).count();
    assert_eq!(waiting, MAX_PENDING);
}

/// Attack 29: a number or a peer that was bound is not bound otherwise before the guard time is over.
#[test]
fn channels_are_not_rebound_within_the_guard_time() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    for at in [599, 600, 899] {
        let at = now + secs(at);
        assert_eq!(
            asker
                .refresh(&mut server, at.min(now + secs(590)), 3600)
                .code(),
            0
        );
        assert_eq!(asker.bind(&mut server, at, 0x4000, other_peer()), 400);
        assert_eq!(asker.bind(&mut server, at, 0x4001, peer()), 400);
    }
    let after = now + secs(900);
    assert_eq!(asker.bind(&mut server, after, 0x4000, other_peer()), 0);
    assert_eq!(asker.bind(&mut server, after, 0x4001, peer()), 0);
    let sent = asker
        .push(&mut server, after, &channel_data(0x4001, b"x"))
        .unwrap();
    assert_eq!(sent.0.remote, peer());
    assert_eq!(server.held(), 4);
}

/// Attack 38: an id that was used before with another body is another request.
#[test]
fn a_transaction_id_used_again_gets_no_old_answer() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let make = |asker: &Asker, lifetime| {
        let mut buffer = [0; 512];
        let kind = MessageType::new(Class::Request, Method::ALLOCATE);
        let builder = Builder::new(&mut buffer, kind, TransactionId([42; 12]))
            .with(&RequestedTransport::UDP)
            .with(&Lifetime(lifetime));
        let len = asker.auth.authenticate(builder).finish().unwrap();
        buffer[..len].to_vec()
    };
    asker.refresh(&mut server, now, 0);
    let one = make(&asker, 1200);
    assert_eq!(asker.tell(&mut server, now, &one).unwrap().lifetime(), 1200);
    let other = make(&asker, 1300);
    assert_eq!(asker.tell(&mut server, now, &other).unwrap().code(), 437);
    assert_eq!(asker.tell(&mut server, now, &one).unwrap().lifetime(), 1200);
}

/// Attack 43: sources that nobody can be.
#[test]
fn impossible_sources_are_dropped() {
    let (mut server, now) = server();
    let request = Asker::new().message(Method::ALLOCATE, &|b| b.with(&RequestedTransport::UDP));
    let impossible = [
        "198.51.100.5:0",
        "255.255.255.255:5000",
        "224.0.0.5:5000",
        "0.0.0.0:5000",
        "192.0.2.1:3478",
        "[ff02::1]:5000",
        "[::]:5000",
        "[::ffff:224.0.0.5]:5000",
    ];
    for source in impossible {
        let path = FiveTuple::udp(listener(), addr(source));
        assert_eq!(
            dropped(feed(&mut server, now, path, &request)),
            DropReason::Forbidden
        );
        assert!(server.poll_transmit().is_none());
    }
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut server, now);
    assert_eq!(asker.permit(&mut server, now, peer()), 0);
    let from_port_0 = FiveTuple::udp(relayed, addr("9.9.9.9:0"));
    assert_eq!(
        dropped(feed(&mut server, now, from_port_0, b"x")),
        DropReason::Forbidden
    );
}

/// Attack 41: a clock that jumps back.
#[test]
fn time_that_runs_back_does_no_harm() {
    let (mut server, _) = server();
    let mut asker = Asker::new();
    let late = Instant::from_secs(100_000);
    let early = Instant::from_secs(74_800);
    asker.allocate(&mut server, late);
    assert_eq!(asker.permit(&mut server, early, peer()), 0);
    assert_eq!(asker.refresh(&mut server, early, 600).code(), 0);
    assert_eq!(server.poll_timeout(), Some(late + secs(600)));
    assert!(
        asker
            .push(
                &mut server,
                late + secs(299),
                &send_indication(peer(), b"x")
            )
            .is_some()
    );
}

/// Attack 8: one bad address among many spoils all, and there are never too many.
/// req: TURN-10.2-5, TURN-10.2-2
#[test]
fn one_bad_peer_among_many_installs_none() {
    let mut config = server_config();
    config.limits.permissions = 10;
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let good = |n: u8| SocketAddr::new(Ipv4Addr::new(9, 9, 9, n).into(), 1);
    let mut ask = |count: u8, bad: Option<SocketAddr>| {
        let answer = asker.ask(&mut server, now, Method::CREATE_PERMISSION, |b| {
            let b = (0..count).fold(b, |b, n| b.with(&XorPeerAddress(good(n))));
            b.with_some(bad.map(XorPeerAddress).as_ref())
        });
        (answer.code(), server.held())
    };
    assert_eq!(ask(5, Some(addr("10.0.0.1:1"))), (403, 0));
    assert_eq!(ask(5, Some(peer6())), (443, 0));
    assert_eq!(ask(11, None), (508, 0));
    assert_eq!(ask(200, None), (508, 0));
    assert_eq!(ask(8, None), (0, 8));
    assert_eq!(ask(2, Some(addr("8.8.8.1:1"))), (0, 9));
    assert_eq!(ask(10, Some(addr("8.8.8.1:1"))), (508, 9));
}

/// Attack 11: an integrity attribute that is cut too short, or to no multiple of 4.
#[test]
fn a_short_integrity_is_none() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| b);
    assert_eq!(answer.code(), 400);
    let whole = asker.message(Method::ALLOCATE, &|b| b.with(&RequestedTransport::UDP));
    // The 36 bytes of MESSAGE-INTEGRITY-SHA256 are the last.
    let at = whole.len() - 36;
    assert_eq!(whole[at..at + 4], [0, 0x1C, 0, 32]);
    for length in 0..32u16 {
        let mut cut = whole[..at + 4 + usize::from(length)].to_vec();
        cut.resize(cut.len().next_multiple_of(4), 0);
        cut[at + 2..at + 4].copy_from_slice(&length.to_be_bytes());
        let total = (cut.len() - 20) as u16;
        cut[2..4].copy_from_slice(&total.to_be_bytes());
        let (input, _) = feed(&mut server, now, asker.path, &cut);
        if input == Input::Handled {
            let answer = Answer(server.poll_transmit().unwrap().payload.to_vec());
            assert!([400, 401].contains(&answer.code()), "{length}");
        }
        assert_eq!(server.allocations(), 0, "{length}");
    }
}

/// Attack 12: the list of algorithms was changed on the way.
#[test]
fn a_changed_list_of_algorithms_is_refused() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.ask(&mut server, now, Method::ALLOCATE, |b| b);
    let nonce = {
        let request = Asker::new().message(Method::ALLOCATE, &|b| b);
        let answer = Asker::new().tell(&mut server, now, &request).unwrap();
        let Nonce(nonce) = answer.message().get().unwrap().unwrap();
        nonce.to_owned()
    };
    let key = Key::long_term_sha256(USER, REALM, PASSWORD);
    for (list, choice, code) in [
        (&[0, 2, 0, 0, 0, 1, 0, 0][..], &[0, 2, 0, 0][..], 0),
        (&[0, 2, 0, 0], &[0, 2, 0, 0], 400),
        (&[0, 1, 0, 0, 0, 2, 0, 0], &[0, 2, 0, 0], 400),
        (&[0, 1, 0, 0], &[0, 1, 0, 0], 400),
        (&[0, 2, 0, 0, 0, 1, 0, 0], &[0, 3, 0, 0], 400),
    ] {
        let mut buffer = [0; 512];
        let kind = MessageType::new(Class::Request, Method::ALLOCATE);
        let len = Builder::new(&mut buffer, kind, TransactionId([7; 12]))
            .with(&RequestedTransport::UDP)
            .with(&Username(USER))
            .with(&Realm(REALM))
            .with(&Nonce(&nonce))
            .with_raw(AttributeType::PASSWORD_ALGORITHMS, list)
            .with_raw(AttributeType::PASSWORD_ALGORITHM, choice)
            .with_integrity_sha256(&key)
            .finish()
            .unwrap();
        let answer = Asker::new().tell(&mut server, now, &buffer[..len]).unwrap();
        assert_eq!(answer.code(), code, "{list:?} {choice:?}");
        asker.refresh(&mut server, now, 0);
    }
}

/// Attack 16: another user on the same 5-tuple.
/// req: TURN-5-8
#[test]
fn another_user_on_the_5_tuple_touches_nothing() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let mut bob = Asker::user(home(), "bob", "tr0ub4dor");
    assert_eq!(bob.refresh(&mut server, now, 0).code(), 441);
    assert_eq!(bob.permit(&mut server, now, peer()), 441);
    assert_eq!(bob.bind(&mut server, now, 0x4000, peer()), 441);
    let answer = bob.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP)
    });
    assert_eq!(answer.code(), 437);
    assert_eq!((server.allocations(), server.held()), (1, 0));
}

/// Attack 25: floods of allocations, each met by its own bound.
/// req: TURN-7.2-16, TURN-7.2-17
#[test]
fn allocations_are_bounded_by_user_by_source_and_in_all() {
    let mut config = server_config();
    config.limits.per_user = 3;
    config.limits.per_address = 4;
    config.limits.allocations = 5;
    let (mut server, now) = server_with(config);
    let mut ask = |source: &str, user: &str| {
        let password = if user == USER { PASSWORD } else { "tr0ub4dor" };
        let mut asker = Asker::user(addr(source), user, password);
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
            b.with(&RequestedTransport::UDP)
        });
        answer.code()
    };
    for (source, user, code) in [
        ("198.51.100.5:1", USER, 0),
        ("198.51.100.6:1", USER, 0),
        ("198.51.100.5:2", USER, 0),
        ("198.51.100.7:1", USER, 486), // the user
        ("198.51.100.5:3", "bob", 0),
        ("198.51.100.5:4", "bob", 0),
        ("198.51.100.5:5", "bob", 486), // the source
        ("198.51.100.8:1", "bob", 508), // all
    ] {
        assert_eq!(ask(source, user), code, "{source} {user}");
    }
}

/// Attack 27.
/// req: TURN-7.2-28
#[test]
fn an_endless_lifetime_is_cut_to_the_maximum() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP).with(&Lifetime(u32::MAX))
    });
    assert_eq!(answer.lifetime(), 3600);
    assert_eq!(asker.refresh(&mut server, now, u32::MAX).lifetime(), 3600);
    server.handle_timeout(now + secs(3600));
    assert_eq!(server.allocations(), 0);
}

/// Attack 28: all channels there are, and more peers than that.
/// req: TURN-12.2-4
#[test]
fn channels_and_permissions_of_one_allocation_are_bounded() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    let mut bound = 0;
    for number in 0x4000..0x4200u16 {
        let peer = SocketAddr::new(peer().ip(), number);
        match asker.bind(&mut server, now, number, peer) {
            0 => bound += 1,
            code => assert_eq!(code, 508),
        }
    }
    assert_eq!((bound, server.held()), (256, 257));
    let permitted = (0..1000u32).filter(|n| {
        let peer = SocketAddr::new(Ipv4Addr::from_bits(0x0801_0000 + n).into(), 1);
        asker.permit(&mut server, now, peer) == 0
    });
    assert_eq!(permitted.count(), 255);
    assert_eq!(server.held(), 512);
}

/// Attack 30: data in channels that are none.
/// req: TURN-12.6-1, TURN-12.6-2, TURN-12.6-3
#[test]
fn data_in_a_channel_that_is_none_is_dropped() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    for first in (0x4001..=0xFFFFu16).step_by(97) {
        let data = channel_data(first, b"data");
        assert_eq!(asker.push(&mut server, now, &data), None, "{first:#x}");
    }
    let mut long = channel_data(0x4000, b"data");
    long[3] = 5;
    assert_eq!(asker.push(&mut server, now, &long), None);
    assert!(server.poll_transmit().is_none() && server.poll_event().is_some());
    assert!(server.poll_event().is_none());
}

/// Attack 31: a peer that nobody has permitted.
/// req: TURN-9-4
#[test]
fn what_an_unknown_peer_sends_is_dropped_and_counted() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut server, now);
    assert_eq!(asker.permit(&mut server, now, peer()), 0);
    let timeout = server.poll_timeout();
    for n in 0..1000u32 {
        let from = SocketAddr::new(Ipv4Addr::from_bits(0x0801_0000 + n).into(), 1);
        assert_eq!(arrive(&mut server, now, from, relayed, b"x"), None);
    }
    assert_eq!(server.stats().dropped(DropReason::NoPermission), 1000);
    assert_eq!((server.held(), server.poll_timeout()), (1, timeout));
}

/// Attack 32: nothing of what lay in a buffer before goes out with padding.
#[test]
fn padding_is_zero_whatever_the_buffer_held() {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    let relayed = asker.allocate(&mut server, now);
    assert_eq!(asker.permit(&mut server, now, peer()), 0);
    for length in 0..9 {
        let data = vec![0xBB; length];
        let (_, framed) = arrive(&mut server, now, peer(), relayed, &data).unwrap();
        let padding = length.next_multiple_of(4) - length;
        assert_eq!(framed[framed.len() - padding..], vec![0; padding][..]);
        // `feed` fills the buffer with this.
        assert!(!framed.windows(2).any(|two| two == [0xAA, 0xAA]));
    }
}

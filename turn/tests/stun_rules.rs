//! What RFC 8489 asks of every server, asked of each method of TURN: TURN is an extension of STUN
//! (RFC 8656 §5).

mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Server, ServerConfig, UserBase};
use support::*;

type Build = fn(Builder<'_>) -> Builder<'_>;

/// Every method of a request, with what a good one carries.
const METHODS: [(Method, Build); 6] = [
    (Method::ALLOCATE, udp),
    (Method::REFRESH, |b| b.with(&Lifetime(600))),
    (Method::CREATE_PERMISSION, |b| {
        b.with(&XorPeerAddress(peer()))
    }),
    (Method::CHANNEL_BIND, |b| {
        b.with(&ChannelNumber(0x4000)).with(&XorPeerAddress(peer()))
    }),
    (Method::CONNECT, |b| b.with(&XorPeerAddress(peer()))),
    (Method::CONNECTION_BIND, |b| b.with(&ConnectionId(7))),
];

fn udp(b: Builder<'_>) -> Builder<'_> {
    b.with(&RequestedTransport::UDP)
}

/// A server that knows all methods, and a client over a stream, which all of them may use.
fn ready() -> (Server, Instant, Asker) {
    let mut config = server_config();
    config.tcp = true;
    let (server, now) = server_with(config);
    let mut asker = Asker::new();
    asker.path.transport = Transport::Tcp;
    (server, now, asker)
}

/// The same, and the client knows a nonce.
fn challenged() -> (Server, Instant, Asker) {
    let (mut server, now, mut asker) = ready();
    let request = asker.message(Method::REFRESH, &|b| b);
    let answer = asker.tell(&mut server, now, &request).unwrap();
    asker.auth.challenge(&answer.message(), false).unwrap();
    (server, now, asker)
}

/// A request with FINGERPRINT, signed if the client has been challenged.
fn fingerprinted(asker: &Asker, method: Method, build: Build) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let kind = MessageType::new(Class::Request, method);
    let builder = build(Builder::new(&mut buffer, kind, TransactionId([77; 12])));
    let builder = asker.auth.authenticate(builder).with_fingerprint();
    let len = builder.finish().unwrap();
    buffer.truncate(len);
    buffer
}

fn dropped_silently(server: &mut Server, now: Instant, asker: &Asker, bytes: &[u8]) -> DropReason {
    let reason = dropped(feed(server, now, asker.path, bytes));
    assert!(server.poll_transmit().is_none());
    reason
}

// ---- the form of messages ------------------------------------------------------------------

/// The length counts what follows the header, all of it and nothing else.
/// req: TURN-5-1
#[test]
fn a_request_of_another_length_than_it_says_is_dropped() {
    for (method, build) in METHODS {
        let (mut server, now, mut asker) = ready();
        let good = asker.message(method, &|b| build(b));
        for (wrong, length) in [(&good[..], -4), (&good[..], 4), (&good[..19], 0)] {
            let mut wrong = wrong.to_vec();
            let said = u16::from_be_bytes([good[2], good[3]]).saturating_add_signed(length);
            wrong[2..4].copy_from_slice(&said.to_be_bytes());
            dropped_silently(&mut server, now, &asker, &wrong);
        }
        let mut longer = good.clone();
        longer.extend([0; 4]);
        let reason = dropped_silently(&mut server, now, &asker, &longer);
        assert_eq!(reason, DropReason::Malformed, "{method:?}");
        assert!(asker.tell(&mut server, now, &good).is_some());
    }
}

/// There is no mode for clients of RFC 3489.
/// req: TURN-5-1, TURN-5-17
#[test]
fn a_message_without_the_magic_cookie_is_not_stun() {
    for (method, build) in METHODS {
        let (mut server, now, mut asker) = ready();
        let mut request = asker.message(method, &|b| build(b));
        request[4] ^= 0x20;
        let reason = dropped_silently(&mut server, now, &asker, &request);
        assert_eq!(reason, DropReason::NotStun, "{method:?}");
    }
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    assert_eq!(asker.permit(&mut server, now, peer()), 0);
    let mut data = send_indication(peer(), b"x");
    data[7] ^= 1;
    let reason = dropped_silently(&mut server, now, &asker, &data);
    assert_eq!(reason, DropReason::NotStun);
}

/// req: TURN-5-1, TURN-5-16
#[test]
fn a_fingerprint_is_checked_and_returned() {
    for (method, build) in METHODS {
        for (mut server, now, asker) in [ready(), challenged()] {
            let request = fingerprinted(&asker, method, build);
            let mut wrong = request.clone();
            *wrong.last_mut().unwrap() ^= 1;
            let reason = dropped_silently(&mut server, now, &asker, &wrong);
            assert_eq!(reason, DropReason::Unauthenticated);
            let answer = asker.tell(&mut server, now, &request).unwrap();
            assert!(answer.message().has_fingerprint() && answer.message().verify_fingerprint());
        }
        let (mut server, now, mut asker) = ready();
        let plain = asker.message(method, &|b| build(b));
        let answer = asker.tell(&mut server, now, &plain).unwrap();
        assert!(!answer.message().has_fingerprint(), "nobody asked for one");
    }
}

// ---- responses -----------------------------------------------------------------------------

/// req: TURN-5-1, TURN-7.2-2
#[test]
fn a_response_is_that_of_its_request() {
    for (method, build) in METHODS {
        let (mut server, now, mut asker) = ready();
        for is_signed in [false, true] {
            let request = asker.message(method, &|b| build(b));
            let answer = asker.tell(&mut server, now, &request).unwrap();
            let message = answer.message();
            assert_eq!(message.method(), method);
            let id = parse(&request).transaction_id();
            assert_eq!(message.transaction_id(), id);
            if is_signed {
                assert!(asker.auth.verify(&message), "{method:?}");
            } else {
                assert_eq!(answer.code(), 401);
                asker.auth.challenge(&message, false).unwrap();
            }
        }
    }
}

/// What must be understood and is not is named; what need not be is passed over, and so is what stands
/// behind the integrity attribute.
/// req: TURN-5-1
#[test]
fn attributes_that_are_not_understood_are_listed_or_ignored() {
    for (method, build) in METHODS {
        let code_of = |extra: u16| {
            let (mut server, now, mut asker) = challenged();
            let extra = AttributeType(extra);
            let request = asker.message(method, &|b| build(b).with_raw(extra, &[1, 2, 3]));
            let answer = asker.tell(&mut server, now, &request).unwrap();
            let list = answer.message().get::<UnknownAttributes<'_>>().unwrap();
            let listed = list.is_some_and(|it| it.iter().eq([extra]));
            assert_eq!(listed, answer.code() == 420);
            answer.code()
        };
        assert_eq!(code_of(0x7777), 420, "{method:?}");
        let (mut server, now, mut asker) = challenged();
        let mut request = asker.message(method, &|b| build(b));
        request.extend([0x77, 0x77, 0, 0]);
        let length = (request.len() - 20) as u16;
        request[2..4].copy_from_slice(&length.to_be_bytes());
        let without = match feed(&mut server, now, asker.path, &request).0 {
            Input::Handled => server.poll_transmit(),
            other => panic!("{other:?}"),
        };
        let without = without.map_or(0, |it| Answer(it.payload.to_vec()).code());
        assert_ne!(without, 420, "{method:?}");
        assert_eq!(code_of(0xF777), without, "{method:?}");
    }
}

/// A request that comes again, since its answer was lost, is answered as before and does nothing more.
/// req: TURN-5-21
#[test]
fn a_repeated_request_is_answered_alike() {
    for (method, build) in METHODS.into_iter().take(4) {
        let (mut server, now) = server();
        let mut asker = Asker::new();
        if method == Method::ALLOCATE {
            asker.ask(&mut server, now, Method::REFRESH, |b| b);
        } else {
            asker.allocate(&mut server, now);
        }
        while server.poll_event().is_some() {}
        let request = asker.message(method, &|b| build(b));
        let one = asker.tell(&mut server, now, &request).unwrap();
        let state = |server: &Server| {
            let ports = server.free_ports();
            (
                server.allocations(),
                server.held(),
                ports,
                server.poll_timeout(),
            )
        };
        let before = state(&server);
        while server.poll_event().is_some() {}
        let two = asker.tell(&mut server, now, &request).unwrap();
        assert_eq!((one.code(), &one.0), (0, &two.0), "{method:?}");
        assert_eq!(state(&server), before);
        assert!(server.poll_event().is_none());
    }
}

/// What does not go together is dropped: methods that there are not, classes that a server does not get.
/// req: TURN-17-1
#[test]
fn methods_and_classes_that_do_not_go_together_are_dropped() {
    let (mut server, now, mut asker) = ready();
    asker.ask(&mut server, now, Method::ALLOCATE, udp);
    assert_eq!(asker.permit(&mut server, now, peer()), 0);
    let requests = METHODS.map(|(method, _)| method);
    for method in (0..64).map(Method::new) {
        for class in [
            Class::Request,
            Class::Indication,
            Class::Success,
            Class::Error,
        ] {
            let fits = match class {
                Class::Request => requests.contains(&method),
                Class::Indication => method == Method::SEND,
                Class::Success | Class::Error => false,
            };
            let mut buffer = [0; 256];
            let kind = MessageType::new(class, method);
            let builder = Builder::new(&mut buffer, kind, TransactionId([1; 12]));
            let builder = builder.with(&XorPeerAddress(peer())).with(&Data(b"x"));
            let length = builder.finish().unwrap();
            let (input, _) = feed(&mut server, now, asker.path, &buffer[..length]);
            let is_dropped = input == Input::Dropped(DropReason::Unsupported);
            assert_eq!(is_dropped, !fits, "{method:?} {class:?}: {input:?}");
            assert_eq!(server.poll_transmit().is_some(), input == Input::Handled);
        }
    }
}

// ---- nonces --------------------------------------------------------------------------------

fn nonce(server: &mut Server, now: Instant, source: SocketAddr) -> (String, Answer) {
    let mut asker = Asker::at(source);
    let request = asker.message(Method::ALLOCATE, &|b| udp(b));
    let answer = asker.tell(server, now, &request).unwrap();
    let Nonce(nonce) = answer.message().get().unwrap().unwrap();
    (nonce.to_owned(), answer)
}

/// req: TURN-5-5
#[test]
fn each_first_allocate_gets_a_nonce_of_its_own() {
    let mut seen = BTreeSet::new();
    for seed in 0..4 {
        let start = Instant::from_secs(1);
        let mut server = Server::new(server_config(), [seed; 32], start);
        for later in 0..4 {
            for source in ["198.51.100.5:1", "198.51.100.5:2", "198.51.100.6:1"] {
                let (nonce, _) = nonce(&mut server, start + millis(later), addr(source));
                // What is not cookie and time of issue is 72 bits that nobody can foresee.
                let tail = nonce[nonce.len() - 12..].to_owned();
                assert!(seen.insert(tail), "{nonce} again");
            }
        }
    }
}

/// The cookie says that the server knows RFC 8489, and which of its features.
/// req: TURN-5-7
#[test]
fn the_nonce_announces_rfc_8489() {
    struct Nobody;
    impl Users for Nobody {
        fn find(&self, _: &UserQuery<'_>) -> UserAnswer {
            UserAnswer::Unknown
        }
    }
    let with_base = |base: UserBase| {
        let mut config = server_config();
        config.user_base = Some(base);
        config
    };
    let rows: [(ServerConfig, bool); 3] = [
        (server_config(), true),
        (with_base(UserBase::new(Nobody)), false),
        (with_base(UserBase::new(Nobody).with_hashes()), true),
    ];
    for (config, anonymity) in rows {
        let (mut server, now) = server_with(config);
        let (nonce, answer) = nonce(&mut server, now, home());
        assert_eq!(&nonce[..9], "obMatJos2");
        let features = SecurityFeatures::of(&nonce).unwrap();
        assert!(features.password_algorithms);
        assert_eq!(features.username_anonymity, anonymity);
        let algorithms = values_of(&answer.0, AttributeType::PASSWORD_ALGORITHMS);
        assert_eq!(algorithms, [[0, 2, 0, 0, 0, 1, 0, 0]], "SHA-256, then MD5");
    }
}

// ---- error codes ---------------------------------------------------------------------------

/// Each code that RFC 8656 defines, as it stands on the wire.
/// req: TURN-19-1
#[test]
fn error_codes_are_those_of_the_rfc() {
    let wire = |answer: &Answer| {
        let [value] = &values_of(&answer.0, AttributeType::ERROR_CODE)[..] else {
            panic!("one ERROR-CODE");
        };
        (value[2], value[3])
    };
    let mut config = server_config_v6();
    config.relay_ips.remove(0);
    config.limits.per_user = 1;
    config.limits.channels = 0;
    let (mut server, now) = server_with(config);
    let mut asker = Asker::new();
    let v6: Build = |b| udp(b).with(&RequestedAddressFamily(AddressFamily::IPV6));
    let mut ask = |method, build: Build| wire(&asker.ask(&mut server, now, method, build));

    assert_eq!(ask(Method::REFRESH, |b| b), (4, 37));
    let sctp: Build = |b| b.with(&RequestedTransport(132));
    assert_eq!(ask(Method::ALLOCATE, sctp), (4, 42));
    assert_eq!(ask(Method::ALLOCATE, udp), (4, 40), "no IPv4 here");
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, v6);
    assert_eq!(answer.code(), 0);
    let mut ask = |method, build: Build| wire(&asker.ask(&mut server, now, method, build));
    assert_eq!(ask(Method::ALLOCATE, v6), (4, 37));
    let permit = Method::CREATE_PERMISSION;
    assert_eq!(ask(permit, |b| b.with(&XorPeerAddress(peer()))), (4, 43));
    let inside: Build = |b| b.with(&XorPeerAddress(addr("[fe80::1]:1")));
    assert_eq!(ask(permit, inside), (4, 3));
    let bind: Build = |b| {
        b.with(&ChannelNumber(0x4000))
            .with(&XorPeerAddress(peer6()))
    };
    assert_eq!(ask(Method::CHANNEL_BIND, bind), (5, 8));
    let mut bob = Asker::user(home(), "bob", "tr0ub4dor");
    let answer = bob.ask(&mut server, now, Method::REFRESH, |b| b);
    assert_eq!(wire(&answer), (4, 41));
    let mut again = Asker::at(addr("198.51.100.6:1"));
    let answer = again.ask(&mut server, now, Method::ALLOCATE, v6);
    assert_eq!(wire(&answer), (4, 86));
}

// ---- reserved bits -------------------------------------------------------------------------

/// What is reserved for future use is ignored, whatever it is.
/// req: TURN-18.1-1, TURN-18.6-1, TURN-18.7-1, TURN-18.8-1
#[test]
fn reserved_bits_do_not_count() {
    let (mut server, now) = server_with(server_config_v6());
    let mut asker = Asker::new();
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with_raw(AttributeType::REQUESTED_TRANSPORT, &[17, 0xFF, 0xFF, 0xFF])
            .with_raw(
                AttributeType::REQUESTED_ADDRESS_FAMILY,
                &[2, 0xFF, 0xFF, 0xFF],
            )
            .with_raw(AttributeType::EVEN_PORT, &[0x7F])
    });
    assert_eq!(answer.code(), 0);
    assert!(answer.relayed().is_ipv6());
    assert_eq!(answer.relayed().port() % 2, 0);
    let token = answer.message().get::<ReservationToken>().unwrap();
    assert_eq!(token, None, "the first bit says no");
    let answer = asker.ask(&mut server, now, Method::CHANNEL_BIND, |b| {
        b.with_raw(AttributeType::CHANNEL_NUMBER, &[0x40, 0x01, 0xFF, 0xFF])
            .with(&XorPeerAddress(peer6()))
    });
    assert_eq!(answer.code(), 0);
    let sent = asker.push(&mut server, now, &channel_data(0x4001, b"x"));
    assert_eq!(sent.unwrap().0.remote, peer6());
}

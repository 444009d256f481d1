//! The Binding client beyond the bare exchange: credentials, errors, connections, and what it learns.

#[path = "common/client.rs"]
#[allow(dead_code, unreachable_pub)] // shared by several tests
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Asker, NOW, after, over};
use floe_sansio::{DropReason, Input, Instant, Transport};
use floe_stun::{
    Access, Algorithm, AttributeType, Authentication, BindingError, Builder, ChallengeError, Class,
    ClientConfig, ClientConfigError, ClientEvent, Credentials, ErrorCode, Fingerprint, Key,
    LongTermClient, LongTermConfig, MappedAddress, Nonce, Realm, Server, ServerConfig,
    ShortTermClient, StaticUsers, StatusCode, UnknownAttributes, UnknownRequired, XorMappedAddress,
};

const REALM: &str = "example.org";
const DATAGRAMS: [Transport; 2] = [Transport::Udp, Transport::Dtls];
const STREAMS: [Transport; 2] = [Transport::Tcp, Transport::Tls];
const ALL: [Transport; 4] = [
    Transport::Udp,
    Transport::Dtls,
    Transport::Tcp,
    Transport::Tls,
];

fn credentials() -> Credentials {
    Credentials::new("alice", "correct horse")
}

fn short_term() -> Authentication {
    Authentication::ShortTerm(ShortTermClient::new(&credentials()))
}

fn long_term() -> Authentication {
    Authentication::LongTerm(LongTermClient::new(credentials()))
}

fn config(transport: Transport, authentication: Authentication) -> ClientConfig {
    ClientConfig {
        authentication,
        ..ClientConfig::new(over(transport))
    }
}

fn server(access: Access) -> Server {
    let config = ServerConfig {
        access,
        dtls: true,
        ..ServerConfig::default()
    };
    Server::with_config(config, [2; 32], NOW).unwrap()
}

fn users() -> Access {
    let users = StaticUsers::new(REALM, &[credentials()]);
    Access::LongTerm(LongTermConfig::new(REALM), Arc::new(users))
}

fn address() -> XorMappedAddress {
    XorMappedAddress("203.0.113.7:1234".parse().unwrap())
}

#[allow(clippy::unnecessary_wraps)] // as `Asker::event` gives it
fn mapped(round_trip: Option<u64>) -> Option<ClientEvent> {
    Some(ClientEvent::Mapped {
        address: address().0,
        round_trip: round_trip.map(Duration::from_millis),
    })
}

#[allow(clippy::unnecessary_wraps)] // as `Asker::event` gives it
fn failed(error: BindingError) -> Option<ClientEvent> {
    Some(ClientEvent::Failed(error))
}

fn code(number: u16) -> StatusCode {
    StatusCode::new(number).unwrap()
}

fn error(number: u16) -> impl FnOnce(Builder<'_>) -> Builder<'_> {
    move |builder| builder.with(&ErrorCode::of(code(number)))
}

fn challenge(builder: Builder<'_>) -> Builder<'_> {
    error(401)(builder)
        .with(&Realm(REALM))
        .with(&Nonce("nonce"))
}

/// The key of the long-term credential at a server that knows no password algorithms.
fn long_term_key() -> Key {
    Key::long_term("alice", REALM, "correct horse")
}

// What it says of itself.

/// req: STUN-6.1-2, STUN-16.1.2-1, STUN-14.14-1
#[test]
fn a_client_by_itself_tells_its_software_unless_that_is_switched_off() {
    let on = ClientConfig::standalone(over(Transport::Udp), None);
    let off = ClientConfig {
        software: None,
        ..on.clone()
    };
    let software = |config| {
        let asker = Asker::asked(config);
        let found = asker.request().get::<floe_stun::Software<'_>>();
        found.unwrap().map(|software| software.0.to_owned())
    };
    let told = software(on).unwrap();
    assert_eq!(told, concat!("floe ", env!("CARGO_PKG_VERSION")));
    assert_eq!(software(off), None);
}

/// req: STUN-7-1
#[test]
fn where_fingerprint_is_in_use_a_response_without_it_is_discarded() {
    let config = ClientConfig {
        fingerprint: Fingerprint::Required,
        ..ClientConfig::new(over(Transport::Udp))
    };
    let mut asker = Asker::asked(config.clone());
    assert!(asker.request().verify_fingerprint());
    let input = asker.answer(Class::Success, |r| r.with(&address()));
    assert_eq!(input, Input::Dropped(DropReason::Unauthenticated));
    let input = asker.answer(Class::Success, |r| {
        r.with(&address())
            .with_raw(AttributeType::FINGERPRINT, &[1, 2, 3, 4])
    });
    assert_eq!(input, Input::Dropped(DropReason::Unauthenticated));
    assert_eq!(asker.event(), None);
    let _ = asker.answer(Class::Success, |r| r.with(&address()).with_fingerprint());
    assert_eq!(asker.event(), mapped(Some(90)));

    let unused = ClientConfig {
        fingerprint: Fingerprint::Unused,
        ..config
    };
    let mut asker = Asker::asked(unused);
    assert!(!asker.request().has_fingerprint());
    let _ = asker.answer(Class::Success, |r| r.with(&address()));
    assert_eq!(asker.event(), mapped(Some(30)));
}

// RFC 3489.

/// req: STUN5389-12.1-1, STUN5389-12.1-2, STUN5389-12.1-3
#[test]
fn an_old_server_is_asked_without_attributes_and_may_answer_in_clear() {
    let path = over(Transport::Udp);
    let mut asker = Asker::asked(ClientConfig::classic(path.local, path.remote));
    assert_eq!(asker.last().payload.len(), 20);
    assert_eq!(asker.last().path, path);
    let _ = asker.answer(Class::Success, |mut response| {
        response = response.with(&MappedAddress(address().0));
        for reserved in [0x0002, 0x0004, 0x0005, 0x000B] {
            response = response.with_raw(AttributeType(reserved), &[0, 1, 2, 3, 4, 5, 6, 7]);
        }
        response
    });
    assert_eq!(asker.event(), mapped(Some(30)));
}

/// req: STUN-7-2, STUN5389-12-1
#[test]
fn what_cannot_go_together_with_an_old_server_is_a_conflict() {
    use ClientConfigError::{ClassicAttributes, ClassicFingerprint, ClassicTransport};
    let path = over(Transport::Udp);
    let classic = ClientConfig::classic(path.local, path.remote);
    assert_eq!(classic.check(), Ok(()));
    assert!(
        !ClientConfig::new(path).classic,
        "off by default: ICE, TURN"
    );
    let fingerprint = ClientConfig {
        fingerprint: Fingerprint::Offered,
        ..classic.clone()
    };
    let software = ClientConfig {
        software: Some("floe".into()),
        ..classic.clone()
    };
    let authenticated = ClientConfig {
        authentication: short_term(),
        ..classic.clone()
    };
    let mut conflicts = vec![
        (fingerprint, ClassicFingerprint),
        (software, ClassicAttributes),
        (authenticated, ClassicAttributes),
    ];
    for transport in [Transport::Dtls, Transport::Tcp, Transport::Tls] {
        let path = over(transport);
        let over_it = ClientConfig {
            path,
            ..classic.clone()
        };
        conflicts.push((over_it, ClassicTransport));
    }
    for (config, conflict) in conflicts {
        assert_eq!(config.check(), Err(conflict));
        let mut asker = Asker::asked(config);
        assert_eq!(asker.event(), failed(BindingError::Config(conflict)));
        assert!(asker.sent.is_empty());
    }
}

// What it makes of addresses and errors.

/// req: STUN-6.3.3-3
#[test]
fn an_address_of_an_unknown_family_is_ignored_for_one_that_is_known() {
    let mut asker = Asker::asked(ClientConfig::new(over(Transport::Udp)));
    let _ = asker.answer(Class::Success, |r| {
        r.with_raw(AttributeType::XOR_MAPPED_ADDRESS, &[0, 3, 0, 0, 0, 0, 0, 0])
            .with(&MappedAddress(address().0))
    });
    assert_eq!(asker.event(), mapped(Some(30)));
}

/// req: STUN-6.3.3-4
#[test]
fn an_address_of_the_other_family_is_accepted_if_that_is_wanted() {
    let other = "[2001:db8::1]:1234".parse().unwrap();
    let outcome = |other_family| {
        let config = ClientConfig {
            other_family,
            ..ClientConfig::new(over(Transport::Udp))
        };
        let mut asker = Asker::asked(config);
        let _ = asker.answer(Class::Success, |r| r.with(&XorMappedAddress(other)));
        asker.event().unwrap()
    };
    assert!(matches!(outcome(true), ClientEvent::Mapped { address, .. } if address == other));
    assert_eq!(outcome(false), ClientEvent::Failed(BindingError::Unusable));
}

/// req: STUN-6.3.4-3
#[test]
fn what_the_server_does_not_understand_is_told() {
    let mut asker = Asker::asked(ClientConfig::new(over(Transport::Udp)));
    let _ = asker.answer(Class::Error, |r| {
        error(420)(r).with_raw(AttributeType::UNKNOWN_ATTRIBUTES, &[0, 6, 0x7F, 1])
    });
    let Some(ClientEvent::Failed(BindingError::NotUnderstood(list))) = asker.event() else {
        panic!("not told");
    };
    let list: UnknownRequired = list;
    let kinds: Vec<_> = UnknownAttributes::iter(&list.attribute()).collect();
    assert_eq!(kinds, [AttributeType::USERNAME, AttributeType(0x7F01)]);
}

/// req: STUN-6.3.4-4, STUN-6.3.4-5, STUN-6.3.4-6
#[test]
fn a_request_is_repeated_four_times_after_errors_of_the_server() {
    for number in [500, 508, 599] {
        for transport in ALL {
            let config = ClientConfig::standalone(over(transport), None);
            let mut asker = Asker::asked(config);
            let mut ids = vec![asker.id()];
            loop {
                assert_eq!(asker.answer(Class::Error, error(number)), Input::Handled);
                let before = asker.sent.len();
                if let Some(event) = asker.event() {
                    assert_eq!(Some(event), failed(BindingError::Rejected(code(number))));
                    break;
                }
                // Not at once: it may be busy.
                asker.wait(Duration::from_millis(20));
                assert_eq!(asker.sent.len(), before);
                let at = asker.client.poll_timeout().unwrap();
                asker.pass(at);
                assert!(!ids.contains(&asker.id()), "a transaction of its own");
                ids.push(asker.id());
            }
            assert_eq!(ids.len(), 5, "the request, and four more");
            assert_eq!(asker.client.poll_timeout(), None);
        }
    }
}

/// One request that succeeds in the end takes nothing from the next.
///
/// req: STUN-6.3.4-4
#[test]
fn a_repeated_request_may_succeed_and_each_has_its_own_four() {
    let mut asker = Asker::new(ClientConfig::standalone(over(Transport::Udp), None));
    for _ in 0..3 {
        asker.bind();
        for _ in 0..4 {
            let _ = asker.answer(Class::Error, error(500));
            assert_eq!(asker.event(), None);
            let at = asker.client.poll_timeout().unwrap();
            asker.pass(at);
        }
        let _ = asker.answer(Class::Success, |r| r.with(&address()));
        assert_eq!(asker.event(), mapped(Some(30)));
    }
}

// The RTO.

/// When the first retransmission of a new request follows, in milliseconds.
fn first_interval(asker: &mut Asker) -> u128 {
    asker.bind();
    (asker.client.poll_timeout().unwrap() - asker.now).as_millis()
}

/// req: STUN-6.2.1-7
#[test]
fn the_next_request_starts_with_the_rto_that_was_learnt() {
    let mut asker = Asker::new(ClientConfig::standalone(over(Transport::Udp), None));
    assert_eq!(first_interval(&mut asker), 500);
    let _ = asker.answer(Class::Success, |r| r.with(&address()));
    // 30 ms, and four times 15 ms.
    assert_eq!(first_interval(&mut asker), 90);
    let mut fixed = Asker::new(ClientConfig::new(over(Transport::Udp)));
    for _ in 0..2 {
        assert_eq!(first_interval(&mut fixed), 500);
        let _ = fixed.answer(Class::Success, |r| r.with(&address()));
    }
}

/// req: STUN-6.2.1-6
#[test]
fn a_request_that_was_repeated_teaches_nothing() {
    let mut asker = Asker::new(ClientConfig::standalone(over(Transport::Udp), None));
    asker.bind();
    asker.wait(Duration::from_millis(500));
    let _ = asker.answer(Class::Success, |r| r.with(&address()));
    assert_eq!(asker.event(), mapped(None));
    assert_eq!(first_interval(&mut asker), 500);
}

/// req: STUN-6.2.1-8
#[test]
fn ten_minutes_later_the_rto_is_forgotten() {
    for (seconds, interval) in [(599, 90), (600, 500)] {
        let mut asker = Asker::asked(ClientConfig::standalone(over(Transport::Udp), None));
        let _ = asker.answer(Class::Success, |r| r.with(&address()));
        asker.wait(Duration::from_secs(seconds));
        assert_eq!(first_interval(&mut asker), interval);
    }
}

// Short-term credentials.

/// req: STUN-9.1.4-2, STUN-9.1.5-1, STUN-9.1.2-1
#[test]
fn short_term_credentials_serve_over_every_transport() {
    for transport in ALL {
        let mut asker = Asker::asked(config(transport, short_term()));
        let kinds = |asker: &Asker| -> Vec<_> {
            let request = asker.request();
            let has = |algorithm| request.verify(&Key::short_term("correct horse"), algorithm);
            [Algorithm::Sha1, Algorithm::Sha256].map(has).to_vec()
        };
        assert_eq!(kinds(&asker), [true, true]);
        let mut server = server(Access::ShortTerm(vec![credentials()]));
        asker.converse(&mut server);
        let event = asker.event().unwrap();
        assert!(
            matches!(event, ClientEvent::Mapped { address, .. } if address == over(transport).local)
        );
        asker.bind();
        assert_eq!(kinds(&asker), [false, true]);
    }
}

/// Signs with another password.
fn forged(builder: Builder<'_>) -> Builder<'_> {
    builder
        .with(&address())
        .with_integrity(&Key::short_term("wrong"))
}

/// req: STUN-9.1.4-3, STUN-9.1.4-4, STUN-6.2.1-12
#[test]
fn over_udp_forged_responses_are_not_believed_and_told_from_none() {
    for transport in DATAGRAMS {
        let mut asker = Asker::asked(config(transport, short_term()));
        let _ = asker.answer(Class::Success, forged);
        let _ = asker.answer(Class::Success, |r| r.with(&address()));
        let _ = asker.answer(Class::Error, error(400));
        assert_eq!(asker.event(), None);
        // A genuine one is still taken.
        let mut lucky = Asker {
            client: asker.client.clone(),
            sent: asker.sent.clone(),
            now: asker.now,
        };
        let _ = lucky.answer(Class::Success, |r| {
            r.with(&address())
                .with_integrity(&Key::short_term("correct horse"))
        });
        assert_eq!(lucky.event(), mapped(Some(120)));
        assert_eq!(lucky.client.poll_timeout(), None);

        asker.pass(after(39_499));
        assert_eq!((asker.sent.len(), asker.event()), (7, None));
        asker.pass(after(39_500));
        assert_eq!(asker.event(), failed(BindingError::IntegrityViolated));

        let mut quiet = Asker::asked(config(transport, short_term()));
        quiet.pass(after(39_500));
        assert_eq!(quiet.event(), failed(BindingError::Timeout));
    }
}

/// req: STUN-9.1.4-5
#[test]
fn over_tcp_a_forged_response_ends_the_request_at_once() {
    for transport in STREAMS {
        let mut asker = Asker::asked(config(transport, short_term()));
        assert_eq!(asker.answer(Class::Success, forged), Input::Handled);
        assert_eq!(asker.event(), failed(BindingError::IntegrityViolated));
        assert_eq!(asker.client.poll_timeout(), None);
    }
}

/// req: STUN-9.1.4-1
#[test]
fn a_response_with_the_other_integrity_attribute_is_discarded() {
    let key = Key::short_term("correct horse");
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        let other = match algorithm {
            Algorithm::Sha1 => Algorithm::Sha256,
            Algorithm::Sha256 => Algorithm::Sha1,
        };
        let told = ShortTermClient::with_algorithm(&credentials(), algorithm);
        let config = config(Transport::Udp, Authentication::ShortTerm(told));
        let mut asker = Asker::asked(config);
        let _ = asker.answer(Class::Success, |r| {
            r.with(&address()).with_integrity_by(other, &key)
        });
        assert_eq!(asker.event(), None);
        let _ = asker.answer(Class::Success, |r| {
            r.with(&address()).with_integrity_by(algorithm, &key)
        });
        assert_eq!(asker.event(), mapped(Some(60)));
    }
}

// Long-term credentials.

/// req: STUN-9.2.5-3, STUN-9.2.3.1-1, STUN-9.2.3.2-1, STUN-9.2.3.2-2
#[test]
fn long_term_credentials_serve_over_every_transport() {
    for transport in ALL {
        let mut asker = Asker::asked(config(transport, long_term()));
        assert_eq!(asker.last().payload.len(), 28, "nothing but a fingerprint");
        let first = asker.id();
        let mut server = server(users());
        asker.converse(&mut server);
        assert_eq!(asker.sent.len(), 2);
        assert_ne!(asker.id(), first);
        let event = asker.event().unwrap();
        assert!(
            matches!(event, ClientEvent::Mapped { address, .. } if address == over(transport).local)
        );
        // The next one needs no challenge.
        asker.bind();
        asker.converse(&mut server);
        assert_eq!(asker.sent.len(), 3);
        assert!(matches!(asker.event(), Some(ClientEvent::Mapped { .. })));
    }
}

/// req: STUN-9.2.5-10, STUN-9.2.5-11
#[test]
fn a_stale_nonce_is_replaced() {
    let mut asker = Asker::asked(config(Transport::Udp, long_term()));
    let mut server = server(users());
    asker.converse(&mut server);
    let _ = asker.events();
    asker.wait(Duration::from_secs(7200));
    asker.bind();
    asker.converse(&mut server);
    assert_eq!(asker.sent.len(), 4);
    assert!(matches!(asker.event(), Some(ClientEvent::Mapped { .. })));
}

/// req: STUN-9.2.5-9
#[test]
fn credentials_that_were_refused_are_not_tried_again() {
    let mut asker = Asker::asked(config(Transport::Udp, long_term()));
    let _ = asker.answer(Class::Error, challenge);
    assert_eq!(asker.sent.len(), 2);
    let _ = asker.answer(Class::Error, challenge);
    let refused = BindingError::Challenge(ChallengeError::Refused);
    assert_eq!((asker.sent.len(), asker.event()), (2, failed(refused)));
}

#[test]
fn a_server_that_is_content_with_no_nonce_is_left() {
    let mut asker = Asker::asked(config(Transport::Udp, long_term()));
    let _ = asker.answer(Class::Error, challenge);
    let mut count = 0;
    while asker.client.poll_timeout().is_some() {
        let _ = asker.answer(Class::Error, |r| {
            error(438)(r).with(&Realm(REALM)).with(&Nonce("another"))
        });
        count += 1;
        assert!(count < 10);
    }
    let refused = BindingError::Challenge(ChallengeError::Refused);
    assert_eq!(asker.event(), failed(refused));
}

/// req: STUN-9.2.5-2
#[test]
fn a_challenge_whose_algorithms_were_cut_out_is_not_answered() {
    let mut asker = Asker::asked(config(Transport::Udp, long_term()));
    let _ = asker.answer(Class::Error, |r| {
        error(401)(r)
            .with(&Realm(REALM))
            .with(&Nonce("obMatJos2gAAAnonce"))
    });
    let cut = BindingError::Challenge(ChallengeError::BidDown);
    assert_eq!((asker.sent.len(), asker.event()), (1, failed(cut)));
}

/// It is no violation of integrity: whoever cannot read the request cannot sign either.
///
/// req: STUN-9.2.5-13, STUN-14.8-9
#[test]
fn a_bad_request_that_nobody_signed_is_discarded_and_the_request_times_out() {
    for (authentication, challenged) in [
        (short_term(), false),
        (long_term(), false),
        (long_term(), true),
    ] {
        for transport in ALL {
            let mut asker = Asker::asked(config(transport, authentication.clone()));
            if challenged {
                let _ = asker.answer(Class::Error, challenge);
            }
            let started = asker.now;
            let input = asker.answer(Class::Error, error(400));
            assert_eq!(input, Input::Dropped(DropReason::Unauthenticated));
            asker.pass(started + Duration::from_millis(39_500));
            assert_eq!(asker.event(), failed(BindingError::Timeout));
            assert_eq!(asker.now, started + Duration::from_millis(39_500));
        }
    }
    // One that is signed counts.
    let mut asker = Asker::asked(config(Transport::Udp, long_term()));
    let _ = asker.answer(Class::Error, challenge);
    let _ = asker.answer(Class::Error, |r| {
        error(400)(r).with_integrity(&long_term_key())
    });
    assert_eq!(asker.event(), failed(BindingError::Rejected(code(400))));
}

/// req: STUN-9.2.5-12
#[test]
fn a_response_whose_algorithms_were_cut_out_is_ignored() {
    let mut asker = Asker::asked(config(Transport::Udp, long_term()));
    let _ = asker.answer(Class::Error, challenge);
    let started = asker.now;
    let input = asker.answer(Class::Success, |r| {
        r.with(&address())
            .with(&Nonce("obMatJos2gAAAnonce"))
            .with_integrity(&long_term_key())
    });
    assert_eq!(input, Input::Dropped(DropReason::Unauthenticated));
    asker.pass(started + Duration::from_millis(39_500));
    assert_eq!(asker.sent.len(), 1 + 7, "retransmission goes on");
    assert_eq!(asker.event(), failed(BindingError::Timeout));
}

/// An answer to the first request, which had nothing to be signed with, is as good as forged.
///
/// req: STUN-9.2.5-14
#[test]
fn over_udp_only_signed_answers_and_challenges_are_believed() {
    for transport in DATAGRAMS {
        for challenged in [false, true] {
            let mut asker = Asker::asked(config(transport, long_term()));
            if challenged {
                let _ = asker.answer(Class::Error, challenge);
            }
            let (started, sent) = (asker.now, asker.sent.len());
            let _ = asker.answer(Class::Success, |r| r.with(&address()));
            let _ = asker.answer(Class::Success, forged);
            let _ = asker.answer(Class::Error, error(500));
            assert_eq!(asker.event(), None);
            asker.pass(started + Duration::from_millis(39_500));
            assert_eq!(asker.sent.len(), sent + 6);
            assert_eq!(asker.event(), failed(BindingError::IntegrityViolated));
        }
    }
}

/// req: STUN-9.2.5-15
#[test]
fn over_tcp_an_answer_that_is_not_signed_ends_the_request() {
    for transport in STREAMS {
        let mut asker = Asker::asked(config(transport, long_term()));
        let _ = asker.answer(Class::Error, challenge);
        let _ = asker.answer(Class::Success, |r| r.with(&address()));
        assert_eq!(asker.event(), failed(BindingError::IntegrityViolated));
        assert_eq!(asker.client.poll_timeout(), None);
    }
}

/// Whether the last request carries credentials.
fn is_authenticated(asker: &Asker) -> bool {
    let request = asker.request();
    let name = request.get::<floe_stun::Username<'_>>().unwrap();
    assert_eq!(name.is_some(), request.integrity().is_some());
    name.is_some()
}

/// req: STUN-9.2.3-1, STUN-9.2.3.1-1
#[test]
fn until_a_request_has_succeeded_each_is_the_first_and_only_its_repetitions_carry_credentials() {
    let mut asker = Asker::new(config(Transport::Udp, long_term()));
    for _ in 0..2 {
        asker.bind();
        assert!(!is_authenticated(&asker));
        let _ = asker.answer(Class::Error, challenge);
        assert!(is_authenticated(&asker), "a repetition");
        asker.wait(Duration::from_millis(39_500));
        assert_eq!(asker.event(), failed(BindingError::Timeout));
    }
    asker.bind();
    let _ = asker.answer(Class::Error, challenge);
    let _ = asker.answer(Class::Success, |r| {
        r.with(&address()).with_integrity(&long_term_key())
    });
    assert_eq!(asker.event(), mapped(Some(30)));
    asker.bind();
    assert!(is_authenticated(&asker), "a subsequent one");
}

/// Two addresses of one name are one server; any other address is another.
///
/// req: STUN-9.2.3.1-2
#[test]
fn what_is_known_of_a_server_serves_at_its_other_addresses() {
    let mut asker = Asker::asked(config(Transport::Udp, long_term()));
    let _ = asker.answer(Class::Error, challenge);
    let _ = asker.answer(Class::Success, |r| {
        r.with(&address()).with_integrity(&long_term_key())
    });
    let elsewhere = floe_sansio::FiveTuple {
        remote: "198.51.100.2:3478".parse().unwrap(),
        ..over(Transport::Udp)
    };
    for (authentication, known) in [
        (asker.client.authentication().clone(), true),
        (long_term(), false),
    ] {
        let same_name = ClientConfig {
            authentication,
            ..ClientConfig::new(elsewhere)
        };
        assert_eq!(is_authenticated(&Asker::asked(same_name)), known);
    }
}

// Paths that fail.

/// req: STUN-6.2.1-13
#[test]
fn a_hard_icmp_error_fails_the_request_at_once() {
    let mut asker = Asker::asked(ClientConfig::standalone(over(Transport::Udp), None));
    asker.client.unreachable(NOW);
    assert_eq!(asker.event(), failed(BindingError::Unreachable));
    assert_eq!(asker.client.poll_timeout(), None);
    // Nobody is asking: nothing to say.
    asker.client.unreachable(NOW);
    assert_eq!(asker.event(), None);
}

/// req: STUN-6.2.2-5
#[test]
fn a_connection_that_is_reset_fails_the_request_at_once() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Dtls] {
        let config = ClientConfig {
            keepalive: Some(Duration::from_secs(15)),
            ..ClientConfig::new(over(transport))
        };
        let mut asker = Asker::asked(config);
        asker.client.disconnected(NOW);
        assert_eq!(asker.event(), failed(BindingError::Disconnected));
        assert_eq!(asker.client.poll_timeout(), None);
        // Nor is a dead connection used again.
        asker.bind();
        assert_eq!(asker.sent.len(), 1);
        assert_eq!(asker.event(), failed(BindingError::Disconnected));
    }
    let mut asker = Asker::asked(ClientConfig::new(over(Transport::Udp)));
    asker.client.disconnected(NOW);
    assert_eq!(asker.event(), None, "UDP has no connection");
}

/// A client that has been answered over TCP.
fn connected(transport: Transport) -> Asker {
    let config = ClientConfig::standalone(over(transport), Some("stun.example.org"));
    let mut asker = Asker::asked(config);
    let _ = asker.answer(Class::Success, |r| r.with(&address()));
    assert_eq!(asker.event(), mapped(Some(30)));
    asker
}

/// req: STUN-6.2.2-8
#[test]
fn an_idle_connection_that_proves_dead_is_reset_and_replaced() {
    for transport in STREAMS {
        let mut asker = connected(transport);
        let path = over(transport);
        asker.wait(Duration::from_secs(600));
        asker.bind();
        asker.wait(Duration::from_millis(39_500));
        let expected = [ClientEvent::Abort { path }, ClientEvent::Connect { path }];
        assert_eq!(asker.events(), expected);
        assert_eq!(asker.client.poll_timeout(), None, "it is for the owner now");
        let again = floe_sansio::FiveTuple {
            local: "192.0.2.1:5001".parse().unwrap(),
            ..path
        };
        assert_eq!(asker.sent.len(), 2);
        asker.client.connected(asker.now, again).unwrap();
        assert_eq!(asker.collect(), 1);
        assert_eq!(asker.last().path, again);
        let _ = asker.answer(Class::Success, |r| r.with(&address()));
        assert_eq!(asker.event(), mapped(Some(30)));
        // Reset by the server is as good as dead, but nothing is left to reset.
        asker.client.disconnected(asker.now);
        assert_eq!(asker.event(), None);
        asker.bind();
        assert_eq!(asker.events(), [ClientEvent::Connect { path: again }]);
        // Where the new one fails as well, the request does.
        asker.client.disconnected(asker.now);
        assert_eq!(asker.event(), failed(BindingError::Disconnected));
    }
}

/// req: STUN-6.2.2-8
#[test]
fn a_connection_that_was_never_any_good_is_not_replaced() {
    let config = ClientConfig::standalone(over(Transport::Tcp), None);
    let mut asker = Asker::asked(config.clone());
    asker.pass(after(39_500));
    assert_eq!(asker.events(), [ClientEvent::Failed(BindingError::Timeout)]);
    let mut asker = Asker::asked(config);
    asker.client.disconnected(NOW);
    assert_eq!(
        asker.events(),
        [ClientEvent::Failed(BindingError::Disconnected)]
    );
}

/// req: STUN-6.2.2-7
#[test]
fn a_connection_stays_open_until_it_is_released_and_nothing_is_under_way() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Dtls] {
        let mut asker = connected(transport);
        let close = ClientEvent::Close {
            path: over(transport),
        };
        asker.wait(Duration::from_secs(86_400));
        assert_eq!(asker.event(), None);
        asker.bind();
        asker.client.release();
        assert_eq!(asker.event(), None, "a request is under way");
        let _ = asker.answer(Class::Success, |r| r.with(&address()));
        assert_eq!(asker.events(), [mapped(Some(30)).unwrap(), close]);
        asker.client.release();
        assert_eq!(asker.event(), None, "once");

        let mut idle = connected(transport);
        idle.client.release();
        assert_eq!(idle.events(), [close]);
        let mut again = connected(transport);
        again.bind();
        again.client.release();
        again.bind();
        let _ = again.answer(Class::Success, |r| r.with(&address()));
        assert_eq!(again.events().len(), 1, "it is needed after all");
    }
}

/// req: STUN-6.2.3-8
#[test]
fn nothing_is_sent_to_a_server_whose_certificate_was_refused() {
    let mut asker = connected(Transport::Tls);
    asker.client.disconnected(asker.now);
    asker.bind();
    let path = over(Transport::Tls);
    assert_eq!(asker.events(), [ClientEvent::Connect { path }]);
    let sent = asker.sent.len();
    asker.bind();
    asker.client.stop();
    asker.bind();
    asker.wait(Duration::from_secs(60));
    // The owner found another name in it.
    asker.client.disconnected(asker.now);
    asker.collect();
    assert_eq!(asker.event(), failed(BindingError::Disconnected));
    let refused = asker.client.connected(asker.now, path);
    assert!(refused.is_err(), "it is too late");
    asker.wait(Duration::from_secs(60));
    assert_eq!(asker.sent.len(), sent);
}

#[test]
fn a_connection_that_nobody_asked_for_is_refused_and_changes_nothing() {
    use floe_stun::ConnectedError::{NotAwaited, OtherServer};
    let path = over(Transport::Tcp);
    let mut asker = connected(Transport::Tcp);
    assert_eq!(asker.client.connected(asker.now, path), Err(NotAwaited));
    asker.client.disconnected(asker.now);
    asker.bind();
    let before = format!("{:?}", asker.client);
    let elsewhere = floe_sansio::FiveTuple {
        remote: "198.51.100.2:3478".parse().unwrap(),
        ..path
    };
    for wrong in [elsewhere, over(Transport::Tls)] {
        let refused = asker.client.connected(asker.now, wrong);
        assert_eq!(refused, Err(OtherServer));
        assert_eq!(format!("{:?}", asker.client), before);
    }
    assert_eq!(asker.client.connected(asker.now, path), Ok(()));
}

/// A clock that a driver has got wrong never makes a storm of what was put off.
#[test]
fn an_hour_late_a_repetition_is_one_request() {
    let mut asker = Asker::asked(ClientConfig::standalone(over(Transport::Udp), None));
    let _ = asker.answer(Class::Error, error(500));
    let late: Instant = asker.now + Duration::from_secs(3600);
    asker.client.handle_timeout(late);
    assert_eq!(asker.collect(), 1);
}

//! What a Binding server does that wants credentials, redirects, shares its port, or serves clients
//! of RFC 3489: rows of the requirement tables.

use std::net::SocketAddr;
use std::sync::Arc;

use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Transport};
use floe_stun::{
    Access, Algorithm, AlternateDomain, AlternateServer, AttributeType, Builder, Class,
    Credentials, ErrorCode, Key, LongTermClient, LongTermConfig, MappedAddress, Message,
    MessageType, Method, Nonce, Realm, Redirect, Server, ServerConfig, ServerConfigError,
    ShortTermClient, Software, StaticUsers, StatusCode, TransactionId, Username,
};

const NOW: Instant = Instant::from_secs(1000);
const ID: TransactionId = TransactionId([5; 12]);
const REQUEST: MessageType = MessageType::new(Class::Request, Method::BINDING);
const INDICATION: MessageType = MessageType::new(Class::Indication, Method::BINDING);
const REALM: &str = "floe.test";

/// From the server's side.
fn path(transport: Transport) -> FiveTuple {
    FiveTuple {
        transport,
        local: "198.51.100.1:3478".parse().unwrap(),
        remote: "192.0.2.1:5000".parse().unwrap(),
    }
}

fn bytes(kind: MessageType, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let len = fill(Builder::new(&mut buffer, kind, ID)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

fn plain() -> Vec<u8> {
    bytes(REQUEST, |builder| builder)
}

fn sealed(builder: Builder<'_>) -> Builder<'_> {
    builder.with_fingerprint()
}

/// As a client of RFC 3489 would send it.
fn classic(kind: MessageType, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut bytes = bytes(kind, fill);
    bytes[4..8].copy_from_slice(b"3489");
    bytes
}

fn server(config: ServerConfig) -> Server {
    Server::with_config(config, [1; 32], NOW).unwrap()
}

fn give(server: &mut Server, path: FiveTuple, datagram: &[u8]) -> (Input, Option<Vec<u8>>) {
    let input = server.handle_input(NOW, Datagram::whole(path, &mut datagram.to_vec()));
    let answer = server.poll_transmit();
    assert!(answer.as_ref().is_none_or(|answer| answer.path == path));
    assert!(server.poll_transmit().is_none());
    (input, answer.map(|answer| answer.payload.to_vec()))
}

fn ask(server: &mut Server, path: FiveTuple, datagram: &[u8]) -> Vec<u8> {
    give(server, path, datagram).1.unwrap()
}

fn kinds(message: &[u8]) -> Vec<AttributeType> {
    let message = Message::parse(message).unwrap();
    message.attributes().map(|raw| raw.kind).collect()
}

fn code(message: &[u8]) -> Option<StatusCode> {
    let message = Message::parse(message).unwrap();
    message
        .get()
        .unwrap()
        .map(|error: ErrorCode<'_>| error.code)
}

fn alice() -> Credentials {
    Credentials::new("alice", "wonderland")
}

fn short_term() -> ServerConfig {
    ServerConfig {
        access: Access::ShortTerm(vec![alice()]),
        ..ServerConfig::default()
    }
}

fn long_term() -> ServerConfig {
    let users = StaticUsers::new(REALM, &[alice()]);
    ServerConfig {
        access: Access::LongTerm(LongTermConfig::new(REALM), Arc::new(users)),
        ..ServerConfig::default()
    }
}

/// What is answered to the second request of a user, the first having been challenged.
fn ask_as(user: Credentials, server: &mut Server, path: FiveTuple) -> Vec<u8> {
    let challenge = ask(server, path, &plain());
    let mut client = LongTermClient::new(user);
    client
        .challenge(&Message::parse(&challenge).unwrap(), false)
        .unwrap();
    ask(
        server,
        path,
        &bytes(REQUEST, |builder| client.authenticate(builder)),
    )
}

fn with_software(config: ServerConfig) -> ServerConfig {
    ServerConfig {
        software: Some("floe 0.1".into()),
        ..config
    }
}

/// req: STUN-12-2, STUN-12-5
#[test]
fn by_default_everyone_is_answered_in_person() {
    assert!(ServerConfig::default().access.is_open());
    assert!(ServerConfig::default().redirect.is_none());
    let answer = ask(
        &mut server(ServerConfig::default()),
        path(Transport::Udp),
        &plain(),
    );
    assert_eq!(kinds(&answer), [AttributeType::XOR_MAPPED_ADDRESS]);
}

/// req: STUN-6.3.1.1-5, STUN-16.1.2-1
#[test]
fn software_is_told_in_every_answer_or_in_none() {
    for (config, expected) in [
        (ServerConfig::default(), None),
        (
            with_software(ServerConfig::default()),
            Some(Software("floe 0.1")),
        ),
    ] {
        let mut server = server(config);
        let unknown = bytes(REQUEST, |b| b.with_raw(AttributeType(0x7F01), b""));
        for request in [plain(), unknown] {
            let answer = ask(&mut server, path(Transport::Udp), &request);
            assert_eq!(Message::parse(&answer).unwrap().get(), Ok(expected));
        }
    }
}

/// Answered or not, it has what is demanded.
///
/// req: STUN-9.1.3-2, STUN-9.1.3-4, STUN-9.1.3-7, STUN-9.1.3-13
#[test]
fn short_term_credentials_that_are_missing_or_wrong_are_refused_without_integrity() {
    let mut server = server(short_term());
    let (right, wrong) = (Key::short_term("wonderland"), Key::short_term("guess"));
    let named = |name, key: &Key| bytes(REQUEST, |b| b.with(&Username(name)).with_integrity(key));
    for (request, expected) in [
        (plain(), StatusCode::BAD_REQUEST),
        (
            bytes(REQUEST, |b| b.with(&Username("alice"))),
            StatusCode::BAD_REQUEST,
        ),
        (
            bytes(REQUEST, |b| b.with_integrity(&right)),
            StatusCode::BAD_REQUEST,
        ),
        (named("bob", &right), StatusCode::UNAUTHENTICATED),
        (named("alice", &wrong), StatusCode::UNAUTHENTICATED),
    ] {
        let answer = ask(&mut server, path(Transport::Udp), &request);
        assert_eq!(code(&answer), Some(expected));
        assert_eq!(kinds(&answer), [AttributeType::ERROR_CODE]);
        assert_eq!(Message::parse(&answer).unwrap().integrity(), None);
    }
}

/// req: STUN-6.3.1.1-4, STUN-9.1.3-9, STUN-9.1.3-10, STUN-9.1.3-12
#[test]
fn the_answer_to_a_user_is_signed_as_the_request_was() {
    let mut server = server(short_term());
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        let client = ShortTermClient::with_algorithm(&alice(), algorithm);
        let success = bytes(REQUEST, |b| client.authenticate(b));
        let unknown = bytes(REQUEST, |b| {
            client.authenticate(b.with_raw(AttributeType(0x7F01), b""))
        });
        for (request, expected) in [
            (success, None),
            (unknown, Some(StatusCode::UNKNOWN_ATTRIBUTE)),
        ] {
            let answer = ask(&mut server, path(Transport::Udp), &request);
            assert_eq!(code(&answer), expected);
            assert!(!kinds(&answer).contains(&AttributeType::USERNAME));
            let message = Message::parse(&answer).unwrap();
            assert_eq!(message.integrity(), Some(algorithm));
            assert!(message.verify(&Key::short_term("wonderland"), algorithm));
        }
    }
}

/// req: STUN-9.1.3-3, STUN-9.1.3-5, STUN-9.1.3-8
#[test]
fn an_indication_with_wrong_credentials_or_none_is_not_answered() {
    let mut server = server(short_term());
    let (right, wrong) = (Key::short_term("wonderland"), Key::short_term("guess"));
    let user = |name| {
        move |b: Builder<'_>, key: &Key| -> Vec<u8> {
            let len = b.with(&Username(name)).with_integrity(key).finish_bytes();
            len.unwrap().to_vec()
        }
    };
    let mut buffer = [0; 256];
    let mut signed = |name, key| user(name)(Builder::new(&mut buffer, INDICATION, ID), key);
    for indication in [
        bytes(INDICATION, |b| b),
        signed("bob", &right),
        signed("alice", &wrong),
    ] {
        let before = format!("{server:?}");
        let dropped = (Input::Dropped(DropReason::Unauthenticated), None);
        assert_eq!(
            give(&mut server, path(Transport::Udp), &indication),
            dropped
        );
        assert_eq!(format!("{server:?}"), before);
        let message = Message::parse(&indication).unwrap();
        let checked =
            floe_stun::check_short_term(&message, |name| (name == "alice").then(|| right.clone()));
        assert!(checked.is_err(), "whoever handles indications drops it");
    }
}

/// req: STUN-9.2.4-15, STUN-9.2.4-19, STUN-9.2.4-14, STUN-9.2.4-18
#[test]
fn an_unknown_user_and_a_wrong_password_get_a_challenge_and_no_integrity() {
    for user in [
        Credentials::new("bob", "wonderland"),
        Credentials::new("alice", "guess"),
    ] {
        let answer = ask_as(user, &mut server(long_term()), path(Transport::Udp));
        assert_eq!(code(&answer), Some(StatusCode::UNAUTHENTICATED));
        let expected = [
            AttributeType::ERROR_CODE,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::PASSWORD_ALGORITHMS,
        ];
        assert_eq!(kinds(&answer), expected);
        assert_eq!(Message::parse(&answer).unwrap().integrity(), None);
    }
}

/// Nothing of the request comes back, and no nonce where none is due.
///
/// req: STUN-9.2.4-3, STUN-9.2.4-9, STUN-9.2.4-11, STUN-9.2.4-15, STUN-9.2.4-19, STUN-9.2.4-21
#[test]
fn a_refusal_has_its_challenge_and_nothing_of_the_request() {
    let mut server = server(long_term());
    let challenge = ask(&mut server, path(Transport::Udp), &plain());
    let Nonce(fresh) = Message::parse(&challenge).unwrap().get().unwrap().unwrap();
    let named = |name: AttributeType, user: &[u8], nonce: &str| {
        bytes(REQUEST, |builder| {
            let builder = builder.with_raw(name, user).with(&Realm(REALM));
            let key = Key::long_term("alice", REALM, "guess");
            builder.with(&Nonce(nonce)).with_integrity(&key)
        })
    };
    let (plain_name, hash) = (AttributeType::USERNAME, AttributeType::USERHASH);
    for (request, expected) in [
        (
            bytes(REQUEST, |b| b.with(&Username("alice"))),
            StatusCode::UNAUTHENTICATED,
        ),
        (named(hash, &[7; 32], fresh), StatusCode::BAD_REQUEST),
        (
            named(plain_name, b"alice", "stale"),
            StatusCode::STALE_NONCE,
        ),
        (
            named(plain_name, b"bob", fresh),
            StatusCode::UNAUTHENTICATED,
        ),
        (
            named(plain_name, b"alice", fresh),
            StatusCode::UNAUTHENTICATED,
        ),
    ] {
        let answer = ask(&mut server, path(Transport::Udp), &request);
        assert_eq!(code(&answer), Some(expected));
        let all = [
            AttributeType::ERROR_CODE,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::PASSWORD_ALGORITHMS,
        ];
        let count = if expected == StatusCode::BAD_REQUEST {
            1
        } else {
            4
        };
        assert_eq!(kinds(&answer), all[..count]);
        assert_eq!(Message::parse(&answer).unwrap().integrity(), None);
    }
}

/// Nobody learns what a server understands without proving who he is.
///
/// req: STUN-6.3-3
#[test]
fn credentials_are_checked_before_attributes_that_are_not_understood() {
    let wrong = Key::short_term("guess");
    for (config, key, expected) in [
        (short_term(), None, StatusCode::BAD_REQUEST),
        (short_term(), Some(&wrong), StatusCode::UNAUTHENTICATED),
        (long_term(), None, StatusCode::UNAUTHENTICATED),
        (long_term(), Some(&wrong), StatusCode::BAD_REQUEST),
    ] {
        let request = bytes(REQUEST, |builder| {
            let builder = builder.with_raw(AttributeType(0x7F01), b"");
            match key {
                Some(key) => builder.with(&Username("alice")).with_integrity(key),
                None => builder,
            }
        });
        let answer = ask(&mut server(config), path(Transport::Udp), &request);
        assert_eq!(code(&answer), Some(expected));
    }
}

/// req: STUN-9.2.4-25, STUN-9.2.4-23
#[test]
fn the_answer_to_a_long_term_user_has_nothing_of_the_credentials_but_sha256() {
    let answer = ask_as(alice(), &mut server(long_term()), path(Transport::Udp));
    assert_eq!(kinds(&answer), [AttributeType::XOR_MAPPED_ADDRESS]);
    let message = Message::parse(&answer).unwrap();
    assert_eq!(message.integrity(), Some(Algorithm::Sha256));
    let key = Key::long_term_sha256("alice", REALM, "wonderland");
    assert!(message.verify(&key, Algorithm::Sha256));
}

fn redirecting() -> ServerConfig {
    ServerConfig {
        redirect: Some(Redirect {
            ipv4: Some("203.0.113.9:3478".parse().unwrap()),
            ipv6: Some("[2001:db8::9]:3478".parse().unwrap()),
            domain: Some("other.example".into()),
        }),
        ..long_term()
    }
}

/// The servers that a response names, in order.
fn alternates(response: &[u8]) -> Vec<SocketAddr> {
    let message = Message::parse(response).unwrap();
    let all = message
        .attributes()
        .filter(|raw| raw.kind == AttributeType::ALTERNATE_SERVER);
    all.map(|raw| {
        let AlternateServer(address) = floe_stun::Attribute::decode(raw.value, ID).unwrap();
        address
    })
    .collect()
}

/// req: STUN-10-1, STUN-10-2, STUN-10-3, STUN-14.8-6
#[test]
fn a_user_is_sent_to_a_server_of_the_same_family_first() {
    for (source, order) in [
        ("192.0.2.1:5000", ["203.0.113.9:3478", "[2001:db8::9]:3478"]),
        (
            "[2001:db8::7]:5000",
            ["[2001:db8::9]:3478", "203.0.113.9:3478"],
        ),
    ] {
        let path = FiveTuple {
            remote: source.parse().unwrap(),
            ..path(Transport::Udp)
        };
        let answer = ask_as(alice(), &mut server(redirecting()), path);
        assert_eq!(code(&answer), Some(StatusCode::TRY_ALTERNATE));
        assert_eq!(alternates(&answer), order.map(|text| text.parse().unwrap()));
        let key = Key::long_term_sha256("alice", REALM, "wonderland");
        assert!(
            Message::parse(&answer)
                .unwrap()
                .verify(&key, Algorithm::Sha256)
        );
    }
}

/// Whose family the other server lacks is served here.
///
/// req: STUN-10-1
#[test]
fn nobody_is_sent_to_a_server_of_the_other_family_only() {
    let mut config = redirecting();
    config.redirect.as_mut().unwrap().ipv4 = None;
    let answer = ask_as(alice(), &mut server(config), path(Transport::Udp));
    assert_eq!(code(&answer), None);
}

/// req: STUN-14.8-5
#[test]
fn a_stranger_is_never_sent_elsewhere() {
    let mut server = server(redirecting());
    let answer = ask(&mut server, path(Transport::Udp), &plain());
    assert_eq!(code(&answer), Some(StatusCode::UNAUTHENTICATED));
    let forged = Credentials::new("alice", "guess");
    let answer = ask_as(forged, &mut server, path(Transport::Udp));
    assert_eq!(code(&answer), Some(StatusCode::UNAUTHENTICATED));
    let open = ServerConfig {
        access: Access::Open,
        ..redirecting()
    };
    assert_eq!(open.check(), Err(ServerConfigError::RedirectOpen));
}

/// req: STUN-10-4
#[test]
fn the_name_of_the_other_server_is_told_where_a_certificate_is_checked() {
    for transport in [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Dtls,
    ] {
        let answer = ask_as(alice(), &mut server(redirecting()), path(transport));
        let secure = matches!(transport, Transport::Tls | Transport::Dtls);
        let expected = secure.then_some(AlternateDomain("other.example"));
        assert_eq!(Message::parse(&answer).unwrap().get(), Ok(expected));
    }
}

/// req: STUN-7-1, STUN-12-4
#[test]
fn on_a_shared_port_fingerprint_is_demanded_and_given() {
    let mut server = server(ServerConfig {
        multiplexed: true,
        ..ServerConfig::default()
    });
    let path = path(Transport::Udp);
    let dropped = (Input::Dropped(DropReason::Unauthenticated), None);
    assert_eq!(give(&mut server, path, &plain()), dropped);
    let request = bytes(REQUEST, sealed);
    for at in request.len() - 4..request.len() {
        let mut changed = request.clone();
        changed[at] ^= 1;
        assert_eq!(give(&mut server, path, &changed), dropped);
    }
    let answer = ask(&mut server, path, &request);
    let message = Message::parse(&answer).unwrap();
    assert!(message.has_fingerprint() && message.verify_fingerprint());
}

fn serving_classic() -> ServerConfig {
    ServerConfig {
        classic: true,
        ..ServerConfig::default()
    }
}

/// req: STUN-12-6, STUN5389-12.2-1, STUN5389-12.2-2
#[test]
fn a_client_of_rfc3489_gets_its_address_unmasked_and_its_bits_back() {
    let mut server = server(serving_classic());
    let answer = ask(&mut server, path(Transport::Udp), &classic(REQUEST, |b| b));
    assert_eq!(answer[4..8], *b"3489");
    let mut answer = answer;
    answer[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
    assert_eq!(kinds(&answer), [AttributeType::MAPPED_ADDRESS]);
    let message = Message::parse(&answer).unwrap();
    assert_eq!(message.transaction_id(), ID);
    assert_eq!(
        message.get(),
        Ok(Some(MappedAddress(path(Transport::Udp).remote)))
    );
    // Everyone else gets what RFC 8489 says.
    let answer = ask(&mut server, path(Transport::Udp), &plain());
    assert_eq!(kinds(&answer), [AttributeType::XOR_MAPPED_ADDRESS]);
}

/// req: STUN5389-12.2-3
#[test]
fn a_client_of_rfc3489_cannot_have_the_answer_sent_elsewhere() {
    let mut server = server(serving_classic());
    for unserved in [AttributeType(0x0002), AttributeType::CHANGE_REQUEST] {
        let request = classic(REQUEST, |b| b.with_raw(unserved, &[0; 4]));
        let mut answer = ask(&mut server, path(Transport::Udp), &request);
        answer[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
        assert_eq!(code(&answer), Some(StatusCode::UNKNOWN_ATTRIBUTE));
        let message = Message::parse(&answer).unwrap();
        let list: floe_stun::UnknownAttributes<'_> = message.get().unwrap().unwrap();
        assert!(list.iter().all(|kind| kind == unserved) && list.iter().count() > 0);
    }
}

/// req: STUN5389-12-1, STUN5389-12.2-4, STUN-7-2, STUN-11-1
#[test]
fn rfc3489_is_off_by_default_and_excludes_what_cannot_go_with_it() {
    let (input, answer) = give(
        &mut server(ServerConfig::default()),
        path(Transport::Udp),
        &classic(REQUEST, |b| b),
    );
    assert_eq!((input, answer), (Input::Dropped(DropReason::NotStun), None));
    assert_eq!(serving_classic().check(), Ok(()));
    let shared = ServerConfig {
        multiplexed: true,
        ..serving_classic()
    };
    assert_eq!(shared.check(), Err(ServerConfigError::ClassicMultiplexed));
    let dtls = ServerConfig {
        dtls: true,
        ..serving_classic()
    };
    assert_eq!(dtls.check(), Err(ServerConfigError::ClassicDtls));
}

/// req: STUN-11-2
#[test]
fn over_dtls_a_request_without_the_cookie_is_an_error_and_an_indication_is_ignored() {
    let mut server = server(ServerConfig {
        dtls: true,
        ..ServerConfig::default()
    });
    let mut answer = ask(&mut server, path(Transport::Dtls), &classic(REQUEST, |b| b));
    assert_eq!(answer[4..8], *b"3489");
    answer[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
    assert_eq!(code(&answer), Some(StatusCode::SERVER_ERROR));
    let (_, answer) = give(
        &mut server,
        path(Transport::Dtls),
        &classic(INDICATION, |b| b),
    );
    assert_eq!(answer, None);
}

/// The owner counts what is dropped, by its reason.
///
/// req: DEMUX-7983-7-3, DEMUX-9443-3-4
#[test]
fn what_belongs_to_no_protocol_is_told_to_the_owner() {
    let mut server = server(ServerConfig::default());
    for first in (4..=15).chain(80..=127).chain(192..=255) {
        let mut datagram = plain();
        datagram[0] = first;
        let (input, answer) = give(&mut server, path(Transport::Udp), &datagram);
        // 4 to 63 pass the check of the two top bits, and are no method of STUN that is served.
        assert!(matches!(
            input,
            Input::Dropped(DropReason::NotStun | DropReason::Unsupported)
        ));
        assert_eq!(answer, None);
    }
}

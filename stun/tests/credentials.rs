//! The long-term credential mechanism (RFC 8489 §9.2), client and server.

use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::Instant;
use floe_stun::{
    Algorithm, AttributeType, Builder, ChallengeError, Checked, Class, Credentials, ErrorCode, Key,
    LongTermClient, LongTermConfig, LongTermServer, Message, MessageType, Method, Nonce, Realm,
    Refusal, Secret, StaticUsers, StatusCode, TransactionId, UserHash, Username,
};

const NOW: Instant = Instant::from_secs(1_000_000);
const LIFETIME: Duration = Duration::from_secs(600);
const ID: TransactionId = TransactionId([9; 12]);
const REQUEST: MessageType = MessageType::new(Class::Request, Method::ALLOCATE);
const ERROR: MessageType = MessageType::new(Class::Error, Method::ALLOCATE);

fn source() -> SocketAddr {
    "192.0.2.1:5000".parse().unwrap()
}

/// A server of `realm` without password algorithms.
fn server_of(realm: &str, seed: [u8; 32]) -> LongTermServer {
    let mut config = LongTermConfig::new(realm);
    config.nonce_lifetime = LIFETIME;
    config.algorithms = Vec::new();
    LongTermServer::new(&config, seed, NOW)
}

fn server() -> LongTermServer {
    server_of("floe.test", [1; 32])
}

fn client() -> LongTermClient {
    LongTermClient::new(Credentials::new("alice", "wonderland"))
}

fn alice() -> Key {
    Key::long_term("alice", "floe.test", "wonderland")
}

fn bytes(kind: MessageType, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let len = fill(Builder::new(&mut buffer, kind, ID)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

fn check(
    server: &LongTermServer,
    now: Instant,
    from: SocketAddr,
    request: &[u8],
) -> Result<(), Refusal> {
    let request = Message::parse(request).unwrap();
    let users = StaticUsers::new("floe.test", &[Credentials::new("alice", "wonderland")]);
    match server.check(now, from, &request, &users)? {
        Checked::Authenticated { id, .. } => assert_eq!(id, 0),
        Checked::Later(claim) => panic!("{claim:?}"),
    }
    Ok(())
}

/// The response to a refused request, as a server of this crate would build it.
fn refusal(server: &LongTermServer, now: Instant, from: SocketAddr, why: Refusal) -> Vec<u8> {
    bytes(ERROR, |builder| {
        let builder = builder.with(&ErrorCode::of(why.code()));
        if why.has_challenge() {
            server.with_challenge(builder, now, from)
        } else {
            builder
        }
    })
}

fn challenge(code: StatusCode, realm: &str, nonce: &str) -> Vec<u8> {
    bytes(ERROR, |builder| {
        builder
            .with(&ErrorCode::of(code))
            .with(&Realm(realm))
            .with(&Nonce(nonce))
    })
}

fn take(
    client: &mut LongTermClient,
    response: &[u8],
    authenticated: bool,
) -> Result<(), ChallengeError> {
    client.challenge(&Message::parse(response).unwrap(), authenticated)
}

fn nonce_of(response: &[u8]) -> String {
    let Nonce(nonce) = Message::parse(response).unwrap().get().unwrap().unwrap();
    nonce.into()
}

/// The first nonce of a server for a source.
fn nonce(server: &LongTermServer, now: Instant, from: SocketAddr) -> String {
    nonce_of(&refusal(server, now, from, Refusal::Unauthenticated))
}

fn kinds(message: &[u8]) -> Vec<AttributeType> {
    let message = Message::parse(message).unwrap();
    message.attributes().map(|raw| raw.kind).collect()
}

/// What `alice` sends with this nonce.
fn signed(nonce: &str) -> Vec<u8> {
    bytes(REQUEST, |builder| {
        builder
            .with(&Username("alice"))
            .with(&Realm("floe.test"))
            .with(&Nonce(nonce))
            .with_integrity(&alice())
    })
}

/// req: STUN-9.2.3.1-1, STUN-9.2.4-3, STUN-9.2.5-5, STUN-9.2.3.2-1, STUN-9.2.3.2-2, STUN-9.2.3.2-3
#[test]
fn a_client_is_challenged_once_and_then_authenticates_every_request() {
    let (server, mut client) = (server(), client());
    let first = bytes(REQUEST, |builder| client.authenticate(builder));
    assert_eq!(first.len(), 20, "no credentials before a challenge");
    assert!(!client.is_challenged() && client.key().is_none());

    assert_eq!(
        check(&server, NOW, source(), &first),
        Err(Refusal::Unauthenticated)
    );
    let response = refusal(&server, NOW, source(), Refusal::Unauthenticated);
    let expected = [
        AttributeType::ERROR_CODE,
        AttributeType::REALM,
        AttributeType::NONCE,
    ];
    assert_eq!(kinds(&response), expected);
    assert_eq!(Message::parse(&response).unwrap().integrity(), None);

    assert_eq!(take(&mut client, &response, false), Ok(()));
    assert!(client.is_challenged());
    for _ in 0..2 {
        let request = bytes(REQUEST, |builder| client.authenticate(builder));
        let message = Message::parse(&request).unwrap();
        assert_eq!(message.get().unwrap(), Some(Username("alice")));
        assert_eq!(message.get().unwrap(), Some(Realm("floe.test")));
        assert_eq!(message.get().unwrap(), Some(Nonce(&nonce_of(&response))));
        assert_eq!(message.integrity(), Some(Algorithm::Sha1));
        assert_eq!(check(&server, NOW, source(), &request), Ok(()));
    }
}

/// req: STUN-9.2.4-20, STUN-9.2.5-10, STUN-9.2.5-11
#[test]
fn a_stale_nonce_is_replaced() {
    let (server, mut client) = (server(), client());
    let response = refusal(&server, NOW, source(), Refusal::Unauthenticated);
    take(&mut client, &response, false).unwrap();
    let request = bytes(REQUEST, |builder| client.authenticate(builder));
    assert_eq!(check(&server, NOW + LIFETIME, source(), &request), Ok(()));
    let later = NOW + LIFETIME + Duration::from_millis(1);
    assert_eq!(
        check(&server, later, source(), &request),
        Err(Refusal::StaleNonce)
    );

    let response = refusal(&server, later, source(), Refusal::StaleNonce);
    let code = Message::parse(&response)
        .unwrap()
        .get::<ErrorCode<'_>>()
        .unwrap()
        .unwrap()
        .code;
    assert_eq!(code, StatusCode::STALE_NONCE);
    assert_eq!(take(&mut client, &response, true), Ok(()));
    let request = bytes(REQUEST, |builder| client.authenticate(builder));
    let expected = [
        AttributeType::USERNAME,
        AttributeType::REALM,
        AttributeType::NONCE,
    ];
    assert_eq!(kinds(&request), expected);
    let message = Message::parse(&request).unwrap();
    assert_eq!(message.get().unwrap(), Some(Nonce(&nonce_of(&response))));
    assert_eq!(check(&server, later, source(), &request), Ok(()));
}

/// req: STUN-9.2.4-4
#[test]
fn a_nonce_serves_one_source_of_one_server_only() {
    let ours = server();
    let nonce_here = nonce(&ours, NOW, source());
    for other in ["192.0.2.1:5001", "192.0.2.2:5000", "[2001:db8::1]:5000"] {
        let other = other.parse().unwrap();
        assert_ne!(nonce(&ours, NOW, other), nonce_here);
        let request = signed(&nonce_here);
        assert_eq!(check(&ours, NOW, other, &request), Err(Refusal::StaleNonce));
    }
    for theirs in [
        server_of("floe.test", [2; 32]),
        server_of("other.test", [1; 32]),
    ] {
        let request = signed(&nonce(&theirs, NOW, source()));
        assert_eq!(
            check(&ours, NOW, source(), &request),
            Err(Refusal::StaleNonce)
        );
    }
}

#[test]
fn no_character_of_a_nonce_can_be_changed() {
    let server = server();
    let genuine = nonce(&server, NOW, source());
    assert_eq!(check(&server, NOW, source(), &signed(&genuine)), Ok(()));
    for at in 0..genuine.len() {
        for replacement in ["0", "1", "a", "A", "z", "+", "é", ""] {
            let mut forged = genuine.clone();
            forged.replace_range(at..=at, replacement);
            if forged != genuine {
                let checked = check(&server, NOW, source(), &signed(&forged));
                assert_eq!(checked, Err(Refusal::StaleNonce), "{forged}");
            }
        }
        let cut = &genuine[..at];
        assert_eq!(
            check(&server, NOW, source(), &signed(cut)),
            Err(Refusal::StaleNonce)
        );
    }
    let longer = format!("{genuine}0");
    assert_eq!(
        check(&server, NOW, source(), &signed(&longer)),
        Err(Refusal::StaleNonce)
    );
    // Issued in the future.
    let ahead = nonce(&server, NOW + Duration::from_secs(60), source());
    assert_eq!(
        check(&server, NOW, source(), &signed(&ahead)),
        Err(Refusal::StaleNonce)
    );
}

/// The nonce is text that stands in a quoted string without escapes.
///
/// req: STUN-9.2-2, STUN-9.2-3, STUN-14.10-1
#[test]
fn a_nonce_is_the_cookie_and_then_base64() {
    let nonce = nonce(&server(), NOW, source());
    assert!(nonce.starts_with("obMatJos2AAAA"));
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    assert!(nonce.len() == 33 && nonce.bytes().all(is_base64));
}

/// req: STUN-9.2.4-10, STUN-9.2.4-11
#[test]
fn integrity_without_username_realm_or_nonce_is_a_bad_request() {
    let server = server();
    let nonce = nonce(&server, NOW, source());
    for left_out in 0..3 {
        let request = bytes(REQUEST, |builder| {
            let (user, realm, nonce) = (Username("alice"), Realm("floe.test"), Nonce(&nonce));
            builder
                .with_some((left_out != 0).then_some(&user))
                .with_some((left_out != 1).then_some(&realm))
                .with_some((left_out != 2).then_some(&nonce))
                .with_integrity(&alice())
        });
        assert_eq!(
            check(&server, NOW, source(), &request),
            Err(Refusal::BadRequest)
        );
    }
    assert_eq!(Refusal::BadRequest.code(), StatusCode::BAD_REQUEST);
    let response = refusal(&server, NOW, source(), Refusal::BadRequest);
    assert_eq!(kinds(&response), [AttributeType::ERROR_CODE]);
}

/// req: STUN-9.2.4-14, STUN-9.2.4-18, STUN-9.2.4-17
#[test]
fn an_unknown_user_a_wrong_password_and_a_wrong_realm_are_unauthenticated() {
    let server = server();
    let nonce = nonce(&server, NOW, source());
    let request = |user, realm, sign: &dyn Fn(Builder<'_>) -> Vec<u8>| {
        let mut buffer = [0; 512];
        let builder = Builder::new(&mut buffer, REQUEST, ID);
        sign(
            builder
                .with(&Username(user))
                .with(&Realm(realm))
                .with(&Nonce(&nonce)),
        )
    };
    let finish = |builder: Builder<'_>| builder.finish_bytes().unwrap().to_vec();
    let wrong = Key::long_term("alice", "floe.test", "looking-glass");
    let with_right = |builder: Builder<'_>| finish(builder.with_integrity(&alice()));
    let with_wrong = |builder: Builder<'_>| finish(builder.with_integrity(&wrong));
    // The stronger algorithm decides.
    let with_both = |builder: Builder<'_>| {
        finish(
            builder
                .with_integrity(&alice())
                .with_integrity_sha256(&wrong),
        )
    };
    let with_sha256 = |builder: Builder<'_>| finish(builder.with_integrity_sha256(&alice()));

    let realm = "floe.test";
    let checked = |request: Vec<u8>| check(&server, NOW, source(), &request);
    let refused = Err(Refusal::Unauthenticated);
    assert_eq!(checked(request("alice", realm, &with_right)), Ok(()));
    assert_eq!(checked(request("alice", realm, &with_sha256)), Ok(()));
    assert_eq!(checked(request("alice", realm, &with_wrong)), refused);
    assert_eq!(checked(request("alice", realm, &with_both)), refused);
    assert_eq!(checked(request("bob", realm, &with_right)), refused);
    assert_eq!(
        checked(request("alice", "other.test", &with_right)),
        refused
    );
    assert!(Refusal::Unauthenticated.has_challenge());
    // The server's own secret is nobody's password.
    let secret = Key::new(&[1; 32]);
    let with_secret = |builder: Builder<'_>| finish(builder.with_integrity(&secret));
    assert_eq!(checked(request("bob", realm, &with_secret)), refused);
}

/// The short-term rule: a peer that signs with SHA-256 gets that, any other SHA-1.
///
/// req: STUN-9.1.3-9, STUN-9.1.3-10, STUN-9.1.3-11
#[test]
fn a_response_is_signed_as_the_request_was() {
    let key = alice();
    let response = |request: &[u8]| {
        let request = Message::parse(request).unwrap();
        let kind = MessageType::new(Class::Success, Method::ALLOCATE);
        bytes(kind, |builder| builder.with_integrity_like(&request, &key))
    };
    let sha1 = response(&bytes(REQUEST, |b| b.with_integrity(&key)));
    let sha256 = response(&bytes(REQUEST, |b| b.with_integrity_sha256(&key)));
    let both = response(&bytes(REQUEST, |b| {
        b.with_integrity(&key).with_integrity_sha256(&key)
    }));
    for (response, one, other) in [
        (sha1, Algorithm::Sha1, Algorithm::Sha256),
        (sha256, Algorithm::Sha256, Algorithm::Sha1),
        (both, Algorithm::Sha256, Algorithm::Sha1),
    ] {
        let response = Message::parse(&response).unwrap();
        assert!(response.verify(&key, one) && !response.verify(&key, other));
    }
}

/// req: STUN-9.2.5-1, STUN-9.2.5-2
#[test]
fn a_challenge_from_which_the_password_algorithms_were_cut_is_refused() {
    for code in [StatusCode::UNAUTHENTICATED, StatusCode::STALE_NONCE] {
        // Bit 0 of the features is the top bit of the first base64 digit.
        for (features, announced) in [
            ("AAAA", false),
            ("QAAA", false),
            ("f///", false),
            ("gAAA", true),
            ("wAAA", true),
            ("////", true),
            ("+AAA", true),
        ] {
            let mut client = client();
            let nonce = format!("obMatJos2{features}rest");
            let taken = take(&mut client, &challenge(code, "floe.test", &nonce), false);
            let expected = if announced {
                Err(ChallengeError::BidDown)
            } else {
                Ok(())
            };
            assert_eq!(taken, expected, "{nonce}");
            assert_eq!(client.is_challenged(), !announced);
        }
        // Without the cookie the letters mean nothing.
        let taken = take(
            &mut client(),
            &challenge(code, "floe.test", "obMatJos3gAAA"),
            false,
        );
        assert_eq!(taken, Ok(()));
    }
}

/// req: STUN-9.2.5-9
#[test]
fn the_same_credentials_are_not_tried_twice() {
    let mut client = client();
    let first = challenge(StatusCode::UNAUTHENTICATED, "floe.test", "n1");
    assert_eq!(take(&mut client, &first, false), Ok(()));
    let again = challenge(StatusCode::UNAUTHENTICATED, "floe.test", "n2");
    assert_eq!(
        take(&mut client, &again, true),
        Err(ChallengeError::Refused)
    );
    // Another realm wants another key.
    let other = challenge(StatusCode::UNAUTHENTICATED, "other.test", "n3");
    assert_eq!(take(&mut client, &other, true), Ok(()));
    let request = bytes(REQUEST, |builder| client.authenticate(builder));
    let key = Key::long_term("alice", "other.test", "wonderland");
    assert!(
        Message::parse(&request)
            .unwrap()
            .verify(&key, Algorithm::Sha1)
    );
}

#[test]
fn what_is_no_challenge_changes_nothing() {
    let mut client = client();
    take(
        &mut client,
        &challenge(StatusCode::UNAUTHENTICATED, "floe.test", "n1"),
        false,
    )
    .unwrap();
    let before = bytes(REQUEST, |builder| client.authenticate(builder));
    let stale = ErrorCode::of(StatusCode::STALE_NONCE);
    let long = "n".repeat(500);
    for (response, error) in [
        (
            challenge(StatusCode::FORBIDDEN, "r", "n"),
            ChallengeError::NotAChallenge,
        ),
        (
            bytes(ERROR, |b| b.with(&Realm("r")).with(&Nonce("n"))),
            ChallengeError::NotAChallenge,
        ),
        (
            bytes(ERROR, |b| b.with(&stale).with(&Realm("r"))),
            ChallengeError::Incomplete,
        ),
        (
            bytes(ERROR, |b| b.with(&stale).with(&Nonce("n"))),
            ChallengeError::Incomplete,
        ),
        // What cannot be sent back.
        (
            bytes(ERROR, |b| {
                b.with(&stale)
                    .with(&Realm("floe.test"))
                    .with_raw(AttributeType::NONCE, long.as_bytes())
            }),
            ChallengeError::Incomplete,
        ),
    ] {
        assert_eq!(take(&mut client, &response, true), Err(error));
    }
    assert_eq!(
        bytes(REQUEST, |builder| client.authenticate(builder)),
        before
    );
}

/// req: STUN-9.1.4-1, STUN-9.1.4-2
#[test]
fn a_client_believes_what_is_signed_with_its_key_and_algorithm() {
    let mut client = client();
    let success = MessageType::new(Class::Success, Method::ALLOCATE);
    let verify = |client: &LongTermClient, sign: &dyn Fn(Builder<'_>) -> Vec<u8>| {
        let mut buffer = [0; 128];
        let response = sign(Builder::new(&mut buffer, success, ID));
        client.verify(&Message::parse(&response).unwrap())
    };
    let finish = |builder: Builder<'_>| builder.finish_bytes().unwrap().to_vec();
    let (right, wrong) = (alice(), Key::long_term("alice", "floe.test", "guess"));
    let genuine = |builder: Builder<'_>| finish(builder.with_integrity(&right));
    assert!(!verify(&client, &genuine), "no session");
    take(
        &mut client,
        &challenge(StatusCode::UNAUTHENTICATED, "floe.test", "n1"),
        false,
    )
    .unwrap();
    assert!(verify(&client, &genuine));
    assert!(!verify(&client, &finish));
    assert!(!verify(&client, &|builder: Builder<'_>| finish(
        builder.with_integrity(&wrong)
    )));
    assert!(!verify(&client, &|builder: Builder<'_>| finish(
        builder.with_integrity_sha256(&right)
    )));
}

/// req: STUN-9.2.2-1
#[test]
fn quotes_and_trailing_nuls_are_not_part_of_the_key() {
    let plain = bytes(REQUEST, |b| {
        b.with_integrity(&Key::long_term("user", "realm", "pass"))
    });
    let same = |user, realm, password| {
        let key = Key::long_term(user, realm, password);
        Message::parse(&plain)
            .unwrap()
            .verify(&key, Algorithm::Sha1)
    };
    assert!(same("\"user\"", "\"realm\"", "pass"));
    assert!(same("user\0", "\"realm\"\0\0", "pass\0"));
    assert!(!same("user", "realm", "\"pass\""));
    assert!(!same("us\"er", "realm", "pass"));
    assert!(!same("\"user", "realm", "pass"));
    // Not so in the SHA-256 key, whose RFC 8489 §18.5.1.2 says nothing of it.
    let quoted = Key::long_term_sha256("\"user\"", "realm", "pass");
    let bare = Key::long_term_sha256("user", "realm", "pass");
    let signed = bytes(REQUEST, |b| b.with_integrity_sha256(&bare));
    assert!(
        !Message::parse(&signed)
            .unwrap()
            .verify(&quoted, Algorithm::Sha256)
    );
}

/// Typed with a combining diaeresis and an ideographic space.
///
/// req: STUN-14.3-1, STUN-14.9-1, STUN-14.4-1
#[cfg(feature = "unicode")]
#[test]
fn a_user_name_and_a_realm_are_sent_as_opaque_string_prepares_them() {
    let (typed, prepared) = ("u\u{308}ber\u{3000}x", "\u{FC}ber x");
    let mut config = LongTermConfig::prepared(typed).unwrap();
    for anonymity in [false, true] {
        config.anonymity = anonymity;
        let server = LongTermServer::new(&config, [1; 32], NOW);
        let response = refusal(&server, NOW, source(), Refusal::Unauthenticated);
        let message = Message::parse(&response).unwrap();
        assert_eq!(message.get(), Ok(Some(Realm(prepared))));
        let mut client = LongTermClient::new(Credentials::prepared(typed, "password").unwrap());
        take(&mut client, &response, false).unwrap();
        let request = bytes(REQUEST, |builder| client.authenticate(builder));
        let message = Message::parse(&request).unwrap();
        let name = Username(prepared);
        let hash = UserHash::of(prepared, prepared);
        assert_eq!(message.get(), Ok((!anonymity).then_some(name)));
        assert_eq!(message.get(), Ok(anonymity.then_some(hash)));
    }
    // What cannot be prepared names nobody.
    assert!(LongTermConfig::prepared("bell\u{7}").is_err());
    assert!(Credentials::prepared("bell\u{7}", "password").is_err());
}

/// req: STUN-9.1.2-3
#[test]
fn the_password_is_in_no_message_and_no_secret_prints() {
    let mut client = client();
    let response = challenge(StatusCode::UNAUTHENTICATED, "floe.test", "the-nonce");
    take(&mut client, &response, false).unwrap();
    let request = bytes(REQUEST, |builder| client.authenticate(builder));
    assert!(!request.windows(10).any(|window| window == b"wonderland"));
    let server = server();
    let printed = format!("{client:?} {server:?} {:?}", Secret::from("wonderland"));
    for secret in ["wonderland", "the-nonce", "[1, 1", "0101"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

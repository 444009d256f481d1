//! What RFC 8489 added to the long-term mechanism: password algorithms and anonymous user names.

use std::net::SocketAddr;

use floe_sansio::Instant;
use floe_stun::{
    Algorithm, AttributeType, BuildError, Builder, ChallengeError, Checked, Choice, Class,
    Credentials, ErrorCode, Key, KeyDerivation, LongTermClient, LongTermConfig, LongTermServer,
    Message, MessageType, Method, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, Refusal,
    StaticUsers, StatusCode, TransactionId, UserHash, Username, lacks_algorithms,
};

const NOW: Instant = Instant::from_secs(1_000);
const ID: TransactionId = TransactionId([5; 12]);
const REQUEST: MessageType = MessageType::new(Class::Request, Method::BINDING);
const ERROR: MessageType = MessageType::new(Class::Error, Method::BINDING);
const REALM: &str = "floe.test";

/// Entries of PASSWORD-ALGORITHMS as they stand on the wire.
const MD5: [u8; 4] = [0, 1, 0, 0];
const SHA256: [u8; 4] = [0, 2, 0, 0];
/// One that nobody knows, with a parameter of one byte.
const OTHER: [u8; 8] = [0, 9, 0, 1, 7, 0, 0, 0];

fn source() -> SocketAddr {
    "192.0.2.1:5000".parse().unwrap()
}

fn config() -> LongTermConfig {
    LongTermConfig::new(REALM)
}

fn server(config: &LongTermConfig) -> LongTermServer {
    LongTermServer::new(config, [1; 32], NOW)
}

fn alice() -> Credentials {
    Credentials::new("alice", "wonderland")
}

fn sha256_key() -> Key {
    Key::long_term_sha256("alice", REALM, "wonderland")
}

fn md5_key() -> Key {
    Key::long_term("alice", REALM, "wonderland")
}

fn bytes(kind: MessageType, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let len = fill(Builder::new(&mut buffer, kind, ID)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

/// The algorithm of the response, if the request is accepted.
fn check(server: &LongTermServer, request: &[u8]) -> Result<Algorithm, Refusal> {
    let users = StaticUsers::new(REALM, &[alice()]);
    let request = Message::parse(request).unwrap();
    match server.check(NOW, source(), &request, &users)? {
        Checked::Authenticated { id, seal } => {
            assert_eq!(id, 0);
            Ok(seal.algorithm())
        }
        Checked::Later(claim) => panic!("{claim:?}"),
    }
}

/// The 401 or 438 of `server`.
fn challenge_of(server: &LongTermServer, code: StatusCode) -> Vec<u8> {
    bytes(ERROR, |builder| {
        server.with_challenge(builder.with(&ErrorCode::of(code)), NOW, source())
    })
}

/// A 401 with these features and this list.
fn challenge(features: &str, list: Option<&[u8]>) -> Vec<u8> {
    bytes(ERROR, |builder| {
        let builder = builder
            .with(&ErrorCode::of(StatusCode::UNAUTHENTICATED))
            .with(&Realm(REALM))
            .with(&Nonce(&format!("obMatJos2{features}n")));
        match list {
            Some(list) => builder.with_raw(AttributeType::PASSWORD_ALGORITHMS, list),
            None => builder,
        }
    })
}

fn take(client: &mut LongTermClient, response: &[u8]) -> Result<(), ChallengeError> {
    client.challenge(&Message::parse(response).unwrap(), false)
}

fn kinds(message: &[u8]) -> Vec<AttributeType> {
    let message = Message::parse(message).unwrap();
    message.attributes().map(|raw| raw.kind).collect()
}

fn request_of(client: &LongTermClient) -> Vec<u8> {
    bytes(REQUEST, |builder| client.authenticate(builder))
}

/// req: STUN-9.2.5-6, STUN-9.2.5-16, STUN-9.2.3.2-2, STUN-9.2.3.2-3, STUN-9.2.4-23, STUN-9.2.2-2
#[test]
fn what_the_server_offers_is_echoed_and_the_first_is_used_with_sha256_integrity() {
    let (server, mut client) = (server(&config()), LongTermClient::new(alice()));
    let response = challenge_of(&server, StatusCode::UNAUTHENTICATED);
    take(&mut client, &response).unwrap();
    for _ in 0..2 {
        let request = request_of(&client);
        let message = Message::parse(&request).unwrap();
        let list: PasswordAlgorithms<'_> = message.get().unwrap().unwrap();
        assert_eq!(list.as_bytes(), [SHA256, MD5].concat());
        let chosen: PasswordAlgorithm<'_> = message.get().unwrap().unwrap();
        assert_eq!(chosen.derivation(), Some(KeyDerivation::Sha256));
        assert_eq!(message.integrity(), Some(Algorithm::Sha256));
        assert!(message.verify(&sha256_key(), Algorithm::Sha256));
        // SHA-256 only.
        assert!(!message.verify(&sha256_key(), Algorithm::Sha1));
        assert_eq!(check(&server, &request), Ok(Algorithm::Sha256));
    }
}

/// req: STUN-9.2.5-7, STUN-9.2.5-8
#[test]
fn a_client_takes_the_first_algorithm_it_knows_or_none() {
    use KeyDerivation::{Md5, Sha256};
    for (list, choice, expected) in [
        (&[SHA256, MD5].concat()[..], Choice::First, Some(Sha256)),
        (&[MD5, SHA256].concat(), Choice::First, Some(Md5)),
        (&MD5, Choice::First, Some(Md5)),
        (
            &[&OTHER[..], &MD5, &SHA256].concat(),
            Choice::First,
            Some(Md5),
        ),
        (&OTHER, Choice::First, None),
        (&[], Choice::First, None),
        (&[MD5, SHA256].concat(), Choice::Strongest, Some(Sha256)),
        (&MD5, Choice::Strongest, Some(Md5)),
        (&MD5, Choice::Sha256Only, None),
        (&[MD5, SHA256].concat(), Choice::Sha256Only, Some(Sha256)),
    ] {
        let mut client = LongTermClient::new(alice()).with_choice(choice);
        let taken = take(&mut client, &challenge("gAAA", Some(list)));
        let Some(expected) = expected else {
            assert_eq!(taken, Err(ChallengeError::NoAlgorithm), "{list:?}");
            assert!(!client.is_challenged());
            continue;
        };
        assert_eq!(taken, Ok(()), "{list:?}");
        let request = request_of(&client);
        let message = Message::parse(&request).unwrap();
        let echoed: PasswordAlgorithms<'_> = message.get().unwrap().unwrap();
        let chosen: PasswordAlgorithm<'_> = message.get().unwrap().unwrap();
        assert_eq!(echoed.as_bytes(), list);
        assert_eq!(chosen, PasswordAlgorithm::of(expected));
        let key = match expected {
            Md5 => md5_key(),
            Sha256 => sha256_key(),
        };
        assert!(message.verify(&key, Algorithm::Sha256));
    }
}

/// MD5 is for legacy systems only, and can be switched off on either side.
///
/// req: STUN-18.5.1.1-1
#[test]
fn md5_can_be_declined_by_client_and_server() {
    // A server of RFC 5389 has no list, which means MD5.
    let legacy = challenge("AAAA", None);
    let mut strict = LongTermClient::new(alice()).with_choice(Choice::Sha256Only);
    assert_eq!(take(&mut strict, &legacy), Err(ChallengeError::NoAlgorithm));
    assert_eq!(take(&mut LongTermClient::new(alice()), &legacy), Ok(()));

    let mut only = config();
    only.algorithms = vec![KeyDerivation::Sha256];
    let request = |server: &LongTermServer| signed(server, None, None, &md5_key());
    let tolerant = server(&only);
    assert_eq!(check(&tolerant, &request(&tolerant)), Ok(Algorithm::Sha1));
    only.legacy = false;
    let strict = server(&only);
    assert_eq!(
        check(&strict, &request(&strict)),
        Err(Refusal::Unauthenticated)
    );
}

/// A request of alice with a fresh nonce, these two attributes, and both integrity attributes.
fn signed(
    server: &LongTermServer,
    list: Option<&[u8]>,
    chosen: Option<&[u8]>,
    key: &Key,
) -> Vec<u8> {
    let response = challenge_of(server, StatusCode::UNAUTHENTICATED);
    let response = Message::parse(&response).unwrap();
    let nonce: Nonce<'_> = response.get().unwrap().unwrap();
    bytes(REQUEST, |builder| {
        let mut builder = builder
            .with(&Username("alice"))
            .with(&Realm(REALM))
            .with(&nonce);
        if let Some(list) = list {
            builder = builder.with_raw(AttributeType::PASSWORD_ALGORITHMS, list);
        }
        if let Some(chosen) = chosen {
            builder = builder.with_raw(AttributeType::PASSWORD_ALGORITHM, chosen);
        }
        builder.with_integrity(key).with_integrity_sha256(key)
    })
}

/// req: STUN-9.2.4-12, STUN-9.2.4-24
#[test]
fn a_client_that_knows_no_algorithms_is_served_with_md5_and_sha1() {
    let server = server(&config());
    let request = signed(&server, None, None, &md5_key());
    assert_eq!(check(&server, &request), Ok(Algorithm::Sha1));
    let request = signed(&server, None, None, &sha256_key());
    assert_eq!(check(&server, &request), Err(Refusal::Unauthenticated));
}

/// Also whoever signed with SHA-1, or chose MD5.
///
/// req: STUN-9.2.4-23
#[test]
fn whoever_chose_an_algorithm_is_answered_with_sha256() {
    let server = server(&config());
    let response = challenge_of(&server, StatusCode::UNAUTHENTICATED);
    let response = Message::parse(&response).unwrap();
    let nonce: Nonce<'_> = response.get().unwrap().unwrap();
    let offered = [SHA256, MD5].concat();
    for (chosen, key) in [(SHA256, sha256_key()), (MD5, md5_key())] {
        for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
            let request = bytes(REQUEST, |builder| {
                builder
                    .with(&Username("alice"))
                    .with(&Realm(REALM))
                    .with(&nonce)
                    .with_raw(AttributeType::PASSWORD_ALGORITHMS, &offered)
                    .with_raw(AttributeType::PASSWORD_ALGORITHM, &chosen)
                    .with_integrity_by(algorithm, &key)
            });
            assert_eq!(check(&server, &request), Ok(Algorithm::Sha256));
        }
    }
}

/// Whoever changes the offer on the way is found out.
///
/// req: STUN-9.2.4-13
#[test]
fn a_list_that_is_not_the_one_sent_or_a_choice_that_is_not_on_it_is_a_bad_request() {
    let server = server(&config());
    let offered = [SHA256, MD5].concat();
    let swapped = [MD5, SHA256].concat();
    let longer = [&offered[..], &OTHER].concat();
    let bad = Err(Refusal::BadRequest);
    for (list, chosen, key, expected) in [
        (
            Some(&offered[..]),
            Some(&SHA256[..]),
            sha256_key(),
            Ok(Algorithm::Sha256),
        ),
        (Some(&offered), Some(&MD5), md5_key(), Ok(Algorithm::Sha256)),
        (Some(&offered), None, md5_key(), bad),
        (None, Some(&SHA256), sha256_key(), bad),
        (Some(&swapped), Some(&SHA256), sha256_key(), bad),
        (Some(&MD5), Some(&MD5), md5_key(), bad),
        (Some(&longer), Some(&SHA256), sha256_key(), bad),
        (Some(&offered), Some(&OTHER), sha256_key(), bad),
        (Some(&offered), Some(&[0, 2]), sha256_key(), bad),
        // The choice decides how the key is made.
        (
            Some(&offered),
            Some(&SHA256),
            md5_key(),
            Err(Refusal::Unauthenticated),
        ),
    ] {
        let request = signed(&server, list, chosen, &key);
        assert_eq!(check(&server, &request), expected, "{list:?} {chosen:?}");
    }
}

/// req: STUN-9.2.4-5, STUN-9.2.4-6, STUN-9.2.4-9, STUN-9.2.4-14, STUN-9.2.4-20, STUN-9.2.4-21
#[test]
fn every_challenge_offers_the_algorithms_in_the_order_of_the_configuration() {
    let mut reversed = config();
    reversed.algorithms.reverse();
    let mut none = config();
    none.algorithms.clear();
    let full = [
        AttributeType::ERROR_CODE,
        AttributeType::REALM,
        AttributeType::NONCE,
        AttributeType::PASSWORD_ALGORITHMS,
    ];
    for (config, cookie, list) in [
        (config(), "obMatJos2gAAA", Some([SHA256, MD5])),
        (reversed, "obMatJos2gAAA", Some([MD5, SHA256])),
        (none, "obMatJos2AAAA", None),
    ] {
        let server = server(&config);
        for code in [StatusCode::UNAUTHENTICATED, StatusCode::STALE_NONCE] {
            let response = challenge_of(&server, code);
            let message = Message::parse(&response).unwrap();
            assert_eq!(message.integrity(), None);
            let Nonce(nonce) = message.get().unwrap().unwrap();
            assert!(nonce.starts_with(cookie));
            let sent = message.get::<PasswordAlgorithms<'_>>().unwrap();
            assert_eq!(
                sent.map(|sent| sent.as_bytes().to_vec()),
                list.map(|list| list.concat())
            );
            let expected = if list.is_some() {
                &full[..]
            } else {
                &full[..3]
            };
            assert_eq!(kinds(&response), expected);
        }
    }
}

/// The order of the checks, by requests that break several rules at once. The nonce comes before the
/// user, which is a deviation that `docs/decisions.md` explains.
///
/// req: STUN-9.2.4-2
#[test]
fn the_first_rule_that_is_broken_decides() {
    let server = server(&config());
    let users = StaticUsers::new(REALM, &[alice()]);
    let fresh = challenge_of(&server, StatusCode::UNAUTHENTICATED);
    let fresh = Message::parse(&fresh).unwrap();
    let Nonce(fresh) = fresh.get().unwrap().unwrap();
    let wrong = Key::short_term("wrong");
    let unknown = AttributeType(0x7777);
    let request = |sign: bool, realm: bool, nonce: &str, list: &[u8], user: &str| {
        bytes(REQUEST, |builder| {
            let builder = builder
                .with_raw(unknown, &[])
                .with(&Username(user))
                .with_some(realm.then_some(&Realm(REALM)))
                .with(&Nonce(nonce))
                .with_raw(AttributeType::PASSWORD_ALGORITHMS, list);
            if sign {
                builder.with_integrity(&wrong)
            } else {
                builder
            }
        })
    };
    let offered = [SHA256, MD5].concat();
    for (request, expected) in [
        (
            request(false, false, "stale", &MD5, "bob"),
            Refusal::Unauthenticated,
        ),
        (
            request(true, false, "stale", &MD5, "bob"),
            Refusal::BadRequest,
        ),
        (
            request(true, true, "stale", &MD5, "bob"),
            Refusal::StaleNonce,
        ),
        (request(true, true, fresh, &MD5, "bob"), Refusal::BadRequest),
        (
            request(true, true, fresh, &offered, "bob"),
            Refusal::BadRequest,
        ),
    ] {
        let message = Message::parse(&request).unwrap();
        let checked = server.check(NOW, source(), &message, &users);
        assert_eq!(checked.err(), Some(expected));
    }
    let without = |user| {
        bytes(REQUEST, |builder| {
            builder
                .with_raw(unknown, &[])
                .with(&Username(user))
                .with(&Realm(REALM))
                .with(&Nonce(fresh))
                .with_integrity(&wrong)
        })
    };
    for user in ["bob", "alice"] {
        assert_eq!(
            check(&server, &without(user)),
            Err(Refusal::Unauthenticated)
        );
    }
}

/// req: STUN-9.2.4-7, STUN-9.2.4-8, STUN-9.2.5-4, STUN-14.4-1
#[test]
fn where_the_server_wants_it_the_user_is_named_by_a_hash_only() {
    let mut config = config();
    config.anonymity = true;
    let (server, mut client) = (server(&config), LongTermClient::new(alice()));
    let response = challenge_of(&server, StatusCode::UNAUTHENTICATED);
    let message = Message::parse(&response).unwrap();
    let Nonce(nonce) = message.get().unwrap().unwrap();
    assert!(nonce.starts_with("obMatJos2wAAA"));
    take(&mut client, &response).unwrap();
    let request = request_of(&client);
    let message = Message::parse(&request).unwrap();
    assert_eq!(message.get::<Username<'_>>(), Ok(None));
    assert_eq!(message.get(), Ok(Some(UserHash::of("alice", REALM))));
    assert_eq!(check(&server, &request), Ok(Algorithm::Sha256));
    // A plain name is still understood.
    let request = signed(&server, None, None, &md5_key());
    assert_eq!(check(&server, &request), Ok(Algorithm::Sha1));

    // A hash of nobody, one of another length, and one where the feature is off.
    let hashed = |server: &LongTermServer, hash: &[u8]| {
        let response = challenge_of(server, StatusCode::UNAUTHENTICATED);
        let response = Message::parse(&response).unwrap();
        let nonce: Nonce<'_> = response.get().unwrap().unwrap();
        bytes(REQUEST, |builder| {
            builder
                .with_raw(AttributeType::USERHASH, hash)
                .with(&Realm(REALM))
                .with(&nonce)
                .with_integrity(&md5_key())
        })
    };
    let hash = UserHash::of("alice", REALM).0;
    let off = self::server(&self::config());
    for (server, hash, expected) in [
        (&server, &hash[..], Ok(Algorithm::Sha1)),
        (&server, &[7; 32], Err(Refusal::Unauthenticated)),
        (&server, &hash[..31], Err(Refusal::BadRequest)),
        (
            &server,
            &[&hash[..], &[0]].concat(),
            Err(Refusal::BadRequest),
        ),
        (&off, &hash, Err(Refusal::BadRequest)),
    ] {
        assert_eq!(check(server, &hashed(server, hash)), expected);
    }
}

/// Features and list belong to the challenge, not to the server: each new one replaces them.
///
/// req: STUN-9.2.3-1, STUN-9.2.5-10, STUN-9.2.5-11
#[test]
fn a_new_challenge_replaces_all_that_the_old_one_said() {
    let mut client = LongTermClient::new(alice());
    take(&mut client, &challenge("wAAA", Some(&SHA256))).unwrap();
    assert_eq!(
        kinds(&request_of(&client)),
        [
            AttributeType::USERHASH,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::PASSWORD_ALGORITHMS,
            AttributeType::PASSWORD_ALGORITHM,
        ]
    );
    let stale = bytes(ERROR, |builder| {
        builder
            .with(&ErrorCode::of(StatusCode::STALE_NONCE))
            .with(&Realm(REALM))
            .with(&Nonce("plain"))
    });
    let stale = Message::parse(&stale).unwrap();
    assert_eq!(client.challenge(&stale, true), Ok(()));
    let request = request_of(&client);
    assert_eq!(
        kinds(&request),
        [
            AttributeType::USERNAME,
            AttributeType::REALM,
            AttributeType::NONCE
        ]
    );
    let message = Message::parse(&request).unwrap();
    assert_eq!(message.get(), Ok(Some(Nonce("plain"))));
    assert!(message.verify(&md5_key(), Algorithm::Sha1));
}

/// req: STUN-9.2.5-12
#[test]
fn a_response_from_which_the_list_was_cut_is_not_believed() {
    let mut client = LongTermClient::new(alice());
    take(&mut client, &challenge("gAAA", Some(&SHA256))).unwrap();
    let success = MessageType::new(Class::Success, Method::BINDING);
    for (nonce, list, expected) in [
        (None, None, true),
        (Some("obMatJos2gAAAx"), None, false),
        (Some("obMatJos2gAAAx"), Some(&SHA256[..]), true),
        (Some("obMatJos2gAAAx"), Some(&[0, 2, 0]), false),
        (Some("obMatJos2QAAAx"), None, true),
        (Some("plain"), None, true),
    ] {
        let response = bytes(success, |builder| {
            let mut builder = builder.with_some(nonce.map(Nonce).as_ref());
            if let Some(list) = list {
                builder = builder.with_raw(AttributeType::PASSWORD_ALGORITHMS, list);
            }
            builder.with_integrity_sha256(&sha256_key())
        });
        let response = Message::parse(&response).unwrap();
        assert_eq!(client.verify(&response), expected, "{nonce:?} {list:?}");
        assert_eq!(lacks_algorithms(&response), !expected);
    }
    // The right key under the wrong attribute.
    let response = bytes(success, |builder| builder.with_integrity(&sha256_key()));
    assert!(!client.verify(&Message::parse(&response).unwrap()));
}

/// req: STUN-9.2-1
#[test]
fn an_indication_cannot_have_long_term_credentials() {
    let mut client = LongTermClient::new(alice());
    take(&mut client, &challenge("AAAA", None)).unwrap();
    let mut buffer = [0; 512];
    let kind = MessageType::new(Class::Indication, Method::BINDING);
    let builder = client.authenticate(Builder::new(&mut buffer, kind, ID));
    assert_eq!(builder.finish(), Err(BuildError::Indication));
}

/// Two keys at a time: what was issued under the old one lives on for as long as it may.
#[test]
fn nonces_outlive_the_change_of_the_key() {
    let config = config();
    let mut server = server(&config);
    let lifetime = config.nonce_lifetime;
    let mut client = LongTermClient::new(alice());
    take(
        &mut client,
        &challenge_of(&server, StatusCode::UNAUTHENTICATED),
    )
    .unwrap();
    let request = request_of(&client);
    let request = Message::parse(&request).unwrap();
    let users = StaticUsers::new(REALM, &[alice()]);
    for step in 0..=6 {
        let now = NOW + lifetime * step / 6;
        // With and without being told the time.
        for told in [false, true] {
            if told {
                server.advance(now);
            }
            assert!(server.check(now, source(), &request, &users).is_ok());
        }
    }
    let late = NOW + lifetime + core::time::Duration::from_millis(1);
    let checked = server.check(late, source(), &request, &users);
    assert_eq!(checked.err(), Some(Refusal::StaleNonce));
    // A clock that went back makes it fresh again, and nothing worse.
    assert!(server.check(NOW, source(), &request, &users).is_ok());
}

/// req: STUN-14.11-1, STUN-14.12-1, STUN-14.12-2
#[test]
fn lists_of_algorithms_keep_their_form() {
    let list = [&OTHER[..], &SHA256].concat();
    let parsed = PasswordAlgorithms::from_bytes(&list).unwrap();
    let numbers: Vec<_> = parsed
        .iter()
        .map(|one| (one.number, one.parameters))
        .collect();
    assert_eq!(numbers, [(9, &[7][..]), (2, &[])]);
    for broken in [
        &[0][..],
        &[0, 1, 0],
        &[0, 1, 0, 4, 1, 2, 3],
        &[0, 1, 0, 0, 0],
    ] {
        assert_eq!(PasswordAlgorithms::from_bytes(broken), None, "{broken:?}");
        let request = bytes(REQUEST, |builder| {
            builder
                .with_raw(AttributeType::PASSWORD_ALGORITHMS, broken)
                .with_raw(AttributeType::PASSWORD_ALGORITHM, broken)
        });
        let request = Message::parse(&request).unwrap();
        assert!(request.get::<PasswordAlgorithms<'_>>().is_err());
        assert!(request.get::<PasswordAlgorithm<'_>>().is_err());
    }
    // Padding is zero when sent and ignored when received.
    let one = PasswordAlgorithm {
        number: 9,
        parameters: &[7],
    };
    let request = bytes(REQUEST, |builder| builder.with(&one));
    assert_eq!(request[24..], OTHER);
    let dirty = [0, 9, 0, 1, 7, 1, 2, 3];
    let request = bytes(REQUEST, |builder| {
        builder.with_raw(AttributeType::PASSWORD_ALGORITHM, &dirty)
    });
    assert_eq!(Message::parse(&request).unwrap().get(), Ok(Some(one)));
    // The known ones have no parameters.
    let odd = PasswordAlgorithm {
        number: 2,
        parameters: &[7],
    };
    assert_eq!(odd.derivation(), None);
}

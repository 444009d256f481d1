//! The short-term credential mechanism (RFC 8489 §9.1), client and server.

use floe_stun::{
    Algorithm, AttributeType, Builder, Class, Credentials, Key, Message, MessageType, Method,
    Refusal, ShortTermClient, TransactionId, Username, check_short_term,
};

const ID: TransactionId = TransactionId([6; 12]);
const REQUEST: MessageType = MessageType::new(Class::Request, Method::BINDING);
const SUCCESS: MessageType = MessageType::new(Class::Success, Method::BINDING);

fn alice() -> Credentials {
    Credentials::new("alice", "wonderland")
}

fn key() -> Key {
    Key::short_term("wonderland")
}

fn bytes(kind: MessageType, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let len = fill(Builder::new(&mut buffer, kind, ID)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

fn check(message: &[u8]) -> Result<Algorithm, Refusal> {
    let message = Message::parse(message).unwrap();
    let user = |name: &str| (name == "alice").then(key);
    check_short_term(&message, user).map(|seal| seal.algorithm())
}

/// The integrity attributes of a message that verify.
fn integrity(message: &[u8]) -> Vec<Algorithm> {
    let message = Message::parse(message).unwrap();
    [Algorithm::Sha1, Algorithm::Sha256]
        .into_iter()
        .filter(|&algorithm| message.verify(&key(), algorithm))
        .collect()
}

/// req: STUN-9.1.2-1, STUN-9.1.2-2
#[test]
fn requests_and_indications_carry_both_integrity_attributes_unless_one_is_agreed_on() {
    let indication = MessageType::new(Class::Indication, Method::BINDING);
    for kind in [REQUEST, indication] {
        let client = ShortTermClient::new(&alice());
        let message = bytes(kind, |builder| client.authenticate(builder));
        assert_eq!(integrity(&message), [Algorithm::Sha1, Algorithm::Sha256]);
        let parsed = Message::parse(&message).unwrap();
        assert_eq!(parsed.get(), Ok(Some(Username("alice"))));
        assert_eq!(parsed.attributes().count(), 1);
        for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
            let client = ShortTermClient::with_algorithm(&alice(), algorithm);
            let message = bytes(kind, |builder| client.authenticate(builder));
            assert_eq!(integrity(&message), [algorithm]);
            let parsed = Message::parse(&message).unwrap();
            assert_eq!(parsed.get(), Ok(Some(Username("alice"))));
        }
    }
}

/// req: STUN-9.1.4-1, STUN-9.1.4-2, STUN-9.1.5-1
#[test]
fn the_first_genuine_response_decides_which_attribute_later_requests_carry() {
    for (algorithm, other) in [
        (Algorithm::Sha1, Algorithm::Sha256),
        (Algorithm::Sha256, Algorithm::Sha1),
    ] {
        let mut client = ShortTermClient::new(&alice());
        let sent = client.algorithm();
        let mut verify = |sign: &dyn Fn(Builder<'_>) -> Vec<u8>, sent| {
            let mut buffer = [0; 128];
            let response = sign(Builder::new(&mut buffer, SUCCESS, ID));
            client.verify(&Message::parse(&response).unwrap(), sent)
        };
        let finish = |builder: Builder<'_>| builder.finish_bytes().unwrap().to_vec();
        let wrong = Key::short_term("guess");
        // What is not genuine teaches nothing.
        assert!(!verify(&finish, sent));
        let forged = |builder: Builder<'_>| finish(builder.with_integrity_by(other, &wrong));
        assert!(!verify(&forged, sent));
        let genuine = |builder: Builder<'_>| finish(builder.with_integrity_by(algorithm, &key()));
        assert!(verify(&genuine, sent));
        // From now on the other one is no more believed, but for requests that carried both.
        let crossed = |builder: Builder<'_>| finish(builder.with_integrity_by(other, &key()));
        assert!(!verify(&crossed, Some(algorithm)));
        assert!(verify(&crossed, sent));
        assert_eq!(client.algorithm(), Some(algorithm));
        let request = bytes(REQUEST, |builder| client.authenticate(builder));
        assert_eq!(integrity(&request), [algorithm]);
    }
}

/// The order of the checks, by messages that break several rules at once.
///
/// req: STUN-9.1.3-1, STUN-9.1.3-2, STUN-9.1.3-4, STUN-9.1.3-6, STUN-9.1.3-7
#[test]
fn a_request_without_credentials_is_bad_and_one_with_wrong_ones_unauthenticated() {
    let wrong = Key::short_term("guess");
    let with = |name: Option<&str>, sign: &dyn Fn(Builder<'_>) -> Vec<u8>| {
        let mut buffer = [0; 256];
        let builder = Builder::new(&mut buffer, REQUEST, ID);
        sign(builder.with_some(name.map(Username).as_ref()))
    };
    let finish = |builder: Builder<'_>| builder.finish_bytes().unwrap().to_vec();
    let right = |builder: Builder<'_>| finish(builder.with_integrity(&key()));
    let false_code = |builder: Builder<'_>| finish(builder.with_integrity(&wrong));
    let both =
        |builder: Builder<'_>| finish(builder.with_integrity(&key()).with_integrity_sha256(&wrong));
    let (bad, unauthenticated) = (Err(Refusal::BadRequest), Err(Refusal::Unauthenticated));
    assert_eq!(check(&with(Some("alice"), &right)), Ok(Algorithm::Sha1));
    assert_eq!(check(&with(None, &finish)), bad);
    assert_eq!(check(&with(None, &right)), bad);
    assert_eq!(check(&with(None, &false_code)), bad);
    assert_eq!(check(&with(Some("bob"), &finish)), bad);
    assert_eq!(check(&with(Some("bob"), &right)), unauthenticated);
    assert_eq!(check(&with(Some("alice"), &false_code)), unauthenticated);
    // The stronger attribute takes precedence.
    assert_eq!(check(&with(Some("alice"), &both)), unauthenticated);
}

/// req: STUN-9.1.3-9, STUN-9.1.3-10, STUN-9.1.3-11, STUN-9.1.3-12
#[test]
fn a_response_has_the_one_integrity_attribute_that_decided_and_no_username() {
    for (request, expected) in [
        (ShortTermClient::new(&alice()), Algorithm::Sha256),
        (
            ShortTermClient::with_algorithm(&alice(), Algorithm::Sha256),
            Algorithm::Sha256,
        ),
        (
            ShortTermClient::with_algorithm(&alice(), Algorithm::Sha1),
            Algorithm::Sha1,
        ),
    ] {
        let request = bytes(REQUEST, |builder| request.authenticate(builder));
        let request = Message::parse(&request).unwrap();
        let seal = check_short_term(&request, |_| Some(key())).unwrap();
        let response = bytes(SUCCESS, |builder| seal.append(builder));
        assert_eq!(integrity(&response), [expected]);
        let count = response.len() - 20;
        assert_eq!(count, if expected == Algorithm::Sha1 { 24 } else { 36 });
        let response = Message::parse(&response).unwrap();
        assert!(
            !response
                .attributes()
                .any(|raw| raw.kind == AttributeType::USERNAME)
        );
    }
}

/// The key is made from prepared text: whoever types the password otherwise has the same key.
///
/// req: STUN-9.1.1-1
#[cfg(feature = "unicode")]
#[test]
fn the_key_is_the_password_as_opaque_string_prepares_it_in_utf8() {
    for (typed, key) in [
        ("VOkJxbRl1RmTxUk/WvJxBt", &b"VOkJxbRl1RmTxUk/WvJxBt"[..]),
        ("u\u{308}ber", b"\xC3\xBCber"),
        ("two\u{3000}words", b"two words"),
        ("\u{FF21}a", b"\xEF\xBC\xA1a"),
    ] {
        let credentials = Credentials::prepared("alice", typed).unwrap();
        let client = ShortTermClient::with_algorithm(&credentials, Algorithm::Sha256);
        let request = bytes(REQUEST, |builder| client.authenticate(builder));
        let message = Message::parse(&request).unwrap();
        assert!(message.verify(&Key::new(key), Algorithm::Sha256));
    }
}

//! Third-party authorization (RFC 7635), the client's side.

mod support;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{AllocateError, ClientEvent, CommandError, Token};
use support::*;

const MAC_KEY: &[u8] = &[0x5A; 20];
const SERVER: &str = "turn.example.org";

fn token_config() -> floe_turn::ClientConfig {
    let mut config = client_config();
    config.third_party = true;
    config
}

fn token(bytes: &[u8]) -> Token {
    Token::new("kid-1", bytes, MAC_KEY)
}

fn offered(request: &[u8], number: u16, nonce: &str) -> Vec<u8> {
    response(request, Class::Error, |b| {
        b.with(&code(number))
            .with(&Realm(REALM))
            .with(&Nonce(nonce))
            .with(&ThirdPartyAuthorization(SERVER))
    })
}

fn signed(request: &[u8], build: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>) -> Vec<u8> {
    response(request, Class::Success, |b| {
        build(b).with_integrity(&Key::new(MAC_KEY))
    })
}

/// A client that was told to get a token.
fn told() -> Clients {
    let mut t = Clients::with(token_config());
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    assert!(!has::<AccessToken<'_>>(&first));
    t.give(&offered(&first, 401, "nonce-1"));
    assert_eq!(t.events(), [ClientEvent::TokenWanted]);
    assert_eq!(t.client.token_server(), Some(SERVER));
    assert!(t.all_sent().is_empty());
    t
}

fn with_token() -> Clients {
    let mut t = told();
    t.client
        .provide_token(t.now, Some(token(b"opaque")))
        .unwrap();
    let request = t.sent();
    t.give(&signed(&request, |b| {
        b.with(&XorRelayedAddress(relayed()))
            .with(&Lifetime(600))
            .with(&XorMappedAddress(home()))
    }));
    t.event();
    t
}

/// RFC 7635 §5: USERNAME is the key identifier, and the key is used as it is.
#[test]
fn a_token_goes_with_allocate() {
    let mut t = told();
    t.client
        .provide_token(t.now, Some(token(b"opaque")))
        .unwrap();
    let request = t.sent();
    assert_eq!(parse(&request).get().unwrap(), Some(Username("kid-1")));
    assert_eq!(parse(&request).get().unwrap(), Some(Nonce("nonce-1")));
    assert_eq!(parse(&request).get().unwrap(), Some(AccessToken(b"opaque")));
    assert!(parse(&request).verify(&Key::new(MAC_KEY), Algorithm::Sha1));
    assert_eq!(t.client.token_server(), None);
    assert_eq!(
        t.client.provide_token(t.now, None),
        Err(CommandError::NoTokenWanted)
    );
    // RFC 7635 §8: a response is genuine by the same key.
    assert_eq!(
        t.offer(&allocated(&request)),
        Input::Dropped(DropReason::Unauthenticated)
    );
    t.give(&signed(&request, |b| {
        b.with(&XorRelayedAddress(relayed()))
            .with(&Lifetime(600))
            .with(&XorMappedAddress(home()))
    }));
    assert!(t.client.is_allocated());
}

/// RFC 7635 §9.
#[test]
fn only_allocate_and_refresh_carry_the_token() {
    let mut t = with_token();
    t.client.bind_channel(t.now, peer()).unwrap();
    t.client
        .create_permission(t.now, other_peer().ip())
        .unwrap();
    t.client.refresh(t.now, None).unwrap();
    for request in t.all_sent() {
        let refresh = method(&request) == Method::REFRESH;
        assert_eq!(has::<AccessToken<'_>>(&request), refresh);
        assert_eq!(parse(&request).get().unwrap(), Some(Username("kid-1")));
        assert!(parse(&request).verify(&Key::new(MAC_KEY), Algorithm::Sha1));
    }
}

/// RFC 7635 §8, §9: an expired token is replaced, and the new one refreshes the allocation.
#[test]
fn a_token_that_has_expired_is_replaced() {
    let mut t = with_token();
    t.now += secs(540);
    t.client.handle_timeout(t.now);
    let refresh = t.sent();
    // A stale nonce is not the token's fault.
    t.give(&offered(&refresh, 438, "nonce-2"));
    let refresh = t.sent();
    assert_eq!(parse(&refresh).get().unwrap(), Some(Nonce("nonce-2")));
    assert_eq!(t.event(), None);
    t.give(&offered(&refresh, 401, "nonce-3"));
    assert_eq!(t.events(), [ClientEvent::TokenWanted]);
    t.client
        .provide_token(t.now, Some(token(b"newer")))
        .unwrap();
    let refresh = t.sent();
    assert_eq!(method(&refresh), Method::REFRESH);
    assert_eq!(parse(&refresh).get().unwrap(), Some(AccessToken(b"newer")));
    t.give(&signed(&refresh, |b| b.with(&Lifetime(600))));
    assert_eq!(t.events(), []);
    assert!(t.client.is_allocated());
}

#[test]
fn several_requests_wait_for_one_token() {
    let mut t = with_token();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    t.client
        .create_permission(t.now, other_peer().ip())
        .unwrap();
    for request in t.all_sent() {
        t.give(&offered(&request, 401, "nonce-2"));
    }
    assert_eq!(t.events(), [ClientEvent::TokenWanted]);
    t.client
        .provide_token(t.now, Some(token(b"newer")))
        .unwrap();
    assert_eq!(t.all_sent().len(), 2);
}

#[test]
fn tokens_that_are_refused_again_and_again_are_given_up() {
    let mut t = told();
    let mut tokens = 0;
    while t.client.token_server().is_some() && !t.client.is_ended() {
        tokens += 1;
        t.client.provide_token(t.now, Some(token(b"bad"))).unwrap();
        let request = t.sent();
        t.give(&offered(&request, 401, "nonce"));
    }
    assert_eq!(tokens, 4);
    assert!(t.client.is_ended());
}

#[test]
fn without_a_token_the_request_fails() {
    let mut t = told();
    t.client.provide_token(t.now, None).unwrap();
    assert_eq!(t.events(), [ClientEvent::Failed(AllocateError::Refused)]);
}

/// RFC 7635 §6.1: who does not know tokens has his credentials.
#[test]
fn who_is_not_told_to_use_tokens_uses_his_credentials() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    t.give(&offered(&first, 401, "nonce-1"));
    let second = t.sent();
    assert_eq!(parse(&second).get().unwrap(), Some(Username(USER)));
    // And who is, at a server that takes none, too.
    let mut t = Clients::with(token_config());
    t.allocate();
    assert!(t.client.is_allocated());
}

#[test]
fn tokens_are_not_printed() {
    let text = format!("{:?} {:?}", token(b"opaque-bytes"), with_token().client);
    assert!(
        !text.contains("opaque-bytes") && !text.contains("90, 90"),
        "{text}"
    );
}

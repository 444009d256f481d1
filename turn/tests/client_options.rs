//! What an Allocate may ask for beyond an address.

mod support;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{AllocateError, ClientEvent, RelayPort, SendError};
use support::*;

/// req: TURN-7.1-13, TURN-7.1-14, TURN-18.7-1, TURN-18-1
#[test]
fn an_even_port_and_the_one_after_it() {
    for (port, bits) in [(RelayPort::Even, 0), (RelayPort::EvenAndNext, 0x80)] {
        let mut config = client_config();
        config.port = port;
        let mut t = Clients::with(config);
        let request = t.asked();
        assert_eq!(values_of(&request, AttributeType::EVEN_PORT), [[bits]]);
        let token = ReservationToken([1, 2, 3, 4, 5, 6, 7, 8]);
        t.give(&success(&request, |b| {
            b.with(&XorRelayedAddress(relayed()))
                .with(&Lifetime(600))
                .with(&XorMappedAddress(home()))
                .with(&token)
        }));
        let reserved = t.events().contains(&ClientEvent::Reserved(token));
        assert_eq!(reserved, bits != 0);

        let mut config = client_config();
        config.port = RelayPort::Reserved(token);
        let mut t = Clients::with(config);
        let request = t.asked();
        assert_eq!(parse(&request).get().unwrap(), Some(token));
        assert!(!has::<EvenPort>(&request));
    }
}

/// req: TURN-7.4-14, TURN-7.4-15
#[test]
fn without_capacity_the_port_is_given_up_first() {
    let token = RelayPort::Reserved(ReservationToken([7; 8]));
    for port in [RelayPort::Even, RelayPort::EvenAndNext, token] {
        let mut config = client_config();
        config.port = port;
        let mut t = Clients::with(config);
        let request = t.asked();
        t.give(&refused(&request, 508));
        assert_eq!(t.event(), None);
        let again = t.sent();
        assert_eq!(method(&again), Method::ALLOCATE);
        assert!(!has::<EvenPort>(&again) && !has::<ReservationToken>(&again));
        t.give(&refused(&again, 508));
        let error = AllocateError::Rejected(StatusCode::INSUFFICIENT_CAPACITY);
        assert_eq!(t.events(), [ClientEvent::Failed(error)]);
        assert!(t.all_sent().is_empty());
    }
}

fn df_config() -> floe_turn::ClientConfig {
    let mut config = client_config();
    config.dont_fragment = true;
    config
}

/// req: TURN-3.7-3, TURN-7.1-12, TURN-11.1-3, TURN-18.9-1
#[test]
fn dont_fragment_is_asked_for_before_it_is_used() {
    let mut t = Clients::with(df_config());
    let request = t.asked();
    let expected: [&[u8]; 1] = [&[]];
    assert_eq!(values_of(&request, AttributeType::DONT_FRAGMENT), expected);
    t.give(&allocated(&request));
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let mut buffer = [0xAA; 100];
    for length in 0..5 {
        let payload = HEADROOM..HEADROOM + length;
        buffer[payload.clone()].copy_from_slice(&b"hello"[..length]);
        let route = (t.client)
            .encapsulate_unfragmented(peer(), &mut buffer, payload)
            .unwrap();
        let send = &buffer[route.range()];
        assert_eq!(method(send), Method::SEND);
        assert!(has::<DontFragment>(send));
        assert_eq!(parse(send).get().unwrap(), Some(XorPeerAddress(peer())));
        assert_eq!(parse(send).get().unwrap(), Some(Data(&b"hello"[..length])));
        assert_eq!(parse(send).attributes().count(), 3);
    }
    // An IPv6 peer needs four bytes more.
    let result = (t.client).encapsulate_unfragmented(peer(), &mut buffer, 39..40);
    assert_eq!(result, Err(SendError::NoRoom));
}

/// req: TURN-7.4-7, TURN-3.7-3
#[test]
fn a_server_without_dont_fragment_is_asked_without() {
    let mut t = Clients::with(df_config());
    let request = t.asked();
    t.give(&refused_with(&request, 420, |b| {
        b.with_raw(AttributeType::UNKNOWN_ATTRIBUTES, &[0x00, 0x1A])
    }));
    assert_eq!(t.event(), None);
    let again = t.sent();
    assert_eq!(method(&again), Method::ALLOCATE);
    assert!(!has::<DontFragment>(&again));
    t.give(&allocated(&again));
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let mut buffer = [0; 100];
    assert_eq!(
        t.client
            .encapsulate_unfragmented(peer(), &mut buffer, 50..60),
        Err(SendError::Fragmentation)
    );
    // 420 for something else is final.
    let mut t = Clients::with(df_config());
    let request = t.asked();
    t.give(&refused_with(&request, 420, |b| {
        b.with_raw(AttributeType::UNKNOWN_ATTRIBUTES, &[0x00, 0x18])
    }));
    assert!(t.all_sent().is_empty());
    assert!(matches!(t.event(), Some(ClientEvent::Failed(_))));
}

#[test]
fn who_did_not_ask_may_not_forbid_fragmentation() {
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let mut buffer = [0; 100];
    assert_eq!(
        t.client
            .encapsulate_unfragmented(peer(), &mut buffer, 50..60),
        Err(SendError::Fragmentation)
    );
}

/// req: TURN-5-12
#[test]
fn software_goes_with_allocate_and_refresh_if_configured() {
    let mut config = client_config();
    config.software = Some("floe".into());
    let mut t = Clients::with(config);
    let request = t.asked();
    assert_eq!(parse(&request).get().unwrap(), Some(Software("floe")));
    t.give(&allocated(&request));
    t.client.create_permission(t.now, peer().ip()).unwrap();
    assert!(!has::<Software<'_>>(&t.sent()));
    t.client.refresh(t.now, None).unwrap();
    assert!(has::<Software<'_>>(&t.sent()));
    assert!(!has::<Software<'_>>(&Clients::new().asked()));
}

/// The nonce says that the server knows password algorithms, and the hash of user names.
fn challenge_of_rfc_8489(request: &[u8], algorithms: &[u8]) -> Vec<u8> {
    response(request, Class::Error, |b| {
        b.with(&code(401))
            .with(&Realm(REALM))
            .with(&Nonce("obMatJos2wAAAnonce"))
            .with_raw(AttributeType::PASSWORD_ALGORITHMS, algorithms)
    })
}

/// req: TURN-6-5
#[test]
fn sha_256_is_taken_wherever_it_stands_in_the_list() {
    for list in [[0, 1, 0, 0, 0, 2, 0, 0], [0, 2, 0, 0, 0, 1, 0, 0]] {
        let mut t = Clients::new();
        t.client.allocate(t.now).unwrap();
        let first = t.sent();
        t.give(&challenge_of_rfc_8489(&first, &list));
        let second = t.sent();
        assert_eq!(
            values_of(&second, AttributeType::PASSWORD_ALGORITHM),
            [[0, 2, 0, 0]]
        );
    }
}

/// Attack 12: somebody on the way has cut the algorithms out, but cannot change what the nonce says.
#[test]
fn a_challenge_whose_algorithms_were_cut_out_is_refused() {
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    let cut = response(&first, Class::Error, |b| {
        b.with(&code(401))
            .with(&Realm(REALM))
            .with(&Nonce("obMatJos2wAAAnonce"))
    });
    t.give(&cut);
    assert_eq!(t.events(), [ClientEvent::Failed(AllocateError::BidDown)]);
    assert!(t.all_sent().is_empty(), "no password is shown to MD5");
    // Nor is a response believed that no longer says what the challenge said.
    let mut t = Clients::new();
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    t.give(&challenge_of_rfc_8489(&first, &[0, 2, 0, 0]));
    let second = t.sent();
    let weak = response(&second, Class::Error, |b| {
        b.with(&code(438))
            .with(&Realm(REALM))
            .with(&Nonce("obMatJos2wAAAother"))
    });
    t.give(&weak);
    assert_eq!(t.events(), [ClientEvent::Failed(AllocateError::BidDown)]);
}

/// req: TURN-21.1.6-1
#[test]
fn a_private_user_name_is_never_sent_in_clear() {
    let mut config = client_config();
    config.private_username = true;
    let mut t = Clients::with(config.clone());
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    t.give(&challenge(&first, 401, "n"));
    assert_eq!(t.events(), [ClientEvent::Failed(AllocateError::Exposed)]);
    assert!(t.all_sent().is_empty());
    // Its hash may be.
    let mut t = Clients::with(config.clone());
    t.client.allocate(t.now).unwrap();
    let first = t.sent();
    t.give(&challenge_of_rfc_8489(&first, &[0, 2, 0, 0]));
    let second = t.sent();
    assert!(has::<UserHash>(&second) && !has::<Username<'_>>(&second));
    // Inside TLS and DTLS nobody reads it.
    for transport in [Transport::Tls, Transport::Dtls] {
        config.path.transport = transport;
        let mut t = Clients::with(config.clone());
        t.client.allocate(t.now).unwrap();
        let first = t.sent_on(config.path);
        assert_eq!(
            t.offer_on(config.path, &challenge(&first, 401, "n")),
            Input::Handled
        );
        assert!(has::<Username<'_>>(&t.sent_on(config.path)));
    }
}

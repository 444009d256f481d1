//! The client takes its allocation along to another local address (RFC 8016).

mod support;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{AllocateError, ClientEvent, CommandError, Retry};
use support::*;

fn elsewhere() -> FiveTuple {
    FiveTuple::udp(addr("203.0.113.7:50000"), listener())
}

fn tickets(bytes: &[u8]) -> Vec<Vec<u8>> {
    values_of(bytes, AttributeType::MOBILITY_TICKET)
}

fn with_ticket(request: &[u8], ticket: &[u8]) -> Vec<u8> {
    success(request, |b| {
        b.with(&XorRelayedAddress(relayed()))
            .with(&Lifetime(600))
            .with(&XorMappedAddress(home()))
            .with(&MobilityTicket(ticket))
    })
}

fn refreshed(request: &[u8], ticket: &[u8]) -> Vec<u8> {
    success(request, |b| {
        b.with(&Lifetime(600)).with(&MobilityTicket(ticket))
    })
}

/// A client with a ticket and a channel.
fn mobile() -> Clients {
    let mut config = client_config();
    config.mobility = true;
    let mut t = Clients::with(config);
    let request = t.asked();
    assert_eq!(tickets(&request), [[]; 1] as [[u8; 0]; 1], "asked for");
    t.give(&with_ticket(&request, b"ticket-1"));
    t.client.bind_channel(t.now, peer()).unwrap();
    let request = t.sent();
    t.give(&granted(&request));
    t.events();
    t
}

/// RFC 8016 §3.2.1: only a move shows the ticket.
#[test]
fn a_refresh_on_the_same_path_has_no_ticket() {
    let mut t = mobile();
    t.client.refresh(t.now, None).unwrap();
    let request = t.sent();
    assert!(tickets(&request).is_empty());
    t.give(&granted(&request));
}

/// RFC 8016 §3.2: until the server has answered, data takes the old way; then the new one, and each
/// move shows the latest ticket.
#[test]
fn an_allocation_moves_with_its_permissions_and_channels() {
    let mut t = mobile();
    t.client.migrate(t.now, elsewhere()).unwrap();
    let request = t.sent_on(elsewhere());
    assert_eq!(method(&request), Method::REFRESH);
    assert_eq!(tickets(&request), [b"ticket-1"]);
    assert!(!has::<Lifetime>(&request));
    assert_eq!(t.client.wrap(peer(), b"x").unwrap().path, client_path());
    // The server's nonce may be bound to the address.
    let stale = challenge(&request, 438, "nonce-2");
    assert_eq!(t.offer_on(elsewhere(), &stale), Input::Handled);
    let request = t.sent_on(elsewhere());
    assert_eq!(tickets(&request), [b"ticket-1"]);
    assert_eq!(
        t.offer_on(elsewhere(), &refreshed(&request, b"ticket-2")),
        Input::Handled
    );
    assert_eq!(t.events(), [ClientEvent::Moved(elsewhere())]);
    assert_eq!(t.client.path(), elsewhere());
    assert_eq!(t.client.relayed(), Some(relayed()));
    assert!(t.client.has_channel(peer()));
    assert_eq!(t.client.wrap(peer(), b"x").unwrap().path, elsewhere());
    // The server uses the old way until it has heard data on the new one.
    let data = channel_data(0x4000, b"data");
    for path in [client_path(), elsewhere()] {
        let got = routed(feed(&mut t.client, t.now, path, &data));
        assert!(got.is_some_and(|(_, bytes)| bytes == b"data"));
    }
    let third = FiveTuple::udp(addr("203.0.113.8:50000"), listener());
    t.client.migrate(t.now, third).unwrap();
    assert_eq!(tickets(&t.sent_on(third)), [b"ticket-2"]);
}

#[test]
fn what_was_under_way_is_asked_again_on_the_new_path() {
    let mut t = mobile();
    t.client
        .create_permission(t.now, other_peer().ip())
        .unwrap();
    t.sent();
    t.client.migrate(t.now, elsewhere()).unwrap();
    let request = t.sent_on(elsewhere());
    let answer = refreshed(&request, b"ticket-2");
    assert_eq!(t.offer_on(elsewhere(), &answer), Input::Handled);
    let again = t.sent_on(elsewhere());
    assert_eq!(method(&again), Method::CREATE_PERMISSION);
    assert_eq!(t.offer_on(elsewhere(), &granted(&again)), Input::Handled);
    assert!(t.client.has_permission(other_peer().ip()));
}

/// RFC 8016 §3.2.2: a move that fails leaves the allocation where it is, unless there is none.
#[test]
fn a_failed_move_changes_nothing() {
    for (number, lost) in [(405, false), (400, false), (437, true)] {
        let mut t = mobile();
        t.client.migrate(t.now, elsewhere()).unwrap();
        let request = t.sent_on(elsewhere());
        assert_eq!(
            t.offer_on(elsewhere(), &refused(&request, number)),
            Input::Handled
        );
        let events = t.events();
        assert!(matches!(events[0], ClientEvent::MoveFailed(_)));
        assert_eq!(t.client.is_allocated(), !lost, "{number}");
        if lost {
            assert_eq!(events[1], ClientEvent::Lost(AllocateError::Mismatch));
            assert_eq!(t.client.retry(), Some(Retry::FreshPath(t.now)));
        } else {
            assert_eq!(t.client.wrap(peer(), b"x").unwrap().path, client_path());
        }
    }
}

/// RFC 8016 §3.1.4: the ticket is not asked for again, but the relay is.
#[test]
fn a_server_that_forbids_mobility_is_asked_without() {
    let mut config = client_config();
    config.mobility = true;
    let mut t = Clients::with(config);
    let request = t.asked();
    t.give(&refused(&request, 405));
    let again = t.sent();
    assert_eq!(method(&again), Method::ALLOCATE);
    assert!(tickets(&again).is_empty());
    t.give(&allocated(&again));
    assert_eq!(
        t.client.migrate(t.now, elsewhere()),
        Err(CommandError::NoTicket)
    );
    assert!(t.all_sent().is_empty());
}

/// Without a ticket a host that has moved takes a new allocation.
#[test]
fn without_a_ticket_a_new_allocation_takes_the_place_of_the_old_one() {
    let mut t = Clients::allocated();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let request = t.sent();
    t.give(&granted(&request));
    t.events();
    t.client.allocate_from(t.now, elsewhere()).unwrap();
    assert!(!t.client.is_allocated());
    let farewell = t.sent();
    assert_eq!(parse(&farewell).get().unwrap(), Some(Lifetime(0)));
    let request = t.sent_on(elsewhere());
    // The nonce of before may still be good.
    assert_eq!(method(&request), Method::ALLOCATE);
    assert_eq!(
        t.offer_on(elsewhere(), &allocated(&request)),
        Input::Handled
    );
    let again = t.sent_on(elsewhere());
    assert_eq!(peers_of(&again)[0].ip(), peer().ip());
}

//! TCP allocations (RFC 6062), the client's side.

mod support;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{
    AllocateError, ClientConfig, ClientEvent, CommandError, PeerTransport, RelayPort, SendError,
    client,
};
use support::*;

fn control() -> FiveTuple {
    FiveTuple {
        transport: Transport::Tcp,
        ..client_path()
    }
}

fn data_path(port: u16) -> FiveTuple {
    let mut path = control();
    path.local.set_port(port);
    path
}

fn tcp_config() -> ClientConfig {
    let mut config = client_config();
    config.path = control();
    config.peers = PeerTransport::Tcp;
    config
}

fn tcp() -> Clients {
    let mut t = Clients::with(tcp_config());
    t.client.allocate(t.now).unwrap();
    let first = t.sent_on(control());
    assert_eq!(
        t.offer_on(control(), &challenge(&first, 401, "nonce-1")),
        Input::Handled
    );
    let second = t.sent_on(control());
    assert_eq!(
        values_of(&second, AttributeType::REQUESTED_TRANSPORT),
        [[6, 0, 0, 0]]
    );
    assert_eq!(t.offer_on(control(), &allocated(&second)), Input::Handled);
    t.event();
    t
}

fn with_id(request: &[u8], id: u32) -> Vec<u8> {
    success(request, |b| b.with(&ConnectionId(id)))
}

fn attempt(id: u32, peer: std::net::SocketAddr) -> Vec<u8> {
    indication(Method::CONNECTION_ATTEMPT, |b| {
        b.with(&XorPeerAddress(peer)).with(&ConnectionId(id))
    })
}

/// A connection that waits at the server.
fn waiting(id: u32) -> Clients {
    let mut t = tcp();
    t.client.connect(t.now, peer()).unwrap();
    let request = t.sent_on(control());
    assert_eq!(
        t.offer_on(control(), &with_id(&request, id)),
        Input::Handled
    );
    assert_eq!(
        t.events(),
        [ClientEvent::ConnectionWanted {
            id: ConnectionId(id),
            peer: peer(),
            incoming: false,
        }]
    );
    t
}

/// req: TURNTCP-4.1-1, TURNTCP-4.1-2, TURNTCP-4.1-3, TURNTCP-4.1-4
#[test]
fn a_tcp_allocation_is_asked_for_over_a_stream_and_without_what_is_udp() {
    let mut config = tcp_config();
    config.lifetime = Some(secs(1200));
    let mut t = Clients::with(config);
    t.client.allocate(t.now).unwrap();
    let request = t.sent_on(control());
    assert_eq!(
        parse(&request).get().unwrap(),
        Some(RequestedTransport::TCP)
    );
    assert_eq!(parse(&request).get().unwrap(), Some(Lifetime(1200)));

    let wrong: [fn(&mut ClientConfig); 6] = [
        |c| c.path.transport = Transport::Udp,
        |c| c.path.transport = Transport::Dtls,
        |c| c.dont_fragment = true,
        |c| c.port = RelayPort::Even,
        |c| c.port = RelayPort::EvenAndNext,
        |c| c.port = RelayPort::Reserved(ReservationToken([0; 8])),
    ];
    for change in wrong {
        let mut config = tcp_config();
        change(&mut config);
        let mut t = Clients::with(config);
        assert_eq!(t.client.allocate(t.now), Err(CommandError::Combination));
    }
}

/// req: TURNTCP-4.3-1, TURNTCP-4.3-2, TURNTCP-4.3-3, TURNTCP-4.3-4, TURNTCP-6.2.1-1
#[test]
fn a_connection_is_asked_for_and_then_bound_to_one_of_its_own() {
    let mut t = tcp();
    t.client.connect(t.now, peer()).unwrap();
    let request = t.sent_on(control());
    assert_eq!(method(&request), Method::CONNECT);
    assert_eq!(peers_of(&request), [peer()]);
    assert_eq!(
        t.offer_on(control(), &with_id(&request, 77)),
        Input::Handled
    );
    let id = ConnectionId(77);
    assert!(matches!(
        t.event(),
        Some(ClientEvent::ConnectionWanted {
            incoming: false,
            ..
        })
    ));

    let path = data_path(41000);
    for wrong in [
        control(),
        FiveTuple {
            remote: addr("192.0.2.2:3478"),
            ..path
        },
        FiveTuple {
            transport: Transport::Tls,
            ..path
        },
    ] {
        assert_eq!(
            t.client.bind_connection(t.now, id, wrong),
            Err(CommandError::Path)
        );
    }
    t.client.bind_connection(t.now, id, path).unwrap();
    let bind = t.sent_on(path);
    assert_eq!(method(&bind), Method::CONNECTION_BIND);
    assert_eq!(
        values_of(&bind, AttributeType::CONNECTION_ID),
        [[0, 0, 0, 77]]
    );
    assert_eq!(parse(&bind).get().unwrap(), Some(Username(USER)));
    assert!(parse(&bind).verify(&key(), Algorithm::Sha1));
    // A nonce may be bound to the address.
    assert_eq!(
        t.offer_on(path, &challenge(&bind, 438, "nonce-2")),
        Input::Handled
    );
    let bind = t.sent_on(path);
    assert_eq!(t.offer_on(path, &granted(&bind)), Input::Handled);
    assert_eq!(
        t.events(),
        [ClientEvent::ConnectionBound {
            id,
            peer: peer(),
            path
        }]
    );
}

/// req: TURNTCP-5.4-4
#[test]
fn the_bytes_of_a_bound_connection_are_not_for_the_client_whatever_they_look_like() {
    let mut t = waiting(9);
    let path = data_path(41000);
    t.client
        .bind_connection(t.now, ConnectionId(9), path)
        .unwrap();
    let bind = t.sent_on(path);
    let answer = granted(&bind);
    assert_eq!(t.offer_on(path, &answer), Input::Handled);
    for bytes in [answer, attempt(5, peer()), channel_data(0x4000, b"x")] {
        let dropped = Input::Dropped(DropReason::UnknownLocal);
        assert_eq!(t.offer_on(path, &bytes), dropped);
    }
}

/// req: TURNTCP-4.3-7, TURNTCP-4.3-8
#[test]
fn connections_to_different_peers_are_asked_for_at_once_but_one_a_peer() {
    let mut t = tcp();
    t.client.connect(t.now, peer()).unwrap();
    t.client.connect(t.now, other_peer()).unwrap();
    assert_eq!(
        t.client.connect(t.now, peer()),
        Err(CommandError::Connected)
    );
    assert_eq!(t.all_sent().len(), 2);
    let mut t = waiting(1);
    assert_eq!(
        t.client.connect(t.now, peer()),
        Err(CommandError::Connected)
    );
    t.client.close_connection(ConnectionId(1));
    t.client.connect(t.now, peer()).unwrap();
}

/// req: TURNTCP-4.3-5, TURNTCP-4.3-6
#[test]
fn a_peer_that_cannot_be_reached_is_left_alone_for_ten_seconds() {
    let mut t = tcp();
    t.client.connect(t.now, peer()).unwrap();
    let request = t.sent_on(control());
    assert_eq!(
        t.offer_on(control(), &refused(&request, 447)),
        Input::Handled
    );
    let error = AllocateError::Rejected(StatusCode::CONNECTION_TIMEOUT);
    assert_eq!(t.events(), [ClientEvent::ConnectionFailed(peer(), error)]);
    t.run_until(t.now + millis(9_999));
    assert_eq!(t.client.connect(t.now, peer()), Err(CommandError::BackOff));
    t.run_until(t.now + millis(1));
    t.client.connect(t.now, peer()).unwrap();
    // 446 and the like are not a matter of time.
    let request = t.sent_on(control());
    let _ = t.offer_on(control(), &refused(&request, 446));
    t.client.connect(t.now, peer()).unwrap();
}

/// req: TURNTCP-4.4-1
#[test]
fn a_connection_of_a_permitted_peer_is_offered_and_accepted() {
    let mut t = tcp();
    assert_eq!(
        t.offer_on(control(), &attempt(5, peer())),
        Input::Dropped(DropReason::NoPermission)
    );
    t.client.create_permission(t.now, peer().ip()).unwrap();
    let request = t.sent_on(control());
    assert_eq!(t.offer_on(control(), &granted(&request)), Input::Handled);
    t.events();
    assert_eq!(t.offer_on(control(), &attempt(5, peer())), Input::Handled);
    let id = ConnectionId(5);
    assert_eq!(
        t.events(),
        [ClientEvent::ConnectionWanted {
            id,
            peer: peer(),
            incoming: true,
        }]
    );
    t.client
        .bind_connection(t.now, id, data_path(41000))
        .unwrap();
    let bind = t.sent_on(data_path(41000));
    assert_eq!(parse(&bind).get().unwrap(), Some(id));
    let no_id = indication(Method::CONNECTION_ATTEMPT, |b| {
        b.with(&XorPeerAddress(peer()))
    });
    assert_eq!(
        t.offer_on(control(), &no_id),
        Input::Dropped(DropReason::Malformed)
    );
}

#[test]
fn what_waits_at_the_server_is_forgotten_after_half_a_minute() {
    let mut t = waiting(9);
    t.run_until(t.now + millis(29_999));
    assert_eq!(t.event(), None);
    t.run_until(t.now + millis(1));
    assert_eq!(
        t.events(),
        [ClientEvent::ConnectionFailed(
            peer(),
            AllocateError::Timeout
        )]
    );
    assert_eq!(
        t.client
            .bind_connection(t.now, ConnectionId(9), data_path(41000)),
        Err(CommandError::NoConnection)
    );
}

#[test]
fn a_connection_that_breaks_before_it_is_bound_fails_alone() {
    let mut t = waiting(9);
    let path = data_path(41000);
    t.client
        .bind_connection(t.now, ConnectionId(9), path)
        .unwrap();
    t.sent_on(path);
    t.client.path_failed(t.now, path);
    t.client.handle_timeout(t.now);
    assert_eq!(
        t.events(),
        [ClientEvent::ConnectionFailed(
            peer(),
            AllocateError::Disconnected
        )]
    );
    assert!(t.client.is_allocated());
}

#[test]
fn connections_are_bounded() {
    let mut t = tcp();
    for port in 1..=client::MAX_CONNECTIONS as u16 {
        let peer = std::net::SocketAddr::new(peer().ip(), port);
        t.client.connect(t.now, peer).unwrap();
    }
    assert_eq!(t.client.connect(t.now, peer()), Err(CommandError::Capacity));
    t.client.create_permission(t.now, peer().ip()).unwrap();
    assert_eq!(
        t.offer_on(control(), &attempt(5, peer())),
        Input::Dropped(DropReason::Capacity)
    );
}

/// req: TURNTCP-4.2-1, TURNTCP-4.6-1
#[test]
fn the_allocation_is_refreshed_on_the_control_connection_while_data_flows_on_others() {
    let mut t = waiting(9);
    let path = data_path(41000);
    t.client
        .bind_connection(t.now, ConnectionId(9), path)
        .unwrap();
    let bind = t.sent_on(path);
    assert_eq!(t.offer_on(path, &granted(&bind)), Input::Handled);
    t.now += secs(540);
    t.client.handle_timeout(t.now);
    assert_eq!(method(&t.sent_on(control())), Method::REFRESH);
}

#[test]
fn there_are_no_datagrams_and_no_channels_over_tcp_and_no_connections_over_udp() {
    let mut t = tcp();
    t.client.create_permission(t.now, peer().ip()).unwrap();
    assert_eq!(
        t.client.bind_channel(t.now, peer()),
        Err(CommandError::PeerTransport)
    );
    assert_eq!(t.client.wrap(peer(), b"x"), Err(SendError::NotAllocated));
    let mut t = Clients::allocated();
    assert_eq!(
        t.client.connect(t.now, peer()),
        Err(CommandError::PeerTransport)
    );
    t.client.create_permission(t.now, peer().ip()).unwrap();
    assert_eq!(
        t.offer(&attempt(5, peer())),
        Input::Dropped(DropReason::NoAllocation)
    );
}

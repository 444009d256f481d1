//! A connection whose TURN server is reached over TCP.

mod common;

use std::net::SocketAddr;

use common::{HERE, NOW, Offer, data, identity, looks};
use floe_peer::{
    CommandError, Config, Connection, Credentials, Event, GatheringError, Policy, StreamId,
    TurnServer,
};
use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transport};

const SERVER: &str = "192.0.2.99:3478";
/// Where the stream leaves from.
const STREAM: &str = "192.0.2.1:5000";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn path() -> FiveTuple {
    FiveTuple {
        transport: Transport::Tcp,
        local: addr(STREAM),
        remote: addr(SERVER),
    }
}

/// It has made an offer, and wants a stream.
fn connection() -> (Connection, StreamId) {
    let mut config = Config::new(identity(1), vec![data()]);
    config.addresses = vec![addr(HERE)];
    config.policy = Policy::Relay;
    let server = TurnServer::new(addr(SERVER), Credentials::new("alice", "secret"));
    config.turn_servers = vec![server.over_tcp()];
    let mut connection = Connection::new(config, [1; 32], NOW).unwrap();
    let offer = connection.create_offer(NOW).unwrap();
    connection
        .set_local_description(NOW, Offer, &offer)
        .unwrap();
    let Some(Event::StreamWanted {
        id,
        transport: Transport::Tcp,
        local,
        remote,
        ..
    }) = connection.poll_event()
    else {
        panic!("a stream is wanted");
    };
    assert_eq!((local, remote), (addr(HERE).ip(), addr(SERVER)));
    (connection, id)
}

/// What the two say to each other on the stream, until both are silent.
fn talk(connection: &mut Connection, server: &mut floe_turn::Server, now: Instant) {
    while let Some(transmit) = connection.poll_transmit() {
        assert_eq!(transmit.path, path());
        let mut bytes = transmit.payload.to_vec();
        let frame = Datagram::whole(path().mirrored(), &mut bytes);
        assert_eq!(server.handle_input(now, frame), Input::Handled);
        while let Some(transmit) = server.poll_transmit() {
            let mut bytes = transmit.payload.to_vec();
            let frame = Datagram::whole(path(), &mut bytes);
            assert_eq!(connection.handle_input(now, frame), Input::Handled);
        }
    }
}

fn server() -> floe_turn::Server {
    let config =
        floe_turn::ServerConfig::new(vec![addr(SERVER)], vec![addr(SERVER).ip()], "example.org");
    floe_turn::Server::new(config.with_user("alice", "secret"), [9; 32], NOW)
}

#[test]
fn a_relay_over_tcp_is_signalled_as_any_other_and_ends_with_the_connection() {
    let (mut connection, id) = connection();
    let mut server = server();
    connection.stream_opened(NOW, id, addr(STREAM)).unwrap();
    let mut now = NOW;
    for _ in 0..3 {
        talk(&mut connection, &mut server, now);
        now += std::time::Duration::from_millis(10);
        connection.handle_timeout(now);
    }
    let Some(Event::Candidate(candidate)) = connection.poll_event() else {
        panic!("a candidate");
    };
    assert!(candidate.candidate.contains("udp"), "{candidate:?}");
    assert!(candidate.candidate.contains("typ relay"), "{candidate:?}");
    while connection.poll_event().is_some() {}
    connection.close(now);
    talk(&mut connection, &mut server, now);
    assert_eq!(connection.poll_event(), Some(Event::StreamUnwanted(id)));
    assert_eq!(connection.poll_event(), None);
    assert_eq!(server.allocations(), 0);
}

#[test]
fn a_stream_that_fails_is_told() {
    let (mut connection, id) = connection();
    connection.stream_failed(NOW, id);
    let failed = Event::GatheringFailed {
        base: addr(HERE),
        server: addr(SERVER),
        transport: Transport::Tcp,
        cause: GatheringError::Stream,
    };
    assert_eq!(connection.poll_event(), Some(failed));
    let end = connection.poll_event();
    assert!(matches!(end, Some(Event::Candidate(end)) if end.candidate.is_empty()));
    assert_eq!(connection.poll_event(), Some(Event::GatheringComplete));
}

#[test]
fn a_refused_stream_command_changes_nothing() {
    let (mut connection, id) = connection();
    let before = looks(&connection);
    let elsewhere = connection.stream_opened(NOW, id, addr("192.0.2.7:5000"));
    assert_eq!(elsewhere, Err(CommandError::StreamPath));
    assert_eq!(looks(&connection), before);
    connection.stream_opened(NOW, id, addr(STREAM)).unwrap();
    let before = looks(&connection);
    let again = connection.stream_opened(NOW, id, addr(STREAM));
    assert_eq!(again, Err(CommandError::UnknownStream));
    assert_eq!(looks(&connection), before);
}

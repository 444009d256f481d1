//! The Binding usage (RFC 8489 §12), its client and its server.

use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Transmit, Transport};
use floe_stun::{
    Attribute, AttributeType, BindingError, Builder, Class, Client, ClientConfig, ClientEvent,
    ErrorCode, MAX_PENDING, MappedAddress, Message, MessageType, Method, Priority, Retransmission,
    Server, StatusCode, TransactionId, UnknownAttributes, UnknownRequired, XorMappedAddress,
};

const NOW: Instant = Instant::from_secs(1000);
const ID: TransactionId = TransactionId([5; 12]);
const SUCCESS: MessageType = MessageType::new(Class::Success, Method::BINDING);
const ERROR: MessageType = MessageType::new(Class::Error, Method::BINDING);

fn over(transport: Transport) -> FiveTuple {
    FiveTuple {
        transport,
        local: "192.0.2.1:5000".parse().unwrap(),
        remote: "198.51.100.1:3478".parse().unwrap(),
    }
}

/// From the client's side.
fn path() -> FiveTuple {
    over(Transport::Udp)
}

fn ms(millis: u64) -> Instant {
    NOW + Duration::from_millis(millis)
}

fn bytes(
    kind: MessageType,
    id: TransactionId,
    fill: impl FnOnce(Builder<'_>) -> Builder<'_>,
) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let len = fill(Builder::new(&mut buffer, kind, id)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

fn request(fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    bytes(MessageType::new(Class::Request, Method::BINDING), ID, fill)
}

fn sealed(builder: Builder<'_>) -> Builder<'_> {
    builder.with_fingerprint()
}

fn plain() -> Vec<u8> {
    request(|builder| builder)
}

/// What a server answers to a datagram that arrives on `path`, and what it says of it.
fn ask(path: FiveTuple, datagram: &[u8]) -> (Input, Option<Transmit>) {
    let mut server = Server::new([0; 32], NOW);
    let mut datagram = datagram.to_vec();
    let input = server.handle_input(NOW, Datagram::whole(path, &mut datagram));
    let answer = server.poll_transmit();
    assert!(server.poll_transmit().is_none() && server.poll_event().is_none());
    (input, answer)
}

fn answer(datagram: &[u8]) -> Vec<u8> {
    let (input, answer) = ask(path().mirrored(), datagram);
    assert_eq!(input, Input::Handled);
    answer.unwrap().payload.to_vec()
}

fn silence(datagram: &[u8]) -> Input {
    let (input, answer) = ask(path().mirrored(), datagram);
    assert!(answer.is_none(), "{input:?}");
    input
}

fn give(client: &mut Client, now: Instant, path: FiveTuple, datagram: &[u8]) -> Input {
    let mut datagram = datagram.to_vec();
    client.handle_input(now, Datagram::whole(path, &mut datagram))
}

/// A client that has asked, and the id of its request.
fn asked(config: ClientConfig) -> (Client, TransactionId) {
    let mut client = Client::new(config, [7; 32], NOW);
    client.bind(NOW);
    let sent = client.poll_transmit().unwrap();
    let id = Message::parse(&sent.payload).unwrap().transaction_id();
    (client, id)
}

/// What a client makes of the one response it gets.
fn outcome(kind: MessageType, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> ClientEvent {
    outcome_of(ClientConfig::new(path()), kind, fill)
}

fn outcome_of(
    config: ClientConfig,
    kind: MessageType,
    fill: impl FnOnce(Builder<'_>) -> Builder<'_>,
) -> ClientEvent {
    let (mut client, id) = asked(config);
    let response = bytes(kind, id, fill);
    assert_eq!(give(&mut client, ms(30), path(), &response), Input::Handled);
    assert!(client.poll_timeout().is_none(), "retransmission has ended");
    client.handle_timeout(ms(60_000));
    assert!(client.poll_transmit().is_none());
    let event = client.poll_event().unwrap();
    assert!(client.poll_event().is_none());
    event
}

/// req: STUN-12-1, STUN-6.1-4, STUN-6.3.1.1-6, STUN-6.3.1.1-7, STUN-5-7, STUN-14.1-3
#[test]
fn a_bare_request_is_answered_with_the_address_it_came_from() {
    for remote in ["192.0.2.1:5000", "[2001:db8::7]:6000"] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let remote: SocketAddr = remote.parse().unwrap();
            let path = FiveTuple {
                remote,
                ..over(transport).mirrored()
            };
            let plain = plain();
            assert_eq!(plain.len(), 20);
            let (input, answer) = ask(path, &plain);
            assert_eq!(input, Input::Handled);
            let answer = answer.unwrap();
            let message = Message::parse(&answer.payload).unwrap();
            assert_eq!(message.message_type(), SUCCESS);
            assert_eq!(message.transaction_id(), ID);
            assert_eq!(message.get().unwrap(), Some(XorMappedAddress(remote)));
            assert_eq!(message.attributes().count(), 1);
        }
    }
}

/// req: STUN-6.3.1.2-1, STUN-6.2.2-11, STUN-12-3
#[test]
fn the_response_goes_back_on_the_path_of_the_request() {
    for transport in [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Dtls,
    ] {
        let path = over(transport).mirrored();
        assert_eq!(ask(path, &plain()).1.unwrap().path, path);
    }
}

/// req: STUN-12-4, STUN-12-5
#[test]
fn fingerprint_is_answered_in_kind() {
    assert!(!Message::parse(&answer(&plain())).unwrap().has_fingerprint());
    let with = answer(&request(sealed));
    assert!(Message::parse(&with).unwrap().verify_fingerprint());
}

/// req: STUN-6.3.1-2, STUN-6.3.1-4
#[test]
fn a_retransmitted_request_is_answered_the_same() {
    let mut server = Server::new([0; 32], NOW);
    let mut answers = Vec::new();
    for at in [0, 500, 60_000] {
        let mut datagram = plain();
        let _ = server.handle_input(ms(at), Datagram::whole(path().mirrored(), &mut datagram));
        answers.push(server.poll_transmit().unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

/// req: STUN-6.3.1-6
#[test]
fn a_flood_leaves_nothing_in_the_server() {
    let mut server = Server::new([0; 32], NOW);
    let before = format!("{server:?}");
    for port in 1..=u16::MAX {
        let remote = SocketAddr::new([203, 0, 113, 1].into(), port);
        let path = FiveTuple {
            remote,
            ..path().mirrored()
        };
        let _ = server.handle_input(NOW, Datagram::whole(path, &mut plain()));
        assert!(server.poll_transmit().is_some());
    }
    assert_eq!(format!("{server:?}"), before);
    // Nor does a driver that never polls make it grow.
    let inputs = (0..=MAX_PENDING)
        .map(|_| server.handle_input(NOW, Datagram::whole(path().mirrored(), &mut plain())));
    assert_eq!(inputs.last(), Some(Input::Dropped(DropReason::Capacity)));
    assert_eq!(
        std::iter::from_fn(|| server.poll_transmit()).count(),
        MAX_PENDING
    );
}

/// req: STUN-6.3.1-1, STUN-6.3.1.1-1, STUN-6.3.1.1-3, STUN-14.8-10, STUN-5-7
#[test]
fn unknown_attributes_that_must_be_understood_are_refused_by_name() {
    let unknown = [0x7F01, 0x0003, 0x7F02].map(AttributeType);
    let answer = answer(&request(|builder| {
        let builder = builder.with_raw(unknown[0], b"abc").with(&Priority(1));
        let builder = builder
            .with_raw(unknown[1], b"")
            .with_raw(AttributeType(0xFFFE), b"");
        builder.with_raw(unknown[2], b"")
    }));
    let message = Message::parse(&answer).unwrap();
    assert_eq!(
        (message.message_type(), message.transaction_id()),
        (ERROR, ID)
    );
    let error = ErrorCode::of(StatusCode::UNKNOWN_ATTRIBUTE);
    assert_eq!(message.get().unwrap(), Some(error));
    let list: UnknownAttributes<'_> = message.get().unwrap().unwrap();
    assert_eq!(list.iter().collect::<Vec<_>>(), unknown);
}

/// However many it holds, and with the longest list.
#[test]
fn a_refusal_is_never_longer_than_128_bytes() {
    let request = |count: u16| {
        request(|mut builder| {
            for kind in 0..count {
                builder = builder.with_raw(AttributeType(0x7000 + kind), b"");
            }
            builder.with_fingerprint()
        })
    };
    for count in 1..100 {
        let answer = answer(&request(count));
        let message = Message::parse(&answer).unwrap();
        let list: UnknownAttributes<'_> = message.get().unwrap().unwrap();
        assert_eq!(
            list.iter().count(),
            usize::from(count).min(UnknownRequired::MAX)
        );
        assert!(answer.len() <= 128 && message.verify_fingerprint());
    }
}

/// req: STUN-6.3-4, STUN-6.3-5
#[test]
fn optional_and_merely_unexpected_attributes_are_ignored() {
    let answer = answer(&request(|builder| {
        let builder = builder
            .with(&Priority(1))
            .with_raw(AttributeType(0x8000), b"");
        builder.with_raw(AttributeType(0xFFFE), b"whatever")
    }));
    assert_eq!(Message::parse(&answer).unwrap().message_type(), SUCCESS);
}

/// req: STUN-6.3-1, STUN-5-1, STUN-5-4, STUN-5-9, STUN-5-10
#[test]
fn what_fails_a_basic_check_is_dropped_in_silence() {
    let changed = |at: usize, byte| {
        let mut bytes = plain();
        bytes[at] = byte;
        bytes
    };
    let dropped = |datagram: &[u8], reason| assert_eq!(silence(datagram), Input::Dropped(reason));
    dropped(&[], DropReason::NotStun);
    dropped(&changed(0, 0x40), DropReason::NotStun);
    dropped(&changed(0, 0x80), DropReason::NotStun);
    dropped(&changed(5, 0), DropReason::NotStun);
    dropped(&changed(3, 4), DropReason::Malformed);
    dropped(&changed(1, 3), DropReason::Unsupported);
    dropped(
        &bytes(SUCCESS, ID, |builder| builder),
        DropReason::NoTransaction,
    );
    dropped(
        &bytes(ERROR, ID, |builder| builder),
        DropReason::NoTransaction,
    );
    let mut broken = request(sealed);
    broken[27] ^= 1;
    dropped(&broken, DropReason::Unauthenticated);
    // Nobody can be answered at port 0.
    let nobody = FiveTuple {
        remote: "192.0.2.1:0".parse().unwrap(),
        ..path().mirrored()
    };
    let (input, answer) = ask(nobody, &plain());
    assert_eq!(
        (input, answer),
        (Input::Dropped(DropReason::Forbidden), None)
    );
}

/// req: STUN-6.3.2-1, STUN-6.3.2-2, STUN-6.3.2-3
#[test]
fn an_indication_is_received_and_never_answered() {
    let kind = MessageType::new(Class::Indication, Method::BINDING);
    assert_eq!(silence(&bytes(kind, ID, |builder| builder)), Input::Handled);
    assert_eq!(silence(&bytes(kind, ID, sealed)), Input::Handled);
    let unknown = bytes(kind, ID, |builder| {
        builder.with_raw(AttributeType(0x7F01), b"")
    });
    assert_eq!(silence(&unknown), Input::Dropped(DropReason::Unsupported));
}

/// req: STUN-6.1-1, STUN-5-5, STUN-5-6, STUN-6.2.1-11
#[test]
fn a_client_sends_one_request_on_schedule_and_a_new_id_each_time() {
    let (mut client, mut last) = asked(ClientConfig::new(path()));
    let mut ids = vec![last];
    let mut now = NOW;
    for _ in 0..20 {
        let mut sent = vec![];
        let started = now;
        while let Some(at) = client.poll_timeout() {
            now = at;
            client.handle_timeout(now);
            while let Some(transmit) = client.poll_transmit() {
                sent.push(((now - started).as_millis(), transmit));
            }
        }
        let times: Vec<_> = sent.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [500, 1500, 3500, 7500, 15500, 31500]);
        assert_eq!((now - started).as_millis(), 39500);
        for (_, transmit) in &sent {
            assert_eq!(*transmit, sent[0].1, "bit for bit, on the same path");
            let message = Message::parse(&transmit.payload).unwrap();
            assert_eq!(
                message.message_type(),
                MessageType::new(Class::Request, Method::BINDING)
            );
            assert_eq!(message.transaction_id(), last);
        }
        assert_eq!(
            client.poll_event(),
            Some(ClientEvent::Failed(BindingError::Timeout))
        );

        client.bind(now);
        let transmit = client.poll_transmit().unwrap();
        last = Message::parse(&transmit.payload).unwrap().transaction_id();
        assert!(!ids.contains(&last));
        ids.push(last);
    }
    // No bit stands still, no byte counts.
    for bit in 0..96 {
        let values = ids.iter().map(|id| id.0[bit / 8] >> (bit % 8) & 1);
        let ones: usize = values.map(usize::from).sum();
        assert!((1..ids.len()).contains(&ones), "bit {bit}");
    }
    for byte in 0..12 {
        let values: Vec<u8> = ids.iter().map(|id| id.0[byte]).collect();
        let step = values[1].wrapping_sub(values[0]);
        assert!(
            values
                .windows(2)
                .any(|pair| pair[1].wrapping_sub(pair[0]) != step)
        );
    }
    let (_, other) = asked(ClientConfig::new(path()));
    assert_eq!(other, ids[0], "the same seed, the same ids");
}

/// req: STUN-6.2.2-3, STUN-6.2.2-4
#[test]
fn over_tcp_a_client_asks_once() {
    let (mut client, _) = asked(ClientConfig::new(over(Transport::Tcp)));
    assert_eq!(client.poll_timeout(), Some(ms(39_500)));
    client.handle_timeout(ms(39_500));
    assert!(client.poll_transmit().is_none());
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Failed(BindingError::Timeout))
    );
}

/// req: STUN-6.2.1-12
#[test]
fn a_client_reports_the_mapped_address() {
    let (a, b): (SocketAddr, SocketAddr) = (
        "203.0.113.7:1234".parse().unwrap(),
        "203.0.113.8:1234".parse().unwrap(),
    );
    let mapped = |address| ClientEvent::Mapped {
        address,
        round_trip: Some(Duration::from_millis(30)),
    };
    assert_eq!(
        outcome(SUCCESS, |r| r.with(&XorMappedAddress(a))),
        mapped(a)
    );
    let both = outcome(SUCCESS, |r| {
        r.with(&MappedAddress(b)).with(&XorMappedAddress(a))
    });
    assert_eq!(both, mapped(a));
    // A server of RFC 3489.
    assert_eq!(outcome(SUCCESS, |r| r.with(&MappedAddress(b))), mapped(b));
}

/// req: STUN5389-12.1-2, STUN5389-12.1-3
#[test]
fn a_client_puts_up_with_a_server_of_rfc3489() {
    let address: SocketAddr = "203.0.113.7:1234".parse().unwrap();
    let event = outcome(SUCCESS, |mut response| {
        for reserved in [0x0002, 0x0004, 0x0005, 0x000B] {
            response = response.with_raw(AttributeType(reserved), &[0, 1, 2, 3, 4, 5, 6, 7]);
        }
        response.with(&MappedAddress(address))
    });
    assert!(matches!(event, ClientEvent::Mapped { address: seen, .. } if seen == address));
}

/// req: STUN-6.3.3-1, STUN-6.3.3-2, STUN-6.3.3-3, STUN-6.3.4-1
#[test]
fn a_response_that_cannot_be_used_fails_the_request() {
    let address = XorMappedAddress("203.0.113.7:1234".parse().unwrap());
    let unusable = ClientEvent::Failed(BindingError::Unusable);
    let unknown = AttributeType(0x7F01);
    assert_eq!(outcome(SUCCESS, |r| r), unusable);
    assert_eq!(
        outcome(SUCCESS, |r| r.with(&address).with_raw(unknown, b"")),
        unusable
    );
    let family_3 = [0, 3, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        outcome(SUCCESS, |r| r.with_raw(XorMappedAddress::TYPE, &family_3)),
        unusable
    );
    assert_eq!(outcome(ERROR, |r| r), unusable);
    let code = ErrorCode::of(StatusCode::SERVER_ERROR);
    assert_eq!(
        outcome(ERROR, |r| r.with(&code).with_raw(unknown, b"")),
        unusable
    );
    // An address in a refusal is none.
    assert_eq!(outcome(ERROR, |r| r.with(&address)), unusable);
}

/// No code makes the bare client ask again by itself, and none but 500 to 599 the one that repeats
/// requests and follows redirection.
///
/// req: STUN-6.3.4-2, STUN-6.3.4-3, STUN-6.3.4-5, STUN-6.3.4-6, STUN-6.3.4-7, STUN-14.8-8
#[test]
fn every_error_code_fails_the_request() {
    let bare = ClientConfig::new(path());
    let standalone = ClientConfig::standalone(path(), None);
    assert!(standalone.server_error_retries > 0 && standalone.redirects > 0);
    for number in 300..=699 {
        let code = StatusCode::new(number).unwrap();
        let mut configs = vec![&bare];
        if number / 100 != 5 {
            configs.push(&standalone);
        }
        for config in configs {
            let event = outcome_of(config.clone(), ERROR, |r| r.with(&ErrorCode::of(code)));
            assert_eq!(event, ClientEvent::Failed(BindingError::Rejected(code)));
        }
    }
}

/// req: STUN-6.3-1, STUN-5-4
#[test]
fn what_answers_nothing_leaves_the_client_as_it_was() {
    let (mut client, id) = asked(ClientConfig::new(path()));
    let address = XorMappedAddress("203.0.113.7:1234".parse().unwrap());
    let genuine = bytes(SUCCESS, id, |r| r.with(&address).with_fingerprint());
    let due = client.poll_timeout();
    let mut check = |path, datagram: &[u8], reason| {
        let input = give(&mut client, ms(99), path, datagram);
        assert_eq!(input, Input::Dropped(reason));
        assert_eq!(client.poll_timeout(), due);
        assert!(client.poll_event().is_none() && client.poll_transmit().is_none());
    };
    check(path(), b"hello", DropReason::NotStun);
    check(path(), &genuine[..genuine.len() - 4], DropReason::Malformed);
    check(path(), &plain(), DropReason::Unsupported);
    check(
        path(),
        &bytes(SUCCESS, ID, |r| r.with(&address)),
        DropReason::NoTransaction,
    );
    let allocate = MessageType::new(Class::Success, Method::ALLOCATE);
    check(
        path(),
        &bytes(allocate, id, |r| r.with(&address)),
        DropReason::NoTransaction,
    );
    let elsewhere = FiveTuple {
        remote: "198.51.100.2:3478".parse().unwrap(),
        ..path()
    };
    check(elsewhere, &genuine, DropReason::NoTransaction);
    let mut broken = genuine.clone();
    broken[30] ^= 1;
    check(path(), &broken, DropReason::Unauthenticated);

    assert_eq!(give(&mut client, ms(99), path(), &genuine), Input::Handled);
    assert!(matches!(
        client.poll_event(),
        Some(ClientEvent::Mapped { .. })
    ));
    // A duplicate.
    let input = give(&mut client, ms(100), path(), &genuine);
    assert_eq!(input, Input::Dropped(DropReason::NoTransaction));
    assert!(client.poll_event().is_none());
}

/// req: STUN-5-8
#[test]
fn crossing_requests_with_one_id_both_complete() {
    let (mut client, id) = asked(ClientConfig::new(path()));
    let mut server = Server::new([0; 32], NOW);
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let crossing = bytes(kind, id, |builder| builder);
    // One port, two machines: the client leaves the request to the server.
    let dropped = give(&mut client, ms(1), path(), &crossing);
    assert_eq!(dropped, Input::Dropped(DropReason::Unsupported));
    let _ = server.handle_input(ms(1), Datagram::whole(path(), &mut crossing.clone()));
    let answer = server.poll_transmit().unwrap();
    assert_eq!(
        Message::parse(&answer.payload).unwrap().transaction_id(),
        id
    );

    let address = XorMappedAddress("203.0.113.7:1234".parse().unwrap());
    let response = bytes(SUCCESS, id, |builder| builder.with(&address));
    assert_eq!(give(&mut client, ms(30), path(), &response), Input::Handled);
    assert!(matches!(
        client.poll_event(),
        Some(ClientEvent::Mapped { .. })
    ));
}

#[test]
fn keepalive_asks_again_and_stop_stops() {
    let keepalive = Some(Duration::from_secs(15));
    let (mut client, id) = asked(ClientConfig {
        keepalive,
        ..ClientConfig::new(path())
    });
    client.bind(ms(10));
    assert!(client.poll_transmit().is_none(), "one request at a time");
    let address = XorMappedAddress("203.0.113.7:1234".parse().unwrap());
    let response = bytes(SUCCESS, id, |builder| builder.with(&address));
    let _ = give(&mut client, ms(30), path(), &response);
    assert_eq!(client.poll_timeout(), Some(ms(15_030)));
    client.handle_timeout(ms(15_029));
    assert!(client.poll_transmit().is_none());
    // An hour late is one request, not 240.
    client.handle_timeout(ms(3_600_000));
    assert!(client.poll_transmit().is_some() && client.poll_transmit().is_none());
    assert_eq!(client.poll_timeout(), Some(ms(3_600_500)));
    client.stop();
    assert_eq!(client.poll_timeout(), None);
}

#[test]
fn a_client_without_patience_still_lets_time_pass() {
    let retransmission = Retransmission {
        rto: Duration::ZERO,
        count: 1,
        last: 0,
        reliable: Duration::ZERO,
    };
    let keepalive = Some(Duration::ZERO);
    for transport in [Transport::Udp, Transport::Tcp] {
        let config = ClientConfig {
            retransmission,
            keepalive,
            ..ClientConfig::new(over(transport))
        };
        let (mut client, _) = asked(config);
        for _ in 0..10 {
            let at = client.poll_timeout().unwrap();
            client.handle_timeout(at);
            assert!(client.poll_timeout().unwrap() > at);
        }
    }
}

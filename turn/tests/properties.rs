//! What holds whatever comes.

mod support;

use std::net::SocketAddr;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{ClientEvent, Server};
use proptest::prelude::*;
use support::*;

/// A server and a client that have spoken, with a permission and a channel.
fn talking() -> (Server, Asker, Clients, Instant) {
    let (mut server, now) = server();
    let mut asker = Asker::new();
    asker.allocate(&mut server, now);
    assert_eq!(asker.permit(&mut server, now, other_peer()), 0);
    assert_eq!(asker.bind(&mut server, now, 0x4000, peer()), 0);
    while server.poll_event().is_some() {}
    let mut t = Clients::allocated();
    t.client
        .create_permission(t.now, other_peer().ip())
        .unwrap();
    t.client.bind_channel(t.now, peer()).unwrap();
    for request in t.all_sent() {
        t.give(&granted(&request));
    }
    while t.event().is_some() {}
    (server, asker, t, now)
}

/// Honest messages to change.
fn corpus() -> Vec<Vec<u8>> {
    let (_, mut asker, mut t, _) = talking();
    let mut messages = vec![
        channel_data(0x4000, b"hello"),
        send_indication(peer(), b"hello"),
        indication(Method::DATA, |b| {
            b.with(&XorPeerAddress(peer())).with(&Data(b"hello"))
        }),
    ];
    for method in [
        Method::ALLOCATE,
        Method::REFRESH,
        Method::CREATE_PERMISSION,
        Method::CHANNEL_BIND,
    ] {
        let request = asker.message(method, &|b| {
            b.with(&RequestedTransport::UDP)
                .with(&Lifetime(0))
                .with(&ChannelNumber(0x4001))
                .with(&XorPeerAddress(peer()))
        });
        messages.push(challenge(&request, 438, "n"));
        messages.push(granted(&request));
        messages.push(request);
    }
    t.now += secs(540);
    t.client.handle_timeout(t.now);
    messages.extend(t.all_sent().iter().map(|request| refused(request, 437)));
    messages
}

fn changed() -> impl Strategy<Value = Vec<u8>> {
    let corpus = corpus();
    let change = (any::<prop::sample::Index>(), any::<u8>());
    (
        prop::sample::select(corpus),
        prop::collection::vec(change, 0..4),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut bytes, changes, cut)| {
            for (at, to) in changes {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            if cut.index(4) == 0 {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        })
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![changed(), prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    /// No panic, and what is dropped changes nothing.
    #[test]
    fn the_server_takes_any_bytes(bytes in hostile(), from_peer: bool, port in 1u16..) {
        let (mut server, asker, _, now) = talking();
        let before = (server.poll_timeout(), server.allocations(), server.held());
        let path = if from_peer {
            FiveTuple::udp(SocketAddr::new(listener().ip(), port), peer())
        } else {
            asker.path
        };
        match feed(&mut server, now, path, &bytes).0 {
            Input::Dropped(_) => {
                prop_assert_eq!(before, (server.poll_timeout(), server.allocations(), server.held()));
                prop_assert!(server.poll_transmit().is_none() && server.poll_event().is_none());
            }
            Input::Handled => {
                prop_assert!(server.poll_transmit().unwrap().payload.len() < 300);
                prop_assert!(server.poll_transmit().is_none());
            }
            Input::Forward(_) => prop_assert!(server.poll_transmit().is_none()),
            Input::Data(_) => prop_assert!(false, "a server has no data of its own"),
        }
    }

    #[test]
    fn the_client_takes_any_bytes(bytes in hostile()) {
        let (_, _, mut t, _) = talking();
        t.now += secs(540);
        t.client.handle_timeout(t.now);
        t.all_sent();
        let before = (t.client.poll_timeout(), t.client.expires());
        if let Input::Dropped(_) = t.offer(&bytes) {
            prop_assert_eq!(before, (t.client.poll_timeout(), t.client.expires()));
            prop_assert!(t.all_sent().is_empty() && t.event().is_none());
        }
    }

    /// What one side frames the other unwraps, byte for byte, and the framing shows nothing of the
    /// buffer it was written into.
    #[test]
    fn data_survives_the_relay_in_both_directions(
        data in prop::collection::vec(any::<u8>(), 0..1400),
        poison: u8,
        bound: bool,
    ) {
        let (mut server, asker, mut t, now) = talking();
        let to = if bound { peer() } else { other_peer() };
        let buffer_with = |poison: u8| {
            let mut buffer = vec![poison; HEADROOM + data.len() + TAILROOM];
            buffer[HEADROOM..HEADROOM + data.len()].copy_from_slice(&data);
            (buffer, HEADROOM..HEADROOM + data.len())
        };
        let mut twin = t.client.clone();
        let (mut buffer, range) = buffer_with(poison);
        let route = t.client.encapsulate(to, &mut buffer, range).unwrap();
        let message = &buffer[route.range()];
        let (mut clean, range) = buffer_with(0);
        let clean_route = twin.encapsulate(to, &mut clean, range).unwrap();
        prop_assert_eq!(message, &clean[clean_route.range()]);
        prop_assert_eq!(message[0] == 0x40, bound);
        let (path, relayed) = asker.push(&mut server, now, message).unwrap();
        prop_assert_eq!(path.remote, to);
        prop_assert_eq!(&relayed, &data);

        let (mut buffer, range) = buffer_with(poison);
        let input = server.handle_input(now, Datagram::new(path, &mut buffer, range));
        let Input::Forward(route) = input else {
            panic!("{input:?}");
        };
        let padding = if bound { 0 } else { data.len().next_multiple_of(4) - data.len() };
        let message = buffer[route.range()].to_vec();
        prop_assert_eq!(&message[message.len() - padding..], &vec![0; padding][..]);
        let (path, unwrapped) = routed(feed(&mut t.client, t.now, client_path(), &message)).unwrap();
        prop_assert_eq!(path, FiveTuple::udp(support::relayed(), to));
        prop_assert_eq!(unwrapped, data);
    }

    /// Attack 26: free and used ports are the range, after any sequence.
    #[test]
    fn no_port_is_ever_lost(steps in prop::collection::vec((0u8..6, 0u16..12, 0u64..700), 1..60)) {
        let mut config = server_config();
        config.ports = 50000..=50007;
        let (mut server, mut now) = server_with(config);
        let mut askers: Vec<_> = (0..12)
            .map(|i| Asker::at(SocketAddr::new(home().ip(), 1000 + i)))
            .collect();
        for (what, who, later) in steps {
            let asker = &mut askers[usize::from(who)];
            match what {
                0 | 1 => {
                    let even = what == 1;
                    asker.ask(&mut server, now, Method::ALLOCATE, |b| {
                        let b = b.with(&RequestedTransport::UDP);
                        if even { b.with(&EvenPort { reserve_next: false }) } else { b }
                    });
                }
                2 => {
                    asker.refresh(&mut server, now, 0);
                }
                3 => {
                    asker.refresh(&mut server, now, 600);
                }
                4 => now += secs(later),
                _ => server.handle_timeout(now),
            }
            prop_assert_eq!(server.free_ports() + server.allocations(), 8);
        }
        server.handle_timeout(now + secs(4000));
        prop_assert_eq!((server.free_ports(), server.allocations()), (8, 0));
    }
}

/// Client and server with nothing between them: a whole life.
#[test]
fn client_and_server_understand_each_other() {
    let now = Instant::from_secs(1);
    let mut server = Server::new(server_config(), [5; 32], now);
    let mut client = floe_turn::Client::new(client_config(), [3; 32], now);
    let mut exchange = |client: &mut floe_turn::Client, at: Instant| {
        let mut count = 0;
        while let Some(transmit) = client.poll_transmit() {
            count += 1;
            let path = transmit.path.mirrored();
            assert_eq!(
                feed(&mut server, at, path, &transmit.payload).0,
                Input::Handled
            );
            let answer = server.poll_transmit().unwrap();
            let path = answer.path.mirrored();
            assert_eq!(feed(client, at, path, &answer.payload).0, Input::Handled);
        }
        count
    };
    client.allocate(now).unwrap();
    assert_eq!(exchange(&mut client, now), 2);
    client.bind_channel(now, peer()).unwrap();
    client.create_permission(now, other_peer().ip()).unwrap();
    assert_eq!(exchange(&mut client, now), 2);
    let mut at = now;
    while at < now + secs(7200) {
        at = client.poll_timeout().unwrap();
        client.handle_timeout(at);
        exchange(&mut client, at);
    }
    assert!(client.is_allocated() && client.has_channel(peer()));
    assert!(client.has_permission(other_peer().ip()));
    client.release(at).unwrap();
    exchange(&mut client, at);
    let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    assert!(matches!(
        events[..],
        [
            ClientEvent::Allocated { .. },
            ClientEvent::PermissionCreated(_),
            ClientEvent::ChannelBound(_),
            ClientEvent::PermissionCreated(_),
            ClientEvent::Released,
        ]
    ));
}

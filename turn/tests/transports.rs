//! Client and server over each transport there may be between them (RFC 8656 §3.1). Of TLS and DTLS they
//! see what is inside; streams are cut wherever it hurts.

mod support;

use floe_sansio::*;
use floe_stun::resolve::{Answer, NextServer};
use floe_stun::*;
use floe_turn::{CHANNELS, Client, ClientConfig, Resolution, Server, Uri};
use support::*;

const ALL: [Transport; 4] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Dtls,
];

/// One direction: datagrams, or a stream that is cut into segments of a few bytes.
struct Wire(Option<Deframer>);

impl Wire {
    fn new(transport: Transport) -> Self {
        let framing = Framing::Turn { channels: CHANNELS };
        Self(transport.is_reliable().then(|| Deframer::new(framing)))
    }

    /// What the other side is handed.
    fn carry(&mut self, payload: &[u8]) -> Vec<Vec<u8>> {
        let Some(deframer) = &mut self.0 else {
            return vec![payload.to_vec()];
        };
        let mut frames = Vec::new();
        for mut segment in payload.to_vec().chunks_mut(7) {
            while let Some(frame) = deframer.next_frame(&mut segment).unwrap() {
                frames.push(frame.to_vec());
            }
        }
        frames
    }
}

struct Pair {
    now: Instant,
    path: FiveTuple,
    client: Client,
    server: Server,
    up: Wire,
    down: Wire,
}

impl Pair {
    fn new(transport: Transport) -> Self {
        let path = FiveTuple {
            transport,
            ..client_path()
        };
        let mut config = ClientConfig::new(path, Credentials::new(USER, PASSWORD));
        config.keepalive = None;
        let (server, now) = server();
        Self {
            now,
            path,
            client: Client::new(config, [3; 32], now),
            server,
            up: Wire::new(transport),
            down: Wire::new(transport),
        }
    }

    /// Until both have said all.
    fn exchange(&mut self) {
        while let Some(request) = self.client.poll_transmit() {
            assert_eq!(request.path, self.path);
            for frame in self.up.carry(&request.payload) {
                let path = self.path.mirrored();
                let (input, _) = feed(&mut self.server, self.now, path, &frame);
                assert_eq!(input, Input::Handled);
            }
            while let Some(answer) = self.server.poll_transmit() {
                assert_eq!(answer.path, self.path.mirrored());
                for frame in self.down.carry(&answer.payload) {
                    let (input, _) = feed(&mut self.client, self.now, self.path, &frame);
                    assert_eq!(input, Input::Handled);
                }
            }
        }
    }
}

/// req: TURN-3.1-1, TURN-5-20, TURN-12.5-3, TURN-12.6-7
#[test]
fn client_and_server_understand_each_other_over_every_transport() {
    for transport in ALL {
        let mut t = Pair::new(transport);
        t.client.allocate(t.now).unwrap();
        t.client.bind_channel(t.now, peer()).unwrap();
        t.client
            .create_permission(t.now, other_peer().ip())
            .unwrap();
        t.exchange();
        let relayed = t.client.relayed().unwrap();
        assert!(t.client.has_channel(peer()) && t.client.has_permission(other_peer().ip()));

        let is_stream = transport.is_reliable();
        for length in 0..9 {
            let data = vec![0xBB; length];
            let in_channel = {
                let mut bytes = channel_data(0x4000, &data);
                if is_stream {
                    bytes.resize(bytes.len().next_multiple_of(4), 0);
                }
                bytes
            };
            for to in [peer(), other_peer()] {
                // Out: to the peer it is always UDP.
                let message = t.client.wrap(to, &data).unwrap().payload;
                if to == peer() {
                    assert_eq!(message[..], in_channel[..], "{transport:?}");
                }
                let frames = t.up.carry(&message);
                let [frame] = &frames[..] else {
                    panic!("one frame: {frames:?}");
                };
                let path = t.path.mirrored();
                let out = routed(feed(&mut t.server, t.now, path, frame)).unwrap();
                assert_eq!(out, (FiveTuple::udp(relayed, to), data.clone()));
                // Back.
                let (path, message) = arrive(&mut t.server, t.now, to, relayed, &data).unwrap();
                assert_eq!(path, t.path.mirrored());
                if to == peer() {
                    assert_eq!(message, in_channel, "{transport:?}");
                }
                let frames = t.down.carry(&message);
                let [frame] = &frames[..] else {
                    panic!("one frame: {frames:?}");
                };
                let back = routed(feed(&mut t.client, t.now, t.path, frame)).unwrap();
                assert_eq!(back, (FiveTuple::udp(relayed, to), data.clone()));
            }
        }
    }
}

/// The transport is a part of the 5-tuple.
#[test]
fn two_transports_from_one_address_are_two_clients() {
    let (mut server, now) = server();
    let askers = ALL.map(|transport| {
        let mut asker = Asker::new();
        asker.path.transport = transport;
        asker
    });
    let mut relays = Vec::new();
    for mut asker in askers {
        relays.push(asker.allocate(&mut server, now));
        assert_eq!(asker.permit(&mut server, now, peer()), 0);
        let relayed = *relays.last().unwrap();
        let (path, _) = arrive(&mut server, now, peer(), relayed, b"x").unwrap();
        assert_eq!(path, asker.path);
    }
    relays.sort();
    relays.dedup();
    assert_eq!(relays.len(), ALL.len());
}

/// Where neither URI nor owner says otherwise, a server is tried over UDP before all else.
/// req: TURN-7.1-2
#[test]
fn udp_is_tried_first() {
    let uri: Uri = "turn:192.0.2.1".parse().unwrap();
    let config = ResolveConfig::default();
    let mut resolution = Resolution::new(&uri, config, [1; 32]).unwrap();
    while let Some((id, _)) = resolution.poll_query() {
        let _ = resolution.answer(id, Answer::Failed);
    }
    let mut order = Vec::new();
    while let NextServer::Try(server) = resolution.next_server() {
        order.push(server.transport);
    }
    assert_eq!(order.first(), Some(&Transport::Udp), "{order:?}");
    assert!(order.len() > 1, "{order:?}");
}

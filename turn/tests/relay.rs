//! The server's data path: from clients to peers and back.

mod support;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Server, ServerConfig, *};
use std::net::SocketAddr;
use support::*;

struct Relay {
    server: Server,
    now: Instant,
    asker: Asker,
    relayed: SocketAddr,
}

impl Relay {
    fn new() -> Self {
        Self::with(server_config())
    }

    fn with(config: ServerConfig) -> Self {
        let (mut server, now) = server_with(config);
        let mut asker = Asker::new();
        let relayed = asker.allocate(&mut server, now);
        Self {
            server,
            now,
            asker,
            relayed,
        }
    }

    fn permit(&mut self, peer: SocketAddr) {
        assert_eq!(self.asker.permit(&mut self.server, self.now, peer), 0);
    }

    fn bind(&mut self, number: u16, peer: SocketAddr) {
        assert_eq!(self.asker.bind(&mut self.server, self.now, number, peer), 0);
    }

    fn out(&mut self, bytes: &[u8]) -> Option<(FiveTuple, Vec<u8>)> {
        self.asker.push(&mut self.server, self.now, bytes)
    }

    fn drop_out(&mut self, bytes: &[u8]) -> DropReason {
        dropped(feed(&mut self.server, self.now, self.asker.path, bytes))
    }

    fn back(&mut self, from: SocketAddr, data: &[u8]) -> Option<(FiveTuple, Vec<u8>)> {
        arrive(&mut self.server, self.now, from, self.relayed, data)
    }

    fn drop_back(&mut self, from: SocketAddr, data: &[u8]) -> DropReason {
        let path = FiveTuple::udp(self.relayed, from);
        dropped(feed(&mut self.server, self.now, path, data))
    }

    fn to(&self, peer: SocketAddr) -> FiveTuple {
        FiveTuple::udp(self.relayed, peer)
    }
}

/// req: TURN-11.2-1, TURN-11.2-2, TURN-11.2-5
#[test]
fn a_send_indication_becomes_a_datagram_of_the_relayed_address() {
    let mut t = Relay::new();
    t.permit(peer());
    let expected = |data: &[u8]| Some((t.to(peer()), data.to_vec()));
    let (hello, empty) = (expected(b"hello"), expected(b""));
    assert_eq!(t.out(&send_indication(peer(), b"hello")), hello);
    assert_eq!(t.out(&send_indication(peer(), b"")), empty);
    let rows: [fn(Builder<'_>) -> Builder<'_>; 4] = [
        |b| b.with(&Data(b"hello")),
        |b| b.with(&XorPeerAddress(peer())),
        |b| {
            b.with(&XorPeerAddress(peer()))
                .with(&Data(b"hello"))
                .with(&DontFragment)
        },
        |b| {
            b.with(&XorPeerAddress(peer()))
                .with(&Data(b"hello"))
                .with_raw(AttributeType(0x7777), &[])
        },
    ];
    for build in rows {
        assert_eq!(
            t.drop_out(&indication(Method::SEND, build)),
            DropReason::Malformed
        );
    }
    assert_eq!(
        t.server.stats().to_peers,
        Traffic {
            packets: 2,
            bytes: 5
        }
    );
    assert_eq!(t.server.stats().dropped(DropReason::Malformed), 4);
}

/// req: TURN-5-10
#[test]
fn data_on_an_unknown_five_tuple_is_dropped_silently() {
    let mut t = Relay::new();
    t.bind(0x4000, peer());
    let path = FiveTuple::udp(listener(), addr("198.51.100.5:40001"));
    for bytes in [send_indication(peer(), b"x"), channel_data(0x4000, b"x")] {
        let reason = dropped(feed(&mut t.server, t.now, path, &bytes));
        assert_eq!(reason, DropReason::NoAllocation);
    }
    assert!(t.server.poll_transmit().is_none());
}

/// req: TURN-11.3-1, TURN-11.3-2, TURN-12.5-2, TURN-9-2
#[test]
fn a_peers_datagram_is_framed_in_place() {
    let mut t = Relay::new();
    t.permit(peer());
    let (path, bytes) = t.back(peer(), b"hello").unwrap();
    assert_eq!(path, t.asker.path);
    let message = parse(&bytes);
    assert_eq!(
        (message.class(), message.method()),
        (Class::Indication, Method::DATA)
    );
    assert_eq!(message.get().unwrap(), Some(XorPeerAddress(peer())));
    assert_eq!(message.get().unwrap(), Some(Data(b"hello")));
    assert_eq!(bytes[bytes.len() - 3..], [0; 3], "padding");
    let other_port = addr("9.9.9.9:1");
    assert!(t.back(other_port, b"x").is_some());

    t.bind(0x4abc, peer());
    let framed = channel_data(0x4abc, b"hello");
    assert_eq!(t.back(peer(), b"hello"), Some((t.asker.path, framed)));
    let (_, bytes) = t.back(other_port, b"x").unwrap();
    assert_eq!(parse(&bytes).method(), Method::DATA);
    assert_eq!(
        t.server.stats().to_clients,
        Traffic {
            packets: 4,
            bytes: 12
        }
    );
}

/// What lies behind the payload of the datagram, where the options of UDP would be, is no part of it.
/// req: TURN-18.4-1
#[test]
fn data_is_the_payload_of_the_datagram_and_nothing_else() {
    let mut t = Relay::new();
    t.permit(peer());
    for length in 0..40 {
        let mut buffer = [0xAA; HEADROOM + 100];
        let range = HEADROOM..HEADROOM + length;
        buffer[range.clone()].fill(0xBB);
        let datagram = Datagram::new(t.to(peer()), &mut buffer, range);
        let Input::Forward(route) = t.server.handle_input(t.now, datagram) else {
            panic!("it is permitted");
        };
        let message = &buffer[route.range()];
        assert_eq!(
            values_of(message, AttributeType::DATA),
            [vec![0xBB; length]]
        );
        assert!(!message.windows(2).any(|two| two == [0xAA, 0xAA]));
    }
}

#[test]
fn without_headroom_a_peers_datagram_is_dropped() {
    let mut t = Relay::new();
    t.permit(peer());
    let mut bytes = *b"hello";
    let datagram = Datagram::whole(t.to(peer()), &mut bytes);
    let input = t.server.handle_input(t.now, datagram);
    assert_eq!(input, Input::Dropped(DropReason::NoRoom));
    assert_eq!(bytes, *b"hello");
}

/// req: TURN-9-1, TURN-9-3, TURN-9-4, TURN-11.2-3
#[test]
fn a_permission_lives_300_seconds_whatever_flows() {
    let mut t = Relay::new();
    let data = send_indication(peer(), b"x");
    assert_eq!(t.drop_out(&data), DropReason::NoPermission);
    assert_eq!(t.drop_back(peer(), b"x"), DropReason::NoPermission);
    let start = t.now;
    t.permit(peer());
    for tick in 0..3000 {
        t.now = start + millis(tick * 100);
        assert!(t.out(&data).is_some() && t.back(peer(), b"x").is_some());
    }
    t.now = start + millis(300_100);
    assert_eq!(t.drop_out(&data), DropReason::NoPermission);
    assert_eq!(t.drop_back(peer(), b"x"), DropReason::NoPermission);
    t.bind(0x4000, peer());
    assert!(t.out(&data).is_some());
    assert_eq!(t.asker.refresh(&mut t.server, t.now, 600).code(), 0);
    assert!(t.out(&data).is_some());
    t.now += secs(299);
    t.permit(peer());
    t.now += secs(299);
    assert!(t.back(peer(), b"x").is_some());
}

/// req: TURN-12-5, TURN-12.2-5, TURN-12.6-5, TURN-12.6-6, TURN-12.5-1
#[test]
fn a_channel_lives_600_seconds_whatever_flows() {
    let mut t = Relay::new();
    let start = t.now;
    let data = channel_data(0x4000, b"x");
    t.bind(0x4000, peer());
    assert_eq!(t.asker.refresh(&mut t.server, t.now, 3600).code(), 0);
    for tick in 0..6000 {
        t.now = start + millis(tick * 100);
        assert_eq!(t.out(&data), Some((t.to(peer()), b"x".to_vec())));
        // The permission that came with it lives shorter.
        assert_eq!(t.back(peer(), b"x").is_some(), tick < 3000);
    }
    t.now = start + millis(600_100);
    assert_eq!(t.drop_out(&data), DropReason::NoChannel);
    t.bind(0x4000, peer());
    assert!(t.out(&data).is_some());
    assert_eq!(
        t.out(&channel_data(0x4000, b"")),
        Some((t.to(peer()), vec![]))
    );
    assert!(t.out(&send_indication(peer(), b"x")).is_some());
}

#[test]
fn strict_permissions_hold_channels_back_too() {
    let mut config = server_config();
    config.strict_permissions = true;
    let mut t = Relay::with(config);
    t.bind(0x4000, peer());
    let data = channel_data(0x4000, b"x");
    t.now += millis(299_900);
    assert!(t.out(&data).is_some());
    t.now += millis(200);
    assert_eq!(t.drop_out(&data), DropReason::NoPermission);
}

/// req: TURN-12.6-1, TURN-12.6-2, TURN-12.6-3, TURN-12.5-4, TURN-12-3
#[test]
fn channel_data_that_is_not_right_is_dropped() {
    let mut t = Relay::new();
    t.bind(0x4000, peer());
    let good = channel_data(0x4000, b"data");
    let mut padded = channel_data(0x4000, b"abc");
    padded.push(0xEE);
    assert_eq!(t.out(&padded), Some((t.to(peer()), b"abc".to_vec())));
    assert_eq!(t.drop_out(&good[..7]), DropReason::Malformed);
    assert_eq!(t.drop_out(&good[..2]), DropReason::Malformed);
    assert_eq!(
        t.drop_out(&channel_data(0x4001, b"data")),
        DropReason::NoChannel
    );
    for first in (4..=0x3F).chain(0x50..=0xFF) {
        let mut bytes = good.clone();
        bytes[0] = first;
        assert_eq!(t.drop_out(&bytes), DropReason::NotStun, "{first:#x}");
    }
    assert!(t.server.poll_transmit().is_none());
}

/// Clients of RFC 5766, coturn's among them, choose from four times as many channels. A server that
/// is told to serve them relays over those too, and is as strict as before about all else.
#[test]
fn channels_of_rfc_5766_are_served_where_that_is_wanted() {
    let mut config = server_config();
    config.channels = 0..=u16::MAX;
    let mut t = Relay::with(config);
    t.bind(0x7FFF, peer());
    let data = channel_data(0x7FFF, b"data");
    assert_eq!(t.out(&data), Some((t.to(peer()), b"data".to_vec())));
    assert_eq!(
        t.drop_out(&channel_data(0x5000, b"data")),
        DropReason::NoChannel
    );
    for first in (4..=0x3F).chain(0x80..=0xFF) {
        let mut bytes = data.clone();
        bytes[0] = first;
        assert_eq!(t.drop_out(&bytes), DropReason::NotStun, "{first:#x}");
    }
}

/// req: TURN-9-5, TURN-12-9
#[test]
fn allocations_do_not_share_permissions_or_channels() {
    let mut t = Relay::new();
    t.bind(0x4000, peer());
    let mut other = Asker::at(addr("198.51.100.6:40000"));
    let relayed = other.allocate(&mut t.server, t.now);
    let message = channel_data(0x4000, b"x");
    assert_eq!(other.push(&mut t.server, t.now, &message), None);
    assert_eq!(arrive(&mut t.server, t.now, peer(), relayed, b"x"), None);
    assert_eq!(other.bind(&mut t.server, t.now, 0x4000, other_peer()), 0);
    other.refresh(&mut t.server, t.now, 0);
    assert!(t.out(&message).is_some());
    // The client comes back and starts with nothing.
    t.asker.refresh(&mut t.server, t.now, 0);
    t.relayed = t.asker.allocate(&mut t.server, t.now);
    assert_eq!(t.drop_out(&message), DropReason::NoChannel);
    assert_eq!(t.drop_back(peer(), b"x"), DropReason::NoPermission);
}

/// req: TURN-5-18
#[test]
fn ipv4_and_ipv6_clients_reach_ipv4_and_ipv6_peers() {
    for source in [home(), addr("[2620:fe::10]:40000")] {
        for (family, peer) in [
            (AddressFamily::IPV4, peer()),
            (AddressFamily::IPV6, peer6()),
        ] {
            let mut config = server_config_v6();
            config.listeners.push(addr("[2001:db8:1::1]:3478"));
            let (mut server, now) = server_with(config);
            let mut asker = Asker::at(source);
            if source.is_ipv6() {
                asker.path.local = addr("[2001:db8:1::1]:3478");
            }
            let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
                b.with(&RequestedTransport::UDP)
                    .with(&RequestedAddressFamily(family))
            });
            let relayed = answer.relayed();
            assert_eq!(
                answer.message().get().unwrap(),
                Some(XorMappedAddress(source))
            );
            assert_eq!(asker.permit(&mut server, now, peer), 0);
            let sent = asker.push(&mut server, now, &send_indication(peer, b"ping"));
            assert_eq!(
                sent,
                Some((FiveTuple::udp(relayed, peer), b"ping".to_vec()))
            );
            let (path, bytes) = arrive(&mut server, now, peer, relayed, b"pong").unwrap();
            assert_eq!(path, asker.path);
            assert_eq!(parse(&bytes).get().unwrap(), Some(XorPeerAddress(peer)));
            assert_eq!(parse(&bytes).get().unwrap(), Some(Data(b"pong")));
        }
    }
}

/// Two clients with a relayed address each: whose packets go from one to the other inside the server.
struct Pair {
    t: Relay,
    other: Asker,
    theirs: SocketAddr,
}

impl Pair {
    fn new(config: ServerConfig) -> Self {
        let mut t = Relay::with(config);
        let mut other = Asker::at(addr("198.51.100.6:40000"));
        let theirs = other.allocate(&mut t.server, t.now);
        Self { t, other, theirs }
    }

    fn permitted(config: ServerConfig) -> Self {
        let mut pair = Self::new(config);
        pair.t.permit(pair.theirs);
        let code = (pair.other).permit(&mut pair.t.server, pair.t.now, pair.t.relayed);
        assert_eq!(code, 0);
        pair
    }

    /// What the network would have made of it: out of one relayed address and into the other.
    fn by_network(&mut self, data: &[u8]) -> Option<(FiveTuple, Vec<u8>)> {
        let (server, now) = (&mut self.t.server, self.t.now);
        arrive(server, now, self.t.relayed, self.theirs, data)
    }
}

fn without_id((path, mut bytes): (FiveTuple, Vec<u8>)) -> (FiveTuple, Vec<u8>) {
    if bytes[0] < 0x40 {
        bytes[8..20].fill(0);
    }
    (path, bytes)
}

/// One call, from the message of one client to the message for the other; and the same bytes as
/// through the network.
#[test]
fn between_two_relays_of_one_server_a_packet_is_handed_over_inside() {
    let mut pair = Pair::permitted(server_config());
    let data = b"hello".as_slice();
    let theirs = pair.theirs;
    let out = [send_indication(theirs, data), channel_data(0x4000, data)];
    pair.t.bind(0x4000, theirs);
    for back_in_channel in [false, true] {
        if back_in_channel {
            let relayed = pair.t.relayed;
            let code = (pair.other).bind(&mut pair.t.server, pair.t.now, 0x4abc, relayed);
            assert_eq!(code, 0);
        }
        for message in &out {
            let (path, bytes) = pair.t.out(message).unwrap();
            assert_eq!(path, pair.other.path);
            if back_in_channel {
                assert_eq!(bytes, channel_data(0x4abc, data));
            } else {
                let message = parse(&bytes);
                assert_eq!(message.method(), Method::DATA);
                assert_eq!(message.get(), Ok(Some(XorPeerAddress(pair.t.relayed))));
                assert_eq!(message.get(), Ok(Some(Data(data))));
            }
            let reference = pair.by_network(data).unwrap();
            assert_eq!(without_id((path, bytes)), without_id(reference));
        }
    }
}

/// Both clients must want it: the one who sends and the one who receives.
#[test]
fn inside_the_server_both_permissions_count() {
    let mut pair = Pair::new(server_config());
    let message = send_indication(pair.theirs, b"x");
    assert_eq!(pair.t.drop_out(&message), DropReason::NoPermission);
    pair.t.permit(pair.theirs);
    assert_eq!(pair.t.drop_out(&message), DropReason::NoPermission);
    let code = (pair.other).permit(&mut pair.t.server, pair.t.now, pair.t.relayed);
    assert_eq!(code, 0);
    assert!(pair.t.out(&message).is_some());
    pair.t.now += secs(200);
    pair.t.permit(pair.theirs);
    pair.t.now += secs(101);
    let reason = pair.t.drop_out(&message);
    assert_eq!(reason, DropReason::NoPermission, "the receiver's expired");
    pair.other
        .permit(&mut pair.t.server, pair.t.now, pair.t.relayed);
    assert!(pair.t.out(&message).is_some());
    pair.t.now += secs(200);
    pair.t.permit(pair.theirs);
    pair.other
        .permit(&mut pair.t.server, pair.t.now, pair.t.relayed);
    pair.t.asker.refresh(&mut pair.t.server, pair.t.now, 600);
    pair.t.now += secs(120);
    let reason = pair.t.drop_out(&message);
    assert_eq!(reason, DropReason::NoAllocation, "the receiver's expired");
}

/// Attack 39: two channels that lead to each other are no loop. Each packet comes out at a client, is
/// counted for both, and nothing goes on without the clients.
#[test]
fn two_relays_bound_to_each_other_are_no_loop() {
    let mut pair = Pair::permitted(server_config());
    pair.t.bind(0x4000, pair.theirs);
    let relayed = pair.t.relayed;
    assert_eq!(
        (pair.other).bind(&mut pair.t.server, pair.t.now, 0x4000, relayed),
        0
    );
    let (path, bytes) = pair.t.out(&channel_data(0x4000, b"12345")).unwrap();
    assert_eq!(path, pair.other.path);
    assert_eq!(bytes, channel_data(0x4000, b"12345"));
    assert!(pair.t.server.poll_transmit().is_none());
    let one = Traffic {
        packets: 1,
        bytes: 5,
    };
    let none = Traffic::default();
    let server = &pair.t.server;
    assert_eq!(server.traffic(relayed), Some([one, none]));
    assert_eq!(server.traffic(pair.theirs), Some([none, one]));
    let stats = server.stats();
    assert_eq!(
        (stats.to_peers, stats.to_clients, stats.hairpin),
        (one, one, one)
    );
    // Its own relayed address is no peer.
    assert_eq!(
        pair.t
            .asker
            .bind(&mut pair.t.server, pair.t.now, 0x4001, relayed),
        403
    );
}

/// req: TURN-5-22
#[test]
fn a_budget_bounds_the_bytes_of_one_allocation() {
    let mut config = server_config();
    config.budget = Some(TrafficBudget::per_second(10_000, 1_000_000));
    let mut pair = Pair::permitted(config);
    let data = [7; 1000];
    let message = send_indication(pair.theirs, &data);
    let start = pair.t.now;
    let mut passed = 0;
    for tick in 0..10_000 {
        pair.t.now = start + millis(tick);
        match feed(&mut pair.t.server, pair.t.now, pair.t.asker.path, &message).0 {
            Input::Forward(_) => passed += 1,
            other => assert_eq!(other, Input::Dropped(DropReason::OverBudget)),
        }
    }
    // Ten seconds' worth, the second that was saved, and the packet that used up the last of it.
    assert!((110..=111).contains(&passed), "{passed}");
    let stats = pair.t.server.stats();
    assert_eq!(stats.dropped(DropReason::OverBudget), 10_000 - passed);
    // The receiver has used his own as far. Who had no part in it is not held back.
    assert_eq!(pair.by_network(&data), None);
    let mut third = Asker::at(addr("198.51.100.7:40000"));
    third.allocate(&mut pair.t.server, pair.t.now);
    assert_eq!(third.permit(&mut pair.t.server, pair.t.now, peer()), 0);
    assert!(
        third
            .push(
                &mut pair.t.server,
                pair.t.now,
                &send_indication(peer(), &data)
            )
            .is_some()
    );
}

/// By every way out and in: in an indication, in a channel, from a peer.
/// req: TURN-5-22
#[test]
fn a_budget_bounds_bytes_by_every_way() {
    let data = [7; 1000];
    let ways: [fn(&mut Relay, &[u8]) -> bool; 3] = [
        |t, data| t.out(&send_indication(peer(), data)).is_some(),
        |t, data| t.out(&channel_data(0x4000, data)).is_some(),
        |t, data| t.back(peer(), data).is_some(),
    ];
    for way in ways {
        let mut config = server_config();
        config.budget = Some(TrafficBudget::per_second(10_000, 1_000_000));
        let mut t = Relay::with(config);
        t.bind(0x4000, peer());
        let start = t.now;
        let passed = (0..10_000).filter(|&tick| {
            t.now = start + millis(tick);
            way(&mut t, &data)
        });
        let passed = passed.count();
        assert!((110..=111).contains(&passed), "{passed}");
    }
}

/// req: TURN-5-22
#[test]
fn a_budget_bounds_the_packets_of_one_allocation() {
    let mut config = server_config();
    config.budget = Some(TrafficBudget::per_second(u64::MAX, 100));
    let mut t = Relay::with(config);
    t.permit(peer());
    let passed = (0..1000).filter(|_| t.back(peer(), b"").is_some()).count();
    assert_eq!(passed, 101);
    assert!(t.out(&send_indication(peer(), b"")).is_none());
    t.now += millis(10);
    assert!(t.out(&send_indication(peer(), b"")).is_some());
    assert!(t.back(peer(), b"").is_none());
}

/// Attack 45: what the operating system does not send is lost, and nothing else.
#[test]
fn a_datagram_that_could_not_be_sent_is_counted_and_harms_nothing() {
    let mut t = Relay::new();
    t.bind(0x4000, peer());
    for n in 1..=100 {
        assert!(t.out(&channel_data(0x4000, b"x")).is_some());
        t.server.unsent();
        assert_eq!(t.server.stats().unsent, n);
    }
    assert!(t.back(peer(), b"x").is_some());
    assert_eq!(t.asker.refresh(&mut t.server, t.now, 600).code(), 0);
    assert_eq!(t.asker.bind(&mut t.server, t.now, 0x4000, peer()), 0);
    assert!(
        t.server
            .poll_event()
            .is_some_and(|it| matches!(it, ServerEvent::RelayOpened { .. }))
    );
    assert!(t.server.poll_event().is_none());
}

#[test]
fn binding_and_foreign_methods_are_left_to_others() {
    let mut t = Relay::new();
    let binding = Asker::new().message(Method::BINDING, &|b| b);
    assert_eq!(t.drop_out(&binding), DropReason::Unsupported);
    assert_eq!(t.server.stats().dropped(DropReason::Unsupported), 0);
    for method in [
        Method::SEND,
        Method::DATA,
        Method::CONNECT,
        Method::new(0x0BC),
    ] {
        let request = Asker::new().message(method, &|b| b);
        assert_eq!(t.drop_out(&request), DropReason::Unsupported);
    }
    let data = indication(Method::DATA, |b| b.with(&XorPeerAddress(peer())));
    assert_eq!(t.drop_out(&data), DropReason::Unsupported);
    let elsewhere = FiveTuple::udp(addr("192.0.2.77:3478"), home());
    let reason = dropped(feed(&mut t.server, t.now, elsewhere, &binding));
    assert_eq!(reason, DropReason::UnknownLocal);
}

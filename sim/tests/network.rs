//! What the network does with packets on their way.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::{Recorder, public, send, start};
use floe_sansio::{
    Datagram, DropReason, FiveTuple, HEADROOM, Input, Instant, Route, TAILROOM, Transmit,
};
use floe_sim::{
    DropCause, Endpoint, Happening, HostId, Incident, Link, Message, NatConfig, Preset,
    Probability, SegmentId, Simulation, Site, Stop, Topology, TopologyError, probe,
};

fn at(world: &Topology, host: HostId, port: u16) -> (HostId, SocketAddr) {
    (host, SocketAddr::new(world.address(host), port))
}

/// Why packets were dropped so far, and where.
fn drops(simulation: &Simulation<Recorder>) -> Vec<(String, DropCause)> {
    let log = simulation.log();
    let dropped = |happening: &Happening| match happening {
        Happening::Packet {
            incident: Incident::Dropped(cause),
            ..
        } => Some(*cause),
        _ => None,
    };
    log.entries()
        .iter()
        .filter_map(|entry| Some((log.name(entry.node).to_owned(), dropped(&entry.what)?)))
        .collect()
}

#[test]
fn a_packet_takes_as_long_as_the_links_say() {
    let mut world = Topology::new();
    world.set_link(SegmentId::CORE, Link::delay(Duration::from_millis(7)));
    let home = world.preset("home", public(), Preset::DoubleNat);
    let (a, b) = (world.host("a", home), world.host("b", public()));
    let mut run = start(&world, 1);
    send(&mut run, at(&world, a, 1), at(&world, b, 2)).unwrap();
    // Two LANs, a's access, the core, b's access.
    let expected = Duration::from_micros(200 + 200 + 10_000 + 7_000 + 10_000);
    assert_eq!(
        run.endpoint(b).unwrap().received[0].0,
        Instant::ZERO + expected
    );
    assert_eq!(world.one_way(a, b), expected);
    assert_eq!(world.one_way(b, a), expected);
}

#[test]
fn hosts_of_one_lan_reach_each_other_without_their_nat() {
    let mut world = Topology::new();
    let home = world.preset("home", public(), Preset::Symmetric);
    let (a, b) = (world.host("a", home), world.host("b", home));
    let mut run = start(&world, 1);
    let from = send(&mut run, at(&world, a, 1), at(&world, b, 2));
    assert_eq!(from, Some(at(&world, a, 1).1));
    assert_eq!(
        run.endpoint(b).unwrap().received[0].0,
        Instant::from_micros(200)
    );
}

/// req: NATUDP-R7-1
#[test]
fn two_homes_with_the_same_addresses_do_not_mix() {
    let mut world = Topology::new();
    let home_a = world.preset("home-a", public(), Preset::FullCone);
    let home_b = world.preset("home-b", public(), Preset::FullCone);
    let (a, b) = (world.host("a", home_a), world.host("b", home_b));
    let sibling = world.host("sibling", home_b);
    assert_eq!(world.address(a), world.address(b));
    let mut run = start(&world, 1);
    run.log_mut().record(true);
    // Only home B has a second host; in home A nobody answers for its address.
    assert_eq!(
        send(&mut run, at(&world, a, 1), at(&world, sibling, 2)),
        None
    );
    assert_eq!(drops(&run), [("home-a/lan".into(), DropCause::Unroutable)]);
    assert!(send(&mut run, at(&world, b, 1), at(&world, sibling, 2)).is_some());
}

#[test]
fn drops_have_a_place_and_a_cause() {
    let mut world = Topology::new();
    let home = world.preset("home", public(), Preset::FullCone);
    let wall = world.preset("wall", public(), Preset::UdpBlocked);
    let (a, b) = (world.host("a", home), world.host("b", wall));
    let c = world.host("c", public());
    let mut run = start(&world, 1);
    run.log_mut().record(true);
    let private = |port| (c, SocketAddr::from(([10, 1, 2, 3], port)));
    let at = |host, port| at(&world, host, port);
    assert_eq!(send(&mut run, at(a, 1), private(1)), None);
    assert_eq!(send(&mut run, at(b, 1), at(c, 1)), None);
    assert_eq!(send(&mut run, at(c, 1), at(b, 1)), None);
    assert_eq!(send(&mut run, private(1), at(a, 1)), None);
    let transmit = |from: SocketAddr, to| Transmit {
        path: FiveTuple {
            transport: floe_sansio::Transport::Tcp,
            local: from,
            remote: to,
        },
        payload: Bytes::new(),
    };
    run.send(c, transmit(at(c, 1).1, at(b, 1).1));
    run.detach(c);
    let payload = Bytes::new();
    let path = FiveTuple::udp(at(a, 1).1, at(c, 1).1);
    run.send(a, Transmit { path, payload });
    let _ = run.wait(Duration::from_secs(1));
    assert_eq!(
        drops(&run),
        [
            ("core".into(), DropCause::Unroutable),
            ("wall".into(), DropCause::UdpBlocked),
            ("wall".into(), DropCause::UdpBlocked),
            ("c".into(), DropCause::ForeignSource),
            ("c".into(), DropCause::NoStream),
            ("c".into(), DropCause::NoEndpoint),
        ]
    );
    assert_eq!(run.network().total().sent, 6);
    assert_eq!(run.network().counters(c).dropped, 3);
    assert_eq!(run.network().counters(c).delivered, 1);
}

#[test]
fn each_nat_translates_when_the_packet_reaches_it() {
    let mut world = Topology::new();
    let carrier = world.carrier("carrier", public(), NatConfig::RFC4787);
    let home = world.nat("home", carrier, NatConfig::RFC4787);
    let (a, c) = (world.host("a", home), world.host("c", public()));
    let mut run = start(&world, 1);
    run.log_mut().record(true);
    let mapped = send(&mut run, at(&world, a, 5000), at(&world, c, 1)).unwrap();
    assert_eq!(mapped.port(), 5000);
    let steps: Vec<_> = run
        .log()
        .entries()
        .iter()
        .map(|entry| (run.log().name(entry.node), entry.time.as_nanos() / 1_000))
        .collect();
    assert_eq!(
        steps,
        [("a", 0), ("home", 200), ("carrier", 400), ("c", 20_400)]
    );
    assert_eq!(run.network().nat(home.segment).unwrap().mappings(), 1);
    run.network_mut().nat_mut(home.segment).unwrap().reboot();
    assert_eq!(send(&mut run, at(&world, c, 1), (a, mapped)), None);
    assert_eq!(drops(&run), [("home".into(), DropCause::NoMapping)]);
}

#[test]
fn no_packet_travels_for_ever() {
    let mut world = Topology::new();
    let mut site = public();
    for depth in 0..40 {
        site = world.carrier(&format!("nat-{depth}"), site, NatConfig::RFC4787);
    }
    let (a, c) = (world.host("a", site), world.host("c", public()));
    assert_eq!(world.layers(a).len(), 40);
    let mut run = start(&world, 1);
    run.log_mut().record(true);
    let to = (c, SocketAddr::from(([62, 99, 99, 99], 1)));
    assert_eq!(send(&mut run, at(&world, a, 1), to), None);
    assert_eq!(drops(&run)[0].1, DropCause::HopLimit);
}

#[test]
fn a_host_answers_from_the_address_that_was_asked() {
    let mut world = Topology::new();
    let home = world.preset("home", public(), Preset::FullCone);
    let (a, server) = (world.host("a", home), world.host("server", public()));
    let second = world.interface(server, public());
    let mut run = start(&world, 1);
    let mapped = send(
        &mut run,
        at(&world, a, 1),
        (server, SocketAddr::new(second, 9)),
    )
    .unwrap();
    let from = send(&mut run, (server, SocketAddr::new(second, 9)), (a, mapped));
    assert_eq!(from, Some(SocketAddr::new(second, 9)));
}

/// Sends `n` numbered packets at once from a to b and says which arrived, in order.
fn volley(link: Link, n: u32) -> Vec<u32> {
    let mut world = Topology::new();
    world.set_link(SegmentId::CORE, link);
    let (a, b) = (world.host("a", public()), world.host("b", public()));
    let mut run = start(&world, 1);
    for number in 0..n {
        let path = FiveTuple::udp(at(&world, a, 1).1, at(&world, b, 1).1);
        let payload = Bytes::copy_from_slice(&number.to_be_bytes());
        run.send(a, Transmit { path, payload });
        let _ = run.wait(Duration::from_millis(1));
    }
    assert_eq!(run.run(Instant::from_secs(60), |_| false), Stop::Idle);
    let received = &run.endpoint(b).unwrap().received;
    received
        .iter()
        .map(|(_, _, payload)| u32::from_be_bytes(payload[..].try_into().unwrap()))
        .collect()
}

#[test]
fn jitter_keeps_the_order_unless_it_may_not() {
    let jitter = Link::IDEAL.with_jitter(Duration::ZERO, Duration::from_millis(50));
    let ordered = volley(jitter, 200);
    assert_eq!(ordered, (0..200).collect::<Vec<_>>());
    let mut reordered = volley(jitter.with_reordering(), 200);
    assert!(!reordered.is_sorted());
    reordered.sort_unstable();
    assert_eq!(reordered, ordered);
}

#[test]
fn faults_happen_about_as_often_as_they_say() {
    let tenth = Probability::percent(10);
    let lost = 1_000 - volley(Link::IDEAL.with_loss(tenth), 1_000).len();
    assert!((60..140).contains(&lost), "{lost}");
    let doubled = volley(Link::IDEAL.with_duplication(tenth), 1_000);
    assert!((1_060..1_140).contains(&doubled.len()), "{}", doubled.len());
    let corrupted = volley(Link::IDEAL.with_corruption(tenth), 1_000);
    let wrong = (0..).zip(corrupted).filter(|(n, got)| n != got).count();
    assert!((60..140).contains(&wrong), "{wrong}");
}

#[test]
fn packets_of_two_hosts_meet_different_fates_on_one_link() {
    let mut world = Topology::new();
    world.set_link(
        SegmentId::CORE,
        Link::IDEAL.with_loss(Probability::percent(50)),
    );
    let (a, b) = (world.host("a", public()), world.host("b", public()));
    let server = world.host("server", public());
    let mut run = start(&world, 1);
    let mut fates = Vec::new();
    for _ in 0..64 {
        fates.push(
            [a, b].map(|host| send(&mut run, at(&world, host, 1), at(&world, server, 1)).is_some()),
        );
    }
    let alike = fates.iter().filter(|[a, b]| a == b).count();
    assert!((16..48).contains(&alike), "{alike}");
}

fn message(to: HostId, text: &str) -> Message {
    Message {
        to,
        text: text.into(),
    }
}

#[test]
fn signalling_has_its_own_delay_and_keeps_its_order() {
    let mut world = Topology::new();
    // Nothing but signalling gets through.
    let wall = world.preset("wall", public(), Preset::UdpBlocked);
    let (a, b) = (world.host("a", wall), world.host("b", public()));
    let mut run = start(&world, 1);
    run.set_signalling(Duration::from_millis(40));
    run.act(a, |a, _| {
        a.to_say.extend([message(b, "1"), message(b, "2")]);
    });
    run.set_signalling(Duration::from_millis(10));
    run.act(a, |a, _| a.to_say.push_back(message(b, "3")));
    assert_eq!(run.run(Instant::from_secs(1), |_| false), Stop::Idle);
    let at = Instant::from_millis(40);
    let expected = ["1", "2", "3"].map(|text| (at, a, text.to_owned()));
    assert_eq!(run.endpoint(b).unwrap().messages, expected);
}

/// A relay that frames what it gets in the room around it, and refuses what is empty.
#[derive(Debug)]
struct Relay {
    to: FiveTuple,
}

impl Endpoint for Relay {
    fn receive(&mut self, _now: Instant, mut datagram: Datagram<'_>) -> Input {
        let range = datagram.range();
        if range.is_empty() {
            return Input::Dropped(DropReason::NotStun);
        }
        let buffer = datagram.buffer_mut();
        assert!(range.start >= HEADROOM && buffer.len() - range.end >= TAILROOM);
        buffer[range.start - HEADROOM..range.start].fill(b'<');
        buffer[range.end..range.end + TAILROOM].fill(b'>');
        let framed = range.start - HEADROOM..range.end + TAILROOM;
        Input::Forward(Route::new(self.to, framed))
    }

    fn timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn a_relay_frames_in_place_and_the_simulation_sends_it_on() {
    let mut world = Topology::new();
    let (a, relay) = (world.host("a", public()), world.host("relay", public()));
    let b = world.host("b", public());
    let mut run: Simulation<Box<dyn Endpoint>> = Simulation::new(&world, 1).unwrap();
    run.log_mut().record(true);
    let to = FiveTuple::udp(at(&world, relay, 7).1, at(&world, b, 1).1);
    run.attach(relay, Box::new(Relay { to }));
    run.attach(b, Box::new(Recorder::default()));
    let big = vec![b'x'; 60_000];
    for payload in [&b"hello"[..], &big, b"", b"world"] {
        let path = FiveTuple::udp(at(&world, a, 1).1, at(&world, relay, 1).1);
        let payload = Bytes::copy_from_slice(payload);
        run.send(a, Transmit { path, payload });
    }
    let _ = run.wait(Duration::from_secs(1));
    let framed = |inner: &[u8]| [&[b'<'; HEADROOM][..], inner, &[b'>'; TAILROOM]].concat();
    let delivered: Vec<_> = run
        .log()
        .entries()
        .iter()
        .filter_map(|entry| match &entry.what {
            Happening::Packet {
                incident: Incident::Delivered,
                destination,
                payload,
                ..
            } if *destination == to.remote => Some(payload.to_vec()),
            _ => None,
        })
        .collect();
    assert_eq!(
        delivered,
        [framed(b"hello"), framed(&big), framed(b"world")]
    );
    let refused = run.log().json_lines();
    assert!(refused.contains(r#""event":"refused""#) && refused.contains(r#""cause":"NotStun""#));
}

/// A host whose deadline never passes.
#[derive(Debug)]
struct Restless;

impl Endpoint for Restless {
    fn receive(&mut self, _now: Instant, _datagram: Datagram<'_>) -> Input {
        Input::Handled
    }

    fn timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        Some(Instant::from_secs(3))
    }
}

#[test]
fn a_deadline_that_never_passes_is_found_out() {
    let mut world = Topology::new();
    let host = world.host("a", public());
    let mut run = Simulation::new(&world, 1).unwrap();
    run.attach(host, Restless);
    assert_eq!(run.run(Instant::from_secs(9), |_| false), Stop::Stuck(host));
    assert_eq!(run.now(), Instant::from_secs(3));
}

/// A host that counts its deadlines; each push moves the next.
#[derive(Debug, Default)]
struct Alarm {
    next: Option<Instant>,
    rang: Vec<Instant>,
}

impl Endpoint for Alarm {
    fn receive(&mut self, _now: Instant, _datagram: Datagram<'_>) -> Input {
        Input::Handled
    }

    fn timeout(&mut self, now: Instant) {
        self.rang.push(now);
        self.next = None;
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

#[test]
fn a_deadline_that_moves_rings_once_at_its_last_place() {
    let mut world = Topology::new();
    let host = world.host("a", public());
    let mut run = Simulation::new(&world, 1).unwrap();
    run.attach(host, Alarm::default());
    for millis in [500, 100, 900, 300, 700] {
        run.act(host, |alarm, _| {
            alarm.next = Some(Instant::from_millis(millis));
        });
    }
    assert_eq!(run.run(Instant::from_secs(9), |_| false), Stop::Idle);
    assert_eq!(
        run.endpoint(host).unwrap().rang,
        [Instant::from_millis(700)]
    );
}

#[test]
fn time_reaches_the_limit_and_no_further() {
    let mut world = Topology::new();
    let host = world.host("a", public());
    let mut run = Simulation::new(&world, 1).unwrap();
    let next = Some(Instant::from_secs(5));
    run.attach(host, Alarm { next, rang: vec![] });
    assert_eq!(run.run(Instant::from_secs(4), |_| false), Stop::Limit);
    assert_eq!(run.now(), Instant::from_secs(4));
    assert_eq!(run.run(Instant::from_secs(9), |_| true), Stop::Done);
    assert_eq!(run.now(), Instant::from_secs(5));
}

/// A noisy world in which two hosts talk; `more` adds others.
fn noisy(seed: u64, more: bool) -> (Simulation<Recorder>, HostId, HostId) {
    let mut world = Topology::new();
    let percent = Probability::percent(10);
    let core = Link::IDEAL
        .with_jitter(Duration::from_millis(1), Duration::from_millis(9))
        .with_reordering()
        .with_loss(percent)
        .with_duplication(percent)
        .with_corruption(percent);
    world.set_link(SegmentId::CORE, core);
    let home = world.preset("home", public(), Preset::Symmetric);
    let (a, b) = (world.host("a", home), world.host("b", public()));
    let mut others = Vec::new();
    if more {
        let elsewhere = world.preset("elsewhere", public(), Preset::SymmetricSequential);
        others = vec![world.host("c", elsewhere), world.host("d", home)];
    }
    let mut run = start(&world, seed);
    run.log_mut().record(true);
    for number in 0..100_u16 {
        for &host in [a].iter().chain(&others) {
            let to = SocketAddr::new(world.address(b), 1 + number % 10);
            let path = FiveTuple::udp(at(&world, host, 5000).1, to);
            let payload = Bytes::copy_from_slice(&number.to_be_bytes());
            run.send(host, Transmit { path, payload });
        }
        let _ = run.wait(Duration::from_millis(3));
    }
    let _ = run.run(Instant::from_secs(10), |_| false);
    (run, a, b)
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let log = |seed| noisy(seed, false).0.log().json_lines();
    assert_eq!(log(1), log(1));
    assert_ne!(log(1), log(2));
}

#[test]
fn more_hosts_change_nothing_for_those_that_were_there() {
    let lines_of_a = |more| {
        let (run, ..) = noisy(1, more);
        let lines = run.log().json_lines();
        let of_a = lines
            .lines()
            .filter(|line| line.contains(r#""packet":"a#"#));
        of_a.map(str::to_owned).collect::<Vec<_>>()
    };
    let alone = lines_of_a(false);
    assert!(alone.len() > 300);
    assert_eq!(alone, lines_of_a(true));
}

#[test]
fn every_line_of_the_log_is_a_json_object() {
    let (mut run, a, b) = noisy(1, false);
    let now = run.now();
    run.log_mut().note(now, a, "quoted \"text\"\n\u{1}");
    run.act(a, |a, _| a.to_say.push_back(message(b, "v=0\r\n")));
    assert_eq!(run.run(Instant::from_secs(20), |_| false), Stop::Idle);
    let mut events = Vec::new();
    for line in run.log().json_lines().lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["time"].is_u64() && object["node"].is_string());
        let event = object["event"].as_str().unwrap().to_owned();
        match &event[..] {
            "note" => assert_eq!(object["text"], "quoted \"text\"\n\u{1}"),
            "message-sent" => assert_eq!(
                (&object["to"], &object["text"]),
                (&"b".into(), &"v=0\r\n".into())
            ),
            "message-received" => assert_eq!(object["from"], "a"),
            _ => assert!(object["source"].is_string() && object["payload"].is_string()),
        }
        if !events.contains(&event) {
            events.push(event);
        }
    }
    events.sort();
    assert_eq!(
        events,
        [
            "corrupted",
            "delivered",
            "dropped",
            "duplicated",
            "message-received",
            "message-sent",
            "note",
            "sent",
            "translated"
        ]
    );
}

#[test]
fn nothing_is_recorded_unless_asked() {
    let mut world = Topology::new();
    let (a, b) = (world.host("a", public()), world.host("b", public()));
    let mut run = start(&world, 1);
    send(&mut run, at(&world, a, 1), at(&world, b, 1)).unwrap();
    assert!(run.log().entries().is_empty());
}

#[test]
fn impossible_worlds_are_refused() {
    let refused = |build: &dyn Fn(&mut Topology)| {
        let mut world = Topology::new();
        build(&mut world);
        Simulation::<Recorder>::new(&world, 1).err()
    };
    let twice = refused(&|world| {
        world.host("a", public());
        world.host("a", public());
    });
    assert_eq!(twice, Some(TopologyError::Name("a".into())));

    let ip = "62.1.1.1".parse().unwrap();
    let shared = refused(&|world| {
        let wall = world.preset("wall", public(), Preset::UdpBlocked);
        world.host_at("a", public(), ip);
        world.host_at("b", wall, ip);
    });
    assert_eq!(shared, Some(TopologyError::Address(ip)));

    let config = NatConfig {
        mapping: floe_sim::Mapping::AddressDependent,
        allocation: floe_sim::Allocation::Preserving,
        ..NatConfig::RFC4787
    };
    let nat = refused(&|world| {
        world.nat("odd", public(), config);
    });
    assert!(matches!(nat, Some(TopologyError::Nat(name, _)) if name == "odd"));
}

/// The prober uses every interface of a host.
#[test]
fn a_second_interface_is_probed_too() {
    let mut world = Topology::new();
    let server = world.host("server", public());
    let wall = world.preset("wall", public(), Preset::UdpBlocked);
    let home = world.preset("home", public(), Preset::PortRestricted);
    let (a, b) = (world.host("a", wall), world.host("b", home));
    assert_eq!(probe(&world, 1, a, b, server), Ok(false));
    world.interface(a, Site::public(Link::IDEAL));
    assert_eq!(probe(&world, 1, a, b, server), Ok(true));
}

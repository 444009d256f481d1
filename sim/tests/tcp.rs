//! The TCP of simulated hosts: a reliable ordered stream, whatever the network does.

mod common;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::public;
use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit};
use floe_sim::{
    DropCause, Endpoint, Filtering, Flags, Happening, HostId, Incident, Link, Mapping, NatConfig,
    NatTimers, Preset, Probability, SegmentId, Simulation, Site, Stop, StreamCommand, StreamError,
    StreamEvent, TcpConfig, Topology,
};
use proptest::prelude::*;

/// Does what it is told to, and keeps what it is told.
#[derive(Debug, Default)]
struct Host {
    commands: VecDeque<StreamCommand>,
    writes: VecDeque<Transmit>,
    events: Vec<(Instant, StreamEvent)>,
    /// Sends back what comes, and closes when the other side has.
    is_echo: bool,
}

impl Host {
    /// Everything that has arrived on a connection.
    fn read(&self, on: FiveTuple) -> Vec<u8> {
        let mut read = Vec::new();
        for (_, event) in &self.events {
            if let StreamEvent::Data { path, bytes } = event
                && *path == on
            {
                read.extend(bytes);
            }
        }
        read
    }

    /// What has happened other than bytes.
    fn said(&self) -> Vec<&StreamEvent> {
        let is_data = |event: &&StreamEvent| matches!(event, StreamEvent::Data { .. });
        let events = self.events.iter().map(|(_, event)| event);
        events.filter(|event| !is_data(event)).collect()
    }

    fn path(&self) -> FiveTuple {
        let path = |(_, event): &(Instant, StreamEvent)| match event {
            StreamEvent::Opened { path, .. } | StreamEvent::Accepted(path) => Some(*path),
            _ => None,
        };
        self.events.iter().rev().find_map(path).expect("it is open")
    }
}

impl Endpoint for Host {
    fn receive(&mut self, _now: Instant, _datagram: Datagram<'_>) -> Input {
        Input::Handled
    }

    fn timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.writes.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll_stream(&mut self) -> Option<StreamCommand> {
        self.commands.pop_front()
    }

    fn stream(&mut self, now: Instant, event: StreamEvent) {
        match &event {
            StreamEvent::Data { path, bytes } if self.is_echo => {
                let payload = Bytes::copy_from_slice(bytes);
                let path = *path;
                self.writes.push_back(Transmit { path, payload });
            }
            StreamEvent::Ended(path) if self.is_echo => {
                self.commands.push_back(StreamCommand::Close(*path));
            }
            _ => {}
        }
        self.events.push((now, event));
    }
}

const PORT: u16 = 3478;

/// A client somewhere, and a server in the core.
struct Pair {
    run: Simulation<Host>,
    client: HostId,
    server: HostId,
    address: SocketAddr,
}

impl Pair {
    fn new(world: &Topology, client: HostId, server: HostId, seed: u64) -> Self {
        Self::with(world, client, server, seed, TcpConfig::DEFAULT)
    }

    fn with(
        world: &Topology,
        client: HostId,
        server: HostId,
        seed: u64,
        config: TcpConfig,
    ) -> Self {
        let mut run = Simulation::new(world, seed).unwrap();
        run.set_tcp(config);
        let address = SocketAddr::new(world.address(server), PORT);
        run.attach(client, Host::default());
        run.attach(
            server,
            Host {
                commands: [StreamCommand::Listen(address)].into(),
                ..Host::default()
            },
        );
        let mut it = Self {
            run,
            client,
            server,
            address,
        };
        it.connect(world, 7);
        it
    }

    fn connect(&mut self, world: &Topology, id: u64) {
        let (local, remote) = (world.address(self.client), self.address);
        self.tell(self.client, StreamCommand::Connect { id, local, remote });
    }

    /// Client and server in the core, 20 ms apart, with this between them.
    fn over(link: Link, seed: u64, config: TcpConfig) -> Self {
        let mut world = Topology::new();
        world.set_link(SegmentId::CORE, link);
        let client = world.host("client", public());
        let server = world.host("server", public());
        Self::with(&world, client, server, seed, config)
    }

    fn tell(&mut self, host: HostId, command: StreamCommand) {
        self.run
            .act(host, |it, _| it.commands.push_back(command))
            .unwrap();
    }

    fn write(&mut self, host: HostId, bytes: &[u8]) {
        let path = self.at(host).path();
        let payload = Bytes::copy_from_slice(bytes);
        self.run
            .act(host, |it, _| {
                it.writes.push_back(Transmit { path, payload });
            })
            .unwrap();
    }

    fn at(&self, host: HostId) -> &Host {
        self.run.endpoint(host).unwrap()
    }

    fn read(&self, host: HostId) -> Vec<u8> {
        self.at(host).read(self.at(host).path())
    }

    fn wait(&mut self, millis: u64) {
        let _ = self.run.wait(Duration::from_millis(millis));
    }

    fn when(&self, host: HostId, number: usize) -> Duration {
        self.at(host).events[number].0 - Instant::ZERO
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Bytes of which no two places look the same.
fn text(len: usize) -> Vec<u8> {
    (0..len as u32)
        .flat_map(u32::to_be_bytes)
        .take(len)
        .collect()
}

fn drops(run: &Simulation<Host>) -> Vec<DropCause> {
    let cause = |entry: &floe_sim::Entry| match entry.what {
        Happening::Packet {
            incident: Incident::Dropped(cause),
            ..
        } => Some(cause),
        _ => None,
    };
    run.log().entries().iter().filter_map(cause).collect()
}

/// The flags of all segments that were sent.
fn sent(run: &Simulation<Host>) -> Vec<String> {
    let flags = |entry: &floe_sim::Entry| match &entry.what {
        Happening::Packet {
            incident: Incident::Sent,
            header: Some(header),
            ..
        } => Some(header.flags.to_string()),
        _ => None,
    };
    run.log().entries().iter().filter_map(flags).collect()
}

#[test]
fn it_opens_after_one_round_trip_and_data_takes_half_of_one() {
    let mut pair = Pair::over(Link::IDEAL, 1, TcpConfig::DEFAULT);
    let (client, server) = (pair.client, pair.server);
    pair.wait(39);
    assert!(pair.at(client).events.is_empty());
    pair.wait(1);
    assert_eq!(pair.when(client, 0), ms(40));
    let path = pair.at(client).path();
    assert_eq!(
        pair.at(client).said(),
        [&StreamEvent::Opened { id: 7, path }]
    );
    assert_eq!(path.remote, pair.address);
    pair.write(client, b"hello");
    pair.wait(20);
    // The acknowledgment of the SYN-ACK, and the bytes right behind it.
    assert_eq!(
        (pair.when(server, 0), pair.when(server, 1)),
        (ms(60), ms(60))
    );
    assert_eq!(
        pair.at(server).said(),
        [&StreamEvent::Accepted(path.mirrored())]
    );
    assert_eq!(pair.read(server), b"hello");
    pair.write(server, b"well");
    pair.wait(20);
    assert_eq!(pair.read(client), b"well");
}

#[test]
fn a_write_is_cut_into_segments_and_arrives_in_order() {
    let config = TcpConfig {
        mss: 100,
        window: 250,
        ..TcpConfig::DEFAULT
    };
    let mut pair = Pair::over(Link::IDEAL, 1, config);
    let (client, server) = (pair.client, pair.server);
    pair.wait(100);
    pair.run.log_mut().record(true);
    for part in text(1000).chunks(7) {
        pair.write(client, part);
    }
    pair.wait(1000);
    assert_eq!(pair.read(server), text(1000));
    // No segment is longer than the MSS, and no more than a window is under way.
    let (mut under_way, mut most) = (0, 0);
    for entry in pair.run.log().entries() {
        if let Happening::Packet {
            incident, payload, ..
        } = &entry.what
        {
            assert!(payload.len() <= 100);
            match incident {
                Incident::Sent => under_way += payload.len(),
                Incident::Delivered => under_way -= payload.len(),
                _ => {}
            }
            most = most.max(under_way);
        }
    }
    assert_eq!(most, 250);
}

/// Loss, jitter that reorders, duplication and flipped bits: all of it is only delay.
#[test]
fn loss_becomes_delay_and_nothing_is_lost_or_reordered() {
    for (percent, seeds) in [(5, 1..41), (20, 1..41)] {
        let mut late = 0;
        for seed in seeds {
            let link = Link::IDEAL
                .with_jitter(Duration::ZERO, ms(30))
                .with_reordering()
                .with_loss(Probability::percent(percent))
                .with_duplication(Probability::percent(5))
                .with_corruption(Probability::percent(5));
            let config = TcpConfig {
                mss: 200,
                ..TcpConfig::DEFAULT
            };
            let mut pair = Pair::over(link, seed, config);
            let (client, server) = (pair.client, pair.server);
            let opened = pair.run.run(Instant::from_secs(60), |run| {
                !run.endpoint(client).unwrap().events.is_empty()
            });
            assert_eq!(opened, Stop::Done, "{percent} %, seed {seed}");
            pair.write(client, &text(5_000));
            pair.wait(60_000);
            pair.write(server, &text(3_000));
            pair.tell(server, StreamCommand::Close(pair.at(server).path()));
            pair.tell(client, StreamCommand::Close(pair.at(client).path()));
            pair.wait(120_000);
            assert_eq!(pair.read(server), text(5_000), "{percent} %, seed {seed}");
            assert_eq!(pair.read(client), text(3_000), "{percent} %, seed {seed}");
            for host in [client, server] {
                let path = pair.at(host).path();
                let last = *pair.at(host).said().last().unwrap();
                assert_eq!(last, &StreamEvent::Ended(path), "{percent} %, seed {seed}");
            }
            late += u32::from(pair.at(client).events[0].0 > Instant::from_millis(500));
        }
        // A lost SYN waits for a second, so that some were late.
        assert!(late > 0, "{percent} %");
    }
}

#[test]
fn where_nobody_listens_it_is_refused() {
    let mut world = Topology::new();
    let (client, server) = (world.host("a", public()), world.host("b", public()));
    let mut pair = Pair::new(&world, client, server, 1);
    pair.address.set_port(9);
    pair.connect(&world, 8);
    pair.wait(100);
    let refused = StreamEvent::Failed {
        id: 8,
        error: StreamError::Refused,
    };
    assert_eq!(pair.when(client, 1), ms(40));
    assert_eq!(pair.at(client).said()[1], &refused);
}

#[test]
fn a_reset_ends_it_at_once_on_the_other_side_only_with_an_event() {
    let mut pair = Pair::over(Link::IDEAL, 1, TcpConfig::DEFAULT);
    let (client, server) = (pair.client, pair.server);
    pair.wait(100);
    let path = pair.at(client).path();
    pair.tell(client, StreamCommand::Reset(path));
    pair.wait(20);
    assert_eq!(pair.at(client).said().len(), 1);
    let lost = StreamEvent::Lost {
        path: path.mirrored(),
        error: StreamError::Reset,
    };
    assert_eq!(pair.at(server).said()[1], &lost);
    // It is no longer there for either.
    pair.run.log_mut().record(true);
    pair.write(client, b"too late");
    pair.write(server, b"too late");
    pair.wait(100);
    assert_eq!(drops(&pair.run), [DropCause::NoStream; 2]);
}

#[test]
fn either_side_may_close_first_and_the_other_may_go_on() {
    for swap in [false, true] {
        let mut pair = Pair::over(Link::IDEAL, 1, TcpConfig::DEFAULT);
        let mut sides = [pair.client, pair.server];
        pair.wait(100);
        if swap {
            sides.reverse();
        }
        let [first, second] = sides;
        let path = pair.at(first).path();
        pair.write(first, b"last words");
        pair.tell(first, StreamCommand::Close(path));
        pair.wait(20);
        assert_eq!(pair.read(second), b"last words");
        let ended = StreamEvent::Ended(path.mirrored());
        assert_eq!(pair.at(second).said()[1], &ended);
        // Half-closed: one way only.
        pair.run.log_mut().record(true);
        pair.write(first, b"no");
        pair.write(second, b"answer");
        pair.wait(100);
        assert_eq!(drops(&pair.run), [DropCause::NoStream]);
        assert_eq!(pair.read(first), b"answer");
        pair.tell(second, StreamCommand::Close(path.mirrored()));
        pair.wait(100);
        assert_eq!(pair.at(first).said()[1], &StreamEvent::Ended(path));
        assert_eq!(pair.at(first).said().len(), 2);
        assert_eq!(pair.at(second).said().len(), 2);
        // Who closed first remembers for a while; then nothing is left.
        assert_eq!(pair.run.run(Instant::from_secs(300), |_| false), Stop::Idle);
    }
}

#[test]
fn what_is_cancelled_is_not_opened() {
    let mut pair = Pair::over(Link::IDEAL, 1, TcpConfig::DEFAULT);
    let (client, server) = (pair.client, pair.server);
    pair.wait(10);
    pair.tell(client, StreamCommand::Cancel(7));
    pair.wait(1000);
    assert!(pair.at(client).events.is_empty());
    assert!(pair.at(server).events.is_empty());
}

#[test]
fn who_falls_silent_is_given_up_after_a_while() {
    // Before the connection is open: 1 + 2 + … + 32 + 60 s.
    let mut world = Topology::new();
    let (client, server) = (world.host("a", public()), world.host("b", public()));
    let mut pair = Pair::new(&world, client, server, 1);
    pair.run.detach(server);
    let _ = pair.run.run(Instant::from_secs(1000), |_| false);
    let timed_out = StreamError::TimedOut;
    let failed = StreamEvent::Failed {
        id: 7,
        error: timed_out,
    };
    assert_eq!(pair.at(client).said(), [&failed]);
    assert_eq!(pair.when(client, 0), Duration::from_secs(63 + 60));

    // And after; whoever has nothing to say does not notice.
    let mut pair = Pair::new(&world, client, server, 1);
    pair.wait(100);
    pair.run.detach(server);
    pair.wait(10_000);
    assert_eq!(pair.at(client).events.len(), 1);
    let path = pair.at(client).path();
    let asked = pair.run.now();
    pair.write(client, b"anybody there?");
    let _ = pair.run.run(Instant::from_secs(10_000), |_| false);
    let lost = StreamEvent::Lost {
        path,
        error: timed_out,
    };
    assert_eq!(pair.at(client).said()[1], &lost);
    let patience = pair.at(client).events[1].0 - asked;
    assert!(patience > Duration::from_secs(100), "{patience:?}"); // RFC 9293 §3.8.3
    assert!(patience < Duration::from_secs(1000), "{patience:?}");
}

/// A host that has lost its state resets what it does not know, and takes new connections.
#[test]
fn a_host_that_starts_anew_resets_what_it_does_not_know() {
    let mut world = Topology::new();
    let (client, server) = (world.host("a", public()), world.host("b", public()));
    let mut pair = Pair::new(&world, client, server, 1);
    pair.wait(100);
    let path = pair.at(client).path();
    let restarted = Host {
        commands: [StreamCommand::Listen(pair.address)].into(),
        ..Host::default()
    };
    pair.run.detach(server);
    pair.run.attach(server, restarted);
    pair.write(client, b"hello?");
    pair.wait(40);
    let lost = StreamEvent::Lost {
        path,
        error: StreamError::Reset,
    };
    assert_eq!(pair.at(client).said()[1], &lost);

    // Nor does the other way round keep one out for ever: the same ports, a connection half gone.
    let mut pair = Pair::new(&world, client, server, 1);
    pair.wait(100);
    let old = pair.at(client).path();
    pair.run.detach(client);
    pair.run.attach(client, Host::default());
    pair.connect(&world, 9);
    pair.wait(2000);
    assert_eq!(pair.at(client).path(), old, "the same port");
    pair.write(client, b"again");
    pair.wait(100);
    assert!(pair.at(server).read(old.mirrored()).ends_with(b"again"));
}

#[test]
fn who_writes_more_than_may_wait_loses_the_connection() {
    let config = TcpConfig {
        send_limit: 3_000,
        window: 1_000,
        ..TcpConfig::DEFAULT
    };
    let mut pair = Pair::over(Link::IDEAL, 1, config);
    let (client, server) = (pair.client, pair.server);
    pair.wait(100);
    pair.run.log_mut().record(true);
    pair.write(client, &text(3_000));
    assert_eq!(pair.at(client).said().len(), 1);
    pair.write(client, b"!");
    let path = pair.at(client).path();
    let lost = StreamEvent::Lost {
        path,
        error: StreamError::Overrun,
    };
    assert_eq!(pair.at(client).said()[1], &lost);
    pair.wait(100);
    // The reset comes behind what was under way.
    assert_eq!(pair.read(server), text(1_000));
    let log = pair.run.log().json_lines();
    assert!(log.contains("a TCP connection is gone: overrun"), "{log}");
    assert!(log.contains("a TCP connection is gone: reset"), "{log}");
}

#[test]
fn there_are_only_so_many_connections() {
    let mut world = Topology::new();
    let (client, server) = (world.host("a", public()), world.host("b", public()));
    let config = TcpConfig {
        connections: 2,
        ..TcpConfig::DEFAULT
    };
    let mut pair = Pair::with(&world, client, server, 1, config);
    pair.connect(&world, 8);
    pair.connect(&world, 9);
    pair.wait(100);
    let said = pair.at(client).said();
    let exhausted = StreamEvent::Failed {
        id: 9,
        error: StreamError::Exhausted,
    };
    assert_eq!(said[0], &exhausted);
    assert_eq!(said.len(), 3);
    // Each has a port of its own.
    assert_ne!(pair.at(server).said()[0], pair.at(server).said()[1]);
}

#[test]
fn the_log_shows_the_segments() {
    let mut world = Topology::new();
    let (client, server) = (world.host("a", public()), world.host("b", public()));
    let mut run = Simulation::new(&world, 1).unwrap();
    run.log_mut().record(true);
    let address = SocketAddr::new(world.address(server), PORT);
    let listen = Host {
        commands: [StreamCommand::Listen(address)].into(),
        is_echo: true,
        ..Host::default()
    };
    run.attach(server, listen);
    run.attach(client, Host::default());
    let mut pair = Pair {
        run,
        client,
        server,
        address,
    };
    pair.connect(&world, 1);
    pair.wait(100);
    pair.write(client, b"hi");
    pair.tell(client, StreamCommand::Close(pair.at(client).path()));
    pair.wait(1000);
    assert_eq!(
        sent(&pair.run),
        [
            "SYN", "SYN+ACK", "ACK", // open
            "ACK", "FIN+ACK", // "hi" and the end
            "ACK", "ACK", // acknowledged, each,
            "ACK", "FIN+ACK", // sent back, and closed
            "ACK", "ACK"
        ]
    );
    let log = pair.run.log().json_lines();
    let first = log.lines().next().unwrap();
    let begins = concat!(
        r#"{"time":0,"node":"a","event":"sent","packet":"a#0","copy":0,"#,
        r#""source":"62.0.1.1:"#
    );
    assert!(first.starts_with(begins), "{first}");
    let sequence = first.split(r#""tcp":"SYN","sequence":"#).nth(1);
    let sequence: String = sequence
        .unwrap()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let next = sequence.parse::<u32>().unwrap().wrapping_add(1);
    let answer = log.lines().find(|line| line.contains("SYN+ACK")).unwrap();
    assert!(answer.contains(&format!(r#""acknowledgment":{next},"payload":"""#)));
}

/// What leaves through any kind of NAT or firewall gets there, and answers come back.
#[test]
fn every_preset_lets_a_connection_out() {
    for preset in Preset::ALL {
        let mut world = Topology::new();
        let home = world.preset("home", public(), preset);
        let (client, server) = (world.host("client", home), world.host("server", public()));
        let mut pair = Pair::new(&world, client, server, 1);
        pair.wait(200);
        pair.write(client, &text(10_000));
        pair.write(server, &text(5_000));
        pair.wait(1_000);
        assert_eq!(pair.read(server), text(10_000), "{preset}");
        assert_eq!(pair.read(client), text(5_000), "{preset}");
        let seen = pair.at(server).path().remote.ip();
        let translates = seen != world.address(client);
        let expected = !matches!(preset, Preset::Open | Preset::UdpBlocked);
        assert_eq!(translates, expected, "{preset}");
    }
}

/// From outside nobody gets in, unless the NAT filters nobody.
#[test]
fn nats_filter_connections_like_datagrams() {
    for filtering in Filtering::ALL {
        let mut world = Topology::new();
        let config = NatConfig {
            filtering,
            ..NatConfig::RFC4787
        };
        let home = world.nat("home", public(), config);
        let (inside, outside) = (world.host("inside", home), world.host("outside", public()));
        let mut pair = Pair::new(&world, inside, outside, 1);
        pair.wait(100);
        // Somebody else connects to the address from which the connection goes out.
        let external = pair.at(outside).path().remote;
        let inner = pair.at(inside).path().local;
        pair.tell(inside, StreamCommand::Listen(inner));
        let connect = StreamCommand::Connect {
            id: 1,
            local: world.address(outside),
            remote: external,
        };
        pair.run.log_mut().record(true);
        pair.tell(outside, connect);
        pair.wait(500);
        let opened = pair.at(inside).said().len() == 2;
        let dropped = match filtering {
            Filtering::AddressAndPortDependent => vec![DropCause::FilteredByPort],
            _ => vec![],
        };
        assert_eq!(drops(&pair.run), dropped, "{}", filtering.name());
        assert_eq!(opened, dropped.is_empty(), "{}", filtering.name());
    }
}

/// req: NATTCP-R1-1, NATTCP-R7-1, NATUPD-5-1
#[test]
fn udp_and_tcp_have_ports_of_their_own() {
    let mut world = Topology::new();
    let home = world.nat("home", public(), NatConfig::RFC4787);
    let client = world.host("client", home);
    let (server, other) = (
        world.host("server", public()),
        world.host("other", public()),
    );
    let mut pair = Pair::new(&world, client, server, 1);
    pair.wait(100);
    let local = pair.at(client).path().local;
    let nat = |run: &mut Simulation<Host>| run.network_mut().nat_mut(home.segment).unwrap().clone();
    let before = nat(&mut pair.run);
    assert_eq!(before.mappings(), 1);
    // The same port for UDP is another mapping, and is free.
    let remote = SocketAddr::new(world.address(other), 5);
    let payload = Bytes::from_static(b"x");
    let path = FiveTuple::udp(local, remote);
    pair.run.send(client, Transmit { path, payload });
    pair.wait(100);
    assert_eq!(nat(&mut pair.run).mappings(), 2);
    // Whatever the destination, a port has one external port.
    let mut nat = nat(&mut pair.run);
    let mut out = |source: SocketAddr, to: &str| {
        let now = Instant::from_secs(1);
        match nat.outbound_segment(now, Flags::SYN, source, to.parse().unwrap()) {
            floe_sim::Verdict::Pass { source, .. } => source.port(),
            verdict => panic!("{verdict:?}"),
        }
    };
    assert_eq!(out(local, "9.9.9.9:1"), local.port());
    assert_eq!(out(local, "8.8.8.8:2"), local.port());
    // Another host's port is never the same.
    let sibling = SocketAddr::new("192.168.1.77".parse().unwrap(), local.port());
    assert_ne!(out(sibling, "9.9.9.9:1"), local.port());
}

/// req: NATUPD-6-1
#[test]
fn a_tcp_mapping_lets_no_datagram_in() {
    let mut world = Topology::new();
    let home = world.nat("home", public(), NatConfig::RFC4787);
    let (client, server) = (world.host("client", home), world.host("server", public()));
    let mut pair = Pair::new(&world, client, server, 1);
    pair.wait(100);
    pair.run.log_mut().record(true);
    let seen = pair.at(server).path();
    let path = FiveTuple::udp(seen.local, seen.remote);
    let payload = Bytes::from_static(b"x");
    pair.run.send(server, Transmit { path, payload });
    pair.wait(100);
    assert_eq!(drops(&pair.run), [DropCause::NoMapping]);
}

/// A connection through a NAT that rests for so long: whether it still carries bytes from the server.
fn survives(timers: NatTimers, rest: Duration) -> bool {
    let mut world = Topology::new();
    let config = NatConfig {
        tcp_timers: timers,
        ..NatConfig::RFC4787
    };
    let home = world.nat("home", public(), config);
    let (client, server) = (world.host("client", home), world.host("server", public()));
    let mut pair = Pair::new(&world, client, server, 1);
    pair.wait(1_000);
    let _ = pair.run.wait(rest);
    pair.run.log_mut().record(true);
    pair.write(server, b"still there?");
    pair.wait(100);
    let arrived = pair.read(client) == b"still there?";
    let causes = drops(&pair.run);
    assert_eq!(causes.is_empty(), arrived);
    assert!(causes.iter().all(|c| *c == DropCause::MappingExpired));
    if !arrived {
        // The client does not get through either: its segments begin nothing.
        pair.write(client, b"hello?");
        let _ = pair.run.run(Instant::from_secs(20_000), |_| false);
        let said = pair.at(client).said();
        let timed_out = StreamError::TimedOut;
        assert!(matches!(said[1], StreamEvent::Lost { error, .. } if *error == timed_out));
        assert!(drops(&pair.run).contains(&DropCause::NoMapping));
    }
    arrived
}

/// The mapping was refreshed last when the connection was opened, a second before the rest.
///
/// req: NATTCP-R5-2
#[test]
fn a_nat_forgets_a_connection_after_two_hours_and_four_minutes() {
    let timer = NatTimers::RFC5382.established;
    assert_eq!(timer, Duration::from_mins(2 * 60 + 4));
    assert!(survives(NatTimers::RFC5382, Duration::from_secs(7440 - 2)));
    assert!(!survives(NatTimers::RFC5382, timer));
    let short = NatTimers::same(Duration::from_secs(30));
    assert!(!survives(short, Duration::from_secs(30)));
}

/// req: NATTCP-R5-3, NATUPD-2.1-3, NATUPD-2.2-1, NATUPD-2.2-2
#[test]
fn a_nat_forgets_after_four_minutes_what_has_not_begun_or_is_over() {
    use floe_sim::{Nat, Random, Verdict};
    let inside = SocketAddr::from(([192, 168, 1, 2], 5000));
    let server = SocketAddr::from(([9, 9, 9, 9], 3478));
    let external = SocketAddr::from(([5, 0, 0, 1], 5000));
    let strict = NatConfig {
        filtering: Filtering::AddressAndPortDependent,
        ..NatConfig::RFC4787
    };
    // From which side, with which flags; then so many seconds of silence; then a segment from outside.
    let lives = |config: NatConfig, script: &[(bool, Flags)], rest: u64| {
        let mut nat = Nat::new(config, external.ip(), 1, Random::new(1));
        for &(inbound, flags) in script {
            let verdict = if inbound {
                nat.inbound_segment(Instant::ZERO, flags, server, external)
            } else {
                nat.outbound_segment(Instant::ZERO, flags, inside, server)
            };
            assert!(!matches!(verdict, Verdict::Drop(_)), "{verdict:?}");
        }
        let now = Instant::from_secs(rest);
        let verdict = nat.inbound_segment(now, Flags::ACK, server, external);
        matches!(verdict, Verdict::Pass { .. })
    };
    let syn = [(false, Flags::SYN), (true, Flags::SYN | Flags::ACK)];
    let (ack, fin, rst) = (Flags::ACK, Flags::FIN | Flags::ACK, Flags::RST);
    let then = |more: &[(bool, Flags)]| [&syn[..], more].concat();
    for mapping in [Mapping::EndpointIndependent, Mapping::PerFlow] {
        let config = NatConfig { mapping, ..strict };
        let check = |script: &[(bool, Flags)], seconds: u64| {
            assert!(lives(config, script, seconds - 1), "{script:?}");
            assert!(!lives(config, script, seconds), "{script:?}");
        };
        check(&syn[..1], 240);
        check(&syn, 7440);
        check(&then(&[(false, fin)]), 7440);
        check(&then(&[(false, fin), (true, fin), (false, ack)]), 240);
        check(&then(&[(true, fin), (false, fin)]), 240);
        check(&then(&[(false, rst)]), 240);
        // The side that sent it may have been wrong.
        check(&then(&[(false, rst), (false, ack)]), 7440);
        // A new connection of the same ports.
        let again = [(false, rst), syn[0], syn[1]];
        check(&then(&again), 7440);
    }
}

/// Only a SYN makes a mapping: a NAT that has lost its state cuts off what goes through it.
#[test]
fn a_reboot_of_the_nat_cuts_connections_off_and_lets_new_ones_out() {
    let mut world = Topology::new();
    let home = world.preset("home", public(), Preset::PortRestricted);
    let (client, server) = (world.host("client", home), world.host("server", public()));
    let mut pair = Pair::new(&world, client, server, 1);
    pair.wait(100);
    let nat = pair.run.network_mut().nat_mut(home.segment).unwrap();
    nat.reboot();
    assert_eq!(nat.mappings(), 0);
    pair.write(client, b"hello?");
    pair.wait(10_000);
    assert_eq!(pair.read(server), b"");
    pair.connect(&world, 8);
    pair.wait(100);
    pair.write(client, b"hello!");
    pair.wait(100);
    assert_eq!(pair.read(server), b"hello!");
}

/// req: NATTCP-R8-1, NATTCP-R8a-1
#[test]
fn connections_hairpin_like_datagrams() {
    let mut world = Topology::new();
    let home = world.nat("home", public(), NatConfig::RFC4787);
    let (a, b) = (world.host("a", home), world.host("b", home));
    let server = world.host("server", public());
    // b's connection to the server makes the mapping that a connects to.
    let mut pair = Pair::new(&world, b, server, 1);
    pair.wait(100);
    let inner = pair.at(b).path().local;
    let external = pair.at(server).path().remote;
    pair.tell(b, StreamCommand::Listen(inner));
    pair.run.attach(a, Host::default());
    let connect = StreamCommand::Connect {
        id: 1,
        local: world.address(a),
        remote: external,
    };
    pair.tell(a, connect);
    pair.wait(100);
    let seen = pair.at(b).path();
    assert_eq!(seen.local, inner);
    assert_eq!(seen.remote.ip(), external.ip(), "not a's inside address");
}

#[test]
fn a_flipped_bit_is_seen_by_the_receiver_and_repaired() {
    let link = Link::IDEAL.with_corruption(Probability::percent(20));
    let mut pair = Pair::over(link, 3, TcpConfig::DEFAULT);
    pair.run.log_mut().record(true);
    pair.wait(30_000);
    pair.write(pair.client, &text(20_000));
    pair.wait(30_000);
    assert_eq!(pair.read(pair.server), text(20_000));
    let causes = drops(&pair.run);
    assert!(!causes.is_empty());
    assert!(causes.iter().all(|cause| *cause == DropCause::Checksum));
}

#[test]
fn the_same_seed_gives_the_same_log_and_another_seed_another() {
    let log = |seed| {
        let link = Link::IDEAL.with_loss(Probability::percent(10));
        let mut world = Topology::new();
        world.set_link(SegmentId::CORE, link);
        let site = world.preset("home", public(), Preset::Symmetric);
        let (client, server) = (world.host("client", site), world.host("server", public()));
        let mut pair = Pair::new(&world, client, server, seed);
        pair.run.log_mut().record(true);
        pair.wait(20_000);
        pair.write(client, &text(10_000));
        pair.wait(20_000);
        pair.run.log().json_lines()
    };
    assert_eq!(log(1), log(1));
    assert_ne!(log(1), log(2));
}

/// One step of a random story.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write(bool, usize),
    Close(bool),
    Reset(bool),
    Wait(u64),
    Reboot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), 1..2_000_usize).prop_map(|(side, len)| Step::Write(side, len)),
        8 => (0..2_000_u64).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Close),
        1 => any::<bool>().prop_map(Step::Reset),
        1 => Just(Step::Reboot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens, what arrives is the beginning of what was written; if nothing cuts the
    /// connection off, it is all of it. In the end the network is silent.
    #[test]
    fn what_arrives_is_a_prefix_of_what_was_written(
        steps in prop::collection::vec(step(), 0..30),
        seed in any::<u64>(),
        loss in 0..30_u32,
        mss in 1..300_u16,
        window in 1..2_000_u32,
    ) {
        let mut world = Topology::new();
        let link = Link::IDEAL
            .with_jitter(Duration::ZERO, ms(10))
            .with_reordering()
            .with_loss(Probability::percent(loss))
            .with_duplication(Probability::percent(loss / 2));
        world.set_link(SegmentId::CORE, link);
        let home = world.preset("home", Site::public(Link::delay(ms(1))), Preset::FullCone);
        let (client, server) = (world.host("client", home), world.host("server", public()));
        let config = TcpConfig { mss, window, ..TcpConfig::DEFAULT };
        let mut pair = Pair::with(&world, client, server, seed, config);
        let stop = pair.run.run(Instant::from_secs(300), |run| {
            let events = |host| &run.endpoint(host).unwrap().events;
            !events(client).is_empty() && !events(server).is_empty()
        });
        prop_assume!(stop == Stop::Done); // an unlucky SYN is given up
        let hosts = [client, server];
        let mut written = [Vec::new(), Vec::new()];
        let (mut closed, mut is_cut) = ([false; 2], false);
        for step in steps {
            match step {
                Step::Write(side, len) => {
                    let side = usize::from(side);
                    let bytes = &text(written[side].len() + len)[written[side].len()..];
                    pair.write(hosts[side], bytes);
                    if !closed[side] {
                        written[side].extend(bytes);
                    }
                }
                Step::Close(side) => {
                    let side = usize::from(side);
                    closed[side] = true;
                    let path = pair.at(hosts[side]).path();
                    pair.tell(hosts[side], StreamCommand::Close(path));
                }
                Step::Reset(side) => {
                    is_cut = true;
                    let host = hosts[usize::from(side)];
                    let path = pair.at(host).path();
                    pair.tell(host, StreamCommand::Reset(path));
                }
                Step::Wait(millis) => pair.wait(millis),
                Step::Reboot => {
                    is_cut = true;
                    pair.run.network_mut().nat_mut(home.segment).unwrap().reboot();
                }
            }
        }
        let stop = pair.run.run(Instant::from_secs(100_000), |_| false);
        prop_assert_eq!(stop, Stop::Idle);
        let is_lost = |host| {
            let said = pair.at(host).said();
            said.iter().any(|event| matches!(event, StreamEvent::Lost { .. }))
        };
        for (side, &host) in hosts.iter().enumerate() {
            let read = pair.read(hosts[1 - side]);
            prop_assert!(written[side].starts_with(&read));
            if !is_cut && !is_lost(host) {
                prop_assert_eq!(read.len(), written[side].len());
            }
        }
    }
}

//! What can go wrong with a world under way that no link does: taps, forged packets, wrong clocks,
//! hosts that sleep.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit};
use floe_sim::{
    DropCause, Endpoint, Fate, Happening, HostId, Incident, Link, Message, Simulation, Site,
    Topology,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Keeps what it gets, and when its clock says so; rings at one instant of its own clock.
#[derive(Default)]
struct Diary {
    received: Vec<(Instant, SocketAddr, String)>,
    messages: Vec<(Instant, String)>,
    alarm: Option<Instant>,
    rang: Option<Instant>,
    outbox: VecDeque<Message>,
}

impl Endpoint for Diary {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let text = String::from_utf8_lossy(datagram.payload()).into();
        self.received.push((now, datagram.path.remote, text));
        Input::Handled
    }

    fn timeout(&mut self, now: Instant) {
        self.rang = Some(now);
        self.alarm = None;
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        self.alarm
    }

    fn message(&mut self, now: Instant, _from: HostId, text: &str) {
        self.messages.push((now, text.into()));
    }

    fn poll_message(&mut self) -> Option<Message> {
        self.outbox.pop_front()
    }
}

struct World {
    run: Simulation<Diary>,
    hosts: [HostId; 2],
    addresses: [SocketAddr; 2],
}

/// Two hosts, 10 ms from each other; the signalling path takes 20 ms.
fn world() -> World {
    let mut plan = Topology::new();
    let site = Site::public(Link::delay(5 * MS));
    let hosts = ["a", "b"].map(|name| plan.host(name, site));
    let mut run = Simulation::new(&plan, 1).unwrap();
    run.set_signalling(20 * MS);
    run.log_mut().record(true);
    for host in hosts {
        run.attach(host, Diary::default());
    }
    World {
        run,
        hosts,
        addresses: hosts.map(|host| (plan.address(host), 5000).into()),
    }
}

impl World {
    fn send(&mut self, text: &'static str) {
        let path = FiveTuple::udp(self.addresses[0], self.addresses[1]);
        let payload = text.as_bytes().into();
        self.run.send(self.hosts[0], Transmit { path, payload });
    }

    fn signal(&mut self, text: &str) {
        let to = self.hosts[1];
        let text = text.to_owned();
        let send = |diary: &mut Diary, _| diary.outbox.push_back(Message { to, text });
        self.run.act(self.hosts[0], send);
    }

    fn wait(&mut self, time: Duration) {
        let _ = self.run.wait(time);
    }

    fn diary(&self) -> &Diary {
        self.run.endpoint(self.hosts[1]).unwrap()
    }

    /// What came, and when, in milliseconds.
    fn received(&self) -> Vec<(u64, &str)> {
        let received = self.diary().received.iter();
        received
            .map(|(at, _, text)| (at.as_millis(), text.as_str()))
            .collect()
    }

    fn messages(&self) -> Vec<(u64, &str)> {
        let messages = self.diary().messages.iter();
        messages
            .map(|(at, text)| (at.as_millis(), text.as_str()))
            .collect()
    }

    fn drops(&self) -> Vec<DropCause> {
        let entries = self.run.log().entries().iter();
        entries
            .filter_map(|entry| match entry.what {
                Happening::Packet {
                    incident: Incident::Dropped(cause),
                    ..
                } => Some(cause),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_tap_drops_holds_repeats_and_lets_pass() {
    let mut world = world();
    world.run.set_tap(|_, passing| match &passing.payload[..] {
        b"drop" => Fate::Drop,
        b"hold" => Fate::Hold(100 * MS),
        b"repeat" => Fate::Repeat {
            count: 2,
            every: 30 * MS,
        },
        _ => Fate::Pass,
    });
    for text in ["drop", "hold", "repeat", "pass"] {
        world.send(text);
    }
    world.wait(SECOND);
    assert_eq!(
        world.received(),
        [
            (10, "repeat"),
            (10, "pass"),
            (40, "repeat"),
            (70, "repeat"),
            (110, "hold")
        ]
    );
    assert_eq!(world.drops(), [DropCause::Tapped]);
    let counters = world.run.network().total();
    assert_eq!((counters.sent, counters.dropped), (4, 1));
    assert_eq!(counters.delivered, 5);
}

#[test]
fn a_tap_rewrites_source_and_payload() {
    let mut world = world();
    let source = "192.0.2.7:7".parse().unwrap();
    world.run.set_tap(move |_, passing| {
        passing.source = source;
        passing.payload = b"rewritten".as_slice().into();
        Fate::Pass
    });
    world.send("original");
    world.wait(SECOND);
    let (_, from, text) = &world.diary().received[0];
    assert_eq!((*from, text.as_str()), (source, "rewritten"));
}

#[test]
fn without_taps_things_are_as_before() {
    let mut world = world();
    world.run.set_tap(|_, _| Fate::Drop);
    world.run.set_message_tap(|_, _, _| Fate::Drop);
    world.run.remove_taps();
    world.send("hello");
    world.signal("hello");
    world.wait(SECOND);
    assert_eq!(world.received(), [(10, "hello")]);
    assert_eq!(world.messages(), [(20, "hello")]);
}

#[test]
fn messages_are_dropped_delayed_repeated_and_overtaken() {
    let mut world = world();
    world
        .run
        .set_message_tap(|_, _, message| match message.text.as_str() {
            "drop" => Fate::Drop,
            "hold" => Fate::Hold(50 * MS),
            "repeat" => Fate::Repeat {
                count: 1,
                every: 5 * MS,
            },
            _ => {
                message.text.push('!');
                Fate::Pass
            }
        });
    for text in ["drop", "hold", "repeat", "pass"] {
        world.signal(text);
    }
    world.wait(SECOND);
    assert_eq!(
        world.messages(),
        [(20, "repeat"), (20, "pass!"), (25, "repeat"), (70, "hold")]
    );
}

#[test]
fn a_forged_packet_bears_any_source() {
    let mut world = world();
    let stranger = "192.0.2.7:7".parse().unwrap();
    let path = FiveTuple::udp(stranger, world.addresses[1]);
    let transmit = || Transmit {
        path,
        payload: b"forged".as_slice().into(),
    };
    world.run.forge(world.hosts[0], transmit());
    world.run.send(world.hosts[0], transmit());
    world.wait(SECOND);
    assert_eq!(
        world.diary().received,
        [(Instant::from_millis(10), stranger, "forged".into())]
    );
    assert_eq!(
        world.drops(),
        [DropCause::ForeignSource],
        "what is sent bears one's own"
    );
}

#[test]
fn a_clock_that_jumps_makes_due_what_it_passes() {
    let mut world = world();
    let host = world.hosts[1];
    let ring_at = Instant::from_secs(100);
    world.run.act(host, |diary, _| diary.alarm = Some(ring_at));
    world.wait(SECOND);
    world.run.jump_clock(host, Duration::from_hours(1));
    world.send("hello");
    world.wait(SECOND);
    assert_eq!(world.diary().rang, Some(Instant::from_secs(3601)));
    assert_eq!(world.received(), [(3_601_010, "hello")]);
    assert_eq!(world.run.now(), Instant::from_secs(2), "of the world");
}

#[test]
fn a_clock_that_is_turned_back_makes_all_late() {
    let mut world = world();
    let host = world.hosts[1];
    world.wait(10 * SECOND);
    let ring_at = Instant::from_secs(11);
    world.run.act(host, |diary, _| diary.alarm = Some(ring_at));
    world.run.turn_back_clock(host, 5 * SECOND);
    world.wait(5 * SECOND);
    assert_eq!(world.diary().rang, None);
    world.wait(2 * SECOND);
    assert_eq!(world.diary().rang, Some(ring_at));
}

#[test]
fn while_a_clock_stands_packets_come_and_nothing_is_due() {
    let mut world = world();
    let host = world.hosts[1];
    let ring_at = Instant::from_secs(2);
    world.run.act(host, |diary, _| diary.alarm = Some(ring_at));
    world.wait(SECOND);
    world.run.stop_clock(host);
    world.send("hello");
    world.wait(10 * SECOND);
    assert_eq!(world.received(), [(1000, "hello")]);
    assert_eq!(world.diary().rang, None);
    world.run.start_clock(host);
    world.wait(2 * SECOND);
    assert_eq!(world.diary().rang, Some(ring_at));
}

#[test]
fn who_sleeps_loses_packets_and_finds_messages_and_deadlines() {
    let mut world = world();
    let host = world.hosts[1];
    let ring_at = Instant::from_secs(2);
    world.run.act(host, |diary, _| diary.alarm = Some(ring_at));
    world.run.sleep(host);
    world.send("lost");
    world.signal("kept");
    world.wait(10 * SECOND);
    assert_eq!(world.diary().rang, None);
    world.run.wake(host);
    world.wait(SECOND);
    assert_eq!(world.diary().rang, Some(Instant::from_secs(10)));
    assert_eq!(world.received(), []);
    assert_eq!(world.messages(), [(10_000, "kept")]);
    assert_eq!(world.drops(), [DropCause::Asleep]);
}

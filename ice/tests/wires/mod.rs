//! A network with TCP for two agents: hosts, listeners, NATs that hide openers, and ears.
#![allow(dead_code)] // each test file uses a part

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use floe_ice::{
    Agent, Candidate, CommandError, Config, Event, Framing, RemoteParameters, Role, State,
    StreamId, TcpUse,
};
use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transport};
use floe_stun::{Class, Deframer, Message, UseCandidate};

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One side of a connection.
#[derive(Clone, Debug)]
struct End {
    side: usize,
    id: StreamId,
    path: FiveTuple,
}

/// What is on its way.
#[derive(Debug)]
enum Flying {
    Datagram(FiveTuple, Vec<u8>),
    /// The opener's end, and where it knocks.
    Opening(End),
    Opened(End, Option<End>),
    Bytes(End, Vec<u8>),
    End(End),
}

pub(crate) struct Wires {
    pub(crate) now: Instant,
    pub(crate) agents: [Agent; 2],
    /// UDP gets through.
    pub(crate) udp: bool,
    /// Hosts that are behind a NAT, by their address: from outside they have another one, and nobody
    /// reaches them.
    pub(crate) nats: BTreeMap<IpAddr, IpAddr>,
    /// Addresses that nothing answers at, no refusal either.
    pub(crate) dead: BTreeSet<IpAddr>,
    pub(crate) events: [Vec<(Instant, Event)>; 2],
    pub(crate) data: [Vec<Vec<u8>>; 2],
    /// Messages sent over TCP, with their frames taken off.
    pub(crate) messages: [Vec<(Instant, FiveTuple, Vec<u8>)>; 2],
    pub(crate) datagrams: [usize; 2],
    /// The connections that are open, with the paths of both sides.
    ends: Vec<(End, End)>,
    /// By the receiving end.
    deframers: BTreeMap<(usize, StreamId), Deframer>,
    pub(crate) opening: [BTreeMap<StreamId, FiveTuple>; 2],
    /// The most that were being opened at once.
    pub(crate) most_opening: usize,
    /// What these sides say over TCP is lost.
    pub(crate) mute: [bool; 2],
    /// How long a connection takes on its way there.
    pub(crate) slow: Duration,
    listeners: [Vec<SocketAddr>; 2],
    hosts: [Vec<SocketAddr>; 2],
    port: u16,
    sequence: u64,
    queue: BTreeMap<(Instant, u64), Flying>,
    /// Trickled already.
    told: [usize; 2],
}

/// A configuration with one address for UDP and one to listen at.
pub(crate) fn config(role: Role, udp: &str, tcp: &[&str]) -> Config {
    let mut config = Config::new(role);
    config.addresses = vec![addr(udp)];
    config.tcp = TcpUse::AfterUdp;
    config.tcp_addresses = tcp.iter().map(|tcp| addr(tcp)).collect();
    config
}

pub(crate) fn tcp(local: SocketAddr, remote: SocketAddr) -> FiveTuple {
    FiveTuple {
        transport: Transport::Tcp,
        local,
        remote,
    }
}

/// Where the second side listens in [`with`].
pub(crate) const LISTENER: &str = "198.51.100.2:2001";

/// The first side opens, the second is reached at its TCP port; UDP gets nowhere.
pub(crate) fn wires() -> Wires {
    with(|_| {})
}

pub(crate) fn with(change: impl Fn(&mut Config)) -> Wires {
    let mut configs = [
        config(Role::Controlling, "192.0.2.1:1000", &[]),
        config(Role::Controlled, "198.51.100.2:2000", &[LISTENER]),
    ];
    configs.iter_mut().for_each(change);
    Wires::new(configs)
}

/// The same with a selected pair.
pub(crate) fn connected(change: impl Fn(&mut Config)) -> Wires {
    let mut wires = with(change);
    wires.meet();
    wires.run(millis(2000));
    assert!(is_completed(&wires));
    wires
}

pub(crate) fn is_completed(wires: &Wires) -> bool {
    [0, 1].map(|side| wires.agents[side].state()) == [State::Completed; 2]
}

impl Wires {
    pub(crate) fn new(configs: [Config; 2]) -> Self {
        let now = Instant::from_secs(1);
        let listeners = [0, 1].map(|side| configs[side].tcp_addresses.clone());
        let hosts = [0, 1].map(|side| configs[side].addresses.clone());
        let mut seed = 0;
        Self {
            now,
            agents: configs.map(|config| {
                seed += 1;
                Agent::new(config, [seed; 32], now)
            }),
            udp: false,
            nats: BTreeMap::new(),
            dead: BTreeSet::new(),
            events: [Vec::new(), Vec::new()],
            data: [Vec::new(), Vec::new()],
            messages: [Vec::new(), Vec::new()],
            datagrams: [0; 2],
            ends: Vec::new(),
            deframers: BTreeMap::new(),
            opening: [BTreeMap::new(), BTreeMap::new()],
            most_opening: 0,
            mute: [false; 2],
            slow: millis(10),
            listeners,
            hosts,
            port: 40_000,
            sequence: 0,
            queue: BTreeMap::new(),
            told: [0; 2],
        }
    }

    /// Both gather, and learn all about each other.
    pub(crate) fn meet(&mut self) {
        for side in [0, 1] {
            let now = self.now;
            self.agents[side].gather(now);
            self.drain(side);
        }
        for side in [0, 1] {
            self.introduce(side);
        }
        self.trickle();
    }

    pub(crate) fn introduce(&mut self, side: usize) {
        let other = &self.agents[1 - side];
        let mut parameters = RemoteParameters::new(other.credentials().clone());
        parameters.pacing = Some(other.pacing());
        self.agents[side]
            .set_remote_parameters(self.now, parameters)
            .unwrap();
        self.drain(side);
    }

    pub(crate) fn trickle(&mut self) {
        for from in [0, 1] {
            let to = 1 - from;
            let fresh: Vec<_> = self.events[from][self.told[from]..].to_vec();
            self.told[from] = self.events[from].len();
            for (_, event) in fresh {
                let result = match event {
                    Event::LocalCandidate(candidate) => {
                        self.agents[to].add_remote_candidate(self.now, candidate)
                    }
                    Event::GatheringComplete => self.agents[to].end_of_remote_candidates(self.now),
                    _ => Ok(()),
                };
                result.unwrap();
            }
            self.drain(to);
        }
    }

    pub(crate) fn candidates(&self, side: usize) -> Vec<Candidate> {
        let events = self.events[side].iter();
        events
            .filter_map(|(_, event)| match event {
                Event::LocalCandidate(candidate) => Some(candidate.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn count(&self, side: usize, which: impl Fn(&Event) -> bool) -> usize {
        let events = self.events[side].iter();
        events.filter(|(_, event)| which(event)).count()
    }

    /// The path that the data of a side takes.
    pub(crate) fn path(&self, side: usize) -> Option<FiveTuple> {
        self.agents[side].active_paths().next().map(|it| it.1)
    }

    /// The paths of the open connections, from the opener.
    pub(crate) fn open(&self) -> Vec<FiveTuple> {
        self.ends.iter().map(|(opener, _)| opener.path).collect()
    }

    /// Both have selected one pair, and data flows both ways.
    pub(crate) fn talk(&mut self) -> bool {
        let before = [self.data[0].len(), self.data[1].len()];
        let sent = self.send(0, b"\x80there") && self.send(1, b"\x80back");
        self.run(millis(100));
        sent && [0, 1].map(|side| self.data[side].len()) == [before[0] + 1, before[1] + 1]
    }

    pub(crate) fn send(&mut self, side: usize, data: &[u8]) -> bool {
        let mut buffer = vec![0; HEADROOM + data.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + data.len();
        buffer[range.clone()].copy_from_slice(data);
        let Ok(route) = self.agents[side].send(&mut buffer, range) else {
            return false;
        };
        let bytes = buffer[route.range()].to_vec();
        self.post(side, route.path, bytes);
        true
    }

    /// Writes bytes on a connection as if a side had; whatever they are.
    pub(crate) fn write(&mut self, side: usize, bytes: &[u8]) {
        let path = self.path_of(side);
        self.post(side, path, bytes.to_vec());
    }

    fn path_of(&self, side: usize) -> FiveTuple {
        let (one, other) = &self.ends[0];
        if one.side == side {
            one.path
        } else {
            other.path
        }
    }

    /// Somebody that is no agent connects to a listener of this side; what names the connection there.
    pub(crate) fn knock(
        &mut self,
        side: usize,
        at: SocketAddr,
        from: SocketAddr,
    ) -> Result<StreamId, CommandError> {
        let id = self.agents[side].stream_accepted(self.now, at, from);
        self.drain(side);
        id
    }

    /// A frame of somebody that is no agent.
    pub(crate) fn frame(&mut self, side: usize, path: FiveTuple, payload: &[u8]) -> Input {
        let mut buffer = vec![0; HEADROOM + payload.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + payload.len();
        buffer[range.clone()].copy_from_slice(payload);
        let datagram = Datagram::new(path, &mut buffer, range);
        let input = self.agents[side].handle_input(self.now, datagram);
        if let Input::Data(route) = input {
            self.data[side].push(buffer[route.range()].to_vec());
        }
        self.drain(side);
        input
    }

    /// All connections break; only these sides notice.
    pub(crate) fn reset(&mut self, noticed: [bool; 2]) {
        for (one, other) in std::mem::take(&mut self.ends) {
            for end in [one, other] {
                self.deframers.remove(&(end.side, end.id));
                if noticed[end.side] {
                    self.agents[end.side].stream_failed(self.now, end.id);
                    self.drain(end.side);
                }
            }
        }
    }

    fn fly(&mut self, time: Duration, what: Flying) {
        self.sequence += 1;
        self.queue.insert((self.now + time, self.sequence), what);
    }

    fn post(&mut self, side: usize, path: FiveTuple, bytes: Vec<u8>) {
        if path.transport == Transport::Udp {
            assert!(self.hosts[side].contains(&path.local), "{path:?}");
            self.datagrams[side] += 1;
            if self.udp {
                self.fly(millis(10), Flying::Datagram(path, bytes));
            }
            return;
        }
        let mut ends = self.ends.iter();
        let to = ends.find_map(|(one, other)| {
            let is = |end: &End| end.side == side && end.path == path;
            if is(one) {
                Some(other.clone())
            } else if is(other) {
                Some(one.clone())
            } else {
                None
            }
        });
        let Some(to) = to else {
            // Nobody has told the agent yet.
            return;
        };
        if self.mute[side] {
            return;
        }
        // Cut in two, anywhere.
        let cut = self.sequence as usize % (bytes.len() + 1);
        let (head, tail) = bytes.split_at(cut);
        let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        if length + 2 == bytes.len() {
            let message = (self.now, path, bytes[2..].to_vec());
            self.messages[side].push(message);
        }
        self.fly(millis(10), Flying::Bytes(to.clone(), head.to_vec()));
        self.fly(millis(10), Flying::Bytes(to, tail.to_vec()));
    }

    pub(crate) fn drain(&mut self, side: usize) {
        loop {
            while let Some(transmit) = self.agents[side].poll_transmit() {
                self.post(side, transmit.path, transmit.payload.to_vec());
            }
            let Some(event) = self.agents[side].poll_event() else {
                break;
            };
            self.drive(side, &event);
            self.events[side].push((self.now, event));
        }
    }

    fn drive(&mut self, side: usize, event: &Event) {
        match *event {
            Event::StreamWanted {
                id,
                transport,
                ref framing,
                local,
                remote,
            } => {
                assert_eq!((transport, framing), (Transport::Tcp, &Framing::Rfc4571));
                self.port += 1;
                let path = FiveTuple {
                    transport,
                    local: SocketAddr::new(local, self.port),
                    remote,
                };
                assert_eq!(self.opening[side].insert(id, path), None);
                let now_opening = self.opening[side].len();
                self.most_opening = self.most_opening.max(now_opening);
                if !self.dead.contains(&remote.ip()) {
                    self.fly(self.slow, Flying::Opening(End { side, id, path }));
                }
            }
            Event::StreamUnwanted(id) => {
                if self.opening[side].remove(&id).is_some() {
                    return;
                }
                let is = |end: &End| end.side == side && end.id == id;
                let place = self.ends.iter().position(|(a, b)| is(a) || is(b));
                if let Some(place) = place {
                    let (one, other) = self.ends.remove(place);
                    let other = if is(&one) { other } else { one };
                    self.deframers.remove(&(side, id));
                    self.fly(millis(10), Flying::End(other));
                }
            }
            _ => {}
        }
    }

    fn land(&mut self, what: Flying) {
        match what {
            Flying::Datagram(path, bytes) => {
                let side = usize::from(self.hosts[1].contains(&path.remote));
                if self.hosts[side].contains(&path.remote) {
                    let _ = self.frame(side, path.mirrored(), &bytes);
                }
            }
            Flying::Opening(end) => {
                let to = 1 - end.side;
                let outside = self.nats.get(&end.path.local.ip()).copied();
                let from = outside.map_or(end.path.local, |ip| {
                    SocketAddr::new(ip, end.path.local.port() + 10_000)
                });
                let at = end.path.remote;
                let reachable =
                    self.listeners[to].contains(&at) && !self.nats.contains_key(&at.ip());
                let accepted = reachable
                    .then(|| self.agents[to].stream_accepted(self.now, at, from).ok())
                    .flatten();
                let accepted = accepted.map(|id| {
                    self.deframers
                        .insert((to, id), Deframer::new(Framing::Rfc4571));
                    let path = FiveTuple {
                        transport: Transport::Tcp,
                        local: at,
                        remote: from,
                    };
                    End { side: to, id, path }
                });
                self.drain(to);
                self.fly(millis(10), Flying::Opened(end, accepted));
            }
            Flying::Opened(end, accepted) => {
                let wanted = self.opening[end.side].remove(&end.id).is_some();
                match accepted {
                    Some(other) if wanted => {
                        self.ends.push((end.clone(), other));
                        let key = (end.side, end.id);
                        self.deframers.insert(key, Deframer::new(Framing::Rfc4571));
                        self.agents[end.side]
                            .stream_opened(self.now, end.id, end.path.local)
                            .unwrap();
                    }
                    Some(other) => self.agents[other.side].stream_failed(self.now, other.id),
                    None if wanted => self.agents[end.side].stream_failed(self.now, end.id),
                    None => {}
                }
                self.drain(0);
                self.drain(1);
            }
            Flying::Bytes(end, mut bytes) => {
                let mut frames = VecDeque::new();
                let Some(deframer) = self.deframers.get_mut(&(end.side, end.id)) else {
                    return;
                };
                let mut input = bytes.as_mut_slice();
                while let Some(frame) = deframer.next_frame(&mut input).unwrap() {
                    frames.push_back(frame.to_vec());
                }
                for frame in frames {
                    let _ = self.frame(end.side, end.path, &frame);
                }
            }
            Flying::End(end) => {
                if self.deframers.remove(&(end.side, end.id)).is_none() {
                    return;
                }
                self.agents[end.side].stream_failed(self.now, end.id);
                self.drain(end.side);
            }
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let flying = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let timers = [0, 1].map(|side| self.agents[side].poll_timeout());
            let next = flying.into_iter().chain(timers.into_iter().flatten()).min();
            let Some(next) = next.filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for side in [0, 1] {
                let due = self.agents[side].poll_timeout();
                if due.is_some_and(|at| at <= self.now) {
                    self.agents[side].handle_timeout(self.now);
                    self.drain(side);
                    let later = self.agents[side].poll_timeout();
                    assert!(later.is_none_or(|at| at > self.now));
                }
            }
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let what = entry.remove();
                self.land(what);
            }
        }
        self.now = end;
    }

    /// The requests that a side sent over TCP.
    pub(crate) fn requests(&self, side: usize) -> Vec<(Instant, FiveTuple)> {
        let messages = self.messages[side].iter();
        messages
            .filter(|(_, _, bytes)| {
                Message::parse(bytes).is_ok_and(|message| message.class() == Class::Request)
            })
            .map(|&(at, path, _)| (at, path))
            .collect()
    }

    pub(crate) fn nominations(&self, side: usize) -> usize {
        let messages = self.messages[side].iter();
        messages
            .filter(|(_, _, bytes)| {
                let message = Message::parse(bytes).ok();
                message.is_some_and(|it| it.get::<UseCandidate>().unwrap().is_some())
            })
            .count()
    }
}

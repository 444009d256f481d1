//! Two agents, NATs of the simplest kind, a STUN and a TURN server that speaks TCP too, and a network
//! between them.
#![allow(dead_code)] // each test file uses a part

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use floe_ice::trace::{DEFAULT_LIMIT, Recorder, Trace};
use floe_ice::{Config, Event, RemoteParameters, State, StreamId, TurnServer};
use floe_sansio::{
    Datagram, Entropy, FiveTuple, HEADROOM, Input, Instant, Machine, TAILROOM, Transmit, Transport,
};
use floe_stun::{Class, Credentials, Message, Method, Protocol, UseCandidate};

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn stun_server() -> SocketAddr {
    addr("192.0.2.101:3478")
}

pub(crate) fn turn_server() -> SocketAddr {
    addr("192.0.2.100:3478")
}

pub(crate) fn turn_user(password: &str) -> TurnServer {
    TurnServer::new(turn_server(), Credentials::new("alice", password))
}

/// What happens to streams that are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streams {
    /// They are open after one round trip.
    Open,
    /// They are refused after one round trip.
    Refused,
    /// Nothing is heard of them.
    Silent,
}

/// What is under way.
enum Flying {
    Packet(FiveTuple, Vec<u8>),
    /// The answer to a SYN.
    Opening(usize, StreamId),
    /// A FIN of a host.
    Closing(FiveTuple),
}

pub(crate) struct Net {
    pub(crate) now: Instant,
    /// Whatever happens to them is done again at the end, see [`Net::drop`].
    pub(crate) agents: [Recorder; 2],
    hosts: [Vec<SocketAddr>; 2],
    /// The outside of each address behind a NAT, which lets everything in.
    pub(crate) outside: BTreeMap<SocketAddr, SocketAddr>,
    /// Pairs of addresses, as both ends bind them, between which nothing passes.
    pub(crate) blocked: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Addresses that nothing comes from.
    pub(crate) dead: BTreeSet<SocketAddr>,
    /// Hosts behind a firewall that lets no UDP pass.
    pub(crate) udp_blocked: BTreeSet<SocketAddr>,
    pub(crate) streams: Streams,
    /// The paths of the streams that each side has open, by name.
    pub(crate) open: [BTreeMap<StreamId, FiveTuple>; 2],
    wanted: [BTreeMap<StreamId, FiveTuple>; 2],
    ports: u16,
    stun: floe_stun::Server,
    pub(crate) turn: floe_turn::Server,
    /// In per mille, on all paths but those of the STUN server.
    pub(crate) loss: u32,
    pub(crate) events: [Vec<(Instant, Event)>; 2],
    pub(crate) data: [Vec<Vec<u8>>; 2],
    /// Paths that each side nominated.
    pub(crate) nominated: [BTreeSet<FiveTuple>; 2],
    /// Methods of the requests to the TURN server, in the order of their arrival.
    pub(crate) turn_requests: Vec<(Instant, Method)>,
    /// When each side sent a new request to a server.
    pub(crate) to_servers: [Vec<Instant>; 2],
    announced: [usize; 2],
    entropy: Entropy,
    queue: BTreeMap<(Instant, u64), Flying>,
    packets: u64,
}

impl Net {
    pub(crate) fn new(configs: [Config; 2], seed: u8) -> Self {
        let now = Instant::from_secs(1);
        let mut entropy = Entropy::new([seed; 32]);
        let hosts = [0, 1].map(|side: usize| configs[side].addresses.clone());
        let turn = floe_turn::ServerConfig::new(
            vec![turn_server()],
            vec![turn_server().ip()],
            "example.org",
        )
        .with_user("alice", "secret");
        Self {
            now,
            agents: configs.map(|config| Recorder::new(config, entropy.seed(), now, DEFAULT_LIMIT)),
            hosts,
            outside: BTreeMap::new(),
            blocked: BTreeSet::new(),
            dead: BTreeSet::new(),
            udp_blocked: BTreeSet::new(),
            streams: Streams::Open,
            open: Default::default(),
            wanted: Default::default(),
            ports: 50000,
            stun: floe_stun::Server::new(entropy.seed(), now),
            turn: floe_turn::Server::new(turn, entropy.seed(), now),
            loss: 0,
            events: [Vec::new(), Vec::new()],
            data: [Vec::new(), Vec::new()],
            nominated: [BTreeSet::new(), BTreeSet::new()],
            turn_requests: Vec::new(),
            to_servers: [Vec::new(), Vec::new()],
            announced: [0; 2],
            entropy,
            queue: BTreeMap::new(),
            packets: 0,
        }
    }

    pub(crate) fn gather(&mut self, side: usize) {
        self.agents[side].gather(self.now);
        self.drain(side);
    }

    /// Side `to` learns the other side's credentials.
    pub(crate) fn introduce(&mut self, to: usize) {
        let parameters = RemoteParameters {
            credentials: self.agents[1 - to].credentials().clone(),
            pacing: Some(self.agents[1 - to].pacing()),
            lite: false,
            renomination: false,
        };
        self.agents[to]
            .set_remote_parameters(self.now, parameters)
            .unwrap();
        self.drain(to);
    }

    /// Side `to` learns the next thing that the other side announced; `false` if there is none.
    pub(crate) fn trickle(&mut self, to: usize) -> bool {
        while let Some((_, event)) = self.events[1 - to].get(self.announced[to]) {
            let event = event.clone();
            self.announced[to] += 1;
            let agent = &mut self.agents[to];
            if matches!(agent.state(), State::Failed(_)) {
                continue;
            }
            match event {
                Event::LocalCandidate(candidate) => {
                    agent.add_remote_candidate(self.now, candidate).unwrap();
                }
                Event::GatheringComplete => agent.end_of_remote_candidates(self.now).unwrap(),
                _ => continue,
            }
            self.drain(to);
            return true;
        }
        false
    }

    /// Both gather, wait, and learn all.
    pub(crate) fn connect(&mut self) {
        for side in [0, 1] {
            self.gather(side);
        }
        self.run(Duration::from_secs(1));
        for side in [0, 1] {
            self.introduce(side);
            while self.trickle(side) {}
        }
    }

    /// Runs for a time, in which everything announced is trickled at once.
    pub(crate) fn run_trickling(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 10 {
            self.run(Duration::from_millis(10));
            for side in [0, 1] {
                while self.trickle(side) {}
            }
        }
    }

    pub(crate) fn send(&mut self, side: usize, data: &[u8]) -> bool {
        let mut buffer = vec![0; HEADROOM + data.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + data.len();
        buffer[range.clone()].copy_from_slice(data);
        let Ok(route) = self.agents[side].send(&mut buffer, range) else {
            return false;
        };
        self.post(route.path, buffer[route.range()].to_vec());
        true
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let packet = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let timers = self.agents.iter().filter_map(Recorder::poll_timeout);
            let next = timers.chain(packet).chain(self.turn.poll_timeout()).min();
            let Some(next) = next.filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.turn.handle_timeout(self.now);
            for side in [0, 1] {
                let agent = &mut self.agents[side];
                if agent.poll_timeout().is_some_and(|at| at <= self.now) {
                    agent.handle_timeout(self.now);
                    let later = agent.poll_timeout();
                    assert!(later.is_none_or(|at| at > self.now), "{later:?}");
                    self.drain(side);
                }
            }
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                match entry.remove() {
                    Flying::Packet(path, bytes) => self.arrive(path, &bytes),
                    Flying::Opening(side, id) => self.answer_opening(side, id),
                    Flying::Closing(path) => self.turn.client_closed(self.now, path.mirrored()),
                }
            }
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self, side: usize) {
        while let Some(Transmit { path, payload }) = self.agents[side].poll_transmit() {
            let is_own = match path.transport {
                Transport::Udp => self.hosts[side].contains(&path.local),
                _ => self.open[side].values().any(|&open| open == path),
            };
            assert!(is_own, "from {path:?}");
            let servers = [stun_server(), turn_server()];
            let request = Message::parse(&payload)
                .ok()
                .filter(|m| m.class() == Class::Request);
            if let Some(request) = request {
                if request.get::<UseCandidate>().unwrap().is_some() {
                    self.nominated[side].insert(path);
                }
                if servers.contains(&path.remote) {
                    self.to_servers[side].push(self.now);
                }
            }
            self.post(path, payload.to_vec());
        }
        while let Some(event) = self.agents[side].poll_event() {
            self.drive_streams(side, &event);
            self.events[side].push((self.now, event));
        }
    }

    fn drive_streams(&mut self, side: usize, event: &Event) {
        match *event {
            Event::StreamWanted {
                id,
                transport,
                local,
                remote,
                ..
            } => {
                assert_eq!(remote, turn_server());
                self.ports += 1;
                let local = SocketAddr::new(local, self.ports);
                let path = FiveTuple {
                    transport,
                    local,
                    remote,
                };
                assert_eq!(self.wanted[side].insert(id, path), None);
                if self.streams != Streams::Silent {
                    self.fly(20, Flying::Opening(side, id));
                }
            }
            Event::StreamUnwanted(id) => {
                let wanted = self.wanted[side].remove(&id);
                assert!(wanted.is_some(), "twice, or never wanted: {id:?}");
                if let Some(path) = self.open[side].remove(&id) {
                    self.fly(10, Flying::Closing(path));
                }
            }
            _ => {}
        }
    }

    fn answer_opening(&mut self, side: usize, id: StreamId) {
        // Perhaps it is not wanted any more.
        let Some(&path) = self.wanted[side].get(&id) else {
            return;
        };
        let agent = &mut self.agents[side];
        if self.streams == Streams::Open {
            agent.stream_opened(self.now, id, path.local).unwrap();
            self.open[side].insert(id, path);
        } else {
            agent.stream_failed(self.now, id);
            self.wanted[side].remove(&id);
        }
        self.drain(side);
    }

    /// The connection is reset at both ends.
    pub(crate) fn reset_streams(&mut self, side: usize) {
        for (id, path) in std::mem::take(&mut self.open[side]) {
            self.wanted[side].remove(&id);
            self.turn.client_closed(self.now, path.mirrored());
            self.agents[side].stream_failed(self.now, id);
            self.drain(side);
        }
    }

    /// Streams that are open or being opened.
    pub(crate) fn streams_in_use(&self, side: usize) -> usize {
        self.wanted[side].len()
    }

    fn fly(&mut self, millis: u64, what: Flying) {
        self.packets += 1;
        let at = self.now + Duration::from_millis(millis);
        self.queue.insert((at, self.packets), what);
    }

    fn post(&mut self, path: FiveTuple, bytes: Vec<u8>) {
        let server = [path.local, path.remote].contains(&stun_server());
        let is_datagram = path.transport == Transport::Udp;
        if is_datagram && !server && self.entropy.below(1000) < self.loss {
            return;
        }
        self.fly(10, Flying::Packet(path, bytes));
    }

    /// A packet leaves `path.local` for `path.remote`.
    fn arrive(&mut self, path: FiveTuple, bytes: &[u8]) {
        let inside = |outside: SocketAddr| {
            let found = self.outside.iter().find(|&(_, &public)| public == outside);
            found.map_or(outside, |(&private, _)| private)
        };
        let (from, to) = (path.local, inside(path.remote));
        let hidden = to == path.remote && self.outside.contains_key(&to);
        let blocked = self.blocked.contains(&(from, to)) || self.blocked.contains(&(to, from));
        let is_datagram = path.transport == Transport::Udp;
        let has_no_udp = |address: &SocketAddr| self.udp_blocked.contains(address);
        if is_datagram && (has_no_udp(&from) || has_no_udp(&to)) {
            return;
        }
        if hidden || blocked || self.dead.contains(&from) || self.dead.contains(&to) {
            return;
        }
        let source = self.outside.get(&from).copied().unwrap_or(from);
        let path = FiveTuple {
            transport: path.transport,
            local: to,
            remote: source,
        };
        let is_at = |side: &usize| {
            let mut open = self.open[*side].values();
            match path.transport {
                Transport::Udp => self.hosts[*side].contains(&to),
                _ => open.any(|&open| open == path),
            }
        };
        if let Some(side) = (0..2).find(is_at) {
            let (input, buffer) = feed(&mut self.agents[side], self.now, path, bytes);
            if let Input::Data(route) = input {
                self.data[side].push(buffer[route.range()].to_vec());
            }
            self.drain(side);
        } else if to == stun_server() {
            let _ = feed(&mut self.stun, self.now, path, bytes);
            while let Some(Transmit { path, payload }) = self.stun.poll_transmit() {
                self.post(path, payload.to_vec());
            }
        } else if to.ip() == turn_server().ip() {
            self.note(to, bytes);
            let (input, buffer) = feed(&mut self.turn, self.now, path, bytes);
            if let Input::Forward(route) = input {
                self.post(route.path, buffer[route.range()].to_vec());
            }
            while let Some(Transmit { path, payload }) = self.turn.poll_transmit() {
                self.post(path, payload.to_vec());
            }
            while self.turn.poll_event().is_some() {}
        }
    }

    fn note(&mut self, to: SocketAddr, bytes: &[u8]) {
        if to != turn_server() || Protocol::of(bytes) != Protocol::Stun {
            return;
        }
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        let kinds = [Class::Request, Class::Indication];
        if kinds.contains(&message.class()) {
            self.turn_requests.push((self.now, message.method()));
        }
    }

    pub(crate) fn candidates(&self, side: usize) -> Vec<floe_ice::Candidate> {
        let events = self.events[side].iter();
        events
            .filter_map(|(_, event)| match event {
                Event::LocalCandidate(candidate) => Some(candidate.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn count(&self, side: usize, which: impl Fn(&Event) -> bool) -> usize {
        self.events[side].iter().filter(|(_, e)| which(e)).count()
    }

    /// Both have agreed on the same pair, each seen from its side.
    pub(crate) fn agree(&self) -> bool {
        let [one, two] = [0, 1].map(|side: usize| {
            let agent = &self.agents[side];
            agent
                .selected()
                .filter(|_| agent.state() == State::Completed)
        });
        one.zip(two).is_some_and(|(one, two)| {
            one.local.address == two.remote.address && one.remote.address == two.local.address
        })
    }
}

fn feed<M: Machine>(
    machine: &mut M,
    now: Instant,
    path: FiveTuple,
    bytes: &[u8],
) -> (Input, Vec<u8>) {
    let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + bytes.len();
    buffer[range.clone()].copy_from_slice(bytes);
    let datagram = Datagram::new(path, &mut buffer, range);
    let input = machine.handle_input(now, datagram);
    (input, buffer)
}

/// Every session of every test runs the same when it is run again.
impl Drop for Net {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for agent in &self.agents {
                let trace = Trace::parse(agent.trace()).unwrap();
                assert_eq!(trace.replay().difference, None);
            }
        }
    }
}

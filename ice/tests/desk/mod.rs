//! One agent and the servers it asks, 10 ms away.
#![allow(dead_code)] // each test file uses a part

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use floe_ice::{
    Agent, Candidate, CandidateKind, Config, Event, GatheringError, StreamId, TurnServer,
};
use floe_sansio::{Datagram, FiveTuple, HEADROOM, Instant, Machine, TAILROOM, Transmit, Transport};
use floe_stun::{Credentials, Lifetime, Message, Method};

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A request or an indication of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// In ms since the beginning.
    pub(crate) at: u64,
    pub(crate) path: FiveTuple,
    pub(crate) method: Method,
    /// A Refresh that releases.
    pub(crate) releases: bool,
}

/// What a server that is moved by hand says.
pub(crate) type Script = fn(&Message<'_>) -> Vec<u8>;

enum Flying {
    Packet(FiveTuple, Vec<u8>),
    Opening(StreamId),
}

pub(crate) struct Desk {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) agent: Agent,
    stun: floe_stun::Server,
    pub(crate) stun_servers: BTreeSet<SocketAddr>,
    pub(crate) turn_servers: BTreeMap<SocketAddr, floe_turn::Server>,
    pub(crate) scripts: BTreeMap<SocketAddr, Script>,
    /// Servers that hear nothing, over UDP or at all.
    pub(crate) silent: BTreeSet<SocketAddr>,
    pub(crate) no_udp: bool,
    /// The outside of addresses that are behind a NAT.
    pub(crate) outside: BTreeMap<SocketAddr, SocketAddr>,
    /// Whether the owner can bind other ports.
    pub(crate) has_ports: bool,
    pub(crate) sockets: BTreeMap<StreamId, FiveTuple>,
    next_port: u16,
    pub(crate) asked: Vec<Asked>,
    pub(crate) events: Vec<(u64, Event)>,
    queue: BTreeMap<(Instant, u64), Flying>,
    posted: u64,
}

pub(crate) fn turn_server(listener: SocketAddr) -> floe_turn::ServerConfig {
    floe_turn::ServerConfig::new(vec![listener], vec![listener.ip()], "example.org")
        .with_user("alice", "secret")
}

pub(crate) fn turn_user(server: &str) -> TurnServer {
    TurnServer::new(addr(server), Credentials::new("alice", "secret"))
}

impl Desk {
    /// All servers that the configuration names work.
    pub(crate) fn new(config: Config) -> Self {
        let now = Instant::from_secs(1);
        let stun_servers = config.stun_servers.iter().copied().collect();
        let listeners: BTreeSet<_> = config.turn_servers.iter().map(|it| it.address).collect();
        let turn_servers = listeners.into_iter().map(|listener| {
            let server = floe_turn::Server::new(turn_server(listener), [3; 32], now);
            (listener, server)
        });
        Self {
            start: now,
            now,
            turn_servers: turn_servers.collect(),
            agent: Agent::new(config, [1; 32], now),
            stun: floe_stun::Server::new([2; 32], now),
            stun_servers,
            scripts: BTreeMap::new(),
            silent: BTreeSet::new(),
            no_udp: false,
            outside: BTreeMap::new(),
            has_ports: true,
            sockets: BTreeMap::new(),
            next_port: 50000,
            asked: Vec::new(),
            events: Vec::new(),
            queue: BTreeMap::new(),
            posted: 0,
        }
    }

    pub(crate) fn gather(&mut self) {
        self.agent.gather(self.now);
        self.drain();
    }

    /// Runs until so many ms after the beginning.
    pub(crate) fn run_until(&mut self, at: u64) {
        let end = self.start + millis(at);
        loop {
            let packet = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let servers = self.turn_servers.values().filter_map(Machine::poll_timeout);
            let next = self.agent.poll_timeout().into_iter().chain(packet);
            let Some(next) = next.chain(servers).min().filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for server in self.turn_servers.values_mut() {
                server.handle_timeout(self.now);
            }
            if self.agent.poll_timeout().is_some_and(|at| at <= self.now) {
                self.agent.handle_timeout(self.now);
                let later = self.agent.poll_timeout();
                assert!(later.is_none_or(|at| at > self.now), "{later:?}");
                self.drain();
            }
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                match entry.remove() {
                    Flying::Packet(path, bytes) => self.arrive(path, &bytes),
                    Flying::Opening(id) => self.open(id),
                }
            }
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self) {
        loop {
            while let Some(Transmit { path, payload }) = self.agent.poll_transmit() {
                if let Ok(message) = Message::parse(&payload) {
                    let lifetime = message.get::<Lifetime>().ok().flatten();
                    self.asked.push(Asked {
                        at: (self.now - self.start).as_millis() as u64,
                        path,
                        method: message.method(),
                        releases: lifetime.is_some_and(|it| it.duration() == Duration::ZERO),
                    });
                }
                self.fly(10, Flying::Packet(path, payload.to_vec()));
            }
            let Some(event) = self.agent.poll_event() else {
                return;
            };
            match event {
                Event::StreamWanted {
                    id,
                    transport,
                    local,
                    remote,
                    ..
                } => {
                    self.next_port += 1;
                    let path = FiveTuple {
                        transport,
                        local: SocketAddr::new(local, self.next_port),
                        remote,
                    };
                    self.sockets.insert(id, path);
                    if !transport.is_reliable() {
                        self.open(id);
                    } else if !self.silent.contains(&remote) {
                        self.fly(20, Flying::Opening(id));
                    }
                }
                Event::StreamUnwanted(id) => assert!(self.sockets.remove(&id).is_some()),
                _ => {}
            }
            let at = (self.now - self.start).as_millis() as u64;
            self.events.push((at, event));
        }
    }

    fn open(&mut self, id: StreamId) {
        let Some(&path) = self.sockets.get(&id) else {
            return;
        };
        if self.has_ports || path.transport.is_reliable() {
            let opened = self.agent.stream_opened(self.now, id, path.local);
            opened.unwrap();
        } else {
            self.sockets.remove(&id);
            self.agent.stream_failed(self.now, id);
        }
        self.drain();
    }

    fn fly(&mut self, delay: u64, what: Flying) {
        self.posted += 1;
        let at = self.now + millis(delay);
        self.queue.insert((at, self.posted), what);
    }

    /// A packet of the agent, or an answer to it, seen from where it came from.
    fn arrive(&mut self, path: FiveTuple, bytes: &[u8]) {
        let servers = [path.local, path.remote];
        let is_blocked = self.no_udp && path.transport == Transport::Udp;
        if is_blocked || servers.iter().any(|it| self.silent.contains(it)) {
            return;
        }
        let inside = self.outside.iter().find(|(_, out)| **out == path.remote);
        if self.turn_servers.contains_key(&path.local)
            || self.stun_servers.contains(&path.local)
            || self.scripts.contains_key(&path.local)
        {
            let remote = inside.map_or(path.remote, |(&inside, _)| inside);
            let path = FiveTuple {
                transport: path.transport,
                local: remote,
                remote: path.local,
            };
            feed(&mut self.agent, self.now, path, bytes);
            return self.drain();
        }
        let source = self.outside.get(&path.local).copied();
        let at_server = FiveTuple {
            transport: path.transport,
            local: path.remote,
            remote: source.unwrap_or(path.local),
        };
        let mut answers = Vec::new();
        if let Some(script) = self.scripts.get(&path.remote) {
            let message = Message::parse(bytes).unwrap();
            answers.push((at_server, script(&message)));
        } else if is_binding(bytes) {
            // TURN servers tell it too.
            feed(&mut self.stun, self.now, at_server, bytes);
            while let Some(Transmit { path, payload }) = self.stun.poll_transmit() {
                answers.push((path, payload.to_vec()));
            }
        } else if let Some(server) = self.turn_servers.get_mut(&path.remote) {
            feed(server, self.now, at_server, bytes);
            while let Some(Transmit { path, payload }) = server.poll_transmit() {
                answers.push((path, payload.to_vec()));
            }
            while server.poll_event().is_some() {}
        }
        for (path, bytes) in answers {
            self.fly(10, Flying::Packet(path, bytes));
        }
    }

    /// When this server was asked what.
    pub(crate) fn asked_at(&self, server: SocketAddr, method: Method) -> Vec<u64> {
        let to = self.asked.iter().filter(|it| it.path.remote == server);
        to.filter(|it| it.method == method)
            .map(|it| it.at)
            .collect()
    }

    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let events = self.events.iter();
        events
            .filter_map(|(_, event)| match event {
                Event::LocalCandidate(candidate) => Some(candidate.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn of_kind(&self, kind: CandidateKind) -> Vec<Candidate> {
        let mut candidates = self.candidates();
        candidates.retain(|it| it.kind == kind);
        candidates
    }

    pub(crate) fn failures(&self) -> Vec<(SocketAddr, GatheringError)> {
        let events = self.events.iter();
        events
            .filter_map(|(_, event)| match *event {
                Event::GatheringFailed { server, cause, .. } => Some((server, cause)),
                _ => None,
            })
            .collect()
    }

    /// When gathering ended.
    pub(crate) fn gathered(&self) -> Option<u64> {
        let mut events = self.events.iter();
        let end = events.find(|(_, event)| *event == Event::GatheringComplete);
        end.map(|&(at, _)| at)
    }

    pub(crate) fn allocations(&self) -> usize {
        self.turn_servers
            .values()
            .map(floe_turn::Server::allocations)
            .sum()
    }
}

fn is_binding(bytes: &[u8]) -> bool {
    Message::parse(bytes).is_ok_and(|message| message.method() == Method::BINDING)
}

fn feed<M: Machine>(machine: &mut M, now: Instant, path: FiveTuple, bytes: &[u8]) {
    let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + bytes.len();
    buffer[range.clone()].copy_from_slice(bytes);
    let _ = machine.handle_input(now, Datagram::new(path, &mut buffer, range));
}

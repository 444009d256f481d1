//! A network for two agents: a constant delay, loss in per mille, and ears.
#![allow(dead_code)]

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use floe_ice::{Agent, Config, Event, RemoteParameters, Role};
use floe_sansio::{Datagram, Entropy, FiveTuple, HEADROOM, Input, Instant, TAILROOM};
use floe_stun::{Class, Message, UseCandidate};

pub(crate) struct Room {
    pub(crate) now: Instant,
    pub(crate) delay: Duration,
    pub(crate) loss: u32,
    /// Answers seem to come from another port.
    pub(crate) spoof_answers: bool,
    /// Both are behind a NAT that shows each packet another port, and lets in whatever comes to one.
    pub(crate) scatters: bool,
    pub(crate) agents: [Agent; 2],
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) events: [Vec<(Instant, Event)>; 2],
    pub(crate) data: [Vec<Vec<u8>>; 2],
    /// Requests sent by each side.
    pub(crate) requests: [usize; 2],
    /// Requests with USE-CANDIDATE sent by each side.
    pub(crate) nominations: [usize; 2],
    pub(crate) messages: Vec<Vec<u8>>,
    /// Who is behind which port of the NAT.
    mapped: BTreeMap<SocketAddr, usize>,
    entropy: Entropy,
    queue: BTreeMap<(Instant, u64), (FiveTuple, Vec<u8>)>,
    sequence: u64,
}

impl Room {
    pub(crate) fn hosts() -> Self {
        Self::with_roles(Role::Controlling, Role::Controlled, 1)
    }

    pub(crate) fn with_roles(one: Role, two: Role, seed: u8) -> Self {
        Self::hosts_with(Config::new(one), Config::new(two), seed)
    }

    pub(crate) fn hosts_with(mut one: Config, mut two: Config, seed: u8) -> Self {
        let addresses: [SocketAddr; 2] =
            ["192.0.2.1:1000", "192.0.2.2:2000"].map(|a| a.parse().unwrap());
        one.addresses = vec![addresses[0]];
        two.addresses = vec![addresses[1]];
        let now = Instant::ZERO;
        let mut room = Self {
            now,
            delay: Duration::from_millis(10),
            loss: 0,
            spoof_answers: false,
            scatters: false,
            mapped: BTreeMap::new(),
            agents: [
                Agent::new(one, [seed; 32], now),
                Agent::new(two, [seed + 100; 32], now),
            ],
            addresses,
            events: [Vec::new(), Vec::new()],
            data: [Vec::new(), Vec::new()],
            requests: [0; 2],
            nominations: [0; 2],
            messages: Vec::new(),
            entropy: Entropy::new([seed; 32]),
            queue: BTreeMap::new(),
            sequence: 0,
        };
        for side in [0, 1] {
            room.agents[side].gather(now);
            room.drain(side);
        }
        room
    }

    /// Side `to` learns all about side `from`.
    pub(crate) fn exchange(&mut self, from: usize, to: usize) {
        self.exchange_credentials(from, to);
        let candidates: Vec<_> = self.events[from]
            .iter()
            .filter_map(|(_, event)| match event {
                Event::LocalCandidate(candidate) => Some(candidate.clone()),
                _ => None,
            })
            .collect();
        for candidate in candidates {
            self.agents[to]
                .add_remote_candidate(self.now, candidate)
                .unwrap();
        }
        self.end_of_candidates(from, to);
    }

    pub(crate) fn exchange_credentials(&mut self, from: usize, to: usize) {
        let parameters = RemoteParameters {
            credentials: self.agents[from].credentials().clone(),
            pacing: Some(self.agents[from].pacing()),
            lite: false,
            renomination: false,
        };
        self.agents[to]
            .set_remote_parameters(self.now, parameters)
            .unwrap();
        self.drain(to);
    }

    pub(crate) fn end_of_candidates(&mut self, _from: usize, to: usize) {
        self.agents[to].end_of_remote_candidates(self.now).unwrap();
        self.drain(to);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn send(&mut self, side: usize, data: &[u8]) -> bool {
        let mut buffer = vec![0; HEADROOM + data.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + data.len();
        buffer[range.clone()].copy_from_slice(data);
        let Ok(route) = self.agents[side].send(&mut buffer, range) else {
            return false;
        };
        let bytes = buffer[route.range()].to_vec();
        self.post(route.path, bytes);
        true
    }

    fn post(&mut self, path: FiveTuple, bytes: Vec<u8>) {
        if self.entropy.below(1000) < self.loss {
            return;
        }
        self.sequence += 1;
        let at = self.now + self.delay;
        self.queue.insert((at, self.sequence), (path, bytes));
    }

    pub(crate) fn drain(&mut self, side: usize) {
        while let Some(transmit) = self.agents[side].poll_transmit() {
            let bytes = transmit.payload.to_vec();
            if let Ok(message) = Message::parse(&bytes) {
                if message.class() == Class::Request {
                    self.requests[side] += 1;
                    if message.get::<UseCandidate>().unwrap().is_some() {
                        self.nominations[side] += 1;
                    }
                }
            }
            self.messages.push(bytes.clone());
            self.post(transmit.path, bytes);
        }
        while let Some(event) = self.agents[side].poll_event() {
            self.events[side].push((self.now, event));
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let packet = self.queue.first_key_value().map(|(&(at, _), _)| at);
            let timers = [0, 1].map(|side| self.agents[side].poll_timeout());
            let next = packet.into_iter().chain(timers.into_iter().flatten()).min();
            let Some(next) = next.filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for side in [0, 1] {
                if self.agents[side]
                    .poll_timeout()
                    .is_some_and(|at| at <= self.now)
                {
                    self.agents[side].handle_timeout(self.now);
                    self.drain(side);
                    let later = self.agents[side].poll_timeout();
                    assert!(
                        later.is_none_or(|at| at > self.now),
                        "{later:?} at {:?}",
                        self.now
                    );
                }
            }
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (path, bytes) = entry.remove();
                self.deliver(path, &bytes);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, path: FiveTuple, bytes: &[u8]) {
        let known = self.addresses.iter().position(|&a| a == path.remote);
        let Some(side) = known.or_else(|| self.mapped.get(&path.remote).copied()) else {
            return;
        };
        let mut source = path.local;
        if self.scatters {
            let port = 10_000 + u16::try_from(self.mapped.len()).unwrap();
            source = SocketAddr::from(([203, 0, 113, 1], port));
            self.mapped.insert(source, 1 - side);
        }
        let answer = Message::parse(bytes).is_ok_and(|m| m.class() == Class::Success);
        if self.spoof_answers && answer {
            source.set_port(source.port() + 1);
        }
        self.deliver_raw(side, source, bytes);
    }

    pub(crate) fn deliver_raw(&mut self, side: usize, source: SocketAddr, bytes: &[u8]) -> bool {
        let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + bytes.len();
        buffer[range.clone()].copy_from_slice(bytes);
        let path = FiveTuple::udp(self.addresses[side], source);
        let datagram = Datagram::new(path, &mut buffer, range);
        let input = self.agents[side].handle_input(self.now, datagram);
        if let Input::Data(route) = input {
            self.data[side].push(buffer[route.range()].to_vec());
        }
        self.drain(side);
        !matches!(input, Input::Dropped(_))
    }
}

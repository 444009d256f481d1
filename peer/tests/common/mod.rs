//! What the tests share: connections, and a network for two of them.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use floe_peer::{
    Codec, Config, Connection, DataChannel, DescriptionKind, Direction, DtlsIdentity, Error, Event,
    Fingerprint, IceCandidate, Rtp, SectionConfig, Setup, State,
};
use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM};

pub(crate) use DescriptionKind::{Answer, Offer, Pranswer};

pub(crate) const SCENARIOS: [&str; 4] = ["data", "audio-video-data", "recvonly", "simulcast"];

/// A file of `data`, as text.
pub(crate) fn sample(name: &str) -> String {
    String::from_utf8(sample_bytes(name)).unwrap()
}

pub(crate) fn sample_bytes(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The candidates that a browser signalled in this scenario.
pub(crate) fn sample_candidates(scenario: &str) -> Vec<IceCandidate> {
    let list: serde_json::Value =
        serde_json::from_str(&sample(&format!("{scenario}-candidates.json"))).unwrap();
    let candidate = |entry: &serde_json::Value| IceCandidate {
        candidate: entry["candidate"].as_str().unwrap().into(),
        sdp_mid: entry["sdpMid"].as_str().map(String::from),
        sdp_mline_index: entry["sdpMLineIndex"].as_u64().map(|index| index as u16),
        username_fragment: entry["usernameFragment"].as_str().map(String::from),
    };
    list.as_array().unwrap().iter().map(candidate).collect()
}

/// The UDP packets of the captured session.
pub(crate) fn captured() -> Vec<(FiveTuple, Vec<u8>)> {
    let file = sample_bytes("webrtc-chromium-aiortc-datachannel.pcap");
    let mut rest = &file[24..];
    let mut packets = Vec::new();
    while rest.len() > 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let ip = &rest[16 + 14..16 + length];
        let udp = &ip[usize::from(ip[0] & 15) * 4..];
        let address = |at: usize, port: usize| {
            let octets: [u8; 4] = ip[at..at + 4].try_into().unwrap();
            SocketAddr::from((octets, u16::from_be_bytes([udp[port], udp[port + 1]])))
        };
        let end = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
        let path = FiveTuple::udp(address(12, 0), address(16, 2));
        packets.push((path, udp[8..end].to_vec()));
        rest = &rest[16 + length..];
    }
    assert_eq!(packets.len(), 60);
    packets
}

pub(crate) fn identity(byte: u8) -> DtlsIdentity {
    DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256([byte; 32])],
        setup: Setup::Actpass,
        tls_id: None,
    }
}

pub(crate) fn data() -> SectionConfig {
    SectionConfig::Application(DataChannel::default())
}

pub(crate) fn audio(direction: Direction) -> SectionConfig {
    SectionConfig::Audio(Rtp::new(Codec::audio(), direction))
}

pub(crate) fn video(direction: Direction) -> SectionConfig {
    SectionConfig::Video(Rtp::new(Codec::video(), direction))
}

/// The sections that a scenario's offers have.
pub(crate) fn offered(scenario: &str) -> Vec<SectionConfig> {
    match scenario {
        "data" => vec![data()],
        "audio-video-data" => vec![
            audio(Direction::SendRecv),
            video(Direction::SendRecv),
            data(),
        ],
        "recvonly" => vec![audio(Direction::RecvOnly), video(Direction::RecvOnly)],
        _ => vec![video(Direction::SendOnly)],
    }
}

pub(crate) const NOW: Instant = Instant::from_secs(1000);

pub(crate) const HERE: &str = "192.0.2.1:1000";
pub(crate) const THERE: &str = "192.0.2.2:2000";

/// A connection at this address, with a seed and a certificate of its own.
pub(crate) fn connection(address: &str, seed: u8, sections: Vec<SectionConfig>) -> Connection {
    let mut config = Config::new(identity(seed), sections);
    config.addresses = vec![address.parse().unwrap()];
    Connection::new(config, [seed; 32], NOW).unwrap()
}

/// All that can be seen of a connection: a call without effect leaves it as it was.
pub(crate) fn looks(connection: &Connection) -> String {
    format!(
        "{connection:?} {:?} {:?} {}",
        connection.negotiated(),
        connection.poll_timeout(),
        connection.retained()
    )
}

/// Everything that the connection has to say.
pub(crate) fn drain_events(connection: &mut Connection) -> Vec<Event> {
    core::iter::from_fn(|| connection.poll_event()).collect()
}

/// The candidates among the events.
pub(crate) fn candidates(events: &[Event]) -> Vec<IceCandidate> {
    let candidate = |event: &Event| match event {
        Event::Candidate(candidate) => Some(candidate.clone()),
        _ => None,
    };
    events.iter().filter_map(candidate).collect()
}

/// A delivery with the room around it that drivers leave.
pub(crate) fn deliver(
    connection: &mut Connection,
    now: Instant,
    path: FiveTuple,
    bytes: &[u8],
) -> Input {
    let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + bytes.len();
    buffer[range.clone()].copy_from_slice(bytes);
    connection.handle_input(now, Datagram::new(path, &mut buffer, range))
}

/// Two connections on one network without NATs; packets and candidates take 10 ms.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) peers: [Connection; 2],
    /// Whether candidates are signalled to the other side.
    pub(crate) trickle: bool,
    pub(crate) events: [Vec<Event>; 2],
    pub(crate) data: [Vec<Vec<u8>>; 2],
    pub(crate) sent: Vec<(FiveTuple, Vec<u8>)>,
    /// Candidates that were refused.
    pub(crate) refused: Vec<Error>,
    /// Which packets the network loses.
    pub(crate) loses: fn(&FiveTuple, &[u8]) -> bool,
    /// Where each side lives.
    pub(crate) homes: [Vec<SocketAddr>; 2],
    queue: BTreeMap<(Instant, u64), Cargo>,
    number: u64,
}

enum Cargo {
    Packet(FiveTuple, Vec<u8>),
    Candidate(usize, IceCandidate),
}

const DELAY: Duration = Duration::from_millis(10);

impl Pair {
    pub(crate) fn new(here: Vec<SectionConfig>, there: Vec<SectionConfig>) -> Self {
        Self::of([connection(HERE, 1, here), connection(THERE, 2, there)])
    }

    pub(crate) fn of(peers: [Connection; 2]) -> Self {
        Self {
            now: NOW,
            peers,
            trickle: true,
            events: [Vec::new(), Vec::new()],
            data: [Vec::new(), Vec::new()],
            sent: Vec::new(),
            refused: Vec::new(),
            loses: |_, _| false,
            homes: [HERE, THERE].map(|home| vec![home.parse().unwrap()]),
            queue: BTreeMap::new(),
            number: 0,
        }
    }

    /// One whole exchange, `from` offering: offer and answer.
    pub(crate) fn exchange(&mut self, from: usize) -> (String, String) {
        let offer = self.offer(from);
        let answer = self.answer(1 - from);
        (offer, answer)
    }

    /// `from` offers, the other side takes it.
    pub(crate) fn offer(&mut self, from: usize) -> String {
        let (now, to) = (self.now, 1 - from);
        let offer = self.peers[from].create_offer(now).unwrap();
        let set = self.peers[from].set_local_description(now, Offer, &offer);
        set.unwrap();
        let set = self.peers[to].set_remote_description(now, Offer, offer.as_bytes());
        set.unwrap();
        offer
    }

    /// `from` answers, the other side takes it.
    pub(crate) fn answer(&mut self, from: usize) -> String {
        let (now, to) = (self.now, 1 - from);
        let answer = self.peers[from].create_answer(now).unwrap();
        let set = self.peers[from].set_local_description(now, Answer, &answer);
        set.unwrap();
        let set = self.peers[to].set_remote_description(now, Answer, answer.as_bytes());
        set.unwrap();
        answer
    }

    /// Takes up what both sides have to say now.
    pub(crate) fn drain(&mut self) {
        for side in [0, 1] {
            while let Some(event) = self.peers[side].poll_event() {
                if let (Event::Candidate(candidate), true) = (&event, self.trickle) {
                    self.post(Cargo::Candidate(1 - side, candidate.clone()));
                }
                self.events[side].push(event);
            }
            while let Some(transmit) = self.peers[side].poll_transmit() {
                self.sent.push((transmit.path, transmit.payload.to_vec()));
                self.post(Cargo::Packet(transmit.path, transmit.payload.to_vec()));
            }
        }
    }

    fn post(&mut self, cargo: Cargo) {
        self.number += 1;
        self.queue.insert((self.now + DELAY, self.number), cargo);
    }

    /// Lets time pass until `until`, or until nothing is left to happen.
    pub(crate) fn run_until(&mut self, until: Instant) {
        loop {
            self.drain();
            let deadlines = self.peers.iter().filter_map(Connection::poll_timeout);
            let arrival = self.queue.keys().next().map(|(at, _)| *at);
            let next = deadlines.chain(arrival).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = self.now.max(until);
                return;
            };
            self.now = self.now.max(next);
            for peer in &mut self.peers {
                if peer.poll_timeout().is_some_and(|at| at <= self.now) {
                    peer.handle_timeout(self.now);
                }
            }
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                match entry.remove() {
                    Cargo::Packet(path, bytes) => self.arrive(path, &bytes),
                    Cargo::Candidate(to, candidate) => {
                        let taken = self.peers[to].add_ice_candidate(self.now, &candidate);
                        self.refused.extend(taken.err());
                    }
                }
            }
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Enough for checks and nomination.
    pub(crate) fn settle(&mut self) {
        self.run_for(Duration::from_secs(2));
    }

    fn arrive(&mut self, path: FiveTuple, bytes: &[u8]) {
        let lives = |home: &Vec<SocketAddr>| home.contains(&path.remote);
        let Some(to) = self.homes.iter().position(lives) else {
            return;
        };
        if (self.loses)(&path, bytes) {
            return;
        }
        if let Input::Data(route) = deliver(&mut self.peers[to], self.now, path.mirrored(), bytes) {
            assert_eq!(route.path, path.mirrored());
            self.data[to].push(bytes.to_vec());
        }
    }

    /// Sends application data, if there is a path for it.
    pub(crate) fn send(&mut self, from: usize, bytes: &[u8]) {
        let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + bytes.len();
        buffer[range.clone()].copy_from_slice(bytes);
        let route = self.peers[from].send(&mut buffer, range).unwrap();
        self.post(Cargo::Packet(route.path, buffer[route.range()].to_vec()));
    }

    /// Data goes both ways, over the pair that both have selected.
    #[track_caller]
    pub(crate) fn assert_works(&mut self) {
        for side in [0, 1] {
            assert_eq!(self.peers[side].ice_state(), State::Completed, "{side}");
            self.data[side].clear();
        }
        let (one, two) = (self.peers[0].selected(), self.peers[1].selected());
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.local.address, two.remote.address);
        assert_eq!(one.remote.address, two.local.address);
        self.send(0, b"ping");
        self.send(1, b"pong");
        self.run_for(Duration::from_millis(50));
        assert_eq!(self.data, [vec![b"pong".to_vec()], vec![b"ping".to_vec()]]);
    }
}

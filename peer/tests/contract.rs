//! The seven promises of the contract, on two connections that signal to each other and are told all
//! kinds of nonsense.

mod common;

use std::any::Any;
use std::net::SocketAddr;

use bytes::Bytes;
use common::{Answer, Offer, Pranswer, data, identity, sample, sample_candidates};
use floe_peer::{Config, Connection, Credentials, Event, IceCandidate, StreamId, TurnServer};
use floe_sansio::testing::{self, AnyMachine, Command, Runs, World};
use floe_sansio::{Entropy, HEADROOM, Instant, TAILROOM, Transmit};

struct Two {
    peers: [Connection; 2],
    /// The last texts made by each side.
    offers: [String; 2],
    answers: [String; 2],
    /// What each side signalled.
    candidates: [Vec<IceCandidate>; 2],
    /// The streams that each side has wanted.
    streams: [Vec<StreamId>; 2],
    browser: [String; 4],
    strangers: Vec<IceCandidate>,
}

/// What looks like DTLS.
const DATA: &[u8] = b"\x16some data";

/// Two addresses each, and servers that do not answer, one of them behind a stream.
fn config(side: usize) -> Config {
    let mut config = Config::data_channel(identity(side as u8));
    let port = 1000 * (side as u16 + 1);
    config.addresses = vec![
        SocketAddr::from(([192, 0, 2, side as u8 + 1], port)),
        SocketAddr::from(([198, 51, 100, side as u8 + 1], port)),
    ];
    config.stun_servers = vec!["192.0.2.99:3478".parse().unwrap()];
    let turn = TurnServer::new(
        "192.0.2.98:3478".parse().unwrap(),
        Credentials::new("alice", "secret"),
    );
    config.turn_servers = vec![turn.over_tcp()];
    config.ice.limits.pairs = 12;
    config.ice.limits.remote_candidates = 12;
    config.ice.limits.early_checks = 8;
    config
}

impl World for Two {
    const MAX_RETAINED: usize = 300;

    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        let peers = [0, 1].map(|side| {
            let mut peer = Connection::new(config(side), entropy.seed(), now).unwrap();
            if entropy.below(2) == 0 {
                peer.gather(now);
            }
            peer
        });
        let mut two = Self {
            peers,
            offers: Default::default(),
            answers: Default::default(),
            candidates: Default::default(),
            streams: Default::default(),
            browser: [
                "data-offer.sdp",
                "data-restart-offer.sdp",
                "data-answer.sdp",
                "audio-video-data-offer.sdp",
            ]
            .map(sample),
            strangers: sample_candidates("audio-video-data"),
        };
        // Most worlds begin with an exchange, since random calls seldom finish one.
        if entropy.below(4) > 0 {
            two.exchange(entropy.below(2) as usize, now);
        }
        two
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        let [one, two] = &mut self.peers;
        vec![
            (config(0).addresses[0], one as &mut dyn AnyMachine),
            (config(1).addresses[0], two),
        ]
    }

    fn owner(&mut self, to: SocketAddr) -> Option<usize> {
        (0..2).find(|&side| config(side).addresses.contains(&to))
    }

    fn heard(&mut self, machine: usize, event: &dyn Any) {
        match event.downcast_ref() {
            Some(Event::Candidate(candidate)) => self.candidates[machine].push(candidate.clone()),
            Some(&Event::StreamWanted { id, .. }) => self.streams[machine].push(id),
            _ => {}
        }
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        let side = draw.below(2) as usize;
        let other = 1 - side;
        let peer = &mut self.peers[side];
        match draw.below(43) {
            0..=2 => match peer.create_offer(now) {
                Ok(text) => {
                    self.offers[side] = text;
                    Command::Accepted
                }
                Err(_) => Command::Rejected,
            },
            3..=5 => match peer.create_answer(now) {
                Ok(text) => {
                    self.answers[side] = text;
                    Command::Accepted
                }
                Err(_) => Command::Rejected,
            },
            6 | 7 => peer
                .set_local_description(now, Offer, &self.offers[side])
                .into(),
            8 | 9 => peer
                .set_local_description(now, Answer, &self.answers[side])
                .into(),
            10 => peer
                .set_local_description(now, Pranswer, &self.answers[side])
                .into(),
            11..=13 => {
                let text = self.offers[other].as_bytes();
                peer.set_remote_description(now, Offer, text).into()
            }
            14 | 15 => {
                let text = self.answers[other].as_bytes();
                peer.set_remote_description(now, Answer, text).into()
            }
            16 => {
                let text = self.answers[other].as_bytes();
                peer.set_remote_description(now, Pranswer, text).into()
            }
            17 => peer.rollback().into(),
            18 => {
                // Of somebody else: a restart, or an answer to nothing, or malformed.
                let mut text = self.browser[draw.below(4) as usize].clone().into_bytes();
                if draw.below(2) == 0 {
                    let at = draw.below(text.len() as u32) as usize;
                    text[at] ^= 1 << draw.below(8);
                }
                let kind = [Offer, Answer, Pranswer][draw.below(3) as usize];
                // A first offer of a stranger would keep the two apart.
                if peer.remote_dtls().is_none() && kind == Offer {
                    return Command::None;
                }
                peer.set_remote_description(now, kind, &text).into()
            }
            19..=27 => {
                let known = &self.candidates[other];
                if known.is_empty() {
                    return Command::None;
                }
                let candidate = &known[draw.below(known.len() as u32) as usize];
                peer.add_ice_candidate(now, candidate).into()
            }
            28 => {
                let at = draw.below(self.strangers.len() as u32) as usize;
                peer.add_ice_candidate(now, &self.strangers[at]).into()
            }
            29 | 30 => {
                let port = draw.below(0x1_0000);
                let candidate = IceCandidate {
                    candidate: format!("candidate:7 1 udp 1 203.0.113.5 {port} typ host"),
                    sdp_mid: Some("0".into()),
                    ..IceCandidate::default()
                };
                peer.add_ice_candidate(now, &candidate).into()
            }
            31 => {
                peer.gather(now);
                Command::Accepted
            }
            32 if draw.below(30) == 0 => {
                peer.close(now);
                Command::Accepted
            }
            33 if draw.below(4) == 0 => self.exchange(side, now),
            34 if draw.below(3) == 0 => peer.restart_ice(now).into(),
            35 => {
                let Some(body) = self.peers[other].fragment() else {
                    return Command::None;
                };
                self.peers[side].add_fragment(now, body.as_bytes()).into()
            }
            36 if draw.below(20) == 0 => peer.stop_section(0).into(),
            37 if draw.below(20) == 0 => peer.add_section(data()).map(drop).into(),
            40..=42 => {
                // Wanted, open, gone: each call may come at any time.
                let known = &self.streams[side];
                if known.is_empty() {
                    return Command::None;
                }
                let id = known[draw.below(known.len() as u32) as usize];
                if draw.below(3) == 0 {
                    peer.stream_failed(now, id);
                    return Command::Accepted;
                }
                let address = config(side).addresses[draw.below(2) as usize];
                let local = SocketAddr::new(address.ip(), 4000);
                peer.stream_opened(now, id, local).into()
            }
            _ => {
                let mut buffer = vec![0; HEADROOM + DATA.len() + TAILROOM];
                let range = HEADROOM..HEADROOM + DATA.len();
                buffer[range.clone()].copy_from_slice(DATA);
                match peer.send(&mut buffer, range) {
                    Ok(route) => Command::Sent(Transmit {
                        path: route.path,
                        payload: Bytes::copy_from_slice(&buffer[route.range()]),
                    }),
                    Err(_) => Command::Rejected,
                }
            }
        }
    }

    fn retained(&self) -> usize {
        self.peers.iter().map(Connection::retained).sum()
    }
}

impl Two {
    /// A whole exchange, if both sides are free for it.
    fn exchange(&mut self, from: usize, now: Instant) -> Command {
        let to = 1 - from;
        let stable = |peer: &Connection| {
            peer.signaling_state() == floe_peer::SignalingState::Stable
                && peer.ice_state() != floe_peer::State::Closed
        };
        if !self.peers.iter().all(stable) {
            return Command::None;
        }
        let offer = self.peers[from].create_offer(now).unwrap();
        if self.peers[to]
            .set_remote_description(now, Offer, offer.as_bytes())
            .is_err()
        {
            // The two know each other from different exchanges: it changed the offerer's version.
            return Command::Accepted;
        }
        self.peers[from]
            .set_local_description(now, Offer, &offer)
            .unwrap();
        let answer = self.peers[to].create_answer(now).unwrap();
        self.peers[to]
            .set_local_description(now, Answer, &answer)
            .unwrap();
        let _ = self.peers[from].set_remote_description(now, Answer, answer.as_bytes());
        self.offers[from] = offer;
        self.answers[to] = answer;
        Command::Accepted
    }
}

#[test]
fn two_connections_keep_the_contract() {
    let seen = testing::check::<Two>(&Runs::default());
    println!("{seen:?}");
    let reached = [
        seen.timeouts,
        seen.transmits,
        seen.events,
        seen.handled,
        seen.data,
        seen.dropped,
        seen.accepted,
        seen.rejected,
        seen.retained as u64,
    ];
    assert!(reached.iter().all(|&count| count > 0), "{seen:?}");
}

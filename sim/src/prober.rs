//! The simplest hole puncher: what it cannot connect, no agent can.
//!
//! Two [`Puncher`]s learn their outside addresses from a [`Reflector`], tell each other by signalling,
//! send to every address that they know or have seen, and answer everything to where it came from.
//! A direct path is found when both got an answer from the very address they asked, as ICE demands.
//! It is the independent witness of the [`Oracle`](crate::Oracle).

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit};

use crate::{Endpoint, HostId, Message, Simulation, Topology, TopologyError};

/// How often each address is asked.
const INTERVAL: Duration = Duration::from_millis(50);

/// How many addresses are asked: mappings that depend on the endpoint show new ones without end.
const ADDRESSES: usize = 48;

/// When to give up.
const PATIENCE: Duration = Duration::from_secs(3);

/// The port of punchers and reflectors.
const PORT: u16 = 3478;

/// A request: this byte, the place of the asked in the list of the asker, and what the two of them
/// have in common. Two homes may use the same addresses, so a request can reach a stranger.
const REQUEST: u8 = 0;
/// The answer to a request: the same but for this byte, and from a server what it saw.
const ANSWER: u8 = 1;

/// What a prober runs on its hosts.
#[derive(Debug)]
pub enum Prober {
    /// One of the two sides.
    Puncher(Puncher),
    /// The server that tells where packets come from.
    Reflector(Reflector),
}

/// Answers each request with the address that it came from.
#[derive(Debug, Default)]
pub struct Reflector {
    out: VecDeque<Transmit>,
}

/// One side of a hole punch.
#[derive(Debug)]
pub struct Puncher {
    peer: HostId,
    /// What it puts into its requests, and what the peer puts into its own.
    names: (u8, u8),
    /// Own addresses.
    local: Vec<SocketAddr>,
    server: SocketAddr,
    /// Whom it asks, and from where; the first ask the server.
    pairs: Vec<(SocketAddr, SocketAddr)>,
    next: Instant,
    found: Option<FiveTuple>,
    out: VecDeque<Transmit>,
    messages: VecDeque<Message>,
}

impl Puncher {
    /// One that starts at time zero, on host `own` with these addresses.
    pub fn new(
        own: HostId,
        peer: HostId,
        local: impl IntoIterator<Item = SocketAddr>,
        server: SocketAddr,
    ) -> Self {
        let local: Vec<_> = local.into_iter().collect();
        let text = local.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        Self {
            peer,
            names: (u8::from(own > peer), u8::from(peer > own)),
            server,
            pairs: local.iter().map(|&own| (own, server)).collect(),
            local,
            next: Instant::ZERO,
            found: None,
            out: VecDeque::new(),
            messages: VecDeque::from([Message {
                to: peer,
                text: text.join(" "),
            }]),
        }
    }

    /// The pair of addresses from which it asked and got an answer.
    pub const fn found(&self) -> Option<FiveTuple> {
        self.found
    }

    fn learn(&mut self, local: SocketAddr, remote: SocketAddr) {
        let pair = (local, remote);
        let same_family = local.is_ipv4() == remote.is_ipv4();
        if same_family && self.pairs.len() < ADDRESSES && !self.pairs.contains(&pair) {
            self.pairs.push(pair);
        }
    }

    fn send(&mut self, local: SocketAddr, remote: SocketAddr, payload: Vec<u8>) {
        self.out.push_back(Transmit {
            path: FiveTuple::udp(local, remote),
            payload: payload.into(),
        });
    }
}

impl Endpoint for Prober {
    fn receive(&mut self, _now: Instant, datagram: Datagram<'_>) -> Input {
        let path = datagram.path;
        let &[kind, tag, name, ref rest @ ..] = datagram.payload() else {
            return Input::Handled;
        };
        match self {
            Self::Reflector(reflector) => {
                if kind == REQUEST {
                    let mut payload = vec![ANSWER, tag, name];
                    payload.extend(path.remote.to_string().into_bytes());
                    reflector.out.push_back(Transmit {
                        path,
                        payload: payload.into(),
                    });
                }
            }
            Self::Puncher(puncher) if kind == REQUEST => {
                if name == puncher.names.1 {
                    puncher.learn(path.local, path.remote);
                    puncher.send(path.local, path.remote, vec![ANSWER, tag, name]);
                }
            }
            Self::Puncher(puncher) => {
                let asked = puncher.pairs.get(usize::from(tag)).copied();
                if name != puncher.names.0 || asked != Some((path.local, path.remote)) {
                    return Input::Handled; // an answer from elsewhere does not count
                }
                if path.remote == puncher.server {
                    if let Ok(text) = core::str::from_utf8(rest) {
                        puncher.messages.push_back(Message {
                            to: puncher.peer,
                            text: text.into(),
                        });
                    }
                } else {
                    puncher.found.get_or_insert(path);
                }
            }
        }
        Input::Handled
    }

    fn timeout(&mut self, now: Instant) {
        let Self::Puncher(puncher) = self else {
            return;
        };
        if puncher.next > now {
            return;
        }
        puncher.next = now + INTERVAL;
        let name = puncher.names.0;
        for tag in 0..puncher.pairs.len() {
            let (local, remote) = puncher.pairs[tag];
            puncher.send(local, remote, vec![REQUEST, tag as u8, name]);
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Puncher(puncher) => puncher.out.pop_front(),
            Self::Reflector(reflector) => reflector.out.pop_front(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Puncher(puncher) => Some(puncher.next),
            Self::Reflector(_) => None,
        }
    }

    fn message(&mut self, _now: Instant, _from: HostId, text: &str) {
        if let Self::Puncher(puncher) = self {
            for remote in text.split(' ').filter_map(|part| part.parse().ok()) {
                for own in puncher.local.clone() {
                    puncher.learn(own, remote);
                }
            }
        }
    }

    fn poll_message(&mut self) -> Option<Message> {
        match self {
            Self::Puncher(puncher) => puncher.messages.pop_front(),
            Self::Reflector(_) => None,
        }
    }
}

/// Whether a direct path between two hosts can be found in this world, with the help of a server on
/// another.
pub fn probe(
    plan: &Topology,
    seed: u64,
    a: HostId,
    b: HostId,
    server: HostId,
) -> Result<bool, TopologyError> {
    let mut simulation = Simulation::new(plan, seed)?;
    let reflector = SocketAddr::new(plan.address(server), PORT);
    simulation.attach(server, Prober::Reflector(Reflector::default()));
    for (host, peer) in [(a, b), (b, a)] {
        let local = plan.addresses(host).map(|ip| SocketAddr::new(ip, PORT));
        simulation.attach(
            host,
            Prober::Puncher(Puncher::new(host, peer, local, reflector)),
        );
    }
    let found = |simulation: &Simulation<Prober>| {
        [a, b].iter().all(|&host| {
            matches!(simulation.endpoint(host),
                Some(Prober::Puncher(puncher)) if puncher.found().is_some())
        })
    };
    let _ = simulation.run(Instant::ZERO + PATIENCE, found);
    Ok(found(&simulation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_from_elsewhere_do_not_count() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let own = address("10.0.0.1:1");
        let mut puncher = Prober::Puncher(Puncher::new(
            HostId(0),
            HostId(1),
            [own],
            address("9.9.9.9:9"),
        ));
        puncher.message(Instant::ZERO, HostId(1), "8.8.8.8:8");
        let mut receive = |from: &str| {
            let mut answer = [ANSWER, 1, 0];
            let path = FiveTuple::udp(own, address(from));
            let _ = puncher.receive(Instant::ZERO, Datagram::whole(path, &mut answer));
            matches!(&puncher, Prober::Puncher(p) if p.found().is_some())
        };
        assert!(!receive("8.8.8.8:9"));
        assert!(receive("8.8.8.8:8"));
    }
}

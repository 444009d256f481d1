//! Gathering: the conversations with STUN and TURN servers (RFC 8445 §5.1.1.2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Transmit};

use crate::config::Config;

/// Bindings of server-reflexive candidates are refreshed this often (RFC 8445 §11: Tr).
const KEEPALIVE: Duration = Duration::from_secs(15);

/// One server asked from one local address.
#[derive(Debug)]
pub(crate) struct Source {
    /// The local address.
    pub(crate) base: SocketAddr,
    /// The server.
    pub(crate) server: SocketAddr,
    pub(crate) client: Client,
    /// Whether it still has to be asked.
    waiting: bool,
    /// Whether it has answered or failed.
    done: bool,
}

/// The machine that talks to the server.
#[derive(Debug)]
pub(crate) enum Client {
    Stun(Box<floe_stun::Client>),
    Turn(Box<floe_turn::Client>),
}

/// All sources of one agent, in the order in which they are asked.
#[derive(Debug, Default)]
pub(crate) struct Gatherer {
    sources: Vec<Source>,
}

impl Gatherer {
    /// Every server from every base of its own address family: first the quick ones.
    pub(crate) fn new(
        config: &Config,
        bases: &[SocketAddr],
        entropy: &mut Entropy,
        now: Instant,
    ) -> Self {
        let mut sources = Vec::new();
        let same_family = |base: SocketAddr, server: SocketAddr| base.is_ipv4() == server.is_ipv4();
        let mut add = |base, server, client| {
            sources.push(Source {
                base,
                server,
                client,
                waiting: true,
                done: false,
            });
        };
        // With the relay policy nobody wants server-reflexive candidates.
        let stun_servers = match config.policy {
            crate::Policy::All => config.stun_servers.as_slice(),
            crate::Policy::Relay => &[],
        };
        for &base in bases {
            for &server in stun_servers.iter().filter(|s| same_family(base, **s)) {
                let config = floe_stun::ClientConfig {
                    retransmission: config.gathering,
                    keepalive: Some(KEEPALIVE),
                    ..floe_stun::ClientConfig::new(FiveTuple::udp(base, server))
                };
                let client = floe_stun::Client::new(config, entropy.seed(), now);
                add(base, server, Client::Stun(Box::new(client)));
            }
        }
        for &base in bases {
            for server in &config.turn_servers {
                if !same_family(base, server.address) {
                    continue;
                }
                let path = FiveTuple::udp(base, server.address);
                let mut turn = floe_turn::ClientConfig::new(path, server.credentials.clone());
                turn.retransmission = config.gathering;
                if base.is_ipv6() {
                    turn.family = Some(floe_stun::AddressFamily::IPV6);
                }
                let client = floe_turn::Client::new(turn, entropy.seed(), now);
                add(base, server.address, Client::Turn(Box::new(client)));
            }
        }
        Self { sources }
    }

    /// Whether a source still has to be asked.
    pub(crate) fn has_waiting(&self) -> bool {
        self.sources.iter().any(|source| source.waiting)
    }

    /// Asks the next source; `false` if all have been.
    pub(crate) fn ask_next(&mut self, now: Instant) -> bool {
        let Some(source) = self.sources.iter_mut().find(|source| source.waiting) else {
            return false;
        };
        source.waiting = false;
        match &mut source.client {
            Client::Stun(client) => client.bind(now),
            Client::Turn(client) => source.done = client.allocate(now).is_err(),
        }
        true
    }

    /// Whether every source has answered or failed.
    pub(crate) fn is_complete(&self) -> bool {
        self.sources.iter().all(|source| source.done)
    }

    /// Marks a source as answered or failed.
    pub(crate) fn finish(&mut self, at: usize) {
        if let Some(source) = self.sources.get_mut(at) {
            source.done = true;
        }
    }

    /// Gives up on the sources that have not answered, and returns them. What a TURN server still
    /// allocates is given back at once.
    pub(crate) fn cut_off(
        &mut self,
        now: Instant,
    ) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        self.sources
            .iter_mut()
            .filter(|source| !source.done)
            .map(move |source| {
                source.waiting = false;
                source.done = true;
                match &mut source.client {
                    Client::Stun(client) => client.stop(),
                    Client::Turn(client) => {
                        let _ = client.release(now);
                    }
                }
                (source.base, source.server)
            })
    }

    /// The place of a TURN client among the TURN clients.
    pub(crate) fn rank(&self, at: usize) -> usize {
        let before = self.sources.iter().take(at);
        before
            .filter(|source| matches!(source.client, Client::Turn(_)))
            .count()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Source> {
        self.sources.get(at)
    }

    /// Whether a source talks over this path.
    pub(crate) fn has(&self, path: FiveTuple) -> bool {
        self.sources
            .iter()
            .any(|source| (source.base, source.server) == (path.local, path.remote))
    }

    /// The TURN clients.
    pub(crate) fn relays(&mut self) -> impl Iterator<Item = &mut floe_turn::Client> {
        self.sources
            .iter_mut()
            .filter_map(|source| match &mut source.client {
                Client::Turn(client) => Some(&mut **client),
                Client::Stun(_) => None,
            })
    }

    /// The TURN client whose relayed address is `relayed`.
    pub(crate) fn relay(&mut self, relayed: SocketAddr) -> Option<&mut floe_turn::Client> {
        self.relays()
            .find(|client| client.relayed() == Some(relayed))
    }

    /// Bindings need not be kept alive any more.
    pub(crate) fn stop_bindings(&mut self) {
        for source in &mut self.sources {
            if let Client::Stun(client) = &mut source.client {
                client.stop();
            }
        }
    }

    /// Offers a datagram to the machines that talk to where it came from; `None` if no such machine
    /// exists.
    pub(crate) fn handle_input(
        &mut self,
        now: Instant,
        mut datagram: Datagram<'_>,
    ) -> Option<Input> {
        let path = datagram.path;
        let mut answer = None;
        for source in &mut self.sources {
            if (source.base, source.server) != (path.local, path.remote) {
                continue;
            }
            let input = match &mut source.client {
                Client::Stun(client) => client.handle_input(now, datagram.reborrow()),
                Client::Turn(client) => client.handle_input(now, datagram.reborrow()),
            };
            match input {
                Input::Dropped(reason) => {
                    // The most telling reason is the one of the machine that came closest.
                    let better =
                        !matches!(answer, Some(Input::Dropped(DropReason::Unauthenticated)));
                    if better {
                        answer = Some(Input::Dropped(reason));
                    }
                }
                accepted => return Some(accepted),
            }
        }
        answer
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for source in &mut self.sources {
            match &mut source.client {
                Client::Stun(client) => client.handle_timeout(now),
                Client::Turn(client) => client.handle_timeout(now),
            }
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.sources
            .iter_mut()
            .find_map(|source| match &mut source.client {
                Client::Stun(client) => client.poll_transmit(),
                Client::Turn(client) => client.poll_transmit(),
            })
    }

    /// The next event of any client, with the place of its source.
    pub(crate) fn poll_event(&mut self) -> Option<(usize, SourceEvent)> {
        self.sources
            .iter_mut()
            .enumerate()
            .find_map(|(at, source)| {
                let event = match &mut source.client {
                    Client::Stun(client) => SourceEvent::Stun(client.poll_event()?),
                    Client::Turn(client) => SourceEvent::Turn(client.poll_event()?),
                };
                Some((at, event))
            })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.sources
            .iter()
            .filter_map(|source| match &source.client {
                Client::Stun(client) => client.poll_timeout(),
                Client::Turn(client) => client.poll_timeout(),
            })
            .min()
    }
}

/// What a client reported.
#[derive(Debug)]
pub(crate) enum SourceEvent {
    Stun(floe_stun::ClientEvent),
    Turn(floe_turn::ClientEvent),
}

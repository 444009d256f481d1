//! Gathering: the conversations with STUN and TURN servers (RFC 8445 §5.1.1.2).

mod stream;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Transmit, Transport};

use crate::config::Config;
use crate::event::Event;
pub use stream::StreamId;

/// Bindings of server-reflexive candidates are refreshed this often (RFC 8445 §11: Tr).
const KEEPALIVE: Duration = Duration::from_secs(15);

/// One server asked from one local address.
#[derive(Debug)]
pub(crate) struct Source {
    /// The local address.
    pub(crate) base: SocketAddr,
    /// The server.
    pub(crate) server: SocketAddr,
    /// What carries the conversation.
    pub(crate) transport: Transport,
    /// On which path the client talks: of a stream only while it is open.
    path: Option<FiveTuple>,
    client: Client,
    progress: Progress,
}

/// The machine that talks to the server.
#[derive(Debug)]
enum Client {
    Stun(Box<floe_stun::Client>),
    Turn(Box<floe_turn::Client>),
    /// It is made when its stream is open.
    Unborn(Box<floe_turn::ClientConfig>),
    /// Its stream is not wanted any more.
    Gone,
}

/// How far a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Its stream is not wanted yet.
    Unopened,
    /// Its stream is being opened.
    Opening,
    /// It still has to be asked.
    Waiting,
    /// It was asked then.
    Asked(Instant),
    /// It gave a candidate.
    Answered,
    /// It gave none, or is not needed.
    Ended,
}

impl Progress {
    const fn is_done(self) -> bool {
        matches!(self, Self::Answered | Self::Ended)
    }
}

impl Source {
    /// The relayed address, while there is an allocation.
    pub(crate) fn relayed(&self) -> Option<SocketAddr> {
        match &self.client {
            Client::Turn(client) => client.relayed(),
            _ => None,
        }
    }

    const fn is_turn(&self) -> bool {
        !matches!(self.client, Client::Stun(_))
    }
}

/// All sources of one agent, in the order in which they are asked.
#[derive(Debug, Default)]
pub(crate) struct Gatherer {
    sources: Vec<Source>,
    /// See [`Config::stream_delay`].
    stream_delay: Duration,
    /// What the owner has to know of streams.
    events: VecDeque<Event>,
}

impl Gatherer {
    /// Asks every server from every base of its own address family: first the quick ones, last those
    /// that need a stream. Of a base that was asked from before, what still works stays.
    pub(crate) fn begin(
        &mut self,
        config: &Config,
        bases: &[SocketAddr],
        entropy: &mut Entropy,
        now: Instant,
    ) {
        self.stream_delay = config.stream_delay;
        let kept = |source: &Source| source.relayed().is_some();
        let mut asked = alloc::collections::BTreeSet::new();
        for at in 0..self.sources.len() {
            let source = &self.sources[at];
            if !bases.contains(&source.base) {
                continue;
            }
            if kept(source) {
                asked.insert((source.base, source.server, source.transport));
            } else {
                self.forget(at, now);
            }
        }
        let sources = &mut self.sources;
        let asked = |base, server, transport| asked.contains(&(base, server, transport));
        let same_family = |base: SocketAddr, server: SocketAddr| base.is_ipv4() == server.is_ipv4();
        // With the relay policy nobody wants server-reflexive candidates.
        let stun_servers = match config.policy {
            crate::Policy::All | crate::Policy::NoHost => config.stun_servers.as_slice(),
            crate::Policy::Relay => &[],
        };
        for &base in bases {
            for &server in stun_servers.iter().filter(|s| same_family(base, **s)) {
                let path = FiveTuple::udp(base, server);
                let config = floe_stun::ClientConfig {
                    retransmission: config.gathering,
                    keepalive: Some(KEEPALIVE),
                    ..floe_stun::ClientConfig::new(path)
                };
                let client = floe_stun::Client::new(config, entropy.seed(), now);
                sources.push(Source {
                    base,
                    server,
                    transport: path.transport,
                    path: Some(path),
                    client: Client::Stun(Box::new(client)),
                    progress: Progress::Waiting,
                });
            }
        }
        for over_stream in [false, true] {
            let servers = config.turn_servers.iter();
            let servers: Vec<_> = servers
                .filter(|server| server.transport.is_reliable() == over_stream)
                .collect();
            for &base in bases {
                for server in servers.iter().filter(|s| same_family(base, s.address)) {
                    if asked(base, server.address, server.transport) {
                        continue;
                    }
                    let path = FiveTuple {
                        transport: server.transport,
                        local: base,
                        remote: server.address,
                    };
                    let mut turn = floe_turn::ClientConfig::new(path, server.credentials.clone());
                    turn.retransmission = config.gathering;
                    if base.is_ipv6() {
                        turn.family = Some(floe_stun::AddressFamily::IPV6);
                    }
                    let (path, client, progress) = if over_stream {
                        (None, Client::Unborn(Box::new(turn)), Progress::Unopened)
                    } else {
                        let client = floe_turn::Client::new(turn, entropy.seed(), now);
                        let client = Client::Turn(Box::new(client));
                        (Some(path), client, Progress::Waiting)
                    };
                    sources.push(Source {
                        base,
                        server: server.address,
                        transport: server.transport,
                        path,
                        client,
                        progress,
                    });
                }
            }
        }
    }

    /// What a source was doing is not wanted any more; it stays in its place, for others to keep theirs.
    fn forget(&mut self, at: usize, now: Instant) {
        if self.sources[at].transport.is_reliable() {
            return self.withdraw(at);
        }
        let source = &mut self.sources[at];
        source.progress = Progress::Ended;
        match &mut source.client {
            Client::Stun(client) => {
                client.stop();
                source.client = Client::Gone;
                source.path = None;
            }
            Client::Turn(client) => {
                let _ = client.release(now);
            }
            Client::Unborn(_) | Client::Gone => {}
        }
    }

    /// A base is not needed any more: what was reached from it is given back.
    pub(crate) fn leave_base(&mut self, now: Instant, base: SocketAddr) {
        for at in 0..self.sources.len() {
            if self.sources[at].base == base {
                self.forget(at, now);
            }
        }
    }

    /// A base is gone, and with it all that was reached from it.
    pub(crate) fn remove_base(&mut self, now: Instant, base: SocketAddr) {
        for at in 0..self.sources.len() {
            if self.sources[at].base == base {
                self.forget(at, now);
                let source = &mut self.sources[at];
                if !source.transport.is_reliable() {
                    // No packet leaves from there any more.
                    source.client = Client::Gone;
                    source.path = None;
                }
            }
        }
    }

    /// Gives back every allocation but these, and says which.
    pub(crate) fn release_all_but(&mut self, now: Instant, kept: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut released = Vec::new();
        for relay in self.relays() {
            if let Some(relayed) = relay.relayed().filter(|relayed| !kept.contains(relayed)) {
                if relay.release(now).is_ok() {
                    released.push(relayed);
                }
            }
        }
        released
    }

    /// Whether a source still has to be asked.
    pub(crate) fn has_waiting(&self) -> bool {
        self.sources
            .iter()
            .any(|source| source.progress == Progress::Waiting)
    }

    /// Asks the next source; `false` if all have been.
    pub(crate) fn ask_next(&mut self, now: Instant) -> bool {
        let mut waiting = self.sources.iter_mut();
        let Some(source) = waiting.find(|source| source.progress == Progress::Waiting) else {
            return false;
        };
        let asked = match &mut source.client {
            Client::Stun(client) => {
                client.bind(now);
                true
            }
            Client::Turn(client) => client.allocate(now).is_ok(),
            Client::Unborn(_) | Client::Gone => false,
        };
        source.progress = if asked {
            Progress::Asked(now)
        } else {
            Progress::Ended
        };
        true
    }

    /// Whether every source has answered or failed.
    pub(crate) fn is_complete(&self) -> bool {
        self.sources.iter().all(|source| source.progress.is_done())
    }

    /// A source gave a candidate.
    pub(crate) fn answered(&mut self, at: usize) {
        if let Some(source) = self.sources.get_mut(at) {
            source.progress = Progress::Answered;
        }
    }

    /// A source gives no candidate.
    pub(crate) fn ended(&mut self, at: usize) {
        if let Some(source) = self.sources.get_mut(at) {
            source.progress = Progress::Ended;
        }
    }

    /// Gives up on the sources that have not answered, and returns them. What a TURN server still
    /// allocates is given back at once.
    pub(crate) fn cut_off(&mut self, now: Instant) -> Vec<usize> {
        let mut late = Vec::new();
        for at in 0..self.sources.len() {
            let source = &mut self.sources[at];
            if source.progress.is_done() {
                continue;
            }
            late.push(at);
            if source.transport.is_reliable() {
                self.withdraw(at);
                continue;
            }
            source.progress = Progress::Ended;
            match &mut source.client {
                Client::Stun(client) => client.stop(),
                Client::Turn(client) => {
                    let _ = client.release(now);
                }
                Client::Unborn(_) | Client::Gone => {}
            }
        }
        late
    }

    /// The place of a TURN client among the TURN clients.
    pub(crate) fn rank(&self, at: usize) -> usize {
        let before = self.sources.iter().take(at);
        before.filter(|source| source.is_turn()).count()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Source> {
        self.sources.get(at)
    }

    /// Whether a source talks on this path.
    pub(crate) fn has(&self, path: FiveTuple) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.path == Some(path))
    }

    /// The TURN clients.
    pub(crate) fn relays(&mut self) -> impl Iterator<Item = &mut floe_turn::Client> {
        self.sources
            .iter_mut()
            .filter_map(|source| match &mut source.client {
                Client::Turn(client) => Some(&mut **client),
                _ => None,
            })
    }

    /// The TURN client whose relayed address is `relayed`.
    pub(crate) fn relay(&mut self, relayed: SocketAddr) -> Option<&mut floe_turn::Client> {
        self.relays()
            .find(|client| client.relayed() == Some(relayed))
    }

    /// Whether the relay of this address is reached over a stream although UDP may yet turn out to
    /// work from the same base: nothing has answered there, and something still may.
    pub(crate) fn may_do_without(&self, relayed: SocketAddr) -> bool {
        let mut streams = self.sources.iter().filter(|s| s.transport.is_reliable());
        let Some(stream) = streams.find(|source| source.relayed() == Some(relayed)) else {
            return false;
        };
        let datagrams = || self.datagram_sources(stream.base);
        datagrams().all(|source| source.progress != Progress::Answered)
            && datagrams().any(|source| !source.progress.is_done())
    }

    /// The sources of this base that need no stream.
    fn datagram_sources(&self, base: SocketAddr) -> impl Iterator<Item = &Source> {
        self.sources
            .iter()
            .filter(move |source| source.base == base && !source.transport.is_reliable())
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
            if source.path != Some(path) {
                continue;
            }
            let input = match &mut source.client {
                Client::Stun(client) => client.handle_input(now, datagram.reborrow()),
                Client::Turn(client) => client.handle_input(now, datagram.reborrow()),
                Client::Unborn(_) | Client::Gone => continue,
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
                Client::Unborn(_) | Client::Gone => {}
            }
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.sources
            .iter_mut()
            .find_map(|source| match &mut source.client {
                Client::Stun(client) => client.poll_transmit(),
                Client::Turn(client) => client.poll_transmit(),
                Client::Unborn(_) | Client::Gone => None,
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
                    Client::Unborn(_) | Client::Gone => return None,
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
                Client::Unborn(_) => self.stream_due(source),
                Client::Gone => None,
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

//! Gathering: the conversations with STUN and TURN servers (RFC 8445 §5.1.1.2).

mod race;
mod socket;
mod source;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Transmit};
use floe_stun::Retransmission;

use crate::config::Config;
use crate::event::Event;
use crate::nat64::Nat64Prefix;
use race::Race;
pub(crate) use socket::Gone;
pub use socket::StreamId;
use source::{Client, Kind, Progress};
pub(crate) use source::{Source, SourceId};

/// Bindings of server-reflexive candidates are refreshed this often (RFC 8445 §11: Tr).
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How often a server is asked from another port because it still has an allocation for the one before.
const MAX_FRESH_PORTS: u8 = 2;

/// A local address that servers are asked from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    /// How servers with IPv4 alone are reached from it.
    pub(crate) nat64: Option<Nat64Prefix>,
}

/// All sources of one agent.
///
/// What is found by path or relayed address has an index, and of the clients only those are looked at that
/// something happened to: a datagram costs no walk over the sources.
#[derive(Debug, Default)]
pub(crate) struct Gatherer {
    /// In the order in which they are asked where it is the turn of several.
    sources: BTreeMap<SourceId, Source>,
    next_source: SourceId,
    races: BTreeMap<(SocketAddr, Kind), Race>,
    /// When a race goes on by itself.
    due: Option<Instant>,
    /// Whether something happened that races have to know of.
    changed: bool,
    retransmission: Retransmission,

    by_path: BTreeMap<FiveTuple, Vec<SourceId>>,
    /// Also of allocations that are gone, until their owner was told.
    by_relayed: BTreeMap<SocketAddr, SourceId>,
    by_socket: BTreeMap<StreamId, SourceId>,
    next_socket: u32,
    waiting: BTreeSet<SourceId>,
    unfinished: BTreeSet<SourceId>,
    /// Clients that may have something to send, or to tell.
    stirred: [BTreeSet<SourceId>; 2],
    deadlines: BTreeSet<(Instant, SourceId)>,
    deadline_of: BTreeMap<SourceId, Instant>,
    /// What the owner has to know of sockets.
    events: VecDeque<Event>,
}

const TRANSMITS: usize = 0;
const EVENTS: usize = 1;

impl Gatherer {
    fn advance(&mut self, id: SourceId, progress: Progress) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        source.progress = progress;
        if progress.is_done() {
            self.unfinished.remove(&id);
        } else {
            self.unfinished.insert(id);
        }
        if progress == Progress::Waiting {
            self.waiting.insert(id);
        } else {
            self.waiting.remove(&id);
        }
        self.changed = true;
    }

    /// Something was done with a client.
    fn stir(&mut self, id: SourceId) {
        let deadline = match self.sources.get(&id).map(|source| &source.client) {
            Some(Client::Stun(client)) => client.poll_timeout(),
            Some(Client::Turn(client)) => client.poll_timeout(),
            Some(Client::None) | None => None,
        };
        if let Some(before) = self.deadline_of.remove(&id) {
            self.deadlines.remove(&(before, id));
        }
        if let Some(deadline) = deadline {
            self.deadline_of.insert(id, deadline);
            self.deadlines.insert((deadline, id));
        }
        for stirred in &mut self.stirred {
            stirred.insert(id);
        }
    }

    fn set_path(&mut self, id: SourceId, path: FiveTuple) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.path = Some(path);
            self.by_path.entry(path).or_default().push(id);
        }
    }

    /// The conversation of a source is over.
    fn drop_client(&mut self, id: SourceId) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        source.client = Client::None;
        if let Some(relayed) = source.listed.take() {
            if self.by_relayed.get(&relayed) == Some(&id) {
                self.by_relayed.remove(&relayed);
            }
        }
        if let Some(path) = source.path.take() {
            if let Some(ids) = self.by_path.get_mut(&path) {
                ids.retain(|&other| other != id);
                if ids.is_empty() {
                    self.by_path.remove(&path);
                }
            }
        }
        self.stir(id);
    }

    /// Lets go of a client that has nothing to do any more.
    fn tidy(&mut self, id: SourceId) {
        let Some(source) = self.sources.get(&id) else {
            return;
        };
        let is_idle = matches!(source.progress, Progress::Idle | Progress::Ended);
        let is_held = source.path.is_some() || source.socket.is_some();
        if is_idle && is_held && !source.is_leaving() {
            self.close_socket(id);
            self.drop_client(id);
            self.changed = true;
        }
    }

    /// A base is not needed any more: what was reached from it is given back.
    pub(crate) fn leave_base(&mut self, now: Instant, base: SocketAddr) {
        for id in self.ids(|source| source.base == base) {
            let source = self.sources.get(&id);
            if source.is_some_and(|source| source.relayed().is_some()) {
                self.release(id, now);
            } else {
                self.give_up(id, now);
            }
        }
    }

    /// A base is gone, and with it all that was reached from it.
    pub(crate) fn remove_base(&mut self, base: SocketAddr) {
        let ids = self.ids(|source| source.base == base);
        for id in ids {
            self.close_socket(id);
            self.drop_client(id);
            self.advance(id, Progress::Ended);
            self.sources.remove(&id);
            self.stir(id);
        }
        for kind in [Kind::Binding, Kind::Relay] {
            self.races.remove(&(base, kind));
        }
    }

    /// Gives back every allocation but these, and says which.
    pub(crate) fn release_all_but(&mut self, now: Instant, kept: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut released = Vec::new();
        for id in self.ids(|it| it.relayed().is_some_and(|relayed| !kept.contains(&relayed))) {
            let relayed = self.sources.get(&id).and_then(Source::relayed);
            if self.release(id, now) {
                released.extend(relayed);
            }
        }
        released
    }

    /// Gives back what every server has allocated, or will have.
    pub(crate) fn release_all(&mut self, now: Instant) {
        for id in self.ids(|source| matches!(source.client, Client::Turn(_))) {
            self.release(id, now);
        }
    }

    fn release(&mut self, id: SourceId, now: Instant) -> bool {
        let Some(Client::Turn(client)) = self.sources.get_mut(&id).map(|it| &mut it.client) else {
            return false;
        };
        let released = client.release(now).is_ok();
        self.stir(id);
        self.advance(id, Progress::Ended);
        released
    }

    fn ids(&self, which: impl Fn(&Source) -> bool) -> Vec<SourceId> {
        let sources = self.sources.iter().filter(|(_, source)| which(source));
        sources.map(|(&id, _)| id).collect()
    }

    /// Whether a source still has to be asked.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Asks the next source; `false` if all whose turn it is have been.
    pub(crate) fn ask_next(
        &mut self,
        config: &Config,
        entropy: &mut Entropy,
        now: Instant,
    ) -> bool {
        let Some(id) = self.waiting.pop_first() else {
            return false;
        };
        let Some(source) = self.sources.get_mut(&id) else {
            return false;
        };
        // A stream that took long to be opened has its full time to answer.
        source.since = Some(now);
        if source.path.is_none() {
            let path = FiveTuple {
                transport: source.transport,
                local: source.base,
                remote: source.server,
            };
            self.set_path(id, path);
        }
        if self.start(id, config, entropy, now) {
            self.advance(id, Progress::Asked);
        } else {
            self.advance(id, Progress::Ended);
            self.tidy(id);
        }
        self.stir(id);
        true
    }

    /// Makes the client of a source, and lets it ask.
    fn start(
        &mut self,
        id: SourceId,
        config: &Config,
        entropy: &mut Entropy,
        now: Instant,
    ) -> bool {
        let Some(source) = self.sources.get_mut(&id) else {
            return false;
        };
        let Some(path) = source.path else {
            return false;
        };
        match source.kind {
            Kind::Binding => {
                let config = floe_stun::ClientConfig {
                    retransmission: self.retransmission,
                    keepalive: Some(KEEPALIVE),
                    ..floe_stun::ClientConfig::new(path)
                };
                let mut client = Box::new(floe_stun::Client::new(config, entropy.seed(), now));
                client.bind(now);
                source.client = Client::Stun(client);
                true
            }
            Kind::Relay => {
                let Some(server) = config.turn_servers.get(source.named) else {
                    return false;
                };
                let mut turn = floe_turn::ClientConfig::new(path, server.credentials.clone());
                turn.retransmission = self.retransmission;
                if source.base.is_ipv6() {
                    turn.family = Some(floe_stun::AddressFamily::IPV6);
                }
                let mut client = Box::new(floe_turn::Client::new(turn, entropy.seed(), now));
                let asked = client.allocate(now).is_ok();
                source.client = Client::Turn(client);
                asked
            }
        }
    }

    /// Whether every source has answered, has failed, or is not needed.
    pub(crate) fn is_complete(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// Whether a stream is all that is left to hope for: no server has answered, and one is asked over
    /// a connection.
    pub(crate) fn hangs_on_stream(&self) -> bool {
        let unfinished = self.unfinished.iter();
        let mut unfinished = unfinished.filter_map(|id| self.sources.get(id));
        unfinished.any(|it| it.transport.is_reliable())
            && (self.sources.values()).all(|it| it.progress != Progress::Answered)
    }

    /// A source gave a candidate.
    pub(crate) fn answered(&mut self, id: SourceId) {
        self.advance(id, Progress::Answered);
        let Some(source) = self.sources.get(&id) else {
            return;
        };
        let (base, shows_base) = (source.base, source.shows_base());
        if let Some(relayed) = source.relayed() {
            // A server that lends an address twice is not believed.
            if self.relay_id(relayed).is_none() {
                self.by_relayed.insert(relayed, id);
                if let Some(source) = self.sources.get_mut(&id) {
                    source.listed = Some(relayed);
                }
            }
            if shows_base {
                self.decide_binding(base);
            }
        }
    }

    /// A source gives no candidate, or what it gave is gone; whether that was not known.
    pub(crate) fn ended(&mut self, id: SourceId) -> bool {
        let source = self.sources.get(&id);
        let news = source.is_some_and(|source| source.progress != Progress::Ended);
        self.advance(id, Progress::Ended);
        self.tidy(id);
        news
    }

    /// Gives up on what has not answered, and returns what was asked of it. What a TURN server still
    /// allocates is given back at once.
    pub(crate) fn cut_off(&mut self, now: Instant) -> Vec<SourceId> {
        let mut late = Vec::new();
        for id in self.unfinished.clone() {
            let asked = self.sources.get(&id).and_then(|source| source.since);
            late.extend(asked.map(|_| id));
            self.give_up(id, now);
        }
        self.due = None;
        late
    }

    /// A source that has not answered is not needed any more.
    fn give_up(&mut self, id: SourceId, now: Instant) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        let asked = source.progress == Progress::Asked;
        let is_relay = source.kind == Kind::Relay;
        // With its stream ends what is allocated over it.
        let leaves = asked && is_relay && !source.transport.is_reliable();
        let leaves = leaves || source.is_leaving();
        self.advance(id, Progress::Ended);
        if leaves {
            self.release(id, now);
        } else {
            self.close_socket(id);
            self.drop_client(id);
        }
    }

    pub(crate) fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(&id)
    }

    /// Sources that have an allocation.
    pub(crate) fn allocated(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        let sources = self.sources.iter().map(|(&id, source)| (id, source));
        sources.filter(|(_, source)| source.relayed().is_some())
    }

    /// Which of the relays that are reached from its base a source would be: whether it comes after
    /// all that are reached over UDP, and how many of its kind are preferred to it.
    pub(crate) fn rank(&self, id: SourceId) -> (bool, usize) {
        let Some(source) = self.sources.get(&id) else {
            return (false, 0);
        };
        let over_stream = source.transport.is_reliable();
        let rivals = || {
            let mine = |it: &&Source| it.base == source.base && it.kind == source.kind;
            self.sources.values().filter(mine)
        };
        let others = rivals().any(|it| !it.transport.is_reliable());
        let before = rivals()
            .filter(|it| it.transport.is_reliable() == over_stream && it.named < source.named);
        (over_stream && others, before.count())
    }

    /// Whether a source talks on this path.
    pub(crate) fn has(&self, path: FiveTuple) -> bool {
        self.by_path.contains_key(&path)
    }

    fn relay_id(&self, relayed: SocketAddr) -> Option<SourceId> {
        let id = *self.by_relayed.get(&relayed)?;
        let source = self.sources.get(&id)?;
        (source.relayed() == Some(relayed)).then_some(id)
    }

    /// The TURN client whose relayed address is `relayed`.
    pub(crate) fn relay(&self, relayed: SocketAddr) -> Option<&floe_turn::Client> {
        let id = self.relay_id(relayed)?;
        match &self.sources.get(&id)?.client {
            Client::Turn(client) => Some(client),
            _ => None,
        }
    }

    /// The same, to frame data in: nothing else of it changes.
    pub(crate) fn framer(&mut self, relayed: SocketAddr) -> Option<&mut floe_turn::Client> {
        let id = *self.by_relayed.get(&relayed)?;
        match &mut self.sources.get_mut(&id)?.client {
            Client::Turn(client) if client.relayed() == Some(relayed) => Some(client),
            _ => None,
        }
    }

    /// Does something with the TURN client whose relayed address is `relayed`.
    pub(crate) fn with_relay(
        &mut self,
        relayed: SocketAddr,
        command: impl FnOnce(&mut floe_turn::Client),
    ) {
        if let Some(id) = self.relay_id(relayed) {
            if let Some(client) = self.framer(relayed) {
                command(client);
            }
            self.stir(id);
        }
    }

    /// Whether the relay of this address is reached over a stream although UDP may yet turn out to
    /// work from the same base: nothing has answered there, and something still may.
    pub(crate) fn may_do_without(&self, relayed: SocketAddr) -> bool {
        let Some(source) = self.relay_id(relayed).and_then(|id| self.sources.get(&id)) else {
            return false;
        };
        let datagrams = || {
            let at_base = |it: &&Source| it.base == source.base && !it.transport.is_reliable();
            self.sources.values().filter(at_base)
        };
        source.transport.is_reliable()
            && datagrams().all(|source| source.progress != Progress::Answered)
            && datagrams().any(|source| !source.progress.is_done())
    }

    /// Bindings need not be kept alive any more.
    pub(crate) fn stop_bindings(&mut self) {
        for id in self.ids(|source| source.kind == Kind::Binding) {
            self.drop_client(id);
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
        let mut next = 0;
        while let Some(&id) = self.by_path.get(&path).and_then(|ids| ids.get(next)) {
            next += 1;
            let input = match self.sources.get_mut(&id).map(|it| &mut it.client) {
                Some(Client::Stun(client)) => client.handle_input(now, datagram.reborrow()),
                Some(Client::Turn(client)) => client.handle_input(now, datagram.reborrow()),
                Some(Client::None) | None => continue,
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
                Input::Data(_) => return Some(input),
                accepted => {
                    self.stir(id);
                    return Some(accepted);
                }
            }
        }
        answer
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let due = self.deadlines.range(..=(now, SourceId::MAX));
        let due: Vec<_> = due.map(|&(_, id)| id).collect();
        for id in due {
            match self.sources.get_mut(&id).map(|source| &mut source.client) {
                Some(Client::Stun(client)) => client.handle_timeout(now),
                Some(Client::Turn(client)) => client.handle_timeout(now),
                Some(Client::None) | None => {}
            }
            self.stir(id);
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(&id) = self.stirred[TRANSMITS].first() {
            let transmit = match self.sources.get_mut(&id).map(|source| &mut source.client) {
                Some(Client::Stun(client)) => client.poll_transmit(),
                Some(Client::Turn(client)) => client.poll_transmit(),
                Some(Client::None) | None => None,
            };
            if transmit.is_some() {
                return transmit;
            }
            self.stirred[TRANSMITS].remove(&id);
        }
        None
    }

    /// The next event of any client, with its source.
    pub(crate) fn poll_event(&mut self) -> Option<(SourceId, SourceEvent)> {
        while let Some(&id) = self.stirred[EVENTS].first() {
            let event = match self.sources.get_mut(&id).map(|source| &mut source.client) {
                Some(Client::Stun(client)) => client.poll_event().map(SourceEvent::Stun),
                Some(Client::Turn(client)) => client.poll_event().map(SourceEvent::Turn),
                Some(Client::None) | None => None,
            };
            if let Some(event) = event {
                return Some((id, event));
            }
            self.stirred[EVENTS].remove(&id);
            self.tidy(id);
        }
        None
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        deadline.into_iter().chain(self.due).min()
    }
}

/// What a client reported.
#[derive(Debug)]
pub(crate) enum SourceEvent {
    Stun(floe_stun::ClientEvent),
    Turn(floe_turn::ClientEvent),
}

//! The agent: some data streams, from the first candidate to the last keepalive.

mod addresses;
mod checking;
mod component;
mod connecting;
mod consent;
mod gathering;
mod generation;
mod incoming;
mod likelihood;
mod lite;
mod names;
mod nomination;
mod recovery;
mod remote;
mod slots;
mod statistics;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::ops::{Deref, DerefMut, Range};
use core::time::Duration;

use floe_sansio::{
    Clock, Entropy, FiveTuple, Instant, Route, Timer, Timers, Transmit, impl_machine,
};
use floe_sdp::ice::IceCredentials;

use crate::address::LocalAddress;
use crate::budget::Budget;
use crate::candidate::{Candidate, CandidateKind, Foundations};
use crate::check::Attached;
use crate::check_list::CheckLists;
use crate::component::ComponentId;
use crate::config::{Config, MIN_PACING};
use crate::connections::Connections;
use crate::event::{Event, FailureCause, SelectedPair};
use crate::framing;
use crate::gatherer::Gatherer;
use crate::pacer::Pacer;
use crate::remotes::Remotes;
use crate::role::Role;
use crate::sent::SentChecks;
use crate::stats::{Drops, Quiet, Timeline};
use crate::tcp::TcpType;
use crate::text::Unusable;
use component::{Component, Outcome, Stream};
use generation::{Generation, Upcoming};
pub use slots::Paced;

/// How far an agent has come. A restart sets it back, and so does the loss of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The peer's credentials are not known.
    New,
    /// Pairs are being checked.
    Checking,
    /// A pair of each component works: data can be sent.
    Connected,
    /// The agents have agreed on a pair for each component.
    Completed,
    /// It is over, unless it is restarted.
    Failed(FailureCause),
    /// The owner closed it.
    Closed,
}

/// What the other side signalled beside its candidates.
#[derive(Clone, Debug)]
pub struct RemoteParameters {
    /// Its credentials.
    pub credentials: IceCredentials,
    /// Its Ta, if it said (`a=ice-pacing`).
    pub pacing: Option<Duration>,
    /// Whether it is a lite agent, which sends no checks and never controls (RFC 8445 §2.5).
    pub lite: bool,
    /// Whether it renominates (`a=ice-options:renomination`).
    pub renomination: bool,
}

impl RemoteParameters {
    /// A full agent that said nothing else.
    pub const fn new(credentials: IceCredentials) -> Self {
        Self {
            credentials,
            pacing: None,
            lite: false,
            renomination: false,
        }
    }
}

/// Why a command was rejected; the agent is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The agent has failed or was closed.
    Ended,
    /// The peer's credentials were set already, to others; see [`Agent::restart`].
    CredentialsSet,
    /// The peer said that there are no more candidates (RFC 8838 §14).
    AfterEnd,
    /// More remote candidates than the limit allows.
    Capacity,
    /// The candidate's address cannot be sent to, or its priority or foundation is not allowed; or
    /// there is no such pair to be reconciled.
    Unusable,
    /// No such component or stream.
    UnknownComponent,
    /// No attribute can be attached that must be understood, or that is longer than 500 bytes.
    Attachment,
    /// It has to be ignored (RFC 8839 §5.1).
    Ignored(Unusable),
    /// Nobody asks for the addresses of this name (any more).
    UnknownName,
    /// No stream of this name is being opened: it is not wanted (any more), or open already.
    UnknownStream,
    /// The stream comes from another address than was asked for, or has the path of another one.
    StreamPath,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ignored(cause) => return cause.fmt(f),
            Self::UnknownName => "nobody asks for such a name",
            Self::Ended => "the agent has ended",
            Self::CredentialsSet => "the peer's credentials are set already",
            Self::AfterEnd => "the peer has no more candidates",
            Self::Capacity => "too many remote candidates",
            Self::Unusable => "the candidate cannot be used",
            Self::UnknownComponent => "there is no such component",
            Self::Attachment => "such an attribute cannot be attached to checks",
            Self::UnknownStream => "no such stream is being opened",
            Self::StreamPath => "the stream comes from another address, or is another one",
        })
    }
}

impl core::error::Error for CommandError {}

/// Why data cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No pair of the component works yet, or none does any more.
    NotConnected,
    /// The buffer has no room around the data; leave
    /// [`HEADROOM`](floe_sansio::HEADROOM) and [`TAILROOM`](floe_sansio::TAILROOM).
    NoRoom,
    /// The data does not fit a datagram.
    TooLong,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "no pair works",
            Self::NoRoom => "no room around the data",
            Self::TooLong => "the data does not fit a datagram",
        })
    }
}

impl core::error::Error for SendError {}

/// The named deadlines of an agent; the clients of servers have their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentTimer {
    /// The next transaction may be sent, and there is one.
    Slot,
    /// A pair has waited long enough for an answer.
    PairExpiry,
    /// Gathering takes too long.
    Gathering,
    /// A relayed pair has waited long enough for a direct one.
    Hold,
    /// Until then no list can fail (RFC 8863).
    Pac,
    /// Ask a peer for consent again.
    Consent,
    /// A peer's consent runs out.
    ConsentExpiry,
    /// The loss of a path has to be told.
    Outage,
    /// A better pair has waited long enough to take the place of the selected one.
    Dwell,
    /// Candidates that were not selected may be released (RFC 8445 §8.3.1).
    Release,
    /// A connection that was accepted has had its time to prove itself.
    Unproven,
}

impl Timer for AgentTimer {
    const ALL: &'static [Self] = &[
        Self::Slot,
        Self::PairExpiry,
        Self::Gathering,
        Self::Hold,
        Self::Pac,
        Self::Consent,
        Self::ConsentExpiry,
        Self::Outage,
        Self::Dwell,
        Self::Release,
        Self::Unproven,
    ];

    fn index(self) -> usize {
        self as usize
    }
}

/// A check that came before the peer's credentials (RFC 8445 §7.3: to be finished later).
#[derive(Clone, Copy, Debug)]
struct EarlyCheck {
    /// When it came.
    at: Instant,
    path: FiveTuple,
    priority: u32,
    nominate: bool,
    nomination: Option<u32>,
}

/// What a base is: an address that packets leave from.
#[derive(Clone, Copy, Debug)]
struct Base {
    /// The place of its component.
    component: usize,
    /// The local preference of its candidates.
    preference: u16,
    /// How many addresses of its component and kind are preferred to it.
    place: u16,
    /// Whether a server has answered to it.
    vouched: bool,
    /// Whether it is a relay whose server refuses its other relays.
    alone: bool,
}

/// One ICE agent: some data streams of one session with one peer.
///
/// It gathers candidates, checks pairs and selects one for each component; then it carries data and
/// asks for consent. See the [crate documentation](crate) for a run from beginning to end.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    clock: Clock,
    entropy: Entropy,
    state: State,
    role: Role,
    tie_breaker: u64,

    generation: Generation,
    elders: Vec<Generation>,
    upcoming: Option<Upcoming>,

    streams: Vec<Stream>,
    components: Vec<Component>,
    /// The addresses of this host.
    hosts: Vec<LocalAddress>,
    /// The TCP ports that its driver listens on.
    listeners: Vec<LocalAddress>,
    bases: BTreeMap<SocketAddr, Base>,

    gatherer: Gatherer,
    /// Those with the peer.
    connections: Connections,
    gathering: Gathering,
    gathering_since: Option<Instant>,
    foundations: Foundations,
    /// By a number that none gets twice.
    locals: BTreeMap<u32, Candidate>,
    next_local: u32,

    introduced: Option<Instant>,
    names: names::Names,
    remotes: Remotes,
    /// How many there are of each component and kind, of IPv6 or not, and of each direction of TCP.
    places: BTreeMap<(usize, CandidateKind, bool, Option<TcpType>), u16>,
    peer_reflexive: u32,

    checks: CheckLists,
    budget: Budget,
    early: Vec<EarlyCheck>,
    sent: SentChecks,
    /// Whether the peer has been heard, so that checks sent before it listened were repeated.
    heard: bool,
    /// Paths on which the peer has proven itself, in order: data is accepted from there.
    proven: Vec<FiveTuple>,
    /// How often this side has nominated, between agents that renominate.
    nominations: u32,
    attached: Option<Attached>,

    /// Ta, as both sides agreed.
    pacing: Duration,
    pacer: Pacer,
    /// The turn of the pacer that this agent waits for.
    turn: Option<Instant>,
    last_slot: Option<Instant>,
    /// Slots used since the beginning, or the last restart.
    slots: u32,

    timeline: Timeline,
    drops: Quiet<Drops>,
    timers: Timers<AgentTimer, { AgentTimer::ALL.len() }>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// How far gathering has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gathering {
    Idle,
    Running,
    Complete,
}

impl Agent {
    /// A new agent, with credentials of its own. It sends nothing until [`Self::gather`] or
    /// [`Self::set_remote_parameters`].
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        let generation = Generation::new(0, &mut entropy);
        let mut agent = Self {
            clock: Clock::new(now),
            state: State::New,
            role: config.role,
            tie_breaker: entropy.u64(),
            generation,
            elders: Vec::new(),
            upcoming: None,
            streams: Vec::new(),
            components: Vec::new(),
            hosts: Vec::new(),
            listeners: Vec::new(),
            bases: BTreeMap::new(),
            gatherer: Gatherer::default(),
            connections: Connections::default(),
            gathering: Gathering::Idle,
            gathering_since: None,
            foundations: Foundations::default(),
            locals: BTreeMap::new(),
            next_local: 0,
            introduced: None,
            names: names::Names::default(),
            remotes: Remotes::default(),
            places: BTreeMap::new(),
            peer_reflexive: 0,
            checks: CheckLists::new(config.order),
            budget: Budget::default(),
            early: Vec::new(),
            // Pacing limits them (RFC 8445 §14.2).
            sent: SentChecks::default(),
            heard: false,
            proven: Vec::new(),
            nominations: 0,
            attached: None,
            pacing: config.pacing.max(MIN_PACING),
            pacer: Pacer::new(),
            turn: None,
            last_slot: None,
            slots: 0,
            timeline: Timeline::default(),
            drops: Quiet::default(),
            timers: Timers::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            config,
            entropy,
        };
        for address in core::mem::take(&mut agent.config.addresses) {
            agent.hold(LocalAddress::new(address));
        }
        for address in core::mem::take(&mut agent.config.tcp_addresses) {
            agent.hold(LocalAddress::listening(address));
        }
        agent
    }

    /// The credentials of this side, to be signalled to the other.
    pub const fn credentials(&self) -> &IceCredentials {
        &self.generation.credentials
    }

    /// How often ICE was restarted.
    pub const fn generation(&self) -> u32 {
        self.generation.number
    }

    /// The Ta to be signalled to the other side (`a=ice-pacing`).
    pub fn pacing(&self) -> Duration {
        self.config.pacing.max(MIN_PACING)
    }

    /// Whether to signal `renomination` as an ICE option.
    pub const fn offers_renomination(&self) -> bool {
        self.config.renomination
    }

    /// How far the agent has come.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Sets the role of the beginning, before the peer's parameters are known: the side that offers
    /// controls. Later, and after a restart, only the agents themselves change roles
    /// (RFC 8445 §6.1.1).
    pub fn set_role(&mut self, role: Role) -> Result<(), CommandError> {
        self.check_alive()?;
        if self.state != State::New || self.generation.number > 0 {
            return Err(CommandError::CredentialsSet);
        }
        self.role = role;
        self.recompute_priorities();
        Ok(())
    }

    /// The role of the moment.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The candidates of this side, in the order in which they were found.
    pub fn local_candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.locals.values()
    }

    /// Whether gathering has ended.
    pub const fn is_gathered(&self) -> bool {
        matches!(self.gathering, Gathering::Complete)
    }

    /// The selected pair of the first component.
    pub fn selected(&self) -> Option<SelectedPair> {
        let first = self.components.first()?;
        first.selected.map(|selection| selection.ends)
    }

    /// The selected pair of a component.
    pub fn selected_for(&self, component: ComponentId) -> Option<SelectedPair> {
        let at = self.component_at(component)?;
        self.components[at].selected.map(|selection| selection.ends)
    }

    /// How many things the other side has made this one hold: for tests of its limits.
    pub fn retained(&self) -> usize {
        self.remotes.len()
            + self.checks.len()
            + self.early.len()
            + self.sent.len()
            + self.proven.len()
            + self.remotes.foundations()
            + self.names.len()
            + self.connections.len()
    }

    /// Where `buffer[range]`, application data of the first component, is to be sent. Through a relay it
    /// is framed in place.
    ///
    /// Data goes over the selected pair; before there is one, over the best pair that works
    /// (RFC 8445 §12.1).
    pub fn send(&mut self, buffer: &mut [u8], range: Range<usize>) -> Result<Route, SendError> {
        self.send_at(0, buffer, range)
    }

    /// The same for any component.
    pub fn send_on(
        &mut self,
        component: ComponentId,
        buffer: &mut [u8],
        range: Range<usize>,
    ) -> Result<Route, SendError> {
        let at = self
            .component_at(component)
            .ok_or(SendError::NotConnected)?;
        self.send_at(at, buffer, range)
    }

    fn send_at(
        &mut self,
        at: usize,
        buffer: &mut [u8],
        range: Range<usize>,
    ) -> Result<Route, SendError> {
        if range.start > range.end || range.end > buffer.len() {
            return Err(SendError::NoRoom);
        }
        if self.state == State::Closed || !self.may_send(at) {
            return Err(SendError::NotConnected);
        }
        let component = self.components.get_mut(at).ok_or(SendError::NotConnected)?;
        let active = component.active.as_mut().ok_or(SendError::NotConnected)?;
        let length = range.len() as u64;
        let route = if active.through_relay {
            let relay = self.gatherer.framer(active.path.local);
            let relay = relay.ok_or(SendError::NotConnected)?;
            let framed = relay.encapsulate(active.path.remote, buffer, range);
            framed.map_err(|error| match error {
                floe_turn::SendError::NoRoom => SendError::NoRoom,
                floe_turn::SendError::TooLong => SendError::TooLong,
                _ => SendError::NotConnected,
            })?
        } else if active.path.transport.is_reliable() {
            let open = self.connections.open_on(active.path);
            open.ok_or(SendError::NotConnected)?;
            Route::new(active.path, framing::frame(buffer, range)?)
        } else {
            Route::new(active.path, range)
        };
        active.traffic.0.packets_sent += 1;
        active.traffic.0.bytes_sent += length;
        active.traffic.0.last_sent = Some(self.clock.now());
        Ok(route)
    }

    /// A full agent has the peer's consent, as far as it knows what time it is (RFC 7675 §5.1); a lite
    /// one has a pair for each component of the stream (RFC 8445 §12.1.1).
    fn may_send(&self, at: usize) -> bool {
        let Some(component) = self.components.get(at) else {
            return false;
        };
        if self.config.lite {
            let mut components = self.components_of(component.stream);
            return components.all(|it| it.active.is_some());
        }
        let active = component.active.as_ref();
        active.is_some_and(|active| self.clock.now() < active.consent_expires())
    }

    /// The component that data which came over this local address, [`Route::path`]'s, belongs to.
    pub fn component_of(&self, local: SocketAddr) -> Option<ComponentId> {
        let base = self.bases.get(&local).map(|base| base.component);
        let stream = || {
            let mut streams = self.connections.iter();
            streams.find(|(_, it)| it.path.local == local)
        };
        let at = base.or_else(|| stream().map(|(_, it)| it.component))?;
        Some(self.components[at].id)
    }

    /// Attaches an attribute to every check and every answer to one from now on, or none any more:
    /// a way for the owner to tell the peer something before there is a path, proven by the session's
    /// credentials.
    ///
    /// `kind` must be comprehension-optional, 0x8000 and up; the value has 500 bytes at most.
    pub fn attach(&mut self, attribute: Option<(u16, bytes::Bytes)>) -> Result<(), CommandError> {
        if let Some((kind, value)) = &attribute {
            if *kind < 0x8000 || value.len() > crate::check::PIGGYBACK_MAX {
                return Err(CommandError::Attachment);
            }
        }
        self.attached = attribute;
        Ok(())
    }

    /// Ends it: nothing is sent any more but the release of allocations.
    pub fn close(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        let now = self.clock.advance(now);
        self.stop(now);
        self.state = State::Closed;
        self.settle(now);
    }

    /// The clock reached [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        self.gatherer.handle_timeout(now);
        // First what ends paths: nothing is sent over a relay that is gone.
        self.drain_gatherer(now);
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                // Looked at by `settle`.
                AgentTimer::Slot | AgentTimer::Pac => {}
                AgentTimer::PairExpiry => self.expire_checks(now),
                AgentTimer::Gathering => self.cut_off_gathering(now),
                AgentTimer::Hold => self.end_holds(now),
                AgentTimer::Consent => self.ask_consents(now),
                AgentTimer::ConsentExpiry => self.expire_consents(now),
                AgentTimer::Outage => self.tell_outages(now),
                AgentTimer::Dwell => self.reconsider_all(now),
                AgentTimer::Release => self.release_unselected(now),
                AgentTimer::Unproven => self.close_unproven(now),
            }
        }
        self.settle(now);
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        // Server traffic first: the permission has to arrive before the check that needs it.
        self.gatherer
            .poll_transmit()
            .or_else(|| self.transmits.pop_front())
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events
            .pop_front()
            .or_else(|| self.gatherer.poll_socket())
            .or_else(|| self.connections.poll_event())
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers
            .next()
            .map(|(at, _)| at)
            .into_iter()
            .chain(self.gatherer.poll_timeout())
            .min()
    }

    const fn check_alive(&self) -> Result<(), CommandError> {
        match self.state {
            State::Failed(_) | State::Closed => Err(CommandError::Ended),
            _ => Ok(()),
        }
    }

    /// The place of a component.
    fn component_at(&self, id: ComponentId) -> Option<usize> {
        self.components.iter().position(|it| it.id == id)
    }

    /// The place of a stream.
    fn stream_at(&self, id: u16) -> Option<usize> {
        self.streams.iter().position(|it| it.id == id)
    }

    /// The same, if it was not removed.
    fn live_stream_at(&self, id: u16) -> Option<usize> {
        let at = self.stream_at(id)?;
        (self.streams[at].outcome != Outcome::Removed).then_some(at)
    }

    fn components_of(&self, stream: usize) -> impl Iterator<Item = &Component> {
        let components = self.components.iter();
        components.filter(move |component| component.stream == stream)
    }

    /// The component of this name, new if there is none; `None` if there are too many.
    fn reach_component(&mut self, id: ComponentId) -> Option<usize> {
        if let Some(at) = self.component_at(id) {
            return Some(at);
        }
        if self.components.len() >= self.config.limits.components || !id.is_valid() {
            return None;
        }
        let stream = self.stream_at(id.stream).unwrap_or_else(|| {
            self.streams.push(Stream::new(id.stream));
            self.streams.len() - 1
        });
        // Most agents have one.
        self.components.reserve_exact(1);
        self.components.push(Component::new(id, stream));
        Some(self.components.len() - 1)
    }

    /// Ends every accepted call: what the call made possible is done, and the deadlines are set.
    fn settle(&mut self, now: Instant) {
        self.drain_gatherer(now);
        for at in 0..self.components.len() {
            if self.components[at].candidate_hold.is_some() {
                self.reconsider(now, at);
            }
        }
        self.pair_lite(now);
        self.run_slot(now);
        self.check_failure(now);
        self.close_needless(now);
        let slot = self.next_slot(now);
        self.set_or_stop(AgentTimer::Slot, slot);
        self.set_or_stop(AgentTimer::PairExpiry, self.next_check_expiry());
        let holds = self.components.iter();
        let hold = holds
            .flat_map(|it| [it.relay_hold, it.candidate_hold])
            .flatten()
            .min();
        self.set_or_stop(AgentTimer::Hold, hold);
        self.set_or_stop(AgentTimer::Consent, self.next_consent());
        self.set_or_stop(AgentTimer::ConsentExpiry, self.next_consent_expiry());
        self.set_or_stop(AgentTimer::Outage, self.next_outage());
        self.set_or_stop(AgentTimer::Unproven, self.next_unproven());
    }

    fn set_or_stop(&mut self, timer: AgentTimer, at: Option<Instant>) {
        match at {
            Some(at) => self.timers.set(timer, at),
            None => self.timers.stop(timer),
        }
    }

    /// Stops checking for good; allocations are released.
    fn stop(&mut self, now: Instant) {
        self.checks = CheckLists::new(self.config.order);
        self.sent.clear();
        self.early.clear();
        self.elders.clear();
        for component in &mut self.components {
            component.end();
        }
        self.timers = Timers::new();
        self.gathering = Gathering::Complete;
        self.gatherer.cut_off(now);
        self.gatherer.stop_bindings();
        self.connections.close_all();
        self.gatherer.release_all(now);
    }

    fn fail(&mut self, now: Instant, cause: FailureCause) {
        if self.check_alive().is_err() {
            return;
        }
        self.stop(now);
        self.state = State::Failed(cause);
        self.events.push_back(Event::Failed(cause));
    }

    /// How far all streams together are (RFC 8445 §6.1.3), once one of them came on or fell back.
    fn review(&mut self, now: Instant) {
        if self.check_alive().is_err() || self.state == State::New {
            return;
        }
        let mut live = self
            .streams
            .iter()
            .filter(|it| it.outcome != Outcome::Removed)
            .peekable();
        if live.peek().is_none() {
            return;
        }
        let mut all_failed = None;
        if live
            .clone()
            .all(|it| matches!(it.outcome, Outcome::Failed(_)))
        {
            all_failed = live.clone().find_map(|it| match it.outcome {
                Outcome::Failed(cause) => Some(cause),
                _ => None,
            });
        }
        if let Some(cause) = all_failed {
            return self.fail(now, cause);
        }
        let completed = live.all(|it| it.outcome == Outcome::Completed);
        let connected = || {
            let components = self.components.iter();
            let mut running = components.filter(|it| {
                let outcome = self.streams[it.stream].outcome;
                matches!(outcome, Outcome::Running | Outcome::Completed)
            });
            running.all(|it| {
                it.active
                    .as_ref()
                    .is_some_and(|active| active.pair.is_some())
            })
        };
        let before = self.state;
        self.state = if completed {
            State::Completed
        } else if connected() {
            State::Connected
        } else {
            State::Checking
        };
        if self.state == State::Completed && before != State::Completed {
            self.completed(now);
        }
    }
}

impl_machine!(Agent, Event);

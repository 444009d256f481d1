//! The agent: one data stream, from the first candidate to the last keepalive.

mod checking;
mod consent;
mod gathering;
mod incoming;
mod nomination;

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use core::ops::Range;
use core::time::Duration;

use floe_sansio::{
    Clock, Entropy, FiveTuple, Instant, Route, Timer, Timers, Transmit, impl_machine,
};
use floe_stun::{Key, Limits, Transactions};

use crate::candidate::{Candidate, CandidateKind, Foundations};
use crate::check::Session;
use crate::check_list::{CheckList, PairId, Schedule};
use crate::config::{Config, DEFAULT_PACING, MIN_PACING};
use crate::credentials;
use crate::event::{Event, FailureCause, SelectedPair};
use crate::gatherer::Gatherer;
use crate::role::Role;
use floe_sdp::ice::IceCredentials;

/// How far an agent has come. It only moves forward, but for [`State::Failed`] and
/// [`State::Closed`], which end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The peer's credentials are not known.
    New,
    /// Pairs are being checked.
    Checking,
    /// A pair works: data can be sent.
    Connected,
    /// The agents have agreed on a pair.
    Completed,
    /// It is over.
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
}

/// Why a command was rejected; the agent is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The agent has failed or was closed.
    Ended,
    /// The peer's credentials were set already, to others; a restart needs a new agent.
    CredentialsSet,
    /// The peer said that there are no more candidates (RFC 8838 §14).
    AfterEnd,
    /// More remote candidates than the limit allows.
    Capacity,
    /// The candidate's address cannot be sent to, or its priority or foundation is not allowed.
    Unusable,
    /// No stream of this name is being opened: it is not wanted (any more), or open already.
    UnknownStream,
    /// The stream comes from another address than was asked for, or has the path of another one.
    StreamPath,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the agent has ended",
            Self::CredentialsSet => "the peer's credentials are set already",
            Self::AfterEnd => "the peer has no more candidates",
            Self::Capacity => "too many remote candidates",
            Self::Unusable => "the candidate cannot be used",
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
    /// No pair works yet, or none does any more.
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

/// The named deadlines of an agent; transactions and the clients of servers have their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentTimer {
    /// The next transaction may be sent, and there is one.
    Slot,
    /// A pair has waited long enough for an answer.
    PairExpiry,
    /// Gathering takes too long.
    Gathering,
    /// The relayed pair has waited long enough for a direct one.
    RelayHold,
    /// It has waited long enough for a candidate that would make one.
    CandidateHold,
    /// Until then the list cannot fail (RFC 8863).
    Pac,
    /// Ask the peer for consent again.
    Consent,
    /// The peer's consent runs out.
    ConsentExpiry,
    /// Candidates that were not selected may be released (RFC 8445 §8.3.1).
    Release,
}

impl Timer for AgentTimer {
    const ALL: &'static [Self] = &[
        Self::Slot,
        Self::PairExpiry,
        Self::Gathering,
        Self::RelayHold,
        Self::CandidateHold,
        Self::Pac,
        Self::Consent,
        Self::ConsentExpiry,
        Self::Release,
    ];

    fn index(self) -> usize {
        self as usize
    }
}

/// A candidate of the other side.
#[derive(Clone, Debug)]
struct Remote {
    candidate: Candidate,
    /// Its foundation as a number.
    foundation: u32,
}

/// A check that came before the peer's credentials (RFC 8445 §7.3: to be finished later).
#[derive(Clone, Copy, Debug)]
struct EarlyCheck {
    path: FiveTuple,
    priority: u32,
    nominate: bool,
}

/// What a check was sent for.
#[derive(Clone, Copy, Debug)]
struct SentCheck {
    pair: PairId,
    /// The role it claimed: a 487 is about that one, whatever the role is by now.
    role: Role,
    priority: u32,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Check,
    Nomination,
    Consent,
}

/// The repetition of the check that nominates.
#[derive(Clone, Copy, Debug)]
struct Nomination {
    pair: PairId,
    schedule: Schedule,
    /// When the pair was nominated first.
    since: Instant,
    /// Whether this is the second chance.
    again: bool,
}

/// One full ICE agent for one data stream with one component.
///
/// It gathers candidates, checks pairs and selects one; then it carries data and asks for consent.
/// See the [crate documentation](crate) for a run from beginning to end.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    clock: Clock,
    entropy: Entropy,
    state: State,
    role: Role,
    tie_breaker: u64,
    pacing: Duration,

    credentials: IceCredentials,
    key: Key,
    remote_parameters: Option<RemoteParameters>,
    introduced: Option<Instant>,
    session: Option<Session>,

    gatherer: Gatherer,
    gathering: Gathering,
    gathering_since: Option<Instant>,
    foundations: Foundations,
    /// The foundations of the other side, numbered in the order of their appearance.
    remote_foundations: Vec<String>,
    peer_reflexive: u32,
    locals: Vec<Candidate>,
    remotes: Vec<Remote>,
    remote_end: bool,

    checks: CheckList,
    early: Vec<EarlyCheck>,
    transactions: Transactions<SentCheck>,
    last_slot: Option<Instant>,
    /// Whether the peer has been heard, so that checks sent before it listened were repeated.
    heard: bool,
    /// Paths on which the peer has proven itself: data is accepted from there.
    proven: BTreeSet<(SocketAddr, SocketAddr)>,

    nomination: Option<Nomination>,
    /// The pair that carries data: the selected one, before that the best valid one.
    active: Option<PairId>,
    selected: Option<SelectedPair>,
    /// A pair was agreed upon and then lost, or could not be.
    nomination_failed: bool,

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
        let credentials = credentials::generate(&mut entropy)
            .expect("48 and 144 bits of ice-chars are valid credentials");
        Self {
            clock: Clock::new(now),
            state: State::New,
            role: config.role,
            tie_breaker: entropy.u64(),
            pacing: config.pacing.max(MIN_PACING),
            key: Key::short_term(credentials.pwd()),
            credentials,
            remote_parameters: None,
            introduced: None,
            session: None,
            gatherer: Gatherer::default(),
            gathering: Gathering::Idle,
            gathering_since: None,
            foundations: Foundations::default(),
            remote_foundations: Vec::new(),
            peer_reflexive: 0,
            locals: Vec::new(),
            remotes: Vec::new(),
            remote_end: false,
            checks: CheckList::default(),
            early: Vec::new(),
            // Pacing limits them (RFC 8445 §14.2).
            transactions: Transactions::new(Limits::UNLIMITED),
            last_slot: None,
            heard: false,
            proven: BTreeSet::new(),
            nomination: None,
            active: None,
            selected: None,
            nomination_failed: false,
            timers: Timers::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            config,
            entropy,
        }
    }

    /// The credentials of this side, to be signalled to the other.
    pub const fn credentials(&self) -> &IceCredentials {
        &self.credentials
    }

    /// The Ta to be signalled to the other side (`a=ice-pacing`).
    pub fn pacing(&self) -> Duration {
        self.config.pacing.max(MIN_PACING)
    }

    /// How far the agent has come.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Sets the role of the beginning, before the peer's parameters are known: the side that offers
    /// controls. Later only the agents themselves change roles.
    pub fn set_role(&mut self, role: Role) -> Result<(), CommandError> {
        self.check_alive()?;
        if self.state != State::New {
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

    /// The candidates of this side so far.
    pub fn local_candidates(&self) -> &[Candidate] {
        &self.locals
    }

    /// Whether gathering has ended.
    pub const fn is_gathered(&self) -> bool {
        matches!(self.gathering, Gathering::Complete)
    }

    /// The selected pair.
    pub const fn selected(&self) -> Option<SelectedPair> {
        self.selected
    }

    /// How many things the other side has made this one hold: for tests of its limits.
    pub fn retained(&self) -> usize {
        self.remotes.len()
            + self.checks.len()
            + self.early.len()
            + self.transactions.len()
            + self.proven.len()
            + self.remote_foundations.len()
    }

    /// Takes what the peer signalled beside its candidates, and begins to check.
    ///
    /// The same credentials again change nothing.
    pub fn set_remote_parameters(
        &mut self,
        now: Instant,
        parameters: RemoteParameters,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        if let Some(known) = &self.remote_parameters {
            let same = known.credentials == parameters.credentials;
            return if same {
                Ok(())
            } else {
                Err(CommandError::CredentialsSet)
            };
        }
        let now = self.clock.advance(now);
        self.session = Some(Session::new(&self.credentials, &parameters.credentials));
        self.pacing = self
            .config
            .pacing
            .max(parameters.pacing.unwrap_or(DEFAULT_PACING))
            .max(MIN_PACING);
        if parameters.lite {
            self.role = Role::Controlling;
            self.recompute_priorities();
        }
        self.checks.begin();
        self.introduced = Some(now);
        self.remote_parameters = Some(parameters);
        self.state = State::Checking;
        let probing = self.config.probing;
        let doublings = (1u32 << probing.count.clamp(1, 16)) / 2 - 1;
        // As long as a check with the RFC's schedule would take, and never less (RFC 8863 §4).
        let sending = probing.interval.saturating_mul(doublings);
        let pac = sending.saturating_add(probing.patience).max(PAC);
        self.timers.set(AgentTimer::Pac, now + pac);
        for early in core::mem::take(&mut self.early) {
            self.peer_checked(now, early.path, early.priority, early.nominate);
        }
        self.settle(now);
        Ok(())
    }

    /// Takes a candidate of the peer.
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        if self.remote_end {
            return Err(CommandError::AfterEnd);
        }
        let usable = candidate.address.port() != 0
            && !candidate.address.ip().is_unspecified()
            && !candidate.address.ip().is_multicast()
            && candidate.address.ip() != Ipv4Addr::BROADCAST
            && (1..1 << 31).contains(&candidate.priority)
            && (1..=32).contains(&candidate.foundation.len());
        if !usable {
            return Err(CommandError::Unusable);
        }
        let known = self
            .remotes
            .iter()
            .position(|remote| remote.candidate.address == candidate.address);
        if known.is_none() && self.remotes.len() >= self.config.limits.remote_candidates {
            return Err(CommandError::Capacity);
        }
        let now = self.clock.advance(now);
        match known {
            // Found before it was signalled: it becomes what it is, and its pairs live on
            // (RFC 8838 §11).
            Some(at) if self.remotes[at].candidate.kind == CandidateKind::PeerReflexive => {
                self.upgrade_remote(at, candidate);
                self.pair_remote(now, at);
            }
            Some(_) => {}
            None => {
                let at = self.push_remote(candidate);
                self.pair_remote(now, at);
            }
        }
        self.settle(now);
        Ok(())
    }

    /// The peer has no more candidates.
    pub fn end_of_remote_candidates(&mut self, now: Instant) -> Result<(), CommandError> {
        self.check_alive()?;
        let now = self.clock.advance(now);
        self.remote_end = true;
        self.settle(now);
        Ok(())
    }

    /// Where `buffer[range]`, application data, is to be sent. Through a relay it is framed in place.
    ///
    /// Data goes over the selected pair; before there is one, over the best pair that works
    /// (RFC 8445 §12.1).
    pub fn send(&mut self, buffer: &mut [u8], range: Range<usize>) -> Result<Route, SendError> {
        if range.start > range.end || range.end > buffer.len() {
            return Err(SendError::NoRoom);
        }
        let ended = matches!(self.state, State::Failed(_) | State::Closed);
        let pair = self
            .active
            .filter(|_| !ended)
            .and_then(|id| self.checks.get(id))
            .ok_or(SendError::NotConnected)?;
        if self.locals[pair.local].kind != CandidateKind::Relayed {
            return Ok(Route::new(FiveTuple::udp(pair.base, pair.address), range));
        }
        let (base, address) = (pair.base, pair.address);
        let relay = self.gatherer.relay(base).ok_or(SendError::NotConnected)?;
        relay
            .encapsulate(address, buffer, range)
            .map_err(|error| match error {
                floe_turn::SendError::NoRoom => SendError::NoRoom,
                floe_turn::SendError::TooLong => SendError::TooLong,
                _ => SendError::NotConnected,
            })
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
        // Checks that nobody answered: their pairs have deadlines of their own.
        while self.transactions.handle_timeout(now).is_some() {}
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                // Both are looked at by `settle`.
                AgentTimer::Slot | AgentTimer::Pac => {}
                AgentTimer::PairExpiry => self.expire_checks(now),
                AgentTimer::Gathering => self.cut_off_gathering(now),
                AgentTimer::RelayHold | AgentTimer::CandidateHold => self.nominate(now),
                AgentTimer::Consent => self.ask_consent(now),
                AgentTimer::ConsentExpiry => self.fail(now, FailureCause::ConsentExpired),
                AgentTimer::Release => self.release_unselected(now),
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
            .or_else(|| self.gatherer.poll_stream())
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers
            .next()
            .map(|(at, _)| at)
            .into_iter()
            .chain(self.transactions.poll_timeout())
            .chain(self.gatherer.poll_timeout())
            .min()
    }

    const fn check_alive(&self) -> Result<(), CommandError> {
        match self.state {
            State::Failed(_) | State::Closed => Err(CommandError::Ended),
            _ => Ok(()),
        }
    }

    /// Ends every accepted call: what the call made possible is done, and the deadlines are set.
    fn settle(&mut self, now: Instant) {
        self.drain_gatherer(now);
        if self.timers.get(AgentTimer::CandidateHold).is_some() {
            self.reconsider(now);
        }
        self.run_slot(now);
        self.check_failure(now);
        self.set_or_stop(AgentTimer::Slot, self.next_slot(now));
        self.set_or_stop(AgentTimer::PairExpiry, self.next_check_expiry());
    }

    fn set_or_stop(&mut self, timer: AgentTimer, at: Option<Instant>) {
        match at {
            Some(at) => self.timers.set(timer, at),
            None => self.timers.stop(timer),
        }
    }

    /// Stops checking for good; allocations are released.
    fn stop(&mut self, now: Instant) {
        self.checks = CheckList::default();
        self.transactions.clear();
        self.early.clear();
        self.nomination = None;
        self.active = None;
        self.timers = Timers::new();
        self.gathering = Gathering::Complete;
        self.gatherer.cut_off(now);
        self.gatherer.stop_bindings();
        for relay in self.gatherer.relays() {
            let _ = relay.release(now);
        }
    }

    fn fail(&mut self, now: Instant, cause: FailureCause) {
        if self.check_alive().is_err() {
            return;
        }
        self.stop(now);
        self.state = State::Failed(cause);
        self.events.push_back(Event::Failed(cause));
    }
}

/// The least time before a list can fail (RFC 8863 §4).
const PAC: Duration = Duration::from_millis(39_500);

impl_machine!(Agent, Event);

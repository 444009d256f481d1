//! What the other side signals: parameters, candidates, their end.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use floe_sansio::Instant;

use super::component::{Component, Outcome, RemoteStream};
use super::{Agent, AgentTimer, CommandError, Duration, RemoteParameters, State};
use crate::candidate::{Candidate, CandidateKind, is_private};
use crate::check::Session;
use crate::check_list::PairState;
use crate::component::ComponentId;
use crate::config::{DEFAULT_PACING, MIN_PACING};
use crate::event::{Event, FailureCause};
use crate::remotes::Remotes;
use crate::role::Role;

/// The least time before a list can fail (RFC 8863 §4).
const PAC: Duration = Duration::from_millis(39_500);

impl Agent {
    /// Takes what the peer signalled beside its candidates, for all streams that it has not signalled
    /// anything for, and begins to check.
    ///
    /// The same credentials again change nothing.
    pub fn set_remote_parameters(
        &mut self,
        now: Instant,
        parameters: RemoteParameters,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        if self.streams.is_empty() {
            self.reach_component(ComponentId::default());
        }
        let mut known = self.streams.iter().filter_map(|it| it.remote.as_ref());
        if known.any(|known| known.parameters.credentials != parameters.credentials)
            && self.streams.iter().all(|it| it.remote.is_some())
        {
            return Err(CommandError::CredentialsSet);
        }
        let fresh: Vec<usize> = (0..self.streams.len())
            .filter(|&at| self.streams[at].remote.is_none())
            .filter(|&at| self.streams[at].outcome != Outcome::Removed)
            .collect();
        if !fresh.is_empty() {
            self.introduce(now, &fresh, parameters);
        }
        Ok(())
    }

    /// The same for one stream, where streams have credentials of their own (RFC 8839 §5.4).
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownComponent`] if there is no such stream;
    /// [`CommandError::CredentialsSet`] if it has other credentials already.
    pub fn set_stream_parameters(
        &mut self,
        now: Instant,
        stream: u16,
        parameters: RemoteParameters,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        let at = self
            .live_stream_at(stream)
            .ok_or(CommandError::UnknownComponent)?;
        match &self.streams[at].remote {
            Some(known) if known.parameters.credentials == parameters.credentials => {}
            Some(_) => return Err(CommandError::CredentialsSet),
            None => self.introduce(now, &[at], parameters),
        }
        Ok(())
    }

    fn introduce(&mut self, now: Instant, streams: &[usize], parameters: RemoteParameters) {
        let now = self.clock.advance(now);
        let lite = parameters.lite;
        let signalled = parameters.pacing.unwrap_or(DEFAULT_PACING);
        let remote = RemoteStream {
            session: Arc::new(Session::new(
                &self.generation.credentials,
                &parameters.credentials,
            )),
            parameters,
        };
        for &at in streams {
            self.streams[at].remote = Some(remote.clone());
        }
        let agreed = self.config.pacing.max(signalled).max(MIN_PACING);
        let first = self.introduced.is_none();
        self.pacing = if first {
            agreed
        } else {
            self.pacing.max(agreed)
        };
        self.meet(lite);
        self.introduced.get_or_insert(now);
        self.timeline.started.get_or_insert(now);
        self.be_patient(now);
        if self.state == State::New {
            self.state = State::Checking;
        }
        if !self.config.lite {
            self.put_off_unlikely(now, streams);
            self.checks.begin(streams);
        }
        self.take_up_early(now);
        self.review(now);
        self.settle(now);
    }

    /// Checks that came before the peer's credentials, or before gathering has begun, count now.
    pub(super) fn take_up_early(&mut self, now: Instant) {
        for early in core::mem::take(&mut self.early) {
            let path = early.path;
            if self.is_introduced(path) {
                self.peer_checked(now, path, early.priority, early.nominate, early.nomination);
                if let Some(id) = self.checks.find(path) {
                    self.heard_on_pair(early.at, id);
                }
            } else {
                self.early.push(early);
            }
        }
    }

    /// The role follows from who is lite (RFC 8445 §6.1.1).
    fn meet(&mut self, lite: bool) {
        let role = match (self.config.lite, lite) {
            (true, false) => Role::Controlled,
            (false, true) => Role::Controlling,
            _ => self.role,
        };
        if role != self.role {
            self.role = role;
            self.recompute_priorities();
        }
    }

    /// From now on no list fails for as long as a check with the RFC's schedule would take, and never
    /// less than 39.5 s (RFC 8863 §4).
    pub(super) fn be_patient(&mut self, now: Instant) {
        let probing = self.probing();
        let doublings = (1u32 << probing.count.clamp(1, 16)) / 2 - 1;
        let sending = probing.interval.saturating_mul(doublings);
        let pac = sending.saturating_add(probing.patience).max(PAC);
        self.timers.set(AgentTimer::Pac, now + pac);
    }

    /// Takes a candidate of the peer. One for a component that this side does not have is of no use
    /// and is left out (RFC 8445 §6.1.2.2).
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what is handed over is not used any more"
    )]
    pub fn add_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), CommandError> {
        let admitted = self.admit_remote(&candidate)?;
        if !is_usable(candidate.address.ip()) {
            return Err(CommandError::Unusable);
        }
        match admitted {
            Some(component) => self.accept_remote(now, component, &candidate),
            None => Ok(()),
        }
    }

    /// Whether a candidate may come, whatever its address, and for which component; `None` if this side
    /// does not have it.
    pub(super) fn admit_remote(
        &mut self,
        candidate: &Candidate,
    ) -> Result<Option<usize>, CommandError> {
        self.check_alive()?;
        if self.components.is_empty() {
            self.reach_component(ComponentId::default());
        }
        let stream = self.live_stream_at(candidate.component.stream);
        let stream = stream.ok_or(CommandError::UnknownComponent)?;
        if self.streams[stream].remote_end {
            return Err(CommandError::AfterEnd);
        }
        let usable = candidate.address.port() != 0
            && (1..1 << 31).contains(&candidate.priority)
            && (1..=32).contains(&candidate.foundation.len());
        if !usable {
            return Err(CommandError::Unusable);
        }
        let component = self.component_at(candidate.component);
        Ok(component.filter(|_| self.can_reach(candidate)))
    }

    /// Makes pairs of a candidate that may come.
    pub(super) fn accept_remote(
        &mut self,
        now: Instant,
        component: usize,
        candidate: &Candidate,
    ) -> Result<(), CommandError> {
        if !self.has_room_for(component, candidate) {
            return Err(CommandError::Capacity);
        }
        let now = self.clock.advance(now);
        let through_nat64 = self.through_nat64(candidate);
        self.take_remote(now, component, candidate);
        // The same, as it is reached from IPv6 addresses.
        if let Some(twin) = through_nat64 {
            if self.has_room_for(component, &twin) {
                self.take_remote(now, component, &twin);
            }
        }
        self.settle(now);
        Ok(())
    }

    fn has_room_for(&self, component: usize, candidate: &Candidate) -> bool {
        let limit = self.config.limits.remote_candidates.min(Remotes::MOST);
        let known = || (self.remotes).find(component, candidate.tcp_type, candidate.address);
        self.remotes.len() < limit || known().is_some()
    }

    /// Where this host has no IPv4 address: a public IPv4 candidate of the peer as a NAT64 shows it.
    fn through_nat64(&self, candidate: &Candidate) -> Option<Candidate> {
        let prefix = self.config.nat64_prefix?;
        let has_v4 = (self.hosts.iter())
            .any(|host| host.component == candidate.component && host.address.is_ipv4());
        if has_v4 || candidate.address.is_ipv6() || is_private(candidate.address.ip()) {
            return None;
        }
        let address = prefix.embed_address(candidate.address);
        Some(Candidate {
            address,
            base: address,
            ..candidate.clone()
        })
    }

    fn take_remote(&mut self, now: Instant, component: usize, candidate: &Candidate) {
        let known = (self.remotes).find(component, candidate.tcp_type, candidate.address);
        let before = known.map(|at| self.remotes[at].kind);
        self.vouch_remote(component, candidate);
        match known {
            // Found before it was signalled: it becomes what it is, and its pairs live on
            // (RFC 8838 §11).
            Some(at) if self.remotes[at].kind == CandidateKind::PeerReflexive => {
                self.upgrade_remote(at, candidate);
                self.pair_remote(now, at);
            }
            // Of two with one address the better one counts.
            Some(at) if self.supersedes(at, candidate) => self.upgrade_remote(at, candidate),
            Some(_) => {}
            None => {
                let at = self.push_remote(component, candidate);
                self.pair_remote(now, at);
            }
        }
        self.guess_blocked(component, before, candidate.kind);
    }

    /// The peer has no more candidates, for any stream.
    pub fn end_of_remote_candidates(&mut self, now: Instant) -> Result<(), CommandError> {
        self.check_alive()?;
        let now = self.clock.advance(now);
        if self.streams.is_empty() {
            self.reach_component(ComponentId::default());
        }
        for stream in &mut self.streams {
            stream.remote_end = true;
        }
        self.settle(now);
        Ok(())
    }

    /// The peer has no more candidates for this stream.
    pub fn end_of_stream_candidates(
        &mut self,
        now: Instant,
        stream: u16,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        let at = self
            .stream_at(stream)
            .ok_or(CommandError::UnknownComponent)?;
        let now = self.clock.advance(now);
        self.streams[at].remote_end = true;
        self.settle(now);
        Ok(())
    }

    /// Ends one stream: both sides agreed to go on without it. Its candidates and pairs are forgotten,
    /// its relays given back, and nothing is sent for it any more (RFC 8445 §11). It comes back only
    /// with [`Self::restore_stream`] and a restart.
    pub fn remove_stream(&mut self, now: Instant, stream: u16) -> Result<(), CommandError> {
        self.check_alive()?;
        let at = self
            .stream_at(stream)
            .ok_or(CommandError::UnknownComponent)?;
        let now = self.clock.advance(now);
        self.end_stream(at, Outcome::Removed);
        self.leave_addresses(now, stream);
        self.review(now);
        self.settle(now);
        Ok(())
    }

    /// The signalling has shown that the peer controls: an agent that thought the same of itself gives
    /// way. For lite agents on both sides, which exchange no checks to find out (RFC 8839 §4.4.2.2).
    pub fn concede(&mut self, now: Instant) -> Result<(), CommandError> {
        self.check_alive()?;
        if self.role == Role::Controlling {
            let now = self.clock.advance(now);
            self.switch_role(now);
            self.settle(now);
        }
        Ok(())
    }

    /// Takes a stream that was removed up again: the next [`Self::restart`] begins it with empty lists
    /// (RFC 8839 §4.4.3.1).
    pub fn restore_stream(&mut self, stream: u16) -> Result<(), CommandError> {
        let at = self
            .stream_at(stream)
            .ok_or(CommandError::UnknownComponent)?;
        if self.streams[at].outcome == Outcome::Removed {
            self.streams[at].outcome = Outcome::Running;
        }
        Ok(())
    }

    /// No more checks, data and keepalives of a stream.
    fn end_stream(&mut self, at: usize, outcome: Outcome) {
        self.streams[at].outcome = outcome;
        self.checks.stop(at);
        for id in self.checks.ids(|pair| pair.list() == at) {
            self.checks.remove(id);
        }
        for component in 0..self.components.len() {
            if self.components[component].stream == at {
                self.components[component].end();
                self.drop_consent_checks(component);
            }
        }
    }

    /// No path for a stream.
    pub(super) fn fail_stream(&mut self, now: Instant, at: usize, cause: FailureCause) {
        if !matches!(
            self.streams[at].outcome,
            Outcome::Running | Outcome::Completed
        ) {
            return;
        }
        self.end_stream(at, Outcome::Failed(cause));
        let others = self.streams.iter();
        if others
            .filter(|it| !matches!(it.outcome, Outcome::Failed(_) | Outcome::Removed))
            .count()
            > 0
        {
            self.events.push_back(Event::StreamFailed {
                stream: self.streams[at].id,
                cause,
            });
        }
        self.review(now);
    }

    /// Stores a remote candidate.
    pub(super) fn push_remote(&mut self, component: usize, candidate: &Candidate) -> usize {
        let is_ipv6 = candidate.address.is_ipv6();
        let alike = (component, candidate.kind, is_ipv6, candidate.tcp_type);
        let places = self.places.entry(alike).or_default();
        let place = *places;
        *places = places.saturating_add(1);
        let limit = self.config.limits.remote_candidates.min(Remotes::MOST);
        self.remotes.push(component, candidate, place, limit)
    }

    /// There is no room for another peer-reflexive candidate: the oldest of them that has led nowhere
    /// gives way, with its pairs. A NAT that shows each packet another port makes them without end.
    pub(super) fn recycle_remote(
        &mut self,
        component: usize,
        candidate: &Candidate,
    ) -> Option<usize> {
        let mut useless: Vec<bool> = (self.remotes.iter())
            .map(|remote| remote.kind == CandidateKind::PeerReflexive)
            .collect();
        for (_, pair) in self.checks.iter() {
            let hopes = pair.nominated_by_peer.is_some() || pair.triggered.is_some();
            // What has lost its consent is remembered, not to be asked anew.
            if pair.valid.is_some() || hopes || pair.spent {
                useless[pair.remote()] = false;
            }
        }
        let carrying = self.components.iter().filter_map(Component::active_pair);
        for pair in carrying.filter_map(|id| self.checks.get(id)) {
            useless[pair.remote()] = false;
        }
        let at = useless.iter().position(|&useless| useless)?;
        for id in self.checks.ids(|pair| pair.remote() == at) {
            self.checks.remove(id);
        }
        self.budget.forget(self.remotes[at].address);
        self.remotes.recycle(at, component, candidate);
        Some(at)
    }

    /// Whether a candidate takes the place of one with the same address: it has a higher priority, and no
    /// pair has gone beyond waiting (RFC 8445 §6.1.2.4, RFC 8838 §10).
    fn supersedes(&self, at: usize, candidate: &Candidate) -> bool {
        let limit = 2 * self.config.limits.remote_candidates;
        self.remotes[at].priority < candidate.priority
            && self.remotes.foundations() < limit
            && self.checks.iter().all(|(_, pair)| {
                let waits = matches!(pair.state, PairState::Frozen | PairState::Waiting);
                pair.remote() != at || waits
            })
    }

    /// A peer-reflexive candidate has been signalled: it takes kind, priority and foundation of what
    /// it really is; its pairs keep their state.
    fn upgrade_remote(&mut self, at: usize, candidate: &Candidate) {
        let limit = self.config.limits.remote_candidates;
        self.remotes.upgrade(at, candidate, limit);
        let remote = self.remotes[at];
        let relayed = self.is_relayed(remote.kind, remote.address);
        if let Some(selection) = &mut self.components[remote.component()].selected {
            if selection.ends.remote.address == remote.address {
                selection.ends.remote.kind = remote.kind;
            }
        }
        let role = self.role;
        for id in self.checks.ids(|pair| pair.remote() == at) {
            let locals = &self.locals;
            self.checks.update(id, |pair| {
                if let Some(ours) = locals.get(&pair.local) {
                    pair.priority = role.pair_priority(ours.priority, remote.priority);
                    pair.relayed = relayed || ours.kind == CandidateKind::Relayed;
                }
                pair.foundation.1 = remote.foundation;
            });
        }
    }
}

/// Whether anything can be sent to this address.
pub(super) fn is_usable(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && ip != Ipv4Addr::BROADCAST
}

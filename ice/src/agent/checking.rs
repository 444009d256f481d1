//! Pairs are formed, checked, and fail (RFC 8445 §6.1, §7.2).

use core::net::{IpAddr, SocketAddr};

use floe_sansio::{FiveTuple, Instant};

use super::component::Outcome;
use super::{Agent, AgentTimer, CommandError, Duration, Gathering, State, Target};
use crate::candidate::{Candidate, CandidateKind, is_private};
use crate::check_list::{Pair, PairId, PairState, Schedule};
use crate::event::FailureCause;
use crate::role::Role;
use crate::stats::Quiet;
use crate::tcp::{self, TcpType};

impl Agent {
    /// Pairs the local candidate of this number with all of the other side.
    pub(super) fn pair_local(&mut self, now: Instant, local: usize) {
        for remote in 0..self.remotes.len() {
            // A peer-reflexive candidate goes with the pair that revealed it only
            // (RFC 8445 §7.3.1.3).
            if self.remotes[remote].candidate.kind != CandidateKind::PeerReflexive {
                self.add_pair(now, local, remote);
            }
        }
    }

    /// Pairs the remote candidate in place `remote` with all of this side that are their own bases:
    /// a reflexive one is replaced by its base, which is there (RFC 8445 §6.1.2.4).
    pub(super) fn pair_remote(&mut self, now: Instant, remote: usize) {
        let component = self.remotes[remote].component;
        for place in 0..self.components[component].bases.len() {
            let local = self.components[component].bases[place];
            self.add_pair(now, local, remote);
        }
    }

    /// Forms one pair, unless it exists, cannot work, comes too late, or the list is full of better
    /// ones.
    pub(super) fn add_pair(&mut self, now: Instant, local: usize, remote: usize) -> Option<PairId> {
        let (ours, theirs) = (self.locals.get(&local)?, &self.remotes[remote]);
        let through_relay = ours.kind == CandidateKind::Relayed;
        let relayed = through_relay || self.is_relayed(&theirs.candidate);
        let component = theirs.component;
        let path = path_between(ours, &theirs.candidate);
        let known = self.checks.find(path).is_some();
        let late = self.is_concluded(component) && !self.would_improve(component, relayed);
        if late && !known {
            return None;
        }
        self.form_pair(now, local, remote, false)
    }

    /// The same, also when it comes late; for a pair that the peer has nominated there is room.
    pub(super) fn form_pair(
        &mut self,
        now: Instant,
        local: usize,
        remote: usize,
        nominated: bool,
    ) -> Option<PairId> {
        let (ours, theirs) = (self.locals.get(&local)?, &self.remotes[remote]);
        let component = theirs.component;
        let path = path_between(ours, &theirs.candidate);
        if let Some(existing) = self.checks.find(path) {
            let own = self.checks.get(existing);
            return own.filter(|it| it.component == component).map(|_| existing);
        }
        if self.components[component].id != ours.component || !can_pair(ours, &theirs.candidate) {
            return None;
        }
        let opens = match ours.tcp_type {
            None => false,
            Some(TcpType::Active) => true,
            // Only with a connection that is there (RFC 6544 §6.2, §9.2).
            Some(_) => self.connections.on(path)?.opens,
        };
        let through_relay = ours.kind == CandidateKind::Relayed;
        let relayed = through_relay || self.is_relayed(&theirs.candidate);
        let place = self.place(ours, remote);
        let pair = Pair {
            path,
            opens,
            list: self.components[component].stream,
            component,
            number: ours.component.component,
            local,
            remote,
            priority: self
                .role
                .pair_priority(ours.priority, theirs.candidate.priority),
            place,
            foundation: (ours.foundation.parse().unwrap_or(0), theirs.foundation),
            relayed,
            state: PairState::Frozen,
            schedule: Schedule::default(),
            triggered: None,
            valid: None,
            nominated_by_peer: None,
            round_trip: Duration::ZERO,
            answered: now,
            revivals: 0,
            spent: false,
            moved: false,
            counters: Quiet::default(),
        };
        let (id, evicted) = self
            .checks
            .insert(pair, self.config.limits.pairs, nominated)?;
        if let Some(evicted) = evicted {
            self.transactions
                .retain(|check| check.target != Target::Pair(evicted));
        }
        if through_relay {
            // Asked for now, so that the peer's checks come through; nobody waits for it.
            self.gatherer.with_relay(path.local, |relay| {
                let _ = relay.create_permission(now, path.remote.ip());
            });
        }
        Some(id)
    }

    /// Whether a component has its pair, or never will.
    fn is_concluded(&self, component: usize) -> bool {
        let component = &self.components[component];
        let outcome = self.streams[component.stream].outcome;
        component.selected.is_some() || matches!(outcome, Outcome::Failed(_) | Outcome::Removed)
    }

    /// Whether a remote candidate is an address on a relay. A peer-reflexive one does not say; but
    /// one with the address of a known relay is.
    pub(super) fn is_relayed(&self, theirs: &Candidate) -> bool {
        match theirs.kind {
            CandidateKind::Relayed => true,
            CandidateKind::PeerReflexive => {
                let ours = self.config.turn_servers.iter().map(|s| s.address.ip());
                let kinds = self
                    .locals
                    .values()
                    .chain(self.remotes.iter().map(|r| &r.candidate));
                let known = kinds.filter(|c| c.kind == CandidateKind::Relayed);
                let mut relays = ours.chain(known.map(|c| c.address.ip()));
                relays.any(|ip| ip == theirs.address.ip())
            }
            CandidateKind::Host | CandidateKind::ServerReflexive => false,
        }
    }

    /// The role changed: so does the priority of every pair (RFC 8445 §7.3.1.1).
    pub(super) fn recompute_priorities(&mut self) {
        let role = self.role;
        for id in self.checks.ids(|_| true) {
            let (locals, remotes) = (&self.locals, &self.remotes);
            self.checks.update(id, |pair| {
                let ours = locals.get(&pair.local).map_or(0, |local| local.priority);
                let theirs = remotes[pair.remote].candidate.priority;
                pair.priority = role.pair_priority(ours, theirs);
            });
        }
    }

    /// When a check has been waited for long enough.
    pub(super) fn next_check_expiry(&self) -> Option<Instant> {
        let nominations = self
            .components
            .iter()
            .filter_map(|it| it.nomination.as_ref());
        self.checks
            .next_expiry()
            .into_iter()
            .chain(nominations.filter_map(|it| it.schedule.expires()))
            .min()
    }

    /// Pairs that nobody answered fail.
    pub(super) fn expire_checks(&mut self, now: Instant) {
        while let Some(id) = self.checks.expired(now) {
            self.fail_pair(now, id);
        }
        for at in 0..self.components.len() {
            let nomination = self.components[at].nomination;
            let expired = nomination
                .filter(|nomination| nomination.schedule.expires().is_some_and(|end| end <= now));
            if let Some(nomination) = expired {
                self.nomination_unanswered(now, at, nomination);
            }
        }
    }

    /// Whether the pair has been checked as often as its own and the peer's repetitions account for:
    /// a peer that only keeps asking gets no more.
    pub(super) fn is_exhausted(&self, pair: &Pair) -> bool {
        pair.schedule.count() >= self.config.probing.count.saturating_mul(2)
    }

    /// A pair does not work (any more).
    pub(super) fn fail_pair(&mut self, now: Instant, id: PairId) {
        let failed = self.checks.update(id, |pair| {
            pair.state = PairState::Failed;
            pair.valid = None;
            pair.triggered = None;
            pair.schedule = Schedule::default();
            (pair.component, pair.nominated_by_peer.is_some())
        });
        let Some((component, by_peer)) = failed else {
            return;
        };
        self.transactions
            .retain(|check| check.target != Target::Pair(id));
        let nomination = self.components[component].nomination;
        if nomination.is_some_and(|nomination| nomination.pair == id) {
            self.nomination_lost(now, component);
        } else if by_peer && self.role == Role::Controlled {
            self.end_list(now, component);
        }
        if self.components[component].active_pair() == Some(id) {
            let silent = self.checks.get(id).is_some_and(|pair| pair.spent);
            let cause = if silent {
                FailureCause::ConsentExpired
            } else {
                FailureCause::PathLost
            };
            self.path_lost(now, component, cause);
        }
        self.reconsider(now, component);
    }

    /// The host was told by ICMP, with a hard error, that packets of this path do not arrive
    /// (RFC 8445 §7.2.5.2.2). A pair whose check is under way there fails. One that has worked does not:
    /// anybody can send such a message, and consent will tell.
    pub fn unreachable(&mut self, now: Instant, path: FiveTuple) -> Result<(), CommandError> {
        self.check_alive()?;
        let now = self.clock.advance(now);
        if let Some(id) = self.checks.find(path) {
            let pair = self.checks.get(id);
            if pair.is_some_and(|pair| pair.state == PairState::InProgress) {
                self.fail_pair(now, id);
            }
        }
        self.settle(now);
        Ok(())
    }

    /// Fails all pairs that are like this.
    pub(super) fn fail_pairs(&mut self, now: Instant, which: impl FnMut(&Pair) -> bool) {
        for id in self.checks.ids(which) {
            self.fail_pair(now, id);
        }
    }

    /// Gives up on a stream when nothing is left that could work for one of its components: gathering
    /// is over, the peer has no more candidates, and it had its time to check (RFC 8445 §7.2.5.4,
    /// RFC 8838 §8, RFC 8863).
    ///
    /// At the end of that time the peer's silence counts as end-of-candidates.
    pub(super) fn check_failure(&mut self, now: Instant) {
        let waiting = self.timers.get(AgentTimer::Pac).is_some();
        let gathering = self.gathering == Gathering::Running || !self.gatherer.is_complete();
        if self.state == State::New || waiting || gathering {
            return;
        }
        for at in 0..self.streams.len() {
            let stream = &self.streams[at];
            if stream.outcome != Outcome::Running || stream.remote.is_none() {
                continue;
            }
            let hopeless = (0..self.components.len())
                .filter(|&component| self.components[component].stream == at)
                .any(|component| {
                    let open = self.checks.is_open(component) && !self.config.lite;
                    self.checks.valid(component).next().is_none() && !open
                });
            if hopeless {
                let cause = self.failure_of(at);
                self.fail_stream(now, at, cause);
            }
        }
    }

    fn failure_of(&self, stream: usize) -> FailureCause {
        let of_stream =
            |candidate: &Candidate| candidate.component.stream == self.streams[stream].id;
        let current = self.generation.number;
        let mut losses = self.components_of(stream).filter_map(|it| it.lost);
        if let Some(loss) = losses.find(|loss| loss.generation == current) {
            return loss.cause;
        }
        if self.streams[stream].nomination_failed {
            FailureCause::NominationFailed
        } else if !self.locals.values().any(of_stream) {
            FailureCause::NoLocalCandidates
        } else if !self
            .remotes
            .iter()
            .any(|remote| of_stream(&remote.candidate))
        {
            FailureCause::NoRemoteCandidates
        } else if self.checks.len_of(stream) == 0 {
            FailureCause::NoPairs
        } else {
            FailureCause::ChecksFailed
        }
    }
}

/// Whether two candidates can reach each other at all (RFC 8445 §6.1.2.2).
fn can_pair(ours: &Candidate, theirs: &Candidate) -> bool {
    let (local, remote) = (ours.address, theirs.address);
    ours.transport == theirs.transport
        && tcp::can_pair(ours.tcp_type, theirs.tcp_type)
        && local.is_ipv4() == remote.is_ipv4()
        && is_link_local_v6(local) == is_link_local_v6(remote)
        // A relay on the internet reaches no private network.
        && !(ours.kind == CandidateKind::Relayed
            && is_private(remote.ip())
            && !is_private(local.ip()))
}

/// How packets of a pair travel.
fn path_between(ours: &Candidate, theirs: &Candidate) -> FiveTuple {
    FiveTuple {
        transport: ours.transport,
        local: ours.base,
        remote: theirs.address,
    }
}

fn is_link_local_v6(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local())
}

//! Pairs are formed and checked, one transaction a slot (RFC 8445 §6.1, §7.2).

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use floe_sansio::{FiveTuple, Instant, Transmit};
use floe_stun::{Retransmission, TransactionId};

use super::{Agent, AgentTimer, Gathering, Purpose, Remote, SentCheck, State};
use crate::candidate::{Candidate, CandidateKind, candidate_priority, is_private};
use crate::check::Check;
use crate::check_list::{Pair, PairId, PairState, Schedule};
use crate::event::FailureCause;

/// How long the answer to a check is waited for: longer than its pair can live without one.
const ANSWER_LIFETIME: Duration = Duration::from_secs(40);

impl Agent {
    /// Pairs the local candidate in place `local` with all of the other side.
    pub(super) fn pair_local(&mut self, now: Instant, local: usize) {
        for remote in 0..self.remotes.len() {
            // A peer-reflexive candidate goes with the pair that revealed it only
            // (RFC 8445 §7.3.1.3).
            if self.remotes[remote].candidate.kind != CandidateKind::PeerReflexive {
                self.add_pair(now, local, remote);
            }
        }
    }

    /// Pairs the remote candidate in place `remote` with all of this side.
    pub(super) fn pair_remote(&mut self, now: Instant, remote: usize) {
        for local in 0..self.locals.len() {
            let candidate = &self.locals[local];
            // A reflexive candidate is replaced by its base, which is there (RFC 8445 §6.1.2.4).
            let is_base = candidate.address == candidate.base;
            let secret = self.config.policy == crate::Policy::Relay
                && candidate.kind != CandidateKind::Relayed;
            if is_base && !secret && candidate.kind != CandidateKind::PeerReflexive {
                self.add_pair(now, local, remote);
            }
        }
    }

    /// Forms one pair, unless it exists, cannot work, or the list is full of better ones.
    pub(super) fn add_pair(&mut self, now: Instant, local: usize, remote: usize) -> Option<PairId> {
        let (ours, theirs) = (&self.locals[local], &self.remotes[remote].candidate);
        if let Some(existing) = self.checks.find(ours.base, theirs.address) {
            return Some(existing);
        }
        if self.state == State::Completed || !can_pair(ours, theirs) {
            return None;
        }
        let pair = Pair {
            base: ours.base,
            address: theirs.address,
            local,
            remote,
            priority: self.role.pair_priority(ours.priority, theirs.priority),
            foundation: (
                ours.foundation.parse().unwrap_or(0),
                self.remotes[remote].foundation,
            ),
            relayed: ours.kind == CandidateKind::Relayed || self.is_relayed(theirs),
            state: PairState::Frozen,
            schedule: Schedule::default(),
            valid: None,
            nominated_by_peer: false,
            round_trip: Duration::ZERO,
            answered: now,
        };
        let (base, address) = (pair.base, pair.address);
        let relayed = ours.kind == CandidateKind::Relayed;
        let (id, evicted) = self.checks.insert(pair, self.config.limits.pairs)?;
        if let Some(evicted) = evicted {
            self.transactions.retain(|check| check.pair != evicted);
        }
        if relayed {
            // Asked for now, so that the peer's checks come through; nobody waits for it.
            if let Some(relay) = self.gatherer.relay(base) {
                let _ = relay.create_permission(now, address.ip());
            }
        }
        Some(id)
    }

    /// Whether a remote candidate is an address on a relay. A peer-reflexive one does not say; but
    /// one with the address of a known relay is.
    pub(super) fn is_relayed(&self, theirs: &Candidate) -> bool {
        let relay_ips = || {
            let ours = self.config.turn_servers.iter().map(|s| s.address.ip());
            let kinds = self
                .locals
                .iter()
                .chain(self.remotes.iter().map(|r| &r.candidate));
            let known = kinds.filter(|c| c.kind == CandidateKind::Relayed);
            ours.chain(known.map(|c| c.address.ip()))
        };
        match theirs.kind {
            CandidateKind::Relayed => true,
            CandidateKind::PeerReflexive => relay_ips().any(|ip| ip == theirs.address.ip()),
            CandidateKind::Host | CandidateKind::ServerReflexive => false,
        }
    }

    /// Stores a remote candidate.
    pub(super) fn push_remote(&mut self, candidate: Candidate) -> usize {
        let foundation = self.remote_foundation(&candidate);
        self.remotes.push(Remote {
            candidate,
            foundation,
        });
        self.remotes.len() - 1
    }

    fn remote_foundation(&mut self, candidate: &Candidate) -> u32 {
        let known = self
            .remote_foundations
            .iter()
            .position(|known| *known == candidate.foundation);
        let at = known.unwrap_or_else(|| {
            self.remote_foundations.push(candidate.foundation.clone());
            self.remote_foundations.len() - 1
        });
        at as u32
    }

    /// A peer-reflexive candidate has been signalled: it takes kind, priority and foundation of what
    /// it really is; its pairs keep their state.
    pub(super) fn upgrade_remote(&mut self, at: usize, candidate: Candidate) {
        let foundation = self.remote_foundation(&candidate);
        let relayed = self.is_relayed(&candidate);
        let priority = candidate.priority;
        if let Some(selected) = &mut self.selected {
            if selected.remote.address == candidate.address {
                selected.remote.kind = candidate.kind;
            }
        }
        self.remotes[at] = Remote {
            candidate,
            foundation,
        };
        let role = self.role;
        for pair in self.checks.values_mut().filter(|pair| pair.remote == at) {
            let ours = self.locals[pair.local].priority;
            pair.priority = role.pair_priority(ours, priority);
            pair.foundation.1 = foundation;
            pair.relayed = relayed || self.locals[pair.local].kind == CandidateKind::Relayed;
        }
    }

    /// The role changed: so does the priority of every pair (RFC 8445 §7.3.1.1).
    pub(super) fn recompute_priorities(&mut self) {
        let role = self.role;
        for pair in self.checks.values_mut() {
            let ours = self.locals[pair.local].priority;
            let theirs = self.remotes[pair.remote].candidate.priority;
            pair.priority = role.pair_priority(ours, theirs);
        }
    }

    /// When the next slot can be used: not before Ta has passed since the last, and not before
    /// there is something to send. `None` while there is nothing.
    pub(super) fn next_slot(&self, now: Instant) -> Option<Instant> {
        let due = self.slot_due()?;
        let free = self.last_slot.map_or(now, |last| last + self.pacing);
        // `settle` has just used the slot of this instant if it was free.
        Some(due.max(free).max(now))
    }

    fn slot_due(&self) -> Option<Instant> {
        if self.check_alive().is_err() {
            return None;
        }
        if self.gatherer.has_waiting() {
            return Some(Instant::ZERO);
        }
        self.session.as_ref()?;
        let nomination = self.nomination.as_ref();
        self.checks
            .next_due()
            .into_iter()
            .chain(nomination.and_then(|nomination| nomination.schedule.next()))
            .min()
    }

    /// Uses the slot of this instant, if it is free and there is something to send.
    pub(super) fn run_slot(&mut self, now: Instant) {
        let free = self.last_slot.is_none_or(|last| last + self.pacing <= now);
        if !free || self.slot_due().is_none_or(|due| due > now) {
            return;
        }
        if self.gatherer.ask_next(now) {
            self.last_slot = Some(now);
            // What the clients did at once is taken in by the next call.
            self.drain_gatherer(now);
            return;
        }
        if self.nominates_now(now) {
            self.last_slot = Some(now);
            return;
        }
        let Some(id) = self.checks.next_check(now) else {
            return;
        };
        let Some(pair) = self.checks.get_mut(id) else {
            return;
        };
        if pair.state != PairState::Succeeded {
            pair.state = PairState::InProgress;
        }
        pair.schedule.sent(now, self.config.probing);
        self.last_slot = Some(now);
        self.send_check(now, id, Purpose::Check);
    }

    /// Sends one Binding request over a pair.
    pub(super) fn send_check(&mut self, now: Instant, id: PairId, purpose: Purpose) {
        let (Some(pair), Some(session)) = (self.checks.get(id), &self.session) else {
            return;
        };
        let (base, address) = (pair.base, pair.address);
        let check = Check {
            priority: candidate_priority(CandidateKind::PeerReflexive, self.preference_of(base)),
            role: self.role,
            tie_breaker: self.tie_breaker,
            nominate: purpose == Purpose::Nomination,
        };
        let transaction = TransactionId::random(&mut self.entropy);
        let Ok(payload) = session.request(transaction, check) else {
            return;
        };
        let once = Retransmission {
            rto: ANSWER_LIFETIME,
            count: 1,
            last: 1,
            reliable: ANSWER_LIFETIME,
        };
        let context = SentCheck {
            pair: id,
            role: self.role,
            priority: check.priority,
            purpose,
        };
        let path = FiveTuple::udp(base, address);
        let started = self
            .transactions
            .start(now, path, transaction, payload, once, context);
        if let Ok(Some(transmit)) = started {
            self.transmit(transmit.path, transmit.payload);
        }
    }

    /// Sends from a base: a local address, or through the relay it lies on.
    pub(super) fn transmit(&mut self, path: FiveTuple, payload: Bytes) {
        if self.config.addresses.contains(&path.local) {
            self.transmits.push_back(Transmit { path, payload });
        } else if let Some(relay) = self.gatherer.relay(path.local) {
            // Without a permission (it was refused) there is no way to this peer.
            if let Ok(wrapped) = relay.wrap(path.remote, &payload) {
                self.transmits.push_back(wrapped);
            }
        }
        // Else the relay is gone, and its event will fail the pairs.
    }

    /// When a check has been waited for long enough.
    pub(super) fn next_check_expiry(&self) -> Option<Instant> {
        let nomination = self.nomination.as_ref();
        self.checks
            .next_expiry()
            .into_iter()
            .chain(nomination.and_then(|nomination| nomination.schedule.expires()))
            .min()
    }

    /// Pairs that nobody answered fail.
    pub(super) fn expire_checks(&mut self, now: Instant) {
        while let Some(id) = self.checks.expired(now) {
            self.fail_pair(now, id);
        }
        let expired = self
            .nomination
            .filter(|nomination| nomination.schedule.expires().is_some_and(|at| at <= now));
        if let Some(nomination) = expired {
            self.nomination_unanswered(now, nomination);
        }
    }

    /// Whether the pair has been checked as often as its own and the peer's repetitions account for:
    /// a peer that only keeps asking gets no more.
    pub(super) fn is_exhausted(&self, pair: &Pair) -> bool {
        pair.schedule.count() >= self.config.probing.count.saturating_mul(2)
    }

    /// A pair does not work (any more).
    pub(super) fn fail_pair(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.checks.get_mut(id) else {
            return;
        };
        pair.state = PairState::Failed;
        pair.valid = None;
        pair.schedule = Schedule::default();
        self.transactions.retain(|check| check.pair != id);
        self.checks.untrigger(id);
        if self
            .nomination
            .is_some_and(|nomination| nomination.pair == id)
        {
            self.nomination_lost(now, id);
        }
        if self.active == Some(id) {
            if self.state == State::Completed {
                return self.fail(now, FailureCause::RelayLost);
            }
            self.active = self.checks.best_with_consent(now);
            if self.active.is_none() {
                // Nothing carries data any more; other pairs may still come to work, or again.
                self.state = State::Checking;
                for pair in self.checks.values_mut() {
                    if pair.state == PairState::Succeeded {
                        pair.reset();
                    }
                }
            }
            self.follow_consent(now);
        }
        self.reconsider(now);
    }

    pub(super) fn fail_pairs(&mut self, now: Instant, which: impl Fn(&Pair) -> bool) {
        let ids: alloc::vec::Vec<PairId> = self
            .checks
            .iter()
            .filter(|(_, pair)| which(pair))
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            self.fail_pair(now, id);
        }
    }

    /// Gives up when nothing is left that could work: gathering is over, the peer has no more
    /// candidates, and it had its time to check (RFC 8445 §7.2.5.4, RFC 8838 §8, RFC 8863).
    ///
    /// At the end of that time the peer's silence counts as end-of-candidates.
    pub(super) fn check_failure(&mut self, now: Instant) {
        let waiting = self.timers.get(AgentTimer::Pac).is_some();
        if self.state != State::Checking || waiting || self.gathering == Gathering::Running {
            return;
        }
        if !self.checks.all_failed() {
            return;
        }
        let cause = if self.nomination_failed {
            FailureCause::NominationFailed
        } else if self.locals.is_empty() {
            FailureCause::NoLocalCandidates
        } else if self.remotes.is_empty() {
            FailureCause::NoRemoteCandidates
        } else if self.checks.is_empty() {
            FailureCause::NoPairs
        } else {
            FailureCause::ChecksFailed
        };
        self.fail(now, cause);
    }
}

/// Whether two candidates can reach each other at all (RFC 8445 §6.1.2.2).
fn can_pair(ours: &Candidate, theirs: &Candidate) -> bool {
    let (local, remote) = (ours.address, theirs.address);
    ours.transport == theirs.transport
        && local.is_ipv4() == remote.is_ipv4()
        && is_link_local_v6(local) == is_link_local_v6(remote)
        // A relay on the internet reaches no private network.
        && !(ours.kind == CandidateKind::Relayed
            && is_private(remote.ip())
            && !is_private(local.ip()))
}

fn is_link_local_v6(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local())
}

//! The check list: candidate pairs, their states, and which of them is checked next.

use alloc::collections::{BTreeMap, VecDeque};
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::Instant;

use crate::config::Probing;

/// Names a pair for as long as its agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PairId(u32);

/// The state of a pair (RFC 8445 §6.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairState {
    /// Another pair of the same foundation goes first.
    Frozen,
    /// May be checked.
    Waiting,
    /// A check is out.
    InProgress,
    /// A check was answered.
    Succeeded,
    /// No check was, or one was refused.
    Failed,
}

/// When a check is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    sent: u8,
    interval: Duration,
    next: Option<Instant>,
    expires: Option<Instant>,
}

impl Schedule {
    /// A check is due at `now`, and none has been sent.
    pub(crate) fn starting(now: Instant) -> Self {
        Self {
            next: Some(now),
            ..Self::default()
        }
    }

    /// How many checks have been sent.
    pub(crate) const fn count(&self) -> u8 {
        self.sent
    }

    /// A check has been sent at `now`.
    pub(crate) fn sent(&mut self, now: Instant, probing: Probing) {
        self.interval = if self.interval.is_zero() {
            probing.interval
        } else {
            self.interval.saturating_mul(2)
        };
        self.sent = self.sent.saturating_add(1);
        if self.sent < probing.count {
            self.next = Some(now + self.interval);
            self.expires = None;
        } else {
            self.next = None;
            self.expires = Some(now + probing.patience);
        }
    }

    /// When the next check is due.
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// When it is too late for an answer.
    pub(crate) const fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// The peer is known to be there: what is left of the checks is sent soon.
    fn hurry(&mut self, now: Instant) {
        if let Some(next) = &mut self.next {
            *next = (*next).min(now);
            self.interval = Duration::ZERO;
        }
    }
}

/// Two candidates that may reach each other.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// Where its checks leave from.
    pub(crate) base: SocketAddr,
    /// Where they go.
    pub(crate) address: SocketAddr,
    /// The local candidate, by its place in the agent's list: a host or relayed one.
    pub(crate) local: usize,
    /// The remote candidate, by its place in the agent's list.
    pub(crate) remote: usize,
    /// See [`pair_priority`](crate::pair_priority).
    pub(crate) priority: u64,
    /// Of local and remote candidate.
    pub(crate) foundation: (u32, u32),
    /// Whether a relay is on the path, as far as is known.
    pub(crate) relayed: bool,
    pub(crate) state: PairState,
    pub(crate) schedule: Schedule,
    /// The local candidate of the valid pair that a check produced (RFC 8445 §7.2.5.3.2).
    pub(crate) valid: Option<usize>,
    /// The peer nominated it; it counts as soon as the own check succeeds.
    pub(crate) nominated_by_peer: bool,
    /// Round trip of the check that succeeded.
    pub(crate) round_trip: Duration,
    /// When a check was answered last: consent counts from here.
    pub(crate) answered: Instant,
}

/// Consent lasts this long after the last answer (RFC 7675 §5.1).
pub(crate) const CONSENT_LIFETIME: Duration = Duration::from_secs(30);

impl Pair {
    /// When the consent that the last answer gave runs out (RFC 7675 §5.1).
    pub(crate) fn consent_expires(&self) -> Instant {
        self.answered + CONSENT_LIFETIME
    }

    /// Whether the pair is valid, and was answered not too long ago.
    pub(crate) fn has_consent(&self, now: Instant) -> bool {
        self.valid.is_some() && now < self.consent_expires()
    }

    /// To be checked anew.
    pub(crate) fn reset(&mut self) {
        self.state = PairState::Waiting;
        self.schedule = Schedule::default();
        self.valid = None;
    }
}

/// The check list of one data stream, with its queue of triggered checks.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckList {
    pairs: BTreeMap<PairId, Pair>,
    by_path: BTreeMap<(SocketAddr, SocketAddr), PairId>,
    triggered: VecDeque<PairId>,
    next_id: u32,
    /// Slots used, to share them between first checks and repetitions.
    slots: u32,
}

impl CheckList {
    pub(crate) fn get(&self, id: PairId) -> Option<&Pair> {
        self.pairs.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        self.pairs.get_mut(&id)
    }

    /// The pair whose checks go from `base` to `address`.
    pub(crate) fn find(&self, base: SocketAddr, address: SocketAddr) -> Option<PairId> {
        self.by_path.get(&(base, address)).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PairId, &Pair)> {
        self.pairs.iter().map(|(&id, pair)| (id, pair))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.pairs.values_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Adds a pair in the state that RFC 8838 §12 gives it. Where `limit` pairs exist, a failed one
    /// or one that nobody has checked and that has a lower priority makes room; `None` if there is
    /// no such pair. Returns the new pair and the one that was evicted.
    pub(crate) fn insert(
        &mut self,
        mut pair: Pair,
        limit: usize,
    ) -> Option<(PairId, Option<PairId>)> {
        let mut evicted = None;
        if self.pairs.len() >= limit {
            let victim = self.weakest(pair.priority)?;
            self.remove(victim);
            evicted = Some(victim);
        }
        pair.state = self.initial_state(&pair);
        let id = PairId(self.next_id);
        self.next_id += 1;
        self.by_path.insert((pair.base, pair.address), id);
        self.pairs.insert(id, pair);
        Some((id, evicted))
    }

    /// Checks begin: of each foundation the topmost pair may be checked (RFC 8445 §6.1.2.6), in
    /// whatever order the pairs were added before.
    pub(crate) fn begin(&mut self) {
        let mut topmost = BTreeMap::new();
        for (&id, pair) in &mut self.pairs {
            pair.state = PairState::Frozen;
            let rank = (pair.priority, core::cmp::Reverse(id));
            let top = topmost.entry(pair.foundation).or_insert(rank);
            *top = rank.max(*top);
        }
        for (_, core::cmp::Reverse(id)) in topmost.into_values() {
            if let Some(pair) = self.pairs.get_mut(&id) {
                pair.state = PairState::Waiting;
            }
        }
    }

    /// The rules of RFC 8838 §12: the topmost pair of its foundation and one whose foundation has
    /// worked may be checked, others wait for them.
    fn initial_state(&self, new: &Pair) -> PairState {
        let mut same = self
            .pairs
            .values()
            .filter(|pair| pair.foundation == new.foundation)
            .peekable();
        let alone = same.peek().is_none();
        let mut topmost = true;
        let mut worked = false;
        for pair in same {
            topmost &= pair.priority < new.priority;
            worked |= pair.state == PairState::Succeeded;
        }
        if alone || topmost || worked {
            PairState::Waiting
        } else {
            PairState::Frozen
        }
    }

    /// The pair that a new one of `priority` may push out.
    fn weakest(&self, priority: u64) -> Option<PairId> {
        let expendable = |pair: &Pair| match pair.state {
            PairState::Failed => Some((0, pair.priority)),
            PairState::Frozen | PairState::Waiting if pair.priority < priority => {
                Some((1, pair.priority))
            }
            _ => None,
        };
        // What the peer has asked for, or nominated, is not thrown away.
        let wanted = |id, pair: &Pair| pair.nominated_by_peer || self.triggered.contains(&id);
        self.pairs
            .iter()
            .filter(|&(&id, pair)| pair.state == PairState::Failed || !wanted(id, pair))
            .filter_map(|(&id, pair)| Some((expendable(pair)?, id)))
            .min()
            .map(|(_, id)| id)
    }

    pub(crate) fn remove(&mut self, id: PairId) {
        if let Some(pair) = self.pairs.remove(&id) {
            self.by_path.remove(&(pair.base, pair.address));
            self.untrigger(id);
        }
    }

    /// A pair has succeeded or failed: no check of it is due any more.
    pub(crate) fn untrigger(&mut self, id: PairId) {
        self.triggered.retain(|&queued| queued != id);
    }

    /// A pair has been selected: the others are checked no more, unless the peer asks for it.
    pub(crate) fn retire(&mut self) {
        self.triggered.clear();
        for pair in self.pairs.values_mut() {
            if pair.state != PairState::Succeeded {
                pair.state = PairState::Failed;
                pair.schedule = Schedule::default();
            }
        }
    }

    /// Puts a pair at the end of the triggered-check queue, once.
    pub(crate) fn trigger(&mut self, id: PairId) {
        if !self.triggered.contains(&id) {
            self.triggered.push_back(id);
        }
    }

    /// After a success: pairs of the same foundation need wait no more (RFC 8445 §7.2.5.3.3).
    pub(crate) fn unfreeze(&mut self, foundation: (u32, u32)) {
        for pair in self.pairs.values_mut() {
            if pair.foundation == foundation && pair.state == PairState::Frozen {
                pair.state = PairState::Waiting;
            }
        }
    }

    /// The peer is known to be there, so that checks sent into the void before may work now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for pair in self.pairs.values_mut() {
            if pair.state == PairState::InProgress {
                pair.schedule.hurry(now);
            }
        }
    }

    /// Takes the pair to check in this slot (RFC 8445 §6.1.4.2): a triggered one, else one whose
    /// turn it is; every third slot belongs to repetitions, if one is due.
    pub(crate) fn next_check(&mut self, now: Instant) -> Option<PairId> {
        while let Some(id) = self.triggered.pop_front() {
            if self.pairs.contains_key(&id) {
                return Some(id);
            }
        }
        self.slots = self.slots.wrapping_add(1);
        if self.slots % 3 == 0 {
            self.due_repetition(now).or_else(|| self.next_waiting())
        } else {
            self.next_waiting().or_else(|| self.due_repetition(now))
        }
    }

    fn due_repetition(&self, now: Instant) -> Option<PairId> {
        self.repetitions()
            .filter(|&(at, _)| at <= now)
            .min()
            .map(|(_, id)| id)
    }

    fn repetitions(&self) -> impl Iterator<Item = (Instant, PairId)> {
        self.pairs
            .iter()
            .filter(|(_, pair)| pair.state == PairState::InProgress)
            .filter_map(|(&id, pair)| Some((pair.schedule.next()?, id)))
    }

    fn next_waiting(&mut self) -> Option<PairId> {
        let top = |state: PairState, list: &Self| {
            list.pairs
                .iter()
                .filter(|(_, pair)| pair.state == state)
                .filter(|(_, pair)| state == PairState::Waiting || list.may_thaw(pair))
                .max_by_key(|&(&id, pair)| (pair.priority, core::cmp::Reverse(id)))
                .map(|(&id, _)| id)
        };
        top(PairState::Waiting, self).or_else(|| top(PairState::Frozen, self))
    }

    /// Whether no other pair of its foundation is waiting or being checked.
    fn may_thaw(&self, frozen: &Pair) -> bool {
        !self.pairs.values().any(|pair| {
            pair.foundation == frozen.foundation
                && matches!(pair.state, PairState::Waiting | PairState::InProgress)
        })
    }

    /// When there is something to check: [`Instant::ZERO`] for at once.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let ready = !self.triggered.is_empty()
            || self.pairs.values().any(|pair| match pair.state {
                PairState::Waiting => true,
                PairState::Frozen => self.may_thaw(pair),
                _ => false,
            });
        if ready {
            return Some(Instant::ZERO);
        }
        self.repetitions().map(|(at, _)| at).min()
    }

    /// When the next pair in progress has waited long enough.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.in_progress()
            .filter_map(|(_, pair)| pair.schedule.expires())
            .min()
    }

    /// A pair that has waited long enough at `now`.
    pub(crate) fn expired(&self, now: Instant) -> Option<PairId> {
        self.in_progress()
            .find(|(_, pair)| pair.schedule.expires().is_some_and(|at| at <= now))
            .map(|(id, _)| id)
    }

    fn in_progress(&self) -> impl Iterator<Item = (PairId, &Pair)> {
        self.iter()
            .filter(|(_, pair)| pair.state == PairState::InProgress)
    }

    /// Whether a pair without a relay may still turn out to work.
    pub(crate) fn direct_is_open(&self) -> bool {
        self.pairs.values().any(|pair| {
            !pair.relayed
                && matches!(
                    pair.state,
                    PairState::Frozen | PairState::Waiting | PairState::InProgress
                )
        })
    }

    /// The valid pair to prefer: without a relay, then by priority.
    pub(crate) fn best_valid(&self) -> Option<PairId> {
        self.best_of(|pair| pair.valid.is_some())
    }

    /// The same of the valid pairs over which data may be sent at `now`.
    pub(crate) fn best_with_consent(&self, now: Instant) -> Option<PairId> {
        self.best_of(|pair| pair.has_consent(now))
    }

    fn best_of(&self, which: impl Fn(&Pair) -> bool) -> Option<PairId> {
        self.pairs
            .iter()
            .filter(|(_, pair)| which(pair))
            .max_by_key(|&(&id, pair)| (!pair.relayed, pair.priority, core::cmp::Reverse(id)))
            .map(|(&id, _)| id)
    }

    /// Whether every pair has failed, also when there is none.
    pub(crate) fn all_failed(&self) -> bool {
        self.pairs
            .values()
            .all(|pair| pair.state == PairState::Failed)
    }
}

#[cfg(test)]
mod tests;

//! One transaction a slot: slots are Ta apart (RFC 8445 §14.2), and what goes into each.

use super::connecting::PATIENCE;
use super::{Agent, Deref, DerefMut, Duration, FiveTuple, Instant, MIN_PACING, Transmit};
use bytes::Bytes;
use floe_stun::TransactionId;

use crate::candidate::CandidateKind;
use crate::check::{self, Check};
use crate::check_list::{Pair, PairId, PairState};
use crate::config::CheckOrder;
use crate::framing::framed;
use crate::pacer::Pacer;
use crate::sent::{Purpose, SentCheck, Target};

/// Checks a pair that wait for their answers, on average over all that there may be. The last two are
/// waited for as long as it takes: each comes twice as late as the one before.
const UNANSWERED_PER_PAIR: usize = 2;
/// The same for the path of a component.
const UNANSWERED_PER_COMPONENT: usize = 16;

/// An agent that keeps the pace of others, see [`Agent::paced`].
#[derive(Debug)]
pub struct Paced<'a> {
    agent: &'a mut Agent,
    pacer: &'a mut Pacer,
}

impl Agent {
    /// Lends the agent the pacer that all agents of the process share, for one call or some:
    ///
    /// ```
    /// use floe_ice::{Agent, Config, Pacer, Role};
    /// use floe_sansio::Instant;
    ///
    /// let mut pacer = Pacer::new();
    /// let mut agent = Agent::new(Config::new(Role::Controlling), [1; 32], Instant::ZERO);
    /// agent.paced(&mut pacer).handle_timeout(Instant::ZERO);
    /// ```
    ///
    /// A call without it uses a pacer of the agent's own, so lend it in every call or in none.
    pub fn paced<'a>(&'a mut self, pacer: &'a mut Pacer) -> Paced<'a> {
        self.swap_pacer(pacer);
        Paced { agent: self, pacer }
    }

    pub(crate) const fn swap_pacer(&mut self, pacer: &mut Pacer) {
        core::mem::swap(&mut self.pacer, pacer);
    }
}

impl Deref for Paced<'_> {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        self.agent
    }
}

impl DerefMut for Paced<'_> {
    fn deref_mut(&mut self) -> &mut Agent {
        self.agent
    }
}

impl Drop for Paced<'_> {
    fn drop(&mut self) {
        self.agent.swap_pacer(self.pacer);
    }
}

/// What goes into the next slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// The peer waits for it: a triggered check, a nomination.
    Urgent,
    /// Asking a server, a check.
    Ordinary,
}

impl Agent {
    /// When the next slot can be used: not before it is this agent's turn, and not before there is
    /// something to send. `None` while there is nothing.
    pub(super) fn next_slot(&mut self, now: Instant) -> Option<Instant> {
        let Some(at) = self.slot_at(now) else {
            if let Some(turn) = self.turn.take() {
                self.pacer.give_back(turn);
            }
            return None;
        };
        // One turn is enough to wait for; more would keep others waiting.
        match self.turn {
            Some(turn) => Some(at.max(turn)),
            None => Some(at),
        }
    }

    /// When a slot of this agent can be used, whatever others do.
    fn slot_at(&self, now: Instant) -> Option<Instant> {
        let (due, work) = self.work_due()?;
        let free = self
            .last_slot
            .map_or(now, |last| last + self.interval(work));
        // `settle` has just used the slot of this instant if it was free.
        Some(due.max(free).max(now))
    }

    /// The time between the last slot and the next one.
    fn interval(&self, work: Work) -> Duration {
        if work == Work::Urgent || self.slots < self.config.burst {
            self.pacing
        } else {
            self.config.settled_pacing.max(self.pacing)
        }
    }

    fn work_due(&self) -> Option<(Instant, Work)> {
        self.check_alive().ok()?;
        if self.introduced.is_some() && self.checks.has_triggered() {
            return Some((Instant::ZERO, Work::Urgent));
        }
        let nominations = self
            .components
            .iter()
            .filter_map(|it| it.nomination.as_ref());
        let nomination = nominations.filter_map(|it| it.schedule.next()).min();
        let check = self.introduced.and_then(|_| self.checks.next_due());
        let asking = self.gatherer.has_waiting().then_some(Instant::ZERO);
        let ordinary = check.into_iter().chain(asking).min();
        match (nomination, ordinary) {
            (Some(nomination), Some(ordinary)) if ordinary < nomination => {
                Some((ordinary, Work::Ordinary))
            }
            (Some(nomination), _) => Some((nomination, Work::Urgent)),
            (None, ordinary) => Some((ordinary?, Work::Ordinary)),
        }
    }

    /// Uses the slot of this instant, if it is this agent's turn and there is something to send.
    pub(super) fn run_slot(&mut self, now: Instant) {
        if self.slot_at(now).is_none_or(|at| at > now) {
            return;
        }
        let turn = *self.turn.get_or_insert_with(|| self.pacer.take(now));
        if turn > now || !self.fill_slot(now) {
            return;
        }
        self.turn = None;
        self.last_slot = Some(now);
        self.slots = self.slots.saturating_add(1);
        self.timeline.first_check.get_or_insert(now);
    }

    /// Sends one transaction; `false` if there was none to send.
    fn fill_slot(&mut self, now: Instant) -> bool {
        let checking = self.introduced.is_some();
        if checking && self.checks.has_triggered() && self.check_next(now) {
            return true;
        }
        if self.nominates_now(now) {
            return true;
        }
        // Gathering and checks take turns, so that many servers do not hold up the first check.
        let first_ask = self.slots % 2 == 0;
        for ask in [first_ask, !first_ask] {
            let done = if ask {
                self.ask_server(now)
            } else {
                checking && self.check_next(now)
            };
            if done {
                return true;
            }
        }
        // A pair that was given up just now may have been all that a nomination waited for.
        self.nominates_now(now)
    }

    fn ask_server(&mut self, now: Instant) -> bool {
        let asked = self.gatherer.ask_next(&self.config, &mut self.entropy, now);
        if asked {
            // What the clients did at once is taken in by the next call.
            self.drain_gatherer(now);
        }
        asked
    }

    /// Checks the pair whose turn it is.
    fn check_next(&mut self, now: Instant) -> bool {
        while let Some(id) = self.checks.next_check(now) {
            let Some(pair) = self.checks.get(id) else {
                continue;
            };
            if !self.may_check(pair) {
                self.check_no_more(now, id);
                continue;
            }
            if let Some(until) = self.relay_waits(now, pair) {
                self.checks.update(id, |pair| {
                    pair.state = PairState::InProgress;
                    pair.schedule.set_next(until);
                });
                continue;
            }
            let two_ways =
                pair.relayed && pair.is_likely() && self.config.order == CheckOrder::LikelyFirst;
            if !self.is_open(pair.path) {
                if self.connect(now, id) {
                    return true;
                }
                continue;
            }
            let mut probing = self.probing_of(id);
            if two_ways {
                // The others with a relay follow in the meantime.
                probing.interval *= 2;
            }
            self.checks.update(id, |pair| {
                if pair.state != PairState::Succeeded {
                    pair.state = PairState::InProgress;
                }
                pair.schedule.sent(now, probing);
            });
            self.send_check(now, id, Purpose::Check, None);
            return true;
        }
        false
    }

    /// No more checks of a pair are sent; those under way may be answered.
    fn check_no_more(&mut self, now: Instant, id: PairId) {
        let patience = self.probing_of(id).patience;
        let pair = self.checks.get(id);
        if pair.is_none_or(|pair| pair.schedule.count() == 0) {
            return self.fail_pair(now, id);
        }
        self.checks.update(id, |pair| {
            if pair.state != PairState::Succeeded {
                pair.state = PairState::InProgress;
            }
            pair.schedule.end(now + patience);
        });
    }

    /// Whether one more check of a pair is within the budgets of its addresses.
    pub(super) fn may_check(&self, pair: &Pair) -> bool {
        let (share, limits) = (self.share(pair), &self.config.limits);
        (self.budget).allows(pair.path.remote, pair.local, share, limits)
    }

    /// How checks are repeated at the moment (RFC 8445 §14.3).
    pub(super) fn probing(&self) -> crate::Probing {
        let mut probing = self.config.probing;
        if probing.scaled {
            let checks = u32::try_from(self.checks.to_perform()).unwrap_or(u32::MAX);
            probing.interval = probing.interval.max(self.pacing.saturating_mul(checks));
        }
        probing
    }

    /// The same for one pair: over TCP nothing is repeated (RFC 6544 §7.1).
    pub(super) fn probing_of(&self, id: PairId) -> crate::Probing {
        let pair = self.checks.get(id);
        let mut probing = self.probing();
        if pair.is_some_and(|pair| pair.path.transport.is_reliable()) {
            probing.count = 1;
            probing.patience = PATIENCE;
        }
        probing
    }

    /// Sends one Binding request over a pair.
    pub(super) fn send_check(
        &mut self,
        now: Instant,
        id: PairId,
        purpose: Purpose,
        nomination: Option<u32>,
    ) {
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        let (path, list) = (pair.path, pair.list());
        let limits = &self.config.limits;
        self.budget.spend(path.remote, pair.local, limits);
        self.checks
            .note(id, |pair| pair.counters.0.requests_sent += 1);
        let Some(remote) = &self.streams[list].remote else {
            return;
        };
        let session = remote.session.clone();
        self.request(now, path, &session, Target::Pair(id), purpose, nomination);
    }

    /// Sends a Binding request.
    pub(super) fn request(
        &mut self,
        now: Instant,
        path: FiveTuple,
        session: &check::Session,
        target: Target,
        purpose: Purpose,
        nomination: Option<u32>,
    ) {
        let check = Check {
            priority: self.peer_reflexive_priority(path),
            role: self.role,
            tie_breaker: self.tie_breaker,
            nominate: purpose == Purpose::Nomination,
            nomination,
        };
        let id = TransactionId::random(&mut self.entropy);
        let Ok(payload) = session.request(id, check, self.attached.as_ref()) else {
            return;
        };
        let sent = SentCheck {
            id,
            target,
            role: self.role,
            purpose,
            sent: now,
        };
        let pairs = self.config.limits.pairs.saturating_mul(UNANSWERED_PER_PAIR);
        let components = self.components.len() * UNANSWERED_PER_COMPONENT;
        let limit = pairs.saturating_add(components);
        if self.sent.len() >= limit {
            // First those go that nobody waits for.
            let checks = &self.checks;
            self.sent.retain(|check| match check.target {
                Target::Pair(id) => checks.get(id).is_some(),
                Target::Active(_) => true,
            });
        }
        self.sent.push(sent, limit);
        self.transmit(path, payload);
    }

    /// The priority that a candidate revealed by a check from this base would have
    /// (RFC 8445 §7.1.1).
    pub(super) fn peer_reflexive_priority(&self, path: FiveTuple) -> u32 {
        let Some(base) = self.base_of(path) else {
            return 1;
        };
        let component = self.components[base.component].id.component;
        let kind = CandidateKind::PeerReflexive;
        (self.config.tcp).priority(kind, path.transport, base.preference, component)
    }

    /// Sends from a base: a local address, or through the relay it lies on.
    pub(super) fn transmit(&mut self, path: FiveTuple, payload: Bytes) {
        if path.transport.is_reliable() {
            if self.is_open(path) {
                let payload = framed(&payload);
                self.transmits.push_back(Transmit { path, payload });
            }
        } else if self.is_host(path.local) {
            self.transmits.push_back(Transmit { path, payload });
        } else if let Some(relay) = self.gatherer.framer(path.local) {
            // Without a permission (it was refused) there is no way to this peer.
            if let Ok(wrapped) = relay.wrap(path.remote, &payload) {
                self.transmits.push_back(wrapped);
            }
        }
        // Else the relay is gone, and its event will fail the pairs.
    }

    /// When a request for consent keeps its distance from what was sent last.
    pub(super) fn spaced(&self, at: Instant) -> Instant {
        let last = self.last_slot;
        last.map_or(at, |last| at.max(last + MIN_PACING))
    }
}

//! The controlling agent chooses a pair; both agents use it (RFC 8445 §8).

use core::time::Duration;

use floe_sansio::Instant;

use super::{Agent, AgentTimer, Nomination, Purpose, State};
use crate::candidate::{CandidateKind, is_private};
use crate::check_list::{Pair, PairId, PairState, Schedule};
use crate::config::Policy;
use crate::event::{Endpoint, Event, SelectedPair};
use crate::role::Role;

/// A selected pair that was not answered for so long has missed two requests for consent.
const SILENCE: Duration = Duration::from_secs(12);

impl Agent {
    /// A pair became valid, or one failed: is it time to nominate?
    ///
    /// A pair without a relay is nominated at once. One through a relay waits while a direct pair
    /// may still work: one round trip and [`Config::relay_hold`](crate::Config::relay_hold), in
    /// which the peer, that has now heard from us, repeats its checks. Before that it waits for
    /// candidates that may make such a pair, see [`Self::candidates_awaited`].
    pub(super) fn reconsider(&mut self, now: Instant) {
        if self.role != Role::Controlling || self.nomination.is_some() || self.selected.is_some() {
            return;
        }
        let Some(best) = self.checks.best_valid().and_then(|id| self.checks.get(id)) else {
            self.release_hold();
            return;
        };
        if !best.relayed {
            return self.nominate(now);
        }
        let for_checks = now + best.round_trip + self.config.relay_hold;
        let for_candidates = self.candidates_awaited(best).filter(|&until| until > now);
        if let Some(until) = for_candidates {
            let known = self.timers.get(AgentTimer::CandidateHold);
            let at = known.unwrap_or(for_checks).max(until);
            self.timers.stop(AgentTimer::RelayHold);
            self.timers.set(AgentTimer::CandidateHold, at);
            return;
        }
        self.timers.stop(AgentTimer::CandidateHold);
        if !self.checks.direct_is_open() {
            self.nominate(now);
        } else if self.timers.get(AgentTimer::RelayHold).is_none() {
            self.timers.set(AgentTimer::RelayHold, for_checks);
        }
    }

    /// Nothing waits for a better pair.
    pub(super) fn release_hold(&mut self) {
        self.timers.stop(AgentTimer::RelayHold);
        self.timers.stop(AgentTimer::CandidateHold);
    }

    /// Until when a relayed pair waits for reflexive candidates that would make a direct one, and
    /// that are late because packets of gathering were lost; `None` if no such candidates are
    /// missing.
    ///
    /// A relay over a stream may work before the first retransmission to a STUN server has been
    /// answered. Of our own relays we know it; of the peer's we see what it has told so far.
    fn candidates_awaited(&self, pair: &Pair) -> Option<Instant> {
        if self.config.policy == Policy::Relay {
            return None;
        }
        let ours = self.gatherer.may_do_without(pair.base);
        let ours = self.gathering_since.filter(|_| ours);
        let theirs = self.introduced.filter(|_| self.peer_lacks_reflexive(pair));
        let since = ours.max(theirs)?;
        Some(since + self.config.reflexive_hold)
    }

    /// Whether the peer may yet tell how it is seen from outside: of the family of its relay it has
    /// told private addresses alone, and not that there are no more. (Under the relay policy it would
    /// have told none.)
    fn peer_lacks_reflexive(&self, pair: &Pair) -> bool {
        let relay = &self.remotes[pair.remote].candidate;
        if self.remote_end || !self.is_relayed(relay) {
            return false;
        }
        let mut direct = (self.remotes.iter())
            .map(|remote| &remote.candidate)
            .filter(|other| other.address.is_ipv4() == relay.address.is_ipv4())
            .filter(|other| !self.is_relayed(other))
            .peekable();
        direct.peek().is_some()
            && direct.all(|it| it.kind == CandidateKind::Host && is_private(it.address.ip()))
    }

    /// Nominates the best valid pair.
    pub(super) fn nominate(&mut self, now: Instant) {
        if self.role != Role::Controlling || self.nomination.is_some() || self.selected.is_some() {
            return;
        }
        self.release_hold();
        let Some(pair) = self.checks.best_valid() else {
            return;
        };
        self.nomination = Some(Nomination {
            pair,
            schedule: Schedule::starting(now),
            since: now,
            again: false,
        });
    }

    /// Sends the nominating check if it is due; `false` if it is not.
    pub(super) fn nominates_now(&mut self, now: Instant) -> bool {
        let probing = self.config.probing;
        let Some(nomination) = &mut self.nomination else {
            return false;
        };
        if nomination.schedule.next().is_none_or(|at| at > now) {
            return false;
        }
        nomination.schedule.sent(now, probing);
        let pair = nomination.pair;
        self.send_check(now, pair, Purpose::Nomination);
        true
    }

    /// Nobody answered the nominating check. If the pair was answered otherwise in the meantime, it
    /// lives, and the peer may well have heard: to nominate another would part the two agents. So
    /// the same one gets a second chance.
    pub(super) fn nomination_unanswered(&mut self, now: Instant, nomination: Nomination) {
        let pair = self.checks.get(nomination.pair);
        if !nomination.again && pair.is_some_and(|pair| pair.answered > nomination.since) {
            self.nomination = Some(Nomination {
                schedule: Schedule::starting(now),
                again: true,
                ..nomination
            });
        } else {
            self.nomination_lost(now, nomination.pair);
        }
    }

    /// The nominating check failed: the next valid pair gets its chance (RFC 8445 §7.2.5.3.4).
    pub(super) fn nomination_lost(&mut self, now: Instant, id: PairId) {
        self.nomination = None;
        self.nomination_failed = true;
        if self
            .checks
            .get(id)
            .is_some_and(|pair| pair.state != PairState::Failed)
        {
            self.fail_pair(now, id);
        }
    }

    /// A check over this pair succeeded and the controlling side has nominated it.
    pub(super) fn select(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        // Of several nominated by an RFC 5245 peer the best counts (RFC 8445 §8.1.1), unless it has
        // gone silent: then the peer has given it up.
        let current = self.active.filter(|_| self.selected.is_some());
        let better = current
            .and_then(|current| self.checks.get(current))
            .is_none_or(|current| {
                current.priority < pair.priority || current.answered + SILENCE <= now
            });
        if !better {
            return;
        }
        let Some(local) = pair.valid.map(|at| &self.locals[at]) else {
            return;
        };
        let remote = &self.remotes[pair.remote].candidate;
        let selected = SelectedPair {
            local: Endpoint {
                kind: local.kind,
                address: local.address,
            },
            remote: Endpoint {
                kind: remote.kind,
                address: remote.address,
            },
        };
        let (base, address) = (pair.base, pair.address);
        let through_relay = self.locals[pair.local].kind == CandidateKind::Relayed;
        self.nomination = None;
        self.active = Some(id);
        self.follow_consent(now);
        self.selected = Some(selected);
        self.state = State::Completed;
        self.events.push_back(Event::Selected(selected));
        // Other pairs are needed no more; checks over them are still answered.
        self.transactions.retain(|check| check.pair == id);
        self.checks.retire();
        self.release_hold();
        self.timers.stop(AgentTimer::Pac);
        // No candidate is announced after nomination (RFC 8838 §13).
        self.gatherer.cut_off(now);
        self.gatherer.stop_bindings();
        if through_relay {
            if let Some(relay) = self.gatherer.relay(base) {
                let _ = relay.bind_channel(now, address);
            }
        }
        self.timers
            .set(AgentTimer::Release, now + super::consent::RELEASE_DELAY);
    }
}

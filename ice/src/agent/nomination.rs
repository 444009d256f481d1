//! The controlling agent chooses a pair for each component; both agents use it (RFC 8445 §8).

use floe_sansio::Instant;

use super::component::{Nomination, Outcome, Selection};
use super::{Agent, AgentTimer, Duration, Gathering};
use crate::candidate::{CandidateKind, is_private};
use crate::check_list::{Pair, PairId, PairState, Schedule};
use crate::config::Policy;
use crate::event::{Endpoint, Event, FailureCause, SelectedPair};
use crate::role::Role;
use crate::sent::{Purpose, Target};

/// A selected pair that was not answered for so long has missed two requests for consent.
const SILENCE: Duration = Duration::from_secs(12);
/// After completion, candidates that were not selected are kept this long (RFC 8445 §8.3.1).
pub(super) const RELEASE_DELAY: Duration = Duration::from_secs(3);

impl Agent {
    /// A pair of a component became valid, or one failed: is it time to nominate?
    ///
    /// A pair without a relay is nominated at once. One through a relay waits while a direct pair
    /// may still work: one round trip and [`Config::relay_hold`](crate::Config::relay_hold), in
    /// which the peer, that has now heard from us, repeats its checks. Before that it waits for
    /// candidates that may make such a pair, see [`Self::candidates_awaited`].
    pub(super) fn reconsider(&mut self, now: Instant, at: usize) {
        let component = &self.components[at];
        let busy = component.nomination.is_some();
        if self.role != Role::Controlling || self.config.lite || busy {
            return;
        }
        if let Some(selection) = component.selected {
            return self.reconsider_selected(now, at, selection);
        }
        if self.streams[component.stream].outcome != Outcome::Running {
            return;
        }
        let Some((_, best)) = self.checks.valid(at).next() else {
            return self.components[at].release_hold();
        };
        if !best.relayed && !self.config.tcp.is_second(best.path.transport) {
            return self.nominate(now, at);
        }
        let for_checks = now + best.round_trip.get() + self.config.relay_hold;
        let for_candidates = self.candidates_awaited(best).filter(|&until| until > now);
        let open = self.better_is_awaited(at, best);
        let component = &mut self.components[at];
        component.held_since.get_or_insert(now);
        if let Some(until) = for_candidates {
            let hold = component.candidate_hold.unwrap_or(for_checks).max(until);
            component.relay_hold = None;
            component.candidate_hold = Some(hold);
            return;
        }
        component.candidate_hold = None;
        if open {
            component.relay_hold.get_or_insert(for_checks);
        } else {
            self.nominate(now, at);
        }
    }

    pub(super) fn reconsider_all(&mut self, now: Instant) {
        for at in 0..self.components.len() {
            self.reconsider(now, at);
        }
    }

    /// A component has its pair. Between agents that renominate, a better class of path takes its place,
    /// once the selected one has been kept for a while.
    fn reconsider_selected(&mut self, now: Instant, at: usize, selection: Selection) {
        let best = self.checks.valid(at).next();
        let better = best.is_some_and(|(_, pair)| self.would_improve(at, pair.relayed));
        if !better {
            return;
        }
        let until = selection.at + self.config.dwell;
        if until <= now {
            self.nominate(now, at);
        } else {
            let known = self.timers.get(AgentTimer::Dwell);
            let first = known.map_or(until, |known| known.min(until));
            self.timers.set(AgentTimer::Dwell, first);
        }
    }

    /// Whether a pair of this class would be better than the selected one, and may take its place.
    pub(super) fn would_improve(&self, at: usize, relayed: bool) -> bool {
        let selected = self.components[at].selected;
        self.renominates(at) && selected.is_some_and(|it| it.relayed) && !relayed
    }

    /// Whether both sides signalled renomination.
    pub(super) fn renominates(&self, at: usize) -> bool {
        self.stream_renominates(self.components[at].stream)
    }

    /// The same of a stream.
    pub(super) fn stream_renominates(&self, stream: usize) -> bool {
        let remote = self.streams[stream].remote.as_ref();
        self.config.renomination && remote.is_some_and(|it| it.parameters.renomination)
    }

    /// Those that have waited long enough for a better pair.
    ///
    /// The wait goes on as long as a direct pair has not been checked at all: one of many addresses may
    /// be the one, and its turn comes late. It goes on too where the peer was heard directly,
    /// or where one relay may do instead of two.
    pub(super) fn end_holds(&mut self, now: Instant) {
        for at in 0..self.components.len() {
            let component = &self.components[at];
            let mut holds = [component.relay_hold, component.candidate_hold]
                .into_iter()
                .flatten();
            if !holds.any(|until| until <= now) {
                continue;
            }
            let since = component.held_since.unwrap_or(now);
            let patient = now < since + self.config.untested_hold;
            let best = self.checks.valid(at).next();
            let round_trip = best.map_or(Duration::ZERO, |(_, pair)| pair.round_trip.get());
            let promising = self.checks.direct_is_untested(at)
                || self.direct_was_heard(at)
                || best.is_some_and(|(_, best)| self.one_relay_is_awaited(at, best));
            if patient && promising {
                let until = now + round_trip + self.config.relay_hold;
                self.components[at].relay_hold = Some(until);
                self.components[at].candidate_hold = None;
            } else {
                self.nominate(now, at);
            }
        }
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
        let ours = self.gatherer.may_do_without(pair.path.local);
        let ours = self.gathering_since.filter(|_| ours);
        let theirs = self.introduced.filter(|_| self.peer_lacks_reflexive(pair));
        let since = ours.max(theirs)?;
        Some(since + self.config.reflexive_hold)
    }

    /// Whether the peer may yet tell how it is seen from outside: of the family of its relay it has
    /// told private addresses alone, and not that there are no more. (Under the relay policy it would
    /// have told none.)
    fn peer_lacks_reflexive(&self, pair: &Pair) -> bool {
        let relay = &self.remotes[pair.remote()];
        if self.streams[pair.list()].remote_end || !self.is_relayed(relay.kind, relay.address) {
            return false;
        }
        let mut direct = (self.remotes.iter())
            .filter(|remote| remote.component() == pair.component())
            .filter(|other| other.address.is_ipv4() == relay.address.is_ipv4())
            .filter(|other| !self.is_relayed(other.kind, other.address))
            .peekable();
        direct.peek().is_some()
            && direct.all(|it| it.kind == CandidateKind::Host && is_private(it.address.ip()))
    }

    /// Nominates the best valid pair of a component.
    fn nominate(&mut self, now: Instant, at: usize) {
        self.components[at].release_hold();
        let best = self.checks.valid(at).next().map(|(id, _)| id);
        if let Some(best) = best {
            self.nominate_pair(now, at, best);
        }
    }

    pub(super) fn nominate_pair(&mut self, now: Instant, at: usize, pair: PairId) {
        let counter = self.renominates(at).then(|| {
            self.nominations = self.nominations.saturating_add(1);
            self.nominations
        });
        self.components[at].nomination = Some(Nomination {
            pair,
            schedule: Schedule::starting(now),
            since: now,
            again: false,
            counter,
        });
    }

    /// Sends a nominating check if one is due; `false` if none is.
    pub(super) fn nominates_now(&mut self, now: Instant) -> bool {
        for at in 0..self.components.len() {
            let Some(nomination) = self.components[at].nomination else {
                continue;
            };
            let probing = self.probing_of(nomination.pair);
            let repeat = self.config.nomination_repeat;
            let Some(nomination) = &mut self.components[at].nomination else {
                continue;
            };
            if nomination.schedule.next().is_some_and(|due| due <= now) {
                let schedule = &mut nomination.schedule;
                schedule.sent(now, probing);
                if let (1, Some(next)) = (schedule.count(), schedule.next()) {
                    schedule.set_next(next.min(now + repeat));
                }
                let (pair, counter) = (nomination.pair, nomination.counter);
                self.send_check(now, pair, Purpose::Nomination, counter);
                return true;
            }
        }
        false
    }

    /// Nobody answered the nominating check. If the pair was answered otherwise in the meantime, it
    /// lives, and the peer may well have heard: to nominate another would part the two agents. So
    /// the same one gets a second chance; and where there is no other, as many as its consent lasts.
    pub(super) fn nomination_unanswered(
        &mut self,
        now: Instant,
        at: usize,
        nomination: Nomination,
    ) {
        let pair = self.checks.get(nomination.pair);
        let answered = pair.is_some_and(|pair| pair.answered > nomination.since);
        let lives = pair.is_some_and(|pair| pair.has_consent(now));
        let alone = self.checks.valid(at).nth(1).is_none();
        if (answered && !nomination.again) || (self.config.recovery && lives && alone) {
            self.components[at].nomination = Some(Nomination {
                schedule: Schedule::starting(now),
                again: true,
                ..nomination
            });
        } else {
            self.give_nomination_up(now, at, nomination.pair);
        }
    }

    /// The nominating check failed, and so does its pair, unless it is selected: then it works without, and
    /// consent tells for how long.
    pub(super) fn give_nomination_up(&mut self, now: Instant, at: usize, pair: PairId) {
        let selected = self.components[at].selected;
        if selected.is_some_and(|it| it.pair == pair) {
            self.nomination_lost(now, at);
        } else {
            self.fail_pair(now, pair);
        }
    }

    /// There is no nomination any more. The next valid pair gets its chance.
    pub(super) fn nomination_lost(&mut self, now: Instant, at: usize) {
        let component = &mut self.components[at];
        component.nomination = None;
        if component.selected.is_none() {
            let stream = component.stream;
            self.streams[stream].nomination_failed = true;
            self.end_list(now, at);
        }
    }

    /// The pair that either side has nominated does not work. To the letter of RFC 8445 §7.2.5.3.4 and
    /// §7.3.1.5 the list has failed, if it may yet (RFC 8863 §4).
    pub(super) fn end_list(&mut self, now: Instant, at: usize) {
        let component = &self.components[at];
        let patient = self.timers.get(AgentTimer::Pac).is_some();
        if !self.config.recovery && !patient && component.selected.is_none() {
            self.fail_stream(now, component.stream, FailureCause::NominationFailed);
        }
    }

    /// A check over this pair succeeded and the controlling side has nominated it.
    pub(super) fn select(&mut self, now: Instant, id: PairId, counter: Option<u32>) {
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        let (at, stream, path) = (pair.component(), pair.list(), pair.path);
        if let Some(current) = self.components[at].selected {
            let again = current.pair == id;
            if again || !self.outranks(now, pair, counter, current) {
                let component = &mut self.components[at];
                component.nomination = None;
                if let (Some(selected), true) = (&mut component.selected, again) {
                    selected.nomination = selected.nomination.max(counter);
                }
                return;
            }
        }
        let Some(ends) = self.ends_of(at, id) else {
            return;
        };
        let selection = Selection {
            pair: id,
            ends,
            relayed: pair.relayed,
            at: now,
            asked: now,
            nomination: counter,
        };
        self.activate(now, at, id);
        self.timeline.selected.get_or_insert(now);
        let component = &mut self.components[at];
        component.nomination = None;
        component.release_hold();
        component.selected = Some(selection);
        component.agreed = true;
        self.events.push_back(Event::Selected(ends));
        self.retire(now, at, selection);
        let through_relay = self.components[at]
            .active
            .as_ref()
            .is_some_and(|it| it.through_relay);
        if through_relay {
            self.gatherer.with_relay(path.local, |relay| {
                let _ = relay.bind_channel(now, path.remote);
            });
        }
        if self.components_of(stream).all(|it| it.selected.is_some()) {
            self.streams[stream].outcome = Outcome::Completed;
        }
        self.review(now);
        // A better pair may have become valid while this one was nominated.
        self.reconsider(now, at);
    }

    /// The candidates of a valid pair.
    pub(super) fn ends_of(&self, at: usize, id: PairId) -> Option<SelectedPair> {
        let pair = self.checks.get(id)?;
        let local = self.locals.get(&pair.valid?)?;
        let remote = &self.remotes[pair.remote()];
        Some(SelectedPair {
            component: self.components[at].id,
            local: Endpoint {
                kind: local.kind,
                address: local.reached_at(pair.path),
            },
            remote: Endpoint {
                kind: remote.kind,
                address: remote.address,
            },
        })
    }

    /// Whether a pair that was nominated takes the place of the one selected before: the last one
    /// between agents that renominate. Of several nominated by an RFC 5245 peer the best counts
    /// (RFC 8445 §8.1.1), unless it has gone silent: then the peer has given it up.
    fn outranks(
        &self,
        now: Instant,
        pair: &Pair,
        counter: Option<u32>,
        current: Selection,
    ) -> bool {
        if counter.is_some() && self.renominates(pair.component()) {
            return counter > current.nomination;
        }
        let active = self.components[pair.component()].active.as_ref();
        let gone = self.awaits_stream(pair.component());
        let silent = gone || active.is_none_or(|active| active.answered + SILENCE <= now);
        let before = self.checks.get(current.pair);
        silent || before.is_none_or(|before| before.priority < pair.priority)
    }

    /// A pair has been selected: others of its component are checked no more, unless they would be
    /// better and may take its place.
    fn retire(&mut self, now: Instant, at: usize, selected: Selection) {
        let others = self.checks.ids(|pair| pair.component() == at);
        let mut retired = alloc::collections::BTreeSet::new();
        for id in others.into_iter().filter(|&id| id != selected.pair) {
            let Some(pair) = self.checks.get(id) else {
                continue;
            };
            // What the peer has nominated besides may yet turn out to be the best that works.
            let counter = pair
                .nominated_by_peer
                .filter(|_| self.role == Role::Controlled);
            let nominated = counter.is_some_and(|counter| {
                self.outranks(now, pair, (counter > 0).then_some(counter), selected)
            });
            if nominated || self.would_improve(at, pair.relayed) {
                continue;
            }
            if !self.config.recovery {
                // RFC 8445 §8.1.2.
                self.checks.remove(id);
            } else if pair.state == PairState::Succeeded {
                self.checks.update(id, |pair| pair.triggered = None);
            } else {
                self.checks.update(id, |pair| {
                    pair.state = PairState::Failed;
                    pair.triggered = None;
                    pair.schedule = Schedule::default();
                });
            }
            retired.insert(id);
        }
        self.sent
            .retain(|check| !matches!(check.target, Target::Pair(id) if retired.contains(&id)));
    }

    /// The last component got its pair.
    pub(super) fn completed(&mut self, now: Instant) {
        self.timers.stop(AgentTimer::Pac);
        if !self.config.continual {
            // No candidate is announced after nomination (RFC 8838 §13).
            self.gatherer.cut_off(now);
            self.gatherer.stop_bindings();
            if self.gathering == Gathering::Running {
                self.drain_gatherer(now);
            }
        }
        self.timers.set(AgentTimer::Release, now + RELEASE_DELAY);
    }

    /// Three seconds after completion, what was not selected is given back (RFC 8445 §8.3.1): every
    /// relay that carries nothing, but for the best if one is to be kept in reserve.
    pub(super) fn release_unselected(&mut self, now: Instant) {
        self.forget_elders();
        let mut kept: alloc::vec::Vec<_> = (self.components.iter())
            .filter_map(|component| component.active.as_ref())
            .filter(|active| active.through_relay)
            .map(|active| active.path.local)
            .collect();
        if kept.is_empty() && self.config.backup_relay {
            let relays = self
                .locals
                .values()
                .filter(|it| it.kind == CandidateKind::Relayed);
            kept.extend(relays.max_by_key(|it| it.priority).map(|it| it.base));
        }
        for relayed in self.gatherer.release_all_but(now, &kept) {
            self.lose_base(now, relayed, FailureCause::RelayLost);
        }
    }
}

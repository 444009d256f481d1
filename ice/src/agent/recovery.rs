//! Which path carries the data of a component, and what happens when it is lost.

use alloc::boxed::Box;

use floe_sansio::Instant;

use super::Agent;
use super::component::{Active, Loss, Outcome};
use crate::candidate::{CandidateKind, candidate_priority};
use crate::check_list::{PairId, PairState};
use crate::config::{MIN_CONSENT_INTERVAL, MIN_PACING};
use crate::event::{Event, FailureCause};
use crate::stats::{Quiet, Switch, SwitchCause};

impl Agent {
    /// From now on data of this component goes over this pair.
    pub(super) fn activate(&mut self, now: Instant, at: usize, id: PairId) {
        let (Some(pair), Some(session)) = (self.checks.get(id), self.session_of(at)) else {
            return;
        };
        let local = self.locals.get(&pair.local);
        let through_relay = local.is_some_and(|it| it.kind == CandidateKind::Relayed);
        let path = pair.path;
        let valid = pair.valid.and_then(|valid| self.locals.get(&valid));
        let mapped = valid.map_or(path.local, |it| it.reached_at(path));
        let answered = pair.answered;
        let ask = self.after_consent(now, true);
        let generation = self.generation.number;
        let before = self.components[at].active.as_ref();
        let same = before.is_some_and(|before| before.path == path);
        let ask = match before {
            // It has waited as a reserve: its consent may be about to run out.
            _ if !same && now.since(answered) >= MIN_CONSENT_INTERVAL => now + MIN_PACING,
            Some(before) => before.ask,
            None => ask,
        };
        let lost = self.components[at].lost;
        if !same && (before.is_some() || lost.is_some()) {
            self.timeline.switched(Switch {
                at: now,
                component: self.components[at].id,
                from: before.map(|before| before.path),
                to: path,
                cause: lost.map_or(SwitchCause::Better, |loss| SwitchCause::Lost(loss.cause)),
                outage: lost.map_or(core::time::Duration::ZERO, |loss| now - loss.since),
            });
        }
        self.deactivate(at);
        // After that: it may be the same pair.
        let pair = self.checks.get(id);
        let traffic = pair.and_then(|pair| pair.counters.0.traffic.as_deref().copied());
        let traffic = Quiet(traffic.unwrap_or_default());
        let component = &mut self.components[at];
        component.active = Some(Active {
            path,
            mapped,
            pair: Some(id),
            generation,
            through_relay,
            session,
            answered,
            ask,
            traffic,
        });
        component.lost = None;
        if !core::mem::replace(&mut component.told, true) {
            let id = component.id;
            self.timeline.connected.get_or_insert(now);
            self.events.push_back(Event::Connected(id));
        }
    }

    /// Takes the path of a component away. What was counted about it goes to its pair.
    fn deactivate(&mut self, at: usize) -> Option<Active> {
        let active = self.components[at].active.take()?;
        let traffic = active.traffic.0;
        let traffic = (traffic.packets() > 0).then_some(traffic);
        if let Some(pair) = active.pair {
            self.checks
                .note(pair, |pair| pair.counters.0.traffic = traffic.map(Box::new));
        }
        self.drop_consent_checks(at);
        Some(active)
    }

    /// The path that carried the data of a component does not any more.
    ///
    /// Another one that works takes its place at once. If there is none, every pair is checked again,
    /// those that have worked first.
    pub(super) fn path_lost(&mut self, now: Instant, at: usize, cause: FailureCause) {
        let Some(active) = self.deactivate(at) else {
            return;
        };
        let stream = self.components[at].stream;
        let current = active.generation == self.generation.number;
        let selected = self.components[at].selected.take().is_some();
        if current && selected && !self.config.recovery {
            return self.fail_stream(now, stream, cause);
        }
        self.components[at].lost = Some(Loss {
            since: now,
            cause,
            generation: active.generation,
        });
        if active.through_relay {
            // Perhaps the server has forgotten the allocation: then it says so.
            self.gatherer.with_relay(active.path.local, |relay| {
                let _ = relay.refresh(now, None);
            });
        }
        if self.streams[stream].outcome == Outcome::Completed {
            self.streams[stream].outcome = Outcome::Running;
        }
        if let Some(next) = self.checks.best_with_consent(at, now) {
            self.activate(now, at, next);
        } else if current {
            self.check_again(now, at, cause);
        }
        self.review(now);
        self.reconsider(now, at);
    }

    /// Checks the pairs of a component again, those that have worked first; once one was selected also
    /// those that were given up then, and those that were not made.
    fn check_again(&mut self, now: Instant, at: usize, cause: FailureCause) {
        let agreed = self.components[at].agreed;
        if agreed {
            // Where the peer has been it may be again. Who was silent all along gets no more.
            for path in &self.proven {
                self.budget.answered(path.remote);
            }
        }
        let again = |pair: &crate::check_list::Pair| {
            let wanted = agreed || pair.state == PairState::Succeeded;
            pair.component() == at && wanted && !pair.spent
        };
        for id in self.checks.ids(again) {
            let worked = self.checks.update(id, |pair| {
                let worked = pair.valid.is_some();
                pair.reset();
                worked
            });
            if worked == Some(true) {
                self.checks.trigger(id);
            }
        }
        if agreed {
            for remote in 0..self.remotes.len() {
                let known = &self.remotes[remote];
                if known.component() == at && known.kind != CandidateKind::PeerReflexive {
                    self.pair_remote(now, remote);
                }
            }
            self.check_proven(now, at);
            // An address that is gone may soon be followed by another one, of either side. For another
            // relay the agent asks itself.
            if self.checks.is_open(at) || cause == FailureCause::PathLost {
                self.be_patient(now);
            }
        }
    }

    /// Makes pairs of the paths on which the peer has asked while another one was selected.
    fn check_proven(&mut self, now: Instant, at: usize) {
        let number = self.components[at].id.component;
        let priority = candidate_priority(CandidateKind::PeerReflexive, 0, number);
        for path in self.proven.clone() {
            let own = self.base_of(path).is_some_and(|base| base.component == at);
            if own && self.checks.find(path).is_none() {
                if let Some(id) = self.pair_unknown(now, at, path, priority, false) {
                    self.checks.trigger(id);
                }
            }
        }
    }

    pub(super) fn next_outage(&self) -> Option<Instant> {
        let untold = self.components.iter().filter(|it| it.told);
        let losses = untold.filter_map(|it| it.lost);
        let first = losses.map(|loss| loss.since).min()?;
        Some(first + self.config.outage_notice)
    }

    /// Tells the losses that nothing has made good in time.
    pub(super) fn tell_outages(&mut self, now: Instant) {
        for component in &mut self.components {
            let long = component
                .lost
                .is_some_and(|loss| loss.since + self.config.outage_notice <= now);
            if long && core::mem::replace(&mut component.told, false) {
                self.events.push_back(Event::Disconnected(component.id));
            }
        }
    }
}

//! What arrives: answers of servers, checks, answers to checks, data.

use core::net::SocketAddr;

use bytes::Bytes;
use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Route, Transport};
use floe_stun::{AttributeType, Class, Key, Message, Method, StatusCode};

use super::component::{Outcome, Selection};
use super::generation::Era;
use super::nomination::RELEASE_DELAY;
use super::{Agent, Duration, EarlyCheck, State};
use crate::candidate::{Candidate, CandidateKind};
use crate::check::{self, Answer, Check, PIGGYBACK_MAX};
use crate::check_list::{CONSENT_LIFETIME, PairId, PairState, Schedule};
use crate::config::Policy;
use crate::event::Event;
use crate::framing::{self, Read};
use crate::remotes::Remotes;
use crate::role::{Conflict, Role};
use crate::sent::{Purpose, SentCheck, Target};
use crate::tcp::counterpart;

/// Packets that wait for `poll_transmit` before requests are dropped; a driver drains after every
/// call, so only a broken one ever gets there.
const MAX_PENDING: usize = 64;
/// Paths on which the peer has proven itself, beside those that work.
const MAX_PROVEN: usize = 32;

/// From where a peer has not asked for so long it has missed a request for consent, of which there is one
/// every 4 to 6 s (RFC 7675 §5.1).
const UNASKED: Duration = Duration::from_secs(7);

impl Agent {
    /// One datagram arrived on one of the agent's addresses.
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let input = self.take_in(now, datagram);
        if let Input::Dropped(reason) = input {
            self.drops.0.count(reason);
        }
        input
    }

    fn take_in(&mut self, now: Instant, mut datagram: Datagram<'_>) -> Input {
        if self.state == State::Closed && !self.gatherer.has(datagram.path) {
            return Input::Dropped(DropReason::Closed);
        }
        let path = datagram.path;
        if self.connections.on(path).is_some() {
            return self.take_frame(now, &datagram);
        }
        let is_datagram = path.transport == Transport::Udp;
        let is_own = is_datagram && self.is_host(path.local);
        if !is_own && !self.gatherer.has(path) {
            return Input::Dropped(DropReason::UnknownLocal);
        }
        let now = self.clock.advance(now);
        match self.gatherer.handle_input(now, datagram.reborrow()) {
            Some(Input::Handled) => {
                self.settle(now);
                return Input::Handled;
            }
            Some(Input::Data(route)) => {
                let inner = datagram.unwrapped(route.path, route.range());
                return self.handle_peer(now, &inner);
            }
            // From a server's address, but none of its business: perhaps a peer on that host.
            Some(Input::Dropped(DropReason::NotStun | DropReason::Unsupported)) | None
                if is_own => {}
            Some(other) => return other,
            None => return Input::Dropped(DropReason::UnknownRemote),
        }
        if self.config.policy == Policy::Relay {
            // This address was never told to anybody.
            return Input::Dropped(DropReason::Forbidden);
        }
        self.handle_peer(now, &datagram)
    }

    /// A datagram from a peer, direct or out of a relay.
    pub(super) fn handle_peer(&mut self, now: Instant, datagram: &Datagram<'_>) -> Input {
        let path = datagram.path;
        if path.remote.port() == 0 {
            return Input::Dropped(DropReason::Forbidden);
        }
        if matches!(self.state, State::Failed(_) | State::Closed) {
            return Input::Dropped(DropReason::Closed);
        }
        let payload = datagram.payload();
        match framing::read(payload) {
            Read::Stun(message) => return self.handle_stun(now, path, &message),
            Read::Malformed => return Input::Dropped(DropReason::Malformed),
            Read::Data => {}
        }
        if self.takes_data(now, path, payload.len()) {
            Input::Data(Route::new(path, datagram.range()))
        } else {
            Input::Dropped(DropReason::UnknownRemote)
        }
    }

    /// Whether the peer has proven itself on this path; if so, the data is counted.
    fn takes_data(&mut self, now: Instant, path: FiveTuple, length: usize) -> bool {
        let base = self.base_of(path);
        let active = base.and_then(|base| self.components[base.component].active.as_mut());
        let traffic = match active {
            // Nearly always.
            Some(active) if active.path == path => &mut active.traffic.0,
            _ if self.proven.binary_search(&path).is_ok() => {
                if let Some(id) = self.checks.find(path) {
                    self.checks.note(id, |pair| {
                        let traffic = &mut pair.counters.0.traffic;
                        traffic.get_or_insert_default().receive(now, length);
                    });
                }
                return true;
            }
            _ => return false,
        };
        traffic.receive(now, length);
        true
    }

    fn handle_stun(&mut self, now: Instant, path: FiveTuple, message: &Message<'_>) -> Input {
        // FINGERPRINT is mandatory in checks (RFC 8445 §7.2.4, §7.3).
        if message.method() != Method::BINDING || !message.verify_fingerprint() {
            return Input::Dropped(DropReason::Unsupported);
        }
        let input = match message.class() {
            Class::Request => self.handle_request(now, path, message),
            Class::Success | Class::Error => self.handle_answer(now, path, message),
            // A keepalive, which needs no answer (RFC 8489 §6.3.2).
            Class::Indication => return Input::Handled,
        };
        if matches!(input, Input::Handled) {
            self.settle(now);
        }
        input
    }

    fn handle_request(&mut self, now: Instant, path: FiveTuple, message: &Message<'_>) -> Input {
        if self.transmits.len() >= MAX_PENDING {
            return Input::Dropped(DropReason::Capacity);
        }
        let era = self.era_of(check::recipient(message));
        let generation = self.generation_of(era);
        let (credentials, key) = (&generation.credentials, generation.key.clone());
        let answer = match check::read_request(message, credentials, &key, self.role) {
            Err(refusal) => check::refusal(message, refusal, &key),
            Ok(request) => match self.accept(now, era, &key, path, message, request) {
                Accepted::Dropped => return Input::Dropped(DropReason::Capacity),
                Accepted::Conflict => check::error(message, StatusCode::ROLE_CONFLICT, &key),
                Accepted::Refused => check::error(message, StatusCode::BAD_REQUEST, &key),
                Accepted::Answered => return Input::Handled,
            },
        };
        if let Ok(payload) = answer {
            self.transmit(path, payload);
        }
        Input::Handled
    }

    /// An authentic request.
    fn accept(
        &mut self,
        now: Instant,
        era: Era,
        key: &Key,
        path: FiveTuple,
        message: &Message<'_>,
        request: Check,
    ) -> Accepted {
        let known = self.is_introduced(path);
        let waits = era == Era::Upcoming || (era == Era::Current && !known);
        if waits && !self.has_room_for_early(era, path) {
            return Accepted::Dropped;
        }
        let elder = matches!(era, Era::Elder(_));
        let conflict = Conflict::of(
            self.role,
            self.tie_breaker,
            request.role,
            request.tie_breaker,
        );
        // Of a generation that is over, only the answer matters. A lite agent has no say (§7.3.2).
        if conflict != Conflict::None && !elder && !self.config.lite {
            if conflict == Conflict::Insist {
                return Accepted::Conflict;
            }
            self.switch_role(now);
        }
        let Check {
            priority,
            nominate,
            nomination,
            ..
        } = request;
        if waits {
            let check = EarlyCheck {
                at: now,
                path,
                priority,
                nominate,
                nomination,
            };
            self.remember_early(era, check);
        } else if !elder && !self.peer_checked(now, path, priority, nominate, nomination) {
            return Accepted::Refused;
        }
        // What this has triggered leaves later: not before `settle`.
        let answer = check::success(message, path.remote, key, self.attached.as_ref());
        if let Ok(payload) = answer {
            self.transmit(path, payload);
        }
        self.heard_on(now, path);
        self.prove(path);
        self.tell_piggyback(path, message);
        if let Some(id) = self.checks.find(path) {
            self.checks.note(id, |pair| {
                pair.counters.0.requests_received += 1;
            });
        }
        Accepted::Answered
    }

    /// Whether the peer's credentials are known for the stream of this base.
    pub(super) fn is_introduced(&self, path: FiveTuple) -> bool {
        let base = self.base_of(path);
        let stream = base.map(|base| self.components[base.component].stream);
        stream.is_some_and(|stream| self.streams[stream].remote.is_some())
    }

    /// What the peer's owner attached, as far as this one wants to know.
    fn tell_piggyback(&mut self, path: FiveTuple, message: &Message<'_>) {
        let Some(base) = self.base_of(path) else {
            return;
        };
        let component = self.components[base.component].id;
        for &kind in &self.config.piggyback {
            let value = check::raw(message, AttributeType(kind));
            let Some(value) = value.filter(|value| value.len() <= PIGGYBACK_MAX) else {
                continue;
            };
            if kind >= 0x8000 && self.events.len() < MAX_PENDING {
                self.events.push_back(Event::Piggyback {
                    component,
                    kind,
                    value: Bytes::copy_from_slice(value),
                });
            }
        }
    }

    /// The peer has shown that it is on this path: data from there is taken. Where there are too
    /// many such paths, those of pairs that work stay.
    fn prove(&mut self, path: FiveTuple) {
        self.prove_stream(path);
        if self.proven.binary_search(&path).is_ok() {
            return;
        }
        if self.proven.len() >= MAX_PROVEN + self.checks.count_valid() + self.components.len() {
            let checks = &self.checks;
            let components = &self.components;
            self.proven.retain(|&path| {
                let pair = checks.find(path).and_then(|id| checks.get(id));
                let mut actives = components.iter().filter_map(|it| it.active.as_ref());
                pair.is_some_and(|pair| pair.valid.is_some())
                    || actives.any(|active| active.path == path)
            });
        }
        if self.proven.len() == self.proven.capacity() {
            self.proven.reserve_exact(8);
        }
        let at = self.proven.partition_point(|&other| other < path);
        self.proven.insert(at, path);
    }

    /// An authentic check of the peer came over `path` (RFC 8445 §7.3.1.3 to §7.3.1.5); `false` if it
    /// nominates what cannot be used.
    pub(super) fn peer_checked(
        &mut self,
        now: Instant,
        path: FiveTuple,
        priority: u32,
        nominate: bool,
        counter: Option<u32>,
    ) -> bool {
        let Some(component) = self.base_of(path).map(|base| base.component) else {
            return !nominate;
        };
        let outcome = self.streams[self.components[component].stream].outcome;
        if matches!(outcome, Outcome::Failed(_) | Outcome::Removed) {
            return !nominate;
        }
        if self.config.lite {
            return !nominate || self.select_lite(now, component, path, priority, counter);
        }
        if !core::mem::replace(&mut self.heard, true) {
            self.checks.hurry(now);
        }
        let nominated = nominate && self.role == Role::Controlled;
        let existing = self.checks.find(path);
        let pair =
            existing.or_else(|| self.pair_unknown(now, component, path, priority, nominated));
        if existing.is_none() {
            // It shows what ports the peer has.
            self.reconsider(now, component);
        }
        let Some(id) = pair else {
            return !nominated;
        };
        self.heard_on_pair(now, id);
        if let Some(selected) = &mut self.components[component].selected {
            if selected.pair == id {
                selected.asked = now;
            }
        }
        let Some(pair) = self.checks.get(id).filter(|pair| !pair.spent) else {
            return !nominated;
        };
        let moved = pair.moved && (existing.is_none() || self.is_left(now, component));
        let concluded = self.components[component].selected.is_some();
        let wanted =
            nominated || !concluded || moved || self.would_improve(component, pair.relayed);
        let under_way = pair.state == PairState::InProgress
            && pair.path.transport.is_reliable()
            && pair.schedule.count() > 0;
        // What is as good as over is asked first: consent would end before it is answered.
        let lasts = pair.has_consent(now + CONSENT_LIFETIME / 2);
        let (state, local) = (pair.state, pair.local);
        if nominated {
            let counter = counter.unwrap_or(0);
            // Who comes to control goes on from there.
            self.nominations = self.nominations.max(counter);
            self.checks.update(id, |pair| {
                pair.nominated_by_peer =
                    Some(pair.nominated_by_peer.map_or(counter, |it| it.max(counter)));
            });
        }
        match state {
            PairState::Succeeded if nominated && lasts => self.select(now, id, counter),
            PairState::Succeeded if !nominated && !moved => {}
            // Over TCP the check under way arrives.
            _ if wanted && !under_way => {
                let limits = &self.config.limits;
                self.budget.heard(path.remote, local, nominated, limits);
                self.check_in_return(id, nominated);
            }
            _ => {}
        }
        true
    }

    /// Whether the peer asks over the selected pair no more. Who asks there and elsewhere is not followed to
    /// and fro.
    fn is_left(&self, now: Instant, component: usize) -> bool {
        let selected = self.components[component].selected;
        selected.is_some_and(|it| it.asked + UNASKED <= now)
    }

    /// A triggered check (RFC 8445 §7.3.1.4), if it is within the budget.
    ///
    /// One that is under way is cancelled: its answer counts, its silence does not. A pair that has
    /// failed gets another chance, and one that worked too long ago. What the peer has nominated is
    /// repeated as if it had just begun: all hangs on it.
    fn check_in_return(&mut self, id: PairId, nominated: bool) {
        let allowed = (self.checks.get(id)).is_some_and(|pair| self.may_check(pair));
        if !allowed {
            return;
        }
        self.checks.update(id, |pair| {
            if nominated || matches!(pair.state, PairState::Failed | PairState::Succeeded) {
                pair.reset();
            } else {
                pair.state = PairState::Waiting;
            }
        });
        self.checks.trigger(id);
    }

    /// A check from where no candidate is known: a peer-reflexive one (RFC 8445 §7.3.1.3).
    ///
    /// Some time after completion it is the peer's selected candidate under another address, if it comes
    /// to the base of the selected pair: by then only what carries data is checked any more. What the
    /// peer nominates always is: of several nominated pairs the best one counts (§8.1.1).
    pub(super) fn pair_unknown(
        &mut self,
        now: Instant,
        component: usize,
        path: FiveTuple,
        priority: u32,
        nominated: bool,
    ) -> Option<PairId> {
        let local = self.local_of(path)?;
        let ours = self.locals.get(&local)?;
        if !nominated && self.budget.is_scattered(path.remote, local) {
            return None;
        }
        let through_relay = ours.kind == CandidateKind::Relayed;
        let tcp_type = ours.tcp_type.map(counterpart);
        let candidate = Candidate {
            component: self.components[component].id,
            kind: CandidateKind::PeerReflexive,
            transport: path.transport,
            tcp_type,
            address: path.remote,
            base: path.remote,
            priority: priority.clamp(1, (1 << 31) - 1),
            // Not a foundation that can be signalled: it equals none of the other side.
            foundation: alloc::format!("prflx:{}", self.peer_reflexive),
            related: None,
            network: crate::Network::default(),
        };
        let relayed = through_relay || self.is_relayed(candidate.kind, path.remote);
        let known = self.remotes.find(component, tcp_type, path.remote);
        let signalled =
            known.is_some_and(|at| self.remotes[at].kind != CandidateKind::PeerReflexive);
        let moved = self.components[component].selected.is_some_and(|selected| {
            let active = self.components[component].active.as_ref();
            let same_base = active.is_some_and(|active| {
                active.path.transport == path.transport && active.path.local == path.local
            });
            let settled = selected.at + RELEASE_DELAY <= now && self.config.recovery;
            // What the peer has signalled is no new address of what was selected.
            let expected = (settled && !signalled) || self.awaits_stream(component);
            same_base && expected && selected.relayed == relayed
        });
        let concluded = self.components[component].selected.is_some();
        let useful = moved || nominated || self.would_improve(component, relayed);
        if concluded && !useful {
            return None;
        }
        let limits = &self.config.limits;
        let full = self.remotes.len() >= limits.remote_candidates.min(Remotes::MOST)
            || self.peer_reflexive as usize >= limits.peer_reflexive;
        let remote = match known {
            Some(remote) => remote,
            None if full => self.recycle_remote(component, &candidate)?,
            None => {
                self.peer_reflexive += 1;
                self.push_remote(component, &candidate)
            }
        };
        // What was selected before does not stand in the way of this pair.
        let id = self.form_pair(now, local, remote, nominated)?;
        self.checks.note(id, |pair| pair.moved = moved);
        Some(id)
    }

    pub(super) fn switch_role(&mut self, now: Instant) {
        self.role = self.role.other();
        self.events.push_back(Event::RoleChanged(self.role));
        self.recompute_priorities();
        for at in 0..self.components.len() {
            if self.role == Role::Controlled {
                self.components[at].nomination = None;
                self.components[at].release_hold();
            } else if let (Some(selected), false) = (self.components[at].selected, self.config.lite)
            {
                // The peer has given its nomination up, whether or not it was answered.
                self.nominate_pair(now, at, selected.pair);
            }
        }
        self.reconsider_all(now);
    }

    fn handle_answer(&mut self, now: Instant, path: FiveTuple, message: &Message<'_>) -> Input {
        let id = message.transaction_id();
        let Some(check) = self.sent.get(now, id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        // A pair may have been forgotten since.
        let Some((key, asked)) = self.asked_with(check.target) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let authentic = message
            .integrity()
            .is_some_and(|algorithm| message.verify(key, algorithm));
        if !authentic {
            // As if it had never come: the genuine answer may follow (RFC 8489 §9.1.4).
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let symmetric = asked == path;
        self.sent.remove(id);
        let answer = check::read_answer(message);
        if let (Target::Pair(id), false) = (check.target, symmetric) {
            if let Some(pair) = self.checks.get(id) {
                self.budget.scattered(pair.path.remote, pair.local);
            }
            // The peer is there, behind a NAT that gives this side another port: its own check follows.
            self.heard_on_pair(now, id);
        }
        let round_trip = now - check.sent;
        if symmetric {
            self.count_answer(check.target, round_trip);
        }
        match answer {
            // Comes first (§7.2.5.1): this check the peer has not taken in, so none of its own follows.
            Answer::Refused(StatusCode::ROLE_CONFLICT) => {
                self.role_refused(now, check, symmetric);
            }
            // RFC 8445 §7.2.5.2.1: the path must be the same both ways.
            _ if !symmetric => self.check_refused(now, check),
            Answer::Mapped(address) => {
                self.prove(path);
                self.budget.answered(path.remote);
                self.tell_piggyback(path, message);
                match check.target {
                    Target::Active(at) => self.consented(now, at.into()),
                    Target::Pair(id) => self.check_succeeded(now, check, id, address, round_trip),
                }
            }
            Answer::Refused(StatusCode::FORBIDDEN) => match check.target {
                Target::Active(at) => self.consent_revoked(now, at.into()),
                Target::Pair(id) => match self.carries(id) {
                    Some(at) => self.consent_revoked(now, at),
                    None => self.check_refused(now, check),
                },
            },
            Answer::Refused(_) | Answer::Unusable => self.check_refused(now, check),
        }
        Input::Handled
    }

    /// With what the answer to a check is signed, and on which path it has to come.
    fn asked_with(&self, target: Target) -> Option<(&Key, FiveTuple)> {
        match target {
            Target::Pair(id) => {
                let pair = self.checks.get(id)?;
                let remote = self.streams[pair.list()].remote.as_ref()?;
                Some((&remote.session.remote_key, pair.path))
            }
            Target::Active(at) => {
                let component = self.components.get(usize::from(at))?;
                let active = component.active.as_ref()?;
                Some((&active.session.remote_key, active.path))
            }
        }
    }

    /// The component whose data goes over this pair.
    fn carries(&self, id: PairId) -> Option<usize> {
        let component = self.checks.get(id)?.component();
        (self.components[component].active_pair() == Some(id)).then_some(component)
    }

    fn count_answer(&mut self, target: Target, round_trip: Duration) {
        let pair = match target {
            Target::Pair(id) => Some(id),
            Target::Active(at) => self.components[usize::from(at)].active_pair(),
        };
        if let Some(id) = pair {
            self.checks.note(id, |pair| {
                pair.counters.0.responses_received += 1;
                let total = &mut pair.counters.0.total_round_trip;
                *total = total.get().saturating_add(round_trip).into();
                pair.round_trip = round_trip.into();
            });
        }
    }

    /// A check was answered with an error that repeating will not mend, or from elsewhere.
    fn check_refused(&mut self, now: Instant, check: SentCheck) {
        // One for consent takes nothing back: only silence and a 403 do.
        let Target::Pair(id) = check.target else {
            return;
        };
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        let nomination = self.components[pair.component()].nomination;
        let nominating = check.purpose == Purpose::Nomination
            && nomination.is_some_and(|nomination| nomination.pair == id);
        if nominating {
            self.give_nomination_up(now, pair.component(), id);
        } else if pair.state != PairState::Succeeded {
            // Nor does a late one.
            self.fail_pair(now, id);
        }
    }

    /// 487: the role that the refused check claimed is given up, once (RFC 8445 §7.2.5.1).
    fn role_refused(&mut self, now: Instant, check: SentCheck, symmetric: bool) {
        if check.role == self.role {
            self.switch_role(now);
            self.tie_breaker = self.entropy.u64();
        }
        let Target::Pair(id) = check.target else {
            return;
        };
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        if symmetric {
            // As good as a check of the peer.
            self.budget
                .heard(pair.path.remote, pair.local, false, &self.config.limits);
        }
        if self.may_check(pair) {
            // Also a pair that works, whose nomination was refused: two agents that have both given up
            // control find out by the next check.
            self.checks.update(id, |pair| {
                if pair.state != PairState::Succeeded {
                    pair.state = PairState::Waiting;
                }
            });
            self.checks.trigger(id);
        } else {
            // A peer that refuses every role.
            self.check_refused(now, check);
        }
    }

    fn check_succeeded(
        &mut self,
        now: Instant,
        check: SentCheck,
        checked: PairId,
        mapped: SocketAddr,
        round_trip: Duration,
    ) {
        let Some((id, valid)) = self.valid_pair(now, checked, mapped) else {
            return;
        };
        let mut first = false;
        for pair in [checked, id] {
            let validated = pair == id;
            let changed = self.checks.update(pair, |pair| {
                let first = pair.state != PairState::Succeeded;
                pair.state = PairState::Succeeded;
                pair.schedule = Schedule::default();
                pair.triggered = None;
                pair.answered = now;
                if validated && pair.valid.is_none() {
                    pair.valid = Some(valid);
                    pair.round_trip = round_trip.into();
                }
                (first, pair.foundation)
            });
            if let Some((true, foundation)) = changed {
                self.checks.unfreeze(foundation);
                first = true;
            }
        }
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        let (at, moved, relayed) = (pair.component(), pair.moved, pair.relayed);
        let by_peer = pair
            .nominated_by_peer
            .filter(|_| self.role == Role::Controlled);
        self.timeline.first_valid.get_or_insert(now);
        if first && !relayed {
            self.heard_on_pair(now, id);
        }
        if self.components[at].active_pair() == Some(id) {
            self.resume(now, at, id);
            self.consented(now, at);
        } else {
            self.prefer_valid(now, at);
        }
        let nomination = self.components[at].nomination;
        let own =
            nomination.filter(|it| check.purpose == Purpose::Nomination && it.pair == checked);
        if let Some(own) = own {
            self.select(now, id, own.counter);
        } else if let Some(counter) = by_peer {
            self.select(now, id, (counter > 0).then_some(counter));
        } else if moved && first {
            self.follow_move(now, at, id);
        } else if first {
            self.reconsider(now, at);
        }
        self.review(now);
    }

    /// Before there is a selected pair, and without a path of an earlier generation that still works,
    /// data goes over the best valid one.
    fn prefer_valid(&mut self, now: Instant, at: usize) {
        let component = &self.components[at];
        let current = self.generation.number;
        let elder = component
            .active
            .as_ref()
            .is_some_and(|it| it.generation != current);
        if component.selected.is_some() || elder {
            return;
        }
        let best = self.checks.best_with_consent(at, now);
        if let Some(best) = best.filter(|&best| component.active_pair() != Some(best)) {
            self.activate(now, at, best);
        }
    }

    /// The peer's end of the selected pair has another address now, and it answers there.
    fn follow_move(&mut self, now: Instant, at: usize, id: PairId) {
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        let remote = &self.remotes[pair.remote()];
        // The peer may have asked from several addresses at once: one of them is enough.
        let selected = self.components[at].selected;
        let awaited = self.awaits_stream(at);
        let Some(selected) = selected.filter(|it| awaited || it.at + RELEASE_DELAY <= now) else {
            return;
        };
        let mut ends = selected.ends;
        ends.remote.kind = remote.kind;
        ends.remote.address = remote.address;
        self.activate(now, at, id);
        // If it asks from there again it has come back: what was believed a move was a late check of a
        // peer that was not as far.
        self.checks.update(selected.pair, |pair| {
            pair.state = PairState::Failed;
            pair.valid = None;
            // That is used up.
            pair.nominated_by_peer = None;
            pair.moved = true;
        });
        self.components[at].selected = Some(Selection {
            pair: id,
            ends,
            at: now,
            asked: now,
            ..selected
        });
        self.events.push_back(Event::Selected(ends));
        if self.role == Role::Controlling && self.renominates(at) {
            // The peer may have another base there, and has to know that this pair is the one.
            self.nominate_pair(now, at, id);
        }
    }

    /// The valid pair that a check has shown: of the local candidate with the mapped address, found just
    /// now if no one knew it (RFC 8445 §7.2.5.3.1), and of the address that was checked. It is the
    /// pair that was checked, unless the answer tells another base of this host (§7.2.5.3.2).
    fn valid_pair(
        &mut self,
        now: Instant,
        checked: PairId,
        mapped: SocketAddr,
    ) -> Option<(PairId, u32)> {
        let pair = self.checks.get(checked)?;
        let (local, path, remote, component) =
            (pair.local, pair.path, pair.remote(), pair.component());
        let base = path.local;
        if mapped == base {
            return Some((checked, local));
        }
        let tcp_type = self.locals.get(&local).and_then(|local| local.tcp_type);
        let other_base = self.bases.get(&mapped);
        let other_base = other_base.filter(|it| it.component == component && tcp_type.is_none());
        if other_base.is_some() {
            let other = self.local_at(mapped, mapped, None)?;
            let pair = self.add_pair(now, other, remote);
            return Some(pair.map_or((checked, local), |pair| (pair, other)));
        }
        let known = self.local_at(mapped, base, tcp_type);
        if let Some(known) = known {
            return Some((checked, known));
        }
        let reflexive = self.locals.values();
        let reflexive = reflexive.filter(|it| it.kind == CandidateKind::PeerReflexive);
        if reflexive.count() >= self.config.limits.peer_reflexive {
            return Some((checked, local));
        }
        let kind = CandidateKind::PeerReflexive;
        let known = self.locals.get(&local)?;
        let (transport, component, network) = (known.transport, known.component, known.network);
        let foundation = self.foundations.of(kind, transport, base.ip(), None);
        let found = self.push_local(Candidate {
            component,
            kind,
            transport,
            tcp_type,
            address: mapped,
            base,
            // What the check has claimed.
            priority: self.peer_reflexive_priority(path),
            foundation,
            related: Some(base),
            network,
        });
        Some((checked, found))
    }
}

/// What became of an authentic request.
enum Accepted {
    /// There is no room to remember it.
    Dropped,
    /// The sender has to change its role.
    Conflict,
    /// What it nominates cannot be used (RFC 8445 §7.3.1.5).
    Refused,
    Answered,
}

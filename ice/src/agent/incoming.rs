//! What arrives: answers of servers, checks, answers to checks, data.

use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Route, Transport};
use floe_stun::{Class, Message, Method, Protocol, StatusCode};

use super::{Agent, EarlyCheck, Purpose, SentCheck, State};
use crate::candidate::{Candidate, CandidateKind};
use crate::check::{self, Answer};
use crate::check_list::{PairId, PairState};
use crate::config::Policy;
use crate::event::Event;
use crate::role::Conflict;

/// Packets that wait for `poll_transmit` before requests are dropped; a driver drains after every
/// call, so only a broken one ever gets there.
const MAX_PENDING: usize = 64;

impl Agent {
    /// One datagram arrived on one of the agent's addresses.
    pub fn handle_input(&mut self, now: Instant, mut datagram: Datagram<'_>) -> Input {
        if self.state == State::Closed && !self.gatherer.has(datagram.path) {
            return Input::Dropped(DropReason::Closed);
        }
        let path = datagram.path;
        let is_datagram = path.transport == Transport::Udp;
        let is_own = is_datagram && self.config.addresses.contains(&path.local);
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
                if is_datagram => {}
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
    fn handle_peer(&mut self, now: Instant, datagram: &Datagram<'_>) -> Input {
        let path = datagram.path;
        if path.remote.port() == 0 {
            return Input::Dropped(DropReason::Forbidden);
        }
        if matches!(self.state, State::Failed(_) | State::Closed) {
            return Input::Dropped(DropReason::Closed);
        }
        let payload = datagram.payload();
        if Protocol::of(payload) == Protocol::Stun {
            match Message::parse(payload) {
                Ok(message) => return self.handle_stun(now, path, &message),
                Err(error) if !error.kind.is_not_stun() => {
                    return Input::Dropped(DropReason::Malformed);
                }
                Err(_) => {}
            }
        }
        if self.proven.contains(&(path.local, path.remote)) {
            Input::Data(Route::new(path, datagram.range()))
        } else {
            Input::Dropped(DropReason::UnknownRemote)
        }
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
        let read = check::read_request(message, &self.credentials, &self.key, self.role);
        let answer = match read {
            Err(refusal) => check::refusal(message, refusal, &self.key),
            Ok(request) => {
                let conflict = Conflict::of(
                    self.role,
                    self.tie_breaker,
                    request.role,
                    request.tie_breaker,
                );
                if conflict == Conflict::Insist {
                    check::role_conflict(message, &self.key)
                } else {
                    if self.session.is_none() && !self.has_room_for_early(path) {
                        return Input::Dropped(DropReason::Capacity);
                    }
                    if conflict == Conflict::Yield {
                        self.switch_role(now);
                    }
                    let answer = check::success(message, path.remote, &self.key);
                    // The answer leaves before the triggered check.
                    if let Ok(payload) = answer {
                        self.transmit(path, payload);
                    }
                    self.prove(path);
                    if self.session.is_some() {
                        self.peer_checked(now, path, request.priority, request.nominate);
                    } else {
                        self.remember_early(path, request.priority, request.nominate);
                    }
                    return Input::Handled;
                }
            }
        };
        if let Ok(payload) = answer {
            self.transmit(path, payload);
        }
        Input::Handled
    }

    /// The peer has shown that it is on this path: data from there is taken. Where there are too
    /// many such paths, those of pairs that work stay.
    fn prove(&mut self, path: FiveTuple) {
        let path = (path.local, path.remote);
        let limit = self.config.limits.pairs;
        if self.proven.len() >= limit && !self.proven.contains(&path) {
            let checks = &self.checks;
            self.proven.retain(|&(local, remote)| {
                let pair = checks.find(local, remote).and_then(|id| checks.get(id));
                pair.is_some_and(|pair| pair.valid.is_some())
            });
        }
        if self.proven.len() < limit {
            self.proven.insert(path);
        }
    }

    fn has_room_for_early(&self, path: FiveTuple) -> bool {
        self.early.len() < self.config.limits.early_checks
            || self.early.iter().any(|early| early.path == path)
    }

    fn remember_early(&mut self, path: FiveTuple, priority: u32, nominate: bool) {
        match self.early.iter_mut().find(|early| early.path == path) {
            Some(early) => early.nominate |= nominate,
            None => self.early.push(EarlyCheck {
                path,
                priority,
                nominate,
            }),
        }
    }

    /// An authentic check of the peer came over `path` (RFC 8445 §7.3.1.3 to §7.3.1.5).
    pub(super) fn peer_checked(
        &mut self,
        now: Instant,
        path: FiveTuple,
        priority: u32,
        nominate: bool,
    ) {
        if !core::mem::replace(&mut self.heard, true) {
            self.checks.hurry(now);
        }
        let existing = self.checks.find(path.local, path.remote);
        let Some(id) = existing.or_else(|| self.pair_unknown(now, path, priority)) else {
            return;
        };
        let nominated = nominate && self.role == crate::Role::Controlled;
        let wanted = nominated || self.state != State::Completed;
        let exhausted = self
            .checks
            .get(id)
            .is_some_and(|pair| self.is_exhausted(pair));
        let Some(pair) = self.checks.get_mut(id) else {
            return;
        };
        pair.nominated_by_peer |= nominated;
        match pair.state {
            PairState::Succeeded if !nominated => {}
            PairState::Succeeded if pair.has_consent(now) => self.select(now, id),
            _ if !wanted => {}
            // The next check comes sooner.
            PairState::InProgress if !exhausted => self.checks.trigger(id),
            PairState::InProgress => {}
            PairState::Frozen | PairState::Waiting => {
                pair.state = PairState::Waiting;
                self.checks.trigger(id);
            }
            // It gets another chance; so does a pair that worked too long ago.
            PairState::Failed | PairState::Succeeded => {
                pair.reset();
                self.checks.trigger(id);
            }
        }
    }

    /// A check from where no candidate is known: a peer-reflexive one (RFC 8445 §7.3.1.3).
    fn pair_unknown(&mut self, now: Instant, path: FiveTuple, priority: u32) -> Option<PairId> {
        if self.state == State::Completed {
            return None;
        }
        let local = self
            .locals
            .iter()
            .position(|local| local.address == path.local && local.base == path.local)?;
        let known = self
            .remotes
            .iter()
            .position(|remote| remote.candidate.address == path.remote);
        let remote = match known {
            Some(remote) => remote,
            None if self.remotes.len() >= self.config.limits.remote_candidates => return None,
            None => {
                self.peer_reflexive += 1;
                // Not a foundation that can be signalled: it equals none of the other side.
                let foundation = alloc::format!("prflx:{}", self.peer_reflexive);
                self.push_remote(Candidate {
                    kind: CandidateKind::PeerReflexive,
                    transport: path.transport,
                    address: path.remote,
                    base: path.remote,
                    priority: priority.clamp(1, (1 << 31) - 1),
                    foundation,
                    related: None,
                })
            }
        };
        self.add_pair(now, local, remote)
    }

    fn switch_role(&mut self, now: Instant) {
        self.role = self.role.other();
        self.events.push_back(Event::RoleChanged(self.role));
        self.recompute_priorities();
        if self.role == crate::Role::Controlled {
            self.nomination = None;
            self.release_hold();
        }
        self.reconsider(now);
    }

    fn handle_answer(&mut self, now: Instant, path: FiveTuple, message: &Message<'_>) -> Input {
        let id = message.transaction_id();
        let Some(transaction) = self.transactions.get(id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let Some(session) = &self.session else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let authentic = message
            .integrity()
            .is_some_and(|algorithm| message.verify(&session.remote_key, algorithm));
        if !authentic {
            // As if it had never come: the genuine answer may follow (RFC 8489 §9.1.4).
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let symmetric = transaction.path == path;
        let Some(transaction) = self.transactions.remove(id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let check = transaction.context;
        match check::read_answer(message) {
            // RFC 8445 §7.2.5.2.1: the path must be the same both ways.
            _ if !symmetric => self.check_refused(now, check),
            Answer::Mapped(address) => {
                self.prove(path);
                let round_trip = now - transaction.started;
                self.check_succeeded(now, check, address, round_trip);
            }
            Answer::Refused(StatusCode::ROLE_CONFLICT) => self.role_refused(now, check),
            Answer::Refused(StatusCode::FORBIDDEN) if self.active == Some(check.pair) => {
                self.consent_revoked(now);
            }
            Answer::Refused(_) | Answer::Unusable => self.check_refused(now, check),
        }
        Input::Handled
    }

    /// A check was answered with an error that repeating will not mend, or from elsewhere.
    fn check_refused(&mut self, now: Instant, check: SentCheck) {
        let nominating = check.purpose == Purpose::Nomination
            && self.nomination.is_some_and(|n| n.pair == check.pair);
        // A late one takes nothing back, and does not end consent: only silence and a 403 do.
        let works = self
            .checks
            .get(check.pair)
            .is_some_and(|pair| pair.state == PairState::Succeeded);
        if nominating || !works {
            self.fail_pair(now, check.pair);
        }
    }

    /// 487: the role that the refused check claimed is given up, once (RFC 8445 §7.2.5.1).
    fn role_refused(&mut self, now: Instant, check: SentCheck) {
        if check.role == self.role {
            self.switch_role(now);
            self.tie_breaker = self.entropy.u64();
        }
        let Some(pair) = self.checks.get(check.pair) else {
            return;
        };
        if self.is_exhausted(pair) {
            // A peer that refuses every role.
            self.check_refused(now, check);
        } else if let Some(pair) = self.checks.get_mut(check.pair) {
            if pair.state != PairState::Succeeded {
                pair.state = PairState::Waiting;
                self.checks.trigger(check.pair);
            }
        }
    }

    fn check_succeeded(
        &mut self,
        now: Instant,
        check: SentCheck,
        mapped: core::net::SocketAddr,
        round_trip: core::time::Duration,
    ) {
        let Some(pair) = self.checks.get(check.pair) else {
            return;
        };
        let (local, base) = (pair.local, pair.base);
        let valid = self.discover_local(mapped, local, base, check.priority);
        let Some(pair) = self.checks.get_mut(check.pair) else {
            return;
        };
        let first = pair.state != PairState::Succeeded;
        pair.state = PairState::Succeeded;
        pair.schedule = crate::check_list::Schedule::default();
        pair.answered = now;
        if first {
            pair.valid = Some(valid);
            pair.round_trip = round_trip;
        }
        let foundation = pair.foundation;
        let nominated = pair.nominated_by_peer && self.role == crate::Role::Controlled;
        if first {
            self.checks.untrigger(check.pair);
            self.checks.unfreeze(foundation);
        }
        if self.state == State::Checking {
            self.state = State::Connected;
            self.events.push_back(Event::Connected);
        }
        let active = self.active;
        if self.selected.is_none() && first {
            self.active = self.checks.best_with_consent(now);
        }
        if self.active != active || self.active == Some(check.pair) {
            self.follow_consent(now);
        }
        let nominating = check.purpose == Purpose::Nomination
            && self.nomination.is_some_and(|n| n.pair == check.pair);
        if nominating || nominated {
            self.select(now, check.pair);
        } else if first {
            self.reconsider(now);
        }
    }

    /// The local candidate of the valid pair: the one with the mapped address, found just now if no
    /// one knew it (RFC 8445 §7.2.5.3.1).
    fn discover_local(
        &mut self,
        mapped: core::net::SocketAddr,
        local: usize,
        base: core::net::SocketAddr,
        priority: u32,
    ) -> usize {
        let known = self
            .locals
            .iter()
            .position(|local| local.address == mapped && local.base == base);
        if let Some(known) = known {
            return known;
        }
        if self.locals.len() >= self.config.limits.remote_candidates {
            return local;
        }
        let kind = CandidateKind::PeerReflexive;
        let transport = self.locals[local].transport;
        let foundation = self.foundations.of(kind, transport, base.ip(), None);
        self.locals.push(Candidate {
            kind,
            transport,
            address: mapped,
            base,
            priority,
            foundation,
            related: Some(base),
        });
        self.locals.len() - 1
    }
}

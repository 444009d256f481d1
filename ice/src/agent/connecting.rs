//! Streams between the peers: opened for checks, accepted, and kept while something needs them
//! (RFC 6544 §7, §11).

use alloc::vec::Vec;
use core::net::SocketAddr;

use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Transport};

use super::component::{Loss, Outcome};
use super::{Agent, Base, CommandError, Duration};
use crate::candidate::{Candidate, CandidateKind};
use crate::check_list::{PairId, PairState, Schedule};
use crate::config::Policy;
use crate::connections::{Connection, Stage, unopened};
use crate::event::{Event, FailureCause};
use crate::framing::{self, Read};
use crate::gatherer::StreamId;
use crate::sent::Target;
use crate::tcp::{
    ACTIVE_PORT, MAX_ATTEMPTS, TcpType, other_place, reused_local_preference, tcp_local_preference,
};

/// How long a connection, and then the answer to a check over it, is waited for: the Ti of STUN over a
/// reliable transport (RFC 8489 §6.2.2).
pub(super) const PATIENCE: Duration = Duration::from_millis(39_500);

/// Within this time an accepted connection has to prove that it is the peer's.
const PROOF_LIMIT: Duration = Duration::from_secs(10);

impl Agent {
    /// The owner accepted a connection of `remote` at `local`, an address of
    /// [`Config::tcp_addresses`](crate::Config::tcp_addresses) or
    /// [`LocalAddress::listening`](crate::LocalAddress::listening); what names it from now on.
    ///
    /// Its frames (RFC 4571) are inputs, and transmits have its 5-tuple. If no authentic check comes
    /// over it within 10 s, it is not wanted any more.
    ///
    /// # Errors
    ///
    /// Close it on any: [`CommandError::StreamPath`] if no passive candidate has that address, or
    /// another connection the 5-tuple; [`CommandError::Capacity`] if there are
    /// [`Limits::accepted_streams`](crate::Limits::accepted_streams) that the peer has proven to be its
    /// own (of others the eldest makes room); [`CommandError::Ended`].
    pub fn stream_accepted(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<StreamId, CommandError> {
        self.check_alive()?;
        let path = FiveTuple {
            transport: Transport::Tcp,
            local,
            remote,
        };
        let passive = (self.locals.iter()).find(|(_, it)| {
            it.tcp_type == Some(TcpType::Passive)
                && it.kind == CandidateKind::Host
                && it.base == local
        });
        let known = passive.and_then(|(&at, it)| Some((at, self.component_at(it.component)?)));
        let (at, component) = known.ok_or(CommandError::StreamPath)?;
        if remote.port() == 0 || self.has_stream(path) {
            return Err(CommandError::StreamPath);
        }
        if self.connections.accepted() >= self.config.limits.accepted_streams {
            let eldest = self.connections.eldest_unproven();
            let (eldest, _) = eldest.ok_or(CommandError::Capacity)?;
            self.connections.close(eldest);
        }
        let now = self.clock.advance(now);
        let id = self.connections.insert(Connection {
            path,
            local: at,
            component,
            opens: false,
            stage: Stage::Open,
            since: now,
        });
        self.settle(now);
        Ok(id)
    }

    /// Whether a stream has this 5-tuple.
    fn has_stream(&self, path: FiveTuple) -> bool {
        self.connections.on(path).is_some() || self.gatherer.has(path)
    }

    // ---- candidates ------------------------------------------------------------------------------

    /// Active candidates of all interfaces, passive ones where the owner listens, and connections that
    /// a restart has left (RFC 6544 §4.1, §5.1, §9.2). A lite agent has passive ones alone (§4.4).
    pub(super) fn add_tcp_candidates(&mut self, now: Instant) {
        if !self.config.tcp.is_on() || self.config.policy == Policy::Relay {
            return;
        }
        let mut wanted = Vec::new();
        for host in self.hosts.iter().chain(&self.listeners) {
            if self.offers_host(host) && !self.config.lite {
                let active = SocketAddr::new(host.address.ip(), ACTIVE_PORT);
                wanted.push((TcpType::Active, active, *host));
            }
        }
        for host in self.listeners.iter().filter(|host| self.offers_host(host)) {
            wanted.push((TcpType::Passive, host.address, *host));
        }
        for (tcp_type, address, host) in wanted {
            let known = self.locals.values().any(|it| {
                it.tcp_type == Some(tcp_type)
                    && it.address == address
                    && it.component == host.component
            });
            if known {
                continue;
            }
            let kind = CandidateKind::Host;
            let place = self.tcp_place(host.component, tcp_type);
            let preference = tcp_local_preference(kind, tcp_type, place);
            let candidate = self.tcp_candidate(kind, tcp_type, preference, &host, address);
            self.add_local(now, candidate);
        }
        self.add_reused(now);
    }

    fn tcp_candidate(
        &mut self,
        kind: CandidateKind,
        tcp_type: TcpType,
        preference: u16,
        host: &crate::LocalAddress,
        address: SocketAddr,
    ) -> Candidate {
        let (transport, component) = (Transport::Tcp, host.component);
        let number = component.component;
        Candidate {
            component,
            kind,
            transport,
            tcp_type: Some(tcp_type),
            address,
            base: address,
            priority: (self.config.tcp).priority(kind, transport, preference, number),
            foundation: self.foundations.of(kind, transport, address.ip(), None),
            related: None,
            network: host.network,
        }
    }

    /// How many candidates of this direction a component has.
    fn tcp_place(&self, component: crate::ComponentId, tcp_type: TcpType) -> u16 {
        let before = self.locals.values().filter(|it| {
            let direct = it.kind == CandidateKind::Host;
            direct && it.component == component && it.tcp_type == Some(tcp_type)
        });
        u16::try_from(before.count()).unwrap_or(u16::MAX)
    }

    /// After a restart: the connection that carries data is offered as a simultaneous-open candidate. If
    /// the peer does so too, it goes on (RFC 6544 §9.2).
    fn add_reused(&mut self, now: Instant) {
        for at in 0..self.components.len() {
            let Some(active) = &self.components[at].active else {
                continue;
            };
            let (path, mapped) = (active.path, active.mapped);
            let old = active.generation != self.generation.number;
            if !old || self.connections.open_on(path).is_none() {
                continue;
            }
            let id = self.components[at].id;
            let host = crate::LocalAddress::new(path.local).on(id);
            let tcp_type = TcpType::SimultaneousOpen;
            let place = self.tcp_place(id, tcp_type);
            let preference = reused_local_preference(place);
            let mut candidate =
                self.tcp_candidate(CandidateKind::Host, tcp_type, preference, &host, path.local);
            candidate.address = mapped;
            let local = self.add_local(now, candidate);
            if let Some(connection) = self.connections.on_mut(path) {
                connection.local = local;
            }
        }
    }

    /// Whether a candidate of the peer can be of use: over TCP only one that listens, or is there
    /// already. Active ones are met when they connect.
    pub(super) fn can_reach(&self, candidate: &Candidate) -> bool {
        match candidate.tcp_type {
            None => candidate.transport == Transport::Udp,
            Some(tcp_type) => self.config.tcp.is_on() && tcp_type != TcpType::Active,
        }
    }

    /// An address is gone: so are the TCP candidates that need it.
    pub(super) fn lose_tcp_address(&mut self, now: Instant, address: SocketAddr) {
        self.listeners.retain(|it| it.address != address);
        let (hosts, listeners) = (&self.hosts, &self.listeners);
        let is_gone = |it: &Candidate| match it.tcp_type {
            None => false,
            Some(TcpType::Passive) => listeners.iter().all(|host| host.address != it.base),
            Some(_) => {
                let mut left = hosts.iter().chain(listeners);
                left.all(|host| host.address.ip() != it.base.ip())
            }
        };
        let mut gone = alloc::collections::BTreeSet::new();
        gone.extend(
            self.locals
                .iter()
                .filter(|(_, it)| is_gone(it))
                .map(|(&at, _)| at),
        );
        if gone.is_empty() {
            return;
        }
        let lost: Vec<_> = (self.connections.iter())
            .filter(|(_, it)| gone.contains(&it.local))
            .map(|(id, _)| id)
            .collect();
        for id in lost {
            if let Some(connection) = self.connections.close(id) {
                self.forget_path(connection.path);
            }
        }
        let pairs = self.checks.ids(|pair| gone.contains(&pair.local));
        for &id in &pairs {
            self.fail_pair(now, id);
            self.checks.remove(id);
        }
        self.keep_locals(|at, _| !gone.contains(&at));
        self.reconsider_all(now);
    }

    // ---- where a path belongs --------------------------------------------------------------------

    /// What is known of the base that a path leaves from.
    pub(super) fn base_of(&self, path: FiveTuple) -> Option<Base> {
        if !path.transport.is_reliable() {
            return self.bases.get(&path.local).copied();
        }
        let connection = self.connections.on(path)?;
        let local = self.locals.get(&connection.local);
        let place = local.map_or(0, |local| other_place(local.priority));
        let tcp_type = local.and_then(|local| local.tcp_type);
        let tcp_type = tcp_type.unwrap_or(TcpType::Active);
        Some(Base {
            component: connection.component,
            preference: tcp_local_preference(CandidateKind::PeerReflexive, tcp_type, place),
            place,
            vouched: false,
            alone: false,
        })
    }

    /// The local candidate that packets on this path reach.
    pub(super) fn local_of(&self, path: FiveTuple) -> Option<u32> {
        if path.transport.is_reliable() {
            return Some(self.connections.on(path)?.local);
        }
        self.local_at(path.local, path.local, None)
    }

    /// The candidate of this side with this address and base.
    pub(super) fn local_at(
        &self,
        address: SocketAddr,
        base: SocketAddr,
        tcp_type: Option<TcpType>,
    ) -> Option<u32> {
        // A host has few.
        let mut locals = self.locals.iter();
        let known = locals
            .find(|(_, it)| it.address == address && it.base == base && it.tcp_type == tcp_type);
        known.map(|(&at, _)| at)
    }

    /// Whether packets can be sent on this path: one that needs a connection has it.
    pub(super) fn is_open(&self, path: FiveTuple) -> bool {
        !path.transport.is_reliable() || self.connections.open_on(path).is_some()
    }

    // ---- connections come and go -----------------------------------------------------------------

    /// A pair is to be checked and has no connection. Whether this uses the slot.
    pub(super) fn connect(&mut self, now: Instant, id: PairId) -> bool {
        let Some(pair) = self.checks.get(id) else {
            return false;
        };
        let (path, opens) = (pair.path, pair.opens);
        let (local, component) = (pair.local, pair.component());
        if !opens {
            // It was the peer's, and is gone.
            self.fail_pair(now, id);
            return false;
        }
        self.checks.update(id, |pair| {
            pair.state = PairState::InProgress;
            pair.schedule = Schedule::waiting(now + PATIENCE);
        });
        let to = path.remote.ip();
        if self.connections.on(path).is_some() || self.connections.attempts(to) >= MAX_ATTEMPTS {
            return false;
        }
        self.budget.spend(path.remote, local, &self.config.limits);
        self.connections.want(Connection {
            path,
            local,
            component,
            opens: true,
            stage: Stage::Opening,
            since: now,
        });
        true
    }

    /// One attempt less: a pair that had to wait for it gets its turn.
    fn connect_waiting(&mut self, to: core::net::IpAddr) {
        let waiting = self.checks.iter().find(|(_, pair)| {
            pair.opens
                && pair.state == PairState::InProgress
                && pair.path.remote.ip() == to
                && self.connections.on(pair.path).is_none()
        });
        if let Some((id, _)) = waiting {
            self.check_now(id);
        }
    }

    /// Puts a pair among the triggered checks.
    fn check_now(&mut self, id: PairId) {
        self.checks.update(id, |pair| {
            pair.state = PairState::Waiting;
            pair.schedule = Schedule::default();
        });
        self.checks.trigger(id);
    }

    /// A connection with the peer is open: [`Agent::stream_opened`].
    pub(super) fn connection_opened(
        &mut self,
        now: Instant,
        id: StreamId,
        local: SocketAddr,
    ) -> Result<(), CommandError> {
        let connection = self.connections.get(id).filter(|it| !it.is_open());
        let before = connection.ok_or(CommandError::UnknownStream)?.path;
        let path = FiveTuple { local, ..before };
        if local.ip() != before.local.ip() || local.port() == 0 || self.has_stream(path) {
            return Err(CommandError::StreamPath);
        }
        let now = self.clock.advance(now);
        self.connections.opened(id, local);
        if let Some(pair) = self.checks.find(before) {
            self.checks.set_path(pair, path);
            self.check_now(pair);
        }
        self.connect_waiting(path.remote.ip());
        self.settle(now);
        Ok(())
    }

    /// A connection with the peer could not be opened, or is gone: [`Agent::stream_failed`].
    pub(super) fn connection_failed(&mut self, now: Instant, id: StreamId) {
        if let Some(connection) = self.connections.remove(id) {
            let now = self.clock.advance(now);
            self.disconnected(now, &connection);
            self.settle(now);
        }
    }

    /// A connection is no more. A pair that it was to be checked on fails (RFC 6544 §7.1); a selected one
    /// is opened again by the side that opened it, and awaited by the other (§11.1).
    fn disconnected(&mut self, now: Instant, connection: &Connection) {
        let path = connection.path;
        self.forget_path(path);
        let pair = self.checks.find(path);
        if let Some(pair) = pair.filter(|_| connection.opens) {
            self.checks.set_path(pair, unopened(path));
        }
        let at = connection.component;
        let component = &self.components[at];
        let active = component.active.as_ref();
        let carried = active.is_some_and(|active| active.path == path);
        let selected = pair.filter(|&pair| {
            component
                .selected
                .is_some_and(|selected| selected.pair == pair)
        });
        match (selected, pair) {
            (Some(pair), _) if carried => self.interrupted(now, at, pair, connection.opens),
            (_, Some(pair)) => self.fail_pair(now, pair),
            // A path of an earlier generation.
            (_, None) if carried => self.path_lost(now, at, FailureCause::PathLost),
            _ => {}
        }
        if !connection.is_open() {
            self.connect_waiting(path.remote.ip());
        }
    }

    /// What was known about a path that is gone.
    fn forget_path(&mut self, path: FiveTuple) {
        self.proven.retain(|&proven| proven != path);
        self.keep_locals(|_, local| {
            let found = local.kind == CandidateKind::PeerReflexive && local.tcp_type.is_some();
            !(found && local.base == path.local)
        });
    }

    /// The connection of the selected pair is gone. Its consent is not: that lasts as long as ever
    /// (RFC 7675 §5.2).
    fn interrupted(&mut self, now: Instant, at: usize, id: PairId, opens: bool) {
        let valid = self.checks.valid(at);
        let other = valid.filter(|&(other, pair)| other != id && pair.has_consent(now));
        if other.count() > 0 && self.config.recovery {
            return self.fail_pair(now, id);
        }
        self.components[at].lost = Some(Loss {
            since: now,
            cause: FailureCause::PathLost,
            generation: self.generation.number,
        });
        self.drop_consent_checks(at);
        self.sent.retain(|check| check.target != Target::Pair(id));
        if opens {
            self.checks.update(id, crate::check_list::Pair::reset);
            self.checks.trigger(id);
        } else {
            // The next connection of the peer is another pair.
            self.checks.update(id, |pair| {
                pair.state = PairState::Failed;
                pair.valid = None;
            });
        }
    }

    /// Whether this component has a selected pair whose connection is gone, and that is the peer's to
    /// open again.
    pub(super) fn awaits_stream(&self, at: usize) -> bool {
        let active = self.components[at].active.as_ref();
        active.is_some_and(|active| !self.is_open(active.path))
    }

    /// The connection of the selected pair is there again, and works.
    pub(super) fn resume(&mut self, now: Instant, at: usize, id: PairId) {
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        let path = pair.path;
        let active = self.components[at].active.as_ref();
        if active.is_none_or(|active| active.path == path) {
            return;
        }
        let valid = pair.valid.and_then(|local| self.locals.get(&local));
        let address = valid.map(|local| local.reached_at(path));
        self.activate(now, at, id);
        if let (Some(selected), Some(address)) = (&mut self.components[at].selected, address) {
            selected.ends.local.address = address;
            self.events.push_back(Event::Selected(selected.ends));
        }
    }

    /// Closes what nothing needs (any more): all connections of a stream that has its pairs but those of
    /// these pairs (RFC 6544 §8), those of pairs that failed, and those of what was left behind by a
    /// restart.
    pub(super) fn close_needless(&mut self, now: Instant) {
        if self.connections.is_empty() {
            return;
        }
        let needless: Vec<_> = (self.connections.iter())
            .filter(|(_, connection)| !self.is_needed(connection))
            .map(|(id, _)| id)
            .collect();
        for id in needless {
            if let Some(connection) = self.connections.close(id) {
                self.disconnected(now, &connection);
            }
        }
    }

    fn is_needed(&self, connection: &Connection) -> bool {
        let path = connection.path;
        let component = &self.components[connection.component];
        if component.active.as_ref().is_some_and(|it| it.path == path) {
            return true;
        }
        let outcome = self.streams[component.stream].outcome;
        if matches!(outcome, Outcome::Failed(_) | Outcome::Removed) {
            return false;
        }
        if connection.is_unproven() {
            // It has its time.
            return true;
        }
        let upcoming = self.upcoming.iter().flat_map(|it| &it.early);
        if self.early.iter().chain(upcoming).any(|it| it.path == path) {
            return true;
        }
        let done = outcome == Outcome::Completed;
        let Some(id) = self.checks.find(path) else {
            return !connection.opens && !done;
        };
        let nominated = component.nomination.is_some_and(|it| it.pair == id);
        self.checks.get(id).is_some_and(|pair| {
            let better = || self.would_improve(pair.component(), pair.relayed);
            let valid = pair.valid.is_some() && (!done || better());
            pair.state.is_open() || pair.triggered.is_some() || nominated || valid
        })
    }

    /// When an accepted connection has had its time to prove itself.
    pub(super) fn next_unproven(&self) -> Option<Instant> {
        let (_, since) = self.connections.eldest_unproven()?;
        Some(since + PROOF_LIMIT)
    }

    pub(super) fn close_unproven(&mut self, now: Instant) {
        while let Some((id, since)) = self.connections.eldest_unproven() {
            if since + PROOF_LIMIT > now {
                break;
            }
            self.connections.close(id);
        }
    }

    // ---- frames ----------------------------------------------------------------------------------

    /// One frame of a connection with the peer.
    pub(super) fn take_frame(&mut self, now: Instant, datagram: &Datagram<'_>) -> Input {
        let path = datagram.path;
        let payload = datagram.payload();
        let Some(connection) = self.connections.on_mut(path).filter(|it| it.is_open()) else {
            return Input::Dropped(DropReason::UnknownLocal);
        };
        let now = self.clock.advance(now);
        if payload.is_empty() {
            // The null packet (RFC 4571 §2).
            return Input::Handled;
        }
        let first = connection.stage == Stage::Open;
        connection.stage = connection.stage.max(Stage::Heard);
        if first && !matches!(framing::read(payload), Read::Stun(_)) {
            self.is_no_peer(now, path);
            return Input::Handled;
        }
        self.handle_peer(now, datagram)
    }

    /// What was said first on a connection is no check: whoever is there is not the peer
    /// (RFC 6544 §7.1).
    fn is_no_peer(&mut self, now: Instant, path: FiveTuple) {
        let id = self.connections.id_on(path);
        let Some(connection) = id.and_then(|id| self.connections.close(id)) else {
            return;
        };
        self.disconnected(now, &connection);
        if connection.opens {
            self.fail_pairs(now, |pair| {
                pair.path.transport == path.transport && pair.path.remote == path.remote
            });
        }
        self.settle(now);
    }

    /// The peer has proven to be at the other end.
    pub(super) fn prove_stream(&mut self, path: FiveTuple) {
        if let Some(connection) = self.connections.on_mut(path) {
            connection.stage = Stage::Proven;
        }
    }
}

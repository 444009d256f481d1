//! Local candidates: gathered, named, announced and paired.

use core::net::SocketAddr;

use floe_sansio::{Instant, Transport};

use super::{Agent, AgentTimer, CommandError, Duration, Gathering};
use crate::candidate::{Candidate, CandidateKind, candidate_priority};
use crate::config::Policy;
use crate::event::{Event, FailureCause, GatheringError};
use crate::gatherer::{Source, SourceEvent, StreamId};

/// How long gathering goes on, with nothing left to ask, after a server has said that it knows somebody
/// else by the address of this agent (437, RFC 8656 §7.4): the owner may bind another port and call
/// [`Agent::add_address`].
const PORT_WAIT: Duration = Duration::from_millis(50);

impl Agent {
    /// Begins to gather candidates; each becomes an event. A second call does nothing, but after a
    /// restart it begins again: what is still good is announced again, the rest is asked for anew.
    pub fn gather(&mut self, now: Instant) {
        if self.gathering != Gathering::Idle || self.check_alive().is_err() {
            return;
        }
        let now = self.clock.advance(now);
        self.gathering = Gathering::Running;
        self.gathering_since = Some(now);
        self.announce_again(now);
        let mut hosts = self.hosts.clone();
        // None is told before those of a lower component (RFC 8838 §17).
        hosts.sort_by_key(|host| host.component.component);
        let offered = hosts.into_iter().filter(|host| self.offers_host(host));
        let bases: alloc::vec::Vec<_> = offered.collect();
        for &host in &bases {
            if !self.local_index.contains_key(&(host.address, host.address)) {
                self.add_host(now, host);
            }
        }
        self.add_tcp_candidates(now);
        let bases: alloc::vec::Vec<_> = bases.iter().map(|host| host.address).collect();
        if self.config.lite {
            self.gathering_ends();
        } else {
            self.gatherer
                .begin(&self.config, &bases, &mut self.entropy, now);
            self.timers
                .set(AgentTimer::Gathering, now + self.config.gathering_limit);
        }
        self.take_up_early(now);
        self.settle(now);
    }

    /// Candidates that a restart has left.
    fn announce_again(&mut self, now: Instant) {
        let mut kept = alloc::vec::Vec::new();
        kept.extend(self.locals.iter().map(|(&at, local)| (at, local.clone())));
        for (at, candidate) in kept {
            self.announce(&candidate);
            self.pair_local(now, at);
        }
    }

    /// Asks the servers from one more base.
    pub(super) fn gather_from(&mut self, now: Instant, base: SocketAddr) {
        if !self.config.lite && self.check_alive().is_ok() {
            self.gatherer
                .begin(&self.config, &[base], &mut self.entropy, now);
        }
    }

    fn gathering_ends(&mut self) {
        self.gathering = Gathering::Complete;
        self.timers.stop(AgentTimer::Gathering);
        if !self.config.continual {
            self.events.push_back(Event::GatheringComplete);
        }
    }

    /// Whether candidates may still be told to the peer (RFC 8838 §13).
    pub(super) fn announces(&self) -> bool {
        self.gathering == Gathering::Running || self.config.continual
    }

    /// Takes in what the clients of servers have to say.
    pub(super) fn drain_gatherer(&mut self, now: Instant) {
        while let Some((at, event)) = self.gatherer.poll_event() {
            match event {
                SourceEvent::Stun(event) => self.on_binding(now, at, event),
                SourceEvent::Turn(event) => self.on_relay(now, at, event),
            }
        }
        if self.gathering != Gathering::Idle && self.check_alive().is_ok() {
            self.gatherer.tend_streams(now);
        }
        if self.gathering == Gathering::Running && self.gatherer.is_complete() {
            match self.port_awaited.filter(|&until| until > now) {
                Some(until) => self.timers.set(AgentTimer::Gathering, until),
                None => self.gathering_ends(),
            }
        }
    }

    /// Gathering has taken as long as it may, or the owner has bound no other port in the time that it
    /// had for it.
    pub(super) fn cut_off_gathering(&mut self, now: Instant) {
        let since = self.gathering_since.unwrap_or(now);
        let limit = since + self.config.gathering_limit;
        if limit > now {
            if !self.gatherer.is_complete() {
                self.timers.set(AgentTimer::Gathering, limit);
            }
            return;
        }
        for at in self.gatherer.cut_off(now) {
            self.tell_failure(at, GatheringError::TooLate);
        }
    }

    /// The owner opened the connection of [`Event::StreamWanted`], from this address of the host.
    ///
    /// From now on its frames are inputs, and transmits have its 5-tuple.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownStream`] if it is not wanted (any more): close it.
    /// [`CommandError::StreamPath`] if it does not come from the local address that was asked for, or
    /// another one has its 5-tuple.
    pub fn stream_opened(
        &mut self,
        now: Instant,
        id: StreamId,
        local: SocketAddr,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        let now = self.clock.now().max(now);
        if id.is_of_peer() {
            return self.connection_opened(now, id, local);
        }
        self.gatherer
            .stream_opened(now, id, local, &mut self.entropy)?;
        self.clock.advance(now);
        self.settle(now);
        Ok(())
    }

    /// The connection of [`Event::StreamWanted`] could not be opened, or is gone; with it goes the
    /// allocation that was made over it. Of a stream that is not wanted (any more) this says nothing.
    pub fn stream_failed(&mut self, now: Instant, id: StreamId) {
        if id.is_of_peer() {
            return self.connection_failed(now, id);
        }
        let Some(at) = self.gatherer.streaming(id) else {
            return;
        };
        let now = self.clock.advance(now);
        if self.gatherer.stream_failed(now, at) {
            self.source_failed(at, GatheringError::Stream);
        }
        self.settle(now);
    }

    fn on_binding(&mut self, now: Instant, at: usize, event: floe_stun::ClientEvent) {
        match event {
            floe_stun::ClientEvent::Mapped { address, .. } => {
                self.gatherer.answered(at);
                self.server_answered(at);
                self.add_reflexive(now, at, address);
            }
            floe_stun::ClientEvent::Failed(error) => {
                self.source_failed(at, GatheringError::Binding(error));
            }
            _ => {}
        }
    }

    fn on_relay(&mut self, now: Instant, at: usize, event: floe_turn::ClientEvent) {
        use floe_turn::ClientEvent;
        match event {
            ClientEvent::Allocated {
                relayed, mapped, ..
            } => {
                self.gatherer.answered(at);
                self.server_answered(at);
                self.add_reflexive(now, at, mapped);
                self.add_relayed(now, at, relayed, mapped);
            }
            ClientEvent::Failed(error) => {
                if error == floe_turn::AllocateError::Mismatch {
                    self.port_awaited = Some(now + PORT_WAIT);
                }
                self.source_failed(at, GatheringError::Allocation(error));
                self.gatherer.withdraw(at);
            }
            ClientEvent::Released => self.gatherer.withdraw(at),
            ClientEvent::PermissionRefused(peer, _) => {
                // One refused peer harms only its own pairs.
                let relayed = self.gatherer.get(at).and_then(Source::relayed);
                self.fail_pairs(now, |pair| {
                    Some(pair.path.local) == relayed && pair.path.remote.ip() == peer
                });
            }
            ClientEvent::Lost(error) => {
                self.gatherer.ended(at);
                self.tell_failure(at, GatheringError::Allocation(error));
                self.gatherer.withdraw(at);
                let base = self.gatherer.get(at).map(|source| source.base);
                self.lose_dead_relays(now);
                if let Some(base) = base.filter(|_| self.config.recovery) {
                    self.gather_from(now, base);
                }
            }
            _ => {}
        }
    }

    /// Relayed candidates whose allocation is gone.
    pub(super) fn lose_dead_relays(&mut self, now: Instant) {
        let relayed = self.locals.values();
        let relayed = relayed.filter(|local| local.kind == CandidateKind::Relayed);
        let addresses: alloc::vec::Vec<_> = relayed.map(|local| local.address).collect();
        for address in addresses {
            if self.gatherer.relay(address).is_none() {
                self.lose_base(now, address, FailureCause::RelayLost);
            }
        }
    }

    /// A datagram came through to the base of this source, and so may those of peers.
    fn server_answered(&mut self, at: usize) {
        let source = self.gatherer.get(at);
        let base = source
            .filter(|it| !it.transport.is_reliable())
            .map(|it| it.base);
        if let Some(base) = base {
            self.vouch_local(base);
        }
    }

    fn source_failed(&mut self, at: usize, cause: GatheringError) {
        self.gatherer.ended(at);
        if self.gathering == Gathering::Running {
            self.tell_failure(at, cause);
        }
    }

    fn tell_failure(&mut self, at: usize, cause: GatheringError) {
        if let Some(source) = self.gatherer.get(at) {
            self.events.push_back(Event::GatheringFailed {
                base: source.base,
                server: source.server,
                transport: source.transport,
                cause,
            });
        }
    }

    /// A server saw this base at `address`. Equal to what is known already, it adds nothing
    /// (RFC 8838 §9).
    fn add_reflexive(&mut self, now: Instant, at: usize, address: SocketAddr) {
        let Some(source) = self.gatherer.get(at) else {
            return;
        };
        // Over a stream the server sees the address of the stream.
        if source.transport.is_reliable() {
            return;
        }
        let (base, server) = (source.base, source.server);
        let known = self.local_index.contains_key(&(address, base));
        let Some(component) = self.bases.get(&base).map(|base| base.component) else {
            return;
        };
        // A NAT64 would map to another family; such a candidate has no base of its own family.
        if known || address.is_ipv4() != base.is_ipv4() || !self.announces() {
            return;
        }
        let kind = CandidateKind::ServerReflexive;
        let foundation = self
            .foundations
            .of(kind, Transport::Udp, base.ip(), Some(server.ip()));
        let candidate = Candidate {
            kind,
            address,
            base,
            foundation,
            related: Some(base),
            ..self.reached_from(base, component, kind, at)
        };
        self.add_local(now, candidate);
    }

    /// What candidates that a server gave have in common with the host candidate it was asked from.
    fn reached_from(
        &self,
        base: SocketAddr,
        component: usize,
        kind: CandidateKind,
        rank: usize,
    ) -> Candidate {
        let id = self.components[component].id;
        let host = self.hosts.iter().find(|host| host.address == base);
        let preference = preference_of(rank);
        Candidate {
            component: id,
            kind,
            transport: Transport::Udp,
            tcp_type: None,
            address: base,
            base,
            priority: candidate_priority(kind, preference, id.component),
            foundation: alloc::string::String::new(),
            related: None,
            network: host.map(|host| host.network).unwrap_or_default(),
        }
    }

    fn add_relayed(&mut self, now: Instant, at: usize, relayed: SocketAddr, mapped: SocketAddr) {
        let Some(source) = self.gatherer.get(at) else {
            return;
        };
        let (base, server, transport) = (source.base, source.server, source.transport);
        // A relayed candidate equal to a host candidate is of no use (RFC 8445 §5.1.1.2).
        let known = self.bases.contains_key(&relayed);
        let Some(component) = self.bases.get(&base).map(|base| base.component) else {
            return;
        };
        if known || !(self.announces() || self.config.recovery) {
            return;
        }
        let kind = CandidateKind::Relayed;
        let rank = self.gatherer.rank(at);
        let foundation = self
            .foundations
            .of(kind, transport, relayed.ip(), Some(server.ip()));
        let candidate = Candidate {
            address: relayed,
            base: relayed,
            foundation,
            related: Some(mapped),
            ..self.reached_from(base, component, kind, rank)
        };
        let place = self.place_of(component, kind);
        self.add_base(relayed, component, preference_of(rank), place);
        self.add_local(now, candidate);
    }

    /// Announces and pairs a candidate of this side.
    pub(super) fn add_local(&mut self, now: Instant, mut candidate: Candidate) -> usize {
        candidate.priority = self.config.tcp.rank(&candidate);
        if self.announces() {
            self.announce(&candidate);
        }
        let is_base = candidate.is_base();
        let relayed = candidate.kind == CandidateKind::Relayed;
        let component = self.component_at(candidate.component);
        let at = self.push_local(candidate);
        // With the relay policy all others stay secret.
        if is_base && (relayed || self.config.policy != Policy::Relay) {
            if let Some(component) = component {
                self.components[component].bases.push(at);
            }
            self.pair_local(now, at);
        }
        at
    }

    pub(super) fn push_local(&mut self, candidate: Candidate) -> usize {
        let at = self.next_local;
        self.next_local += 1;
        if candidate.tcp_type.is_none() {
            self.local_index
                .insert((candidate.address, candidate.base), at);
        }
        self.locals.insert(at, candidate);
        at
    }

    /// Tells the owner of a candidate to be signalled. What the policy keeps secret is told neither as
    /// a candidate nor as a related address (RFC 9429 §3.5.3, RFC 8839 §9.1).
    fn announce(&mut self, candidate: &Candidate) {
        let told = match self.config.policy {
            Policy::All => true,
            Policy::Relay => candidate.kind == CandidateKind::Relayed,
            Policy::NoHost => candidate.kind != CandidateKind::Host,
        };
        if !told {
            return;
        }
        let mut announced = candidate.clone();
        let reveals = match self.config.policy {
            Policy::All => true,
            Policy::Relay => false,
            Policy::NoHost => candidate.kind == CandidateKind::Relayed,
        };
        if !reveals {
            announced.related = None;
        }
        self.events.push_back(Event::LocalCandidate(announced));
    }
}

/// Sources are ordered: each has a preference of its own (RFC 8445 §5.1.2.1).
fn preference_of(rank: usize) -> u16 {
    u16::MAX - u16::try_from(rank).unwrap_or(u16::MAX)
}

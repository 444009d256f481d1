//! Local candidates: gathered, named, announced and paired.

use alloc::vec::Vec;
use core::net::SocketAddr;

use floe_sansio::{Instant, Transport};
use floe_turn::AllocateError;

use super::{Agent, AgentTimer, Base, CommandError, Gathering};
use crate::address::LocalAddress;
use crate::candidate::{Candidate, CandidateKind, candidate_priority};
use crate::config::Policy;
use crate::event::{Event, FailureCause, GatheringError};
use crate::gatherer::{Gone, Origin, Source, SourceEvent, SourceId, StreamId};
use crate::preference;

impl Agent {
    /// Begins to gather candidates; each becomes an event. A second call does nothing, but after a
    /// restart it begins again: what is still good is announced again, the rest is asked for anew.
    ///
    /// It needs nothing from the peer. An agent that has gathered before its session begins is a pool
    /// of candidates (RFC 9429 §3.5.4): it keeps its bindings and allocations alive until then.
    pub fn gather(&mut self, now: Instant) {
        if self.gathering != Gathering::Idle || self.check_alive().is_err() {
            return;
        }
        let now = self.clock.advance(now);
        self.gathering = Gathering::Running;
        self.gathering_since = Some(now);
        let hosts = self.offered_hosts();
        self.prefer_anew(&hosts);
        self.announce_again(now);
        for &(host, place) in &hosts {
            if self.local_at(host.address, host.address, None).is_none() {
                self.add_host(now, host, place);
            }
        }
        self.add_tcp_candidates(now);
        if self.config.lite {
            self.gathering_ends();
        } else {
            let hosts: Vec<_> = hosts.iter().map(|&(host, _)| host).collect();
            self.gather_from(now, &hosts);
            self.timers
                .set(AgentTimer::Gathering, now + self.config.gathering_limit);
        }
        self.take_up_early(now);
        self.settle(now);
    }

    /// Candidates that a restart has left.
    fn announce_again(&mut self, now: Instant) {
        let mut kept = Vec::new();
        kept.extend(self.locals.iter().map(|(&at, local)| (at, local.clone())));
        for (at, candidate) in kept {
            self.announce(&candidate);
            self.pair_local(now, at);
        }
    }

    /// Asks the servers from these addresses. What they allocated between a restart and now is taken in.
    pub(super) fn gather_from(&mut self, now: Instant, hosts: &[LocalAddress]) {
        if self.config.lite || self.check_alive().is_err() {
            return;
        }
        let origins: Vec<_> = hosts.iter().map(|host| self.origin_of(host)).collect();
        self.gatherer.begin(&self.config, &origins, self.pacing);
        let allocated = self.gatherer.allocated();
        let relays: Vec<_> = allocated
            .filter_map(|(at, source)| Some((at, source.relayed()?, source.mapped()?)))
            .collect();
        for (at, relayed, mapped) in relays {
            self.add_relayed(now, at, relayed, mapped);
        }
    }

    /// Where IPv4 has no address of its own, servers with IPv4 alone are reached through a NAT64.
    fn origin_of(&self, host: &LocalAddress) -> Origin {
        let has_v4 = self.hosts.iter().any(|other| {
            other.address.is_ipv4()
                && other.network.id == host.network.id
                && other.component == host.component
        });
        Origin {
            address: host.address,
            nat64: self.config.nat64_prefix.filter(|_| !has_v4),
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
        if self.check_alive().is_ok() {
            self.gatherer.run_races(&self.config, now);
        }
        if self.gathering == Gathering::Running && self.gatherer.is_complete() {
            self.gathering_ends();
        }
    }

    /// Gathering has taken as long as it may, or the owner has bound no other port in the time that it
    /// had for it.
    pub(super) fn cut_off_gathering(&mut self, now: Instant) {
        let since = self.gathering_since.unwrap_or(now);
        let most = if self.gatherer.hangs_on_stream() {
            self.config.gathering_limit.saturating_mul(2)
        } else {
            self.config.gathering_limit
        };
        let limit = since + most;
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

    /// The owner opened the connection of [`Event::StreamWanted`], or bound the port, at this address
    /// of the host.
    ///
    /// From now on its frames, or datagrams, are inputs, and transmits have its 5-tuple.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownStream`] if it is not wanted (any more): close it.
    /// [`CommandError::StreamPath`] if it does not come from the local address that was asked for, or
    /// another one has its 5-tuple, or it is a port that the agent has already.
    pub fn stream_opened(
        &mut self,
        now: Instant,
        id: StreamId,
        local: SocketAddr,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        if id.is_of_peer() {
            return self.connection_opened(now, id, local);
        }
        if self.gatherer.wants_port(id) && self.is_host(local) {
            return Err(CommandError::StreamPath);
        }
        self.gatherer.socket_opened(id, local)?;
        let now = self.clock.advance(now);
        self.settle(now);
        Ok(())
    }

    /// What [`Event::StreamWanted`] asked for could not be had, or is gone; with it goes the
    /// allocation that was made over it. Of what is not wanted (any more) this says nothing.
    pub fn stream_failed(&mut self, now: Instant, id: StreamId) {
        if id.is_of_peer() {
            return self.connection_failed(now, id);
        }
        let Some(at) = self.gatherer.source_of(id) else {
            return;
        };
        let now = self.clock.advance(now);
        match self.gatherer.socket_failed(now, at) {
            Gone::Nothing => {}
            Gone::Answer => self.source_failed(at, GatheringError::Stream),
            Gone::Relay => self.relay_lost(now, at, GatheringError::Stream),
        }
        self.settle(now);
    }

    fn on_binding(&mut self, now: Instant, at: SourceId, event: floe_stun::ClientEvent) {
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

    fn on_relay(&mut self, now: Instant, at: SourceId, event: floe_turn::ClientEvent) {
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
            ClientEvent::Failed(AllocateError::Mismatch)
                if self.gatherer.take_fresh_port(at).is_ok() => {}
            ClientEvent::Failed(error) => {
                if lacks_resources(error) {
                    self.gatherer.ask_binding_instead(&self.config, at);
                }
                self.source_failed(at, GatheringError::Allocation(error));
            }
            ClientEvent::Released => {
                self.gatherer.ended(at);
            }
            ClientEvent::PermissionRefused(peer, _) => {
                // One refused peer harms only its own pairs.
                let relayed = self.gatherer.get(at).and_then(Source::relayed);
                if let Some(relayed) = relayed.filter(|relayed| relayed.ip() == peer) {
                    self.set_alone(relayed);
                }
                self.fail_pairs(now, |pair| {
                    Some(pair.path.local) == relayed && pair.path.remote.ip() == peer
                });
            }
            ClientEvent::Lost(error) => {
                self.relay_lost(now, at, GatheringError::Allocation(error));
            }
            _ => {}
        }
    }

    /// An allocation is gone. Where the session can go on, another one is asked for.
    fn relay_lost(&mut self, now: Instant, at: SourceId, cause: GatheringError) {
        self.gatherer.ended(at);
        self.tell_failure(at, cause);
        self.lose_dead_relays(now);
        if self.config.recovery && self.check_alive().is_ok() {
            self.gatherer.race_again(at, now);
        }
    }

    /// Relayed candidates whose allocation is gone.
    pub(super) fn lose_dead_relays(&mut self, now: Instant) {
        let relayed = self.locals.values();
        let relayed = relayed.filter(|local| local.kind == CandidateKind::Relayed);
        let addresses: Vec<_> = relayed.map(|local| local.address).collect();
        for address in addresses {
            if self.gatherer.relay(address).is_none() {
                self.lose_base(now, address, FailureCause::RelayLost);
            }
        }
    }

    /// A datagram came through to the base of this source, and so may those of peers.
    fn server_answered(&mut self, at: SourceId) {
        let source = self.gatherer.get(at);
        let base = source
            .filter(|it| !it.transport.is_reliable())
            .map(|it| it.base);
        if let Some(base) = base {
            self.vouch_local(base);
        }
    }

    fn source_failed(&mut self, at: SourceId, cause: GatheringError) {
        if self.gatherer.ended(at) && self.gathering == Gathering::Running {
            self.tell_failure(at, cause);
        }
    }

    fn tell_failure(&mut self, at: SourceId, cause: GatheringError) {
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
    fn add_reflexive(&mut self, now: Instant, at: SourceId, address: SocketAddr) {
        // Over a stream, or from another port, the server sees no base of ours.
        let Some(source) = self.gatherer.get(at).filter(|source| source.shows_base()) else {
            return;
        };
        let (base, server) = (source.base, source.server);
        let known = self.local_at(address, base, None).is_some();
        let Some(&Base {
            component, place, ..
        }) = self.bases.get(&base)
        else {
            return;
        };
        // A NAT64 maps to IPv4; any other change of family is not to be believed.
        let is_foreign = address.is_ipv4() != base.is_ipv4();
        let through_nat64 = base.is_ipv6() && self.config.nat64_prefix.is_some();
        if known || (is_foreign && !through_nat64) || !self.announces() {
            return;
        }
        let kind = CandidateKind::ServerReflexive;
        let before = self.locals.values();
        let before = before.filter(|local| local.base == base && local.kind == kind);
        let preference = preference::of_reflexive(place, before.count());
        let foundation = self
            .foundations
            .of(kind, Transport::Udp, base.ip(), Some(server.ip()));
        let candidate = Candidate {
            kind,
            address,
            base,
            foundation,
            related: Some(base),
            ..self.reached_from(base, component, kind, preference)
        };
        self.add_local(now, candidate);
    }

    /// What candidates that a server gave have in common with the host candidate it was asked from.
    fn reached_from(
        &self,
        base: SocketAddr,
        component: usize,
        kind: CandidateKind,
        preference: u16,
    ) -> Candidate {
        let id = self.components[component].id;
        let host = self.hosts.iter().find(|host| host.address == base);
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

    fn add_relayed(&mut self, now: Instant, at: SourceId, relayed: SocketAddr, mapped: SocketAddr) {
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
        let preference = self.relay_preference(at);
        let foundation = self
            .foundations
            .of(kind, transport, relayed.ip(), Some(server.ip()));
        let candidate = Candidate {
            address: relayed,
            base: relayed,
            foundation,
            related: Some(mapped),
            ..self.reached_from(base, component, kind, preference)
        };
        let place = self.place_of(component, kind);
        self.add_base(relayed, component, preference, place);
        self.expect_neighbour(now, relayed);
        self.add_local(now, candidate);
        self.expect_relays(component, transport.is_reliable());
    }

    /// The local preference of what a TURN server lends.
    pub(super) fn relay_preference(&self, at: SourceId) -> u16 {
        let base = self.gatherer.get(at).map(|source| source.base);
        let base = base.and_then(|base| self.bases.get(&base));
        let (over_stream, rank) = self.gatherer.rank(at);
        preference::of_relay(over_stream, base.map_or(u16::MAX, |base| base.place), rank)
    }

    /// Announces and pairs a candidate of this side.
    pub(super) fn add_local(&mut self, now: Instant, mut candidate: Candidate) -> u32 {
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

    pub(super) fn push_local(&mut self, candidate: Candidate) -> u32 {
        let at = self.next_local;
        self.next_local = at.saturating_add(1);
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

/// Whether a server could not allocate although it would: 486 or 508.
fn lacks_resources(error: AllocateError) -> bool {
    matches!(error, AllocateError::Rejected(code) if matches!(code.number(), 486 | 508))
}

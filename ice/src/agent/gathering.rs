//! Local candidates: gathered, named, announced and paired.

use alloc::collections::BTreeSet;
use core::net::SocketAddr;

use floe_sansio::{Instant, Transport};

use super::{Agent, AgentTimer, CommandError, Gathering, State};
use crate::candidate::{Candidate, CandidateKind, candidate_priority};
use crate::config::Policy;
use crate::event::{Event, FailureCause, GatheringError};
use crate::gatherer::{Gatherer, Source, SourceEvent, StreamId};

impl Agent {
    /// Begins to gather candidates; each becomes an event. A second call does nothing.
    pub fn gather(&mut self, now: Instant) {
        if self.gathering != Gathering::Idle || self.check_alive().is_err() {
            return;
        }
        let now = self.clock.advance(now);
        self.gathering = Gathering::Running;
        self.gathering_since = Some(now);
        let loopback = self.config.loopback;
        let mut bases = self.config.addresses.clone();
        bases.retain(|&address| Candidate::is_host_address(address, loopback));
        // An address named twice is one candidate (RFC 8838 §9).
        let mut seen = BTreeSet::new();
        bases.retain(|&address| seen.insert(address));
        self.gatherer = Gatherer::new(&self.config, &bases, &mut self.entropy, now);
        for (at, &base) in bases.iter().enumerate() {
            let foundation =
                self.foundations
                    .of(CandidateKind::Host, Transport::Udp, base.ip(), None);
            self.add_local(
                now,
                Candidate {
                    kind: CandidateKind::Host,
                    transport: Transport::Udp,
                    address: base,
                    base,
                    priority: candidate_priority(CandidateKind::Host, local_preference(at)),
                    foundation,
                    related: None,
                },
            );
        }
        self.timers
            .set(AgentTimer::Gathering, now + self.config.gathering_limit);
        self.settle(now);
    }

    /// Takes in what the clients of servers have to say.
    pub(super) fn drain_gatherer(&mut self, now: Instant) {
        while let Some((at, event)) = self.gatherer.poll_event() {
            match event {
                SourceEvent::Stun(event) => self.on_binding(now, at, event),
                SourceEvent::Turn(event) => self.on_relay(now, at, event),
            }
        }
        if self.gathering == Gathering::Running {
            self.gatherer.tend_streams(now);
        }
        if self.gathering == Gathering::Running && self.gatherer.is_complete() {
            self.gathering = Gathering::Complete;
            self.timers.stop(AgentTimer::Gathering);
            self.events.push_back(Event::GatheringComplete);
        }
    }

    pub(super) fn cut_off_gathering(&mut self, now: Instant) {
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
        self.gatherer
            .stream_opened(now, id, local, &mut self.entropy)?;
        self.clock.advance(now);
        self.settle(now);
        Ok(())
    }

    /// The connection of [`Event::StreamWanted`] could not be opened, or is gone; with it goes the
    /// allocation that was made over it. Of a stream that is not wanted (any more) this says nothing.
    pub fn stream_failed(&mut self, now: Instant, id: StreamId) {
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
                self.add_reflexive(now, at, mapped);
                self.add_relayed(now, at, relayed, mapped);
            }
            ClientEvent::Failed(error) => {
                self.source_failed(at, GatheringError::Allocation(error));
                self.gatherer.withdraw(at);
            }
            ClientEvent::Released => self.gatherer.withdraw(at),
            ClientEvent::PermissionRefused(peer, _) => {
                // One refused peer harms only its own pairs.
                let relayed = self.gatherer.get(at).and_then(Source::relayed);
                self.fail_pairs(now, |pair| {
                    Some(pair.base) == relayed && pair.address.ip() == peer
                });
            }
            ClientEvent::Lost(error) => {
                self.gatherer.ended(at);
                self.tell_failure(at, GatheringError::Allocation(error));
                self.gatherer.withdraw(at);
                let relayed: alloc::vec::Vec<SocketAddr> = self
                    .locals
                    .iter()
                    .filter(|local| local.kind == CandidateKind::Relayed)
                    .map(|local| local.address)
                    .filter(|&address| self.gatherer.relay(address).is_none())
                    .collect();
                let active = self.active.and_then(|id| self.checks.get(id));
                let cut = active.is_some_and(|pair| relayed.contains(&pair.base));
                if cut && self.state == State::Completed {
                    self.fail(now, FailureCause::RelayLost);
                } else {
                    self.fail_pairs(now, |pair| relayed.contains(&pair.base));
                }
            }
            _ => {}
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
        let known = self
            .locals
            .iter()
            .any(|local| local.address == address && local.base == base);
        // A NAT64 would map to another family; such a candidate has no base of its own family.
        if known || address.is_ipv4() != base.is_ipv4() || self.gathering != Gathering::Running {
            return;
        }
        let kind = CandidateKind::ServerReflexive;
        let foundation = self
            .foundations
            .of(kind, Transport::Udp, base.ip(), Some(server.ip()));
        self.add_local(
            now,
            Candidate {
                kind,
                transport: Transport::Udp,
                address,
                base,
                // Sources are ordered: each has a preference of its own (RFC 8445 §5.1.2.1).
                priority: candidate_priority(kind, local_preference(at)),
                foundation,
                related: Some(base),
            },
        );
    }

    fn add_relayed(&mut self, now: Instant, at: usize, relayed: SocketAddr, mapped: SocketAddr) {
        let Some(source) = self.gatherer.get(at) else {
            return;
        };
        let (server, transport) = (source.server, source.transport);
        // A relayed candidate equal to a host candidate is of no use (RFC 8445 §5.1.1.2).
        let known = self.locals.iter().any(|local| local.address == relayed);
        if known || self.gathering != Gathering::Running {
            return;
        }
        let kind = CandidateKind::Relayed;
        let foundation = self
            .foundations
            .of(kind, transport, relayed.ip(), Some(server.ip()));
        self.add_local(
            now,
            Candidate {
                kind,
                transport: Transport::Udp,
                address: relayed,
                base: relayed,
                priority: candidate_priority(kind, local_preference(self.gatherer.rank(at))),
                foundation,
                related: Some(mapped),
            },
        );
    }

    /// Announces and pairs a candidate of this side. With the relay policy the others stay secret,
    /// also as related addresses (RFC 9429 §3.5.3).
    fn add_local(&mut self, now: Instant, candidate: Candidate) {
        let relayed = candidate.kind == CandidateKind::Relayed;
        let mut announced = candidate.clone();
        let secret = self.config.policy == Policy::Relay;
        if secret {
            announced.related = None;
        }
        if relayed || !secret {
            self.events.push_back(Event::LocalCandidate(announced));
        }
        let is_base = candidate.address == candidate.base;
        self.locals.push(candidate);
        if is_base && (relayed || !secret) {
            self.pair_local(now, self.locals.len() - 1);
        }
    }

    /// The local preference of the candidate that is its own base.
    pub(super) fn preference_of(&self, base: SocketAddr) -> u16 {
        self.locals
            .iter()
            .find(|local| local.address == base && local.base == base)
            .map_or(0, |local| (local.priority >> 8) as u16)
    }

    /// Three seconds after completion, what was not selected is given back (RFC 8445 §8.3.1).
    pub(super) fn release_unselected(&mut self, now: Instant) {
        let kept = self
            .active
            .and_then(|id| self.checks.get(id))
            .map(|pair| pair.base);
        for relay in self.gatherer.relays() {
            if relay.relayed().is_some() && relay.relayed() != kept {
                let _ = relay.release(now);
            }
        }
    }
}

/// Of the address in place `at`: 65535 for the first.
fn local_preference(at: usize) -> u16 {
    u16::MAX - u16::try_from(at).unwrap_or(u16::MAX)
}

//! The addresses of this host: they come, go, and make host candidates.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use floe_sansio::{FiveTuple, Instant, Transport};

use super::{Agent, Base, CommandError, Gathering};
use crate::address::LocalAddress;
use crate::candidate::{Candidate, CandidateKind, candidate_priority};
use crate::component::ComponentId;
use crate::event::FailureCause;
use crate::preference::{self, MAX_PLACES};
use crate::tcp::TcpType;

impl Agent {
    /// Takes an address that the driver has bound, for any component.
    ///
    /// Before [`Self::gather`] it is one of those that gathering begins with. They are preferred as
    /// RFC 8421 advises: reliable networks first, then those of low cost; IPv6 and IPv4 take turns, IPv6
    /// with a head start; and those named first. Later, an interface has
    /// come up: its candidate is paired at once, servers are asked from it, and what is found is
    /// signalled unless gathering has ended; the peer then learns of it from the checks. It is less
    /// preferred than those of before, until a restart. See
    /// [`Config::continual`](crate::Config::continual) for gathering that does not end.
    ///
    /// An address that is held already changes nothing.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownComponent`] if the component's number is not allowed, or its stream was
    /// removed;
    /// [`CommandError::Capacity`] if there are too many; [`CommandError::Ended`] after
    /// [`Self::close`].
    pub fn add_address(&mut self, now: Instant, address: LocalAddress) -> Result<(), CommandError> {
        if self.state == super::State::Closed {
            return Err(CommandError::Ended);
        }
        if !address.component.is_valid() {
            return Err(CommandError::UnknownComponent);
        }
        let listening = address.transport.is_reliable();
        let held = if listening {
            &self.listeners
        } else {
            &self.hosts
        };
        if held.iter().any(|known| known.address == address.address) {
            return Ok(());
        }
        let stream = self.stream_at(address.component.stream);
        if stream.is_some() && self.live_stream_at(address.component.stream).is_none() {
            return Err(CommandError::UnknownComponent);
        }
        if !self.hold(address) {
            return Err(CommandError::Capacity);
        }
        let now = self.clock.advance(now);
        if self.gathering != Gathering::Idle && self.check_alive().is_ok() {
            if self.takes_late(address.component) {
                self.add_tcp_candidates(now);
            }
            let place = self.component_at(address.component);
            let place = place.and_then(|component| self.next_place(component));
            let wanted =
                !listening && self.offers_host(&address) && self.takes_late(address.component);
            if let Some(place) = place.filter(|_| wanted) {
                self.add_host(now, address, place);
                self.gather_from(now, &[address]);
                self.take_up_early(now);
            }
            self.settle(now);
        }
        Ok(())
    }

    /// An address is gone, with its interface: so are its candidates, and pairs over them fail. Where
    /// one of them carried data, another that works takes its place.
    pub fn remove_address(&mut self, now: Instant, address: SocketAddr) {
        let now = self.clock.advance(now);
        let before = self.hosts.len();
        self.hosts.retain(|known| known.address != address);
        self.lose_tcp_address(now, address);
        if self.hosts.len() == before {
            return self.settle(now);
        }
        self.gatherer.remove_base(address);
        self.lose_base(now, address, FailureCause::PathLost);
        // Relays that were reached from it are gone too.
        self.lose_dead_relays(now);
        self.settle(now);
    }

    /// The addresses of a stream that was removed are of no use until it is taken up again.
    pub(super) fn leave_addresses(&mut self, now: Instant, stream: u16) {
        for host in &self.hosts {
            if host.component.stream == stream {
                self.gatherer.leave_base(now, host.address);
            }
        }
        let mut bases = Vec::new();
        let locals = self.locals.values();
        bases.extend(
            locals
                .filter(|local| local.component.stream == stream && local.tcp_type.is_none())
                .map(|local| local.base),
        );
        for base in bases {
            self.lose_base(now, base, FailureCause::PathLost);
        }
        self.keep_locals(|_, local| local.component.stream != stream);
    }

    /// Keeps an address; `false` if there is no room for it or its component.
    pub(super) fn hold(&mut self, address: LocalAddress) -> bool {
        let listening = address.transport.is_reliable();
        let held = if listening {
            &self.listeners
        } else {
            &self.hosts
        };
        let of_component = |host: &&LocalAddress| host.component == address.component;
        let room = held.iter().filter(of_component).count() < MAX_PLACES
            && self.reach_component(address.component).is_some();
        if room && listening {
            self.listeners.push(address);
        } else if room {
            self.hosts.push(address);
        }
        room
    }

    pub(super) fn is_host(&self, address: SocketAddr) -> bool {
        let mut hosts = self.hosts.iter();
        let host = hosts.find(|host| host.address == address);
        host.is_some_and(|host| self.live_stream_at(host.component.stream).is_some())
    }

    /// Whether an address becomes a host candidate (RFC 8445 §5.1.1.1).
    pub(super) fn offers_host(&self, address: &LocalAddress) -> bool {
        self.is_usable(address)
            && !self.gives_away(address)
            && self.live_stream_at(address.component.stream).is_some()
    }

    fn is_usable(&self, address: &LocalAddress) -> bool {
        Candidate::is_host_address(address.address, self.config.loopback) && !address.deprecated
    }

    /// Whether an address that has come after the beginning makes candidates still. To the letter of
    /// RFC 8838 §10 none is paired that is not told, and none is told after the end of gathering: such an
    /// address waits for the next restart.
    fn takes_late(&self, component: ComponentId) -> bool {
        let stream = self.stream_at(component.stream);
        let stream = stream.map(|at| &self.streams[at]);
        let begun = stream.is_none_or(|it| it.remote.is_some());
        self.config.recovery || self.announces() || !begun
    }

    /// Whether an address would tell who hides behind a temporary one: another of the same interface
    /// and prefix, or any that is link-local (RFC 8445 §5.1.1.1).
    fn gives_away(&self, address: &LocalAddress) -> bool {
        let IpAddr::V6(ip) = address.address.ip() else {
            return false;
        };
        let mut temporary = (self.hosts.iter())
            .filter(|host| host.temporary && self.is_usable(host))
            .filter_map(|host| match host.address.ip() {
                IpAddr::V6(hidden) => Some((host.network.id, hidden)),
                IpAddr::V4(_) => None,
            });
        !address.temporary
            && temporary.any(|(network, hidden)| {
                let alike = hidden.segments()[..4] == ip.segments()[..4];
                ip.is_unicast_link_local() || (alike && network == address.network.id)
            })
    }

    /// The addresses that become host candidates, best first, each with its place among those of its
    /// component.
    pub(super) fn offered_hosts(&self) -> Vec<(LocalAddress, u16)> {
        let mut offered = Vec::new();
        for component in &self.components {
            let hosts: Vec<_> = (self.hosts.iter().copied())
                .filter(|host| host.component == component.id && self.offers_host(host))
                .collect();
            // A lite agent has preferences of its own.
            let order = if self.config.lite {
                (0..hosts.len()).collect()
            } else {
                preference::order(&hosts)
            };
            offered.extend((0..).zip(order).map(|(place, at)| (hosts[at], place)));
        }
        // None is told before those of a lower component (RFC 8838 §17).
        offered.sort_by_key(|(host, _)| host.component.component);
        offered
    }

    /// Gives candidates that a restart has left the preferences that they would have if they were found
    /// now.
    pub(super) fn prefer_anew(&mut self, hosts: &[(LocalAddress, u16)]) {
        if self.config.lite {
            return;
        }
        for &(host, place) in hosts {
            if let Some(base) = self.bases.get_mut(&host.address) {
                (base.place, base.preference) = (place, preference::of_host(place));
            }
        }
        let relays: Vec<_> = (self.gatherer.allocated())
            .filter_map(|(at, source)| Some((source.relayed()?, self.relay_preference(at))))
            .collect();
        for (relayed, preference) in relays {
            if let Some(base) = self.bases.get_mut(&relayed) {
                base.preference = preference;
            }
        }
        let udp = self.locals.values_mut().filter(|it| it.tcp_type.is_none());
        for local in udp {
            if let Some(base) = self.bases.get(&local.base) {
                let (transport, component) = (local.transport, local.component.component);
                local.priority =
                    (self.config.tcp).priority(local.kind, transport, base.preference, component);
            }
        }
    }

    /// The place of an address that comes later: behind all others.
    fn next_place(&self, component: usize) -> Option<u16> {
        let taken: BTreeSet<_> = (self.bases.iter())
            .filter(|(address, base)| base.component == component && self.is_host(**address))
            .map(|(_, base)| base.place)
            .collect();
        let places = 0..MAX_PLACES as u16;
        let behind = taken.last().map_or(0, |last| last + 1);
        let mut free = places.clone().filter(|place| !taken.contains(place));
        Some(behind)
            .filter(|place| places.contains(place))
            .or_else(|| free.next())
    }

    /// A host candidate, announced and paired.
    pub(super) fn add_host(&mut self, now: Instant, address: LocalAddress, place: u16) {
        let Some(component) = self.component_at(address.component) else {
            return;
        };
        if self.has_lite_host(&address) {
            return;
        }
        let kind = CandidateKind::Host;
        let preference = if self.config.lite {
            self.lite_preference(&address)
        } else {
            preference::of_host(place)
        };
        let base = address.address;
        let foundation = self.foundations.of(kind, Transport::Udp, base.ip(), None);
        self.add_base(base, component, preference, place);
        self.add_local(
            now,
            Candidate {
                component: address.component,
                kind,
                transport: Transport::Udp,
                tcp_type: None,
                address: base,
                base,
                priority: candidate_priority(kind, preference, address.component.component),
                foundation,
                related: None,
                network: address.network,
            },
        );
    }

    pub(super) fn add_base(
        &mut self,
        address: SocketAddr,
        component: usize,
        preference: u16,
        place: u16,
    ) {
        let base = Base {
            component,
            preference,
            place,
            vouched: false,
            alone: false,
        };
        self.bases.insert(address, base);
    }

    /// How many candidates of this kind a component has: the place of the next one.
    pub(super) fn place_of(&self, component: usize, kind: CandidateKind) -> u16 {
        let id = self.components[component].id;
        let before = self.locals.values();
        let before = before.filter(|local| {
            local.component == id && local.kind == kind && local.tcp_type.is_none()
        });
        u16::try_from(before.count()).unwrap_or(u16::MAX)
    }

    /// What left from this base is no candidate any more.
    pub(super) fn lose_base(&mut self, now: Instant, base: SocketAddr, cause: FailureCause) {
        self.bases.remove(&base);
        let leaves = |path: FiveTuple| !path.transport.is_reliable() && path.local == base;
        self.proven.retain(|&path| !leaves(path));
        let pairs = self.checks.ids(|pair| leaves(pair.path));
        for &id in &pairs {
            // Not a place to go back to.
            self.checks.update(id, |pair| {
                pair.spent = true;
                pair.valid = None;
            });
        }
        for at in 0..self.components.len() {
            let active = self.components[at].active.as_ref();
            if active.is_some_and(|active| leaves(active.path)) {
                self.path_lost(now, at, cause);
            }
        }
        for id in pairs {
            self.fail_pair(now, id);
            self.checks.remove(id);
        }
        self.keep_locals(|_, local| local.tcp_type.is_some() || local.base != base);
        self.reconsider_all(now);
    }

    /// Forgets local candidates that no pair is made of any more.
    pub(super) fn keep_locals(&mut self, keep: impl Fn(u32, &Candidate) -> bool) {
        self.locals.retain(|&at, local| keep(at, local));
        let locals = &self.locals;
        for component in &mut self.components {
            component.bases.retain(|at| locals.contains_key(at));
        }
    }

    /// Of a generation that is over, host candidates and relays that live are left.
    pub(super) fn keep_bases(&mut self) {
        let bases = &self.bases;
        let mut kept = BTreeSet::new();
        kept.extend(bases.keys().copied());
        self.keep_locals(|_, local| match local.tcp_type {
            None => local.address == local.base && kept.contains(&local.base),
            Some(TcpType::Active | TcpType::Passive) => local.kind == CandidateKind::Host,
            Some(TcpType::SimultaneousOpen) => false,
        });
    }
}

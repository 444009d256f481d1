//! The lite role: an agent that everybody reaches, which checks nothing (RFC 8445 §2.5).

use core::net::{IpAddr, SocketAddr};

use floe_sansio::{FiveTuple, Instant};

use super::component::Outcome;
use super::{Agent, AgentTimer, CommandError, Gathering, State};
use crate::address::LocalAddress;
use crate::candidate::CandidateKind;
use crate::check_list::PairId;
use crate::component::ComponentId;
use crate::event::{Event, FailureCause};
use crate::role::Role;

impl Agent {
    /// Makes this agent a lite or a full one from now on. That is possible until the peer's parameters
    /// are known, and so once more after each [`Self::restart`] (RFC 8445 §9). Where a full agent
    /// becomes lite and its peer is full, the peer controls from then on (§6.1.1).
    ///
    /// Before [`Self::gather`]: a lite agent has host candidates only, and gives its relays back.
    ///
    /// # Errors
    ///
    /// [`CommandError::CredentialsSet`] if it is too late; [`CommandError::Ended`] if the agent has
    /// failed or was closed.
    pub fn set_lite(&mut self, now: Instant, lite: bool) -> Result<(), CommandError> {
        self.check_alive()?;
        if self.state != State::New || self.gathering != Gathering::Idle {
            return Err(CommandError::CredentialsSet);
        }
        let now = self.clock.advance(now);
        self.config.lite = lite;
        for active in self
            .components
            .iter_mut()
            .filter_map(|it| it.active.as_mut())
        {
            // Who asked for no consent begins to.
            active.answered = now;
        }
        if lite {
            for relayed in self.gatherer.release_all_but(now, &[]) {
                self.lose_base(now, relayed, FailureCause::RelayLost);
            }
        }
        self.settle(now);
        Ok(())
    }

    /// Whether neither side of a stream sends checks.
    fn is_lite_on_both_sides(&self, stream: usize) -> bool {
        let remote = self.streams[stream].remote.as_ref();
        self.config.lite && remote.is_some_and(|remote| remote.parameters.lite)
    }

    /// A lite agent accepts what the peer nominates (RFC 8445 §7.3.2); `false` if there is no room for
    /// the pair.
    pub(super) fn select_lite(
        &mut self,
        now: Instant,
        component: usize,
        path: FiveTuple,
        priority: u32,
        counter: Option<u32>,
    ) -> bool {
        let existing = self.checks.find(path);
        let pair = existing.or_else(|| self.pair_unknown(now, component, path, priority, true));
        let Some(id) = pair else {
            return false;
        };
        self.make_valid(now, id);
        self.select(now, id, counter);
        true
    }

    /// A lite agent hears of the path by the peer's checks alone.
    pub(super) fn heard_on(&mut self, now: Instant, path: FiveTuple) {
        if !self.config.lite {
            return;
        }
        let base = self.base_of(path);
        let active = base.and_then(|base| self.components[base.component].active.as_mut());
        if let Some(active) = active.filter(|it| it.path == path) {
            active.answered = now;
            // The answer keeps the path open as well as a keepalive does.
            active.ask = now + self.config.keepalive();
        }
    }

    /// Between lite agents nothing is checked: once all candidates are there, a component that has one
    /// pair only takes it. Where there is a choice, the one by RFC 6724 carries data, and the
    /// controlling agent has to have it confirmed (RFC 8445 §8.2).
    pub(super) fn pair_lite(&mut self, now: Instant) {
        if !self.config.lite || self.gathering != Gathering::Complete {
            return;
        }
        let patient = self.timers.get(AgentTimer::Pac).is_some();
        for at in 0..self.components.len() {
            let stream = self.components[at].stream;
            let state = &self.streams[stream];
            let told_all = state.remote_end || !patient;
            let open = state.outcome == Outcome::Running && self.components[at].active.is_none();
            if !open || !told_all || !self.is_lite_on_both_sides(stream) {
                continue;
            }
            let pairs = self.checks.ids(|pair| pair.component() == at);
            let best = pairs.iter().copied().max_by_key(|&id| {
                let pair = self.checks.get(id);
                pair.map(|pair| (precedence(pair.path.remote.ip()), pair.priority))
            });
            let Some(best) = best else {
                continue;
            };
            self.make_valid(now, best);
            if pairs.len() == 1 {
                self.select(now, best, None);
            } else {
                self.activate(now, at, best);
                self.propose(at, best);
                self.review(now);
            }
        }
    }

    /// Asks the owner to have a choice confirmed.
    fn propose(&mut self, at: usize, id: PairId) {
        if self.role != Role::Controlling {
            return;
        }
        if let Some(ends) = self.ends_of(at, id) {
            self.events.push_back(Event::ReconcileWanted(ends));
        }
    }

    /// The updated exchange that [`Event::ReconcileWanted`] asks for is complete, and both lite agents
    /// use the pair of these two addresses for the component (RFC 8445 §8.2). Both call this.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownComponent`] if there is no such component; [`CommandError::Unusable`] if
    /// there is no such pair, or one of the agents is not lite; [`CommandError::Ended`].
    pub fn reconcile(
        &mut self,
        now: Instant,
        component: ComponentId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        let at = self
            .component_at(component)
            .ok_or(CommandError::UnknownComponent)?;
        let stream = self.components[at].stream;
        let pair = self
            .checks
            .find(FiveTuple::udp(local, remote))
            .filter(|&id| {
                let pair = self.checks.get(id);
                pair.is_some_and(|pair| pair.component() == at)
            });
        let running = self.streams[stream].outcome == Outcome::Running;
        let (true, Some(id)) = (running && self.is_lite_on_both_sides(stream), pair) else {
            return Err(CommandError::Unusable);
        };
        let now = self.clock.advance(now);
        self.make_valid(now, id);
        self.select(now, id, None);
        self.settle(now);
        Ok(())
    }

    fn make_valid(&mut self, now: Instant, id: PairId) {
        self.checks.update(id, |pair| {
            pair.state = crate::check_list::PairState::Succeeded;
            pair.valid = Some(pair.local);
            pair.answered = now;
        });
    }

    /// Whether a lite agent has a host candidate of this address and component already: one is all that
    /// RFC 8445 §5.2 allows.
    pub(super) fn has_lite_host(&self, address: &LocalAddress) -> bool {
        let mut hosts = self.locals.values();
        self.config.lite
            && hosts.any(|host| {
                host.component == address.component
                    && host.tcp_type.is_none()
                    && host.address.ip() == address.address.ip()
            })
    }

    /// The local preference of a lite agent's host candidate: 65535 where there is IPv4 only, else the
    /// precedence of RFC 6724, or the next one below that none of its component has
    /// (RFC 8445 §5.2).
    pub(super) fn lite_preference(&self, address: &LocalAddress) -> u16 {
        let id = address.component;
        let of_component = || self.hosts.iter().filter(move |host| host.component == id);
        let mut preference = if of_component().all(|host| host.address.is_ipv4()) {
            u16::MAX
        } else {
            precedence(address.address.ip())
        };
        let taken = |preference: u16| {
            let mut hosts = self.locals.values().filter(|it| it.component == id);
            hosts
                .any(|it| it.kind == CandidateKind::Host && (it.priority >> 8) as u16 == preference)
        };
        while taken(preference) && preference > 0 {
            preference -= 1;
        }
        preference
    }
}

/// The precedence of an address (RFC 6724 §2.1): the higher, the better.
fn precedence(ip: IpAddr) -> u16 {
    let IpAddr::V6(ip) = ip else {
        return 35;
    };
    let segments = ip.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => 50,
        [0, 0, 0, 0, 0, 0xFFFF, ..] => 35,
        [0, 0, 0, 0, 0, 0, ..] | [0x3FFE | 0xFEC0..=0xFEFF, ..] => 1,
        [0x2002, ..] => 30,
        [0x2001, 0, ..] => 5,
        [0xFC00..=0xFDFF, ..] => 3,
        _ => 40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The default policy table of RFC 6724 §2.1.
    #[test]
    fn precedences_are_those_of_the_policy_table() {
        for (address, wanted) in [
            ("::1", 50),
            ("2001:db8::1", 40),
            ("192.0.2.1", 35),
            ("::ffff:192.0.2.1", 35),
            ("2002::1", 30),
            ("2001::1", 5),
            ("fd00::1", 3),
            ("::192.0.2.1", 1),
            ("fec0::1", 1),
            ("3ffe::1", 1),
            ("fe80::1", 40),
        ] {
            assert_eq!(precedence(address.parse().unwrap()), wanted, "{address}");
        }
    }
}

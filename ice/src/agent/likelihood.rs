//! Which addresses are likely to lead anywhere: those that a server has answered to
//! ([`CheckOrder::LikelyFirst`]).

use core::net::SocketAddr;

use super::{Agent, Base};
use crate::candidate::{Candidate, CandidateKind};
use crate::check_list::{Pair, UNLIKELY};
use crate::config::CheckOrder;
use crate::remotes::Remote;

impl Agent {
    /// The place of a pair in the order of checks: the sum of those of its candidates.
    pub(super) fn place(&self, ours: &Candidate, remote: usize) -> u16 {
        if self.config.order == CheckOrder::Priority {
            return 0;
        }
        let base = if ours.tcp_type.is_none() {
            self.bases.get_key_value(&ours.base)
        } else {
            // As likely as what else leaves from its interface.
            let mut bases = self.bases.iter();
            bases.find(|(base, _)| base.ip() == ours.base.ip())
        };
        let ours = base.map_or(0, |(&address, base)| {
            let component = &self.components[base.component];
            let place = self.place_in_family(address, base);
            behind(place, base.vouched, component.vouched)
        });
        let remote = &self.remotes[remote];
        let component = &self.components[remote.component()];
        let is_host = remote.kind == CandidateKind::Host;
        let theirs = behind(
            remote.place,
            remote.vouched || !is_host || self.is_beside_vouched(remote),
            component.peer_vouched,
        );
        ours.saturating_add(theirs)
    }

    /// How many checks of a pair may go unanswered while nothing comes from its remote address: what
    /// one check is repeated, and where there are many bases, those that are not known to lead anywhere
    /// share what the others leave of the budget.
    pub(super) fn share(&self, pair: &Pair) -> usize {
        let count = usize::from(self.config.probing.count);
        let is_vouched = |at: &u32| {
            let local = self.locals.get(at);
            local.is_some_and(|local| {
                let base = self.bases.get(&local.base);
                local.kind == CandidateKind::Relayed || base.is_some_and(|base| base.vouched)
            })
        };
        if is_vouched(&pair.local) {
            return count;
        }
        let alike = |at: &&u32| {
            let local = self.locals.get(*at);
            local.is_some_and(|local| {
                local.transport == pair.path.transport
                    && local.base.is_ipv4() == pair.path.remote.is_ipv4()
            })
        };
        let bases = || self.components[pair.component()].bases.iter().filter(alike);
        let vouched = bases().filter(|at| is_vouched(at)).count();
        let others = bases().count() - vouched;
        let limit = self.config.limits.checks_to_silent_address;
        let left = limit.saturating_sub(vouched * count);
        (left / others.max(1)).clamp(1, count.max(1))
    }

    /// Whether a TCP candidate of the peer has the IP address of one that a server has answered to.
    fn is_beside_vouched(&self, theirs: &Remote) -> bool {
        let mut others = self.remotes.on(theirs.address.ip());
        theirs.tcp_type.is_some() && others.any(|it| it.vouched)
    }

    /// The place of a base among those of its family: a pair is of one, and many addresses of the other
    /// do not put its first one off (RFC 8421 §4).
    fn place_in_family(&self, address: SocketAddr, base: &Base) -> u16 {
        if !self.is_host(address) {
            return base.place;
        }
        let alike = self.hosts.iter().map(|host| host.address);
        let alike = alike.filter(|other| other.is_ipv6() == address.is_ipv6());
        let before = alike.filter_map(|other| self.bases.get(&other));
        let before = before.filter(|it| it.component == base.component && it.place < base.place);
        u16::try_from(before.count()).unwrap_or(u16::MAX)
    }

    /// A server has answered to this base.
    pub(super) fn vouch_local(&mut self, base: SocketAddr) {
        let Some(base) = self.bases.get_mut(&base).filter(|base| !base.vouched) else {
            return;
        };
        base.vouched = true;
        let component = base.component;
        self.components[component].vouched = true;
        self.place_again(component);
    }

    /// A candidate of the peer names the host candidate behind it, or the address on which a server has
    /// seen its relay's owner: a server has answered there.
    pub(super) fn vouch_remote(&mut self, component: usize, candidate: &Candidate) {
        let host = candidate
            .related
            .and_then(|related| self.remotes.find(component, None, related));
        let Some(host) = host.filter(|&at| !self.remotes[at].vouched) else {
            return;
        };
        self.remotes[host].vouched = true;
        self.components[component].peer_vouched = true;
        self.place_again(component);
    }

    /// A relay that is reached over a stream, where no server has answered over UDP, is the likely way
    /// out.
    pub(super) fn expect_relays(&mut self, component: usize, over_stream: bool) {
        let blocked = over_stream && !self.components[component].vouched;
        let list = self.components[component].stream;
        self.checks.put_relays_first(list, blocked);
    }

    fn place_again(&mut self, component: usize) {
        for id in self.checks.ids(|pair| pair.component() == component) {
            let Some(pair) = self.checks.get(id) else {
                continue;
            };
            let Some(ours) = self.locals.get(&pair.local) else {
                continue;
            };
            let place = self.place(ours, pair.remote());
            self.checks.update(id, |pair| pair.place = place);
        }
    }
}

const fn behind(place: u16, vouched: bool, any: bool) -> u16 {
    if any && !vouched {
        place.saturating_add(UNLIKELY)
    } else {
        place
    }
}

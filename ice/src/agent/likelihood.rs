//! Which pairs are likely to work, and needed ([`CheckOrder::LikelyFirst`]): those of addresses that a
//! server has answered to, and of relays that stand together.

use core::net::{IpAddr, SocketAddr};

use floe_sansio::Instant;

use super::{Agent, Base, Duration};
use crate::candidate::{Candidate, CandidateKind, is_private};
use crate::check_list::{Pair, PairId, UNLIKELY};
use crate::config::CheckOrder;
use crate::remotes::Remote;

/// Where the peer was heard directly, unlikely pairs are put off for so long: until nearly all likely ones
/// have been answered.
const LIKELY_ANSWERED: Duration = Duration::from_millis(200);
/// Those of addresses that lead nowhere, as it seems, are put off until the likely ones have been repeated
/// twice.
const LIKELY_REPEATED: Duration = Duration::from_millis(300);
/// Where the peer was heard through a relay, a direct check that it sent at once would arrive within
/// so long.
const DIRECT_FOLLOWS: Duration = Duration::from_millis(50);

impl Agent {
    /// The place of a pair in the order of checks: the sum of those of its candidates.
    pub(super) fn place(&self, ours: &Candidate, remote: usize) -> u16 {
        if self.config.order == CheckOrder::Priority {
            return 0;
        }
        // That is this host, whoever has the same address behind another NAT.
        let own = ours.base == self.remotes[remote].address;
        let later = if own || self.has_stand_in(ours, remote) {
            UNLIKELY
        } else {
            0
        };
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
            let blocked = component.relay_over_stream && ours.tcp_type.is_none();
            let vouched = is_vouched(ours, Some(base));
            behind(place, vouched, component.vouched || blocked)
        });
        let remote = &self.remotes[remote];
        let component = &self.components[remote.component()];
        let is_host = remote.kind == CandidateKind::Host;
        let blocked = component.peer_blocked && remote.tcp_type.is_none();
        let theirs = behind(
            remote.place,
            remote.vouched || !is_host || self.is_beside_vouched(remote),
            component.peer_vouched || blocked,
        );
        ours.saturating_add(theirs).saturating_add(later)
    }

    /// Whether another pair with a relay works if this one does, and sooner: one between relays of the
    /// same address, of which each lets the other in before it is known. Pairs with one relay are
    /// better, and checked where that one does not do, or nothing without a relay is found.
    fn has_stand_in(&self, ours: &Candidate, remote: usize) -> bool {
        let theirs = &self.remotes[remote];
        let relayed =
            ours.kind == CandidateKind::Relayed || self.is_relayed(theirs.kind, theirs.address);
        relayed
            && self.components[theirs.component()].relays_meet
            && !self.are_neighbours(ours, theirs)
    }

    /// Whether these are relays of the same address.
    fn are_neighbours(&self, ours: &Candidate, theirs: &Remote) -> bool {
        let alone = || self.bases.get(&ours.base).is_none_or(|base| base.alone);
        ours.kind == CandidateKind::Relayed
            && ours.address.ip() == theirs.address.ip()
            // A peer-reflexive one does not say so.
            && matches!(theirs.kind, CandidateKind::Relayed | CandidateKind::PeerReflexive)
            && !alone()
    }

    /// The peer's relay may stand where ours does: then its checks come through before it is known.
    pub(super) fn expect_neighbour(&mut self, now: Instant, relayed: SocketAddr) {
        if self.config.order == CheckOrder::LikelyFirst {
            self.gatherer.with_relay(relayed, |relay| {
                let _ = relay.create_permission(now, relayed.ip());
            });
        }
    }

    /// The server lends nothing between its own relays.
    pub(super) fn set_alone(&mut self, relayed: SocketAddr) {
        let Some(base) = self.bases.get_mut(&relayed) else {
            return;
        };
        base.alone = true;
        let component = base.component;
        self.relays_changed(component);
    }

    /// There is another relay on either side, or one less.
    pub(super) fn relays_changed(&mut self, component: usize) {
        let id = self.components[component].id;
        let theirs = || self.remotes.iter().filter(|it| it.component() == component);
        let mut ours = self.locals.values().filter(|it| it.component == id);
        let meet = ours.any(|ours| theirs().any(|it| self.are_neighbours(ours, it)));
        self.components[component].relays_meet = meet;
        self.place_again(component);
    }

    /// Checks of these lists begin. Pairs with a relay that have a stand-in are checked when that is not
    /// answered for as long as a check is repeated. Agents that do not renominate choose once, so they
    /// check all first.
    pub(super) fn put_off_unlikely(&mut self, now: Instant, lists: &[usize]) {
        for &list in lists {
            if !self.stream_renominates(list) {
                continue;
            }
            let until = [now + LIKELY_REPEATED, now + self.config.probing.interval];
            self.checks.put_off_unlikely(list, |_| until);
        }
    }

    /// A check of the peer came, or the first answer. What is heard directly works; while the peer is
    /// only heard through a relay, everything is worth a check.
    pub(super) fn heard_on_pair(&mut self, now: Instant, id: PairId) {
        let Some(pair) = self.checks.get(id) else {
            return;
        };
        let (list, component) = (pair.list(), pair.component());
        let direct = !pair.relayed && !self.config.tcp.is_second(pair.path.transport);
        if direct {
            let works = pair.valid.is_some();
            let unasked = !works && !self.budget.has_asked(pair.path.remote.ip());
            let component = &mut self.components[component];
            component.heard_unasked |= unasked;
            let known = component.heard_directly.filter(|_| !works);
            component.heard_directly = known.or(Some(now));
        }
        if !self.stream_renominates(list) {
            return;
        }
        if direct {
            let until = now + LIKELY_ANSWERED;
            (self.checks).put_off_unlikely(list, |known| known.map(|it| it.max(until)));
        } else if self.components[component].heard_directly.is_none() {
            let until = now + DIRECT_FOLLOWS;
            (self.checks).put_off_unlikely(list, |[direct, relayed]| [direct, relayed.min(until)]);
        }
    }

    /// Until when a pair with a relay is not checked, not even in return, because one without is about to be
    /// selected: it works, or is sure to, for the peer was heard before it was sent anything. What has a
    /// stand-in waits where it was heard at all. What the peer nominates does not wait, nor what works and was
    /// refused in this role.
    pub(super) fn relay_waits(&self, now: Instant, pair: &Pair) -> Option<Instant> {
        let at = pair.component();
        let component = &self.components[at];
        let wanted = pair.nominated_by_peer.is_some() || pair.valid.is_some();
        let open = component.selected.is_none() && self.renominates(at);
        if !pair.relayed || wanted || !open || !self.direct_was_heard(at) {
            return None;
        }
        let best = self.checks.valid(at).next();
        let sure = component.heard_unasked || best.is_some_and(|(_, best)| !best.relayed);
        let since = component
            .heard_directly
            .filter(|_| sure || !pair.is_likely())?;
        let until = since + LIKELY_ANSWERED;
        (until > now).then_some(until)
    }

    /// How many checks of a pair may go unanswered while nothing comes from its remote address: what
    /// one check is repeated, and where there are many bases, those that are not known to lead anywhere
    /// share what the others leave of the budget.
    pub(super) fn share(&self, pair: &Pair) -> usize {
        let count = usize::from(self.config.probing.count);
        let by_server = |at: &u32| {
            let local = self.locals.get(at);
            local.is_some_and(|local| is_vouched(local, self.bases.get(&local.base)))
        };
        if by_server(&pair.local) {
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
        let vouched = bases().filter(|at| by_server(at)).count();
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

    /// The peer told a candidate of this kind, which is stored, in the place of one of the kind `before`
    /// if that had its address. If the peer has a relay, and the server has seen none of its
    /// addresses, the server was reached over a stream.
    pub(super) fn guess_blocked(
        &mut self,
        component: usize,
        before: Option<CandidateKind>,
        kind: CandidateKind,
    ) {
        let of_server = |kind| {
            matches!(
                kind,
                CandidateKind::Relayed | CandidateKind::ServerReflexive
            )
        };
        if !of_server(kind) && !before.is_some_and(of_server) {
            // There may be many of these, and they tell nothing.
            return;
        }
        let theirs = || self.remotes.iter().filter(|it| it.component() == component);
        // Who keeps secret what the server saw gives no hint.
        let seen = |related: SocketAddr| !related.ip().is_unspecified();
        let relay = |it: &Remote| it.kind == CandidateKind::Relayed && it.related.is_some_and(seen);
        let blocked =
            theirs().all(|it| it.kind != CandidateKind::ServerReflexive) && theirs().any(relay);
        let known = &mut self.components[component].peer_blocked;
        let changed = core::mem::replace(known, blocked) != blocked;
        match kind {
            CandidateKind::Relayed => self.relays_changed(component),
            // Of many of these, nearly all change nothing.
            CandidateKind::ServerReflexive if changed || before.is_some() => {
                self.place_again(component);
            }
            _ => {}
        }
    }

    /// Whether a better pair than the `best` that works, which has a relay, is waited for. Between agents
    /// that renominate a choice can be mended, so it is made as soon as no such pair is likely.
    pub(super) fn better_is_awaited(&self, component: usize, best: &Pair) -> bool {
        if self.one_relay_is_awaited(component, best) {
            return true;
        }
        if self.direct_was_heard(component) {
            return true;
        }
        if !self.checks.direct_is_open(component) {
            return false;
        }
        if !self.renominates(component) || self.config.order == CheckOrder::Priority {
            return true;
        }
        let mut pairs = self.checks.iter().map(|(_, pair)| pair);
        pairs.any(|pair| {
            pair.component() == component
                && !pair.relayed
                && pair.state.is_open()
                && pair.is_likely()
                && !self.is_closed(pair)
        })
    }

    /// Whether the pair that works goes through two relays, and one of them may turn out to be enough.
    pub(super) fn one_relay_is_awaited(&self, component: usize, best: &Pair) -> bool {
        let has_two = |pair: &Pair| {
            let ours = self.locals.get(&pair.local);
            let theirs = &self.remotes[pair.remote()];
            ours.is_some_and(|it| it.kind == CandidateKind::Relayed)
                && self.is_relayed(theirs.kind, theirs.address)
        };
        if !self.components[component].relays_meet || !has_two(best) {
            return false;
        }
        let mut pairs = self.checks.iter().map(|(_, pair)| pair);
        pairs.any(|pair| {
            pair.component() == component
                && pair.relayed
                && pair.state.is_open()
                && pair.place < 2 * UNLIKELY
                && !has_two(pair)
        })
    }

    /// Whether the peer was heard without a relay, so that there will be such a pair: unless what this side
    /// sends leaves its NAT elsewhere than what the peer sends comes in.
    pub(super) fn direct_was_heard(&self, component: usize) -> bool {
        let id = self.components[component].id;
        let ours = self.locals.values().filter(|it| it.component == id);
        let ours = ours.map(|it| (it.kind, it.address.ip()));
        self.config.order == CheckOrder::LikelyFirst
            && self.components[component].heard_directly.is_some()
            && many_ports(&ours).is_none()
    }

    /// Whether the NATs of both sides have been seen to give each destination a port of its own, so that
    /// no packet gets from one to the other. (Those that let everybody in are rare, and such a pair is
    /// checked all the same.)
    fn is_closed(&self, pair: &Pair) -> bool {
        let ours = self.locals.values();
        let ours = ours.filter(|it| it.base == pair.path.local);
        let ours = ours.map(|it| (it.kind, it.address.ip()));
        let theirs = self.remotes.iter();
        let theirs = theirs.filter(|it| it.component() == pair.component());
        let theirs = theirs.map(|it| (it.kind, it.address.ip()));
        let (Some(ours), Some(theirs)) = (many_ports(&ours), many_ports(&theirs)) else {
            return false;
        };
        let remote = &self.remotes[pair.remote()];
        match remote.kind {
            CandidateKind::ServerReflexive => remote.address.ip() == theirs,
            // A neighbour is behind the same NAT.
            CandidateKind::Host => ours != theirs && is_private(remote.address.ip()),
            CandidateKind::PeerReflexive | CandidateKind::Relayed => false,
        }
    }

    /// A relay that is reached over a stream, where no server has answered over UDP although there are
    /// some, is the likely way out.
    pub(super) fn expect_relays(&mut self, component: usize, over_stream: bool) {
        let mut turn = self.config.turn_servers.iter();
        let over_udp = !self.config.stun_servers.is_empty()
            || turn.any(|server| !server.transport.is_reliable());
        self.components[component].relay_over_stream = over_stream && over_udp;
        self.relays_changed(component);
    }

    fn place_again(&mut self, component: usize) {
        if self.config.order == CheckOrder::Priority {
            return;
        }
        for id in self.checks.ids(|pair| pair.component() == component) {
            let Some(pair) = self.checks.get(id) else {
                continue;
            };
            let Some(ours) = self.locals.get(&pair.local) else {
                continue;
            };
            let place = self.place(ours, pair.remote());
            if place != pair.place {
                self.checks.update(id, |pair| pair.place = place);
            }
        }
    }
}

/// The address on which a server and a peer have seen the same base, or the same side, with different
/// ports.
fn many_ports(
    candidates: &(impl Iterator<Item = (CandidateKind, IpAddr)> + Clone),
) -> Option<IpAddr> {
    let of = |kind| candidates.clone().filter(move |&(it, _)| it == kind);
    let mut by_server = of(CandidateKind::ServerReflexive).map(|(_, ip)| ip);
    by_server.find(|&ip| of(CandidateKind::PeerReflexive).any(|(_, it)| it == ip))
}

/// Whether a server has answered to a local candidate: that which lends a relay has.
fn is_vouched(local: &Candidate, base: Option<&Base>) -> bool {
    local.kind == CandidateKind::Relayed || base.is_some_and(|base| base.vouched)
}

const fn behind(place: u16, vouched: bool, any: bool) -> u16 {
    if any && !vouched {
        place.saturating_add(UNLIKELY)
    } else {
        place
    }
}

//! The check lists: candidate pairs, their states, and which of them is checked next.
//!
//! There is a list for each data stream. What is shared among them (foundations, the limit of pairs,
//! the order of names) is here too: the check list set of RFC 8445 §6.1.2.
//!
//! Every question that is asked for each datagram or each slot has an [`Order`] of the pairs, so that
//! none of them looks at all; [`CheckLists::update`] is the only way to change a pair and keeps the
//! orders.

mod groups;
mod pair;
mod pairs;
mod schedule;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::num::NonZeroU64;

use floe_sansio::{FiveTuple, Instant};

use crate::config::CheckOrder;
use crate::order::Order;
use groups::Groups;
pub use pair::PairState;
pub(crate) use pair::{CONSENT_LIFETIME, Foundation, Nanos, Pair, PairId, Traffic, UNLIKELY};
use pair::{Named, Turn};
use pairs::Pairs;
pub(crate) use schedule::Schedule;

/// What is known of one component at once.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Pairs that may still turn out to work.
    open: u16,
    /// Those of them without a relay.
    open_direct: u16,
    /// Those of these that no check has been sent over yet.
    untested_direct: u16,
    /// The valid ones, the best last: without a relay, then by priority.
    valid: Order,
}

/// The check list of one data stream.
#[derive(Clone, Debug, Default)]
struct List {
    /// Whether checks are sent.
    running: bool,
    /// The FIFO queue of triggered checks (RFC 8445 §6.1.4.1).
    triggered: Order,
    /// The pairs that may be checked, those without a relay and those with one. Where the order is
    /// that of the RFC, all are in the first.
    waiting: [Order; 2],
    /// Foundations with frozen pairs in this list and none waiting or in progress anywhere.
    thawable: BTreeSet<Foundation>,
    /// Pairs in progress, by when they are checked again.
    due: Order,
    /// Pairs that nobody has checked yet, the lowest priority first.
    unchecked: Order,
    /// The failed ones, the lowest priority first.
    failed: Order,
    /// How many there are.
    len: usize,
    /// Slots used, to share them between first checks and repetitions.
    slots: u32,
    /// First checks sent, to share them between pairs without a relay and with one.
    first_checks: u32,
    /// Before, no unlikely pair is checked for the first time: without a relay, and with one.
    unlikely_from: [Instant; 2],
}

impl List {
    /// From when on there is a pair to be checked for the first time.
    fn first_check_from(&self, pairs: &Pairs) -> Option<Instant> {
        let heads = (0..2).filter_map(|lane| Some(self.head(pairs, lane)?.0));
        let thaws = (!self.thawable.is_empty()).then_some(Instant::ZERO);
        heads.min().or(thaws)
    }

    /// The first pair of a lane, and when it may be checked.
    fn head(&self, pairs: &Pairs, lane: usize) -> Option<(Instant, PairId)> {
        let first = self.waiting[lane].first(pairs)?;
        let from = if first.pair.is_likely() {
            Instant::ZERO
        } else {
            self.unlikely_from[lane]
        };
        Some((from, first.id))
    }

    fn next_repetition<'a>(&self, pairs: &'a Pairs) -> Option<(Instant, &'a Named)> {
        let first = self.due.first(pairs)?;
        Some((first.pair.schedule.next()?, first))
    }
}

fn by_path(it: &Named) -> FiveTuple {
    it.pair.path
}

fn by_trigger(it: &Named) -> Option<NonZeroU64> {
    it.pair.triggered
}

fn by_turn(it: &Named) -> Turn {
    it.pair.turn(it.id)
}

fn by_next(it: &Named) -> (Option<Instant>, PairId) {
    (it.pair.schedule.next(), it.id)
}

fn by_expiry(it: &Named) -> (Option<Instant>, PairId) {
    (it.pair.schedule.expires(), it.id)
}

fn by_priority(it: &Named) -> (u64, PairId) {
    (it.pair.priority, it.id)
}

fn by_preference(it: &Named) -> (bool, u64, Reverse<PairId>) {
    (!it.pair.relayed, it.pair.priority, Reverse(it.id))
}

/// The check lists of all data streams.
#[derive(Clone, Debug)]
pub(crate) struct CheckLists {
    pairs: Pairs,
    orders: Orders,
    next_trigger: NonZeroU64,
    /// The list whose turn it is (RFC 8445 §6.1.4.2).
    next_list: usize,
}

/// The places of the pairs among each other.
#[derive(Clone, Debug)]
struct Orders {
    /// In which they are checked.
    checks: CheckOrder,
    by_path: Order,
    lists: Vec<List>,
    components: Vec<Tally>,
    groups: Groups,
    /// Pairs in progress that wait for their last answer, by when it is too late.
    expiring: Order,
}

impl Orders {
    /// Puts a pair into its place everywhere, or takes it out.
    fn place(&mut self, pairs: &Pairs, id: PairId, there: bool) {
        let Some(pair) = pairs.get(id) else {
            return;
        };
        self.reach(pair.list());
        self.groups.place(pairs, id, pair, there);
        self.note_thaw(pairs, pair);
        while self.components.len() <= pair.component() {
            self.components.push(Tally::default());
        }
        let list = &mut self.lists[pair.list()];
        add(&mut list.len, 1, there);
        match pair.state {
            PairState::Waiting => {
                let lane = usize::from(pair.relayed && self.checks == CheckOrder::LikelyFirst);
                list.waiting[lane].place(pairs, id.slot(), by_turn, there);
            }
            PairState::InProgress => {
                if pair.schedule.next().is_some() {
                    list.due.place(pairs, id.slot(), by_next, there);
                }
                if pair.schedule.expires().is_some() {
                    self.expiring.place(pairs, id.slot(), by_expiry, there);
                }
            }
            // One that was spent is remembered: it is not to be made anew.
            PairState::Failed if !pair.spent => {
                list.failed.place(pairs, id.slot(), by_priority, there);
            }
            PairState::Frozen | PairState::Succeeded | PairState::Failed => {}
        }
        if pair.triggered.is_some() {
            list.triggered.place(pairs, id.slot(), by_trigger, there);
        } else if matches!(pair.state, PairState::Frozen | PairState::Waiting)
            // What the peer has nominated is not thrown away.
            && pair.nominated_by_peer.is_none()
        {
            list.unchecked.place(pairs, id.slot(), by_priority, there);
        }
        let tally = &mut self.components[pair.component()];
        let open = pair.state.is_open();
        add(&mut tally.open, u16::from(open), there);
        let direct = u16::from(open && !pair.relayed);
        add(&mut tally.open_direct, direct, there);
        let untested = u16::from(pair.is_untested() && !pair.relayed);
        add(&mut tally.untested_direct, untested, there);
        if pair.valid.is_some() {
            tally.valid.place(pairs, id.slot(), by_preference, there);
        }
    }

    /// The pairs of a foundation changed: in which lists could one be thawed now?
    fn note_thaw(&mut self, pairs: &Pairs, changed: &Pair) {
        if let Some(list) = self.lists.get_mut(changed.list()) {
            list.thawable.remove(&changed.foundation);
        }
        let idle = !self.groups.is_active(changed.foundation);
        let mut from = 0;
        // One look at each list that has frozen pairs of it.
        while let Some(frozen) = self.groups.frozen(pairs, changed.foundation, from).next() {
            let at = frozen.pair.list();
            if idle {
                self.lists[at].thawable.insert(changed.foundation);
            } else {
                self.lists[at].thawable.remove(&changed.foundation);
            }
            from = at + 1;
        }
    }

    /// Makes sure that there is such a list.
    fn reach(&mut self, at: usize) {
        while self.lists.len() <= at {
            self.lists.push(List::default());
        }
    }
}

/// Counts something in, or out.
fn add<T: core::ops::AddAssign + core::ops::SubAssign>(to: &mut T, count: T, there: bool) {
    if there {
        *to += count;
    } else {
        *to -= count;
    }
}

impl CheckLists {
    pub(crate) const fn new(order: CheckOrder) -> Self {
        Self {
            pairs: Pairs::new(),
            orders: Orders {
                checks: order,
                by_path: Order::new(),
                lists: Vec::new(),
                components: Vec::new(),
                groups: Groups::new(),
                expiring: Order::new(),
            },
            next_trigger: NonZeroU64::MIN,
            next_list: 0,
        }
    }

    pub(crate) fn get(&self, id: PairId) -> Option<&Pair> {
        self.pairs.get(id)
    }

    /// The pair whose checks take this path.
    pub(crate) fn find(&self, path: FiveTuple) -> Option<PairId> {
        let order = &self.orders.by_path;
        let slot = order.find(&self.pairs, |it| it.pair.path.cmp(&path))?;
        self.pairs.named(slot).map(|it| it.id)
    }

    /// The checks of a pair take another path from now on; `false` if that is another pair's.
    pub(crate) fn set_path(&mut self, id: PairId, path: FiveTuple) -> bool {
        if self.get(id).is_none() || self.find(path).is_some_and(|other| other != id) {
            return false;
        }
        let by_paths = &mut self.orders.by_path;
        by_paths.place(&self.pairs, id.slot(), by_path, false);
        if let Some(pair) = self.pairs.get_mut(id) {
            pair.path = path;
        }
        by_paths.place(&self.pairs, id.slot(), by_path, true);
        true
    }

    /// All pairs, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PairId, &Pair)> {
        self.pairs.iter().map(|it| (it.id, &it.pair))
    }

    /// The names of the pairs that are like this, the eldest first, to be changed one after the other.
    pub(crate) fn ids(&self, mut which: impl FnMut(&Pair) -> bool) -> Vec<PairId> {
        let mut ids = Vec::new();
        ids.extend(
            self.iter()
                .filter(|(_, pair)| which(pair))
                .map(|(id, _)| id),
        );
        ids.sort_unstable();
        ids
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// How many pairs a list has.
    pub(crate) fn len_of(&self, list: usize) -> usize {
        self.orders.lists.get(list).map_or(0, |list| list.len)
    }

    /// How many checks are to be performed: the N of RFC 8445 §14.3.
    pub(crate) fn to_perform(&self) -> usize {
        let lists = self.orders.lists.iter().filter(|list| list.running);
        lists
            .map(|list| list.waiting.iter().map(Order::len).sum::<usize>() + list.due.len())
            .sum()
    }

    /// Changes a pair, and with it its place in all orders. `None` if there is no such pair.
    pub(crate) fn update<R>(
        &mut self,
        id: PairId,
        change: impl FnOnce(&mut Pair) -> R,
    ) -> Option<R> {
        self.orders.place(&self.pairs, id, false);
        let result = self.pairs.get_mut(id).map(change);
        self.orders.place(&self.pairs, id, true);
        result
    }

    /// Changes what no order depends on: counters, times, and what the peer wants.
    pub(crate) fn note(&mut self, id: PairId, change: impl FnOnce(&mut Pair)) {
        if let Some(pair) = self.pairs.get_mut(id) {
            let told = |pair: &Pair| {
                (
                    pair.state,
                    pair.priority,
                    pair.relayed,
                    pair.valid.is_some(),
                    pair.nominated_by_peer.is_some(),
                    // Of a failed pair it matters.
                    pair.spent && pair.state == PairState::Failed,
                )
            };
            let before = told(pair);
            change(pair);
            debug_assert_eq!(
                before,
                told(pair),
                "what an order depends on is changed by `update`"
            );
        }
    }

    /// Adds a pair in the state that RFC 8838 §12 gives it. Where `limit` pairs exist, one of the
    /// longest list makes room: a failed one, or one that nobody has checked and that has a lower
    /// priority; for a pair that the peer has `nominated`, any that is neither valid nor nominated.
    /// `None` if there is no such pair.
    pub(crate) fn insert(&mut self, pair: Pair, limit: usize, nominated: bool) -> Option<PairId> {
        if self.pairs.len() >= limit.min(Pairs::MOST) {
            let victim = self.victim(&pair, nominated)?;
            self.remove(victim);
        }
        let id = self.pairs.insert(pair);
        let state = self.get(id).map(|pair| self.initial_state(id, pair))?;
        if let Some(pair) = self.pairs.get_mut(id) {
            pair.state = state;
        }
        self.orders
            .by_path
            .place(&self.pairs, id.slot(), by_path, true);
        self.orders.place(&self.pairs, id, true);
        Some(id)
    }

    /// The rules of RFC 8838 §12: the topmost pair of its foundation and one whose foundation has
    /// worked may be checked, others wait for them.
    fn initial_state(&self, id: PairId, new: &Pair) -> PairState {
        // Before its list begins, no pair is ahead of another.
        let list = self.orders.lists.get(new.list());
        if !list.is_some_and(|list| list.running) {
            return PairState::Frozen;
        }
        let groups = &self.orders.groups;
        let top = groups.members(&self.pairs, new.foundation).next();
        let topmost = top.is_none_or(|top| new.rank(id) < top.pair.rank(top.id));
        if topmost || groups.has_succeeded(new.foundation) {
            PairState::Waiting
        } else {
            PairState::Frozen
        }
    }

    /// The pair that a new one may push out (RFC 8838 §10, RFC 8445 §6.1.2.5: evenly).
    fn victim(&self, new: &Pair, nominated: bool) -> Option<PairId> {
        let lists = &self.orders.lists;
        let longest = (0..lists.len()).max_by_key(|&at| (lists[at].len, at == new.list()))?;
        let list = &lists[longest];
        if let Some(failed) = list.failed.first(&self.pairs) {
            return Some(failed.id);
        }
        // Another list gives way whatever its pairs are worth.
        let any = nominated || longest != new.list();
        let unchecked = list.unchecked.first(&self.pairs);
        if let Some(unchecked) = unchecked.filter(|it| any || it.pair.priority < new.priority) {
            return Some(unchecked.id);
        }
        let due = list.due.iter(&self.pairs).rev();
        let mut checked = due.chain(self.orders.expiring.iter(&self.pairs));
        let weak = |it: &&Named| it.pair.list() == longest && it.pair.nominated_by_peer.is_none();
        let checked = nominated.then(|| checked.find(weak)).flatten();
        checked.map(|it| it.id)
    }

    /// Checks of these lists begin. Of each foundation one pair may be checked: that of the lowest
    /// component and then of the highest priority (RFC 8445 §6.1.2.6), in whatever order the pairs
    /// were added before.
    pub(crate) fn begin(&mut self, lists: &[usize]) {
        let mut foundations = BTreeSet::new();
        for &at in lists {
            self.orders.reach(at);
            self.orders.lists[at].running = true;
        }
        let begun = self
            .pairs
            .iter()
            .filter(|it| lists.contains(&it.pair.list()));
        foundations.extend(begun.map(|it| it.pair.foundation));
        for foundation in foundations {
            if self.orders.groups.has_succeeded(foundation) {
                self.unfreeze(foundation);
            } else if !self.orders.groups.is_active(foundation) {
                if let Some(top) = self.topmost(foundation) {
                    self.update(top, |pair| pair.state = PairState::Waiting);
                }
            }
        }
    }

    /// The topmost frozen pair of a foundation in a list whose checks have begun.
    fn topmost(&self, foundation: Foundation) -> Option<PairId> {
        let Orders { groups, lists, .. } = &self.orders;
        let mut members = groups.members(&self.pairs, foundation);
        let frozen = |it: &&Named| it.pair.state == PairState::Frozen;
        let top = members.find(|it| frozen(it) && lists[it.pair.list()].running);
        top.map(|it| it.id)
    }

    /// No more checks of a list are sent.
    pub(crate) fn stop(&mut self, list: usize) {
        if let Some(list) = self.orders.lists.get_mut(list) {
            list.running = false;
        }
    }

    pub(crate) fn remove(&mut self, id: PairId) {
        if self.get(id).is_none() {
            return;
        }
        self.orders.place(&self.pairs, id, false);
        self.orders
            .by_path
            .place(&self.pairs, id.slot(), by_path, false);
        self.pairs.remove(id);
    }

    /// Puts a pair at the end of the triggered-check queue, once.
    pub(crate) fn trigger(&mut self, id: PairId) {
        let number = self.next_trigger;
        self.next_trigger = number.saturating_add(1);
        self.update(id, |pair| {
            pair.triggered.get_or_insert(number);
        });
    }

    /// After a success: pairs of the same foundation need wait no more (RFC 8445 §7.2.5.3.3).
    pub(crate) fn unfreeze(&mut self, foundation: Foundation) {
        while let Some((_, id)) = self.frozen(foundation, 0) {
            self.update(id, |pair| pair.state = PairState::Waiting);
        }
    }

    /// The first frozen pair of a foundation in this list, or in one after it, and its list.
    fn frozen(&self, foundation: Foundation, from_list: usize) -> Option<(usize, PairId)> {
        let groups = &self.orders.groups;
        let first = groups.frozen(&self.pairs, foundation, from_list).next()?;
        Some((first.pair.list(), first.id))
    }

    /// The peer is known to be there, so that checks sent into the void before may work now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for id in self.ids(|pair| pair.state == PairState::InProgress) {
            self.update(id, |pair| pair.schedule.hurry(now));
        }
    }

    /// From when on unlikely pairs of a list, without a relay and with one, are checked for the first
    /// time, if no likely one is left; `change` takes what has been said before, [`Instant::ZERO`] at
    /// first.
    pub(crate) fn put_off_unlikely(
        &mut self,
        list: usize,
        change: impl FnOnce([Instant; 2]) -> [Instant; 2],
    ) {
        self.orders.reach(list);
        let from = &mut self.orders.lists[list].unlikely_from;
        *from = change(*from);
    }

    /// Takes the pair to check in this slot, of the list whose turn it is; lists without anything to
    /// check are passed over (RFC 8445 §6.1.4.2).
    pub(crate) fn next_check(&mut self, now: Instant) -> Option<PairId> {
        let count = self.orders.lists.len();
        for step in 0..count {
            let at = (self.next_list + step) % count;
            if !self.orders.lists[at].running {
                continue;
            }
            if let Some(id) = self.next_in(at, now) {
                self.next_list = (at + 1) % count;
                self.update(id, |pair| pair.triggered = None);
                return Some(id);
            }
        }
        None
    }

    /// A triggered check, else a first one or a repetition: where both are due, two slots of three
    /// belong to first checks, and of those two of three to pairs without a relay.
    fn next_in(&mut self, at: usize, now: Instant) -> Option<PairId> {
        let list = &mut self.orders.lists[at];
        if let Some(triggered) = list.triggered.first(&self.pairs) {
            return Some(triggered.id);
        }
        let repetition = list.next_repetition(&self.pairs);
        let repetition = repetition.filter(|&(at, _)| at <= now);
        let repetition = repetition.map(|(_, it)| it.id);
        let first = list.first_check_from(&self.pairs);
        let first = first.is_some_and(|from| from <= now);
        if repetition.is_some() || first {
            list.slots = list.slots.wrapping_add(1);
        }
        if repetition.is_some() && (!first || list.slots % 3 == 0) {
            return repetition;
        }
        let first = first.then(|| self.first_check(at, now)).flatten();
        // What has just thawed may have to wait: the slot is not lost.
        first.or(repetition)
    }

    fn first_check(&mut self, at: usize, now: Instant) -> Option<PairId> {
        if self.orders.lists[at].waiting.iter().all(Order::is_empty) {
            // One of each foundation whose pairs are all frozen (RFC 8445 §6.1.4.2).
            while let Some(&foundation) = self.orders.lists[at].thawable.first() {
                let frozen = self.frozen(foundation, at);
                let (_, id) = frozen.filter(|&(list, _)| list == at)?;
                self.update(id, |pair| pair.state = PairState::Waiting);
            }
        }
        let list = &mut self.orders.lists[at];
        list.first_checks = list.first_checks.wrapping_add(1);
        let lanes = if list.first_checks % 3 == 0 {
            [1, 0]
        } else {
            [0, 1]
        };
        let heads = lanes.map(|lane| list.head(&self.pairs, lane));
        let mut heads = heads.into_iter().flatten();
        heads.find(|&(from, _)| from <= now).map(|(_, id)| id)
    }

    /// When there is something to check: [`Instant::ZERO`] for at once.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let running = || self.orders.lists.iter().filter(|list| list.running);
        if running().any(|list| !list.triggered.is_empty()) {
            return Some(Instant::ZERO);
        }
        let first = running().filter_map(|list| list.first_check_from(&self.pairs));
        running()
            .filter_map(|list| list.next_repetition(&self.pairs))
            .map(|(at, _)| at)
            .chain(first)
            .min()
    }

    /// Whether a triggered check waits for a slot.
    pub(crate) fn has_triggered(&self) -> bool {
        let mut running = self.orders.lists.iter().filter(|list| list.running);
        running.any(|list| !list.triggered.is_empty())
    }

    /// When the next pair in progress has waited long enough.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let first = self.orders.expiring.first(&self.pairs)?;
        first.pair.schedule.expires()
    }

    /// A pair that has waited long enough at `now`.
    pub(crate) fn expired(&self, now: Instant) -> Option<PairId> {
        let first = self.orders.expiring.first(&self.pairs)?;
        let late = first.pair.schedule.expires().is_some_and(|at| at <= now);
        late.then_some(first.id)
    }

    /// Whether a pair of this component without a relay may still turn out to work.
    pub(crate) fn direct_is_open(&self, component: usize) -> bool {
        self.orders
            .components
            .get(component)
            .is_some_and(|tally| tally.open_direct > 0)
    }

    /// Whether a pair of this component without a relay has not been checked yet.
    pub(crate) fn direct_is_untested(&self, component: usize) -> bool {
        self.orders
            .components
            .get(component)
            .is_some_and(|tally| tally.untested_direct > 0)
    }

    /// The valid pairs of a component, the one to prefer first: without a relay, then by priority.
    pub(crate) fn valid(&self, component: usize) -> impl Iterator<Item = (PairId, &Pair)> {
        let tally = self.orders.components.get(component);
        let valid = tally.map(|tally| tally.valid.iter(&self.pairs).rev());
        let valid = valid.into_iter().flatten();
        valid.map(|it| (it.id, &it.pair))
    }

    /// How many valid pairs there are.
    pub(crate) fn count_valid(&self) -> usize {
        let tallies = self.orders.components.iter();
        tallies.map(|tally| tally.valid.len()).sum()
    }

    /// The valid pair to prefer over which data may be sent at `now`.
    pub(crate) fn best_with_consent(&self, component: usize, now: Instant) -> Option<PairId> {
        let mut valid = self.valid(component);
        let best = valid.find(|(_, pair)| pair.has_consent(now));
        best.map(|(id, _)| id)
    }

    /// Whether a pair of this component may still turn out to work.
    pub(crate) fn is_open(&self, component: usize) -> bool {
        self.orders
            .components
            .get(component)
            .is_some_and(|tally| tally.open > 0)
    }
}

#[cfg(test)]
mod tests;

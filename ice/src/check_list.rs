//! The check lists: candidate pairs, their states, and which of them is checked next.
//!
//! There is a list for each data stream. What is shared among them (foundations, the limit of pairs,
//! the order of names) is here too: the check list set of RFC 8445 §6.1.2.
//!
//! Every question that is asked for each datagram or each slot has an index, so that none of them
//! looks at all pairs; [`CheckLists::update`] is the only way to change a pair and keeps the indexes.

mod groups;
mod pair;
mod schedule;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;

use floe_sansio::{FiveTuple, Instant};

use crate::config::CheckOrder;
use groups::Groups;
pub use pair::PairState;
use pair::Turn;
pub(crate) use pair::{CONSENT_LIFETIME, Foundation, Pair, PairId, Traffic, UNLIKELY};
pub(crate) use schedule::Schedule;

/// What is known of one component at once.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Pairs that may still turn out to work.
    open: usize,
    /// Those of them without a relay.
    open_direct: usize,
    /// Those of these that no check has been sent over yet.
    untested_direct: usize,
    /// The valid ones, the best last: without a relay, then by priority.
    valid: BTreeSet<(bool, u64, Reverse<PairId>)>,
}

/// The check list of one data stream.
#[derive(Clone, Debug, Default)]
struct List {
    /// Whether checks are sent.
    running: bool,
    /// The FIFO queue of triggered checks (RFC 8445 §6.1.4.1).
    triggered: BTreeMap<u64, PairId>,
    /// The pairs that may be checked, those without a relay and those with one. Where the order is
    /// that of the RFC, all are in the first.
    waiting: [BTreeSet<Turn>; 2],
    /// Foundations with frozen pairs in this list and none waiting or in progress anywhere.
    thawable: BTreeSet<Foundation>,
    /// Pairs in progress, by when they are checked again.
    due: BTreeSet<(Instant, PairId)>,
    /// Pairs that nobody has checked yet, the lowest priority first.
    unchecked: BTreeSet<(u64, PairId)>,
    /// The failed ones, the lowest priority first.
    failed: BTreeSet<(u64, PairId)>,
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
    fn first_check_from(&self) -> Option<Instant> {
        let heads = (0..2).filter_map(|lane| Some(self.head(lane)?.0));
        let thaws = (!self.thawable.is_empty()).then_some(Instant::ZERO);
        heads.min().or(thaws)
    }

    /// The first pair of a lane, and when it may be checked.
    fn head(&self, lane: usize) -> Option<(Instant, PairId)> {
        let turn = self.waiting[lane].first()?;
        let from = if turn.is_likely() {
            Instant::ZERO
        } else {
            self.unlikely_from[lane]
        };
        Some((from, turn.id))
    }

    fn next_repetition(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }
}

/// The check lists of all data streams.
#[derive(Clone, Debug)]
pub(crate) struct CheckLists {
    order: CheckOrder,
    /// In boxes, for the nodes of a tree have room to spare.
    pairs: BTreeMap<PairId, Box<Pair>>,
    by_path: BTreeMap<FiveTuple, PairId>,
    lists: Vec<List>,
    components: Vec<Tally>,
    groups: Groups,
    /// Pairs in progress that wait for their last answer, by when it is too late.
    expiring: BTreeSet<(Instant, PairId)>,
    next_id: u32,
    next_trigger: u64,
    /// The list whose turn it is (RFC 8445 §6.1.4.2).
    next_list: usize,
}

impl CheckLists {
    pub(crate) const fn new(order: CheckOrder) -> Self {
        Self {
            order,
            pairs: BTreeMap::new(),
            by_path: BTreeMap::new(),
            lists: Vec::new(),
            components: Vec::new(),
            groups: Groups::new(),
            expiring: BTreeSet::new(),
            next_id: 0,
            next_trigger: 0,
            next_list: 0,
        }
    }

    pub(crate) fn get(&self, id: PairId) -> Option<&Pair> {
        self.pairs.get(&id).map(|pair| &**pair)
    }

    /// The pair whose checks take this path.
    pub(crate) fn find(&self, path: FiveTuple) -> Option<PairId> {
        self.by_path.get(&path).copied()
    }

    /// The checks of a pair take another path from now on; `false` if that is another pair's.
    pub(crate) fn set_path(&mut self, id: PairId, path: FiveTuple) -> bool {
        let Some(pair) = self.pairs.get_mut(&id) else {
            return false;
        };
        if self.by_path.get(&path).is_some_and(|&other| other != id) {
            return false;
        }
        self.by_path.remove(&pair.path);
        self.by_path.insert(path, id);
        pair.path = path;
        true
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PairId, &Pair)> {
        self.pairs.iter().map(|(&id, pair)| (id, &**pair))
    }

    /// The names of the pairs that are like this, to be changed one after the other.
    pub(crate) fn ids(&self, mut which: impl FnMut(&Pair) -> bool) -> Vec<PairId> {
        let mut ids = Vec::new();
        ids.extend(
            self.iter()
                .filter(|(_, pair)| which(pair))
                .map(|(id, _)| id),
        );
        ids
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// How many pairs a list has.
    pub(crate) fn len_of(&self, list: usize) -> usize {
        self.lists.get(list).map_or(0, |list| list.len)
    }

    /// How many checks are to be performed: the N of RFC 8445 §14.3.
    pub(crate) fn to_perform(&self) -> usize {
        let lists = self.lists.iter().filter(|list| list.running);
        lists
            .map(|list| list.waiting.iter().map(BTreeSet::len).sum::<usize>() + list.due.len())
            .sum()
    }

    /// Changes a pair, and with it its place in all indexes. `None` if there is no such pair.
    pub(crate) fn update<R>(
        &mut self,
        id: PairId,
        change: impl FnOnce(&mut Pair) -> R,
    ) -> Option<R> {
        let mut pair = self.pairs.remove(&id)?;
        self.unlink(id, &pair);
        let result = change(&mut pair);
        self.link(id, &pair);
        self.pairs.insert(id, pair);
        Some(result)
    }

    /// Changes what no index knows: counters, times, and what the peer wants.
    pub(crate) fn note(&mut self, id: PairId, change: impl FnOnce(&mut Pair)) {
        if let Some(pair) = self.pairs.get_mut(&id) {
            let before = (
                pair.state,
                pair.priority,
                pair.relayed,
                pair.valid.is_some(),
            );
            change(pair);
            debug_assert_eq!(
                before,
                (
                    pair.state,
                    pair.priority,
                    pair.relayed,
                    pair.valid.is_some()
                ),
                "what an index knows is changed by `update`"
            );
        }
    }

    fn lane(&self, pair: &Pair) -> usize {
        usize::from(pair.relayed && self.order == CheckOrder::LikelyFirst)
    }

    fn link(&mut self, id: PairId, pair: &Pair) {
        let lane = self.lane(pair);
        let turn = pair.turn(id);
        self.reach(pair.list);
        self.groups.link(id, pair);
        self.note_thaw(pair);
        while self.components.len() <= pair.component {
            self.components.push(Tally::default());
        }
        let list = &mut self.lists[pair.list];
        list.len += 1;
        match pair.state {
            PairState::Waiting => {
                list.waiting[lane].insert(turn);
            }
            PairState::InProgress => {
                if let Some(at) = pair.schedule.next() {
                    list.due.insert((at, id));
                }
                if let Some(at) = pair.schedule.expires() {
                    self.expiring.insert((at, id));
                }
            }
            // One that was spent is remembered: it is not to be made anew.
            PairState::Failed if !pair.spent => {
                list.failed.insert((pair.priority, id));
            }
            PairState::Frozen | PairState::Succeeded | PairState::Failed => {}
        }
        if let Some(number) = pair.triggered {
            list.triggered.insert(number, id);
        } else if matches!(pair.state, PairState::Frozen | PairState::Waiting)
            // What the peer has nominated is not thrown away.
            && pair.nominated_by_peer.is_none()
        {
            list.unchecked.insert((pair.priority, id));
        }
        let tally = &mut self.components[pair.component];
        tally.open += usize::from(pair.state.is_open());
        tally.open_direct += usize::from(pair.state.is_open() && !pair.relayed);
        tally.untested_direct += usize::from(pair.is_untested() && !pair.relayed);
        if pair.valid.is_some() {
            tally
                .valid
                .insert((!pair.relayed, pair.priority, Reverse(id)));
        }
    }

    fn unlink(&mut self, id: PairId, pair: &Pair) {
        let lane = self.lane(pair);
        let turn = pair.turn(id);
        self.groups.unlink(id, pair);
        self.note_thaw(pair);
        let list = &mut self.lists[pair.list];
        list.len -= 1;
        list.waiting[lane].remove(&turn);
        if let Some(at) = pair.schedule.next() {
            list.due.remove(&(at, id));
        }
        if let Some(at) = pair.schedule.expires() {
            self.expiring.remove(&(at, id));
        }
        list.failed.remove(&(pair.priority, id));
        list.unchecked.remove(&(pair.priority, id));
        if let Some(number) = pair.triggered {
            list.triggered.remove(&number);
        }
        let tally = &mut self.components[pair.component];
        tally.open -= usize::from(pair.state.is_open());
        tally.open_direct -= usize::from(pair.state.is_open() && !pair.relayed);
        tally.untested_direct -= usize::from(pair.is_untested() && !pair.relayed);
        tally
            .valid
            .remove(&(!pair.relayed, pair.priority, Reverse(id)));
    }

    /// The pairs of a foundation changed: in which lists could one be thawed now?
    fn note_thaw(&mut self, changed: &Pair) {
        if let Some(list) = self.lists.get_mut(changed.list) {
            list.thawable.remove(&changed.foundation);
        }
        let idle = !self.groups.is_active(changed.foundation);
        let mut from = 0;
        // One look at each list that has frozen pairs of it.
        while let Some((at, _)) = self.groups.frozen(changed.foundation, from).next() {
            if idle {
                self.lists[at].thawable.insert(changed.foundation);
            } else {
                self.lists[at].thawable.remove(&changed.foundation);
            }
            from = at + 1;
        }
    }

    /// Adds a pair in the state that RFC 8838 §12 gives it. Where `limit` pairs exist, one of the
    /// longest list makes room: a failed one, or one that nobody has checked and that has a lower
    /// priority; for a pair that the peer has `nominated`, any that is neither valid nor nominated.
    /// `None` if there is no such pair. Returns the new pair and the one that was evicted.
    pub(crate) fn insert(
        &mut self,
        mut pair: Pair,
        limit: usize,
        nominated: bool,
    ) -> Option<(PairId, Option<PairId>)> {
        let mut evicted = None;
        if self.pairs.len() >= limit {
            let victim = self.victim(&pair, nominated)?;
            self.remove(victim);
            evicted = Some(victim);
        }
        let id = PairId(self.next_id);
        self.next_id += 1;
        pair.state = self.initial_state(id, &pair);
        self.by_path.insert(pair.path, id);
        self.link(id, &pair);
        self.pairs.insert(id, Box::new(pair));
        Some((id, evicted))
    }

    /// The rules of RFC 8838 §12: the topmost pair of its foundation and one whose foundation has
    /// worked may be checked, others wait for them.
    fn initial_state(&self, id: PairId, new: &Pair) -> PairState {
        // Before its list begins, no pair is ahead of another.
        if !self.lists.get(new.list).is_some_and(|list| list.running) {
            return PairState::Frozen;
        }
        let top = self.groups.members(new.foundation).next();
        let topmost = top.is_none_or(|top| new.rank(id) < top);
        if topmost || self.groups.has_succeeded(new.foundation) {
            PairState::Waiting
        } else {
            PairState::Frozen
        }
    }

    /// The pair that a new one may push out (RFC 8838 §10, RFC 8445 §6.1.2.5: evenly).
    fn victim(&self, new: &Pair, nominated: bool) -> Option<PairId> {
        let longest =
            (0..self.lists.len()).max_by_key(|&at| (self.lists[at].len, at == new.list))?;
        let list = &self.lists[longest];
        if let Some(&(_, id)) = list.failed.first() {
            return Some(id);
        }
        // Another list gives way whatever its pairs are worth.
        let any = nominated || longest != new.list;
        let unchecked = list.unchecked.first();
        let unchecked = unchecked.filter(|&&(priority, _)| any || priority < new.priority);
        let checked = || {
            let mut checked = list.due.iter().rev().chain(&self.expiring);
            checked.find(|(_, id)| {
                let pair = self.pairs.get(id);
                pair.is_some_and(|it| it.list == longest && it.nominated_by_peer.is_none())
            })
        };
        match unchecked {
            Some(&(_, id)) => Some(id),
            None if nominated => checked().map(|&(_, id)| id),
            None => None,
        }
    }

    /// Checks of these lists begin. Of each foundation one pair may be checked: that of the lowest
    /// component and then of the highest priority (RFC 8445 §6.1.2.6), in whatever order the pairs
    /// were added before.
    pub(crate) fn begin(&mut self, lists: &[usize]) {
        let mut foundations = BTreeSet::new();
        for &at in lists {
            self.reach(at);
            self.lists[at].running = true;
        }
        for pair in self
            .pairs
            .values()
            .filter(|pair| lists.contains(&pair.list))
        {
            foundations.insert(pair.foundation);
        }
        for foundation in foundations {
            if self.groups.has_succeeded(foundation) {
                self.unfreeze(foundation);
            } else if !self.groups.is_active(foundation) {
                let frozen = |id| {
                    let pair = self.pairs.get(&id);
                    pair.is_some_and(|it| {
                        it.state == PairState::Frozen && self.lists[it.list].running
                    })
                };
                let members = self.groups.members(foundation).map(|(_, _, id)| id);
                let top = members.into_iter().find(|&id| frozen(id));
                if let Some(top) = top {
                    self.update(top, |pair| pair.state = PairState::Waiting);
                }
            }
        }
    }

    /// Makes sure that there is such a list.
    fn reach(&mut self, at: usize) {
        while self.lists.len() <= at {
            self.lists.push(List::default());
        }
    }

    /// No more checks of a list are sent.
    pub(crate) fn stop(&mut self, list: usize) {
        if let Some(list) = self.lists.get_mut(list) {
            list.running = false;
        }
    }

    pub(crate) fn remove(&mut self, id: PairId) -> Option<Box<Pair>> {
        let pair = self.pairs.remove(&id)?;
        self.by_path.remove(&pair.path);
        self.unlink(id, &pair);
        Some(pair)
    }

    /// Puts a pair at the end of the triggered-check queue, once.
    pub(crate) fn trigger(&mut self, id: PairId) {
        let number = self.next_trigger;
        self.next_trigger += 1;
        self.update(id, |pair| {
            pair.triggered.get_or_insert(number);
        });
    }

    /// After a success: pairs of the same foundation need wait no more (RFC 8445 §7.2.5.3.3).
    pub(crate) fn unfreeze(&mut self, foundation: Foundation) {
        loop {
            let frozen = self.groups.frozen(foundation, 0).next();
            let Some((_, id)) = frozen else {
                return;
            };
            self.update(id, |pair| pair.state = PairState::Waiting);
        }
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
        self.reach(list);
        let from = &mut self.lists[list].unlikely_from;
        *from = change(*from);
    }

    /// Takes the pair to check in this slot, of the list whose turn it is; lists without anything to
    /// check are passed over (RFC 8445 §6.1.4.2).
    pub(crate) fn next_check(&mut self, now: Instant) -> Option<PairId> {
        let count = self.lists.len();
        for step in 0..count {
            let at = (self.next_list + step) % count;
            if !self.lists[at].running {
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
        let list = &mut self.lists[at];
        if let Some((_, &id)) = list.triggered.first_key_value() {
            return Some(id);
        }
        let repetition = list
            .due
            .first()
            .filter(|&&(at, _)| at <= now)
            .map(|&(_, id)| id);
        let first = list.first_check_from().is_some_and(|from| from <= now);
        if repetition.is_some() || first {
            list.slots = list.slots.wrapping_add(1);
        }
        if repetition.is_some() && (!first || list.slots % 3 == 0) {
            return repetition;
        }
        if first {
            self.first_check(at, now)
        } else {
            None
        }
    }

    fn first_check(&mut self, at: usize, now: Instant) -> Option<PairId> {
        if self.lists[at].waiting.iter().all(BTreeSet::is_empty) {
            // One of each foundation whose pairs are all frozen (RFC 8445 §6.1.4.2).
            while let Some(&foundation) = self.lists[at].thawable.first() {
                let frozen = self.groups.frozen(foundation, at).next();
                let (_, id) = frozen.filter(|&(list, _)| list == at)?;
                self.update(id, |pair| pair.state = PairState::Waiting);
            }
        }
        let list = &mut self.lists[at];
        list.first_checks = list.first_checks.wrapping_add(1);
        let lanes = if list.first_checks % 3 == 0 {
            [1, 0]
        } else {
            [0, 1]
        };
        let heads = lanes.map(|lane| list.head(lane));
        let mut heads = heads.into_iter().flatten();
        heads.find(|&(from, _)| from <= now).map(|(_, id)| id)
    }

    /// When there is something to check: [`Instant::ZERO`] for at once.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let running = || self.lists.iter().filter(|list| list.running);
        if running().any(|list| !list.triggered.is_empty()) {
            return Some(Instant::ZERO);
        }
        let first = running().filter_map(List::first_check_from);
        running()
            .filter_map(List::next_repetition)
            .chain(first)
            .min()
    }

    /// Whether a triggered check waits for a slot.
    pub(crate) fn has_triggered(&self) -> bool {
        let mut running = self.lists.iter().filter(|list| list.running);
        running.any(|list| !list.triggered.is_empty())
    }

    /// When the next pair in progress has waited long enough.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiring.first().map(|&(at, _)| at)
    }

    /// A pair that has waited long enough at `now`.
    pub(crate) fn expired(&self, now: Instant) -> Option<PairId> {
        self.expiring
            .first()
            .filter(|&&(at, _)| at <= now)
            .map(|&(_, id)| id)
    }

    /// Whether a pair of this component without a relay may still turn out to work.
    pub(crate) fn direct_is_open(&self, component: usize) -> bool {
        self.components
            .get(component)
            .is_some_and(|tally| tally.open_direct > 0)
    }

    /// Whether a pair of this component without a relay has not been checked yet.
    pub(crate) fn direct_is_untested(&self, component: usize) -> bool {
        self.components
            .get(component)
            .is_some_and(|tally| tally.untested_direct > 0)
    }

    /// The valid pairs of a component, the one to prefer first: without a relay, then by priority.
    pub(crate) fn valid(&self, component: usize) -> impl Iterator<Item = (PairId, &Pair)> {
        let tally = self.components.get(component);
        let valid = tally.into_iter().flat_map(|tally| tally.valid.iter().rev());
        valid.filter_map(|&(_, _, Reverse(id))| Some((id, self.get(id)?)))
    }

    /// The valid pair to prefer over which data may be sent at `now`.
    pub(crate) fn best_with_consent(&self, component: usize, now: Instant) -> Option<PairId> {
        let mut valid = self.valid(component);
        let best = valid.find(|(_, pair)| pair.has_consent(now));
        best.map(|(id, _)| id)
    }

    /// Whether a pair of this component may still turn out to work.
    pub(crate) fn is_open(&self, component: usize) -> bool {
        self.components
            .get(component)
            .is_some_and(|tally| tally.open > 0)
    }
}

#[cfg(test)]
mod tests;

//! What all pairs of one foundation, in all lists, have to do with each other.

use alloc::collections::BTreeMap;

use super::add;
use super::pair::{Foundation, Named, Pair, PairId, PairState, Rank, Turn};
use super::pairs::Pairs;
use crate::order::Order;

/// The pairs by foundation.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    members: Order,
    /// The frozen ones, by list.
    frozen: Order,
    counts: BTreeMap<Foundation, Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    members: u16,
    /// Waiting or in progress.
    active: u16,
    succeeded: u16,
}

/// The order of members: the lowest component, then the highest priority (RFC 8445 §6.1.2.6).
fn by_rank(it: &Named) -> (Foundation, Rank) {
    (it.pair.foundation, it.pair.rank(it.id))
}

/// The order of the frozen: list by list as they are checked.
fn by_turn(it: &Named) -> (Foundation, u16, Turn) {
    (it.pair.foundation, it.pair.list, it.pair.turn(it.id))
}

impl Groups {
    pub(super) const fn new() -> Self {
        Self {
            members: Order::new(),
            frozen: Order::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Puts a pair into its place, or takes it out.
    pub(super) fn place(&mut self, pairs: &Pairs, id: PairId, pair: &Pair, there: bool) {
        self.members.place(pairs, id.slot(), by_rank, there);
        if pair.state == PairState::Frozen {
            self.frozen.place(pairs, id.slot(), by_turn, there);
        }
        let counts = self.counts.entry(pair.foundation).or_default();
        add(&mut counts.members, 1, there);
        add(&mut counts.active, pair.state.is_active().into(), there);
        let succeeded = pair.state == PairState::Succeeded;
        add(&mut counts.succeeded, succeeded.into(), there);
        if counts.members == 0 {
            self.counts.remove(&pair.foundation);
        }
    }

    /// Whether a pair is waiting or in progress.
    pub(super) fn is_active(&self, foundation: Foundation) -> bool {
        let counts = self.counts.get(&foundation);
        counts.is_some_and(|counts| counts.active > 0)
    }

    pub(super) fn has_succeeded(&self, foundation: Foundation) -> bool {
        let counts = self.counts.get(&foundation);
        counts.is_some_and(|counts| counts.succeeded > 0)
    }

    /// The pairs, the topmost first.
    pub(super) fn members<'a>(
        &self,
        pairs: &'a Pairs,
        foundation: Foundation,
    ) -> impl Iterator<Item = &'a Named> {
        let members = self
            .members
            .skip_while(pairs, move |it| it.pair.foundation < foundation);
        members.take_while(move |it| it.pair.foundation == foundation)
    }

    /// The frozen pairs, list by list in the order in which they are checked.
    pub(super) fn frozen<'a>(
        &self,
        pairs: &'a Pairs,
        foundation: Foundation,
        from_list: usize,
    ) -> impl Iterator<Item = &'a Named> {
        let frozen = self.frozen.skip_while(pairs, move |it| {
            (it.pair.foundation, it.pair.list()) < (foundation, from_list)
        });
        frozen.take_while(move |it| it.pair.foundation == foundation)
    }
}

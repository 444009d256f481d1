//! What all pairs of one foundation, in all lists, have to do with each other.

use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;

use super::pair::{Foundation, Pair, PairId, PairState, Turn};

/// The order within a foundation: the lowest component, then the highest priority
/// (RFC 8445 §6.1.2.6).
type Rank = (u16, Reverse<u64>, PairId);

/// The pairs by foundation.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    members: BTreeSet<(Foundation, Rank)>,
    /// The frozen ones, by list.
    frozen: BTreeSet<(Foundation, usize, Turn)>,
    counts: BTreeMap<Foundation, Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    members: u32,
    /// Waiting or in progress.
    active: u32,
    succeeded: u32,
}

impl Groups {
    pub(super) const fn new() -> Self {
        Self {
            members: BTreeSet::new(),
            frozen: BTreeSet::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn link(&mut self, id: PairId, pair: &Pair) {
        self.members.insert((pair.foundation, pair.rank(id)));
        if pair.state == PairState::Frozen {
            self.frozen
                .insert((pair.foundation, pair.list, pair.turn(id)));
        }
        let counts = self.counts.entry(pair.foundation).or_default();
        counts.members += 1;
        counts.active += u32::from(pair.state.is_active());
        counts.succeeded += u32::from(pair.state == PairState::Succeeded);
    }

    pub(super) fn unlink(&mut self, id: PairId, pair: &Pair) {
        self.members.remove(&(pair.foundation, pair.rank(id)));
        self.frozen
            .remove(&(pair.foundation, pair.list, pair.turn(id)));
        if let Some(counts) = self.counts.get_mut(&pair.foundation) {
            counts.members -= 1;
            counts.active -= u32::from(pair.state.is_active());
            counts.succeeded -= u32::from(pair.state == PairState::Succeeded);
            if counts.members == 0 {
                self.counts.remove(&pair.foundation);
            }
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
    pub(super) fn members(&self, foundation: Foundation) -> impl Iterator<Item = Rank> + '_ {
        let first = (foundation, (0, Reverse(u64::MAX), PairId::FIRST));
        let members = self.members.range(first..);
        members
            .take_while(move |(of, _)| *of == foundation)
            .map(|&(_, rank)| rank)
    }

    /// The frozen pairs with their lists, list by list in the order in which they are checked.
    pub(super) fn frozen(
        &self,
        foundation: Foundation,
        from_list: usize,
    ) -> impl Iterator<Item = (usize, PairId)> + '_ {
        let frozen = self.frozen.range((foundation, from_list, Turn::FIRST)..);
        frozen
            .take_while(move |&&(of, ..)| of == foundation)
            .map(|&(_, list, turn)| (list, turn.id))
    }
}

//! When to look after each allocation.

use alloc::vec::Vec;

use floe_sansio::Instant;

use super::slab::Slot;

/// Children of a node: four of 16 bytes fill a cache line.
const ARITY: usize = 4;

/// Not in the heap.
const NOWHERE: u32 = u32::MAX;

/// One deadline a slot in a heap that knows where each slot is. The next one is at hand; moving one
/// costs O(log n).
///
/// Whose deadline moves away need not say so: the owner looks at it when the old one comes, and sets
/// the new one then. So a Refresh, which is common, costs nothing here.
#[derive(Clone, Debug, Default)]
pub(super) struct Deadlines {
    heap: Vec<(Instant, Slot)>,
    /// Where in the heap each slot is.
    places: Vec<u32>,
}

impl Deadlines {
    pub(super) const fn new() -> Self {
        Self {
            heap: Vec::new(),
            places: Vec::new(),
        }
    }

    /// The next deadline, and whose it is.
    pub(super) fn next(&self) -> Option<(Instant, Slot)> {
        self.heap.first().copied()
    }

    /// The deadline of a slot.
    pub(super) fn get(&self, slot: Slot) -> Option<Instant> {
        let place = *self.places.get(slot as usize)?;
        self.heap.get(place as usize).map(|&(at, _)| at)
    }

    /// Gives a slot a deadline, or moves it.
    pub(super) fn set(&mut self, slot: Slot, at: Instant) {
        let index = slot as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, NOWHERE);
        }
        if self.places[index] == NOWHERE {
            self.places[index] = self.heap.len() as u32;
            self.heap.push((at, slot));
        }
        let place = self.places[index] as usize;
        self.heap[place].0 = at;
        self.settle(place);
    }

    /// Takes the deadline of a slot away.
    pub(super) fn stop(&mut self, slot: Slot) {
        let Some(place) = self.places.get_mut(slot as usize) else {
            return;
        };
        let place = core::mem::replace(place, NOWHERE);
        if place == NOWHERE {
            return;
        }
        let place = place as usize;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// Moves what lies at `place` to where it belongs.
    fn settle(&mut self, mut place: usize) {
        let moving = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / ARITY;
            if self.heap[parent] <= moving {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        loop {
            let first = place * ARITY + 1;
            let children = self.heap.iter().enumerate().skip(first).take(ARITY);
            match children.min_by_key(|&(_, it)| *it) {
                Some((child, &least)) if least < moving => {
                    self.put(place, least);
                    place = child;
                }
                _ => break,
            }
        }
        self.put(place, moving);
    }

    fn put(&mut self, place: usize, it: (Instant, Slot)) {
        self.heap[place] = it;
        self.places[it.1 as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use floe_sansio::Entropy;
    use std::collections::BTreeMap;

    #[test]
    fn the_next_is_always_the_earliest() {
        let mut entropy = Entropy::new([1; 32]);
        let mut deadlines = Deadlines::new();
        let mut model = BTreeMap::new();
        for _ in 0..20_000 {
            let slot = entropy.below(200);
            if entropy.below(3) == 0 {
                deadlines.stop(slot);
                model.remove(&slot);
            } else {
                let at = Instant::from_secs(u64::from(entropy.below(1000)));
                deadlines.set(slot, at);
                model.insert(slot, at);
            }
            let first = model.iter().map(|(&slot, &at)| (at, slot)).min();
            assert_eq!(deadlines.next(), first);
            assert_eq!(deadlines.get(slot), model.get(&slot).copied());
        }
    }
}

//! Where allocations lie.

use alloc::vec::Vec;

/// A place in the slab.
pub(super) type Slot = u32;

/// Entries of a page, a power of two. Pages never move, so that no call copies more than one.
const PAGE: usize = 4096;

/// No vacant place.
const END: Slot = Slot::MAX;

/// Things in numbered places; a place that is given back is used again, the last one first.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    pages: Vec<Vec<Entry<T>>>,
    vacant: Slot,
    places: usize,
}

#[derive(Clone, Debug)]
enum Entry<T> {
    Taken(T),
    Vacant { next: Slot },
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self {
            pages: Vec::new(),
            vacant: END,
            places: 0,
        }
    }

    /// Where the next thing will lie.
    pub(super) const fn next_slot(&self) -> Slot {
        if self.vacant == END {
            self.places as Slot
        } else {
            self.vacant
        }
    }

    /// Puts a thing into [`Self::next_slot`].
    pub(super) fn insert(&mut self, thing: T) -> Slot {
        let slot = self.next_slot();
        let (page, at) = split(slot);
        if let Some(entry) = self.pages.get_mut(page).and_then(|page| page.get_mut(at)) {
            if let Entry::Vacant { next } = *entry {
                self.vacant = next;
            }
            *entry = Entry::Taken(thing);
            return slot;
        }
        if page == self.pages.len() {
            // The first grows as it is needed, the others are large from the beginning.
            let capacity = if page == 0 { 0 } else { PAGE };
            self.pages.push(Vec::with_capacity(capacity));
        }
        self.pages[page].push(Entry::Taken(thing));
        self.places += 1;
        slot
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        let (page, at) = split(slot);
        match self.pages.get(page)?.get(at)? {
            Entry::Taken(thing) => Some(thing),
            Entry::Vacant { .. } => None,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let (page, at) = split(slot);
        match self.pages.get_mut(page)?.get_mut(at)? {
            Entry::Taken(thing) => Some(thing),
            Entry::Vacant { .. } => None,
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let (page, at) = split(slot);
        let entry = self.pages.get_mut(page)?.get_mut(at)?;
        let next = self.vacant;
        match core::mem::replace(entry, Entry::Vacant { next }) {
            Entry::Taken(thing) => {
                self.vacant = slot;
                Some(thing)
            }
            vacant @ Entry::Vacant { .. } => {
                *entry = vacant;
                None
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten().filter_map(|entry| match entry {
            Entry::Taken(thing) => Some(thing),
            Entry::Vacant { .. } => None,
        })
    }
}

const fn split(slot: Slot) -> (usize, usize) {
    (slot as usize / PAGE, slot as usize % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::new();
        for n in 0..10_000u32 {
            assert_eq!(slab.next_slot(), n);
            assert_eq!(slab.insert(n), n);
        }
        assert_eq!(
            (slab.remove(7), slab.remove(7), slab.remove(9000)),
            (Some(7), None, Some(9000))
        );
        assert_eq!(
            (slab.get(7), slab.get(8), slab.get(10_000)),
            (None, Some(&8), None)
        );
        assert_eq!(
            (slab.insert(1), slab.insert(2), slab.insert(3)),
            (9000, 7, 10_000)
        );
        assert_eq!(slab.iter().count(), 10_001);
    }
}

//! Things in an order.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// A place in a list as it is kept: no list is longer than this can say.
pub(crate) fn small(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// Makes room for one more in a list that will never have more than `limit`. It has few steps, of which
/// the last is a long one: while a list moves, it takes its old room and its new.
pub(crate) fn grow<T>(list: &mut Vec<T>, limit: usize) {
    let len = list.len();
    if len == list.capacity() {
        let next = len.saturating_mul(4).max(8);
        let next = if next > limit / 2 { limit } else { next };
        list.reserve_exact(next.saturating_sub(len).max(1));
    }
}

/// Where things are kept that are in an [`Order`], each in a slot of its own.
pub(crate) trait Slots {
    type Item;

    /// What is in a slot.
    fn slot(&self, slot: u16) -> Option<&Self::Item>;
}

impl<T> Slots for Vec<T> {
    type Item = T;

    fn slot(&self, slot: u16) -> Option<&T> {
        self.get(usize::from(slot))
    }
}

/// Some of the things that are kept in slots, in an order that follows from what they are: two bytes
/// for each.
///
/// The same key has to be given to all methods of one order, and must tell any two things apart. A thing
/// is taken out before it changes, and put in afterwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order(Vec<u16>);

impl Order {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Puts what is in a slot into its place, or takes it out.
    pub(crate) fn place<'a, S: Slots, K: Ord>(
        &mut self,
        slots: &'a S,
        slot: u16,
        key: impl Fn(&'a S::Item) -> K,
        there: bool,
    ) {
        let Some(own) = slots.slot(slot) else {
            return;
        };
        let own = key(own);
        match (self.search(slots, |it| key(it).cmp(&own)), there) {
            (Err(at), true) => self.0.insert(at, slot),
            (Ok(at), false) => {
                self.0.remove(at);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
    }

    fn search<'a, S: Slots>(
        &self,
        slots: &'a S,
        compare: impl Fn(&'a S::Item) -> Ordering,
    ) -> Result<usize, usize> {
        self.0
            .binary_search_by(|&slot| slots.slot(slot).map_or(Ordering::Less, &compare))
    }

    /// The slot of the thing that compares as equal to what is looked for.
    pub(crate) fn find<S: Slots>(
        &self,
        slots: &S,
        compare: impl Fn(&S::Item) -> Ordering,
    ) -> Option<u16> {
        let at = self.search(slots, compare).ok()?;
        self.0.get(at).copied()
    }

    /// What comes after the things that are `before`.
    pub(crate) fn skip_while<'a, S: Slots>(
        &self,
        slots: &'a S,
        before: impl Fn(&S::Item) -> bool,
    ) -> impl DoubleEndedIterator<Item = &'a S::Item> {
        let at = self
            .0
            .partition_point(|&slot| slots.slot(slot).is_some_and(&before));
        let rest = self.0.get(at..).unwrap_or_default();
        rest.iter().filter_map(|&slot| slots.slot(slot))
    }

    pub(crate) fn iter<'a, S: Slots>(
        &self,
        slots: &'a S,
    ) -> impl DoubleEndedIterator<Item = &'a S::Item> {
        self.0.iter().filter_map(|&slot| slots.slot(slot))
    }

    pub(crate) fn first<'a, S: Slots>(&self, slots: &'a S) -> Option<&'a S::Item> {
        self.0.first().and_then(|&slot| slots.slot(slot))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

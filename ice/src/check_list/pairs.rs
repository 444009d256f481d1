//! Where the pairs are kept.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::pair::{Named, Pair, PairId};
use crate::order::{Slots, small};

/// All pairs, each in the slot that its name tells.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    // In boxes, for a vector has room to spare.
    slots: Vec<Option<Box<Named>>>,
    free: Vec<u16>,
    next: PairId,
}

impl Slots for Pairs {
    type Item = Named;

    fn slot(&self, slot: u16) -> Option<&Named> {
        self.named(slot)
    }
}

impl Pairs {
    /// More than anybody needs.
    pub(super) const MOST: usize = u16::MAX as usize;

    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            next: PairId::FIRST,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// What is in a slot.
    pub(super) fn named(&self, slot: u16) -> Option<&Named> {
        self.slots.get(usize::from(slot))?.as_deref()
    }

    pub(super) fn get(&self, id: PairId) -> Option<&Pair> {
        let named = self.named(id.slot()).filter(|it| it.id == id);
        named.map(|it| &it.pair)
    }

    pub(super) fn get_mut(&mut self, id: PairId) -> Option<&mut Pair> {
        let named = self.slots.get_mut(usize::from(id.slot()))?.as_mut();
        named.filter(|it| it.id == id).map(|it| &mut it.pair)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Named> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    /// Keeps a pair, of which there may be [`Self::MOST`].
    pub(super) fn insert(&mut self, pair: Pair) -> PairId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            small(self.slots.len() - 1)
        });
        let id = self.next.in_slot(slot);
        self.next = id.next();
        if let Some(place) = self.slots.get_mut(usize::from(slot)) {
            *place = Some(Box::new(Named { id, pair }));
        }
        id
    }

    pub(super) fn remove(&mut self, id: PairId) {
        if self.get(id).is_some() {
            self.slots[usize::from(id.slot())] = None;
            self.free.push(id.slot());
        }
    }
}

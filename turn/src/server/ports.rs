use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use floe_sansio::Entropy;

/// The place of an allocation in the server's slab.
pub(super) type Slot = u32;

/// No allocation.
const FREE: Slot = Slot::MAX;

/// The ports of one relay address: which are free, and whose the others are. All operations are O(1).
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) ip: IpAddr,
    first: u16,
    /// Even and odd ports that are free, in no order.
    free: [Vec<u16>; 2],
    owners: Vec<Slot>,
}

impl Ports {
    /// The ports of `range` that are not `taken`; never the well-known ones (RFC 8656 §7.2).
    pub(super) fn new(ip: IpAddr, range: RangeInclusive<u16>, taken: impl Fn(u16) -> bool) -> Self {
        let first = (*range.start()).max(1024);
        let range = first..=*range.end();
        let mut free = [Vec::new(), Vec::new()];
        for port in range.clone().filter(|&port| !taken(port)) {
            free[usize::from(port % 2)].push(port);
        }
        Self {
            ip,
            first,
            free,
            owners: vec![FREE; range.len()],
        }
    }

    /// Takes a random free port for `slot`, an even one if wanted (RFC 8656 §7.2).
    pub(super) fn take(&mut self, entropy: &mut Entropy, even: bool, slot: Slot) -> Option<u16> {
        let [evens, odds] = &mut self.free;
        let count = evens.len() + if even { 0 } else { odds.len() };
        if count == 0 {
            return None;
        }
        let index = entropy.below(count as u32) as usize;
        let port = match index.checked_sub(evens.len()) {
            None => evens.swap_remove(index),
            Some(index) => odds.swap_remove(index),
        };
        self.owners[usize::from(port - self.first)] = slot;
        Some(port)
    }

    /// Gives a port back.
    pub(super) fn give_back(&mut self, port: u16) {
        let owner = self.index(port).and_then(|at| self.owners.get_mut(at));
        if let Some(owner) = owner.filter(|owner| **owner != FREE) {
            *owner = FREE;
            self.free[usize::from(port % 2)].push(port);
        }
    }

    /// Whose port it is.
    pub(super) fn owner(&self, port: u16) -> Option<Slot> {
        let owner = *self.owners.get(self.index(port)?)?;
        (owner != FREE).then_some(owner)
    }

    /// Whether the port is one that could be taken.
    pub(super) fn covers(&self, port: u16) -> bool {
        self.index(port).is_some_and(|at| at < self.owners.len())
    }

    pub(super) fn free_count(&self) -> usize {
        self.free.iter().map(Vec::len).sum()
    }

    fn index(&self, port: u16) -> Option<usize> {
        port.checked_sub(self.first).map(usize::from)
    }
}

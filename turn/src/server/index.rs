//! From 5-tuples to places in the slab: the one table that hostile packets look something up in.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use floe_sansio::{Entropy, FiveTuple};

use super::slab::Slot;

/// Parts of the table, a power of two. They grow one at a time, so that no call moves more than a
/// 64th of the table.
const PARTS: usize = 64;

/// Entries of the smallest part that is not empty, a power of two.
const SMALLEST: usize = 8;

/// No entry.
const EMPTY: u64 = 0;

/// A hash table from 5-tuples to slots; the 5-tuples themselves lie in the slab.
///
/// An entry is 8 bytes, 32 bits of the hash and the slot, so that finding an allocation costs one read
/// here and one there. Of a 5-tuple the hash takes the remote address and the local port; those that
/// differ in the rest only are as few as the server has listeners.
#[derive(Clone, Debug)]
pub(super) struct Index {
    hasher: Keyed,
    parts: Vec<Part>,
    len: usize,
}

/// A multiply-shift hash of up to three words, with secret random numbers: no two 5-tuples that are
/// chosen without knowing them have one hash more often than by chance. What gets into the table has
/// proven its address and its user and is counted for both, and no answer shows the hash, so nobody
/// learns enough to do better. `SipHash` would take a third of the time of a packet.
#[derive(Clone)]
struct Keyed {
    multipliers: [u128; 3],
    summand: u128,
}

impl Keyed {
    fn new(entropy: &mut Entropy) -> Self {
        let mut number = || u128::from_be_bytes(entropy.bytes());
        Self {
            multipliers: [number(), number(), number()],
            summand: number(),
        }
    }

    #[inline]
    fn hash<const N: usize>(&self, words: [u64; N]) -> Hash {
        let products = (words.into_iter().zip(self.multipliers))
            .map(|(word, multiplier)| multiplier.wrapping_mul(u128::from(word)));
        let sum = products.fold(self.summand, u128::wrapping_add);
        Hash((sum >> 64) as u64)
    }
}

/// Tells nothing of the secret.
impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(..)")
    }
}

/// Open addressing with linear probing, at most three quarters full.
#[derive(Clone, Debug, Default)]
struct Part {
    /// As many as a power of two, or none.
    entries: Vec<u64>,
    len: usize,
}

/// The hash of a 5-tuple.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Hash {
    const fn part(self) -> usize {
        self.0 as usize % PARTS
    }

    const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Index {
    pub(super) fn new(entropy: &mut Entropy) -> Self {
        Self {
            hasher: Keyed::new(entropy),
            parts: vec![Part::default(); PARTS],
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn hash(&self, path: &FiveTuple) -> Hash {
        let ports = u64::from(path.remote.port()) << 16 | u64::from(path.local.port());
        match path.remote {
            SocketAddr::V4(remote) => {
                let ip = u64::from(remote.ip().to_bits());
                self.hasher.hash([ip << 32 | ports])
            }
            SocketAddr::V6(remote) => {
                let ip = remote.ip().to_bits();
                self.hasher.hash([ip as u64, (ip >> 64) as u64, ports])
            }
        }
    }

    /// The slot under `hash` that `is_it`.
    #[allow(clippy::inline_always)] // with its part, a fifteenth of a packet in a channel
    #[inline(always)]
    pub(super) fn get(&self, hash: Hash, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        let (_, slot) = self.parts[hash.part()].find(hash.tag(), is_it)?;
        Some(slot)
    }

    /// Adds a slot, which must not be there.
    pub(super) fn insert(&mut self, hash: Hash, slot: Slot) {
        let part = &mut self.parts[hash.part()];
        if (part.len + 1) * 4 > part.entries.len() * 3 {
            part.grow();
        }
        part.insert(entry(hash.tag(), slot));
        part.len += 1;
        self.len += 1;
    }

    /// Takes a slot out, if it is there.
    pub(super) fn remove(&mut self, hash: Hash, slot: Slot) {
        let part = &mut self.parts[hash.part()];
        if let Some((at, _)) = part.find(hash.tag(), |other| other == slot) {
            part.clear(at);
            part.len -= 1;
            self.len -= 1;
        }
    }
}

const fn entry(tag: u32, slot: Slot) -> u64 {
    (tag as u64) << 32 | (slot as u64 + 1)
}

const fn tag(entry: u64) -> u32 {
    (entry >> 32) as u32
}

const fn slot(entry: u64) -> Slot {
    (entry as u32).wrapping_sub(1)
}

impl Part {
    #[allow(clippy::inline_always)] // see `Index::get`
    #[inline(always)]
    fn find(&self, wanted: u32, is_it: impl Fn(Slot) -> bool) -> Option<(usize, Slot)> {
        let mask = self.entries.len().checked_sub(1)?;
        let mut at = wanted as usize & mask;
        loop {
            let entry = self.entries[at];
            if entry == EMPTY {
                return None;
            }
            if tag(entry) == wanted && is_it(slot(entry)) {
                return Some((at, slot(entry)));
            }
            at = (at + 1) & mask;
        }
    }

    /// Needs a place that is empty.
    fn insert(&mut self, entry: u64) {
        let mask = self.entries.len() - 1;
        let mut at = tag(entry) as usize & mask;
        while self.entries[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }

    /// Empties a place, and closes the gap for those behind it that would no longer be found.
    fn clear(&mut self, mut gap: usize) {
        let mask = self.entries.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry == EMPTY {
                break;
            }
            let home = tag(entry) as usize;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.entries[gap] = entry;
                gap = at;
            }
        }
        self.entries[gap] = EMPTY;
    }

    fn grow(&mut self) {
        let size = (self.entries.len() * 2).max(SMALLEST);
        let old = core::mem::replace(&mut self.entries, vec![EMPTY; size]);
        for entry in old.into_iter().filter(|&entry| entry != EMPTY) {
            self.insert(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use std::collections::BTreeSet;

    fn path(ip: u32, port: u16) -> FiveTuple {
        let remote = SocketAddr::new(Ipv4Addr::from_bits(ip).into(), port);
        FiveTuple::udp("192.0.2.1:3478".parse().unwrap(), remote)
    }

    fn longest_run(index: &Index) -> usize {
        let runs = index.parts.iter().flat_map(|part| {
            part.entries
                .split(|&entry| entry == EMPTY)
                .map(<[u64]>::len)
        });
        runs.max().unwrap()
    }

    #[test]
    fn it_is_a_map() {
        let mut entropy = Entropy::new([1; 32]);
        let mut index = Index::new(&mut entropy);
        let mut model = BTreeSet::new();
        for step in 0..20_000 {
            let slot = entropy.below(3000);
            let hash = index.hash(&path(slot, 7));
            if model.remove(&slot) {
                index.remove(hash, slot);
            } else {
                index.insert(hash, slot);
                model.insert(slot);
            }
            if step % 500 == 0 {
                for slot in 0..3000 {
                    let found = index.get(index.hash(&path(slot, 7)), |it| it == slot);
                    assert_eq!(found.is_some(), model.contains(&slot), "{slot}");
                }
                assert_eq!(index.len(), model.len());
            }
        }
    }

    /// Attack 37: addresses and ports in any regular order, and those that collide under one key, are
    /// spread by another.
    #[test]
    fn no_choice_of_addresses_makes_long_searches() {
        const COUNT: u32 = 20_000;
        let known = Index::new(&mut Entropy::new([1; 32]));
        let collides = (0u32..).filter(|&ip| known.hash(&path(ip, 1)).tag() % 1024 == 0);
        let collides: Vec<_> = collides.take(2000).map(|ip| path(ip, 1)).collect();
        let patterns: [Vec<FiveTuple>; 4] = [
            (0..COUNT).map(|i| path(0x0900_0001, i as u16)).collect(),
            (0..COUNT).map(|i| path(i << 8, 1)).collect(),
            (0..COUNT).map(|i| path(i, i as u16)).collect(),
            collides,
        ];
        for paths in patterns {
            let mut index = Index::new(&mut Entropy::new([2; 32]));
            for (slot, path) in paths.iter().enumerate() {
                index.insert(index.hash(path), slot as Slot);
            }
            assert!(longest_run(&index) < 100, "{}", longest_run(&index));
        }
    }

    #[test]
    fn debug_tells_no_key() {
        let index = Index::new(&mut Entropy::new([1; 32]));
        assert!(std::format!("{index:?}").contains("Keyed(..)"));
    }
}

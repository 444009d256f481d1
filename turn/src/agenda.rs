use alloc::collections::{BTreeMap, BTreeSet};

use floe_sansio::Instant;

/// Deadlines of many things, one for each key; every operation costs O(log n).
#[derive(Clone, Debug)]
pub(crate) struct Agenda<K> {
    by_key: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Copy> Agenda<K> {
    pub(crate) const fn new() -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_time: BTreeSet::new(),
        }
    }

    /// Gives `key` a deadline, or moves it.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        self.stop(key);
        self.by_key.insert(key, at);
        self.by_time.insert((at, key));
    }

    /// Takes the deadline away.
    pub(crate) fn stop(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes the next key whose deadline has come.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.by_time.first()?;
        (at <= now).then(|| {
            self.stop(key);
            key
        })
    }
}

//! Draws of a case, one after the other.

use core::time::Duration;

use crate::random::{Purpose, Random, entity};

/// The draws of one seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice {
    random: Random,
    next: u64,
}

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            next: 0,
        }
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next += 1;
        self.random
            .below(entity("search"), Purpose::Scenario, self.next, bound)
    }

    /// Whether something that happens in so many of 100 cases does.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these, all equally likely.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.index(N)]
    }

    /// One of these, each as likely as its weight says.
    pub(super) fn weighted<T: Copy, const N: usize>(&mut self, from: [(u64, T); N]) -> T {
        let mut left = self.below(from.iter().map(|&(weight, _)| weight).sum());
        for (weight, value) in from {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return value,
            }
        }
        from[0].1
    }

    /// A place among so many.
    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// A time of so many milliseconds at most, to the microsecond.
    pub(super) fn up_to(&mut self, millis: u64) -> Duration {
        Duration::from_micros(self.below(millis * 1_000 + 1))
    }
}

//! The search for the lifetime of a binding.

use core::time::Duration;

use super::config::LifetimeSearch;
use super::report::Lifetime;

/// Doubles the wait until a binding is found expired, then halves the gap (RFC 5780 §4.6).
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    config: LifetimeSearch,
    alive: Duration,
    expired: Option<Duration>,
}

/// Least wait and resolution: no search without time.
const LEAST: Duration = Duration::from_millis(1);

impl Search {
    pub(super) const fn new(config: LifetimeSearch) -> Self {
        Self {
            config,
            alive: Duration::ZERO,
            expired: None,
        }
    }

    /// How long to wait next; `None` at the end.
    pub(super) fn next(&self) -> Option<Duration> {
        let longest = self.config.longest.max(LEAST);
        match self.expired {
            Some(expired) => {
                let gap = expired.saturating_sub(self.alive);
                (gap > self.config.resolution.max(LEAST)).then(|| self.alive + gap / 2)
            }
            None if self.alive >= longest => None,
            None => {
                let doubled = self.alive.saturating_mul(2).max(self.config.first);
                Some(doubled.clamp(LEAST, longest))
            }
        }
    }

    /// What became of a binding after `wait`.
    pub(super) const fn learn(&mut self, wait: Duration, alive: bool) {
        if alive {
            self.alive = wait;
        } else {
            self.expired = Some(wait);
        }
    }

    pub(super) const fn result(&self) -> Lifetime {
        Lifetime {
            at_least: self.alive,
            less_than: self.expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(lifetime: u64) -> (Lifetime, u32) {
        let mut search = Search::new(LifetimeSearch::default());
        let mut tries = 0;
        while let Some(wait) = search.next() {
            search.learn(wait, wait < Duration::from_secs(lifetime));
            tries += 1;
        }
        (search.result(), tries)
    }

    #[test]
    fn every_lifetime_is_found_to_the_second() {
        for seconds in 1..600 {
            let (found, tries) = search(seconds);
            let lifetime = Duration::from_secs(seconds);
            let less_than = found.less_than.unwrap();
            assert!(found.at_least < lifetime && lifetime <= less_than);
            assert!(less_than <= found.at_least + Duration::from_secs(1));
            assert!(tries <= 16, "{tries}");
        }
    }

    #[test]
    fn what_outlives_the_search_is_left_alone() {
        let (found, tries) = search(u64::MAX);
        assert_eq!(found.at_least, Duration::from_secs(600));
        assert_eq!((found.less_than, tries), (None, 7));
    }
}

//! Links: delay, jitter, loss, duplication, corruption.

use core::time::Duration;

use crate::random::{Probability, Purpose, Random};

/// How long a packet takes, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delay {
    /// Always the same.
    Constant(Duration),
    /// Anything from `low` to `high`, all equally likely.
    Uniform {
        /// The least.
        low: Duration,
        /// The most.
        high: Duration,
    },
}

impl Delay {
    /// The least it can be.
    pub const fn least(self) -> Duration {
        match self {
            Self::Constant(delay) => delay,
            Self::Uniform { low, .. } => low,
        }
    }
}

/// What a link does to the packets that cross it; both directions alike.
///
/// ```
/// use core::time::Duration;
/// use floe_sim::{Link, Probability};
///
/// let access = Link::delay(Duration::from_millis(10)).with_loss(Probability::percent(1));
/// assert_eq!(access.loss.as_ppm(), 10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// How long a packet takes.
    pub delay: Delay,
    /// Whether a delay that varies may let packets overtake each other. If not, packets of one sender
    /// to one receiver arrive in the order in which they were sent.
    pub reorder: bool,
    /// How likely a packet is lost, each on its own.
    pub loss: Probability,
    /// How likely a packet arrives twice.
    pub duplicate: Probability,
    /// How likely one bit of a packet is flipped.
    pub corrupt: Probability,
}

impl Link {
    /// A wire without length.
    pub const IDEAL: Self = Self::delay(Duration::ZERO);
    /// A local network: 0.2 ms one way.
    pub const LAN: Self = Self::delay(Duration::from_micros(200));

    /// A link with a constant delay and no faults.
    pub const fn delay(delay: Duration) -> Self {
        Self {
            delay: Delay::Constant(delay),
            reorder: false,
            loss: Probability::NEVER,
            duplicate: Probability::NEVER,
            corrupt: Probability::NEVER,
        }
    }

    /// The same link with a delay between `low` and `high`; packets keep their order.
    #[must_use]
    pub const fn with_jitter(self, low: Duration, high: Duration) -> Self {
        Self {
            delay: Delay::Uniform { low, high },
            ..self
        }
    }

    /// The same link, on which packets may overtake each other.
    #[must_use]
    pub const fn with_reordering(self) -> Self {
        Self {
            reorder: true,
            ..self
        }
    }

    /// The same link with this loss.
    #[must_use]
    pub const fn with_loss(self, loss: Probability) -> Self {
        Self { loss, ..self }
    }

    /// The same link with this duplication.
    #[must_use]
    pub const fn with_duplication(self, duplicate: Probability) -> Self {
        Self { duplicate, ..self }
    }

    /// The same link with this corruption.
    #[must_use]
    pub const fn with_corruption(self, corrupt: Probability) -> Self {
        Self { corrupt, ..self }
    }

    /// The same link without its faults: it takes the least time that it can.
    #[must_use]
    pub const fn faultless(self) -> Self {
        Self::delay(self.delay.least())
    }

    /// Whether the delay varies, but the order must not.
    pub(crate) const fn keeps_order(&self) -> bool {
        !matches!(self.delay, Delay::Constant(_)) && !self.reorder
    }

    /// What happens to the packet of this key.
    #[inline]
    pub(crate) fn cross(&self, random: Random, entity: u64, index: u64) -> Crossing {
        let happens = |purpose, probability| random.chance(entity, purpose, index, probability);
        let delay = match self.delay {
            Delay::Constant(delay) => nanos(delay),
            Delay::Uniform { low, high } => {
                let (low, high) = (nanos(low), nanos(high));
                let span = high.saturating_sub(low).saturating_add(1);
                low.saturating_add(random.below(entity, Purpose::Delay, index, span))
            }
        };
        Crossing {
            delay,
            lost: happens(Purpose::Loss, self.loss),
            duplicated: happens(Purpose::Duplicate, self.duplicate),
            corrupted: happens(Purpose::Corrupt, self.corrupt),
        }
    }
}

/// A duration in the unit of simulated time.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What one link did to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crossing {
    /// Nanoseconds.
    pub(crate) delay: u64,
    pub(crate) lost: bool,
    pub(crate) duplicated: bool,
    pub(crate) corrupted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_plain_link_only_delays() {
        let crossing = Link::delay(5 * MS).cross(Random::new(1), 2, 3);
        assert_eq!(crossing.delay, 5_000_000);
        assert!(!(crossing.lost || crossing.duplicated || crossing.corrupted));
    }

    #[test]
    fn jitter_stays_between_its_bounds_and_uses_them() {
        let link = Link::IDEAL.with_jitter(2 * MS, 4 * MS);
        let delays: Vec<_> = (0..1_000)
            .map(|i| link.cross(Random::new(1), 2, i).delay)
            .collect();
        assert!(delays.iter().all(|d| (2_000_000..=4_000_000).contains(d)));
        assert!(delays.iter().any(|&d| d < 2_100_000));
        assert!(delays.iter().any(|&d| d > 3_900_000));
    }

    #[test]
    fn bounds_in_the_wrong_order_give_the_lower() {
        let link = Link::IDEAL.with_jitter(4 * MS, 2 * MS);
        assert_eq!(link.cross(Random::new(1), 2, 3).delay, 4_000_000);
    }

    #[test]
    fn faults_are_independent_of_each_other() {
        let half = Probability::percent(50);
        let link = Link::IDEAL
            .with_loss(half)
            .with_duplication(half)
            .with_corruption(half);
        let mut seen = [0; 8];
        for i in 0..8_000 {
            let c = link.cross(Random::new(1), 2, i);
            seen[usize::from(c.lost)
                | usize::from(c.duplicated) << 1
                | usize::from(c.corrupted) << 2] += 1;
        }
        assert!(seen.iter().all(|n| (850..1_150).contains(n)), "{seen:?}");
    }
}

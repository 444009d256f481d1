//! Which external port a new mapping gets (RFC 4787 §4.2.1).

use core::num::NonZeroU16;

use crate::DropCause;

/// How a NAT picks external ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Allocation {
    /// The inside port, or none: if it is taken, the packet is dropped.
    Preserving,
    /// The inside port; if it is taken, a random one.
    PreservingElseRandom,
    /// The last one plus a step, from a random start.
    Sequential {
        /// The step.
        delta: NonZeroU16,
    },
    /// A random one from `low` to `high`.
    Random {
        /// The lowest.
        low: u16,
        /// The highest.
        high: u16,
    },
}

/// Ports below are for services: no NAT hands them out of its own choice (RFC 4787 §4.2.1).
const LOWEST: u16 = 1024;

/// Draws before a NAT looks for the next free port instead: enough unless most are taken.
const TRIES: u32 = 16;

impl Allocation {
    /// The next port after the last one.
    pub const NEXT: Self = Self::Sequential {
        delta: NonZeroU16::MIN,
    };
    /// A random port of all that are not for services.
    pub const RANDOM: Self = Self::Random {
        low: LOWEST,
        high: u16::MAX,
    };

    /// Its name in scenarios and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preserving => "preserving",
            Self::PreservingElseRandom => "preserving-else-random",
            Self::Sequential { .. } => "sequential",
            Self::Random { .. } => "random",
        }
    }

    /// Whether a new mapping gets the inside port if that is free.
    pub const fn preserves(self) -> bool {
        matches!(self, Self::Preserving | Self::PreservingElseRandom)
    }

    /// The lowest and the highest port of its own choice.
    const fn range(self) -> (u16, u16) {
        match self {
            Self::Random { low, high } => (low, high),
            _ => (LOWEST, u16::MAX),
        }
    }

    /// How many ports it can choose from.
    const fn size(self) -> u32 {
        let (low, high) = self.range();
        if high < low {
            0
        } else {
            (high - low) as u32 + 1
        }
    }

    /// A port for an inside endpoint on `inside`.
    ///
    /// `last` is the offset of the last sequential port, `draw(bound)` gives a random number below
    /// the bound, `free` tells whether a port may be taken.
    pub(super) fn pick(
        self,
        inside: u16,
        last: &mut Option<u32>,
        mut draw: impl FnMut(u32) -> u32,
        mut free: impl FnMut(u16) -> bool,
    ) -> Result<u16, DropCause> {
        let size = self.size();
        let (low, _) = self.range();
        let port = |offset: u32| low + offset as u16;
        if self.preserves() && inside != 0 && free(inside) {
            return Ok(inside);
        }
        match self {
            Self::Preserving => Err(DropCause::PortTaken),
            Self::Sequential { delta } => {
                let step = u32::from(delta.get());
                let mut offset = last.unwrap_or_else(|| draw(size));
                for _ in 0..size {
                    offset = (offset + step) % size;
                    if free(port(offset)) {
                        *last = Some(offset);
                        return Ok(port(offset));
                    }
                }
                Err(DropCause::PoolExhausted)
            }
            Self::PreservingElseRandom | Self::Random { .. } => {
                let mut offset = 0;
                for _ in 0..TRIES.min(size) {
                    offset = draw(size);
                    if free(port(offset)) {
                        return Ok(port(offset));
                    }
                }
                (0..size)
                    .map(|further| port((offset + further) % size))
                    .find(|&port| free(port))
                    .ok_or(DropCause::PoolExhausted)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(allocation: Allocation, inside: u16, taken: &[u16]) -> Result<u16, DropCause> {
        let mut draws = [7_u32, 8, 9].into_iter().cycle();
        allocation.pick(
            inside,
            &mut None,
            |bound| draws.next().unwrap_or(0) % bound,
            |port| !taken.contains(&port),
        )
    }

    #[test]
    fn preserving_keeps_the_port_or_refuses() {
        assert_eq!(pick(Allocation::Preserving, 5000, &[]), Ok(5000));
        assert_eq!(
            pick(Allocation::Preserving, 5000, &[5000]),
            Err(DropCause::PortTaken)
        );
    }

    #[test]
    fn preserving_else_random_falls_back() {
        assert_eq!(pick(Allocation::PreservingElseRandom, 5000, &[]), Ok(5000));
        assert_eq!(
            pick(Allocation::PreservingElseRandom, 5000, &[5000]),
            Ok(1031)
        );
        assert_eq!(
            pick(Allocation::PreservingElseRandom, 5000, &[5000, 1031]),
            Ok(1032)
        );
    }

    #[test]
    fn sequential_steps_over_what_is_taken_and_wraps() {
        let mut last = Some(u32::from(u16::MAX - LOWEST) - 1);
        let mut next =
            |taken: u16| Allocation::NEXT.pick(9, &mut last, |_| 0, |port| port != taken);
        assert_eq!(next(0), Ok(65535));
        assert_eq!(next(1024), Ok(1025));
        assert_eq!(next(0), Ok(1026));
    }

    #[test]
    fn random_stays_in_its_range_until_it_is_exhausted() {
        let range = Allocation::Random {
            low: 2000,
            high: 2002,
        };
        assert_eq!(pick(range, 5000, &[2000, 2001]), Ok(2002));
        assert_eq!(
            pick(range, 5000, &[2000, 2001, 2002]),
            Err(DropCause::PoolExhausted)
        );
        let empty = Allocation::Random {
            low: 2000,
            high: 1999,
        };
        assert_eq!(pick(empty, 5000, &[]), Err(DropCause::PoolExhausted));
    }
}

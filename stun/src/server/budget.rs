//! How many answers a source gets: a token bucket for each network, in memory that never grows.

use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use floe_sansio::{Entropy, Instant};

/// How often a server answers requests that nobody has signed.
///
/// Whoever forges source addresses can make a server send to a victim. An answer is hardly larger than
/// its request, and with a budget the victim's network, an IPv4 address or an IPv6 /56, gets no more
/// of them than it could have asked for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Answers a second to one network in the long run; 0 counts as 1.
    pub rate: u32,
    /// Answers at once; 0 counts as 1.
    pub burst: u32,
    /// Counters in the table, rounded up to a power of two between 2 and 2²⁰; a counter is 8 bytes
    /// and there are two rows. More networks than counters share them, and no memory is added.
    pub cells: u32,
}

impl Budget {
    /// 100 a second, 400 at once, 2 × 4096 counters: 64 KiB.
    pub const DEFAULT: Self = Self {
        rate: 100,
        burst: 400,
        cells: 4096,
    };
}

impl Default for Budget {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Rows of the table: a network is refused only if its counters in both are used up.
const ROWS: usize = 2;

/// What is left of a [`Budget`] for each network: a table of fixed size, for any machine that answers
/// strangers.
///
/// ```
/// use floe_sansio::{Entropy, Instant};
/// use floe_stun::{Answers, Budget};
///
/// let budget = Budget { rate: 1, burst: 2, ..Budget::DEFAULT };
/// let mut answers = Answers::new(budget, &mut Entropy::new([7; 32]));
/// let source = "192.0.2.1".parse().unwrap();
/// let taken = (0..10).filter(|_| answers.take(Instant::ZERO, source)).count();
/// assert_eq!(taken, 2);
/// assert!(answers.take(Instant::from_secs(1), source));
/// ```
///
/// It is a count-min sketch of virtual schedules (the generic cell rate algorithm). A counter is the time at which all that was answered would have been due at the steady rate.
#[derive(Clone)]
pub struct Answers {
    interval: u64,
    burst: u64,
    rows: [Row; ROWS],
}

#[derive(Clone)]
struct Row {
    /// A multiply-shift hash: by secret random numbers no two networks collide more often than by
    /// chance. Whoever can forge a victim's address needs no collision to use up its budget, so nothing
    /// is gained by learning one.
    multiplier: u128,
    summand: u128,
    due: Box<[u64]>,
}

impl Answers {
    /// A table in which nothing is used up, keyed from `entropy`.
    pub fn new(budget: Budget, entropy: &mut Entropy) -> Self {
        let cells = budget.cells.clamp(2, 1 << 20).next_power_of_two() as usize;
        let interval = Duration::from_secs(1) / budget.rate.max(1);
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let mut row = || Row {
            multiplier: u128::from_be_bytes(entropy.bytes()) | 1,
            summand: u128::from_be_bytes(entropy.bytes()),
            due: alloc::vec![0; cells].into_boxed_slice(),
        };
        Self {
            interval,
            burst: interval.saturating_mul(u64::from(budget.burst.max(1) - 1)),
            rows: [row(), row()],
        }
    }

    /// Takes one answer from the budget of a network; `false`, and nothing changes, if it is used up.
    pub fn take(&mut self, now: Instant, source: IpAddr) -> bool {
        let now = now.as_nanos();
        let network = network(source);
        let mut cells = self.rows.each_mut().map(|row| row.cell(network));
        let due = cells
            .iter()
            .map(|cell| **cell)
            .min()
            .unwrap_or(now)
            .max(now);
        if due - now > self.burst {
            return false;
        }
        // Only as far as this network itself has come: what shares the other counter pays less.
        for cell in &mut cells {
            **cell = (**cell).max(due.saturating_add(self.interval));
        }
        true
    }
}

impl Row {
    fn cell(&mut self, network: u64) -> &mut u64 {
        let hash = self.multiplier.wrapping_mul(u128::from(network));
        let hash = (hash.wrapping_add(self.summand) >> 96) as usize;
        let mask = self.due.len() - 1;
        &mut self.due[hash & mask]
    }
}

/// Who shares a budget: an IPv4 address, however written, or the first 56 bits of an IPv6 address.
fn network(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(ip) => 1 << 63 | u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 72) as u64,
    }
}

/// Tells nothing of the hash or of the sources.
impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answers({} cells)", self.rows[0].due.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_ipv4_address_or_an_ipv6_56() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:0:100::1"), of("2001:db8:0:1ff::2"));
        assert_ne!(of("2001:db8:0:100::1"), of("2001:db8:0:200::1"));
    }
}

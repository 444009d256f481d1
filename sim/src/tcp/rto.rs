//! How long to wait before something is sent again (RFC 6298).

use core::time::Duration;

/// The timeout before a round trip was measured (RFC 6298 §2.1).
pub(super) const INITIAL: Duration = Duration::from_secs(1);
/// It is never shorter: RFC 6298 §2.4 says 1 s, what is deployed says 200 ms.
pub(super) const LEAST: Duration = Duration::from_millis(200);
/// It is never longer (RFC 6298 §2.5).
#[allow(clippy::duration_suboptimal_units)] // as the RFC says it
pub(super) const MOST: Duration = Duration::from_secs(60);

/// The retransmission timeout of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rto {
    /// Smoothed round trip and its variation, once something was measured.
    measured: Option<(Duration, Duration)>,
    /// How often it has been doubled.
    doublings: u32,
}

impl Rto {
    /// What it is now.
    pub(super) fn get(self) -> Duration {
        let base = self.measured.map_or(INITIAL, |(srtt, rttvar)| {
            (srtt + 4 * rttvar).clamp(LEAST, MOST)
        });
        // 2⁹ times the least is beyond the most.
        base.saturating_mul(1 << self.doublings.min(9)).min(MOST)
    }

    /// A round trip was measured, of something that was sent once (Karn's algorithm).
    pub(super) fn measure(&mut self, round_trip: Duration) {
        self.measured = Some(match self.measured {
            None => (round_trip, round_trip / 2),
            Some((srtt, rttvar)) => (
                (7 * srtt + round_trip) / 8,
                (3 * rttvar + srtt.abs_diff(round_trip)) / 4,
            ),
        });
    }

    /// It has passed in vain.
    pub(super) const fn double(&mut self) {
        self.doublings += 1;
    }

    /// The other side lives.
    pub(super) const fn relax(&mut self) {
        self.doublings = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The numbers of RFC 6298 §2 by hand.
    #[test]
    fn it_follows_what_is_measured() {
        let mut rto = Rto::default();
        assert_eq!(rto.get(), INITIAL);
        rto.measure(ms(100)); // SRTT 100, RTTVAR 50
        assert_eq!(rto.get(), ms(300));
        rto.measure(ms(180)); // SRTT 110, RTTVAR 57.5
        assert_eq!(rto.get(), ms(340));
        for _ in 0..100 {
            rto.measure(ms(20));
        }
        assert_eq!(rto.get(), LEAST);
    }

    #[test]
    fn it_doubles_up_to_the_most_until_something_is_heard() {
        let mut rto = Rto::default();
        let mut seen = Vec::new();
        for _ in 0..8 {
            seen.push(rto.get().as_secs());
            rto.double();
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 60, 60]);
        rto.relax();
        assert_eq!(rto.get(), INITIAL);
    }
}

use std::time::Duration;

use floe_sansio::Instant;
use tokio::time::Instant as Tokio;

/// The time of the machines of one driver: it begins at zero when the driver does.
///
/// It reads the monotonic clock that tokio's timers read, which is `std::time::Instant` outside of
/// tests that pause it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Tokio,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            start: Tokio::now(),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// A deadline of a machine as tokio's timers want it; `None` if it lies too far ahead to be named.
    pub fn when(&self, deadline: Instant) -> Option<Tokio> {
        self.start
            .checked_add(Duration::from_nanos(deadline.as_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_reached_when_the_clock_says_so() {
        tokio::time::advance(Duration::from_secs(5)).await;
        let clock = Clock::start();
        assert_eq!(clock.now(), Instant::ZERO);
        let deadline = Instant::from_millis(1500);
        tokio::time::sleep_until(clock.when(deadline).unwrap()).await;
        assert_eq!(clock.now(), deadline);
    }

    #[tokio::test]
    async fn the_end_of_time_is_no_panic() {
        let _ = Clock::start().when(Instant::MAX);
    }
}

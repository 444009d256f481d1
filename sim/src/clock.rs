//! The clock of one host, which may be wrong.

use core::time::Duration;

use floe_sansio::Instant;

/// What a host takes for the time, and whether it is awake.
///
/// Its instants never go below zero: a clock that is turned back too far stands at zero until it is
/// past it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostClock {
    /// How far it is ahead of the simulation, in nanoseconds.
    ahead: i128,
    /// What it shows for as long as it stands still.
    stopped: Option<Instant>,
    /// Whether nothing runs on the host.
    asleep: bool,
}

impl HostClock {
    /// What it shows.
    pub(crate) fn local(self, now: Instant) -> Instant {
        if let Some(shown) = self.stopped {
            return shown;
        }
        Instant::from_nanos(clamp(i128::from(now.as_nanos()) + self.ahead))
    }

    /// When it will show `local`; `None` while it does not move.
    pub(crate) fn global(self, local: Instant) -> Option<Instant> {
        let global = i128::from(local.as_nanos()) - self.ahead;
        let moves = self.stopped.is_none() && !self.asleep;
        moves.then(|| Instant::from_nanos(clamp(global)))
    }

    pub(crate) const fn is_asleep(self) -> bool {
        self.asleep
    }

    pub(crate) fn jump(&mut self, by: Duration) {
        self.turn(nanos(by));
    }

    pub(crate) fn turn_back(&mut self, by: Duration) {
        self.turn(-nanos(by));
    }

    fn turn(&mut self, by: i128) {
        self.ahead += by;
        if let Some(shown) = &mut self.stopped {
            *shown = Instant::from_nanos(clamp(i128::from(shown.as_nanos()) + by));
        }
    }

    pub(crate) fn stop(&mut self, now: Instant) {
        self.stopped = Some(self.local(now));
    }

    /// It goes on from what it shows.
    pub(crate) fn go_on(&mut self, now: Instant) {
        if let Some(shown) = self.stopped.take() {
            self.ahead = i128::from(shown.as_nanos()) - i128::from(now.as_nanos());
        }
    }

    pub(crate) const fn set_asleep(&mut self, asleep: bool) {
        self.asleep = asleep;
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::from(u64::MAX))
}

fn clamp(nanos: i128) -> u64 {
    u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn it_shows_the_time_until_it_is_turned() {
        let mut clock = HostClock::default();
        assert_eq!(clock.local(at(3)), at(3));
        clock.jump(Duration::from_secs(10));
        assert_eq!(clock.local(at(3)), at(13));
        assert_eq!(clock.global(at(13)), Some(at(3)));
        clock.turn_back(Duration::from_secs(12));
        assert_eq!(clock.local(at(3)), at(1));
        assert_eq!(clock.global(at(1)), Some(at(3)));
        assert_eq!(clock.local(at(0)), Instant::ZERO, "not before zero");
    }

    #[test]
    fn a_clock_that_stood_is_behind_afterwards() {
        let mut clock = HostClock::default();
        clock.stop(at(5));
        assert_eq!(clock.local(at(9)), at(5));
        assert_eq!(clock.global(at(6)), None);
        clock.go_on(at(9));
        assert_eq!(clock.local(at(10)), at(6));
        assert_eq!(clock.global(at(6)), Some(at(10)));
    }

    #[test]
    fn asleep_it_goes_on_and_nothing_is_due() {
        let mut clock = HostClock::default();
        clock.set_asleep(true);
        assert_eq!(clock.local(at(9)), at(9));
        assert_eq!(clock.global(at(10)), None);
    }
}

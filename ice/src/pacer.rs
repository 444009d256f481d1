//! One pace for all agents of a process (RFC 8445 §14.2).

use core::time::Duration;

use floe_sansio::Instant;

use crate::config::MIN_PACING;

/// Keeps the transactions of all agents that it is lent to at least 5 ms apart.
///
/// A driver of one agent needs none: the agent brings its own. A driver of several owns one and lends
/// it in every call, see [`Agent::paced`](crate::Agent::paced).
///
/// It covers what begins a session, gathering and checks. Requests for consent are spread over seconds
/// by chance and do not wait: a process with more than a thousand calls could not keep them alive
/// otherwise.
///
/// It gives out turns: an agent that has to wait is told once until when, so that a thousand waiting
/// agents cost no more than one each.
#[derive(Clone, Debug)]
pub struct Pacer {
    interval: Duration,
    /// The first turn that nobody has.
    next: Instant,
}

impl Pacer {
    /// Nothing has been sent yet.
    pub const fn new() -> Self {
        Self::at(Instant::ZERO)
    }

    /// One whose first free turn this is.
    pub(crate) const fn at(turn: Instant) -> Self {
        Self {
            interval: MIN_PACING,
            next: turn,
        }
    }

    /// The first turn that nobody has.
    pub(crate) const fn next_turn(&self) -> Instant {
        self.next
    }

    /// The next turn that is free, not before `from`. Nobody else gets it.
    pub(crate) fn take(&mut self, from: Instant) -> Instant {
        let turn = self.next.max(from);
        self.next = turn + self.interval;
        turn
    }

    /// A turn is not needed after all. It can be given to another one only if it was the last.
    pub(crate) fn give_back(&mut self, turn: Instant) {
        if self.next == turn + self.interval {
            self.next = turn;
        }
    }
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn turns_are_five_milliseconds_apart() {
        let mut pacer = Pacer::new();
        assert_eq!(pacer.take(ms(3)), ms(3));
        assert_eq!(pacer.take(ms(3)), ms(8));
        assert_eq!(pacer.take(ms(4)), ms(13));
        assert_eq!(pacer.take(ms(100)), ms(100));
    }

    #[test]
    fn the_last_turn_can_be_given_back_an_earlier_one_not() {
        let mut pacer = Pacer::new();
        let (first, second) = (pacer.take(ms(0)), pacer.take(ms(0)));
        pacer.give_back(first);
        assert_eq!(pacer.take(ms(0)), ms(10));
        let third = ms(10);
        pacer.give_back(third);
        assert_eq!(pacer.take(ms(0)), third);
        assert_ne!(second, third);
    }
}

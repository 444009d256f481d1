//! The event queue: a radix heap.
//!
//! Simulated time never goes back, so what comes out never lies before what came out last. A radix
//! heap lives on that: an event waits in the bucket of the highest bit in which its time differs from
//! the current time, and moves to lower buckets as that time approaches. A timer far in the future is
//! not touched until then, an event at the current instant costs an append, and events at one instant
//! stay in the order in which they were put in without a sequence number.

use floe_sansio::Instant;

/// One bucket for each bit of a time, and one for the current instant.
const BUCKETS: usize = 65;

/// Events by time; of those at one instant, the first in is the first out.
///
/// ```
/// use floe_sansio::Instant;
/// use floe_sim::EventQueue;
///
/// let mut queue = EventQueue::new();
/// queue.push(Instant::from_millis(2), 'b');
/// queue.push(Instant::from_millis(1), 'a');
/// queue.push(Instant::from_millis(2), 'c');
/// assert_eq!(queue.peek(), Some(Instant::from_millis(1)));
/// assert_eq!(queue.pop(), Some((Instant::from_millis(1), 'a')));
/// assert_eq!(queue.pop(), Some((Instant::from_millis(2), 'b')));
/// assert_eq!(queue.pop(), Some((Instant::from_millis(2), 'c')));
/// ```
#[derive(Clone, Debug)]
pub struct EventQueue<T> {
    /// The time of the event that came out last.
    now: u64,
    /// Bucket 0 is read through `head`: what lies before it has come out.
    buckets: [Vec<(u64, T)>; BUCKETS],
    head: usize,
    /// The earliest time in each bucket; `u64::MAX` where it is empty.
    earliest: [u64; BUCKETS],
    /// Which of the buckets from 1 on hold anything: bit i is bucket i + 1.
    occupied: u64,
    len: usize,
}

impl<T: Copy> EventQueue<T> {
    /// An empty queue at time zero.
    pub const fn new() -> Self {
        Self {
            now: 0,
            buckets: [const { Vec::new() }; BUCKETS],
            head: 0,
            earliest: [u64::MAX; BUCKETS],
            occupied: 0,
            len: 0,
        }
    }

    /// Puts an event in. A time before the event that came out last counts as that event's time.
    pub fn push(&mut self, at: Instant, event: T) {
        self.len += 1;
        self.place(at.as_nanos().max(self.now), event);
    }

    fn place(&mut self, at: u64, event: T) {
        let bucket = (u64::BITS - (at ^ self.now).leading_zeros()) as usize;
        if bucket > 0 {
            self.occupied |= 1 << (bucket - 1);
            self.earliest[bucket] = self.earliest[bucket].min(at);
        }
        self.buckets[bucket].push((at, event));
    }

    /// When the next event happens.
    pub fn peek(&self) -> Option<Instant> {
        if self.head < self.buckets[0].len() {
            Some(Instant::from_nanos(self.now))
        } else if self.occupied != 0 {
            let bucket = self.occupied.trailing_zeros() as usize + 1;
            Some(Instant::from_nanos(self.earliest[bucket]))
        } else {
            None
        }
    }

    /// Takes the next event out.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        if self.head == self.buckets[0].len() {
            self.refill()?;
        }
        let (at, event) = self.buckets[0][self.head];
        self.head += 1;
        self.len -= 1;
        Some((Instant::from_nanos(at), event))
    }

    /// Moves the current time to the next event and spreads its bucket over the lower ones, in order.
    fn refill(&mut self) -> Option<()> {
        if self.occupied == 0 {
            return None;
        }
        self.buckets[0].clear();
        self.head = 0;
        let bucket = self.occupied.trailing_zeros() as usize + 1;
        self.occupied &= self.occupied - 1;
        self.now = self.earliest[bucket];
        self.earliest[bucket] = u64::MAX;
        let mut events = core::mem::take(&mut self.buckets[bucket]);
        for (at, event) in events.drain(..) {
            self.place(at, event);
        }
        self.buckets[bucket] = events;
        Some(())
    }

    /// How many events wait.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Copy> Default for EventQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The obvious queue: a list, searched for the earliest time, the first in first.
    #[derive(Default)]
    struct Model {
        now: u64,
        waiting: Vec<(u64, u32)>,
    }

    impl Model {
        fn push(&mut self, at: u64, event: u32) {
            self.waiting.push((at.max(self.now), event));
        }

        fn peek(&self) -> Option<u64> {
            self.waiting.iter().map(|&(at, _)| at).min()
        }

        fn pop(&mut self) -> Option<(u64, u32)> {
            self.now = self.peek()?;
            let first = self.waiting.iter().position(|&(at, _)| at == self.now)?;
            Some(self.waiting.remove(first))
        }
    }

    fn time() -> impl Strategy<Value = u64> {
        prop_oneof![0..8_u64, 0..5_000_u64, any::<u64>(), Just(u64::MAX)]
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_obvious_queue(
            steps in prop::collection::vec(prop::option::weighted(0.6, (time(), any::<bool>())), 0..300),
        ) {
            let mut queue = EventQueue::new();
            let mut model = Model::default();
            for (number, step) in (0..).zip(steps) {
                if let Some((time, relative)) = step {
                    let at = if relative { model.now.saturating_add(time) } else { time };
                    queue.push(Instant::from_nanos(at), number);
                    model.push(at, number);
                } else {
                    let popped = queue.pop().map(|(at, event)| (at.as_nanos(), event));
                    prop_assert_eq!(popped, model.pop());
                }
                prop_assert_eq!(queue.peek().map(Instant::as_nanos), model.peek());
                prop_assert_eq!(queue.len(), model.waiting.len());
                prop_assert_eq!(queue.is_empty(), model.waiting.is_empty());
            }
            while let Some(expected) = model.pop() {
                prop_assert_eq!(queue.pop().map(|(at, event)| (at.as_nanos(), event)), Some(expected));
            }
            prop_assert!(queue.pop().is_none());
        }
    }

    #[test]
    fn looking_ahead_does_not_move_time() {
        let mut queue = EventQueue::new();
        queue.push(Instant::from_secs(10), 1);
        assert_eq!(queue.peek(), Some(Instant::from_secs(10)));
        queue.push(Instant::from_secs(5), 2);
        assert_eq!(queue.pop(), Some((Instant::from_secs(5), 2)));
    }

    #[test]
    fn an_event_in_the_past_happens_now() {
        let mut queue = EventQueue::new();
        queue.push(Instant::from_secs(10), 1);
        queue.push(Instant::from_secs(10), 2);
        queue.pop();
        queue.push(Instant::from_secs(3), 3);
        assert_eq!(queue.pop(), Some((Instant::from_secs(10), 2)));
        assert_eq!(queue.pop(), Some((Instant::from_secs(10), 3)));
    }
}

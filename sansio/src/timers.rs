use core::fmt;
use core::marker::PhantomData;

use crate::Instant;

/// The names of a machine's timers: a field-less enum.
pub trait Timer: Copy + fmt::Debug + 'static {
    /// Every timer, in the order of the discriminants, which start at 0.
    const ALL: &'static [Self];

    /// The place of this timer in [`Self::ALL`].
    fn index(self) -> usize;
}

/// A fixed table of deadlines, one for each of `N` named timers: the whole story of a machine's time
/// in one place.
///
/// ```
/// use floe_sansio::{Instant, Timer, Timers};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum My { Retransmit, Expire }
///
/// impl Timer for My {
///     const ALL: &'static [Self] = &[Self::Retransmit, Self::Expire];
///     fn index(self) -> usize { self as usize }
/// }
///
/// let mut timers = Timers::<My, 2>::new();
/// timers.set(My::Expire, Instant::from_secs(30));
/// timers.set(My::Retransmit, Instant::from_millis(500));
/// assert_eq!(timers.next(), Some((Instant::from_millis(500), My::Retransmit)));
/// assert_eq!(timers.expire(Instant::from_secs(1)), Some(My::Retransmit));
/// assert_eq!(timers.expire(Instant::from_secs(1)), None);
/// ```
#[derive(Clone)]
pub struct Timers<T, const N: usize> {
    deadlines: [Option<Instant>; N],
    names: PhantomData<T>,
}

impl<T: Timer, const N: usize> Timers<T, N> {
    /// A table in which no timer runs.
    pub const fn new() -> Self {
        assert!(T::ALL.len() == N, "one deadline for each timer");
        Self {
            deadlines: [None; N],
            names: PhantomData,
        }
    }

    /// Starts `timer`, or moves it.
    pub fn set(&mut self, timer: T, at: Instant) {
        self.deadlines[timer.index()] = Some(at);
    }

    /// Stops `timer`.
    pub fn stop(&mut self, timer: T) {
        self.deadlines[timer.index()] = None;
    }

    /// When `timer` fires, if it runs.
    pub fn get(&self, timer: T) -> Option<Instant> {
        self.deadlines[timer.index()]
    }

    /// The timer that fires next, and when; of several at one instant the first by name.
    pub fn next(&self) -> Option<(Instant, T)> {
        T::ALL
            .iter()
            .filter_map(|&timer| Some((self.get(timer)?, timer)))
            .min_by_key(|&(at, _)| at)
    }

    /// Stops and returns the next timer that is due at `now`.
    pub fn expire(&mut self, now: Instant) -> Option<T> {
        let (at, timer) = self.next()?;
        (at <= now).then(|| {
            self.stop(timer);
            timer
        })
    }
}

impl<T: Timer, const N: usize> Default for Timers<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The running timers, by name.
impl<T: Timer, const N: usize> fmt::Debug for Timers<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(T::ALL.iter().filter_map(|&t| Some((t, self.get(t)?))))
            .finish()
    }
}

//! A signalling path that keeps no order.

use core::time::Duration;

use floe_sansio::Instant;

use crate::random::{Purpose, Random, entity};
use crate::{Fate, HostId, Message, Probability};

/// What a signalling path does to messages beside taking its time.
///
/// ```
/// use core::time::Duration;
/// use floe_sim::{Disorder, Probability};
///
/// let chat = Disorder { spread: Duration::from_millis(300), repeat: Probability::percent(10) };
/// assert_ne!(chat, Disorder::NONE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disorder {
    /// Each message takes up to so much longer, on its own, so that messages overtake each other.
    pub spread: Duration,
    /// How likely a message takes no longer, and arrives a second time up to so much later.
    pub repeat: Probability,
}

impl Disorder {
    /// Messages arrive once and in their order.
    pub const NONE: Self = Self {
        spread: Duration::ZERO,
        repeat: Probability::NEVER,
    };

    /// What becomes of each message.
    pub(super) fn tap(
        self,
        random: Random,
    ) -> impl FnMut(Instant, HostId, &mut Message) -> Fate + Send + 'static {
        let key = entity("signalling");
        let mut index = 0;
        move |_, _, _| {
            index += 2;
            let nanos = u64::try_from(self.spread.as_nanos()).unwrap_or(u64::MAX);
            let bound = nanos.saturating_add(1);
            let late = random.below(key, Purpose::Signal, index, bound);
            let late = Duration::from_nanos(late);
            if random.chance(key, Purpose::Signal, index + 1, self.repeat) {
                Fate::Repeat {
                    count: 1,
                    every: late,
                }
            } else {
                Fate::Hold(late)
            }
        }
    }
}

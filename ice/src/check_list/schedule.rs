//! When a check is sent again.

use core::time::Duration;

use floe_sansio::Instant;

use crate::config::Probing;

/// When a check is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    sent: u8,
    interval: Duration,
    next: Option<Instant>,
    expires: Option<Instant>,
}

impl Schedule {
    /// A check is due at `now`, and none has been sent.
    pub(crate) fn starting(now: Instant) -> Self {
        Self {
            next: Some(now),
            ..Self::default()
        }
    }

    /// No check can be sent before something else has happened, until `expires`.
    pub(crate) fn waiting(expires: Instant) -> Self {
        Self {
            expires: Some(expires),
            ..Self::default()
        }
    }

    /// How many checks have been sent.
    pub(crate) const fn count(&self) -> u8 {
        self.sent
    }

    /// A check has been sent at `now`.
    pub(crate) fn sent(&mut self, now: Instant, probing: Probing) {
        self.interval = if self.interval.is_zero() {
            probing.interval
        } else {
            self.interval.saturating_mul(2)
        };
        self.sent = self.sent.saturating_add(1);
        if self.sent < probing.count {
            self.next = Some(now + self.interval);
            self.expires = None;
        } else {
            self.next = None;
            self.expires = Some(now + probing.patience);
        }
    }

    /// When the next check is due.
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// When it is too late for an answer.
    pub(crate) const fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// The peer is known to be there: the next check is sent now, and those after it in their own time.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if let Some(next) = &mut self.next {
            *next = (*next).min(now);
        }
    }
}

//! When a check is sent again.

use core::time::Duration;

use floe_sansio::Instant;

use crate::config::Probing;

/// When a check is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    sent: u8,
    /// To the next check, in µs: rather short, and there is one for each pair.
    interval: u32,
    due: Due,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default)]
enum Due {
    #[default]
    Nothing,
    /// The next check.
    Check(Instant),
    /// The end of waiting for an answer.
    Expiry(Instant),
}

impl Schedule {
    /// A check is due at `now`, and none has been sent.
    pub(crate) fn starting(now: Instant) -> Self {
        Self {
            due: Due::Check(now),
            ..Self::default()
        }
    }

    /// No check can be sent before something else has happened, until `expires`.
    pub(crate) fn waiting(expires: Instant) -> Self {
        Self {
            due: Due::Expiry(expires),
            ..Self::default()
        }
    }

    /// How many checks have been sent.
    pub(crate) const fn count(&self) -> u8 {
        self.sent
    }

    /// A check has been sent at `now`.
    pub(crate) fn sent(&mut self, now: Instant, probing: Probing) {
        self.interval = if self.interval == 0 {
            u32::try_from(probing.interval.as_micros()).unwrap_or(u32::MAX)
        } else {
            self.interval.saturating_mul(2)
        };
        self.sent = self.sent.saturating_add(1);
        self.due = if self.sent < probing.count {
            Due::Check(now + Duration::from_micros(self.interval.into()))
        } else {
            Due::Expiry(now + probing.patience)
        };
    }

    /// No more checks are sent; an answer may come until `expires`.
    pub(crate) const fn end(&mut self, expires: Instant) {
        self.due = Due::Expiry(expires);
    }

    /// The next check is sent at `at`.
    pub(crate) const fn set_next(&mut self, at: Instant) {
        self.due = Due::Check(at);
    }

    /// When the next check is due.
    pub(crate) const fn next(&self) -> Option<Instant> {
        match self.due {
            Due::Check(at) => Some(at),
            Due::Nothing | Due::Expiry(_) => None,
        }
    }

    /// When it is too late for an answer.
    pub(crate) const fn expires(&self) -> Option<Instant> {
        match self.due {
            Due::Expiry(at) => Some(at),
            Due::Nothing | Due::Check(_) => None,
        }
    }

    /// The peer is known to be there: the next check is sent now, and those after it in their own time.
    pub(crate) fn hurry(&mut self, now: Instant) {
        if let Due::Check(next) = &mut self.due {
            *next = (*next).min(now);
        }
    }
}

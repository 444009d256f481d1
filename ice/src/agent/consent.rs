//! Consent freshness: data goes only to a peer that keeps saying it wants it (RFC 7675).

use core::time::Duration;

use floe_sansio::Instant;

use super::{Agent, AgentTimer, Purpose};
use crate::event::FailureCause;

/// The mean time between two requests; each is drawn from 0.8 to 1.2 of it (RFC 7675 §5.1).
const CONSENT_INTERVAL_MS: u32 = 5000;
/// After completion, candidates that were not selected are kept this long (RFC 8445 §8.3.1).
pub(super) const RELEASE_DELAY: Duration = Duration::from_secs(3);

impl Agent {
    /// The pair that carries data is another one, or it was answered: consent counts from its last
    /// answer. Without such a pair nobody is asked.
    pub(super) fn follow_consent(&mut self, now: Instant) {
        let Some(pair) = self.active.and_then(|id| self.checks.get(id)) else {
            self.timers.stop(AgentTimer::Consent);
            self.timers.stop(AgentTimer::ConsentExpiry);
            return;
        };
        self.timers
            .set(AgentTimer::ConsentExpiry, pair.consent_expires());
        if self.timers.get(AgentTimer::Consent).is_none() {
            self.schedule_consent(now);
        }
        // Older requests have nothing left to tell.
        self.transactions
            .retain(|check| check.purpose != Purpose::Consent);
    }

    fn schedule_consent(&mut self, now: Instant) {
        let spread = CONSENT_INTERVAL_MS * 2 / 5;
        let millis = CONSENT_INTERVAL_MS * 4 / 5 + self.entropy.below(spread + 1);
        self.timers.set(
            AgentTimer::Consent,
            now + Duration::from_millis(u64::from(millis)),
        );
    }

    /// Asks once, in a transaction of its own (RFC 7675 §5.1: not retransmitted). It keeps its
    /// distance from other transactions like every check (RFC 8445 §14.2).
    pub(super) fn ask_consent(&mut self, now: Instant) {
        let Some(active) = self.active else {
            return;
        };
        let expiry = self.timers.get(AgentTimer::ConsentExpiry);
        if expiry.is_some_and(|at| at <= now) {
            // Too late to ask: that timer is next.
            return;
        }
        let free = self.last_slot.map_or(now, |last| last + self.pacing);
        if free > now {
            self.timers.set(AgentTimer::Consent, free);
            return;
        }
        self.last_slot = Some(now);
        self.send_check(now, active, Purpose::Consent);
        self.schedule_consent(now);
    }

    /// The peer revoked its consent with an authenticated 403 (RFC 7675 §5.2).
    pub(super) fn consent_revoked(&mut self, now: Instant) {
        self.fail(now, FailureCause::ConsentExpired);
    }
}

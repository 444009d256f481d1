//! Consent freshness: data goes only to a peer that keeps saying it wants it (RFC 7675).

use alloc::sync::Arc;

use floe_sansio::Instant;
use floe_stun::TransactionId;

use super::component::Active;
use super::{Agent, CommandError, Duration};
use crate::check::{self, Session};
use crate::component::ComponentId;
use crate::config::MIN_CONSENT_INTERVAL;
use crate::event::FailureCause;
use crate::sent::{Purpose, Target};

impl Agent {
    /// The peer has ended the session by a message that it has proven, such as a fatal alert of TLS: no
    /// data is sent over this component any more (RFC 7675 §5.2). An authenticated 403 to a request for
    /// consent does the same by itself. (The end of a connection that proves nothing does not.)
    pub fn revoke_consent(
        &mut self,
        now: Instant,
        component: ComponentId,
    ) -> Result<(), CommandError> {
        self.check_alive()?;
        let at = self
            .component_at(component)
            .ok_or(CommandError::UnknownComponent)?;
        let now = self.clock.advance(now);
        self.consent_revoked(now, at);
        self.settle(now);
        Ok(())
    }

    /// When one of the peers is asked again.
    pub(super) fn next_consent(&self) -> Option<Instant> {
        let actives = self.components.iter().filter_map(|it| it.active.as_ref());
        let open = actives.filter(|active| self.is_open(active.path));
        let ask = open.map(|active| self.upkeep_due(active)).min()?;
        Some(self.spaced(ask))
    }

    /// A lite agent checks nothing and has no consent to keep; it keeps the path open.
    fn upkeep_due(&self, active: &Active) -> Instant {
        if self.config.lite {
            let sent = active.traffic.0.last_sent.unwrap_or(active.answered);
            active.ask.max(sent + self.config.keepalive())
        } else {
            active.ask
        }
    }

    /// When the consent of one of them runs out.
    pub(super) fn next_consent_expiry(&self) -> Option<Instant> {
        if self.config.lite {
            return None;
        }
        let actives = self.components.iter().filter_map(|it| it.active.as_ref());
        actives.map(Active::consent_expires).min()
    }

    /// When to ask next: after the interval wanted while the peer answers, else as soon as is allowed.
    pub(super) fn after_consent(&mut self, now: Instant, answered: bool) -> Instant {
        let mean = if answered {
            self.config.consent_interval.max(MIN_CONSENT_INTERVAL)
        } else {
            MIN_CONSENT_INTERVAL
        };
        // From 0.8 to 1.2 of it (RFC 7675 §5.1).
        let millis = u32::try_from(mean.as_millis()).unwrap_or(u32::MAX / 2);
        let spread = self.entropy.below(millis / 5 * 2 + 1);
        now + Duration::from_millis(u64::from(millis / 5 * 4 + spread))
    }

    /// Asks those whose time has come, each once and in a transaction of its own (RFC 7675 §5.1: not
    /// retransmitted), and one at a time.
    pub(super) fn ask_consents(&mut self, now: Instant) {
        if self.spaced(now) > now {
            return;
        }
        let due = self.components.iter().position(|component| {
            let active = component.active.as_ref();
            // Else it is too late to ask: that timer is next.
            active.is_some_and(|it| {
                self.is_open(it.path)
                    && self.upkeep_due(it) <= now
                    && (self.config.lite || it.consent_expires() > now)
            })
        });
        let Some(at) = due else {
            return;
        };
        let Some(active) = &self.components[at].active else {
            return;
        };
        let (path, session) = (active.path, active.session.clone());
        let pair = active.pair;
        self.last_slot = Some(now);
        if self.config.lite {
            self.keep_alive(now, at);
            return;
        }
        if let Some(pair) = pair {
            self.checks
                .note(pair, |pair| pair.counters.0.requests_sent += 1);
        }
        self.request(
            now,
            path,
            &session,
            Target::active(at),
            Purpose::Consent,
            None,
        );
        let next = self.after_consent(now, false);
        if let Some(active) = &mut self.components[at].active {
            active.ask = next;
        }
    }

    /// A Binding indication, which nobody answers (RFC 8445 §11).
    fn keep_alive(&mut self, now: Instant, at: usize) {
        let id = TransactionId::random(&mut self.entropy);
        let next = now + self.config.keepalive();
        let Some(active) = &mut self.components[at].active else {
            return;
        };
        active.ask = next;
        let path = active.path;
        if let Ok(payload) = check::indication(id) {
            self.transmit(path, payload);
        }
    }

    /// A request for consent over the path that carries data was answered.
    pub(super) fn consented(&mut self, now: Instant, at: usize) {
        let Some(active) = &mut self.components[at].active else {
            return;
        };
        active.answered = now;
        let pair = active.pair;
        let next = self.after_consent(now, true);
        if let Some(active) = &mut self.components[at].active {
            active.ask = next;
        }
        if let Some(pair) = pair {
            self.checks.note(pair, |pair| pair.answered = now);
        }
        // Older requests have nothing left to tell.
        self.drop_consent_checks(at);
    }

    /// Waits for no answer any more to what was asked over the path of a component.
    pub(super) fn drop_consent_checks(&mut self, at: usize) {
        self.sent.retain(|check| !check.target.is_active(at));
    }

    /// Peers that were silent for 30 s get no more data (RFC 7675 §5.1). The credentials of this
    /// generation are of no use on that path any more; others may work.
    pub(super) fn expire_consents(&mut self, now: Instant) {
        for at in 0..self.components.len() {
            let active = self.components[at].active.as_ref();
            let expired = active.filter(|active| active.consent_expires() <= now);
            let Some(pair) = expired.map(|active| active.pair) else {
                continue;
            };
            if let Some(pair) = pair {
                self.checks.update(pair, |pair| pair.spent = true);
                self.fail_pair(now, pair);
            } else {
                self.path_lost(now, at, FailureCause::ConsentExpired);
            }
        }
    }

    /// The peer wants no more (RFC 7675 §5.2): that ends the stream, whatever other pairs there are.
    pub(super) fn consent_revoked(&mut self, now: Instant, at: usize) {
        let stream = self.components[at].stream;
        self.fail_stream(now, stream, FailureCause::ConsentExpired);
    }

    /// The session of a stream, to ask its peer with.
    pub(super) fn session_of(&self, component: usize) -> Option<Arc<Session>> {
        let stream = self.components[component].stream;
        let remote = self.streams[stream].remote.as_ref();
        remote.map(|remote| remote.session.clone())
    }
}

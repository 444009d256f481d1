//! The checks that wait for their answers.
//!
//! ICE sends no request twice: each repetition is a transaction of its own. So none is kept as it was
//! sent, but what it was for.

use alloc::vec::Vec;
use core::time::Duration;

use floe_sansio::Instant;
use floe_stun::TransactionId;

use crate::check_list::PairId;
use crate::order::{grow, small};
use crate::role::Role;

/// How long the answer to a check is waited for: longer than its pair can live without one.
const ANSWER_LIFETIME: Duration = Duration::from_secs(40);

/// What a check was sent for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentCheck {
    pub(crate) id: TransactionId,
    pub(crate) target: Target,
    /// The role it claimed: a 487 is about that one, whatever the role is by now.
    pub(crate) role: Role,
    pub(crate) purpose: Purpose,
    pub(crate) sent: Instant,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Pair(PairId),
    /// The path of this component that carries data: also one of an earlier generation.
    Active(u16),
}

impl Target {
    pub(crate) fn active(component: usize) -> Self {
        Self::Active(small(component))
    }

    pub(crate) fn is_active(self, component: usize) -> bool {
        self == Self::active(component)
    }
}

/// What a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Check,
    Nomination,
    Consent,
}

/// All of them, by transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentChecks(Vec<SentCheck>);

impl SentChecks {
    /// Waits for the answer to one more. Where there are `limit` of them, the eldest gives way.
    pub(crate) fn push(&mut self, check: SentCheck, limit: usize) {
        self.0
            .retain(|it| check.sent < it.sent + ANSWER_LIFETIME && it.id != check.id);
        if self.0.len() >= limit {
            let checks = self.0.iter().enumerate();
            if let Some((eldest, _)) = checks.min_by_key(|(_, it)| it.sent) {
                self.0.remove(eldest);
            }
        }
        grow(&mut self.0, limit);
        let at = self.0.partition_point(|it| it.id < check.id);
        self.0.insert(at, check);
    }

    /// The check of this transaction, if its answer does not come too late.
    pub(crate) fn get(&self, now: Instant, id: TransactionId) -> Option<SentCheck> {
        let at = self.0.binary_search_by_key(&id, |it| it.id).ok()?;
        let check = self.0.get(at).copied();
        check.filter(|it| now < it.sent + ANSWER_LIFETIME)
    }

    /// Its answer came.
    pub(crate) fn remove(&mut self, id: TransactionId) {
        if let Ok(at) = self.0.binary_search_by_key(&id, |it| it.id) {
            self.0.remove(at);
        }
    }

    /// Waits no more for what is not to be kept.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&SentCheck) -> bool) {
        self.0.retain(|it| keep(it));
    }

    pub(crate) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

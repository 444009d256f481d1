//! Candidate pairs.

use core::cmp::Reverse;
use core::time::Duration;

use floe_sansio::{FiveTuple, Instant};

use super::schedule::Schedule;
use crate::stats::Quiet;

/// Names a pair for as long as its agent lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PairId(pub(super) u32);

impl PairId {
    /// Before all others.
    pub(super) const FIRST: Self = Self(0);

    /// As a number for statistics.
    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

/// The state of a pair (RFC 8445 §6.1.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairState {
    /// Another pair of the same foundation goes first.
    Frozen,
    /// May be checked.
    Waiting,
    /// A check is out.
    InProgress,
    /// A check was answered.
    Succeeded,
    /// No check was, or one was refused.
    Failed,
}

impl PairState {
    /// Whether the pair may still turn out to work.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Frozen | Self::Waiting | Self::InProgress)
    }

    /// Whether it keeps other pairs of its foundation frozen.
    pub(crate) const fn is_active(self) -> bool {
        matches!(self, Self::Waiting | Self::InProgress)
    }
}

/// The foundations of the local and of the remote candidate, numbered.
pub(crate) type Foundation = (u32, u32);

/// Two candidates that may reach each other.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with a name of its own"
)]
pub(crate) struct Pair {
    /// Where its checks leave from, and where they go. Of a stream that this side opens, the local
    /// port is not known before it is open; until then it is that of the candidate.
    pub(crate) path: FiveTuple,
    /// Whether this side opens its connection, where it needs one.
    pub(crate) opens: bool,
    /// The stream, by its place among the check lists.
    pub(crate) list: usize,
    /// The component, by its place among those of the agent.
    pub(crate) component: usize,
    /// The component's number in its stream.
    pub(crate) number: u16,
    /// The local candidate, by its place in the agent's list: a host or relayed one.
    pub(crate) local: usize,
    /// The remote candidate, by its place in the agent's list.
    pub(crate) remote: usize,
    /// See [`pair_priority`](crate::pair_priority).
    pub(crate) priority: u64,
    /// How unlikely its candidates are among their kind: 0 for the best addresses of both sides.
    pub(crate) place: u16,
    pub(crate) foundation: Foundation,
    /// Whether a relay is on the path, as far as is known.
    pub(crate) relayed: bool,
    pub(crate) state: PairState,
    pub(crate) schedule: Schedule,
    /// Its place in the queue of triggered checks.
    pub(crate) triggered: Option<u64>,
    /// The local candidate of the valid pair that a check produced (RFC 8445 §7.2.5.3.2).
    pub(crate) valid: Option<usize>,
    /// The peer nominated it; it counts as soon as the own check succeeds.
    pub(crate) nominated_by_peer: Option<u32>,
    /// Round trip of the check that was answered last.
    pub(crate) round_trip: Duration,
    /// When a check was answered last: consent counts from here.
    pub(crate) answered: Instant,
    /// How often a check of the peer has brought it back after it had failed.
    pub(crate) revivals: u8,
    /// Consent was lost on it: it is not checked again with these credentials (RFC 7675 §5.1).
    pub(crate) spent: bool,
    /// The peer asked for consent from this new address after the agents had agreed on another: its NAT
    /// has given it another mapping.
    pub(crate) moved: bool,
    pub(crate) counters: Quiet<Counters>,
}

/// What is counted about a pair, see [`PairStats`](crate::PairStats).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests_sent: u32,
    pub(crate) requests_received: u32,
    pub(crate) responses_sent: u32,
    pub(crate) responses_received: u32,
    pub(crate) total_round_trip: Duration,
    pub(crate) traffic: Traffic,
}

/// The data that went over a path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) packets_sent: u64,
    pub(crate) packets_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) last_sent: Option<Instant>,
    pub(crate) last_received: Option<Instant>,
}

/// The place from which on a pair is unlikely to work, or to be needed: it is put off, and not waited
/// for.
pub(crate) const UNLIKELY: u16 = 256;

/// Consent lasts this long after the last answer (RFC 7675 §5.1).
pub(crate) const CONSENT_LIFETIME: Duration = Duration::from_secs(30);

/// In which order pairs are checked: the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    place: u16,
    priority: Reverse<u64>,
    number: u16,
    pub(super) id: PairId,
}

impl Pair {
    /// Whether the pair is valid, and was answered not too long ago (RFC 7675 §5.1).
    pub(crate) fn has_consent(&self, now: Instant) -> bool {
        self.valid.is_some() && now < self.answered + CONSENT_LIFETIME
    }

    /// Whether it is likely to work, and has not been checked.
    pub(super) const fn is_untested(&self) -> bool {
        let unchecked = matches!(self.state, PairState::Frozen | PairState::Waiting);
        unchecked && self.schedule.count() == 0 && self.place < UNLIKELY
    }

    /// To be checked anew.
    pub(crate) fn reset(&mut self) {
        self.state = PairState::Waiting;
        self.schedule = Schedule::default();
        self.valid = None;
    }

    pub(super) const fn turn(&self, id: PairId) -> Turn {
        Turn {
            place: self.place,
            priority: Reverse(self.priority),
            number: self.number,
            id,
        }
    }

    /// The order within a foundation: the lowest component, then the highest priority
    /// (RFC 8445 §6.1.2.6).
    pub(super) const fn rank(&self, id: PairId) -> (u16, Reverse<u64>, PairId) {
        (self.number, Reverse(self.priority), id)
    }
}

impl Turn {
    pub(super) const fn is_likely(&self) -> bool {
        self.place < UNLIKELY
    }

    /// Before all others.
    pub(super) const FIRST: Self = Self {
        place: 0,
        priority: Reverse(u64::MAX),
        number: 0,
        id: PairId::FIRST,
    };
}

impl Traffic {
    /// A packet of `length` bytes came.
    pub(crate) fn receive(&mut self, now: Instant, length: usize) {
        self.packets_received += 1;
        self.bytes_received += length as u64;
        self.last_received = Some(now);
    }
}

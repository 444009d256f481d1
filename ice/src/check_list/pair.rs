//! Candidate pairs.

use alloc::boxed::Box;
use core::cmp::Reverse;
use core::num::{NonZeroU32, NonZeroU64};
use core::time::Duration;

use floe_sansio::{FiveTuple, Instant};

use super::schedule::Schedule;
use crate::stats::Quiet;

/// Names a pair for as long as its agent lives. In the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PairId {
    /// Not zero, so that a name and nothing take no more room than a name.
    serial: NonZeroU32,
    slot: u16,
}

impl PairId {
    /// Before all others.
    pub(super) const FIRST: Self = Self {
        serial: NonZeroU32::MIN,
        slot: 0,
    };

    /// As a number for statistics.
    pub(crate) const fn number(self) -> u32 {
        self.serial.get() - 1
    }

    /// Where the pair is kept.
    pub(super) const fn slot(self) -> u16 {
        self.slot
    }

    /// The same, kept elsewhere.
    pub(super) const fn in_slot(self, slot: u16) -> Self {
        Self { slot, ..self }
    }

    /// The one after it.
    pub(super) const fn next(self) -> Self {
        Self {
            serial: self.serial.saturating_add(1),
            ..self
        }
    }
}

/// A pair with its name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) id: PairId,
    pub(super) pair: Pair,
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
pub(crate) type Foundation = (u16, u16);

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
    pub(crate) list: u16,
    /// The component, by its place among those of the agent.
    pub(crate) component: u16,
    /// The component's number in its stream.
    pub(crate) number: u16,
    /// The local candidate, by its place in the agent's list: a host or relayed one.
    pub(crate) local: u32,
    /// The remote candidate, by its place in the agent's list.
    pub(crate) remote: u16,
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
    pub(crate) triggered: Option<NonZeroU64>,
    /// The local candidate of the valid pair that a check produced (RFC 8445 §7.2.5.3.2).
    pub(crate) valid: Option<u32>,
    /// The peer nominated it; it counts as soon as the own check succeeds.
    pub(crate) nominated_by_peer: Option<u32>,
    /// Round trip of the check that was answered last.
    pub(crate) round_trip: Nanos,
    /// When a check was answered last: consent counts from here.
    pub(crate) answered: Instant,
    /// Consent was lost on it: it is not checked again with these credentials (RFC 7675 §5.1).
    pub(crate) spent: bool,
    /// The peer asked for consent from this new address after the agents had agreed on another: its NAT
    /// has given it another mapping.
    pub(crate) moved: bool,
    pub(crate) counters: Quiet<Counters>,
}

/// What is counted about a pair, see [`PairStats`](crate::PairStats).
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests_sent: u32,
    /// Each was answered.
    pub(crate) requests_received: u32,
    pub(crate) responses_received: u32,
    pub(crate) total_round_trip: Nanos,
    /// In a box, for few pairs carry data.
    pub(crate) traffic: Option<Box<Traffic>>,
}

/// A duration of less than 584 years, in less room.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Nanos(u64);

impl Nanos {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn get(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
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
    id: PairId,
}

/// The order within a foundation: the lowest component, then the highest priority
/// (RFC 8445 §6.1.2.6).
pub(super) type Rank = (u16, Reverse<u64>, PairId);

impl Pair {
    /// The place of its stream among the check lists.
    pub(crate) fn list(&self) -> usize {
        self.list.into()
    }

    /// The place of its component among those of the agent.
    pub(crate) fn component(&self) -> usize {
        self.component.into()
    }

    /// The place of its remote candidate among those of the agent.
    pub(crate) fn remote(&self) -> usize {
        self.remote.into()
    }

    /// Whether the pair is valid, and was answered not too long ago (RFC 7675 §5.1).
    pub(crate) fn has_consent(&self, now: Instant) -> bool {
        self.valid.is_some() && now < self.answered + CONSENT_LIFETIME
    }

    /// Whether it is likely to work, and has not been checked.
    pub(super) const fn is_untested(&self) -> bool {
        let unchecked = matches!(self.state, PairState::Frozen | PairState::Waiting);
        unchecked && self.schedule.count() == 0 && self.is_likely()
    }

    /// Whether its turn comes before those that are put off.
    pub(crate) const fn is_likely(&self) -> bool {
        self.place < UNLIKELY
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

    pub(super) const fn rank(&self, id: PairId) -> Rank {
        (self.number, Reverse(self.priority), id)
    }
}

impl Traffic {
    /// How many went either way.
    pub(crate) const fn packets(&self) -> u64 {
        self.packets_sent.saturating_add(self.packets_received)
    }

    /// A packet of `length` bytes came.
    pub(crate) fn receive(&mut self, now: Instant, length: usize) {
        self.packets_received += 1;
        self.bytes_received += length as u64;
        self.last_received = Some(now);
    }
}

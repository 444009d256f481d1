use core::fmt;
use core::ops::{Add, AddAssign};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::{Failure, Promise};
use crate::{DropReason, FiveTuple, Instant};

/// One thing that a machine said.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) step: usize,
    pub(super) at: Instant,
    pub(super) machine: Option<usize>,
    pub(super) output: Output,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Transmit(FiveTuple, Vec<u8>),
    Event(String),
    Handled,
    Forward(FiveTuple, Vec<u8>),
    Data(FiveTuple, Vec<u8>),
    Dropped(DropReason),
    Accepted,
    Rejected,
}

impl Output {
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Dropped(_) | Self::Rejected)
    }
}

/// Payloads in full: two runs may differ in any byte.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, path, bytes) = match self {
            Self::Transmit(path, bytes) => ("Transmit", path, bytes),
            Self::Forward(path, bytes) => ("Forward", path, bytes),
            Self::Data(path, bytes) => ("Data", path, bytes),
            other => return write!(f, "{other:?}"),
        };
        write!(f, "{name} {path:?} ")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first difference between two runs that must say the same at the same time.
pub(super) fn compare(
    promise: Promise,
    seed: u64,
    base: &[Entry],
    twin: &[Entry],
) -> Result<(), Failure> {
    let same = |a: &Entry, b: &Entry| (a.at, a.machine, &a.output) == (b.at, b.machine, &b.output);
    let longest = base.len().max(twin.len());
    for index in 0..longest {
        let (one, two) = (base.get(index), twin.get(index));
        if one.zip(two).is_some_and(|(one, two)| same(one, two)) {
            continue;
        }
        // The earlier one is what the other run lacks.
        let first = one.into_iter().chain(two).min_by_key(|entry| entry.at);
        let told = |entry: Option<&Entry>| {
            entry.map_or("nothing more".to_string(), |entry| {
                format!("{} at {:?}", entry.output, entry.at)
            })
        };
        return Err(Failure {
            step: first.map_or(0, |entry| entry.step),
            machine: first.and_then(|entry| entry.machine),
            at: first.map_or(Instant::ZERO, |entry| entry.at),
            ..Failure::new(
                promise,
                seed,
                format!("the run says {}, its twin {}", told(one), told(two)),
            )
        });
    }
    Ok(())
}

/// What happened in the runs: assert on it that your world reached what you meant to test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Calls of `handle_timeout`.
    pub timeouts: u64,
    /// Packets from `poll_transmit`.
    pub transmits: u64,
    /// Events.
    pub events: u64,
    /// Datagrams answered `Handled`.
    pub handled: u64,
    /// Datagrams answered `Forward`.
    pub forwards: u64,
    /// Datagrams answered `Data`.
    pub data: u64,
    /// Datagrams answered `Dropped`.
    pub dropped: u64,
    /// Commands accepted.
    pub accepted: u64,
    /// Commands rejected.
    pub rejected: u64,
    /// The most items that the machines held at once.
    pub retained: usize,
}

impl Tally {
    pub(super) fn count(&mut self, output: &Output) {
        *match output {
            Output::Transmit(..) => &mut self.transmits,
            Output::Event(_) => &mut self.events,
            Output::Handled => &mut self.handled,
            Output::Forward(..) => &mut self.forwards,
            Output::Data(..) => &mut self.data,
            Output::Dropped(_) => &mut self.dropped,
            Output::Accepted => &mut self.accepted,
            Output::Rejected => &mut self.rejected,
        } += 1;
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            timeouts: self.timeouts + other.timeouts,
            transmits: self.transmits + other.transmits,
            events: self.events + other.events,
            handled: self.handled + other.handled,
            forwards: self.forwards + other.forwards,
            data: self.data + other.data,
            dropped: self.dropped + other.dropped,
            accepted: self.accepted + other.accepted,
            rejected: self.rejected + other.rejected,
            retained: self.retained.max(other.retained),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

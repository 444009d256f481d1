use core::fmt;
use std::string::String;

use crate::Instant;

/// The promises of the contract, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Acting at `poll_timeout()` makes progress.
    Progress = 1,
    /// `handle_timeout` twice is the same as once, and early it sends nothing.
    Idempotence = 2,
    /// Time that goes backwards is clamped; a jump makes no storm.
    Clock = 3,
    /// The same seed and inputs give the same outputs.
    Determinism = 4,
    /// Any bytes from anywhere: no panic, bounded memory.
    AnyBytes = 5,
    /// Draining the polls ends.
    Drain = 6,
    /// A refusal leaves the state as it was.
    Rejection = 7,
}

impl Promise {
    /// All promises, in an order in which the test of each may rely on those before it.
    pub const ORDER: [Self; 7] = [
        Self::Progress,
        Self::Drain,
        Self::AnyBytes,
        Self::Determinism,
        Self::Idempotence,
        Self::Clock,
        Self::Rejection,
    ];

    /// Its number in the contract, 1 to 7.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// A broken promise: which one, where, and what differed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The promise that was seen broken.
    pub promise: Promise,
    /// The seed of the run.
    pub seed: u64,
    /// The step of the run, from 0.
    pub step: usize,
    /// The machine, by its place in [`World::machines`](super::World::machines); `None` if it could
    /// be any.
    pub machine: Option<usize>,
    /// The virtual time.
    pub at: Instant,
    /// What was seen.
    pub what: String,
}

impl Failure {
    /// A failure of the whole run.
    pub(super) fn new(promise: Promise, seed: u64, what: String) -> Self {
        Self {
            promise,
            seed,
            step: 0,
            machine: None,
            at: Instant::ZERO,
            what,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.promise.number();
        write!(f, "promise {number} ({:?}) is broken", self.promise)?;
        if let Some(machine) = self.machine {
            write!(f, " by machine {machine}")?;
        }
        let Self { seed, step, at, .. } = self;
        write!(f, ", seed {seed}, step {step}, {at:?}: {}", self.what)
    }
}

impl core::error::Error for Failure {}

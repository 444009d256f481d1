//! The seven promises of the [contract](crate#the-contract) as property tests that run on any
//! machine.
//!
//! Put your machines into a [`World`]: how to build them from a seed, where they live, what one can
//! command them to do, and how much they hold. [`check`] then joins them by a network that loses,
//! repeats, delays, reorders and corrupts packets, throws hostile datagrams and clock steps at them,
//! and compares each run with its twins:
//!
//! | promise | how it is tested |
//! |---|---|
//! | 1 [`Progress`](Promise::Progress) | after every `handle_timeout` at a deadline the next one is later, or none |
//! | 2 [`Idempotence`](Promise::Idempotence) | a twin whose `handle_timeout` is called twice at each deadline and early between them says the same at the same time |
//! | 3 [`Clock`](Promise::Clock) | a twin that is told a time up to 10 s in the past says the same; a jump of an hour sends at most [`World::MAX_TRANSMITS`] a call |
//! | 4 [`Determinism`](Promise::Determinism) | a second run says the same, byte for byte, whatever lies around the datagrams in their buffers; another seed does not |
//! | 5 [`AnyBytes`](Promise::AnyBytes) | under a flood of hostile datagrams nothing panics and the machines hold at most [`World::MAX_RETAINED`] items |
//! | 6 [`Drain`](Promise::Drain) | after every call the polls run dry within [`World::MAX_POLLS`] |
//! | 7 [`Rejection`](Promise::Rejection) | a refusal moves no deadline, holds nothing more and says nothing; a twin that never got what was refused says the same |
//!
//! What can be seen on one run (1, 5, 6, the storm of 3, the first half of 7) is watched on all of
//! them. Work per byte is left to benchmarks: a harness that reads no clock cannot measure it.
//!
//! All of it is virtual: no clock, no socket, no thread. A failure names the promise, the seed, the
//! step and the machine; [`check`] with that one seed and as many steps shows it again.
//!
//! For fuzz bodies there are [`fuzz`], which runs one over inputs and their mutations, and [`Driver`],
//! which leads one machine and watches it.
//!
//! A crate asks for it with `floe-sansio = { workspace = true, features = ["testing"] }` among its
//! `dev-dependencies`.
//!
//! # Example
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! use floe_sansio::testing::{self, AnyMachine, Command, Runs, World};
//! use floe_sansio::*;
//!
//! /// Says "here" to its peer every second, and stops when told to.
//! struct Beacon { clock: Clock, path: FiveTuple, due: Option<Instant>, out: Option<Transmit> }
//!
//! impl Beacon {
//!     fn new(path: FiveTuple, now: Instant) -> Self {
//!         Self { clock: Clock::new(now), path, due: Some(now), out: None }
//!     }
//!     fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
//!         if datagram.path != self.path {
//!             return Input::Dropped(DropReason::UnknownRemote);
//!         }
//!         if datagram.payload() != b"here" {
//!             return Input::Dropped(DropReason::Malformed);
//!         }
//!         self.clock.advance(now);
//!         Input::Handled
//!     }
//!     fn handle_timeout(&mut self, now: Instant) {
//!         let now = self.clock.advance(now);
//!         if self.due.is_some_and(|due| due <= now) {
//!             self.due = Some(now + Duration::from_secs(1));
//!             self.out = Some(Transmit { path: self.path, payload: (&b"here"[..]).into() });
//!         }
//!     }
//!     fn poll_transmit(&mut self) -> Option<Transmit> { self.out.take() }
//!     fn poll_event(&mut self) -> Option<()> { None }
//!     fn poll_timeout(&self) -> Option<Instant> { self.due }
//!     /// A command: an error if it has stopped already.
//!     fn stop(&mut self) -> Result<(), ()> { self.due.take().map(|_| ()).ok_or(()) }
//! }
//! floe_sansio::impl_machine!(Beacon, ());
//!
//! struct Two { left: Beacon, right: Beacon }
//!
//! fn left() -> SocketAddr { "192.0.2.1:1000".parse().unwrap() }
//! fn right() -> SocketAddr { "192.0.2.2:2000".parse().unwrap() }
//!
//! impl World for Two {
//!     fn build(_seed: [u8; 32], now: Instant) -> Self {
//!         let path = FiveTuple::udp(left(), right());
//!         Self { left: Beacon::new(path, now), right: Beacon::new(path.mirrored(), now) }
//!     }
//!     fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
//!         vec![(left(), &mut self.left), (right(), &mut self.right)]
//!     }
//!     fn command(&mut self, _now: Instant, draw: &mut Entropy) -> Command {
//!         match draw.below(5) {
//!             0 => self.left.stop().into(),
//!             _ => Command::None,
//!         }
//!     }
//!     fn retained(&self) -> usize { 0 }
//! }
//!
//! let seen = testing::check::<Two>(&Runs { seeds: 0..2, steps: 200 });
//! assert!(seen.transmits > 0 && seen.rejected > 0);
//! ```

mod driver;
mod failure;
mod live;
mod log;
mod mutate;
mod replay;
mod run;
mod world;

use core::ops::Range;

pub use driver::Driver;
pub use failure::{Failure, Promise};
pub use log::Tally;
pub use mutate::{fuzz, mutate};
pub use world::{AnyMachine, Command, World};

use crate::Entropy;
use live::{Live, Weather};
use replay::{Twin, replay};

/// How much to test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The seeds, each a test of all seven promises.
    pub seeds: Range<u64>,
    /// The steps of a run: packets, deadlines, commands, hostile datagrams. A flood (promise 5) has
    /// eight times as many.
    pub steps: usize,
}

/// Eight seeds of 600 steps.
impl Default for Runs {
    fn default() -> Self {
        Self {
            seeds: 0..8,
            steps: 600,
        }
    }
}

/// Tests the seven promises, and says what happened in the runs.
///
/// # Panics
///
/// With the [`Failure`], if a promise is broken or the runs prove nothing.
#[track_caller]
pub fn check<W: World>(runs: &Runs) -> Tally {
    match verify::<W>(runs) {
        Ok(tally) => tally,
        Err(failure) => panic!("{failure}"),
    }
}

/// As [`check`], with the failure as a value.
pub fn verify<W: World>(runs: &Runs) -> Result<Tally, Failure> {
    let mut total = Tally::default();
    for seed in runs.seeds.clone() {
        for promise in Promise::ORDER {
            total += prove::<W>(promise, seed, runs.steps)?;
        }
    }
    // A world in which nothing happens keeps every promise.
    let vacuous = |promise, what: &str| Err(Failure::new(promise, runs.seeds.start, what.into()));
    if total.timeouts == 0 {
        return vacuous(
            Promise::Progress,
            "no timer ever fired: the runs prove nothing",
        );
    }
    if total.transmits + total.forwards == 0 {
        return vacuous(Promise::Drain, "nothing was sent: the runs prove nothing");
    }
    if total.dropped == 0 {
        return vacuous(
            Promise::Rejection,
            "nothing was dropped: the runs prove nothing",
        );
    }
    Ok(total)
}

/// Tests one promise on one seed.
///
/// The failure may name another promise: the one that was seen broken. Twins tell promises apart
/// only if those before them in [`Promise::ORDER`] hold.
pub fn prove<W: World>(promise: Promise, seed: u64, steps: usize) -> Result<Tally, Failure> {
    let live = |seed, steps, weather, filler| Live::<W>::run(seed, steps, weather, filler);
    match promise {
        Promise::Progress => Ok(live(seed, steps, Weather::CALM, 0)?.tally()),
        Promise::Drain => Ok(live(seed, steps, Weather::BUSY, 0)?.tally()),
        Promise::AnyBytes => Ok(live(seed, steps * 8, Weather::FLOOD, 0)?.tally()),
        Promise::Determinism => {
            let one = live(seed, steps, Weather::STEPS, 0)?;
            let two = live(seed, steps, Weather::STEPS, 0xff)?;
            log::compare(promise, seed, one.log(), two.log())?;
            let other = live(seed ^ (1 << 63), steps, Weather::STEPS, 0)?;
            if log::compare(promise, seed, one.log(), other.log()).is_ok() {
                let what = "another seed gives the same run".into();
                return Err(Failure::new(promise, seed, what));
            }
            Ok(one.tally())
        }
        Promise::Idempotence => twins::<W>(promise, seed, steps, Twin::Plain, Twin::Eager),
        Promise::Clock => {
            let jumps = live(seed, steps, Weather::STEPS, 0)?.tally();
            let (base, twin) = (Twin::Told { late: false }, Twin::Told { late: true });
            Ok(jumps + twins::<W>(promise, seed, steps, base, twin)?)
        }
        Promise::Rejection => twins::<W>(promise, seed, steps, Twin::Plain, Twin::Spared),
    }
}

/// Replays one run twice, in two ways that must say the same.
fn twins<W: World>(
    promise: Promise,
    seed: u64,
    steps: usize,
    base: Twin,
    twin: Twin,
) -> Result<Tally, Failure> {
    let live = Live::<W>::run(seed, steps, Weather::BUSY, 0)?;
    let mut one = replay::<W>(seed, live.script(), base)?;
    let two = replay::<W>(seed, live.script(), twin)?;
    if twin == Twin::Spared {
        one.retain(|entry| !entry.output.is_refusal());
    }
    log::compare(promise, seed, &one, &two)?;
    Ok(live.tally())
}

/// What a random value is for.
#[derive(Clone, Copy)]
enum Purpose {
    World,
    Step,
    Loss,
    Packet,
    Command,
    Early,
    Late,
}

/// The random stream of one purpose and one index: it depends on nothing that happened before, so
/// that twins stay aligned.
fn draw(seed: u64, purpose: Purpose, index: u64) -> Entropy {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    Entropy::new(key)
}

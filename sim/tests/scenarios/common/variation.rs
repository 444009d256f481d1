//! The variations that a scenario is run in.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use floe_sim::{Preset, Probability};

use super::Plan;

/// One run of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variation {
    pub(crate) seed: u64,
    /// Of each crossing of the core, in percent.
    pub(crate) loss: u32,
    /// Whether candidates are signalled as they are found.
    pub(crate) trickle: bool,
    /// The side that offers, and controls if nothing goes wrong; the sides stay where they are.
    pub(crate) offerer: usize,
}

/// As the variable `VARIATION` has it.
impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            loss,
            trickle,
            offerer,
        } = self;
        write!(f, "{seed},{loss},{trickle},{offerer}")
    }
}

impl Variation {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let mut next = || parts.next();
        Some(Self {
            seed: next()?.parse().ok()?,
            loss: next()?.parse().ok()?,
            trickle: next()?.parse().ok()?,
            offerer: next()?.parse().ok()?,
        })
    }

    /// Whether one variation was asked for.
    pub(crate) fn is_alone() -> bool {
        std::env::var("VARIATION").is_ok()
    }

    /// Whether nothing is lost: times and counts can be told.
    pub(crate) const fn is_calm(self) -> bool {
        self.loss == 0
    }

    pub(crate) const fn answerer(self) -> usize {
        1 - self.offerer
    }

    pub(crate) const fn loss(self) -> Probability {
        Probability::percent(self.loss)
    }

    /// A plan for this variation, with this before side 0 and side 1.
    pub(crate) fn plan(self, sides: [Preset; 2]) -> Plan {
        Plan::new(self, sides)
    }

    /// A plan with nothing in between: the cheapest one.
    pub(crate) fn open(self) -> Plan {
        self.plan([Preset::Open; 2])
    }
}

/// Runs a scenario with losses of 0, 1, 5 and 10 %, trickled and not, with either side offering, and
/// with 20 seeds each.
///
/// Where one fails, the message says how to run that variation alone.
pub(crate) fn for_each_variation(scenario: impl Fn(Variation)) {
    for_variations(&[0, 1, 5, 10], 20, scenario);
}

/// The same with these losses, in percent, and this many seeds.
pub(crate) fn for_variations(losses: &[u32], seeds: u64, scenario: impl Fn(Variation)) {
    if let Ok(wanted) = std::env::var("VARIATION") {
        let wanted = Variation::parse(&wanted).expect("seed,loss,trickle,offerer");
        return scenario(wanted);
    }
    for &loss in losses {
        for trickle in [true, false] {
            for offerer in [0, 1] {
                for seed in 1..=seeds {
                    run(
                        &scenario,
                        Variation {
                            seed,
                            loss,
                            trickle,
                            offerer,
                        },
                    );
                }
            }
        }
    }
}

fn run(scenario: &impl Fn(Variation), variation: Variation) {
    let end = catch_unwind(AssertUnwindSafe(|| scenario(variation)));
    if let Err(panic) = end {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        eprintln!("it was this variation: {variation:?}");
        eprintln!("alone, with all that was said:");
        eprintln!("VARIATION={variation} cargo test -p floe-sim --test scenarios -- {name}");
        resume_unwind(panic);
    }
}

//! What no run may show.

use core::fmt;

use crate::{Judgement, Violation};

/// What no run may show.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Not what the oracle expects.
    Judgement(Judgement),
    /// The two ends use different pairs.
    NotMirrored,
    /// This side neither selected a pair nor failed.
    Undecided(usize),
    /// This side gave up although it had a path that was still there.
    GivenUp(usize),
    /// This side said that its path was lost, and nothing was lost at all.
    Disconnected(usize),
    /// The application of this side was not answered over the selected pair, after all faults had
    /// stopped.
    NoData(usize),
    /// This side did what no agent may do.
    Violation(usize, Violation),
    /// The run came to no result.
    Broken(String),
}

impl Finding {
    /// Its class in summaries.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Judgement(judgement) => judgement.name(),
            Self::NotMirrored => "not-mirrored",
            Self::Undecided(_) => "undecided",
            Self::GivenUp(_) => "given-up",
            Self::Disconnected(_) => "disconnected",
            Self::NoData(_) => "no-data",
            Self::Violation(..) => "violation",
            Self::Broken(_) => "broken",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: usize| if side == 0 { "a" } else { "b" };
        match self {
            Self::Judgement(judgement) => judgement.fmt(f),
            Self::NotMirrored => f.write_str("the two ends use different pairs"),
            Self::Undecided(at) => write!(f, "{} neither selects nor fails", side(*at)),
            Self::GivenUp(at) => write!(f, "{} gives up a path that is there", side(*at)),
            Self::Disconnected(at) => write!(f, "{} says that its path is lost", side(*at)),
            Self::NoData(at) => write!(f, "{} is not answered over the selected pair", side(*at)),
            Self::Violation(at, violation) => write!(f, "{}: {violation}", side(*at)),
            Self::Broken(why) => write!(f, "no result: {why}"),
        }
    }
}

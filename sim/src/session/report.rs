//! What one negotiation came to.

use core::time::Duration;

use floe_peer::{CandidateKind, FailureCause, GatheringError, SelectedPair};
use floe_sansio::{Instant, Transport};

use super::{Tally, Timeline, Violation};
use crate::{Expectation, Judgement, Path};

/// What one negotiation came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the oracle says of the plan.
    pub expectation: Expectation,
    /// What the agents found.
    pub outcome: Path,
    /// Whether the two agree.
    pub judgement: Judgement,
    /// Offering and answering side.
    pub sides: [SideReport; 2],
    /// Packets that hosts sent in the whole run, the server's and the application's among them.
    pub packets: u64,
}

/// What one side saw.
#[derive(Clone, Debug, Default)]
pub struct SideReport {
    /// What happened when.
    pub timeline: Timeline,
    /// The pair it selected, and when.
    pub selected: Option<(Instant, SelectedPair)>,
    /// All the pairs that it selected, one after the other.
    pub selections: Vec<(Instant, SelectedPair)>,
    /// When it said that its path was lost.
    pub disconnected: Vec<Instant>,
    /// Why it failed.
    pub failed: Option<(Instant, FailureCause)>,
    /// The servers that gave it no candidate, or whose relay it lost.
    pub server_failures: Vec<ServerFailure>,
    /// What it sent and received.
    pub tally: Tally,
    /// Whether the application's data went over the selected pair and was answered.
    pub answered: bool,
    /// What it did against the rules, if it was watched ([`SessionConfig::audit`](super::SessionConfig)).
    pub violations: Vec<Violation>,
    /// A description or candidate that was refused: a fault of the simulator or of `peer`.
    pub error: Option<String>,
}

/// What went wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFailure {
    /// When.
    pub at: Instant,
    /// What carried the conversation with it.
    pub transport: Transport,
    /// Why.
    pub error: GatheringError,
}

impl Report {
    /// Candidate types of the selected pair as the offering side sees them: local, then remote.
    pub fn pair(&self) -> Option<(CandidateKind, CandidateKind)> {
        let (_, a) = self.sides[0].selected?;
        self.sides[1].selected?;
        Some((a.local.kind, a.remote.kind))
    }

    /// From the moment the offer left to the first pair that worked, on the later side.
    pub fn valid(&self) -> Option<Duration> {
        self.later(|side| side.timeline.connected)
    }

    /// From the moment the offer left to the selected pair, on the later side.
    pub fn selected(&self) -> Option<Duration> {
        self.later(|side| side.selected.map(|(at, _)| at))
    }

    /// The first path that either side selected: worse than [`outcome`](Self::outcome) if the agents
    /// have changed to a better one since.
    pub fn first_path(&self) -> Path {
        let first = |side: &SideReport| side.selections.first().map(|&(_, pair)| pair);
        match (first(&self.sides[0]), first(&self.sides[1])) {
            (Some(a), Some(b)) if a.is_relayed() || b.is_relayed() => Path::Relayed,
            (Some(_), Some(_)) => Path::Direct,
            _ => Path::None,
        }
    }

    fn later(&self, when: impl Fn(&SideReport) -> Option<Instant>) -> Option<Duration> {
        let offered = self.sides[0].timeline.described?;
        let at = when(&self.sides[0])?.max(when(&self.sides[1])?);
        Some(at - offered)
    }

    /// Checks and their answers that both agents sent until both had selected.
    pub fn stun_messages(&self) -> u32 {
        self.sides.iter().map(|side| side.tally.checks).sum()
    }

    /// Those of them that went through a relay.
    pub fn relayed_messages(&self) -> u32 {
        self.sides.iter().map(|side| side.tally.relayed).sum()
    }

    /// What both agents and the server said to each other about candidates, permissions and channels.
    pub fn gathering_messages(&self) -> u32 {
        self.sides.iter().map(|side| side.tally.gathering).sum()
    }

    /// Whether both ends selected the same pair, each from its side; `true` if there is none.
    pub fn is_mirrored(&self) -> bool {
        match (self.sides[0].selected, self.sides[1].selected) {
            (Some((_, a)), Some((_, b))) => {
                a.local.address == b.remote.address && a.remote.address == b.local.address
            }
            (None, None) => true,
            _ => false,
        }
    }
}

/// A path is as good as both sides say: through a relay if one of them knows of one.
pub(super) fn outcome(sides: &[SideReport; 2]) -> Path {
    match (sides[0].selected, sides[1].selected) {
        (Some((_, a)), Some((_, b))) if a.is_relayed() || b.is_relayed() => Path::Relayed,
        (Some(_), Some(_)) => Path::Direct,
        _ => Path::None,
    }
}

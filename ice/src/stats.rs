//! What an agent knows about its session, for those who watch it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{DropReason, FiveTuple, Instant, Transport};

use crate::candidate::Candidate;
use crate::check_list::PairState;
use crate::component::ComponentId;
use crate::event::FailureCause;
use crate::role::Role;

/// Changes of path that a timeline keeps; later ones are counted only.
const MAX_SWITCHES: usize = 64;

/// Everything at once, see [`Agent::stats`](crate::Agent::stats).
///
/// The words are those of the W3C statistics of WebRTC, as far as an agent can know them.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The role of the moment.
    pub role: Role,
    /// How often ICE was restarted.
    pub generation: u32,
    /// The pairs of the current generation.
    pub pairs: Vec<PairStats>,
    /// Candidates of this side.
    pub local_candidates: Vec<Candidate>,
    /// Candidates of the other side, peer-reflexive ones among them.
    pub remote_candidates: Vec<Candidate>,
    /// What happened when.
    pub timeline: Timeline,
    /// Datagrams that were dropped.
    pub drops: Drops,
}

/// One candidate pair (`RTCIceCandidatePairStats`).
#[derive(Clone, Debug)]
pub struct PairStats {
    /// Names the pair for as long as its generation lives.
    pub id: u32,
    /// What it is a pair for.
    pub component: ComponentId,
    /// What carries its packets.
    pub transport: Transport,
    /// Where its packets leave from. Over TCP, without a connection that is the active candidate.
    pub local: SocketAddr,
    /// Where they go.
    pub remote: SocketAddr,
    /// Its state (RFC 8445 §6.1.2.6).
    pub state: PairState,
    /// Its priority (RFC 8445 §6.1.2.3).
    pub priority: u64,
    /// Whether it is the selected one.
    pub nominated: bool,
    /// Whether data goes over it now.
    pub active: bool,
    /// Whether a relay is on the path, as far as is known.
    pub relayed: bool,
    /// Datagrams of data sent and received.
    pub packets_sent: u64,
    /// See [`packets_sent`](Self::packets_sent).
    pub packets_received: u64,
    /// Their bytes, without any headers.
    pub bytes_sent: u64,
    /// See [`bytes_sent`](Self::bytes_sent).
    pub bytes_received: u64,
    /// When data was sent last.
    pub last_sent: Option<Instant>,
    /// When data was received last.
    pub last_received: Option<Instant>,
    /// The round trip of the check that was answered last; zero if none was.
    pub current_round_trip: Duration,
    /// The sum over all answered checks.
    pub total_round_trip: Duration,
    /// Checks sent, those for consent included, and each repetition.
    pub requests_sent: u32,
    /// Authentic checks received.
    pub requests_received: u32,
    /// Answers sent.
    pub responses_sent: u32,
    /// Authentic answers received.
    pub responses_received: u32,
}

/// When what happened. All times are `None` until then.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// The peer's parameters were known.
    pub started: Option<Instant>,
    /// The first transaction was sent, be it a check or a request to a server.
    pub first_check: Option<Instant>,
    /// The first check was answered.
    pub first_valid: Option<Instant>,
    /// Data could be sent.
    pub connected: Option<Instant>,
    /// The first pair was selected.
    pub selected: Option<Instant>,
    /// The changes of path, the first 64 of them.
    pub switches: Vec<Switch>,
    /// How many there were.
    pub switch_count: u64,
}

/// Data of a component goes another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// When.
    pub at: Instant,
    /// Whose data.
    pub component: ComponentId,
    /// The path before, if it still worked.
    pub from: Option<FiveTuple>,
    /// The path now.
    pub to: FiveTuple,
    /// Why.
    pub cause: SwitchCause,
    /// How long there was no path.
    pub outage: Duration,
}

/// Why the path changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwitchCause {
    /// A better one was found, or the agents agreed on another.
    Better,
    /// The one before was lost.
    Lost(FailureCause),
}

impl Timeline {
    pub(crate) fn switched(&mut self, switch: Switch) {
        self.switch_count += 1;
        if self.switches.len() < MAX_SWITCHES {
            self.switches.push(switch);
        }
    }
}

/// Datagrams that were dropped, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops(BTreeMap<DropReason, u64>);

impl Drops {
    pub(crate) fn count(&mut self, reason: DropReason) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// How many for this reason.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0.get(&reason).copied().unwrap_or(0)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// What is counted about a session is no part of its state: it does not show where that is compared.
#[derive(Clone, Default)]
pub(crate) struct Quiet<T>(pub(crate) T);

impl<T> core::fmt::Debug for Quiet<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("..")
    }
}

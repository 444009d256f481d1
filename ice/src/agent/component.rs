//! What an agent knows of a data stream and of each of its components.

use alloc::sync::Arc;
use floe_sansio::{FiveTuple, Instant};

use core::net::SocketAddr;

use super::RemoteParameters;
use crate::check::Session;
use crate::check_list::{CONSENT_LIFETIME, PairId, Schedule, Traffic};
use crate::component::ComponentId;
use crate::event::{FailureCause, SelectedPair};
use crate::stats::Quiet;

/// The state of a check list (RFC 8445 §6.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Running,
    Completed,
    Failed(FailureCause),
    /// The owner removed the stream.
    Removed,
}

/// A data stream; its place among the streams of the agent is that of its check list.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) id: u16,
    /// What the peer signalled for it.
    pub(super) remote: Option<RemoteStream>,
    pub(super) remote_end: bool,
    pub(super) outcome: Outcome,
    /// Nominated pairs of it were lost.
    pub(super) nomination_failed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct RemoteStream {
    pub(super) parameters: RemoteParameters,
    pub(super) session: Arc<Session>,
}

impl Stream {
    pub(super) const fn new(id: u16) -> Self {
        Self {
            id,
            remote: None,
            remote_end: false,
            outcome: Outcome::Running,
            nomination_failed: false,
        }
    }

    /// Begins again, if it was not removed.
    pub(super) fn restart(&mut self) {
        if self.outcome != Outcome::Removed {
            *self = Self::new(self.id);
        }
    }
}

/// One component of one stream.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with a name of its own"
)]
pub(super) struct Component {
    pub(super) id: ComponentId,
    /// The place of its stream.
    pub(super) stream: usize,
    /// The places of its local candidates that pairs are made with: host and relayed ones.
    pub(super) bases: alloc::vec::Vec<u32>,
    pub(super) nomination: Option<Nomination>,
    /// Whether a server has answered to one of its bases.
    pub(super) vouched: bool,
    /// The same of the peer's host candidates.
    pub(super) peer_vouched: bool,
    /// Whether its last relay is reached over a stream, although servers were asked over UDP.
    pub(super) relay_over_stream: bool,
    /// Whether the peer seems to reach nobody but over a stream, if none of its hosts is vouched for.
    pub(super) peer_blocked: bool,
    /// When the peer was heard over a path without a relay: first, or over one that works the last time.
    pub(super) heard_directly: Option<Instant>,
    /// Whether it was heard there before it was sent anything: whatever is in front of this side lets
    /// everybody in.
    pub(super) heard_unasked: bool,
    /// Whether a relay of each side has the same IP address.
    pub(super) relays_meet: bool,
    /// Until when a relayed pair waits for a direct one before it is nominated.
    pub(super) relay_hold: Option<Instant>,
    /// Until when it waits for a candidate that would make one.
    pub(super) candidate_hold: Option<Instant>,
    /// Since when it has waited.
    pub(super) held_since: Option<Instant>,
    /// The path that carries data: the selected one, before that the best valid one, and during a
    /// restart the one of before.
    pub(super) active: Option<Active>,
    /// The pair of this generation that the agents agreed upon.
    pub(super) selected: Option<Selection>,
    /// Whether there was one, in this generation.
    pub(super) agreed: bool,
    /// The loss of the last path, while none has taken its place.
    pub(super) lost: Option<Loss>,
    /// Whether the owner has been told that data can be sent.
    pub(super) told: bool,
}

/// What was selected last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection {
    pub(super) pair: PairId,
    pub(super) ends: SelectedPair,
    pub(super) relayed: bool,
    pub(super) at: Instant,
    /// When the peer asked over it last, or it was selected.
    pub(super) asked: Instant,
    /// The counter of the nomination, between agents that renominate.
    pub(super) nomination: Option<u32>,
}

impl Component {
    pub(super) const fn new(id: ComponentId, stream: usize) -> Self {
        Self {
            id,
            stream,
            bases: alloc::vec::Vec::new(),
            nomination: None,
            vouched: false,
            peer_vouched: false,
            relay_over_stream: false,
            peer_blocked: false,
            heard_directly: None,
            heard_unasked: false,
            relays_meet: false,
            relay_hold: None,
            candidate_hold: None,
            held_since: None,
            active: None,
            selected: None,
            agreed: false,
            lost: None,
            told: false,
        }
    }

    /// A new generation begins; the active path stays.
    pub(super) fn restart(&mut self) {
        self.release_hold();
        self.nomination = None;
        self.selected = None;
        self.agreed = false;
        self.peer_vouched = false;
        self.peer_blocked = false;
        self.heard_directly = None;
        self.heard_unasked = false;
        self.relays_meet = false;
        if let Some(active) = &mut self.active {
            active.pair = None;
        }
    }

    /// No path any more; one that comes with a restart will be told as the first was.
    pub(super) fn end(&mut self) {
        self.restart();
        self.active = None;
        self.lost = None;
        self.told = false;
    }

    /// Nothing waits for a better pair.
    pub(super) fn release_hold(&mut self) {
        self.relay_hold = None;
        self.candidate_hold = None;
        self.held_since = None;
    }

    /// The pair that carries data, if it is of this generation.
    pub(super) fn active_pair(&self) -> Option<PairId> {
        self.active.as_ref().and_then(|active| active.pair)
    }
}

/// The repetition of the check that nominates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nomination {
    pub(super) pair: PairId,
    pub(super) schedule: Schedule,
    /// When the pair was nominated first.
    pub(super) since: Instant,
    /// Whether this is the second chance.
    pub(super) again: bool,
    /// Which nomination it is, between agents that renominate.
    pub(super) counter: Option<u32>,
}

/// The path that carries the data of a component, and the peer's consent to it (RFC 7675).
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) path: FiveTuple,
    /// Its address on this side, as the peer sees it.
    pub(super) mapped: SocketAddr,
    /// Its pair, if it is of this generation.
    pub(super) pair: Option<PairId>,
    pub(super) generation: u32,
    /// Whether it leaves through a relay of this side.
    pub(super) through_relay: bool,
    /// With what the peer is asked.
    pub(super) session: Arc<Session>,
    /// When the peer answered last.
    pub(super) answered: Instant,
    /// When it is asked again.
    pub(super) ask: Instant,
    pub(super) traffic: Quiet<Traffic>,
}

/// There was a path, and there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) since: Instant,
    pub(super) cause: FailureCause,
    /// Of which generation it was.
    pub(super) generation: u32,
}

impl Active {
    /// When the consent that the last answer gave runs out (RFC 7675 §5.1).
    pub(super) fn consent_expires(&self) -> Instant {
        self.answered + CONSENT_LIFETIME
    }
}

//! What an agent tells its owner.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use floe_sansio::Transport;
use floe_stun::Framing;

use crate::candidate::{Candidate, CandidateKind};
use crate::component::ComponentId;
use crate::gatherer::StreamId;
use crate::role::Role;

/// Something the owner must know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A candidate of this side, to be signalled to the other.
    LocalCandidate(Candidate),
    /// There will be no more of them (end-of-candidates, RFC 8838 §13).
    GatheringComplete,
    /// A server gave no candidate; others go on.
    GatheringFailed {
        /// The local address.
        base: SocketAddr,
        /// The server.
        server: SocketAddr,
        /// What carried, or should have carried, the conversation with it.
        transport: Transport,
        /// Why.
        cause: GatheringError,
    },
    /// Open a connection to a TURN server or to the peer; or over UDP, bind another port, because the
    /// server still has an allocation for the one that was used first (RFC 8656 §7.4). Then call
    /// [`Agent::stream_opened`](crate::Agent) or [`Agent::stream_failed`](crate::Agent).
    StreamWanted {
        /// Names it.
        id: StreamId,
        /// [`Transport::Tcp`] or [`Transport::Tls`]; [`Transport::Udp`] or [`Transport::Dtls`] for a
        /// port.
        transport: Transport,
        /// How what comes over it is cut into inputs: [`Framing::Turn`] from a server,
        /// [`Framing::Rfc4571`] from the peer, whose inputs are without their lengths. What is sent has
        /// its frame already.
        framing: Framing,
        /// The address of this host to open it from, on any port.
        local: IpAddr,
        /// The server, or where the peer listens.
        remote: SocketAddr,
    },
    /// Close this connection or port, or do not open it: what was to be sent on it has been given out.
    StreamUnwanted(StreamId),
    /// Find out the addresses of this mDNS name, `….local`, by multicast in the networks of this host,
    /// then call [`Agent::resolved`](crate::Agent::resolved). Whoever cannot calls it with none.
    ResolveWanted {
        /// Names the question.
        id: NameId,
        /// The name, in lower case.
        name: String,
    },
    /// The first pair of this component works, or one works again: data can be sent.
    Connected(ComponentId),
    /// This pair is used from now on, in place of the one before if there was one.
    Selected(SelectedPair),
    /// The path of this component is lost, and none has taken its place for
    /// [`Config::outage_notice`](crate::Config::outage_notice). All pairs are checked again;
    /// [`Connected`](Self::Connected) follows if one works, [`Failed`](Self::Failed) if none does.
    Disconnected(ComponentId),
    /// No path for this stream, while there may be one for others. The owner has to agree with the peer
    /// to go on without it, see [`Agent::remove_stream`](crate::Agent::remove_stream), or to restart
    /// (RFC 8445 §8.1.2).
    StreamFailed {
        /// Its number.
        stream: u16,
        /// Why.
        cause: FailureCause,
    },
    /// An attribute that the peer's owner attached to a check or its answer, proven to come from the
    /// peer. See [`Config::piggyback`](crate::Config::piggyback).
    Piggyback {
        /// On which component it came.
        component: ComponentId,
        /// Its type.
        kind: u16,
        /// Its value.
        value: Bytes,
    },
    /// Both agents are lite, and a component has several pairs. This one controls, and has to signal an
    /// updated list of candidates that leaves the two of this pair (RFC 8445 §8.2). Data flows over it
    /// already; once that exchange is complete, see [`Agent::reconcile`](crate::Agent::reconcile).
    ReconcileWanted(SelectedPair),
    /// The agents disagreed about their roles and this one changed its own.
    RoleChanged(Role),
    /// It is over.
    Failed(FailureCause),
}

/// Names a name that is to be resolved for as long as its agent lives, see [`Event::ResolveWanted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(u32);

impl NameId {
    /// Any number may have been written down; the agent knows which it has given.
    pub(crate) const fn numbered(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }
}

/// Why a server gave no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GatheringError {
    /// The STUN server did not tell an address.
    Binding(floe_stun::BindingError),
    /// The TURN server made no allocation.
    Allocation(floe_turn::AllocateError),
    /// There is no connection to the TURN server, or no other port to ask it from.
    Stream,
    /// The time for gathering was over.
    TooLate,
}

/// Why an agent gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureCause {
    /// No candidate on this side.
    NoLocalCandidates,
    /// No candidate from the other side, and no check from it either.
    NoRemoteCandidates,
    /// Candidates on both sides, but none of one kind on both.
    NoPairs,
    /// No pair works.
    ChecksFailed,
    /// The pairs that worked stopped to, before one of them could be agreed upon.
    NominationFailed,
    /// The peer did not confirm for 30 s that it wants to go on receiving (RFC 7675 §5.1).
    ConsentExpired,
    /// The allocation that the selected pair needs is gone.
    RelayLost,
    /// The address that the selected pair needs is gone, or the pair was refused.
    PathLost,
}

impl fmt::Display for GatheringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binding(error) => error.fmt(f),
            Self::Allocation(error) => error.fmt(f),
            Self::Stream => f.write_str("no connection to the server"),
            Self::TooLate => f.write_str("no answer while candidates were gathered"),
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLocalCandidates => "no candidate on this side",
            Self::NoRemoteCandidates => "no candidate and no check from the peer",
            Self::NoPairs => "no candidate of this side fits one of the peer",
            Self::ChecksFailed => "no pair of candidates works",
            Self::NominationFailed => "the pairs that worked stopped working",
            Self::ConsentExpired => "the peer has stopped answering",
            Self::RelayLost => "the relay is gone",
            Self::PathLost => "the selected path is gone",
        })
    }
}

/// One end of a selected pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How it was found.
    pub kind: CandidateKind,
    /// Its address, as the other side sees it.
    pub address: SocketAddr,
}

/// The pair that two agents agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectedPair {
    /// What it is selected for.
    pub component: ComponentId,
    /// This side.
    pub local: Endpoint,
    /// The other side.
    pub remote: Endpoint,
}

impl SelectedPair {
    /// Whether data goes through a relay, as far as this side can know.
    pub fn is_relayed(&self) -> bool {
        self.local.kind == CandidateKind::Relayed || self.remote.kind == CandidateKind::Relayed
    }
}

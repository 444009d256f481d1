//! The signalling states and what leads from one to another (RFC 9429 §3.2).

use core::fmt;

/// Where an exchange of offer and answer stands (RFC 9429 §3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignalingState {
    /// No exchange is under way.
    #[default]
    Stable,
    /// An own offer waits for its answer.
    HaveLocalOffer,
    /// An offer of the other side waits for the own answer.
    HaveRemoteOffer,
    /// It was answered provisionally.
    HaveLocalPranswer,
    /// The own offer was answered provisionally.
    HaveRemotePranswer,
    /// Nothing is possible any more.
    Closed,
}

impl fmt::Display for SignalingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::HaveLocalPranswer => "have-local-pranswer",
            Self::HaveRemotePranswer => "have-remote-pranswer",
            Self::Closed => "closed",
        })
    }
}

/// What a description is. Rollback is a call of its own:
/// [`Negotiator::rollback`](crate::Negotiator::rollback).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionKind {
    /// Opens an exchange.
    Offer,
    /// Answers it for now.
    Pranswer,
    /// Answers it and ends the exchange.
    Answer,
}

/// Who sets a description.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Local,
    Remote,
}

impl SignalingState {
    /// The state after a description is set; `None` if it may not be set now.
    pub(super) fn after(self, side: Side, kind: DescriptionKind) -> Option<Self> {
        use DescriptionKind::{Answer, Offer, Pranswer};
        use SignalingState as State;
        Some(match (self, side, kind) {
            (State::Stable | State::HaveLocalOffer, Side::Local, Offer) => State::HaveLocalOffer,
            (State::Stable | State::HaveRemoteOffer, Side::Remote, Offer) => State::HaveRemoteOffer,
            (State::HaveLocalOffer | State::HaveRemotePranswer, Side::Remote, Answer)
            | (State::HaveRemoteOffer | State::HaveLocalPranswer, Side::Local, Answer) => {
                State::Stable
            }
            (State::HaveLocalOffer | State::HaveRemotePranswer, Side::Remote, Pranswer) => {
                State::HaveRemotePranswer
            }
            (State::HaveRemoteOffer | State::HaveLocalPranswer, Side::Local, Pranswer) => {
                State::HaveLocalPranswer
            }
            _ => return None,
        })
    }
}

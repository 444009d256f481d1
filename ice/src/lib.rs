//! ICE.
#![no_std]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod agent;
mod candidate;
mod check;
mod check_list;
mod config;
mod credentials;
mod event;
mod gatherer;
mod role;
mod text;

pub use agent::{Agent, CommandError, RemoteParameters, SendError, State};
pub use candidate::{COMPONENT, Candidate, CandidateKind, candidate_priority, pair_priority};
pub use config::{Config, DEFAULT_PACING, Limits, MIN_PACING, Policy, Probing, TurnServer};
#[doc(inline)]
pub use floe_sdp::ice::IceCredentials;

pub use event::{Endpoint, Event, FailureCause, GatheringError, SelectedPair};
pub use role::Role;
pub use text::Unusable;

//! Offer/answer (RFC 3264) as JSEP drives it (RFC 9429) and without, bundled (RFC 9143) or not.

mod answer;
mod check;
mod config;
mod continuity;
mod description;
mod effects;
mod error;
mod exchange;
mod jsep;
mod level;
mod local;
mod machine;
mod negotiated;
mod offer;
mod remote;
mod rtp;
mod state;
mod transport;
mod trickle;
mod write;

pub use check::{check_answer, check_exchange, check_reoffer};
pub use config::{
    BundlePolicy, DataChannel, Glare, MismatchPolicy, NegotiatorConfig, Profile, Rtp, SectionConfig,
};
pub use effects::{Effects, SectionEffect, TransportEffect};
pub use error::{Misuse, NegotiationError, Violation};
pub use machine::Negotiator;
pub use negotiated::{Negotiated, NegotiatedSection, NegotiatedTransport, Sctp};
pub use remote::{MediaKind, RemoteDescription, RemoteSection};
pub use rtp::{HeaderExtension, Stream};
pub use state::{DescriptionKind, SignalingState};
pub use transport::{
    LocalTransport, LocalTransports, Mismatch, RemoteTransport, Transport, TransportId,
};
pub use trickle::RemoteCandidate;

//! Offer/answer (RFC 3264) as JSEP drives it (RFC 9429), with one BUNDLE transport (RFC 9143).

mod answer;
mod check;
mod config;
mod description;
mod error;
mod machine;
mod negotiated;
mod offer;
mod remote;
mod trickle;
mod write;

pub use config::{DataChannel, LocalTransport, NegotiatorConfig, Rtp, SectionConfig};
pub use error::{Misuse, NegotiationError, Violation};
pub use machine::{DescriptionKind, Negotiator, SignalingState};
pub use negotiated::{Negotiated, NegotiatedSection, Sctp};
pub use remote::{MediaKind, RemoteDescription, RemoteSection, RemoteTransport};

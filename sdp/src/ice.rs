//! The grammar of ICE in SDP: candidates and credentials (RFC 8839 §5), and the bodies that carry
//! them beside descriptions (RFC 8840 §9).

mod candidate;
mod credentials;
mod fragment;

pub use candidate::{
    Candidate, CandidateAddress, CandidateError, CandidateRef, CandidateTransport, CandidateType,
    RemoteCandidate, RemoteCandidates, TcpType, TrickledCandidate,
};
pub use credentials::{CredentialsError, IceCredentials};
pub use fragment::{Fragment, FragmentSection};

/// Least and most ice-chars of a ufrag (§5.4).
pub(crate) const UFRAG: (usize, usize) = (4, 256);
/// Least and most ice-chars of a password (§5.4).
pub(crate) const PWD: (usize, usize) = (22, 256);
/// Most characters of a ufrag that is sent (§5.4).
pub(crate) const SENT_UFRAG: usize = 32;

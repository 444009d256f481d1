//! STUN: how a program behind a NAT learns where the outside world sees it.
//!
//! The codec reads messages over borrowed bytes and writes them into the caller's buffer, without
//! allocation. The machines on top of it ([`Client`], [`Server`], [`LongTermClient`],
//! [`LongTermServer`], [`Transactions`]) keep the [contract](floe_sansio): time, randomness and
//! bytes come in as arguments.
//!
//! ```
//! use floe_stun::{Builder, Class, Message, MessageType, Method, TransactionId, XorMappedAddress};
//!
//! // A Binding request …
//! let mut buffer = [0; 128];
//! let kind = MessageType::new(Class::Request, Method::BINDING);
//! let len = Builder::new(&mut buffer, kind, TransactionId([1; 12])).with_fingerprint().finish()?;
//! let request = Message::parse(&buffer[..len]).unwrap();
//!
//! // … and the server's answer to it.
//! let mut answer = [0; 128];
//! let len = Builder::response(&mut answer, &request, Class::Success)
//!     .with(&XorMappedAddress("192.0.2.1:50000".parse().unwrap()))
//!     .finish()?;
//! let response = Message::parse(&answer[..len]).unwrap();
//! let XorMappedAddress(seen) = response.get().unwrap().unwrap();
//! assert_eq!(seen, "192.0.2.1:50000".parse().unwrap());
//! # Ok::<(), floe_stun::BuildError>(())
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | reading and writing messages | [`Message`], [`Builder`], [`Attribute`], [`attributes`], [`SizeLimit`] |
//! | showing what is no message | [`Dissection`] |
//! | integrity and credentials | [`Key`], [`ShortTermClient`], [`check_short_term`], [`LongTermClient`], [`LongTermServer`] |
//! | where a server finds its users | [`Users`], [`StaticUsers`], [`TimeLimitedUsers`] |
//! | user names, realms and passwords in any script | [`Profile`], [`Prepared`] |
//! | transactions, retransmission and its time-out | [`Transactions`], [`Retransmission`], [`RtoCache`] |
//! | the frames of a TCP or TLS stream | [`Deframer`] |
//! | whether a certificate is that of the server | [`certificate_names`] |
//! | from the URI of a server to its addresses | [`Uri`], [`Resolution`] |
//! | the Binding usage | [`Client`], [`Server`], [`ServerConfig`] |
//! | what kind of NAT there is | [`Discovery`], [`discovery`] |
//! | several protocols on one port | [`Protocol`] |
//! | strategies for property tests | `testing`, with the feature of that name |
//!
//! # RFCs
//!
//! - RFC 8489 (STUN): all of it but TLS and DTLS themselves, which belong to the driver. `docs/conformance.md`
//!   of the repository says which test stands for which requirement, and where floe decided otherwise.
//! - RFC 5769, RFC 8489 appendix B: the test vectors pass.
//! - RFC 7983, 9443, 5761: first-byte demultiplexing, with and without QUIC; RTP and RTCP apart.
//! - RFC 8265 (`OpaqueString`) and RFC 4013 (`SASLprep`): preparation of credentials; what is not ASCII
//!   needs the feature `unicode`, which is on by default.
//! - RFC 7064, RFC 7065: URIs of STUN and TURN servers; RFC 2782, 5928, 8305: the DNS steps, as requests
//!   to the owner.
//! - RFC 8445, 8656, 6062: attributes and codes; what they mean is for the `ice` and `turn`
//!   crates.
//! - RFC 5780: behaviour discovery over UDP, both sides ([`Discovery`], [`BehaviourService`]).
//! - RFC 3489: clients are answered where [`ServerConfig::classic`] says so; elsewhere a message without
//!   the magic cookie is not STUN.

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod attribute;
pub mod attributes;
mod auth;
mod builder;
mod classify;
mod client;
pub mod discovery;
mod dissect;
mod fingerprint;
mod hmac;
mod identity;
mod integrity;
mod message;
mod prepare;
pub mod resolve;
mod rto;
mod server;
mod size_limit;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
mod uri;

pub use attribute::{
    Attribute, AttributeType, Attributes, Malformed, RawAttribute, SendRule, Value,
};
#[doc(inline)]
pub use attributes::*;
pub use auth::{
    ChallengeError, Checked, Choice, Claim, Credentials, LongTermClient, LongTermConfig,
    LongTermServer, MAX_PARKED, Parking, Refusal, Seal, Secret, SecurityFeatures, ShortTermClient,
    StaticUsers, TimeLimitedUsers, User, UserAnswer, UserName, UserQuery, UserWanted, Users,
    check_short_term, lacks_algorithms,
};
pub use builder::{BuildError, Builder};
pub use classify::Protocol;
pub use client::{
    Authentication, BindingError, Client, ClientConfig, ClientConfigError, ClientEvent,
    ConnectedError, Fingerprint, MAX_REDIRECTS, MAX_SERVER_ERROR_RETRIES, read_response,
};
#[doc(inline)]
pub use discovery::{Discovery, DiscoveryConfig, DiscoveryEvent};
pub use dissect::{DissectedAttribute, DissectedAttributes, Dissection};
pub use identity::{PresentedId, certificate_names};
pub use integrity::{Algorithm, Key};
pub use message::{
    Class, HEADER_LEN, MAGIC_COOKIE, Message, MessageType, Method, ParseError, ParseErrorKind,
    TransactionId,
};
pub use prepare::{PrepareError, PrepareErrorKind, Prepared, Profile};
#[doc(inline)]
pub use resolve::{Resolution, ResolveConfig};
pub use rto::{MAX_RTO, MAX_RTO_SERVERS, RTO_LIFETIME, RtoCache, RtoEstimator};
pub use server::{
    Access, AddressGrid, Answers, BehaviourService, Budget, MAX_PENDING, Redirect, Server,
    ServerConfig, ServerConfigError,
};
pub use size_limit::SizeLimit;
pub use stream::{
    CHANNEL_HEADER_LEN, Deframer, Framing, MAX_FRAME, StreamError, StreamErrorKind, channel_header,
};
pub use transaction::{Due, Limits, Retransmission, Transaction, TransactionError, Transactions};
pub use uri::{Host, MAX_HOST_LEN, Scheme, TransportParameter, Uri, UriError, UriErrorKind};

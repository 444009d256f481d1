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
//! | reading and writing messages | [`Message`], [`Builder`], [`Attribute`], [`attributes`] |
//! | integrity and credentials | [`Key`], [`LongTermClient`], [`LongTermServer`] |
//! | retransmission | [`Transactions`], [`Retransmission`] |
//! | the Binding usage | [`Client`], [`Server`], [`ServerConfig`] |
//! | what kind of NAT there is | [`Discovery`], [`discovery`] |
//! | several protocols on one port | [`Protocol`] |
//!
//! # RFCs
//!
//! - RFC 8489 (STUN): codec, short-term and long-term credentials with MD5 keys, Binding. Not yet:
//!   USERHASH and PASSWORD-ALGORITHMS negotiation (a request without them is processed as MD5,
//!   §9.2.4), `OpaqueString` preparation (credentials are used as they are given), ALTERNATE-SERVER,
//!   RTO estimation.
//! - RFC 5769, RFC 8489 appendix B: the test vectors pass.
//! - RFC 7983: first-byte demultiplexing, without QUIC (RFC 9443).
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
mod fingerprint;
mod integrity;
mod message;
mod server;
mod transaction;

pub use attribute::{Attribute, AttributeType, Attributes, Malformed, RawAttribute, Value};
#[doc(inline)]
pub use attributes::*;
pub use auth::{
    Answer, ChallengeError, Checked, Choice, Claim, Credentials, LongTermClient, LongTermConfig,
    LongTermServer, Query, Refusal, Seal, Secret, SecurityFeatures, ShortTermClient, StaticUsers,
    TimeLimitedUsers, User, UserName, Users, check_short_term, lacks_algorithms,
};
pub use builder::{BuildError, Builder};
pub use classify::Protocol;
pub use client::{BindingError, Client, ClientConfig, ClientEvent, read_response};
#[doc(inline)]
pub use discovery::{Discovery, DiscoveryConfig, DiscoveryEvent};
pub use integrity::{Algorithm, Key};
pub use message::{
    Class, HEADER_LEN, MAGIC_COOKIE, Message, MessageType, Method, ParseError, ParseErrorKind,
    TransactionId,
};
pub use server::{
    Access, AddressGrid, BehaviourService, Budget, MAX_PENDING, Redirect, Server, ServerConfig,
    ServerConfigError,
};
pub use transaction::{Due, Retransmission, Transaction, Transactions};

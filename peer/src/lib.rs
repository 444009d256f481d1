//! One peer-to-peer connection: offer/answer and ICE joined, free of I/O.
//!
//! A [`Connection`] makes and takes session descriptions as SDP text, signals candidates as text,
//! finds a path with ICE and carries application datagrams over it. Its verbs for descriptions are
//! those of WebRTC: `create_offer`, `create_answer`, `set_local_description`,
//! `set_remote_description`, `add_ice_candidate`. Everything else is the [contract](floe_sansio).
//!
//! DTLS is its owner's: fingerprints, setup role and tls-id are handed in and signalled, and every
//! datagram on the path that is not STUN goes to the owner.
//!
//! ```
//! use floe_peer::{Config, Connection, DescriptionKind, DtlsIdentity, Event, Fingerprint, Setup};
//! use floe_sansio::{Datagram, Input, Instant};
//!
//! let now = Instant::ZERO;
//! let identity = DtlsIdentity {
//!     fingerprints: vec![Fingerprint::sha256([7; 32])],
//!     setup: Setup::Actpass,
//!     tls_id: None,
//! };
//! let peer = |address: &str, seed| {
//!     let mut config = Config::data_channel(identity.clone());
//!     config.addresses = vec![address.parse().unwrap()];
//!     Connection::new(config, [seed; 32], now).unwrap()
//! };
//! let (mut a, mut b) = (peer("192.0.2.1:1000", 1), peer("192.0.2.2:2000", 2));
//!
//! // Offer and answer travel as text.
//! let offer = a.create_offer(now)?;
//! a.set_local_description(now, DescriptionKind::Offer, &offer)?;
//! b.set_remote_description(now, DescriptionKind::Offer, offer.as_bytes())?;
//! let answer = b.create_answer(now)?;
//! b.set_local_description(now, DescriptionKind::Answer, &answer)?;
//! a.set_remote_description(now, DescriptionKind::Answer, answer.as_bytes())?;
//!
//! // The driver: candidates over the signalling path, packets over the network, no delay here.
//! let mut selected = 0;
//! let mut now = now;
//! while selected < 2 {
//!     for i in 0..2 {
//!         let (this, other) = if i == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
//!         if this.poll_timeout().is_some_and(|at| at <= now) {
//!             this.handle_timeout(now);
//!         }
//!         while let Some(event) = this.poll_event() {
//!             match event {
//!                 Event::Candidate(candidate) => other.add_ice_candidate(now, &candidate)?,
//!                 Event::Selected(_) => selected += 1,
//!                 _ => {}
//!             }
//!         }
//!         while let Some(transmit) = this.poll_transmit() {
//!             let mut buffer = transmit.payload.to_vec();
//!             let datagram = Datagram::whole(transmit.path.mirrored(), &mut buffer);
//!             let _ = other.handle_input(now, datagram);
//!         }
//!     }
//!     now = now + std::time::Duration::from_millis(1);
//! }
//!
//! // A datagram of the application.
//! let mut buffer = *b"hello";
//! let route = a.send(&mut buffer, 0..5).unwrap();
//! assert_eq!(route.path.remote, "192.0.2.2:2000".parse().unwrap());
//! assert!(matches!(
//!     b.handle_input(now, Datagram::whole(route.path.mirrored(), &mut buffer)),
//!     Input::Data(_)
//! ));
//! # Ok::<(), floe_peer::Error>(())
//! ```
//!
//! # RFCs
//!
//! - RFC 9429 (JSEP), RFC 3264, RFC 9143: by `floe-sdp`; bundle policy must-bundle, so one ICE
//!   agent.
//! - RFC 8445, RFC 8838, RFC 7675: by `floe-ice`; trickle or not.
//! - A provisional answer starts no checks: the answer does, and only the answer begins the next
//!   generation of a restart (RFC 8839 §4.4, RFC 9429 §5.2.3.1).

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod config;
mod connection;
mod error;
mod event;

pub use config::Config;
pub use connection::Connection;
pub use error::Error;
pub use event::{Event, IceCandidate, OfferReason};

#[doc(no_inline)]
pub use floe_ice::{
    CandidateKind, CommandError, Endpoint, FailureCause, Framing, GatheringError, NameId, Policy,
    Role, SelectedPair, SendError, State, StreamId, TcpType, TcpUse, TurnServer, Unusable,
};
#[doc(no_inline)]
pub use floe_sdp::{
    Codec, DataChannel, DescriptionKind, Direction, DtlsIdentity, DtlsRole, Fingerprint, MediaKind,
    Negotiated, NegotiationError, Rtp, SectionConfig, Setup, SignalingState,
};
#[doc(no_inline)]
pub use floe_stun::Credentials;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

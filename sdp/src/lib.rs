//! SDP without loss, and the offer/answer negotiator, free of I/O.
//!
//! Two programs that want to connect tell each other what they want and where they are reached:
//! an *offer* and an *answer*, each a text in the Session Description Protocol. This crate reads
//! such texts, writes them, and keeps the rules of who may say what and when. It opens no socket,
//! asks no clock and draws no random number: session ids, ICE credentials and certificates come in
//! as arguments, texts come in and go out.
//!
//! | layer | what it is |
//! |---|---|
//! | [`Session`] | a description as an index of borrowed lines, strict or lenient; prints back byte for byte |
//! | [`Field`], [`AttributeValue`] | typed values of lines and attributes, read when asked for, and written |
//! | [`SessionBuf`], [`Builder`] | a description of its own: edited line by line, or made |
//! | [`ice`] | the grammar of ICE candidates and credentials, and of the bodies that carry them |
//! | [`Negotiator`] | offer/answer, as browsers do it or as telephones do |
//! | [`check_answer`], [`check_reoffer`], [`check_exchange`] | whether descriptions fit each other, whoever made them |
//!
//! # Example
//!
//! Answering a browser that wants a data channel:
//!
//! ```
//! use floe_sdp::ice::IceCredentials;
//! use floe_sdp::{
//!     DescriptionKind, DtlsIdentity, DtlsRole, Fingerprint, LocalTransport, Negotiator,
//!     NegotiatorConfig, Setup,
//! };
//!
//! let offer = include_bytes!("../tests/data/data-offer.sdp");
//! let mut negotiator = Negotiator::new(NegotiatorConfig::new(4711, Vec::new()))?;
//! let remote = negotiator.set_remote(DescriptionKind::Offer, offer)?;
//! let transport = remote.transport().unwrap();
//! assert_eq!(transport.credentials.as_ref().unwrap().ufrag(), "4UuL");
//! assert_eq!(transport.candidates.len(), 2);
//!
//! let answer = negotiator.create_answer(&LocalTransport {
//!     credentials: Some(&IceCredentials::new("floe", "0123456789abcdef012345").unwrap()),
//!     pacing: None,
//!     candidates: &[],
//!     end_of_candidates: false,
//!     dtls: Some(&DtlsIdentity {
//!         fingerprints: vec![Fingerprint::sha256([7; 32])],
//!         setup: Setup::Actpass,
//!         tls_id: None,
//!     }),
//!     lite: false,
//!     ice_options: &[],
//!     remote_candidate: None,
//!     address: None,
//! })?;
//! negotiator.set_local(DescriptionKind::Answer, &answer)?;
//! assert_eq!(negotiator.negotiated().unwrap().dtls_role(), Some(DtlsRole::Client));
//! # Ok::<(), floe_sdp::NegotiationError>(())
//! ```
//!
//! # What it follows, and what is left out
//!
//! | RFC | left out |
//! |---|---|
//! | 8866 SDP | e-mail addresses are checked only as far as `x@y`; `cat`, `keywds`, `orient` and `type` stay untyped; text is bytes, whatever `charset` says |
//! | 3264 offer/answer | multicast and capability descriptions; `ptime` and bandwidth are not negotiated |
//! | 5888 grouping | groups other than BUNDLE are left out of answers |
//! | 9143 BUNDLE | moving a section out of a group. `rtcp-mux` is written in every RTP section, since RFC 9429 §5.8.3 and browsers look for it in each |
//! | 9429 JSEP | rolling back a provisional answer, as in browsers; `msid`, `imageattr`, `rtcp-rsize`, lip-sync groups, RED and FEC: unknown formats and attributes are left out of answers |
//! | 8285 header extensions | ids above 255 and `extmap-allow-mixed` |
//! | 8853 simulcast | pausing; of alternatives the first that can be used is taken |
//! | 8839 ICE in SDP | separate RTCP components; what SIP does with it |
//! | 8840 trickle ICE | what SIP does with it: the bodies of its INFO requests are here ([`ice::Fragment`]), dialogues are not |
//! | 8122, 8842 DTLS | the handshake itself |
//! | 8841 SCTP over DTLS | the older `sctpmap` is read and not negotiated |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod attribute;
mod builder;
mod codec;
mod direction;
mod document;
mod dtls;
mod edit;
mod error;
mod field;
mod grammar;
pub mod ice;
mod index;
mod limits;
mod line;
mod negotiator;
mod order;

pub use attribute::{Attribute, AttributeValue, Extmap, Fmtp, Group, Password, Rtpmap, Words};
pub use builder::Builder;
pub use codec::Codec;
pub use direction::Direction;
pub use document::{Media, Session};
pub use dtls::{DtlsIdentity, DtlsRole, Fingerprint, FingerprintError, FingerprintRef, Setup};
pub use edit::{Level, SessionBuf};
pub use error::{Error, ErrorKind, Rendered};
pub use field::{
    Address, Bandwidth, BandwidthKind, Connection, Field, MediaLine, Origin, Repeat, Time, Zone,
};
pub use limits::Limits;
pub use line::Line;
pub use negotiator::{
    BundlePolicy, DataChannel, DescriptionKind, Effects, Glare, HeaderExtension, LocalTransport,
    LocalTransports, MediaKind, Mismatch, MismatchPolicy, Misuse, Negotiated, NegotiatedSection,
    NegotiatedTransport, NegotiationError, Negotiator, NegotiatorConfig, Profile, RemoteCandidate,
    RemoteDescription, RemoteSection, RemoteTransport, Rtp, Sctp, SectionConfig, SectionEffect,
    SignalingState, Stream, Transport, TransportEffect, TransportId, Violation, check_answer,
    check_exchange, check_reoffer,
};

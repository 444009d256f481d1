//! Why a call to the negotiator was refused.

use core::fmt;

use crate::negotiator::SignalingState;
use crate::{Error, ice::CandidateError};

/// A call was refused; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The call has no place in this state (RFC 9429 §3.2).
    State(SignalingState),
    /// The other side has made an offer at the same time, and this side's goes first
    /// ([`Glare::Impolite`](crate::Glare::Impolite), RFC 3264 §4).
    Glare,
    /// The description does not follow a grammar.
    Syntax(Error),
    /// The description breaks a rule of offer/answer.
    Remote {
        /// The rule.
        rule: Violation,
        /// The section, if it is about one; counts `m=` lines from 0.
        section: Option<u16>,
        /// The line of the text, counted from 1: that of the attribute, else that of the section.
        line: u32,
    },
    /// The owner handed in something that cannot be said.
    Local(Misuse),
    /// A trickled candidate does not follow the grammar.
    Candidate(CandidateError),
    /// A trickled candidate names no section, or one that does not exist.
    UnknownSection,
    /// A trickled candidate belongs to another ICE generation.
    WrongGeneration,
    /// More candidates in bodies of one generation than are kept in mind.
    TooManyCandidates,
}

/// A rule that a description from the other side breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// `sess-id` or `sess-version` is no 63-bit number (RFC 3264 §5).
    OriginRange,
    /// `o=` is of another session than before (RFC 3264 §8).
    Origin,
    /// `sess-version` is not above the last, and the text is not the same (RFC 3264 §8).
    Version,
    /// An attribute that may stand once stands twice at one level.
    DuplicateAttribute,
    /// Two sections have the same mid (RFC 5888 §4).
    DuplicateMid,
    /// A section is in two BUNDLE groups (RFC 9143 §5).
    TwoGroups,
    /// A refused section is in a BUNDLE group (RFC 9143 §7.3.3, §7.5.3).
    RefusedInGroup,
    /// More extensions, fingerprints and options at session level than can be inherited.
    TooManyInherited,
    /// One payload type stands for two formats on one transport (RFC 9143 §9.1.1).
    PayloadType,
    /// One id stands for two header extensions on one transport (RFC 9143 §12).
    ExtensionId,
    /// No `ice-ufrag` or no `ice-pwd` (RFC 9429 §5.8.3).
    MissingIceCredentials,
    /// No `fingerprint` (RFC 9429 §5.8.3).
    MissingFingerprint,
    /// No `setup` (RFC 9429 §5.8.3).
    MissingSetup,
    /// `setup` says what this kind of description may not, or goes against the DTLS roles in use.
    Setup,
    /// `crypto` or `key-mgmt` (RFC 9429 §5.1.1).
    ForbiddenKeying,
    /// An RTP section without `rtcp-mux` (RFC 9429 §5.8.3).
    MissingRtcpMux,
    /// A data section without `sctp-port` (RFC 9429 §5.8.2).
    MissingSctpPort,
    /// The number of sections is not that of the offer, or less than before (RFC 3264 §6, §8).
    SectionCount,
    /// Media type or protocol is not that of the offer (RFC 9429 §5.8.3).
    SectionType,
    /// The mid is not that of the offer (RFC 5888 §9.1).
    Mid,
    /// A section that is in use has another mid than before (RFC 9429 §5.2.2).
    MidChanged,
    /// A payload type has another format than before (RFC 3264 §8.3.2).
    PayloadTypeChanged,
    /// A header extension has another id than before, or an id another extension (RFC 8285 §6).
    ExtensionIdChanged,
    /// The answer has a header extension that was not offered (RFC 8285 §6).
    ExtensionNotOffered,
    /// The answer has streams that were not offered (RFC 8853 §5.3.2).
    Simulcast,
    /// The answer has `rtcp-mux` and the offer has not (RFC 5761 §5.1.1).
    RtcpMux,
    /// The answer accepts a section that was not offered, or without the group it needs.
    NotOffered,
    /// The answer groups what was not grouped in the offer (RFC 9143 §7.4).
    Group,
    /// The answer's direction does not fit the offer's (RFC 3264 §6.1).
    Direction,
    /// An accepted section has no format of the offer (RFC 3264 §6.1).
    NoCommonFormat,
    /// Only one of ufrag and password has changed (RFC 8839 §4.4.1.1.1).
    HalfRestart,
    /// The answer restarts ICE and the offer did not, or the other way round (RFC 8839 §4.4.2).
    RestartMismatch,
    /// `ice-options`, `ice-pacing` or `ice-lite` changed without a restart (RFC 8839 §4.4.2.1).
    IceParametersChanged,
    /// `tls-id` or fingerprints changed without an ICE restart (RFC 9429 §5.8.3, §5.11).
    DtlsChanged,
    /// `ice-mismatch`: the answerer goes without ICE, and there is no other way (RFC 8839 §5.3).
    IceMismatch,
    /// `remote-candidates` in an answer (RFC 8839 §4.4.2).
    RemoteCandidates,
}

/// What the owner handed in wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// `session_id` is not below 2⁶³−1.
    SessionId,
    /// A header extension with an id outside of 1..=14, without a name, or given twice.
    Extension,
    /// A stream whose name or restrictions cannot be written, given twice, or one too many.
    Stream,
    /// No section of the owner's has this index.
    NoSuchSection,
    /// Two transports have the same ufrag.
    SharedCredentials,
    /// The transports differ in what one side has once: pacing, lite, certificates (RFC 9429
    /// §5.2.1).
    UnlikeTransports,
    /// No codecs, a codec that cannot be written, or one payload type with two meanings.
    Codec,
    /// No credentials, or a ufrag longer than 32 characters.
    Credentials,
    /// No DTLS side, no fingerprint, or a `tls-id` that is not 20 to 255 of its characters.
    Dtls,
    /// The pacing does not fit ten digits of milliseconds.
    Pacing,
    /// A candidate that cannot be written, has a component other than 1, or a domain name.
    Candidate,
    /// Ufrag and password must change together.
    HalfRestart,
    /// New credentials are needed: in an answer, since the offer restarts ICE; in an offer, since ICE
    /// was offered before and the answer had none (RFC 8839 §4.4.3.1).
    RestartNeeded,
    /// The offer does not restart ICE, so the answer keeps its credentials.
    RestartNotOffered,
    /// Options, pacing or lite changed without new credentials.
    IceParametersChanged,
    /// Fingerprints or `tls-id` changed without new credentials.
    DtlsChanged,
    /// A lite agent has one more candidate without new credentials (RFC 8839 §4.4.1.3).
    LiteCandidate,
    /// The text is not what was created last (RFC 9429 §5.4).
    NotAsCreated,
    /// More sections than can be counted.
    TooManySections,
}

impl Violation {
    fn text(self) -> &'static str {
        match self {
            Self::Origin => "another session than before",
            Self::Version => "session version does not grow",
            Self::RefusedInGroup => "refused section in a BUNDLE group",
            Self::TooManyInherited => "too much at session level",
            Self::PayloadType => "payload type with two formats",
            Self::ExtensionId => "extension id with two extensions",
            Self::MidChanged => "mid of a section in use changed",
            Self::PayloadTypeChanged => "payload type has another format than before",
            Self::ExtensionIdChanged => "header extension has another id than before",
            Self::ExtensionNotOffered => "header extension was not offered",
            Self::Simulcast => "streams were not offered",
            Self::RtcpMux => "rtcp-mux was not offered",
            Self::OriginRange => "session id or version is out of range",
            Self::DuplicateAttribute => "attribute given twice",
            Self::DuplicateMid => "mid given twice",
            Self::TwoGroups => "section in two BUNDLE groups",
            Self::MissingIceCredentials => "no ICE credentials",
            Self::MissingFingerprint => "no fingerprint",
            Self::MissingSetup => "no setup",
            Self::Setup => "setup does not fit",
            Self::ForbiddenKeying => "keying in SDP is forbidden",
            Self::MissingRtcpMux => "no rtcp-mux",
            Self::MissingSctpPort => "no sctp-port",
            Self::SectionCount => "wrong number of sections",
            Self::SectionType => "media type or protocol differs from the offer",
            Self::Mid => "mid differs from the offer",
            Self::NotOffered => "section accepted that was not offered so",
            Self::Group => "group differs from the offer",
            Self::Direction => "direction does not fit the offer",
            Self::NoCommonFormat => "no common format",
            Self::HalfRestart => "only one of ufrag and password changed",
            Self::RestartMismatch => "restart in only one of offer and answer",
            Self::IceParametersChanged => "ICE parameters changed without restart",
            Self::DtlsChanged => "DTLS identity changed without ICE restart",
            Self::IceMismatch => "answer goes without ICE",
            Self::RemoteCandidates => "remote-candidates in an answer",
        }
    }
}

impl Misuse {
    fn text(self) -> &'static str {
        match self {
            Self::Extension => "header extensions cannot be offered",
            Self::Stream => "streams cannot be offered",
            Self::NoSuchSection => "no such section",
            Self::SharedCredentials => "two transports with the same ufrag",
            Self::UnlikeTransports => "transports differ in pacing, lite or certificates",
            Self::SessionId => "session id is out of range",
            Self::Codec => "codecs cannot be offered",
            Self::Credentials => "no ICE credentials that can be sent",
            Self::Dtls => "fingerprints or tls-id cannot be offered",
            Self::Pacing => "pacing is out of range",
            Self::Candidate => "candidate cannot be offered",
            Self::HalfRestart => "ufrag and password must change together",
            Self::RestartNeeded => "ICE restarts: new credentials needed",
            Self::RestartNotOffered => "the offer does not restart ICE: credentials must stay",
            Self::IceParametersChanged => "ICE parameters changed without restart",
            Self::DtlsChanged => "DTLS identity changed without ICE restart",
            Self::LiteCandidate => "a lite agent has one more candidate without ICE restart",
            Self::NotAsCreated => "description is not the one created last",
            Self::TooManySections => "too many sections",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "not possible in state {state}"),
            Self::Syntax(error) => error.fmt(f),
            Self::Glare => f.write_str("both sides have made an offer, and this one goes first"),
            Self::Remote {
                rule,
                section: Some(index),
                line,
            } => write!(f, "line {line}, section {index}: {}", rule.text()),
            Self::Remote {
                rule,
                section: None,
                line,
            } => write!(f, "line {line}: {}", rule.text()),
            Self::Local(misuse) => f.write_str(misuse.text()),
            Self::Candidate(error) => error.fmt(f),
            Self::UnknownSection => f.write_str("candidate of no known section"),
            Self::WrongGeneration => f.write_str("candidate of another ICE generation"),
            Self::TooManyCandidates => f.write_str("too many candidates"),
        }
    }
}

impl core::error::Error for NegotiationError {}

impl From<Error> for NegotiationError {
    fn from(error: Error) -> Self {
        Self::Syntax(error)
    }
}

impl From<Misuse> for NegotiationError {
    fn from(misuse: Misuse) -> Self {
        Self::Local(misuse)
    }
}

impl From<CandidateError> for NegotiationError {
    fn from(error: CandidateError) -> Self {
        Self::Candidate(error)
    }
}

/// Where a description breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    section: Option<u16>,
    line: u32,
}

impl Place {
    pub(crate) const NONE: Self = Self {
        section: None,
        line: 1,
    };

    pub(crate) fn new(section: Option<usize>, line: u32) -> Self {
        let section = section.and_then(|index| u16::try_from(index).ok());
        Self { section, line }
    }
}

/// A rule broken at a place.
pub(crate) fn violation(rule: Violation, place: Place) -> NegotiationError {
    NegotiationError::Remote {
        rule,
        section: place.section,
        line: place.line,
    }
}

//! What a description from the other side says, owned.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ice::{Candidate, IceCredentials};
use crate::negotiator::DescriptionKind;
use crate::{Codec, Direction, DtlsIdentity};

/// A description that [`Negotiator::set_remote`](crate::Negotiator::set_remote) has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteDescription {
    /// Offer, provisional answer or answer.
    pub kind: DescriptionKind,
    /// The one transport; `None` if no section is alive.
    pub transport: Option<RemoteTransport>,
    /// One for every `m=`, in order.
    pub sections: Vec<RemoteSection>,
}

impl RemoteDescription {
    /// The first data section that is accepted.
    pub fn data(&self) -> Option<&RemoteSection> {
        self.sections
            .iter()
            .find(|section| section.accepted && section.sctp_port.is_some())
    }
}

/// What the other side says of the one transport that all accepted sections share.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a transport"
)]
pub struct RemoteTransport {
    /// The section that speaks for the transport (the BUNDLE tag), counted from 0.
    pub mline_index: u16,
    /// Its mid.
    pub mid: Option<String>,
    /// Credentials of the ICE generation.
    pub credentials: IceCredentials,
    /// Whether this is a new generation; false for the first.
    pub ice_restart: bool,
    /// All `ice-options`, in order.
    pub ice_options: Vec<String>,
    /// Whether it is an ICE-lite agent.
    pub lite: bool,
    /// `ice-pacing`; without it 50 ms count (RFC 8839 §5.5).
    pub pacing: Option<Duration>,
    /// Candidates of component 1, in order; names are kept.
    pub candidates: Vec<Candidate>,
    /// `candidate` lines that are malformed or of another component.
    pub ignored_candidates: usize,
    /// Whether there will be no more candidates in this generation.
    pub end_of_candidates: bool,
    /// Whether the default destination is none of the candidates, or the other side says so of
    /// ours (`ice-mismatch`): something between the two has changed the text (RFC 8839 §4.2.5).
    pub mismatch: bool,
    /// Certificates, DTLS role, association.
    pub dtls: DtlsIdentity,
    /// Whether certificates or `tls-id` differ from those in use; false for the first.
    pub dtls_restart: bool,
}

impl RemoteTransport {
    fn has_option(&self, name: &str) -> bool {
        self.ice_options.iter().any(|option| option == name)
    }

    /// Whether it takes candidates later (RFC 8838).
    pub fn trickle(&self) -> bool {
        self.has_option("trickle")
    }

    /// Whether it follows RFC 8445; an RFC 5245 agent does not say so.
    pub fn ice2(&self) -> bool {
        self.has_option("ice2")
    }
}

/// One section of the other side's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSection {
    /// Place among the `m=` lines, counted from 0.
    pub mline_index: u16,
    /// Its mid.
    pub mid: Option<String>,
    /// What it carries.
    pub media: MediaKind,
    /// In an offer: whether the answer will accept it. In an answer: whether it is accepted.
    pub accepted: bool,
    /// Direction as the other side sees it.
    pub direction: Direction,
    /// The formats whose meaning is known, in the other side's order of preference.
    pub codecs: Vec<Codec>,
    /// `sctp-port` of a data section.
    pub sctp_port: Option<u16>,
    /// `max-message-size` of a data section in bytes: 65 536 if it says nothing, 0 = no bound.
    pub max_message_size: Option<u64>,
}

/// What a section carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MediaKind {
    /// `audio`.
    Audio,
    /// `video`.
    Video,
    /// `application`.
    Application,
    /// Anything else; never accepted.
    Other,
}

impl MediaKind {
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "audio" => Self::Audio,
            "video" => Self::Video,
            "application" => Self::Application,
            _ => Self::Other,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application | Self::Other => "application",
        }
    }

    /// Whether a section of this kind may have this protocol (RFC 9429 §5.1.2).
    pub(crate) fn takes(self, protocol: &str) -> bool {
        const RTP: [&str; 8] = [
            "UDP/TLS/RTP/SAVPF",
            "UDP/TLS/RTP/SAVP",
            "TCP/DTLS/RTP/SAVPF",
            "TCP/DTLS/RTP/SAVP",
            "RTP/SAVPF",
            "RTP/SAVP",
            "RTP/AVPF",
            "RTP/AVP",
        ];
        const DATA: [&str; 3] = ["UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"];
        match self {
            Self::Audio | Self::Video => RTP.contains(&protocol),
            Self::Application => DATA.contains(&protocol),
            Self::Other => false,
        }
    }
}

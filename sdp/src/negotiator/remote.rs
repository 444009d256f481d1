//! What a description from the other side says, owned.

use alloc::string::String;
use alloc::vec::Vec;

use crate::negotiator::transport::RemoteTransport;
use crate::negotiator::{DescriptionKind, Effects};
use crate::{Codec, Direction};

/// A description that [`Negotiator::set_remote`](crate::Negotiator::set_remote) has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteDescription {
    /// Offer, provisional answer or answer.
    pub kind: DescriptionKind,
    /// The transports of the sections that are accepted, in the order of those that speak for
    /// them; their candidates are for ICE.
    pub transports: Vec<RemoteTransport>,
    /// One for every `m=`, in order.
    pub sections: Vec<RemoteSection>,
    /// What has changed by it.
    pub effects: Effects,
}

impl RemoteDescription {
    /// The first transport: the only one, if the policy is
    /// [`MustBundle`](crate::BundlePolicy::MustBundle). `None` if no section is accepted.
    pub fn transport(&self) -> Option<&RemoteTransport> {
        self.transports.first()
    }

    /// The first data section that is accepted.
    pub fn data(&self) -> Option<&RemoteSection> {
        self.sections
            .iter()
            .find(|section| section.accepted && section.sctp_port.is_some())
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

//! What the owner hands in.

use alloc::vec::Vec;
use core::time::Duration;

use crate::ice::{Candidate, CandidateAddress, IceCredentials, SENT_UFRAG};
use crate::negotiator::{MediaKind, Misuse};
use crate::{Codec, Direction, DtlsIdentity, Limits};

/// What a [`Negotiator`](crate::Negotiator) negotiates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatorConfig {
    /// `sess-id` of the local `o=`: random, below 2⁶³−1 (RFC 9429 §5.2.1).
    pub session_id: u64,
    /// The sections to offer, in order; in answers they take the offered sections of their kind.
    pub sections: Vec<SectionConfig>,
    /// What to accept beyond `sections` when the other side offers it: one entry per kind.
    pub accept: Vec<SectionConfig>,
    /// Bounds on remote descriptions; more than 65 535 media sections are never read.
    pub limits: Limits,
}

impl NegotiatorConfig {
    /// Offers the given sections and accepts any that this crate knows: a data channel, and audio
    /// and video to receive.
    pub fn new(session_id: u64, sections: Vec<SectionConfig>) -> Self {
        let receive = |codecs| Rtp {
            codecs,
            direction: Direction::RecvOnly,
        };
        let accept = Vec::from([
            SectionConfig::Application(DataChannel::default()),
            SectionConfig::Audio(receive(Codec::audio())),
            SectionConfig::Video(receive(Codec::video())),
        ]);
        Self {
            session_id,
            sections,
            accept,
            limits: Limits::DEFAULT,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Misuse> {
        if self.session_id >= i64::MAX as u64 {
            return Err(Misuse::SessionId);
        }
        for set in [&self.sections, &self.accept] {
            // One transport: a payload type means one format in all sections (RFC 9143 §9.1.1).
            let mut known: [Option<&Codec>; 128] = [None; 128];
            for codec in set
                .iter()
                .filter_map(SectionConfig::rtp)
                .flat_map(|rtp| &rtp.codecs)
            {
                let slot = known.get_mut(usize::from(codec.payload_type));
                match slot {
                    Some(slot) if codec.is_valid() && slot.is_none_or(|other| other == codec) => {
                        *slot = Some(codec);
                    }
                    _ => return Err(Misuse::Codec),
                }
            }
            if set
                .iter()
                .any(|section| section.rtp().is_some_and(|rtp| rtp.codecs.is_empty()))
            {
                return Err(Misuse::Codec);
            }
        }
        Ok(())
    }
}

/// One media section of the owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionConfig {
    /// Data channels.
    Application(DataChannel),
    /// Audio over RTP.
    Audio(Rtp),
    /// Video over RTP.
    Video(Rtp),
}

impl SectionConfig {
    pub(crate) fn kind(&self) -> MediaKind {
        match self {
            Self::Application(_) => MediaKind::Application,
            Self::Audio(_) => MediaKind::Audio,
            Self::Video(_) => MediaKind::Video,
        }
    }

    pub(crate) fn rtp(&self) -> Option<&Rtp> {
        match self {
            Self::Audio(rtp) | Self::Video(rtp) => Some(rtp),
            Self::Application(_) => None,
        }
    }
}

/// Parameters of SCTP over DTLS (RFC 8841).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataChannel {
    /// `sctp-port`.
    pub sctp_port: u16,
    /// `max-message-size` in bytes that this side takes, 0 = no bound.
    pub max_message_size: u64,
}

impl Default for DataChannel {
    /// Port 5000, 262 144 bytes: what browsers say.
    fn default() -> Self {
        Self {
            sctp_port: 5000,
            max_message_size: 262_144,
        }
    }
}

/// An RTP section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtp {
    /// In order of preference; at least one.
    pub codecs: Vec<Codec>,
    /// What this side wants.
    pub direction: Direction,
}

/// What a local description says of the one transport.
#[derive(Clone, Copy, Debug)]
pub struct LocalTransport<'a> {
    /// Credentials of the ICE generation; a ufrag of at most 32 characters. New ones restart ICE.
    pub credentials: &'a IceCredentials,
    /// `ice-pacing`, in whole milliseconds (RFC 8839 §5.5); left out by a lite agent.
    pub pacing: Option<Duration>,
    /// The candidates known so far, of component 1; after nomination, the nominated one alone.
    pub candidates: &'a [Candidate],
    /// Whether gathering has ended.
    pub end_of_candidates: bool,
    /// The DTLS side.
    pub dtls: &'a DtlsIdentity,
    /// Whether this is an ICE-lite agent.
    pub lite: bool,
}

impl LocalTransport<'_> {
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        if self.credentials.ufrag().len() > SENT_UFRAG {
            return Err(Misuse::Credentials);
        }
        if !self.dtls.is_valid() {
            return Err(Misuse::Dtls);
        }
        if self
            .pacing
            .is_some_and(|pacing| pacing.as_millis() > 9_999_999_999)
        {
            return Err(Misuse::Pacing);
        }
        // RFC 8839 §5.1 allows no names; browsers hide addresses behind mDNS ones nevertheless.
        let named = |candidate: &Candidate| match &candidate.address {
            CandidateAddress::Ip(_) => true,
            CandidateAddress::Name(name) => name.to_ascii_lowercase().ends_with(".local"),
        };
        let good = |candidate: &Candidate| {
            candidate.component == 1 && candidate.is_valid() && named(candidate)
        };
        if self.candidates.iter().all(good) {
            Ok(())
        } else {
            Err(Misuse::Candidate)
        }
    }
}

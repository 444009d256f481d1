//! What the owner wants.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::negotiator::rtp::{HeaderExtension, MAX_STREAMS, MID_EXTENSION, RID_EXTENSION, Stream};
use crate::negotiator::{MediaKind, Misuse};
use crate::{Codec, Direction, Limits};

/// What a [`Negotiator`](crate::Negotiator) negotiates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatorConfig {
    /// `sess-id` of the local `o=`: random, below 2⁶³−1 (RFC 9429 §5.2.1).
    pub session_id: u64,
    /// The sections to offer, in order; in answers they take the offered sections of their kind.
    pub sections: Vec<SectionConfig>,
    /// What to accept beyond `sections` when the other side offers it: one entry per kind.
    pub accept: Vec<SectionConfig>,
    /// Whose rules hold.
    pub profile: Profile,
    /// Which sections get a transport of their own; [`Profile::Rfc3264`] bundles nothing.
    pub bundle: BundlePolicy,
    /// What happens to an own offer that meets one of the other side's.
    pub glare: Glare,
    /// What an answer in the plain profile does about an offer that was changed on its way.
    pub mismatch: MismatchPolicy,
    /// Bounds on remote descriptions; more than 65 535 media sections are never read.
    pub limits: Limits,
}

/// Whose rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// RFC 9429, as browsers do it: ICE, DTLS and one port for RTP and RTCP always, sections
    /// bundled.
    #[default]
    Jsep,
    /// RFC 3264 alone, as telephones do it: plain RTP, or with ICE and DTLS if both sides have
    /// them; every section on a transport of its own.
    Rfc3264,
}

/// Which sections get a transport of their own (RFC 9429 §4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BundlePolicy {
    /// The first of each media type; the others live in the bundle or not at all.
    #[default]
    Balanced,
    /// All, until the other side bundles them.
    MaxCompat,
    /// The first alone. Browsers call it `max-bundle` too.
    MustBundle,
}

/// What happens when an offer arrives while an own one waits for its answer (RFC 3264 §4): one
/// side has to be polite, the other not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glare {
    /// The own offer is rolled back and theirs is taken.
    Polite,
    /// Theirs is refused; it has to be made again.
    #[default]
    Impolite,
}

/// What an answer does about a section whose default destination is none of its candidates (RFC 8839
/// §4.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MismatchPolicy {
    /// ICE goes on with the candidates that are there.
    #[default]
    Continue,
    /// It says `ice-mismatch` and goes without ICE there: media goes where `m=` and `c=` want it. JSEP
    /// knows no such way and continues always.
    Answer,
}

impl NegotiatorConfig {
    /// Offers the given sections and accepts any that this crate knows: a data channel, and audio
    /// and video to receive. JSEP, [`BundlePolicy::Balanced`], [`Glare::Impolite`],
    /// [`MismatchPolicy::Continue`].
    pub fn new(session_id: u64, sections: Vec<SectionConfig>) -> Self {
        let receive = |codecs| Rtp::new(codecs, Direction::RecvOnly);
        let accept = Vec::from([
            SectionConfig::Application(DataChannel::default()),
            SectionConfig::Audio(receive(Codec::audio())),
            SectionConfig::Video(receive(Codec::video())),
        ]);
        Self {
            session_id,
            sections,
            accept,
            profile: Profile::default(),
            bundle: BundlePolicy::default(),
            glare: Glare::default(),
            mismatch: MismatchPolicy::default(),
            limits: Limits::DEFAULT,
        }
    }

    /// The policy that counts.
    pub(crate) fn policy(&self) -> BundlePolicy {
        match self.profile {
            Profile::Jsep => self.bundle,
            Profile::Rfc3264 => BundlePolicy::MaxCompat,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Misuse> {
        if self.session_id >= i64::MAX as u64 {
            return Err(Misuse::SessionId);
        }
        for set in [&self.sections, &self.accept] {
            // One transport: a payload type means one format in all sections (RFC 9143 §9.1.1).
            let mut known: [Option<&Codec>; 128] = [None; 128];
            for rtp in set.iter().filter_map(SectionConfig::rtp) {
                rtp.check()?;
                for codec in &rtp.codecs {
                    let slot = known.get_mut(usize::from(codec.payload_type));
                    match slot {
                        Some(slot) if slot.is_none_or(|other| other == codec) => {
                            *slot = Some(codec);
                        }
                        _ => return Err(Misuse::Codec),
                    }
                }
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

    pub(crate) fn rtp_mut(&mut self) -> Option<&mut Rtp> {
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
    /// In order of preference; at least one that is no retransmission.
    pub codecs: Vec<Codec>,
    /// What this side wants.
    pub direction: Direction,
    /// Header extensions; that of the mid goes without saying.
    pub extensions: Vec<HeaderExtension>,
    /// The streams of a simulcast that this side would send (RFC 8853), best first; at most 16.
    pub send_rids: Vec<Stream>,
    /// How many streams of a simulcast this side receives; 0 is no simulcast.
    pub max_receive_rids: usize,
}

impl Rtp {
    /// A section without further extensions and simulcast.
    pub fn new(codecs: Vec<Codec>, direction: Direction) -> Self {
        Self {
            codecs,
            direction,
            extensions: Vec::new(),
            send_rids: Vec::new(),
            max_receive_rids: 0,
        }
    }

    /// The same with these streams to send, and the extension that tells them apart under the
    /// first id that is free.
    #[must_use]
    pub fn with_simulcast(mut self, rids: Vec<Stream>) -> Self {
        self.send_rids = rids;
        self.tell_streams_apart()
    }

    /// The same, receiving up to so many streams of a simulcast.
    #[must_use]
    pub fn receiving_simulcast(mut self, streams: usize) -> Self {
        self.max_receive_rids = streams;
        self.tell_streams_apart()
    }

    fn tell_streams_apart(mut self) -> Self {
        if self
            .extensions
            .iter()
            .all(|known| known.uri != RID_EXTENSION)
        {
            let used = |id: &u16| self.extensions.iter().any(|known| known.id == *id);
            let id = (2..=14).find(|id| !used(id)).unwrap_or(14);
            self.extensions
                .push(HeaderExtension::new(id, RID_EXTENSION));
        }
        self
    }

    fn check(&self) -> Result<(), Misuse> {
        let real = |codec: &Codec| codec.repairs().is_none();
        if !self.codecs.iter().all(Codec::is_valid) || !self.codecs.iter().any(real) {
            return Err(Misuse::Codec);
        }
        let uris: BTreeSet<&str> = self.extensions.iter().map(|it| it.uri.as_str()).collect();
        let ids: BTreeSet<u16> = self.extensions.iter().map(|it| it.id).collect();
        let distinct = uris.len().min(ids.len()) == self.extensions.len();
        // The extension of the mid needs an id too.
        let named = self
            .extensions
            .iter()
            .any(|known| known.uri == MID_EXTENSION);
        let valid = self.extensions.iter().all(HeaderExtension::is_valid);
        if !valid || !distinct || (!named && self.extensions.len() > 13) {
            return Err(Misuse::Extension);
        }
        let names: BTreeSet<&str> = self.send_rids.iter().map(|rid| rid.id.as_str()).collect();
        let distinct = names.len() == self.send_rids.len() && names.len() <= MAX_STREAMS;
        if !distinct || !self.send_rids.iter().all(Stream::is_valid) {
            return Err(Misuse::Stream);
        }
        Ok(())
    }
}

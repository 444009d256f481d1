//! The signalling state machine (RFC 9429 §3.2) and the checks at its doors.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::negotiator::check::check_answer;
use crate::negotiator::description::Description;
use crate::negotiator::{
    LocalTransport, Misuse, NegotiationError, NegotiatorConfig, RemoteDescription, RemoteSection,
    SectionConfig,
};
use crate::{DtlsRole, Limits, Setup};

/// Where an exchange of offer and answer stands (RFC 9429 §3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignalingState {
    /// No exchange is under way.
    #[default]
    Stable,
    /// An own offer waits for its answer.
    HaveLocalOffer,
    /// An offer of the other side waits for the own answer.
    HaveRemoteOffer,
    /// It was answered provisionally.
    HaveLocalPranswer,
    /// The own offer was answered provisionally.
    HaveRemotePranswer,
}

impl fmt::Display for SignalingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::HaveLocalOffer => "have-local-offer",
            Self::HaveRemoteOffer => "have-remote-offer",
            Self::HaveLocalPranswer => "have-local-pranswer",
            Self::HaveRemotePranswer => "have-remote-pranswer",
        })
    }
}

/// What a description is. Rollback is a call of its own: [`Negotiator::rollback`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionKind {
    /// Opens an exchange.
    Offer,
    /// Answers it for now.
    Pranswer,
    /// Answers it and ends the exchange.
    Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Local,
    Remote,
}

impl SignalingState {
    /// The state after a description is set; `None` if it may not be set now.
    fn after(self, side: Side, kind: DescriptionKind) -> Option<Self> {
        use DescriptionKind::{Answer, Offer, Pranswer};
        use SignalingState as State;
        Some(match (self, side, kind) {
            (State::Stable | State::HaveLocalOffer, Side::Local, Offer) => State::HaveLocalOffer,
            (State::Stable | State::HaveRemoteOffer, Side::Remote, Offer) => State::HaveRemoteOffer,
            (State::HaveLocalOffer | State::HaveRemotePranswer, Side::Remote, Answer)
            | (State::HaveRemoteOffer | State::HaveLocalPranswer, Side::Local, Answer) => {
                State::Stable
            }
            (State::HaveLocalOffer | State::HaveRemotePranswer, Side::Remote, Pranswer) => {
                State::HaveRemotePranswer
            }
            (State::HaveRemoteOffer | State::HaveLocalPranswer, Side::Local, Pranswer) => {
                State::HaveLocalPranswer
            }
            _ => return None,
        })
    }
}

/// Whose section stands behind an `m=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    /// One of the owner's, by index.
    Own(usize),
    /// The other side's, accepted by an entry of [`NegotiatorConfig::accept`].
    Accept(usize),
    /// Nobody's: refused.
    None,
}

/// A finished exchange.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) local: Description,
    pub(crate) remote: Description,
    pub(crate) local_offered: bool,
    pub(crate) slots: Vec<Slot>,
    /// The owner's sections that were refused at some time: they are not offered again.
    pub(crate) retired: Vec<usize>,
}

impl Exchange {
    pub(crate) fn answer(&self) -> &Description {
        if self.local_offered {
            &self.remote
        } else {
            &self.local
        }
    }

    pub(crate) fn is_live(&self, index: usize) -> bool {
        self.answer()
            .sections
            .get(index)
            .is_some_and(|section| section.on_transport)
    }

    pub(crate) fn tag(&self) -> Option<usize> {
        self.answer()
            .transport
            .as_ref()
            .map(|transport| usize::from(transport.mline_index))
    }

    pub(crate) fn mid_extension(&self) -> Option<u16> {
        self.answer()
            .sections
            .iter()
            .find_map(|section| section.mid_extension)
    }

    /// The local role: the answer decides (RFC 8842 §5).
    pub(crate) fn dtls_role(&self) -> Option<DtlsRole> {
        let setup = self.answer().transport.as_ref()?.dtls.setup;
        Some(match (setup, self.local_offered) {
            (Setup::Active, false) | (Setup::Passive, true) => DtlsRole::Client,
            _ => DtlsRole::Server,
        })
    }
}

/// What `create_offer` or `create_answer` made last.
#[derive(Clone, Debug)]
struct Created {
    is_offer: bool,
    description: Description,
    slots: Vec<Slot>,
}

/// Negotiates one bundled transport by offers and answers, without any I/O.
///
/// The owner moves texts: what [`create_offer`](Self::create_offer) or
/// [`create_answer`](Self::create_answer) returns is given to [`set_local`](Self::set_local) and
/// sent; what arrives is given to [`set_remote`](Self::set_remote). A call that is refused changes
/// nothing.
///
/// `Debug` shows the state only, since descriptions hold passwords.
///
/// ```
/// use floe_sdp::ice::IceCredentials;
/// use floe_sdp::{
///     DataChannel, DescriptionKind, DtlsIdentity, Fingerprint, LocalTransport, Negotiator,
///     NegotiatorConfig, SectionConfig, Setup,
/// };
///
/// let dtls = DtlsIdentity {
///     fingerprints: vec![Fingerprint::sha256([7; 32])],
///     setup: Setup::Actpass,
///     tls_id: None,
/// };
/// let credentials = |ufrag| IceCredentials::new(ufrag, "0123456789abcdef012345").unwrap();
/// let (here, there) = (credentials("here"), credentials("there"));
/// let transport = |credentials| LocalTransport {
///     credentials, pacing: None, candidates: &[], end_of_candidates: false, dtls: &dtls, lite: false,
/// };
/// let data = || vec![SectionConfig::Application(DataChannel::default())];
/// let mut alice = Negotiator::new(NegotiatorConfig::new(1, data()))?;
/// let mut bob = Negotiator::new(NegotiatorConfig::new(2, data()))?;
///
/// let offer = alice.create_offer(&transport(&here))?;
/// alice.set_local(DescriptionKind::Offer, &offer)?;
/// let remote = bob.set_remote(DescriptionKind::Offer, offer.as_bytes())?;
/// assert_eq!(remote.transport.unwrap().credentials, here);
///
/// let answer = bob.create_answer(&transport(&there))?;
/// bob.set_local(DescriptionKind::Answer, &answer)?;
/// alice.set_remote(DescriptionKind::Answer, answer.as_bytes())?;
/// assert_eq!(alice.negotiated().unwrap().sctp.unwrap().remote_port, 5000);
/// # Ok::<(), floe_sdp::NegotiationError>(())
/// ```
#[derive(Clone)]
pub struct Negotiator {
    pub(super) config: NegotiatorConfig,
    pub(super) state: SignalingState,
    /// `sess-version` of the text created last.
    version: u64,
    pub(super) current: Option<Exchange>,
    pub(super) pending_local: Option<Description>,
    pub(super) pending_remote: Option<Description>,
    pending_slots: Vec<Slot>,
    created: Option<Created>,
}

impl fmt::Debug for Negotiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiator")
            .field("state", &self.state)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Negotiator {
    /// A negotiator in state stable with nothing negotiated.
    pub fn new(config: NegotiatorConfig) -> Result<Self, NegotiationError> {
        config.check()?;
        Ok(Self {
            config,
            state: SignalingState::Stable,
            version: 0,
            current: None,
            pending_local: None,
            pending_remote: None,
            pending_slots: Vec::new(),
            created: None,
        })
    }

    /// The state.
    pub fn state(&self) -> SignalingState {
        self.state
    }

    /// One more section for the next offer; it takes the place of a refused one if there is any.
    pub fn add_section(&mut self, section: SectionConfig) -> Result<(), NegotiationError> {
        let mut config = self.config.clone();
        config.sections.push(section);
        config.check()?;
        self.config = config;
        Ok(())
    }

    /// The local description: the pending one, else the current one.
    pub fn local_description(&self) -> Option<&str> {
        let current = self.current.as_ref().map(|current| &current.local);
        let description = self.pending_local.as_ref().or(current)?;
        core::str::from_utf8(&description.text).ok()
    }

    /// The remote description: the pending one, else the current one.
    pub fn remote_description(&self) -> Option<&[u8]> {
        self.remote().map(|description| description.text.as_slice())
    }

    pub(super) fn remote(&self) -> Option<&Description> {
        self.pending_remote
            .as_ref()
            .or(self.current.as_ref().map(|current| &current.remote))
    }

    pub(super) fn section(&self, slot: Slot) -> Option<&SectionConfig> {
        match slot {
            Slot::Own(index) => self.config.sections.get(index),
            Slot::Accept(index) => self.config.accept.get(index),
            Slot::None => None,
        }
    }

    /// Makes an offer, in states stable and have-local-offer. New credentials restart ICE.
    ///
    /// Every text has a `sess-version` one above the last (RFC 9429 §5.2.2).
    pub fn create_offer(&mut self, local: &LocalTransport<'_>) -> Result<String, NegotiationError> {
        if self
            .state
            .after(Side::Local, DescriptionKind::Offer)
            .is_none()
        {
            return Err(NegotiationError::State(self.state));
        }
        local.check()?;
        let slots = self.offer_slots();
        if slots.len() > usize::from(u16::MAX) {
            return Err(Misuse::TooManySections.into());
        }
        let text = self.write_offer(&slots, local, self.version + 1)?;
        self.keep_created(DescriptionKind::Offer, text, slots)
    }

    /// Makes an answer, in states have-remote-offer and have-local-pranswer; it may be set as
    /// [`Pranswer`](DescriptionKind::Pranswer) or [`Answer`](DescriptionKind::Answer).
    ///
    /// If the offer restarts ICE, the credentials must be new, else those in use.
    pub fn create_answer(
        &mut self,
        local: &LocalTransport<'_>,
    ) -> Result<String, NegotiationError> {
        if self
            .state
            .after(Side::Local, DescriptionKind::Answer)
            .is_none()
        {
            return Err(NegotiationError::State(self.state));
        }
        let Some(offer) = &self.pending_remote else {
            return Err(NegotiationError::State(self.state));
        };
        local.check()?;
        let accepted = self.accept(offer, &self.pending_slots);
        let text = self.write_answer(offer, &accepted, local, self.version + 1);
        self.keep_created(DescriptionKind::Answer, text, self.pending_slots.clone())
    }

    fn keep_created(
        &mut self,
        kind: DescriptionKind,
        text: String,
        slots: Vec<Slot>,
    ) -> Result<String, NegotiationError> {
        // An own text is read as one of the other side's would be: what is kept is what it says.
        let description = Description::read(kind, text.as_bytes(), &Limits::NONE)?;
        self.check_local(kind, &description)?;
        self.version += 1;
        self.created = Some(Created {
            is_offer: kind == DescriptionKind::Offer,
            description,
            slots,
        });
        Ok(text)
    }

    /// Puts the description created last into force.
    pub fn set_local(&mut self, kind: DescriptionKind, text: &str) -> Result<(), NegotiationError> {
        let next = self
            .state
            .after(Side::Local, kind)
            .ok_or(NegotiationError::State(self.state))?;
        let created = self.created.as_ref().filter(|created| {
            created.is_offer == (kind == DescriptionKind::Offer)
                && created.description.text == text.as_bytes()
        });
        let created = created.ok_or(Misuse::NotAsCreated)?.clone();
        if kind == DescriptionKind::Offer {
            self.pending_slots = created.slots;
        }
        self.pending_local = Some(created.description);
        self.enter(next);
        Ok(())
    }

    /// Takes a description of the other side.
    ///
    /// The candidates in it are for the ICE agent of the one transport. An offer is checked against
    /// what was negotiated before, an answer against the offer.
    pub fn set_remote(
        &mut self,
        kind: DescriptionKind,
        text: &[u8],
    ) -> Result<RemoteDescription, NegotiationError> {
        let next = self
            .state
            .after(Side::Remote, kind)
            .ok_or(NegotiationError::State(self.state))?;
        let max_media = self.config.limits.max_media.min(u16::MAX.into());
        let limits = Limits {
            max_media,
            ..self.config.limits
        };
        let mut description = Description::read(kind, text, &limits)?;
        let accepted: Vec<bool> = if kind == DescriptionKind::Offer {
            self.check_offer(&description)?;
            self.check_remote_transport(kind, &mut description)?;
            let slots = self.answer_slots(&description);
            let accepted = self.accept(&description, &slots);
            self.pending_slots = slots;
            accepted.iter().map(Option::is_some).collect()
        } else {
            let offer = self
                .pending_local
                .as_ref()
                .ok_or(NegotiationError::State(self.state))?;
            check_answer(offer, &description)?;
            self.check_remote_transport(kind, &mut description)?;
            description
                .sections
                .iter()
                .map(|section| section.on_transport)
                .collect()
        };
        let summary = summary(kind, &description, &accepted);
        self.pending_remote = Some(description);
        self.created = None;
        self.enter(next);
        Ok(summary)
    }

    /// Gives up the exchange that is under way (RFC 9429 §5.7); refused in state stable.
    pub fn rollback(&mut self) -> Result<(), NegotiationError> {
        if self.state == SignalingState::Stable {
            return Err(NegotiationError::State(self.state));
        }
        self.pending_local = None;
        self.pending_remote = None;
        self.pending_slots = Vec::new();
        self.created = None;
        self.state = SignalingState::Stable;
        Ok(())
    }

    fn enter(&mut self, next: SignalingState) {
        if next == SignalingState::Stable {
            if let (Some(local), Some(remote)) =
                (self.pending_local.take(), self.pending_remote.take())
            {
                self.finish(local, remote);
            }
        }
        self.state = next;
    }

    fn finish(&mut self, local: Description, remote: Description) {
        use SignalingState::{HaveLocalOffer, HaveRemotePranswer};
        let local_offered = matches!(self.state, HaveLocalOffer | HaveRemotePranswer);
        let slots = core::mem::take(&mut self.pending_slots);
        let retired = self
            .current
            .take()
            .map(|before| before.retired)
            .unwrap_or_default();
        let mut exchange = Exchange {
            local,
            remote,
            local_offered,
            slots,
            retired,
        };
        for (index, slot) in exchange.slots.iter().enumerate() {
            match slot {
                Slot::Own(own) if !exchange.is_live(index) => exchange.retired.push(*own),
                _ => {}
            }
        }
        exchange.retired.sort_unstable();
        exchange.retired.dedup();
        self.current = Some(exchange);
        self.created = None;
    }
}

fn summary(
    kind: DescriptionKind,
    description: &Description,
    accepted: &[bool],
) -> RemoteDescription {
    let section =
        |(index, section): (usize, &crate::negotiator::description::Section)| RemoteSection {
            mline_index: index as u16,
            mid: section.mid.as_ref().map(ToString::to_string),
            media: section.media,
            accepted: accepted.get(index) == Some(&true),
            direction: section.direction,
            codecs: section.codecs.clone(),
            sctp_port: section.data.map(|(port, _)| port),
            max_message_size: section.data.map(|(_, size)| size),
        };
    let accepts = accepted.contains(&true);
    RemoteDescription {
        kind,
        transport: description.transport.clone().filter(|_| accepts),
        sections: description
            .sections
            .iter()
            .enumerate()
            .map(section)
            .collect(),
    }
}

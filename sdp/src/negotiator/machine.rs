//! The negotiator's calls: what may be said when, and the checks at its doors (RFC 9429 §3.2).

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::negotiator::check::{continues, fits_offer};
use crate::negotiator::config::{Glare, Profile};
use crate::negotiator::description::{Description, Section};
use crate::negotiator::exchange::{Exchange, Pending, Slot};
use crate::negotiator::state::Side;
use crate::negotiator::transport::TransportId;
use crate::negotiator::trickle::Told;
use crate::negotiator::{
    DescriptionKind, Effects, LocalTransports, Misuse, NegotiationError, NegotiatorConfig,
    RemoteDescription, RemoteSection, SectionConfig, SignalingState,
};
use crate::{Direction, Limits};

/// What `create_offer` or `create_answer` made last.
#[derive(Clone, PartialEq, Eq)]
struct Created {
    description: Arc<Description>,
    slots: Vec<Slot>,
    ids: Vec<Option<TransportId>>,
    used: u32,
}

/// Negotiates by offers and answers, without any I/O.
///
/// The owner moves texts: what [`create_offer`](Self::create_offer) or
/// [`create_answer`](Self::create_answer) returns is given to [`set_local`](Self::set_local) and
/// sent; what arrives is given to [`set_remote`](Self::set_remote). A call that is refused changes
/// nothing; one that is not says what it has changed ([`Effects`]).
///
/// Two of them are equal if they behave alike from here on. `Debug` shows the state only, since
/// descriptions hold passwords.
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
///     credentials: Some(credentials), pacing: None, candidates: &[], end_of_candidates: false,
///     dtls: Some(&dtls), lite: false, ice_options: &[], remote_candidate: None, address: None,
/// };
/// let data = || vec![SectionConfig::Application(DataChannel::default())];
/// let mut alice = Negotiator::new(NegotiatorConfig::new(1, data()))?;
/// let mut bob = Negotiator::new(NegotiatorConfig::new(2, data()))?;
///
/// let offer = alice.create_offer(&transport(&here))?;
/// alice.set_local(DescriptionKind::Offer, &offer)?;
/// let remote = bob.set_remote(DescriptionKind::Offer, offer.as_bytes())?;
/// assert_eq!(remote.transport().unwrap().credentials.as_ref(), Some(&here));
///
/// let answer = bob.create_answer(&transport(&there))?;
/// bob.set_local(DescriptionKind::Answer, &answer)?;
/// alice.set_remote(DescriptionKind::Answer, answer.as_bytes())?;
/// assert_eq!(alice.negotiated().unwrap().sctp.unwrap().remote_port, 5000);
/// # Ok::<(), floe_sdp::NegotiationError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Negotiator {
    pub(super) config: Arc<NegotiatorConfig>,
    pub(super) state: SignalingState,
    /// `sess-version` of the text created last.
    version: u64,
    /// The owner's sections that are to be offered no more.
    pub(super) stopped: Vec<usize>,
    pub(super) current: Option<Exchange>,
    pub(super) pending: Option<Pending>,
    created: Option<Created>,
    /// Numbers of transports that the finished exchanges have used.
    pub(super) used: u32,
    /// What bodies of trickled candidates have brought.
    pub(super) told: Vec<Told>,
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
            config: Arc::new(config),
            state: SignalingState::Stable,
            version: 0,
            stopped: Vec::new(),
            current: None,
            pending: None,
            created: None,
            used: 0,
            told: Vec::new(),
        })
    }

    /// The state.
    pub fn state(&self) -> SignalingState {
        self.state
    }

    /// One more section for the next offer; it takes the place of a refused one if there is any.
    /// Returns the index of the section among the owner's.
    pub fn add_section(&mut self, section: SectionConfig) -> Result<usize, NegotiationError> {
        self.check_open()?;
        let mut config = NegotiatorConfig::clone(&self.config);
        config.sections.push(section);
        config.check()?;
        self.config = Arc::new(config);
        Ok(self.config.sections.len() - 1)
    }

    /// Ends a section of the owner's, by index: the next offer or answer refuses it, and its place
    /// is free for another one.
    pub fn stop_section(&mut self, index: usize) -> Result<(), NegotiationError> {
        self.check_open()?;
        if index >= self.config.sections.len() {
            return Err(Misuse::NoSuchSection.into());
        }
        if !self.stopped.contains(&index) {
            self.stopped.push(index);
        }
        Ok(())
    }

    /// Another direction for the owner's RTP section of this index, from the next offer or answer
    /// on: `SendOnly` or `Inactive` is hold (RFC 3264 §8.4).
    pub fn set_direction(
        &mut self,
        index: usize,
        direction: Direction,
    ) -> Result<(), NegotiationError> {
        self.check_open()?;
        let section = Arc::make_mut(&mut self.config).sections.get_mut(index);
        let rtp = section.and_then(SectionConfig::rtp_mut);
        rtp.ok_or(Misuse::NoSuchSection)?.direction = direction;
        Ok(())
    }

    fn check_open(&self) -> Result<(), NegotiationError> {
        match self.state {
            SignalingState::Closed => Err(NegotiationError::State(self.state)),
            _ => Ok(()),
        }
    }

    /// The local description: the pending one, else the current one.
    pub fn local_description(&self) -> Option<&str> {
        core::str::from_utf8(&self.side(true)?.text).ok()
    }

    /// The remote description: the pending one, else the current one.
    pub fn remote_description(&self) -> Option<&[u8]> {
        Some(self.side(false)?.text.as_slice())
    }

    pub(super) fn side(&self, local: bool) -> Option<&Description> {
        let pending = self
            .pending
            .as_ref()
            .and_then(|pending| pending.side(local));
        pending.or_else(|| Some(self.current.as_ref()?.side(local)))
    }

    /// The owner's section behind a slot; a stopped one is none.
    pub(super) fn section(&self, slot: Slot) -> Option<&SectionConfig> {
        match slot {
            Slot::Own(index) if self.stopped.contains(&index) => None,
            Slot::Own(index) => self.config.sections.get(index),
            Slot::Accept(index) => self.config.accept.get(index),
            Slot::None => None,
        }
    }

    /// Makes an offer, in states stable and have-local-offer. New credentials restart ICE.
    ///
    /// Every text has a `sess-version` one above the last (RFC 9429 §5.2.2).
    pub fn create_offer<'a>(
        &mut self,
        local: &impl LocalTransports<'a>,
    ) -> Result<String, NegotiationError> {
        if self
            .state
            .after(Side::Local, DescriptionKind::Offer)
            .is_none()
        {
            return Err(NegotiationError::State(self.state));
        }
        let plan = self.plan_offer();
        if plan.slots.len() > usize::from(u16::MAX) {
            return Err(Misuse::TooManySections.into());
        }
        let (ids, used) = self.number(&plan.on_transports(), plan.slots.len(), |index| {
            plan.is_kept(index)
        });
        let text = self.write_offer(&plan, &ids, local, self.version + 1)?;
        self.keep_created(DescriptionKind::Offer, text, plan.slots, ids, used)
    }

    /// Makes an answer, in states have-remote-offer and have-local-pranswer; it may be set as
    /// [`Pranswer`](DescriptionKind::Pranswer) or [`Answer`](DescriptionKind::Answer).
    ///
    /// If the offer restarts ICE, the credentials must be new, else those in use.
    pub fn create_answer<'a>(
        &mut self,
        local: &impl LocalTransports<'a>,
    ) -> Result<String, NegotiationError> {
        let possible = self.state.after(Side::Local, DescriptionKind::Answer);
        let (Some(_), Some(pending)) = (possible, &self.pending) else {
            return Err(NegotiationError::State(self.state));
        };
        let text = self.write_answer(pending, local, self.version + 1)?;
        let (slots, ids, used) = (pending.slots.clone(), pending.ids.clone(), pending.used);
        self.keep_created(DescriptionKind::Answer, text, slots, ids, used)
    }

    /// The numbers of transports, given by the sections on them: those that go on keep theirs.
    /// One place for each of `sections`, and how many numbers are used then.
    fn number(
        &self,
        transports: &[Vec<usize>],
        sections: usize,
        kept: impl Fn(usize) -> bool,
    ) -> (Vec<Option<TransportId>>, u32) {
        let current = self.current.as_ref();
        let before = |index: usize| {
            let id = current?.ids.get(index).copied().flatten();
            id.filter(|_| kept(index))
        };
        let mut used = self.used;
        let mut ids = alloc::vec![None; sections];
        let continued = continues(transports, before);
        for (members, id) in transports.iter().zip(continued) {
            let id = id.unwrap_or_else(|| {
                used += 1;
                TransportId(used - 1)
            });
            if let Some(place) = members.first().and_then(|first| ids.get_mut(*first)) {
                *place = Some(id);
            }
        }
        (ids, used)
    }

    fn keep_created(
        &mut self,
        kind: DescriptionKind,
        text: String,
        slots: Vec<Slot>,
        ids: Vec<Option<TransportId>>,
        used: u32,
    ) -> Result<String, NegotiationError> {
        // An own text is read as one of the other side's would be: what is kept is what it says.
        let mut description = self.read(kind, text.as_bytes(), &Limits::NONE)?;
        description.number(|index| ids.get(index).copied().flatten());
        self.check_local(kind, &description)?;
        self.version += 1;
        self.created = Some(Created {
            description: Arc::new(description),
            slots,
            ids,
            used,
        });
        Ok(text)
    }

    fn read(
        &self,
        kind: DescriptionKind,
        text: &[u8],
        limits: &Limits,
    ) -> Result<Description, NegotiationError> {
        Description::read(kind, text, self.config.profile == Profile::Jsep, limits)
    }

    /// Puts the description created last into force.
    pub fn set_local(
        &mut self,
        kind: DescriptionKind,
        text: &str,
    ) -> Result<Effects, NegotiationError> {
        let next = self
            .state
            .after(Side::Local, kind)
            .ok_or(NegotiationError::State(self.state))?;
        let (_, effects) = self.transact(|this| {
            let is_offer = kind == DescriptionKind::Offer;
            let created = this.created.clone().filter(|created| {
                let description = &created.description;
                (description.kind == DescriptionKind::Offer) == is_offer
                    && description.text == text.as_bytes()
            });
            let Created {
                mut description,
                slots,
                ids,
                used,
            } = created.ok_or(Misuse::NotAsCreated)?;
            Arc::make_mut(&mut description).kind = kind;
            match &mut this.pending {
                Some(pending) if !is_offer => pending.answer = Some(description),
                _ => {
                    this.pending = Some(Pending {
                        offer: description,
                        answer: None,
                        local_offered: true,
                        slots,
                        ids,
                        used,
                    });
                }
            }
            this.enter(next);
            Ok(false)
        })?;
        Ok(effects)
    }

    /// Takes a description of the other side.
    ///
    /// The candidates in it are for the ICE agents of its transports. An offer is checked against
    /// what was negotiated before, an answer against the offer. An offer that meets an own one is
    /// a matter of [`Glare`].
    pub fn set_remote(
        &mut self,
        kind: DescriptionKind,
        text: &[u8],
    ) -> Result<RemoteDescription, NegotiationError> {
        let (mut remote, effects) = self.transact(|this| {
            let meets =
                this.state == SignalingState::HaveLocalOffer && kind == DescriptionKind::Offer;
            if meets {
                match this.config.glare {
                    Glare::Polite => this.give_up(),
                    Glare::Impolite => return Err(NegotiationError::Glare),
                }
            }
            let mut remote = this.take(kind, text)?;
            remote.effects.rolled_back = meets;
            Ok(remote)
        })?;
        remote.effects = Effects {
            rolled_back: remote.effects.rolled_back,
            ..effects
        };
        Ok(remote)
    }

    fn take(
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
        let mut description = self.read(kind, text, &limits)?;
        description.check_bundles()?;
        if self.config.profile == Profile::Jsep {
            description.check_jsep(self.config.policy())?;
        }
        let remote = if kind == DescriptionKind::Offer {
            self.check_offer(&description)?;
            let slots = self.answer_slots(&description);
            let accepted = self.accept(&description, &slots, &|_| true);
            let accepted: Vec<bool> = accepted.iter().map(Option::is_some).collect();
            let mut transports = description.on_transports();
            transports.retain(|members| {
                let of = |index: &usize| description.sections.get(*index)?.tag;
                let tag = members.first().filter(|first| of(first) == Some(**first));
                tag.and_then(|tag| accepted.get(*tag)) == Some(&true)
            });
            let kept = |index: usize| accepted.get(index) == Some(&true);
            let (ids, used) = self.number(&transports, description.sections.len(), kept);
            description.number(|index| ids.get(index).copied().flatten());
            let used_here = |index: u16| ids.get(usize::from(index)).is_some_and(Option::is_some);
            self.check_remote_transports(kind, &mut description, &used_here)?;
            let remote = summary(&description, &accepted, &used_here);
            self.pending = Some(Pending {
                offer: Arc::new(description),
                answer: None,
                local_offered: false,
                slots,
                ids,
                used,
            });
            remote
        } else {
            let Some(pending) = &self.pending else {
                return Err(NegotiationError::State(self.state));
            };
            fits_offer(&pending.offer, &description)?;
            let ids = pending.answered(&description)?;
            description.number(|index| ids.get(index).copied().flatten());
            let speaks = |index: u16| ids.get(usize::from(index)).is_some_and(Option::is_some);
            self.check_remote_transports(kind, &mut description, &speaks)?;
            let sections = description.sections.iter();
            let accepted: Vec<bool> = sections.map(|section| section.tag.is_some()).collect();
            let remote = summary(&description, &accepted, &speaks);
            if let Some(pending) = &mut self.pending {
                pending.answer = Some(Arc::new(description));
            }
            remote
        };
        self.created = None;
        self.enter(next);
        Ok(remote)
    }

    /// Gives up the offer that waits for its answer, whichever side made it (RFC 9429 §5.7).
    /// Refused in all other states: a provisional answer stands until the final one, as in
    /// browsers.
    pub fn rollback(&mut self) -> Result<Effects, NegotiationError> {
        use SignalingState::{HaveLocalOffer, HaveRemoteOffer};
        if !matches!(self.state, HaveLocalOffer | HaveRemoteOffer) {
            return Err(NegotiationError::State(self.state));
        }
        let (_, effects) = self.transact(|this| {
            this.give_up();
            Ok(false)
        })?;
        Ok(effects)
    }

    fn give_up(&mut self) {
        self.pending = None;
        self.created = None;
        self.state = SignalingState::Stable;
    }

    /// Ends all: no transport is in use any more, and no call is possible. Closing twice is
    /// closing once.
    pub fn close(&mut self) -> Effects {
        let closed = Self {
            state: SignalingState::Closed,
            current: None,
            pending: None,
            created: None,
            ..self.clone()
        };
        let effects = self.view().changes(&closed.view(), false);
        *self = closed;
        effects
    }

    /// Does it all or, on an error, nothing; and says what has changed.
    fn transact<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, NegotiationError>,
    ) -> Result<(T, Effects), NegotiationError> {
        let mut changed = self.clone();
        let result = change(&mut changed)?;
        let effects = self.view().changes(&changed.view(), false);
        *self = changed;
        Ok((result, effects))
    }

    fn enter(&mut self, next: SignalingState) {
        if next == SignalingState::Stable {
            self.finish();
        }
        self.state = next;
    }

    fn finish(&mut self) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        let Some(answer) = pending.answer.take() else {
            return;
        };
        let before = self.current.take().map(|before| before.retired);
        let mut exchange = pending.finished(answer);
        exchange.retired = before.unwrap_or_default();
        for (index, slot) in exchange.slots.iter().enumerate() {
            match slot {
                Slot::Own(own) if !exchange.is_live(index) => exchange.retired.push(*own),
                _ => {}
            }
        }
        exchange.retired.sort_unstable();
        exchange.retired.dedup();
        self.used = pending.used;
        self.current = Some(exchange);
        self.created = None;
    }
}

fn summary(
    description: &Description,
    accepted: &[bool],
    used: &dyn Fn(u16) -> bool,
) -> RemoteDescription {
    let section = |(index, section): (usize, &Section)| RemoteSection {
        mline_index: index as u16,
        mid: section.mid.as_ref().map(ToString::to_string),
        media: section.media,
        accepted: accepted.get(index) == Some(&true),
        direction: section.direction,
        codecs: section.codecs.clone(),
        sctp_port: section.data.map(|(port, _)| port),
        max_message_size: section.data.map(|(_, size)| size),
    };
    let transports = description.transports.iter();
    RemoteDescription {
        kind: description.kind,
        transports: transports
            .filter(|transport| used(transport.mline_index))
            .cloned()
            .collect(),
        sections: description
            .sections
            .iter()
            .enumerate()
            .map(section)
            .collect(),
        effects: Effects::default(),
    }
}

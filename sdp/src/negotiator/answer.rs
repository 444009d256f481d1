//! Making answers (RFC 9429 §5.3).

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::negotiator::config::{MismatchPolicy, Profile, Rtp};
use crate::negotiator::description::{DATA_CHANNEL, Description, Section};
use crate::negotiator::exchange::{Exchange, Pending, Slot};
use crate::negotiator::local::Locals;
use crate::negotiator::rtp::{
    HeaderExtension, Stream, common_codecs, common_extensions, simulcast_streams,
};
use crate::negotiator::transport::{LocalTransport, Mismatch, RemoteTransport};
use crate::negotiator::write::{Destination, RtpLines, Writer};
use crate::negotiator::{DataChannel, LocalTransports, Misuse, Negotiator, SectionConfig};
use crate::{Codec, Direction, DtlsRole, Setup};

/// How a section is accepted.
#[derive(Clone, Debug)]
pub(super) enum Accepted {
    Data(DataChannel),
    Rtp {
        codecs: Vec<Codec>,
        direction: Direction,
        extensions: Vec<HeaderExtension>,
        /// Streams of a simulcast that are sent, and that are received.
        rids: [Vec<Stream>; 2],
    },
}

impl Negotiator {
    /// Gives every offered section one of the owner's: the one it had, else the first of its kind
    /// that has no place yet, else what the owner accepts beyond its own.
    pub(super) fn answer_slots(&self, offer: &Description) -> Vec<Slot> {
        let current = self.current.as_ref();
        let before = current.map_or(&[] as &[Slot], |current| &current.slots);
        let retired = current.map_or(&[] as &[usize], |current| &current.retired);
        let mut placed: BTreeSet<Slot> = before.iter().copied().collect();
        placed.extend(retired.iter().map(|own| Slot::Own(*own)));
        let mut slots: Vec<Slot> = Vec::with_capacity(offer.sections.len());
        for (index, section) in offer.sections.iter().enumerate() {
            let was_live = current.is_some_and(|current| current.is_live(index));
            let fits = |slot: &Slot| {
                let kind = match slot {
                    Slot::Own(index) => self.config.sections.get(*index),
                    Slot::Accept(index) => self.config.accept.get(*index),
                    Slot::None => None,
                };
                let same = |config: &SectionConfig| config.kind() == section.media;
                kind.is_some_and(same) && (was_live || !section.live)
            };
            let old = before.get(index).copied().filter(fits);
            let slot = old.or_else(|| self.find_slot(section, &placed));
            slots.push(slot.unwrap_or(Slot::None));
            placed.extend(slot);
        }
        slots
    }

    fn find_slot(&self, section: &Section, placed: &BTreeSet<Slot>) -> Option<Slot> {
        let fits = |slot: &Slot| {
            let same = |config: &SectionConfig| config.kind() == section.media;
            section.live && self.section(*slot).is_some_and(same)
        };
        let free = |slot: &Slot| fits(slot) && !placed.contains(slot);
        let own = (0..self.config.sections.len()).map(Slot::Own).find(free);
        own.or_else(|| (0..self.config.accept.len()).map(Slot::Accept).find(fits))
    }

    /// What of an offer is accepted (RFC 9429 §5.3.1): sections that the policy allows and that
    /// have a format in common, unless the section that speaks for their group is refused.
    pub(super) fn accept(
        &self,
        offer: &Description,
        slots: &[Slot],
        secure: &dyn Fn(usize) -> bool,
    ) -> Vec<Option<Accepted>> {
        let allowed = offer.acceptable(self.config.policy());
        let mut accepted: Vec<Option<Accepted>> = Vec::with_capacity(offer.sections.len());
        for ((section, slot), allowed) in offer.sections.iter().zip(slots).zip(allowed) {
            let tag = section.tag.filter(|_| allowed);
            let config = tag.and_then(|tag| {
                let keyed = offer.transport_at(tag).is_some_and(|it| it.dtls.is_some());
                let possible = !needs_dtls(&section.protocol) || (keyed && secure(tag));
                self.section(*slot).filter(|_| possible)
            });
            accepted.push(config.and_then(|config| accept_section(section, config)));
        }
        let refused: Vec<bool> = accepted.iter().map(Option::is_none).collect();
        for (section, accepted) in offer.sections.iter().zip(&mut accepted) {
            if section.tag.and_then(|tag| refused.get(tag)) != Some(&false) {
                *accepted = None;
            }
        }
        accepted
    }

    /// The DTLS role that the answer takes: the one in use if the association goes on, else the
    /// owner's wish, as far as the offer leaves a choice (RFC 8842 §5.3).
    fn answer_setup(&self, offered: &RemoteTransport, wish: Setup) -> Setup {
        let current = self.current.as_ref().filter(|_| !offered.dtls_restart);
        let role = current.and_then(|current| Exchange::dtls_role(current, offered.id));
        match (offered.dtls.as_ref().map(|dtls| dtls.setup), role) {
            (Some(Setup::Active), _) | (Some(Setup::Actpass), Some(DtlsRole::Server)) => {
                Setup::Passive
            }
            (Some(Setup::Actpass), None) if wish == Setup::Passive => Setup::Passive,
            _ => Setup::Active,
        }
    }

    /// The text of an answer to the offer that is pending.
    pub(super) fn write_answer<'a>(
        &self,
        pending: &Pending,
        local: &impl LocalTransports<'a>,
        version: u64,
    ) -> Result<String, Misuse> {
        let offer = &pending.offer;
        let all = Locals::new(pending.ids.iter().copied(), local, self.config.profile)?;
        let secure = |tag: usize| all.of(tag).is_none_or(|local| local.dtls.is_some());
        let accepted = self.accept(offer, &pending.slots, &secure);
        let mut groups: Vec<Vec<&str>> = Vec::with_capacity(offer.groups.len());
        for group in &offer.groups {
            let of = |index: &usize| offer.sections.get(*index);
            let in_use = |index: &&usize| accepted.get(**index).is_some_and(Option::is_some);
            let tag = group.iter().find_map(|index| of(index)?.tag);
            let mut members: Vec<usize> = group.iter().filter(in_use).copied().collect();
            // The section that speaks for the transport stands first (RFC 9143 §7.3.1).
            members.sort_by_key(|index| Some(*index) != tag);
            let mids = members.iter().filter_map(|index| of(index)?.mid.as_deref());
            let mids: Vec<&str> = mids.collect();
            // RFC 5888 §9.3: an empty group asks whether it is understood.
            if !mids.is_empty() || group.is_empty() {
                groups.push(mids);
            }
        }
        let mut offered = offer.transports.iter();
        let has_ice = offered.any(|transport| transport.credentials.is_some());
        let mut writer = Writer::default();
        writer.session(
            self.config.session_id,
            version,
            &offer.timing,
            &groups,
            all.ice().filter(|_| has_ice),
        );
        for (index, (section, accepted)) in offer.sections.iter().zip(&accepted).enumerate() {
            let media = &section.media_name;
            let (protocol, mid) = (&section.protocol, section.mid.as_deref());
            let Some(accepted) = accepted else {
                let formats = [&section.format].into_iter();
                writer.media(media, Destination::NONE, protocol, formats, mid);
                continue;
            };
            let local = |tag: usize| Some(self.answering(all.of(tag)?, offer.transport_at(tag)?));
            let to = section.tag.and_then(local);
            let to = to.map_or(Destination::UNKNOWN, |local| {
                Destination::default_of(&local, protocol)
            });
            let own = all.of(index).filter(|_| section.tag == Some(index));
            match accepted {
                Accepted::Data(data) => {
                    writer.media(media, to, protocol, [DATA_CHANNEL].into_iter(), mid);
                    self.write_transport(&mut writer, offer, index, own);
                    writer.data(*data);
                }
                Accepted::Rtp {
                    codecs,
                    direction,
                    extensions,
                    rids: [send, receive],
                } => {
                    let formats = codecs.iter().map(|codec| codec.payload_type);
                    writer.media(media, to, protocol, formats, mid);
                    self.write_transport(&mut writer, offer, index, own);
                    let tag = section.tag.and_then(|tag| offer.sections.get(tag));
                    writer.rtp(&RtpLines {
                        codecs,
                        direction: *direction,
                        extensions,
                        mux: section.rtcp_mux
                            || section.bundle_only
                            || tag.is_some_and(|tag| tag.rtcp_mux),
                        mux_only: section.tag == Some(index) && section.rtcp_mux_only,
                        rids: [send, receive],
                    });
                }
            }
        }
        Ok(writer.finish())
    }

    fn write_transport(
        &self,
        writer: &mut Writer,
        offer: &Description,
        index: usize,
        own: Option<LocalTransport<'_>>,
    ) {
        let (Some(local), Some(offered)) = (own, offer.transport_at(index)) else {
            return;
        };
        let wish = local.dtls.map_or(Setup::Active, |dtls| dtls.setup);
        let section = offer.sections.get(index);
        let jsep = self.config.profile == Profile::Jsep;
        let secure = section.is_some_and(|section| jsep || needs_dtls(&section.protocol));
        let setup = secure.then(|| self.answer_setup(offered, wish));
        // RFC 8842 §5.3: no tls-id for a peer that does not know it.
        let tls_id = offered
            .dtls
            .as_ref()
            .is_some_and(|dtls| dtls.tls_id.is_some());
        writer.transport(&self.answering(local, offered), setup, tls_id);
        if local.credentials.is_some() && self.answers_mismatch(offered) {
            writer.mismatch();
        }
    }

    /// What an answer says of a transport. Without ICE on both sides there is none, and none where a
    /// mismatch is answered.
    fn answering<'a>(
        &self,
        local: LocalTransport<'a>,
        offered: &RemoteTransport,
    ) -> LocalTransport<'a> {
        let ice = offered.credentials.is_some() && !self.answers_mismatch(offered);
        LocalTransport {
            credentials: local.credentials.filter(|_| ice),
            remote_candidate: None,
            ..local
        }
    }

    fn answers_mismatch(&self, offered: &RemoteTransport) -> bool {
        self.config.profile == Profile::Rfc3264
            && self.config.mismatch == MismatchPolicy::Answer
            && offered.mismatch == Some(Mismatch::Found)
    }
}

/// Whether a protocol takes its keys from DTLS here.
fn needs_dtls(protocol: &str) -> bool {
    ["DTLS", "TLS", "SAVP", "SAVPF"]
        .iter()
        .any(|secure| protocol.split('/').any(|part| part == *secure))
}

fn accept_section(section: &Section, config: &SectionConfig) -> Option<Accepted> {
    if !section.media.takes(&section.protocol) {
        return None;
    }
    match config {
        SectionConfig::Application(data) => section.data.map(|_| Accepted::Data(*data)),
        SectionConfig::Audio(rtp) | SectionConfig::Video(rtp) => {
            let codecs = common_codecs(&section.codecs, &rtp.codecs);
            let direction = section.direction.reversed().intersection(rtp.direction);
            let rids = common_streams(section, rtp, direction, &codecs);
            (!codecs.is_empty()).then(|| Accepted::Rtp {
                codecs,
                direction,
                extensions: common_extensions(&section.extensions, &rtp.extensions),
                rids,
            })
        }
    }
}

/// The streams of an offered simulcast that the answer takes: those of the other side's that this
/// side wants to receive, and those of its own that the other side wants (RFC 8853 §5.3.2).
fn common_streams(
    section: &Section,
    rtp: &Rtp,
    direction: Direction,
    codecs: &[Codec],
) -> [Vec<Stream>; 2] {
    let Some([their_send, their_receive]) = &section.simulcast else {
        return [Vec::new(), Vec::new()];
    };
    let [sent, wanted] = &section.rids;
    let mut receive = Vec::new();
    if direction.receives() {
        receive = simulcast_streams(their_send, sent, codecs);
        receive.truncate(rtp.max_receive_rids);
    }
    let mut send = Vec::new();
    if direction.sends() {
        send = simulcast_streams(their_receive, wanted, codecs);
        send.retain(|rid| rtp.send_rids.iter().any(|own| own.id == rid.id));
    }
    [send, receive]
}

//! Making answers (RFC 9429 §5.3).

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::negotiator::description::{DATA_CHANNEL, Description, Section};
use crate::negotiator::machine::{Exchange, Slot};
use crate::negotiator::write::{Destination, Writer};
use crate::negotiator::{DataChannel, LocalTransport, MediaKind, Negotiator, SectionConfig};
use crate::{Codec, Direction, DtlsRole, Setup};

/// How a section is accepted.
#[derive(Clone, Debug)]
pub(super) enum Accepted {
    Data(DataChannel),
    Rtp {
        codecs: Vec<Codec>,
        direction: Direction,
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
                let same = |config: &SectionConfig| config.kind() == section.media;
                self.section(*slot).is_some_and(same) && (was_live || !section.live)
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

    /// What of an offer is accepted (RFC 9429 §5.3.1): sections on the one transport that have a
    /// format in common; nothing, if the section that speaks for the transport is refused.
    pub(super) fn accept(&self, offer: &Description, slots: &[Slot]) -> Vec<Option<Accepted>> {
        let mut accepted: Vec<Option<Accepted>> = Vec::with_capacity(offer.sections.len());
        for (section, slot) in offer.sections.iter().zip(slots) {
            let config = self.section(*slot).filter(|_| section.on_transport);
            accepted.push(config.and_then(|config| accept_section(section, config)));
        }
        let tag = offer
            .transport
            .as_ref()
            .map(|transport| usize::from(transport.mline_index));
        if tag
            .and_then(|tag| accepted.get(tag))
            .is_none_or(Option::is_none)
        {
            accepted.fill(None);
        }
        accepted
    }

    /// The DTLS role that the answer takes: the one in use if the association goes on, else the
    /// owner's wish, as far as the offer leaves a choice (RFC 8842 §5.3).
    fn answer_setup(&self, offer: &Description, local: &LocalTransport<'_>) -> Setup {
        let transport = offer.transport.as_ref();
        let goes_on = transport.is_some_and(|transport| !transport.dtls_restart);
        let role = self
            .current
            .as_ref()
            .and_then(Exchange::dtls_role)
            .filter(|_| goes_on);
        match (transport.map(|transport| transport.dtls.setup), role) {
            (Some(Setup::Active), _) | (Some(Setup::Actpass), Some(DtlsRole::Server)) => {
                Setup::Passive
            }
            (Some(Setup::Actpass), None) if local.dtls.setup == Setup::Passive => Setup::Passive,
            _ => Setup::Active,
        }
    }

    /// The text of an answer.
    pub(super) fn write_answer(
        &self,
        offer: &Description,
        accepted: &[Option<Accepted>],
        local: &LocalTransport<'_>,
        version: u64,
    ) -> String {
        let in_group = |(section, accepted): &(&Section, &Option<Accepted>)| {
            accepted.is_some() && section.mid.is_some()
        };
        let tag = offer
            .transport
            .as_ref()
            .map(|transport| usize::from(transport.mline_index));
        let tag_mid = tag
            .and_then(|tag| offer.sections.get(tag))
            .and_then(|section| section.mid.as_deref());
        let all = offer.sections.iter().zip(accepted).filter(in_group);
        let mut bundle: Vec<&str> = all
            .filter_map(|(section, _)| section.mid.as_deref())
            .collect();
        // The section that speaks for the transport stands first (RFC 9143 §7.3.1).
        bundle.sort_by_key(|mid| Some(*mid) != tag_mid);
        let group = (offer.bundled && !bundle.is_empty()).then_some(bundle.as_slice());
        let mut writer = Writer::default();
        let timing = offer.timing.iter().map(String::as_str);
        writer.session(self.config.session_id, version, timing, group, local);

        let to = Destination::default_of(local);
        let setup = self.answer_setup(offer, local);
        let offered = offer.transport.as_ref();
        // RFC 8842 §5.3: no tls-id for a peer that does not know it.
        let tls_id = offered.is_some_and(|transport| transport.dtls.tls_id.is_some());
        for (index, (section, accepted)) in offer.sections.iter().zip(accepted).enumerate() {
            let (media, protocol, mid) = (
                &section.media_name,
                &section.protocol,
                section.mid.as_deref(),
            );
            match accepted {
                None => {
                    writer.media(
                        media,
                        Destination::NONE,
                        protocol,
                        [&section.format].into_iter(),
                        mid,
                    );
                }
                Some(Accepted::Data(data)) => {
                    writer.media(media, to, protocol, [DATA_CHANNEL].into_iter(), mid);
                    if offer.is_tag(index) {
                        writer.transport(local, setup, tls_id);
                    }
                    writer.data(*data);
                }
                Some(Accepted::Rtp { codecs, direction }) => {
                    let formats = codecs.iter().map(|codec| codec.payload_type);
                    writer.media(media, to, protocol, formats, mid);
                    if offer.is_tag(index) {
                        writer.transport(local, setup, tls_id);
                    }
                    let mux_only = offer.bundled && offer.is_tag(index) && section.rtcp_mux_only;
                    writer.rtp(codecs, *direction, section.mid_extension, mux_only);
                }
            }
        }
        writer.finish()
    }
}

fn accept_section(section: &Section, config: &SectionConfig) -> Option<Accepted> {
    if !section.media.takes(&section.protocol) {
        return None;
    }
    match config {
        SectionConfig::Application(data) => section.data.map(|_| Accepted::Data(*data)),
        SectionConfig::Audio(rtp) | SectionConfig::Video(rtp) => {
            let codecs = common(&section.codecs, &rtp.codecs);
            let direction = section.direction.reversed().intersection(rtp.direction);
            (!codecs.is_empty()).then_some(Accepted::Rtp { codecs, direction })
        }
    }
}

/// The owner's formats that were offered: in the offer's order, under the offer's numbers.
fn common(offered: &[Codec], own: &[Codec]) -> Vec<Codec> {
    let mut taken = alloc::vec![false; own.len()];
    let mut codecs = Vec::new();
    for offer in offered {
        let place = own
            .iter()
            .zip(&taken)
            .position(|(codec, taken)| !taken && codec.matches(offer));
        if let Some((codec, taken)) =
            place.and_then(|place| own.get(place).zip(taken.get_mut(place)))
        {
            *taken = true;
            codecs.push(Codec {
                payload_type: offer.payload_type,
                ..codec.clone()
            });
        }
    }
    codecs
}

/// Whether two sections have a format in common.
pub(super) fn have_common_format(a: &Section, b: &Section) -> bool {
    if a.media == MediaKind::Application {
        return a.data.is_some() && b.data.is_some();
    }
    a.codecs
        .iter()
        .any(|codec| b.codecs.iter().any(|other| codec.matches(other)))
}

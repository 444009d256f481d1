//! Making offers (RFC 9429 §5.2).

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::negotiator::config::Rtp;
use crate::negotiator::description::{DATA_CHANNEL, Section};
use crate::negotiator::machine::{Exchange, Slot};
use crate::negotiator::write::{Destination, Writer};
use crate::negotiator::{LocalTransport, Misuse, Negotiator, SectionConfig};
use crate::{Codec, Setup};

/// The payload types of all sections: on one transport a number means one format (RFC 9143
/// §9.1.1), and it never changes its meaning (RFC 3264 §8.3.2).
struct Numbers {
    known: [Option<Codec>; 128],
}

impl Numbers {
    fn new<'a>(sections: impl Iterator<Item = &'a Section>) -> Self {
        let mut numbers = Self {
            known: [const { None }; 128],
        };
        for codec in sections.flat_map(|section| &section.codecs) {
            numbers.take(codec.payload_type, codec);
        }
        numbers
    }

    /// Whether the number means this format now.
    fn take(&mut self, number: u8, codec: &Codec) -> bool {
        match self.known.get_mut(usize::from(number)) {
            Some(Some(other)) => other.matches(codec),
            Some(free) => {
                *free = Some(codec.clone());
                true
            }
            None => false,
        }
    }

    /// The formats under the numbers they had before, else their own, else any free dynamic one.
    fn assign(&mut self, rtp: &Rtp, before: &[Codec]) -> Vec<Codec> {
        let mut codecs: Vec<Codec> = Vec::with_capacity(rtp.codecs.len());
        for codec in &rtp.codecs {
            let kept = before
                .iter()
                .find(|known| known.matches(codec))
                .map(|known| known.payload_type);
            let choices = kept
                .into_iter()
                .chain([codec.payload_type])
                .chain(96..=127)
                .chain(35..=63);
            let mut choices =
                choices.filter(|number| codecs.iter().all(|other| other.payload_type != *number));
            if let Some(payload_type) = choices.find(|number| self.take(*number, codec)) {
                codecs.push(Codec {
                    payload_type,
                    ..codec.clone()
                });
            }
        }
        codecs
    }
}

impl Negotiator {
    /// Which of the owner's sections stand where: those negotiated before keep their places, new
    /// ones take refused places first (RFC 9429 §5.2.2), then go to the end.
    pub(super) fn offer_slots(&self) -> Vec<Slot> {
        let own = (0..self.config.sections.len()).map(Slot::Own);
        let Some(current) = &self.current else {
            return own.collect();
        };
        let mut slots = current.slots.clone();
        let mut refused = (0..slots.len()).filter(|index| !current.is_live(*index));
        let new = |slot: &Slot| match slot {
            Slot::Own(own) => !current.retired.contains(own) && !current.slots.contains(slot),
            _ => false,
        };
        for section in own.filter(new) {
            match refused.next().and_then(|index| slots.get_mut(index)) {
                Some(place) => *place = section,
                None => slots.push(section),
            }
        }
        slots
    }

    /// The text of an offer with sections in these slots.
    pub(super) fn write_offer(
        &self,
        slots: &[Slot],
        local: &LocalTransport<'_>,
        version: u64,
    ) -> Result<String, Misuse> {
        let current = self.current.as_ref();
        let kept = |index: usize| {
            current.filter(|current| {
                current.is_live(index) && current.slots.get(index) == slots.get(index)
            })
        };
        let new = |index: usize| match (
            current.and_then(|current| current.slots.get(index)),
            slots.get(index),
        ) {
            (before, Some(slot @ Slot::Own(_))) => before != Some(slot),
            _ => false,
        };
        let live: Vec<bool> = (0..slots.len())
            .map(|index| kept(index).is_some() || new(index))
            .collect();
        let negotiated = current
            .and_then(Exchange::tag)
            .filter(|tag| live.get(*tag) == Some(&true));
        let tag = negotiated.or_else(|| live.iter().position(|live| *live));
        let mids = mids(current, slots.len(), &new);
        let to = Destination::default_of(local);

        let mut bundle: Vec<&str> = Vec::new();
        let order = tag
            .into_iter()
            .chain((0..slots.len()).filter(|index| Some(*index) != tag));
        for index in order.filter(|index| live.get(*index) == Some(&true)) {
            bundle.extend(mids.get(index).map(String::as_str));
        }
        // RFC 9429 §5.2.2: the times stay what they were.
        let unbounded = [String::from("0 0")];
        let timing = current.map_or(&unbounded[..], |current| &current.local.timing);
        let timing = timing.iter().map(String::as_str);
        let mut writer = Writer::default();
        let group = (!bundle.is_empty()).then_some(bundle.as_slice());
        writer.session(self.config.session_id, version, timing, group, local);

        let before = current
            .into_iter()
            .flat_map(|current| [&current.local, &current.remote]);
        let mut numbers = Numbers::new(before.flat_map(|description| &description.sections));
        let mid_extension = current.and_then(Exchange::mid_extension).unwrap_or(1);
        for (index, slot) in slots.iter().enumerate() {
            let mid = mids.get(index).map(String::as_str);
            let old = current.and_then(|current| current.local.sections.get(index));
            let is_live = live.get(index) == Some(&true);
            let Some(config) = self.section(*slot).filter(|_| is_live) else {
                let media = old.map_or("application", |old| old.media_name.as_str());
                let protocol = old.map_or("UDP/DTLS/SCTP", |old| old.protocol.as_str());
                let format = old.map_or(DATA_CHANNEL, |old| old.format.as_str());
                writer.media(
                    media,
                    Destination::NONE,
                    protocol,
                    [format].into_iter(),
                    mid,
                );
                continue;
            };
            let is_tag = tag == Some(index);
            // An initial offer leaves no other way than the bundle; later ones just join it.
            let bundle_only = negotiated.is_none() && !is_tag;
            let to = if bundle_only { Destination::NONE } else { to };
            let media = config.kind().name();
            let kept = old.filter(|_| kept(index).is_some());
            match config {
                SectionConfig::Application(data) => {
                    let protocol = kept.map_or("UDP/DTLS/SCTP", |old| old.protocol.as_str());
                    writer.media(media, to, protocol, [DATA_CHANNEL].into_iter(), mid);
                    if is_tag {
                        writer.transport(local, Setup::Actpass, true);
                    }
                    writer.data(*data);
                }
                SectionConfig::Audio(rtp) | SectionConfig::Video(rtp) => {
                    let protocol = kept.map_or("UDP/TLS/RTP/SAVPF", |old| old.protocol.as_str());
                    let codecs = numbers.assign(rtp, kept.map_or(&[], |old| old.codecs.as_slice()));
                    if codecs.is_empty() {
                        return Err(Misuse::Codec);
                    }
                    let formats = codecs.iter().map(|codec| codec.payload_type);
                    writer.media(media, to, protocol, formats, mid);
                    if is_tag {
                        writer.transport(local, Setup::Actpass, true);
                    }
                    writer.rtp(
                        &codecs,
                        rtp.direction,
                        Some(mid_extension),
                        is_tag && negotiated.is_none(),
                    );
                }
            }
            if bundle_only {
                writer.bundle_only();
            }
        }
        Ok(writer.finish())
    }
}

/// The mids: those in use stay, new sections get the smallest number that has not been used, from
/// their own place on (RFC 9143 §15.2: short, and saying nothing of the user).
fn mids(current: Option<&Exchange>, count: usize, new: &impl Fn(usize) -> bool) -> Vec<String> {
    let sections = current.map_or(&[] as &[Section], |current| &current.local.sections);
    let mut used: BTreeSet<String> = sections
        .iter()
        .filter_map(|section| section.mid.clone())
        .collect();
    let mut next = 0;
    let mut mids = Vec::with_capacity(count);
    for index in 0..count {
        let old = sections
            .get(index)
            .and_then(|section| section.mid.clone())
            .filter(|_| !new(index));
        mids.push(old.unwrap_or_else(|| {
            next = next.max(index);
            while !used.insert(next.to_string()) {
                next += 1;
            }
            next.to_string()
        }));
    }
    mids
}

//! Making offers (RFC 9429 §5.2).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::negotiator::config::{BundlePolicy, Profile, Rtp};
use crate::negotiator::description::{DATA_CHANNEL, Section, by_speaker};
use crate::negotiator::exchange::{Exchange, Slot};
use crate::negotiator::local::Locals;
use crate::negotiator::rtp::{HeaderExtension, MAX_EXTENSION, MID_EXTENSION};
use crate::negotiator::transport::TransportId;
use crate::negotiator::write::{Destination, RtpLines, Writer};
use crate::negotiator::{LocalTransports, MediaKind, Misuse, Negotiator, SectionConfig};
use crate::{Codec, Direction, Setup};

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

    /// The number that the format had before, else its own, else any free dynamic one.
    fn find(&mut self, codec: &Codec, before: &[Codec], used: &[Codec]) -> Option<u8> {
        let kept = before.iter().find(|known| known.matches(codec));
        let mut choices = kept
            .map(|known| known.payload_type)
            .into_iter()
            .chain([codec.payload_type])
            .chain(96..=127)
            .chain(35..=63)
            .filter(|number| used.iter().all(|other| other.payload_type != *number));
        choices.find(|number| self.take(*number, codec))
    }

    /// The formats under their numbers; retransmissions follow what they repeat.
    fn assign(&mut self, rtp: &Rtp, before: &[Codec]) -> Vec<Codec> {
        let mut found: Vec<Codec> = Vec::with_capacity(rtp.codecs.len());
        let mut meaning: [Option<u8>; 128] = [None; 128];
        let mut assigned: Vec<Option<Codec>> = alloc::vec![None; rtp.codecs.len()];
        for repairs in [false, true] {
            for (codec, place) in rtp.codecs.iter().zip(&mut assigned) {
                let codec = match codec.repairs() {
                    None if !repairs => codec.clone(),
                    Some(of) if repairs => match meaning.get(usize::from(of)).copied().flatten() {
                        Some(of) => codec.clone().repairing(of),
                        None => continue,
                    },
                    _ => continue,
                };
                if let Some(payload_type) = self.find(&codec, before, &found) {
                    if let Some(slot) = meaning.get_mut(usize::from(codec.payload_type)) {
                        *slot = slot.or(Some(payload_type));
                    }
                    let codec = Codec {
                        payload_type,
                        ..codec
                    };
                    found.push(codec.clone());
                    *place = Some(codec);
                }
            }
        }
        assigned.into_iter().flatten().collect()
    }
}

/// The ids of header extensions in all sections: an id means one extension (RFC 9143 §12), and
/// keeps its meaning (RFC 8285 §6).
struct ExtensionIds {
    ids: BTreeMap<String, u16>,
    used: BTreeSet<u16>,
}

impl ExtensionIds {
    fn new<'a>(sections: impl Iterator<Item = &'a Section>) -> Self {
        let mut known = Self {
            ids: BTreeMap::new(),
            used: BTreeSet::new(),
        };
        for extension in sections.flat_map(|section| &section.extensions) {
            known.used.insert(extension.id);
            known
                .ids
                .entry(extension.uri.clone())
                .or_insert(extension.id);
        }
        known
    }

    /// The extensions under their ids; what finds none is left out.
    fn assign(&mut self, wanted: &[HeaderExtension]) -> Vec<HeaderExtension> {
        let mut found = Vec::with_capacity(wanted.len());
        for extension in wanted {
            let known = self.ids.get(&extension.uri).copied();
            let free = |id: &u16| !self.used.contains(id);
            let mut choices = [extension.id].into_iter().chain(1..=MAX_EXTENSION);
            let Some(id) = known.or_else(|| choices.find(free)) else {
                continue;
            };
            self.used.insert(id);
            self.ids.insert(extension.uri.clone(), id);
            found.push(HeaderExtension {
                id,
                ..extension.clone()
            });
        }
        found
    }
}

/// What an offer will look like: which sections stand where, and what they share.
pub(super) struct Plan {
    pub(super) slots: Vec<Slot>,
    places: Vec<Place>,
    /// BUNDLE groups, the section that speaks for each first.
    groups: Vec<Vec<usize>>,
    mids: Vec<String>,
}

/// One section of it.
#[derive(Clone, Copy, Default)]
struct Place {
    /// In use before, and still.
    kept: bool,
    /// With a transport of its own.
    own: bool,
    bundle_only: bool,
    /// The section that speaks for its transport, if it is not itself.
    tag: Option<usize>,
}

impl Place {
    fn is_live(self) -> bool {
        self.own || self.tag.is_some()
    }
}

impl Plan {
    fn place(&self, index: usize) -> Place {
        self.places.get(index).copied().unwrap_or_default()
    }

    pub(super) fn is_kept(&self, index: usize) -> bool {
        self.place(index).kept
    }

    /// For every transport, the sections on it, that first that speaks for it.
    pub(super) fn on_transports(&self) -> Vec<Vec<usize>> {
        let speakers = (0..self.places.len()).filter(|index| self.place(*index).own);
        by_speaker(speakers, self.places.iter().map(|place| place.tag))
    }
}

impl Negotiator {
    /// Which of the owner's sections stand where: those negotiated before keep their places, new
    /// ones take refused places first (RFC 9429 §5.2.2), then go to the end.
    fn offer_slots(&self) -> Vec<Slot> {
        let own = (0..self.config.sections.len()).map(Slot::Own);
        let own = own.filter(|slot| self.section(*slot).is_some());
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

    pub(super) fn plan_offer(&self) -> Plan {
        let slots = self.offer_slots();
        let current = self.current.as_ref();
        let mut places = Vec::with_capacity(slots.len());
        for (index, slot) in slots.iter().enumerate() {
            let before = current.and_then(|current| current.slots.get(index));
            let same = before == Some(slot);
            let usable = self.section(*slot).is_some();
            let kept = same && usable && current.is_some_and(|current| current.is_live(index));
            let new = !same && usable;
            places.push(Place {
                kept,
                own: kept || new,
                ..Place::default()
            });
        }
        let new = |index: usize| {
            let place: Option<&Place> = places.get(index);
            place.is_some_and(|place| place.is_live() && !place.kept)
        };
        let mids = mids(current, slots.len(), &new);
        let mut plan = Plan {
            groups: Vec::new(),
            mids,
            slots,
            places,
        };
        if self.config.profile == Profile::Jsep {
            self.plan_bundles(&mut plan);
        }
        plan
    }

    /// What was bundled stays bundled; new sections join, or make the first group as the policy
    /// wants it (RFC 9429 §5.2.1, §5.2.2).
    fn plan_bundles(&self, plan: &mut Plan) {
        let all = 0..plan.places.len();
        let kept: Vec<usize> = all.clone().filter(|index| plan.is_kept(*index)).collect();
        let new: Vec<usize> = all
            .filter(|index| plan.place(*index).is_live() && !plan.is_kept(*index))
            .collect();
        let answer = self.current.as_ref().map(Exchange::answer);
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (number, group) in answer
            .into_iter()
            .flat_map(|answer| answer.groups.iter().enumerate())
        {
            let in_group = |index: &usize| {
                let section = answer.and_then(|answer| answer.sections.get(*index));
                section.is_some_and(|section| section.group == Some(number))
            };
            let mut members: Vec<usize> = group.clone();
            members.retain(|index| plan.is_kept(*index) && in_group(index));
            if !members.is_empty() {
                groups.push(members);
            }
        }
        if groups.is_empty() && self.config.bundle == BundlePolicy::MustBundle {
            // There is one transport, whether the other side has called it a bundle or not.
            groups.extend((!kept.is_empty()).then(|| kept.clone()));
        }
        match groups.first_mut() {
            Some(group) => group.extend(&new),
            None if new.is_empty() => {}
            None => groups.push(new.clone()),
        }
        for group in &groups {
            let Some(&tag) = group.first() else {
                continue;
            };
            let negotiated = plan.is_kept(tag);
            let mut kinds: Vec<MediaKind> = Vec::new();
            for &index in group {
                let slot = plan.slots.get(index).copied().unwrap_or(Slot::None);
                let kind = self
                    .section(slot)
                    .map_or(MediaKind::Other, SectionConfig::kind);
                let first = !kinds.contains(&kind);
                if first {
                    kinds.push(kind);
                }
                let own = index == tag
                    || (!negotiated
                        && match self.config.bundle {
                            BundlePolicy::MaxCompat => true,
                            BundlePolicy::Balanced => first,
                            BundlePolicy::MustBundle => false,
                        });
                if let Some(place) = plan.places.get_mut(index) {
                    place.own = own;
                    // An initial offer leaves the others no other way than the bundle; later ones
                    // just join it.
                    place.bundle_only = !negotiated && !own;
                    place.tag = (!own).then_some(tag);
                }
            }
        }
        plan.groups = groups;
    }

    /// The text of a planned offer, with transports of these numbers.
    pub(super) fn write_offer<'a>(
        &self,
        plan: &Plan,
        ids: &[Option<TransportId>],
        local: &impl LocalTransports<'a>,
        version: u64,
    ) -> Result<String, Misuse> {
        let current = self.current.as_ref();
        let locals = Locals::new(ids.iter().copied(), local, self.config.profile)?;
        // RFC 9429 §5.2.2: the times stay what they were.
        let unbounded = [String::from("0 0")];
        let timing = current.map_or(&unbounded[..], |current| &current.local.timing);
        let mut writer = Writer::default();
        let mid = |index: &usize| plan.mids.get(*index).map(String::as_str);
        let groups: Vec<Vec<&str>> = plan
            .groups
            .iter()
            .map(|group| group.iter().filter_map(mid).collect())
            .collect();
        writer.session(
            self.config.session_id,
            version,
            timing,
            &groups,
            locals.ice(),
        );

        let before = || {
            let both = current
                .into_iter()
                .flat_map(|current| [&current.local, &current.remote]);
            both.flat_map(|description| &description.sections)
        };
        let mut numbers = Numbers::new(before());
        let mut extension_ids = ExtensionIds::new(before());
        let jsep = self.config.profile == Profile::Jsep;
        // Trickled candidates go by the mid (RFC 8840 §4.1.1).
        let named = jsep || locals.ice().is_some();
        for (index, slot) in plan.slots.iter().enumerate() {
            let place = plan.place(index);
            let mid = plan.mids.get(index).map(String::as_str).filter(|_| named);
            let old = current.and_then(|current| current.local.sections.get(index));
            let Some(config) = self.section(*slot).filter(|_| place.is_live()) else {
                let refused = old.map_or(("application", "UDP/DTLS/SCTP", DATA_CHANNEL), |old| {
                    (&*old.media_name, &*old.protocol, &*old.format)
                });
                let (media, protocol, format) = refused;
                let formats = [format].into_iter();
                writer.media(media, Destination::NONE, protocol, formats, mid);
                continue;
            };
            let transport = locals.of(place.tag.unwrap_or(index));
            let to = |protocol: &str| match (place.bundle_only, &transport) {
                (false, Some(transport)) => Destination::default_of(transport, protocol),
                _ => Destination::NONE,
            };
            let own = transport.filter(|_| place.own);
            let secure = transport.is_none_or(|transport| transport.dtls.is_some());
            let media = config.kind().name();
            let kept = old.filter(|_| place.kept);
            match config {
                SectionConfig::Application(data) => {
                    if !secure {
                        return Err(Misuse::Dtls);
                    }
                    let protocol = kept.map_or("UDP/DTLS/SCTP", |old| old.protocol.as_str());
                    let to = to(protocol);
                    writer.media(media, to, protocol, [DATA_CHANNEL].into_iter(), mid);
                    if let Some(local) = &own {
                        writer.transport(local, Some(Setup::Actpass), true);
                    }
                    writer.data(*data);
                }
                SectionConfig::Audio(rtp) | SectionConfig::Video(rtp) => {
                    let new = if secure {
                        "UDP/TLS/RTP/SAVPF"
                    } else {
                        "RTP/AVP"
                    };
                    let protocol = kept.map_or(new, |old| old.protocol.as_str());
                    let codecs = numbers.assign(rtp, kept.map_or(&[], |old| &old.codecs));
                    if codecs.iter().all(|codec| codec.repairs().is_some()) {
                        return Err(Misuse::Codec);
                    }
                    let formats = codecs.iter().map(|codec| codec.payload_type);
                    writer.media(media, to(protocol), protocol, formats, mid);
                    if let Some(local) = &own {
                        writer.transport(local, Some(Setup::Actpass), true);
                    }
                    let wanted = offered_extensions(rtp, jsep);
                    let send = rtp.direction.sends();
                    writer.rtp(&RtpLines {
                        codecs: &codecs,
                        direction: rtp.direction,
                        extensions: &extension_ids.assign(&wanted),
                        mux: true,
                        mux_only: jsep && place.own && !place.kept,
                        rids: [if send { &rtp.send_rids } else { &[] }, &[]],
                    });
                }
            }
            if place.bundle_only {
                writer.bundle_only();
            }
        }
        Ok(writer.finish())
    }
}

/// The owner's extensions, and that of the mid first where there are mids.
fn offered_extensions(rtp: &Rtp, mids: bool) -> Vec<HeaderExtension> {
    let mut all = Vec::with_capacity(rtp.extensions.len() + 1);
    let named = rtp
        .extensions
        .iter()
        .any(|known| known.uri == MID_EXTENSION);
    if mids && !named {
        all.push(HeaderExtension::new(1, MID_EXTENSION));
    }
    let wanted = |extension: &&HeaderExtension| extension.direction != Direction::Inactive;
    all.extend(rtp.extensions.iter().filter(wanted).cloned());
    all
}

/// The mids: those in use stay, new sections get the smallest number that has not been used, from
/// their own place on (RFC 9143 §15.2: short, and saying nothing of the user).
fn mids(current: Option<&Exchange>, count: usize, new: &impl Fn(usize) -> bool) -> Vec<String> {
    let sections = current.map_or(&[] as &[Section], |current| &current.offer().sections);
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

//! What a description may say to another one, or after it: the checkers, which a negotiator uses
//! on all that it takes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::negotiator::description::{Description, Section};
use crate::negotiator::error::{Place, violation};
use crate::negotiator::rtp::HeaderExtension;
use crate::negotiator::transport::{Change, RemoteTransport};
use crate::negotiator::{DescriptionKind, MediaKind, NegotiationError, Violation};
use crate::{Codec, Limits, Setup};

/// Whether `answer` may answer `offer`: RFC 3264 §6, RFC 5888 §9, RFC 8285 §6, RFC 8853 §5.3,
/// RFC 9143 §7.3.
///
/// Both are read strictly, within [`Limits::DEFAULT`]. The error is the first by section and says
/// the line: of the offer if the offer alone is wrong, else of the answer.
///
/// ```
/// use floe_sdp::{NegotiationError, Violation, check_answer};
///
/// let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///              m=audio 5004 RTP/AVP 0 8\r\na=sendonly\r\n";
/// let answer = offer.replace("- 1 1", "- 2 1").replace("0 8", "8").replace("send", "recv");
/// assert_eq!(check_answer(offer.as_bytes(), answer.as_bytes()), Ok(()));
///
/// // A stream in the wrong direction.
/// let answer = answer.replace("recvonly", "sendrecv");
/// assert_eq!(
///     check_answer(offer.as_bytes(), answer.as_bytes()),
///     Err(NegotiationError::Remote { rule: Violation::Direction, section: Some(0), line: 6 })
/// );
/// ```
pub fn check_answer(offer: &[u8], answer: &[u8]) -> Result<(), NegotiationError> {
    let offer = read(DescriptionKind::Offer, offer)?;
    let answer = read(DescriptionKind::Answer, answer)?;
    fits_offer(&offer, &answer)?;
    adds_nothing(&offer, &answer)
}

/// Whether the offer `next` may follow a finished exchange, `previous`: its offer and its answer.
/// RFC 3264 §8, RFC 8839 §4.4.1, RFC 9143 §7.5, RFC 9429 §5.2.2.
///
/// Which side offers now, its `o=` line says. The error is the first by section; its line is that
/// of `next` unless the previous two are wrong by themselves.
pub fn check_reoffer(previous: [&[u8]; 2], next: &[u8]) -> Result<(), NegotiationError> {
    let next = read(DescriptionKind::Offer, next)?;
    Previous::read(previous, &next)?.check(&next).map(|_| ())
}

/// Whether an offer and its answer may follow a finished exchange, `previous`: all that
/// [`check_reoffer`] and [`check_answer`] check, and that the answer goes on where the offer does:
/// it restarts ICE if the offer does, and only then (RFC 8839 §4.4.2).
pub fn check_exchange(
    previous: [&[u8]; 2],
    offer: &[u8],
    answer: &[u8],
) -> Result<(), NegotiationError> {
    let offer = read(DescriptionKind::Offer, offer)?;
    let answer = read(DescriptionKind::Answer, answer)?;
    let previous = Previous::read(previous, &offer)?;
    let offered = previous.check(&offer)?;
    fits_offer(&offer, &answer)?;
    adds_nothing(&offer, &answer)?;
    let answered = previous.reversed().check(&answer)?;
    for (tag, key, change) in answered {
        let section = answer
            .sections
            .get(tag)
            .map_or(Place::NONE, |section| section.place);
        let asked = offered.iter().find(|(_, other, _)| *other == key);
        if !change.ends && asked.is_some_and(|(_, _, asked)| asked.renews() != change.renews()) {
            return Err(violation(Violation::RestartMismatch, section));
        }
    }
    Ok(())
}

fn read(kind: DescriptionKind, text: &[u8]) -> Result<Description, NegotiationError> {
    let description = Description::read(kind, text, true, &Limits::DEFAULT)?;
    description.check_groups()?;
    description.check_bundles()?;
    Ok(description)
}

/// A finished exchange as the side sees it that speaks next.
struct Previous {
    own: Description,
    other: Description,
}

/// A transport that goes on: the section that speaks for it now, which one it was, and what
/// changes.
type Continued = (usize, usize, Change);

impl Previous {
    fn read(previous: [&[u8]; 2], next: &Description) -> Result<Self, NegotiationError> {
        let [offer, answer] = previous;
        let offer = read(DescriptionKind::Offer, offer)?;
        let answer = read(DescriptionKind::Answer, answer)?;
        if next.origin == offer.origin {
            Ok(Self {
                own: offer,
                other: answer,
            })
        } else if next.origin == answer.origin {
            Ok(Self {
                own: answer,
                other: offer,
            })
        } else {
            Err(violation(Violation::Origin, Place::new(None, 2)))
        }
    }

    fn reversed(self) -> Self {
        Self {
            own: self.other,
            other: self.own,
        }
    }

    fn check(&self, next: &Description) -> Result<Vec<Continued>, NegotiationError> {
        let head = Place::new(None, 2);
        if next.origin != self.own.origin {
            return Err(violation(Violation::Origin, head));
        }
        // RFC 3264 §8: the version says whether anything is new.
        let same = next.version == self.own.version && next.text == self.own.text;
        if next.version <= self.own.version && !same {
            return Err(violation(Violation::Version, head));
        }
        follows(&self.own, &self.other, next)?;
        // Transports are named by the section that spoke for them in the answer.
        let answer = match self.own.kind {
            DescriptionKind::Offer => &self.other,
            _ => &self.own,
        };
        let before = |index: usize| answer.sections.get(index)?.tag;
        let mut continued = Vec::new();
        let transports = next.on_transports();
        for (members, key) in transports.iter().zip(continues(&transports, before)) {
            let Some(&tag) = members.first() else {
                continue;
            };
            let then = key.and_then(|key| transport_in(&self.own, key));
            let now = next.transport_at(tag);
            if let (Some(key), Some(then), Some(now)) = (key, then, now) {
                let place = next
                    .sections
                    .get(tag)
                    .map_or(Place::NONE, |section| section.place);
                let change = check_change(then, now).map_err(|rule| violation(rule, place))?;
                continued.push((tag, key, change));
            }
        }
        Ok(continued)
    }
}

/// What a side says of the transport that the section `tag` of the answer speaks for.
pub(super) fn transport_in(side: &Description, tag: usize) -> Option<&RemoteTransport> {
    side.transport_at(tag).or_else(|| side.transport_of(tag))
}

/// For every transport, given by the sections on it with the one first that speaks for it: which of
/// those before it is, if any. The sections of a transport keep it, and each is kept once.
pub(super) fn continues<K: Ord + Copy>(
    transports: &[Vec<usize>],
    before: impl Fn(usize) -> Option<K>,
) -> Vec<Option<K>> {
    let mut claimed = BTreeSet::new();
    let mut keys = Vec::with_capacity(transports.len());
    for members in transports {
        let key = members.iter().copied().find_map(&before);
        keys.push(key.filter(|key| claimed.insert(*key)));
    }
    keys
}

/// RFC 8839 §4.4.1.1, RFC 9429 §5.8.3, §5.11: what may change without new credentials, and that
/// these change together.
pub(super) fn check_change(
    before: &RemoteTransport,
    now: &RemoteTransport,
) -> Result<Change, Violation> {
    let change = Change::between(before, now);
    if change.half_restart {
        return Err(Violation::HalfRestart);
    }
    if change.parameters && !change.is_free() {
        return Err(Violation::IceParametersChanged);
    }
    if change.dtls && !change.renews() && now.credentials.is_some() {
        return Err(Violation::DtlsChanged);
    }
    Ok(change)
}

impl Description {
    /// RFC 5888 §9.2, RFC 9143 §7.3.3, §7.5.3: what is refused is in no group.
    fn check_groups(&self) -> Result<(), NegotiationError> {
        let stray = |section: &&Section| section.group.is_some() && !section.live;
        match self.sections.iter().find(stray) {
            Some(section) => Err(violation(Violation::RefusedInGroup, section.place)),
            None => Ok(()),
        }
    }

    /// RFC 9143 §9.1.1, §12: on one transport, a payload type is one format and an id of a header
    /// extension is one extension.
    pub(super) fn check_bundles(&self) -> Result<(), NegotiationError> {
        let mut formats: BTreeMap<(usize, u8), &Codec> = BTreeMap::new();
        let mut extensions: BTreeMap<(usize, u16), &str> = BTreeMap::new();
        for section in &self.sections {
            let Some(tag) = section.tag else {
                continue;
            };
            for codec in &section.codecs {
                let known = formats.entry((tag, codec.payload_type)).or_insert(codec);
                if !known.matches(codec) {
                    return Err(violation(Violation::PayloadType, section.place));
                }
            }
            for extension in &section.extensions {
                let known = extensions
                    .entry((tag, extension.id))
                    .or_insert(&extension.uri);
                if *known != extension.uri {
                    return Err(violation(Violation::ExtensionId, section.place));
                }
            }
        }
        Ok(())
    }
}

/// RFC 3264 §6 and what extends it. Violations are those of the answer.
pub(super) fn fits_offer(
    offer: &Description,
    answer: &Description,
) -> Result<(), NegotiationError> {
    if answer.sections.len() != offer.sections.len() {
        return Err(violation(Violation::SectionCount, Place::new(None, 1)));
    }
    // RFC 9143 §7.3: a group of the answer is some of one group of the offer.
    for group in &answer.groups {
        let mut offered = None;
        for &member in group {
            let of = offer.sections.get(member).and_then(|section| section.group);
            if of.is_none() || *offered.get_or_insert(of) != of {
                let place = answer
                    .sections
                    .get(member)
                    .map_or(Place::NONE, |section| section.place);
                return Err(violation(Violation::Group, place));
            }
        }
    }
    for (index, (asked, given)) in offer.sections.iter().zip(&answer.sections).enumerate() {
        let fail = |rule| violation(rule, given.place);
        if asked.media_name != given.media_name || asked.protocol != given.protocol {
            return Err(fail(Violation::SectionType));
        }
        if given.mid.is_some() && given.mid != asked.mid {
            return Err(fail(Violation::Mid));
        }
        if !given.live {
            continue;
        }
        // What is bundle-only lives in its group or not at all (RFC 9143 §7.3.2).
        if !asked.live || (given.group.is_none() && asked.bundle_only) {
            return Err(fail(Violation::NotOffered));
        }
        if !given.direction.may_answer(asked.direction) {
            return Err(fail(Violation::Direction));
        }
        if !have_common_format(asked, given) {
            return Err(fail(Violation::NoCommonFormat));
        }
        let muxed = asked.tag.and_then(|tag| offer.sections.get(tag));
        let muxed = asked.rtcp_mux || asked.bundle_only || muxed.is_some_and(|tag| tag.rtcp_mux);
        if given.rtcp_mux && !muxed {
            return Err(fail(Violation::RtcpMux));
        }
        if given.tag == Some(index) {
            // A group has one association; what leaves it has its own.
            let speaks = asked.tag.and_then(|tag| offer.sections.get(tag));
            let asked = speaks.filter(|_| given.group.is_some()).unwrap_or(asked);
            match (asked.setup, given.setup) {
                (Some(Setup::Active), Some(Setup::Active))
                | (Some(Setup::Passive), Some(Setup::Passive))
                | (_, Some(Setup::Actpass)) => return Err(fail(Violation::Setup)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// What an answer must not bring in, and what a negotiator ignores if it does: it is not in both.
fn adds_nothing(offer: &Description, answer: &Description) -> Result<(), NegotiationError> {
    for (asked, given) in offer.sections.iter().zip(&answer.sections) {
        if given.live {
            // RFC 8839 §4.4.2.
            if given.remote_candidates {
                return Err(violation(Violation::RemoteCandidates, given.place));
            }
            let checked = check_extensions(&asked.extensions, &given.extensions);
            let checked = checked.and_then(|()| check_streams(asked, given));
            checked.map_err(|rule| violation(rule, given.place))?;
        }
    }
    Ok(())
}

/// RFC 8285 §6: an answer has extensions of the offer, under their ids. Ids from 4096 on are only
/// places to choose from.
fn check_extensions(asked: &[HeaderExtension], given: &[HeaderExtension]) -> Result<(), Violation> {
    let mut known: BTreeMap<&str, Vec<&HeaderExtension>> = BTreeMap::new();
    for extension in asked {
        known.entry(&extension.uri).or_default().push(extension);
    }
    for extension in given {
        let Some(offered) = known.get(extension.uri.as_str()) else {
            return Err(Violation::ExtensionNotOffered);
        };
        let same = |other: &&&HeaderExtension| other.id == extension.id || other.id >= 4096;
        let Some(offered) = offered.iter().find(same) else {
            return Err(Violation::ExtensionId);
        };
        if !extension.direction.may_answer(offered.direction) {
            return Err(Violation::Direction);
        }
    }
    Ok(())
}

/// RFC 8853 §5.3.2: the streams of an answer are streams of the offer, the other way round.
fn check_streams(asked: &Section, given: &Section) -> Result<(), Violation> {
    let Some(simulcast) = &given.simulcast else {
        return Ok(());
    };
    let offered = asked.simulcast.as_ref().ok_or(Violation::Simulcast)?;
    for (given, offered) in simulcast.iter().zip(offered.iter().rev()) {
        let known: BTreeSet<_> = offered.iter().flatten().collect();
        let unknown = given.iter().flatten().any(|id| !known.contains(id));
        if given.len() > offered.len() || unknown {
            return Err(Violation::Simulcast);
        }
    }
    Ok(())
}

/// RFC 3264 §8 and what extends it: what an offer, or an answer to one, may say after the same
/// side said `own` and the other side `other`.
pub(super) fn follows(
    own: &Description,
    other: &Description,
    next: &Description,
) -> Result<(), NegotiationError> {
    if next.sections.len() < own.sections.len() {
        return Err(violation(Violation::SectionCount, Place::new(None, 1)));
    }
    for ((own, other), next_section) in own.sections.iter().zip(&other.sections).zip(&next.sections)
    {
        let fail = |rule| violation(rule, next_section.place);
        // A refused place is free for anything.
        if !own.live || !other.live {
            continue;
        }
        let mid = own.mid.as_ref().or(other.mid.as_ref());
        if mid.is_some() && next_section.mid.is_some() && mid != next_section.mid.as_ref() {
            return Err(fail(Violation::MidChanged));
        }
        // RFC 3264 §8.3.3: another media type is another stream.
        if !next_section.live || own.media_name != next_section.media_name {
            continue;
        }
        check_numbers(&own.codecs, &next_section.codecs).map_err(fail)?;
        check_ids(
            [&own.extensions, &other.extensions],
            &next_section.extensions,
        )
        .map_err(fail)?;
        let tag = next_section.tag.and_then(|tag| next.sections.get(tag));
        let muxed = next_section.rtcp_mux
            || next_section.bundle_only
            || tag.is_some_and(|tag| tag.rtcp_mux);
        if own.rtcp_mux && other.rtcp_mux && !muxed {
            return Err(fail(Violation::MissingRtcpMux));
        }
    }
    Ok(())
}

/// RFC 3264 §8.3.2: a payload type keeps its format.
fn check_numbers(before: &[Codec], now: &[Codec]) -> Result<(), Violation> {
    let mut known: [Option<&Codec>; 128] = [None; 128];
    for codec in before {
        if let Some(slot) = known.get_mut(usize::from(codec.payload_type)) {
            *slot = Some(codec);
        }
    }
    let changed = |codec: &Codec| {
        let before = known
            .get(usize::from(codec.payload_type))
            .copied()
            .flatten();
        before.is_some_and(|before| !before.matches(codec))
    };
    if now.iter().any(changed) {
        return Err(Violation::PayloadTypeChanged);
    }
    Ok(())
}

/// RFC 8285 §6: an extension keeps its id, and an id its extension.
fn check_ids(before: [&[HeaderExtension]; 2], now: &[HeaderExtension]) -> Result<(), Violation> {
    let all = || {
        before
            .into_iter()
            .flatten()
            .filter(|extension| extension.id < 4096)
    };
    let pairs: BTreeSet<(&str, u16)> = all()
        .map(|extension| (extension.uri.as_str(), extension.id))
        .collect();
    let uris: BTreeSet<&str> = all().map(|extension| extension.uri.as_str()).collect();
    let ids: BTreeSet<u16> = all().map(|extension| extension.id).collect();
    for extension in now {
        let uri = extension.uri.as_str();
        let known = uris.contains(uri) || ids.contains(&extension.id);
        if known && !pairs.contains(&(uri, extension.id)) {
            return Err(Violation::ExtensionIdChanged);
        }
    }
    Ok(())
}

/// Whether two sections have a format in common. Sections of unknown kinds have the formats they
/// name.
pub(super) fn have_common_format(a: &Section, b: &Section) -> bool {
    match a.media {
        MediaKind::Application if a.is_data && b.is_data => true,
        MediaKind::Audio | MediaKind::Video if !a.codecs.is_empty() => {
            let real = |codec: &&Codec| codec.repairs().is_none();
            let common = |codec: &Codec| b.codecs.iter().any(|other| codec.matches(other));
            a.codecs.iter().filter(real).any(common)
        }
        _ => a.format == b.format,
    }
}

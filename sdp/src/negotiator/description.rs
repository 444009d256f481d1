//! Reading a description, local or remote, for what offer/answer needs of it.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::field::Address;
use crate::ice::{Candidate, CandidateAddress, IceCredentials};
use crate::negotiator::error::{Place, violation};
use crate::negotiator::level::Level;
use crate::negotiator::rtp::{HeaderExtension, Stream, Streams};
use crate::negotiator::transport::{Mismatch, RemoteTransport, TransportId};
use crate::negotiator::{DescriptionKind, MediaKind, NegotiationError, Violation};
use crate::{Codec, Direction, DtlsIdentity, Limits, Media, Session, Setup};

pub(crate) const DATA_CHANNEL: &str = "webrtc-datachannel";

/// RFC 8841 §6.1: what a data section without `max-message-size` takes.
const DEFAULT_MESSAGE_SIZE: u64 = 65_536;

/// What sections may inherit from the session level: extensions, fingerprints, options. More is
/// refused, since each section would have all of them.
const MAX_INHERITED: usize = 256;

/// A description as offer/answer sees it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) kind: DescriptionKind,
    pub(crate) text: Vec<u8>,
    /// `o=` without its version.
    pub(crate) origin: String,
    pub(crate) version: i64,
    /// Values of `t=`.
    pub(crate) timing: Vec<String>,
    pub(crate) sections: Vec<Section>,
    /// The BUNDLE groups that count, as section numbers in the group's order.
    pub(crate) groups: Vec<Vec<usize>>,
    /// The transports of all sections that have one of their own, in the order of the sections.
    pub(crate) transports: Vec<RemoteTransport>,
    /// Their places by number, once they have one.
    by_id: BTreeMap<TransportId, usize>,
    /// Where keying stands that WebRTC forbids.
    pub(crate) forbidden_keying: Option<Place>,
}

/// One `m=` section.
#[derive(Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a section"
)]
pub(crate) struct Section {
    pub(crate) place: Place,
    pub(crate) media: MediaKind,
    pub(crate) media_name: String,
    pub(crate) protocol: String,
    /// The formats as they stand on the line; only the first if it is RTP.
    pub(crate) format: String,
    pub(crate) port: u16,
    /// Not refused.
    pub(crate) live: bool,
    /// Has `bundle-only`, in a place where that counts (RFC 9143 §6).
    pub(crate) bundle_only: bool,
    /// The section that speaks for this one's transport; `None` if it is refused.
    pub(crate) tag: Option<usize>,
    /// Whether it has a transport of its own, if only for the case that it is not bundled.
    pub(crate) own_transport: bool,
    /// Its own `setup`, or that of the session.
    pub(crate) setup: Option<Setup>,
    /// What JSEP misses in a section with a transport.
    pub(crate) missing: Option<Violation>,
    /// The BUNDLE group it is in, by its place in [`Description::groups`].
    pub(crate) group: Option<usize>,
    pub(crate) mid: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) codecs: Vec<Codec>,
    pub(crate) extensions: Vec<HeaderExtension>,
    /// Streams that are sent, and streams that are received.
    pub(crate) rids: [Vec<Stream>; 2],
    pub(crate) simulcast: Option<[Streams; 2]>,
    /// Whether it has `remote-candidates`.
    pub(crate) remote_candidates: bool,
    /// Whether it is a data section.
    pub(crate) is_data: bool,
    /// `sctp-port` and `max-message-size` of a data section.
    pub(crate) data: Option<(u16, u64)>,
    pub(crate) rtcp_mux: bool,
    pub(crate) rtcp_mux_only: bool,
}

impl Section {
    pub(crate) fn is_rtp(&self) -> bool {
        matches!(self.media, MediaKind::Audio | MediaKind::Video)
    }
}

impl Description {
    /// Reads a description; what is wrong with it alone is refused here, whatever the profile.
    /// Without `bundle`, groups do not count.
    pub(crate) fn read(
        kind: DescriptionKind,
        text: &[u8],
        bundle: bool,
        limits: &Limits,
    ) -> Result<Self, NegotiationError> {
        let session = Session::parse_with(text, limits)?;
        let origin = session.origin();
        let origin = origin.ok_or_else(|| violation(Violation::OriginRange, Place::NONE))?;
        // RFC 3264 §5: both are 64-bit signed numbers.
        let number = |text: &str| {
            let number = text.parse::<i64>();
            number.map_err(|_| violation(Violation::OriginRange, Place::new(None, 2)))
        };
        number(origin.session_id)?;
        let version = number(origin.session_version)?;
        let username = String::from_utf8_lossy(origin.username);
        let origin = alloc::format!(
            "{username} {} {} {} {:?}",
            origin.session_id,
            origin.network,
            origin.address_type,
            origin.address
        );
        let top = Level::read(session.attributes(), None)?;
        if top.inherited() > MAX_INHERITED {
            return Err(violation(Violation::TooManyInherited, Place::new(None, 1)));
        }
        let media: Vec<Media<'_, '_>> = session.media().collect();
        let mut levels = Vec::with_capacity(media.len());
        let mut sections = Vec::with_capacity(media.len());
        for section in &media {
            let level = Level::read(section.attributes(), Some(section.index()))?;
            sections.push(Section::read(section, &level, &top));
            levels.push(level);
        }
        let groups = read_groups(&top, bundle, &mut sections)?;
        for (section, level) in sections.iter_mut().zip(&levels) {
            // RFC 9143 §6: bundle-only means something in offers, in groups and with port 0 only.
            let counts = kind == DescriptionKind::Offer && section.group.is_some();
            section.bundle_only = level.bundle_only && counts && section.port == 0;
            section.live = section.port != 0 || section.bundle_only;
        }
        find_tags(&mut sections, &groups)?;
        let mut transports = Vec::new();
        for ((section, media), level) in sections.iter_mut().zip(&media).zip(&levels) {
            let Some(tag) = section.tag else {
                continue;
            };
            let speaker = levels.get(tag).and_then(|level| level.ufrag);
            let own = level.ufrag.is_some() && level.ufrag != speaker;
            section.own_transport = !section.bundle_only && (own || tag == media.index());
            if section.own_transport {
                transports.push(read_transport(kind, media, level, &top));
                section.missing = missing(level, &top);
            }
        }
        let forbidden = |(section, level): (usize, &Level<'_>)| {
            let line = level.forbidden_keying?;
            Some(Place::new(Some(section), line))
        };
        let forbidden_keying = top.forbidden_keying.map(|line| Place::new(None, line));
        let forbidden_keying =
            forbidden_keying.or_else(|| levels.iter().enumerate().find_map(forbidden));
        let timing = session
            .lines()
            .filter(|line| line.letter() == b't')
            .map(|line| line.value());
        let timing = timing
            .filter_map(|value| core::str::from_utf8(value).ok())
            .map(ToString::to_string);
        Ok(Self {
            kind,
            text: text.to_vec(),
            origin,
            version,
            timing: timing.collect(),
            sections,
            groups,
            transports,
            by_id: BTreeMap::new(),
            forbidden_keying,
        })
    }

    /// The transport of the section of this index, if it is alive.
    pub(crate) fn transport_of(&self, index: usize) -> Option<&RemoteTransport> {
        let tag = self.sections.get(index)?.tag?;
        self.transport_at(tag)
    }

    /// The transport that the section of this index speaks for.
    pub(crate) fn transport_at(&self, tag: usize) -> Option<&RemoteTransport> {
        let place = |transport: &RemoteTransport| usize::from(transport.mline_index);
        let found = self.transports.binary_search_by_key(&tag, place).ok()?;
        self.transports.get(found)
    }

    pub(crate) fn transport(&self, id: TransportId) -> Option<&RemoteTransport> {
        self.transports.get(*self.by_id.get(&id)?)
    }

    /// Gives the transports their numbers, by the section that speaks for each.
    pub(crate) fn number(&mut self, id: impl Fn(usize) -> Option<TransportId>) {
        for (place, transport) in self.transports.iter_mut().enumerate() {
            if let Some(id) = id(usize::from(transport.mline_index)) {
                transport.id = id;
                self.by_id.insert(id, place);
            }
        }
    }

    /// For every transport, the sections on it: first the one that speaks for it, alone if it is
    /// one that its group does without.
    pub(crate) fn on_transports(&self) -> Vec<Vec<usize>> {
        let speakers = self.transports.iter();
        let speakers = speakers.map(|transport| usize::from(transport.mline_index));
        let tags = self.sections.iter().map(|section| section.tag);
        by_speaker(speakers, tags)
    }
}

/// For every section that speaks for a transport, the sections on it, itself first.
pub(crate) fn by_speaker(
    speakers: impl Iterator<Item = usize>,
    tags: impl Iterator<Item = Option<usize>>,
) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = speakers.map(|speaker| Vec::from([speaker])).collect();
    let places: BTreeMap<usize, usize> = all
        .iter()
        .enumerate()
        .filter_map(|(place, members)| Some((*members.first()?, place)))
        .collect();
    for (index, tag) in tags.enumerate() {
        let place = tag
            .filter(|tag| *tag != index)
            .and_then(|tag| places.get(&tag));
        if let Some(members) = place.and_then(|place| all.get_mut(*place)) {
            members.push(index);
        }
    }
    all
}

/// The BUNDLE groups as section numbers, and for every section the group it is in. One section
/// without a mid, and there are none (RFC 5888 §6); a group that names an unknown mid does not
/// count.
fn read_groups(
    top: &Level<'_>,
    bundle: bool,
    sections: &mut [Section],
) -> Result<Vec<Vec<usize>>, NegotiationError> {
    let mut by_mid = BTreeMap::new();
    for (index, section) in sections.iter().enumerate() {
        let mid = section.mid.clone();
        if mid.is_some_and(|mid| by_mid.insert(mid, index).is_some()) {
            return Err(violation(Violation::DuplicateMid, section.place));
        }
    }
    if !bundle || sections.iter().any(|section| section.mid.is_none()) {
        return Ok(Vec::new());
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (line, group) in &top.groups {
        if group.semantics != "BUNDLE" {
            continue;
        }
        let members = group.mids.iter().map(|mid| by_mid.get(mid).copied());
        let Some(mut members) = members.collect::<Option<Vec<usize>>>() else {
            continue;
        };
        let number = groups.len();
        let mut two = None;
        members.retain(|&member| {
            let Some(section) = sections.get_mut(member) else {
                return false;
            };
            let before = section.group.replace(number);
            if before.is_some_and(|before| before != number) {
                two = Some(member);
            }
            before.is_none()
        });
        if let Some(member) = two {
            return Err(violation(
                Violation::TwoGroups,
                Place::new(Some(member), *line),
            ));
        }
        groups.push(members);
    }
    Ok(groups)
}

/// Finds the section that speaks for the transport of each: of a group, the first member that is
/// alive and not bundle-only (RFC 9143 §7.3.1).
fn find_tags(sections: &mut [Section], groups: &[Vec<usize>]) -> Result<(), NegotiationError> {
    let mut tags = Vec::with_capacity(groups.len());
    for group in groups {
        let speaks = |member: &usize| {
            let section = sections.get(*member);
            section.is_some_and(|section| section.live && !section.bundle_only)
        };
        let tag = group.iter().copied().find(speaks);
        let mut members = group.iter().filter_map(|member| sections.get(*member));
        if let (None, Some(stray)) = (tag, members.find(|section| section.live)) {
            return Err(violation(Violation::Group, stray.place));
        }
        tags.push(tag);
    }
    for (index, section) in sections.iter_mut().enumerate() {
        let own = section.live.then_some(index);
        section.tag = match section.group {
            Some(group) => tags.get(group).copied().flatten().filter(|_| section.live),
            None => own,
        };
    }
    Ok(())
}

impl Section {
    fn read(media: &Media<'_, '_>, level: &Level<'_>, top: &Level<'_>) -> Self {
        let line = media.line();
        let carries = MediaKind::from_name(line.media);
        let is_data = carries == MediaKind::Application
            && carries.takes(line.protocol)
            && line.formats().any(|format| format == DATA_CHANNEL);
        let data = level.sctp_port.filter(|_| is_data);
        let data = data.map(|port| (port, level.max_message_size.unwrap_or(DEFAULT_MESSAGE_SIZE)));
        let rtp =
            matches!(carries, MediaKind::Audio | MediaKind::Video) && carries.takes(line.protocol);
        let first = media.lines().next().map_or(0, |line| line.number());
        Self {
            place: Place::new(Some(media.index()), first),
            media: carries,
            media_name: line.media.to_string(),
            protocol: line.protocol.to_string(),
            format: line
                .formats()
                .find(|format| !is_data || *format == DATA_CHANNEL)
                .unwrap_or("0")
                .to_string(),
            port: line.port,
            live: line.port != 0,
            bundle_only: false,
            tag: None,
            own_transport: false,
            setup: level.setup.or(top.setup),
            missing: None,
            group: None,
            mid: level.mid.map(ToString::to_string),
            // RFC 8841 §9.2: it says nothing of an association.
            direction: level
                .direction
                .or(top.direction)
                .filter(|_| !is_data)
                .unwrap_or_default(),
            codecs: if rtp {
                level.codecs(line.formats())
            } else {
                Vec::new()
            },
            extensions: top
                .extensions
                .iter()
                .chain(&level.extensions)
                .cloned()
                .collect(),
            rids: level.rids.clone(),
            simulcast: level.simulcast.clone(),
            remote_candidates: !level.remote_candidates.is_empty(),
            is_data,
            data,
            rtcp_mux: level.rtcp_mux,
            rtcp_mux_only: level.rtcp_mux_only,
        }
    }
}

/// RFC 9429 §5.8.3: what every section has or inherits.
fn missing(level: &Level<'_>, top: &Level<'_>) -> Option<Violation> {
    if level.ufrag.or(top.ufrag).is_none() || level.pwd.or(top.pwd).is_none() {
        return Some(Violation::MissingIceCredentials);
    }
    if level.fingerprints.is_empty() && top.fingerprints.is_empty() {
        return Some(Violation::MissingFingerprint);
    }
    match level.setup.or(top.setup) {
        None => Some(Violation::MissingSetup),
        Some(_) => None,
    }
}

fn read_transport(
    kind: DescriptionKind,
    media: &Media<'_, '_>,
    level: &Level<'_>,
    top: &Level<'_>,
) -> RemoteTransport {
    let credentials = match (level.ufrag.or(top.ufrag), level.pwd.or(top.pwd)) {
        (Some(ufrag), Some(pwd)) => IceCredentials::new(ufrag, pwd).ok(),
        _ => None,
    };
    let fingerprints = if level.fingerprints.is_empty() {
        &top.fingerprints
    } else {
        &level.fingerprints
    };
    let setup = level.setup.or(top.setup);
    let setup = setup.filter(|_| !fingerprints.is_empty());
    let options = level.ice_options.as_ref().or(top.ice_options.as_ref());
    let connection = media.connection().map(|connection| connection.address);
    let address = match connection {
        Some(Address::Ip(ip)) => Some(SocketAddr::new(ip, media.line().port)),
        _ => None,
    };
    // RFC 8839 §5.2, §5.3: the one in offers only, the other in answers only.
    let offers = kind == DescriptionKind::Offer;
    let mismatch = if level.mismatch && !offers {
        Some(Mismatch::Said)
    } else {
        let found = credentials.is_some() && is_mismatch(address, &level.candidates);
        found.then_some(Mismatch::Found)
    };
    RemoteTransport {
        id: TransportId::UNUSED,
        mline_index: media.index() as u16,
        mid: level.mid.map(ToString::to_string),
        address,
        credentials,
        ice_restart: false,
        ice_options: options
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect(),
        lite: top.lite,
        pacing: level.pacing.or(top.pacing).map(Duration::from_millis),
        candidates: level.candidates.clone(),
        ignored_candidates: level.ignored_candidates,
        end_of_candidates: level.end_of_candidates || top.end_of_candidates,
        mismatch,
        remote_candidate: level.remote_candidates.first().copied().filter(|_| offers),
        dtls: setup.map(|setup| DtlsIdentity {
            fingerprints: fingerprints.clone(),
            setup,
            tls_id: level.tls_id.or(top.tls_id).map(ToString::to_string),
        }),
        dtls_restart: false,
    }
}

/// RFC 8839 §4.2.5: the default destination is one of the candidates, or a name, or the port 9 and
/// unspecified address that trickling agents write.
fn is_mismatch(address: Option<SocketAddr>, candidates: &[Candidate]) -> bool {
    let Some(address) = address else {
        return false;
    };
    let known = |candidate: &Candidate| {
        candidate.address == CandidateAddress::Ip(address.ip()) && candidate.port == address.port()
    };
    let unknown_yet = address.ip().is_unspecified() && address.port() == 9;
    !unknown_yet && !candidates.iter().any(known)
}

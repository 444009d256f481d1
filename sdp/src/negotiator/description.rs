//! Reading a description, local or remote, for what offer/answer needs of it.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::field::Address;
use crate::ice::{Candidate, CandidateAddress, IceCredentials};
use crate::negotiator::error::violation;
use crate::negotiator::{DescriptionKind, MediaKind, NegotiationError, RemoteTransport, Violation};
use crate::{
    Attribute, AttributeValue, Codec, Direction, DtlsIdentity, Fingerprint, Fmtp, Group, Limits,
    Media, Rtpmap, Session, Setup,
};

pub(crate) const DATA_CHANNEL: &str = "webrtc-datachannel";
pub(crate) const MID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// RFC 8841 §6.1: what a data section without `max-message-size` takes.
const DEFAULT_MESSAGE_SIZE: u64 = 65_536;

/// A description as offer/answer sees it.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) kind: DescriptionKind,
    pub(crate) text: Vec<u8>,
    /// Values of `t=`.
    pub(crate) timing: Vec<String>,
    pub(crate) sections: Vec<Section>,
    /// Whether the sections of the transport are a BUNDLE group.
    pub(crate) bundled: bool,
    pub(crate) transport: Option<RemoteTransport>,
}

/// One `m=` section.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a section"
)]
pub(crate) struct Section {
    pub(crate) media: MediaKind,
    pub(crate) media_name: String,
    pub(crate) protocol: String,
    /// The formats as they stand on the line; only the first if it is RTP.
    pub(crate) format: String,
    /// Not refused.
    pub(crate) live: bool,
    /// On the one transport.
    pub(crate) on_transport: bool,
    /// In some BUNDLE group, be it that of the transport or another.
    pub(crate) grouped: bool,
    pub(crate) mid: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) codecs: Vec<Codec>,
    /// `sctp-port` and `max-message-size` of a data section.
    pub(crate) data: Option<(u16, u64)>,
    pub(crate) mid_extension: Option<u16>,
    pub(crate) rtcp_mux_only: bool,
}

/// The attributes of one level, read once.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "property attributes")]
struct Level<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
    ice_options: Option<Vec<&'a str>>,
    pacing: Option<u64>,
    lite: bool,
    mismatch: bool,
    candidates: Vec<Candidate>,
    ignored_candidates: usize,
    end_of_candidates: bool,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    tls_id: Option<&'a str>,
    groups: Vec<Group<'a>>,
    mid: Option<&'a str>,
    bundle_only: bool,
    direction: Option<Direction>,
    rtcp_mux: bool,
    rtcp_mux_only: bool,
    sctp_port: Option<u16>,
    max_message_size: Option<u64>,
    rtpmaps: Vec<Rtpmap<'a>>,
    fmtps: Vec<Fmtp<'a>>,
    mid_extension: Option<u16>,
}

fn once<T>(slot: &mut Option<T>, value: T, section: Option<usize>) -> Result<(), NegotiationError> {
    match slot.replace(value) {
        Some(_) => Err(violation(Violation::DuplicateAttribute, section)),
        None => Ok(()),
    }
}

impl<'a> Level<'a> {
    fn read(
        attributes: impl Iterator<Item = Attribute<'a>>,
        section: Option<usize>,
    ) -> Result<Self, NegotiationError> {
        use AttributeValue as Value;
        let mut level = Self::default();
        for attribute in attributes {
            let value = match attribute.value() {
                Ok(value) => value,
                // What an agent cannot read among candidates, it leaves out (RFC 8839 §5.1).
                Err(_) if attribute.name() == "candidate" => {
                    level.ignored_candidates += 1;
                    continue;
                }
                // Whatever it says.
                Err(_) if matches!(attribute.name(), "crypto" | "key-mgmt") => {
                    return Err(violation(Violation::ForbiddenKeying, section));
                }
                Err(error) => return Err(error.into()),
            };
            match value {
                Value::Group(group) => level.groups.push(group),
                Value::Mid(mid) => once(&mut level.mid, mid, section)?,
                Value::BundleOnly => level.bundle_only = true,
                Value::Direction(direction) => level.direction = Some(direction),
                Value::IceUfrag(ufrag) => once(&mut level.ufrag, ufrag, section)?,
                Value::IcePwd(pwd) => once(&mut level.pwd, pwd.reveal(), section)?,
                Value::IceOptions(options) => {
                    once(&mut level.ice_options, options.iter().collect(), section)?;
                }
                Value::IcePacing(pacing) => once(&mut level.pacing, pacing, section)?,
                Value::IceLite => level.lite = true,
                Value::IceMismatch => level.mismatch = true,
                Value::Candidate(candidate) if candidate.component == 1 => {
                    level.candidates.push(candidate.into());
                }
                Value::Candidate(_) => level.ignored_candidates += 1,
                Value::EndOfCandidates => level.end_of_candidates = true,
                Value::Fingerprint(fingerprint) => level.fingerprints.push(fingerprint.into()),
                Value::Setup(setup) => once(&mut level.setup, setup, section)?,
                Value::TlsId(id) => once(&mut level.tls_id, id, section)?,
                Value::SctpPort(port) => once(&mut level.sctp_port, port, section)?,
                Value::MaxMessageSize(size) => once(&mut level.max_message_size, size, section)?,
                Value::Rtpmap(rtpmap) => level.rtpmaps.push(rtpmap),
                Value::Fmtp(fmtp) => level.fmtps.push(fmtp),
                Value::Extmap(extmap) if extmap.uri == MID_EXTENSION => {
                    level.mid_extension = Some(extmap.id);
                }
                Value::RtcpMux => level.rtcp_mux = true,
                Value::RtcpMuxOnly => level.rtcp_mux_only = true,
                Value::Crypto(_) | Value::KeyMgmt(_) => {
                    return Err(violation(Violation::ForbiddenKeying, section));
                }
                _ => {}
            }
        }
        Ok(level)
    }

    /// The formats of an `m=` line whose meaning is known, each number once; one table look-up for
    /// every line and every format.
    fn codecs(&self, formats: impl Iterator<Item = &'a str>) -> Vec<Codec> {
        let mut maps: [Option<Rtpmap<'a>>; 128] = [None; 128];
        for map in self.rtpmaps.iter().rev() {
            if let Some(slot) = maps.get_mut(usize::from(map.payload_type)) {
                *slot = Some(*map);
            }
        }
        let mut parameters: [Option<&'a [u8]>; 128] = [None; 128];
        for fmtp in self.fmtps.iter().rev() {
            let number = fmtp.format.parse().ok();
            if let Some(slot) = number.and_then(|number: usize| parameters.get_mut(number)) {
                *slot = Some(fmtp.parameters);
            }
        }
        let mut seen = [false; 128];
        let mut codecs = Vec::new();
        for number in formats.filter_map(|format| format.parse::<u8>().ok()) {
            let index = usize::from(number);
            let Some(seen) = seen.get_mut(index) else {
                continue;
            };
            if core::mem::replace(seen, true) {
                continue;
            }
            let mapped = maps.get(index).copied().flatten();
            let mapped =
                mapped.map(|map| Codec::new(number, map.encoding, map.clock_rate, map.channels));
            let Some(mut codec) = mapped.or_else(|| Codec::well_known(number)) else {
                continue;
            };
            let text = parameters.get(index).copied().flatten();
            codec.parameters = text
                .and_then(|text| core::str::from_utf8(text).ok())
                .map(ToString::to_string);
            codecs.push(codec);
        }
        codecs
    }
}

/// The section that speaks for the transport, and the group it is in.
struct Bundle {
    tag: usize,
    group: Option<usize>,
}

impl Description {
    pub(crate) fn read(
        kind: DescriptionKind,
        text: &[u8],
        limits: &Limits,
    ) -> Result<Self, NegotiationError> {
        let session = Session::parse_with(text, limits)?;
        let origin = session.origin();
        let origin = origin.ok_or_else(|| violation(Violation::OriginRange, None))?;
        // RFC 3264 §5: both are 64-bit signed numbers.
        for number in [origin.session_id, origin.session_version] {
            if number.parse::<i64>().is_err() {
                return Err(violation(Violation::OriginRange, None));
            }
        }
        let top = Level::read(session.attributes(), None)?;
        let media: Vec<Media<'_, '_>> = session.media().collect();
        let mut levels = Vec::with_capacity(media.len());
        for section in &media {
            levels.push(Level::read(section.attributes(), Some(section.index()))?);
        }
        let groups = groups(&top, &levels)?;
        let mut group_of: Vec<Option<usize>> = alloc::vec![None; media.len()];
        for (number, members) in groups.iter().enumerate() {
            for &member in members {
                let Some(slot) = group_of.get_mut(member) else {
                    continue;
                };
                if slot.replace(number).is_some_and(|other| other != number) {
                    return Err(violation(Violation::TwoGroups, member));
                }
            }
        }
        let mut sections = Vec::with_capacity(media.len());
        for ((media, level), group) in media.iter().zip(&levels).zip(&group_of) {
            sections.push(Section::read(kind, media, level, &top, group.is_some())?);
        }
        let bundle = Bundle::find(&sections, &levels, &groups, &group_of)?;
        let mut transport = None;
        let mut bundled = false;
        if let Some(Bundle { tag, group }) = bundle {
            bundled = group.is_some();
            for (index, section) in sections.iter_mut().enumerate() {
                let together = bundled && group_of.get(index).copied().flatten() == group;
                section.on_transport = section.live && (index == tag || together);
            }
            if let (Some(media), Some(level)) = (media.get(tag), levels.get(tag)) {
                transport = Some(read_transport(kind, media, level, &top)?);
            }
            check_sections(&sections, &levels, tag)?;
        }
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
            timing: timing.collect(),
            sections,
            bundled,
            transport,
        })
    }

    /// Whether the section of this index carries the transport's attributes.
    pub(crate) fn is_tag(&self, index: usize) -> bool {
        self.transport
            .as_ref()
            .is_some_and(|transport| usize::from(transport.mline_index) == index)
    }
}

/// The BUNDLE groups as section numbers. One section without a mid, and there are none (RFC 5888
/// §6); a group that names an unknown mid does not count.
fn groups(top: &Level<'_>, levels: &[Level<'_>]) -> Result<Vec<Vec<usize>>, NegotiationError> {
    let mut by_mid = BTreeMap::new();
    for (index, level) in levels.iter().enumerate() {
        if level
            .mid
            .is_some_and(|mid| by_mid.insert(mid, index).is_some())
        {
            return Err(violation(Violation::DuplicateMid, index));
        }
    }
    if levels.iter().any(|level| level.mid.is_none()) {
        return Ok(Vec::new());
    }
    let bundles = top
        .groups
        .iter()
        .filter(|group| group.semantics == "BUNDLE");
    let members = |group: &Group<'_>| {
        group
            .mids
            .iter()
            .map(|mid| by_mid.get(mid).copied())
            .collect()
    };
    Ok(bundles.filter_map(members).collect())
}

impl Bundle {
    /// Policy must-bundle: the first section and all that are grouped with it (RFC 9429 §5.3.1).
    fn find(
        sections: &[Section],
        levels: &[Level<'_>],
        groups: &[Vec<usize>],
        group_of: &[Option<usize>],
    ) -> Result<Option<Self>, NegotiationError> {
        let live = |index: usize| sections.get(index).is_some_and(|section| section.live);
        let Some(first) = (0..sections.len()).find(|&index| live(index)) else {
            return Ok(None);
        };
        let Some(group) = group_of.get(first).copied().flatten() else {
            return Ok(Some(Self {
                tag: first,
                group: None,
            }));
        };
        let speaks =
            |index: usize| live(index) && levels.get(index).is_some_and(|level| !level.bundle_only);
        let mut members = groups.get(group).into_iter().flatten().copied();
        match members.find(|&member| speaks(member)) {
            Some(tag) => Ok(Some(Self {
                tag,
                group: Some(group),
            })),
            None => Err(violation(Violation::Group, first)),
        }
    }
}

impl Section {
    fn read(
        kind: DescriptionKind,
        media: &Media<'_, '_>,
        level: &Level<'_>,
        top: &Level<'_>,
        grouped: bool,
    ) -> Result<Self, NegotiationError> {
        let line = media.line();
        let carries = MediaKind::from_name(line.media);
        // RFC 9143 §6: bundle-only means something in offers and in groups only.
        let bundle_only = kind == DescriptionKind::Offer && level.bundle_only && grouped;
        let live = line.port != 0 || bundle_only;
        let is_data = carries == MediaKind::Application
            && carries.takes(line.protocol)
            && line.formats().any(|format| format == DATA_CHANNEL);
        let data = match level.sctp_port {
            Some(port) if is_data => {
                Some((port, level.max_message_size.unwrap_or(DEFAULT_MESSAGE_SIZE)))
            }
            None if is_data && live => {
                return Err(violation(Violation::MissingSctpPort, media.index()));
            }
            _ => None,
        };
        let rtp =
            matches!(carries, MediaKind::Audio | MediaKind::Video) && carries.takes(line.protocol);
        Ok(Self {
            media: carries,
            media_name: line.media.to_string(),
            protocol: line.protocol.to_string(),
            format: line
                .formats()
                .find(|format| !is_data || *format == DATA_CHANNEL)
                .unwrap_or("0")
                .to_string(),
            live,
            on_transport: false,
            grouped,
            mid: level.mid.map(ToString::to_string),
            direction: level.direction.or(top.direction).unwrap_or_default(),
            codecs: if rtp {
                level.codecs(line.formats())
            } else {
                Vec::new()
            },
            data,
            mid_extension: level.mid_extension,
            rtcp_mux_only: level.rtcp_mux_only,
        })
    }
}

/// RTP sections of the transport need `rtcp-mux`, their own or that of the section that speaks for
/// them; in a bundle-only section it goes without saying (RFC 9143 §9.3).
fn check_sections(
    sections: &[Section],
    levels: &[Level<'_>],
    tag: usize,
) -> Result<(), NegotiationError> {
    let tag_mux = levels.get(tag).is_some_and(|level| level.rtcp_mux);
    for (index, (section, level)) in sections.iter().zip(levels).enumerate() {
        let rtp = matches!(section.media, MediaKind::Audio | MediaKind::Video);
        let muxed = level.rtcp_mux || (tag_mux && index != tag) || level.bundle_only;
        if level.rtcp_mux_only && !level.rtcp_mux || (section.on_transport && rtp && !muxed) {
            return Err(violation(Violation::MissingRtcpMux, index));
        }
    }
    Ok(())
}

fn read_transport(
    kind: DescriptionKind,
    media: &Media<'_, '_>,
    level: &Level<'_>,
    top: &Level<'_>,
) -> Result<RemoteTransport, NegotiationError> {
    let index = media.index();
    let (Some(ufrag), Some(pwd)) = (level.ufrag.or(top.ufrag), level.pwd.or(top.pwd)) else {
        return Err(violation(Violation::MissingIceCredentials, index));
    };
    let credentials = IceCredentials::new(ufrag, pwd);
    let credentials =
        credentials.map_err(|_| violation(Violation::MissingIceCredentials, index))?;
    let fingerprints = if level.fingerprints.is_empty() {
        &top.fingerprints
    } else {
        &level.fingerprints
    };
    if fingerprints.is_empty() {
        return Err(violation(Violation::MissingFingerprint, index));
    }
    let setup = level
        .setup
        .or(top.setup)
        .ok_or_else(|| violation(Violation::MissingSetup, index))?;
    let fits = match kind {
        DescriptionKind::Offer => setup != Setup::Holdconn,
        DescriptionKind::Answer | DescriptionKind::Pranswer => {
            matches!(setup, Setup::Active | Setup::Passive)
        }
    };
    if !fits {
        return Err(violation(Violation::Setup, index));
    }
    let options = level.ice_options.as_ref().or(top.ice_options.as_ref());
    Ok(RemoteTransport {
        mline_index: index as u16,
        mid: level.mid.map(ToString::to_string),
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
        mismatch: level.mismatch || is_mismatch(media, &level.candidates),
        dtls: DtlsIdentity {
            fingerprints: fingerprints.clone(),
            setup,
            tls_id: level.tls_id.or(top.tls_id).map(ToString::to_string),
        },
        dtls_restart: false,
    })
}

/// RFC 8839 §4.2.5: the default destination is one of the candidates, or a name, or the port 9 and
/// unspecified address that trickling agents write.
fn is_mismatch(media: &Media<'_, '_>, candidates: &[Candidate]) -> bool {
    let Some(Address::Ip(ip)) = media.connection().map(|connection| connection.address) else {
        return false;
    };
    let port = media.line().port;
    let known = |candidate: &Candidate| {
        candidate.address == CandidateAddress::Ip(ip) && candidate.port == port
    };
    let unknown_yet = ip.is_unspecified() && port == 9;
    !unknown_yet && !candidates.iter().any(known)
}

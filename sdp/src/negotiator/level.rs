//! The attributes of one level of a description, read once.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::ice::Candidate;
use crate::negotiator::error::{Place, violation};
use crate::negotiator::rtp::{HeaderExtension, Rid, Streams, read_rid, read_simulcast};
use crate::negotiator::{NegotiationError, Violation};
use crate::{Attribute, AttributeValue, Codec, Direction, Fingerprint, Fmtp, Group, Rtpmap, Setup};

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "property attributes")]
pub(super) struct Level<'a> {
    pub(super) ufrag: Option<&'a str>,
    pub(super) pwd: Option<&'a str>,
    pub(super) ice_options: Option<Vec<&'a str>>,
    pub(super) pacing: Option<u64>,
    pub(super) lite: bool,
    pub(super) mismatch: bool,
    pub(super) candidates: Vec<Candidate>,
    pub(super) ignored_candidates: usize,
    pub(super) end_of_candidates: bool,
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) setup: Option<Setup>,
    pub(super) tls_id: Option<&'a str>,
    /// Groups, each with the line it stands on.
    pub(super) groups: Vec<(u32, Group<'a>)>,
    pub(super) mid: Option<&'a str>,
    pub(super) bundle_only: bool,
    pub(super) direction: Option<Direction>,
    pub(super) rtcp_mux: bool,
    pub(super) rtcp_mux_only: bool,
    pub(super) sctp_port: Option<u16>,
    pub(super) max_message_size: Option<u64>,
    rtpmaps: Vec<Rtpmap<'a>>,
    fmtps: Vec<Fmtp<'a>>,
    /// `rtcp-fb` of one format, or of all.
    feedback: Vec<(Option<u8>, &'a str)>,
    pub(super) extensions: Vec<HeaderExtension>,
    /// Streams that are sent, and streams that are received.
    pub(super) rids: [Vec<Rid>; 2],
    pub(super) simulcast: Option<[Streams; 2]>,
    /// The line of keying that WebRTC forbids.
    pub(super) forbidden_keying: Option<u32>,
}

impl<'a> Level<'a> {
    pub(super) fn read(
        attributes: impl Iterator<Item = Attribute<'a>>,
        section: Option<usize>,
    ) -> Result<Self, NegotiationError> {
        let mut level = Self::default();
        for attribute in attributes {
            let value = match attribute.value() {
                Ok(value) => value,
                // What an agent cannot read among candidates, it leaves out (RFC 8839 §5.1).
                Err(_) if attribute.name() == "candidate" => {
                    level.ignored_candidates += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            level
                .take(&attribute, value)
                .map_err(|rule| violation(rule, Place::new(section, attribute.line().number())))?;
        }
        Ok(level)
    }

    fn take(
        &mut self,
        attribute: &Attribute<'a>,
        value: AttributeValue<'a>,
    ) -> Result<(), Violation> {
        use AttributeValue as Value;
        fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Violation> {
            match slot.replace(value) {
                Some(_) => Err(Violation::DuplicateAttribute),
                None => Ok(()),
            }
        }
        let line = attribute.line().number();
        match value {
            Value::Group(group) => self.groups.push((line, group)),
            Value::Mid(mid) => once(&mut self.mid, mid)?,
            Value::BundleOnly => self.bundle_only = true,
            Value::Direction(direction) => self.direction = Some(direction),
            Value::IceUfrag(ufrag) => once(&mut self.ufrag, ufrag)?,
            Value::IcePwd(pwd) => once(&mut self.pwd, pwd.reveal())?,
            Value::IceOptions(options) => {
                once(&mut self.ice_options, options.iter().collect())?;
            }
            Value::IcePacing(pacing) => once(&mut self.pacing, pacing)?,
            Value::IceLite => self.lite = true,
            Value::IceMismatch => self.mismatch = true,
            Value::Candidate(candidate) if candidate.component == 1 => {
                self.candidates.push(*candidate);
            }
            Value::Candidate(_) => self.ignored_candidates += 1,
            Value::EndOfCandidates => self.end_of_candidates = true,
            Value::Fingerprint(fingerprint) => self.fingerprints.push(fingerprint),
            Value::Setup(setup) => once(&mut self.setup, setup)?,
            Value::TlsId(id) => once(&mut self.tls_id, id)?,
            Value::SctpPort(port) => once(&mut self.sctp_port, port)?,
            Value::MaxMessageSize(size) => once(&mut self.max_message_size, size)?,
            Value::Rtpmap(rtpmap) => self.rtpmaps.push(rtpmap),
            Value::Fmtp(fmtp) => self.fmtps.push(fmtp),
            Value::Extmap(extmap) => self.extensions.push(HeaderExtension {
                id: extmap.id,
                uri: extmap.uri.to_string(),
                direction: extmap.direction.unwrap_or_default(),
            }),
            Value::RtcpMux => self.rtcp_mux = true,
            Value::RtcpMuxOnly => self.rtcp_mux_only = true,
            Value::ForbiddenKeying => self.forbidden_keying = self.forbidden_keying.or(Some(line)),
            _ => self.take_other(attribute)?,
        }
        Ok(())
    }

    fn take_other(&mut self, attribute: &Attribute<'a>) -> Result<(), Violation> {
        let text = attribute.text().unwrap_or_default();
        match attribute.name() {
            "rtcp-fb" => self.feedback.extend(read_feedback(text)),
            "rid" => {
                if let Some((sends, rid)) = read_rid(text) {
                    let [send, receive] = &mut self.rids;
                    let rids = if sends { send } else { receive };
                    rids.push(rid);
                }
            }
            // RFC 8853 §5.1: at most one.
            "simulcast" => {
                if let Some(streams) = read_simulcast(text) {
                    if self.simulcast.replace(streams).is_some() {
                        return Err(Violation::DuplicateAttribute);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// How much of this level all sections below would have.
    pub(super) fn inherited(&self) -> usize {
        let options = self.ice_options.as_ref().map_or(0, Vec::len);
        self.extensions.len() + self.fingerprints.len() + options
    }

    /// The formats of an `m=` line whose meaning is known, each number once; one table look-up for
    /// every line and every format.
    pub(super) fn codecs(&self, formats: impl Iterator<Item = &'a str>) -> Vec<Codec> {
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
        let mut place: [Option<usize>; 128] = [None; 128];
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
            if let Some(place) = place.get_mut(index) {
                *place = Some(codecs.len());
            }
            codecs.push(codec);
        }
        for (format, feedback) in &self.feedback {
            let of = format.map(usize::from);
            let of = of.map(|number| place.get(number).copied().flatten());
            let range = match of {
                None => 0..codecs.len(),
                Some(Some(one)) => one..one + 1,
                Some(None) => continue,
            };
            for codec in codecs.get_mut(range).into_iter().flatten() {
                if codec.feedback.len() < MAX_FEEDBACK {
                    codec.feedback.push((*feedback).to_string());
                }
            }
        }
        codecs
    }
}

/// Kinds of feedback kept of a format; more are not looked at.
const MAX_FEEDBACK: usize = 64;

/// `rtcp-fb`: a payload type or `*`, and what is known (RFC 4585 §4.2). A malformed line says
/// nothing.
fn read_feedback(text: &[u8]) -> Option<(Option<u8>, &str)> {
    let (format, feedback) = core::str::from_utf8(text).ok()?.split_once(' ')?;
    let format = match format {
        "*" => None,
        number => Some(number.parse().ok()?),
    };
    Some((format, feedback.trim_end()))
}

//! The attributes of one level of a description, read once.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::attribute::StreamDirection;
use crate::ice::{Candidate, CandidateAddress, RemoteCandidate};
use crate::negotiator::error::{Place, violation};
use crate::negotiator::rtp::{HeaderExtension, Stream, Streams, read_simulcast};
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
    /// Of component 1.
    pub(super) remote_candidates: Vec<SocketAddr>,
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
    feedback: Vec<(Option<u8>, String)>,
    pub(super) extensions: Vec<HeaderExtension>,
    /// Streams that are sent, and streams that are received.
    pub(super) rids: [Vec<Stream>; 2],
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
                // What names keys is refused, whatever it says; streams that cannot be read are
                // none (RFC 8851 §6).
                Err(_) if matches!(attribute.name(), "crypto" | "key-mgmt") => {
                    level.note_keying(attribute.line().number());
                    continue;
                }
                Err(_) if matches!(attribute.name(), "rid" | "simulcast") => continue,
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
                self.candidates.push(candidate.into());
            }
            Value::Candidate(_) => self.ignored_candidates += 1,
            Value::RemoteCandidates(all) => {
                let address = |one: RemoteCandidate<'_>| match one.address {
                    CandidateAddress::Ip(ip) if one.component == 1 => {
                        Some(SocketAddr::new(ip, one.port))
                    }
                    _ => None,
                };
                self.remote_candidates
                    .extend(all.iter().filter_map(address));
            }
            Value::EndOfCandidates => self.end_of_candidates = true,
            Value::Fingerprint(fingerprint) => self.fingerprints.push(fingerprint.into()),
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
            Value::Crypto(_) | Value::KeyMgmt(_) => self.note_keying(line),
            Value::RtcpFb(feedback) => {
                let format = match feedback.format {
                    "*" => None,
                    number => Some(number.parse().unwrap_or(u8::MAX)),
                };
                let parameters = feedback.parameters.map(String::from_utf8_lossy);
                let text = match parameters {
                    Some(parameters) => format!("{} {parameters}", feedback.kind),
                    None => feedback.kind.to_string(),
                };
                self.feedback.push((format, text));
            }
            Value::Rid(rid) => {
                let stream = Stream::read(&rid, attribute.text().unwrap_or_default());
                let [send, receive] = &mut self.rids;
                match rid.direction {
                    StreamDirection::Send => send.push(stream),
                    StreamDirection::Receive => receive.push(stream),
                }
            }
            // RFC 8853 §5.1: at most one.
            Value::Simulcast(simulcast) => once(&mut self.simulcast, read_simulcast(&simulcast))?,
            _ => {}
        }
        Ok(())
    }

    fn note_keying(&mut self, line: u32) {
        self.forbidden_keying = self.forbidden_keying.or(Some(line));
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
                    codec.feedback.push(feedback.clone());
                }
            }
        }
        codecs
    }
}

/// Kinds of feedback kept of a format; more are not looked at.
const MAX_FEEDBACK: usize = 64;

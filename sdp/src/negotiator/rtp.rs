//! What an RTP section says beyond its formats: header extensions, restricted streams (RFC 8851),
//! simulcast (RFC 8853); and what two sides have in common of all.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::attribute::{AttributeValue, Rid, Simulcast, SimulcastStreams, StreamDirection};
use crate::{Codec, Direction};

/// The RTP header extension that says which section a packet belongs to (RFC 9143 §15).
pub(crate) const MID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// The one that says which stream of a section it belongs to (RFC 8852).
pub(crate) const RID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";

/// Largest id of an extension in the one-byte form (RFC 8285 §4.2).
pub(crate) const MAX_EXTENSION: u16 = 14;
/// Ids from here on are offered by who has more than can be used, and answered with others
/// (RFC 8285 §6); they are never answered here.
const UNUSABLE_EXTENSION: u16 = 256;

/// Streams of one simulcast; more are not looked at.
pub(crate) const MAX_STREAMS: usize = 16;

/// An RTP header extension with the id it is sent under (RFC 8285 §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderExtension {
    /// 1..=14 where this side chooses.
    pub id: u16,
    /// What it means.
    pub uri: String,
    /// Who sends it, as seen by the side that wrote it.
    pub direction: Direction,
}

impl HeaderExtension {
    /// An extension that both sides may send.
    pub fn new(id: u16, uri: &str) -> Self {
        Self {
            id,
            uri: uri.to_string(),
            direction: Direction::SendRecv,
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        (1..=MAX_EXTENSION).contains(&self.id)
            && !self.uri.is_empty()
            && self.uri.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// One stream of a section (RFC 8851).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Letters, digits, `-` and `_`.
    pub id: String,
    /// What bounds the stream, such as `max-width=1280`.
    pub restrictions: Option<String>,
}

impl Stream {
    /// A stream without bounds.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_string(),
            restrictions: None,
        }
    }

    /// As `rid` says it of a stream that is sent or received.
    pub(crate) fn line(&self, direction: StreamDirection) -> String {
        let mut line = alloc::format!("{} {}", self.id, direction.name());
        if let Some(restrictions) = &self.restrictions {
            line.push(' ');
            line.push_str(restrictions);
        }
        line
    }

    pub(crate) fn is_valid(&self) -> bool {
        let line = self.line(StreamDirection::Send);
        let read = AttributeValue::read("rid", Some(line.as_bytes()));
        matches!(read, Ok(AttributeValue::Rid(rid)) if rid.id == self.id)
    }

    /// What a `rid` line says.
    pub(crate) fn read(rid: &Rid<'_>, text: &[u8]) -> Self {
        let text = core::str::from_utf8(text).unwrap_or_default();
        Self {
            id: rid.id.to_string(),
            restrictions: text.splitn(3, ' ').nth(2).map(ToString::to_string),
        }
    }

    /// The formats that the stream is bound to.
    fn formats(&self) -> impl Iterator<Item = &str> {
        let all = self.restrictions.as_deref().unwrap_or_default();
        let formats = all.strip_prefix("pt=").unwrap_or_default();
        let formats = formats.split(';').next().unwrap_or_default();
        formats.split(',').filter(|format| !format.is_empty())
    }
}

/// The streams of one direction of `simulcast`, each with its alternatives.
pub(crate) type Streams = Vec<Vec<String>>;

/// What a `simulcast` line says is sent, and is received.
pub(crate) fn read_simulcast(simulcast: &Simulcast<'_>) -> [Streams; 2] {
    let read = |streams: Option<SimulcastStreams<'_>>| {
        let streams = streams.into_iter().flat_map(SimulcastStreams::iter);
        let streams = streams.map(|stream| stream.map(|one| one.rid.to_string()).collect());
        streams.collect()
    };
    [read(simulcast.send), read(simulcast.receive)]
}

/// The streams of a simulcast that a `rid` line defines and whose formats are in use: the first
/// alternative of each, within bounds.
pub(crate) fn simulcast_streams(
    streams: &Streams,
    rids: &[Stream],
    codecs: &[Codec],
) -> Vec<Stream> {
    let usable = |rid: &&Stream| {
        let mut formats = rid.formats().peekable();
        let known = |format: &str| {
            let number = format.parse::<u8>().ok();
            codecs
                .iter()
                .any(|codec| Some(codec.payload_type) == number)
        };
        formats.peek().is_none() || formats.any(known)
    };
    let find = |id: &String| rids.iter().find(|rid| rid.id == *id).filter(usable);
    let mut found: Vec<Stream> = Vec::new();
    for stream in streams.iter().take(MAX_STREAMS) {
        if let Some(rid) = stream.iter().take(MAX_STREAMS).find_map(find) {
            if !found.contains(rid) {
                found.push(rid.clone());
            }
        }
    }
    found
}

/// The owner's formats that were offered: in the offer's order, under the offer's numbers, with the
/// feedback that both know (RFC 4585 §4.2). Retransmissions come with what they repeat.
pub(crate) fn common_codecs(offered: &[Codec], own: &[Codec]) -> Vec<Codec> {
    // Which of the owner's formats an offered number stands for.
    let mut taken: Vec<Option<u8>> = alloc::vec![None; own.len()];
    let mut meaning: [Option<u8>; 128] = [None; 128];
    for offer in offered.iter().filter(|offer| offer.repairs().is_none()) {
        let found = own
            .iter()
            .zip(&mut taken)
            .find(|(codec, taken)| taken.is_none() && codec.matches(offer));
        let slot = meaning.get_mut(usize::from(offer.payload_type));
        if let (Some((codec, taken)), Some(slot)) = (found, slot) {
            *taken = Some(offer.payload_type);
            *slot = Some(codec.payload_type);
        }
    }
    let mut codecs = Vec::new();
    for offer in offered {
        let answer = match offer.repairs() {
            None => {
                let found = own
                    .iter()
                    .zip(&taken)
                    .find(|(_, taken)| **taken == Some(offer.payload_type));
                found.map(|(codec, _)| codec.clone())
            }
            Some(of) => meaning
                .get(usize::from(of))
                .copied()
                .flatten()
                .and_then(|own_of| {
                    let repeats = |codec: &&Codec| {
                        codec.repairs() == Some(own_of) && codec.clock_rate == offer.clock_rate
                    };
                    let found = own.iter().find(repeats).cloned();
                    found.map(|codec| codec.repairing(of))
                }),
        };
        if let Some(mut codec) = answer {
            codec.payload_type = offer.payload_type;
            codec.feedback.retain(|one| offer.feedback.contains(one));
            codecs.push(codec);
        }
    }
    // Retransmissions alone are nothing.
    if codecs.iter().all(|codec| codec.repairs().is_some()) {
        codecs.clear();
    }
    codecs
}

/// The owner's extensions that were offered, under the offer's ids; the MID extension counts as the
/// owner's.
pub(crate) fn common_extensions(
    offered: &[HeaderExtension],
    own: &[HeaderExtension],
) -> Vec<HeaderExtension> {
    let mut found: Vec<HeaderExtension> = Vec::new();
    for offer in offered {
        let wanted = own.iter().find(|own| own.uri == offer.uri);
        let wanted = match wanted {
            Some(own) => own.direction,
            None if offer.uri == MID_EXTENSION => Direction::SendRecv,
            None => continue,
        };
        let direction = offer.direction.reversed().intersection(wanted);
        let twice = found.iter().any(|known| known.uri == offer.uri);
        if offer.id < UNUSABLE_EXTENSION && direction != Direction::Inactive && !twice {
            found.push(HeaderExtension {
                id: offer.id,
                uri: offer.uri.clone(),
                direction,
            });
        }
    }
    found
}

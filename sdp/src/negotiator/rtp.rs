//! What an RTP section says beyond its formats: header extensions, restricted streams (RFC 8851),
//! simulcast (RFC 8853); and what two sides have in common of all.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::grammar::is_token;
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
pub struct Rid {
    /// Letters, digits, `-` and `_`.
    pub id: String,
    /// What bounds the stream, such as `max-width=1280`.
    pub restrictions: Option<String>,
}

impl Rid {
    /// A stream without bounds.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_string(),
            restrictions: None,
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        let text = |text: &String| {
            text.bytes()
                .all(|byte| byte == b' ' || is_token(byte) || b"=;,/:".contains(&byte))
        };
        is_rid(&self.id)
            && self
                .restrictions
                .as_ref()
                .is_none_or(|all| !all.is_empty() && text(all))
    }

    /// The formats that the stream is bound to.
    fn formats(&self) -> impl Iterator<Item = &str> {
        let all = self.restrictions.as_deref().unwrap_or_default();
        all.split(';')
            .filter_map(|one| one.trim().strip_prefix("pt="))
            .flat_map(|list| list.split(','))
    }
}

fn is_rid(id: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=255).contains(&id.len()) && id.bytes().all(good)
}

/// `rid`: a stream, and whether who wrote it sends it. A malformed line says nothing (RFC 8851
/// §6).
pub(crate) fn read_rid(text: &[u8]) -> Option<(bool, Rid)> {
    let mut words = core::str::from_utf8(text).ok()?.splitn(3, ' ');
    let (id, direction) = (words.next()?, words.next()?);
    let rid = Rid {
        id: id.to_string(),
        restrictions: words.next().map(ToString::to_string),
    };
    let sends = match direction {
        "send" => true,
        "recv" => false,
        _ => return None,
    };
    rid.is_valid().then_some((sends, rid))
}

/// The streams of one direction of `simulcast`, each with its alternatives, `~` for one that is
/// paused.
pub(crate) type Streams = Vec<Vec<String>>;

/// `simulcast`: what is sent and what is received. A malformed line says nothing.
pub(crate) fn read_simulcast(text: &[u8]) -> Option<[Streams; 2]> {
    let mut words = core::str::from_utf8(text).ok()?.split(' ');
    let mut found: [Option<Streams>; 2] = [None, None];
    while let Some(direction) = words.next() {
        let slot = match direction {
            "send" => &mut found[0],
            "recv" => &mut found[1],
            _ => return None,
        };
        let mut streams = Streams::new();
        for stream in words.next()?.split(';') {
            let ids: Vec<String> = stream.split(',').map(ToString::to_string).collect();
            if !ids
                .iter()
                .all(|id| is_rid(id.strip_prefix('~').unwrap_or(id)))
            {
                return None;
            }
            streams.push(ids);
        }
        if slot.replace(streams).is_some() {
            return None;
        }
    }
    let [send, receive] = found;
    if send.is_none() && receive.is_none() {
        return None;
    }
    Some([send.unwrap_or_default(), receive.unwrap_or_default()])
}

/// The streams of a simulcast that a `rid` line defines and whose formats are in use: the first
/// alternative of each, within bounds.
pub(crate) fn simulcast_streams(streams: &Streams, rids: &[Rid], codecs: &[Codec]) -> Vec<Rid> {
    let usable = |rid: &&Rid| {
        let mut formats = rid.formats().peekable();
        let known = |format: &str| {
            let number = format.parse::<u8>().ok();
            codecs
                .iter()
                .any(|codec| Some(codec.payload_type) == number)
        };
        formats.peek().is_none() || formats.any(known)
    };
    let find = |id: &String| {
        let id = id.strip_prefix('~').unwrap_or(id);
        rids.iter().find(|rid| rid.id == id).filter(usable)
    };
    let mut found: Vec<Rid> = Vec::new();
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

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::{Codec, Content, PASSWORD, REQUEST, request_sha256};

/// The floors: a strict walk by hand, and the primitives alone (`crc32fast`; `hmac` with `sha1` or
/// `sha2`, the key schedule kept).
pub struct Floor;

/// Where the attributes are that matter.
#[derive(Clone, Copy)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    end: usize,
    integrity: usize,
    fingerprint: usize,
}

impl Walk<'_> {
    /// Where integrity or fingerprint begin.
    pub fn visible_end(&self) -> usize {
        self.end
    }
}

/// Key schedules, and the bytes that the integrity attribute of the two requests covers.
pub struct FloorKey {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
    covered: [u8; 76],
    covered_sha256: [u8; 76],
}

impl Floor {
    /// The strict walk: the same checks as [`floe_stun::Message::parse`].
    pub fn walk(bytes: &[u8]) -> Option<Walk<'_>> {
        let header = bytes.first_chunk::<20>()?;
        if header[0] & 0xc0 != 0 || header[4..8] != [0x21, 0x12, 0xa4, 0x42] {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if length % 4 != 0 || length + 20 != bytes.len() {
            return None;
        }
        let (mut integrity, mut fingerprint, mut end) = (0, 0, bytes.len());
        let mut at = 20;
        while at < bytes.len() {
            let head = bytes.get(at..)?.first_chunk::<4>()?;
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let next = at + 4 + ((length + 3) & !3);
            if next > bytes.len() || fingerprint != 0 {
                return None;
            }
            match kind {
                0x0008 if integrity == 0 => {
                    if length != 20 {
                        return None;
                    }
                    (integrity, end) = (at, at);
                }
                0x001c if integrity == 0 => {
                    if length != 32 {
                        return None;
                    }
                    (integrity, end) = (at, at);
                }
                0x8028 => {
                    if length != 4 {
                        return None;
                    }
                    fingerprint = at;
                    end = end.min(at);
                }
                _ => {}
            }
            at = next;
        }
        Some(Walk {
            bytes,
            end,
            integrity,
            fingerprint,
        })
    }

    fn read(walk: &Walk<'_>) -> Option<(usize, u32, u64, usize)> {
        let (mut software, mut priority, mut ice_controlled, mut username) = (0, 0, 0, 0);
        let mut at = 20;
        while at < walk.end {
            let (head, value) = walk.bytes.get(at..)?.split_first_chunk::<4>()?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            match u16::from_be_bytes([head[0], head[1]]) {
                0x8022 => software = at,
                0x0024 => priority = u32::from_be_bytes(*value.first_chunk()?),
                0x8029 => ice_controlled = u64::from_be_bytes(*value.first_chunk()?),
                0x0006 => username = at,
                _ => {}
            }
            at += 4 + ((length + 3) & !3);
        }
        Some((software, priority, ice_controlled, username))
    }
}

fn text(bytes: &[u8], at: usize) -> &str {
    let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    std::str::from_utf8(&bytes[at + 4..at + 4 + length]).expect("UTF-8")
}

impl Codec for Floor {
    const NAME: &'static str = "floor";
    type Message<'a> = Walk<'a>;
    type Key = FloorKey;

    fn key() -> FloorKey {
        // The length field counts up to the end of the integrity attribute.
        let covered = |bytes: &[u8], length| {
            let mut covered: [u8; 76] = bytes[..76].try_into().expect("76 bytes");
            covered[3] = length;
            covered
        };
        FloorKey {
            sha1: Hmac::new_from_slice(PASSWORD.as_bytes()).expect("any length"),
            sha256: Hmac::new_from_slice(PASSWORD.as_bytes()).expect("any length"),
            covered: covered(&REQUEST, 80),
            covered_sha256: covered(&request_sha256(), 92),
        }
    }

    fn parse(bytes: &[u8]) -> Walk<'_> {
        Self::walk(bytes).expect("a well-formed message")
    }

    fn read<T>(walk: &Walk<'_>, see: impl FnOnce(Content<'_>) -> T) -> T {
        let (software, priority, ice_controlled, username) =
            Self::read(walk).expect("a well-formed message");
        see(Content {
            software: text(walk.bytes, software),
            priority,
            ice_controlled,
            username: text(walk.bytes, username),
        })
    }

    fn verify_fingerprint(walk: &Walk<'_>) -> Option<bool> {
        let (covered, attribute) = walk.bytes.split_at(walk.fingerprint);
        Some(attribute[4..] == (crc32fast::hash(covered) ^ 0x5354_554e).to_be_bytes())
    }

    fn verify_sha1(walk: &mut Walk<'_>, key: &FloorKey) -> Option<bool> {
        // A forged message is not what the key has seen.
        if walk.bytes[4..76] != key.covered[4..] {
            return Some(false);
        }
        let code = key.sha1.clone().chain_update(key.covered).finalize();
        Some(walk.bytes[walk.integrity + 4..].starts_with(&code.into_bytes()))
    }

    fn verify_sha256(walk: &mut Walk<'_>, key: &FloorKey) -> Option<bool> {
        let code = key
            .sha256
            .clone()
            .chain_update(key.covered_sha256)
            .finalize();
        Some(walk.bytes[walk.integrity + 4..].starts_with(&code.into_bytes()))
    }

    /// Copies a template and computes the two codes.
    fn build<T>(buffer: &mut [u8], key: &FloorKey, see: impl FnOnce(&[u8]) -> T) -> T {
        let message = &mut buffer[..108];
        message.copy_from_slice(&REQUEST);
        message[3] = 80;
        let code = key.sha1.clone().chain_update(&message[..76]).finalize();
        message[80..100].copy_from_slice(&code.into_bytes());
        message[3] = 88;
        let crc = crc32fast::hash(&message[..100]) ^ 0x5354_554e;
        message[104..].copy_from_slice(&crc.to_be_bytes());
        see(message)
    }

    fn classify(datagram: &[u8]) -> Option<u8> {
        Some(match datagram.first()? {
            0..=3 => 0,
            20..=63 => 1,
            64..=79 => 2,
            128..=191 => 3,
            _ => 4,
        })
    }
}

//! A million packets, mutated from real ones, judged by the parser and by a walk that is written down
//! here a second time, from the RFC.

use std::ops::Range;

use floe_sansio::Entropy;
use floe_sansio::testing::mutate;
use floe_stun::{Algorithm, Message};

#[path = "common/hex.rs"]
mod hex;
#[path = "common/pcap.rs"]
mod pcap;

const PACKETS: u64 = 1_000_000;

/// A message of one attribute.
fn single(kind: u16, length: u8) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 4 + length, 0x21, 0x12, 0xA4, 0x42];
    message.extend([7; 12]);
    message.extend(kind.to_be_bytes());
    message.extend([0, length]);
    message.resize(24 + usize::from(length), 0);
    message
}

/// The test vectors, the STUN messages of the captures, and the three attributes that have a length of
/// their own in lengths that they may have and may not.
fn seeds() -> Vec<Vec<u8>> {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("data/stun_messages.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let mut seeds: Vec<_> = vectors
        .iter()
        .map(|vector| hex::bytes(vector["hex"].as_str().unwrap()))
        .collect();
    for file in [
        &include_bytes!("data/captures/coturn-uclient-udp-channel.pcap")[..],
        include_bytes!("data/captures/coturn-uclient-tcp.pcap"),
        include_bytes!("data/captures/ice-aioice-aioice-relay.pcap"),
        include_bytes!("data/captures/webrtc-chromium-aiortc-datachannel.pcap"),
    ] {
        let datagrams = pcap::Capture::read(file).datagrams;
        let payloads = datagrams.into_iter().map(|(_, _, payload)| payload);
        seeds.extend(payloads.filter(|payload| payload[0] < 4));
    }
    for length in (0..=40).step_by(4) {
        seeds.extend([0x0008, 0x001C, 0x8028].map(|kind| single(kind, length)));
    }
    seeds
}

/// What a message consists of.
#[derive(Debug, Default, PartialEq)]
struct Anatomy {
    /// Type and value of the attributes that count.
    visible: Vec<(u16, Range<usize>)>,
    sha1: bool,
    sha256: bool,
    fingerprint: Option<usize>,
}

/// RFC 8489 §5, §9, §14 word by word; `None` if the bytes break a rule.
fn dissect(bytes: &[u8]) -> Option<Anatomy> {
    let number = |at: usize| u32::from(bytes[at]) << 8 | u32::from(bytes[at + 1]);
    // §5: the header is 20 bytes; the two top bits are zero; the cookie is fixed; the length does not
    // count the header, and its last two bits are zero.
    if bytes.len() < 20 || bytes[0] >> 6 != 0 || bytes[4..8] != [0x21, 0x12, 0xA4, 0x42] {
        return None;
    }
    if number(2) as usize != bytes.len() - 20 || number(2) & 3 != 0 {
        return None;
    }
    let mut anatomy = Anatomy::default();
    let mut at = 20;
    while at != bytes.len() {
        // §14.7: FINGERPRINT is the last attribute.
        if anatomy.fingerprint.is_some() {
            return None;
        }
        // §14: type, length, value, and padding that the length does not count.
        let (kind, length) = (number(at) as u16, number(at + 2) as usize);
        let value = at + 4..at + 4 + length;
        let next = match length % 4 {
            0 => value.end,
            rest => value.end + 4 - rest,
        };
        if next > bytes.len() {
            return None;
        }
        match kind {
            // §14.7
            0x8028 if length != 4 => return None,
            0x8028 => anatomy.fingerprint = Some(at),
            // §9: behind MESSAGE-INTEGRITY-SHA256 only FINGERPRINT counts.
            _ if anatomy.sha256 => {}
            // §14.6
            0x001C if ![16, 20, 24, 28, 32].contains(&length) => return None,
            0x001C => anatomy.sha256 = true,
            // §9: behind MESSAGE-INTEGRITY the two others count.
            _ if anatomy.sha1 => {}
            // §14.5
            0x0008 if length != 20 => return None,
            0x0008 => anatomy.sha1 = true,
            kind => anatomy.visible.push((kind, value)),
        }
        at = next;
    }
    Some(anatomy)
}

/// CRC-32 of ITU V.42, bit by bit (RFC 8489 §14.7).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    !crc
}

/// Puts the header's length right, and cuts what it cannot count: else few mutations would get past it.
fn mend(bytes: &mut Vec<u8>) {
    if bytes.len() >= 20 {
        bytes.truncate(bytes.len() / 4 * 4);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// req: STUN-5-1, STUN-5-4, STUN-5-9, STUN-14-6, STUN-14.7-3, STUN-9-1
#[test]
fn of_a_million_mutated_packets_the_parser_accepts_what_the_rfc_permits_and_nothing_else() {
    let seeds = seeds();
    assert!(seeds.len() > 50);
    let mut entropy = Entropy::new([89; 32]);
    let mut bytes = Vec::new();
    let (mut accepted, mut fingerprints) = (0, 0);
    for number in 0..PACKETS {
        let mut pick = || &seeds[entropy.below(seeds.len() as u32) as usize];
        let (seed, other) = (pick(), pick());
        bytes.clone_from(seed);
        mutate(&mut bytes, other, &mut entropy);
        if number % 4 != 0 {
            mend(&mut bytes);
        }
        let parsed = Message::parse(&bytes);
        let expected = dissect(&bytes);
        match (&parsed, &expected) {
            (Ok(message), Some(anatomy)) => {
                accepted += 1;
                let visible = anatomy
                    .visible
                    .iter()
                    .map(|(kind, value)| (*kind, &bytes[value.clone()], value.start - 4));
                assert!(
                    message
                        .attributes()
                        .map(|raw| (raw.kind.0, raw.value, raw.offset))
                        .eq(visible)
                );
                let integrity = match anatomy {
                    Anatomy { sha256: true, .. } => Some(Algorithm::Sha256),
                    Anatomy { sha1: true, .. } => Some(Algorithm::Sha1),
                    _ => None,
                };
                assert_eq!(message.integrity(), integrity);
                assert_eq!(message.has_fingerprint(), anatomy.fingerprint.is_some());
                if let Some(at) = anatomy.fingerprint.filter(|_| number % 8 == 1) {
                    let sum = (crc32(&bytes[..at]) ^ 0x5354_554E).to_be_bytes();
                    let right = bytes[at + 4..at + 8] == sum;
                    assert_eq!(message.verify_fingerprint(), right);
                    fingerprints += u64::from(right);
                }
            }
            (Err(error), None) => assert!(error.offset <= bytes.len()),
            _ => panic!(
                "packet {number}: {parsed:?}, but {expected:?}: {}",
                hex::text(&bytes)
            ),
        }
    }
    // It was about something: both answers were given often, and some fingerprints survived.
    assert!(
        (PACKETS / 10..PACKETS * 9 / 10).contains(&accepted),
        "{accepted}"
    );
    assert!(fingerprints > 100, "{fingerprints}");
    println!("{accepted} accepted, {fingerprints} fingerprints right");
}

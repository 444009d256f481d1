//! Packets of another client and server, read with this crate's eyes.

mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Client, ClientConfig, ClientEvent};
use support::*;

const CAPTURE: &[u8] = include_bytes!("data/coturn-uclient-udp-channel.pcap");

struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    payload: &'static [u8],
}

/// The UDP datagrams of a pcap file: little-endian, Ethernet, IPv4.
fn packets() -> Vec<Packet> {
    let u32_at = |at: usize| u32::from_le_bytes(CAPTURE[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((u32_at(0), u32_at(20)), (0xA1B2_C3D4, 1));
    let mut packets = Vec::new();
    let mut at = 24;
    while at < CAPTURE.len() {
        let length = u32_at(at + 8);
        let frame = &CAPTURE[at + 16..at + 16 + length];
        at += 16 + length;
        let ip = &frame[14..];
        if frame[12..14] != [8, 0] || ip[9] != 17 {
            continue;
        }
        let udp = &ip[usize::from(ip[0] & 0x0F) * 4..];
        let address = |ip: &[u8], port: &[u8]| {
            let ip: [u8; 4] = ip.try_into().unwrap();
            let port = u16::from_be_bytes(port.try_into().unwrap());
            SocketAddr::new(Ipv4Addr::from(ip).into(), port)
        };
        let length = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
        packets.push(Packet {
            from: address(&ip[12..16], &udp[0..2]),
            to: address(&ip[16..20], &udp[2..4]),
            payload: &udp[8..length],
        });
    }
    packets
}

fn is_server(address: SocketAddr) -> bool {
    address.port() == 3478
}

#[test]
fn every_message_is_read_and_every_integrity_verifies() {
    let key = Key::long_term("lab", "lab.test", "labpass");
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut verified = 0;
    for packet in packets()
        .iter()
        .filter(|p| is_server(p.from) || is_server(p.to))
    {
        if Protocol::of(packet.payload) != Protocol::Stun {
            continue;
        }
        let message = Message::parse(packet.payload).unwrap();
        let kind = message.message_type();
        let name = (format!("{:?}", kind.method), format!("{:?}", kind.class));
        *seen.entry(name).or_default() += 1;
        if let Some(algorithm) = message.integrity() {
            assert!(message.verify(&key, algorithm), "{message:?}");
            verified += 1;
        }
        assert!(!message.has_fingerprint() || message.verify_fingerprint());
    }
    assert!(verified > 8, "{verified}");
    for (method, class) in [
        ("Allocate", "Request"),
        ("Allocate", "Error"),
        ("Allocate", "Success"),
        ("ChannelBind", "Request"),
        ("ChannelBind", "Success"),
        ("CreatePermission", "Success"),
        ("Refresh", "Success"),
    ] {
        assert!(
            seen.contains_key(&(method.into(), class.into())),
            "{seen:?}"
        );
    }
}

/// coturn 4.6.1 binds channels up to 0x7FFF, as RFC 5766 allowed; RFC 8656 has us drop those. But for
/// the number, its framing is what our client writes and reads.
#[test]
fn channel_data_matches_byte_for_byte() {
    let mut framed = 0;
    for packet in packets() {
        let &[0x40..=0x7F, _, high, low, ref data @ ..] = packet.payload else {
            continue;
        };
        assert_eq!(data.len(), usize::from(u16::from_be_bytes([high, low])));
        let mut t = Clients::allocated();
        t.client.bind_channel(t.now, peer()).unwrap();
        let request = t.sent();
        t.give(&granted(&request));
        let dropped = Input::Dropped(DropReason::NotStun);
        assert_eq!(t.offer(packet.payload), dropped);
        let mut renumbered = packet.payload.to_vec();
        renumbered[..2].copy_from_slice(&0x4000u16.to_be_bytes());
        let (_, read) = routed(feed(&mut t.client, t.now, client_path(), &renumbered)).unwrap();
        assert_eq!(read, data);
        assert_eq!(t.client.wrap(peer(), data).unwrap().payload[..], renumbered);
        framed += 1;
    }
    assert_eq!(framed, 6);
}

/// Our client takes coturn's own answers, with the transaction ids put in their place.
#[test]
fn our_client_understands_the_challenge() {
    let packets = packets();
    let answer = packets
        .iter()
        .find(|p| is_server(p.from) && p.payload.starts_with(&[0x01, 0x13]))
        .unwrap();
    let path = FiveTuple::udp(answer.to, answer.from);
    let config = ClientConfig::new(path, Credentials::new("lab", "labpass"));
    let now = Instant::ZERO;
    let mut client = Client::new(config, [1; 32], now);
    client.allocate(now).unwrap();
    let request = client.poll_transmit().unwrap().payload;
    let end = answer.payload.len();
    let mut bytes = answer.payload[..end].to_vec();
    bytes[8..20].copy_from_slice(&request[8..20]);
    // The fingerprint covers the id: leave it out.
    if parse(answer.payload).has_fingerprint() {
        bytes.truncate(end - 8);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
    assert_eq!(feed(&mut client, now, path, &bytes).0, Input::Handled);
    let second = client.poll_transmit().unwrap().payload;
    assert_eq!(parse(&second).get().unwrap(), Some(Realm("lab.test")));
    let key = Key::long_term("lab", "lab.test", "labpass");
    assert!(parse(&second).verify(&key, Algorithm::Sha1));
    assert_eq!(client.poll_event(), None::<ClientEvent>);
}

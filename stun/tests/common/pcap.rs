use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

/// The payloads of a capture (pcap, little endian, Ethernet, IPv4), in order.
pub(crate) struct Capture {
    /// Source, destination and bytes of every UDP datagram.
    pub(crate) datagrams: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// Every direction of every TCP connection, put together.
    pub(crate) streams: BTreeMap<(SocketAddr, SocketAddr), Vec<u8>>,
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn u32_le(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

impl Capture {
    pub(crate) fn read(file: &[u8]) -> Self {
        assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1], "pcap, little endian");
        assert_eq!(u32_le(file, 20), 1, "Ethernet");
        let mut capture = Self {
            datagrams: Vec::new(),
            streams: BTreeMap::new(),
        };
        // The next sequence number of each direction.
        let mut next = BTreeMap::new();
        let mut at = 24;
        while at < file.len() {
            let end = at + 16 + u32_le(file, at + 8);
            let frame = &file[at + 16..end];
            at = end;
            assert_eq!(u16_at(frame, 12), 0x0800, "IPv4");
            let ip = &frame[14..];
            let l4 = &ip[usize::from(ip[0] & 0x0F) * 4..u16_at(ip, 2)];
            let address = |ip: &[u8], port| {
                let ip = Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]);
                SocketAddr::new(ip.into(), u16_at(l4, port) as u16)
            };
            let (from, to) = (address(&ip[12..16], 0), address(&ip[16..20], 2));
            match ip[9] {
                17 => capture.datagrams.push((from, to, l4[8..].to_vec())),
                6 => {
                    let payload = &l4[usize::from(l4[12] >> 4) * 4..];
                    if payload.is_empty() {
                        continue;
                    }
                    let sequence = u32::from_be_bytes(l4[4..8].try_into().unwrap());
                    let expected = next.entry((from, to)).or_insert(sequence);
                    assert_eq!(*expected, sequence, "no loss nor repetition in the capture");
                    *expected = sequence.wrapping_add(payload.len() as u32);
                    let stream = capture.streams.entry((from, to)).or_default();
                    stream.extend_from_slice(payload);
                }
                other => panic!("IP protocol {other}"),
            }
        }
        capture
    }
}

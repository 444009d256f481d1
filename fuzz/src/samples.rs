//! Real packets and descriptions, from the tests of the crates.

/// Descriptions by a browser.
pub const DESCRIPTIONS: [&[u8]; 6] = [
    include_bytes!("../../sdp/tests/data/data-offer.sdp"),
    include_bytes!("../../sdp/tests/data/data-answer.sdp"),
    include_bytes!("../../sdp/tests/data/audio-video-data-offer.sdp"),
    include_bytes!("../../sdp/tests/data/audio-video-data-answer.sdp"),
    include_bytes!("../../sdp/tests/data/recvonly-offer.sdp"),
    include_bytes!("../../sdp/tests/data/simulcast-offer.sdp"),
];

const CAPTURES: [&[u8]; 3] = [
    include_bytes!("../../stun/tests/data/captures/coturn-uclient-udp-channel.pcap"),
    include_bytes!("../../stun/tests/data/captures/ice-aioice-aioice-relay.pcap"),
    include_bytes!("../../stun/tests/data/captures/webrtc-chromium-aiortc-datachannel.pcap"),
];

/// Descriptions as inputs.
pub fn descriptions() -> Vec<Vec<u8>> {
    DESCRIPTIONS.map(Vec::from).into()
}

/// The candidates in the descriptions.
pub fn candidates() -> Vec<Vec<u8>> {
    let lines = DESCRIPTIONS
        .iter()
        .flat_map(|text| text.split(|&byte| byte == b'\n'));
    let candidates = lines.filter_map(|line| line.trim_ascii().strip_prefix(b"a="));
    candidates
        .filter(|line| line.starts_with(b"candidate:"))
        .map(Vec::from)
        .collect()
}

/// The UDP payloads of the captures: STUN, TURN, `ChannelData`, DTLS.
pub fn packets() -> Vec<Vec<u8>> {
    CAPTURES.iter().flat_map(|file| payloads(file)).collect()
}

/// pcap, little endian, Ethernet, IPv4 without options.
fn payloads(file: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let mut rest = &file[24..];
    while let Some((head, tail)) = rest.split_first_chunk::<16>() {
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let (frame, next) = tail.split_at(length);
        rest = next;
        if frame[23] == 17 {
            let udp = &frame[34..];
            let length = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
            payloads.push(udp[8..length].to_vec());
        }
    }
    payloads
}

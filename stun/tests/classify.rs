//! What a datagram is by its first bytes (RFC 7983, RFC 9443, RFC 5761).

use floe_stun::Protocol;

/// The table of RFC 7983 §7; RTP stands for both RTP and RTCP.
fn by_first_byte(first: u8) -> Protocol {
    match first {
        0..=3 => Protocol::Stun,
        16..=19 => Protocol::Zrtp,
        20..=63 => Protocol::Dtls,
        64..=79 => Protocol::Channel,
        128..=191 => Protocol::Rtp,
        4..=15 | 80..=127 | 192..=255 => Protocol::Unknown,
    }
}

/// req: DEMUX-7983-7-1, DEMUX-7983-7-2, BUNDLE-8.1-1
#[test]
fn without_quic_the_first_byte_tells_the_protocol_and_what_is_left_is_unknown() {
    for first in 0..=255 {
        let expected = by_first_byte(first);
        assert_eq!(Protocol::of(&[first]), expected);
        assert_eq!(Protocol::of(&[first, 0, 0]), expected);
        assert_eq!(Protocol::of(&[first, 0xFF]), expected);
    }
    assert_eq!(Protocol::of(&[]), Protocol::Unknown);
}

/// req: DEMUX-9443-3-1, DEMUX-9443-3-2, DEMUX-9443-3-3
#[test]
fn with_quic_a_channel_comes_from_a_turn_server_only() {
    for first in 0..=255 {
        for from_turn_server in [false, true] {
            let expected = match first {
                64..=79 if from_turn_server => Protocol::Channel,
                64..=127 | 192..=255 => Protocol::Quic,
                4..=15 => Protocol::Unknown,
                other => by_first_byte(other),
            };
            for datagram in [&[first][..], &[first, 0, 0], &[first, 0xFF]] {
                let protocol = Protocol::of_with_quic(datagram, from_turn_server);
                assert_eq!(protocol, expected, "{datagram:?}");
            }
        }
    }
    assert_eq!(Protocol::of_with_quic(&[], true), Protocol::Unknown);
    assert_eq!(Protocol::of_with_quic(&[], false), Protocol::Unknown);
}

/// req: DEMUX-5761-4-1
#[test]
fn rtcp_is_told_from_rtp_by_the_second_byte() {
    for first in 0..=255 {
        for second in 0..=255 {
            let payload_type = second & 0x7F;
            let is_rtcp = (128..=191).contains(&first) && (64..=95).contains(&payload_type);
            let datagram = [first, second, 0, 0];
            assert_eq!(Protocol::of(&datagram) == Protocol::Rtcp, is_rtcp);
            for from_turn_server in [false, true] {
                let protocol = Protocol::of_with_quic(&datagram, from_turn_server);
                assert_eq!(protocol == Protocol::Rtcp, is_rtcp);
            }
        }
    }
}

//! Telling the protocols of one port apart by the first byte (RFC 7983 §7, RFC 9443 §3), and RTP from
//! RTCP by the second (RFC 5761 §4).

/// What a datagram is, judged by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// STUN, first byte 0 to 3.
    Stun,
    /// ZRTP, first byte 16 to 19.
    Zrtp,
    /// DTLS, first byte 20 to 63.
    Dtls,
    /// TURN `ChannelData`, first byte 64 to 79.
    Channel,
    /// RTP, first byte 128 to 191.
    Rtp,
    /// RTCP: first byte as RTP; the second, without its top bit, 64 to 95.
    Rtcp,
    /// QUIC, first byte 64 to 127 or 192 to 255; where it shares the port.
    Quic,
    /// Nothing that the RFCs know, to be dropped; an empty datagram too.
    Unknown,
}

impl Protocol {
    /// The protocol of `datagram` on a port without QUIC (RFC 7983).
    ///
    /// ```
    /// use floe_stun::Protocol;
    ///
    /// assert_eq!(Protocol::of(&[0x00, 0x01]), Protocol::Stun);
    /// assert_eq!(Protocol::of(&[0x40, 0x00]), Protocol::Channel);
    /// assert_eq!(Protocol::of(&[0x80, 0xC8]), Protocol::Rtcp);
    /// assert_eq!(Protocol::of(&[]), Protocol::Unknown);
    /// ```
    pub const fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, ..] => Self::Stun,
            [16..=19, ..] => Self::Zrtp,
            [20..=63, ..] => Self::Dtls,
            [64..=79, ..] => Self::Channel,
            // Payload types 64 to 95 are not used where RTP and RTCP share a port.
            [128..=191, 64..=95 | 192..=223, ..] => Self::Rtcp,
            [128..=191, ..] => Self::Rtp,
            _ => Self::Unknown,
        }
    }

    /// The protocol of `datagram` on a port that QUIC shares (RFC 9443): `ChannelData` is only what
    /// comes `from_turn_server`, that is from the address and port of a TURN server that has answered
    /// before; QUIC takes the same first bytes from anybody else.
    ///
    /// ```
    /// use floe_stun::Protocol;
    ///
    /// assert_eq!(Protocol::of_with_quic(&[0x40, 0x00], true), Protocol::Channel);
    /// assert_eq!(Protocol::of_with_quic(&[0x40, 0x00], false), Protocol::Quic);
    /// ```
    pub const fn of_with_quic(datagram: &[u8], from_turn_server: bool) -> Self {
        match (Self::of(datagram), datagram) {
            (Self::Channel, _) if !from_turn_server => Self::Quic,
            (Self::Unknown, [80..=127 | 192..=255, ..]) => Self::Quic,
            (protocol, _) => protocol,
        }
    }
}

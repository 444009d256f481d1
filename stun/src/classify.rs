//! Telling the protocols of one port apart by the first byte (RFC 7983 §7).

/// What a datagram is, judged by its first byte.
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
    /// RTP or RTCP, first byte 128 to 191.
    Rtp,
    /// Nothing that RFC 7983 knows; an empty datagram too.
    Unknown,
}

/// Judges a datagram by its first byte.
///
/// ```
/// use floe_stun::Protocol;
///
/// assert_eq!(Protocol::of(&[0x00, 0x01]), Protocol::Stun);
/// assert_eq!(Protocol::of(&[0x40, 0x00]), Protocol::Channel);
/// assert_eq!(Protocol::of(&[]), Protocol::Unknown);
/// ```
impl Protocol {
    /// The protocol of `datagram`.
    pub const fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, ..] => Self::Stun,
            [16..=19, ..] => Self::Zrtp,
            [20..=63, ..] => Self::Dtls,
            [64..=79, ..] => Self::Channel,
            [128..=191, ..] => Self::Rtp,
            _ => Self::Unknown,
        }
    }
}

//! What a segment says besides its bytes (RFC 9293 §3.1).

use core::fmt;
use core::ops::BitOr;

/// The header of a TCP segment, without the ports, which stand in the packet's addresses, and without
/// the window, which never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// Which bits are set.
    pub flags: Flags,
    /// The sequence number of the first byte, or of the SYN.
    pub sequence: u32,
    /// The sequence number that is expected next; it says something if [`Flags::ACK`] is set.
    pub acknowledgment: u32,
}

/// Control bits of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// No more bytes from the sender.
    pub const FIN: Self = Self(0x01);
    /// The beginning of a connection.
    pub const SYN: Self = Self(0x02);
    /// The end of a connection.
    pub const RST: Self = Self(0x04);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);

    const NAMES: [(Self, &'static str); 4] = [
        (Self::SYN, "SYN"),
        (Self::FIN, "FIN"),
        (Self::RST, "RST"),
        (Self::ACK, "ACK"),
    ];

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The bits as they stand in a header.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `SYN+ACK`
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.into_iter().filter(|&(flag, _)| self.has(flag));
        for (number, (_, name)) in names.enumerate() {
            f.write_str(if number > 0 { "+" } else { "" })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

//! What a packet carries.

use bytes::Bytes;

use crate::TcpHeader;

/// What a packet carries. A segment lies in a box, so that datagrams, of which there are more, stay
/// small.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Datagram(Bytes),
    Segment(Box<Framed>),
}

/// A TCP segment.
#[derive(Clone, Debug)]
pub(crate) struct Framed {
    pub(super) header: TcpHeader,
    pub(super) payload: Bytes,
    /// Whether a bit of it was flipped.
    pub(super) is_damaged: bool,
}

impl Content {
    pub(crate) fn payload(&self) -> &Bytes {
        match self {
            Self::Datagram(payload) => payload,
            Self::Segment(segment) => &segment.payload,
        }
    }

    /// The payload, if it is a datagram.
    pub(crate) fn datagram_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Datagram(payload) => Some(payload),
            Self::Segment(_) => None,
        }
    }

    pub(crate) fn header(&self) -> Option<TcpHeader> {
        match self {
            Self::Datagram(_) => None,
            Self::Segment(segment) => Some(segment.header),
        }
    }

    /// Flips the bit that `draw` picks below a bound; whether there was one. Which one of a segment
    /// makes no difference: its checksum tells.
    pub(super) fn flip(&mut self, draw: impl FnOnce(u64) -> u64) -> bool {
        match self {
            Self::Segment(segment) => segment.is_damaged = true,
            Self::Datagram(payload) if payload.is_empty() => return false,
            Self::Datagram(payload) => {
                let bit = draw(payload.len() as u64 * 8);
                let mut bytes = payload.to_vec();
                bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
                *payload = bytes.into();
            }
        }
        true
    }

    pub(super) fn is_damaged(&self) -> bool {
        matches!(self, Self::Segment(segment) if segment.is_damaged)
    }
}

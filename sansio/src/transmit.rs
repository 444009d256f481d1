use core::fmt;

use bytes::Bytes;

use crate::FiveTuple;

/// Bytes that a machine wants to send, and the path they take: from `local` to `remote`.
///
/// The payload is counted, not copied: a retransmission shares it.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From where to where.
    pub path: FiveTuple,
    /// The bytes of one datagram, or of one frame of a stream.
    pub payload: Bytes,
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({} bytes)", self.path, self.payload.len())
    }
}

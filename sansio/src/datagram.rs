use core::fmt;
use core::ops::Range;

use crate::FiveTuple;

/// Free bytes that a driver leaves before a datagram, so that a relay can frame it in place.
///
/// 52 bytes hold the header of a TURN Send indication towards an IPv6 peer: message header (20),
/// XOR-PEER-ADDRESS (24), DONT-FRAGMENT (4) and the header of DATA (4). 40 are enough where peers are
/// IPv4, and 4 for a bound channel.
pub const HEADROOM: usize = 52;

/// Free bytes that a driver leaves behind a datagram: the padding of a DATA attribute.
pub const TAILROOM: usize = 3;

/// One datagram, or one frame of a stream, that arrived; it lies in the driver's own buffer.
///
/// The bytes before and behind it are free for the machine to use: what it relays, it frames in
/// place. Leave [`HEADROOM`] and [`TAILROOM`].
///
/// ```
/// use floe_sansio::{Datagram, FiveTuple, HEADROOM};
///
/// let path = FiveTuple::udp("192.0.2.1:1000".parse().unwrap(), "192.0.2.2:2000".parse().unwrap());
/// let mut buffer = [0; 1500];
/// buffer[HEADROOM..HEADROOM + 2].copy_from_slice(b"hi");
/// let datagram = Datagram::new(path, &mut buffer, HEADROOM..HEADROOM + 2);
/// assert_eq!(datagram.payload(), b"hi");
/// ```
pub struct Datagram<'a> {
    /// Where it arrived (`local`) and where it came from (`remote`).
    pub path: FiveTuple,
    buffer: &'a mut [u8],
    range: Range<usize>,
}

impl<'a> Datagram<'a> {
    /// A datagram whose bytes are `buffer[range]`.
    ///
    /// A range that does not lie in the buffer is cut to what does.
    pub fn new(path: FiveTuple, buffer: &'a mut [u8], range: Range<usize>) -> Self {
        let end = range.end.min(buffer.len());
        let start = range.start.min(end);
        Self {
            path,
            buffer,
            range: start..end,
        }
    }

    /// A datagram that fills its buffer: enough for a machine that never relays.
    pub fn whole(path: FiveTuple, buffer: &'a mut [u8]) -> Self {
        let range = 0..buffer.len();
        Self {
            path,
            buffer,
            range,
        }
    }

    /// The bytes of the datagram.
    pub fn payload(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }

    /// Where the bytes lie in the buffer.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The whole buffer, for framing in place.
    pub fn buffer_mut(&mut self) -> &mut [u8] {
        self.buffer
    }

    /// The same datagram, lent to a machine inside this one.
    pub fn reborrow(&mut self) -> Datagram<'_> {
        Datagram {
            path: self.path,
            buffer: self.buffer,
            range: self.range.clone(),
        }
    }

    /// What a machine unwrapped from this datagram: the same buffer, another path and range.
    pub fn unwrapped(&mut self, path: FiveTuple, range: Range<usize>) -> Datagram<'_> {
        Datagram::new(path, self.buffer, range)
    }
}

impl fmt::Debug for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({} bytes)", self.path, self.range.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn a_range_outside_the_buffer_is_cut() {
        let path = FiveTuple::udp(
            "192.0.2.1:1".parse().unwrap(),
            "192.0.2.2:2".parse().unwrap(),
        );
        let mut buffer = [1, 2, 3];
        assert_eq!(Datagram::new(path, &mut buffer, 1..9).payload(), [2, 3]);
        assert_eq!(Datagram::new(path, &mut buffer, 7..9).payload(), []);
        assert_eq!(Datagram::new(path, &mut buffer, 3..1).payload(), []);
    }
}

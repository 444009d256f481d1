//! Bytes that have arrived before those that lie in front of them.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Pieces of a stream by where they begin; no two overlap, so they never hold more than the window
/// from which the caller takes them.
#[derive(Clone, Debug, Default)]
pub(super) struct Reassembly {
    pieces: BTreeMap<u64, Bytes>,
}

impl Reassembly {
    /// Keeps what is new of a piece.
    pub(super) fn insert(&mut self, mut start: u64, mut bytes: Bytes) {
        if let Some((&before, piece)) = self.pieces.range(..=start).next_back() {
            let known = (before + piece.len() as u64).saturating_sub(start);
            let known = known.min(bytes.len() as u64);
            bytes = bytes.slice(known as usize..);
            start += known;
        }
        // What begins within: it fits in if it ends later, and is replaced if it does not.
        let end = start + bytes.len() as u64;
        while let Some((&after, piece)) = self.pieces.range(start..end).next() {
            if after + piece.len() as u64 > end {
                bytes.truncate((after - start) as usize);
                break;
            }
            self.pieces.remove(&after);
        }
        if !bytes.is_empty() {
            self.pieces.insert(start, bytes);
        }
    }

    /// Takes out the piece that begins at `start`.
    pub(super) fn take(&mut self, start: u64) -> Option<Bytes> {
        self.pieces.remove(&start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever pieces come in whatever order: what comes out is the stream, up to the first gap,
        /// and never more is kept than there is.
        #[test]
        fn any_pieces_in_any_order_make_the_stream(
            pieces in prop::collection::vec((0..60_u64, 0..20_usize), 0..60),
        ) {
            let stream: Vec<u8> = (0..80).collect();
            let mut reassembly = Reassembly::default();
            let mut known = [false; 80];
            let mut taken = 0;
            for (start, len) in pieces {
                let end = start as usize + len;
                known[start as usize..end].fill(true);
                // As a connection does: what has been handed over is cut off.
                let from = (start as usize).max(taken).min(end);
                let piece = Bytes::copy_from_slice(&stream[from..end]);
                reassembly.insert(from as u64, piece);
                while let Some(piece) = reassembly.take(taken as u64) {
                    prop_assert_eq!(&piece[..], &stream[taken..taken + piece.len()]);
                    taken += piece.len();
                }
                prop_assert_eq!(taken, known.iter().position(|known| !known).unwrap_or(80));
                let kept: usize = reassembly.pieces.values().map(Bytes::len).sum();
                prop_assert_eq!(kept, known[taken..].iter().filter(|known| **known).count());
            }
        }
    }
}

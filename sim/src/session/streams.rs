//! What comes over TCP connections, frame by frame.

use std::collections::BTreeMap;

use floe_sansio::{Datagram, FiveTuple, HEADROOM, TAILROOM};
use floe_stun::{Deframer, Framing, StreamError};

/// The longest frame, in bytes: more than any datagram to be relayed.
const MAX_FRAME: usize = 4096;

/// The open connections of a host.
#[derive(Debug, Default)]
pub(super) struct Streams {
    deframers: BTreeMap<FiveTuple, Deframer>,
}

/// A frame, with room around it to frame it anew.
#[derive(Debug)]
pub(super) struct Frame {
    path: FiveTuple,
    buffer: Vec<u8>,
}

impl Frame {
    fn new(path: FiveTuple, frame: &[u8]) -> Self {
        let mut buffer = vec![0; HEADROOM + frame.len() + TAILROOM];
        buffer[HEADROOM..HEADROOM + frame.len()].copy_from_slice(frame);
        Self { path, buffer }
    }

    pub(super) fn datagram(&mut self) -> Datagram<'_> {
        let range = HEADROOM..self.buffer.len() - TAILROOM;
        Datagram::new(self.path, &mut self.buffer, range)
    }
}

impl Streams {
    /// A connection is open.
    pub(super) fn open(&mut self, path: FiveTuple, framing: Framing) {
        let deframer = Deframer::new(framing).with_limit(MAX_FRAME);
        self.deframers.insert(path, deframer);
    }

    /// A connection is no more; whether it was open.
    pub(super) fn close(&mut self, path: FiveTuple) -> bool {
        self.deframers.remove(&path).is_some()
    }

    /// Bytes came: the frames that are whole now, and what ends the stream behind them.
    pub(super) fn read(
        &mut self,
        path: FiveTuple,
        bytes: &mut [u8],
    ) -> (Vec<Frame>, Result<(), StreamError>) {
        let mut frames = Vec::new();
        let Some(deframer) = self.deframers.get_mut(&path) else {
            return (frames, Ok(()));
        };
        let mut input = bytes;
        loop {
            match deframer.next_frame(&mut input) {
                Ok(Some(frame)) => frames.push(Frame::new(path, frame)),
                Ok(None) => return (frames, Ok(())),
                Err(error) => return (frames, Err(error)),
            }
        }
    }
}

//! Frames of streams between peers: each behind its length in 16 bits (RFC 4571 §2). To read them is
//! for [`floe_stun::Deframer`].

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use floe_stun::{Message, ParseErrorKind, Protocol};

use crate::agent::SendError;

/// Bytes of the length.
const HEADER: usize = 2;

/// Writes the header of a frame before `buffer[payload]`; the range of the frame.
pub(crate) fn frame(buffer: &mut [u8], payload: Range<usize>) -> Result<Range<usize>, SendError> {
    let length = u16::try_from(payload.len()).map_err(|_| SendError::TooLong)?;
    let start = payload.start.checked_sub(HEADER);
    let start = start.ok_or(SendError::NoRoom)?;
    let header = buffer.get_mut(start..payload.start);
    let header = header.ok_or(SendError::NoRoom)?;
    header.copy_from_slice(&length.to_be_bytes());
    Ok(start..payload.end)
}

/// A message of this agent, framed. None is as long as a length can say.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(HEADER + message.len());
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

/// How many bytes of a byte stream may go into the next frame of a TCP path, `most` at most: a part of
/// the stream that happens to be a STUN message would be taken for a check, and has to be cut elsewhere
/// (RFC 6544 §10.1).
///
/// An application whose packets cannot be mistaken for STUN, such as DTLS and RTP, needs no such care.
///
/// ```
/// use floe_ice::frame_len;
///
/// assert_eq!(frame_len(b"plain text", 1200), 10);
/// assert_eq!(frame_len(b"plain text", 4), 4);
/// let indication = [0, 0x11, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
/// assert_eq!(frame_len(&indication, 1200), 19);
/// ```
pub fn frame_len(stream: &[u8], most: usize) -> usize {
    let len = stream.len().min(most).min(usize::from(u16::MAX));
    // One byte less, and its length is wrong.
    match read(&stream[..len]) {
        Read::Stun(_) | Read::Malformed => len - 1,
        Read::Data => len,
    }
}

/// What a frame is (RFC 6544 §10.2).
pub(crate) enum Read<'a> {
    Stun(Message<'a>),
    /// It is STUN, and not well-formed.
    Malformed,
    Data,
}

/// Tells STUN and data apart. Whatever has another length than it says it has is data.
pub(crate) fn read(frame: &[u8]) -> Read<'_> {
    if Protocol::of(frame) != Protocol::Stun {
        return Read::Data;
    }
    match Message::parse(frame) {
        Ok(message) => Read::Stun(message),
        Err(error) if error.kind.is_not_stun() || error.kind == ParseErrorKind::Length => {
            Read::Data
        }
        Err(_) => Read::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use floe_stun::{Deframer, Framing};
    use std::vec;

    /// req: FRAME-2-1, ICETCP-7.1-4
    #[test]
    fn the_length_is_written_before_the_payload_and_counts_nothing_else() {
        let mut buffer = vec![0xEE; 1 << 17];
        for len in [0, 1, 255, 256, 65_535] {
            let framed = frame(&mut buffer, 52..52 + len).unwrap();
            assert_eq!(framed, 50..52 + len);
            assert_eq!(buffer[50..52], (len as u16).to_be_bytes());
        }
        assert!(buffer[..50].iter().all(|&byte| byte == 0xEE), "no marker");
        assert_eq!(framed(&[7, 8, 9])[..], [0, 3, 7, 8, 9]);
    }

    /// req: FRAME-2-1
    #[test]
    fn what_no_length_can_say_or_has_no_room_is_refused() {
        let mut buffer = vec![0; 1 << 17];
        assert_eq!(frame(&mut buffer, 2..65_538), Err(SendError::TooLong));
        assert_eq!(frame(&mut buffer, 1..3), Err(SendError::NoRoom));
    }

    /// Whatever the stream holds, its frames hold it too, and none of them is a STUN message.
    ///
    /// req: ICETCP-10.1-2
    #[test]
    fn a_byte_stream_that_holds_stun_messages_is_cut_so_that_no_frame_is_one() {
        let message = [
            0, 0x11, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
        ];
        let stream = [&message[..], &message, b"text", &message].concat();
        for most in [1, 19, 20, 21, 1000] {
            let mut rest = &stream[..];
            let mut wire = vec![];
            while !rest.is_empty() {
                let len = frame_len(rest, most);
                assert!(0 < len && len <= most);
                wire.extend_from_slice(&framed(&rest[..len]));
                rest = &rest[len..];
            }
            let mut deframer = Deframer::new(Framing::Rfc4571);
            let (mut input, mut read) = (wire.as_mut_slice(), vec![]);
            while let Some(frame) = deframer.next_frame(&mut input).unwrap() {
                assert!(matches!(super::read(frame), Read::Data), "{frame:?}");
                read.extend_from_slice(frame);
            }
            assert_eq!(read, stream);
        }
    }
}

//! The frames of a byte stream: STUN over TCP and TLS (RFC 8489 §6.2.2), with `ChannelData` among it
//! (RFC 8656 §12.5), or behind the lengths of RFC 4571.

use alloc::vec::Vec;
use core::fmt;
use core::ops::{Range, RangeInclusive};

use crate::attribute::padded;
use crate::classify::Protocol;
use crate::message::{HEADER_LEN, MAGIC_COOKIE, be16};

/// Bytes of the largest frame there can be: a STUN message whose length field says 65532.
pub const MAX_FRAME: usize = HEADER_LEN + 65532;

/// Bytes of the header of a `ChannelData` message (RFC 8656 §12.4).
pub const CHANNEL_HEADER_LEN: usize = 4;

/// Bytes up to the end of the magic cookie.
const COOKIE_END: usize = 8;

/// The header of a `ChannelData` message: the channel, and the length of the data in bytes; `None` if
/// it is not whole.
pub fn channel_header(message: &[u8]) -> Option<(u16, usize)> {
    let header: &[u8; CHANNEL_HEADER_LEN] = message.first_chunk()?;
    Some((be16(header, 0), be16(header, 2).into()))
}

/// How a stream is cut into frames.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// STUN messages and nothing else; their own length field delimits them (RFC 8489 §6.2.2).
    Stun,
    /// STUN messages and `ChannelData` messages, each padded to a multiple of 4 bytes
    /// (RFC 8656 §12.5). No channel can be bound before a STUN message has passed, so the first
    /// frame must be one: this tells an HTTP request, which looks like `ChannelData`.
    Turn {
        /// The channels that there may be.
        channels: RangeInclusive<u16>,
    },
    /// Each frame behind its length in 16 bits, whatever it is: what STUN needs where it shares the
    /// stream with other data (RFC 4571 §2, for ICE over TCP).
    Rfc4571,
}

/// Why a stream is not what it should be, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// The rule that was broken.
    pub kind: StreamErrorKind,
    /// Bytes from the beginning of the stream to the field that breaks it, or to the frame that is too
    /// long.
    pub offset: u64,
}

/// The rules of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamErrorKind {
    /// The first two bits of a frame are those of no message that may be here.
    TopBits,
    /// A STUN message lacks the magic cookie (RFC 8489 §5).
    Cookie,
    /// The length field of a STUN message is no multiple of 4 (RFC 8489 §5).
    Length,
    /// A `ChannelData` message on a channel that there cannot be (RFC 8656 §12).
    Channel,
    /// A `ChannelData` message before the first STUN message.
    ChannelFirst,
    /// A frame is longer than the limit.
    TooLong,
    /// A frame behind a length begins with a byte that no protocol there has (RFC 7983).
    FirstByte,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StreamErrorKind::TopBits => "the first two bits belong to no message",
            StreamErrorKind::Cookie => "no magic cookie",
            StreamErrorKind::Length => "the length field is no multiple of 4",
            StreamErrorKind::Channel => "no channel has this number",
            StreamErrorKind::ChannelFirst => "channel data before the first STUN message",
            StreamErrorKind::TooLong => "the frame is longer than the limit",
            StreamErrorKind::FirstByte => "the first byte of the frame belongs to no protocol",
        };
        write!(f, "{what} (at byte {} of the stream)", self.offset)
    }
}

impl core::error::Error for StreamError {}

/// Cuts a stream into frames, however the network has cut it into segments.
///
/// A frame that lies whole in the caller's bytes is handed out where it lies; only one that is spread
/// over several reads is put together, in one buffer that is used again. The buffer never holds more
/// than one frame, and grows as bytes arrive, not as a length field claims. Work is linear in the
/// bytes, also if they come one by one.
///
/// ```
/// use floe_stun::{Deframer, Framing};
///
/// let request = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
/// let mut stream = [request, request].concat();
/// let mut deframer = Deframer::new(Framing::Stun);
/// let mut frames = 0;
/// for mut segment in stream.chunks_mut(13) {
///     while let Some(frame) = deframer.next_frame(&mut segment)? {
///         assert_eq!(frame, request);
///         frames += 1;
///     }
/// }
/// assert_eq!(frames, 2);
/// # Ok::<(), floe_stun::StreamError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Deframer {
    framing: Framing,
    limit: usize,
    demultiplexed: bool,
    /// The beginning of a frame whose end is still to come; or a whole one, if `is_handed_out`.
    buffer: Vec<u8>,
    is_handed_out: bool,
    /// Where the frame that is being read begins.
    offset: u64,
    /// Whether a STUN message has passed.
    stun_seen: bool,
    error: Option<StreamError>,
}

/// What the first bytes of a frame say of it.
enum Extent {
    /// Not before there are so many bytes can more be said.
    Unknown(usize),
    /// It takes so many bytes of the stream, and the message is this part of them.
    Known(usize, Range<usize>),
}

/// What is wrong with a frame, and how many bytes from its beginning.
type Fault = (StreamErrorKind, usize);

fn measure_stun(bytes: &[u8]) -> Result<Extent, Fault> {
    let Some(header) = bytes.first_chunk::<4>() else {
        return Ok(Extent::Unknown(4));
    };
    let length = usize::from(be16(header, 2));
    if length % 4 != 0 {
        return Err((StreamErrorKind::Length, 2));
    }
    let cookie = &bytes[4..bytes.len().min(COOKIE_END)];
    if !MAGIC_COOKIE.to_be_bytes().starts_with(cookie) {
        return Err((StreamErrorKind::Cookie, 4));
    }
    if bytes.len() < COOKIE_END {
        return Ok(Extent::Unknown(COOKIE_END));
    }
    let len = HEADER_LEN + length;
    Ok(Extent::Known(len, 0..len))
}

fn measure_channel_data(bytes: &[u8], channels: &RangeInclusive<u16>) -> Result<Extent, Fault> {
    // Before the length is there: it may never come.
    let number = bytes.first_chunk::<2>().map(|number| be16(number, 0));
    if number.is_some_and(|number| !channels.contains(&number)) {
        return Err((StreamErrorKind::Channel, 0));
    }
    Ok(match channel_header(bytes) {
        None => Extent::Unknown(CHANNEL_HEADER_LEN),
        Some((_, length)) => {
            let len = CHANNEL_HEADER_LEN + length;
            Extent::Known(padded(len), 0..len)
        }
    })
}

fn measure_length(bytes: &[u8]) -> Extent {
    match bytes.first_chunk::<2>() {
        None => Extent::Unknown(2),
        Some(length) => {
            let len = 2 + usize::from(be16(length, 0));
            Extent::Known(len, 2..len)
        }
    }
}

/// Whether a message has begun, and in a way that no protocol does.
fn is_unknown(bytes: &[u8], message: &Range<usize>) -> bool {
    let first = bytes.get(message.start).filter(|_| !message.is_empty());
    first.is_some_and(|&first| Protocol::of(&[first]) == Protocol::Unknown)
}

impl Deframer {
    /// At the beginning of a stream, with the limit [`MAX_FRAME`].
    pub const fn new(framing: Framing) -> Self {
        Self {
            framing,
            limit: MAX_FRAME,
            demultiplexed: false,
            buffer: Vec::new(),
            is_handed_out: false,
            offset: 0,
            stun_seen: false,
            error: None,
        }
    }

    /// The same with another limit: how many bytes of the stream a frame may take, its header and
    /// padding included.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The same for a stream with [`Framing::Rfc4571`] on which there is nothing but what RFC 7983 tells
    /// apart, such as STUN, DTLS and RTP: what begins in another way is no frame, and the lengths have
    /// been lost (RFC 4571 §2).
    #[must_use]
    pub const fn demultiplexed(mut self) -> Self {
        self.demultiplexed = true;
        self
    }

    /// The next frame, from what was kept and from `input`, which then starts behind it; `None` if
    /// more bytes are needed, and then all of `input` has been taken. Call until then.
    ///
    /// A `ChannelData` message comes without its padding, a message behind a length without that.
    ///
    /// # Errors
    ///
    /// What breaks a rule is reported as soon as it has arrived. There is no way to find the next
    /// frame then: the same error comes for ever, and the connection is to be closed.
    #[allow(clippy::mut_mut)] // the caller's slice is shortened
    pub fn next_frame<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<&'s mut [u8]>, StreamError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.is_handed_out {
            self.is_handed_out = false;
            self.buffer.clear();
        }
        if self.buffer.is_empty() {
            match self.measure(input) {
                Ok(Extent::Known(len, message)) if len <= input.len() => {
                    let (frame, rest) = core::mem::take(input).split_at_mut(len);
                    *input = rest;
                    self.pass(frame[0], len);
                    return Ok(Some(&mut frame[message]));
                }
                Ok(_) => {}
                Err(fault) => return Err(self.die(fault)),
            }
        }
        loop {
            let needed = match self.measure(&self.buffer) {
                Ok(Extent::Known(len, message)) if len == self.buffer.len() => {
                    self.is_handed_out = true;
                    self.pass(self.buffer[0], len);
                    return Ok(Some(&mut self.buffer[message]));
                }
                Ok(Extent::Known(len, _) | Extent::Unknown(len)) => len,
                Err(fault) => return Err(self.die(fault)),
            };
            let taken = input.len().min(needed - self.buffer.len());
            if taken == 0 {
                return Ok(None);
            }
            let (head, rest) = core::mem::take(input).split_at_mut(taken);
            *input = rest;
            self.make_room(needed, taken);
            self.buffer.extend_from_slice(head);
        }
    }

    /// Whether the stream may end here: between two frames.
    pub fn is_between_frames(&self) -> bool {
        self.error.is_none() && (self.is_handed_out || self.buffer.is_empty())
    }

    /// Reads the beginning of a frame. What it finds wrong does not depend on how many bytes follow.
    fn measure(&self, bytes: &[u8]) -> Result<Extent, Fault> {
        let kind = bytes.first().map(|first| first >> 6);
        let extent = match (&self.framing, kind) {
            (Framing::Rfc4571, _) => measure_length(bytes),
            (_, None) => Extent::Unknown(CHANNEL_HEADER_LEN),
            (_, Some(0b00)) => measure_stun(bytes)?,
            (Framing::Turn { channels }, Some(0b01)) if self.stun_seen => {
                measure_channel_data(bytes, channels)?
            }
            (Framing::Turn { .. }, Some(0b01)) => return Err((StreamErrorKind::ChannelFirst, 0)),
            _ => return Err((StreamErrorKind::TopBits, 0)),
        };
        match extent {
            Extent::Known(len, _) if len > self.limit => Err((StreamErrorKind::TooLong, 0)),
            Extent::Known(_, message) if self.demultiplexed && is_unknown(bytes, &message) => {
                Err((StreamErrorKind::FirstByte, message.start))
            }
            extent => Ok(extent),
        }
    }

    /// A frame that begins with `first` and takes `len` bytes of the stream has passed.
    fn pass(&mut self, first: u8, len: usize) {
        self.offset += len as u64;
        self.stun_seen |= first >> 6 == 0b00;
    }

    fn die(&mut self, (kind, at): Fault) -> StreamError {
        self.buffer = Vec::new();
        let error = StreamError {
            kind,
            offset: self.offset + at as u64,
        };
        *self.error.insert(error)
    }

    /// Makes room for `more` bytes: twice what there was, so that work stays linear, but never beyond
    /// the `needed` bytes of this frame.
    fn make_room(&mut self, needed: usize, more: usize) {
        let len = self.buffer.len() + more;
        if len > self.buffer.capacity() {
            let capacity = len.max(2 * self.buffer.capacity()).min(needed);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
    }
}

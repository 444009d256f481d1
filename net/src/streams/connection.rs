//! One open connection.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use floe_sansio::FiveTuple;
use floe_stun::Deframer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that wait for a connection which cannot keep up; what would go beyond is lost, if it is data.
pub(super) const DATA_QUEUE: usize = 64 * 1024;

/// Bytes of control messages that wait beyond those; a connection for which there are more is ended.
pub(super) const CONTROL_QUEUE: usize = 16 * 1024;

/// What is sent, whole or not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame<'a> {
    /// Relayed data: it may be lost, as any datagram.
    Data(&'a [u8]),
    /// A message of the protocol: nobody repeats it, since the transport is reliable.
    Control(&'a [u8]),
}

pub(super) struct Connection {
    stream: TcpStream,
    pub(super) path: FiveTuple,
    pub(super) deframer: Deframer,
    /// What the operating system has not taken yet: whole frames, but for the first.
    unsent: VecDeque<u8>,
    is_broken: bool,
    /// How many things depend on it.
    pub(super) holds: u8,
    /// Whether it was accepted, not opened.
    pub(super) is_guest: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, path: FiveTuple, deframer: Deframer) -> Self {
        // A frame waits for no other.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            path,
            deframer,
            unsent: VecDeque::new(),
            is_broken: false,
            holds: 0,
            is_guest: false,
        }
    }

    /// Sends a frame, now or as soon as the operating system has room; whether it was taken.
    pub(super) fn send(&mut self, frame: Frame<'_>) -> bool {
        let (bytes, limit) = match frame {
            Frame::Data(bytes) => (bytes, DATA_QUEUE),
            Frame::Control(bytes) => (bytes, DATA_QUEUE + CONTROL_QUEUE),
        };
        let mut taken = 0;
        if self.unsent.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(len) => taken = len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.is_broken = true,
            }
        }
        let rest = &bytes[taken..];
        // What has begun must be brought to its end.
        if taken == 0 && self.unsent.len() + rest.len() > limit {
            self.is_broken |= matches!(frame, Frame::Control(_));
            return false;
        }
        self.unsent.extend(rest);
        !self.is_broken
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() && !self.is_broken
    }

    /// Whether [`Self::poll`] has something to do besides reading.
    pub(super) fn wants_attention(&self) -> bool {
        !self.unsent.is_empty() || self.is_broken
    }

    /// Writes what there is to write and reads what there is to read: how many bytes, or `None` if it
    /// has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Option<usize>> {
        let _ = self.poll_flush(cx);
        if self.is_broken {
            return Poll::Ready(None);
        }
        let mut read = ReadBuf::new(buffer);
        let end = match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(result) => result.is_err(),
        };
        let len = read.filled().len();
        Poll::Ready((len > 0 && !end).then_some(len))
    }

    /// Writes what waits; ready if nothing does any more, or nothing can be written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.has_unsent() {
            let (bytes, _) = self.unsent.as_slices();
            match Pin::new(&mut self.stream).poll_write(cx, bytes) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(len)) if len > 0 => drop(self.unsent.drain(..len)),
                Poll::Ready(_) => self.is_broken = true,
            }
        }
        if self.unsent.is_empty() {
            // A burst may have been long, and there may be many connections.
            self.unsent = VecDeque::new();
        }
        Poll::Ready(())
    }
}

//! One side of one connection (RFC 9293 §3).
//!
//! Offsets count from the SYN, which is 0, so the first byte is 1; on the wire the initial sequence
//! number is added, modulo 2³².

use core::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use floe_sansio::{FiveTuple, Instant};

use super::reassembly::Reassembly;
use super::rto::Rto;
use super::stack::{Output, Segment};
use super::{Flags, TcpConfig, TcpHeader};
use crate::{StreamError, StreamEvent};

/// How often a SYN is repeated: Linux's `tcp_syn_retries`, 127 s until it gives up.
pub(super) const SYN_RETRIES: u32 = 6;
/// How often anything else is repeated: Linux's `tcp_retries2`; RFC 9293 §3.8.3 wants 100 s at least.
pub(super) const RETRIES: u32 = 15;
/// How long the side that closed first stays to answer a repeated FIN: 2 MSL (RFC 9293 §3.4.2, §3.6.1).
pub(super) const TIME_WAIT: Duration = Duration::from_mins(4);

/// Whether a connection is still there after what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Fate {
    Lives,
    Gone,
}

/// How far a connection has come. What of it is closed, `is_closing` and `is_ended` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A SYN is out; the endpoint calls the connection by this id.
    Opening(u64),
    /// A SYN has come, and the SYN-ACK is out.
    Accepting,
    /// Both SYNs are acknowledged.
    Open,
    /// All is said; a repeated FIN may still come.
    Waiting,
}

/// One side of a connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    path: FiveTuple,
    config: TcpConfig,
    phase: Phase,
    outgoing: Outgoing,
    incoming: Incoming,
    /// This side closed first.
    is_first_to_close: bool,
    rto: Rto,
    /// How often the same has been sent again.
    retries: u32,
    deadline: Option<Instant>,
}

/// What this side sends.
#[derive(Clone, Debug)]
struct Outgoing {
    initial: u32,
    /// Everything before is acknowledged: SND.UNA.
    acknowledged: u64,
    /// Everything before has been sent: SND.NXT.
    sent: u64,
    /// Where what has been written ends: the offset of the FIN, if there is one.
    written: u64,
    /// The last bytes of it, those that are not acknowledged.
    buffer: BytesMut,
    /// No more bytes will be written: a FIN follows the last.
    is_closing: bool,
    /// What was sent before the last timeout and may be lost as well.
    recover: u64,
    /// What the round trip is measured by: acknowledged up to here, sent then.
    timed: Option<(u64, Instant)>,
}

/// What this side receives.
#[derive(Clone, Debug, Default)]
struct Incoming {
    initial: u32,
    /// Everything before has been handed over: RCV.NXT.
    expected: u64,
    ahead: Reassembly,
    /// Where the FIN stands.
    fin: Option<u64>,
    /// Everything has been received.
    is_ended: bool,
}

impl Outgoing {
    fn new(initial: u32) -> Self {
        Self {
            initial,
            acknowledged: 0,
            sent: 0,
            written: 1,
            buffer: BytesMut::new(),
            is_closing: false,
            recover: 0,
            timed: None,
        }
    }

    const fn sequence(&self, offset: u64) -> u32 {
        self.initial.wrapping_add(offset as u32)
    }

    /// Where the buffer begins.
    fn base(&self) -> u64 {
        self.written - self.buffer.len() as u64
    }

    /// Whether the other side has everything, the FIN too.
    const fn is_over(&self) -> bool {
        self.is_closing && self.acknowledged > self.written
    }

    fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
    }

    /// The bytes from `offset` on, `limit` of them at most.
    fn bytes(&self, offset: u64, limit: u64) -> Bytes {
        let from = (offset - self.base()) as usize;
        let len = (self.buffer.len() - from).min(limit as usize);
        Bytes::copy_from_slice(&self.buffer[from..from + len])
    }
}

/// The offset that a sequence number means, if it means one near `offset`.
fn nearest(offset: u64, its_sequence: u32, sequence: u32) -> Option<u64> {
    let distance = sequence.wrapping_sub(its_sequence).cast_signed();
    offset.checked_add_signed(i64::from(distance))
}

impl Connection {
    /// Sends a SYN.
    pub(super) fn connect(
        now: Instant,
        id: u64,
        path: FiveTuple,
        initial: u32,
        config: TcpConfig,
        out: &mut Output,
    ) -> Self {
        let mut it = Self::new(Phase::Opening(id), path, initial, config);
        it.begin(now, out);
        it
    }

    /// Answers a SYN.
    pub(super) fn accept(
        now: Instant,
        path: FiveTuple,
        syn: TcpHeader,
        initial: u32,
        config: TcpConfig,
        out: &mut Output,
    ) -> Self {
        let mut it = Self::new(Phase::Accepting, path, initial, config);
        it.incoming.initial = syn.sequence;
        it.incoming.expected = 1;
        it.begin(now, out);
        it
    }

    fn new(phase: Phase, path: FiveTuple, initial: u32, config: TcpConfig) -> Self {
        Self {
            path,
            config,
            phase,
            outgoing: Outgoing::new(initial),
            incoming: Incoming::default(),
            is_first_to_close: false,
            rto: Rto::default(),
            retries: 0,
            deadline: None,
        }
    }

    fn begin(&mut self, now: Instant, out: &mut Output) {
        self.outgoing.sent = 1;
        self.repeat_first(out);
        self.outgoing.timed = Some((1, now));
        self.arm(now);
    }

    /// When [`Self::timeout`] is due.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What the endpoint calls it, as long as it is not open.
    pub(super) const fn id(&self) -> Option<u64> {
        match self.phase {
            Phase::Opening(id) => Some(id),
            _ => None,
        }
    }

    /// Whether the endpoint may write.
    pub(super) fn is_writable(&self) -> bool {
        self.phase == Phase::Open && !self.outgoing.is_closing
    }

    /// The endpoint writes.
    pub(super) fn write(&mut self, now: Instant, bytes: &[u8], out: &mut Output) -> Fate {
        if self.outgoing.buffer.len() + bytes.len() > self.config.send_limit {
            self.reset(out);
            return self.lost(StreamError::Overrun, out);
        }
        self.outgoing.write(bytes);
        self.push(now, out);
        Fate::Lives
    }

    /// The endpoint has written its last.
    pub(super) fn close(&mut self, now: Instant, out: &mut Output) {
        if self.is_writable() {
            self.outgoing.is_closing = true;
            self.is_first_to_close = !self.incoming.is_ended;
            self.push(now, out);
        }
    }

    /// Tells the other side that it is over.
    pub(super) fn reset(&mut self, out: &mut Output) {
        if self.phase == Phase::Open || self.phase == Phase::Accepting {
            self.send(
                Flags::RST | Flags::ACK,
                self.outgoing.sent,
                Bytes::new(),
                out,
            );
        }
    }

    /// A segment arrived (RFC 9293 §3.10.7).
    pub(super) fn receive(
        &mut self,
        now: Instant,
        header: TcpHeader,
        payload: Bytes,
        out: &mut Output,
    ) -> Fate {
        if let Phase::Opening(id) = self.phase {
            return self.receive_opening(now, id, header, out);
        }
        let incoming = &self.incoming;
        let expected = incoming.initial.wrapping_add(incoming.expected as u32);
        if header.flags.has(Flags::RST) {
            if header.sequence == expected {
                return match self.phase {
                    Phase::Open => self.lost(StreamError::Reset, out),
                    _ => Fate::Gone,
                };
            }
            // It may be old, or forged: the other side says whether it meant that (RFC 5961 §3.2).
            self.acknowledge(out);
            return Fate::Lives;
        }
        if header.flags.has(Flags::SYN) {
            if self.phase == Phase::Accepting {
                self.repeat_first(out); // the SYN-ACK was lost
            } else {
                self.acknowledge(out); // RFC 5961 §4.2
            }
            return Fate::Lives;
        }
        let sequence = self.outgoing.sequence(self.outgoing.acknowledged);
        let acknowledged = nearest(self.outgoing.acknowledged, sequence, header.acknowledgment);
        let Some(acknowledged) = acknowledged.filter(|_| header.flags.has(Flags::ACK)) else {
            return Fate::Lives;
        };
        if acknowledged > self.outgoing.sent {
            self.acknowledge(out);
            return Fate::Lives;
        }
        if acknowledged > self.outgoing.acknowledged {
            self.acknowledged(now, acknowledged, out);
        }
        if self.phase == Phase::Accepting {
            return Fate::Lives;
        }
        let offset = nearest(self.incoming.expected, expected, header.sequence);
        let fin = header.flags.has(Flags::FIN);
        if let Some(offset) = offset.filter(|_| fin || !payload.is_empty()) {
            self.take_in(offset, payload, fin, out);
            self.acknowledge(out);
        }
        self.push(now, out);
        self.finish(now)
    }

    /// The same while the SYN is unanswered.
    fn receive_opening(
        &mut self,
        now: Instant,
        id: u64,
        header: TcpHeader,
        out: &mut Output,
    ) -> Fate {
        let flags = header.flags;
        let answers = flags.has(Flags::ACK) && header.acknowledgment == self.outgoing.sequence(1);
        if flags.has(Flags::RST) {
            if !answers {
                return Fate::Lives;
            }
            let error = StreamError::Refused;
            out.event(StreamEvent::Failed { id, error });
            return Fate::Gone;
        }
        if flags.has(Flags::SYN) && answers {
            self.incoming.initial = header.sequence;
            self.incoming.expected = 1;
            self.acknowledged(now, 1, out);
            let path = self.path;
            out.event(StreamEvent::Opened { id, path });
            self.acknowledge(out);
        } else if flags.has(Flags::ACK) && !answers {
            // The other side holds an old connection of this name: away with it.
            out.segment(Segment::reset(self.path, header.acknowledgment));
        }
        Fate::Lives
    }

    /// The clock has reached the deadline.
    pub(super) fn timeout(&mut self, now: Instant, out: &mut Output) -> Fate {
        let limit = match self.phase {
            Phase::Waiting => return Fate::Gone,
            Phase::Open => RETRIES,
            Phase::Opening(_) | Phase::Accepting => SYN_RETRIES,
        };
        if self.retries >= limit {
            let error = StreamError::TimedOut;
            return match self.phase {
                Phase::Opening(id) => {
                    out.event(StreamEvent::Failed { id, error });
                    Fate::Gone
                }
                Phase::Open => self.lost(error, out),
                _ => Fate::Gone,
            };
        }
        self.retries += 1;
        self.rto.double();
        self.outgoing.recover = self.outgoing.sent;
        self.repeat_first(out);
        self.arm(now);
        Fate::Lives
    }

    fn lost(&self, error: StreamError, out: &mut Output) -> Fate {
        let path = self.path;
        out.event(StreamEvent::Lost { path, error });
        Fate::Gone
    }

    /// Everything before `offset` has arrived on the other side.
    fn acknowledged(&mut self, now: Instant, offset: u64, out: &mut Output) {
        let outgoing = &mut self.outgoing;
        if let Some((until, then)) = outgoing.timed
            && until <= offset
        {
            self.rto.measure(now - then);
            outgoing.timed = None;
        }
        // SYN and FIN take an offset each and no byte.
        let bytes = offset.clamp(1, outgoing.written) - outgoing.base();
        outgoing.buffer.advance(bytes as usize);
        outgoing.acknowledged = offset;
        self.retries = 0;
        self.rto.relax();
        self.deadline = None;
        if offset < self.outgoing.sent {
            self.arm(now);
        }
        if self.phase == Phase::Accepting {
            out.event(StreamEvent::Accepted(self.path));
        }
        self.phase = Phase::Open;
        // What was sent with what was lost is likely lost as well: no need to wait for each.
        if offset < self.outgoing.recover {
            self.repeat_first(out);
        }
    }

    /// Hands over what has become contiguous.
    fn take_in(&mut self, offset: u64, mut payload: Bytes, fin: bool, out: &mut Output) {
        let incoming = &mut self.incoming;
        let beyond = incoming.expected + u64::from(self.config.window.max(1));
        let end = offset + payload.len() as u64;
        if end > beyond {
            return;
        }
        if fin {
            incoming.fin = Some(end);
        }
        if end > incoming.expected {
            let known = incoming.expected.saturating_sub(offset);
            incoming
                .ahead
                .insert(offset + known, payload.split_off(known as usize));
        }
        while let Some(bytes) = incoming.ahead.take(incoming.expected) {
            incoming.expected += bytes.len() as u64;
            let bytes = bytes.into();
            let path = self.path;
            out.event(StreamEvent::Data { path, bytes });
        }
        if incoming.fin == Some(incoming.expected) {
            incoming.expected += 1;
            incoming.is_ended = true;
            out.event(StreamEvent::Ended(self.path));
        }
    }

    /// Sends what may be sent.
    fn push(&mut self, now: Instant, out: &mut Output) {
        if self.phase != Phase::Open {
            return;
        }
        let before = self.outgoing.sent;
        loop {
            let outgoing = &self.outgoing;
            let offset = outgoing.sent;
            let window = outgoing.acknowledged + u64::from(self.config.window.max(1));
            let room = window.saturating_sub(offset);
            if offset >= outgoing.written || room == 0 {
                break;
            }
            let bytes = outgoing.bytes(offset, room.min(self.mss()));
            self.outgoing.sent += bytes.len() as u64;
            self.send(Flags::ACK, offset, bytes, out);
        }
        let outgoing = &self.outgoing;
        if outgoing.is_closing && outgoing.sent == outgoing.written {
            let offset = outgoing.sent;
            self.outgoing.sent += 1;
            self.send(Flags::FIN | Flags::ACK, offset, Bytes::new(), out);
        }
        if self.outgoing.sent > before {
            let sent = self.outgoing.sent;
            self.outgoing.timed.get_or_insert((sent, now));
            if self.deadline.is_none() {
                self.arm(now);
            }
        }
    }

    /// Sends the first segment that is not acknowledged, again; of a SYN, also the first time.
    fn repeat_first(&mut self, out: &mut Output) {
        // An answer would not say which of the two it answers (Karn's algorithm).
        self.outgoing.timed = None;
        let outgoing = &self.outgoing;
        let offset = outgoing.acknowledged;
        match self.phase {
            Phase::Opening(_) => self.send(Flags::SYN, 0, Bytes::new(), out),
            Phase::Accepting => self.send(Flags::SYN | Flags::ACK, 0, Bytes::new(), out),
            Phase::Open if offset < outgoing.written => {
                let bytes = outgoing.bytes(offset, self.mss().min(outgoing.sent - offset));
                self.send(Flags::ACK, offset, bytes, out);
            }
            Phase::Open if offset < outgoing.sent => {
                self.send(Flags::FIN | Flags::ACK, offset, Bytes::new(), out);
            }
            Phase::Open | Phase::Waiting => {}
        }
    }

    /// Decides whether all is said.
    fn finish(&mut self, now: Instant) -> Fate {
        if self.phase == Phase::Open && self.outgoing.is_over() && self.incoming.is_ended {
            if !self.is_first_to_close {
                return Fate::Gone;
            }
            self.phase = Phase::Waiting;
            self.deadline = Some(now + TIME_WAIT);
        }
        Fate::Lives
    }

    fn mss(&self) -> u64 {
        u64::from(self.config.mss.max(1))
    }

    fn arm(&mut self, now: Instant) {
        self.deadline = Some(now + self.rto.get());
    }

    fn acknowledge(&self, out: &mut Output) {
        self.send(Flags::ACK, self.outgoing.sent, Bytes::new(), out);
    }

    fn send(&self, flags: Flags, offset: u64, payload: Bytes, out: &mut Output) {
        let incoming = &self.incoming;
        let acknowledgment = if flags.has(Flags::ACK) {
            incoming.initial.wrapping_add(incoming.expected as u32)
        } else {
            0
        };
        out.segment(Segment {
            path: self.path,
            header: TcpHeader {
                flags,
                sequence: self.outgoing.sequence(offset),
                acknowledgment,
            },
            payload,
        });
    }
}

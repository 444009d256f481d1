use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use floe_sansio::{Datagram, FiveTuple, HEADROOM, Instant, Route, TAILROOM, Transmit, Transport};
use floe_stun::MAX_FRAME;
use tokio::time::Sleep;

use crate::clock::Clock;
use crate::sockets::{Counters, Sockets};
use crate::streams::{Arrival, Frame, Streams};

/// No UDP datagram is longer than 65,535 bytes, but a frame of a stream may be.
const ROOM: usize = MAX_FRAME;

/// All that a driver waits for: datagrams, frames and one deadline.
pub(crate) struct Io {
    pub(crate) clock: Clock,
    pub(crate) sockets: Sockets,
    pub(crate) streams: Streams,
    /// The datagram or frame that arrived last, with room around it.
    buffer: Box<[u8]>,
    /// The timer, and what it is set to.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Whose turn it is to be looked at first, so that no flood of one holds up the other.
    streams_first: bool,
}

/// Why [`Io::wait`] came back.
pub(crate) enum Woken {
    /// A datagram or frame lies in the buffer.
    Datagram(Arrived),
    /// The connection in this place is open.
    Opened(usize, FiveTuple),
    /// The connection in this place was accepted.
    Accepted(usize, FiveTuple),
    /// The connection in this place could not be opened, or has ended.
    Ended(usize, Option<FiveTuple>),
    /// The deadline has passed.
    Timeout,
}

/// A datagram or frame in the buffer of [`Io`].
pub(crate) struct Arrived {
    path: FiveTuple,
    range: Range<usize>,
}

impl Io {
    pub(crate) fn new(clock: Clock, sockets: Sockets, streams: Streams) -> Self {
        Self {
            clock,
            sockets,
            streams,
            buffer: vec![0; HEADROOM + ROOM + TAILROOM].into(),
            timer: None,
            streams_first: false,
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.sockets.counters().with(self.streams.counters())
    }

    /// Waits for whatever comes first, if it comes before the deadline. Nothing is lost if it is
    /// cancelled.
    pub(crate) async fn wait(&mut self, deadline: Option<Instant>) -> Woken {
        poll_fn(|cx| self.poll_wait(cx, deadline)).await
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<Woken> {
        // The deadlines first: no flood holds up the timers.
        loop {
            let of_streams = self.streams.next_due();
            let next = deadline.into_iter().chain(of_streams).min();
            if self.poll_deadline(cx, next).is_pending() {
                break;
            }
            let Some(due) = of_streams.filter(|&at| next == Some(at) && deadline != next) else {
                return Poll::Ready(Woken::Timeout);
            };
            if let Some(arrival) = self.streams.expire(due) {
                return Poll::Ready(woken(arrival));
            }
        }
        self.streams_first = !self.streams_first;
        if self.streams_first {
            let woken = self.poll_streams(cx);
            if woken.is_ready() {
                return woken;
            }
            return self.poll_sockets(cx);
        }
        let woken = self.poll_sockets(cx);
        if woken.is_ready() {
            return woken;
        }
        self.poll_streams(cx)
    }

    fn poll_sockets(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        let room = &mut self.buffer[HEADROOM..HEADROOM + ROOM];
        let received = self.sockets.poll_receive(cx, room);
        received.map(|(path, len)| Woken::Datagram(Arrived::new(path, len)))
    }

    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        let now = self.clock.now();
        let room = &mut self.buffer[HEADROOM..HEADROOM + ROOM];
        self.streams.poll(cx, now, room).map(woken)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some((deadline, when)) = deadline.and_then(|at| Some((at, self.clock.when(at)?)))
        else {
            return Poll::Pending;
        };
        let (set, sleep) = (self.timer)
            .get_or_insert_with(|| (deadline, Box::pin(tokio::time::sleep_until(when))));
        if *set != deadline {
            *set = deadline;
            sleep.as_mut().reset(when);
        }
        sleep.as_mut().poll(cx)
    }

    /// The datagram or frame that arrived last.
    pub(crate) fn datagram(&mut self, arrived: &Arrived) -> Datagram<'_> {
        Datagram::new(arrived.path, &mut self.buffer, arrived.range.clone())
    }

    /// What a machine has made of it.
    pub(crate) fn part(&self, route: Route) -> &[u8] {
        self.buffer.get(route.range()).unwrap_or_default()
    }

    /// Sends what a machine has made of it; whether it was taken.
    pub(crate) fn forward(&mut self, route: Route) -> bool {
        let bytes = self.buffer.get(route.range()).unwrap_or_default();
        send(&mut self.sockets, &mut self.streams, route.path, bytes)
    }

    /// Sends data of the application; it may be lost.
    pub(crate) fn send_data(&mut self, path: FiveTuple, bytes: &[u8]) {
        send(&mut self.sockets, &mut self.streams, path, bytes);
    }

    pub(crate) fn send(&mut self, transmit: &Transmit) {
        let (path, payload) = (transmit.path, &transmit.payload);
        if path.transport == Transport::Udp {
            self.sockets.send(path, payload);
        } else {
            self.streams.send(path, Frame::Control(payload));
        }
    }
}

fn send(sockets: &mut Sockets, streams: &mut Streams, path: FiveTuple, data: &[u8]) -> bool {
    if path.transport == Transport::Udp {
        sockets.send(path, data)
    } else {
        streams.send(path, Frame::Data(data))
    }
}

fn woken(arrival: Arrival) -> Woken {
    match arrival {
        Arrival::Frame(path, len) => Woken::Datagram(Arrived::new(path, len)),
        Arrival::Opened(at, path) => Woken::Opened(at, path),
        Arrival::Accepted(at, path) => Woken::Accepted(at, path),
        Arrival::Ended(at, path) => Woken::Ended(at, path),
    }
}

impl Arrived {
    const fn new(path: FiveTuple, len: usize) -> Self {
        Self {
            path,
            range: HEADROOM..HEADROOM + len,
        }
    }

    pub(crate) const fn path(&self) -> FiveTuple {
        self.path
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("clock", &self.clock)
            .field("sockets", &self.sockets)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

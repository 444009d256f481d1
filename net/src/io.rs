use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transmit};
use tokio::time::Sleep;

use crate::clock::Clock;
use crate::sockets::Sockets;

/// No UDP datagram is longer.
const DATAGRAM_MAX: usize = 65_535;

/// All that a driver waits for: datagrams and one deadline.
pub(crate) struct Io {
    pub(crate) clock: Clock,
    pub(crate) sockets: Sockets,
    /// The datagram that arrived last, with room around it.
    buffer: Box<[u8]>,
    /// The timer, and what it is set to.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// Why [`Io::wait`] came back.
pub(crate) enum Woken {
    /// A datagram lies in the buffer.
    Datagram(Arrived),
    /// The deadline has passed.
    Timeout,
}

/// A datagram in the buffer of [`Io`].
pub(crate) struct Arrived {
    path: FiveTuple,
    range: Range<usize>,
}

impl Io {
    pub(crate) fn new(clock: Clock, sockets: Sockets) -> Self {
        Self {
            clock,
            sockets,
            buffer: vec![0; HEADROOM + DATAGRAM_MAX + TAILROOM].into(),
            timer: None,
        }
    }

    /// Waits for a datagram or the deadline, whichever comes first. Nothing is lost if it is
    /// cancelled.
    pub(crate) async fn wait(&mut self, deadline: Option<Instant>) -> Woken {
        poll_fn(|cx| self.poll_wait(cx, deadline)).await
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<Woken> {
        // The deadline first: no flood of datagrams holds up the timers.
        if self.poll_deadline(cx, deadline).is_ready() {
            return Poll::Ready(Woken::Timeout);
        }
        let room = &mut self.buffer[HEADROOM..HEADROOM + DATAGRAM_MAX];
        self.sockets.poll_receive(cx, room).map(|(path, len)| {
            let range = HEADROOM..HEADROOM + len;
            Woken::Datagram(Arrived { path, range })
        })
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

    /// The datagram that arrived last.
    pub(crate) fn datagram(&mut self, arrived: &Arrived) -> Datagram<'_> {
        Datagram::new(arrived.path, &mut self.buffer, arrived.range.clone())
    }

    /// Does what the machine asks for with the datagram that arrived last; application data is for the
    /// caller.
    pub(crate) fn carry_out(&mut self, input: Input) -> Option<(FiveTuple, &[u8])> {
        match input {
            Input::Forward(route) => {
                if let Some(bytes) = self.buffer.get(route.range()) {
                    self.sockets.send(route.path, bytes);
                }
                None
            }
            Input::Data(route) => Some((route.path, self.buffer.get(route.range())?)),
            Input::Handled | Input::Dropped(_) => None,
        }
    }

    pub(crate) fn send(&mut self, transmit: &Transmit) {
        self.sockets.send(transmit.path, &transmit.payload);
    }
}

impl Arrived {
    pub(crate) const fn path(&self) -> FiveTuple {
        self.path
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("clock", &self.clock)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}

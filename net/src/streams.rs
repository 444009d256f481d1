//! TCP connections that carry STUN and TURN, read as one, frame by frame.

mod connection;
mod limits;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use floe_sansio::{FiveTuple, Instant, Transport};
use floe_stun::{Deframer, Framing};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::rotation::{Place, Rotation};
use crate::sockets::Counters;
use connection::Connection;
pub(crate) use connection::Frame;
use limits::Guests;
pub use limits::StreamLimits;

/// How long a connection may take to be opened.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection that is not wanted any more may take to send what it still has.
const LINGER: Duration = Duration::from_secs(2);

/// How long nobody is accepted after the operating system had no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait for a listener to accept them.
const BACKLOG: i32 = 1024;

/// Bytes that are read at once.
const READ: usize = 16 * 1024;

/// The connections of one driver, those being opened, and the listeners.
///
/// Like the sockets, each wakes its own place in a rotation.
pub(crate) struct Streams {
    slots: Vec<Option<Slot>>,
    vacant: Vec<usize>,
    by_path: HashMap<FiveTuple, usize>,
    rotation: Rotation,
    due: BTreeSet<(Instant, usize)>,
    framing: Framing,
    limits: StreamLimits,
    guests: Guests,
    /// What was read last, and what is left of it: the rest of it goes before anything else.
    bytes: Box<[u8]>,
    rest: Option<(usize, Range<usize>)>,
    counters: Counters,
}

/// Something that can be woken.
struct Slot {
    what: What,
    place: Place,
    /// When its time is over.
    due: Option<Instant>,
}

enum What {
    Listener(TcpListener),
    /// A listener that takes a rest.
    Tired(TcpListener),
    Opening(Opening, Framing),
    Open(Connection),
    /// It is not wanted any more, but has not sent everything.
    Closing(Connection),
}

type Opening = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + Sync>>;

/// What comes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A frame of so many bytes lies in the buffer.
    Frame(FiveTuple, usize),
    /// The connection in this place is open.
    Opened(usize, FiveTuple),
    /// The connection in this place was accepted.
    Accepted(usize, FiveTuple),
    /// The connection in this place could not be opened, or has ended; its place is free.
    Ended(usize, Option<FiveTuple>),
}

impl Streams {
    /// None yet. Those that will be accepted are cut into frames in this way.
    pub(crate) fn new(framing: Framing, limits: StreamLimits) -> Self {
        Self {
            slots: Vec::new(),
            vacant: Vec::new(),
            by_path: HashMap::new(),
            rotation: Rotation::default(),
            due: BTreeSet::new(),
            framing,
            limits,
            guests: Guests::default(),
            bytes: Box::default(),
            rest: None,
            counters: Counters::default(),
        }
    }

    pub(crate) const fn counters(&self) -> Counters {
        self.counters
    }

    /// When [`Self::expire`] has something to do.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }

    /// Listens at this address, and says which port it is if any would do.
    pub(crate) fn listen(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections of a server that has just ended do not hold its port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket.into())?;
        let bound = plain(listener.local_addr()?);
        self.insert(What::Listener(listener));
        Ok(bound)
    }

    /// Begins to open a connection; its place. [`Arrival::Opened`] or [`Arrival::Ended`] follows.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        local: IpAddr,
        remote: SocketAddr,
        framing: Framing,
    ) -> io::Result<usize> {
        let socket = match local {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(SocketAddr::new(local, 0))?;
        let at = self.insert(What::Opening(Box::pin(socket.connect(remote)), framing));
        self.set_due(at, Some(now + CONNECT_LIMIT));
        Ok(at)
    }

    /// Sends a whole frame, or nothing of it; whether it was taken.
    pub(crate) fn send(&mut self, path: FiveTuple, frame: Frame<'_>) -> bool {
        let at = self.by_path.get(&path).copied();
        let slot = at.and_then(|at| self.slots.get_mut(at)?.as_mut());
        let sent = match slot {
            Some(Slot {
                what: What::Open(connection),
                place,
                ..
            }) => {
                let sent = connection.send(frame);
                // Its waker is known to the runtime only once it was polled.
                if connection.wants_attention() {
                    place.waker().wake_by_ref();
                }
                sent
            }
            _ => false,
        };
        let counter = if sent {
            &mut self.counters.sent
        } else {
            &mut self.counters.refused
        };
        *counter += 1;
        sent
    }

    /// Closes the connection in this place, or gives up to open it. What was sent before still goes
    /// out.
    pub(crate) fn close(&mut self, now: Instant, at: usize) {
        let Some(slot) = self.take(at) else {
            return;
        };
        if let What::Open(connection) = slot.what
            && connection.has_unsent()
        {
            self.put(at, What::Closing(connection));
            self.set_due(at, Some(now + LINGER));
            return;
        }
        self.vacant.push(at);
    }

    /// Something depends on this connection: it may stay for as long as it is used.
    pub(crate) fn hold(&mut self, path: FiveTuple) {
        self.change_holds(path, |holds| holds.saturating_add(1), None);
    }

    /// Ends one [`Self::hold`].
    pub(crate) fn release(&mut self, now: Instant, path: FiveTuple) {
        let until = now + self.limits.unproven;
        self.change_holds(path, |holds| holds.saturating_sub(1), Some(until));
    }

    fn change_holds(
        &mut self,
        path: FiveTuple,
        change: impl FnOnce(u8) -> u8,
        until: Option<Instant>,
    ) {
        let Some(&at) = self.by_path.get(&path) else {
            return;
        };
        if let Some(Slot {
            what: What::Open(connection),
            ..
        }) = &mut self.slots[at]
        {
            connection.holds = change(connection.holds);
            let due = until.filter(|_| connection.holds == 0);
            self.set_due(at, due);
        }
    }

    /// Ends what has had its time; the first of which somebody has to know.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Arrival> {
        while let Some(&(due, at)) = self.due.first() {
            if due > now {
                break;
            }
            self.due.remove(&(due, at));
            let Some(slot) = self.take(at) else {
                continue;
            };
            let path = match slot.what {
                What::Tired(listener) | What::Listener(listener) => {
                    self.put(at, What::Listener(listener));
                    continue;
                }
                What::Closing(_) => {
                    self.vacant.push(at);
                    continue;
                }
                What::Opening(..) => None,
                What::Open(connection) => Some(connection.path),
            };
            self.vacant.push(at);
            return Some(Arrival::Ended(at, path));
        }
        None
    }

    /// The next thing that comes of any connection; a frame lies in `buffer` then.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        buffer: &mut [u8],
    ) -> Poll<Arrival> {
        if let Some(arrival) = self.next_frame(buffer) {
            return Poll::Ready(arrival);
        }
        for _ in 0..self.rotation.begin(cx.waker()) {
            let Some(at) = self.rotation.next() else {
                break;
            };
            if let Some(arrival) = self.look_at(at, now, buffer) {
                return Poll::Ready(arrival);
            }
        }
        Poll::Pending
    }

    /// The slot in place `at` was woken.
    fn look_at(&mut self, at: usize, now: Instant, buffer: &mut [u8]) -> Option<Arrival> {
        let slot = self.slots.get_mut(at)?.as_mut()?;
        slot.place.leave();
        let waker = slot.place.waker().clone();
        let mut cx = Context::from_waker(&waker);
        match &mut slot.what {
            What::Listener(listener) => match listener.poll_accept(&mut cx) {
                Poll::Pending => {}
                Poll::Ready(Ok((stream, remote))) => {
                    waker.wake_by_ref();
                    return self.accept(now, stream, remote);
                }
                Poll::Ready(Err(error)) if is_of_one(&error) => waker.wake_by_ref(),
                Poll::Ready(Err(_)) => {
                    self.counters.failed_receives += 1;
                    self.rest_from_accepting(now, at);
                }
            },
            What::Tired(_) => {}
            What::Opening(opening, framing) => match opening.as_mut().poll(&mut cx) {
                Poll::Pending => {}
                Poll::Ready(opened) => {
                    let framing = framing.clone();
                    return Some(self.opened(at, opened, framing));
                }
            },
            What::Open(connection) => {
                if self.bytes.is_empty() {
                    self.bytes = vec![0; READ].into();
                }
                match connection.poll(&mut cx, &mut self.bytes) {
                    Poll::Pending => {}
                    Poll::Ready(Some(len)) => {
                        // There may be more. If this was not a whole frame, no call of the owner
                        // follows in which it would be looked for.
                        waker.wake_by_ref();
                        self.rest = Some((at, 0..len));
                        return self.next_frame(buffer);
                    }
                    Poll::Ready(None) => return self.end(at),
                }
            }
            What::Closing(connection) => {
                if connection.poll_flush(&mut cx).is_ready() {
                    self.take(at);
                    self.vacant.push(at);
                }
            }
        }
        None
    }

    /// The next frame of what was read last.
    fn next_frame(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        let (at, range) = self.rest.take()?;
        let Some(Slot {
            what: What::Open(connection),
            ..
        }) = self.slots.get_mut(at)?
        else {
            return None;
        };
        let mut input = &mut self.bytes[range.clone()];
        match connection.deframer.next_frame(&mut input) {
            Ok(None) => None,
            Ok(Some(frame)) if frame.len() <= buffer.len() => {
                let len = frame.len();
                buffer[..len].copy_from_slice(frame);
                let left = input.len();
                self.rest = Some((at, range.end - left..range.end));
                self.counters.received += 1;
                Some(Arrival::Frame(connection.path, len))
            }
            Ok(Some(_)) | Err(_) => self.end(at),
        }
    }

    fn accept(&mut self, now: Instant, stream: TcpStream, remote: SocketAddr) -> Option<Arrival> {
        let remote = plain(remote);
        let path = (stream.local_addr()).map(|local| FiveTuple {
            transport: Transport::Tcp,
            local: plain(local),
            remote,
        });
        // One that is reset by now has no address any more.
        let path = path.ok()?;
        if !self.guests.admit(&self.limits, remote.ip()) {
            self.counters.turned_away += 1;
            return None;
        }
        let deframer = Deframer::new(self.framing.clone()).with_limit(self.limits.frame);
        let mut connection = Connection::new(stream, path, deframer);
        connection.is_guest = true;
        let at = self.insert(What::Open(connection));
        self.by_path.insert(path, at);
        self.set_due(at, Some(now + self.limits.unproven));
        Some(Arrival::Accepted(at, path))
    }

    fn opened(&mut self, at: usize, opened: io::Result<TcpStream>, framing: Framing) -> Arrival {
        let addresses = opened.and_then(|stream| {
            let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
            Ok((stream, local, remote))
        });
        let Ok((stream, local, remote)) = addresses else {
            self.take(at);
            self.vacant.push(at);
            return Arrival::Ended(at, None);
        };
        let path = FiveTuple {
            transport: Transport::Tcp,
            local: plain(local),
            remote: plain(remote),
        };
        let deframer = Deframer::new(framing).with_limit(self.limits.frame);
        self.put(at, What::Open(Connection::new(stream, path, deframer)));
        self.set_due(at, None);
        self.by_path.insert(path, at);
        Arrival::Opened(at, path)
    }

    fn rest_from_accepting(&mut self, now: Instant, at: usize) {
        if let Some(Slot {
            what: What::Listener(listener),
            ..
        }) = self.take(at)
        {
            self.put(at, What::Tired(listener));
            self.set_due(at, Some(now + ACCEPT_PAUSE));
        }
    }

    /// The connection in this place has ended.
    fn end(&mut self, at: usize) -> Option<Arrival> {
        let slot = self.take(at)?;
        self.vacant.push(at);
        match slot.what {
            What::Open(connection) => Some(Arrival::Ended(at, Some(connection.path))),
            _ => None,
        }
    }

    fn insert(&mut self, what: What) -> usize {
        let at = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.put(at, what);
        at
    }

    /// Puts something into a place that is free, or in another stage now.
    fn put(&mut self, at: usize, what: What) {
        self.take(at);
        self.slots[at] = Some(Slot {
            what,
            place: self.rotation.join(at),
            due: None,
        });
    }

    /// Empties a place, with all that is known of it elsewhere.
    fn take(&mut self, at: usize) -> Option<Slot> {
        self.set_due(at, None);
        let slot = self.slots.get_mut(at)?.take()?;
        if let What::Open(connection) = &slot.what {
            self.by_path.remove(&connection.path);
            if connection.is_guest {
                self.guests.leave(connection.path.remote.ip());
            }
        }
        if self.rest.as_ref().is_some_and(|(of, _)| *of == at) {
            self.rest = None;
        }
        Some(slot)
    }

    fn set_due(&mut self, at: usize, due: Option<Instant>) {
        let Some(slot) = self.slots.get_mut(at).and_then(Option::as_mut) else {
            return;
        };
        if let Some(former) = core::mem::replace(&mut slot.due, due) {
            self.due.remove(&(former, at));
        }
        if let Some(due) = due {
            self.due.insert((due, at));
        }
    }
}

/// Whether only the connection that was to be accepted is to blame.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

/// The address as signalling and STUN write it, without a zone.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("open", &self.by_path.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

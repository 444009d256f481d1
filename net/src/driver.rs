use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use floe_ice::{Framing, SendError, StreamId};
use floe_sansio::{FiveTuple, HEADROOM, Input, Instant, Machine, Route, TAILROOM, Transport};

use crate::clock::Clock;
use crate::errand::{Errand, Errands};
use crate::io::{Io, Woken};
use crate::seed::seed;
use crate::sockets::{Counters, Sockets};
use crate::streams::{StreamLimits, Streams};

/// How long [`Driver::close`] waits for relays to confirm that they let go.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// A machine that carries application data between two peers.
pub trait Carrier: Machine {
    /// Where `buffer[range]` is to be sent; through a relay it is framed in place.
    fn send(&mut self, buffer: &mut [u8], range: Range<usize>) -> Result<Route, SendError>;

    /// Ends it. Afterwards [`poll_timeout`](Machine::poll_timeout) is `None` as soon as nothing is
    /// left to be said.
    fn close(&mut self, now: Instant);
}

impl Carrier for floe_ice::Agent {
    fn send(&mut self, buffer: &mut [u8], range: Range<usize>) -> Result<Route, SendError> {
        Self::send(self, buffer, range)
    }

    fn close(&mut self, now: Instant) {
        Self::close(self, now);
    }
}

impl Carrier for floe_peer::Connection {
    fn send(&mut self, buffer: &mut [u8], range: Range<usize>) -> Result<Route, SendError> {
        Self::send(self, buffer, range)
    }

    fn close(&mut self, now: Instant) {
        Self::close(self, now);
    }
}

/// What a [`Driver`] reports: what its machine says, and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<E> {
    /// The machine says something.
    Machine(E),
    /// A datagram of the application came in.
    Data {
        /// Where it arrived and where it came from; what came through a relay arrived at the
        /// relayed address.
        path: FiveTuple,
        /// Its bytes.
        payload: Bytes,
    },
}

/// One machine on real sockets: [`Agent`](crate::Agent) or [`Connection`](crate::Connection).
///
/// Nothing happens in the background: it runs while [`Self::next`] is awaited, and in the calls of
/// its methods. Poll it in one branch of a `select!` and give it what signalling brings in another.
pub struct Driver<M: Machine> {
    /// On the heap: machines are large, and a driver moves through futures.
    machine: Box<M>,
    io: Io,
    addresses: Vec<SocketAddr>,
    /// Outgoing data, with room around it.
    outgoing: Vec<u8>,
    events: VecDeque<M::Event>,
    /// How the machine asks for connections, if it does.
    errands: Option<Errands<M>>,
    /// The connections and ports that it asked for, and the connections that it has accepted.
    streams: Vec<(StreamId, Held)>,
}

/// What a machine asked for beside its first sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// The connection in this place.
    Connection(usize),
    /// A UDP socket.
    Port(SocketAddr),
}

impl<M: Machine> Driver<M> {
    /// Binds one UDP socket to each address (port 0: any port), and hands the bound addresses, a seed
    /// from the operating system and the time to `build`, which makes the machine.
    ///
    /// # Errors
    ///
    /// An address cannot be bound, the operating system gives no randomness, or `build` fails.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn bind_with(
        addresses: &[SocketAddr],
        build: impl FnOnce(&[SocketAddr], [u8; 32], Instant) -> io::Result<M>,
    ) -> io::Result<Self> {
        let mut sockets = Sockets::default();
        let addresses = (addresses.iter())
            .map(|&address| sockets.bind(address))
            .collect::<io::Result<Vec<_>>>()?;
        Self::start(addresses, sockets, Self::no_streams(), None, build)
    }

    /// Those of the other peer, once there are some.
    pub(crate) fn no_streams() -> Streams {
        Streams::new(Framing::Rfc4571, StreamLimits::default())
    }

    pub(crate) fn start(
        addresses: Vec<SocketAddr>,
        sockets: Sockets,
        streams: Streams,
        errands: Option<Errands<M>>,
        build: impl FnOnce(&[SocketAddr], [u8; 32], Instant) -> io::Result<M>,
    ) -> io::Result<Self> {
        let clock = Clock::start();
        let machine = Box::new(build(&addresses, seed()?, clock.now())?);
        let mut driver = Self {
            machine,
            io: Io::new(clock, sockets, streams),
            addresses,
            outgoing: Vec::new(),
            events: VecDeque::new(),
            errands,
            streams: Vec::new(),
        };
        driver.drain();
        Ok(driver)
    }

    /// The addresses of its sockets.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The machine, to look at.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// What its sockets have done.
    pub fn counters(&self) -> Counters {
        self.io.counters()
    }

    /// Gives the machine a command, with the time, and sends what follows from it.
    pub fn command<R>(&mut self, command: impl FnOnce(&mut M, Instant) -> R) -> R {
        let result = command(&mut self.machine, self.io.clock.now());
        self.drain();
        result
    }

    /// Runs until there is something to report.
    ///
    /// It can be cancelled at any time, and nothing is lost. A machine that has ended says so by an
    /// event; after that this may wait for ever.
    pub async fn next(&mut self) -> Event<M::Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Event::Machine(event);
            }
            let deadline = self.machine.poll_timeout();
            let woken = self.io.wait(deadline).await;
            if let Some((path, payload)) = self.handle(&woken) {
                return Event::Data { path, payload };
            }
        }
    }

    /// One turn of the loop: input or timeout, then transmits and events.
    fn handle(&mut self, woken: &Woken) -> Option<(FiveTuple, Bytes)> {
        let now = self.io.clock.now();
        let data = match woken {
            Woken::Datagram(arrived) => {
                match (self.machine).handle_input(now, self.io.datagram(arrived)) {
                    Input::Forward(route) => {
                        self.io.forward(route);
                        None
                    }
                    Input::Data(route) => {
                        let payload = Bytes::copy_from_slice(self.io.part(route));
                        Some((route.path, payload))
                    }
                    Input::Handled | Input::Dropped(_) => None,
                }
            }
            &Woken::Opened(at, path) => {
                self.stream_opened(now, at, path);
                None
            }
            &Woken::Accepted(at, path) => {
                self.stream_accepted(now, at, path);
                None
            }
            &Woken::Ended(at, _) => {
                self.stream_ended(now, at);
                None
            }
            Woken::Timeout => {
                self.machine.handle_timeout(now);
                None
            }
        };
        self.drain();
        data
    }

    fn drain(&mut self) {
        loop {
            while let Some(transmit) = self.machine.poll_transmit() {
                self.io.send(&transmit);
            }
            let Some(event) = self.machine.poll_event() else {
                return;
            };
            match self.errands.and_then(|errands| (errands.read)(&event)) {
                Some(errand) => self.run(errand),
                None => self.events.push_back(event),
            }
        }
    }

    /// Opens or closes a connection or a port.
    fn run(&mut self, errand: Errand) {
        let now = self.io.clock.now();
        match errand {
            Errand::Open {
                id,
                transport,
                framing,
                local,
                remote,
            } => {
                let held = match transport {
                    Transport::Tcp => {
                        let place = self.io.streams.connect(now, local, remote, framing);
                        place.ok().map(Held::Connection)
                    }
                    Transport::Udp => {
                        let port = self.io.sockets.bind(SocketAddr::new(local, 0));
                        port.ok().map(Held::Port)
                    }
                    // Nothing is encrypted here.
                    _ => None,
                };
                self.streams.extend(held.map(|held| (id, held)));
                match (held, self.errands) {
                    (Some(Held::Port(local)), _) => self.opened(now, id, local),
                    (None, Some(errands)) => (errands.failed)(&mut self.machine, now, id),
                    _ => {}
                }
            }
            Errand::Close(id) => self.close_held(now, id),
        }
    }

    fn close_held(&mut self, now: Instant, id: StreamId) {
        let place = self.streams.iter().position(|&(of, _)| of == id);
        match place.map(|place| self.streams.swap_remove(place).1) {
            Some(Held::Connection(at)) => self.io.streams.close(now, at),
            Some(Held::Port(local)) => {
                self.io.sockets.close(local);
            }
            None => {}
        }
    }

    fn stream_opened(&mut self, now: Instant, at: usize, path: FiveTuple) {
        let is_it = |&&(_, held): &&(StreamId, Held)| held == Held::Connection(at);
        if let Some(&(id, _)) = self.streams.iter().find(is_it) {
            self.opened(now, id, path.local);
        }
    }

    fn opened(&mut self, now: Instant, id: StreamId, local: SocketAddr) {
        let Some(errands) = self.errands else {
            return;
        };
        if !(errands.opened)(&mut self.machine, now, id, local) {
            self.close_held(now, id);
            (errands.failed)(&mut self.machine, now, id);
        }
    }

    fn stream_accepted(&mut self, now: Instant, at: usize, path: FiveTuple) {
        let accepted = (self.errands).and_then(|errands| {
            (errands.accepted)(&mut self.machine, now, path.local, path.remote)
        });
        match accepted {
            Some(id) => {
                // The machine has a time limit of its own.
                self.io.streams.hold(path);
                self.streams.push((id, Held::Connection(at)));
            }
            None => self.io.streams.close(now, at),
        }
    }

    fn stream_ended(&mut self, now: Instant, at: usize) {
        let is_it = |&(_, held): &(StreamId, Held)| held == Held::Connection(at);
        let place = self.streams.iter().position(is_it);
        if let (Some(place), Some(errands)) = (place, self.errands) {
            let (id, _) = self.streams.swap_remove(place);
            (errands.failed)(&mut self.machine, now, id);
        }
    }
}

impl<M: Carrier> Driver<M> {
    /// Sends a datagram of the application to the peer.
    ///
    /// It may be lost on the way, and where the operating system refuses to send it, it is: see
    /// [`Counters::refused`].
    pub fn send(&mut self, data: &[u8]) -> Result<(), SendError> {
        let range = HEADROOM..HEADROOM + data.len();
        self.outgoing.clear();
        self.outgoing.resize(range.end + TAILROOM, 0);
        self.outgoing[range.clone()].copy_from_slice(data);
        let route = self.machine.send(&mut self.outgoing, range)?;
        if let Some(bytes) = self.outgoing.get(route.range()) {
            self.io.send_data(route.path, bytes);
        }
        self.drain();
        Ok(())
    }

    /// Ends it: relays are told to let go, and have half a second to say that they did.
    pub async fn close(mut self) {
        self.command(Carrier::close);
        let limit = self.io.clock.now() + CLOSE_LIMIT;
        while let Some(deadline) = self.machine.poll_timeout() {
            if self.io.clock.now() >= limit {
                break;
            }
            let woken = self.io.wait(Some(deadline.min(limit))).await;
            let _ = self.handle(&woken);
        }
    }
}

impl<M: Machine + fmt::Debug> fmt::Debug for Driver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("machine", &self.machine)
            .field("addresses", &self.addresses)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

//! The loop: it owns virtual time, the network and what runs on the hosts.

mod tampering;

use core::time::Duration;

use bytes::{Bytes, BytesMut};
use floe_sansio::{Datagram, HEADROOM, Input, Instant, TAILROOM, Transmit, Transport};

use crate::clock::HostClock;
use crate::endpoint::{Endpoint, Message};
use crate::log::{Happening, Incident, Log};
use crate::network::{Arrival, Event, Network};
use crate::slab::Slab;
use crate::tap::{MessageTap, PacketTap};
use crate::tcp::Stack;
use crate::{DropCause, EventQueue, HostId, StreamEvent, TcpConfig, Topology, TopologyError};

/// What one host may cause at one instant before the simulation calls itself stuck.
const STUCK: u32 = 1_000_000;

/// Datagrams are handed over in a buffer of this size, until a bigger one comes.
const BUFFER: usize = 16 * 1024;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Stop {
    /// The caller's condition holds.
    Done,
    /// Simulated time reached the limit.
    Limit,
    /// Nothing will ever happen again.
    Idle,
    /// Time does not move: this host causes more and more at one instant.
    Stuck(HostId),
}

/// A world in motion.
///
/// The order of everything is defined: events by time, those at one instant in the order in which
/// they were caused. The same topology, seed and endpoints give the same run.
#[derive(Debug)]
pub struct Simulation<E> {
    now: Instant,
    queue: EventQueue<Event>,
    network: Network,
    hosts: Vec<Host<E>>,
    /// Who looks at datagrams and messages, and what was held back.
    packet_tap: Option<PacketTap>,
    message_tap: Option<MessageTap>,
    held: Slab<Arrival>,
    messages: Slab<Envelope>,
    /// Messages for hosts that sleep.
    waiting: Vec<Envelope>,
    signalling: Duration,
    tcp: TcpConfig,
    /// When the last message arrives: none overtakes it.
    last_message: Instant,
    log: Log,
    buffer: BytesMut,
    stuck: Option<HostId>,
}

/// A host and what runs on it.
#[derive(Debug)]
struct Host<E> {
    endpoint: Option<E>,
    clock: HostClock,
    /// Its TCP, once something speaks it.
    tcp: Option<Box<Tcp>>,
    /// The deadline event that counts: others are left over from deadlines that moved forward.
    scheduled: Option<Instant>,
    /// When it last did something, and how much at that instant.
    active: Instant,
    at_once: u32,
}

/// The TCP of a host, and the event that will wake it.
#[derive(Debug)]
struct Tcp {
    stack: Stack,
    scheduled: Option<Instant>,
}

/// A signalling message on its way.
#[derive(Clone, Debug)]
struct Envelope {
    from: HostId,
    message: Message,
}

impl<E: Endpoint> Simulation<E> {
    /// A world at time zero, with nothing on its hosts yet and no delay on its signalling path.
    pub fn new(plan: &Topology, seed: u64) -> Result<Self, TopologyError> {
        let network = Network::new(plan, seed)?;
        Ok(Self {
            now: Instant::ZERO,
            queue: EventQueue::new(),
            network,
            hosts: plan
                .hosts()
                .map(|_| Host {
                    endpoint: None,
                    clock: HostClock::default(),
                    tcp: None,
                    scheduled: None,
                    active: Instant::ZERO,
                    at_once: 0,
                })
                .collect(),
            packet_tap: None,
            message_tap: None,
            held: Slab::new(),
            messages: Slab::new(),
            waiting: Vec::new(),
            signalling: Duration::ZERO,
            tcp: TcpConfig::DEFAULT,
            last_message: Instant::ZERO,
            log: Network::log(plan),
            buffer: BytesMut::new(),
            stuck: None,
        })
    }

    /// How long a signalling message takes, one way, from now on. Messages that are under way are
    /// not overtaken.
    pub const fn set_signalling(&mut self, delay: Duration) {
        self.signalling = delay;
    }

    /// What the TCP of a host is set to, if it does not speak yet.
    pub const fn set_tcp(&mut self, config: TcpConfig) {
        self.tcp = config;
    }

    /// Lets something run on a host. What it wants to send at once is sent now.
    pub fn attach(&mut self, host: HostId, endpoint: E) {
        self.hosts[host.index()].endpoint = Some(endpoint);
        self.flush(host);
    }

    /// Takes what runs on a host away, and its TCP connections; the host goes silent.
    pub fn detach(&mut self, host: HostId) -> Option<E> {
        let host = &mut self.hosts[host.index()];
        host.tcp = None;
        host.endpoint.take()
    }

    /// What runs on a host.
    pub fn endpoint(&self, host: HostId) -> Option<&E> {
        self.hosts[host.index()].endpoint.as_ref()
    }

    /// Does something with what runs on a host, then sends what that caused.
    pub fn act<R>(&mut self, host: HostId, action: impl FnOnce(&mut E, Instant) -> R) -> Option<R> {
        let Host {
            endpoint, clock, ..
        } = &mut self.hosts[host.index()];
        let result = action(endpoint.as_mut()?, clock.local(self.now));
        self.flush(host);
        Some(result)
    }

    /// Sends from a host, past what runs on it.
    pub fn send(&mut self, host: HostId, transmit: Transmit) {
        self.emit(host, transmit);
        if self.hosts[host.index()].tcp.is_some() {
            self.flush(host);
        }
    }

    /// What time it is.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The network.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The network, to change it under way.
    pub const fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// What happened so far.
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// The log, to switch it on or to note something.
    pub const fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Lets time pass until `limit`, until nothing is left to happen, or until `done` holds after an
    /// event. At [`Stop::Limit`] it is `limit`; otherwise, the time of the last event.
    pub fn run(&mut self, limit: Instant, mut done: impl FnMut(&Self) -> bool) -> Stop {
        loop {
            match self.queue.peek() {
                None => return Stop::Idle,
                Some(at) if at > limit => {
                    self.advance(limit);
                    return Stop::Limit;
                }
                Some(_) => self.step(),
            };
            if let Some(host) = self.stuck {
                return Stop::Stuck(host);
            }
            if done(self) {
                return Stop::Done;
            }
        }
    }

    /// Lets this much time pass, whatever happens or does not.
    pub fn wait(&mut self, duration: Duration) -> Stop {
        let until = self.now + duration;
        let stop = self.run(until, |_| false);
        if stop == Stop::Idle {
            self.advance(until);
        }
        stop
    }

    /// Lets the next thing happen; says when, or nothing if there is none.
    pub fn step(&mut self) -> Option<Instant> {
        let (at, event) = self.queue.pop()?;
        self.advance(at);
        match event {
            Event::Packet(place) => {
                let arrival = self
                    .network
                    .arrive(self.now, place, &mut self.queue, &mut self.log);
                if let Some(arrival) = arrival {
                    self.tap(arrival);
                }
            }
            Event::Held(place) => {
                if let Some(arrival) = self.held.take(place) {
                    self.deliver(&arrival);
                }
            }
            Event::Message(place) => {
                if let Some(envelope) = self.messages.take(place) {
                    self.hand_over(envelope);
                }
            }
            Event::Deadline(id) => self.fire(id, at),
            Event::Tcp(id) => self.fire_tcp(id, at),
        }
        Some(at)
    }

    const fn advance(&mut self, to: Instant) {
        if to.as_nanos() > self.now.as_nanos() {
            self.now = to;
        }
    }

    fn deliver(&mut self, arrival: &Arrival) {
        let now = self.now;
        let Host {
            endpoint, clock, ..
        } = &mut self.hosts[arrival.host.index()];
        if clock.is_asleep() {
            let cause = DropCause::Asleep;
            return self.network.withhold(now, arrival, cause, &mut self.log);
        }
        self.network.delivered(now, arrival, &mut self.log);
        let local = clock.local(now);
        let Some(endpoint) = endpoint else {
            let incident = Incident::Dropped(DropCause::NoEndpoint);
            self.network.note(now, arrival, incident, &mut self.log);
            return;
        };
        let payload = arrival.content.payload();
        if let Some(header) = arrival.content.header() {
            let tcp = self.tcp(arrival.host);
            tcp.receive(now, arrival.path, header, payload.clone());
            return self.flush(arrival.host);
        }
        let range = HEADROOM..HEADROOM + payload.len();
        let size = range.end + TAILROOM;
        if self.buffer.capacity() < size {
            self.buffer.reserve(size.max(BUFFER));
        }
        // What lies around the payload is what earlier packets left there.
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        self.buffer[range.clone()].copy_from_slice(payload);
        let datagram = Datagram::new(arrival.path, &mut self.buffer[..size], range);
        match endpoint.receive(local, datagram) {
            Input::Forward(route) => {
                // The machine has framed it in place: it leaves with the buffer it lies in.
                let buffer = self.buffer.split_to(size).freeze();
                let range = route.range();
                let payload = if range.start <= range.end && range.end <= buffer.len() {
                    buffer.slice(range)
                } else {
                    Bytes::new()
                };
                let path = route.path;
                self.emit(arrival.host, Transmit { path, payload });
            }
            Input::Dropped(reason) => {
                let incident = Incident::Refused(reason);
                self.network.note(now, arrival, incident, &mut self.log);
            }
            Input::Data(_) | Input::Handled => {}
        }
        self.flush(arrival.host);
    }

    fn hand_over(&mut self, envelope: Envelope) {
        let Envelope { from, message } = envelope;
        let host = message.to;
        let Host {
            endpoint, clock, ..
        } = &mut self.hosts[host.index()];
        if clock.is_asleep() {
            // A server of the signalling path keeps it until then.
            self.waiting.push(Envelope { from, message });
            return;
        }
        if let Some(endpoint) = endpoint {
            endpoint.message(clock.local(self.now), from, &message.text);
        }
        if self.log.is_on() {
            let what = Happening::MessageReceived {
                from,
                text: message.text,
            };
            self.log.add(self.now, self.log.node(host), what);
        }
        self.flush(host);
    }

    fn fire(&mut self, id: HostId, at: Instant) {
        let host = &mut self.hosts[id.index()];
        if host.scheduled != Some(at) {
            return;
        }
        host.scheduled = None;
        if let Some(endpoint) = &mut host.endpoint {
            // The deadline may have moved back since.
            let local = host.clock.local(at);
            if endpoint
                .deadline()
                .is_some_and(|deadline| deadline <= local)
            {
                endpoint.timeout(local);
            }
        }
        self.flush(id);
    }

    fn fire_tcp(&mut self, id: HostId, at: Instant) {
        if let Some(tcp) = &mut self.hosts[id.index()].tcp
            && tcp.scheduled == Some(at)
        {
            tcp.scheduled = None;
            tcp.stack.timeout(at);
            self.flush(id);
        }
    }

    /// The TCP of a host.
    fn tcp(&mut self, id: HostId) -> &mut Stack {
        let network = &self.network;
        let config = self.tcp;
        let tcp = self.hosts[id.index()].tcp.get_or_insert_with(|| {
            Box::new(Tcp {
                stack: Stack::new(config, network.entity(id), network.random()),
                scheduled: None,
            })
        });
        &mut tcp.stack
    }

    /// Sends a datagram, or adds bytes to a stream.
    fn emit(&mut self, id: HostId, transmit: Transmit) {
        let now = self.now;
        if transmit.path.transport == Transport::Tcp
            && let Some(tcp) = &mut self.hosts[id.index()].tcp
            && tcp.stack.write(now, transmit.path, &transmit.payload)
        {
            return;
        }
        self.network
            .send(now, id, transmit, &mut self.queue, &mut self.log);
    }

    /// Does all that a host wants done, and schedules its deadline.
    fn flush(&mut self, id: HostId) {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        if host.endpoint.is_none() || host.clock.is_asleep() {
            return;
        }
        if host.active != now {
            host.active = now;
            host.at_once = 0;
        }
        host.at_once += 1;
        self.collect(id);
        while self.exchange(id) {
            self.collect(id);
        }
        let host = &mut self.hosts[id.index()];
        if host.at_once >= STUCK {
            self.stuck = Some(id);
        }
        let deadline = host.endpoint.as_ref().and_then(Endpoint::deadline);
        if let Some(deadline) = deadline.and_then(|deadline| host.clock.global(deadline)) {
            let deadline = deadline.max(now);
            if host.scheduled.is_none_or(|scheduled| deadline < scheduled) {
                host.scheduled = Some(deadline);
                self.queue.push(deadline, Event::Deadline(id));
            }
        }
    }

    /// Takes all that the endpoint of a host wants done.
    fn collect(&mut self, id: HostId) {
        let now = self.now;
        while let Some(transmit) = self.next(id, E::poll_transmit) {
            self.emit(id, transmit);
        }
        // After what was written: an end follows it.
        while let Some(command) = self.next(id, E::poll_stream) {
            self.tcp(id).command(now, command);
        }
        while let Some(message) = self.next(id, E::poll_message) {
            if self.log.is_on() {
                let what = Happening::MessageSent {
                    to: message.to,
                    text: message.text.clone(),
                };
                self.log.add(now, self.log.node(id), what);
            }
            self.signal(id, message);
        }
    }

    /// The next thing that an endpoint wants, unless it has wanted too much at this instant.
    fn next<R>(&mut self, id: HostId, poll: impl FnOnce(&mut E) -> Option<R>) -> Option<R> {
        let host = &mut self.hosts[id.index()];
        let endpoint = host.endpoint.as_mut().filter(|_| host.at_once < STUCK)?;
        let wanted = poll(endpoint)?;
        host.at_once += 1;
        Some(wanted)
    }

    /// Lets the TCP of a host send, and tells the endpoint one thing of it; whether there was one.
    fn exchange(&mut self, id: HostId) -> bool {
        let now = self.now;
        let host = &mut self.hosts[id.index()];
        let Some(tcp) = &mut host.tcp else {
            return false;
        };
        while let Some(segment) = tcp.stack.poll_segment() {
            self.network
                .send_segment(now, id, segment, &mut self.queue, &mut self.log);
        }
        if let Some(deadline) = tcp.stack.deadline()
            && tcp.scheduled.is_none_or(|scheduled| deadline < scheduled)
        {
            tcp.scheduled = Some(deadline);
            self.queue.push(deadline, Event::Tcp(id));
        }
        let Some(event) = tcp.stack.poll_event() else {
            return false;
        };
        if self.log.is_on()
            && let StreamEvent::Lost { error, .. } | StreamEvent::Failed { error, .. } = &event
        {
            let text = format!("a TCP connection is gone: {error}");
            self.log.note(now, id, &text);
        }
        if let Some(endpoint) = &mut host.endpoint {
            endpoint.stream(host.clock.local(now), event);
        }
        host.at_once += 1;
        host.at_once < STUCK
    }
}

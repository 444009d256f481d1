//! All connections of one host.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use floe_sansio::{FiveTuple, Instant, Transport};

use super::connection::{Connection, Fate};
use super::{Flags, TcpConfig, TcpHeader};
use crate::random::{Purpose, Random};
use crate::{StreamCommand, StreamError, StreamEvent};

/// The ports of outgoing connections: the dynamic ones (RFC 6335 §6).
const FIRST_PORT: u16 = 49_152;
/// How many of them there are.
const PORTS: u16 = u16::MAX - FIRST_PORT + 1;

/// What the clock behind initial sequence numbers counts: 4 µs.
const INITIAL_TICK: u64 = 4_000;

/// A segment that leaves a host.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// From where to where.
    pub(crate) path: FiveTuple,
    pub(crate) header: TcpHeader,
    pub(crate) payload: Bytes,
}

impl Segment {
    /// A reset that whoever sent this acknowledgment number believes.
    pub(super) const fn reset(path: FiveTuple, acknowledgment: u32) -> Self {
        Self {
            path,
            header: TcpHeader {
                flags: Flags::RST,
                sequence: acknowledgment,
                acknowledgment: 0,
            },
            payload: Bytes::new(),
        }
    }
}

/// What comes of what a stack is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    segments: VecDeque<Segment>,
    events: VecDeque<StreamEvent>,
}

impl Output {
    pub(super) fn segment(&mut self, segment: Segment) {
        self.segments.push_back(segment);
    }

    pub(super) fn event(&mut self, event: StreamEvent) {
        self.events.push_back(event);
    }
}

/// The TCP of one host: it keeps the contract of a machine, but for what goes in and out.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    config: TcpConfig,
    /// The host in random draws.
    entity: u64,
    random: Random,
    connections: BTreeMap<FiveTuple, Connection>,
    listeners: BTreeSet<SocketAddr>,
    /// When which connection is due.
    deadlines: BTreeSet<(Instant, FiveTuple)>,
    /// Outgoing connections so far, and all connections.
    opened: u64,
    begun: u64,
    out: Output,
}

impl Stack {
    /// No connections yet. `entity` keys its random draws.
    pub(crate) fn new(config: TcpConfig, entity: u64, random: Random) -> Self {
        Self {
            config,
            entity,
            random,
            connections: BTreeMap::new(),
            listeners: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            opened: 0,
            begun: 0,
            out: Output::default(),
        }
    }

    /// What the endpoint wants.
    pub(crate) fn command(&mut self, now: Instant, command: StreamCommand) {
        match command {
            StreamCommand::Listen(address) => {
                self.listeners.insert(address);
            }
            StreamCommand::Connect { id, local, remote } => {
                if let Some(path) = self.free_path(local, remote) {
                    let (initial, config) = (self.initial(now), self.config);
                    let it = Connection::connect(now, id, path, initial, config, &mut self.out);
                    self.insert(path, it);
                } else {
                    let error = StreamError::Exhausted;
                    self.out.event(StreamEvent::Failed { id, error });
                }
            }
            StreamCommand::Cancel(id) => {
                let its =
                    |(path, it): (&FiveTuple, &Connection)| (it.id() == Some(id)).then_some(*path);
                if let Some(path) = self.connections.iter().find_map(its) {
                    self.with(path, |_, _| Fate::Gone);
                }
            }
            StreamCommand::Close(path) => {
                self.with(path, |it, out| {
                    it.close(now, out);
                    Fate::Lives
                });
            }
            StreamCommand::Reset(path) => {
                self.with(path, |it, out| {
                    it.reset(out);
                    Fate::Gone
                });
            }
        }
    }

    /// The endpoint writes; whether there is such a connection, open for writing.
    pub(crate) fn write(&mut self, now: Instant, path: FiveTuple, bytes: &[u8]) -> bool {
        let is_writable = |it: &Connection| it.is_writable();
        self.connections.get(&path).is_some_and(is_writable)
            && self.with(path, |it, out| it.write(now, bytes, out))
    }

    /// A segment arrived.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        path: FiveTuple,
        header: TcpHeader,
        payload: Bytes,
    ) {
        let size = payload.len() as u32;
        if self.with(path, |it, out| it.receive(now, header, payload, out)) {
            return;
        }
        let flags = header.flags;
        if flags.has(Flags::RST) {
            return;
        }
        let has_room = self.connections.len() < self.config.connections;
        if flags == Flags::SYN && has_room && self.listeners.contains(&path.local) {
            let (initial, config) = (self.initial(now), self.config);
            let it = Connection::accept(now, path, header, initial, config, &mut self.out);
            return self.insert(path, it);
        }
        // RFC 9293 §3.10.7.1
        self.out.segment(if flags.has(Flags::ACK) {
            Segment::reset(path, header.acknowledgment)
        } else {
            let ends = [Flags::SYN, Flags::FIN].map(|flag| u32::from(flags.has(flag)));
            let length = size + ends[0] + ends[1];
            Segment {
                path,
                header: TcpHeader {
                    flags: Flags::RST | Flags::ACK,
                    sequence: 0,
                    acknowledgment: header.sequence.wrapping_add(length),
                },
                payload: Bytes::new(),
            }
        });
    }

    /// The clock reached [`Self::deadline`].
    pub(crate) fn timeout(&mut self, now: Instant) {
        while let Some(&(_, path)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            self.with(path, |it, out| it.timeout(now, out));
        }
    }

    /// The next segment to send.
    pub(crate) fn poll_segment(&mut self) -> Option<Segment> {
        self.out.segments.pop_front()
    }

    /// The next thing that the endpoint must know.
    pub(crate) fn poll_event(&mut self) -> Option<StreamEvent> {
        self.out.events.pop_front()
    }

    /// When to call [`Self::timeout`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Tells a connection something, if there is one, and keeps its deadline.
    fn with(
        &mut self,
        path: FiveTuple,
        tell: impl FnOnce(&mut Connection, &mut Output) -> Fate,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(&path) else {
            return false;
        };
        let before = connection.deadline();
        let fate = tell(connection, &mut self.out);
        let after = connection.deadline().filter(|_| fate == Fate::Lives);
        if before != after {
            before.map(|at| self.deadlines.remove(&(at, path)));
            after.map(|at| self.deadlines.insert((at, path)));
        }
        if fate == Fate::Gone {
            self.connections.remove(&path);
        }
        true
    }

    fn insert(&mut self, path: FiveTuple, connection: Connection) {
        let deadline = connection.deadline();
        self.deadlines.extend(deadline.map(|at| (at, path)));
        self.connections.insert(path, connection);
    }

    /// An initial sequence number that nobody else's connections change. It moves with the clock, so
    /// that a host that starts anew does not repeat itself (RFC 9293 §3.4.1).
    fn initial(&mut self, now: Instant) -> u32 {
        self.begun += 1;
        let hidden = (self.random).draw(self.entity, Purpose::Sequence, self.begun);
        hidden.wrapping_add(now.as_nanos() / INITIAL_TICK) as u32
    }

    /// The next local port that has no connection to this remote address.
    fn free_path(&mut self, local: IpAddr, remote: SocketAddr) -> Option<FiveTuple> {
        if self.connections.len() >= self.config.connections {
            return None;
        }
        let first = self.random.draw(self.entity, Purpose::Ephemeral, 0);
        for _ in 0..PORTS {
            let offset = first.wrapping_add(self.opened) % u64::from(PORTS);
            self.opened += 1;
            let path = FiveTuple {
                transport: Transport::Tcp,
                local: SocketAddr::new(local, FIRST_PORT + offset as u16),
                remote,
            };
            if !self.connections.contains_key(&path) {
                return Some(path);
            }
        }
        None
    }
}

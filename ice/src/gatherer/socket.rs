//! Sockets that a source needs for itself: a stream to a TURN server, or another port.

use core::net::SocketAddr;

use floe_sansio::{FiveTuple, Instant};

use super::Gatherer;
use super::source::{Client, Progress, Source, SourceId};
use crate::agent::CommandError;
use crate::event::Event;

/// Names a socket for as long as its agent lives, see [`Event::StreamWanted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// Any number may have been written down; the agent knows which it has given.
    pub(crate) const fn numbered(number: u32) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// The name of a connection with the peer: those of servers have the lower half of the numbers.
    pub(crate) const fn of_peer(number: u32) -> Self {
        Self(number | 1 << 31)
    }

    pub(crate) const fn is_of_peer(self) -> bool {
        self.0 >> 31 == 1
    }
}

/// What went with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Nothing that is still needed, or its client will tell.
    Nothing,
    /// The answer of its server.
    Answer,
    /// A relay.
    Relay,
}

impl Gatherer {
    /// Asks the owner for a socket.
    pub(super) fn want_socket(&mut self, id: SourceId) {
        let socket = StreamId(self.next_socket);
        self.next_socket += 1;
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        source.socket = Some(socket);
        self.events.push_back(Event::StreamWanted {
            id: socket,
            transport: source.transport,
            framing: floe_stun::Framing::Turn {
                channels: floe_turn::CHANNELS,
            },
            local: source.base.ip(),
            remote: source.server,
        });
        self.by_socket.insert(socket, id);
        self.advance(id, Progress::Opening);
    }

    /// The source whose socket is open or being opened.
    pub(crate) fn source_of(&self, socket: StreamId) -> Option<SourceId> {
        self.by_socket.get(&socket).copied()
    }

    /// Whether it is a port that is wanted, and no stream.
    pub(crate) fn wants_port(&self, socket: StreamId) -> bool {
        let source = self.source_of(socket).and_then(|id| self.sources.get(&id));
        source.is_some_and(|source| !source.transport.is_reliable())
    }

    /// A socket is open: its server has to be asked.
    pub(crate) fn socket_opened(
        &mut self,
        socket: StreamId,
        local: SocketAddr,
    ) -> Result<(), CommandError> {
        let id = self.source_of(socket);
        let source = id.and_then(|id| self.sources.get(&id).map(|source| (id, source)));
        let source = source.filter(|(_, source)| source.progress == Progress::Opening);
        let (id, source) = source.ok_or(CommandError::UnknownStream)?;
        let path = FiveTuple {
            transport: source.transport,
            local,
            remote: source.server,
        };
        if local.ip() != source.base.ip() || local.port() == 0 || self.has(path) {
            return Err(CommandError::StreamPath);
        }
        self.set_path(id, path);
        self.advance(id, Progress::Waiting);
        Ok(())
    }

    /// The socket of a source is gone.
    pub(crate) fn socket_failed(&mut self, now: Instant, id: SourceId) -> Gone {
        let Some(source) = self.sources.get_mut(&id) else {
            return Gone::Nothing;
        };
        if let Some(socket) = source.socket.take() {
            self.by_socket.remove(&socket);
        }
        let is_asked = !source.progress.is_done() && source.progress != Progress::Idle;
        let is_stream = source.transport.is_reliable();
        match (&mut source.client, source.path) {
            (Client::Turn(client), Some(path)) if client.is_allocated() => {
                if is_stream {
                    client.path_failed(now, path);
                    self.stir(id);
                    return Gone::Nothing;
                }
                self.drop_client(id);
                Gone::Relay
            }
            _ => {
                self.drop_client(id);
                self.changed = true;
                if is_asked {
                    Gone::Answer
                } else {
                    Gone::Nothing
                }
            }
        }
    }

    /// The socket of a source, if it has one, is not wanted any more.
    pub(super) fn close_socket(&mut self, id: SourceId) {
        let source = self.sources.get_mut(&id);
        if let Some(socket) = source.and_then(|source: &mut Source| source.socket.take()) {
            self.by_socket.remove(&socket);
            self.events.push_back(Event::StreamUnwanted(socket));
        }
    }

    /// What the owner has to know of sockets.
    pub(crate) fn poll_socket(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

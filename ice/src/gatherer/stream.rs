//! TURN servers behind a stream: when one is wanted, and what becomes of it.

use core::net::SocketAddr;

use alloc::boxed::Box;
use floe_sansio::{Entropy, FiveTuple, Instant};

use super::{Client, Gatherer, Progress, Source};
use crate::agent::CommandError;
use crate::event::Event;

/// Names a stream for as long as its agent lives, see [`Event::StreamWanted`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// A source has one stream in its life.
    const fn of(at: usize) -> Self {
        Self(at as u32)
    }

    const fn at(self) -> usize {
        self.0 as usize
    }

    /// The name of a connection with the peer: servers have the lower half of the numbers.
    pub(crate) const fn of_peer(number: u32) -> Self {
        Self(number | 1 << 31)
    }

    pub(crate) const fn is_of_peer(self) -> bool {
        self.0 >> 31 == 1
    }
}

impl Gatherer {
    /// When the stream of a source is wanted, as far as is known; [`Instant::ZERO`] for at once.
    ///
    /// Where UDP works, nobody needs it; so it waits for the allocations that are asked for over UDP
    /// from the same base.
    pub(super) fn stream_due(&self, source: &Source) -> Option<Instant> {
        if source.progress != Progress::Unopened {
            return None;
        }
        let relays = self.datagram_sources(source.base).filter(|s| s.is_turn());
        let mut due = Some(Instant::ZERO);
        for relay in relays {
            due = match relay.progress {
                // One that is allocated makes the stream needless: it is about to be withdrawn.
                Progress::Waiting | Progress::Answered => None,
                Progress::Asked(at) => due.map(|due| due.max(at + self.stream_delay)),
                Progress::Unopened | Progress::Opening | Progress::Ended => due,
            };
        }
        due
    }

    /// While candidates are gathered: asks for the streams that are due, and for no more of those
    /// whose base has got an allocation over UDP.
    pub(crate) fn tend_streams(&mut self, now: Instant) {
        for at in 0..self.sources.len() {
            let source = &self.sources[at];
            if !source.transport.is_reliable() || source.progress.is_done() {
                continue;
            }
            let is_needless = self
                .datagram_sources(source.base)
                .any(|source| source.relayed().is_some());
            if is_needless {
                self.withdraw(at);
            } else if self.stream_due(source).is_some_and(|due| due <= now) {
                self.events.push_back(Event::StreamWanted {
                    id: StreamId::of(at),
                    transport: source.transport,
                    framing: floe_stun::Framing::Turn {
                        channels: floe_turn::CHANNELS,
                    },
                    local: source.base.ip(),
                    remote: source.server,
                });
                self.sources[at].progress = Progress::Opening;
            }
        }
    }

    /// The source whose stream is open or being opened.
    pub(crate) fn streaming(&self, id: StreamId) -> Option<usize> {
        let source = self.sources.get(id.at())?;
        let is_stream = source.transport.is_reliable();
        let is_known = source.path.is_some() || source.progress == Progress::Opening;
        (is_stream && is_known).then_some(id.at())
    }

    /// A stream is open: its server has to be asked.
    pub(crate) fn stream_opened(
        &mut self,
        now: Instant,
        id: StreamId,
        local: SocketAddr,
        entropy: &mut Entropy,
    ) -> Result<(), CommandError> {
        let source = self.streaming(id).and_then(|at| self.sources.get(at));
        let source = source.filter(|source| source.progress == Progress::Opening);
        let source = source.ok_or(CommandError::UnknownStream)?;
        let path = FiveTuple {
            transport: source.transport,
            local,
            remote: source.server,
        };
        if local.ip() != source.base.ip() || local.port() == 0 || self.has(path) {
            return Err(CommandError::StreamPath);
        }
        let source = &mut self.sources[id.at()];
        if let Client::Unborn(config) = core::mem::replace(&mut source.client, Client::Gone) {
            let config = floe_turn::ClientConfig { path, ..*config };
            let client = floe_turn::Client::new(config, entropy.seed(), now);
            source.client = Client::Turn(Box::new(client));
            source.path = Some(path);
            source.progress = Progress::Waiting;
        }
        Ok(())
    }

    /// The stream of a source is gone. An allocation ends with it, as an event will say; `true` if
    /// there was none, and none will come.
    pub(crate) fn stream_failed(&mut self, now: Instant, at: usize) -> bool {
        let source = &mut self.sources[at];
        let path = source.path.take();
        match (&mut source.client, path) {
            (Client::Turn(client), Some(path)) if client.is_allocated() => {
                client.path_failed(now, path);
                return false;
            }
            _ => source.client = Client::Gone,
        }
        !source.progress.is_done()
    }

    /// The stream of a source, if it needs one, is not wanted any more.
    pub(crate) fn withdraw(&mut self, at: usize) {
        let id = StreamId::of(at);
        if self.streaming(id).is_some() {
            self.events.push_back(Event::StreamUnwanted(id));
        }
        let source = &mut self.sources[at];
        if source.transport.is_reliable() {
            source.path = None;
            source.client = Client::Gone;
            source.progress = Progress::Ended;
        }
    }

    /// What the owner has to know of streams.
    pub(crate) fn poll_stream(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

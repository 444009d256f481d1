//! A host that runs the STUN and TURN servers on one port, over UDP and TCP.

use core::net::SocketAddr;
use core::ops::RangeInclusive;
use std::collections::VecDeque;

use bytes::Bytes;

use floe_peer::Credentials;
use floe_sansio::{Datagram, Entropy, FiveTuple, Input, Instant, Transmit};
use floe_stun::{MessageType, Method};
use floe_turn::{Server, ServerConfig};

use super::streams::Streams;
use crate::{Endpoint, StreamCommand, StreamEvent};

/// Where relayed addresses lie: the beginning of the dynamic ports (RFC 8656 §7.2).
const RELAY_PORTS: RangeInclusive<u16> = 49_152..=50_175;

/// The real `stun::Server` and `turn::Server` behind one listener, for UDP and for TCP; relayed
/// addresses lie on the listener's IP address.
#[derive(Debug)]
pub struct ServerHost {
    listener: SocketAddr,
    stun: floe_stun::Server,
    turn: Server,
    streams: Streams,
    commands: VecDeque<StreamCommand>,
    /// What frames of streams are forwarded as.
    forwarded: VecDeque<Transmit>,
}

impl ServerHost {
    /// A server with one user, and what is different about it.
    pub fn new(
        listener: SocketAddr,
        realm: &str,
        user: &Credentials,
        configure: fn(&mut ServerConfig),
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut entropy = Entropy::new(seed);
        let mut config = ServerConfig::new(vec![listener], vec![listener.ip()], realm);
        config.users.push(user.clone());
        // A server on the internet has sixteen times as many; making them ready is a third of the
        // cost of a short negotiation.
        config.ports = RELAY_PORTS;
        configure(&mut config);
        Self {
            listener,
            stun: floe_stun::Server::new(entropy.seed(), now),
            turn: Server::new(config, entropy.seed(), now),
            streams: Streams::default(),
            commands: [StreamCommand::Listen(listener)].into(),
            forwarded: VecDeque::new(),
        }
    }

    /// The TURN server, to look at.
    pub const fn turn(&self) -> &Server {
        &self.turn
    }

    /// The TURN server, to take something from it.
    pub const fn turn_mut(&mut self) -> &mut Server {
        &mut self.turn
    }

    /// Frames came over TCP. Where a stream breaks the rules nothing is left to be understood.
    fn read(&mut self, now: Instant, path: FiveTuple, bytes: &mut [u8]) {
        let (frames, end) = self.streams.read(path, bytes);
        for mut frame in frames {
            let mut datagram = frame.datagram();
            let Input::Forward(route) = self.receive(now, datagram.reborrow()) else {
                continue;
            };
            if let Some(payload) = datagram.buffer_mut().get(route.range()) {
                self.forwarded.push_back(Transmit {
                    path: route.path,
                    payload: Bytes::copy_from_slice(payload),
                });
            }
        }
        if end.is_err() {
            self.commands.push_back(StreamCommand::Reset(path));
            self.closed(now, path);
        }
    }

    /// A connection is gone, and with it the allocation that was made over it.
    fn closed(&mut self, now: Instant, path: FiveTuple) {
        if self.streams.close(path) {
            self.turn.client_closed(now, path);
            self.ignore_events();
        }
    }

    /// Sockets of a simulated host need not be opened and closed.
    fn ignore_events(&mut self) {
        while self.turn.poll_event().is_some() {}
    }
}

impl Endpoint for ServerHost {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        // On a relayed address everything is data for the client, whatever it looks like.
        let kind = MessageType::peek(datagram.payload());
        let for_stun = datagram.path.local == self.listener
            && kind.is_some_and(|kind| kind.method == Method::BINDING);
        let input = if for_stun {
            self.stun.handle_input(now, datagram)
        } else {
            self.turn.handle_input(now, datagram)
        };
        self.ignore_events();
        input
    }

    fn timeout(&mut self, now: Instant) {
        self.turn.handle_timeout(now);
        self.ignore_events();
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.stun
            .poll_transmit()
            .or_else(|| self.turn.poll_transmit())
            .or_else(|| self.forwarded.pop_front())
    }

    fn deadline(&self) -> Option<Instant> {
        self.turn.poll_timeout()
    }

    fn poll_stream(&mut self) -> Option<StreamCommand> {
        self.commands.pop_front()
    }

    fn stream(&mut self, now: Instant, event: StreamEvent) {
        match event {
            StreamEvent::Accepted(path) => {
                let channels = floe_turn::CHANNELS;
                self.streams
                    .open(path, floe_stun::Framing::Turn { channels });
            }
            StreamEvent::Data { path, mut bytes } => self.read(now, path, &mut bytes),
            StreamEvent::Ended(path) => {
                self.commands.push_back(StreamCommand::Close(path));
                self.closed(now, path);
            }
            StreamEvent::Lost { path, .. } => self.closed(now, path),
            StreamEvent::Opened { .. } | StreamEvent::Failed { .. } => {}
        }
    }
}

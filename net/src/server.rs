use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use floe_sansio::{FiveTuple, Input, Instant, Transport};
use floe_stun::Framing;
use floe_stun::{MessageType, Method, User, UserWanted};
use floe_turn::{CloseCause, ServerConfig};

use crate::addresses::{bind_named, check_host_address};
use crate::clock::Clock;
use crate::io::{Arrived, Io, Woken};
use crate::seed::seed;
use crate::sockets::{Counters, Sockets};
use crate::streams::{StreamLimits, Streams};

/// How many relayed addresses are tried for one request, and how many ports for a listener on any.
const BIND_TRIES: usize = 16;

/// What a [`Server`] reports, readable as a line of a log (`Display`). No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client has got a relayed address.
    Allocated {
        /// The address.
        relayed: SocketAddr,
        /// Where the client's requests come from.
        client: SocketAddr,
        /// The user that it is.
        username: Arc<str>,
    },
    /// The relayed address is closed.
    Ended {
        /// The address.
        relayed: SocketAddr,
        /// Whose it was.
        client: SocketAddr,
        /// Why.
        cause: CloseCause,
    },
    /// The operating system refused to bind a relayed address; another was tried, or the client will
    /// ask again.
    NotBound {
        /// The address.
        relayed: SocketAddr,
        /// Why.
        error: io::ErrorKind,
    },
    /// A user whom the user base looks up elsewhere: found, he is told to [`Server::answer_user`].
    UserWanted(UserWanted),
}

impl fmt::Display for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocated {
                relayed,
                client,
                username,
            } => write!(f, "allocated {relayed} to {client}, user {username:?}"),
            Self::Ended {
                relayed,
                client,
                cause,
            } => {
                let cause = match cause {
                    CloseCause::Released => "released by the client",
                    CloseCause::Expired => "expired",
                    CloseCause::Disconnected => "the client's connection has ended",
                    _ => "closed by the server",
                };
                write!(f, "ended {relayed} of {client}: {cause}")
            }
            Self::NotBound { relayed, error } => write!(f, "cannot bind {relayed}: {error}"),
            Self::UserWanted(wanted) => match &wanted.name {
                Ok(name) => write!(f, "a request waits for its user, {name:?}"),
                Err(_) => f.write_str("a request waits for its user, whose name is hashed"),
            },
        }
    }
}

/// A STUN and TURN server over UDP and TCP: one loop, no task per client.
///
/// What it relays is UDP. A connection whose client reads too slowly loses data, as a datagram would
/// be lost, and with it its place if not even the answers to its requests have room.
///
/// Nothing happens in the background: it serves while [`Self::run`] or [`Self::next`] is awaited.
///
/// ```no_run
/// use floe_net::Server;
/// use floe_turn::ServerConfig;
///
/// # async fn serve(until: impl Future<Output = ()>) -> std::io::Result<()> {
/// let address = "192.0.2.1:3478".parse().unwrap();
/// let config = ServerConfig::new(vec![address], vec![address.ip()], "example.org")
///     .with_user("alice", "a long password");
/// let mut server = Server::bind(config)?;
/// server.run(until, |event| println!("{event}")).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    stun: floe_stun::Server,
    turn: floe_turn::Server,
    io: Io,
    listeners: Vec<SocketAddr>,
    events: VecDeque<ServerEvent>,
}

impl Server {
    /// A server that listens on the listeners of `config`, for UDP and TCP; port 0 stands for any port.
    ///
    /// # Errors
    ///
    /// As [`Self::bind_with`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn bind(config: ServerConfig) -> io::Result<Self> {
        Self::bind_with(config, Some(StreamLimits::default()))
    }

    /// The same with these bounds on TCP connections, or for UDP only.
    ///
    /// An unspecified address listens on all addresses of its family, and the operating system
    /// chooses the address that answers: on hosts with several, name them one by one.
    ///
    /// # Errors
    ///
    /// No listener is named, TCP is to be relayed (`config.tcp`, RFC 6062), a listener or a relay
    /// address cannot be bound, or the operating system gives no randomness.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn bind_with(mut config: ServerConfig, tcp: Option<StreamLimits>) -> io::Result<Self> {
        if config.listeners.is_empty() {
            let what = "the server has no address to listen on";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        if config.tcp {
            let what = "this server does not relay TCP";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let mut sockets = Sockets::default();
        let framing = Framing::Turn {
            channels: config.channels.clone(),
        };
        let mut streams = Streams::new(framing, tcp.unwrap_or_default());
        for listener in &mut config.listeners {
            *listener = match tcp {
                Some(_) => listen(&mut sockets, &mut streams, *listener)?,
                None => bind_named(&mut sockets, *listener)?,
            };
        }
        for &ip in &config.relay_ips {
            check_relay(ip)?;
        }
        let clock = Clock::start();
        let now = clock.now();
        // Old clients too, and strangers within a budget.
        let stun = floe_stun::ServerConfig {
            classic: true,
            ..floe_stun::ServerConfig::default()
        };
        Ok(Self {
            listeners: config.listeners.clone(),
            stun: floe_stun::Server::with_config(stun, seed()?, now).map_err(io::Error::other)?,
            turn: floe_turn::Server::new(config, seed()?, now),
            io: Io::new(clock, sockets, streams),
            events: VecDeque::new(),
        })
    }

    /// The first address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.listeners[0]
    }

    /// The addresses that it listens on.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// The TURN server, to look at.
    pub const fn turn(&self) -> &floe_turn::Server {
        &self.turn
    }

    /// What its sockets have done.
    pub fn counters(&self) -> Counters {
        self.io.counters()
    }

    /// The user of [`ServerEvent::UserWanted`] is found, or is nobody. A ticket that is too old does
    /// nothing.
    pub fn answer_user(&mut self, ticket: u64, user: Option<User>) {
        let now = self.io.clock.now();
        self.turn.answer_user(now, ticket, user);
        let refused = self.follow_events();
        self.answer(refused);
    }

    /// Serves until `shutdown` is ready, then ends all allocations. Users cannot be looked up
    /// elsewhere meanwhile; that takes a loop around [`Self::next`].
    pub async fn run(
        &mut self,
        shutdown: impl Future<Output = ()>,
        mut on_event: impl FnMut(ServerEvent),
    ) {
        let mut shutdown = pin!(shutdown);
        loop {
            let mut next = pin!(self.next());
            let event = poll_fn(|cx| match shutdown.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => next.as_mut().poll(cx).map(Some),
            });
            match event.await {
                Some(event) => on_event(event),
                None => break,
            }
        }
        self.close();
        self.events.drain(..).for_each(on_event);
    }

    /// Serves until there is something to report. It can be cancelled at any time, and nothing is
    /// lost.
    pub async fn next(&mut self) -> ServerEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let woken = self.io.wait(self.turn.poll_timeout()).await;
            let now = self.io.clock.now();
            match woken {
                Woken::Datagram(arrived) => self.receive(now, &arrived),
                Woken::Ended(_, Some(path)) => {
                    self.turn.client_closed(now, path);
                    let refused = self.follow_events();
                    self.answer(refused);
                }
                // It opens none.
                Woken::Opened(..) | Woken::Accepted(..) | Woken::Ended(_, None) => {}
                Woken::Timeout => {
                    self.turn.handle_timeout(now);
                    let refused = self.follow_events();
                    self.answer(refused);
                }
            }
        }
    }

    /// Ends all allocations and closes their sockets; the listeners stay.
    fn close(&mut self) {
        let mut relays: Vec<SocketAddr> = (self.io.sockets.addresses())
            .filter(|address| !self.listeners.contains(address))
            .collect();
        relays.sort_unstable();
        for relayed in relays {
            self.turn.close(relayed);
        }
        self.follow_events();
    }

    fn receive(&mut self, now: Instant, arrived: &Arrived) {
        let path = arrived.path();
        let listens = path.transport == Transport::Tcp || self.listeners.contains(&path.local);
        // On a relayed address everything is data for the client, whatever it looks like.
        let kind = MessageType::peek(self.io.datagram(arrived).payload());
        if listens && kind.is_some_and(|kind| kind.method == Method::BINDING) {
            let _ = self.stun.handle_input(now, self.io.datagram(arrived));
            while let Some(transmit) = self.stun.poll_transmit() {
                self.io.send(&transmit);
            }
            return;
        }
        // Another program may hold the port that was chosen. Then it is as if the request had come
        // again: another port is chosen.
        for _ in 0..BIND_TRIES {
            let input = self.turn.handle_input(now, self.io.datagram(arrived));
            if let Input::Forward(route) = input {
                if !self.io.forward(route) {
                    self.turn.unsent();
                }
                return;
            }
            let refused = self.follow_events();
            self.answer(refused);
            if refused.is_none() {
                return;
            }
        }
    }

    /// Opens and closes sockets as the TURN server wants them; the client whose relayed address could
    /// not be bound, if there is one.
    fn follow_events(&mut self) -> Option<FiveTuple> {
        let mut refused = None;
        while let Some(event) = self.turn.poll_event() {
            match event {
                floe_turn::ServerEvent::RelayOpened {
                    relayed,
                    client,
                    username,
                } => self.events.push_back(match self.io.sockets.bind(relayed) {
                    Ok(_) => {
                        self.io.streams.hold(client);
                        ServerEvent::Allocated {
                            relayed,
                            client: client.remote,
                            username,
                        }
                    }
                    Err(error) => {
                        self.turn.close(relayed);
                        refused = Some(client);
                        ServerEvent::NotBound {
                            relayed,
                            error: error.kind(),
                        }
                    }
                }),
                floe_turn::ServerEvent::RelayClosed {
                    relayed,
                    client,
                    cause,
                } if self.io.sockets.close(relayed) => {
                    self.io.streams.release(self.io.clock.now(), client);
                    self.events.push_back(ServerEvent::Ended {
                        relayed,
                        client: client.remote,
                        cause,
                    });
                }
                floe_turn::ServerEvent::ClientMoved { from, to, .. } => {
                    self.io.streams.release(self.io.clock.now(), from);
                    self.io.streams.hold(to);
                }
                floe_turn::ServerEvent::UserWanted(wanted) => {
                    self.events.push_back(ServerEvent::UserWanted(wanted));
                }
                // Closed because it could not be bound; and what only relaying TCP has.
                _ => {}
            }
        }
        refused
    }

    /// Sends the responses of the TURN server, but none to a client that it promised an address that
    /// cannot be had.
    fn answer(&mut self, refused: Option<FiveTuple>) {
        while let Some(transmit) = self.turn.poll_transmit() {
            if Some(transmit.path) != refused {
                self.io.send(&transmit);
            }
        }
    }
}

/// Listens for datagrams and connections at the same address.
fn listen(
    sockets: &mut Sockets,
    streams: &mut Streams,
    address: SocketAddr,
) -> io::Result<SocketAddr> {
    let mut tries = 0..BIND_TRIES;
    loop {
        let local = bind_named(sockets, address)?;
        match streams.listen(local) {
            Ok(_) => return Ok(local),
            // The port that was chosen may be taken for TCP.
            Err(_) if address.port() == 0 && tries.next().is_some() => {
                sockets.close(local);
            }
            Err(error) => {
                let what = format!("cannot listen on {local} for TCP: {error}");
                return Err(io::Error::new(error.kind(), what));
            }
        }
    }
}

/// Whether relayed addresses can be bound there: better to know before the first client asks.
fn check_relay(ip: IpAddr) -> io::Result<()> {
    let address = SocketAddr::new(ip, 0);
    check_host_address(address)?;
    bind_named(&mut Sockets::default(), address).map(drop)
}

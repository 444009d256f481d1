//! The bytes of TCP allocations (RFC 6062). The server never sees them: a driver joins the connections
//! when it is told to. Here is such a driver, over streams in memory, and what it makes of the events:
//! it reads nothing from a peer that is not joined, so that what the peer sends stays where TCP keeps it.

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{CHANNELS, Server, ServerConfig, ServerEvent};
use support::*;

/// Bytes that a peer's connection takes before somebody reads them: its TCP window.
const WINDOW: usize = 64;

/// One end of a connection of TCP, as the driver has it.
#[derive(Default)]
struct Stream {
    /// Arrived, and not yet read.
    unread: VecDeque<u8>,
    /// Written by the driver.
    written: Vec<u8>,
    is_closed: bool,
}

impl Stream {
    /// What is sent to the driver: as much of it as the window takes.
    fn send(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(WINDOW - self.unread.len());
        self.unread.extend(&bytes[..taken]);
        taken
    }
}

/// A connection of a client: TURN until it is joined.
struct ClientStream {
    stream: Stream,
    deframer: Deframer,
    joined: Option<u32>,
}

struct Driver {
    now: Instant,
    server: Server,
    clients: BTreeMap<FiveTuple, ClientStream>,
    /// Connections to peers that were asked for.
    wanted: Vec<(u32, SocketAddr)>,
    peers: BTreeMap<u32, Stream>,
    /// The client of a joined one.
    joined: BTreeMap<u32, FiveTuple>,
}

impl Driver {
    fn new() -> Self {
        let mut config: ServerConfig = server_config();
        config.tcp = true;
        let (server, now) = server_with(config);
        Self {
            now,
            server,
            clients: BTreeMap::new(),
            wanted: Vec::new(),
            peers: BTreeMap::new(),
            joined: BTreeMap::new(),
        }
    }

    fn open(&mut self, client: FiveTuple) {
        let framing = Framing::Turn { channels: CHANNELS };
        let client_stream = ClientStream {
            stream: Stream::default(),
            deframer: Deframer::new(framing),
            joined: None,
        };
        self.clients.insert(client, client_stream);
    }

    /// Bytes arrive from a client: frames for the server, one by one, until the connection is joined;
    /// then they are the peer's.
    fn client_sends(&mut self, client: FiveTuple, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let mut rest = &mut bytes[..];
        loop {
            let it = self.clients.get_mut(&client).unwrap();
            if let Some(connection) = it.joined {
                let peer = self.peers.get_mut(&connection).unwrap();
                peer.written.extend_from_slice(rest);
                return;
            }
            let frame = it.deframer.next_frame(&mut rest).expect("a stream of TURN");
            let Some(frame) = frame.map(|it| it.to_vec()) else {
                return;
            };
            let (input, _) = feed(&mut self.server, self.now, client, &frame);
            assert_eq!(input, Input::Handled);
            self.work();
        }
    }

    /// Does what the server wants: first what is to be sent, then what is to be joined or closed.
    fn work(&mut self) {
        let events: Vec<_> = std::iter::from_fn(|| self.server.poll_event()).collect();
        while let Some(Transmit { path, payload }) = self.server.poll_transmit() {
            let it = self.clients.get_mut(&path).unwrap();
            assert!(it.joined.is_none(), "no TURN on a joined connection");
            it.stream.written.extend_from_slice(&payload);
        }
        for event in events {
            match event {
                ServerEvent::Connect {
                    connection, peer, ..
                } => self.wanted.push((connection, peer)),
                ServerEvent::Splice { connection, client } => {
                    self.clients.get_mut(&client).unwrap().joined = Some(connection);
                    self.joined.insert(connection, client);
                }
                ServerEvent::Disconnect { connection } => self.close_peer(connection),
                _ => {}
            }
        }
        self.pump();
    }

    /// What peers have sent goes to the clients that they are joined to.
    fn pump(&mut self) {
        for (connection, client) in &self.joined {
            let peer = self.peers.get_mut(connection).unwrap();
            let client = self.clients.get_mut(client).unwrap();
            client.stream.written.extend(peer.unread.drain(..));
        }
    }

    fn peer_sends(&mut self, connection: u32, bytes: &[u8]) -> usize {
        let taken = self.peers.get_mut(&connection).unwrap().send(bytes);
        self.pump();
        taken
    }

    fn close_peer(&mut self, connection: u32) {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.is_closed = true;
        }
        if let Some(client) = self.joined.remove(&connection) {
            self.clients.get_mut(&client).unwrap().stream.is_closed = true;
        }
    }

    /// One side has closed a joined connection.
    fn closed(&mut self, connection: u32) {
        self.close_peer(connection);
        self.server.disconnected(connection);
        self.work();
    }

    fn written_to(&mut self, client: FiveTuple) -> Vec<u8> {
        std::mem::take(&mut self.clients.get_mut(&client).unwrap().stream.written)
    }

    fn written_to_peer(&mut self, connection: u32) -> Vec<u8> {
        std::mem::take(&mut self.peers.get_mut(&connection).unwrap().written)
    }
}

/// A client with a TCP allocation.
struct Test {
    driver: Driver,
    control: Asker,
    relayed: SocketAddr,
    ports: u16,
}

fn client_at(port: u16) -> Asker {
    let mut asker = Asker::at(SocketAddr::new(home().ip(), port));
    asker.path.transport = Transport::Tcp;
    asker
}

impl Test {
    fn new() -> Self {
        let mut driver = Driver::new();
        let mut control = client_at(40_000);
        let answer = {
            let Driver { server, now, .. } = &mut driver;
            control.ask(server, *now, Method::ALLOCATE, |b| {
                b.with(&RequestedTransport::TCP)
            })
        };
        assert_eq!(answer.code(), 0);
        driver.open(control.path);
        Self {
            relayed: answer.relayed(),
            driver,
            control,
            ports: 0,
        }
    }

    /// A connection to a peer, whose first bytes arrive with it.
    fn connect(&mut self, peer: SocketAddr) -> u32 {
        let request = (self.control).message(Method::CONNECT, &|b| b.with(&XorPeerAddress(peer)));
        self.driver.client_sends(self.control.path, &request);
        assert_eq!(
            self.driver.written_to(self.control.path),
            [0; 0],
            "it waits"
        );
        let (connection, to) = self.driver.wanted.pop().unwrap();
        assert_eq!(to, peer);
        self.driver.peers.insert(connection, Stream::default());
        let now = self.driver.now;
        self.driver.server.connected(now, connection, true);
        self.driver.work();
        let answer = Answer(self.driver.written_to(self.control.path));
        assert_eq!(answer.code(), 0);
        assert_eq!(answer.message().get(), Ok(Some(ConnectionId(connection))));
        connection
    }

    /// A connection that a peer has opened.
    fn accept(&mut self, peer: SocketAddr) -> u32 {
        let (server, now) = (&mut self.driver.server, self.driver.now);
        assert_eq!(self.control.permit(server, now, peer), 0);
        let connection = server.accept(now, self.relayed, peer).unwrap();
        self.driver.peers.insert(connection, Stream::default());
        self.driver.work();
        let told = self.driver.written_to(self.control.path);
        assert_eq!(parse(&told).method(), Method::CONNECTION_ATTEMPT);
        assert_eq!(parse(&told).get(), Ok(Some(ConnectionId(connection))));
        connection
    }

    /// A new connection of the client, and the `ConnectionBind` that is to go over it.
    fn binding(&mut self, connection: u32) -> (FiveTuple, Vec<u8>) {
        self.ports += 1;
        let mut data = client_at(self.ports);
        self.driver.open(data.path);
        let bind = |asker: &mut Asker| {
            asker.message(Method::CONNECTION_BIND, &|b| {
                b.with(&ConnectionId(connection))
            })
        };
        let first = bind(&mut data);
        self.driver.client_sends(data.path, &first);
        let challenge = Answer(self.driver.written_to(data.path));
        data.auth.challenge(&challenge.message(), false).unwrap();
        (data.path, bind(&mut data))
    }

    /// The client's connection, joined to the peer's.
    fn join(&mut self, connection: u32) -> FiveTuple {
        let (path, request) = self.binding(connection);
        self.driver.client_sends(path, &request);
        assert_eq!(Answer(self.driver.written_to(path)).code(), 0);
        path
    }
}

/// What follows the answer to a `ConnectionBind`.
fn behind_the_answer(written: &[u8]) -> &[u8] {
    let length = usize::from(u16::from_be_bytes([written[2], written[3]]));
    let (answer, data) = written.split_at(20 + length);
    assert_eq!(Answer(answer.to_vec()).code(), 0);
    data
}

/// Until somebody reads it, what a peer sends stays where it is, and its window closes; then it comes
/// first, behind the answer to the `ConnectionBind`, and in order.
/// req: TURNTCP-5.2-7, TURNTCP-5.3-2, TURNTCP-5.4-3
#[test]
fn what_a_peer_sends_before_it_is_joined_is_kept_and_comes_first() {
    for is_incoming in [false, true] {
        let mut t = Test::new();
        let connection = if is_incoming {
            t.accept(peer())
        } else {
            t.connect(peer())
        };
        let sent: Vec<u8> = (0..200).collect();
        assert_eq!(t.driver.peer_sends(connection, &sent), WINDOW);
        assert_eq!(t.driver.peer_sends(connection, &sent[WINDOW..]), 0);
        assert_eq!(t.driver.written_to(t.control.path), [0; 0]);
        let (path, request) = t.binding(connection);
        // Not even while the request is on its way.
        let (most, last) = request.split_at(request.len() - 1);
        t.driver.client_sends(path, most);
        assert_eq!(t.driver.written_to(path), [0; 0]);
        t.driver.client_sends(path, last);
        let mut at = WINDOW;
        while at < sent.len() {
            at += t.driver.peer_sends(connection, &sent[at..]);
        }
        let written = t.driver.written_to(path);
        assert_eq!(behind_the_answer(&written), sent);
        assert_eq!(t.driver.written_to(t.control.path), [0; 0]);
    }
}

/// Bytes are bytes on a joined connection, though they look like TURN, or come in one segment with the
/// request that joins.
/// req: TURNTCP-5.4-3, TURNTCP-5.4-4
#[test]
fn joined_connections_carry_any_bytes_unchanged() {
    let mut t = Test::new();
    let connection = t.connect(peer());
    let (path, mut segment) = t.binding(connection);
    let like_turn = [
        t.control
            .message(Method::REFRESH, &|b| b.with(&Lifetime(0))),
        channel_data(0x4000, b"data"),
        vec![0xFF; 5],
    ]
    .concat();
    segment.extend(&like_turn);
    t.driver.client_sends(path, &segment);
    assert_eq!(t.driver.written_to_peer(connection), like_turn);
    assert_eq!(behind_the_answer(&t.driver.written_to(path)), [0; 0]);
    for piece in like_turn.chunks(3) {
        t.driver.client_sends(path, piece);
        assert_eq!(t.driver.written_to_peer(connection), piece);
        assert_eq!(t.driver.peer_sends(connection, piece), piece.len());
        assert_eq!(t.driver.written_to(path), piece);
    }
    assert_eq!(
        t.driver.server.allocations(),
        1,
        "a Refresh to 0 it was not"
    );
}

/// req: TURNTCP-5.5-2
#[test]
fn when_one_side_closes_so_does_the_other() {
    for is_bound in [true, false] {
        let mut t = Test::new();
        let (one, two) = (t.connect(peer()), t.connect(other_peer()));
        let other = t.join(two);
        let own = is_bound.then(|| t.join(one));
        t.driver.closed(one);
        assert!(t.driver.peers[&one].is_closed);
        if let Some(path) = own {
            assert!(t.driver.clients[&path].stream.is_closed);
        }
        // Only these; and the peer may be connected to again.
        assert!(!t.driver.peers[&two].is_closed && !t.driver.clients[&other].stream.is_closed);
        assert_eq!(t.driver.server.connections(), 1);
        let again = t.connect(peer());
        assert_ne!(again, one);
        // What was closed before it was joined cannot be joined any more.
        let (path, request) = t.binding(one);
        t.driver.client_sends(path, &request);
        assert_eq!(Answer(t.driver.written_to(path)).code(), 400);
    }
}

/// The end of an allocation closes both sides of all that it has.
/// req: TURNTCP-5.5-1, TURNTCP-5.2-9, TURNTCP-5.3-5
#[test]
fn what_the_server_gives_up_is_closed_on_both_sides() {
    let mut t = Test::new();
    let joined = t.connect(peer());
    let path = t.join(joined);
    let pending = t.connect(other_peer());
    let incoming = t.accept(addr("9.9.9.9:1"));
    t.driver.now += secs(30);
    t.driver.server.handle_timeout(t.driver.now);
    t.driver.work();
    for connection in [pending, incoming] {
        assert!(t.driver.peers[&connection].is_closed);
    }
    assert!(!t.driver.peers[&joined].is_closed);
    t.driver.now += secs(570);
    t.driver.server.handle_timeout(t.driver.now);
    t.driver.work();
    assert!(t.driver.peers[&joined].is_closed && t.driver.clients[&path].stream.is_closed);
}

/// req: TURNTCP-5.2-3
#[test]
fn a_connect_with_a_malformed_peer_is_a_bad_request() {
    let mut t = Test::new();
    for value in [&[0, 1, 0, 0, 9][..], &[0, 3, 0, 80, 9, 9, 9, 9], &[]] {
        let request = t.control.message(Method::CONNECT, &|b| {
            b.with_raw(AttributeType::XOR_PEER_ADDRESS, value)
        });
        t.driver.client_sends(t.control.path, &request);
        let answer = Answer(t.driver.written_to(t.control.path));
        assert_eq!(answer.code(), 400);
    }
    assert!(t.driver.wanted.is_empty() && t.driver.server.connections() == 0);
}

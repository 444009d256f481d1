//! A relay that is reached over TCP.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use floe_peer::{CandidateKind, Credentials};
use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit};
use floe_sim::{
    Endpoint, Happening, HostId, Incident, Judgement, Link, Path, Preset, Probability, ServerHost,
    Session, SessionConfig, Simulation, Site, StreamCommand, StreamError, StreamEvent, TcpConfig,
    Topology,
};

fn of_udp_blocked() -> impl Iterator<Item = SessionConfig> {
    let blocked = Preset::UdpBlocked;
    let offering = Preset::ALL.map(|b| SessionConfig::new(blocked, b));
    let answering = Preset::ALL.map(|a| SessionConfig::new(a, blocked));
    offering.into_iter().chain(answering)
}

fn name(config: &SessionConfig) -> String {
    format!("{} × {}, seed {}", config.a, config.b, config.seed)
}

/// How many TCP segments were sent, and the most bytes in one.
fn segments(session: &Session) -> (usize, usize) {
    let (mut count, mut most) = (0, 0);
    for entry in session.log().entries() {
        if let Happening::Packet {
            incident: Incident::Sent,
            header: Some(_),
            payload,
            ..
        } = &entry.what
        {
            count += 1;
            most = most.max(payload.len());
        }
    }
    (count, most)
}

/// Frames are spread over many segments here, and put together again on the other side.
#[test]
fn frames_may_be_cut_anywhere() {
    for mss in [1, 7, 100] {
        for mut config in of_udp_blocked() {
            config.tcp = TcpConfig {
                mss,
                ..TcpConfig::DEFAULT
            };
            config.record = true;
            let mut session = config.start().unwrap();
            session.settle().unwrap();
            let report = session.report().unwrap();
            let name = name(&config);
            assert_eq!(report.judgement, Judgement::Agreed, "{name}: {report:?}");
            assert_eq!(report.outcome, Path::Relayed, "{name}");
            assert!(report.is_mirrored(), "{name}");
            assert!(report.sides.iter().all(|side| side.answered), "{name}");
            assert_eq!(segments(&session).1, usize::from(mss));
        }
    }
}

#[test]
fn who_cannot_use_udp_connects_at_a_loss_too() {
    for seed in 1..11 {
        for mut config in of_udp_blocked() {
            config.seed = seed;
            config.loss = Probability::percent(5);
            let (report, _) = config.run().unwrap();
            assert_eq!(report.outcome, Path::Relayed, "{}", name(&config));
            assert!(report.is_mirrored(), "{}: {report:?}", name(&config));
        }
    }
}

/// Of who cannot use UDP the relayed candidate is the only one that works, whoever offers.
#[test]
fn the_pair_begins_at_the_relay_of_the_one_that_is_blocked() {
    for config in of_udp_blocked() {
        let (report, _) = config.run().unwrap();
        let (local, remote) = report.pair().unwrap();
        let relayed = CandidateKind::Relayed;
        if config.a == Preset::UdpBlocked {
            assert_eq!(local, relayed, "{}", name(&config));
        }
        if config.b == Preset::UdpBlocked {
            assert_eq!(remote, relayed, "{}", name(&config));
        }
    }
}

#[test]
fn where_udp_works_nobody_opens_a_connection() {
    for a in Preset::ALL {
        for b in Preset::ALL {
            if [a, b].contains(&Preset::UdpBlocked) {
                continue;
            }
            let mut config = SessionConfig::new(a, b);
            config.record = true;
            let mut session = config.start().unwrap();
            session.settle().unwrap();
            session.wait(Duration::from_mins(1)).unwrap();
            assert_eq!(segments(&session).0, 0, "{a} × {b}");
        }
    }
}

/// An idle hour costs what keeps the connection's path alive, and nothing is lost.
#[test]
fn an_idle_hour_over_tcp_costs_keepalives_only() {
    let mut config = SessionConfig::new(Preset::UdpBlocked, Preset::UdpBlocked);
    let packets = |config: &SessionConfig| {
        let (report, _) = config.run().unwrap();
        assert!(report.sides.iter().all(|side| side.failed.is_none()));
        report.packets
    };
    let before = packets(&config);
    config.linger = Duration::from_hours(1);
    let hour = packets(&config) - before;
    // Two sides, 900 requests an hour at most, an answer each; every one goes in and out of the server,
    // and each segment is acknowledged. Then refreshes.
    assert!(
        hour <= 2 * 900 * 2 * 2 * 2 + 800,
        "{hour} packets in an hour"
    );
    assert!(hour >= 2 * 600 * 2 * 2 * 2, "{hour} packets in an hour");
}

const USER: &str = "user";
const PASSWORD: &str = "password";

/// Opens a connection, writes what it is told to, and asks for an allocation if it is to.
#[derive(Debug, Default)]
struct Client {
    commands: VecDeque<StreamCommand>,
    writes: VecDeque<Transmit>,
    path: Option<FiveTuple>,
    read: Vec<u8>,
    events: Vec<StreamEvent>,
    wants_relay: bool,
    turn: Option<floe_turn::Client>,
}

impl Endpoint for Client {
    fn receive(&mut self, _now: Instant, _datagram: Datagram<'_>) -> Input {
        Input::Handled
    }

    fn timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let asked = self
            .turn
            .as_mut()
            .and_then(floe_turn::Client::poll_transmit);
        asked.or_else(|| self.writes.pop_front())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll_stream(&mut self) -> Option<StreamCommand> {
        self.commands.pop_front()
    }

    fn stream(&mut self, now: Instant, event: StreamEvent) {
        match event {
            StreamEvent::Opened { path, .. } => {
                self.path = Some(path);
                if self.wants_relay {
                    let user = Credentials::new(USER, PASSWORD);
                    let config = floe_turn::ClientConfig::new(path, user);
                    let mut client = floe_turn::Client::new(config, [2; 32], now);
                    client.allocate(now).unwrap();
                    self.turn = Some(client);
                }
            }
            StreamEvent::Data { path, mut bytes } => {
                self.read.extend(&bytes);
                if let Some(turn) = &mut self.turn {
                    // The server writes each answer at once, and none is longer than a segment.
                    let _ = turn.handle_input(now, Datagram::whole(path, &mut bytes));
                }
            }
            other => self.events.push(other),
        }
    }
}

enum Node {
    Client(Box<Client>),
    Server(Box<ServerHost>),
}

impl Node {
    fn endpoint(&self) -> &dyn Endpoint {
        match self {
            Self::Client(client) => &**client,
            Self::Server(server) => &**server,
        }
    }

    fn endpoint_mut(&mut self) -> &mut dyn Endpoint {
        match self {
            Self::Client(client) => &mut **client,
            Self::Server(server) => &mut **server,
        }
    }
}

impl Endpoint for Node {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        self.endpoint_mut().receive(now, datagram)
    }

    fn timeout(&mut self, now: Instant) {
        self.endpoint_mut().timeout(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint_mut().poll_transmit()
    }

    fn deadline(&self) -> Option<Instant> {
        self.endpoint().deadline()
    }

    fn poll_stream(&mut self) -> Option<StreamCommand> {
        self.endpoint_mut().poll_stream()
    }

    fn stream(&mut self, now: Instant, event: StreamEvent) {
        self.endpoint_mut().stream(now, event);
    }
}

/// A client that has connected to a server.
struct Conversation {
    run: Simulation<Node>,
    client: HostId,
    server: HostId,
}

impl Conversation {
    fn new(wants_relay: bool) -> Self {
        let mut world = Topology::new();
        let access = Site::public(Link::delay(Duration::from_millis(10)));
        let (client, server) = (world.host("client", access), world.host("server", access));
        let mut run = Simulation::new(&world, 1).unwrap();
        let remote = SocketAddr::new(world.address(server), 3478);
        let user = Credentials::new(USER, PASSWORD);
        let host = ServerHost::new(remote, "realm", &user, |_| {}, [1; 32], Instant::ZERO);
        run.attach(server, Node::Server(Box::new(host)));
        let local = world.address(client);
        let connect = StreamCommand::Connect {
            id: 1,
            local,
            remote,
        };
        let host = Client {
            commands: [connect].into(),
            wants_relay,
            ..Client::default()
        };
        run.attach(client, Node::Client(Box::new(host)));
        let _ = run.wait(Duration::from_secs(1));
        Self {
            run,
            client,
            server,
        }
    }

    fn act(&mut self, action: impl FnOnce(&mut Client, FiveTuple)) {
        self.run.act(self.client, |node, _| {
            let Node::Client(client) = node else { return };
            let path = client.path.expect("it is open");
            action(client, path);
        });
        let _ = self.run.wait(Duration::from_secs(1));
    }

    fn write(&mut self, bytes: &[u8]) {
        let payload = Bytes::copy_from_slice(bytes);
        self.act(|client, path| client.writes.push_back(Transmit { path, payload }));
    }

    fn allocations(&self) -> usize {
        match self.run.endpoint(self.server) {
            Some(Node::Server(server)) => server.turn().allocations(),
            _ => 0,
        }
    }

    /// What the client has read, and what else it was told.
    fn end(mut self) -> (Vec<u8>, Vec<StreamEvent>) {
        match self.run.detach(self.client) {
            Some(Node::Client(client)) => (client.read, client.events),
            _ => panic!("a client was attached"),
        }
    }
}

/// What comes back for this.
fn converse(writes: &[&[u8]]) -> (Vec<u8>, Vec<StreamEvent>) {
    let mut conversation = Conversation::new(false);
    for bytes in writes {
        conversation.write(bytes);
    }
    conversation.end()
}

const REQUEST: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];

#[test]
fn the_server_answers_binding_requests_over_tcp_however_they_are_cut() {
    let (whole, rest) = converse(&[&REQUEST]);
    assert_eq!(whole.len(), 32);
    assert_eq!(rest, []);
    let (cut, rest) = converse(&[&REQUEST[..3], &REQUEST[3..19], &REQUEST[19..]]);
    assert_eq!((cut, rest), (whole.clone(), vec![]));
    let (two, _) = converse(&[&[REQUEST, REQUEST].concat()]);
    assert_eq!(two, [whole.clone(), whole].concat());
}

#[test]
fn the_server_resets_what_breaks_the_framing() {
    for garbage in [
        &b"GET / HTTP/1.1\r\n"[..],
        &[0x16, 3, 1, 0, 200],
        &[0xFF; 4],
    ] {
        let (read, rest) = converse(&[garbage]);
        assert_eq!(read, []);
        let reset = |event: &StreamEvent| matches!(event, StreamEvent::Lost { error, .. } if *error == StreamError::Reset);
        assert!(matches!(&rest[..], [event] if reset(event)), "{rest:?}");
    }
}

/// When the connection of a client ends, however it ends, its allocation ends: nobody could use it any
/// more.
#[test]
fn an_allocation_ends_with_its_connection() {
    let ends: [fn(&mut Client, FiveTuple); 3] = [
        |client, path| client.commands.push_back(StreamCommand::Close(path)),
        |client, path| client.commands.push_back(StreamCommand::Reset(path)),
        |client, path| {
            let payload = Bytes::from_static(b"\xFFwhat is this?");
            client.writes.push_back(Transmit { path, payload });
        },
    ];
    for end in ends {
        let mut conversation = Conversation::new(true);
        assert_eq!(conversation.allocations(), 1);
        conversation.act(end);
        assert_eq!(conversation.allocations(), 0);
    }
}

/// A client that has fallen silent is given up when what is relayed to it is not acknowledged for long,
/// or when its allocation expires, whatever comes first.
#[test]
fn an_allocation_ends_some_time_after_its_client_fell_silent() {
    let mut conversation = Conversation::new(true);
    conversation.run.detach(conversation.client);
    let _ = conversation.run.wait(Duration::from_mins(11));
    assert_eq!(conversation.allocations(), 0);
}

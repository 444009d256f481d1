//! TCP allocations (RFC 6062) of the server.

mod support;

use std::net::SocketAddr;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{CloseCause, Server, ServerConfig, ServerEvent};
use support::*;

fn tcp_config() -> ServerConfig {
    let mut config = server_config();
    config.tcp = true;
    config
}

fn tcp(b: Builder<'_>) -> Builder<'_> {
    b.with(&RequestedTransport::TCP)
}

fn over(transport: Transport, source: SocketAddr) -> Asker {
    let mut asker = Asker::at(source);
    asker.path.transport = transport;
    asker
}

fn events(server: &mut Server) -> Vec<ServerEvent> {
    std::iter::from_fn(|| server.poll_event()).collect()
}

/// A server with one TCP allocation.
struct Test {
    now: Instant,
    server: Server,
    control: Asker,
    relayed: SocketAddr,
    /// Data connections so far.
    ports: u16,
}

impl Test {
    fn new() -> Self {
        Self::with(tcp_config())
    }

    fn with(config: ServerConfig) -> Self {
        let (mut server, now) = server_with(config);
        let mut control = over(Transport::Tcp, home());
        let answer = control.ask(&mut server, now, Method::ALLOCATE, tcp);
        assert_eq!(answer.code(), 0);
        let relayed = answer.relayed();
        events(&mut server);
        Self {
            now,
            server,
            control,
            relayed,
            ports: 0,
        }
    }

    /// Asks for a connection; the id that the driver is given, or the code of the refusal.
    fn connect(&mut self, peer: SocketAddr) -> Result<u32, u16> {
        let request = (self.control).message(Method::CONNECT, &|b| b.with(&XorPeerAddress(peer)));
        let (input, _) = feed(&mut self.server, self.now, self.control.path, &request);
        assert_eq!(input, Input::Handled);
        if let Some(transmit) = self.server.poll_transmit() {
            return Err(Answer(transmit.payload.to_vec()).code());
        }
        match events(&mut self.server)[..] {
            [
                ServerEvent::Connect {
                    connection,
                    relayed,
                    peer: to,
                },
            ] => {
                assert_eq!((relayed, to), (self.relayed, peer));
                Ok(connection)
            }
            ref other => panic!("{other:?}"),
        }
    }

    /// What the client is told on its control connection.
    fn told(&mut self) -> Option<Answer> {
        let transmit = self.server.poll_transmit()?;
        assert_eq!(transmit.path, self.control.path);
        Some(Answer(transmit.payload.to_vec()))
    }

    /// A connection that waits for its `ConnectionBind`.
    fn connected(&mut self, peer: SocketAddr) -> u32 {
        let id = self.connect(peer).unwrap();
        self.server.connected(self.now, id, true);
        let answer = self.told().unwrap();
        assert_eq!(answer.code(), 0);
        assert!(self.control.auth.verify(&answer.message()));
        assert_eq!(answer.message().get().unwrap(), Some(ConnectionId(id)));
        id
    }

    /// `ConnectionBind` on a new connection of the same user.
    fn bind(&mut self, id: u32) -> (u16, FiveTuple) {
        self.ports += 1;
        let data = over(Transport::Tcp, SocketAddr::new(home().ip(), self.ports));
        self.bind_by(data, id)
    }

    fn bind_by(&mut self, mut data: Asker, id: u32) -> (u16, FiveTuple) {
        let answer = data.ask(&mut self.server, self.now, Method::CONNECTION_BIND, |b| {
            b.with(&ConnectionId(id))
        });
        (answer.code(), data.path)
    }

    fn timeouts(&mut self) {
        while let Some(at) = self.server.poll_timeout().filter(|&at| at <= self.now) {
            self.server.handle_timeout(at.max(self.now));
        }
    }
}

/// req: TURNTCP-5.1-1, TURNTCP-5.1-2, TURNTCP-5.1-3, TURNTCP-5.1-4
#[test]
fn a_tcp_allocation_has_rules_of_its_own() {
    type Build = fn(Builder<'_>) -> Builder<'_>;
    let rows: [(u16, Transport, Build); 9] = [
        (0, Transport::Tcp, tcp),
        (0, Transport::Tls, tcp),
        (400, Transport::Udp, tcp),
        (400, Transport::Dtls, tcp),
        (400, Transport::Tcp, |b| tcp(b).with(&DontFragment)),
        (400, Transport::Tcp, |b| {
            tcp(b).with(&EvenPort {
                reserve_next: false,
            })
        }),
        (400, Transport::Tcp, |b| {
            tcp(b).with(&ReservationToken([1; 8]))
        }),
        (442, Transport::Tcp, |b| b.with(&RequestedTransport(132))),
        (0, Transport::Tcp, |b| b.with(&RequestedTransport::UDP)),
    ];
    for (code, transport, build) in rows {
        let (mut server, now) = server_with(tcp_config());
        let mut asker = over(transport, home());
        let answer = asker.ask(&mut server, now, Method::ALLOCATE, build);
        assert_eq!(answer.code(), code, "{transport:?}");
    }
    // Where UDP is not relayed.
    let mut config = tcp_config();
    config.udp = false;
    let (mut server, now) = server_with(config);
    let mut asker = over(Transport::Tcp, home());
    let answer = asker.ask(&mut server, now, Method::ALLOCATE, |b| {
        b.with(&RequestedTransport::UDP)
    });
    assert_eq!(answer.code(), 403);
}

/// req: TURNTCP-5.1-5, TURNTCP-5.1-6, TURNTCP-5.1-7
#[test]
fn the_owner_listens_at_a_tcp_relayed_address() {
    let (mut server, now) = server_with(tcp_config());
    let mut control = over(Transport::Tls, home());
    let answer = control.ask(&mut server, now, Method::ALLOCATE, tcp);
    assert_eq!(answer.message().get::<ReservationToken>().unwrap(), None);
    assert_eq!(
        events(&mut server),
        [ServerEvent::TcpRelayOpened {
            relayed: answer.relayed(),
            client: control.path,
            username: USER.into(),
        }]
    );
}

/// No datagram goes through it, whatever is permitted.
#[test]
fn a_tcp_allocation_relays_no_datagrams() {
    let mut t = Test::new();
    assert_eq!(t.control.permit(&mut t.server, t.now, peer()), 0);
    assert_eq!(t.server.held(), 1);
    assert_eq!(t.control.bind(&mut t.server, t.now, 0x4000, peer()), 400);
    let out = t
        .control
        .push(&mut t.server, t.now, &send_indication(peer(), b"x"));
    assert_eq!(out, None);
    assert_eq!(arrive(&mut t.server, t.now, peer(), t.relayed, b"x"), None);
}

/// req: TURNTCP-5.2-1, TURNTCP-5.2-3, TURNTCP-5.2-4
#[test]
fn a_connect_that_is_out_of_order_is_refused() {
    let mut t = Test::new();
    for peer in ["127.0.0.1:80", "10.0.0.1:80", "192.0.2.1:3478", "9.9.9.9:0"] {
        assert_eq!(t.connect(addr(peer)), Err(403), "{peer}");
    }
    assert_eq!(t.connect(t.relayed), Err(403), "its own relayed address");
    assert_eq!(t.connect(peer6()), Err(443));
    let answer = t.control.ask(&mut t.server, t.now, Method::CONNECT, |b| b);
    assert_eq!(answer.code(), 400);
    assert_eq!(t.server.connections(), 0);
    // No allocation, and one that relays datagrams.
    let mut other = over(Transport::Tcp, addr("198.51.100.7:1"));
    for _ in 0..2 {
        let answer = other.ask(&mut t.server, t.now, Method::CONNECT, |b| {
            b.with(&XorPeerAddress(peer()))
        });
        assert_eq!(answer.code(), 437);
        if t.server.allocations() == 1 {
            other.allocate(&mut t.server, t.now);
        }
    }
    let mut bob = Asker::user(home(), "bob", "tr0ub4dor");
    bob.path.transport = Transport::Tcp;
    let answer = bob.ask(&mut t.server, t.now, Method::CONNECT, |b| {
        b.with(&XorPeerAddress(peer()))
    });
    assert_eq!(answer.code(), 441);
}

/// req: TURNTCP-5.2-2
#[test]
fn one_peer_has_one_connection() {
    let mut t = Test::new();
    let id = t.connect(peer()).unwrap();
    assert_eq!(t.connect(peer()), Err(446), "in progress");
    t.server.connected(t.now, id, true);
    assert_eq!(t.told().unwrap().code(), 0);
    assert_eq!(t.connect(peer()), Err(446), "pending");
    assert_eq!(t.bind(id).0, 0);
    events(&mut t.server);
    assert_eq!(t.connect(peer()), Err(446), "active");
    let other = t.connect(other_peer()).unwrap();
    assert_ne!(other, id);
    t.server.disconnected(id);
    assert!(t.connect(peer()).is_ok());
}

/// req: TURNTCP-5.2-5, TURNTCP-5.2-6
#[test]
fn a_connection_that_fails_or_takes_30_seconds_is_a_timeout() {
    let mut t = Test::new();
    let id = t.connect(peer()).unwrap();
    t.server.connected(t.now, id, false);
    let answer = t.told().unwrap();
    assert_eq!(answer.code(), 447);
    assert!(t.control.auth.verify(&answer.message()));
    let id = t.connect(peer()).unwrap();
    assert_eq!(t.server.poll_timeout(), Some(t.now + secs(30)));
    t.now += millis(29_999);
    t.timeouts();
    assert!(t.told().is_none());
    t.now += millis(1);
    t.timeouts();
    assert_eq!(t.told().unwrap().code(), 447);
    let given_up = ServerEvent::Disconnect { connection: id };
    assert_eq!(events(&mut t.server), [given_up]);
    t.server.connected(t.now, id, true);
    assert!(t.told().is_none(), "too late");
    assert_eq!(t.server.connections(), 0);
}

/// req: TURNTCP-5.2-8, TURNTCP-5.2-9
#[test]
fn a_connection_that_nobody_binds_is_closed_after_30_seconds() {
    let mut t = Test::new();
    t.now += secs(7);
    let one = t.connected(peer());
    let two = t.connected(other_peer());
    assert_ne!(one, two);
    t.now += millis(29_999);
    t.timeouts();
    assert_eq!(events(&mut t.server), []);
    assert_eq!(t.bind(two).0, 0);
    events(&mut t.server);
    t.now += millis(1);
    t.timeouts();
    assert_eq!(
        events(&mut t.server),
        [ServerEvent::Disconnect { connection: one }]
    );
    assert_eq!(t.bind(one).0, 400);
    assert_eq!(t.server.connections(), 1);
}

/// req: TURNTCP-5.3-1, TURNTCP-5.3-3, TURNTCP-5.3-4, TURNTCP-5.3-5
#[test]
fn a_peer_that_is_permitted_may_connect() {
    let mut t = Test::new();
    assert_eq!(t.server.accept(t.now, t.relayed, peer()), None);
    assert!(t.told().is_none(), "no permission, no indication");
    assert_eq!(t.control.permit(&mut t.server, t.now, peer()), 0);
    assert_eq!(t.server.accept(t.now, t.relayed, other_peer()), None);
    let id = t.server.accept(t.now, t.relayed, peer()).unwrap();
    let told = t.told().unwrap();
    let message = told.message();
    assert_eq!(message.class(), Class::Indication);
    assert_eq!(message.method(), Method::CONNECTION_ATTEMPT);
    assert_eq!(message.get().unwrap(), Some(XorPeerAddress(peer())));
    assert_eq!(message.get().unwrap(), Some(ConnectionId(id)));
    let (code, client) = t.bind(id);
    assert_eq!(code, 0);
    let splice = ServerEvent::Splice {
        connection: id,
        client,
    };
    assert_eq!(events(&mut t.server), [splice]);
    // Another port of the same host, which nobody binds.
    let from = SocketAddr::new(peer().ip(), 6001);
    let id = t.server.accept(t.now, t.relayed, from).unwrap();
    t.told();
    t.now += secs(30);
    t.timeouts();
    assert_eq!(
        events(&mut t.server),
        [ServerEvent::Disconnect { connection: id }]
    );
    // The permission ends as any other.
    t.now += secs(270);
    assert_eq!(t.server.accept(t.now, t.relayed, from), None);
}

/// req: TURNTCP-5.4-1, TURNTCP-5.4-2
#[test]
fn a_connection_is_bound_once_by_its_user_over_a_new_connection() {
    let mut t = Test::new();
    let id = t.connected(peer());
    let rows = [
        over(Transport::Udp, addr("198.51.100.5:9")),
        over(Transport::Tcp, home()), // the control connection
    ];
    for asker in rows {
        assert_eq!(t.bind_by(asker, id).0, 400);
    }
    assert_eq!(t.bind(id.wrapping_add(1)).0, 400);
    let mut none = over(Transport::Tcp, addr("198.51.100.5:9"));
    let answer = none.ask(&mut t.server, t.now, Method::CONNECTION_BIND, |b| b);
    assert_eq!(answer.code(), 400);
    let mut bob = Asker::user(addr("198.51.100.5:10"), "bob", "tr0ub4dor");
    bob.path.transport = Transport::Tcp;
    assert_eq!(t.bind_by(bob, id).0, 441);
    assert_eq!(events(&mut t.server), []);
    let (code, client) = t.bind_by(over(Transport::Tls, addr("198.51.100.5:11")), id);
    assert_eq!(code, 0);
    let splice = ServerEvent::Splice {
        connection: id,
        client,
    };
    assert_eq!(events(&mut t.server), [splice]);
    assert_eq!(t.bind(id).0, 400, "once");
    let still_connecting = t.connect(other_peer()).unwrap();
    assert_eq!(t.bind(still_connecting).0, 400);
}

/// req: TURNTCP-5.5-1
#[test]
fn the_end_of_an_allocation_is_the_end_of_its_connections() {
    for released in [true, false] {
        let mut t = Test::new();
        let joined = t.connected(peer());
        t.bind(joined);
        events(&mut t.server);
        if released {
            let pending = t.connected(other_peer());
            let connecting = t.connect(addr("9.9.9.10:1")).unwrap();
            let answer = t
                .control
                .message(Method::REFRESH, &|b| b.with(&Lifetime(0)));
            let _ = feed(&mut t.server, t.now, t.control.path, &answer);
            assert_eq!(t.told().unwrap().code(), 447, "the Connect that waits");
            assert_eq!(t.told().unwrap().code(), 0);
            let mut gone: Vec<_> = events(&mut t.server);
            assert!(matches!(gone.pop(), Some(ServerEvent::RelayClosed { .. })));
            for connection in [joined, pending, connecting] {
                assert!(gone.contains(&ServerEvent::Disconnect { connection }));
            }
            assert_eq!(gone.len(), 3);
        } else {
            t.now += secs(600);
            t.timeouts();
            let gone = events(&mut t.server);
            assert!(gone.contains(&ServerEvent::Disconnect { connection: joined }));
        }
        assert_eq!((t.server.connections(), t.server.held()), (0, 0));
        assert_eq!(t.server.poll_timeout(), None);
    }
}

/// Nobody can use what hangs on a connection that is gone.
#[test]
fn a_lost_control_connection_ends_its_allocation() {
    let mut t = Test::new();
    let id = t.connected(peer());
    t.server.client_closed(t.now, t.control.path);
    assert_eq!((t.server.allocations(), t.server.connections()), (0, 0));
    let closed = events(&mut t.server);
    assert!(closed.contains(&ServerEvent::Disconnect { connection: id }));
    assert!(closed.contains(&ServerEvent::RelayClosed {
        relayed: t.relayed,
        client: t.control.path,
        cause: CloseCause::Disconnected,
    }));
}

/// Attack 28 for connections.
#[test]
fn connections_are_bounded() {
    let mut config = tcp_config();
    config.limits.connections = 3;
    config.limits.all_connections = 4;
    let mut t = Test::with(config);
    for n in 0..5u16 {
        let made = t.connect(SocketAddr::new(peer().ip(), 1 + n));
        assert_eq!(made.err(), (n >= 3).then_some(508));
    }
    assert_eq!(t.control.permit(&mut t.server, t.now, peer()), 0);
    assert_eq!(t.server.accept(t.now, t.relayed, peer()), None);
    let mut other = over(Transport::Tcp, addr("198.51.100.7:1"));
    let answer = other.ask(&mut t.server, t.now, Method::ALLOCATE, tcp);
    let relayed = answer.relayed();
    assert_eq!(other.permit(&mut t.server, t.now, peer()), 0);
    assert!(t.server.accept(t.now, relayed, peer()).is_some());
    assert_eq!(t.server.accept(t.now, relayed, addr("9.9.9.9:1")), None);
    assert_eq!(t.server.connections(), 4);
}

/// Where TCP is not relayed, its methods are foreign.
#[test]
fn without_tcp_its_methods_are_dropped() {
    let (mut server, now) = server();
    let mut asker = over(Transport::Tcp, home());
    for method in [Method::CONNECT, Method::CONNECTION_BIND] {
        let request = asker.message(method, &|b| b);
        let reason = dropped(feed(&mut server, now, asker.path, &request));
        assert_eq!(reason, DropReason::Unsupported);
    }
}

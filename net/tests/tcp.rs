//! TURN over TCP on real sockets, loopback only.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use floe_ice::{Config, Event as Ice, FailureCause, GatheringError, Role, TurnServer};
use floe_net::{Agent, Connection, Event, Server, ServerEvent, StreamLimits};
use floe_peer::DescriptionKind;
use floe_sansio::Transport;
use floe_stun::{
    Builder, Class, Credentials, Key, KeyDerivation, Message, MessageType, Method, TransactionId,
    User, UserAnswer, UserQuery, Users, XorMappedAddress,
};
use floe_turn::{AllocateError, CloseCause, UserBase};
use support::*;

fn over_tcp(server: SocketAddr, password: &str) -> TurnServer {
    TurnServer::new(server, Credentials::new(USER, password)).over_tcp()
}

/// Relayed candidates only, over TCP.
fn tcp_config(role: Role, ip: &str, server: SocketAddr, password: &str) -> Config {
    let mut config = relay_config(role, ip, server, password);
    config.turn_servers = vec![over_tcp(server, password)];
    config
}

/// Gathers to the end: how many candidates there were, and what failed.
async fn gather(config: Config) -> (Agent, usize, Vec<(Transport, GatheringError)>) {
    let mut agent = Agent::bind(config).unwrap();
    agent.command(floe_ice::Agent::gather);
    let (mut candidates, mut failures) = (0, Vec::new());
    loop {
        match within(8, agent.next()).await {
            Event::Machine(Ice::LocalCandidate(_)) => candidates += 1,
            Event::Machine(Ice::GatheringFailed {
                transport, cause, ..
            }) => failures.push((transport, cause)),
            Event::Machine(Ice::GatheringComplete) => return (agent, candidates, failures),
            other => panic!("not for its owner: {other:?}"),
        }
    }
}

#[tokio::test]
async fn data_goes_through_relays_over_tcp_on_both_sides() {
    for ip in ["127.0.0.1", "::1"] {
        let server = Running::start(server_config(ip));
        let config = |role| tcp_config(role, ip, server.address, PASSWORD);
        let (mut a, mut b) = pair_of_agents(config(Role::Controlling), config(Role::Controlled));
        within(10, connect(&mut a, &mut b)).await.unwrap();
        talk(&mut a, &mut b).await;
        // A datagram as long as there can be through a relay.
        let long = vec![7; 60_000];
        a.send(&long).unwrap();
        assert!(within(5, hear(&mut b, &mut a)).await == long);
        assert_eq!(a.counters().refused, 0);
        within(2, a.close()).await;
        within(2, b.close()).await;
        eventually("both have let go", || {
            let ended = |event: &&ServerEvent| matches!(event, ServerEvent::Ended { cause, .. } if *cause == CloseCause::Released);
            server.events().iter().filter(ended).count() == 2
        })
        .await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_relay_over_tcp_reaches_one_over_udp() {
    let server = Running::start(server_config("127.0.0.1"));
    let one = tcp_config(Role::Controlled, "127.0.0.1", server.address, PASSWORD);
    let two = relay_config(Role::Controlling, "127.0.0.1", server.address, PASSWORD);
    let (mut a, mut b) = pair_of_agents(one, two);
    within(10, connect(&mut a, &mut b)).await.unwrap();
    talk(&mut a, &mut b).await;
    server.stop().await;
}

#[tokio::test]
async fn offer_and_answer_connect_through_relays_over_tcp() {
    let server = Running::start(server_config("127.0.0.1"));
    let peer = || {
        let identity = floe_peer::DtlsIdentity {
            fingerprints: vec![floe_peer::Fingerprint::sha256([7; 32])],
            setup: floe_peer::Setup::Actpass,
            tls_id: None,
        };
        let mut config = floe_peer::Config::data_channel(identity);
        config.addresses = vec![any("127.0.0.1")];
        config.policy = floe_peer::Policy::Relay;
        config.turn_servers = vec![over_tcp(server.address, PASSWORD)];
        Connection::bind(config).unwrap()
    };
    let (mut a, mut b) = (peer(), peer());
    let (offer, answer) = (DescriptionKind::Offer, DescriptionKind::Answer);
    let text = a.command(|peer, now| {
        let text = peer.create_offer(now).unwrap();
        peer.set_local_description(now, offer, &text).unwrap();
        text
    });
    let text = b.command(|peer, now| {
        peer.set_remote_description(now, offer, text.as_bytes())
            .unwrap();
        let text = peer.create_answer(now).unwrap();
        peer.set_local_description(now, answer, &text).unwrap();
        text
    });
    a.command(|peer, now| {
        peer.set_remote_description(now, answer, text.as_bytes())
            .unwrap();
    });
    let connected = async {
        let mut selected = [false; 2];
        while selected != [true; 2] {
            let (at, event) = tokio::select! {
                event = a.next() => (0, event),
                event = b.next() => (1, event),
            };
            let other = if at == 0 { &mut b } else { &mut a };
            match event {
                Event::Machine(floe_peer::Event::Candidate(candidate)) => {
                    other.command(|peer, now| peer.add_ice_candidate(now, &candidate).unwrap());
                }
                Event::Machine(floe_peer::Event::Selected(_)) => selected[at] = true,
                _ => {}
            }
        }
    };
    within(10, connected).await;
    server.stop().await;
}

#[tokio::test]
async fn what_keeps_a_connection_from_giving_a_relay_is_told() {
    let server = Running::start(server_config("127.0.0.1"));
    let config = |password| {
        let role = Role::Controlling;
        tcp_config(role, "127.0.0.1", server.address, password)
    };
    let (_, candidates, failures) = gather(config("wrong")).await;
    let refused = GatheringError::Allocation(AllocateError::Refused);
    assert_eq!((candidates, failures), (0, vec![(Transport::Tcp, refused)]));

    // This driver has no TLS.
    let mut tls = config(PASSWORD);
    tls.turn_servers = vec![over_tcp(server.address, PASSWORD).over_tls()];
    let (_, _, failures) = gather(tls).await;
    assert_eq!(failures, [(Transport::Tls, GatheringError::Stream)]);

    // Nobody listens.
    let held = TcpListener::bind(any("127.0.0.1")).unwrap();
    let address = held.local_addr().unwrap();
    drop(held);
    let config = tcp_config(Role::Controlling, "127.0.0.1", address, PASSWORD);
    let (_, _, failures) = gather(config).await;
    assert_eq!(failures, [(Transport::Tcp, GatheringError::Stream)]);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_dies_loses_its_allocation_at_once() {
    let server = Running::start(server_config("127.0.0.1"));
    let config = tcp_config(Role::Controlling, "127.0.0.1", server.address, PASSWORD);
    let (agent, candidates, _) = gather(config).await;
    assert_eq!(candidates, 1);
    drop(agent);
    eventually("the server has noticed", || {
        let lost = |event: &ServerEvent| matches!(event, ServerEvent::Ended { cause, .. } if *cause == CloseCause::Disconnected);
        server.events().iter().any(lost)
    })
    .await;
    let events = server.stop().await;
    assert!(events[1].to_string().contains("connection has ended"));
}

#[tokio::test]
async fn an_agent_whose_server_dies_has_lost_its_relay() {
    let server = Running::start(server_config("127.0.0.1"));
    let config = |role| tcp_config(role, "127.0.0.1", server.address, PASSWORD);
    let (mut a, mut b) = pair_of_agents(config(Role::Controlling), config(Role::Controlled));
    within(10, connect(&mut a, &mut b)).await.unwrap();
    server.stop().await;
    let failed = async {
        loop {
            if let Event::Machine(Ice::Failed(cause)) = a.next().await {
                return cause;
            }
        }
    };
    assert_eq!(within(5, failed).await, FailureCause::RelayLost);
}

// ---- the server ----------------------------------------------------------------------------

fn stream(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream
}

fn is_closed(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 2000]), Ok(1..))
}

fn request(method: Method) -> Vec<u8> {
    let mut buffer = [0; 64];
    let kind = MessageType::new(Class::Request, method);
    let builder = Builder::new(&mut buffer, kind, TransactionId([7; 12]));
    builder.with_fingerprint().finish_bytes().unwrap().to_vec()
}

/// Whether a Binding request is answered over TCP; blocks.
fn answers(server: SocketAddr) -> bool {
    let mut stream = stream(server);
    // In two pieces.
    let bytes = request(Method::BINDING);
    stream.write_all(&bytes[..9]).unwrap();
    stream.write_all(&bytes[9..]).unwrap();
    let mut buffer = [0; 200];
    let Ok(len @ 1..) = stream.read(&mut buffer) else {
        return false;
    };
    let response = Message::parse(&buffer[..len]).unwrap();
    let XorMappedAddress(seen) = response.get().unwrap().unwrap();
    seen == stream.local_addr().unwrap()
}

/// A server in a task, with these bounds on connections.
struct Bounded {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Bounded {
    fn start(limits: Option<StreamLimits>) -> Self {
        let mut server = Server::bind_with(server_config("127.0.0.1"), limits).unwrap();
        let address = server.local_addr();
        let task = tokio::spawn(async move {
            loop {
                drop(server.next().await);
            }
        });
        Self { address, task }
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn blocking<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    within(20, tokio::task::spawn_blocking(what)).await.unwrap()
}

#[tokio::test]
async fn binding_requests_are_answered_over_tcp() {
    let server = Bounded::start(Some(StreamLimits::default()));
    let address = server.address;
    assert!(blocking(move || answers(address)).await);
}

#[tokio::test]
async fn where_tcp_is_not_wanted_nobody_listens() {
    let server = Bounded::start(None);
    let error = TcpStream::connect(server.address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn relaying_tcp_is_refused_at_the_start() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let mut config = server_config("127.0.0.1");
    config.tcp = true;
    let error = Server::bind(config).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_listener_that_cannot_be_had_for_tcp_is_named() {
    // Free for UDP.
    let held = TcpListener::bind(any("127.0.0.1")).unwrap();
    let address = held.local_addr().unwrap();
    let mut config = server_config("127.0.0.1");
    config.listeners = vec![address];
    let error = Server::bind(config.clone()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(Server::bind_with(config, None).is_ok());
}

/// Attacks 22 to 24 of a STUN/TURN server: slow, idle, too many, and none of its protocols.
#[tokio::test]
async fn connections_that_come_to_nothing_are_closed() {
    let limits = StreamLimits {
        unproven: Duration::from_millis(300),
        per_address: 8,
        ..StreamLimits::default()
    };
    let server = Bounded::start(Some(limits));
    let config = tcp_config(Role::Controlling, "127.0.0.1", server.address, PASSWORD);
    let (mut agent, candidates, _) = gather(config).await;
    assert_eq!(candidates, 1);
    let address = server.address;
    let hostile = blocking(move || {
        // Nothing, a piece, and what is answered with a challenge.
        let mut idle = stream(address);
        let mut slow = stream(address);
        slow.write_all(&[0]).unwrap();
        let mut stranger = stream(address);
        stranger.write_all(&request(Method::ALLOCATE)).unwrap();
        let mut challenge = [0; 500];
        assert!(stranger.read(&mut challenge).unwrap() > 20);
        let mut web = stream(address);
        web.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
            .unwrap();
        assert!(is_closed(&mut web));
        for mut stream in [idle.try_clone().unwrap(), slow, stranger] {
            assert!(is_closed(&mut stream));
        }
        assert!(is_closed(&mut idle));
        // As many as may be, and one more.
        let mut many: Vec<_> = (0..8).map(|_| stream(address)).collect();
        let last = many.last_mut().unwrap();
        let begun = std::time::Instant::now();
        assert!(is_closed(last), "it is the ninth, with the agent's");
        assert!(begun.elapsed() < Duration::from_millis(200), "at once");
    });
    // The agent is served all the while, and longer than a stranger.
    let alive = async {
        loop {
            let ended = agent.next().await;
            assert!(!matches!(
                ended,
                Event::Machine(Ice::GatheringFailed { .. })
            ));
        }
    };
    tokio::select! {
        () = hostile => {}
        () = alive => {}
    }
    assert!(agent.machine().local_candidates().next().is_some());
    assert!(
        blocking(move || {
            std::thread::sleep(Duration::from_millis(400));
            answers(address)
        })
        .await
    );
}

#[tokio::test]
async fn garbage_over_tcp_harms_nobody() {
    let server = Running::start(server_config("127.0.0.1"));
    let config = |role| tcp_config(role, "127.0.0.1", server.address, PASSWORD);
    let (mut a, mut b) = pair_of_agents(config(Role::Controlling), config(Role::Controlled));
    within(10, connect(&mut a, &mut b)).await.unwrap();
    let address = server.address;
    blocking(move || {
        let mut entropy = floe_sansio::Entropy::new([5; 32]);
        for len in 0..200 {
            let mut stream = stream(address);
            let mut garbage = vec![0; len * 7];
            entropy.fill(&mut garbage);
            if len % 2 == 0 {
                // The beginning of a real one.
                garbage.splice(0..0, request(Method::ALLOCATE));
            }
            // It may be closed before all is written.
            let _ = stream.write_all(&garbage);
        }
    })
    .await;
    talk(&mut a, &mut b).await;
    assert!(blocking(move || answers(address)).await);
    assert_eq!(server.relayed().len(), 2);
    server.stop().await;
}

/// Users that somebody else knows.
struct Elsewhere;

impl Users for Elsewhere {
    fn find(&self, _: &UserQuery<'_>) -> UserAnswer {
        UserAnswer::Later
    }
}

#[tokio::test]
async fn users_can_be_looked_up_elsewhere() {
    for known in [true, false] {
        let mut config = server_config("127.0.0.1");
        config.user_base = Some(UserBase::new(Elsewhere));
        let mut server = Server::bind(config).unwrap();
        let address = server.local_addr();
        let served = async {
            loop {
                if let ServerEvent::UserWanted(wanted) = server.next().await {
                    assert_eq!(wanted.name.as_deref(), Ok(USER));
                    let key = match wanted.derivation {
                        KeyDerivation::Sha256 => Key::long_term_sha256,
                        KeyDerivation::Md5 => Key::long_term,
                    };
                    let key = key(USER, "example.org", PASSWORD);
                    let user = User { id: 1, key };
                    server.answer_user(wanted.ticket, known.then_some(user));
                }
            }
        };
        let gathered = async {
            for config in [
                relay_config(Role::Controlling, "127.0.0.1", address, PASSWORD),
                tcp_config(Role::Controlling, "127.0.0.1", address, PASSWORD),
            ] {
                let (_, candidates, _) = gather(config).await;
                assert_eq!(candidates, usize::from(known));
            }
        };
        tokio::select! {
            () = served => {}
            () = gathered => {}
        }
    }
}

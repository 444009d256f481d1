//! The server on real sockets, loopback only.

mod support;

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use floe_ice::{Config, Event as Ice, Role};
use floe_net::{Agent, Event, Server, ServerEvent};
use floe_stun::{Builder, Class, Message, MessageType, Method, TransactionId, XorMappedAddress};
use floe_turn::CloseCause;
use support::*;

fn binding_request(id: u8) -> Vec<u8> {
    let mut buffer = [0; 64];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let builder = Builder::new(&mut buffer, kind, TransactionId([id; 12]));
    builder.with_fingerprint().finish_bytes().unwrap().to_vec()
}

/// What the server says to a Binding request, asked from a plain socket in a thread that may block.
async fn ask(server: std::net::SocketAddr) -> io::Result<bool> {
    let asked = tokio::task::spawn_blocking(move || {
        let socket = plain_socket(&server.ip().to_string())?;
        socket.send_to(&binding_request(7), server)?;
        let mut buffer = [0; 200];
        let (len, from) = socket.recv_from(&mut buffer)?;
        let response = Message::parse(&buffer[..len]).unwrap();
        let XorMappedAddress(seen) = response.get().unwrap().unwrap();
        Ok(from == server && seen == socket.local_addr()?)
    });
    asked.await.unwrap()
}

/// Gathers, until a relayed candidate is there or gathering has ended.
async fn gather(config: Config) -> (Agent, bool) {
    let mut agent = Agent::bind(config).unwrap();
    agent.command(floe_ice::Agent::gather);
    loop {
        match agent.next().await {
            Event::Machine(Ice::LocalCandidate(_)) => return (agent, true),
            Event::Machine(Ice::GatheringComplete) => return (agent, false),
            _ => {}
        }
    }
}

#[tokio::test]
async fn binding_requests_are_answered_on_every_listener() {
    let mut config = server_config("127.0.0.1");
    config.listeners.push(any("::1"));
    let mut server = Server::bind(config).unwrap();
    let listeners = server.listeners().to_vec();
    assert_eq!(listeners.len(), 2);
    let served = tokio::spawn(async move { server.next().await });
    for listener in listeners {
        assert!(ask(listener).await.unwrap());
    }
    served.abort();
}

/// Any task of a runtime with several threads can serve and connect.
#[test]
fn drivers_and_their_futures_can_move_between_threads() {
    fn assert_send<T: Send>(_: impl FnOnce(T)) {}
    fn assert_future_is_send<T: 'static>(
        _: impl FnOnce(&'static mut T) -> Box<dyn Future<Output = ()> + Send>,
    ) {
    }
    assert_send(|_: Server| {});
    assert_send(|_: Agent| {});
    assert_future_is_send(|server: &mut Server| Box::new(async { drop(server.next().await) }));
    assert_future_is_send(|agent: &mut Agent| Box::new(async { drop(agent.next().await) }));
}

#[tokio::test]
async fn an_allocation_is_told_and_ended_at_shutdown() {
    let server = Running::start(server_config("127.0.0.1"));
    let config = relay_config(Role::Controlling, "127.0.0.1", server.address, PASSWORD);
    let (agent, gathered) = within(5, gather(config)).await;
    assert!(gathered);
    let relayed = server.relayed()[0];
    // The address is bound while it lives, and free afterwards.
    let taken = UdpSocket::bind(relayed).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);

    let address = server.address;
    let events = server.stop().await;
    let client = agent.addresses()[0];
    let allocated = ServerEvent::Allocated {
        relayed,
        client,
        username: USER.into(),
    };
    let cause = CloseCause::Closed;
    let ended = ServerEvent::Ended {
        relayed,
        client,
        cause,
    };
    assert_eq!(events, [allocated, ended]);
    UdpSocket::bind(relayed).unwrap();
    UdpSocket::bind(address).unwrap();
    for event in &events {
        let line = event.to_string();
        assert!(
            line.contains(&relayed.to_string()) && !line.contains(PASSWORD),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_port_that_somebody_holds_is_passed_over() {
    // Two neighbouring ports, one of them taken.
    let (taken, free) = loop {
        let taken = UdpSocket::bind(any("127.0.0.1")).unwrap();
        let port = taken.local_addr().unwrap().port();
        let Some(next) = port.checked_add(1) else {
            continue;
        };
        if UdpSocket::bind(("127.0.0.1", next)).is_ok() {
            break (taken, next);
        }
    };
    let mut config = server_config("127.0.0.1");
    config.ports = free - 1..=free;
    let server = Running::start(config);
    for _ in 0..4 {
        let mut config = relay_config(Role::Controlling, "127.0.0.1", server.address, PASSWORD);
        // Before the client would have asked again.
        config.gathering_limit = Duration::from_millis(450);
        let (agent, gathered) = within(5, gather(config)).await;
        assert!(gathered);
        agent.close().await;
    }
    assert!(
        server
            .relayed()
            .iter()
            .all(|relayed| relayed.port() == free)
    );

    // With none left the client is not told one that it does not have.
    drop(taken);
    let all: Vec<_> = (free - 1..=free)
        .map(|port| UdpSocket::bind(("127.0.0.1", port)))
        .collect();
    let made = server.relayed().len();
    let mut config = relay_config(Role::Controlling, "127.0.0.1", server.address, PASSWORD);
    config.gathering_limit = Duration::from_millis(300);
    let (_agent, gathered) = within(5, gather(config)).await;
    assert!(!gathered);
    let is_refusal = |event: &ServerEvent| matches!(event, ServerEvent::NotBound { .. });
    assert!(server.events().iter().any(is_refusal));
    assert_eq!(server.relayed().len(), made);
    drop(all);
    assert!(ask(server.address).await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_at_the_start() {
    let mut config = server_config("127.0.0.1");
    config.listeners.clear();
    let error = Server::bind(config).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);

    for (relay, kind) in [
        ("192.0.2.77", io::ErrorKind::AddrNotAvailable),
        ("0.0.0.0", io::ErrorKind::InvalidInput),
    ] {
        let mut config = server_config("127.0.0.1");
        config.relay_ips = vec![relay.parse().unwrap()];
        let error = Server::bind(config).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(relay), "{error}");
    }

    let held = UdpSocket::bind(any("127.0.0.1")).unwrap();
    let mut config = server_config("127.0.0.1");
    config.listeners = vec![held.local_addr().unwrap()];
    let error = Server::bind(config).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

/// Garbage, and every beginning of well-formed messages.
fn hostile_datagrams() -> Vec<Vec<u8>> {
    let mut entropy = floe_sansio::Entropy::new([5; 32]);
    let mut datagrams = vec![Vec::new(), vec![0xFF; 2000], vec![0; 1500]];
    for len in 0..100 {
        let mut garbage = vec![0; len];
        entropy.fill(&mut garbage);
        datagrams.push(garbage);
    }
    let mut buffer = [0; 200];
    let kind = MessageType::new(Class::Request, Method::ALLOCATE);
    let allocate = Builder::new(&mut buffer, kind, TransactionId([1; 12]))
        .with_fingerprint()
        .finish_bytes()
        .unwrap();
    let channel = [0x40, 0x00, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8];
    for whole in [&binding_request(1)[..], &allocate, &channel] {
        datagrams.extend((0..whole.len()).map(|len| whole[..len].to_vec()));
        for at in 0..whole.len() {
            let mut bent = whole.to_vec();
            bent[at] ^= 0xFF;
            datagrams.push(bent);
        }
    }
    datagrams
}

#[tokio::test]
async fn garbage_to_every_socket_harms_nothing() {
    let server = Running::start(server_config("127.0.0.1"));
    let config = |role| relay_config(role, "127.0.0.1", server.address, PASSWORD);
    let (mut a, mut b) = pair_of_agents(config(Role::Controlling), config(Role::Controlled));
    within(10, connect(&mut a, &mut b)).await.unwrap();

    let stranger = UdpSocket::bind(any("127.0.0.1")).unwrap();
    let targets: Vec<_> = (server.relayed().into_iter())
        .chain([server.address, a.addresses()[0], b.addresses()[0]])
        .collect();
    assert_eq!(targets.len(), 5);
    let datagrams = hostile_datagrams();
    for datagram in &datagrams {
        for target in &targets {
            stranger.send_to(datagram, target).unwrap();
        }
        // Also towards the one and from the other as if it were data of the connection.
        a.send(datagram).unwrap();
    }
    talk_through_noise(&mut a, &mut b).await;
    assert!(ask(server.address).await.unwrap());
    assert_eq!(server.relayed().len(), 2);
    within(2, a.close()).await;
}

/// What comes before the answer is noise; some of it is lost in full buffers.
async fn talk_through_noise(a: &mut Agent, b: &mut Agent) {
    let word = b"\xFFa word";
    let spoken = within(10, async {
        loop {
            a.send(word).unwrap();
            let heard = tokio::time::timeout(Duration::from_millis(500), async {
                while hear(b, a).await != word {}
            });
            if heard.await.is_ok() {
                return;
            }
        }
    });
    spoken.await;
}

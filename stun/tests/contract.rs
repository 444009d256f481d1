//! The contract of a state machine, kept by the Binding clients and their servers.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use floe_sansio::testing::{self, AnyMachine, Command, Runs, World};
use floe_sansio::{Entropy, FiveTuple, Instant, Transport};
use floe_stun::{
    Access, Authentication, Client, ClientConfig, ClientEvent, Credentials, LongTermClient,
    LongTermConfig, Redirect, Retransmission, Server, ServerConfig, ShortTermClient, StaticUsers,
};

fn client_address(number: usize) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 1 + number as u8].into(), 5000)
}

fn server_address(number: usize) -> SocketAddr {
    SocketAddr::new([198, 51, 100, 1 + number as u8].into(), 3478)
}

/// From client `number` to a server.
fn path(number: usize, server: usize, transport: Transport) -> FiveTuple {
    FiveTuple {
        transport,
        local: client_address(number),
        remote: server_address(server),
    }
}

/// Three clients of one server: at leisure, with keepalive and little patience, and over TCP.
struct Binding {
    clients: [Client; 3],
    server: Server,
}

fn config(number: usize) -> ClientConfig {
    let plain = ClientConfig::new(path(number, 0, Transport::Udp));
    match number {
        0 => plain,
        1 => ClientConfig {
            retransmission: Retransmission {
                rto: Duration::from_millis(100),
                count: 3,
                last: 4,
                ..Retransmission::default()
            },
            keepalive: Some(Duration::from_secs(2)),
            ..plain
        },
        _ => ClientConfig {
            keepalive: Some(Duration::from_secs(1)),
            ..ClientConfig::new(path(number, 0, Transport::Tcp))
        },
    }
}

fn waiting(clients: &[Client]) -> usize {
    let waiting = clients
        .iter()
        .filter(|client| client.poll_timeout().is_some());
    waiting.count()
}

impl World for Binding {
    /// A request or a pause of each client; nothing waits in the server.
    const MAX_RETAINED: usize = 3;
    const MAX_TRANSMITS: usize = 1;
    const MAX_POLLS: usize = 2;

    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut seeds = Entropy::new(seed);
        Self {
            clients: [0, 1, 2].map(|number| Client::new(config(number), seeds.seed(), now)),
            server: Server::new(seeds.seed(), now),
        }
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        let mut machines: Vec<(SocketAddr, &mut dyn AnyMachine)> = Vec::new();
        for (number, client) in self.clients.iter_mut().enumerate() {
            machines.push((client_address(number), client));
        }
        machines.push((server_address(0), &mut self.server));
        machines
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        let client = &mut self.clients[draw.below(3) as usize];
        if draw.below(8) == 0 {
            client.stop();
        } else {
            client.bind(now);
        }
        Command::Accepted
    }

    fn retained(&self) -> usize {
        waiting(&self.clients)
    }
}

#[test]
fn binding_clients_and_server_keep_the_contract() {
    let seen = testing::check::<Binding>(&Runs::default());
    assert!(seen.events > 1000 && seen.handled > 1000, "{seen:?}");
    assert_eq!(seen.retained, 3);
}

/// Clients by themselves with each kind of credentials, over UDP and TCP, and their servers: without
/// users, with each kind of users, and one that sends its users on to another.
struct Authenticated {
    clients: [Client; CLIENTS],
    servers: [Server; 4],
    /// The connections that clients have asked for.
    awaited: BTreeMap<usize, FiveTuple>,
}

const CLIENTS: usize = 8;
const REALM: &str = "example.org";

fn users() -> Access {
    let users = StaticUsers::new(REALM, &[Credentials::new("alice", "password")]);
    Access::LongTerm(LongTermConfig::new(REALM), Arc::new(users))
}

fn authenticated(number: usize) -> ClientConfig {
    let credentials = Credentials::new("alice", "password");
    let server = number / 2;
    let transport = [Transport::Udp, Transport::Tcp][number % 2];
    let authentication = match server {
        0 => Authentication::None,
        1 => Authentication::ShortTerm(ShortTermClient::new(&credentials)),
        _ => Authentication::LongTerm(LongTermClient::new(credentials)),
    };
    let standalone = ClientConfig::standalone(path(number, server, transport), None);
    ClientConfig {
        authentication,
        keepalive: Some(Duration::from_secs(3)),
        ..standalone
    }
}

fn server(number: usize) -> ServerConfig {
    ServerConfig {
        access: match number {
            0 => Access::Open,
            1 => Access::ShortTerm(vec![Credentials::new("alice", "password")]),
            _ => users(),
        },
        redirect: (number == 3).then(|| Redirect {
            ipv4: Some(SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 3), 3478)),
            ..Redirect::default()
        }),
        budget: None,
        ..ServerConfig::default()
    }
}

impl World for Authenticated {
    /// A request or a pause of each client; nothing waits in the servers.
    const MAX_RETAINED: usize = CLIENTS;
    const MAX_TRANSMITS: usize = 1;
    /// A connection is closed and another one asked for.
    const MAX_POLLS: usize = 3;

    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut seeds = Entropy::new(seed);
        let mut seed = || seeds.seed();
        Self {
            clients: core::array::from_fn(|number| Client::new(authenticated(number), seed(), now)),
            servers: core::array::from_fn(|number| {
                Server::with_config(server(number), seed(), now).unwrap()
            }),
            awaited: BTreeMap::new(),
        }
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        let mut machines: Vec<(SocketAddr, &mut dyn AnyMachine)> = Vec::new();
        for (number, client) in self.clients.iter_mut().enumerate() {
            machines.push((client_address(number), client));
        }
        for (number, server) in self.servers.iter_mut().enumerate() {
            machines.push((server_address(number), server));
        }
        machines
    }

    fn heard(&mut self, machine: usize, event: &dyn Any) {
        if let Some(ClientEvent::Connect { path }) = event.downcast_ref() {
            self.awaited.insert(machine, *path);
        }
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        let number = draw.below(CLIENTS as u32) as usize;
        let client = &mut self.clients[number];
        let awaited = self.awaited.get(&number).copied();
        match draw.below(16) {
            0 => client.stop(),
            1 => client.release(),
            2 => client.disconnected(now),
            3 => client.unreachable(now),
            4 => {
                return client
                    .connected(now, path(number, 0, Transport::Tls))
                    .into();
            }
            5..10 => {
                let Some(path) = awaited else {
                    return Command::None;
                };
                self.awaited.remove(&number);
                let connected = client.connected(now, path);
                if connected.is_err() {
                    self.awaited.insert(number, path);
                }
                return connected.into();
            }
            _ => client.bind(now),
        }
        Command::Accepted
    }

    fn retained(&self) -> usize {
        waiting(&self.clients)
    }
}

#[test]
fn clients_with_credentials_and_their_servers_keep_the_contract() {
    let seen = testing::check::<Authenticated>(&Runs::default());
    assert!(seen.events > 1000 && seen.handled > 1000, "{seen:?}");
    assert_eq!(seen.retained, CLIENTS);
}

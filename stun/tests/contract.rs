//! The contract of a state machine, kept by the Binding clients and their server.

use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::testing::{self, AnyMachine, Command, Runs, World};
use floe_sansio::{Entropy, FiveTuple, Instant, Transport};
use floe_stun::{Client, ClientConfig, Retransmission, Server};

/// Three clients of one server: at leisure, with keepalive and little patience, and over TCP.
struct Binding {
    clients: [Client; 3],
    server: Server,
}

fn client_address(number: usize) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 1 + number as u8].into(), 5000)
}

fn server_address() -> SocketAddr {
    "198.51.100.1:3478".parse().unwrap()
}

fn config(number: usize) -> ClientConfig {
    let path = FiveTuple::udp(client_address(number), server_address());
    let plain = ClientConfig::new(path);
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
            path: FiveTuple {
                transport: Transport::Tcp,
                ..path
            },
            keepalive: Some(Duration::from_secs(1)),
            ..plain
        },
    }
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
        machines.push((server_address(), &mut self.server));
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
        let waiting = self
            .clients
            .iter()
            .filter(|client| client.poll_timeout().is_some());
        waiting.count()
    }
}

#[test]
fn binding_clients_and_server_keep_the_contract() {
    let seen = testing::check::<Binding>(&Runs::default());
    assert!(seen.events > 1000 && seen.handled > 1000, "{seen:?}");
    assert_eq!(seen.retained, 3);
}

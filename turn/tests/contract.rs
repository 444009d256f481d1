//! The seven promises of the contract, kept by clients and server together.

mod support;

use std::any::Any;
use std::collections::VecDeque;
use std::net::SocketAddr;

use floe_sansio::testing::{self, AnyMachine, Command, Runs, World};
use floe_sansio::*;
use floe_stun::{Credentials, Protocol};
use floe_turn::{Client, ClientConfig, Server, ServerConfig, ServerEvent};
use support::*;

/// Sends everything back to where it came from.
struct Echo {
    out: VecDeque<Transmit>,
}

impl Machine for Echo {
    type Event = ();

    fn handle_input(&mut self, _: Instant, datagram: Datagram<'_>) -> Input {
        // Not what is STUN: a stray response must not go round for ever.
        if Protocol::of(datagram.payload()) == Protocol::Stun || datagram.payload().is_empty() {
            return Input::Dropped(DropReason::Unsupported);
        }
        self.out.push_back(Transmit {
            path: datagram.path,
            payload: datagram.payload().to_vec().into(),
        });
        Input::Handled
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

struct Relaying {
    clients: [Client; 2],
    server: Server,
    echo: Echo,
    relays: Vec<SocketAddr>,
}

const HOMES: [&str; 2] = ["198.51.100.5:40000", "198.51.100.6:40000"];

impl World for Relaying {
    const MAX_TRANSMITS: usize = 64;

    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        let mut config: ServerConfig = server_config();
        config.limits.permissions = 4;
        config.limits.channels = 4;
        config.limits.per_user = 2;
        let clients = HOMES.map(|home| {
            let path = FiveTuple::udp(addr(home), listener());
            let config = ClientConfig::new(path, Credentials::new(USER, PASSWORD));
            Client::new(config, entropy.seed(), now)
        });
        Self {
            clients,
            server: Server::new(config, entropy.seed(), now),
            echo: Echo {
                out: VecDeque::new(),
            },
            relays: Vec::new(),
        }
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        let [one, two] = &mut self.clients;
        vec![
            (addr(HOMES[0]), one),
            (addr(HOMES[1]), two),
            (listener(), &mut self.server),
            (peer(), &mut self.echo),
        ]
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        let client = &mut self.clients[draw.below(2) as usize];
        let peers = [peer(), addr("9.9.9.9:5001"), other_peer(), peer6()];
        let mut peer = peers[draw.below(4) as usize];
        if let (0, Some(&relay)) = (draw.below(4), self.relays.first()) {
            peer = relay;
        }
        match draw.below(12) {
            0 | 1 => client.allocate(now).into(),
            2 | 3 => client.create_permission(now, peer.ip()).into(),
            4 | 5 => client.bind_channel(now, peer).into(),
            6 if draw.below(8) == 0 => client.release(now).into(),
            7 => {
                let known = client.is_allocated();
                client.revoke(peer.ip());
                if known {
                    Command::Accepted
                } else {
                    Command::None
                }
            }
            _ => match client.wrap(peer, &draw.bytes::<9>()) {
                Ok(transmit) => Command::Sent(transmit),
                Err(_) => Command::Rejected,
            },
        }
    }

    fn retained(&self) -> usize {
        self.server.allocations() + self.server.held() + self.relays.len() + self.echo.out.len()
    }

    fn heard(&mut self, _: usize, event: &dyn Any) {
        match event.downcast_ref() {
            Some(ServerEvent::RelayOpened { relayed, .. }) => self.relays.push(*relayed),
            Some(ServerEvent::RelayClosed { relayed, .. }) => {
                self.relays.retain(|open| open != relayed);
            }
            _ => {}
        }
    }
}

#[test]
fn clients_and_server_keep_the_contract() {
    let tally = testing::check::<Relaying>(&Runs::default());
    assert!(tally.forwards > 1000 && tally.data > 100, "{tally:?}");
}

//! The contract of a state machine, kept by behaviour discovery and by servers of every kind.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floe_sansio::testing::{self, AnyMachine, Command, Runs, World};
use floe_sansio::{Entropy, Instant};
use floe_stun::discovery::{LifetimeSearch, SocketRole};
use floe_stun::{
    Access, AddressGrid, BehaviourService, Budget, Credentials, Discovery, DiscoveryConfig,
    DiscoveryEvent, LongTermConfig, Retransmission, Server, ServerConfig, StaticUsers,
};

fn server(number: usize) -> AddressGrid {
    let ip = |last| SocketAddr::from(([198, 51, 100, last + 10 * number as u8], 3478));
    let mut alternate = ip(2);
    alternate.set_port(3479);
    AddressGrid::new(ip(1), alternate).unwrap()
}

fn client(number: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + number as u8], 5000))
}

/// Three discoveries, each with a server: open, with users, and with one that knows nothing of RFC 5780 but
/// all of RFC 3489.
struct Discoveries {
    clients: [Discovery; 3],
    servers: [Server; 3],
    /// What was asked for.
    wanted: [Vec<(SocketRole, u16)>; 3],
    credentials: [bool; 3],
}

fn config(number: usize) -> DiscoveryConfig {
    let mut config = DiscoveryConfig::new(server(number).all()[0]);
    config.local = (number == 0).then(|| client(number));
    config.fingerprint = number == 1;
    config.retransmission = Retransmission {
        rto: Duration::from_millis(100),
        count: 3,
        last: 4,
        ..Retransmission::default()
    };
    config.lifetime = Some(LifetimeSearch {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(4),
        resolution: Duration::from_millis(100),
    });
    config
}

fn served(number: usize) -> ServerConfig {
    let behaviour = Some(BehaviourService::udp(server(number)));
    let users = || StaticUsers::new("floe.test", &[user()]);
    match number {
        0 => ServerConfig {
            behaviour,
            budget: Some(Budget {
                rate: 20,
                burst: 10,
                cells: 16,
            }),
            ..ServerConfig::default()
        },
        1 => ServerConfig {
            behaviour,
            access: Access::LongTerm(LongTermConfig::new("floe.test"), Arc::new(users())),
            ..ServerConfig::default()
        },
        _ => ServerConfig {
            classic: true,
            ..ServerConfig::default()
        },
    }
}

fn user() -> Credentials {
    Credentials::new("alice", "a long password")
}

impl World for Discoveries {
    /// A transaction or a pause of each discovery, and what it asked of its owner.
    const MAX_RETAINED: usize = 9;
    /// A request, and what opens the filter for it.
    const MAX_TRANSMITS: usize = 2;
    const MAX_POLLS: usize = 16;

    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut seeds = Entropy::new(seed);
        Self {
            clients: [0, 1, 2].map(|number| Discovery::new(config(number), seeds.seed(), now)),
            servers: [0, 1, 2]
                .map(|number| Server::with_config(served(number), seeds.seed(), now).unwrap()),
            wanted: Default::default(),
            credentials: [false; 3],
        }
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        let mut machines: Vec<(SocketAddr, &mut dyn AnyMachine)> = Vec::new();
        for (number, machine) in self.clients.iter_mut().enumerate() {
            machines.push((client(number), machine));
        }
        for (number, machine) in self.servers.iter_mut().enumerate() {
            machines.push((server(number).all()[0], machine));
        }
        machines
    }

    fn owner(&mut self, to: SocketAddr) -> Option<usize> {
        (0..3).find_map(|number| {
            let served = server(number).all().map(|address| address.ip());
            if client(number).ip() == to.ip() {
                Some(number)
            } else {
                served.contains(&to.ip()).then_some(number + 3)
            }
        })
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        let number = draw.below(3) as usize;
        let discovery = &mut self.clients[number];
        if draw.below(16) == 0 {
            // Not asked for, most of the time.
            let role = [SocketRole::Beside, SocketRole::Idle][draw.below(2) as usize];
            let opened = discovery.socket_opened(now, role, client(number));
            if opened.is_ok() {
                self.wanted[number].clear();
            }
            return opened.into();
        }
        if self.credentials[number] {
            self.credentials[number] = false;
            let user = (draw.below(8) > 0).then(user);
            return discovery.set_credentials(now, user).into();
        }
        let Some((role, port)) = self.wanted[number].pop() else {
            return Command::None;
        };
        if draw.below(4) == 0 {
            discovery.socket_refused(now, role).into()
        } else {
            let local = SocketAddr::new(client(number).ip(), port);
            discovery.socket_opened(now, role, local).into()
        }
    }

    fn retained(&self) -> usize {
        let waiting = |discovery: &&Discovery| discovery.poll_timeout().is_some();
        self.clients.iter().filter(waiting).count()
            + self.wanted.iter().map(Vec::len).sum::<usize>()
            + self.credentials.iter().filter(|&&asked| asked).count()
    }

    fn heard(&mut self, machine: usize, event: &dyn Any) {
        match event.downcast_ref() {
            Some(&DiscoveryEvent::OpenSocket { role, port }) => {
                self.wanted[machine].push((role, port));
            }
            Some(DiscoveryEvent::CredentialsNeeded) => self.credentials[machine] = true,
            _ => {}
        }
    }
}

#[test]
fn discoveries_and_their_servers_keep_the_contract() {
    let seen = testing::check::<Discoveries>(&Runs::default());
    assert!(seen.events > 1000 && seen.handled > 1000, "{seen:?}");
    assert!(seen.accepted > 100 && seen.rejected > 10, "{seen:?}");
}

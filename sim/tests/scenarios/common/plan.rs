//! What a world is built from.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use floe_ice::{Config, Role};
use floe_peer::{Credentials, TurnServer};
use floe_sim::{Link, Preset, SegmentId, Site, Topology};
use floe_turn::ServerConfig;

use super::{Variation, World, millis};

pub(super) const SERVER_PORT: u16 = 3478;
pub(super) const PEER_PORT: u16 = 50_000;
pub(super) const REALM: &str = "sim.floe";

pub(super) fn user() -> Credentials {
    Credentials::new("floe", "simulated")
}

/// Whom a plan asks what is different about the agent of a side.
type Configure = Box<dyn Fn(usize, &mut Config)>;

/// What a world is built from. The fields are there to be changed before [`Self::build`].
pub(crate) struct Plan {
    pub(crate) variation: Variation,
    /// What lies between each side and the core.
    pub(crate) sides: [Preset; 2],
    /// R: the round trip between the two access networks; the server is as far.
    pub(crate) round_trip: Duration,
    /// σ: what a signalling message takes, one way.
    pub(crate) signal_delay: Duration,
    /// Whether the agents know of the STUN server.
    pub(crate) stun: bool,
    /// Whether they know of the TURN server.
    pub(crate) turn: bool,
    /// What is different about the server.
    pub(crate) server: fn(&mut ServerConfig),
    /// How many addresses a side has whose packets vanish, beside the one that works; they are tried
    /// before it.
    pub(crate) dead_addresses: [usize; 2],
    /// How many addresses more a side has that work; they come after the first.
    pub(crate) further_addresses: [usize; 2],
    /// What each agent begins as; the side that offers controls if nothing is said.
    pub(crate) roles: Option<[Role; 2]>,
    /// How often each side sends a datagram of media, once it can.
    pub(crate) media: Option<Duration>,
    configure: Configure,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} × {}: {}",
            self.sides[0], self.sides[1], self.variation
        )
    }
}

impl Plan {
    /// 40 ms round trip, 30 ms signalling, no servers, no media.
    pub(super) fn new(variation: Variation, sides: [Preset; 2]) -> Self {
        Self {
            variation,
            sides,
            round_trip: millis(40),
            signal_delay: millis(30),
            stun: false,
            turn: false,
            server: |_| {},
            dead_addresses: [0; 2],
            further_addresses: [0; 2],
            roles: None,
            media: None,
            configure: Box::new(|_, _| {}),
        }
    }

    /// The agents know of the STUN server.
    pub(crate) fn with_stun(mut self) -> Self {
        self.stun = true;
        self
    }

    /// The agents know of the STUN and TURN server.
    pub(crate) fn with_turn(mut self) -> Self {
        self.turn = true;
        self.with_stun()
    }

    pub(crate) fn with_roles(mut self, roles: [Role; 2]) -> Self {
        self.roles = Some(roles);
        self
    }

    pub(crate) fn with_media(mut self, every: Duration) -> Self {
        self.media = Some(every);
        self
    }

    /// What is different about the agents.
    pub(crate) fn configured(mut self, configure: impl Fn(usize, &mut Config) + 'static) -> Self {
        self.configure = Box::new(configure);
        self
    }

    /// The world at time zero: nobody has done anything yet.
    pub(crate) fn build(&self) -> World {
        World::new(self)
    }

    /// The world, with the offer on its way.
    pub(crate) fn start(&self) -> World {
        let mut world = self.build();
        world.offer();
        world
    }

    /// The world after both sides have selected a pair, or have failed.
    pub(crate) fn settled(&self) -> World {
        let mut world = self.start();
        world.settle();
        world
    }

    pub(super) fn topology(&self) -> (Topology, [floe_sim::HostId; 4], [Site; 2]) {
        let mut world = Topology::new();
        world.set_link(
            SegmentId::CORE,
            Link::IDEAL.with_loss(self.variation.loss()),
        );
        let access = Site::public(Link::delay(self.round_trip / 4));
        let sites = [
            world.preset("nat-0", access, self.sides[0]),
            world.preset("nat-1", access, self.sides[1]),
        ];
        let hosts = [0, 1].map(|side| world.host(["zero", "one"][side], sites[side]));
        for side in [0, 1] {
            for _ in 0..self.dead_addresses[side] {
                let nowhere = Link::IDEAL.with_loss(floe_sim::Probability::ALWAYS);
                world.interface(hosts[side], sites[side].with_link(nowhere));
            }
            for _ in 0..self.further_addresses[side] {
                world.interface(hosts[side], sites[side]);
            }
        }
        let server = world.host("server", access);
        let stranger = world.host("stranger", access);
        (world, [hosts[0], hosts[1], server, stranger], sites)
    }

    pub(super) fn config(
        &self,
        side: usize,
        addresses: &[SocketAddr],
        server: SocketAddr,
    ) -> Config {
        let offers = side == self.variation.offerer;
        let role = match self.roles {
            Some(roles) => roles[side],
            None if offers => Role::Controlling,
            None => Role::Controlled,
        };
        let mut config = Config::new(role);
        // The first address works; the dead ones are tried before it.
        let dead = self.dead_addresses[side];
        config.addresses = addresses[1..=dead].to_vec();
        config.addresses.push(addresses[0]);
        config.addresses.extend(&addresses[1 + dead..]);
        if self.stun {
            config.stun_servers = vec![server];
        }
        if self.turn {
            config.turn_servers = vec![TurnServer::new(server, user())];
        }
        (self.configure)(side, &mut config);
        config
    }
}

//! One negotiation: two hosts behind NATs, a STUN/TURN server, a signalling path.

mod audit;
mod call;
mod disorder;
mod node;
mod peer_host;
mod report;
mod server_host;
mod signal;
mod streams;
mod world;

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use floe_peer::{Config, Credentials, DtlsIdentity, Fingerprint, Role, Setup, TurnServer};
use floe_sansio::Instant;
use floe_turn::ServerConfig;

use crate::{
    Link, Log, NatConfig, Preset, Probability, SegmentId, Site, Subnet, TcpConfig, Topology,
    TopologyError, entity,
};

pub use audit::Violation;
pub use call::Session;
pub use disorder::Disorder;
pub use node::Node as SessionHost;
use node::Node;
pub use peer_host::{PeerHost, Tally, Timeline};
pub use report::{Report, ServerFailure, SideReport};
pub use server_host::ServerHost;
pub use world::World;

/// Where the server listens.
const SERVER_PORT: u16 = 3478;
/// Where the peers' sockets are bound.
const PEER_PORT: u16 = 50_000;
/// Who the peers are on the relay.
const USERNAME: &str = "floe";
/// How they prove it.
const PASSWORD: &str = "simulated";
/// Whose user they are.
const REALM: &str = "sim.floe";

/// What a negotiation is run with.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a question of its own
pub struct SessionConfig {
    /// What lies between the offering host and the core.
    pub a: Preset,
    /// What lies between the answering host and the core.
    pub b: Preset,
    /// All randomness of the run comes from here.
    pub seed: u64,
    /// R: the round trip between the two access networks; a local network adds 0.4 ms. The server
    /// is as far from each peer as they are from each other, unless
    /// [`server_round_trip`](Self::server_round_trip) says otherwise.
    pub round_trip: Duration,
    /// r: the round trip between each access network and the server, if it is another one than R. A
    /// round trip through one relay, ρ, takes twice as long. It may be less than R: the ways of the
    /// internet need not obey the triangle inequality.
    pub server_round_trip: Option<Duration>,
    /// The loss of each crossing of the core; a packet that is relayed crosses twice.
    pub loss: Probability,
    /// σ: what a signalling message takes, one way.
    pub signal_delay: Duration,
    /// What the signalling path does beside taking its time.
    pub disorder: Disorder,
    /// Whether candidates are signalled as they are found. If not, descriptions wait for them.
    pub trickle: bool,
    /// Whether both sides have gathered their candidates before the offer leaves.
    pub gathered_before: bool,
    /// Addresses of each host, beside the one that works, from which no packet gets anywhere, as of
    /// containers and idle VPNs.
    pub dead_addresses: usize,
    /// How many of the dead addresses are listed before the one that works. A driver that asks its
    /// host for the default route lists none there.
    pub dead_before: usize,
    /// Whether the peers are told of the relay, and that it can be reached over UDP and TCP.
    pub relay: bool,
    /// What is different about the ICE agents of the offering and the answering side. With candidates
    /// over TCP, the hosts listen at the addresses of their sockets.
    pub ice: [fn(&mut floe_ice::Config); 2],
    /// The roles that the two begin with, if not those that offer and answer give them.
    pub roles: [Option<Role>; 2],
    /// What is different about the TURN server.
    pub server: fn(&mut ServerConfig),
    /// What the TCP of the hosts is set to.
    pub tcp: TcpConfig,
    /// What the NAT in front of the offering host really does, other than its label says: a
    /// negative control.
    pub mislabel: Option<NatConfig>,
    /// When a run that has not come to an end is cut off.
    pub limit: Duration,
    /// How long the world goes on after both sides have come to an end: for what keeps a connection
    /// alive.
    pub linger: Duration,
    /// Whether everything that happens is recorded.
    pub record: bool,
    /// Whether the packets of the peers are watched, see [`SideReport::violations`].
    pub audit: bool,
}

impl SessionConfig {
    /// Two kinds of NAT against each other: 50 ms round trip, 50 ms signalling delay, no loss,
    /// trickling, seed 1.
    pub const fn new(a: Preset, b: Preset) -> Self {
        Self {
            a,
            b,
            seed: 1,
            round_trip: Duration::from_millis(50),
            server_round_trip: None,
            loss: Probability::NEVER,
            signal_delay: Duration::from_millis(50),
            disorder: Disorder::NONE,
            trickle: true,
            gathered_before: false,
            dead_addresses: 0,
            dead_before: 0,
            relay: true,
            ice: [|_| {}, |_| {}],
            roles: [None, None],
            server: |_| {},
            tcp: TcpConfig::DEFAULT,
            mislabel: None,
            limit: Duration::from_mins(1),
            linger: Duration::ZERO,
            record: false,
            audit: false,
        }
    }

    /// The world that this describes.
    pub fn world(&self) -> World {
        let mut plan = Topology::new();
        let core = Link::IDEAL.with_loss(self.loss);
        plan.set_link(SegmentId::CORE, core);
        // From peer to peer a packet crosses two access links, there and back; or what is set below.
        let access = Site::public(match self.server_round_trip {
            None => Link::delay(self.round_trip / 4),
            Some(_) => Link::IDEAL,
        });
        let site_a = plan.preset("nat-a", access, self.a);
        let site_b = plan.preset("nat-b", access, self.b);
        if let Some(actual) = self.mislabel {
            plan.mislabel(site_a, actual);
        }
        // A host in the core has the access link itself; behind a router it belongs to the router.
        let a = plan.host("a", site_a);
        let b = plan.host("b", site_b);
        let server = plan.host("server", access);
        if let Some(round_trip) = self.server_round_trip {
            let apart = |round_trip| Link::delay(round_trip / 2).with_loss(self.loss);
            plan.set_distance(a, b, apart(self.round_trip));
            plan.set_distance(a, server, apart(round_trip));
            plan.set_distance(b, server, apart(round_trip));
        }
        for (side, host) in (0_u8..).zip([a, b]) {
            for number in 0..self.dead_addresses {
                let name = format!("{}/dead-{number}", plan.name(host));
                let base = Ipv4Addr::new(172, 16 + 8 * side, number as u8, 0);
                let island = plan.island(&name, Subnet::new(base, 24));
                plan.interface(host, island);
            }
        }
        World {
            plan,
            sites: [site_a, site_b],
            hosts: [a, b],
            server,
        }
    }

    fn peer(&self, world: &World, side: usize, server: SocketAddr) -> Config {
        let host = world.hosts[side];
        let mut config = Config::data_channel(identity(world.plan.name(host)));
        config.addresses = world
            .plan
            .addresses(host)
            .map(|ip| SocketAddr::new(ip, PEER_PORT))
            .collect();
        // The first interface works.
        let first = self.dead_before.min(self.dead_addresses);
        if let Some(addresses) = config.addresses.get_mut(..=first) {
            addresses.rotate_left(1);
        }
        config.stun_servers = vec![server];
        if self.relay {
            let turn = TurnServer::new(server, Credentials::new(USERNAME, PASSWORD));
            config.turn_servers = vec![turn.clone(), turn.over_tcp()];
        }
        config.role = self.roles[side];
        self.ice[side](&mut config.ice);
        if config.ice.tcp.is_on() {
            config.ice.tcp_addresses.clone_from(&config.addresses);
        }
        config
    }

    fn server(&self, address: SocketAddr, seed: [u8; 32], now: Instant) -> ServerHost {
        let user = Credentials::new(USERNAME, PASSWORD);
        ServerHost::new(address, REALM, &user, self.server, seed, now)
    }

    /// Begins it: the offer is on its way.
    pub fn start(&self) -> Result<Session, SessionError> {
        self.start_in(self.world())
    }

    /// Begins it in another world than the one that [`world`](Self::world) describes; what this says
    /// of NATs, distances and loss does not count then. The first interface of each host is listed
    /// behind [`dead_before`](Self::dead_before) others, if [`dead_addresses`](Self::dead_addresses)
    /// are as many.
    pub fn start_in(&self, world: World) -> Result<Session, SessionError> {
        Session::new(self, world)
    }

    /// Runs it. The same configuration gives the same report, and the same log, byte for byte.
    pub fn run(&self) -> Result<(Report, Log), SessionError> {
        let mut session = self.start()?;
        session.settle()?;
        if !self.linger.is_zero() {
            session.wait(self.linger)?;
        }
        Ok((session.report()?, session.log().clone()))
    }
}

/// Fixed test values: the simulator does no DTLS.
fn identity(name: &str) -> DtlsIdentity {
    let mut hash = [0; 32];
    let random = crate::Random::new(0);
    hash.copy_from_slice(&random.seed(entity(name), 1));
    DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256(hash)],
        setup: Setup::Actpass,
        tls_id: None,
    }
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// There can be no such world.
    Topology(TopologyError),
    /// A peer cannot be made.
    Peer(floe_peer::Error),
    /// There can be no such server.
    Server(floe_stun::ServerConfigError),
    /// A peer refused what the other signalled.
    Signalling(String),
    /// Time stood still: this host caused more and more at one instant.
    Stuck(String),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topology(error) => error.fmt(f),
            Self::Peer(error) => error.fmt(f),
            Self::Server(error) => error.fmt(f),
            Self::Signalling(error) => write!(f, "signalling failed: {error}"),
            Self::Stuck(host) => write!(f, "host \"{host}\" keeps time from moving"),
        }
    }
}

impl core::error::Error for SessionError {}

impl From<TopologyError> for SessionError {
    fn from(error: TopologyError) -> Self {
        Self::Topology(error)
    }
}

impl From<floe_stun::ServerConfigError> for SessionError {
    fn from(error: floe_stun::ServerConfigError) -> Self {
        Self::Server(error)
    }
}

impl From<floe_peer::Error> for SessionError {
    fn from(error: floe_peer::Error) -> Self {
        Self::Peer(error)
    }
}

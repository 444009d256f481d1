//! One negotiation: two hosts behind NATs, a STUN/TURN server, a signalling path.

mod call;
mod node;
mod peer_host;
mod report;
mod server_host;
mod signal;
mod streams;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use floe_peer::{Config, Credentials, DtlsIdentity, Fingerprint, Setup, TcpUse, TurnServer};
use floe_sansio::Instant;
use floe_turn::ServerConfig;

use crate::{
    HostId, Link, Log, NatConfig, Preset, Probability, SegmentId, Site, TcpConfig, Topology,
    TopologyError, entity,
};

pub use call::Session;
use node::Node;
pub use peer_host::{PeerHost, Tally, Timeline};
pub use report::{Report, ServerFailure, SideReport};
pub use server_host::ServerHost;

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
pub struct SessionConfig {
    /// What lies between the offering host and the core.
    pub a: Preset,
    /// What lies between the answering host and the core.
    pub b: Preset,
    /// All randomness of the run comes from here.
    pub seed: u64,
    /// R: the round trip between the two access networks; a local network adds 0.4 ms. The server
    /// is as far from each peer as they are from each other.
    pub round_trip: Duration,
    /// The loss of each crossing of the core; a packet that is relayed crosses twice.
    pub loss: Probability,
    /// σ: what a signalling message takes, one way.
    pub signal_delay: Duration,
    /// Whether candidates are signalled as they are found. If not, descriptions wait for them.
    pub trickle: bool,
    /// Whether the peers are told of the relay, and that it can be reached over UDP and TCP.
    pub relay: bool,
    /// Whether the peers use candidates over TCP, and how they compare with those over UDP.
    pub tcp_use: TcpUse,
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
            loss: Probability::NEVER,
            signal_delay: Duration::from_millis(50),
            trickle: true,
            relay: true,
            tcp_use: TcpUse::Off,
            server: |_| {},
            tcp: TcpConfig::DEFAULT,
            mislabel: None,
            limit: Duration::from_mins(1),
            linger: Duration::ZERO,
            record: false,
        }
    }

    fn topology(&self) -> (Topology, [Site; 2], [HostId; 2], HostId) {
        let mut world = Topology::new();
        world.set_link(SegmentId::CORE, Link::IDEAL.with_loss(self.loss));
        // From peer to peer a packet crosses two access links, there and back.
        let access = Site::public(Link::delay(self.round_trip / 4));
        let site_a = world.preset("nat-a", access, self.a);
        let site_b = world.preset("nat-b", access, self.b);
        if let Some(actual) = self.mislabel {
            world.mislabel(site_a, actual);
        }
        // A host in the core has the access link itself; behind a router it belongs to the router.
        let a = world.host("a", site_a);
        let b = world.host("b", site_b);
        let server = world.host("server", access);
        (world, [site_a, site_b], [a, b], server)
    }

    fn peer(&self, world: &Topology, host: HostId, server: SocketAddr) -> Config {
        let mut config = Config::data_channel(identity(world.name(host)));
        config.addresses = world
            .addresses(host)
            .map(|ip| SocketAddr::new(ip, PEER_PORT))
            .collect();
        config.ice.tcp = self.tcp_use;
        if self.tcp_use.is_on() {
            config.ice.tcp_addresses.clone_from(&config.addresses);
        }
        config.stun_servers = vec![server];
        if self.relay {
            let turn = TurnServer::new(server, Credentials::new(USERNAME, PASSWORD));
            config.turn_servers = vec![turn.clone(), turn.over_tcp()];
        }
        config
    }

    fn server(&self, address: SocketAddr, seed: [u8; 32], now: Instant) -> ServerHost {
        let user = Credentials::new(USERNAME, PASSWORD);
        ServerHost::new(address, REALM, &user, self.server, seed, now)
    }

    /// Begins it: the offer is on its way.
    pub fn start(&self) -> Result<Session, SessionError> {
        Session::new(self)
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

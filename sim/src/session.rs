//! One negotiation: two hosts behind NATs, a STUN/TURN server, a signalling path.

mod peer_host;
mod server_host;
mod signal;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use floe_peer::{
    CandidateKind, Config, Credentials, DtlsIdentity, FailureCause, Fingerprint, Setup,
};
use floe_peer::{SelectedPair, TurnServer};
use floe_sansio::{Datagram, Input, Instant, Transmit};

use crate::{
    Endpoint, Expectation, HostId, Judgement, Link, Log, Message, NatConfig, Oracle, Path, Preset,
    Probability, SegmentId, Simulation, Site, Stop, Topology, TopologyError, entity, probe,
};

pub use peer_host::{PeerHost, Tally, Timeline};
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
    /// Whether the peers are told of the relay.
    pub relay: bool,
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
            mislabel: None,
            limit: Duration::from_mins(1),
            linger: Duration::ZERO,
            record: false,
        }
    }

    fn topology(&self) -> (Topology, [HostId; 2], HostId) {
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
        (world, [a, b], server)
    }

    fn peer(&self, world: &Topology, host: HostId, server: SocketAddr) -> Config {
        let mut config = Config::data_channel(identity(world.name(host)));
        config.addresses = world
            .addresses(host)
            .map(|ip| SocketAddr::new(ip, PEER_PORT))
            .collect();
        config.stun_servers = vec![server];
        if self.relay {
            config.turn_servers = vec![TurnServer::new(
                server,
                Credentials::new(USERNAME, PASSWORD),
            )];
        }
        config
    }

    /// Runs it. The same configuration gives the same report, and the same log, byte for byte.
    pub fn run(&self) -> Result<(Report, Log), SessionError> {
        let (world, hosts, server) = self.topology();
        // The relay is there, whether the peers were told of it or not.
        let expectation = Oracle::new(&world).expect(hosts[0], hosts[1], &[server]);
        let mut simulation = Simulation::new(&world, self.seed)?;
        simulation.set_signalling(self.signal_delay);
        simulation.log_mut().record(self.record);
        let random = simulation.network().random();
        let seed = |host| random.seed(entity(world.name(host)), 0);
        let now = simulation.now();

        let server_address = SocketAddr::new(world.address(server), SERVER_PORT);
        let machine = ServerHost::new(
            server_address,
            REALM,
            &Credentials::new(USERNAME, PASSWORD),
            seed(server),
            now,
        );
        simulation.attach(server, Node::Server(Box::new(machine)));
        for (side, &host) in hosts.iter().enumerate() {
            let other = hosts[1 - side];
            let config = self.peer(&world, host, server_address);
            let peer = PeerHost::new(config, seed(host), now, other, server_address, self.trickle)?;
            simulation.attach(host, Node::Peer(Box::new(peer)));
        }
        simulation.act(hosts[0], |node, now| node.peer_mut().map(|p| p.offer(now)));

        let limit = Instant::ZERO + self.limit;
        // What was said until both had decided; consent and data come later.
        let mut tallies = None;
        let stop = simulation.run(limit, |simulation| {
            let peers = hosts.map(|host| simulation.endpoint(host).and_then(Node::peer));
            let all = |is: fn(&PeerHost) -> bool| peers.iter().flatten().all(|peer| is(peer));
            if tallies.is_none() && all(PeerHost::has_decided) {
                tallies = Some(peers.map(|peer| peer.map(PeerHost::tally).unwrap_or_default()));
            }
            all(PeerHost::is_settled)
        });
        if let Stop::Stuck(host) = stop {
            return Err(SessionError::Stuck(world.name(host).into()));
        }
        if !self.linger.is_zero() {
            let end = simulation.now() + self.linger;
            if let Stop::Stuck(host) = simulation.run(end, |_| false) {
                return Err(SessionError::Stuck(world.name(host).into()));
            }
        }
        let side = |at: usize| {
            let peer = simulation.endpoint(hosts[at]).and_then(Node::peer);
            peer.map(PeerHost::report).unwrap_or_default()
        };
        let mut sides = [side(0), side(1)];
        if let Some(tallies) = tallies {
            for (side, tally) in sides.iter_mut().zip(tallies) {
                side.tally = tally;
            }
        }
        if let Some(error) = sides.iter().find_map(|side| side.error.clone()) {
            return Err(SessionError::Signalling(error));
        }
        let outcome = outcome(&sides);
        let mut judgement = expectation.judge(outcome, None);
        if judgement != Judgement::Agreed && outcome < expectation.path {
            // Somebody is wrong: packets through the same world, without its losses, say who.
            let lossless = Self {
                loss: Probability::NEVER,
                ..self.clone()
            };
            let (world, hosts, server) = lossless.topology();
            let found = probe(&world, self.seed, hosts[0], hosts[1], server)?;
            judgement = expectation.judge(outcome, Some(found));
        }
        let report = Report {
            expectation,
            outcome,
            judgement,
            sides,
            packets: simulation.network().total().sent,
        };
        Ok((report, simulation.log().clone()))
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

/// A path is as good as both sides say: through a relay if one of them knows of one.
fn outcome(sides: &[SideReport; 2]) -> Path {
    match (sides[0].selected, sides[1].selected) {
        (Some((_, a)), Some((_, b))) if a.is_relayed() || b.is_relayed() => Path::Relayed,
        (Some(_), Some(_)) => Path::Direct,
        _ => Path::None,
    }
}

/// What one negotiation came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the oracle says of the plan.
    pub expectation: Expectation,
    /// What the agents found.
    pub outcome: Path,
    /// Whether the two agree.
    pub judgement: Judgement,
    /// Offering and answering side.
    pub sides: [SideReport; 2],
    /// Packets that hosts sent in the whole run, the server's and the application's among them.
    pub packets: u64,
}

/// What one side saw.
#[derive(Clone, Debug, Default)]
pub struct SideReport {
    /// What happened when.
    pub timeline: Timeline,
    /// The pair it selected, and when.
    pub selected: Option<(Instant, SelectedPair)>,
    /// Why it failed.
    pub failed: Option<(Instant, FailureCause)>,
    /// What it sent and received.
    pub tally: Tally,
    /// Whether the application's data went over the selected pair and was answered.
    pub answered: bool,
    /// A description or candidate that was refused: a fault of the simulator or of `peer`.
    pub error: Option<String>,
}

impl Report {
    /// Candidate types of the selected pair as the offering side sees them: local, then remote.
    pub fn pair(&self) -> Option<(CandidateKind, CandidateKind)> {
        let (_, a) = self.sides[0].selected?;
        self.sides[1].selected?;
        Some((a.local.kind, a.remote.kind))
    }

    /// From the moment the offer left to the first pair that worked, on the later side.
    pub fn valid(&self) -> Option<Duration> {
        self.later(|side| side.timeline.connected)
    }

    /// From the moment the offer left to the selected pair, on the later side.
    pub fn selected(&self) -> Option<Duration> {
        self.later(|side| side.selected.map(|(at, _)| at))
    }

    fn later(&self, when: impl Fn(&SideReport) -> Option<Instant>) -> Option<Duration> {
        let offered = self.sides[0].timeline.described?;
        let at = when(&self.sides[0])?.max(when(&self.sides[1])?);
        Some(at - offered)
    }

    /// Checks and their answers that both agents sent until both had selected.
    pub fn stun_messages(&self) -> u32 {
        self.sides.iter().map(|side| side.tally.checks).sum()
    }

    /// What both agents and the server said to each other about candidates, permissions and channels.
    pub fn gathering_messages(&self) -> u32 {
        self.sides.iter().map(|side| side.tally.gathering).sum()
    }

    /// Whether both ends selected the same pair, each from its side; `true` if there is none.
    pub fn is_mirrored(&self) -> bool {
        match (self.sides[0].selected, self.sides[1].selected) {
            (Some((_, a)), Some((_, b))) => {
                a.local.address == b.remote.address && a.remote.address == b.local.address
            }
            (None, None) => true,
            _ => false,
        }
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

/// What runs on the hosts of a session.
#[derive(Debug)]
enum Node {
    Peer(Box<PeerHost>),
    Server(Box<ServerHost>),
}

impl Node {
    fn peer(&self) -> Option<&PeerHost> {
        match self {
            Self::Peer(peer) => Some(peer),
            Self::Server(_) => None,
        }
    }

    fn peer_mut(&mut self) -> Option<&mut PeerHost> {
        match self {
            Self::Peer(peer) => Some(peer),
            Self::Server(_) => None,
        }
    }
}

impl Endpoint for Node {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        match self {
            Self::Peer(peer) => peer.receive(now, datagram),
            Self::Server(server) => server.receive(now, datagram),
        }
    }

    fn timeout(&mut self, now: Instant) {
        match self {
            Self::Peer(peer) => peer.timeout(now),
            Self::Server(server) => server.timeout(now),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Peer(peer) => peer.poll_transmit(),
            Self::Server(server) => server.poll_transmit(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Peer(peer) => peer.deadline(),
            Self::Server(server) => server.deadline(),
        }
    }

    fn message(&mut self, now: Instant, from: HostId, text: &str) {
        if let Self::Peer(peer) = self {
            peer.message(now, from, text);
        }
    }

    fn poll_message(&mut self) -> Option<Message> {
        self.peer_mut()?.poll_message()
    }
}

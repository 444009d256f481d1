//! One behaviour discovery (RFC 5780): a host behind NATs, and a server with two addresses.

mod client_host;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::{Datagram, Input, Instant, Transmit};
use floe_stun::discovery::{Answer, Report, Test};
use floe_stun::{AddressGrid, BehaviourService, DiscoveryConfig, Server, ServerConfig};

use crate::{
    Endpoint, HostId, Link, Log, NatConfig, Preset, Probability, SegmentId, SessionError,
    Simulation, Site, Stop, Topology, entity,
};

pub use client_host::DiscoveryHost;

/// The server's two ports.
const PORTS: [u16; 2] = [3478, 3479];

/// What a discovery is run with.
#[derive(Clone, Debug)]
pub struct SurveyConfig {
    /// What lies between the host and the core.
    pub nat: Preset,
    /// All randomness of the run comes from here.
    pub seed: u64,
    /// The round trip between the access networks of host and server; a local network adds 0.4 ms.
    pub round_trip: Duration,
    /// The loss of each crossing of the core.
    pub loss: Probability,
    /// What to find out, and how; the server's address is filled in.
    pub discovery: DiscoveryConfig,
    /// When a run that has not come to an end is cut off.
    pub limit: Duration,
    /// Whether everything that happens is recorded.
    pub record: bool,
}

/// A test that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Instant,
    /// Which.
    pub test: Test,
    /// What came of it.
    pub answer: Answer,
}

/// What a discovery came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// What was found out.
    pub report: Report,
    /// How.
    pub steps: Vec<Step>,
    /// When it was done; `None` if it was cut off.
    pub finished: Option<Instant>,
    /// Packets that the host sent.
    pub packets: u64,
}

impl SurveyConfig {
    /// Everything there is to find out behind this kind of NAT: 50 ms round trip, no loss, seed 1.
    ///
    /// ```
    /// use floe_sim::{Preset, SurveyConfig};
    /// use floe_stun::discovery::{Dependence, Finding};
    ///
    /// let (survey, _log) = SurveyConfig::new(Preset::Symmetric).run()?;
    /// assert_eq!(survey.report.mapping, Finding::Known(Dependence::AddressAndPortDependent));
    /// # Ok::<(), floe_sim::SessionError>(())
    /// ```
    pub fn new(nat: Preset) -> Self {
        let nowhere = SocketAddr::new(IpAddr::from([0; 4]), 0);
        Self {
            nat,
            seed: 1,
            round_trip: Duration::from_millis(50),
            loss: Probability::NEVER,
            discovery: DiscoveryConfig::new(nowhere),
            limit: Duration::from_hours(6),
            record: false,
        }
    }

    /// Runs it. The same configuration gives the same survey, and the same log, byte for byte.
    pub fn run(&self) -> Result<(Survey, Log), SessionError> {
        self.run_behind(|world, access| world.preset("nat", access, self.nat))
    }

    /// Runs it behind one NAT of any kind instead.
    pub fn run_with(&self, nat: NatConfig) -> Result<(Survey, Log), SessionError> {
        self.run_behind(|world, access| world.nat("nat", access, nat))
    }

    /// Runs it behind whatever `build` puts onto the access link.
    pub fn run_behind(
        &self,
        build: impl FnOnce(&mut Topology, Site) -> Site,
    ) -> Result<(Survey, Log), SessionError> {
        let mut world = Topology::new();
        world.set_link(SegmentId::CORE, Link::IDEAL.with_loss(self.loss));
        let access = Site::public(Link::delay(self.round_trip / 4));
        let site = build(&mut world, access);
        let host = world.host("host", site);
        let server = world.host("server", access);
        let second = world.interface(server, access);
        let first = world.address(server);

        let mut simulation = Simulation::new(&world, self.seed)?;
        simulation.log_mut().record(self.record);
        let random = simulation.network().random();
        let seed = |host: HostId| random.seed(entity(world.name(host)), 0);
        let now = simulation.now();

        let primary = SocketAddr::new(first, PORTS[0]);
        let grid = AddressGrid::new(primary, SocketAddr::new(second, PORTS[1]))?;
        let service = ServerConfig {
            behaviour: Some(BehaviourService::udp(grid)),
            ..ServerConfig::default()
        };
        let machine = Server::with_config(service, seed(server), now)?;
        simulation.attach(server, Node::Server(Box::new(machine)));
        let mut config = self.discovery.clone();
        config.server = primary;
        let machine = DiscoveryHost::new(world.address(host), config, seed(host), now);
        simulation.attach(host, Node::Host(Box::new(machine)));

        let limit = Instant::ZERO + self.limit;
        let stop = simulation.run(limit, |simulation| {
            let node = simulation.endpoint(host).and_then(Node::host);
            node.is_some_and(|node| node.finished().is_some())
        });
        if let Stop::Stuck(host) = stop {
            return Err(SessionError::Stuck(world.name(host).into()));
        }
        let node = simulation.endpoint(host).and_then(Node::host);
        let survey = Survey {
            report: node.map(|node| *node.report()).unwrap_or_default(),
            steps: node.map(|node| node.steps().to_vec()).unwrap_or_default(),
            finished: node.and_then(DiscoveryHost::finished),
            packets: simulation.network().counters(host).sent,
        };
        Ok((survey, simulation.log().clone()))
    }
}

/// What runs on the hosts of a survey.
#[derive(Debug)]
enum Node {
    Host(Box<DiscoveryHost>),
    Server(Box<Server>),
}

impl Node {
    fn host(&self) -> Option<&DiscoveryHost> {
        match self {
            Self::Host(host) => Some(host),
            Self::Server(_) => None,
        }
    }
}

impl Endpoint for Node {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        match self {
            Self::Host(host) => host.receive(now, datagram),
            Self::Server(server) => server.handle_input(now, datagram),
        }
    }

    fn timeout(&mut self, now: Instant) {
        match self {
            Self::Host(host) => host.timeout(now),
            Self::Server(server) => server.handle_timeout(now),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Host(host) => host.poll_transmit(),
            Self::Server(server) => server.poll_transmit(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Host(host) => host.deadline(),
            Self::Server(server) => server.poll_timeout(),
        }
    }
}

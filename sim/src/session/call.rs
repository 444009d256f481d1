//! A negotiation under way, and the call that follows it.

use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::Instant;

use super::report::outcome;
use super::{
    Disorder, Node, PeerHost, Report, SERVER_PORT, ServerHost, SessionConfig, SessionError, Tally,
    World,
};
use crate::{
    Expectation, HostId, Judgement, Log, Nat, Network, Oracle, Simulation, Stop, entity, probe,
};

/// A negotiation under way, and the call that follows it: [`SessionConfig::run`] step by step, with
/// whatever is to go wrong between the steps.
///
/// ```
/// use core::time::Duration;
/// use floe_sim::{Path, Preset, SessionConfig};
///
/// let mut session = SessionConfig::new(Preset::UdpBlocked, Preset::Open).start()?;
/// session.settle()?;
/// assert_eq!(session.report()?.outcome, Path::Relayed);
///
/// session.stop_server();
/// session.wait(Duration::from_mins(2))?;
/// assert!(session.report()?.sides[0].failed.is_some());
/// # Ok::<(), floe_sim::SessionError>(())
/// ```
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    world: World,
    /// When the offer could leave.
    began: Instant,
    /// How often the server has been started.
    boots: u64,
    simulation: Simulation<Node>,
    expectation: Expectation,
    /// What was said until both had decided; consent and data come later.
    tallies: Option<[Tally; 2]>,
}

impl Session {
    pub(super) fn new(config: &SessionConfig, world: World) -> Result<Self, SessionError> {
        let [a, b] = world.hosts;
        // The relay is there, whether the peers were told of it or not.
        let expectation = Oracle::new(&world.plan).expect(a, b, &[world.server]);
        let mut simulation = Simulation::new(&world.plan, config.seed)?;
        simulation.set_signalling(config.signal_delay);
        if config.disorder != Disorder::NONE {
            let random = simulation.network().random();
            simulation.set_message_tap(config.disorder.tap(random));
        }
        simulation.set_tcp(config.tcp);
        simulation.log_mut().record(config.record);
        let mut session = Self {
            config: config.clone(),
            world,
            began: Instant::ZERO,
            boots: 0,
            simulation,
            expectation,
            tallies: None,
        };
        session.start_server();
        let (address, now) = (session.server_address(), session.now());
        for (side, host) in [a, b].into_iter().enumerate() {
            let other = [b, a][side];
            let peer = config.peer(&session.world, side, address);
            let seed = session.seed(host, 0);
            let peer = PeerHost::new(peer, seed, now, other, address, config)?;
            session.simulation.attach(host, Node::Peer(Box::new(peer)));
        }
        if config.gathered_before {
            session.gather()?;
        }
        session.act(0, PeerHost::offer);
        Ok(session)
    }

    /// Lets both sides gather, and time pass until they have.
    fn gather(&mut self) -> Result<(), SessionError> {
        for side in 0..2 {
            self.act(side, PeerHost::gather);
        }
        let hosts = self.world.hosts;
        let limit = Instant::ZERO + self.config.limit;
        let stop = self.simulation.run(limit, |simulation| {
            let peers = hosts.map(|host| simulation.endpoint(host).and_then(Node::peer));
            peers.iter().flatten().all(|peer| peer.has_gathered())
        });
        self.began = self.now();
        self.unless_stuck(stop)
    }

    fn seed(&self, host: HostId, index: u64) -> [u8; 32] {
        let random = self.simulation.network().random();
        random.seed(entity(self.world.plan.name(host)), index)
    }

    /// Where the server listens.
    pub fn server_address(&self) -> SocketAddr {
        SocketAddr::new(self.world.plan.address(self.world.server), SERVER_PORT)
    }

    /// What time it is.
    pub const fn now(&self) -> Instant {
        self.simulation.now()
    }

    /// What happened so far.
    pub const fn log(&self) -> &Log {
        self.simulation.log()
    }

    /// The offering peer (0) or the answering one (1).
    pub fn peer(&self, side: usize) -> Option<&PeerHost> {
        let host = self.world.hosts.get(side)?;
        self.simulation.endpoint(*host)?.peer()
    }

    /// The server, while it runs.
    pub fn server(&self) -> Option<&ServerHost> {
        self.simulation.endpoint(self.world.server)?.server()
    }

    /// Where it takes place.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The network, to change it under way.
    pub const fn network_mut(&mut self) -> &mut Network {
        self.simulation.network_mut()
    }

    /// The NAT nearest to a peer.
    pub fn nat_mut(&mut self, side: usize) -> Option<&mut Nat> {
        let site = self.world.sites.get(side)?;
        self.simulation.network_mut().nat_mut(site.segment)
    }

    /// Lets the application of a peer say hello again; [`SideReport::answered`](super::SideReport) then
    /// says whether that was answered.
    pub fn hail(&mut self, side: usize) {
        self.act(side, PeerHost::hail);
    }

    /// Does something with a peer, then sends what that caused. The peer is told what its clock shows.
    pub fn act<R>(
        &mut self,
        side: usize,
        action: impl FnOnce(&mut PeerHost, Instant) -> R,
    ) -> Option<R> {
        let &host = self.world.hosts.get(side)?;
        let act = |node: &mut Node, now| node.peer_mut().map(|peer| action(peer, now));
        self.simulation.act(host, act)?
    }

    /// The host of a peer.
    pub fn host(&self, side: usize) -> Option<HostId> {
        self.world.hosts.get(side).copied()
    }

    /// The host of the server.
    pub const fn server_host(&self) -> HostId {
        self.world.server
    }

    /// The world.
    pub const fn simulation(&self) -> &Simulation<Node> {
        &self.simulation
    }

    /// The world, to tamper with: taps, forged packets, clocks, links.
    pub const fn simulation_mut(&mut self) -> &mut Simulation<Node> {
        &mut self.simulation
    }

    /// Takes the server away with all its state; its host falls silent.
    pub fn stop_server(&mut self) {
        self.simulation.detach(self.world.server);
    }

    /// Starts the server anew, without the state that it had.
    pub fn start_server(&mut self) {
        self.stop_server();
        let seed = self.seed(self.world.server, self.boots);
        self.boots += 1;
        let server = self.config.server(self.server_address(), seed, self.now());
        let node = Node::Server(Box::new(server));
        self.simulation.attach(self.world.server, node);
    }

    /// Lets time pass until both sides have come to an end, or [`SessionConfig::limit`] is reached.
    pub fn settle(&mut self) -> Result<(), SessionError> {
        let limit = self.began + self.config.limit;
        let hosts = self.world.hosts;
        let tallies = &mut self.tallies;
        let stop = self.simulation.run(limit, |simulation| {
            let peers = hosts.map(|host| simulation.endpoint(host).and_then(Node::peer));
            let all = |is: fn(&PeerHost) -> bool| peers.iter().flatten().all(|peer| is(peer));
            if tallies.is_none() && all(PeerHost::has_decided) {
                *tallies = Some(peers.map(|peer| peer.map(PeerHost::tally).unwrap_or_default()));
            }
            all(PeerHost::is_settled)
        });
        self.unless_stuck(stop)
    }

    /// Lets this much time pass.
    pub fn wait(&mut self, duration: Duration) -> Result<(), SessionError> {
        let stop = self.simulation.wait(duration);
        self.unless_stuck(stop)
    }

    fn unless_stuck(&self, stop: Stop) -> Result<(), SessionError> {
        match stop {
            Stop::Stuck(host) => Err(SessionError::Stuck(self.world.plan.name(host).into())),
            _ => Ok(()),
        }
    }

    /// What it has come to so far.
    pub fn report(&self) -> Result<Report, SessionError> {
        let side = |at: usize| self.peer(at).map(PeerHost::report).unwrap_or_default();
        let mut sides = [side(0), side(1)];
        if let Some(tallies) = self.tallies {
            for (side, tally) in sides.iter_mut().zip(tallies) {
                side.tally = tally;
            }
        }
        if let Some(error) = sides.iter().find_map(|side| side.error.clone()) {
            return Err(SessionError::Signalling(error));
        }
        let mut expectation = self.expectation;
        // The oracle guesses no ports, but they may come out equal.
        let mut nats = self.simulation.network().nats();
        expectation.certain &= nats.all(|nat| nat.coincidences() == 0);
        let outcome = outcome(&sides);
        let mut judgement = expectation.judge(outcome, None);
        if judgement != Judgement::Agreed && outcome < expectation.path {
            judgement = expectation.judge(outcome, Some(self.probe()?));
        }
        Ok(Report {
            expectation,
            outcome,
            judgement,
            sides,
            packets: self.simulation.network().total().sent,
        })
    }

    /// Somebody is wrong: packets through the same world, without its faults, say who.
    fn probe(&self) -> Result<bool, SessionError> {
        let World {
            plan,
            hosts,
            server,
            ..
        } = &self.world;
        let found = probe(
            &plan.faultless(),
            self.config.seed,
            hosts[0],
            hosts[1],
            *server,
        )?;
        Ok(found)
    }
}

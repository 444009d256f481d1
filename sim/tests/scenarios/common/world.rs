//! Two agents, a server, a signalling path, and a stranger.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use floe_ice::{Config, Event, Role};
use floe_sansio::{Datagram, FiveTuple, Input, Instant, Transmit};
use floe_sim::{
    Endpoint, Fate, HostId, Message, Nat, Passing, ServerHost, Simulation, Site, Stop, entity,
};

use super::plan::{PEER_PORT, REALM, SERVER_PORT, user};
use super::{AgentHost, Plan, Stun, Variation};

/// What runs on a host of a world.
#[derive(Debug)]
pub(crate) enum Node {
    Agent(Box<AgentHost>),
    Server(Box<ServerHost>),
}

impl Node {
    pub(crate) fn agent(&self) -> Option<&AgentHost> {
        match self {
            Self::Agent(agent) => Some(agent),
            Self::Server(_) => None,
        }
    }
}

/// Candidates, and perhaps their end, that were withheld from a side.
#[derive(Debug)]
pub(crate) struct Withheld {
    to: usize,
    lines: Arc<Mutex<Vec<String>>>,
}

/// A world under way.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) variation: Variation,
    pub(crate) simulation: Simulation<Node>,
    pub(crate) hosts: [HostId; 2],
    /// All addresses of each side, the one that works first.
    pub(crate) all_addresses: [Vec<SocketAddr>; 2],
    /// Where the server runs.
    pub(crate) server: HostId,
    /// A host in the core on which nothing runs.
    pub(crate) stranger: HostId,
    /// The working address of each side.
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) server_address: SocketAddr,
    pub(crate) stranger_address: SocketAddr,
    /// R, and σ.
    pub(crate) round_trip: Duration,
    pub(crate) signal_delay: Duration,
    /// Whether what happened is checked at the end; off where an attack or a fault of a peer is the
    /// scenario.
    pub(crate) is_safe: bool,
    server_config: fn(&mut floe_turn::ServerConfig),
    sites: [Site; 2],
    configs: [Config; 2],
    media: Option<Duration>,
    /// How often the server, and the agents, have been started.
    boots: u64,
    births: u64,
}

impl World {
    pub(super) fn new(plan: &Plan) -> Self {
        let (topology, [zero, one, server, stranger], sites) = plan.topology();
        let hosts = [zero, one];
        let variation = plan.variation;
        let mut simulation = Simulation::new(&topology, variation.seed).unwrap();
        simulation.set_signalling(plan.signal_delay);
        let address = |host, port| SocketAddr::new(topology.address(host), port);
        let server_address = address(server, SERVER_PORT);
        let all_addresses = hosts.map(|host| {
            let addresses = topology.addresses(host);
            let addresses = addresses.map(|ip| SocketAddr::new(ip, PEER_PORT));
            addresses.collect::<Vec<_>>()
        });
        let configs = [0, 1].map(|side| plan.config(side, &all_addresses[side], server_address));
        let mut world = Self {
            configs,
            media: plan.media,
            variation,
            simulation,
            hosts,
            all_addresses,
            server,
            stranger,
            addresses: hosts.map(|host| address(host, PEER_PORT)),
            server_address,
            stranger_address: address(stranger, PEER_PORT),
            round_trip: plan.round_trip,
            signal_delay: plan.signal_delay,
            is_safe: true,
            server_config: plan.server,
            sites,
            boots: 0,
            births: 0,
        };
        world.reboot_agents();
        if plan.stun || plan.turn {
            world.start_server();
        }
        world
    }

    /// Starts both agents anew, on the same ports and without the state that they had.
    pub(crate) fn reboot_agents(&mut self) {
        let random = self.simulation.network().random();
        let now = self.now();
        for side in [0, 1] {
            let agent = AgentHost::new(
                self.configs[side].clone(),
                random.seed(entity(["zero", "one"][side]), self.births),
                now,
                self.hosts[1 - side],
                self.variation.trickle,
                self.media,
            );
            let agent = Node::Agent(Box::new(agent));
            self.simulation.attach(self.hosts[side], agent);
        }
        self.births += 1;
    }

    /// Starts the server anew, without the state that it had.
    pub(crate) fn start_server(&mut self) {
        let random = self.simulation.network().random();
        let seed = random.seed(entity("server"), self.boots);
        self.boots += 1;
        let (user, now) = (user(), self.now());
        let listener = self.server_address;
        let server = ServerHost::new(listener, REALM, &user, self.server_config, seed, now);
        self.simulation
            .attach(self.server, Node::Server(Box::new(server)));
    }

    /// Takes the server away with all its state; its host falls silent.
    pub(crate) fn stop_server(&mut self) {
        self.simulation.detach(self.server);
    }

    /// The second address of a side.
    pub(crate) fn second_address(&self, side: usize) -> SocketAddr {
        self.all_addresses[side][1]
    }

    /// The TURN server, while it runs.
    pub(crate) fn turn(&self) -> Option<&floe_turn::Server> {
        match self.simulation.endpoint(self.server)? {
            Node::Server(server) => Some(server.turn()),
            Node::Agent(_) => None,
        }
    }

    /// The server forgets the allocation with this relayed address.
    pub(crate) fn forget_allocation(&mut self, relayed: SocketAddr) {
        let known = self.simulation.act(self.server, |node, _| match node {
            Node::Server(server) => server.turn_mut().close(relayed),
            Node::Agent(_) => false,
        });
        assert_eq!(known, Some(true), "{relayed} is no relay");
    }

    pub(crate) const fn now(&self) -> Instant {
        self.simulation.now()
    }

    /// The agent of a side.
    pub(crate) fn side(&self, side: usize) -> &AgentHost {
        let node = self.simulation.endpoint(self.hosts[side]);
        node.and_then(Node::agent).unwrap()
    }

    pub(crate) fn sides(&self) -> [&AgentHost; 2] {
        [0, 1].map(|side| self.side(side))
    }

    pub(crate) fn offerer(&self) -> &AgentHost {
        self.side(self.variation.offerer)
    }

    pub(crate) fn answerer(&self) -> &AgentHost {
        self.side(self.variation.answerer())
    }

    /// Does something with the agent of a side, then sends what that caused.
    pub(crate) fn act<R>(
        &mut self,
        side: usize,
        action: impl FnOnce(&mut AgentHost, Instant) -> R,
    ) -> R {
        let host = self.hosts[side];
        let result = self.simulation.act(host, |node, now| match node {
            Node::Agent(agent) => action(agent, now),
            Node::Server(_) => unreachable!("a side is an agent"),
        });
        result.unwrap()
    }

    /// The offer, as soon as it can be made.
    pub(crate) fn offer(&mut self) {
        self.act(self.variation.offerer, AgentHost::offer);
    }

    /// The NAT nearest to a side.
    pub(crate) fn nat_mut(&mut self, side: usize) -> &mut Nat {
        let site = self.sites[side];
        self.simulation.network_mut().nat_mut(site.segment).unwrap()
    }

    /// See [`Simulation::set_tap`].
    pub(crate) fn tap(&mut self, tap: impl FnMut(Instant, &mut Passing) -> Fate + Send + 'static) {
        self.simulation.set_tap(tap);
    }

    /// The first `count` datagrams of which this holds are lost. It replaces other taps.
    pub(crate) fn lose(
        &mut self,
        count: usize,
        which: impl Fn(&Passing, &Stun) -> bool + Send + 'static,
    ) {
        let mut seen = 0;
        self.tap(move |_, passing| {
            let stun = Stun::read(&passing.payload);
            if seen < count && stun.is_some_and(|stun| which(passing, &stun)) {
                seen += 1;
                return Fate::Drop;
            }
            Fate::Pass
        });
    }

    /// See [`Simulation::set_message_tap`].
    pub(crate) fn tap_messages(
        &mut self,
        tap: impl FnMut(Instant, HostId, &mut Message) -> Fate + Send + 'static,
    ) {
        self.simulation.set_message_tap(tap);
    }

    /// The password of a side, with which the other side signs its checks and this one its answers.
    pub(crate) fn password(&self, side: usize) -> String {
        self.side(side).agent.credentials().pwd().into()
    }

    pub(crate) fn ufrag(&self, side: usize) -> String {
        self.side(side).agent.credentials().ufrag().into()
    }

    /// From now on no candidate of this side is signalled, nor their end. It replaces other taps on
    /// messages.
    pub(crate) fn withhold_candidates(&mut self, side: usize) -> Withheld {
        self.withhold(side, |_| true)
    }

    /// The same of those that this holds of.
    pub(crate) fn withhold(
        &mut self,
        side: usize,
        which: impl Fn(&str) -> bool + Send + 'static,
    ) -> Withheld {
        let [zero, one] =
            self.withhold_lines(move |from, line| from == side && (line == "end" || which(line)));
        if side == 0 { zero } else { one }
    }

    /// From now on no line of which this holds is signalled: a candidate or `end`, by the side that
    /// signals it. It replaces other taps on messages.
    pub(crate) fn withhold_lines(
        &mut self,
        which: impl Fn(usize, &str) -> bool + Send + 'static,
    ) -> [Withheld; 2] {
        let withheld = [1, 0].map(|to| Withheld {
            to,
            lines: Arc::default(),
        });
        let lines = withheld.each_ref().map(|of| Arc::clone(&of.lines));
        let hosts = self.hosts;
        self.tap_messages(move |_, from, message| {
            let side = usize::from(from == hosts[1]);
            let text = core::mem::take(&mut message.text);
            for line in text.lines() {
                let is_candidate = line.starts_with("candidate:") || line == "end";
                if is_candidate && which(side, line) {
                    lines[side].lock().unwrap().push(line.into());
                } else {
                    message.text.push_str(line);
                    message.text.push('\n');
                }
            }
            Fate::Pass
        });
        withheld
    }

    /// What was withheld so far arrives now, and nothing is withheld any more.
    pub(crate) fn deliver(&mut self, withheld: &Withheld) {
        self.tap_messages(|_, _, _| Fate::Pass);
        let lines = core::mem::take(&mut *withheld.lines.lock().unwrap());
        let ufrag = self.ufrag(1 - withheld.to);
        let text = format!("more {ufrag}\n{}", lines.join("\n"));
        let from = self.hosts[1 - withheld.to];
        self.act(withheld.to, |agent, now| agent.message(now, from, &text));
    }

    /// A datagram from the stranger that seems to come from `source`.
    pub(crate) fn forge(&mut self, source: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let transmit = Transmit {
            path: FiveTuple::udp(source, to),
            payload: payload.to_vec().into(),
        };
        self.simulation.forge(self.stranger, transmit);
    }

    /// Lets this much time pass.
    pub(crate) fn wait(&mut self, time: Duration) {
        let stop = self.simulation.wait(time);
        assert!(!matches!(stop, Stop::Stuck(_)), "time stands still");
    }

    /// Lets time pass until this holds of the two sides, but no longer than `limit` from now; whether
    /// it came to hold.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        done: impl Fn([&AgentHost; 2]) -> bool,
    ) -> bool {
        let hosts = self.hosts;
        let limit = self.now() + limit;
        let is_done = |simulation: &Simulation<Node>| {
            done(hosts.map(|host| simulation.endpoint(host).and_then(Node::agent).unwrap()))
        };
        if is_done(&self.simulation) {
            return true;
        }
        match self.simulation.run(limit, is_done) {
            Stop::Done => true,
            Stop::Limit | Stop::Idle => false,
            Stop::Stuck(_) => panic!("time stands still"),
        }
    }

    /// Lets time pass until both sides have selected a pair or failed, but no longer than a minute.
    pub(crate) fn settle(&mut self) {
        let settled = |it: &AgentHost| it.selected().is_some() || it.failed().is_some();
        let all = self.run_until(Duration::from_mins(1), |sides| {
            sides.into_iter().all(settled)
        });
        let states = self.sides().map(AgentHost::state);
        assert!(all, "stuck after a minute: {states:?}");
    }

    /// Both sides have selected a pair, the same from either end. Where a packet may still be lost
    /// they get some time more to agree.
    pub(crate) fn assert_connected(&mut self) {
        let agree = |[zero, one]: [&AgentHost; 2]| match (zero.selected(), one.selected()) {
            (Some(zero), Some(one)) => {
                zero.local.address == one.remote.address && zero.remote.address == one.local.address
            }
            _ => false,
        };
        let limit = if self.variation.is_calm() { 0 } else { 10 };
        let agreed = self.run_until(Duration::from_secs(limit), agree);
        let ends = self.sides().map(|it| (it.state(), it.selected()));
        assert!(agreed, "the two ends do not agree: {ends:?}");
        for side in self.sides() {
            assert_eq!(side.failed(), None);
        }
    }

    /// Whether the selected pair of either side goes through a relay.
    pub(crate) fn is_relayed(&self) -> bool {
        let mut pairs = self.sides().into_iter().filter_map(AgentHost::selected);
        pairs.any(|pair| pair.is_relayed())
    }

    /// When both sides were connected.
    pub(crate) fn connected_at(&self) -> Instant {
        let [zero, one] = self.sides().map(|side| side.connected_at().unwrap());
        zero.max(one)
    }

    /// When both sides had selected a pair.
    pub(crate) fn selected_at(&self) -> Instant {
        let [zero, one] = self.sides().map(|side| side.selected_at().unwrap());
        zero.max(one)
    }

    /// Exactly one side controls.
    pub(crate) fn assert_one_controls(&self) {
        let roles = self.sides().map(AgentHost::role);
        assert_ne!(roles[0], roles[1], "both have the same role");
    }

    /// The side that controls now.
    pub(crate) fn controlling(&self) -> usize {
        usize::from(self.side(1).role() == Role::Controlling)
    }

    /// What must not happen in any scenario:
    ///
    /// - an event after the agent has failed;
    /// - data to where no check of one's own has been answered (RFC 8445 §12.1, RFC 7675 §5.1);
    /// - a second selected pair of the side that controls (RFC 8445 §8.1.1), or where the profile allows
    ///   that, one right after the other.
    pub(crate) fn verify(&self) {
        for (number, side) in self.sides().into_iter().enumerate() {
            let events = &side.events;
            let failed = events
                .iter()
                .position(|(_, event)| matches!(event, Event::Failed(_)));
            assert!(
                failed.is_none_or(|at| at + 1 == events.len()),
                "side {number} goes on after it has failed: {events:?}"
            );
            let mut proven = Vec::new();
            for data in side.sent().filter(|packet| packet.is_data()) {
                if !proven.contains(&data.pair()) {
                    assert!(
                        side.is_answered(data.pair(), data.at),
                        "side {number} sends data to where nobody has answered: {data:?}"
                    );
                    proven.push(data.pair());
                }
            }
            let selected = side.events.iter().filter_map(|(at, event)| match event {
                Event::Selected(_) => Some(*at),
                _ => None,
            });
            let selected: Vec<_> = selected.collect();
            let dwell = side.config.dwell;
            let mut pairs = selected.windows(2).map(|pair| pair[1].since(pair[0]));
            let controls = side.role() == Role::Controlling;
            let may = side.config.recovery && pairs.all(|time| time >= dwell);
            assert!(
                !controls || selected.len() <= 1 || may,
                "side {number} has nominated twice: {events:?}"
            );
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            if self.is_safe {
                self.verify();
            }
        } else if Variation::is_alone() {
            eprintln!("{self}");
        }
    }
}

/// What both agents said, and the STUN that they sent and received.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, side) in self.sides().into_iter().enumerate() {
            writeln!(f, "side {number}, {:?}: {:?}", side.role(), side.states)?;
            for (at, event) in &side.events {
                writeln!(f, "{at:?} {event:?}")?;
            }
            for packet in side.packets.iter().filter(|it| it.stun.is_some()) {
                writeln!(f, "{packet}")?;
            }
        }
        Ok(())
    }
}

impl Endpoint for Node {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        match self {
            Self::Agent(agent) => agent.receive(now, datagram),
            Self::Server(server) => server.receive(now, datagram),
        }
    }

    fn timeout(&mut self, now: Instant) {
        match self {
            Self::Agent(agent) => agent.timeout(now),
            Self::Server(server) => server.timeout(now),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Self::Agent(agent) => agent.poll_transmit(),
            Self::Server(server) => server.poll_transmit(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Agent(agent) => agent.deadline(),
            Self::Server(server) => server.deadline(),
        }
    }

    fn message(&mut self, now: Instant, from: HostId, text: &str) {
        if let Self::Agent(agent) = self {
            agent.message(now, from, text);
        }
    }

    fn poll_message(&mut self) -> Option<Message> {
        match self {
            Self::Agent(agent) => agent.poll_message(),
            Self::Server(_) => None,
        }
    }
}

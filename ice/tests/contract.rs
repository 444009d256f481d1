//! The seven promises of the contract, with agents in a hostile network.

use core::any::Any;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

use floe_ice::{
    Agent, Candidate, CandidateKind, Config, Event, IceCredentials, Policy, RemoteParameters, Role,
    StreamId, TcpUse, TurnServer,
};
use floe_sansio::testing::{self, AnyMachine, Command, Runs, World};
use floe_sansio::{
    Datagram, Entropy, FiveTuple, HEADROOM, Input, Instant, Machine, TAILROOM, Transmit, Transport,
};
use floe_stun::Credentials;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The agents at these addresses.
const AGENTS: [&str; 2] = ["8.8.4.4:1000", "9.9.9.9:2000"];
const TURN: &str = "192.0.2.100:3478";
const STUN: &str = "192.0.2.101:3478";

/// Streams that were opened in all runs.
static OPENED: AtomicUsize = AtomicUsize::new(0);

/// Frames of peers that were taken.
static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// A stream of one side.
#[derive(Clone, Copy)]
struct Stream {
    side: usize,
    id: StreamId,
    local: SocketAddr,
    remote: SocketAddr,
}

/// An agent, and what takes the lengths off the frames of its peer, which is no part of it. The network
/// carries whole frames.
struct End(Agent);

impl Deref for End {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.0
    }
}

impl DerefMut for End {
    fn deref_mut(&mut self) -> &mut Agent {
        &mut self.0
    }
}

impl Machine for End {
    type Event = Event;

    fn handle_input(&mut self, now: Instant, mut datagram: Datagram<'_>) -> Input {
        let (path, range) = (datagram.path, datagram.range());
        let is_plain = path.transport == Transport::Udp || path.remote == addr(TURN);
        if is_plain || range.len() < 2 {
            return self.0.handle_input(now, datagram);
        }
        let frame = datagram.unwrapped(path, range.start + 2..range.end);
        let input = self.0.handle_input(now, frame);
        if matches!(input, Input::Handled | Input::Data(_)) {
            FRAMES.fetch_add(1, Ordering::Relaxed);
        }
        input
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.0.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.poll_event()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
}

/// Both sides, and what each has announced and the other not yet heard.
struct Two {
    agents: [End; 2],
    /// Streams that are wanted, open, and to be closed.
    streams: [Vec<Stream>; 3],
    ports: u16,
    announced: [Vec<Candidate>; 2],
    heard: [usize; 2],
}

impl Two {
    fn build(configs: [Config; 2], entropy: &mut Entropy, now: Instant) -> Self {
        let mut sides = 0..;
        let agents = configs.map(|mut config| {
            config.addresses = vec![addr(AGENTS[sides.next().unwrap()])];
            // So few that a flood gets there.
            config.limits.pairs = 8;
            config.limits.remote_candidates = 8;
            config.limits.early_checks = 4;
            End(Agent::new(config, entropy.seed(), now))
        });
        let mut two = Self {
            agents,
            streams: Default::default(),
            ports: 40_000,
            announced: [Vec::new(), Vec::new()],
            heard: [0; 2],
        };
        // As often as not they know each other from the beginning.
        if entropy.below(2) == 0 {
            for side in [0, 1] {
                two.agents[side].gather(now);
                let parameters = two.parameters(1 - side);
                let _ = two.agents[side].set_remote_parameters(now, parameters);
            }
        }
        two
    }

    fn parameters(&self, of: usize) -> RemoteParameters {
        RemoteParameters {
            credentials: self.agents[of].credentials().clone(),
            pacing: Some(self.agents[of].pacing()),
            lite: false,
            renomination: false,
        }
    }

    fn heard(&mut self, side: usize, event: &dyn Any) {
        match event.downcast_ref() {
            Some(Event::LocalCandidate(candidate)) => self.announced[side].push(candidate.clone()),
            Some(&Event::StreamWanted {
                id, local, remote, ..
            }) => {
                self.ports += 1;
                let local = SocketAddr::new(local, self.ports);
                self.streams[0].push(Stream {
                    side,
                    id,
                    local,
                    remote,
                });
            }
            Some(&Event::StreamUnwanted(id)) => {
                let [wanted, open, closing] = &mut self.streams;
                let is_it = |stream: &Stream| (stream.side, stream.id) == (side, id);
                wanted.retain(|stream| !is_it(stream));
                closing.extend(open.iter().copied().filter(is_it));
                open.retain(|stream| !is_it(stream));
            }
            _ => {}
        }
    }

    /// What a driver does with streams, and a network.
    fn stream_command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        let stage = draw.below(2) as usize;
        let Some(&Stream {
            side,
            id,
            local,
            remote,
        }) = self.streams[stage].last()
        else {
            return Command::None;
        };
        let accepts = draw.below(2) == 0 && stage == 0 && remote != addr(TURN);
        if accepts {
            // Its other end: as often as not before its own.
            let other = &mut self.agents[1 - side];
            return other.stream_accepted(now, remote, local).into();
        }
        let agent = &mut self.agents[side];
        match draw.below(8) {
            // From where it was not wanted, or when it is open.
            0 => {
                let local = SocketAddr::new([198, 18, 0, 1].into(), local.port());
                agent.stream_opened(now, id, local).into()
            }
            1 => {
                agent.stream_failed(now, id);
                let lost = self.streams[stage].pop();
                self.streams[2].extend(lost.filter(|_| stage == 1));
                Command::Accepted
            }
            _ if stage == 1 => Command::None,
            _ => {
                let result = agent.stream_opened(now, id, local);
                if result.is_ok() {
                    OPENED.fetch_add(1, Ordering::Relaxed);
                    let opened = self.streams[0].pop();
                    self.streams[1].extend(opened);
                }
                result.into()
            }
        }
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        let share = if self.streams[0].is_empty() { 32 } else { 2 };
        if draw.below(share) == 0 {
            return self.stream_command(now, draw);
        }
        let side = draw.below(2) as usize;
        let mut parameters = self.parameters(1 - side);
        let stranger = Candidate {
            component: floe_ice::ComponentId::default(),
            network: floe_ice::Network::default(),
            kind: CandidateKind::Host,
            transport: Transport::Udp,
            tcp_type: None,
            address: SocketAddr::new([198, 19, 0, 1].into(), draw.below(500) as u16),
            base: addr(AGENTS[1]),
            priority: draw.u32(),
            foundation: "7".into(),
            related: None,
        };
        let agent = &mut self.agents[side];
        match draw.below(240) {
            0..40 => {
                agent.gather(now);
                Command::Accepted
            }
            40..80 => agent.set_remote_parameters(now, parameters).into(),
            80..140 => {
                let Some(candidate) = self.announced[1 - side].get(self.heard[side]) else {
                    return Command::None;
                };
                let result = agent.add_remote_candidate(now, candidate.clone());
                if result.is_ok() {
                    self.heard[side] += 1;
                }
                result.into()
            }
            140..143 => {
                // A stranger, or somebody who knows where it listens.
                let from = SocketAddr::new([198, 19, 0, 2].into(), draw.below(50) as u16);
                agent.stream_accepted(now, addr(AGENTS[side]), from).into()
            }
            143..150 => agent.add_remote_candidate(now, stranger).into(),
            150..152 => agent.end_of_remote_candidates(now).into(),
            155..165 if agent.state() != floe_ice::State::New => {
                parameters.credentials =
                    IceCredentials::new("wrong", "wrong/wrong/wrong/wrong").unwrap();
                agent.set_remote_parameters(now, parameters).into()
            }
            165..170 => agent.set_role(Role::Controlled).into(),
            170..238 => {
                let mut buffer = [0; HEADROOM + 5 + TAILROOM];
                let range = HEADROOM..HEADROOM + 5;
                buffer[range.clone()].copy_from_slice(b"hello");
                match agent.send(&mut buffer, range) {
                    Err(_) => Command::Rejected,
                    Ok(route) => Command::Sent(Transmit {
                        path: route.path,
                        payload: buffer[route.range()].to_vec().into(),
                    }),
                }
            }
            238 if draw.below(12) == 0 => {
                agent.close(now);
                Command::Accepted
            }
            _ => Command::None,
        }
    }

    fn retained(&self) -> usize {
        self.agents.iter().map(|agent| agent.retained()).sum()
    }
}

/// A world of two agents that differs from others in how they are made.
macro_rules! goes_on_as_two {
    () => {
        fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
            let [one, two] = &mut self.0.agents;
            vec![(addr(AGENTS[0]), one), (addr(AGENTS[1]), two)]
        }

        fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
            self.0.command(now, draw)
        }

        fn retained(&self) -> usize {
            self.0.retained()
        }

        fn heard(&mut self, machine: usize, event: &dyn Any) {
            self.0.heard(machine, event);
        }
    };
}

/// Two hosts.
struct Hosts(Two);

impl World for Hosts {
    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        // As often as not they disagree about their roles.
        let roles = [Role::Controlling, Role::Controlled];
        let configs = [0, 1].map(|_| Config::new(roles[entropy.below(2) as usize]));
        Self(Two::build(configs, &mut entropy, now))
    }

    goes_on_as_two!();
}

/// Two hosts that connect over TCP too.
struct Wired(Two);

impl World for Wired {
    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        let roles = [Role::Controlling, Role::Controlled];
        let configs = AGENTS.map(|address| {
            let mut config = Config::new(roles[entropy.below(2) as usize]);
            config.tcp = TcpUse::BeforeUdp;
            config.tcp_addresses = vec![addr(address)];
            config.limits.accepted_streams = 4;
            config
        });
        Self(Two::build(configs, &mut entropy, now))
    }

    goes_on_as_two!();
}

/// The same with a STUN and a TURN server, which speaks TCP too; the first agent uses its relays only.
struct Relayed {
    two: Two,
    turn: floe_turn::Server,
    stun: floe_stun::Server,
}

impl World for Relayed {
    const MAX_RETAINED: usize = 320;

    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        let configs = [
            (Role::Controlling, Policy::Relay),
            (Role::Controlled, Policy::All),
        ];
        let configs = configs.map(|(role, policy)| {
            let mut config = Config::new(role);
            config.policy = policy;
            config.stun_servers = vec![addr(STUN)];
            let server = TurnServer::new(addr(TURN), Credentials::new("alice", "secret"));
            // As often as not there is nothing over UDP, and the stream is wanted at once.
            config.turn_servers = vec![server.clone().over_tcp()];
            if entropy.below(2) == 0 {
                config.turn_servers.push(server);
            }
            config
        });
        let server = floe_turn::ServerConfig::new(vec![addr(TURN)], vec![addr(TURN).ip()], "floe")
            .with_user("alice", "secret");
        Self {
            two: Two::build(configs, &mut entropy, now),
            turn: floe_turn::Server::new(server, entropy.seed(), now),
            stun: floe_stun::Server::new(entropy.seed(), now),
        }
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        let [one, two] = &mut self.two.agents;
        vec![
            (addr(AGENTS[0]), one),
            (addr(AGENTS[1]), two),
            (addr(TURN), &mut self.turn),
            (addr(STUN), &mut self.stun),
        ]
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        // The server learns late of connections that are gone.
        if draw.below(4) == 0 {
            if let Some(Stream { local, .. }) = self.two.streams[2].pop() {
                let client = FiveTuple {
                    transport: Transport::Tcp,
                    local: addr(TURN),
                    remote: local,
                };
                self.turn.client_closed(now, client);
                return Command::Accepted;
            }
        }
        self.two.command(now, draw)
    }

    fn retained(&self) -> usize {
        self.two.retained()
    }

    fn heard(&mut self, machine: usize, event: &dyn Any) {
        if machine < 2 {
            self.two.heard(machine, event);
        }
    }
}

#[test]
fn two_hosts_keep_the_contract() {
    // Bad weather ends consent sooner or later: many short lives tell more than a long one.
    let seen = testing::check::<Hosts>(&Runs {
        seeds: 0..60,
        steps: 400,
    });
    assert!(seen.data > 100, "they connect: {seen:?}");
    assert!(seen.rejected > 100 && seen.accepted > 100, "{seen:?}");
    assert!(seen.retained > 40, "the flood gets somewhere: {seen:?}");
}

#[test]
fn hosts_with_tcp_keep_the_contract() {
    // Few of them live to see both ends of a stream.
    let seen = testing::check::<Wired>(&Runs {
        seeds: 0..300,
        steps: 400,
    });
    assert!(seen.data > 100, "they connect: {seen:?}");
    assert!(seen.rejected > 100 && seen.accepted > 100, "{seen:?}");
    let frames = FRAMES.load(Ordering::Relaxed);
    assert!(frames > 200, "{frames} frames");
}

#[test]
fn agents_with_servers_keep_the_contract() {
    let seen = testing::check::<Relayed>(&Runs {
        seeds: 0..16,
        steps: 600,
    });
    assert!(seen.data > 100, "they connect: {seen:?}");
    assert!(seen.forwards > 100, "through the relay: {seen:?}");
    let opened = OPENED.load(Ordering::Relaxed);
    assert!(opened > 50, "{opened} streams");
}

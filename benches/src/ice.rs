//! ICE agents: what a datagram, a candidate and an idle call cost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use floe_ice::{
    Agent, Candidate, CandidateKind, ComponentId, Config, Event, IceCredentials, Limits, Network,
    RemoteParameters, Role, State, candidate_priority,
};
use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transmit, Transport};
use floe_stun::{
    Algorithm, Builder, Class, IceControlled, Key, Message, MessageType, Method, Priority,
    TransactionId, Username, XorMappedAddress,
};

/// Bytes of application data.
pub const PAYLOAD: usize = 160;
/// Datagrams that are handed in one after the other.
const REQUESTS: usize = 64;

fn host(at: u32) -> SocketAddr {
    let [_, a, b, c] = at.to_be_bytes();
    ([10, a, b, c], 40_000).into()
}

/// Two agents that have agreed on a pair, on one network without delay.
#[derive(Debug)]
pub struct Call {
    agents: [Agent; 2],
    addresses: [SocketAddr; 2],
    now: Instant,
}

impl Call {
    /// The call of this number, with this configuration of both sides.
    pub fn new(number: u32, config: impl Fn(Role) -> Config) -> Self {
        let now = Instant::from_secs(1);
        let addresses = [host(2 * number + 1), host(2 * number + 2)];
        let agents = [0, 1].map(|side| {
            let role = [Role::Controlling, Role::Controlled][side];
            let mut config = config(role);
            config.addresses = vec![addresses[side]];
            let mut seed = [side as u8; 32];
            seed[..4].copy_from_slice(&number.to_be_bytes());
            Agent::new(config, seed, now)
        });
        let mut call = Self {
            agents,
            addresses,
            now,
        };
        for side in 0..2 {
            call.agents[side].gather(now);
            let mut parameters = RemoteParameters::new(call.agents[1 - side].credentials().clone());
            parameters.pacing = Some(call.agents[1 - side].pacing());
            call.agents[side]
                .set_remote_parameters(now, parameters)
                .expect("a new agent");
        }
        for side in 0..2 {
            while let Some(event) = call.agents[side].poll_event() {
                if let Event::LocalCandidate(candidate) = event {
                    call.agents[1 - side]
                        .add_remote_candidate(now, candidate)
                        .expect("a usable candidate");
                }
            }
        }
        while call
            .agents
            .iter()
            .any(|agent| agent.state() != State::Completed)
        {
            let due = call.due().expect("a session under way");
            call.advance(due);
        }
        call
    }

    /// When one of the two has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.agents.iter().filter_map(Agent::poll_timeout).min()
    }

    /// The time comes; what one sends, the other gets. Returns how many packets there were.
    pub fn advance(&mut self, now: Instant) -> u64 {
        self.now = self.now.max(now);
        for agent in &mut self.agents {
            agent.handle_timeout(self.now);
        }
        let mut packets = 0;
        loop {
            let before = packets;
            for side in 0..2 {
                while let Some(transmit) = self.agents[side].poll_transmit() {
                    let mut bytes = transmit.payload.to_vec();
                    let datagram = Datagram::whole(transmit.path.mirrored(), &mut bytes);
                    let _ = self.agents[1 - side].handle_input(self.now, datagram);
                    packets += 1;
                }
                while self.agents[side].poll_event().is_some() {}
            }
            if packets == before {
                return packets;
            }
        }
    }

    /// Requests for consent that the second side might send, signed.
    fn requests(&self) -> Vec<Vec<u8>> {
        let credentials = self.agents[0].credentials();
        let own = self.agents[1].credentials();
        let key = Key::short_term(credentials.pwd());
        let username = format!("{}:{}", credentials.ufrag(), own.ufrag());
        let kind = MessageType::new(Class::Request, Method::BINDING);
        let request = |number: usize| {
            let mut buffer = [0; 256];
            let id = TransactionId([number as u8; 12]);
            let length = Builder::new(&mut buffer, kind, id)
                .with(&Username(&username))
                .with(&Priority(1_853_824_767))
                .with(&IceControlled(7))
                .with_integrity(&key)
                .with_fingerprint()
                .finish()
                .expect("room");
            buffer[..length].to_vec()
        };
        (0..REQUESTS).map(request).collect()
    }
}

/// What is measured about one agent of a call.
#[derive(Debug)]
pub struct Steady {
    call: Call,
    requests: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    key: Key,
    data: Vec<u8>,
    next: usize,
}

impl Default for Steady {
    fn default() -> Self {
        let call = Call::new(0, Config::new);
        let mut steady = Self {
            requests: call.requests(),
            answers: Vec::new(),
            key: Key::short_term(call.agents[0].credentials().pwd()),
            call,
            data: vec![0x80; HEADROOM + PAYLOAD + TAILROOM],
            next: 0,
        };
        for _ in 0..REQUESTS {
            let answer = steady.answer().expect("an answer");
            steady.answers.push(answer.payload.to_vec());
        }
        steady.answers.rotate_right(1);
        steady
    }
}

impl Steady {
    /// A request for consent comes, is proven, and answered.
    pub fn consent(&mut self) {
        black_box(self.answer());
    }

    /// The HMACs of the same request and the same answer alone.
    pub fn hmacs(&mut self) {
        self.next = (self.next + 1) % REQUESTS;
        for bytes in [&self.requests[self.next], &self.answers[self.next]] {
            let message = Message::parse(bytes).expect("a message");
            assert!(message.verify(&self.key, Algorithm::Sha1));
        }
    }

    fn answer(&mut self) -> Option<Transmit> {
        self.next = (self.next + 1) % REQUESTS;
        let path = FiveTuple::udp(self.call.addresses[0], self.call.addresses[1]);
        let datagram = Datagram::whole(path, &mut self.requests[self.next]);
        let agent = &mut self.call.agents[0];
        let input = agent.handle_input(self.call.now, datagram);
        assert!(matches!(input, Input::Handled), "{input:?}");
        agent.poll_transmit()
    }

    /// A datagram of the application comes.
    pub fn data_in(&mut self) {
        let path = FiveTuple::udp(self.call.addresses[0], self.call.addresses[1]);
        let range = HEADROOM..HEADROOM + PAYLOAD;
        let datagram = Datagram::new(path, &mut self.data, range);
        let input = self.call.agents[0].handle_input(self.call.now, datagram);
        assert!(matches!(input, Input::Data(_)), "{input:?}");
    }

    /// One is sent.
    pub fn data_out(&mut self) {
        let range = HEADROOM..HEADROOM + PAYLOAD;
        let route = self.call.agents[0].send(&mut self.data, range);
        black_box(route.expect("a path"));
    }

    /// A datagram that is nothing comes from a stranger.
    pub fn noise(&mut self) {
        let path = FiveTuple::udp(self.call.addresses[0], host(0x00FF_FFFF));
        let range = HEADROOM..HEADROOM + PAYLOAD;
        let datagram = Datagram::new(path, &mut self.data, range);
        let input = self.call.agents[0].handle_input(self.call.now, datagram);
        assert!(matches!(input, Input::Dropped(_)), "{input:?}");
    }
}

/// An agent whose check list is full, and a peer that goes on naming candidates.
#[derive(Debug)]
pub struct Full {
    agent: Agent,
    next: u32,
    now: Instant,
}

impl Full {
    /// So many pairs.
    pub fn new(pairs: usize) -> Self {
        let now = Instant::from_secs(1);
        let mut config = Config::new(Role::Controlling);
        config.addresses = vec![host(1)];
        config.limits = Limits {
            pairs,
            remote_candidates: 2 * pairs,
            ..config.limits
        };
        let mut full = Self {
            agent: Agent::new(config, [7; 32], now),
            next: 0,
            now,
        };
        full.agent.gather(now);
        let credentials = IceCredentials::new("peer", "the/password/of/the/peer");
        let parameters = RemoteParameters::new(credentials.expect("good credentials"));
        full.agent
            .set_remote_parameters(now, parameters)
            .expect("a new agent");
        (0..pairs).for_each(|_| full.add());
        full
    }

    /// One more candidate, of as many again: of a higher priority than all before, so that one of them
    /// gives way.
    pub fn add(&mut self) {
        self.next += 1;
        let address = SocketAddr::from(([198, 51, 100, 1], (self.next % 65_000) as u16 + 1));
        let address = SocketAddr::new(
            std::net::Ipv4Addr::from(0x0B00_0000 + self.next / 65_000).into(),
            address.port(),
        );
        let candidate = Candidate {
            component: ComponentId::default(),
            kind: CandidateKind::ServerReflexive,
            tcp_type: None,
            transport: Transport::Udp,
            address,
            base: address,
            priority: candidate_priority(CandidateKind::ServerReflexive, 0, 1) + self.next,
            foundation: "1".into(),
            related: None,
            network: Network::default(),
        };
        self.agent
            .add_remote_candidate(self.now, candidate)
            .expect("room for candidates");
        while self.agent.poll_transmit().is_some() {}
    }
}

/// Many calls that are quiet: they keep consent, and nothing else.
#[derive(Debug)]
pub struct Crowd {
    calls: Vec<Call>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    now: Instant,
}

impl Crowd {
    /// So many agents, two to a call.
    pub fn new(agents: u32) -> Self {
        let calls: Vec<_> = (0..agents / 2)
            .map(|number| Call::new(number, |role| Config::new(role).idle()))
            .collect();
        let mut crowd = Self {
            due: BinaryHeap::new(),
            now: calls
                .iter()
                .map(|call| call.now)
                .max()
                .unwrap_or(Instant::ZERO),
            calls,
        };
        for at in 0..crowd.calls.len() {
            crowd.plan(at);
        }
        crowd
    }

    fn plan(&mut self, at: usize) {
        if let Some(due) = self.calls[at].due() {
            self.due.push(Reverse((due, at)));
        }
    }

    /// Lets time go on. Returns how many packets went from agent to agent.
    pub fn idle(&mut self, time: Duration) -> u64 {
        self.now += time;
        let mut packets = 0;
        while let Some(&Reverse((due, at))) = self.due.peek() {
            if due > self.now {
                break;
            }
            self.due.pop();
            packets += self.calls[at].advance(due);
            self.plan(at);
        }
        packets
    }

    /// Whether every call goes on.
    pub fn is_alive(&self) -> bool {
        let mut agents = self.calls.iter().flat_map(|call| &call.agents);
        agents.all(|agent| agent.state() == State::Completed)
    }
}

/// How a hostile peer goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// Checks within a second, from 50,000 addresses.
    pub datagrams: u32,
    /// How long it goes on afterwards, with a check every millisecond.
    pub then: Duration,
    /// Whether the peer answers what it is sent, each time from the view of another NAT.
    pub answers: bool,
    /// Whether every seventh check nominates.
    pub nominates: bool,
    /// How many candidates are told again, each with another foundation and a higher priority.
    pub again: u32,
}

impl Default for Flood {
    /// A hundred thousand, and silence.
    fn default() -> Self {
        Self {
            datagrams: 100_000,
            then: Duration::ZERO,
            answers: false,
            nominates: true,
            again: 0,
        }
    }
}

struct Flooded {
    agent: Agent,
    flood: Flood,
    own: Key,
    peer: Key,
    username: String,
    sent: u32,
}

const PEER: (&str, &str) = ("peer", "the/password/of/the/peer");

impl Flooded {
    /// A check from an address of its own.
    fn check(&mut self, now: Instant) {
        let number = self.sent;
        self.sent += 1;
        if self.agent.poll_timeout().is_some_and(|due| due <= now) {
            self.agent.handle_timeout(now);
        }
        let mut buffer = [0; 256];
        let mut id = [0; 12];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let kind = MessageType::new(Class::Request, Method::BINDING);
        let nominates = self.flood.nominates && number.is_multiple_of(7);
        let length = Builder::new(&mut buffer, kind, TransactionId(id))
            .with(&Username(&self.username))
            .with(&Priority(number | 1))
            .with(&floe_stun::IceControlling(number.into()))
            .with_some(nominates.then_some(&floe_stun::UseCandidate))
            .with_integrity(&self.own)
            .with_fingerprint()
            .finish()
            .expect("room");
        let path = FiveTuple::udp(host(1), host(0x0001_0000 + number % 50_000));
        let _ = self
            .agent
            .handle_input(now, Datagram::new(path, &mut buffer, 0..length));
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        while let Some(transmit) = self.agent.poll_transmit() {
            let request = Message::parse(&transmit.payload).expect("a message");
            if !self.flood.answers || request.class() != Class::Request {
                continue;
            }
            let mut buffer = [0; 256];
            let length = Builder::response(&mut buffer, &request, Class::Success)
                .with(&XorMappedAddress(host(0x0020_0000 + self.sent)))
                .with_integrity(&self.peer)
                .with_fingerprint()
                .finish()
                .expect("room");
            let datagram = Datagram::new(transmit.path, &mut buffer, 0..length);
            let _ = self.agent.handle_input(now, datagram);
        }
        while self.agent.poll_event().is_some() {}
    }
}

/// An agent after everything that a hostile peer can make it hold: 10,000 candidates, checks from
/// everywhere before and after the credentials.
pub fn flooded(flood: Flood) -> Agent {
    let now = Instant::from_secs(1);
    let mut config = Config::new(Role::Controlled);
    config.addresses = vec![host(1)];
    let mut agent = Agent::new(config, [9; 32], now);
    agent.gather(now);
    let mut flooded = Flooded {
        flood,
        own: Key::short_term(agent.credentials().pwd()),
        peer: Key::short_term(PEER.1),
        username: format!("{}:{}", agent.credentials().ufrag(), PEER.0),
        agent,
        sent: 0,
    };
    for _ in 0..1000 {
        flooded.check(now);
    }
    let credentials = IceCredentials::new(PEER.0, PEER.1).expect("good credentials");
    let mut parameters = RemoteParameters::new(credentials);
    // As many checks as there can be.
    parameters.pacing = Some(Duration::ZERO);
    let agent = &mut flooded.agent;
    agent
        .set_remote_parameters(now, parameters)
        .expect("a new agent");
    for number in 0..10_000 + flood.again {
        let address = host(0x0010_0000 + number % 10_000);
        let candidate = Candidate {
            component: ComponentId::default(),
            kind: CandidateKind::Host,
            tcp_type: None,
            transport: Transport::Udp,
            address,
            base: address,
            priority: number + 1,
            foundation: format!("foundation{number:022}"),
            related: Some(address),
            network: Network::default(),
        };
        let _ = agent.add_remote_candidate(now, candidate);
    }
    flooded.drain(now);
    for number in 0..flood.datagrams {
        flooded.check(now + Duration::from_micros(10) * number);
    }
    let then = now + Duration::from_micros(10) * flood.datagrams;
    for millis in 0..u32::try_from(flood.then.as_millis()).unwrap_or(u32::MAX) {
        flooded.check(then + Duration::from_millis(1) * millis);
    }
    flooded.agent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_what_its_name_says() {
        let mut steady = Steady::default();
        steady.consent();
        steady.hmacs();
        steady.data_in();
        steady.data_out();
        steady.noise();
        Full::new(100).add();
    }

    #[test]
    fn a_quiet_crowd_stays_alive() {
        let mut crowd = Crowd::new(20);
        assert!(crowd.idle(Duration::from_mins(5)) > 20 * 300 / 15);
        assert!(crowd.is_alive());
    }

    /// What it holds has a bound, whatever comes and however long. (Where the peer makes every pair work,
    /// there is more to know: candidates of this side, paths, changes of path.)
    #[test]
    fn a_flooded_agent_keeps_little() {
        const KIB: u64 = 1024;
        let second = Flood::default();
        let minute = Flood {
            then: Duration::from_mins(1),
            ..second
        };
        let again = Flood {
            again: 100,
            ..minute
        };
        let open = Flood {
            nominates: false,
            ..again
        };
        let answered = Flood {
            answers: true,
            ..open
        };
        for (name, flood, most) in [
            ("a second", second, 64 * KIB),
            ("a minute", minute, 64 * KIB),
            ("candidates told again", again, 64 * KIB),
            ("nothing nominated", open, 64 * KIB),
            ("checks answered", answered, 84 * KIB),
        ] {
            let mut agent = None;
            let held = allocation_counter::measure(|| agent = Some(flooded(flood)));
            println!(
                "{name}: {} bytes in the end, {} at most",
                held.bytes_current, held.bytes_max
            );
            assert!(held.bytes_max <= most, "{name}: {held:?}");
            drop(agent);
        }
    }
}

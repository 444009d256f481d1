//! One agent, and a peer that is moved by hand: it knows both sides' credentials.
#![allow(dead_code)] // each test file uses a part

use core::net::SocketAddr;
use core::time::Duration;

use floe_ice::{
    Agent, Candidate, CandidateKind, ComponentId, Config, Event, IceCredentials, LocalAddress,
    Network, PairStats, RemoteParameters, Role, candidate_priority,
};
use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transmit, Transport};
use floe_stun::{
    AttributeType, Builder, Class, ErrorCode, IceControlled, IceControlling, Key, Message,
    MessageType, Method, Priority, StatusCode, TransactionId, UseCandidate, Username,
    XorMappedAddress,
};

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The agent's address.
pub(crate) fn home() -> SocketAddr {
    addr("192.0.2.1:1000")
}

/// The puppet's first address.
pub(crate) fn peer() -> SocketAddr {
    addr("198.51.100.2:2000")
}

/// Another of its addresses.
pub(crate) fn other() -> SocketAddr {
    addr("198.51.100.3:3000")
}

pub(crate) const PEER_PASSWORD: &str = "the/password/of/the/peer";

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn host(address: SocketAddr) -> Candidate {
    candidate(CandidateKind::Host, address)
}

pub(crate) fn candidate(kind: CandidateKind, address: SocketAddr) -> Candidate {
    // Later ports are worse.
    let preference = 65535 - address.port();
    Candidate {
        component: ComponentId::default(),
        kind,
        transport: Transport::Udp,
        tcp_type: None,
        address,
        base: address,
        priority: candidate_priority(kind, preference, 1),
        foundation: format!("{}", address.port()),
        related: None,
        network: Network::default(),
    }
}

/// A host candidate of this component.
pub(crate) fn host_of(component: ComponentId, address: SocketAddr) -> Candidate {
    let preference = 65535 - address.port();
    Candidate {
        component,
        priority: candidate_priority(CandidateKind::Host, preference, component.component),
        ..host(address)
    }
}

/// The same candidate with this foundation.
pub(crate) fn founded(mut candidate: Candidate, foundation: &str) -> Candidate {
    candidate.foundation = foundation.into();
    candidate
}

/// Nobody has assigned it; browsers use it.
pub(crate) const NOMINATION: AttributeType = AttributeType(0xC001);

/// What a check of the puppet says.
#[derive(Clone, Copy)]
pub(crate) struct Says {
    pub(crate) role: Role,
    pub(crate) tie_breaker: u64,
    pub(crate) priority: u32,
    pub(crate) nominate: bool,
}

pub(crate) const CONTROLLING: Says = Says {
    role: Role::Controlling,
    tie_breaker: 7,
    priority: 0x6E00_01FF,
    nominate: false,
};

pub(crate) const CONTROLLED: Says = Says {
    role: Role::Controlled,
    ..CONTROLLING
};

pub(crate) const NOMINATING: Says = Says {
    nominate: true,
    ..CONTROLLING
};

/// A check that the agent sent.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) path: FiveTuple,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    pub(crate) fn nominates(&self) -> bool {
        self.message().get::<UseCandidate>().unwrap().is_some()
    }

    pub(crate) fn role(&self) -> Role {
        let controlling = self.message().get::<IceControlling>().unwrap();
        let controlled = self.message().get::<IceControlled>().unwrap();
        match (controlling, controlled) {
            (Some(_), None) => Role::Controlling,
            (None, Some(_)) => Role::Controlled,
            both => panic!("one role attribute wanted: {both:?}"),
        }
    }

    pub(crate) fn tie_breaker(&self) -> u64 {
        let controlling = self.message().get::<IceControlling>().unwrap();
        let controlled = self.message().get::<IceControlled>().unwrap();
        controlling
            .map(|IceControlling(value)| value)
            .or(controlled.map(|IceControlled(value)| value))
            .unwrap()
    }
}

pub(crate) struct Puppet {
    pub(crate) now: Instant,
    pub(crate) agent: Agent,
    pub(crate) events: Vec<Event>,
    /// Requests of the agent, each once.
    pub(crate) requests: Vec<Sent>,
    /// All else that it sent.
    pub(crate) answers: Vec<Transmit>,
    pub(crate) credentials: IceCredentials,
    transactions: u32,
}

impl Puppet {
    /// An agent that has gathered its one host candidate.
    pub(crate) fn new(role: Role) -> Self {
        Self::with(Config::new(role), &[home()])
    }

    pub(crate) fn with(config: Config, addresses: &[SocketAddr]) -> Self {
        let locals: Vec<_> = addresses.iter().copied().map(LocalAddress::new).collect();
        Self::bound(config, &locals)
    }

    /// The profile that follows the RFC to the letter, with the one host candidate.
    pub(crate) fn strict(role: Role) -> Self {
        Self::with(Config::new(role).strict(), &[home()])
    }

    /// An agent that has gathered at these addresses, each for its component.
    pub(crate) fn bound(config: Config, addresses: &[LocalAddress]) -> Self {
        let mut puppet = Self::ungathered(config, addresses);
        puppet.gather();
        puppet
    }

    /// An agent that has these addresses and has not begun.
    pub(crate) fn ungathered(config: Config, addresses: &[LocalAddress]) -> Self {
        let now = Instant::from_secs(1);
        let mut puppet = Self {
            now,
            agent: Agent::new(config, [5; 32], now),
            events: Vec::new(),
            requests: Vec::new(),
            answers: Vec::new(),
            credentials: IceCredentials::new("peer", PEER_PASSWORD).unwrap(),
            transactions: 0,
        };
        for &address in addresses {
            puppet.agent.add_address(now, address).unwrap();
        }
        puppet.drain();
        puppet
    }

    pub(crate) fn gather(&mut self) {
        self.agent.gather(self.now);
        self.drain();
    }

    /// The same, and it knows the puppet and this one candidate of it.
    pub(crate) fn introduced(role: Role, candidates: &[Candidate]) -> Self {
        let mut puppet = Self::new(role);
        for candidate in candidates {
            puppet.add(candidate.clone());
        }
        puppet.introduce();
        puppet
    }

    pub(crate) fn introduce(&mut self) {
        self.introduce_as(self.parameters());
    }

    /// What the puppet signals beside its candidates.
    pub(crate) fn parameters(&self) -> RemoteParameters {
        RemoteParameters {
            credentials: self.credentials.clone(),
            pacing: Some(millis(5)),
            lite: false,
            renomination: false,
        }
    }

    pub(crate) fn introduce_as(&mut self, parameters: RemoteParameters) {
        self.agent
            .set_remote_parameters(self.now, parameters)
            .unwrap();
        self.drain();
    }

    pub(crate) fn add(&mut self, candidate: Candidate) {
        self.agent
            .add_remote_candidate(self.now, candidate)
            .unwrap();
        self.drain();
    }

    pub(crate) fn end_of_candidates(&mut self) {
        self.agent.end_of_remote_candidates(self.now).unwrap();
        self.drain();
    }

    /// Both sides restart: the agent begins anew, and the puppet has other credentials.
    pub(crate) fn restart(&mut self) {
        self.agent.restart(self.now).unwrap();
        self.credentials = IceCredentials::new("next", PEER_PASSWORD).unwrap();
        self.requests.clear();
        self.drain();
    }

    /// What is known of the pair with this remote address, the first one.
    pub(crate) fn pair(&self, remote: SocketAddr) -> Option<PairStats> {
        let pairs = self.agent.stats().pairs;
        pairs.into_iter().find(|pair| pair.remote == remote)
    }

    pub(crate) fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| which(event)).count()
    }

    pub(crate) fn drain(&mut self) {
        while let Some(transmit) = self.agent.poll_transmit() {
            let request = Message::parse(&transmit.payload)
                .is_ok_and(|message| message.class() == Class::Request);
            if request {
                self.requests.push(Sent {
                    at: self.now,
                    path: transmit.path,
                    bytes: transmit.payload.to_vec(),
                });
            } else {
                self.answers.push(transmit);
            }
        }
        while let Some(event) = self.agent.poll_event() {
            self.events.push(event);
        }
    }

    pub(crate) fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.agent.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.agent.handle_timeout(self.now);
            self.drain();
            assert!(self.agent.poll_timeout().is_none_or(|at| at > self.now));
        }
        self.now = end;
    }

    pub(crate) fn key(&self) -> Key {
        Key::short_term(self.agent.credentials().pwd())
    }

    pub(crate) fn peer_key() -> Key {
        Key::short_term(PEER_PASSWORD)
    }

    pub(crate) fn id(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId(id)
    }

    /// A message, from its class to its FINGERPRINT.
    pub(crate) fn build(
        kind: Class,
        id: TransactionId,
        build: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>,
    ) -> Vec<u8> {
        let mut buffer = [0; 512];
        let kind = MessageType::new(kind, Method::BINDING);
        let len = build(Builder::new(&mut buffer, kind, id))
            .with_fingerprint()
            .finish()
            .unwrap();
        buffer[..len].to_vec()
    }

    /// A check of the puppet.
    pub(crate) fn check(&mut self, says: Says) -> Vec<u8> {
        let credentials = self.agent.credentials().clone();
        self.check_for(&credentials, says)
    }

    /// A check of the puppet with these credentials of the agent.
    pub(crate) fn check_for(&mut self, credentials: &IceCredentials, says: Says) -> Vec<u8> {
        let name = format!("{}:peer", credentials.ufrag());
        let (id, key) = (self.id(), Key::short_term(credentials.pwd()));
        Self::build(Class::Request, id, |builder| {
            let builder = builder
                .with(&Username(&name))
                .with(&Priority(says.priority))
                .with_some(says.nominate.then_some(&UseCandidate));
            match says.role {
                Role::Controlling => builder.with(&IceControlling(says.tie_breaker)),
                Role::Controlled => builder.with(&IceControlled(says.tie_breaker)),
            }
            .with_integrity(&key)
        })
    }

    /// The success response to a check of the agent.
    pub(crate) fn success(sent: &Sent, mapped: SocketAddr) -> Vec<u8> {
        Self::build(Class::Success, sent.message().transaction_id(), |builder| {
            builder
                .with(&XorMappedAddress(mapped))
                .with_integrity(&Self::peer_key())
        })
    }

    /// An error response to a check of the agent.
    pub(crate) fn error(sent: &Sent, code: StatusCode) -> Vec<u8> {
        Self::build(Class::Error, sent.message().transaction_id(), |builder| {
            builder
                .with(&ErrorCode::of(code))
                .with_integrity(&Self::peer_key())
        })
    }

    /// Delivers bytes to the agent, to its first address.
    pub(crate) fn deliver(&mut self, from: SocketAddr, bytes: &[u8]) -> Input {
        self.deliver_to(home(), from, bytes)
    }

    pub(crate) fn deliver_to(&mut self, to: SocketAddr, from: SocketAddr, bytes: &[u8]) -> Input {
        let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + bytes.len();
        buffer[range.clone()].copy_from_slice(bytes);
        let datagram = Datagram::new(FiveTuple::udp(to, from), &mut buffer, range);
        let input = self.agent.handle_input(self.now, datagram);
        self.drain();
        input
    }

    /// The puppet checks from `from`, and the agent accepts.
    pub(crate) fn accepted_check(&mut self, from: SocketAddr, says: Says) {
        let bytes = self.check(says);
        self.answers.clear();
        assert_eq!(self.deliver(from, &bytes), Input::Handled);
        assert_eq!(self.answer().0, Class::Success);
    }

    /// The puppet nominates, with this counter, and the agent accepts.
    pub(crate) fn nominate(&mut self, from: SocketAddr, counter: Option<u32>) {
        let name = format!("{}:peer", self.agent.credentials().ufrag());
        let (id, key) = (self.id(), self.key());
        let bytes = Self::build(Class::Request, id, |builder| {
            let builder = builder
                .with(&Username(&name))
                .with(&Priority(NOMINATING.priority))
                .with(&UseCandidate);
            let builder = match counter {
                Some(counter) => builder.with_raw(NOMINATION, &counter.to_be_bytes()),
                None => builder,
            };
            builder.with(&IceControlling(7)).with_integrity(&key)
        });
        self.answers.clear();
        assert_eq!(self.deliver(from, &bytes), Input::Handled);
        assert_eq!(self.answer().0, Class::Success);
    }

    /// The same, to another address of the agent.
    pub(crate) fn accepted_check_at(&mut self, to: SocketAddr, from: SocketAddr, says: Says) {
        let bytes = self.check(says);
        self.answers.clear();
        assert_eq!(self.deliver_to(to, from, &bytes), Input::Handled);
        assert_eq!(self.answer().0, Class::Success);
    }

    /// For a time the puppet answers each check that `works`; all of them are kept.
    pub(crate) fn answering(
        &mut self,
        time: Duration,
        mut works: impl FnMut(&Sent) -> bool,
    ) -> Vec<Sent> {
        let end = self.now + time;
        let mut all = Vec::new();
        loop {
            for sent in std::mem::take(&mut self.requests) {
                if works(&sent) {
                    self.accept(&sent);
                }
                all.push(sent);
            }
            if !self.requests.is_empty() {
                continue;
            }
            let next = self.agent.poll_timeout().filter(|&at| at <= end);
            let Some(next) = next else {
                self.sleep(end - self.now);
                return all;
            };
            self.sleep(next.max(self.now) - self.now);
        }
    }

    /// A STUN server answers the agent, which it sees at `mapped`.
    pub(crate) fn answer_of_server(&mut self, base: SocketAddr, mapped: SocketAddr) {
        let sent = self.next_check_where(|sent| sent.path.local == base);
        let id = sent.message().transaction_id();
        let answer = Self::build(Class::Success, id, |it| it.with(&XorMappedAddress(mapped)));
        let input = self.deliver_to(base, sent.path.remote, &answer);
        assert_eq!(input, Input::Handled);
    }

    /// The puppet answers `sent` truthfully.
    pub(crate) fn accept(&mut self, sent: &Sent) {
        let bytes = Self::success(sent, sent.path.local);
        let (to, from) = (sent.path.local, sent.path.remote);
        assert_eq!(self.deliver_to(to, from, &bytes), Input::Handled);
    }

    pub(crate) fn refuse(&mut self, sent: &Sent, code: StatusCode) {
        let bytes = Self::error(sent, code);
        let (to, from) = (sent.path.local, sent.path.remote);
        assert_eq!(self.deliver_to(to, from, &bytes), Input::Handled);
    }

    /// The only answer of the agent: its class and error code.
    pub(crate) fn answer(&self) -> (Class, Option<StatusCode>) {
        assert_eq!(self.answers.len(), 1);
        let message = Message::parse(&self.answers[0].payload).unwrap();
        let error = message.get::<ErrorCode<'_>>().unwrap();
        (message.class(), error.map(|error| error.code))
    }

    /// The next check of the agent to `to`, now or within two seconds.
    pub(crate) fn next_check(&mut self, to: SocketAddr) -> Sent {
        self.next_check_where(|sent| sent.path.remote == to)
    }

    pub(crate) fn next_nomination(&mut self) -> Sent {
        self.next_check_where(Sent::nominates)
    }

    pub(crate) fn next_check_where(&mut self, which: impl Fn(&Sent) -> bool) -> Sent {
        for _ in 0..2000 {
            if let Some(at) = self.requests.iter().position(&which) {
                return self.requests.drain(..=at).next_back().unwrap();
            }
            self.sleep(millis(1));
        }
        panic!("no such check");
    }

    /// The next request for consent, within six seconds.
    pub(crate) fn next_consent(&mut self) -> Sent {
        let deadline = self.now + millis(6001);
        while self.requests.is_empty() && self.now < deadline {
            let at = self.agent.poll_timeout().unwrap();
            self.sleep(at - self.now);
        }
        self.requests.remove(0)
    }

    /// Where data would go.
    pub(crate) fn target(&mut self) -> Option<FiveTuple> {
        let mut buffer = [0; HEADROOM + 4 + TAILROOM];
        let route = self.agent.send(&mut buffer, HEADROOM..HEADROOM + 4);
        route.ok().map(|route| route.path)
    }

    /// All that the agent is, as text.
    pub(crate) fn state(&self) -> String {
        format!("{:?}", self.agent)
    }

    /// Drives the agent to a selected pair with [`peer`].
    pub(crate) fn connected(role: Role) -> Self {
        let mut puppet = Self::introduced(role, &[host(peer())]);
        let sent = puppet.next_check(peer());
        puppet.accept(&sent);
        match role {
            Role::Controlling => {
                let nomination = puppet.next_nomination();
                puppet.accept(&nomination);
            }
            Role::Controlled => puppet.accepted_check(peer(), NOMINATING),
        }
        assert!(puppet.agent.selected().is_some());
        puppet.requests.clear();
        puppet.answers.clear();
        puppet
    }
}

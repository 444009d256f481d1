//! The client side of behaviour discovery (RFC 5780 §4, §5). What it finds behind every kind of NAT is
//! tested in the simulator.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Transmit};
use floe_stun::discovery::{
    Answer, DYNAMIC_PORTS, Dependence, DiscoveryError, Failure, Finding, Hairpinning,
    REGISTERED_PORTS, Report, SocketRole, Test,
};
use floe_stun::{
    Access, AddressGrid, AlternateServer, AttributeType, BehaviourService, Builder, ChangeRequest,
    Class, Credentials, Discovery, DiscoveryConfig, DiscoveryEvent, ErrorCode, LongTermConfig,
    MappedAddress, Message, MessageType, Method, OtherAddress, Padding, Server, ServerConfig,
    StaticUsers, StatusCode, TransactionId, XorMappedAddress,
};

const NOW: Instant = Instant::from_secs(1000);
const DELAY: Duration = Duration::from_millis(10);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A1:P1 and A2:P2.
fn primary() -> SocketAddr {
    address("192.0.2.1:3478")
}

fn alternate() -> SocketAddr {
    address("192.0.2.2:3479")
}

/// The host, and its address outside if there is a NAT.
const INSIDE: &str = "10.0.0.7";
const OUTSIDE: &str = "203.0.113.7";

fn served() -> ServerConfig {
    let grid = AddressGrid::new(primary(), alternate()).unwrap();
    ServerConfig {
        behaviour: Some(BehaviourService::udp(grid)),
        ..ServerConfig::default()
    }
}

/// What becomes of a datagram from the server on its way.
type Meddle = Box<dyn FnMut(&mut Transmit) -> bool>;

/// A discovery, a server, and a full-cone NAT without a hairpin between them; 10 ms one way.
struct Lab {
    now: Instant,
    discovery: Discovery,
    server: Server,
    way: VecDeque<(Instant, bool, Transmit)>,
    /// What the client sent, and when.
    sent: Vec<(Instant, Transmit)>,
    events: Vec<(Instant, DiscoveryEvent)>,
    credentials: Option<Credentials>,
    meddle: Meddle,
    hairpin: bool,
}

impl Lab {
    fn new(config: DiscoveryConfig, served: ServerConfig) -> Self {
        Self {
            now: NOW,
            discovery: Discovery::new(config, [2; 32], NOW),
            server: Server::with_config(served, [1; 32], NOW).unwrap(),
            way: VecDeque::new(),
            sent: Vec::new(),
            events: Vec::new(),
            credentials: None,
            meddle: Box::new(|_| true),
            hairpin: false,
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.discovery.poll_event() {
            self.events.push((self.now, event));
            match event {
                DiscoveryEvent::OpenSocket { role, port } => {
                    let local = SocketAddr::new(INSIDE.parse().unwrap(), port);
                    self.discovery.socket_opened(self.now, role, local).unwrap();
                }
                DiscoveryEvent::CredentialsNeeded => {
                    let credentials = self.credentials.clone();
                    self.discovery
                        .set_credentials(self.now, credentials)
                        .unwrap();
                }
                _ => {}
            }
        }
        let at = self.now + DELAY;
        while let Some(transmit) = self.discovery.poll_transmit() {
            self.sent.push((self.now, transmit.clone()));
            self.way.push_back((at, true, transmit));
        }
        while let Some(transmit) = self.server.poll_transmit() {
            self.way.push_back((at, false, transmit));
        }
    }

    fn run(&mut self) -> Report {
        self.drain();
        while !self.discovery.is_finished() {
            let due = self.discovery.poll_timeout();
            let arrival = self.way.front().map(|&(at, ..)| at);
            self.now = due.into_iter().chain(arrival).min().expect("it goes on");
            if arrival == Some(self.now) {
                let (_, outwards, transmit) = self.way.pop_front().unwrap();
                self.arrive(outwards, transmit);
            } else {
                self.discovery.handle_timeout(self.now);
            }
            self.drain();
        }
        *self.discovery.report()
    }

    fn arrive(&mut self, outwards: bool, mut transmit: Transmit) {
        let outside = OUTSIDE.parse().unwrap();
        if outwards {
            let source = SocketAddr::new(outside, transmit.path.local.port());
            let mut bytes = transmit.payload.to_vec();
            let remote = transmit.path.remote;
            if remote.ip() == outside {
                if self.hairpin {
                    let local = SocketAddr::new(INSIDE.parse().unwrap(), remote.port());
                    let path = FiveTuple::udp(local, source);
                    let _ = self
                        .discovery
                        .handle_input(self.now, Datagram::whole(path, &mut bytes));
                }
                return;
            }
            let path = FiveTuple::udp(remote, source);
            let _ = self
                .server
                .handle_input(self.now, Datagram::whole(path, &mut bytes));
        } else if (self.meddle)(&mut transmit) {
            let inside = SocketAddr::new(INSIDE.parse().unwrap(), transmit.path.remote.port());
            let path = FiveTuple::udp(inside, transmit.path.local);
            let mut bytes = transmit.payload.to_vec();
            let _ = self
                .discovery
                .handle_input(self.now, Datagram::whole(path, &mut bytes));
        }
    }

    /// What came of a test, the first time.
    fn answer(&self, wanted: Test) -> Option<Answer> {
        self.events.iter().find_map(|&(_, event)| match event {
            DiscoveryEvent::Tested(test, answer) if test == wanted => Some(answer),
            _ => None,
        })
    }

    /// When a test ended.
    fn ended(&self, wanted: Test) -> Instant {
        let ended = self.events.iter().find(
            |&&(_, event)| matches!(event, DiscoveryEvent::Tested(test, _) if test == wanted),
        );
        ended.unwrap().0
    }

    /// The requests, each with all times at which it was sent.
    fn requests(&self) -> BTreeMap<TransactionId, Vec<Instant>> {
        let mut requests: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, transmit) in &self.sent {
            let message = Message::parse(&transmit.payload).unwrap();
            if message.class() == Class::Request {
                requests
                    .entry(message.transaction_id())
                    .or_default()
                    .push(*at);
            }
        }
        requests
    }
}

fn config() -> DiscoveryConfig {
    DiscoveryConfig::new(primary())
}

/// Without what takes long.
fn brief() -> DiscoveryConfig {
    let mut config = config();
    config.lifetime = None;
    config
}

fn rebuilt(class: Class, of: &Transmit, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let id = Message::parse(&of.payload).unwrap().transaction_id();
    let mut buffer = vec![0; 1024];
    let kind = MessageType::new(class, Method::BINDING);
    let len = fill(Builder::new(&mut buffer, kind, id)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

#[test]
fn a_full_cone_is_found_to_be_one() {
    let mut lab = Lab::new(config(), served());
    lab.hairpin = true;
    let report = lab.run();
    let same = Finding::Known(Dependence::EndpointIndependent);
    assert_eq!((report.mapping, report.filtering), (same, same));
    assert_eq!(report.nat, Finding::Known(true));
    assert_eq!(report.port_preserved, Finding::Known(true));
    assert_eq!(
        report.hairpinning,
        Finding::Known(Hairpinning::ExternalSource)
    );
    assert_eq!(report.fragments, Finding::Known(true));
    assert_eq!(report.alg, Finding::Known(false));
    // The NAT of the lab never forgets.
    assert_eq!(report.lifetime.known().unwrap().less_than, None);
    // All that was opened is closed.
    let count = |is: fn(&DiscoveryEvent) -> bool| lab.events.iter().filter(|e| is(&e.1)).count();
    assert_eq!(count(|e| matches!(e, DiscoveryEvent::OpenSocket { .. })), 4);
    assert_eq!(count(|e| matches!(e, DiscoveryEvent::CloseSocket(_))), 4);
    assert!(lab.discovery.poll_timeout().is_none());
}

/// What was sent to the other address would have opened the filter for its answers.
#[test]
fn nothing_goes_to_the_other_address_before_filtering_is_known() {
    let mut lab = Lab::new(brief(), served());
    lab.meddle = Box::new(|transmit| transmit.path.local == primary());
    let report = lab.run();
    assert_eq!(
        report.filtering,
        Finding::Known(Dependence::AddressAndPortDependent)
    );
    let known = lab.ended(Test::FilteringPort);
    let early = lab.sent.iter().filter(|(at, _)| *at < known);
    assert!(early.clone().count() > 10);
    let mut remotes = early.map(|(_, transmit)| transmit.path.remote);
    assert!(remotes.all(|remote| remote == primary()));
}

/// req: NATDISC-4.1-1
#[test]
fn ports_are_random_ones_of_the_range_or_the_one_that_the_application_has() {
    for range in [DYNAMIC_PORTS, REGISTERED_PORTS, 7..=7] {
        let mut ports = BTreeSet::new();
        for seed in 0..20 {
            let mut config = config();
            config.ports = range.clone();
            let mut discovery = Discovery::new(config, [seed; 32], NOW);
            let Some(DiscoveryEvent::OpenSocket { role, port }) = discovery.poll_event() else {
                panic!("no socket is asked for");
            };
            assert_eq!(role, SocketRole::Main);
            assert!(range.contains(&port));
            assert!(discovery.poll_transmit().is_none());
            ports.insert(port);
        }
        assert!(ports.len() > 15 || range == (7..=7));
    }
    let mut config = config();
    config.local = Some(address("10.0.0.7:4321"));
    let mut discovery = Discovery::new(config.clone(), [0; 32], NOW);
    assert_eq!(discovery.poll_event(), None);
    assert_eq!(
        discovery.poll_transmit().unwrap().path.local,
        config.local.unwrap()
    );
}

/// req: NATDISC-5-1
#[test]
fn what_the_server_does_not_know_is_said_and_the_rest_is_found_out() {
    let unsupported = Failure::Unsupported;
    // No discovery at all: OTHER-ADDRESS is absent, RESPONSE-PORT and PADDING are 420.
    let mut lab = Lab::new(config(), ServerConfig::default());
    let report = lab.run();
    assert_eq!(report.filtering, Finding::Failed(unsupported));
    assert_eq!(report.mapping, Finding::Failed(unsupported));
    assert_eq!(report.fragments, Finding::Failed(unsupported));
    assert_eq!(report.lifetime, Finding::Failed(unsupported));
    assert_eq!(report.hairpinning, Finding::Known(Hairpinning::Unsupported));
    assert_eq!(report.nat, Finding::Known(true));
    let rejected = Answer::Rejected(StatusCode::UNKNOWN_ATTRIBUTE);
    assert_eq!(lab.answer(Test::Probe), Some(rejected));
    assert_eq!(lab.answer(Test::Fragments), Some(rejected));

    // One that tells another address and changes nothing: a 420, or an answer from where it was asked.
    for refuses in [true, false] {
        let mut lab = Lab::new(brief(), ServerConfig::default());
        lab.meddle = Box::new(move |transmit| {
            let message = Message::parse(&transmit.payload).unwrap();
            let seen = address("203.0.113.7:5000");
            if message.class() == Class::Error && !refuses {
                let success = rebuilt(Class::Success, transmit, |b| {
                    b.with(&XorMappedAddress(seen))
                });
                transmit.payload = success.into();
            } else if message.class() == Class::Success {
                let mapped: XorMappedAddress = message.get().unwrap().unwrap();
                let success = rebuilt(Class::Success, transmit, |b| {
                    b.with(&mapped).with(&OtherAddress(alternate()))
                });
                transmit.payload = success.into();
            }
            true
        });
        let report = lab.run();
        assert_eq!(report.filtering, Finding::Failed(unsupported));
        let expected = if refuses { rejected } else { Answer::Unchanged };
        assert_eq!(lab.answer(Test::FilteringAddress), Some(expected));
        assert_eq!(
            report.mapping,
            Finding::Known(Dependence::EndpointIndependent)
        );
    }
}

/// An OTHER-ADDRESS that is no other address could make anything look like anything.
#[test]
fn an_other_address_that_is_none_is_not_believed() {
    for other in [
        "192.0.2.1:3479",
        "192.0.2.2:3478",
        "192.0.2.2:0",
        "0.0.0.0:3479",
        "224.0.0.1:3479",
        "[2001:db8::1]:3479",
    ] {
        let mut lab = Lab::new(brief(), served());
        let other = address(other);
        lab.meddle = Box::new(move |transmit| {
            let message = Message::parse(&transmit.payload).unwrap();
            if let Ok(Some(mapped)) = message.get::<XorMappedAddress>() {
                let success = rebuilt(Class::Success, transmit, |b| {
                    b.with(&mapped).with(&OtherAddress(other))
                });
                transmit.payload = success.into();
            }
            true
        });
        assert_eq!(
            lab.run().filtering,
            Finding::Failed(Failure::Unsupported),
            "{other}"
        );
        assert!(
            lab.sent
                .iter()
                .all(|(_, transmit)| transmit.path.remote != other)
        );
    }
}

/// req: NATDISC-5-3
#[test]
fn with_application_data_on_the_socket_fingerprint_is_sent_and_required() {
    let mut config = brief();
    config.fingerprint = true;
    let mut lab = Lab::new(config.clone(), served());
    assert_eq!(lab.run().udp, Finding::Known(true));
    for (_, transmit) in &lab.sent {
        assert!(
            Message::parse(&transmit.payload)
                .unwrap()
                .verify_fingerprint()
        );
    }
    let mut lab = Lab::new(config, served());
    lab.meddle = Box::new(|transmit| {
        let seen = address("203.0.113.7:5000");
        let bare = rebuilt(Class::Success, transmit, |b| {
            b.with(&XorMappedAddress(seen))
        });
        transmit.payload = bare.into();
        true
    });
    assert_eq!(lab.run().udp, Finding::Known(false));
    let plain = Lab::new(brief(), served());
    let (_, first) = {
        let mut lab = plain;
        lab.run();
        lab.sent.remove(0)
    };
    assert!(!Message::parse(&first.payload).unwrap().has_fingerprint());
}

/// req: NATDISC-5-4, NATDISC-7.6-2
#[test]
fn padding_is_as_long_as_the_mtu_rounded_up_to_four() {
    for (mtu, expected) in [(1500, 1500), (1501, 1504), (576, 576), (u16::MAX, 60_000)] {
        let mut config = brief();
        config.mtu = Some(mtu);
        let mut lab = Lab::new(config, served());
        assert_eq!(lab.run().fragments, Finding::Known(true));
        let mut lengths = lab.sent.iter().filter_map(|(_, transmit)| {
            let message = Message::parse(&transmit.payload).unwrap();
            let padding: Option<Padding<'_>> = message.get().unwrap();
            let has_port = message
                .attributes()
                .any(|raw| raw.kind == AttributeType::RESPONSE_PORT);
            padding.map(|padding| {
                assert!(!has_port, "never together");
                padding.0.len()
            })
        });
        assert_eq!(lengths.next(), Some(expected));
        assert_eq!(lengths.next(), None);
    }
    // A datagram that is lost for its size is not taken for a failure.
    let mut lab = Lab::new(brief(), served());
    lab.meddle = Box::new(|transmit| transmit.payload.len() <= 1472);
    assert_eq!(lab.run().fragments, Finding::Known(false));
}

/// req: NATDISC-5-5
#[test]
fn nobody_is_followed_to_another_server() {
    let other = address("198.51.100.66:3478");
    for class in [Class::Error, Class::Success] {
        let mut lab = Lab::new(brief(), served());
        lab.meddle = Box::new(move |transmit| {
            let message = Message::parse(&transmit.payload).unwrap();
            let mapped = message.get::<XorMappedAddress>().unwrap();
            let bytes = rebuilt(class, transmit, |builder| match class {
                Class::Error => builder
                    .with(&ErrorCode::of(StatusCode::TRY_ALTERNATE))
                    .with(&AlternateServer(other)),
                _ => builder
                    .with_some(mapped.as_ref())
                    .with(&AlternateServer(other)),
            });
            transmit.payload = bytes.into();
            true
        });
        let report = lab.run();
        let mut remotes = lab.sent.iter().map(|(_, transmit)| transmit.path.remote);
        assert!(remotes.all(|remote| remote != other));
        if class == Class::Error {
            let rejected = Failure::Rejected(StatusCode::TRY_ALTERNATE);
            assert_eq!(report.mapped, Finding::Failed(rejected));
        } else {
            assert!(report.mapped.known().is_some());
        }
    }
}

/// req: NATDISC-5-6
#[test]
fn ten_transactions_a_second_at_most_and_no_two_with_the_same_clock() {
    let mut config = config();
    config.lifetime.as_mut().unwrap().first = Duration::from_millis(1);
    let mut lab = Lab::new(config, served());
    lab.run();
    let requests = lab.requests();
    let mut begun: Vec<_> = requests.values().map(|times| times[0]).collect();
    begun.sort_unstable();
    assert!(begun.len() > 20);
    for eleven in begun.windows(11) {
        assert!(eleven[10] - eleven[0] >= Duration::from_secs(1));
    }
    // Where nothing answers, the first retransmissions come after other times.
    let mut lab = Lab::new(brief(), served());
    lab.meddle =
        Box::new(|transmit| transmit.path.local == primary() && transmit.payload.len() < 1000);
    lab.run();
    let requests = lab.requests();
    let again: Vec<_> = requests
        .values()
        .filter(|times| times.len() == 7)
        .map(|times| times[1] - times[0])
        .collect();
    assert!(again.len() >= 4);
    assert_eq!(again.iter().collect::<BTreeSet<_>>().len(), again.len());
    let times = Duration::from_millis(500)..Duration::from_millis(563);
    assert!(again.iter().all(|again| times.contains(again)), "{again:?}");
}

fn with_users() -> ServerConfig {
    let credentials = Credentials::new("alice", "a long password");
    let users = StaticUsers::new("floe.test", &[credentials]);
    ServerConfig {
        access: Access::LongTerm(LongTermConfig::new("floe.test"), Arc::new(users)),
        ..served()
    }
}

/// req: NATDISC-5.2-2
#[test]
fn credentials_are_asked_for_and_used_or_it_fails_for_good() {
    let run = |credentials: Option<(&str, &str)>| {
        let mut lab = Lab::new(brief(), with_users());
        lab.credentials = credentials.map(|(name, password)| Credentials::new(name, password));
        let report = lab.run();
        let needed = DiscoveryEvent::CredentialsNeeded;
        let asked = lab
            .events
            .iter()
            .filter(|(_, event)| *event == needed)
            .count();
        assert_eq!(asked, 1);
        (report, lab.requests().len())
    };
    let (report, _) = run(Some(("alice", "a long password")));
    let same = Finding::Known(Dependence::EndpointIndependent);
    assert_eq!((report.mapping, report.filtering), (same, same));
    assert_eq!(report.fragments, Finding::Known(true));
    for (credentials, requests) in [(None, 1), (Some(("alice", "a guess")), 3)] {
        let (report, sent) = run(credentials);
        assert_eq!(report.mapping, Finding::Failed(Failure::Credentials));
        assert_eq!(sent, requests);
    }
}

/// With credentials, what is not signed says nothing.
#[test]
fn an_unsigned_answer_to_a_signed_request_is_dropped() {
    let mut lab = Lab::new(brief(), with_users());
    lab.credentials = Some(Credentials::new("alice", "a long password"));
    lab.meddle = Box::new(|transmit| {
        let message = Message::parse(&transmit.payload).unwrap();
        if message.class() == Class::Success {
            let seen = address("198.51.100.99:9");
            let forged = rebuilt(Class::Success, transmit, |b| {
                b.with(&XorMappedAddress(seen))
            });
            transmit.payload = forged.into();
        }
        true
    });
    let report = lab.run();
    assert_eq!(report.mapped, Finding::NotTested);
    assert_eq!(report.udp, Finding::Known(false));
}

#[test]
fn an_alg_that_rewrites_what_it_recognises_is_seen() {
    let mut lab = Lab::new(brief(), served());
    lab.meddle = Box::new(|transmit| {
        let message = Message::parse(&transmit.payload).unwrap();
        if let Ok(Some(mapped)) = message.get::<XorMappedAddress>() {
            let inside = MappedAddress(address("10.0.0.7:5000"));
            let rewritten = rebuilt(Class::Success, transmit, |b| b.with(&mapped).with(&inside));
            transmit.payload = rewritten.into();
        }
        true
    });
    assert_eq!(lab.run().alg, Finding::Known(true));
}

#[test]
fn an_answer_from_elsewhere_does_not_count() {
    let mut config = config();
    config.local = Some(address("10.0.0.7:4321"));
    let mut discovery = Discovery::new(config, [0; 32], NOW);
    let request = discovery.poll_transmit().unwrap();
    let seen = XorMappedAddress(address("203.0.113.7:4321"));
    let mut answer = rebuilt(Class::Success, &request, |b| b.with(&seen));
    let mut give = |local: &str, remote: SocketAddr| {
        let path = FiveTuple::udp(address(local), remote);
        discovery.handle_input(NOW, Datagram::whole(path, &mut answer))
    };
    let dropped = Input::Dropped;
    assert_eq!(
        give("10.0.0.7:4321", alternate()),
        dropped(DropReason::NoTransaction)
    );
    assert_eq!(
        give("10.0.0.7:4322", primary()),
        dropped(DropReason::UnknownLocal)
    );
    assert_eq!(give("10.0.0.7:4321", primary()), Input::Handled);
    assert_eq!(
        give("10.0.0.7:4321", primary()),
        dropped(DropReason::NoTransaction)
    );
}

#[test]
fn sockets_that_cannot_be_opened_end_it_after_some_tries() {
    let mut discovery = Discovery::new(config(), [0; 32], NOW);
    let mut ports = BTreeSet::new();
    let finished = loop {
        match discovery.poll_event().unwrap() {
            DiscoveryEvent::OpenSocket { role, port } => {
                ports.insert(port);
                discovery.socket_refused(NOW, role).unwrap();
            }
            DiscoveryEvent::Finished(report) => break report,
            _ => {}
        }
    };
    assert_eq!(ports.len(), 8);
    assert_eq!(finished.udp, Finding::Failed(Failure::NoSocket));
}

#[test]
fn commands_that_were_not_asked_for_are_refused() {
    let mut discovery = Discovery::new(config(), [0; 32], NOW);
    let local = address("10.0.0.7:4321");
    let refused = Err(DiscoveryError::NotAsked);
    assert_eq!(
        discovery.socket_opened(NOW, SocketRole::Idle, local),
        refused
    );
    assert_eq!(discovery.socket_refused(NOW, SocketRole::Probe), refused);
    assert_eq!(discovery.set_credentials(NOW, None), refused);
    assert_eq!(
        discovery.socket_opened(NOW, SocketRole::Main, local),
        Ok(())
    );
    assert_eq!(
        discovery.socket_opened(NOW, SocketRole::Main, local),
        refused
    );
    assert_eq!(discovery.sockets().collect::<Vec<_>>(), [local]);
}

#[test]
fn flags_ask_for_what_the_tests_need() {
    let mut lab = Lab::new(brief(), served());
    lab.meddle = Box::new(|transmit| transmit.path.local == primary());
    lab.run();
    let flags: Vec<_> = lab
        .sent
        .iter()
        .filter_map(|(_, t)| {
            Message::parse(&t.payload)
                .unwrap()
                .get::<ChangeRequest>()
                .unwrap()
        })
        .collect();
    let [both, port] = [true, false].map(|ip| ChangeRequest { ip, port: true });
    assert_eq!(flags, [[both; 7], [port; 7]].concat());
}

//! From a URI to servers: the DNS steps (RFC 8489 §8.1, RFC 5928, RFC 2782, RFC 8305).

use std::collections::BTreeMap;
use std::net::IpAddr;

use floe_sansio::Transport::{self, Dtls, Tcp, Tls, Udp};
use floe_stun::resolve::{
    Answer, AnswerError, Families, NaptrRecord, NextServer, QueryKind, Resolution, ResolveConfig,
    ResolveError, SrvRecord, Usage,
};
use proptest::prelude::*;

const SEED: [u8; 32] = [1; 32];

/// The records of a world, by name. What is not there fails.
#[derive(Default)]
struct Dns {
    addresses: BTreeMap<&'static str, Vec<IpAddr>>,
    srv: BTreeMap<&'static str, Vec<SrvRecord<'static>>>,
    naptr: BTreeMap<&'static str, Vec<NaptrRecord<'static>>>,
}

impl Dns {
    fn host(mut self, name: &'static str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        self.addresses.insert(name, addresses.collect());
        self
    }

    /// One SRV record: priority, weight, port, target.
    fn srv(mut self, name: &'static str, record: (u16, u16, u16, &'static str)) -> Self {
        let (priority, weight, port, target) = record;
        self.srv.entry(name).or_default().push(SrvRecord {
            priority,
            weight,
            port,
            target,
        });
        self
    }

    /// One NAPTR record: order, preference, flags, service, replacement.
    fn naptr(
        mut self,
        name: &'static str,
        record: (u16, u16, &'static str, &'static str, &'static str),
    ) -> Self {
        let (order, preference, flags, service, replacement) = record;
        self.naptr.entry(name).or_default().push(NaptrRecord {
            order,
            preference,
            flags,
            service,
            replacement,
        });
        self
    }

    /// Answers all open queries and tells which they were.
    fn serve(&self, resolution: &mut Resolution) -> Vec<String> {
        let mut log = Vec::new();
        while let Some((id, query)) = resolution.poll_query() {
            log.push(format!("{:?} {}", query.kind, query.name));
            let name = &*query.name;
            let answer = match query.kind {
                QueryKind::Srv => self.srv.get(name).map(|it| Answer::Srv(it)),
                QueryKind::Naptr => self.naptr.get(name).map(|it| Answer::Naptr(it)),
                _ => self.addresses.get(name).map(|it| Answer::Addresses(it)),
            };
            resolution
                .answer(id, answer.unwrap_or(Answer::Failed))
                .unwrap();
        }
        log
    }

    /// Tries all servers, none of which answers: every query and every server, in order.
    fn walk_with(&self, uri: &str, config: ResolveConfig, seed: [u8; 32]) -> Vec<String> {
        let mut resolution = Resolution::new(&uri.parse().unwrap(), config, seed).unwrap();
        let mut log = Vec::new();
        loop {
            log.extend(self.serve(&mut resolution));
            match resolution.next_server() {
                NextServer::Try(it) => log.push(format!("{:?} {}", it.transport, it.address)),
                NextServer::Waiting => {}
                NextServer::Exhausted => return log,
            }
        }
    }

    fn walk(&self, uri: &str) -> Vec<String> {
        self.walk_with(uri, ResolveConfig::default(), SEED)
    }
}

fn over(transports: &[Transport]) -> ResolveConfig {
    ResolveConfig {
        transports: transports.to_vec(),
        ..ResolveConfig::default()
    }
}

fn refused(uri: &str, config: ResolveConfig) -> ResolveError {
    Resolution::new(&uri.parse().unwrap(), config, SEED).unwrap_err()
}

/// req: STUN-8.1-1, STUN-8.1-6, STUNURI-3.2-1, TURN-4.1-2
#[test]
fn an_ip_address_is_used_without_asking() {
    let dns = Dns::default();
    assert_eq!(
        dns.walk("stun:192.0.2.1"),
        ["Udp 192.0.2.1:3478", "Tcp 192.0.2.1:3478"]
    );
    assert_eq!(dns.walk("stun:[2001:db8::1]:80")[0], "Udp [2001:db8::1]:80");
    assert_eq!(
        dns.walk("turn:192.0.2.1?transport=tcp"),
        ["Tcp 192.0.2.1:3478"]
    );
    assert_eq!(
        dns.walk("turns:192.0.2.1?transport=udp"),
        ["Dtls 192.0.2.1:5349"]
    );
}

/// req: STUN-8.1-2
#[test]
fn a_stuns_uri_with_an_ip_address_is_refused() {
    let refused = |uri| refused(uri, ResolveConfig::default());
    assert_eq!(refused("stuns:192.0.2.1"), ResolveError::SecureAddress);
    assert_eq!(
        refused("stuns:[2001:db8::1]:5349"),
        ResolveError::SecureAddress
    );
}

#[test]
fn what_cannot_be_resolved_is_refused_at_once() {
    for host in ["a..b", "a!b", "x%20y", "192.0.2.256", "..", "a.7"] {
        let error = refused(&format!("stun:{host}"), ResolveConfig::default());
        assert_eq!(error, ResolveError::NotADomain, "{host}");
    }
    let long = format!("stun:{}", "x".repeat(64));
    assert_eq!(
        refused(&long, ResolveConfig::default()),
        ResolveError::NotADomain
    );
    for (uri, transports) in [
        ("stun:x", &[Tls, Dtls][..]),
        ("stuns:x", &[Udp, Tcp]),
        ("turn:x?transport=tcp", &[Udp]),
        ("turn:x?transport=quic", &[Udp, Tcp, Tls, Dtls]),
        ("stun:x", &[]),
    ] {
        assert_eq!(refused(uri, over(transports)), ResolveError::NoTransport);
    }
}

/// req: STUN-8.1-3, STUN-8-2, STUNURI-3.2-2
#[test]
fn the_services_of_a_domain_are_asked_for_by_scheme_and_transport() {
    let srv = |uri| {
        let log = Dns::default().walk(uri);
        let srv = log.into_iter().filter(|line| line.starts_with("Srv"));
        srv.collect::<Vec<_>>()
    };
    assert_eq!(
        srv("stun:x.org"),
        ["Srv _stun._udp.x.org", "Srv _stun._tcp.x.org"]
    );
    assert_eq!(
        srv("stuns:x.org"),
        ["Srv _stuns._tcp.x.org", "Srv _stuns._udp.x.org"]
    );
    assert_eq!(srv("turn:x.org?transport=tcp"), ["Srv _turn._tcp.x.org"]);
    assert_eq!(srv("turns:x.org?transport=tcp"), ["Srv _turns._tcp.x.org"]);
}

/// req: NATDISC-5.1-1
#[test]
fn behaviour_discovery_has_services_of_its_own() {
    let config = || ResolveConfig {
        usage: Usage::BehaviorDiscovery,
        ..ResolveConfig::default()
    };
    let ask = |uri| Dns::default().walk_with(uri, config(), SEED);
    assert_eq!(
        ask("stun:x.org")[..2],
        [
            "Srv _stun-behavior._udp.x.org",
            "Srv _stun-behavior._tcp.x.org"
        ]
    );
    // TLS only: the second question is already the fall-back.
    assert_eq!(
        ask("stuns:x.org")[..2],
        ["Srv _stun-behaviors._tcp.x.org", "Aaaa x.org"]
    );
    let dtls = ResolveConfig {
        transports: vec![Dtls],
        ..config()
    };
    assert_eq!(refused("stuns:x.org", dtls), ResolveError::NoTransport);
}

/// req: STUN-8.1-9, STUN-8.1-6, STUN-8.1-5
#[test]
fn without_srv_records_the_domain_is_looked_up_and_tried_at_the_default_port() {
    let dns = Dns::default().host("x.org", &["192.0.2.1", "2001:db8::1"]);
    assert_eq!(
        dns.walk("stun:x.org"),
        [
            "Srv _stun._udp.x.org",
            "Srv _stun._tcp.x.org",
            "Aaaa x.org",
            "A x.org",
            "Udp [2001:db8::1]:3478",
            "Udp 192.0.2.1:3478",
            "Tcp [2001:db8::1]:3478",
            "Tcp 192.0.2.1:3478",
        ]
    );
    let secure = dns.walk("stuns:x.org");
    assert_eq!(
        secure[4..],
        [
            "Tls [2001:db8::1]:5349",
            "Tls 192.0.2.1:5349",
            "Dtls [2001:db8::1]:5349",
            "Dtls 192.0.2.1:5349",
        ]
    );
}

/// req: TURNURI-3.1-3
#[test]
fn a_port_in_the_uri_leaves_srv_out() {
    let dns = Dns::default()
        .host("x.org", &["192.0.2.1"])
        .srv("_stun._udp.x.org", (0, 0, 1, "a.x.org"));
    assert_eq!(
        dns.walk("stun:x.org:80"),
        [
            "Aaaa x.org",
            "A x.org",
            "Udp 192.0.2.1:80",
            "Tcp 192.0.2.1:80"
        ]
    );
    assert_eq!(
        dns.walk("turn:x.org:80?transport=tcp"),
        ["Aaaa x.org", "A x.org", "Tcp 192.0.2.1:80"]
    );
}

/// The next target is looked up only when the servers of the last one have not answered.
///
/// req: STUN-8.1-4, STUN-8.1-3
#[test]
fn servers_are_tried_in_the_order_of_their_priorities() {
    let dns = Dns::default()
        .srv("_stun._udp.x.org", (20, 0, 3480, "c.x.org"))
        .srv("_stun._udp.x.org", (0, 5, 3478, "a.x.org"))
        .srv("_stun._udp.x.org", (10, 65535, 3479, "b.x.org"))
        .host("a.x.org", &["192.0.2.1"])
        .host("b.x.org", &["192.0.2.2", "192.0.2.3"])
        .host("c.x.org", &["2001:db8::4"])
        .host("x.org", &["192.0.2.99"]);
    assert_eq!(
        dns.walk_with("stun:x.org", over(&[Udp]), SEED),
        [
            "Srv _stun._udp.x.org",
            "Aaaa a.x.org",
            "A a.x.org",
            "Udp 192.0.2.1:3478",
            "Aaaa b.x.org",
            "A b.x.org",
            "Udp 192.0.2.2:3479",
            "Udp 192.0.2.3:3479",
            "Aaaa c.x.org",
            "A c.x.org",
            "Udp [2001:db8::4]:3480",
            // There were SRV records: the domain itself is not looked up.
        ]
    );
}

/// RFC 2782: the chance to come first is the weight's share, and weight 0 has a small one.
///
/// req: STUN-8.1-4
#[test]
fn servers_of_one_priority_are_ordered_at_random_by_weight() {
    let dns = Dns::default()
        .srv("_stun._udp.x.org", (0, 300, 1, "heavy.x.org"))
        .srv("_stun._udp.x.org", (0, 100, 2, "light.x.org"))
        .srv("_stun._udp.x.org", (0, 0, 3, "zero.x.org"))
        .host("heavy.x.org", &["192.0.2.1"])
        .host("light.x.org", &["192.0.2.2"])
        .host("zero.x.org", &["192.0.2.3"]);
    let mut first = [0; 3];
    for seed in 0..4000_u16 {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&seed.to_be_bytes());
        let log = dns.walk_with("stun:x.org", over(&[Udp]), bytes);
        let mut ports: Vec<_> = log
            .iter()
            .filter_map(|it| it.strip_prefix("Udp "))
            .collect();
        first[usize::from(ports[0].as_bytes()[ports[0].len() - 1] - b'1')] += 1;
        ports.sort_unstable();
        assert_eq!(ports, ["192.0.2.1:1", "192.0.2.2:2", "192.0.2.3:3"]);
    }
    // Expected: 2993, 997, 10.
    assert!((2880..3100).contains(&first[0]), "{first:?}");
    assert!((900..1100).contains(&first[1]), "{first:?}");
    assert!((1..30).contains(&first[2]), "{first:?}");
}

/// req: STUN-8.1-5
#[test]
fn a_dual_stack_client_asks_for_both_families_and_tries_them_in_turn() {
    let dns = Dns::default().host(
        "x.org",
        &[
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "2001:db8::1",
            "2001:db8::2",
        ],
    );
    let walk = |families| {
        let config = ResolveConfig {
            families,
            ..over(&[Udp])
        };
        dns.walk_with("stun:x.org:1", config, SEED)
    };
    assert_eq!(
        walk(Families::Both),
        [
            "Aaaa x.org",
            "A x.org",
            "Udp [2001:db8::1]:1",
            "Udp 192.0.2.1:1",
            "Udp [2001:db8::2]:1",
            "Udp 192.0.2.2:1",
            "Udp 192.0.2.3:1",
        ]
    );
    assert_eq!(walk(Families::Ipv4)[..2], ["A x.org", "Udp 192.0.2.1:1"]);
    assert_eq!(
        walk(Families::Ipv6)[..2],
        ["Aaaa x.org", "Udp [2001:db8::1]:1"]
    );
    assert_eq!(walk(Families::Ipv6).len(), 3);
}

/// req: STUN-8.1-4
#[test]
fn targets_that_lead_nowhere_are_passed_over() {
    let dns = Dns::default()
        .srv("_stun._udp.x.org", (0, 0, 1, "gone.x.org"))
        .srv("_stun._udp.x.org", (1, 0, 0, "port-zero.x.org"))
        .srv("_stun._udp.x.org", (2, 0, 1, "no domain"))
        .srv("_stun._udp.x.org", (3, 0, 1, "a.x.org."))
        // "Not available here" (RFC 2782): neither a target, nor a reason to fall back.
        .srv("_stun._tcp.x.org", (0, 0, 0, "."))
        .host("a.x.org.", &["192.0.2.1"]);
    assert_eq!(
        dns.walk("stun:x.org"),
        [
            "Srv _stun._udp.x.org",
            "Aaaa gone.x.org",
            "A gone.x.org",
            "Aaaa a.x.org.",
            "A a.x.org.",
            "Udp 192.0.2.1:1",
            "Srv _stun._tcp.x.org",
        ]
    );
}

/// req: TURNURI-3.1-3
#[test]
fn a_turn_uri_without_port_and_transport_is_resolved_by_naptr() {
    let dns = Dns::default()
        .naptr("x.org", (20, 0, "a", "RELAY:turn.udp", "last.x.org"))
        .naptr(
            "x.org",
            (10, 20, "s", "relay:turn.tcp:turn.udp", "_turn._any.x.org"),
        )
        .naptr("x.org", (10, 10, "", "RELAY:turn.udp", "other.org"))
        // Of no use: another service, a transport of TLS, a flag of others.
        .naptr("x.org", (0, 0, "s", "SIP+D2U", "_sip._udp.x.org"))
        .naptr("x.org", (0, 1, "s", "RELAY:turn.tls", "_turns._tcp.x.org"))
        .naptr("x.org", (0, 2, "u", "RELAY:turn.udp", "u.x.org"))
        .naptr(
            "other.org",
            (0, 0, "a", "RELAY:turn.udp", "relay.other.org"),
        )
        .srv("_turn._any.x.org", (0, 0, 5000, "relay.x.org"))
        .host("relay.other.org", &["192.0.2.1"])
        .host("relay.x.org", &["192.0.2.2"])
        .host("last.x.org", &["192.0.2.3"]);
    let config = ResolveConfig {
        families: Families::Ipv4,
        ..ResolveConfig::default()
    };
    assert_eq!(
        dns.walk_with("turn:x.org", config, SEED),
        [
            "Naptr x.org",
            "Naptr other.org",
            "A relay.other.org",
            "Udp 192.0.2.1:3478",
            "Srv _turn._any.x.org",
            "A relay.x.org",
            "Udp 192.0.2.2:5000",
            "Srv _turn._any.x.org",
            "A relay.x.org",
            "Tcp 192.0.2.2:5000",
            "A last.x.org",
            "Udp 192.0.2.3:3478",
        ]
    );
}

/// req: TURNURI-3.1-3, TURN-7.1-3, TURN-4.1-2
#[test]
fn without_naptr_a_turn_uri_is_resolved_by_srv_and_then_by_address() {
    let dns = Dns::default().host("x.org", &["192.0.2.1"]);
    let config = |transports| ResolveConfig {
        families: Families::Ipv4,
        ..over(transports)
    };
    assert_eq!(
        dns.walk_with("turn:x.org", config(&[Udp, Tcp, Tls]), SEED),
        [
            "Naptr x.org",
            "Srv _turn._udp.x.org",
            "Srv _turn._tcp.x.org",
            "A x.org",
            "Udp 192.0.2.1:3478",
            "Tcp 192.0.2.1:3478",
        ]
    );
    assert_eq!(
        dns.walk_with("turns:x.org?transport=tcp", config(&[Udp, Tcp, Tls]), SEED),
        ["Srv _turns._tcp.x.org", "A x.org", "Tls 192.0.2.1:5349"]
    );
}

#[test]
fn an_answer_to_another_question_changes_nothing() {
    let uri = "stun:x.org:1".parse().unwrap();
    let mut resolution = Resolution::new(&uri, over(&[Udp]), SEED).unwrap();
    let (aaaa, _) = resolution.poll_query().unwrap();
    let (a, _) = resolution.poll_query().unwrap();
    assert_eq!(resolution.poll_query(), None);
    assert_eq!(resolution.next_server(), NextServer::Waiting);

    let wrong = resolution.answer(a, Answer::Srv(&[]));
    assert_eq!(wrong, Err(AnswerError::WrongKind));
    let address = ["192.0.2.1".parse().unwrap()];
    resolution.answer(a, Answer::Addresses(&address)).unwrap();
    let again = resolution.answer(a, Answer::Addresses(&address));
    assert_eq!(again, Err(AnswerError::UnknownQuery));
    assert_eq!(resolution.next_server(), NextServer::Waiting);

    // Of the other family: as good as none.
    resolution
        .answer(aaaa, Answer::Addresses(&address))
        .unwrap();
    let NextServer::Try(server) = resolution.next_server() else {
        panic!("no server");
    };
    assert_eq!(server.address.to_string(), "192.0.2.1:1");
    assert_eq!(resolution.next_server(), NextServer::Exhausted);
    assert_eq!(
        resolution.answer(aaaa, Answer::Failed),
        Err(AnswerError::UnknownQuery)
    );
}

/// A name server that always leads on, with all the records it can send.
#[test]
fn a_hostile_name_server_is_left_after_a_while() {
    let naptr: Vec<_> = (0..1000)
        .map(|order| NaptrRecord {
            order,
            preference: 0,
            flags: ["s", "", "a"][usize::from(order) % 3],
            service: "RELAY:turn.udp:turn.tcp",
            replacement: "loop.example",
        })
        .collect();
    let srv: Vec<_> = (0..1000)
        .map(|priority| SrvRecord {
            priority,
            weight: 65535,
            port: 1,
            target: "loop.example",
        })
        .collect();
    let addresses: Vec<IpAddr> = (0..1000_u32)
        .map(|n| IpAddr::V4((0x0A00_0000 + n).into()))
        .collect();
    let config = ResolveConfig {
        max_records: 4,
        max_queries: 30,
        max_servers: 10,
        ..ResolveConfig::default()
    };
    for addresses in [&addresses[..], &[]] {
        let uri = "turn:loop.example".parse().unwrap();
        let mut resolution = Resolution::new(&uri, config.clone(), SEED).unwrap();
        let (mut queries, mut servers) = (0, 0);
        loop {
            while let Some((id, query)) = resolution.poll_query() {
                queries += 1;
                let answer = match query.kind {
                    QueryKind::Naptr => Answer::Naptr(&naptr),
                    QueryKind::Srv => Answer::Srv(&srv),
                    _ => Answer::Addresses(addresses),
                };
                resolution.answer(id, answer).unwrap();
            }
            match resolution.next_server() {
                NextServer::Try(_) => servers += 1,
                NextServer::Waiting => {}
                NextServer::Exhausted => break,
            }
        }
        assert!(queries <= 30, "{queries}");
        assert_eq!(servers, if addresses.is_empty() { 0 } else { 10 });
    }
}

proptest! {
    /// Whatever DNS says, and in whatever order the client asks and answers: it ends within its limits,
    /// and every server is one that was told.
    #[test]
    fn any_answers_lead_to_an_end(
        uri in "(stun|stuns|turn|turns):(x\\.org|\\[::1\\]|192\\.0\\.2\\.1)(:80)?",
        seed in any::<[u8; 32]>(),
        names in proptest::collection::vec("[a-z.]{0,5}|\\PC{0,20}", 1..5),
        numbers in proptest::collection::vec(any::<u16>(), 1..20),
        addresses in proptest::collection::vec(any::<IpAddr>(), 0..40),
        choices in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let config = ResolveConfig { max_queries: 20, max_servers: 20, ..ResolveConfig::default() };
        let Ok(mut resolution) = Resolution::new(&uri.parse().unwrap(), config, seed) else {
            return Ok(());
        };
        let name = |n: u16| &*names[usize::from(n) % names.len()];
        let flags = |n: u16| ["", "s", "A", "p"][usize::from(n) % 4];
        let srv: Vec<_> = numbers.iter().map(|&n| SrvRecord {
            priority: n % 3, weight: n, port: n / 2, target: name(n),
        }).collect();
        let naptr: Vec<_> = numbers.iter().map(|&n| NaptrRecord {
            order: n % 3, preference: n, flags: flags(n), replacement: name(n),
            service: "RELAY:turn.udp:turn.tls",
        }).collect();

        let mut open = Vec::new();
        let (mut queries, mut servers) = (0, 0);
        for turn in 0.. {
            prop_assert!(turn < 1000, "no end");
            let choice = usize::from(choices[turn % choices.len()]);
            if let Some(query) = resolution.poll_query() {
                queries += 1;
                open.push(query);
            }
            if choice % 2 == 0 && !open.is_empty() {
                let (id, query) = open.swap_remove(choice % open.len());
                let answer = match query.kind {
                    QueryKind::Srv => Answer::Srv(&srv),
                    QueryKind::Naptr => Answer::Naptr(&naptr),
                    _ => Answer::Addresses(&addresses),
                };
                let answer = if choice % 3 == 0 { Answer::Failed } else { answer };
                prop_assert_eq!(resolution.answer(id, answer), Ok(()));
            }
            match resolution.next_server() {
                NextServer::Try(it) => {
                    servers += 1;
                    let literal = !uri.contains("x.org");
                    prop_assert!(literal || addresses.contains(&it.address.ip()));
                    prop_assert!(it.address.port() != 0);
                }
                NextServer::Exhausted => break,
                // All even choices may be missing: answer in the end.
                NextServer::Waiting if turn > 500 => {
                    for (id, _) in open.drain(..) {
                        prop_assert_eq!(resolution.answer(id, Answer::Failed), Ok(()));
                    }
                }
                NextServer::Waiting => {}
            }
        }
        prop_assert!(queries <= 20 && servers <= 20);
    }
}

use core::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(secs: u64) -> Instant {
    Instant::from_secs(secs)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn external() -> IpAddr {
    "5.0.0.1".parse().unwrap()
}

fn nat(config: NatConfig) -> Nat {
    Nat::new(config, external(), 1, Random::new(1))
}

/// The external port with which a packet leaves.
fn out(nat: &mut Nat, now: Instant, from: &str, to: &str) -> Result<u16, DropCause> {
    match nat.outbound(now, address(from), address(to)) {
        Verdict::Pass {
            source,
            destination,
        } => {
            assert_eq!(source.ip(), external());
            assert_eq!(destination, address(to));
            Ok(source.port())
        }
        Verdict::Hairpin { .. } => panic!("not a hairpin"),
        Verdict::Drop(cause) => Err(cause),
    }
}

/// The inside endpoint that a packet reaches.
fn back(nat: &mut Nat, now: Instant, from: &str, port: u16) -> Result<SocketAddr, DropCause> {
    match nat.inbound(now, address(from), SocketAddr::new(external(), port)) {
        Verdict::Pass {
            source,
            destination,
        } => {
            assert_eq!(source, address(from));
            Ok(destination)
        }
        Verdict::Hairpin { .. } => panic!("not a hairpin"),
        Verdict::Drop(cause) => Err(cause),
    }
}

const HOST: &str = "192.168.1.2:5000";
const OTHER_HOST: &str = "192.168.1.3:5000";
const SERVER: &str = "9.9.9.9:1000";
const SERVER_PORT_2: &str = "9.9.9.9:1001";
const SERVER_2: &str = "8.8.8.8:1000";

const STRICT: NatConfig = NatConfig {
    filtering: Filtering::AddressAndPortDependent,
    ..NatConfig::RFC4787
};

const MASQUERADE: NatConfig = NatConfig {
    mapping: Mapping::PerFlow,
    refresh: Refresh::Both,
    timers: NatTimers::LINUX,
    ..STRICT
};

#[test]
fn nothing_enters_where_nothing_has_left() {
    for mapping in Mapping::ALL {
        let mut nat = nat(NatConfig {
            mapping,
            ..NatConfig::RFC4787
        });
        let result = back(&mut nat, at(0), SERVER, 5000);
        assert_eq!(result, Err(DropCause::NoMapping));
    }
}

/// req: NATUDP-5-1
#[test]
fn a_refusal_says_which_rule_refused() {
    for mapping in Mapping::ALL {
        let mut strict = nat(NatConfig { mapping, ..STRICT });
        let port = out(&mut strict, at(0), HOST, SERVER).unwrap();
        assert_eq!(back(&mut strict, at(0), SERVER, port), Ok(address(HOST)));
        assert_eq!(
            back(&mut strict, at(0), SERVER_PORT_2, port),
            Err(DropCause::FilteredByPort)
        );
        assert_eq!(
            back(&mut strict, at(0), SERVER_2, port),
            Err(DropCause::FilteredByAddress)
        );

        let mut lenient = nat(NatConfig {
            mapping,
            filtering: Filtering::AddressDependent,
            ..STRICT
        });
        let port = out(&mut lenient, at(0), HOST, SERVER).unwrap();
        let entered = back(&mut lenient, at(0), SERVER_PORT_2, port);
        assert_eq!(entered, Ok(address(HOST)));
        assert_eq!(
            back(&mut lenient, at(0), SERVER_2, port),
            Err(DropCause::FilteredByAddress)
        );
    }
}

/// The rule looks at the inside endpoint, not at the mapping through which it has sent.
///
/// req: NATUDP-5-1
#[test]
fn filtering_looks_at_the_endpoint_not_at_the_mapping() {
    let mut nat = nat(NatConfig {
        mapping: Mapping::AddressAndPortDependent,
        allocation: Allocation::RANDOM,
        ..STRICT
    });
    let first = out(&mut nat, at(0), HOST, SERVER).unwrap();
    let second = out(&mut nat, at(0), HOST, SERVER_2).unwrap();
    assert_ne!(first, second);
    assert_eq!(back(&mut nat, at(0), SERVER_2, first), Ok(address(HOST)));
}

/// req: NATUDP-R5c-1
#[test]
fn a_mapping_ends_when_its_timer_does() {
    for mapping in Mapping::ALL {
        let mut nat = nat(NatConfig { mapping, ..STRICT });
        let port = out(&mut nat, at(0), HOST, SERVER).unwrap();
        let almost = Instant::from_nanos(at(300).as_nanos() - 1);
        assert!(back(&mut nat, almost, SERVER, port).is_ok());
        assert_eq!(
            back(&mut nat, at(300), SERVER, port),
            Err(DropCause::MappingExpired)
        );
        assert_eq!(
            back(&mut nat, at(300), SERVER, port),
            Err(DropCause::NoMapping)
        );
        assert_eq!(nat.mappings(), 0);
    }
}

/// req: NATUDP-R6-1, NATUDP-R6a-1
#[test]
fn what_refreshes_is_an_axis() {
    for (refresh, by_outbound, by_inbound) in [
        (Refresh::Outbound, true, false),
        (Refresh::Inbound, false, true),
        (Refresh::Both, true, true),
    ] {
        for mapping in Mapping::ALL {
            for filtering in Filtering::ALL {
                let config = NatConfig {
                    mapping,
                    filtering,
                    refresh,
                    ..NatConfig::RFC4787
                };
                let mut nat_a = nat(config);
                let port = out(&mut nat_a, at(0), HOST, SERVER).unwrap();
                out(&mut nat_a, at(200), HOST, SERVER).unwrap();
                let lives = back(&mut nat_a, at(400), SERVER, port).is_ok();
                assert_eq!(lives, by_outbound, "{config}");

                let mut nat_b = nat(config);
                let port = out(&mut nat_b, at(0), HOST, SERVER).unwrap();
                back(&mut nat_b, at(200), SERVER, port).unwrap();
                let lives = back(&mut nat_b, at(400), SERVER, port).is_ok();
                assert_eq!(lives, by_inbound, "{config}");
            }
        }
    }
}

/// req: NATUDP-4.3-1
#[test]
fn filter_entries_expire_on_their_own() {
    let mut nat = nat(STRICT);
    let port = out(&mut nat, at(0), HOST, SERVER).unwrap();
    out(&mut nat, at(200), HOST, SERVER_2).unwrap();
    assert!(back(&mut nat, at(299), SERVER, port).is_ok());
    assert_eq!(
        back(&mut nat, at(300), SERVER, port),
        Err(DropCause::FilteredByAddress)
    );
    assert!(back(&mut nat, at(300), SERVER_2, port).is_ok());
    // Sending again opens it again.
    assert_eq!(out(&mut nat, at(310), HOST, SERVER), Ok(port));
    assert!(back(&mut nat, at(311), SERVER, port).is_ok());
}

#[test]
fn linux_keeps_a_flow_longer_once_it_was_answered() {
    let mut silent = nat(MASQUERADE);
    let port = out(&mut silent, at(0), HOST, SERVER).unwrap();
    assert_eq!(
        back(&mut silent, at(30), SERVER, port),
        Err(DropCause::MappingExpired)
    );
    let mut answered = nat(MASQUERADE);
    let port = out(&mut answered, at(0), HOST, SERVER).unwrap();
    assert!(back(&mut answered, at(29), SERVER, port).is_ok());
    assert!(back(&mut answered, at(29 + 119), SERVER, port).is_ok());
    assert_eq!(
        back(&mut answered, at(29 + 119 + 120), SERVER, port),
        Err(DropCause::MappingExpired)
    );
}

/// req: NATUDP-R3-1
#[test]
fn two_hosts_never_share_an_external_endpoint() {
    let mut nat = nat(NatConfig::RFC4787);
    let first = out(&mut nat, at(0), HOST, SERVER).unwrap();
    let second = out(&mut nat, at(0), OTHER_HOST, SERVER).unwrap();
    assert_eq!(first, 5000);
    assert_ne!(second, 5000);
    assert!(second >= 1024);
    assert_eq!(back(&mut nat, at(0), SERVER, first), Ok(address(HOST)));
    assert_eq!(
        back(&mut nat, at(0), SERVER, second),
        Ok(address(OTHER_HOST))
    );
}

/// req: NATUPD-3-1
#[test]
fn flows_to_different_destinations_share_a_port() {
    let mut nat = nat(MASQUERADE);
    assert_eq!(out(&mut nat, at(0), HOST, SERVER), Ok(5000));
    assert_eq!(out(&mut nat, at(0), HOST, SERVER_2), Ok(5000));
    assert_eq!(out(&mut nat, at(0), OTHER_HOST, SERVER_PORT_2), Ok(5000));
    let clash = out(&mut nat, at(0), OTHER_HOST, SERVER).unwrap();
    assert_ne!(clash, 5000);
    assert_eq!(back(&mut nat, at(0), SERVER, 5000), Ok(address(HOST)));
    assert_eq!(
        back(&mut nat, at(0), SERVER_PORT_2, 5000),
        Ok(address(OTHER_HOST))
    );
    assert_eq!(
        back(&mut nat, at(0), SERVER, clash),
        Ok(address(OTHER_HOST))
    );
}

#[test]
fn a_port_is_free_again_when_its_mapping_has_expired() {
    let mut nat = nat(NatConfig {
        allocation: Allocation::Preserving,
        ..STRICT
    });
    assert_eq!(out(&mut nat, at(0), HOST, SERVER), Ok(5000));
    assert_eq!(
        out(&mut nat, at(299), OTHER_HOST, SERVER),
        Err(DropCause::PortTaken)
    );
    assert_eq!(out(&mut nat, at(300), OTHER_HOST, SERVER), Ok(5000));
    assert_eq!(
        out(&mut nat, at(300), HOST, SERVER),
        Err(DropCause::PortTaken)
    );
}

#[test]
fn sequential_ports_follow_each_other() {
    let mut nat = nat(NatConfig {
        mapping: Mapping::AddressAndPortDependent,
        allocation: Allocation::NEXT,
        ..STRICT
    });
    let first = out(&mut nat, at(0), HOST, SERVER).unwrap();
    assert_eq!(out(&mut nat, at(0), HOST, SERVER_2), Ok(first + 1));
    assert_eq!(out(&mut nat, at(0), OTHER_HOST, SERVER), Ok(first + 2));
    assert_eq!(out(&mut nat, at(0), HOST, SERVER), Ok(first));
}

/// req: NATUPD-9-1
#[test]
fn random_ports_of_one_host_do_not_depend_on_other_hosts() {
    let config = NatConfig {
        mapping: Mapping::AddressAndPortDependent,
        allocation: Allocation::RANDOM,
        ..STRICT
    };
    let (mut alone, mut shared) = (nat(config), nat(config));
    let mut ports = Vec::new();
    for n in 1..50 {
        let to = format!("9.9.9.9:{n}");
        out(&mut shared, at(0), OTHER_HOST, &to).unwrap();
        let port = out(&mut alone, at(0), HOST, &to).unwrap();
        assert_eq!(out(&mut shared, at(0), HOST, &to), Ok(port));
        ports.push(port);
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 49);
}

/// req: NATUDP-R9-1, NATUDP-R9a-1
#[test]
fn hairpinning_is_an_axis() {
    for hairpin in Hairpin::ALL {
        let mut nat = nat(NatConfig {
            hairpin,
            ..NatConfig::RFC4787
        });
        let own = out(&mut nat, at(0), HOST, SERVER).unwrap();
        let other = out(&mut nat, at(0), OTHER_HOST, SERVER).unwrap();
        let verdict = nat.outbound(at(0), address(HOST), SocketAddr::new(external(), other));
        let expected = match hairpin {
            Hairpin::Off => Verdict::Drop(DropCause::HairpinOff),
            Hairpin::Internal => Verdict::Hairpin {
                source: address(HOST),
                destination: address(OTHER_HOST),
            },
            Hairpin::External => Verdict::Hairpin {
                source: SocketAddr::new(external(), own),
                destination: address(OTHER_HOST),
            },
        };
        assert_eq!(verdict, expected);
    }
}

#[test]
fn a_hairpin_is_filtered_like_any_other_packet() {
    let mut nat = nat(STRICT);
    let own = out(&mut nat, at(0), HOST, SERVER).unwrap();
    let other = out(&mut nat, at(0), OTHER_HOST, SERVER).unwrap();
    let (own, other) = (
        SocketAddr::new(external(), own),
        SocketAddr::new(external(), other),
    );
    assert_eq!(
        nat.outbound(at(0), address(HOST), other),
        Verdict::Drop(DropCause::FilteredByAddress)
    );
    assert_eq!(
        nat.outbound(at(0), address(OTHER_HOST), own),
        Verdict::Hairpin {
            source: other,
            destination: address(HOST)
        }
    );
}

/// req: CGN-R4-1, CGN-R11-1, CGN-R11-4
#[test]
fn a_host_at_its_limit_keeps_what_it_has_and_gets_no_more() {
    let mut nat = nat(NatConfig {
        limits: NatLimits {
            mappings_per_host: 3,
            ..NatLimits::DEFAULT
        },
        ..NatConfig::RFC4787
    });
    for port in 1..=3 {
        out(&mut nat, at(port), &format!("192.168.1.2:{port}"), SERVER).unwrap();
    }
    let fourth = "192.168.1.2:4";
    assert_eq!(
        out(&mut nat, at(9), fourth, SERVER),
        Err(DropCause::MappingLimit)
    );
    assert!(out(&mut nat, at(9), "192.168.1.2:2", SERVER).is_ok());
    assert!(out(&mut nat, at(9), "192.168.1.3:2", SERVER).is_ok());
    // The first has expired by then; nobody asked for it since.
    assert_eq!(
        out(&mut nat, at(300), fourth, SERVER),
        Err(DropCause::MappingLimit)
    );
    assert!(out(&mut nat, at(301), fourth, SERVER).is_ok());
    assert_eq!(nat.mappings(), 4);
}

#[test]
fn an_endpoint_at_its_limit_reaches_only_whom_it_knows() {
    let mut nat = nat(NatConfig {
        limits: NatLimits {
            sessions_per_endpoint: 2,
            ..NatLimits::DEFAULT
        },
        ..STRICT
    });
    out(&mut nat, at(0), HOST, SERVER).unwrap();
    out(&mut nat, at(100), HOST, SERVER_2).unwrap();
    let third = "7.7.7.7:7";
    assert_eq!(
        out(&mut nat, at(200), HOST, third),
        Err(DropCause::SessionLimit)
    );
    assert!(out(&mut nat, at(200), HOST, SERVER_2).is_ok());
    assert!(out(&mut nat, at(300), HOST, third).is_ok());
}

#[test]
fn a_port_that_is_drawn_twice_is_counted_and_one_that_is_kept_is_not() {
    let few = Allocation::Random {
        low: 4000,
        high: 4001,
    };
    let flows = |allocation| {
        let mut nat = nat(NatConfig {
            allocation,
            ..MASQUERADE
        });
        let mut seen = [out(&mut nat, at(0), HOST, SERVER).unwrap()].to_vec();
        for server in [SERVER_PORT_2, SERVER_2] {
            let before = nat.coincidences();
            let port = out(&mut nat, at(0), HOST, server).unwrap();
            let again = out(&mut nat, at(1), HOST, server).unwrap();
            assert_eq!(port, again);
            let drawn_twice = seen.contains(&port) && !allocation.preserves();
            assert_eq!(nat.coincidences() - before, u64::from(drawn_twice));
            seen.push(port);
        }
        let other = out(&mut nat, at(0), OTHER_HOST, "7.7.7.7:7").unwrap();
        (nat.coincidences(), seen.contains(&other))
    };
    assert!(flows(few).0 > 0, "three flows, two ports");
    assert!(flows(few).1, "that of another host is none");
    assert_eq!(flows(Allocation::PreservingElseRandom).0, 0);
    assert_eq!(flows(Allocation::NEXT).0, 0);
}

#[test]
fn another_address_family_is_not_translated() {
    let mut nat = nat(NatConfig::RFC4787);
    let verdict = nat.outbound(at(0), address("[fd00::1]:1"), address("[2a00::1]:1"));
    assert_eq!(verdict, Verdict::Drop(DropCause::Family));
}

#[test]
fn a_reboot_forgets_mappings_but_not_the_dice() {
    let mut nat = nat(NatConfig {
        allocation: Allocation::RANDOM,
        ..NatConfig::RFC4787
    });
    let before = out(&mut nat, at(0), HOST, SERVER).unwrap();
    nat.reboot();
    assert_eq!(
        back(&mut nat, at(0), SERVER, before),
        Err(DropCause::NoMapping)
    );
    assert_ne!(out(&mut nat, at(0), HOST, SERVER), Ok(before));
}

#[test]
fn a_full_pool_drops() {
    let mut nat = nat(NatConfig {
        allocation: Allocation::Random {
            low: 2000,
            high: 2009,
        },
        ..NatConfig::RFC4787
    });
    let mut ports: Vec<_> = (1..=10)
        .map(|n| out(&mut nat, at(0), &format!("192.168.1.2:{n}"), SERVER).unwrap())
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, (2000..=2009).collect::<Vec<_>>());
    assert_eq!(
        out(&mut nat, at(0), "192.168.1.2:11", SERVER),
        Err(DropCause::PoolExhausted)
    );
}

#[test]
fn impossible_axes_are_refused() {
    let refused = |config: NatConfig| config.check().unwrap_err();
    assert_eq!(
        refused(NatConfig {
            mapping: Mapping::AddressDependent,
            allocation: Allocation::Preserving,
            ..STRICT
        }),
        NatConfigError::OneDestination
    );
    for (low, high) in [(0, 9), (10, 9)] {
        let allocation = Allocation::Random { low, high };
        let config = NatConfig {
            allocation,
            ..STRICT
        };
        assert_eq!(refused(config), NatConfigError::PortRange);
    }
    assert_eq!(
        refused(NatConfig {
            timers: NatTimers::same(Duration::ZERO),
            ..STRICT
        }),
        NatConfigError::ZeroTimer
    );
    assert_eq!(
        refused(NatConfig {
            limits: NatLimits {
                mappings_per_host: 0,
                ..NatLimits::DEFAULT
            },
            ..STRICT
        }),
        NatConfigError::ZeroLimit
    );
}

/// The rules of RFC 4787 as written: all that was ever sent, searched anew for each packet. Ports are
/// those that the NAT said it gave.
struct Definition {
    config: NatConfig,
    sent: Vec<Sent>,
}

#[derive(Clone, Copy)]
struct Sent {
    time: u64,
    inside: SocketAddr,
    remote: SocketAddr,
    port: u16,
}

impl Definition {
    /// Refreshed by outbound packets only, and one timer: what has been sent lately is what lives.
    fn lately(&self, now: u64) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(move |s| now < s.time + 300)
    }

    fn reuses(&self, a: SocketAddr, b: SocketAddr) -> bool {
        match self.config.mapping {
            Mapping::EndpointIndependent => true,
            Mapping::AddressDependent => a.ip() == b.ip(),
            _ => a == b,
        }
    }

    fn expected_port(&self, now: u64, inside: SocketAddr, remote: SocketAddr) -> Option<u16> {
        self.lately(now)
            .find(|s| s.inside == inside && self.reuses(s.remote, remote))
            .map(|s| s.port)
    }

    fn admits(&self, now: u64, remote: SocketAddr, port: u16) -> Option<SocketAddr> {
        let owner = self.lately(now).find(|s| s.port == port)?.inside;
        let sent_to = |known: &dyn Fn(SocketAddr) -> bool| {
            self.lately(now)
                .any(|s| s.inside == owner && known(s.remote))
        };
        let admitted = match self.config.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => sent_to(&|known| known.ip() == remote.ip()),
            Filtering::AddressAndPortDependent => sent_to(&|known| known == remote),
        };
        admitted.then_some(owner)
    }
}

proptest! {
    /// req: NATUDP-4.1-1, NATUDP-5-1, NATUDP-R3-1
    #[test]
    fn the_state_machine_is_the_definition(
        mapping in prop::sample::select(&Mapping::ALL[..3]),
        filtering in prop::sample::select(&Filtering::ALL[..]),
        allocation in prop::sample::select(vec![
            Allocation::PreservingElseRandom,
            Allocation::NEXT,
            Allocation::Random { low: 4_000, high: 4_999 },
        ]),
        steps in prop::collection::vec(
            (0..120_u64, any::<bool>(), 0..3_u8, 0..2_u16, 0..3_u8, 0..3_u16, any::<prop::sample::Index>()),
            1..120,
        ),
    ) {
        let config = NatConfig { mapping, filtering, allocation, ..NatConfig::RFC4787 };
        let mut nat = nat(config);
        let mut definition = Definition { config, sent: Vec::new() };
        let mut now = 0;
        for (wait, outbound, host, socket, server, port, which) in steps {
            now += wait;
            let remote = SocketAddr::from(([9, 9, 9, server], 1_000 + port));
            if outbound {
                let inside = SocketAddr::from(([10, 0, 0, host], 5_000 + socket));
                let Verdict::Pass { source, .. } = nat.outbound(at(now), inside, remote) else {
                    panic!("dropped");
                };
                match definition.expected_port(now, inside, remote) {
                    Some(port) => prop_assert_eq!(source.port(), port),
                    None => prop_assert!(definition.lately(now).all(|s| s.port != source.port())),
                }
                definition.sent.push(Sent { time: now, inside, remote, port: source.port() });
            } else if !definition.sent.is_empty() {
                let port = which.get(&definition.sent).port;
                let verdict = nat.inbound(at(now), remote, SocketAddr::new(external(), port));
                let admitted = match verdict {
                    Verdict::Pass { destination, .. } => Some(destination),
                    _ => None,
                };
                prop_assert_eq!(admitted, definition.admits(now, remote, port));
            }
        }
    }
}

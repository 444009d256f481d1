//! The addresses of the host: which become candidates, and which are preferred (RFC 8445 §5.1.1.1,
//! §5.1.2, RFC 8421).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use floe_ice::{
    Agent, Candidate, CommandError, ComponentId, Config, Event, LocalAddress, Network,
    RemoteParameters, Role, candidate_priority,
};
use floe_sansio::Instant;

const NOW: Instant = Instant::from_secs(1);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> LocalAddress {
    LocalAddress::new(addr(text))
}

fn agent(addresses: &[LocalAddress]) -> Agent {
    let mut agent = Agent::new(Config::new(Role::Controlling), [1; 32], NOW);
    for &address in addresses {
        agent.add_address(NOW, address).unwrap();
    }
    agent
}

fn announced(agent: &mut Agent) -> Vec<Candidate> {
    let events = core::iter::from_fn(|| agent.poll_event());
    events
        .filter_map(|event| match event {
            Event::LocalCandidate(candidate) => Some(candidate),
            _ => None,
        })
        .collect()
}

/// The host candidates of these addresses, in the order in which they are told.
fn gathered(addresses: &[LocalAddress]) -> Vec<Candidate> {
    let mut agent = agent(addresses);
    agent.gather(NOW);
    announced(&mut agent)
}

fn addresses(candidates: &[Candidate]) -> Vec<SocketAddr> {
    candidates.iter().map(|it| it.address).collect()
}

fn by_priority(mut candidates: Vec<Candidate>) -> Vec<SocketAddr> {
    candidates.sort_by_key(|it| core::cmp::Reverse(it.priority));
    addresses(&candidates)
}

// ---- which -------------------------------------------------------------------------------

const STABLE: &str = "[2001:db8:0:1::1]:1";
const HIDDEN: &str = "[2001:db8:0:1::aaaa]:1";

fn temporary(text: &str) -> LocalAddress {
    LocalAddress {
        temporary: true,
        ..at(text)
    }
}

/// Scenario 44.
///
/// req: ICE-5.1.1.1-7
#[test]
fn a_temporary_address_hides_others_of_its_interface_and_prefix() {
    let other_prefix = at("[2001:db8:0:2::1]:1");
    let other_interface = at("[2001:db8:0:1::5]:1").in_network(Network { id: 7, cost: 0 });
    let v4 = at("192.0.2.1:1");
    let told = gathered(&[
        at(STABLE),
        temporary(HIDDEN),
        other_prefix,
        other_interface,
        v4,
    ]);
    let told: BTreeSet<_> = addresses(&told).into_iter().collect();
    let wanted = [temporary(HIDDEN), other_prefix, other_interface, v4];
    assert_eq!(told, wanted.map(|it| it.address).into());
}

/// req: ICE-5.1.1.1-8
#[test]
fn a_temporary_address_hides_link_local_ones() {
    let link_local = at("[fe80::1]:1").in_network(Network { id: 7, cost: 0 });
    let told = gathered(&[link_local, temporary(HIDDEN)]);
    assert_eq!(addresses(&told), [addr(HIDDEN)]);
    let told = gathered(&[link_local, at(STABLE)]);
    assert_eq!(told.len(), 2);
}

#[test]
fn what_hides_nothing_itself_hides_no_others() {
    let deprecated = LocalAddress {
        deprecated: true,
        ..temporary(HIDDEN)
    };
    let told = gathered(&[at(STABLE), deprecated]);
    assert_eq!(addresses(&told), [addr(STABLE)]);
}

/// Scenario 44.
#[test]
fn a_deprecated_address_makes_no_candidate() {
    let deprecated = LocalAddress {
        deprecated: true,
        ..at(STABLE)
    };
    assert_eq!(gathered(&[deprecated]), []);
}

#[test]
fn an_address_that_comes_later_is_hidden_too() {
    let mut agent = agent(&[temporary(HIDDEN)]);
    agent.gather(NOW);
    agent.add_address(NOW, at(STABLE)).unwrap();
    assert_eq!(addresses(&announced(&mut agent)), [addr(HIDDEN)]);
}

/// req: ICE-5.1.1.1-2, ICE-5.1.1.1-3
#[test]
fn each_component_has_candidates_of_its_own() {
    let id = |component| ComponentId {
        stream: 0,
        component,
    };
    let told = gathered(&[
        at("192.0.2.1:1").on(id(1)),
        at("192.0.2.1:2").on(id(2)),
        at("192.0.2.1:3").on(id(3)),
    ]);
    let numbers: Vec<_> = told.iter().map(|it| it.component.component).collect();
    assert_eq!(numbers, [1, 2, 3]);
    // They differ in nothing but the component (RFC 8445 §5.1.2.1).
    for candidate in told {
        let number = candidate.component.component;
        let wanted = candidate_priority(candidate.kind, u16::MAX, number);
        assert_eq!(candidate.priority, wanted);
    }
}

/// req: ICE-5.1.2.1-5
#[test]
fn a_component_is_numbered_from_1_to_256() {
    let mut agent = agent(&[]);
    let mut add = |component| {
        let id = ComponentId {
            stream: 0,
            component,
        };
        agent.add_address(NOW, at("192.0.2.1:1").on(id))
    };
    for outside in [0, 257, u16::MAX] {
        assert_eq!(add(outside), Err(CommandError::UnknownComponent));
    }
    assert_eq!(add(256), Ok(()));
    assert_eq!(
        candidate_priority(floe_ice::CandidateKind::Host, 1, 256) & 0xFF,
        0
    );
}

/// req: ICE-5.1.1.4-3
#[test]
fn candidates_follow_the_interfaces() {
    let mut config = Config::new(Role::Controlling);
    config.continual = true;
    config.addresses = vec![addr("192.0.2.1:1")];
    let mut agent = Agent::new(config, [1; 32], NOW);
    agent.gather(NOW);
    announced(&mut agent);
    agent.add_address(NOW, at("192.0.2.2:1")).unwrap();
    assert_eq!(addresses(&announced(&mut agent)), [addr("192.0.2.2:1")]);
    agent.remove_address(NOW, addr("192.0.2.1:1"));
    let left: Vec<_> = agent.local_candidates().map(|it| it.address).collect();
    assert_eq!(left, [addr("192.0.2.2:1")]);
}

// ---- in which order ------------------------------------------------------------------------

/// req: FAIR-4-1, ICE-5.1.2.1-4, ICE-5.1.2.2-2
#[test]
fn a_dual_stack_host_prefers_ipv6_and_takes_turns() {
    let told = gathered(&[
        at("192.0.2.1:1"),
        at("192.0.2.2:1"),
        at("192.0.2.3:1"),
        at("[2001:db8::1]:1"),
        at("[2001:db8::2]:1"),
        at("[2001:db8::3]:1"),
    ]);
    let wanted = [
        "[2001:db8::1]:1",
        "[2001:db8::2]:1",
        "192.0.2.1:1",
        "[2001:db8::3]:1",
        "192.0.2.2:1",
        "192.0.2.3:1",
    ];
    assert_eq!(
        addresses(&told),
        wanted.map(addr),
        "the best are told first"
    );
    assert_eq!(by_priority(told), wanted.map(addr));
}

/// req: FAIR-3-1, FAIR-5-3
#[test]
fn an_unreliable_network_comes_last() {
    let vpn = LocalAddress {
        unreliable: true,
        ..at("[2001:db8::1]:1")
    };
    let told = gathered(&[vpn, at("192.0.2.1:1")]);
    assert_eq!(by_priority(told), [addr("192.0.2.1:1"), vpn.address]);
}

#[test]
fn a_network_that_costs_more_comes_later() {
    let costs = |text, id, cost| at(text).in_network(Network { id, cost });
    let told = gathered(&[
        costs("[2001:db8::1]:1", 1, 900),
        costs("192.0.2.1:1", 2, 10),
    ]);
    assert_eq!(
        by_priority(told),
        ["192.0.2.1:1", "[2001:db8::1]:1"].map(addr)
    );
}

/// req: FAIR-5-1, FAIR-5-2
#[test]
fn preferences_are_unique_and_nothing_else_of_the_priority_changes() {
    let mut hosts = Vec::new();
    for n in 1..=20 {
        hosts.push(at(&format!("192.0.2.{n}:1")));
        hosts.push(at(&format!("[2001:db8::{n}]:1")));
    }
    let told = gathered(&hosts);
    let preferences: BTreeSet<_> = told.iter().map(|it| it.priority >> 8 & 0xFFFF).collect();
    assert_eq!(preferences.len(), hosts.len());
    for candidate in told {
        assert_eq!(
            (candidate.priority >> 24, candidate.priority & 0xFF),
            (126, 255)
        );
    }
}

#[test]
fn an_address_that_comes_later_is_preferred_to_none() {
    let mut agent = agent(&[at("192.0.2.1:1"), at("192.0.2.2:1")]);
    agent.gather(NOW);
    agent.remove_address(NOW, addr("192.0.2.1:1"));
    agent.add_address(NOW, at("[2001:db8::1]:1")).unwrap();
    let candidates = agent.local_candidates().cloned().collect();
    assert_eq!(
        by_priority(candidates),
        ["192.0.2.2:1", "[2001:db8::1]:1"].map(addr)
    );
}

/// However often interfaces come and go.
#[test]
fn places_of_addresses_that_have_gone_are_taken_again() {
    let mut agent = agent(&[at("192.0.2.1:1")]);
    agent.gather(NOW);
    for port in 1..=1000 {
        let fleeting = SocketAddr::new(addr("192.0.2.2:1").ip(), port);
        agent.add_address(NOW, LocalAddress::new(fleeting)).unwrap();
        let priorities: BTreeSet<_> = agent.local_candidates().map(|it| it.priority).collect();
        assert_eq!(priorities.len(), 2, "{port}");
        agent.remove_address(NOW, fleeting);
    }
}

#[test]
fn a_component_has_256_addresses_at_most() {
    let many: Vec<_> = (1..=256)
        .map(|port| LocalAddress::new(SocketAddr::new(addr("192.0.2.1:1").ip(), port)))
        .collect();
    let mut agent = agent(&many);
    let refused = agent.add_address(NOW, at("192.0.2.2:1"));
    assert_eq!(refused, Err(CommandError::Capacity));
    agent.gather(NOW);
    let priorities: BTreeSet<_> = agent.local_candidates().map(|it| it.priority).collect();
    assert_eq!(priorities.len(), 256);
}

/// A restart is a new beginning: what came late has its place then.
#[test]
fn a_restart_prefers_anew() {
    let mut agent = agent(&[at("192.0.2.1:1")]);
    agent.gather(NOW);
    agent.add_address(NOW, at("[2001:db8::1]:1")).unwrap();
    announced(&mut agent);
    agent.restart(NOW).unwrap();
    agent.gather(NOW);
    let told = announced(&mut agent);
    assert_eq!(told.len(), 2);
    assert_eq!(
        by_priority(told),
        ["[2001:db8::1]:1", "192.0.2.1:1"].map(addr)
    );
}

/// The peer prefers IPv4 by an algorithm of its own; both sides have the same order of pairs.
///
/// req: FAIR-5-2
#[test]
fn agents_with_different_preferences_order_their_pairs_alike() {
    let hosts = [at("192.0.2.1:1"), at("[2001:db8::1]:1")];
    let peers = ["198.51.100.1:1", "[2001:db8:1::1]:1"];
    let mut ours = agent(&hosts);
    let mut theirs = {
        // Costs make it prefer IPv4.
        let costs = |text, cost| at(text).in_network(Network { id: cost, cost });
        let hosts = [costs(peers[0], 1), costs(peers[1], 2)];
        let mut agent = Agent::new(Config::new(Role::Controlled), [2; 32], NOW);
        for host in hosts {
            agent.add_address(NOW, host).unwrap();
        }
        agent
    };
    ours.gather(NOW);
    theirs.gather(NOW);
    let (from_us, from_them) = (announced(&mut ours), announced(&mut theirs));
    assert_ne!(
        by_priority(from_us.clone())[0].is_ipv4(),
        by_priority(from_them.clone())[0].is_ipv4()
    );
    let tell = |agent: &mut Agent, other: &Agent, candidates: Vec<Candidate>| {
        let parameters = RemoteParameters::new(other.credentials().clone());
        agent.set_remote_parameters(NOW, parameters).unwrap();
        for candidate in candidates {
            agent.add_remote_candidate(NOW, candidate).unwrap();
        }
    };
    tell(&mut ours, &theirs, from_them);
    tell(&mut theirs, &ours, from_us);
    let order = |agent: &Agent| {
        let mut pairs = agent.stats().pairs;
        pairs.sort_by_key(|pair| core::cmp::Reverse(pair.priority));
        let families = pairs
            .iter()
            .map(|pair| (pair.local.is_ipv4(), pair.priority));
        families.collect::<Vec<_>>()
    };
    assert_eq!(order(&ours).len(), 2);
    assert_eq!(order(&ours), order(&theirs));
}

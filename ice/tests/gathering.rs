//! Candidates from servers, and paths through relays (RFC 8445 §5.1.1, §5.1.2, §7.2.1, §8.3).

mod net;

use core::time::Duration;

use floe_ice::{
    Candidate, CandidateKind, Config, Event, GatheringError, Policy, Role, State,
    candidate_priority,
};
use floe_sansio::Transport;
use floe_stun::Method;
use floe_turn::AllocateError;
use net::{Net, addr, stun_server, turn_server, turn_user};

const HOME: &str = "10.0.0.1:1000";
const OUTSIDE: &str = "8.8.4.4:41000";
const PEER: &str = "9.9.9.9:2000";

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn config(role: Role, address: &str) -> Config {
    let mut config = Config::new(role);
    config.addresses = vec![addr(address)];
    config
}

/// The first side is behind a NAT and has both servers.
fn net() -> Net {
    with(|_| {})
}

fn with(change: impl FnOnce(&mut Config)) -> Net {
    let mut one = config(Role::Controlling, HOME);
    one.stun_servers = vec![stun_server()];
    one.turn_servers = vec![turn_user("secret")];
    change(&mut one);
    let mut net = Net::new([one, config(Role::Controlled, PEER)], 1);
    net.outside.insert(addr(HOME), addr(OUTSIDE));
    net
}

fn kinds(net: &Net) -> Vec<CandidateKind> {
    net.candidates(0).iter().map(|c| c.kind).collect()
}

/// Only the relay leads from one side to the other.
fn relay_only() -> Net {
    let mut net = net();
    net.blocked.insert((addr(HOME), addr(PEER)));
    net
}

/// req: ICE-5.1.1.2-1, ICE-5.1.1.2-6, ICE-5.1.1.2-8, ICE-5.1.1.2-11
#[test]
fn a_host_behind_a_nat_gathers_three_kinds_of_candidates() {
    use CandidateKind::{Host, Relayed, ServerReflexive};
    let mut net = net();
    net.gather(0);
    net.run(secs(1));
    let candidates = net.candidates(0);
    assert_eq!(kinds(&net), [Host, ServerReflexive, Relayed]);
    let [host, reflexive, relayed] = &candidates[..] else {
        panic!("three");
    };
    assert_eq!((host.address, host.base), (addr(HOME), addr(HOME)));
    assert_eq!(
        (reflexive.address, reflexive.base),
        (addr(OUTSIDE), addr(HOME))
    );
    assert_eq!(reflexive.related, Some(addr(HOME)));
    assert_eq!(relayed.address.ip(), turn_server().ip());
    assert_eq!(relayed.base, relayed.address);
    assert_eq!(relayed.related, Some(addr(OUTSIDE)));
    assert!(matches!(
        net.events[0].last(),
        Some((_, Event::GatheringComplete))
    ));
}

/// req: ICE-5.1.2.1-3, ICE-5.1.2-1
#[test]
fn the_only_candidate_of_its_kind_has_the_highest_preference() {
    let mut net = net();
    net.gather(0);
    net.run(secs(1));
    for candidate in net.candidates(0) {
        assert_eq!(
            candidate.priority,
            candidate_priority(candidate.kind, 65535, 1)
        );
    }
}

/// A symmetric NAT shows each server another address; here, each base has its own.
///
/// req: ICE-5.1.2-1, ICE-5.1.2.1-2, ICE-5.1.2.2-3
#[test]
fn candidates_of_one_kind_have_different_priorities() {
    let second = addr("10.0.0.2:1000");
    let mut net = with(|config| config.addresses.push(second));
    net.outside.insert(second, addr("8.8.4.4:42000"));
    net.gather(0);
    net.run(secs(1));
    let mut priorities: Vec<_> = net.candidates(0).iter().map(|c| c.priority).collect();
    assert_eq!(priorities.len(), 6);
    priorities.sort_unstable();
    priorities.dedup();
    assert_eq!(priorities.len(), 6);
}

/// req: TRICKLE-9-3, ICE-5.1.3-1
#[test]
fn without_a_nat_the_reflexive_candidate_is_the_host_candidate() {
    use CandidateKind::{Host, Relayed};
    let mut net = net();
    net.outside.clear();
    net.gather(0);
    net.run(secs(1));
    assert_eq!(kinds(&net), [Host, Relayed]);
}

/// req: ICE-5.1.1.2-9
#[test]
fn servers_are_asked_a_slot_apart() {
    let mut net = with(|config| {
        config.addresses.push(addr("10.0.0.2:1000"));
        config.pacing = Duration::from_millis(50);
    });
    // Nobody answers, and nothing is repeated before 500 ms.
    net.dead.extend([stun_server(), turn_server()]);
    net.gather(0);
    net.run(Duration::from_millis(400));
    let times = &net.to_servers[0];
    assert_eq!(times.len(), 4);
    let apart = |pair: &[floe_sansio::Instant]| pair[1] - pair[0] == Duration::from_millis(50);
    assert!(times.windows(2).all(apart), "{times:?}");
}

/// Scenario 26.
#[test]
fn a_wrong_password_is_told_once_and_others_go_on() {
    let mut net = with(|config| config.turn_servers = vec![turn_user("wrong")]);
    net.connect();
    net.run(secs(5));
    let wanted = GatheringError::Allocation(AllocateError::Refused);
    let failures = net.count(
        0,
        |event| matches!(event, Event::GatheringFailed { cause, .. } if *cause == wanted),
    );
    assert_eq!(failures, 1);
    assert_eq!(net.turn_requests.len(), 2);
    assert!(net.agree());
}

/// Scenario 30.
///
/// req: ICE-5.1.1-1
#[test]
fn silent_servers_delay_neither_checks_nor_the_end_of_gathering() {
    let mut net = net();
    for server in [stun_server(), turn_server()] {
        net.dead.insert(server);
    }
    let start = net.now;
    for side in [0, 1] {
        net.gather(side);
        net.introduce(side);
    }
    net.run_trickling(Duration::from_millis(300));
    assert!(net.agree());
    let mut net = {
        let mut net = self::net();
        net.dead.extend([stun_server(), turn_server()]);
        net.gather(0);
        net
    };
    net.run(secs(6));
    let (at, _) = net.events[0]
        .iter()
        .find(|(_, event)| *event == Event::GatheringComplete)
        .unwrap();
    assert_eq!(*at - start, secs(5));
    let late = GatheringError::TooLate;
    let told = net.count(
        0,
        |event| matches!(event, Event::GatheringFailed { cause, .. } if *cause == late),
    );
    assert_eq!(told, 2);
}

/// An allocation that came too late to be announced is of no use.
#[test]
fn what_a_server_allocates_after_the_end_of_gathering_is_given_back() {
    let mut net = with(|config| config.gathering_limit = Duration::from_millis(30));
    net.gather(0);
    net.run(secs(2));
    assert!(
        net.turn_requests
            .iter()
            .any(|&(_, method)| method == Method::REFRESH)
    );
    assert_eq!(net.turn.allocations(), 0);
    assert!(!kinds(&net).contains(&CandidateKind::Relayed));
}

/// req: TRICKLE-13-8
#[test]
fn after_selection_no_candidate_is_announced() {
    let mut net = net();
    net.dead.insert(turn_server());
    for side in [0, 1] {
        net.gather(side);
        net.introduce(side);
    }
    net.run_trickling(Duration::from_millis(400));
    assert!(net.agree());
    let announced = net.candidates(0).len();
    net.dead.clear();
    net.run(secs(10));
    assert_eq!(net.candidates(0).len(), announced);
    assert_eq!(net.turn.allocations(), 0);
    let complete = |event: &Event| *event == Event::GatheringComplete;
    assert_eq!(net.count(0, complete), 1);
}

/// req: ICE-7.2.1-1, ICE-12.1-3, ICE-7.2.1-2, ICE-12.1-5
#[test]
fn a_path_through_a_relay_has_a_permission_first_and_a_channel_in_the_end() {
    let mut net = relay_only();
    net.connect();
    net.run(secs(2));
    assert!(net.agree());
    assert!(net.agents[0].selected().unwrap().is_relayed());
    let first = |wanted: Method| {
        let mut requests = net.turn_requests.iter();
        requests.position(|&(_, method)| method == wanted).unwrap()
    };
    assert!(first(Method::CREATE_PERMISSION) < first(Method::SEND));
    assert!(first(Method::SEND) < first(Method::CHANNEL_BIND));
    assert!(net.send(0, b"there") && net.send(1, b"back"));
    net.run(secs(1));
    assert_eq!(net.data, [vec![b"back".to_vec()], vec![b"there".to_vec()]]);
}

/// req: ICE-7.2.1-3, CONSENT-4-1
#[test]
fn a_relayed_path_lives_for_as_long_as_both_want() {
    let mut net = relay_only();
    net.connect();
    net.run(secs(2000));
    assert!(net.agree());
    assert!(net.send(1, b"still"));
    net.run(secs(1));
    assert_eq!(net.data[0], [b"still".to_vec()]);
}

/// req: ICE-8.3.1-1
#[test]
fn an_unused_relay_is_given_back_three_seconds_after_completion() {
    let mut net = with(|config| config.backup_relay = false);
    net.connect();
    net.run(Duration::from_millis(2900));
    assert!(net.agree());
    assert!(!net.agents[0].selected().unwrap().is_relayed());
    assert_eq!(net.turn.allocations(), 1);
    net.run(secs(1));
    assert_eq!(net.turn.allocations(), 0);
    net.run(secs(60));
    assert!(net.agree());
}

/// Scenario 46: each address of the host has a relay.
///
/// req: ICE-8.3.1-1
#[test]
fn of_several_relays_only_the_best_is_kept_in_reserve() {
    let second = addr("10.0.0.2:1000");
    let mut net = with(|config| config.addresses.push(second));
    net.outside.insert(second, addr("8.8.4.4:42000"));
    net.connect();
    assert_eq!(net.turn.allocations(), 2);
    net.run(secs(5));
    assert!(net.agree() && !net.agents[0].selected().unwrap().is_relayed());
    assert_eq!(net.turn.allocations(), 1);
    let relayed = |candidate: &&Candidate| candidate.kind == CandidateKind::Relayed;
    let told = net.candidates(0);
    let best = told.iter().filter(relayed).max_by_key(|it| it.priority);
    let kept: Vec<_> = net.agents[0].local_candidates().filter(relayed).collect();
    assert_eq!(
        kept.iter().map(|it| it.address).max(),
        best.map(|it| it.address)
    );
    let released = |&&(_, method): &&(_, Method)| method == Method::REFRESH;
    assert_eq!(net.turn_requests.iter().filter(released).count(), 1);
}

/// Scenario 29.
#[test]
fn a_call_goes_on_over_new_allocations_after_the_server_has_forgotten_the_old_ones() {
    let mut net = relay_only();
    net.connect();
    net.run(secs(2));
    assert!(net.agree());
    // The server starts anew, and knows nobody.
    let config =
        floe_turn::ServerConfig::new(vec![turn_server()], vec![turn_server().ip()], "example.org");
    net.turn = floe_turn::Server::new(config.with_user("alice", "secret"), [8; 32], net.now);
    net.run(secs(700));
    assert!(net.agree());
    assert!(net.send(0, b"again"));
}

/// Scenario 25: the server refuses one peer.
#[test]
fn a_refused_permission_fails_its_own_pairs_only() {
    // In a range for documentation, which this server does not relay to.
    let address = addr("203.0.113.5:5");
    let refused = Candidate {
        component: floe_ice::ComponentId::default(),
        network: floe_ice::Network::default(),
        kind: CandidateKind::Host,
        transport: Transport::Udp,
        tcp_type: None,
        address,
        base: address,
        priority: candidate_priority(CandidateKind::Host, 1, 1),
        foundation: "refused".into(),
        related: None,
    };
    let mut net = with(|config| config.policy = Policy::Relay);
    net.gather(0);
    net.run(secs(1));
    net.introduce(0);
    net.agents[0]
        .add_remote_candidate(net.now, refused)
        .unwrap();
    net.drain(0);
    net.run(Duration::from_millis(200));
    let sends = |net: &Net| {
        let requests = net.turn_requests.iter();
        requests
            .filter(|(_, method)| *method == Method::SEND)
            .count()
    };
    let before = sends(&net);
    // The next checks of this pair would leave at 300 and 700 ms.
    net.run(secs(1));
    assert_eq!(sends(&net), before);
    net.gather(1);
    net.introduce(1);
    net.run_trickling(secs(3));
    assert!(net.agree());
}

/// req: ICE-5.3-4, JSEP-3.5.3-2, ICE-19.1-1
#[test]
fn with_the_relay_policy_no_address_of_the_host_is_told_or_used() {
    let mut net = with(|config| config.policy = Policy::Relay);
    net.connect();
    net.run(secs(5));
    let candidates = net.candidates(0);
    assert_eq!(kinds(&net), [CandidateKind::Relayed]);
    assert_eq!(candidates[0].related, None);
    assert!(net.agree());
    let seen = net.agents[1].selected().unwrap().remote.address;
    assert_eq!(seen, candidates[0].address);
}

/// req: ICE-5.1.1.4-2
#[test]
fn a_mapping_is_kept_alive_until_ice_completes() {
    let mut net = net();
    net.gather(0);
    net.run(secs(61));
    // STUN: at 0, 15, 30, 45 and 60 s; TURN: two requests to allocate, one permission for the peer's relay.
    assert_eq!(net.to_servers[0].len(), 5 + 2 + 1);
}

#[test]
fn close_gives_the_allocation_back_and_then_nothing_is_pending() {
    let mut net = relay_only();
    net.connect();
    net.run(secs(2));
    let now = net.now;
    net.agents[0].close(now);
    net.drain(0);
    net.run(secs(1));
    assert_eq!(net.turn.allocations(), 0);
    assert_eq!(net.agents[0].poll_timeout(), None);
    assert_eq!(net.agents[0].state(), State::Closed);
}

// ---- a pool --------------------------------------------------------------------------------

/// Candidates are gathered long before there is anybody to tell them to.
fn pool(net: &mut Net) {
    net.gather(0);
    net.run(secs(1800));
    assert_eq!(net.candidates(0).len(), 3);
    net.gather(1);
    for side in [0, 1] {
        net.introduce(side);
        while net.trickle(side) {}
    }
    net.run_trickling(secs(3));
    assert!(net.agree());
    assert!(net.send(0, b"there") && net.send(1, b"back"));
    net.run(secs(1));
    assert_eq!(net.data, [vec![b"back".to_vec()], vec![b"there".to_vec()]]);
}

/// NATs may forget a mapping that is idle for 30 s.
///
/// req: ICE-5.1.1.4-1, ICE-5.1.1.4-2
#[test]
fn pooled_reflexive_candidates_are_kept_alive_and_then_used() {
    let mut net = with(|config| config.turn_servers.clear());
    net.gather(0);
    net.run(secs(1800));
    let times = net.to_servers[0].clone();
    // 15 s after each answer.
    let limit = secs(15) + Duration::from_millis(20);
    assert!(times.windows(2).all(|two| two[1] - two[0] <= limit));
    assert!(net.now - times[times.len() - 1] <= limit);
    let mut net = self::net();
    pool(&mut net);
    let seen = net.agents[1].selected().unwrap().remote.address;
    assert_eq!(seen, addr(OUTSIDE));
}

/// An allocation lives for ten minutes.
///
/// req: ICE-5.1.1.4-1
#[test]
fn pooled_relayed_candidates_are_kept_alive_and_then_used() {
    let mut net = relay_only();
    pool(&mut net);
    assert!(net.agents[0].selected().unwrap().is_relayed());
    assert_eq!(net.turn.allocations(), 1);
    let refreshed = |&&(_, method): &&(_, Method)| method == Method::REFRESH;
    assert!(net.turn_requests.iter().filter(refreshed).count() >= 3);
}

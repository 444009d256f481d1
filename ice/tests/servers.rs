//! Which STUN and TURN servers are asked, when, and what follows from what they say (RFC 8445
//! §5.1.1.2).

mod desk;

use std::net::SocketAddr;

use desk::{Asked, Desk, addr, millis, turn_server, turn_user};
use floe_ice::{
    Candidate, CandidateKind, ComponentId, Config, Event, GatheringError, LocalAddress,
    Nat64Prefix, Network, Policy, RemoteParameters, Role, ServerUse,
};
use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Transport};
use floe_stun::{
    AlternateServer, BindingError, Builder, Class, ErrorCode, MappedAddress, Message, MessageType,
    Method, StatusCode,
};
use floe_turn::AllocateError;

const HOME: &str = "10.0.0.1:1000";
const OUTSIDE: &str = "203.0.113.9:41000";
const STUN: [&str; 3] = ["192.0.2.1:3478", "192.0.2.2:3478", "192.0.2.3:3478"];
const TURN: [&str; 3] = ["192.0.2.11:3478", "192.0.2.12:3478", "192.0.2.13:3478"];

fn with(stun: usize, turn: usize, change: impl FnOnce(&mut Config)) -> Desk {
    let mut config = Config::new(Role::Controlling);
    config.addresses = vec![addr(HOME)];
    config.stun_servers = STUN[..stun].iter().map(|it| addr(it)).collect();
    config.turn_servers = TURN[..turn].iter().map(|it| turn_user(it)).collect();
    change(&mut config);
    let mut desk = Desk::new(config);
    desk.outside.insert(addr(HOME), addr(OUTSIDE));
    desk
}

fn desk(stun: usize, turn: usize) -> Desk {
    with(stun, turn, |_| {})
}

fn stun(at: usize) -> SocketAddr {
    addr(STUN[at])
}

fn turn(at: usize) -> SocketAddr {
    addr(TURN[at])
}

// ---- races ---------------------------------------------------------------------------------

/// req: ICE-5.1.1.2-5
#[test]
fn one_server_of_each_kind_that_answers_is_enough() {
    let mut desk = desk(3, 3);
    desk.gather();
    desk.run_until(4000);
    for others in [1, 2] {
        assert_eq!(desk.asked_at(stun(others), Method::BINDING), []);
        assert_eq!(desk.asked_at(turn(others), Method::ALLOCATE), []);
    }
    assert_eq!(desk.asked_at(stun(0), Method::BINDING), [0]);
    assert_eq!(desk.asked_at(turn(0), Method::ALLOCATE), [5, 25]);
    assert_eq!(desk.gathered(), Some(45));
    assert_eq!(desk.of_kind(CandidateKind::ServerReflexive).len(), 1);
    assert_eq!(desk.of_kind(CandidateKind::Relayed).len(), 1);
}

#[test]
fn the_next_server_is_asked_when_those_before_it_have_been_silent_for_the_delay() {
    for delay in [250, 100] {
        let mut desk = with(3, 3, |config| config.server_delay = millis(delay));
        for server in [stun(0), stun(1), turn(0), turn(1)] {
            desk.silent.insert(server);
        }
        desk.gather();
        desk.run_until(4000);
        let first = |server, method| desk.asked_at(server, method).first().copied();
        assert_eq!(first(stun(1), Method::BINDING), Some(delay));
        assert_eq!(first(stun(2), Method::BINDING), Some(2 * delay));
        assert_eq!(first(turn(1), Method::ALLOCATE), Some(5 + delay));
        assert_eq!(first(turn(2), Method::ALLOCATE), Some(5 + 2 * delay));
        // They end with the answers of the third ones.
        assert_eq!(desk.gathered(), Some(5 + 2 * delay + 40));
        assert_eq!(desk.failures(), []);
        assert_eq!(desk.of_kind(CandidateKind::Relayed).len(), 1);
    }
}

#[test]
fn the_next_server_is_asked_at_once_where_one_has_failed() {
    let mut desk = with(2, 2, |config| {
        config.turn_servers[0].credentials = floe_stun::Credentials::new("alice", "wrong");
    });
    desk.scripts
        .insert(stun(0), |request| error(request, StatusCode::BAD_REQUEST));
    desk.gather();
    desk.run_until(4000);
    assert_eq!(desk.asked_at(stun(1), Method::BINDING), [20]);
    // It is refused at 45 ms.
    assert_eq!(desk.asked_at(turn(1), Method::ALLOCATE)[0], 45);
    assert_eq!(desk.failures().len(), 2);
    assert_eq!(desk.of_kind(CandidateKind::Relayed).len(), 1);
}

/// Each address of the host races for itself.
#[test]
fn a_server_that_is_silent_for_one_base_costs_the_other_nothing() {
    let second = addr("10.0.0.2:1000");
    let mut desk = with(0, 2, |config| config.addresses.push(second));
    desk.gather();
    desk.run_until(4000);
    let bases: Vec<_> = desk.asked.iter().map(|it| it.path.local).collect();
    assert!(bases.contains(&second));
    assert_eq!(desk.asked_at(turn(1), Method::ALLOCATE), []);
    assert_eq!(desk.of_kind(CandidateKind::Relayed).len(), 2);
}

/// Scenario 46: the allocation of the slower one comes when it is not needed any more.
#[test]
fn an_allocation_that_comes_after_another_has_won_is_given_back() {
    let mut desk = with(0, 2, |config| config.server_delay = millis(15));
    desk.gather();
    // Both answer the first request; then the first one is held up, and retransmitted at 520 ms.
    desk.run_until(30);
    desk.silent.insert(turn(0));
    desk.run_until(400);
    desk.silent.remove(&turn(0));
    assert_eq!(desk.gathered(), Some(55));
    desk.run_until(4000);
    let released = |it: &&Asked| it.releases && it.path.remote == turn(0);
    assert_eq!(desk.asked.iter().filter(released).count(), 1);
    assert_eq!(desk.allocations(), 1);
    assert_eq!(desk.of_kind(CandidateKind::Relayed).len(), 1);
    assert_eq!(desk.failures(), []);
}

#[test]
fn streams_are_opened_one_after_the_other() {
    let mut desk = with(0, 3, |config| {
        config.turn_servers[0] = config.turn_servers[0].clone().over_tls();
        config.turn_servers[1] = config.turn_servers[1].clone().over_tcp();
    });
    desk.silent.extend([turn(0), turn(1), turn(2)]);
    desk.gather();
    desk.run_until(4000);
    let wanted = desk.events.iter().filter_map(|(at, event)| match event {
        Event::StreamWanted { remote, .. } => Some((*at, *remote)),
        _ => None,
    });
    // Behind the one over UDP, which was asked at 0.
    let wanted: Vec<_> = wanted.collect();
    assert_eq!(wanted, [(250, turn(0)), (500, turn(1))]);
}

/// A server that told of a mapped address when it made an allocation has told what STUN servers would.
#[test]
fn a_silent_stun_server_holds_up_nobody_where_a_turn_server_tells_the_same() {
    let mut desk = desk(1, 1);
    desk.silent.insert(stun(0));
    desk.gather();
    desk.run_until(4000);
    let [reflexive] = &desk.of_kind(CandidateKind::ServerReflexive)[..] else {
        panic!("one");
    };
    assert_eq!(reflexive.address, addr(OUTSIDE));
    assert_eq!(desk.gathered(), Some(45));
}

/// req: ICE-5.1.1.2-4, ICE-5.1.2.1-2
#[test]
fn all_servers_are_asked_where_that_is_wanted() {
    let mut desk = with(2, 2, |config| {
        config.servers = ServerUse::All;
        config.turn_servers.push(turn_user(TURN[2]).over_tcp());
    });
    desk.gather();
    desk.run_until(4000);
    assert_eq!(desk.asked_at(stun(1), Method::BINDING), [5]);
    assert_eq!(desk.asked_at(turn(1), Method::ALLOCATE)[0], 15);
    let mut relayed = desk.of_kind(CandidateKind::Relayed);
    assert_eq!(relayed.len(), 3);
    // In the order of preference, whoever answered first.
    relayed.sort_by_key(|it| core::cmp::Reverse(it.priority));
    let servers: Vec<_> = relayed.iter().map(|it| it.address.ip()).collect();
    assert_eq!(servers, [0, 1, 2].map(|at| turn(at).ip()));
    assert!(
        relayed
            .windows(2)
            .all(|two| two[0].priority > two[1].priority)
    );
}

/// A symmetric NAT shows each server another address.
///
/// req: ICE-5.1.2.1-2
#[test]
fn reflexive_candidates_of_one_base_have_preferences_of_their_own() {
    let mut desk = with(2, 0, |config| config.servers = ServerUse::All);
    desk.scripts.insert(stun(1), |request| {
        mapped(request, addr("203.0.113.9:42000"))
    });
    desk.gather();
    desk.run_until(1000);
    let [one, two] = &desk.of_kind(CandidateKind::ServerReflexive)[..] else {
        panic!("two");
    };
    assert_eq!(one.base, two.base);
    assert!(one.priority > two.priority);
    assert_ne!(one.foundation, two.foundation);
}

/// req: ICE-5.1.1.2-2
#[test]
fn without_servers_there_are_host_candidates_only() {
    let mut desk = desk(0, 0);
    desk.gather();
    let kinds: Vec<_> = desk.candidates().iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [CandidateKind::Host]);
    assert_eq!((desk.gathered(), desk.asked.len()), (Some(0), 0));
}

// ---- fail-over -----------------------------------------------------------------------------

/// The agent waits for a peer that never comes, for so long that its relay is lost.
#[test]
fn a_relay_that_is_lost_is_followed_by_one_of_the_next_server() {
    let mut desk = desk(0, 2);
    desk.gather();
    desk.run_until(1000);
    let lost = desk.of_kind(CandidateKind::Relayed)[0].address;
    forget(&mut desk, turn(0));
    // It is refreshed a minute before its ten minutes are over.
    desk.run_until(600_000);
    let lives = |relayed| {
        desk.agent
            .local_candidates()
            .any(|it| it.address == relayed)
    };
    assert!(!lives(lost));
    let now: Vec<_> = (desk.agent.local_candidates())
        .filter(|it| it.kind == CandidateKind::Relayed)
        .map(|it| it.address.ip())
        .collect();
    assert_eq!(now, [turn(1).ip()]);
    let cause = GatheringError::Allocation(AllocateError::Mismatch);
    assert_eq!(desk.failures(), [(turn(0), cause)]);
}

/// A server that grants and forgets is asked every five seconds at most, but for the first time, and
/// nothing grows.
#[test]
fn a_server_that_loses_every_allocation_is_not_asked_without_end() {
    let mut desk = desk(0, 1);
    desk.turn_servers.clear();
    let mut config = turn_server(turn(0));
    config.default_lifetime = millis(1000);
    config.max_lifetime = millis(1000);
    let server = floe_turn::Server::new(config, [4; 32], desk.now);
    desk.turn_servers.insert(turn(0), server);
    desk.gather();
    let mut sizes = Vec::new();
    for second in 1..=120 {
        // Nobody refreshes what the server does not know.
        forget_short(&mut desk);
        desk.run_until(second * 1000);
        sizes.push(format!("{:?}", desk.agent).len());
    }
    let asked = desk.asked_at(turn(0), Method::ALLOCATE).len();
    assert!((10..=2 * 25).contains(&asked), "{asked} in 120 s");
    let (early, late) = (sizes[20..40].iter().max(), sizes[100..].iter().max());
    assert!(late <= early.map(|size| size + 200).as_ref(), "{sizes:?}");
}

fn forget(desk: &mut Desk, server: SocketAddr) {
    let anew = floe_turn::Server::new(turn_server(server), [8; 32], desk.now);
    desk.turn_servers.insert(server, anew);
}

fn forget_short(desk: &mut Desk) {
    let mut config = turn_server(turn(0));
    config.default_lifetime = millis(1000);
    config.max_lifetime = millis(1000);
    let anew = floe_turn::Server::new(config, [8; 32], desk.now);
    desk.turn_servers.insert(turn(0), anew);
}

// ---- 437 -----------------------------------------------------------------------------------

/// Somebody who crashed had allocations for these ports.
fn crashed(desk: &mut Desk, locals: &[SocketAddr]) {
    for &local in locals {
        let path = FiveTuple::udp(local, turn(0));
        let credentials = floe_stun::Credentials::new("alice", "secret");
        let config = floe_turn::ClientConfig::new(path, credentials);
        let mut client = floe_turn::Client::new(config, [9; 32], desk.now);
        client.allocate(desk.now).unwrap();
        let server = desk.turn_servers.get_mut(&turn(0)).unwrap();
        while let Some(transmit) = client.poll_transmit() {
            let mut bytes = transmit.payload.to_vec();
            let datagram = Datagram::whole(transmit.path.mirrored(), &mut bytes);
            let _ = server.handle_input(desk.now, datagram);
            while let Some(answer) = server.poll_transmit() {
                let mut bytes = answer.payload.to_vec();
                let datagram = Datagram::whole(answer.path.mirrored(), &mut bytes);
                let _ = client.handle_input(desk.now, datagram);
            }
        }
        assert!(client.is_allocated());
    }
}

/// Scenario 28.
#[test]
fn where_the_server_holds_the_port_another_one_is_bound_and_asked_from() {
    let mut desk = desk(0, 1);
    crashed(&mut desk, &[addr(OUTSIDE)]);
    desk.gather();
    desk.run_until(1000);
    let wanted = desk.events.iter().find_map(|(at, event)| match *event {
        Event::StreamWanted {
            transport,
            local,
            remote,
            ..
        } => Some((*at, transport, local, remote)),
        _ => None,
    });
    // 437 answers the second request, at 40 ms.
    let home = addr(HOME).ip();
    assert_eq!(wanted, Some((40, Transport::Udp, home, turn(0))));
    let [relayed] = &desk.of_kind(CandidateKind::Relayed)[..] else {
        panic!("one");
    };
    let found = desk.events.iter().find(|(_, event)| {
        matches!(event, Event::LocalCandidate(it) if it.kind == CandidateKind::Relayed)
    });
    assert_eq!(found.unwrap().0, 40 + 40, "two round trips later");
    // What the server sees of that port is no candidate: nobody listens for checks there.
    assert_eq!(desk.of_kind(CandidateKind::ServerReflexive), []);
    assert_eq!(relayed.related.map(|it| it.port()), Some(50001));
    assert_eq!((desk.failures(), desk.sockets.len()), (vec![], 1));
    // It is refreshed from there, given back, and the port closed.
    desk.agent.close(desk.now);
    desk.drain();
    desk.run_until(1100);
    assert_eq!((desk.allocations(), desk.sockets.len()), (1, 0));
    assert_eq!(desk.agent.poll_timeout(), None);
}

#[test]
fn a_server_that_holds_every_port_is_asked_from_three() {
    let mut desk = desk(0, 2);
    let others = ["10.0.0.1:50001", "10.0.0.1:50002", "10.0.0.1:50003"].map(addr);
    crashed(&mut desk, &[addr(OUTSIDE), others[0], others[1], others[2]]);
    desk.gather();
    desk.run_until(1000);
    let held = GatheringError::Allocation(AllocateError::Mismatch);
    assert_eq!(desk.failures(), [(turn(0), held)]);
    assert_eq!(desk.asked_at(turn(0), Method::ALLOCATE).len(), 3 * 2);
    // The next server has been asked when that was known.
    let [relayed] = &desk.of_kind(CandidateKind::Relayed)[..] else {
        panic!("one");
    };
    assert_eq!(relayed.address.ip(), turn(1).ip());
    assert!(desk.sockets.is_empty());
}

#[test]
fn where_no_other_port_can_be_bound_the_failure_is_told() {
    let mut desk = desk(0, 1);
    desk.has_ports = false;
    crashed(&mut desk, &[addr(OUTSIDE)]);
    desk.gather();
    desk.run_until(1000);
    assert_eq!(desk.failures(), [(turn(0), GatheringError::Stream)]);
    assert_eq!(desk.gathered(), Some(40));
}

/// Peers do not know the port; what comes there from others is dropped.
#[test]
fn a_port_that_is_bound_for_a_server_belongs_to_it_alone() {
    let mut desk = desk(0, 1);
    crashed(&mut desk, &[addr(OUTSIDE)]);
    desk.gather();
    desk.run_until(1000);
    let path = *desk.sockets.values().next().unwrap();
    let (now, agent) = (desk.now, &mut desk.agent);
    let mut input = |remote: SocketAddr, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let path = FiveTuple::udp(path.local, remote);
        agent.handle_input(now, Datagram::whole(path, &mut bytes))
    };
    let unknown = Input::Dropped(DropReason::UnknownLocal);
    assert_eq!(input(addr("198.51.100.7:7"), b"data"), unknown);
    let not_stun = Input::Dropped(DropReason::NotStun);
    assert_eq!(input(turn(0), b"data"), not_stun);
}

// ---- what servers say ----------------------------------------------------------------------

fn error(request: &Message<'_>, code: StatusCode) -> Vec<u8> {
    let mut buffer = [0; 256];
    let kind = MessageType::new(Class::Error, request.method());
    let builder = Builder::new(&mut buffer, kind, request.transaction_id());
    let error = ErrorCode { code, reason: "" };
    builder.with(&error).finish_bytes().unwrap().to_vec()
}

fn mapped(request: &Message<'_>, address: SocketAddr) -> Vec<u8> {
    let mut buffer = [0; 256];
    let kind = MessageType::new(Class::Success, request.method());
    let builder = Builder::new(&mut buffer, kind, request.transaction_id());
    let builder = builder.with(&MappedAddress(address));
    builder.finish_bytes().unwrap().to_vec()
}

/// A server of RFC 3489 knows MAPPED-ADDRESS alone, and no FINGERPRINT.
///
/// req: ICE-5.1.1.2-7
#[test]
fn an_old_stun_server_is_understood() {
    let mut desk = desk(1, 0);
    desk.scripts
        .insert(stun(0), |request| mapped(request, addr(OUTSIDE)));
    desk.gather();
    desk.run_until(100);
    let [reflexive] = &desk.of_kind(CandidateKind::ServerReflexive)[..] else {
        panic!("one");
    };
    assert_eq!(reflexive.address, addr(OUTSIDE));
}

/// req: ICE-5.1.1.2-6
#[test]
fn a_stun_server_sends_nobody_elsewhere() {
    let mut desk = desk(1, 0);
    desk.scripts.insert(stun(0), |request| {
        let mut buffer = [0; 256];
        let kind = MessageType::new(Class::Error, Method::BINDING);
        let builder = Builder::new(&mut buffer, kind, request.transaction_id());
        let code = StatusCode::TRY_ALTERNATE;
        let builder = builder
            .with(&ErrorCode { code, reason: "" })
            .with(&AlternateServer(addr(STUN[1])));
        builder.finish_bytes().unwrap().to_vec()
    });
    desk.gather();
    desk.run_until(4000);
    assert!(desk.asked.iter().all(|it| it.path.remote == stun(0)));
    let cause = GatheringError::Binding(BindingError::Rejected(StatusCode::TRY_ALTERNATE));
    assert_eq!(desk.failures(), [(stun(0), cause)]);
}

/// Whether all allocations are taken, or all of this user.
fn full(code: u16) -> Desk {
    let mut desk = desk(0, 1);
    let mut config = turn_server(turn(0));
    match code {
        508 => config.limits.allocations = 0,
        _ => config.limits.per_user = 0,
    }
    let server = floe_turn::Server::new(config, [4; 32], desk.now);
    desk.turn_servers.insert(turn(0), server);
    desk
}

/// req: ICE-5.1.1.2-10
#[test]
fn a_server_without_resources_is_asked_for_the_mapped_address() {
    for code in [486, 508] {
        let mut desk = full(code);
        desk.gather();
        desk.run_until(4000);
        assert_eq!(desk.asked_at(turn(0), Method::ALLOCATE), [0, 20]);
        let bindings = desk.asked_at(turn(0), Method::BINDING);
        assert_eq!(bindings, [40], "{code}");
        let [reflexive] = &desk.of_kind(CandidateKind::ServerReflexive)[..] else {
            panic!("one");
        };
        assert_eq!(reflexive.address, addr(OUTSIDE));
        let [(server, GatheringError::Allocation(AllocateError::Rejected(told)))] =
            desk.failures()[..]
        else {
            panic!("{:?}", desk.failures());
        };
        assert_eq!((server, told.number()), (turn(0), code));
        assert_eq!(desk.gathered(), Some(60));
    }
}

#[test]
fn under_the_relay_policy_nobody_is_asked_for_a_mapped_address() {
    let mut desk = with(1, 1, |config| config.policy = Policy::Relay);
    let mut config = turn_server(turn(0));
    config.limits.allocations = 0;
    let server = floe_turn::Server::new(config, [4; 32], desk.now);
    desk.turn_servers.insert(turn(0), server);
    desk.gather();
    desk.run_until(4000);
    assert!(desk.asked.iter().all(|it| it.method == Method::ALLOCATE));
}

/// req: ICE-5.1.1.2-12
#[test]
fn a_relayed_address_that_is_one_of_the_host_is_no_candidate() {
    let mut desk = desk(0, 1);
    // The server lends an address of its own host, as the agent is told it is its own too.
    let mut config = turn_server(turn(0));
    config.ports = 60000..=60000;
    let server = floe_turn::Server::new(config, [4; 32], desk.now);
    desk.turn_servers.insert(turn(0), server);
    let lent = SocketAddr::new(turn(0).ip(), 60000);
    let added = desk.agent.add_address(desk.now, LocalAddress::new(lent));
    added.unwrap();
    desk.gather();
    desk.run_until(1000);
    assert!(!desk.asked_at(turn(0), Method::ALLOCATE).is_empty());
    assert_eq!(desk.of_kind(CandidateKind::Relayed), []);
    let hosts = desk.of_kind(CandidateKind::Host);
    assert!(hosts.iter().any(|it| it.address == lent));
}

// ---- NAT64 ---------------------------------------------------------------------------------

const V6: &str = "[2001:db8::7]:1000";

/// req: ICE-5.1.1.2-13
#[test]
fn through_a_nat64_ipv4_servers_are_asked_from_ipv6_addresses() {
    let prefix = Nat64Prefix::WELL_KNOWN;
    let mut desk = with(1, 0, |config| {
        config.addresses = vec![addr(V6)];
        config.nat64_prefix = Some(prefix);
    });
    let embedded = addr("[64:ff9b::c000:201]:3478");
    desk.scripts
        .insert(embedded, |request| mapped(request, addr(OUTSIDE)));
    desk.gather();
    desk.run_until(1000);
    assert_eq!(desk.asked_at(embedded, Method::BINDING), [0]);
    let [reflexive] = &desk.of_kind(CandidateKind::ServerReflexive)[..] else {
        panic!("one: {:?}", desk.candidates());
    };
    assert_eq!(
        (reflexive.address, reflexive.base),
        (addr(OUTSIDE), addr(V6))
    );
}

/// The peer has IPv4 alone; what it knows of us is the outside of the NAT64.
#[test]
fn through_a_nat64_public_ipv4_candidates_of_the_peer_are_checked() {
    let mut desk = with(0, 0, |config| {
        config.addresses = vec![addr(V6)];
        config.nat64_prefix = Some(Nat64Prefix::WELL_KNOWN);
    });
    desk.gather();
    let peer = floe_ice::IceCredentials::new("peer", "the/password/of/the/peer").unwrap();
    let parameters = RemoteParameters::new(peer);
    desk.agent
        .set_remote_parameters(desk.now, parameters)
        .unwrap();
    for address in ["198.51.100.7:7000", "192.168.1.7:7000"] {
        let candidate = Candidate {
            component: ComponentId::default(),
            network: Network::default(),
            kind: CandidateKind::Host,
            transport: Transport::Udp,
            tcp_type: None,
            address: addr(address),
            base: addr(address),
            priority: 1,
            foundation: "1".into(),
            related: None,
        };
        let added = desk.agent.add_remote_candidate(desk.now, candidate);
        added.unwrap();
    }
    desk.drain();
    desk.run_until(90);
    let checks: Vec<_> = desk.asked.iter().map(|it| it.path).collect();
    let embedded = addr("[64:ff9b::c633:6407]:7000");
    assert_eq!(checks, [FiveTuple::udp(addr(V6), embedded)]);
}

#[test]
fn where_there_is_ipv4_nothing_is_sent_through_a_nat64() {
    let mut desk = with(1, 0, |config| {
        config.addresses.push(addr(V6));
        config.nat64_prefix = Some(Nat64Prefix::WELL_KNOWN);
    });
    desk.gather();
    desk.run_until(1000);
    let bases: Vec<_> = desk.asked.iter().map(|it| it.path.local).collect();
    assert_eq!(bases, [addr(HOME)]);
}

// ---- times ---------------------------------------------------------------------------------

/// 25 servers of each base: 50 times 50 ms.
///
/// req: ICE-14.3-1
#[test]
fn with_many_servers_the_first_retransmission_comes_later() {
    let config = |servers: u8| {
        let mut config = Config::new(Role::Controlling).strict();
        config.addresses = vec![addr(HOME), addr("10.0.0.2:1000")];
        config.stun_servers = (1..=servers)
            .map(|n| ([192, 0, 2, n], 3478).into())
            .collect();
        config
    };
    for (servers, rto) in [(1, 500), (5, 500), (25, 2500)] {
        let mut desk = Desk::new(config(servers));
        desk.silent.extend(desk.stun_servers.clone());
        desk.gather();
        desk.run_until(4900);
        let times: Vec<_> = (desk.asked.iter())
            .filter(|it| it.path.remote == stun(0) && it.path.local == addr(HOME))
            .map(|it| it.at)
            .collect();
        assert_eq!(times[..2], [0, rto], "{servers} servers");
    }
}

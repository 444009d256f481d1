//! Agents on real sockets, loopback only.

mod support;

use std::time::Duration;

use floe_ice::{
    CandidateKind, CommandError, Event as Ice, FailureCause, GatheringError, Role, TcpUse,
};
use floe_net::{Agent, Event, ServerEvent};
use floe_sansio::Transport;
use floe_turn::{AllocateError, CloseCause};
use support::*;

const HOST: (CandidateKind, CandidateKind) = (CandidateKind::Host, CandidateKind::Host);

#[tokio::test]
async fn two_agents_connect_over_their_host_addresses() {
    for ip in ["127.0.0.1", "::1"] {
        let (mut a, mut b) = pair_of_agents(
            agent_config(Role::Controlling, ip),
            agent_config(Role::Controlled, ip),
        );
        let (of_a, of_b) = within(10, connect(&mut a, &mut b)).await.unwrap();
        assert_eq!((kinds(&of_a), kinds(&of_b)), (HOST, HOST));
        assert_eq!(of_a.remote.address, b.addresses()[0]);
        talk(&mut a, &mut b).await;
        assert_eq!(a.counters().refused, 0);
    }
}

/// Both listen, and both may open.
#[tokio::test]
async fn two_agents_connect_over_tcp_where_that_is_preferred() {
    for ip in ["127.0.0.1", "::1"] {
        let config = |role| {
            let mut config = agent_config(role, ip);
            config.tcp = TcpUse::BeforeUdp;
            config
        };
        let (mut a, mut b) = pair_of_agents(config(Role::Controlling), config(Role::Controlled));
        within(10, connect(&mut a, &mut b)).await.unwrap();
        talk(&mut a, &mut b).await;
        let path = |agent: &Agent| agent.machine().active_paths().next().unwrap().1;
        assert_eq!(path(&a).transport, Transport::Tcp);
        assert_eq!(path(&a), path(&b).mirrored());
        assert_eq!((a.counters().refused, b.counters().refused), (0, 0));
    }
}

#[tokio::test]
async fn data_goes_through_the_relays_where_nothing_else_is_allowed() {
    let server = Running::start(server_config("127.0.0.1"));
    let config = |role| relay_config(role, "127.0.0.1", server.address, PASSWORD);
    let (mut a, mut b) = pair_of_agents(config(Role::Controlling), config(Role::Controlled));
    let (of_a, of_b) = within(10, connect(&mut a, &mut b)).await.unwrap();
    let relayed = (CandidateKind::Relayed, CandidateKind::Relayed);
    assert_eq!((kinds(&of_a), kinds(&of_b)), (relayed, relayed));
    talk(&mut a, &mut b).await;

    // Closed agents give back what they held.
    assert_eq!(server.relayed().len(), 2);
    within(2, a.close()).await;
    within(2, b.close()).await;
    let released = |event: &ServerEvent| match event {
        ServerEvent::Ended { cause, .. } => *cause == CloseCause::Released,
        _ => false,
    };
    eventually("two released allocations", || {
        server.events().iter().filter(|&it| released(it)).count() == 2
    })
    .await;
}

/// Only Linux has more than one loopback address by itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_relayed_agent_reaches_one_that_is_not() {
    let server = Running::start(server_config("127.0.0.2"));
    let (mut a, mut b) = pair_of_agents(
        relay_config(Role::Controlling, "127.0.0.1", server.address, PASSWORD),
        agent_config(Role::Controlled, "127.0.0.1"),
    );
    let (of_a, _) = within(10, connect(&mut a, &mut b)).await.unwrap();
    assert_eq!(kinds(&of_a), (CandidateKind::Relayed, CandidateKind::Host));
    talk(&mut a, &mut b).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_ends_gathering() {
    let server = Running::start(server_config("127.0.0.1"));
    let config = relay_config(Role::Controlling, "127.0.0.1", server.address, "wrong");
    let mut agent = Agent::bind(config).unwrap();
    agent.command(floe_ice::Agent::gather);
    let cause = match within(5, agent.next()).await {
        Event::Machine(Ice::GatheringFailed {
            cause, server: by, ..
        }) => {
            assert_eq!(by, server.address);
            cause
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(cause, GatheringError::Allocation(AllocateError::Refused));
    let end = within(5, agent.next()).await;
    assert_eq!(end, Event::Machine(Ice::GatheringComplete));
    assert_eq!(server.stop().await, []);
}

/// req: CONSENT-5.1-2
#[tokio::test]
async fn a_peer_that_dies_is_noticed() {
    let (mut a, mut b) = pair_of_agents(
        agent_config(Role::Controlling, "127.0.0.1"),
        agent_config(Role::Controlled, "127.0.0.1"),
    );
    within(10, connect(&mut a, &mut b)).await.unwrap();
    drop(b);

    // Nothing arrives any more, so that the clock may run ahead of the real one.
    tokio::time::pause();
    let died = tokio::time::Instant::now();
    let cause = loop {
        if let Event::Machine(Ice::Failed(cause)) = a.next().await {
            break cause;
        }
    };
    assert_eq!(cause, FailureCause::ConsentExpired);
    let after = died.elapsed();
    assert!(
        after > Duration::from_secs(20) && after < Duration::from_secs(31),
        "{after:?}"
    );
    assert!(a.send(b"anyone there?").is_err());
    let again = a.command(floe_ice::Agent::end_of_remote_candidates);
    assert_eq!(again, Err(CommandError::Ended));
}

#[tokio::test]
async fn refused_sends_harm_nothing() {
    let (mut a, mut b) = pair_of_agents(
        agent_config(Role::Controlling, "127.0.0.1"),
        agent_config(Role::Controlled, "127.0.0.1"),
    );
    // No packet leaves the loopback interface for there: the system refuses each.
    let text = "candidate:9 1 udp 2130706431 192.0.2.1 9 typ host";
    let nowhere = text.parse::<floe_sdp::ice::Candidate>().unwrap();
    let nowhere = floe_ice::Candidate::try_from(&nowhere).unwrap();
    a.command(|agent, now| agent.add_remote_candidate(now, nowhere))
        .unwrap();
    let (of_a, _) = within(10, connect(&mut a, &mut b)).await.unwrap();
    assert_eq!(of_a.remote.address, b.addresses()[0]);
    talk(&mut a, &mut b).await;
    assert!(a.counters().refused > 0);
    assert_eq!(b.counters().refused, 0);
}

#[tokio::test]
async fn data_before_there_is_a_path_is_an_error() {
    let mut agent = Agent::bind(agent_config(Role::Controlling, "127.0.0.1")).unwrap();
    assert_eq!(agent.send(b"early"), Err(floe_ice::SendError::NotConnected));
}

#[tokio::test]
async fn a_closed_agent_frees_its_ports() {
    let agent = Agent::bind(agent_config(Role::Controlling, "127.0.0.1")).unwrap();
    let address = agent.addresses()[0];
    within(1, agent.close()).await;
    std::net::UdpSocket::bind(address).unwrap();
}

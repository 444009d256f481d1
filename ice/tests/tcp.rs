//! Candidates over TCP: gathered, paired, connected and checked (RFC 6544 §4 to §7).

mod wires;

use core::net::SocketAddr;
use core::time::Duration;

use floe_ice::{
    Agent, Candidate, CandidateKind, CommandError, ComponentId, Config, Event, LocalAddress,
    PairState, Role, TcpType, TcpUse, candidate_priority, tcp_local_preference,
};
use floe_sansio::{FiveTuple, Input, Instant, Transport};
use wires::{LISTENER, Wires, addr, config, connected, is_completed, millis, tcp, wires, with};

fn of_tcp(candidates: &[Candidate]) -> Vec<(TcpType, SocketAddr)> {
    let tcp = candidates.iter();
    tcp.filter_map(|it| Some((it.tcp_type?, it.address)))
        .collect()
}

/// An agent that has gathered.
fn gathered(change: impl FnOnce(&mut Config)) -> Agent {
    let mut own = config(Role::Controlling, "192.0.2.1:1000", &["192.0.2.1:1001"]);
    change(&mut own);
    let mut agent = Agent::new(own, [1; 32], Instant::ZERO);
    agent.gather(Instant::ZERO);
    agent
}

fn candidates(agent: &Agent) -> Vec<Candidate> {
    agent.local_candidates().cloned().collect()
}

// ---- candidates ------------------------------------------------------------------------------

/// req: ICETCP-4.1-2, ICETCP-4.5-2
#[test]
fn every_interface_of_every_component_has_an_active_candidate_and_what_listens_a_passive_one() {
    let mut agent = gathered(|config| config.addresses.push(addr("[2001:db8::1]:1000")));
    let rtcp = ComponentId::new(0, 2);
    for address in [
        LocalAddress::new(addr("192.0.2.1:1002")).on(rtcp),
        LocalAddress::listening(addr("192.0.2.1:1003")).on(rtcp),
    ] {
        agent.add_address(Instant::ZERO, address).unwrap();
    }
    let of = |component| {
        let mut of = candidates(&agent);
        of.retain(|it| it.component == component);
        of_tcp(&of)
    };
    let active = |text| (TcpType::Active, addr(text));
    assert_eq!(
        of(ComponentId::default()),
        [
            active("192.0.2.1:9"),
            active("[2001:db8::1]:9"),
            (TcpType::Passive, addr("192.0.2.1:1001"))
        ]
    );
    let passive = (TcpType::Passive, addr("192.0.2.1:1003"));
    assert_eq!(of(rtcp), [active("192.0.2.1:9"), passive]);
}

/// req: ICETCP-4.1-1
#[test]
fn without_leave_there_are_no_candidates_over_tcp_and_those_of_the_peer_are_of_no_use() {
    let mut config = Config::new(Role::Controlling);
    assert_eq!(config.tcp, TcpUse::Off);
    config.tcp_addresses = vec![addr("192.0.2.1:1001")];
    assert_eq!(
        of_tcp(&candidates(&gathered(|own| own.tcp = TcpUse::Off))),
        []
    );
    let mut wires = with(|config| {
        if config.role == Role::Controlling {
            config.tcp = TcpUse::Off;
        }
    });
    wires.meet();
    wires.run(millis(1000));
    assert_eq!(wires.opening[0].len() + wires.open().len(), 0);
    let stats = wires.agents[0].stats();
    assert!(
        stats
            .pairs
            .iter()
            .all(|pair| pair.transport == Transport::Udp)
    );
}

/// req: ICETCP-4.2-6, ICETCP-4.2-7
#[test]
fn candidates_of_one_direction_differ_in_their_priority_and_the_first_has_the_highest() {
    let agent = gathered(|config| {
        config.tcp = TcpUse::BeforeUdp;
        config.addresses.push(addr("192.0.2.2:1000"));
        config.addresses.push(addr("192.0.2.3:1000"));
        config.tcp_addresses.push(addr("192.0.2.2:1001"));
    });
    let kind = CandidateKind::Host;
    for (tcp_type, count) in [(TcpType::Active, 3), (TcpType::Passive, 2)] {
        let own = candidates(&agent).into_iter();
        let priorities: Vec<_> = own
            .filter(|it| it.tcp_type == Some(tcp_type))
            .map(|it| it.priority)
            .collect();
        let expected: Vec<_> = (0..count)
            .map(|place| candidate_priority(kind, tcp_local_preference(kind, tcp_type, place), 1))
            .collect();
        assert_eq!(priorities, expected, "{tcp_type:?}");
    }
}

/// req: ICETCP-4.4-1
#[test]
fn a_lite_agent_has_passive_candidates_alone_over_tcp() {
    let agent = gathered(|config| config.lite = true);
    let passive = (TcpType::Passive, addr("192.0.2.1:1001"));
    assert_eq!(of_tcp(&candidates(&agent)), [passive]);
}

#[test]
fn an_address_that_is_gone_takes_its_candidates_with_it() {
    let mut agent = gathered(|_| {});
    agent.remove_address(Instant::ZERO, addr("192.0.2.1:1001"));
    let active = (TcpType::Active, addr("192.0.2.1:9"));
    assert_eq!(of_tcp(&candidates(&agent)), [active]);
    let knock = agent.stream_accepted(Instant::ZERO, addr("192.0.2.1:1001"), addr("192.0.2.9:1"));
    assert_eq!(knock, Err(CommandError::StreamPath));
    agent.remove_address(Instant::ZERO, addr("192.0.2.1:1000"));
    assert_eq!(candidates(&agent), []);
}

// ---- which transport -------------------------------------------------------------------------

#[test]
fn where_udp_is_blocked_two_agents_connect_over_tcp() {
    let mut wires = wires();
    wires.meet();
    wires.run(millis(2000));
    assert!(is_completed(&wires));
    assert_eq!(wires.path(0).unwrap().transport, Transport::Tcp);
    assert_eq!(wires.path(0), wires.path(1).map(FiveTuple::mirrored));
    assert!(wires.talk());
}

/// Behind a NAT the opener is seen from another address than it has, by both sides.
#[test]
fn who_is_behind_a_nat_connects_to_who_is_not() {
    for opener_controls in [true, false] {
        let mut wires = with(|config| {
            let opens = config.tcp_addresses.is_empty();
            config.role = if opens == opener_controls {
                Role::Controlling
            } else {
                Role::Controlled
            };
        });
        wires
            .nats
            .insert(addr("192.0.2.1:0").ip(), addr("203.0.113.7:0").ip());
        wires.meet();
        wires.run(millis(2000));
        assert!(is_completed(&wires) && wires.talk());
        let ends = [0, 1].map(|side| wires.agents[side].selected().unwrap());
        assert_eq!(ends[0].local.kind, CandidateKind::PeerReflexive);
        assert_eq!(ends[0].local.address.ip(), addr("203.0.113.7:0").ip());
        assert_eq!(ends[0].local.address, ends[1].remote.address);
    }
}

/// req: ICETCP-4.2-2, ICETCP-4.5-5
#[test]
fn where_both_work_the_preferred_transport_is_selected() {
    for (choice, transport) in [
        (TcpUse::AfterUdp, Transport::Udp),
        (TcpUse::BeforeUdp, Transport::Tcp),
    ] {
        let mut wires = with(|config| config.tcp = choice);
        wires.udp = true;
        wires.meet();
        wires.run(millis(2000));
        assert!(is_completed(&wires));
        assert_eq!(wires.path(0).unwrap().transport, transport);
        assert!(wires.talk());
    }
}

// ---- pairs and connections -------------------------------------------------------------------

/// req: ICETCP-6.2-1, ICETCP-6.2-2
#[test]
fn no_pair_has_a_local_passive_candidate_before_the_peer_connects() {
    let both = |role, ip: &str| {
        let at = |port| format!("{ip}:{port}");
        config(role, &at(1000), &[&at(1001)])
    };
    let mut wires = Wires::new([
        both(Role::Controlling, "192.0.2.1"),
        both(Role::Controlled, "198.51.100.2"),
    ]);
    wires.meet();
    for side in [0, 1] {
        let stats = wires.agents[side].stats();
        let over_tcp: Vec<_> = (stats.pairs.iter())
            .filter(|pair| pair.transport == Transport::Tcp)
            .map(|pair| (pair.local.port(), pair.remote.port()))
            .collect();
        assert_eq!(over_tcp, [(9, 1001)]);
    }
}

/// req: ICETCP-7.1-1, ICETCP-7.1-2, ICETCP-7.1-3
#[test]
fn a_check_without_a_connection_asks_for_one_from_its_interface_and_any_port() {
    let mut wires = with(|config| {
        if config.role == Role::Controlling {
            config.addresses.push(addr("192.0.2.77:1000"));
        }
    });
    wires.meet();
    wires.run(millis(500));
    let wanted = |local: &str| {
        let local = addr(local).ip();
        wires.count(0, |event| match event {
            Event::StreamWanted {
                local: from,
                remote,
                ..
            } => *from == local && *remote == addr(LISTENER),
            _ => false,
        })
    };
    assert_eq!((wanted("192.0.2.1:0"), wanted("192.0.2.77:0")), (1, 1));
    // Nothing was sent before the connection was there, and all of it on the connection.
    let from = wires.requests(0)[0].1;
    assert!(from.local.port() > 40_000, "{from:?}");
    // From another interface than was asked for it is refused, and changes nothing.
    let mut wires = with(|_| {});
    wires.meet();
    wires.run(millis(15));
    let (&id, _) = wires.opening[0].first_key_value().unwrap();
    let now = wires.now;
    let elsewhere = wires.agents[0].stream_opened(now, id, addr("192.0.2.2:4000"));
    assert_eq!(elsewhere, Err(CommandError::StreamPath));
    let nowhere = wires.agents[0].stream_opened(now, id, addr("192.0.2.1:0"));
    assert_eq!(nowhere, Err(CommandError::StreamPath));
    wires.run(millis(1000));
    assert!(is_completed(&wires));
}

/// req: ICETCP-7.1-5
#[test]
fn a_pair_whose_connection_is_refused_fails() {
    let mut wires = wires();
    wires
        .nats
        .insert(addr(LISTENER).ip(), addr("203.0.113.7:0").ip());
    wires.meet();
    wires.run(millis(100));
    let stats = wires.agents[0].stats();
    let mut over_tcp = stats
        .pairs
        .iter()
        .filter(|it| it.transport == Transport::Tcp);
    assert_eq!(over_tcp.next().unwrap().state, PairState::Failed);
    assert_eq!(wires.opening[0].len(), 0);
}

/// A host that swallows all gets its chance for as long as a check would, and no longer.
///
/// req: ICETCP-7.1-5
#[test]
fn a_pair_whose_connection_never_opens_fails_and_the_attempt_is_given_up() {
    let mut wires = wires();
    wires.dead.insert(addr(LISTENER).ip());
    wires.meet();
    wires.run(millis(39_000));
    let state = |wires: &Wires| {
        let stats = wires.agents[0].stats();
        let mut over_tcp = stats
            .pairs
            .iter()
            .filter(|it| it.transport == Transport::Tcp);
        over_tcp.next().map(|it| it.state)
    };
    assert_eq!(state(&wires), Some(PairState::InProgress));
    assert_eq!(wires.opening[0].len(), 1);
    wires.run(millis(2000));
    assert_ne!(state(&wires), Some(PairState::InProgress));
    assert_eq!(wires.opening[0].len(), 0, "it is not wanted any more");
}

/// req: ICETCP-7.1-6
#[test]
fn a_check_over_tcp_is_sent_once_however_long_its_answer_takes() {
    for strict in [false, true] {
        let mut wires = with(|config| {
            if strict {
                *config = config.clone().strict();
            }
        });
        for side in [0, 1] {
            let now = wires.now;
            wires.agents[side].gather(now);
            wires.drain(side);
        }
        // The second side does not know the first, and is mute.
        wires.introduce(0);
        wires.trickle();
        wires.mute[1] = true;
        wires.run(millis(38_000));
        assert_eq!(wires.requests(0).len(), 1);
        assert_eq!(wires.open().len(), 1);
    }
}

/// req: ICETCP-7.1-7
#[test]
fn where_something_else_than_stun_comes_first_the_connection_is_closed_and_all_its_pairs_fail() {
    let mut wires = with(|config| {
        if config.role == Role::Controlling {
            config.addresses.push(addr("192.0.2.77:1000"));
        }
    });
    wires.mute[1] = true;
    wires.meet();
    wires.run(millis(100));
    let open = wires.open();
    assert_eq!(open.len(), 2);
    let input = wires.frame(0, open[0], b"220 mail.example.org ESMTP");
    assert_eq!(input, Input::Handled);
    wires.run(millis(50));
    assert_eq!(wires.open(), []);
    let stats = wires.agents[0].stats();
    let over_tcp = stats
        .pairs
        .iter()
        .filter(|it| it.transport == Transport::Tcp);
    let states: Vec<_> = over_tcp.map(|it| it.state).collect();
    assert_eq!(states, [PairState::Failed; 2]);
}

/// req: ICETCP-12-1
#[test]
fn no_more_than_five_connections_are_opened_to_one_address_at_a_time() {
    for dead in [true, false] {
        let mut wires = with(|config| {
            if config.role == Role::Controlling {
                config.addresses = (1..=8)
                    .map(|n| addr(&format!("192.0.2.{n}:1000")))
                    .collect();
            }
        });
        if dead {
            wires.dead.insert(addr(LISTENER).ip());
        } else {
            wires
                .nats
                .insert(addr(LISTENER).ip(), addr("203.0.113.7:0").ip());
            wires.slow = Duration::from_secs(1);
        }
        wires.meet();
        wires.run(Duration::from_secs(10));
        assert_eq!(wires.most_opening, 5);
        let wanted = wires.count(0, |event| matches!(event, Event::StreamWanted { .. }));
        // Where they end, others get their turn.
        assert_eq!(wanted, if dead { 5 } else { 8 });
    }
}

// ---- accepted connections --------------------------------------------------------------------

/// req: ICETCP-7.2-1
#[test]
fn connections_are_accepted_where_a_passive_candidate_is_and_nowhere_else() {
    for lite in [false, true] {
        let mut agent = gathered(|config| config.lite = lite);
        let now = Instant::ZERO;
        let from = addr("203.0.113.9:5000");
        let mut knock = |at: &str| agent.stream_accepted(now, addr(at), from);
        assert!(knock("192.0.2.1:1001").is_ok());
        assert_eq!(
            knock("192.0.2.1:1001"),
            Err(CommandError::StreamPath),
            "twice"
        );
        assert_eq!(knock("192.0.2.1:1000"), Err(CommandError::StreamPath));
        assert_eq!(knock("192.0.2.1:9"), Err(CommandError::StreamPath));
    }
}

#[test]
fn who_connects_and_proves_nothing_is_turned_out_after_ten_seconds() {
    let mut wires = wires();
    wires.meet();
    let stranger = addr("203.0.113.9:5000");
    let id = wires.knock(1, addr(LISTENER), stranger).unwrap();
    let unwanted = |wires: &Wires| wires.count(1, |event| *event == Event::StreamUnwanted(id));
    wires.run(millis(9_990));
    assert_eq!(unwanted(&wires), 0);
    wires.run(millis(20));
    assert_eq!(unwanted(&wires), 1);
    let path = tcp(addr(LISTENER), stranger);
    assert!(matches!(wires.frame(1, path, b"\0\0"), Input::Dropped(_)));
}

#[test]
fn who_says_something_else_than_stun_first_is_turned_out_at_once() {
    let mut wires = wires();
    wires.meet();
    let stranger = addr("203.0.113.9:5000");
    let id = wires.knock(1, addr(LISTENER), stranger).unwrap();
    let path = tcp(addr(LISTENER), stranger);
    let get = wires.frame(1, path, b"GET / HTTP/1.1");
    assert_eq!(get, Input::Handled);
    assert_eq!(
        wires.count(1, |event| *event == Event::StreamUnwanted(id)),
        1
    );
}

#[test]
fn strangers_hold_a_bounded_number_of_connections_and_do_not_keep_the_peer_out() {
    let mut wires = wires();
    let limit = 32;
    for side in [0, 1] {
        let now = wires.now;
        wires.agents[side].gather(now);
        wires.drain(side);
    }
    let before = wires.agents[1].retained();
    for port in 1..=1000 {
        let stranger = SocketAddr::new(addr("203.0.113.9:0").ip(), port);
        wires.knock(1, addr(LISTENER), stranger).unwrap();
        assert!(wires.agents[1].retained() <= before + limit);
    }
    wires.introduce(0);
    wires.introduce(1);
    wires.trickle();
    wires.run(millis(2000));
    assert!(is_completed(&wires) && wires.talk());
}

/// A check that comes before the peer's credentials is finished later, also over TCP.
#[test]
fn a_check_over_tcp_before_the_answer_is_answered_and_triggers_one_later() {
    let mut wires = wires();
    for side in [0, 1] {
        let now = wires.now;
        wires.agents[side].gather(now);
        wires.drain(side);
    }
    wires.introduce(0);
    wires.trickle();
    wires.run(millis(500));
    assert!(wires.agents[0].stats().pairs.iter().any(|it| it.active));
    assert_eq!(wires.requests(1).len(), 0);
    wires.introduce(1);
    wires.run(millis(500));
    assert!(is_completed(&wires) && wires.talk());
}

// ---- frames ----------------------------------------------------------------------------------

/// req: ICETCP-10.2-1, FRAME-2-2
#[test]
fn frames_are_told_apart_null_packets_are_passed_over_and_what_is_not_quite_stun_is_data() {
    let mut wires = connected(|_| {});
    let path = wires.path(1).unwrap();
    assert_eq!(wires.frame(1, path, b""), Input::Handled);
    // A check whose length has been changed is no check, as a byte stream's chunk.
    let odd = [
        0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
    ];
    assert!(matches!(wires.frame(1, path, &odd), Input::Data(_)));
    assert_eq!(wires.data[1], [odd.to_vec()]);
    let whole = &odd[..20];
    assert!(matches!(wires.frame(1, path, whole), Input::Dropped(_)));
    // Nor does a null packet count as the first thing said: whoever sends it may yet send a check.
    let stranger = addr("203.0.113.9:5000");
    let id = wires.knock(1, addr(LISTENER), stranger).unwrap();
    let path = tcp(addr(LISTENER), stranger);
    assert_eq!(wires.frame(1, path, b""), Input::Handled);
    assert_eq!(
        wires.count(1, |event| *event == Event::StreamUnwanted(id)),
        0
    );
}

/// req: ICETCP-7.1-4, ICETCP-10.1-1
#[test]
fn data_goes_over_the_selected_connection_in_frames_of_its_own() {
    let mut wires = connected(|_| {});
    let before = wires.open();
    wires.messages = [vec![], vec![]];
    for len in [1, 1200, 60_000] {
        assert!(wires.send(0, &vec![0x80; len]));
    }
    wires.run(millis(100));
    // The network takes frames for messages only where their lengths are right.
    assert_eq!(wires.messages[0].len(), 3);
    assert!(
        wires.messages[0]
            .iter()
            .all(|(_, path, _)| before.contains(path))
    );
    let lengths: Vec<_> = wires.data[1].iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 1200, 60_000]);
    assert_eq!(wires.open(), before);
}

#[test]
fn without_room_for_the_length_data_is_refused() {
    let mut wires = connected(|_| {});
    let mut buffer = vec![0; 70_000];
    let no_room = wires.agents[0].send(&mut buffer, 1..5);
    assert_eq!(no_room, Err(floe_ice::SendError::NoRoom));
    let too_long = wires.agents[0].send(&mut buffer, 2..65_538);
    assert_eq!(too_long, Err(floe_ice::SendError::TooLong));
}

//! TURN servers behind a stream, for hosts whose UDP is blocked (RFC 8656 §3.1).

mod net;

use core::time::Duration;
use std::net::SocketAddr;

use floe_ice::{
    Agent, Candidate, CandidateKind, CommandError, Config, Event, FailureCause, GatheringError,
    Policy, Role, ServerUse, State, StreamId,
};
use floe_sansio::{
    Datagram, DropReason, FiveTuple, HEADROOM, Input, Instant, Machine, TAILROOM, Transport,
};
use floe_stun::{Builder, Class, Credentials, Key, MessageType, Method, TransactionId};
use floe_turn::AllocateError;
use net::{Net, Streams, addr, stun_server, turn_server, turn_user};

const HOME: &str = "10.0.0.1:1000";
const OUTSIDE: &str = "8.8.4.4:41000";
const PEER: &str = "9.9.9.9:2000";

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn config(role: Role, address: &str) -> Config {
    let mut config = Config::new(role);
    config.addresses = vec![addr(address)];
    config
}

/// The first side is behind a NAT, and its TURN server speaks UDP and TCP.
fn home(role: Role) -> Config {
    let mut config = config(role, HOME);
    config.stun_servers = vec![stun_server()];
    config.turn_servers = vec![turn_user("secret"), turn_user("secret").over_tcp()];
    config
}

/// Of the TURN server the first side knows TCP only, and no STUN server.
fn tcp_only(role: Role) -> Config {
    let mut config = config(role, HOME);
    config.turn_servers = vec![turn_user("secret").over_tcp()];
    config
}

fn net(home: Config) -> Net {
    let mut net = Net::new([home, config(Role::Controlled, PEER)], 1);
    net.outside.insert(addr(HOME), addr(OUTSIDE));
    net
}

fn block_udp(net: &mut Net) {
    net.udp_blocked.insert(addr(HOME));
}

fn wanted(net: &Net) -> Vec<(Instant, StreamId)> {
    let events = net.events[0].iter();
    events
        .filter_map(|&(at, ref event)| match *event {
            Event::StreamWanted { id, .. } => Some((at, id)),
            _ => None,
        })
        .collect()
}

fn unwanted(net: &Net) -> Vec<StreamId> {
    let events = net.events[0].iter();
    events
        .filter_map(|(_, event)| match *event {
            Event::StreamUnwanted(id) => Some(id),
            _ => None,
        })
        .collect()
}

fn failures(net: &Net) -> Vec<(Transport, GatheringError)> {
    let events = net.events[0].iter();
    events
        .filter_map(|(_, event)| match *event {
            Event::GatheringFailed {
                transport, cause, ..
            } => Some((transport, cause)),
            _ => None,
        })
        .collect()
}

fn first(net: &Net, side: usize, which: impl Fn(&Event) -> bool) -> Option<Instant> {
    let mut events = net.events[side].iter();
    events.find(|(_, event)| which(event)).map(|&(at, _)| at)
}

fn relays(net: &Net) -> Vec<Candidate> {
    let mut candidates = net.candidates(0);
    candidates.retain(|candidate| candidate.kind == CandidateKind::Relayed);
    candidates
}

/// Both sides begin at once, and all is trickled.
fn begin(net: &mut Net) {
    for side in [0, 1] {
        net.gather(side);
        net.introduce(side);
    }
    while net.trickle(0) || net.trickle(1) {}
}

// ---- when a stream is wanted ---------------------------------------------------------------

#[test]
fn where_udp_works_no_stream_is_opened_and_gathering_does_not_wait() {
    let mut net = net(home(Role::Controlling));
    let start = net.now;
    net.gather(0);
    net.run(millis(5000));
    assert_eq!(wanted(&net), []);
    assert_eq!(failures(&net), []);
    let complete = first(&net, 0, |event| *event == Event::GatheringComplete).unwrap();
    assert!(complete - start < millis(250), "{complete:?}");
}

#[test]
fn where_udp_is_silent_a_stream_is_wanted_after_the_delay() {
    for delay in [250, 80] {
        let mut config = home(Role::Controlling);
        assert_eq!(config.server_delay, millis(250));
        config.server_delay = millis(delay);
        let mut net = net(config);
        block_udp(&mut net);
        let start = net.now;
        net.gather(0);
        net.run(millis(1000));
        let [(at, id)] = wanted(&net)[..] else {
            panic!("one stream");
        };
        // The TURN server is asked one slot after the STUN server.
        assert_eq!(at - start, millis(5 + delay));
        let event = Event::StreamWanted {
            id,
            transport: Transport::Tcp,
            framing: floe_ice::Framing::Turn {
                channels: floe_turn::CHANNELS,
            },
            local: addr(HOME).ip(),
            remote: turn_server(),
        };
        assert_eq!(net.count(0, |it| *it == event), 1);
        assert_eq!(relays(&net).len(), 1);
    }
}

#[test]
fn without_a_server_over_udp_a_stream_is_wanted_at_once() {
    let mut net = net(tcp_only(Role::Controlling));
    let start = net.now;
    net.gather(0);
    assert_eq!(wanted(&net).len(), 1);
    net.run(millis(200));
    // The handshake, and two requests.
    let complete = first(&net, 0, |event| *event == Event::GatheringComplete).unwrap();
    assert_eq!(complete - start, millis(20 + 20 + 20));
}

#[test]
fn where_udp_has_failed_a_stream_is_wanted_at_once() {
    let mut config = home(Role::Controlling);
    config.turn_servers[0] = turn_user("wrong");
    let mut net = net(config);
    net.gather(0);
    net.run(millis(200));
    let failed = first(&net, 0, |e| matches!(e, Event::GatheringFailed { .. })).unwrap();
    assert_eq!(wanted(&net)[0].0, failed);
    assert_eq!(relays(&net).len(), 1);
}

/// Each address of the host decides for itself.
#[test]
fn a_stream_is_wanted_only_from_where_udp_is_blocked() {
    let second = addr("10.0.0.2:1000");
    let mut config = home(Role::Controlling);
    config.addresses.push(second);
    let mut net = net(config);
    net.udp_blocked.insert(second);
    net.gather(0);
    net.run(millis(1000));
    let is_from =
        |event: &Event, ip| matches!(event, Event::StreamWanted { local, .. } if *local == ip);
    assert_eq!(wanted(&net).len(), 1);
    assert_eq!(net.count(0, |event| is_from(event, second.ip())), 1);
}

#[test]
fn an_allocation_over_udp_that_comes_late_makes_the_stream_needless() {
    let mut net = net(home(Role::Controlling));
    net.streams = Streams::Silent;
    block_udp(&mut net);
    net.gather(0);
    net.run(millis(300));
    assert_eq!(wanted(&net).len(), 1);
    assert_eq!(unwanted(&net), []);
    net.udp_blocked.clear();
    net.run(millis(400));
    assert_eq!(unwanted(&net), [wanted(&net)[0].1]);
    assert_eq!(failures(&net), []);
    assert!(net.agents[0].is_gathered());
}

// ---- what becomes of it --------------------------------------------------------------------

/// req: ICETCP-4.1-5, ICETCP-4.1-6, ICETCP-11.2-2
#[test]
fn a_host_whose_udp_is_blocked_connects_over_tcp() {
    let mut net = net(home(Role::Controlling));
    block_udp(&mut net);
    begin(&mut net);
    net.run_trickling(millis(2500));
    assert!(net.agree());
    let selected = net.agents[0].selected().unwrap();
    assert_eq!(selected.local.kind, CandidateKind::Relayed);
    assert!(net.send(0, b"there") && net.send(1, b"back"));
    net.run(millis(100));
    assert_eq!(net.data, [vec![b"back".to_vec()], vec![b"there".to_vec()]]);
    // With refreshes and keepalives it lives on.
    net.run(Duration::from_secs(2000));
    assert!(net.agree() && net.send(1, b"still"));
    net.run(millis(100));
    assert_eq!(net.data[0].len(), 2);
}

/// The server sees the address of the stream, at which no datagram arrives.
///
/// req: ICE-5.1.1.2-1
#[test]
fn a_stream_gives_a_relayed_candidate_and_no_reflexive_one() {
    let mut net = net(tcp_only(Role::Controlling));
    net.gather(0);
    net.run(millis(500));
    let kinds: Vec<_> = net.candidates(0).iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [CandidateKind::Host, CandidateKind::Relayed]);
    let tcp = relays(&net).remove(0);
    assert_eq!(tcp.transport, Transport::Udp, "that is what peers send");
    assert_eq!(
        (tcp.base, tcp.related.unwrap().ip()),
        (tcp.address, addr(HOME).ip())
    );
}

/// req: ICE-5.1.1.3-1, ICE-5.1.2.2-3
#[test]
fn of_two_relays_of_one_server_that_over_udp_is_preferred() {
    let mut net = net(home(Role::Controlling));
    block_udp(&mut net);
    net.gather(0);
    net.run(millis(450));
    net.udp_blocked.clear();
    net.run(millis(500));
    let [tcp, udp] = &relays(&net)[..] else {
        panic!("both: {:?}", relays(&net));
    };
    assert!(tcp.priority < udp.priority);
    assert_ne!(tcp.foundation, udp.foundation);
}

#[test]
fn a_refused_stream_is_told_and_gathering_completes() {
    let mut net = net(tcp_only(Role::Controlling));
    net.streams = Streams::Refused;
    let start = net.now;
    net.gather(0);
    net.run(millis(100));
    assert_eq!(failures(&net), [(Transport::Tcp, GatheringError::Stream)]);
    let complete = first(&net, 0, |event| *event == Event::GatheringComplete).unwrap();
    assert_eq!(complete - start, millis(20));
    assert_eq!(unwanted(&net), [], "its owner knows");
    assert_eq!(net.agents[0].poll_timeout(), None);
}

#[test]
fn a_silent_stream_is_given_up_with_gathering() {
    let mut net = net(tcp_only(Role::Controlling));
    net.streams = Streams::Silent;
    net.gather(0);
    // Nothing else is left to hope for: twice the limit.
    net.run(millis(9900));
    assert_eq!((failures(&net), unwanted(&net)), (vec![], vec![]));
    net.run(millis(200));
    assert_eq!(failures(&net), [(Transport::Tcp, GatheringError::TooLate)]);
    assert_eq!(unwanted(&net).len(), 1);
    assert!(net.agents[0].is_gathered());
}

#[test]
fn where_a_server_has_answered_a_silent_stream_is_waited_for_no_longer_than_others() {
    let mut config = tcp_only(Role::Controlling);
    config.stun_servers = vec![stun_server()];
    let mut net = net(config);
    net.streams = Streams::Silent;
    net.gather(0);
    net.run(millis(4900));
    assert!(!net.agents[0].is_gathered());
    net.run(millis(200));
    assert_eq!(failures(&net), [(Transport::Tcp, GatheringError::TooLate)]);
    assert!(net.agents[0].is_gathered());
}

#[test]
fn a_refused_allocation_closes_its_stream() {
    let mut config = tcp_only(Role::Controlling);
    config.turn_servers = vec![turn_user("wrong").over_tls()];
    let mut net = net(config);
    net.gather(0);
    net.run(millis(200));
    let refused = GatheringError::Allocation(AllocateError::Refused);
    assert_eq!(failures(&net), [(Transport::Tls, refused)]);
    assert_eq!(unwanted(&net).len(), 1);
    assert!(net.agents[0].is_gathered());
}

#[test]
fn selection_ends_a_stream_that_is_being_opened() {
    let mut net = net(tcp_only(Role::Controlling));
    net.streams = Streams::Silent;
    begin(&mut net);
    net.run_trickling(millis(1000));
    assert!(net.agree());
    assert_eq!(unwanted(&net), [wanted(&net)[0].1]);
    assert!(net.agents[0].is_gathered());
}

/// req: ICE-8.3.1-1
#[test]
fn an_unused_relay_over_a_stream_is_given_back_and_the_stream_closed() {
    let mut config = tcp_only(Role::Controlling);
    config.backup_relay = false;
    let mut net = net(config);
    net.connect();
    net.run(millis(2900));
    assert!(net.agree() && !net.agents[0].selected().unwrap().is_relayed());
    assert_eq!((net.turn.allocations(), unwanted(&net).len()), (1, 0));
    net.run(millis(1000));
    assert_eq!((net.turn.allocations(), unwanted(&net).len()), (0, 1));
    assert!(net.agree());
}

#[test]
fn close_gives_the_allocation_back_before_the_stream_is_closed() {
    let mut net = net(tcp_only(Role::Controlling));
    block_udp(&mut net);
    net.connect();
    net.run(millis(2000));
    assert!(net.agree());
    net.agents[0].close(net.now);
    net.drain(0);
    assert_eq!(unwanted(&net), []);
    net.run(millis(100));
    assert_eq!((net.turn.allocations(), unwanted(&net).len()), (0, 1));
    assert_eq!(net.streams_in_use(0), 0);
    assert_eq!(net.agents[0].poll_timeout(), None);
}

/// In each stage of its life.
#[test]
fn close_leaves_no_stream_behind() {
    for time in (0..120).step_by(5) {
        for streams in [Streams::Open, Streams::Silent] {
            let mut net = net(tcp_only(Role::Controlling));
            net.streams = streams;
            begin(&mut net);
            net.run_trickling(millis(time));
            net.agents[0].close(net.now);
            net.drain(0);
            net.run(millis(100));
            assert_eq!(net.streams_in_use(0), 0, "after {time} ms");
            assert_eq!(net.turn.allocations(), 0, "after {time} ms");
            assert_eq!(net.agents[0].poll_timeout(), None);
        }
    }
}

#[test]
fn a_failed_agent_closes_its_streams() {
    let mut net = net(tcp_only(Role::Controlling));
    net.gather(0);
    net.introduce(0);
    // Nobody is there: the relay is what it has when the list fails.
    net.run(Duration::from_secs(60));
    let state = net.agents[0].state();
    assert_eq!(state, State::Failed(FailureCause::NoRemoteCandidates));
    assert_eq!((unwanted(&net).len(), net.turn.allocations()), (1, 0));
}

#[test]
fn a_stream_that_is_lost_after_nomination_takes_the_relay_with_it() {
    let mut config = tcp_only(Role::Controlling);
    config.recovery = false;
    let mut net = net(config);
    block_udp(&mut net);
    net.connect();
    net.run(millis(2000));
    assert!(net.agree());
    net.reset_streams(0);
    assert_eq!(
        net.agents[0].state(),
        State::Failed(FailureCause::RelayLost)
    );
    let lost = GatheringError::Allocation(AllocateError::Disconnected);
    assert_eq!(failures(&net), [(Transport::Tcp, lost)]);
    assert_eq!(unwanted(&net), [], "its owner knows");
    assert!(!net.send(0, b"nowhere"));
}

#[test]
fn a_stream_that_is_lost_before_nomination_leaves_other_pairs_alone() {
    let mut config = home(Role::Controlling);
    config.reflexive_hold = millis(4000);
    let mut net = net(config);
    block_udp(&mut net);
    begin(&mut net);
    net.run_trickling(millis(1000));
    assert_eq!(net.agents[0].state(), State::Connected);
    net.reset_streams(0);
    assert_eq!(net.agents[0].state(), State::Checking);
    net.udp_blocked.clear();
    net.run_trickling(millis(3000));
    assert!(net.agree() && !net.agents[0].selected().unwrap().is_relayed());
}

#[test]
fn a_stream_that_is_lost_while_the_server_is_asked_gives_no_candidate() {
    let mut net = net(tcp_only(Role::Controlling));
    net.gather(0);
    net.run(millis(35));
    net.reset_streams(0);
    assert_eq!(failures(&net), [(Transport::Tcp, GatheringError::Stream)]);
    assert!(net.agents[0].is_gathered());
    net.run(millis(1000));
    assert_eq!((relays(&net), net.agents[0].poll_timeout()), (vec![], None));
}

// ---- what is not accepted ------------------------------------------------------------------

fn feed(agent: &mut impl Machine, now: Instant, path: FiveTuple, bytes: &[u8]) -> Input {
    let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + bytes.len();
    buffer[range.clone()].copy_from_slice(bytes);
    agent.handle_input(now, Datagram::new(path, &mut buffer, range))
}

fn tcp(local: SocketAddr, remote: SocketAddr) -> FiveTuple {
    FiveTuple {
        transport: Transport::Tcp,
        local,
        remote,
    }
}

/// A check that the agent would answer if it came as a datagram.
fn check_of(agent: &Agent) -> Vec<u8> {
    let mut buffer = [0; 256];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let name = format!("{}:peer", agent.credentials().ufrag());
    let built = Builder::new(&mut buffer, kind, TransactionId([7; 12]))
        .with(&floe_stun::Username(&name))
        .with(&floe_stun::Priority(1))
        .with(&floe_stun::IceControlled(1))
        .with_integrity(&Key::short_term(agent.credentials().pwd()))
        .with_fingerprint()
        .finish_bytes();
    built.unwrap().to_vec()
}

#[test]
fn a_path_counts_with_its_transport() {
    let mut net = net(tcp_only(Role::Controlling));
    net.gather(0);
    net.run(millis(30));
    let path = *net.open[0].values().next().unwrap();
    let (now, agent) = (net.now, &mut net.agents[0]);
    let check = check_of(agent);
    let challenge = {
        let mut buffer = [0; 256];
        let kind = MessageType::new(Class::Error, Method::ALLOCATE);
        let builder = Builder::new(&mut buffer, kind, TransactionId([7; 12]));
        builder.finish_bytes().unwrap().to_vec()
    };
    let unknown = Input::Dropped(DropReason::UnknownLocal);
    // Over a stream that is not ours.
    for remote in [addr(PEER), turn_server()] {
        for bytes in [&check[..], &challenge, b"data"] {
            assert_eq!(feed(agent, now, tcp(addr(HOME), remote), bytes), unknown);
        }
    }
    // Datagrams at the address of the stream.
    for bytes in [&check[..], &challenge, b"data"] {
        let datagram = FiveTuple::udp(path.local, path.remote);
        assert_eq!(feed(agent, now, datagram, bytes), unknown);
        let tls = FiveTuple {
            transport: Transport::Tls,
            ..path
        };
        assert_eq!(feed(agent, now, tls, bytes), unknown);
    }
    // On the stream the server speaks, and no peer does.
    let unsupported = Input::Dropped(DropReason::Unsupported);
    assert_eq!(feed(agent, now, path, &check), unsupported);
    let foreign = Input::Dropped(DropReason::NoTransaction);
    assert_eq!(feed(agent, now, path, &challenge), foreign);
    let not_stun = Input::Dropped(DropReason::NotStun);
    assert_eq!(feed(agent, now, path, b"data"), not_stun);
    // As a datagram the check is one.
    let direct = FiveTuple::udp(addr(HOME), addr(PEER));
    assert_eq!(feed(agent, now, direct, &check), Input::Handled);
}

#[test]
fn a_stream_is_opened_once_from_where_it_was_wanted() {
    let now = Instant::from_secs(1);
    let mut config = tcp_only(Role::Controlling);
    // Two streams at once, so that one can have the path of the other.
    config.servers = ServerUse::All;
    config.turn_servers.push(turn_user("secret").over_tcp());
    let mut agent = Agent::new(config, [1; 32], now);
    agent.gather(now);
    let mut ids = Vec::new();
    while let Some(event) = agent.poll_event() {
        if let Event::StreamWanted { id, .. } = event {
            ids.push(id);
        }
    }
    let [one, two] = ids[..] else {
        panic!("{ids:?}");
    };
    let local = addr("10.0.0.1:5000");
    let before = format!("{agent:?}");
    for wrong in ["10.0.0.2:5000", "10.0.0.1:0", "[2001:db8::1]:5000"] {
        let refused = agent.stream_opened(now, one, addr(wrong));
        assert_eq!(refused, Err(CommandError::StreamPath), "{wrong}");
    }
    assert_eq!(format!("{agent:?}"), before);
    agent.stream_opened(now, one, local).unwrap();
    let before = format!("{agent:?}");
    let unknown = Err(CommandError::UnknownStream);
    assert_eq!(
        agent.stream_opened(now, one, addr("10.0.0.1:5001")),
        unknown
    );
    assert_eq!(
        agent.stream_opened(now, two, local),
        Err(CommandError::StreamPath)
    );
    assert_eq!(format!("{agent:?}"), before);
    agent.stream_failed(now, two);
    let before = format!("{agent:?}");
    agent.stream_failed(now, two);
    assert_eq!(
        agent.stream_opened(now, two, addr("10.0.0.1:5001")),
        unknown
    );
    assert_eq!(format!("{agent:?}"), before);
    agent.close(now);
    let before = format!("{agent:?}");
    assert_eq!(
        agent.stream_opened(now, one, local),
        Err(CommandError::Ended)
    );
    agent.stream_failed(now, one);
    assert_eq!(format!("{agent:?}"), before);
}

/// The name of a stream of another agent is that of none.
#[test]
fn a_stream_of_nobody_is_ignored() {
    let now = Instant::from_secs(1);
    let mut other = Agent::new(tcp_only(Role::Controlling), [1; 32], now);
    other.gather(now);
    let mut events = core::iter::from_fn(|| other.poll_event());
    let id = events.find_map(|event| match event {
        Event::StreamWanted { id, .. } => Some(id),
        _ => None,
    });
    let id = id.unwrap();
    // It has a source in this place, but none that needs a stream; or none at all.
    let mut with_stun = config(Role::Controlling, HOME);
    with_stun.stun_servers = vec![stun_server()];
    for config in [with_stun, config(Role::Controlling, HOME)] {
        let mut agent = Agent::new(config, [2; 32], now);
        agent.gather(now);
        let before = format!("{agent:?}");
        let opened = agent.stream_opened(now, id, addr("10.0.0.1:5000"));
        assert_eq!(opened, Err(CommandError::UnknownStream));
        agent.stream_failed(now + millis(1), id);
        assert_eq!(format!("{agent:?}"), before);
    }
}

#[test]
fn credentials_of_a_server_do_not_print() {
    let credentials = Credentials::new("alice", "a secret");
    let server = floe_ice::TurnServer::new(turn_server(), credentials).over_tcp();
    let mut config = config(Role::Controlling, HOME);
    config.turn_servers = vec![server];
    let mut agent = Agent::new(config, [1; 32], Instant::ZERO);
    agent.gather(Instant::ZERO);
    assert!(!format!("{agent:?}").contains("a secret"));
}

// ---- what is nominated ---------------------------------------------------------------------

/// The relay over the stream works before the answers over UDP have been repeated. `first_controls`
/// says which side has it.
fn lossy_start(first_controls: bool, change: impl FnOnce(&mut Config)) -> Net {
    let roles = if first_controls {
        [Role::Controlling, Role::Controlled]
    } else {
        [Role::Controlled, Role::Controlling]
    };
    let mut one = home(roles[0]);
    change(&mut one);
    let mut net = Net::new([one, config(roles[1], PEER)], 1);
    net.outside.insert(addr(HOME), addr(OUTSIDE));
    block_udp(&mut net);
    begin(&mut net);
    net
}

fn selected_at(net: &Net, side: usize) -> Option<Instant> {
    first(net, side, |event| matches!(event, Event::Selected(_)))
}

/// The first requests over UDP were lost, not blocked: the retransmission finds the direct path.
#[test]
fn a_lost_answer_over_udp_does_not_lead_to_a_relay() {
    for first_controls in [true, false] {
        let mut net = lossy_start(first_controls, |_| {});
        // The first retransmission, at 500 ms, comes too early; the second is the last chance.
        net.run_trickling(millis(1400));
        assert_eq!(net.agents[0].state(), State::Connected);
        assert!(net.send(0, b"there") && net.send(1, b"back"), "data flows");
        net.udp_blocked.clear();
        net.run_trickling(millis(1000));
        assert!(net.agree());
        assert!(!net.agents[0].selected().unwrap().is_relayed());
    }
}

/// Where UDP is blocked, nobody waits longer than for the second retransmission.
#[test]
fn a_blocked_host_waits_for_the_second_retransmission_and_no_longer() {
    for first_controls in [true, false] {
        let mut net = lossy_start(first_controls, |_| {});
        let start = net.now;
        net.run_trickling(millis(3000));
        assert!(net.agree() && net.agents[0].selected().unwrap().is_relayed());
        let connected = first(&net, 0, |event| matches!(event, Event::Connected(_))).unwrap();
        assert!(connected - start < millis(450), "{connected:?}");
        let controlling = usize::from(!first_controls);
        let selected = selected_at(&net, controlling).unwrap() - start;
        assert!(millis(1600) < selected, "{selected:?}");
        // The nominating check, and a round trip through the relay.
        assert!(selected < millis(1600 + 60), "{selected:?}");
    }
}

#[test]
fn the_wait_ends_with_the_last_source_over_udp() {
    let mut net = lossy_start(true, |config| {
        config.gathering.count = 1;
        config.gathering.last = 1;
    });
    let start = net.now;
    net.run_trickling(millis(3000));
    assert!(net.agree());
    let selected = selected_at(&net, 0).unwrap() - start;
    // Both sources fail at 500 and 505 ms; then a direct pair has its usual chance.
    assert!(selected < millis(505 + 200), "{selected:?}");
}

#[test]
fn where_udp_has_answered_a_relay_over_a_stream_waits_as_any_other() {
    let mut config = home(Role::Controlling);
    // TURN over UDP is refused, and that is an answer; the STUN server tells the mapped address.
    config.turn_servers[0] = turn_user("wrong");
    let mut net = net(config);
    net.blocked.insert((addr(HOME), addr(PEER)));
    begin(&mut net);
    let start = net.now;
    net.run_trickling(millis(3000));
    assert!(net.agree() && net.agents[0].selected().unwrap().is_relayed());
    let selected = selected_at(&net, 0).unwrap() - start;
    assert!(selected < millis(500), "{selected:?}");
}

/// req: TRICKLE-14-2
#[test]
fn a_peer_that_has_told_all_is_not_waited_for() {
    let mut config = tcp_only(Role::Controlled);
    // It gathers nothing over UDP, so that it says soon that it has no more.
    config.turn_servers[0].transport = Transport::Tcp;
    let mut net = Net::new([config, self::config(Role::Controlling, PEER)], 1);
    block_udp(&mut net);
    begin(&mut net);
    let start = net.now;
    net.run_trickling(millis(3000));
    assert!(net.agree());
    let selected = selected_at(&net, 1).unwrap() - start;
    assert!(selected < millis(400), "{selected:?}");
}

#[test]
fn under_the_relay_policy_nothing_direct_is_waited_for() {
    let mut net = lossy_start(true, |config| config.policy = Policy::Relay);
    let start = net.now;
    net.run_trickling(millis(3000));
    assert!(net.agree());
    let selected = selected_at(&net, 0).unwrap() - start;
    assert!(selected < millis(600), "{selected:?}");
}

/// Another connection is tried at once; nobody is there.
#[test]
fn a_session_whose_server_has_died_fails_as_soon_as_that_is_known() {
    let mut config = tcp_only(Role::Controlling);
    config.policy = Policy::Relay;
    let mut net = net(config);
    block_udp(&mut net);
    net.connect();
    net.run(millis(2000));
    assert!(net.agree());
    net.streams = Streams::Refused;
    net.reset_streams(0);
    net.run(millis(100));
    assert_eq!(
        net.agents[0].state(),
        State::Failed(FailureCause::RelayLost)
    );
    assert_eq!(net.agents[0].poll_timeout(), None);
}

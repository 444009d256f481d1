//! Sessions that were written down run the same again. (All other sessions of these tests do too: see
//! `Net::drop`.)

mod net;

use core::time::Duration;

use floe_ice::trace::{DEFAULT_LIMIT, Difference, Fault, Output, Recorder, Trace, VERSION};
use floe_ice::{Config, Pacer, Role, State};
use floe_sansio::{Instant, Transmit};
use net::{Net, addr, stun_server, turn_user};
use proptest::prelude::*;

fn configs() -> [Config; 2] {
    [
        (Role::Controlling, "10.0.0.1:1000"),
        (Role::Controlled, "10.1.0.1:2000"),
    ]
    .map(|(role, address)| {
        let mut config = Config::new(role);
        config.addresses = vec![addr(address)];
        config.stun_servers = vec![stun_server()];
        config.turn_servers = vec![turn_user("secret"), turn_user("secret").over_tcp()];
        config
    })
}

/// Connects over a network that loses a fifth of all packets, sends data, and restarts.
fn session(seed: u8) -> Net {
    let mut net = Net::new(configs(), seed);
    net.loss = 200;
    net.connect();
    net.run_trickling(Duration::from_secs(10));
    assert!(net.agree());
    assert!(net.send(0, b"before the restart"));
    net.run(Duration::from_secs(1));
    for side in [0, 1] {
        let now = net.now;
        net.agents[side].restart(now).unwrap();
    }
    for side in [0, 1] {
        net.gather(side);
        net.introduce(side);
    }
    net.run_trickling(Duration::from_secs(10));
    net
}

#[test]
fn a_session_with_losses_relays_data_and_a_restart_gives_the_same_outputs_again() {
    for seed in 1..4 {
        let net = session(seed);
        for side in [0, 1] {
            let trace = Trace::parse(net.agents[side].trace()).unwrap();
            assert!(!trace.is_cut());
            let replay = trace.replay();
            assert_eq!(replay.difference, None);
            assert_eq!(replay.outputs.len(), trace.calls());
            let events: Vec<_> = replay.outputs.iter().filter_map(event).collect();
            let recorded: Vec<_> = net.events[side].iter().map(|(_, event)| event).collect();
            assert_eq!(events, recorded);
        }
        let trace = Trace::parse(net.agents[1].trace()).unwrap();
        let data: Vec<_> = (trace.replay().outputs.into_iter())
            .filter_map(|output| match output {
                Output::Data(_, payload) => Some(payload.to_vec()),
                _ => None,
            })
            .collect();
        assert_eq!(data, net.data[1]);
    }
}

fn event(output: &Output) -> Option<&floe_ice::Event> {
    match output {
        Output::Event(event) => event.as_ref(),
        _ => None,
    }
}

/// The place where the bytes of a trace stop to be those that were written is the place that is told.
#[test]
fn a_changed_input_is_noticed_at_its_call() {
    let net = session(3);
    let trace = net.agents[0].trace();
    let (bytes, calls) = (trace.to_vec(), Trace::parse(trace).unwrap().calls());
    // A byte of the data that came last, as the agent is not to notice it by itself.
    let mut net = net;
    assert!(net.send(1, b"look for these words"));
    net.run(Duration::from_millis(200));
    let mut longer = net.agents[0].trace().to_vec();
    assert_eq!(&longer[..bytes.len()], bytes);
    let found = longer
        .windows(20)
        .position(|it| it == b"look for these words");
    let Some(at) = found else {
        panic!("lost on the way: choose another seed");
    };
    longer[at] ^= 1;
    let Some(Difference { call, offset }) = Trace::parse(&longer).unwrap().replay().difference
    else {
        panic!("not noticed");
    };
    assert!(call >= calls);
    assert!(offset < at && at - offset < 40, "{offset} {at}");
}

#[test]
fn a_changed_seed_or_configuration_is_noticed_at_the_first_call() {
    let net = session(2);
    for at in [9, 40] {
        let mut bytes = net.agents[0].trace().to_vec();
        bytes[at] ^= 1;
        let replay = Trace::parse(&bytes).unwrap().replay();
        assert_eq!(replay.difference.map(|it| it.call), Some(0), "byte {at}");
    }
}

#[test]
fn a_full_recorder_says_so_and_keeps_whole_calls_only() {
    let header = Recorder::new(configs()[0].clone(), [0; 32], Instant::ZERO, 0);
    let header = header.trace().len();
    for limit in [0, 1, 10, 100, 200, DEFAULT_LIMIT] {
        let mut agent = Recorder::new(configs()[0].clone(), [7; 32], Instant::ZERO, limit);
        let mut now = Instant::ZERO;
        agent.gather(now);
        while agent.state() != State::Closed {
            while agent.poll_transmit().is_some() {}
            while agent.poll_event().is_some() {}
            match agent.poll_timeout() {
                Some(at) if at < Instant::from_secs(6) => now = at,
                _ => agent.close(now),
            }
            agent.handle_timeout(now);
        }
        assert!(agent.trace().len() - header <= limit + 1);
        let trace = Trace::parse(agent.trace()).unwrap();
        assert_eq!(trace.is_cut(), agent.is_full());
        assert_eq!(agent.is_full(), limit <= 200);
        assert_eq!(trace.replay().difference, None);
    }
}

#[test]
fn agents_that_share_a_pace_are_run_again_each_by_itself() {
    let mut pacer = Pacer::new();
    let mut now = Instant::from_secs(1);
    let mut agents: Vec<_> = (1..6)
        .map(|seed| Recorder::new(configs()[0].clone(), [seed; 32], now, DEFAULT_LIMIT))
        .collect();
    let mut sent: Vec<Vec<Transmit>> = vec![Vec::new(); agents.len()];
    for agent in &mut agents {
        agent.paced(&mut pacer, |agent| agent.gather(now));
    }
    for _ in 0..100 {
        for (agent, sent) in agents.iter_mut().zip(&mut sent) {
            agent.paced(&mut pacer, |agent| agent.handle_timeout(now));
            while let Some(transmit) = agent.poll_transmit() {
                sent.push(transmit);
            }
        }
        let next = agents.iter().filter_map(Recorder::poll_timeout).min();
        now = next.unwrap_or(now);
    }
    for (agent, sent) in agents.iter().zip(sent) {
        let replay = Trace::parse(agent.trace()).unwrap().replay();
        assert_eq!(replay.difference, None);
        let outputs = replay.outputs.into_iter();
        let again: Vec<_> = outputs
            .filter_map(|output| match output {
                Output::Transmit(transmit) => transmit,
                _ => None,
            })
            .collect();
        assert!(!sent.is_empty());
        assert_eq!(again, sent);
    }
}

#[test]
fn secrets_do_not_print() {
    let net = session(3);
    let trace = Trace::parse(net.agents[0].trace()).unwrap();
    for text in [format!("{trace:?}"), format!("{:?}", net.agents[0])] {
        assert!(
            !text.contains("secret") && !text.contains("alice"),
            "{text}"
        );
        assert!(text.len() < 100, "{text}");
    }
}

#[test]
fn what_is_no_trace_is_refused_with_its_place() {
    let recorder = Recorder::new(configs()[0].clone(), [1; 32], Instant::ZERO, DEFAULT_LIMIT);
    let header = recorder.trace();
    let refused = |bytes: &[u8]| {
        let error = Trace::parse(bytes).unwrap_err();
        (error.offset, error.fault)
    };
    assert_eq!(refused(b"floe-sim\x01").1, Fault::NoTrace);
    assert_eq!(refused(b"floe-ice\x02"), (9, Fault::Version(2)));
    assert_eq!(VERSION, 1);
    for end in 9..header.len() {
        let (offset, fault) = refused(&header[..end]);
        assert_eq!(fault, Fault::Truncated, "{end}");
        assert!(offset <= end);
    }
    let with = |bytes: &[u8]| [header, bytes].concat();
    let at = header.len();
    assert_eq!(refused(&with(&[99])), (at + 1, Fault::Call(99)));
    assert_eq!(refused(&with(&[0, 0])), (at + 1, Fault::AfterEnd));
    assert_eq!(refused(&with(&[4, 1, 2])), (at + 1, Fault::Truncated));
    // A role that there is not, and a number in a longer form than it needs.
    assert_eq!(refused(&with(&[21, 2])), (at + 2, Fault::Value("Role")));
    let longer = with(&[32, 0x80, 0]);
    assert_eq!(refused(&longer), (at + 3, Fault::Value("number")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Some bytes changed, some cut off: refused, or noticed when it is run again; no panic.
    #[test]
    fn a_damaged_trace_is_refused_or_differs(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 1u8..), 1..4),
        cut in any::<proptest::sample::Index>(),
        seed in any::<[u8; 32]>(),
    ) {
        let mut agent = Recorder::new(configs()[0].clone(), seed, Instant::ZERO, DEFAULT_LIMIT);
        agent.gather(Instant::ZERO);
        while agent.poll_transmit().is_some() {}
        while agent.poll_event().is_some() {}
        agent.close(Instant::ZERO);
        let whole = agent.trace().to_vec();
        let fresh = Recorder::new(configs()[0].clone(), seed, Instant::ZERO, DEFAULT_LIMIT);
        let header = fresh.trace().len();
        let mut bytes = whole[..header + 1 + cut.index(whole.len() - header)].to_vec();
        for (at, flip) in changes {
            let at = header + at.index(bytes.len() - header);
            bytes[at] ^= flip;
        }
        if let Ok(trace) = Trace::parse(&bytes) {
            let kept = bytes.len() - usize::from(trace.is_cut());
            // Cut between two calls; or changes have undone each other.
            let is_same = whole.starts_with(&bytes[..kept]);
            prop_assert_eq!(trace.replay().difference.is_none(), is_same);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        codes in proptest::collection::vec((1u8..40, any::<[u8; 12]>()), 0..20),
    ) {
        let _ = Trace::parse(&bytes);
        let recorder = Recorder::new(configs()[0].clone(), [1; 32], Instant::ZERO, DEFAULT_LIMIT);
        let mut calls = recorder.trace().to_vec();
        for (code, arguments) in codes {
            calls.push(code);
            calls.extend(arguments.map(|byte| byte & 0x7F));
        }
        if let Ok(trace) = Trace::parse(&calls) {
            let _ = trace.replay();
        }
        let _ = Trace::parse(&[recorder.trace(), &bytes].concat());
    }
}

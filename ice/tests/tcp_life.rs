//! Connections with the peer after completion: kept, closed, lost, opened again, handed over a restart
//! (RFC 6544 §8 to §11).

mod wires;

use core::time::Duration;

use floe_ice::{CandidateKind, Config, Event, FailureCause, Role, State, TcpType};
use floe_sansio::FiveTuple;
use wires::{LISTENER, Wires, addr, connected, is_completed, millis, with};

fn is(strict: bool) -> impl Fn(&mut Config) {
    move |config| {
        if strict {
            *config = config.clone().strict();
        }
    }
}

/// Which side controls: the one that opens (`true`), or the one that listens.
fn controls(opener: bool) -> impl Fn(&mut Config) {
    move |config| {
        config.role = if config.tcp_addresses.is_empty() == opener {
            Role::Controlling
        } else {
            Role::Controlled
        };
    }
}

fn wanted(wires: &Wires) -> usize {
    wires.count(0, |event| matches!(event, Event::StreamWanted { .. }))
}

/// req: ICETCP-8-1, ICETCP-8-2
#[test]
fn on_completion_all_connections_but_the_selected_one_are_closed() {
    let mut wires = with(|config| {
        if config.role == Role::Controlling {
            config.addresses.push(addr("192.0.2.77:1000"));
        } else {
            config.tcp_addresses.push(addr("198.51.100.2:2002"));
        }
    });
    wires.meet();
    wires.run(millis(10_000));
    assert!(is_completed(&wires));
    assert!(wanted(&wires) > 1);
    assert_eq!(wires.open(), [wires.path(0).unwrap()]);
    assert_eq!(wires.opening[0].len(), 0);
    // One pair, nominated once it had been checked.
    assert_eq!(wires.nominations(0), 1);
    assert!(wires.talk());
}

/// req: ICETCP-11.1-1, ICETCP-11.1-5, CONSENT-5.1-12
#[test]
fn the_selected_connection_is_kept_and_consent_with_it_until_the_end() {
    for end in ["close", "remove", "failure"] {
        let mut wires = connected(|_| {});
        let before = wires.open();
        let asked = [0, 1].map(|side| wires.requests(side).len());
        wires.run(Duration::from_secs(3600));
        assert_eq!(wires.open(), before);
        for side in [0, 1] {
            let more = wires.requests(side).len() - asked[side];
            assert!((600..900).contains(&more), "{more} requests for consent");
        }
        assert!(wires.talk());
        let now = wires.now;
        match end {
            "close" => wires.agents[0].close(now),
            "remove" => wires.agents[0].remove_stream(now, 0).unwrap(),
            _ => wires.agents[0]
                .revoke_consent(now, floe_ice::ComponentId::default())
                .unwrap(),
        }
        wires.drain(0);
        assert_eq!(wires.open(), [], "{end}");
    }
}

/// req: CONSENT-5.1-12
#[test]
fn who_gets_no_answer_on_an_open_connection_loses_consent_after_thirty_seconds() {
    let mut wires = connected(is(true));
    // Its requests are lost, and so are its answers.
    wires.mute[1] = true;
    wires.run(millis(24_000));
    assert_eq!(wires.agents[1].state(), State::Completed);
    wires.run(millis(7_000));
    let failed = Event::Failed(FailureCause::ConsentExpired);
    assert_eq!(wires.count(1, |event| *event == failed), 1);
    assert_eq!(wires.open(), []);
}

/// req: ICETCP-11.1-2, ICETCP-11.1-3, CONSENT-5.2-2
#[test]
fn a_selected_connection_that_is_lost_is_opened_again_checked_from_both_sides_and_goes_on() {
    for strict in [false, true] {
        for opener in [true, false] {
            let mut wires = connected(|config| {
                controls(opener)(config);
                is(strict)(config);
            });
            let before = wires.path(0);
            let nominations = [0, 1].map(|side| wires.nominations(side));
            for _ in 0..3 {
                wires.run(millis(10_000));
                wires.messages = [vec![], vec![]];
                let lost = wires.now;
                wires.reset([true, true]);
                assert!(!wires.send(0, b"\x80lost") && !wires.send(1, b"\x80lost"));
                wires.run(millis(200));
                assert_eq!(wires.open(), [wires.path(0).unwrap()], "strict: {strict}");
                assert_eq!(wires.path(0), wires.path(1).map(FiveTuple::mirrored));
                assert_ne!(wires.path(0), before);
                assert!(is_completed(&wires) && wires.talk());
                for side in [0, 1] {
                    let checked = wires.requests(side)[0].0;
                    assert!(checked - lost < millis(150), "a check from either side");
                }
            }
            assert_eq!(nominations, [usize::from(opener), usize::from(!opener)]);
            let disconnected = |event: &Event| matches!(event, Event::Disconnected(_));
            assert_eq!(wires.count(0, disconnected), 0, "it was too short for that");
        }
    }
}

#[test]
fn a_connection_that_is_lost_right_after_it_was_selected_is_opened_again_too() {
    for strict in [false, true] {
        for opener in [true, false] {
            let mut wires = with(|config| {
                controls(opener)(config);
                is(strict)(config);
            });
            wires.meet();
            while !is_completed(&wires) {
                wires.run(millis(5));
            }
            wires.reset([true, true]);
            wires.run(millis(500));
            assert!(is_completed(&wires) && wires.talk());
        }
    }
}

/// req: ICETCP-11.1-2
#[test]
fn who_listens_waits_for_the_connection_as_long_as_consent_lasts() {
    let mut wires = connected(is(true));
    wires.dead.insert(addr(LISTENER).ip());
    wires.reset([true, true]);
    wires.run(millis(2000));
    let disconnected = |event: &Event| matches!(event, Event::Disconnected(_));
    assert_eq!(wires.count(1, disconnected), 1);
    assert_eq!(wires.agents[1].state(), State::Completed);
    assert_eq!(
        wires.count(1, |event| matches!(event, Event::StreamWanted { .. })),
        0
    );
    wires.run(millis(22_000));
    assert_eq!(wires.agents[1].state(), State::Completed);
    wires.run(millis(10_000));
    let failed = Event::Failed(FailureCause::ConsentExpired);
    assert_eq!(wires.count(1, |event| *event == failed), 1);
}

/// The listening side is not told that the old connection has gone.
#[test]
fn a_loss_that_only_the_opener_has_seen_is_mended_as_well() {
    let mut wires = connected(|_| {});
    wires.run(millis(10_000));
    wires.reset([true, false]);
    wires.run(millis(500));
    assert_eq!(wires.path(0), wires.path(1).map(FiveTuple::mirrored));
    assert!(wires.talk());
    assert_eq!(wires.open().len(), 1);
}

/// req: ICETCP-11.1-4
#[test]
fn a_connection_that_cannot_be_opened_again_ends_the_session_so_that_ice_is_restarted() {
    let mut wires = connected(is(true));
    wires
        .nats
        .insert(addr(LISTENER).ip(), addr("203.0.113.7:0").ip());
    wires.reset([true, true]);
    wires.run(millis(200));
    assert_eq!(wanted(&wires), 2);
    let failed = Event::Failed(FailureCause::PathLost);
    assert_eq!(wires.count(0, |event| *event == failed), 1);
    // And it can be.
    wires.nats.clear();
    restart(&mut wires, true);
    wires.run(millis(1000));
    assert!(is_completed(&wires) && wires.talk());
}

// ---- restart ---------------------------------------------------------------------------------

/// Both sides restart; whether they tell each other of the connection that there is.
fn restart(wires: &mut Wires, offered: bool) {
    for side in [0, 1] {
        let now = wires.now;
        wires.agents[side].restart(now).unwrap();
        wires.agents[side].gather(now);
        wires.drain(side);
    }
    for side in [0, 1] {
        wires.introduce(side);
    }
    if !offered {
        let so = Some(TcpType::SimultaneousOpen);
        for events in &mut wires.events {
            events.retain(|(_, event)| match event {
                Event::LocalCandidate(candidate) => candidate.tcp_type != so,
                _ => true,
            });
        }
    }
    wires.trickle();
}

/// req: ICETCP-9.2-1, ICETCP-9.2-2, ICETCP-9.2-3
#[test]
fn a_restart_goes_on_over_the_same_connection_if_both_sides_offer_it() {
    for opener in [true, false] {
        for behind_nat in [false, true] {
            let mut wires = with(controls(opener));
            if behind_nat {
                wires
                    .nats
                    .insert(addr("192.0.2.1:0").ip(), addr("203.0.113.7:0").ip());
            }
            wires.meet();
            wires.run(millis(2000));
            let before = (wires.open(), wires.path(0), wires.agents[0].selected());
            restart(&mut wires, true);
            let so = |side: usize| {
                let found = wires.candidates(side).into_iter();
                let mut found = found.filter(|it| it.tcp_type == Some(TcpType::SimultaneousOpen));
                found.next().map(|it| it.address)
            };
            let selected = before.2.unwrap();
            assert_eq!(so(0), Some(selected.local.address));
            assert_eq!(so(1), Some(selected.remote.address));
            assert!(wires.talk(), "data goes on meanwhile");
            wires.run(millis(2000));
            assert!(is_completed(&wires));
            assert_eq!((wires.open(), wires.path(0)), (before.0, before.1));
            let kind = wires.agents[0].selected().unwrap().local.kind;
            assert_eq!(kind, CandidateKind::Host);
            assert!(wires.talk());
            // And once more.
            restart(&mut wires, true);
            wires.run(millis(2000));
            assert!(is_completed(&wires) && wires.talk());
            assert_eq!(wires.path(0), before.1);
        }
    }
}

/// req: ICETCP-9.2-1, ICETCP-9.2-4
#[test]
fn where_a_restart_selects_another_connection_the_old_one_is_closed_then_and_not_before() {
    let mut wires = connected(|_| {});
    let before = wires.open();
    restart(&mut wires, false);
    assert_eq!(wires.open(), before);
    assert!(wires.talk());
    wires.run(millis(3000));
    assert!(is_completed(&wires) && wires.talk());
    let after = wires.open();
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
}

/// A connection that a restart has handed over is opened again by the side that did so before.
#[test]
fn a_reused_connection_that_is_lost_is_opened_again() {
    let mut wires = connected(|_| {});
    restart(&mut wires, true);
    wires.run(millis(10_000));
    let before = wires.path(0);
    wires.reset([true, true]);
    wires.run(millis(500));
    assert_ne!(wires.path(0), before);
    assert!(is_completed(&wires) && wires.talk());
    assert_eq!(
        wires.count(1, |event| matches!(event, Event::StreamWanted { .. })),
        0
    );
}

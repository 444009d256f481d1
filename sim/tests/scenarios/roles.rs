//! Rows 1 to 4: role conflicts, and those who would like to make one.

use core::cell::Cell;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use floe_ice::{Event, Role};
use floe_sansio::{FiveTuple, Input, Instant};
use floe_sim::Fate;
use floe_stun::{StatusCode, TransactionId};

use crate::common::forgery::{self, Check};
use crate::common::{
    AgentHost, Packet, Plan, Stun, Variation, World, for_each_variation, millis, secs,
};

/// When both sides were connected, and when both had selected a pair.
fn times(world: &World) -> [Instant; 2] {
    [world.connected_at(), world.selected_at()]
}

fn switches(world: &World) -> usize {
    world
        .sides()
        .into_iter()
        .map(AgentHost::role_switches)
        .sum()
}

/// σ: with the shorter the first checks cross, with the longer those of the side that answers are there
/// before the other one checks.
const SIGNAL_DELAYS: [Duration; 2] = [millis(5), millis(30)];

/// Two agents with nothing in between, and this σ.
fn plan(variation: Variation, signal_delay: Duration) -> Plan {
    let mut plan = variation.open();
    plan.signal_delay = signal_delay;
    plan
}

/// Both begin with the same role; returns the side that kept it.
fn conflict(variation: Variation, signal_delay: Duration, role: Role) -> usize {
    let plan = || plan(variation, signal_delay);
    let mut world = plan().with_roles([role; 2]).settled();
    world.assert_connected();
    world.assert_one_controls();
    assert!(switches(&world) <= 1, "{} switches", switches(&world));
    let firsts = world.sides().map(|side| side.checks().next().unwrap());
    let [zero, one] = firsts.map(|check| check.stun.unwrap().tie_breaker);
    assert_eq!(
        world.controlling(),
        usize::from(one > zero),
        "the larger one"
    );
    if variation.is_calm() {
        let crossed = firsts[0].at.max(firsts[1].at);
        let switched = |event: &Event| matches!(event, Event::RoleChanged(_));
        let switched = world.sides().into_iter().find_map(|it| it.when(switched));
        assert!(switched.unwrap() <= crossed + world.round_trip * 3 / 2);

        let usual = times(&plan().settled());
        let now = times(&world);
        for (now, usual) in now.into_iter().zip(usual) {
            assert!(now <= usual + world.round_trip, "{now:?}, usual: {usual:?}");
        }
    }
    usize::from(world.side(1).role() == role)
}

/// RFC 8445 §7.3.1.1, §7.2.5.1: the smaller tie-breaker gives up control.
///
/// req: ICE-7.3.1.1-2, ICE-7.2.5.1-1
#[test]
fn scenario_01_both_controlling() {
    for signal_delay in SIGNAL_DELAYS {
        for_each_variation(|variation| {
            conflict(variation, signal_delay, Role::Controlling);
        });
    }
}

/// RFC 8445 §7.3.1.1: the larger tie-breaker takes control. Both orders of the tie-breakers occur.
#[test]
fn scenario_02_both_controlled() {
    let kept = [Cell::new(0), Cell::new(0)];
    for signal_delay in SIGNAL_DELAYS {
        for_each_variation(|variation| {
            let side = conflict(variation, signal_delay, Role::Controlled);
            kept[side].set(kept[side].get() + 1);
        });
    }
    assert!(Variation::is_alone() || kept.iter().all(|times| times.get() > 0));
}

/// Makes the tie-breakers with which the two sides begin look equal to both of them, in whatever order
/// they really are: side 1 shows that of side 0, and sees each value as far from its own as it is from
/// that of side 0.
fn make_equal(world: &mut World) {
    let passwords = [0, 1].map(|side| world.password(side));
    let hosts = world.hosts;
    // What the two have begun with, and what side 1 has now; 0 is not known yet.
    let firsts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let learn = |side: usize, value: u64| {
        let first = &firsts[side];
        let _ = first.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed);
    };
    // Known from the beginning: the first check of each is looked at in a world of its own.
    let variation = world.variation;
    let roles = [0, 1].map(|side| world.side(side).role());
    let mut other = plan(variation, world.signal_delay)
        .with_roles(roles)
        .start();
    other.is_safe = false;
    other.tap(|_, _| Fate::Drop);
    other.wait(secs(1));
    for side in [0, 1] {
        let check = other.side(side).checks().next().unwrap();
        learn(side, check.stun.unwrap().tie_breaker);
    }
    let [zero, one] = [0, 1].map(|side| firsts[side].load(Ordering::Relaxed));
    // Side 1 draws another one when it is refused.
    let mut refused = false;
    world.tap(move |_, passing| {
        let Some(mut check) = Check::read(&passing.payload) else {
            let stun = Stun::read(&passing.payload);
            let code = stun.and_then(|stun| stun.code);
            refused |= passing.to == hosts[1] && code == Some(StatusCode::ROLE_CONFLICT);
            return Fate::Pass;
        };
        let shown = check.tie_breaker;
        if passing.from == hosts[1] {
            if shown == one {
                check.tie_breaker = zero;
            }
        } else if !refused {
            check.tie_breaker = match shown.cmp(&zero) {
                core::cmp::Ordering::Less => one - 1,
                core::cmp::Ordering::Equal => one,
                core::cmp::Ordering::Greater => one + 1,
            };
        }
        let to = usize::from(passing.to == hosts[1]);
        passing.payload = check.write(Some(&passwords[to])).into();
        Fate::Pass
    });
}

/// Two tie-breakers that are equal: both switch, or both are refused and switch. With the tie-breakers
/// that they draw then, one more round decides.
#[test]
fn scenario_02_equal_tie_breakers() {
    for signal_delay in SIGNAL_DELAYS {
        for role in [Role::Controlling, Role::Controlled] {
            for_each_variation(|variation| {
                let plan = || plan(variation, signal_delay);
                let mut world = plan().with_roles([role; 2]).build();
                make_equal(&mut world);
                world.offer();
                world.settle();
                world.assert_connected();
                world.assert_one_controls();
                // Of two that are controlled both may take control first.
                let most = if role == Role::Controlling { 3 } else { 5 };
                assert!(switches(&world) <= most, "{} switches", switches(&world));
                if variation.is_calm() {
                    let usual = times(&plan().settled());
                    let now = times(&world);
                    for (now, usual) in now.into_iter().zip(usual) {
                        assert!(now <= usual + 3 * world.round_trip, "{now:?}");
                    }
                }
            });
        }
    }
}

/// Three addresses of the other side, and nothing that it says comes through.
fn with_checks_in_flight(plan: Plan) -> (World, Vec<Packet>) {
    let side = plan.variation.offerer;
    let mut plan = plan;
    plan.further_addresses[1 - side] = 3;
    let mut world = plan.start();
    let hosts = world.hosts;
    world.tap(move |_, passing| {
        if passing.to == hosts[0] || passing.to == hosts[1] {
            Fate::Drop
        } else {
            Fate::Pass
        }
    });
    let enough = move |sides: [&AgentHost; 2]| sides[side].checks().count() >= 8;
    assert!(world.run_until(secs(5), enough));
    let checks = world.side(side).checks().cloned().collect();
    (world, checks)
}

/// RFC 8445 §7.2.5.1: a 487 is about the role that the refused check claimed.
///
/// req: ICE-7.2.5.1-4
#[test]
fn scenario_03_burst_of_stale_487s() {
    for_each_variation(|variation| {
        let side = variation.offerer;
        let (mut world, checks) = with_checks_in_flight(variation.open());
        assert_eq!(world.side(side).role(), Role::Controlling);
        let password = world.password(1 - side);
        world.simulation.remove_taps();
        for check in &checks {
            let id = check.stun.unwrap().id;
            let bytes = forgery::error(id, StatusCode::ROLE_CONFLICT, Some(&password));
            world.forge(check.remote, check.local, &bytes);
        }
        // They take half a round trip; the next check of the other side comes later.
        world.wait(world.round_trip / 2);
        let switched = world.side(side).role_switches();
        if variation.is_calm() {
            assert_eq!(switched, 1);
            assert_eq!(world.side(side).role(), Role::Controlled);
        }
        assert!(switched <= 1, "{switched} switches");
        world.settle();
        world.assert_connected();
        world.assert_one_controls();
        // Now both are controlled, and one of them takes control.
        assert!(switches(&world) <= 2, "{} switches", switches(&world));
    });
}

/// What an attacker without the passwords may send to `side`, in answer to this check or of itself.
fn forgeries(world: &World, side: usize, answer_to: &Packet) -> Vec<Vec<u8>> {
    let id = answer_to.stun.unwrap().id;
    let role = world.side(side).role();
    let mut check = Check {
        id: TransactionId([7; 12]),
        username: format!("{}:{}", world.ufrag(side), world.ufrag(1 - side)),
        priority: 0x6E00_01FF,
        // The role that makes a conflict, with a tie-breaker that wins it.
        role,
        tie_breaker: if role == Role::Controlling {
            u64::MAX
        } else {
            0
        },
        nominates: true,
    };
    let code = StatusCode::ROLE_CONFLICT;
    // The passwords are mixed up: answers are signed with that of who answers, checks with that of who
    // is checked.
    let [own, other] = [side, 1 - side].map(|side| world.password(side));
    let mut all = vec![
        forgery::error(id, code, None),
        forgery::error(id, code, Some("not the password of anybody")),
        forgery::error(id, code, Some(&own)),
        forgery::success(id, world.stranger_address, None),
        forgery::success(id, world.stranger_address, Some(&own)),
        check.write(None),
        check.write(Some("not the password of anybody")),
        check.write(Some(&other)),
    ];
    check.username = "somebody:else".into();
    all.push(check.write(Some(&own)));
    all
}

/// RFC 8445 §7.3: authentication comes first. Whatever the attacker says, the agent is as it was, and
/// says at most 400 or 401.
///
/// req: ICE-7.3-2
#[test]
fn scenario_04_forgery_leaves_no_trace() {
    for_each_variation(|variation| {
        for side in [0, 1] {
            let (mut world, checks) = {
                let mut plan = variation.open();
                plan.further_addresses = [1; 2];
                let mut world = plan.start();
                world.tap(|_, _| Fate::Drop);
                let enough = move |sides: [&AgentHost; 2]| sides[side].checks().count() >= 2;
                assert!(world.run_until(secs(5), enough));
                let checks: Vec<_> = world.side(side).checks().cloned().collect();
                (world, checks)
            };
            world.wait(millis(1));
            for (number, bytes) in forgeries(&world, side, &checks[0]).iter().enumerate() {
                for source in [checks[0].remote, world.stranger_address] {
                    let path = FiveTuple::udp(checks[0].local, source);
                    let (before, after, answers) = world.act(side, |host, now| {
                        host.command(now, |agent| agent.handle_timeout(now));
                        let before = format!("{:?}", host.agent);
                        let known = host.packets.len();
                        let input = host.hand(now, path, bytes);
                        assert!(!matches!(input, Input::Data(_) | Input::Forward(_)));
                        let after = format!("{:?}", host.agent);
                        (before, after, host.packets[known..].to_vec())
                    });
                    assert_eq!(before, after, "forgery {number} left a trace");
                    for answer in answers {
                        let code = answer.stun.and_then(|stun| stun.code);
                        let allowed = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHENTICATED];
                        assert!(
                            code.is_some_and(|code| allowed.contains(&code)),
                            "{answer:?}"
                        );
                    }
                }
            }
            world.simulation.remove_taps();
            world.settle();
            world.assert_connected();
            assert_eq!(switches(&world), 0);
        }
    });
}

/// The same over the network, all the time that the two connect: they take no longer than without.
#[test]
fn scenario_04_forgery_delays_nothing() {
    for_each_variation(|variation| {
        let usual = variation
            .is_calm()
            .then(|| times(&variation.open().settled()));
        let mut world = variation.open().start();
        for _ in 0..40 {
            world.wait(millis(5));
            for side in [0, 1] {
                let Some(check) = world.side(side).checks().last().cloned() else {
                    continue;
                };
                for bytes in forgeries(&world, side, &check) {
                    world.forge(check.remote, check.local, &bytes);
                }
            }
        }
        world.settle();
        world.assert_connected();
        assert_eq!(switches(&world), 0);
        if let Some(usual) = usual {
            assert_eq!(times(&world), usual);
        }
    });
}

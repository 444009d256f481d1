//! Rows 21 to 23: restarts, by one side and by both at the same time, and what is late or early for them.

use floe_ice::{Event, State};
use floe_sansio::{FiveTuple, Instant};
use floe_sim::{Fate, Preset};

use crate::common::forgery::Check;
use crate::common::{AgentHost, Packet, Variation, World, for_each_variation, millis, secs};

/// A call with media every 20 ms that has been going on for some seconds.
fn call(variation: Variation, sides: [Preset; 2]) -> World {
    let plan = variation.plan(sides).with_turn().with_media(millis(20));
    let mut world = plan.settled();
    world.assert_connected();
    world.wait(secs(5));
    world
}

/// Both sides have selected a pair since then.
fn selected_since(since: Instant) -> impl Fn([&AgentHost; 2]) -> bool {
    move |sides| {
        sides.iter().all(|side| {
            let selected =
                |(at, event): &(Instant, Event)| *at > since && matches!(event, Event::Selected(_));
            side.events.iter().any(selected) && side.selected().is_some()
        })
    }
}

/// After the restart both sides have agreed on a pair again, and no datagram of media was lost by it.
fn assert_restarted(world: &mut World, since: Instant) {
    let done = world.run_until(secs(30), selected_since(since));
    let states = world.sides().map(AgentHost::state);
    assert!(done, "the restart has come to nothing: {states:?}");
    world.wait(secs(5));
    world.assert_connected();
    world.assert_one_controls();
    for side in world.sides() {
        assert_eq!(
            side.count(|event| matches!(event, Event::Disconnected(_))),
            0
        );
        if world.variation.is_calm() {
            let numbers: Vec<_> = side.heard.iter().map(|&(_, number)| number).collect();
            let first = numbers[0];
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            assert!(
                sorted
                    .iter()
                    .copied()
                    .eq(first..first + numbers.len() as u32),
                "media was lost"
            );
        }
    }
}

/// A direct path at once, one through two NATs, a relayed one.
const SIDES: [[Preset; 2]; 3] = [
    [Preset::Open, Preset::Open],
    [Preset::FullCone, Preset::PortRestricted],
    [Preset::Symmetric, Preset::Symmetric],
];

/// RFC 8445 §9: data goes on over the old pair until the new one is selected.
///
/// req: ICE-9-5
#[test]
fn scenario_21_restart_by_one_side() {
    for sides in SIDES {
        for_each_variation(|variation| {
            let mut world = call(variation, sides);
            let since = world.now();
            let before = [0, 1].map(|side| world.ufrag(side));
            world.act(0, AgentHost::restart);
            assert_restarted(&mut world, since);
            let after = [0, 1].map(|side| world.ufrag(side));
            assert!(before[0] != after[0] && before[1] != after[1]);
        });
    }
}

/// RFC 8839 §4.4.3: both restart, and their offers cross. The generations are told apart by their user
/// name fragments.
#[test]
fn scenario_21_simultaneous_restart() {
    for sides in SIDES {
        for_each_variation(|variation| {
            let mut world = call(variation, sides);
            let since = world.now();
            world.act(0, AgentHost::restart);
            // At the same time, or while the offer of the other one is under way.
            if variation.seed % 2 == 0 {
                world.wait(world.signal_delay / 2);
            }
            world.act(1, AgentHost::restart);
            assert_restarted(&mut world, since);
        });
    }
}

/// RFC 8445 §9, §7.3: a check for the generation before is answered while that one carries data, and does
/// nothing else.
#[test]
fn scenario_22_check_of_the_old_generation() {
    for_each_variation(|variation| {
        let mut world = call(variation, [Preset::Open, Preset::Open]);
        // The offer takes long: the other side goes on as before.
        world.tap_messages(|_, _, _| Fate::Hold(secs(20)));
        let since = world.now();
        world.act(0, AgentHost::restart);
        let old = |packet: &&Packet| packet.is_check() && packet.at > since;
        world.run_until(secs(15), |sides| {
            sides[0].received().filter(old).count() >= 2
        });
        let side = world.side(0);
        for check in side.received().filter(old) {
            let id = check.stun.unwrap().id;
            let is_answer = |it: &&Packet| it.is_success() && it.stun.unwrap().id == id;
            assert_eq!(side.sent().find(is_answer).map(|it| it.at), Some(check.at));
        }
        assert_eq!(side.state(), State::New);
        // Only consent is asked for over the old pair.
        let asked = side.checks().filter(|it| it.at > since && !it.nominates());
        assert!(asked.count() <= 4);
        world.tap_messages(|_, _, _| Fate::Pass);
        assert!(world.run_until(secs(60), selected_since(since)));
        world.assert_connected();
    });
}

/// Once the new generation has its pair, the old one is forgotten: its checks are refused, and leave no
/// trace.
#[test]
fn scenario_22_check_of_a_generation_that_is_over() {
    for_each_variation(|variation| {
        let mut world = call(variation, [Preset::Open, Preset::Open]);
        let since = world.now();
        let password = world.password(0);
        let old = world.side(0).received().filter(|it| it.is_check());
        let mut old = Check::read(&old.last().unwrap().payload).unwrap();
        world.act(0, AgentHost::restart);
        assert_restarted(&mut world, since);
        old.id = floe_stun::TransactionId([9; 12]);
        old.nominates = true;
        let bytes = old.write(Some(&password));
        let path = FiveTuple::udp(world.addresses[0], world.addresses[1]);
        let code = world.act(0, |host, now| {
            host.command(now, |agent| agent.handle_timeout(now));
            let before = format!("{:?}", host.agent);
            let known = host.packets.len();
            let _ = host.hand(now, path, &bytes);
            assert_eq!(before, format!("{:?}", host.agent));
            host.packets[known..].iter().find_map(|it| it.stun?.code)
        });
        assert_eq!(code, Some(floe_stun::StatusCode::UNAUTHENTICATED));
    });
}

//! Rows 10 to 13: the loss of one message, or of all of one kind.

use core::time::Duration;

use floe_ice::Config;
use floe_sim::Fate;

use crate::common::{AgentHost, Plan, Stun, Variation, World, for_each_variation, millis, secs};

/// From a check to its first repetition: of the default, and of RFC 8445 to the letter.
const PROFILES: [(Duration, Profile); 2] = [
    (millis(100), |_| {}),
    (millis(500), |config| *config = config.clone().strict()),
];

type Profile = fn(&mut Config);

fn plan(variation: Variation, profile: Profile) -> Plan {
    variation
        .open()
        .configured(move |_, config| profile(config))
}

/// When each side was connected, and had selected.
fn times(world: &World) -> [floe_sansio::Instant; 4] {
    let [zero, one] = world.sides();
    [
        zero.connected_at().unwrap(),
        one.connected_at().unwrap(),
        zero.selected_at().unwrap(),
        one.selected_at().unwrap(),
    ]
}

/// The first message of this kind to `side` is lost: it costs the time until a check is repeated, and
/// never more than 500 ms.
fn scenario(which: fn(&Stun) -> bool) {
    for (interval, profile) in PROFILES {
        for_each_variation(|variation| {
            for side in [0, 1] {
                let mut world = plan(variation, profile).build();
                let host = world.hosts[side];
                world.lose(1, move |passing, stun| passing.to == host && which(stun));
                world.offer();
                world.settle();
                world.assert_connected();
                if variation.is_calm() {
                    let usual = times(&plan(variation, profile).settled());
                    for (now, usual) in times(&world).into_iter().zip(usual) {
                        let late = now.since(usual);
                        assert!(late <= interval && late <= millis(500), "{late:?} late");
                    }
                }
            }
        });
    }
}

/// Message 1 of a check.
#[test]
fn scenario_10_loss_of_a_check() {
    scenario(Stun::is_request);
}

/// Message 2 of a check: who sent it already knows the way, and will be checked.
#[test]
fn scenario_11_loss_of_an_answer() {
    scenario(Stun::is_success);
}

/// The controlled side has selected at the latest with the first repetition, and media flows all the
/// time.
#[test]
fn scenario_12_loss_of_a_nomination() {
    for (interval, profile) in PROFILES {
        for_each_variation(|variation| {
            let plan = || plan(variation, profile).with_media(millis(20));
            let mut world = plan().build();
            world.lose(1, |_, stun| stun.nominates);
            world.offer();
            world.settle();
            world.assert_connected();
            world.wait(secs(2));
            if variation.is_calm() {
                let usual = plan().settled().answerer().selected_at().unwrap();
                let now = world.answerer().selected_at().unwrap();
                assert!(now.since(usual) <= interval, "{now:?}, usual: {usual:?}");
                for side in world.sides() {
                    assert!(side.longest_silence(world.now()) <= millis(25));
                    let numbers = side.heard.iter().map(|&(_, number)| number);
                    assert!(numbers.eq(0..side.heard.len() as u32), "media was lost");
                }
            }
        });
    }
}

/// No answer to a nomination of this pair comes through: the controlled side has selected, the
/// controlling one has not. Media goes on both ways, over what is valid or selected at the other end.
fn without_answers_to_nominations(
    variation: Variation,
    addresses: usize,
    how_many: usize,
) -> World {
    let mut plan = variation.open().with_media(millis(50));
    let controlling = variation.offerer;
    plan.further_addresses[1 - controlling] = addresses - 1;
    let mut world = plan.build();
    let (first, host) = (world.addresses[1 - controlling], world.hosts[controlling]);
    // Which transactions nominate is known from the checks that arrive.
    let mut nominations = Vec::new();
    let mut lost = 0;
    world.tap(move |_, passing| {
        let Some(stun) = Stun::read(&passing.payload) else {
            return Fate::Pass;
        };
        if stun.nominates && passing.destination == first {
            nominations.push(stun.id);
        }
        let is_answer = passing.to == host && nominations.contains(&stun.id);
        if is_answer && lost < how_many {
            lost += 1;
            return Fate::Drop;
        }
        Fate::Pass
    });
    world.offer();
    world
}

/// Media flows both ways without a break of more than this, from `since` on.
fn assert_media(world: &World, longest: Duration) {
    for side in world.sides() {
        let silence = side.longest_silence(world.now());
        assert!(silence <= longest, "{silence:?} of silence");
    }
}

#[test]
fn scenario_13_loss_of_all_answers_to_a_nomination() {
    for_each_variation(|variation| {
        // On the only pair: all copies of the first attempt.
        let mut world = without_answers_to_nominations(variation, 1, 7);
        let both = |sides: [&AgentHost; 2]| sides.iter().all(|it| it.selected().is_some());
        assert!(world.run_until(secs(40), both), "no second attempt");
        world.assert_connected();
        world.wait(secs(5));
        assert_media(&world, world_silence(variation));

        // On the better of two: for ever.
        let mut world = without_answers_to_nominations(variation, 2, usize::MAX);
        assert!(
            world.run_until(secs(50), both),
            "the other pair was not nominated"
        );
        world.wait(secs(40));
        assert_media(&world, world_silence(variation));
        for side in world.sides() {
            assert_eq!(side.failed(), None);
        }
    });
}

/// How long nothing may be heard where a datagram is sent every 50 ms.
fn world_silence(variation: Variation) -> Duration {
    match variation.loss {
        0 => millis(51),
        1 => millis(250),
        _ => millis(500),
    }
}

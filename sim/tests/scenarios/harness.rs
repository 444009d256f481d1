//! The harness itself: it connects what can be connected, and notices what it should.

use floe_sim::{Fate, Preset};

use crate::common::{for_each_variation, millis, secs};

#[test]
fn agents_connect_in_every_variation() {
    for_each_variation(|variation| {
        let mut world = variation.open().settled();
        world.assert_connected();
        world.assert_one_controls();
    });
}

#[test]
fn agents_connect_through_nats_and_through_a_relay() {
    for (sides, relayed) in [
        ([Preset::FullCone, Preset::PortRestricted], false),
        ([Preset::Symmetric, Preset::Symmetric], true),
    ] {
        crate::common::for_variations(&[0], 5, |variation| {
            let plan = variation.plan(sides).with_turn().with_media(millis(20));
            let mut world = plan.settled();
            world.assert_connected();
            assert_eq!(world.is_relayed(), relayed);
            world.wait(secs(2));
            for side in [0, 1] {
                let said = world.side(1 - side).said();
                assert!(world.side(side).heard.len() as u32 + 5 > said && said > 90);
            }
        });
    }
}

#[test]
#[should_panic(expected = "stuck after a minute")]
fn a_world_that_does_not_settle_is_noticed() {
    crate::common::for_variations(&[0], 1, |variation| {
        let mut world = variation.open().build();
        world.tap_messages(|_, _, _| Fate::Drop);
        world.offer();
        world.settle();
    });
}

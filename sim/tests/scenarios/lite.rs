//! Row 38: a peer that checks nothing.

use std::collections::BTreeSet;

use floe_ice::{Event, Role};

use crate::common::{Packet, Plan, Variation, for_each_variation, millis, secs};

/// Side 1 is lite, and both have two addresses.
fn with_lite(variation: Variation) -> Plan {
    let mut plan = variation.open().with_media(millis(500));
    plan.further_addresses = [1, 1];
    plan.configured(|side, config| config.lite = side == 1)
}

/// The full agent controls, whoever has offered and whatever they began as; it nominates one pair, and
/// is answered for as long as it asks (RFC 8445 §6.1.1, §7.3.2, §8.1.1; RFC 7675 §5.1).
fn check(plan: &Plan) {
    let mut world = plan.settled();
    world.assert_connected();
    world.wait(secs(60));
    world.assert_connected();
    let [full, lite] = world.sides();
    assert_eq!(full.role(), Role::Controlling);
    assert_eq!(lite.role(), Role::Controlled);
    assert_eq!(lite.checks().count(), 0, "a lite agent has checked");
    let nominations = full.checks().filter(|check| check.nominates());
    let nominated: BTreeSet<_> = nominations.map(Packet::pair).collect();
    let pair = full.selected().unwrap();
    assert_eq!(nominated.len(), 1, "{nominated:?}");
    let expected = (pair.local.address, pair.remote.address, false);
    assert!(nominated.contains(&expected), "{nominated:?}");
    for side in world.sides() {
        assert!(side.never_lost_its_pair(), "{:?}", side.states);
        assert_eq!(
            side.count(|event| matches!(event, Event::Selected(_))),
            1,
            "{:?}",
            side.events
        );
    }
    if plan.variation.is_calm() {
        // Nobody had to be told its role.
        let errors = full.received().chain(lite.received());
        let errors = errors.filter(|it| it.stun.is_some_and(|stun| stun.is_error()));
        assert_eq!(errors.count(), 0);
        for (number, side) in world.sides().into_iter().enumerate() {
            assert!(side.heard.len() >= 115, "side {number} hears nothing");
        }
    }
}

#[test]
fn scenario_38_lite_peer() {
    for_each_variation(|variation| check(&with_lite(variation)));
}

#[test]
fn scenario_38_lite_peer_that_wants_to_control() {
    for_each_variation(|variation| {
        for roles in [
            [Role::Controlled, Role::Controlling],
            [Role::Controlling, Role::Controlling],
            [Role::Controlled, Role::Controlled],
        ] {
            check(&with_lite(variation).with_roles(roles));
        }
    });
}

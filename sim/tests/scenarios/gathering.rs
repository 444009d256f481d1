//! Candidates and the servers that are asked for them.

use floe_ice::{Event, GatheringError};
use floe_sim::Preset;

use crate::common::{for_each_variation, millis, secs};

/// Row 30, RFC 8445 §5.1.1.2: a server that nobody hears of holds up no check, and not the end of gathering
/// for longer than its limit.
#[test]
fn scenario_30_silent_servers() {
    for_each_variation(|variation| {
        let plan = variation.plan([Preset::Open; 2]).with_turn();
        let mut world = plan.build();
        world.stop_server();
        let start = world.now();
        world.offer();
        world.settle();
        world.assert_connected();
        assert!(!world.is_relayed());
        for side in world.sides() {
            let gathered = side.when(|event| *event == Event::GatheringComplete);
            let limit = start + secs(5) + 2 * world.signal_delay;
            // Trickled, it ends with the selection.
            let ended = gathered.expect("gathering never ended");
            assert!(ended <= limit + secs(5), "{ended:?}");
            if !variation.trickle {
                let late = |event: &Event| {
                    let is_late = |cause| cause == GatheringError::TooLate;
                    matches!(event, Event::GatheringFailed { cause, .. } if is_late(*cause))
                };
                assert_eq!(side.count(late), 2, "STUN and TURN");
            }
        }
        if variation.is_calm() && variation.trickle {
            // The host candidates are known at once: the offer, the answer, a round trip of checks.
            let floor = 2 * world.signal_delay + world.round_trip;
            let connected = world.connected_at() - start;
            assert!(connected <= floor + millis(20), "{connected:?}");
        }
    });
}

//! Rows 17 to 20: candidates that come late, or never.

use core::time::Duration;

use floe_ice::{Event, FailureCause, State};
use floe_sansio::Instant;
use floe_sim::{Fate, Preset};

use crate::common::{AgentHost, Packet, Variation, World, for_each_variation, millis, secs};

/// The least time before a list can fail (RFC 8863 §4).
const PAC: Duration = millis(39_500);
/// How long after its last check a pair fails.
const PATIENCE: Duration = secs(8);

/// Side 0 has one address that works and two from which nothing comes; the one that works is not
/// signalled, and nothing comes from there before it is.
fn with_a_late_candidate(variation: Variation, late: Duration) -> (World, Instant) {
    let mut plan = variation.open();
    plan.dead_addresses = [2, 0];
    let mut world = plan.build();
    let address = world.addresses[0];
    let text = address.ip().to_string();
    let withheld = world.withhold(0, move |line| line.contains(&text));
    world.tap(move |_, passing| {
        if passing.source == address {
            Fate::Drop
        } else {
            Fate::Pass
        }
    });
    world.offer();
    world.wait(late);
    world.simulation.remove_taps();
    world.deliver(&withheld);
    let now = world.now();
    (world, now)
}

/// RFC 8838 §10 to §12: a candidate that comes while pairs are checked is checked in its turn, which is
/// at once where nothing better waits.
#[test]
fn scenario_17_late_candidate_while_checking() {
    for_each_variation(|variation| {
        for late in [millis(150), millis(1000), secs(5)] {
            let (mut world, signalled) = with_a_late_candidate(variation, late);
            world.settle();
            world.assert_connected();
            let address = world.addresses[0];
            let mut checks = world.side(1).checks();
            let first = checks.find(|it| it.remote == address).unwrap().at;
            let pacing = world.side(1).agent.pacing();
            if variation.is_calm() {
                assert!(
                    first <= signalled + 2 * pacing,
                    "{first:?} after {signalled:?}"
                );
            }
        }
    });
}

/// The pair of the side that has a candidate more, which is signalled after a pair was selected.
fn with_a_candidate_after_selection(variation: Variation, is_strict: bool) -> World {
    let mut plan = variation.open().configured(move |_, config| {
        if is_strict {
            *config = config.clone().strict();
        }
    });
    plan.further_addresses = [1, 0];
    let mut world = plan.build();
    let [first, second] = [world.addresses[0], world.second_address(0)];
    // The better one comes late.
    let text = first.ip().to_string();
    let withheld = world.withhold(0, move |line| line.contains(&text));
    world.tap(move |_, passing| {
        let late = [passing.source, passing.destination].contains(&first);
        if late { Fate::Drop } else { Fate::Pass }
    });
    world.offer();
    world.settle();
    world.assert_connected();
    assert_eq!(world.side(1).selected().unwrap().remote.address, second);
    world.simulation.remove_taps();
    world.deliver(&withheld);
    world
}

/// Strictly by RFC 8445 nothing is checked after a pair was selected (§8.1.1); in no profile does the pair
/// change for one of the same kind.
#[test]
fn scenario_18_late_candidate_after_selection() {
    for_each_variation(|variation| {
        for is_strict in [true, false] {
            let mut world = with_a_candidate_after_selection(variation, is_strict);
            let since = world.now();
            let before = world.side(1).selected().unwrap();
            world.wait(secs(20));
            let after = world.side(1).selected().unwrap();
            assert_eq!(after.remote.address, before.remote.address);
            world.assert_connected();
            let late = world.addresses[0];
            let checks = world.side(1).checks();
            let checks = checks.filter(|it| it.at >= since && it.remote == late);
            let checks = checks.count();
            assert!(!is_strict || checks == 0, "{checks} checks");
        }
    });
}

/// RFC 8863 §4: without a single candidate of the peer, and with the word that there are none, the agent
/// waits for checks; one that comes after 20 s is enough.
///
/// req: PAC-4-1
#[test]
fn scenario_19_no_candidates_at_all() {
    for_each_variation(|variation| {
        for sides in [
            [Preset::Open, Preset::Open],
            [Preset::PortRestricted, Preset::Open],
        ] {
            let mut world = variation.plan(sides).with_stun().build();
            // Side 1 learns of no candidate of side 0, ever, and is told that there are no more; side 0
            // learns of side 1 after 20 s.
            let [_, later] = world.withhold_lines(|side, line| side == 1 || line != "end");
            world.offer();
            assert!(world.run_until(secs(20), |sides| sides[1].introduced.is_some()));
            world.wait(secs(20));
            assert_eq!(world.side(1).state(), State::Checking);
            assert_eq!(world.side(1).checks().count(), 0);
            world.deliver(&later);
            world.settle();
            world.assert_connected();
            let introduced = world.side(1).introduced.unwrap();
            let connected = world.side(1).connected_at().unwrap();
            assert!(connected > introduced + secs(20) && connected < introduced + PAC);
        }
    });
}

/// RFC 8838 §8.2, RFC 8863 §4: when no candidates can come any more and everything has failed, the agent
/// fails, once, but not before the peer has had its time, or before the last check has had its own.
///
/// req: PAC-4-4
#[test]
fn scenario_20_everything_failed() {
    for_each_variation(|variation| {
        for is_strict in [false, true] {
            let mut plan = variation.open().configured(move |_, config| {
                if is_strict {
                    *config = config.clone().strict();
                }
            });
            plan.further_addresses = [1; 2];
            let mut world = plan.start();
            world.tap(|_, _| Fate::Drop);
            let both = |sides: [&AgentHost; 2]| sides.iter().all(|it| it.failed().is_some());
            assert!(world.run_until(secs(60), both), "not even after a minute");
            world.wait(secs(60));
            for side in world.sides() {
                let failures = side.count(|event| matches!(event, Event::Failed(_)));
                assert_eq!(failures, 1);
                let (at, cause) = side.failed().unwrap();
                assert_eq!(cause, FailureCause::ChecksFailed);
                let last = side.checks().map(|check: &Packet| check.at).max().unwrap();
                let expected = (side.introduced.unwrap() + PAC).max(last + PATIENCE);
                assert_eq!(at, expected, "{last:?} was the last check");
            }
        }
    });
}

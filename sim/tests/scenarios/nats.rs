//! Rows 35 to 37: what lies between the two, and the path that it leaves.

use floe_ice::CandidateKind;
use floe_sim::{
    Filtering, Hairpin, Mapping, NatConfig, Path, Preset, Probability, SessionConfig, Site,
    Topology,
};

use crate::common::{Variation, for_each_variation, for_variations, millis, secs};

/// One home for both, whose NAT sends nothing back inside.
fn one_home(world: &mut Topology, access: Site) -> [Site; 2] {
    let nat = NatConfig {
        hairpin: Hairpin::Off,
        filtering: Filtering::AddressAndPortDependent,
        ..NatConfig::RFC4787
    };
    [world.nat("home", access, nat); 2]
}

/// Row 35: behind one NAT the host candidates meet. Eight pairs with server-reflexive candidates, of
/// which none can work, are in nobody's way.
#[test]
fn scenario_35_same_nat_without_hairpin() {
    for_each_variation(|variation| {
        let mut plan = variation.open().with_stun();
        plan.place = Some(one_home);
        // Four bases here and two server-reflexive candidates there, and the other way round.
        plan.further_addresses = [3, 1];
        let mut world = plan.build();
        for side in [0, 1] {
            world.act(side, |host, now| {
                host.command(now, |agent| agent.gather(now));
            });
        }
        let gathered = world.run_until(secs(10), |sides| {
            sides.into_iter().all(|side| side.agent.is_gathered())
        });
        assert!(gathered);
        let start = world.now();
        world.offer();
        world.settle();
        world.assert_connected();
        for side in world.sides() {
            let pair = side.selected().unwrap();
            assert_eq!(pair.local.kind, CandidateKind::Host);
            assert_eq!(pair.remote.kind, CandidateKind::Host);
        }
        if variation.is_calm() {
            // R here is that of the home: twice 0.2 ms. A check leaves in the slot after the one that
            // the gathering has used.
            let round_trip = millis(1);
            let limit = 2 * world.signal_delay + round_trip * 3 / 2 + millis(5);
            let connected = world.connected_at() - start;
            assert!(connected <= limit, "{connected:?}");
        }
    });
}

/// What RFC 6888 asks a carrier's NAT for, but for the hairpin.
const CARRIER: NatConfig = NatConfig {
    allocation: floe_sim::Allocation::RANDOM,
    ..NatConfig::RFC4787
};

fn two_homes(world: &mut Topology, access: Site, hairpin: Hairpin, mapping: Mapping) -> [Site; 2] {
    let carrier = NatConfig { hairpin, ..CARRIER };
    let home = NatConfig {
        mapping,
        filtering: Filtering::AddressAndPortDependent,
        ..NatConfig::RFC4787
    };
    let carrier = world.carrier("carrier", access, carrier);
    [
        world.nat("home-0", carrier, home),
        world.nat("home-1", carrier, home),
    ]
}

/// Row 36: two customers of one carrier. Where its NAT hairpins (RFC 6888 REQ-1, RFC 4787 REQ-9) they
/// meet at their server-reflexive addresses, else at a relay; there is no other way, as both have the same
/// private address.
#[test]
fn scenario_36_same_carrier() {
    type Place = fn(&mut Topology, Site) -> [Site; 2];
    let rows: [(Place, bool); 2] = [
        (
            |world, access| {
                two_homes(
                    world,
                    access,
                    Hairpin::External,
                    Mapping::EndpointIndependent,
                )
            },
            false,
        ),
        (
            |world, access| two_homes(world, access, Hairpin::Off, Mapping::EndpointIndependent),
            true,
        ),
    ];
    for (place, is_relayed) in rows {
        for_each_variation(|variation| {
            let mut plan = variation.open().with_turn();
            plan.place = Some(place);
            let mut world = plan.settled();
            world.assert_connected();
            if !variation.is_calm() {
                // Time to find the better class after the first one.
                world.wait(secs(20));
                world.assert_connected();
            }
            assert_eq!(world.is_relayed(), is_relayed);
        });
    }
}

/// One negotiation, the offer made by one of the two.
fn session(variation: Variation, sides: [Preset; 2]) -> SessionConfig {
    let mut config = SessionConfig::new(sides[variation.offerer], sides[variation.answerer()]);
    config.seed = variation.seed;
    config.trickle = variation.trickle;
    config.loss = Probability::percent(variation.loss);
    config.audit = true;
    config
}

/// Row 37: every kind of NAT against every other, also where UDP is blocked: the class of path is the one
/// that theory allows. Where it is direct, a relay is taken only if losses were against it, in one of a
/// hundred runs at most.
///
/// One seed each: `sim/tests/matrix.rs` runs the same cells over several seeds, delays and losses, and
/// `floe bench` over hundreds.
#[test]
fn scenario_37_every_pair_of_nats() {
    let avoidable = core::cell::Cell::new((0, 0));
    for_variations(&[0, 1, 5, 10], 1, |variation| {
        for (number, &zero) in Preset::ALL.iter().enumerate() {
            for &one in &Preset::ALL[number..] {
                let config = session(variation, [zero, one]);
                let (report, _) = config.run().unwrap();
                let cell = format!("{zero} × {one}: {report:?}");
                let possible = report.expectation.path;
                assert!(report.expectation.certain, "{cell}");
                assert_ne!(possible, Path::None, "{cell}");
                assert!(report.is_mirrored(), "{cell}");
                for side in &report.sides {
                    assert!(side.failed.is_none(), "{cell}");
                    assert!(side.violations.is_empty(), "{cell}");
                }
                let (relayed, all) = avoidable.get();
                let is_avoidable = possible == Path::Direct && report.outcome == Path::Relayed;
                if variation.is_calm() || !is_avoidable {
                    assert_eq!(report.outcome, possible, "{cell}");
                }
                avoidable.set((relayed + u32::from(is_avoidable), all + 1));
            }
        }
    });
    let (relayed, all) = avoidable.get();
    assert!(
        relayed * 100 <= all,
        "{relayed} of {all} took a relay for nothing"
    );
}

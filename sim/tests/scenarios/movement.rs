//! Rows 34 and 45: an address of a side changes while the call goes on.

use core::net::SocketAddr;
use core::time::Duration;

use floe_ice::{Candidate, Event, FailureCause, LocalAddress, SelectedPair};
use floe_sansio::Instant;
use floe_sim::{Link, Preset, Probability};

use crate::common::{AgentHost, World, for_each_variation, millis, secs};

/// How often a side sends media here.
const TICK: Duration = millis(200);

/// What the peer of a side was said to be at, from when.
fn selections(side: &AgentHost) -> Vec<(Instant, SelectedPair)> {
    let selections = side.events.iter().filter_map(|(at, event)| match event {
        Event::Selected(pair) => Some((*at, *pair)),
        _ => None,
    });
    selections.collect()
}

/// Row 34: the NAT of side 0 gives it another port. Its next request for consent, 6 s later at most, tells
/// the other side of that; which follows once it has been answered there (RFC 8445 §7.3.1.3, RFC 7675
/// §5.1).
#[test]
fn scenario_34_nat_rebinding() {
    for_each_variation(|variation| {
        let sides = [Preset::Symmetric, Preset::Open];
        let plan = variation.plan(sides).with_stun().with_media(TICK);
        let mut world = plan.settled();
        world.assert_connected();
        world.wait(secs(5));
        let before = world.side(1).selected().unwrap().remote.address;
        let rebound = world.now();
        world.nat_mut(0).reboot();
        // Where packets are lost, so may be some of these requests.
        world.wait(secs(if variation.is_calm() { 20 } else { 25 }));
        let side = world.side(1);
        let after = side.selected().unwrap().remote.address;
        assert_ne!(after, before, "it has not followed");
        assert_eq!(after.ip(), before.ip());
        // Not before it has proven the new address.
        let moved = selections(side)
            .into_iter()
            .find(|&(at, pair)| at >= rebound && pair.remote.address != before);
        let (at, pair) = moved.unwrap();
        let path = (world.addresses[1], pair.remote.address, false);
        assert!(side.is_answered(path, at), "it believed what it was told");
        let data = side.sent().filter(|it| it.is_data() && it.remote == after);
        let times: Vec<_> = data.map(|it| it.at).collect();
        assert!(times.len() > 10, "nothing is sent to it");
        assert!(times.iter().all(|&it| it >= at));
        for side in world.sides() {
            assert!(side.never_lost_its_pair(), "{:?}", side.states);
            assert_eq!(side.failed(), None);
            if variation.is_calm() {
                // A consent interval, a round trip for the check, and half a one for the media.
                let limit = secs(6) + world.round_trip * 3 / 2 + TICK;
                let silence = side.longest_silence(world.now());
                assert!(silence <= limit, "{silence:?}");
            }
        }
        let since = world.now();
        world.wait(secs(10));
        for side in world.sides() {
            let least = if variation.is_calm() { 49 } else { 30 };
            assert!(side.heard_since(since) >= least);
        }
    });
}

/// Row 45: the interface that carries the call goes away, early or long after the other pairs were checked.
/// Another pair takes over at once, or a round trip later if it has to be checked again (RFC 7675 §5.1),
/// and nobody is told of a loss; when the interface comes back, its address is as good as before.
///
/// Where the side that loses its interface is controlled, the other one has no cause to leave its pair
/// before consent runs out.
#[test]
fn scenario_45_interface_goes_and_comes_back() {
    for_each_variation(|variation| {
        for talked in [secs(5), secs(60)] {
            let mut plan = variation.open().with_media(TICK);
            plan.further_addresses = [1, 1];
            let plan = plan.configured(|_, config| config.continual = true);
            let mut world = plan.settled();
            world.assert_connected();
            world.wait(talked);
            let used = world.side(0).selected().unwrap().local.address;
            let gone = take_away(&mut world, used);
            let controls = variation.offerer == 0;
            let until_told = if controls { Duration::ZERO } else { secs(30) };
            world.wait(until_told + secs(10));
            let mut moved = world.side(0).sent();
            let first = moved.find(|it| it.at > gone && it.is_data());
            let first = first.expect("no other pair has taken over");
            assert_ne!(first.local, used);
            let late = first.at.since(gone);
            drop(moved);
            if variation.is_calm() {
                assert!(late <= world.round_trip + TICK, "{late:?}");
                world.assert_connected();
            }
            for (number, side) in world.sides().into_iter().enumerate() {
                assert_eq!(side.failed(), None);
                if variation.is_calm() {
                    let lost = |event: &Event| matches!(event, Event::Disconnected(_));
                    assert_eq!(side.count(lost), 0, "side {number}");
                    let deaf = if number == 0 {
                        until_told
                    } else {
                        Duration::ZERO
                    };
                    let silence = side.longest_silence(world.now());
                    let limit = deaf + 2 * world.round_trip + 2 * TICK;
                    assert!(silence <= limit, "side {number}: {silence:?}");
                }
            }

            let back = bring_back(&mut world, used);
            world.wait(secs(5));
            let told = |(at, event): &(Instant, Event)| {
                let own = |candidate: &Candidate| candidate.address == used;
                *at >= back && matches!(event, Event::LocalCandidate(it) if own(it))
            };
            let events = &world.side(0).events;
            assert!(events.iter().any(told), "the peer is not told of it");
            // Now the other one goes.
            let other = world.all_addresses[0].iter().find(|&&it| it != used);
            let other = *other.unwrap();
            take_away(&mut world, other);
            world.wait(until_told + secs(10));
            let since = world.now();
            world.wait(secs(10));
            for (number, side) in world.sides().into_iter().enumerate() {
                // Where packets are lost, so may all answers be that came before consent ran out.
                let cause = side.failed().map(|(_, cause)| cause);
                let is_over = cause == Some(FailureCause::ConsentExpired);
                assert!(cause.is_none() || (is_over && !variation.is_calm()));
                let heard = side.heard_since(since);
                let least = match variation.loss {
                    0 => 49,
                    1 => 25,
                    _ => 0,
                };
                assert!(heard >= least, "side {number} has heard {heard}");
            }
            if variation.is_calm() {
                world.assert_connected();
            }
        }
    });
}

/// The interface of side 0 with this address goes away; when.
fn take_away(world: &mut World, address: SocketAddr) -> Instant {
    set_access(world, address, Link::IDEAL.with_loss(Probability::ALWAYS));
    world.act(0, |host, now| {
        host.command(now, |agent| agent.remove_address(now, address));
    });
    world.now()
}

/// It comes back; when.
fn bring_back(world: &mut World, address: SocketAddr) -> Instant {
    set_access(world, address, Link::delay(world.round_trip / 4));
    world.act(0, |host, now| {
        let address = LocalAddress::new(address);
        host.command(now, |agent| agent.add_address(now, address))
            .unwrap();
    });
    world.now()
}

fn set_access(world: &mut World, address: SocketAddr, link: Link) {
    let mut addresses = world.all_addresses[0].iter();
    let place = addresses.position(|&it| it == address).unwrap();
    let host = world.hosts[0];
    let network = world.simulation.network_mut();
    network.set_access(host, place, link);
}

//! Rows 15 and 16: peers that nominate more than one pair, or one that does not work the other way.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use floe_ice::{Event, pair_priority};
use floe_sim::{Fate, Purpose, Random, entity};

use crate::common::forgery::Check;
use crate::common::{
    AgentHost, Packet, Plan, Stun, Variation, World, for_each_variation, millis, secs,
};

/// The side that controls nominates with each of its checks, as RFC 5245 allowed; whatever either side
/// sends takes up to 80 ms longer, each packet on its own.
fn with_aggressive_nomination(variation: Variation) -> World {
    let mut plan = variation.open();
    plan.further_addresses = [2; 2];
    let mut world = plan.build();
    let controlling = variation.offerer;
    let password = world.password(1 - controlling);
    let host = world.hosts[controlling];
    let random = Random::new(variation.seed);
    let mut number = 0;
    world.tap(move |_, passing| {
        if passing.from == host
            && let Some(mut check) = Check::read(&passing.payload)
        {
            check.nominates = true;
            passing.payload = check.write(Some(&password)).into();
        }
        number += 1;
        let delay = random.below(entity("reordering"), Purpose::Scenario, number, 80);
        Fate::Hold(millis(delay))
    });
    world.offer();
    world
}

fn priorities(side: &AgentHost) -> BTreeMap<SocketAddr, u32> {
    let candidates = side.events.iter().filter_map(|(_, event)| match event {
        Event::LocalCandidate(candidate) => Some((candidate.address, candidate.priority)),
        _ => None,
    });
    candidates.collect()
}

/// RFC 8445 §8.1.1, RFC 5245 §8.1.1.2: of several nominated pairs that work, the best counts, in whatever
/// order checks and answers come.
///
/// req: ICE-8.1.1-5
#[test]
fn scenario_15_two_nominated_pairs() {
    for_each_variation(|variation| {
        let mut world = with_aggressive_nomination(variation);
        world.settle();
        world.wait(secs(3));
        let (peer, side) = (world.offerer(), world.answerer());
        let (ours, theirs) = (priorities(side), priorities(peer));
        // What the peer goes by: its checks that were answered, of which each nominated.
        let works = peer.checks().map(Packet::pair);
        let works = works.filter(|&pair| peer.is_answered(pair, world.now()));
        let best =
            works.max_by_key(|(local, remote, _)| pair_priority(theirs[local], ours[remote]));
        let (local, remote, _) = best.unwrap();
        let selected = side.selected().unwrap();
        if variation.is_calm() {
            assert_eq!(
                (selected.local.address, selected.remote.address),
                (remote, local)
            );
        }
        assert_eq!(side.failed(), None);
        // It never goes back to a worse one.
        let mut order: Vec<_> = Vec::new();
        for (_, event) in &side.events {
            if let Event::Selected(pair) = event {
                let (local, remote) = (pair.local.address, pair.remote.address);
                order.push(pair_priority(theirs[&remote], ours[&local]));
            }
        }
        assert!(order.is_sorted(), "{order:?}");
    });
}

/// The controlled side never gets an answer over the pair that the other side will nominate, the best.
fn with_a_one_way_pair(mut plan: Plan, addresses: usize) -> World {
    let controlling = plan.variation.offerer;
    plan.further_addresses[controlling] = addresses - 1;
    let mut world = plan.build();
    let (first, host) = (world.addresses[controlling], world.hosts[1 - controlling]);
    world.tap(move |_, passing| {
        let stun = Stun::read(&passing.payload);
        let is_answer = stun.is_some_and(|stun| stun.is_success());
        if is_answer && passing.to == host && passing.source == first {
            return Fate::Drop;
        }
        Fate::Pass
    });
    world.offer();
    world
}

/// RFC 8445 §7.3.1.5: what the peer nominated fails here. Another valid pair carries data; without one
/// the agent says that it has failed, and nothing stays as if it worked.
#[test]
fn scenario_16_nominated_pair_fails() {
    for_each_variation(|variation| {
        let media = || variation.open().with_media(millis(50));
        let mut world = with_a_one_way_pair(media(), 2);
        let nominated = |sides: [&AgentHost; 2]| sides.iter().any(|it| it.selected().is_some());
        assert!(world.run_until(secs(10), nominated));
        world.wait(secs(60));
        let since = world.now();
        world.wait(secs(5));
        for side in world.sides() {
            let heard = side.heard_since(since);
            assert!(
                heard > 50 || side.failed().is_some(),
                "neither data nor an end"
            );
        }

        let mut world = with_a_one_way_pair(media(), 1);
        // As long as a list may take to fail, and then until the other side misses consent.
        let both = |sides: [&AgentHost; 2]| sides.iter().all(|it| it.failed().is_some());
        let ended = world.run_until(secs(90 + 30), both);
        let states = world.sides().map(AgentHost::state);
        assert!(ended, "{states:?} without a way back");
    });
}

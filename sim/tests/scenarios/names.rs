//! Row 39: names in place of addresses.

use floe_ice::{CandidateKind, CommandError, Event, NameId};
use floe_sim::Fate;

use crate::common::{Variation, World, for_each_variation, secs};

const NAME: &str = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local";

/// Side 0 signals this name in place of its address, or no candidate at all.
fn settled(variation: Variation, name: Option<&'static str>) -> World {
    let mut world = variation.open().build();
    let ip = world.addresses[0].ip().to_string();
    world.tap_messages(move |_, _, message| {
        let lines = message.text.lines().filter_map(|line| {
            if line.starts_with("candidate:") && line.contains(&ip) {
                name.map(|name| line.replace(&ip, name))
            } else {
                Some(line.to_string())
            }
        });
        message.text = lines.collect::<Vec<_>>().join("\n");
        Fate::Pass
    });
    world.offer();
    world.settle();
    world.assert_connected();
    world
}

/// The draft on mDNS candidates, §3.2: a name that is not resolved delays nothing; one that resolves
/// late, to many addresses, makes the peer-reflexive candidate what it is, and no other.
#[test]
fn scenario_39_names_unresolved_or_resolved_late() {
    for_each_variation(|variation| {
        let mut world = settled(variation, Some(NAME));
        let without = settled(variation, None);
        assert_eq!(world.connected_at(), without.connected_at());
        assert_eq!(world.selected_at(), without.selected_at());
        let events = world.side(1).events.iter();
        let asked: Vec<NameId> = events
            .filter_map(|(_, event)| match event {
                Event::ResolveWanted { id, .. } => Some(*id),
                _ => None,
            })
            .collect();
        let [id] = asked[..] else {
            panic!("asked {} times", asked.len());
        };
        let (pairs, retained) = (pairs(&world), world.side(1).agent.retained());
        let addresses = [world.addresses[0].ip(), "203.0.113.250".parse().unwrap()];
        let resolved = |world: &mut World| {
            world.act(1, |host, now| {
                host.command(now, |agent| agent.resolved(now, id, &addresses))
            })
        };
        assert_eq!(resolved(&mut world), Ok(()));
        assert_eq!(resolved(&mut world), Err(CommandError::UnknownName));
        assert_eq!(self::pairs(&world), pairs);
        assert!(world.side(1).agent.retained() <= retained);
        let selected = |world: &World| world.side(1).agent.selected().unwrap().remote;
        assert_eq!(selected(&world).kind, CandidateKind::Host);
        assert_eq!(selected(&world).address, world.addresses[0]);
        world.wait(secs(5));
        world.assert_connected();
        assert_eq!(selected(&world).address, world.addresses[0]);
    });
}

/// How many pairs side 1 has.
fn pairs(world: &World) -> usize {
    world.side(1).agent.stats().pairs.len()
}

//! Rows 41, 42, 47 and 48: too much of everything, and packets in any order.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use floe_ice::{CommandError, Event, MIN_PACING, Role, SelectedPair};
use floe_sansio::Instant;
use floe_sim::{Endpoint, Fate, Preset, Purpose, Random, entity};

use crate::common::{AgentHost, Plan, Variation, World, for_each_variation, millis, secs};

/// Row 41: so many candidates of so many foundations.
const CANDIDATES: u32 = 5_000;
const FOUNDATIONS: u32 = 1_000;
/// All that an agent may hold of its peer: 100 pairs, 100 candidates and their foundations, seven
/// checks under way for each pair, and some more.
const RETAINED: usize = 1_100;

/// Lines that tell of candidates at addresses where nobody is, from the documentation ranges.
fn flood(priority: u32) -> String {
    let mut lines = vec!["more".to_owned()];
    for number in 0..CANDIDATES {
        let foundation = number % FOUNDATIONS;
        let (high, low) = (number / 250, number % 250 + 1);
        lines.push(format!(
            "candidate:f{foundation} 1 udp {priority} 198.18.{high}.{low} 4000 typ host"
        ));
    }
    lines.join("\n")
}

/// A side hears a message as if the other had signalled it.
fn tell(world: &mut World, to: usize, text: &str) {
    let from = world.hosts[1 - to];
    world.act(to, |agent, now| agent.message(now, from, text));
}

/// No side says that it has no more candidates.
fn never_end(world: &mut World) {
    let _ = world.withhold_lines(|_, line| line == "end");
}

fn assert_bounded(world: &World) {
    for side in world.sides() {
        let retained = side.agent.retained();
        assert!(retained <= RETAINED, "{retained} things held");
    }
}

/// Candidates of the highest priority, before and after a pair works: what works stays, and memory has
/// a bound. (RFC 8445 §6.1.2.5; what an input costs is measured by the benches.)
#[test]
fn scenario_41_five_thousand_candidates() {
    for_each_variation(|variation| {
        let mut world = variation.open().with_media(millis(50)).build();
        never_end(&mut world);
        world.offer();
        let early = world.variation.offerer;
        let text = flood(0x7EFF_FFFF);
        assert!(world.run_until(secs(10), |sides| sides[early].introduced.is_some()));
        tell(&mut world, early, &text);
        let refused = &world.side(early).refused;
        assert!(refused.len() > 4_000 && refused.iter().all(|it| *it == CommandError::Capacity));
        assert_bounded(&world);
        world.settle();
        world.assert_connected();
        assert_bounded(&world);

        let selected = world.sides().map(AgentHost::selected);
        tell(&mut world, 1 - early, &text);
        world.wait(secs(2));
        world.assert_connected();
        assert_bounded(&world);
        assert_eq!(world.sides().map(AgentHost::selected), selected);
        for side in world.sides() {
            assert!(side.never_lost_its_pair());
            if variation.is_calm() {
                assert!(side.longest_silence(world.now()) <= millis(55));
            }
        }
    });
}

/// Row 42: what one address, and all ports of one host, may get that stay silent.
const PER_BASE: u32 = 7;
const PER_ADDRESS: u32 = 28;
const PER_HOST: u32 = 112;

/// Candidates that point at a victim, some of them several times, from a peer that never answers, so that
/// nothing ends the checks: it gets no flood (RFC 8445 §19.5.1),
/// and not even a burst (§14.2).
#[test]
fn scenario_42_voice_hammer() {
    for_each_variation(|variation| {
        let mut plan = variation.open();
        plan.further_addresses = [4, 4];
        let mut world = plan.build();
        never_end(&mut world);
        world.tap(|_, _| Fate::Drop);
        world.offer();
        let victim = world.stranger_address.ip();
        let mut lines = vec!["more".to_owned()];
        for port in (4_000..4_012).chain(4_000..4_012) {
            let kind = ["host", "srflx raddr 0.0.0.0 rport 0"][usize::from(port % 2 == 0)];
            lines.push(format!(
                "candidate:v{port} 1 udp 2130706431 {victim} {port} typ {kind}"
            ));
        }
        let hammer = variation.answerer();
        assert!(world.run_until(secs(10), |sides| sides[hammer].introduced.is_some()));
        tell(&mut world, hammer, &lines.join("\n"));
        world.settle();
        assert!(world.side(hammer).failed().is_some());
        let side = world.side(hammer);
        let (mut bases, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        let mut last: Option<Instant> = None;
        let mut all = 0;
        for packet in side.sent().filter(|packet| packet.remote.ip() == victim) {
            *bases.entry((packet.local, packet.remote)).or_insert(0) += 1;
            *addresses.entry(packet.remote).or_insert(0) += 1;
            all += 1;
            let since = last.map(|last| packet.at.since(last));
            assert!(since.is_none_or(|since| since >= MIN_PACING), "{since:?}");
            last = Some(packet.at);
        }
        let most =
            |counts: &BTreeMap<(SocketAddr, SocketAddr), u32>| counts.values().copied().max();
        assert!(most(&bases) <= Some(PER_BASE), "{bases:?}");
        assert!(
            addresses.values().max() <= Some(&PER_ADDRESS),
            "{addresses:?}"
        );
        assert!((1..=PER_HOST).contains(&all), "{all} packets to the victim");
    });
}

/// What a run came to, whatever the order of its packets was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    selected: [bool; 2],
    relayed: bool,
    roles: [Role; 2],
    selections_of_the_controlling: usize,
}

fn class(world: &World) -> Class {
    let sides = world.sides();
    let is_selected = |event: &Event| matches!(event, Event::Selected(_));
    Class {
        selected: sides.map(|side| side.selected().is_some()),
        relayed: world.is_relayed(),
        roles: sides.map(AgentHost::role),
        selections_of_the_controlling: world.side(world.controlling()).count(is_selected),
    }
}

/// Row 47: each datagram may come late, and several times.
fn with_packets_in_any_order(variation: Variation, world: &mut World) {
    let random = Random::new(variation.seed);
    let mut index = 0_u64;
    world.tap(move |_, _| {
        index += 4;
        let draw =
            |part, bound| random.below(entity("order"), Purpose::Scenario, index + part, bound);
        match draw(0, 10) {
            0..3 => Fate::Hold(millis(draw(1, 60))),
            3..6 => Fate::Repeat {
                count: 1 + draw(1, 3) as u32,
                every: millis(draw(2, 40)),
            },
            _ => Fate::Pass,
        }
    });
}

/// The state after any order and repetition is the one after none. Where packets are lost, the path is
/// of the same class.
#[test]
fn scenario_47_packets_in_any_order_and_twice() {
    for (nats, relayed) in [
        ([Preset::FullCone, Preset::PortRestricted], false),
        ([Preset::Symmetric, Preset::Symmetric], true),
    ] {
        for_each_variation(|variation| {
            let plan: Plan = variation.plan(nats).with_turn();
            let mut world = plan.build();
            with_packets_in_any_order(variation, &mut world);
            world.offer();
            world.settle();
            world.wait(secs(2));
            world.assert_connected();
            world.assert_one_controls();
            assert_eq!(world.is_relayed(), relayed);
            if variation.is_calm() {
                let mut usual = plan.settled();
                usual.wait(secs(2));
                assert_eq!(class(&world), class(&usual));
            }
        });
    }
}

/// Row 48: in any ten seconds a side changes its pair once at most.
const DWELL: Duration = secs(10);

/// From the times of all changes after the first choice.
fn assert_calm(changes: &[Instant]) {
    for pair in changes.windows(2) {
        let apart = pair[1].since(pair[0]);
        assert!(apart >= DWELL, "two changes within {apart:?}");
    }
}

/// Four pairs that cost the same, and round trips that vary by more than they differ.
#[test]
fn scenario_48_equal_pairs_with_jitter() {
    for_each_variation(|variation| {
        let mut plan = variation.open().with_media(millis(200));
        plan.further_addresses = [1, 1];
        let mut world = plan.build();
        let random = Random::new(variation.seed);
        let mut index = 0;
        world.tap(move |_, _| {
            index += 1;
            Fate::Hold(millis(random.below(
                entity("jitter"),
                Purpose::Scenario,
                index,
                40,
            )))
        });
        world.offer();
        world.settle();
        world.wait(secs(40));
        world.assert_connected();
        for side in world.sides() {
            let mut selections = side.events.iter().filter_map(|(at, event)| match event {
                Event::Selected(pair) => Some((*at, *pair)),
                _ => None,
            });
            let first: Option<(Instant, SelectedPair)> = selections.next();
            assert!(first.is_some());
            assert_calm(&selections.map(|(at, _)| at).collect::<Vec<_>>());
            // Before both have selected, data may go over any pair that works.
            let settled = world.selected_at() + secs(1);
            let data = side.sent().filter(|it| it.is_data() && it.at >= settled);
            let data: Vec<_> = data.map(|it| (it.at, it.pair())).collect();
            assert!(data.len() > 100);
            let moved = data.windows(2).filter(|two| two[0].1 != two[1].1);
            assert_calm(&moved.map(|two| two[1].0).collect::<Vec<_>>());
        }
    });
}

//! Rows 30, 44 and 46: candidates and the servers that are asked for them.

use core::net::{IpAddr, SocketAddr};

use floe_ice::{CandidateKind, Event, GatheringError, LocalAddress};
use floe_sim::Preset;
use floe_stun::{Class, Lifetime, Message, Method};

use crate::common::{AgentHost, Variation, World, for_each_variation, millis, secs};

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

/// The addresses of a side in IPv6.
fn global(side: usize) -> IpAddr {
    format!("2a00:0:0:{side}::1").parse().unwrap()
}

fn temporary(side: usize) -> IpAddr {
    format!("2a00:0:0:{side}::9").parse().unwrap()
}

fn deprecated(side: usize) -> IpAddr {
    format!("2a00:0:0:{side}::dd").parse().unwrap()
}

fn unique_local(side: usize) -> IpAddr {
    format!("fd00:0:0:{side}::1").parse().unwrap()
}

fn link_local(side: usize) -> IpAddr {
    format!("fe80::{}", side + 1).parse().unwrap()
}

fn is_link_local(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// The offer is on its way between two of which these have addresses of these kinds beside the one of IPv4.
fn addressed(variation: Variation, dual: &[usize], kinds: &[fn(usize) -> IpAddr]) -> World {
    let mut plan = variation.open();
    for &side in dual {
        plan.more_addresses[side] = kinds.iter().map(|address| address(side)).collect();
    }
    let mut world = plan
        .configured(|_, config| config.addresses.clear())
        .build();
    for side in [0, 1] {
        let addresses = world.all_addresses[side].clone();
        world.act(side, |host, now| {
            for address in addresses {
                let local = LocalAddress {
                    temporary: address.ip() == temporary(side),
                    deprecated: address.ip() == deprecated(side),
                    ..LocalAddress::new(address)
                };
                host.command(now, |agent| agent.add_address(now, local))
                    .unwrap();
            }
        });
    }
    world.offer();
    world
}

/// What a side has told of itself.
fn told(side: &AgentHost, kind: CandidateKind) -> Vec<SocketAddr> {
    let candidates = side.events.iter().filter_map(|(_, event)| match event {
        Event::LocalCandidate(candidate) if candidate.kind == kind => Some(candidate.address),
        _ => None,
    });
    candidates.collect()
}

/// Row 44, RFC 8445 §5.1.1.1, §6.1.2.2; RFC 8421 §4: a deprecated address makes no candidate, and a
/// temporary one hides those that tell more of the host. What is link-local is paired with its like only.
/// Neither family waits for the other.
#[test]
fn scenario_44_addresses_of_every_kind() {
    type Kinds = &'static [fn(usize) -> IpAddr];
    let open: Kinds = &[global, deprecated, unique_local, link_local];
    let hidden: Kinds = &[global, temporary, deprecated, unique_local, link_local];
    let open: (Kinds, Kinds) = (open, &[global, unique_local, link_local]);
    let hidden: (Kinds, Kinds) = (hidden, &[temporary, unique_local]);
    for_each_variation(|variation| {
        for (kinds, told_of) in [open, hidden] {
            check_kinds(variation, kinds, told_of);
        }
    });
}

fn check_kinds(
    variation: Variation,
    kinds: &[fn(usize) -> IpAddr],
    told_of: &[fn(usize) -> IpAddr],
) {
    let mut world = addressed(variation, &[0, 1], kinds);
    world.settle();
    world.assert_connected();
    for (number, side) in world.sides().into_iter().enumerate() {
        let mut hosts = told(side, CandidateKind::Host);
        hosts.sort();
        let told_of = told_of.iter().map(|address| address(number));
        let told_of = told_of.chain([world.addresses[number].ip()]);
        let mut expected: Vec<_> = told_of.map(|ip| SocketAddr::new(ip, 50_000)).collect();
        expected.sort();
        assert_eq!(hosts, expected);
        for check in side.checks() {
            let ends = [check.local, check.remote].map(is_link_local);
            assert_eq!(ends[0], ends[1], "{check}");
            assert_eq!(check.local.is_ipv4(), check.remote.is_ipv4(), "{check}");
        }
        let first: Vec<_> = side.checks().take(4).map(|it| it.remote).collect();
        let families = [true, false].map(|v4| first.iter().any(|it| it.is_ipv4() == v4));
        if variation.is_calm() {
            assert_eq!(families, [true, true], "{first:?}");
        }
    }
}

/// Row 44: addresses of IPv6 do not hold up a call to somebody who has none.
#[test]
fn scenario_44_peer_without_ipv6() {
    for_each_variation(|variation| {
        for dual in [0, 1] {
            let mut world = addressed(variation, &[dual], &[global, unique_local, link_local]);
            let start = world.now();
            world.settle();
            world.assert_connected();
            for side in world.sides() {
                assert!(side.checks().all(|it| it.remote.is_ipv4()));
            }
            if variation.is_calm() {
                let limit = 2 * world.signal_delay + world.round_trip * 3 / 2 + millis(10);
                let connected = world.connected_at() - start;
                assert!(connected <= limit, "{connected:?}");
            }
        }
    });
}

/// The allocations that a side gives back: requests to refresh one for no time at all.
fn releases(side: &AgentHost) -> usize {
    let mut releases = Vec::new();
    for packet in side.sent() {
        let Some(stun) = packet.stun else {
            continue;
        };
        if stun.method != Method::REFRESH || stun.class != Class::Request {
            continue;
        }
        let message = Message::parse(&packet.payload).unwrap();
        if message.get::<Lifetime>().unwrap() == Some(Lifetime(0)) {
            releases.push((packet.local, packet.remote));
        }
    }
    releases.sort();
    releases.dedup();
    releases.len()
}

/// Row 46, RFC 8445 §8.3.1, RFC 8656 §7.5: of the relays of two addresses with three servers one a side is
/// left once they have met, the others are given back with a lifetime of zero.
#[test]
fn scenario_46_redundant_relays() {
    for (sides, is_relayed) in [
        ([Preset::FullCone; 2], false),
        ([Preset::Symmetric; 2], true),
    ] {
        for_each_variation(|variation| {
            let mut plan = variation.plan(sides).with_turn();
            plan.more_servers = 2;
            plan.further_addresses = [1, 1];
            let mut world = plan.settled();
            world.assert_connected();
            assert!(is_relayed || !world.is_relayed() || !variation.is_calm());
            // 3 s after completion, and until what was lost has been repeated.
            let limit = if variation.is_calm() { 5 } else { 60 };
            world.wait(secs(limit));
            for side in world.sides() {
                let relays = told(side, CandidateKind::Relayed).len();
                if variation.is_calm() {
                    assert!(relays >= 2, "{relays} relays: nothing to give back");
                }
                let released = releases(side);
                assert!(released + 1 >= relays, "{released} of {relays} given back");
            }
            assert!(world.allocations() <= 2, "{} are left", world.allocations());
            if variation.is_calm() {
                assert_eq!(world.allocations(), 2);
            }
        });
    }
}

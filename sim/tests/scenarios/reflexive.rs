//! Rows 5 to 9 and 14: who checks before it is known, and from where nobody expected it.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Mutex;

use floe_ice::{CandidateKind, Event, Role, State};
use floe_sim::{Fate, Preset};
use floe_stun::TransactionId;

use crate::common::{
    AgentHost, Packet, Plan, Stun, Variation, Withheld, World, for_each_variation, millis, secs,
};

/// A plan in which the offer takes so long that the checks of the answering side come before the
/// answer does.
fn with_slow_signalling(variation: Variation) -> Plan {
    let mut plan = variation.open();
    plan.signal_delay = millis(100);
    plan
}

/// RFC 8445 §7.3: the own password is enough for an answer, which leaves in the same poll; the triggered
/// check leaves in that poll in which the credentials come.
///
/// req: ICE-7.3-4, ICE-7.3-5
#[test]
fn scenario_05_check_before_the_answer() {
    for_each_variation(|variation| {
        let offerer = variation.offerer;
        let mut world = with_slow_signalling(variation).settled();
        world.assert_connected();
        let side = world.side(offerer);
        let introduced = side.introduced.unwrap();
        for early in side
            .received()
            .filter(|it| it.is_check() && it.at < introduced)
        {
            let id = early.stun.unwrap().id;
            let answers = |it: &&Packet| it.is_success() && it.stun.unwrap().id == id;
            assert_eq!(side.sent().find(answers).unwrap().at, early.at);
        }
        if variation.is_calm() {
            let first = side.received().find(|it| it.is_check()).unwrap();
            assert!(first.at < introduced, "it came too late for this scenario");
            let triggered = side.checks().next().unwrap();
            assert_eq!(triggered.at, introduced);
            assert_eq!(triggered.pair(), first.pair());
            assert_eq!(side.connected_at(), Some(introduced + world.round_trip));
        }
    });
}

/// The same where the check came over a pair that would have been one of the last to be checked.
#[test]
fn scenario_05_check_over_a_late_pair_before_the_answer() {
    for_each_variation(|variation| {
        let answerer = variation.answerer();
        let mut plan = with_slow_signalling(variation);
        plan.further_addresses[answerer] = 4;
        let mut world = plan.build();
        let last = world.all_addresses[answerer][4];
        let from = world.hosts[answerer];
        world.tap(move |_, passing| {
            if passing.from == from && passing.source != last {
                Fate::Drop
            } else {
                Fate::Pass
            }
        });
        world.offer();
        world.settle();
        world.assert_connected();
        if variation.is_calm() {
            let side = world.offerer();
            let triggered = side.checks().next().unwrap();
            assert_eq!(
                (triggered.at, triggered.remote),
                (side.introduced.unwrap(), last)
            );
        }
    });
}

/// The side whose candidates are not signalled, and a world in which they are not. It stands behind a
/// NAT, or at an open address.
fn unsignalled(variation: Variation, before: Preset) -> (World, Withheld) {
    let plan = variation.plan([before, Preset::Open]).with_stun();
    let plan = plan.with_media(millis(20));
    let mut world = plan.build();
    let withheld = world.withhold_candidates(0);
    world.offer();
    (world, withheld)
}

/// What a candidate is that was peer-reflexive first.
fn real_kind(before: Preset) -> CandidateKind {
    match before {
        Preset::Open => CandidateKind::Host,
        _ => CandidateKind::ServerReflexive,
    }
}

/// Runs until `moment`, and some time longer, then lets the candidates be signalled, and sees that
/// nothing is lost by that.
fn signal_at(
    variation: Variation,
    before: Preset,
    moment: impl Fn(&AgentHost) -> bool + Copy,
    later: Duration,
) -> World {
    let (mut world, withheld) = unsignalled(variation, before);
    assert!(world.run_until(secs(20), |sides| moment(sides[1])));
    world.wait(later);
    let known = world.side(1).checks().count();
    world.deliver(&withheld);
    world.settle();
    world.assert_connected();
    world.wait(secs(2));
    world.assert_connected();
    for side in world.sides() {
        assert!(side.never_lost_its_pair(), "{:?}", side.states);
        assert_eq!(side.count(|event| matches!(event, Event::Selected(_))), 1);
        assert_eq!(side.count(|event| matches!(event, Event::Connected(_))), 1);
    }
    let selected = world.side(1).selected().unwrap();
    // Where the server's answer was lost there is nothing to signal.
    let address = selected.remote.address;
    let is_told = world.side(0).count(
        |event| matches!(event, Event::LocalCandidate(candidate) if candidate.address == address),
    );
    if variation.is_calm() || is_told > 0 {
        assert_eq!(selected.remote.kind, real_kind(before));
    }
    if variation.is_calm() {
        // One pair for the address: nothing is checked again because of its new name.
        let is_it = |it: &&Packet| it.remote == address && !it.nominates();
        let again = world.side(1).checks().skip(known).filter(is_it).count();
        assert!(again <= AGAIN, "{again} more checks");
    }
    world
}

/// The checks to a candidate that are sent after it was signalled: that of the first moment, if it was
/// not sent before, and one because of what the other side checks meanwhile.
const AGAIN: usize = 1;

/// RFC 8445 §7.3.1.3, RFC 8838 §11.4: the peer-reflexive candidate becomes what it is, and its pair lives
/// on, whether it was just found, is being checked, works, or is selected.
///
/// req: TRICKLE-11-2
#[test]
fn scenario_06_prflx_signalled_later() {
    let found = |side: &AgentHost| side.received().any(Packet::is_check);
    let works = |side: &AgentHost| side.connected_at().is_some();
    let selected = |side: &AgentHost| side.selected_at().is_some();
    for before in [Preset::Open, Preset::FullCone] {
        for_each_variation(|variation| {
            signal_at(variation, before, found, Duration::ZERO);
            signal_at(variation, before, found, millis(15));
            signal_at(variation, before, works, Duration::ZERO);
            signal_at(variation, before, selected, millis(100));
        });
    }
}

/// RFC 8445 §7.3.1.3: the answer to the nomination that is under way still completes it.
#[test]
fn scenario_07_prflx_replaced_while_nominating() {
    let nominates = |side: &AgentHost| side.sent().any(Packet::nominates);
    let is_nominated = |side: &AgentHost| side.received().any(Packet::nominates);
    for before in [Preset::Open, Preset::FullCone] {
        for_each_variation(|variation| {
            // The side that learns it controls, or is controlled.
            if variation.offerer == 0 {
                signal_at(variation, before, is_nominated, Duration::ZERO);
                return;
            }
            let world = signal_at(variation, before, nominates, millis(7));
            if variation.is_calm() {
                let side = world.side(1);
                let nominations: Vec<_> = side.sent().filter(|it| it.nominates()).collect();
                // The second one leaves before the answer to the first can be there.
                assert_eq!(nominations.len(), 2);
                let answered = nominations[0].at + world.round_trip;
                let latest = answered + millis(1);
                let selected = side.selected_at().unwrap();
                assert!(selected >= answered && selected <= latest, "{selected:?}");
            }
        });
    }
}

/// The side that is tricked, whose peer has two addresses: answers of the first one seem to come from
/// elsewhere, to both sides. The second one works from `until` on.
fn with_answers_from_elsewhere(variation: Variation, until: Duration) -> World {
    let mut plan = variation.open();
    plan.further_addresses = [0, 1];
    let mut world = plan.start();
    let (first, elsewhere) = (world.addresses[1], world.stranger_address);
    let until = world.now() + until;
    world.tap(move |now, passing| {
        let is_first = [passing.source, passing.destination].contains(&first);
        if !is_first && now < until {
            return Fate::Drop;
        }
        if is_first && Stun::read(&passing.payload).is_some_and(|stun| stun.is_success()) {
            passing.source = elsewhere;
        }
        Fate::Pass
    });
    world
}

/// RFC 8445 §7.2.5.2.1: the pair fails, nothing is valid by it, and other pairs go on.
///
/// req: ICE-7.2.5.2.1-1
#[test]
fn scenario_08_answer_from_another_address() {
    for_each_variation(|variation| {
        let until = millis(if variation.is_calm() { 3000 } else { 700 });
        let mut world = with_answers_from_elsewhere(variation, until);
        world.wait(until);
        for side in [0, 1] {
            assert_eq!(world.side(side).state(), State::Checking);
            assert!(!world.act(side, AgentHost::say), "data can be sent");
            let arrived = world.side(side).received();
            let elsewhere = world.stranger_address;
            assert!(arrived.into_iter().any(|it| it.remote == elsewhere));
            // Each failure makes the other side ask again, but not for ever.
            let (zero, first) = (world.addresses[0], world.addresses[1]);
            let over_it = |it: &&Packet| {
                [it.local, it.remote]
                    .iter()
                    .all(|at| [zero, first].contains(at))
            };
            let count = world.side(side).checks().filter(over_it).count();
            assert!(count <= 16, "{count} checks over a pair that fails");
        }
        world.settle();
        world.assert_connected();
        let [zero, one] = world.sides().map(|side| side.selected().unwrap());
        assert_ne!(zero.remote.address, world.addresses[1]);
        assert_ne!(one.local.address, world.addresses[1]);
    });
}

/// Side 0 has two addresses, and between it and the world something lets all that leaves from the first
/// seem to come from the second; answers to that find back.
fn with_an_alias(variation: Variation) -> (World, [SocketAddr; 2]) {
    let mut plan = variation.open();
    plan.further_addresses = [1, 0];
    let mut world = plan.build();
    let first = world.addresses[0];
    let second = world.second_address(0);
    let hosts = world.hosts;
    let asked: Mutex<BTreeSet<TransactionId>> = Mutex::default();
    world.tap(move |_, passing| {
        let stun = Stun::read(&passing.payload);
        let mut asked = asked.lock().unwrap();
        if passing.from == hosts[0] && passing.source == first {
            asked.extend(stun.filter(Stun::is_request).map(|stun| stun.id));
            passing.source = second;
        }
        let is_answer = stun.is_some_and(|stun| !stun.is_request() && asked.contains(&stun.id));
        if passing.to == hosts[0] && passing.destination == second && is_answer {
            passing.destination = first;
        }
        Fate::Pass
    });
    world.offer();
    (world, [first, second])
}

/// RFC 8445 §7.2.5.3.1, §7.2.5.3.2: the valid pair is not the one that was checked; it has the address
/// that the peer saw, which is a candidate already and gives no other one.
///
/// req: ICE-7.2.5.3.2-1
#[test]
fn scenario_09_mapped_to_another_interface() {
    for_each_variation(|variation| {
        let (mut world, [first, second]) = with_an_alias(variation);
        world.settle();
        world.assert_connected();
        let local = world.side(0).selected().unwrap().local;
        assert_eq!((local.kind, local.address), (CandidateKind::Host, second));
        // No duplicates without end: some checks from each address, and then requests for consent.
        world.wait(secs(30));
        let count = world.side(0).checks().count();
        let most = if variation.is_calm() { 12 } else { 24 };
        assert!(count <= most, "{count} checks");
        let candidates: Vec<_> = world.side(0).agent.local_candidates().collect();
        assert_eq!(candidates.len(), 2, "{first} and {second}: {candidates:?}");
        world.assert_connected();
    });
}

/// RFC 8445 §7.3.1.5: the nomination is remembered, and counts as soon as the own check has succeeded.
/// The side that offers is controlled here, and knows nothing of the other one when it is nominated.
///
/// req: ICE-7.3.1.5-1
#[test]
fn scenario_14_nominated_before_anything_is_known() {
    for_each_variation(|variation| {
        for signalled in [true, false] {
            let offerer = variation.offerer;
            let mut roles = [Role::Controlling; 2];
            roles[offerer] = Role::Controlled;
            let mut world = with_slow_signalling(variation).with_roles(roles).build();
            if !signalled {
                let _ = world.withhold_candidates(1 - offerer);
            }
            world.offer();
            world.settle();
            world.assert_connected();
            assert_eq!(world.side(offerer).role(), Role::Controlled);
            if variation.is_calm() {
                let side = world.side(offerer);
                let introduced = side.introduced.unwrap();
                let nominated = side.received().find(|it| it.nominates()).unwrap().at;
                assert!(nominated < introduced, "it came too late for this scenario");
                assert_eq!(side.selected_at(), Some(introduced + world.round_trip));
            }
        }
    });
}

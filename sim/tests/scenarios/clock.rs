//! Row 40: clocks that jump, stand still and go back, and hosts that sleep.

use core::time::Duration;

use floe_ice::{Event, FailureCause, State};
use floe_sansio::Instant;
use floe_sim::HostId;

use crate::common::{AgentHost, Packet, Variation, World, for_each_variation, millis, secs};

/// How often a side sends media here.
const TICK: Duration = millis(500);

/// A call that goes on for some seconds, and the host whose clock will be wrong. Its consent is fresh.
fn call(variation: Variation, further_addresses: [usize; 2]) -> (World, HostId) {
    let mut plan = variation.open().with_media(TICK);
    plan.further_addresses = further_addresses;
    let mut world = plan.settled();
    world.assert_connected();
    world.wait(secs(5));
    let since = world.now();
    let answered = world.run_until(secs(29), |[zero, _]| {
        let mut answers = zero.received().filter(|packet| packet.is_success());
        answers.any(|packet| packet.at > since)
    });
    assert!(answered);
    let host = world.hosts[0];
    (world, host)
}

/// How many losses and ends a side has told since it had told so many events.
fn ends(side: &AgentHost, since: usize) -> usize {
    let ends = side.events[since..].iter();
    let is_end = |event: &Event| matches!(event, Event::Disconnected(_) | Event::Failed(_));
    ends.filter(|(_, event)| is_end(event)).count()
}

/// What leaves a side after so many packets is no storm: one transaction at a time, at least Ta apart,
/// by the host's own clock.
fn assert_paced(side: &AgentHost, since: usize) {
    let checks = side.packets[since..].iter();
    let checks = checks.filter(|packet| packet.sent && packet.is_check());
    let times: Vec<_> = checks.map(|packet| packet.at).collect();
    for pair in times.windows(2) {
        let apart = pair[1].since(pair[0]);
        assert!(apart >= millis(5), "two checks within {apart:?}");
    }
}

/// Nothing was lost, and media goes on both ways. Where packets are lost, all answers may be that came
/// before consent ran out (RFC 7675 §5.1); nothing else ends it.
fn assert_goes_on(world: &mut World, since: [usize; 2]) {
    let variation = world.variation;
    let heard = world.sides().map(|side| side.heard.len());
    world.wait(secs(10));
    if !variation.is_calm() && world.sides().iter().any(|side| side.failed().is_some()) {
        let causes = world.sides().map(AgentHost::failed);
        let mut causes = causes.into_iter().flatten();
        assert!(causes.all(|(_, cause)| cause == FailureCause::ConsentExpired));
        return;
    }
    for (number, side) in world.sides().into_iter().enumerate() {
        let more = side.heard.len() - heard[number];
        let least = if variation.is_calm() { 19 } else { 8 };
        assert!(more >= least, "side {number} has heard {more} of 20");
        if variation.is_calm() {
            assert_eq!(ends(side, since[number]), 0, "{:?}", side.events);
        }
    }
    if variation.is_calm() {
        world.assert_connected();
    }
}

fn events(world: &World) -> [usize; 2] {
    world.sides().map(|side| side.events.len())
}

/// After a new offer media goes on, as after the first one.
fn assert_restarts(world: &mut World, at: usize) {
    // The events of both go on after an end.
    world.is_safe = false;
    world.act(at, AgentHost::restart);
    let works = |side: &AgentHost| side.selected().is_some() && side.state() == State::Completed;
    let again = world.run_until(secs(30), |sides| sides.into_iter().all(works));
    let states = world.sides().map(AgentHost::state);
    assert!(again, "no path after a restart: {states:?}");
    let since = world.sides().map(|side| side.heard.len());
    world.wait(secs(5));
    for (number, side) in world.sides().into_iter().enumerate() {
        assert!(side.heard.len() > since[number] + 3, "side {number}");
    }
}

/// A jump of less than 30 s: consent is asked for at once, the answer comes a round trip later, and
/// nothing else happens.
#[test]
fn scenario_40_jump_of_twenty_seconds() {
    for_each_variation(|variation| {
        let (mut world, host) = call(variation, [0, 0]);
        let since = events(&world);
        let before = world.side(0).packets.len();
        world.simulation.jump_clock(host, secs(20));
        world.wait(2 * world.round_trip);
        let side = world.side(0);
        let answered = side.packets[before..].iter();
        let answered = answered.filter(|it| !it.sent && it.is_success()).count();
        if variation.is_calm() {
            assert!(answered >= 1, "no consent after two round trips");
        }
        let checks = side.packets[before..].iter();
        let checks = checks.filter(|it| it.sent && it.is_check()).count();
        assert!(checks <= 4, "{checks} checks at once");
        assert_paced(side, before);
        assert_goes_on(&mut world, since);
    });
}

/// Consent has run out: that is told once, and nothing is sent in a storm.
fn assert_one_end(world: &World, before: usize, since: usize) {
    let side = world.side(0);
    let cause = side.failed().map(|(_, cause)| cause);
    let state = side.state();
    assert_eq!(cause, Some(FailureCause::ConsentExpired), "{state:?}");
    assert_eq!(ends(side, since), 1, "{:?}", &side.events[since..]);
    assert_paced(side, before);
    let mut begun = side.packets[before..].iter().filter(|it| it.sent);
    assert!(begun.all(Packet::is_success), "it goes on without consent");
}

/// A jump of an hour: consent is over, once, and a restart connects (RFC 7675 §5.1).
#[test]
fn scenario_40_jump_of_an_hour() {
    for_each_variation(|variation| {
        let (mut world, host) = call(variation, [0, 0]);
        let (before, since) = (world.side(0).packets.len(), world.side(0).events.len());
        world.simulation.jump_clock(host, Duration::from_hours(1));
        world.wait(secs(1));
        assert_one_end(&world, before, since);
        assert_restarts(&mut world, variation.offerer);
    });
}

/// The same with four pairs. What has lost its consent is not used again; of the others, of which none has
/// consent any more either, one is checked and takes over.
#[test]
fn scenario_40_jump_of_an_hour_with_other_pairs() {
    for_each_variation(|variation| {
        let (mut world, host) = call(variation, [1, 1]);
        let (before, since) = (world.side(0).packets.len(), world.side(0).events.len());
        let shown = world.side(0).packets.last().unwrap().at;
        world.simulation.jump_clock(host, Duration::from_hours(1));
        let jumped = shown + Duration::from_hours(1);
        world.wait(millis(1));
        let lost = world.side(0).selected();
        assert_eq!(lost, None, "consent lasts an hour");
        let again = |[zero, _]: [&AgentHost; 2]| zero.state() != State::Checking;
        let limit = if variation.is_calm() {
            2 * world.round_trip
        } else {
            secs(20)
        };
        let works = world.run_until(limit, again);
        assert!(works, "{:?}", world.side(0).state());
        world.wait(secs(5));
        let side = world.side(0);
        assert_eq!(side.failed(), None);
        assert!(ends(side, since) <= 1, "{:?}", &side.events[since..]);
        assert!(after(side, before, jumped), "data without consent");
        assert_paced(side, before);
        let checks = side.packets[before..].iter();
        let checks = checks.filter(|it| it.sent && it.is_check()).count();
        // Seven of each of four pairs, and one for consent.
        assert!(checks <= 28 + 1, "{checks} checks");
    });
}

/// Whether all data since a jump went where an answer has come from after it.
fn after(side: &AgentHost, before: usize, jumped: Instant) -> bool {
    let mut answered = Vec::new();
    side.packets[before..].iter().all(|packet| {
        if packet.is_success() && !packet.sent {
            answered.push(packet.pair());
        }
        let unproven = packet.sent && packet.is_data() && packet.at >= jumped;
        !unproven || answered.contains(&packet.pair())
    })
}

/// Ten minutes asleep: both have lost consent when the host wakes up.
#[test]
fn scenario_40_asleep_for_ten_minutes() {
    for_each_variation(|variation| {
        let (mut world, host) = call(variation, [0, 0]);
        let (before, since) = (world.side(0).packets.len(), world.side(0).events.len());
        let slept = world.now();
        world.simulation.sleep(host);
        world.wait(Duration::from_mins(10));
        // The other one has given up, and has not called for ever.
        let other = world.side(1);
        assert!(other.failed().is_some(), "{:?}", other.state());
        let sent = other.sent().filter(|packet| packet.at > slept).count();
        assert!(sent <= 250, "{sent} packets to a host that sleeps");
        world.simulation.wake(host);
        world.wait(secs(1));
        assert_one_end(&world, before, since);
        assert_restarts(&mut world, variation.offerer);
    });
}

/// Twenty seconds in which time stands still for one host: it answers, and goes on from there.
#[test]
fn scenario_40_time_stands_still() {
    for_each_variation(|variation| {
        let (mut world, host) = call(variation, [0, 0]);
        let since = events(&world);
        let before = world.side(0).packets.len();
        world.simulation.stop_clock(host);
        world.wait(secs(20));
        let side = world.side(0);
        let sent = side.packets[before..].iter().filter(|it| it.sent);
        let sent: Vec<_> = sent.collect();
        assert!(
            sent.iter().all(|it| it.is_success()),
            "it has begun something at a time that does not move: {sent:?}"
        );
        assert!(!sent.is_empty() && sent.len() <= 10);
        world.simulation.start_clock(host);
        assert_goes_on(&mut world, since);
        assert_paced(world.side(0), before);
    });
}

/// A clock that is turned back: for as long it stands still, and nothing is sent twice.
#[test]
fn scenario_40_time_goes_back() {
    for_each_variation(|variation| {
        let (mut world, host) = call(variation, [0, 0]);
        let since = events(&world);
        world.simulation.turn_back_clock(host, secs(5));
        world.wait(secs(10));
        assert_goes_on(&mut world, since);
    });
}

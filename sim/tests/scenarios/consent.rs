//! Rows 31 to 33: data goes only to a peer that says it wants it, and for as long as it does.

use floe_ice::{Event, FailureCause};
use floe_sansio::Instant;
use floe_sim::{Fate, Purpose, Random, entity};
use floe_stun::StatusCode;

use crate::common::{AgentHost, Stun, Variation, World, for_each_variation, forgery, millis, secs};

/// How often a side sends media here.
const TICK: core::time::Duration = millis(200);

/// A call that goes on for some seconds.
fn call(variation: Variation) -> World {
    let mut world = variation.open().with_media(TICK).settled();
    world.assert_connected();
    world.wait(secs(6));
    world
}

/// When a side has last sent data.
fn last_data(side: &AgentHost) -> Instant {
    let data = side.sent().filter(|packet| packet.is_data());
    data.last().unwrap().at
}

/// When a check of a side was last answered.
fn last_answer(side: &AgentHost) -> Instant {
    let answers = side.received().filter(|packet| packet.is_success());
    answers.last().unwrap().at
}

/// Row 31, RFC 7675 §5.1: the answers to side 0 are lost, and nothing else. Media and checks that go on
/// coming from the peer are no consent: 30 s after the last answer it gets nothing more.
#[test]
fn scenario_31_answers_lost_one_way() {
    for_each_variation(|variation| {
        let mut world = call(variation);
        let deaf = world.hosts[0];
        world.lose(usize::MAX, move |passing, stun| {
            passing.to == deaf && stun.is_success()
        });
        let cut = world.now();
        let failed = world.run_until(secs(60), |[zero, _]| zero.failed().is_some());
        assert!(failed, "it goes on: {:?}", world.side(0).state());
        let side = world.side(0);
        let (answered, stopped) = (last_answer(side), last_data(side));
        assert!(answered <= cut);
        let end = answered + secs(30);
        assert!(
            stopped <= end,
            "data {:?} after consent",
            stopped.since(end)
        );
        assert!(end.since(stopped) <= TICK, "it stopped at {stopped:?}");
        // The peer was there all the time, until nobody answered it any more.
        assert!(side.heard.last().unwrap().0 + 5 * TICK >= end);
        let asked = side
            .received()
            .any(|packet| packet.is_check() && packet.at > cut + secs(5));
        assert!(asked, "the peer did not ask");
        // Who has failed answers nothing: the peer stops, too.
        let failed = world.run_until(secs(60), |[_, one]| one.failed().is_some());
        assert!(failed, "it goes on: {:?}", world.side(1).state());
        let side = world.side(1);
        assert!(last_data(side) <= last_answer(side) + secs(30));
    });
}

/// Round trips of 600 ms and up to 1,400 ms more, each packet another one; and of 2 s.
fn slow(variation: Variation, jitter: bool) -> World {
    let mut plan = variation.open().with_media(secs(1));
    plan.round_trip = if jitter { millis(600) } else { secs(2) };
    let mut world = plan.build();
    if jitter {
        let random = Random::new(variation.seed);
        let mut index = 0;
        world.tap(move |_, _| {
            index += 1;
            let more = random.below(entity("slow"), Purpose::Scenario, index, 701);
            Fate::Hold(millis(more))
        });
    }
    world.offer();
    world.settle();
    world.assert_connected();
    world
}

/// Row 32, RFC 7675 §5.1: an answer counts however late it is, so slow paths stay. Where each answer is
/// lost for a fifth, some call loses all of 30 s; nothing else ends one.
#[test]
fn scenario_32_slow_answers() {
    for_each_variation(|variation| {
        for jitter in [true, false] {
            let mut world = slow(variation, jitter);
            let since = world.now() + secs(3);
            world.wait(secs(120));
            let ends = world.sides().map(AgentHost::failed);
            if variation.loss > 1
                && let Some((at, cause)) = ends.into_iter().flatten().min_by_key(|end| end.0)
            {
                assert_eq!(cause, FailureCause::ConsentExpired);
                let first = world
                    .sides()
                    .into_iter()
                    .find(|it| it.failed() == Some((at, cause)));
                assert_eq!(at, last_answer(first.unwrap()) + secs(30));
                continue;
            }
            world.assert_connected();
            for side in world.sides() {
                assert!(side.never_lost_its_pair(), "{:?}", side.states);
                let lost = |event: &Event| matches!(event, Event::Disconnected(_));
                assert_eq!(side.count(lost), 0);
                if variation.is_calm() {
                    assert!(side.heard_since(since) >= 115);
                }
            }
        }
    });
}

/// The next good answer to side 0 becomes a 403, signed with this password or not at all; the time is
/// when it comes.
fn forbid(world: &mut World, password: Option<String>) -> Instant {
    let before = world.side(0).packets.len();
    let refused = world.hosts[0];
    let mut done = false;
    world.tap(move |_, passing| {
        let answer = Stun::read(&passing.payload).filter(Stun::is_success);
        if let Some(answer) = answer.filter(|_| passing.to == refused && !done) {
            done = true;
            let code = StatusCode::FORBIDDEN;
            passing.payload = forgery::error(answer.id, code, password.as_deref()).into();
        }
        Fate::Pass
    });
    let came = world.run_until(secs(30), |[zero, _]| {
        let mut new = zero.packets[before..].iter();
        new.any(|packet| !packet.sent && packet.stun.is_some_and(|stun| stun.is_error()))
    });
    assert!(came, "nothing was refused");
    world.now()
}

/// Row 33, RFC 7675 §5.2: an authentic 403 takes consent back at once, whatever other pairs there are.
#[test]
fn scenario_33_consent_revoked() {
    for_each_variation(|variation| {
        let mut plan = variation.open().with_media(TICK);
        plan.further_addresses = [1, 1];
        let mut world = plan.settled();
        world.assert_connected();
        world.wait(secs(6));
        let password = world.password(1);
        let at = forbid(&mut world, Some(password));
        assert_eq!(
            world.side(0).failed(),
            Some((at, FailureCause::ConsentExpired))
        );
        world.wait(secs(20));
        assert!(last_data(world.side(0)) <= at);
    });
}

/// RFC 8489 §9.1.4: anybody can write 403.
#[test]
fn scenario_33_a_forged_403_revokes_nothing() {
    for_each_variation(|variation| {
        for password in [None, Some("a guess, of 22 letters".to_owned())] {
            let mut world = call(variation);
            let at = forbid(&mut world, password);
            world.wait(secs(20));
            if variation.loss < 10 {
                world.assert_connected();
            }
            let side = world.side(0);
            if variation.loss < 10 {
                assert!(side.never_lost_its_pair(), "{:?}", side.states);
            }
            // What is lost at random may take 30 s of answers with it, the forged one nothing.
            let end = (at + secs(20)).min(last_answer(side) + secs(30));
            assert!(last_data(side) + TICK >= end);
        }
    });
}

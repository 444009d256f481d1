//! Restarts of ICE (RFC 8839 §4.4, RFC 8445 §9, RFC 9429 §5.2.3.1).

mod common;

use std::time::Duration;

use common::*;
use floe_peer::{
    CommandError, Config, Connection, Error, Event, IceCandidate, NegotiationError, Role,
    SignalingState, State,
};
use floe_stun::{Class, Message, Protocol, Username};

fn attribute<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let values = text
        .lines()
        .filter_map(|line| line.strip_prefix("a=")?.strip_prefix(name));
    values.collect()
}

fn ufrag(text: &str) -> &str {
    attribute(text, "ice-ufrag:")[0]
}

/// Two connections that have selected a pair.
fn working() -> Pair {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.exchange(0);
    pair.settle();
    pair.assert_works();
    for events in &mut pair.events {
        events.clear();
    }
    pair.sent.clear();
    pair
}

/// Data of both sides every 10 ms for so long; all of it arrives.
fn talk(pair: &mut Pair, time: Duration) {
    let until = pair.now + time;
    let mut sent = 0;
    for data in &mut pair.data {
        data.clear();
    }
    while pair.now < until {
        for side in [0, 1] {
            pair.send(side, b"still here");
        }
        sent += 1;
        pair.run_for(Duration::from_millis(10));
    }
    pair.run_for(Duration::from_millis(20));
    for data in &pair.data {
        assert_eq!(data.len(), sent, "no packet is lost");
    }
}

/// The ufrags that checks were sent to.
fn checked(pair: &Pair) -> Vec<String> {
    let mut all: Vec<String> = pair
        .sent
        .iter()
        .filter(|(_, bytes)| Protocol::of(bytes) == Protocol::Stun)
        .filter_map(|(_, bytes)| {
            let message = Message::parse(bytes).ok()?;
            if message.class() != Class::Request {
                return None;
            }
            let name = message.get::<Username>().ok()??;
            Some(name.0.split(':').next()?.to_string())
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Either side restarts, again and again: all credentials are new each time, the roles stay, data
/// goes on without a gap, and in the end both have selected a pair of the new generation.
///
/// req: ICESDP-4.4.3.1-1, ICESDP-4.4.3.1.1-1, ICESDP-4.4.1.1.1-1, ICESDP-4.4.1.1.1-4, JSEP-5.2.3.1-1
#[test]
fn a_restart_from_either_side_finds_a_new_pair_while_data_goes_on() {
    let mut pair = working();
    let mut known = Vec::new();
    for (number, offerer) in [0, 1, 1, 0].into_iter().enumerate() {
        let roles = [pair.peers[0].role(), pair.peers[1].role()];
        pair.peers[offerer].restart_ice(pair.now).unwrap();
        let offer = pair.offer(offerer);
        talk(&mut pair, Duration::from_millis(50));
        let answer = pair.answer(1 - offerer);
        for text in [&offer, &answer] {
            for name in ["ice-ufrag:", "ice-pwd:"] {
                let value = attribute(text, name).concat();
                assert!(!known.contains(&value), "{name}");
                known.push(value);
            }
        }
        assert!(!pair.peers[offerer].offer_restarts());
        for peer in &pair.peers {
            assert_eq!(peer.generation(), number as u32 + 1);
            assert_eq!(peer.selected(), None, "the lists are empty");
        }
        talk(&mut pair, Duration::from_secs(1));
        pair.settle();
        pair.assert_works();
        assert_eq!([pair.peers[0].role(), pair.peers[1].role()], roles);
        for events in &mut pair.events {
            let selected = events.iter().filter(|it| matches!(it, Event::Selected(_)));
            assert_eq!(selected.count(), 1);
            let failed = |it: &&Event| matches!(it, Event::Failed(_) | Event::Disconnected);
            assert_eq!(events.iter().filter(failed).count(), 0);
            events.clear();
        }
    }
    assert_eq!(pair.refused, []);
}

/// Without a restart the next exchange changes nothing; before the first one there is nothing to
/// restart.
///
/// req: JSEP-5.2.3.1-1
#[test]
fn a_restart_needs_a_session_and_holds_for_one_exchange() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.peers[0].restart_ice(pair.now).unwrap();
    assert!(!pair.peers[0].offer_restarts());
    let (first, _) = pair.exchange(0);
    let (second, _) = pair.exchange(0);
    assert_eq!(ufrag(&first), ufrag(&second));
    pair.peers[0].restart_ice(pair.now).unwrap();
    let (third, _) = pair.exchange(0);
    let (fourth, _) = pair.exchange(0);
    assert_ne!(ufrag(&second), ufrag(&third));
    assert_eq!(ufrag(&third), ufrag(&fourth));
    // The other side's restart does it as well.
    for peer in &mut pair.peers {
        peer.restart_ice(NOW).unwrap();
    }
    pair.exchange(1);
    assert!(!pair.peers[0].offer_restarts() && !pair.peers[1].offer_restarts());
    pair.settle();
    pair.assert_works();
}

/// Both descriptions of a restart have the candidates that stay good, and no word of a selected pair;
/// what is found again is not signalled again.
///
/// req: ICESDP-7.5-1, ICESDP-4.4.2.1-1, ICESDP-5.2-2
#[test]
fn descriptions_of_a_restart_have_the_candidates_in_use_and_gathering_begins_again() {
    let mut pair = working();
    pair.peers[0].restart_ice(pair.now).unwrap();
    let (offer, answer) = pair.exchange(0);
    for (text, address) in [(&offer, "192.0.2.1 1000"), (&answer, "192.0.2.2 2000")] {
        let listed = attribute(text, "candidate:");
        assert_eq!(listed.len(), 1);
        assert!(listed[0].contains(address), "{listed:?}");
        assert!(!text.contains("remote-candidates") && !text.contains("end-of-candidates"));
    }
    pair.settle();
    for (side, text) in [(0, &offer), (1, &answer)] {
        let signalled = candidates(&pair.events[side]);
        assert_eq!(signalled.len(), 1, "the end alone");
        assert_eq!(signalled[0].candidate, "");
        assert_eq!(signalled[0].username_fragment.as_deref(), Some(ufrag(text)));
        let gathered = pair.events[side].iter();
        let gathered = gathered.filter(|it| **it == Event::GatheringComplete);
        assert_eq!(gathered.count(), 1);
    }
    pair.assert_works();
}

/// Until the answer has come, nothing of the old generation has ended: its candidates and checks
/// count. A rollback on both sides leaves it at that, and the next offer restarts still.
///
/// req: JSEP-5.7-1, JSEP-4.1.10-1
#[test]
fn a_rollback_leaves_the_old_generation_in_force() {
    for told in [0, 1] {
        rolled_back(told);
    }
}

fn rolled_back(told: usize) {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.trickle = false;
    let (first, _) = pair.exchange(0);
    pair.drain();
    let trickled = [0, 1].map(|side| candidates(&pair.events[side]));
    pair.peers[0].restart_ice(pair.now).unwrap();
    let offer = pair.offer(0);
    assert_ne!(ufrag(&offer), ufrag(&first));
    // Candidates of the generation in force, while another one is offered: this side alone can find
    // the way.
    for candidate in &trickled[1 - told] {
        let taken = pair.peers[told].add_ice_candidate(NOW, candidate);
        assert_eq!(taken, Ok(()));
    }
    let _ = pair.peers[1].create_answer(NOW).unwrap();
    for peer in &mut pair.peers {
        peer.rollback().unwrap();
        assert_eq!(peer.signaling_state(), SignalingState::Stable);
        assert_eq!(peer.generation(), 0);
    }
    pair.settle();
    pair.assert_works();
    assert!(!checked(&pair).contains(&ufrag(&offer).to_string()));
    // An exchange from the other side goes on with the first generation, whatever was wanted here.
    let (_, answer) = pair.exchange(1);
    assert_eq!(ufrag(&answer), ufrag(&first));
    assert!(pair.peers[0].offer_restarts());
    let (again, _) = pair.exchange(0);
    assert!(![ufrag(&first), ufrag(&offer)].contains(&ufrag(&again)));
    talk(&mut pair, Duration::from_millis(500));
    pair.settle();
    pair.assert_works();
}

/// Both restart at once. One gives its offer up and answers the other's: one generation begins, and
/// not a packet is lost.
///
/// req: ICESDP-4.4.3.1-1, JSEP-4.1.10.2-1
#[test]
fn restarts_that_meet_become_one() {
    for polite in [0, 1] {
        let mut pair = working();
        let mut offers = Vec::new();
        for peer in &mut pair.peers {
            peer.restart_ice(NOW).unwrap();
            let offer = peer.create_offer(pair.now).unwrap();
            peer.set_local_description(pair.now, Offer, &offer).unwrap();
            offers.push(offer);
        }
        let now = pair.now;
        for side in [0, 1] {
            let theirs = offers[1 - side].as_bytes();
            let met = pair.peers[side].set_remote_description(now, Offer, theirs);
            assert_eq!(met, Err(Error::Negotiation(NegotiationError::Glare)));
        }
        talk(&mut pair, Duration::from_millis(50));
        pair.peers[polite].rollback().unwrap();
        let theirs = offers[1 - polite].as_bytes();
        pair.peers[polite]
            .set_remote_description(now, Offer, theirs)
            .unwrap();
        let answer = pair.answer(polite);
        assert_ne!(
            ufrag(&answer),
            ufrag(&offers[polite]),
            "that one was given up"
        );
        talk(&mut pair, Duration::from_secs(1));
        pair.settle();
        pair.assert_works();
        for peer in &pair.peers {
            assert_eq!(peer.generation(), 1);
            assert!(!peer.offer_restarts());
        }
        let given_up = ufrag(&offers[polite]).to_string();
        assert!(!checked(&pair).contains(&given_up));
    }
}

fn host(address: &str, ufrag: &str) -> IceCandidate {
    IceCandidate {
        candidate: format!("candidate:7 1 udp 2113937151 {address} typ host"),
        sdp_mid: Some("0".into()),
        sdp_mline_index: None,
        username_fragment: Some(ufrag.into()),
    }
}

/// The description without candidates, as one that was made before there were any.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    for line in text.lines().filter(|line| !line.starts_with("a=candidate")) {
        bare.push_str(line);
        bare.push_str("\r\n");
    }
    for (port, address) in [("1000", "192.0.2.1"), ("2000", "192.0.2.2")] {
        bare = bare
            .replace(&format!("m=application {port} "), "m=application 9 ")
            .replace(&format!("c=IN IP4 {address}"), "c=IN IP4 0.0.0.0");
    }
    bare
}

/// A description of a restart is overtaken by a candidate that belongs to it, or followed by one before
/// the exchange is finished: the candidate waits, and is used.
///
/// req: TRICKLE-9-2, TRICKLESDP-4.1.2-1
#[test]
fn candidates_of_the_next_generation_wait_for_it_to_begin() {
    for told in [0, 1] {
        for overtakes in [true, false] {
            candidate_waits(told, overtakes);
        }
    }
}

/// `told` has nothing but the candidate: the other side's checks are lost.
fn candidate_waits(told: usize, overtakes: bool) {
    let mut pair = working();
    pair.peers[0].restart_ice(pair.now).unwrap();
    let now = pair.now;
    let offer = pair.peers[0].create_offer(now).unwrap();
    pair.peers[0]
        .set_local_description(now, Offer, &offer)
        .unwrap();
    let address = ["192.0.2.2 2000", "192.0.2.1 1000"][told];
    let never = host("192.0.2.66 6666", "neverseen");
    let tell = |pair: &mut Pair, text: &str| {
        let before = pair.peers[told].retained();
        for candidate in [&host(address, ufrag(text)), &never] {
            assert_eq!(pair.peers[told].add_ice_candidate(now, candidate), Ok(()));
        }
        assert_eq!(pair.peers[told].retained(), before + 2);
        assert_eq!(pair.peers[told].generation(), 0, "nothing has begun");
    };
    if (told, overtakes) == (1, true) {
        tell(&mut pair, &offer);
    }
    pair.peers[1]
        .set_remote_description(now, Offer, bare(&offer).as_bytes())
        .unwrap();
    if (told, overtakes) == (1, false) {
        tell(&mut pair, &offer);
    }
    let answer = pair.peers[1].create_answer(now).unwrap();
    let kinds: &[_] = if overtakes {
        &[Answer]
    } else {
        &[Pranswer, Answer]
    };
    for &kind in kinds {
        pair.peers[1]
            .set_local_description(now, kind, &answer)
            .unwrap();
        if (told, overtakes) == (0, true) {
            tell(&mut pair, &answer);
        }
        pair.peers[0]
            .set_remote_description(now, kind, bare(&answer).as_bytes())
            .unwrap();
        if (told, kind) == (0, Pranswer) {
            tell(&mut pair, &answer);
        }
    }
    pair.loses = if told == 0 {
        |path, bytes| path.local.port() == 2000 && is_request(bytes)
    } else {
        |path, bytes| path.local.port() == 1000 && is_request(bytes)
    };
    pair.run_for(Duration::from_secs(1));
    let theirs = ufrag([&answer, &offer][told]).to_string();
    assert!(checked(&pair).contains(&theirs), "{told} {overtakes}");
    pair.loses = |_, _| false;
    pair.settle();
    pair.assert_works();
    let to = |(path, _): &(floe_sansio::FiveTuple, Vec<u8>)| path.remote.port() == 6666;
    assert!(!pair.sent.iter().any(to));
}

fn is_request(bytes: &[u8]) -> bool {
    let message = Message::parse(bytes).ok();
    Protocol::of(bytes) == Protocol::Stun
        && message.is_some_and(|message| message.class() == Class::Request)
}

/// Gathering begins again: the end of candidates is told when it has ended again, and not before.
///
/// req: ICESDP-7.5-1, TRICKLE-13-1
#[test]
fn the_end_of_candidates_is_that_of_the_new_generation() {
    let side = |address: &str, seed| {
        let mut config = Config::data_channel(identity(seed));
        config.addresses = vec![address.parse().unwrap()];
        // It does not answer.
        config.stun_servers = vec!["198.51.100.1:3478".parse().unwrap()];
        Connection::new(config, [seed; 32], NOW).unwrap()
    };
    let mut pair = Pair::of([side(HERE, 1), side(THERE, 2)]);
    pair.exchange(0);
    pair.run_for(Duration::from_secs(10));
    pair.assert_works();
    pair.events = Default::default();
    pair.peers[0].restart_ice(pair.now).unwrap();
    let (offer, _) = pair.exchange(0);
    // A selected pair would end it at once.
    pair.loses = |_, bytes| is_request(bytes);
    pair.run_for(Duration::from_secs(1));
    let end = |pair: &Pair| {
        let all = candidates(&pair.events[0]);
        let ends = all.into_iter().filter(|it| it.candidate.is_empty());
        ends.map(|it| it.username_fragment.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(end(&pair), [""; 0]);
    let again = pair.peers[0].create_offer(pair.now).unwrap();
    assert!(!again.contains("a=end-of-candidates"));
    pair.run_for(Duration::from_secs(5));
    assert_eq!(end(&pair), [ufrag(&offer)]);
    let again = pair.peers[0].create_offer(pair.now).unwrap();
    assert!(again.contains("a=end-of-candidates"));
}

/// A hundred wait and no more, and none that is longer than candidates are.
#[test]
fn candidates_of_unknown_generations_are_bounded() {
    let mut pair = working();
    let now = pair.now;
    let full = Err(Error::Ice(CommandError::Capacity));
    let peer = &mut pair.peers[0];
    let before = peer.retained();
    let mut long = host("192.0.2.9 9", "next");
    long.candidate.push_str(&" x y".repeat(300));
    assert_eq!(peer.add_ice_candidate(now, &long), full);
    for port in 1..=100 {
        let one = host(&format!("192.0.2.9 {port}"), &format!("next{port}"));
        assert_eq!(peer.add_ice_candidate(now, &one), Ok(()));
    }
    for port in 1..=1000 {
        let one = host(&format!("192.0.2.9 {port}"), "next");
        assert_eq!(peer.add_ice_candidate(now, &one), full);
    }
    assert_eq!(peer.retained(), before + 100);
    assert_eq!(drain_events(peer), []);
}

/// Candidates of a generation that is over, however many restarts ago, are dropped and counted.
///
/// req: TRICKLE-9-2
#[test]
fn candidates_of_an_old_generation_are_dropped_and_counted() {
    let mut pair = working();
    let mut old = Vec::new();
    for _ in 0..3 {
        pair.peers[0].restart_ice(pair.now).unwrap();
        let before = pair.peers[1].create_offer(pair.now).unwrap();
        old.push(ufrag(&before).to_string());
        pair.exchange(0);
        pair.settle();
    }
    pair.assert_works();
    let now = pair.now;
    let peer = &mut pair.peers[0];
    assert_eq!(peer.stale_candidates(), 0);
    let retained = peer.retained();
    for (number, ufrag) in old.iter().enumerate() {
        let late = host("192.0.2.66 6666", ufrag);
        assert_eq!(peer.add_ice_candidate(now, &late), Ok(()));
        let mut end = late;
        end.candidate.clear();
        assert_eq!(peer.add_ice_candidate(now, &end), Ok(()));
        assert_eq!(peer.stale_candidates(), 2 * (number as u64 + 1));
    }
    assert_eq!(peer.retained(), retained);
    assert_eq!(drain_events(peer), []);
    pair.sent.clear();
    pair.settle();
    let to = |(path, _): &(floe_sansio::FiveTuple, Vec<u8>)| path.remote.port() == 6666;
    assert!(!pair.sent.iter().any(to));
}

/// Checks of the old generation, sent before the peer knew better, are answered while the new one is
/// looking for its pair.
///
/// req: ICESDP-4.4.3.1.1-1
#[test]
fn the_old_generation_is_answered_until_the_new_one_has_selected() {
    let mut pair = working();
    pair.peers[0].restart_ice(pair.now).unwrap();
    let offer = pair.peers[0].create_offer(pair.now).unwrap();
    let now = pair.now;
    pair.peers[0]
        .set_local_description(now, Offer, &offer)
        .unwrap();
    pair.peers[1]
        .set_remote_description(now, Offer, offer.as_bytes())
        .unwrap();
    let answer = pair.peers[1].create_answer(now).unwrap();
    pair.peers[1]
        .set_local_description(now, Answer, &answer)
        .unwrap();
    // The answer takes half a minute: one side is in the next generation, the other is not, and
    // consent lasts 30 s.
    talk(&mut pair, Duration::from_secs(35));
    let now = pair.now;
    pair.peers[0]
        .set_remote_description(now, Answer, answer.as_bytes())
        .unwrap();
    talk(&mut pair, Duration::from_secs(1));
    pair.settle();
    pair.assert_works();
    assert_eq!(pair.peers[0].generation(), 1);
}

/// What has failed begins again.
///
/// req: ICESDP-4.4.1.1.1-1
#[test]
fn a_connection_that_has_failed_works_after_a_restart() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.trickle = false;
    pair.exchange(0);
    // No candidates came.
    pair.run_for(Duration::from_secs(120));
    for peer in &mut pair.peers {
        assert!(matches!(peer.ice_state(), State::Failed(_)));
        peer.restart_ice(NOW).unwrap();
    }
    pair.trickle = true;
    pair.exchange(1);
    pair.settle();
    pair.assert_works();
    for peer in &pair.peers {
        assert_eq!(peer.generation(), 1);
    }
}

/// A provisional answer begins nothing; the final one does.
#[test]
fn the_final_answer_begins_the_generation() {
    let mut pair = working();
    pair.peers[0].restart_ice(pair.now).unwrap();
    pair.offer(0);
    let now = pair.now;
    let answer = pair.peers[1].create_answer(now).unwrap();
    pair.peers[1]
        .set_local_description(now, Pranswer, &answer)
        .unwrap();
    pair.peers[0]
        .set_remote_description(now, Pranswer, answer.as_bytes())
        .unwrap();
    talk(&mut pair, Duration::from_millis(100));
    assert_eq!([0, 1].map(|side| pair.peers[side].generation()), [0, 0]);
    let now = pair.now;
    pair.peers[1]
        .set_local_description(now, Answer, &answer)
        .unwrap();
    pair.peers[0]
        .set_remote_description(now, Answer, answer.as_bytes())
        .unwrap();
    assert_eq!([0, 1].map(|side| pair.peers[side].generation()), [1, 1]);
    talk(&mut pair, Duration::from_secs(1));
    pair.settle();
    pair.assert_works();
}

/// The answer to a restart that does not restart, or restarts what was not offered, is refused, and
/// nothing has changed.
///
/// req: ICESDP-4.4.2.1-2, JSEP-5.10-1
#[test]
fn an_answer_restarts_if_the_offer_does() {
    let mut pair = working();
    let now = pair.now;
    pair.offer(0);
    let plain = pair.peers[1].create_answer(now).unwrap();
    let other = plain.replace(ufrag(&plain), "otherone").replace(
        attribute(&plain, "ice-pwd:")[0],
        "otherotherotherotherother",
    );
    let before = looks(&pair.peers[0]);
    let refused = pair.peers[0].set_remote_description(now, Answer, other.as_bytes());
    assert!(refused.is_err());
    assert_eq!(looks(&pair.peers[0]), before);
    pair.peers[0].rollback().unwrap();
    pair.peers[1].rollback().unwrap();
    pair.peers[0].restart_ice(pair.now).unwrap();
    let offer = pair.peers[0].create_offer(now).unwrap();
    pair.peers[0]
        .set_local_description(now, Offer, &offer)
        .unwrap();
    let before = looks(&pair.peers[0]);
    let refused = pair.peers[0].set_remote_description(now, Answer, plain.as_bytes());
    assert!(refused.is_err());
    assert_eq!(looks(&pair.peers[0]), before);
    pair.peers[0].rollback().unwrap();
    pair.settle();
    pair.assert_works();
}

/// After a restart roles are still those of the agents, not those of who offers.
///
/// req: ICE-6.1.1-2
#[test]
fn a_restart_from_the_controlled_side_leaves_it_controlled() {
    let mut pair = working();
    pair.peers[1].restart_ice(pair.now).unwrap();
    pair.exchange(1);
    assert_eq!(pair.peers[1].role(), Role::Controlled);
    pair.settle();
    pair.assert_works();
    assert_eq!(pair.peers[1].role(), Role::Controlled);
}

/// A closed connection restarts nothing.
#[test]
fn a_closed_connection_does_not_restart() {
    let mut config = Config::data_channel(identity(1));
    config.addresses = vec![HERE.parse().unwrap()];
    let mut peer = Connection::new(config, [1; 32], NOW).unwrap();
    peer.close(NOW);
    assert_eq!(peer.restart_ice(NOW), Err(Error::Ice(CommandError::Ended)));
}

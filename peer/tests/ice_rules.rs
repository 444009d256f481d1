//! What ICE says in descriptions, and what descriptions do to ICE (RFC 8839 §4).

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::*;
use floe_peer::{
    Config, Connection, Direction, Event, OfferReason, Policy, Role, SectionConfig, SendError,
    State,
};
use floe_sansio::FiveTuple;
use floe_stun::{Class, Message, Protocol, UseCandidate};

fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    let lines = text.lines();
    lines.filter(|line| line.starts_with(start)).collect()
}

fn stun(bytes: &[u8]) -> Option<Message<'_>> {
    let is_stun = Protocol::of(bytes) == Protocol::Stun;
    Message::parse(bytes).ok().filter(|_| is_stun)
}

fn is_request(bytes: &[u8]) -> bool {
    stun(bytes).is_some_and(|message| message.class() == Class::Request)
}

fn offers_needed(pair: &mut Pair, reason: OfferReason) -> [usize; 2] {
    let wanted = Event::OfferNeeded(reason);
    [0, 1].map(|side| {
        let events = pair.events[side].iter();
        events.filter(|it| **it == wanted).count()
    })
}

/// What somebody makes of descriptions on their way.
struct Carrier(fn(&str) -> String);

impl Carrier {
    fn carry(&self, pair: &mut Pair, from: usize) -> (String, String) {
        let offer = self.offer(pair, from);
        let now = pair.now;
        let [one, two] = &mut pair.peers;
        let (to, from) = if from == 0 { (two, one) } else { (one, two) };
        let answer = to.create_answer(now).unwrap();
        to.set_local_description(now, Answer, &answer).unwrap();
        let carried = (self.0)(&answer);
        from.set_remote_description(now, Answer, carried.as_bytes())
            .unwrap();
        (offer, answer)
    }

    fn offer(&self, pair: &mut Pair, from: usize) -> String {
        let now = pair.now;
        let offer = pair.peers[from].create_offer(now).unwrap();
        pair.peers[from]
            .set_local_description(now, Offer, &offer)
            .unwrap();
        let carried = (self.0)(&offer);
        pair.peers[1 - from]
            .set_remote_description(now, Offer, carried.as_bytes())
            .unwrap();
        offer
    }
}

/// As an agent of RFC 5245 writes it.
const OLD: Carrier = Carrier(|text| text.replace(" ice2", ""));
const WHOLE: Carrier = Carrier(|text| text.into());

/// The offer is out, no answer has come: the other side's checks are answered.
///
/// req: ICESDP-4.2.4-1
#[test]
fn checks_are_answered_from_the_moment_the_offer_is_made() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.offer(0);
    let answer = pair.peers[1].create_answer(NOW).unwrap();
    pair.peers[1]
        .set_local_description(NOW, Answer, &answer)
        .unwrap();
    pair.run_for(Duration::from_millis(100));
    let here: SocketAddr = HERE.parse().unwrap();
    let answered = |(path, bytes): &&(FiveTuple, Vec<u8>)| {
        path.local == here && stun(bytes).is_some_and(|it| it.class() == Class::Success)
    };
    assert!(pair.sent.iter().filter(answered).count() > 0);
    assert_eq!(pair.peers[0].ice_state(), State::New);
}

/// The selected pair is not what the descriptions have, since they were made before there were
/// candidates. A peer that knows no better is to be told, by the controlling side and once.
///
/// req: ICESDP-4.3.4-1, ICESDP-4.3.4-2
#[test]
fn a_selected_pair_that_is_not_in_the_descriptions_wants_an_offer_for_old_peers() {
    for (carrier, gathered, wanted) in [
        (OLD, false, [1, 0]),
        (OLD, true, [0, 0]),
        (WHOLE, false, [0, 0]),
    ] {
        let mut pair = Pair::new(vec![data()], vec![data()]);
        if gathered {
            for peer in &mut pair.peers {
                peer.gather(NOW);
            }
        }
        carrier.carry(&mut pair, 0);
        pair.settle();
        pair.assert_works();
        assert_eq!(offers_needed(&mut pair, OfferReason::Alignment), wanted);
        // The next offer has it, whoever makes it and whatever the peer is.
        for from in [0, 1] {
            let (offer, answer) = carrier.carry(&mut pair, from);
            for (side, text) in [(from, &offer), (1 - from, &answer)] {
                let (ip, port) = [("192.0.2.1", 1000), ("192.0.2.2", 2000)][side];
                assert_eq!(lines(text, "c="), [format!("c=IN IP4 {ip}")]);
                assert!(lines(text, "m=")[0].contains(&format!(" {port} ")));
            }
        }
        pair.settle();
        assert_eq!(offers_needed(&mut pair, OfferReason::Alignment), wanted);
    }
}

fn with_addresses(seed: u8, addresses: &[&str], set: fn(&mut Config)) -> Connection {
    let mut config = Config::data_channel(identity(seed));
    config.addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
    set(&mut config);
    Connection::new(config, [seed; 32], NOW).unwrap()
}

/// A better candidate comes after the nomination: it is not nominated.
///
/// req: ICESDP-4.3.4-4
#[test]
fn one_pair_is_nominated_until_ice_is_restarted() {
    let better = "192.0.2.2:2001";
    let strict = |config: &mut Config| config.ice = config.ice.clone().strict();
    let mut pair = Pair::of([
        with_addresses(1, &[HERE], strict),
        with_addresses(2, &[better, THERE], strict),
    ]);
    pair.homes[1].push(better.parse().unwrap());
    pair.trickle = false;
    // What is signalled of the other side: the worse candidate, and the better one when it is late.
    pair.exchange(0);
    pair.drain();
    let signalled = candidates(&pair.events[1]);
    let [first, second, _end] = &signalled[..] else {
        panic!("{signalled:?}");
    };
    assert!(first.candidate.contains(" 2001 ") && second.candidate.contains(" 2000 "));
    // Its own checks leave from the worse one too.
    pair.loses = |path, _| path.local.port() == 2001 || path.remote.port() == 2001;
    // A relay, for all that this side knows.
    let mut relay = second.clone();
    let hidden = " typ relay raddr 0.0.0.0 rport 9";
    relay.candidate = relay.candidate.replace(" typ host", hidden);
    pair.peers[0].add_ice_candidate(NOW, &relay).unwrap();
    pair.settle();
    let selected = pair.peers[0].selected().unwrap();
    assert_eq!(selected.remote.address, THERE.parse().unwrap());
    pair.loses = |_, _| false;
    let now = pair.now;
    let _ = pair.peers[0].add_ice_candidate(now, first);
    pair.run_for(Duration::from_secs(60));
    let nominated = |(path, bytes): &(FiveTuple, Vec<u8>)| {
        let nominates =
            stun(bytes).is_some_and(|it| it.get::<UseCandidate>().is_ok_and(|it| it.is_some()));
        nominates.then_some(path.remote)
    };
    let mut all: Vec<SocketAddr> = pair.sent.iter().filter_map(nominated).collect();
    all.dedup();
    assert_eq!(all, [THERE.parse().unwrap()]);
    assert_eq!(pair.peers[0].selected(), Some(selected));
}

/// Once it has completed, the controlling side says which candidate of the other side it uses, in
/// offers alone; the controlled side never does.
///
/// req: ICESDP-4.4.1.2.2-3, ICESDP-4.4.2-1, ICESDP-5.2-1, ICESDP-5.2-2
#[test]
fn offers_of_the_controlling_side_name_the_selected_remote_candidate() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    for from in [0, 0, 1] {
        let (offer, answer) = pair.exchange(from);
        assert!(!format!("{offer}{answer}").contains("remote-candidates"));
    }
    pair.settle();
    pair.assert_works();
    assert_eq!(pair.peers[0].role(), Role::Controlling);
    let (offer, answer) = pair.exchange(0);
    let named = lines(&offer, "a=remote-candidates");
    assert_eq!(named, ["a=remote-candidates:1 192.0.2.2 2000"]);
    assert!(!answer.contains("remote-candidates"));
    let (offer, answer) = pair.exchange(1);
    assert!(!format!("{offer}{answer}").contains("remote-candidates"));
    pair.assert_works();
}

/// Answers to the checks of the controlled side are lost: the controlling one has selected, and says
/// so in an offer that the other cannot confirm yet.
fn racing() -> Pair {
    let mut pair = Pair::of([
        with_addresses(1, &[HERE], |_| {}),
        with_addresses(2, &[THERE, "198.51.100.2:9000"], |_| {}),
    ]);
    pair.exchange(0);
    pair.loses = |path, bytes| {
        let answer = stun(bytes).is_some_and(|it| it.class() == Class::Success);
        path.local.port() == 1000 && answer
    };
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.peers[0].ice_state(), State::Completed);
    assert_eq!(pair.peers[1].selected(), None);
    pair
}

/// req: ICESDP-4.4.2-3, ICESDP-4.4.2-4
#[test]
fn an_answer_waits_for_the_checks_of_the_pair_that_the_offer_names() {
    let mut pair = racing();
    let offer = pair.offer(0);
    assert!(offer.contains("a=remote-candidates:1 192.0.2.2 2000"));
    assert!(!pair.peers[1].may_answer());
    // Made now, it says all that this side has.
    let early = pair.peers[1].create_answer(pair.now).unwrap();
    assert_eq!(lines(&early, "a=candidate").len(), 2);
    pair.loses = |_, _| false;
    pair.run_for(Duration::from_secs(5));
    let ready = pair.events[1].iter();
    assert_eq!(ready.filter(|it| **it == Event::AnswerReady).count(), 1);
    assert!(pair.peers[1].may_answer());
    let answer = pair.answer(1);
    let listed = lines(&answer, "a=candidate");
    assert_eq!(listed.len(), 1);
    assert!(listed[0].contains(" 192.0.2.2 2000 "), "{listed:?}");
    assert_eq!(lines(&answer, "c="), ["c=IN IP4 192.0.2.2"]);
    assert!(lines(&answer, "m=")[0].contains(" 2000 "));
    pair.settle();
    pair.assert_works();
    assert_eq!(offers_needed(&mut pair, OfferReason::Restart), [0, 0]);
}

/// The own check succeeded, and nothing is selected here yet: the answer has the named candidate.
///
/// req: ICESDP-4.4.2-4
#[test]
fn an_answer_has_the_candidate_that_the_offer_names() {
    let mut pair = Pair::of([
        with_addresses(1, &[HERE], |_| {}),
        with_addresses(2, &[THERE, "198.51.100.2:9000"], |_| {}),
    ]);
    pair.exchange(0);
    // The nomination never comes through.
    pair.loses = |_, bytes| {
        stun(bytes).is_some_and(|it| it.get::<UseCandidate>().is_ok_and(|it| it.is_some()))
    };
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.peers[1].ice_state(), State::Connected);
    let named =
        Carrier(|text| text.replace("a=mid:0", "a=mid:0\r\na=remote-candidates:1 192.0.2.2 2000"));
    let bare = |text: &str| lines(text, "a=candidate").len();
    let port = |text: &str| lines(text, "m=")[0].to_string();
    // The default destination of the offer is the one of the pair.
    named.offer(&mut pair, 0);
    assert!(pair.peers[1].may_answer());
    let answer = pair.peers[1].create_answer(pair.now).unwrap();
    assert_eq!(bare(&answer), 1);
    assert!(port(&answer).contains(" 2000 "));
    for peer in &mut pair.peers {
        peer.rollback().unwrap();
    }
    WHOLE.offer(&mut pair, 0);
    let answer = pair.peers[1].create_answer(pair.now).unwrap();
    assert_eq!(bare(&answer), 2);
}

/// Those checks fail: something is wrong between the two. The answer is as if nothing had been named,
/// and then ICE is restarted.
///
/// req: ICESDP-4.4.2-2
#[test]
fn a_named_pair_that_does_not_work_is_answered_and_restarted() {
    let mut pair = racing();
    // A partition, longer than a check is waited for, and shorter than consent lasts.
    pair.loses = |_, _| true;
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.peers[0].ice_state(), State::Completed);
    pair.offer(0);
    assert!(pair.peers[1].may_answer(), "there is nothing to wait for");
    let answer = pair.answer(1);
    assert_eq!(lines(&answer, "a=candidate").len(), 2);
    pair.drain();
    assert_eq!(offers_needed(&mut pair, OfferReason::Restart), [0, 1]);
    assert!(pair.peers[1].offer_restarts());
    pair.loses = |_, _| false;
    pair.exchange(1);
    assert_eq!(pair.peers[1].generation(), 1);
    pair.settle();
    pair.assert_works();
}

/// The last section goes, and ICE with it: no check, no data, no keepalive. Another section begins
/// anew.
///
/// req: ICESDP-4.4.3.1-2, ICESDP-4.4.3.1-3
#[test]
fn ice_ends_with_the_last_section_and_begins_with_the_next() {
    for stopping in [0, 1] {
        for selected in [true, false] {
            let mut pair = Pair::new(vec![data()], vec![data()]);
            let (first, _) = pair.exchange(0);
            pair.run_for(Duration::from_millis(if selected { 2000 } else { 0 }));
            pair.peers[stopping].stop_section(0).unwrap();
            // By the offer, or by the answer.
            let (offer, answer) = pair.exchange(0);
            let refused = |text: &str| lines(text, "m=")[0].starts_with("m=application 0 ");
            assert_eq!((refused(&offer), refused(&answer)), (stopping == 0, true));
            pair.drain();
            pair.sent.clear();
            let mut buffer = [0; 200];
            for peer in &mut pair.peers {
                assert_eq!((peer.ice_state(), peer.selected()), (State::New, None));
                let sent = peer.send(&mut buffer, 100..110);
                assert_eq!(sent, Err(SendError::NotConnected));
            }
            pair.run_for(Duration::from_secs(60));
            assert_eq!(pair.sent, [], "{stopping} {selected}");
            for peer in &mut pair.peers {
                assert_eq!(peer.add_section(data()), Ok(1));
            }
            let (again, _) = pair.exchange(1);
            let ufrag = |text: &str| lines(text, "a=ice-ufrag").concat();
            assert_ne!(ufrag(&first), ufrag(&again));
            assert!(lines(&again, "a=candidate").is_empty());
            for peer in &pair.peers {
                assert_eq!((peer.ice_state(), peer.selected()), (State::Checking, None));
            }
            pair.settle();
            pair.assert_works();
        }
    }
}

/// Nothing is sent, nothing received, no bandwidth: the path is kept open as any other.
///
/// req: ICESDP-6-1
#[test]
fn keepalives_do_not_ask_for_the_direction() {
    let starved = Carrier(|text| text.replace("a=mid:0", "b=AS:0\r\na=mid:0"));
    let checks = |direction: Direction, carrier: &Carrier| {
        let talk: fn(Direction) -> Vec<SectionConfig> = |direction| vec![audio(direction)];
        let mut pair = Pair::new(talk(direction), talk(Direction::SendRecv));
        let (_, answer) = carrier.carry(&mut pair, 0);
        assert!(answer.contains(&format!("a={}", direction.reversed().name())));
        pair.settle();
        pair.assert_works();
        pair.sent.clear();
        pair.run_for(Duration::from_secs(120));
        for peer in &pair.peers {
            assert_eq!(peer.ice_state(), State::Completed);
        }
        pair.sent
            .iter()
            .filter(|(_, bytes)| is_request(bytes))
            .count()
    };
    let usual = checks(Direction::SendRecv, &WHOLE);
    // Each side every 15 s at least.
    assert!(usual >= 16, "{usual}");
    for direction in [
        Direction::SendOnly,
        Direction::RecvOnly,
        Direction::Inactive,
    ] {
        assert_eq!(checks(direction, &WHOLE), usual, "{direction:?}");
    }
    assert_eq!(checks(Direction::Inactive, &starved), usual);
}

/// Who hides its own addresses does so in what its candidates are related to.
///
/// req: ICESDP-9.1-1
#[test]
fn hidden_related_addresses_are_all_zeros_with_port_9() {
    use floe_stun::{Builder, XorMappedAddress};
    for (here, server, mapped, hidden) in [
        (
            "192.0.2.1:1000",
            "198.51.100.1:3478",
            "203.0.113.7:4321",
            "raddr 0.0.0.0 rport 9",
        ),
        (
            "[2001:db8::1]:1000",
            "[2001:db8::99]:3478",
            "[2001:db8:7::7]:4321",
            "raddr :: rport 9",
        ),
    ] {
        let mut config = Config::data_channel(identity(1));
        config.addresses = vec![here.parse().unwrap()];
        config.stun_servers = vec![server.parse().unwrap()];
        config.policy = Policy::NoHost;
        let mut peer = Connection::new(config, [1; 32], NOW).unwrap();
        let offer = peer.create_offer(NOW).unwrap();
        peer.set_local_description(NOW, Offer, &offer).unwrap();
        let mut now = NOW;
        let request = loop {
            if let Some(request) = peer.poll_transmit() {
                break request;
            }
            now = peer.poll_timeout().unwrap();
            peer.handle_timeout(now);
        };
        let mut buffer = [0; 128];
        let message = Message::parse(&request.payload).unwrap();
        let answer = Builder::response(&mut buffer, &message, Class::Success)
            .with(&XorMappedAddress(mapped.parse().unwrap()))
            .finish_bytes()
            .unwrap();
        let _ = deliver(&mut peer, now, request.path, &answer);
        let signalled = candidates(&drain_events(&mut peer));
        assert_eq!(signalled.len(), 2, "{signalled:?}");
        assert!(signalled[0].candidate.contains(hidden), "{signalled:?}");
        let offer = peer.create_offer(now).unwrap();
        assert_eq!(lines(&offer, "a=candidate").len(), 1);
        let own = here.parse::<SocketAddr>().unwrap().ip().to_string();
        assert!(!offer.contains(&format!(" {own} ")));
    }
}

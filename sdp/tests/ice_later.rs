//! ICE in later offers and answers (RFC 8839 §4.4).

mod common;

use std::time::Duration;

use common::phone::{Phone, exchange, host, ice_lines, rule, starting, without_ice};
use common::{Answer, Offer, section};
use floe_sdp::ice::IceCredentials;
use floe_sdp::{Direction, Misuse, Violation, check_answer};

/// req: ICESDP-4.2.1.6-2, ICESDP-4.4.1.1.2-1, ICESDP-4.4.1.1.2-2
#[test]
fn a_section_that_is_removed_or_refused_says_nothing_of_ice() {
    let (mut alice, mut bob) = (Phone::new(1, 2), Phone::new(2, 2));
    alice.end_of_candidates = true;
    exchange(&mut alice, &mut bob);
    alice.negotiator.stop_section(1).unwrap();
    let (offer, answer) = exchange(&mut alice, &mut bob);
    // The answerer refuses by itself.
    bob.negotiator.stop_section(0).unwrap();
    let last = alice.offer();
    let refusal = bob.answer(&last);
    for (text, stream) in [(&offer, 1), (&answer, 1), (&refusal, 0)] {
        let lines = section(text, stream);
        assert!(lines[0].starts_with("m=audio 0 "), "{}", lines[0]);
        assert_eq!(ice_lines(&lines.join("\n")), [""; 0]);
    }
    assert_eq!(ice_lines(&section(&offer, 0).join("\n")).len(), 4);
}

/// req: ICESDP-4.4.1.1.1-2, ICESDP-4.4.1.1.1-3
#[test]
fn hold_is_a_direction_and_no_other_address() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    let (first, _) = exchange(&mut alice, &mut bob);
    for direction in [Direction::SendOnly, Direction::Inactive] {
        alice.negotiator.set_direction(0, direction).unwrap();
        let (held, _) = exchange(&mut alice, &mut bob);
        let lines = section(&held, 0);
        assert!(lines.contains(&&*format!("a={}", direction.name())));
        assert_eq!(lines[..2], section(&first, 0)[..2]);
        assert_eq!(lines[1], "c=IN IP4 192.0.2.1");
        assert_eq!(ice_lines(&held), ice_lines(&first));
    }
}

/// req: ICESDP-4.4.1.1.1-1, ICESDP-4.4.1.1.1-6, ICESDP-4.4.2.1-1
#[test]
fn a_restart_may_change_all_and_may_leave_the_candidates() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    exchange(&mut alice, &mut bob);
    alice.restart();
    bob.restart();
    alice.candidates[0] = vec![host(1, 9000)];
    alice.pacing = Some(Duration::from_millis(20));
    let offer = alice
        .offer()
        .replace("a=ice-options:trickle ice2", "a=ice-options:ice2");
    let taken = bob.negotiator.set_remote(Offer, offer.as_bytes()).unwrap();
    let transport = taken.transport().unwrap();
    assert!(transport.ice_restart);
    assert_eq!(transport.pacing, alice.pacing);
    // The same candidate as before.
    bob.pacing = Some(Duration::from_millis(30));
    let answer = bob.create_answer().unwrap();
    assert!(answer.contains("a=candidate:1 1 udp 2130706431 192.0.2.2 5000 typ host\r\n"));
    bob.negotiator.set_local(Answer, &answer).unwrap();
    alice.take_answer(&answer).unwrap();
    // From a full agent to a lite one.
    bob.restart();
    alice.restart();
    bob.lite = true;
    let offer = bob.offer();
    let taken = alice
        .negotiator
        .set_remote(Offer, offer.as_bytes())
        .unwrap();
    assert!(taken.transport().unwrap().lite);
    let answer = alice.create_answer().unwrap();
    alice.negotiator.set_local(Answer, &answer).unwrap();
    bob.take_answer(&answer).unwrap();
}

/// req: ICESDP-4.4.2.1-3
#[test]
fn an_answer_changes_pacing_options_and_lite_in_a_restart_alone() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    exchange(&mut alice, &mut bob);
    let changed = Misuse::IceParametersChanged;
    let offer = alice.offer();
    bob.take_offer(&offer).unwrap();
    bob.pacing = Some(Duration::from_millis(30));
    assert_eq!(bob.create_answer(), Err(changed.into()));
    bob.pacing = None;
    bob.lite = true;
    assert_eq!(bob.create_answer(), Err(changed.into()));
    bob.lite = false;
    let answer = bob.create_answer().unwrap();
    for (from, to) in [
        ("a=ice-options:trickle ice2", "a=ice-options:ice2"),
        ("a=ice-options", "a=ice-pacing:30\r\na=ice-options"),
        ("a=ice-options", "a=ice-lite\r\na=ice-options"),
    ] {
        let other = answer.replace(from, to);
        assert_ne!(other, answer);
        assert_eq!(
            rule(alice.clone().take_answer(&other)),
            Violation::IceParametersChanged,
            "{to}"
        );
    }
    alice.take_answer(&answer).unwrap();
}

/// req: ICESDP-4.4.1.2.1-2, ICESDP-4.4.1.2.1-3
#[test]
fn a_later_offer_may_have_more_candidates_and_another_default_that_is_one_of_them() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    let (first, _) = exchange(&mut alice, &mut bob);
    assert!(first.contains("m=audio 5000 "));
    let relayed =
        "candidate:3 1 udp 16777215 198.51.100.1 6000 typ relay raddr 203.0.113.1 rport 9";
    alice.candidates[0].push(relayed.parse().unwrap());
    let offer = alice.offer();
    let lines = section(&offer, 0);
    assert!(lines[0].starts_with("m=audio 6000 "));
    assert_eq!(lines[1], "c=IN IP4 198.51.100.1");
    assert_eq!(starting(&lines, "a=candidate:").len(), 2);
    let taken = bob.negotiator.set_remote(Offer, offer.as_bytes()).unwrap();
    let transport = taken.transport().unwrap();
    assert_eq!(transport.mismatch, None);
    assert!(!transport.ice_restart);
    assert_eq!(transport.candidates.len(), 2);
}

/// req: ICESDP-5.2-1, ICESDP-5.2-2, ICESDP-4.4.2-1
#[test]
fn the_selected_remote_candidate_is_named_in_offers_and_in_no_answer() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    let (offer, _) = exchange(&mut alice, &mut bob);
    assert!(!offer.contains("remote-candidates"), "nothing is selected");
    let theirs = "192.0.2.2:5000".parse().unwrap();
    alice.remote_candidate = Some(theirs);
    // The other side names one too, and answers.
    bob.remote_candidate = Some("192.0.2.1:5000".parse().unwrap());
    let offer = alice.offer();
    let named = starting(&section(&offer, 0), "a=remote-candidates:");
    assert_eq!(named, ["a=remote-candidates:1 192.0.2.2 5000"]);
    let taken = bob.negotiator.set_remote(Offer, offer.as_bytes()).unwrap();
    assert_eq!(taken.transport().unwrap().remote_candidate, Some(theirs));
    let answer = bob.create_answer().unwrap();
    assert!(!answer.contains("remote-candidates"));
    // What an answer names is nothing to the negotiator, and an error to who checks it.
    let wrong = answer.replace("a=mid", "a=remote-candidates:1 192.0.2.1 5000\r\na=mid");
    let taken = alice.negotiator.set_remote(Answer, wrong.as_bytes());
    assert_eq!(taken.unwrap().transport().unwrap().remote_candidate, None);
    let checked = check_answer(offer.as_bytes(), wrong.as_bytes());
    assert_eq!(rule(checked), Violation::RemoteCandidates);
    // Of several components this one counts, wherever it stands.
    for lines in [
        "a=remote-candidates:2 192.0.2.2 5001 1 192.0.2.2 5000",
        "a=remote-candidates:2 192.0.2.2 5001\r\na=remote-candidates:1 192.0.2.2 5000",
    ] {
        let offer = offer.replace("a=remote-candidates:1 192.0.2.2 5000", lines);
        let taken = Phone::new(2, 1)
            .negotiator
            .set_remote(Offer, offer.as_bytes())
            .unwrap();
        assert_eq!(taken.transport().unwrap().remote_candidate, Some(theirs));
    }
}

/// req: ICESDP-4.4.1.3-2, ICESDP-4.4.1.3-3
#[test]
fn a_lite_agent_has_new_candidates_and_credentials_in_a_restart_alone() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    alice.lite = true;
    exchange(&mut alice, &mut bob);
    let all = alice.candidates.clone();
    alice.candidates[0].push(host(1, 9000));
    assert_eq!(alice.create_offer(), Err(Misuse::LiteCandidate.into()));
    // One of them, as after nomination, or none: those are known.
    alice.candidates = vec![vec![]];
    assert!(alice.create_offer().is_ok());
    alice.candidates = all;
    assert!(alice.create_offer().is_ok());
    // Half of new credentials is no restart.
    let known = alice.credentials[0].clone();
    let (ufrag, pwd) = (known.ufrag(), "abcdefabcdefabcdefabcd");
    alice.credentials[0] = IceCredentials::new(ufrag, pwd).unwrap();
    assert_eq!(alice.create_offer(), Err(Misuse::HalfRestart.into()));
    alice.restart();
    alice.candidates[0].push(host(1, 9000));
    bob.restart();
    let (offer, _) = exchange(&mut alice, &mut bob);
    assert_eq!(starting(&section(&offer, 0), "a=candidate:").len(), 2);
    // A full agent may always.
    bob.candidates[0].push(host(2, 9000));
    assert!(bob.create_offer().is_ok());
}

/// Something in the middle of a call that knows no ICE answers: the call goes on, and ICE comes back
/// with new credentials.
///
/// req: ICESDP-4.4.3.1-5, ICESDP-4.4.3.1-6, ICESDP-4.4.3.1-7
#[test]
fn an_answer_without_ice_ends_it_until_the_next_offer_restarts_it() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    exchange(&mut alice, &mut bob);
    let offer = alice.offer();
    let answer = bob.answer(&offer);
    let unaware = without_ice(&answer);
    alice.take_answer(&unaware).unwrap();
    assert_eq!(alice.ice(), [false]);
    let negotiated = alice.negotiator.negotiated().unwrap();
    assert!(negotiated.sections[0].active, "the call goes on");
    assert_eq!(alice.create_offer(), Err(Misuse::RestartNeeded.into()));
    alice.restart();
    bob.restart();
    exchange(&mut alice, &mut bob);
    assert_eq!((alice.ice(), bob.ice()), (vec![true], vec![true]));
    // Also where the offer was a restart already.
    alice.restart();
    bob.restart();
    let offer = alice.offer();
    let unaware = without_ice(&bob.answer(&offer));
    alice.take_answer(&unaware).unwrap();
    assert_eq!(alice.ice(), [false]);
}

/// The other side drops ICE in an offer of its own, and takes it up again: both are good.
#[test]
fn offers_without_ice_and_with_it_again_are_taken() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    exchange(&mut alice, &mut bob);
    let had = std::mem::take(&mut bob.credentials);
    for _ in 0..2 {
        let (_, answer) = exchange(&mut bob, &mut alice);
        assert_eq!(ice_lines(&answer), [""; 0]);
        assert_eq!((alice.ice(), bob.ice()), (vec![false], vec![false]));
    }
    bob.credentials = had;
    bob.restart();
    alice.restart();
    exchange(&mut bob, &mut alice);
    assert_eq!((alice.ice(), bob.ice()), (vec![true], vec![true]));
}

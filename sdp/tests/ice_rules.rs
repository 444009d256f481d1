//! ICE in descriptions (RFC 8839, RFC 8840 §4, §8), as phones speak of it and as browsers do.

mod common;

use std::time::Duration;

use common::phone::{Phone, TALK, exchange, host, ice_lines, rule, starting, without, without_ice};
use common::{Answer, Offer, audio, data, head, section};
use floe_sdp::ice::Candidate;
use floe_sdp::{
    Direction, ErrorKind, Mismatch, MismatchPolicy, NegotiationError, TransportId, Violation,
};

/// req: ICESDP-4.3.1-1, ICESDP-4.3.2-1, ICE-10-1, TRICKLE-3-3, TRICKLE-3-4
#[test]
fn every_section_has_its_candidates_and_credentials_and_all_have_ice2() {
    let (mut alice, mut bob) = (Phone::new(1, 2), Phone::new(2, 2));
    for phone in [&mut alice, &mut bob] {
        let address = phone.candidates[1][0].clone();
        let reflexive =
            "candidate:2 1 udp 1694498815 203.0.113.1 9 typ srflx raddr 10.0.0.1 rport 9";
        phone.candidates[1] = vec![address, reflexive.parse().unwrap()];
    }
    let (offer, answer) = exchange(&mut alice, &mut bob);
    for (text, phone) in [(&offer, &alice), (&answer, &bob)] {
        assert_eq!(
            starting(&head(text), "a=ice-options:"),
            ["a=ice-options:trickle ice2"]
        );
        for stream in [0, 1] {
            let lines = section(text, stream);
            let known = &phone.credentials[stream];
            assert!(lines.contains(&&*format!("a=ice-ufrag:{}", known.ufrag())));
            assert!(lines.contains(&&*format!("a=ice-pwd:{}", known.pwd())));
            let listed = phone.candidates[stream].iter().map(|it| format!("a={it}"));
            assert_eq!(starting(&lines, "a=candidate:"), listed.collect::<Vec<_>>());
        }
    }
    assert_eq!((alice.ice(), bob.ice()), (vec![true; 2], vec![true; 2]));
}

/// Streams that carry nothing for the moment keep their paths.
///
/// req: ICESDP-4.2.1.6-1
#[test]
fn inactive_sections_and_those_without_bandwidth_speak_of_ice() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    alice
        .negotiator
        .set_direction(0, Direction::Inactive)
        .unwrap();
    let offer = alice.offer();
    let unfed = offer.replace("a=mid", "b=AS:0\r\na=mid");
    assert!(unfed.contains("a=inactive") && unfed.contains("b=AS:0"));
    let answer = bob.answer(&unfed);
    assert!(answer.contains("a=inactive"));
    for text in [&offer, &answer] {
        let lines = section(text, 0);
        for name in ["a=ice-ufrag:", "a=ice-pwd:", "a=candidate:"] {
            assert_eq!(starting(&lines, name).len(), 1, "{name}");
        }
    }
    alice.take_answer(&answer).unwrap();
    assert_eq!((alice.ice(), bob.ice()), (vec![true], vec![true]));
}

/// req: ICESDP-4.2.5-1, ICESDP-5.4-2
#[test]
fn ice_is_spoken_of_by_ufrag_and_password_together_with_or_without_ice2() {
    let offer = Phone::new(1, 1).offer();
    for (text, ice) in [
        (offer.clone(), true),
        (
            without(&offer, |line| line.starts_with("a=ice-options")),
            true,
        ),
        (
            without(&offer, |line| line.starts_with("a=ice-ufrag")),
            false,
        ),
        (without(&offer, |line| line.starts_with("a=ice-pwd")), false),
    ] {
        let mut bob = Phone::new(2, 1);
        let answer = bob.answer(&text);
        assert_eq!(bob.ice(), [ice], "{text}");
        assert_eq!(answer.contains("a=ice-ufrag:"), ice);
        assert_eq!(answer.contains("a=ice-pwd:"), ice);
    }
    // A browser has ICE on every transport.
    let browser = common::Owner::new(1, vec![data()]).offer();
    for name in ["a=ice-ufrag", "a=ice-pwd"] {
        let half = without(&browser, |line| line.starts_with(name));
        let refused = common::Owner::new(2, vec![]).take(Offer, &half);
        assert_eq!(
            rule(refused.map(|_| ())),
            Violation::MissingIceCredentials,
            "{name}"
        );
    }
}

/// req: ICESDP-4.3.2-4
#[test]
fn an_offer_without_ice_is_answered_without() {
    let mut alice = Phone::new(1, 2);
    alice.credentials.clear();
    let mut bob = Phone::new(2, 2);
    bob.pacing = Some(Duration::from_millis(20));
    bob.end_of_candidates = true;
    let (offer, answer) = exchange(&mut alice, &mut bob);
    assert_eq!(ice_lines(&offer), [""; 0]);
    assert_eq!(ice_lines(&answer), [""; 0]);
    assert_eq!((alice.ice(), bob.ice()), (vec![false; 2], vec![false; 2]));
    // Some sections with and some without: each as it was offered.
    let mut carol = Phone::new(3, 2);
    carol.credentials.truncate(1);
    let (_, answer) = exchange(&mut carol, &mut Phone::new(4, 2));
    assert_eq!(ice_lines(&section(&answer, 0).join("\n")).len(), 3);
    assert_eq!(ice_lines(&section(&answer, 1).join("\n")), [""; 0]);
    assert_eq!(carol.ice(), [true, false]);
}

/// What is sent in real time has its default over UDP; over TCP it is the candidate that opens the
/// connection, as long as there is one that does not need both sides to open at once.
///
/// req: ICETCP-4.3-1, ICETCP-4.3-2
#[test]
fn the_default_candidate_is_of_udp_where_that_is_negotiated_and_never_one_for_simultaneous_open() {
    let tcp = |port: u16, tcp_type: &str| -> Candidate {
        let text =
            format!("candidate:2 1 tcp 1518280447 192.0.2.2 {port} typ host tcptype {tcp_type}");
        text.parse().unwrap()
    };
    let [passive, active, so] = [tcp(5001, "passive"), tcp(9, "active"), tcp(5002, "so")];
    let udp: Candidate = host(2, 5000);
    let offer = common::Owner::new(1, vec![data()]).offer();
    let here = "c=IN IP4 192.0.2.2";
    for (protocol, candidates, (port, connection)) in [
        (
            "UDP/DTLS/SCTP",
            vec![&so, &passive, &active, &udp],
            ("5000", here),
        ),
        (
            "TCP/DTLS/SCTP",
            vec![&so, &passive, &active, &udp],
            ("9", here),
        ),
        ("TCP/DTLS/SCTP", vec![&so, &passive], ("5001", here)),
        ("TCP/DTLS/SCTP", vec![&so], ("9", "c=IN IP4 0.0.0.0")),
    ] {
        let offer = offer.replace("UDP/DTLS/SCTP", protocol);
        let mut bob = common::Owner::new(2, vec![]);
        bob.candidates = candidates.into_iter().cloned().collect();
        bob.take(Offer, &offer).unwrap();
        let answer = bob.answer();
        let lines = section(&answer, 0);
        let media = format!("m=application {port} {protocol} webrtc-datachannel");
        assert_eq!((lines[0], lines[1]), (&*media, connection));
    }
}

/// Where the `m=` line wants TCP and the candidates are of UDP, or the other way round, no candidate
/// is the default.
///
/// req: ICESDP-4.3.2-3, ICESDP-4.4.1.2.1-3
#[test]
fn without_a_candidate_of_its_transport_a_section_has_no_default_destination() {
    let udp: Candidate = host(2, 5000);
    let tcp: Candidate = "candidate:2 1 tcp 1518280447 192.0.2.2 5001 typ host tcptype passive"
        .parse()
        .unwrap();
    let offer = common::Owner::new(1, vec![data()]).offer();
    let unknown = ("9", "c=IN IP4 0.0.0.0");
    let here = "c=IN IP4 192.0.2.2";
    for (protocol, candidates, (port, connection)) in [
        ("UDP/DTLS/SCTP", vec![&udp, &tcp], ("5000", here)),
        ("UDP/DTLS/SCTP", vec![&tcp], unknown),
        ("UDP/DTLS/SCTP", vec![], unknown),
        ("TCP/DTLS/SCTP", vec![&udp, &tcp], ("5001", here)),
        ("TCP/DTLS/SCTP", vec![&udp], unknown),
    ] {
        let offer = offer.replace("UDP/DTLS/SCTP", protocol);
        let mut bob = common::Owner::new(2, vec![]);
        bob.candidates = candidates.into_iter().cloned().collect();
        bob.take(Offer, &offer).unwrap();
        let answer = bob.answer();
        let lines = section(&answer, 0);
        assert_eq!(
            lines[0],
            format!("m=application {port} {protocol} webrtc-datachannel")
        );
        assert_eq!(lines[1], connection, "{protocol}");
    }
    // Not even where the owner names one: that would be a mismatch.
    let mut alice = Phone::new(1, 1);
    alice.candidates.clear();
    let offer = alice.offer();
    assert!(offer.contains("m=audio 9 ") && offer.contains("c=IN IP4 0.0.0.0\r\n"));
}

/// Who answers, and what of ICE is left.
///
/// req: ICESDP-4.3.3-1, ICESDP-4.3.3-2, ICESDP-4.3.3-3, ICESDP-4.2.5-6, ICESDP-5.3-2
#[test]
fn an_answer_decides_where_ice_runs() {
    let mut alice = Phone::new(1, 2);
    let offer = alice.offer();
    let answer = Phone::new(2, 2).answer(&offer);
    let (first, second) = answer.split_at(answer.rfind("m=audio").unwrap());
    let mismatch = |text: &str| without_ice(text) + "a=ice-mismatch\r\n";
    // Whose credentials are there nevertheless: the mismatch counts.
    let both = |text: &str| text.replace("a=mid", "a=ice-mismatch\r\na=mid");
    let moved = |text: &str| text.replace("m=audio 500", "m=audio 600");
    for (first, second, ice) in [
        (first.to_string(), second.to_string(), [true, true]),
        (without_ice(first), without_ice(second), [false, false]),
        (mismatch(first), mismatch(second), [false, false]),
        (first.to_string(), mismatch(second), [true, false]),
        (mismatch(first), second.to_string(), [false, true]),
        (first.to_string(), both(second), [true, false]),
        (first.to_string(), moved(second), [false, false]),
    ] {
        let mut alice = alice.clone();
        let answer = first + &second;
        alice.take_answer(&answer).unwrap();
        assert_eq!(alice.ice(), ice, "{answer}");
    }
    // A browser has no other way.
    let mut browser = common::Owner::new(3, vec![data()]);
    let offer = browser.offer();
    let mut other = common::Owner::new(4, vec![]);
    other.take(Offer, &offer).unwrap();
    let refused = browser.take(Answer, &both(&other.answer()));
    assert_eq!(rule(refused.map(|_| ())), Violation::IceMismatch);
}

/// Something on the way has put its own address into the offer.
///
/// req: ICESDP-4.2.5-3, ICESDP-4.2.5-4
#[test]
fn a_changed_offer_is_answered_with_ice_mismatch_by_those_who_want_to() {
    let offer = Phone::new(1, 2).offer();
    let changed = offer.replace("m=audio 5002", "m=audio 6002");
    assert_ne!(changed, offer);
    let mut bob = Phone::with(2, 2, MismatchPolicy::Answer);
    let answer = bob.answer(&changed);
    let lines = section(&answer, 1);
    assert!(lines[0].starts_with("m=audio 5002 "));
    assert_eq!(ice_lines(&lines.join("\n")), ["a=ice-mismatch"]);
    assert_eq!(ice_lines(&section(&answer, 0).join("\n")).len(), 3);
    assert_eq!(bob.ice(), [true, false]);
    // Nothing of it where nothing was changed, where ICE goes on nevertheless, and where there is no
    // ICE to speak of.
    let unchanged = Phone::with(2, 2, MismatchPolicy::Answer).answer(&offer);
    assert!(!unchanged.contains("mismatch"));
    let mut patient = Phone::new(2, 2);
    assert!(!patient.answer(&changed).contains("mismatch"));
    assert_eq!(patient.ice(), [true, true]);
    let mut old = Phone::with(2, 2, MismatchPolicy::Answer);
    old.credentials.clear();
    assert_eq!(ice_lines(&old.answer(&changed)), [""; 0]);
}

/// req: ICESDP-5.3-1
#[test]
fn ice_lite_counts_at_session_level_and_ice_mismatch_in_sections_of_answers() {
    let mut alice = Phone::new(1, 1);
    let offer = alice.offer();
    let taken = |text: &str| {
        let mut bob = Phone::new(2, 1);
        let taken = bob.negotiator.set_remote(Offer, text.as_bytes()).unwrap();
        taken.transport().cloned().unwrap()
    };
    let at_session = |line: &str| offer.replacen("t=0 0\r\n", &format!("t=0 0\r\n{line}\r\n"), 1);
    let in_section = |line: &str| offer.replacen("a=mid", &format!("{line}\r\na=mid"), 1);
    assert!(taken(&at_session("a=ice-lite")).lite);
    assert!(!taken(&in_section("a=ice-lite")).lite);
    assert_eq!(taken(&at_session("a=ice-mismatch")).mismatch, None);
    assert_eq!(taken(&in_section("a=ice-mismatch")).mismatch, None);
    let answer = Phone::new(2, 1).answer(&offer);
    for (line, at, mismatch) in [
        ("a=ice-mismatch\r\nm=", "m=", None),
        ("a=ice-mismatch\r\na=mid", "a=mid", Some(Mismatch::Said)),
    ] {
        let answer = answer.replacen(at, line, 1);
        let taken = alice
            .clone()
            .negotiator
            .set_remote(Answer, answer.as_bytes());
        assert_eq!(taken.unwrap().transport().unwrap().mismatch, mismatch);
    }
    alice.take_answer(&answer).unwrap();
}

/// req: ICESDP-5.6-1, ICESDP-10.2-1
#[test]
fn an_option_counts_if_both_sides_name_it() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    let offer = alice.offer();
    let answer = bob.answer(&offer);
    for text in [&offer, &answer] {
        let head = head(text);
        let options = starting(&head, "a=ice-options:")[0];
        for option in options["a=ice-options:".len()..].split(' ') {
            assert!((1..=20).contains(&option.len()), "{option}");
        }
    }
    let other = answer.replace("trickle ice2", "ice2 rtp+ecn renomination");
    let ids: Vec<TransportId> = alice
        .negotiator
        .transports()
        .iter()
        .map(|it| it.id)
        .collect();
    assert!(!alice.negotiator.has_ice_option(ids[0], "ice2"), "not yet");
    alice.take_answer(&other).unwrap();
    for (option, counts) in [
        ("ice2", true),
        ("trickle", false),
        ("rtp+ecn", false),
        ("renomination", false),
        ("ICE2", false),
    ] {
        assert_eq!(
            alice.negotiator.has_ice_option(ids[0], option),
            counts,
            "{option}"
        );
    }
}

/// req: TRICKLESDP-4.1.1-2, TRICKLESDP-4.1.1-3, TRICKLESDP-4.1.1-4, TRICKLESDP-4.1.3-1
#[test]
fn descriptions_before_the_first_candidate_hide_the_host_and_name_their_sections() {
    let (mut alice, mut bob) = (Phone::new(1, 2), Phone::new(2, 2));
    for phone in [&mut alice, &mut bob] {
        phone.candidates.clear();
    }
    let (offer, answer) = exchange(&mut alice, &mut bob);
    let sections = vec![audio(TALK), data()];
    let mut browsers = [1, 2].map(|id| common::Owner::new(id, sections.clone()));
    let [one, two] = &mut browsers;
    let (browser_offer, browser_answer) = common::exchange(one, two);
    for text in [&offer, &answer, &browser_offer, &browser_answer] {
        let options = starting(&head(text), "a=ice-options:").concat();
        assert!(options.contains("trickle"), "{text}");
        assert_eq!(text.matches("a=rtcp:").count(), 0);
        for index in [0, 1] {
            let lines = section(text, index);
            let port = lines[0].split(' ').nth(1).unwrap();
            // 0 where the transport is that of another section.
            let only = lines.contains(&"a=bundle-only");
            assert_eq!(port, if only { "0" } else { "9" });
            assert_eq!(lines[1], "c=IN IP4 0.0.0.0");
            assert_eq!(starting(&lines, "a=mid:"), [format!("a=mid:{index}")]);
        }
        assert!(!text.contains("192.0.2."));
    }
}

/// An answer with the default values, and candidates that come later: none of them is the default
/// destination, and that is no mismatch.
///
/// req: TRICKLESDP-4.1.4-1, TRICKLESDP-4.1.2-1
#[test]
fn default_values_in_an_answer_are_no_mismatch_and_candidates_may_follow() {
    let (mut alice, mut bob) = (Phone::new(1, 1), Phone::new(2, 1));
    bob.candidates.clear();
    let (offer, answer) = exchange(&mut alice, &mut bob);
    assert!(answer.contains("m=audio 9 ") && !answer.contains("a=candidate"));
    assert_eq!(alice.ice(), [true]);
    let mut carol = Phone::new(3, 1);
    carol.take_offer(&offer).unwrap();
    for (phone, ufrag) in [
        (&alice, bob.credentials[0].ufrag()),
        (&carol, alice.credentials[0].ufrag()),
    ] {
        let text = host(7, 7000).to_string();
        let told = phone
            .negotiator
            .add_remote_candidate_text(&text, Some("0"), None, Some(ufrag));
        assert!(told.unwrap().is_some());
    }
    assert_eq!(alice.ice(), [true], "still");
}

/// req: TRICKLESDP-8.1-1, TRICKLESDP-8.2-2
#[test]
fn the_end_of_candidates_is_of_all_sections_or_of_one_and_has_no_value() {
    let mut alice = Phone::new(1, 2);
    let offer = alice.offer();
    let ends = |text: &str| -> Result<Vec<bool>, NegotiationError> {
        let taken = Phone::new(2, 2)
            .negotiator
            .set_remote(Offer, text.as_bytes())?;
        Ok(taken
            .transports
            .iter()
            .map(|it| it.end_of_candidates)
            .collect())
    };
    let line = "a=end-of-candidates\r\n";
    assert_eq!(ends(&offer), Ok(vec![false, false]));
    assert_eq!(
        ends(&offer.replacen("m=", &format!("{line}m="), 1)),
        Ok(vec![true, true])
    );
    assert_eq!(ends(&format!("{offer}{line}")), Ok(vec![false, true]));
    let valued = ends(&format!("{offer}a=end-of-candidates:1\r\n"));
    assert!(
        matches!(valued, Err(NegotiationError::Syntax(error)) if error.kind == ErrorKind::AttributeValue)
    );
    // With the credentials of the generation, in the same section; without them not at all.
    alice.end_of_candidates = true;
    alice.credentials.truncate(1);
    let offer = alice.offer();
    let with = section(&offer, 0);
    for name in ["a=ice-ufrag:", "a=ice-pwd:", "a=end-of-candidates"] {
        assert_eq!(starting(&with, name).len(), 1, "{name}");
    }
    assert_eq!(
        starting(&section(&offer, 1), "a=end-of-candidates"),
        [""; 0]
    );
}

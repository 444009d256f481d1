//! Bodies of trickled candidates (RFC 8840 §4.4, §9).

mod common;

use common::{Answer, Offer, Owner, audio, credentials, data};
use floe_sdp::ice::{Candidate, Fragment, IceCredentials, TrickledCandidate};
use floe_sdp::{
    Direction, ErrorKind, Limits, NegotiationError, Profile, RemoteCandidate, SectionConfig,
};
use proptest::prelude::*;

/// Figure 7 of RFC 8840, its lines unfolded.
const FIGURE: &str = "\
a=ice-pwd:asd88fgpdd777uzjYhagZg\r
a=ice-ufrag:8hhY\r
m=audio 9 RTP/AVP 0\r
a=mid:1\r
a=candidate:1 1 UDP 2130706432 2001:db8:a0b:12f0::1 5000 typ host\r
a=candidate:1 2 UDP 2130706432 2001:db8:a0b:12f0::1 5001 typ host\r
a=candidate:1 1 UDP 2130706431 192.0.2.1 5010 typ host\r
a=candidate:2 1 UDP 1694498815 192.0.2.3 5010 typ srflx raddr 192.0.2.1 rport 8998\r
a=end-of-candidates\r
m=audio 9 RTP/AVP 0\r
a=mid:2\r
a=candidate:1 1 UDP 2130706432 2001:db8:a0b:12f0::1 6000 typ host\r
a=end-of-candidates\r
";

fn candidate(port: u16) -> Candidate {
    format!("candidate:1 1 udp 2130706431 192.0.2.1 {port} typ host")
        .parse()
        .unwrap()
}

fn kind(text: &str) -> ErrorKind {
    Fragment::parse(text.as_bytes()).unwrap_err().kind
}

/// req: TRICKLESDP-9.2-1
#[test]
fn the_body_of_the_rfc_is_read() {
    let body = Fragment::parse(FIGURE.as_bytes()).unwrap();
    let known = IceCredentials::new("8hhY", "asd88fgpdd777uzjYhagZg").unwrap();
    assert_eq!(body.credentials, Some(known.clone()));
    assert!(!body.end_of_candidates);
    let sections = body.sections.iter();
    let read: Vec<_> = sections
        .map(|it| (&*it.mid, it.candidates.len(), it.end_of_candidates))
        .collect();
    assert_eq!(read, [("1", 4, true), ("2", 1, true)]);
    assert_eq!(body.sections[0].candidates[1].component, 2);
    assert_eq!(body.sections[0].credentials, None);
    assert_eq!(body.credentials_of(&body.sections[0]), Some(&known));
}

/// Every attribute at its level.
///
/// req: TRICKLESDP-9.2-1
#[test]
fn all_of_the_grammar_is_read_at_its_level() {
    let text = "\
        a=ice-lite\r\na=ice-options:ice2 trickle\r\na=ice-pacing:20\r\n\
        a=group:BUNDLE a b\r\na=group:LS a b\r\na=ice-ufrag:sess\r\n\
        a=ice-pwd:0123456789abcdef012345\r\na=end-of-candidates\r\n\
        m=video 7 RTP/AVP 1 2 3\r\na=rtcp-mux\r\na=rtcp-mux-only\r\na=rtcp\r\na=rtcp:53020\r\n\
        a=mid:a\r\na=remote-candidates:1 192.0.2.3 45664\r\n\
        m=audio 9 RTP/AVP 0\r\na=ice-ufrag:mine\r\na=ice-pwd:abcdefabcdefabcdefabcd\r\n\
        a=mid:b\r\na=candidate:1 1 udp 1 192.0.2.1 5010 typ host\r\na=end-of-candidates\r\n";
    let body = Fragment::parse(text.as_bytes()).unwrap();
    assert!(body.lite && body.end_of_candidates);
    assert_eq!(body.ice_options, ["ice2", "trickle"]);
    assert_eq!(body.pacing, Some(std::time::Duration::from_millis(20)));
    assert_eq!(body.bundles, [["a", "b"]]);
    let [a, b] = &body.sections[..] else { panic!() };
    assert!(a.rtcp_mux && a.rtcp_mux_only && !b.rtcp_mux && !b.rtcp_mux_only);
    let ufrag = |section| body.credentials_of(section).unwrap().ufrag();
    assert_eq!((ufrag(a), ufrag(b)), ("sess", "mine"));
    assert!(!a.end_of_candidates && b.end_of_candidates);
    // What is written is read as the same.
    assert_eq!(Fragment::parse(body.to_text().as_bytes()), Ok(body));
}

/// req: TRICKLESDP-9.2-1, TRICKLESDP-4.4-2, TRICKLESDP-8.2-2
#[test]
fn malformed_bodies_are_refused_with_rule_and_place() {
    let mid = ErrorKind::MissingAttribute("mid");
    let generation = ErrorKind::MissingAttribute("ice-ufrag and ice-pwd");
    let head = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n";
    let host = "a=candidate:1 1 udp 1 192.0.2.1 5010 typ host\r\n";
    let media = "m=audio 9 RTP/AVP 0\r\n";
    for (text, expected, line) in [
        // The section of what follows is named before it.
        (format!("{head}{media}{host}a=mid:0\r\n"), mid, 4),
        (
            format!("{head}{media}a=end-of-candidates\r\na=mid:0\r\n"),
            mid,
            4,
        ),
        (format!("{head}{media}"), mid, 3),
        (format!("{head}{media}{media}a=mid:0\r\n"), mid, 3),
        // Candidates and their end are of a generation.
        (format!("{media}a=mid:0\r\n{host}"), generation, 1),
        (
            format!("{media}a=mid:0\r\na=end-of-candidates\r\n"),
            generation,
            1,
        ),
        (
            format!("a=ice-ufrag:8hhY\r\n{media}a=mid:0\r\n{host}"),
            generation,
            2,
        ),
        ("a=end-of-candidates\r\n".into(), generation, 2),
        (
            format!("a=end-of-candidates\r\n{media}a=mid:0\r\n"),
            generation,
            2,
        ),
        // Not part of a body.
        (format!("v=0\r\n{head}"), ErrorKind::OutOfOrder, 1),
        (
            format!("{head}{media}c=IN IP4 192.0.2.1\r\n"),
            ErrorKind::OutOfOrder,
            4,
        ),
        (format!("{head}{head}"), ErrorKind::OutOfOrder, 3),
        (
            format!("{head}{media}a=mid:0\r\na=mid:1\r\n"),
            ErrorKind::OutOfOrder,
            5,
        ),
        (format!("{head}\r\n"), ErrorKind::NotALine, 3),
        (head.trim_end().into(), ErrorKind::UnterminatedLine, 2),
        ("a=ice-ufrag:8h\r\n".into(), ErrorKind::AttributeValue, 1),
        (
            "a=end-of-candidates:1\r\n".into(),
            ErrorKind::AttributeValue,
            1,
        ),
        ("a=ice-pacing\r\n".into(), ErrorKind::AttributeValue, 1),
        ("a=:x\r\n".into(), ErrorKind::Attribute, 1),
    ] {
        let error = Fragment::parse(text.as_bytes()).unwrap_err();
        assert_eq!((error.kind, error.line), (expected, line), "{text}");
        assert!(error.offset <= text.len());
        let _ = error.render(text.as_bytes()).to_string();
    }
    assert_eq!(Fragment::parse(b""), Ok(Fragment::default()));
}

/// The line says which section comes, by its mid; what else it says is nobody's business.
///
/// req: TRICKLESDP-4.4-2
#[test]
fn pseudo_media_lines_say_nothing() {
    let expected = Fragment::parse(FIGURE.as_bytes()).unwrap();
    for line in [
        "m=video 0 UDP/TLS/RTP/SAVPF 96 97",
        "m=application 99999 X",
        "m=?",
    ] {
        let text = FIGURE.replace("m=audio 9 RTP/AVP 0", line);
        assert_eq!(Fragment::parse(text.as_bytes()).as_ref(), Ok(&expected));
    }
    assert!(expected.to_text().contains("\r\nm=audio 9 RTP/AVP 0\r\n"));
}

/// req: TRICKLESDP-9.2-2
#[test]
fn older_attributes_are_compared_without_case_and_newer_ones_with() {
    let expected = Fragment::parse(FIGURE.as_bytes()).unwrap();
    let text = FIGURE
        .replace("a=ice-pwd:", "a=ICE-PWD:")
        .replace("a=ice-ufrag:", "a=Ice-Ufrag:")
        .replace("a=mid:", "a=MID:")
        .replace("a=candidate:", "a=Candidate:");
    assert_eq!(Fragment::parse(text.as_bytes()).as_ref(), Ok(&expected));
    let session = "a=ICE-LITE\r\na=Ice-Options:ice2\r\na=ICE-Pacing:7\r\na=group:bundle 1\r\n";
    let body = Fragment::parse(session.as_bytes()).unwrap();
    assert!(body.lite && body.pacing.is_some());
    assert_eq!((body.ice_options.len(), body.bundles.len()), (1, 1));
    // The grammar of this type writes the others in lower case: this one is unknown.
    let other = FIGURE.replace("a=end-of-candidates", "a=End-Of-Candidates");
    let body = Fragment::parse(other.as_bytes()).unwrap();
    assert!(body.sections.iter().all(|it| !it.end_of_candidates));
    // A sender writes lower case.
    for line in expected
        .to_text()
        .lines()
        .filter(|line| line.starts_with("a="))
    {
        let name = line.split(':').next().unwrap();
        assert_eq!(name, name.to_ascii_lowercase());
    }
}

/// req: TRICKLESDP-9.2-3
#[test]
fn unknown_attributes_are_ignored_wherever_they_stand() {
    let expected = Fragment::parse(FIGURE.as_bytes()).unwrap();
    // Known elsewhere, or to nobody, good or not.
    for line in [
        "a=x-new:1",
        "a=x-new",
        "a=fingerprint:1",
        "a=sendrecv",
        "a=setup:what",
    ] {
        let text = FIGURE.replace("a=mid", &format!("{line}\r\na=mid"));
        let text = format!("{line}\r\n{text}{line}\r\n");
        assert_eq!(
            Fragment::parse(text.as_bytes()).as_ref(),
            Ok(&expected),
            "{line}"
        );
    }
    // A candidate that cannot be read is one less (RFC 8839 §5.1).
    let text = FIGURE.replace("a=mid:2\r\n", "a=mid:2\r\na=candidate:?\r\n");
    let mut body = Fragment::parse(text.as_bytes()).unwrap();
    assert_eq!(std::mem::take(&mut body.sections[1].ignored_candidates), 1);
    assert_eq!(body, expected);
}

/// req: TRICKLESDP-4.4-3
#[test]
fn a_body_repeats_all_candidates_in_their_order_and_appends_new_ones() {
    let mut body = Fragment::default();
    body.section("0").credentials = Some(credentials("x1"));
    let mut before = Vec::new();
    for port in [5003, 5001, 5002] {
        body.section("0").candidates.push(candidate(port));
        let text = body.to_text();
        let listed: Vec<String> = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix("a=candidate:")?.to_string()))
            .collect();
        assert_eq!(listed.len(), before.len() + 1);
        assert_eq!(listed[..before.len()], before);
        assert!(listed.last().unwrap().contains(&port.to_string()));
        // Each with the generation that they are of.
        assert!(
            text.contains("a=ice-ufrag:ufx1\r\na=ice-pwd:0123456789abcdef0123x1\r\na=mid:0\r\n")
        );
        before = listed;
    }
    body.section("0").end_of_candidates = true;
    assert!(body.to_text().ends_with("a=end-of-candidates\r\n"));
}

fn ports(delivered: &[RemoteCandidate]) -> Vec<Option<u16>> {
    let port = |it: &RemoteCandidate| match &it.candidate {
        TrickledCandidate::Candidate(candidate) => Some(candidate.port),
        TrickledCandidate::EndOfCandidates => None,
    };
    delivered.iter().map(port).collect()
}

/// Two sides that have finished an exchange; the first is told.
fn talking(sections: &[SectionConfig]) -> (Owner, Owner) {
    let mut alice = Owner::new(1, sections.to_vec());
    let mut bob = Owner::new(2, sections.to_vec());
    bob.candidates = vec![candidate(4000)];
    let offer = alice.offer();
    bob.take(Offer, &offer).unwrap();
    let answer = bob.answer();
    alice.take(Answer, &answer).unwrap();
    (alice, bob)
}

fn body(owner: &Owner, ports: &[u16]) -> Fragment {
    let mut body = Fragment::default();
    let section = body.section("0");
    section.credentials = Some(owner.credentials.clone());
    section.candidates = ports.iter().copied().map(candidate).collect();
    body
}

/// What the answer had, and what came before, is left out; what is new comes in the order of the
/// body.
///
/// req: TRICKLESDP-4.4-4
#[test]
fn known_candidates_are_taken_out_of_a_body_and_the_order_is_kept() {
    let (mut alice, bob) = talking(&[data()]);
    let take = |alice: &mut Owner, body: &Fragment| {
        let taken = alice.negotiator.take_fragment(body.to_text().as_bytes());
        ports(&taken.unwrap())
    };
    let mut said = body(&bob, &[4000, 5003, 5001]);
    assert_eq!(take(&mut alice, &said), [Some(5003), Some(5001)]);
    assert_eq!(take(&mut alice, &said), []);
    // Another type, foundation and priority, and at the same place: not another candidate. Another
    // component is of no use here; another transport is another candidate.
    for (text, new) in [
        (
            "candidate:9 1 udp 7 192.0.2.1 5001 typ srflx raddr 0.0.0.0 rport 9",
            false,
        ),
        ("candidate:9 1 UDP 7 192.0.2.1 5001 typ host x y", false),
        ("candidate:9 2 udp 7 192.0.2.1 5001 typ host", false),
        (
            "candidate:9 1 tcp 7 192.0.2.1 5001 typ host tcptype passive",
            true,
        ),
        ("candidate:9 1 udp 7 192.0.2.2 5001 typ host", true),
    ] {
        said.section("0").candidates.push(text.parse().unwrap());
        let expected: &[Option<u16>] = if new { &[Some(5001)] } else { &[] };
        assert_eq!(take(&mut alice, &said), expected, "{text}");
    }
    said.section("0").candidates.push(candidate(5000));
    said.section("0").end_of_candidates = true;
    assert_eq!(take(&mut alice, &said), [Some(5000), None]);
    assert_eq!(take(&mut alice, &said), []);
}

/// req: TRICKLESDP-4.4-1
#[test]
fn bodies_of_another_generation_are_refused_and_a_restart_begins_anew() {
    let (mut alice, mut bob) = talking(&[data()]);
    let old = body(&bob, &[5000]);
    alice
        .negotiator
        .take_fragment(old.to_text().as_bytes())
        .unwrap();
    let wrong = Err(NegotiationError::WrongGeneration);
    // The password counts too.
    let ufrag = bob.credentials.ufrag().to_string();
    let mut other = old.clone();
    let pwd = "abcdefabcdefabcdefabcd";
    other.section("0").credentials = IceCredentials::new(&ufrag, pwd).ok();
    let before = alice.negotiator.clone();
    let taken = alice.negotiator.take_fragment(other.to_text().as_bytes());
    assert_eq!(taken, wrong);
    assert!(alice.negotiator == before);
    alice.restart("next1");
    bob.restart("next2");
    common::exchange(&mut alice, &mut bob);
    assert_eq!(
        alice.negotiator.take_fragment(old.to_text().as_bytes()),
        wrong
    );
    let taken = body(&bob, &[4000, 5000]);
    let taken = alice.negotiator.take_fragment(taken.to_text().as_bytes());
    assert_eq!(
        ports(&taken.unwrap()),
        [Some(5000)],
        "4000 is in the answer"
    );
}

/// req: TRICKLESDP-4.4-2
#[test]
fn sections_are_found_by_mid_in_any_order_and_unknown_ones_refused() {
    let streams = [audio(Direction::SendRecv), audio(Direction::SendRecv)];
    let plain = |id| {
        let config = floe_sdp::NegotiatorConfig {
            profile: Profile::Rfc3264,
            ..floe_sdp::NegotiatorConfig::new(id, streams.to_vec())
        };
        floe_sdp::Negotiator::new(config).unwrap()
    };
    let sides = [1, 2].map(|side| [0, 1].map(|number| credentials(&format!("{side}{number}"))));
    let local = |side: usize| {
        let sides = &sides;
        move |id: floe_sdp::TransportId| floe_sdp::LocalTransport {
            credentials: Some(&sides[side][id.number() as usize]),
            pacing: None,
            candidates: &[],
            end_of_candidates: false,
            dtls: None,
            lite: false,
            ice_options: &[],
            remote_candidate: None,
            address: None,
        }
    };
    let (mut alice, mut bob) = (plain(1), plain(2));
    let offer = alice.create_offer(&local(0)).unwrap();
    alice.set_local(Offer, &offer).unwrap();
    bob.set_remote(Offer, offer.as_bytes()).unwrap();
    let mut said = Fragment::default();
    for (mid, port) in [(1, 6000), (0, 5000)] {
        let section = said.section(&mid.to_string());
        section.credentials = Some(sides[0][mid].clone());
        section.candidates = vec![candidate(port)];
    }
    let taken = bob.take_fragment(said.to_text().as_bytes()).unwrap();
    let of: Vec<u32> = taken.iter().map(|it| it.transports[0].number()).collect();
    assert_eq!(
        (ports(&taken), of),
        (vec![Some(6000), Some(5000)], vec![1, 0])
    );
    // The end of all of them, once for each.
    said.end_of_candidates = true;
    let taken = bob.take_fragment(said.to_text().as_bytes()).unwrap();
    assert_eq!(ports(&taken), [None, None]);
    said.section("7").credentials = Some(sides[0][0].clone());
    let taken = bob.take_fragment(said.to_text().as_bytes());
    assert_eq!(taken, Err(NegotiationError::UnknownSection));
}

#[test]
fn bodies_are_bounded() {
    let limits = Limits {
        max_bytes: 1000,
        max_line_bytes: 100,
        max_lines: 12,
        max_media: 2,
        max_attributes: 5,
        max_candidates: 2,
        ..Limits::DEFAULT
    };
    let head = "a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg\n";
    let section = "m=x\na=mid:0\n";
    for (text, expected) in [
        ("a=x\n".repeat(251), ErrorKind::TooLong),
        (format!("a={}\n", "x".repeat(99)), ErrorKind::LineTooLong),
        (
            section.replace("m=x", "m=x\na=x\na=x\na=x\na=x").repeat(3),
            ErrorKind::TooManyLines,
        ),
        (section.repeat(3), ErrorKind::TooManyMedia),
        ("a=x\n".repeat(6), ErrorKind::TooManyAttributes),
        (
            format!(
                "{head}{section}{}",
                "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\n".repeat(3)
            ),
            ErrorKind::TooManyCandidates,
        ),
    ] {
        let error = Fragment::parse_with(text.as_bytes(), &limits).unwrap_err();
        assert_eq!(error.kind, expected, "{text}");
    }
    assert_eq!(kind("a=\0\n"), ErrorKind::ForbiddenByte);
    // Over many bodies too.
    let (mut alice, bob) = talking(&[data()]);
    let mut taken = 0;
    let refused = (0..4).find_map(|batch: u16| {
        let ports: Vec<u16> = (0..300).map(|port| 10_000 + batch * 300 + port).collect();
        let told = alice
            .negotiator
            .take_fragment(body(&bob, &ports).to_text().as_bytes());
        told.map(|told| taken += told.len()).err()
    });
    assert_eq!(
        (refused, taken),
        (Some(NegotiationError::TooManyCandidates), 900)
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Fragment::parse(&bytes);
    }

    #[test]
    fn what_is_read_is_written_and_read_as_the_same(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut text = FIGURE.as_bytes().to_vec();
        for (at, byte) in cuts {
            let at = at.index(text.len());
            text[at] = byte;
        }
        if let Ok(mut body) = Fragment::parse(&text) {
            for section in &mut body.sections {
                section.ignored_candidates = 0;
            }
            prop_assert_eq!(Fragment::parse(body.to_text().as_bytes()), Ok(body));
        }
    }
}

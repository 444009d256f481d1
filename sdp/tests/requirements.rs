//! Rows of the tables that are about one line or one rule each.

mod common;

use common::*;
use floe_sdp::{
    Codec, Direction, MediaKind, Negotiated, NegotiationError, Rtp, SectionConfig, SignalingState,
    Violation,
};

const SENDRECV: Direction = Direction::SendRecv;

fn all() -> Vec<SectionConfig> {
    vec![audio(SENDRECV), video(SENDRECV), data()]
}

fn pair() -> (Owner, Owner) {
    (Owner::new(1, all()), Owner::new(2, all()))
}

/// Texts of all kinds: two initial ones, and two of the exchange after it.
fn texts() -> Vec<String> {
    let (mut alice, mut bob) = pair();
    let (first, second) = (
        exchange(&mut alice, &mut bob),
        exchange(&mut bob, &mut alice),
    );
    vec![first.0, first.1, second.0, second.1]
}

fn rule(result: Result<impl std::fmt::Debug, NegotiationError>) -> Violation {
    match result {
        Err(NegotiationError::Remote { rule, .. }) => rule,
        other => panic!("{other:?}"),
    }
}

fn negotiated(owner: &Owner) -> Negotiated {
    owner.negotiator.negotiated().unwrap()
}

/// req: JSEP-5.2.1-2, JSEP-5.2.1-3, OA-5-4, BUNDLE-9.3.1.2-3, BUNDLE-7.1.2-1, GROUP-6-1
#[test]
fn a_description_has_only_the_lines_that_it_needs() {
    for text in texts() {
        assert!(text.contains("\r\ns=-\r\n"));
        for unwanted in ["i=", "u=", "e=", "p=", "r=", "z=", "k=", "b=", "a=rtcp:"] {
            assert!(
                !text.lines().any(|line| line.starts_with(unwanted)),
                "{unwanted}"
            );
        }
        assert_eq!(text.matches("a=mid:").count(), text.matches("\nm=").count());
    }
}

/// req: JSEP-5.2.1-8, JSEP-5.1.2-1, OA-8.4-3, BUNDLE-7.1.1-1, JSEP-5.2.1-9, BUNDLE-15.2-1
#[test]
fn sections_begin_as_jsep_has_it() {
    for text in texts() {
        for index in 0..3 {
            let lines = section(&text, index);
            let protocol = ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "UDP/DTLS/SCTP"][index];
            let port = if lines.contains(&"a=bundle-only") {
                "0"
            } else {
                "9"
            };
            let words: Vec<&str> = lines[0].split(' ').collect();
            assert_eq!(words[1..3], [port, protocol]);
            assert_eq!(lines[1], "c=IN IP4 0.0.0.0");
        }
    }
    // Numbers, whatever the sections are.
    let offer = Owner::new(1, vec![data(); 40]).create_offer().unwrap();
    let mids = offer.lines().filter_map(|line| line.strip_prefix("a=mid:"));
    assert!(
        mids.enumerate()
            .all(|(index, mid)| mid == index.to_string())
    );
}

/// req: JSEP-5.2.1-10, BUNDLE-7.1.3-5, JSEP-5.2.2-8, BUNDLE-9.3.1.4-1, BUNDLE-9.3.1.2-1, BUNDLE-7.2.1-1
#[test]
fn what_a_transport_says_stands_once_and_what_a_section_says_in_each() {
    for (number, text) in texts().iter().enumerate() {
        for once in ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"] {
            assert_eq!(text.matches(once).count(), 1, "{once} in {number}");
            assert!(section(text, 0).iter().any(|line| line.starts_with(once)));
        }
        for index in [0, 1] {
            for each in [
                "a=rtcp-mux",
                "a=sendrecv",
                "a=mid:",
                "a=rtpmap:",
                "a=extmap:1 ",
            ] {
                let has = section(text, index)
                    .iter()
                    .any(|line| line.starts_with(each));
                assert!(has, "{each} in {number}");
            }
        }
        // Offered first, mirrored in the tagged section, and never after.
        let only = usize::from(number < 2);
        assert_eq!(text.matches("a=rtcp-mux-only").count(), only, "in {number}");
        assert!(head(text).contains(&"a=group:BUNDLE 0 1 2"));
        assert!(!section(text, 0).contains(&"a=bundle-only"));
    }
}

/// req: BUNDLE-7.3-3, BUNDLE-7.3-4, BUNDLE-9.3-1, JSEP-5.11-1, JSEP-4.1.1-3
#[test]
fn later_answers_keep_the_section_that_speaks_and_the_port_of_rtcp() {
    let (mut alice, mut bob) = pair();
    exchange(&mut alice, &mut bob);
    // Bob does not want audio any more, but audio speaks for the bundle.
    bob.negotiator.stop_section(1).unwrap();
    let (_, answer) = exchange(&mut alice, &mut bob);
    assert!(
        head(&answer).contains(&"a=group:BUNDLE 0 2"),
        "video is refused"
    );
    assert!(section(&answer, 0).contains(&"a=ice-ufrag:uf2a"));
    for owner in [&alice, &bob] {
        let sections = negotiated(owner).sections;
        assert!(sections[0].rtcp_mux && !sections[1].rtcp_mux && !sections[2].rtcp_mux);
    }
    let offer = alice.offer().replace("a=rtcp-mux\r\n", "");
    assert_eq!(rule(bob.take(Offer, &offer)), Violation::MissingRtcpMux);
}

/// req: JSEP-4.1.9-1, JSEP-5.3.1-1, OA-5-3, OA-8-1, SDP-5.2-3
#[test]
fn answers_need_an_offer_and_offers_come_at_any_time() {
    let (mut alice, mut bob) = pair();
    let early = bob.create_answer();
    assert_eq!(early, Err(NegotiationError::State(SignalingState::Stable)));
    for round in 1..=4 {
        let offer = alice.offer();
        assert_eq!(offer.contains("o=- 1 1 IN"), round == 1);
        bob.take(Offer, &offer).unwrap();
        let answer = bob.create_answer().unwrap();
        bob.negotiator.set_local(Answer, &answer).unwrap();
        alice.take(Answer, &answer).unwrap();
        std::mem::swap(&mut alice, &mut bob);
    }
}

/// req: JSEP-5.1.2-2, JSEP-5.1.2-3, JSEP-5.1.2-4
#[test]
fn every_protocol_that_jsep_names_is_accepted_and_kept() {
    let table = [
        (0, "RTP/AVP", true),
        (0, "RTP/AVPF", true),
        (0, "RTP/SAVP", true),
        (0, "RTP/SAVPF", true),
        (0, "TCP/DTLS/RTP/SAVP", true),
        (0, "TCP/DTLS/RTP/SAVPF", true),
        (0, "UDP/TLS/RTP/SAVP", true),
        (0, "UDP/TLS/RTP/SAVPF", true),
        (0, "TCP/RTP/AVP", false),
        (2, "UDP/DTLS/SCTP", true),
        (2, "TCP/DTLS/SCTP", true),
        (2, "DTLS/SCTP", true),
        (2, "SCTP", false),
    ];
    for (index, protocol, taken) in table {
        let (mut alice, mut bob) = (
            Owner::new(1, vec![all().remove(index)]),
            Owner::new(2, all()),
        );
        let offer = alice.create_offer().unwrap();
        let own = section(&offer, 0)[0].split(' ').nth(2).unwrap().to_string();
        let remote = bob.take(Offer, &offer.replace(&own, protocol)).unwrap();
        assert_eq!(remote.sections[0].accepted, taken, "{protocol}");
        let says = |text: &str| section(text, 0)[0].split(' ').nth(2) == Some(protocol);
        assert!(says(&bob.answer()));
        // What was refused is no more than a place for another one.
        assert_eq!(says(&bob.offer()), taken, "{protocol}");
    }
}

/// req: JSEP-5.4-2, JSEP-5.10-4, SDP-5-3
#[test]
fn an_offer_that_was_cut_down_or_says_more_is_taken_all_the_same() {
    let (mut alice, bob) = pair();
    let offer = alice.offer();
    let cut = offer.lines().filter(|line| !line.starts_with("a=extmap"));
    let cut = cut.fold(String::new(), |text, line| text + line + "\r\n");
    let more = offer.replace("t=0 0", "b=AS:1000\r\nt=0 0");
    let more = more.replace("a=mid:1", "b=CT:500\r\na=mid:1\r\na=x-unknown:y");
    for text in [cut, more] {
        let mut bob = bob.clone();
        let remote = bob.take(Offer, &text).unwrap();
        assert!(remote.sections.iter().all(|section| section.accepted));
        assert!(!bob.answer().contains("\r\nb="));
    }
}

/// req: JSEP-5.8-1, OA-5.1-9
#[test]
fn a_malformed_line_refuses_the_description() {
    let offer = Owner::new(1, all()).create_offer().unwrap();
    for line in [
        "a=ptime:0",
        "a=rtpmap:96",
        "a=fmtp:96",
        "a=extmap:x urn:y",
        "a=setup:maybe",
        "a=fingerprint:sha-256 0",
        "a=sctp-port:70000",
        "a=ssrc:x cname:y",
        "a=rtcp-fb:96",
        "a=msid:",
        "a=group",
        "a=sendrecv:x",
        "q=1",
    ] {
        let text = offer.replace("a=mid:0", &format!("{line}\r\na=mid:0"));
        let mut bob = Owner::new(2, all());
        let result = bob.take(Offer, &text);
        assert!(
            matches!(result, Err(NegotiationError::Syntax(_))),
            "{line}: {result:?}"
        );
        assert_eq!(bob.negotiator.remote_description(), None);
    }
}

/// req: JSEP-5.8.2-1, JSEP-5.10-3
#[test]
fn all_that_jsep_names_is_read() {
    let offer = Owner::new(1, vec![video(SENDRECV), data()])
        .create_offer()
        .unwrap();
    let lines = [
        "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host",
        "a=candidate:2 1 udp 1694498815 192.0.2.3 9 typ srflx raddr 10.0.0.1 rport 8998",
        "a=remote-candidates:1 192.0.2.7 5000",
        "a=end-of-candidates",
        "a=ptime:20",
        "a=ssrc:1 cname:x",
        "a=rtcp-fb:96 nack",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=msid:- track",
        "a=rid:hi send",
        "a=simulcast:send hi",
    ];
    let text = offer.replacen(
        "a=rtpmap",
        &format!("{}\r\na=rtpmap", lines.join("\r\n")),
        1,
    );
    let mut bob = Owner::new(
        2,
        vec![SectionConfig::Video(
            Rtp::new(
                vec![Codec::new(96, "VP8", 90_000, None).with_feedback("nack")],
                SENDRECV,
            )
            .receiving_simulcast(1),
        )],
    );
    let remote = bob.take(Offer, &text).unwrap();
    let transport = remote.transport().unwrap();
    assert_eq!(transport.candidates.len(), 2);
    assert!(transport.end_of_candidates);
    assert_eq!(remote.sections[0].codecs[0].feedback, ["nack"]);
    assert_eq!(remote.data().unwrap().max_message_size, Some(262_144));
    let answer = bob.answer();
    assert!(answer.contains("a=rtcp-fb:96 nack\r\n") && answer.contains("a=simulcast:recv hi\r\n"));
    assert!(!answer.contains("remote-candidates") && !answer.contains("a=rtcp:"));
}

/// req: JSEP-5.11-2
#[test]
fn an_answer_that_changes_the_association_needs_a_restart() {
    let (mut alice, mut bob) = pair();
    exchange(&mut alice, &mut bob);
    bob.take(Offer, &alice.offer()).unwrap();
    let answer = bob
        .create_answer()
        .unwrap()
        .replace("sha-256 02:", "sha-256 03:");
    assert_eq!(rule(alice.take(Answer, &answer)), Violation::DtlsChanged);
}

/// req: BUNDLE-6-1, OA-5.1-3, OA-6-6
#[test]
fn a_zero_port_refuses_unless_it_is_bundle_only_in_a_bundle() {
    let offer = Owner::new(1, all()).create_offer().unwrap();
    let used = |text: &str| -> Vec<bool> {
        let mut bob = Owner::new(2, all());
        bob.take(Offer, text).unwrap();
        bob.answer();
        let sections = negotiated(&bob).sections;
        for section in &sections {
            assert_eq!(section.active, section.transport.is_some());
            assert_eq!(section.active, section.direction != Direction::Inactive);
            let formats = !section.codecs.is_empty();
            assert_eq!(
                section.active && section.media != MediaKind::Application,
                formats
            );
        }
        sections.iter().map(|section| section.active).collect()
    };
    assert_eq!(used(&offer), [true; 3]);
    assert_eq!(
        used(&offer.replace("BUNDLE 0 1 2", "BUNDLE 0 1")),
        [true, true, false]
    );
    assert_eq!(
        used(&offer.replacen("a=bundle-only\r\n", "", 1)),
        [true, false, true]
    );
    // Outside of a bundle the attribute says nothing.
    let alone = Owner::new(1, vec![data()]).create_offer().unwrap();
    let alone = alone.replace("a=group:BUNDLE 0\r\n", "");
    assert_eq!(
        used(&alone.replace("a=sctp-port", "a=bundle-only\r\na=sctp-port")),
        [true]
    );
}

/// req: OA-5.1-7, OA-5.1-8, OA-6.1-7, OA-6.1-8
#[test]
fn every_format_has_a_map_and_stands_in_order_of_preference() {
    for text in texts() {
        for index in [0, 1] {
            let lines = section(&text, index);
            let formats = lines[0].split(' ').skip(3);
            let maps = lines
                .iter()
                .filter_map(|line| line.strip_prefix("a=rtpmap:"));
            let mapped = maps.map(|map| map.split(' ').next().unwrap());
            assert!(formats.eq(mapped), "{}", lines[0]);
        }
        assert!(section(&text, 0)[0].ends_with(" 111 9 0 8"));
    }
}

/// req: OA-5.1-6, OA-6.1-9, OA-7-2, OA-6.1-15, OA-8.3.2-3, OA-8.3.2-4
#[test]
fn media_is_sent_in_the_formats_of_both_under_the_numbers_of_the_other_side() {
    let (mut alice, mut bob) = pair();
    let offer = alice.offer();
    bob.take(Offer, &offer).unwrap();
    let answer = bob.create_answer().unwrap();
    // An answer with a number of its own for opus, behind PCMU, and a format that was not offered.
    let answer = answer
        .replace("SAVPF 111 9 0 8", "SAVPF 0 120 121")
        .replace(":111 ", ":120 ")
        .replace("a=rtpmap:120", "a=rtpmap:121 speex/8000\r\na=rtpmap:120");
    alice.take(Answer, &answer).unwrap();
    let audio = &negotiated(&alice).sections[0];
    let numbers =
        |codecs: &[Codec]| -> Vec<u8> { codecs.iter().map(|it| it.payload_type).collect() };
    assert_eq!(numbers(&audio.codecs), [0, 120]);
    assert_eq!(numbers(&audio.receive_codecs), [111, 0]);
    assert_eq!(audio.codecs[1].name, "opus");
}

/// req: OA-8.3.2-1, OA-8.3.3-1
#[test]
fn formats_and_even_the_media_type_may_change() {
    let (mut alice, mut bob) = pair();
    exchange(&mut alice, &mut bob);
    let offer = alice.create_offer().unwrap();
    let fewer = offer.replace("SAVPF 111 9 0 8", "SAVPF 9 0");
    let mut copy = bob.clone();
    copy.take(Offer, &fewer).unwrap();
    copy.answer();
    let formats: Vec<_> = negotiated(&copy).sections[0]
        .codecs
        .iter()
        .map(|it| it.payload_type)
        .collect();
    assert_eq!(formats, [9, 0]);
    // Video becomes audio, in its place and under its mid.
    let start = offer.find("m=video").unwrap();
    let end = offer.find("m=application").unwrap();
    let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 8\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtcp-mux\r\n";
    let changed = [&offer[..start], audio, &offer[end..]].concat();
    let remote = bob.take(Offer, &changed).unwrap();
    assert_eq!(remote.sections[1].media, MediaKind::Audio);
    assert!(remote.sections[1].accepted);
    let answer = bob.answer();
    assert!(section(&answer, 1)[0].starts_with("m=audio 9 "));
}

/// req: GROUP-9.3-1
#[test]
fn an_empty_group_is_answered_with_an_empty_group() {
    let offer = Owner::new(1, vec![data()]).create_offer().unwrap();
    let offer = offer.replace("a=group:BUNDLE 0", "a=group:BUNDLE");
    let mut bob = Owner::new(2, vec![]);
    bob.take(Offer, &offer).unwrap();
    let answer = bob.answer();
    assert!(head(&answer).contains(&"a=group:BUNDLE"));
    assert!(section(&answer, 0)[0].starts_with("m=application 9 "));
}

/// req: SDP-8.2.3-1
#[test]
fn formats_of_rtp_are_payload_types_and_each_has_a_map() {
    for text in texts() {
        for index in [0, 1] {
            let section = section(&text, index);
            let formats: Vec<&str> = section[0].split(' ').skip(3).collect();
            assert!(section[0].contains("/RTP/") && !formats.is_empty());
            for format in formats {
                assert!(
                    format.parse::<u8>().is_ok_and(|number| number < 128),
                    "{format}"
                );
                let map = format!("a=rtpmap:{format} ");
                assert!(section.iter().any(|line| line.starts_with(&map)), "{map}");
            }
        }
    }
}

/// Without an operating system and without unsafe code there is nothing to start a program with.
/// req: SDP-7-2
#[test]
fn reading_can_start_nothing() {
    let root = include_str!("../src/lib.rs");
    let attributes: Vec<&str> = root
        .lines()
        .filter(|line| line.starts_with("#!["))
        .collect();
    assert!(attributes.contains(&"#![no_std]") && attributes.contains(&"#![forbid(unsafe_code)]"));
    let root = root.replace("#[cfg(test)]\nextern crate std", "");
    assert!(!root.contains("extern crate std"), "only under test");
}

/// req: OA-8.3.1-2
#[test]
fn where_only_the_address_changes_the_rest_is_as_it_was() {
    let (mut alice, mut bob) = pair();
    exchange(&mut alice, &mut bob);
    let (before, _) = exchange(&mut alice, &mut bob);
    let host = "candidate:1 1 udp 2130706431 192.0.2.7 6000 typ host";
    alice.candidates = vec![host.parse().unwrap()];
    let after = alice.offer();
    let changed = |line: &&str| !after.lines().any(|other| other == *line);
    let gone: Vec<&str> = before.lines().filter(changed).collect();
    assert!(!gone.is_empty());
    for line in gone {
        let is_of_addresses = ["o=", "m=", "c=", "a=candidate"]
            .iter()
            .any(|kind| line.starts_with(kind));
        assert!(is_of_addresses, "{line}");
    }
}

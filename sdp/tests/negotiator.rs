//! Offer/answer, told as exchanges between two owners.

mod common;

use std::time::Duration;

use common::*;
use floe_sdp::ice::{CandidateError, TrickledCandidate};
use floe_sdp::{
    Codec, Direction, DtlsRole, MediaKind, Misuse, NegotiationError, NegotiatorConfig, Rtp,
    SectionConfig, Setup, SignalingState, Violation,
};

const SENDRECV: Direction = Direction::SendRecv;

fn all() -> Vec<SectionConfig> {
    vec![audio(SENDRECV), video(SENDRECV), data()]
}

fn rule(result: Result<impl std::fmt::Debug, NegotiationError>) -> Violation {
    match result {
        Err(NegotiationError::Remote { rule, .. }) => rule,
        other => panic!("{other:?}"),
    }
}

/// req: JSEP-5.2.1-1, JSEP-5.2.1-4, JSEP-5.2.1-12, JSEP-5.2.1-11, OA-5-5
#[test]
fn an_initial_data_offer_says_exactly_this() {
    let mut alice = Owner::new(77, vec![data()]);
    let offer = alice.create_offer().unwrap();
    let fingerprint = vec!["4D"; 32].join(":");
    let expected = [
        "v=0",
        "o=- 77 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=ice-options:trickle ice2",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=ice-ufrag:uf77a",
        "a=ice-pwd:0123456789abcdef012377a",
        &format!("a=fingerprint:sha-256 {fingerprint}"),
        "a=setup:actpass",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "",
    ];
    assert_eq!(offer, expected.join("\r\n"));
}

/// req: BUNDLE-7.2-1, BUNDLE-7.2-2, BUNDLE-7.1.3-1, JSEP-4.1.1-4, JSEP-5.2.1-6, JSEP-5.2.1-13
#[test]
fn an_initial_offer_of_several_sections_is_bundle_only_behind_the_first() {
    let mut alice = Owner::new(1, all());
    let offer = alice.create_offer().unwrap();
    assert!(head(&offer).contains(&"a=group:BUNDLE 0 1 2"));
    assert!(section(&offer, 0)[0].starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 111 "));
    assert!(section(&offer, 0).contains(&"a=rtcp-mux"));
    assert!(section(&offer, 0).contains(&"a=rtcp-mux-only"));
    assert!(!section(&offer, 0).contains(&"a=bundle-only"));
    for (index, start) in [(1, "m=video 0 "), (2, "m=application 0 ")] {
        let lines = section(&offer, index);
        assert!(lines[0].starts_with(start));
        assert!(lines.contains(&"a=bundle-only"));
        assert!(
            !lines
                .iter()
                .any(|line| line.starts_with("a=ice-") || line.starts_with("a=fingerprint"))
        );
        assert!(
            !lines
                .iter()
                .any(|line| line.starts_with("a=setup") || line.starts_with("a=candidate"))
        );
    }
}

/// req: JSEP-5.3.1-4, JSEP-5.3.1-5, JSEP-5.3.1-6, BUNDLE-7.1.3-3, BUNDLE-7.1.3-4, OA-6-2
#[test]
fn an_answer_accepts_all_sections_on_one_transport() {
    let (mut alice, mut bob) = (Owner::new(1, all()), Owner::new(2, all()));
    let (_, answer) = exchange(&mut alice, &mut bob);
    assert!(head(&answer).contains(&"a=group:BUNDLE 0 1 2"));
    assert!(section(&answer, 0).contains(&"a=setup:active"));
    for index in 0..3 {
        let lines = section(&answer, index);
        assert!(!lines[0].contains(" 0 UDP"), "{}", lines[0]);
        assert!(!lines.contains(&"a=bundle-only"));
        assert_eq!(
            lines.iter().any(|line| line.starts_with("a=ice-ufrag")),
            index == 0
        );
    }
    let (here, there) = (
        alice.negotiator.negotiated().unwrap(),
        bob.negotiator.negotiated().unwrap(),
    );
    assert_eq!(
        (here.dtls_role(), there.dtls_role()),
        (Some(DtlsRole::Server), Some(DtlsRole::Client))
    );
    assert!(
        here.sections
            .iter()
            .chain(&there.sections)
            .all(|section| section.active)
    );
    assert_eq!(here.sections[0].codecs, there.sections[0].codecs);
    assert_eq!(there.sections[0].codecs[0].name, "opus");
    let sctp = here.sctp.unwrap();
    assert_eq!(
        (sctp.local_port, sctp.remote_port, sctp.max_send_size),
        (5000, 5000, 262_144)
    );
    assert!(here.local_offered && !there.local_offered);
}

/// req: JSEP-3.2-1, JSEP-5.6-1, OA-4-2, OA-4-3, OA-4-4
#[test]
fn calls_have_their_place_in_the_state_machine_and_change_nothing_elsewhere() {
    use SignalingState::{
        Closed, HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, HaveRemotePranswer, Stable,
    };
    let table = [
        // state, local: offer pranswer answer, remote: offer pranswer answer, rollback
        (
            Stable,
            [Some(HaveLocalOffer), None, None],
            [Some(HaveRemoteOffer), None, None],
            false,
        ),
        (
            HaveLocalOffer,
            [Some(HaveLocalOffer), None, None],
            [None, Some(HaveRemotePranswer), Some(Stable)],
            true,
        ),
        (
            HaveRemoteOffer,
            [None, Some(HaveLocalPranswer), Some(Stable)],
            [Some(HaveRemoteOffer), None, None],
            true,
        ),
        (
            HaveLocalPranswer,
            [None, Some(HaveLocalPranswer), Some(Stable)],
            [None; 3],
            false,
        ),
        (
            HaveRemotePranswer,
            [None; 3],
            [None, Some(HaveRemotePranswer), Some(Stable)],
            false,
        ),
    ];
    let mut other = Owner::new(9, vec![data()]);
    let remote_offer = other.create_offer().unwrap();
    for (state, local, remote, rollback) in table {
        let (mut owner, remote_answer) = in_state(state);
        let offer = owner.create_offer();
        assert_eq!(offer.is_ok(), local[0].is_some(), "createOffer in {state}");
        let answer = owner.create_answer();
        assert_eq!(
            answer.is_ok(),
            local[2].is_some(),
            "createAnswer in {state}"
        );
        let created = offer.or(answer).unwrap_or_default();
        let before = (
            owner.negotiator.local_description().map(String::from),
            owner.negotiator.remote_description().map(Vec::from),
        );
        for (kind, next) in [Offer, Pranswer, Answer].into_iter().zip(local) {
            let mut copy = owner.clone();
            let result = copy.negotiator.set_local(kind, &created);
            assert_eq!(
                copy.negotiator.state(),
                next.unwrap_or(state),
                "setLocal({kind:?}) in {state}"
            );
            assert_eq!(
                result.map(|_| ()),
                next.map(|_| ()).ok_or(NegotiationError::State(state))
            );
            if next.is_none() {
                let after = (
                    copy.negotiator.local_description().map(String::from),
                    copy.negotiator.remote_description().map(Vec::from),
                );
                assert_eq!(before, after);
            }
        }
        for (kind, next) in [Offer, Pranswer, Answer].into_iter().zip(remote) {
            let mut copy = owner.clone();
            let text = if kind == Offer {
                &remote_offer
            } else {
                &remote_answer
            };
            let result = copy.take(kind, text);
            assert_eq!(
                copy.negotiator.state(),
                next.unwrap_or(state),
                "setRemote({kind:?}) in {state}"
            );
            let refused = match (state, kind) {
                (HaveLocalOffer, Offer) => NegotiationError::Glare,
                _ => NegotiationError::State(state),
            };
            assert_eq!(result.map(|_| ()), next.map(|_| ()).ok_or(refused));
            if next.is_none() {
                assert!(
                    copy.negotiator == owner.negotiator,
                    "bit for bit the old one"
                );
            }
        }
        let before = owner.negotiator.clone();
        let result = owner.negotiator.rollback();
        assert_eq!(result.is_ok(), rollback, "rollback in {state}");
        if rollback {
            assert_eq!(owner.negotiator.state(), Stable);
        } else {
            assert!(owner.negotiator == before);
            assert_eq!(result, Err(NegotiationError::State(state)));
        }
        owner.negotiator.close();
        assert_eq!(owner.negotiator.state(), Closed);
        let closed = owner.negotiator.clone();
        let refused = Err(NegotiationError::State(Closed));
        assert_eq!(owner.create_offer(), refused);
        assert_eq!(owner.create_answer(), refused);
        for kind in [Offer, Pranswer, Answer] {
            let refused = Err(NegotiationError::State(Closed));
            assert_eq!(owner.negotiator.set_local(kind, &created), refused);
            assert_eq!(
                owner.take(kind, &remote_offer).map(|_| ()),
                refused.map(|_| ())
            );
        }
        assert_eq!(
            owner.negotiator.rollback(),
            Err(NegotiationError::State(Closed))
        );
        assert!(owner.negotiator.add_section(data()).is_err());
        assert!(owner.negotiator == closed);
    }
}

/// An owner in the given state, and an answer that fits if it has made an offer.
fn in_state(state: SignalingState) -> (Owner, String) {
    let mut owner = Owner::new(1, vec![data()]);
    let mut other = Owner::new(2, vec![data()]);
    let mut answer = String::new();
    match state {
        SignalingState::HaveLocalOffer | SignalingState::HaveRemotePranswer => {
            other.take(Offer, &owner.offer()).unwrap();
            answer = other.answer();
        }
        SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer => {
            owner.take(Offer, &other.offer()).unwrap();
        }
        SignalingState::Stable | SignalingState::Closed => {}
    }
    match state {
        SignalingState::HaveRemotePranswer => {
            owner.take(Pranswer, &answer).unwrap();
        }
        SignalingState::HaveLocalPranswer => {
            let text = owner.create_answer().unwrap();
            owner.negotiator.set_local(Pranswer, &text).unwrap();
        }
        _ => {}
    }
    assert_eq!(owner.negotiator.state(), state);
    (owner, answer)
}

/// req: JSEP-5.4-1, JSEP-4.1.8-1, JSEP-5.5-1
#[test]
fn only_the_text_created_last_can_be_set() {
    let mut alice = Owner::new(1, vec![data()]);
    let first = alice.create_offer().unwrap();
    let second = alice.create_offer().unwrap();
    let refused = Err(NegotiationError::Local(Misuse::NotAsCreated));
    assert_eq!(alice.negotiator.set_local(Offer, &first), refused);
    assert_eq!(
        alice
            .negotiator
            .set_local(Offer, &second.replace("actpass", "active")),
        refused
    );
    assert_eq!(
        alice.negotiator.set_local(Offer, &second).map(|_| ()),
        Ok(())
    );
}

/// req: JSEP-5.7-1, JSEP-5.2.2-1, JSEP-4.1.10-3
#[test]
fn rollback_restores_what_was_in_force() {
    let (mut alice, mut bob) = (Owner::new(1, vec![data()]), Owner::new(2, vec![data()]));
    let (offer, answer) = exchange(&mut alice, &mut bob);
    let before = alice.negotiator.negotiated();
    alice.offer();
    alice.negotiator.rollback().unwrap();
    assert_eq!(alice.negotiator.local_description(), Some(offer.as_str()));
    let reoffer = bob.offer();
    alice.take(Offer, &reoffer).unwrap();
    alice.negotiator.rollback().unwrap();
    assert_eq!(
        alice.negotiator.remote_description(),
        Some(answer.as_bytes())
    );
    assert_eq!(alice.negotiator.negotiated(), before);
    // Version 2 was spent on the offer that was given up.
    assert!(alice.create_offer().unwrap().contains("o=- 1 3 IN"));
}

/// req: OA-8-2, JSEP-5.2.2-4, JSEP-5.2.2-6, BUNDLE-7.5-1, JSEP-5.2.2-7, GROUP-9.1-2
#[test]
fn a_later_offer_keeps_mids_credentials_and_bundle() {
    let (mut alice, mut bob) = (Owner::new(1, all()), Owner::new(2, all()));
    exchange(&mut alice, &mut bob);
    let offer = alice.offer();
    assert!(head(&offer).contains(&"o=- 1 2 IN IP4 0.0.0.0"));
    assert!(head(&offer).contains(&"a=group:BUNDLE 0 1 2"));
    assert!(!offer.contains("bundle-only") && !offer.contains("rtcp-mux-only"));
    assert!(section(&offer, 1)[0].starts_with("m=video 9 "));
    assert_eq!(offer.matches("a=ice-ufrag:uf1a\r\n").count(), 1);
    let remote = bob.take(Offer, &offer).unwrap();
    assert!(!remote.transport().cloned().unwrap().ice_restart);
    // The answer keeps the DTLS roles (RFC 8842 §5.3).
    let answer = bob.answer();
    assert!(answer.contains("a=setup:active"));
    alice.take(Answer, &answer).unwrap();
    // So does one in the other direction.
    let (_, answer) = exchange(&mut bob, &mut alice);
    assert!(answer.contains("a=setup:passive"));
}

/// req: ICESDP-4.4.1.1.1-4, JSEP-5.10-1, ICESDP-4.4.2.1-2, JSEP-5.3.2-1, JSEP-5.2.3.1-1
#[test]
fn a_restart_changes_both_credentials_on_both_sides() {
    let (mut alice, mut bob) = (Owner::new(1, vec![data()]), Owner::new(2, vec![data()]));
    exchange(&mut alice, &mut bob);
    alice.restart("1b");
    let offer = alice.offer();
    let remote = bob
        .take(Offer, &offer)
        .unwrap()
        .transport()
        .cloned()
        .unwrap();
    assert!(remote.ice_restart && !remote.dtls_restart);
    assert_eq!(
        bob.create_answer(),
        Err(NegotiationError::Local(Misuse::RestartNeeded))
    );
    bob.restart("2b");
    let answer = bob.answer();
    assert!(
        alice
            .take(Answer, &answer)
            .unwrap()
            .transport()
            .cloned()
            .unwrap()
            .ice_restart
    );
}

/// req: ICESDP-5.4-3, ICESDP-4.4.1.1.1-7, ICESDP-4.4.2.1-4, JSEP-5.8.3-2
#[test]
fn what_needs_a_restart_is_refused_without_one() {
    let (mut alice, mut bob) = (Owner::new(1, vec![data()]), Owner::new(2, vec![data()]));
    exchange(&mut alice, &mut bob);
    let offer = alice.create_offer().unwrap();
    let changed = |from: &str, to: &str| {
        assert!(offer.contains(from));
        rule(bob.clone().take(Offer, &offer.replace(from, to)))
    };
    assert_eq!(changed("ufrag:uf1a", "ufrag:uf1x"), Violation::HalfRestart);
    assert_eq!(changed("01231a", "01231x"), Violation::HalfRestart);
    assert_eq!(
        changed("trickle ice2", "trickle"),
        Violation::IceParametersChanged
    );
    assert_eq!(
        changed("a=ice-options", "a=ice-pacing:20\r\na=ice-options"),
        Violation::IceParametersChanged
    );
    assert_eq!(
        changed("sha-256 01:", "sha-256 02:"),
        Violation::DtlsChanged
    );
    assert_eq!(changed("setup:actpass", "setup:active"), Violation::Setup);
    // The order of the options says nothing.
    assert!(
        bob.clone()
            .take(Offer, &offer.replace("trickle ice2", "ice2 trickle"))
            .is_ok()
    );
    // The same on the own side.
    alice.credentials =
        floe_sdp::ice::IceCredentials::new("uf1x", alice.credentials.pwd()).unwrap();
    assert_eq!(
        alice.create_offer(),
        Err(NegotiationError::Local(Misuse::HalfRestart))
    );
    alice.credentials = credentials("1a");
    alice.pacing = Some(Duration::from_millis(20));
    assert_eq!(
        alice.create_offer(),
        Err(NegotiationError::Local(Misuse::IceParametersChanged))
    );
}

/// req: ICESDP-4.4.1.1.1-5, JSEP-5.2.1-14
#[test]
fn credentials_that_move_to_the_session_level_are_no_restart() {
    let (mut alice, mut bob) = (Owner::new(1, vec![data()]), Owner::new(2, vec![data()]));
    exchange(&mut alice, &mut bob);
    let offer = alice.create_offer().unwrap();
    let lines = [
        "a=ice-ufrag:uf1a\r\n",
        "a=ice-pwd:0123456789abcdef01231a\r\n",
    ];
    let moved = lines
        .iter()
        .fold(offer, |text, line| text.replace(line, ""));
    let moved = moved.replace("m=application", &format!("{}m=application", lines.concat()));
    assert!(
        !bob.take(Offer, &moved)
            .unwrap()
            .transport()
            .cloned()
            .unwrap()
            .ice_restart
    );
}

/// req: JSEP-5.1.1-1, JSEP-5.8.3-1, JSEP-5.1.1-2, JSEP-5.8.3-3, GROUP-4-2, OA-5-2
#[test]
fn an_offer_without_what_is_mandatory_is_refused() {
    let offer = Owner::new(1, all()).create_offer().unwrap();
    let bob = Owner::new(2, all());
    let changed = |from: &str, to: &str| {
        assert!(offer.contains(from), "{from}");
        let mut copy = bob.clone();
        let result = rule(copy.take(Offer, &offer.replacen(from, to, 1)));
        assert_eq!(copy.negotiator.state(), SignalingState::Stable);
        result
    };
    assert_eq!(
        changed("a=ice-ufrag:uf1a\r\n", ""),
        Violation::MissingIceCredentials
    );
    assert_eq!(
        changed("a=ice-pwd:0123456789abcdef01231a\r\n", ""),
        Violation::MissingIceCredentials
    );
    assert_eq!(
        changed("a=fingerprint", "a=x"),
        Violation::MissingFingerprint
    );
    assert_eq!(changed("a=setup:actpass\r\n", ""), Violation::MissingSetup);
    assert_eq!(changed("setup:actpass", "setup:holdconn"), Violation::Setup);
    assert_eq!(
        changed("a=setup", "a=crypto:1 x y\r\na=setup"),
        Violation::ForbiddenKeying
    );
    assert_eq!(
        changed("a=rtcp-mux\r\na=rtcp-mux-only\r\n", ""),
        Violation::MissingRtcpMux
    );
    assert_eq!(
        changed("a=rtcp-mux\r\na=rtcp-mux-only\r\n", "a=rtcp-mux-only\r\n"),
        Violation::MissingRtcpMux
    );
    assert_eq!(
        changed("a=sctp-port:5000\r\n", ""),
        Violation::MissingSctpPort
    );
    assert_eq!(changed("a=mid:1", "a=mid:0"), Violation::DuplicateMid);
    assert_eq!(
        changed("a=ice-ufrag", "a=ice-ufrag:uf1a\r\na=ice-ufrag"),
        Violation::DuplicateAttribute
    );
    assert_eq!(
        changed("o=- 1 1", "o=- 9223372036854775808 1"),
        Violation::OriginRange
    );
    assert_eq!(
        changed(
            "a=group:BUNDLE 0 1 2",
            "a=group:BUNDLE 0 1\r\na=group:BUNDLE 1 2"
        ),
        Violation::TwoGroups
    );
}

/// req: JSEP-5.8.3-4, OA-6.1-2, GROUP-9.1-1, OA-6.1-3, GROUP-9.2-4
#[test]
fn an_answer_that_does_not_fit_the_offer_is_refused() {
    let (mut alice, mut bob) = (Owner::new(1, all()), Owner::new(2, all()));
    let offer = alice.offer();
    bob.take(Offer, &offer).unwrap();
    let answer = bob.create_answer().unwrap();
    let changed = |from: &str, to: &str| {
        assert!(answer.contains(from), "{from}");
        let mut copy = alice.clone();
        let result = rule(copy.take(Answer, &answer.replacen(from, to, 1)));
        assert_eq!(copy.negotiator.state(), SignalingState::HaveLocalOffer);
        result
    };
    let last = answer.find("m=application").unwrap();
    assert_eq!(changed(&answer[last..], ""), Violation::SectionCount);
    assert_eq!(changed("m=video", "m=text"), Violation::SectionType);
    assert_eq!(
        changed("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"),
        Violation::SectionType
    );
    assert_eq!(changed("a=mid:1\r\n", "a=mid:7\r\n"), Violation::Mid);
    assert_eq!(
        changed("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0 1"),
        Violation::NotOffered
    );
    assert_eq!(changed("setup:active", "setup:actpass"), Violation::Setup);
    let foreign = answer
        .replace("VP8/90000", "VP7/90000")
        .replace("H264/90000", "H265/90000");
    let result = rule(alice.clone().take(Answer, &foreign));
    assert_eq!(result, Violation::NoCommonFormat);
    let mut alice = Owner::new(1, vec![audio(Direction::SendOnly)]);
    let mut bob = Owner::new(2, vec![audio(SENDRECV)]);
    bob.take(Offer, &alice.offer()).unwrap();
    let answer = bob.create_answer().unwrap();
    assert!(answer.contains("a=recvonly"));
    assert_eq!(
        rule(alice.take(Answer, &answer.replace("recvonly", "sendrecv"))),
        Violation::Direction
    );
}

/// req: OA-6.1-2, SDP-6.7-2
#[test]
fn the_answered_direction_is_what_both_want() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let table = [
        (SendRecv, [SendRecv, SendOnly, RecvOnly, Inactive]),
        (SendOnly, [RecvOnly, Inactive, RecvOnly, Inactive]),
        (RecvOnly, [SendOnly, SendOnly, Inactive, Inactive]),
        (Inactive, [Inactive; 4]),
    ];
    for (offered, answers) in table {
        for (own, expected) in [SendRecv, SendOnly, RecvOnly, Inactive]
            .into_iter()
            .zip(answers)
        {
            let (mut alice, mut bob) = (
                Owner::new(1, vec![audio(offered)]),
                Owner::new(2, vec![audio(own)]),
            );
            exchange(&mut alice, &mut bob);
            let direction =
                |owner: &Owner| owner.negotiator.negotiated().unwrap().sections[0].direction;
            assert_eq!(direction(&bob), expected, "{offered:?} answered by {own:?}");
            assert_eq!(direction(&alice), expected.reversed());
            assert!(expected.may_answer(offered));
        }
    }
}

/// req: OA-6.1-12, JSEP-5.3.1-3, OA-6-5, GROUP-9.2-1, BUNDLE-7.3.3-1
#[test]
fn a_section_without_a_common_format_is_refused_and_the_others_live() {
    let other = Rtp::new(vec![Codec::new(96, "H265", 90_000, None)], SENDRECV);
    let mut alice = Owner::new(1, all());
    let mut bob = Owner::new(2, vec![SectionConfig::Video(other)]);
    let (_, answer) = exchange(&mut alice, &mut bob);
    assert!(head(&answer).contains(&"a=group:BUNDLE 0 2"));
    assert_eq!(
        section(&answer, 1),
        [
            "m=video 0 UDP/TLS/RTP/SAVPF 96",
            "c=IN IP4 0.0.0.0",
            "a=mid:1"
        ]
    );
    let active = |owner: &Owner| -> Vec<bool> {
        owner
            .negotiator
            .negotiated()
            .unwrap()
            .sections
            .iter()
            .map(|section| section.active)
            .collect()
    };
    assert_eq!(
        (active(&alice), active(&bob)),
        (vec![true, false, true], vec![true, false, true])
    );
    // Refused stays refused, in its place (RFC 3264 §8).
    let offer = alice.offer();
    assert!(section(&offer, 1)[0].starts_with("m=video 0 "));
    assert!(head(&offer).contains(&"a=group:BUNDLE 0 2"));
}

/// If the section that speaks for the bundle is refused, so is the bundle.
///
/// req: JSEP-5.3.1-3, BUNDLE-7.3.1-2, BUNDLE-9.3.1.2-2
#[test]
fn refusing_the_tagged_section_refuses_all_of_its_group() {
    let mut config = config(2, vec![data()]);
    config.accept = Vec::new();
    let (mut alice, mut bob) = (Owner::new(1, all()), Owner::with(config));
    let (_, answer) = exchange(&mut alice, &mut bob);
    assert!(!answer.contains("BUNDLE") && !answer.contains("rtcp-mux-only"));
    for index in 0..3 {
        assert!(section(&answer, index)[0].contains(" 0 "), "{index}");
    }
    assert_eq!(alice.negotiator.negotiated().unwrap().dtls_role(), None);
}

/// req: JSEP-5.3.1-3, GROUP-6-2, GROUP-6-3
#[test]
fn a_section_outside_of_the_first_ones_group_is_refused() {
    let offer = Owner::new(1, all()).create_offer().unwrap();
    let whole = offer
        .replace(" 0 UDP", " 9 UDP")
        .replace("a=bundle-only\r\n", "");
    let live = |text: &str| -> Vec<bool> {
        let mut bob = Owner::new(2, all());
        bob.take(Offer, text)
            .unwrap()
            .sections
            .iter()
            .map(|section| section.accepted)
            .collect()
    };
    assert_eq!(live(&whole), [true, true, true]);
    assert_eq!(
        live(&whole.replace("BUNDLE 0 1 2", "BUNDLE 0 2")),
        [true, false, true]
    );
    assert_eq!(
        live(&whole.replace("BUNDLE 0 1 2", "BUNDLE 1 2")),
        [true, false, false]
    );
    assert_eq!(
        live(&whole.replace("BUNDLE 0 1 2", "BUNDLE 0 1 2 9")),
        [true, false, false]
    );
    assert_eq!(
        live(&whole.replace("a=mid:2\r\n", "")),
        [true, false, false]
    );
    // Not even of those that have one.
    let nameless = whole.replace("BUNDLE 0 1 2", "BUNDLE 0 1");
    assert_eq!(
        live(&nameless.replace("a=mid:2\r\n", "")),
        [true, false, false]
    );
}

/// req: BUNDLE-7.3.1-1
#[test]
fn the_first_tag_of_the_group_speaks_for_it_wherever_it_stands() {
    let mut alice = Owner::new(1, all());
    let offer = alice.create_offer().unwrap();
    let start = offer.find("a=ice-ufrag").unwrap();
    let transport = offer[start..offer.find("a=extmap").unwrap()].to_string();
    let offer = offer
        .replace(&transport, "")
        .replace(" 0 UDP", " 9 UDP")
        .replace("a=bundle-only\r\n", "");
    let offer = offer.replace("a=sctp-port", &format!("{transport}a=sctp-port"));
    let offer = offer.replace("BUNDLE 0 1 2", "BUNDLE 2 0 1");
    let mut bob = Owner::new(2, all());
    let remote = bob
        .take(Offer, &offer)
        .unwrap()
        .transport()
        .cloned()
        .unwrap();
    assert_eq!((remote.mline_index, remote.mid.as_deref()), (2, Some("2")));
    let answer = bob.answer();
    assert!(head(&answer).contains(&"a=group:BUNDLE 2 0 1"));
    assert!(section(&answer, 2).contains(&"a=setup:active"));
    assert!(
        !section(&answer, 0)
            .iter()
            .any(|line| line.starts_with("a=ice-ufrag"))
    );
}

/// req: OA-8.1-1, JSEP-5.2.2-2, OA-8-5
#[test]
fn new_sections_go_to_the_end_or_take_a_refused_place_with_a_new_mid() {
    let mut config = config(2, vec![data()]);
    config.accept = vec![audio(SENDRECV)];
    let (mut alice, mut bob) = (
        Owner::new(1, vec![data(), video(SENDRECV)]),
        Owner::with(config),
    );
    exchange(&mut alice, &mut bob);
    alice.negotiator.add_section(audio(SENDRECV)).unwrap();
    let offer = alice.offer();
    assert!(section(&offer, 1)[0].starts_with("m=audio 9 "));
    assert!(section(&offer, 1).contains(&"a=mid:2"));
    let remote = bob.take(Offer, &offer).unwrap();
    assert!(remote.sections[1].accepted);
    let answer = bob.answer();
    alice.take(Answer, &answer).unwrap();
    alice.negotiator.add_section(audio(SENDRECV)).unwrap();
    let offer = alice.offer();
    assert!(section(&offer, 2)[0].starts_with("m=audio 9 "));
    assert!(head(&offer).contains(&"a=group:BUNDLE 0 2 3"));
    let short = &offer[..offer.find("m=audio").unwrap()];
    assert_eq!(rule(bob.take(Offer, short)), Violation::SectionCount);
}

/// req: OA-6.1-6, OA-6.1-8, OA-8.3.2-2
#[test]
fn answers_use_the_offered_numbers_and_order_and_so_do_later_offers() {
    let rtp = |codecs| SectionConfig::Audio(Rtp::new(codecs, SENDRECV));
    let offered = vec![
        Codec::new(0, "pcmu", 8000, Some(1)),
        Codec::new(120, "OPUS", 48_000, Some(2)),
    ];
    let own = vec![
        Codec::new(111, "opus", 48_000, Some(2)),
        Codec::new(120, "L16", 8000, None),
        Codec::new(0, "PCMU", 8000, None),
    ];
    let (mut alice, mut bob) = (
        Owner::new(1, vec![rtp(offered)]),
        Owner::new(2, vec![rtp(own)]),
    );
    let (_, answer) = exchange(&mut alice, &mut bob);
    assert_eq!(section(&answer, 0)[0], "m=audio 9 UDP/TLS/RTP/SAVPF 0 120");
    let offer = bob.create_offer().unwrap();
    let lines = section(&offer, 0);
    assert_eq!(lines[0], "m=audio 9 UDP/TLS/RTP/SAVPF 120 96 0");
    assert!(lines.contains(&"a=rtpmap:96 L16/8000"));
}

/// req: OA-6.1-10
#[test]
fn formats_differ_if_their_identity_does() {
    let h264 = |parameters: &str| Codec::new(96, "H264", 90_000, None).with_parameters(parameters);
    let one = h264("profile-level-id=42e01f;packetization-mode=1");
    assert!(
        one.matches(
            &h264("packetization-mode=1; profile-level-id=42E01F")
                .clone()
                .with_parameters("packetization-mode=1;profile-level-id=42e034")
        )
    );
    assert!(!one.matches(&h264("profile-level-id=42e01f")));
    assert!(!one.matches(&h264("profile-level-id=64001f;packetization-mode=1")));
    let vp9 = Codec::new(98, "VP9", 90_000, None);
    assert!(vp9.matches(&vp9.clone().with_parameters("profile-id=0")));
    assert!(!vp9.matches(&vp9.clone().with_parameters("profile-id=2")));
}

/// req: ICESDP-4.2.1-1, JSEP-5.2.2-5, TRICKLESDP-8.2-1, ICESDP-4.3.1-2
#[test]
fn known_candidates_are_listed_and_the_default_one_is_in_m_and_c() {
    let mut alice = Owner::new(1, vec![data(), audio(SENDRECV)]);
    let host = "candidate:1 1 udp 2130706431 2001:db8::5 5000 typ host";
    let reflexive =
        "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.0.1 rport 8998";
    let hidden = "candidate:3 1 udp 2130706431 70f54a74.local 5000 typ host";
    alice.candidates = [host, reflexive, hidden]
        .map(|text| text.parse().unwrap())
        .to_vec();
    alice.end_of_candidates = true;
    alice.pacing = Some(Duration::from_millis(20));
    let offer = alice.create_offer().unwrap();
    let lines = section(&offer, 0);
    assert_eq!(
        lines[..2],
        [
            "m=application 45664 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 192.0.2.3"
        ]
    );
    assert!(head(&offer).contains(&"a=ice-pacing:20"));
    let mut bob = Owner::new(2, vec![]);
    let transport = bob
        .take(Offer, &offer)
        .unwrap()
        .transport()
        .cloned()
        .unwrap();
    assert_eq!(transport.candidates, alice.candidates);
    assert!(
        transport.end_of_candidates
            && transport.trickle()
            && transport.ice2()
            && transport.mismatch.is_none()
    );
    assert_eq!(transport.pacing, alice.pacing);
    alice.candidates.truncate(1);
    let offer = alice.create_offer().unwrap();
    assert_eq!(section(&offer, 0)[1], "c=IN IP6 2001:db8::5");
}

/// req: ICESDP-4.2.1.4-1, ICESDP-4.3.1-3, ICESDP-4.2.1.4-2
#[test]
fn a_lite_agent_says_so_and_paces_nothing() {
    let mut alice = Owner::new(1, vec![data()]);
    alice.pacing = Some(Duration::from_millis(20));
    assert!(!alice.create_offer().unwrap().contains("ice-lite"));
    alice.lite = true;
    let offer = alice.create_offer().unwrap();
    assert!(head(&offer).contains(&"a=ice-lite") && !offer.contains("ice-pacing"));
    assert!(
        Owner::new(2, vec![])
            .take(Offer, &offer)
            .unwrap()
            .transport()
            .cloned()
            .unwrap()
            .lite
    );
}

/// req: JSEP-3.5.5-1, ICESDP-4.2.1.5-1, JSEP-5.1.1-3, TRICKLE-3-1, TRICKLE-18-1
#[test]
fn peers_of_rfc_5245_are_answered() {
    let offer = Owner::new(1, vec![data()])
        .create_offer()
        .unwrap()
        .replace("a=ice-options:trickle ice2\r\n", "");
    let mut bob = Owner::new(2, vec![]);
    let transport = bob
        .take(Offer, &offer)
        .unwrap()
        .transport()
        .cloned()
        .unwrap();
    assert!(!transport.ice2() && !transport.trickle());
    assert!(head(&bob.answer()).contains(&"a=ice-options:trickle ice2"));
}

/// req: ICESDP-4.2.5-2, ICESDP-4.2.5-5, ICESDP-4.2.5-7, TRICKLESDP-4.1.2-2, ICE-5.4-1
#[test]
fn a_default_destination_that_is_no_candidate_is_a_mismatch() {
    let mut alice = Owner::new(1, vec![data()]);
    alice.candidates = vec![
        "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host"
            .parse()
            .unwrap(),
    ];
    let offer = alice.create_offer().unwrap();
    let mismatch = |text: &str| {
        Owner::new(2, vec![])
            .take(Offer, text)
            .unwrap()
            .transport()
            .cloned()
            .unwrap()
            .mismatch
            .is_some()
    };
    assert!(!mismatch(&offer));
    assert!(mismatch(
        &offer.replace("c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.9")
    ));
    assert!(mismatch(
        &offer.replace("m=application 5000", "m=application 5001")
    ));
    assert!(!mismatch(
        &offer.replace("c=IN IP4 192.0.2.1", "c=IN IP4 host.example")
    ));
    let unknown = offer.replace("m=application 5000", "m=application 9");
    assert!(!mismatch(
        &unknown.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0")
    ));
    assert!(!mismatch(
        &unknown.replace("c=IN IP4 192.0.2.1", "c=IN IP6 ::")
    ));
}

/// req: JSEP-5.3.1-5
#[test]
fn the_dtls_role_follows_the_offer_and_the_owners_wish() {
    let offer = Owner::new(1, vec![data()]).create_offer().unwrap();
    let table = [
        ("actpass", Setup::Actpass, "active"),
        ("actpass", Setup::Active, "active"),
        ("actpass", Setup::Passive, "passive"),
        ("active", Setup::Active, "passive"),
        ("passive", Setup::Passive, "active"),
    ];
    for (offered, wish, answered) in table {
        let mut bob = Owner::new(2, vec![]);
        bob.dtls.setup = wish;
        bob.take(Offer, &offer.replace("actpass", offered)).unwrap();
        assert!(
            bob.answer().contains(&format!("a=setup:{answered}\r\n")),
            "{offered} {wish:?}"
        );
    }
}

#[test]
fn a_tls_id_is_answered_only_to_those_who_know_it() {
    let mut bob = Owner::new(2, vec![data()]);
    bob.dtls.tls_id = Some("bob-abc3de65cddef001be82".into());
    let mut alice = Owner::new(1, vec![data()]);
    let (_, answer) = exchange(&mut alice, &mut bob);
    assert!(!answer.contains("tls-id"));
    // Offers always have it, and that is no change of the association.
    let (offer, _) = exchange(&mut bob, &mut alice);
    assert!(offer.contains("a=tls-id:bob-abc3de65cddef001be82"));
    alice.dtls.tls_id = Some("alice-abc3de65cddef001be82".into());
    let offer = alice.offer();
    let remote = bob
        .take(Offer, &offer)
        .unwrap()
        .transport()
        .cloned()
        .unwrap();
    assert_eq!(
        (remote.dtls.unwrap().tls_id, remote.dtls_restart),
        (alice.dtls.tls_id.clone(), false)
    );
    assert!(bob.answer().contains("tls-id"));
}

/// req: JSEP-3.5.2.1-1, JSEP-3.5.2.1-2, JSEP-4.1.19-1, JSEP-4.1.19-2, JSEP-4.1.19-3, TRICKLESDP-4.4-1
#[test]
fn trickled_candidates_find_their_section_and_generation() {
    let (mut alice, mut bob) = (Owner::new(1, all()), Owner::new(2, all()));
    let text = "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host";
    let add = |owner: &Owner, text: &str, mid, index, ufrag| {
        owner
            .negotiator
            .add_remote_candidate_text(text, mid, index, ufrag)
            .map(|found| found.map(|found| found.candidate))
    };
    let too_early = Err(NegotiationError::State(SignalingState::Stable));
    assert_eq!(add(&bob, text, Some("0"), None, None), too_early);
    let offer = alice.offer();
    bob.take(Offer, &offer).unwrap();
    let candidate = Ok(Some(TrickledCandidate::Candidate(text.parse().unwrap())));
    let end = Ok(Some(TrickledCandidate::EndOfCandidates));
    assert_eq!(add(&bob, text, Some("0"), None, None), candidate);
    assert_eq!(add(&bob, text, None, Some(0), Some("uf1a")), candidate);
    assert_eq!(
        add(&bob, text, Some("0"), Some(2), None),
        candidate,
        "the mid counts"
    );
    // Before the answer, sections behind the tag have candidates that will not be used.
    assert_eq!(add(&bob, text, Some("2"), None, None), Ok(None));
    assert_eq!(
        add(
            &bob,
            &text.replace(" 1 udp", " 2 udp"),
            Some("0"),
            None,
            None
        ),
        Ok(None)
    );
    assert_eq!(
        add(&bob, text, None, None, None),
        Err(NegotiationError::UnknownSection)
    );
    assert_eq!(
        add(&bob, text, Some("9"), Some(0), None),
        Err(NegotiationError::UnknownSection)
    );
    assert_eq!(
        add(&bob, text, None, Some(3), None),
        Err(NegotiationError::UnknownSection)
    );
    assert_eq!(add(&bob, "", None, None, Some("uf1a")), end);
    assert_eq!(add(&bob, "", Some("0"), None, None), end);
    let other = Err(NegotiationError::WrongGeneration);
    assert_eq!(add(&bob, text, Some("0"), None, Some("uf0a")), other);
    assert_eq!(
        add(
            &bob,
            &format!("{text} ufrag uf0a"),
            Some("0"),
            None,
            Some("uf1a")
        ),
        other
    );
    assert_eq!(add(&bob, "", None, None, Some("uf0a")), other);
    let malformed = add(&bob, "candidate:1 0 udp", Some("0"), None, None);
    assert!(matches!(
        malformed,
        Err(NegotiationError::Candidate(CandidateError {
            offset: 12,
            ..
        }))
    ));
    let answer = bob.answer();
    alice.take(Answer, &answer).unwrap();
    // Afterwards all sections share the transport.
    assert_eq!(add(&alice, text, Some("2"), None, Some("uf2a")), candidate);
}

#[test]
fn what_cannot_be_said_is_refused() {
    let misuse = |change: &dyn Fn(&mut Owner)| {
        let mut owner = Owner::new(1, vec![data()]);
        change(&mut owner);
        match owner.create_offer() {
            Err(NegotiationError::Local(misuse)) => misuse,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        misuse(&|owner| owner.dtls.fingerprints.clear()),
        Misuse::Dtls
    );
    assert_eq!(
        misuse(&|owner| owner.dtls.tls_id = Some("x\r\na=y".repeat(9))),
        Misuse::Dtls
    );
    assert_eq!(
        misuse(&|owner| owner.credentials = credentials(&"x".repeat(31))),
        Misuse::Credentials
    );
    assert_eq!(
        misuse(&|owner| owner.pacing = Some(Duration::MAX)),
        Misuse::Pacing
    );
    let name = "candidate:1 1 udp 1 host.example 9 typ host";
    assert_eq!(
        misuse(&|owner| owner.candidates = vec![name.parse().unwrap()]),
        Misuse::Candidate
    );
    let refused = |id, codecs| {
        let section = SectionConfig::Audio(Rtp::new(codecs, SENDRECV));
        floe_sdp::Negotiator::new(NegotiatorConfig::new(id, vec![section])).map(|_| ())
    };
    let opus = Codec::new(111, "opus", 48_000, Some(2));
    assert_eq!(
        refused(i64::MAX as u64, vec![opus.clone()]),
        Err(Misuse::SessionId.into())
    );
    assert_eq!(refused(1, vec![]), Err(Misuse::Codec.into()));
    assert_eq!(
        refused(1, vec![opus.clone(), Codec::new(111, "L16", 8000, None)]),
        Err(Misuse::Codec.into())
    );
    assert_eq!(
        refused(1, vec![opus.with_parameters("x\r\na=y")]),
        Err(Misuse::Codec.into())
    );
}

/// They would look like RTCP.
///
/// req: DEMUX-5761-4-2
#[test]
fn payload_types_64_to_95_are_not_sent() {
    for payload_type in 0..=255 {
        let section = SectionConfig::Audio(Rtp::new(
            vec![Codec::new(payload_type, "opus", 48_000, Some(2))],
            SENDRECV,
        ));
        let result = floe_sdp::Negotiator::new(NegotiatorConfig::new(1, vec![section]));
        let fits = (0..64).contains(&payload_type) || (96..128).contains(&payload_type);
        assert_eq!(result.is_ok(), fits, "{payload_type}");
    }
}

/// req: OA-5-6
#[test]
fn an_offer_of_no_sections_has_an_answer_of_none() {
    let (mut alice, mut bob) = (Owner::new(1, vec![]), Owner::new(2, vec![]));
    let (offer, answer) = exchange(&mut alice, &mut bob);
    assert!(!offer.contains("m=") && !answer.contains("m="));
    assert!(alice.negotiator.negotiated().unwrap().sections.is_empty());
}

/// req: OA-6-3
#[test]
fn the_answer_repeats_the_times_of_the_offer() {
    let offer = Owner::new(1, vec![data()]).create_offer().unwrap();
    let offer = offer.replace("t=0 0", "t=3034423619 3042462419\r\nt=0 0");
    let mut bob = Owner::new(2, vec![]);
    bob.take(Offer, &offer).unwrap();
    assert!(
        bob.answer()
            .contains("s=-\r\nt=3034423619 3042462419\r\nt=0 0\r\n")
    );
}

/// req: OA-8.2-2, JSEP-5.1.2-3
#[test]
fn refused_by_the_offer_is_refused_in_the_answer_and_protocols_are_mirrored() {
    let (mut alice, mut bob) = (Owner::new(1, all()), Owner::new(2, all()));
    exchange(&mut alice, &mut bob);
    let offer = alice.create_offer().unwrap();
    let offer = offer.replace("m=video 9 UDP/TLS/RTP/SAVPF", "m=video 0 UDP/TLS/RTP/SAVPF");
    let offer = offer
        .replace("BUNDLE 0 1 2", "BUNDLE 0 2")
        .replace("9 UDP/DTLS/SCTP", "9 TCP/DTLS/SCTP");
    let remote = bob.take(Offer, &offer).unwrap();
    assert_eq!(remote.sections[1].media, MediaKind::Video);
    assert!(!remote.sections[1].accepted);
    let answer = bob.answer();
    assert!(section(&answer, 1)[0].starts_with("m=video 0 "));
    assert!(section(&answer, 2)[0].starts_with("m=application 9 TCP/DTLS/SCTP "));
}

//! Descriptions and candidates of a browser (see `data/README.md`).

mod common;

use common::*;
use floe_sdp::ice::{Candidate, CandidateAddress, TrickledCandidate};
use floe_sdp::{Codec, Direction, DtlsRole, MediaKind, Rtp, SectionConfig, Session};

const SCENARIOS: [&str; 4] = ["data", "audio-video-data", "recvonly", "simulcast"];

fn read(scenario: &str, part: &str) -> String {
    let path = format!(
        "{}/tests/data/{scenario}-{part}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

/// The sections that the scenario's offers have, with the numbers that the browser gives to formats.
fn offered(scenario: &str) -> Vec<SectionConfig> {
    match scenario {
        "data" => vec![data()],
        "audio-video-data" => vec![
            audio(Direction::SendRecv),
            video(Direction::SendRecv),
            data(),
        ],
        "recvonly" => vec![audio(Direction::RecvOnly), video(Direction::RecvOnly)],
        _ => vec![video(Direction::SendOnly)],
    }
}

/// req: SDP-5-3, JSEP-5.8.1-1
#[test]
fn every_description_prints_as_it_was_and_all_attributes_have_values() {
    for scenario in SCENARIOS {
        for part in [
            "offer.sdp",
            "offer-trickle.sdp",
            "restart-offer.sdp",
            "answer.sdp",
        ] {
            let text = read(scenario, part);
            let session = Session::parse(text.as_bytes())
                .unwrap_or_else(|error| panic!("{scenario} {error}"));
            assert_eq!(session.to_bytes(), text.as_bytes());
            let sections = session
                .media()
                .flat_map(|media| media.attributes().collect::<Vec<_>>());
            for attribute in session.attributes().chain(sections) {
                attribute
                    .value()
                    .unwrap_or_else(|error| panic!("{scenario} {part} {error}"));
            }
        }
    }
}

/// A peer with nothing configured accepts whatever a browser offers.
///
/// req: JSEP-5.3.1-4, JSEP-3.5.5-1, OA-6-2
#[test]
fn every_offer_is_answered_with_all_sections() {
    for scenario in SCENARIOS {
        for part in ["offer.sdp", "offer-trickle.sdp", "restart-offer.sdp"] {
            let text = read(scenario, part);
            let mut peer = Owner::new(1, vec![]);
            let remote = peer.take(Offer, &text).unwrap();
            assert!(
                remote.sections.iter().all(|section| section.accepted),
                "{scenario} {part}"
            );
            let transport = remote.transport().cloned().unwrap();
            let gathered = part == "offer.sdp";
            assert_eq!(
                transport.candidates.len(),
                if gathered { 2 } else { 0 },
                "{scenario} {part}"
            );
            assert!(transport.candidates.iter().all(|candidate| {
                matches!(&candidate.address, CandidateAddress::Name(name) if name.contains(".local"))
            }));
            assert_eq!(transport.ignored_candidates, 0);
            assert!(
                transport.trickle()
                    && !transport.ice2()
                    && transport.mismatch.is_none()
                    && !transport.lite
            );
            let answer = peer.answer();
            assert_eq!(answer.matches("a=ice-ufrag").count(), 1);
            let negotiated = peer.negotiator.negotiated().unwrap();
            assert_eq!(negotiated.dtls_role(), Some(DtlsRole::Client));
            for (section, offered) in negotiated.sections.iter().zip(&remote.sections) {
                assert!(section.active);
                let known = |codec: &Codec| offered.codecs.contains(codec);
                assert!(
                    section.codecs.iter().all(known),
                    "numbers are the browser's"
                );
                assert_eq!(
                    section.codecs.is_empty(),
                    section.media == MediaKind::Application
                );
            }
            assert_eq!(
                negotiated.sctp.is_some(),
                text.contains("webrtc-datachannel")
            );
        }
    }
}

/// req: JSEP-5.10-1, OA-8-4
#[test]
fn a_restart_offer_after_the_exchange_is_a_restart() {
    for scenario in SCENARIOS {
        let mut peer = Owner::new(1, vec![]);
        peer.take(Offer, &read(scenario, "offer-trickle.sdp"))
            .unwrap();
        peer.answer();
        // The same again, now with candidates: no restart.
        let again = peer.take(Offer, &read(scenario, "offer.sdp")).unwrap();
        assert!(!again.transport().unwrap().ice_restart);
        peer.answer();
        let restart = peer
            .take(Offer, &read(scenario, "restart-offer.sdp"))
            .unwrap();
        let transport = restart.transport().cloned().unwrap();
        assert!(
            transport.ice_restart && !transport.dtls_restart,
            "{scenario}"
        );
        peer.restart("1b");
        peer.answer();
    }
}

/// The browser's answers to offers of ours of the same shape: same sections, same numbers.
#[test]
fn every_answer_is_taken_by_the_side_that_offered() {
    for scenario in SCENARIOS {
        let answer = read(scenario, "answer.sdp");
        // A browser's answer to sendrecv video with VP8 alone is its answer to any such offer.
        let sections = offered(scenario).into_iter().map(|section| match section {
            SectionConfig::Video(rtp) => SectionConfig::Video(Rtp {
                codecs: rtp.codecs[..1].to_vec(),
                ..rtp
            }),
            other => other,
        });
        let mut peer = Owner::new(1, sections.collect());
        peer.offer();
        let remote = peer
            .take(Answer, &answer)
            .unwrap_or_else(|error| panic!("{scenario}: {error}"));
        assert!(remote.sections.iter().all(|section| section.accepted));
        let negotiated = peer.negotiator.negotiated().unwrap();
        assert_eq!(negotiated.dtls_role(), Some(DtlsRole::Server));
        for section in &negotiated.sections {
            let first = section.codecs.first().map(|codec| codec.name.as_str());
            let expected = match section.media {
                MediaKind::Audio => Some("opus"),
                MediaKind::Video => Some("VP8"),
                _ => None,
            };
            assert_eq!(first, expected, "{scenario}");
        }
    }
}

/// req: ICESDP-5.1-1, JSEP-3.5.2.1-1
#[test]
fn every_signalled_candidate_is_read_and_printed_and_finds_its_transport() {
    for scenario in SCENARIOS {
        let mut peer = Owner::new(1, vec![]);
        peer.take(Offer, &read(scenario, "offer-trickle.sdp"))
            .unwrap();
        let list: serde_json::Value =
            serde_json::from_str(&read(scenario, "candidates.json")).unwrap();
        let list = list.as_array().unwrap();
        assert!(!list.is_empty());
        for entry in list {
            let text = entry["candidate"].as_str().unwrap();
            let candidate: Candidate = text.parse().unwrap();
            assert_eq!(candidate.to_string(), text);
            let index = entry["sdpMLineIndex"]
                .as_u64()
                .map(|index| u16::try_from(index).unwrap());
            let (mid, ufrag) = (entry["sdpMid"].as_str(), entry["usernameFragment"].as_str());
            let found = peer
                .negotiator
                .add_remote_candidate_text(text, mid, index, ufrag)
                .map(|found| found.map(|found| found.candidate));
            let expected = (index == Some(0)).then_some(TrickledCandidate::Candidate(candidate));
            assert_eq!(
                found,
                Ok(expected),
                "only the bundle's first section has a transport"
            );
        }
        let end = peer
            .negotiator
            .add_remote_candidate_text("", Some("0"), Some(0), None)
            .map(|found| found.map(|found| found.candidate));
        assert_eq!(end, Ok(Some(TrickledCandidate::EndOfCandidates)));
    }
}

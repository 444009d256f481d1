//! Against what browsers write: every description, candidate and packet of `data`.

mod common;

use common::*;
use floe_peer::{Codec, Connection, DtlsRole, Error, Event, Rtp, SectionConfig, State, Unusable};
use floe_sansio::{DropReason, FiveTuple, Input};
use floe_sdp::{Session, SignalingState};
use floe_stun::{Class, Message, Protocol};

const OFFERS: [&str; 3] = ["offer.sdp", "offer-trickle.sdp", "restart-offer.sdp"];

fn all_offers() -> impl Iterator<Item = (&'static str, String)> {
    SCENARIOS.into_iter().flat_map(|scenario| {
        OFFERS
            .into_iter()
            .map(move |part| (scenario, sample(&format!("{scenario}-{part}"))))
    })
}

/// A text attribute of a section, or of the session.
fn attribute<'a>(media: &floe_sdp::Media<'_, 'a>, name: &str) -> Option<&'a str> {
    let text = media.inherited(name)?.text()?;
    Some(core::str::from_utf8(text).unwrap())
}

/// The mids of the one BUNDLE group.
fn bundle<'a>(session: &Session<'a>) -> Vec<&'a str> {
    let group = session.attribute("group").unwrap().text().unwrap();
    let mut words = core::str::from_utf8(group).unwrap().split(' ');
    assert_eq!(words.next(), Some("BUNDLE"));
    words.collect()
}

/// What the browser checks in an answer to its offer.
#[track_caller]
fn assert_answers(offer: &str, answer: &str, found: bool, gathered: bool) {
    let (offer_text, answer_text) = (offer, answer);
    let offer = Session::parse(offer.as_bytes()).unwrap();
    let answer = Session::parse(answer.as_bytes()).unwrap();
    assert_eq!(offer.media().len(), answer.media().len());
    let (offered, given) = (bundle(&offer), bundle(&answer));
    assert!(given.iter().all(|mid| offered.contains(mid)));
    assert_eq!(
        given[0], offered[0],
        "the same section speaks for the transport"
    );
    let known: Vec<&str> = offer_text.lines().collect();
    for (asked, given) in offer.media().zip(answer.media()) {
        let (from, to) = (asked.line(), given.line());
        assert_eq!((from.media, from.protocol), (to.media, to.protocol));
        assert_eq!(attribute(&asked, "mid"), attribute(&given, "mid"));
        assert_eq!(to.port, if found { 1000 } else { 9 });
        let formats: Vec<&str> = from.formats().collect();
        assert!(to.formats().all(|format| formats.contains(&format)));
        assert!(given.attribute("bundle-only").is_none());
        if from.media == "application" {
            assert_eq!(attribute(&given, "sctp-port"), Some("5000"));
        } else {
            assert!(given.attribute("rtcp-mux").is_some());
            // Numbers and meanings are the browser's.
            for line in given.lines() {
                let text = core::str::from_utf8(line.raw()).unwrap();
                if text.starts_with("a=rtpmap:") || text.starts_with("a=extmap:") {
                    assert!(known.contains(&text.trim_end()), "{text}");
                }
            }
        }
    }
    let tag = answer.media().next().unwrap();
    assert!(attribute(&tag, "ice-ufrag").unwrap().len() >= 4);
    assert!(attribute(&tag, "ice-pwd").unwrap().len() >= 22);
    assert_eq!(attribute(&tag, "setup"), Some("active"));
    assert!(
        attribute(&tag, "fingerprint")
            .unwrap()
            .starts_with("sha-256 ")
    );
    let options = attribute(&tag, "ice-options").unwrap();
    assert!(options.split(' ').any(|option| option == "trickle"));
    let count = |start: &str| {
        answer_text
            .lines()
            .filter(|line| line.starts_with(start))
            .count()
    };
    assert_eq!(count("a=candidate:"), usize::from(found));
    assert_eq!(count("a=end-of-candidates"), usize::from(gathered));
    assert_eq!(count("a=ice-ufrag"), 1, "bundled sections share it");
}

/// Every offer, also one that was made for a restart, is a good first offer, with sections of our own
/// and without, trickled and gathered.
///
/// req: JSEP-5.3.1-4, JSEP-5.3.1-5, JSEP-5.3.1-6, BUNDLE-7.3-1, BUNDLE-7.3-2, ICESDP-4.3.2-2
#[test]
fn every_offer_is_answered_as_the_browser_wants_it() {
    for (scenario, offer) in all_offers() {
        for sections in [vec![], offered(scenario)] {
            for gathered in [false, true] {
                let mut peer = connection(HERE, 1, sections.clone());
                if gathered {
                    peer.gather(NOW);
                }
                peer.set_remote_description(NOW, Offer, offer.as_bytes())
                    .unwrap();
                let answer = peer.create_answer(NOW).unwrap();
                assert_answers(&offer, &answer, gathered, gathered);
                peer.set_local_description(NOW, Answer, &answer).unwrap();
                assert_eq!(peer.signaling_state(), SignalingState::Stable);
                assert_eq!(peer.ice_state(), State::Checking);
                let negotiated = peer.negotiated().unwrap();
                assert!(negotiated.sections.iter().all(|section| section.active));
                assert_eq!(negotiated.dtls_role(), Some(DtlsRole::Client));
                assert_eq!(negotiated.sctp.is_some(), offer.contains("m=application"));
                let certificate = &peer.remote_dtls().unwrap().fingerprints;
                assert!(offer.contains(&certificate[0].to_string()), "{scenario}");
                // It said that it trickles: silence is no failure yet.
                let signalled = candidates(&drain_events(&mut peer));
                assert_eq!(signalled.len(), if gathered { 0 } else { 2 });
                let named = |candidate: &floe_peer::IceCandidate| {
                    candidate.sdp_mid.as_deref() == Some("0")
                        && candidate.sdp_mline_index == Some(0)
                };
                assert!(signalled.iter().all(named));
            }
        }
    }
}

/// Names that hide addresses are of no use here, in a description or after it; nobody is refused.
#[test]
fn candidates_with_mdns_names_are_ignored_and_told() {
    let ignored = |events: Vec<Event>| {
        let name = |event: &&Event| **event == Event::CandidateIgnored(Unusable::Name);
        events.iter().filter(name).count()
    };
    for scenario in SCENARIOS {
        // In the description: those of the section that speaks for the transport.
        let mut peer = answered(&sample(&format!("{scenario}-offer.sdp")));
        assert_eq!(ignored(drain_events(&mut peer)), 2, "{scenario}");
        // After it, before the answer and behind it; bundled sections share those of the first.
        let signalled = sample_candidates(scenario);
        for before in [true, false] {
            let offer = sample(&format!("{scenario}-offer-trickle.sdp"));
            let mut peer = connection(HERE, 1, vec![]);
            peer.set_remote_description(NOW, Offer, offer.as_bytes())
                .unwrap();
            if before {
                for candidate in &signalled {
                    assert_eq!(peer.add_ice_candidate(NOW, candidate), Ok(()), "{scenario}");
                }
            }
            let answer = peer.create_answer(NOW).unwrap();
            peer.set_local_description(NOW, Answer, &answer).unwrap();
            if !before {
                for candidate in &signalled {
                    assert_eq!(peer.add_ice_candidate(NOW, candidate), Ok(()), "{scenario}");
                }
            }
            let expected = if before { 2 } else { signalled.len() };
            assert_eq!(ignored(drain_events(&mut peer)), expected, "{scenario}");
            assert_eq!(peer.ice_state(), State::Checking);
        }
        // Of another generation: they are nothing to this one.
        let mut peer = answered(&sample(&format!("{scenario}-restart-offer.sdp")));
        drain_events(&mut peer);
        for candidate in &signalled {
            assert_eq!(peer.add_ice_candidate(NOW, candidate), Ok(()), "{scenario}");
        }
        assert_eq!(drain_events(&mut peer), []);
    }
}

/// A connection that has answered this offer.
fn answered(offer: &str) -> Connection {
    let mut peer = connection(HERE, 1, vec![]);
    peer.set_remote_description(NOW, Offer, offer.as_bytes())
        .unwrap();
    let answer = peer.create_answer(NOW).unwrap();
    peer.set_local_description(NOW, Answer, &answer).unwrap();
    peer
}

/// A browser restarts ICE, after one exchange or in place of an offer that waits for its answer: the
/// answer has other credentials too, and what the browser signals for them is taken.
#[test]
fn a_restart_offer_is_answered_with_a_restart() {
    let ufrag = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("a=ice-ufrag:"));
        line.unwrap()["a=ice-ufrag:".len()..].to_string()
    };
    for scenario in SCENARIOS {
        let [full, trickle, restart] = OFFERS.map(|part| sample(&format!("{scenario}-{part}")));
        for again in [None, Some(&full)] {
            let mut peer = connection(HERE, 1, vec![]);
            peer.set_remote_description(NOW, Offer, trickle.as_bytes())
                .unwrap();
            let first = peer.create_answer(NOW).unwrap();
            peer.set_local_description(NOW, Answer, &first).unwrap();
            if let Some(offer) = again {
                peer.set_remote_description(NOW, Offer, offer.as_bytes())
                    .unwrap();
            }
            peer.set_remote_description(NOW, Offer, restart.as_bytes())
                .unwrap();
            assert_eq!(peer.generation(), 0, "{scenario}");
            let answer = peer.create_answer(NOW).unwrap();
            assert_ne!(ufrag(&answer), ufrag(&first));
            assert_answers(&restart, &answer, true, false);
            drain_events(&mut peer);
            peer.set_local_description(NOW, Answer, &answer).unwrap();
            assert_eq!(peer.generation(), 1, "{scenario}");
            assert_eq!(peer.ice_state(), State::Checking);
            // Candidates of the first generation are late.
            for (stale, candidate) in sample_candidates(scenario).into_iter().enumerate() {
                assert_eq!(peer.stale_candidates(), stale as u64);
                assert_eq!(peer.add_ice_candidate(NOW, &candidate), Ok(()));
            }
        }
    }
}

/// The browser's answers to offers of the same shape as its own.
#[test]
fn every_answer_is_taken_by_the_side_that_offered() {
    for scenario in SCENARIOS {
        // The browser chose among its own formats: VP8 is in all its answers under the same number.
        let first = |section| match section {
            SectionConfig::Video(rtp) => SectionConfig::Video(Rtp {
                codecs: vec![Codec::new(96, "VP8", 90_000, None)],
                ..rtp
            }),
            other => other,
        };
        let mut peer = connection(HERE, 1, offered(scenario).into_iter().map(first).collect());
        let offer = peer.create_offer(NOW).unwrap();
        peer.set_local_description(NOW, Offer, &offer).unwrap();
        drain_events(&mut peer);
        let answer = sample(&format!("{scenario}-answer.sdp"));
        peer.set_remote_description(NOW, Answer, answer.as_bytes())
            .unwrap();
        assert_eq!(peer.signaling_state(), SignalingState::Stable, "{scenario}");
        assert_eq!(peer.ice_state(), State::Checking, "{scenario}");
        let negotiated = peer.negotiated().unwrap();
        assert!(
            negotiated.sections.iter().all(|section| section.active),
            "{scenario}"
        );
        assert_eq!(negotiated.dtls_role(), Some(DtlsRole::Server), "{scenario}");
        let name = Event::CandidateIgnored(Unusable::Name);
        let listed = answer.matches("a=candidate:").count();
        assert_eq!(drain_events(&mut peer), vec![name; listed], "{scenario}");
        // The same once more has no place.
        let before = looks(&peer);
        peer.set_remote_description(NOW, Answer, answer.as_bytes())
            .unwrap_err();
        assert_eq!(looks(&peer), before);
    }
}

/// An answer of another shape than the offer is refused, and the right one still counts.
#[test]
fn an_answer_to_another_offer_is_refused_without_effect() {
    let mut peer = connection(HERE, 1, vec![data()]);
    let offer = peer.create_offer(NOW).unwrap();
    peer.set_local_description(NOW, Offer, &offer).unwrap();
    drain_events(&mut peer);
    for scenario in ["audio-video-data", "recvonly", "simulcast"] {
        let answer = sample(&format!("{scenario}-answer.sdp"));
        let before = looks(&peer);
        let refused = peer.set_remote_description(NOW, Answer, answer.as_bytes());
        assert!(matches!(refused, Err(Error::Negotiation(_))), "{scenario}");
        assert_eq!(looks(&peer), before);
    }
    let answer = sample("data-answer.sdp");
    peer.set_remote_description(NOW, Answer, answer.as_bytes())
        .unwrap();
    assert_eq!(peer.ice_state(), State::Checking);
}

/// The captured session of two others, replayed at connections that live at the same addresses: no
/// packet changes anything. Checks of strangers are refused in the answer.
///
/// req: ICE-7.3-2, ICE-7.3-3
#[test]
fn packets_of_a_session_of_others_have_no_effect() {
    let host = "192.168.11.2:47119";
    let server = "203.0.113.10:3478".parse().unwrap();
    let mut plain = floe_peer::Config::data_channel(identity(1));
    plain.addresses = vec![host.parse().unwrap()];
    let mut with_servers = plain.clone();
    with_servers.stun_servers = vec![server];
    with_servers.turn_servers = vec![floe_peer::TurnServer::new(
        server,
        floe_peer::Credentials::new("lab", "other"),
    )];
    for config in [plain, with_servers] {
        let mut unanswered = Connection::new(config.clone(), [1; 32], NOW).unwrap();
        let offer = unanswered.create_offer(NOW).unwrap();
        unanswered
            .set_local_description(NOW, Offer, &offer)
            .unwrap();
        let mut checking = Connection::new(config, [2; 32], NOW).unwrap();
        let offer = sample("data-offer.sdp");
        checking
            .set_remote_description(NOW, Offer, offer.as_bytes())
            .unwrap();
        let answer = checking.create_answer(NOW).unwrap();
        checking
            .set_local_description(NOW, Answer, &answer)
            .unwrap();
        for mut peer in [unanswered, checking] {
            drain_events(&mut peer);
            while peer.poll_transmit().is_some() {}
            let (mut stun, mut dtls) = (0, 0);
            for (path, bytes) in captured() {
                // What left the host comes back as if somebody had reflected it.
                let path = FiveTuple::udp(
                    host.parse().unwrap(),
                    if path.local == host.parse().unwrap() {
                        path.remote
                    } else {
                        path.local
                    },
                );
                let before = looks(&peer);
                let input = deliver(&mut peer, NOW, path, &bytes);
                if let Ok(message) = Message::parse(&bytes) {
                    let check = message.class() == Class::Request && message.verify_fingerprint();
                    if check && message.method() == floe_stun::Method::BINDING {
                        stun += 1;
                        assert_eq!(input, Input::Handled);
                        let answer = peer.poll_transmit().unwrap();
                        assert_eq!(answer.path, path);
                        let answer = Message::parse(&answer.payload).unwrap();
                        assert_eq!(answer.class(), Class::Error);
                    } else {
                        assert!(matches!(input, Input::Dropped(_)), "{input:?}");
                    }
                } else {
                    dtls += 1;
                    assert_eq!(Protocol::of(&bytes), Protocol::Dtls);
                    assert_eq!(input, Input::Dropped(DropReason::UnknownRemote));
                }
                assert_eq!(looks(&peer), before);
                assert_eq!((peer.poll_transmit(), peer.poll_event()), (None, None));
            }
            assert!(stun >= 7 && dtls >= 33, "{stun} {dtls}");
        }
    }
}

//! Whole connections in memory: from the offer to the end.

mod common;

use std::time::Duration;

use common::*;
use floe_peer::{CommandError, Direction, DtlsRole, Error, Event, Role, SendError, State};
use floe_sansio::{FiveTuple, Input};
use floe_sdp::Session;

fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.starts_with(start))
        .collect()
}

fn count(events: &[Event], wanted: fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| wanted(event)).count()
}

/// Candidates come after the descriptions, with the names that JSEP gives them, the empty one last.
///
/// req: JSEP-3.5.1-1, JSEP-4.1.20-1, TRICKLE-13-1, TRICKLE-13-2, TRICKLESDP-4.1.1-1
#[test]
fn trickled_candidates_connect_two_peers_and_data_goes_both_ways() {
    let mut pair = Pair::new(vec![data()], vec![]);
    let (offer, answer) = pair.exchange(0);
    assert!(lines(&offer, "a=candidate").is_empty());
    assert_eq!(
        lines(&offer, "m="),
        ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel"]
    );
    pair.settle();
    pair.assert_works();
    assert_eq!(pair.refused, []);
    for (side, text) in [(0, &offer), (1, &answer)] {
        let events = &pair.events[side];
        let signalled = candidates(events);
        assert_eq!(signalled.len(), 2, "{signalled:?}");
        let ufrag = lines(text, "a=ice-ufrag:")[0].strip_prefix("a=ice-ufrag:");
        for candidate in &signalled {
            assert_eq!(candidate.sdp_mid.as_deref(), Some("0"));
            assert_eq!(candidate.sdp_mline_index, Some(0));
            assert_eq!(candidate.username_fragment.as_deref(), ufrag);
        }
        assert!(signalled[0].candidate.contains(if side == 0 {
            "192.0.2.1 1000 typ host"
        } else {
            "192.0.2.2 2000 typ host"
        }));
        assert_eq!(signalled[1].candidate, "");
        assert_eq!(
            events[2],
            Event::GatheringComplete,
            "after the last candidate"
        );
        assert_eq!(count(events, |event| *event == Event::GatheringComplete), 1);
        assert_eq!(count(events, |event| *event == Event::Connected), 1);
        assert_eq!(
            count(events, |event| matches!(event, Event::Selected(_))),
            1
        );
        assert_eq!(count(events, |event| matches!(event, Event::Failed(_))), 0);
    }
}

/// The whole of it in one description each way, as peers do that do not trickle.
///
/// req: TRICKLE-13-7, ICESDP-4.2.1-1, TRICKLE-16-1
#[test]
fn descriptions_made_after_gathering_are_all_that_is_needed() {
    let mut pair = Pair::new(vec![data()], vec![]);
    pair.trickle = false;
    for peer in &mut pair.peers {
        peer.gather(NOW);
    }
    pair.drain();
    assert_eq!(
        pair.events,
        [
            vec![Event::GatheringComplete],
            vec![Event::GatheringComplete]
        ]
    );
    let (offer, answer) = pair.exchange(0);
    for (text, address) in [(&offer, "192.0.2.1"), (&answer, "192.0.2.2")] {
        assert_eq!(lines(text, "a=candidate").len(), 1);
        assert_eq!(lines(text, "a=end-of-candidates").len(), 1);
        assert_eq!(lines(text, "c="), [format!("c=IN IP4 {address}")]);
    }
    // The text said that there are no more.
    let mut late = floe_peer::IceCandidate {
        candidate: "candidate:1 1 udp 1 192.0.2.9 9 typ host".into(),
        sdp_mid: Some("0".into()),
        ..floe_peer::IceCandidate::default()
    };
    for peer in &mut pair.peers {
        let refused = peer.add_ice_candidate(NOW, &late);
        assert_eq!(refused, Err(Error::Ice(CommandError::AfterEnd)));
    }
    late.candidate.clear();
    assert_eq!(pair.peers[0].add_ice_candidate(NOW, &late), Ok(()));
    pair.settle();
    pair.assert_works();
    assert!(
        pair.events
            .iter()
            .all(|events| candidates(events).is_empty()),
        "they said it all"
    );
}

/// One of two candidates is in the description, the other is signalled: none twice, none forgotten.
#[test]
fn candidates_are_in_the_description_or_signalled_later_but_not_both() {
    let (mut peer, server) = with_stun_server();
    peer.gather(NOW);
    let offer = peer.create_offer(NOW).unwrap();
    assert_eq!(lines(&offer, "a=candidate").len(), 1);
    answer_binding(&mut peer, server);
    assert!(
        candidates(&drain_events(&mut peer)).is_empty(),
        "no description is in force"
    );
    peer.set_local_description(NOW, Offer, &offer).unwrap();
    let signalled = candidates(&drain_events(&mut peer));
    assert_eq!(signalled.len(), 2);
    assert!(
        signalled[0]
            .candidate
            .contains("typ srflx raddr 192.0.2.1 rport 1000")
    );
    assert_eq!(signalled[1].candidate, "");
    // The next description holds both, and nothing is signalled again.
    let offer = peer.create_offer(NOW).unwrap();
    assert_eq!(lines(&offer, "a=candidate").len(), 2);
    peer.set_local_description(NOW, Offer, &offer).unwrap();
    assert!(candidates(&drain_events(&mut peer)).is_empty());
}

fn with_stun_server() -> (floe_peer::Connection, std::net::SocketAddr) {
    let server = "198.51.100.1:3478".parse().unwrap();
    let mut config = floe_peer::Config::data_channel(identity(1));
    config.addresses = vec![HERE.parse().unwrap()];
    config.stun_servers = vec![server];
    (
        floe_peer::Connection::new(config, [1; 32], NOW).unwrap(),
        server,
    )
}

/// The server sees the peer behind a NAT.
fn answer_binding(peer: &mut floe_peer::Connection, server: std::net::SocketAddr) {
    use floe_stun::{Builder, Class, Message, XorMappedAddress};
    let mut now = NOW;
    let request = loop {
        if let Some(request) = peer.poll_transmit() {
            break request;
        }
        now = peer.poll_timeout().unwrap();
        peer.handle_timeout(now);
    };
    assert_eq!(request.path.remote, server);
    let mut buffer = [0; 128];
    let mapped = XorMappedAddress("203.0.113.7:4321".parse().unwrap());
    let request = (request.path, Message::parse(&request.payload).unwrap());
    let answer = Builder::response(&mut buffer, &request.1, Class::Success)
        .with(&mapped)
        .finish_bytes()
        .unwrap();
    assert_eq!(deliver(peer, now, request.0, &answer), Input::Handled);
}

/// The side that offers controls, whoever that is, and the answerer takes the DTLS client's part.
///
/// req: ICE-6.1.1-1, ICESDP-4.2.3-1, JSEP-5.3.1-5
#[test]
fn roles_follow_from_who_offers() {
    for offerer in [0, 1] {
        let mut pair = Pair::new(vec![data()], vec![data()]);
        pair.exchange(offerer);
        pair.settle();
        pair.assert_works();
        let (one, two) = (&pair.peers[offerer], &pair.peers[1 - offerer]);
        assert_eq!(
            (one.role(), two.role()),
            (Role::Controlling, Role::Controlled)
        );
        let (one, two) = (one.negotiated().unwrap(), two.negotiated().unwrap());
        assert!(one.local_offered && !two.local_offered);
        assert_eq!(one.dtls_role(), Some(DtlsRole::Server));
        assert_eq!(two.dtls_role(), Some(DtlsRole::Client));
        assert_eq!(one.sctp.unwrap().remote_port, 5000);
        let none = |event: &Event| matches!(event, Event::RoleChanged(_));
        assert_eq!(count(&pair.events.concat(), none), 0);
    }
}

/// The owner learns what the other side's certificate has to match.
#[test]
fn each_side_knows_the_fingerprint_of_the_other() {
    let mut pair = Pair::new(vec![data()], vec![]);
    assert_eq!(pair.peers[0].remote_dtls(), None);
    pair.offer(0);
    assert_eq!(
        pair.peers[1].remote_dtls(),
        None,
        "the offer may be rolled back"
    );
    pair.answer(1);
    for side in [0, 1] {
        let known = pair.peers[side].remote_dtls().unwrap();
        assert_eq!(known.fingerprints, identity(2 - side as u8).fingerprints);
    }
}

/// Three sections, one transport: only the first speaks for it.
#[test]
fn audio_video_and_data_share_one_transport() {
    let sections = offered("audio-video-data");
    for answerer in [vec![], sections.clone()] {
        let mut pair = Pair::new(sections.clone(), answerer);
        let (offer, answer) = pair.exchange(0);
        for text in [&offer, &answer] {
            assert_eq!(lines(text, "a=group:BUNDLE"), ["a=group:BUNDLE 0 1 2"]);
            assert_eq!(lines(text, "m=").len(), 3);
            assert_eq!(lines(text, "a=ice-ufrag").len(), 1);
            assert_eq!(lines(text, "a=fingerprint").len(), 1);
        }
        assert_eq!(lines(&offer, "a=bundle-only").len(), 2);
        pair.settle();
        pair.assert_works();
        let negotiated = pair.peers[0].negotiated().unwrap();
        assert!(negotiated.sections.iter().all(|section| section.active));
        assert!(negotiated.sctp.is_some());
    }
}

/// Without sections of its own a peer takes what it is offered, and only receives.
#[test]
fn an_answerer_without_sections_receives() {
    let mut pair = Pair::new(offered("audio-video-data"), vec![]);
    pair.exchange(0);
    let there = pair.peers[1].negotiated().unwrap();
    assert_eq!(there.sections[0].direction, Direction::RecvOnly);
    assert_eq!(there.sections[0].codecs[0].name, "opus");
    let here = pair.peers[0].negotiated().unwrap();
    assert_eq!(here.sections[1].direction, Direction::SendOnly);
}

/// What the answerer does not know is refused, and the rest works.
///
/// req: BUNDLE-7.3.3-1, JSEP-5.3.1-6
#[test]
fn a_refused_section_leaves_the_others_alone() {
    let mut pair = Pair::new(offered("audio-video-data"), vec![]);
    let offer = pair.peers[0].create_offer(NOW).unwrap();
    pair.peers[0]
        .set_local_description(NOW, Offer, &offer)
        .unwrap();
    let strange = offer.replace("/90000", "/90001");
    assert_ne!(strange, offer);
    pair.peers[1]
        .set_remote_description(NOW, Offer, strange.as_bytes())
        .unwrap();
    let answer = pair.answer(1);
    let session = Session::parse(answer.as_bytes()).unwrap();
    let ports: Vec<u16> = session.media().map(|media| media.line().port).collect();
    assert_eq!(ports, [9, 0, 9]);
    assert_eq!(lines(&answer, "a=group:BUNDLE"), ["a=group:BUNDLE 0 2"]);
    for peer in &pair.peers {
        let active: Vec<bool> = peer
            .negotiated()
            .unwrap()
            .sections
            .iter()
            .map(|section| section.active)
            .collect();
        assert_eq!(active, [true, false, true]);
    }
    pair.settle();
    pair.assert_works();
}

/// Nothing is accepted: nothing is gathered, nothing is signalled, candidates are of no use. The next
/// offer has its chance.
#[test]
fn an_offer_without_anything_to_accept_is_refused_and_the_next_one_works() {
    let mut pair = Pair::new(vec![data()], vec![]);
    let strange = sample("data-offer.sdp").replace("UDP/DTLS/SCTP", "UDP/XYZ");
    let peer = &mut pair.peers[1];
    peer.set_remote_description(NOW, Offer, strange.as_bytes())
        .unwrap();
    for candidate in sample_candidates("data") {
        peer.add_ice_candidate(NOW, &candidate).unwrap();
    }
    assert_eq!(peer.retained(), 0);
    let answer = peer.create_answer(NOW).unwrap();
    assert_eq!(
        lines(&answer, "m="),
        ["m=application 0 UDP/XYZ webrtc-datachannel"]
    );
    peer.set_local_description(NOW, Answer, &answer).unwrap();
    assert_eq!(drain_events(peer), []);
    assert_eq!((peer.ice_state(), peer.poll_timeout()), (State::New, None));
    pair.exchange(0);
    pair.settle();
    pair.assert_works();
}

/// The answer refuses all that was offered: ICE has nobody to talk to.
#[test]
fn an_answer_that_refuses_everything_starts_nothing() {
    let mut peer = connection(HERE, 1, vec![data()]);
    let offer = peer.create_offer(NOW).unwrap();
    peer.set_local_description(NOW, Offer, &offer).unwrap();
    let refusal = sample("data-answer.sdp")
        .replace("m=application 9", "m=application 0")
        .replace("a=group:BUNDLE 0", "a=group:BUNDLE");
    peer.set_remote_description(NOW, Answer, refusal.as_bytes())
        .unwrap();
    assert_eq!(peer.ice_state(), State::New);
    assert!(!peer.negotiated().unwrap().sections[0].active);
    for candidate in sample_candidates("data") {
        peer.add_ice_candidate(NOW, &candidate).unwrap();
    }
    assert_eq!(peer.retained(), 0);
}

/// Offer and answer again, from either side, while data flows: no restart, the same pair, and only
/// the candidate in use in the text.
///
/// req: ICESDP-4.4-1, ICESDP-4.4.1.2.2-1, ICESDP-4.4.1.2.2-2, ICESDP-4.4.3.1-4, ICE-6.1.1-2
#[test]
fn a_second_exchange_changes_nothing_and_holds_the_selected_candidate_alone() {
    let mut pair = Pair::of([two_addresses(HERE, 1), two_addresses(THERE, 2)]);
    let (first, _) = pair.exchange(0);
    pair.settle();
    pair.assert_works();
    let selected = pair.peers[0].selected();
    let said: Vec<usize> = pair.events.iter().map(Vec::len).collect();
    for offerer in [0, 1, 1, 0] {
        let roles = [pair.peers[0].role(), pair.peers[1].role()];
        let offer = pair.offer(offerer);
        pair.send(0, b"in between");
        let answer = pair.answer(1 - offerer);
        for (side, text) in [(offerer, &offer), (1 - offerer, &answer)] {
            let (ip, port) = if side == 0 {
                ("192.0.2.1", 1000)
            } else {
                ("192.0.2.2", 2000)
            };
            let listed = lines(text, "a=candidate");
            assert_eq!(listed.len(), 1, "{listed:?}");
            assert!(listed[0].contains(&format!(" {ip} {port} typ host")));
            assert_eq!(lines(text, "c="), [format!("c=IN IP4 {ip}")]);
            assert!(lines(text, "m=")[0].contains(&format!(" {port} ")));
        }
        pair.settle();
        assert_eq!(pair.data[1].last().unwrap(), b"in between");
        pair.assert_works();
        assert_eq!(pair.peers[0].selected(), selected);
        assert_eq!([pair.peers[0].role(), pair.peers[1].role()], roles);
    }
    let after: Vec<usize> = pair.events.iter().map(Vec::len).collect();
    assert_eq!(said, after, "nobody was told anything");
    let ufrag = |text: &str| lines(text, "a=ice-ufrag").concat();
    let again = pair.peers[0].create_offer(pair.now).unwrap();
    assert_eq!(ufrag(&first), ufrag(&again));
}

/// The second address leads nowhere.
fn two_addresses(address: &str, seed: u8) -> floe_peer::Connection {
    let mut config = floe_peer::Config::data_channel(identity(seed));
    let blind = format!("198.51.100.{seed}:9000");
    config.addresses = vec![address.parse().unwrap(), blind.parse().unwrap()];
    floe_peer::Connection::new(config, [seed; 32], NOW).unwrap()
}

/// Before a pair is selected a new offer holds all candidates.
///
/// req: ICESDP-4.4.1.2.1-1
#[test]
fn a_second_offer_before_selection_holds_all_candidates() {
    let mut pair = Pair::of([two_addresses(HERE, 1), two_addresses(THERE, 2)]);
    pair.trickle = false;
    pair.exchange(0);
    let (offer, answer) = pair.exchange(1);
    assert_eq!(lines(&offer, "a=candidate").len(), 2);
    assert_eq!(lines(&answer, "a=candidate").len(), 2);
    // Neither side was signalled a candidate: those of the second exchange connect them.
    pair.settle();
    pair.assert_works();
}

/// Data counts from the address that has proven itself, and from no other.
#[test]
fn data_is_taken_from_the_proven_peer_alone() {
    let mut pair = Pair::new(vec![data()], vec![]);
    let dtls = [22, 254, 253, 0, 0];
    let proven = FiveTuple::udp(HERE.parse().unwrap(), THERE.parse().unwrap());
    let refused = |input| matches!(input, Input::Dropped(_));
    pair.exchange(0);
    let before = looks(&pair.peers[0]);
    assert!(refused(deliver(&mut pair.peers[0], NOW, proven, &dtls)));
    assert_eq!(looks(&pair.peers[0]), before);
    pair.settle();
    let now = pair.now;
    let peer = &mut pair.peers[0];
    assert!(matches!(deliver(peer, now, proven, &dtls), Input::Data(_)));
    for other in ["192.0.2.2:2001", "192.0.2.3:2000"] {
        let before = looks(peer);
        let path = FiveTuple::udp(proven.local, other.parse().unwrap());
        assert!(refused(deliver(peer, now, path, &dtls)));
        assert_eq!(looks(peer), before);
    }
}

/// The end: nothing is sent, nothing is taken, every call is refused, and nothing changes any more.
#[test]
fn a_closed_connection_refuses_everything() {
    let mut pair = Pair::new(vec![data()], vec![]);
    pair.exchange(0);
    pair.settle();
    pair.assert_works();
    let now = pair.now;
    let peer = &mut pair.peers[0];
    peer.close(now);
    assert_eq!(peer.ice_state(), State::Closed);
    assert_eq!((peer.poll_timeout(), peer.poll_transmit()), (None, None));
    let before = looks(peer);
    let ended = Error::Ice(CommandError::Ended);
    let offer = sample("data-offer.sdp");
    assert_eq!(peer.create_offer(now), Err(ended));
    assert_eq!(peer.create_answer(now), Err(ended));
    assert_eq!(peer.set_local_description(now, Offer, &offer), Err(ended));
    assert_eq!(
        peer.set_remote_description(now, Offer, offer.as_bytes()),
        Err(ended)
    );
    assert_eq!(peer.rollback(), Err(ended));
    for candidate in sample_candidates("data") {
        assert_eq!(peer.add_ice_candidate(now, &candidate), Err(ended));
    }
    let mut buffer = [0; 100];
    assert_eq!(peer.send(&mut buffer, 50..60), Err(SendError::NotConnected));
    let path = FiveTuple::udp(HERE.parse().unwrap(), THERE.parse().unwrap());
    assert!(matches!(
        deliver(peer, now, path, b"data"),
        Input::Dropped(_)
    ));
    peer.gather(now);
    peer.close(now);
    assert_eq!(looks(peer), before);
    assert_eq!(drain_events(peer), []);
    // The other side notices when consent runs out.
    pair.run_for(Duration::from_secs(40));
    assert!(matches!(pair.peers[1].ice_state(), State::Failed(_)));
    assert_eq!(
        count(&pair.events[1], |event| matches!(event, Event::Failed(_))),
        1
    );
}

#[test]
fn passwords_do_not_print() {
    let mut pair = Pair::new(vec![data()], vec![]);
    let offer = pair.offer(0);
    let password = lines(&offer, "a=ice-pwd:")[0]
        .strip_prefix("a=ice-pwd:")
        .unwrap();
    for peer in &pair.peers {
        assert!(!format!("{peer:?}").contains(password));
    }
    pair.answer(1);
    for peer in &pair.peers {
        assert!(!format!("{peer:?}").contains(password));
    }
}

//! Which call has its place in which state, and what a refused one leaves behind: nothing.

mod common;

use common::*;
use floe_peer::{
    CommandError, Connection, Error, Event, IceCandidate, NegotiationError, Role, SignalingState,
    State,
};

use SignalingState::{
    HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, HaveRemotePranswer, Stable,
};

/// A connection in some state, and a text for every call.
struct Scene {
    peer: Connection,
    own_offer: String,
    own_answer: String,
    offer: String,
    answer: String,
    candidate: IceCandidate,
}

impl Scene {
    fn new(state: SignalingState) -> Self {
        let mut peer = connection(HERE, 1, vec![data()]);
        let mut other = connection(THERE, 2, vec![data()]);
        let own_offer = peer.create_offer(NOW).unwrap();
        let offer = other.create_offer(NOW).unwrap();
        // Another offer of the same peer, so that `other` is free to answer.
        other
            .set_remote_description(NOW, Offer, own_offer.as_bytes())
            .unwrap();
        let answer = other.create_answer(NOW).unwrap();
        other.set_local_description(NOW, Answer, &answer).unwrap();
        let candidate = candidates(&drain_events(&mut other)).remove(0);
        let mut own_answer = own_offer.clone();
        match state {
            Stable | SignalingState::Closed => {}
            HaveLocalOffer | HaveRemotePranswer => {
                peer.set_local_description(NOW, Offer, &own_offer).unwrap();
            }
            HaveRemoteOffer | HaveLocalPranswer => {
                peer.set_remote_description(NOW, Offer, offer.as_bytes())
                    .unwrap();
                own_answer = peer.create_answer(NOW).unwrap();
            }
        }
        match state {
            HaveRemotePranswer => peer
                .set_remote_description(NOW, Pranswer, answer.as_bytes())
                .unwrap(),
            HaveLocalPranswer => peer
                .set_local_description(NOW, Pranswer, &own_answer)
                .unwrap(),
            _ => {}
        }
        drain_events(&mut peer);
        assert_eq!(peer.signaling_state(), state);
        Self {
            peer,
            own_offer,
            own_answer,
            offer,
            answer,
            candidate,
        }
    }

    fn call(&mut self, call: Call) -> Result<(), Error> {
        let peer = &mut self.peer;
        match call {
            CreateOffer => peer.create_offer(NOW).map(drop),
            CreateAnswer => peer.create_answer(NOW).map(drop),
            LocalOffer => peer.set_local_description(NOW, Offer, &self.own_offer),
            LocalPranswer => peer.set_local_description(NOW, Pranswer, &self.own_answer),
            LocalAnswer => peer.set_local_description(NOW, Answer, &self.own_answer),
            RemoteOffer => peer.set_remote_description(NOW, Offer, self.offer.as_bytes()),
            RemotePranswer => peer.set_remote_description(NOW, Pranswer, self.answer.as_bytes()),
            RemoteAnswer => peer.set_remote_description(NOW, Answer, self.answer.as_bytes()),
            Rollback => peer.rollback(),
            Candidate => peer.add_ice_candidate(NOW, &self.candidate),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    CreateOffer,
    CreateAnswer,
    LocalOffer,
    LocalPranswer,
    LocalAnswer,
    RemoteOffer,
    RemotePranswer,
    RemoteAnswer,
    Rollback,
    Candidate,
}

use Call::{
    Candidate, CreateAnswer, CreateOffer, LocalAnswer, LocalOffer, LocalPranswer, RemoteAnswer,
    RemoteOffer, RemotePranswer, Rollback,
};

const CALLS: [Call; 10] = [
    CreateOffer,
    CreateAnswer,
    LocalOffer,
    LocalPranswer,
    LocalAnswer,
    RemoteOffer,
    RemotePranswer,
    RemoteAnswer,
    Rollback,
    Candidate,
];

/// Where a call leads; a call that is not in the list is refused.
const ALLOWED: [(SignalingState, &[(Call, SignalingState)]); 5] = [
    (
        Stable,
        &[
            (CreateOffer, Stable),
            (LocalOffer, HaveLocalOffer),
            (RemoteOffer, HaveRemoteOffer),
        ],
    ),
    (
        HaveLocalOffer,
        &[
            (CreateOffer, HaveLocalOffer),
            (LocalOffer, HaveLocalOffer),
            (RemotePranswer, HaveRemotePranswer),
            (RemoteAnswer, Stable),
            (Rollback, Stable),
        ],
    ),
    (
        HaveRemoteOffer,
        &[
            (CreateAnswer, HaveRemoteOffer),
            (LocalPranswer, HaveLocalPranswer),
            (LocalAnswer, Stable),
            (RemoteOffer, HaveRemoteOffer),
            (Rollback, Stable),
            (Candidate, HaveRemoteOffer),
        ],
    ),
    (
        HaveLocalPranswer,
        &[
            (CreateAnswer, HaveLocalPranswer),
            (LocalPranswer, HaveLocalPranswer),
            (LocalAnswer, Stable),
            (Candidate, HaveLocalPranswer),
        ],
    ),
    (
        HaveRemotePranswer,
        &[
            (RemotePranswer, HaveRemotePranswer),
            (RemoteAnswer, Stable),
            (Candidate, HaveRemotePranswer),
        ],
    ),
];

/// Every call in every state. A refused one says in which state it came and changes nothing, now or
/// later: the exchange goes on as if it had never been.
///
/// req: JSEP-3.2-1, JSEP-5.5-1, JSEP-5.6-1, JSEP-5.7-2
#[test]
fn every_call_in_every_state_is_taken_or_refused_without_effect() {
    for (state, allowed) in ALLOWED {
        for call in CALLS {
            let mut scene = Scene::new(state);
            let before = looks(&scene.peer);
            let result = scene.call(call);
            if let Some((_, next)) = allowed.iter().find(|(known, _)| *known == call) {
                assert_eq!(result, Ok(()), "{call:?} in {state:?}");
                assert_eq!(scene.peer.signaling_state(), *next, "{call:?} in {state:?}");
                continue;
            }
            let refused = match (call, state) {
                (RemoteOffer, HaveLocalOffer) => NegotiationError::Glare,
                _ => NegotiationError::State(state),
            };
            let refused = Error::Negotiation(refused);
            assert_eq!(result, Err(refused), "{call:?} in {state:?}");
            assert_eq!(looks(&scene.peer), before, "{call:?} in {state:?}");
            assert_eq!(drain_events(&mut scene.peer), [], "{call:?} in {state:?}");
            // All that was possible still is.
            for (call, next) in allowed {
                let mut scene = Scene::new(state);
                for other in CALLS {
                    if !allowed.iter().any(|(known, _)| *known == other) {
                        scene.call(other).unwrap_err();
                    }
                }
                assert_eq!(scene.call(*call), Ok(()), "{call:?} in {state:?}");
                assert_eq!(scene.peer.signaling_state(), *next);
            }
        }
    }
}

/// Both offer at once: one side gives its offer up and answers.
///
/// req: JSEP-4.1.10.2-1
#[test]
fn glare_is_resolved_by_a_rollback() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    let mut offers = Vec::new();
    for peer in &mut pair.peers {
        let offer = peer.create_offer(NOW).unwrap();
        peer.set_local_description(NOW, Offer, &offer).unwrap();
        assert_eq!(peer.role(), Role::Controlling);
        offers.push(offer);
    }
    // Each side's candidates come to one that does not know its description.
    pair.settle();
    assert_eq!(pair.refused.len(), 4);
    for (side, offer) in [(0, &offers[1]), (1, &offers[0])] {
        let before = looks(&pair.peers[side]);
        let refused = pair.peers[side].set_remote_description(NOW, Offer, offer.as_bytes());
        assert_eq!(refused, Err(Error::Negotiation(NegotiationError::Glare)));
        assert_eq!(looks(&pair.peers[side]), before);
    }
    let now = pair.now;
    let polite = &mut pair.peers[1];
    polite.rollback().unwrap();
    polite
        .set_remote_description(now, Offer, offers[0].as_bytes())
        .unwrap();
    for candidate in candidates(&pair.events[0]) {
        polite.add_ice_candidate(now, &candidate).unwrap();
    }
    // The answer holds what was gathered for the offer that is gone.
    let answer = pair.answer(1);
    assert!(answer.contains("a=candidate:") && answer.contains("a=end-of-candidates"));
    pair.settle();
    pair.assert_works();
    assert_eq!(pair.peers[0].role(), Role::Controlling);
    assert_eq!(pair.peers[1].role(), Role::Controlled);
}

/// After a rollback no description is in force, so no candidate is signalled for one.
///
/// req: JSEP-5.7-1
#[test]
fn candidates_found_after_a_rollback_wait_for_the_next_description() {
    let mut config = floe_peer::Config::data_channel(identity(1));
    config.addresses = vec![HERE.parse().unwrap()];
    config.stun_servers = vec!["198.51.100.1:3478".parse().unwrap()];
    let mut peer = Connection::new(config, [1; 32], NOW).unwrap();
    let offer = peer.create_offer(NOW).unwrap();
    peer.set_local_description(NOW, Offer, &offer).unwrap();
    assert_eq!(candidates(&drain_events(&mut peer)).len(), 1);
    peer.rollback().unwrap();
    // The server never answers: gathering ends.
    let mut now = NOW;
    while let Some(at) = peer.poll_timeout() {
        now = at;
        peer.handle_timeout(now);
    }
    let events = drain_events(&mut peer);
    assert!(events.contains(&Event::GatheringComplete));
    assert_eq!(candidates(&events), []);
    let offer = peer.create_offer(now).unwrap();
    assert!(offer.contains("a=candidate:") && offer.contains("a=end-of-candidates"));
    peer.set_local_description(now, Offer, &offer).unwrap();
    assert_eq!(candidates(&drain_events(&mut peer)), []);
}

/// A remote offer that was rolled back leaves nothing for ICE, and another peer's may follow.
///
/// req: JSEP-5.7-1
#[test]
fn a_rolled_back_offer_leaves_nothing_of_the_other_side() {
    let mut peer = connection(HERE, 1, vec![data()]);
    peer.set_remote_description(NOW, Offer, sample("data-offer.sdp").as_bytes())
        .unwrap();
    for candidate in sample_candidates("data") {
        peer.add_ice_candidate(NOW, &candidate).unwrap();
    }
    assert_eq!(peer.retained(), 2);
    peer.rollback().unwrap();
    assert_eq!((peer.retained(), peer.signaling_state()), (0, Stable));
    let mut pair = Pair::of([peer, connection(THERE, 2, vec![data()])]);
    pair.exchange(1);
    pair.settle();
    pair.assert_works();
}

/// What is refused by its text leaves even a created description good.
#[test]
fn a_created_offer_survives_a_refused_one_of_the_other_side() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.exchange(0);
    pair.settle();
    let now = pair.now;
    let offer = pair.peers[0].create_offer(now).unwrap();
    let other = sample("data-offer.sdp").replace("a=setup:actpass\r\n", "");
    let refused = pair.peers[0].set_remote_description(now, Offer, other.as_bytes());
    assert!(matches!(
        refused,
        Err(Error::Negotiation(NegotiationError::Remote { .. }))
    ));
    let broken = pair.peers[0].set_remote_description(now, Offer, b"v=0\r\n");
    assert!(matches!(
        broken,
        Err(Error::Negotiation(NegotiationError::Syntax(_)))
    ));
    pair.peers[0]
        .set_local_description(now, Offer, &offer)
        .unwrap();
    pair.peers[1]
        .set_remote_description(now, Offer, offer.as_bytes())
        .unwrap();
    pair.answer(1);
    pair.assert_works();
}

/// A provisional answer, candidates for it, and then the answer: nothing of it is lost.
#[test]
fn candidates_between_a_provisional_answer_and_the_answer_count() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.trickle = false;
    pair.offer(0);
    let [here, there] = &mut pair.peers;
    let answer = there.create_answer(NOW).unwrap();
    assert!(!answer.contains("a=candidate"));
    there.set_local_description(NOW, Pranswer, &answer).unwrap();
    here.set_remote_description(NOW, Pranswer, answer.as_bytes())
        .unwrap();
    for candidate in candidates(&drain_events(there)) {
        here.add_ice_candidate(NOW, &candidate).unwrap();
    }
    assert_eq!(
        here.ice_state(),
        State::New,
        "it may still be another's answer"
    );
    there.set_local_description(NOW, Answer, &answer).unwrap();
    here.set_remote_description(NOW, Answer, answer.as_bytes())
        .unwrap();
    pair.settle();
    pair.assert_works();
}

/// The same offer once more, before it is answered: what was signalled for it counts.
#[test]
fn an_offer_set_again_keeps_its_candidates() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.trickle = false;
    let offer = pair.offer(0);
    let [here, there] = &mut pair.peers;
    for candidate in candidates(&drain_events(here)) {
        there.add_ice_candidate(NOW, &candidate).unwrap();
    }
    there
        .set_remote_description(NOW, Offer, offer.as_bytes())
        .unwrap();
    pair.answer(1);
    pair.settle();
    pair.assert_works();
}

/// A forked call: somebody provisionally answers, somebody else takes it (RFC 9429 §5.11).
#[test]
fn an_answer_of_another_peer_than_the_provisional_one_counts() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    let mut rings = connection("192.0.2.3:3000", 3, vec![data()]);
    let offer = pair.offer(0);
    rings
        .set_remote_description(NOW, Offer, offer.as_bytes())
        .unwrap();
    let pranswer = rings.create_answer(NOW).unwrap();
    rings
        .set_local_description(NOW, Pranswer, &pranswer)
        .unwrap();
    pair.peers[0]
        .set_remote_description(NOW, Pranswer, pranswer.as_bytes())
        .unwrap();
    for candidate in candidates(&drain_events(&mut rings)) {
        pair.peers[0].add_ice_candidate(NOW, &candidate).unwrap();
    }
    pair.answer(1);
    pair.settle();
    pair.assert_works();
    assert_eq!(pair.refused, []);
    let to = |(path, _): &(floe_sansio::FiveTuple, Vec<u8>)| path.remote.port() == 3000;
    assert!(!pair.sent.iter().any(to), "the other one is out of it");
    let certificate = &pair.peers[0].remote_dtls().unwrap().fingerprints;
    assert_eq!(*certificate, identity(2).fingerprints);
}

/// A provisional answer with something, an answer with nothing: nobody is called.
#[test]
fn a_refusal_after_a_provisional_answer_starts_nothing() {
    let Scene {
        mut peer, answer, ..
    } = Scene::new(HaveRemotePranswer);
    let refusal = answer
        .replace("m=application 9", "m=application 0")
        .replace("a=group:BUNDLE 0\r\n", "");
    peer.set_remote_description(NOW, Answer, refusal.as_bytes())
        .unwrap();
    assert_eq!(
        (peer.signaling_state(), peer.ice_state()),
        (Stable, State::New)
    );
    assert_eq!(peer.retained(), 0);
}

fn candidate(text: &str, mid: Option<&str>, index: Option<u16>, ufrag: &str) -> IceCandidate {
    IceCandidate {
        candidate: text.into(),
        sdp_mid: mid.map(String::from),
        sdp_mline_index: index,
        username_fragment: (!ufrag.is_empty()).then(|| ufrag.into()),
    }
}

const GOOD: &str = "candidate:1 1 udp 2113937151 192.0.2.9 9000 typ host";

/// Mid before index, index without mid, neither only for the end; the ufrag of this generation or
/// none. (Those of another one: `restart.rs`.)
///
/// req: JSEP-4.1.19-1, JSEP-4.1.19-2, JSEP-3.5.2.1-1, JSEP-3.5.2.1-2, TRICKLE-9-2, TRICKLE-14-1
#[test]
fn candidates_are_found_by_mid_index_and_ufrag_or_refused() {
    let mut peer = connection(HERE, 1, vec![data()]);
    peer.set_remote_description(NOW, Offer, sample("data-offer.sdp").as_bytes())
        .unwrap();
    let answer = peer.create_answer(NOW).unwrap();
    peer.set_local_description(NOW, Answer, &answer).unwrap();
    drain_events(&mut peer);
    let unknown = NegotiationError::UnknownSection;
    let generation = NegotiationError::WrongGeneration;
    let torn = format!("{GOOD} ufrag zzzz");
    for (candidate, why) in [
        (candidate(GOOD, Some("9"), Some(0), ""), unknown),
        (candidate(GOOD, None, Some(1), ""), unknown),
        (candidate(GOOD, None, None, ""), unknown),
        (candidate(&torn, Some("0"), None, "4UuL"), generation),
    ] {
        let before = looks(&peer);
        let refused = peer.add_ice_candidate(NOW, &candidate);
        assert_eq!(refused, Err(Error::Negotiation(why)), "{candidate:?}");
        assert_eq!(looks(&peer), before, "{candidate:?}");
    }
    for text in [
        "candidate",
        "candidate:1 1 udp",
        "a=candidate:",
        &GOOD[..20],
    ] {
        let before = looks(&peer);
        let refused = peer.add_ice_candidate(NOW, &candidate(text, Some("0"), None, ""));
        let malformed = matches!(
            refused,
            Err(Error::Negotiation(NegotiationError::Candidate(_)))
        );
        assert!(malformed, "{text}: {refused:?}");
        assert_eq!(looks(&peer), before);
    }
    // To an address that nothing can be sent to.
    for bad in [
        "0.0.0.0 9000",
        "192.0.2.9 0",
        "224.0.0.1 9000",
        "255.255.255.255 9",
    ] {
        let before = looks(&peer);
        let text = GOOD.replace("192.0.2.9 9000", bad);
        let refused = peer.add_ice_candidate(NOW, &candidate(&text, Some("0"), None, ""));
        assert_eq!(refused, Err(Error::Ice(CommandError::Unusable)), "{text}");
        assert_eq!(looks(&peer), before);
    }
    let count = |peer: &Connection| peer.retained();
    for (number, good) in [
        candidate(GOOD, Some("0"), Some(7), "4UuL"),
        candidate(&GOOD.replace("9000", "9001"), None, Some(0), ""),
        candidate(&GOOD.replace("9000", "9002"), Some("0"), None, ""),
    ]
    .iter()
    .enumerate()
    {
        let before = count(&peer);
        assert_eq!(peer.add_ice_candidate(NOW, good), Ok(()), "{number}");
        assert!(count(&peer) > before, "{number}");
    }
    assert_eq!(drain_events(&mut peer), []);
    // The end needs no names, and is the end.
    assert_eq!(
        peer.add_ice_candidate(NOW, &candidate("", None, None, "")),
        Ok(())
    );
    let before = looks(&peer);
    let late = peer.add_ice_candidate(
        NOW,
        &candidate(&GOOD.replace("9000", "9003"), None, Some(0), ""),
    );
    assert_eq!(late, Err(Error::Ice(CommandError::AfterEnd)));
    assert_eq!(looks(&peer), before);
}

/// What ICE cannot use is told and ignored: another transport, a name, an unknown type. Another
/// component is nobody's business.
///
/// req: ICESDP-5.1-3
#[test]
fn candidates_of_no_use_are_told_and_not_refused() {
    use floe_peer::Unusable;
    let mut peer = connection(HERE, 1, vec![data()]);
    peer.set_remote_description(NOW, Offer, sample("data-offer-trickle.sdp").as_bytes())
        .unwrap();
    let answer = peer.create_answer(NOW).unwrap();
    peer.set_local_description(NOW, Answer, &answer).unwrap();
    drain_events(&mut peer);
    let before = peer.retained();
    for (text, told) in [
        (
            "candidate:1 1 sctp 1 192.0.2.9 9 typ host",
            Some(Unusable::Transport),
        ),
        // Known, and of no use here: this side has no TCP.
        (
            "candidate:1 1 tcp 1 192.0.2.9 9 typ host tcptype active",
            None,
        ),
        (
            "candidate:1 1 udp 1 a.example 9 typ host",
            Some(Unusable::Name),
        ),
        (
            "candidate:1 1 udp 1 192.0.2.9 9 typ warp",
            Some(Unusable::Kind),
        ),
        ("candidate:1 2 udp 1 192.0.2.9 9 typ host", None),
    ] {
        let taken = peer.add_ice_candidate(NOW, &candidate(text, Some("0"), Some(0), ""));
        assert_eq!(taken, Ok(()), "{text}");
        let expected: Vec<Event> = told.into_iter().map(Event::CandidateIgnored).collect();
        assert_eq!(drain_events(&mut peer), expected, "{text}");
    }
    assert_eq!(peer.retained(), before);
}

/// Ten thousand candidates: a hundred are held, before the exchange is finished and after.
#[test]
fn a_flood_of_candidates_is_bounded() {
    let flood = |peer: &mut Connection| {
        let mut refused = 0;
        for number in 0..10_000_u16 {
            let text = GOOD.replace("9000", &(number + 1).to_string());
            match peer.add_ice_candidate(NOW, &candidate(&text, Some("0"), None, "")) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error, Error::Ice(CommandError::Capacity));
                    refused += 1;
                }
            }
        }
        refused
    };
    let mut peer = connection(HERE, 1, vec![data()]);
    peer.set_remote_description(NOW, Offer, sample("data-offer-trickle.sdp").as_bytes())
        .unwrap();
    assert_eq!(flood(&mut peer), 9_900);
    assert_eq!(peer.retained(), 100);
    let answer = peer.create_answer(NOW).unwrap();
    peer.set_local_description(NOW, Answer, &answer).unwrap();
    assert!(flood(&mut peer) >= 9_900);
    assert!(peer.retained() <= 400, "{}", peer.retained());
    // A description full of them is no way around it; one with more than `Limits` has is refused.
    let mut peer = connection(HERE, 1, vec![data()]);
    let mut offer = sample("data-offer-trickle.sdp");
    for port in 1..1000 {
        offer.push_str("a=");
        offer.push_str(&GOOD.replace("9000", &port.to_string()));
        offer.push_str("\r\n");
    }
    peer.set_remote_description(NOW, Offer, offer.as_bytes())
        .unwrap();
    let answer = peer.create_answer(NOW).unwrap();
    peer.set_local_description(NOW, Answer, &answer).unwrap();
    assert!(peer.retained() <= 400, "{}", peer.retained());
}

/// While a second exchange is under way, candidates are for the ICE that runs already, and a rollback
/// takes none of them back.
#[test]
fn candidates_during_a_second_exchange_are_used_at_once() {
    let mut pair = Pair::new(vec![data()], vec![data()]);
    pair.trickle = false;
    pair.exchange(0);
    pair.drain();
    let signalled = candidates(&pair.events[0]);
    pair.offer(0);
    for candidate in &signalled {
        pair.peers[1].add_ice_candidate(NOW, candidate).unwrap();
    }
    pair.peers[0].rollback().unwrap();
    pair.peers[1].rollback().unwrap();
    // The offerer was told nothing: only the other side can have found the way.
    pair.settle();
    pair.assert_works();
}

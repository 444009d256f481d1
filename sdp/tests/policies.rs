//! Several transports, and what a section says beyond its formats: told as exchanges.

mod common;

use common::{audio, data, head, section, video};
use floe_sdp::ice::IceCredentials;
use floe_sdp::{
    BundlePolicy, Codec, DescriptionKind, Direction, DtlsIdentity, DtlsRole, Effects, Fingerprint,
    Glare, HeaderExtension, LocalTransport, LocalTransports, Misuse, NegotiationError, Negotiator,
    NegotiatorConfig, Profile, Rtp, SectionConfig, SectionEffect, Setup, SignalingState, Stream,
    TransportEffect, TransportId, Violation, check_answer, check_reoffer,
};

use DescriptionKind::{Answer, Offer, Pranswer};

const SENDRECV: Direction = Direction::SendRecv;

/// An owner with as many transports as are asked for.
#[derive(Clone)]
struct Owner {
    negotiator: Negotiator,
    credentials: Vec<IceCredentials>,
    dtls: DtlsIdentity,
    plain: bool,
}

impl<'a> LocalTransports<'a> for &'a Owner {
    fn transport(&self, id: TransportId) -> LocalTransport<'a> {
        let number = id.number() as usize;
        LocalTransport {
            credentials: self.credentials.get(number).filter(|_| !self.plain),
            pacing: None,
            candidates: &[],
            end_of_candidates: false,
            dtls: Some(&self.dtls).filter(|_| !self.plain),
            lite: false,
            ice_options: &[],
            remote_candidate: None,
            address: self
                .plain
                .then(|| ([192, 0, 2, 1], 5000 + 2 * id.number() as u16).into()),
        }
    }
}

impl Owner {
    fn new(id: u64, bundle: BundlePolicy, sections: Vec<SectionConfig>) -> Self {
        Self::with(NegotiatorConfig {
            bundle,
            ..NegotiatorConfig::new(id, sections)
        })
    }

    fn plain(id: u64, sections: Vec<SectionConfig>) -> Self {
        Self::with(NegotiatorConfig {
            profile: Profile::Rfc3264,
            ..NegotiatorConfig::new(id, sections)
        })
    }

    fn with(config: NegotiatorConfig) -> Self {
        let id = config.session_id;
        let one = |transport| {
            let ufrag = format!("u{id}t{transport}");
            IceCredentials::new(&ufrag, "0123456789abcdef012345").unwrap()
        };
        Self {
            plain: config.profile == Profile::Rfc3264,
            negotiator: Negotiator::new(config).unwrap(),
            credentials: (0..9).map(one).collect(),
            dtls: DtlsIdentity {
                fingerprints: vec![Fingerprint::sha256([id as u8; 32])],
                setup: Setup::Actpass,
                tls_id: None,
            },
        }
    }

    fn create(
        &mut self,
        make: impl FnOnce(&mut Negotiator, &Self) -> Result<String, NegotiationError>,
    ) -> Result<String, NegotiationError> {
        let mut negotiator = self.negotiator.clone();
        let text = make(&mut negotiator, self);
        self.negotiator = negotiator;
        text
    }

    fn create_offer(&mut self) -> Result<String, NegotiationError> {
        self.create(|negotiator, owner| negotiator.create_offer(&owner))
    }

    fn create_answer(&mut self) -> Result<String, NegotiationError> {
        self.create(|negotiator, owner| negotiator.create_answer(&owner))
    }

    fn offer(&mut self) -> (String, Effects) {
        let text = self.create_offer().unwrap();
        let effects = self.negotiator.set_local(Offer, &text).unwrap();
        (text, effects)
    }

    fn answer(&mut self) -> (String, Effects) {
        let text = self.create_answer().unwrap();
        let effects = self.negotiator.set_local(Answer, &text).unwrap();
        (text, effects)
    }

    fn take(&mut self, kind: DescriptionKind, text: &str) -> Effects {
        self.negotiator
            .set_remote(kind, text.as_bytes())
            .unwrap()
            .effects
    }

    fn transports(&self) -> usize {
        self.negotiator.transports().len()
    }
}

fn exchange(from: &mut Owner, to: &mut Owner) -> (String, String) {
    let (offer, _) = from.offer();
    to.take(Offer, &offer);
    let (answer, _) = to.answer();
    from.take(Answer, &answer);
    check_answer(offer.as_bytes(), answer.as_bytes()).unwrap();
    (offer, answer)
}

fn sections() -> Vec<SectionConfig> {
    vec![audio(SENDRECV), audio(SENDRECV), video(SENDRECV), data()]
}

/// Which sections of a text have a transport of their own, and which are bundle-only.
fn own(text: &str) -> (Vec<usize>, Vec<usize>) {
    let with = |what: &str| {
        let count = text.matches("\nm=").count();
        let has = |index: &usize| {
            let lines = section(text, *index);
            lines.iter().any(|line| line.starts_with(what))
        };
        (0..count).filter(has).collect()
    };
    (with("a=ice-ufrag"), with("a=bundle-only"))
}

/// req: JSEP-4.1.1-4, JSEP-4.1.1-1, JSEP-5.2.1-5, JSEP-5.2.1-6, BUNDLE-7.1.3-2, BUNDLE-9.3.1.1-1
#[test]
fn a_policy_says_which_sections_are_offered_with_a_transport() {
    use BundlePolicy::{Balanced, MaxCompat, MustBundle};
    assert_eq!(NegotiatorConfig::new(1, vec![]).bundle, Balanced);
    for (policy, with, without) in [
        (Balanced, vec![0, 2, 3], vec![1]),
        (MaxCompat, vec![0, 1, 2, 3], vec![]),
        (MustBundle, vec![0], vec![1, 2, 3]),
    ] {
        let mut alice = Owner::new(1, policy, sections());
        let (offer, effects) = alice.offer();
        assert!(
            head(&offer).contains(&"a=group:BUNDLE 0 1 2 3"),
            "{policy:?}"
        );
        assert_eq!(own(&offer), (with.clone(), without), "{policy:?}");
        for (number, index) in with.iter().enumerate() {
            let lines = section(&offer, *index);
            assert!(lines.contains(&format!("a=ice-ufrag:u1t{number}").as_str()));
            let rtp = lines[0].contains("RTP");
            assert_eq!(lines.contains(&"a=rtcp-mux"), rtp);
        }
        let added = effects.transports.iter();
        let added = added.map(|effect| match effect {
            TransportEffect::Added(transport) => usize::from(transport.mline_index),
            other => panic!("{other:?}"),
        });
        assert_eq!(added.collect::<Vec<_>>(), with);
        assert_eq!(effects.sections, []);
    }
}

/// req: JSEP-5.11-3, BUNDLE-7.4-1, BUNDLE-10-1, JSEP-5.2.2-7, BUNDLE-7.3-2
#[test]
fn what_is_bundled_by_the_answer_shares_one_transport_from_then_on() {
    for policy in [BundlePolicy::Balanced, BundlePolicy::MaxCompat] {
        let mut alice = Owner::new(1, policy, sections());
        let mut bob = Owner::new(2, BundlePolicy::Balanced, sections());
        let (offer, _) = alice.offer();
        bob.take(Offer, &offer);
        let (answer, effects) = bob.answer();
        assert_eq!(own(&answer), (vec![0], vec![]));
        let started: Vec<_> = (0..4).map(SectionEffect::Started).collect();
        assert_eq!(effects.sections, started);
        let before = alice.transports();
        assert!(before > 1);
        let effects = alice.take(Answer, &answer);
        let removed = effects.transports.iter();
        let removed = removed.filter(|one| matches!(one, TransportEffect::Removed(_)));
        assert_eq!(removed.count(), before - 1, "all but the first");
        assert_eq!((alice.transports(), bob.transports()), (1, 1));
        let (next, effects) = alice.offer();
        assert_eq!(own(&next), (vec![0], vec![]));
        assert_eq!(effects, Effects::default(), "nothing new");
        assert_eq!(
            check_reoffer([&offer, &answer].map(String::as_bytes), next.as_bytes()),
            Ok(())
        );
    }
}

/// req: BUNDLE-7.4-2, GROUP-9.2-3, JSEP-5.3.1-7, OA-6.1-1
#[test]
fn without_a_group_in_the_answer_every_section_keeps_its_transport() {
    let mut alice = Owner::new(1, BundlePolicy::MaxCompat, vec![audio(SENDRECV), data()]);
    let mut config = NegotiatorConfig::new(2, vec![]);
    config.profile = Profile::Rfc3264;
    let mut bob = Owner::with(config);
    bob.plain = false;
    let (_, answer) = exchange(&mut alice, &mut bob);
    assert!(!answer.contains("BUNDLE") && answer.contains("a=mid:0") && answer.contains("a=mid:1"));
    assert_eq!(own(&answer), (vec![0, 1], vec![]));
    for owner in [&alice, &bob] {
        let negotiated = owner.negotiator.negotiated().unwrap();
        let ids: Vec<_> = negotiated
            .sections
            .iter()
            .map(|section| section.transport)
            .collect();
        assert!(ids[0].is_some() && ids[1].is_some() && ids[0] != ids[1]);
        let roles: Vec<_> = negotiated
            .transports
            .iter()
            .map(|one| one.dtls_role)
            .collect();
        let role = if negotiated.local_offered {
            DtlsRole::Server
        } else {
            DtlsRole::Client
        };
        assert_eq!(roles, [Some(role); 2]);
    }
    // Candidates find the transport of their section, the end of all of them all transports.
    let text = "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host";
    let add = |text: &str, mid, ufrag| {
        let found = alice
            .negotiator
            .add_remote_candidate_text(text, mid, None, ufrag);
        found.map(|found| {
            found
                .unwrap()
                .transports
                .iter()
                .map(|id| id.number())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(add(text, Some("0"), Some("u2t0")), Ok(vec![0]));
    assert_eq!(add(text, Some("1"), None), Ok(vec![1]));
    assert_eq!(
        add(text, Some("1"), Some("u2t0")),
        Err(NegotiationError::WrongGeneration)
    );
    assert_eq!(add("", None, None), Ok(vec![0, 1]));
    assert_eq!(add("", None, Some("u2t1")), Ok(vec![1]));
    // New sections do not join what is no bundle.
    alice.negotiator.add_section(video(SENDRECV)).unwrap();
    let (offer, _) = alice.offer();
    assert!(head(&offer).contains(&"a=group:BUNDLE 2"));
    assert_eq!(own(&offer).0, [0, 1, 2]);
}

/// req: JSEP-5.3.1-3, BUNDLE-7.3.2-1
#[test]
fn a_policy_says_which_sections_are_accepted() {
    use BundlePolicy::{Balanced, MaxCompat, MustBundle};
    let mut alice = Owner::new(1, MaxCompat, sections());
    let (offer, _) = alice.offer();
    let groups = [
        ("0 1 2 3", [true; 4], [true; 4], [true; 4]),
        // Neither with the first, nor the first of its type, nor with that.
        (
            "0 2",
            [true, false, true, true],
            [true, false, true, false],
            [true; 4],
        ),
        (
            "1 3",
            [true, false, true, false],
            [true, false, false, false],
            [true; 4],
        ),
    ];
    for (group, balanced, must_bundle, max_compat) in groups {
        let offer = offer.replace("BUNDLE 0 1 2 3", &format!("BUNDLE {group}"));
        for (policy, expected) in [
            (Balanced, balanced),
            (MustBundle, must_bundle),
            (MaxCompat, max_compat),
        ] {
            let mut bob = Owner::new(2, policy, sections());
            let remote = bob.negotiator.set_remote(Offer, offer.as_bytes()).unwrap();
            let accepted: Vec<_> = remote.sections.iter().map(|it| it.accepted).collect();
            assert_eq!(accepted, expected, "{group} {policy:?}");
            let (answer, _) = bob.answer();
            check_answer(offer.as_bytes(), answer.as_bytes()).unwrap();
        }
    }
}

/// req: OA-4-4, JSEP-4.1.10.2-1
#[test]
fn an_own_offer_that_meets_another_is_given_up_by_the_polite_side_alone() {
    let side = |id, glare| {
        let mut config = NegotiatorConfig::new(id, vec![audio(SENDRECV), data()]);
        config.glare = glare;
        Owner::with(config)
    };
    let (mut alice, mut bob) = (side(1, Glare::Impolite), side(2, Glare::Polite));
    let ((offer, _), (other, added)) = (alice.offer(), bob.offer());
    let before = alice.clone();
    assert_eq!(
        alice.negotiator.set_remote(Offer, other.as_bytes()),
        Err(NegotiationError::Glare)
    );
    assert!(alice.negotiator == before.negotiator);
    // An offer that is refused gives nothing up.
    let before = bob.clone();
    let wrong = offer.replace("a=setup:actpass", "a=setup:holdconn");
    assert!(bob.negotiator.set_remote(Offer, wrong.as_bytes()).is_err());
    assert!(bob.negotiator == before.negotiator);
    assert_eq!(bob.negotiator.state(), SignalingState::HaveLocalOffer);
    // Two transports were added, one is left: that of the bundle to come.
    let effects = bob.take(Offer, &offer);
    assert!(effects.rolled_back);
    assert_eq!(added.transports.len(), 2);
    assert_eq!(
        effects.transports,
        [TransportEffect::Removed(bob_id(&added, 1))]
    );
    assert_eq!(bob.negotiator.state(), SignalingState::HaveRemoteOffer);
    let (answer, _) = bob.answer();
    alice.take(Answer, &answer);
    assert_eq!(alice.negotiator.state(), SignalingState::Stable);
}

fn bob_id(effects: &Effects, place: usize) -> TransportId {
    match &effects.transports[place] {
        TransportEffect::Added(transport) => transport.id,
        other => panic!("{other:?}"),
    }
}

/// req: JSEP-4.1.10-1, JSEP-4.1.10-2, JSEP-5.7-1, JSEP-4.1.11-1
#[test]
fn a_provisional_answer_frees_nothing_and_rollback_undoes_what_an_offer_added() {
    let mut alice = Owner::new(1, BundlePolicy::MaxCompat, vec![audio(SENDRECV), data()]);
    let mut bob = Owner::new(2, BundlePolicy::Balanced, vec![]);
    let before = alice.negotiator.transports();
    let (_, added) = alice.offer();
    let undone = alice.negotiator.rollback().unwrap();
    let ids = |effects: &Effects| -> Vec<TransportId> {
        let ids = effects.transports.iter().map(|effect| match effect {
            TransportEffect::Added(transport) => transport.id,
            TransportEffect::Removed(id) => *id,
            other => panic!("{other:?}"),
        });
        ids.collect()
    };
    assert_eq!(ids(&added), ids(&undone));
    assert_eq!(alice.negotiator.transports(), before);
    let (offer, _) = alice.offer();
    bob.take(Offer, &offer);
    let answer = bob.create_answer().unwrap();
    bob.negotiator.set_local(Pranswer, &answer).unwrap();
    let effects = alice.take(Pranswer, &answer);
    assert_eq!(effects.transports, []);
    assert_eq!(effects.sections.len(), 2, "media may flow");
    assert_eq!(alice.transports(), 2);
    assert!(alice.negotiator.negotiated().is_none() && alice.negotiator.provisional().is_some());
    let refused = NegotiationError::State(SignalingState::HaveRemotePranswer);
    assert_eq!(alice.negotiator.rollback(), Err(refused));
    let effects = alice.take(Answer, &answer);
    assert_eq!(effects.transports.len(), 1);
    assert_eq!(alice.transports(), 1);
    // Closing ends the last.
    let effects = alice.negotiator.close();
    assert_eq!(effects.transports.len(), 1);
    assert_eq!(
        effects.sections,
        [SectionEffect::Stopped(0), SectionEffect::Stopped(1)]
    );
    assert_eq!(alice.negotiator.close(), Effects::default());
}

/// req: JSEP-5.2.2-3, JSEP-5.2.2-9, BUNDLE-7.5.3-1, BUNDLE-7.5-2, JSEP-5.11-4, OA-8.2-1
#[test]
fn a_stopped_section_leaves_its_place_and_another_one_speaks_for_the_transport() {
    let mut alice = Owner::new(1, BundlePolicy::Balanced, vec![audio(SENDRECV), data()]);
    let mut bob = Owner::new(2, BundlePolicy::Balanced, vec![]);
    exchange(&mut alice, &mut bob);
    alice.negotiator.stop_section(0).unwrap();
    assert_eq!(
        alice.negotiator.stop_section(7),
        Err(Misuse::NoSuchSection.into())
    );
    let (offer, effects) = alice.offer();
    assert!(section(&offer, 0)[0].starts_with("m=audio 0 "));
    assert!(head(&offer).contains(&"a=group:BUNDLE 1"));
    assert_eq!(own(&offer).0, [1]);
    // The same transport, under another name.
    assert!(section(&offer, 1).contains(&"a=ice-ufrag:u1t0"));
    assert!(matches!(&effects.transports[..], [TransportEffect::Moved(it)] if it.mline_index == 1));
    let effects = bob.take(Offer, &offer);
    assert!(
        matches!(&effects.transports[..], [TransportEffect::Moved(it)] if it.mid.as_deref() == Some("1"))
    );
    let (answer, effects) = bob.answer();
    assert_eq!(effects.sections, [SectionEffect::Stopped(0)]);
    assert_eq!(effects.transports, []);
    alice.take(Answer, &answer);
    // Its place is taken by the next section, which has another mid.
    alice.negotiator.add_section(video(SENDRECV)).unwrap();
    let (offer, _) = alice.offer();
    assert!(section(&offer, 0)[0].starts_with("m=video 9 "));
    assert!(section(&offer, 0).contains(&"a=mid:2"));
    bob.take(Offer, &offer);
    let (answer, effects) = bob.answer();
    assert_eq!(effects.sections, [SectionEffect::Recycled(0)]);
    alice.take(Answer, &answer);
    assert_eq!(
        alice.negotiator.negotiated().unwrap().sections[0]
            .mid
            .as_deref(),
        Some("2")
    );
    // A section that never had a place gets none.
    let index = alice.negotiator.add_section(audio(SENDRECV)).unwrap();
    alice.negotiator.stop_section(index).unwrap();
    assert!(!alice.offer().0.contains("m=audio"));
}

/// A direction says nothing of data channels (RFC 8841 §9.2).
#[test]
fn a_data_section_has_no_direction() {
    let mut alice = Owner::new(1, BundlePolicy::Balanced, vec![data()]);
    let mut bob = Owner::new(2, BundlePolicy::Balanced, vec![]);
    let (offer, _) = alice.offer();
    let offer = offer.replace("a=sctp-port", "a=sendonly\r\na=sctp-port");
    bob.take(Offer, &offer);
    let (answer, _) = bob.answer();
    check_answer(offer.as_bytes(), answer.as_bytes()).unwrap();
    let sections = bob.negotiator.negotiated().unwrap().sections;
    assert_eq!(sections[0].direction, SENDRECV);
}

/// req: OA-8.4-1, OA-5.1-1, OA-8.4-2
#[test]
fn hold_is_a_direction_and_its_effect() {
    let mut alice = Owner::new(1, BundlePolicy::Balanced, vec![audio(SENDRECV)]);
    let mut bob = Owner::new(2, BundlePolicy::Balanced, vec![audio(SENDRECV)]);
    exchange(&mut alice, &mut bob);
    alice
        .negotiator
        .set_direction(0, Direction::SendOnly)
        .unwrap();
    let (offer, _) = alice.offer();
    assert!(offer.contains("a=sendonly"));
    bob.take(Offer, &offer);
    let (answer, effects) = bob.answer();
    assert!(answer.contains("a=recvonly"));
    assert_eq!(
        effects.sections,
        [SectionEffect::Direction(0, Direction::RecvOnly)]
    );
    let effects = alice.take(Answer, &answer);
    assert_eq!(
        effects.sections,
        [SectionEffect::Direction(0, Direction::SendOnly)]
    );
    // Not mirrored: bob's own offer wants both ways, and alice holds still.
    let (offer, _) = bob.offer();
    assert!(offer.contains("a=sendrecv"));
    alice.take(Offer, &offer);
    assert!(alice.answer().0.contains("a=sendonly"));
}

fn vp8() -> Vec<Codec> {
    vec![
        Codec::new(96, "VP8", 90_000, None)
            .with_feedback("nack")
            .with_feedback("nack pli"),
        Codec::rtx(97, 96, 90_000),
        Codec::new(98, "VP9", 90_000, None),
        Codec::rtx(99, 98, 90_000),
    ]
}

fn rtp(codecs: Vec<Codec>) -> SectionConfig {
    SectionConfig::Video(Rtp::new(codecs, SENDRECV))
}

/// req: OA-6.1-6, OA-6.1-14, OA-6.1-10
#[test]
fn retransmissions_follow_their_format_under_the_numbers_of_the_offer() {
    let own = vec![
        Codec::rtx(121, 120, 90_000),
        Codec::new(120, "VP8", 90_000, None)
            .with_feedback("nack pli")
            .with_feedback("goog-remb"),
    ];
    let mut alice = Owner::new(1, BundlePolicy::Balanced, vec![rtp(vp8())]);
    let mut bob = Owner::new(2, BundlePolicy::Balanced, vec![rtp(own)]);
    let (offer, answer) = exchange(&mut alice, &mut bob);
    assert!(offer.contains("a=fmtp:97 apt=96") && offer.contains("a=rtcp-fb:96 nack pli"));
    let lines = section(&answer, 0);
    assert_eq!(lines[0], "m=video 9 UDP/TLS/RTP/SAVPF 96 97");
    assert!(lines.contains(&"a=fmtp:97 apt=96"));
    let feedback: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("a=rtcp-fb"))
        .collect();
    assert_eq!(feedback, [&"a=rtcp-fb:96 nack pli"], "what both know");
    // The owner's numbers stand aside in later offers, and so does what points at them.
    let (offer, _) = bob.offer();
    assert_eq!(section(&offer, 0)[0], "m=video 9 UDP/TLS/RTP/SAVPF 97 96");
    assert!(offer.contains("a=fmtp:97 apt=96"));
    let negotiated = alice.negotiator.negotiated().unwrap();
    let numbers = |codecs: &[Codec]| codecs.iter().map(|it| it.payload_type).collect::<Vec<_>>();
    let section = &negotiated.sections[0];
    assert_eq!(numbers(&section.codecs), [96, 97]);
    assert_eq!(numbers(&section.receive_codecs), [96, 97]);
}

/// A retransmission of nothing is nothing, and so is one alone.
#[test]
fn retransmissions_of_what_is_not_common_are_left_out() {
    let mut alice = Owner::new(1, BundlePolicy::Balanced, vec![rtp(vp8())]);
    let own = vec![
        Codec::new(98, "VP9", 90_000, None),
        Codec::rtx(97, 98, 90_000),
    ];
    let mut bob = Owner::new(2, BundlePolicy::Balanced, vec![rtp(own)]);
    let (_, answer) = exchange(&mut alice, &mut bob);
    assert_eq!(section(&answer, 0)[0], "m=video 9 UDP/TLS/RTP/SAVPF 98 99");
    let alone = Rtp::new(vec![Codec::rtx(97, 96, 90_000)], SENDRECV);
    let refused = Negotiator::new(NegotiatorConfig::new(1, vec![SectionConfig::Video(alone)]));
    assert_eq!(refused.map(|_| ()), Err(Misuse::Codec.into()));
}

/// req: BUNDLE-12-1, JSEP-5.10-2, BUNDLE-9.1-1
#[test]
fn header_extensions_are_those_of_both_under_the_ids_of_the_offer() {
    let with = |direction, extensions: &[(u16, &str)]| {
        let mut rtp = Rtp::new(Codec::audio(), direction);
        let one = |(id, uri): &(u16, &str)| HeaderExtension::new(*id, uri);
        rtp.extensions = extensions.iter().map(one).collect();
        SectionConfig::Audio(rtp)
    };
    let both = "urn:example:both";
    let offered = vec![
        with(SENDRECV, &[(2, both), (3, "urn:example:alice")]),
        with(SENDRECV, &[(2, "urn:example:other"), (7, both)]),
    ];
    let mut alice = Owner::new(1, BundlePolicy::Balanced, offered);
    let own = with(SENDRECV, &[(3, both), (2, "urn:example:bob")]);
    let mut bob = Owner::new(2, BundlePolicy::Balanced, vec![own]);
    let (offer, answer) = exchange(&mut alice, &mut bob);
    let maps = |text: &str, index| -> Vec<String> {
        let lines = section(text, index).into_iter();
        lines
            .filter_map(|line| line.strip_prefix("a=extmap:").map(String::from))
            .collect()
    };
    let mid = "1 urn:ietf:params:rtp-hdrext:sdes:mid";
    // One id is one extension in all sections of a bundle.
    assert_eq!(
        maps(&offer, 1),
        [mid, "4 urn:example:other", "2 urn:example:both"]
    );
    assert_eq!(maps(&answer, 0), [mid, "2 urn:example:both"]);
    let (next, _) = bob.offer();
    assert_eq!(
        maps(&next, 0),
        [mid, "2 urn:example:both", "5 urn:example:bob"]
    );
    // Who sends it is negotiated like a direction.
    let one_way = offer.replace("extmap:2 ", "extmap:2/sendonly ");
    let mut carol = Owner::new(
        3,
        BundlePolicy::Balanced,
        vec![with(SENDRECV, &[(2, both)])],
    );
    carol.take(Offer, &one_way);
    let (answer, _) = carol.answer();
    assert!(maps(&answer, 0).contains(&"2/recvonly urn:example:both".to_string()));
    check_answer(one_way.as_bytes(), answer.as_bytes()).unwrap();
    let sections = carol.negotiator.negotiated().unwrap().sections;
    assert_eq!(sections[0].extensions[1].direction, Direction::RecvOnly);
    let twice = with(SENDRECV, &[(2, both), (2, "urn:example:x")]);
    let refused = Negotiator::new(NegotiatorConfig::new(1, vec![twice]));
    assert_eq!(refused.map(|_| ()), Err(Misuse::Extension.into()));
}

#[test]
fn a_simulcast_is_what_one_side_sends_and_the_other_receives() {
    let mut low = Stream::new("lo");
    low.restrictions = Some("pt=96;max-width=320".into());
    let odd = Stream {
        restrictions: Some("pt=98".into()),
        ..Stream::new("vp9")
    };
    let sends = Rtp::new(vp8(), SENDRECV).with_simulcast(vec![Stream::new("hi"), low.clone(), odd]);
    let receives = Rtp::new(vp8()[..2].to_vec(), SENDRECV).receiving_simulcast(3);
    let mut alice = Owner::new(
        1,
        BundlePolicy::Balanced,
        vec![SectionConfig::Video(sends.clone())],
    );
    let mut bob = Owner::new(
        2,
        BundlePolicy::Balanced,
        vec![SectionConfig::Video(receives)],
    );
    let (offer, answer) = exchange(&mut alice, &mut bob);
    assert!(offer.contains("a=rid:lo send pt=96;max-width=320\r\n"));
    assert!(offer.contains("a=simulcast:send hi;lo;vp9\r\n"));
    // A stream of a format that is not answered is none.
    assert!(answer.contains("a=rid:lo recv pt=96;max-width=320\r\n"));
    assert!(answer.contains("a=simulcast:recv hi;lo\r\n"));
    assert!(answer.contains("sdes:rtp-stream-id"));
    let sections = |owner: &Owner| owner.negotiator.negotiated().unwrap().sections;
    assert_eq!(
        sections(&alice)[0].send_rids,
        [Stream::new("hi"), low.clone()]
    );
    assert_eq!(sections(&bob)[0].receive_rids, [Stream::new("hi"), low]);
    assert!(sections(&alice)[0].receive_rids.is_empty() && sections(&bob)[0].send_rids.is_empty());
    // Without the wish for it there is none, and nothing is sent to who receives nothing.
    let mut carol = Owner::new(3, BundlePolicy::Balanced, vec![rtp(vp8())]);
    carol.take(Offer, &offer);
    assert!(!carol.answer().0.contains("simulcast"));
    let mut dave = Owner::new(4, BundlePolicy::Balanced, vec![SectionConfig::Video(sends)]);
    dave.negotiator
        .set_direction(0, Direction::RecvOnly)
        .unwrap();
    assert!(!dave.offer().0.contains("simulcast"));
}

fn telephone() -> Vec<SectionConfig> {
    let mut codecs = Codec::audio();
    codecs.remove(0);
    vec![SectionConfig::Audio(Rtp::new(codecs, SENDRECV))]
}

/// req: OA-5-1, OA-5.1-2, OA-6.1-5, OA-6-1, OA-8.4-4, OA-6-4
#[test]
fn telephones_agree_without_ice_dtls_and_bundles() {
    let mut alice = Owner::plain(1, telephone());
    let mut bob = Owner::plain(2, telephone());
    let (offer, answer) = exchange(&mut alice, &mut bob);
    let expected = [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "m=audio 5000 RTP/AVP 9 0 8",
        "c=IN IP4 192.0.2.1",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "",
    ];
    assert_eq!(offer, expected.join("\r\n"));
    assert_eq!(answer, expected.join("\r\n").replace("o=- 1", "o=- 2"));
    let remote = bob.negotiator.negotiated().unwrap();
    assert_eq!(remote.dtls_role(), None);
    assert!(remote.sections[0].active && remote.sections[0].rtcp_mux);
    // Without it in the offer, it is not in the answer.
    let old = offer.replace("a=rtcp-mux\r\n", "");
    let mut carol = Owner::plain(3, telephone());
    carol.take(Offer, &old);
    let (answer, _) = carol.answer();
    assert!(!answer.contains("rtcp-mux"));
    check_answer(old.as_bytes(), answer.as_bytes()).unwrap();
    // The address of old for streams on hold: nothing is sent there.
    let held = offer.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    let mut dave = Owner::plain(4, telephone());
    dave.take(Offer, &held);
    dave.answer();
    let direction = dave.negotiator.negotiated().unwrap().sections[0].direction;
    assert_eq!(direction, Direction::RecvOnly);
    // What needs DTLS is refused by who has none, and an own data channel cannot be offered.
    let mut browser = Owner::new(5, BundlePolicy::MaxCompat, vec![audio(SENDRECV), data()]);
    let (offer, _) = browser.offer();
    let mut erin = Owner::plain(6, telephone());
    erin.take(Offer, &offer);
    let (answer, _) = erin.answer();
    assert_eq!(answer.matches(" 0 UDP/").count(), 2);
    check_answer(offer.as_bytes(), answer.as_bytes()).unwrap();
    let offered = Owner::plain(7, vec![data()]).create_offer();
    assert_eq!(offered, Err(Misuse::Dtls.into()));
    // A browser does not take such an offer.
    let refused = browser.negotiator.rollback().map(|_| {
        let refused = browser.negotiator.set_remote(Offer, old.as_bytes());
        refused.map(|_| ())
    });
    assert!(matches!(
        refused,
        Ok(Err(NegotiationError::Remote {
            rule: Violation::MissingRtcpMux,
            ..
        }))
    ));
}

#[test]
fn transports_that_cannot_be_told_apart_are_refused() {
    let mut alice = Owner::new(1, BundlePolicy::MaxCompat, vec![audio(SENDRECV), data()]);
    alice.credentials[1] = alice.credentials[0].clone();
    assert_eq!(alice.create_offer(), Err(Misuse::SharedCredentials.into()));
    alice.credentials.truncate(1);
    assert_eq!(alice.create_offer(), Err(Misuse::Credentials.into()));
}

/// Two groups are two transports, where the policy allows both.
///
/// req: GROUP-6-4, JSEP-3.5.1-3, JSEP-5.3.1-7, BUNDLE-7.3-1
#[test]
fn two_groups_have_a_transport_each() {
    let mut alice = Owner::new(1, BundlePolicy::MaxCompat, sections());
    let (offer, _) = alice.offer();
    let offer = offer.replace("BUNDLE 0 1 2 3", "BUNDLE 0 1\r\na=group:BUNDLE 2 3");
    let mut bob = Owner::new(2, BundlePolicy::Balanced, sections());
    let effects = bob.take(Offer, &offer);
    let added = effects.transports.iter().map(|effect| match effect {
        TransportEffect::Added(transport) => transport.mline_index,
        other => panic!("{other:?}"),
    });
    assert_eq!(added.collect::<Vec<_>>(), [0, 2], "only tags gather");
    let (answer, _) = bob.answer();
    let groups = ["a=group:BUNDLE 0 1", "a=group:BUNDLE 2 3"];
    assert!(groups.iter().all(|group| head(&answer).contains(group)));
    assert_eq!(own(&answer).0, [0, 2]);
    check_answer(offer.as_bytes(), answer.as_bytes()).unwrap();
    // And both go on in what is offered next; new sections join the first.
    bob.negotiator.add_section(audio(SENDRECV)).unwrap();
    let (next, _) = bob.offer();
    assert!(head(&next).contains(&"a=group:BUNDLE 0 1 4") && head(&next).contains(&groups[1]));
    assert_eq!(own(&next).0, [0, 2]);
}

/// req: JSEP-5.9-2, JSEP-3.5.1-1, JSEP-3.5.1-2, JSEP-5.10-1
#[test]
fn new_credentials_are_the_effect_that_gathers_anew() {
    let mut alice = Owner::new(1, BundlePolicy::Balanced, vec![audio(SENDRECV), data()]);
    let mut bob = Owner::new(2, BundlePolicy::Balanced, vec![]);
    exchange(&mut alice, &mut bob);
    let id = alice.negotiator.transports()[0].id;
    alice.credentials[0] = IceCredentials::new("newa", "543210fedcba9876543210").unwrap();
    let (offer, effects) = alice.offer();
    assert_eq!(effects.transports, [TransportEffect::LocalRestart(id)]);
    let effects = bob.take(Offer, &offer);
    assert!(matches!(
        effects.transports[..],
        [TransportEffect::RemoteRestart(_)]
    ));
    bob.credentials[0] = IceCredentials::new("newb", "543210fedcba9876543210").unwrap();
    let (answer, effects) = bob.answer();
    assert!(matches!(
        effects.transports[..],
        [TransportEffect::LocalRestart(_)]
    ));
    let effects = alice.take(Answer, &answer);
    assert_eq!(effects.transports, [TransportEffect::RemoteRestart(id)]);
    // What was answered is in force: the next offer restarts nothing.
    assert_eq!(alice.offer().1, Effects::default());
    // A rollback of a restart is a restart back.
    alice.negotiator.rollback().unwrap();
    alice.credentials[0] = IceCredentials::new("newc", "abcdef0123456789543210").unwrap();
    alice.offer();
    let undone = alice.negotiator.rollback().unwrap();
    assert_eq!(undone.transports, [TransportEffect::LocalRestart(id)]);
}

/// req: JSEP-5.2.1-7
#[test]
fn all_transports_have_the_same_certificates() {
    let owner = Owner::new(1, BundlePolicy::MaxCompat, vec![audio(SENDRECV), data()]);
    let (offer, _) = owner.clone().offer();
    let line = offer
        .lines()
        .find(|line| line.starts_with("a=fingerprint"))
        .unwrap();
    assert_eq!(offer.matches(line).count(), 2);
    let other = DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256([99; 32])],
        ..owner.dtls.clone()
    };
    let refused = owner
        .negotiator
        .clone()
        .create_offer(&|id: TransportId| LocalTransport {
            dtls: Some(if id.number() == 1 {
                &other
            } else {
                &owner.dtls
            }),
            ..(&owner).transport(id)
        });
    assert_eq!(refused, Err(Misuse::UnlikeTransports.into()));
}

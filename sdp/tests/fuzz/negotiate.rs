//! One description, given to negotiators of every profile and policy.

use floe_sdp::ice::IceCredentials;
use floe_sdp::{
    BundlePolicy, DescriptionKind, DtlsIdentity, Fingerprint, LocalTransport, NegotiationError,
    Negotiator, NegotiatorConfig, Profile, SectionConfig, Setup, TransportId, Violation,
    check_answer,
};

/// What must hold of a description that a negotiator is given.
pub(crate) fn run(text: &[u8]) {
    use BundlePolicy::{Balanced, MaxCompat, MustBundle};
    for (profile, bundle) in [
        (Profile::Jsep, MustBundle),
        (Profile::Jsep, Balanced),
        (Profile::Jsep, MaxCompat),
        (Profile::Rfc3264, Balanced),
    ] {
        as_offer(text, profile, bundle);
        as_answer(text, profile, bundle);
    }
}

fn negotiator(sections: Vec<SectionConfig>, profile: Profile, bundle: BundlePolicy) -> Negotiator {
    Negotiator::new(NegotiatorConfig {
        profile,
        bundle,
        ..NegotiatorConfig::new(1, sections)
    })
    .expect("good sections")
}

type Create =
    fn(&mut Negotiator, &[IceCredentials], &DtlsIdentity) -> Result<String, NegotiationError>;

fn transport<'a>(
    known: &'a [IceCredentials],
    dtls: &'a DtlsIdentity,
) -> impl Fn(TransportId) -> LocalTransport<'a> {
    |id| LocalTransport {
        credentials: known.get(id.number() as usize),
        pacing: None,
        candidates: &[],
        end_of_candidates: false,
        dtls: Some(dtls),
        lite: false,
        ice_options: &[],
        remote_candidate: None,
        address: None,
    }
}

const OFFER: Create = |it, known, dtls| it.create_offer(&transport(known, dtls));
const ANSWER: Create = |it, known, dtls| it.create_answer(&transport(known, dtls));

/// With credentials for as many transports as any description may have.
fn create(negotiator: &mut Negotiator, create: Create) -> String {
    let dtls = DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256([7; 32])],
        setup: Setup::Actpass,
        tls_id: None,
    };
    let pwd = "0123456789abcdef012345";
    let known: Vec<_> = (0..600)
        .map(|number| IceCredentials::new(&format!("uf{number:03}"), pwd).unwrap())
        .collect();
    create(negotiator, &known, &dtls).expect("a description")
}

/// What is taken as an offer can be answered; what is not leaves no trace.
fn as_offer(text: &[u8], profile: Profile, bundle: BundlePolicy) {
    let mut bob = negotiator(Vec::new(), profile, bundle);
    let before = bob.clone();
    if bob.set_remote(DescriptionKind::Offer, text).is_err() {
        assert!(bob == before);
        return;
    }
    let answer = create(&mut bob, ANSWER);
    match check_answer(text, answer.as_bytes()) {
        // A wrong group of the offer is nothing that a negotiator need mind.
        Ok(())
        | Err(NegotiationError::Remote {
            rule: Violation::RefusedInGroup,
            ..
        }) => {}
        Err(NegotiationError::Remote {
            rule:
                Violation::TwoGroups
                | Violation::Group
                | Violation::PayloadType
                | Violation::ExtensionId,
            ..
        }) if profile == Profile::Rfc3264 => {}
        Err(error) => panic!("{error}\n{answer}"),
    }
    bob.set_local(DescriptionKind::Answer, &answer)
        .expect("the own answer");
    assert!(bob.negotiated().is_some());
    // And it can make offers of its own then.
    let offer = create(&mut bob, OFFER);
    bob.set_local(DescriptionKind::Offer, &offer)
        .expect("the own offer");
    // The same text once more is not an answer to it that breaks anything.
    let before = bob.clone();
    if bob.set_remote(DescriptionKind::Answer, text).is_err() {
        assert!(bob == before);
    }
}

/// What is taken as an answer settles the exchange; what is not leaves no trace.
fn as_answer(text: &[u8], profile: Profile, bundle: BundlePolicy) {
    let data = SectionConfig::Application(floe_sdp::DataChannel::default());
    let mut alice = negotiator(vec![data], profile, bundle);
    let offer = create(&mut alice, OFFER);
    alice
        .set_local(DescriptionKind::Offer, &offer)
        .expect("the own offer");
    for kind in [DescriptionKind::Pranswer, DescriptionKind::Answer] {
        let before = alice.clone();
        if alice.set_remote(kind, text).is_err() {
            assert!(alice == before);
        } else if kind == DescriptionKind::Answer {
            assert!(alice.negotiated().is_some());
        } else {
            assert!(alice.provisional().is_some());
        }
    }
}

//! One description, given to negotiators.

use floe_sdp::ice::IceCredentials;
use floe_sdp::{
    DescriptionKind, DtlsIdentity, Fingerprint, LocalTransport, Negotiator, NegotiatorConfig,
    SectionConfig, Session, Setup,
};

/// What must hold of a description that a negotiator is given.
pub(crate) fn run(text: &[u8]) {
    as_offer(text);
    as_answer(text);
}

fn credentials() -> IceCredentials {
    IceCredentials::new("floe", "0123456789abcdef012345").expect("good credentials")
}

fn negotiator(sections: Vec<SectionConfig>) -> Negotiator {
    Negotiator::new(NegotiatorConfig::new(1, sections)).expect("good sections")
}

fn with_transport<T>(then: impl FnOnce(&LocalTransport<'_>) -> T) -> T {
    then(&LocalTransport {
        credentials: &credentials(),
        pacing: None,
        candidates: &[],
        end_of_candidates: false,
        dtls: &DtlsIdentity {
            fingerprints: vec![Fingerprint::sha256([7; 32])],
            setup: Setup::Actpass,
            tls_id: None,
        },
        lite: false,
    })
}

fn state(negotiator: &Negotiator) -> String {
    let texts = (
        negotiator.local_description(),
        negotiator.remote_description(),
    );
    format!("{negotiator:?} {texts:?}")
}

/// What is taken as an offer can be answered; what is not leaves no trace.
fn as_offer(text: &[u8]) {
    let mut bob = negotiator(Vec::new());
    let before = state(&bob);
    if bob.set_remote(DescriptionKind::Offer, text).is_err() {
        assert_eq!(state(&bob), before);
        return;
    }
    let answer = with_transport(|local| bob.create_answer(local)).expect("an answer");
    Session::parse(answer.as_bytes()).expect("the own answer can be read");
    bob.set_local(DescriptionKind::Answer, &answer)
        .expect("the own answer");
    assert!(bob.negotiated().is_some());
    // And it can make offers of its own then.
    let offer = with_transport(|local| bob.create_offer(local)).expect("an offer");
    bob.set_local(DescriptionKind::Offer, &offer)
        .expect("the own offer");
    // The same text once more is not an answer to it that breaks anything.
    let before = state(&bob);
    if bob.set_remote(DescriptionKind::Answer, text).is_err() {
        assert_eq!(state(&bob), before);
    }
}

/// What is taken as an answer settles the exchange; what is not leaves no trace.
fn as_answer(text: &[u8]) {
    let data = SectionConfig::Application(floe_sdp::DataChannel::default());
    let mut alice = negotiator(vec![data]);
    let offer = with_transport(|local| alice.create_offer(local)).expect("an offer");
    alice
        .set_local(DescriptionKind::Offer, &offer)
        .expect("the own offer");
    let before = state(&alice);
    for kind in [DescriptionKind::Pranswer, DescriptionKind::Answer] {
        if alice.set_remote(kind, text).is_err() {
            if kind == DescriptionKind::Pranswer {
                assert_eq!(state(&alice), before);
            }
        } else if kind == DescriptionKind::Answer {
            assert!(alice.negotiated().is_some());
        }
    }
}

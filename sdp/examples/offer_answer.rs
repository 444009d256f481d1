//! Two negotiators agree on a data channel, then one trickles a candidate to the other.

use floe_sdp::ice::{IceCredentials, TrickledCandidate};
use floe_sdp::{
    DataChannel, DescriptionKind, DtlsIdentity, Fingerprint, LocalTransport, Negotiator,
    NegotiatorConfig, SectionConfig, Setup,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A real program draws these at random and takes the fingerprint of its own certificate.
    let dtls = DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256([7; 32])],
        setup: Setup::Actpass,
        tls_id: None,
    };
    let here = IceCredentials::new("here", "0123456789abcdef012345")?;
    let there = IceCredentials::new("there", "543210fedcba9876543210")?;
    let transport = |credentials| LocalTransport {
        credentials: Some(credentials),
        pacing: None,
        candidates: &[],
        end_of_candidates: false,
        dtls: Some(&dtls),
        lite: false,
        ice_options: &[],
        remote_candidate: None,
        address: None,
    };
    let data = || vec![SectionConfig::Application(DataChannel::default())];
    let mut alice = Negotiator::new(NegotiatorConfig::new(1, data()))?;
    let mut bob = Negotiator::new(NegotiatorConfig::new(2, data()))?;

    let offer = alice.create_offer(&transport(&here))?;
    alice.set_local(DescriptionKind::Offer, &offer)?;
    println!("--- offer\n{offer}");

    bob.set_remote(DescriptionKind::Offer, offer.as_bytes())?;
    let answer = bob.create_answer(&transport(&there))?;
    bob.set_local(DescriptionKind::Answer, &answer)?;
    println!("--- answer\n{answer}");
    alice.set_remote(DescriptionKind::Answer, answer.as_bytes())?;

    let text = "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host";
    let trickled = bob.add_remote_candidate_text(text, Some("0"), Some(0), Some("here"))?;
    if let Some(TrickledCandidate::Candidate(candidate)) = trickled.map(|it| it.candidate) {
        println!("--- candidate\n{candidate}");
    }
    println!("--- negotiated\n{:?}", bob.negotiated());
    Ok(())
}

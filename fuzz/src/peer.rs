//! A connection, and another side that signals and sends what the script wants.

use std::net::SocketAddr;
use std::time::Duration;

use floe_peer::{
    Config, Connection, DescriptionKind, DtlsIdentity, Event, Fingerprint, IceCandidate, Setup,
};
use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, Instant};
use floe_sdp::Session;
use floe_stun::{AttributeType as Type, Key, Username};

use crate::samples;
use crate::script::{Script, Writer, xor4};

const NOW: Instant = Instant::from_secs(1000);

fn local() -> SocketAddr {
    ([198, 51, 100, 5], 40000).into()
}

fn remotes() -> [SocketAddr; 3] {
    [
        ([203, 0, 113, 9], 5000).into(),
        ([203, 0, 113, 9], 5001).into(),
        ([192, 0, 2, 1], 3478).into(),
    ]
}

const OFFER: u8 = 0;
const ANSWER: u8 = 1;
const SET_REMOTE: u8 = 2;
const CANDIDATE: u8 = 3;
const ROLLBACK: u8 = 4;
const CHECK: u8 = 5;
const RESPONSE: u8 = 6;
const RAW: u8 = 7;
const TIMEOUT: u8 = 8;
const WAIT: u8 = 9;
const CLOSE: u8 = 10;

const KINDS: [DescriptionKind; 3] = [
    DescriptionKind::Offer,
    DescriptionKind::Pranswer,
    DescriptionKind::Answer,
];

/// Exchanges with a browser.
pub fn seeds() -> Vec<Vec<u8>> {
    let [offer, answer, ..] = samples::DESCRIPTIONS;
    let mapped = xor4([198, 51, 100, 5], 40000);
    let seen: &[(Type, &[u8])] = &[(Type::XOR_MAPPED_ADDRESS, &mapped)];
    let priority: (Type, &[u8]) = (Type::PRIORITY, &[0x6e, 0x7f, 1, 0xff]);
    let controlled: (Type, &[u8]) = (Type::ICE_CONTROLLED, &[1; 8]);
    let controlling: (Type, &[u8]) = (Type::ICE_CONTROLLING, &[1; 8]);
    let nominate: (Type, &[u8]) = (Type::USE_CANDIDATE, b"");
    let candidate = b"candidate:1 1 udp 2122260223 203.0.113.9 5000 typ host";
    let session = |mut script: Writer, check: &[(Type, &[u8])]| {
        script = script.raw(&[CANDIDATE, 0, 0]).block(candidate);
        script = script.raw(&[CHECK, 0, 1]).message(0x001, check);
        for _ in 0..4 {
            script = script.raw(&[TIMEOUT, RESPONSE, 0]).message(0x101, seen);
        }
        script = script.raw(&[RAW, 0]).block(b"hello");
        script = script.raw(&[TIMEOUT, WAIT, 8, TIMEOUT]);
        // An ICE restart, and the way back.
        script = script.raw(&[SET_REMOTE, 0]).block(offer).raw(&[ROLLBACK]);
        script = script.raw(&[OFFER, SET_REMOTE, 2]).block(answer);
        script = script.raw(&[CANDIDATE, 0, 0]).block(b"");
        script.raw(&[CLOSE, TIMEOUT]).end()
    };
    let offering = Writer::default().raw(&[OFFER, SET_REMOTE, 2]).block(answer);
    let mut seeds = vec![session(offering, &[priority, controlled])];
    for text in samples::DESCRIPTIONS {
        let answering = Writer::default().raw(&[SET_REMOTE, 0]).block(text);
        let answering = answering.raw(&[ANSWER]);
        seeds.push(session(answering, &[priority, controlling, nominate]));
    }
    seeds
}

/// What the other side must know.
struct Known {
    ufrag: String,
    remote_ufrag: String,
    local: Option<Key>,
    remote: Option<Key>,
}

/// What must hold of a script.
pub fn run(data: &[u8]) {
    play(data);
}

/// How many candidates were signalled, and pairs selected.
fn play(data: &[u8]) -> [u32; 2] {
    let mut seen = [0; 2];
    let mut config = Config::data_channel(DtlsIdentity {
        fingerprints: vec![Fingerprint::sha256([7; 32])],
        setup: Setup::Actpass,
        tls_id: None,
    });
    config.addresses = vec![local()];
    config.stun_servers = vec![remotes()[2]];
    let machine = Connection::new(config, [1; 32], NOW).expect("a good configuration");
    let mut peer = Driver::new(machine, NOW);
    let mut known = Known {
        ufrag: String::new(),
        remote_ufrag: String::new(),
        local: None,
        remote: None,
    };
    let mut script = Script::new(data);
    while !script.is_empty() {
        match script.byte() {
            OFFER => describe(&mut peer, DescriptionKind::Offer, &mut known),
            ANSWER => describe(&mut peer, DescriptionKind::Answer, &mut known),
            SET_REMOTE => {
                let kind = script.choose(&KINDS);
                let text = script.block();
                let before = state(&peer);
                let set = |peer: &mut Connection, now| peer.set_remote_description(now, kind, text);
                match peer.command(set) {
                    Ok(()) => {
                        known.remote = attribute(text, "ice-pwd").map(|pwd| Key::short_term(&pwd));
                        known.remote_ufrag = attribute(text, "ice-ufrag").unwrap_or_default();
                    }
                    Err(error) => assert_eq!(state(&peer), before, "{error:?}"),
                }
            }
            CANDIDATE => {
                let mid = script
                    .choose(&[Some("0"), Some("1"), None])
                    .map(String::from);
                let index = script.choose(&[Some(0), Some(1), None]);
                let candidate = IceCandidate {
                    candidate: String::from_utf8_lossy(script.block()).into(),
                    sdp_mid: mid,
                    sdp_mline_index: index,
                    username_fragment: None,
                };
                let before = state(&peer);
                let add = |peer: &mut Connection, now| peer.add_ice_candidate(now, &candidate);
                if let Err(error) = peer.command(add) {
                    assert_eq!(state(&peer), before, "{error:?}");
                }
            }
            ROLLBACK => {
                let before = state(&peer);
                if peer.command(|peer, _| peer.rollback()).is_err() {
                    assert_eq!(state(&peer), before);
                }
            }
            CHECK => {
                let path = FiveTuple::udp(local(), script.choose(&remotes()));
                let key = known.local.as_ref().filter(|_| script.byte() & 1 == 1);
                let username = format!("{}:{}", known.ufrag, known.remote_ufrag);
                let bytes = script.message(None, |builder| {
                    let builder = builder.with(&Username(&username));
                    match key {
                        Some(key) => builder.with_integrity(key).with_fingerprint(),
                        None => builder,
                    }
                });
                let _ = peer.input(path, &bytes);
            }
            RESPONSE => {
                let sent = peer.last_to(script.choose(&remotes())).cloned();
                let bytes = script.message(sent.as_ref(), |builder| match &known.remote {
                    Some(key) => builder.with_integrity(key).with_fingerprint(),
                    None => builder,
                });
                if let Some(sent) = sent {
                    let _ = peer.input(sent.path, &bytes);
                }
            }
            RAW => {
                let path = FiveTuple::udp(local(), script.choose(&remotes()));
                let _ = peer.input(path, script.block());
            }
            TIMEOUT => peer.timeout(),
            WAIT => {
                peer.now += Duration::from_millis(u64::from(script.byte()) * 250);
                peer.tell();
            }
            CLOSE => {
                let now = peer.now;
                peer.machine.close(now);
                peer.drain();
            }
            _ => {}
        }
        for event in peer.events.drain(..) {
            seen[1] += u32::from(matches!(event, Event::Selected(_)));
            if let Event::Candidate(candidate) = event {
                seen[0] += 1;
                let text = candidate.candidate;
                assert!(
                    text.parse::<floe_sdp::ice::TrickledCandidate>().is_ok(),
                    "{text}"
                );
            }
        }
        assert!(
            peer.machine.retained() <= 1024,
            "{} items",
            peer.machine.retained()
        );
    }
    seen
}

/// What a refusal must not change.
fn state(peer: &Driver<Connection>) -> String {
    let peer = &peer.machine;
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        peer.signaling_state(),
        peer.ice_state(),
        peer.role(),
        peer.retained(),
        peer.negotiated(),
    )
}

/// Makes a description and puts it into force.
fn describe(peer: &mut Driver<Connection>, kind: DescriptionKind, known: &mut Known) {
    let text = peer.command(|peer, now| match kind {
        DescriptionKind::Offer => peer.create_offer(now),
        _ => peer.create_answer(now),
    });
    if let Ok(text) = text {
        Session::parse(text.as_bytes()).expect("the own description can be read");
        known.ufrag = attribute(text.as_bytes(), "ice-ufrag").unwrap_or_default();
        known.local = attribute(text.as_bytes(), "ice-pwd").map(|pwd| Key::short_term(&pwd));
        peer.command(|peer, now| peer.set_local_description(now, kind, &text))
            .expect("the description that was just made");
    }
}

/// The first attribute of this name, in any section.
fn attribute(text: &[u8], name: &str) -> Option<String> {
    let session = Session::parse(text).ok()?;
    let of_session = session.attribute(name);
    let found = of_session.or_else(|| session.media().find_map(|media| media.attribute(name)))?;
    String::from_utf8(found.text()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_seeds_connect() {
        let seeds = super::seeds();
        assert_eq!(super::play(&seeds[0]), [2, 1]);
        assert_eq!(super::play(&seeds[1]), [2, 1]);
    }
}

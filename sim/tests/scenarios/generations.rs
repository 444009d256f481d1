//! Rows 21 to 23 between whole connections, with offers, answers and rollbacks.

use core::net::SocketAddr;
use std::sync::{Arc, Mutex};

use floe_peer::{CommandError, Error, Event, IceCandidate};
use floe_sansio::Instant;
use floe_sim::{Fate, Happening, Incident, PeerHost, Preset, Session, SessionConfig};

use crate::common::{Variation, for_each_variation, millis, secs};

/// A call between two connections, with media every 20 ms, that has been going on for a second. The
/// offering side is 0.
fn call(variation: Variation, sides: [Preset; 2]) -> Session {
    let (offerer, answerer) = (sides[variation.offerer], sides[variation.answerer()]);
    let mut config = SessionConfig::new(offerer, answerer);
    config.seed = variation.seed;
    config.loss = variation.loss();
    config.trickle = variation.trickle;
    config.round_trip = millis(40);
    config.signal_delay = millis(30);
    let mut session = config.start().unwrap();
    session.settle().unwrap();
    for side in [0, 1] {
        session.act(side, |peer, now| peer.set_media(now, Some(millis(20))));
    }
    session.wait(secs(1)).unwrap();
    session
}

fn peers(session: &Session) -> [&PeerHost; 2] {
    [0, 1].map(|side| session.peer(side).unwrap())
}

/// Both sides have restarted once and have selected a pair since then.
fn is_restarted(session: &Session, since: Instant) -> bool {
    peers(session).iter().all(|peer| {
        let selected =
            |(at, event): &(Instant, Event)| *at > since && matches!(event, Event::Selected(_));
        peer.connection().generation() == 1
            && peer.connection().selected().is_some()
            && peer.events().iter().any(selected)
    })
}

/// The restart comes to its end, and has cost no datagram of media.
fn assert_restarted(session: &mut Session, variation: Variation, since: Instant) {
    for _ in 0..600 {
        if is_restarted(session, since) {
            break;
        }
        session.wait(millis(50)).unwrap();
    }
    let states = peers(session).map(|peer| {
        let connection = peer.connection();
        (connection.generation(), connection.ice_state())
    });
    assert!(
        is_restarted(session, since),
        "it came to nothing: {states:?}"
    );
    session.wait(secs(2)).unwrap();
    for peer in peers(session) {
        assert_eq!(peer.report().error, None);
        assert_eq!(peer.connection().generation(), 1);
        let lost = |(_, event): &(Instant, Event)| matches!(event, Event::Disconnected);
        assert!(!peer.events().iter().any(lost), "no black-out");
        if variation.is_calm() {
            let heard = peer.media_heard().iter();
            let mut numbers: Vec<_> = heard.map(|&(_, number)| number).collect();
            numbers.sort_unstable();
            assert!(
                numbers.iter().copied().eq(0..numbers.len() as u32),
                "media was lost"
            );
        }
    }
    for side in [0, 1] {
        let before = peers(session)[side].media_heard().len();
        session.wait(secs(1)).unwrap();
        let heard = peers(session)[side].media_heard().len() - before;
        assert!(heard > 20, "side {side} has heard {heard} of 50");
    }
}

/// RFC 8839 §4.4.3, RFC 9429 §4.1.10.2: two offers that restart ICE cross. One is rolled back, and one
/// restart is made of both.
#[test]
fn scenario_21_glare_of_restart_offers() {
    for sides in [
        [Preset::Open, Preset::Open],
        [Preset::FullCone, Preset::PortRestricted],
        [Preset::Symmetric, Preset::Symmetric],
    ] {
        for_each_variation(|variation| {
            let mut session = call(variation, sides);
            let since = session.now();
            session.act(0, PeerHost::restart);
            // At the same time, or while the offer of the other one is under way.
            if variation.seed % 2 == 0 {
                session.wait(millis(15)).unwrap();
            }
            session.act(1, PeerHost::restart);
            assert_restarted(&mut session, variation, since);
        });
    }
}

/// What a message has as the user name fragment of its sender.
fn ufrag(text: &str) -> Option<String> {
    let line = text.lines().find_map(|it| it.strip_prefix("a=ice-ufrag:"));
    line.map(Into::into)
}

/// A candidate of the generation with this user name fragment.
fn candidate(address: SocketAddr, ufrag: &str) -> IceCandidate {
    let (ip, port) = (address.ip(), address.port());
    IceCandidate {
        // One that is checked at once.
        candidate: format!(
            "candidate:9 1 udp 2130706431 {ip} {port} typ srflx raddr 0.0.0.0 rport 9"
        ),
        sdp_mid: None,
        sdp_mline_index: Some(0),
        username_fragment: Some(ufrag.into()),
    }
}

/// How many datagrams were sent to an address since the log is on.
fn sent_to(session: &Session, address: SocketAddr) -> usize {
    let entries = session.log().entries().iter();
    let sent = entries.filter(|entry| {
        matches!(entry.what, Happening::Packet { incident: Incident::Sent, destination, .. }
            if destination == address)
    });
    sent.count()
}

/// RFC 8838 §11, RFC 8839 §5.4: a candidate of a generation that is over is dropped and counted, and
/// that is all.
#[test]
fn scenario_22_candidate_of_the_old_generation() {
    for_each_variation(|variation| {
        let mut session = call(variation, [Preset::Open, Preset::Open]);
        let since = session.now();
        // What the answering side was called before is in its answer, which came before the tap: so the
        // offering side is restarted twice.
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let answers = Arc::clone(&seen);
        session
            .simulation_mut()
            .set_message_tap(move |_, _, message| {
                if message.text.starts_with("answer") {
                    answers.lock().unwrap().extend(ufrag(&message.text));
                }
                Fate::Pass
            });
        session.act(0, PeerHost::restart);
        assert_restarted(&mut session, variation, since);
        session.act(0, PeerHost::restart);
        session.wait(secs(8)).unwrap();
        let old = seen.lock().unwrap()[0].clone();
        session.simulation_mut().log_mut().record(true);
        let address = "192.0.2.99:9".parse().unwrap();
        let taken = session.act(0, |peer, now| {
            let before = peer.connection().retained();
            let stale = peer.connection().stale_candidates();
            let late = candidate(address, &old);
            let taken = peer.command(now, |connection| connection.add_ice_candidate(now, &late));
            assert_eq!(peer.connection().retained(), before);
            assert_eq!(peer.connection().stale_candidates(), stale + 1);
            taken
        });
        assert_eq!(taken, Some(Ok(())));
        session.wait(secs(2)).unwrap();
        assert_eq!(sent_to(&session, address), 0);
    });
}

/// RFC 8838 §11: candidates of the next generation come before its description. They are held, not too
/// many of them, and used as soon as the description has come.
#[test]
fn scenario_23_candidate_of_the_next_generation() {
    for_each_variation(|variation| {
        let mut session = call(variation, [Preset::Open, Preset::Open]);
        let since = session.now();
        let next: Arc<Mutex<Option<String>>> = Arc::default();
        let answer = Arc::clone(&next);
        session
            .simulation_mut()
            .set_message_tap(move |_, _, message| {
                if message.text.starts_with("answer") {
                    *answer.lock().unwrap() = ufrag(&message.text);
                    Fate::Hold(millis(400))
                } else {
                    Fate::Pass
                }
            });
        session.act(0, PeerHost::restart);
        // The end of candidates comes early too, but later than this.
        session.wait(millis(60)).unwrap();
        let next = next
            .lock()
            .unwrap()
            .clone()
            .expect("the answer is under way");
        session.simulation_mut().log_mut().record(true);
        let address = "192.0.2.77:9".parse().unwrap();
        session.act(0, |peer, now| {
            let mut add = |candidate: &IceCandidate| {
                peer.command(now, |connection| {
                    connection.add_ice_candidate(now, candidate)
                })
            };
            assert_eq!(add(&candidate(address, &next)), Ok(()));
            // Of a generation that will never be described.
            let mut refused = 0;
            for _ in 0..1000 {
                let result = add(&candidate(address, "never"));
                refused += usize::from(result == Err(Error::Ice(CommandError::Capacity)));
            }
            assert!((850..1000).contains(&refused), "{refused} of 1000 refused");
        });
        session.wait(millis(200)).unwrap();
        assert_eq!(sent_to(&session, address), 0, "not before its description");
        assert_restarted(&mut session, variation, since);
        if variation.is_calm() {
            assert!(sent_to(&session, address) > 0, "it was not used");
        }
    });
}

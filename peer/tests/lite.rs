//! Connections of lite agents (RFC 8839 §4.4.1.3, §4.4.2.2, §4.4.3.2).

mod common;

use std::time::Duration;

use common::*;
use floe_peer::{Config, Connection, Event, Role, State};

fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    let lines = text.lines();
    lines.filter(|line| line.starts_with(start)).collect()
}

fn side(seed: u8, lite: bool, addresses: &[&str]) -> Connection {
    let mut config = Config::data_channel(identity(seed));
    config.addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
    config.ice.lite = lite;
    Connection::new(config, [seed; 32], NOW).unwrap()
}

/// All candidates in the descriptions.
fn pair_of(peers: [Connection; 2]) -> Pair {
    let mut pair = Pair::of(peers);
    pair.trickle = false;
    for peer in &mut pair.peers {
        peer.gather(NOW);
    }
    pair
}

const BLIND: &str = "198.51.100.2:9000";

/// While checks run, offers and answers of a lite agent have all its candidates; later that of the
/// pair, which is their default destination.
///
/// req: ICESDP-4.4.1.3-1, ICESDP-4.4.1.3-4
#[test]
fn a_lite_agent_lists_all_candidates_and_after_nomination_its_own_of_the_pair() {
    let mut pair = pair_of([side(1, false, &[HERE]), side(2, true, &[THERE, BLIND])]);
    for from in [0, 1, 0] {
        let texts = pair.exchange(from);
        let of_lite = if from == 1 { texts.0 } else { texts.1 };
        assert!(of_lite.contains("a=ice-lite"));
        assert_eq!(lines(&of_lite, "a=candidate").len(), 2, "{of_lite}");
    }
    pair.settle();
    pair.assert_works();
    assert_eq!(pair.peers[1].role(), Role::Controlled);
    for from in [0, 1] {
        let texts = pair.exchange(from);
        let of_lite = if from == 1 { texts.0 } else { texts.1 };
        let listed = lines(&of_lite, "a=candidate");
        assert_eq!(listed.len(), 1);
        assert!(listed[0].contains(" 192.0.2.2 2000 "));
        assert_eq!(lines(&of_lite, "c="), ["c=IN IP4 192.0.2.2"]);
        assert!(lines(&of_lite, "m=")[0].contains(" 2000 "));
        assert!(!of_lite.contains("remote-candidates"));
    }
    pair.assert_works();
}

/// Two lite agents have no checks: descriptions select, and the offers of the controlling one say
/// what.
///
/// req: ICESDP-4.4.1.3-5
#[test]
fn of_two_lite_agents_the_controlling_one_names_the_remote_candidate() {
    let mut pair = pair_of([side(1, true, &[HERE]), side(2, true, &[THERE])]);
    pair.exchange(0);
    pair.settle();
    pair.assert_works();
    let (offer, answer) = pair.exchange(0);
    let named = lines(&offer, "a=remote-candidates");
    assert_eq!(named, ["a=remote-candidates:1 192.0.2.2 2000"]);
    assert!(!answer.contains("remote-candidates"));
    let (offer, _) = pair.exchange(1);
    assert!(!offer.contains("remote-candidates"));
}

/// Both believe that they control. Whose offer comes first does, and the other one learns it from the
/// candidate which that offer names.
///
/// req: ICESDP-4.4.2.2-1
#[test]
fn of_two_lite_agents_that_control_the_answerer_gives_way() {
    let mut pair = pair_of([side(1, true, &[HERE]), side(2, true, &[THERE])]);
    pair.exchange(0);
    pair.settle();
    assert_eq!(pair.peers[0].role(), Role::Controlling);
    // The other side's offer, as it would be if that believed the same.
    let now = pair.now;
    let offer = pair.peers[1].create_offer(now).unwrap();
    pair.peers[1]
        .set_local_description(now, Offer, &offer)
        .unwrap();
    let claims = offer.replace("a=mid:0", "a=mid:0\r\na=remote-candidates:1 192.0.2.1 1000");
    // Without the claim nothing changes.
    for (text, role) in [(&offer, Role::Controlling), (&claims, Role::Controlled)] {
        pair.peers[0]
            .set_remote_description(now, Offer, text.as_bytes())
            .unwrap();
        assert_eq!(pair.peers[0].role(), role);
    }
    let answer = pair.answer(0);
    assert!(!answer.contains("remote-candidates"));
    pair.drain();
    assert!(pair.events[0].contains(&Event::RoleChanged(Role::Controlled)));
    assert_eq!(pair.peers[0].ice_state(), State::Completed);
    pair.assert_works();
}

/// A restart gives a lite agent empty lists that run, and data goes on over the old pair.
///
/// req: ICESDP-4.4.3.2-1, ICESDP-4.4.1.3-3
#[test]
fn a_lite_agent_restarts_and_keeps_the_old_pair_until_it_has_a_new_one() {
    for offerer in [0, 1] {
        let mut pair = pair_of([side(1, false, &[HERE]), side(2, true, &[THERE])]);
        let (first, _) = pair.exchange(offerer);
        pair.settle();
        pair.assert_works();
        pair.peers[offerer].restart_ice(pair.now).unwrap();
        // Its checks are lost for a while.
        pair.loses = |_, bytes| floe_stun::Protocol::of(bytes) == floe_stun::Protocol::Stun;
        let (offer, _) = pair.exchange(offerer);
        assert_ne!(lines(&first, "a=ice-ufrag"), lines(&offer, "a=ice-ufrag"));
        assert_eq!(pair.peers[1].ice_state(), State::Checking);
        assert_eq!(pair.peers[1].selected(), None);
        for data in &mut pair.data {
            data.clear();
        }
        for _ in 0..10 {
            pair.send(0, b"over");
            pair.send(1, b"still");
            pair.run_for(Duration::from_millis(50));
        }
        assert_eq!([pair.data[0].len(), pair.data[1].len()], [10, 10]);
        assert_eq!(pair.peers[1].ice_state(), State::Checking);
        pair.loses = |_, _| false;
        pair.settle();
        pair.assert_works();
    }
}

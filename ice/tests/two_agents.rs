//! Two agents in one room: no NAT, no loss, a fixed delay.

mod room;

use core::time::Duration;

use floe_ice::{CandidateKind, Config, Event, FailureCause, Role, State};
use room::Room;

fn events(room: &Room, side: usize) -> Vec<&Event> {
    room.events[side].iter().map(|(_, event)| event).collect()
}

#[test]
fn two_hosts_select_their_host_pair_and_exchange_data() {
    let mut room = Room::hosts();
    room.exchange(0, 1);
    room.exchange(1, 0);
    room.run(Duration::from_secs(2));
    for side in [0, 1] {
        assert_eq!(room.agents[side].state(), State::Completed);
        let pair = room.agents[side].selected().unwrap();
        assert_eq!(pair.local.kind, CandidateKind::Host);
        assert_eq!(pair.remote.kind, CandidateKind::Host);
        assert_eq!(pair.remote.address, room.addresses[1 - side]);
    }
    assert!(room.send(0, b"hello"));
    room.run(Duration::from_secs(1));
    assert_eq!(room.data[1], [b"hello".to_vec()]);
}

/// req: ICE-8.1.1-1, ICE-7.1.2-2
#[test]
fn exactly_one_side_nominates_and_each_side_selects_once() {
    let mut room = Room::hosts();
    room.exchange(0, 1);
    room.exchange(1, 0);
    room.run(Duration::from_secs(20));
    for side in [0, 1] {
        let selected = events(&room, side)
            .iter()
            .filter(|event| matches!(event, Event::Selected(_)))
            .count();
        assert_eq!(selected, 1);
    }
    assert!(room.nominations[0] >= 1);
    assert_eq!(room.nominations[1], 0);
}

/// req: ICE-7.3-4, ICE-7.3-5
#[test]
fn a_check_before_the_answer_is_answered_at_once_and_triggers_one_later() {
    let mut room = Room::hosts();
    // Side 1 knows side 0; side 0 knows nothing yet.
    room.exchange(0, 1);
    room.run(Duration::from_millis(500));
    assert_eq!(room.agents[1].state(), State::Connected);
    assert_eq!(room.agents[0].state(), State::New);
    // Credentials without a single candidate: the triggered check is enough.
    room.exchange_credentials(1, 0);
    assert!(
        room.in_flight() > 0,
        "the triggered check leaves in the same poll"
    );
    room.run(Duration::from_secs(1));
    assert_eq!(room.agents[0].state(), State::Completed);
    let pair = room.agents[0].selected().unwrap();
    assert_eq!(pair.remote.kind, CandidateKind::PeerReflexive);
}

/// req: ICE-7.3.1.1-2, ICE-7.2.5.1-1, ICE-7.2.5.1-4
#[test]
fn a_role_conflict_is_resolved_by_one_switch() {
    for role in [Role::Controlling, Role::Controlled] {
        for seed in 0..16 {
            let mut room = Room::with_roles(role, role, seed);
            room.exchange(0, 1);
            room.exchange(1, 0);
            room.run(Duration::from_secs(3));
            assert_ne!(room.agents[0].role(), room.agents[1].role());
            let switches = [0, 1].map(|side| {
                events(&room, side)
                    .iter()
                    .filter(|event| matches!(event, Event::RoleChanged(_)))
                    .count()
            });
            assert_eq!(switches[0] + switches[1], 1, "seed {seed}");
            for side in [0, 1] {
                assert_eq!(room.agents[side].state(), State::Completed, "seed {seed}");
            }
        }
    }
}

/// req: PAC-4-1, PAC-4-3, PAC-4-4
#[test]
fn without_candidates_it_fails_when_the_pac_timer_ends_and_says_why() {
    let mut room = Room::hosts();
    room.exchange_credentials(1, 0);
    room.end_of_candidates(1, 0);
    room.run(Duration::from_millis(39_400));
    assert_eq!(room.agents[0].state(), State::Checking);
    room.run(Duration::from_millis(200));
    let cause = FailureCause::NoRemoteCandidates;
    assert_eq!(room.agents[0].state(), State::Failed(cause));
    assert_eq!(room.agents[0].poll_timeout(), None);
}

#[test]
fn a_silent_peer_fails_the_checks() {
    let mut room = Room::hosts();
    room.exchange(1, 0);
    room.loss = 1000;
    room.run(Duration::from_secs(60));
    assert_eq!(
        room.agents[0].state(),
        State::Failed(FailureCause::ChecksFailed)
    );
}

/// req: CONSENT-5.1-2, CONSENT-5.1-4, CONSENT-5.1-5
#[test]
fn consent_is_asked_every_five_seconds_or_so_and_lasts_thirty() {
    let mut room = Room::hosts();
    room.exchange(0, 1);
    room.exchange(1, 0);
    room.run(Duration::from_secs(100));
    let checks = room.requests[0];
    assert!((16..=30).contains(&checks), "{checks} checks in 100 s");
    room.loss = 1000;
    let silent = room.now;
    room.run(Duration::from_secs(60));
    let cause = FailureCause::ConsentExpired;
    assert_eq!(room.agents[0].state(), State::Failed(cause));
    let (failed_at, _) = room.events[0].last().unwrap();
    let elapsed = *failed_at - silent;
    assert!(elapsed <= Duration::from_secs(30) && elapsed > Duration::from_secs(23));
    assert!(!room.send(0, b"too late"));
}

/// req: ICE-7.2.5.2.1-1, ICE-7.2.5.2.1-2
#[test]
fn an_answer_from_another_address_fails_the_pair() {
    let mut room = Room::hosts();
    room.exchange(1, 0);
    room.exchange_credentials(0, 1);
    room.spoof_answers = true;
    room.run(Duration::from_secs(1));
    assert_eq!(room.agents[0].state(), State::Checking);
    assert!(room.agents[0].selected().is_none());
}

/// req: ICE-7.2.4-2, ICE-7.3-7
#[test]
fn every_check_and_answer_has_a_fingerprint_and_integrity() {
    let mut room = Room::hosts();
    room.exchange(0, 1);
    room.exchange(1, 0);
    room.run(Duration::from_secs(2));
    assert!(room.messages.len() >= 6);
    for bytes in &room.messages {
        let message = floe_stun::Message::parse(bytes).unwrap();
        assert!(message.verify_fingerprint());
        assert!(message.integrity().is_some());
    }
}

#[test]
fn data_from_an_unproven_address_is_dropped() {
    let mut room = Room::hosts();
    let stranger = "192.0.2.99:9".parse().unwrap();
    assert!(!room.deliver_raw(0, stranger, b"data"));
}

#[test]
fn the_relay_policy_announces_relayed_candidates_only() {
    let mut config = Config::new(Role::Controlling);
    config.policy = floe_ice::Policy::Relay;
    let mut room = Room::hosts_with(config, Config::new(Role::Controlled), 1);
    room.exchange(0, 1);
    assert!(
        !events(&room, 0)
            .iter()
            .any(|event| matches!(event, Event::LocalCandidate(_)))
    );
}

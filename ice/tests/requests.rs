//! Checks that the agent receives (RFC 8445 §7.3).

mod puppet;

use floe_ice::{CandidateKind, Config, Event, Role, State};
use floe_sansio::{DropReason, HEADROOM, Input};
use floe_stun::{
    AttributeType, Class, IceControlling, Key, Message, Priority, StatusCode, UnknownAttributes,
    Username, XorMappedAddress,
};
use puppet::{
    CONTROLLING, NOMINATING, Puppet, Says, addr, candidate, home, host, millis, other, peer,
};

/// A check with this USERNAME, signed with this key, and all else as it should be.
fn check_as(puppet: &mut Puppet, name: Option<&str>, key: Option<&Key>) -> Vec<u8> {
    let id = puppet.id();
    Puppet::build(Class::Request, id, |builder| {
        let builder = builder
            .with_some(name.map(Username).as_ref())
            .with(&Priority(1))
            .with(&IceControlling(7));
        match key {
            Some(key) => builder.with_integrity(key),
            None => builder,
        }
    })
}

fn switches(puppet: &Puppet) -> usize {
    let is_switch = |event: &&Event| matches!(event, Event::RoleChanged(_));
    puppet.events.iter().filter(is_switch).count()
}

/// req: ICE-7.3-1, ICE-5.3-3, ICE-7.3.1.2-1
#[test]
fn every_signalled_address_answers_from_itself() {
    let second = addr("192.0.2.9:1001");
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home(), second]);
    for base in [home(), second] {
        let bytes = puppet.check(CONTROLLING);
        puppet.answers.clear();
        let _ = puppet.deliver_to(base, peer(), &bytes);
        let path = puppet.answers[0].path;
        assert_eq!((path.local, path.remote), (base, peer()));
        let message = Message::parse(&puppet.answers[0].payload).unwrap();
        assert_eq!(message.get().unwrap(), Some(XorMappedAddress(peer())));
    }
}

/// req: ICE-7.3-2, ICE-7.3-7, ICE-7.3-6
#[test]
fn an_answer_is_signed_and_fingerprinted_and_redirects_nobody() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    puppet.accepted_check(peer(), CONTROLLING);
    let message = Message::parse(&puppet.answers[0].payload).unwrap();
    assert!(message.verify(&puppet.key(), message.integrity().unwrap()));
    assert!(message.verify_fingerprint());
    let kinds: Vec<_> = message.attributes().map(|a| a.kind).collect();
    assert_eq!(kinds, [AttributeType::XOR_MAPPED_ADDRESS]);
}

/// req: ICE-7.3-3, ICE-7.3-2
#[test]
fn a_user_name_is_two_parts_of_which_the_first_is_ours() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    let own = puppet.agent.credentials().ufrag().to_string();
    let key = puppet.key();
    let denied = Some(StatusCode::UNAUTHENTICATED);
    for (name, wanted) in [
        (format!("{own}:peer"), None),
        (format!("{own}:anyone"), None),
        (own.clone(), denied),
        (format!("peer:{own}"), denied),
        (format!("{own}:a:b"), denied),
        (format!("{own}x:peer"), denied),
        (":".into(), denied),
    ] {
        let bytes = check_as(&mut puppet, Some(&name), Some(&key));
        puppet.answers.clear();
        assert_eq!(puppet.deliver(peer(), &bytes), Input::Handled);
        assert_eq!(puppet.answer().1, wanted, "{name}");
    }
}

/// req: ICE-7.3-2
#[test]
fn requests_without_credentials_get_400_and_with_wrong_ones_401_unsigned() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    let name = format!("{}:peer", puppet.agent.credentials().ufrag());
    let key = puppet.key();
    let wrong = Key::short_term("wrong");
    for (name, key, code) in [
        (None, Some(&key), StatusCode::BAD_REQUEST),
        (Some(&*name), None, StatusCode::BAD_REQUEST),
        (Some(&*name), Some(&wrong), StatusCode::UNAUTHENTICATED),
    ] {
        let bytes = check_as(&mut puppet, name, key);
        puppet.answers.clear();
        let _ = puppet.deliver(peer(), &bytes);
        assert_eq!(puppet.answer(), (Class::Error, Some(code)));
        let message = Message::parse(&puppet.answers[0].payload).unwrap();
        assert_eq!(message.integrity(), None);
    }
}

/// req: ICE-7-1
#[test]
fn an_unknown_attribute_that_must_be_understood_gets_a_signed_420() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    let name = format!("{}:peer", puppet.agent.credentials().ufrag());
    let (id, key) = (puppet.id(), puppet.key());
    let bytes = Puppet::build(Class::Request, id, |builder| {
        builder
            .with(&Username(&name))
            .with(&Priority(1))
            .with_raw(AttributeType(0x7001), b"")
            .with_integrity(&key)
    });
    let _ = puppet.deliver(peer(), &bytes);
    assert_eq!(puppet.answer().1, Some(StatusCode::UNKNOWN_ATTRIBUTE));
    let message = Message::parse(&puppet.answers[0].payload).unwrap();
    assert!(message.verify(&key, message.integrity().unwrap()));
    let unknown = message.get::<UnknownAttributes<'_>>().unwrap().unwrap();
    assert!(unknown.iter().eq([AttributeType(0x7001)]));
}

/// req: ICE-7.3-7
#[test]
fn a_request_without_fingerprint_is_dropped_in_silence() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    let bytes = puppet.check(CONTROLLING);
    // FINGERPRINT is the last attribute, 8 bytes.
    let mut bytes = bytes[..bytes.len() - 8].to_vec();
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let before = puppet.state();
    assert!(matches!(puppet.deliver(peer(), &bytes), Input::Dropped(_)));
    assert!(puppet.answers.is_empty());
    assert_eq!(puppet.state(), before);
}

/// Scenario 5.
///
/// req: ICE-7.3-4, ICE-7.3-5
#[test]
fn a_check_before_the_peer_is_known_is_answered_and_triggers_one_as_soon_as_it_is() {
    let mut puppet = Puppet::new(Role::Controlled);
    puppet.accepted_check(peer(), CONTROLLING);
    assert!(puppet.requests.is_empty());
    puppet.sleep(millis(300));
    puppet.introduce();
    assert_eq!(puppet.requests.len(), 1);
    assert_eq!(puppet.requests[0].path.remote, peer());
}

/// Scenario 14.
///
/// req: ICE-7.3.1.5-1
#[test]
fn a_nomination_before_the_peer_is_known_counts_after_the_own_check() {
    let mut puppet = Puppet::new(Role::Controlled);
    puppet.accepted_check(peer(), CONTROLLING);
    puppet.accepted_check(peer(), NOMINATING);
    puppet.introduce();
    let sent = puppet.next_check(peer());
    assert_eq!(puppet.agent.selected(), None);
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Completed);
}

#[test]
fn early_checks_are_remembered_up_to_a_limit_and_then_dropped() {
    let mut config = Config::new(Role::Controlled);
    config.limits.early_checks = 2;
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.accepted_check(addr("198.51.100.2:1"), CONTROLLING);
    puppet.accepted_check(addr("198.51.100.2:2"), CONTROLLING);
    puppet.accepted_check(addr("198.51.100.2:2"), NOMINATING);
    let bytes = puppet.check(CONTROLLING);
    let before = puppet.state();
    let input = puppet.deliver(addr("198.51.100.2:3"), &bytes);
    assert_eq!(input, Input::Dropped(DropReason::Capacity));
    assert_eq!(puppet.state(), before);
}

/// The four rows of the table, and equality.
///
/// req: ICE-7.3.1.1-2
#[test]
fn the_larger_tie_breaker_controls() {
    use Role::{Controlled, Controlling};
    let own = {
        let mut puppet = Puppet::introduced(Controlling, &[host(peer())]);
        // Seeded: the same in every agent of this test.
        puppet.next_check(peer()).tie_breaker()
    };
    for (role, theirs, tie_breaker, conflict, after) in [
        (Controlling, Controlling, own - 1, true, Controlling),
        (Controlling, Controlling, own, true, Controlling),
        (Controlling, Controlling, own + 1, false, Controlled),
        (Controlled, Controlled, own - 1, false, Controlling),
        (Controlled, Controlled, own, false, Controlling),
        (Controlled, Controlled, own + 1, true, Controlled),
        (Controlling, Controlled, own + 1, false, Controlling),
        (Controlled, Controlling, own - 1, false, Controlled),
    ] {
        let mut puppet = Puppet::introduced(role, &[]);
        let says = Says {
            role: theirs,
            tie_breaker,
            ..CONTROLLING
        };
        let bytes = puppet.check(says);
        let _ = puppet.deliver(peer(), &bytes);
        let code = conflict.then_some(StatusCode::ROLE_CONFLICT);
        assert_eq!(puppet.answer().1, code, "{role:?} {theirs:?}");
        assert_eq!(puppet.agent.role(), after, "{role:?} {theirs:?}");
        assert_eq!(switches(&puppet), usize::from(after != role));
        let message = Message::parse(&puppet.answers[0].payload).unwrap();
        assert!(message.verify(&puppet.key(), message.integrity().unwrap()));
    }
}

/// What is answered with 487 is as if it had not come.
///
/// req: ICE-7.3.1.1-2
#[test]
fn a_request_that_is_answered_with_487_triggers_nothing_and_opens_no_path() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[]);
    let bytes = puppet.check(Says {
        tie_breaker: 0,
        ..CONTROLLING
    });
    let before = puppet.state();
    let _ = puppet.deliver(peer(), &bytes);
    assert_eq!(puppet.answer().1, Some(StatusCode::ROLE_CONFLICT));
    assert_eq!(puppet.state(), before);
}

/// req: ICE-7.3.1.3-1, ICE-7.3.1.4-3
#[test]
fn a_check_from_an_unknown_address_makes_a_candidate_and_triggers_a_check() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    puppet.sleep(millis(100));
    puppet.accepted_check(peer(), CONTROLLING);
    let sent = puppet.requests.pop().expect("in the same slot");
    assert_eq!(sent.path.remote, peer());
    puppet.accept(&sent);
    puppet.accepted_check(peer(), NOMINATING);
    let selected = puppet.agent.selected().unwrap();
    assert_eq!(selected.remote.kind, CandidateKind::PeerReflexive);
    assert_eq!(selected.remote.address, peer());
}

/// req: ICE-7.3.1.3-2
#[test]
fn a_peer_reflexive_candidate_is_paired_with_the_address_it_was_found_at_only() {
    let second = addr("192.0.2.9:1001");
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home(), second]);
    puppet.introduce();
    puppet.accepted_check(peer(), CONTROLLING);
    puppet.sleep(millis(1000));
    assert!(!puppet.requests.is_empty());
    assert!(puppet.requests.iter().all(|sent| sent.path.local == home()));
}

/// req: ICE-7.3.1.4-1
#[test]
fn a_check_on_a_pair_in_progress_brings_the_next_one_forward() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let first = puppet.next_check(peer());
    // The sixth repetition comes 3.2 s after the fifth.
    puppet.sleep(millis(3200));
    puppet.requests.clear();
    puppet.accepted_check(peer(), CONTROLLING);
    assert_eq!(puppet.requests.len(), 1);
    // The cancelled check is still good for an answer.
    puppet.accept(&first);
    assert_eq!(puppet.agent.state(), State::Connected);
}

/// All hangs on it: it is not left to an interval that has grown meanwhile.
#[test]
fn what_the_peer_nominates_is_repeated_as_if_its_checks_had_just_begun() {
    for (pause, grown) in [(50, 200), (650, 800), (1450, 1600), (1550, 3200), (3300, 0)] {
        for (says, interval) in [(NOMINATING, 100), (CONTROLLING, grown)] {
            let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
            puppet.sleep(millis(pause));
            puppet.requests.clear();
            puppet.accepted_check(peer(), says);
            let in_return = puppet.next_check(peer());
            let again = puppet.answering(millis(3500), |_| false);
            let again = again.first().map(|again| again.at - in_return.at);
            // Of seven checks the last one is not repeated.
            let wanted = (interval > 0).then(|| millis(interval));
            assert_eq!(again, wanted, "{pause}");
        }
    }
}

/// req: ICE-7.3.1.4-2, ICE-7.3.1.4-5
#[test]
fn a_check_on_a_failed_pair_gives_it_another_chance() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
    puppet.sleep(millis(1000));
    puppet.requests.clear();
    puppet.accepted_check(peer(), CONTROLLING);
    let sent = puppet.requests.pop().unwrap();
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Connected);
}

/// req: ICE-7.3.1.4-4
#[test]
fn a_check_on_a_pair_that_succeeded_triggers_nothing() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.requests.clear();
    puppet.accepted_check(peer(), CONTROLLING);
    puppet.sleep(millis(1000));
    assert!(puppet.requests.is_empty());
}

#[test]
fn a_peer_that_only_keeps_checking_gets_a_bounded_number_of_checks() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    for _ in 0..500 {
        puppet.accepted_check(peer(), CONTROLLING);
        puppet.sleep(millis(10));
    }
    assert!(puppet.requests.len() <= 14, "{}", puppet.requests.len());
}

/// Scenario 6, over every state that the pair can be in.
///
/// req: TRICKLE-11-2
#[test]
fn a_candidate_that_was_found_before_it_was_signalled_is_upgraded_in_place() {
    for stage in 0..3 {
        let mut puppet = Puppet::introduced(Role::Controlled, &[]);
        puppet.accepted_check(peer(), CONTROLLING);
        let sent = puppet.next_check(peer());
        if stage > 0 {
            puppet.accept(&sent);
        }
        if stage > 1 {
            puppet.accepted_check(peer(), NOMINATING);
        }
        let state = puppet.agent.state();
        puppet.add(candidate(CandidateKind::ServerReflexive, peer()));
        assert_eq!(puppet.agent.state(), state);
        if stage == 0 {
            puppet.accept(&sent);
        }
        puppet.accepted_check(peer(), NOMINATING);
        let selected = puppet.agent.selected().unwrap();
        assert_eq!(selected.remote.kind, CandidateKind::ServerReflexive);
        let first = |event: &&Event| matches!(event, Event::Connected(_) | Event::Selected(_));
        assert_eq!(puppet.events.iter().filter(first).count(), 2, "one of each");
    }
}

#[test]
fn an_upgraded_candidate_is_paired_with_the_other_addresses_too() {
    let second = addr("192.0.2.9:1001");
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home(), second]);
    puppet.introduce();
    puppet.accepted_check(peer(), CONTROLLING);
    puppet.add(host(peer()));
    puppet.sleep(millis(100));
    assert!(puppet.requests.iter().any(|sent| sent.path.local == second));
}

/// Scenario 43: the peer claims to be where a victim is.
///
/// req: CONSENT-5.1-1
#[test]
fn data_goes_to_no_address_without_an_own_check_that_was_answered() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    puppet.accepted_check(other(), NOMINATING);
    assert_eq!(puppet.target(), None);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.accepted_check(other(), NOMINATING);
    assert_eq!(puppet.target().unwrap().remote, peer());
    assert_eq!(puppet.agent.selected(), None);
}

/// req: ICE-12.2-1
#[test]
fn data_is_taken_from_where_the_peer_has_shown_itself() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    assert_eq!(
        puppet.deliver(peer(), b"data"),
        Input::Dropped(DropReason::UnknownRemote)
    );
    puppet.accepted_check(peer(), CONTROLLING);
    let Input::Data(route) = puppet.deliver(peer(), b"data") else {
        panic!("no data");
    };
    assert_eq!(route.range(), HEADROOM..HEADROOM + 4);
    assert_eq!(route.path.remote, peer());
}

#[test]
fn a_peer_at_many_addresses_is_still_heard_at_the_next_one() {
    let mut puppet = Puppet::connected(Role::Controlled);
    for port in 1..=250 {
        let from = addr(&format!("203.0.113.5:{port}"));
        puppet.accepted_check(from, CONTROLLING);
        assert!(matches!(puppet.deliver(from, b"data"), Input::Data(_)));
    }
    assert!(matches!(puppet.deliver(peer(), b"data"), Input::Data(_)));
    assert!(puppet.agent.retained() <= 400);
}

/// Scenario 41, from a peer that knows the credentials.
#[test]
fn an_authentic_flood_holds_a_bounded_number_of_things() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    for port in 1..=3000 {
        let bytes = puppet.check(CONTROLLING);
        let _ = puppet.deliver(addr(&format!("203.0.113.5:{port}")), &bytes);
        puppet.sleep(millis(1));
    }
    assert!(
        puppet.agent.retained() < 2000,
        "{}",
        puppet.agent.retained()
    );
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.accepted_check(peer(), NOMINATING);
    assert_eq!(puppet.agent.state(), State::Completed);
}

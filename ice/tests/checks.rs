//! Checks that the agent sends, and what their answers do (RFC 8445 §6.1.4, §7.1, §7.2, §14.2).

mod puppet;

use floe_ice::{
    CandidateKind, Config, Event, FailureCause, RemoteParameters, Role, State, candidate_priority,
};
use floe_sansio::{DropReason, Input};
use floe_stun::{AttributeType, Class, Priority, StatusCode, Username};
use puppet::{CONTROLLED, PEER_PASSWORD, Puppet, addr, candidate, home, host, millis, other, peer};

/// req: ICE-7.1.3-1, ICE-7.1.3-2
#[test]
fn every_check_tells_the_role() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut puppet = Puppet::introduced(role, &[host(peer())]);
        assert_eq!(puppet.next_check(peer()).role(), role);
    }
}

/// req: ICE-7.1.1-1
#[test]
fn the_priority_in_a_check_is_that_of_a_peer_reflexive_candidate_of_the_base() {
    let second = addr("192.0.2.9:1001");
    let mut puppet = Puppet::with(Config::new(Role::Controlling), &[home(), second]);
    puppet.add(host(peer()));
    puppet.introduce();
    for (base, preference) in [(home(), 65535), (second, 65534)] {
        let sent = puppet.next_check_where(|sent| sent.path.local == base);
        let wanted = candidate_priority(CandidateKind::PeerReflexive, preference, 1);
        assert_eq!(sent.message().get().unwrap(), Some(Priority(wanted)));
    }
}

/// req: ICE-7.2.2-1, ICE-7.2.4-2
#[test]
fn a_check_is_signed_with_the_peers_password_and_names_both_sides() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let sent = puppet.next_check(peer());
    let message = sent.message();
    let name = format!("peer:{}", puppet.agent.credentials().ufrag());
    assert_eq!(message.get().unwrap(), Some(Username(&name)));
    assert!(message.verify(&Puppet::peer_key(), message.integrity().unwrap()));
    assert!(message.verify_fingerprint());
}

/// req: ICE-16.1-1
#[test]
fn the_tie_breaker_stays_until_a_487_and_then_changes() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let one = puppet.next_check(peer());
    let two = puppet.next_check(peer());
    assert_eq!(one.tie_breaker(), two.tie_breaker());
    puppet.refuse(&two, StatusCode::ROLE_CONFLICT);
    assert_ne!(puppet.next_check(peer()).tie_breaker(), one.tie_breaker());
}

/// req: ICE-7.2.5.1-1, ICE-7.2.5.1-2, ICE-7.2.5.1-3
#[test]
fn a_487_turns_the_role_and_repeats_the_check_in_the_next_slot() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut puppet = Puppet::introduced(role, &[host(peer())]);
        let sent = puppet.next_check(peer());
        puppet.sleep(millis(50));
        puppet.refuse(&sent, StatusCode::ROLE_CONFLICT);
        assert_eq!(puppet.agent.role(), role.other());
        assert_eq!(
            puppet.requests.len(),
            1,
            "at once: the last slot is long over"
        );
        let again = puppet.next_check(peer());
        assert_eq!(again.role(), role.other());
        assert_ne!(again.tie_breaker(), sent.tie_breaker());
    }
}

/// The role is settled before it is asked whether the path is the same both ways: the peer has not taken
/// this check in, so nothing will come from where it has answered.
#[test]
fn a_487_from_elsewhere_turns_the_role_and_repeats_the_check() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut puppet = Puppet::introduced(role, &[host(peer())]);
        let mut refused = 0;
        while let Some(sent) = puppet.requests.pop() {
            assert_eq!(sent.path.remote, peer());
            let bytes = Puppet::error(&sent, StatusCode::ROLE_CONFLICT);
            assert_eq!(puppet.deliver(other(), &bytes), Input::Handled);
            refused += 1;
            assert_eq!(
                puppet.agent.role() == role,
                refused % 2 == 0,
                "after {refused}"
            );
            puppet.sleep(millis(20));
        }
        assert_eq!(
            refused, 7,
            "nothing was heard from the address that was asked"
        );
    }
}

/// Scenario 3: one 487 for each of several checks that are under way.
///
/// req: ICE-7.2.5.1-4
#[test]
fn stale_487s_turn_the_role_once() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer()), host(other())]);
    let sent = [peer(), other(), peer(), other()].map(|to| puppet.next_check(to));
    for sent in &sent {
        puppet.refuse(sent, StatusCode::ROLE_CONFLICT);
    }
    assert_eq!(puppet.agent.role(), Role::Controlled);
    assert_eq!(
        puppet
            .events
            .iter()
            .filter(|e| matches!(e, Event::RoleChanged(_)))
            .count(),
        1
    );
}

#[test]
fn a_peer_that_refuses_every_role_gets_a_bounded_number_of_checks() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let mut refused = 0;
    for _ in 0..200 {
        puppet.sleep(millis(20));
        for sent in std::mem::take(&mut puppet.requests) {
            let bytes = Puppet::error(&sent, StatusCode::ROLE_CONFLICT);
            let _ = puppet.deliver(peer(), &bytes);
            refused += 1;
        }
    }
    assert!((2..=14).contains(&refused), "{refused}");
    puppet.sleep(millis(60_000));
    assert_eq!(
        puppet.agent.state(),
        State::Failed(FailureCause::ChecksFailed)
    );
}

/// req: ICE-7.2.5.2.4-1, ICE-7.2.5.2-1
#[test]
fn an_error_fails_the_pair_and_no_other() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer()), host(other())]);
    let sent = puppet.next_check(peer());
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
    puppet.requests.clear();
    puppet.sleep(millis(10_000));
    assert!(
        puppet
            .requests
            .iter()
            .all(|sent| sent.path.remote == other())
    );
    assert!(!puppet.requests.is_empty());
}

#[test]
fn a_late_error_does_not_fail_a_pair_that_works() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let one = puppet.next_check(peer());
    let two = puppet.next_check(peer());
    puppet.accept(&two);
    puppet.refuse(&one, StatusCode::BAD_REQUEST);
    assert_eq!(puppet.agent.state(), State::Connected);
    assert!(puppet.target().is_some());
}

/// Scenario 8.
///
/// req: ICE-7.2.5.2.1-1, ICE-7.2.5.2.1-2
#[test]
fn an_answer_from_elsewhere_fails_its_pair_and_others_go_on() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer()), host(other())]);
    let sent = puppet.next_check(peer());
    let bytes = Puppet::success(&sent, home());
    assert_eq!(
        puppet.deliver(addr("198.51.100.2:2001"), &bytes),
        Input::Handled
    );
    assert_eq!(puppet.agent.state(), State::Checking);
    assert_eq!(puppet.target(), None);
    // The genuine answer is too late now.
    assert_eq!(
        puppet.deliver(peer(), &bytes),
        Input::Dropped(DropReason::NoTransaction)
    );
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    assert_eq!(puppet.target().unwrap().remote, other());
}

/// A triggered check that is still queued does not revive a pair that has failed since.
#[test]
fn a_failed_pair_leaves_the_queue_of_triggered_checks() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accepted_check(peer(), CONTROLLED);
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
    puppet.requests.clear();
    puppet.sleep(millis(1000));
    assert!(puppet.requests.is_empty());
}

/// req: ICE-7.2.5.2.3-1, ICE-7.2.5.4-1, PAC-4-4
#[test]
fn pairs_that_nobody_answers_fail_and_then_the_agent_does() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    puppet.sleep(millis(39_499));
    assert_eq!(puppet.agent.state(), State::Checking);
    assert_eq!(puppet.requests.len(), 7);
    puppet.sleep(millis(2));
    assert_eq!(
        puppet.agent.state(),
        State::Failed(FailureCause::ChecksFailed)
    );
}

/// Scenario 9.
///
/// req: ICE-7.2.5.3.1-1, ICE-7.2.5.3.2-1
#[test]
fn a_mapped_address_that_is_new_becomes_a_peer_reflexive_candidate() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let mapped = addr("203.0.113.7:4444");
    let one = puppet.next_check(peer());
    let two = puppet.next_check(peer());
    for sent in [&one, &two] {
        let bytes = Puppet::success(sent, mapped);
        let _ = puppet.deliver(peer(), &bytes);
    }
    let found: Vec<_> = puppet
        .agent
        .local_candidates()
        .filter(|local| local.kind == CandidateKind::PeerReflexive)
        .collect();
    assert_eq!(found.len(), 1, "once, however often it is seen");
    assert_eq!(found[0].address, mapped);
    assert_eq!(found[0].base, home());
    let priority = one.message().get::<Priority>().unwrap();
    assert_eq!(priority, Some(Priority(found[0].priority)));
    // Data leaves from the base; the pair is named by what the peer sees.
    assert_eq!(puppet.target().unwrap().local, home());
    puppet.accepted_check(peer(), puppet::NOMINATING);
    let selected = puppet.agent.selected().unwrap();
    assert_eq!(selected.local.address, mapped);
    assert_eq!(selected.local.kind, CandidateKind::PeerReflexive);
}

/// req: ICE-7.2.5.3.1-3
#[test]
fn a_new_local_candidate_is_not_paired() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    let bytes = Puppet::success(&sent, addr("203.0.113.7:4444"));
    let _ = puppet.deliver(peer(), &bytes);
    puppet.add(host(other()));
    puppet.requests.clear();
    puppet.sleep(millis(50));
    let to_other = puppet.requests.iter().filter(|s| s.path.remote == other());
    assert_eq!(to_other.count(), 1);
}

/// req: ICE-7.2.5.3.3-1
#[test]
fn a_pair_that_succeeded_is_checked_no_more() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.requests.clear();
    // Consent comes after 4 s at the earliest.
    puppet.sleep(millis(3900));
    assert!(puppet.requests.is_empty());
}

/// req: ICE-6.1.2.2-1, ICE-6.1.2.2-2
#[test]
fn only_candidates_of_one_family_and_scope_are_paired() {
    let v6 = addr("[2001:db8::1]:1000");
    let link = addr("[fe80::1]:1000");
    let mut puppet = Puppet::with(Config::new(Role::Controlling), &[home(), v6, link]);
    let remotes = [peer(), addr("[2001:db8::2]:2000"), addr("[fe80::2]:2000")];
    for remote in remotes {
        puppet.add(host(remote));
    }
    puppet.introduce();
    puppet.sleep(millis(90));
    let mut paths: Vec<_> = puppet
        .requests
        .iter()
        .map(|sent| (sent.path.local, sent.path.remote))
        .collect();
    paths.sort_unstable();
    let mut wanted = vec![(home(), remotes[0]), (v6, remotes[1]), (link, remotes[2])];
    wanted.sort_unstable();
    assert_eq!(paths, wanted);
}

/// req: ICE-6.1.4.2-1, ICE-14.2-4
#[test]
fn the_first_check_leaves_at_once_and_the_others_a_slot_apart() {
    let candidates: Vec<_> = (1..=20)
        .map(|port| host(addr(&format!("198.51.100.2:{port}"))))
        .collect();
    let mut puppet = Puppet::introduced(Role::Controlling, &candidates);
    assert_eq!(puppet.requests.len(), 1);
    puppet.sleep(millis(2000));
    let times: Vec<_> = puppet.requests.iter().map(|sent| sent.at).collect();
    assert!(times.len() > 20);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= millis(5)));
}

/// req: ICE-14.2-4
#[test]
fn a_request_for_consent_keeps_its_distance_too() {
    // Whatever its place between two slots.
    for offset in 0..5 {
        let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
        let sent = puppet.next_check(peer());
        puppet.accept(&sent);
        puppet.requests.clear();
        puppet.sleep(millis(3900 + offset));
        // From now on every slot is taken.
        for port in 1..=90 {
            puppet.add(host(addr(&format!("198.51.100.9:{port}"))));
        }
        puppet.sleep(millis(2200));
        let times: Vec<_> = puppet.requests.iter().map(|sent| sent.at).collect();
        let apart = |pair: &[floe_sansio::Instant]| pair[1] - pair[0] >= millis(5);
        assert!(times.windows(2).all(apart), "offset {offset}");
        let to_peer = puppet.requests.iter().filter(|s| s.path.remote == peer());
        assert_eq!(to_peer.count(), 1);
    }
}

/// req: ICE-14.2-1, ICE-14.2-3
#[test]
fn the_slower_side_sets_the_pace_and_silence_counts_as_50_ms() {
    for (ours, theirs, wanted) in [(5, Some(20), 20), (20, None, 50), (70, Some(5), 70)] {
        let mut config = Config::new(Role::Controlling);
        config.pacing = millis(ours);
        let mut puppet = Puppet::with(config, &[home()]);
        puppet.add(host(peer()));
        puppet.add(host(other()));
        let parameters = RemoteParameters {
            credentials: puppet.credentials.clone(),
            pacing: theirs.map(millis),
            lite: false,
            renomination: false,
        };
        let start = puppet.now;
        puppet
            .agent
            .set_remote_parameters(start, parameters)
            .unwrap();
        puppet.sleep(millis(99));
        let second = puppet.requests[1].at - start;
        assert_eq!(second, millis(wanted), "{ours} and {theirs:?}");
    }
}

/// req: ICE-6.1.2.5-1, ICE-6.1.2.5-2, ICE-6.1.2.5-3
#[test]
fn no_more_pairs_are_checked_than_the_limit_allows() {
    for (limit, wanted) in [(None, 100), (Some(10), 10)] {
        let mut config = Config::new(Role::Controlling);
        if let Some(limit) = limit {
            config.limits.pairs = limit;
        }
        config.limits.remote_candidates = 1000;
        config.limits.checks_to_silent_host = usize::MAX;
        let mut puppet = Puppet::with(config, &[home()]);
        for port in 1..=300 {
            puppet.add(host(addr(&format!("198.51.100.9:{port}"))));
        }
        puppet.introduce();
        puppet.sleep(millis(20_000));
        let mut checked: Vec<_> = puppet
            .requests
            .iter()
            .map(|s| s.path.remote.port())
            .collect();
        checked.sort_unstable();
        checked.dedup();
        let best: Vec<_> = (1..=wanted).collect();
        assert_eq!(checked, best, "the best ones");
    }
}

/// req: ICE-7.2.4-1
#[test]
fn an_answer_without_magic_cookie_is_no_answer() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    let mut bytes = Puppet::success(&sent, home());
    bytes[4] ^= 1;
    assert!(matches!(puppet.deliver(peer(), &bytes), Input::Dropped(_)));
    assert_eq!(puppet.agent.state(), State::Checking);
}

#[test]
fn an_answer_with_an_unknown_attribute_that_must_be_understood_fails_the_pair() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    let bytes = Puppet::build(Class::Success, sent.message().transaction_id(), |builder| {
        builder
            .with(&floe_stun::XorMappedAddress(home()))
            .with_raw(AttributeType(0x7777), b"")
            .with_integrity(&Puppet::peer_key())
    });
    assert_eq!(puppet.deliver(peer(), &bytes), Input::Handled);
    assert_eq!(puppet.target(), None);
}

/// req: ICE-7.3.1.1-3
#[test]
fn a_role_change_reorders_the_pairs() {
    // The pair priority depends on the role by its last bit only, so that equal sums tell.
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let before = puppet.state();
    let says = puppet::Says {
        tie_breaker: 0,
        ..CONTROLLED
    };
    puppet.accepted_check(peer(), says);
    assert_eq!(puppet.agent.role(), Role::Controlling);
    let priority = |state: &str| {
        let at = state.find("priority: 9").unwrap();
        state[at..].split(',').next().unwrap().to_string()
    };
    assert_ne!(priority(&before), priority(&puppet.state()));
}

/// req: ICE-6.1.1-1
#[test]
fn with_a_lite_peer_the_full_agent_controls() {
    let mut puppet = Puppet::new(Role::Controlled);
    puppet.add(host(peer()));
    let parameters = RemoteParameters {
        credentials: puppet.credentials.clone(),
        pacing: Some(millis(5)),
        lite: true,
        renomination: false,
    };
    let now = puppet.now;
    puppet.agent.set_remote_parameters(now, parameters).unwrap();
    puppet.sleep(millis(1));
    let sent = puppet.next_check(peer());
    assert_eq!(sent.role(), Role::Controlling);
    puppet.accept(&sent);
    let nomination = puppet.next_nomination();
    puppet.accept(&nomination);
    assert_eq!(puppet.agent.state(), State::Completed);
}

#[test]
fn secrets_do_not_print() {
    let puppet = Puppet::connected(Role::Controlling);
    let text = puppet.state();
    assert!(!text.contains(puppet.agent.credentials().pwd()));
    assert!(!text.contains(PEER_PASSWORD));
}

#[test]
fn unusable_candidates_are_refused_and_change_nothing() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[]);
    let before = puppet.state();
    let now = puppet.now;
    let mut bad: Vec<_> = [
        "198.51.100.2:0",
        "0.0.0.0:9",
        "[::]:9",
        "224.0.0.1:9",
        "255.255.255.255:9",
        "[ff02::1]:9",
    ]
    .map(|address| candidate(CandidateKind::Host, addr(address)))
    .to_vec();
    for (priority, foundation) in [(0, "1"), (1 << 31, "1"), (1, ""), (1, &*"x".repeat(33))] {
        let mut candidate = host(peer());
        candidate.priority = priority;
        candidate.foundation = foundation.into();
        bad.push(candidate);
    }
    for candidate in bad {
        let result = puppet.agent.add_remote_candidate(now, candidate.clone());
        assert_eq!(
            result,
            Err(floe_ice::CommandError::Unusable),
            "{candidate:?}"
        );
        assert_eq!(puppet.state(), before);
    }
}

/// Type, length and value of an attribute.
fn raw(sent: &puppet::Sent, kind: u16) -> Option<Vec<u8>> {
    let message = sent.message();
    let attribute = message.attributes().find(|it| it.kind.0 == kind)?;
    Some(attribute.value.to_vec())
}

/// req: ICE-16.1-3
#[test]
fn the_attributes_of_ice_have_the_numbers_and_sizes_of_the_rfc() {
    for (role, kind) in [(Role::Controlled, 0x8029), (Role::Controlling, 0x802A)] {
        let mut puppet = Puppet::introduced(role, &[host(peer())]);
        let sent = puppet.next_check(peer());
        let priority = candidate_priority(CandidateKind::PeerReflexive, 65535, 1);
        assert_eq!(raw(&sent, 0x0024), Some(priority.to_be_bytes().to_vec()));
        assert_eq!(raw(&sent, 0x0025), None);
        let tie_breaker = sent.tie_breaker().to_be_bytes().to_vec();
        assert_eq!(raw(&sent, kind), Some(tie_breaker));
        if role == Role::Controlling {
            puppet.accept(&sent);
            let nomination = puppet.next_nomination();
            assert_eq!(raw(&nomination, 0x0025), Some(vec![]));
        }
    }
}

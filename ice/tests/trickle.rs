//! Candidates that come one by one, or not at all (RFC 8838, RFC 8863).

mod puppet;

use floe_ice::{CandidateKind, CommandError, Config, Event, FailureCause, Role, State};
use puppet::{CONTROLLING, NOMINATING, Puppet, addr, candidate, home, host, millis, other, peer};

/// The agent, which knows its peer, told one thing or the other.
fn waiting(candidates: bool, end: bool) -> Puppet {
    let mut puppet = Puppet::introduced(Role::Controlling, &[]);
    if candidates {
        puppet.add(host(peer()));
    }
    if end {
        puppet.end_of_candidates();
    }
    puppet
}

/// req: TRICKLE-7-1, TRICKLE-8-1, TRICKLE-10-2, PAC-4-1
#[test]
fn without_candidates_the_list_runs() {
    let mut puppet = waiting(false, false);
    puppet.sleep(millis(39_000));
    assert_eq!(puppet.agent.state(), State::Checking);
    puppet.add(host(peer()));
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Connected);
}

/// Scenario 19.
///
/// req: PAC-4-1, PAC-4-3, PAC-5-1
#[test]
fn a_peer_without_candidates_may_still_come_by_itself() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    puppet.end_of_candidates();
    puppet.sleep(millis(20_000));
    assert_eq!(puppet.agent.state(), State::Checking);
    puppet.accepted_check(peer(), NOMINATING);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// Scenario 20. At the end of the PAC timer, silence counts as end-of-candidates.
///
/// req: PAC-4-2, PAC-4-3, PAC-4-4, PAC-5-2, TRICKLE-8-3
#[test]
fn nothing_fails_before_the_pac_timer_ends_and_all_does_then() {
    for (candidates, end) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut puppet = waiting(candidates, end);
        puppet.sleep(millis(39_499));
        assert_eq!(puppet.agent.state(), State::Checking);
        puppet.sleep(millis(1));
        let cause = if candidates {
            FailureCause::ChecksFailed
        } else {
            FailureCause::NoRemoteCandidates
        };
        assert_eq!(puppet.agent.state(), State::Failed(cause));
    }
}

/// req: TRICKLE-8-1, TRICKLE-8-3
#[test]
fn a_check_under_way_at_the_end_of_the_pac_timer_is_waited_for() {
    let mut puppet = waiting(false, true);
    puppet.sleep(millis(39_000));
    puppet.accepted_check(peer(), puppet::CONTROLLED);
    let sent = puppet.next_check(peer());
    puppet.sleep(millis(1000));
    assert_eq!(puppet.agent.state(), State::Checking);
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Connected);
}

#[test]
fn each_way_to_have_no_pair_is_named() {
    let cases: [(&[_], &[_], FailureCause); 3] = [
        (&[], &[peer()], FailureCause::NoLocalCandidates),
        (&[home()], &[], FailureCause::NoRemoteCandidates),
        (&[home()], &[addr("[2001:db8::1]:9")], FailureCause::NoPairs),
    ];
    for (locals, remotes, cause) in cases {
        let mut puppet = Puppet::with(Config::new(Role::Controlling), locals);
        for &remote in remotes {
            puppet.add(host(remote));
        }
        puppet.introduce();
        puppet.end_of_candidates();
        puppet.sleep(millis(40_000));
        assert_eq!(puppet.agent.state(), State::Failed(cause));
    }
}

/// Scenario 17.
#[test]
fn a_late_candidate_is_checked_within_two_slots() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    puppet.sleep(millis(777));
    puppet.requests.clear();
    puppet.add(host(other()));
    let added = puppet.now;
    assert!(puppet.next_check(other()).at <= added + millis(10));
}

/// Scenario 18.
#[test]
fn a_candidate_after_selection_is_not_checked() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.add(host(other()));
    puppet.sleep(millis(3900));
    assert!(puppet.requests.is_empty());
}

/// req: TRICKLE-14-1
#[test]
fn candidates_after_the_end_are_refused() {
    let mut puppet = waiting(true, true);
    let before = puppet.state();
    let now = puppet.now;
    let late = puppet.agent.add_remote_candidate(now, host(other()));
    assert_eq!(late, Err(CommandError::AfterEnd));
    assert_eq!(puppet.state(), before);
    assert_eq!(
        puppet.agent.end_of_remote_candidates(now),
        Ok(()),
        "again is harmless"
    );
}

/// req: TRICKLE-11-1
#[test]
fn a_candidate_told_twice_is_one() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let _ = puppet.next_check(peer());
    let before = puppet.state();
    puppet.add(candidate(CandidateKind::ServerReflexive, peer()));
    puppet.add(host(peer()));
    assert_eq!(puppet.state(), before);
}

/// req: TRICKLE-9-3, ICE-5.1.3-1
#[test]
fn an_address_bound_twice_is_one_candidate() {
    let puppet = Puppet::with(Config::new(Role::Controlling), &[home(), home()]);
    assert_eq!(puppet.agent.local_candidates().count(), 1);
}

/// req: ICE-5.1.2-1, ICE-5.1.1.1-1
#[test]
fn every_address_makes_a_candidate_with_a_priority_of_its_own() {
    let addresses: Vec<_> = (1..=5)
        .map(|n| addr(&format!("192.0.2.{n}:1000")))
        .collect();
    let puppet = Puppet::with(Config::new(Role::Controlling), &addresses);
    let locals = puppet.agent.local_candidates();
    assert!(locals.map(|local| local.address).eq(addresses));
    assert!(
        puppet
            .agent
            .local_candidates()
            .is_sorted_by(|a, b| a.priority > b.priority),
        "best first"
    );
    assert!(matches!(
        puppet.events.last(),
        Some(Event::GatheringComplete)
    ));
}

/// req: ICE-19.5.1-2
#[test]
fn more_candidates_than_the_limit_are_refused_and_change_nothing() {
    let mut config = Config::new(Role::Controlling);
    config.limits.remote_candidates = 2;
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(host(peer()));
    puppet.add(host(other()));
    let before = puppet.state();
    let now = puppet.now;
    let third = puppet
        .agent
        .add_remote_candidate(now, host(addr("198.51.100.4:4")));
    assert_eq!(third, Err(CommandError::Capacity));
    assert_eq!(puppet.state(), before);
}

#[test]
fn other_credentials_need_another_agent() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[]);
    let before = puppet.state();
    let now = puppet.now;
    puppet.introduce();
    assert_eq!(puppet.state(), before, "the same again change nothing");
    let parameters = floe_ice::RemoteParameters {
        credentials: puppet.agent.credentials().clone(),
        pacing: None,
        lite: false,
        renomination: false,
    };
    let result = puppet.agent.set_remote_parameters(now, parameters);
    assert_eq!(result, Err(CommandError::CredentialsSet));
    assert_eq!(
        puppet.agent.set_role(Role::Controlled),
        Err(CommandError::CredentialsSet)
    );
    assert_eq!(puppet.state(), before);
}

/// Whoever is told the role after the candidates has the same pairs.
#[test]
fn the_role_may_be_set_until_the_peer_is_known() {
    let order = |late: bool| {
        let mut puppet = Puppet::new(Role::Controlling);
        if !late {
            puppet.agent.set_role(Role::Controlled).unwrap();
        }
        puppet.add(host(peer()));
        if late {
            puppet.agent.set_role(Role::Controlled).unwrap();
        }
        puppet.introduce();
        puppet.accepted_check(peer(), CONTROLLING);
        puppet.state()
    };
    assert_eq!(order(true), order(false));
}

/// What was known before the checks begin is one list, in whatever order it came.
///
/// req: TRICKLE-12-4, ICE-6.1.2.6-1
#[test]
fn of_one_foundation_the_best_pair_goes_first_even_if_it_was_told_last() {
    let mut puppet = Puppet::new(Role::Controlling);
    for address in [other(), peer()] {
        let mut candidate = host(address);
        candidate.foundation = "same".into();
        puppet.add(candidate);
    }
    puppet.introduce();
    puppet.sleep(millis(50));
    let checked: Vec<_> = puppet.requests.iter().map(|s| s.path.remote).collect();
    assert_eq!(checked, [peer()], "the other is frozen");
}

/// Neither side has told a candidate when the other's credentials come.
///
/// req: TRICKLE-4-1, TRICKLE-5-2, TRICKLE-13-4
#[test]
fn the_exchange_may_begin_without_candidates_and_the_session_conclude_without_their_end() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut puppet = Puppet::ungathered(Config::new(role).strict(), &[home().into()]);
        puppet.introduce();
        puppet.sleep(millis(1000));
        assert_eq!(puppet.agent.state(), State::Checking);
        puppet.gather();
        puppet.add(host(peer()));
        puppet.answering(millis(1000), |_| true);
        if role == Role::Controlled {
            puppet.accepted_check(peer(), NOMINATING);
        }
        assert_eq!(puppet.agent.state(), State::Completed);
    }
}

/// req: TRICKLE-13-2, TRICKLE-13-3
#[test]
fn both_roles_tell_the_end_of_candidates_once_and_last() {
    for role in [Role::Controlling, Role::Controlled] {
        let puppet = Puppet::with(Config::new(role).strict(), &[home(), other()]);
        let end = Event::GatheringComplete;
        assert_eq!(puppet.events.last(), Some(&end));
        assert_eq!(puppet.count(|event| *event == end), 1);
        assert_eq!(puppet.events.len(), 3);
    }
}

/// A server that does not answer, and is asked for a minute and more.
fn dragging(limit: u64) -> Puppet {
    let mut config = Config::new(Role::Controlling).strict();
    config.stun_servers = vec![addr("192.0.2.200:3478")];
    config.gathering.count = 9;
    config.gathering_limit = millis(limit);
    Puppet::with(config, &[home()])
}

/// req: TRICKLE-13-5
#[test]
fn where_gathering_drags_on_its_end_is_told_early() {
    let mut puppet = dragging(5000);
    let ended = |puppet: &Puppet| puppet.count(|event| *event == Event::GatheringComplete);
    puppet.sleep(millis(4999));
    assert_eq!(ended(&puppet), 0);
    puppet.sleep(millis(1));
    assert_eq!(ended(&puppet), 1);
    // What comes later is not told any more.
    let sent = puppet.next_check_where(|sent| sent.path.remote == addr("192.0.2.200:3478"));
    let id = sent.message().transaction_id();
    let answer = Puppet::build(floe_stun::Class::Success, id, |it| {
        it.with(&floe_stun::XorMappedAddress(addr("203.0.113.7:4444")))
    });
    let _ = puppet.deliver(addr("192.0.2.200:3478"), &answer);
    assert!(matches!(
        puppet.events.last(),
        Some(Event::GatheringFailed { .. } | Event::GatheringComplete)
    ));
    let told = |event: &Event| matches!(event, Event::LocalCandidate(_));
    assert_eq!(puppet.count(told), 1);
}

/// As long as this side may tell more candidates the list runs, whatever has become of its pairs.
///
/// req: TRICKLE-13-9, TRICKLE-8-3
#[test]
fn with_the_end_of_gathering_a_hopeless_list_fails() {
    let mut puppet = dragging(50_000);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.end_of_candidates();
    puppet.sleep(millis(49_999));
    assert_eq!(puppet.agent.state(), State::Checking);
    puppet.sleep(millis(1));
    let failed = State::Failed(FailureCause::ChecksFailed);
    assert_eq!(puppet.agent.state(), failed);
}

/// What the peer has said before is still known when the last of its pairs fails.
///
/// req: TRICKLE-14-3
#[test]
fn an_end_that_comes_early_is_remembered_and_fails_nothing_by_itself() {
    let mut puppet = waiting(true, true);
    assert_eq!(puppet.agent.state(), State::Checking);
    let sent = puppet.next_check(peer());
    puppet.refuse(&sent, floe_stun::StatusCode::BAD_REQUEST);
    puppet.sleep(millis(39_000));
    assert_eq!(puppet.agent.state(), State::Checking);
    let now = puppet.now;
    let late = puppet.agent.add_remote_candidate(now, host(other()));
    assert_eq!(late, Err(CommandError::AfterEnd));
    puppet.sleep(millis(500));
    let failed = State::Failed(FailureCause::ChecksFailed);
    assert_eq!(puppet.agent.state(), failed);
}

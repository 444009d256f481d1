//! Which pair is used (RFC 8445 §8, §12).

mod puppet;

use floe_ice::{
    Candidate, CandidateKind, ComponentId, Config, Event, FailureCause, LocalAddress, Role,
    SendError, State,
};
use floe_sansio::{DropReason, HEADROOM, Input, TAILROOM};
use floe_stun::{Class, StatusCode};
use puppet::{
    CONTROLLED, CONTROLLING, NOMINATING, Puppet, addr, candidate, home, host, millis, other, peer,
};

fn selections(puppet: &Puppet) -> usize {
    let selected = |event: &&Event| matches!(event, Event::Selected(_));
    puppet.events.iter().filter(selected).count()
}

/// req: ICE-8.1.1-1, ICE-7.1.2-1, ICE-7.2.5.3.4-1
#[test]
fn the_controlling_agent_nominates_by_a_second_check_and_selects_when_it_is_answered() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let sent = puppet.next_check(peer());
    assert!(!sent.nominates());
    puppet.accept(&sent);
    let nomination = puppet.next_nomination();
    assert_eq!(puppet.agent.selected(), None);
    puppet.accept(&nomination);
    assert_eq!(puppet.agent.state(), State::Completed);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
}

/// req: ICE-8.1.1-2
#[test]
fn after_a_success_no_other_pair_is_nominated() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(other()), host(peer())]);
    let late = puppet.next_check(peer());
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    let nomination = puppet.next_nomination();
    puppet.accept(&nomination);
    // A better pair, too late.
    let bytes = Puppet::success(&late, home());
    let _ = puppet.deliver(peer(), &bytes);
    puppet.accepted_check(peer(), CONTROLLED);
    puppet.requests.clear();
    for _ in 0..20 {
        puppet.sleep(millis(1000));
        for sent in std::mem::take(&mut puppet.requests) {
            assert!(!sent.nominates());
            puppet.accept(&sent);
        }
    }
    assert_eq!(puppet.agent.selected().unwrap().remote.address, other());
}

/// req: ICE-7.1.2-2
#[test]
fn the_controlled_agent_never_nominates() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
    for _ in 0..100 {
        puppet.sleep(millis(50));
        for sent in std::mem::take(&mut puppet.requests) {
            assert!(!sent.nominates());
            puppet.accept(&sent);
        }
    }
    assert_eq!(puppet.agent.state(), State::Connected);
}

/// req: ICE-7.3.1.5-1
#[test]
fn a_nomination_of_a_valid_pair_counts_at_once() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.accepted_check(peer(), NOMINATING);
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// req: ICE-7.3.1.5-1
#[test]
fn a_nomination_of_an_untested_pair_counts_after_the_own_check() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    puppet.accepted_check(peer(), NOMINATING);
    assert_eq!(puppet.agent.selected(), None);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Completed);
}

#[test]
fn use_candidate_from_a_controlled_peer_means_nothing() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.accepted_check(
        peer(),
        puppet::Says {
            nominate: true,
            ..CONTROLLED
        },
    );
    assert_eq!(puppet.agent.selected(), None);
}

/// Scenario 12.
#[test]
fn a_lost_nomination_is_repeated() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let lost = puppet.next_nomination();
    let again = puppet.next_nomination();
    assert!(again.at - lost.at <= millis(105));
    assert!(puppet.target().is_some(), "data flows all the while");
    puppet.accept(&again);
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// When the nominating checks leave that nobody answers, in ms after the first one.
fn nominating(change: impl FnOnce(&mut Config)) -> Vec<u64> {
    let mut config = Config::new(Role::Controlling);
    change(&mut config);
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let first = puppet.next_nomination();
    let others = puppet.answering(millis(7000), |_| false);
    let others = others.iter().filter(|sent| sent.nominates());
    let after = others.map(|sent| (sent.at - first.at).as_millis() as u64);
    std::iter::once(0).chain(after).collect()
}

/// Where packets are lost at random, one of two gets through.
#[test]
fn a_nomination_is_repeated_soon_once_and_then_in_the_time_of_other_checks() {
    let as_others = [0, 100, 300, 700, 1500, 3100, 6300];
    assert_eq!(nominating(|_| ()), [0, 25, 225, 625, 1425, 3025, 6225]);
    // It may be as late as other checks, and no later.
    for repeat in [millis(100), millis(5000), std::time::Duration::MAX] {
        let sent = nominating(|config| config.nomination_repeat = repeat);
        assert_eq!(sent, as_others, "{repeat:?}");
    }
    let sent = nominating(|config| config.nomination_repeat = millis(60));
    assert_eq!(sent[..3], [0, 60, 260]);
}

#[test]
fn a_nomination_is_not_repeated_where_no_check_is() {
    assert_eq!(nominating(|config| config.probing.count = 1), [0]);
}

#[test]
fn to_the_letter_a_nomination_is_repeated_no_sooner_than_other_checks() {
    let sent = nominating(|config| *config = config.clone().strict());
    assert_eq!(sent, [0, 500, 1500, 3500]);
}

#[test]
fn a_nomination_that_is_answered_is_not_repeated() {
    for (pause, sent) in [(24, 1), (26, 2)] {
        let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
        let check = puppet.next_check(peer());
        puppet.accept(&check);
        let nomination = puppet.next_nomination();
        let early = nomination.at + millis(pause) - puppet.now;
        let mut all = puppet.answering(early, |_| false);
        puppet.accept(&nomination);
        all.extend(puppet.answering(millis(3000), |_| false));
        let others = all.iter().filter(|sent| sent.nominates()).count();
        assert_eq!(1 + others, sent);
        assert_eq!(puppet.agent.state(), State::Completed);
    }
}

/// Scenario 7.
#[test]
fn a_nomination_survives_the_upgrade_of_its_candidate() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[]);
    puppet.accepted_check(peer(), CONTROLLED);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let nomination = puppet.next_nomination();
    puppet.add(host(peer()));
    puppet.accept(&nomination);
    let selected = puppet.agent.selected().unwrap();
    assert_eq!(selected.remote.kind, CandidateKind::Host);
}

/// req: ICE-7.2.5.3.4-2
#[test]
fn after_a_refused_nomination_the_next_valid_pair_is_nominated() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer()), host(other())]);
    let one = puppet.next_check(peer());
    let two = puppet.next_check(other());
    puppet.accept(&one);
    let nomination = puppet.next_nomination();
    puppet.accept(&two);
    assert_eq!(nomination.path.remote, peer());
    puppet.refuse(&nomination, StatusCode::BAD_REQUEST);
    let nomination = puppet.next_nomination();
    assert_eq!(nomination.path.remote, other());
    puppet.accept(&nomination);
    assert_eq!(puppet.target().unwrap().remote, other());
}

/// Scenario 13: all answers to the nominating checks are lost, and the pair is dead.
#[test]
fn an_unanswered_nomination_moves_on_and_data_with_it() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer()), host(other())]);
    let one = puppet.next_check(peer());
    let two = puppet.next_check(other());
    puppet.accept(&one);
    let _ = puppet.next_nomination();
    puppet.accept(&two);
    puppet.sleep(millis(14_400));
    let nomination =
        puppet.next_check_where(|sent| sent.nominates() && sent.path.remote == other());
    puppet.accept(&nomination);
    assert_eq!(puppet.target().unwrap().remote, other());
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// The peer may have heard the nomination: as long as the pair lives, another would part the two.
#[test]
fn an_unanswered_nomination_of_a_living_pair_gets_a_second_chance() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer()), host(other())]);
    let one = puppet.next_check(peer());
    let two = puppet.next_check(other());
    puppet.accept(&one);
    puppet.accept(&two);
    let mut nominated = 0;
    for _ in 0..14_500 {
        puppet.sleep(millis(1));
        for sent in std::mem::take(&mut puppet.requests) {
            if sent.nominates() {
                assert_eq!(sent.path.remote, peer());
                nominated += 1;
            } else if sent.path.remote == peer() {
                puppet.accept(&sent);
            }
        }
    }
    assert!(nominated > 7, "{nominated}");
    let nomination = puppet.next_nomination();
    puppet.accept(&nomination);
    assert_eq!(puppet.target().unwrap().remote, peer());
}

/// Scenario 15: an RFC 5245 peer nominates every pair.
///
/// req: ICE-8.1.1-5
#[test]
fn of_several_nominated_pairs_the_best_is_used_in_any_order() {
    for order in [[peer(), other()], [other(), peer()]] {
        let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
        for address in [peer(), other()] {
            let sent = puppet.next_check(address);
            puppet.accept(&sent);
        }
        for address in order {
            puppet.accepted_check(address, NOMINATING);
        }
        let best = if peer().port() < other().port() {
            peer()
        } else {
            other()
        };
        assert_eq!(puppet.agent.selected().unwrap().remote.address, best);
        assert_eq!(puppet.target().unwrap().remote, best);
    }
}

#[test]
fn a_lesser_pair_is_followed_when_the_selected_one_has_gone_silent() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
    for address in [peer(), other()] {
        let sent = puppet.next_check(address);
        puppet.accept(&sent);
    }
    puppet.accepted_check(peer(), NOMINATING);
    puppet.sleep(millis(11_000));
    puppet.accepted_check(other(), NOMINATING);
    assert_eq!(puppet.target().unwrap().remote, peer());
    puppet.sleep(millis(2_000));
    puppet.accepted_check(other(), NOMINATING);
    assert_eq!(puppet.target().unwrap().remote, other());
}

/// Its consent has run out by then: it is checked again first.
#[test]
fn a_nomination_of_a_pair_that_worked_long_ago_counts_after_a_new_check() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
    for address in [peer(), other()] {
        let sent = puppet.next_check(address);
        puppet.accept(&sent);
    }
    for _ in 0..35 {
        puppet.sleep(millis(1000));
        for sent in std::mem::take(&mut puppet.requests) {
            assert_eq!(sent.path.remote, peer());
            puppet.accept(&sent);
        }
    }
    puppet.accepted_check(other(), NOMINATING);
    assert_eq!(puppet.agent.selected(), None);
    assert_eq!(puppet.agent.state(), State::Connected);
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    assert_eq!(puppet.target().unwrap().remote, other());
}

/// Consent would end before the next request for it is answered, or soon after.
#[test]
fn a_nomination_of_a_pair_that_has_used_up_half_of_its_consent_counts_after_a_new_check() {
    for (pause, lasts) in [(14_900, true), (15_100, false)] {
        let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
        for address in [peer(), other()] {
            let sent = puppet.next_check(address);
            puppet.accept(&sent);
        }
        let sent = puppet.answering(millis(pause), |_| true);
        assert!(sent.iter().all(|sent| sent.path.remote == peer()));
        puppet.accepted_check(other(), NOMINATING);
        let target = if lasts { other() } else { peer() };
        assert_eq!(puppet.target().unwrap().remote, target);
        assert_eq!(puppet.agent.selected().is_some(), lasts);
        if !lasts {
            // What carries data goes on, as long as it takes.
            puppet.answering(millis(1000), |sent| sent.path.remote == peer());
            assert_eq!(puppet.target().unwrap().remote, peer());
            assert_eq!(puppet.agent.state(), State::Connected);
            let sent = puppet.next_check(other());
            puppet.accept(&sent);
            assert_eq!(puppet.target().unwrap().remote, other());
            assert_eq!(puppet.agent.state(), State::Completed);
        }
    }
}

/// The peer nominates it late, and some answers were lost: data goes on over it.
#[test]
fn a_pair_that_carries_data_goes_on_while_it_is_checked_again_to_be_selected() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.sleep(millis(15_100));
    puppet.requests.clear();
    puppet.accepted_check(peer(), NOMINATING);
    assert_eq!(puppet.agent.selected(), None);
    puppet.answering(millis(1000), |_| false);
    assert_eq!(puppet.target().unwrap().remote, peer());
    assert_eq!(puppet.agent.state(), State::Connected);
    puppet.accepted_check(peer(), NOMINATING);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
    assert_eq!(puppet.agent.state(), State::Completed);
    let lost = |event: &Event| matches!(event, Event::Disconnected(_));
    assert_eq!(puppet.count(lost), 0);
}

/// Scenario 16: the agent does not hang between the states.
///
/// req: ICE-7.3.1.5-2
#[test]
fn a_nominated_pair_whose_own_check_fails_ends_in_failure() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    puppet.end_of_candidates();
    puppet.accepted_check(peer(), NOMINATING);
    let sent = puppet.next_check(peer());
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
    puppet.sleep(millis(40_000));
    assert_eq!(
        puppet.agent.state(),
        State::Failed(FailureCause::ChecksFailed)
    );
}

/// Where both agents have given up control, the next check tells.
///
/// req: ICE-7.2.5.1-2
#[test]
fn a_nomination_that_a_487_refuses_is_repeated_as_a_check_in_the_other_role() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let nomination = puppet.next_nomination();
    puppet.requests.clear();
    puppet.refuse(&nomination, StatusCode::ROLE_CONFLICT);
    puppet.sleep(millis(20));
    let again = puppet.requests.first().expect("another check");
    assert_eq!((again.role(), again.nominates()), (Role::Controlled, false));
    assert_eq!(puppet.agent.state(), State::Connected);
}

#[test]
fn a_role_switch_ends_the_nomination() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let nomination = puppet.next_nomination();
    puppet.accepted_check(
        peer(),
        puppet::Says {
            tie_breaker: u64::MAX,
            ..CONTROLLING
        },
    );
    assert_eq!(puppet.agent.role(), Role::Controlled);
    // An answer to what was asked in the other role selects nothing.
    puppet.accept(&nomination);
    assert_eq!(puppet.agent.selected(), None);
    puppet.requests.clear();
    puppet.sleep(millis(3000));
    assert!(puppet.requests.is_empty());
    puppet.accepted_check(peer(), NOMINATING);
    assert_eq!(puppet.agent.state(), State::Completed);
}

#[test]
fn an_agent_that_comes_to_control_nominates_what_is_valid() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.accepted_check(
        peer(),
        puppet::Says {
            tie_breaker: 0,
            ..CONTROLLED
        },
    );
    let nomination = puppet.next_nomination();
    puppet.accept(&nomination);
    assert_eq!(puppet.agent.state(), State::Completed);
}

const TAKES_NO_CONTROL: puppet::Says = puppet::Says {
    tie_breaker: 0,
    ..CONTROLLED
};

const TAKES_CONTROL: puppet::Says = puppet::Says {
    tie_breaker: u64::MAX,
    ..CONTROLLING
};

/// An agent that follows the RFC to the letter, or not, with a pair that the peer has nominated.
fn selected_by_peer(strict: bool) -> Puppet {
    let mut config = Config::new(Role::Controlled);
    if strict {
        config = config.strict();
    }
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.accepted_check(peer(), NOMINATING);
    assert_eq!(puppet.agent.state(), State::Completed);
    puppet.requests.clear();
    puppet
}

/// Who gives control up gives its nomination up with it, and may not have heard that it counted.
#[test]
fn who_comes_to_control_nominates_again_what_was_selected() {
    for strict in [false, true] {
        for refused in [false, true] {
            let mut puppet = selected_by_peer(strict);
            if refused {
                let consent = puppet.next_consent();
                puppet.refuse(&consent, StatusCode::ROLE_CONFLICT);
            } else {
                puppet.accepted_check(peer(), TAKES_NO_CONTROL);
            }
            assert_eq!(puppet.agent.role(), Role::Controlling);
            let nomination = puppet.next_nomination();
            assert_eq!(nomination.path.remote, peer());
            assert_eq!(nomination.role(), Role::Controlling);
            assert_eq!(puppet.agent.state(), State::Completed, "all the while");
            puppet.accept(&nomination);
            let sent = puppet.answering(millis(20_000), |_| true);
            assert!(!sent.iter().any(puppet::Sent::nominates), "once");
            assert_eq!(puppet.agent.state(), State::Completed);
            assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
            assert_eq!(selections(&puppet), 1);
        }
    }
}

/// What is selected works, and consent says for how long: it does not hang on that nomination.
#[test]
fn a_pair_that_was_selected_outlives_the_nomination_of_who_comes_to_control() {
    for strict in [false, true] {
        for elsewhere in [false, true] {
            let mut puppet = selected_by_peer(strict);
            puppet.accepted_check(peer(), TAKES_NO_CONTROL);
            let nomination = puppet.next_nomination();
            let answer = if elsewhere {
                Puppet::success(&nomination, home())
            } else {
                Puppet::error(&nomination, StatusCode::BAD_REQUEST)
            };
            let from = if elsewhere { other() } else { peer() };
            assert_eq!(puppet.deliver(from, &answer), Input::Handled);
            assert_eq!(puppet.agent.state(), State::Completed);
            puppet.answering(millis(20_000), |_| true);
            assert_eq!(puppet.agent.state(), State::Completed);
            assert_eq!(puppet.target().unwrap().remote, peer());
        }
        let mut puppet = selected_by_peer(strict);
        puppet.accepted_check(peer(), TAKES_NO_CONTROL);
        let sent = puppet.answering(millis(120_000), |sent| !sent.nominates());
        let nominations = sent.iter().filter(|sent| sent.nominates()).count();
        // By default as many as there is time for, where there is no other pair.
        let most = if strict { 14 } else { 70 };
        assert!(nominations <= most, "{nominations}");
        assert_eq!(puppet.agent.state(), State::Completed);
        assert_eq!(puppet.target().unwrap().remote, peer());
    }
}

#[test]
fn who_comes_to_control_nominates_again_what_was_selected_for_each_component() {
    let rtcp = ComponentId::new(0, 2);
    let (one, two) = (addr("192.0.2.1:1001"), addr("198.51.100.2:2001"));
    let locals = [LocalAddress::new(home()), LocalAddress::new(one).on(rtcp)];
    let mut puppet = Puppet::bound(Config::new(Role::Controlled), &locals);
    puppet.add(host(peer()));
    puppet.add(puppet::host_of(rtcp, two));
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    puppet.accepted_check(peer(), NOMINATING);
    puppet.accepted_check_at(one, two, NOMINATING);
    assert_eq!(puppet.agent.state(), State::Completed);
    puppet.accepted_check(peer(), TAKES_NO_CONTROL);
    let sent = puppet.answering(millis(1000), |_| true);
    let nominations = sent.iter().filter(|sent| sent.nominates());
    let nominations: Vec<_> = nominations.map(|sent| sent.path.remote).collect();
    assert_eq!(nominations, [peer(), two]);
}

/// Each time that it comes to control, and never in the other role.
#[test]
fn a_peer_that_gives_control_to_and_fro_gets_a_nomination_for_each_time() {
    for strict in [false, true] {
        let mut puppet = selected_by_peer(strict);
        for _ in 0..10 {
            puppet.accepted_check(peer(), TAKES_NO_CONTROL);
            let sent = puppet.answering(millis(1000), |_| true);
            let nominations = sent.iter().filter(|sent| sent.nominates()).count();
            assert_eq!(nominations, 1);
            puppet.accepted_check(peer(), TAKES_CONTROL);
            let sent = puppet.answering(millis(1000), |_| true);
            assert!(!sent.iter().any(puppet::Sent::nominates));
        }
        assert_eq!(selections(&puppet), 1);
        assert_eq!(puppet.agent.state(), State::Completed);
    }
}

/// All that the agent asks is refused with a 487, in either role.
#[test]
fn a_peer_that_refuses_every_role_after_selection_gets_a_bounded_number_of_nominations() {
    for strict in [false, true] {
        let mut puppet = selected_by_peer(strict);
        puppet.accepted_check(peer(), TAKES_NO_CONTROL);
        let end = puppet.now + millis(25_000);
        let mut nominations = 0;
        let mut requests = 0;
        while puppet.now < end {
            puppet.sleep(millis(1));
            for sent in std::mem::take(&mut puppet.requests) {
                requests += 1;
                nominations += usize::from(sent.nominates());
                let bytes = Puppet::error(&sent, StatusCode::ROLE_CONFLICT);
                let _ = puppet.deliver(peer(), &bytes);
            }
        }
        assert!(nominations <= 20, "{nominations} of {requests}");
    }
}

/// req: ICE-8.1.2-1
#[test]
fn after_nomination_other_pairs_are_checked_no_more() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.accepted_check(peer(), NOMINATING);
    puppet.requests.clear();
    puppet.sleep(millis(10_000));
    assert!(
        puppet
            .requests
            .iter()
            .all(|sent| sent.path.remote == peer())
    );
}

/// req: ICE-8.1.2-2, ICE-11-12
#[test]
fn after_nomination_checks_are_still_answered_and_do_nothing() {
    let mut puppet = Puppet::connected(Role::Controlled);
    let before = puppet.agent.selected();
    puppet.accepted_check(peer(), CONTROLLING);
    puppet.accepted_check(other(), CONTROLLING);
    assert_eq!(puppet.agent.selected(), before);
    assert!(puppet.requests.is_empty());
    assert_eq!(selections(&puppet), 1);
}

/// req: ICE-12.1-1, ICE-12.1-5
#[test]
fn data_may_use_a_valid_pair_before_selection() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let mut buffer = [0; HEADROOM + 1 + TAILROOM];
    let result = puppet.agent.send(&mut buffer, HEADROOM..HEADROOM + 1);
    assert_eq!(result, Err(SendError::NotConnected));
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let path = puppet.target().unwrap();
    assert_eq!((path.local, path.remote), (home(), peer()));
}

/// req: ICE-12.1-2
#[test]
fn after_selection_data_uses_the_selected_pair_only() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
    for address in [peer(), other()] {
        let sent = puppet.next_check(address);
        puppet.accept(&sent);
    }
    let lesser = if peer().port() < other().port() {
        other()
    } else {
        peer()
    };
    assert_ne!(puppet.target().unwrap().remote, lesser);
    puppet.accepted_check(lesser, NOMINATING);
    assert_eq!(puppet.target().unwrap().remote, lesser);
}

fn relayed(address: std::net::SocketAddr) -> Candidate {
    candidate(CandidateKind::Relayed, address)
}

/// The hold: one round trip and [`Config::relay_hold`].
///
/// req: PAC-4-5
#[test]
fn a_relayed_pair_waits_a_moment_for_a_direct_one() {
    for direct_works in [false, true] {
        let mut puppet = Puppet::introduced(Role::Controlling, &[relayed(other()), host(peer())]);
        let direct = puppet.next_check(peer());
        let relay = puppet.next_check(other());
        puppet.sleep(millis(20));
        puppet.accept(&relay);
        puppet.requests.clear();
        // Both parts of the hold: neither 20 ms nor 100 ms are enough.
        puppet.sleep(millis(115));
        assert!(!puppet.requests.iter().any(puppet::Sent::nominates));
        if direct_works {
            puppet.accept(&direct);
        }
        let wanted = if direct_works { peer() } else { other() };
        let nomination = puppet.next_nomination();
        assert_eq!(nomination.path.remote, wanted);
        assert!(nomination.at <= relay.at + millis(20 + 20 + 100 + 5));
    }
}

#[test]
fn a_relayed_pair_does_not_wait_where_no_direct_one_is_left() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[relayed(other())]);
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    let answered = puppet.now;
    assert!(puppet.next_nomination().at <= answered + millis(5));
}

/// The same where the slot finds out that the direct pair may not be checked.
#[test]
fn a_direct_pair_that_is_given_up_in_a_slot_leaves_it_to_the_nomination() {
    let mut config = Config::new(Role::Controlling);
    // Only who has asked is checked.
    config.limits.checks_to_silent_address = 0;
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(relayed(other()));
    puppet.introduce();
    puppet.accepted_check(other(), CONTROLLED);
    let sent = puppet.next_check(other());
    puppet.add(host(peer()));
    puppet.accept(&sent);
    assert!(puppet.requests.is_empty(), "it waits for the direct pair");
    let slot = puppet.agent.poll_timeout().unwrap();
    puppet.agent.handle_timeout(slot);
    puppet.drain();
    assert!(puppet.agent.poll_timeout().is_none_or(|next| next > slot));
    assert!(puppet.requests.iter().any(puppet::Sent::nominates));
}

#[test]
fn a_closed_agent_is_silent_and_deaf() {
    let mut puppet = Puppet::connected(Role::Controlling);
    let now = puppet.now;
    puppet.agent.close(now);
    assert_eq!(puppet.agent.state(), State::Closed);
    assert_eq!(puppet.agent.poll_timeout(), None);
    assert!(puppet.agent.poll_transmit().is_none());
    let bytes = puppet.check(CONTROLLED);
    assert_eq!(
        puppet.deliver(peer(), &bytes),
        Input::Dropped(DropReason::Closed)
    );
    assert_eq!(
        puppet.deliver(peer(), b"data"),
        Input::Dropped(DropReason::Closed)
    );
    assert_eq!(puppet.target(), None);
    assert!(puppet.answers.is_empty());
    let ended = Err(floe_ice::CommandError::Ended);
    assert_eq!(puppet.agent.add_remote_candidate(now, host(other())), ended);
    assert_eq!(puppet.agent.end_of_remote_candidates(now), ended);
    assert_eq!(puppet.agent.set_role(Role::Controlled), ended);
}

/// req: ICE-8.1.1-3, ICE-8.1.2-5
#[test]
fn failure_is_told_once_with_its_cause() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    puppet.sleep(millis(100_000));
    let failed: Vec<_> = puppet
        .events
        .iter()
        .filter(|event| matches!(event, Event::Failed(_)))
        .collect();
    assert_eq!(failed, [&Event::Failed(FailureCause::ChecksFailed)]);
    let bytes = puppet.check(CONTROLLED);
    assert_eq!(
        puppet.deliver(peer(), &bytes),
        Input::Dropped(DropReason::Closed)
    );
}

/// It does not wait for the PAC timer.
///
/// req: PAC-4-6
#[test]
fn the_strict_profile_completes_too() {
    let mut puppet = Puppet::with(Config::new(Role::Controlling).strict(), &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    let sent = puppet.next_check(peer());
    let again = puppet.next_check(peer());
    assert_eq!(again.at - sent.at, millis(500));
    puppet.accept(&again);
    let nomination = puppet.next_nomination();
    puppet.accept(&nomination);
    assert_eq!(puppet.agent.state(), State::Completed);
    puppet.accepted_check(peer(), CONTROLLED);
    assert_eq!(puppet.answer().0, Class::Success);
    assert_eq!(puppet.target().unwrap().remote, addr("198.51.100.2:2000"));
}

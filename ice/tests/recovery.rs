//! The default profile goes on where the RFC has only the restart: a path is lost and another one takes
//! its place.

mod puppet;

use std::net::SocketAddr;
use std::time::Duration;

use floe_ice::{
    CandidateKind, ComponentId, Config, Event, FailureCause, LocalAddress, PairState, Role, State,
    SwitchCause,
};
use puppet::{
    CONTROLLED, CONTROLLING, NOMINATING, Puppet, Says, Sent, addr, home, host, millis, other, peer,
};

const ROLES: [Role; 2] = [Role::Controlling, Role::Controlled];

fn second() -> SocketAddr {
    addr("192.0.2.9:1001")
}

/// An agent with two addresses: the pair of the first is selected, that of the second works as well.
fn with_reserve(role: Role, config: Config) -> Puppet {
    let mut puppet = Puppet::with(config, &[home(), second()]);
    puppet.add(host(peer()));
    puppet.introduce();
    for base in [home(), second()] {
        let sent = puppet.next_check_where(|sent| sent.path.local == base);
        puppet.accept(&sent);
    }
    match role {
        Role::Controlling => {
            let nomination = puppet.next_nomination();
            puppet.accept(&nomination);
        }
        Role::Controlled => puppet.accepted_check(peer(), NOMINATING),
    }
    assert_eq!(puppet.agent.state(), State::Completed);
    assert_eq!(puppet.target().unwrap().local, home());
    puppet.requests.clear();
    puppet
}

fn disconnections(puppet: &Puppet) -> usize {
    puppet.count(|event| matches!(event, Event::Disconnected(_)))
}

fn connections(puppet: &Puppet) -> usize {
    puppet.count(|event| matches!(event, Event::Connected(_)))
}

/// Scenario 45.
#[test]
fn where_another_pair_works_it_takes_over_at_once_and_nothing_is_told() {
    for role in ROLES {
        let mut puppet = with_reserve(role, Config::new(role));
        let now = puppet.now;
        puppet.agent.remove_address(now, home());
        assert_eq!(puppet.target().unwrap().local, second());
        puppet.drain();
        puppet.answering(millis(5000), |_| true);
        assert_eq!(disconnections(&puppet), 0);
        assert_eq!(connections(&puppet), 1);
        let timeline = puppet.agent.timeline().clone();
        let lost = SwitchCause::Lost(FailureCause::PathLost);
        let switch = &timeline.switches[0];
        assert_eq!((switch.cause, switch.outage), (lost, Duration::ZERO));
        if role == Role::Controlling {
            // The pair is agreed upon anew.
            assert_eq!(puppet.agent.state(), State::Completed);
            assert_eq!(puppet.agent.selected().unwrap().local.address, second());
        }
    }
}

/// To the letter the session is over.
#[test]
fn to_the_letter_the_loss_of_the_selected_pair_ends_the_session() {
    for role in ROLES {
        let mut puppet = Puppet::with(Config::new(role).strict(), &[home(), second()]);
        puppet.add(host(peer()));
        puppet.introduce();
        puppet.answering(millis(1000), |_| true);
        if role == Role::Controlled {
            puppet.accepted_check(peer(), NOMINATING);
        }
        assert_eq!(puppet.agent.state(), State::Completed);
        let now = puppet.now;
        let base = puppet.target().unwrap().local;
        puppet.agent.remove_address(now, base);
        let failed = State::Failed(FailureCause::PathLost);
        assert_eq!(puppet.agent.state(), failed);
        assert_eq!(puppet.target(), None);
    }
}

#[test]
fn where_nothing_works_all_pairs_are_checked_again_and_the_outage_is_told_after_a_second() {
    for role in ROLES {
        let mut puppet = with_reserve(role, Config::new(role));
        // Consent ends on both: the pair in reserve was not asked for any.
        puppet.sleep(millis(29_000));
        puppet.add(host(other()));
        puppet.requests.clear();
        while puppet.target().is_some() {
            puppet.sleep(millis(1));
        }
        let lost = puppet.now;
        assert_eq!(puppet.agent.state(), State::Checking);
        puppet.sleep(millis(999));
        assert_eq!(disconnections(&puppet), 0);
        puppet.sleep(millis(1));
        assert_eq!(disconnections(&puppet), 1);
        let to_other = |sent: &Sent| sent.path.remote == other();
        assert!(puppet.requests.iter().any(to_other));
        puppet.sleep(millis(5000));
        let back = puppet.now;
        puppet.answering(millis(8000), to_other);
        assert_eq!(puppet.target().unwrap().remote, other());
        assert_eq!(connections(&puppet), 2);
        let switch = puppet.agent.timeline().switches.last().unwrap().clone();
        assert_eq!(
            switch.cause,
            SwitchCause::Lost(FailureCause::ConsentExpired)
        );
        assert!(switch.outage >= back - lost);
    }
}

#[test]
fn a_short_outage_is_not_told() {
    let mut puppet = Puppet::connected(Role::Controlled);
    let now = puppet.now;
    let third = LocalAddress::new(second());
    puppet.agent.remove_address(now, home());
    assert_eq!(puppet.target(), None);
    puppet.agent.add_address(now, third).unwrap();
    puppet.drain();
    puppet.answering(millis(5000), |_| true);
    assert_eq!(puppet.target().unwrap().local, second());
    assert_eq!(disconnections(&puppet), 0);
}

#[test]
fn the_time_until_an_outage_is_told_may_be_set() {
    let mut config = Config::new(Role::Controlled);
    config.outage_notice = millis(7000);
    let mut puppet = with_reserve(Role::Controlled, config);
    let now = puppet.now;
    for address in [home(), second()] {
        puppet.agent.remove_address(now, address);
    }
    puppet
        .agent
        .add_address(now, LocalAddress::new(addr("192.0.2.10:1")))
        .unwrap();
    puppet.sleep(millis(6999));
    assert_eq!(disconnections(&puppet), 0);
    puppet.sleep(millis(1));
    assert_eq!(disconnections(&puppet), 1);
}

#[test]
fn a_session_whose_paths_do_not_come_back_fails_in_the_end_with_the_cause_of_the_loss() {
    let mut puppet = with_reserve(Role::Controlling, Config::new(Role::Controlling));
    puppet.add(host(other()));
    puppet.sleep(millis(29_000));
    puppet.add(host(addr("198.51.100.4:4")));
    puppet.sleep(millis(120_000));
    let failed = State::Failed(FailureCause::ConsentExpired);
    assert_eq!(puppet.agent.state(), failed);
    assert_eq!(puppet.count(|event| matches!(event, Event::Failed(_))), 1);
    assert_eq!(puppet.agent.poll_timeout(), None);
}

// ---- a peer that has moved -----------------------------------------------------------------

/// What the agent is, and what its peer says.
const BOTH_WAYS: [(Role, Says); 2] = [
    (Role::Controlling, CONTROLLED),
    (Role::Controlled, CONTROLLING),
];

/// Where the NAT of the peer maps it to now.
fn moved() -> SocketAddr {
    addr("198.51.100.2:2999")
}

/// Scenario 34: the peer's consent requests come from another port.
#[test]
fn a_peer_whose_nat_gave_it_another_address_is_followed_after_an_own_check() {
    for (role, says) in BOTH_WAYS {
        let mut puppet = Puppet::connected(role);
        puppet.answering(millis(3000), |_| true);
        puppet.accepted_check(peer(), says);
        puppet.answering(millis(1000), |_| true);
        puppet.accepted_check(moved(), says);
        assert_eq!(
            puppet.target().unwrap().remote,
            peer(),
            "not before it answers"
        );
        let sent = puppet.next_check(moved());
        puppet.accept(&sent);
        assert_eq!(puppet.target().unwrap().remote, moved());
        let selected = puppet.agent.selected().unwrap();
        assert_eq!(selected.remote.address, moved());
        assert_eq!(selected.remote.kind, CandidateKind::PeerReflexive);
        assert_eq!(disconnections(&puppet), 0);
        // Consent is asked for there.
        let sent = puppet.answering(millis(7000), |_| true);
        assert!(!sent.is_empty() && sent.iter().all(|it| it.path.remote == moved()));
    }
}

/// Who asks from a new address is asked there in return, whatever its host was sent before.
#[test]
fn a_peer_that_has_moved_is_followed_where_nothing_is_sent_to_the_silent() {
    let mut config = Config::new(Role::Controlled);
    config.limits.checks_to_silent_host = 0;
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    for (from, says) in [(peer(), NOMINATING), (moved(), CONTROLLING)] {
        puppet.accepted_check(from, says);
        puppet.answering(millis(4000), |_| true);
        assert_eq!(puppet.target().unwrap().remote, from);
    }
}

#[test]
fn to_the_letter_a_peer_that_has_moved_is_not_followed() {
    let mut puppet = Puppet::strict(Role::Controlling);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.answering(millis(10_000), |_| true);
    puppet.accepted_check(moved(), CONTROLLED);
    let sent = puppet.answering(millis(2000), |_| true);
    assert!(sent.iter().all(|it| it.path.remote == peer()));
    assert_eq!(puppet.target().unwrap().remote, peer());
}

/// Within the three seconds in which the peer's other checks are still under way nobody has moved.
#[test]
fn a_check_of_another_address_soon_after_selection_is_no_move() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.accepted_check(moved(), CONTROLLING);
    puppet.sleep(millis(1000));
    assert!(puppet.requests.is_empty());
}

/// The peer is at one address, asks from there every five seconds, and hears only what is sent there.
fn stays(puppet: &mut Puppet, from: SocketAddr, says: Says, times: usize) {
    for _ in 0..times {
        puppet.accepted_check(from, says);
        puppet.answering(millis(5000), |sent| sent.path.remote == from);
    }
}

/// Its first check from there might have been late.
#[test]
fn a_peer_that_comes_back_at_once_is_followed_at_its_next_check() {
    for (role, says) in BOTH_WAYS {
        let mut puppet = Puppet::connected(role);
        puppet.answering(millis(4000), |_| true);
        puppet.accepted_check(moved(), says);
        puppet.answering(millis(2000), |_| true);
        assert_eq!(puppet.target().unwrap().remote, moved());
        puppet.accepted_check(peer(), says);
        let sent = puppet.answering(millis(5000), |_| false);
        assert!(sent.iter().all(|sent| sent.path.remote == moved()));
        puppet.accepted_check(peer(), says);
        let sent = puppet.next_check(peer());
        puppet.accept(&sent);
        assert_eq!(puppet.target().unwrap().remote, peer());
        assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
    }
}

/// Its NAT changes its mind again and again, or one check was late. Where the agents renominate, what was
/// nominated before does not keep the peer from coming back.
#[test]
fn a_peer_is_followed_each_time_it_moves() {
    for renomination in [false, true] {
        for (role, says) in BOTH_WAYS {
            let mut puppet = Puppet::new(role);
            puppet.add(host(peer()));
            let mut parameters = puppet.parameters();
            parameters.renomination = renomination;
            puppet.introduce_as(parameters);
            puppet.answering(millis(100), |_| true);
            if role == Role::Controlled {
                puppet.nominate(peer(), renomination.then_some(1));
            }
            for from in [peer(), moved()].into_iter().cycle().take(7) {
                // Until the other address has missed a request.
                stays(&mut puppet, from, says, 2);
                assert_eq!(puppet.target().unwrap().remote, from);
                assert_eq!(puppet.agent.selected().unwrap().remote.address, from);
            }
            assert_eq!(disconnections(&puppet), 0);
        }
    }
}

/// The first of two was followed, and the second one is it.
#[test]
fn of_two_new_addresses_the_one_where_the_peer_stays_is_followed_in_the_end() {
    for (role, says) in BOTH_WAYS {
        let mut puppet = Puppet::connected(role);
        puppet.answering(millis(4000), |_| true);
        puppet.accepted_check(moved(), says);
        puppet.accepted_check(other(), says);
        puppet.answering(millis(2000), |_| true);
        assert_eq!(puppet.target().unwrap().remote, moved());
        stays(&mut puppet, other(), says, 2);
        assert_eq!(puppet.target().unwrap().remote, other());
    }
}

/// While either works it does not matter where its requests for consent come from, each 6 s apart.
#[test]
fn a_peer_that_asks_from_two_addresses_is_not_followed_to_and_fro() {
    for (role, says) in BOTH_WAYS {
        for lag in (500..6000).step_by(500) {
            let mut puppet = Puppet::connected(role);
            puppet.answering(millis(4000), |_| true);
            let selections =
                |puppet: &Puppet| puppet.count(|event| matches!(event, Event::Selected(_)));
            let both = |puppet: &mut Puppet, times| {
                for _ in 0..times {
                    for (from, pause) in [(moved(), lag), (peer(), 6000 - lag)] {
                        puppet.accepted_check(from, says);
                        puppet.answering(millis(pause), |_| true);
                    }
                }
            };
            both(&mut puppet, 4);
            let before = selections(&puppet);
            assert_eq!(before, 2);
            both(&mut puppet, 20);
            assert_eq!(selections(&puppet), before);
        }
    }
}

/// The peer uses many: only an address that it has not told is a new one of the selected candidate.
#[test]
fn a_check_of_another_candidate_of_the_peer_is_no_move() {
    for (role, says) in BOTH_WAYS {
        for early in [false, true] {
            let mut puppet = Puppet::new(role);
            puppet.add(host(peer()));
            if early {
                puppet.add(host(other()));
            }
            puppet.introduce();
            let at_peer = |sent: &Sent| sent.path.remote == peer();
            if role == Role::Controlled {
                puppet.answering(millis(100), at_peer);
                puppet.accepted_check(peer(), NOMINATING);
            }
            puppet.answering(millis(4000), at_peer);
            assert_eq!(puppet.agent.state(), State::Completed);
            if !early {
                puppet.add(host(other()));
            }
            puppet.accepted_check(other(), says);
            let sent = puppet.answering(millis(2000), |_| true);
            assert!(sent.iter().all(at_peer));
            assert_eq!(puppet.target().unwrap().remote, peer());
        }
    }
}

/// The peer may have another base there: it has to know which pair is the one.
#[test]
fn between_agents_that_renominate_the_new_address_is_nominated() {
    let mut puppet = Puppet::new(Role::Controlling);
    puppet.add(host(peer()));
    let mut parameters = puppet.parameters();
    parameters.renomination = true;
    puppet.introduce_as(parameters);
    puppet.answering(millis(4000), |_| true);
    puppet.accepted_check(moved(), CONTROLLED);
    let sent = puppet.answering(millis(100), |_| true);
    let nominated = sent.iter().filter(|sent| sent.nominates());
    let nominated: Vec<_> = nominated.map(|sent| sent.path.remote).collect();
    assert_eq!(nominated, [moved()]);
}

/// It was answered, and not checked, while another path was selected.
#[test]
fn after_a_loss_the_peer_is_checked_where_it_has_asked_from() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.accepted_check(moved(), CONTROLLING);
    puppet.sleep(millis(1000));
    let to_moved = |sent: &Sent| sent.path.remote == moved();
    assert!(!puppet.requests.iter().any(to_moved));
    puppet.sleep(millis(30_000));
    let sent = puppet.next_check(moved());
    puppet.accept(&sent);
    assert_eq!(puppet.target().unwrap().remote, moved());
}

/// Scenario 42: also where a path is lost and everything is checked again.
#[test]
fn a_loss_is_no_reason_to_check_a_silent_address_anew() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
    let to_other = |puppet: &Puppet| {
        let requests = puppet.requests.iter();
        requests.filter(|it| it.path.remote == other()).count()
    };
    puppet.sleep(millis(20_000));
    assert_eq!(to_other(&puppet), 7);
    puppet.requests.clear();
    puppet.accepted_check(peer(), CONTROLLING);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    puppet.accepted_check(peer(), NOMINATING);
    puppet.sleep(millis(60_000));
    assert!(puppet.target().is_none());
    assert_eq!(to_other(&puppet), 0);
}

#[test]
fn a_peer_that_moves_without_end_is_asked_a_bounded_number_of_times() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.answering(millis(4000), |_| true);
    for port in 3000..3500 {
        let from = addr(&format!("198.51.100.2:{port}"));
        puppet.accepted_check(from, CONTROLLING);
        puppet.sleep(millis(10));
    }
    let limit = 50 * 14;
    assert!(puppet.requests.len() <= limit, "{}", puppet.requests.len());
    assert!(puppet.agent.retained() < 1000);
}

// ---- before selection ----------------------------------------------------------------------

/// The pair that carries data before selection is refused, and another one works.
#[test]
fn before_selection_too_another_pair_carries_on() {
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home(), second()]);
    puppet.add(host(peer()));
    puppet.introduce();
    for base in [home(), second()] {
        let sent = puppet.next_check_where(|sent| sent.path.local == base);
        puppet.accept(&sent);
    }
    assert_eq!(puppet.target().unwrap().local, home());
    let now = puppet.now;
    puppet.agent.remove_address(now, home());
    assert_eq!(puppet.target().unwrap().local, second());
    assert_eq!(puppet.agent.state(), State::Connected);
}

/// What was refused when the peer had not yet heard of us is tried again after the loss.
#[test]
fn after_a_loss_failed_pairs_get_another_chance_too() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer()), host(other())]);
    let sent = puppet.next_check(other());
    puppet.refuse(&sent, floe_stun::StatusCode::BAD_REQUEST);
    let sent = puppet.next_check_where(|sent| sent.path.remote == peer());
    puppet.accept(&sent);
    puppet.accepted_check(peer(), NOMINATING);
    puppet.sleep(millis(29_000));
    assert_eq!(puppet.pair(other()).unwrap().state, PairState::Failed);
    while puppet.target().is_some() {
        puppet.sleep(millis(1));
    }
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    assert_eq!(puppet.target().unwrap().remote, other());
}

/// One component is lost, the other stays as it is.
#[test]
fn the_components_of_a_stream_are_lost_and_found_one_by_one() {
    let rtcp = ComponentId::new(0, 2);
    let (one, two) = (addr("192.0.2.1:1001"), addr("198.51.100.2:2001"));
    let locals = [LocalAddress::new(home()), LocalAddress::new(one).on(rtcp)];
    let mut puppet = Puppet::bound(Config::new(Role::Controlling), &locals);
    puppet.add(host(peer()));
    puppet.add(puppet::host_of(rtcp, two));
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.agent.state(), State::Completed);
    let now = puppet.now;
    let late = LocalAddress::new(addr("192.0.2.1:1003")).on(rtcp);
    puppet.agent.add_address(now, late).unwrap();
    puppet.agent.remove_address(now, one);
    assert_ne!(puppet.agent.state(), State::Completed);
    assert!(puppet.target().is_some());
    puppet.drain();
    puppet.answering(millis(3000), |_| true);
    assert_eq!(puppet.agent.state(), State::Completed);
    let selected = puppet.agent.selected_for(rtcp).unwrap();
    assert_eq!(selected.local.address, late.address);
}

/// The nomination of the peer is not forgotten when its pair fails once.
#[test]
fn a_nominated_pair_that_works_at_the_second_try_is_selected() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    puppet.accepted_check(peer(), NOMINATING);
    let sent = puppet.next_check(peer());
    puppet.refuse(&sent, floe_stun::StatusCode::BAD_REQUEST);
    let says = Says {
        nominate: false,
        ..NOMINATING
    };
    puppet.accepted_check(peer(), says);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Completed);
}

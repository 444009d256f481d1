//! The profile that follows the RFC to the letter: how it concludes (RFC 8445 §8, RFC 8863 §4).

mod puppet;

use floe_ice::{
    CandidateKind, ComponentId, Config, FailureCause, LocalAddress, PairState, Role, State,
};
use floe_sansio::{FiveTuple, Input};
use floe_stun::{Class, StatusCode};
use puppet::{
    CONTROLLED, CONTROLLING, NOMINATING, Puppet, Says, Sent, addr, candidate, home, host, host_of,
    millis, other, peer,
};

const FAILED: State = State::Failed(FailureCause::NominationFailed);

fn introduced(role: Role, remotes: &[std::net::SocketAddr]) -> Puppet {
    let mut puppet = Puppet::strict(role);
    for &remote in remotes {
        puppet.add(host(remote));
    }
    puppet.introduce();
    puppet
}

/// The PAC timer is over, and two pairs are still being checked.
fn late(role: Role) -> Puppet {
    let mut puppet = introduced(role, &[]);
    puppet.sleep(millis(39_000));
    puppet.add(host(peer()));
    puppet.add(host(other()));
    puppet.sleep(millis(1000));
    assert_eq!(puppet.agent.state(), State::Checking);
    puppet
}

/// Triggered checks go first, then the nomination, then all others.
///
/// req: ICE-8.1.1-4, ICE-6.1.4.2-2
#[test]
fn a_nomination_is_the_check_again_in_the_queue_of_triggered_ones() {
    let remotes: Vec<_> = (1..=9)
        .map(|n| addr(&format!("198.51.100.{n}:{n}")))
        .collect();
    let mut puppet = introduced(Role::Controlling, &remotes);
    let sent = puppet.next_check(remotes[0]);
    puppet.accepted_check(remotes[8], CONTROLLED);
    puppet.accept(&sent);
    puppet.sleep(millis(150));
    let sent: Vec<_> = puppet
        .requests
        .iter()
        .map(|sent| (sent.path.remote, sent.nominates()))
        .collect();
    let wanted = [(remotes[8], false), (remotes[0], true), (remotes[1], false)];
    assert_eq!(sent, wanted);
}

/// req: ICE-6.1.4.2-4
#[test]
fn a_controlled_agent_concludes_nothing_by_itself() {
    let mut puppet = introduced(Role::Controlled, &[peer(), other()]);
    let sent = puppet.answering(millis(120_000), |_| true);
    assert!(!sent.iter().any(Sent::nominates));
    assert_eq!(puppet.agent.state(), State::Connected);
    assert_eq!(puppet.agent.selected(), None);
}

/// req: PAC-4-3
#[test]
fn no_refused_nomination_fails_a_list_before_the_pac_timer_ends() {
    let mut puppet = introduced(Role::Controlling, &[peer(), other()]);
    let one = puppet.next_check(peer());
    puppet.accept(&one);
    let nomination = puppet.next_nomination();
    puppet.refuse(&nomination, StatusCode::BAD_REQUEST);
    assert_eq!(puppet.agent.state(), State::Checking);
    assert_eq!(puppet.pair(peer()).unwrap().state, PairState::Failed);
    let two = puppet.next_check(other());
    puppet.accept(&two);
    let nomination = puppet.next_nomination();
    puppet.accept(&nomination);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, other());
}

/// Although another pair is valid.
///
/// req: ICE-7.2.5.3.4-2
#[test]
fn a_refused_nomination_fails_the_list() {
    let mut puppet = late(Role::Controlling);
    for remote in [peer(), other()] {
        let sent = puppet.next_check(remote);
        puppet.accept(&sent);
    }
    let nomination = puppet.next_nomination();
    puppet.refuse(&nomination, StatusCode::BAD_REQUEST);
    assert_eq!(puppet.agent.state(), FAILED);
}

/// Although another pair is valid.
///
/// req: ICE-7.3.1.5-2
#[test]
fn a_nominated_pair_whose_own_check_fails_fails_the_list() {
    let mut puppet = late(Role::Controlled);
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    puppet.requests.clear();
    puppet.accepted_check(peer(), NOMINATING);
    let sent = puppet.next_check(peer());
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
    assert_eq!(puppet.agent.state(), FAILED);
}

/// The other pair has been removed by then, or was never known.
///
/// req: ICE-8.1.1-5
#[test]
fn of_several_nominated_pairs_the_best_is_used_in_any_order() {
    for signalled in [true, false] {
        for order in [[peer(), other()], [other(), peer()]] {
            let mut puppet = introduced(Role::Controlled, &[]);
            if signalled {
                puppet.add(host(peer()));
                puppet.add(host(other()));
            }
            puppet.answering(millis(1000), |_| true);
            for address in order {
                let says = Says {
                    priority: host(address).priority,
                    ..NOMINATING
                };
                puppet.accepted_check(address, says);
                puppet.answering(millis(100), |_| true);
            }
            let selected = puppet.agent.selected().unwrap().remote.address;
            assert_eq!(selected, peer(), "{signalled} {order:?}");
            assert_eq!(puppet.target().unwrap().remote, peer());
        }
    }
}

/// req: ICE-7.3.1.5-3
#[test]
fn a_nomination_for_a_stream_that_has_failed_is_refused() {
    let video = ComponentId::new(1, 1);
    let second = addr("192.0.2.1:1001");
    let locals = [
        LocalAddress::new(home()),
        LocalAddress::new(second).on(video),
    ];
    let mut puppet = Puppet::bound(Config::new(Role::Controlled).strict(), &locals);
    puppet.add(host(peer()));
    puppet.add(host_of(video, other()));
    puppet.introduce();
    puppet.answering(millis(40_000), |sent| sent.path.remote == peer());
    assert_eq!(puppet.agent.state(), State::Connected);
    let check = puppet.check(NOMINATING);
    puppet.answers.clear();
    assert_eq!(puppet.deliver_to(second, other(), &check), Input::Handled);
    let refused = (Class::Error, Some(StatusCode::BAD_REQUEST));
    assert_eq!(puppet.answer(), refused);
    // The refusal is signed, and any other check is answered.
    let message = floe_stun::Message::parse(&puppet.answers[0].payload).unwrap();
    assert!(message.verify(&puppet.key(), message.integrity().unwrap()));
    puppet.accepted_check_at(second, other(), CONTROLLING);
}

/// req: ICE-7.2.5.2.2-1, ICE-7.2.5.2.2-2
#[test]
fn a_hard_icmp_error_fails_a_pair_whose_check_is_under_way() {
    let mut puppet = introduced(Role::Controlling, &[peer(), other()]);
    let sent = puppet.next_check(peer());
    let now = puppet.now;
    let unreachable = FiveTuple::udp(home(), peer());
    puppet.agent.unreachable(now, unreachable).unwrap();
    assert_eq!(puppet.pair(peer()).unwrap().state, PairState::Failed);
    assert_ne!(puppet.pair(other()).unwrap().state, PairState::Failed);
    // The answer is too late now.
    let bytes = Puppet::success(&sent, home());
    assert!(matches!(puppet.deliver(peer(), &bytes), Input::Dropped(_)));
    puppet.requests.clear();
    puppet.sleep(millis(39_000));
    assert!(
        puppet
            .requests
            .iter()
            .all(|sent| sent.path.remote == other())
    );
}

/// Anybody can send such an error.
#[test]
fn a_forged_icmp_error_does_not_harm_what_works_or_waits() {
    let mut puppet = introduced(Role::Controlled, &[peer(), other()]);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let before = puppet.state();
    let now = puppet.now;
    for (local, remote) in [
        (home(), peer()),
        (home(), other()),
        (home(), addr("203.0.113.1:1")),
        (addr("192.0.2.77:1"), peer()),
    ] {
        let path = FiveTuple::udp(local, remote);
        puppet.agent.unreachable(now, path).unwrap();
    }
    assert_eq!(puppet.state(), before);
    assert!(puppet.target().is_some());
}

/// Whatever the class of the pair: there is no second nomination.
///
/// req: ICE-8.1.1-2
#[test]
fn a_relayed_pair_stays_selected_when_a_direct_one_works_later() {
    let mut puppet = Puppet::strict(Role::Controlling);
    puppet.add(candidate(CandidateKind::Relayed, other()));
    let mut parameters = puppet.parameters();
    parameters.renomination = true;
    puppet.introduce_as(parameters);
    puppet.answering(millis(2000), |_| true);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, other());
    puppet.add(host(peer()));
    puppet.accepted_check(peer(), CONTROLLED);
    let sent = puppet.answering(millis(20_000), |_| true);
    assert!(
        sent.iter()
            .all(|it| it.path.remote == other() && !it.nominates())
    );
}

//! Restart: a new generation beside a path that goes on (RFC 8445 §9).

mod net;
mod puppet;

use std::time::Duration;

use floe_ice::{
    CandidateKind, CommandError, Config, Event, FailureCause, IceCredentials, RemoteParameters,
    Role, State,
};
use floe_sansio::{DropReason, Input};
use floe_stun::{Class, StatusCode, Username};
use net::{Net, turn_user};
use puppet::{
    CONTROLLED, CONTROLLING, NOMINATING, PEER_PASSWORD, Puppet, Says, Sent, home, host, millis,
    other, peer,
};

const ROLES: [Role; 2] = [Role::Controlling, Role::Controlled];

/// Whom a request of the agent is for, by fragment.
fn recipient(sent: &Sent) -> String {
    let Username(name) = sent.message().get().unwrap().unwrap();
    name.split(':').next().unwrap().to_string()
}

fn selections(puppet: &Puppet) -> usize {
    puppet.count(|event| matches!(event, Event::Selected(_)))
}

/// The strict profile, on its path to [`peer`].
fn strict_connected(role: Role) -> Puppet {
    let mut puppet = Puppet::strict(role);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    if role == Role::Controlled {
        puppet.accepted_check(peer(), NOMINATING);
    }
    assert_eq!(puppet.agent.state(), State::Completed);
    puppet
}

/// req: ICE-9-1, ICE-9-3
#[test]
fn a_restart_changes_both_credentials_in_any_state() {
    let new = Puppet::new(Role::Controlling);
    let checking = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let completed = Puppet::connected(Role::Controlling);
    let mut failed = Puppet::introduced(Role::Controlling, &[host(peer())]);
    failed.sleep(millis(40_000));
    assert!(matches!(failed.agent.state(), State::Failed(_)));
    for mut puppet in [new, checking, completed, failed] {
        let before = puppet.agent.credentials().clone();
        puppet.restart();
        let after = puppet.agent.credentials();
        assert_ne!(before.ufrag(), after.ufrag());
        assert_ne!(before.pwd(), after.pwd());
        assert_eq!(puppet.agent.state(), State::New);
        assert_eq!(puppet.agent.generation(), 1);
        puppet.gather();
        puppet.add(host(peer()));
        puppet.introduce();
        puppet.answering(millis(1000), |_| true);
        assert_eq!(puppet.agent.state(), State::Completed);
    }
}

#[test]
fn a_closed_agent_does_not_restart() {
    let mut puppet = Puppet::connected(Role::Controlling);
    let now = puppet.now;
    puppet.agent.close(now);
    let before = puppet.state();
    assert_eq!(
        puppet.agent.prepare_restart().err(),
        Some(CommandError::Ended)
    );
    assert_eq!(puppet.agent.restart(now), Err(CommandError::Ended));
    assert_eq!(puppet.state(), before);
}

/// req: ICE-6.1.1-2, ICE-6.1.1-3, ICE-9-4
#[test]
fn a_restart_leaves_the_role_whoever_begins_it() {
    for role in ROLES {
        let mut puppet = strict_connected(role);
        puppet.restart();
        assert_eq!(puppet.agent.role(), role);
        let other = puppet.agent.set_role(role.other());
        assert_eq!(other, Err(CommandError::CredentialsSet));
        puppet.add(host(peer()));
        puppet.gather();
        puppet.introduce();
        assert_eq!(
            puppet.next_check_where(|it| recipient(it) == "next").role(),
            role
        );
    }
}

/// The peer, of RFC 5245, has determined the roles anew.
///
/// req: ICE-6.1.1-5
#[test]
fn a_role_that_the_peer_takes_at_a_restart_is_left_to_it() {
    for role in ROLES {
        let mut puppet = strict_connected(role);
        puppet.restart();
        puppet.gather();
        puppet.introduce();
        let says = Says {
            role,
            tie_breaker: if role == Role::Controlling {
                u64::MAX
            } else {
                0
            },
            ..CONTROLLING
        };
        puppet.accepted_check(peer(), says);
        assert_eq!(puppet.agent.role(), role.other());
    }
}

/// Of the session nothing is left but the role and what carries data.
///
/// req: ICE-9-5, ICE-12.1-6
#[test]
fn a_restart_flushes_all_but_the_path() {
    for role in ROLES {
        let mut puppet = strict_connected(role);
        puppet.add(host(other()));
        let path = puppet.target();
        puppet.restart();
        let stats = puppet.agent.stats();
        assert!(stats.pairs.is_empty() && stats.remote_candidates.is_empty());
        assert_eq!(puppet.agent.selected(), None);
        assert_eq!(puppet.target(), path);
        // Until the new generation has a selected pair, valid ones are not used.
        puppet.gather();
        puppet.add(host(other()));
        puppet.introduce();
        let sent = puppet.next_check(other());
        puppet.accept(&sent);
        assert_eq!(puppet.target(), path);
        match role {
            Role::Controlling => {
                let nomination = puppet.next_nomination();
                assert_eq!(puppet.target(), path);
                puppet.accept(&nomination);
            }
            Role::Controlled => puppet.accepted_check(other(), NOMINATING),
        }
        assert_eq!(puppet.target().unwrap().remote, other());
        assert_eq!(puppet.agent.state(), State::Completed);
    }
}

/// req: ICE-9-2
#[test]
fn another_destination_needs_a_restart() {
    let mut puppet = strict_connected(Role::Controlling);
    puppet.credentials = IceCredentials::new("next", PEER_PASSWORD).unwrap();
    let before = puppet.state();
    let (now, parameters) = (puppet.now, puppet.parameters());
    let set = puppet.agent.set_remote_parameters(now, parameters.clone());
    assert_eq!(set, Err(CommandError::CredentialsSet));
    let set = puppet
        .agent
        .set_stream_parameters(now, 0, parameters.clone());
    assert_eq!(set, Err(CommandError::CredentialsSet));
    assert_eq!(
        puppet.agent.set_lite(now, true),
        Err(CommandError::CredentialsSet)
    );
    assert_eq!(puppet.state(), before);
    puppet.agent.restart(now).unwrap();
    puppet.agent.set_lite(now, true).unwrap();
    puppet.agent.set_lite(now, false).unwrap();
    puppet.agent.set_remote_parameters(now, parameters).unwrap();
    // The peer is known again, although nothing is gathered yet.
    assert_eq!(
        puppet.agent.set_lite(now, true),
        Err(CommandError::CredentialsSet)
    );
}

/// req: TRICKLE-15-2
#[test]
fn the_same_credentials_again_are_no_restart_and_others_are() {
    let mut puppet = strict_connected(Role::Controlled);
    puppet.introduce();
    assert_eq!(puppet.agent.state(), State::Completed);
    let now = puppet.now;
    for (ufrag, pwd) in [
        ("peer", "another/password/of/peer"),
        ("next", PEER_PASSWORD),
    ] {
        let credentials = IceCredentials::new(ufrag, pwd).unwrap();
        let parameters = RemoteParameters::new(credentials);
        let set = puppet.agent.set_remote_parameters(now, parameters);
        assert_eq!(set, Err(CommandError::CredentialsSet), "{ufrag}");
    }
}

/// req: TRICKLE-15-1
#[test]
fn a_restart_may_come_before_the_end_of_candidates() {
    let mut puppet = Puppet::strict(Role::Controlling);
    puppet.add(host(peer()));
    puppet.introduce();
    // Once more in the same session, then in a new one.
    puppet.introduce();
    puppet.add(host(other()));
    assert_eq!(puppet.agent.stats().pairs.len(), 2);
    puppet.end_of_candidates();
    puppet.restart();
    puppet.gather();
    puppet.add(host(other()));
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, other());
}

/// req: CONSENT-5.1-11, CONSENT-5.1-15
#[test]
fn the_old_path_keeps_asking_for_consent_with_its_own_credentials() {
    let mut puppet = strict_connected(Role::Controlling);
    puppet.restart();
    let ufrag = puppet.agent.credentials().ufrag().to_string();
    // The answer to the offer takes a minute.
    let sent = puppet.answering(millis(60_000), |_| true);
    assert!(sent.len() >= 10);
    for sent in sent {
        let Username(name) = sent.message().get().unwrap().unwrap();
        assert!(name.starts_with("peer:") && !name.ends_with(&ufrag));
    }
    assert!(puppet.target().is_some());
    // Then it has gone.
    puppet.sleep(millis(30_000));
    assert_eq!(puppet.target(), None);
    assert_eq!(puppet.agent.state(), State::New);
}

/// Scenario 22.
#[test]
fn checks_of_the_old_generation_are_answered_as_long_as_its_path_lives_and_do_nothing_else() {
    let mut puppet = strict_connected(Role::Controlled);
    let old = puppet.agent.credentials().clone();
    puppet.restart();
    puppet.gather();
    puppet.introduce();
    let before = puppet.state();
    for says in [NOMINATING, CONTROLLED] {
        let check = puppet.check_for(&old, says);
        puppet.answers.clear();
        assert_eq!(puppet.deliver(peer(), &check), Input::Handled);
        assert_eq!(puppet.answer().0, Class::Success);
    }
    assert_eq!(puppet.state(), before);
    puppet.accepted_check(peer(), NOMINATING);
    // Three seconds after the new one has a path.
    puppet.answering(millis(4000), |_| true);
    assert_eq!(puppet.agent.state(), State::Completed);
    let check = puppet.check_for(&old, CONTROLLING);
    puppet.answers.clear();
    assert_eq!(puppet.deliver(peer(), &check), Input::Handled);
    assert_eq!(puppet.answer().1, Some(StatusCode::UNAUTHENTICATED));
}

#[test]
fn a_prepared_restart_changes_nothing_but_what_is_answered() {
    let mut puppet = strict_connected(Role::Controlled);
    let now = puppet.agent.credentials().clone();
    let next = puppet.agent.prepare_restart().unwrap().clone();
    assert_ne!(next.ufrag(), now.ufrag());
    assert_eq!(
        puppet.agent.prepare_restart().unwrap(),
        &next,
        "again is harmless"
    );
    assert_eq!(puppet.agent.upcoming_credentials(), Some(&next));
    assert_eq!(puppet.agent.credentials(), &now);
    // The peer is quicker than its answer.
    let check = puppet.check_for(&next, NOMINATING);
    puppet.answers.clear();
    assert_eq!(puppet.deliver(other(), &check), Input::Handled);
    assert_eq!(puppet.answer().0, Class::Success);
    assert!(puppet.requests.is_empty());
    assert_eq!(selections(&puppet), 1);
    // The answer comes: what was remembered is done.
    puppet.restart();
    assert_eq!(puppet.agent.credentials(), &next);
    puppet.gather();
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, other());
}

#[test]
fn a_restart_that_is_rolled_back_leaves_the_session_as_it_was() {
    let mut puppet = strict_connected(Role::Controlled);
    let before = puppet.agent.credentials().clone();
    let next = puppet.agent.prepare_restart().unwrap().clone();
    puppet.agent.cancel_restart();
    assert_eq!(puppet.agent.upcoming_credentials(), None);
    assert_eq!(puppet.agent.credentials(), &before);
    assert_eq!(puppet.agent.state(), State::Completed);
    let check = puppet.check_for(&next, CONTROLLING);
    puppet.answers.clear();
    let _ = puppet.deliver(peer(), &check);
    assert_eq!(puppet.answer().1, Some(StatusCode::UNAUTHENTICATED));
    puppet.accepted_check(peer(), CONTROLLING);
    // The next one has others again.
    assert_ne!(puppet.agent.prepare_restart().unwrap(), &next);
}

/// As often as it likes, no more than two earlier generations are answered.
#[test]
fn restarts_leave_a_bounded_number_of_generations() {
    let mut puppet = strict_connected(Role::Controlled);
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push(puppet.agent.credentials().clone());
        puppet.restart();
    }
    all.push(puppet.agent.credentials().clone());
    let answered = all.iter().filter(|credentials| {
        let check = puppet.check_for(credentials, CONTROLLING);
        puppet.answers.clear();
        let _ = puppet.deliver(peer(), &check);
        puppet.answer().0 == Class::Success
    });
    assert_eq!(answered.count(), 3);
    assert_eq!(puppet.agent.generation(), 10);
}

/// Two in one, and what comes after.
///
/// req: CONSENT-5.1-14, CONSENT-5.1-13
#[test]
fn after_a_loss_of_consent_only_new_credentials_give_it_back() {
    // The default profile goes on after the loss.
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.add(host(other()));
    puppet.sleep(millis(30_000));
    assert_eq!(puppet.target(), None);
    puppet.requests.clear();
    // The peer is back: it is answered, and not asked; what it nominates is refused.
    puppet.accepted_check(peer(), CONTROLLING);
    let check = puppet.check(NOMINATING);
    puppet.answers.clear();
    assert_eq!(puppet.deliver(peer(), &check), Input::Handled);
    assert_eq!(puppet.answer().1, Some(StatusCode::BAD_REQUEST));
    puppet.sleep(millis(5000));
    assert!(
        puppet
            .requests
            .iter()
            .all(|sent| sent.path.remote != peer())
    );
    assert_eq!(puppet.target(), None);
    puppet.restart();
    puppet.gather();
    puppet.add(host(peer()));
    puppet.introduce();
    let sent = puppet.next_check_where(|sent| recipient(sent) == "next");
    assert_eq!(sent.path.remote, peer());
    assert_eq!(puppet.target(), None, "blocked until the answer");
    puppet.accept(&sent);
    assert_eq!(puppet.target().unwrap().remote, peer());
}

/// However many other pairs are made and fail meanwhile.
///
/// req: CONSENT-5.1-14
#[test]
fn a_path_that_lost_consent_is_not_forgotten() {
    let mut config = Config::new(Role::Controlled);
    config.limits.pairs = 4;
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    puppet.accepted_check(peer(), NOMINATING);
    puppet.sleep(millis(28_000));
    // There is still hope.
    puppet.add(host(other()));
    puppet.sleep(millis(2000));
    for port in 1..=20 {
        puppet.accepted_check(puppet::addr(&format!("203.0.113.5:{port}")), CONTROLLING);
        puppet.sleep(millis(20));
    }
    // They fail, so that there is room for others.
    puppet.sleep(millis(20_000));
    puppet.requests.clear();
    puppet.accepted_check(peer(), CONTROLLING);
    puppet.sleep(millis(3000));
    assert!(
        puppet
            .requests
            .iter()
            .all(|sent| sent.path.remote != peer())
    );
}

/// The device slept: the clock jumped, and a packet comes before the timer.
///
/// req: CONSENT-5.1-13
#[test]
fn after_a_long_sleep_no_data_leaves_before_consent() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.now += Duration::from_secs(600);
    puppet.accepted_check(peer(), CONTROLLING);
    assert_eq!(puppet.target(), None);
}

#[test]
fn a_path_after_a_failure_is_told_as_the_first_was() {
    let mut puppet = strict_connected(Role::Controlling);
    let connected = |event: &Event| matches!(event, Event::Connected(_));
    assert_eq!(puppet.count(connected), 1);
    puppet.sleep(millis(30_000));
    let expired = State::Failed(FailureCause::ConsentExpired);
    assert_eq!(puppet.agent.state(), expired);
    puppet.restart();
    puppet.gather();
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.count(connected), 2);
}

#[test]
fn the_cause_of_a_failure_is_that_of_its_generation() {
    let mut puppet = Puppet::connected(Role::Controlling);
    puppet.restart();
    puppet.gather();
    puppet.add(host(other()));
    puppet.introduce();
    puppet.sleep(millis(60_000));
    let failed = State::Failed(FailureCause::ChecksFailed);
    assert_eq!(puppet.agent.state(), failed);
}

/// An answer to a check of the generation before is none to the new one.
#[test]
fn answers_to_old_checks_mean_nothing() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.restart();
    let bytes = Puppet::success(&sent, home());
    let input = puppet.deliver(peer(), &bytes);
    assert_eq!(input, Input::Dropped(DropReason::NoTransaction));
}

fn relaying(role: Role, address: &str) -> Config {
    let mut config = Config::new(role).strict();
    config.addresses = vec![net::addr(address)];
    config.turn_servers = vec![turn_user("secret")];
    config
}

fn told_relays(net: &Net, from: usize) -> Vec<std::net::SocketAddr> {
    let events = net.events[0][from..].iter();
    let candidates = events.filter_map(|(_, event)| match event {
        Event::LocalCandidate(candidate) => Some(candidate),
        _ => None,
    });
    let relays = candidates.filter(|it| it.kind == CandidateKind::Relayed);
    relays.map(|candidate| candidate.address).collect()
}

fn two() -> Net {
    let one = relaying(Role::Controlling, "8.8.4.4:1000");
    let mut two = Config::new(Role::Controlled).strict();
    two.addresses = vec![net::addr("9.9.9.9:2000")];
    Net::new([one, two], 1)
}

/// What a failed agent has given back is no candidate of the next generation.
#[test]
fn relays_that_were_released_are_not_told_again() {
    let mut net = two();
    net.gather(0);
    net.run(millis(500));
    net.introduce(0);
    net.run(millis(60_000));
    assert!(matches!(net.agents[0].state(), State::Failed(_)));
    assert_eq!(net.turn.allocations(), 0);
    let before = net.events[0].len();
    let now = net.now;
    net.agents[0].restart(now).unwrap();
    net.gather(0);
    assert_eq!(told_relays(&net, before), []);
    net.run(millis(1000));
    let told = told_relays(&net, before);
    assert_eq!(told.len(), 1);
    assert_eq!(net.turn.allocations(), 1);
}

/// A relay that lives is told again and not asked for anew.
#[test]
fn relays_that_live_are_told_again() {
    let mut net = two();
    net.gather(0);
    net.run(millis(500));
    let relays = told_relays(&net, 0);
    assert_eq!(relays.len(), 1);
    let before = net.events[0].len();
    let now = net.now;
    net.agents[0].restart(now).unwrap();
    net.gather(0);
    assert_eq!(told_relays(&net, before), relays);
    net.run(millis(1000));
    assert_eq!(net.turn.allocations(), 1);
}

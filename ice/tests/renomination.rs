//! Renomination: where both sides have signalled it, a better class of path takes the place of the
//! selected one (draft-thatcher-ice-renomination).

mod puppet;

use floe_ice::{Candidate, CandidateKind, Config, Event, Role};
use puppet::{CONTROLLED, NOMINATION, Puppet, Sent, candidate, home, host, millis, other, peer};

fn relayed() -> Candidate {
    candidate(CandidateKind::Relayed, other())
}

fn counter(sent: &Sent) -> Option<u32> {
    let message = sent.message();
    let attribute = message.attributes().find(|it| it.kind == NOMINATION)?;
    Some(u32::from_be_bytes(attribute.value.try_into().unwrap()))
}

/// An agent that selected the pair with the relay of a peer that `offers` renomination.
fn on_the_relay(role: Role, config: Config, offers: bool) -> Puppet {
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(relayed());
    let mut parameters = puppet.parameters();
    parameters.renomination = offers;
    puppet.introduce_as(parameters);
    puppet.answering(millis(500), |_| true);
    if role == Role::Controlled {
        puppet.nominate(other(), offers.then_some(1));
    }
    assert_eq!(puppet.agent.selected().unwrap().remote.address, other());
    puppet
}

#[test]
fn it_is_offered_unless_the_rfc_is_followed_to_the_letter() {
    for (config, offers) in [
        (Config::new(Role::Controlling), true),
        (Config::new(Role::Controlling).strict(), false),
    ] {
        let puppet = Puppet::with(config, &[home()]);
        assert_eq!(puppet.agent.offers_renomination(), offers);
    }
}

#[test]
fn a_direct_pair_that_turns_up_later_is_nominated_once_the_relay_was_kept_for_a_second() {
    let mut puppet = on_the_relay(Role::Controlling, Config::new(Role::Controlling), true);
    let selected = puppet.agent.timeline().selected.unwrap();
    puppet.add(host(peer()));
    let sent = puppet.answering(millis(3000), |_| true);
    let nominations: Vec<_> = sent.iter().filter(|sent| sent.nominates()).collect();
    assert_eq!(nominations.len(), 1);
    assert_eq!(nominations[0].path.remote, peer());
    assert!(nominations[0].at - selected >= millis(1000));
    assert_eq!(counter(nominations[0]), Some(2));
    assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
    assert_eq!(puppet.target().unwrap().remote, peer());
    assert_eq!(puppet.count(|event| matches!(event, Event::Selected(_))), 2);
}

#[test]
fn the_time_that_a_pair_is_kept_may_be_set() {
    let mut config = Config::new(Role::Controlling);
    config.dwell = millis(10_000);
    let mut puppet = on_the_relay(Role::Controlling, config, true);
    puppet.add(host(peer()));
    puppet.answering(millis(9000), |_| true);
    assert_eq!(puppet.target().unwrap().remote, other());
    puppet.answering(millis(2000), |_| true);
    assert_eq!(puppet.target().unwrap().remote, peer());
}

/// req: ICE-8.1.1-2
#[test]
fn without_the_word_of_both_sides_there_is_one_nomination() {
    let mut quiet = Config::new(Role::Controlling);
    quiet.renomination = false;
    for (config, offers) in [(Config::new(Role::Controlling), false), (quiet, true)] {
        let mut puppet = on_the_relay(Role::Controlling, config, offers);
        puppet.add(host(peer()));
        puppet.accepted_check(peer(), CONTROLLED);
        let sent = puppet.answering(millis(20_000), |_| true);
        assert!(
            sent.iter()
                .all(|it| it.path.remote == other() && !it.nominates())
        );
    }
}

/// A pair that is no better is not checked, and never nominated.
#[test]
fn there_is_no_change_within_a_class() {
    let mut puppet = Puppet::with(Config::new(Role::Controlling), &[home()]);
    puppet.add(host(other()));
    let mut parameters = puppet.parameters();
    parameters.renomination = true;
    puppet.introduce_as(parameters);
    puppet.answering(millis(500), |_| true);
    puppet.add(host(peer()));
    let sent = puppet.answering(millis(20_000), |_| true);
    assert!(
        sent.iter()
            .all(|it| it.path.remote == other() && !it.nominates())
    );
}

#[test]
fn the_controlled_agent_follows_the_nomination_with_the_highest_counter() {
    let mut puppet = on_the_relay(Role::Controlled, Config::new(Role::Controlled), true);
    puppet.add(host(peer()));
    puppet.answering(millis(500), |_| true);
    puppet.nominate(peer(), Some(3));
    assert_eq!(puppet.target().unwrap().remote, peer());
    puppet.nominate(peer(), Some(5));
    // Overtaken on their way.
    for late in [2, 4] {
        puppet.nominate(other(), Some(late));
        assert_eq!(puppet.target().unwrap().remote, peer());
    }
    // Back to the relay: whatever its priority.
    puppet.nominate(other(), Some(6));
    puppet.answering(millis(500), |_| true);
    assert_eq!(puppet.target().unwrap().remote, other());
}

/// Each counter once, and higher each time.
#[test]
fn counters_grow() {
    let mut puppet = Puppet::with(Config::new(Role::Controlling), &[home()]);
    puppet.add(relayed());
    let mut parameters = puppet.parameters();
    parameters.renomination = true;
    puppet.introduce_as(parameters);
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    // A repetition is the same nomination.
    let one = puppet.next_nomination();
    let again = puppet.next_nomination();
    assert_eq!((counter(&one), counter(&again)), (Some(1), Some(1)));
    puppet.accept(&again);
    puppet.add(host(peer()));
    let sent = puppet.answering(millis(3000), |_| true);
    let counters: Vec<_> = sent.iter().filter_map(counter).collect();
    assert_eq!(counters, [2]);
}

/// Else its peer would take them for old ones, and so would it.
#[test]
fn who_comes_to_control_counts_on_from_the_nominations_of_the_peer() {
    for (last, next) in [(5, 7), (u32::MAX - 2, u32::MAX), (u32::MAX, u32::MAX)] {
        let mut puppet = on_the_relay(Role::Controlled, Config::new(Role::Controlled), true);
        puppet.nominate(other(), Some(last));
        let gives_up = puppet::Says {
            tie_breaker: 0,
            ..CONTROLLED
        };
        puppet.accepted_check(other(), gives_up);
        let sent = puppet.answering(millis(2000), |_| true);
        assert_eq!(puppet.agent.role(), Role::Controlling);
        let again = sent.iter().find_map(counter);
        assert_eq!(again, Some(last.saturating_add(1)));
        puppet.add(host(peer()));
        let sent = puppet.answering(millis(5000), |_| true);
        assert_eq!(sent.iter().find_map(counter), Some(next));
        let followed = last < u32::MAX - 1;
        let selected = puppet.agent.selected().unwrap().remote.address;
        assert_eq!(selected == peer(), followed, "the number has an end");
    }
}

/// The peer may have lost the pair, and have found a way from where it was never seen: what is answered
/// is followed.
#[test]
fn a_nomination_from_an_address_that_is_not_known_is_followed() {
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home()]);
    puppet.add(host(peer()));
    let mut parameters = puppet.parameters();
    parameters.renomination = true;
    puppet.introduce_as(parameters);
    puppet.answering(millis(500), |_| true);
    puppet.nominate(peer(), Some(1));
    assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
    puppet.nominate(other(), Some(2));
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, other());
    assert_eq!(puppet.target().unwrap().remote, other());
}

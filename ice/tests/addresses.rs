//! Addresses that come and go while the session runs.

mod puppet;

use std::net::SocketAddr;

use floe_ice::{CommandError, ComponentId, Config, Event, LocalAddress, Role, State};
use floe_sansio::{DropReason, Input};
use floe_stun::Class;
use puppet::{CONTROLLING, NOMINATING, Puppet, addr, home, host, millis, other, peer};

fn second() -> SocketAddr {
    addr("192.0.2.9:1001")
}

fn told(puppet: &Puppet) -> Vec<SocketAddr> {
    let candidates = puppet.events.iter().filter_map(|event| match event {
        Event::LocalCandidate(candidate) => Some(candidate.address),
        _ => None,
    });
    candidates.collect()
}

fn ends(puppet: &Puppet) -> usize {
    puppet.count(|event| matches!(event, Event::GatheringComplete))
}

fn add(puppet: &mut Puppet, address: SocketAddr) {
    let now = puppet.now;
    puppet.agent.add_address(now, address.into()).unwrap();
    puppet.drain();
}

fn checking(config: Config) -> Puppet {
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet
}

#[test]
fn before_gathering_an_address_is_one_of_those_it_begins_with() {
    let mut puppet = Puppet::ungathered(Config::new(Role::Controlling), &[home().into()]);
    add(&mut puppet, second());
    assert_eq!(told(&puppet), []);
    puppet.gather();
    assert_eq!(told(&puppet), [home(), second()]);
}

/// The peer learns of it from the checks.
///
/// req: TRICKLE-13-6
#[test]
fn an_address_after_the_end_of_gathering_is_checked_and_not_told() {
    let mut puppet = checking(Config::new(Role::Controlling));
    add(&mut puppet, second());
    let sent = puppet.next_check_where(|sent| sent.path.local == second());
    assert_eq!(sent.path.remote, peer());
    puppet.sleep(millis(1000));
    assert_eq!(told(&puppet), [home()]);
    assert_eq!(ends(&puppet), 1);
}

/// req: TRICKLE-10-1, TRICKLE-13-6
#[test]
fn to_the_letter_what_cannot_be_told_is_not_paired() {
    let mut puppet = checking(Config::new(Role::Controlled).strict());
    add(&mut puppet, second());
    puppet.sleep(millis(1000));
    assert!(puppet.requests.iter().all(|sent| sent.path.local == home()));
    assert_eq!(told(&puppet), [home()]);
    // It is a candidate of the next generation.
    puppet.restart();
    puppet.gather();
    assert_eq!(told(&puppet), [home(), home(), second()]);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.next_check_where(|sent| sent.path.local == second());
}

/// A check leaves from no base that the owner has not been told of.
///
/// req: TRICKLE-10-1
#[test]
fn candidates_are_told_before_they_are_checked() {
    let mut config = Config::new(Role::Controlling).strict();
    config.continual = true;
    let mut puppet = checking(config);
    for n in 3..10 {
        let address = addr(&format!("192.0.2.{n}:1000"));
        add(&mut puppet, address);
        assert_eq!(told(&puppet).last(), Some(&address));
        puppet.sleep(millis(100));
    }
    let told = told(&puppet);
    assert!(
        puppet
            .requests
            .iter()
            .all(|it| told.contains(&it.path.local))
    );
    let bases: std::collections::BTreeSet<_> =
        puppet.requests.iter().map(|it| it.path.local).collect();
    assert_eq!(bases.len(), 8);
}

#[test]
fn gathering_that_never_ends_tells_of_every_address_and_of_no_end() {
    let mut config = Config::new(Role::Controlled);
    config.continual = true;
    let mut puppet = checking(config);
    puppet.answering(millis(1000), |_| true);
    puppet.accepted_check(peer(), NOMINATING);
    add(&mut puppet, second());
    assert_eq!(told(&puppet), [home(), second()]);
    puppet.answering(millis(20_000), |_| true);
    assert_eq!(ends(&puppet), 0);
}

#[test]
fn an_address_that_is_held_already_changes_nothing() {
    let mut puppet = checking(Config::new(Role::Controlling));
    let before = puppet.state();
    add(&mut puppet, home());
    assert_eq!(puppet.state(), before);
    let now = puppet.now;
    puppet.agent.remove_address(now, second());
    assert_eq!(puppet.state(), before, "nor one that goes and never came");
}

#[test]
fn with_an_address_go_its_candidates_and_pairs_and_what_comes_there_is_dropped() {
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home(), second()]);
    puppet.add(host(peer()));
    puppet.introduce();
    let sent = puppet.next_check_where(|sent| sent.path.local == second());
    let now = puppet.now;
    puppet.agent.remove_address(now, second());
    let stats = puppet.agent.stats();
    assert_eq!(stats.local_candidates.len(), 1);
    assert!(stats.pairs.iter().all(|pair| pair.local == home()));
    let unknown = Input::Dropped(DropReason::UnknownLocal);
    let answer = Puppet::success(&sent, second());
    let check = puppet.check(CONTROLLING);
    for bytes in [&answer[..], &check, b"data"] {
        assert_eq!(puppet.deliver_to(second(), peer(), bytes), unknown);
    }
    puppet.requests.clear();
    puppet.sleep(millis(10_000));
    assert!(puppet.requests.iter().all(|sent| sent.path.local == home()));
}

/// The same address, once more.
#[test]
fn an_address_that_comes_back_is_checked_again() {
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home(), second()]);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.sleep(millis(100));
    let now = puppet.now;
    puppet.agent.remove_address(now, second());
    puppet.requests.clear();
    add(&mut puppet, second());
    let sent = puppet.next_check_where(|sent| sent.path.local == second());
    puppet.accept(&sent);
    assert_eq!(puppet.target().unwrap().local, second());
}

#[test]
fn an_address_for_what_cannot_be_is_refused_and_changes_nothing() {
    let mut config = Config::new(Role::Controlling);
    config.limits.components = 2;
    let mut puppet = Puppet::with(config, &[home()]);
    let now = puppet.now;
    let at =
        |stream, component| LocalAddress::new(second()).on(ComponentId::new(stream, component));
    let before = puppet.state();
    for (address, error) in [
        (at(0, 0), CommandError::UnknownComponent),
        (at(0, 257), CommandError::UnknownComponent),
    ] {
        assert_eq!(puppet.agent.add_address(now, address), Err(error));
    }
    assert_eq!(puppet.state(), before);
    puppet.agent.add_address(now, at(0, 256)).unwrap();
    let before = puppet.state();
    let third = LocalAddress::new(other()).on(ComponentId::new(1, 1));
    assert_eq!(
        puppet.agent.add_address(now, third),
        Err(CommandError::Capacity)
    );
    assert_eq!(puppet.state(), before);
    puppet.agent.close(now);
    let ended = puppet.agent.add_address(now, LocalAddress::new(other()));
    assert_eq!(ended, Err(CommandError::Ended));
}

/// The peer is known, and its check comes before the owner calls `gather`.
///
/// req: ICE-7.3-5
#[test]
fn checks_that_come_before_gathering_count_when_it_begins() {
    let mut puppet = Puppet::ungathered(Config::new(Role::Controlled), &[home().into()]);
    puppet.introduce();
    puppet.accepted_check(peer(), NOMINATING);
    puppet.gather();
    let sent = puppet.next_check(peer());
    assert_eq!(puppet.agent.selected(), None);
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Completed);
    assert_eq!(puppet.answer().0, Class::Success);
}

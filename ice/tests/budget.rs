//! How much an address that does not answer is sent (RFC 8445 §19.5.1), and what still gets through when
//! that is used up.

mod puppet;
mod room;

use core::net::SocketAddr;

use floe_ice::{Config, PairState, Role};
use floe_sansio::{DropReason, Input};
use puppet::{CONTROLLING, NOMINATING, Puppet, Sent, addr, home, host, millis, other, peer};
use room::Room;

/// A port of the puppet's first address.
fn port(port: u16) -> SocketAddr {
    SocketAddr::new(peer().ip(), port)
}

/// That many addresses of the agent.
fn bases(count: u8) -> Vec<SocketAddr> {
    let base = |at| addr(&format!("192.0.2.{}:1000", 1 + at));
    (0..count).map(base).collect()
}

/// An agent with so many addresses has checked these for as long as it would.
fn silence(count: u8, remotes: &[SocketAddr]) -> Puppet {
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &bases(count));
    for &remote in remotes {
        puppet.add(host(remote));
    }
    puppet.introduce();
    puppet.sleep(millis(15_000));
    puppet
}

fn sent_to(puppet: &Puppet, remote: SocketAddr) -> usize {
    let requests = puppet.requests.iter();
    requests.filter(|sent| sent.path.remote == remote).count()
}

fn sent_from(puppet: &Puppet, local: SocketAddr, remote: SocketAddr) -> usize {
    let requests = puppet.requests.iter();
    let sent = requests.filter(|it| (it.path.local, it.path.remote) == (local, remote));
    sent.count()
}

/// The puppet checks again and again, and answers nothing: how many checks it gets for that.
fn checks_in_return(puppet: &mut Puppet, times: usize, says: puppet::Says) -> usize {
    puppet.requests.clear();
    for _ in 0..times {
        puppet.accepted_check(peer(), says);
        puppet.sleep(millis(20));
    }
    puppet.requests.len()
}

#[test]
fn a_silent_path_gets_seven_checks() {
    assert_eq!(silence(1, &[peer()]).requests.len(), 7);
}

#[test]
fn a_silent_address_gets_28_checks_from_all_bases_together() {
    for (count, checks) in [(4, 28), (10, 10 * 2), (30, 28)] {
        let puppet = silence(count, &[peer()]);
        assert_eq!(puppet.requests.len(), checks, "from {count} bases");
    }
}

/// Others have their own.
#[test]
fn a_silent_host_gets_112_checks_at_all_ports_together() {
    let ports: Vec<_> = (2000..2005).map(port).collect();
    let puppet = silence(4, &ports);
    assert_eq!(puppet.requests.len(), 112);
    let mut remotes = ports;
    remotes.push(other());
    let puppet = silence(4, &remotes);
    assert_eq!(puppet.requests.len(), 112 + 28);
    assert_eq!(sent_to(&puppet, other()), 28);
}

#[test]
fn who_asks_is_asked_once_in_return_up_to_seven_times_and_21_times_who_nominates() {
    let mut puppet = silence(1, &[peer()]);
    assert_eq!(checks_in_return(&mut puppet, 4, CONTROLLING), 4);
    assert_eq!(checks_in_return(&mut puppet, 20, CONTROLLING), 3);
    assert_eq!(checks_in_return(&mut puppet, 10, NOMINATING), 10);
    assert_eq!(checks_in_return(&mut puppet, 20, NOMINATING), 4);
}

/// A request counts for its path alone: from another base nothing was heard.
#[test]
fn who_asks_is_asked_on_the_path_where_he_asked() {
    let mut puppet = silence(2, &[peer()]);
    assert_eq!(checks_in_return(&mut puppet, 4, CONTROLLING), 4);
    assert_eq!(sent_from(&puppet, home(), peer()), 4);
}

/// The peer has selected a pair whose checks this side has lost all: it repeats its nomination.
#[test]
fn a_nomination_gets_a_check_through_where_lost_packets_have_used_the_budget_up() {
    let mut puppet = silence(1, &[peer()]);
    checks_in_return(&mut puppet, 20, CONTROLLING);
    checks_in_return(&mut puppet, 5, NOMINATING);
    puppet.requests.clear();
    puppet.accepted_check(peer(), NOMINATING);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
}

#[test]
fn bases_that_a_server_has_answered_keep_their_share_and_others_share_the_rest() {
    let mut config = Config::new(Role::Controlled);
    config.stun_servers = vec![addr("192.0.2.200:3478")];
    let bases = bases(10);
    let mut puppet = Puppet::with(config, &bases);
    for &base in &bases[..2] {
        puppet.answer_of_server(base, addr("203.0.113.1:5000"));
    }
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.sleep(millis(15_000));
    for (at, &base) in bases.iter().enumerate() {
        // (28 - 2 × 7) / 8
        let share = if at < 2 { 7 } else { 1 };
        assert_eq!(sent_from(&puppet, base, peer()), share, "{base}");
    }
}

// ---- what is under way ---------------------------------------------------------------------

fn with_budget(checks: usize, bases: &[SocketAddr]) -> Puppet {
    let mut config = Config::new(Role::Controlled);
    config.limits.checks_to_silent_address = checks;
    let mut puppet = Puppet::with(config, bases);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet
}

#[test]
fn an_answer_that_comes_after_a_repetition_was_refused_makes_the_pair_valid() {
    let mut puppet = with_budget(2, &[home()]);
    // The third one would leave after 300 ms.
    puppet.sleep(millis(5000));
    assert_eq!(puppet.requests.len(), 2);
    let sent = puppet.requests[0].clone();
    puppet.accept(&sent);
    assert_eq!(puppet.pair(peer()).unwrap().state, PairState::Succeeded);
    assert_eq!(puppet.target().unwrap().remote, peer());
}

#[test]
fn a_pair_whose_repetition_was_refused_is_given_up_as_late_as_any_other() {
    let mut puppet = with_budget(2, &[home()]);
    puppet.sleep(millis(300 + 7900));
    assert_eq!(puppet.pair(peer()).unwrap().state, PairState::InProgress);
    puppet.sleep(millis(200));
    assert_eq!(puppet.pair(peer()).unwrap().state, PairState::Failed);
}

#[test]
fn a_pair_that_may_not_be_checked_at_all_fails_at_once() {
    let second = addr("192.0.2.2:1000");
    let mut puppet = with_budget(1, &[home(), second]);
    puppet.sleep(millis(50));
    let state = |base| {
        let pairs = puppet.agent.stats().pairs;
        let pair = pairs.into_iter().find(|pair| pair.local == base);
        pair.unwrap().state
    };
    assert_eq!(state(home()), PairState::InProgress);
    assert_eq!(state(second), PairState::Failed);
}

/// An agent with room for so many pairs, and what it sends to a peer that nominates again and again.
fn nominating(pairs: usize, times: usize) -> (Puppet, Vec<Sent>) {
    let mut config = Config::new(Role::Controlled);
    config.limits.pairs = pairs;
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    while puppet.requests.len() < times {
        puppet.accepted_check(peer(), NOMINATING);
        puppet.sleep(millis(20));
    }
    let sent = std::mem::take(&mut puppet.requests);
    assert_eq!(sent.len(), times);
    (puppet, sent)
}

/// Whether the answer to a check is taken.
fn is_awaited(puppet: &mut Puppet, sent: &Sent) -> bool {
    let answer = Puppet::success(sent, sent.path.local);
    match puppet.deliver_to(sent.path.local, sent.path.remote, &answer) {
        Input::Handled => true,
        Input::Dropped(DropReason::NoTransaction) => false,
        other => panic!("{other:?}"),
    }
}

/// Two a pair and 16 a component.
#[test]
fn of_the_checks_that_wait_for_their_answers_the_eldest_give_way() {
    let (mut puppet, sent) = nominating(1, 24);
    assert!(!is_awaited(&mut puppet, &sent[24 - (2 + 16) - 1]));
    assert!(is_awaited(&mut puppet, &sent[24 - (2 + 16)]));
}

#[test]
fn checks_of_a_pair_that_is_gone_give_way_before_the_eldest() {
    let (mut puppet, mut sent) = nominating(8, 20);
    for port in 3001..=3007 {
        puppet.add(host(SocketAddr::new(other().ip(), port)));
    }
    puppet.sleep(millis(250));
    // It takes the place of another pair.
    for _ in 0..10 {
        puppet.accepted_check(port(9000), NOMINATING);
        puppet.sleep(millis(20));
    }
    sent.append(&mut puppet.requests);
    let all = sent.len();
    sent.retain(|sent| puppet.pair(sent.path.remote).is_some());
    assert!(sent.len() < all);
    let eldest = sent.len() - (2 * 8 + 16);
    assert!(!is_awaited(&mut puppet, &sent[eldest - 1]));
    assert!(is_awaited(&mut puppet, &sent[eldest]));
}

// ---- answers from elsewhere ----------------------------------------------------------------

/// An agent whose checks to so many ports of the peer were answered from other ones.
fn scattered(times: u16) -> Puppet {
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &bases(2));
    for at in 0..times {
        puppet.add(host(port(2000 + at)));
    }
    puppet.introduce();
    for at in 0..times {
        let asked = |sent: &Sent| (sent.path.local, sent.path.remote) == (home(), port(2000 + at));
        let sent = puppet.next_check_where(asked);
        let answer = Puppet::success(&sent, home());
        assert_eq!(puppet.deliver(port(7000 + at), &answer), Input::Handled);
    }
    puppet
}

/// Whether a check from there is followed by one in return.
fn is_asked(puppet: &mut Puppet, to: SocketAddr, from: SocketAddr, says: puppet::Says) -> bool {
    puppet.accepted_check_at(to, from, says);
    puppet.requests.clear();
    puppet.sleep(millis(20));
    sent_from(puppet, to, from) > 0
}

#[test]
fn a_host_that_answers_from_elsewhere_four_times_is_not_asked_at_ports_it_happens_to_use() {
    let mut puppet = scattered(3);
    assert!(is_asked(&mut puppet, home(), port(9000), CONTROLLING));
    let mut puppet = scattered(4);
    assert!(!is_asked(&mut puppet, home(), port(9000), CONTROLLING));
    assert!(is_asked(&mut puppet, home(), port(9001), NOMINATING));
    // Another host, and from another base.
    let mut puppet = scattered(4);
    assert!(is_asked(&mut puppet, home(), other(), CONTROLLING));
    assert!(is_asked(&mut puppet, bases(2)[1], port(9000), CONTROLLING));
}

/// Each check comes from a new port, where it is worth another one: the two would find ever more.
#[test]
fn a_nat_that_shows_each_packet_another_port_does_not_keep_two_agents_checking() {
    let mut room = Room::hosts();
    room.scatters = true;
    room.exchange(0, 1);
    room.exchange(1, 0);
    room.run(millis(30_000));
    assert!(
        room.requests.iter().all(|&sent| sent <= 20),
        "{:?}",
        room.requests
    );
}

//! What an agent tells about itself: each number moves when it should, and only then.

mod puppet;

use std::time::Duration;

use floe_ice::{CandidateKind, Config, PairState, PairStats, Role, State, Stats};
use floe_sansio::{DropReason, HEADROOM, Input, Instant, TAILROOM};
use floe_stun::StatusCode;
use puppet::{CONTROLLED, CONTROLLING, NOMINATING, Puppet, addr, home, host, millis, other, peer};

fn pair(puppet: &Puppet) -> PairStats {
    puppet.pair(peer()).unwrap()
}

fn send(puppet: &mut Puppet, length: usize) {
    let mut buffer = vec![0; HEADROOM + length + TAILROOM];
    let range = HEADROOM..HEADROOM + length;
    puppet.agent.send(&mut buffer, range).unwrap();
}

#[test]
fn a_pair_is_shown_from_its_making_to_its_selection() {
    let mut puppet = Puppet::new(Role::Controlled);
    puppet.add(host(peer()));
    let shown = pair(&puppet);
    assert_eq!((shown.local, shown.remote), (home(), peer()));
    assert_eq!(shown.state, PairState::Frozen);
    assert_eq!(shown.requests_sent, 0);
    let priority = floe_ice::pair_priority(host(peer()).priority, 2_130_706_431);
    assert_eq!(shown.priority, priority);
    puppet.introduce();
    assert_eq!(pair(&puppet).state, PairState::InProgress);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let shown = pair(&puppet);
    assert_eq!(shown.state, PairState::Succeeded);
    assert!(shown.active && !shown.nominated && !shown.relayed);
    puppet.accepted_check(peer(), NOMINATING);
    assert!(pair(&puppet).nominated);
}

#[test]
fn a_failed_pair_is_shown_as_such() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
    let shown = pair(&puppet);
    assert_eq!(shown.state, PairState::Failed);
    assert!(!shown.active);
    assert_eq!(shown.responses_received, 1);
}

#[test]
fn checks_and_answers_of_both_sides_are_counted() {
    let counts = |puppet: &Puppet| {
        let shown = pair(puppet);
        [
            shown.requests_sent,
            shown.responses_received,
            shown.requests_received,
            shown.responses_sent,
        ]
    };
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    assert_eq!(counts(&puppet), [1, 0, 0, 0]);
    let _ = puppet.next_check(peer());
    let again = puppet.next_check(peer());
    assert_eq!(counts(&puppet), [2, 0, 0, 0], "a repetition");
    puppet.accept(&again);
    assert_eq!(counts(&puppet), [2, 1, 0, 0]);
    puppet.accepted_check(peer(), CONTROLLING);
    assert_eq!(counts(&puppet), [2, 1, 1, 1]);
    // One from somebody else is none.
    let mut forged = puppet.check(CONTROLLING);
    let len = forged.len();
    forged[len - 20] ^= 1;
    let _ = puppet.deliver(peer(), &forged);
    assert_eq!(counts(&puppet), [2, 1, 1, 1]);
    puppet.accepted_check(peer(), NOMINATING);
    let consent = puppet.next_consent();
    assert_eq!(counts(&puppet), [3, 1, 2, 2]);
    puppet.accept(&consent);
    assert_eq!(counts(&puppet), [3, 2, 2, 2]);
}

/// The first check of an unknown address is counted with the pair that it makes.
#[test]
fn the_check_that_reveals_a_candidate_is_counted() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[]);
    puppet.accepted_check(peer(), CONTROLLING);
    let shown = pair(&puppet);
    assert_eq!((shown.requests_received, shown.responses_sent), (1, 1));
}

#[test]
fn round_trips_are_the_last_one_and_their_sum() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    assert_eq!(pair(&puppet).current_round_trip, Duration::ZERO);
    puppet.sleep(millis(30));
    puppet.accept(&sent);
    let shown = pair(&puppet);
    assert_eq!(shown.current_round_trip, millis(30));
    assert_eq!(shown.total_round_trip, millis(30));
    puppet.accepted_check(peer(), NOMINATING);
    let sent = puppet.next_consent();
    puppet.sleep(millis(12));
    puppet.accept(&sent);
    let shown = pair(&puppet);
    assert_eq!(shown.current_round_trip, millis(12));
    assert_eq!(shown.total_round_trip, millis(42));
}

#[test]
fn data_is_counted_where_it_goes_and_comes() {
    let mut puppet = Puppet::connected(Role::Controlled);
    let shown = pair(&puppet);
    assert_eq!((shown.packets_sent, shown.packets_received), (0, 0));
    assert_eq!((shown.last_sent, shown.last_received), (None, None));
    // The agent's clock is that of the last call.
    let sent_at = puppet.now;
    send(&mut puppet, 100);
    send(&mut puppet, 20);
    puppet.sleep(millis(10));
    assert!(matches!(puppet.deliver(peer(), b"hello"), Input::Data(_)));
    let shown = pair(&puppet);
    assert_eq!((shown.packets_sent, shown.bytes_sent), (2, 120));
    assert_eq!((shown.packets_received, shown.bytes_received), (1, 5));
    assert_eq!(shown.last_sent, Some(sent_at));
    assert_eq!(shown.last_received, Some(puppet.now));
}

/// What comes over another pair of the peer is counted there.
#[test]
fn data_over_another_pair_is_that_pairs() {
    let mut puppet = Puppet::connected(Role::Controlled);
    puppet.accepted_check(other(), NOMINATING);
    assert!(matches!(puppet.deliver(other(), b"hello"), Input::Data(_)));
    assert_eq!(pair(&puppet).packets_received, 0);
    assert_eq!(puppet.pair(other()).unwrap().bytes_received, 5);
}

/// The numbers of a path stay with its pair when another takes over.
#[test]
fn counters_survive_a_change_of_path() {
    let second = addr("192.0.2.9:1001");
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home(), second]);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.answering(millis(200), |_| true);
    send(&mut puppet, 50);
    let says = NOMINATING;
    puppet.accepted_check_at(second, peer(), says);
    send(&mut puppet, 7);
    let pairs = puppet.agent.stats().pairs;
    let sent = |base| pairs.iter().find(|it| it.local == base).unwrap().bytes_sent;
    assert_eq!((sent(home()), sent(second)), (50, 7));
}

/// What was sent before the agents agreed on the pair counts on.
#[test]
fn counters_survive_the_selection_of_the_path_that_carries_data_already() {
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home()]);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.answering(millis(200), |_| true);
    send(&mut puppet, 50);
    puppet.accepted_check(peer(), NOMINATING);
    assert!(puppet.agent.selected().is_some());
    send(&mut puppet, 7);
    assert_eq!(puppet.pair(peer()).unwrap().bytes_sent, 57);
}

#[test]
fn candidates_of_both_sides_are_shown() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    puppet.accepted_check(other(), CONTROLLING);
    let sent = puppet.next_check(peer());
    let bytes = Puppet::success(&sent, addr("203.0.113.7:4444"));
    let _ = puppet.deliver(peer(), &bytes);
    let Stats {
        local_candidates,
        remote_candidates,
        ..
    } = puppet.agent.stats();
    let kinds: Vec<_> = local_candidates.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [CandidateKind::Host, CandidateKind::PeerReflexive]);
    let addresses: Vec<_> = remote_candidates.iter().map(|it| it.address).collect();
    assert_eq!(addresses, [peer(), other()]);
}

#[test]
fn role_and_generation_are_those_of_the_moment() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let stats = puppet.agent.stats();
    assert_eq!((stats.role, stats.generation), (Role::Controlling, 0));
    let sent = puppet.next_check(peer());
    puppet.refuse(&sent, StatusCode::ROLE_CONFLICT);
    puppet.restart();
    let stats = puppet.agent.stats();
    assert_eq!((stats.role, stats.generation), (Role::Controlled, 1));
}

#[test]
fn the_timeline_says_when_what_happened() {
    let mut puppet = Puppet::new(Role::Controlling);
    let nothing = puppet.agent.timeline().clone();
    let times = |puppet: &Puppet| {
        let line = puppet.agent.timeline();
        [
            line.started,
            line.first_check,
            line.first_valid,
            line.connected,
            line.selected,
        ]
    };
    assert_eq!(times(&puppet), [None; 5]);
    assert_eq!(nothing.switch_count, 0);
    let after = |ms: u64| Some(Instant::from_secs(1) + millis(ms));
    puppet.sleep(millis(10));
    puppet.introduce();
    assert_eq!(times(&puppet), [after(10), None, None, None, None]);
    puppet.sleep(millis(10));
    puppet.add(host(peer()));
    let sent = puppet.next_check(peer());
    assert_eq!(times(&puppet)[1], after(20));
    puppet.sleep(millis(10));
    puppet.accept(&sent);
    assert_eq!(times(&puppet)[2..], [after(30), after(30), None]);
    let nomination = puppet.next_nomination();
    puppet.sleep(millis(10));
    puppet.accept(&nomination);
    let all = [after(10), after(20), after(30), after(30), after(40)];
    assert_eq!(times(&puppet), all);
    // What comes again is not the first.
    puppet.restart();
    puppet.gather();
    puppet.add(host(other()));
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.agent.state(), State::Completed);
    assert_eq!(times(&puppet), all);
    let line = puppet.agent.timeline();
    assert_eq!((line.switches.len(), line.switch_count), (1, 1));
    assert_eq!(line.switches[0].from.unwrap().remote, peer());
    assert_eq!(line.switches[0].to.remote, other());
}

/// A path that changes for ever fills no memory.
#[test]
fn the_first_64_switches_are_kept_and_all_are_counted() {
    let second = addr("192.0.2.9:1001");
    let mut puppet = Puppet::with(Config::new(Role::Controlled), &[home(), second]);
    puppet.add(host(peer()));
    puppet.introduce();
    for round in 0..100 {
        puppet.answering(millis(1000), |_| true);
        let (gone, back) = if round % 2 == 0 {
            (home(), second)
        } else {
            (second, home())
        };
        assert!(puppet.target().is_some());
        let now = puppet.now;
        puppet.agent.remove_address(now, gone);
        puppet.agent.add_address(now, gone.into()).unwrap();
        puppet.drain();
        let _ = back;
    }
    let line = puppet.agent.timeline();
    assert_eq!(line.switches.len(), 64);
    assert!(line.switch_count >= 99, "{}", line.switch_count);
}

#[test]
fn drops_are_counted_by_reason() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    let sent = puppet.next_check(peer());
    let of = |puppet: &Puppet, reason| puppet.agent.stats().drops.of(reason);
    assert_eq!(puppet.agent.stats().drops.total(), 0);
    let _ = puppet.deliver(other(), b"data");
    let _ = puppet.deliver_to(other(), peer(), b"data");
    let bytes = Puppet::success(&sent, home());
    let _ = puppet.deliver(peer(), &bytes);
    for _ in 0..3 {
        let _ = puppet.deliver(peer(), &bytes);
    }
    assert_eq!(of(&puppet, DropReason::UnknownRemote), 1);
    assert_eq!(of(&puppet, DropReason::UnknownLocal), 1);
    assert_eq!(of(&puppet, DropReason::NoTransaction), 3);
    assert_eq!(puppet.agent.stats().drops.total(), 5);
}

#[test]
fn active_paths_say_until_when_the_peer_has_consented() {
    let mut puppet = Puppet::introduced(Role::Controlled, &[host(peer())]);
    assert_eq!(puppet.agent.active_paths().count(), 0);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let paths: Vec<_> = puppet.agent.active_paths().collect();
    let (_, path, until) = paths[0];
    assert_eq!(path.remote, peer());
    assert_eq!(until, puppet.now + millis(30_000));
    let _ = CONTROLLED;
}

//! Which pairs are made of the candidates of both sides (RFC 8445 §6.1.2, RFC 8838 §10 and §11).

mod puppet;

use floe_ice::{Candidate, CandidateKind, Config, Event, PairState, Role};
use floe_sansio::Input;
use floe_stun::{Class, XorMappedAddress};
use puppet::{Puppet, addr, candidate, home, host, millis, other, peer};

fn stun_server() -> std::net::SocketAddr {
    addr("192.0.2.200:3478")
}

/// The outside of the agent's NAT.
fn outside() -> std::net::SocketAddr {
    addr("203.0.113.7:4444")
}

/// The STUN server sees the agent outside.
fn reflexive(puppet: &mut Puppet) {
    let sent = puppet.next_check(stun_server());
    let id = sent.message().transaction_id();
    let answer = Puppet::build(Class::Success, id, |it| {
        it.with(&XorMappedAddress(outside()))
    });
    assert_eq!(puppet.deliver(stun_server(), &answer), Input::Handled);
    let told = |event: &Event| matches!(event, Event::LocalCandidate(it) if it.kind == CandidateKind::ServerReflexive);
    assert_eq!(puppet.count(told), 1);
}

fn behind_a_nat() -> Puppet {
    let mut config = Config::new(Role::Controlling).strict();
    config.stun_servers = vec![stun_server()];
    Puppet::with(config, &[home()])
}

/// The same address, of this kind: the lesser, and the better one.
fn as_reflexive() -> Candidate {
    candidate(CandidateKind::ServerReflexive, peer())
}

/// Whether it is found before or after the candidates of the peer.
///
/// req: ICE-6.1.2.4-1, TRICKLE-10-3
#[test]
fn a_reflexive_candidate_is_replaced_by_its_base_and_makes_no_pair_of_its_own() {
    for first in [true, false] {
        let mut puppet = behind_a_nat();
        if first {
            reflexive(&mut puppet);
        }
        puppet.add(host(peer()));
        puppet.introduce();
        if !first {
            reflexive(&mut puppet);
        }
        puppet.add(host(other()));
        let pairs = puppet.agent.stats().pairs;
        let paths: Vec<_> = pairs.iter().map(|it| (it.local, it.remote)).collect();
        assert_eq!(paths, [(home(), peer()), (home(), other())]);
        puppet.sleep(millis(1000));
        assert!(puppet.requests.iter().all(|sent| sent.path.local == home()));
    }
}

/// req: ICE-6.1.2.4-2
#[test]
fn of_two_candidates_with_one_address_the_better_one_makes_the_pair() {
    for order in [
        [as_reflexive(), host(peer())],
        [host(peer()), as_reflexive()],
    ] {
        let mut puppet = Puppet::strict(Role::Controlling);
        for candidate in order {
            puppet.add(candidate);
        }
        let pairs = puppet.agent.stats().pairs;
        assert_eq!(pairs.len(), 1);
        let ours = puppet.agent.local_candidates().next().unwrap().priority;
        let wanted = floe_ice::pair_priority(ours, host(peer()).priority);
        assert_eq!(pairs[0].priority, wanted);
        let remotes = puppet.agent.stats().remote_candidates;
        assert_eq!(remotes, [host(peer())]);
    }
}

/// req: TRICKLE-10-4
#[test]
fn a_pair_that_is_checked_or_was_is_not_pruned_by_a_better_one() {
    for answered in [false, true] {
        let mut puppet = Puppet::strict(Role::Controlled);
        puppet.add(as_reflexive());
        puppet.introduce();
        let sent = puppet.next_check(peer());
        if answered {
            puppet.accept(&sent);
        }
        let before = puppet.pair(peer()).unwrap();
        let wanted = if answered {
            PairState::Succeeded
        } else {
            PairState::InProgress
        };
        assert_eq!(before.state, wanted);
        puppet.add(host(peer()));
        let after = puppet.pair(peer()).unwrap();
        assert_eq!(puppet.agent.stats().pairs.len(), 1);
        assert_eq!((after.id, after.state), (before.id, before.state));
        assert_eq!(after.priority, before.priority);
        if !answered {
            puppet.accept(&sent);
        }
        assert_eq!(puppet.target().unwrap().remote, peer());
    }
}

/// A peer that names one address again and again, and always a better one.
#[test]
fn candidates_of_one_address_are_held_once() {
    let mut puppet = Puppet::new(Role::Controlling);
    for n in 1..2000 {
        let mut candidate = host(peer());
        candidate.priority = n;
        candidate.foundation = format!("f{n}");
        puppet.add(candidate);
    }
    assert!(
        puppet.agent.retained() <= 210,
        "{}",
        puppet.agent.retained()
    );
}

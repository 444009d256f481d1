//! The lite role: host candidates, no checks (RFC 8445 §5.2, §7.3.2, §8.2, §12.1.1).

mod puppet;

use std::net::SocketAddr;

use floe_ice::{
    Candidate, CandidateKind, CommandError, ComponentId, Config, Event, FailureCause, LocalAddress,
    Role, State, TurnServer,
};
use floe_sansio::{HEADROOM, Input, TAILROOM};
use floe_stun::{AttributeType, Class, Credentials, Message, StatusCode};
use puppet::{
    CONTROLLED, CONTROLLING, NOMINATING, Puppet, Says, addr, home, host, host_of, millis, other,
    peer,
};

const RTP: ComponentId = ComponentId::new(0, 1);
const RTCP: ComponentId = ComponentId::new(0, 2);

fn lite(role: Role) -> Config {
    let mut config = Config::new(role).strict();
    config.lite = true;
    config
}

fn rtcp_home() -> SocketAddr {
    addr("192.0.2.1:1001")
}

/// A lite agent of RTP and RTCP, and a full peer.
fn two_components() -> Puppet {
    let locals = [
        LocalAddress::new(home()),
        LocalAddress::new(rtcp_home()).on(RTCP),
    ];
    let mut puppet = Puppet::bound(lite(Role::Controlled), &locals);
    puppet.introduce();
    puppet
}

/// A lite agent that the peer has nominated a pair to.
fn nominated() -> Puppet {
    let mut puppet = Puppet::with(lite(Role::Controlled), &[home()]);
    puppet.introduce();
    puppet.accepted_check(peer(), NOMINATING);
    puppet
}

/// A lite agent with these addresses and a lite peer with these candidates.
fn between_lites(role: Role, locals: &[SocketAddr], remotes: &[SocketAddr]) -> Puppet {
    let mut puppet = Puppet::with(lite(role), locals);
    for &remote in remotes {
        puppet.add(host(remote));
    }
    let mut parameters = puppet.parameters();
    parameters.lite = true;
    puppet.introduce_as(parameters);
    puppet
}

fn told(puppet: &Puppet) -> Vec<Candidate> {
    let candidates = puppet.events.iter().filter_map(|event| match event {
        Event::LocalCandidate(candidate) => Some(candidate.clone()),
        _ => None,
    });
    candidates.collect()
}

fn sends(puppet: &mut Puppet, component: ComponentId) -> bool {
    let mut buffer = [0; HEADROOM + 4 + TAILROOM];
    let range = HEADROOM..HEADROOM + 4;
    puppet.agent.send_on(component, &mut buffer, range).is_ok()
}

// ---- candidates ----------------------------------------------------------------------------

/// req: ICE-5.2-1, ICE-5.2-3
#[test]
fn a_lite_agent_has_one_host_candidate_of_each_address_and_component() {
    let mut config = lite(Role::Controlled);
    config.stun_servers = vec![addr("192.0.2.200:3478")];
    let credentials = Credentials::new("alice", "secret");
    config.turn_servers = vec![TurnServer::new(addr("192.0.2.200:3478"), credentials)];
    let locals = [
        LocalAddress::new(home()),
        LocalAddress::new(addr("192.0.2.1:1007")),
        LocalAddress::new(rtcp_home()).on(RTCP),
    ];
    let mut puppet = Puppet::bound(config, &locals);
    puppet.sleep(millis(10_000));
    assert!(puppet.requests.is_empty());
    let told = told(&puppet);
    assert!(told.iter().all(|it| it.kind == CandidateKind::Host));
    let addresses: Vec<_> = told.iter().map(|it| (it.component, it.address)).collect();
    assert_eq!(addresses, [(RTP, home()), (RTCP, rtcp_home())]);
    assert!(matches!(
        puppet.events.last(),
        Some(Event::GatheringComplete)
    ));
}

/// req: ICE-5.2-4, ICE-5.2-5
#[test]
fn foundations_are_those_of_the_addresses_and_priorities_unique() {
    let v6 = addr("[2001:db8::1]:1000");
    let locals = [
        LocalAddress::new(home()),
        LocalAddress::new(v6),
        LocalAddress::new(addr("[2001:db8::2]:1000")),
        LocalAddress::new(rtcp_home()).on(RTCP),
        LocalAddress::new(addr("[2001:db8::1]:1001")).on(RTCP),
    ];
    let puppet = Puppet::bound(lite(Role::Controlled), &locals);
    let told = told(&puppet);
    assert_eq!(told.len(), 5);
    for one in &told {
        for two in &told {
            let same = one.address.ip() == two.address.ip();
            assert_eq!(one.foundation == two.foundation, same);
            assert_eq!(one.priority == two.priority, one == two);
        }
    }
}

/// req: ICE-5.2-6
#[test]
fn preferences_are_65535_for_ipv4_alone_and_precedences_of_rfc_6724_beside_ipv6() {
    let v6 = addr("[2001:db8::1]:1000");
    for (locals, wanted) in [
        (vec![home()], vec![65535]),
        (vec![v6], vec![40]),
        (vec![home(), v6, addr("[fd00::1]:1000")], vec![35, 40, 3]),
    ] {
        let puppet = Puppet::with(lite(Role::Controlled), &locals);
        let priorities: Vec<_> = told(&puppet).iter().map(|it| it.priority).collect();
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|preference: u32| 126 << 24 | preference << 8 | 255)
            .collect();
        assert_eq!(priorities, wanted);
    }
}

// ---- a full peer ---------------------------------------------------------------------------

/// req: ICE-7.3.2-1, ICE-8.2-1
#[test]
fn the_pair_of_an_accepted_nomination_is_valid_and_selected() {
    let mut puppet = Puppet::with(lite(Role::Controlled), &[home()]);
    puppet.introduce();
    puppet.accepted_check(peer(), CONTROLLING);
    assert_eq!(puppet.agent.state(), State::Checking, "not nominated yet");
    puppet.accepted_check(peer(), NOMINATING);
    assert_eq!(puppet.agent.state(), State::Completed);
    let selected = puppet.agent.selected().unwrap();
    assert_eq!(selected.local.address, home());
    assert_eq!(selected.remote.address, peer());
    assert!(puppet.requests.is_empty(), "it checks nothing");
}

/// req: ICE-8.2-1
#[test]
fn a_lite_agent_is_complete_with_its_last_component() {
    let mut puppet = two_components();
    puppet.accepted_check(peer(), NOMINATING);
    assert_ne!(puppet.agent.state(), State::Completed);
    puppet.accepted_check_at(rtcp_home(), other(), NOMINATING);
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// req: ICE-12.1.1-1
#[test]
fn a_lite_agent_sends_no_data_before_each_component_has_a_pair() {
    let mut puppet = two_components();
    puppet.accepted_check(peer(), NOMINATING);
    assert!(!sends(&mut puppet, RTP));
    puppet.accepted_check_at(rtcp_home(), other(), NOMINATING);
    assert!(sends(&mut puppet, RTP) && sends(&mut puppet, RTCP));
}

/// Of several nominated pairs the best is used, in any order, also of candidates nobody told.
///
/// req: ICE-8.1.1-5
#[test]
fn a_lite_agent_follows_an_rfc_5245_peer() {
    let (low, high) = (0x6E00_01FF, 0x7E00_01FF);
    for order in [
        [(peer(), low), (other(), high)],
        [(other(), high), (peer(), low)],
    ] {
        let mut puppet = Puppet::with(lite(Role::Controlled), &[home()]);
        puppet.introduce();
        for (address, priority) in order {
            let says = Says {
                priority,
                ..NOMINATING
            };
            puppet.accepted_check(address, says);
        }
        assert_eq!(puppet.agent.selected().unwrap().remote.address, other());
        assert_eq!(puppet.target().unwrap().remote, other());
    }
}

/// A full peer always controls: there is no conflict to repair.
///
/// req: ICE-6.1.1-1
#[test]
fn a_lite_agent_is_controlled_by_a_full_peer_and_stays_so() {
    let mut puppet = Puppet::with(lite(Role::Controlling), &[home()]);
    puppet.introduce();
    assert_eq!(puppet.agent.role(), Role::Controlled);
    for tie_breaker in [0, u64::MAX] {
        let says = Says {
            tie_breaker,
            ..CONTROLLED
        };
        puppet.accepted_check(peer(), says);
        assert_eq!(puppet.agent.role(), Role::Controlled);
    }
}

/// req: PAC-4-1
#[test]
fn a_lite_agent_whose_peer_never_comes_fails_in_the_end() {
    for candidates in [false, true] {
        let mut puppet = Puppet::with(lite(Role::Controlled), &[home()]);
        if candidates {
            puppet.add(host(peer()));
        }
        puppet.introduce();
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

/// A nomination for what has no room is refused.
///
/// req: ICE-7.3.1.5-3
#[test]
fn a_nomination_that_finds_no_room_is_refused() {
    let mut config = lite(Role::Controlled);
    config.limits.remote_candidates = 1;
    let mut puppet = Puppet::with(config, &[home()]);
    puppet.introduce();
    puppet.accepted_check(peer(), NOMINATING);
    let check = puppet.check(NOMINATING);
    puppet.answers.clear();
    assert_eq!(puppet.deliver(other(), &check), Input::Handled);
    let refused = (Class::Error, Some(StatusCode::BAD_REQUEST));
    assert_eq!(puppet.answer(), refused);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
}

// ---- keepalives ----------------------------------------------------------------------------

/// req: ICE-11-3, ICE-11-4, ICE-11-5, ICE-11-13, ICE-11-14
#[test]
fn the_selected_pair_is_kept_open_by_an_indication_after_15_silent_seconds() {
    let mut puppet = nominated();
    puppet.answers.clear();
    puppet.sleep(millis(14_999));
    assert!(puppet.answers.is_empty());
    puppet.sleep(millis(1));
    assert_eq!(puppet.answers.len(), 1);
    let path = puppet.answers[0].path;
    assert_eq!((path.local, path.remote), (home(), peer()));
    let message = Message::parse(&puppet.answers[0].payload).unwrap();
    assert_eq!(message.class(), Class::Indication);
    // Data, or an answer, does as well.
    puppet.sleep(millis(10_000));
    assert!(puppet.target().is_some());
    puppet.sleep(millis(10_000));
    puppet.accepted_check(peer(), CONTROLLING);
    puppet.answers.clear();
    puppet.sleep(millis(14_999));
    assert!(puppet.answers.is_empty());
    puppet.sleep(millis(1));
    assert_eq!(puppet.answers.len(), 1);
}

/// req: ICE-11-9, ICE-11-10, ICE-11-11
#[test]
fn a_keepalive_has_a_fingerprint_and_nothing_else() {
    let mut puppet = nominated();
    puppet.answers.clear();
    puppet.sleep(millis(15_000));
    let message = Message::parse(&puppet.answers[0].payload).unwrap();
    assert!(message.verify_fingerprint());
    assert_eq!(message.integrity(), None);
    assert_eq!(message.attributes().count(), 0);
    // Header and FINGERPRINT.
    assert_eq!(puppet.answers[0].payload.len(), 20 + 8);
}

/// req: ICE-11-6, ICE-11-7
#[test]
fn the_time_between_keepalives_may_be_longer_and_not_shorter() {
    for (wanted, seconds) in [(1, 15), (40, 40)] {
        let mut config = lite(Role::Controlled);
        config.keepalive = millis(wanted * 1000);
        let mut puppet = Puppet::with(config, &[home()]);
        puppet.introduce();
        puppet.accepted_check(peer(), NOMINATING);
        puppet.answers.clear();
        puppet.sleep(millis(seconds * 1000 - 1));
        assert!(puppet.answers.is_empty());
        puppet.sleep(millis(1));
        assert_eq!(puppet.answers.len(), 1);
    }
}

/// req: ICE-11-8
#[test]
fn keepalives_end_with_the_stream_and_with_the_session() {
    for closes in [false, true] {
        let mut puppet = nominated();
        puppet.answers.clear();
        let now = puppet.now;
        if closes {
            puppet.agent.close(now);
        } else {
            puppet.agent.remove_stream(now, 0).unwrap();
        }
        puppet.sleep(millis(60_000));
        assert!(puppet.answers.is_empty());
    }
}

/// A full agent asks for consent instead, which keeps the path open as well.
///
/// req: ICE-11-3, ICE-11-4
#[test]
fn a_full_agent_is_never_silent_for_15_seconds() {
    let mut puppet = Puppet::connected(Role::Controlling);
    let mut last = puppet.now;
    for sent in puppet.answering(millis(120_000), |_| true) {
        assert_eq!(sent.path.remote, peer());
        assert!(sent.at - last <= millis(15_000));
        last = sent.at;
    }
    assert!(puppet.now - last <= millis(15_000));
}

// ---- a lite peer ---------------------------------------------------------------------------

/// req: ICE-6.1.1-1, ICE-8.2-1
#[test]
fn between_lite_agents_the_only_pair_is_selected_without_checks() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut puppet = between_lites(role, &[home()], &[peer()]);
        assert_eq!(puppet.agent.role(), role);
        assert_eq!(puppet.agent.state(), State::Checking, "others may follow");
        puppet.end_of_candidates();
        assert_eq!(puppet.agent.state(), State::Completed);
        assert_eq!(puppet.target().unwrap().remote, peer());
        puppet.sleep(millis(10_000));
        assert!(puppet.requests.is_empty());
    }
}

/// A peer that says nothing of an end has said it when the PAC timer ends.
#[test]
fn between_lite_agents_silence_counts_as_the_end_of_candidates() {
    let mut puppet = between_lites(Role::Controlling, &[home()], &[peer()]);
    puppet.sleep(millis(39_500));
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// req: ICE-8.2-2
#[test]
fn of_several_pairs_the_one_by_rfc_6724_carries_data() {
    let (ula, global) = (addr("[fd00::2]:2000"), addr("[2001:db8::2]:2000"));
    let locals = [home(), addr("[2001:db8::1]:1000")];
    for remotes in [[peer(), ula, global], [global, ula, peer()]] {
        let mut puppet = between_lites(Role::Controlled, &locals, &remotes);
        puppet.end_of_candidates();
        assert_eq!(puppet.target().unwrap().remote, global);
    }
}

/// req: ICE-8.2-3
#[test]
fn a_choice_between_lite_agents_is_complete_only_after_an_updated_exchange() {
    for role in [Role::Controlling, Role::Controlled] {
        let mut puppet = between_lites(role, &[home()], &[peer(), other()]);
        puppet.end_of_candidates();
        assert_eq!(puppet.agent.state(), State::Connected);
        assert_eq!(puppet.agent.selected(), None);
        let wanted: Vec<_> = puppet
            .events
            .iter()
            .filter_map(|event| match event {
                Event::ReconcileWanted(pair) => Some(pair.remote.address),
                _ => None,
            })
            .collect();
        match role {
            Role::Controlling => assert_eq!(wanted, [puppet.target().unwrap().remote]),
            Role::Controlled => assert_eq!(wanted, []),
        }
        puppet.sleep(millis(60_000));
        assert_eq!(puppet.agent.state(), State::Connected);
        // Whatever this side had chosen.
        for agreed in [peer(), other()] {
            let mut puppet = between_lites(role, &[home()], &[peer(), other()]);
            puppet.end_of_candidates();
            let now = puppet.now;
            let done = puppet.agent.reconcile(now, RTP, home(), agreed);
            done.unwrap();
            assert_eq!(puppet.agent.state(), State::Completed);
            assert_eq!(puppet.target().unwrap().remote, agreed);
        }
    }
}

#[test]
fn only_a_pair_between_lite_agents_is_reconciled() {
    let mut puppet = between_lites(Role::Controlling, &[home()], &[peer(), other()]);
    puppet.end_of_candidates();
    let (now, before) = (puppet.now, puppet.state());
    let nobody = addr("203.0.113.1:1");
    let unusable = Err(CommandError::Unusable);
    assert_eq!(puppet.agent.reconcile(now, RTP, home(), nobody), unusable);
    assert_eq!(puppet.agent.reconcile(now, RTP, nobody, peer()), unusable);
    let unknown = Err(CommandError::UnknownComponent);
    assert_eq!(puppet.agent.reconcile(now, RTCP, home(), peer()), unknown);
    assert_eq!(puppet.state(), before);
    let mut full = Puppet::introduced(Role::Controlling, &[host(peer())]);
    let before = full.state();
    assert_eq!(full.agent.reconcile(now, RTP, home(), peer()), unusable);
    assert_eq!(full.state(), before);
}

/// Components are chosen for one by one.
#[test]
fn between_lite_agents_each_component_takes_its_own_pair() {
    let locals = [
        LocalAddress::new(home()),
        LocalAddress::new(rtcp_home()).on(RTCP),
    ];
    let mut puppet = Puppet::bound(lite(Role::Controlling), &locals);
    puppet.add(host_of(RTP, peer()));
    let mut parameters = puppet.parameters();
    parameters.lite = true;
    puppet.introduce_as(parameters);
    // While one lacks its pair, nothing is sent.
    puppet.add(host_of(RTCP, other()));
    puppet.end_of_candidates();
    assert_eq!(puppet.agent.state(), State::Completed);
    let selected = puppet.agent.selected_for(RTCP).unwrap();
    assert_eq!(selected.remote.address, other());
}

// ---- full becomes lite ---------------------------------------------------------------------

/// req: ICE-6.1.1-3, ICE-6.1.1-4, ICE-9-2
#[test]
fn a_controlling_agent_that_becomes_lite_is_controlled_by_its_full_peer() {
    let mut puppet = Puppet::strict(Role::Controlling);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.agent.state(), State::Completed);
    puppet.restart();
    let now = puppet.now;
    puppet.agent.set_lite(now, true).unwrap();
    assert_eq!(
        puppet.agent.role(),
        Role::Controlling,
        "nobody knows the peer yet"
    );
    puppet.gather();
    puppet.introduce();
    assert_eq!(puppet.agent.role(), Role::Controlled);
    puppet.accepted_check(peer(), NOMINATING);
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// req: ICE-6.1.1-4, ICE-6.1.1-5
#[test]
fn the_full_peer_of_an_agent_that_becomes_lite_takes_control() {
    let mut puppet = Puppet::strict(Role::Controlled);
    puppet.add(host(peer()));
    puppet.introduce();
    puppet.restart();
    puppet.gather();
    puppet.add(host(peer()));
    let mut parameters = puppet.parameters();
    parameters.lite = true;
    puppet.introduce_as(parameters);
    assert_eq!(puppet.agent.role(), Role::Controlling);
    let sent = puppet.answering(millis(1000), |_| true);
    assert!(sent.iter().any(puppet::Sent::nominates));
    assert_eq!(puppet.agent.state(), State::Completed);
}

#[test]
fn after_selection_a_lite_agent_answers_and_does_nothing_else() {
    let mut puppet = nominated();
    puppet.accepted_check(other(), CONTROLLING);
    let message = Message::parse(&puppet.answers[0].payload).unwrap();
    let kinds: Vec<_> = message.attributes().map(|it| it.kind).collect();
    assert_eq!(kinds, [AttributeType::XOR_MAPPED_ADDRESS]);
    assert_eq!(puppet.agent.selected().unwrap().remote.address, peer());
}

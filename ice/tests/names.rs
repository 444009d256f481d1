//! Candidates with names instead of addresses (draft-ietf-mmusic-mdns-ice-candidates).

mod puppet;

use core::net::{IpAddr, SocketAddr};

use floe_ice::{
    CandidateKind, CommandError, Config, Event, FailureCause, NameId, Role, State, Unusable,
};
use floe_sdp::ice as sdp;
use puppet::{CONTROLLING, Puppet, addr, home, host, millis, other, peer};

const NAME: &str = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local";

/// A host candidate with this name and the port of [`peer`].
fn named(name: &str) -> sdp::Candidate {
    let text = format!("candidate:7 1 udp 2113937151 {name} 2000 typ host");
    text.parse().unwrap()
}

fn tell(puppet: &mut Puppet, description: &sdp::Candidate) -> Result<(), CommandError> {
    let told = puppet
        .agent
        .add_remote_description(puppet.now, 0, description);
    puppet.drain();
    told
}

fn answer(puppet: &mut Puppet, id: NameId, addresses: &[IpAddr]) -> Result<(), CommandError> {
    let answered = puppet.agent.resolved(puppet.now, id, addresses);
    puppet.drain();
    answered
}

/// The names that the agent asked for.
fn wanted(puppet: &Puppet) -> Vec<(NameId, String)> {
    let events = puppet.events.iter();
    events
        .filter_map(|event| match event {
            Event::ResolveWanted { id, name } => Some((*id, name.clone())),
            _ => None,
        })
        .collect()
}

/// An agent that was told this name, and its question.
fn asked(role: Role) -> (Puppet, NameId) {
    let mut puppet = Puppet::introduced(role, &[]);
    tell(&mut puppet, &named(NAME)).unwrap();
    let [(id, ref name)] = wanted(&puppet)[..] else {
        panic!("one question wanted");
    };
    assert_eq!(name, NAME);
    (puppet, id)
}

fn remotes(puppet: &Puppet) -> Vec<SocketAddr> {
    let pairs = puppet.agent.stats().pairs;
    pairs.into_iter().map(|pair| pair.remote).collect()
}

#[test]
fn a_name_is_asked_for_and_its_address_is_checked() {
    let (mut puppet, id) = asked(Role::Controlling);
    puppet.sleep(millis(300));
    assert!(puppet.requests.is_empty());
    answer(&mut puppet, id, &[peer().ip()]).unwrap();
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    assert_eq!(puppet.agent.state(), State::Connected);
}

#[test]
fn a_candidate_with_an_address_is_taken_at_once() {
    let mut puppet = Puppet::introduced(Role::Controlling, &[]);
    tell(&mut puppet, &sdp::Candidate::from(&host(peer()))).unwrap();
    assert_eq!((wanted(&puppet), remotes(&puppet)), (vec![], vec![peer()]));
}

/// Scenario 39: one burst of queries for each name, however many candidates have it, now or later,
/// whatever its case.
#[test]
fn each_name_is_asked_for_once() {
    let (mut puppet, id) = asked(Role::Controlling);
    let mut more = named(&NAME.to_ascii_uppercase().replace("LOCAL", "Local"));
    for port in [2000, 2001, 2001] {
        more.port = port;
        tell(&mut puppet, &more).unwrap();
    }
    answer(&mut puppet, id, &[peer().ip()]).unwrap();
    let at = |port| SocketAddr::new(peer().ip(), port);
    assert_eq!(remotes(&puppet), [at(2000), at(2001)]);
    more.port = 2002;
    tell(&mut puppet, &more).unwrap();
    assert_eq!(remotes(&puppet).len(), 3);
    assert_eq!(wanted(&puppet).len(), 1);
}

/// Scenario 39: exactly one address is taken, of a family that this host has.
#[test]
fn of_many_addresses_one_is_used_and_later_answers_make_no_duplicates() {
    let ips =
        |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|ip| ip.parse().unwrap()).collect() };
    let both = [home(), addr("[2001:db8::1]:1000")];
    for (locals, addresses, used) in [
        (
            &both[..1],
            ips(&["198.51.100.2", "198.51.100.3"]),
            "198.51.100.2",
        ),
        (
            &both[..1],
            ips(&["2001:db8::2", "198.51.100.2"]),
            "198.51.100.2",
        ),
        (
            &both[..],
            ips(&["198.51.100.2", "2001:db8::2"]),
            "2001:db8::2",
        ),
        (
            &both[..1],
            ips(&["0.0.0.0", "224.0.0.251", "198.51.100.3"]),
            "198.51.100.3",
        ),
    ] {
        let mut puppet = Puppet::with(Config::new(Role::Controlling), locals);
        puppet.introduce();
        tell(&mut puppet, &named(NAME)).unwrap();
        let id = wanted(&puppet)[0].0;
        answer(&mut puppet, id, &addresses).unwrap();
        let expected = SocketAddr::new(used.parse().unwrap(), 2000);
        assert_eq!(remotes(&puppet), [expected]);
        let again = answer(&mut puppet, id, &ips(&["198.51.100.9"]));
        assert_eq!(again, Err(CommandError::UnknownName));
        assert_eq!(remotes(&puppet), [expected]);
    }
}

/// Scenario 39: the peer's checks come before its name is resolved.
#[test]
fn a_peer_reflexive_candidate_is_upgraded_and_not_doubled() {
    let (mut puppet, id) = asked(Role::Controlled);
    puppet.accepted_check(peer(), CONTROLLING);
    let sent = puppet.next_check(peer());
    puppet.accept(&sent);
    let before = puppet.agent.stats().pairs;
    assert_eq!(puppet.agent.state(), State::Connected);
    assert_eq!(before.len(), 1);
    puppet.accepted_check(peer(), puppet::NOMINATING);
    let kind = |puppet: &Puppet| puppet.agent.selected().unwrap().remote.kind;
    assert_eq!(kind(&puppet), CandidateKind::PeerReflexive);
    answer(&mut puppet, id, &[peer().ip()]).unwrap();
    assert_eq!(kind(&puppet), CandidateKind::Host);
    let after = puppet.agent.stats().pairs;
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].state, before[0].state);
}

/// Scenario 39: with a name that nobody resolves and without it, the same packets at the same times.
#[test]
fn a_name_that_never_resolves_delays_nothing() {
    let session = |names: bool| {
        let mut puppet = Puppet::new(Role::Controlling);
        puppet.introduce();
        if names {
            tell(&mut puppet, &named(NAME)).unwrap();
        }
        puppet.add(host(other()));
        puppet.end_of_candidates();
        let sent = puppet.next_check(other());
        puppet.accept(&sent);
        let sent = puppet.next_nomination();
        puppet.accept(&sent);
        assert_eq!(puppet.agent.state(), State::Completed);
        let times: Vec<_> = puppet.requests.iter().map(|sent| sent.at).collect();
        (puppet.now, times)
    };
    assert_eq!(session(true), session(false));
}

/// Its candidates may still come, until silence counts as their end (RFC 8863).
#[test]
fn a_name_without_an_answer_fails_nobody_before_the_pac_timer_ends() {
    for answered in [false, true] {
        let (mut puppet, id) = asked(Role::Controlling);
        puppet.end_of_candidates();
        if answered {
            answer(&mut puppet, id, &[]).unwrap();
        }
        puppet.sleep(millis(39_499));
        assert_eq!(puppet.agent.state(), State::Checking);
        puppet.sleep(millis(1));
        let failed = State::Failed(FailureCause::NoRemoteCandidates);
        assert_eq!(puppet.agent.state(), failed);
    }
}

/// The end of candidates is about those that were told, not about those whose address is known.
#[test]
fn an_answer_after_the_end_of_candidates_counts() {
    let (mut puppet, id) = asked(Role::Controlling);
    puppet.end_of_candidates();
    let late = tell(&mut puppet, &named("late.local"));
    assert_eq!(late, Err(CommandError::AfterEnd));
    answer(&mut puppet, id, &[peer().ip()]).unwrap();
    assert_eq!(remotes(&puppet), [peer()]);
}

#[test]
fn a_restart_forgets_names_and_asks_anew() {
    let (mut puppet, id) = asked(Role::Controlling);
    puppet.restart();
    let late = answer(&mut puppet, id, &[peer().ip()]);
    assert_eq!(late, Err(CommandError::UnknownName));
    puppet.gather();
    puppet.introduce();
    tell(&mut puppet, &named(NAME)).unwrap();
    let ids: Vec<_> = wanted(&puppet).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    answer(&mut puppet, ids[1], &[peer().ip()]).unwrap();
    assert_eq!(remotes(&puppet), [peer()]);
}

/// Names in other domains, which a resolver would send out into the world, and what no name is.
///
/// req: ICESDP-5.1-3
#[test]
fn names_that_are_not_mdns_are_ignored() {
    let long = format!("{}.local", "a".repeat(64));
    for name in [
        "host.example.org",
        "a.b.local",
        ".local",
        "local",
        "a.local.",
        "a.localhost",
        "a_b.local",
        &long,
    ] {
        let mut puppet = Puppet::introduced(Role::Controlling, &[]);
        let before = puppet.agent.retained();
        let told = tell(&mut puppet, &named(name));
        assert_eq!(told, Err(CommandError::Ignored(Unusable::Name)), "{name}");
        assert_eq!((wanted(&puppet), puppet.agent.retained()), (vec![], before));
    }
    let mut tcp = named(NAME);
    tcp.transport = sdp::CandidateTransport::Tcp;
    let mut puppet = Puppet::introduced(Role::Controlling, &[]);
    let told = tell(&mut puppet, &tcp);
    assert_eq!(told, Err(CommandError::Ignored(Unusable::Transport)));
}

#[test]
fn names_and_what_waits_for_them_are_bounded() {
    let config = Config::new(Role::Controlling);
    let limits = config.limits;
    let mut puppet = Puppet::introduced(Role::Controlling, &[]);
    for number in 0..limits.names {
        tell(&mut puppet, &named(&format!("n{number}.local"))).unwrap();
    }
    let full = Err(CommandError::Capacity);
    assert_eq!(tell(&mut puppet, &named("more.local")), full);
    assert_eq!(wanted(&puppet).len(), limits.names);
    let mut candidate = named("n0.local");
    let refused = (0..1000u16).filter(|&number| {
        candidate.port = 3000 + number;
        tell(&mut puppet, &candidate).is_err()
    });
    let refused = refused.count();
    assert_eq!(1000 - refused, limits.remote_candidates - limits.names);
    // All of them at once.
    let id = wanted(&puppet)[0].0;
    answer(&mut puppet, id, &[peer().ip()]).unwrap();
    assert!(remotes(&puppet).len() <= limits.pairs);
}

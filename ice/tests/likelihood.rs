//! Which pairs are likely to work, and needed: they are checked first, and only they are waited for
//! ([`CheckOrder::LikelyFirst`]).

mod desk;
mod puppet;

use core::time::Duration;
use std::net::SocketAddr;

use desk::{Desk, turn_user};
use floe_ice::{Candidate, CandidateKind, CheckOrder, Config, Event, Role, TcpType, TcpUse};
use floe_sansio::{Input, Instant, Transport};
use floe_stun::{
    Builder, Class, ErrorCode, Key, Lifetime, Message, MessageType, Method, Nonce, Realm,
    StatusCode, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};
use puppet::{CONTROLLED, Puppet, addr, candidate, home, host, millis, other, peer};

/// Another address of the agent.
fn second() -> SocketAddr {
    addr("192.0.2.9:1001")
}

/// Where servers see the agent.
fn outside() -> SocketAddr {
    addr("203.0.113.1:5000")
}

fn relayed() -> Candidate {
    candidate(CandidateKind::Relayed, other())
}

/// A configuration like the default one.
fn like(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::new(Role::Controlling);
    change(&mut config);
    config
}

/// The peer tells these candidates, and that it renominates.
fn introduce(puppet: &mut Puppet, candidates: &[Candidate]) {
    for candidate in candidates {
        puppet.add(candidate.clone());
    }
    let mut parameters = puppet.parameters();
    parameters.renomination = true;
    puppet.introduce_as(parameters);
}

/// An agent that a server has seen at its first address alone.
fn seen(mut config: Config, addresses: &[SocketAddr]) -> Puppet {
    config.stun_servers = vec![addr("192.0.2.200:3478")];
    let mut puppet = Puppet::with(config, addresses);
    puppet.answer_of_server(home(), outside());
    puppet
}

// ---- what is put off -----------------------------------------------------------------------

/// Agents that choose once check everything first.
#[test]
fn an_address_that_no_server_has_answered_to_is_put_off_where_both_sides_renominate() {
    for (ours, theirs) in [(false, false), (false, true), (true, false), (true, true)] {
        let config = like(|config| config.renomination = ours);
        let mut puppet = seen(config, &[home(), second()]);
        puppet.add(host(peer()));
        let mut parameters = puppet.parameters();
        parameters.renomination = theirs;
        puppet.introduce_as(parameters);
        let is_checked = |puppet: &Puppet, from| {
            let mut requests = puppet.requests.iter();
            requests.any(|it| it.path.local == from && it.path.remote == peer())
        };
        puppet.sleep(millis(50));
        assert!(is_checked(&puppet, home()));
        assert_eq!(is_checked(&puppet, second()), !(ours && theirs));
        puppet.sleep(millis(300));
        assert!(is_checked(&puppet, second()));
    }
}

/// The addresses that are checked at once, where the peer tells these candidates.
fn first_checked(config: Config, candidates: &[Candidate]) -> Vec<SocketAddr> {
    let mut puppet = Puppet::with(config, &[home()]);
    introduce(&mut puppet, candidates);
    puppet.sleep(millis(90));
    let requests = puppet.requests.iter();
    requests.map(|sent| sent.path.remote).collect()
}

/// The peer's relay, which was asked for from this address.
fn relay_of(owner: &str) -> Candidate {
    Candidate {
        related: Some(addr(owner)),
        ..relayed()
    }
}

#[test]
fn a_peer_that_no_server_has_seen_but_through_its_relay_is_checked_there_first() {
    let config = || Config::new(Role::Controlling);
    let told = [host(peer()), relay_of("203.0.113.9:9")];
    assert_eq!(first_checked(config(), &told), [other()]);
    let [host, relay] = told;
    assert_eq!(
        first_checked(config(), &[relay.clone(), host.clone()]),
        [other()]
    );
    let reflexive = candidate(CandidateKind::ServerReflexive, addr("203.0.113.9:9"));
    let mut puppet = Puppet::with(config(), &[home()]);
    introduce(&mut puppet, &[host.clone(), relay]);
    puppet.sleep(millis(90));
    assert!(puppet.requests.iter().all(|it| it.path.remote == other()));
    // The server's answer to the peer was late.
    puppet.add(reflexive);
    puppet.sleep(millis(90));
    assert!(
        puppet
            .requests
            .iter()
            .any(|it| it.path.remote == host.address)
    );
}

/// It was seen without a relay, or keeps secret where, or may be reached over TCP.
#[test]
fn a_relay_tells_nothing_against_a_peer_that_a_server_has_seen_or_that_is_not_checked_over_udp() {
    let config = || Config::new(Role::Controlling);
    let reflexive = candidate(CandidateKind::ServerReflexive, addr("203.0.113.9:9"));
    for told in [
        vec![host(peer()), relayed()],
        vec![host(peer()), relay_of("0.0.0.0:9")],
        vec![host(peer()), relay_of("198.51.100.2:2000")],
        vec![host(peer()), relay_of("203.0.113.9:9"), reflexive],
    ] {
        assert!(first_checked(config(), &told).contains(&peer()), "{told:?}");
    }
    let passive = Candidate {
        transport: Transport::Tcp,
        tcp_type: Some(TcpType::Passive),
        ..host(addr("198.51.100.2:2443"))
    };
    let config = like(|config| config.tcp = TcpUse::AfterUdp);
    let mut puppet = Puppet::with(config, &[home()]);
    introduce(
        &mut puppet,
        &[host(peer()), passive, relay_of("203.0.113.9:9")],
    );
    puppet.sleep(millis(90));
    assert_eq!(
        puppet.count(|it| matches!(it, Event::StreamWanted { .. })),
        1
    );
    assert!(puppet.requests.iter().all(|it| it.path.remote == other()));
}

// ---- relays that stand together ------------------------------------------------------------

const TURN: &str = "192.0.2.100:3478";

/// A relay of the server for the peer.
const NEIGHBOUR: &str = "192.0.2.100:60000";

/// An agent with a relay. The server may be one that does not relay to itself.
fn with_relay(mut config: Config, refuses: bool) -> Desk {
    config.addresses = vec![home()];
    config.turn_servers = vec![turn_user(TURN)];
    let mut desk = Desk::new(config);
    if refuses {
        desk.scripts.insert(addr(TURN), refusing);
    }
    desk.gather();
    desk.run_until(1000);
    assert_eq!(desk.of_kind(CandidateKind::Relayed).len(), 1);
    desk
}

/// It lends relays, and no permission for these.
fn refusing(request: &Message<'_>) -> Vec<u8> {
    let key = Key::long_term("alice", "example.org", "secret");
    let mut buffer = [0; 256];
    let id = request.transaction_id();
    let respond = |class| MessageType::new(class, request.method());
    let error = ErrorCode::of;
    let known = request.integrity().is_some();
    let peer = request.get::<XorPeerAddress>().unwrap();
    let for_itself = peer.is_some_and(|it| it.0.ip() == addr(TURN).ip());
    match request.method() {
        Method::ALLOCATE if known => Builder::new(&mut buffer, respond(Class::Success), id)
            .with(&XorRelayedAddress(addr("192.0.2.100:50000")))
            .with(&XorMappedAddress(home()))
            .with(&Lifetime(600))
            .with_integrity(&key),
        Method::ALLOCATE => Builder::new(&mut buffer, respond(Class::Error), id)
            .with(&error(StatusCode::UNAUTHENTICATED))
            .with(&Realm("example.org"))
            .with(&Nonce("nonce")),
        Method::CREATE_PERMISSION if !for_itself => {
            Builder::new(&mut buffer, respond(Class::Success), id).with_integrity(&key)
        }
        Method::CREATE_PERMISSION => Builder::new(&mut buffer, respond(Class::Error), id)
            .with(&error(StatusCode::FORBIDDEN))
            .with_integrity(&key),
        _ => return Vec::new(),
    }
    .finish_bytes()
    .unwrap()
    .to_vec()
}

/// How many checks a pair has been sent.
fn checks(desk: &Desk, local: SocketAddr, remote: SocketAddr) -> u32 {
    let pairs = desk.agent.stats().pairs;
    let pair = pairs
        .iter()
        .find(|it| (it.local, it.remote) == (local, remote));
    pair.unwrap().requests_sent
}

/// The first checks of a peer whose relay is of the same server come through before it is known.
#[test]
fn the_address_of_its_own_relay_is_let_in_at_once() {
    let desk = with_relay(Config::new(Role::Controlling), false);
    let asked = desk.asked_at(addr(TURN), Method::CREATE_PERMISSION);
    assert_eq!(asked.len(), 1);
}

#[test]
fn one_relay_is_tried_after_two_where_these_stand_together_and_the_server_connects_them() {
    for refuses in [false, true] {
        let mut desk = with_relay(Config::new(Role::Controlling), refuses);
        let ours = desk.of_kind(CandidateKind::Relayed)[0].address;
        let theirs = addr(NEIGHBOUR);
        // The server relays to public addresses.
        let peer = addr("9.9.9.9:2000");
        let mut parameters = floe_ice::RemoteParameters::new(desk.agent.credentials().clone());
        parameters.pacing = Some(millis(5));
        parameters.renomination = true;
        let now = desk.now;
        desk.agent.set_remote_parameters(now, parameters).unwrap();
        for told in [candidate(CandidateKind::Relayed, theirs), host(peer)] {
            desk.agent.add_remote_candidate(now, told).unwrap();
        }
        desk.drain();
        desk.run_until(1090);
        for (local, remote) in [(ours, peer), (home(), theirs)] {
            assert_eq!(
                checks(&desk, local, remote) > 0,
                refuses,
                "{local} to {remote}"
            );
        }
        if !refuses {
            assert!(checks(&desk, ours, theirs) > 0);
        }
        desk.run_until(1200);
        assert!(checks(&desk, ours, peer) > 0);
    }
}

// ---- what is waited for --------------------------------------------------------------------

/// The pair with the peer's relay works, and is nominated after so long.
fn nominated_after(mut puppet: Puppet, mapped: SocketAddr) -> Duration {
    let sent = puppet.next_check(other());
    let answer = Puppet::success(&sent, mapped);
    assert_eq!(puppet.deliver(other(), &answer), Input::Handled);
    let valid: Instant = puppet.now;
    let nomination = puppet.next_nomination();
    assert_eq!(nomination.path.remote, other());
    nomination.at - valid
}

/// The peer asks from there, and refuses to answer there.
fn heard_from(puppet: &mut Puppet, from: SocketAddr) {
    puppet.accepted_check(from, CONTROLLED);
    let sent = puppet.next_check(from);
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
}

/// What has come in will go out: within a second.
#[test]
fn where_the_peer_was_heard_directly_a_relay_waits() {
    let config = || Config::new(Role::Controlling);
    let mut puppet = Puppet::with(config(), &[home()]);
    introduce(&mut puppet, &[relayed()]);
    assert!(nominated_after(puppet, home()) < millis(10));

    let mut puppet = Puppet::with(config(), &[home()]);
    introduce(&mut puppet, &[relayed()]);
    heard_from(&mut puppet, peer());
    let wait = config().untested_hold;
    let waited = nominated_after(puppet, home());
    assert!((wait..wait + millis(200)).contains(&waited), "{waited:?}");
}

/// What this side sends leaves its NAT elsewhere than what the peer has come in at.
#[test]
fn behind_a_nat_with_many_ports_what_was_heard_is_not_waited_for() {
    for (mapped, waits) in [(outside(), true), (addr("203.0.113.1:5001"), false)] {
        let mut puppet = seen(Config::new(Role::Controlling), &[home()]);
        introduce(&mut puppet, &[relayed()]);
        heard_from(&mut puppet, peer());
        assert_eq!(nominated_after(puppet, mapped) > millis(100), waits);
    }
}

/// How long the relay waits for the pair with this candidate, where a server has seen the agent and the
/// peer was heard from `heard`; by its answer the agent is seen at `mapped`.
fn waited_for(
    config: Config,
    told: &[Candidate],
    heard: SocketAddr,
    mapped: SocketAddr,
) -> Duration {
    let mut puppet = seen(config, &[home()]);
    introduce(&mut puppet, &[told, &[relayed()]].concat());
    heard_from(&mut puppet, heard);
    nominated_after(puppet, mapped)
}

#[test]
fn between_nats_that_both_have_many_ports_no_direct_pair_is_waited_for() {
    let config = || Config::new(Role::Controlling);
    let reflexive = |text| candidate(CandidateKind::ServerReflexive, addr(text));
    let told = [host(addr("10.0.0.2:2000")), reflexive("198.51.100.2:2000")];
    let (many, theirs) = (addr("203.0.113.1:5001"), addr("198.51.100.2:2999"));
    let soon = |waited: Duration| waited < millis(10);
    assert!(soon(waited_for(config(), &told, theirs, many)));
    let one_port = [(theirs, outside()), (addr("198.51.100.9:2000"), many)];
    for (heard, mapped) in one_port {
        assert!(
            !soon(waited_for(config(), &told, heard, mapped)),
            "{heard} {mapped}"
        );
    }
    // It has an address without a NAT.
    let public = [told[1].clone(), host(addr("192.0.2.77:2000"))];
    assert!(!soon(waited_for(config(), &public, theirs, many)));
    // It is behind the same NAT, and no packet leaves that.
    let inside = [told[0].clone(), reflexive("203.0.113.1:2000")];
    let theirs_inside = addr("203.0.113.1:2999");
    assert!(!soon(waited_for(config(), &inside, theirs_inside, many)));
    // What is chosen cannot be mended.
    let once = like(|config| config.renomination = false);
    assert!(!soon(waited_for(once, &told, theirs, many)));
}

// ---- to the letter -------------------------------------------------------------------------

/// In the order of priorities nothing is guessed: neither in the strict profile nor in this order alone.
#[test]
fn to_the_letter_pairs_are_neither_put_off_nor_given_up_nor_waited_for_by_likelihood() {
    let by_priority = like(|config| config.order = CheckOrder::Priority);
    for config in [Config::new(Role::Controlling).strict(), by_priority] {
        let desk = with_relay(config.clone(), false);
        let asked = desk.asked_at(addr(TURN), Method::CREATE_PERMISSION);
        assert_eq!(asked, []);

        let told = [relay_of("203.0.113.9:9"), host(peer())];
        let checked = first_checked(config.clone(), &told);
        assert_eq!(checked[..2], [peer(), other()]);

        let mut puppet = Puppet::with(config.clone(), &[home()]);
        introduce(&mut puppet, &[relayed()]);
        heard_from(&mut puppet, peer());
        assert!(nominated_after(puppet, home()) <= config.pacing);

        let told = [candidate(CandidateKind::ServerReflexive, peer())];
        let (heard, mapped) = (addr("198.51.100.2:2999"), addr("203.0.113.1:5001"));
        assert!(waited_for(config.clone(), &told, heard, mapped) >= config.relay_hold);
    }
}

//! Which pairs are likely to work, and needed: they are checked first, and only they are waited for
//! ([`CheckOrder::LikelyFirst`]).

mod desk;
mod puppet;

use core::time::Duration;
use std::net::SocketAddr;

use desk::{Desk, turn_user};
use floe_ice::{Candidate, CandidateKind, CheckOrder, Config, Event, Role, TcpType, TcpUse};
use floe_sansio::{Datagram, FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transport};
use floe_stun::{
    Builder, Class, ErrorCode, IceControlling, Key, Lifetime, Message, MessageType, Method, Nonce,
    Priority, Realm, StatusCode, TransactionId, Username, XorMappedAddress, XorPeerAddress,
    XorRelayedAddress,
};
use puppet::{
    CONTROLLED, CONTROLLING, NOMINATING, Puppet, addr, candidate, home, host, millis, other, peer,
};

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

// ---- relays that wait ----------------------------------------------------------------------

/// So long a relay waits.
const RELAY_WAITS: Duration = Duration::from_millis(200);

/// A controlled agent that a server has seen, and a peer that renominates; nothing is checked yet.
fn controlled(change: impl FnOnce(&mut Config)) -> Puppet {
    let config = like(|config| {
        config.role = Role::Controlled;
        change(config);
    });
    let mut puppet = seen(config, &[home()]);
    introduce(&mut puppet, &[]);
    puppet
}

/// The pair with the peer's own address works, where the agent is seen at `mapped`; its relay is told.
fn works_directly(puppet: &mut Puppet, mapped: SocketAddr) {
    puppet.add(host(peer()));
    let sent = puppet.next_check(peer());
    let answer = Puppet::success(&sent, mapped);
    assert_eq!(puppet.deliver(peer(), &answer), Input::Handled);
    puppet.add(relayed());
}

/// How long it takes until the relay is checked.
fn relay_checked_after(puppet: &mut Puppet) -> Duration {
    let now = puppet.now;
    puppet.next_check(other()).at - now
}

/// Within so few slots something is checked that does not wait.
fn is_prompt(waited: Duration) -> bool {
    waited <= millis(25)
}

fn is_put_off(waited: Duration) -> bool {
    (RELAY_WAITS..RELAY_WAITS + millis(25)).contains(&waited)
}

#[test]
fn a_relay_is_not_checked_while_a_direct_pair_that_works_is_about_to_be_selected() {
    let mut puppet = controlled(|_| ());
    works_directly(&mut puppet, outside());
    let waited = relay_checked_after(&mut puppet);
    assert!(is_put_off(waited), "{waited:?}");
}

/// Not even where the relay had been checked before.
#[test]
fn a_relay_is_not_checked_again_when_a_direct_pair_works() {
    let mut puppet = controlled(|_| ());
    puppet.add(host(peer()));
    puppet.add(relayed());
    let sent = puppet.next_check(peer());
    let _ = puppet.next_check(other());
    let answer = Puppet::success(&sent, outside());
    // The next check of the relay is due 200 ms after the first one.
    puppet.sleep(millis(150));
    assert_eq!(puppet.deliver(peer(), &answer), Input::Handled);
    let waited = relay_checked_after(&mut puppet);
    assert!(is_put_off(waited), "{waited:?}");
}

#[test]
fn a_relay_waits_on_each_time_the_peer_is_heard_on_a_direct_pair_that_works() {
    let mut puppet = controlled(|_| ());
    works_directly(&mut puppet, outside());
    for _ in 0..5 {
        puppet.sleep(millis(150));
        puppet.accepted_check(peer(), CONTROLLING);
    }
    assert!(puppet.requests.iter().all(|it| it.path.remote != other()));
    let waited = relay_checked_after(&mut puppet);
    assert!(is_put_off(waited), "{waited:?}");
}

#[test]
fn a_relay_that_waits_is_not_checked_in_return_unless_the_peer_nominates_it() {
    for (says, waits) in [(CONTROLLING, true), (NOMINATING, false)] {
        let mut puppet = controlled(|_| ());
        works_directly(&mut puppet, outside());
        puppet.accepted_check(other(), says);
        let waited = relay_checked_after(&mut puppet);
        assert_eq!(is_put_off(waited), waits, "{waited:?}");
        assert_eq!(is_prompt(waited), !waits, "{waited:?}");
    }
}

/// A pair that works is checked in the other role, whatever has been heard meanwhile.
#[test]
fn a_relay_that_works_does_not_wait_where_its_nomination_was_refused() {
    let mut puppet = seen(like(|_| ()), &[home()]);
    introduce(&mut puppet, &[relayed()]);
    let sent = puppet.next_check(other());
    puppet.accept(&sent);
    let nomination = puppet.next_nomination();
    puppet.accepted_check(peer(), CONTROLLED);
    puppet.refuse(&nomination, StatusCode::ROLE_CONFLICT);
    assert_eq!(puppet.agent.role(), Role::Controlled);
    let waited = relay_checked_after(&mut puppet);
    assert!(is_prompt(waited), "{waited:?}");
}

/// It goes on as if it had just been told.
#[test]
fn while_a_relay_waits_none_of_its_checks_is_spent() {
    let mut puppet = controlled(|config| config.limits.checks_to_silent_address = 7);
    works_directly(&mut puppet, outside());
    for _ in 0..3 {
        puppet.sleep(millis(50));
        // Each is put off. (What is heard is worth a check, but the relay has no use for more.)
        puppet.accepted_check(other(), CONTROLLING);
    }
    puppet.requests.clear();
    puppet.sleep(millis(40_000));
    let requests = puppet.requests.iter();
    let sent: Vec<_> = requests.filter(|it| it.path.remote == other()).collect();
    let apart: Vec<_> = sent.windows(2).map(|it| it[1].at - it[0].at).collect();
    assert_eq!(apart, [200, 400, 800, 1600, 3200, 6400].map(millis));
}

/// Whatever is in front of the agent lets everybody in, so a direct pair is as good as found.
#[test]
fn a_relay_waits_where_the_peer_was_heard_directly_before_it_was_sent_anything() {
    for asked in [false, true] {
        let mut puppet = controlled(|_| ());
        if asked {
            puppet.add(host(peer()));
            let _ = puppet.next_check(peer());
        }
        puppet.accepted_check(peer(), CONTROLLING);
        let heard = puppet.now;
        // Being heard again makes no difference: nothing works yet.
        puppet.sleep(millis(100));
        puppet.accepted_check(peer(), CONTROLLING);
        puppet.add(relayed());
        let told = puppet.now;
        let checked = puppet.next_check(other()).at;
        assert_eq!(is_put_off(checked - heard), !asked);
        assert_eq!(is_prompt(checked - told), asked);
    }
}

/// The first checks may overtake the signalling.
#[test]
fn a_relay_waits_where_the_peer_was_heard_directly_before_it_was_known() {
    let mut puppet = Puppet::with(like(|it| it.role = Role::Controlled), &[home()]);
    puppet.accepted_check(peer(), CONTROLLING);
    introduce(&mut puppet, &[relayed()]);
    let waited = relay_checked_after(&mut puppet);
    assert!(is_put_off(waited), "{waited:?}");
}

/// Agents that choose once check all that there is.
#[test]
fn no_relay_waits_unless_both_sides_renominate() {
    for (ours, theirs) in [(false, false), (false, true), (true, false)] {
        let config = like(|config| {
            config.role = Role::Controlled;
            config.renomination = ours;
        });
        let mut puppet = Puppet::with(config, &[home()]);
        let mut parameters = puppet.parameters();
        parameters.renomination = theirs;
        puppet.introduce_as(parameters);
        works_directly(&mut puppet, home());
        let waited = relay_checked_after(&mut puppet);
        assert!(is_prompt(waited), "{ours} {theirs}: {waited:?}");
    }
}

/// What goes out leaves it at another port than the one where the peer comes in.
#[test]
fn behind_a_nat_with_many_ports_no_relay_waits() {
    let mut puppet = controlled(|_| ());
    works_directly(&mut puppet, addr("203.0.113.1:5001"));
    let waited = relay_checked_after(&mut puppet);
    assert!(is_prompt(waited), "{waited:?}");
}

/// The peer, which has the credentials of the agent, asks from there at its first address.
fn asks_at_home(desk: &mut Desk, from: SocketAddr) {
    let own = desk.agent.credentials().clone();
    let name = format!("{0}:{0}", own.ufrag());
    let id = TransactionId([from.port() as u8; 12]);
    let check = Puppet::build(Class::Request, id, |builder| {
        builder
            .with(&Username(&name))
            .with(&Priority(CONTROLLING.priority))
            .with(&IceControlling(CONTROLLING.tie_breaker))
            .with_integrity(&Key::short_term(own.pwd()))
    });
    let mut buffer = vec![0; HEADROOM + check.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + check.len();
    buffer[range.clone()].copy_from_slice(&check);
    let datagram = Datagram::new(FiveTuple::udp(home(), from), &mut buffer, range);
    let input = desk.agent.handle_input(desk.now, datagram);
    assert_eq!(input, Input::Handled);
    desk.drain();
}

/// Although it had been asked before, so that it may be heard where it cannot be reached.
#[test]
fn one_relay_waits_where_two_stand_together_and_the_peer_was_heard_directly() {
    for refuses in [false, true] {
        let config = like(|config| config.role = Role::Controlled);
        let mut desk = with_relay(config, refuses);
        let ours = desk.of_kind(CandidateKind::Relayed)[0].address;
        let (theirs, peer) = (addr(NEIGHBOUR), addr("9.9.9.9:2000"));
        let mut parameters = floe_ice::RemoteParameters::new(desk.agent.credentials().clone());
        parameters.pacing = Some(millis(5));
        parameters.renomination = true;
        let now = desk.now;
        desk.agent.set_remote_parameters(now, parameters).unwrap();
        desk.agent.add_remote_candidate(now, host(peer)).unwrap();
        desk.drain();
        assert_eq!(checks(&desk, home(), peer), 1);
        desk.run_until(1030);
        asks_at_home(&mut desk, peer);
        desk.run_until(1040);
        let told = candidate(CandidateKind::Relayed, theirs);
        desk.agent.add_remote_candidate(desk.now, told).unwrap();
        asks_at_home(&mut desk, theirs);
        desk.run_until(1060);
        assert_eq!(checks(&desk, home(), theirs) > 0, refuses);
        if !refuses {
            // What is likely to work is checked: nothing is sure yet.
            assert!(checks(&desk, ours, theirs) > 0);
            desk.run_until(1229);
            assert_eq!(checks(&desk, home(), theirs), 0);
            desk.run_until(1260);
            assert_eq!(checks(&desk, home(), theirs), 1);
        }
    }
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

        let mut controlled = config.clone();
        controlled.role = Role::Controlled;
        let mut puppet = Puppet::with(controlled, &[home()]);
        introduce(&mut puppet, &[]);
        works_directly(&mut puppet, home());
        assert!(relay_checked_after(&mut puppet) <= config.pacing);

        let told = [candidate(CandidateKind::ServerReflexive, peer())];
        let (heard, mapped) = (addr("198.51.100.2:2999"), addr("203.0.113.1:5001"));
        assert!(waited_for(config.clone(), &told, heard, mapped) >= config.relay_hold);
    }
}

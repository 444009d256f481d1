//! Several streams and components: check lists beside each other (RFC 8445 §6.1, §8.1.2).

mod puppet;

use std::net::SocketAddr;

use floe_ice::{
    CommandError, ComponentId, Config, Event, FailureCause, IceCredentials, LocalAddress,
    PairState, Role, State,
};
use floe_sansio::{HEADROOM, TAILROOM};
use floe_stun::StatusCode;
use puppet::{
    CONTROLLED, NOMINATING, PEER_PASSWORD, Puppet, Sent, addr, founded, home, host, host_of,
    millis, peer,
};

/// The components of an audio and a video stream.
const RTP: ComponentId = ComponentId::new(0, 1);
const RTCP: ComponentId = ComponentId::new(0, 2);
const VIDEO: ComponentId = ComponentId::new(1, 1);
const VIDEO_RTCP: ComponentId = ComponentId::new(1, 2);
const ALL: [ComponentId; 4] = [RTP, RTCP, VIDEO, VIDEO_RTCP];

/// The address of the agent for the component in this place.
fn ours(place: u16) -> SocketAddr {
    let mut address = home();
    address.set_port(1000 + place);
    address
}

/// The address of the puppet for it.
fn theirs(place: u16) -> SocketAddr {
    let mut address = peer();
    address.set_port(2000 + place);
    address
}

fn locals(components: &[ComponentId]) -> Vec<LocalAddress> {
    let places = components.iter().zip(0..);
    let locals = places.map(|(&id, place)| LocalAddress::new(ours(place)).on(id));
    locals.collect()
}

fn strict(role: Role, components: &[ComponentId]) -> Puppet {
    Puppet::bound(Config::new(role).strict(), &locals(components))
}

/// Each component has one candidate on the other side, and all can work.
fn introduced(role: Role, components: &[ComponentId]) -> Puppet {
    let mut puppet = strict(role, components);
    for (&id, place) in components.iter().zip(0..) {
        puppet.add(host_of(id, theirs(place)));
    }
    puppet.introduce();
    puppet
}

fn sends(puppet: &mut Puppet, component: ComponentId) -> bool {
    let mut buffer = [0; HEADROOM + 4 + TAILROOM];
    let range = HEADROOM..HEADROOM + 4;
    puppet.agent.send_on(component, &mut buffer, range).is_ok()
}

/// The puppet refuses everything that comes to this address of its.
fn refuse_all(puppet: &mut Puppet, address: SocketAddr) {
    let sent = puppet.next_check(address);
    puppet.refuse(&sent, StatusCode::BAD_REQUEST);
}

/// The columns of foundations and rows of components of RFC 8838 §12, tables 1 and 2.
///
/// req: ICE-6.1.2.6-1
#[test]
fn of_each_foundation_the_topmost_pair_of_all_lists_waits_and_the_others_are_frozen() {
    let mut puppet = strict(Role::Controlling, &ALL);
    let rows: [&[&str]; 4] = [
        &["f1", "f2", "f3"],
        &["f1", "f2", "f3", "f4"],
        &["f1"],
        &["f1"],
    ];
    // Whatever the order in which they are told.
    for (place, foundations) in rows.iter().enumerate().rev() {
        for (column, foundation) in foundations.iter().enumerate() {
            let port = 2000 + 10 * place as u16 + column as u16;
            let candidate = host_of(ALL[place], addr(&format!("198.51.100.2:{port}")));
            puppet.add(founded(candidate, foundation));
        }
    }
    puppet.introduce();
    let pairs = puppet.agent.stats().pairs;
    assert_eq!(pairs.len(), 9);
    let mut thawed: Vec<_> = pairs
        .iter()
        .filter(|pair| pair.state != PairState::Frozen)
        .map(|pair| pair.remote.port())
        .collect();
    thawed.sort_unstable();
    assert_eq!(thawed, [2000, 2001, 2002, 2013]);
}

/// req: ICE-7.2.5.3.3-2
#[test]
fn a_success_thaws_the_pairs_of_its_foundation_in_all_lists() {
    let mut puppet = strict(Role::Controlled, &ALL);
    for (id, place) in ALL.into_iter().zip(0..) {
        puppet.add(founded(host_of(id, theirs(place)), "same"));
    }
    puppet.introduce();
    let frozen = |puppet: &Puppet| {
        let pairs = puppet.agent.stats().pairs;
        pairs
            .iter()
            .filter(|it| it.state == PairState::Frozen)
            .count()
    };
    assert_eq!(frozen(&puppet), 3);
    let sent = puppet.next_check(theirs(0));
    puppet.accept(&sent);
    assert_eq!(frozen(&puppet), 0);
}

/// The list of the second stream is empty.
///
/// req: ICE-6.1.4.2-1, TRICKLE-8-2
#[test]
fn lists_take_turns_and_an_empty_one_costs_no_time() {
    let streams = [0, 1, 2].map(|stream| ComponentId::new(stream, 1));
    let mut puppet = strict(Role::Controlling, &streams);
    for n in 0..3u16 {
        for stream in [0, 2] {
            let address = addr(&format!("198.51.100.2:{}", 2000 + 100 * stream + n));
            puppet.add(host_of(ComponentId::new(stream, 1), address));
        }
    }
    let start = puppet.now;
    puppet.introduce();
    puppet.sleep(millis(250));
    let sent: Vec<_> = puppet
        .requests
        .iter()
        .map(|sent| (sent.at - start, sent.path.local.port()))
        .collect();
    let wanted: Vec<_> = (0..6)
        .map(|n| (millis(50 * n), if n % 2 == 0 { 1000 } else { 1002 }))
        .collect();
    assert_eq!(sent, wanted);
}

/// req: ICE-6.1.2.2-3
#[test]
fn a_component_that_one_side_lacks_has_no_pairs() {
    let mut puppet = strict(Role::Controlling, &[RTP]);
    puppet.add(host_of(RTP, theirs(0)));
    puppet.add(host_of(RTCP, theirs(1)));
    puppet.introduce();
    let pairs = puppet.agent.stats().pairs;
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].component, RTP);
    // Nor is it waited for.
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// Whichever side's candidates are known first.
///
/// req: ICE-6.1.2.2-1
#[test]
fn candidates_of_one_component_are_paired_only() {
    for gathered in [true, false] {
        let config = Config::new(Role::Controlling).strict();
        let mut puppet = Puppet::ungathered(config, &locals(&ALL));
        if gathered {
            puppet.gather();
        }
        for (id, place) in ALL.into_iter().zip(0..) {
            puppet.add(host_of(id, theirs(place)));
        }
        if !gathered {
            puppet.gather();
        }
        let pairs = puppet.agent.stats().pairs;
        assert_eq!(pairs.len(), 4);
        for pair in pairs {
            assert_eq!(pair.local.port() - 1000, pair.remote.port() - 2000);
            assert_eq!(pair.component, ALL[usize::from(pair.local.port() - 1000)]);
        }
    }
}

/// req: ICE-6.1.2.5-4
#[test]
fn the_limit_takes_from_the_lists_evenly_and_the_worst_first() {
    let mut config = Config::new(Role::Controlling).strict();
    config.limits.pairs = 10;
    let mut puppet = Puppet::bound(config, &locals(&[RTP, VIDEO]));
    // All of one stream come before those of the other.
    for (id, ip) in [(RTP, 2), (VIDEO, 3)] {
        for port in 1..=20 {
            puppet.add(host_of(id, addr(&format!("198.51.100.{ip}:{port}"))));
        }
    }
    let pairs = puppet.agent.stats().pairs;
    for id in [RTP, VIDEO] {
        let of_stream = pairs.iter().filter(|pair| pair.component == id);
        let mut ports: Vec<_> = of_stream.map(|pair| pair.remote.port()).collect();
        ports.sort_unstable();
        assert_eq!(ports, [1, 2, 3, 4, 5], "{id}");
    }
}

/// req: ICE-8.1.2-3, ICE-8.1.1-1
#[test]
fn a_stream_is_complete_with_its_last_component_and_the_session_with_its_last_stream() {
    for role in [Role::Controlling, Role::Controlled] {
        let components = [RTP, RTCP, VIDEO];
        let mut puppet = introduced(role, &components);
        puppet.answering(millis(1000), |sent| !sent.nominates());
        for place in 0..3 {
            assert_eq!(puppet.agent.state(), State::Connected);
            let (local, remote) = (ours(place), theirs(place));
            match role {
                Role::Controlling => {
                    let nomination = puppet
                        .next_check_where(|sent| sent.nominates() && sent.path.remote == remote);
                    puppet.accept(&nomination);
                }
                Role::Controlled => puppet.accepted_check_at(local, remote, NOMINATING),
            }
            let selected = puppet.agent.selected_for(components[usize::from(place)]);
            assert_eq!(selected.unwrap().remote.address, remote);
        }
        assert_eq!(puppet.agent.state(), State::Completed);
    }
}

/// All components of a stream are nominated once each.
///
/// req: ICE-8.1.1-1, ICE-8.1.1-2
#[test]
fn each_component_is_nominated_once() {
    let mut puppet = introduced(Role::Controlling, &ALL);
    let sent = puppet.answering(millis(5000), |_| true);
    let nominations = sent.iter().filter(|sent| sent.nominates());
    let mut paths: Vec<_> = nominations.map(|sent| sent.path.remote).collect();
    paths.sort_unstable();
    assert_eq!(paths, [0, 1, 2, 3].map(theirs));
}

/// What becomes of a session whose two streams end so.
fn session(audio: bool, video: bool) -> Puppet {
    let mut puppet = introduced(Role::Controlling, &[RTP, VIDEO]);
    for (works, place) in [(audio, 0), (video, 1)] {
        if !works {
            refuse_all(&mut puppet, theirs(place));
        }
    }
    let works = |sent: &Sent| match sent.path.remote.port() {
        2000 => audio,
        _ => video,
    };
    puppet.answering(millis(40_000), works);
    puppet
}

/// req: ICE-6.1.3-1, ICE-8.1.2-3, ICE-8.1.2-5
#[test]
fn the_session_is_complete_if_all_lists_are_and_failed_if_all_are_and_else_goes_on() {
    assert_eq!(session(true, true).agent.state(), State::Completed);
    let failed = State::Failed(FailureCause::ChecksFailed);
    assert_eq!(session(false, false).agent.state(), failed);
    for (audio, video) in [(true, false), (false, true)] {
        let mut puppet = session(audio, video);
        assert_eq!(puppet.agent.state(), State::Connected);
        assert_eq!(sends(&mut puppet, RTP), audio);
        assert_eq!(sends(&mut puppet, VIDEO), video);
    }
}

/// req: ICE-8.1.2-4, ICE-8.1.1-3
#[test]
fn a_failed_stream_is_told_and_without_it_the_session_is_complete() {
    let mut puppet = session(true, false);
    let failed = Event::StreamFailed {
        stream: 1,
        cause: FailureCause::ChecksFailed,
    };
    assert_eq!(puppet.count(|event| *event == failed), 1);
    let now = puppet.now;
    puppet.agent.remove_stream(now, 1).unwrap();
    assert_eq!(puppet.agent.state(), State::Completed);
    assert!(sends(&mut puppet, RTP));
}

/// req: ICE-12.1-4
#[test]
fn a_stream_that_lacks_a_component_sends_no_data_on_the_other() {
    let mut puppet = introduced(Role::Controlling, &[RTP, RTCP, VIDEO]);
    refuse_all(&mut puppet, theirs(1));
    let works = |sent: &Sent| sent.path.remote != theirs(1);
    puppet.answering(millis(1000), works);
    assert!(sends(&mut puppet, RTP), "there is still hope");
    puppet.answering(millis(39_000), works);
    assert!(!sends(&mut puppet, RTP));
    assert!(!sends(&mut puppet, RTCP));
    assert!(sends(&mut puppet, VIDEO));
}

/// req: ICE-11-8, ICE-6.1.4.2-3
#[test]
fn of_a_removed_stream_nothing_is_sent_or_taken_any_more() {
    // While it is checked, and when it has a path.
    for works in [false, true] {
        let mut puppet = introduced(Role::Controlling, &[RTP, VIDEO]);
        let audio = |sent: &Sent| sent.path.remote == theirs(0);
        puppet.answering(millis(1000), |sent| works || audio(sent));
        let now = puppet.now;
        puppet.agent.remove_stream(now, 1).unwrap();
        puppet.drain();
        assert!(!sends(&mut puppet, VIDEO));
        let sent = puppet.answering(millis(60_000), |_| true);
        assert!(sent.len() > 5 && sent.iter().all(audio));
        assert_eq!(puppet.agent.state(), State::Completed);
        let before = puppet.state();
        let check = puppet.check(CONTROLLED);
        let _ = puppet.deliver_to(ours(1), theirs(1), &check);
        assert_eq!(puppet.state(), before);
        assert!(
            puppet
                .agent
                .stats()
                .pairs
                .iter()
                .all(|it| it.component == RTP)
        );
    }
}

#[test]
fn a_removed_stream_does_not_come_back() {
    let mut puppet = introduced(Role::Controlling, &[RTP, VIDEO]);
    puppet.answering(millis(1000), |_| true);
    let now = puppet.now;
    puppet.agent.remove_stream(now, 1).unwrap();
    puppet.restart();
    let unknown = Err(CommandError::UnknownComponent);
    let late = LocalAddress::new(ours(9)).on(VIDEO);
    assert_eq!(puppet.agent.add_address(now, late), unknown);
    let parameters = puppet.parameters();
    let set = puppet.agent.set_stream_parameters(now, 1, parameters);
    assert_eq!(set, unknown);
    let candidate = host_of(VIDEO, theirs(1));
    assert_eq!(puppet.agent.add_remote_candidate(now, candidate), unknown);
    puppet.events.clear();
    puppet.gather();
    let told = |event: &Event| matches!(event, Event::LocalCandidate(_));
    assert_eq!(puppet.count(told), 1);
    puppet.introduce();
    puppet.add(host_of(RTP, theirs(0)));
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.agent.state(), State::Completed);
}

/// It comes with a later exchange, long after the timer of the first stream.
///
/// req: PAC-4-1
#[test]
fn a_stream_that_is_added_later_has_the_same_patience() {
    let mut puppet = introduced(Role::Controlled, &[RTP]);
    puppet.answering(millis(1000), |_| true);
    puppet.accepted_check(theirs(0), NOMINATING);
    puppet.answering(millis(60_000), |_| true);
    let now = puppet.now;
    let video = LocalAddress::new(ours(2)).on(VIDEO);
    puppet.agent.add_address(now, video).unwrap();
    puppet.introduce();
    puppet.answering(millis(39_000), |_| true);
    assert_eq!(puppet.agent.state(), State::Checking);
    puppet.accepted_check_at(ours(2), theirs(2), NOMINATING);
    puppet.answering(millis(1000), |_| true);
    assert_eq!(puppet.agent.state(), State::Completed);
}

#[test]
fn streams_may_have_credentials_of_their_own() {
    let mut puppet = strict(Role::Controlling, &[RTP, VIDEO]);
    puppet.add(host_of(RTP, theirs(0)));
    puppet.add(host_of(VIDEO, theirs(1)));
    let now = puppet.now;
    for (stream, ufrag) in [(0, "audio"), (1, "video")] {
        puppet.credentials = IceCredentials::new(ufrag, PEER_PASSWORD).unwrap();
        let parameters = puppet.parameters();
        let set = puppet.agent.set_stream_parameters(now, stream, parameters);
        set.unwrap();
    }
    puppet.drain();
    for (place, ufrag) in [(0, "audio"), (1, "video")] {
        let sent = puppet.next_check(theirs(place));
        let name = format!("{ufrag}:{}", puppet.agent.credentials().ufrag());
        let named = sent.message().get::<floe_stun::Username<'_>>().unwrap();
        assert_eq!(named, Some(floe_stun::Username(&name)));
    }
}

/// Whatever the order in which the addresses were named.
///
/// req: TRICKLE-17-1
#[test]
fn candidates_are_told_by_component() {
    let mut locals = locals(&ALL);
    locals.reverse();
    let puppet = Puppet::bound(Config::new(Role::Controlling), &locals);
    let told = puppet.events.iter().filter_map(|event| match event {
        Event::LocalCandidate(candidate) => Some(candidate.component.component),
        _ => None,
    });
    assert!(told.eq([1, 1, 2, 2]));
}

/// Two candidates of one foundation are told while checks run.
///
/// req: TRICKLE-17-2
#[test]
fn candidates_are_paired_in_the_order_in_which_they_are_told() {
    let mut puppet = strict(Role::Controlling, &[RTP]);
    puppet.introduce();
    // The first is the better one: the second finds it there and is frozen.
    let (better, worse) = (addr("198.51.100.9:2"), addr("198.51.100.9:3"));
    for address in [better, worse] {
        puppet.add(founded(host(address), "same"));
    }
    assert_ne!(puppet.pair(better).unwrap().state, PairState::Frozen);
    assert_eq!(puppet.pair(worse).unwrap().state, PairState::Frozen);
    assert!(puppet.pair(better).unwrap().id < puppet.pair(worse).unwrap().id);
}

//! Rows 24 to 29: what a TURN server refuses, forgets, or does not know yet.

use core::net::IpAddr;

use floe_ice::{CandidateKind, CheckOrder, Event, FailureCause, GatheringError};
use floe_sansio::{Instant, Transport};
use floe_sim::{Fate, Preset};
use floe_stun::{Class, Message, Method, StatusCode, XorPeerAddress};
use floe_turn::{AllocateError, RefuseReason};

use crate::common::{AgentHost, Packet, Stun, Variation, World, for_each_variation, millis, secs};

/// Two that need a relay.
const RELAYED: [Preset; 2] = [Preset::Symmetric, Preset::Symmetric];

/// The requests of this kind that a side has sent, each transmission.
fn requests(side: &AgentHost, method: Method) -> impl Iterator<Item = &Packet> {
    side.sent()
        .filter(move |packet| is(packet, method, Class::Request))
}

fn is(packet: &Packet, method: Method, class: Class) -> bool {
    let stun = packet.stun.as_ref();
    stun.is_some_and(|stun| stun.method == method && stun.class == class)
}

/// When both sides were told of the relay of the other one, if they gather before they signal: then the
/// path is known.
fn known(world: &World) -> Instant {
    let [zero, one] = world.sides().map(|side| side.introduced.unwrap());
    zero.max(one)
}

/// The requests for permissions to the server take this long more.
fn with_slow_permissions(variation: Variation, order: CheckOrder, milliseconds: u64) -> World {
    let plan = variation.plan(RELAYED).with_turn();
    let mut world = plan.configured(move |_, it| it.order = order).build();
    world.tap(move |_, passing| {
        let stun = Stun::read(&passing.payload);
        let is_one = stun.is_some_and(|stun| {
            stun.method == Method::CREATE_PERMISSION && stun.class == Class::Request
        });
        if is_one && milliseconds > 0 {
            Fate::Hold(millis(milliseconds))
        } else {
            Fate::Pass
        }
    });
    world.offer();
    world
}

/// RFC 8445 has no wait for permissions: checks leave at once, and what comes to a relay too early is
/// repeated.
#[test]
fn scenario_24_permission_not_installed_yet() {
    let orders = [CheckOrder::LikelyFirst, CheckOrder::Priority];
    for_each_variation(|variation| {
        for (order, slow) in orders.map(|it| [(it, 0), (it, 60)]).into_iter().flatten() {
            let mut world = with_slow_permissions(variation, order, slow);
            world.settle();
            world.assert_connected();
            assert!(world.is_relayed());
            if !variation.is_calm() {
                continue;
            }
            for side in world.sides() {
                // Nobody waits for the answer. (In the order of what is likely, the one for the address of
                // the relay itself was asked for before the peer was known.)
                let known = side.introduced.unwrap();
                let early = order == CheckOrder::LikelyFirst;
                let granted = side
                    .received()
                    .filter(|it| !early || it.at > known)
                    .find(|it| is(it, Method::CREATE_PERMISSION, Class::Success))
                    .unwrap();
                let check = side.checks().find(|check| check.relayed).unwrap();
                assert!(check.at < granted.at, "it waited until {:?}", granted.at);
            }
            if !variation.trickle && order == CheckOrder::LikelyFirst {
                // ρ, and the time until a check is repeated.
                let through_relay = 2 * world.round_trip;
                let limit = known(&world) + millis(slow) + through_relay + millis(100);
                assert!(world.connected_at() <= limit, "{:?}", world.connected_at());
            }
        }
    });
}

/// The peers that a request for permissions names.
fn peers(packet: &Packet) -> Vec<IpAddr> {
    let message = Message::parse(&packet.payload).unwrap();
    let found = message.get::<XorPeerAddress>().unwrap();
    found
        .map(|XorPeerAddress(peer)| peer.ip())
        .into_iter()
        .collect()
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_private() && !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(_) => true,
    }
}

/// RFC 8656 §9: the server does not relay to where side 1 is seen. Its relay can be reached, and a server
/// on the internet is never asked for an address that is not.
#[test]
fn scenario_25_a_peer_is_refused() {
    for_each_variation(|variation| {
        let sides = [Preset::Symmetric, Preset::PortRestricted];
        let mut plan = variation.plan(sides).with_turn().with_media(millis(50));
        plan.server = |server| {
            // Where the second NAT is.
            let denied = "62.0.2.0/24".parse().unwrap();
            server.peers = server.peers.clone().deny(denied);
        };
        let mut world = plan.build();
        // Somebody tells addresses of his own network, too.
        world.tap_messages(|_, _, message| {
            if message.text.starts_with("offer") || message.text.starts_with("answer") {
                for (number, ip) in ["127.0.0.1", "10.1.2.3", "172.16.0.1"].iter().enumerate() {
                    let line = format!("candidate:9{number} 1 udp 2130706431 {ip} 9 typ host");
                    message.text.push('\n');
                    message.text.push_str(&line);
                }
            }
            Fate::Pass
        });
        world.offer();
        world.settle();
        let relay = |event: &Event| {
            matches!(event, Event::LocalCandidate(candidate)
                if candidate.kind == CandidateKind::Relayed)
        };
        if !variation.is_calm() && world.side(1).count(relay) == 0 {
            // All copies of a request were lost: there is no path.
            return;
        }
        world.assert_connected();
        assert!(world.is_relayed());
        let denied: IpAddr = "62.0.2.1".parse().unwrap();
        for side in world.sides() {
            let pair = side.selected().unwrap();
            assert_ne!(pair.remote.address.ip(), denied);
            for request in requests(side, Method::CREATE_PERMISSION) {
                let peers = peers(request);
                assert!(
                    peers.iter().all(|&ip| is_public(ip)),
                    "{peers:?} were asked for"
                );
            }
        }
        let refused = world.turn().unwrap().stats().refused(RefuseReason::Denied);
        if variation.is_calm() {
            assert!(refused > 0, "nothing was refused");
        }
        let since = world.now();
        world.wait(secs(2));
        for side in world.sides() {
            assert!(side.heard_since(since) > 20);
        }
    });
}

/// RFC 8489 §9.2.5: a second 401 is an answer. The error is told once, and everything else goes on.
#[test]
fn scenario_26_wrong_password() {
    for_each_variation(|variation| {
        let sides = [Preset::FullCone, Preset::PortRestricted];
        let plan = variation.plan(sides).with_turn();
        let plan = plan.configured(|side, config| {
            if side == 0 {
                for server in &mut config.turn_servers {
                    server.credentials = floe_peer::Credentials::new("floe", "mistaken");
                }
            }
        });
        let mut world = plan.settled();
        world.assert_connected();
        assert!(!variation.is_calm() || !world.is_relayed());
        world.wait(secs(60));
        world.assert_connected();
        // Where the relay had to be taken at a loss, a direct pair has taken its place since.
        assert!(!world.is_relayed());
        let side = world.side(0);
        let told = side.events.iter().filter_map(|(_, event)| match event {
            Event::GatheringFailed { cause, .. } => Some(*cause),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        let refused = GatheringError::Allocation(AllocateError::Refused);
        let mut asked: Vec<_> = requests(side, Method::ALLOCATE)
            .map(|it| it.stun.unwrap().id)
            .collect();
        asked.dedup();
        assert!(asked.len() <= 2, "{} requests", asked.len());
        if variation.is_calm() {
            assert_eq!(told, [refused]);
            assert_eq!(requests(side, Method::ALLOCATE).count(), 2);
            let reflexive = |event: &Event| {
                matches!(event, Event::LocalCandidate(candidate)
                    if candidate.kind == CandidateKind::ServerReflexive)
            };
            assert_eq!(side.count(reflexive), 1);
        }
        let twice = told.iter().filter(|&&cause| cause == refused).count() > 1;
        assert!(!twice, "{told:?}");
    });
}

/// When each request was called stale, and by what the same was asked again.
fn stale(side: &AgentHost) -> Vec<(Method, Instant)> {
    let stale = side.received().filter_map(|it| {
        let stun = it.stun?;
        (stun.code? == StatusCode::STALE_NONCE).then_some((stun.method, it.at))
    });
    stale.collect()
}

/// RFC 8489 §9.2.5: whatever was asked is asked again at once with the new nonce, and media goes on.
#[test]
fn scenario_27_stale_nonce() {
    for_each_variation(|variation| {
        let mut plan = variation.plan(RELAYED).with_turn().with_media(secs(2));
        plan.server = |server| server.nonce_lifetime = secs(30);
        let mut world = plan.build();
        for side in [0, 1] {
            world.act(side, |host, now| {
                host.command(now, |agent| agent.gather(now));
            });
        }
        // Permissions are refreshed every four minutes, the allocation and the channel every nine: not
        // at the same time, so that each meets a nonce that is too old.
        world.wait(secs(60));
        world.offer();
        world.settle();
        world.assert_connected();
        world.wait(secs(12 * 60));
        if variation.loss <= 1 {
            world.assert_connected();
        }
        for side in world.sides() {
            // Requests for consent are not repeated (RFC 7675 §5.1): where each of four crossings loses
            // a twentieth or more, some calls lose all of 30 s.
            let cause = side.failed().map(|(_, cause)| cause);
            assert!(
                cause.is_none_or(|cause| cause == FailureCause::ConsentExpired),
                "{cause:?}"
            );
        }
        let mut seen = Vec::new();
        for side in world.sides() {
            for (method, at) in stale(side) {
                let mut again = requests(side, method);
                assert!(
                    again.any(|it| it.at == at),
                    "{method:?} is not repeated at once"
                );
                seen.push(method);
            }
        }
        let methods = [
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
        ];
        if variation.is_calm() {
            for method in methods {
                assert!(seen.contains(&method), "{method:?} was never stale");
            }
            for side in world.sides() {
                let numbers: Vec<_> = side.heard.iter().map(|&(_, number)| number).collect();
                let first = numbers[0];
                assert!(
                    numbers
                        .iter()
                        .copied()
                        .eq(first..first + numbers.len() as u32)
                );
                assert!(numbers.len() > 355, "{} heard", numbers.len());
            }
        }
    });
}

/// The relayed candidates that a side has found since then.
fn relays_since(side: &AgentHost, since: Instant) -> Vec<Instant> {
    let relays = side.events.iter().filter(|(at, event)| {
        let relay = matches!(event, Event::LocalCandidate(candidate)
            if candidate.kind == CandidateKind::Relayed);
        relay && *at >= since
    });
    relays.map(|&(at, _)| at).collect()
}

/// RFC 8656 §7.4: the server has an allocation for this 5-tuple already, of somebody who has crashed. The
/// owner is told, binds another port, and has its relay two round trips later.
#[test]
fn scenario_28_allocation_mismatch() {
    for_each_variation(|variation| {
        let mut world = variation.plan(RELAYED).with_turn().settled();
        world.assert_connected();
        // Both programs crash and come back on the same ports.
        world.wait(secs(1));
        let since = world.now();
        world.reboot_agents();
        world.offer();
        world.settle();
        world.assert_connected();
        assert!(world.is_relayed());
        let mut told = 0;
        for side in world.sides() {
            let refused = |event: &Event| {
                let port = Transport::Udp;
                matches!(event, Event::StreamWanted { transport, .. } if *transport == port)
            };
            let Some(at) = side.when(refused) else {
                continue;
            };
            told += 1;
            if variation.is_calm() {
                let relays = relays_since(side, since);
                let limit = at + 2 * world.round_trip + millis(20);
                assert!(
                    relays.iter().any(|&at| at <= limit),
                    "{relays:?} after {at:?}"
                );
            }
        }
        // What the selected pair did not need was given back before the crash.
        assert!(
            told > 0 || !variation.is_calm(),
            "the server has forgotten all"
        );
    });
}

/// A relayed call whose allocations live for 40 s, and the side whose relay it uses.
fn relayed_call(variation: Variation) -> (World, usize) {
    let plan = variation.plan(RELAYED).with_turn().with_media(millis(200));
    let trickle = variation.trickle;
    let mut plan = plan.configured(move |_, config| config.continual = trickle);
    plan.server = |server| {
        server.default_lifetime = secs(40);
        server.max_lifetime = secs(40);
    };
    let mut world = plan.settled();
    world.assert_connected();
    let is_relay = |side: &&usize| {
        let local = world.side(**side).selected().unwrap().local;
        local.kind == CandidateKind::Relayed
    };
    let side = *[0, 1].iter().find(is_relay).unwrap();
    (world, side)
}

/// When the side was told that its relay is gone.
fn told(side: &AgentHost, since: Instant) -> Option<Instant> {
    let mut events = side.events.iter();
    let found =
        events.find(|(at, event)| *at > since && matches!(event, Event::GatheringFailed { .. }));
    found.map(|&(at, _)| at)
}

/// RFC 8656 §8.3: an allocation that is gone, or cannot be kept, takes its pairs with it and nothing else.
/// Who has lost it sends over another pair at once; the other side learns of it when consent runs out,
/// 30 s after the last answer (RFC 7675 §5.1). There will be a new relay, which is signalled if gathering
/// never ends.
#[test]
fn scenario_29_allocation_gone() {
    for_each_variation(|variation| {
        for is_forgotten in [true, false] {
            let (mut world, at) = relayed_call(variation);
            world.wait(secs(8));
            let since = world.now();
            if is_forgotten {
                // Just before it is refreshed, which is after half of its life.
                world.wait(secs(7));
                let pair = world.side(at).selected();
                let local = pair.map(|pair| pair.local);
                let relay = local.filter(|it| it.kind == CandidateKind::Relayed);
                let Some(relay) = relay else {
                    // The call has found another way by itself.
                    assert!(!variation.is_calm());
                    return;
                };
                world.forget_allocation(relay.address);
            } else {
                let host = world.hosts[at];
                world.lose(usize::MAX, move |passing, stun| {
                    passing.from == host && stun.method == Method::REFRESH
                });
            }
            let gone = world.run_until(secs(120), |sides| told(sides[at], since).is_some());
            assert!(gone, "nobody noticed");
            world.simulation.remove_taps();
            let gone = world.now();
            if variation.is_calm() {
                // From the side that has lost its relay to the other one.
                world.wait(secs(6));
                assert_talk(&mut world, variation, &[1 - at]);
            }
            // Where packets were lost, there may be no other pair that works yet.
            let limit = if variation.is_calm() { 31 } else { 50 };
            let rest = (gone + secs(limit)).since(world.now());
            world.wait(rest);
            assert_talk(&mut world, variation, &[0, 1]);
            if variation.is_calm() {
                world.assert_connected();
                // That of the other side, and a new one.
                assert_eq!(world.turn().unwrap().allocations(), 2);
                let relays = relays_since(world.side(at), gone);
                assert_eq!(!relays.is_empty(), variation.trickle, "{relays:?}");
            }
        }
    });
}

/// In the next ten seconds these sides hear what is said. Where packets are lost, consent may be lost with
/// them (of two relays, a request crosses four lossy links at 10 % and is repeated every 5 s): then they
/// find each other again.
fn assert_talk(world: &mut World, variation: Variation, sides: &[usize]) {
    let (least, windows) = if variation.is_calm() {
        (49, 1)
    } else {
        (15, 6)
    };
    let mut heard = Vec::new();
    for _ in 0..windows {
        let since = world.now();
        world.wait(secs(10));
        heard = sides
            .iter()
            .map(|&side| world.side(side).heard_since(since))
            .collect();
        if heard.iter().all(|&heard| heard >= least) {
            break;
        }
    }
    for (side, heard) in sides.iter().zip(heard) {
        assert_eq!(world.side(*side).failed(), None);
        assert!(heard >= least, "side {side} has heard {heard} of 50");
    }
}

//! What users see when something happens to the relay, over UDP and over TCP.
//!
//! Where no restart comes, calls whose path is lost for good end with its cause, after every pair was
//! tried again.

use core::time::Duration;

use floe_peer::{FailureCause, GatheringError};
use floe_sansio::Transport;
use floe_sim::{Path, Preset, Probability, Report, Session, SessionConfig, SideReport};
use floe_stun::StatusCode;
use floe_turn::{AllocateError, RefuseReason};

/// Nobody goes on longer without an answer (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// All pairs are checked again before a call is given up (RFC 8863 §4).
const TRIED_AGAIN: Duration = Duration::from_secs(40);
/// Consent is asked for once in this time at least (RFC 7675 §5.1: 5 s, ± 20 %).
const ASKED_EVERY: Duration = Duration::from_secs(6);

const OVER_UDP: [Preset; 2] = [Preset::Symmetric, Preset::Symmetric];
const OVER_TCP: [Preset; 2] = [Preset::UdpBlocked, Preset::Open];
const DIRECT: [Preset; 2] = [Preset::FullCone, Preset::PortRestricted];

/// Five seeds without loss, and five with 5 %.
fn in_fair_and_foul(nats: [Preset; 2], check: impl Fn(SessionConfig, &str)) {
    at_losses([0, 5], nats, check);
}

/// The same with 1 %, for calls of many minutes. Requests for consent are not repeated (RFC 7675 §5.1):
/// at 5 % of each of four crossings, 16 of 400 relayed calls of 20 minutes ended because all were lost
/// for 30 s.
fn for_long(nats: [Preset; 2], check: impl Fn(SessionConfig, &str)) {
    at_losses([0, 1], nats, check);
}

fn at_losses(losses: [u32; 2], nats: [Preset; 2], check: impl Fn(SessionConfig, &str)) {
    for loss in losses {
        for seed in 1..6 {
            let mut config = SessionConfig::new(nats[0], nats[1]);
            config.seed = seed;
            config.loss = Probability::percent(loss);
            let name = format!("{} × {}, seed {seed}, {loss} %", nats[0], nats[1]);
            check(config, &name);
        }
    }
}

/// A call that has been going on for some seconds: data has gone both ways.
fn call(config: &SessionConfig, path: Path) -> Session {
    let mut session = config.start().unwrap();
    session.settle().unwrap();
    session.wait(Duration::from_secs(10)).unwrap();
    let report = session.report().unwrap();
    assert_eq!(report.outcome, path, "{report:?}");
    assert!(talks(&mut session), "{report:?}");
    session
}

/// Whether data goes both ways now.
fn talks(session: &mut Session) -> bool {
    session.hail(0);
    session.hail(1);
    session.wait(Duration::from_secs(5)).unwrap();
    session.report().unwrap().sides.iter().all(|it| it.answered)
}

fn report_after(session: &mut Session, wait: Duration) -> Report {
    session.wait(wait).unwrap();
    session.report().unwrap()
}

fn rejected(code: StatusCode) -> GatheringError {
    GatheringError::Allocation(AllocateError::Rejected(code))
}

/// What went wrong with servers, by transport.
fn failures(side: &SideReport) -> Vec<(Transport, GatheringError)> {
    let failures = side.server_failures.iter();
    let mut failures: Vec<_> = failures.map(|it| (it.transport, it.error)).collect();
    failures.sort_by_key(|&(transport, _)| transport);
    failures
}

/// The client keeps sending to a server that knows it no longer: over UDP it hears nothing of that, and
/// long before it would refresh the allocation, and be answered 437, the peer has stopped answering.
#[test]
fn a_server_restart_ends_a_call_over_udp_when_consent_runs_out() {
    in_fair_and_foul(OVER_UDP, |config, name| {
        let mut session = call(&config, Path::Relayed);
        session.start_server();
        let restart = session.now();
        assert!(!talks(&mut session), "{name}");
        let report = report_after(&mut session, CONSENT + TRIED_AGAIN);
        for side in &report.sides {
            let (at, cause) = side.failed.expect(name);
            assert_eq!(cause, FailureCause::ConsentExpired, "{name}");
            assert!(at - restart <= CONSENT + TRIED_AGAIN, "{name}: {at:?}");
        }
    });
}

/// Over TCP the restarted server resets the connection, which the client learns with the next thing
/// that it says. It connects and allocates again, and the peer follows it to the new relay.
#[test]
fn a_call_over_tcp_survives_a_server_restart() {
    in_fair_and_foul(OVER_TCP, |config, name| {
        let mut session = call(&config, Path::Relayed);
        session.start_server();
        session.wait(3 * ASKED_EVERY).unwrap();
        let lost = GatheringError::Allocation(AllocateError::Disconnected);
        let report = session.report().unwrap();
        let last = report.sides[0].server_failures.last().unwrap();
        assert_eq!(
            (last.transport, last.error),
            (Transport::Tcp, lost),
            "{name}"
        );
        assert!(talks(&mut session), "{name}");
        session.wait(2 * CONSENT).unwrap();
        assert!(talks(&mut session), "{name}: a minute after");
    });
}

/// A server that is gone resets nothing: over TCP as over UDP, consent says first that it is over.
#[test]
fn a_server_that_vanishes_ends_a_call_when_consent_runs_out() {
    for nats in [OVER_UDP, OVER_TCP] {
        in_fair_and_foul(nats, |config, name| {
            let mut session = call(&config, Path::Relayed);
            session.stop_server();
            let gone = session.now();
            let report = report_after(&mut session, CONSENT + 2 * TRIED_AGAIN);
            for side in &report.sides {
                let (at, cause) = side.failed.expect(name);
                assert_eq!(cause, FailureCause::ConsentExpired, "{name}");
                assert!(at - gone <= CONSENT + TRIED_AGAIN, "{name}: {at:?}");
            }
        });
    }
}

#[test]
fn a_direct_call_needs_no_server() {
    for_long(DIRECT, |config, name| {
        let mut session = call(&config, Path::Direct);
        session.start_server();
        session.wait(2 * CONSENT).unwrap();
        assert!(talks(&mut session), "{name}: after a restart");
        session.stop_server();
        session.wait(Duration::from_mins(30)).unwrap();
        assert!(talks(&mut session), "{name}: without it");
    });
}

/// A NAT that keeps the inside port makes the same mapping again, with the next packet from inside.
#[test]
fn a_direct_call_survives_the_reboot_of_a_nat_that_keeps_ports() {
    let nats = [
        Preset::FullCone,
        Preset::PortRestricted,
        Preset::LinuxMasquerade,
    ];
    for nat in nats {
        for_long([nat, nat], |config, name| {
            for side in [0, 1] {
                let mut session = call(&config, Path::Direct);
                session.nat_mut(side).unwrap().reboot();
                session.wait(ASKED_EVERY).unwrap();
                assert!(talks(&mut session), "{name}: right after");
                session.wait(2 * CONSENT).unwrap();
                assert!(talks(&mut session), "{name}: a minute after");
            }
        });
    }
}

/// A symmetric NAT picks another port: who is behind it is somebody else then, for the peer of a direct
/// call and for the server of a relayed one. The peer follows to the new address once it has answered
/// there; the allocation belonged to the old one, and is made anew.
#[test]
fn a_call_survives_the_reboot_of_a_symmetric_nat() {
    let direct = [Preset::Symmetric, Preset::FullCone];
    // Of a call over TCP only the peer has a NAT that could reboot.
    let peer = [Preset::UdpBlocked, Preset::Symmetric];
    for (nats, side, path) in [(direct, 0, Path::Direct), (peer, 1, Path::Relayed)] {
        in_fair_and_foul(nats, |config, name| {
            let mut session = call(&config, path);
            session.nat_mut(side).unwrap().reboot();
            session.wait(2 * ASKED_EVERY).unwrap();
            assert!(talks(&mut session), "{name}");
            session.wait(2 * CONSENT).unwrap();
            assert!(talks(&mut session), "{name}: a minute after");
        });
    }
}

#[test]
fn a_call_survives_that_nonces_expire() {
    for nats in [OVER_UDP, OVER_TCP] {
        for_long(nats, |mut config, name| {
            config.server = |server| server.nonce_lifetime = Duration::from_secs(30);
            let mut session = call(&config, Path::Relayed);
            // Permissions are refreshed every four minutes, the allocation and the channel every nine.
            for _ in 0..4 {
                session.wait(Duration::from_mins(5)).unwrap();
                assert!(talks(&mut session), "{name}: {:?}", session.report());
            }
            let stats = session.server().unwrap().turn().stats();
            let stale = stats.refused(RefuseReason::StaleNonce);
            assert!(stale >= 4, "{name}: {stale} stale nonces");
            let report = session.report().unwrap();
            assert!(report.sides.iter().all(|it| it.failed.is_none()), "{name}");
        });
    }
}

/// The server does not relay to where the answering peer is. Over its own relay that peer is reached
/// all the same: what the refusal harms is one pair.
#[test]
fn a_refused_peer_harms_its_own_pairs_only() {
    let over_udp = [Preset::Symmetric, Preset::PortRestricted];
    for nats in [over_udp, OVER_TCP] {
        for_long(nats, |mut config, name| {
            config.server = |server| {
                let denied = "62.0.2.0/24".parse().unwrap();
                server.peers = server.peers.clone().deny(denied);
            };
            let mut session = call(&config, Path::Relayed);
            let (_, pair) = session.report().unwrap().sides[0].selected.unwrap();
            assert!(
                !pair.remote.address.to_string().starts_with("62.0.2."),
                "{name}"
            );
            let stats = session.server().unwrap().turn().stats();
            assert!(stats.refused(RefuseReason::Denied) > 0, "{name}");
            session.wait(Duration::from_mins(10)).unwrap();
            assert!(talks(&mut session), "{name}");
        });
    }
}

#[test]
fn without_a_server_a_direct_path_is_found_all_the_same() {
    in_fair_and_foul([Preset::Open, Preset::Symmetric], |mut config, name| {
        for trickle in [true, false] {
            config.trickle = trickle;
            let mut session = config.start().unwrap();
            session.stop_server();
            session.settle().unwrap();
            let report = session.report().unwrap();
            assert_eq!(report.outcome, Path::Direct, "{name}");
            // Who waits for all candidates waits for the server, and is told that none came: neither
            // from the STUN server, nor from the TURN server over UDP, nor over TCP.
            let selected = report.selected().unwrap();
            let told = [Transport::Udp, Transport::Udp, Transport::Tcp];
            let told = told.map(|transport| (transport, GatheringError::TooLate));
            for side in &report.sides {
                let expected: &[_] = if trickle { &[] } else { &told };
                assert_eq!(failures(side), expected, "{name}");
            }
            assert_eq!(
                selected < Duration::from_secs(2),
                trickle,
                "{name}: {selected:?}"
            );
            assert!(talks(&mut session), "{name}");
        }
    });
}

/// Who needs the server is told which way of reaching it failed, and that no pair works.
#[test]
fn without_a_server_a_pair_that_needs_it_fails() {
    for nats in [OVER_UDP, OVER_TCP] {
        in_fair_and_foul(nats, |config, name| {
            let mut session = config.start().unwrap();
            session.stop_server();
            session.settle().unwrap();
            let report = session.report().unwrap();
            for side in &report.sides {
                let (_, cause) = side.failed.expect(name);
                assert_eq!(cause, FailureCause::ChecksFailed, "{name}");
                let transports: Vec<_> = failures(side).iter().map(|it| it.0).collect();
                let all = [Transport::Udp, Transport::Udp, Transport::Tcp];
                assert_eq!(transports, all, "{name}");
                let is_late = |it: &(_, _)| it.1 == GatheringError::TooLate;
                assert!(failures(side).iter().all(is_late), "{name}");
            }
        });
    }
}

#[test]
fn without_a_relay_to_spare_a_direct_path_is_found_all_the_same() {
    in_fair_and_foul(DIRECT, |mut config, name| {
        config.server = |server| server.limits.per_user = 0;
        let session = call(&config, Path::Direct);
        let quota = (
            Transport::Udp,
            rejected(StatusCode::ALLOCATION_QUOTA_REACHED),
        );
        let report = session.report().unwrap();
        // At a loss, the pair may be there before the answer.
        for side in &report.sides {
            let mut failures = failures(side);
            failures.retain(|it| it.0 == Transport::Udp);
            if config.loss == Probability::NEVER {
                assert_eq!(failures, [quota], "{name}");
            } else {
                assert!(
                    failures.iter().all(|it| *it == quota),
                    "{name}: {failures:?}"
                );
            }
        }
    });
}

/// One relay is enough for two; who gets none, over UDP or over TCP, is told why.
#[test]
fn the_one_that_got_a_relay_shares_it() {
    in_fair_and_foul(OVER_UDP, |mut config, name| {
        config.server = |server| server.limits.per_user = 1;
        let session = call(&config, Path::Relayed);
        let report = session.report().unwrap();
        let quota = rejected(StatusCode::ALLOCATION_QUOTA_REACHED);
        let told: Vec<_> = report.sides.iter().flat_map(failures).collect();
        assert!(told.iter().any(|it| it.1 == quota), "{name}: {told:?}");
        assert_eq!(session.server().unwrap().turn().allocations(), 1, "{name}");
    });
}

#[test]
fn without_a_relay_to_spare_a_pair_that_needs_it_fails() {
    for nats in [OVER_UDP, OVER_TCP] {
        in_fair_and_foul(nats, |mut config, name| {
            config.server = |server| server.limits.per_user = 0;
            let mut session = config.start().unwrap();
            session.settle().unwrap();
            let report = session.report().unwrap();
            let quota = rejected(StatusCode::ALLOCATION_QUOTA_REACHED);
            for side in &report.sides {
                let (_, cause) = side.failed.expect(name);
                assert_eq!(cause, FailureCause::ChecksFailed, "{name}");
                assert!(failures(side).contains(&(Transport::Tcp, quota)), "{name}");
            }
        });
    }
}

//! Candidates over TCP (RFC 6544) between simulated hosts.

use core::time::Duration;

use floe_peer::TcpUse;
use floe_sim::{Path, Preset, SessionConfig};

/// UDP gets nowhere; the offering host is behind the first of these, the answering one behind the other.
fn over_tcp(a: Preset, b: Preset) -> SessionConfig {
    let mut config = SessionConfig::new(a, b);
    config.ice = [|ice| ice.tcp = TcpUse::AfterUdp; 2];
    config
}

/// A firewall lets no UDP through, but anybody may connect to the hosts behind it.
#[test]
fn where_both_cannot_use_udp_and_one_is_reached_over_tcp_no_relay_is_needed() {
    for trickle in [false, true] {
        for seed in 1..21 {
            let mut config = over_tcp(Preset::UdpBlocked, Preset::UdpBlocked);
            (config.seed, config.trickle) = (seed, trickle);
            let mut session = config.start().unwrap();
            session.settle().unwrap();
            let report = session.report().unwrap();
            assert_eq!(report.outcome, Path::Direct, "{report:?}");
            assert!(report.is_mirrored(), "{report:?}");
            assert!(report.sides.iter().all(|side| side.answered), "{report:?}");
            // It lives on, over the same connection.
            session.wait(Duration::from_mins(10)).unwrap();
            for side in [0, 1] {
                session.hail(side);
                session.wait(Duration::from_secs(1)).unwrap();
                assert!(session.report().unwrap().sides[side].answered);
            }
        }
    }
}

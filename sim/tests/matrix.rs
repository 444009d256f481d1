//! Ten kinds of NAT against ten, real agents, a real server: every cell against the oracle.

use core::time::Duration;

use floe_sim::{
    Filtering, Judgement, Mapping, NatConfig, Path, Preset, Probability, Report, SessionConfig,
};

fn run(config: &SessionConfig) -> Report {
    match config.run() {
        Ok((report, _)) => report,
        Err(error) => panic!("{} × {}, seed {}: {error}", config.a, config.b, config.seed),
    }
}

fn for_all_cells(seeds: core::ops::Range<u64>, check: impl Fn(SessionConfig, &str)) {
    for seed in seeds {
        for a in Preset::ALL {
            for b in Preset::ALL {
                let mut config = SessionConfig::new(a, b);
                config.seed = seed;
                check(config, &format!("{a} × {b}, seed {seed}"));
            }
        }
    }
}

/// Without loss the verdict is exact, both ends name the same pair, and data goes both ways.
fn check_exact(config: &SessionConfig, cell: &str) {
    let report = run(config);
    assert_eq!(report.judgement, Judgement::Agreed, "{cell}: {report:?}");
    assert!(report.is_mirrored(), "{cell}: {report:?}");
    let connected = report.outcome != Path::None;
    for side in &report.sides {
        assert_eq!(side.answered, connected, "{cell}: data");
        assert_eq!(side.failed.is_some(), !connected, "{cell}: {report:?}");
    }
}

#[test]
fn every_cell_agrees_with_the_oracle() {
    for_all_cells(1..4, |config, cell| check_exact(&config, cell));
}

#[test]
fn every_cell_agrees_with_the_oracle_without_trickling() {
    for_all_cells(1..3, |mut config, cell| {
        config.trickle = false;
        check_exact(&config, cell);
    });
}

/// Candidates that arrive long before, or long after, the first packets.
#[test]
fn every_cell_agrees_however_slow_signalling_and_network_are() {
    for (round_trip, signal_delay) in [(0, 0), (300, 0), (5, 2000), (200, 700)] {
        for_all_cells(1..2, |mut config, cell| {
            config.round_trip = Duration::from_millis(round_trip);
            config.signal_delay = Duration::from_millis(signal_delay);
            check_exact(&config, &format!("{cell}, R {round_trip} σ {signal_delay}"));
        });
    }
}

#[test]
fn everything_connectable_connects_at_five_percent_loss() {
    for_all_cells(1..4, |mut config, cell| {
        config.loss = Probability::percent(5);
        let report = run(&config);
        let connectable = report.expectation.path != Path::None;
        assert_eq!(report.outcome != Path::None, connectable, "{cell}");
        assert!(report.is_mirrored(), "{cell}: {report:?}");
    });
}

/// The two cells that the whole design is about.
#[test]
fn symmetric_pairs_use_the_relay_and_full_cones_do_not() {
    let relayed = run(&SessionConfig::new(Preset::Symmetric, Preset::Symmetric));
    assert_eq!(relayed.outcome, Path::Relayed);
    for (a, b) in [
        (Preset::FullCone, Preset::Symmetric),
        (Preset::Symmetric, Preset::FullCone),
    ] {
        assert_eq!(run(&SessionConfig::new(a, b)).outcome, Path::Direct);
    }
}

/// "Both can send" between open hosts takes no longer than it must: 2σ + R, one Ta and 10 ms.
#[test]
fn open_hosts_connect_as_fast_as_signalling_allows() {
    let config = SessionConfig::new(Preset::Open, Preset::Open);
    let floor = 2 * config.signal_delay + config.round_trip;
    let valid = run(&config).valid().unwrap();
    assert!(
        valid >= floor && valid <= floor + Duration::from_millis(15),
        "{valid:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_log_and_another_seed_another() {
    let log = |seed| {
        let mut config = SessionConfig::new(Preset::Symmetric, Preset::PortRestricted);
        config.seed = seed;
        config.loss = Probability::percent(5);
        config.record = true;
        config.run().unwrap().1.json_lines()
    };
    assert_eq!(log(1), log(1));
    assert_ne!(log(1), log(2));
}

/// Negative control: what the label promises the NAT does not do, and the verdict says so.
#[test]
fn a_mislabelled_nat_makes_the_oracle_wrong() {
    let mut config = SessionConfig::new(Preset::PortRestricted, Preset::PortRestricted);
    config.mislabel = Some(NatConfig {
        mapping: Mapping::AddressAndPortDependent,
        filtering: Filtering::AddressAndPortDependent,
        allocation: floe_sim::Allocation::RANDOM,
        ..NatConfig::RFC4787
    });
    assert_eq!(run(&config).judgement, Judgement::OracleWrong);
}

/// Where every packet is lost the agents find nothing, and the oracle is not to blame for that.
#[test]
fn total_loss_is_no_fault_of_the_oracle() {
    let mut config = SessionConfig::new(Preset::Open, Preset::Open);
    config.loss = Probability::ALWAYS;
    assert_eq!(run(&config).judgement, Judgement::AgentMissedAPath);
}

/// Negative control: an agent that was not told of the relay misses the path through it.
#[test]
fn an_agent_without_a_relay_misses_a_path() {
    let mut config = SessionConfig::new(Preset::Symmetric, Preset::Symmetric);
    config.relay = false;
    let report = run(&config);
    assert_eq!(report.outcome, Path::None);
    assert_eq!(report.judgement, Judgement::AgentMissedAPath);
}

/// An idle hour over a relay: consent every five seconds or so, answered, each crossing the relay;
/// refreshes of allocation, permission and channel every few minutes; nothing else, and nothing lost.
#[test]
fn an_idle_hour_costs_keepalives_only() {
    let mut config = SessionConfig::new(Preset::Symmetric, Preset::Symmetric);
    let before = run(&config).packets;
    config.linger = Duration::from_hours(1);
    let report = run(&config);
    assert!(
        report.sides.iter().all(|side| side.failed.is_none()),
        "{report:?}"
    );
    // Two sides, 900 requests an hour at most, an answer each, and every one is relayed once or
    // twice.
    let hour = report.packets - before;
    assert!(hour <= 2 * 900 * 2 * 3 + 400, "{hour} packets in an hour");
    assert!(hour >= 2 * 600 * 2 * 2, "{hour} packets in an hour");
}

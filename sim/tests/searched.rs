//! Random search: cases that may show nothing, controls that must, and what it has found.

use core::time::Duration;

use floe_ice::Role;
use floe_sim::{
    Allocation, Case, Control, Examined, Filtering, Finding, Judgement, Link, Mapping, NatConfig,
    Path, Preset, Probability, SegmentId, Session, SessionConfig, Site, Topology, World,
};

fn run(seed: u64) -> Examined {
    Case::nth(seed).run().unwrap()
}

#[test]
fn three_hundred_cases_show_nothing() {
    for seed in 0..300 {
        let findings = run(seed).findings;
        assert!(findings.is_empty(), "seed {seed}: {findings:?}");
    }
}

fn found(control: Control, judgement: Judgement) -> usize {
    let cases = (0..300).map(|seed| Case::nth(seed).control(control).run().unwrap());
    cases
        .filter(|examined| examined.findings.contains(&Finding::Judgement(judgement)))
        .count()
}

#[test]
fn a_nat_that_maps_otherwise_than_its_label_says_is_found() {
    assert!(found(Control::Mislabelled, Judgement::OracleWrong) > 2);
}

#[test]
fn an_agent_without_a_relay_is_found() {
    assert!(found(Control::NoRelay, Judgement::AgentMissedAPath) > 10);
}

/// A NAT with a new random port for each destination that lets in whatever comes.
const WIDE_OPEN_SYMMETRIC: NatConfig = NatConfig {
    mapping: Mapping::AddressAndPortDependent,
    filtering: Filtering::EndpointIndependent,
    allocation: Allocation::RANDOM,
    ..NatConfig::RFC4787
};

/// Two homes, each behind a NAT of its own, in the core.
fn apart(a: NatConfig, b: NatConfig) -> World {
    let mut plan = Topology::new();
    let access = Site::public(Link::delay(Duration::from_millis(10)));
    let sites = [plan.nat("nat-a", access, a), plan.nat("nat-b", access, b)];
    let hosts = [plan.host("a", sites[0]), plan.host("b", sites[1])];
    let server = plan.host("server", access);
    World {
        plan,
        sites,
        hosts,
        server,
    }
}

/// Cuts the server off for a while, 440 ms after the offer has left, and lets things come to an end.
fn with_the_server_cut_off(config: &SessionConfig, world: &World, outage: Duration) -> Session {
    let mut session = config.start_in(world.clone()).unwrap();
    session.wait(Duration::from_millis(440)).unwrap();
    let access = world.plan.access(world.server);
    let cut = access.with_loss(Probability::ALWAYS);
    session.network_mut().set_access(world.server, 0, cut);
    session.wait(outage).unwrap();
    session.network_mut().set_access(world.server, 0, access);
    session.settle().unwrap();
    session
}

/// Each check through two such NATs arrives from a new port, becomes a new peer-reflexive candidate,
/// triggers a check to it, and that one arrives from a new port too: there is no end to it, and no
/// pair of it ever works. The limits on candidates and pairs then kept the one pair out that the
/// controlling side had nominated, over the relay.
#[test]
fn ports_without_end_do_not_keep_the_relay_out() {
    let world = apart(WIDE_OPEN_SYMMETRIC, WIDE_OPEN_SYMMETRIC);
    for seed in 1..11 {
        for outage in [0, 300, 600, 1_200].map(Duration::from_millis) {
            for strict in [[false, false], [false, true], [true, false]] {
                let mut config = SessionConfig::new(Preset::Open, Preset::Open);
                config.seed = seed;
                config.signal_delay = Duration::from_millis(200);
                config.ice = strict.map(profile);
                let mut session = with_the_server_cut_off(&config, &world, outage);
                session.wait(Duration::from_secs(45)).unwrap();
                let report = session.report().unwrap();
                let case = format!("seed {seed}, outage {outage:?}, strict {strict:?}");
                assert_eq!(report.outcome, Path::Relayed, "{case}: {report:?}");
                assert!(report.is_mirrored(), "{case}: {report:?}");
                let failed = report.sides.iter().any(|side| side.failed.is_some());
                assert!(!failed, "{case}: {report:?}");
            }
        }
    }
}

/// An outage of less than two seconds, in the middle of checking, ends nothing: the checks to an address
/// that has been heard are not used up while it lasts.
#[test]
fn an_outage_amid_the_checks_ends_no_negotiation() {
    for nats in [
        [Preset::Symmetric, Preset::Symmetric],
        [Preset::PortRestricted, Preset::PortRestricted],
        [Preset::Symmetric, Preset::AddressRestricted],
    ] {
        for seed in 1..6 {
            for begin in (0..1_000).step_by(100).map(Duration::from_millis) {
                let mut config = SessionConfig::new(nats[0], nats[1]);
                config.seed = seed;
                config.round_trip = Duration::from_millis(400);
                config.gathered_before = true;
                config.limit = Duration::from_mins(1);
                let mut session = config.start().unwrap();
                session.wait(begin).unwrap();
                let dead = Link::IDEAL.with_loss(Probability::ALWAYS);
                session.network_mut().set_link(SegmentId::CORE, dead);
                session.wait(Duration::from_millis(1_900)).unwrap();
                session.network_mut().calm();
                session.settle().unwrap();
                let report = session.report().unwrap();
                let case = format!("{nats:?}, seed {seed}, outage from {begin:?}");
                assert_ne!(report.outcome, Path::None, "{case}: {report:?}");
                assert!(report.is_mirrored(), "{case}: {report:?}");
            }
        }
    }
}

/// Checks that leave from addresses whose packets vanish do not use up what the address of the peer may
/// be sent: those over the relay find it.
#[test]
fn dead_addresses_do_not_spend_the_budget_of_the_relay() {
    for seed in 1..6 {
        for begin in (0..1_000).step_by(50).map(Duration::from_millis) {
            let mut config = SessionConfig::new(Preset::PortRestricted, Preset::UdpBlocked);
            config.seed = seed;
            config.dead_addresses = 3;
            config.gathered_before = true;
            let mut session = config.start().unwrap();
            session.wait(begin).unwrap();
            let dead = Link::IDEAL.with_loss(Probability::ALWAYS);
            session.network_mut().set_link(SegmentId::CORE, dead);
            session.wait(Duration::from_millis(1_500)).unwrap();
            session.network_mut().calm();
            session.settle().unwrap();
            let report = session.report().unwrap();
            let case = format!("seed {seed}, outage from {begin:?}");
            assert_eq!(report.outcome, Path::Relayed, "{case}: {report:?}");
            assert!(report.is_mirrored(), "{case}: {report:?}");
        }
    }
}

/// A NAT shows what a peer sends in answer to a check from another port than was asked. Where the answer is
/// a 487, the peer has not taken the check in, so nobody else repeats it: the pair has not failed, as it
/// has after other answers from elsewhere.
#[test]
fn a_487_from_elsewhere_does_not_end_the_direct_pair() {
    let random = |mapping, filtering| NatConfig {
        mapping,
        filtering,
        allocation: Allocation::RANDOM,
        ..NatConfig::RFC4787
    };
    let world = apart(
        random(Mapping::AddressDependent, Filtering::EndpointIndependent),
        random(Mapping::PerFlow, Filtering::AddressDependent),
    );
    for role in [Role::Controlling, Role::Controlled] {
        for delay in [5, 20, 50, 100, 250] {
            for seed in 0..5 {
                let mut config = SessionConfig::new(Preset::Open, Preset::Open);
                config.seed = seed;
                config.signal_delay = Duration::from_millis(delay);
                config.roles = [Some(role); 2];
                let mut session = config.start_in(world.clone()).unwrap();
                session.settle().unwrap();
                let report = session.report().unwrap();
                let case = format!("{role:?}, signalling {delay} ms, seed {seed}");
                assert_eq!(report.outcome, Path::Direct, "{case}: {report:?}");
            }
        }
    }
}

/// A NAT that draws a port for each flow may draw one twice: then it looks independent of the destination,
/// and a path is found that the oracle takes for impossible, for it guesses no ports.
#[test]
fn a_port_drawn_twice_refutes_no_oracle() {
    let per_flow = NatConfig {
        mapping: Mapping::PerFlow,
        allocation: Allocation::Random {
            low: 40_000,
            high: 40_001,
        },
        ..NatConfig::RFC4787
    };
    let port_restricted = NatConfig {
        filtering: Filtering::AddressAndPortDependent,
        ..NatConfig::RFC4787
    };
    let world = apart(per_flow, port_restricted);
    let mut by_chance = 0;
    for seed in 0..20 {
        let mut config = SessionConfig::new(Preset::Open, Preset::Open);
        config.seed = seed;
        config.gathered_before = true;
        let mut session = config.start_in(world.clone()).unwrap();
        session.settle().unwrap();
        let report = session.report().unwrap();
        assert_eq!(report.expectation.path, Path::Relayed);
        assert_eq!(report.judgement, Judgement::Agreed, "{seed}: {report:?}");
        by_chance += u32::from(report.outcome == Path::Direct);
    }
    assert!(by_chance > 5, "{by_chance}");
}

fn profile(strict: bool) -> fn(&mut floe_ice::Config) {
    if strict {
        |config| *config = config.clone().strict()
    } else {
        |_| {}
    }
}

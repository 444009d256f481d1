//! Behaviour discovery (RFC 5780) finds every NAT of the simulator to be what its axes say.

use std::time::Duration;

use floe_sim::{
    Filtering, Hairpin, Layer, Mapping, NatConfig, NatTimers, Preset, Probability, Survey,
    SurveyConfig,
};
use floe_stun::discovery::{Dependence, Finding, Hairpinning, Report};

/// What must be seen of the NATs between a host and the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    mapping: Dependence,
    filtering: Dependence,
    hairpinning: Finding<Hairpinning>,
    /// In seconds; none where nothing expires.
    lifetime: Option<u64>,
    port_preserved: bool,
}

/// One NAT.
fn of_nat(config: &NatConfig) -> Expected {
    let preserves = config.allocation.preserves();
    let mapping = match config.mapping {
        Mapping::EndpointIndependent => Dependence::EndpointIndependent,
        Mapping::AddressDependent => Dependence::AddressDependent,
        // Flows that keep the inside port look like one mapping.
        Mapping::PerFlow if preserves => Dependence::EndpointIndependent,
        Mapping::AddressAndPortDependent | Mapping::PerFlow => Dependence::AddressAndPortDependent,
    };
    let filtering = match config.filtering {
        Filtering::EndpointIndependent => Dependence::EndpointIndependent,
        Filtering::AddressDependent => Dependence::AddressDependent,
        Filtering::AddressAndPortDependent => Dependence::AddressAndPortDependent,
    };
    // Who shows a new port to each destination is not let in by a strict filter, even if hairpinned:
    // the one that was sent to is another.
    let passes = mapping == Dependence::EndpointIndependent
        || filtering == Dependence::EndpointIndependent
        || (filtering == Dependence::AddressDependent && config.mapping != Mapping::PerFlow);
    let hairpinning = match config.hairpin {
        Hairpin::Internal if passes => Hairpinning::InternalSource,
        Hairpin::External if passes => Hairpinning::ExternalSource,
        _ => Hairpinning::Unsupported,
    };
    Expected {
        mapping,
        filtering,
        hairpinning: Finding::Known(hairpinning),
        // The server has answered before the binding is left alone.
        lifetime: Some(config.timers.established.as_secs()),
        port_preserved: preserves,
    }
}

/// NATs behind each other, the nearest to the host first: what is seen depends on whatever one of them
/// depends on, lives as long as the first to forget, and hairpins where the outermost does, whose
/// external address it is; that it does is all that is seen, since the packet comes back through the
/// inner one with the source that the outer one gave it.
fn of_layers(layers: &[Layer]) -> Option<Expected> {
    let mut seen: Option<Expected> = None;
    for layer in layers {
        let Layer::Nat(config) = layer else {
            return None;
        };
        let outer = of_nat(config);
        seen = Some(match seen {
            None => outer,
            Some(inner) => Expected {
                mapping: inner.mapping.max(outer.mapping),
                filtering: inner.filtering.max(outer.filtering),
                hairpinning: outer.hairpinning,
                lifetime: inner.lifetime.min(outer.lifetime),
                port_preserved: inner.port_preserved && outer.port_preserved,
            },
        });
    }
    // Nothing at all: no mapping, no filter, and nobody's hairpin.
    Some(seen.unwrap_or(Expected {
        mapping: Dependence::EndpointIndependent,
        filtering: Dependence::EndpointIndependent,
        hairpinning: Finding::NotTested,
        lifetime: None,
        port_preserved: true,
    }))
}

fn run(config: &SurveyConfig) -> Survey {
    let (survey, _) = config.run().unwrap();
    assert!(survey.finished.is_some(), "{}: {survey:?}", config.nat);
    survey
}

/// `slack` is what retransmissions may blur the lifetime by.
#[track_caller]
fn assert_seen(report: &Report, expected: Option<Expected>, slack: Duration, what: &str) {
    let Some(expected) = expected else {
        let mut blocked = Report::default();
        blocked.udp = Finding::Known(false);
        assert_eq!(report, &blocked, "{what}");
        return;
    };
    assert_eq!(report.udp, Finding::Known(true), "{what}");
    assert_eq!(report.mapping, Finding::Known(expected.mapping), "{what}");
    assert_eq!(
        report.filtering,
        Finding::Known(expected.filtering),
        "{what}"
    );
    assert_eq!(report.hairpinning, expected.hairpinning, "{what}");
    assert_eq!(
        report.port_preserved,
        Finding::Known(expected.port_preserved),
        "{what}"
    );
    assert_eq!(
        report.nat,
        Finding::Known(expected.lifetime.is_some()),
        "{what}"
    );
    assert_eq!(report.alg, Finding::Known(false), "{what}");
    assert_eq!(report.fragments, Finding::Known(true), "{what}");
    match expected.lifetime {
        None => assert_eq!(report.lifetime, Finding::NotTested, "{what}"),
        Some(seconds) => {
            let found = report.lifetime.known().unwrap();
            let less_than = found.less_than.unwrap();
            let lifetime = Duration::from_secs(seconds);
            assert!(found.at_least <= lifetime, "{what}: {found}");
            assert!(less_than + slack >= lifetime, "{what}: {found}");
            assert!(
                less_than <= found.at_least + Duration::from_secs(1),
                "{what}: {found}"
            );
        }
    }
}

/// Two round trips.
const ROUND_TRIPS: Duration = Duration::from_millis(110);

/// req: NATDISC-4.1-1
#[test]
fn every_preset_is_found_to_be_what_it_is() {
    for nat in Preset::ALL {
        let survey = run(&SurveyConfig::new(nat));
        assert_seen(
            &survey.report,
            of_layers(nat.layers()),
            ROUND_TRIPS,
            nat.name(),
        );
    }
}

#[test]
fn where_udp_is_blocked_that_is_all_that_is_said() {
    let survey = run(&SurveyConfig::new(Preset::UdpBlocked));
    assert_eq!(survey.report.udp, Finding::Known(false));
    assert_eq!(survey.report.mapping, Finding::NotTested);
    assert_eq!(survey.steps.len(), 1);
}

/// One packet in twenty is lost in each direction. Of a request and its answer one is lost in ten tries,
/// of seven tries all in ten million.
#[test]
fn loss_changes_nothing_but_the_time_it_takes() {
    for nat in Preset::ALL {
        for seed in 1..=5 {
            let mut config = SurveyConfig::new(nat);
            config.seed = seed;
            config.loss = Probability::percent(5);
            let survey = run(&config);
            // Where the first requests of a probe are lost, it asks some seconds later than it meant to.
            let slack = ROUND_TRIPS + Duration::from_secs(4);
            let what = format!("{nat}, seed {seed}");
            assert_seen(&survey.report, of_layers(nat.layers()), slack, &what);
        }
    }
}

#[test]
fn every_combination_of_the_axes_is_found_to_be_what_it_is() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            for hairpin in Hairpin::ALL {
                let nat = NatConfig {
                    mapping,
                    filtering,
                    hairpin,
                    timers: NatTimers::same(Duration::from_secs(35)),
                    ..NatConfig::RFC4787
                };
                let mut config = SurveyConfig::new(Preset::Open);
                config.round_trip = Duration::from_millis(20);
                let (survey, _) = config.run_with(nat).unwrap();
                let mut expected = of_nat(&nat);
                expected.port_preserved = survey.report.port_preserved.known().unwrap();
                assert_seen(
                    &survey.report,
                    Some(expected),
                    ROUND_TRIPS,
                    &nat.to_string(),
                );
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_survey_and_log() {
    let mut config = SurveyConfig::new(Preset::SymmetricCgn);
    config.record = true;
    config.loss = Probability::percent(5);
    let (one, first) = config.run().unwrap();
    let (two, second) = config.run().unwrap();
    assert_eq!(one, two);
    assert_eq!(first.json_lines(), second.json_lines());
    config.seed = 2;
    assert_ne!(config.run().unwrap().1.json_lines(), first.json_lines());
}

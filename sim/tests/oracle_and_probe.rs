//! The oracle, which reasons, against the prober, which sends packets: they must agree everywhere.

use floe_sim::{
    Allocation, Expectation, Filtering, Hairpin, HostId, Judgement, Link, Mapping, NatConfig,
    Oracle, Path, Preset, Site, Topology, probe,
};
use proptest::prelude::*;

/// A plug at the core, 5 ms away.
fn public() -> Site {
    Site::public(Link::delay(core::time::Duration::from_millis(5)))
}

/// Every mapping with every filtering and every way to pick ports that makes a difference.
fn all_axes() -> Vec<NatConfig> {
    let mut all = Vec::new();
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            for allocation in [
                Allocation::Preserving,
                Allocation::PreservingElseRandom,
                Allocation::NEXT,
                Allocation::RANDOM,
            ] {
                let config = NatConfig {
                    mapping,
                    filtering,
                    allocation,
                    ..NatConfig::RFC4787
                };
                if config.check().is_ok() {
                    all.push(config);
                }
            }
        }
    }
    all
}

fn oracle_and_probe(world: &Topology, a: HostId, b: HostId, server: HostId) -> (Expectation, bool) {
    let expected = Oracle::new(world).expect(a, b, &[server]);
    assert_eq!(expected, Oracle::new(world).expect(b, a, &[server]));
    (expected, probe(world, 1, a, b, server).unwrap())
}

/// req: NATUDP-4.1-1, NATUDP-5-1
#[test]
fn they_agree_on_every_pair_of_nats() {
    let axes = all_axes();
    assert_eq!(axes.len(), 42);
    for (first, ours) in axes.iter().enumerate() {
        for theirs in &axes[first..] {
            let mut world = Topology::new();
            let server = world.host("server", public());
            let site_a = world.nat("nat-a", public(), *ours);
            let site_b = world.nat("nat-b", public(), *theirs);
            let a = world.host("a", site_a);
            let b = world.host("b", site_b);
            let (expected, found) = oracle_and_probe(&world, a, b, server);
            assert!(expected.certain);
            assert_eq!(expected.path == Path::Direct, found, "{ours}\n{theirs}");
        }
    }
}

#[test]
fn they_agree_on_every_pair_of_presets() {
    for ours in Preset::ALL {
        for theirs in Preset::ALL {
            let mut world = Topology::new();
            let server = world.host("server", public());
            let site_a = world.preset("nat-a", public(), ours);
            let site_b = world.preset("nat-b", public(), theirs);
            let a = world.host("a", site_a);
            let b = world.host("b", site_b);
            let (expected, found) = oracle_and_probe(&world, a, b, server);
            assert!(expected.certain);
            assert_eq!(expected.path == Path::Direct, found, "{ours} {theirs}");
        }
    }
}

/// req: NATUDP-R9-1
#[test]
fn they_agree_on_two_homes_behind_one_carrier() {
    let homes = [
        Preset::FullCone,
        Preset::AddressRestricted,
        Preset::PortRestricted,
        Preset::Symmetric,
        Preset::LinuxMasquerade,
    ];
    let mut paths = Vec::new();
    for hairpin in Hairpin::ALL {
        for carrier in all_axes() {
            for (first, ours) in homes.iter().enumerate() {
                for theirs in &homes[first..] {
                    let mut world = Topology::new();
                    let server = world.host("server", public());
                    let config = NatConfig { hairpin, ..carrier };
                    let inside = world.carrier("carrier", public(), config);
                    let site_a = world.preset("nat-a", inside, *ours);
                    let site_b = world.preset("nat-b", inside, *theirs);
                    let a = world.host("a", site_a);
                    let b = world.host("b", site_b);
                    let (expected, found) = oracle_and_probe(&world, a, b, server);
                    if expected.certain {
                        let direct = expected.path == Path::Direct;
                        assert_eq!(direct, found, "{config}\n{ours} {theirs}");
                        paths.push(direct);
                    }
                }
            }
        }
    }
    assert!(paths.contains(&true) && paths.contains(&false));
}

fn any_nat() -> impl Strategy<Value = NatConfig> {
    let hairpin = prop::sample::select(&[Hairpin::Off, Hairpin::External][..]);
    (prop::sample::select(all_axes()), hairpin)
        .prop_map(|(config, hairpin)| NatConfig { hairpin, ..config })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Some NATs in front of both, some more in front of each.
    #[test]
    fn they_agree_on_nested_nats(
        shared in prop::collection::vec(any_nat(), 0..=2),
        ours in prop::collection::vec(any_nat(), 0..=3),
        theirs in prop::collection::vec(any_nat(), 0..=3),
    ) {
        let mut world = Topology::new();
        let server = world.host("server", public());
        let mut common = public();
        for (depth, config) in shared.iter().enumerate() {
            common = world.carrier(&format!("shared-{depth}"), common, *config);
        }
        let mut hosts = Vec::new();
        for (name, chain) in [("a", &ours), ("b", &theirs)] {
            let mut site = common;
            for (depth, config) in chain.iter().enumerate() {
                site = world.nat(&format!("{name}-{depth}"), site, *config);
            }
            hosts.push(world.host(name, site));
        }
        let (expected, found) = oracle_and_probe(&world, hosts[0], hosts[1], server);
        if expected.certain {
            prop_assert_eq!(expected.path == Path::Direct, found);
        }
    }
}

/// The negative control: a NAT that does not do what its label says is found out.
#[test]
fn a_mislabelled_nat_proves_the_oracle_wrong() {
    let label = NatConfig {
        filtering: Filtering::AddressAndPortDependent,
        ..NatConfig::RFC4787
    };
    let actual = NatConfig {
        mapping: Mapping::AddressAndPortDependent,
        allocation: Allocation::RANDOM,
        ..label
    };
    let mut world = Topology::new();
    let server = world.host("server", public());
    let site_a = world.nat("nat-a", public(), label);
    let site_b = world.nat("nat-b", public(), label);
    let a = world.host("a", site_a);
    let b = world.host("b", site_b);
    assert!(oracle_and_probe(&world, a, b, server).1);

    world.mislabel(site_a, actual);
    let (expected, found) = oracle_and_probe(&world, a, b, server);
    assert_eq!(expected.path, Path::Direct);
    assert_eq!(
        expected.judge(Path::Relayed, Some(found)),
        Judgement::OracleWrong
    );
}

/// Two hosts of one home use the same port: one of them keeps it, so only one is what the label says.
#[test]
fn where_ports_may_clash_the_oracle_is_not_certain() {
    let mut world = Topology::new();
    let server = world.host("server", public());
    let home = world.preset("home", public(), Preset::LinuxMasquerade);
    let other = world.preset("other", public(), Preset::PortRestricted);
    let a = world.host("a", home);
    let b = world.host("b", other);
    assert!(Oracle::new(&world).expect(a, b, &[server]).certain);

    let _sibling = world.host("sibling", home);
    let expected = Oracle::new(&world).expect(a, b, &[server]);
    assert_eq!(expected.path, Path::Direct);
    assert!(!expected.certain);
}

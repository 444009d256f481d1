//! Every NAT, looked at from outside as RFC 5780 does, is what its axes say.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{public, send, start};
use floe_sansio::Instant;
use floe_sim::{
    Allocation, Filtering, Hairpin, HostId, Layer, Mapping, NatConfig, Preset, Site, Topology,
};
use proptest::prelude::*;

/// What can be seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    mapping: Mapping,
    filtering: Filtering,
    preserves: bool,
    hairpin: bool,
}

/// Looks at the NATs in front of a host, from two public addresses with two ports each.
///
/// Returns nothing if nothing gets out.
fn classify(world: &mut Topology, site: Site, seed: u64) -> Option<Seen> {
    let host = world.host("inside", site);
    let other = world.host("beside", site);
    let server = world.host("server", public());
    let second = world.interface(server, public());
    let first = world.address(server);
    let at = |ip, port| SocketAddr::new(ip, port);
    let (a1p1, a1p2) = (at(first, 3478), at(first, 3479));
    let (a2p1, a2p2) = (at(second, 3478), at(second, 3479));
    let inside = |port| at(world.address(host), port);
    let mut run = start(world, seed);

    // Filtering first, from a fresh socket: the mapping tests open filters.
    let socket = (host, inside(6000));
    let mapped = send(&mut run, socket, (server, a1p1))?;
    let mut enters = |from| send(&mut run, (server, from), (host, mapped)).is_some();
    assert!(enters(a1p1), "an answer always enters");
    let filtering = if enters(a2p2) {
        Filtering::EndpointIndependent
    } else if enters(a1p2) {
        Filtering::AddressDependent
    } else {
        Filtering::AddressAndPortDependent
    };

    let socket = (host, inside(7000));
    let m1 = send(&mut run, socket, (server, a1p1))?;
    let m2 = send(&mut run, socket, (server, a2p1))?;
    let m3 = send(&mut run, socket, (server, a2p2))?;
    let mapping = if m1 == m2 {
        assert_eq!(m2, m3);
        Mapping::EndpointIndependent
    } else if m2 == m3 {
        Mapping::AddressDependent
    } else {
        Mapping::AddressAndPortDependent
    };
    // The same again is the same mapping.
    assert_eq!(send(&mut run, socket, (server, a1p1)), Some(m1));

    // A hairpin from another host to a mapping whose filter it need not pass: it was sent to before,
    // if the address of the sender can be known at all.
    let beside = (other, at(world.address(other), 8000));
    let theirs = send(&mut run, beside, (server, a1p1))?;
    send(&mut run, socket, (other, theirs));
    let hairpin = send(&mut run, beside, (host, m1)).is_some();
    Some(Seen {
        mapping,
        filtering,
        preserves: m1.port() == 7000,
        hairpin,
    })
}

/// What a lone NAT must look like.
fn declared(config: &NatConfig) -> Seen {
    let keeps = config.allocation.preserves();
    let mapping = match config.mapping {
        // Flows that keep the inside port look like one mapping.
        Mapping::PerFlow if keeps => Mapping::EndpointIndependent,
        Mapping::PerFlow => Mapping::AddressAndPortDependent,
        other => other,
    };
    // Who shows the other a new port for each destination passes a strict filter only by chance, and
    // flows without a common port have no common filter.
    let endpoint_independent = mapping == Mapping::EndpointIndependent;
    let passes = config.filtering == Filtering::EndpointIndependent
        || endpoint_independent
        || (config.filtering == Filtering::AddressDependent && config.mapping != Mapping::PerFlow);
    Seen {
        mapping,
        filtering: config.filtering,
        preserves: keeps,
        hairpin: config.hairpin != Hairpin::Off && passes,
    }
}

fn every_allocation() -> Vec<Allocation> {
    vec![
        Allocation::Preserving,
        Allocation::PreservingElseRandom,
        Allocation::NEXT,
        Allocation::Sequential {
            delta: 7.try_into().unwrap(),
        },
        Allocation::RANDOM,
        Allocation::Random {
            low: 40_000,
            high: 41_000,
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The full product of the axes, for any seed.
    ///
    /// req: NATUDP-R1-1, NATUDP-4.1-1, NATUDP-4.2.1-1, NATUDP-5-1, NATUDP-R9-1
    #[test]
    fn the_product_of_the_axes(seed in any::<u64>()) {
        for mapping in Mapping::ALL {
            for filtering in Filtering::ALL {
                for allocation in every_allocation() {
                    for hairpin in Hairpin::ALL {
                        let config = NatConfig {
                            mapping,
                            filtering,
                            allocation,
                            hairpin,
                            ..NatConfig::RFC4787
                        };
                        if config.check().is_err() {
                            continue;
                        }
                        let mut world = Topology::new();
                        let site = world.nat("nat", public(), config);
                        let seen = classify(&mut world, site, seed);
                        prop_assert_eq!(seen, Some(declared(&config)), "{}", config);
                    }
                }
            }
        }
    }
}

#[test]
fn every_preset_is_what_its_name_says() {
    use Filtering::{AddressAndPortDependent as Port, AddressDependent as Address};
    use Mapping::EndpointIndependent as Same;
    let seen = |mapping, filtering, preserves, hairpin| {
        Some(Seen {
            mapping,
            filtering,
            preserves,
            hairpin,
        })
    };
    let new = Mapping::AddressAndPortDependent;
    let anyone = Filtering::EndpointIndependent;
    for preset in Preset::ALL {
        let expected = match preset {
            // The two open hosts see each other as they see the server.
            Preset::Open | Preset::FullCone => seen(Same, anyone, true, true),
            Preset::AddressRestricted => seen(Same, Address, true, true),
            Preset::PortRestricted => seen(Same, Port, true, true),
            Preset::Symmetric | Preset::SymmetricSequential | Preset::SymmetricCgn => {
                seen(new, Port, false, false)
            }
            Preset::LinuxMasquerade => seen(Same, Port, true, false),
            // The carrier's ports are random.
            Preset::DoubleNat => seen(Same, Port, false, true),
            Preset::UdpBlocked => None,
            _ => panic!("{preset} has no row here"),
        };
        let mut world = Topology::new();
        let site = world.preset("nat", public(), preset);
        assert_eq!(classify(&mut world, site, 1), expected, "{preset}");
    }
}

/// How long a mapping lives, found from outside by halving.
///
/// req: NATUDP-R5-1
#[test]
fn timers_are_what_they_say() {
    for preset in Preset::ALL {
        let (Some(Layer::Nat(nearest)), 1) = (preset.layers().first(), preset.layers().len())
        else {
            continue;
        };
        let (mut lives, mut dead) = (0, 1_000);
        while dead - lives > 1 {
            let idle = u64::midpoint(lives, dead);
            let mut world = Topology::new();
            let site = world.preset("nat", public(), preset);
            let host = world.host("inside", site);
            let server = world.host("server", public());
            if answered_after(&world, host, server, Duration::from_secs(idle)) {
                lives = idle;
            } else {
                dead = idle;
            }
        }
        assert_eq!(dead, nearest.timers.new.as_secs(), "{preset}");
    }
}

fn answered_after(world: &Topology, host: HostId, server: HostId, idle: Duration) -> bool {
    let mut run = start(world, 1);
    let inside = (host, SocketAddr::new(world.address(host), 5000));
    let outside = (server, SocketAddr::new(world.address(server), 3478));
    let mapped = send(&mut run, inside, outside).unwrap();
    let _ = run.wait((Instant::ZERO + idle).since(run.now()));
    send(&mut run, outside, (host, mapped)).is_some()
}

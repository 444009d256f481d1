use super::*;
use crate::{Link, Preset, Site, Subnet};

fn public() -> Site {
    Site::public(Link::IDEAL)
}

/// What two hosts behind these kinds, each its own, can do.
fn between(a: Preset, b: Preset) -> Expectation {
    let mut world = Topology::new();
    let relay = world.host("relay", public());
    let (site_a, site_b) = (
        world.preset("nat-a", public(), a),
        world.preset("nat-b", public(), b),
    );
    let (a, b) = (world.host("a", site_a), world.host("b", site_b));
    Oracle::new(&world).expect(a, b, &[relay])
}

/// The whole table. What may look doubtful in it:
///
/// - open × symmetric: the open side learns the symmetric side's port from its packets (a
///   peer-reflexive candidate) and filters nobody;
/// - address-restricted × symmetric: the same, because the restricted side lets in every port of an
///   address that it has sent to;
/// - port-restricted × symmetric: it would have to have sent to a port that it cannot know;
/// - linux-masquerade: its flows keep the inside port, so it is port-restricted for a lone host;
/// - double-nat: the carrier adds no dependence, the home filters by port: port-restricted;
/// - symmetric-cgn: the carrier's mapping counts: symmetric;
/// - udp-blocked: a relay, which it reaches over TCP.
#[test]
fn the_table_of_all_kinds() {
    // d direct, r relayed, - none; rows and columns in the order of `Preset::ALL`.
    let table: Vec<String> = Preset::ALL
        .into_iter()
        .map(|a| {
            let cells = Preset::ALL.into_iter().map(|b| {
                let expected = between(a, b);
                assert!(expected.certain, "{a} {b}");
                match expected.path {
                    Path::Direct => 'd',
                    Path::Relayed => 'r',
                    Path::None => '-',
                }
            });
            format!("{:<20} {}", a.name(), cells.collect::<String>())
        })
        .collect();
    assert_eq!(
        table,
        [
            "open                 dddddddddr",
            "full-cone            dddddddddr",
            "address-restricted   dddddddddr",
            "port-restricted      ddddrrddrr",
            "symmetric            dddrrrrrrr",
            "symmetric-sequential dddrrrrrrr",
            "linux-masquerade     ddddrrddrr",
            "double-nat           ddddrrddrr",
            "symmetric-cgn        dddrrrrrrr",
            "udp-blocked          rrrrrrrrrr",
        ]
    );
}

#[test]
fn hosts_of_one_home_are_connected_whatever_the_home_has() {
    for preset in Preset::ALL {
        let mut world = Topology::new();
        let home = world.preset("home", public(), preset);
        let (a, b) = (world.host("a", home), world.host("b", home));
        // Two open hosts share no home, only the core: the same by other means.
        assert_eq!(Oracle::new(&world).expect(a, b, &[]).path, Path::Direct);
    }
}

#[test]
fn homes_behind_one_carrier_need_its_hairpin() {
    for (hairpin, path) in [
        (Hairpin::Off, Path::Relayed),
        (Hairpin::External, Path::Direct),
    ] {
        let mut world = Topology::new();
        let relay = world.host("relay", public());
        let config = NatConfig {
            hairpin,
            ..NatConfig::RFC4787
        };
        let carrier = world.carrier("carrier", public(), config);
        let home_a = world.preset("home-a", carrier, Preset::PortRestricted);
        let home_b = world.preset("home-b", carrier, Preset::PortRestricted);
        let (a, b) = (world.host("a", home_a), world.host("b", home_b));
        assert_eq!(
            Oracle::new(&world).expect(a, b, &[relay]),
            Expectation {
                path,
                certain: true
            }
        );
    }
}

#[test]
fn a_host_further_out_is_reached_by_its_own_address_unless_the_inner_home_uses_it_too() {
    for (inner, path) in [
        (Subnet::new([192, 168, 2, 0].into(), 24), Path::Direct),
        (Subnet::HOME, Path::None),
    ] {
        let mut world = Topology::new();
        let config = NatConfig {
            hairpin: Hairpin::Off,
            ..NatConfig::RFC4787
        };
        let outer = world.nat("outer", public(), config);
        let inside = world.nat_of("inner", outer, config, inner);
        let (a, b) = (world.host("a", outer), world.host("b", inside));
        assert_eq!(Oracle::new(&world).expect(a, b, &[]).path, path);
    }
}

/// A relay behind a NAT is out of reach, whatever carries the packets.
#[test]
fn a_relay_has_to_be_reached_by_both() {
    let mut world = Topology::new();
    let blocked = world.preset("wifi", public(), Preset::UdpBlocked);
    let home = world.preset("home", public(), Preset::FullCone);
    let (a, b) = (world.host("a", blocked), world.host("b", home));
    let hidden = world.host("hidden", home);
    let between = |relay| Oracle::new(&world).expect(a, b, &[relay]).path;
    assert_eq!(between(hidden), Path::None);
    let open = world.host("open", public());
    let between = |relay| Oracle::new(&world).expect(a, b, &[relay]).path;
    assert_eq!(between(open), Path::Relayed);
}

#[test]
fn a_second_interface_is_a_second_chance() {
    let mut world = Topology::new();
    let relay = world.host("relay", public());
    let blocked = world.preset("wifi", public(), Preset::UdpBlocked);
    let home = world.preset("home", public(), Preset::PortRestricted);
    let (a, b) = (world.host("a", blocked), world.host("b", home));
    let without = Oracle::new(&world).expect(a, b, &[]);
    assert_eq!(without.path, Path::None);
    assert_eq!(
        Oracle::new(&world).expect(a, b, &[relay]).path,
        Path::Relayed
    );
    let mobile = world.preset("mobile", public(), Preset::SymmetricCgn);
    world.interface(a, mobile);
    assert_eq!(Oracle::new(&world).expect(a, b, &[]), without);
    let cable = world.preset("cable", public(), Preset::FullCone);
    world.interface(a, cable);
    assert_eq!(
        Oracle::new(&world).expect(a, b, &[relay]).path,
        Path::Direct
    );
}

#[test]
fn without_a_relay_what_would_be_relayed_is_impossible() {
    let mut world = Topology::new();
    let site_a = world.preset("nat-a", public(), Preset::Symmetric);
    let site_b = world.preset("nat-b", public(), Preset::Symmetric);
    let (a, b) = (world.host("a", site_a), world.host("b", site_b));
    assert_eq!(Oracle::new(&world).expect(a, b, &[]).path, Path::None);
}

#[test]
fn a_relay_behind_a_firewall_is_none() {
    let mut world = Topology::new();
    let walled = world.preset("wall", public(), Preset::UdpBlocked);
    let relay = world.host("relay", walled);
    let site_a = world.preset("nat-a", public(), Preset::Symmetric);
    let site_b = world.preset("nat-b", public(), Preset::Symmetric);
    let (a, b) = (world.host("a", site_a), world.host("b", site_b));
    // The firewall's host has a public address, but nothing gets in.
    assert_eq!(Oracle::new(&world).expect(a, b, &[relay]).path, Path::None);
}

#[test]
fn judgements() {
    use Judgement::{AgentMissedAPath as Missed, Agreed, OracleWrong as Wrong, RelayAvoidable};
    use Path::{Direct, None as Nothing, Relayed};

    let rows = [
        // expected, certain, outcome, probe, judgement
        (Direct, true, Direct, None, Agreed),
        (Relayed, true, Relayed, None, Agreed),
        (Nothing, true, Nothing, None, Agreed),
        (Direct, true, Relayed, None, RelayAvoidable),
        (Direct, true, Relayed, Some(true), RelayAvoidable),
        (Direct, true, Relayed, Some(false), Wrong),
        (Direct, true, Nothing, None, Missed),
        (Direct, true, Nothing, Some(true), Missed),
        (Direct, true, Nothing, Some(false), Wrong),
        (Relayed, true, Nothing, None, Missed),
        (Relayed, true, Nothing, Some(false), Missed),
        (Relayed, true, Direct, None, Wrong),
        (Nothing, true, Direct, None, Wrong),
        (Nothing, true, Relayed, None, Wrong),
        (Direct, false, Relayed, None, Agreed),
        (Direct, false, Relayed, Some(false), Agreed),
        (Direct, false, Relayed, Some(true), RelayAvoidable),
        (Direct, false, Nothing, None, Missed),
        (Relayed, false, Direct, None, Agreed),
    ];
    for (path, certain, outcome, probe, judgement) in rows {
        let expected = Expectation { path, certain };
        assert_eq!(
            expected.judge(outcome, probe),
            judgement,
            "{expected:?} {outcome} {probe:?}"
        );
    }
    assert_eq!(
        [Agreed, RelayAvoidable, Missed, Wrong].map(Judgement::name),
        [
            "agreed",
            "relay-avoidable",
            "agent-missed-a-path",
            "oracle-wrong"
        ]
    );
}

/// Found by random search: a host in the core is reached from everywhere, but for a NAT that keeps the
/// inside port or drops, where another host behind it has that port.
#[test]
fn a_port_that_may_be_taken_makes_the_way_out_uncertain() {
    for (others, certain) in [(0, true), (1, false)] {
        let mut world = Topology::new();
        let preserving = NatConfig {
            allocation: Allocation::Preserving,
            ..NatConfig::RFC4787
        };
        let carrier = world.carrier("carrier", public(), preserving);
        let a = world.host("a", public());
        let b = world.host("b", carrier);
        for other in 0..others {
            world.host(&format!("other-{other}"), carrier);
        }
        let expected = Oracle::new(&world).expect(a, b, &[]);
        assert_eq!((expected.path, expected.certain), (Path::Direct, certain));
    }
}

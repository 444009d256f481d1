//! Worlds drawn at random: NATs by their axes, nested and shared, hosts with several addresses.

use core::net::Ipv4Addr;
use core::num::NonZeroU16;
use core::time::Duration;

use super::dice::Dice;
use crate::{
    Allocation, Filtering, Firewall, Hairpin, HostId, Link, Mapping, NatConfig, NatLimits,
    NatTimers, Probability, Refresh, SegmentId, Site, Subnet, Topology, World,
};

/// Behind the second interfaces of hosts.
const SECOND: Subnet = Subnet::new(Ipv4Addr::new(10, 77, 0, 0), 16);
/// Behind a home that is outside of a carrier.
const OUTER: Subnet = Subnet::new(Ipv4Addr::new(10, 99, 0, 0), 16);

/// How the two sides lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Apart,
    /// Each has a home behind the same carrier.
    OneCarrier,
    /// One has a home behind the carrier, the other is its direct customer.
    Customer,
    /// Both are in one home.
    OneHome,
    /// The home of one is in the home of the other.
    Inside,
}

/// A world, and how many addresses of the two sides lead nowhere.
pub(super) fn world(dice: &mut Dice) -> (World, usize) {
    let mut plan = Topology::new();
    let core = link(dice, 5);
    plan.set_link(SegmentId::CORE, with_faults(dice, core));
    let server = {
        let access = Site::public(link(dice, 60));
        plan.host("server", access)
    };
    let sites = sites(dice, &mut plan);
    let hosts = [plan.host("a", sites[0]), plan.host("b", sites[1])];
    for host in hosts {
        if dice.percent(10) {
            let name = format!("second-{}", plan.name(host));
            let access = Site::public(link(dice, 100));
            // A host tells its interfaces apart by their addresses.
            let site = chain(dice, &mut plan, &name, access, SECOND);
            plan.interface(host, site);
        }
    }
    let dead = dice.weighted([(60, 0), (15, 1), (15, 2), (10, 3)]);
    let alike = dice.percent(50);
    for (side, host) in (0..).zip(hosts) {
        islands(&mut plan, host, if alike { 0 } else { side }, dead);
    }
    let world = World {
        plan,
        sites,
        hosts,
        server,
    };
    (world, dead)
}

/// Where the two hosts are plugged in.
fn sites(dice: &mut Dice, plan: &mut Topology) -> [Site; 2] {
    let relation = dice.weighted([
        (70, Relation::Apart),
        (10, Relation::OneCarrier),
        (6, Relation::Customer),
        (8, Relation::OneHome),
        (6, Relation::Inside),
    ]);
    let access = Site::public(link(dice, 60));
    match relation {
        Relation::Apart => {
            let other = Site::public(link(dice, 60));
            [
                chain(dice, plan, "nat-a", access, Subnet::HOME),
                chain(dice, plan, "nat-b", other, Subnet::HOME),
            ]
        }
        Relation::OneCarrier => {
            let config = nat(dice);
            let carrier = plan.carrier("carrier", access, config);
            ["nat-a", "nat-b"].map(|name| {
                let line = Site {
                    link: link(dice, 20),
                    ..carrier
                };
                let config = nat(dice);
                plan.nat(name, line, config)
            })
        }
        Relation::Customer => {
            let config = nat(dice);
            let carrier = plan.carrier("carrier", access, config);
            let config = nat(dice);
            let home = plan.nat("nat-a", carrier, config);
            if dice.percent(50) {
                [home, carrier]
            } else {
                [carrier, home]
            }
        }
        Relation::OneHome => [chain(dice, plan, "nat-a", access, Subnet::HOME); 2],
        Relation::Inside => {
            let outer = chain(dice, plan, "nat-a", access, Subnet::HOME);
            let config = nat(dice);
            let inner = plan.nat("nat-b", outer, config);
            if dice.percent(50) {
                [outer, inner]
            } else {
                [inner, outer]
            }
        }
    }
}

/// What lies between a host and the core: nothing, NATs, a firewall.
fn chain(dice: &mut Dice, plan: &mut Topology, name: &str, outside: Site, inside: Subnet) -> Site {
    #[derive(Clone, Copy)]
    enum Chain {
        Open,
        Nats(u32),
        Blocked,
        HomeBehindBlocked,
    }
    let chain = dice.weighted([
        (14, Chain::Open),
        (54, Chain::Nats(1)),
        (18, Chain::Nats(2)),
        (4, Chain::Nats(3)),
        (7, Chain::Blocked),
        (3, Chain::HomeBehindBlocked),
    ]);
    match chain {
        Chain::Open => outside,
        Chain::Nats(depth) => {
            let mut site = outside;
            for level in (0..depth).rev() {
                let config = nat(dice);
                site = match (level, depth) {
                    (0, _) => plan.nat_of(name, site, config, inside),
                    (1, _) => plan.carrier(&format!("{name}/carrier"), site, config),
                    _ => plan.nat_of(&format!("{name}/outer"), site, config, OUTER),
                };
            }
            site
        }
        Chain::Blocked => plan.firewall(name, outside, Firewall::BlockUdp),
        Chain::HomeBehindBlocked => {
            let wall = plan.firewall(&format!("{name}/wall"), outside, Firewall::BlockUdp);
            let config = nat(dice);
            plan.nat_of(name, wall, config, inside)
        }
    }
}

/// A NAT: each axis on its own.
fn nat(dice: &mut Dice) -> NatConfig {
    let mapping = dice.weighted([
        (50, Mapping::EndpointIndependent),
        (10, Mapping::AddressDependent),
        (25, Mapping::AddressAndPortDependent),
        (15, Mapping::PerFlow),
    ]);
    let filtering = dice.pick([
        Filtering::EndpointIndependent,
        Filtering::AddressDependent,
        Filtering::AddressAndPortDependent,
        Filtering::AddressAndPortDependent,
    ]);
    let delta = NonZeroU16::MIN.saturating_add(dice.index(4) as u16);
    let keyed = matches!(
        mapping,
        Mapping::AddressDependent | Mapping::AddressAndPortDependent
    );
    let allocation = dice.weighted([
        (if keyed { 0 } else { 8 }, Allocation::Preserving),
        (45, Allocation::PreservingElseRandom),
        (17, Allocation::Sequential { delta }),
        (30, Allocation::RANDOM),
    ]);
    let seconds = |dice: &mut Dice| Duration::from_secs(dice.pick([15, 30, 60, 120, 300]));
    let new = seconds(dice);
    let limits = if dice.percent(5) {
        NatLimits {
            mappings_per_host: 64 + dice.index(64) as u32,
            sessions_per_endpoint: 64 + dice.index(64) as u32,
        }
    } else {
        NatLimits::DEFAULT
    };
    NatConfig {
        mapping,
        filtering,
        allocation,
        refresh: dice.pick(Refresh::ALL),
        timers: NatTimers {
            new,
            established: seconds(dice).max(new),
        },
        hairpin: dice.weighted([
            (45, Hairpin::Off),
            (45, Hairpin::External),
            (10, Hairpin::Internal),
        ]),
        limits,
        ..NatConfig::RFC4787
    }
}

/// Addresses that lead nowhere.
fn islands(plan: &mut Topology, host: HostId, net: u8, count: usize) {
    for number in 0..count {
        let name = format!("{}/dead-{number}", plan.name(host));
        let base = Ipv4Addr::new(172, 16 + 8 * net, number as u8, 0);
        let island = plan.island(&name, Subnet::new(base, 24));
        plan.interface(host, island);
    }
}

/// A link of up to so many milliseconds one way, with jitter or without.
fn link(dice: &mut Dice, millis: u64) -> Link {
    let delay = dice.up_to(millis);
    match dice.below(10) {
        0..6 => Link::delay(delay),
        6..8 => Link::IDEAL.with_jitter(delay, delay + dice.up_to(30)),
        _ => Link::IDEAL
            .with_jitter(delay, delay + dice.up_to(30))
            .with_reordering(),
    }
}

/// The same link with loss, duplication and corruption, or without.
fn with_faults(dice: &mut Dice, link: Link) -> Link {
    let mut chance = |often, percent: u64| {
        let happens = dice.percent(often);
        let ppm = dice.below(percent * 10_000) as u32;
        Probability::ppm(if happens { ppm } else { 0 })
    };
    link.with_loss(chance(35, 20))
        .with_duplication(chance(20, 10))
        .with_corruption(chance(5, 2))
}

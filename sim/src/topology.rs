//! What a simulated world consists of: segments, routers, hosts, and how they are plugged together.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::BTreeSet;

use crate::{Firewall, Link, NatConfig, NatConfigError, Preset};

/// A host: its place in the order in which hosts were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) u32);

impl HostId {
    /// Its place in the order in which hosts were added, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A segment: a set of interfaces that reach each other without a router. The public core is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub(crate) u32);

impl SegmentId {
    /// The public core.
    pub const CORE: Self = Self(0);

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A router between an inside and an outside segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RouterId(pub(crate) u32);

impl RouterId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where to plug in: a segment, and the link to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The segment.
    pub segment: SegmentId,
    /// What a packet crosses between the plug and the segment, in both directions.
    pub link: Link,
}

impl Site {
    /// The public core, over this access link.
    pub const fn public(access: Link) -> Self {
        Self {
            segment: SegmentId::CORE,
            link: access,
        }
    }

    /// The same place over another link.
    #[must_use]
    pub const fn with_link(self, link: Link) -> Self {
        Self { link, ..self }
    }
}

/// What a router does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// It translates addresses.
    Nat(NatConfig),
    /// It filters.
    Firewall(Firewall),
}

/// The axes in one line.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nat(config) => config.fmt(f),
            Self::Firewall(firewall) => write!(f, "firewall {}", firewall.name()),
        }
    }
}

/// The addresses of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    base: Ipv4Addr,
    bits: u8,
}

impl Subnet {
    /// What most home routers use: 192.168.1.0/24.
    pub const HOME: Self = Self::new(Ipv4Addr::new(192, 168, 1, 0), 24);
    /// What carriers use between their NAT and their customers: 100.64.0.0/10 (RFC 6598).
    pub const CARRIER: Self = Self::new(Ipv4Addr::new(100, 64, 0, 0), 10);

    /// The addresses whose first `bits` bits (at most 32) are those of `base`.
    pub const fn new(base: Ipv4Addr, bits: u8) -> Self {
        let bits = if bits > 32 { 32 } else { bits };
        let base = Ipv4Addr::from_bits(base.to_bits() & Self::mask(bits));
        Self { base, bits }
    }

    const fn mask(bits: u8) -> u32 {
        match u32::MAX.checked_shl(32 - bits as u32) {
            Some(mask) => mask,
            None => 0,
        }
    }

    /// Whether an address belongs to it.
    pub const fn contains(self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => ip.to_bits() & Self::mask(self.bits) == self.base.to_bits(),
            IpAddr::V6(_) => false,
        }
    }

    /// The `n`-th address after the base.
    const fn nth(self, n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(self.base.to_bits().wrapping_add(n)))
    }

    /// The subnet of the same size behind this one.
    const fn next(self) -> Self {
        let size = match 1_u32.checked_shl(32 - self.bits as u32) {
            Some(size) => size,
            None => 0,
        };
        Self {
            base: Ipv4Addr::from_bits(self.base.to_bits().wrapping_add(size)),
            bits: self.bits,
        }
    }
}

/// The plan of a world: what is plugged into what. [`Network`](crate::Network) brings it to life,
/// [`Oracle`](crate::Oracle) reads it.
///
/// Names are keys of random draws: what is called the same draws the same, whatever else there is.
/// Addresses are handed out in the order of the calls: public ones outside the special-purpose
/// registries, home networks all from 192.168.1.0/24, carriers from 100.64.0.0/10.
///
/// ```
/// use core::time::Duration;
/// use floe_sim::{Filtering, Link, NatConfig, Site, Topology};
///
/// let mut world = Topology::new();
/// let access = Site::public(Link::delay(Duration::from_millis(10)));
/// let server = world.host("turn", access);
/// let carrier = world.carrier("carrier", access, NatConfig::RFC4787);
/// let home = world.nat("home", carrier, NatConfig::RFC4787);
/// let a = world.host("a", home);
/// assert_eq!(world.address(a).to_string(), "192.168.1.2");
/// assert!(world.check().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Topology {
    pub(crate) segments: Vec<SegmentPlan>,
    pub(crate) routers: Vec<RouterPlan>,
    pub(crate) hosts: Vec<HostPlan>,
    /// Between the networks of two hosts, in place of the core's link.
    pub(crate) distances: Vec<(HostId, HostId, Link)>,
}

/// A segment in the plan.
#[derive(Clone, Debug)]
pub(crate) struct SegmentPlan {
    pub(crate) name: String,
    pub(crate) link: Link,
    pub(crate) addresses: Addresses,
    /// The router towards the core.
    pub(crate) gateway: Option<RouterId>,
    /// Addresses handed out.
    used: u32,
}

/// Where a segment's addresses come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    Public,
    Private(Subnet),
    /// From the segment outside: the router does not translate.
    Routed(SegmentId),
}

/// A router in the plan.
#[derive(Clone, Debug)]
pub(crate) struct RouterPlan {
    pub(crate) name: String,
    pub(crate) outside: Site,
    pub(crate) inside: SegmentId,
    pub(crate) layer: Layer,
    /// The external address of a NAT.
    pub(crate) external: Option<IpAddr>,
    /// What a mislabelled NAT really does.
    pub(crate) actual: Option<NatConfig>,
}

/// A host in the plan.
#[derive(Clone, Debug)]
pub(crate) struct HostPlan {
    pub(crate) name: String,
    pub(crate) interfaces: Vec<Interface>,
}

/// One address of a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface {
    pub(crate) ip: IpAddr,
    pub(crate) site: Site,
}

impl Topology {
    /// The public core, and nothing else. The core takes no time and loses nothing.
    pub fn new() -> Self {
        Self {
            segments: vec![SegmentPlan {
                name: "core".into(),
                link: Link::IDEAL,
                addresses: Addresses::Public,
                gateway: None,
                used: 0,
            }],
            routers: Vec::new(),
            hosts: Vec::new(),
            distances: Vec::new(),
        }
    }

    /// What a packet crosses on a segment, once between any two plugs: for the core the long way
    /// and its loss, for other segments [`Link::LAN`] unless set.
    pub fn set_link(&mut self, segment: SegmentId, link: Link) {
        self.segments[segment.index()].link = link;
    }

    /// What a packet crosses in the core between the networks of two hosts, in both directions, in
    /// place of the core's own link: the ways of the internet need not obey the triangle inequality.
    /// It counts for the first interfaces of the hosts; where one router is the outermost of both, it
    /// changes nothing.
    pub fn set_distance(&mut self, a: HostId, b: HostId, link: Link) {
        self.distances.push((a, b, link));
    }

    /// Adds a network without a way out, with these addresses: packets leave it for nowhere, and none
    /// come in. A host's interface there has an address that no peer can use, as those to containers
    /// and idle VPNs have.
    pub fn island(&mut self, name: &str, addresses: Subnet) -> Site {
        let segment = SegmentId(self.segments.len() as u32);
        self.segments.push(SegmentPlan {
            name: name.into(),
            link: Link::LAN,
            addresses: Addresses::Private(addresses),
            gateway: None,
            used: 0,
        });
        Site {
            segment,
            link: Link::IDEAL,
        }
    }

    /// The same world with perfect links: nothing is lost, duplicated, corrupted or reordered.
    #[must_use]
    pub fn faultless(&self) -> Self {
        let mut plan = self.clone();
        let segments = plan.segments.iter_mut().map(|it| &mut it.link);
        let routers = plan.routers.iter_mut().map(|it| &mut it.outside.link);
        let hosts = plan.hosts.iter_mut().flat_map(|it| &mut it.interfaces);
        let hosts = hosts.map(|it| &mut it.site.link);
        let distances = plan.distances.iter_mut().map(|(_, _, link)| link);
        for link in segments.chain(routers).chain(hosts).chain(distances) {
            *link = link.faultless();
        }
        plan
    }

    /// What a packet crosses on a segment.
    pub fn link(&self, segment: SegmentId) -> Link {
        self.segments[segment.index()].link
    }

    /// What a packet crosses between a host's first interface and its segment.
    pub fn access(&self, host: HostId) -> Link {
        self.hosts[host.index()].interfaces[0].site.link
    }

    /// What the label of the NAT in front of a site says, if a NAT is there.
    pub fn nat_at(&self, behind: Site) -> Option<NatConfig> {
        let router = self.segments[behind.segment.index()].gateway?;
        match self.routers[router.index()].layer {
            Layer::Nat(config) => Some(config),
            Layer::Firewall(_) => None,
        }
    }

    /// Puts a NAT there, with a home network behind it; returns where to plug in behind it.
    pub fn nat(&mut self, name: &str, outside: Site, config: NatConfig) -> Site {
        // A home behind a home does not get the same addresses on both sides.
        let subnet = match self.segments[outside.segment.index()].addresses {
            Addresses::Private(subnet) if subnet != Subnet::CARRIER => subnet.next(),
            _ => Subnet::HOME,
        };
        self.nat_of(name, outside, config, subnet)
    }

    /// Puts a carrier's NAT there, for customers to plug in behind it.
    pub fn carrier(&mut self, name: &str, outside: Site, config: NatConfig) -> Site {
        self.nat_of(name, outside, config, Subnet::CARRIER)
    }

    /// Puts a NAT there, with these addresses behind it.
    pub fn nat_of(&mut self, name: &str, outside: Site, config: NatConfig, inside: Subnet) -> Site {
        let external = self.next_address(outside.segment);
        self.router(
            name,
            outside,
            Layer::Nat(config),
            Some(external),
            Addresses::Private(inside),
        )
    }

    /// Puts a firewall there; what is behind it has addresses of the segment outside.
    pub fn firewall(&mut self, name: &str, outside: Site, firewall: Firewall) -> Site {
        let addresses = Addresses::Routed(outside.segment);
        self.router(name, outside, Layer::Firewall(firewall), None, addresses)
    }

    /// Puts the NATs and firewalls of a kind there; returns where to plug in behind them.
    pub fn preset(&mut self, name: &str, outside: Site, preset: Preset) -> Site {
        let mut site = outside;
        for (depth, layer) in preset.layers().iter().enumerate().rev() {
            site = match *layer {
                Layer::Nat(config) if depth > 0 => {
                    self.carrier(&format!("{name}/carrier"), site, config)
                }
                Layer::Nat(config) => self.nat(name, site, config),
                Layer::Firewall(firewall) => self.firewall(name, site, firewall),
            };
        }
        site
    }

    fn router(
        &mut self,
        name: &str,
        outside: Site,
        layer: Layer,
        external: Option<IpAddr>,
        addresses: Addresses,
    ) -> Site {
        let router = RouterId(self.routers.len() as u32);
        let inside = SegmentId(self.segments.len() as u32);
        self.segments.push(SegmentPlan {
            name: format!("{name}/lan"),
            link: Link::LAN,
            addresses,
            gateway: Some(router),
            used: 1, // the router's own
        });
        self.routers.push(RouterPlan {
            name: name.into(),
            outside,
            inside,
            layer,
            external,
            actual: None,
        });
        Site {
            segment: inside,
            link: Link::IDEAL,
        }
    }

    /// Lets the NAT in front of a site do something else than its label says: the oracle goes by the
    /// label. A negative control.
    pub fn mislabel(&mut self, behind: Site, actual: NatConfig) {
        if let Some(router) = self.segments[behind.segment.index()].gateway {
            self.routers[router.index()].actual = Some(actual);
        }
    }

    /// Adds a host with the next free address.
    pub fn host(&mut self, name: &str, site: Site) -> HostId {
        let ip = self.next_address(site.segment);
        self.host_at(name, site, ip)
    }

    /// Adds a host with this address.
    pub fn host_at(&mut self, name: &str, site: Site, ip: IpAddr) -> HostId {
        let id = HostId(self.hosts.len() as u32);
        self.hosts.push(HostPlan {
            name: name.into(),
            interfaces: vec![Interface { ip, site }],
        });
        id
    }

    /// Gives a host a further interface with the next free address, and returns that.
    pub fn interface(&mut self, host: HostId, site: Site) -> IpAddr {
        let ip = self.next_address(site.segment);
        self.interface_at(host, site, ip);
        ip
    }

    /// Gives a host a further interface with this address.
    pub fn interface_at(&mut self, host: HostId, site: Site, ip: IpAddr) {
        self.hosts[host.index()]
            .interfaces
            .push(Interface { ip, site });
    }

    fn next_address(&mut self, segment: SegmentId) -> IpAddr {
        let plan = &mut self.segments[segment.index()];
        match plan.addresses {
            Addresses::Routed(outer) => self.next_address(outer),
            Addresses::Private(subnet) => {
                plan.used += 1;
                subnet.nth(plan.used)
            }
            Addresses::Public => {
                plan.used += 1;
                // One address of each of many networks.
                Subnet::new(Ipv4Addr::new(62, 0, 0, 0), 8).nth((plan.used << 8) | 1)
            }
        }
    }

    /// All hosts, in the order in which they were added.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts.len() as u32).map(HostId)
    }

    /// The name of a host.
    pub fn name(&self, host: HostId) -> &str {
        &self.hosts[host.index()].name
    }

    /// The first address of a host.
    pub fn address(&self, host: HostId) -> IpAddr {
        self.hosts[host.index()].interfaces[0].ip
    }

    /// All addresses of a host.
    pub fn addresses(&self, host: HostId) -> impl Iterator<Item = IpAddr> {
        self.hosts[host.index()].interfaces.iter().map(|i| i.ip)
    }

    /// The NATs and firewalls between a host's first address and the core, the nearest first.
    pub fn layers(&self, host: HostId) -> Vec<Layer> {
        let site = self.hosts[host.index()].interfaces[0].site;
        self.way_up(site.segment)
            .map(|router| self.routers[router.index()].layer)
            .collect()
    }

    /// The names of the NATs and firewalls between a host's interfaces and the core, each once, the
    /// nearest to its first interface first.
    pub fn routers(&self, host: HostId) -> Vec<&str> {
        let mut names = Vec::new();
        for interface in &self.hosts[host.index()].interfaces {
            for router in self.way_up(interface.site.segment) {
                let name = self.routers[router.index()].name.as_str();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// The least one-way delay between the first addresses of two hosts, over the first segment that
    /// both reach, without hairpinning.
    pub fn one_way(&self, a: HostId, b: HostId) -> Duration {
        // Every segment on the way up, with what it takes to get there.
        let climb = |host: HostId| {
            let site = self.hosts[host.index()].interfaces[0].site;
            let mut delay = site.link.delay.least();
            let mut ways = vec![(site.segment, delay)];
            for router in self.way_up(site.segment) {
                let router = &self.routers[router.index()];
                delay += self.segments[router.inside.index()].link.delay.least();
                delay += router.outside.link.delay.least();
                ways.push((router.outside.segment, delay));
            }
            ways
        };
        let (from_a, from_b) = (climb(a), climb(b));
        let core = self.distances.iter().rev();
        let core = core
            .filter(|&&(x, y, _)| (x, y) == (a, b) || (x, y) == (b, a))
            .map(|&(_, _, link)| link)
            .next();
        from_a
            .iter()
            .find_map(|&(segment, up)| {
                let &(_, down) = from_b.iter().find(|&&(other, _)| other == segment)?;
                let own = self.segments[segment.index()].link;
                let link = core.filter(|_| segment == SegmentId::CORE).unwrap_or(own);
                Some(up + link.delay.least() + down)
            })
            .unwrap_or_default()
    }

    /// The routers from a segment to the core.
    pub(crate) fn way_up(&self, segment: SegmentId) -> impl Iterator<Item = RouterId> {
        let gateway = |segment: SegmentId| self.segments[segment.index()].gateway;
        core::iter::successors(gateway(segment), move |router| {
            gateway(self.routers[router.index()].outside.segment)
        })
    }

    /// The segment from which a segment's addresses come.
    pub(crate) fn address_space(&self, segment: SegmentId) -> SegmentId {
        match self.segments[segment.index()].addresses {
            Addresses::Routed(outer) => self.address_space(outer),
            _ => segment,
        }
    }

    /// Whether there can be such a world.
    pub fn check(&self) -> Result<(), TopologyError> {
        let names = self.segments.iter().map(|s| &s.name);
        let names = names.chain(self.routers.iter().map(|r| &r.name));
        let names = names.chain(self.hosts.iter().map(|h| &h.name));
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                return Err(TopologyError::Name(name.clone()));
            }
        }
        let mut seen = BTreeSet::new();
        let of_hosts = self.hosts.iter().flat_map(|h| &h.interfaces);
        let of_hosts = of_hosts.map(|i| (i.site.segment, i.ip));
        let of_routers = self.routers.iter();
        let of_routers = of_routers.filter_map(|r| Some((r.outside.segment, r.external?)));
        for (segment, ip) in of_hosts.chain(of_routers) {
            if !seen.insert((self.address_space(segment), ip)) {
                return Err(TopologyError::Address(ip));
            }
        }
        for router in &self.routers {
            let labelled = match router.layer {
                Layer::Nat(config) => Some(config),
                Layer::Firewall(_) => None,
            };
            for config in labelled.iter().chain(&router.actual) {
                config
                    .check()
                    .map_err(|error| TopologyError::Nat(router.name.clone(), error))?;
            }
        }
        Ok(())
    }
}

impl Default for Topology {
    fn default() -> Self {
        Self::new()
    }
}

/// Why there can be no such world.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopologyError {
    /// Two nodes have this name.
    Name(String),
    /// Two interfaces that can see each other have this address.
    Address(IpAddr),
    /// There can be no NAT with the axes of the router of this name.
    Nat(String, NatConfigError),
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "two nodes are called \"{name}\""),
            Self::Address(ip) => write!(f, "two interfaces have the address {ip}"),
            Self::Nat(name, error) => write!(f, "NAT \"{name}\": {error}"),
        }
    }
}

impl core::error::Error for TopologyError {}

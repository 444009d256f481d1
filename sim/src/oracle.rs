//! What must be possible, from the plan and the axes alone, without a packet.
//!
//! Two hosts reach each other directly
//!
//! 1. by a *host address*, if one of them lies in the other's segment, or further in, and no
//!    firewall is between: the inner one opens whatever NATs there are;
//! 2. by *server-reflexive addresses*, learned from a server in the core: over the core, or, if the
//!    same NAT is the outermost of both, through its hairpin.
//!
//! For the second, a chain of NATs acts like one with the most dependent mapping and the most
//! dependent filtering of the chain, with one exception: behind an inner NAT whose mapping depends on
//! the destination, an outer NAT sees another inside endpoint for each destination, so the advertised
//! address has seen the server only, and lets nobody else in unless it filters nobody.
//!
//! With one NAT a side this comes to: no direct path if one side's mapping depends on the endpoint and
//! the other filters by address and port, or if both mappings depend on address and port (each answer
//! then comes from a new port, and ICE refuses it). Ports are not guessed.
//!
//! A relay speaks UDP with peers, and UDP or TCP with its clients: who reaches it over one of the two
//! can be relayed. A firewall that lets no UDP through lets TCP out.
//!
//! Nothing here uses the state machines of NATs and networks.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use floe_sansio::Transport;

use crate::topology::{Addresses, Interface, Layer, RouterId, SegmentId, Topology};
use crate::{Allocation, Filtering, Firewall, Hairpin, HostId, Mapping, NatConfig};

/// NATs that forget faster than this may do so during a negotiation.
const SHORT: Duration = Duration::from_secs(5);

/// NATs that remember less than this may run out during a negotiation.
const FEW: u32 = 64;

/// How two hosts can be connected at best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// Not at all.
    None,
    /// Through a relay only.
    Relayed,
    /// Directly.
    Direct,
}

impl Path {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Relayed => "relayed",
            Self::Direct => "direct",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the oracle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The best path that must be possible.
    pub path: Path,
    /// Whether it is beyond doubt. It is not where ports may clash, where a NAT forgets within
    /// seconds or remembers next to nothing, and where a hairpin shows inside addresses to nested
    /// NATs. In the report of a run it is not where a NAT has drawn one port twice, see
    /// [`Nat::coincidences`](crate::Nat::coincidences).
    pub certain: bool,
}

/// What a run is, held against the oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Judgement {
    /// As expected.
    Agreed,
    /// Relayed where a direct path is possible.
    RelayAvoidable,
    /// Not connected where a path is possible.
    AgentMissedAPath,
    /// A path where there can be none, or none where it is certain that there is one.
    OracleWrong,
}

impl Judgement {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::RelayAvoidable => "relay-avoidable",
            Self::AgentMissedAPath => "agent-missed-a-path",
            Self::OracleWrong => "oracle-wrong",
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Expectation {
    /// Judges what a run came to.
    ///
    /// `probe` says whether [`probe`](crate::probe) found a direct path in the same world, if that
    /// was asked: when an agent does worse than expected, it tells the agent's fault from the
    /// oracle's.
    pub fn judge(self, outcome: Path, probe: Option<bool>) -> Judgement {
        if outcome > self.path {
            return if self.certain {
                Judgement::OracleWrong
            } else {
                Judgement::Agreed
            };
        }
        let refuted = self.path == Path::Direct && probe == Some(false);
        if refuted && self.certain {
            return Judgement::OracleWrong;
        }
        // What is not certain, the agent need not find, but a relay it must.
        match (self.path, outcome) {
            (Path::Direct, Path::Relayed) if self.certain || probe == Some(true) => {
                Judgement::RelayAvoidable
            }
            (Path::Direct | Path::Relayed, Path::None) => Judgement::AgentMissedAPath,
            _ => Judgement::Agreed,
        }
    }
}

/// Reads a plan and says what is possible in it.
///
/// ```
/// use floe_sim::{Link, Oracle, Path, Preset, Site, Topology};
///
/// let mut world = Topology::new();
/// let public = Site::public(Link::IDEAL);
/// let relay = world.host("relay", public);
/// let home = world.preset("home", public, Preset::PortRestricted);
/// let office = world.preset("office", public, Preset::Symmetric);
/// let a = world.host("a", home);
/// let b = world.host("b", office);
/// assert_eq!(Oracle::new(&world).expect(a, b, &[relay]).path, Path::Relayed);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Oracle<'a> {
    plan: &'a Topology,
}

/// On how much of the other side something depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dependence {
    Nothing,
    Address,
    Port,
    /// On something that never happens: only for [`Side::advertised`].
    Closed,
}

/// What a chain of NATs comes to.
#[derive(Clone, Copy, Debug)]
struct Side {
    mapping: Dependence,
    filtering: Dependence,
    /// How the address that a server saw filters others.
    advertised: Dependence,
}

/// How to read a mapping per flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// No two flows want one port.
    NoClash,
    /// They do: another port for each flow.
    Clash,
}

impl<'a> Oracle<'a> {
    /// Reads a plan.
    pub const fn new(plan: &'a Topology) -> Self {
        Self { plan }
    }

    /// What is possible between two hosts, with relays on these hosts, which clients may reach over
    /// UDP and TCP.
    pub fn expect(self, a: HostId, b: HostId, relays: &[HostId]) -> Expectation {
        let mut best = Expectation {
            path: Path::None,
            certain: true,
        };
        let relayed = relays.iter().any(|&relay| {
            let reaches = |host| {
                self.any_pair(host, relay, |host, relay| {
                    [Transport::Udp, Transport::Tcp]
                        .iter()
                        .any(|&by| self.reaches(by, host, relay))
                })
            };
            reaches(a) && reaches(b)
        });
        if relayed {
            best.path = Path::Relayed;
        }
        for &ours in self.interfaces(a) {
            for &theirs in self.interfaces(b) {
                let direct = self.direct(ours, theirs);
                match direct {
                    (true, true) => {
                        return Expectation {
                            path: Path::Direct,
                            certain: true,
                        };
                    }
                    (true, false) => {
                        best = Expectation {
                            path: Path::Direct,
                            certain: false,
                        };
                    }
                    (false, certain) => best.certain &= certain,
                }
            }
        }
        best
    }

    fn interfaces(self, host: HostId) -> &'a [Interface] {
        &self.plan.hosts[host.index()].interfaces
    }

    fn any_pair(self, a: HostId, b: HostId, holds: impl Fn(Interface, Interface) -> bool) -> bool {
        let theirs = self.interfaces(b);
        self.interfaces(a)
            .iter()
            .any(|&a| theirs.iter().any(|&b| holds(a, b)))
    }

    /// Whether a direct path is possible, and whether that is certain.
    fn direct(self, a: Interface, b: Interface) -> (bool, bool) {
        if a.ip.is_ipv4() != b.ip.is_ipv4() {
            return (false, true);
        }
        let meets = |a, b| self.reaches(Transport::Udp, a, b);
        for (from, to) in [(a, b), (b, a)] {
            if meets(from, to) {
                return (true, !self.is_crowded(from));
            }
        }
        let chains = (self.chain(a.site.segment), self.chain(b.site.segment));
        let (Some(ours), Some(theirs)) = chains else {
            return (false, true); // UDP does not get out
        };
        let (Some(&(our_last, config)), Some(&(their_last, _))) = (ours.last(), theirs.last())
        else {
            return (false, true); // a public address that is not reachable: another family
        };
        let mut certain = true;
        if our_last == their_last {
            match config.hairpin {
                Hairpin::Off => return (false, true),
                Hairpin::Internal => return (false, false),
                Hairpin::External => {}
            }
        }
        let mut clash = false;
        for &(router, config) in ours.iter().chain(&theirs) {
            let shared = self.inside_of(router) > 1;
            clash |= shared && config.mapping == Mapping::PerFlow && config.allocation.preserves();
            certain &= !(shared && config.allocation == Allocation::Preserving);
            certain &= config.timers.new >= SHORT && config.timers.established >= SHORT;
            certain &= config.limits.mappings_per_host >= FEW;
            certain &= config.limits.sessions_per_endpoint >= FEW;
        }
        let read = |reading| meet(Side::of(&ours, reading), Side::of(&theirs, reading));
        let direct = read(Reading::NoClash);
        if clash {
            certain &= direct == read(Reading::Clash);
        }
        (direct, certain)
    }

    /// Whether a NAT on the way out keeps inside ports or drops, and another host may have them.
    fn is_crowded(self, from: Interface) -> bool {
        self.plan.way_up(from.site.segment).any(|router| {
            let layer = self.plan.routers[router.index()].layer;
            let keeps = |config: NatConfig| config.allocation == Allocation::Preserving;
            matches!(layer, Layer::Nat(config) if keeps(config)) && self.inside_of(router) > 1
        })
    }

    /// Whether packets to a host address get there, and answers back.
    fn reaches(self, transport: Transport, from: Interface, to: Interface) -> bool {
        let mut segment = from.site.segment;
        if from.ip.is_ipv4() != to.ip.is_ipv4() {
            return false;
        }
        loop {
            if segment == to.site.segment {
                return true;
            }
            // Addresses of the segment's own do not leave it.
            let plan = &self.plan.segments[segment.index()];
            if matches!(plan.addresses, Addresses::Private(subnet) if subnet.contains(to.ip)) {
                return false;
            }
            let Some(router) = plan.gateway else {
                return false;
            };
            let router = &self.plan.routers[router.index()];
            let blocks = |layer| match layer {
                Layer::Firewall(Firewall::BlockUdp) => transport == Transport::Udp,
                Layer::Nat(_) => false,
            };
            if blocks(router.layer) || !translates(router.external, from.ip) {
                return false;
            }
            segment = router.outside.segment;
        }
    }

    /// The NATs up to the core, the nearest first; nothing if a firewall is among them.
    fn chain(self, segment: SegmentId) -> Option<Vec<(RouterId, NatConfig)>> {
        self.plan
            .way_up(segment)
            .map(|router| match self.plan.routers[router.index()].layer {
                Layer::Nat(config) => Some((router, config)),
                Layer::Firewall(_) => None,
            })
            .collect()
    }

    /// How many addresses of hosts lie behind a router.
    fn inside_of(self, router: RouterId) -> usize {
        let interfaces = self.plan.hosts.iter().flat_map(|host| &host.interfaces);
        interfaces
            .filter(|i| self.plan.way_up(i.site.segment).any(|up| up == router))
            .count()
    }
}

/// Whether a NAT with this external address translates packets of this address's family.
fn translates(external: Option<IpAddr>, ip: IpAddr) -> bool {
    external.is_none_or(|external| external.is_ipv4() == ip.is_ipv4())
}

impl Side {
    fn of(chain: &[(RouterId, NatConfig)], reading: Reading) -> Self {
        let mut side = Self {
            mapping: Dependence::Nothing,
            filtering: Dependence::Nothing,
            advertised: Dependence::Nothing,
        };
        for (_, config) in chain {
            let filtering = match config.filtering {
                Filtering::EndpointIndependent => Dependence::Nothing,
                Filtering::AddressDependent => Dependence::Address,
                Filtering::AddressAndPortDependent => Dependence::Port,
            };
            // Flows that share no port share no filter either.
            let keeps = config.allocation.preserves() && reading == Reading::NoClash;
            let scattered = config.mapping == Mapping::PerFlow && !keeps;
            let mapping = match config.mapping {
                Mapping::AddressDependent => Dependence::Address,
                Mapping::AddressAndPortDependent => Dependence::Port,
                Mapping::PerFlow if scattered => Dependence::Port,
                Mapping::EndpointIndependent | Mapping::PerFlow => Dependence::Nothing,
            };
            let alone = scattered || side.mapping > Dependence::Nothing;
            let advertised = match filtering {
                Dependence::Nothing => Dependence::Nothing,
                _ if alone => Dependence::Closed,
                other => other,
            };
            side.mapping = side.mapping.max(mapping);
            side.filtering = side.filtering.max(filtering);
            side.advertised = side.advertised.max(advertised);
        }
        side
    }

    /// Whether what this side sends to the advertised address of the other leads to a path.
    fn opens(self, other: Self) -> bool {
        // The other has sent to this side's advertised address. What comes from there may enter
        // unless the address is closed; what comes from another port of it, unless ports count.
        let enters = if self.mapping == Dependence::Nothing {
            other.advertised < Dependence::Closed
        } else {
            other.advertised < Dependence::Port
        };
        if !enters {
            return false;
        }
        // The other now answers and checks back. If its mapping depends on the endpoint, it does so
        // from a port that this side has not sent to; this side must let that in, and one of the two
        // must then stay where it is when a new port of the other is addressed.
        other.mapping == Dependence::Nothing
            || (self.filtering < Dependence::Port
                && (self.mapping < Dependence::Port || other.mapping < Dependence::Port))
    }
}

/// Whether two sides find a direct path.
fn meet(a: Side, b: Side) -> bool {
    a.opens(b) || b.opens(a)
}

#[cfg(test)]
mod tests;

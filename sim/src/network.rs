//! The living network: packets on their way, hop by hop.

mod content;

use core::net::{IpAddr, SocketAddr};

use floe_sansio::{FiveTuple, Instant, Transmit, Transport};

use self::content::{Content, Framed};
use crate::log::{Direction, Happening, Incident, Log, NodeId, PacketId};
use crate::random::{Purpose, Random, entity, pair};
use crate::slab::Slab;
use crate::tcp::Segment as TcpSegment;
use crate::topology::{Addresses, Layer, RouterId, SegmentId, Subnet, Topology, TopologyError};
use crate::{DropCause, EventQueue, Firewall, HostId, Link, Nat, Verdict};

/// A packet in more hops than this runs in circles.
const HOP_LIMIT: u8 = 32;

/// What waits in the queue of a simulation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A packet reaches its next node.
    Packet(u32),
    /// A signalling message arrives.
    Message(u32),
    /// An endpoint's deadline.
    Deadline(HostId),
    /// A deadline of a host's TCP.
    Tcp(HostId),
    /// A datagram that a tap held back reaches its host.
    Held(u32),
}

/// Counts of what a network, or one host, has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that hosts sent.
    pub sent: u64,
    /// Bytes in them.
    pub sent_bytes: u64,
    /// Packets that reached a host.
    pub delivered: u64,
    /// Bytes in them.
    pub delivered_bytes: u64,
    /// Packets that were dropped on the way, lost ones included; of one host, those that it sent.
    pub dropped: u64,
}

impl Counters {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.delivered += other.delivered;
        self.delivered_bytes += other.delivered_bytes;
        self.dropped += other.dropped;
    }
}

/// A [`Topology`] brought to life.
#[derive(Clone, Debug)]
pub struct Network {
    random: Random,
    segments: Vec<Segment>,
    routers: Vec<Router>,
    hosts: Vec<Host>,
    /// Links of the core between two plugs, in place of its own; sorted.
    distances: Vec<((Plug, Plug), Link)>,
    packets: Slab<Packet>,
}

#[derive(Clone, Debug)]
struct Segment {
    node: NodeId,
    entity: u64,
    link: Link,
    subnet: Option<Subnet>,
    gateway: Option<RouterId>,
    /// Who has which address, sorted by address.
    table: Vec<(IpAddr, Target)>,
    /// When the last packet arrived between two plugs, where the delay varies but the order must not.
    latest: Vec<((Plug, Plug), u64)>,
}

#[derive(Clone, Debug)]
struct Router {
    node: NodeId,
    entity: u64,
    outside: SegmentId,
    inside: SegmentId,
    link: Link,
    element: Element,
}

#[derive(Clone, Debug)]
enum Element {
    Nat(Box<Nat>),
    Firewall(Firewall),
}

#[derive(Clone, Debug)]
struct Host {
    node: NodeId,
    entity: u64,
    interfaces: Vec<(IpAddr, SegmentId, Link)>,
    counters: Counters,
}

/// Who has an address.
#[derive(Clone, Copy, Debug)]
enum Target {
    Host(HostId, u32),
    Router(RouterId),
}

/// Where something is plugged into a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Plug {
    Host(HostId, u32),
    /// A router's outer side: packets that arrive here go in.
    Outside(RouterId),
    /// A router's inner side: packets that arrive here go out.
    Inside(RouterId),
}

/// A packet on its way to a plug.
#[derive(Clone, Debug)]
struct Packet {
    id: PacketId,
    hops: u8,
    transport: Transport,
    to: Plug,
    source: SocketAddr,
    destination: SocketAddr,
    content: Content,
}

/// A packet that has reached a host.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) host: HostId,
    pub(crate) id: PacketId,
    pub(crate) path: FiveTuple,
    pub(crate) content: Content,
}

impl Network {
    /// Brings a plan to life. All randomness of the network comes from `seed`.
    pub fn new(plan: &Topology, seed: u64) -> Result<Self, TopologyError> {
        plan.check()?;
        let random = Random::new(seed);
        let mut nodes = (0..).map(NodeId);
        let mut node = || nodes.next().unwrap_or(NodeId(u32::MAX));
        let mut segments: Vec<_> = plan
            .segments
            .iter()
            .map(|segment| Segment {
                node: node(),
                entity: entity(&segment.name),
                link: segment.link,
                subnet: match segment.addresses {
                    Addresses::Private(subnet) => Some(subnet),
                    _ => None,
                },
                gateway: segment.gateway,
                table: Vec::new(),
                latest: Vec::new(),
            })
            .collect();
        let routers: Vec<_> = plan
            .routers
            .iter()
            .map(|router| {
                let entity = entity(&router.name);
                Router {
                    node: node(),
                    entity,
                    outside: router.outside.segment,
                    inside: router.inside,
                    link: router.outside.link,
                    element: match (router.layer, router.external) {
                        (Layer::Nat(label), Some(external)) => {
                            let config = router.actual.unwrap_or(label);
                            Element::Nat(Box::new(Nat::new(config, external, entity, random)))
                        }
                        (Layer::Firewall(firewall), _) => Element::Firewall(firewall),
                        (Layer::Nat(_), None) => unreachable!("every NAT has an address"),
                    },
                }
            })
            .collect();
        let hosts: Vec<_> = plan
            .hosts
            .iter()
            .map(|host| Host {
                node: node(),
                entity: entity(&host.name),
                interfaces: host
                    .interfaces
                    .iter()
                    .map(|i| (i.ip, i.site.segment, i.site.link))
                    .collect(),
                counters: Counters::default(),
            })
            .collect();

        for (id, router) in (0..).map(RouterId).zip(&plan.routers) {
            if let Some(ip) = router.external {
                announce(
                    plan,
                    &mut segments,
                    router.outside.segment,
                    ip,
                    Target::Router(id),
                );
            }
        }
        for (id, host) in plan.hosts().zip(&plan.hosts) {
            for (number, interface) in (0..).zip(&host.interfaces) {
                let target = Target::Host(id, number);
                announce(
                    plan,
                    &mut segments,
                    interface.site.segment,
                    interface.ip,
                    target,
                );
            }
        }
        for segment in &mut segments {
            segment.table.sort_unstable_by_key(|&(ip, _)| ip);
        }
        let mut distances: Vec<((Plug, Plug), Link)> = Vec::new();
        // Of several between the same two the last one counts.
        for &(a, b, link) in plan.distances.iter().rev() {
            let (a, b) = (plug_in_core(plan, a), plug_in_core(plan, b));
            for key in [(a, b), (b, a)] {
                if let Err(at) = distances.binary_search_by_key(&key, |&(key, _)| key) {
                    distances.insert(at, (key, link));
                }
            }
        }
        Ok(Self {
            random,
            segments,
            routers,
            hosts,
            distances,
            packets: Slab::new(),
        })
    }

    /// An empty log with the names of this network.
    pub(crate) fn log(plan: &Topology) -> Log {
        let segments = plan.segments.iter().map(|s| s.name.clone());
        let routers = plan.routers.iter().map(|r| r.name.clone());
        let hosts = plan.hosts.iter().map(|h| h.name.clone());
        let first = (plan.segments.len() + plan.routers.len()) as u32;
        let nodes = (0..plan.hosts.len() as u32).map(|n| NodeId(first + n));
        Log::new(
            segments.chain(routers).chain(hosts).collect(),
            nodes.collect(),
        )
    }

    /// What keys the random draws of a host.
    pub(crate) fn entity(&self, host: HostId) -> u64 {
        self.hosts[host.index()].entity
    }

    /// The randomness of this run.
    pub const fn random(&self) -> Random {
        self.random
    }

    /// What one host sent and received.
    pub fn counters(&self, host: HostId) -> Counters {
        self.hosts[host.index()].counters
    }

    /// What all hosts sent and received.
    pub fn total(&self) -> Counters {
        let mut total = Counters::default();
        for host in &self.hosts {
            total.add(host.counters);
        }
        total
    }

    /// The NAT in front of a site.
    pub fn nat(&self, behind: SegmentId) -> Option<&Nat> {
        let router = self.segments[behind.index()].gateway?;
        match &self.routers[router.index()].element {
            Element::Nat(nat) => Some(nat),
            Element::Firewall(_) => None,
        }
    }

    /// All NATs.
    pub fn nats(&self) -> impl Iterator<Item = &Nat> {
        self.routers
            .iter()
            .filter_map(|router| match &router.element {
                Element::Nat(nat) => Some(&**nat),
                Element::Firewall(_) => None,
            })
    }

    /// The NAT in front of a site, to reboot it.
    pub fn nat_mut(&mut self, behind: SegmentId) -> Option<&mut Nat> {
        let router = self.segments[behind.index()].gateway?;
        match &mut self.routers[router.index()].element {
            Element::Nat(nat) => Some(nat),
            Element::Firewall(_) => None,
        }
    }

    /// Changes what a packet crosses on a segment, from now on.
    pub fn set_link(&mut self, segment: SegmentId, link: Link) {
        self.segments[segment.index()].link = link;
    }

    /// Changes what a packet crosses between a host's interface, counted from 0, and its segment, from
    /// now on.
    pub fn set_access(&mut self, host: HostId, interface: usize, link: Link) {
        let interfaces = &mut self.hosts[host.index()].interfaces;
        if let Some((_, _, known)) = interfaces.get_mut(interface) {
            *known = link;
        }
    }

    /// All faults of links stop: from now on nothing is lost, duplicated, corrupted or reordered, and
    /// delays are the least that they can be.
    pub fn calm(&mut self) {
        let segments = self.segments.iter_mut().map(|it| &mut it.link);
        let routers = self.routers.iter_mut().map(|it| &mut it.link);
        let hosts = self.hosts.iter_mut().flat_map(|it| &mut it.interfaces);
        let hosts = hosts.map(|(_, _, link)| link);
        let distances = self.distances.iter_mut().map(|(_, link)| link);
        for link in segments.chain(routers).chain(hosts).chain(distances) {
            *link = link.faultless();
        }
    }

    /// A host sends a datagram.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        host: HostId,
        transmit: Transmit,
        queue: &mut EventQueue<Event>,
        log: &mut Log,
    ) {
        let content = Content::Datagram(transmit.payload);
        self.emit(now, host, transmit.path, content, false, queue, log);
    }

    /// A host sends a datagram from whatever address it says.
    pub(crate) fn forge(
        &mut self,
        now: Instant,
        host: HostId,
        transmit: Transmit,
        queue: &mut EventQueue<Event>,
        log: &mut Log,
    ) {
        let content = Content::Datagram(transmit.payload);
        self.emit(now, host, transmit.path, content, true, queue, log);
    }

    /// The TCP of a host sends.
    pub(crate) fn send_segment(
        &mut self,
        now: Instant,
        host: HostId,
        segment: TcpSegment,
        queue: &mut EventQueue<Event>,
        log: &mut Log,
    ) {
        let TcpSegment {
            path,
            header,
            payload,
        } = segment;
        let content = Content::Segment(Box::new(Framed {
            header,
            payload,
            is_damaged: false,
        }));
        self.emit(now, host, path, content, false, queue, log);
    }

    #[allow(clippy::too_many_arguments)]
    fn emit(
        &mut self,
        now: Instant,
        host: HostId,
        path: FiveTuple,
        content: Content,
        forged: bool,
        queue: &mut EventQueue<Event>,
        log: &mut Log,
    ) {
        let sender = &mut self.hosts[host.index()];
        let packet = Packet {
            id: PacketId {
                host,
                number: sender.counters.sent as u32,
                copy: 0,
            },
            hops: 0,
            transport: path.transport,
            to: Plug::Host(host, 0), // set on the first hop
            source: path.local,
            destination: path.remote,
            content,
        };
        sender.counters.sent += 1;
        sender.counters.sent_bytes += packet.content.payload().len() as u64;
        let node = sender.node;
        let ip = packet.source.ip();
        let interface = sender.interfaces.iter().position(|&(own, ..)| own == ip);
        note(log, now, node, &packet, Incident::Sent);
        // What is forged leaves by the first interface, whosever address it bears.
        let Some(interface) = interface.or(forged.then_some(0)) else {
            return self.drop(now, node, &packet, DropCause::ForeignSource, log);
        };
        if path.transport.is_reliable() && packet.content.header().is_none() {
            return self.drop(now, node, &packet, DropCause::NoStream, log);
        }
        let (_, segment, _) = sender.interfaces[interface];
        let from = Plug::Host(host, interface as u32);
        self.hop(now, packet, segment, from, queue, log);
    }

    /// A packet reaches its next node. Returns it if that is a host, which then gets it by
    /// [`delivered`](Self::delivered) or does not by [`withhold`](Self::withhold).
    pub(crate) fn arrive(
        &mut self,
        now: Instant,
        place: u32,
        queue: &mut EventQueue<Event>,
        log: &mut Log,
    ) -> Option<Arrival> {
        let mut packet = self.packets.take(place)?;
        let (id, inwards) = match packet.to {
            Plug::Host(host, _) => {
                if packet.content.is_damaged() {
                    let node = self.hosts[host.index()].node;
                    self.drop(now, node, &packet, DropCause::Checksum, log);
                    return None;
                }
                return Some(Arrival {
                    host,
                    id: packet.id,
                    path: FiveTuple {
                        transport: packet.transport,
                        local: packet.destination,
                        remote: packet.source,
                    },
                    content: packet.content,
                });
            }
            Plug::Outside(router) => (router, true),
            Plug::Inside(router) => (router, false),
        };
        let router = &mut self.routers[id.index()];
        let node = router.node;
        let straight = if inwards {
            Direction::Inbound
        } else {
            Direction::Outbound
        };
        let (direction, source, destination) = match &mut router.element {
            Element::Nat(nat) => {
                let (source, destination) = (packet.source, packet.destination);
                let flags = packet.content.header().map(|header| header.flags);
                let verdict = match (inwards, flags) {
                    (true, None) => nat.inbound(now, source, destination),
                    (false, None) => nat.outbound(now, source, destination),
                    (true, Some(flags)) => nat.inbound_segment(now, flags, source, destination),
                    (false, Some(flags)) => nat.outbound_segment(now, flags, source, destination),
                };
                match verdict {
                    Verdict::Pass {
                        source,
                        destination,
                    } => (straight, source, destination),
                    Verdict::Hairpin {
                        source,
                        destination,
                    } => (Direction::Hairpin, source, destination),
                    Verdict::Drop(cause) => {
                        self.drop(now, node, &packet, cause, log);
                        return None;
                    }
                }
            }
            Element::Firewall(firewall) => {
                if let Some(cause) = firewall.refuses(packet.transport) {
                    self.drop(now, node, &packet, cause, log);
                    return None;
                }
                (straight, packet.source, packet.destination)
            }
        };
        let (segment, from) = match direction {
            Direction::Outbound => (router.outside, Plug::Outside(id)),
            Direction::Inbound | Direction::Hairpin => (router.inside, Plug::Inside(id)),
        };
        let incident = Incident::Translated {
            direction,
            source,
            destination,
        };
        note(log, now, node, &packet, incident);
        packet.source = source;
        packet.destination = destination;
        self.hop(now, packet, segment, from, queue, log);
        None
    }

    /// Sends a packet over a segment, from one plug to the one that its destination asks for.
    fn hop(
        &mut self,
        now: Instant,
        mut packet: Packet,
        segment_id: SegmentId,
        from: Plug,
        queue: &mut EventQueue<Event>,
        log: &mut Log,
    ) {
        let segment = &self.segments[segment_id.index()];
        let node = segment.node;
        packet.hops += 1;
        if packet.hops > HOP_LIMIT {
            return self.drop(now, node, &packet, DropCause::HopLimit, log);
        }
        let ip = packet.destination.ip();
        let to = match segment.table.binary_search_by_key(&ip, |&(ip, _)| ip) {
            Ok(at) => match segment.table[at].1 {
                Target::Host(host, interface) => Plug::Host(host, interface),
                Target::Router(router) => Plug::Outside(router),
            },
            // Nobody answers for an address of the segment's own, and the core has no way further up.
            Err(_) => match segment.gateway {
                Some(gateway) if !segment.subnet.is_some_and(|s| s.contains(ip)) => {
                    Plug::Inside(gateway)
                }
                _ => return self.drop(now, node, &packet, DropCause::Unroutable, log),
            },
        };
        packet.to = to;

        // Who sent the packet, which it is, which copy, and the how many-th hop: nothing that others
        // do changes the key.
        let sender = self.hosts[packet.id.host.index()].entity;
        let index = u64::from(packet.id.number) << 16
            | u64::from(packet.id.copy) << 8
            | u64::from(packet.hops);
        let links = [
            self.plugged(from),
            (self.between(segment_id, from, to), segment.entity),
            self.plugged(to),
        ];
        let mut delay = 0_u64;
        let mut ordered = false;
        let mut duplicated = None;
        for (number, (link, entity)) in (0..).zip(links) {
            // Both ends of a hop may be the same entity: a hairpin.
            let key = pair(sender ^ number, entity);
            let crossing = link.cross(self.random, key, index);
            delay = delay.saturating_add(crossing.delay);
            ordered |= link.keeps_order();
            if crossing.lost {
                return self.drop(now, node, &packet, DropCause::Lost, log);
            }
            // Not the draw that decided whether: the next index but one of no packet.
            let draw = |bits| self.random.below(!key, Purpose::Corrupt, index, bits);
            if crossing.corrupted && packet.content.flip(draw) {
                note(log, now, node, &packet, Incident::Corrupted);
            }
            if crossing.duplicated {
                duplicated = Some(number);
            }
        }
        let mut at = now.as_nanos().saturating_add(delay);
        if ordered {
            at = self.segments[segment_id.index()].in_order(from, to, at);
        }
        if let Some(number) = duplicated {
            let mut copy = packet.clone();
            copy.id.copy = copy.id.copy.wrapping_mul(4).wrapping_add(number as u8 + 1);
            note(log, now, node, &copy, Incident::Duplicated);
            let place = self.packets.insert(packet);
            queue.push(Instant::from_nanos(at), Event::Packet(place));
            packet = copy;
        }
        let place = self.packets.insert(packet);
        queue.push(Instant::from_nanos(at), Event::Packet(place));
    }

    /// The link of a segment between two of its plugs.
    fn between(&self, segment: SegmentId, from: Plug, to: Plug) -> Link {
        if segment == SegmentId::CORE
            && let Ok(at) = self
                .distances
                .binary_search_by_key(&(from, to), |&(key, _)| key)
        {
            return self.distances[at].1;
        }
        self.segments[segment.index()].link
    }

    /// The link between a plug and its segment, and whose it is.
    fn plugged(&self, plug: Plug) -> (Link, u64) {
        match plug {
            Plug::Host(host, interface) => {
                let host = &self.hosts[host.index()];
                let (_, _, link) = host.interfaces[interface as usize];
                (link, host.entity)
            }
            Plug::Outside(router) => {
                let router = &self.routers[router.index()];
                (router.link, router.entity)
            }
            // A router's inner side is part of its segment.
            Plug::Inside(_) => (Link::IDEAL, 0),
        }
    }

    /// A packet that has arrived is handed to its host.
    pub(crate) fn delivered(&mut self, now: Instant, arrival: &Arrival, log: &mut Log) {
        let counters = &mut self.hosts[arrival.host.index()].counters;
        counters.delivered += 1;
        counters.delivered_bytes += arrival.content.payload().len() as u64;
        self.note(now, arrival, Incident::Delivered, log);
    }

    /// A packet that has arrived is not handed to its host.
    pub(crate) fn withhold(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        cause: DropCause,
        log: &mut Log,
    ) {
        self.hosts[arrival.id.host.index()].counters.dropped += 1;
        self.note(now, arrival, Incident::Dropped(cause), log);
    }

    /// What becomes of a packet at its host.
    pub(crate) fn note(&self, now: Instant, arrival: &Arrival, incident: Incident, log: &mut Log) {
        if log.is_on() {
            let what = Happening::Packet {
                incident,
                packet: arrival.id,
                source: arrival.path.remote,
                destination: arrival.path.local,
                header: arrival.content.header(),
                payload: arrival.content.payload().clone(),
            };
            log.add(now, self.hosts[arrival.host.index()].node, what);
        }
    }

    fn drop(
        &mut self,
        now: Instant,
        node: NodeId,
        packet: &Packet,
        cause: DropCause,
        log: &mut Log,
    ) {
        self.hosts[packet.id.host.index()].counters.dropped += 1;
        note(log, now, node, packet, Incident::Dropped(cause));
    }
}

impl Segment {
    /// The first instant from `at` on at which a packet may arrive without overtaking.
    fn in_order(&mut self, from: Plug, to: Plug, at: u64) -> u64 {
        match self
            .latest
            .binary_search_by_key(&(from, to), |&(key, _)| key)
        {
            Ok(found) => {
                let latest = &mut self.latest[found].1;
                *latest = at.max(*latest);
                *latest
            }
            Err(place) => {
                self.latest.insert(place, ((from, to), at));
                at
            }
        }
    }
}

/// Where packets of a host's first interface enter the core.
fn plug_in_core(plan: &Topology, host: HostId) -> Plug {
    let segment = plan.hosts[host.index()].interfaces[0].site.segment;
    plan.way_up(segment)
        .last()
        .map_or(Plug::Host(host, 0), Plug::Outside)
}

/// Makes an address known in its segment and, where routers do not translate, in those further out.
fn announce(
    plan: &Topology,
    segments: &mut [Segment],
    segment: SegmentId,
    ip: IpAddr,
    target: Target,
) {
    segments[segment.index()].table.push((ip, target));
    let plan_of = &plan.segments[segment.index()];
    if let (Addresses::Routed(outer), Some(router)) = (plan_of.addresses, plan_of.gateway) {
        announce(plan, segments, outer, ip, Target::Router(router));
    }
}

fn note(log: &mut Log, now: Instant, node: NodeId, packet: &Packet, incident: Incident) {
    if log.is_on() {
        let what = Happening::Packet {
            incident,
            packet: packet.id,
            source: packet.source,
            destination: packet.destination,
            header: packet.content.header(),
            payload: packet.content.payload().clone(),
        };
        log.add(now, node, what);
    }
}

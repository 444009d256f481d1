//! The way of each packet and message, put together from what the log says of each of its steps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use floe_sansio::{DropReason, Instant};
use floe_sim::{Direction, DropCause, Happening, Incident, Log, NodeId, PacketId, TcpHeader};

use super::content::{Content, Reader};
use super::lanes::{self, Lanes};
use super::{Rung, millis, reason};
use crate::style;

/// What is said of what has not arrived yet.
const UNDERWAY: &str = "on the way when the run ends";

/// Something that has its own line.
#[derive(Clone, Debug)]
pub(super) enum Event<'a> {
    Packet(Journey<'a>),
    Signal(Signal<'a>),
    Note(Note<'a>),
}

/// A packet from where it was sent to where it ended.
#[derive(Clone, Debug)]
pub(super) struct Journey<'a> {
    time: Instant,
    packet: PacketId,
    from: NodeId,
    source: SocketAddr,
    destination: SocketAddr,
    header: Option<TcpHeader>,
    payload: &'a [u8],
    steps: Vec<Step>,
    end: End,
    refused: Option<DropReason>,
    corrupted: bool,
}

/// A packet passes a NAT.
#[derive(Clone, Copy, Debug)]
struct Step {
    node: NodeId,
    direction: Direction,
    /// Source and destination before and after.
    before: (SocketAddr, SocketAddr),
    after: (SocketAddr, SocketAddr),
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// The run ended before.
    Underway,
    Delivered(Instant, NodeId),
    Dropped {
        time: Instant,
        node: NodeId,
        cause: DropCause,
        source: SocketAddr,
        destination: SocketAddr,
    },
}

/// A signalling message.
#[derive(Clone, Debug)]
pub(super) struct Signal<'a> {
    time: Instant,
    from: NodeId,
    to: NodeId,
    text: &'a str,
    received: Option<Instant>,
}

/// Something that the owner of the simulation noted.
#[derive(Clone, Debug)]
pub(super) struct Note<'a> {
    time: Instant,
    node: NodeId,
    text: &'a str,
}

/// Reads a log.
pub(super) fn events(log: &Log) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    let mut packets = BTreeMap::new();
    let mut messages: BTreeMap<(NodeId, NodeId), VecDeque<usize>> = BTreeMap::new();
    for entry in log.entries() {
        let (time, node) = (entry.time, entry.node);
        match &entry.what {
            Happening::Packet {
                incident,
                packet,
                source,
                destination,
                header,
                payload,
            } => {
                // Sent, or the copy of one that was.
                let at = *packets.entry(*packet).or_insert_with(|| {
                    events.push(Event::Packet(Journey {
                        time,
                        packet: *packet,
                        from: node,
                        source: *source,
                        destination: *destination,
                        header: *header,
                        payload,
                        steps: Vec::new(),
                        end: End::Underway,
                        refused: None,
                        corrupted: false,
                    }));
                    events.len() - 1
                });
                if let Event::Packet(journey) = &mut events[at] {
                    journey.add(time, node, *incident, (*source, *destination));
                }
            }
            Happening::MessageSent { to, text } => {
                let to = log.node(*to);
                messages
                    .entry((node, to))
                    .or_default()
                    .push_back(events.len());
                events.push(Event::Signal(Signal {
                    time,
                    from: node,
                    to,
                    text,
                    received: None,
                }));
            }
            Happening::MessageReceived { from, .. } => {
                // They keep their order.
                let waiting = messages.get_mut(&(log.node(*from), node));
                if let Some(Event::Signal(signal)) = waiting
                    .and_then(VecDeque::pop_front)
                    .map(|at| &mut events[at])
                {
                    signal.received = Some(time);
                }
            }
            Happening::Note(text) => events.push(Event::Note(Note { time, node, text })),
            _ => {}
        }
    }
    events
}

impl Journey<'_> {
    fn add(
        &mut self,
        time: Instant,
        node: NodeId,
        incident: Incident,
        before: (SocketAddr, SocketAddr),
    ) {
        match incident {
            Incident::Translated {
                direction,
                source,
                destination,
            } => self.steps.push(Step {
                node,
                direction,
                before,
                after: (source, destination),
            }),
            Incident::Dropped(cause) => {
                let (source, destination) = before;
                self.end = End::Dropped {
                    time,
                    node,
                    cause,
                    source,
                    destination,
                };
            }
            Incident::Delivered => self.end = End::Delivered(time, node),
            Incident::Refused(reason) => self.refused = Some(reason),
            Incident::Corrupted => self.corrupted = true,
            _ => {}
        }
    }
}

/// Tells events one after the other, and remembers what explains the later ones.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    log: &'a Log,
    lanes: &'a Lanes,
    reader: Reader,
    /// Mappings of which was told: NAT, inside, outside.
    mappings: BTreeSet<(NodeId, SocketAddr, SocketAddr)>,
    /// When something was first sent through a NAT to an address, or to an address and port.
    addressed: BTreeMap<(NodeId, SocketAddr), Instant>,
    /// Where public addresses are.
    owners: BTreeMap<IpAddr, usize>,
}

/// Stands for all ports of an address.
const fn any_port(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), 0)
}

impl<'a> Teller<'a> {
    pub(super) fn new(log: &'a Log, lanes: &'a Lanes) -> Self {
        Self {
            log,
            lanes,
            reader: Reader::default(),
            mappings: BTreeSet::new(),
            addressed: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    fn lane(&self, node: NodeId) -> Option<usize> {
        self.lanes.find(self.log.name(node))
    }

    pub(super) fn packet(&mut self, journey: &Journey<'_>) -> Rung {
        let PacketId { host, number, .. } = journey.packet;
        let label = format!("{}#{number}", self.log.name(self.log.node(host)));
        let Content { mut text, kind } = match journey.header {
            None => self.reader.read(host, &label, journey.payload),
            Some(header) => (self.reader).read_segment(host, &label, header.flags, journey.payload),
        };
        let mut style = kind.style();
        if journey.packet.copy > 0 {
            text += " (a duplicate)";
        }
        if journey.corrupted {
            text += " (a bit is flipped on the way)";
        }

        let from = self.lane(journey.from).unwrap_or(0);
        let mut details = vec![(
            style::DETAIL,
            format!("{} → {}", journey.source, journey.destination),
        )];
        self.owners.entry(journey.source.ip()).or_insert(from);
        for step in &journey.steps {
            details.push((style::DETAIL, self.step(journey.time, step)));
        }
        let over: Vec<_> = journey
            .steps
            .iter()
            .filter_map(|s| self.lane(s.node))
            .collect();
        let end = match journey.end {
            End::Delivered(time, node) => {
                let text = if node == journey.from {
                    let name = self.log.name(node);
                    format!("reaches {name} itself {}", millis(time))
                } else {
                    format!("arrives {}", millis(time))
                };
                details.push((style::DETAIL, text));
                lanes::End::Arrived(self.lane(node).unwrap_or(0))
            }
            End::Dropped {
                time,
                node,
                cause,
                source,
                destination,
            } => {
                style = style::DROPPED;
                let lane = self.lane(node);
                let sent = match cause {
                    DropCause::FilteredByAddress => any_port(source),
                    _ => source,
                };
                let first = self.addressed.get(&(node, sent));
                let drop = reason::Drop {
                    node: self.log.name(node),
                    host: self.lanes.host(lane.unwrap_or(0)),
                    source,
                    destination,
                    known: first.is_some_and(|&first| first < time),
                };
                details.push((style::DETAIL, format!("ends {}", millis(time))));
                let text = reason::dropped(cause, drop);
                details.push((style::DROPPED, text));
                match lane {
                    Some(lane) => lanes::End::Dropped(lane),
                    None => lanes::End::Lost(self.owners.get(&destination.ip()).copied()),
                }
            }
            End::Underway => {
                details.push((style::DETAIL, UNDERWAY.to_owned()));
                let owner = self.owners.get(&journey.destination.ip());
                lanes::End::Lost(owner.copied())
            }
        };
        if let (Some(reason), End::Delivered(_, node)) = (journey.refused, journey.end) {
            let text = format!(
                "{} ignores it: {}",
                self.log.name(node),
                reason::refused(reason)
            );
            details.push((style::DROPPED, text));
        }
        Rung {
            time: journey.time,
            label,
            lanes: self.lanes.arrow(from, &over, end, '─'),
            style,
            text,
            details,
        }
    }

    fn step(&mut self, sent: Instant, step: &Step) -> String {
        let name = self.log.name(step.node);
        let (source, destination) = step.after;
        if step.before == step.after {
            return format!("{name} lets it pass");
        }
        match step.direction {
            Direction::Inbound => format!("{name}: to {destination}"),
            Direction::Outbound => {
                for remote in [destination, any_port(destination)] {
                    self.addressed.entry((step.node, remote)).or_insert(sent);
                }
                if let Some(lane) = self.lane(step.node) {
                    self.owners.insert(source.ip(), lane);
                }
                if self.mappings.insert((step.node, step.before.0, source)) {
                    format!("{name}: new mapping {source}")
                } else {
                    format!("{name}: from {source}")
                }
            }
            Direction::Hairpin => format!("{name} turns it back in: {source} → {destination}"),
        }
    }

    pub(super) fn signal(&mut self, signal: &Signal<'_>) -> Rung {
        let lane = |node| self.lane(node).unwrap_or(0);
        let (from, to) = (lane(signal.from), lane(signal.to));
        let text = told(signal.text);
        let arrival = match signal.received {
            Some(time) => format!("arrives {}", millis(time)),
            None => UNDERWAY.to_owned(),
        };
        Rung {
            time: signal.time,
            label: String::new(),
            lanes: self.lanes.arrow(from, &[], lanes::End::Arrived(to), '╌'),
            style: style::SIGNAL,
            text: format!("{text}; {arrival}"),
            details: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, note: &Note<'_>) -> Rung {
        Rung {
            time: note.time,
            label: String::new(),
            lanes: self.lanes.mark(self.lane(note.node).unwrap_or(0), '◆'),
            style: style::MILESTONE,
            text: note.text.to_owned(),
            details: Vec::new(),
        }
    }
}

/// A signalling message in a few words.
fn told(text: &str) -> String {
    let (kind, rest) = text.split_once('\n').unwrap_or((text, ""));
    if kind == "end" {
        return "end of candidates".to_owned();
    }
    if kind != "candidate" {
        let candidates = rest.lines().filter(|line| line.starts_with("a=candidate:"));
        return match candidates.count() {
            0 => kind.to_owned(),
            1 => format!("{kind} with 1 candidate"),
            n => format!("{kind} with {n} candidates"),
        };
    }
    // The grammar of RFC 8839 §5.1: foundation, component, transport, priority, address, port, typ.
    let line = rest.lines().last().unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    match words.as_slice() {
        [_, _, _, _, ip, port, "typ", kind, ..] => format!("candidate {kind} {ip}:{port}"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signalling_is_told_in_a_few_words() {
        assert_eq!(told("offer\nv=0\r\n"), "offer");
        assert_eq!(
            told("answer\nv=0\r\na=candidate:1 1 udp\r\n"),
            "answer with 1 candidate"
        );
        assert_eq!(
            told("candidate\n0\n0\nabcd\ncandidate:1 1 udp 1 192.0.2.1 9 typ host"),
            "candidate host 192.0.2.1:9"
        );
        assert_eq!(told("end\n1\ncandidate\n0\n0\nabcd\n"), "end of candidates");
    }
}

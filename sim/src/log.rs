//! The structured event log: what happened, where, to which packet, and why.

use core::fmt::Write as _;
use core::net::SocketAddr;
use std::io;

use bytes::Bytes;
use floe_sansio::{DropReason, Instant};

use crate::{DropCause, HostId, TcpHeader};

/// A node of the network: an index into the names of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

/// A packet: who sent it, the how many-th of that host's it is, and which copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId {
    /// The host that sent it.
    pub host: HostId,
    /// Its number among the packets of that host, from 0.
    pub number: u32,
    /// 0 for the original; each duplication on the way gives another number.
    pub copy: u8,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub time: Instant,
    /// Where.
    pub node: NodeId,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Happening {
    /// A packet met with an incident.
    Packet {
        /// The incident.
        incident: Incident,
        /// Which packet.
        packet: PacketId,
        /// Its source as it came to the node.
        source: SocketAddr,
        /// Its destination as it came to the node.
        destination: SocketAddr,
        /// Of a TCP segment, what it says besides its bytes.
        header: Option<TcpHeader>,
        /// What it carries.
        payload: Bytes,
    },
    /// A host sent a signalling message.
    MessageSent {
        /// To whom.
        to: HostId,
        /// What.
        text: String,
    },
    /// A host received a signalling message.
    MessageReceived {
        /// From whom.
        from: HostId,
        /// What.
        text: String,
    },
    /// Something that the owner of the simulation noted.
    Note(String),
}

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incident {
    /// The host sent it.
    Sent,
    /// The NAT passed it on with these addresses.
    Translated {
        /// Which way.
        direction: Direction,
        /// Its new source.
        source: SocketAddr,
        /// Its new destination.
        destination: SocketAddr,
    },
    /// It was dropped.
    Dropped(DropCause),
    /// It arrives twice; the entry names the copy.
    Duplicated,
    /// A bit of it was flipped.
    Corrupted,
    /// It reached the host.
    Delivered,
    /// What runs on the host did not accept it.
    Refused(DropReason),
}

/// Which way a packet passed a NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the inside to the outside.
    Outbound,
    /// From the outside to the inside.
    Inbound,
    /// From the inside to the inside.
    Hairpin,
}

impl Direction {
    /// Its name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Hairpin => "hairpin",
        }
    }
}

/// What happened, in order; off until switched on.
#[derive(Clone, Debug, Default)]
pub struct Log {
    on: bool,
    entries: Vec<Entry>,
    names: Vec<String>,
    /// The node of each host.
    hosts: Vec<NodeId>,
}

impl Log {
    pub(crate) const fn new(names: Vec<String>, hosts: Vec<NodeId>) -> Self {
        Self {
            on: false,
            entries: Vec::new(),
            names,
            hosts,
        }
    }

    /// Switches it on or off; what it holds stays.
    pub const fn record(&mut self, on: bool) {
        self.on = on;
    }

    /// Whether it is on.
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Everything that was recorded.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The name of a node.
    pub fn name(&self, node: NodeId) -> &str {
        &self.names[node.0 as usize]
    }

    /// The node of a host.
    pub fn node(&self, host: HostId) -> NodeId {
        self.hosts[host.index()]
    }

    /// Records something of the owner's own.
    pub fn note(&mut self, time: Instant, host: HostId, text: &str) {
        if self.on {
            self.add(time, self.node(host), Happening::Note(text.into()));
        }
    }

    pub(crate) fn add(&mut self, time: Instant, node: NodeId, what: Happening) {
        self.entries.push(Entry { time, node, what });
    }

    /// Writes one JSON object a line, with the fields always in the same order. Times are
    /// nanoseconds, payloads hexadecimal.
    pub fn write_json_lines(&self, out: &mut impl io::Write) -> io::Result<()> {
        let mut line = String::new();
        for entry in &self.entries {
            line.clear();
            self.json(entry, &mut line);
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    /// What [`write_json_lines`](Self::write_json_lines) writes.
    pub fn json_lines(&self) -> String {
        let mut lines = String::new();
        for entry in &self.entries {
            self.json(entry, &mut lines);
            lines.push('\n');
        }
        lines
    }

    fn json(&self, entry: &Entry, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{{\"time\":{}", entry.time.as_nanos());
        field(out, "node", self.name(entry.node));
        match &entry.what {
            Happening::Packet {
                incident,
                packet,
                source,
                destination,
                header,
                payload,
            } => {
                field(out, "event", incident.name());
                let _ = write!(out, ",\"packet\":");
                let PacketId { host, number, copy } = packet;
                string(out, &format!("{}#{number}", self.name(self.node(*host))));
                let _ = write!(
                    out,
                    ",\"copy\":{copy},\"source\":\"{source}\",\"destination\":\"{destination}\"",
                );
                match incident {
                    Incident::Translated {
                        direction,
                        source,
                        destination,
                    } => {
                        field(out, "direction", direction.name());
                        let _ = write!(
                            out,
                            ",\"new-source\":\"{source}\",\"new-destination\":\"{destination}\"",
                        );
                    }
                    Incident::Dropped(cause) => field(out, "cause", cause.name()),
                    Incident::Refused(reason) => field(out, "cause", &format!("{reason:?}")),
                    _ => {}
                }
                if let Some(header) = header {
                    field(out, "tcp", &header.flags.to_string());
                    let TcpHeader {
                        sequence,
                        acknowledgment,
                        ..
                    } = header;
                    let _ = write!(
                        out,
                        ",\"sequence\":{sequence},\"acknowledgment\":{acknowledgment}",
                    );
                }
                out.push_str(",\"payload\":\"");
                for byte in payload {
                    let _ = write!(out, "{byte:02x}");
                }
                out.push('"');
            }
            Happening::MessageSent { to, text } => {
                field(out, "event", "message-sent");
                field(out, "to", self.name(self.node(*to)));
                field(out, "text", text);
            }
            Happening::MessageReceived { from, text } => {
                field(out, "event", "message-received");
                field(out, "from", self.name(self.node(*from)));
                field(out, "text", text);
            }
            Happening::Note(text) => {
                field(out, "event", "note");
                field(out, "text", text);
            }
        }
        out.push('}');
    }
}

impl Incident {
    /// Its name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Translated { .. } => "translated",
            Self::Dropped(_) => "dropped",
            Self::Duplicated => "duplicated",
            Self::Corrupted => "corrupted",
            Self::Delivered => "delivered",
            Self::Refused(_) => "refused",
        }
    }
}

/// A further field of an object.
fn field(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, ",\"{name}\":");
    string(out, value);
}

/// A JSON string (RFC 8259 §7).
fn string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

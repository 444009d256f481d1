//! Why a packet was dropped: one vocabulary for the whole network, so that a trace can say why.

use core::fmt;

/// Why a packet did not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropCause {
    /// The link lost it.
    Lost,
    /// The host sends from an address that it does not have.
    ForeignSource,
    /// Nobody has this address.
    Unroutable,
    /// It was in the network for too many hops: a routing loop.
    HopLimit,
    /// The NAT has no mapping on this port.
    NoMapping,
    /// The NAT's mapping on this port has expired.
    MappingExpired,
    /// The inside endpoint has not sent to the source's address.
    FilteredByAddress,
    /// The inside endpoint has sent to the source's address, but not to its port.
    FilteredByPort,
    /// The NAT keeps the inside port or none, and another mapping holds it.
    PortTaken,
    /// No external port is free.
    PoolExhausted,
    /// The inside host has as many mappings as it may have.
    MappingLimit,
    /// The inside endpoint has sent to as many remote endpoints as the NAT can note.
    SessionLimit,
    /// The NAT does not send packets from the inside back inside.
    HairpinOff,
    /// The NAT does not translate this address family.
    Family,
    /// A firewall blocks UDP.
    UdpBlocked,
    /// A bit of the segment was flipped, which its checksum tells.
    Checksum,
    /// The host has no such TCP connection, or it is closed for writing.
    NoStream,
    /// Nothing runs on the host.
    NoEndpoint,
    /// The host sleeps.
    Asleep,
    /// A tap took it.
    Tapped,
}

impl DropCause {
    /// Its name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::ForeignSource => "foreign-source",
            Self::Unroutable => "unroutable",
            Self::HopLimit => "hop-limit",
            Self::NoMapping => "no-mapping",
            Self::MappingExpired => "mapping-expired",
            Self::FilteredByAddress => "filtered-by-address",
            Self::FilteredByPort => "filtered-by-port",
            Self::PortTaken => "port-taken",
            Self::PoolExhausted => "pool-exhausted",
            Self::MappingLimit => "mapping-limit",
            Self::SessionLimit => "session-limit",
            Self::HairpinOff => "hairpin-off",
            Self::Family => "family",
            Self::UdpBlocked => "udp-blocked",
            Self::Checksum => "checksum",
            Self::NoStream => "no-stream",
            Self::NoEndpoint => "no-endpoint",
            Self::Asleep => "asleep",
            Self::Tapped => "tapped",
        }
    }
}

impl fmt::Display for DropCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! The axes of a NAT.

use core::fmt;
use core::time::Duration;

use floe_sansio::Instant;

use super::stage::Stage;
use super::{Allocation, Filtering, Mapping};

/// What a NAT does: independent axes, never a list of types.
///
/// [`Self::RFC4787`] is what RFC 4787 asks for; take it and change what differs.
///
/// ```
/// use floe_sim::{Filtering, Mapping, NatConfig};
///
/// let symmetric = NatConfig {
///     mapping: Mapping::AddressAndPortDependent,
///     filtering: Filtering::AddressAndPortDependent,
///     ..NatConfig::RFC4787
/// };
/// assert_eq!(symmetric.to_string(), "mapping address-and-port-dependent, \
///     filtering address-and-port-dependent, allocation preserving-else-random, refresh outbound, \
///     timers 300 s / 300 s, hairpin external");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NatConfig {
    /// Which packets share an external port.
    pub mapping: Mapping,
    /// Who is let in.
    pub filtering: Filtering,
    /// How external ports are picked.
    pub allocation: Allocation,
    /// What keeps a mapping alive.
    pub refresh: Refresh,
    /// How long one of UDP lives without.
    pub timers: NatTimers,
    /// How long one of TCP lives without.
    pub tcp_timers: NatTimers,
    /// What happens to a packet from the inside to the NAT's own external address.
    pub hairpin: Hairpin,
    /// How much is remembered.
    pub limits: NatLimits,
}

impl NatConfig {
    /// Endpoint-independent mapping (REQ-1) and filtering (REQ-8, transparency first), ports
    /// preserved where possible, mappings refreshed by outbound packets (REQ-6) and kept for 300 s
    /// (REQ-5c), hairpinning with external source (REQ-9a); for TCP the timers of RFC 5382.
    pub const RFC4787: Self = Self {
        mapping: Mapping::EndpointIndependent,
        filtering: Filtering::EndpointIndependent,
        allocation: Allocation::PreservingElseRandom,
        refresh: Refresh::Outbound,
        timers: NatTimers::RFC4787,
        tcp_timers: NatTimers::RFC5382,
        hairpin: Hairpin::External,
        limits: NatLimits::DEFAULT,
    };

    /// Whether there can be such a NAT.
    pub fn check(&self) -> Result<(), NatConfigError> {
        let keyed = matches!(
            self.mapping,
            Mapping::AddressDependent | Mapping::AddressAndPortDependent
        );
        if keyed && self.allocation == Allocation::Preserving {
            return Err(NatConfigError::OneDestination);
        }
        if let Allocation::Random { low, high } = self.allocation
            && (low == 0 || high < low)
        {
            return Err(NatConfigError::PortRange);
        }
        if self.limits.mappings_per_host == 0 || self.limits.sessions_per_endpoint == 0 {
            return Err(NatConfigError::ZeroLimit);
        }
        for timers in [self.timers, self.tcp_timers] {
            if timers.new.is_zero() || timers.established.is_zero() {
                return Err(NatConfigError::ZeroTimer);
            }
        }
        Ok(())
    }
}

/// The axes in one line, for UDP.
impl fmt::Display for NatConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mapping {}, filtering {}, allocation {}, refresh {}, timers {} s / {} s, hairpin {}",
            self.mapping.name(),
            self.filtering.name(),
            self.allocation.name(),
            self.refresh.name(),
            self.timers.new.as_secs(),
            self.timers.established.as_secs(),
            self.hairpin.name(),
        )
    }
}

/// Why there can be no NAT with these axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NatConfigError {
    /// A new mapping for each destination, all of them on the one inside port: a second destination
    /// could never be reached.
    OneDestination,
    /// The range of ports is empty or contains 0.
    PortRange,
    /// A limit of zero.
    ZeroLimit,
    /// A timer of zero.
    ZeroTimer,
}

impl fmt::Display for NatConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneDestination => {
                "a mapping per destination cannot keep the inside port for each of them"
            }
            Self::PortRange => "the range of external ports is empty or contains 0",
            Self::ZeroLimit => "a limit is zero",
            Self::ZeroTimer => "a timer is zero",
        })
    }
}

impl core::error::Error for NatConfigError {}

/// Which packets keep a mapping, or a filter entry, alive (RFC 4787 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refresh {
    /// Those from the inside.
    Outbound,
    /// Those from the outside that are accepted.
    Inbound,
    /// All.
    Both,
}

impl Refresh {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Outbound, Self::Inbound, Self::Both];

    /// Its name in scenarios and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Both => "both",
        }
    }

    pub(super) const fn by_outbound(self) -> bool {
        !matches!(self, Self::Inbound)
    }

    pub(super) const fn by_inbound(self) -> bool {
        !matches!(self, Self::Outbound)
    }
}

/// How long state lives without being refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NatTimers {
    /// As long as nothing has come back; of TCP, also once both sides have sent a FIN or one a RST.
    pub new: Duration,
    /// Once something has.
    pub established: Duration,
}

// Seconds, as the RFC and Linux count them.
#[allow(clippy::duration_suboptimal_units)]
impl NatTimers {
    /// The default of RFC 4787 REQ-5c: 300 s.
    pub const RFC4787: Self = Self::same(Duration::from_secs(300));
    /// The least that RFC 5382 REQ-5 allows for TCP: 4 min transitory, 2 h 4 min established.
    pub const RFC5382: Self = Self {
        new: Duration::from_secs(240),
        established: Duration::from_secs(7_440),
    };
    /// Linux: `nf_conntrack_tcp_timeout_syn_sent` and `…_time_wait` 120 s, `…_established` five days.
    pub const LINUX_TCP: Self = Self {
        new: Duration::from_secs(120),
        established: Duration::from_secs(432_000),
    };
    /// Linux: `nf_conntrack_udp_timeout` 30 s, `nf_conntrack_udp_timeout_stream` 120 s.
    pub const LINUX: Self = Self {
        new: Duration::from_secs(30),
        established: Duration::from_secs(120),
    };

    /// One timer for both.
    pub const fn same(timer: Duration) -> Self {
        Self {
            new: timer,
            established: timer,
        }
    }

    pub(super) fn expiry(self, refreshed: Instant, stage: Stage) -> Instant {
        refreshed
            + if stage.is_established() {
                self.established
            } else {
                self.new
            }
    }

    pub(super) fn expired(self, now: Instant, refreshed: Instant, stage: Stage) -> bool {
        self.expiry(refreshed, stage) <= now
    }
}

/// What a NAT does with a packet from the inside to its own external address (RFC 4787 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hairpin {
    /// Drops it.
    Off,
    /// Sends it back inside with the inside source address; whether it is accepted, the external one
    /// decides.
    Internal,
    /// Sends it back inside with the external source address (REQ-9a).
    External,
}

impl Hairpin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Internal, Self::External];

    /// Its name in scenarios and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Internal => "internal",
            Self::External => "external",
        }
    }
}

/// How much a NAT remembers; beyond, it drops what would need more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NatLimits {
    /// Mappings of one inside address.
    pub mappings_per_host: u32,
    /// Remote endpoints to which one inside endpoint has sent.
    pub sessions_per_endpoint: u32,
}

impl NatLimits {
    /// More than any well-behaved host needs, and little enough memory.
    pub const DEFAULT: Self = Self {
        mappings_per_host: 8_192,
        sessions_per_endpoint: 8_192,
    };
}

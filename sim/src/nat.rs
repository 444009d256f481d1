//! Network address translators: independent axes, one state machine for each transport.

mod allocation;
mod config;
mod filtering;
mod mapping;
mod stage;
#[cfg(test)]
mod tests;
mod translator;

use core::net::{IpAddr, SocketAddr};

use floe_sansio::Instant;

pub use self::allocation::Allocation;
pub use self::config::{Hairpin, NatConfig, NatConfigError, NatLimits, NatTimers, Refresh};
pub use self::filtering::Filtering;
pub use self::mapping::Mapping;

use self::stage::Sign;
use self::translator::Translator;
use crate::random::{Random, pair};
use crate::{DropCause, Flags};

/// What a NAT does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It goes on to the other side with these addresses.
    Pass {
        /// Its new source.
        source: SocketAddr,
        /// Its new destination.
        destination: SocketAddr,
    },
    /// It came from the inside and goes back inside with these addresses.
    Hairpin {
        /// Its new source.
        source: SocketAddr,
        /// Its new destination.
        destination: SocketAddr,
    },
    /// It is dropped.
    Drop(DropCause),
}

/// One NAT with one external address.
///
/// UDP and TCP share its axes and nothing else: not a port, not a filter (RFC 7857 §5, §6). Expiry is
/// decided when something is looked up, so an idle NAT needs no timers; what is kept is bounded by
/// [`NatLimits`] and by the number of external ports, for each transport.
///
/// ```
/// use floe_sansio::Instant;
/// use floe_sim::{Filtering, Nat, NatConfig, Random, Verdict};
///
/// let config = NatConfig { filtering: Filtering::AddressDependent, ..NatConfig::RFC4787 };
/// let mut nat = Nat::new(config, "5.6.7.8".parse().unwrap(), 1, Random::new(1));
/// let (inside, outside) = ("192.168.1.2:5000".parse().unwrap(), "9.9.9.9:3478".parse().unwrap());
/// let mapped = "5.6.7.8:5000".parse().unwrap();
///
/// let now = Instant::ZERO;
/// assert_eq!(
///     nat.outbound(now, inside, outside),
///     Verdict::Pass { source: mapped, destination: outside },
/// );
/// assert_eq!(
///     nat.inbound(now, outside, mapped),
///     Verdict::Pass { source: outside, destination: inside },
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Nat {
    entity: u64,
    random: Random,
    udp: Translator,
    /// Made for the first segment.
    tcp: Option<Box<Translator>>,
}

/// Keys the random draws for TCP.
const TCP: u64 = 6;

impl Nat {
    /// A NAT without state. `entity` keys its random draws.
    pub const fn new(config: NatConfig, external: IpAddr, entity: u64, random: Random) -> Self {
        Self {
            entity,
            random,
            udp: Translator::new(config, external, entity, random),
            tcp: None,
        }
    }

    /// What it does.
    pub const fn config(&self) -> &NatConfig {
        self.udp.config()
    }

    /// Its external address.
    pub const fn external(&self) -> IpAddr {
        self.udp.external()
    }

    /// How many mappings it holds, of UDP and TCP; some may have expired without anyone having looked.
    pub fn mappings(&self) -> usize {
        let tcp = self.tcp.as_ref().map_or(0, |tcp| tcp.mappings());
        self.udp.mappings() + tcp
    }

    /// How often it has given a flow, of all ports that it may draw, the one that another flow of the same
    /// inside endpoint has ([`Mapping::PerFlow`]): to whom both lead, it then looks independent of the
    /// destination.
    pub fn coincidences(&self) -> u64 {
        let tcp = self.tcp.as_ref().map_or(0, |tcp| tcp.coincidences());
        self.udp.coincidences() + tcp
    }

    /// Forgets everything, as after a power cut.
    pub fn reboot(&mut self) {
        self.udp.reboot();
        if let Some(tcp) = &mut self.tcp {
            tcp.reboot();
        }
    }

    /// A datagram from the inside.
    pub fn outbound(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Verdict {
        self.udp.outbound(now, Sign::Datagram, source, destination)
    }

    /// A datagram from the outside.
    pub fn inbound(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Verdict {
        self.udp.inbound(now, Sign::Datagram, source, destination)
    }

    /// A TCP segment with these flags from the inside. Only a SYN makes a mapping.
    pub fn outbound_segment(
        &mut self,
        now: Instant,
        flags: Flags,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Verdict {
        let tcp = self.tcp();
        tcp.outbound(now, Sign::of(flags), source, destination)
    }

    /// A TCP segment with these flags from the outside.
    pub fn inbound_segment(
        &mut self,
        now: Instant,
        flags: Flags,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Verdict {
        let tcp = self.tcp();
        tcp.inbound(now, Sign::of(flags), source, destination)
    }

    fn tcp(&mut self) -> &mut Translator {
        self.tcp.get_or_insert_with(|| {
            let config = *self.udp.config();
            let timed = NatConfig {
                timers: config.tcp_timers,
                ..config
            };
            let entity = pair(self.entity, TCP);
            let external = self.udp.external();
            Box::new(Translator::new(timed, external, entity, self.random))
        })
    }
}

//! The kinds of NAT by name: each only a point on the axes.

use core::fmt;

use crate::topology::Layer;
use crate::{Allocation, Filtering, Firewall, Hairpin, Mapping, NatConfig, NatTimers};

/// What lies between a host and the public core.
///
/// ```
/// use floe_sim::Preset;
///
/// let preset = Preset::by_name("port-restricted").unwrap();
/// for layer in preset.layers() {
///     println!("{preset}: {layer}");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// A public address.
    Open,
    /// Full cone (RFC 3489).
    FullCone,
    /// Address-restricted cone.
    AddressRestricted,
    /// Port-restricted cone.
    PortRestricted,
    /// Symmetric with random ports.
    Symmetric,
    /// Symmetric with one port after the other.
    SymmetricSequential,
    /// Linux `MASQUERADE`.
    LinuxMasquerade,
    /// A home NAT behind a carrier's that RFC 6888 would approve of.
    DoubleNat,
    /// A home NAT behind a carrier's symmetric one.
    SymmetricCgn,
    /// A firewall that lets no UDP through.
    UdpBlocked,
}

const FULL_CONE: NatConfig = NatConfig::RFC4787;

const ADDRESS_RESTRICTED: NatConfig = NatConfig {
    filtering: Filtering::AddressDependent,
    ..FULL_CONE
};

const PORT_RESTRICTED: NatConfig = NatConfig {
    filtering: Filtering::AddressAndPortDependent,
    ..FULL_CONE
};

/// What RFC 3489 called symmetric has no hairpinning in the wild worth the name.
const SYMMETRIC: NatConfig = NatConfig {
    mapping: Mapping::AddressAndPortDependent,
    filtering: Filtering::AddressAndPortDependent,
    allocation: Allocation::RANDOM,
    hairpin: Hairpin::Off,
    ..FULL_CONE
};

const SYMMETRIC_SEQUENTIAL: NatConfig = NatConfig {
    allocation: Allocation::NEXT,
    ..SYMMETRIC
};

/// Conntrack refreshes a flow by packets of either direction; a MASQUERADE rule on the outer interface
/// does not touch packets from the inside to the router's own address.
const LINUX_MASQUERADE: NatConfig = NatConfig {
    mapping: Mapping::PerFlow,
    filtering: Filtering::AddressAndPortDependent,
    allocation: Allocation::PreservingElseRandom,
    refresh: crate::Refresh::Both,
    timers: NatTimers::LINUX,
    tcp_timers: NatTimers::LINUX_TCP,
    hairpin: Hairpin::Off,
    ..FULL_CONE
};

/// RFC 6888: mapping and filtering independent of the endpoint (REQ-7), ports hard to guess (REQ-15),
/// hairpinning (REQ-1).
const CARRIER: NatConfig = NatConfig {
    allocation: Allocation::RANDOM,
    ..FULL_CONE
};

impl Preset {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::SymmetricSequential,
        Self::LinuxMasquerade,
        Self::DoubleNat,
        Self::SymmetricCgn,
        Self::UdpBlocked,
    ];

    /// Its name in scenarios and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::SymmetricSequential => "symmetric-sequential",
            Self::LinuxMasquerade => "linux-masquerade",
            Self::DoubleNat => "double-nat",
            Self::SymmetricCgn => "symmetric-cgn",
            Self::UdpBlocked => "udp-blocked",
        }
    }

    /// The kind of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// What it is, in one line.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Open => "a public address, nothing in between",
            Self::FullCone => "one external port a socket; anyone may send to it",
            Self::AddressRestricted => {
                "one external port a socket; only addresses that were sent to may answer"
            }
            Self::PortRestricted => {
                "one external port a socket; only addresses and ports that were sent to may answer"
            }
            Self::Symmetric => "a new random external port for each destination",
            Self::SymmetricSequential => "the next external port for each destination",
            Self::LinuxMasquerade => {
                "Linux MASQUERADE: flows keep the inside port unless another has it; 30 s / 120 s"
            }
            Self::DoubleNat => "a port-restricted home NAT behind an RFC 6888 carrier NAT",
            Self::SymmetricCgn => "a port-restricted home NAT behind a symmetric carrier NAT",
            Self::UdpBlocked => "a firewall that lets no UDP through",
        }
    }

    /// Its NATs and firewalls, the nearest to the host first.
    pub const fn layers(self) -> &'static [Layer] {
        match self {
            Self::Open => &[],
            Self::FullCone => &[Layer::Nat(FULL_CONE)],
            Self::AddressRestricted => &[Layer::Nat(ADDRESS_RESTRICTED)],
            Self::PortRestricted => &[Layer::Nat(PORT_RESTRICTED)],
            Self::Symmetric => &[Layer::Nat(SYMMETRIC)],
            Self::SymmetricSequential => &[Layer::Nat(SYMMETRIC_SEQUENTIAL)],
            Self::LinuxMasquerade => &[Layer::Nat(LINUX_MASQUERADE)],
            Self::DoubleNat => &[Layer::Nat(PORT_RESTRICTED), Layer::Nat(CARRIER)],
            Self::SymmetricCgn => &[Layer::Nat(PORT_RESTRICTED), Layer::Nat(SYMMETRIC)],
            Self::UdpBlocked => &[Layer::Firewall(Firewall::BlockUdp)],
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_kinds() {
        for preset in Preset::ALL {
            assert_eq!(Preset::by_name(preset.name()), Some(preset));
            assert!(!preset.description().contains('\n'));
        }
        assert_eq!(Preset::by_name("cone"), None);
    }

    #[test]
    fn there_can_be_every_kind() {
        for layer in Preset::ALL.into_iter().flat_map(Preset::layers) {
            if let Layer::Nat(config) = layer {
                assert_eq!(config.check(), Ok(()));
            }
        }
    }
}

//! Addresses of this host, and what is known about the networks they lie in.

use core::net::SocketAddr;

use floe_sansio::Transport;

use crate::component::ComponentId;

/// The network that an address lies in, as far as the owner knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Network {
    /// Equal for addresses of one network; 0 where it is not known.
    pub id: u16,
    /// What it costs to use it, 0 to 999: the lower, the sooner its addresses are used. 0 where it is
    /// not known. Browsers give 10 to Wi-Fi and 900 to mobile networks.
    pub cost: u16,
}

/// A transport address that the driver has bound, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub address: SocketAddr,
    /// The component it carries.
    pub component: ComponentId,
    /// Its network.
    pub network: Network,
    /// Whether the network comes and goes, such as a VPN or a mobile one: its candidates come last
    /// (RFC 8421 §3).
    pub unreliable: bool,
    /// Whether it is a temporary IPv6 address (RFC 8981), which does not give its host away. Where an
    /// interface has one, its other addresses of the same prefix are not told (RFC 8445 §5.1.1.1).
    pub temporary: bool,
    /// [`Transport::Udp`], or [`Transport::Tcp`] if it is a port that the driver listens on: that becomes
    /// a passive candidate (RFC 6544 §5.1). See
    /// [`Agent::stream_accepted`](crate::Agent::stream_accepted).
    pub transport: Transport,
    /// Whether it is about to go (RFC 4862 §5.5.4): such an address makes no candidate.
    pub deprecated: bool,
}

impl LocalAddress {
    /// An address for the only component of the only stream, of a network nothing is known about.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            component: ComponentId::default(),
            network: Network::default(),
            unreliable: false,
            temporary: false,
            transport: Transport::Udp,
            deprecated: false,
        }
    }

    /// A TCP port that the driver listens on.
    pub fn listening(address: SocketAddr) -> Self {
        Self {
            transport: Transport::Tcp,
            ..Self::new(address)
        }
    }

    /// The same address for another component.
    #[must_use]
    pub const fn on(mut self, component: ComponentId) -> Self {
        self.component = component;
        self
    }

    /// The same address in this network.
    #[must_use]
    pub const fn in_network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }
}

impl From<SocketAddr> for LocalAddress {
    fn from(address: SocketAddr) -> Self {
        Self::new(address)
    }
}

//! Firewalls: they pass or drop, and translate nothing.

use floe_sansio::Transport;

use crate::DropCause;

/// A firewall without state between an inside and an outside that share their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Firewall {
    /// No UDP passes, in or out.
    BlockUdp,
}

impl Firewall {
    /// Why a packet does not pass, if it does not.
    pub const fn refuses(self, transport: Transport) -> Option<DropCause> {
        match (self, transport) {
            (Self::BlockUdp, Transport::Udp | Transport::Dtls) => Some(DropCause::UdpBlocked),
            (Self::BlockUdp, _) => None,
        }
    }

    /// Its name in scenarios and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlockUdp => "block-udp",
        }
    }
}

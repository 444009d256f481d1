use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use floe_ice::{Policy, Role, TurnServer};
use floe_sdp::{DataChannel, DtlsIdentity, SectionConfig};

/// What a [`Connection`](crate::Connection) is told at birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// The DTLS identity of the owner, to be signalled.
    pub dtls: DtlsIdentity,
    /// What to offer, section by section. Offers of the other side are answered with what fits.
    pub sections: Vec<SectionConfig>,
    /// The transport addresses that the driver has bound for this connection, best first.
    pub addresses: Vec<SocketAddr>,
    /// Servers to ask for server-reflexive candidates.
    pub stun_servers: Vec<SocketAddr>,
    /// Servers to ask for relayed candidates.
    pub turn_servers: Vec<TurnServer>,
    /// Which candidates to use.
    pub policy: Policy,
    /// The role to begin with, if not the one that the exchange gives: the side that offers controls.
    /// Where a third party makes both sides offer, both control; the agents settle that (RFC 8445
    /// §7.3.1.1).
    pub role: Option<Role>,
    /// All else about ICE: pacing, repetition, limits. Its addresses, servers, policy and role are
    /// overwritten by those of this connection.
    pub ice: floe_ice::Config,
}

impl Config {
    /// A connection with one section for data channels, and no addresses and servers yet.
    pub fn data_channel(dtls: DtlsIdentity) -> Self {
        Self::new(
            dtls,
            vec![SectionConfig::Application(DataChannel::default())],
        )
    }

    /// A connection with these sections, and no addresses and servers yet.
    pub fn new(dtls: DtlsIdentity, sections: Vec<SectionConfig>) -> Self {
        Self {
            dtls,
            sections,
            addresses: Vec::new(),
            stun_servers: Vec::new(),
            turn_servers: Vec::new(),
            policy: Policy::All,
            role: None,
            ice: floe_ice::Config::new(Role::Controlling),
        }
    }

    pub(crate) fn ice(&self) -> floe_ice::Config {
        floe_ice::Config {
            addresses: self.addresses.clone(),
            stun_servers: self.stun_servers.clone(),
            turn_servers: self.turn_servers.clone(),
            policy: self.policy,
            ..self.ice.clone()
        }
    }
}

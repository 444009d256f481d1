//! Candidates: transport addresses at which an agent may be reached.

use alloc::string::String;
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};

use floe_sansio::{FiveTuple, Transport};

use crate::address::Network;
use crate::component::ComponentId;
use crate::tcp::TcpType;

/// How a candidate was found (RFC 8445 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CandidateKind {
    /// An address of this host.
    Host,
    /// The outside of a NAT, as a peer sees it.
    PeerReflexive,
    /// The outside of a NAT, as a STUN server sees it.
    ServerReflexive,
    /// An address on a TURN server.
    Relayed,
}

impl CandidateKind {
    /// The recommended type preference, 0 to 126 (RFC 8445 §5.1.2.2).
    pub const fn type_preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    /// The name in SDP (RFC 8839 §5.1): `host`, `prflx`, `srflx` or `relay`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::PeerReflexive => "prflx",
            Self::ServerReflexive => "srflx",
            Self::Relayed => "relay",
        }
    }
}

/// The priority of a candidate of this component (RFC 8445 §5.1.2.1).
///
/// `local_preference` is 65535 for the best address of a host; `component` is 1 to 256.
///
/// ```
/// use floe_ice::{CandidateKind, candidate_priority};
///
/// assert_eq!(candidate_priority(CandidateKind::Host, 65535, 1), 2_130_706_431);
/// ```
pub const fn candidate_priority(kind: CandidateKind, local_preference: u16, component: u16) -> u32 {
    let component = 256u32.saturating_sub(component as u32);
    (kind.type_preference() << 24) | ((local_preference as u32) << 8) | component
}

/// The priority of a pair, given that of the candidate on either side (RFC 8445 §6.1.2.3).
///
/// ```
/// use floe_ice::pair_priority;
///
/// assert_eq!(pair_priority(5, 3), (3 << 32) + 10 + 1);
/// assert_eq!(pair_priority(3, 5), (3 << 32) + 10);
/// ```
pub const fn pair_priority(controlling: u32, controlled: u32) -> u64 {
    let (low, high, bit) = if controlling > controlled {
        (controlled, controlling, 1)
    } else {
        (controlling, controlled, 0)
    };
    ((low as u64) << 32) + 2 * (high as u64) + bit
}

/// A candidate of either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it is a candidate for.
    pub component: ComponentId,
    /// How it was found.
    pub kind: CandidateKind,
    /// What carries packets to it.
    pub transport: Transport,
    /// Over TCP, how it connects (RFC 6544 §4.5); `None` over UDP.
    pub tcp_type: Option<TcpType>,
    /// Where packets are sent to reach it.
    pub address: SocketAddr,
    /// The address that packets of this candidate leave from: itself for host and relayed
    /// candidates. Of a remote candidate it is not known, and stands equal to `address`.
    pub base: SocketAddr,
    /// Its priority, 1 to 2³¹ − 1.
    pub priority: u32,
    /// Equal for candidates that are likely to work alike (RFC 8445 §5.1.1.3): 1 to 32 characters.
    pub foundation: String,
    /// The address it was derived from, for diagnosis: the base of a reflexive candidate, the mapped
    /// address of a relayed one.
    pub related: Option<SocketAddr>,
    /// The network it lies in, as far as its side has told.
    pub network: Network,
}

impl Candidate {
    /// Whether pairs are made with it, and not with another candidate that it is a face of. (A connection
    /// has one address on either side, as it is seen from there.)
    pub(crate) fn is_base(&self) -> bool {
        self.address == self.base || self.tcp_type == Some(TcpType::SimultaneousOpen)
    }

    /// The address at which a packet of this candidate's side leaves on `path`: an active candidate has
    /// a port of its own for each connection.
    pub(crate) fn reached_at(&self, path: FiveTuple) -> SocketAddr {
        let active = self.tcp_type == Some(TcpType::Active);
        if active && self.kind == CandidateKind::Host {
            path.local
        } else {
            self.address
        }
    }

    /// Whether an address is worth a host candidate (RFC 8445 §5.1.1.1): not unspecified, not
    /// multicast, not a deprecated form of IPv6; loopback only where the owner asked for it.
    pub fn is_host_address(address: SocketAddr, loopback: bool) -> bool {
        let ip = address.ip();
        if ip.is_unspecified() || ip.is_multicast() || (ip.is_loopback() && !loopback) {
            return false;
        }
        match ip {
            IpAddr::V4(ip) => !ip.is_broadcast(),
            // IPv4-mapped, IPv4-compatible (::/96) and site-local (fec0::/10) addresses.
            IpAddr::V6(ip) => {
                let compatible = ip.segments()[..6] == [0; 6] && !ip.is_loopback();
                ip.to_ipv4_mapped().is_none() && !compatible && ip.segments()[0] & 0xFFC0 != 0xFEC0
            }
        }
    }
}

/// What makes local candidates share a foundation (RFC 8445 §5.1.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FoundationKey {
    kind: CandidateKind,
    transport: Transport,
    base: IpAddr,
    server: Option<IpAddr>,
}

/// The foundations given out so far; they are numbered from 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foundations(alloc::vec::Vec<FoundationKey>);

impl Foundations {
    /// The foundation of a local candidate: the same text for the same kind, transport, base address
    /// and server address.
    pub(crate) fn of(
        &mut self,
        kind: CandidateKind,
        transport: Transport,
        base: IpAddr,
        server: Option<IpAddr>,
    ) -> String {
        let key = FoundationKey {
            kind,
            transport,
            base,
            server,
        };
        let number = if let Some(at) = self.0.iter().position(|&known| known == key) {
            at + 1
        } else {
            self.0.push(key);
            self.0.len()
        };
        let mut text = String::new();
        let _ = write!(text, "{number}");
        text
    }
}

/// Whether only hosts of the same private network can be reached at this address.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64;
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// req: ICE-5.1.1.1-4, ICE-5.1.1.1-5, ICE-5.1.1.1-6
    #[test]
    fn useless_addresses_make_no_host_candidates() {
        for (address, usable) in [
            ("192.0.2.1:1", true),
            ("127.0.0.1:1", false),
            ("127.1.2.3:1", false),
            ("0.0.0.0:1", false),
            ("224.0.0.1:1", false),
            ("[2001:db8::1]:1", true),
            ("[fe80::1]:1", true),
            ("[::1]:1", false),
            ("[::ffff:192.0.2.1]:1", false),
            ("[::192.0.2.1]:1", false),
            ("[fec0::1]:1", false),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(
                Candidate::is_host_address(parsed, false),
                usable,
                "{address}"
            );
        }
        assert!(Candidate::is_host_address(
            "127.0.0.1:1".parse().unwrap(),
            true
        ));
        assert!(Candidate::is_host_address("[::1]:1".parse().unwrap(), true));
    }

    fn vectors(name: &str) -> std::vec::Vec<serde_json::Value> {
        let text = include_str!("../tests/data/priorities.json");
        let all: serde_json::Value = serde_json::from_str(text).unwrap();
        all[name].as_array().unwrap().clone()
    }

    /// req: ICE-5.1.2-2, ICE-5.1.2.1-3, ICE-5.1.2.2-1
    #[test]
    fn priorities_of_candidates_follow_the_formula() {
        let kinds = [
            CandidateKind::Host,
            CandidateKind::PeerReflexive,
            CandidateKind::ServerReflexive,
            CandidateKind::Relayed,
        ];
        let vectors = vectors("candidate_priority");
        assert_eq!(vectors.len(), kinds.len());
        for vector in vectors {
            let named = |kind: &&CandidateKind| vector["type"] == kind.name();
            let &kind = kinds.iter().find(named).unwrap();
            assert_eq!(vector["type_pref"], kind.type_preference());
            assert_eq!(vector["priority"], candidate_priority(kind, 65535, 1));
        }
    }

    /// req: ICE-6.1.2.3-1
    #[test]
    fn priorities_of_pairs_follow_the_formula() {
        let vectors = vectors("pair_priority");
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let [g, d] = ["G", "D"].map(|side| vector[side].as_u64().unwrap() as u32);
            assert_eq!(vector["pair_priority"], pair_priority(g, d));
        }
    }

    /// req: ICE-5.1.2.1-1
    #[test]
    fn type_preferences_differ_and_rank_prflx_over_srflx() {
        let kinds = [
            CandidateKind::Host,
            CandidateKind::PeerReflexive,
            CandidateKind::ServerReflexive,
            CandidateKind::Relayed,
        ];
        assert!(
            kinds
                .map(CandidateKind::type_preference)
                .is_sorted_by(|a, b| a > b)
        );
        assert!(CandidateKind::Host.type_preference() <= 126);
    }

    /// req: ICE-5.1.1.3-1
    #[test]
    fn foundations_are_equal_for_the_same_kind_base_and_server_only() {
        let mut foundations = Foundations::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (base, other, server) = (ip("10.0.0.1"), ip("10.0.0.2"), ip("192.0.2.1"));
        let udp = Transport::Udp;
        let host = foundations.of(CandidateKind::Host, udp, base, None);
        assert_eq!(foundations.of(CandidateKind::Host, udp, base, None), host);
        for different in [
            foundations.of(CandidateKind::Host, udp, other, None),
            foundations.of(CandidateKind::Host, Transport::Tcp, base, None),
            foundations.of(CandidateKind::ServerReflexive, udp, base, Some(server)),
            foundations.of(CandidateKind::ServerReflexive, udp, base, Some(other)),
            foundations.of(CandidateKind::Relayed, udp, base, Some(server)),
        ] {
            assert_ne!(different, host);
        }
    }
}

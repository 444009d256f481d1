//! Candidates as text: the grammar is that of `floe_sdp::ice`, this is what it means to an agent.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use floe_sansio::Transport;
use floe_sdp::ice as sdp;

use crate::address::Network;
use crate::candidate::{Candidate, CandidateKind};
use crate::component::ComponentId;

/// Why an agent cannot use a well-formed candidate. RFC 8839 §5.1 wants it ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unusable {
    /// Neither UDP, nor TCP with a `tcptype`.
    Transport,
    /// A component number above 256.
    Component,
    /// A type that no RFC known here defines.
    Kind,
    /// A name instead of an address, and none that the peer's network could resolve (mDNS).
    Name,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transport => "the transport is neither UDP nor TCP as it should be",
            Self::Component => "the component is not 1 to 256",
            Self::Kind => "the candidate type is unknown",
            Self::Name => "the address is a name",
        })
    }
}

impl core::error::Error for Unusable {}

/// For the other side (RFC 8839 §5.1): all but host candidates name the address they were derived
/// from, or hide it.
impl From<&Candidate> for sdp::Candidate {
    fn from(candidate: &Candidate) -> Self {
        let hidden = || {
            let unspecified = if candidate.address.is_ipv4() {
                "0.0.0.0:9"
            } else {
                "[::]:9"
            };
            unspecified.parse().ok()
        };
        let related: Option<SocketAddr> = match candidate.kind {
            CandidateKind::Host => None,
            _ => candidate.related.or_else(hidden),
        };
        Self {
            foundation: candidate.foundation.clone(),
            component: candidate.component.component,
            transport: if candidate.tcp_type.is_some() {
                sdp::CandidateTransport::Tcp
            } else {
                sdp::CandidateTransport::Udp
            },
            priority: candidate.priority,
            address: candidate.address.ip().into(),
            port: candidate.address.port(),
            kind: match candidate.kind {
                CandidateKind::Host => sdp::CandidateType::Host,
                CandidateKind::ServerReflexive => sdp::CandidateType::ServerReflexive,
                CandidateKind::PeerReflexive => sdp::CandidateType::PeerReflexive,
                CandidateKind::Relayed => sdp::CandidateType::Relayed,
            },
            related_address: related.map(|address| address.ip().into()),
            related_port: related.map(|address| address.port()),
            tcp_type: candidate.tcp_type,
            extensions: alloc::vec::Vec::new(),
        }
    }
}

/// A candidate that the other side signalled.
impl TryFrom<&sdp::Candidate> for Candidate {
    type Error = Unusable;

    fn try_from(text: &sdp::Candidate) -> Result<Self, Unusable> {
        match &text.address {
            sdp::CandidateAddress::Ip(ip) => read(text, *ip),
            // Other reasons not to use it count first.
            sdp::CandidateAddress::Name(_) => {
                read(text, Ipv6Addr::UNSPECIFIED.into()).and(Err(Unusable::Name))
            }
        }
    }
}

/// A candidate of the first stream, with this address.
pub(crate) fn read(text: &sdp::Candidate, ip: IpAddr) -> Result<Candidate, Unusable> {
    let (transport, tcp_type) = match (&text.transport, text.tcp_type) {
        (sdp::CandidateTransport::Udp, _) => (Transport::Udp, None),
        (sdp::CandidateTransport::Tcp, Some(tcp_type)) => (Transport::Tcp, Some(tcp_type)),
        _ => return Err(Unusable::Transport),
    };
    // The stream is that of the section that the candidate stands in.
    let component = ComponentId::new(0, text.component);
    if !component.is_valid() {
        return Err(Unusable::Component);
    }
    let kind = match text.kind {
        sdp::CandidateType::Host => CandidateKind::Host,
        sdp::CandidateType::ServerReflexive => CandidateKind::ServerReflexive,
        sdp::CandidateType::PeerReflexive => CandidateKind::PeerReflexive,
        sdp::CandidateType::Relayed => CandidateKind::Relayed,
        sdp::CandidateType::Other(_) => return Err(Unusable::Kind),
    };
    let known = |address: &sdp::CandidateAddress| match address {
        sdp::CandidateAddress::Ip(ip) => Some(*ip),
        sdp::CandidateAddress::Name(_) => None,
    };
    let address = SocketAddr::new(ip, text.port);
    let related = text.related_address.as_ref().and_then(known);
    Ok(Candidate {
        component,
        kind,
        transport,
        tcp_type,
        address,
        base: address,
        priority: text.priority,
        foundation: text.foundation.clone(),
        related: related
            .zip(text.related_port)
            .map(|(ip, port)| SocketAddr::new(ip, port)),
        network: Network::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::TcpType;
    use alloc::string::ToString;

    fn read(text: &str) -> Result<Candidate, Unusable> {
        Candidate::try_from(&text.parse::<sdp::Candidate>().unwrap())
    }

    /// req: ICESDP-5.1-6, ICESDP-5.1-7, ICESDP-5.1-8
    #[test]
    fn related_addresses_are_given_where_the_rfc_wants_them() {
        let text =
            "candidate:1 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998";
        let mut candidate = read(text).unwrap();
        assert_eq!(sdp::Candidate::from(&candidate).to_string(), text);
        for kind in [
            CandidateKind::ServerReflexive,
            CandidateKind::PeerReflexive,
            CandidateKind::Relayed,
        ] {
            candidate.kind = kind;
            candidate.related = Some("10.0.1.1:8998".parse().unwrap());
            let told = sdp::Candidate::from(&candidate).to_string();
            assert!(told.ends_with("raddr 10.0.1.1 rport 8998"), "{told}");
            candidate.related = None;
            let hidden = sdp::Candidate::from(&candidate).to_string();
            assert!(hidden.ends_with("raddr 0.0.0.0 rport 9"), "{hidden}");
        }
        candidate.kind = CandidateKind::Host;
        candidate.related = Some(candidate.address);
        assert!(
            !sdp::Candidate::from(&candidate)
                .to_string()
                .contains("raddr")
        );
    }

    /// req: ICETCP-4.5-1, ICETCP-4.5-2
    #[test]
    fn candidates_over_tcp_say_so_and_how_they_connect() {
        for (text, tcp_type) in [
            (
                "candidate:1 1 tcp 1518280447 192.0.2.3 9 typ host tcptype active",
                TcpType::Active,
            ),
            (
                "candidate:1 1 tcp 1518214911 192.0.2.3 5001 typ host tcptype passive",
                TcpType::Passive,
            ),
            (
                "candidate:1 1 tcp 1 192.0.2.3 5001 typ srflx raddr 10.0.1.1 rport 8998 tcptype so",
                TcpType::SimultaneousOpen,
            ),
        ] {
            let candidate = read(text).unwrap();
            assert_eq!(
                (candidate.transport, candidate.tcp_type),
                (Transport::Tcp, Some(tcp_type))
            );
            assert_eq!(sdp::Candidate::from(&candidate).to_string(), text);
        }
        // Also as the RFC and older agents write it.
        let upper = read("candidate:1 1 TCP 1 192.0.2.3 9 typ host tcptype active");
        assert_eq!(upper.unwrap().tcp_type, Some(TcpType::Active));
    }

    /// req: ICESDP-5.1-3
    #[test]
    fn what_cannot_be_used_is_told_apart() {
        for (text, why) in [
            (
                "candidate:1 1 sctp 1 192.0.2.3 9 typ host",
                Unusable::Transport,
            ),
            (
                "candidate:1 1 tcp 1 192.0.2.3 9 typ host",
                Unusable::Transport,
            ),
            ("candidate:1 1 udp 1 192.0.2.3 9 typ warp", Unusable::Kind),
            ("candidate:1 1 udp 1 a.local 9 typ host", Unusable::Name),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
        let text = "candidate:1 1 udp 1 192.0.2.3 9 typ host";
        let mut candidate: sdp::Candidate = text.parse().unwrap();
        candidate.component = 257;
        assert_eq!(Candidate::try_from(&candidate), Err(Unusable::Component));
    }
}

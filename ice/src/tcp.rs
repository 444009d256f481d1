//! What is different about TCP candidates (RFC 6544): how they are preferred, and which of them fit.

use floe_sansio::Transport;
pub use floe_sdp::ice::TcpType;

use crate::candidate::{Candidate, CandidateKind, candidate_priority};

/// The port that an active candidate is signalled with (RFC 6544 §4.5): it has none yet.
pub(crate) const ACTIVE_PORT: u16 = 9;

/// Connections to one IP address that are being opened at the same time (RFC 6544 §12).
pub(crate) const MAX_ATTEMPTS: usize = 5;

/// The other-pref of the best address (RFC 6544 §4.2).
const MAX_OTHER: u16 = 8191;

/// Whether candidates over TCP are used, and how they compare with those over UDP (RFC 6544 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TcpUse {
    /// They are not: rather no media at all than media that waits for what was lost.
    #[default]
    Off,
    /// Where UDP does not work: any direct path over UDP is preferred to any over TCP.
    AfterUdp,
    /// Where TCP does not work, UDP is used.
    BeforeUdp,
}

impl TcpUse {
    /// Whether there are such candidates.
    pub const fn is_on(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Whether the other transport is preferred to this one.
    pub(crate) const fn is_second(self, transport: Transport) -> bool {
        match self {
            Self::Off => false,
            Self::AfterUdp => transport.is_reliable(),
            Self::BeforeUdp => !transport.is_reliable(),
        }
    }

    /// The priority of a local candidate, given that of RFC 8445 or RFC 6544 within its transport.
    pub(crate) fn rank(self, candidate: &Candidate) -> u32 {
        let preference = (candidate.priority >> 8) as u16;
        let number = candidate.component.component;
        self.priority(candidate.kind, candidate.transport, preference, number)
    }

    /// The priority of a candidate. That of the transport that is not preferred has a lower type
    /// preference, below all direct candidates of the other and above its relayed ones
    /// (RFC 6544 §4.2).
    pub(crate) const fn priority(
        self,
        kind: CandidateKind,
        transport: Transport,
        local_preference: u16,
        component: u16,
    ) -> u32 {
        let priority = candidate_priority(kind, local_preference, component);
        if self.is_second(transport) {
            // 126, 110 and 100 become 90, 74 and 64.
            let lowered = kind.type_preference().saturating_sub(36);
            (priority & 0x00FF_FFFF) | (lowered << 24)
        } else {
            priority
        }
    }
}

/// The local preference of a TCP candidate (RFC 6544 §4.2); `place` counts the addresses of its kind
/// and direction from 0, the best one.
///
/// ```
/// use floe_ice::{CandidateKind, TcpType, tcp_local_preference};
///
/// assert_eq!(tcp_local_preference(CandidateKind::Host, TcpType::Active, 0), 6 * 8192 + 8191);
/// ```
pub fn tcp_local_preference(kind: CandidateKind, tcp_type: TcpType, place: u16) -> u16 {
    let behind_nat = matches!(
        kind,
        CandidateKind::ServerReflexive | CandidateKind::PeerReflexive
    );
    let direction = match (tcp_type, behind_nat) {
        (TcpType::Active, false) | (TcpType::SimultaneousOpen, true) => 6,
        (TcpType::Passive, false) | (TcpType::Active, true) => 4,
        (TcpType::SimultaneousOpen, false) | (TcpType::Passive, true) => 2,
    };
    local_preference(direction, place)
}

/// That of a connection which is there already: before all others.
pub(crate) fn reused_local_preference(place: u16) -> u16 {
    local_preference(7, place)
}

fn local_preference(direction: u16, place: u16) -> u16 {
    (direction << 13) + (MAX_OTHER - place.min(MAX_OTHER))
}

/// The place of a TCP candidate among those of its kind and direction, from its priority.
pub(crate) const fn other_place(priority: u32) -> u16 {
    MAX_OTHER - ((priority >> 8) as u16 & MAX_OTHER)
}

/// Which candidates can be paired (RFC 6544 §6.2); `None` is UDP.
pub(crate) const fn can_pair(local: Option<TcpType>, remote: Option<TcpType>) -> bool {
    use TcpType::{Active, Passive, SimultaneousOpen};
    matches!(
        (local, remote),
        (None, None)
            | (Some(Active), Some(Passive))
            | (Some(Passive), Some(Active))
            | (Some(SimultaneousOpen), Some(SimultaneousOpen))
    )
}

/// What a candidate has to be for a connection with this one.
pub(crate) const fn counterpart(tcp_type: TcpType) -> TcpType {
    match tcp_type {
        TcpType::Active => TcpType::Passive,
        TcpType::Passive => TcpType::Active,
        TcpType::SimultaneousOpen => TcpType::SimultaneousOpen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CandidateKind::{Host, PeerReflexive, Relayed, ServerReflexive};
    use TcpType::{Active, Passive, SimultaneousOpen};

    /// req: ICETCP-4.2-4, ICETCP-4.2-5, ICETCP-4.2-7
    #[test]
    fn local_preferences_follow_the_formula_and_the_table() {
        let text = include_str!("../tests/data/tcp_preferences.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let vectors = vectors.as_array().unwrap();
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let kinds = if vector["kind"] == "host/udp-tunneled/relayed" {
                [Host, Relayed]
            } else {
                [ServerReflexive, ServerReflexive]
            };
            let tcp_type = [Active, Passive, SimultaneousOpen]
                .into_iter()
                .find(|it| std::format!("{it}") == vector["direction"])
                .unwrap();
            for kind in kinds {
                assert_eq!(
                    tcp_local_preference(kind, tcp_type, 0),
                    vector["local_pref"]
                );
                let direction = vector["direction_pref"].as_u64().unwrap() as u16;
                for place in [0, 1, 8191, u16::MAX] {
                    let preference = tcp_local_preference(kind, tcp_type, place);
                    assert_eq!(preference >> 13, direction, "other-pref stays in its bits");
                }
            }
        }
    }

    /// req: ICETCP-4.2-1, ICETCP-4.2-2, ICETCP-4.2-3
    #[test]
    fn the_preferred_transport_has_the_type_preferences_of_the_rfc_and_the_other_lower_ones() {
        let (udp, tcp) = (Transport::Udp, Transport::Tcp);
        let direct = [Host, PeerReflexive, ServerReflexive];
        for (choice, first, second) in [(TcpUse::AfterUdp, udp, tcp), (TcpUse::BeforeUdp, tcp, udp)]
        {
            for kind in direct {
                let preferred = choice.priority(kind, first, 0, 1);
                assert_eq!(preferred, candidate_priority(kind, 0, 1));
                for other in direct {
                    assert!(preferred > choice.priority(other, second, u16::MAX, 1));
                    let relayed = choice.priority(Relayed, first, u16::MAX, 1);
                    assert!(choice.priority(other, second, 0, 1) > relayed);
                }
            }
            assert!(
                choice.priority(Host, second, 0, 1) > choice.priority(PeerReflexive, second, 0, 1)
            );
        }
        assert_eq!(
            TcpUse::Off.priority(Host, udp, u16::MAX, 1),
            candidate_priority(Host, u16::MAX, 1)
        );
    }

    /// req: ICETCP-6.2-1
    #[test]
    fn only_candidates_that_can_connect_are_paired() {
        let all = [None, Some(Active), Some(Passive), Some(SimultaneousOpen)];
        let fitting = [
            (None, None),
            (Some(SimultaneousOpen), Some(SimultaneousOpen)),
            (Some(Active), Some(Passive)),
            (Some(Passive), Some(Active)),
        ];
        for local in all {
            for remote in all {
                let fits = fitting.contains(&(local, remote));
                assert_eq!(can_pair(local, remote), fits, "{local:?} {remote:?}");
            }
            if let Some(tcp_type) = local {
                assert!(can_pair(local, Some(counterpart(tcp_type))));
            }
        }
    }
}

//! What peers signal: descriptions and candidates, as text.
//!
//! The first line says what it is; a description follows as it is, a candidate as mid, line index,
//! user name fragment and candidate, a line each. The end of candidates says after how many candidates
//! it comes: over a path that does not keep the order it must not overtake them (RFC 8838 §3).

use floe_peer::{DescriptionKind, IceCandidate};

/// One message between two peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Description(DescriptionKind, String),
    Candidate(IceCandidate),
    End(IceCandidate, usize),
}

impl Signal {
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Description(DescriptionKind::Offer, sdp) => format!("offer\n{sdp}"),
            Self::Description(_, sdp) => format!("answer\n{sdp}"),
            Self::End(candidate, after) => {
                format!(
                    "end\n{after}\n{}",
                    Self::Candidate(candidate.clone()).to_text()
                )
            }
            Self::Candidate(candidate) => {
                let index = candidate.sdp_mline_index.map(|index| index.to_string());
                format!(
                    "candidate\n{}\n{}\n{}\n{}",
                    candidate.sdp_mid.as_deref().unwrap_or_default(),
                    index.unwrap_or_default(),
                    candidate.username_fragment.as_deref().unwrap_or_default(),
                    candidate.candidate,
                )
            }
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('\n')?;
        match kind {
            "offer" => Some(Self::Description(DescriptionKind::Offer, rest.into())),
            "answer" => Some(Self::Description(DescriptionKind::Answer, rest.into())),
            "candidate" => {
                let mut lines = rest.splitn(4, '\n');
                let mut next = || lines.next();
                let some = |text: &str| (!text.is_empty()).then(|| text.into());
                Some(Self::Candidate(IceCandidate {
                    sdp_mid: some(next()?),
                    sdp_mline_index: next()?.parse().ok(),
                    username_fragment: some(next()?),
                    candidate: next()?.into(),
                }))
            }
            "end" => {
                let (after, rest) = rest.split_once('\n')?;
                match Self::parse(rest)? {
                    Self::Candidate(candidate) => Some(Self::End(candidate, after.parse().ok()?)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signalled_is_read_back() {
        for signal in [
            Signal::Description(DescriptionKind::Offer, "v=0\r\ns=-\r\n".into()),
            Signal::Description(DescriptionKind::Answer, String::new()),
            Signal::Candidate(IceCandidate {
                candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host".into(),
                sdp_mid: Some("0".into()),
                sdp_mline_index: Some(0),
                username_fragment: Some("abcd".into()),
            }),
            Signal::Candidate(IceCandidate::default()),
            Signal::End(IceCandidate::default(), 3),
        ] {
            assert_eq!(Signal::parse(&signal.to_text()), Some(signal));
        }
        assert_eq!(Signal::parse("hello"), None);
        assert_eq!(Signal::parse("candidate\n0"), None);
    }
}

//! What goes over the signalling path: JSON, an object a line.

use floe_peer::{Endpoint, SelectedPair};
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Signal {
    Params {
        ufrag: String,
        pwd: String,
        /// Ta in milliseconds; who does not say it counts as 50 (RFC 8445 §14.2).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pacing: Option<u32>,
    },
    Candidate {
        candidate: String,
        #[serde(rename = "sdpMid", default, skip_serializing_if = "Option::is_none")]
        sdp_mid: Option<String>,
        #[serde(
            rename = "sdpMLineIndex",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        sdp_mline_index: Option<u16>,
    },
    EndOfCandidates,
    Offer {
        sdp: String,
    },
    Answer {
        sdp: String,
    },
    Result(Box<Outcome>),
    Bye,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) connected: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    pub(crate) selected_pair: Option<Pair>,
    /// From the moment the peer's credentials were known to the selected pair.
    pub(crate) ms: Option<f64>,
    /// From the start to the end of gathering.
    pub(crate) gather_ms: Option<f64>,
    pub(crate) pings_sent: u32,
    pub(crate) pongs: u32,
    #[serde(rename = "impl")]
    pub(crate) implementation: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pair {
    pub(crate) local: Side,
    pub(crate) remote: Side,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Side {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) ip: String,
    pub(crate) port: u16,
}

impl From<SelectedPair> for Pair {
    fn from(pair: SelectedPair) -> Self {
        Self {
            local: pair.local.into(),
            remote: pair.remote.into(),
        }
    }
}

impl From<Endpoint> for Side {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            kind: endpoint.kind.name().into(),
            ip: endpoint.address.ip().to_string(),
            port: endpoint.address.port(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_other_implementations_expect() {
        let candidate = |sdp_mid, sdp_mline_index| Signal::Candidate {
            candidate: "candidate:1 …".into(),
            sdp_mid,
            sdp_mline_index,
        };
        for (signal, text) in [
            (
                Signal::Params {
                    ufrag: "abcd".into(),
                    pwd: "secret".into(),
                    pacing: None,
                },
                r#"{"type":"params","ufrag":"abcd","pwd":"secret"}"#,
            ),
            (
                candidate(None, None),
                r#"{"type":"candidate","candidate":"candidate:1 …"}"#,
            ),
            (
                candidate(Some("0".into()), Some(0)),
                r#"{"type":"candidate","candidate":"candidate:1 …","sdpMid":"0","sdpMLineIndex":0}"#,
            ),
            (Signal::EndOfCandidates, r#"{"type":"end-of-candidates"}"#),
            (Signal::Bye, r#"{"type":"bye"}"#),
        ] {
            assert_eq!(serde_json::to_string(&signal).unwrap(), text);
            assert_eq!(serde_json::from_str::<Signal>(text).unwrap(), signal);
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_types_are_errors() {
        let text = r#"{"type":"bye","because":"done"}"#;
        assert_eq!(serde_json::from_str::<Signal>(text).unwrap(), Signal::Bye);
        assert!(serde_json::from_str::<Signal>(r#"{"type":"hello"}"#).is_err());
        assert!(serde_json::from_str::<Signal>(r#"{"ufrag":"abcd"}"#).is_err());
    }
}

//! RTP payload formats: what a section offers, and whether two sides mean the same (RFC 3264 §6.1).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::grammar::TOKEN;

/// Encoding name of retransmissions, and the parameter that says of what.
const RTX: &str = "rtx";
const APT: &str = "apt";

/// An RTP payload format with the number it is sent under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// 0..=127 but for 64..=95, which would look like RTCP on the one port that both have
    /// (RFC 5761 §4).
    pub payload_type: u8,
    /// Encoding name, such as `opus`; compared without regard to case.
    pub name: String,
    /// Hertz.
    pub clock_rate: u32,
    /// Audio channels; `None` is one.
    pub channels: Option<u32>,
    /// The `fmtp` parameters.
    pub parameters: Option<String>,
    /// What RTCP may say of it (`rtcp-fb`, RFC 4585 §4.2), such as `nack pli`.
    pub feedback: Vec<String>,
}

impl Codec {
    /// A format without parameters.
    pub fn new(payload_type: u8, name: &str, clock_rate: u32, channels: Option<u32>) -> Self {
        Self {
            payload_type,
            name: name.to_string(),
            clock_rate,
            channels,
            parameters: None,
            feedback: Vec::new(),
        }
    }

    /// The retransmissions (RFC 4588) of the format with the number `of`.
    pub fn rtx(payload_type: u8, of: u8, clock_rate: u32) -> Self {
        let mut codec = Self::new(payload_type, RTX, clock_rate, None);
        codec.parameters = Some(format!("{APT}={of}"));
        codec
    }

    /// The same with `fmtp` parameters.
    #[must_use]
    pub fn with_parameters(mut self, parameters: &str) -> Self {
        self.parameters = Some(parameters.to_string());
        self
    }

    /// The same with one more kind of feedback.
    #[must_use]
    pub fn with_feedback(mut self, feedback: &str) -> Self {
        self.feedback.push(feedback.to_string());
        self
    }

    /// Opus, G.722, PCMU and PCMA: what RFC 7874 §3 makes mandatory, and G.722.
    pub fn audio() -> Vec<Self> {
        let mut codecs =
            Vec::from([Self::new(111, "opus", 48_000, Some(2))
                .with_parameters("minptime=10;useinbandfec=1")]);
        codecs.extend([9, 0, 8].into_iter().filter_map(Self::well_known));
        codecs
    }

    /// VP8 and H.264 constrained baseline: what RFC 7742 §5 makes mandatory.
    pub fn video() -> Vec<Self> {
        let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
        Vec::from([
            Self::new(96, "VP8", 90_000, None),
            Self::new(102, "H264", 90_000, None).with_parameters(h264),
        ])
    }

    /// The format of a static payload type (RFC 3551 §6), which may stand without `rtpmap`.
    pub fn well_known(payload_type: u8) -> Option<Self> {
        let (name, clock_rate) = match payload_type {
            0 => ("PCMU", 8_000),
            3 => ("GSM", 8_000),
            8 => ("PCMA", 8_000),
            9 => ("G722", 8_000),
            13 => ("CN", 8_000),
            18 => ("G729", 8_000),
            _ => return None,
        };
        Some(Self::new(payload_type, name, clock_rate, None))
    }

    /// Whether both mean the same format, whatever number and negotiable parameters they have.
    ///
    /// Parameters that are part of a format's identity are compared: `packetization-mode` and the
    /// profile of H.264 (RFC 6184 §8.2.2), the profile of VP9 (RFC 9628 §6) and of AV1, what `rtx` repeats (RFC 4588 §8.1).
    pub fn matches(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels.unwrap_or(1) == other.channels.unwrap_or(1)
            && self.identity() == other.identity()
    }

    /// The number of the format that this one repeats, if it is `rtx` (RFC 4588 §8.1).
    pub fn repairs(&self) -> Option<u8> {
        if !self.name.eq_ignore_ascii_case(RTX) {
            return None;
        }
        self.parameter(APT)?.parse().ok()
    }

    /// The same for the format with another number: all other parameters stay.
    pub(crate) fn repairing(mut self, of: u8) -> Self {
        let rest = self.parameters.unwrap_or_default();
        let mut parameters = format!("{APT}={of}");
        for pair in rest.split(';').filter(|pair| !is_apt(pair)) {
            parameters.push(';');
            parameters.push_str(pair);
        }
        self.parameters = Some(parameters);
        self
    }

    /// The parameters that two sides must agree on, with their defaults.
    fn identity(&self) -> [&str; 2] {
        let get = |name, default| self.parameter(name).unwrap_or(default);
        if self.name.eq_ignore_ascii_case("H264") {
            // profile_idc and profile-iop; the level, behind them, may differ.
            let profile = get("profile-level-id", "420010");
            [
                get("packetization-mode", "0"),
                profile.get(..4).unwrap_or(profile),
            ]
        } else if self.name.eq_ignore_ascii_case(RTX) {
            [get(APT, ""), ""]
        } else if self.name.eq_ignore_ascii_case("VP9") {
            [get("profile-id", "0"), ""]
        } else if self.name.eq_ignore_ascii_case("AV1") {
            [get("profile", "0"), ""]
        } else {
            ["", ""]
        }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.parameters.as_deref()?.split(';');
        let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether it can be written.
    pub(crate) fn is_valid(&self) -> bool {
        let text =
            |text: &String| !text.is_empty() && !text.bytes().any(|byte| b"\0\r\n".contains(&byte));
        matches!(self.payload_type, 0..=63 | 96..=127)
            && TOKEN.is(self.name.as_bytes())
            && self.clock_rate > 0
            && self.channels != Some(0)
            && self.parameters.as_ref().is_none_or(text)
            && self.feedback.iter().all(text)
    }
}

fn is_apt(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case(APT)
}

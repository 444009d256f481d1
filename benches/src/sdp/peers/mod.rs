//! Other SDP crates, each used as its documentation says.

mod rtc_sdp;
mod sdp_rs;
mod sdp_types;
mod webrtc_sdp;

pub use rtc_sdp::RtcSdp;
pub use sdp_rs::SdpRs;
pub use sdp_types::SdpTypes;
pub use webrtc_sdp::WebrtcSdp;

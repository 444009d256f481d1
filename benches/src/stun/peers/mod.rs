//! Other STUN crates, each used as its documentation says.

mod is;
mod rtc_stun;
mod stun_codec;
mod stun_types;
mod webrtc;

pub use is::Is;
pub use rtc_stun::RtcStun;
pub use stun_codec::StunCodec;
pub use stun_types::StunTypes;
pub use webrtc::Webrtc;

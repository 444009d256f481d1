use std::io::Cursor;

use rtc_sdp::SessionDescription;

use crate::sdp::Reader;

/// `rtc-sdp`, of webrtc-rs: values of attributes stay text.
pub struct RtcSdp;

impl Reader for RtcSdp {
    const NAME: &'static str = "rtc-sdp 0.21.1";
    type Document<'a> = SessionDescription;

    fn parse(text: &str) -> SessionDescription {
        SessionDescription::unmarshal(&mut Cursor::new(text)).expect("a well-formed description")
    }

    fn print(document: &SessionDescription) -> Option<Vec<u8>> {
        Some(document.marshal().into_bytes())
    }
}

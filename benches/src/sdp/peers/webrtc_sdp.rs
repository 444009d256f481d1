use webrtc_sdp::{SdpSession, parse_sdp};

use crate::sdp::Reader;

/// `webrtc-sdp`, of Firefox: it reads all values when parsing, and drops attributes that it does not know.
pub struct WebrtcSdp;

impl Reader for WebrtcSdp {
    const NAME: &'static str = "webrtc-sdp 0.3.17";
    const KEEPS_ALL: bool = false;
    type Document<'a> = SdpSession;

    fn parse(text: &str) -> SdpSession {
        parse_sdp(text, false).expect("a well-formed description")
    }

    fn typed(session: &SdpSession) -> Option<usize> {
        let medias = session.media.iter();
        let medias = medias.map(|media| media.get_attributes().len());
        Some(session.attribute.len() + medias.sum::<usize>())
    }

    fn print(session: &SdpSession) -> Option<Vec<u8>> {
        Some(session.to_string().into_bytes())
    }
}

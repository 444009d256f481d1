use sdp_rs::SessionDescription;

use crate::sdp::Reader;

/// `sdp-rs`: it reads the values of the few attributes that it knows when parsing.
pub struct SdpRs;

impl Reader for SdpRs {
    const NAME: &'static str = "sdp-rs 0.2.1";
    type Document<'a> = SessionDescription;

    fn parse(text: &str) -> SessionDescription {
        SessionDescription::try_from(text).expect("a well-formed description")
    }

    fn print(document: &SessionDescription) -> Option<Vec<u8>> {
        Some(document.to_string().into_bytes())
    }
}

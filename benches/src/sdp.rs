//! SDP: offers as a browser makes them.

use floe_sdp::Session;

/// Audio, video and a data channel, with the candidates of two interfaces: 6.3 kB.
pub const OFFER: &[u8] = include_bytes!("../../sdp/tests/data/audio-video-data-offer.sdp");
/// A data channel alone: 0.7 kB.
pub const DATA_OFFER: &[u8] = include_bytes!("../../sdp/tests/data/data-offer.sdp");

/// Finds lines and sections, and checks their order and form.
pub fn structural(text: &[u8]) -> Session<'_> {
    Session::parse(text).expect("a well-formed description")
}

/// Reads every value of every line: returns how many attributes have a meaning.
pub fn typed(text: &[u8]) -> usize {
    let session = structural(text);
    let _ = (session.origin(), session.connection());
    let mut known = 0;
    let mut read = |attribute: floe_sdp::Attribute<'_>| {
        known += usize::from(attribute.value().is_ok());
    };
    session.attributes().for_each(&mut read);
    for media in session.media() {
        let _ = (media.line(), media.connection());
        media.attributes().for_each(&mut read);
    }
    known
}

/// Prints a description that has been parsed.
pub fn print(session: &Session<'_>) -> Vec<u8> {
    session.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_what_its_name_says() {
        for offer in [OFFER, DATA_OFFER] {
            let lines = offer.split(|&byte| byte == b'\n');
            let attributes = lines.filter(|line| line.starts_with(b"a=")).count();
            assert_eq!(typed(offer), attributes);
            assert_eq!(print(&structural(offer)), offer);
        }
    }
}

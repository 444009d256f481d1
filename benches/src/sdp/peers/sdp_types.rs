use sdp_types::{
    Attribute, Candidate, EndOfCandidates, ExtMap, Fingerprint, Fmtp, Group, IceOptions, IcePwd,
    IceUfrag, MaxMessageSize, Mid, Msid, Rid, Rtcp, RtcpFb, RtcpMux, RtcpRsize, RtpMap, SctpPort,
    Session, Setup, Ssrc, SsrcGroup,
};

use crate::sdp::Reader;

/// `sdp-types`: strings when parsing, and types for many attributes when asked.
pub struct SdpTypes;

/// One look at each attribute: its own iterators by type look at all of them for each type.
fn read(attribute: &Attribute) -> bool {
    let value = attribute.value.as_deref().unwrap_or_default();
    macro_rules! typed {
        ($($name:literal $kind:ident,)*) => {
            match attribute.attribute.as_str() {
                $($name => {
                    let value: $kind = value.parse().expect($name);
                    std::hint::black_box(&value);
                    true
                })*
                _ => false,
            }
        };
    }
    typed! {
        "candidate" Candidate,
        "end-of-candidates" EndOfCandidates,
        "extmap" ExtMap,
        "fingerprint" Fingerprint,
        "fmtp" Fmtp,
        "group" Group,
        "ice-options" IceOptions,
        "ice-pwd" IcePwd,
        "ice-ufrag" IceUfrag,
        "max-message-size" MaxMessageSize,
        "mid" Mid,
        "msid" Msid,
        "rid" Rid,
        "rtcp" Rtcp,
        "rtcp-fb" RtcpFb,
        "rtcp-mux" RtcpMux,
        "rtcp-rsize" RtcpRsize,
        "rtpmap" RtpMap,
        "sctp-port" SctpPort,
        "setup" Setup,
        "ssrc" Ssrc,
        "ssrc-group" SsrcGroup,
    }
}

impl Reader for SdpTypes {
    const NAME: &'static str = "sdp-types 0.3.1";
    type Document<'a> = Session;

    fn parse(text: &str) -> Session {
        Session::parse(text.as_bytes()).expect("a well-formed description")
    }

    fn typed(session: &Session) -> Option<usize> {
        let medias = session.medias.iter().flat_map(|media| &media.attributes);
        let attributes = session.attributes.iter().chain(medias);
        Some(attributes.filter(|attribute| read(attribute)).count())
    }

    fn print(session: &Session) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        session.write(&mut out).expect("a Vec takes everything");
        Some(out)
    }
}

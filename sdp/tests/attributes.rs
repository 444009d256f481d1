//! Typed attributes: read, written, and read again.

use std::collections::BTreeSet;

use floe_sdp::ice::{CandidateAddress, CandidateTransport, CandidateType};
use floe_sdp::{AttributeValue, Direction, attribute};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const TOKEN: &str = "[!#-'*+.0-9A-Z^_`a-z{|}~-]{1,12}";

/// What each attribute may say, as the grammar of its RFC has it, in the spelling that is written.
fn grammars() -> Vec<(&'static str, String)> {
    let image = r"\[x=(\[[1-9][0-9]{0,3}(:[1-9][0-9]?)?:[1-9][0-9]{3}\]|\[[1-9]{2},[1-9]{3}\]|[1-9][0-9]{2}),y=[1-9][0-9]{1,5}(,sar=1\.[1-9])?(,par=\[1\.1-1\.5\])?(,q=0\.[0-9])?\]";
    let bytes = "[ -~\u{80}-\u{7ff}]{1,24}";
    let restrictions = r"max-(width|height|fps|fs|br|pps)=[0-9]{1,6}(;max-bpp=[0-9]\.[0-9])?(;depend=[a-z]{1,4}(,[0-9]{1,3}){0,2})?(;x-[a-z]{1,8}(=[ -:<-~]{0,8})?)?";
    let ip = r"([1-9][0-9]?\.[1-9][0-9]?\.0\.[1-9]|2001:db8::[1-9a-f]{1,4}|[a-z]{4,12}\.local)";
    vec![
        ("group", format!("{TOKEN}( {TOKEN}){{0,4}}")),
        ("mid", TOKEN.into()),
        ("ice-ufrag", "[a-zA-Z0-9+/]{4,256}".into()),
        ("ice-pwd", "[a-zA-Z0-9+/]{22,256}".into()),
        ("ice-options", format!("{TOKEN}( {TOKEN}){{0,3}}")),
        ("ice-pacing", "(0|[1-9][0-9]{0,9})".into()),
        (
            "candidate",
            format!(
                r"[a-zA-Z0-9+/]{{1,32}} (1|2|256) (udp|tcp|sctp) [1-9][0-9]{{0,8}} {ip} [1-9][0-9]{{0,3}} typ (host|srflx|prflx|relay|new)( raddr {ip} rport [1-9][0-9]{{0,3}})?( tcptype (active|passive|so))?( {TOKEN} [!-~]{{0,8}}){{0,3}}"
            ),
        ),
        (
            "remote-candidates",
            format!("1 {ip} [1-9][0-9]{{0,3}}( 2 {ip} [1-9][0-9]{{0,3}})?"),
        ),
        (
            "fingerprint",
            "(sha-1 [0-9A-F]{2}(:[0-9A-F]{2}){19}|sha-256 [0-9A-F]{2}(:[0-9A-F]{2}){31}|new [0-9a-f]{2}(:[0-9A-F]{2}){0,9})".into(),
        ),
        ("setup", "(active|passive|actpass|holdconn)".into()),
        ("tls-id", "[a-zA-Z0-9+/_-]{20,255}".into()),
        (
            "identity",
            format!("[a-zA-Z0-9+/]{{4,40}}={{0,2}}( {TOKEN}(=[ -:<-~]{{1,9}})?)?"),
        ),
        ("sctp-port", "(0|[1-9][0-9]{0,3}|65535)".into()),
        ("max-message-size", "(0|[1-9][0-9]{0,18})".into()),
        (
            "sctpmap",
            format!("[1-9][0-9]{{0,3}} {TOKEN}( [1-9][0-9]{{0,4}})?"),
        ),
        (
            "rtpmap",
            format!("(0|[1-9][0-9]?|1[01][0-9]) {TOKEN}/[1-9][0-9]{{0,6}}(/[1-9])?"),
        ),
        ("fmtp", format!("{TOKEN} {bytes}")),
        (
            "rtcp-fb",
            format!(
                r"(\*|{TOKEN}) (trr-int [0-9]{{1,5}}|[a-zA-Z0-9_-]{{1,6}}( {TOKEN}( {bytes})?)?)"
            ),
        ),
        (
            "extmap",
            format!("[1-9][0-9]{{0,3}}(/(sendrecv|sendonly|recvonly|inactive))? [!-~]{{1,40}}( {bytes})?"),
        ),
        ("rtcp", "[1-9][0-9]{0,3}( IN IP4 (192\\.0\\.2\\.[1-9]|host\\.example))?".into()),
        ("msid", format!("{TOKEN}( {TOKEN})?")),
        ("ssrc", format!("(0|[1-9][0-9]{{0,8}}|4294967295) {TOKEN}(:{bytes})?")),
        ("ssrc-group", format!("{TOKEN}( [1-9][0-9]{{0,8}}){{0,3}}")),
        (
            "rid",
            format!(
                "[a-zA-Z0-9_-]{{1,8}} (send|recv)( pt=[0-9]{{1,3}}(,[0-9]{{1,3}}){{0,2}}(;{restrictions})?| {restrictions})?"
            ),
        ),
        (
            "simulcast",
            "(send ~?[a-z0-9]{1,3}([,;]~?[a-z0-9_-]{1,3}){0,4}( recv [a-z0-9]{1,3})?|recv [a-z]{1,3}(;~?[a-z]{1,3}){0,3})".into(),
        ),
        (
            "imageattr",
            format!(r"(\*|[0-9]{{1,3}})( send (\*|{image}( {image})?)( recv (\*|{image}))?| recv {image})"),
        ),
        (
            "crypto",
            "[1-9][0-9]{0,8} [A-Z0-9_]{1,24} inline:[a-zA-Z0-9+/]{40}(\\|2\\^20\\|1:4)?(;inline:[a-z]{9})?( [!-~]{1,9}){0,2}".into(),
        ),
        ("key-mgmt", format!("{TOKEN} [a-zA-Z0-9+/]{{4,40}}={{0,2}}")),
        ("ptime", r"([1-9][0-9]{0,3}|(0|[1-9][0-9]?)\.[0-9]{0,3}[1-9])".into()),
        ("maxptime", r"([1-9][0-9]{0,3}|(0|[1-9][0-9]?)\.[0-9]{0,3}[1-9])".into()),
        ("framerate", r"([1-9][0-9]{0,3}|(0|[1-9][0-9]?)\.[0-9]{0,3}[1-9])".into()),
        ("quality", "(0|[1-9][0-9]{0,18})".into()),
        ("tool", bytes.into()),
        ("charset", TOKEN.into()),
        ("lang", "[a-z]{2}(-[A-Z]{2})?".into()),
        ("sdplang", "[a-z]{2}(-[A-Z]{2})?".into()),
        ("control", r"(\*|rtsp://[!-~]{1,40}|trackID=[0-9])".into()),
        (
            "range",
            "(npt=([0-9.]{1,6}|now)-([0-9]{1,4})?|npt=-[0-9]{1,4}|clock=1996[01][0-9]{2}T[0-9]{6}Z-|smpte-25=10:07:00-10:07:33:05\\.01)".into(),
        ),
    ]
}

const PROPERTIES: [&str; 12] = [
    "bundle-only",
    "ice-lite",
    "ice-mismatch",
    "end-of-candidates",
    "extmap-allow-mixed",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-rsize",
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
];

fn written(value: &AttributeValue<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

/// What the grammar allows is read, and written as it was.
///
/// req: GROUP-4-1, GROUP-5-1, SDP-6.6-1, SDP-5.13-2, ICESDP-5.1-1, JSEP-5.8.2-1
#[test]
fn what_the_grammar_allows_is_read_and_written_the_same() {
    let mut runner = TestRunner::deterministic();
    let mut names = BTreeSet::new();
    for (name, pattern) in grammars() {
        names.insert(name);
        let texts = proptest::string::string_regex(&pattern).expect(name);
        for _ in 0..300 {
            let text = texts.new_tree(&mut runner).unwrap().current();
            let read = AttributeValue::read(name, Some(text.as_bytes()));
            let value = read.unwrap_or_else(|at| panic!("a={name}:{text} refused at {at}"));
            assert_ne!(value, AttributeValue::Other, "{name}");
            assert_eq!(value.name(), name);
            let line = written(&value);
            assert_eq!(String::from_utf8(line).unwrap(), format!("{name}:{text}"));
        }
    }
    assert_eq!(names.len(), grammars().len(), "each attribute once");
}

#[test]
fn properties_have_no_value_and_values_are_not_left_out() {
    for name in PROPERTIES {
        let value = AttributeValue::read(name, None).expect(name);
        assert_ne!(value, AttributeValue::Other);
        assert_eq!(written(&value), name.as_bytes());
        assert_eq!(AttributeValue::read(name, Some(b"1")), Err(0), "{name}");
    }
    for (name, _) in grammars() {
        assert_eq!(AttributeValue::read(name, None), Err(0), "{name}");
    }
    let other = AttributeValue::read("x-any", None);
    assert_eq!(other, Ok(AttributeValue::Other));
    assert_eq!(AttributeValue::read("x-any", Some(b"1")), other);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is read, of any text, is written as something that is read as the same.
    #[test]
    fn what_is_written_is_read_as_the_same(
        case in prop::sample::select(grammars()).prop_flat_map(|(name, pattern)| {
            (Just(name), proptest::string::string_regex(&pattern).unwrap())
        }),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let (name, text) = case;
        let mut text = text.into_bytes();
        for (at, byte) in edits {
            let at = at.index(text.len());
            text[at] = byte;
        }
        match AttributeValue::read(name, Some(&text)) {
            Ok(value) => {
                let line = written(&value);
                let (head, tail) = line.split_at(name.len() + 1);
                prop_assert_eq!(head.to_vec(), format!("{name}:").into_bytes());
                prop_assert_eq!(AttributeValue::read(name, Some(tail)), Ok(value));
                let _ = format!("{value:?}");
            }
            Err(at) => prop_assert!(at <= text.len()),
        }
    }
}

/// Each of them breaks one rule, and is refused where it does.
///
/// req: OA-5.1-9, SDP-6.6-1, ICESDP-5.1-5
#[test]
fn malformed_values_are_refused_where_they_are() {
    let cases = [
        ("ptime", "0", 0),
        ("ptime", "020", 0),
        ("ptime", "20.", 3),
        ("framerate", "29.970", 0),
        ("rtpmap", "128 opus/48000", 0),
        ("rtpmap", "0 PCMU/8000/x", 12),
        ("rtpmap", "0 PCMU/8000 ", 11),
        ("fmtp", "96", 2),
        ("rtcp-fb", "96 trr-int", 10),
        ("rtcp-fb", "96 trr-int x", 11),
        ("rtcp-fb", "96 nack ", 8),
        ("extmap", "0 urn:x", 0),
        ("extmap", "1/both urn:x", 2),
        ("rtcp", "9 IN IP4 ::1", 9),
        ("rtcp", "9 IN IP4", 8),
        ("msid", "a b c", 3),
        ("ssrc", "4294967296 cname:x", 0),
        ("ssrc", "1 cname:", 8),
        ("ssrc-group", "FID 1  2", 6),
        ("rid", "a b", 2),
        ("rid", "a both", 2),
        ("rid", "hi send max-width=x", 18),
        ("rid", "hi send pt=", 11),
        ("rid", "hi send depend", 14),
        ("simulcast", "send", 4),
        ("simulcast", "send 1 send 2", 7),
        ("simulcast", "send ~~1", 6),
        ("imageattr", "97", 2),
        ("imageattr", "97 send [x=0,y=1]", 11),
        ("imageattr", "97 send [y=1,x=1]", 9),
        ("imageattr", "97 send * send *", 10),
        ("crypto", "1 AES_CM_128 inline:", 20),
        ("sctpmap", "65536 x", 0),
        ("range", "npt=-", 5),
        ("range", "npt 1-", 3),
        ("remote-candidates", "0 192.0.2.1 9", 0),
        ("remote-candidates", "1 192.0.2.1", 11),
        ("max-message-size", "01", 0),
        ("identity", "***", 0),
        ("quality", "-1", 0),
    ];
    for (name, text, at) in cases {
        assert_eq!(
            AttributeValue::read(name, Some(text.as_bytes())),
            Err(at),
            "a={name}:{text}"
        );
    }
}

/// req: ICESDP-5.1-1, ICESDP-5.1-2
#[test]
fn a_borrowed_candidate_says_what_the_owned_one_says() {
    let text = "1 1 UDP 2122260223 2001:DB8:0::7 9 typ HOST raddr :: rport 0 tcptype so generation 0 empty ";
    let read = AttributeValue::read("candidate", Some(text.as_bytes()));
    let AttributeValue::Candidate(found) = read.unwrap() else {
        panic!()
    };
    assert_eq!(found.transport, CandidateTransport::Udp);
    assert_eq!(found.kind, CandidateType::Host);
    let extensions: Vec<_> = found.extensions().collect();
    assert_eq!(extensions, [("generation", "0"), ("empty", "")]);
    let owned = floe_sdp::ice::Candidate::from(found);
    assert_eq!(format!("candidate:{text}").parse(), Ok(owned.clone()));
    assert_eq!(owned.to_string().into_bytes(), written(&read.unwrap()));
    assert_eq!(
        owned.address,
        CandidateAddress::Ip("2001:db8::7".parse().unwrap())
    );
}

#[test]
fn keys_and_passwords_do_not_print() {
    let secret = "SECRETSECRETSECRETSECRET";
    for (name, text) in [
        ("ice-pwd", secret.to_owned()),
        ("crypto", format!("1 AES_CM_128 inline:{secret}")),
        ("key-mgmt", format!("mikey {secret}")),
    ] {
        let value = AttributeValue::read(name, Some(text.as_bytes())).expect(name);
        assert!(!format!("{value:?}").contains("SECRET"), "{name}");
    }
}

/// req: JSEP-5.8.2-1, SDP-5.14-2
#[test]
fn views_of_values_say_what_stands_there() {
    let read = |name, text: &'static str| AttributeValue::read(name, Some(text.as_bytes()));
    let Ok(AttributeValue::SsrcGroup(group)) = read("ssrc-group", "FID 1 4294967295") else {
        panic!()
    };
    assert_eq!(group.ids().collect::<Vec<_>>(), [1, u32::MAX]);
    let Ok(AttributeValue::Rtcp(rtcp)) = read("rtcp", "53020 IN IP4 192.0.2.7") else {
        panic!()
    };
    let address = rtcp.address.unwrap().address;
    let expected = floe_sdp::Address::Ip("192.0.2.7".parse().unwrap());
    assert_eq!((rtcp.port, address), (53020, expected));
    let Ok(AttributeValue::RemoteCandidates(remote)) =
        read("remote-candidates", "1 192.0.2.3 45664 2 host.example 9")
    else {
        panic!()
    };
    let remote: Vec<_> = remote.iter().collect();
    assert_eq!((remote[1].component, remote[1].port), (2, 9));
    assert_eq!(remote[1].address, CandidateAddress::Name("host.example"));
    let Ok(AttributeValue::Extmap(map)) = read("extmap", "4/sendonly urn:x") else {
        panic!()
    };
    assert_eq!(map.direction, Some(Direction::SendOnly));
    let Ok(AttributeValue::ImageAttr(image)) = read("imageattr", "* recv [x=[8,16],y=4] [x=1,y=2]")
    else {
        panic!()
    };
    assert!(image.send.is_none());
    let sizes: Vec<_> = image.receive.unwrap().sizes().collect();
    assert!(sizes[0].x.contains(16) && !sizes[0].x.contains(12));
    assert_eq!(sizes[1].y, attribute::ImageRange::One(2));
    let Ok(AttributeValue::Fingerprint(fingerprint)) = read(
        "fingerprint",
        "MD5 00:11:22:33:44:55:66:77:88:99:aa:BB:cc:dd:ee:ff",
    ) else {
        panic!()
    };
    assert_eq!(fingerprint.bytes().nth(10), Some(0xAA));
}

//! What real stacks send: refused strictly, read leniently, with a warning at the same place.

use floe_sdp::{AttributeValue, Error, ErrorKind, Limits, Session};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/manner/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// Kind, line and column of all warnings.
fn warnings(session: &Session<'_>) -> Vec<(ErrorKind, u32, u32)> {
    let place = |error: &Error| (error.kind, error.line, error.column);
    session.warnings().iter().map(place).collect()
}

#[test]
fn what_phones_and_cameras_get_wrong_is_a_warning() {
    use ErrorKind::*;
    let cases = [
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=\nt=0 0\n",
            vec![(EmptyValue, 3, 3)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\nt=0 0\n",
            vec![(MissingLine('s'), 3, 1)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\n",
            vec![(MissingLine('t'), 4, 1)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0",
            vec![(UnterminatedLine, 4, 6)],
        ),
        (
            "v=0\ro=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n",
            vec![(BareCr, 1, 4)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\n\nt=0 0\n",
            vec![(NotALine, 4, 1)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\nt=0 0\ns=-\n",
            vec![(MissingLine('s'), 3, 1), (OutOfOrder, 4, 1)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0 \ns=-\nt=0 0\n",
            vec![(StrayBlank, 2, 23)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt= 0 0\n",
            vec![(StrayBlank, 4, 3)],
        ),
        (
            " v = 0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n",
            vec![(StrayBlank, 1, 1), (StrayBlank, 1, 5)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\ny=1\n",
            vec![(UnknownType, 5, 1)],
        ),
        (
            "v=0\no=cam x 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n",
            vec![(Origin, 2, 7)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=audio 9 RTP/AVP 0 \n",
            vec![(MissingConnection, 5, 1), (StrayBlank, 5, 20)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nb=AS:x\nt=0 0\n",
            vec![(Bandwidth, 4, 6)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=:x\n",
            vec![(Attribute, 5, 3)],
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=sendonly\na=recvonly\n",
            vec![(DuplicateDirection, 6, 1)],
        ),
    ];
    for (text, expected) in cases {
        let strict = Session::parse(text.as_bytes()).expect_err(text);
        let session = Session::parse_lenient(text.as_bytes());
        let session = session.unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert_eq!(warnings(&session), expected, "{text:?}");
        assert_eq!(strict.line, expected[0].1, "the same line: {text:?}");
        assert_eq!(session.to_bytes(), text.as_bytes());
    }
}

#[test]
fn what_cannot_be_meant_is_an_error_still() {
    let after = |text: &str| format!("{HEAD}{text}");
    for (text, kind) in [
        (String::new(), ErrorKind::MissingLine('v')),
        ("\r\n\r\n".into(), ErrorKind::MissingLine('v')),
        ("v=1\r\n".into(), ErrorKind::Version),
        (after("a=x\0y\r\n"), ErrorKind::ForbiddenByte),
        (after("m=audio RTP/AVP 0\r\n"), ErrorKind::Media),
        (after("m=\r\n"), ErrorKind::EmptyValue),
    ] {
        let error = Session::parse_lenient(text.as_bytes()).expect_err(&text);
        assert_eq!(error.kind, kind, "{text:?}");
    }
    let narrow = Limits {
        max_lines: 3,
        ..Limits::DEFAULT
    };
    let error = Session::parse_lenient_with(HEAD.as_bytes(), &narrow).unwrap_err();
    assert_eq!((error.kind, error.line), (ErrorKind::TooManyLines, 4));
}

/// Each file of that name is refused strictly, and means the same as what it should have been.
#[test]
fn real_stacks_are_understood() {
    let text = file("lenient-camera-lf.sdp");
    assert!(Session::parse(&text).is_err());
    let camera = Session::parse_lenient(&text).unwrap();
    let media = camera.media().next().unwrap();
    assert_eq!(media.line().formats().collect::<Vec<_>>(), ["96"]);
    let Ok(AttributeValue::Rtpmap(map)) = media.attribute("rtpmap").unwrap().value() else {
        panic!()
    };
    assert_eq!((map.payload_type, map.encoding), (96, "H264"));

    let text = file("lenient-phone-no-time.sdp");
    let phone = Session::parse_lenient(&text).unwrap();
    assert_eq!(phone.origin().unwrap().username, b"phone");
    assert_eq!(
        phone.media().next().unwrap().connection(),
        phone.connection()
    );

    let text = file("lenient-old-stack-cr.sdp");
    let old = Session::parse_lenient(&text).unwrap();
    assert_eq!(old.lines().len(), 6);
    assert_eq!(old.media().next().unwrap().line().port, 5006);

    let text = file("lenient-unterminated.sdp");
    let live = Session::parse_lenient(&text).unwrap();
    let media = live.media().next().unwrap();
    let control = media.attribute("control").unwrap().value();
    assert_eq!(control, Ok(AttributeValue::Control("streamid=1")));
    assert!(media.lines().any(|line| line.letter() == b'x'), "kept");
}

/// Descriptions in the manner of browsers, phones and cameras, and every value in them.
///
/// req: JSEP-5.8.2-1, SDP-5.13-3
#[test]
fn good_descriptions_have_no_warning_and_all_values_are_read() {
    for name in [
        "camera-rtsp-describe.sdp",
        "firefox-offer.sdp",
        "multicast-session.sdp",
        "safari-offer.sdp",
        "sip-phone-offer.sdp",
        "sip-phone-srtp-hold.sdp",
        "videoconference-h323-gateway.sdp",
    ] {
        let text = file(name);
        let session = Session::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        for line in session.lines() {
            let field = line.field();
            // The camera writes a frame rate that the grammar has no room for.
            let camera = name.starts_with("camera") && line.value().starts_with(b"framerate");
            assert_eq!(field.is_err(), camera, "{name} {line:?}: {field:?}");
        }
        assert_eq!(Session::parse_lenient(&text).unwrap().warnings(), []);
    }
}

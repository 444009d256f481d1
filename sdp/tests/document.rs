//! The document: what is read, what is refused and where, and that nothing is lost.

use floe_sdp::{AttributeValue, Direction, ErrorKind, Limits, Session};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";

fn refused(text: &str) -> (ErrorKind, u32, u32) {
    let error = Session::parse(text.as_bytes()).expect_err(text);
    let line_start: usize = text
        .split_inclusive('\n')
        .take(error.line as usize - 1)
        .map(str::len)
        .sum();
    assert_eq!(
        error.offset,
        line_start + error.column as usize - 1,
        "offset and column agree: {text}"
    );
    (error.kind, error.line, error.column)
}

fn accepted(text: &str) {
    let session = Session::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(session.to_bytes(), text.as_bytes());
}

/// All kinds of lines in their order, with both line ends and unknown attributes.
///
/// req: SDP-5-3, SDP-5-4, SDP-5.8-1, SDP-5.13-2, SDP-5.9-1, SDP-5.14-5
#[test]
fn every_line_type_in_order_is_read_and_printed_as_it_was() {
    let text = "v=0\no=jd\u{e9} 2890844526 2890842807 IN IP4 host.example\r\ns= \ni=info\nu=http://a.example/x?y\n\
                e=j@a.example (Jane)\ne=Jane <j@a.example>\np=+1 617-555 (Jane)\np=Jane <+1 617>\n\
                c=IN IP4 233.252.0.1/127\nb=X-YZ:128\nb=AS:64\nt=3034423619 3042462419\nr=7d 1h 0 25h\n\
                z=2882844526 -1h 2898848070 0\nt=0 0\nk=prompt\na=x-unknown:\u{1}\u{ff}\na=recvonly\n\
                m=audio 49170/2 RTP/AVP 0 8\ni=x\nc=IN IP4 233.252.0.1/127/3\nc=IN IP6 ff15::101/3\nb=AS:1\n\
                k=clear:x\na=x\nm=text 0 TCP/X y\n";
    accepted(text);
    let session = Session::parse(text.as_bytes()).unwrap();
    let media: Vec<_> = session.media().collect();
    assert_eq!(media.len(), 2);
    assert_eq!(
        (media[0].line().port, media[0].line().port_count),
        (49170, 2)
    );
    assert_eq!(media[0].line().formats().collect::<Vec<_>>(), ["0", "8"]);
    assert_eq!(session.name(), b" ");
}

/// req: SDP-5.7-8, SDP-5.7-2, SDP-5-11, SDP-6.7-3
#[test]
fn sections_inherit_from_the_session_what_they_do_not_say() {
    let text = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\na=recvonly\n\
                m=audio 9 RTP/AVP 0\nm=audio 9 RTP/AVP 0\nc=IN IP4 233.252.0.1/1/5\na=sendonly\n";
    let session = Session::parse(text.as_bytes()).unwrap();
    let media: Vec<_> = session.media().collect();
    assert_eq!(media[0].connection(), session.connection());
    assert_eq!(
        media[1]
            .connection()
            .map(|connection| (connection.ttl, connection.count)),
        Some((Some(1), 5))
    );
    assert_eq!(
        media[0]
            .inherited("recvonly")
            .map(|found| found.line().number()),
        Some(6)
    );
    assert!(media[0].attribute("recvonly").is_none());
    assert_eq!(
        media[1].attribute("sendonly").unwrap().value(),
        Ok(AttributeValue::Direction(Direction::SendOnly))
    );
}

/// req: SDP-5-9, SDP-5-2, SDP-5-10, SDP-5.1-1, SDP-5.3-2, SDP-5.3-1
#[test]
fn malformed_texts_are_refused_with_rule_and_place() {
    let after = |text: &str| format!("{HEAD}{text}");
    let cases = [
        (String::new(), ErrorKind::MissingLine('v'), 1, 1),
        (
            "o=- 1 1 IN IP4 0.0.0.0\n".into(),
            ErrorKind::MissingLine('v'),
            1,
            1,
        ),
        ("v=1\n".into(), ErrorKind::Version, 1, 3),
        ("v=00\n".into(), ErrorKind::Version, 1, 4),
        ("V=0\n".into(), ErrorKind::UnknownType, 1, 1),
        ("v =0\n".into(), ErrorKind::NotALine, 1, 2),
        ("v=0\ns=-\n".into(), ErrorKind::MissingLine('o'), 2, 1),
        ("v=0\nv=0\n".into(), ErrorKind::OutOfOrder, 2, 1),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\nt=0 0\n".into(),
            ErrorKind::MissingLine('s'),
            3,
            1,
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=\n".into(),
            ErrorKind::EmptyValue,
            3,
            3,
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\n".into(),
            ErrorKind::MissingLine('t'),
            4,
            1,
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\na=x\n".into(),
            ErrorKind::MissingLine('t'),
            4,
            1,
        ),
        (
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\ns=-\n".into(),
            ErrorKind::OutOfOrder,
            4,
            1,
        ),
        (
            "v=0\no=- x 1 IN IP4 0.0.0.0\n".into(),
            ErrorKind::Origin,
            2,
            5,
        ),
        ("v=0\no=- 1 1 IN IP4 ::1\n".into(), ErrorKind::Origin, 2, 16),
        (after("x=1\n"), ErrorKind::UnknownType, 5, 1),
        (after("a=x"), ErrorKind::UnterminatedLine, 5, 4),
        (after("\n"), ErrorKind::NotALine, 5, 1),
        (after("a=\n"), ErrorKind::EmptyValue, 5, 3),
        (after("a=x\ry\n"), ErrorKind::ForbiddenByte, 5, 4),
        (after("a=x\0y\n"), ErrorKind::ForbiddenByte, 5, 4),
        (after("s=-\n"), ErrorKind::OutOfOrder, 5, 1),
        (after("i=late\n"), ErrorKind::OutOfOrder, 5, 1),
        (after("a=x\nt=0 0\n"), ErrorKind::OutOfOrder, 6, 1),
        (after("z=0 0\n"), ErrorKind::OutOfOrder, 5, 1),
        (
            after("m=audio 9 RTP/AVP 0\n"),
            ErrorKind::MissingConnection,
            5,
            1,
        ),
        (after("m=audio 9 RTP/AVP\n"), ErrorKind::Media, 5, 18),
        (after("m=audio 65536 RTP/AVP 0\n"), ErrorKind::Media, 5, 9),
        (
            after("m=audio 9 RTP/AVP 0\nc=IN IP4 192.0.2.1\ni=x\n"),
            ErrorKind::OutOfOrder,
            7,
            1,
        ),
        (
            after("m=audio 9 RTP/AVP 0\nt=0 0\n"),
            ErrorKind::OutOfOrder,
            6,
            1,
        ),
    ];
    for (text, kind, line, column) in cases {
        assert_eq!(refused(&text), (kind, line, column), "{text:?}");
    }
}

/// req: SDP-5.13-4
#[test]
fn an_attribute_with_a_colon_needs_a_value() {
    assert_eq!(
        refused(&format!("{HEAD}a=flag:\n")),
        (ErrorKind::Attribute, 5, 7)
    );
    assert_eq!(
        refused(&format!("{HEAD}a=b d\n")),
        (ErrorKind::Attribute, 5, 4)
    );
}

/// req: SDP-5.4-1, SDP-5.5-1, SDP-5.6-1, SDP-6.7-1
#[test]
fn what_may_stand_once_is_refused_twice() {
    let start = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\n";
    assert_eq!(
        refused(&format!("{start}i=a\ni=b\nt=0 0\n")),
        (ErrorKind::OutOfOrder, 5, 1)
    );
    assert_eq!(
        refused(&format!("{start}u=a\nu=b\nt=0 0\n")),
        (ErrorKind::OutOfOrder, 5, 1)
    );
    let section = "c=IN IP4 192.0.2.1\nt=0 0\nm=audio 9 RTP/AVP 0\n";
    assert_eq!(
        refused(&format!("{start}{section}e=a@b\n")),
        (ErrorKind::OutOfOrder, 7, 1)
    );
    let text = format!("{start}{section}a=sendonly\na=recvonly\n");
    assert_eq!(refused(&text), (ErrorKind::DuplicateDirection, 8, 1));
    accepted(&format!(
        "{start}{section}a=sendonly\nm=audio 9 RTP/AVP 0\na=recvonly\n"
    ));
}

/// req: SDP-5.7-3, SDP-5.7-4, SDP-5.7-6, SDP-5.7-7, SDP-5.7-1
#[test]
fn connection_addresses_follow_the_rules_of_multicast() {
    let section = |value: &str| format!("{HEAD}m=audio 9 RTP/AVP 0\nc={value}\n");
    for good in [
        "IN IP4 192.0.2.1",
        "IN IP4 233.252.0.1/127",
        "IN IP4 233.252.0.1/0/3",
        "IN IP6 ff15::1",
        "IN IP6 ff15::1/3",
        "IN IP6 2001:db8::1",
        "IN IP4 h",
        "X Y anything",
    ] {
        accepted(&section(good));
    }
    for bad in [
        "IN IP4 192.0.2.1/3",
        "IN IP4 233.252.0.1",
        "IN IP4 233.252.0.1/256",
        "IN IP4 233.252.0.1/1/0",
        "IN IP4 2001:db8::1",
        "IN IP6 ff15::1/127/3",
        "IN IP6 2001:db8::1/3",
    ] {
        assert_eq!(refused(&section(bad)).0, ErrorKind::Connection, "{bad}");
    }
    let session = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 233.252.0.1/1/2\nt=0 0\n";
    assert_eq!(refused(session).0, ErrorKind::Connection);
}

/// req: SDP-5.2-5
#[test]
fn ids_of_any_length_are_kept() {
    let text =
        "v=0\no=- 1234567890123456789012345 9999999999999999999999999 IN IP4 0.0.0.0\ns=-\nt=0 0\n";
    let session = Session::parse(text.as_bytes()).unwrap();
    assert_eq!(
        session.origin().unwrap().session_id,
        "1234567890123456789012345"
    );
}

#[test]
fn limits_hold_at_their_value_and_not_beyond() {
    let text = format!("{HEAD}m=a 9 b c\r\nc=IN IP4 192.0.2.1\r\n");
    let exact = Limits {
        max_bytes: text.len(),
        max_lines: 6,
        max_media: 1,
        ..Limits::DEFAULT
    };
    assert!(Session::parse_with(text.as_bytes(), &exact).is_ok());
    let kind = |limits| {
        Session::parse_with(text.as_bytes(), &limits)
            .unwrap_err()
            .kind
    };
    assert_eq!(
        kind(Limits {
            max_bytes: text.len() - 1,
            ..exact
        }),
        ErrorKind::TooLong
    );
    assert_eq!(
        kind(Limits {
            max_lines: 5,
            ..exact
        }),
        ErrorKind::TooManyLines
    );
    assert_eq!(
        kind(Limits {
            max_media: 0,
            ..exact
        }),
        ErrorKind::TooManyMedia
    );
}

#[test]
fn debug_of_a_document_shows_no_password() {
    let text = format!("{HEAD}a=ice-pwd:0123456789abcdefSECRET\r\n");
    let session = Session::parse(text.as_bytes()).unwrap();
    let attribute = session.attribute("ice-pwd").unwrap();
    let shown = format!(
        "{session:?} {attribute:?} {:?} {:?}",
        attribute.line(),
        attribute.value()
    );
    assert!(!shown.contains("SECRET"), "{shown}");
}

/// Values that the grammar of their attribute refuses are refused when asked for, and only then.
///
/// req: ICESDP-5.4-1, ICESDP-5.4-6, ICESDP-5.5-1, SDP-6.6-1, GROUP-5-1
#[test]
fn attribute_values_are_read_by_their_own_grammar() {
    let long = "u".repeat(256);
    let good = [
        "ice-ufrag:abcd".to_string(),
        format!("ice-ufrag:{long}"),
        "ice-pwd:0123456789012345678901".into(),
        "ice-pacing:0".into(),
        "ice-pacing:9999999999".into(),
        "rtpmap:111 opus/48000/2".into(),
        "rtpmap:0 PCMU/8000".into(),
        "group:BUNDLE".into(),
        "group:LS a b".into(),
        "extmap:1/sendonly urn:x a b".into(),
        "sctp-port:0".into(),
        "setup:actpass".into(),
        "tls-id:abc3de65cddef001be82".into(),
    ];
    let bad = [
        "ice-ufrag:abc".to_string(),
        format!("ice-ufrag:{long}u"),
        "ice-ufrag:ab-d".into(),
        "ice-ufrag".into(),
        "ice-pwd:012345678901234567890".into(),
        "ice-pacing:10000000000".into(),
        "ice-lite:yes".into(),
        "rtpmap:128 opus/48000/2".into(),
        "rtpmap:111 opus".into(),
        "rtpmap:111 opus/0".into(),
        "group:BUNDLE  a".into(),
        "extmap:0 urn:x".into(),
        "sctp-port:05".into(),
        "sctp-port:65536".into(),
        "setup:maybe".into(),
        "tls-id:short".into(),
        "fingerprint:sha-256 00:11".into(),
    ];
    let value_of = |attribute: &str| {
        let text = format!("{HEAD}a={attribute}\n");
        let session = Session::parse(text.as_bytes()).expect(attribute);
        let value = session.attributes().next().unwrap().value();
        value.map(|value| value != AttributeValue::Other)
    };
    for attribute in good {
        assert_eq!(value_of(&attribute), Ok(true), "{attribute}");
    }
    for attribute in bad {
        let error = value_of(&attribute).expect_err(&attribute);
        assert_eq!(
            (error.kind, error.line),
            (ErrorKind::AttributeValue, 5),
            "{attribute}"
        );
        assert!(
            error.column > 3 && error.column as usize <= attribute.len() + 3,
            "{attribute}: {error}"
        );
    }
    assert_eq!(value_of("x-new:thing"), Ok(false));
}

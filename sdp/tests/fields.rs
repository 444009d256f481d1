//! The lines of a description, read and written; building and editing.

use std::net::{IpAddr, Ipv4Addr};

use floe_sdp::{
    Address, AttributeValue, BandwidthKind, Builder, Connection, ErrorKind, Field, Level,
    MediaLine, Origin, Password, Session, SessionBuf, Setup, Time,
};

const TEXT: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\na=mid:0\r\na=x-keep:  as it is \r\n\
    m=video 9 RTP/AVP 31\r\nc=IN IP4 192.0.2.1\r\na=mid:1\r\n";

fn multicast() -> Vec<u8> {
    std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/manner/multicast-session.sdp"
    ))
    .unwrap()
}

fn origin() -> Origin<'static> {
    Origin {
        username: b"-",
        session_id: "4711",
        session_version: "1",
        network: "IN",
        address_type: "IP4",
        address: Address::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    }
}

fn connection() -> Connection<'static> {
    Connection {
        network: "IN",
        address_type: "IP4",
        address: Address::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        ttl: None,
        count: 1,
    }
}

/// req: SDP-5.10-1, SDP-5.11-1, SDP-5.8-4, SDP-5.14-1, SDP-5.14-9, SDP-5.7-5
#[test]
fn times_bandwidths_and_ports_mean_what_the_rfc_says() {
    let text = multicast();
    let session = Session::parse(&text).unwrap();
    let fields: Vec<_> = session.lines().map(|line| line.field().unwrap()).collect();
    let time = fields
        .iter()
        .position(|field| matches!(field, Field::Time(_)))
        .unwrap();
    let Field::Repeat(repeat) = fields[time + 1] else {
        panic!()
    };
    assert_eq!((repeat.interval(), repeat.duration()), (604_800, 3_600));
    assert_eq!(repeat.offsets().collect::<Vec<_>>(), [0, 90_000]);
    let Field::Zone(zone) = fields[time + 2] else {
        panic!()
    };
    assert_eq!(
        zone.adjustments().collect::<Vec<_>>(),
        [(3_034_500_000, -3_600), (3_040_000_000, 0)]
    );
    let video = session.media_at(1).unwrap();
    let line = video.line();
    assert_eq!(
        (line.media, line.port, line.port_count),
        ("video", 51372, 2)
    );
    assert_eq!(line.rtp_ports().collect::<Vec<_>>(), [51372, 51374]);
    assert_eq!(line.protocol, "RTP/AVP");
    let addresses: Vec<_> = video.connection().unwrap().addresses().collect();
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[1].to_string(), "233.252.0.2");
    let text = format!("{TEXT}b=CT:128\r\n").replace(
        "c=IN IP4 192.0.2.1\r\n",
        "c=IN IP4 192.0.2.1\r\nb=AS:64\r\n",
    );
    let text = text.replace("b=CT:128\r\n", "");
    let session = Session::parse(text.as_bytes()).unwrap();
    let line = session.lines().find(|line| line.letter() == b'b').unwrap();
    let Field::Bandwidth(bandwidth) = line.field().unwrap() else {
        panic!()
    };
    assert_eq!(
        (bandwidth.kind, bandwidth.number()),
        (BandwidthKind::Application, Some(64))
    );
}

/// req: SDP-5.6-3, JSEP-5.8-1
#[test]
fn names_of_contacts_stand_in_brackets() {
    let with = |line: &str| format!("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\n{line}\nt=0 0\n");
    for good in [
        "e=j@a.example",
        "e=j@a.example (Jane)",
        "e=Jane <j@a.example>",
        "p=+1 617 555-6011",
        "p=+44 20 (Jane)",
        "p=Jane <+44 20>",
    ] {
        assert!(Session::parse(with(good).as_bytes()).is_ok(), "{good}");
    }
    for (bad, column) in [
        ("e=j@a.example Jane", 15),
        ("e=j@a.example(Jane)", 14),
        ("e=Jane j@a.example", 7),
        ("p=617x", 6),
        ("p=Jane <x>", 9),
    ] {
        let error = Session::parse(with(bad).as_bytes()).expect_err(bad);
        assert_eq!((error.line, error.column), (4, column), "{bad}");
    }
}

/// `k=` is read past and never written; Debug of what it says shows nothing.
///
/// req: SDP-5.12-1, SDP-5.12-2
#[test]
fn keys_are_discarded_and_never_written() {
    let text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nk=clear:SECRET\r\n";
    let session = Session::parse(text.as_bytes()).unwrap();
    let line = session.lines().last().unwrap();
    assert_eq!(line.field(), Ok(Field::Key));
    assert!(!format!("{line:?} {:?}", line.field()).contains("SECRET"));
    let mut builder = Builder::new();
    builder
        .push(origin())
        .unwrap()
        .push(Field::Name(b"-"))
        .unwrap();
    builder.push(Time::PERMANENT).unwrap();
    assert_eq!(builder.push(Field::Key).unwrap_err().kind, ErrorKind::Key);
    let mut document = SessionBuf::parse(TEXT).unwrap();
    assert_eq!(
        document.insert_line(5, Field::Key).unwrap_err().kind,
        ErrorKind::Key
    );
}

/// req: SDP-5-1, SDP-5.2-1, SDP-5.3-3, SDP-5.13-1, SDP-6.10-3, SDP-5-8
#[test]
fn a_builder_refuses_what_would_be_malformed_and_goes_on() {
    let mut sdp = Builder::new();
    let named = Origin {
        username: b"a b",
        ..origin()
    };
    assert_eq!(sdp.push(named).unwrap_err().kind, ErrorKind::Origin);
    let early = sdp.push(Time::PERMANENT).unwrap_err();
    assert_eq!((early.kind, early.line), (ErrorKind::MissingLine('o'), 2));
    sdp.push(origin()).unwrap();
    assert_eq!(
        sdp.push(Field::Name(b"")).unwrap_err().kind,
        ErrorKind::EmptyValue
    );
    for bad in [b"a\rb".as_slice(), b"a\nb", b"a\0b", b"a\r\nk=b"] {
        let error = sdp.push(Field::Name(bad)).unwrap_err();
        assert_eq!(
            (error.kind, error.line, error.column),
            (ErrorKind::ForbiddenByte, 3, 4)
        );
    }
    sdp.push(Field::Name("Eisscholle \u{2744}".as_bytes()))
        .unwrap();
    sdp.push(Time::PERMANENT).unwrap();
    let name = Field::Generic("not a token", None);
    assert_eq!(sdp.push(name).unwrap_err().kind, ErrorKind::Attribute);
    let empty = sdp.push(AttributeValue::Mid("")).unwrap_err();
    assert_eq!((empty.kind, empty.column), (ErrorKind::Attribute, 6));
    sdp.push(AttributeValue::IceLite).unwrap();
    sdp.push(MediaLine::new("audio", 9, "RTP/AVP", "0"))
        .unwrap();
    let error = sdp.push(AttributeValue::Mid("0")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::MissingConnection);
    sdp.push(connection())
        .unwrap()
        .push(AttributeValue::Mid("0"))
        .unwrap();
    let text = sdp.finish().unwrap();
    let session = Session::parse(&text).unwrap();
    assert_eq!(session.name(), "Eisscholle \u{2744}".as_bytes());
    let mut unfinished = Builder::new();
    unfinished.push(origin()).unwrap();
    assert_eq!(
        unfinished.finish().unwrap_err().kind,
        ErrorKind::MissingLine('s')
    );
}

#[test]
fn edits_leave_every_other_line_as_it_is() {
    let mut sdp = SessionBuf::parse(TEXT.replace("\r\nm=video", "\nm=video")).unwrap();
    let before = sdp.clone();
    sdp.set_attribute(Level::Media(0), AttributeValue::Mid("a"))
        .unwrap();
    sdp.set_attribute(Level::Media(1), AttributeValue::Setup(Setup::Active))
        .unwrap();
    sdp.add_attribute(Level::Media(0), AttributeValue::RtcpMux)
        .unwrap();
    sdp.insert_line(5, AttributeValue::IceLite).unwrap();
    assert_eq!(sdp.remove_attributes(Level::Session, "group").unwrap(), 1);
    let expected = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n\
        m=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\na=mid:a\r\na=x-keep:  as it is \na=rtcp-mux\n\
        m=video 9 RTP/AVP 31\r\nc=IN IP4 192.0.2.1\r\na=mid:1\r\na=setup:active\r\n";
    assert_eq!(std::str::from_utf8(sdp.as_bytes()).unwrap(), expected);
    assert_ne!(sdp, before);
}

#[test]
fn refused_edits_change_nothing() {
    let mut sdp = SessionBuf::parse(TEXT).unwrap();
    let before = sdp.clone();
    let pwd = "0123456789012345678901\r\na=evil";
    let refused = [
        sdp.set_attribute(Level::Session, Field::Generic("x", Some(b"a\nb"))),
        sdp.set_attribute(Level::Session, Field::Generic("x", Some(b"a\0b"))),
        sdp.set_attribute(Level::Media(0), AttributeValue::IcePwd(Password::new(pwd))),
        sdp.set_attribute(Level::Media(0), AttributeValue::IceUfrag("abc")),
        sdp.set_attribute(Level::Media(2), AttributeValue::IceLite),
        sdp.set_line(1, AttributeValue::IceLite),
        sdp.remove_line(2),
        sdp.remove_line(99),
        sdp.insert_line(3, Time::PERMANENT),
        sdp.insert_section(1, b"a=no section\r\n"),
        sdp.insert_section(3, b"m=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"),
        sdp.replace_section(0, b"m=audio 9 RTP/AVP 0\r\n"),
        sdp.replace_section(0, b""),
    ];
    for (number, result) in refused.iter().enumerate() {
        assert!(result.is_err(), "edit {number}");
    }
    assert_eq!(sdp, before);
}

#[test]
fn sections_are_put_in_replaced_and_taken_away() {
    let mut sdp = SessionBuf::parse(TEXT).unwrap();
    let section = b"m=text 9 RTP/AVP 98\r\nc=IN IP4 192.0.2.9\r\n";
    let media = |sdp: &SessionBuf| {
        let names = sdp
            .session()
            .media()
            .map(|media| media.line().media.to_owned())
            .collect::<Vec<_>>();
        names.join(" ")
    };
    sdp.insert_section(0, section).unwrap();
    assert_eq!(media(&sdp), "text audio video");
    sdp.replace_section(1, section).unwrap();
    assert_eq!(media(&sdp), "text text video");
    sdp.insert_section(3, section).unwrap();
    assert_eq!(media(&sdp), "text text video text");
    sdp.remove_section(2).unwrap();
    assert_eq!(media(&sdp), "text text text");
}

/// req: SDP-6.10-1, SDP-6.10-2, SDP-5-5, SDP-6.1-1, SDP-5.13-3
#[test]
fn text_of_any_character_set_is_kept_as_bytes() {
    let text = b"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=\xe9t\xe9\nt=0 0\na=charset:iso-8859-1\na=cat:x\na=keywds:y\n";
    let session = Session::parse(text).unwrap();
    assert_eq!(session.name(), b"\xe9t\xe9");
    let charset = session.attribute("charset").unwrap().value();
    assert_eq!(charset, Ok(AttributeValue::Charset("iso-8859-1")));
    assert_eq!(
        session.attribute("cat").unwrap().value(),
        Ok(AttributeValue::Other)
    );
    assert_eq!(session.to_bytes(), text);
}

//! A megabyte that wants to be expensive: refused within the limits, linear without them.

use std::time::{Duration, Instant};

use floe_sdp::{ErrorKind, Limits, Session, SessionBuf};

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n";
const SECTION: &str = "m=audio 9 RTP/AVP 0\r\n";

/// What a test that is not linear is not done in: quadratic work on these would take minutes.
const LONG: Duration = Duration::from_secs(10);

fn hostile() -> [(&'static str, String, ErrorKind); 5] {
    [
        (
            "a section with 100,000 attributes",
            format!("{HEAD}{SECTION}{}", "a=sendxxxx\r\n".repeat(100_000)),
            ErrorKind::TooManyAttributes,
        ),
        (
            "one line of a megabyte",
            format!("{HEAD}a=x:{}\r\n", "y ".repeat(500_000)),
            ErrorKind::LineTooLong,
        ),
        (
            "100,000 sections",
            format!("{HEAD}{}", SECTION.repeat(100_000)),
            ErrorKind::TooManyMedia,
        ),
        (
            "20,000 candidates",
            format!(
                "{HEAD}{SECTION}{}",
                "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n".repeat(20_000)
            ),
            ErrorKind::TooManyCandidates,
        ),
        (
            "a section with 300,000 formats",
            format!("{HEAD}m=audio 9 RTP/AVP{}\r\n", " 0".repeat(300_000)),
            ErrorKind::TooManyFormats,
        ),
    ]
}

/// req: SDP-7-1
#[test]
fn a_megabyte_is_refused_by_its_size_and_by_what_there_is_too_much_of() {
    for (name, text, kind) in hostile() {
        let error = Session::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLong, "{name}");
        assert_eq!(error.offset, Limits::DEFAULT.max_bytes, "{name}");
        let of_any_size = Limits {
            max_bytes: usize::MAX,
            max_lines: usize::MAX,
            max_line_bytes: match kind {
                ErrorKind::TooManyFormats => usize::MAX,
                _ => Limits::DEFAULT.max_line_bytes,
            },
            ..Limits::DEFAULT
        };
        for lenient in [false, true] {
            let result = if lenient {
                Session::parse_lenient_with(text.as_bytes(), &of_any_size)
            } else {
                Session::parse_with(text.as_bytes(), &of_any_size)
            };
            let error = result.expect_err(name);
            assert_eq!(error.kind, kind, "{name}");
            assert!(
                error.offset < text.len() && error.line > 5,
                "{name}: {error}"
            );
        }
    }
}

/// req: SDP-7-1
#[test]
fn without_limits_a_megabyte_is_read_in_linear_time() {
    for (name, text, _) in hostile() {
        let start = Instant::now();
        for lenient in [false, true] {
            let session = if lenient {
                Session::parse_lenient_with(text.as_bytes(), &Limits::NONE)
            } else {
                Session::parse_with(text.as_bytes(), &Limits::NONE)
            };
            let session = session.unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut values = 0;
            for media in session.media() {
                values += media
                    .attributes()
                    .filter(|found| found.value().is_ok())
                    .count();
                assert!(media.connection().is_some());
            }
            assert!(values <= 100_000);
            let mut kept = session.to_buf();
            assert_eq!(kept.as_bytes().len(), text.len());
            kept.remove_line(4).unwrap_or_else(|error| {
                assert_eq!(error.kind, ErrorKind::MissingConnection, "{name}");
            });
        }
        let mut document = SessionBuf::parse_with(text.as_bytes(), &Limits::NONE).unwrap();
        document
            .insert_line(6, floe_sdp::Field::Generic("x", None))
            .unwrap();
        assert!(start.elapsed() < LONG, "{name} took {:?}", start.elapsed());
    }
}

/// Every line wrong: as many warnings as lines, and no more work.
#[test]
fn warnings_are_as_many_as_mistakes() {
    let text = format!("{HEAD}{}", "nonsense\n".repeat(100_000));
    let start = Instant::now();
    let session = Session::parse_lenient_with(text.as_bytes(), &Limits::NONE).unwrap();
    assert_eq!(session.warnings().len(), 100_000);
    assert!(start.elapsed() < LONG);
    let shown = session.warnings()[99_999]
        .render(text.as_bytes())
        .to_string();
    assert!(shown.lines().count() == 4 && shown.len() < 200, "{shown}");
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let text = format!("{HEAD}m=audio 9 RTP/AVP {}\u{e9} 0\r\n", "a".repeat(2_000));
    let error = Session::parse(text.as_bytes()).unwrap_err();
    let shown = error.render(text.as_bytes()).to_string();
    let lines: Vec<_> = shown.lines().collect();
    let caret = lines[3].chars().position(|char| char == '^').unwrap();
    assert_eq!(lines[2].chars().nth(caret), Some('\u{e9}'), "{shown}");
    assert!(lines[2].chars().count() < 130 && lines[2].contains("| …a"));
}

//! `floe stun decode`: what it prints of good messages, of bad ones, and of what is no message.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{floe, printed, refused, stderr, stdout};
use floe_stun::{
    AttributeType, Builder, Class, Data, MAGIC_COOKIE, MessageType, Method, Software,
    TransactionId, UseCandidate,
};
use proptest::prelude::*;
use serde_json::Value;

/// Decodes hex digits from the command line.
fn decode(bytes: &[u8], options: &[&str]) -> Output {
    let hex = hex(bytes);
    let mut args = vec!["stun", "decode", hex.as_str()];
    args.extend(options);
    floe(&args)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What is printed, and the exit status.
fn text(bytes: &[u8]) -> (String, Option<i32>) {
    let output = decode(bytes, &[]);
    assert_eq!(stderr(&output), "");
    (stdout(&output).to_owned(), output.status.code())
}

fn json(bytes: &[u8], options: &[&str]) -> (Value, Option<i32>) {
    let output = decode(bytes, &[options, &["--format", "json"]].concat());
    let json = serde_json::from_slice(&output.stdout).unwrap();
    (json, output.status.code())
}

/// Decodes what standard input says.
fn decode_stdin(bytes: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_floe"))
        .args(["stun", "decode", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || {
        // Who refuses need not read all.
        let _ = stdin.write_all(&bytes);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn build(fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let builder = Builder::new(&mut buffer, kind, TransactionId([7; 12]));
    let len = fill(builder).finish().unwrap();
    buffer.truncate(len);
    buffer
}

/// Binding request with SOFTWARE at byte 20 and FINGERPRINT at byte 28.
fn sample() -> Vec<u8> {
    build(|builder| builder.with(&Software("floe")).with_fingerprint())
}

/// A directory of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("floe-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The files of `tests/decode` are what a terminal shows: the command, what it prints, its exit status.
/// With `FLOE_BLESS=1` they are written anew.
#[test]
fn transcripts_are_what_the_command_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decode");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let expected = fs::read_to_string(&path).unwrap();
        let command = expected.lines().next().unwrap();
        let args = command.strip_prefix("$ floe ").expect("a command first");
        let output = floe(&args.split_whitespace().collect::<Vec<_>>());
        let status = output.status.code().unwrap();
        let found = format!(
            "{command}\n{}{}[exit status {status}]\n",
            stdout(&output),
            stderr(&output)
        );
        if std::env::var_os("FLOE_BLESS").is_some() {
            fs::write(&path, found).unwrap();
        } else {
            assert_eq!(found, expected, "{}", path.display());
        }
        count += 1;
    }
    assert!(count >= 12, "{count} transcripts");
}

/// RFC 5769 and what was derived from it: every vector with its credentials.
#[test]
fn the_vectors_are_verified() {
    let vectors = include_str!("../../stun/tests/data/stun_messages.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    for vector in vectors["vectors"].as_array().unwrap() {
        let id = vector["id"].as_str().unwrap();
        let credentials = &vector["credentials"];
        let said = |name: &str| credentials[name].as_str();
        let password = said("password_prepared").or(said("password")).unwrap();
        let mut args = vec!["stun", "decode", vector["hex"].as_str().unwrap()];
        args.extend(["--format", "json", "--password", password]);
        if said("mechanism") == Some("long-term") {
            args.extend(["--user", said("username").unwrap()]);
            args.extend(["--realm", said("realm").unwrap()]);
        }
        let output = floe(&args);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        // Its length field is wrong: see erratum 6268.
        let whole = id != "rfc8489-B.1-as-printed";
        let expected = i32::from(!whole);
        assert_eq!(output.status.code(), Some(expected), "{id}: {json:#}");
        let result = if whole { "verified" } else { "not-checked" };
        for proof in json["integrity"].as_array().unwrap() {
            assert_eq!(proof["result"], result, "{id}");
        }
    }
}

#[test]
fn a_wrong_password_is_told_from_none_by_the_exit_status() {
    let message = build(|builder| builder.with_integrity(&floe_stun::Key::short_term("right")));
    let status = |options: &[&str]| decode(&message, options).status.code();
    assert_eq!(status(&[]), Some(0));
    assert_eq!(status(&["--password", "right"]), Some(0));
    assert_eq!(status(&["--password", "wrong"]), Some(3));
    let user = ["--user", "u", "--realm", "r", "--password", "right"];
    assert_eq!(status(&user), Some(3));
}

#[test]
fn a_password_that_can_verify_nothing_has_failed() {
    let output = decode(&sample(), &["--password", "secret"]);
    assert!(stdout(&output).contains("there is no attribute to verify"));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn the_password_is_never_printed() {
    let secret = "correct-horse";
    let message = build(|builder| builder.with_integrity(&floe_stun::Key::short_term(secret)));
    for options in [
        &["--password", secret][..],
        &["--password", secret, "--format", "json"],
        &["--password", secret, "--user", "u"],
        &["--password", secret, "--realm", "r"],
        &["--password", secret, "--format", "nonsense"],
    ] {
        let output = decode(&message, options);
        assert!(!stdout(&output).contains(secret), "{options:?}");
        assert!(!stderr(&output).contains(secret), "{options:?}");
    }
}

#[test]
fn a_wrong_fingerprint_is_said_with_the_right_one() {
    let mut message = sample();
    let right = hex(&message[32..36]);
    message[35] ^= 1;
    let wrong = hex(&message[32..36]);
    let (text, status) = text(&message);
    let verdict = format!("fingerprint  wrong: it is 0x{wrong} and should be 0x{right}\n");
    assert!(text.ends_with(&verdict), "{text}");
    assert_eq!(status, Some(3));
}

/// The faults of a malformed message: where, and in which section the rule stands.
fn faults(bytes: &[u8]) -> Vec<(u64, String)> {
    let (json, status) = json(bytes, &[]);
    assert_eq!(status, Some(1), "{json:#}");
    let fault = |fault: &Value| {
        let section = fault["section"].as_str().unwrap().to_owned();
        (fault["byte"].as_u64().unwrap(), section)
    };
    json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(fault)
        .collect()
}

fn one(byte: u64, section: &str) -> Vec<(u64, String)> {
    vec![(byte, section.to_owned())]
}

#[test]
fn a_good_message_has_no_fault() {
    let (json, status) = json(&sample(), &[]);
    assert_eq!(status, Some(0));
    assert_eq!(json["errors"], Value::Array(vec![]));
}

#[test]
fn a_wrong_cookie_is_found() {
    let mut message = sample();
    message[5] = 0x13;
    assert_eq!(faults(&message), one(4, "RFC 8489 §5"));
    assert!(text(&message).0.contains("but it is 0x2113a442"));
}

#[test]
fn top_bits_are_found_where_the_cookie_says_that_it_is_stun() {
    for bits in [0x40, 0x80, 0xC0] {
        let mut message = sample();
        message[0] |= bits;
        assert_eq!(faults(&message), one(0, "RFC 8489 §5"));
    }
}

#[test]
fn a_length_that_is_no_multiple_of_4_is_found() {
    let mut message = sample();
    message.pop();
    message[3] -= 1;
    let faults = faults(&message);
    assert_eq!(faults[..1], one(2, "RFC 8489 §5"));
    assert!(text(&message).0.contains("it says 15, no multiple of 4\n"));
}

#[test]
fn trailing_bytes_are_found_and_shown() {
    let mut message = sample();
    message.extend(*b"more");
    assert_eq!(faults(&message), one(2, "RFC 8489 §5"));
    let text = text(&message).0;
    assert!(text.contains("it says 16; there are 20, 4 more"), "{text}");
    assert!(
        text.contains("4 bytes of no attribute\n   36  6d 6f 72 65"),
        "{text}"
    );
}

#[test]
fn an_attribute_past_the_end_is_found_and_shown_as_far_as_it_goes() {
    let mut message = build(|builder| builder.with(&Software("floe")));
    message[23] = 5;
    assert_eq!(faults(&message), one(22, "RFC 8489 §14"));
    let text = text(&message).0;
    assert!(text.contains("SOFTWARE says 5 bytes; 4 are left"), "{text}");
    assert!(text.contains("666c6f65\n"), "{text}");
}

#[test]
fn what_stands_behind_fingerprint_is_found() {
    let mut message = sample();
    message.extend([0x00, 0x25, 0, 0]);
    message[3] += 4;
    assert_eq!(faults(&message), one(36, "RFC 8489 §14.7"));
    assert!(text(&message).0.contains("USE-CANDIDATE stands behind it"));
}

#[test]
fn a_header_that_is_cut_short_is_read_as_far_as_it_goes() {
    let message = sample();
    for len in 1..20 {
        assert_eq!(faults(&message[..len]), one(len as u64, "RFC 8489 §5"));
    }
    let text = text(&message[..10]).0;
    assert!(text.contains("0x0001  Binding request"), "{text}");
    assert!(text.contains("but there are only 10 bytes"), "{text}");
}

/// A message with one attribute.
fn with_attribute(kind: AttributeType, value: &[u8]) -> Vec<u8> {
    build(|builder| builder.with_raw(kind, value))
}

#[test]
fn a_value_that_cannot_be_is_said_to_be_malformed_and_why() {
    for (kind, value, byte, found) in [
        (
            AttributeType::MAPPED_ADDRESS,
            &[0, 3, 0, 0, 1, 2, 3, 4][..],
            25,
            "address family 3 is",
        ),
        (
            AttributeType::XOR_MAPPED_ADDRESS,
            &[0, 2, 0, 0, 1, 2, 3, 4],
            24,
            "8 bytes; with an IPv6",
        ),
        (
            AttributeType::OTHER_ADDRESS,
            &[0, 1],
            24,
            "2 bytes, too few",
        ),
        (
            AttributeType::PRIORITY,
            &[1, 2],
            24,
            "2 bytes where there must be 4",
        ),
        (
            AttributeType::USE_CANDIDATE,
            &[1],
            24,
            "1 byte where there must be 0",
        ),
        (
            AttributeType::ERROR_CODE,
            &[0, 0, 7, 0],
            26,
            "class 7 is not",
        ),
        (
            AttributeType::ERROR_CODE,
            &[0, 0, 4, 100],
            27,
            "number 100 is above",
        ),
        (
            AttributeType::ERROR_CODE,
            &[0, 0, 4, 0, b'a', 0xFF],
            29,
            "not UTF-8",
        ),
        (
            AttributeType::UNKNOWN_ATTRIBUTES,
            &[0, 1, 2],
            24,
            "3 bytes, no list",
        ),
        (
            AttributeType::SOFTWARE,
            &[b'a', b'b', 0xFF],
            26,
            "not UTF-8",
        ),
        (
            AttributeType::USERNAME,
            &[b'a'; 764],
            24,
            "764 bytes of text",
        ),
    ] {
        let message = with_attribute(kind, value);
        assert_eq!(faults(&message)[0].0, byte, "{kind:?}");
        let (json, _) = json(&message, &[]);
        let reason = json["errors"][0]["found"].as_str().unwrap();
        assert!(reason.starts_with(found), "{kind:?}: {reason}");
    }
}

#[test]
fn what_is_ignored_or_repeated_may_be_malformed() {
    let key = floe_stun::Key::short_term("p");
    let mut message = build(|builder| {
        let builder = builder
            .with(&UseCandidate)
            .with_raw(AttributeType::USE_CANDIDATE, &[1]);
        builder.with_integrity(&key)
    });
    message.extend([0x00, 0x24, 0, 0]);
    message[3] += 4;
    let (text, status) = text(&message);
    assert_eq!(status, Some(0), "{text}");
    for mark in [
        "repeated: only the first counts",
        "ignored: behind MESSAGE-INTEGRITY (RFC 8489 §14.5)",
        "malformed: 0 bytes where there must be 4",
    ] {
        assert!(text.contains(mark), "{mark}: {text}");
    }
}

#[test]
fn other_protocols_are_named() {
    for (first, name) in [
        (0x80, "RTP"),
        (0x16, "DTLS"),
        (0x10, "ZRTP"),
        (0xC0, "QUIC"),
    ] {
        let (text, status) = text(&[first, 1, 2, 3]);
        assert!(text.contains(name), "{text}");
        assert!(text.contains("RFC 7983"), "{text}");
        assert_eq!(status, Some(1));
    }
}

#[test]
fn channel_data_is_recognised() {
    let (json_of, status) = json(&[0x40, 0x01, 0, 2, 0x16, 0xFE], &[]);
    assert_eq!(status, Some(0));
    assert_eq!(json_of["protocol"], "channel-data");
    assert_eq!(json_of["channel"], 0x4001);
    assert_eq!(json_of["data"], "DTLS");
    for (bytes, error) in [
        (
            &[0x40, 0x01, 0, 3, 1][..],
            "the length field says 3; there are 1",
        ),
        (&[0x40, 0x01, 0, 0, 1], "1 byte more than the 0"),
        (&[0x40], "1 byte; the header has 4"),
    ] {
        let (text, status) = text(bytes);
        assert!(text.contains(error), "{text}");
        assert_eq!(status, Some(1));
    }
    // Over a stream there is padding.
    assert_eq!(text(&[0x40, 0x01, 0, 1, 1, 0, 0, 0]).1, Some(0));
}

/// A message may come from anybody, and a terminal obeys what it prints.
#[test]
fn hostile_text_does_not_reach_the_terminal() {
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\u{8}\u{9b}31m\u{202e}\u{2066}\u{feff}\0";
    let messages = [
        with_attribute(AttributeType::SOFTWARE, hostile.as_bytes()),
        with_attribute(
            AttributeType::ERROR_CODE,
            &[&[0, 0, 4, 1], hostile.as_bytes()].concat(),
        ),
        build(|builder| builder.with(&Data(hostile.as_bytes()))),
        // Too long to be text, and so printed as bytes.
        with_attribute(AttributeType::REALM, hostile.repeat(40).as_bytes()),
    ];
    for message in messages {
        for options in [&[][..], &["--format", "json"]] {
            let output = decode(&message, options);
            let odd = |char: &char| {
                *char != '\n' && char.is_control()
                    || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            };
            assert_eq!(
                stdout(&output).chars().find(odd),
                None,
                "{}",
                stdout(&output)
            );
        }
    }
    let output = floe(&["stun", "decode", "\u{1b}[2J"]);
    assert!(!stderr(&output).contains('\u{1b}'), "{}", stderr(&output));
}

#[test]
fn the_same_bytes_may_be_written_in_many_ways() {
    let folder = Folder::new("forms");
    let message = sample();
    let digits = hex(&message);
    let pairs: Vec<_> = message.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = printed(&["stun", "decode", &digits]);
    let rows = message.chunks(16).enumerate();
    let dump = rows.fold(String::new(), |mut dump, (row, bytes)| {
        writeln!(dump, "{:08x}: {}  text", 16 * row, hex(bytes)).unwrap();
        dump
    });
    for written in [
        pairs.join(" "),
        pairs.join(":"),
        pairs.join(", 0x"),
        format!("0x{}", digits.to_uppercase()),
        format!("{}\n{}", &digits[..40], &digits[40..]),
        format!("# a comment\n{} # header\n{}", &digits[..40], &digits[40..]),
        dump,
    ] {
        assert_eq!(
            printed(&["stun", "decode", &written]),
            expected,
            "{written}"
        );
        let file = folder.write("message.txt", &written);
        assert_eq!(printed(&["stun", "decode", &file]), expected, "{written}");
        assert_eq!(stdout(&decode_stdin(written.as_bytes())), expected);
    }
    let args = ["stun", "decode"]
        .into_iter()
        .chain(pairs.iter().map(String::as_str));
    assert_eq!(printed(&args.collect::<Vec<_>>()), expected);
    let file = folder.write("message.bin", &message);
    assert_eq!(printed(&["stun", "decode", &file]), expected);
    assert_eq!(stdout(&decode_stdin(&message)), expected);
}

#[test]
fn an_existing_file_wins_over_hex_digits() {
    let folder = Folder::new("wins");
    folder.write("0001", sample());
    let output = Command::new(env!("CARGO_BIN_EXE_floe"))
        .args(["stun", "decode", "0001"])
        .current_dir(&folder.0)
        .output()
        .unwrap();
    assert_eq!(
        stdout(&output),
        printed(&["stun", "decode", &hex(&sample())])
    );
}

#[test]
fn input_that_cannot_be_read_says_why() {
    let folder = Folder::new("unread");
    let file = |name: &str, bytes: &[u8]| refused(&["stun", "decode", &folder.write(name, bytes)]);
    assert!(
        refused(&["stun", "decode", "00 0g"]).contains("'g' is no hex digit (line 1, column 5)")
    );
    assert!(
        refused(&["stun", "decode", "00", "0"])
            .contains("an odd number of hex digits (line 1, column 4)")
    );
    assert!(refused(&["stun", "decode", "no-such-file"]).contains("no such file"));
    assert!(refused(&["stun", "decode", ""]).contains("no bytes"));
    assert!(file("empty", b"").contains("no bytes"));
    assert!(file("text", b"0001\nhello\n").contains("'h' is no hex digit (line 2, column 1)"));
    assert!(file("long", &vec![0; (1 << 20) + 1]).contains("longer than"));
    assert!(refused(&["stun", "decode", folder.0.to_str().unwrap()]).contains("no such file"));
    assert!(refused(&["stun", "decode", "00", "--user", "u"]).contains("--realm"));
    assert!(refused(&["stun", "decode"]).contains("FILE|HEX"));
}

#[test]
fn a_capture_is_said_to_be_one_and_what_to_do() {
    let folder = Folder::new("capture");
    for magic in [0xA1B2_C3D4_u32, 0xD4C3_B2A1, 0xA1B2_3C4D, 0x0A0D_0D0A] {
        let file = folder.write(
            "capture.pcap",
            [&magic.to_be_bytes()[..], &[0; 20]].concat(),
        );
        let error = refused(&["stun", "decode", &file]);
        assert!(error.contains("is a capture (pcap"), "{error}");
        assert!(error.contains("tshark"), "{error}");
    }
}

#[test]
fn json_has_every_field_of_the_message() {
    let (json, status) = json(&sample(), &[]);
    assert_eq!(status, Some(0));
    assert_eq!(json["protocol"], "stun");
    assert_eq!(json["header"]["type"], 1);
    assert_eq!(json["header"]["class"], "request");
    assert_eq!(json["header"]["method_name"], "Binding");
    assert_eq!(json["header"]["cookie"], format!("{MAGIC_COOKIE:#010x}"));
    let software = &json["attributes"][0];
    assert_eq!(software["offset"], 20);
    assert_eq!(software["type"], 0x8022);
    assert_eq!(software["name"], "SOFTWARE");
    assert_eq!(software["value"], "floe");
    assert_eq!(software["hex"], "666c6f65");
    assert_eq!(json["fingerprint"]["right"], true);
}

/// Of the longest message that there can be, every attribute has its line: the work is linear, and so is
/// the output.
#[test]
fn a_message_of_64_kib_with_one_attribute_repeated_is_read() {
    let mut message = with_attribute(AttributeType::USE_CANDIDATE, &[]);
    let count = 65_532 / 4;
    message.truncate(20);
    message[2..4].copy_from_slice(&65_532_u16.to_be_bytes());
    message.extend([0x00, 0x25, 0, 0].repeat(count));
    let output = decode_stdin(&message);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert_eq!(text.matches("USE-CANDIDATE").count(), count);
    assert_eq!(text.matches("repeated: ").count(), count - 1);
}

/// The examples in the help are run as they stand.
#[test]
#[cfg(unix)]
fn the_examples_of_the_help_work() {
    let folder = Folder::new("examples");
    let vectors = include_str!("../../stun/tests/data/stun_messages.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let digits = vectors["vectors"][0]["hex"].as_str().unwrap();
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Vec<_> = pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    folder.write("packet.bin", bytes);
    let key = floe_stun::Key::long_term("user", "example.org", "pass");
    folder.write(
        "packet.txt",
        hex(&build(|builder| builder.with_integrity(&key))),
    );

    let bin = Path::new(env!("CARGO_BIN_EXE_floe")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut count = 0;
    for command in ["floe stun decode --help", "floe stun --help"] {
        let help = printed(&command.split(' ').skip(1).collect::<Vec<_>>());
        let examples = help.lines().filter_map(|line| line.strip_prefix("  floe "));
        for example in examples {
            let output = Command::new("sh")
                .args(["-c", &format!("floe {example}")])
                .env("PATH", format!("{}:{path}", bin.display()))
                .current_dir(&folder.0)
                .output()
                .unwrap();
            assert_eq!(
                output.status.code(),
                Some(0),
                "{example}: {}",
                stderr(&output)
            );
            count += 1;
        }
    }
    assert!(count >= 4, "{count} examples");
}

/// Bytes of many kinds: messages, and messages that were damaged.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let attribute = (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..24));
    let known = prop_oneof![0..0x2b_u16, 0x8000..0x8005_u16, 0x8022..0x802d_u16];
    let typed = (known, proptest::collection::vec(any::<u8>(), 0..24));
    let attributes = proptest::collection::vec(prop_oneof![attribute, typed], 0..6);
    let damage = proptest::option::of((any::<prop::sample::Index>(), any::<u8>()));
    let message = (attributes, damage, 0..6_usize).prop_map(|(attributes, damage, cut)| {
        let mut bytes = build(|builder| {
            attributes.iter().fold(builder, |builder, (kind, value)| {
                builder.with_raw(AttributeType(*kind), value)
            })
        });
        if let Some((at, value)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
            bytes.truncate(bytes.len() - cut);
        }
        bytes
    });
    prop_oneof![message, proptest::collection::vec(any::<u8>(), 1..64)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// No bytes make it panic, and it always comes to one of its verdicts.
    #[test]
    fn any_bytes_come_to_a_verdict(bytes in any_bytes(), json in any::<bool>()) {
        let format = if json { "json" } else { "text" };
        let output = decode(&bytes, &["--format", format, "--password", "p"]);
        prop_assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{:?}", output);
        prop_assert_eq!(stderr(&output), "");
    }
}

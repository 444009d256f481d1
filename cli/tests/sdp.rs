//! `floe sdp`: what it prints of good descriptions and of bad ones.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{floe, printed, refused, stderr, stdout};

/// The descriptions of the library's tests.
fn description(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../sdp/tests/data").join(name)
}

fn path(name: &str) -> String {
    description(name).to_str().unwrap().to_owned()
}

/// What it prints, with the directory of the descriptions left out.
fn without_directory(text: &str) -> String {
    text.replace(&path("manner/"), "").replace(&path(""), "")
}

/// A description of its own, for one test.
fn written(name: &str, text: &[u8]) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn all() -> Vec<PathBuf> {
    let files = |directory: PathBuf| {
        let entries = fs::read_dir(directory).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|name| name == "sdp"))
            .collect();
        paths.sort();
        paths
    };
    [files(description("")), files(description("manner"))].concat()
}

#[test]
fn every_description_is_printed_byte_for_byte() {
    assert!(all().len() > 20);
    for file in all() {
        let name = file.to_str().unwrap();
        let output = floe(&["sdp", "print", "--lenient", name]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(output.stdout, fs::read(&file).unwrap(), "{name}");
        let strict = floe(&["sdp", "print", name]);
        let lenient_only = name.contains("lenient-");
        assert_eq!(
            strict.status.code(),
            Some(i32::from(lenient_only)),
            "{name}"
        );
        assert_eq!(strict.stdout.is_empty(), lenient_only);
    }
}

/// Bytes that a terminal would obey are printed as they are: they are what the file says.
#[test]
fn what_looks_like_a_command_to_the_terminal_is_printed_too() {
    let text = b"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=\x1b[31mred\xff\nt=0 0\n";
    let output = floe(&["sdp", "print", &written("escape.sdp", text)]);
    assert_eq!(output.stdout, text);
}

#[test]
fn good_descriptions_are_ok() {
    let output = printed(&[
        "sdp",
        "check",
        &path("data-offer.sdp"),
        &path("manner/firefox-offer.sdp"),
    ]);
    assert_eq!(
        without_directory(&output),
        "data-offer.sdp: ok\nfirefox-offer.sdp: ok\n"
    );
}

#[test]
fn mistakes_are_shown_as_a_compiler_shows_them() {
    let text = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\na=rtpmap:200 x/8000\r\n";
    let file = written("mistakes.sdp", text);
    let output = floe(&["sdp", "check", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stdout(&output).replace(&file, "F"),
        "\
F:3:3: error: empty value
  |
3 | s=
  |   ^
F:7:10: error: malformed attribute value
  |
7 | a=rtpmap:200 x/8000
  |          ^^^
F: 2 errors, 0 warnings
"
    );
    let output = floe(&["sdp", "check", "--lenient", &file]);
    assert_eq!(output.status.code(), Some(0), "warnings are no errors");
    assert!(stdout(&output).ends_with(": 0 errors, 2 warnings\n"));
    let bad = written("bad.sdp", b"v=0\ns=-\nm=audio x RTP/AVP 0\n");
    let output = floe(&["sdp", "check", "--lenient", &file, &bad]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "one bad file among good ones"
    );
    assert!(
        stdout(&output).contains(":3:9: error: malformed m=\n"),
        "{}",
        stdout(&output)
    );
    assert!(
        stdout(&output).contains(":2:1: error: mandatory line missing: o=")
            || stdout(&output).contains(":2:1: warning: mandatory line missing: o=")
    );
}

#[test]
fn an_offer_is_explained() {
    let output = printed(&["sdp", "explain", &path("manner/firefox-offer.sdp")]);
    for line in [
        "session 79 lines, 3 sections",
        "  group       BUNDLE 0 1 2",
        "section 0 audio UDP/TLS/RTP/SAVPF",
        "  address     192.0.2.10 port 54609",
        "  direction   sendrecv",
        "  codecs      109 opus/48000/2  maxplaybackrate=48000;stereo=1;useinbandfec=1",
        "  candidates  host  udp 192.0.2.10:54609  component 1 priority 2122252543",
        "              srflx udp 198.51.100.7:54609  component 1 priority 1686052863",
        "section 1 video UDP/TLS/RTP/SAVPF",
        "  encodings   hi sends",
        "              lo sends max-width=320 max-fps=15",
        "  sctp        port 5000",
    ] {
        assert!(
            output.lines().any(|found| found == line),
            "{line}\nnot in\n{output}"
        );
    }
    assert!(!output.contains("0f1e2d3c"), "no password is shown");
}

#[test]
fn what_cameras_send_is_explained_too() {
    let output = printed(&["sdp", "explain", &path("manner/lenient-camera-lf.sdp")]);
    assert!(
        output.contains("codecs       96 H264/90000  packetization-mode=1"),
        "{output}"
    );
    assert!(
        output.contains("warnings; `floe sdp check --lenient` shows them"),
        "{output}"
    );
}

#[test]
fn a_description_cannot_command_the_terminal() {
    let text = b"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=\x1b[31mred\nt=0 0\na=tool:\x1b]0;x\x07\nq\x1b=1\n";
    let file = written("command.sdp", text);
    for verb in ["explain", "check"] {
        let output = floe(&["sdp", verb, &file]);
        assert!(!output.stdout.contains(&0x1b), "{verb}");
    }
}

#[test]
fn files_that_cannot_be_read_are_a_wrong_argument() {
    assert!(refused(&["sdp", "check", "/nowhere.sdp"]).contains("cannot read /nowhere.sdp"));
    assert!(refused(&["sdp", "print"]).contains("FILE"));
}

//! `floe sdp answer`: what it prints to offers of browsers and telephones, and to bad ones.

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{floe, printed, refused, stderr, stdout};
use floe_sdp::check_answer;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdp/tests/data/");

fn offer(name: &str) -> String {
    format!("{DATA}{name}")
}

/// Every answer fits its offer.
fn answer(name: &str, options: &[&str]) -> String {
    let path = offer(name);
    let mut args = vec!["sdp", "answer", path.as_str()];
    args.extend(options);
    let text = printed(&args);
    let offer = std::fs::read(&path).unwrap();
    if let Err(error) = check_answer(&offer, text.as_bytes()) {
        panic!("{name}: {error}\n{text}");
    }
    text
}

fn ports(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| line.starts_with("m="));
    lines.map(|line| line.split(' ').nth(1).unwrap()).collect()
}

#[test]
fn a_browser_is_answered_in_its_bundle() {
    let text = answer("audio-video-data-offer.sdp", &[]);
    assert!(text.contains("a=group:BUNDLE 0 1 2\r\n"));
    assert_eq!(ports(&text), ["9", "9", "9"]);
    assert_eq!(text.matches("a=ice-ufrag:").count(), 1);
    assert_eq!(text.matches("a=setup:active").count(), 1);
    // The same arguments, the same bytes; another seed, other credentials.
    assert_eq!(answer("audio-video-data-offer.sdp", &[]), text);
    assert_ne!(answer("audio-video-data-offer.sdp", &["--seed", "2"]), text);
}

#[test]
fn a_telephone_is_answered_by_the_profile_that_suits_it() {
    let options = ["--profile", "rfc3264", "--address", "192.0.2.7:5004"];
    let text = answer("manner/sip-phone-offer.sdp", &options);
    assert!(!text.contains("a=ice-"), "the phone knows no ICE: {text}");
    assert_eq!(ports(&text)[0], "5004");
    assert!(text.contains("c=IN IP4 192.0.2.7\r\n") && !text.contains("ice-ufrag"));
    let output = floe(&["sdp", "answer", &offer("manner/sip-phone-offer.sdp")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("section 0"), "{}", stderr(&output));
}

#[test]
fn a_policy_changes_what_is_accepted() {
    let text = std::fs::read_to_string(offer("audio-video-data-offer.sdp")).unwrap();
    let text = text.replace("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0 1");
    for (policy, expected) in [
        ("must-bundle", ["9", "9", "0"]),
        ("balanced", ["9", "9", "9"]),
        ("max-compat", ["9", "9", "9"]),
    ] {
        let output = from_stdin(&text, &["--bundle", policy]);
        assert_eq!(ports(&output.1), expected, "{policy}");
        assert_eq!(output.0, Some(0));
    }
}

fn from_stdin(text: &str, options: &[&str]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_floe"))
        .args(["sdp", "answer", "-"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let code = output.status.code();
    (code, stdout(&output).into(), stderr(&output).into())
}

#[test]
fn a_bad_offer_is_shown_where_it_is_bad() {
    let head = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n";
    let (code, out, error) = from_stdin(&head.replace("t=0 0", "t=0"), &[]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.starts_with("<stdin>:4:4: error: "), "{error}");
    assert!(error.contains("4 | t=0"), "{error}");
    let section = "m=audio 9 UDP/TLS/RTP/SAVPF 0\nc=IN IP4 0.0.0.0\na=mid:0\n";
    let (code, _, error) = from_stdin(&format!("{head}{section}{section}"), &[]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("<stdin>:8: error: section 1: mid given twice"),
        "{error}"
    );
    assert!(error.contains("8 | m=audio 9"), "{error}");
    let missing = refused(&["sdp", "answer", "no-such-offer.sdp"]);
    assert!(
        missing.contains("cannot read no-such-offer.sdp"),
        "{missing}"
    );
    refused(&["sdp", "answer"]);
}

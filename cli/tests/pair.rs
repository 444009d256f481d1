//! `floe pair`: the story that it tells, and the trace that it writes.

mod common;

use common::{floe, printed, refused, stderr, stdout};
use serde_json::Value;

/// Whether these come one after the other, each on a later line.
fn in_order(story: &str, parts: &[&[&str]]) {
    let mut lines = story.lines();
    for part in parts {
        let found = lines.any(|line| part.iter().all(|word| line.contains(word)));
        assert!(found, "{part:?} is missing, or too early, in:\n{story}");
    }
}

#[test]
fn a_cone_lets_a_symmetric_nat_in() {
    let story = printed(&["pair", "full-cone", "symmetric"]);
    in_order(
        &story,
        &[
            &["full-cone × symmetric", "seed 1", "no loss"],
            &["a#0", "Binding request"],
            &["nat-a: new mapping 62.0.1.1:50000"],
            &["offer", "arrives 50.00"],
            &[
                "server#0",
                "Binding success seen as 62.0.1.1:50000 (to a#0)",
            ],
            &["Allocate error 401 Unauthenticated (to a#1)"],
            &["answer"],
            &["candidate srflx 62.0.1.1:50000"],
            // A new mapping for a new destination, and the cone lets it in.
            &[
                "192.168.1.2:50000 → 62.0.1.1:50000",
                "nat-b: new mapping 62.0.2.1:",
            ],
            &["nat-a: to 192.168.1.2:50000", "arrives"],
            &["Binding success seen as 62.0.2.1:"],
            &["◆", "has a pair that works"],
            &["Binding request USE-CANDIDATE"],
            &["a has selected srflx 62.0.1.1:50000 ↔ prflx 62.0.2.1:"],
            &["data, "],
            &["path", "direct"],
            &["pair", "srflx 62.0.1.1:50000 ↔ prflx 62.0.2.1:"],
            &["oracle", "certainly, a direct path is possible"],
            &["verdict", "agreed"],
        ],
    );
    assert!(!story.contains('\x1b'), "colours without a terminal");
}

#[test]
fn a_symmetric_and_a_port_restricted_nat_need_the_relay() {
    let story = printed(&["pair", "symmetric", "port-restricted"]);
    in_order(
        &story,
        &[
            &["Allocate success relayed 62.0.3.1:"],
            &["✗", "Binding request"],
            &["dropped by nat-", "filtered by"],
            &["CreatePermission request for"],
            &["Send to ", "{ Binding request"],
            &["has selected", "relay 62.0.3.1:"],
            &["path", "relayed"],
            &["oracle", "a relayed path is the best there can be"],
            &["verdict", "agreed"],
        ],
    );
    assert!(
        story.contains("filtered by port: b has sent to 62.0.1.1, but not to port"),
        "{story}"
    );
}

#[test]
fn every_layer_of_a_carrier_is_in_the_story() {
    let story = printed(&["pair", "double-nat", "udp-blocked"]);
    assert!(
        story.contains("a     nat-a  carrier server   nat-b     b"),
        "{story}"
    );
    assert!(story.contains("nat-a/carrier: new mapping 62.0.1.1:"));
    assert!(story.contains("dropped by nat-b: a firewall that lets no UDP through"));
}

#[test]
fn where_udp_is_blocked_the_story_goes_on_over_tcp() {
    let story = printed(&["pair", "udp-blocked", "open"]);
    in_order(
        &story,
        &[
            &["dropped by nat-a: a firewall that lets no UDP through"],
            &["TCP SYN"],
            &["nat-a lets it pass"],
            &["TCP SYN+ACK"],
            &["TCP { Allocate request without credentials }"],
            &["TCP { Allocate success relayed 62.0.3.1:"],
            &["has selected", "relay 62.0.3.1:"],
            &["path", "relayed"],
            &["verdict", "agreed"],
        ],
    );
}

#[test]
fn who_finds_no_path_gives_up() {
    let output = floe(&["pair", "udp-blocked", "open", "--no-relay"]);
    assert_eq!(output.status.code(), Some(1));
    let story = stdout(&output);
    assert!(story.contains("gives up: "), "{story}");
    assert!(story.contains("path      none"), "{story}");
    assert!(story.contains("agent-missed-a-path"), "{story}");
}

#[test]
fn lines_are_not_too_wide_even_with_many_lanes() {
    let story = printed(&["pair", "double-nat", "symmetric-cgn"]);
    let widest = story.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(140), "{widest:?}");
}

#[test]
fn losses_are_told() {
    let output = floe(&[
        "pair",
        "full-cone",
        "full-cone",
        "--loss",
        "30",
        "--seed",
        "3",
    ]);
    assert!(stdout(&output).contains("lost in the core"));
}

#[test]
fn descriptions_wait_for_candidates_without_trickling() {
    let story = printed(&["pair", "full-cone", "open", "--no-trickle"]);
    assert!(story.contains("offer with 3 candidates"), "{story}");
    assert!(!story.contains("candidate srflx"), "{story}");
}

#[test]
fn the_trace_is_json_lines_and_always_the_same() {
    let path = std::env::temp_dir().join(format!("floe-trace-{}.jsonl", std::process::id()));
    let file = path.to_str().unwrap();
    let story = printed(&["pair", "symmetric", "open", "--trace", file, "--no-ladder"]);
    assert!(
        story.contains("verdict") && !story.contains("a#0"),
        "{story}"
    );
    let trace = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();

    let mut last = 0;
    for line in trace.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let time = entry["time"].as_u64().unwrap();
        assert!(time >= last);
        last = time;
        assert!(entry["node"].is_string() && entry["event"].is_string());
    }
    for event in ["sent", "translated", "delivered", "message-sent"] {
        assert!(trace.contains(&format!("\"event\":\"{event}\"")), "{event}");
    }
    assert_eq!(
        printed(&["pair", "symmetric", "open", "--trace", "-"]),
        trace
    );
}

#[test]
fn the_result_alone_is_what_the_matrix_says() {
    let pair = printed(&["pair", "open", "open", "--seed", "5", "--format", "json"]);
    let matrix = ["matrix", "--nat", "open", "--seed", "5", "--format", "json"];
    assert_eq!(pair, printed(&matrix));
}

#[test]
fn a_trace_that_cannot_be_written_is_an_error() {
    let error = refused(&["pair", "open", "open", "--trace", "/nowhere/trace"]);
    assert!(
        error.contains("cannot write the trace to /nowhere/trace"),
        "{error}"
    );
}

#[test]
fn an_unknown_nat_is_refused_with_the_names_there_are() {
    for args in [["pair", "cone", "open"], ["pair", "open", "cone"]] {
        let error = refused(&args);
        assert!(error.contains("'cone'"), "{error}");
        assert!(
            error.contains("address-restricted") && error.contains("udp-blocked"),
            "{error}"
        );
    }
}

/// The negative control: the oracle knows of a relay of which the agents do not.
#[test]
fn a_verdict_that_is_not_agreed_is_exit_status_1() {
    let output = floe(&[
        "pair",
        "symmetric",
        "symmetric",
        "--no-relay",
        "--no-ladder",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("agent-missed-a-path: not connected"));
}

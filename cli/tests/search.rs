//! `floe search`: random runs that can be repeated, and controls that must be found.

mod common;

use common::{floe, refused, stderr, stdout};

fn search(args: &[&str]) -> (Option<i32>, String) {
    let output = floe(&[&["search"], args].concat());
    assert_eq!(stderr(&output), "");
    (output.status.code(), stdout(&output).to_owned())
}

/// The names of the findings of a summary, with their counts.
fn findings(text: &str) -> Vec<(&str, u64)> {
    let summary = text.lines().filter_map(|line| {
        let (count, name) = line.trim_start().split_once("  ")?;
        Some((name, count.parse().ok()?))
    });
    summary.filter(|(name, _)| !name.contains(' ')).collect()
}

#[test]
fn the_output_does_not_depend_on_the_threads() {
    let [one, two] = ["1", "2"].map(|threads| search(&["--seeds", "0..60", "--threads", threads]));
    assert_eq!(one, two);
    assert!(one.1.contains("60 runs\n"), "{}", one.1);
}

/// A negative control: agents without a relay miss paths.
#[test]
fn agents_without_a_relay_are_found() {
    let (status, text) = search(&["--seeds", "0..40", "--control", "no-relay"]);
    assert_eq!(status, Some(1), "{text}");
    let missed = findings(&text);
    assert!(
        missed
            .iter()
            .any(|&(name, count)| name == "agent-missed-a-path" && count > 5)
    );
    let line = text
        .lines()
        .find(|line| line.starts_with("agent-missed-a-path"));
    assert!(
        line.unwrap().contains("--control no-relay --trace"),
        "{text}"
    );
}

/// A negative control: a NAT that maps for each destination, whatever its label says.
#[test]
fn mislabelled_nats_are_found() {
    let (status, text) = search(&["--seeds", "0..300", "--control", "mislabelled"]);
    assert_eq!(status, Some(1), "{text}");
    let wrong = findings(&text);
    assert!(
        wrong
            .iter()
            .any(|&(name, count)| name == "oracle-wrong" && count > 2)
    );
}

#[test]
fn one_seed_is_told_as_a_story() {
    let (_, plain) = search(&["--seed", "7"]);
    let (_, story) = search(&["--seed", "7", "--trace"]);
    for word in ["seed 7", "core Link", "signalling", "expected "] {
        assert!(plain.contains(word) && story.contains(word), "{plain}");
    }
    assert!(!plain.contains("Binding request"));
    assert!(story.contains("Binding request"), "{story}");
    assert!(refused(&["search", "--trace"]).contains("--seed"));
}

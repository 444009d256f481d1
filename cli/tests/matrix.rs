//! `floe matrix`, as users and their programs see it.

mod common;

use common::{floe, printed, refused, stdout};
use serde_json::Value;

/// Three kinds that come to both outcomes.
const FEW: &str = "full-cone,symmetric,udp-blocked";

fn runs(args: &[&str]) -> Vec<Value> {
    match serde_json::from_str(&printed(args)) {
        Ok(Value::Array(runs)) => runs,
        other => panic!("not an array: {other:?}"),
    }
}

#[test]
fn the_table_has_a_row_and_a_column_for_every_kind_and_a_summary() {
    let table = printed(&["matrix"]);
    for (first, second) in [("open ", ""), ("port-", "restricted"), ("udp-", "blocked")] {
        let rows = table.lines().filter(|line| line.starts_with(first));
        assert_eq!(rows.count(), 1, "{first}");
        assert!(table.contains(second));
    }
    for outcome in ["direct ", "relay "] {
        assert!(table.contains(outcome), "{outcome}");
    }
    // Where UDP is blocked there is a relay over TCP.
    assert!(!table.contains(" none  "), "{table}");
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(120), "{widest:?}");
    let summary = table.lines().last().unwrap();
    assert!(summary.starts_with("100 runs: "), "{summary}");
    assert!(summary.contains(" 0 none."), "{summary}");
    assert!(summary.ends_with("Oracle: 100 agreed."), "{summary}");
    assert!(!table.contains('\x1b'), "colours without a terminal");
}

#[test]
fn json_has_every_field_of_every_cell() {
    let runs = runs(&["matrix", "--nat", FEW, "--format", "json"]);
    assert_eq!(runs.len(), 9);
    let fields = [
        "a",
        "b",
        "seed",
        "outcome",
        "local",
        "remote",
        "valid_ms",
        "selected_ms",
        "stun_messages",
        "gathering_messages",
        "oracle",
    ];
    for run in &runs {
        let run = run.as_object().unwrap();
        let mut names: Vec<_> = run.keys().map(String::as_str).collect();
        let mut expected = fields;
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert_eq!(run["seed"], 1);
        assert_eq!(run["oracle"], "agreed");
        assert!(run["stun_messages"].is_u64() && run["gathering_messages"].is_u64());
        assert_ne!(run["outcome"], "none");
        for name in ["local", "remote"] {
            assert!(run[name].is_string(), "{run:?}");
        }
        for name in ["valid_ms", "selected_ms"] {
            assert!(run[name].is_number(), "{run:?}");
        }
    }
    let outcome = |a: &str, b: &str| {
        let run = runs.iter().find(|run| run["a"] == a && run["b"] == b);
        run.unwrap()["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(outcome("full-cone", "symmetric"), "direct");
    assert_eq!(outcome("symmetric", "symmetric"), "relayed");
    assert_eq!(outcome("udp-blocked", "full-cone"), "relayed");
}

#[test]
fn a_run_without_a_path_has_no_pair_and_no_times() {
    let args = |format| {
        [
            "matrix",
            "--nat",
            "udp-blocked",
            "--no-relay",
            "--format",
            format,
        ]
    };
    let output = floe(&args("json"));
    assert_eq!(output.status.code(), Some(1), "a path was missed");
    let runs: Value = serde_json::from_str(stdout(&output)).unwrap();
    let run = &runs[0];
    assert_eq!(run["outcome"], "none");
    assert_eq!(run["oracle"], "agent-missed-a-path");
    for name in ["local", "remote", "valid_ms", "selected_ms"] {
        assert!(run[name].is_null(), "{run:?}");
    }
    let output = floe(&args("csv"));
    let line = stdout(&output).lines().nth(1).unwrap();
    assert!(
        line.starts_with("udp-blocked,udp-blocked,1,none,,,,,"),
        "{line}"
    );
}

#[test]
fn times_count_from_the_offer() {
    let waiting = |options: &[&str]| {
        let mut args = vec!["matrix", "--nat", "open", "--format", "json"];
        args.extend(options);
        let run = runs(&args).remove(0);
        (
            run["valid_ms"].as_f64().unwrap(),
            run["selected_ms"].as_f64().unwrap(),
        )
    };
    let (valid, selected) = waiting(&[]);
    // The offer takes 50 ms, the first check and its answer take a round trip.
    assert!(valid >= 100.0 && selected >= valid, "{valid} {selected}");
    let (slow, _) = waiting(&["--rtt", "150"]);
    assert!(slow >= valid + 100.0, "{slow}");
    let (late, _) = waiting(&["--signal-delay", "150"]);
    assert!(late >= valid + 100.0, "{late}");
}

#[test]
fn csv_has_a_header_and_a_line_for_every_run() {
    let csv = printed(&["matrix", "--nat", FEW, "--format", "csv", "--seeds", "7..9"]);
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "a,b,seed,outcome,local,remote,valid_ms,selected_ms,stun_messages,gathering_messages,oracle"
    );
    assert_eq!(lines.len(), 1 + 9 * 2);
    assert!(lines.iter().all(|line| line.split(',').count() == 11));
    assert!(lines[1].starts_with("full-cone,full-cone,7,direct,"));
    assert!(lines[2].starts_with("full-cone,full-cone,8,direct,"));
    let last = lines[18];
    assert!(
        last.starts_with("udp-blocked,udp-blocked,8,relayed,relay,relay,"),
        "{last}"
    );
}

#[test]
fn the_same_arguments_print_the_same_bytes_with_any_number_of_threads() {
    for format in ["table", "csv", "json"] {
        let args = |threads| {
            [
                "matrix",
                "--nat",
                "symmetric,port-restricted",
                "--seeds",
                "1..=3",
                "--loss",
                "10",
                "--format",
                format,
                "--threads",
                threads,
            ]
        };
        let once = printed(&args("1"));
        assert_eq!(once, printed(&args("1")), "twice");
        assert_eq!(once, printed(&args("2")), "with 2 threads");
    }
}

#[test]
fn many_seeds_share_a_cell() {
    let table = printed(&["matrix", "--nat", FEW, "--seeds", "1..=2"]);
    assert!(table.contains("seeds 1 to 2"), "{table}");
    assert!(
        table.lines().last().unwrap().starts_with("18 runs: "),
        "{table}"
    );
}

#[test]
fn seeds_are_ranges_as_in_rust() {
    let seeds = |range: &str| {
        let args = [
            "matrix",
            "--nat",
            "udp-blocked",
            "--format",
            "json",
            "--seeds",
            range,
        ];
        let seeds = runs(&args);
        seeds
            .iter()
            .map(|run| run["seed"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(seeds("3..5"), [3, 4]);
    assert_eq!(seeds("3..=5"), [3, 4, 5]);
    for range in ["5", "5..3", "4..4", "a..b"] {
        assert!(
            refused(&["matrix", "--seeds", range]).contains("--seeds"),
            "{range}"
        );
    }
    let all = refused(&["matrix", "--seeds", "0..=18446744073709551615"]);
    assert!(all.contains("more runs than can be counted"), "{all}");
    assert!(refused(&["matrix", "--seed", "1", "--seeds", "1..2"]).contains("cannot be used with"));
}

#[test]
fn an_unknown_nat_is_refused_with_the_names_there_are() {
    let error = refused(&["matrix", "--nat", "open,cone"]);
    assert!(error.contains("'cone'"), "{error}");
    for name in ["full-cone", "symmetric-cgn", "udp-blocked"] {
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn numbers_out_of_range_are_refused_with_the_option_and_the_reason() {
    for (option, value, reason) in [
        ("--loss", "101", "0 to 100 percent"),
        ("--loss", "-1", "--loss"),
        ("--loss", "many", "not a number"),
        ("--loss", "0.00001", "decimal places"),
        ("--rtt", "60001", "0 to 60000 milliseconds"),
        ("--signal-delay", "1 s", "not a number"),
        ("--threads", "0", "--threads"),
    ] {
        let error = refused(&["matrix", option, value]);
        assert!(error.contains(option) && error.contains(reason), "{error}");
    }
}

/// The negative control: the oracle knows of a relay of which the agents do not.
#[test]
fn what_is_not_agreed_is_named_with_the_command_that_shows_it() {
    let nats = "symmetric,full-cone";
    let output = floe(&["matrix", "--nat", nats, "--no-relay", "--seed", "4"]);
    assert_eq!(output.status.code(), Some(1));
    let table = stdout(&output);
    assert!(
        table.contains("Oracle: 3 agreed, 1 agent-missed-a-path."),
        "{table}"
    );
    let command = "agent-missed-a-path  floe pair symmetric symmetric --seed 4 --no-relay";
    assert!(table.lines().last().unwrap().contains(command), "{table}");
}

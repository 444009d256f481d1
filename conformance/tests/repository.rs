//! This repository.

use std::sync::OnceLock;

use floe_conformance::{Audit, Files, REPORT, report, root};

fn files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| Files::read(&root()).unwrap())
}

#[test]
fn tables_citations_and_decisions_agree_and_what_is_finished_is_covered() {
    let faults = Audit::of(files()).faults;
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn the_report_is_fresh() {
    let fresh = report(&Audit::of(files()));
    let stale = files().get(REPORT).unwrap_or_default();
    let differs = fresh
        .lines()
        .zip(stale.lines())
        .find(|(fresh, stale)| fresh != stale);
    assert!(
        fresh == stale,
        "run `cargo run -p floe-conformance -- write`; first difference: {differs:#?}"
    );
}

/// `docs/attacks.md` names tests, as `path.rs::name`.
#[test]
fn the_tests_of_the_attacks_are_there() {
    let table = files().get("docs/attacks.md").unwrap_or_default();
    let named: Vec<_> = (table.split('`'))
        .filter_map(|word| word.split_once(".rs::"))
        .collect();
    assert!(named.len() > 60, "{}", named.len());
    for (path, name) in named {
        let text = files().get(&format!("{path}.rs")).unwrap_or_default();
        assert!(text.contains(&format!("fn {name}(")), "{path}.rs::{name}");
    }
}

/// Else the other tests would check nothing.
#[test]
fn everything_is_read() {
    let audit = Audit::of(files());
    assert_eq!(audit.tables.len(), 5);
    for (scope, rows) in [
        ("stun.md", 288),
        ("turn.md", 283),
        ("ice.md", 450),
        ("sdp.md", 312),
        ("nat.md", 161),
    ] {
        assert_eq!(audit.scope(scope).count(), rows, "{scope}");
    }
    assert!(audit.tests.len() >= 300);
}

//! Negative controls: every fault that the checker is for, planted and found; and what is no fault.

use floe_conformance::{Audit, FINISHED, FaultKind, Files, report};

const TABLE: &str = "\
# A protocol

| word | value |
|---|---|
| A-1 | no row: another table |

## RFC 1 A protocol  (`AB-…`)

| id | § | level | role | requirement | observable |
|---|---|---|---|---|---|
| AB-5-1 | 5 | MUST | parser | A must | bytes |
| AB-5-2 | 5 | MAY | any | A may | flag |
| AB-5.1-1 | 5.1 | SHOULD | any | A should | trace |
| AB-5.1-2 | 5.1 | RULE | admin | … and a rule for people | doc |
| AB-6-1 | 6 | MUST NOT | s | (withdrawn) | – |
";

const TEST: &str = "\
/// What it is about.
/// req: AB-5-1, AB-5.1-1
#[test]
fn a_rule_holds() {}
";

const DECISIONS: &str = "\
# Decisions about A

deviation: AB-5-1 The reason is long enough to be one, and
it goes on here.

declined: AB-5-2 Nobody has asked for this so far, and it costs.

documented: AB-5.1-2 docs/operating.md#for-people
";

const DOCUMENT: &str = "\
# Operating

## For people

Whoever runs this keeps the rule, since nothing else does (AB-5.1-2).
";

fn files() -> Files {
    let mut files = Files::default();
    files.insert("docs/requirements/a.md", TABLE);
    files.insert("docs/requirements/README.md", "| id | no table |");
    files.insert("a/tests/a.rs", TEST);
    files.insert("docs/requirements/deviations/a.md", DECISIONS);
    files.insert("docs/operating.md", DOCUMENT);
    files
}

/// The faults when one file is another, as `line: kind`.
fn faults(path: &str, text: &str) -> Vec<(usize, FaultKind)> {
    let mut files = files();
    files.insert(path, text);
    let faults = Audit::of(&files).faults;
    // What is changed here can leave others dangling.
    let faults = faults.into_iter().filter(|fault| fault.file == path);
    faults.map(|fault| (fault.line, fault.kind)).collect()
}

fn in_source(text: &str) -> Vec<(usize, FaultKind)> {
    faults("a/src/b.rs", text)
}

fn in_table(from: &str, to: &str) -> Vec<(usize, FaultKind)> {
    assert_eq!(TABLE.matches(from).count(), 1, "{from}");
    faults("docs/requirements/a.md", &TABLE.replace(from, to))
}

fn in_decisions(text: &str) -> Vec<(usize, FaultKind)> {
    faults("docs/requirements/deviations/a.md", text)
}

fn id(id: &str) -> String {
    id.to_string()
}

#[test]
fn what_is_in_order_has_no_fault() {
    let audit = Audit::of(&files());
    assert_eq!(audit.faults, []);
    assert_eq!(audit.rows().count(), 5);
    assert_eq!(audit.tests.len(), 1);
    assert_eq!(audit.decisions.len(), 3);
    assert_eq!(
        audit.tests_of("AB-5.1-1").next().unwrap().name,
        "a_rule_holds"
    );
}

#[test]
fn a_row_that_is_none_is_found() {
    let bad = [(12, FaultKind::BadRow)];
    assert_eq!(
        in_table("| AB-5-2 | 5 | MAY |", "| AB-5-2 | 5 | PERHAPS |")[..1],
        bad
    );
    assert_eq!(
        in_table("| AB-5-2 | 5 | MAY |", "| AB-5-2 | 5 | 5 | MAY |")[..1],
        bad
    );
    assert_eq!(
        in_table("| AB-5-2 | 5 | MAY |", "| AB-5-2 | 6 | MAY |")[..1],
        bad
    );
    assert_eq!(
        in_table("| AB-5-2 | 5 | MAY |", "| AC-5-2 | 5 | MAY |")[..1],
        bad
    );
    assert_eq!(
        in_table("| AB-5-2 | 5 | MAY |", "| AB-5-x | 5 | MAY |")[..1],
        bad
    );
}

#[test]
fn an_id_given_twice_is_found() {
    let found = in_table("| AB-5.1-1 | 5.1 |", "| AB-5-1 | 5 |");
    assert!(found.contains(&(13, FaultKind::DuplicateRow(id("AB-5-1")))));
}

#[test]
fn a_citation_that_is_not_written_as_it_must_be_is_found() {
    for line in [
        "/// req: AB-5-1,AB-5-2",
        "/// req: AB-5-1 AB-5-2",
        "/// req: AB-5-1.",
        "/// req: AB-5-1, ",
        "/// req: AB-5",
        "/// req: see below",
        "/// req:AB-5-1",
        "///  req: AB-5-1",
        "/// req: AB-5-1 (partly)",
        "/// It holds. req: AB-5-1",
        "// req: AB-5-1",
        "//! req: AB-5-1",
        "/* req: AB-5-1 */",
        "/** req: AB-5-1 */",
    ] {
        let text = format!("{line}\n#[test]\nfn f() {{}}\n");
        assert_eq!(
            in_source(&text),
            [(1, FaultKind::MalformedCitation)],
            "{line}"
        );
    }
    let twice = "/// req: AB-5-1\n/// req: AB-5.1-1\n#[test]\nfn f() {}\n";
    assert_eq!(in_source(twice), [(2, FaultKind::MalformedCitation)]);
}

#[test]
fn only_tests_that_run_can_cite() {
    for item in [
        "fn helper() {}",
        "#[cfg(test)]\nfn helper() {}",
        "#[derive(Debug)]\nstruct S;",
        "mod tests {}",
        "const A: u8 = 1;",
        "cases! { #[test] fn f() {} }",
        "",
    ] {
        let text = format!("/// req: AB-5-1\n{item}\n");
        assert_eq!(in_source(&text), [(1, FaultKind::NotOnATest)], "{item}");
    }
    let ignored = "/// req: AB-5-1\n#[test]\n#[ignore = \"slow\"]\nfn f() {}\n";
    assert_eq!(in_source(ignored), [(1, FaultKind::IgnoredTest)]);
}

#[test]
fn rows_that_cannot_be_cited_are_found() {
    let cite = |ids: &str| in_source(&format!("/// req: {ids}\n#[test]\nfn f() {{}}\n"));
    assert_eq!(cite("AB-5-9"), [(1, FaultKind::UnknownRow(id("AB-5-9")))]);
    assert_eq!(cite("AB-6-1"), [(1, FaultKind::WithdrawnRow(id("AB-6-1")))]);
    assert_eq!(
        cite("AB-5-1, AB-5-1"),
        [(1, FaultKind::RepeatedRow(id("AB-5-1")))]
    );
    let seven = "AB-5-1, AB-5.1-1, AB-5.1-2, AB-5-1, AB-5-1, AB-5-1, AB-5-1";
    assert!(cite(seven).contains(&(1, FaultKind::TooManyRows(7))));
}

#[test]
fn tests_of_all_kinds_can_cite() {
    let sources = [
        "/// req: AB-5-1\n#[tokio::test(flavor = \"current_thread\")]\nasync fn f() {}",
        "#[cfg(unix)]\n/// req: AB-5-1\n// A note.\n#[test]\n#[should_panic]\npub(crate) fn f() {}",
        "mod tests { proptest! {\n #![proptest_config(c())]\n /// req: AB-5-1\n #[test]\n fn f(a in 0..1) {} } }",
        "macro_rules! t { ($($name:ident)*) => { $(\n /// req: AB-5-1\n #[test]\n fn $name() {})* } }",
        "macro_rules! t { ($($(#[$m:meta])* $name:ident)*) => { $($(#[$m])* #[test] fn $name() {})* } }\n\
         t! {\n /// req: AB-5-1\n f\n }",
    ];
    for source in sources {
        let mut files = files();
        files.insert("a/src/b.rs", source);
        let audit = Audit::of(&files);
        assert_eq!(audit.faults, [], "{source}");
        let names: Vec<_> = audit
            .tests_of("AB-5-1")
            .map(|test| test.name.as_str())
            .collect();
        assert!(
            matches!(
                names[..],
                ["f" | "$name", "a_rule_holds"] | ["a_rule_holds", "f" | "$name"]
            ),
            "{names:?}: {source}"
        );
    }
}

#[test]
fn what_is_no_comment_does_not_cite() {
    let text = r###"
        const A: &str = "\" // req: AB-5-9";
        const B: &str = r##"" /// req: AB-5-9"##;
        const C: (char, char, &'static str) = ('"', '\'', "// req: AB-5-9");
        const D: &[u8] = br#" // req: AB-5-9"#;
        /* a /* nested */ comment that "quotes */
        /// Requests are not required: a prereq: nothing.
        fn r#fn() {}
    "###;
    assert_eq!(in_source(text), []);
}

#[test]
fn a_decision_that_is_not_written_as_it_must_be_is_found() {
    for text in [
        "deviation: nothing about a row, though it is long enough",
        "deviation AB-5-1: the keyword wants its colon before the id, deviation: AB-5-1",
        "We decided on a deviation: AB-5-1 because of reasons that are long enough.",
        "- deviation: AB-5-1 A list item is no paragraph, however long it is.",
        "documented: AB-5.1-2 docs/operating.md",
        "documented: AB-5.1-2 docs/operating.md#for-people and more",
        "deviation: AB-5-1 Two in one paragraph get lost easily.\ndeclined: AB-5-2 The second one.",
    ] {
        assert_eq!(
            in_decisions(text),
            [(1, FaultKind::MalformedDecision)],
            "{text}"
        );
    }
}

#[test]
fn a_decision_that_does_not_fit_its_row_is_found() {
    let reason = "The reason is long enough to be one.";
    for (text, kind) in [
        (
            format!("deviation: AB-5-9 {reason}"),
            FaultKind::UnknownRow(id("AB-5-9")),
        ),
        (
            format!("deviation: AB-6-1 {reason}"),
            FaultKind::WithdrawnRow(id("AB-6-1")),
        ),
        (
            "deviation: AB-5-1 No need.".into(),
            FaultKind::NoReason(id("AB-5-1")),
        ),
        ("declined: AB-5-2".into(), FaultKind::NoReason(id("AB-5-2"))),
        (
            format!("declined: AB-5-1 {reason}"),
            FaultKind::NotOptional(id("AB-5-1")),
        ),
        (
            format!("declined: AB-5.1-1 {reason}"),
            FaultKind::NotOptional(id("AB-5.1-1")),
        ),
        (
            format!("deviation: AB-5-2 {reason}"),
            FaultKind::Optional(id("AB-5-2")),
        ),
        (
            "documented: AB-5-1 docs/operating.md#for-people".into(),
            FaultKind::Testable(id("AB-5-1")),
        ),
        (
            "documented: AB-5.1-2 docs/operating.md#for-dogs".into(),
            FaultKind::NoSuchPlace(id("AB-5.1-2")),
        ),
        (
            "documented: AB-5.1-2 docs/nowhere.md#for-people".into(),
            FaultKind::NoSuchPlace(id("AB-5.1-2")),
        ),
        (
            "documented: AB-5.1-2 docs/operating.md#operating".into(),
            FaultKind::PlaceSaysNothing(id("AB-5.1-2")),
        ),
    ] {
        assert_eq!(in_decisions(&text), [(1, kind)], "{text}");
    }
    let twice = format!("deviation: AB-5-1 {reason}\n\ndeviation: AB-5-1 {reason}");
    assert_eq!(
        in_decisions(&twice),
        [(3, FaultKind::SecondDecision(id("AB-5-1")))]
    );
    let elsewhere = faults(
        "docs/requirements/deviations/b.md",
        &format!("deviation: AB-5.1-1 {reason}"),
    );
    assert_eq!(elsewhere, [(1, FaultKind::WrongFile(id("AB-5.1-1")))]);

    let mut files = files();
    files.insert("a/src/b.rs", "/// req: AB-5-2\n#[test]\nfn f() {}");
    let kinds: Vec<_> = Audit::of(&files)
        .faults
        .into_iter()
        .map(|fault| fault.kind)
        .collect();
    assert_eq!(kinds, [FaultKind::DeclinedButTested(id("AB-5-2"))]);
}

#[test]
fn a_document_that_does_not_say_it_is_found() {
    for (document, kind) in [
        (
            "## For people\n\nNothing about the row that matters here, at length.",
            FaultKind::PlaceSaysNothing(id("AB-5.1-2")),
        ),
        (
            "## For people\n\nAB-5.1-2",
            FaultKind::PlaceSaysNothing(id("AB-5.1-2")),
        ),
        (
            "## For people\n\nAB-5.1-2, AB-5-1.\n\nThe prose is in another paragraph than the id.",
            FaultKind::PlaceSaysNothing(id("AB-5.1-2")),
        ),
        (
            "## For people\n\nWhoever runs this keeps the rule, since nothing else does (AB-5.1-21).",
            FaultKind::PlaceSaysNothing(id("AB-5.1-2")),
        ),
        (
            "## For people\n\nWhoever runs this keeps the rule (AB-5.1-2).\n\n## For people\n",
            FaultKind::NoSuchPlace(id("AB-5.1-2")),
        ),
        (
            "```\n## For people\n```\n\nWhoever runs this keeps the rule (AB-5.1-2).",
            FaultKind::NoSuchPlace(id("AB-5.1-2")),
        ),
    ] {
        let mut files = files();
        files.insert("docs/operating.md", document);
        let kinds: Vec<_> = Audit::of(&files)
            .faults
            .into_iter()
            .map(|fault| fault.kind)
            .collect();
        assert_eq!(kinds, [kind], "{document}");
    }
}

#[test]
fn an_uncovered_row_of_a_finished_scope_is_found() {
    for scope in ["a.md", "AB"] {
        let mut files = files();
        files.insert(FINISHED, &format!("# a comment\n{scope}\n"));
        assert_eq!(
            Audit::of(&files).faults,
            [],
            "covered by test, decision and document"
        );

        // SHOULD and MAY rows are reported only.
        files.insert("a/tests/a.rs", &TEST.replace(", AB-5.1-1", ""));
        assert_eq!(Audit::of(&files).faults, []);
        assert!(report(&Audit::of(&files)).contains("| AB-5.1-1 | SHOULD | *uncovered* |"));

        // Without the decision the test covers the row; without both, nothing does.
        files.insert("docs/requirements/deviations/a.md", "");
        let uncovered = |line, row: &str| (line, FaultKind::Uncovered(id(row)));
        let found = |files: &Files| -> Vec<_> {
            let faults = Audit::of(files).faults.into_iter();
            faults.map(|fault| (fault.line, fault.kind)).collect()
        };
        assert_eq!(found(&files), [uncovered(14, "AB-5.1-2")]);
        files.insert("a/tests/a.rs", "");
        assert_eq!(
            found(&files),
            [uncovered(11, "AB-5-1"), uncovered(14, "AB-5.1-2")]
        );
    }
}

#[test]
fn an_unknown_scope_is_found() {
    let found = faults(FINISHED, "b.md\n");
    assert_eq!(found, [(0, FaultKind::UnknownScope(id("b.md")))]);
}

#[test]
fn the_report_counts_and_names() {
    let report = report(&Audit::of(&files()));
    for line in [
        "| [a.md](requirements/a.md): RFC 1 A protocol (`AB-…`) | 4 | 2 | 2 | 0 | 0 | 0 |  |",
        "| AB-5-1 | MUST | a/tests/a.rs: `a_rule_holds`; **deviation:** The reason is long enough to be one, and it goes on here. |",
        "| AB-5-2 | MAY | declined: Nobody has asked for this so far, and it costs. |",
        "| AB-5.1-2 | RULE | documented in [docs/operating.md](operating.md#for-people) |",
        "| AB-6-1 | MUST NOT | withdrawn |",
    ] {
        assert!(
            report.lines().any(|found| found == line),
            "{line}\n{report}"
        );
    }
}

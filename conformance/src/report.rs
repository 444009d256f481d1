//! `docs/conformance.md`.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::audit::Audit;
use crate::decision::Ruling;
use crate::row::{Level, Row};

/// Where the report lies.
pub const PATH: &str = "docs/conformance.md";

const HEAD: &str = "\
# Conformance

Which test, deviation or document stands for which row of the [requirement tables](requirements/README.md).
Written by `cargo run -p floe-conformance -- write`; `cargo test` checks that it is fresh. Change the tests
and [decisions](requirements/deviations), not this file.

A row counts as *tested* if a test cites it, as *decided* if it is a written deviation, a MAY row that was
declined, or a matter of documentation that is documented. A *finished* scope has no uncovered row at the level of
MUST (MUST NOT, RULE, FORMAT), or `cargo test` fails.
";

#[derive(Clone, Copy, Default)]
struct Counts {
    rows: usize,
    tested: usize,
    decided: usize,
    /// By level: MUST, SHOULD, MAY.
    uncovered: [usize; 3],
}

impl Counts {
    fn add(&mut self, audit: &Audit, row: &Row) {
        if row.withdrawn {
            return;
        }
        self.rows += 1;
        if audit.tests_of(&row.id).next().is_some() {
            self.tested += 1;
        } else if audit.decision_of(&row.id).is_some() {
            self.decided += 1;
        } else {
            self.uncovered[match row.level {
                Level::Must => 0,
                Level::Should => 1,
                Level::May => 2,
            }] += 1;
        }
    }

    fn line(&self, name: &str, finished: bool) -> String {
        let [must, should, may] = self.uncovered;
        let (rows, tested, decided) = (self.rows, self.tested, self.decided);
        let finished = if finished { "finished" } else { "" };
        format!(
            "| {name} | {rows} | {tested} | {decided} | {must} | {should} | {may} | {finished} |\n"
        )
    }
}

/// The text of the report.
pub fn report(audit: &Audit) -> String {
    let mut summary = String::from(
        "\n| rows | all | tested | decided | uncovered MUST | SHOULD | MAY | |\n|---|--:|--:|--:|--:|--:|--:|---|\n",
    );
    let mut details = String::new();
    for table in &audit.tables {
        let name = table.name();
        let _ = write!(details, "\n## {name}\n");
        let finished = |scope: &str| audit.finished.iter().any(|finished| finished == scope);
        for section in &table.sections {
            let mut counts = Counts::default();
            let title = &section.title;
            let _ = write!(
                details,
                "\n### {title}\n\n| row | level | covered by |\n|---|---|---|\n"
            );
            for row in &section.rows {
                counts.add(audit, row);
                let (id, keyword) = (&row.id, &row.keyword);
                let _ = writeln!(details, "| {id} | {keyword} | {} |", evidence(audit, row));
            }
            let whole = finished(name) || section.rows.iter().all(|row| finished(row.prefix()));
            summary
                .push_str(&counts.line(&format!("[{name}](requirements/{name}): {title}"), whole));
        }
    }
    format!("{HEAD}{summary}{details}")
}

fn evidence(audit: &Audit, row: &Row) -> String {
    if row.withdrawn {
        return "withdrawn".into();
    }
    let mut parts = Vec::new();
    let mut by_file: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for test in audit.tests_of(&row.id) {
        by_file
            .entry(&test.file)
            .or_default()
            .push(format!("`{}`", test.name));
    }
    for (file, names) in by_file {
        parts.push(format!("{file}: {}", names.join(", ")));
    }
    parts.extend(
        audit
            .decision_of(&row.id)
            .map(|decision| match &decision.ruling {
                Ruling::Deviation(reason) => format!("**deviation:** {reason}"),
                Ruling::Declined(reason) => format!("declined: {reason}"),
                Ruling::Documented(place) => {
                    let from_docs = place.strip_prefix("docs/").map(String::from);
                    let link = from_docs.unwrap_or_else(|| format!("../{place}"));
                    format!(
                        "documented in [{}]({link})",
                        place.split('#').next().unwrap_or(place)
                    )
                }
            }),
    );
    if parts.is_empty() {
        return "*uncovered*".into();
    }
    parts.join("; ")
}

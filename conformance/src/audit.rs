//! The tables, the tests and the decisions held against each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{self, Decision, Ruling};
use crate::fault::{Fault, FaultKind};
use crate::files::Files;
use crate::row::{Level, Row, Table};
use crate::source::{self, Test};

/// Where the tables lie.
const TABLES: &str = "docs/requirements/";
/// Where the decisions lie, in one file a table and of its name.
const DECISIONS: &str = "docs/requirements/deviations/";
/// What must be covered whole: one scope a line.
pub const FINISHED: &str = "docs/requirements/finished.txt";

/// All that was read, and what contradicts in it.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// In the order of their paths.
    pub tables: Vec<Table>,
    /// Those that cite, in the order of their files.
    pub tests: Vec<Test>,
    /// In the order of their files.
    pub decisions: Vec<Decision>,
    /// Tables (`stun.md`) and prefixes (`NATDISC`) that must be covered whole.
    pub finished: Vec<String>,
    /// What is wrong, in the order of the files.
    pub faults: Vec<Fault>,
}

impl Audit {
    /// Reads and checks.
    pub fn of(files: &Files) -> Self {
        let mut audit = Self::default();
        let faults = &mut audit.faults;
        for (path, text) in files.of_kind(TABLES, "md") {
            if !path.starts_with(DECISIONS) && !path.ends_with("/README.md") {
                audit.tables.push(Table::parse(path, text, faults));
            }
        }
        for (path, text) in files.of_kind("", "rs") {
            audit.tests.extend(source::citations(path, text, faults));
        }
        for (path, text) in files.of_kind(DECISIONS, "md") {
            audit
                .decisions
                .extend(decision::decisions(path, text, faults));
        }
        let scopes = files.get(FINISHED).unwrap_or_default().lines();
        let scopes = scopes.filter(|line| !line.is_empty() && !line.starts_with('#'));
        audit.finished = scopes.map(String::from).collect();

        audit.check_tables();
        audit.check_tests();
        audit.check_decisions(files);
        audit.check_finished();
        audit.faults.sort();
        audit
    }

    /// All rows of all tables.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.tables.iter().flat_map(Table::rows)
    }

    /// The rows of a scope: a table or a prefix of ids.
    pub fn scope(&self, scope: &str) -> impl Iterator<Item = &Row> {
        let tables = self.tables.iter();
        let rows = tables.flat_map(|table| table.rows().map(move |row| (table, row)));
        rows.filter(move |(table, row)| table.name() == scope || row.prefix() == scope)
            .map(|(_, row)| row)
    }

    /// The tests that cite a row.
    pub fn tests_of(&self, id: &str) -> impl Iterator<Item = &Test> {
        self.tests
            .iter()
            .filter(move |test| test.rows.iter().any(|row| row == id))
    }

    /// What was decided about a row.
    pub fn decision_of(&self, id: &str) -> Option<&Decision> {
        self.decisions.iter().find(|decision| decision.row == id)
    }

    fn fault(&mut self, file: &str, line: usize, kind: FaultKind) {
        self.faults.push(Fault {
            file: file.into(),
            line,
            kind,
        });
    }

    fn check_tables(&mut self) {
        let mut seen = BTreeSet::new();
        let mut faults = Vec::new();
        for table in &self.tables {
            for row in table.rows() {
                if !seen.insert(&row.id) {
                    faults.push((table.path.clone(), row.line, row.id.clone()));
                }
            }
        }
        for (path, line, id) in faults {
            self.fault(&path, line, FaultKind::DuplicateRow(id));
        }
    }

    /// The row of an id, or what is wrong with naming it.
    fn lookup(&self, id: &str) -> Result<&Row, FaultKind> {
        match self.rows().find(|row| row.id == id) {
            None => Err(FaultKind::UnknownRow(id.into())),
            Some(row) if row.withdrawn => Err(FaultKind::WithdrawnRow(id.into())),
            Some(row) => Ok(row),
        }
    }

    fn check_tests(&mut self) {
        for test in self.tests.clone() {
            for id in &test.rows {
                if let Err(kind) = self.lookup(id) {
                    self.fault(&test.file, test.line, kind);
                }
            }
        }
    }

    fn check_decisions(&mut self, files: &Files) {
        let mut tables = BTreeMap::new();
        for table in &self.tables {
            for row in table.rows() {
                tables.insert(row.id.clone(), table.name().to_string());
            }
        }
        let mut seen = BTreeSet::new();
        for decision in self.decisions.clone() {
            let id = &decision.row;
            let kinds = match self.lookup(id) {
                Err(kind) => vec![kind],
                Ok(row) => {
                    let mut kinds = Vec::new();
                    if decision.file != format!("{DECISIONS}{}", tables[id]) {
                        kinds.push(FaultKind::WrongFile(id.clone()));
                    }
                    if !seen.insert(id.clone()) {
                        kinds.push(FaultKind::SecondDecision(id.clone()));
                    }
                    kinds.extend(self.check_ruling(row, &decision.ruling, files));
                    kinds
                }
            };
            for kind in kinds {
                self.fault(&decision.file, decision.line, kind);
            }
        }
    }

    fn check_ruling(&self, row: &Row, ruling: &Ruling, files: &Files) -> Option<FaultKind> {
        let id = row.id.clone();
        match ruling {
            Ruling::Deviation(reason) | Ruling::Declined(reason)
                if !decision::says_something(reason) =>
            {
                Some(FaultKind::NoReason(id))
            }
            Ruling::Deviation(_) => (row.level == Level::May).then_some(FaultKind::Optional(id)),
            Ruling::Declined(_) if row.level != Level::May => Some(FaultKind::NotOptional(id)),
            Ruling::Declined(_) => self
                .tests_of(&id)
                .next()
                .map(|_| FaultKind::DeclinedButTested(id.clone())),
            Ruling::Documented(_) if !row.is_documentary() => Some(FaultKind::Testable(id)),
            Ruling::Documented(place) => decision::place(files, place, &id).err(),
        }
    }

    fn check_finished(&mut self) {
        for scope in self.finished.clone() {
            if self.scope(&scope).next().is_none() {
                self.fault(FINISHED, 0, FaultKind::UnknownScope(scope.clone()));
            }
            let uncovered = |row: &&Row| {
                row.level == Level::Must
                    && !row.withdrawn
                    && self.tests_of(&row.id).next().is_none()
                    && self.decision_of(&row.id).is_none()
            };
            let rows: Vec<_> = self.scope(&scope).filter(uncovered).cloned().collect();
            for row in rows {
                let table = self
                    .tables
                    .iter()
                    .find(|table| table.rows().any(|r| r.id == row.id));
                let path = table.map(|table| table.path.clone()).unwrap_or_default();
                self.fault(&path, row.line, FaultKind::Uncovered(row.id));
            }
        }
    }
}

//! The requirement tables.

use crate::fault::{Fault, FaultKind};

/// The level of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// MUST, MUST NOT, and what the RFC states as fact (`RULE`) or syntax (`FORMAT`).
    Must,
    /// SHOULD, RECOMMENDED and their opposites.
    Should,
    /// MAY.
    May,
}

/// One requirement.
#[derive(Clone, Debug)]
pub struct Row {
    /// `STUN-6.2.1-11`
    pub id: String,
    /// As the table has it: `MUST NOT`.
    pub keyword: String,
    /// What it amounts to.
    pub level: Level,
    /// Whom it binds.
    pub role: String,
    /// In the table's words.
    pub requirement: String,
    /// What a test can look at.
    pub observable: String,
    /// Whether it was struck out.
    pub withdrawn: bool,
    /// Line in its file, from 1.
    pub line: usize,
}

/// The rows below one heading.
#[derive(Clone, Debug)]
pub struct Section {
    /// The heading without its `#`.
    pub title: String,
    /// In the table's order.
    pub rows: Vec<Row>,
}

/// One file of requirements.
#[derive(Clone, Debug)]
pub struct Table {
    /// Path from the root of the repository.
    pub path: String,
    /// Those that have rows.
    pub sections: Vec<Section>,
}

const HEADER: &str = "| id | § | level | role | requirement | observable |";

impl Level {
    fn of(keyword: &str) -> Option<Self> {
        Some(match keyword {
            "MUST" | "MUST NOT" | "RULE" | "FORMAT" => Self::Must,
            "SHOULD" | "SHOULD NOT" | "RECOMMENDED" | "NOT RECOMMENDED" => Self::Should,
            "MAY" => Self::May,
            _ => return None,
        })
    }
}

impl Row {
    /// What stands before the section: `STUN`.
    pub fn prefix(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Whether no code can be looked at, so that it is enough to write down what holds: advice to people, rules
    /// for other specifications, settings of software that is not ours.
    pub fn is_documentary(&self) -> bool {
        const ROLES: [&str; 4] = ["admin", "app", "ext", "usage"];
        const WORDS: [&str; 8] = [
            "doc",
            "doc/config",
            "documentation",
            "documented",
            "n/a",
            "config",
            "integration",
            "scope",
        ];
        let mut words = self
            .observable
            .split(|c: char| !c.is_alphanumeric() && c != '/');
        ROLES.contains(&self.role.as_str()) || words.any(|word| WORDS.contains(&word))
    }

    fn parse(line: &str, at: usize, section: &str) -> Option<Self> {
        let cells: Vec<_> = line
            .strip_prefix('|')?
            .strip_suffix('|')?
            .split('|')
            .map(str::trim)
            .collect();
        let [id, number, keyword, role, requirement, observable] = cells[..] else {
            return None;
        };
        let prefix = id.split('-').next()?;
        let fits = is_id(id)
            && section.contains(&format!("`{prefix}-…`"))
            && id.strip_prefix(prefix)?.starts_with(&format!("-{number}-"))
            && !requirement.is_empty();
        fits.then_some(Self {
            id: id.into(),
            keyword: keyword.into(),
            level: Level::of(keyword)?,
            role: role.into(),
            requirement: requirement.into(),
            observable: observable.into(),
            withdrawn: requirement.contains("(withdrawn)"),
            line: at,
        })
    }
}

impl Table {
    /// Reads a file; what is no row in a table of requirements is a fault.
    pub(crate) fn parse(path: &str, text: &str, faults: &mut Vec<Fault>) -> Self {
        let mut table = Self {
            path: path.into(),
            sections: Vec::new(),
        };
        let mut title = String::new();
        let mut inside = false;
        for (at, line) in (1..).zip(text.lines()) {
            if let Some(heading) = line.strip_prefix("## ") {
                title = heading.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            if line == HEADER {
                inside = true;
                table.sections.push(Section {
                    title: title.clone(),
                    rows: Vec::new(),
                });
            } else if !line.starts_with('|') {
                inside = false;
            } else if inside && !line.starts_with("|---") {
                match Row::parse(line, at, &title) {
                    Some(row) => table.sections.last_mut().into_iter().for_each(|section| {
                        section.rows.push(row.clone());
                    }),
                    None => faults.push(Fault {
                        file: path.into(),
                        line: at,
                        kind: FaultKind::BadRow,
                    }),
                }
            }
        }
        table
    }

    /// Without the directory: `stun.md`.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }
}

/// Whether a word is written like the id of a row: `STUN-6.2.1-11`.
pub(crate) fn is_id(word: &str) -> bool {
    let mut parts = word.split('-');
    let prefix = parts.next().unwrap_or_default();
    let number = parts.next_back().unwrap_or_default();
    let section = word
        .get(prefix.len()..word.len() - number.len())
        .unwrap_or_default();
    !prefix.is_empty()
        && prefix
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && section.len() > 2
        && section
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

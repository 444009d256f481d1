//! What is written down instead of tested.

use crate::fault::{Fault, FaultKind};
use crate::files::Files;
use crate::row::is_id;

/// Fewer letters than these give no reason and say nothing.
const LEAST_LETTERS: usize = 25;

/// A decision about one row.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The id of the row.
    pub row: String,
    /// What was decided.
    pub ruling: Ruling,
    /// Path from the root of the repository.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// floe does otherwise, for this reason.
    Deviation(String),
    /// What floe may do, it does not, for this reason.
    Declined(String),
    /// What holds is said there: `docs/operating.md#heading`.
    Documented(String),
}

const KEYWORDS: [&str; 3] = ["deviation:", "declined:", "documented:"];

/// Reads a file of decisions: each is a paragraph of its own, whatever else stands there is for the reader.
pub(crate) fn decisions(file: &str, text: &str, faults: &mut Vec<Fault>) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for (line, paragraph) in paragraphs(text) {
        let keywords = KEYWORDS
            .iter()
            .filter_map(|keyword| paragraph.split_once(keyword));
        // A keyword somewhere in a paragraph is a decision meant, and lost.
        let meant = keywords
            .clone()
            .any(|(_, after)| is_id(after.split_whitespace().next().unwrap_or_default()));
        let count = KEYWORDS
            .iter()
            .map(|keyword| paragraph.matches(keyword).count())
            .sum::<usize>();
        match decision(&paragraph) {
            Some((row, ruling)) if count == 1 => decisions.push(Decision {
                row,
                ruling,
                file: file.into(),
                line,
            }),
            None if !meant
                && !KEYWORDS
                    .iter()
                    .any(|keyword| paragraph.starts_with(keyword)) => {}
            _ => faults.push(Fault {
                file: file.into(),
                line,
                kind: FaultKind::MalformedDecision,
            }),
        }
    }
    decisions
}

fn decision(paragraph: &str) -> Option<(String, Ruling)> {
    let (keyword, rest) = paragraph.split_once(": ")?;
    let (row, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = text.to_string();
    let ruling = match keyword {
        "deviation" => Ruling::Deviation(text),
        "declined" => Ruling::Declined(text),
        "documented" if text.contains(".md#") && !text.contains(' ') => Ruling::Documented(text),
        _ => return None,
    };
    is_id(row).then(|| (row.into(), ruling))
}

/// Whether this is enough to be a reason.
pub(crate) fn says_something(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphabetic()).count() >= LEAST_LETTERS
}

/// Whether there is exactly one such heading, and one paragraph below it that names the row and says something.
pub(crate) fn place(files: &Files, place: &str, row: &str) -> Result<(), FaultKind> {
    let nowhere = || FaultKind::NoSuchPlace(row.into());
    let (path, anchor) = place.split_once('#').ok_or_else(nowhere)?;
    let text = files.get(path).ok_or_else(nowhere)?;
    let mut sections = sections(text)
        .into_iter()
        .filter(|(heading, _)| *heading == anchor);
    let (Some((_, section)), None) = (sections.next(), sections.next()) else {
        return Err(nowhere());
    };
    let told = paragraphs(&section).iter().any(|(_, paragraph)| {
        let words = || paragraph.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '.');
        let mut named = words()
            .map(|word| word.trim_end_matches('.'))
            .filter(|word| is_id(word));
        let prose: String = words()
            .filter(|word| !is_id(word.trim_end_matches('.')))
            .collect();
        named.any(|word| word == row) && says_something(&prose)
    });
    if told {
        Ok(())
    } else {
        Err(FaultKind::PlaceSaysNothing(row.into()))
    }
}

/// The headings of a text as links name them, with what stands below each up to the next.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    let mut code = false;
    for line in text.lines() {
        code ^= line.starts_with("```");
        if !code && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let anchor = kept
                .map(|c| if c == ' ' { '-' } else { c })
                .collect::<String>();
            sections.push((anchor.to_lowercase(), String::new()));
        } else if let Some((_, section)) = sections.last_mut() {
            section.push_str(line);
            section.push('\n');
        }
    }
    sections
}

/// Paragraphs and list items, each on one line, with the number of their first.
fn paragraphs(text: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (at, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() {
            open = false;
        } else if open && !line.starts_with("- ") {
            let (_, paragraph) = paragraphs.last_mut().expect("one is open");
            paragraph.push(' ');
            paragraph.push_str(line);
        } else {
            paragraphs.push((at, line.into()));
            open = true;
        }
    }
    paragraphs
}

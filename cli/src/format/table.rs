//! A table for people: a row for each offering side, a column for each answering side.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{Cell as TableCell, CellAlignment, presets};
use floe_sim::{Judgement, Path, Preset};

use super::Format;
use crate::matrix::Plan;
use crate::run::{Run, Verdict};
use crate::style::{self, paint};

/// How many runs that went wrong are named.
const NAMED: usize = 10;

#[derive(Clone, Debug)]
pub(crate) struct Table {
    plan: Plan,
    cells: BTreeMap<(Preset, Preset), Cell>,
    total: Tally,
    /// The first runs of each judgement but "agreed".
    wrong: BTreeMap<Judgement, Vec<Run>>,
}

/// How often what came out.
#[derive(Clone, Debug, Default)]
struct Tally {
    outcomes: BTreeMap<Path, u64>,
    judgements: BTreeMap<Judgement, u64>,
}

impl Tally {
    fn count(&mut self, run: &Run) {
        *self.outcomes.entry(run.outcome).or_default() += 1;
        *self.judgements.entry(run.judgement).or_default() += 1;
    }
}

/// The runs of a cell.
#[derive(Clone, Debug, Default)]
struct Cell {
    tally: Tally,
    selected: Vec<Duration>,
}

impl Table {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            cells: BTreeMap::new(),
            total: Tally::default(),
            wrong: BTreeMap::new(),
        }
    }
}

impl Format for Table {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Plan {
            seeds, conditions, ..
        } = &self.plan;
        let median = if seeds.count() == Some(1) {
            ""
        } else {
            "median "
        };
        writeln!(
            out,
            "Rows offer, columns answer. Path, and {median}ms from the offer to the selected pair on \
             the later side.\n{seeds}, {conditions}\n"
        )
    }

    fn run(&mut self, run: &Run, _: &mut dyn Write) -> io::Result<()> {
        let cell = self.cells.entry((run.a, run.b)).or_default();
        cell.tally.count(run);
        cell.selected.extend(run.selected);
        self.total.count(run);
        if run.judgement != Judgement::Agreed {
            let named = self.wrong.entry(run.judgement).or_default();
            if named.len() < NAMED {
                named.push(*run);
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING);
        let heads = self.plan.nats.iter().map(|nat| heading(*nat));
        table.set_header(std::iter::once(TableCell::new("")).chain(heads));
        for &a in &self.plan.nats {
            let row = self.plan.nats.iter().map(|&b| {
                let cell = self.cells.get(&(a, b)).map(Cell::text);
                TableCell::new(cell.unwrap_or_default())
            });
            if self.plan.seeds.count() != Some(1) && table.row_count() > 0 {
                // Cells may have many lines: something must part the rows.
                table.add_row([""]);
            }
            table.add_row(std::iter::once(heading(a)).chain(row));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 1));
            column.set_cell_alignment(CellAlignment::Left);
        }
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        self.summary(out)
    }
}

/// How wide a heading may be: as wide as most cells.
const HEADING: usize = 10;

/// A name, broken in two if it is long.
fn heading(nat: Preset) -> TableCell {
    let lines: Vec<_> = match nat.name().split_once('-') {
        Some((first, second)) if nat.name().len() > HEADING => {
            vec![format!("{first}-"), second.to_owned()]
        }
        _ => vec![nat.name().to_owned()],
    };
    let lines: Vec<_> = lines
        .iter()
        .map(|line| paint(style::HEADING, line))
        .collect();
    TableCell::new(lines.join("\n"))
}

impl Cell {
    /// What a cell says, on one to six lines.
    fn text(&self) -> String {
        let runs: u64 = self.tally.outcomes.values().sum();
        let mut lines = Vec::new();
        let median = median(&self.selected).map(|ms| ms.to_string());
        if self.tally.outcomes.len() == 1 {
            for &path in self.tally.outcomes.keys() {
                let text = match &median {
                    Some(ms) => format!("{} {ms}", short(path)),
                    None => short(path).to_owned(),
                };
                lines.push(paint(style::path(path), text));
            }
        } else {
            // The best first.
            for (&path, &count) in self.tally.outcomes.iter().rev() {
                let text = format!("{} {}", short(path), share(count, runs));
                lines.push(paint(style::path(path), text));
            }
            lines.extend(median.map(|ms| format!("{ms} ms")));
        }
        for (&judgement, &count) in &self.tally.judgements {
            let name = match judgement {
                Judgement::Agreed => continue,
                Judgement::RelayAvoidable => "avoidable",
                Judgement::AgentMissedAPath => "missed",
                Judgement::OracleWrong => "oracle!",
            };
            let text = match runs {
                1 => name.to_owned(),
                _ => format!("{count} {name}"),
            };
            lines.push(paint(style::judgement(judgement), text));
        }
        lines.join("\n")
    }
}

/// The outcome in a cell.
const fn short(path: Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::Relayed => "relay",
        Path::None => "none",
    }
}

/// A share in percent; none that is not is shown as nothing or all.
fn share(count: u64, of: u64) -> String {
    match (count * 200 + of) / (of * 2) {
        0 => "<1%".to_owned(),
        100 if count < of => ">99%".to_owned(),
        percent => format!("{percent}%"),
    }
}

/// The lower median, in milliseconds.
fn median(times: &[Duration]) -> Option<u128> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let middle = times.get(times.len().checked_sub(1)? / 2)?;
    Some((middle.as_micros() + 500) / 1_000)
}

impl Table {
    fn summary(&self, out: &mut dyn Write) -> io::Result<()> {
        let runs: u64 = self.total.outcomes.values().sum();
        let outcomes = [Path::Direct, Path::Relayed, Path::None].map(|path| {
            let count = self.total.outcomes.get(&path).copied().unwrap_or(0);
            paint(style::path(path), format!("{count} {path}"))
        });
        let judgements: Vec<_> = self
            .total
            .judgements
            .iter()
            .map(|(&judgement, count)| {
                paint(style::judgement(judgement), format!("{count} {judgement}"))
            })
            .collect();
        writeln!(
            out,
            "\n{runs} runs: {}. Oracle: {}.",
            outcomes.join(", "),
            judgements.join(", ")
        )?;
        // The gravest first.
        for run in self.wrong.values().rev().flatten().take(NAMED) {
            let style = match Verdict::of(run.judgement, self.plan.conditions.loss) {
                Verdict::Passed => style::DETAIL,
                _ => style::judgement(run.judgement),
            };
            writeln!(
                out,
                "  {}  floe pair {} {} --seed {}{}",
                paint(style, format_args!("{:19}", run.judgement)),
                run.a,
                run.b,
                run.seed,
                self.plan.conditions.options(),
            )?;
        }
        let agreed = self.total.judgements.get(&Judgement::Agreed);
        let wrong = runs - agreed.copied().unwrap_or(0);
        match wrong.checked_sub(NAMED as u64) {
            None | Some(0) => Ok(()),
            Some(more) => writeln!(out, "  and {more} more: see --format csv or json"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_nothing_or_all_only_if_it_is() {
        assert_eq!(share(1, 2), "50%");
        assert_eq!(share(1, 1_000), "<1%");
        assert_eq!(share(999, 1_000), ">99%");
        assert_eq!(share(1_000, 1_000), "100%");
        assert_eq!(share(1, 3), "33%");
    }

    #[test]
    fn the_median_of_an_even_number_is_the_lower_one() {
        let ms = Duration::from_millis;
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[ms(9), ms(1), ms(5)]), Some(5));
        assert_eq!(median(&[ms(4), ms(3), ms(2), ms(1)]), Some(2));
        assert_eq!(median(&[Duration::from_micros(1_500)]), Some(2));
    }
}

//! The tables for people.

use std::io::{self, Write};

use comfy_table::{Cell as TableCell, CellAlignment, Table, presets};

use super::Connect;
use super::args::ConnectArgs;
use super::other::Other;
use super::pairs::{Cell, HOSTS, Pairs};
use super::policies::{Policies, Spread};
use crate::style::{self, paint};

pub(super) fn print(connect: &Connect, args: &ConnectArgs, out: &mut impl Write) -> io::Result<()> {
    let title = paint(style::HEADING, "How fast peers connect");
    writeln!(
        out,
        "{title}, seed {}, {} draws: ms of virtual time from the offer, above 2σ\n",
        args.seed, args.draws
    )?;
    pairs(&connect.pairs, out)?;
    policies(&connect.policies, out)?;
    other(&connect.other, out)
}

/// To a tenth of a millisecond.
fn ms(value: f64) -> String {
    format!("{value:.1}")
}

fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), ms)
}

fn mark(passed: bool, missed: impl Into<String>) -> String {
    if passed {
        paint(style::GOOD, "met")
    } else {
        paint(style::ERROR, missed.into())
    }
}

fn table(
    out: &mut impl Write,
    left: usize,
    heads: &[String],
    rows: Vec<Vec<String>>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(
        heads
            .iter()
            .map(|head| TableCell::new(paint(style::HEADING, head))),
    );
    for row in rows {
        table.add_row(row);
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        column.set_cell_alignment(if number < left {
            CellAlignment::Left
        } else {
            CellAlignment::Right
        });
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)
}

fn pairs(pairs: &Pairs, out: &mut impl Write) -> io::Result<()> {
    let mut heads: Vec<String> = ["offers", "answers", "path", "floor", "p50"]
        .map(Into::into)
        .into();
    for hosts in HOSTS {
        let first = match hosts {
            1 => "1 address: can send".to_owned(),
            _ => format!("{hosts} addresses: can send"),
        };
        heads.push(first);
        heads.extend(["over floor", "selected", "STUN", "goal"].map(Into::into));
    }
    let cell = |cell: &Cell| {
        let missed = if cell.agreed < cell.runs {
            format!("{} of {} wrong", cell.runs - cell.agreed, cell.runs)
        } else {
            format!("+{}", maybe(cell.worst_over_goal_ms))
        };
        [
            maybe(cell.can_send_ms),
            maybe(cell.worst_over_floor_ms),
            maybe(cell.selected_ms),
            format!(
                "{}+{}",
                cell.direct_messages,
                cell.messages - cell.direct_messages
            ),
            mark(cell.passed, missed),
        ]
    };
    let rows = pairs.rows.iter().map(|row| {
        let mut line = vec![
            row.offers.to_owned(),
            row.answers.to_owned(),
            row.path.to_owned(),
            row.floor.to_owned(),
            ms(row.floor_ms),
        ];
        line.extend(row.cells.iter().flat_map(cell));
        line
    });
    table(out, 4, &heads, rows.collect())?;
    let cells = || pairs.rows.iter().flat_map(|row| &row.cells);
    let met = cells().filter(|cell| cell.passed).count();
    writeln!(
        out,
        "{met} of {} goals met. Medians; \"over floor\" is the worst draw's; a missed goal is missed by so \
         many ms in the worst draw. STUN: checks and answers until both had selected, and those through a relay.\n",
        cells().count()
    )
}

fn policies(policies: &Policies, out: &mut impl Write) -> io::Result<()> {
    let heads = [
        "p50/p95",
        "port-port 0 % valid",
        "selected",
        "5 % valid",
        "selected",
        "sym-sym 0 % selected",
        "5 % selected",
        "STUN",
        "relay picked port-port 0/5 %",
        "open-port 0/5 %",
    ];
    let spread = |spread: &Spread| {
        let failed = match spread.failed {
            0 => String::new(),
            failed => format!(" ({failed} failed)"),
        };
        format!("{:.0}/{:.0}{failed}", spread.p50_ms, spread.p95_ms)
    };
    let rows = policies.rows.iter().map(|row| {
        let picked = |[none, five]: [f64; 2]| format!("{none:.1} % / {five:.1} %");
        vec![
            row.policy.to_owned(),
            spread(&row.port_valid[0]),
            spread(&row.port_selected[0]),
            spread(&row.port_valid[1]),
            spread(&row.port_selected[1]),
            spread(&row.symmetric_selected[0]),
            spread(&row.symmetric_selected[1]),
            row.messages.to_string(),
            picked(row.port_relay_picked),
            picked(row.open_port_relay_picked),
        ]
    });
    table(out, 1, &heads.map(Into::into), rows.collect())
}

fn other(other: &Other, out: &mut impl Write) -> io::Result<()> {
    let heads = ["figure", "measured", "goal", ""].map(Into::into);
    let rows = other.figures.iter().map(|figure| {
        vec![
            figure.name.clone(),
            figure.value.clone(),
            figure.goal.to_owned(),
            mark(figure.passed, "missed"),
        ]
    });
    table(out, 1, &heads, rows.collect())
}

//! `floe nat list`: the kinds of NAT.

use std::io::{self, Write};

use comfy_table::{Cell, Table, presets};
use floe_sim::{Layer, Preset};
use serde::Serialize;

use crate::args::ListFormat;
use crate::error::Error;
use crate::run::Verdict;
use crate::style::{self, paint};

pub(crate) fn list(format: ListFormat, out: &mut impl Write) -> Result<Verdict, Error> {
    match format {
        ListFormat::Table => table(out)?,
        ListFormat::Json => json(out)?,
    }
    Ok(Verdict::Passed)
}

/// A kind as programs read it.
#[derive(Debug, Serialize)]
struct Kind {
    name: &'static str,
    description: &'static str,
    /// The nearest to the host first.
    layers: Vec<KindLayer>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum KindLayer {
    Nat {
        mapping: &'static str,
        filtering: &'static str,
        allocation: &'static str,
        hairpin: &'static str,
        refresh: &'static str,
        timer_new_s: u64,
        timer_established_s: u64,
        tcp_timer_new_s: u64,
        tcp_timer_established_s: u64,
    },
    Firewall {
        blocks: &'static str,
    },
    Other {
        text: String,
    },
}

impl Kind {
    fn of(nat: Preset) -> Self {
        Self {
            name: nat.name(),
            description: nat.description(),
            layers: nat.layers().iter().map(KindLayer::of).collect(),
        }
    }
}

impl KindLayer {
    fn of(layer: &Layer) -> Self {
        match layer {
            Layer::Nat(config) => Self::Nat {
                mapping: config.mapping.name(),
                filtering: config.filtering.name(),
                allocation: config.allocation.name(),
                hairpin: config.hairpin.name(),
                refresh: config.refresh.name(),
                timer_new_s: config.timers.new.as_secs(),
                timer_established_s: config.timers.established.as_secs(),
                tcp_timer_new_s: config.tcp_timers.new.as_secs(),
                tcp_timer_established_s: config.tcp_timers.established.as_secs(),
            },
            Layer::Firewall(firewall) => Self::Firewall {
                blocks: firewall.name().trim_start_matches("block-"),
            },
            other => Self::Other {
                text: other.to_string(),
            },
        }
    }
}

fn json(out: &mut impl Write) -> io::Result<()> {
    let kinds = Preset::ALL.map(Kind::of);
    serde_json::to_writer_pretty(&mut *out, &kinds)?;
    writeln!(out)
}

fn table(out: &mut impl Write) -> io::Result<()> {
    for nat in Preset::ALL {
        let name = paint(style::HEADING, format_args!("{:20}", nat.name()));
        writeln!(out, "{name}  {}", nat.description())?;
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let head = [
        "",
        "layer",
        "mapping",
        "filtering",
        "ports",
        "hairpin",
        "refresh",
        "timers",
        "of TCP",
    ];
    table.set_header(head.map(|name| paint(style::HEADING, name)));
    for nat in Preset::ALL {
        let kind = Kind::of(nat);
        if kind.layers.is_empty() {
            table.add_row([paint(style::HEADING, kind.name), "–".to_owned()]);
        }
        for (depth, layer) in kind.layers.iter().enumerate() {
            // Where there are two, the second is the carrier's.
            let name = if depth == 0 { kind.name } else { "" };
            let mut row = vec![Cell::new(paint(style::HEADING, name))];
            row.extend(cells(layer).into_iter().map(Cell::new));
            table.add_row(row);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    writeln!(out)?;
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(
        out,
        "\nMapping and filtering: on what of the other side they depend (RFC 4787 §4.1, §5). Layers: \
         the nearest to the\nhost first. Timers, of UDP and of TCP: until something has come back / \
         from then on. Refresh: by packets of\nwhich direction."
    )
}

/// What a layer's row says.
fn cells(layer: &KindLayer) -> Vec<String> {
    let short = |name: &str| match name {
        "endpoint-independent" => "nothing".to_owned(),
        name => name
            .trim_end_matches("-dependent")
            .replace("address-and-port", "address and port"),
    };
    match layer {
        KindLayer::Nat {
            mapping,
            filtering,
            allocation,
            hairpin,
            refresh,
            timer_new_s,
            timer_established_s,
            tcp_timer_new_s,
            tcp_timer_established_s,
        } => vec![
            "NAT".to_owned(),
            short(mapping),
            short(filtering),
            (*allocation).to_owned(),
            (*hairpin).to_owned(),
            (*refresh).to_owned(),
            format!("{timer_new_s} s / {timer_established_s} s"),
            format!("{tcp_timer_new_s} s / {tcp_timer_established_s} s"),
        ],
        KindLayer::Firewall { blocks } => {
            vec![
                "firewall".to_owned(),
                format!("blocks {}", blocks.to_uppercase()),
            ]
        }
        KindLayer::Other { text } => vec![text.clone()],
    }
}

//! `floe pair`: one negotiation, told packet by packet.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path as FilePath;

use floe_sim::{Judgement, Log, Path, Preset, Report};

use crate::args::{PairArgs, PairFormat};
use crate::error::Error;
use crate::format::{Format, Json};
use crate::ladder;
use crate::quantity::Millis;
use crate::run::{Run, Verdict};
use crate::style::{self, paint};

/// What stands for standard output.
const STDOUT: &str = "-";

pub(crate) fn run(args: &PairArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let &PairArgs { a, b, seed, .. } = args;
    let trace = args.trace.as_deref();
    let piped = trace == Some(FilePath::new(STDOUT));
    // A file that cannot be written is said before anything else.
    let file = match trace {
        Some(path) if !piped => Some((
            path,
            File::create(path).map_err(|error| Error::Trace(path.into(), error))?,
        )),
        _ => None,
    };

    let told = args.format == PairFormat::Text && !piped && !args.no_ladder;
    let mut config = args.conditions.session(a, b, seed);
    config.record = told || trace.is_some();
    let (report, log) = config
        .run()
        .map_err(|error| Error::Session { a, b, seed, error })?;

    if let Some((path, file)) = file {
        write_trace(&log, file).map_err(|error| Error::Trace(path.into(), error))?;
    }
    if piped {
        log.write_json_lines(out)?;
    } else if args.format == PairFormat::Json {
        let mut json = Json::default();
        json.begin(out)?;
        json.run(&Run::read(&report, a, b, seed), out)?;
        json.end(out)?;
    } else {
        heading(args, out)?;
        if told {
            ladder::print(&log, &report, &config.world(), out)?;
        }
        result(&report, out)?;
    }
    Ok(Verdict::of(report.judgement, args.conditions.loss))
}

fn write_trace(log: &Log, file: File) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    log.write_json_lines(&mut file)?;
    file.flush()
}

fn heading(args: &PairArgs, out: &mut impl Write) -> io::Result<()> {
    let &PairArgs { a, b, seed, .. } = args;
    let title = paint(style::HEADING, format_args!("{a} × {b}"));
    writeln!(out, "{title}, seed {seed}, {}", args.conditions)?;
    for (side, nat) in [("a offers ", a), ("b answers", b)] {
        writeln!(out, "  {side}  {nat}: {}", nat.description())?;
        layers(nat, out)?;
    }
    writeln!(out)
}

fn layers(nat: Preset, out: &mut impl Write) -> io::Result<()> {
    for layer in nat.layers() {
        // Two lines, for there are many axes.
        let layer = layer.to_string();
        let (first, second) = match layer.find(", refresh ") {
            Some(at) => (&layer[..at], Some(&layer[at + 2..])),
            None => (layer.as_str(), None),
        };
        for line in std::iter::once(first).chain(second) {
            writeln!(out, "             {}", paint(style::DETAIL, line))?;
        }
    }
    Ok(())
}

fn result(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut line = |name: &str, text: &str| {
        let name = paint(style::HEADING, format_args!("{name:9}"));
        writeln!(out, "{name} {text}")
    };
    let expected = report.expectation;
    line("path", &paint(style::path(report.outcome), report.outcome))?;
    if let (Some((local, remote)), Some((_, pair))) = (report.pair(), report.sides[0].selected) {
        let (local, remote) = (local.name(), remote.name());
        let (a, b) = (pair.local.address, pair.remote.address);
        line("pair", &format!("{local} {a} ↔ {remote} {b}, seen from a"))?;
    }
    if let (Some(valid), Some(selected)) = (report.valid(), report.selected()) {
        let (valid, selected) = (Millis(valid), Millis(selected));
        line(
            "times",
            &format!(
                "{valid} ms from the offer to a pair that works, {selected} ms to the selected one, \
                 on the later side"
            ),
        )?;
    }
    line(
        "messages",
        &format!(
            "{} checks and answers until both had decided, {} with the server",
            report.stun_messages(),
            report.gathering_messages()
        ),
    )?;
    let certain = if expected.certain {
        "certainly"
    } else {
        "not certainly"
    };
    let expectation = match expected.path {
        Path::Direct => "a direct path is possible",
        Path::Relayed => "a relayed path is the best there can be",
        Path::None => "no path is possible",
    };
    line("oracle", &format!("{certain}, {expectation}"))?;
    let verdict = match report.judgement {
        Judgement::Agreed => "the agents found what the oracle expects",
        Judgement::RelayAvoidable => "relayed, though a direct path is possible",
        Judgement::AgentMissedAPath => "not connected, though a path is possible",
        Judgement::OracleWrong => "the oracle is refuted",
    };
    let name = paint(style::judgement(report.judgement), report.judgement);
    line("verdict", &format!("{name}: {verdict}"))
}

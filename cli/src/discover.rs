//! `floe discover`: behaviour discovery (RFC 5780) from behind a simulated NAT.

use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{Table, presets};
use floe_sim::{Preset, Probability, Survey, SurveyConfig};
use floe_stun::discovery::{Answer, Dependence, Finding, Hairpinning, Report};
use serde::Serialize;

use crate::args::nat_parser;
use crate::error::Error;
use crate::quantity::{self, Millis, Percent};
use crate::run::Verdict;
use crate::style::{self, paint};

const FINDINGS: &str = "\
Findings, in the terms of RFC 4787:
  mapping      which packets share an external port: whatever their destination
               (endpoint-independent), those to one address, or those to one address and port
  filtering    who is let in: anyone, addresses that were sent to, or addresses and ports
  hairpinning  whether hosts behind the NAT reach each other by their external addresses, and
               whether they then see external addresses
  lifetime     how long a binding lives that is left alone: seen alive after the first time,
               and gone after the second
  fragments    whether datagrams larger than 1500 bytes arrive
  alg          whether something on the way rewrites addresses inside packets

Exit status: 2 if an argument is wrong; otherwise 0.";

/// A host asks a server with two addresses, and draws its conclusions, all in virtual time: the
/// search for the lifetime of a binding takes an hour of it.
#[derive(Debug, clap::Args)]
#[command(after_help = FINDINGS)]
pub(crate) struct DiscoverArgs {
    /// Behind this kind of NAT, or each of these
    #[arg(long, value_name = "NAT,…", value_delimiter = ',', value_parser = nat_parser(),
        required_unless_present = "all")]
    nat: Vec<Preset>,

    /// Behind every kind of NAT
    #[arg(long, conflicts_with = "nat")]
    all: bool,

    /// All randomness comes from here
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Loss of each crossing of the core in percent, such as `5` or `0.5%`
    #[arg(long, value_name = "P", default_value = "0", allow_negative_numbers = true,
        value_parser = quantity::loss)]
    loss: Probability,

    /// The round trip between host and server in milliseconds, up to 60000; beyond some seconds the
    /// host gives up before answers arrive
    #[arg(long, value_name = "MS", default_value = "50", allow_negative_numbers = true,
        value_parser = quantity::millis)]
    rtt: Duration,

    /// Tell every test and what came of it
    #[arg(long, short)]
    verbose: bool,

    /// How to print it
    #[arg(long, value_enum, default_value_t = DiscoverFormat::Text)]
    format: DiscoverFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DiscoverFormat {
    /// For people; a table if there are several kinds of NAT
    Text,
    /// An array with one object a kind of NAT
    Json,
}

pub(crate) fn run(args: &DiscoverArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let nats = if args.all {
        &Preset::ALL[..]
    } else {
        &args.nat
    };
    let mut surveys = Vec::new();
    for &nat in nats {
        surveys.push((nat, survey(args, nat)?));
    }
    match (args.format, &surveys[..]) {
        (DiscoverFormat::Json, surveys) => json(args, surveys, out)?,
        (DiscoverFormat::Text, [(nat, survey)]) => text(args, *nat, survey, out)?,
        (DiscoverFormat::Text, surveys) => table(args, surveys, out)?,
    }
    Ok(Verdict::Passed)
}

fn survey(args: &DiscoverArgs, nat: Preset) -> Result<Survey, Error> {
    let seed = args.seed;
    let mut config = SurveyConfig::new(nat);
    config.seed = seed;
    config.loss = args.loss;
    config.round_trip = args.rtt;
    let error = |error| Error::Survey { nat, seed, error };
    let (survey, _) = config.run().map_err(|what| error(Some(what)))?;
    survey.finished.map(|_| ()).ok_or_else(|| error(None))?;
    Ok(survey)
}

/// What is printed of a report: names, and texts.
fn findings(report: &Report) -> [(&'static str, String); 8] {
    let yes_no = |finding: Finding<bool>, yes: &str, no: &str| match finding {
        Finding::Known(true) => yes.to_owned(),
        Finding::Known(false) => no.to_owned(),
        other => other.to_string(),
    };
    let nat = match (report.nat, report.mapped, report.port_preserved) {
        (Finding::Known(false), Finding::Known(mapped), _) => format!("none, we are {mapped}"),
        (Finding::Known(true), Finding::Known(mapped), Finding::Known(true)) => {
            format!("yes, we are {mapped} outside, on the same port")
        }
        (Finding::Known(true), Finding::Known(mapped), _) => {
            format!("yes, we are {mapped} outside, on another port")
        }
        (_, mapped, _) => mapped.to_string(),
    };
    [
        ("udp", yes_no(report.udp, "passes", "UDP blocked")),
        ("nat", nat),
        ("mapping", report.mapping.to_string()),
        ("filtering", report.filtering.to_string()),
        ("hairpinning", report.hairpinning.to_string()),
        ("lifetime", report.lifetime.to_string()),
        ("fragments", yes_no(report.fragments, "arrive", "are lost")),
        ("alg", yes_no(report.alg, "rewrites addresses", "none")),
    ]
}

fn heading(args: &DiscoverArgs) -> String {
    let loss = match args.loss {
        Probability::NEVER => "no loss".to_owned(),
        loss => format!("{} % loss", Percent(loss)),
    };
    format!(
        "seed {}, round trip {} ms, {loss}",
        args.seed,
        Millis(args.rtt)
    )
}

fn text(args: &DiscoverArgs, nat: Preset, survey: &Survey, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}, {}", paint(style::HEADING, nat), heading(args))?;
    writeln!(out, "  {}", nat.description())?;
    for layer in nat.layers() {
        writeln!(out, "  {}", paint(style::DETAIL, layer))?;
    }
    writeln!(out)?;
    if args.verbose {
        steps(survey, out)?;
    }
    for (name, finding) in findings(&survey.report) {
        let name = paint(style::HEADING, format_args!("{name:12}"));
        writeln!(out, "{name} {finding}")?;
    }
    let name = paint(style::HEADING, format_args!("{:12}", "took"));
    let packets = survey.packets;
    writeln!(out, "{name} {}, {packets} packets sent", took(survey))
}

fn steps(survey: &Survey, out: &mut impl Write) -> io::Result<()> {
    for step in &survey.steps {
        // To the millisecond.
        let millis = step.at.as_millis();
        let at = format!("{}.{:03} s", millis / 1000, millis % 1000);
        writeln!(
            out,
            "{at:>12}  {}  {}",
            paint(style::CHECK, format_args!("{:17}", step.test)),
            answer(step.answer)
        )?;
    }
    writeln!(out)
}

fn answer(answer: Answer) -> String {
    match answer {
        Answer::Mapped(mapped) => format!("seen as {mapped}"),
        Answer::Unchanged => "answered from where it was asked".to_owned(),
        Answer::Looped(from) => format!("came back, from {from}"),
        Answer::Alive(wait) => format!("alive after {} s", wait.as_secs_f32()),
        Answer::Expired(wait) => format!("gone after {} s", wait.as_secs_f32()),
        Answer::Silence => "no answer".to_owned(),
        Answer::Rejected(code) => format!("rejected: {code:?}"),
        Answer::Failed(failure) => failure.to_string(),
        _ => format!("{answer:?}"),
    }
}

/// In virtual time.
fn took(survey: &Survey) -> String {
    let seconds = survey.finished.unwrap_or_default().as_millis() / 1000;
    match seconds {
        0..60 => format!("{seconds} s of virtual time"),
        60..3600 => format!("{} min {} s of virtual time", seconds / 60, seconds % 60),
        _ => format!(
            "{} h {} min of virtual time",
            seconds / 3600,
            seconds / 60 % 60
        ),
    }
}

fn table(
    args: &DiscoverArgs,
    surveys: &[(Preset, Survey)],
    out: &mut impl Write,
) -> io::Result<()> {
    if args.verbose {
        for (nat, survey) in surveys {
            writeln!(out, "{}", paint(style::HEADING, nat))?;
            steps(survey, out)?;
        }
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let head = ["", "mapping", "filtering", "hairpinning", "lifetime"];
    table.set_header(head.map(|name| paint(style::HEADING, name)));
    for (nat, survey) in surveys {
        let report = &survey.report;
        let mut row = vec![paint(style::HEADING, nat)];
        if report.udp == Finding::Known(false) {
            row.push("UDP blocked".to_owned());
        } else {
            row.extend([
                report.mapping.to_string(),
                report.filtering.to_string(),
                report.hairpinning.to_string(),
                report.lifetime.to_string(),
            ]);
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    writeln!(
        out,
        "What a host finds out of its NATs: {}\n",
        heading(args)
    )?;
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A survey as programs read it. What was not tested is null, what failed an object that says why.
#[derive(Debug, Serialize)]
struct Record {
    nat: &'static str,
    seed: u64,
    udp: Part<bool>,
    mapped: Part<String>,
    translated: Part<bool>,
    port_preserved: Part<bool>,
    mapping: Part<&'static str>,
    filtering: Part<&'static str>,
    hairpinning: Part<&'static str>,
    lifetime: Part<LifetimeRecord>,
    fragments: Part<bool>,
    alg: Part<bool>,
    took_s: u64,
    packets: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepRecord>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part<T> {
    Known(T),
    NotTested(()),
    Failed { failed: String },
}

#[derive(Debug, Serialize)]
struct LifetimeRecord {
    at_least_s: f32,
    less_than_s: Option<f32>,
}

#[derive(Debug, Serialize)]
struct StepRecord {
    at_ms: u64,
    test: &'static str,
    answer: String,
}

fn part<T, R>(finding: Finding<T>, read: impl FnOnce(T) -> R) -> Part<R> {
    match finding {
        Finding::Known(value) => Part::Known(read(value)),
        Finding::NotTested => Part::NotTested(()),
        Finding::Failed(failure) => Part::Failed {
            failed: failure.to_string(),
        },
    }
}

fn json(args: &DiscoverArgs, surveys: &[(Preset, Survey)], out: &mut impl Write) -> io::Result<()> {
    let mut separator = "[\n  ";
    for (nat, survey) in surveys {
        let report = &survey.report;
        let steps = survey.steps.iter().filter(|_| args.verbose);
        let record = Record {
            nat: nat.name(),
            seed: args.seed,
            udp: part(report.udp, |is| is),
            mapped: part(report.mapped, |address| address.to_string()),
            translated: part(report.nat, |is| is),
            port_preserved: part(report.port_preserved, |is| is),
            mapping: part(report.mapping, Dependence::name),
            filtering: part(report.filtering, Dependence::name),
            hairpinning: part(report.hairpinning, Hairpinning::name),
            lifetime: part(report.lifetime, |found| LifetimeRecord {
                at_least_s: found.at_least.as_secs_f32(),
                less_than_s: found.less_than.map(|time| time.as_secs_f32()),
            }),
            fragments: part(report.fragments, |is| is),
            alg: part(report.alg, |is| is),
            took_s: survey.finished.unwrap_or_default().as_millis() / 1000,
            packets: survey.packets,
            steps: steps
                .map(|step| StepRecord {
                    at_ms: step.at.as_millis(),
                    test: step.test.name(),
                    answer: answer(step.answer),
                })
                .collect(),
        };
        write!(out, "{separator}")?;
        serde_json::to_writer(&mut *out, &record)?;
        separator = ",\n  ";
    }
    writeln!(out, "\n]")
}

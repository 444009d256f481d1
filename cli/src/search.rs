//! `floe search`: negotiations drawn at random, and what no run may show.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::ValueEnum;
use floe_sim::{Case, Control, Examined, Expectation, Finding, Log, Path};
use rayon::prelude::*;

use crate::error::Error;
use crate::ladder;
use crate::progress::{Progress, pool};
use crate::quantity::{self, Seeds};
use crate::run::Verdict;
use crate::style::{self, paint};

/// How many runs are done before their findings are printed.
const BATCH: u64 = 2_048;

const NOTES: &str = "\
Each seed is one negotiation: NATs by their axes, nested, shared, or a firewall; hosts with several
addresses, some of which lead nowhere; jitter, loss, duplication, corruption; bursts in which all is
lost, a server or a host that is cut off, a NAT that forgets; candidates and descriptions late, in any
order, twice; colliding roles; the default profile and the timing of RFC 8445 to the letter. All faults
stop after 2.5 s, and then everything that can connect must. A NAT that has forgotten makes signalled
addresses stale, and a flipped bit can cost a pair: of such runs only the rules of safety are asked.

Findings:
  relay-avoidable      relayed though a direct path exists, nothing was lost or out of order, one
                       address a side, default profile
  agent-missed-a-path  not connected though a path exists
  oracle-wrong         a path where there can be none, or none where one was thought certain
  not-mirrored         the two ends use different pairs
  undecided            a side neither selects nor fails
  given-up             a side fails although its path is there
  disconnected         a side says that its path is lost, where nothing was lost
  no-data              data over the selected pair is not answered, after all faults
  violation            data to an address that answered no check, too many packets to a silent one,
                       a second nomination, an event after the end
  broken               no result: a panic, a description that was refused, time that does not move

Exit status: 1 if there is a finding, 2 if an argument is wrong, otherwise 0.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(crate) struct SearchArgs {
    /// Run this seed alone, and say what it is
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,

    /// Run these seeds: `0..1000` is 0 to 999
    #[arg(long, value_name = "N..M", default_value = "0..1000", value_parser = quantity::seeds)]
    seeds: Seeds,

    /// Tell the story of the one seed, packet by packet
    #[arg(long, requires = "seed")]
    trace: bool,

    /// Make the runs a negative control: findings there must be
    #[arg(long, value_enum)]
    control: Option<ControlArg>,

    /// How many findings are named, a line each; all are counted
    #[arg(long, value_name = "N", default_value_t = 100)]
    show: u64,

    /// How many threads to use; the output does not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ControlArg {
    /// A NAT does something else than its label says
    Mislabelled,
    /// The agents know no relay
    NoRelay,
}

impl SearchArgs {
    fn case(&self, seed: u64) -> Case {
        let case = Case::nth(seed);
        match self.control {
            None => case,
            Some(ControlArg::Mislabelled) => case.control(Control::Mislabelled),
            Some(ControlArg::NoRelay) => case.control(Control::NoRelay),
        }
    }

    /// The arguments that lead to one run again.
    fn alone(&self, seed: u64) -> String {
        let control = match self.control {
            None => "",
            Some(ControlArg::Mislabelled) => " --control mislabelled",
            Some(ControlArg::NoRelay) => " --control no-relay",
        };
        format!("floe search --seed {seed}{control} --trace")
    }
}

pub(crate) fn run(args: &SearchArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    match args.seed {
        Some(seed) => one(args, seed, out),
        None => many(args, out),
    }
}

/// Runs a case; a panic is a finding.
fn examine(case: &Case) -> Examined {
    let nothing = |why: String| Examined {
        expectation: Expectation {
            path: Path::None,
            certain: false,
        },
        outcome: Path::None,
        avoidable: false,
        findings: vec![Finding::Broken(why)],
        report: None,
        log: Log::default(),
    };
    match catch_unwind(AssertUnwindSafe(|| case.run())) {
        Ok(Ok(examined)) => examined,
        Ok(Err(error)) => nothing(error.to_string()),
        Err(_) => nothing("a panic".into()),
    }
}

fn one(args: &SearchArgs, seed: u64, out: &mut impl Write) -> Result<Verdict, Error> {
    let case = args.case(seed).record(args.trace);
    let examined = examine(&case);
    let title = paint(style::HEADING, format_args!("seed {seed}"));
    writeln!(out, "{title}\n{case}")?;
    if let Some(report) = examined.report.as_ref().filter(|_| args.trace) {
        ladder::print(&examined.log, report, case.world(), out)?;
    }
    let certain = if examined.expectation.certain {
        ""
    } else {
        ", not certain"
    };
    let (expected, outcome) = (examined.expectation.path, examined.outcome);
    writeln!(out, "expected {expected}{certain}; found {outcome}")?;
    for finding in &examined.findings {
        writeln!(out, "{}", paint(style::ERROR, finding))?;
    }
    Ok(verdict(!examined.findings.is_empty()))
}

const fn verdict(any: bool) -> Verdict {
    if any {
        Verdict::Failed
    } else {
        Verdict::Passed
    }
}

/// What is counted.
#[derive(Debug, Default)]
struct Summary {
    outcomes: BTreeMap<(Path, Path), u64>,
    avoidable: u64,
    findings: BTreeMap<&'static str, u64>,
    /// How many there were, and how many runs had some.
    found: u64,
    runs: u64,
}

fn many(args: &SearchArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let total = args.seeds.count().ok_or(Error::TooManyRuns)?;
    let pool = pool(args.threads)?;
    let mut progress = Progress::new(total);
    let mut summary = Summary::default();
    for start in (0..total).step_by(BATCH as usize) {
        let end = total.min(start.saturating_add(BATCH));
        let numbers = (start..end).into_par_iter();
        let done: Vec<_> = pool.install(|| {
            let seeds = numbers.map(|n| args.seeds.nth(n));
            seeds
                .map(|seed| (seed, examine(&args.case(seed))))
                .collect()
        });
        for (seed, examined) in done {
            summary.add(args, seed, &examined, out)?;
        }
        out.flush()?;
        progress.reach(end);
    }
    summary.print(total, out)?;
    out.flush()?;
    progress.finish();
    Ok(verdict(summary.found > 0))
}

impl Summary {
    fn add(
        &mut self,
        args: &SearchArgs,
        seed: u64,
        examined: &Examined,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let pair = (examined.expectation.path, examined.outcome);
        *self.outcomes.entry(pair).or_default() += 1;
        self.avoidable += u64::from(examined.avoidable);
        self.runs += u64::from(!examined.findings.is_empty());
        for finding in &examined.findings {
            *self.findings.entry(finding.name()).or_default() += 1;
            self.found += 1;
            if self.found <= args.show {
                let text = paint(style::ERROR, format_args!("{finding}"));
                writeln!(out, "{text}  {}", args.alone(seed))?;
            }
        }
        Ok(())
    }

    fn print(&self, total: u64, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{total} runs")?;
        for (&(expected, found), count) in self.outcomes.iter().rev() {
            writeln!(out, "{count:>9}  {expected} expected, {found} found")?;
        }
        writeln!(
            out,
            "{:>9}  relayed though a direct path exists",
            self.avoidable
        )?;
        if self.found == 0 {
            return writeln!(out, "no finding");
        }
        for (name, count) in &self.findings {
            writeln!(out, "{count:>9}  {name}")?;
        }
        writeln!(out, "{} findings in {} runs", self.found, self.runs)
    }
}

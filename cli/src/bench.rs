//! `floe bench`: measurements, beside what is possible at best.

mod args;
mod other;
mod pairs;
mod policies;
mod run;
mod text;

use std::io::Write;

use rayon::prelude::*;
use serde::Serialize;

use crate::error::Error;
use crate::progress::{Progress, pool};
use crate::run::Verdict;

pub(crate) use args::BenchCommand;
use args::{ConnectArgs, ConnectFormat};
use other::Other;
use pairs::Pairs;
use policies::Policies;
use run::{Job, Outcome};

/// How many runs are done between two looks at the progress.
const BATCH: usize = 512;

/// All that `floe bench connect` finds, as programs read it.
#[derive(Debug, Serialize)]
struct Connect {
    pairs: Pairs,
    policies: Policies,
    other: Other,
}

/// How fast peers connect.
pub(crate) fn connect(args: &ConnectArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let plans = [pairs::plan(args), policies::plan(args), other::plan(args)];
    let jobs: Vec<Job> = plans.iter().flatten().copied().collect();
    let mut done = execute(&jobs, args)?.into_iter();
    let [pairs, policies, other] = plans.map(|plan| {
        let outcomes = done.by_ref().take(plan.len());
        plan.into_iter().zip(outcomes).collect::<Vec<_>>()
    });
    let connect = Connect {
        pairs: Pairs::read(&pairs),
        policies: Policies::read(&policies),
        other: Other::read(&pairs, &other),
    };
    match args.format {
        ConnectFormat::Text => text::print(&connect, args, out)?,
        ConnectFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &connect).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(Verdict::Passed)
}

/// Runs everything; what comes out is in the order of the jobs, however many threads there are.
fn execute(jobs: &[Job], args: &ConnectArgs) -> Result<Vec<Outcome>, Error> {
    let pool = pool(args.threads)?;
    let mut progress = Progress::new(jobs.len() as u64);
    let mut outcomes = Vec::with_capacity(jobs.len());
    for batch in jobs.chunks(BATCH) {
        let done: Result<Vec<_>, _> = pool.install(|| batch.par_iter().map(Job::run).collect());
        outcomes.extend(done?);
        progress.reach(outcomes.len() as u64);
    }
    progress.finish();
    Ok(outcomes)
}

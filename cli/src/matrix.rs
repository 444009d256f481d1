//! `floe matrix`: every kind of NAT against every other.

use std::io::Write;

use floe_sim::Preset;
use rayon::prelude::*;

use crate::args::{MatrixArgs, MatrixFormat};
use crate::conditions::Conditions;
use crate::error::Error;
use crate::format::{Csv, Format, Json, Table};
use crate::progress::{Progress, pool};
use crate::quantity::Seeds;
use crate::run::{Run, Verdict};

/// How many runs are done before they are printed: memory stays bounded, threads stay busy.
const BATCH: u64 = 512;

/// The runs of a matrix, numbered: rows, in them columns, in them seeds.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nats: Vec<Preset>,
    pub(crate) seeds: Seeds,
    pub(crate) conditions: Conditions,
    /// Seeds of a cell.
    depth: u64,
    total: u64,
}

impl Plan {
    fn new(args: &MatrixArgs) -> Result<Self, Error> {
        let (nats, seeds) = (args.nats(), args.seeds());
        let cells = nats.len() as u64 * nats.len() as u64;
        let depth = seeds.count().ok_or(Error::TooManyRuns)?;
        Ok(Self {
            nats,
            seeds,
            conditions: args.conditions,
            depth,
            total: cells.checked_mul(depth).ok_or(Error::TooManyRuns)?,
        })
    }

    fn run(&self, number: u64) -> Result<Run, Error> {
        let (cell, seed) = (number / self.depth, number % self.depth);
        let width = self.nats.len();
        let cell = cell as usize;
        let (a, b) = (self.nats[cell / width], self.nats[cell % width]);
        Run::of(&self.conditions, a, b, self.seeds.nth(seed))
    }
}

pub(crate) fn run(args: &MatrixArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let plan = Plan::new(args)?;
    let pool = pool(args.threads)?;
    let mut format: Box<dyn Format> = match args.format {
        MatrixFormat::Table => Box::new(Table::new(&plan)),
        MatrixFormat::Csv => Box::new(Csv),
        MatrixFormat::Json => Box::new(Json::default()),
    };

    let mut verdict = Verdict::Passed;
    let mut progress = Progress::new(plan.total);
    format.begin(out)?;
    for start in (0..plan.total).step_by(BATCH as usize) {
        let end = plan.total.min(start.saturating_add(BATCH));
        let runs: Vec<_> =
            pool.install(|| (start..end).into_par_iter().map(|n| plan.run(n)).collect());
        for run in runs {
            let run = run?;
            verdict = verdict.and(Verdict::of(run.judgement, plan.conditions.loss));
            format.run(&run, out)?;
        }
        progress.reach(end);
    }
    format.end(out)?;
    out.flush()?;
    progress.finish();
    Ok(verdict)
}

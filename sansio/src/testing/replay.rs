use core::time::Duration;
use std::vec::Vec;

use super::live::{Act, Step, perform};
use super::log::Entry;
use super::run::{Run, START};
use super::{Failure, Purpose, World, draw};
use crate::Instant;

/// A way to replay a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    /// As it was.
    Plain,
    /// `handle_timeout` is called twice at each deadline, and early between them.
    Eager,
    /// All machines are told the time before each step, which itself is told a time up to 10 s in the
    /// past if `late`.
    Told { late: bool },
    /// What was refused is not given at all.
    Spared,
}

/// Gives a world the inputs of a script at their times, and everything due between them.
pub(super) fn replay<W: World>(
    seed: u64,
    script: &[Step],
    twin: Twin,
) -> Result<Vec<Entry>, Failure> {
    let mut run = Run::<W>::new(seed, 0)?;
    let mut now = START;
    for step in script {
        run.step = step.index;
        while now < step.at {
            let deadline = run.deadline(now)?.unwrap_or(step.at);
            let next = deadline.max(now).min(step.at);
            if twin == Twin::Eager {
                early(&mut run, seed, now, next)?;
            }
            now = next;
            run.settle(now)?;
            if twin == Twin::Eager {
                run.timeout_all(now)?;
            }
        }
        run.settle(now)?;
        if twin == Twin::Spared && step.refused {
            continue;
        }
        if let Twin::Told { late } = twin {
            run.timeout_all(now)?;
            if late && !matches!(step.act, Act::End) {
                let mut draw = draw(seed, Purpose::Late, step.index as u64);
                run.lag = Duration::from_millis(draw.below(10_000).into());
            }
            // Without a lag this is a second call at the same time, so that both twins get as many.
            run.timeout_all(now)?;
        }
        perform(&mut run, now, &step.act)?;
        run.lag = Duration::ZERO;
    }
    Ok(run.log)
}

/// Up to three calls of `handle_timeout` that no deadline asked for, from `from` on and before `to`.
fn early<W: World>(run: &mut Run<W>, seed: u64, from: Instant, to: Instant) -> Result<(), Failure> {
    let mut draw = draw(seed, Purpose::Early, from.as_nanos());
    let gap = to.since(from).as_nanos() as u64;
    if gap == 0 {
        return Ok(());
    }
    let mut times: Vec<u64> = (0..draw.below(4)).map(|_| draw.u64() % gap).collect();
    times.sort_unstable();
    for nanos in times {
        let machine = draw.below(run.machines() as u32) as usize;
        run.timeout(machine, from + Duration::from_nanos(nanos))?;
    }
    Ok(())
}

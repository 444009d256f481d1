//! Every kind of NAT against every other: floor, measured, goal.

use std::time::Duration;

use floe_sim::{Bound, Draw, Judgement, Path, Preset, bound, quantile};
use serde::Serialize;

use super::args::ConnectArgs;
use super::run::{After, Job, Outcome, Profile};
use crate::run::millis;

/// The kinds of NAT of the table of floors.
pub(super) const KINDS: [Preset; 6] = [
    Preset::Open,
    Preset::FullCone,
    Preset::AddressRestricted,
    Preset::PortRestricted,
    Preset::Symmetric,
    Preset::UdpBlocked,
];

/// Addresses of each host: one, and several of which one works.
pub(super) const HOSTS: [usize; 2] = [1, 4];

/// What the goals allow beside one Ta.
const SLACK: Duration = Duration::from_millis(10);
/// What they allow more where there are several addresses.
const MORE_HOSTS: Duration = Duration::from_millis(60);

/// All pairs.
pub(super) fn kinds() -> impl Iterator<Item = (Preset, Preset)> {
    KINDS.into_iter().flat_map(|a| KINDS.map(|b| (a, b)))
}

pub(super) fn plan(args: &ConnectArgs) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (a, b) in kinds() {
        for hosts in HOSTS {
            jobs.extend((0..args.draws).map(|n| Job {
                a,
                b,
                draw: Draw::nth(args.seed, n.into()).without_shortcut(),
                hosts,
                dead_before: args.dead_before,
                loss: 0,
                profile: Profile::Default,
                after: After::Nothing,
            }));
        }
    }
    jobs
}

#[derive(Debug, Serialize)]
pub(super) struct Pairs {
    pub(super) rows: Vec<Row>,
}

/// One pair of NATs.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) offers: &'static str,
    pub(super) answers: &'static str,
    /// The best path that there is.
    pub(super) path: &'static str,
    /// The floor above 2σ.
    pub(super) floor: &'static str,
    /// Its median over the draws, ms above 2σ.
    pub(super) floor_ms: f64,
    /// One cell for each number of addresses.
    pub(super) cells: Vec<Cell>,
}

/// One pair of NATs with so many addresses a side.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) hosts: usize,
    /// Medians, ms above 2σ.
    pub(super) can_send_ms: Option<f64>,
    pub(super) selected_ms: Option<f64>,
    /// The most that it takes longer than the floor, ms.
    pub(super) worst_over_floor_ms: Option<f64>,
    /// The most that it takes longer than the goal allows, ms; negative where there is room.
    pub(super) worst_over_goal_ms: Option<f64>,
    /// Median of the STUN messages of both sides until both had selected: those through no relay, and
    /// all.
    pub(super) direct_messages: u32,
    pub(super) messages: u32,
    /// Runs that ended in the class of path that the oracle expects.
    pub(super) agreed: usize,
    pub(super) runs: usize,
    /// Whether every run did, and in time.
    pub(super) passed: bool,
}

/// ms, below zero too.
fn difference(a: Duration, b: Duration) -> f64 {
    match a.checked_sub(b) {
        Some(more) => millis(more),
        None => -millis(b.saturating_sub(a)),
    }
}

impl Cell {
    fn read(hosts: usize, runs: &[&(Job, Outcome)]) -> Self {
        let allowed = |job: &Job, bound: &Bound| {
            let more = if hosts > 1 {
                MORE_HOSTS
            } else {
                Duration::ZERO
            };
            bound.base + job.profile.pacing() + SLACK + more
        };
        let above = |of: fn(&Outcome) -> Option<Duration>| {
            let times = runs.iter().filter_map(|(job, outcome)| {
                Some(of(outcome)?.saturating_sub(2 * job.draw.signal_delay))
            });
            quantile(&times.collect::<Vec<_>>(), 50).map(millis)
        };
        let worst = |against: &dyn Fn(&Job, &Bound) -> Duration| {
            let over = runs.iter().filter_map(|(job, outcome)| {
                let bound = bound(job.a, job.b, &job.draw)?;
                Some(difference(outcome.can_send?, against(job, &bound)))
            });
            over.reduce(f64::max)
        };
        let messages = |of: fn(&Outcome) -> u32| {
            let counts: Vec<_> = runs.iter().map(|(_, outcome)| of(outcome)).collect();
            quantile(&counts, 50).unwrap_or(0)
        };
        let agreed = runs.iter().filter(|(_, it)| is_right(it)).count();
        let over_goal = worst(&allowed);
        Self {
            hosts,
            can_send_ms: above(|it| it.can_send),
            selected_ms: above(|it| it.selected),
            worst_over_floor_ms: worst(&|_, bound| bound.floor),
            worst_over_goal_ms: over_goal,
            direct_messages: messages(|it| it.direct_messages),
            messages: messages(|it| it.messages),
            agreed,
            runs: runs.len(),
            passed: agreed == runs.len() && over_goal.is_some_and(|over| over <= 0.0),
        }
    }
}

/// Connected, and in the class that the oracle expects.
pub(super) fn is_right(outcome: &Outcome) -> bool {
    outcome.judgement == Judgement::Agreed && outcome.path == outcome.expected
}

impl Pairs {
    pub(super) fn read(runs: &[(Job, Outcome)]) -> Self {
        let rows = kinds().map(|(a, b)| {
            let of = |hosts| {
                let all = runs.iter();
                all.filter(|(job, _)| (job.a, job.b, job.hosts) == (a, b, hosts))
                    .collect::<Vec<_>>()
            };
            let bounds = runs
                .iter()
                .filter(|(job, _)| (job.a, job.b) == (a, b))
                .filter_map(|(job, _)| Some((job, bound(a, b, &job.draw)?)))
                .map(|(job, bound)| (bound.floor.saturating_sub(2 * job.draw.signal_delay), bound));
            let bounds: Vec<_> = bounds.collect();
            let floors: Vec<_> = bounds.iter().map(|&(floor, _)| floor).collect();
            Row {
                offers: a.name(),
                answers: b.name(),
                path: bounds.first().map_or(Path::None, |(_, it)| it.path).name(),
                floor: bounds.first().map_or("", |(_, it)| it.formula),
                floor_ms: quantile(&floors, 50).map_or(0.0, millis),
                cells: HOSTS.map(|hosts| Cell::read(hosts, &of(hosts))).into(),
            }
        });
        Self {
            rows: rows.collect(),
        }
    }
}

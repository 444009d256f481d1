//! The default profile beside the timing of RFC 8445 to the letter, under the conditions of a published
//! model of policies.

use std::time::Duration;

use floe_sim::{Draw, Path, Preset, quantile};
use serde::Serialize;

use super::args::ConnectArgs;
use super::run::{After, Job, Outcome, Profile};
use crate::run::millis;

/// Addresses of each host, one of which works.
const HOSTS: usize = 3;

const PORT: [Preset; 2] = [Preset::PortRestricted; 2];
const SYMMETRIC: [Preset; 2] = [Preset::Symmetric; 2];
const OPEN_PORT: [Preset; 2] = [Preset::Open, Preset::PortRestricted];

/// Loss in percent.
const LOSSES: [u32; 2] = [0, 5];

pub(super) fn plan(args: &ConnectArgs) -> Vec<Job> {
    let mut jobs = Vec::new();
    for profile in Profile::COMPARED {
        for [a, b] in [PORT, SYMMETRIC, OPEN_PORT] {
            for loss in LOSSES {
                jobs.extend((0..args.draws).map(|n| Job {
                    a,
                    b,
                    draw: Draw::nth(args.seed, n.into()),
                    hosts: HOSTS,
                    dead_before: args.dead_before,
                    loss,
                    profile,
                    after: After::Nothing,
                }));
            }
        }
    }
    jobs
}

#[derive(Debug, Serialize)]
pub(super) struct Policies {
    pub(super) rows: Vec<Row>,
}

/// One policy. Pairs of values are for 0 % and 5 % loss.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) policy: &'static str,
    pub(super) port_valid: [Spread; 2],
    pub(super) port_selected: [Spread; 2],
    pub(super) symmetric_selected: [Spread; 2],
    /// Median of the STUN messages until both had selected, port-restricted both.
    pub(super) messages: u32,
    /// Percent of runs that selected a relayed pair first.
    pub(super) port_relay_picked: [f64; 2],
    pub(super) open_port_relay_picked: [f64; 2],
}

/// How long it takes, ms above 2σ.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Spread {
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    /// Runs that did not get there count for neither.
    pub(super) failed: usize,
}

impl Spread {
    fn of(runs: &[&(Job, Outcome)], time: fn(&Outcome) -> Option<Duration>) -> Self {
        let times: Vec<_> = runs
            .iter()
            .filter_map(|(job, it)| Some(time(it)?.saturating_sub(2 * job.draw.signal_delay)))
            .collect();
        let at = |percent| quantile(&times, percent).map_or(0.0, millis);
        Self {
            p50_ms: at(50),
            p95_ms: at(95),
            failed: runs.len() - times.len(),
        }
    }
}

impl Policies {
    pub(super) fn read(runs: &[(Job, Outcome)]) -> Self {
        let rows = Profile::COMPARED.map(|profile| {
            let of = |[a, b]: [Preset; 2]| {
                LOSSES.map(|loss| {
                    let wanted = (profile, a, b, loss);
                    let all = runs.iter();
                    all.filter(|(job, _)| (job.profile, job.a, job.b, job.loss) == wanted)
                        .collect::<Vec<_>>()
                })
            };
            let picked = |runs: Vec<&(Job, Outcome)>| {
                let relayed = runs.iter().filter(|(_, it)| it.first == Path::Relayed);
                share(relayed.count(), runs.len())
            };
            let messages: Vec<_> = of(PORT)[0].iter().map(|(_, it)| it.messages).collect();
            Row {
                policy: profile.name(),
                port_valid: of(PORT).map(|runs| Spread::of(&runs, |it| it.can_send)),
                port_selected: of(PORT).map(|runs| Spread::of(&runs, |it| it.selected)),
                symmetric_selected: of(SYMMETRIC).map(|runs| Spread::of(&runs, |it| it.selected)),
                messages: quantile(&messages, 50).unwrap_or(0),
                port_relay_picked: of(PORT).map(picked),
                open_port_relay_picked: of(OPEN_PORT).map(picked),
            }
        });
        Self { rows: rows.into() }
    }
}

/// In percent, to a tenth.
pub(super) fn share(count: usize, of: usize) -> f64 {
    let tenths = (count * 2_000 + of) / (2 * of.max(1));
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

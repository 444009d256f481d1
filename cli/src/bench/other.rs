//! Classes of path, relays taken and left, messages, keeping a connection alive.

use std::time::Duration;

use floe_sim::{Disorder, Draw, Path, Preset, Probability, Purpose, Random, entity, quantile};
use serde::Serialize;

use super::args::ConnectArgs;
use super::pairs::{self, is_right, kinds};
use super::policies::share;
use super::run::{After, Job, Outcome, Profile};

/// Addresses of each host, one of which works.
const HOSTS: usize = 3;

/// Loss in percent.
const LOSSES: [u32; 2] = [0, 5];

/// Draws of which an hour is watched, and the profiles.
const HOURS: u32 = 5;
const HOURLY: [Profile; 2] = [Profile::Default, Profile::Idle];

/// Messages take up to so much longer than σ.
const SPREAD: Duration = Duration::from_millis(600);

pub(super) fn plan(args: &ConnectArgs) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (a, b) in kinds() {
        for loss in LOSSES {
            jobs.extend((0..args.draws).map(|n| Job {
                a,
                b,
                draw: Draw::nth(args.seed, n.into()),
                hosts: HOSTS,
                dead_before: args.dead_before,
                loss,
                profile: Profile::Default,
                after: After::Upgrade,
            }));
        }
    }
    for profile in HOURLY {
        jobs.extend((0..args.draws.min(HOURS)).map(|n| Job {
            a: Preset::PortRestricted,
            b: Preset::FullCone,
            draw: Draw::nth(args.seed, n.into()),
            hosts: 1,
            dead_before: 0,
            loss: 0,
            profile,
            after: After::Hour,
        }));
    }
    let random = Random::new(args.seed);
    jobs.extend((0..args.trickle_orders).map(|n| {
        let draw = |index, below| {
            let index = u64::from(n) * 4 + index;
            random.below(entity("trickle"), Purpose::Scenario, index, below)
        };
        let kind = |index| {
            let at = draw(index, Preset::ALL.len() as u64);
            Preset::ALL[usize::try_from(at).unwrap_or(0)]
        };
        let spread = u64::try_from(SPREAD.as_micros()).unwrap_or(0);
        Job {
            a: kind(0),
            b: kind(1),
            draw: Draw::nth(args.seed, n.into()),
            hosts: 1,
            dead_before: 0,
            loss: 0,
            profile: Profile::Default,
            after: After::Consent(Disorder {
                spread: Duration::from_micros(1 + draw(2, spread)),
                repeat: Probability::percent(20),
            }),
        }
    }));
    jobs
}

#[derive(Debug, Serialize)]
pub(super) struct Other {
    pub(super) figures: Vec<Figure>,
}

/// One figure, its goal, and whether it is met.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) goal: &'static str,
    pub(super) passed: bool,
}

impl Figure {
    fn new(name: impl Into<String>, value: String, goal: &'static str, passed: bool) -> Self {
        Self {
            name: name.into(),
            value,
            goal,
            passed,
        }
    }
}

impl Other {
    /// From the runs of the table of pairs, and from those planned here.
    pub(super) fn read(pairs: &[(Job, Outcome)], runs: &[(Job, Outcome)]) -> Self {
        let mut figures = vec![classes(pairs)];
        figures.extend(LOSSES.iter().flat_map(|&loss| relays(runs, loss)));
        figures.extend(messages(pairs, runs));
        figures.extend(HOURLY.map(|profile| hourly(runs, profile)));
        figures.push(given_up(runs));
        Self { figures }
    }
}

fn classes(pairs: &[(Job, Outcome)]) -> Figure {
    let right = pairs.iter().filter(|(_, it)| is_right(it)).count();
    let all = pairs.len();
    let name = "connectable pairs that connect in the right class, no loss";
    let value = format!("{right} of {all}");
    Figure::new(name, value, "all", right == all)
}

fn relays(runs: &[(Job, Outcome)], loss: u32) -> [Figure; 2] {
    let direct: Vec<_> = runs
        .iter()
        .filter(|(job, it)| {
            (job.after, job.loss, it.expected) == (After::Upgrade, loss, Path::Direct)
        })
        .collect();
    let picked = direct.iter().filter(|(_, it)| it.first != Path::Direct);
    let kept = direct.iter().filter(|(_, it)| it.path != Path::Direct);
    let (picked, kept, all) = (picked.count(), kept.count(), direct.len());
    let percent = share(picked, all);
    let (goal, most) = match loss {
        0 => ("≤ 1 %", 1.0),
        _ => ("≤ 3 %", 3.0),
    };
    [
        Figure::new(
            format!("relay selected though a direct path exists, {loss} % loss"),
            format!("{percent:.1} % ({picked} of {all})"),
            goal,
            percent <= most,
        ),
        Figure::new(
            format!("of these still relayed after 3 s, {loss} % loss"),
            format!("{kept} of {picked}"),
            "0",
            kept == 0,
        ),
    ]
}

fn messages(pairs: &[(Job, Outcome)], runs: &[(Job, Outcome)]) -> [Figure; 2] {
    let several: Vec<_> = runs
        .iter()
        .filter(|(job, it)| (job.after, job.loss) == (After::Upgrade, 0) && it.path != Path::None)
        .collect();
    let is_open = |kind| matches!(kind, Preset::Open | Preset::FullCone);
    let open: Vec<_> = pairs
        .iter()
        .filter(|(job, _)| job.hosts == pairs::HOSTS[0] && is_open(job.a) && is_open(job.b))
        .collect();
    let figure = |name: &str, runs: &[&(Job, Outcome)], goal, bound| {
        let spread = |of: fn(&Outcome) -> u32| {
            let counts: Vec<_> = runs.iter().map(|(_, it)| of(it)).collect();
            [50, 95, 100].map(|percent| quantile(&counts, percent).unwrap_or(0))
        };
        let (all, direct) = (spread(|it| it.messages), spread(|it| it.direct_messages));
        let text = |[p50, p95, most]: [u32; 3]| format!("{p50} / {p95} / {most}");
        let value = format!("{}; through no relay {}", text(all), text(direct));
        // A goal for the median, as that of the published model of policies.
        Figure::new(name, value, goal, all[0] <= bound)
    };
    [
        figure(
            "STUN messages until both have selected, 3 addresses a side, p50 / p95 / most",
            &several,
            "p50 ≤ 70",
            70,
        ),
        figure(
            "the same, open pairs with 1 address a side",
            &open,
            "p50 ≤ 16",
            16,
        ),
    ]
}

fn hourly(runs: &[(Job, Outcome)], profile: Profile) -> Figure {
    let hours = runs
        .iter()
        .filter(|(job, _)| (job.after, job.profile) == (After::Hour, profile));
    let most = hours.map(|(_, it)| it.hourly).max().unwrap_or(0);
    let name = format!(
        "checks an hour and side that keep a connection alive, {}, most",
        profile.name()
    );
    let (goal, bound) = match profile {
        Profile::Idle => ("≤ 240", 240),
        _ => ("≤ 750", 750),
    };
    Figure::new(name, most.to_string(), goal, most <= bound)
}

fn given_up(runs: &[(Job, Outcome)]) -> Figure {
    let orders = runs
        .iter()
        .filter(|(job, _)| matches!(job.after, After::Consent(_)));
    let (mut all, mut wrong) = (0, 0);
    for (_, outcome) in orders {
        all += 1;
        wrong += usize::from(outcome.given_up || outcome.path == Path::None);
    }
    Figure::new(
        format!("given up though the path lives, in {all} random orders of signalling"),
        wrong.to_string(),
        "0",
        wrong == 0,
    )
}

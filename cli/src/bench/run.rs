//! One negotiation of a measurement.

use std::time::Duration;

use floe_sim::{
    Disorder, Draw, Judgement, Path, Preset, Probability, Report, Session, SessionConfig,
    SessionError,
};
use serde::Serialize;

use crate::error::Error;

/// A relay that was taken too early is left again within this time.
const UPGRADE: Duration = Duration::from_secs(3);

/// Longer than consent lasts: who believes that a path is lost has said so by then.
const CONSENT: Duration = Duration::from_secs(40);

/// An hour, to count what keeps a connection alive.
const HOUR: Duration = Duration::from_hours(1);

/// What is different about the agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Profile {
    Default,
    Strict,
    Idle,
}

impl Profile {
    /// Those whose speed is compared.
    pub(super) const COMPARED: [Self; 2] = [Self::Default, Self::Strict];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Strict => "strict RFC",
            Self::Idle => "idle",
        }
    }

    fn configure(self) -> fn(&mut floe_ice::Config) {
        match self {
            Self::Default => |_| {},
            Self::Strict => |config| *config = config.clone().strict(),
            Self::Idle => |config| *config = config.clone().idle(),
        }
    }

    /// Ta.
    pub(super) fn pacing(self) -> Duration {
        let mut config = floe_ice::Config::new(floe_ice::Role::Controlling);
        self.configure()(&mut config);
        config.pacing
    }
}

/// What is looked at after both sides have decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    /// Whether a relay is left for a direct path.
    Upgrade,
    /// What an hour of silence costs.
    Hour,
    /// Whether the connection lives on, with signalling in disorder.
    Consent(Disorder),
}

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) a: Preset,
    pub(super) b: Preset,
    pub(super) draw: Draw,
    /// Addresses of each host, one of which works.
    pub(super) hosts: usize,
    pub(super) dead_before: usize,
    pub(super) loss: u32,
    pub(super) profile: Profile,
    pub(super) after: After,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) expected: Path,
    pub(super) judgement: Judgement,
    /// What was selected first, and what in the end.
    pub(super) first: Path,
    pub(super) path: Path,
    pub(super) can_send: Option<Duration>,
    pub(super) selected: Option<Duration>,
    pub(super) messages: u32,
    /// Of these, those through no relay.
    pub(super) direct_messages: u32,
    /// Checks of the busier side in an hour.
    pub(super) hourly: u32,
    /// A side gave up after it had a path, or said that it was lost.
    pub(super) given_up: bool,
}

impl Job {
    fn config(&self) -> SessionConfig {
        let mut config = SessionConfig::new(self.a, self.b);
        let Draw {
            signal_delay,
            round_trip,
            server_round_trip,
            seed,
        } = self.draw;
        config.seed = seed;
        config.round_trip = round_trip;
        config.server_round_trip = Some(server_round_trip);
        config.signal_delay = signal_delay;
        config.loss = Probability::percent(self.loss);
        config.gathered_before = true;
        config.dead_addresses = self.hosts - 1;
        config.dead_before = self.dead_before;
        config.ice = [self.profile.configure(); 2];
        config.audit = self.after == After::Hour;
        if let After::Consent(disorder) = self.after {
            config.disorder = disorder;
            config.gathered_before = false;
        }
        config
    }

    pub(super) fn run(&self) -> Result<Outcome, Error> {
        self.try_run().map_err(|error| Error::Session {
            a: self.a,
            b: self.b,
            seed: self.draw.seed,
            error,
        })
    }

    fn try_run(&self) -> Result<Outcome, SessionError> {
        let mut session = self.config().start()?;
        session.settle()?;
        let mut hourly = 0;
        match self.after {
            After::Nothing => {}
            After::Upgrade => session.wait(UPGRADE)?,
            After::Consent(_) => session.wait(CONSENT)?,
            After::Hour => {
                let before = requests(&session);
                session.wait(HOUR)?;
                let after = requests(&session);
                hourly = (after[0] - before[0]).max(after[1] - before[1]);
            }
        }
        let report = session.report()?;
        Ok(Outcome {
            expected: report.expectation.path,
            judgement: report.judgement,
            first: report.first_path(),
            path: report.outcome,
            can_send: report.valid(),
            selected: report.selected(),
            messages: report.stun_messages(),
            direct_messages: report.stun_messages() - report.relayed_messages(),
            hourly,
            given_up: gave_up(&report),
        })
    }
}

fn requests(session: &Session) -> [u32; 2] {
    [0, 1].map(|side| session.peer(side).map_or(0, |peer| peer.tally().requests))
}

fn gave_up(report: &Report) -> bool {
    report.sides.iter().any(|side| {
        let ended = side.timeline.connected.is_some() && side.failed.is_some();
        ended || !side.disconnected.is_empty()
    })
}

//! One negotiation, and what it came to.

use std::process::ExitCode;
use std::time::Duration;

use floe_sim::{Judgement, Path, Preset, Probability, Report};
use serde::Serialize;

use crate::conditions::Conditions;
use crate::error::Error;

/// What one negotiation came to, as it is printed and counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) a: Preset,
    pub(crate) b: Preset,
    pub(crate) seed: u64,
    pub(crate) outcome: Path,
    /// Candidate types of the selected pair, seen from `a`.
    pub(crate) pair: Option<(&'static str, &'static str)>,
    pub(crate) valid: Option<Duration>,
    pub(crate) selected: Option<Duration>,
    pub(crate) stun_messages: u32,
    pub(crate) gathering_messages: u32,
    pub(crate) judgement: Judgement,
}

impl Run {
    /// Negotiates.
    pub(crate) fn of(
        conditions: &Conditions,
        a: Preset,
        b: Preset,
        seed: u64,
    ) -> Result<Self, Error> {
        match conditions.session(a, b, seed).run() {
            Ok((report, _)) => Ok(Self::read(&report, a, b, seed)),
            Err(error) => Err(Error::Session { a, b, seed, error }),
        }
    }

    pub(crate) fn read(report: &Report, a: Preset, b: Preset, seed: u64) -> Self {
        let pair = report.pair();
        Self {
            a,
            b,
            seed,
            outcome: report.outcome,
            pair: pair.map(|(local, remote)| (local.name(), remote.name())),
            valid: report.valid(),
            selected: report.selected(),
            stun_messages: report.stun_messages(),
            gathering_messages: report.gathering_messages(),
            judgement: report.judgement,
        }
    }

    pub(crate) fn record(&self) -> Record {
        Record {
            a: self.a.name(),
            b: self.b.name(),
            seed: self.seed,
            outcome: self.outcome.name(),
            local: self.pair.map(|(local, _)| local),
            remote: self.pair.map(|(_, remote)| remote),
            valid_ms: self.valid.map(millis),
            selected_ms: self.selected.map(millis),
            stun_messages: self.stun_messages,
            gathering_messages: self.gathering_messages,
            oracle: self.judgement.name(),
        }
    }
}

/// A run as programs read it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) a: &'static str,
    pub(crate) b: &'static str,
    pub(crate) seed: u64,
    pub(crate) outcome: &'static str,
    pub(crate) local: Option<&'static str>,
    pub(crate) remote: Option<&'static str>,
    pub(crate) valid_ms: Option<f64>,
    pub(crate) selected_ms: Option<f64>,
    pub(crate) stun_messages: u32,
    pub(crate) gathering_messages: u32,
    pub(crate) oracle: &'static str,
}

/// To the microsecond; one division, so that the shortest decimal is the exact one.
pub(crate) fn millis(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1e3
}

/// Whether all is as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// All is well but what was to be proven: see `floe stun decode --help`.
    Unproven,
}

impl Verdict {
    /// Loss may cost the direct path, but never the connection, nor make the impossible possible.
    pub(crate) fn of(judgement: Judgement, loss: Probability) -> Self {
        match judgement {
            Judgement::Agreed => Self::Passed,
            Judgement::RelayAvoidable if loss > Probability::NEVER => Self::Passed,
            _ => Self::Failed,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Passed { other } else { self }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(match verdict {
            Verdict::Passed => 0,
            Verdict::Failed => 1,
            Verdict::Unproven => 3,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_loss_everything_must_be_agreed() {
        let of = |judgement| Verdict::of(judgement, Probability::NEVER);
        assert_eq!(of(Judgement::Agreed), Verdict::Passed);
        assert_eq!(of(Judgement::RelayAvoidable), Verdict::Failed);
        assert_eq!(of(Judgement::AgentMissedAPath), Verdict::Failed);
        assert_eq!(of(Judgement::OracleWrong), Verdict::Failed);
    }

    #[test]
    fn with_loss_a_relay_is_forgiven_and_nothing_else() {
        let of = |judgement| Verdict::of(judgement, Probability::ppm(1));
        assert_eq!(of(Judgement::Agreed), Verdict::Passed);
        assert_eq!(of(Judgement::RelayAvoidable), Verdict::Passed);
        assert_eq!(of(Judgement::AgentMissedAPath), Verdict::Failed);
        assert_eq!(of(Judgement::OracleWrong), Verdict::Failed);
    }

    #[test]
    fn one_failure_is_enough() {
        assert_eq!(Verdict::Passed.and(Verdict::Passed), Verdict::Passed);
        assert_eq!(Verdict::Failed.and(Verdict::Passed), Verdict::Failed);
        assert_eq!(Verdict::Passed.and(Verdict::Failed), Verdict::Failed);
        assert_eq!(ExitCode::from(Verdict::Failed), ExitCode::from(1));
    }

    #[test]
    fn what_is_absent_is_null() {
        let mut run = Run {
            a: Preset::Open,
            b: Preset::UdpBlocked,
            seed: 1,
            outcome: Path::None,
            pair: None,
            valid: None,
            selected: None,
            stun_messages: 0,
            gathering_messages: 3,
            judgement: Judgement::Agreed,
        };
        let json = |run: &Run| serde_json::to_string(&run.record()).unwrap();
        assert_eq!(
            json(&run),
            r#"{"a":"open","b":"udp-blocked","seed":1,"outcome":"none","local":null,"remote":null,"valid_ms":null,"selected_ms":null,"stun_messages":0,"gathering_messages":3,"oracle":"agreed"}"#
        );
        run.selected = Some(Duration::from_micros(557_800));
        assert!(json(&run).contains(r#""selected_ms":557.8,"#));
    }
}

//! What a negotiation is run under, beside the NATs and the seed.

use std::fmt;
use std::time::Duration;

use floe_sim::{Preset, Probability, SessionConfig};

use crate::quantity::{self, Millis, Percent};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Conditions {
    /// Loss of each crossing of the core in percent, such as `5` or `0.5%`; a relayed packet
    /// crosses twice
    #[arg(long, value_name = "P", default_value = "0", allow_negative_numbers = true, value_parser = quantity::loss)]
    pub(crate) loss: Probability,

    /// R, the round trip between the two peers' access networks in milliseconds, up to 60000; each
    /// peer is as far from the server. Beyond some seconds agents give up before answers arrive,
    /// which the oracle does not know
    #[arg(long, value_name = "MS", default_value = "50", allow_negative_numbers = true, value_parser = quantity::millis)]
    pub(crate) rtt: Duration,

    /// σ, what a signalling message takes one way in milliseconds, up to 60000
    #[arg(long, value_name = "MS", default_value = "50", allow_negative_numbers = true, value_parser = quantity::millis)]
    pub(crate) signal_delay: Duration,

    /// Signal candidates as they are found (RFC 8838); this is the default
    #[arg(long, overrides_with = "no_trickle")]
    trickle: bool,

    /// Wait for all candidates before signalling
    #[arg(long)]
    no_trickle: bool,

    /// Withhold the relay from the peers, and not from the oracle: a negative control, in which
    /// every cell that needs a relay is `agent-missed-a-path`
    #[arg(long)]
    no_relay: bool,
}

impl Conditions {
    /// One negotiation under these conditions.
    pub(crate) fn session(&self, a: Preset, b: Preset, seed: u64) -> SessionConfig {
        let mut config = SessionConfig::new(a, b);
        config.seed = seed;
        config.loss = self.loss;
        config.round_trip = self.rtt;
        config.signal_delay = self.signal_delay;
        config.trickle = self.trickles();
        config.relay = !self.no_relay;
        config
    }

    const fn trickles(&self) -> bool {
        self.trickle || !self.no_trickle
    }

    /// The options that lead to these conditions, each after a space.
    pub(crate) fn options(&self) -> String {
        let standard = SessionConfig::new(Preset::Open, Preset::Open);
        let mut options = Vec::new();
        if self.loss != standard.loss {
            options.push(format!(" --loss {}", Percent(self.loss)));
        }
        if self.rtt != standard.round_trip {
            options.push(format!(" --rtt {}", Millis(self.rtt)));
        }
        if self.signal_delay != standard.signal_delay {
            options.push(format!(" --signal-delay {}", Millis(self.signal_delay)));
        }
        if !self.trickles() {
            options.push(" --no-trickle".into());
        }
        if self.no_relay {
            options.push(" --no-relay".into());
        }
        options.concat()
    }
}

/// In words.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round trip {} ms", Millis(self.rtt))?;
        write!(f, ", signalling {} ms", Millis(self.signal_delay))?;
        match self.loss {
            Probability::NEVER => f.write_str(", no loss")?,
            loss => write!(f, ", {} % loss", Percent(loss))?,
        }
        f.write_str(if self.trickles() {
            ", trickle"
        } else {
            ", no trickle"
        })?;
        f.write_str(if self.no_relay { ", no relay" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        conditions: Conditions,
    }

    fn parse(options: &str) -> Conditions {
        let words = std::iter::once("x").chain(options.split_whitespace());
        Line::parse_from(words).conditions
    }

    #[test]
    fn the_defaults_are_those_of_the_simulator() {
        let ours = parse("").session(Preset::Open, Preset::Symmetric, 1);
        let theirs = SessionConfig::new(Preset::Open, Preset::Symmetric);
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        assert_eq!(parse("").options(), "");
    }

    #[test]
    fn options_lead_back_to_their_conditions() {
        let options = " --loss 0.5 --rtt 12.25 --signal-delay 0 --no-trickle --no-relay";
        assert_eq!(parse(options).options(), options);
    }

    #[test]
    fn the_last_word_on_trickling_counts() {
        assert!(parse("--no-trickle --trickle").trickles());
        assert!(!parse("--trickle --no-trickle").trickles());
    }
}

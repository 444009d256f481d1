//! Whole negotiations in the simulator: from nothing to application data over the selected pair.

use floe_sim::{Path, Preset, SessionConfig};

/// A kind of negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Full cone against full cone, without a relay to turn to.
    ConeWithoutRelay,
    /// The same with allocations on a TURN server, which are made and then not needed.
    Cone,
    /// Symmetric against symmetric: relayed.
    Symmetric,
}

impl Case {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::ConeWithoutRelay, Self::Cone, Self::Symmetric];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConeWithoutRelay => "cone-without-relay",
            Self::Cone => "cone",
            Self::Symmetric => "symmetric",
        }
    }

    /// How it is run: 50 ms round trip, no loss.
    pub const fn config(self) -> SessionConfig {
        let preset = match self {
            Self::ConeWithoutRelay | Self::Cone => Preset::FullCone,
            Self::Symmetric => Preset::Symmetric,
        };
        let mut config = SessionConfig::new(preset, preset);
        config.relay = !matches!(self, Self::ConeWithoutRelay);
        config
    }
}

/// Runs one negotiation.
pub fn run(config: &SessionConfig) -> Path {
    config.run().expect("a world that can be").0.outcome
}

/// Runs every kind of NAT against every kind, and returns how many negotiations found a path.
pub fn matrix(seed: u64) -> usize {
    let pairs = Preset::ALL
        .into_iter()
        .flat_map(|a| Preset::ALL.map(|b| (a, b)));
    pairs
        .filter(|&(a, b)| {
            let mut config = SessionConfig::new(a, b);
            config.seed = seed;
            run(&config) != Path::None
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_finds_the_path_that_it_is_about() {
        let outcomes = Case::ALL.map(|case| run(&case.config()));
        assert_eq!(outcomes, [Path::Direct, Path::Direct, Path::Relayed]);
        assert_eq!(matrix(1), 100, "every pair");
    }
}

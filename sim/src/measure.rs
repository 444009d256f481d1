//! What the speed of connecting is measured with, and against.
//!
//! Time zero is when the offer leaves, both sides have gathered before. σ is what a signalling message
//! takes, R the round trip between the hosts, ρ the round trip through a relay. No agent is faster than
//! 2σ + R, for the offerer learns the answerer's candidates after 2σ and its first check needs an
//! answer.

use core::time::Duration;

use crate::random::{Purpose, Random, entity};
use crate::{Path, Preset};

/// When a check that was lost is repeated for the first time (the default profile).
pub const RE_PROBE: Duration = Duration::from_millis(100);

/// What a local network adds to a round trip, there and back.
const LAN: Duration = Duration::from_micros(400);

/// Conditions of a negotiation, drawn at random: whole tenths of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// σ: signalling, one way; 40 to 300 ms.
    pub signal_delay: Duration,
    /// R: the round trip between the access networks; 10 to 200 ms.
    pub round_trip: Duration,
    /// r: the round trip to the server; 10 to 120 ms. Through the relay, ρ = 2r.
    pub server_round_trip: Duration,
    /// The seed of the negotiation.
    pub seed: u64,
}

impl Draw {
    /// The `n`-th draw of a seed.
    ///
    /// ```
    /// use floe_sim::Draw;
    ///
    /// let draw = Draw::nth(1, 7);
    /// assert_eq!(draw, Draw::nth(1, 7));
    /// assert!((40..=300).contains(&draw.signal_delay.as_millis()));
    /// ```
    pub fn nth(seed: u64, n: u64) -> Self {
        let random = Random::new(seed);
        let key = entity("draw");
        let index = n.wrapping_mul(4);
        let tenths = |part: u64, low: u64, high: u64| {
            let index = index.wrapping_add(part);
            let span = (high - low) * 10 + 1;
            let tenths = low * 10 + random.below(key, Purpose::Scenario, index, span);
            Duration::from_micros(tenths * 100)
        };
        Self {
            signal_delay: tenths(0, 40, 300),
            round_trip: tenths(1, 10, 200),
            server_round_trip: tenths(2, 10, 120),
            seed: random.draw(key, Purpose::Scenario, index.wrapping_add(3)),
        }
    }

    /// The same draw with a relay that is no shortcut: r is R/2 at least, so that ρ is R at least. On
    /// the internet a relay may be faster than the direct path; then a floor of direct paths is none.
    #[must_use]
    pub fn without_shortcut(self) -> Self {
        Self {
            server_round_trip: self.server_round_trip.max(self.round_trip / 2),
            ..self
        }
    }
}

/// When both sides can send, at best and at the latest, from the moment the offer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The best path.
    pub path: Path,
    /// No agent is faster.
    pub floor: Duration,
    /// `floor` less 2σ, in letters.
    pub formula: &'static str,
    /// The least that can be had without knowing σ: what the goals are counted from.
    pub base: Duration,
}

/// How a NAT lets others in, as the table of floors sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Open,
    Address,
    Port,
    Symmetric,
    Blocked,
}

impl Kind {
    const fn of(preset: Preset) -> Option<Self> {
        Some(match preset {
            Preset::Open | Preset::FullCone => Self::Open,
            Preset::AddressRestricted => Self::Address,
            Preset::PortRestricted => Self::Port,
            Preset::Symmetric => Self::Symmetric,
            Preset::UdpBlocked => Self::Blocked,
            _ => return None,
        })
    }
}

/// The bound of a pair of NATs; `None` for kinds that are not in the table.
///
/// ```
/// use floe_sim::{Draw, Path, Preset, bound};
///
/// let bound = bound(Preset::Symmetric, Preset::FullCone, &Draw::nth(1, 1)).unwrap();
/// assert_eq!((bound.path, bound.formula), (Path::Direct, "1.5R"));
/// ```
pub fn bound(offerer: Preset, answerer: Preset, draw: &Draw) -> Option<Bound> {
    let (a, b) = (Kind::of(offerer)?, Kind::of(answerer)?);
    let routers = [offerer, answerer]
        .iter()
        .filter(|preset| !preset.layers().is_empty())
        .count();
    let lan = LAN * u32::try_from(routers).unwrap_or(0);
    let direct = draw.round_trip + lan;
    let relayed = 2 * draw.server_round_trip + lan;
    let half = |round_trip: Duration| round_trip + round_trip / 2;

    let signalled = 2 * draw.signal_delay;
    // The port of a symmetric answerer is learned from a packet that leaves when the offer arrives; where σ is
    // short, it comes later than the answer.
    let late = (draw.signal_delay + direct / 2).saturating_sub(signalled);
    let relay = |formula, base| (Path::Relayed, relayed, formula, base);
    let (path, floor, formula, base) = match (a, b) {
        (Kind::Blocked, _) | (_, Kind::Blocked) | (Kind::Port, Kind::Symmetric) => {
            relay("ρ", relayed)
        }
        // The relay of the one side learns the port of the other from its packets.
        (Kind::Symmetric, Kind::Port | Kind::Symmetric) => relay("ρ", half(relayed)),
        (Kind::Symmetric, _) => (Path::Direct, half(direct), "1.5R", half(direct)),
        (Kind::Open, Kind::Symmetric) => (Path::Direct, direct + late, "R", direct + late),
        (Kind::Open, _) => (Path::Direct, direct, "R", direct),
        // Nobody triggers a check here.
        (Kind::Address, Kind::Symmetric) => {
            (Path::Direct, direct + late, "R", direct + late + RE_PROBE)
        }
        // The answerer's first check dies at the offerer's filter; the second is a triggered one.
        (Kind::Address | Kind::Port, _) => (Path::Direct, direct, "R", half(direct)),
    };
    Some(Bound {
        path,
        floor: signalled + floor,
        formula,
        base: signalled + base,
    })
}

/// The smallest value that at least `percent` of all values do not exceed; `None` of none.
///
/// ```
/// use floe_sim::quantile;
///
/// assert_eq!(quantile(&[3, 1, 2, 4], 50), Some(2));
/// assert_eq!(quantile(&[3, 1, 2, 4], 100), Some(4));
/// ```
pub fn quantile<T: Copy + Ord>(values: &[T], percent: u32) -> Option<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    let rank = (values.len() * percent as usize).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Preset; 5] = [
        Preset::FullCone,
        Preset::AddressRestricted,
        Preset::PortRestricted,
        Preset::Symmetric,
        Preset::UdpBlocked,
    ];

    #[test]
    fn the_table_of_floors() {
        let draw = Draw::nth(1, 0);
        let rows = COLUMNS.map(|a| {
            COLUMNS
                .map(|b| bound(a, b, &draw).unwrap().formula)
                .join(" ")
        });
        assert_eq!(
            rows,
            [
                "R R R R ρ",
                "R R R R ρ",
                "R R R ρ ρ",
                "1.5R 1.5R ρ ρ ρ",
                "ρ ρ ρ ρ ρ",
            ]
        );
        assert_eq!(bound(Preset::Open, Preset::DoubleNat, &draw), None);
    }

    #[test]
    fn floors_are_sums_of_what_was_drawn() {
        let draw = Draw {
            signal_delay: Duration::from_millis(100),
            round_trip: Duration::from_millis(40),
            server_round_trip: Duration::from_millis(30),
            seed: 1,
        };
        let of = |a, b| {
            let bound = bound(a, b, &draw).unwrap();
            (bound.floor.as_micros(), bound.base.as_micros())
        };
        assert_eq!(of(Preset::Open, Preset::Open), (240_000, 240_000));
        assert_eq!(of(Preset::PortRestricted, Preset::Open), (240_400, 260_600));
        assert_eq!(of(Preset::Symmetric, Preset::Symmetric), (260_800, 291_200));
        assert_eq!(
            of(Preset::AddressRestricted, Preset::Symmetric),
            (240_800, 340_800)
        );
    }

    #[test]
    fn draws_fill_their_ranges() {
        let draws: Vec<_> = (0..2_000).map(|n| Draw::nth(3, n)).collect();
        let range = |of: fn(&Draw) -> Duration| {
            let all = draws.iter().map(of);
            (
                all.clone().min().unwrap().as_millis(),
                all.max().unwrap().as_millis(),
            )
        };
        let near = |(low, high): (u128, u128), (least, most)| {
            assert!((least..least + 3).contains(&low), "{low}");
            assert!((most - 3..=most).contains(&high), "{high}");
        };
        near(range(|draw| draw.signal_delay), (40, 300));
        near(range(|draw| draw.round_trip), (10, 200));
        near(range(|draw| draw.server_round_trip), (10, 120));
    }
}

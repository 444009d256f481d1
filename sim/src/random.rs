//! Counter-based randomness: a draw is a function of its key, not of what was drawn before it.

/// What a draw is for. Two purposes of one entity never share a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Whether a link loses a packet.
    Loss = 1,
    /// How long a link takes.
    Delay = 2,
    /// Whether a link duplicates a packet.
    Duplicate = 3,
    /// Whether, and where, a link corrupts a packet.
    Corrupt = 4,
    /// Which external port a NAT picks.
    Port = 5,
    /// The seed of a state machine.
    Machine = 6,
    /// The parameters of a generated scenario.
    Scenario = 7,
    /// The initial sequence number of a TCP connection.
    Sequence = 8,
    /// The first local port of a host's outgoing TCP connections.
    Ephemeral = 9,
    /// What the signalling path does to a message.
    Signal = 10,
}

/// The source of all randomness of one run.
///
/// Every draw is keyed by (seed, entity, purpose, index). Adding a host, or a draw, changes no other
/// draw. It is not for secrets: machines get a [`seed`](Self::seed) and make their own.
///
/// ```
/// use floe_sim::{entity, Purpose, Random};
///
/// let random = Random::new(7);
/// let first = random.draw(entity("a"), Purpose::Loss, 0);
/// random.draw(entity("b"), Purpose::Loss, 0); // changes nothing for "a"
/// assert_eq!(random.draw(entity("a"), Purpose::Loss, 0), first);
/// assert_ne!(random.draw(entity("a"), Purpose::Loss, 1), first);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    seed: u64,
}

impl Random {
    /// The draws that belong to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// 64 uniform bits.
    pub const fn draw(self, entity: u64, purpose: Purpose, index: u64) -> u64 {
        let of_entity = mix(self.seed ^ mix(entity));
        let of_purpose = mix(of_entity ^ (purpose as u64));
        mix(of_purpose ^ index)
    }

    /// A value below `bound`, or 0 if `bound` is 0.
    pub const fn below(self, entity: u64, purpose: Purpose, index: u64, bound: u64) -> u64 {
        scale(self.draw(entity, purpose, index), bound)
    }

    /// Whether something of this probability happens.
    pub const fn chance(
        self,
        entity: u64,
        purpose: Purpose,
        index: u64,
        probability: Probability,
    ) -> bool {
        // Nothing is drawn for what never happens: a plain link costs nothing.
        probability.0 > 0
            && self.below(entity, purpose, index, Probability::ALWAYS.0 as u64)
                < probability.0 as u64
    }

    /// A seed for the `index`-th state machine of an entity.
    pub fn seed(self, entity: u64, index: u64) -> [u8; 32] {
        let mut seed = [0; 32];
        for (part, bytes) in seed.chunks_exact_mut(8).enumerate() {
            let index = index.wrapping_mul(4).wrapping_add(part as u64);
            bytes.copy_from_slice(&self.draw(entity, Purpose::Machine, index).to_le_bytes());
        }
        seed
    }
}

/// The key of an entity, from its name: independent of what else there is.
pub const fn entity(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut key = bytes.len() as u64;
    let mut at = 0;
    while at < bytes.len() {
        key = mix(key ^ bytes[at] as u64);
        at += 1;
    }
    key
}

/// The key of what two entities have with each other, in this order.
pub(crate) const fn pair(first: u64, second: u64) -> u64 {
    mix(first).rotate_left(32) ^ second
}

/// A bijection of 64 bits in which every input bit reaches every output bit (`SplitMix64`).
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const fn scale(bits: u64, bound: u64) -> u64 {
    ((bits as u128 * bound as u128) >> 64) as u64
}

/// A probability in parts per million: integers, so that no platform decides otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Probability(u32);

impl Probability {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1_000_000);

    /// `ppm` parts per million, at most 1,000,000.
    pub const fn ppm(ppm: u32) -> Self {
        if ppm > Self::ALWAYS.0 {
            Self::ALWAYS
        } else {
            Self(ppm)
        }
    }

    /// `percent` parts per hundred, at most 100.
    pub const fn percent(percent: u32) -> Self {
        Self::ppm(percent.saturating_mul(10_000))
    }

    /// Parts per million.
    pub const fn as_ppm(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_of_a_seed_never_change() {
        // Recorded once: stored scenarios keep their meaning only while this holds.
        let random = Random::new(1);
        assert_eq!(
            random.draw(entity("a"), Purpose::Loss, 0),
            13_169_195_210_573_439_955
        );
    }

    #[test]
    fn each_part_of_the_key_counts() {
        let draw =
            |seed, name, purpose, index| Random::new(seed).draw(entity(name), purpose, index);
        let base = draw(1, "a", Purpose::Loss, 0);
        assert_ne!(base, draw(2, "a", Purpose::Loss, 0));
        assert_ne!(base, draw(1, "b", Purpose::Loss, 0));
        assert_ne!(base, draw(1, "a", Purpose::Delay, 0));
        assert_ne!(base, draw(1, "a", Purpose::Loss, 1));
        assert_ne!(entity("ab"), entity("ba"));
        assert_ne!(entity(""), entity("\0"));
        assert_ne!(pair(1, 2), pair(2, 1));
    }

    #[test]
    fn a_chance_happens_as_often_as_it_says() {
        let random = Random::new(3);
        let hits = (0..100_000)
            .filter(|&i| random.chance(5, Purpose::Loss, i, Probability::percent(5)))
            .count();
        // Five standard deviations (69 each) around 5,000.
        assert!((4_655..=5_345).contains(&hits), "{hits}");
        assert!(!random.chance(5, Purpose::Loss, 0, Probability::NEVER));
        assert!((0..1_000).all(|i| random.chance(5, Purpose::Loss, i, Probability::ALWAYS)));
    }

    #[test]
    fn draws_below_a_bound_reach_both_ends() {
        let random = Random::new(3);
        let mut seen = [0_u32; 6];
        for i in 0..6_000 {
            seen[random.below(9, Purpose::Port, i, 6) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (850..1_150).contains(&n)), "{seen:?}");
        assert_eq!(random.below(9, Purpose::Port, 0, 0), 0);
    }

    #[test]
    fn machines_get_seeds_that_share_nothing() {
        let random = Random::new(3);
        let mut parts: Vec<_> = (0..100)
            .flat_map(|i| {
                random
                    .seed(entity("a"), i)
                    .chunks(8)
                    .map(<[u8]>::to_vec)
                    .collect::<Vec<_>>()
            })
            .collect();
        parts.sort();
        parts.dedup();
        assert_eq!(parts.len(), 400);
    }

    #[test]
    fn probabilities_are_cut_at_one() {
        assert_eq!(Probability::percent(150), Probability::ALWAYS);
        assert_eq!(Probability::ppm(u32::MAX).as_ppm(), 1_000_000);
    }
}

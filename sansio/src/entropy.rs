use core::convert::Infallible;
use core::fmt;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

/// Randomness that comes from one seed: transaction ids, tie-breakers, user name fragments, passwords.
///
/// It is the `ChaCha` stream cipher: with a secret seed nobody can guess the next value from those
/// seen, and the same seed gives the same values on any machine. Seed it from the operating system
/// in production and from the scenario in a simulation; never use one seed for two machines.
///
/// ```
/// use floe_sansio::Entropy;
///
/// let mut a = Entropy::new([7; 32]);
/// let mut b = Entropy::new([7; 32]);
/// assert_eq!(a.u64(), b.u64());
/// assert_ne!(a.child().u64(), a.u64());
/// ```
#[derive(Clone)]
pub struct Entropy(ChaCha12Rng);

impl Entropy {
    /// The stream that belongs to `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// Fills `bytes` with the next values of the stream.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A value below `bound`, every one as likely as the next to one part in 2³²; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        // Multiply and shift (Lemire) without rejection: one draw a call whatever the bound, so that
        // the stream stays aligned.
        ((u128::from(self.u64()) * u128::from(bound)) >> 64) as u32
    }

    /// A seed for another machine: an independent stream.
    pub fn seed(&mut self) -> [u8; 32] {
        self.bytes()
    }

    /// An independent stream, for a machine inside this one.
    #[must_use]
    pub fn child(&mut self) -> Self {
        Self::new(self.seed())
    }
}

/// Never prints the state: whoever knows it knows every secret to come.
impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

/// What callers of `rand_core` need to draw from the same stream.
impl rand_core::TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut entropy = Entropy::new([1; 32]);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[entropy.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(entropy.below(0), 0);
    }

    #[test]
    fn debug_tells_nothing() {
        assert_eq!(std::format!("{:?}", Entropy::new([9; 32])), "Entropy(..)");
    }

    #[test]
    fn the_stream_of_a_seed_never_changes() {
        // Recorded once: scenarios keep their meaning only while this holds.
        assert_eq!(Entropy::new([0; 32]).u64(), 0x53f9_5507_6a9a_f49b);
    }
}

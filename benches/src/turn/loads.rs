use floe_sansio::Entropy;

/// What the memory allows: loads of which each needs the one before it, anywhere in so many bytes.
#[derive(Debug)]
pub struct Loads {
    /// A random cycle through all cache lines.
    lines: Vec<Line>,
    at: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(u32);

impl Loads {
    /// In `bytes`, rounded down to whole lines.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let mut lines: Vec<_> = (0..(bytes / 64) as u32).map(Line).collect();
        // Sattolo's shuffle: one cycle.
        let mut entropy = Entropy::new([2; 32]);
        for at in (1..lines.len()).rev() {
            lines.swap(at, entropy.below(at as u32) as usize);
        }
        Self { lines, at: 0 }
    }

    /// Two loads.
    pub fn two(&mut self) -> u32 {
        let first = self.lines[self.at as usize].0;
        self.at = self.lines[first as usize].0;
        self.at
    }
}

//! How much a description may hold.

/// Bounds on a description; whatever passes them is refused before anything is kept of it.
///
/// A browser's largest offers have a few hundred lines and some ten kilobytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text; values above `u32::MAX` count as `u32::MAX`.
    pub max_bytes: usize,
    /// Lines of the whole text.
    pub max_lines: usize,
    /// `m=` lines.
    pub max_media: usize,
}

impl Limits {
    /// 256 KiB, 8192 lines, 256 media sections.
    pub const DEFAULT: Self = Self {
        max_bytes: 256 * 1024,
        max_lines: 8192,
        max_media: 256,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

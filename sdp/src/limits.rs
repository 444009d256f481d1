//! How much a description may hold.

/// Bounds on a description. Whatever passes one of them is refused, with the place where it does.
///
/// A browser's largest offers have a few hundred lines and some ten kilobytes.
///
/// ```
/// use floe_sdp::{ErrorKind, Limits, Session};
///
/// let text = b"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=x\na=y\n";
/// let limits = Limits { max_attributes: 1, ..Limits::DEFAULT };
/// let error = Session::parse_with(text, &limits).unwrap_err();
/// assert_eq!((error.kind, error.line), (ErrorKind::TooManyAttributes, 6));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text; values above `u32::MAX - 1` count as that.
    pub max_bytes: usize,
    /// Bytes of one line without its end.
    pub max_line_bytes: usize,
    /// Lines of the whole text.
    pub max_lines: usize,
    /// `m=` lines.
    pub max_media: usize,
    /// `a=` lines of the session level, and of each media section.
    pub max_attributes: usize,
    /// `a=candidate` lines of each media section.
    pub max_candidates: usize,
    /// Formats of one `m=` line.
    pub max_formats: usize,
}

impl Limits {
    /// 256 KiB in 8192 lines of up to 16 KiB; 256 media sections, of 4096 attributes, 1024 candidates
    /// and 512 formats each.
    pub const DEFAULT: Self = Self {
        max_bytes: 256 * 1024,
        max_line_bytes: 16 * 1024,
        max_lines: 8192,
        max_media: 256,
        max_attributes: 4096,
        max_candidates: 1024,
        max_formats: 512,
    };

    /// None but the 4 GiB that an index of 32 bits can hold; parsing is still linear.
    pub const NONE: Self = Self {
        max_bytes: usize::MAX,
        max_line_bytes: usize::MAX,
        max_lines: usize::MAX,
        max_media: usize::MAX,
        max_attributes: usize::MAX,
        max_candidates: usize::MAX,
        max_formats: usize::MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

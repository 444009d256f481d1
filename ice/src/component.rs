//! What a pair is selected for.

use core::fmt;

/// One component of one data stream. Each has addresses, pairs and a selected pair of its own; the
/// streams of an agent share its credentials and its role.
///
/// ```
/// use floe_ice::ComponentId;
///
/// let rtcp = ComponentId::new(0, 2);
/// assert_eq!(rtcp.to_string(), "0.2");
/// assert_eq!(ComponentId::default(), ComponentId::new(0, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    /// The data stream, numbered by the owner: its place among the media sections, for instance.
    pub stream: u16,
    /// The component, 1 to 256: 1 for RTP or for all there is, 2 for RTCP (RFC 8445 §5.1.1.1).
    pub component: u16,
}

impl ComponentId {
    /// Names a component.
    pub const fn new(stream: u16, component: u16) -> Self {
        Self { stream, component }
    }

    /// Whether the number is one that ICE allows.
    pub const fn is_valid(self) -> bool {
        1 <= self.component && self.component <= 256
    }
}

/// The first component of the first stream, which is all that most sessions have.
impl Default for ComponentId {
    fn default() -> Self {
        Self::new(0, 1)
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stream, self.component)
    }
}

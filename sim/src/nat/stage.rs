//! How far a flow has come, which decides how long it is remembered.

use crate::Flags;

/// What a packet says of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A datagram: the first is like any other.
    Datagram,
    /// A segment like any other.
    Goes,
    /// A SYN.
    Begins,
    /// A FIN.
    Ends,
    /// A RST.
    Breaks,
}

impl Sign {
    pub(super) const fn of(flags: Flags) -> Self {
        if flags.has(Flags::RST) {
            Self::Breaks
        } else if flags.has(Flags::FIN) {
            Self::Ends
        } else if flags.has(Flags::SYN) {
            Self::Begins
        } else {
            Self::Goes
        }
    }

    /// Whether it may be the first of a flow.
    pub(super) const fn may_begin(self) -> bool {
        matches!(self, Self::Datagram | Self::Begins)
    }
}

/// From which side a packet comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Inside,
    Outside,
}

/// The states of RFC 7857 §2, figure 1. Datagrams know the first two only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has come back: INIT.
    New,
    /// ESTABLISHED.
    Established,
    /// That side has sent its FIN: C-FIN, S-FIN.
    HalfClosed(Side),
    /// Both have: C+S-FIN.
    Closed,
    /// One has sent a RST: TRANS.
    Broken,
}

impl Stage {
    /// Whether it is remembered as a connection that may be idle for long.
    pub(super) const fn is_established(self) -> bool {
        matches!(self, Self::Established | Self::HalfClosed(_))
    }

    /// What comes after it.
    pub(super) const fn after(self, side: Side, sign: Sign) -> Self {
        match (self, side, sign) {
            (_, _, Sign::Breaks) => Self::Broken,
            // Whoever opens a connection anew.
            (Self::Closed | Self::Broken, Side::Inside, Sign::Begins) => Self::New,
            (Self::New, Side::Outside, _) | (Self::Broken, _, Sign::Goes) => Self::Established,
            (Self::Established, side, Sign::Ends) => Self::HalfClosed(side),
            (Self::HalfClosed(Side::Inside), Side::Outside, Sign::Ends)
            | (Self::HalfClosed(Side::Outside), Side::Inside, Sign::Ends) => Self::Closed,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// req: NATUPD-2-1
    #[test]
    fn the_states_follow_each_other_as_in_the_figure() {
        use Side::{Inside, Outside};
        use Sign::{Begins, Breaks, Ends, Goes};
        let follow = |path: &[(Side, Sign)]| {
            path.iter()
                .fold(Stage::New, |stage, &(side, sign)| stage.after(side, sign))
        };
        let open = [(Outside, Begins)];
        let then = |more: &[(Side, Sign)]| follow(&[&open[..], more].concat());
        assert_eq!(follow(&[(Inside, Begins), (Inside, Goes)]), Stage::New);
        assert_eq!(then(&[]), Stage::Established);
        assert_eq!(then(&[(Inside, Ends)]), Stage::HalfClosed(Inside));
        assert_eq!(then(&[(Outside, Ends)]), Stage::HalfClosed(Outside));
        let closed = [(Outside, Ends), (Inside, Ends)];
        assert_eq!(then(&closed), Stage::Closed);
        assert_eq!(then(&[(Inside, Ends), (Outside, Ends)]), Stage::Closed);
        assert_eq!(
            then(&[(Inside, Ends), (Inside, Ends)]),
            Stage::HalfClosed(Inside)
        );
        // The last acknowledgment opens nothing again.
        assert_eq!(
            then(&[closed[0], closed[1], (Outside, Goes)]),
            Stage::Closed
        );
        assert_eq!(then(&[(Inside, Breaks)]), Stage::Broken);
        assert_eq!(
            then(&[(Outside, Breaks), (Inside, Goes)]),
            Stage::Established
        );
        assert_eq!(then(&[closed[0], closed[1], (Inside, Begins)]), Stage::New);
    }
}

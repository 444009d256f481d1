//! Who nominates, and what happens when both or neither want to.

use crate::candidate::pair_priority;

/// The role of an agent (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Nominates the pair that is used. The side that offers, to begin with.
    Controlling,
    /// Follows.
    Controlled,
}

impl Role {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }

    /// The priority of a pair, seen from an agent in this role.
    pub(crate) const fn pair_priority(self, local: u32, remote: u32) -> u64 {
        match self {
            Self::Controlling => pair_priority(local, remote),
            Self::Controlled => pair_priority(remote, local),
        }
    }
}

/// What to do about a check whose sender claims `theirs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The roles differ.
    None,
    /// The sender keeps its role and this agent takes the other.
    Yield,
    /// This agent keeps its role and the sender is told so with a 487.
    Insist,
}

impl Conflict {
    /// The table of RFC 8445 §7.3.1.1: the larger tie-breaker controls.
    pub(crate) const fn of(
        own: Role,
        own_tie_breaker: u64,
        theirs: Role,
        tie_breaker: u64,
    ) -> Self {
        match (own, theirs) {
            (Role::Controlling, Role::Controlling) if own_tie_breaker >= tie_breaker => {
                Self::Insist
            }
            (Role::Controlled, Role::Controlled) if own_tie_breaker < tie_breaker => Self::Insist,
            (Role::Controlling, Role::Controlled) | (Role::Controlled, Role::Controlling) => {
                Self::None
            }
            _ => Self::Yield,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// req: ICE-7.3.1.1-2
    #[test]
    fn the_larger_tie_breaker_controls() {
        use Role::{Controlled, Controlling};
        for (own, own_value, theirs, value, expected) in [
            (Controlling, 5, Controlling, 4, Conflict::Insist),
            (Controlling, 5, Controlling, 5, Conflict::Insist),
            (Controlling, 5, Controlling, 6, Conflict::Yield),
            (Controlled, 5, Controlled, 4, Conflict::Yield),
            (Controlled, 5, Controlled, 5, Conflict::Yield),
            (Controlled, 5, Controlled, 6, Conflict::Insist),
            (Controlling, 5, Controlled, 9, Conflict::None),
            (Controlled, 5, Controlling, 1, Conflict::None),
        ] {
            assert_eq!(Conflict::of(own, own_value, theirs, value), expected);
        }
    }
}

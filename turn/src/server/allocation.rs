use floe_sansio::{FiveTuple, Instant};
use floe_stun::TransactionId;

use super::Traffic;
use super::channels::Channels;
use super::meter::Meter;
use super::permissions::Permissions;
use super::relays::Place;
use super::slab::Slot;

/// No other relayed address.
pub(super) const ALONE: Slot = Slot::MAX;

/// The request that made an allocation, to know it again when it is retransmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) id: TransactionId,
    /// Of all its bytes: the same id with another body is another request.
    pub(super) digest: [u8; 7],
}

/// What the server keeps for one relayed address of a client's 5-tuple (RFC 8656 §6). A dual allocation
/// is two of them, each of which knows the other.
///
/// Four cache lines with one permission and one channel; the first three are those of the data path.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Allocation {
    pub(super) client: FiveTuple,
    pub(super) relayed: Place,
    pub(super) expires: Instant,
    pub(super) channels: Channels,
    /// From the client to its peers, and the other way.
    pub(super) traffic: [Traffic; 2],
    pub(super) permissions: Permissions,
    pub(super) meter: Meter,
    /// As the user base calls the user.
    pub(super) user: u64,
    pub(super) origin: Origin,
    /// Whether it relays TCP (RFC 6062); then channels and permissions above stay empty, so that no
    /// datagram passes.
    pub(super) is_tcp: bool,
    /// Where the other relayed address of a dual allocation lies, or [`ALONE`].
    pub(super) twin: Slot,
}

impl Allocation {
    pub(super) fn new(
        client: FiveTuple,
        relayed: Place,
        user: u64,
        expires: Instant,
        origin: Origin,
    ) -> Self {
        Self {
            client,
            relayed,
            twin: ALONE,
            expires,
            channels: Channels::default(),
            permissions: Permissions::default(),
            meter: Meter::default(),
            traffic: [Traffic::default(); 2],
            user,
            origin,
            is_tcp: false,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.permissions.len() + self.channels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_takes_four_cache_lines() {
        assert_eq!(size_of::<Allocation>(), 256);
        assert_eq!(size_of::<Option<Allocation>>(), 256);
    }
}

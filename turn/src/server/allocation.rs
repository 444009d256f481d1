use floe_sansio::{FiveTuple, Instant};
use floe_stun::TransactionId;

use super::Traffic;
use super::channels::Channels;
use super::meter::Meter;
use super::permissions::Permissions;
use super::relays::Place;

/// The request that made an allocation, to know it again when it is retransmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) id: TransactionId,
    /// Of all its bytes: the same id with another body is another request.
    pub(super) digest: u64,
}

/// What the server keeps for one client's 5-tuple (RFC 8656 §6).
///
/// 256 bytes with one permission and one channel; the order of the fields is that of the data path.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Allocation {
    pub(super) client: FiveTuple,
    pub(super) relayed: Place,
    pub(super) expires: Instant,
    pub(super) channels: Channels,
    pub(super) permissions: Permissions,
    pub(super) meter: Meter,
    /// From the client to its peers, and the other way.
    pub(super) traffic: [Traffic; 2],
    /// As the user base calls the user.
    pub(super) user: u64,
    pub(super) origin: Origin,
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
            expires,
            channels: Channels::default(),
            permissions: Permissions::default(),
            meter: Meter::default(),
            traffic: [Traffic::default(); 2],
            user,
            origin,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.permissions.len() + self.channels.len()
    }
}

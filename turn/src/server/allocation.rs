use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::{FiveTuple, Instant};
use floe_stun::TransactionId;

/// How long a permission lives (RFC 8656 §9).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel lives (RFC 8656 §12).
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// How long after that neither its number nor its peer can be bound anew (RFC 8656 §12).
const CHANNEL_GUARD: Duration = Duration::from_secs(300);

/// The request that made an allocation, to know it again when it is retransmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) id: TransactionId,
    /// Of all its bytes: the same id with another body is another request.
    pub(super) digest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    peer: SocketAddr,
    expires: Instant,
}

/// What the server keeps for one client's 5-tuple (RFC 8656 §6).
///
/// Expiry is decided when something is used; what is left over goes when room is needed or the
/// allocation ends.
#[derive(Clone, Debug)]
pub(super) struct Allocation {
    pub(super) client: FiveTuple,
    pub(super) relayed: SocketAddr,
    /// Place of the user in the server's list.
    pub(super) user: usize,
    pub(super) expires: Instant,
    pub(super) origin: Origin,
    permissions: BTreeMap<IpAddr, Instant>,
    channels: BTreeMap<u16, Channel>,
    /// The number of each peer in `channels`.
    numbers: BTreeMap<SocketAddr, u16>,
}

impl Allocation {
    pub(super) const fn new(
        client: FiveTuple,
        relayed: SocketAddr,
        user: usize,
        expires: Instant,
        origin: Origin,
    ) -> Self {
        Self {
            client,
            relayed,
            user,
            expires,
            origin,
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// Whether datagrams from and to `ip` are relayed.
    pub(super) fn permits(&self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.get(&ip).is_some_and(|&at| now < at)
    }

    /// The peer to which channel `number` leads.
    pub(super) fn peer(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        let channel = self.channels.get(&number)?;
        (now < channel.expires).then_some(channel.peer)
    }

    /// The channel that leads to `peer`.
    pub(super) fn channel_to(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        let number = *self.numbers.get(&peer)?;
        self.peer(now, number).map(|_| number)
    }

    /// Whether there is room for permissions for all of `ips`; makes some if need be.
    pub(super) fn has_room(&mut self, now: Instant, ips: &BTreeSet<IpAddr>, limit: usize) -> bool {
        let fits = |held: &BTreeMap<IpAddr, Instant>| {
            let new = ips.iter().filter(|ip| !held.contains_key(ip)).count();
            held.len() + new <= limit
        };
        if !fits(&self.permissions) {
            self.permissions.retain(|_, &mut at| now < at);
        }
        fits(&self.permissions)
    }

    /// Installs or refreshes a permission.
    pub(super) fn permit(&mut self, now: Instant, ip: IpAddr) {
        self.permissions.insert(ip, now + PERMISSION_LIFETIME);
    }

    /// Whether neither `number` nor `peer` belongs to another channel (RFC 8656 §12.2); after its
    /// expiry a channel keeps both for the guard time.
    pub(super) fn may_bind(&self, now: Instant, number: u16, peer: SocketAddr) -> bool {
        let is_held = |channel: &Channel| now < channel.expires + CHANNEL_GUARD;
        let by_number = self.channels.get(&number);
        let by_peer = self.numbers.get(&peer).copied();
        let number_is_ours = by_number.is_none_or(|held| held.peer == peer || !is_held(held));
        let peer_is_ours = by_peer
            .is_none_or(|other| other == number || !self.channels.get(&other).is_some_and(is_held));
        number_is_ours && peer_is_ours
    }

    /// Whether there is room for this channel; makes some if need be.
    pub(super) fn has_room_for_channel(&mut self, now: Instant, number: u16, limit: usize) -> bool {
        if self.channels.contains_key(&number) || self.channels.len() < limit {
            return true;
        }
        let numbers = &mut self.numbers;
        self.channels.retain(|_, channel| {
            let held = now < channel.expires + CHANNEL_GUARD;
            if !held {
                numbers.remove(&channel.peer);
            }
            held
        });
        self.channels.len() < limit
    }

    /// Binds or refreshes a channel, and the permission that it implies.
    pub(super) fn bind(&mut self, now: Instant, number: u16, peer: SocketAddr) {
        let expires = now + CHANNEL_LIFETIME;
        if let Some(old) = self.channels.insert(number, Channel { peer, expires }) {
            self.numbers.remove(&old.peer);
        }
        if let Some(old) = self
            .numbers
            .insert(peer, number)
            .filter(|&old| old != number)
        {
            self.channels.remove(&old);
        }
        self.permit(now, peer.ip());
    }

    pub(super) fn held(&self) -> usize {
        self.permissions.len() + self.channels.len()
    }
}

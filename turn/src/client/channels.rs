use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::Instant;

use crate::frame::CHANNELS;

/// How long the server keeps a channel (RFC 8656 §12).
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// How long after that neither the number nor the peer may be bound anew (RFC 8656 §12).
const GUARD: Duration = Duration::from_secs(300);

/// One pair of number and peer, bound, being bound, or in its guard time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) number: u16,
    /// Kept alive; data that arrives on it is taken.
    pub(super) wanted: bool,
    /// The server confirmed it: data may be sent on it until then.
    pub(super) bound_until: Option<Instant>,
    /// Server errors in a row.
    pub(super) failures: u8,
    /// From then on the number is free for another peer.
    reusable_at: Instant,
}

impl Channel {
    /// A request for it went out, or was answered, at `now`: the server may keep it from then.
    pub(super) fn touch(&mut self, now: Instant) {
        self.reusable_at = self.reusable_at.max(now + CHANNEL_LIFETIME + GUARD);
    }

    /// The channel's number, if data may be sent on it: the server has confirmed it and it lives, or, if
    /// that need not be waited for, it was asked for in this allocation.
    pub(super) fn open(&self, now: Instant, early: bool) -> Option<u16> {
        let is_open = match self.bound_until {
            Some(until) => now < until,
            None => early && self.wanted && now < self.reusable_at,
        };
        is_open.then_some(self.number)
    }

    pub(super) fn give_up(&mut self) {
        self.wanted = false;
        self.bound_until = None;
    }
}

/// The channels of one allocation. A peer keeps its number for life, so that the guard time never
/// stands in its way.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    by_peer: BTreeMap<SocketAddr, Channel>,
    by_number: BTreeMap<u16, SocketAddr>,
}

impl Channels {
    pub(super) const fn new() -> Self {
        Self {
            by_peer: BTreeMap::new(),
            by_number: BTreeMap::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// There is no allocation any more, and so no channel: what is wanted is to be bound again, and
    /// the other numbers are free.
    pub(super) fn restart(&mut self) {
        self.by_peer.retain(|_, channel| channel.wanted);
        self.by_number
            .retain(|_, peer| self.by_peer.contains_key(peer));
        for channel in self.by_peer.values_mut() {
            channel.bound_until = None;
            channel.failures = 0;
            channel.reusable_at = Instant::ZERO;
        }
    }

    pub(super) fn get(&self, peer: SocketAddr) -> Option<&Channel> {
        self.by_peer.get(&peer)
    }

    pub(super) fn get_mut(&mut self, peer: SocketAddr) -> Option<&mut Channel> {
        self.by_peer.get_mut(&peer)
    }

    /// Whose data arrives on channel `number`.
    pub(super) fn peer(&self, number: u16) -> Option<SocketAddr> {
        let peer = *self.by_number.get(&number)?;
        self.get(peer)?.wanted.then_some(peer)
    }

    /// The peers whose channels are wanted.
    pub(super) fn wanted(&self) -> impl Iterator<Item = SocketAddr> {
        let wanted = self.by_peer.iter().filter(|(_, channel)| channel.wanted);
        wanted.map(|(&peer, _)| peer)
    }

    /// The wanted channels to `ip`.
    pub(super) fn to(&self, ip: IpAddr) -> impl Iterator<Item = SocketAddr> {
        self.wanted().filter(move |peer| peer.ip() == ip)
    }

    /// Wants a channel to `peer`; `false` if all numbers are taken.
    pub(super) fn want(&mut self, now: Instant, peer: SocketAddr) -> bool {
        if let Some(channel) = self.by_peer.get_mut(&peer) {
            channel.wanted = true;
            return true;
        }
        let Some(number) = self.free_number(now) else {
            return false;
        };
        if let Some(old) = self.by_number.insert(number, peer) {
            self.by_peer.remove(&old);
        }
        let channel = Channel {
            number,
            wanted: true,
            bound_until: None,
            failures: 0,
            reusable_at: now,
        };
        self.by_peer.insert(peer, channel);
        true
    }

    /// The next number never used; when all are, the lowest whose guard time is over.
    fn free_number(&self, now: Instant) -> Option<u16> {
        let next = self
            .by_number
            .last_key_value()
            .map_or(*CHANNELS.start(), |(&last, _)| last + 1);
        if CHANNELS.contains(&next) {
            return Some(next);
        }
        let free = |peer| {
            self.get(peer)
                .is_some_and(|channel| !channel.wanted && channel.reusable_at <= now)
        };
        let mut numbers = self.by_number.iter();
        numbers.find_map(|(&number, &peer)| free(peer).then_some(number))
    }
}

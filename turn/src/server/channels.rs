//! The channels of one allocation (RFC 8656 §12).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::Instant;

/// How long a channel lives (RFC 8656 §12).
const LIFETIME: Duration = Duration::from_secs(600);
/// How long after that neither its number nor its peer can be bound anew (RFC 8656 §12).
const GUARD: Duration = Duration::from_secs(300);

/// One channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    peer: (IpAddr, u16),
    pub(super) number: u16,
    /// Whether the peer is a relayed address of this server.
    pub(super) is_hairpin: bool,
    expires: Instant,
}

impl Channel {
    pub(super) fn new(now: Instant, number: u16, peer: SocketAddr, is_hairpin: bool) -> Self {
        Self {
            peer: (peer.ip(), peer.port()),
            number,
            is_hairpin,
            expires: now + LIFETIME,
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer.into()
    }

    pub(super) const fn ip(&self) -> IpAddr {
        self.peer.0
    }

    /// Whether number and peer are its own, alive or within the guard time.
    fn is_held(&self, now: Instant) -> bool {
        now < self.expires + GUARD
    }
}

/// Numbers and peers, one to one. The first channel lies in place, since most allocations have one;
/// further ones are sorted by number, and again by peer.
///
/// Expiry is decided when one is used; what is left over goes when room is needed or the allocation
/// ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Channels {
    first: Option<Channel>,
    others: Option<Box<Others>>,
}

#[derive(Clone, Debug, Default)]
struct Others {
    by_number: Vec<Channel>,
    by_peer: Vec<((IpAddr, u16), u16)>,
}

impl Channels {
    /// The living channel of this number.
    #[inline]
    pub(super) fn of_number(&self, now: Instant, number: u16) -> Option<&Channel> {
        self.at_number(number).filter(|it| now < it.expires)
    }

    /// The number of the living channel that leads to `peer`.
    #[inline]
    pub(super) fn of_peer(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        self.at_peer((peer.ip(), peer.port()))
            .filter(|it| now < it.expires)
            .map(|it| it.number)
    }

    /// Whether neither `number` nor `peer` belongs to another channel (RFC 8656 §12.2); after its
    /// expiry a channel keeps both for the guard time.
    pub(super) fn may_bind(&self, now: Instant, number: u16, peer: SocketAddr) -> bool {
        let peer = (peer.ip(), peer.port());
        let number_is_free = self
            .at_number(number)
            .is_none_or(|it| it.peer == peer || !it.is_held(now));
        let peer_is_free = self
            .at_peer(peer)
            .is_none_or(|it| it.number == number || !it.is_held(now));
        number_is_free && peer_is_free
    }

    /// Whether there is room for this channel; makes some if need be.
    pub(super) fn make_room(&mut self, now: Instant, number: u16, limit: usize) -> bool {
        if self.at_number(number).is_some() || self.len() < limit {
            return true;
        }
        self.first = self.first.filter(|it| it.is_held(now));
        if let Some(others) = &mut self.others {
            others.by_number.retain(|it| it.is_held(now));
            let Others { by_number, by_peer } = &mut **others;
            by_peer.retain(|(_, number)| place(by_number, *number).is_ok());
        }
        self.len() < limit
    }

    /// Binds or refreshes a channel that may be bound.
    pub(super) fn bind(&mut self, channel: Channel) {
        // Neither its number nor its peer stays with another one.
        let former = self.at_peer(channel.peer).map(|it| it.number);
        for number in former.into_iter().chain([channel.number]) {
            self.remove(number);
        }
        if self.first.is_none() {
            self.first = Some(channel);
            return;
        }
        let Others { by_number, by_peer } = &mut **self.others.get_or_insert_default();
        let at = place(by_number, channel.number).unwrap_or_else(|at| at);
        by_number.insert(at, channel);
        let peer = channel.peer;
        let at = place_of_peer(by_peer, peer).unwrap_or_else(|at| at);
        by_peer.insert(at, (peer, channel.number));
    }

    pub(super) fn len(&self) -> usize {
        let others = self.others.as_ref();
        usize::from(self.first.is_some()) + others.map_or(0, |it| it.by_number.len())
    }

    #[inline]
    fn at_number(&self, number: u16) -> Option<&Channel> {
        match &self.first {
            Some(first) if first.number == number => Some(first),
            _ => {
                let others = &self.others.as_ref()?.by_number;
                place(others, number).ok().map(|at| &others[at])
            }
        }
    }

    #[inline]
    fn at_peer(&self, peer: (IpAddr, u16)) -> Option<&Channel> {
        match &self.first {
            Some(first) if first.peer == peer => Some(first),
            _ => {
                let others = self.others.as_ref()?;
                let at = place_of_peer(&others.by_peer, peer).ok()?;
                let (_, number) = others.by_peer[at];
                let at = place(&others.by_number, number).ok()?;
                Some(&others.by_number[at])
            }
        }
    }

    fn remove(&mut self, number: u16) {
        if self.first.is_some_and(|it| it.number == number) {
            self.first = None;
        }
        let Some(others) = &mut self.others else {
            return;
        };
        if let Ok(at) = place(&others.by_number, number) {
            let channel = others.by_number.remove(at);
            if let Ok(at) = place_of_peer(&others.by_peer, channel.peer) {
                others.by_peer.remove(at);
            }
        }
    }
}

fn place(channels: &[Channel], number: u16) -> Result<usize, usize> {
    channels.binary_search_by_key(&number, |it| it.number)
}

fn place_of_peer(peers: &[((IpAddr, u16), u16)], peer: (IpAddr, u16)) -> Result<usize, usize> {
    peers.binary_search_by_key(&peer, |&(peer, _)| peer)
}

//! Which packets of an inside endpoint share an external port (RFC 4787 §4.1).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::collections::BTreeMap;

use floe_sansio::Instant;

use super::NatTimers;
use super::stage::Stage;

/// When a NAT uses the mapping that an inside endpoint already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mapping {
    /// For every destination.
    EndpointIndependent,
    /// For destinations with the same address.
    AddressDependent,
    /// For the same destination address and port only.
    AddressAndPortDependent,
    /// For the same destination address and port only, but flows to different destinations may share
    /// an external port, as in Linux: with an allocation that preserves ports it looks independent of
    /// the destination from outside, until two inside endpoints clash.
    PerFlow,
}

impl Mapping {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::EndpointIndependent,
        Self::AddressDependent,
        Self::AddressAndPortDependent,
        Self::PerFlow,
    ];

    /// Its name in scenarios and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
            Self::PerFlow => "per-flow",
        }
    }

    /// The part of the destination that tells mappings apart.
    pub(super) const fn part_of(self, destination: SocketAddr) -> SocketAddr {
        match self {
            Self::EndpointIndependent => ANY,
            Self::AddressDependent => SocketAddr::new(destination.ip(), 0),
            Self::AddressAndPortDependent | Self::PerFlow => destination,
        }
    }

    /// What an external port must be free of: other flows to the same destination, or any mapping.
    const fn scope(self, remote: SocketAddr) -> SocketAddr {
        match self {
            Self::PerFlow => remote,
            _ => ANY,
        }
    }
}

/// Stands for every remote endpoint; sorts before all others.
pub(super) const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Sorts after all others.
const LAST: SocketAddr = SocketAddr::V6(SocketAddrV6::new(
    Ipv6Addr::from_bits(u128::MAX),
    u16::MAX,
    u32::MAX,
    u32::MAX,
));

/// What a mapping belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) inside: SocketAddr,
    /// The part of the destination that counts.
    pub(super) remote: SocketAddr,
}

/// A mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) port: u16,
    pub(super) refreshed: Instant,
    pub(super) stage: Stage,
}

/// The mappings of one NAT, found from either side. Whoever finds an expired one takes it out.
#[derive(Clone, Debug)]
pub(super) struct Table {
    mapping: Mapping,
    timers: NatTimers,
    by_inside: BTreeMap<Key, Entry>,
    by_external: BTreeMap<(u16, SocketAddr), Key>,
}

impl Table {
    pub(super) const fn new(mapping: Mapping, timers: NatTimers) -> Self {
        Self {
            mapping,
            timers,
            by_inside: BTreeMap::new(),
            by_external: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_inside.len()
    }

    /// The mapping of this key if it is alive; an expired one is in `expired`.
    pub(super) fn live(
        &mut self,
        now: Instant,
        key: &Key,
        expired: &mut impl FnMut(Key),
    ) -> Option<&mut Entry> {
        let entry = self.by_inside.get(key)?;
        if self.timers.expired(now, entry.refreshed, entry.stage) {
            self.by_external
                .remove(&(entry.port, self.mapping.scope(key.remote)));
            self.by_inside.remove(key);
            expired(*key);
            return None;
        }
        self.by_inside.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: Key, entry: Entry) {
        self.by_external
            .insert((entry.port, self.mapping.scope(key.remote)), key);
        self.by_inside.insert(key, entry);
    }

    /// Whether a new mapping of this key may have this external port.
    pub(super) fn is_free(
        &mut self,
        now: Instant,
        port: u16,
        key: &Key,
        expired: &mut impl FnMut(Key),
    ) -> bool {
        match self
            .by_external
            .get(&(port, self.mapping.scope(key.remote)))
        {
            Some(&holder) => self.live(now, &holder, expired).is_none(),
            None => true,
        }
    }

    /// The first living mapping on this external port whose scope lies in the range.
    pub(super) fn on_port(
        &mut self,
        now: Instant,
        port: u16,
        remotes: core::ops::RangeInclusive<SocketAddr>,
        expired: &mut impl FnMut(Key),
    ) -> Option<Key> {
        let range = (port, *remotes.start())..=(port, *remotes.end());
        // Each round but the last takes an expired mapping out.
        loop {
            let (_, &key) = self.by_external.range(range.clone()).next()?;
            if self.live(now, &key, expired).is_some() {
                return Some(key);
            }
        }
    }

    /// Takes out what has expired of one inside host; says when the next of the others will.
    pub(super) fn sweep(
        &mut self,
        now: Instant,
        host: IpAddr,
        expired: &mut impl FnMut(Key),
    ) -> Instant {
        let range = Key {
            inside: SocketAddr::new(host, 0),
            remote: ANY,
        }..=Key {
            inside: SocketAddr::new(host, u16::MAX),
            remote: LAST,
        };
        let mut next = Instant::MAX;
        let mut gone = Vec::new();
        for (key, entry) in self.by_inside.range(range) {
            if self.timers.expired(now, entry.refreshed, entry.stage) {
                gone.push(*key);
            } else {
                next = next.min(self.timers.expiry(entry.refreshed, entry.stage));
            }
        }
        for key in gone {
            self.live(now, &key, expired);
        }
        next
    }
}

/// The range of all remote endpoints.
pub(super) const fn any_remote() -> core::ops::RangeInclusive<SocketAddr> {
    ANY..=LAST
}

/// The range of the remote endpoints with one address.
pub(super) const fn remotes_at(ip: IpAddr) -> core::ops::RangeInclusive<SocketAddr> {
    let last = match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, u16::MAX),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, u16::MAX, u32::MAX, u32::MAX)),
    };
    SocketAddr::new(ip, 0)..=last
}

//! Relayed addresses: which are free, and whose the others are.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;

use floe_sansio::Entropy;

use super::slab::Slot;

/// No allocation.
const FREE: Slot = Slot::MAX;
/// No allocation yet: the port is kept for who has the token (RFC 8656 §7.2).
const RESERVED: Slot = Slot::MAX - 1;

/// A relayed address: a port of one of our relay addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    relay: u16,
    port: u16,
}

/// Whose a relayed address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is no relayed address, and never will be.
    None,
    /// It is not taken.
    Free,
    /// The allocation in this place has it.
    Slot(Slot),
}

impl Owner {
    pub(super) const fn slot(self) -> Option<Slot> {
        match self {
            Self::Slot(slot) => Some(slot),
            Self::None | Self::Free => None,
        }
    }
}

/// All relay addresses with their ports.
#[derive(Clone, Debug)]
pub(super) struct Relays {
    relays: Vec<Ports>,
    /// The addresses by hash: 1 + the place in `relays`, or 0. At most half full. Only the operator
    /// puts something in, so the hash needs no key.
    table: Vec<u16>,
}

impl Relays {
    /// The ports of `range` of each of `ips` that are not `taken`.
    pub(super) fn new(
        ips: &[IpAddr],
        range: &RangeInclusive<u16>,
        taken: impl Fn(SocketAddr) -> bool,
    ) -> Self {
        let mut this = Self {
            relays: Vec::new(),
            table: vec![0; (ips.len() * 2).next_power_of_two().max(2)],
        };
        for &ip in ips.iter().take(usize::from(u16::MAX - 1)) {
            let Err(place) = this.search(ip) else {
                continue; // named twice
            };
            let taken = |port| taken(SocketAddr::new(ip, port));
            this.relays.push(Ports::new(ip, range.clone(), taken));
            this.table[place] = this.relays.len() as u16;
        }
        this
    }

    /// Whether `ip` is a relay address.
    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        self.search(ip).is_ok()
    }

    pub(super) fn has_family(&self, is_ipv4: bool) -> bool {
        self.relays
            .iter()
            .any(|ports| ports.ip.is_ipv4() == is_ipv4)
    }

    /// The address of a place.
    #[inline]
    pub(super) fn address(&self, place: Place) -> SocketAddr {
        SocketAddr::new(self.relays[usize::from(place.relay)].ip, place.port)
    }

    /// Takes a random free port for `slot`, an even one if wanted (RFC 8656 §7.2), of the first relay
    /// address of a family that has one.
    pub(super) fn take(
        &mut self,
        entropy: &mut Entropy,
        is_ipv4: bool,
        even: bool,
        slot: Slot,
    ) -> Option<Place> {
        let relays = self.relays.iter_mut().enumerate();
        relays
            .filter(|(_, ports)| ports.ip.is_ipv4() == is_ipv4)
            .find_map(|(relay, ports)| {
                let port = ports.take(entropy, even, slot)?;
                let relay = relay as u16;
                Some(Place { relay, port })
            })
    }

    /// Takes a random even port for `slot` and reserves the one above it, of the first relay address of a
    /// family that has such a pair (RFC 8656 §7.2).
    pub(super) fn take_pair(
        &mut self,
        entropy: &mut Entropy,
        is_ipv4: bool,
        slot: Slot,
    ) -> Option<(Place, Place)> {
        let relays = self.relays.iter_mut().enumerate();
        relays
            .filter(|(_, ports)| ports.ip.is_ipv4() == is_ipv4)
            .find_map(|(relay, ports)| {
                let port = ports.take_pair(entropy, slot)?;
                let relay = relay as u16;
                let next = Place {
                    relay,
                    port: port + 1,
                };
                Some((Place { relay, port }, next))
            })
    }

    /// Gives a reserved port to `slot`.
    pub(super) fn claim(&mut self, place: Place, slot: Slot) {
        if let Some(ports) = self.relays.get_mut(usize::from(place.relay)) {
            ports.claim(place.port, slot);
        }
    }

    /// Gives a port back.
    pub(super) fn give_back(&mut self, place: Place) {
        if let Some(ports) = self.relays.get_mut(usize::from(place.relay)) {
            ports.give_back(place.port);
        }
    }

    #[inline]
    pub(super) fn owner(&self, address: &SocketAddr) -> Owner {
        match self.search(address.ip()) {
            Ok(relay) => self.relays[relay].owner(address.port()),
            Err(_) => Owner::None,
        }
    }

    pub(super) fn free_count(&self) -> usize {
        self.relays.iter().map(Ports::free_count).sum()
    }

    /// The place of `ip` in `relays`, or where it would be entered in `table`.
    #[inline]
    fn search(&self, ip: IpAddr) -> Result<usize, usize> {
        let bits = match ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 ^ ip.to_bits() as u64,
        };
        let mask = self.table.len() - 1;
        let mut at = (bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize & mask;
        loop {
            match usize::from(self.table[at]).checked_sub(1) {
                None => return Err(at),
                Some(relay) if self.relays[relay].ip == ip => return Ok(relay),
                Some(_) => at = (at + 1) & mask,
            }
        }
    }
}

/// The ports of one relay address. All operations are O(1).
#[derive(Clone, Debug)]
struct Ports {
    ip: IpAddr,
    first: u16,
    /// Even and odd ports that are free, in no order.
    free: [Vec<u16>; 2],
    owners: Vec<Slot>,
}

impl Ports {
    /// The ports of `range` that are not `taken`; never the well-known ones (RFC 8656 §7.2).
    fn new(ip: IpAddr, range: RangeInclusive<u16>, taken: impl Fn(u16) -> bool) -> Self {
        let first = (*range.start()).max(1024);
        let range = first..=*range.end();
        let mut free = [Vec::new(), Vec::new()];
        for port in range.clone().filter(|&port| !taken(port)) {
            free[usize::from(port % 2)].push(port);
        }
        Self {
            ip,
            first,
            free,
            owners: vec![FREE; range.len()],
        }
    }

    fn take(&mut self, entropy: &mut Entropy, even: bool, slot: Slot) -> Option<u16> {
        let [evens, odds] = &mut self.free;
        let count = evens.len() + if even { 0 } else { odds.len() };
        if count == 0 {
            return None;
        }
        let index = entropy.below(count as u32) as usize;
        let port = match index.checked_sub(evens.len()) {
            None => evens.swap_remove(index),
            Some(index) => odds.swap_remove(index),
        };
        self.owners[usize::from(port - self.first)] = slot;
        Some(port)
    }

    fn take_pair(&mut self, entropy: &mut Entropy, slot: Slot) -> Option<u16> {
        let [evens, odds] = &mut self.free;
        let start = entropy.below(evens.len() as u32) as usize;
        let (first, last) = evens.split_at(start);
        let owners = &self.owners;
        let is_free = |port: u16| owners.get(usize::from(port - self.first)) == Some(&FREE);
        // Ports of the range that a listener has are owned by nobody, and in no list.
        let mut pairs = (last.iter().chain(first))
            .filter(|&&port| is_free(port + 1))
            .filter_map(|&port| Some((port, odds.iter().position(|&odd| odd == port + 1)?)));
        let (port, odd) = pairs.next()?;
        let even = evens.iter().position(|&it| it == port)?;
        evens.swap_remove(even);
        odds.swap_remove(odd);
        let at = usize::from(port - self.first);
        self.owners[at] = slot;
        self.owners[at + 1] = RESERVED;
        Some(port)
    }

    fn claim(&mut self, port: u16, slot: Slot) {
        let owner = self.index(port).and_then(|at| self.owners.get_mut(at));
        if let Some(owner) = owner.filter(|owner| **owner == RESERVED) {
            *owner = slot;
        }
    }

    fn give_back(&mut self, port: u16) {
        let owner = self.index(port).and_then(|at| self.owners.get_mut(at));
        if let Some(owner) = owner.filter(|owner| **owner != FREE) {
            *owner = FREE;
            self.free[usize::from(port % 2)].push(port);
        }
    }

    fn owner(&self, port: u16) -> Owner {
        match self.index(port).and_then(|at| self.owners.get(at)) {
            None => Owner::None,
            Some(&(FREE | RESERVED)) => Owner::Free,
            Some(&slot) => Owner::Slot(slot),
        }
    }

    fn free_count(&self) -> usize {
        self.free.iter().map(Vec::len).sum()
    }

    fn index(&self, port: u16) -> Option<usize> {
        port.checked_sub(self.first).map(usize::from)
    }
}

use core::net::{IpAddr, SocketAddr};

use floe_sansio::Instant;
use floe_stun::AddressFamily;

/// One relayed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    /// When it is gone unless a Refresh gets through.
    pub(super) expires: Instant,
    /// When to send that; `None` while one is under way.
    pub(super) refresh_at: Option<Instant>,
}

impl Relay {
    fn is_due(&self, now: Instant) -> bool {
        self.refresh_at.is_some_and(|at| at <= now)
    }
}

/// The relayed addresses of one allocation: at most one of each family, IPv4 first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Relays([Option<Relay>; 2]);

pub(super) const FAMILIES: [AddressFamily; 2] = [AddressFamily::IPV4, AddressFamily::IPV6];

pub(super) const fn family_of(ip: IpAddr) -> AddressFamily {
    FAMILIES[ip.is_ipv6() as usize]
}

pub(super) const fn place(family: AddressFamily) -> usize {
    (family.0 == AddressFamily::IPV6.0) as usize
}

impl Relays {
    /// Takes an address, unless there is one of its family.
    pub(super) fn add(&mut self, address: SocketAddr, expires: Instant) {
        let place = &mut self.0[usize::from(address.is_ipv6())];
        place.get_or_insert(Relay {
            address,
            expires,
            refresh_at: None,
        });
    }

    pub(super) fn get(&self, family: AddressFamily) -> Option<&Relay> {
        self.0[place(family)].as_ref()
    }

    pub(super) fn remove(&mut self, family: AddressFamily) -> Option<Relay> {
        self.0[place(family)].take()
    }

    /// The address that peers with addresses such as `ip` see.
    pub(super) const fn facing(&self, ip: IpAddr) -> Option<SocketAddr> {
        match &self.0[ip.is_ipv6() as usize] {
            Some(relay) => Some(relay.address),
            None => None,
        }
    }

    /// The first address.
    pub(super) const fn first(&self) -> Option<SocketAddr> {
        match &self.0 {
            [Some(relay), _] | [None, Some(relay)] => Some(relay.address),
            [None, None] => None,
        }
    }

    /// The second address.
    pub(super) const fn second(&self) -> Option<SocketAddr> {
        match &self.0 {
            [Some(_), Some(relay)] => Some(relay.address),
            _ => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Relay> {
        self.0.iter().flatten()
    }

    /// Those of this family, or all.
    pub(super) fn of_mut(
        &mut self,
        family: Option<AddressFamily>,
    ) -> impl Iterator<Item = &mut Relay> {
        let matches = move |relay: &&mut Relay| {
            family.is_none_or(|family| family == family_of(relay.address.ip()))
        };
        self.0.iter_mut().flatten().filter(matches)
    }

    /// Whether a Refresh is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.iter().any(|relay| relay.is_due(now))
    }

    /// Whose Refresh is due: that of one of two, or that of all there are.
    pub(super) fn due(&self, now: Instant) -> Option<AddressFamily> {
        let all = self.iter().all(|relay| relay.is_due(now));
        let mut due = self.iter().filter(|relay| !all && relay.is_due(now));
        due.next().map(|relay| family_of(relay.address.ip()))
    }
}

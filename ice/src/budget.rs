//! How much an address that does not answer is sent: the peer names addresses, and they may be
//! somebody else's (RFC 8445 §19.5.1).

use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::config::Limits;
use crate::order::grow;

/// Counts the checks to addresses that have not answered any, until the next restart.
///
/// It holds half as many addresses again as there may be remote candidates: some of these come and go.
/// Where all have been silent, no other is sent anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget(Vec<(SocketAddr, Spent)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spent {
    Silent(u16),
    Answered,
}

impl Budget {
    fn find(&self, address: SocketAddr) -> Result<usize, usize> {
        self.0.binary_search_by_key(&address, |&(known, _)| known)
    }

    fn spent(&self, address: SocketAddr) -> Option<Spent> {
        let at = self.find(address).ok()?;
        self.0.get(at).map(|&(_, spent)| spent)
    }

    /// One that can be forgotten, if there is no room for another address: should it fall silent, it is
    /// counted from the beginning.
    fn room(&self, limits: &Limits) -> Room {
        if self.0.len() < most(limits) {
            return Room::Free;
        }
        let answered = |&(_, spent): &(_, Spent)| spent == Spent::Answered;
        self.0
            .iter()
            .position(answered)
            .map_or(Room::Full, Room::Of)
    }

    /// Whether one more check may be sent to this address. One that the peer has nominated has a
    /// reserve: what was spent on other ports of its host does not keep it out.
    pub(crate) fn allows(&self, address: SocketAddr, nominated: bool, limits: &Limits) -> bool {
        let to_address = match self.spent(address) {
            Some(Spent::Answered) => return true,
            Some(Spent::Silent(checks)) => checks.into(),
            None if self.room(limits) == Room::Full => return false,
            None => 0,
        };
        let most = limits.checks_to_silent_address;
        let reserve = if nominated { most } else { 0 };
        to_address < most
            && self.to_host(address) < limits.checks_to_silent_host.saturating_add(reserve)
    }

    /// What all silent ports of a host were sent.
    fn to_host(&self, address: SocketAddr) -> usize {
        let ip = address.ip();
        let first = self.0.partition_point(|(known, _)| known.ip() < ip);
        let host = self.0.iter().skip(first);
        let host = host.take_while(|(known, _)| known.ip() == ip);
        host.map(|&(_, spent)| match spent {
            Spent::Silent(checks) => checks.into(),
            Spent::Answered => 0,
        })
        .sum()
    }

    /// Whether no check to this address has been answered.
    pub(crate) fn is_silent(&self, address: SocketAddr) -> bool {
        self.spent(address) != Some(Spent::Answered)
    }

    /// A check is sent there.
    pub(crate) fn spend(&mut self, address: SocketAddr, limits: &Limits) {
        match self.find(address) {
            Ok(at) => {
                if let Some((_, Spent::Silent(checks))) = self.0.get_mut(at) {
                    *checks = checks.saturating_add(1);
                }
            }
            Err(_) => self.insert(address, Spent::Silent(1), limits),
        }
    }

    /// An authentic answer came from there. What it was sent before does not count against its host
    /// any more.
    pub(crate) fn answered(&mut self, address: SocketAddr, limits: &Limits) {
        match self.find(address) {
            Ok(at) => self.0[at].1 = Spent::Answered,
            Err(_) => self.insert(address, Spent::Answered, limits),
        }
    }

    fn insert(&mut self, address: SocketAddr, spent: Spent, limits: &Limits) {
        match self.room(limits) {
            Room::Free => {}
            Room::Of(at) => {
                self.0.remove(at);
            }
            Room::Full => return,
        }
        grow(&mut self.0, most(limits));
        let (Ok(at) | Err(at)) = self.find(address);
        self.0.insert(at, (address, spent));
    }
}

/// How many addresses are remembered.
const fn most(limits: &Limits) -> usize {
    let candidates = limits.remote_candidates;
    candidates.saturating_add(candidates / 2)
}

/// Whether there is room for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// In the place of this one.
    Of(usize),
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn an_address_that_does_not_answer_is_left_alone_after_its_budget() {
        let limits = Limits {
            checks_to_silent_address: 3,
            checks_to_silent_host: 5,
            ..Limits::default()
        };
        let mut budget = Budget::default();
        let mut spend = |port, most| {
            let mut count = 0;
            while count < 10 && budget.allows(address(port), false, &limits) {
                budget.spend(address(port), &limits);
                count += 1;
            }
            assert_eq!(count, most, "port {port}");
        };
        spend(1, 3);
        spend(2, 2);
        spend(3, 0);
    }

    #[test]
    fn an_address_that_answers_has_no_budget() {
        let limits = Limits {
            checks_to_silent_address: 1,
            checks_to_silent_host: 1,
            ..Limits::default()
        };
        let mut budget = Budget::default();
        budget.spend(address(1), &limits);
        assert!(!budget.allows(address(1), false, &limits));
        budget.answered(address(1), &limits);
        assert!(budget.allows(address(1), false, &limits));
        assert!(budget.allows(address(2), false, &limits));
    }
    #[test]
    fn where_too_many_addresses_are_silent_no_other_is_sent_anything() {
        let limits = Limits {
            remote_candidates: 2,
            ..Limits::default()
        };
        let mut budget = Budget::default();
        for port in 1..=3 {
            assert!(budget.allows(address(port), false, &limits));
            budget.spend(address(port), &limits);
        }
        assert!(!budget.allows(address(5), true, &limits));
        assert!(budget.allows(address(3), false, &limits));
        // One that has answered is not to be remembered for the sake of the peer's host.
        budget.answered(address(2), &limits);
        assert!(budget.allows(address(5), false, &limits));
        budget.spend(address(5), &limits);
        assert!(!budget.allows(address(6), false, &limits));
        assert!(budget.is_silent(address(2)));
    }
}

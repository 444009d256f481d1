//! How much an address that does not answer is sent: the peer names addresses, and they may be
//! somebody else's (RFC 8445 §19.5.1).

use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};

use crate::config::Limits;

/// Counts the checks to addresses that have not answered any, until the next restart.
///
/// It holds no more addresses than there are remote candidates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    addresses: BTreeMap<SocketAddr, Spent>,
    hosts: BTreeMap<IpAddr, usize>,
}

#[derive(Clone, Copy, Debug)]
enum Spent {
    Silent(usize),
    Answered,
}

impl Budget {
    /// Whether one more check may be sent to this address. One that the peer has nominated has a
    /// reserve: what was spent on other ports of its host does not keep it out.
    pub(crate) fn allows(&self, address: SocketAddr, nominated: bool, limits: &Limits) -> bool {
        let to_address = match self.addresses.get(&address) {
            Some(Spent::Answered) => return true,
            Some(&Spent::Silent(checks)) => checks,
            None => 0,
        };
        let most = limits.checks_to_silent_address;
        let reserve = if nominated { most } else { 0 };
        let to_host = self.hosts.get(&address.ip()).copied().unwrap_or(0);
        to_address < most && to_host < limits.checks_to_silent_host.saturating_add(reserve)
    }

    /// A check is sent there.
    pub(crate) fn spend(&mut self, address: SocketAddr) {
        let spent = self.addresses.entry(address).or_insert(Spent::Silent(0));
        if let Spent::Silent(checks) = spent {
            *checks += 1;
            *self.hosts.entry(address.ip()).or_default() += 1;
        }
    }

    /// An authentic answer came from there. What it was sent before does not count against its host
    /// any more.
    pub(crate) fn answered(&mut self, address: SocketAddr) {
        let before = self.addresses.insert(address, Spent::Answered);
        if let Some(Spent::Silent(checks)) = before {
            if let Some(total) = self.hosts.get_mut(&address.ip()) {
                *total = total.saturating_sub(checks);
            }
        }
    }
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
                budget.spend(address(port));
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
        budget.spend(address(1));
        assert!(!budget.allows(address(1), false, &limits));
        budget.answered(address(1));
        assert!(budget.allows(address(1), false, &limits));
        assert!(budget.allows(address(2), false, &limits));
    }
}

//! How much an address that does not answer is sent: the peer names addresses, and they may be
//! somebody else's (RFC 8445 §19.5.1).

use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};

use crate::config::Limits;

/// So many authentic requests are worth a check each: on a path from which they come but where no
/// answer does, two agents would otherwise make each other ask for ever.
const MAX_HEARD: u16 = 7;
/// The same where they nominate: then all hangs on it.
const MAX_NOMINATED: u16 = 21;
/// The same of one IP address, where a NAT shows each packet another port.
const MAX_HEARD_OF_HOST: u16 = 112;

/// After so many answers from another port than was asked, a host is not believed to be reached at the
/// ports that it is seen at: its NAT, or ours, shows each packet another one.
const MAX_SCATTERED: u8 = 4;

/// IP addresses that are remembered. Beyond that, no check goes to a new one that has not asked.
const MAX_HOSTS: usize = 256;

/// Counts the checks to each address since it has answered one, and the authentic requests that came
/// from there: who asks may be asked in return, for that is no more than he sends himself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    /// By remote address, and the number of the local candidate.
    paths: BTreeMap<(SocketAddr, usize), Account>,
    /// The sums of those with the same IP address, and of those that were forgotten.
    hosts: BTreeMap<IpAddr, Account>,
    /// How often a host has answered this local candidate from elsewhere.
    scattered: BTreeMap<(IpAddr, usize), u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    sent: u16,
    heard: u16,
}

impl Account {
    fn allows(self, most: usize) -> bool {
        usize::from(self.sent) < most.saturating_add(usize::from(self.heard))
    }

    const fn add(&mut self, other: Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.heard = self.heard.saturating_add(other.heard);
    }

    const fn subtract(&mut self, other: Self) {
        self.sent = self.sent.saturating_sub(other.sent);
        self.heard = self.heard.saturating_sub(other.heard);
    }
}

impl Budget {
    /// Whether one more check may be sent from this local candidate to this address; `share` is how
    /// many it may send without having heard anything.
    pub(crate) fn allows(
        &self,
        address: SocketAddr,
        local: usize,
        share: usize,
        limits: &Limits,
    ) -> bool {
        let path = self.paths.get(&(address, local)).copied();
        let mut all = Account::default();
        for (_, &account) in self.paths.range((address, 0)..=(address, usize::MAX)) {
            all.add(account);
        }
        let host = match self.hosts.get(&address.ip()) {
            Some(&host) => host,
            None if self.hosts.len() < MAX_HOSTS => Account::default(),
            None => return false,
        };
        path.unwrap_or_default().allows(share)
            && all.allows(limits.checks_to_silent_address)
            && host.allows(limits.checks_to_silent_host)
    }

    /// A check is sent there.
    pub(crate) fn spend(&mut self, address: SocketAddr, local: usize) {
        let sent = Account { sent: 1, heard: 0 };
        self.paths.entry((address, local)).or_default().add(sent);
        self.hosts.entry(address.ip()).or_default().add(sent);
    }

    /// An authentic request came from there.
    pub(crate) fn heard(&mut self, address: SocketAddr, local: usize, nominated: bool) {
        let most = if nominated { MAX_NOMINATED } else { MAX_HEARD };
        let heard = Account { sent: 0, heard: 1 };
        let path = self.paths.entry((address, local)).or_default();
        if path.heard < most {
            path.add(heard);
        }
        let host = self.hosts.entry(address.ip()).or_default();
        if host.heard < MAX_HEARD_OF_HOST {
            host.add(heard);
        }
    }

    /// An authentic answer came from there: nothing counts that was sent before.
    pub(crate) fn answered(&mut self, address: SocketAddr) {
        let gone = self.take(address);
        if let Some(host) = self.hosts.get_mut(&address.ip()) {
            host.subtract(gone);
            if host.sent == 0 {
                self.hosts.remove(&address.ip());
            }
        }
    }

    /// An authentic answer came from another address than was asked.
    pub(crate) fn scattered(&mut self, address: SocketAddr, local: usize) {
        if self.scattered.len() < MAX_HOSTS {
            let times = self.scattered.entry((address.ip(), local)).or_default();
            *times = times.saturating_add(1);
        }
    }

    /// Whether it is of no use to ask the ports of this host that its packets happen to come from.
    pub(crate) fn is_scattered(&self, address: SocketAddr, local: usize) -> bool {
        let times = self.scattered.get(&(address.ip(), local));
        times.is_some_and(|&times| times >= MAX_SCATTERED)
    }

    /// There is no candidate with this address any more. What it was sent still counts for its host.
    pub(crate) fn forget(&mut self, address: SocketAddr) {
        self.take(address);
    }

    fn take(&mut self, address: SocketAddr) -> Account {
        let mut gone = Account::default();
        while let Some((&key, &account)) = self
            .paths
            .range((address, 0)..=(address, usize::MAX))
            .next()
        {
            gone.add(account);
            self.paths.remove(&key);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    /// How many more checks there may be.
    fn spend(budget: &mut Budget, port: u16, local: usize, limits: &Limits) -> usize {
        let more = |_: &usize| {
            let allowed = budget.allows(address(port), local, 7, limits);
            if allowed {
                budget.spend(address(port), local);
            }
            allowed
        };
        (0..100).take_while(more).count()
    }

    #[test]
    fn an_address_that_does_not_answer_is_left_alone_after_its_budget() {
        let limits = Limits {
            checks_to_silent_address: 10,
            checks_to_silent_host: 15,
            ..Limits::default()
        };
        let mut budget = Budget::default();
        assert_eq!(spend(&mut budget, 1, 0, &limits), 7, "from one base");
        assert_eq!(spend(&mut budget, 1, 1, &limits), 3, "to one port");
        assert_eq!(spend(&mut budget, 2, 0, &limits), 5, "to one host");
        assert_eq!(spend(&mut budget, 3, 0, &limits), 0, "to one host");
    }

    #[test]
    fn an_answer_makes_up_for_what_was_sent() {
        let limits = Limits {
            checks_to_silent_address: 7,
            checks_to_silent_host: 7,
            ..Limits::default()
        };
        let mut budget = Budget::default();
        assert_eq!(spend(&mut budget, 1, 0, &limits), 7);
        assert_eq!(spend(&mut budget, 2, 0, &limits), 0);
        budget.answered(address(1));
        assert_eq!(spend(&mut budget, 2, 0, &limits), 7);
    }

    #[test]
    fn who_asks_is_asked_once_in_return_and_not_for_ever() {
        let limits = Limits::default();
        let mut budget = Budget::default();
        spend(&mut budget, 1, 0, &limits);
        for (nominated, count) in [(false, MAX_HEARD), (true, MAX_NOMINATED - MAX_HEARD)] {
            for _ in 0..count {
                budget.heard(address(1), 0, nominated);
                assert_eq!(spend(&mut budget, 1, 0, &limits), 1);
            }
            budget.heard(address(1), 0, nominated);
            assert_eq!(spend(&mut budget, 1, 0, &limits), 0);
        }
    }

    /// A peer that names ever more addresses gains nothing by it.
    #[test]
    fn what_is_forgotten_still_counts_for_its_host_and_there_are_only_so_many_hosts() {
        let limits = Limits {
            checks_to_silent_host: 7,
            ..Limits::default()
        };
        let mut budget = Budget::default();
        assert_eq!(spend(&mut budget, 1, 0, &limits), 7);
        budget.forget(address(1));
        assert_eq!(spend(&mut budget, 1, 0, &limits), 0);
        for host in 0..2 * MAX_HOSTS {
            let address = SocketAddr::from(([198, 51, (host >> 8) as u8, host as u8], 1));
            if budget.allows(address, 0, 7, &limits) {
                budget.spend(address, 0);
                budget.forget(address);
            }
        }
        assert_eq!(budget.hosts.len(), MAX_HOSTS);
        assert!(budget.paths.is_empty());
    }
}

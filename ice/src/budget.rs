//! How much an address that does not answer is sent: the peer names addresses, and they may be
//! somebody else's (RFC 8445 §19.5.1).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use crate::config::Limits;
use crate::order::grow;

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

/// Hosts that are remembered for scattering their answers; others are believed.
const MAX_SCATTERING: usize = 32;

/// Counts the checks to each address since it has answered one, and the authentic requests that came
/// from there: who asks may be asked in return, for that is no more than he sends himself.
///
/// It holds an eighth more paths and hosts than there may be pairs: some of these come and go. Where
/// there is no room for another one, it is sent nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    paths: Book<Path>,
    /// The sums of those with the same IP address, and of those that were forgotten.
    hosts: Book<IpAddr>,
    /// How often a host has answered this local candidate from elsewhere.
    scattered: Vec<(IpAddr, u32, u8)>,
}

/// A remote address, IP and port, and the number of a local candidate.
type Path = (IpAddr, u16, u32);

fn path(to: SocketAddr, local: u32) -> Path {
    (to.ip(), to.port(), local)
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

/// Accounts in the order of their keys.
#[derive(Clone, Debug)]
struct Book<K>(Vec<(K, Account)>);

impl<K> Default for Book<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Copy> Book<K> {
    /// `None` if there is no room for it.
    fn get(&self, key: K, limits: &Limits) -> Option<Account> {
        match self.0.binary_search_by_key(&key, |&(known, _)| known) {
            Ok(at) => self.0.get(at).map(|&(_, account)| account),
            Err(_) => (self.0.len() < most(limits)).then(Account::default),
        }
    }

    fn reach(&mut self, key: K, limits: &Limits) -> Option<&mut Account> {
        let at = match self.0.binary_search_by_key(&key, |&(known, _)| known) {
            Ok(at) => at,
            Err(_) if self.0.len() >= most(limits) => return None,
            Err(at) => {
                grow(&mut self.0, most(limits));
                self.0.insert(at, (key, Account::default()));
                at
            }
        };
        self.0.get_mut(at).map(|(_, account)| account)
    }
}

/// How much is remembered.
const fn most(limits: &Limits) -> usize {
    limits.pairs.saturating_add(limits.pairs / 8)
}

impl Budget {
    /// Whether one more check may be sent from this local candidate to this address; `share` is how
    /// many it may send without having heard anything.
    pub(crate) fn allows(
        &self,
        address: SocketAddr,
        local: u32,
        share: usize,
        limits: &Limits,
    ) -> bool {
        let path = self.paths.get(path(address, local), limits);
        let host = self.hosts.get(address.ip(), limits);
        let mut all = Account::default();
        for &(_, account) in &self.paths.0[self.to(address)] {
            all.add(account);
        }
        path.is_some_and(|path| path.allows(share))
            && all.allows(limits.checks_to_silent_address)
            && host.is_some_and(|host| host.allows(limits.checks_to_silent_host))
    }

    /// Where the paths to an address stand.
    fn to(&self, address: SocketAddr) -> Range<usize> {
        let paths = &self.paths.0;
        let first = paths.partition_point(|&(known, _)| known < path(address, 0));
        let end = paths.partition_point(|&(known, _)| known <= path(address, u32::MAX));
        first..end
    }

    /// A check is sent there.
    pub(crate) fn spend(&mut self, address: SocketAddr, local: u32, limits: &Limits) {
        let sent = Account { sent: 1, heard: 0 };
        if let Some(path) = self.paths.reach(path(address, local), limits) {
            path.add(sent);
        }
        if let Some(host) = self.hosts.reach(address.ip(), limits) {
            host.add(sent);
        }
    }

    /// An authentic request came from there.
    pub(crate) fn heard(
        &mut self,
        address: SocketAddr,
        local: u32,
        nominated: bool,
        limits: &Limits,
    ) {
        let most = if nominated { MAX_NOMINATED } else { MAX_HEARD };
        let heard = Account { sent: 0, heard: 1 };
        let path = self.paths.reach(path(address, local), limits);
        if let Some(path) = path.filter(|path| path.heard < most) {
            path.add(heard);
        }
        let host = self.hosts.reach(address.ip(), limits);
        if let Some(host) = host.filter(|host| host.heard < MAX_HEARD_OF_HOST) {
            host.add(heard);
        }
    }

    /// Whether this host was sent a check that it has not answered.
    pub(crate) fn has_asked(&self, host: IpAddr) -> bool {
        let hosts = &self.hosts.0;
        let known = hosts.binary_search_by_key(&host, |&(known, _)| known);
        known.is_ok_and(|at| hosts[at].1.sent > 0)
    }

    /// An authentic answer came from there: nothing counts that was sent before.
    pub(crate) fn answered(&mut self, address: SocketAddr) {
        let mut gone = Account::default();
        for (_, account) in self.paths.0.drain(self.to(address)) {
            gone.add(account);
        }
        let hosts = &mut self.hosts.0;
        if let Ok(at) = hosts.binary_search_by_key(&address.ip(), |&(known, _)| known) {
            hosts[at].1.subtract(gone);
            if hosts[at].1.sent == 0 {
                hosts.remove(at);
            }
        }
    }

    /// There is no candidate with this address any more. What it was sent still counts for its host.
    pub(crate) fn forget(&mut self, address: SocketAddr) {
        self.paths.0.drain(self.to(address));
    }

    /// An authentic answer came from another address than was asked.
    pub(crate) fn scattered(&mut self, address: SocketAddr, local: u32) {
        let ip = address.ip();
        let mut scattered = self.scattered.iter_mut();
        if let Some((_, _, times)) = scattered.find(|it| (it.0, it.1) == (ip, local)) {
            *times = times.saturating_add(1);
        } else if self.scattered.len() < MAX_SCATTERING {
            self.scattered.push((ip, local, 1));
        }
    }

    /// Whether it is of no use to ask the ports of this host that its packets happen to come from.
    pub(crate) fn is_scattered(&self, address: SocketAddr, local: u32) -> bool {
        let ip = address.ip();
        let mut scattered = self.scattered.iter();
        scattered.any(|&(host, at, times)| (host, at) == (ip, local) && times >= MAX_SCATTERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    /// How many more checks there may be.
    fn spend(budget: &mut Budget, port: u16, local: u32, limits: &Limits) -> usize {
        let more = |_: &usize| {
            let allowed = budget.allows(address(port), local, 7, limits);
            if allowed {
                budget.spend(address(port), local, limits);
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
                budget.heard(address(1), 0, nominated, &limits);
                assert_eq!(spend(&mut budget, 1, 0, &limits), 1);
            }
            budget.heard(address(1), 0, nominated, &limits);
            assert_eq!(spend(&mut budget, 1, 0, &limits), 0);
        }
    }

    /// Behind a NAT that shows each packet another port.
    #[test]
    fn who_asks_from_ever_more_ports_is_asked_112_times_in_return() {
        let limits = Limits {
            checks_to_silent_address: 0,
            checks_to_silent_host: 0,
            pairs: 1000,
            ..Limits::default()
        };
        let mut budget = Budget::default();
        let mut sent = 0;
        for port in 1..=200 {
            budget.heard(address(port), 0, true, &limits);
            sent += spend(&mut budget, port, 0, &limits);
        }
        assert_eq!(sent, 112);
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
        for host in 0..2 * most(&limits) {
            let address = SocketAddr::from(([198, 51, (host >> 8) as u8, host as u8], 1));
            if budget.allows(address, 0, 7, &limits) {
                budget.spend(address, 0, &limits);
                budget.forget(address);
            }
        }
        assert_eq!(budget.hosts.0.len(), most(&limits));
        assert!(budget.paths.0.is_empty());
    }
}

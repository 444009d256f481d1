//! The permissions of one allocation (RFC 8656 §9).

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use floe_sansio::Instant;

/// How long a permission lives (RFC 8656 §9).
const LIFETIME: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug)]
struct Permission {
    ip: IpAddr,
    expires: Instant,
}

/// Which addresses datagrams are relayed from and to. The first permission lies in place, since most
/// allocations have one; further ones are sorted by address.
///
/// Expiry is decided when one is used; what is left over goes when room is needed or the allocation
/// ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Permissions {
    first: Option<Permission>,
    others: Vec<Permission>,
}

impl Permissions {
    /// Whether datagrams from and to `ip` are relayed.
    #[inline]
    pub(super) fn permits(&self, now: Instant, ip: IpAddr) -> bool {
        let permission = match &self.first {
            Some(first) if first.ip == ip => first,
            _ => match self.place(ip) {
                Ok(place) => &self.others[place],
                Err(_) => return false,
            },
        };
        now < permission.expires
    }

    /// Whether there is room for all of `ips`, which differ; makes some if need be.
    pub(super) fn make_room(&mut self, now: Instant, ips: &[IpAddr], limit: usize) -> bool {
        let fits = |this: &Self| {
            let new = ips.iter().filter(|&&ip| !this.contains(ip)).count();
            this.len() + new <= limit
        };
        if !fits(self) {
            self.first = self.first.filter(|it| now < it.expires);
            self.others.retain(|it| now < it.expires);
        }
        fits(self)
    }

    /// Installs or refreshes a permission.
    pub(super) fn install(&mut self, now: Instant, ip: IpAddr) {
        let permission = Permission {
            ip,
            expires: now + LIFETIME,
        };
        match self.place(ip) {
            Ok(place) => self.others[place] = permission,
            Err(place) => match self.first {
                Some(first) if first.ip != ip => {
                    // A few at a time: most allocations stay small.
                    if self.others.len() == self.others.capacity() {
                        self.others.reserve_exact(self.others.len().max(1));
                    }
                    self.others.insert(place, permission);
                }
                _ => self.first = Some(permission),
            },
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn contains(&self, ip: IpAddr) -> bool {
        self.first.is_some_and(|it| it.ip == ip) || self.place(ip).is_ok()
    }

    /// Where `ip` lies among the others, or would.
    fn place(&self, ip: IpAddr) -> Result<usize, usize> {
        self.others.binary_search_by_key(&ip, |it| it.ip)
    }
}

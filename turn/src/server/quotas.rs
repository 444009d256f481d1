//! Who holds how many allocations.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use super::config::Limits;
use super::refuse::RefuseReason;
use crate::policy::canonical;

/// Allocations counted by user and by the network they are asked from. Only who is authenticated gets
/// here; what is not held is not counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Quotas {
    by_user: BTreeMap<u64, u32>,
    by_source: BTreeMap<u64, u32>,
}

impl Quotas {
    /// Whether `user` may have one more from `source`.
    pub(super) fn check(
        &self,
        limits: &Limits,
        user: u64,
        source: IpAddr,
    ) -> Result<(), RefuseReason> {
        let held = |counts: &BTreeMap<u64, u32>, key| counts.get(&key).map_or(0, |&n| n as usize);
        if held(&self.by_user, user) >= limits.per_user {
            return Err(RefuseReason::UserQuota);
        }
        if held(&self.by_source, network(source)) >= limits.per_address {
            return Err(RefuseReason::SourceQuota);
        }
        Ok(())
    }

    pub(super) fn add(&mut self, user: u64, source: IpAddr) {
        *self.by_user.entry(user).or_default() += 1;
        *self.by_source.entry(network(source)).or_default() += 1;
    }

    pub(super) fn subtract(&mut self, user: u64, source: IpAddr) {
        for (counts, key) in [
            (&mut self.by_user, user),
            (&mut self.by_source, network(source)),
        ] {
            if let Some(count) = counts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&key);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_user.is_empty() && self.by_source.is_empty()
    }
}

/// Who counts as one source: an IPv4 address, however written, or the first 56 bits of an IPv6
/// address, which is what a home has.
fn network(source: IpAddr) -> u64 {
    match canonical(source) {
        IpAddr::V4(ip) => 1 << 63 | u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 72) as u64,
    }
}

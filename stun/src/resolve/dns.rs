//! What a resolution asks of DNS and what it is told, and the orders that other RFCs give to it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use floe_sansio::Entropy;

/// Names a query of one [`Resolution`](super::Resolution).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub(super) usize);

/// The type of the records that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum QueryKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Hosts and ports of a service (RFC 2782).
    Srv,
    /// Services of a domain (RFC 3958).
    Naptr,
}

/// A question to DNS, for the owner to ask; answer it with [`Resolution::answer`](super::Resolution::answer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The type of the records.
    pub kind: QueryKind,
    /// The domain name, without the dot of the root unless the URI or a record has it.
    pub name: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SrvRecord<'a> {
    /// The lowest is tried first.
    pub priority: u16,
    /// The share of clients among records of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The domain name of the host; `.` says that the service is not available.
    pub target: &'a str,
}

/// A NAPTR record (RFC 3403) as S-NAPTR uses it (RFC 3958): one with a regular expression is not to be
/// passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NaptrRecord<'a> {
    /// The lowest is tried first.
    pub order: u16,
    /// Decides between records of one order; the lowest is tried first.
    pub preference: u16,
    /// `s`: look up SRV next; `a`: addresses; empty: NAPTR again.
    pub flags: &'a str,
    /// Such as `RELAY:turn.udp`.
    pub service: &'a str,
    /// The domain name to look up next.
    pub replacement: &'a str,
}

/// What DNS said.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// To A and AAAA: the addresses, in the order of preference that the owner knows (RFC 6724). Those
    /// of the other family are ignored.
    Addresses(&'a [IpAddr]),
    /// To SRV.
    Srv(&'a [SrvRecord<'a>]),
    /// To NAPTR.
    Naptr(&'a [NaptrRecord<'a>]),
    /// To any query: no such name, no such records, or no answer in time.
    Failed,
}

/// Why an answer is not taken; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// No such query is open: it never was, or it is answered.
    UnknownQuery,
    /// The query asked for records of another type.
    WrongKind,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownQuery => "no such query is open",
            Self::WrongKind => "the answer holds records of another type",
        })
    }
}

impl core::error::Error for AnswerError {}

/// Orders SRV records: by priority, and within one at random, by weight (RFC 2782).
pub(super) fn in_order<'a>(
    mut records: Vec<SrvRecord<'a>>,
    entropy: &mut Entropy,
) -> Vec<SrvRecord<'a>> {
    // Weight 0 stands first, so that it has a small chance at all.
    records.sort_by_key(|record| (record.priority, record.weight != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let same = records
            .iter()
            .take_while(|record| record.priority == priority);
        let total: u32 = same.map(|record| u32::from(record.weight)).sum();
        let mut left = entropy.below(total.saturating_add(1));
        let chosen = records.iter().position(|record| {
            let weight = u32::from(record.weight);
            let chosen = left <= weight;
            left = left.saturating_sub(weight);
            chosen
        });
        ordered.push(records.remove(chosen.unwrap_or(0)));
    }
    ordered
}

/// IPv6 first, then in turn (RFC 8305 §4).
pub(super) fn interleave(ipv6: &[IpAddr], ipv4: &[IpAddr]) -> Vec<IpAddr> {
    let mut addresses = Vec::with_capacity(ipv6.len() + ipv4.len());
    for at in 0..ipv6.len().max(ipv4.len()) {
        addresses.extend(ipv6.get(at));
        addresses.extend(ipv4.get(at));
    }
    addresses
}

/// Whether DNS could know the name. A last label of digits would make it look like an IPv4 address.
pub(super) fn is_domain(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

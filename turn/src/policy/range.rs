use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use super::canonical::canonical;
use super::prefix::Prefix;

/// The addresses from one to another, both included; they need not form a prefix.
///
/// Text is `FIRST-LAST`, `ADDRESS/LENGTH`, or one address.
///
/// ```
/// use floe_turn::AddressRange;
///
/// let range: AddressRange = "2001:db8::ff-2001:db8::1:1".parse().unwrap();
/// assert!(range.contains("2001:db8::1:0".parse().unwrap()));
/// assert!(!range.contains("2001:db8::fe".parse().unwrap()));
/// assert!("10.0.0.2-10.0.0.1".parse::<AddressRange>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// A range that is none: not an address, of two families, or with its end before its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRangeError;

impl fmt::Display for AddressRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a range of addresses: expected FIRST-LAST, ADDRESS/LENGTH or ADDRESS")
    }
}

impl core::error::Error for AddressRangeError {}

impl AddressRange {
    /// From `first` to `last`.
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, AddressRangeError> {
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Err(AddressRangeError);
        }
        Ok(Self { first, last })
    }

    /// Whether `ip` lies in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        // Addresses of the two families compare by family first.
        (self.first..=self.last).contains(&ip)
    }

    /// The same range of IPv4 addresses if it names them in the guise of one kind of IPv6 address.
    fn canonical(self) -> Self {
        let (first, last) = (canonical(self.first), canonical(self.last));
        let same_guise = match (self.first, self.last) {
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() >> 32 == b.to_bits() >> 32,
            _ => true,
        };
        match Self::new(first, last) {
            Ok(range) if same_guise => range,
            _ => self,
        }
    }
}

impl From<Prefix> for AddressRange {
    fn from(prefix: Prefix) -> Self {
        let (first, last) = prefix.bounds();
        Self { first, last }
    }
}

impl From<IpAddr> for AddressRange {
    fn from(ip: IpAddr) -> Self {
        Self {
            first: ip,
            last: ip,
        }
    }
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let ip = |text: &str| text.parse::<IpAddr>().map_err(|_| AddressRangeError);
        if let Some((first, last)) = text.split_once('-') {
            return Self::new(ip(first)?, ip(last)?);
        }
        if text.contains('/') {
            let prefix: Prefix = text.parse().map_err(|_| AddressRangeError)?;
            return Ok(prefix.into());
        }
        Ok(ip(text)?.into())
    }
}

/// Any number of ranges of canonical addresses: sorted and apart, so that a look-up costs O(log n).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RangeSet(Vec<AddressRange>);

impl RangeSet {
    pub(super) fn insert(&mut self, range: AddressRange) {
        let AddressRange { first, last } = range.canonical();
        // Those that touch the new one melt into it.
        let start = self.0.partition_point(|known| known.last < first);
        let end = self.0.partition_point(|known| known.first <= last);
        let melted = self.0.get(start..end).unwrap_or_default();
        let first = melted.first().map_or(first, |known| known.first.min(first));
        let last = melted.last().map_or(last, |known| known.last.max(last));
        self.0
            .splice(start..end.max(start), [AddressRange { first, last }]);
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        let at = self.0.partition_point(|known| known.last < ip);
        self.0.get(at).is_some_and(|known| known.contains(ip))
    }
}

//! The retransmission time-out: its estimate, and what is remembered of servers (RFC 8489 §6.2.1).

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;
use core::time::Duration;

use floe_sansio::Instant;

/// G of RFC 6298: the accuracy that RFC 8489 §6.2.1 asks for.
const GRANULARITY: Duration = Duration::from_millis(1);

/// No estimate grows beyond this (RFC 6298 §2.5 permits a maximum of 60 s or more).
pub const MAX_RTO: Duration = Duration::from_secs(60);

/// How long an estimate outlives the last transaction with its server (RFC 8489 §6.2.1).
pub const RTO_LIFETIME: Duration = Duration::from_secs(600);

/// How many servers an [`RtoCache`] remembers unless told otherwise.
pub const MAX_RTO_SERVERS: usize = 256;

/// The round trips to one server, smoothed (RFC 6298), with the exceptions of RFC 8489 §6.2.1: the
/// RTO is not rounded up to a second, and is a whole number of milliseconds.
///
/// ```
/// use std::time::Duration;
/// use floe_stun::RtoEstimator;
///
/// let mut estimator = RtoEstimator::new(Duration::from_millis(100));
/// assert_eq!(estimator.rto(), Duration::from_millis(100 + 4 * 50));
/// estimator.sample(Duration::from_millis(100));
/// assert_eq!(estimator.rto(), Duration::from_millis(250));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtoEstimator {
    /// SRTT: the smoothed round trip.
    smoothed: Duration,
    /// RTTVAR: how far round trips stray from it.
    variation: Duration,
}

impl RtoEstimator {
    /// The estimate after a first round trip (RFC 6298 §2.2).
    pub fn new(round_trip: Duration) -> Self {
        let smoothed = round_trip.min(MAX_RTO);
        Self {
            smoothed,
            variation: smoothed / 2,
        }
    }

    /// Takes another round trip in (RFC 6298 §2.3).
    ///
    /// Only of requests that were sent once: what a response to one that was repeated answers is not
    /// known (Karn; see [`Transaction::round_trip`](crate::Transaction::round_trip)).
    pub fn sample(&mut self, round_trip: Duration) {
        let round_trip = round_trip.min(MAX_RTO);
        let strayed = self.smoothed.abs_diff(round_trip);
        self.variation = (self.variation * 3 + strayed) / 4;
        self.smoothed = (self.smoothed * 7 + round_trip) / 8;
    }

    /// The time to the first retransmission: whole milliseconds, 1 ms to [`MAX_RTO`].
    pub fn rto(&self) -> Duration {
        let rto = self.smoothed + (self.variation * 4).max(GRANULARITY);
        // Upwards, for a retransmission that is early is worse than one that is late.
        let millis = rto.as_nanos().div_ceil(GRANULARITY.as_nanos());
        Duration::from_millis(millis as u64).min(MAX_RTO)
    }
}

/// What is known of one server.
#[derive(Clone, Copy, Debug)]
struct Known {
    estimator: RtoEstimator,
    /// When the last transaction with it was.
    used: Instant,
}

/// The estimates of servers by their IP address (RFC 8489 §6.2.1).
///
/// An estimate is forgotten [`RTO_LIFETIME`] after the last transaction with its server; when there
/// is no room, the one that was not used for longest. Every call costs O(log n) of those remembered.
#[derive(Clone, Debug)]
pub struct RtoCache {
    limit: usize,
    servers: BTreeMap<IpAddr, Known>,
    by_use: BTreeSet<(Instant, IpAddr)>,
}

/// With room for [`MAX_RTO_SERVERS`].
impl Default for RtoCache {
    fn default() -> Self {
        Self::new(MAX_RTO_SERVERS)
    }
}

impl RtoCache {
    /// Remembers up to `limit` servers.
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            servers: BTreeMap::new(),
            by_use: BTreeSet::new(),
        }
    }

    /// The RTO for a transaction that starts now, if the server is known; the transaction counts as
    /// use.
    pub fn rto(&mut self, now: Instant, server: IpAddr) -> Option<Duration> {
        self.expire(now);
        let estimator = self.servers.get(&server)?.estimator;
        self.put(now, server, estimator);
        Some(estimator.rto())
    }

    /// A transaction with `server` has ended; `round_trip` is `None` if that is ambiguous or there
    /// was no response.
    pub fn ended(&mut self, now: Instant, server: IpAddr, round_trip: Option<Duration>) {
        self.expire(now);
        let known = self.servers.get(&server).map(|known| known.estimator);
        let estimator = match (known, round_trip) {
            (Some(mut estimator), Some(round_trip)) => {
                estimator.sample(round_trip);
                estimator
            }
            (Some(estimator), None) => estimator,
            (None, Some(round_trip)) => RtoEstimator::new(round_trip),
            (None, None) => return,
        };
        self.put(now, server, estimator);
    }

    /// How many servers are remembered.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    fn put(&mut self, now: Instant, server: IpAddr, estimator: RtoEstimator) {
        let known = Known {
            estimator,
            used: now,
        };
        if let Some(old) = self.servers.insert(server, known) {
            self.by_use.remove(&(old.used, server));
        }
        self.by_use.insert((now, server));
        if self.servers.len() > self.limit {
            self.forget_oldest();
        }
    }

    /// Forgets at most as many as were remembered since the last call.
    fn expire(&mut self, now: Instant) {
        while let Some(&(used, _)) = self.by_use.first() {
            if now - used < RTO_LIFETIME {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, server)) = self.by_use.pop_first() {
            self.servers.remove(&server);
        }
    }
}

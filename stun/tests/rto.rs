//! The estimate of the retransmission time-out and its memory (RFC 8489 §6.2.1, RFC 6298).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use floe_sansio::Instant;
use floe_stun::{MAX_RTO, MAX_RTO_SERVERS, RtoCache, RtoEstimator};
use proptest::prelude::*;

const START: Instant = Instant::from_secs(1000);
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn server(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0xC633_6400 + number))
}

/// SRTT, RTTVAR and RTO by hand: RFC 6298 §2.2, §2.3.
///
/// req: STUN-6.2.1-5
#[test]
fn the_estimate_is_that_of_rfc_6298() {
    let mut estimator = RtoEstimator::new(ms(800));
    assert_eq!(estimator.rto(), ms(800 + 4 * 400));
    // RTTVAR 3/4 · 400 + 1/4 · |800 - 400| = 400, SRTT 7/8 · 800 + 1/8 · 400 = 750.
    estimator.sample(ms(400));
    assert_eq!(estimator.rto(), ms(750 + 4 * 400));
    // RTTVAR 3/4 · 400 + 1/4 · |750 - 1550| = 500, SRTT 7/8 · 750 + 1/8 · 1550 = 850.
    estimator.sample(ms(1550));
    assert_eq!(estimator.rto(), ms(850 + 4 * 500));
    // RTTVAR 3/4 · 500 + 1/4 · 0 = 375.
    estimator.sample(ms(850));
    assert_eq!(estimator.rto(), ms(850 + 4 * 375));
}

/// req: STUN-6.2.1-3, STUN-6.2.1-4
#[test]
fn the_rto_is_counted_in_milliseconds_not_seconds() {
    assert_eq!(RtoEstimator::new(ms(10)).rto(), ms(30));
    assert_eq!(RtoEstimator::new(ms(243)).rto(), ms(729));
    assert_eq!(RtoEstimator::new(Duration::from_micros(500)).rto(), ms(2));
    assert_eq!(RtoEstimator::new(Duration::ZERO).rto(), ms(1));
    assert_eq!(RtoEstimator::new(Duration::MAX).rto(), MAX_RTO);
}

/// req: STUN-6.2.1-7
#[test]
fn the_next_transaction_with_an_ip_address_starts_with_its_rto() {
    let mut cache = RtoCache::default();
    assert_eq!(cache.rto(START, SERVER), None);
    cache.ended(START, SERVER, Some(ms(100)));
    assert_eq!(cache.rto(START, SERVER), Some(ms(300)));
    assert_eq!(cache.rto(START, server(1)), None);
    cache.ended(START, SERVER, Some(ms(100)));
    assert_eq!(cache.rto(START, SERVER), Some(ms(250)));
}

/// req: STUN-6.2.1-6
#[test]
fn a_transaction_without_a_clear_round_trip_changes_no_estimate() {
    let mut cache = RtoCache::default();
    cache.ended(START, SERVER, None);
    assert!(cache.is_empty());
    cache.ended(START, SERVER, Some(ms(100)));
    cache.ended(START, SERVER, None);
    assert_eq!(cache.rto(START, SERVER), Some(ms(300)));
}

/// req: STUN-6.2.1-8
#[test]
fn an_estimate_is_dropped_ten_minutes_after_the_last_transaction() {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let cached = || {
        let mut cache = RtoCache::default();
        cache.ended(START, SERVER, Some(ms(100)));
        cache
    };
    let mut cache = cached();
    assert!(
        cache
            .rto(START + Duration::new(599, 999_999_999), SERVER)
            .is_some()
    );
    assert_eq!(cached().rto(START + minutes(10), SERVER), None);
    // A transaction that starts, and one that ends, each begin the ten minutes anew.
    assert!(cache.rto(START + minutes(19), SERVER).is_some());
    cache.ended(START + minutes(28), SERVER, None);
    assert!(cache.rto(START + minutes(37), SERVER).is_some());
    assert_eq!(cache.rto(START + minutes(47), SERVER), None);
    assert!(cache.is_empty());
}

#[test]
fn with_no_room_the_server_unused_for_longest_is_forgotten() {
    let mut cache = RtoCache::new(2);
    for number in 0..2 {
        cache.ended(START + ms(number.into()), server(number), Some(ms(100)));
    }
    assert!(cache.rto(START + ms(5), server(0)).is_some());
    cache.ended(START + ms(6), server(2), Some(ms(100)));
    assert_eq!(cache.len(), 2);
    assert_eq!(cache.rto(START + ms(7), server(1)), None);
    assert!(cache.rto(START + ms(7), server(0)).is_some());
    let mut none = RtoCache::new(0);
    none.ended(START, SERVER, Some(ms(100)));
    assert!(none.is_empty());
}

#[test]
fn a_million_servers_leave_no_more_than_the_limit() {
    let mut cache = RtoCache::default();
    for number in 0..1_000_000 {
        let now = START + Duration::from_micros(number.into());
        cache.ended(now, server(number), Some(ms(100)));
        assert!(cache.len() <= MAX_RTO_SERVERS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The RTO lies above the shortest round trip and never beyond its bounds.
    #[test]
    fn any_round_trips_give_a_usable_rto(nanos in proptest::collection::vec(any::<u64>(), 1..50)) {
        let mut estimator = RtoEstimator::new(Duration::from_nanos(nanos[0]));
        for &nanos in &nanos {
            estimator.sample(Duration::from_nanos(nanos));
        }
        let shortest = Duration::from_nanos(*nanos.iter().min().unwrap());
        prop_assert!(estimator.rto() >= shortest.min(MAX_RTO));
        prop_assert!((ms(1)..=MAX_RTO).contains(&estimator.rto()));
        prop_assert_eq!(estimator.rto().as_nanos() % 1_000_000, 0);
    }
}

//! Client transactions (RFC 8489 §6.2): schedules, the match of responses, and the bookkeeping.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use floe_sansio::{FiveTuple, Instant, Transport};
use floe_stun::{Due, Retransmission, TransactionId, Transactions};
use proptest::prelude::*;
use serde_json::Value;

const START: Instant = Instant::from_secs(1000);

fn path(transport: Transport) -> FiveTuple {
    FiveTuple {
        transport,
        local: "192.0.2.1:1000".parse().unwrap(),
        remote: "192.0.2.2:3478".parse().unwrap(),
    }
}

fn id(number: u8) -> TransactionId {
    TransactionId([number; 12])
}

fn request() -> Bytes {
    Bytes::from_static(b"request")
}

/// When one transaction is sent, and when it fails, in milliseconds; the driver acts at each
/// deadline.
fn trace(schedule: Retransmission, transport: Transport) -> (Vec<u128>, u128) {
    let mut transactions = Transactions::default();
    let path = path(transport);
    let first = transactions.start(START, path, id(1), request(), schedule, ());
    assert_eq!((first.path, first.payload), (path, request()));
    let mut sent = vec![0];
    loop {
        let now = transactions.poll_timeout().unwrap();
        let early = Instant::from_nanos(now.as_nanos() - 1);
        assert!(transactions.handle_timeout(early).is_none());
        match transactions.handle_timeout(now).unwrap() {
            Due::Retransmit(transmit) => {
                assert_eq!((transmit.path, transmit.payload), (path, request()));
                sent.push((now - START).as_millis());
            }
            Due::TimedOut(which, transaction) => {
                assert_eq!(which, id(1));
                assert_eq!(transaction.sends as usize, sent.len());
                assert!(transactions.is_empty() && transactions.poll_timeout().is_none());
                return (sent, (now - START).as_millis());
            }
        }
        assert!(
            transactions.handle_timeout(now).is_none(),
            "once a deadline"
        );
    }
}

/// req: STUN-6.2.1-1, STUN-6.2.1-2, STUN-6.2.1-9, STUN-6.2.1-10, STUN-6.2.1-11, STUN-5-6
#[test]
fn sends_at_0_500_1500_3500_7500_15500_31500_and_fails_at_39500_ms() {
    let sends = vec![0, 500, 1500, 3500, 7500, 15500, 31500];
    let trace = trace(Retransmission::default(), Transport::Udp);
    assert_eq!(trace, (sends, 39500));
}

/// req: STUN-6.2.1-1, STUN-6.2.1-9, STUN-6.2.1-10, STUN-6.2.1-11
#[test]
fn schedules_of_the_table() {
    let file: Value = serde_json::from_str(include_str!("data/numeric.json")).unwrap();
    let rows = file["udp_retransmit"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let number = |name: &str| row[name].as_u64().unwrap();
        let schedule = Retransmission {
            rto: Duration::from_millis(number("rto_ms")),
            count: number("rc") as u32,
            last: number("rm") as u32,
            ..Retransmission::default()
        };
        let sends: Vec<u128> = row["send_ms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|at| at.as_u64().unwrap().into())
            .collect();
        for transport in [Transport::Udp, Transport::Dtls] {
            let expected = (sends.clone(), number("fail_ms").into());
            assert_eq!(trace(schedule, transport), expected);
        }
    }
}

/// req: STUN-6.2.1-3, STUN-6.2.1-4
#[test]
fn an_rto_of_730_ms_stays_730_ms() {
    let schedule = Retransmission::default().with_rto(Duration::from_millis(730));
    let (sent, failed) = trace(schedule, Transport::Udp);
    assert_eq!(sent[..3], [0, 730, 2190]);
    assert_eq!(failed, 730 * 79);
}

/// req: STUN-6.2.2-3, STUN-6.2.2-4
#[test]
fn over_a_reliable_transport_a_request_is_sent_once_and_fails_after_ti() {
    for transport in [Transport::Tcp, Transport::Tls] {
        assert_eq!(
            trace(Retransmission::default(), transport),
            (vec![0], 39500)
        );
        let reliable = Duration::from_millis(1234);
        let schedule = Retransmission {
            reliable,
            ..Retransmission::default()
        };
        assert_eq!(trace(schedule, transport), (vec![0], 1234));
    }
}

/// req: STUN-6.2.1-12
#[test]
fn a_response_ends_retransmission() {
    let mut transactions = Transactions::default();
    let path = path(Transport::Udp);
    let _ = transactions.start(
        START,
        path,
        id(1),
        request(),
        Retransmission::default(),
        "context",
    );
    let at = START + Duration::from_millis(500);
    assert!(matches!(
        transactions.handle_timeout(at),
        Some(Due::Retransmit(_))
    ));
    let ended = transactions.remove(id(1)).unwrap();
    assert_eq!(
        (ended.context, ended.sends, ended.request()),
        ("context", 2, &request())
    );
    assert_eq!(transactions.poll_timeout(), None);
    assert!(
        transactions
            .handle_timeout(START + Duration::from_secs(60))
            .is_none()
    );
    assert!(
        transactions.remove(id(1)).is_none(),
        "a duplicate or late response finds nothing"
    );
}

/// req: STUN-6.2-1, STUN-6.2.2-6, STUN-6.3.1.2-2
#[test]
fn transactions_end_in_any_order() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut transactions = Transactions::default();
        let path = path(transport);
        for number in 1..=3 {
            let schedule = Retransmission::default();
            let _ = transactions.start(START, path, id(number), request(), schedule, number);
        }
        for number in [3, 1, 2] {
            assert_eq!(transactions.find(id(number), path).unwrap().context, number);
            assert_eq!(transactions.remove(id(number)).unwrap().context, number);
        }
        assert!(transactions.is_empty() && transactions.poll_timeout().is_none());
    }
}

/// The id alone is not enough: a response comes back on the path of the request.
///
/// req: STUN-6.3-1
#[test]
fn a_response_from_elsewhere_finds_no_transaction() {
    let mut transactions = Transactions::default();
    let asked = path(Transport::Udp);
    let _ = transactions.start(
        START,
        asked,
        id(1),
        request(),
        Retransmission::default(),
        (),
    );
    assert!(transactions.find(id(1), asked).is_some());
    assert!(transactions.find(id(2), asked).is_none());
    let other = "192.0.2.9:9".parse().unwrap();
    for wrong in [
        FiveTuple {
            remote: other,
            ..asked
        },
        FiveTuple {
            local: other,
            ..asked
        },
        path(Transport::Tcp),
    ] {
        assert!(transactions.find(id(1), wrong).is_none());
        assert!(transactions.get(id(1)).is_some());
    }
}

/// req: STUN-6.2.1-6
#[test]
fn only_a_request_sent_once_gives_a_round_trip() {
    let mut transactions = Transactions::default();
    let path = path(Transport::Udp);
    let _ = transactions.start(START, path, id(1), request(), Retransmission::default(), ());
    let later = START + Duration::from_millis(40);
    let round_trip = transactions.get(id(1)).unwrap().round_trip(later);
    assert_eq!(round_trip, Some(Duration::from_millis(40)));
    let _ = transactions.handle_timeout(START + Duration::from_millis(500));
    assert_eq!(transactions.get(id(1)).unwrap().round_trip(later), None);
}

#[test]
fn a_late_driver_sends_once_and_waits_from_then() {
    let mut transactions = Transactions::default();
    let path = path(Transport::Udp);
    let _ = transactions.start(START, path, id(1), request(), Retransmission::default(), ());
    let late = START + Duration::from_secs(20);
    assert!(matches!(
        transactions.handle_timeout(late),
        Some(Due::Retransmit(_))
    ));
    assert!(transactions.handle_timeout(late).is_none());
    assert_eq!(
        transactions.poll_timeout(),
        Some(late + Duration::from_secs(1))
    );
}

/// The same deadline too: nothing may be left without one.
#[test]
fn a_transaction_that_is_started_again_is_replaced() {
    let mut transactions = Transactions::default();
    let path = path(Transport::Udp);
    for context in 0..2 {
        let schedule = Retransmission::default();
        let _ = transactions.start(START, path, id(1), request(), schedule, context);
    }
    assert_eq!(
        (transactions.len(), transactions.get(id(1)).unwrap().context),
        (1, 1)
    );
    assert_eq!(
        transactions.poll_timeout(),
        Some(START + Duration::from_millis(500))
    );
}

/// A schedule of zeros must not make a loop in which no time passes.
#[test]
fn a_deadline_lies_in_the_future_whatever_the_schedule() {
    let zero = Duration::ZERO;
    for (count, last) in [(0, 0), (1, 0), (1, 16), (7, 0), (7, 16)] {
        let schedule = Retransmission {
            rto: zero,
            count,
            last,
            reliable: zero,
        };
        for transport in [Transport::Udp, Transport::Tcp] {
            let (sent, failed) = trace(schedule, transport);
            assert!(sent.windows(2).all(|pair| pair[0] < pair[1]), "{sent:?}");
            assert!(failed > *sent.last().unwrap());
        }
    }
    // Nor may one that overflows.
    let schedule = Retransmission {
        rto: Duration::MAX,
        count: 99,
        last: 99,
        reliable: Duration::MAX,
    };
    let mut transactions = Transactions::default();
    let _ = transactions.start(START, path(Transport::Udp), id(1), request(), schedule, ());
    assert_eq!(transactions.poll_timeout(), Some(Instant::MAX));
    assert_eq!(schedule.total(), Duration::MAX);
}

#[test]
fn a_silenced_transaction_still_takes_its_response() {
    let mut transactions = Transactions::default();
    let path = path(Transport::Udp);
    let _ = transactions.start(START, path, id(1), request(), Retransmission::default(), ());
    let until = START + Duration::from_secs(7);
    transactions.silence(id(1), until);
    assert_eq!(transactions.poll_timeout(), Some(until));
    assert!(
        transactions
            .handle_timeout(START + Duration::from_secs(6))
            .is_none()
    );
    assert!(transactions.find(id(1), path).is_some());
    assert!(matches!(
        transactions.handle_timeout(until),
        Some(Due::TimedOut(..))
    ));
}

/// What may happen to the transactions of a machine.
#[derive(Clone, Debug)]
enum Step {
    Start {
        number: u8,
        rto_ms: u64,
        count: u32,
        reliable: bool,
    },
    /// A response, which may be late, a duplicate, or to nothing.
    Respond {
        number: u8,
    },
    Silence {
        number: u8,
        ms: u64,
    },
    Retain {
        odd: bool,
    },
    Pass {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6u8, 0..800u64, 0..5u32, any::<bool>())
            .prop_map(|(number, rto_ms, count, reliable)| Step::Start { number, rto_ms, count, reliable }),
        2 => (0..6u8).prop_map(|number| Step::Respond { number }),
        1 => (0..6u8, 0..3000u64).prop_map(|(number, ms)| Step::Silence { number, ms }),
        1 => any::<bool>().prop_map(|odd| Step::Retain { odd }),
        4 => (0..2500u64).prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every transaction has a deadline, ends exactly once, and none is sent more often than it may.
    #[test]
    fn whatever_happens_deadlines_and_transactions_are_in_step(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut transactions = Transactions::<u8>::default();
        let mut open = BTreeSet::new();
        let mut now = START;
        for step in steps {
            match step {
                Step::Start { number, rto_ms, count, reliable } => {
                    let transport = if reliable { Transport::Tcp } else { Transport::Udp };
                    let schedule = Retransmission {
                        rto: Duration::from_millis(rto_ms),
                        count,
                        last: 2,
                        reliable: Duration::from_millis(rto_ms * 4),
                    };
                    let path = path(transport);
                    let _ = transactions.start(now, path, id(number), request(), schedule, number);
                    open.insert(number);
                }
                Step::Respond { number } => {
                    let ended = transactions.remove(id(number));
                    prop_assert_eq!(ended.is_some(), open.remove(&number));
                }
                Step::Silence { number, ms } => {
                    transactions.silence(id(number), now + Duration::from_millis(ms));
                }
                Step::Retain { odd } => {
                    transactions.retain(|number| (number % 2 == 1) == odd);
                    open.retain(|number| (number % 2 == 1) == odd);
                }
                Step::Pass { ms } => now += Duration::from_millis(ms),
            }
            let mut polls = 0;
            while let Some(due) = transactions.handle_timeout(now) {
                if let Due::TimedOut(which, transaction) = due {
                    prop_assert_eq!(which, id(transaction.context));
                    prop_assert!(open.remove(&transaction.context));
                    prop_assert!(transaction.sends <= 5);
                }
                polls += 1;
                prop_assert!(polls <= 6, "one thing a transaction at a time");
            }
            prop_assert!(transactions.iter().map(|(_, t)| t.context).eq(open.iter().copied()));
            prop_assert_eq!(transactions.len(), open.len());
            prop_assert_eq!(transactions.poll_timeout().is_some(), !open.is_empty());
            prop_assert!(transactions.poll_timeout().is_none_or(|at| at > now));
        }
        // Left alone, all of them end.
        let mut polls = 0;
        while let Some(at) = transactions.poll_timeout() {
            if let Some(Due::TimedOut(_, transaction)) = transactions.handle_timeout(at) {
                prop_assert!(open.remove(&transaction.context));
            }
            polls += 1;
            prop_assert!(polls <= 6 * 6);
        }
        prop_assert!(open.is_empty());
    }
}

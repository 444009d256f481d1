//! Client transactions (RFC 8489 §6.2): schedules, the match of responses, and the bookkeeping.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use floe_sansio::{FiveTuple, Instant, Transmit, Transport};
use floe_stun::{Due, Limits, Retransmission, TransactionError, TransactionId, Transactions};
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
    let expected = Transmit {
        path,
        payload: request(),
    };
    assert_eq!(first, Ok(Some(expected)));
    let mut sent = vec![0];
    loop {
        let now = transactions.poll_timeout().unwrap();
        let early = Instant::from_nanos(now.as_nanos() - 1);
        assert!(transactions.handle_timeout(early).is_none());
        match transactions.handle_timeout(now).unwrap() {
            Due::Transmit(transmit) => {
                assert_eq!((transmit.path, transmit.payload), (path, request()));
                sent.push((now - START).as_millis());
            }
            Due::Failed(which, transaction, error) => {
                assert_eq!((which, error), (id(1), TransactionError::TimedOut));
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
        Some(Due::Transmit(_))
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
        Some(Due::Transmit(_))
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
        Some(Due::Failed(.., TransactionError::TimedOut))
    ));
}

/// Starts a transaction, which may have to wait.
fn start(
    transactions: &mut Transactions<u8>,
    now: Instant,
    path: FiveTuple,
    number: u8,
) -> Result<bool, TransactionError> {
    let schedule = Retransmission::default();
    let started = transactions.start(now, path, id(number), request(), schedule, number);
    started.map(|transmit| transmit.is_some())
}

/// What is due at `now`: which requests are sent, and which fail of what. Told apart by their path's
/// local port and by their number.
fn due(transactions: &mut Transactions<u8>, now: Instant) -> (usize, Vec<(u8, TransactionError)>) {
    let (mut sent, mut failed) = (0, vec![]);
    while let Some(due) = transactions.handle_timeout(now) {
        match due {
            Due::Transmit(_) => sent += 1,
            Due::Failed(_, transaction, error) => failed.push((transaction.context, error)),
        }
    }
    (sent, failed)
}

/// req: STUN-6.2-2
#[test]
fn the_eleventh_request_to_a_server_waits_until_one_of_ten_has_ended() {
    let mut transactions = Transactions::default();
    let path = path(Transport::Udp);
    for number in 1..=10 {
        assert_eq!(start(&mut transactions, START, path, number), Ok(true));
    }
    for number in 11..=13 {
        assert_eq!(start(&mut transactions, START, path, number), Ok(false));
        let waiting = transactions.get(id(number)).unwrap();
        assert_eq!(waiting.sends, 0);
    }
    // Another local address is the same server, another port is another server.
    let beside = FiveTuple {
        local: "192.0.2.1:1001".parse().unwrap(),
        ..path
    };
    assert_eq!(start(&mut transactions, START, beside, 14), Ok(false));
    let other = FiveTuple {
        remote: "192.0.2.2:3479".parse().unwrap(),
        ..path
    };
    assert_eq!(start(&mut transactions, START, other, 20), Ok(true));
    assert_eq!(due(&mut transactions, START), (0, vec![]));

    // Each that ends lets one more go, in the order of their coming.
    for (ended, next) in [(4, 11), (9, 12), (11, 13), (1, 14)] {
        let now = START + Duration::from_millis(100);
        assert!(transactions.find(id(next), path).is_none(), "not asked yet");
        assert!(transactions.remove(id(ended)).is_some());
        assert_eq!(due(&mut transactions, now), (1, vec![]));
        let started = transactions.get(id(next)).unwrap();
        assert_eq!((started.sends, started.started), (1, now));
    }
    transactions.remove(id(14));
    assert_eq!(due(&mut transactions, START), (0, vec![]));
}

/// A time-out makes room as a response does, and the schedule of one that waited begins with its
/// turn.
///
/// req: STUN-6.2-2, STUN-6.2.1-11
#[test]
fn the_schedule_of_a_request_that_waited_begins_when_it_is_sent() {
    let limits = Limits {
        outstanding: 1,
        waiting: 1,
    };
    let mut transactions = Transactions::new(limits);
    let path = path(Transport::Udp);
    assert_eq!(start(&mut transactions, START, path, 1), Ok(true));
    assert_eq!(start(&mut transactions, START, path, 2), Ok(false));
    let (mut sent, mut failed) = (vec![], vec![]);
    while let Some(now) = transactions.poll_timeout() {
        let (count, ended) = due(&mut transactions, now);
        sent.extend((0..count).map(|_| (now - START).as_millis() as u64));
        failed.extend(
            ended
                .into_iter()
                .map(|(number, _)| (number, (now - START).as_millis())),
        );
    }
    assert_eq!(failed, [(1, 39_500), (2, 79_000)]);
    assert_eq!(
        sent[6..],
        [39_500, 40_000, 41_000, 43_000, 47_000, 55_000, 71_000]
    );
}

#[test]
fn a_full_queue_refuses_and_changes_nothing() {
    let limits = Limits {
        outstanding: 2,
        waiting: 3,
    };
    let mut transactions = Transactions::new(limits);
    let path = path(Transport::Udp);
    for number in 1..=5 {
        assert_eq!(
            start(&mut transactions, START, path, number),
            Ok(number <= 2)
        );
    }
    let before = format!("{transactions:?}");
    let refused = start(&mut transactions, START, path, 6);
    assert_eq!(refused, Err(TransactionError::QueueFull));
    assert_eq!(format!("{transactions:?}"), before);
    // The queue is one for all servers, but only those have to wait that are busy.
    let other = FiveTuple {
        remote: "192.0.2.3:3478".parse().unwrap(),
        ..path
    };
    assert_eq!(start(&mut transactions, START, other, 7), Ok(true));
    assert!(transactions.remove(id(5)).is_some());
    assert_eq!(start(&mut transactions, START, path, 8), Ok(false));
    // A limit of none would be a queue without end.
    let mut none = Transactions::new(Limits {
        outstanding: 0,
        waiting: 0,
    });
    assert_eq!(start(&mut none, START, path, 1), Ok(true));
    let refused = start(&mut none, START, path, 2);
    assert_eq!(refused, Err(TransactionError::QueueFull));
}

#[test]
fn where_something_else_sets_the_limit_none_waits() {
    let mut transactions = Transactions::new(Limits::UNLIMITED);
    for number in 0..=255 {
        assert_eq!(
            start(&mut transactions, START, path(Transport::Udp), number),
            Ok(true)
        );
    }
}

/// req: STUN-6.2.1-13
#[test]
fn a_hard_icmp_error_fails_what_is_under_way_on_its_path_at_once() {
    let mut transactions = Transactions::default();
    let asked = path(Transport::Udp);
    let other = FiveTuple {
        local: "192.0.2.1:1001".parse().unwrap(),
        ..asked
    };
    for (number, path) in [(1, asked), (2, other), (3, asked)] {
        assert_eq!(start(&mut transactions, START, path, number), Ok(true));
    }
    let error = TransactionError::Unreachable;
    transactions.fail(asked, error);
    let failed = vec![(1, error), (3, error)];
    assert_eq!(due(&mut transactions, START), (0, failed));
    assert!(transactions.find(id(2), other).is_some());
}

/// Those that wait for their turn too: their connection is the same.
///
/// req: STUN-6.2.2-5
#[test]
fn a_connection_that_closes_fails_all_its_transactions() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut transactions = Transactions::default();
        for number in 1..=12 {
            let waits = number > 10;
            assert_eq!(
                start(&mut transactions, START, path(transport), number),
                Ok(!waits)
            );
        }
        let error = TransactionError::Disconnected;
        transactions.fail(path(transport), error);
        let (sent, mut failed) = due(&mut transactions, START);
        failed.sort_by_key(|&(number, _)| number);
        assert_eq!((sent, failed), (0, (1..=12).map(|n| (n, error)).collect()));
        assert!(transactions.is_empty() && transactions.poll_timeout().is_none());
        assert_eq!(
            start(&mut transactions, START, path(transport), 1),
            Ok(true)
        );
    }
}

/// req: STUN-9.1.4-3, STUN-9.1.4-4, STUN-9.2.5-14
#[test]
fn over_udp_a_response_of_bad_integrity_counts_as_none_but_is_told_in_the_end() {
    for transport in [Transport::Udp, Transport::Dtls] {
        let mut transactions = Transactions::default();
        for number in 1..=2 {
            assert_eq!(
                start(&mut transactions, START, path(transport), number),
                Ok(true)
            );
        }
        let before = transactions.poll_timeout();
        transactions.distrust(id(1));
        assert_eq!(transactions.poll_timeout(), before);
        let mut sent = 0;
        let mut failed = vec![];
        while let Some(at) = transactions.poll_timeout() {
            let (count, ended) = due(&mut transactions, at);
            sent += count;
            failed.extend(
                ended
                    .into_iter()
                    .map(|(number, error)| (number, error, at - START)),
            );
        }
        let after = Duration::from_millis(39_500);
        let violated = (1, TransactionError::IntegrityViolated, after);
        assert_eq!(sent, 12, "both go on");
        assert_eq!(failed, [violated, (2, TransactionError::TimedOut, after)]);
    }
}

/// req: STUN-9.1.4-5, STUN-9.2.5-15
#[test]
fn over_tcp_a_response_of_bad_integrity_ends_the_transaction_at_once() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut transactions = Transactions::default();
        for number in 1..=2 {
            assert_eq!(
                start(&mut transactions, START, path(transport), number),
                Ok(true)
            );
        }
        transactions.distrust(id(1));
        let violated = vec![(1, TransactionError::IntegrityViolated)];
        assert_eq!(due(&mut transactions, START), (0, violated));
        assert_eq!(transactions.len(), 1);
    }
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
    Distrust {
        number: u8,
    },
    /// The path of all unreliable or all reliable ones is gone.
    Fail {
        reliable: bool,
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
        1 => (0..6u8).prop_map(|number| Step::Distrust { number }),
        1 => any::<bool>().prop_map(|reliable| Step::Fail { reliable }),
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
        let limits = Limits { outstanding: 3, waiting: 2 };
        let mut transactions = Transactions::<u8>::new(limits);
        let mut open = BTreeSet::new();
        // Those that were silenced before their turn came.
        let mut unsent = BTreeSet::new();
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
                    let started =
                        transactions.start(now, path, id(number), request(), schedule, number);
                    prop_assert_eq!(started.is_err(), open.len() - unsent.len() == 5);
                    if started.is_ok() {
                        unsent.remove(&number);
                        open.insert(number);
                    }
                }
                Step::Respond { number } => {
                    let ended = transactions.remove(id(number));
                    prop_assert_eq!(ended.is_some(), open.remove(&number));
                }
                Step::Silence { number, ms } => {
                    let known = transactions.get(id(number));
                    if known.is_some_and(|waiting| waiting.sends == 0) {
                        unsent.insert(number);
                    }
                    transactions.silence(id(number), now + Duration::from_millis(ms));
                }
                Step::Retain { odd } => {
                    transactions.retain(|number| (number % 2 == 1) == odd);
                    open.retain(|number| (number % 2 == 1) == odd);
                }
                Step::Distrust { number } => transactions.distrust(id(number)),
                Step::Fail { reliable } => {
                    let transport = if reliable { Transport::Tcp } else { Transport::Udp };
                    transactions.fail(path(transport), TransactionError::Disconnected);
                }
                Step::Pass { ms } => now += Duration::from_millis(ms),
            }
            let mut polls = 0;
            while let Some(due) = transactions.handle_timeout(now) {
                if let Due::Failed(which, transaction, _) = due {
                    prop_assert_eq!(which, id(transaction.context));
                    prop_assert!(open.remove(&transaction.context));
                    prop_assert!(transaction.sends <= 5);
                }
                polls += 1;
                prop_assert!(polls <= 2 * 6, "a turn or an end, and one thing more");
            }
            prop_assert!(transactions.iter().map(|(_, t)| t.context).eq(open.iter().copied()));
            prop_assert_eq!(transactions.len(), open.len());
            prop_assert_eq!(transactions.poll_timeout().is_some(), !open.is_empty());
            prop_assert!(transactions.poll_timeout().is_none_or(|at| at > now));
            unsent.retain(|number| open.contains(number));
            let outstanding = transactions.iter().filter(|(_, t)| t.sends > 0).count();
            let expected = (open.len() - unsent.len()).min(3);
            prop_assert!(outstanding == expected, "no slot is lost, none is over");
        }
        // Left alone, all of them end.
        let mut polls = 0;
        while let Some(at) = transactions.poll_timeout() {
            if let Some(Due::Failed(_, transaction, _)) = transactions.handle_timeout(at) {
                prop_assert!(open.remove(&transaction.context));
            }
            polls += 1;
            prop_assert!(polls <= 6 * 6);
        }
        prop_assert!(open.is_empty());
    }
}

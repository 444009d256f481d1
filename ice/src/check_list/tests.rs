use core::net::SocketAddr;
use core::time::Duration;

use super::*;
use crate::config::Probing;
use std::vec;
use std::vec::Vec;

const NOW: Instant = Instant::ZERO;
const LIMIT: usize = 100;

/// A pair of foundation `column` in row `row` of the tables: the higher the row, the higher the
/// priority.
fn pair(column: u16, row: u16) -> Pair {
    let address = |ip: u32| SocketAddr::new(core::net::Ipv4Addr::from(ip).into(), row + 1);
    Pair {
        path: FiveTuple::udp(
            address(0x0A00_0000 + u32::from(column)),
            address(0x0B00_0000 + u32::from(column)),
        ),
        opens: false,
        list: 0,
        component: 0,
        number: 1,
        local: 0,
        remote: 0,
        priority: 1000 - u64::from(row),
        place: 0,
        foundation: (column, column),
        relayed: false,
        state: PairState::Frozen,
        schedule: Schedule::default(),
        triggered: None,
        valid: None,
        nominated_by_peer: None,
        round_trip: Nanos::ZERO,
        answered: NOW,
        spent: false,
        moved: false,
        counters: crate::stats::Quiet::default(),
    }
}

/// A list whose checks have begun, or not.
fn lists(begun: bool) -> CheckLists {
    let mut lists = CheckLists::new(CheckOrder::Priority);
    if begun {
        lists.begin(&[0]);
    }
    lists
}

fn set(list: &mut CheckLists, id: PairId, state: PairState) {
    list.update(id, |pair| pair.state = state).unwrap();
}

fn insert(list: &mut CheckLists, column: u16, row: u16) -> PairId {
    list.insert(pair(column, row), LIMIT, false).unwrap()
}

fn states(list: &CheckLists, column: u16) -> std::string::String {
    let mut pairs: Vec<_> = list.iter().map(|(_, pair)| pair).collect();
    pairs.retain(|pair| pair.foundation.0 == column);
    pairs.sort_by_key(|pair| Reverse(pair.priority));
    let letter = |pair: &&Pair| match pair.state {
        PairState::Frozen => 'F',
        PairState::Waiting => 'W',
        PairState::InProgress => 'I',
        PairState::Succeeded => 'S',
        PairState::Failed => 'X',
    };
    pairs.iter().map(letter).collect()
}

/// The cells of table 1 of RFC 8445: column (foundation) and row (check list).
const TABLE_1: [(u16, u16); 9] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (1, 1),
    (2, 1),
    (3, 1),
    (4, 1),
    (1, 2),
    (5, 2),
];

fn succeed(list: &mut CheckLists, id: PairId) {
    let foundation = list.update(id, |pair| {
        pair.state = PairState::Succeeded;
        pair.valid = Some(0);
        pair.foundation
    });
    list.unfreeze(foundation.unwrap());
}

/// The state in which RFC 8838 §12 explains its rules (its table 3), and the pair that succeeded.
fn table_3() -> CheckLists {
    let mut list = lists(false);
    let first = insert(&mut list, 1, 0);
    let cells = [
        (2, 0),
        (3, 0),
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 1),
        (1, 2),
        (1, 3),
    ];
    for (column, row) in cells {
        insert(&mut list, column, row);
    }
    list.begin(&[0]);
    succeed(&mut list, first);
    let shown = [1, 2, 3, 4].map(|column| states(&list, column));
    assert_eq!(shown, ["SWWW", "WF", "WF", "W"]);
    list
}

/// req: ICE-6.1.2.6-1, TRICKLE-12-4
#[test]
fn in_the_beginning_one_pair_of_each_foundation_waits_whatever_the_order_of_candidates() {
    let mut cells = TABLE_1.to_vec();
    for turn in 0..cells.len() {
        cells.rotate_left(1);
        if turn % 2 == 0 {
            cells.reverse();
        }
        let mut list = lists(false);
        for &(column, row) in &cells {
            insert(&mut list, column, row);
        }
        list.begin(&[0]);
        let shown = [1, 2, 3, 4, 5].map(|column| states(&list, column));
        assert_eq!(shown, ["WFF", "WF", "WF", "W", "W"]);
    }
}

/// req: TRICKLE-12-1
#[test]
fn a_trickled_pair_on_top_of_its_foundation_waits() {
    let mut list = table_3();
    insert(&mut list, 5, 0);
    assert_eq!(states(&list, 5), "W");
}

/// The one that waited before goes on waiting.
///
/// req: TRICKLE-12-1
#[test]
fn a_trickled_pair_that_becomes_the_topmost_waits() {
    let mut list = lists(true);
    insert(&mut list, 1, 5);
    insert(&mut list, 1, 2);
    assert_eq!(states(&list, 1), "WW");
}

/// req: TRICKLE-12-2
#[test]
fn a_trickled_pair_whose_foundation_has_worked_waits() {
    let mut list = table_3();
    let top = insert(&mut list, 5, 0);
    succeed(&mut list, top);
    insert(&mut list, 5, 1);
    assert_eq!(states(&list, 5), "SW");
}

/// req: TRICKLE-12-3
#[test]
fn any_other_trickled_pair_is_frozen() {
    let mut list = table_3();
    insert(&mut list, 3, 2);
    assert_eq!(states(&list, 3), "WFF");
}

/// req: ICE-7.2.5.3.3-2
#[test]
fn success_unfreezes_the_pairs_of_its_foundation_and_no_others() {
    let mut list = lists(false);
    for (column, row) in TABLE_1 {
        insert(&mut list, column, row);
    }
    list.begin(&[0]);
    let top = list.find(pair(2, 0).path).unwrap();
    succeed(&mut list, top);
    let shown = [1, 2, 3].map(|column| states(&list, column));
    assert_eq!(shown, ["WFF", "SW", "WF"]);
}

/// req: ICE-6.1.4.1-1, ICE-6.1.4.2-2
#[test]
fn triggered_checks_come_first_in_the_order_of_their_arrival_and_once_each() {
    let mut list = lists(true);
    let ids: Vec<_> = (0..4).map(|row| insert(&mut list, row, row)).collect();
    for id in [ids[3], ids[2], ids[3]] {
        list.trigger(id);
    }
    let mut take = || {
        let id = list.next_check(NOW).unwrap();
        set(&mut list, id, PairState::InProgress);
        id
    };
    assert_eq!(
        [take(), take(), take(), take()],
        [ids[3], ids[2], ids[0], ids[1]]
    );
}

/// req: ICE-6.1.4.2-2
#[test]
fn of_the_waiting_pairs_the_one_of_highest_priority_is_checked() {
    let mut list = lists(true);
    insert(&mut list, 1, 7);
    let best = insert(&mut list, 2, 3);
    insert(&mut list, 3, 5);
    assert_eq!(list.next_check(NOW), Some(best));
}

/// req: ICE-6.1.4.2-2
#[test]
fn without_a_waiting_pair_one_thaws_whose_foundation_is_not_being_checked() {
    let mut list = lists(false);
    let one = insert(&mut list, 1, 0);
    let busy = insert(&mut list, 2, 0);
    let next = insert(&mut list, 1, 1);
    insert(&mut list, 2, 1);
    list.begin(&[0]);
    set(&mut list, one, PairState::Failed);
    set(&mut list, busy, PairState::InProgress);
    assert_eq!(list.next_due(), Some(Instant::ZERO));
    assert_eq!(list.next_check(NOW), Some(next));
    // Column 2 is being checked; there is nothing to do.
    set(&mut list, next, PairState::InProgress);
    assert_eq!(list.next_due(), None);
    assert_eq!(list.next_check(NOW), None);
}

#[test]
fn every_third_slot_goes_to_a_repetition_that_is_due() {
    let mut list = lists(true);
    let probing = Probing::default();
    let old = insert(&mut list, 0, 9);
    set(&mut list, old, PairState::InProgress);
    list.update(old, |pair| pair.schedule.sent(NOW, probing));
    let ids: Vec<_> = (1..4).map(|row| insert(&mut list, row, row)).collect();
    let later = NOW + probing.interval;
    let mut take = || {
        let id = list.next_check(later).unwrap();
        list.update(id, |pair| {
            pair.state = PairState::InProgress;
            pair.schedule.sent(later, probing);
        });
        id
    };
    assert_eq!(
        [take(), take(), take(), take()],
        [ids[0], ids[1], old, ids[2]]
    );
}

#[test]
fn where_what_thaws_has_to_wait_the_slot_goes_to_a_repetition_that_is_due() {
    let mut list = lists(true);
    let probing = Probing::default();
    let later = NOW + probing.interval;
    let old = insert(&mut list, 0, 9);
    set(&mut list, old, PairState::InProgress);
    list.update(old, |pair| pair.schedule.sent(NOW, probing));
    let failed = insert(&mut list, 1, 0);
    let unlikely = Pair {
        place: UNLIKELY,
        ..pair(1, 1)
    };
    list.insert(unlikely, LIMIT, false).unwrap();
    set(&mut list, failed, PairState::Failed);
    list.put_off_unlikely(0, |_| [later + probing.interval; 2]);
    assert_eq!(states(&list, 1), "XF");
    assert_eq!(list.next_check(later), Some(old));
    assert_eq!(states(&list, 1), "XW");
}

/// req: TRICKLE-10-5, TRICKLE-11-3, ICE-6.1.2.5-1
#[test]
fn a_full_list_gives_up_a_failed_pair_then_the_weakest_unchecked_one() {
    let limit = 3;
    let mut list = lists(true);
    let put = |list: &mut CheckLists, row| list.insert(pair(row, row), limit, false);
    let working = put(&mut list, 9).unwrap();
    let failed = put(&mut list, 1).unwrap();
    let weak = put(&mut list, 8).unwrap();
    set(&mut list, working, PairState::Succeeded);
    set(&mut list, failed, PairState::Failed);
    assert!(put(&mut list, 5).is_some());
    assert!(list.get(failed).is_none() && list.get(weak).is_some());
    assert!(put(&mut list, 4).is_some());
    assert!(list.get(weak).is_none());
    // Weaker than all that are left.
    assert!(put(&mut list, 7).is_none());
    assert_eq!(list.len(), limit);
    assert!(list.get(working).is_some());
}

#[test]
fn a_pair_that_the_peer_asked_for_or_nominated_is_never_evicted() {
    for nominated in [false, true] {
        let mut list = lists(true);
        let weak = list.insert(pair(9, 9), 1, false).unwrap();
        if nominated {
            list.update(weak, |pair| pair.nominated_by_peer = Some(0));
        } else {
            list.trigger(weak);
        }
        assert!(list.insert(pair(1, 1), 1, false).is_none());
    }
}

#[test]
fn a_pair_without_a_relay_is_preferred_to_one_of_higher_priority() {
    let mut list = lists(true);
    let relayed = insert(&mut list, 1, 0);
    let direct = insert(&mut list, 2, 5);
    list.update(relayed, |pair| pair.relayed = true);
    for id in [relayed, direct] {
        succeed(&mut list, id);
    }
    assert_eq!(list.valid(0).next().unwrap().0, direct);
}

#[test]
fn consent_over_a_pair_ends_thirty_seconds_after_the_last_answer() {
    let mut list = lists(true);
    let id = insert(&mut list, 1, 0);
    succeed(&mut list, id);
    let almost = NOW + Duration::from_millis(29_999);
    let pair = list.get(id).unwrap();
    assert!(pair.has_consent(almost));
    assert!(!pair.has_consent(NOW + CONSENT_LIFETIME));
}

#[test]
fn repetitions_double_and_end() {
    let mut schedule = Schedule::starting(NOW);
    let probing = Probing::default();
    let mut sent = vec![];
    while let Some(at) = schedule.next() {
        sent.push(at.as_millis());
        schedule.sent(at, probing);
    }
    assert_eq!(sent, [0, 100, 300, 700, 1500, 3100, 6300]);
    assert_eq!(schedule.expires(), Some(Instant::from_millis(14_300)));
}

#[test]
fn a_check_that_is_moved_leaves_the_intervals_after_it_and_the_number_of_checks_as_they_were() {
    let probing = Probing::default();
    for mut schedule in [
        Schedule::default(),
        Schedule::starting(NOW),
        Schedule::waiting(Instant::from_millis(3)),
    ] {
        schedule.set_next(Instant::from_millis(7));
        assert_eq!(schedule.expires(), None);
        let mut sent = vec![];
        while let Some(at) = schedule.next() {
            sent.push(at.as_millis());
            schedule.sent(at, probing);
            // Sooner, and later than it would be.
            if sent.len() == 2 {
                schedule.set_next(at + Duration::from_millis(50));
            } else if sent.len() == 4 {
                schedule.set_next(at + Duration::from_secs(5));
            }
        }
        assert_eq!(sent, [7, 107, 157, 557, 5557, 7157, 10357]);
        assert_eq!(schedule.count(), probing.count);
    }
}

/// The times of RFC 8489 §6.2.1, which RFC 8445 §14.3 asks for.
///
/// req: ICE-14.3-2
#[test]
fn the_strict_profile_has_the_times_of_the_rfc() {
    let config = crate::Config::new(crate::Role::Controlling).strict();
    let mut schedule = Schedule::starting(NOW);
    let mut sent = vec![];
    while let Some(at) = schedule.next() {
        sent.push(at.as_millis());
        schedule.sent(at, config.probing);
    }
    assert_eq!(sent, [0, 500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(schedule.expires(), Some(Instant::from_millis(39_500)));
}

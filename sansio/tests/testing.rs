//! The harness of the contract, proven on machines that break exactly one promise.
#![cfg(feature = "testing")]

use std::any::Any;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use floe_sansio::testing::{AnyMachine, Command, Failure, Promise, Runs, World, check, verify};
use floe_sansio::{
    Clock, Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Machine, Route, Transmit,
};

const RUNS: Runs = Runs {
    seeds: 0..3,
    steps: 400,
};

/// What is wrong with a [`Ping`].
mod fault {
    pub(crate) const NONE: u8 = 0;
    /// A deadline that has passed stays.
    pub(crate) const STUCK: u8 = 1;
    /// Every `handle_timeout` sends again, due or not.
    pub(crate) const EAGER: u8 = 2;
    /// Every `handle_timeout` puts the retransmission off.
    pub(crate) const PUT_OFF: u8 = 3;
    /// Time is taken as it is told.
    pub(crate) const UNCLAMPED: u8 = 4;
    /// One heartbeat for every ten seconds that have passed.
    pub(crate) const CATCH_UP: u8 = 5;
    /// Time that goes back panics.
    pub(crate) const ASSERTS_CLOCK: u8 = 6;
    /// Identifiers from a global counter.
    pub(crate) const GLOBAL: u8 = 7;
    /// Answers with a byte that lies before the datagram.
    pub(crate) const READS_HEADROOM: u8 = 8;
    /// A datagram of one byte panics.
    pub(crate) const PANICS: u8 = 9;
    /// Every asker is remembered.
    pub(crate) const HOARDS: u8 = 10;
    /// A route ends behind the buffer.
    pub(crate) const OUTSIDE: u8 = 11;
    /// `poll_event` never ends.
    pub(crate) const ENDLESS: u8 = 12;
    /// A dropped datagram restarts the timer.
    pub(crate) const RESTARTS: u8 = 13;
    /// A dropped answer uses up a retransmission.
    pub(crate) const COUNTS: u8 = 14;
    /// A dropped datagram is answered.
    pub(crate) const REPLIES: u8 = 15;
    /// A dropped datagram is remembered.
    pub(crate) const REMEMBERS: u8 = 16;
    /// A rejected command draws from the generator.
    pub(crate) const DRAWS: u8 = 17;
    /// One heartbeat for every second that has passed: more than polls are allowed.
    pub(crate) const CATCH_UP_FAST: u8 = 18;
}

/// Asks its peer, up to four times, and answers whoever asks; a heartbeat every second. It forwards
/// `f` to its peer and hands `d` to its owner.
struct Ping<const FAULT: u8> {
    clock: Clock,
    path: FiveTuple,
    entropy: Entropy,
    asked: Option<Asked>,
    heartbeat: Instant,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
    askers: Vec<SocketAddr>,
}

struct Asked {
    request: Bytes,
    again: Instant,
    left: u8,
}

#[derive(Clone, Debug, PartialEq)]
enum Event {
    Answered,
    GaveUp,
}

#[derive(Debug)]
struct Busy;

const SECOND: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(200);

impl<const FAULT: u8> Ping<FAULT> {
    fn new(path: FiveTuple, seed: [u8; 32], now: Instant) -> Self {
        Self {
            clock: Clock::new(now),
            path,
            entropy: Entropy::new(seed),
            asked: None,
            heartbeat: now + SECOND,
            out: VecDeque::new(),
            events: VecDeque::new(),
            askers: Vec::new(),
        }
    }

    fn time(&mut self, now: Instant) -> Instant {
        assert!(
            FAULT != fault::ASSERTS_CLOCK || now >= self.clock.now(),
            "time goes back"
        );
        let clamped = self.clock.advance(now);
        if FAULT == fault::UNCLAMPED {
            now
        } else {
            clamped
        }
    }

    fn send(&mut self, payload: Bytes) {
        self.out.push_back(Transmit {
            path: self.path,
            payload,
        });
    }

    fn ask(&mut self, now: Instant) -> Result<(), Busy> {
        if self.asked.is_some() {
            if FAULT == fault::DRAWS {
                self.entropy.u64();
            }
            return Err(Busy);
        }
        let now = self.time(now);
        let mut request = vec![b'?'];
        if FAULT == fault::GLOBAL {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            request.extend(NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        } else {
            request.extend(self.entropy.bytes::<8>());
        }
        let request = Bytes::from(request);
        self.send(request.clone());
        self.asked = Some(Asked {
            request,
            again: now + RETRY,
            left: 3,
        });
        Ok(())
    }

    fn handle_input(&mut self, now: Instant, mut datagram: Datagram<'_>) -> Input {
        let range = datagram.range();
        let path = datagram.path;
        if FAULT == fault::PANICS && range.len() == 1 {
            let _ = datagram.payload()[1];
        }
        if path.local != self.path.local {
            return Input::Dropped(DropReason::UnknownLocal);
        }
        match *datagram.payload() {
            [b'?', ref id @ ..] if id.len() == 8 => {
                self.time(now);
                if FAULT == fault::HOARDS && !self.askers.contains(&path.remote) {
                    self.askers.push(path.remote);
                }
                let mut answer = [b"!", id].concat();
                if FAULT == fault::READS_HEADROOM {
                    answer.push(datagram.buffer_mut()[range.start - 1]);
                }
                let payload = answer.into();
                self.out.push_back(Transmit { path, payload });
                Input::Handled
            }
            [b'!', ref id @ ..] if id.len() == 8 => {
                let Some(asked) = &mut self.asked else {
                    return Input::Dropped(DropReason::NoTransaction);
                };
                if asked.request[1..] != *id || path != self.path {
                    if FAULT == fault::COUNTS {
                        asked.left = asked.left.saturating_sub(1);
                    }
                    return Input::Dropped(DropReason::NoTransaction);
                }
                self.time(now);
                self.asked = None;
                self.events.push_back(Event::Answered);
                Input::Handled
            }
            [b'~'] if path == self.path => {
                self.time(now);
                Input::Handled
            }
            [b'f', _, ..] if path == self.path => {
                datagram.buffer_mut()[range.start] = b'd';
                let spill = if FAULT == fault::OUTSIDE { 99 } else { 0 };
                Input::Forward(Route::new(self.path, range.start..range.end + spill))
            }
            [b'd', _, ..] if path == self.path => {
                Input::Data(Route::new(path, range.start + 1..range.end))
            }
            _ => {
                if FAULT == fault::RESTARTS {
                    self.heartbeat += SECOND;
                }
                if FAULT == fault::REPLIES {
                    self.send(Bytes::from_static(b"what?"));
                }
                if FAULT == fault::REMEMBERS {
                    self.askers.push(path.remote);
                }
                Input::Dropped(DropReason::Malformed)
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.time(now);
        while self.heartbeat <= now {
            self.send(Bytes::from_static(b"~"));
            self.heartbeat = match FAULT {
                fault::CATCH_UP => self.heartbeat + SECOND * 10,
                fault::CATCH_UP_FAST => self.heartbeat + SECOND,
                _ => now + SECOND,
            };
        }
        let Some(asked) = &mut self.asked else {
            return;
        };
        if FAULT == fault::PUT_OFF && asked.again > now {
            asked.again = now + RETRY;
        }
        if asked.again > now && FAULT != fault::EAGER {
            return;
        }
        if asked.left == 0 {
            if FAULT == fault::STUCK {
                return;
            }
            self.asked = None;
            self.events.push_back(Event::GaveUp);
            return;
        }
        asked.left -= 1;
        asked.again = now + RETRY;
        let request = asked.request.clone();
        self.send(request);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event> {
        if FAULT == fault::ENDLESS {
            return self.events.front().cloned();
        }
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let again = self.asked.iter().map(|asked| asked.again);
        again.chain([self.heartbeat]).min()
    }
}

impl<const FAULT: u8> Machine for Ping<FAULT> {
    type Event = Event;

    fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        self.handle_input(now, datagram)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

/// A sound machine, and one with a fault.
struct Pair<const FAULT: u8> {
    sound: Ping<{ fault::NONE }>,
    other: Ping<FAULT>,
    /// Events that no command has fetched yet.
    unread: usize,
}

fn sound() -> SocketAddr {
    "192.0.2.1:1000".parse().unwrap()
}

fn other() -> SocketAddr {
    "[2001:db8::2]:2000".parse().unwrap()
}

impl<const FAULT: u8> World for Pair<FAULT> {
    const MAX_RETAINED: usize = 16;

    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        let path = FiveTuple::udp(sound(), other());
        Self {
            sound: Ping::new(path, entropy.seed(), now),
            other: Ping::new(path.mirrored(), entropy.seed(), now),
            unread: 0,
        }
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        vec![(sound(), &mut self.sound), (other(), &mut self.other)]
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command {
        match draw.below(5) {
            0 => self.sound.ask(now).into(),
            1 => self.other.ask(now).into(),
            2 => self.unread.checked_sub(1).map_or(Command::None, |unread| {
                self.unread = unread;
                Command::Accepted
            }),
            kind => Command::Sent(Transmit {
                path: self.sound.path,
                payload: Bytes::from_static(if kind == 3 { b"forward" } else { b"data" }),
            }),
        }
    }

    fn retained(&self) -> usize {
        let held = |askers: &[SocketAddr], asked: bool| askers.len() + usize::from(asked);
        held(&self.sound.askers, self.sound.asked.is_some())
            + held(&self.other.askers, self.other.asked.is_some())
    }

    fn heard(&mut self, _machine: usize, event: &dyn Any) {
        if event.downcast_ref() == Some(&Event::Answered) {
            self.unread += 1;
        }
    }
}

fn broken<const FAULT: u8>() -> Failure {
    let failure = verify::<Pair<FAULT>>(&RUNS).expect_err("the fault goes unnoticed");
    println!("{failure}");
    failure
}

#[track_caller]
fn assert_breaks<const FAULT: u8>(promise: Promise) {
    let failure = broken::<FAULT>();
    assert_eq!(failure.promise, promise, "{failure}");
    assert_ne!(failure.machine, Some(0), "{failure}");
}

#[test]
fn a_sound_pair_passes_and_the_runs_reach_everything() {
    let tally = check::<Pair<{ fault::NONE }>>(&RUNS);
    println!("{tally:?}");
    let reached = [
        tally.timeouts,
        tally.transmits,
        tally.events,
        tally.handled,
        tally.forwards,
        tally.data,
        tally.dropped,
        tally.accepted,
        tally.rejected,
        tally.retained as u64,
    ];
    assert!(reached.iter().all(|&count| count > 0), "{tally:?}");
}

#[test]
fn the_harness_itself_is_deterministic() {
    let run = || verify::<Pair<{ fault::NONE }>>(&RUNS);
    assert_eq!(run(), run());
    assert_eq!(broken::<{ fault::COUNTS }>(), broken::<{ fault::COUNTS }>());
}

#[test]
fn promise_1_a_deadline_that_stays_is_caught() {
    assert_breaks::<{ fault::STUCK }>(Promise::Progress);
}

#[test]
fn promise_2_an_early_call_that_sends_is_caught() {
    assert_breaks::<{ fault::EAGER }>(Promise::Idempotence);
}

#[test]
fn promise_2_an_early_call_that_puts_off_is_caught() {
    assert_breaks::<{ fault::PUT_OFF }>(Promise::Idempotence);
}

#[test]
fn promise_3_time_that_is_not_clamped_is_caught() {
    assert_breaks::<{ fault::UNCLAMPED }>(Promise::Clock);
}

#[test]
fn promise_3_a_storm_after_a_jump_is_caught() {
    assert_breaks::<{ fault::CATCH_UP }>(Promise::Clock);
    assert_breaks::<{ fault::CATCH_UP_FAST }>(Promise::Clock);
}

#[test]
fn promise_3_a_panic_of_a_clock_that_goes_back_is_caught() {
    assert_breaks::<{ fault::ASSERTS_CLOCK }>(Promise::Clock);
}

#[test]
fn promise_4_a_global_is_caught() {
    assert_breaks::<{ fault::GLOBAL }>(Promise::Determinism);
}

#[test]
fn promise_4_a_read_outside_the_datagram_is_caught() {
    assert_breaks::<{ fault::READS_HEADROOM }>(Promise::Determinism);
}

#[test]
fn promise_5_a_panic_is_caught() {
    assert_breaks::<{ fault::PANICS }>(Promise::AnyBytes);
}

#[test]
fn promise_5_unbounded_memory_is_caught() {
    assert_breaks::<{ fault::HOARDS }>(Promise::AnyBytes);
}

#[test]
fn promise_5_a_route_outside_the_buffer_is_caught() {
    assert_breaks::<{ fault::OUTSIDE }>(Promise::AnyBytes);
}

#[test]
fn promise_6_polls_without_end_are_caught() {
    assert_breaks::<{ fault::ENDLESS }>(Promise::Drain);
}

#[test]
fn promise_7_a_dropped_datagram_that_moves_a_timer_is_caught() {
    assert_breaks::<{ fault::RESTARTS }>(Promise::Rejection);
}

#[test]
fn promise_7_a_dropped_datagram_that_is_answered_is_caught() {
    assert_breaks::<{ fault::REPLIES }>(Promise::Rejection);
}

#[test]
fn promise_7_a_dropped_datagram_that_is_remembered_is_caught() {
    assert_breaks::<{ fault::REMEMBERS }>(Promise::Rejection);
}

#[test]
fn promise_7_a_dropped_datagram_that_shows_only_later_is_caught() {
    assert_breaks::<{ fault::COUNTS }>(Promise::Rejection);
}

#[test]
fn promise_7_a_rejected_command_that_shows_only_later_is_caught() {
    assert_breaks::<{ fault::DRAWS }>(Promise::Rejection);
}

#[test]
#[should_panic(expected = "promise 6 (Drain) is broken by machine 1, seed 0, step ")]
fn a_failure_says_where() {
    check::<Pair<{ fault::ENDLESS }>>(&RUNS);
}

/// A world in which nothing can go wrong: it takes everything, and does nothing.
struct Idle;

impl Machine for Idle {
    type Event = ();

    fn handle_input(&mut self, _now: Instant, _datagram: Datagram<'_>) -> Input {
        Input::Handled
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

impl World for Idle {
    fn build(_seed: [u8; 32], _now: Instant) -> Self {
        Self
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        vec![(sound(), self)]
    }

    fn command(&mut self, _now: Instant, _draw: &mut Entropy) -> Command {
        Command::None
    }

    fn retained(&self) -> usize {
        0
    }
}

#[test]
fn a_world_in_which_nothing_happens_does_not_pass() {
    let failure = verify::<Idle>(&RUNS).unwrap_err();
    assert_eq!(failure.what, "no timer ever fired: the runs prove nothing");
}

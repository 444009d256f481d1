use core::any::Any;
use core::time::Duration;
use std::boxed::Box;
use std::format;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::log::{Entry, Output, Tally};
use super::{AnyMachine, Command, Failure, Promise, Purpose, World, draw};
use crate::{Datagram, FiveTuple, HEADROOM, Input, Instant, Route, TAILROOM, Transmit};

/// When every run starts: late enough for clocks to step back.
pub(super) const START: Instant = Instant::from_secs(1_000_000);

/// A world on its way, watched at every call. The driver, live or replayed, says what comes next.
pub(super) struct Run<W> {
    world: W,
    machines: usize,
    seed: u64,
    /// What lies around a datagram in its buffer.
    filler: u8,
    /// For reports.
    pub(super) step: usize,
    /// How far the time that commands and datagrams are told lies behind the time of the log.
    pub(super) lag: Duration,
    /// The latest time that each machine was told.
    latest: Vec<Instant>,
    pub(super) log: Vec<Entry>,
    pub(super) tally: Tally,
    /// What the machines sent since the driver last looked.
    pub(super) sent: Vec<(FiveTuple, Vec<u8>)>,
}

/// What a refusal must not change.
struct Before {
    deadlines: Vec<Option<Instant>>,
    retained: usize,
    said: usize,
}

impl<W: World> Run<W> {
    pub(super) fn new(seed: u64, filler: u8) -> Result<Self, Failure> {
        let mut world = W::build(draw(seed, Purpose::World, 0).seed(), START);
        let machines = world.machines().len();
        if machines == 0 {
            let what = "the world has no machine".into();
            return Err(Failure::new(Promise::Progress, seed, what));
        }
        let mut run = Self {
            world,
            machines,
            seed,
            filler,
            step: 0,
            lag: Duration::ZERO,
            latest: vec![START; machines],
            log: Vec::new(),
            tally: Tally::default(),
            sent: Vec::new(),
        };
        run.drain_all(START)?;
        Ok(run)
    }

    /// The machines by number.
    pub(super) fn machines(&self) -> usize {
        self.machines
    }

    /// The world, for questions about addresses.
    pub(super) fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// The earliest deadline of all machines.
    pub(super) fn deadline(&mut self, now: Instant) -> Result<Option<Instant>, Failure> {
        Ok(self.deadlines(now)?.into_iter().flatten().min())
    }

    /// The driver's rule: whoever is due at `now` is called before anything else happens.
    pub(super) fn settle(&mut self, now: Instant) -> Result<(), Failure> {
        for machine in 0..self.machines {
            let deadline = self.ask(machine, now, "poll_timeout", |m| m.deadline())?;
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.timeout(machine, now)?;
            }
        }
        Ok(())
    }

    /// Tells every machine the time, due or not.
    pub(super) fn timeout_all(&mut self, at: Instant) -> Result<(), Failure> {
        (0..self.machines).try_for_each(|machine| self.timeout(machine, at))
    }

    /// Calls `handle_timeout`, and watches that it makes progress without a storm.
    pub(super) fn timeout(&mut self, machine: usize, at: Instant) -> Result<(), Failure> {
        let now = self.told(at);
        let deadline = self.ask(machine, at, "poll_timeout", |m| m.deadline())?;
        self.ask(machine, at, "handle_timeout", |m| m.timeout(now))?;
        let latest = self.latest[machine].max(now);
        self.latest[machine] = latest;
        self.tally.timeouts += 1;
        let said = self.log.len();
        // Where a jump made much fall due, too many polls are its storm.
        let late = deadline.is_some_and(|deadline| now.since(deadline) > Duration::from_secs(60));
        let endless = if late { Promise::Clock } else { Promise::Drain };
        self.drain(machine, at, endless)?;

        let transmits = self.log[said..]
            .iter()
            .filter(|entry| matches!(entry.output, Output::Transmit(..)))
            .count();
        if transmits > W::MAX_TRANSMITS {
            let what = format!("a storm: one handle_timeout sent {transmits} packets");
            return Err(self.failure(Promise::Clock, Some(machine), at, what));
        }
        let deadline = self.ask(machine, at, "poll_timeout", |m| m.deadline())?;
        match deadline {
            Some(next) if next <= now => {
                let what = format!("after handle_timeout({now:?}) poll_timeout is {next:?}");
                Err(self.failure(Promise::Progress, Some(machine), at, what))
            }
            Some(next) if next <= latest => {
                let what = format!(
                    "handle_timeout({now:?}) after {latest:?}: poll_timeout is {next:?}, not clamped"
                );
                Err(self.failure(Promise::Clock, Some(machine), at, what))
            }
            _ => Ok(()),
        }
    }

    /// Delivers a datagram; true if it was dropped.
    pub(super) fn deliver(
        &mut self,
        machine: usize,
        at: Instant,
        path: FiveTuple,
        bytes: &[u8],
    ) -> Result<bool, Failure> {
        let now = self.told(at);
        let before = self.before(at)?;
        let mut buffer = vec![self.filler; HEADROOM + bytes.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + bytes.len();
        buffer[range.clone()].copy_from_slice(bytes);
        let input = self.ask(machine, at, "handle_input", |m| {
            m.input(now, Datagram::new(path, &mut buffer, range))
        })?;
        self.latest[machine] = self.latest[machine].max(now);

        let bytes_of = |route: Route| buffer.get(route.range()).map(<[u8]>::to_vec);
        let output = match input {
            Input::Handled => Some(Output::Handled),
            Input::Dropped(reason) => Some(Output::Dropped(reason)),
            Input::Forward(route) => bytes_of(route).map(|b| Output::Forward(route.path, b)),
            Input::Data(route) => bytes_of(route).map(|b| Output::Data(route.path, b)),
        };
        let Some(output) = output else {
            let what = format!("{input:?} lies outside the buffer");
            return Err(self.failure(Promise::AnyBytes, Some(machine), at, what));
        };
        if let Output::Forward(path, bytes) = &output {
            self.sent.push((*path, bytes.clone()));
        }
        let refused = output.is_refusal();
        self.say(Some(machine), at, output);
        self.drain(machine, at, Promise::Drain)?;
        self.after(Some(machine), at, refused, &before)?;
        Ok(refused)
    }

    /// Gives the command of this index; true if it was rejected.
    pub(super) fn command(&mut self, index: u64, at: Instant) -> Result<bool, Failure> {
        let now = self.told(at);
        let before = self.before(at)?;
        let mut draw = draw(self.seed, Purpose::Command, index);
        let command = self.guard(None, at, "a command", |w| w.command(now, &mut draw))?;
        let refused = command == Command::Rejected;
        match command {
            Command::None => {}
            Command::Accepted => self.say(None, at, Output::Accepted),
            Command::Rejected => self.say(None, at, Output::Rejected),
            Command::Sent(transmit) => self.transmit(None, at, &transmit),
        }
        self.drain_all(at)?;
        self.after(None, at, refused, &before)?;
        Ok(refused)
    }

    fn told(&self, at: Instant) -> Instant {
        let lag = u64::try_from(self.lag.as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(at.as_nanos().saturating_sub(lag))
    }

    fn deadlines(&mut self, at: Instant) -> Result<Vec<Option<Instant>>, Failure> {
        (0..self.machines)
            .map(|machine| self.ask(machine, at, "poll_timeout", |m| m.deadline()))
            .collect()
    }

    fn before(&mut self, at: Instant) -> Result<Before, Failure> {
        Ok(Before {
            deadlines: self.deadlines(at)?,
            retained: self.world.retained(),
            said: self.log.len(),
        })
    }

    /// Watches the memory, and what a refusal left behind.
    fn after(
        &mut self,
        machine: Option<usize>,
        at: Instant,
        refused: bool,
        before: &Before,
    ) -> Result<(), Failure> {
        let retained = self.world.retained();
        self.tally.retained = self.tally.retained.max(retained);
        if retained > W::MAX_RETAINED {
            let what = format!("{retained} items held, {} allowed", W::MAX_RETAINED);
            return Err(self.failure(Promise::AnyBytes, machine, at, what));
        }
        if !refused {
            return Ok(());
        }
        let deadlines = self.deadlines(at)?;
        let what = if self.log.len() > before.said + 1 {
            format!("a refusal, and then {}", self.log[before.said + 1].output)
        } else if deadlines != before.deadlines {
            format!(
                "a refusal moved a deadline: {:?} to {deadlines:?}",
                before.deadlines
            )
        } else if retained > before.retained {
            format!("a refusal left {} items", retained - before.retained)
        } else {
            return Ok(());
        };
        Err(self.failure(Promise::Rejection, machine, at, what))
    }

    fn drain_all(&mut self, at: Instant) -> Result<(), Failure> {
        (0..self.machines).try_for_each(|machine| self.drain(machine, at, Promise::Drain))
    }

    /// Polls until there is nothing more; if there always is more, it is `endless` that is broken.
    fn drain(&mut self, machine: usize, at: Instant, endless: Promise) -> Result<(), Failure> {
        for _ in 0..=W::MAX_POLLS {
            let transmit = self.ask(machine, at, "poll_transmit", |m| m.transmit())?;
            if let Some(transmit) = transmit {
                self.transmit(Some(machine), at, &transmit);
                continue;
            }
            let event = self.ask(machine, at, "poll_event", |m| m.event())?;
            let Some((text, event)) = event else {
                return Ok(());
            };
            self.world.heard(machine, &*event);
            self.say(Some(machine), at, Output::Event(text));
        }
        let what = format!("more than {} polls answered after one call", W::MAX_POLLS);
        Err(self.failure(endless, Some(machine), at, what))
    }

    fn transmit(&mut self, machine: Option<usize>, at: Instant, transmit: &Transmit) {
        let bytes = transmit.payload.to_vec();
        self.sent.push((transmit.path, bytes.clone()));
        self.say(machine, at, Output::Transmit(transmit.path, bytes));
    }

    fn say(&mut self, machine: Option<usize>, at: Instant, output: Output) {
        self.tally.count(&output);
        self.log.push(Entry {
            step: self.step,
            at,
            machine,
            output,
        });
    }

    /// Calls one machine; a panic is a broken promise.
    fn ask<R>(
        &mut self,
        machine: usize,
        at: Instant,
        verb: &str,
        call: impl FnOnce(&mut dyn AnyMachine) -> R,
    ) -> Result<R, Failure> {
        self.guard(Some(machine), at, verb, |world| {
            call(world.machines().swap_remove(machine).1)
        })
    }

    fn guard<R>(
        &mut self,
        machine: Option<usize>,
        at: Instant,
        verb: &str,
        call: impl FnOnce(&mut W) -> R,
    ) -> Result<R, Failure> {
        let world = &mut self.world;
        catch_unwind(AssertUnwindSafe(|| call(world))).map_err(|payload| {
            let back = self.latest.iter().any(|&latest| self.told(at) < latest);
            let promise = if back {
                Promise::Clock
            } else {
                Promise::AnyBytes
            };
            let what = format!("{verb} panicked: {}", message(&payload));
            self.failure(promise, machine, at, what)
        })
    }

    fn failure(
        &self,
        promise: Promise,
        machine: Option<usize>,
        at: Instant,
        what: String,
    ) -> Failure {
        Failure {
            step: self.step,
            machine,
            at,
            ..Failure::new(promise, self.seed, what)
        }
    }
}

fn message(payload: &Box<dyn Any + Send>) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let owned = || payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(owned).unwrap_or("no message")
}

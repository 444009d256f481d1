use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::vec;
use std::vec::Vec;

use super::log::{Entry, Tally};
use super::run::{Run, START};
use super::{Failure, Purpose, World, draw};
use crate::{Entropy, FiveTuple, Instant};

/// How many packets of the past a hostile sender knows.
const OVERHEARD: usize = 64;

/// What the steps of a run are, in percent; the rest follows the network and the deadlines.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    commands: u32,
    hostile: u32,
    clock: u32,
}

impl Weather {
    /// Mostly what the machines do of themselves.
    pub(super) const CALM: Self = Self {
        commands: 15,
        hostile: 5,
        clock: 0,
    };
    /// More commands and hostile datagrams; the input of the twins.
    pub(super) const BUSY: Self = Self {
        commands: 25,
        hostile: 20,
        clock: 0,
    };
    /// Hostile datagrams.
    pub(super) const FLOOD: Self = Self {
        commands: 5,
        hostile: 75,
        clock: 0,
    };
    /// A clock that steps back and jumps. The other weathers do without, so that what breaks in them
    /// is not the clock's doing.
    pub(super) const STEPS: Self = Self {
        commands: 15,
        hostile: 10,
        clock: 5,
    };
}

/// A packet, as the machine that it reaches sees it.
#[derive(Clone)]
pub(super) struct Packet {
    pub(super) machine: usize,
    pub(super) path: FiveTuple,
    pub(super) bytes: Vec<u8>,
}

/// What a live run did to the machines, for a replay.
pub(super) struct Step {
    /// The number of the step in the live run.
    pub(super) index: usize,
    pub(super) at: Instant,
    pub(super) act: Act,
    pub(super) refused: bool,
}

pub(super) enum Act {
    Deliver(Packet),
    Command(u64),
    /// Nothing: the end of the run.
    End,
}

/// A run in a faulty network; it decides what happens as it goes, and writes the script.
pub(super) struct Live<W> {
    run: Run<W>,
    seed: u64,
    now: Instant,
    /// Packets under way by the time of their arrival and their number.
    flying: BTreeMap<(Instant, u64), Packet>,
    packets: u64,
    overheard: VecDeque<Packet>,
    script: Vec<Step>,
}

impl<W: World> Live<W> {
    /// Runs it all.
    pub(super) fn run(
        seed: u64,
        steps: usize,
        weather: Weather,
        filler: u8,
    ) -> Result<Self, Failure> {
        let mut live = Self {
            run: Run::new(seed, filler)?,
            seed,
            now: START,
            flying: BTreeMap::new(),
            packets: 0,
            overheard: VecDeque::new(),
            script: Vec::new(),
        };
        for index in 0..steps {
            live.run.step = index;
            live.send();
            live.step(index, &weather)?;
        }
        live.act(steps, Act::End)?;
        Ok(live)
    }

    pub(super) fn script(&self) -> &[Step] {
        &self.script
    }

    pub(super) fn log(&self) -> &[Entry] {
        &self.run.log
    }

    pub(super) fn tally(&self) -> Tally {
        self.run.tally
    }

    fn step(&mut self, index: usize, weather: &Weather) -> Result<(), Failure> {
        let mut draw = draw(self.seed, Purpose::Step, index as u64);
        let mut kind = draw.below(100);
        let mut chosen = |share| {
            let chosen = kind < share;
            kind = kind.wrapping_sub(share);
            chosen
        };
        let deadline = self.run.deadline(self.now)?;
        let arrival = self.flying.keys().next().map(|&(due, _)| due);

        if chosen(weather.commands) {
            self.idle(&mut draw, deadline, arrival);
            self.act(index, Act::Command(index as u64))
        } else if chosen(weather.hostile) {
            self.idle(&mut draw, deadline, arrival);
            let packet = self.hostile(&mut draw);
            self.act(index, Act::Deliver(packet))
        } else if chosen(weather.clock) {
            let nanos = match draw.below(4) {
                0 => 3_600_000_000_000,
                _ => -i64::from(draw.below(10_000)) * 1_000_000,
            };
            self.shift_clock(nanos);
            self.run.settle(self.now)
        } else if arrival.is_some_and(|due| deadline.is_none_or(|deadline| due < deadline)) {
            let Some(((due, _), packet)) = self.flying.pop_first() else {
                return Ok(());
            };
            self.now = self.now.max(due);
            self.act(index, Act::Deliver(packet))
        } else if let Some(deadline) = deadline {
            self.now = self.now.max(deadline);
            self.run.settle(self.now)
        } else {
            self.now += Duration::from_millis(draw.below(1000).into());
            Ok(())
        }
    }

    /// Lets up to 20 ms pass in which nothing falls due.
    fn idle(&mut self, draw: &mut Entropy, deadline: Option<Instant>, arrival: Option<Instant>) {
        let later = self.now + Duration::from_micros(draw.below(20_000).into());
        let next = [deadline, arrival].into_iter().flatten().min();
        self.now = self.now.max(next.unwrap_or(later).min(later));
    }

    fn act(&mut self, index: usize, act: Act) -> Result<(), Failure> {
        self.run.settle(self.now)?;
        let refused = perform(&mut self.run, self.now, &act)?;
        self.script.push(Step {
            index,
            at: self.now,
            act,
            refused,
        });
        Ok(())
    }

    /// Moves what the machines take for the time; the network does not notice.
    fn shift_clock(&mut self, nanos: i64) {
        let shift = |at: Instant| Instant::from_nanos(at.as_nanos().saturating_add_signed(nanos));
        self.now = shift(self.now);
        self.flying = core::mem::take(&mut self.flying)
            .into_iter()
            .map(|((due, number), packet)| ((shift(due), number), packet))
            .collect();
    }

    /// Hands what the machines sent to the network, which loses, repeats, delays and corrupts it; what
    /// is reliable only takes its time.
    fn send(&mut self) {
        for (path, bytes) in core::mem::take(&mut self.run.sent) {
            let Some(machine) = self.run.world().owner(path.remote) else {
                continue;
            };
            let path = path.mirrored();
            let packet = Packet {
                machine,
                path,
                bytes,
            };
            if self.overheard.len() == OVERHEARD {
                self.overheard.pop_front();
            }
            self.overheard.push_back(packet.clone());

            if path.transport.is_reliable() {
                self.fly(50, packet);
                continue;
            }
            // A lost packet takes a number too: fates go by number.
            self.packets += 1;
            let mut draw = draw(self.seed, Purpose::Packet, self.packets);
            if draw.below(100) < self.loss() {
                continue;
            }
            let fate = draw.below(100);
            let mut corrupt = packet.clone();
            flip(&mut corrupt.bytes, &mut draw);
            match fate {
                0..3 => self.fly(draw.below(300), corrupt),
                3..9 => {
                    self.fly(draw.below(300), packet.clone());
                    self.fly(draw.below(300), packet);
                }
                _ => self.fly(draw.below(300), packet),
            }
        }
    }

    /// How many percent get lost: good and bad times take turns.
    fn loss(&self) -> u32 {
        match draw(self.seed, Purpose::Loss, self.packets / 32).below(8) {
            0..3 => 0,
            3..6 => 15,
            6 => 50,
            _ => 95,
        }
    }

    fn fly(&mut self, millis: u32, packet: Packet) {
        let due = self.now + Duration::from_millis(millis.into());
        self.flying.insert((due, self.packets), packet);
        self.packets += 1;
    }

    /// A datagram that no honest network would deliver.
    fn hostile(&mut self, draw: &mut Entropy) -> Packet {
        let machine = draw.below(self.run.machines() as u32) as usize;
        let address = self.run.world().machines().swap_remove(machine).0;
        let kind = draw.below(11);
        let known = draw.below(self.overheard.len() as u32) as usize;
        let overheard = self.overheard.get(known).cloned();
        let (Some(mut packet), 2..) = (overheard, kind) else {
            let longest = if kind == 0 { 1500 } else { 64 };
            let mut bytes = vec![0; draw.below(longest + 1) as usize];
            draw.fill(&mut bytes);
            return Packet {
                machine,
                path: FiveTuple::udp(address, stranger(draw)),
                bytes,
            };
        };
        let bytes = &mut packet.bytes;
        match kind {
            2 => bytes.truncate(draw.below(bytes.len() as u32) as usize),
            3 => flip(bytes, draw),
            4 => bytes.extend_from_slice(&draw.bytes::<7>()),
            5..9 => packet.path.remote = stranger(draw),
            9 => {
                flip(bytes, draw);
                packet.path.remote = stranger(draw);
            }
            // To another machine, or again to the same one.
            _ => {
                packet.machine = machine;
                packet.path.local = address;
            }
        }
        packet
    }
}

/// Does what a step says; true if it was refused.
pub(super) fn perform<W: World>(run: &mut Run<W>, at: Instant, act: &Act) -> Result<bool, Failure> {
    match act {
        Act::Deliver(packet) => run.deliver(packet.machine, at, packet.path, &packet.bytes),
        Act::Command(index) => run.command(*index, at),
        Act::End => Ok(false),
    }
}

/// Flips one to four bits.
fn flip(bytes: &mut [u8], draw: &mut Entropy) {
    for _ in 0..=draw.below(4) {
        let bit = draw.below(bytes.len() as u32 * 8);
        if let Some(byte) = bytes.get_mut(bit as usize / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

/// One of very many addresses, of the ranges for benchmarks (RFC 2544) and documentation (RFC 3849).
fn stranger(draw: &mut Entropy) -> SocketAddr {
    let [a, b, c, d] = draw.bytes();
    let port = draw.below(0x1_0000) as u16;
    if draw.below(4) == 0 {
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let ip = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, high, low);
        SocketAddr::new(ip.into(), port)
    } else {
        SocketAddr::new(Ipv4Addr::new(198, 18 + a % 2, b, c).into(), port)
    }
}

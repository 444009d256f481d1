//! A machine, watched at every call for what the [contract](crate#the-contract) promises: for fuzz
//! bodies and tests that lead one machine by hand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::vec;
use std::vec::Vec;

use crate::{Datagram, FiveTuple, HEADROOM, Input, Instant, Machine, TAILROOM, Transmit};

/// Polls that may answer after one call.
const MAX_POLLS: usize = 1024;
/// Packets remembered.
const MAX_SENT: usize = 32;

/// A machine and its time.
#[derive(Debug)]
pub struct Driver<M: Machine> {
    /// The machine.
    pub machine: M,
    /// What it was told last.
    pub now: Instant,
    /// What it sent last, the newest at the end: answers quote a transaction id.
    pub sent: VecDeque<Transmit>,
    /// What it said since it was asked last.
    pub events: Vec<M::Event>,
}

impl<M: Machine> Driver<M> {
    /// Takes a machine that was made at `now`.
    pub fn new(machine: M, now: Instant) -> Self {
        Self {
            machine,
            now,
            sent: VecDeque::new(),
            events: Vec::new(),
        }
    }

    /// What it sent last.
    pub fn last(&self) -> Option<&Transmit> {
        self.sent.back()
    }

    /// What it sent last to this address.
    pub fn last_to(&self, remote: SocketAddr) -> Option<&Transmit> {
        self.sent.iter().rfind(|sent| sent.path.remote == remote)
    }

    /// Polls until there is nothing more; how much there was.
    pub fn drain(&mut self) -> usize {
        for polls in 0..MAX_POLLS {
            if let Some(transmit) = self.machine.poll_transmit() {
                if self.sent.len() == MAX_SENT {
                    self.sent.pop_front();
                }
                self.sent.push_back(transmit);
            } else if let Some(event) = self.machine.poll_event() {
                self.events.push(event);
            } else {
                return polls;
            }
        }
        panic!("the polls do not run dry");
    }

    /// Delivers a datagram. What is dropped leaves no trace; what comes out lies in the buffer.
    pub fn input(&mut self, path: FiveTuple, bytes: &[u8]) -> Input {
        let mut buffer = vec![0xaa; HEADROOM + bytes.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + bytes.len();
        buffer[range.clone()].copy_from_slice(bytes);
        let before = self.machine.poll_timeout();
        let datagram = Datagram::new(path, &mut buffer, range);
        let input = self.machine.handle_input(self.now, datagram);
        let said = self.drain();
        match input {
            Input::Dropped(reason) => {
                assert_eq!(said, 0, "dropped ({reason:?}), and then something was said");
                let after = self.machine.poll_timeout();
                assert_eq!(before, after, "dropped ({reason:?}), and a deadline moved");
            }
            Input::Forward(route) | Input::Data(route) => {
                let range = route.range();
                assert!(range.start <= range.end && range.end <= buffer.len());
            }
            Input::Handled => {}
        }
        input
    }

    /// A command: what is refused leaves no trace.
    pub fn command<T, E: std::fmt::Debug>(
        &mut self,
        command: impl FnOnce(&mut M, Instant) -> Result<T, E>,
    ) -> Result<T, E> {
        let before = self.machine.poll_timeout();
        let result = command(&mut self.machine, self.now);
        let said = self.drain();
        if let Err(error) = &result {
            assert_eq!(said, 0, "refused ({error:?}), and then something was said");
            let after = self.machine.poll_timeout();
            assert_eq!(before, after, "refused ({error:?}), and a deadline moved");
        }
        result
    }

    /// Goes to the next deadline, if there is one, and acts.
    pub fn timeout(&mut self) {
        if let Some(at) = self.machine.poll_timeout() {
            self.now = self.now.max(at);
            self.tell();
        }
    }

    /// Tells the machine the time: it makes progress.
    pub fn tell(&mut self) {
        self.machine.handle_timeout(self.now);
        self.drain();
        let next = self.machine.poll_timeout();
        assert!(
            next.is_none_or(|next| next > self.now),
            "no progress: told {:?}, wants to be called at {next:?}",
            self.now
        );
    }
}

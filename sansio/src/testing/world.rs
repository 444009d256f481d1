use core::any::Any;
use core::net::SocketAddr;
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::{Datagram, Entropy, Input, Instant, Machine, Transmit};

/// The machines under test, and what a test must know of them.
///
/// Everything in a world follows from the seed and the calls: what it draws, it draws from `seed` of
/// [`build`](Self::build) and `draw` of [`command`](Self::command).
pub trait World: Sized {
    /// The most items that all machines together may ever hold (promise 5). Keep it close to what
    /// the machines' own limits allow: a flood of a few hundred sources must be able to exceed it.
    const MAX_RETAINED: usize = 256;
    /// The most packets that one `handle_timeout` may send (promise 3).
    const MAX_TRANSMITS: usize = 16;
    /// The most polls that may answer after one call (promise 6).
    const MAX_POLLS: usize = 1024;

    /// The machines, new at `now`; each gets a seed of its own that follows from `seed`.
    fn build(seed: [u8; 32], now: Instant) -> Self;

    /// Every machine with its address, always the same ones in the same order.
    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)>;

    /// One random command to one machine, which gets `now` as it is.
    ///
    /// Where the command is rejected, the world too must stay as it was.
    fn command(&mut self, now: Instant, draw: &mut Entropy) -> Command;

    /// How many items the machines hold: transactions, sessions, permissions, queued packets.
    fn retained(&self) -> usize;

    /// The machine that a packet to this address reaches: by default the first one that has this IP
    /// address, whatever the port.
    fn owner(&mut self, to: SocketAddr) -> Option<usize> {
        let mut addresses = self.machines().into_iter().map(|(address, _)| address);
        addresses.position(|address| address.ip() == to.ip())
    }

    /// Machine `machine` gave this event, of its own event type: the place to keep what a later
    /// [`command`](Self::command) needs, such as a message for the other side.
    fn heard(&mut self, machine: usize, event: &dyn Any) {
        let _ = (machine, event);
    }
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// There was nothing to do.
    None,
    /// It was accepted.
    Accepted,
    /// It was accepted, and these bytes go out: the data path of a relay's client, which frames in
    /// the caller's buffer.
    Sent(Transmit),
    /// It was rejected.
    Rejected,
}

/// `Ok` was accepted and `Err` rejected, whatever they say.
impl<T, E> From<Result<T, E>> for Command {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Accepted,
            Err(_) => Self::Rejected,
        }
    }
}

/// A [`Machine`] whose event type is forgotten, so that machines of many types stand in one list.
///
/// Every machine whose events borrow nothing is one; there is nothing to implement or to call.
pub trait AnyMachine {
    #[doc(hidden)]
    fn input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input;
    #[doc(hidden)]
    fn timeout(&mut self, now: Instant);
    #[doc(hidden)]
    fn transmit(&mut self) -> Option<Transmit>;
    #[doc(hidden)]
    fn event(&mut self) -> Option<(String, Box<dyn Any>)>;
    #[doc(hidden)]
    fn deadline(&self) -> Option<Instant>;
}

impl<M: Machine> AnyMachine for M
where
    M::Event: 'static,
{
    fn input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        self.handle_input(now, datagram)
    }

    fn timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn transmit(&mut self) -> Option<Transmit> {
        self.poll_transmit()
    }

    fn event(&mut self) -> Option<(String, Box<dyn Any>)> {
        let event = self.poll_event()?;
        Some((format!("{event:?}"), Box::new(event)))
    }

    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

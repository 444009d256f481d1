//! The contract that every floe state machine keeps.
//!
//! floe's protocol crates are *sans-IO*: they never look at a clock, open a socket, start a thread
//! or ask for a random number. Everything comes in as an argument, everything goes out through a
//! poll. This crate holds the words of that conversation:
//!
//! | word | meaning |
//! |---|---|
//! | [`Instant`] | nanoseconds since an epoch that the driver chooses |
//! | [`FiveTuple`], [`Transport`] | where a packet goes from and to |
//! | [`Datagram`] | bytes that arrived, in the driver's own buffer |
//! | [`Input`], [`Route`], [`DropReason`] | what a machine made of them |
//! | [`Transmit`] | bytes that a machine wants to send |
//! | [`Timers`], [`Clock`] | deadlines by name, and time that never goes back |
//! | [`Entropy`] | seeded randomness |
//! | [`Machine`] | the verbs, as an object-safe trait for drivers |
//!
//! # The contract
//!
//! Every machine has the verbs of [`Machine`] as inherent methods and a constructor
//! `new(config, seed, now)`, and promises:
//!
//! 1. Acting at `poll_timeout()` makes progress: afterwards it is later than `now`, or `None`.
//! 2. `handle_timeout` twice is the same as once; calling it early or often never sends more.
//! 3. Time that goes backwards is clamped; a jump of an hour makes no storm.
//! 4. The same seed and inputs give the same outputs, byte for byte.
//! 5. Any bytes from anywhere: no panic, bounded memory, bounded work per byte.
//! 6. After any call, draining `poll_transmit` and `poll_event` ends.
//! 7. A rejected command or a rejected datagram leaves the state as it was.
//!
//! The feature `testing` brings property tests of these promises that run on any machine: the module
//! `testing`.
//!
//! # Example
//!
//! The smallest machine: it answers every datagram with the same bytes, after 20 ms.
//!
//! ```
//! use bytes::Bytes;
//! use core::time::Duration;
//! use floe_sansio::{Clock, Datagram, FiveTuple, Input, Instant, Transmit, Transport};
//!
//! struct Echo { clock: Clock, due: Option<Instant>, answer: Option<(FiveTuple, Bytes)>, out: Option<Transmit> }
//!
//! impl Echo {
//!     fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
//!         let now = self.clock.advance(now);
//!         self.due = Some(now + Duration::from_millis(20));
//!         self.answer = Some((datagram.path, Bytes::copy_from_slice(datagram.payload())));
//!         Input::Handled
//!     }
//!     fn handle_timeout(&mut self, now: Instant) {
//!         let now = self.clock.advance(now);
//!         if self.due.is_some_and(|due| due <= now) {
//!             self.due = None;
//!             self.out = self.answer.take().map(|(path, payload)| Transmit { path, payload });
//!         }
//!     }
//!     fn poll_transmit(&mut self) -> Option<Transmit> { self.out.take() }
//!     fn poll_timeout(&self) -> Option<Instant> { self.due }
//! }
//!
//! // A driver: it alone knows the time and where packets go.
//! let now = Instant::ZERO;
//! let mut echo = Echo { clock: Clock::new(now), due: None, answer: None, out: None };
//! let path = FiveTuple::udp("192.0.2.1:1000".parse().unwrap(), "192.0.2.2:2000".parse().unwrap());
//! let mut buffer = *b"hello";
//! echo.handle_input(now, Datagram::whole(path, &mut buffer));
//! assert!(echo.poll_transmit().is_none());
//!
//! let due = echo.poll_timeout().unwrap();
//! assert_eq!(due, Instant::from_millis(20));
//! echo.handle_timeout(due);
//! let transmit = echo.poll_transmit().unwrap();
//! assert_eq!(&transmit.payload[..], b"hello");
//! assert_eq!(transmit.path.remote, path.remote);
//! ```

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod datagram;
mod entropy;
mod input;
mod instant;
mod machine;
mod path;
mod timers;
mod transmit;

#[cfg(feature = "testing")]
pub mod testing;

pub use datagram::{Datagram, HEADROOM, TAILROOM};
pub use entropy::Entropy;
pub use input::{DropReason, Input, Route};
pub use instant::{Clock, Instant};
pub use machine::Machine;
pub use path::{FiveTuple, Transport};
pub use timers::{Timer, Timers};
pub use transmit::Transmit;

use core::fmt;

use crate::{Datagram, Input, Instant, Transmit};

/// The verbs of a state machine, as an object-safe trait for drivers and test harnesses.
///
/// Machines have the same verbs as inherent methods; no one needs this trait to use one. See the
/// [crate documentation](crate) for what they promise.
pub trait Machine {
    /// What the machine tells its owner.
    type Event: fmt::Debug;

    /// One datagram, or one frame of a stream, arrived at `now`.
    fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input;

    /// The clock reached [`poll_timeout`](Self::poll_timeout).
    fn handle_timeout(&mut self, now: Instant);

    /// The next bytes to send. Drain it after every call.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// The next thing that the owner must know. Drain it after every call.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` if nothing is pending.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// Implements [`Machine`] by a machine's inherent methods of the same names.
///
/// `impl_machine!(Type, Event)`
#[macro_export]
macro_rules! impl_machine {
    ($machine:ty, $event:ty) => {
        impl $crate::Machine for $machine {
            type Event = $event;

            fn handle_input(
                &mut self,
                now: $crate::Instant,
                datagram: $crate::Datagram<'_>,
            ) -> $crate::Input {
                <$machine>::handle_input(self, now, datagram)
            }

            fn handle_timeout(&mut self, now: $crate::Instant) {
                <$machine>::handle_timeout(self, now);
            }

            fn poll_transmit(&mut self) -> Option<$crate::Transmit> {
                <$machine>::poll_transmit(self)
            }

            fn poll_event(&mut self) -> Option<$event> {
                <$machine>::poll_event(self)
            }

            fn poll_timeout(&self) -> Option<$crate::Instant> {
                <$machine>::poll_timeout(self)
            }
        }
    };
}

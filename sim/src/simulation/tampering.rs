//! What can go wrong with a world under way that no link does: taps, forged packets, wrong clocks,
//! hosts that sleep.

use core::time::Duration;

use floe_sansio::{Instant, Transmit};

use super::{Envelope, Simulation};
use crate::endpoint::{Endpoint, Message};
use crate::network::{Arrival, Event};
use crate::tap::{Fate, MessageTap, PacketTap, Passing};
use crate::{DropCause, HostId};

impl<E: Endpoint> Simulation<E> {
    /// From now on this is asked about each datagram that reaches a host, before the host gets it;
    /// segments of TCP are not shown. It replaces what was asked before.
    ///
    /// ```
    /// # use floe_sim::{Fate, PeerHost, Simulation};
    /// # fn of(run: &mut Simulation<Box<dyn floe_sim::Endpoint>>) {
    /// // The third datagram comes a second late.
    /// let mut seen = 0;
    /// run.set_tap(move |_, _| {
    ///     seen += 1;
    ///     if seen == 3 { Fate::Hold(std::time::Duration::from_secs(1)) } else { Fate::Pass }
    /// });
    /// # }
    /// ```
    pub fn set_tap(&mut self, tap: impl FnMut(Instant, &mut Passing) -> Fate + Send + 'static) {
        self.packet_tap = Some(PacketTap(Box::new(tap)));
    }

    /// From now on this is asked about each signalling message as it is sent; the host is the sender.
    /// It replaces what was asked before.
    pub fn set_message_tap(
        &mut self,
        tap: impl FnMut(Instant, HostId, &mut Message) -> Fate + Send + 'static,
    ) {
        self.message_tap = Some(MessageTap(Box::new(tap)));
    }

    /// Nobody is asked any more. What was held back still arrives.
    pub fn remove_taps(&mut self) {
        self.packet_tap = None;
        self.message_tap = None;
    }

    /// The clock of a host jumps ahead: all that has fallen due meanwhile is due now.
    pub fn jump_clock(&mut self, host: HostId, by: Duration) {
        self.hosts[host.index()].clock.jump(by);
        self.reschedule(host);
    }

    /// The clock of a host is turned back, but not below zero.
    pub fn turn_back_clock(&mut self, host: HostId, by: Duration) {
        self.hosts[host.index()].clock.turn_back(by);
        self.reschedule(host);
    }

    /// The clock of a host stands still: packets arrive, but nothing falls due.
    pub fn stop_clock(&mut self, host: HostId) {
        let now = self.now;
        self.hosts[host.index()].clock.stop(now);
        self.reschedule(host);
    }

    /// The clock of a host goes on from where it stood; it is behind from now on.
    pub fn start_clock(&mut self, host: HostId) {
        let now = self.now;
        self.hosts[host.index()].clock.go_on(now);
        self.reschedule(host);
    }

    /// A host sleeps: what comes to it is lost, and nothing falls due. Its clock goes on.
    pub fn sleep(&mut self, host: HostId) {
        self.hosts[host.index()].clock.set_asleep(true);
        self.reschedule(host);
    }

    /// A host wakes up: all that has fallen due meanwhile is due now, and the messages that were
    /// signalled to it arrive.
    pub fn wake(&mut self, host: HostId) {
        self.hosts[host.index()].clock.set_asleep(false);
        self.reschedule(host);
        let (now, all) = (self.now, core::mem::take(&mut self.waiting));
        for envelope in all {
            if envelope.message.to == host {
                let place = self.messages.insert(envelope);
                self.queue.push(now, Event::Message(place));
            } else {
                self.waiting.push(envelope);
            }
        }
    }

    /// Deadlines that were scheduled by another clock do not count.
    fn reschedule(&mut self, host: HostId) {
        self.hosts[host.index()].scheduled = None;
        self.flush(host);
    }

    /// Sends a datagram from a host with a source address that need not be the host's: a forged one.
    /// No router on the way minds. Replies go to whoever has the address.
    pub fn forge(&mut self, host: HostId, transmit: Transmit) {
        self.network
            .forge(self.now, host, transmit, &mut self.queue, &mut self.log);
    }

    /// Asks the tap, if there is one, what becomes of a packet.
    pub(super) fn tap(&mut self, mut arrival: Arrival) {
        let Some(PacketTap(tap)) = &mut self.packet_tap else {
            return self.deliver(&arrival);
        };
        let Some(payload) = arrival.content.datagram_mut() else {
            return self.deliver(&arrival);
        };
        let mut passing = Passing {
            from: arrival.id.host,
            to: arrival.host,
            source: arrival.path.remote,
            destination: arrival.path.local,
            payload: core::mem::take(payload),
        };
        let fate = tap(self.now, &mut passing);
        *payload = passing.payload;
        arrival.path.remote = passing.source;
        arrival.path.local = passing.destination;
        match fate {
            Fate::Pass => self.deliver(&arrival),
            Fate::Drop => {
                let cause = DropCause::Tapped;
                self.network
                    .withhold(self.now, &arrival, cause, &mut self.log);
            }
            Fate::Hold(delay) => self.hold(arrival, delay),
            Fate::Repeat { count, every } => {
                for number in 1..=count {
                    self.hold(arrival.clone(), every.saturating_mul(number));
                }
                self.deliver(&arrival);
            }
        }
    }

    fn hold(&mut self, arrival: Arrival, delay: Duration) {
        let place = self.held.insert(arrival);
        self.queue.push(self.now + delay, Event::Held(place));
    }

    /// Asks the tap, if there is one, what becomes of a message.
    pub(super) fn signal(&mut self, from: HostId, mut message: Message) {
        let now = self.now;
        let tap = self.message_tap.as_mut();
        let fate = tap.map_or(Fate::Pass, |MessageTap(tap)| tap(now, from, &mut message));
        let mut later = |message, delay| {
            let place = self.messages.insert(Envelope { from, message });
            let at = now + self.signalling + delay;
            self.queue.push(at, Event::Message(place));
        };
        match fate {
            Fate::Drop => return,
            Fate::Hold(delay) => return later(message, delay),
            Fate::Pass => {}
            Fate::Repeat { count, every } => {
                for number in 1..=count {
                    later(message.clone(), every.saturating_mul(number));
                }
            }
        }
        let place = self.messages.insert(Envelope { from, message });
        self.last_message = self.last_message.max(now + self.signalling);
        self.queue.push(self.last_message, Event::Message(place));
    }
}

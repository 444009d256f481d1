//! What runs on a host.

use floe_sansio::{Datagram, Input, Instant, Transmit};

use crate::{HostId, StreamCommand, StreamEvent};

/// What runs on a host, and what it is told.
///
/// After each call the simulation drains [`poll_transmit`](Self::poll_transmit),
/// [`poll_stream`](Self::poll_stream) and [`poll_message`](Self::poll_message) in this order and looks
/// at [`deadline`](Self::deadline). Different kinds of endpoints in one simulation: an enum, or
/// `Box<dyn Endpoint>`.
pub trait Endpoint {
    /// A datagram arrived. It lies in a buffer with [`HEADROOM`](floe_sansio::HEADROOM) and
    /// [`TAILROOM`](floe_sansio::TAILROOM) around it.
    ///
    /// On [`Input::Forward`] the simulation sends that range of the buffer on, without another copy.
    /// On [`Input::Dropped`] the log says so. Everything else is the endpoint's own business.
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input;

    /// The clock reached [`deadline`](Self::deadline).
    fn timeout(&mut self, now: Instant);

    /// The next bytes to send. A datagram's local address must be one of the host's; over TCP the
    /// path must be that of an open connection, to whose stream the bytes are added.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// When to call [`timeout`](Self::timeout).
    fn deadline(&self) -> Option<Instant>;

    /// The next thing to do about TCP connections.
    fn poll_stream(&mut self) -> Option<StreamCommand> {
        None
    }

    /// Something happened to a TCP connection.
    fn stream(&mut self, _now: Instant, _event: StreamEvent) {}

    /// A signalling message arrived.
    fn message(&mut self, _now: Instant, _from: HostId, _text: &str) {}

    /// The next signalling message to send.
    fn poll_message(&mut self) -> Option<Message> {
        None
    }
}

/// A signalling message: text that arrives, in order, after the delay of the signalling path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// For whom.
    pub to: HostId,
    /// What.
    pub text: String,
}

impl<E: Endpoint + ?Sized> Endpoint for Box<E> {
    fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        (**self).receive(now, datagram)
    }

    fn timeout(&mut self, now: Instant) {
        (**self).timeout(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        (**self).poll_transmit()
    }

    fn deadline(&self) -> Option<Instant> {
        (**self).deadline()
    }

    fn poll_stream(&mut self) -> Option<StreamCommand> {
        (**self).poll_stream()
    }

    fn stream(&mut self, now: Instant, event: StreamEvent) {
        (**self).stream(now, event);
    }

    fn message(&mut self, now: Instant, from: HostId, text: &str) {
        (**self).message(now, from, text);
    }

    fn poll_message(&mut self) -> Option<Message> {
        (**self).poll_message()
    }
}

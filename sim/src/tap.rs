//! Taps: whoever sits on the way and looks at what passes, holds it back, repeats or rewrites it.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use floe_sansio::Instant;

use crate::{HostId, Message};

/// What becomes of something that a tap has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    /// It arrives.
    Pass,
    /// It does not.
    Drop,
    /// It arrives later, by this much; what comes after it may overtake it. No tap sees it again.
    Hold(Duration),
    /// It arrives, and again after this time, and so on.
    Repeat {
        /// How many more times.
        count: u32,
        /// From one to the next.
        every: Duration,
    },
}

/// A datagram that has come through the network, before the host gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// Who sent it.
    pub from: HostId,
    /// Who will get it.
    pub to: HostId,
    /// Where it seems to come from, as the receiver sees it. A tap may change it.
    pub source: SocketAddr,
    /// The address of the receiver that it goes to. A tap may change it.
    pub destination: SocketAddr,
    /// What it carries. A tap may change it.
    pub payload: Bytes,
}

/// Whom a simulation asks about datagrams.
pub(crate) struct PacketTap(pub(crate) Box<OnPacket>);

type OnPacket = dyn FnMut(Instant, &mut Passing) -> Fate + Send;

/// Whom a simulation asks about signalling messages; the host is the sender.
pub(crate) struct MessageTap(pub(crate) Box<OnMessage>);

type OnMessage = dyn FnMut(Instant, HostId, &mut Message) -> Fate + Send;

impl fmt::Debug for PacketTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketTap")
    }
}

impl fmt::Debug for MessageTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageTap")
    }
}

use core::ops::Range;

use crate::FiveTuple;

/// What a machine made of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "Forward and Data ask the driver to act"]
pub enum Input {
    /// Send this range of the buffer from here to there: the data path of a relay.
    Forward(Route),
    /// This range of the buffer is application data; the path says where it arrived and where it
    /// came from. Of data that came through a relay, `local` is the relayed address.
    Data(Route),
    /// It was for the machine: look at its polls.
    Handled,
    /// It was not accepted, and the machine is as it was before.
    Dropped(DropReason),
}

/// A range of the buffer of the call, and a path for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// From where to where.
    pub path: FiveTuple,
    start: usize,
    end: usize,
}

impl Route {
    /// A route for `buffer[range]`.
    pub const fn new(path: FiveTuple, range: Range<usize>) -> Self {
        Self {
            path,
            start: range.start,
            end: range.end,
        }
    }

    /// Where the bytes lie in the buffer of the call.
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// Why a datagram was dropped: one vocabulary for all machines, so that drops can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Not a message of this protocol.
    NotStun,
    /// A message of this protocol that breaks its syntax.
    Malformed,
    /// A method, class or combination that this machine does not serve.
    Unsupported,
    /// A response to nothing that was asked, or too late.
    NoTransaction,
    /// Message integrity or fingerprint is missing or wrong.
    Unauthenticated,
    /// Nothing here has this local address.
    UnknownLocal,
    /// Nothing here knows this remote address.
    UnknownRemote,
    /// No TURN allocation on this 5-tuple.
    NoAllocation,
    /// The TURN allocation has no permission for this peer.
    NoPermission,
    /// The channel is not bound.
    NoChannel,
    /// The policy forbids this address.
    Forbidden,
    /// The buffer has no room to frame the datagram in place.
    NoRoom,
    /// A limit is reached.
    Capacity,
    /// The machine has ended.
    Closed,
    /// Whoever it belongs to has used up what he may send.
    OverBudget,
}

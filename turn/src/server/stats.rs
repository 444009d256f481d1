//! What a server counts. Nothing in it names a user or an address.

use floe_sansio::DropReason;

use super::refuse::RefuseReason;

/// Packets and bytes of payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of what they carry, without the framing of TURN.
    pub bytes: u64,
}

impl Traffic {
    pub(super) const fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// Reasons that are counted apart; further ones share the last counter.
const DROPS: usize = 24;

/// What a [`Server`](super::Server) has done since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Relayed from clients to peers.
    pub to_peers: Traffic,
    /// Relayed from peers to clients.
    pub to_clients: Traffic,
    /// Of both those that went from one relayed address of this server to another.
    pub hairpin: Traffic,
    /// Forwarded, and then not sent by the driver; see [`Server::unsent`](super::Server::unsent).
    pub unsent: u64,
    /// Allocations made.
    pub opened: u64,
    drops: [u64; DROPS],
    refusals: [u64; RefuseReason::ALL.len()],
}

impl Stats {
    /// Datagrams dropped for this reason.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[Self::index(reason)]
    }

    /// Requests refused for this reason.
    pub const fn refused(&self, reason: RefuseReason) -> u64 {
        self.refusals[reason as usize]
    }

    pub(super) const fn count_drop(&mut self, reason: DropReason) {
        self.drops[Self::index(reason)] += 1;
    }

    pub(super) const fn count_refusal(&mut self, reason: RefuseReason) {
        self.refusals[reason as usize] += 1;
    }

    const fn index(reason: DropReason) -> usize {
        let index = reason as usize;
        if index < DROPS { index } else { DROPS - 1 }
    }
}

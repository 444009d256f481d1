//! The TCP of a simulated host: part of the host, not of what runs on it.
//!
//! It keeps the order of bytes, repeats what is lost and gives up when nothing is heard any more
//! (RFC 9293, RFC 6298). What it does not: see the table in the [crate documentation](crate).

mod connection;
mod header;
mod reassembly;
mod rto;
mod stack;

pub use header::{Flags, TcpHeader};
pub(crate) use stack::{Segment, Stack};

/// What the TCP of all hosts is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpConfig {
    /// The bytes that a segment carries at most (RFC 9293 §3.7.1), at least 1.
    pub mss: u16,
    /// The bytes that may be under way unacknowledged, and that a receiver keeps beyond a gap, at
    /// least 1. It never changes: a receiver reads at once.
    pub window: u32,
    /// The bytes that wait to be sent or acknowledged; a connection that is written more is reset.
    pub send_limit: usize,
    /// The connections that a host has at most, those in TIME-WAIT among them.
    pub connections: usize,
}

impl TcpConfig {
    /// An Ethernet's MSS, a window without scaling, 1 MiB to send, 4096 connections.
    pub const DEFAULT: Self = Self {
        mss: 1460,
        window: 65_535,
        send_limit: 1 << 20,
        connections: 4096,
    };
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

//! Which servers have been asked, so that redirection makes no loop (RFC 8489 §10).

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::Instant;

/// A server that was asked so recently is not asked again because another one says so.
const WINDOW: Duration = Duration::from_secs(300);

/// The servers asked in the last five minutes.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    /// Redirections in a window.
    limit: usize,
    /// With the time each was last asked.
    servers: Vec<(SocketAddr, Instant)>,
}

impl Tried {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            servers: Vec::new(),
        }
    }

    /// A request goes to `server`.
    pub(super) fn note(&mut self, now: Instant, server: SocketAddr) {
        self.expire(now);
        self.servers.retain(|&(known, _)| known != server);
        if self.limit > 0 {
            self.servers.push((server, now));
        }
    }

    /// Whether the client may be sent on to `server`.
    pub(super) fn permits(&mut self, now: Instant, server: SocketAddr) -> bool {
        self.expire(now);
        let is_known = self.servers.iter().any(|&(known, _)| known == server);
        // The first one was asked without being sent there.
        !is_known && self.servers.len() <= self.limit
    }

    fn expire(&mut self, now: Instant) {
        self.servers.retain(|&(_, asked)| now - asked < WINDOW);
    }
}

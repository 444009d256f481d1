//! Whom a NAT lets in (RFC 4787 §5).

use core::net::SocketAddr;

use floe_sansio::Instant;

use super::NatTimers;
use super::stage::{Side, Sign, Stage};
use crate::DropCause;

/// From whom a NAT accepts packets to an inside endpoint that has a mapping.
///
/// As in the RFC, the rule looks at what the inside *endpoint* has sent, through whichever mapping;
/// only with [`Mapping::PerFlow`](super::Mapping::PerFlow) it looks at the flows on the external port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filtering {
    /// From anyone.
    EndpointIndependent,
    /// From addresses to which the inside endpoint has sent.
    AddressDependent,
    /// From addresses and ports to which the inside endpoint has sent.
    AddressAndPortDependent,
}

impl Filtering {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::EndpointIndependent,
        Self::AddressDependent,
        Self::AddressAndPortDependent,
    ];

    /// Its name in scenarios and traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        }
    }
}

/// A remote endpoint to which an inside endpoint has sent.
#[derive(Clone, Copy, Debug)]
struct Session {
    remote: SocketAddr,
    refreshed: Instant,
    stage: Stage,
}

/// The sessions of one inside endpoint, sorted by remote endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    sorted: Vec<Session>,
    /// Nothing expires before: no use looking when the list is full.
    sweep: Instant,
}

impl Sessions {
    fn find(&self, remote: SocketAddr) -> Result<usize, usize> {
        self.sorted.binary_search_by(|s| s.remote.cmp(&remote))
    }

    /// Whether a packet to `remote` can be noted; what has expired makes room.
    pub(super) fn has_room(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        timers: NatTimers,
        limit: u32,
    ) -> bool {
        let full = |sorted: &Vec<Session>| sorted.len() >= limit as usize;
        if full(&self.sorted) && self.find(remote).is_err() && self.sweep <= now {
            let mut next = Instant::MAX;
            self.sorted.retain(|s| {
                let lives = !timers.expired(now, s.refreshed, s.stage);
                if lives {
                    next = next.min(timers.expiry(s.refreshed, s.stage));
                }
                lives
            });
            self.sweep = next;
        }
        !full(&self.sorted) || self.find(remote).is_ok()
    }

    /// The inside endpoint has sent to `remote`.
    pub(super) fn sent(
        &mut self,
        now: Instant,
        sign: Sign,
        remote: SocketAddr,
        timers: NatTimers,
        refresh: bool,
    ) {
        let fresh = Session {
            remote,
            refreshed: now,
            stage: Stage::New,
        };
        match self.find(remote) {
            Ok(at) if timers.expired(now, self.sorted[at].refreshed, self.sorted[at].stage) => {
                self.sorted[at] = fresh;
            }
            Ok(at) => {
                let session = &mut self.sorted[at];
                session.stage = session.stage.after(Side::Inside, sign);
                if refresh {
                    session.refreshed = now;
                }
            }
            Err(at) => self.sorted.insert(at, fresh),
        }
    }

    /// A packet from `remote` was accepted.
    pub(super) fn received(&mut self, now: Instant, sign: Sign, remote: SocketAddr, refresh: bool) {
        if let Ok(at) = self.find(remote) {
            let session = &mut self.sorted[at];
            session.stage = session.stage.after(Side::Outside, sign);
            if refresh {
                session.refreshed = now;
            }
        }
    }

    /// Whether a packet from `remote` is accepted.
    pub(super) fn admit(
        &self,
        now: Instant,
        filtering: Filtering,
        remote: SocketAddr,
        timers: NatTimers,
    ) -> Result<(), DropCause> {
        if filtering == Filtering::EndpointIndependent {
            return Ok(());
        }
        let lives = |s: &Session| !timers.expired(now, s.refreshed, s.stage);
        let exact = self.find(remote).is_ok_and(|at| lives(&self.sorted[at]));
        if exact {
            return Ok(());
        }
        let first = self
            .sorted
            .partition_point(|s| s.remote < SocketAddr::new(remote.ip(), 0));
        let address = self.sorted[first..]
            .iter()
            .take_while(|s| s.remote.ip() == remote.ip())
            .any(lives);
        match (address, filtering) {
            (true, Filtering::AddressDependent) => Ok(()),
            (true, _) => Err(DropCause::FilteredByPort),
            (false, _) => Err(DropCause::FilteredByAddress),
        }
    }
}

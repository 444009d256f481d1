//! ICMP errors for what a client has sent (RFC 8656 §11.5).

use core::net::SocketAddr;

use floe_sansio::{DropReason, Instant, Transmit};
use floe_stun::{Builder, Class, Icmp, MessageType, Method, TransactionId, XorPeerAddress};

use super::data::TO_PEERS;
use super::relays::Owner;
use super::{MAX_PENDING, Server};

impl Server {
    /// An ICMP error came back for a datagram from `relayed` to `peer`; port 0 if it is not known. The
    /// client is told, if it has a permission for the peer and has sent anything, and not too often.
    ///
    /// # Errors
    ///
    /// Why the client is not told; it is counted like a datagram that is dropped.
    pub fn icmp_error(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        error: Icmp,
    ) -> Result<(), DropReason> {
        let now = self.clock.advance(now);
        let told = self.tell_icmp(now, relayed, peer, error);
        if let Err(reason) = told {
            self.stats.count_drop(reason);
        }
        told
    }

    fn tell_icmp(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        mut error: Icmp,
    ) -> Result<(), DropReason> {
        let known: &[u8] = match (relayed, peer) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => &[3, 11],
            (SocketAddr::V6(_), SocketAddr::V6(_)) => &[1, 2, 3],
            _ => return Err(DropReason::Malformed),
        };
        if !known.contains(&error.kind) {
            return Err(DropReason::Unsupported);
        }
        // Only that a packet was too big tells more (RFC 8656 §18.13).
        let is_too_big = match relayed {
            SocketAddr::V4(_) => (error.kind, error.code) == (3, 4),
            SocketAddr::V6(_) => error.kind == 2,
        };
        if !is_too_big {
            error.data = 0;
        }
        let Owner::Slot(slot) = self.relays.owner(&relayed) else {
            return Err(DropReason::NoAllocation);
        };
        let allocation = (self.allocations.get(slot))
            .filter(|it| now < it.expires)
            .ok_or(DropReason::NoAllocation)?;
        // Who has sent nothing can have met no error.
        let has_sent = allocation.traffic[TO_PEERS].packets > 0;
        if !has_sent || !allocation.permissions.permits(now, peer.ip()) {
            return Err(DropReason::NoPermission);
        }
        let path = allocation.client;
        if self.transmits.len() >= MAX_PENDING {
            return Err(DropReason::Capacity);
        }
        let budget = self.icmp.as_mut().ok_or(DropReason::Unsupported)?;
        if !budget.take(now, path.remote.ip()) {
            return Err(DropReason::OverBudget);
        }
        let mut buffer = [0; 128];
        let kind = MessageType::new(Class::Indication, Method::DATA);
        let builder = Builder::new(&mut buffer, kind, TransactionId::random(&mut self.entropy))
            .with(&XorPeerAddress(peer))
            .with(&error);
        let payload = builder.finish_bytes().map_err(|_| DropReason::NoRoom)?;
        self.transmits.push_back(Transmit { path, payload });
        Ok(())
    }
}

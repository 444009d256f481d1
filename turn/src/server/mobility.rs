//! Allocations that follow their clients from address to address (RFC 8016).

use alloc::collections::BTreeMap;
use core::fmt;
use core::hash::Hasher;
use core::time::Duration;

use floe_sansio::{Entropy, FiveTuple, Instant};
use siphasher::sip::SipHasher13;

use super::allocation::ALONE;
use super::config::{CloseCause, ServerEvent};
use super::refuse::RefuseReason;
use super::requests::{Caller, Refused};
use super::{Server, Slot};

/// MOBILITY-TICKET: 16 random bytes, which nobody can guess, and a code over them, which tells one that
/// was given out from one that was not.
pub(super) type Ticket = [u8; 24];

/// For how long the ticket before the last is known, so that a retransmitted Refresh is: 30 s at least
/// (RFC 8016 §3.2.2), and longer than a client asks.
const MEMORY: Duration = Duration::from_secs(40);

/// An allocation that may move.
#[derive(Clone)]
struct Mobile {
    ticket: Ticket,
    /// The ticket of the last move, and where that led.
    former: Option<(Ticket, FiveTuple, Instant)>,
    /// Where the client is about to be: it has moved once it sends data from there.
    arriving: Option<FiveTuple>,
}

/// Where a ticket leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) slot: Slot,
    /// The request is a retransmission: the move has been granted.
    is_repeated: bool,
}

/// The tickets of all allocations that may move. An allocation is named by the slot of its first part.
#[derive(Clone)]
pub(super) struct Mobility {
    hasher: SipHasher13,
    by_ticket: BTreeMap<Ticket, Slot>,
    by_slot: BTreeMap<Slot, Mobile>,
    arriving: BTreeMap<FiveTuple, Slot>,
}

impl Mobility {
    pub(super) fn new(entropy: &mut Entropy) -> Self {
        Self {
            hasher: SipHasher13::new_with_keys(entropy.u64(), entropy.u64()),
            by_ticket: BTreeMap::new(),
            by_slot: BTreeMap::new(),
            arriving: BTreeMap::new(),
        }
    }

    /// Whether nobody is about to move.
    #[inline]
    pub(super) fn is_still(&self) -> bool {
        self.arriving.is_empty()
    }

    /// The allocation whose client is about to be there.
    pub(super) fn arriving(&self, path: &FiveTuple) -> Option<Slot> {
        if self.is_still() {
            return None;
        }
        self.arriving.get(path).copied()
    }

    pub(super) fn ticket(&self, slot: Slot) -> Option<Ticket> {
        self.by_slot.get(&slot).map(|it| it.ticket)
    }

    /// From now on the allocation in `slot` may move.
    pub(super) fn add(&mut self, slot: Slot, entropy: &mut Entropy) {
        let ticket = self.issue(entropy);
        self.by_ticket.insert(ticket, slot);
        let mobile = Mobile {
            ticket,
            former: None,
            arriving: None,
        };
        self.by_slot.insert(slot, mobile);
    }

    /// The client of an allocation is about to move; its new ticket. What it was about to do before is
    /// forgotten.
    pub(super) fn depart(
        &mut self,
        now: Instant,
        moved: Moved,
        to: FiveTuple,
        entropy: &mut Entropy,
    ) -> Option<Ticket> {
        let Moved { slot, is_repeated } = moved;
        let new = self.issue(entropy);
        let mobile = self.by_slot.get_mut(&slot)?;
        if is_repeated {
            return Some(mobile.ticket);
        }
        if let Some((oldest, ..)) = mobile.former.replace((mobile.ticket, to, now + MEMORY)) {
            self.by_ticket.remove(&oldest);
        }
        mobile.ticket = new;
        self.by_ticket.insert(new, slot);
        if let Some(other) = mobile.arriving.replace(to) {
            self.arriving.remove(&other);
        }
        self.arriving.insert(to, slot);
        Some(new)
    }

    /// The allocation has left `slot`; of a dual one the other part is in `heir`.
    pub(super) fn left(&mut self, slot: Slot, heir: Slot) {
        let Some(mobile) = self.by_slot.remove(&slot) else {
            return;
        };
        let former = mobile.former.map(|(ticket, ..)| ticket);
        for ticket in former.into_iter().chain([mobile.ticket]) {
            self.by_ticket.remove(&ticket);
            if heir != ALONE {
                self.by_ticket.insert(ticket, heir);
            }
        }
        if let Some(path) = mobile.arriving {
            self.arriving.remove(&path);
            if heir != ALONE {
                self.arriving.insert(path, heir);
            }
        }
        if heir != ALONE {
            self.by_slot.insert(heir, mobile);
        }
    }

    /// The client has arrived; whose it is.
    fn arrived(&mut self, path: &FiveTuple) -> Option<Slot> {
        let slot = self.arriving.remove(path)?;
        self.by_slot.get_mut(&slot)?.arriving = None;
        Some(slot)
    }

    fn issue(&self, entropy: &mut Entropy) -> Ticket {
        let mut ticket = [0; 24];
        let (random, code) = ticket.split_at_mut(16);
        entropy.fill(random);
        code.copy_from_slice(&self.code(random));
        ticket
    }

    fn code(&self, random: &[u8]) -> [u8; 8] {
        let mut hasher = self.hasher;
        hasher.write(random);
        hasher.finish().to_be_bytes()
    }

    /// A ticket that was given out at some time.
    fn genuine(&self, ticket: &[u8]) -> Option<Ticket> {
        let ticket: Ticket = ticket.try_into().ok()?;
        let (random, code) = ticket.split_at(16);
        (self.code(random) == code).then_some(ticket)
    }
}

/// Never prints tickets.
impl fmt::Debug for Mobility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mobility({})", self.by_slot.len())
    }
}

impl Server {
    /// The connection or association to a client has ended. If its allocation was about to move, it has
    /// moved (RFC 8016 §3.2.2); if it can move, it waits to be fetched; any other ends, since nobody can
    /// use it any more.
    pub fn client_closed(&mut self, now: Instant, client: FiveTuple) {
        let now = self.clock.advance(now);
        let Some(slot) = self.slot_of(&client) else {
            return;
        };
        match self.mobility.by_slot.get(&slot) {
            Some(mobile) => {
                if let Some(to) = mobile.arriving {
                    self.arrive(to);
                }
            }
            None => {
                // Both parts, if there are two.
                while let Some((slot, _)) = self.of_client(now, &client) {
                    self.remove(slot, CloseCause::Disconnected);
                }
            }
        }
    }

    /// The allocation that a ticket leads to, if its client may move to where it asks from
    /// (RFC 8016 §3.2.2).
    pub(super) fn moved(
        &self,
        now: Instant,
        caller: Caller,
        ticket: &[u8],
    ) -> Result<Moved, Refused> {
        if !self.config.mobility {
            return Err(RefuseReason::Mobility.into());
        }
        let ticket = (self.mobility.genuine(ticket)).ok_or(RefuseReason::BadRequest)?;
        let slot = (self.mobility.by_ticket.get(&ticket)).ok_or(RefuseReason::Mismatch)?;
        let allocation = (self.allocations.get(*slot))
            .filter(|it| now < it.expires || self.twin(now, it).is_some())
            .ok_or(RefuseReason::Mismatch)?;
        let mobile = (self.mobility.by_slot.get(slot)).ok_or(RefuseReason::Internal)?;
        let path = caller.path;
        let is_repeated = ticket != mobile.ticket;
        if is_repeated {
            // The old ticket is good for what it was good for, and for nothing else.
            let is_same = |&(_, to, until): &(_, FiveTuple, Instant)| to == path && now < until;
            if !mobile.former.as_ref().is_some_and(is_same) {
                return Err(RefuseReason::BadRequest.into());
            }
        } else if allocation.client == path {
            return Err(RefuseReason::BadRequest.into());
        }
        if allocation.user != caller.user {
            return Err(RefuseReason::WrongUser.into());
        }
        let there = self.of_client(now, &path);
        if there.is_some_and(|(_, there)| there.client != allocation.client) {
            return Err(RefuseReason::Mismatch.into());
        }
        let from = allocation.client.remote.ip();
        (self.quotas).check_move(&self.config.limits, from, path.remote.ip())?;
        Ok(Moved {
            slot: *slot,
            is_repeated,
        })
    }

    /// A client has sent data from where it was about to be: now it is there.
    pub(super) fn arrive(&mut self, to: FiveTuple) {
        let Some(first) = self.mobility.arrived(&to) else {
            return;
        };
        let Some(from) = self.allocations.get(first).map(|it| it.client) else {
            return;
        };
        self.by_client.remove(self.by_client.hash(&from), first);
        self.by_client.insert(self.by_client.hash(&to), first);
        let twin = self.allocations.get(first).map_or(ALONE, |it| it.twin);
        for slot in [first, twin] {
            if let Some(part) = self.allocations.get_mut(slot) {
                part.client = to;
                self.quotas.subtract(part.user, from.remote.ip());
                self.quotas.add(part.user, to.remote.ip());
                self.events.push_back(ServerEvent::ClientMoved {
                    relayed: self.relays.address(part.relayed),
                    from,
                    to,
                });
            }
        }
    }
}

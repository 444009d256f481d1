//! Client transactions: retransmission, time-out, and the match of a response to its request.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use bytes::Bytes;
use floe_sansio::{FiveTuple, Instant, Transmit};

use crate::message::TransactionId;

/// How often and how long a request is sent (RFC 8489 §6.2.1, §6.2.2).
///
/// The default sends at 0, 500, 1500, 3500, 7500, 15500 and 31500 ms and gives up at 39500 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// RTO: the time to the first retransmission, which doubles with each; 500 ms or more unless the
    /// network is known.
    pub rto: Duration,
    /// Rc: how often the request is sent in all.
    pub count: u32,
    /// Rm: how many RTOs after the last transmission the transaction fails.
    pub last: u32,
    /// Ti: when a transaction over a reliable transport fails.
    pub reliable: Duration,
}

impl Default for Retransmission {
    fn default() -> Self {
        Self {
            rto: Duration::from_millis(500),
            count: 7,
            last: 16,
            reliable: Duration::from_millis(39_500),
        }
    }
}

impl Retransmission {
    /// The same with another RTO.
    #[must_use]
    pub const fn with_rto(mut self, rto: Duration) -> Self {
        self.rto = rto;
        self
    }

    /// From the first transmission to failure over an unreliable transport.
    pub fn total(&self) -> Duration {
        let doublings = 1u32
            .checked_shl(self.count.saturating_sub(1))
            .map_or(u32::MAX, |sends| sends - 1);
        self.rto.saturating_mul(doublings.saturating_add(self.last))
    }
}

/// One request that waits for its response.
#[derive(Clone, Debug)]
pub struct Transaction<T> {
    /// The path the request took; the response must come back on it.
    pub path: FiveTuple,
    /// When it was first sent.
    pub started: Instant,
    /// How often it was sent.
    pub sends: u32,
    /// What the owner wants to know when it ends.
    pub context: T,
    payload: Bytes,
    rto: Duration,
    /// Sends that are left.
    left: u32,
    last: u32,
    deadline: Instant,
}

impl<T> Transaction<T> {
    /// The round trip, unless a retransmission makes it ambiguous (RFC 8489 §6.2.1, Karn).
    pub fn round_trip(&self, now: Instant) -> Option<Duration> {
        (self.sends == 1).then(|| now - self.started)
    }

    /// The request as it was sent.
    pub const fn request(&self) -> &Bytes {
        &self.payload
    }

    /// After a transmission at `now`: when to act next.
    fn schedule(&mut self, now: Instant) {
        let wait = if self.left > 0 {
            self.rto
                .saturating_mul(1u32.checked_shl(self.sends - 1).unwrap_or(u32::MAX))
        } else {
            self.rto.saturating_mul(self.last)
        };
        self.wait(now, wait);
    }

    /// Acts next after `wait`; a zero wait must not make a loop without time.
    fn wait(&mut self, now: Instant, wait: Duration) {
        self.deadline = now + wait.max(Duration::from_millis(1));
    }
}

/// What became due.
#[derive(Debug)]
pub enum Due<T> {
    /// Send this again.
    Retransmit(Transmit),
    /// No response came; the transaction is gone.
    TimedOut(TransactionId, Transaction<T>),
}

/// The transactions of one machine, by id.
///
/// Starting, ending and finding one costs O(log n) of those outstanding.
#[derive(Clone, Debug)]
pub struct Transactions<T> {
    by_id: BTreeMap<TransactionId, Transaction<T>>,
    deadlines: BTreeSet<(Instant, TransactionId)>,
}

impl<T> Default for Transactions<T> {
    fn default() -> Self {
        Self {
            by_id: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }
}

impl<T> Transactions<T> {
    /// Sends `payload`, a request with this `id`, and waits for its response. Returns what to send.
    ///
    /// A transaction that has the id already is replaced.
    pub fn start(
        &mut self,
        now: Instant,
        path: FiveTuple,
        id: TransactionId,
        payload: Bytes,
        schedule: Retransmission,
        context: T,
    ) -> Transmit {
        let mut transaction = Transaction {
            path,
            started: now,
            sends: 1,
            context,
            payload: payload.clone(),
            rto: schedule.rto,
            left: schedule.count.saturating_sub(1),
            last: schedule.last,
            deadline: now,
        };
        if path.transport.is_reliable() {
            transaction.left = 0;
            transaction.wait(now, schedule.reliable);
        } else {
            transaction.schedule(now);
        }
        // Before the new deadline goes in: it may be the same.
        self.remove(id);
        self.deadlines.insert((transaction.deadline, id));
        self.by_id.insert(id, transaction);
        Transmit { path, payload }
    }

    /// The transaction that a response with this `id`, which arrived on `path`, may answer.
    pub fn find(&self, id: TransactionId, path: FiveTuple) -> Option<&Transaction<T>> {
        self.by_id.get(&id).filter(|found| found.path == path)
    }

    /// The transaction with this `id`, whatever path.
    pub fn get(&self, id: TransactionId) -> Option<&Transaction<T>> {
        self.by_id.get(&id)
    }

    /// Ends a transaction.
    pub fn remove(&mut self, id: TransactionId) -> Option<Transaction<T>> {
        let transaction = self.by_id.remove(&id)?;
        self.deadlines.remove(&(transaction.deadline, id));
        Some(transaction)
    }

    /// Sends a request no more, but still takes its response until it would have timed out
    /// (RFC 8445 §7.3.1.4: a cancelled check).
    pub fn silence(&mut self, id: TransactionId, until: Instant) {
        if let Some(transaction) = self.by_id.get_mut(&id) {
            self.deadlines.remove(&(transaction.deadline, id));
            transaction.left = 0;
            transaction.deadline = until;
            self.deadlines.insert((until, id));
        }
    }

    /// Ends all transactions whose context is not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let deadlines = &mut self.deadlines;
        self.by_id.retain(|&id, transaction| {
            let kept = keep(&transaction.context);
            if !kept {
                deadlines.remove(&(transaction.deadline, id));
            }
            kept
        });
    }

    /// The outstanding transactions, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&TransactionId, &Transaction<T>)> {
        self.by_id.iter()
    }

    /// How many are outstanding.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is outstanding.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// When the next one is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// One thing that is due at `now`; call until `None`.
    ///
    /// A transaction that is late sends once, however late it is.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Due<T>> {
        let &(at, id) = self.deadlines.first()?;
        if at > now {
            return None;
        }
        self.deadlines.pop_first();
        let transaction = self.by_id.get_mut(&id)?;
        if transaction.left == 0 {
            let transaction = self.by_id.remove(&id)?;
            return Some(Due::TimedOut(id, transaction));
        }
        transaction.left -= 1;
        transaction.sends += 1;
        transaction.schedule(now);
        self.deadlines.insert((transaction.deadline, id));
        Some(Due::Retransmit(Transmit {
            path: transaction.path,
            payload: transaction.payload.clone(),
        }))
    }
}

//! Client transactions: their schedule, their number, the match of a response to its request, and
//! the ways they fail.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
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

/// How many transactions there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Outstanding ones with the same server, told by its transport address; at least 1.
    pub outstanding: usize,
    /// Those that wait until one of these ends, with all servers together.
    pub waiting: usize,
}

impl Limits {
    /// For those whose transactions something else limits, such as the pacing of ICE.
    pub const UNLIMITED: Self = Self {
        outstanding: usize::MAX,
        waiting: 0,
    };
}

/// 10 outstanding with a server (RFC 8489 §6.2), 128 waiting.
impl Default for Limits {
    fn default() -> Self {
        Self {
            outstanding: 10,
            waiting: 128,
        }
    }
}

/// Why a transaction failed, or was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransactionError {
    /// Too many wait already; nothing was begun.
    QueueFull,
    /// No response came (RFC 8489 §6.2.1, §6.2.2).
    TimedOut,
    /// Responses came, but none with the right integrity (RFC 8489 §9.1.4, §9.2.5): somebody on the
    /// way may be up to something, or the password is wrong.
    IntegrityViolated,
    /// The network says that the server cannot be reached: a hard ICMP error (RFC 8489 §6.2.1).
    Unreachable,
    /// The connection could not be established, was reset or closed (RFC 8489 §6.2.2).
    Disconnected,
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "too many requests wait for their turn",
            Self::TimedOut => "no response",
            Self::IntegrityViolated => "no response had the right message integrity",
            Self::Unreachable => "the server cannot be reached",
            Self::Disconnected => "the connection is gone",
        })
    }
}

impl core::error::Error for TransactionError {}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the queue of its server, by the number drawn.
    Waiting(u64),
    /// Counted among the outstanding ones of its server.
    Outstanding,
    /// Neither: it ended before its turn came, and only has to say so.
    Unsent,
}

/// One request that waits for its response.
#[derive(Clone, Debug)]
pub struct Transaction<T> {
    /// The path the request takes; the response must come back on it.
    pub path: FiveTuple,
    /// When it was first sent.
    pub started: Instant,
    /// How often it was sent; 0 while it waits for its turn.
    pub sends: u32,
    /// What the owner wants to know when it ends.
    pub context: T,
    payload: Bytes,
    schedule: Retransmission,
    /// Sends that are left.
    left: u32,
    /// When to act next; `None` while it waits for its turn.
    deadline: Option<Instant>,
    /// What it fails of, if it does.
    error: TransactionError,
    place: Place,
}

impl<T> Transaction<T> {
    /// The round trip, unless a retransmission makes it ambiguous (RFC 8489 §6.2.1, Karn).
    pub fn round_trip(&self, now: Instant) -> Option<Duration> {
        (self.sends == 1).then(|| now - self.started)
    }

    /// The request as it is sent.
    pub const fn request(&self) -> &Bytes {
        &self.payload
    }

    /// Counts a transmission at `now`; how long to wait after it.
    fn sent(&mut self, now: Instant) -> Duration {
        if self.sends == 0 {
            self.started = now;
        }
        self.sends += 1;
        self.left -= 1;
        let schedule = &self.schedule;
        let wait = if self.path.transport.is_reliable() {
            schedule.reliable
        } else if self.left > 0 {
            let doubled = 1u32.checked_shl(self.sends - 1).unwrap_or(u32::MAX);
            schedule.rto.saturating_mul(doubled)
        } else {
            schedule.rto.saturating_mul(schedule.last)
        };
        // A zero wait must not make a loop without time.
        wait.max(Duration::from_millis(1))
    }
}

/// What became due.
#[derive(Debug)]
pub enum Due<T> {
    /// Send this: again, or for the first time after it has waited for its turn.
    Transmit(Transmit),
    /// The transaction failed, and is gone.
    Failed(TransactionId, Transaction<T>, TransactionError),
}

/// The transactions of one machine, by id.
///
/// At most so many are outstanding with one server as the [`Limits`] say; others wait for their turn
/// in the order they were started. What can be sent or has failed without time passing (a turn has
/// come, a path is gone) is due at once: call [`Self::handle_timeout`] after [`Self::remove`],
/// [`Self::distrust`] and [`Self::fail`] too.
///
/// Starting, ending and finding one costs O(log n) of those there are.
#[derive(Clone, Debug)]
pub struct Transactions<T> {
    limits: Limits,
    by_id: BTreeMap<TransactionId, Transaction<T>>,
    by_path: BTreeSet<(FiveTuple, TransactionId)>,
    deadlines: BTreeSet<(Instant, TransactionId)>,
    /// How many are outstanding with each server.
    outstanding: BTreeMap<SocketAddr, usize>,
    /// Whose turn it is next, for each server.
    waiting: BTreeSet<(SocketAddr, u64, TransactionId)>,
    /// The number that the next in a queue draws.
    next_number: u64,
}

/// None, with the default [`Limits`].
impl<T> Default for Transactions<T> {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl<T> Transactions<T> {
    /// None yet.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            by_id: BTreeMap::new(),
            by_path: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            outstanding: BTreeMap::new(),
            waiting: BTreeSet::new(),
            next_number: 0,
        }
    }

    /// Begins a transaction: `payload`, a request with this `id`, is to be answered on `path`.
    ///
    /// Returns what to send now; `None` if it has to wait until another one with the same server
    /// ends. A transaction that has the id already is replaced.
    ///
    /// # Errors
    ///
    /// [`TransactionError::QueueFull`]; then all is as before.
    pub fn start(
        &mut self,
        now: Instant,
        path: FiveTuple,
        id: TransactionId,
        payload: Bytes,
        schedule: Retransmission,
        context: T,
    ) -> Result<Option<Transmit>, TransactionError> {
        let outstanding = self.outstanding.get(&path.remote).copied();
        let waits = outstanding.is_some_and(|count| count >= self.limits.outstanding);
        if waits && self.waiting.len() >= self.limits.waiting {
            return Err(TransactionError::QueueFull);
        }
        self.remove(id);
        let reliable = path.transport.is_reliable();
        let transaction = Transaction {
            path,
            started: now,
            sends: 0,
            context,
            payload,
            schedule,
            left: if reliable { 1 } else { schedule.count.max(1) },
            deadline: None,
            error: TransactionError::TimedOut,
            place: Place::Waiting(self.next_number),
        };
        self.by_path.insert((path, id));
        self.waiting.insert((path.remote, self.next_number, id));
        self.by_id.insert(id, transaction);
        self.next_number += 1;
        self.give_turn(path.remote);
        let has_turn = self
            .by_id
            .get(&id)
            .is_some_and(|new| new.place == Place::Outstanding);
        Ok(if has_turn { self.send(now, id) } else { None })
    }

    /// The transaction that a response with this `id`, which arrived on `path`, may answer.
    pub fn find(&self, id: TransactionId, path: FiveTuple) -> Option<&Transaction<T>> {
        let found = self.by_id.get(&id)?;
        (found.path == path && found.sends > 0).then_some(found)
    }

    /// The transaction with this `id`, whatever path.
    pub fn get(&self, id: TransactionId) -> Option<&Transaction<T>> {
        self.by_id.get(&id)
    }

    /// Ends a transaction.
    pub fn remove(&mut self, id: TransactionId) -> Option<Transaction<T>> {
        let transaction = self.by_id.remove(&id)?;
        let server = transaction.path.remote;
        self.by_path.remove(&(transaction.path, id));
        if let Some(deadline) = transaction.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        match transaction.place {
            Place::Unsent => {}
            Place::Waiting(number) => {
                self.waiting.remove(&(server, number, id));
            }
            Place::Outstanding => {
                if let Some(count) = self.outstanding.get_mut(&server) {
                    *count -= 1;
                    if *count == 0 {
                        self.outstanding.remove(&server);
                    }
                }
                self.give_turn(server);
            }
        }
        Some(transaction)
    }

    /// A response came whose integrity is missing or wrong.
    ///
    /// Over an unreliable transport it counts as never received, but if no better one comes, the
    /// transaction fails with [`TransactionError::IntegrityViolated`]; over a reliable one it fails
    /// at once (RFC 8489 §9.1.4, §9.2.5).
    pub fn distrust(&mut self, id: TransactionId) {
        if let Some(transaction) = self.by_id.get_mut(&id) {
            transaction.error = TransactionError::IntegrityViolated;
            if transaction.path.transport.is_reliable() {
                self.end_at(id, Instant::ZERO);
            }
        }
    }

    /// All transactions on `path` fail at once: [`TransactionError::Unreachable`] after a hard ICMP
    /// error, [`TransactionError::Disconnected`] where a connection is gone.
    pub fn fail(&mut self, path: FiveTuple, error: TransactionError) {
        let (first, last) = (TransactionId([0; 12]), TransactionId([0xFF; 12]));
        let on_path = self.by_path.range((path, first)..=(path, last));
        let ids: Vec<_> = on_path.map(|&(_, id)| id).collect();
        for id in ids {
            if let Some(transaction) = self.by_id.get_mut(&id) {
                transaction.error = error;
                self.end_at(id, Instant::ZERO);
            }
        }
    }

    /// Sends a request no more, but still takes its response until it would have timed out
    /// (RFC 8445 §7.3.1.4: a cancelled check).
    pub fn silence(&mut self, id: TransactionId, until: Instant) {
        self.end_at(id, until);
    }

    /// Ends all transactions whose context is not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let unwanted = self.by_id.iter().filter(|(_, t)| !keep(&t.context));
        let unwanted: Vec<_> = unwanted.map(|(&id, _)| id).collect();
        for id in unwanted {
            self.remove(id);
        }
    }

    /// Ends all transactions.
    pub fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    /// The transactions there are, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&TransactionId, &Transaction<T>)> {
        self.by_id.iter()
    }

    /// How many there are, those that wait for their turn included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// When the next one is due; the epoch if that is at once.
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
        if let Some(transmit) = self.send(now, id) {
            return Some(Due::Transmit(transmit));
        }
        let transaction = self.remove(id)?;
        let error = transaction.error;
        Some(Due::Failed(id, transaction, error))
    }

    /// Sends a request, if it is to be sent once more.
    fn send(&mut self, now: Instant, id: TransactionId) -> Option<Transmit> {
        let transaction = self.by_id.get_mut(&id).filter(|found| found.left > 0)?;
        let next = now + transaction.sent(now);
        let transmit = Transmit {
            path: transaction.path,
            payload: transaction.payload.clone(),
        };
        self.set_deadline(id, next);
        Some(transmit)
    }

    /// Lets a transaction end at `at` with nothing more sent.
    fn end_at(&mut self, id: TransactionId, at: Instant) {
        if let Some(transaction) = self.by_id.get_mut(&id) {
            transaction.left = 0;
            if let Place::Waiting(number) = transaction.place {
                transaction.place = Place::Unsent;
                self.waiting.remove(&(transaction.path.remote, number, id));
            }
            self.set_deadline(id, at);
        }
    }

    fn set_deadline(&mut self, id: TransactionId, at: Instant) {
        if let Some(transaction) = self.by_id.get_mut(&id) {
            if let Some(old) = transaction.deadline.replace(at) {
                self.deadlines.remove(&(old, id));
            }
            self.deadlines.insert((at, id));
        }
    }

    /// Lets the next that waits for `server` have its turn, if the limit permits.
    fn give_turn(&mut self, server: SocketAddr) {
        let outstanding = self.outstanding.get(&server).copied().unwrap_or(0);
        // Never none: they would wait for ever.
        if outstanding >= self.limits.outstanding.max(1) {
            return;
        }
        let first = (server, 0, TransactionId([0; 12]));
        let last = (server, u64::MAX, TransactionId([0xFF; 12]));
        let Some(&next) = self.waiting.range(first..=last).next() else {
            return;
        };
        self.waiting.remove(&next);
        *self.outstanding.entry(server).or_default() += 1;
        let (_, _, id) = next;
        if let Some(transaction) = self.by_id.get_mut(&id) {
            transaction.place = Place::Outstanding;
            self.set_deadline(id, Instant::ZERO);
        }
    }
}

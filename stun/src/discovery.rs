//! Behaviour discovery (RFC 5780): what kind of NAT lies between this host and a server.

mod config;
mod procedure;
mod report;
mod search;
mod test;

use alloc::collections::VecDeque;
use alloc::vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{
    Clock, Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Transmit, Transport,
    impl_machine,
};

pub use config::{DYNAMIC_PORTS, DiscoveryConfig, LifetimeSearch, MTU_MAX, REGISTERED_PORTS};
pub use report::{Dependence, Failure, Finding, Hairpinning, Lifetime, Report};
pub use test::{Answer, SocketRole, Test};

use self::search::Search;
use crate::attribute::AttributeType;
use crate::attributes::{
    ErrorCode, MappedAddress, OtherAddress, Padding, ResponsePort, StatusCode, XorMappedAddress,
};
use crate::auth::{Credentials, LongTermClient, lacks_algorithms};
use crate::builder::Builder;
use crate::message::{Class, Message, MessageType, Method, TransactionId};
use crate::transaction::{Due, Transactions};

/// Between the first transmissions of two transactions at least: ten a second at most (RFC 5780 §5).
const PACE: Duration = Duration::from_millis(100);
/// What is added to it at random, and to the RTO one part in [`JITTER`], so that retransmissions do not
/// fall together (RFC 5780 §5).
const PACE_JITTER: Duration = Duration::from_millis(25);
const JITTER: u32 = 8;
/// How many ports are tried until a socket can be opened.
const PORTS_TRIED: u32 = 8;
/// How often one test is begun again with credentials.
const CHALLENGES: u32 = 3;
/// Bytes of the longest request without PADDING.
const REQUEST_MAX: usize = 2048;

/// What a [`Discovery`] tells its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryEvent {
    /// Open a UDP socket on this port, then say [`Discovery::socket_opened`] or
    /// [`Discovery::socket_refused`].
    OpenSocket {
        /// Which.
        role: SocketRole,
        /// On which port.
        port: u16,
    },
    /// A socket that was asked for is not needed any more.
    CloseSocket(SocketAddr),
    /// The server wants credentials: say [`Discovery::set_credentials`].
    CredentialsNeeded,
    /// A test has ended.
    Tested(Test, Answer),
    /// All tests have ended.
    Finished(Report),
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// It was not asked for.
    NotAsked,
    /// Another socket of this discovery has this address.
    AddressInUse,
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "not asked for",
            Self::AddressInUse => "another socket has this address",
        })
    }
}

impl core::error::Error for DiscoveryError {}

/// Finds out how the NATs on the way to a server behave (RFC 5780 §4), one test after the other.
///
/// Filtering is tested before anything is sent to the server's other address, which would open the
/// filter; hairpinning and lifetimes have sockets of their own. It opens them by asking its owner
/// ([`DiscoveryEvent::OpenSocket`]), who hands in the datagrams of all of them.
///
/// ALTERNATE-SERVER is not followed: another server knows nothing of the addresses of this one.
///
/// ```
/// use floe_sansio::{Datagram, Instant};
/// use floe_stun::discovery::{Dependence, Discovery, DiscoveryConfig, Finding};
/// use floe_stun::{AddressGrid, BehaviourService, Server, ServerConfig, ServerConfigError};
///
/// // A server with two addresses, and nothing but a wire between it and us.
/// let (primary, alternate) = ("192.0.2.1:3478".parse().unwrap(), "192.0.2.2:3479".parse().unwrap());
/// let mut served = ServerConfig::default();
/// served.behaviour = Some(BehaviourService::udp(AddressGrid::new(primary, alternate)?));
/// let mut now = Instant::ZERO;
/// let mut server = Server::with_config(served, [1; 32], now)?;
/// let mut config = DiscoveryConfig::new(primary);
/// config.local = Some("198.51.100.7:50000".parse().unwrap());
/// let mut discovery = Discovery::new(config, [2; 32], now);
///
/// while !discovery.is_finished() {
///     while let Some(request) = discovery.poll_transmit() {
///         let mut bytes = request.payload.to_vec();
///         let _ = server.handle_input(now, Datagram::whole(request.path.mirrored(), &mut bytes));
///     }
///     while let Some(response) = server.poll_transmit() {
///         let mut bytes = response.payload.to_vec();
///         let _ = discovery.handle_input(now, Datagram::whole(response.path.mirrored(), &mut bytes));
///     }
///     if let Some(next) = discovery.poll_timeout() {
///         now = next;
///         discovery.handle_timeout(now);
///     }
/// }
/// let report = discovery.report();
/// assert_eq!(report.nat, Finding::Known(false));
/// assert_eq!(report.filtering, Finding::Known(Dependence::EndpointIndependent));
/// # Ok::<(), ServerConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Discovery {
    config: DiscoveryConfig,
    clock: Clock,
    entropy: Entropy,
    transactions: Transactions<Context>,
    client: Option<LongTermClient>,
    sockets: [Option<SocketAddr>; SocketRole::ALL.len()],
    stage: Stage,
    /// No transaction begins before.
    ready_at: Instant,
    challenges: u32,
    /// The server's other address and port.
    other: Option<SocketAddr>,
    /// Where the server saw the second socket, and where another address of it saw the first.
    beside: Option<SocketAddr>,
    second: Option<SocketAddr>,
    /// Where the server saw the idle socket, and how long that is left alone.
    idle: Option<SocketAddr>,
    wait: Duration,
    search: Option<Search>,
    report: Report,
    transmits: VecDeque<Transmit>,
    events: VecDeque<DiscoveryEvent>,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug)]
struct Context {
    test: Test,
    authenticated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The test is next.
    Ready(Test),
    /// It waits for a socket, the how many-th that was asked for.
    Opening(Test, u32),
    /// It waits for credentials.
    Credentials(Test),
    /// Its transaction is under way.
    Asking(Test),
    /// A binding is left alone.
    Idle(Instant),
    Finished,
}

impl Discovery {
    /// Begins at once.
    pub fn new(config: DiscoveryConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut sockets = [None; SocketRole::ALL.len()];
        sockets[SocketRole::Main as usize] = config.local;
        let mut discovery = Self {
            search: config.lifetime.map(Search::new),
            config,
            clock: Clock::new(now),
            entropy: Entropy::new(seed),
            transactions: Transactions::default(),
            client: None,
            sockets,
            stage: Stage::Ready(Test::Connectivity),
            ready_at: now,
            challenges: 0,
            other: None,
            beside: None,
            second: None,
            idle: None,
            wait: Duration::ZERO,
            report: Report::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        discovery.advance(now);
        discovery
    }

    /// What is known so far.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// Whether all tests have ended.
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Finished
    }

    /// The local addresses of its sockets.
    pub fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().flatten().copied()
    }

    /// A socket that was asked for is open, on this address. Another port than the one that was asked
    /// for will do.
    pub fn socket_opened(
        &mut self,
        now: Instant,
        role: SocketRole,
        local: SocketAddr,
    ) -> Result<(), DiscoveryError> {
        let (test, _) = self.opening(role)?;
        if self.sockets().any(|other| other == local) {
            return Err(DiscoveryError::AddressInUse);
        }
        let now = self.clock.advance(now);
        self.sockets[role as usize] = Some(local);
        self.stage = Stage::Ready(test);
        self.advance(now);
        Ok(())
    }

    /// A socket that was asked for cannot be opened on that port. A few others are tried.
    pub fn socket_refused(&mut self, now: Instant, role: SocketRole) -> Result<(), DiscoveryError> {
        let (test, tried) = self.opening(role)?;
        let now = self.clock.advance(now);
        if tried < PORTS_TRIED {
            self.open(test, tried + 1);
        } else {
            self.conclude(now, test, Answer::Failed(Failure::NoSocket));
        }
        Ok(())
    }

    /// What the server asked for: long-term credentials, or that there are none.
    pub fn set_credentials(
        &mut self,
        now: Instant,
        credentials: Option<Credentials>,
    ) -> Result<(), DiscoveryError> {
        let Stage::Credentials(test) = self.stage else {
            return Err(DiscoveryError::NotAsked);
        };
        let now = self.clock.advance(now);
        if let Some(credentials) = credentials {
            self.client = Some(LongTermClient::new(credentials));
            self.stage = Stage::Ready(test);
            self.advance(now);
        } else {
            self.conclude(now, test, Answer::Failed(Failure::Credentials));
        }
        Ok(())
    }

    /// One datagram arrived.
    #[allow(clippy::needless_pass_by_value)] // the signature of every machine
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let now = self.clock.advance(now);
        let path = datagram.path;
        let message = match Message::parse(datagram.payload()) {
            Ok(message) => message,
            Err(error) if error.kind.is_not_stun() => return Input::Dropped(DropReason::NotStun),
            Err(_) => return Input::Dropped(DropReason::Malformed),
        };
        if !self.sockets().any(|socket| socket == path.local) {
            return Input::Dropped(DropReason::UnknownLocal);
        }
        if message.method() != Method::BINDING || path.transport != Transport::Udp {
            return Input::Dropped(DropReason::Unsupported);
        }
        let id = message.transaction_id();
        let Some(transaction) = self.transactions.get(id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let (asked, Context { test, .. }) = (transaction.path, transaction.context);
        let authenticated = transaction.context.authenticated;
        let has_fingerprint = message.has_fingerprint();
        if (self.config.fingerprint && !has_fingerprint)
            || (has_fingerprint && !message.verify_fingerprint())
        {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let answer = if message.class() == Class::Request {
            if test != Test::Hairpin || Some(path.local) != self.socket(SocketRole::Main) {
                return Input::Dropped(DropReason::NoTransaction);
            }
            Answer::Looped(path.remote)
        } else {
            if !self.may_answer(test, asked, path) || lacks_algorithms(&message) {
                return Input::Dropped(DropReason::NoTransaction);
            }
            match self.read(test, asked, path, &message, authenticated) {
                Some(answer) => answer,
                None => return Input::Dropped(DropReason::Unauthenticated),
            }
        };
        self.transactions.remove(id);
        match answer {
            Answer::Rejected(StatusCode::UNAUTHENTICATED | StatusCode::STALE_NONCE) => {
                self.challenged(now, test, &message, authenticated);
            }
            answer => {
                if test == Test::Connectivity {
                    self.learn(&message);
                }
                self.conclude(now, test, answer);
            }
        }
        Input::Handled
    }

    /// The clock reached [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        while let Some(due) = self.transactions.handle_timeout(now) {
            match due {
                Due::Transmit(transmit) => {
                    if self.stage == Stage::Asking(Test::Hairpin) {
                        self.open_filter();
                    }
                    self.transmits.push_back(transmit);
                }
                Due::Failed(_, transaction, _) => {
                    let test = transaction.context.test;
                    let answer = match test {
                        Test::Probe => Answer::Expired(self.wait),
                        _ => Answer::Silence,
                    };
                    self.conclude(now, test, answer);
                }
            }
        }
        self.advance(now);
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<DiscoveryEvent> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let stage = match self.stage {
            Stage::Ready(_) => Some(self.ready_at),
            Stage::Idle(until) => Some(until),
            _ => None,
        };
        let transactions = self.transactions.poll_timeout();
        transactions.into_iter().chain(stage).min()
    }

    fn socket(&self, role: SocketRole) -> Option<SocketAddr> {
        self.sockets[role as usize]
    }

    fn opening(&self, role: SocketRole) -> Result<(Test, u32), DiscoveryError> {
        match self.stage {
            Stage::Opening(test, tried) if test.socket() == role => Ok((test, tried)),
            _ => Err(DiscoveryError::NotAsked),
        }
    }

    /// Asks for the socket of a test, on a random port.
    fn open(&mut self, test: Test, tried: u32) {
        let (low, high) = (*self.config.ports.start(), *self.config.ports.end());
        let size = u32::from(high.saturating_sub(low)) + 1;
        let port = low.saturating_add(self.entropy.below(size) as u16);
        let role = test.socket();
        self.events
            .push_back(DiscoveryEvent::OpenSocket { role, port });
        self.stage = Stage::Opening(test, tried);
    }

    /// Begins what can begin.
    fn advance(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Idle(until) if until <= now) {
            self.stage = Stage::Ready(Test::Probe);
        }
        let Stage::Ready(test) = self.stage else {
            return;
        };
        match self.socket(test.socket()) {
            None => self.open(test, 1),
            Some(local) if self.ready_at <= now => self.ask(now, test, local),
            Some(_) => {}
        }
    }

    fn ask(&mut self, now: Instant, test: Test, local: SocketAddr) {
        let Some(remote) = self.target(test) else {
            return self.conclude(now, test, Answer::Failed(Failure::Unsupported));
        };
        let padding = match (test, self.config.mtu) {
            (Test::Fragments, Some(mtu)) => {
                // At least one byte more than fits, with any headers.
                vec![0; usize::from(mtu.min(MTU_MAX)).next_multiple_of(4)]
            }
            _ => vec![],
        };
        let port = match test {
            Test::Probe => self.idle.map(|idle| ResponsePort(idle.port())),
            _ => None,
        };
        let id = TransactionId::random(&mut self.entropy);
        let kind = MessageType::new(Class::Request, Method::BINDING);
        let mut buffer = vec![0; REQUEST_MAX + padding.len()];
        let mut builder = Builder::new(&mut buffer, kind, id)
            .with_some(test.change().as_ref())
            .with_some(port.as_ref());
        if !padding.is_empty() {
            builder = builder.with(&Padding(&padding));
        }
        let mut authenticated = false;
        if let Some(client) = self.client.as_ref().filter(|_| test != Test::Hairpin) {
            authenticated = client.is_challenged();
            builder = client.authenticate(builder);
        }
        if self.config.fingerprint {
            builder = builder.with_fingerprint();
        }
        let Ok(payload) = builder.finish_bytes() else {
            return self.conclude(now, test, Answer::Failed(Failure::Credentials));
        };
        if test == Test::Hairpin {
            self.open_filter();
        }
        let schedule = self.config.retransmission;
        let rto = schedule.rto + self.random(schedule.rto / JITTER);
        let context = Context {
            test,
            authenticated,
        };
        // One test at a time, and few transactions in one: none has to wait for another.
        let transmit = self.transactions.start(
            now,
            FiveTuple::udp(local, remote),
            id,
            payload,
            schedule.with_rto(rto),
            context,
        );
        self.transmits.extend(transmit.ok().flatten());
        self.ready_at = now + PACE + self.random(PACE_JITTER);
        self.stage = Stage::Asking(test);
    }

    /// Any time from zero to `most`.
    fn random(&mut self, most: Duration) -> Duration {
        let micros = u32::try_from(most.as_micros()).unwrap_or(u32::MAX);
        Duration::from_micros(u64::from(self.entropy.below(micros)))
    }

    /// Lets the NAT see that the first socket wants to hear from the second one: a hairpin must pass
    /// the filter as everything else.
    fn open_filter(&mut self) {
        let (Some(local), Some(remote)) = (self.socket(SocketRole::Main), self.beside) else {
            return;
        };
        let id = TransactionId::random(&mut self.entropy);
        let kind = MessageType::new(Class::Indication, Method::BINDING);
        let mut buffer = [0; 32];
        let builder = Builder::new(&mut buffer, kind, id).with_fingerprint();
        if let Ok(payload) = builder.finish_bytes() {
            let path = FiveTuple::udp(local, remote);
            self.transmits.push_back(Transmit { path, payload });
        }
    }

    /// Where a test sends its request.
    fn target(&self, test: Test) -> Option<SocketAddr> {
        let server = self.config.server;
        match test {
            Test::MappingAddress => Some(SocketAddr::new(self.other?.ip(), server.port())),
            Test::MappingPort => self.other,
            Test::Hairpin => self.report.mapped.known(),
            _ => Some(server),
        }
    }

    /// Whether a response may come on this path.
    fn may_answer(&self, test: Test, asked: FiveTuple, path: FiveTuple) -> bool {
        let here = path.local == asked.local;
        let there = path.remote == asked.remote;
        match test {
            Test::Probe => there && (here || Some(path.local) == self.socket(SocketRole::Idle)),
            Test::Hairpin => false,
            _ => here && (there || Some(path.remote) == self.origin(test)),
        }
    }

    /// From where the server is to answer, if not from where it was asked.
    fn origin(&self, test: Test) -> Option<SocketAddr> {
        let (change, other) = (test.change()?, self.other?);
        let server = self.config.server;
        let ip = if change.ip { other.ip() } else { server.ip() };
        Some(SocketAddr::new(ip, other.port()))
    }

    /// What a response says; nothing if it is not genuine.
    fn read(
        &self,
        test: Test,
        asked: FiveTuple,
        path: FiveTuple,
        message: &Message<'_>,
        authenticated: bool,
    ) -> Option<Answer> {
        let genuine = || match &self.client {
            Some(client) if authenticated => client.verify(message),
            _ => true,
        };
        if message.class() == Class::Error {
            let code = message.get::<ErrorCode<'_>>().ok().flatten();
            let code = code.map(|error| error.code);
            // These are not signed (RFC 8489 §9.2.4).
            let unsigned = matches!(
                code,
                Some(
                    StatusCode::BAD_REQUEST | StatusCode::UNAUTHENTICATED | StatusCode::STALE_NONCE
                )
            );
            return (unsigned || genuine()).then_some(match code {
                Some(code) => Answer::Rejected(code),
                None => Answer::Failed(Failure::Unusable),
            });
        }
        if message.class() != Class::Success || !genuine() {
            return None;
        }
        let Some(mapped) = mapped(message) else {
            return Some(Answer::Failed(Failure::Unusable));
        };
        Some(match test {
            Test::Probe if path.local == asked.local => Answer::Expired(self.wait),
            Test::Probe => Answer::Alive(self.wait),
            _ if test.change().is_some() && path.remote == asked.remote => Answer::Unchanged,
            _ => Answer::Mapped(mapped),
        })
    }

    /// A 401 or 438 came: the test begins again, with credentials.
    fn challenged(&mut self, now: Instant, test: Test, message: &Message<'_>, authenticated: bool) {
        self.challenges += 1;
        let Some(client) = &mut self.client else {
            self.events.push_back(DiscoveryEvent::CredentialsNeeded);
            self.stage = Stage::Credentials(test);
            return;
        };
        if self.challenges <= CHALLENGES && client.challenge(message, authenticated).is_ok() {
            self.stage = Stage::Ready(test);
            self.advance(now);
        } else {
            self.conclude(now, test, Answer::Failed(Failure::Credentials));
        }
    }

    /// What the first response says beside the mapped address.
    fn learn(&mut self, message: &Message<'_>) {
        let server = self.config.server;
        if let Ok(Some(OtherAddress(other))) = message.get() {
            // Any other kind of address would test nothing, or somebody else.
            let fits = other.ip() != server.ip()
                && other.port() != server.port()
                && other.is_ipv4() == server.is_ipv4()
                && other.port() != 0
                && !other.ip().is_unspecified()
                && !other.ip().is_multicast();
            self.other = fits.then_some(other);
        }
        if let (Ok(Some(MappedAddress(plain))), Ok(Some(XorMappedAddress(hidden)))) =
            (message.get(), message.get())
        {
            self.report.alg = Finding::Known(plain != hidden);
        }
    }
}

/// What a response may carry that must be understood.
const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::PADDING,
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
];

/// The mapped address in a success response.
fn mapped(message: &Message<'_>) -> Option<SocketAddr> {
    if message.unknown_required(KNOWN).next().is_some() {
        return None;
    }
    match (message.get(), message.get()) {
        (Ok(Some(XorMappedAddress(address))), _) | (Ok(None), Ok(Some(MappedAddress(address)))) => {
            Some(address)
        }
        _ => None,
    }
}

impl_machine!(Discovery, DiscoveryEvent);

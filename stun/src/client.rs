//! The Binding client: how the outside world sees a local address.

mod authentication;
mod config;
mod response;
mod tried;

use alloc::collections::VecDeque;
use alloc::string::String;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use floe_sansio::{
    Clock, Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Transmit, Transport,
    impl_machine,
};

pub use authentication::Authentication;
pub use config::{
    BindingError, ClientConfig, ClientConfigError, ClientEvent, ConnectedError, Fingerprint,
    MAX_REDIRECTS, MAX_SERVER_ERROR_RETRIES,
};
pub use response::read_response;

use self::authentication::{Sent, Verdict};
use self::config::is_secured;
use self::response::{KNOWN, mapped_address, rejection};
use self::tried::Tried;
use crate::attribute::{Attribute, AttributeType};
use crate::attributes::{AlternateDomain, AlternateServer, Software, StatusCode};
use crate::auth::ChallengeError;
use crate::builder::{BuildError, Builder};
use crate::message::{Class, Message, MessageType, Method, TransactionId};
use crate::rto::RtoCache;
use crate::size_limit::SizeLimit;
use crate::transaction::{Due, Transaction, TransactionError, Transactions};

/// Challenges that one request answers at most: a server that is content with no nonce would go on
/// for ever.
const MAX_CHALLENGES: u8 = 4;

/// No wait is shorter: time has to pass.
const TICK: Duration = Duration::from_millis(1);

/// Bytes that DTLS adds behind a message: the code and padding of its widest usual cipher suites
/// (HMAC-SHA256 in CBC mode, with an explicit initialisation vector).
const DTLS_CODE_AND_PADDING: usize = 64;

/// Bytes of the longest request; USERNAME, REALM, NONCE and SOFTWARE at their longest are 2800.
const REQUEST_MAX: usize = 4096;

/// Asks one server for the mapped address of one local address, and may keep the mapping alive.
///
/// It authenticates itself where it has credentials, and goes where the server sends it (RFC 8489
/// §10). What it cannot do itself, connecting and closing, it asks of its owner by
/// [`ClientEvent`]; so the owner does too what follows a failure, such as asking the next server.
///
/// ```
/// use floe_sansio::{Datagram, FiveTuple, Instant};
/// use floe_stun::{Client, ClientConfig, ClientEvent, Server};
///
/// let now = Instant::ZERO;
/// let path = FiveTuple::udp("192.0.2.1:5000".parse().unwrap(), "198.51.100.1:3478".parse().unwrap());
/// let mut client = Client::new(ClientConfig::new(path), [1; 32], now);
/// let mut server = Server::new([2; 32], now);
///
/// client.bind(now);
/// let request = client.poll_transmit().unwrap();
/// let mut buffer = request.payload.to_vec();
/// let _ = server.handle_input(now, Datagram::whole(request.path.mirrored(), &mut buffer));
/// let response = server.poll_transmit().unwrap();
/// let mut buffer = response.payload.to_vec();
/// let _ = client.handle_input(now, Datagram::whole(response.path.mirrored(), &mut buffer));
///
/// let event = client.poll_event().unwrap();
/// assert!(matches!(event, ClientEvent::Mapped { address, .. } if address == path.local));
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    config: ClientConfig,
    clock: Clock,
    entropy: Entropy,
    /// From the local address to the server that is asked now.
    path: FiveTuple,
    /// What the certificate of that server names, if that is not the domain of the configuration.
    alternate_domain: Option<String>,
    /// What is known of that server, and the credentials.
    authentication: Authentication,
    /// Whether it has ever answered with success.
    succeeded: bool,
    link: Link,
    transactions: Transactions<Sent>,
    rtos: RtoCache,
    tried: Tried,
    /// The request under way.
    request: Option<Request>,
    /// When to send the request under way once more, or to begin a new one.
    ask_at: Option<Instant>,
    /// Whether the owner needs nothing of this connection any more.
    released: bool,
    transmits: VecDeque<Transmit>,
    events: VecDeque<ClientEvent>,
}

/// How the path stands; over UDP always [`Self::Up`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// It may be used, and has been if a response has come over it.
    Up { used: bool },
    /// The owner has been asked to connect.
    Opening,
    /// The connection is gone.
    Down,
}

/// A request that the owner waits for, in however many transactions.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    challenges: u8,
    server_errors: u32,
    reconnects: u32,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Instant) -> Self {
        Self {
            clock: Clock::new(now),
            entropy: Entropy::new(seed),
            path: config.path,
            alternate_domain: None,
            authentication: config.authentication.clone(),
            succeeded: false,
            link: Link::Up { used: false },
            transactions: Transactions::default(),
            rtos: RtoCache::new(config.rto_servers),
            tried: Tried::new(config.redirects),
            request: None,
            ask_at: None,
            released: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            config,
        }
    }

    /// Where it asks, and from where: as configured, or where it was sent on to.
    pub const fn path(&self) -> FiveTuple {
        self.path
    }

    /// The name that the certificate of the server must hold, over TLS or DTLS (RFC 8489 §6.2.3, §10);
    /// see [`certificate_names`](crate::certificate_names).
    pub fn domain(&self) -> Option<&str> {
        let domain = self.alternate_domain.as_ref();
        domain.or(self.config.domain.as_ref()).map(String::as_str)
    }

    /// The credentials, and what is known of the server: for the clients of other servers of the same
    /// name (RFC 8489 §9.2.3.1).
    pub const fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// Asks, unless a request is under way.
    pub fn bind(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        self.released = false;
        if self.request.is_none() {
            self.begin(now);
        }
    }

    /// Stops asking and forgets what is under way.
    pub fn stop(&mut self) {
        self.transactions.clear();
        self.request = None;
        self.ask_at = None;
    }

    /// The owner needs the connection no more: it has nothing to ask, and uses no address that was
    /// learnt over it (RFC 8489 §6.2.2). [`ClientEvent::Close`] follows as soon as no request is
    /// under way; without this call it never does, except where the server sends us on.
    pub fn release(&mut self) {
        self.released = true;
        if self.request.is_none() {
            self.close();
        }
    }

    /// The connection that [`ClientEvent::Connect`] asked for stands, from `path.local`, and over TLS
    /// and DTLS the certificate is valid and names the server.
    ///
    /// # Errors
    ///
    /// If it is not the one that was asked for; then all is as before.
    pub fn connected(&mut self, now: Instant, path: FiveTuple) -> Result<(), ConnectedError> {
        if self.link != Link::Opening {
            return Err(ConnectedError::NotAwaited);
        }
        if (path.transport, path.remote) != (self.path.transport, self.path.remote) {
            return Err(ConnectedError::OtherServer);
        }
        let now = self.clock.advance(now);
        self.path = path;
        self.link = Link::Up { used: false };
        if self.request.is_some() {
            self.send(now);
        }
        Ok(())
    }

    /// The connection is gone, or could not be established, or its certificate is not that of the
    /// server (RFC 8489 §6.2.2, §6.2.3). Over UDP this means nothing.
    pub fn disconnected(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        if self.path.transport == Transport::Udp || self.link == Link::Down {
            return;
        }
        let used = self.link == Link::Up { used: true };
        self.link = Link::Down;
        self.transactions
            .fail(self.path, TransactionError::Disconnected);
        while self.transactions.handle_timeout(now).is_some() {}
        // One that waits to be repeated finds out then.
        if self.request.is_some() && self.ask_at.is_none() {
            self.lost(now, TransactionError::Disconnected, used);
        }
    }

    /// A hard ICMP error came back for a datagram to the server (RFC 8489 §6.2.1): destination
    /// unreachable with code 2 (protocol), 3 (port) or 4 (fragmentation) in IPv4.
    pub fn unreachable(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        self.transactions
            .fail(self.path, TransactionError::Unreachable);
        self.work_off(now);
    }

    /// One datagram arrived.
    #[allow(clippy::needless_pass_by_value)] // the signature of every machine
    pub fn handle_input(&mut self, now: Instant, datagram: Datagram<'_>) -> Input {
        let now = self.clock.advance(now);
        let message = match Message::parse(datagram.payload()) {
            Ok(message) => message,
            Err(error) if error.kind.is_not_stun() => return Input::Dropped(DropReason::NotStun),
            Err(_) => return Input::Dropped(DropReason::Malformed),
        };
        let id = message.transaction_id();
        if !matches!(message.class(), Class::Success | Class::Error) {
            return Input::Dropped(DropReason::Unsupported);
        }
        let found = self.transactions.find(id, datagram.path);
        let Some(sent) = found.filter(|_| message.method() == Method::BINDING) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let sent = sent.context;
        let is_whole = if message.has_fingerprint() {
            message.verify_fingerprint()
        } else {
            self.config.fingerprint != Fingerprint::Required
        };
        if !is_whole {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let verdict = self.authentication.judge(&message, sent);
        match verdict {
            Verdict::Believed | Verdict::Challenge => {}
            Verdict::Ignored => return Input::Dropped(DropReason::Unauthenticated),
            Verdict::Forged => {
                // No drop: how the request fails depends on it.
                self.transactions.distrust(id);
                self.work_off(now);
                return Input::Handled;
            }
        }
        let Some(transaction) = self.transactions.remove(id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        self.link = Link::Up { used: true };
        let round_trip = transaction.round_trip(now);
        self.rtos.ended(now, self.path.remote.ip(), round_trip);
        if message.unknown_required(KNOWN).next().is_some() {
            self.fail(now, BindingError::Unusable);
        } else if verdict == Verdict::Challenge {
            self.challenged(now, &message, sent);
        } else if message.class() == Class::Error {
            self.rejected(now, &message, sent);
        } else {
            self.succeeded = true;
            let local = self.path.local;
            let accepted = |address: &SocketAddr| {
                self.config.other_family || address.is_ipv4() == local.is_ipv4()
            };
            match mapped_address(&message, accepted) {
                Some(address) => self.finish(
                    now,
                    ClientEvent::Mapped {
                        address,
                        round_trip,
                    },
                ),
                None => self.fail(now, BindingError::Unusable),
            }
        }
        Input::Handled
    }

    /// The clock reached [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.advance(now);
        self.work_off(now);
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            match self.request {
                Some(_) => self.proceed(now),
                None => self.begin(now),
            }
        }
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.transactions
            .poll_timeout()
            .into_iter()
            .chain(self.ask_at)
            .min()
    }

    /// A new request.
    fn begin(&mut self, now: Instant) {
        self.ask_at = None;
        self.request = Some(Request::default());
        if let (Authentication::LongTerm(_), false) = (&self.authentication, self.succeeded) {
            // Until one request has succeeded each is the first (RFC 8489 §9.2.3.1).
            self.authentication = self.config.authentication.clone();
        }
        match self.config.check() {
            Ok(()) => self.proceed(now),
            Err(error) => self.fail(now, BindingError::Config(error)),
        }
    }

    /// Sends the request under way, as soon as there is a way.
    fn proceed(&mut self, now: Instant) {
        match self.link {
            Link::Up { .. } => self.send(now),
            Link::Opening => {}
            Link::Down => self.lost(now, TransactionError::Disconnected, true),
        }
    }

    /// Sends the request under way in a new transaction.
    fn send(&mut self, now: Instant) {
        let id = TransactionId::random(&mut self.entropy);
        let payload = match self.build(id) {
            Ok(payload) => payload,
            Err(error) => return self.fail(now, BindingError::Unsendable(error)),
        };
        let server = self.path.remote;
        self.tried.note(now, server);
        let schedule = self.config.retransmission.with_rto(self.rto(now));
        let context = self.authentication.sent();
        let started = self
            .transactions
            .start(now, self.path, id, payload, schedule, context);
        match started {
            Ok(transmit) => self.transmits.extend(transmit),
            Err(error) => self.fail(now, error.into()),
        }
    }

    fn build(&self, id: TransactionId) -> Result<Bytes, BuildError> {
        let config = &self.config;
        let kind = MessageType::new(Class::Request, Method::BINDING);
        let mut buffer = [0; REQUEST_MAX];
        let software = config.software.as_deref().map(Software);
        let builder = Builder::new(&mut buffer, kind, id)
            .with_limit(self.size_limit())
            .with_some(software.as_ref());
        let builder = self.authentication.authenticate(builder);
        match config.fingerprint {
            Fingerprint::Unused => builder.finish_bytes(),
            Fingerprint::Offered | Fingerprint::Required => {
                builder.with_fingerprint().finish_bytes()
            }
        }
    }

    /// RFC 8489 §6.1.
    fn size_limit(&self) -> SizeLimit {
        let limit = SizeLimit::unknown_path(self.path.remote.ip(), None);
        match self.path.transport {
            transport if transport.is_reliable() => SizeLimit::NONE,
            Transport::Dtls => limit.within_dtls(DTLS_CODE_AND_PADDING),
            _ => limit,
        }
    }

    fn rto(&mut self, now: Instant) -> Duration {
        let learnt = self.rtos.rto(now, self.path.remote.ip());
        learnt.unwrap_or(self.config.retransmission.rto)
    }

    /// What is due of the transactions.
    fn work_off(&mut self, now: Instant) {
        while let Some(due) = self.transactions.handle_timeout(now) {
            match due {
                Due::Transmit(transmit) => self.transmits.push_back(transmit),
                Due::Failed(_, transaction, error) => self.failed(now, &transaction, error),
            }
        }
    }

    fn failed(&mut self, now: Instant, of: &Transaction<Sent>, error: TransactionError) {
        self.rtos.ended(now, of.path.remote.ip(), None);
        // A connection that has worked, and does no more.
        let used = self.link == Link::Up { used: true }
            && of.path.transport.is_reliable()
            && error == TransactionError::TimedOut;
        self.lost(now, error, used);
    }

    /// The request under way had no answer: on a new connection again if the old one has been `used`
    /// and there is another attempt left (RFC 8489 §6.2.2).
    fn lost(&mut self, now: Instant, error: TransactionError, used: bool) {
        let attempts = self.config.reconnects;
        let request = self.request.as_mut();
        if let Some(request) = request.filter(|request| used && request.reconnects < attempts) {
            request.reconnects += 1;
            if self.link != Link::Down {
                self.events
                    .push_back(ClientEvent::Abort { path: self.path });
            }
            self.connect();
        } else {
            self.fail(now, error.into());
        }
    }

    fn connect(&mut self) {
        self.link = Link::Opening;
        self.events
            .push_back(ClientEvent::Connect { path: self.path });
    }

    /// 401 or 438: again, with what it asks for.
    fn challenged(&mut self, now: Instant, message: &Message<'_>, sent: Sent) {
        let Some(request) = &mut self.request else {
            return;
        };
        request.challenges += 1;
        let result = if request.challenges > MAX_CHALLENGES {
            Err(ChallengeError::Refused)
        } else {
            self.authentication.challenge(message, sent)
        };
        match result {
            Ok(()) => self.send(now),
            Err(error) => self.fail(now, BindingError::Challenge(error)),
        }
    }

    /// An error response that is believed (RFC 8489 §6.3.4).
    fn rejected(&mut self, now: Instant, message: &Message<'_>, sent: Sent) {
        let Some(request) = &mut self.request else {
            return;
        };
        match rejection(message) {
            BindingError::Rejected(StatusCode::TRY_ALTERNATE)
                if sent.authenticated && self.config.redirects > 0 =>
            {
                if let Err(error) = self.redirected(now, message) {
                    self.fail(now, error);
                }
            }
            BindingError::Rejected(code)
                if code.number() / 100 == 5
                    && request.server_errors < self.config.server_error_retries =>
            {
                let doublings = 1u32.checked_shl(request.server_errors).unwrap_or(u32::MAX);
                request.server_errors += 1;
                let wait = self.rto(now).saturating_mul(doublings);
                self.ask_at = Some(now + wait.max(TICK));
            }
            error => self.fail(now, error),
        }
    }

    /// The server sends us on, and has proven that it was the server (RFC 8489 §10, §14.8).
    fn redirected(&mut self, now: Instant, message: &Message<'_>) -> Result<(), BindingError> {
        let id = message.transaction_id();
        let offered = message
            .attributes()
            .filter(|raw| raw.kind == AttributeType::ALTERNATE_SERVER)
            .filter_map(|raw| AlternateServer::decode(raw.value, id));
        let mut reachable = offered.filter(|AlternateServer(address)| {
            let ip = address.ip();
            address.is_ipv4() == self.path.remote.is_ipv4()
                && address.port() != 0
                && !ip.is_unspecified()
                && !ip.is_multicast()
        });
        let Some(AlternateServer(server)) = reachable.next() else {
            return Err(BindingError::NoAlternate);
        };
        let transport = self.path.transport;
        // A name that is there and broken is no reason to trust another one.
        let domain = message.get::<AlternateDomain<'_>>();
        let domain = domain.map_err(|_| BindingError::Unusable)?;
        if !self.tried.permits(now, server) {
            return Err(BindingError::RedirectLoop);
        }
        if is_secured(transport) {
            self.alternate_domain = domain.map(|AlternateDomain(domain)| domain.into());
        }
        // What the old server said was about itself (§9.1.5, §9.2.3.1).
        self.config.authentication = self.config.authentication.afresh();
        self.authentication = self.config.authentication.clone();
        self.succeeded = false;
        let old = self.path;
        self.path.remote = server;
        if transport == Transport::Udp {
            self.send(now);
        } else {
            self.events.push_back(ClientEvent::Close { path: old });
            self.connect();
        }
        Ok(())
    }

    fn fail(&mut self, now: Instant, error: BindingError) {
        self.finish(now, ClientEvent::Failed(error));
    }

    /// The request under way has ended.
    fn finish(&mut self, now: Instant, event: ClientEvent) {
        self.request = None;
        self.events.push_back(event);
        // Without a connection there is nothing to keep alive.
        let keepalive = self.config.keepalive.filter(|_| self.link != Link::Down);
        self.ask_at = keepalive.map(|interval| now + interval.max(TICK));
        if self.released {
            self.close();
        }
    }

    fn close(&mut self) {
        self.ask_at = None;
        if self.path.transport != Transport::Udp && self.link != Link::Down {
            self.link = Link::Down;
            self.events
                .push_back(ClientEvent::Close { path: self.path });
        }
    }
}

impl_machine!(Client, ClientEvent);

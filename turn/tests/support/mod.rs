//! What the tests share: addresses, a scripted server for the client, a scripted client for the
//! server.
#![allow(dead_code, unreachable_pub, clippy::must_use_candidate)] // each test file uses a part

use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Client, ClientConfig, ClientEvent, Server, ServerConfig};

pub const REALM: &str = "example.org";
pub const USER: &str = "alice";
pub const PASSWORD: &str = "correct horse";

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn listener() -> SocketAddr {
    addr("192.0.2.1:3478")
}

pub fn home() -> SocketAddr {
    addr("198.51.100.5:40000")
}

pub fn peer() -> SocketAddr {
    addr("9.9.9.9:5000")
}

pub fn other_peer() -> SocketAddr {
    addr("8.8.4.4:6000")
}

pub fn peer6() -> SocketAddr {
    addr("[2620:fe::fe]:5000")
}

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Hands in `payload` in a buffer with room around it, whose other bytes are poison.
pub fn feed<M: Machine>(
    machine: &mut M,
    now: Instant,
    path: FiveTuple,
    payload: &[u8],
) -> (Input, Vec<u8>) {
    let mut buffer = vec![0xAA; HEADROOM + payload.len() + TAILROOM];
    let range = HEADROOM..HEADROOM + payload.len();
    buffer[range.clone()].copy_from_slice(payload);
    let input = machine.handle_input(now, Datagram::new(path, &mut buffer, range));
    (input, buffer)
}

/// The route and its bytes, if the machine wants something forwarded or delivered.
pub fn routed((input, buffer): (Input, Vec<u8>)) -> Option<(FiveTuple, Vec<u8>)> {
    match input {
        Input::Forward(route) | Input::Data(route) => {
            Some((route.path, buffer[route.range()].to_vec()))
        }
        _ => None,
    }
}

pub fn dropped((input, _): (Input, Vec<u8>)) -> DropReason {
    match input {
        Input::Dropped(reason) => reason,
        other => panic!("not dropped: {other:?}"),
    }
}

pub fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    message.extend((data.len() as u16).to_be_bytes());
    message.extend(data);
    message
}

/// An indication made by hand.
pub fn indication(
    method: Method,
    build: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>,
) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let kind = MessageType::new(Class::Indication, method);
    let len = build(Builder::new(&mut buffer, kind, TransactionId([9; 12])))
        .finish()
        .unwrap();
    buffer.truncate(len);
    buffer
}

pub fn send_indication(to: SocketAddr, data: &[u8]) -> Vec<u8> {
    indication(Method::SEND, |b| {
        b.with(&XorPeerAddress(to)).with(&Data(data))
    })
}

pub fn key() -> Key {
    Key::long_term(USER, REALM, PASSWORD)
}

// ---- the client under test -----------------------------------------------------------------

pub struct Clients {
    pub now: Instant,
    pub client: Client,
}

pub fn client_path() -> FiveTuple {
    FiveTuple::udp(home(), listener())
}

/// Without keep-alives, which would come between what the tests look for.
pub fn client_config() -> ClientConfig {
    let mut config = ClientConfig::new(client_path(), Credentials::new(USER, PASSWORD));
    config.keepalive = None;
    config
}

pub fn relayed() -> SocketAddr {
    addr("192.0.2.1:50000")
}

impl Clients {
    pub fn new() -> Self {
        Self::with(client_config())
    }

    pub fn with(config: ClientConfig) -> Self {
        let now = Instant::from_secs(1);
        Self {
            now,
            client: Client::new(config, [3; 32], now),
        }
    }

    /// A client that has its allocation, for 600 s from now on.
    pub fn allocated() -> Self {
        let mut this = Self::new();
        this.allocate();
        assert!(matches!(this.event(), Some(ClientEvent::Allocated { .. })));
        this
    }

    pub fn allocate(&mut self) {
        self.client.allocate(self.now).unwrap();
        let first = self.sent();
        self.give(&challenge(&first, 401, "nonce-1"));
        let second = self.sent();
        self.give(&allocated(&second));
    }

    /// The Allocate with credentials.
    pub fn asked(&mut self) -> Vec<u8> {
        self.client.allocate(self.now).unwrap();
        let first = self.sent();
        self.give(&challenge(&first, 401, "nonce-1"));
        self.sent()
    }

    /// The one message that the client wants to send.
    pub fn sent(&mut self) -> Vec<u8> {
        self.sent_on(client_path())
    }

    /// The same, on another path.
    pub fn sent_on(&mut self, path: FiveTuple) -> Vec<u8> {
        let transmit = self.client.poll_transmit().expect("something to send");
        assert_eq!(transmit.path, path);
        transmit.payload.to_vec()
    }

    /// All events there are.
    pub fn events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.event()).collect()
    }

    pub fn all_sent(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.client.poll_transmit())
            .map(|transmit| transmit.payload.to_vec())
            .collect()
    }

    pub fn event(&mut self) -> Option<ClientEvent> {
        self.client.poll_event()
    }

    /// What the client makes of a datagram from the server.
    pub fn offer(&mut self, bytes: &[u8]) -> Input {
        feed(&mut self.client, self.now, client_path(), bytes).0
    }

    /// The same, on another path.
    pub fn offer_on(&mut self, path: FiveTuple, bytes: &[u8]) -> Input {
        feed(&mut self.client, self.now, path, bytes).0
    }

    /// A datagram from the server, which the client takes.
    pub fn give(&mut self, bytes: &[u8]) {
        assert_eq!(self.offer(bytes), Input::Handled);
    }

    /// Lets time pass, acting at every deadline; what was sent, with the time.
    pub fn run_until(&mut self, end: Instant) -> Vec<(Instant, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(at) = self.client.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            let now = self.now;
            sent.extend(self.all_sent().into_iter().map(|bytes| (now, bytes)));
        }
        self.now = end;
        sent
    }

    /// As [`Self::run_until`], with a server that says yes to everything.
    pub fn run_granted(&mut self, end: Instant) -> Vec<(Instant, Vec<u8>)> {
        for request in self.all_sent() {
            self.give(&granted(&request));
        }
        let mut sent = Vec::new();
        while let Some(at) = self.client.poll_timeout().filter(|&at| at <= end) {
            for (at, bytes) in self.run_until(at) {
                let answer = granted(&bytes);
                self.give(&answer);
                sent.push((at, bytes));
            }
        }
        self.now = end;
        sent
    }
}

pub fn method(bytes: &[u8]) -> Method {
    parse(bytes).method()
}

pub fn has<'a, A: Attribute<'a>>(bytes: &'a [u8]) -> bool {
    parse(bytes).get::<A>().unwrap().is_some()
}

/// The peers that a request names.
pub fn peers_of(bytes: &[u8]) -> Vec<SocketAddr> {
    let message = parse(bytes);
    message
        .attributes()
        .filter(|raw| raw.kind == AttributeType::XOR_PEER_ADDRESS)
        .map(|raw| XorPeerAddress::decode(raw.value, message.transaction_id()).unwrap())
        .map(|XorPeerAddress(peer)| peer)
        .collect()
}

/// The values of all attributes of one type.
pub fn values_of(bytes: &[u8], kind: AttributeType) -> Vec<Vec<u8>> {
    let attributes = parse(bytes).attributes();
    let those = attributes.filter(|raw| raw.kind == kind);
    those.map(|raw| raw.value.to_vec()).collect()
}

pub fn parse(bytes: &[u8]) -> Message<'_> {
    Message::parse(bytes).unwrap()
}

pub fn response(
    request: &[u8],
    class: Class,
    build: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>,
) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let len = build(Builder::response(&mut buffer, &parse(request), class))
        .finish()
        .unwrap();
    buffer.truncate(len);
    buffer
}

pub fn code(number: u16) -> ErrorCode<'static> {
    ErrorCode::of(StatusCode::new(number).unwrap())
}

/// An error response with these attributes, and integrity.
pub fn refused_with(
    request: &[u8],
    number: u16,
    build: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>,
) -> Vec<u8> {
    response(request, Class::Error, |b| {
        build(b.with(&code(number))).with_integrity(&key())
    })
}

/// 401 or 438 with a nonce.
pub fn challenge(request: &[u8], number: u16, nonce: &str) -> Vec<u8> {
    response(request, Class::Error, |b| {
        b.with(&code(number))
            .with(&Realm(REALM))
            .with(&Nonce(nonce))
    })
}

/// An error response, with integrity.
pub fn refused(request: &[u8], number: u16) -> Vec<u8> {
    response(request, Class::Error, |b| {
        b.with(&code(number)).with_integrity(&key())
    })
}

/// An error response without integrity.
pub fn refused_unsigned(request: &[u8], number: u16) -> Vec<u8> {
    response(request, Class::Error, |b| b.with(&code(number)))
}

/// A success response with these attributes, and integrity.
pub fn success(request: &[u8], build: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>) -> Vec<u8> {
    response(request, Class::Success, |b| build(b).with_integrity(&key()))
}

pub fn allocated(request: &[u8]) -> Vec<u8> {
    success(request, |b| {
        b.with(&XorRelayedAddress(relayed()))
            .with(&Lifetime(600))
            .with(&XorMappedAddress(home()))
    })
}

/// Yes, to any request.
pub fn granted(request: &[u8]) -> Vec<u8> {
    match parse(request).method() {
        Method::ALLOCATE => allocated(request),
        Method::REFRESH => success(request, |b| b.with(&Lifetime(600))),
        _ => success(request, |b| b),
    }
}

// ---- the server under test -----------------------------------------------------------------

pub fn server_config() -> ServerConfig {
    ServerConfig::new(vec![listener()], vec![addr("192.0.2.1:0").ip()], REALM)
        .with_user(USER, PASSWORD)
        .with_user("bob", "tr0ub4dor")
}

pub fn server_config_v6() -> ServerConfig {
    let mut config = server_config();
    config.relay_ips.push("2001:db8:1::1".parse().unwrap());
    config
}

/// A client made by hand: it asks whatever a test wants.
pub struct Asker {
    /// As the server sees it.
    pub path: FiveTuple,
    pub auth: LongTermClient,
    next_id: u8,
}

/// What the server answered.
pub struct Answer(pub Vec<u8>);

impl Answer {
    pub fn message(&self) -> Message<'_> {
        parse(&self.0)
    }

    /// 0 for success.
    pub fn code(&self) -> u16 {
        let error = self.message().get::<ErrorCode<'_>>().unwrap();
        assert_eq!(error.is_some(), self.message().class() == Class::Error);
        error.map_or(0, |error| error.code.number())
    }

    pub fn lifetime(&self) -> u32 {
        self.message().get::<Lifetime>().unwrap().unwrap().0
    }

    pub fn relayed(&self) -> SocketAddr {
        let XorRelayedAddress(relayed) = self.message().get().unwrap().unwrap();
        relayed
    }
}

impl Asker {
    pub fn new() -> Self {
        Self::at(home())
    }

    pub fn at(source: SocketAddr) -> Self {
        Self::user(source, USER, PASSWORD)
    }

    pub fn user(source: SocketAddr, username: &str, password: &str) -> Self {
        Self {
            path: FiveTuple::udp(listener(), source),
            auth: LongTermClient::new(Credentials::new(username, password)),
            next_id: 0,
        }
    }

    /// A request with the credentials known so far.
    pub fn message(
        &mut self,
        method: Method,
        build: &dyn for<'b> Fn(Builder<'b>) -> Builder<'b>,
    ) -> Vec<u8> {
        self.next_id = self.next_id.wrapping_add(1);
        let mut id = [self.next_id; 12];
        id[0] = self.path.remote.port() as u8;
        let mut buffer = vec![0; 16_384];
        let kind = MessageType::new(Class::Request, method);
        let builder = build(Builder::new(&mut buffer, kind, TransactionId(id)));
        let len = self.auth.authenticate(builder).finish().unwrap();
        buffer.truncate(len);
        buffer
    }

    /// Sends bytes as they are.
    pub fn tell(&self, server: &mut Server, now: Instant, bytes: &[u8]) -> Option<Answer> {
        let (input, _) = feed(server, now, self.path, bytes);
        let transmit = server.poll_transmit();
        assert_eq!(input == Input::Handled, transmit.is_some());
        transmit.map(|transmit| {
            assert_eq!(transmit.path, self.path);
            Answer(transmit.payload.to_vec())
        })
    }

    /// A request and its answer; challenges are met on the way.
    pub fn ask(
        &mut self,
        server: &mut Server,
        now: Instant,
        method: Method,
        build: impl for<'b> Fn(Builder<'b>) -> Builder<'b>,
    ) -> Answer {
        for _ in 0..3 {
            let challenged = self.auth.is_challenged();
            let request = self.message(method, &build);
            let answer = self.tell(server, now, &request).expect("an answer");
            if self.auth.challenge(&answer.message(), challenged).is_err() {
                if !matches!(answer.code(), 401 | 438) {
                    assert!(self.auth.verify(&answer.message()), "an answer is signed");
                }
                return answer;
            }
        }
        panic!("the server challenges for ever");
    }

    pub fn allocate(&mut self, server: &mut Server, now: Instant) -> SocketAddr {
        let answer = self.ask(server, now, Method::ALLOCATE, |b| {
            b.with(&RequestedTransport::UDP)
        });
        assert_eq!(answer.code(), 0);
        answer.relayed()
    }

    pub fn refresh(&mut self, server: &mut Server, now: Instant, lifetime: u32) -> Answer {
        self.ask(server, now, Method::REFRESH, |b| {
            b.with(&Lifetime(lifetime))
        })
    }

    pub fn permit(&mut self, server: &mut Server, now: Instant, peer: SocketAddr) -> u16 {
        self.ask(server, now, Method::CREATE_PERMISSION, |b| {
            b.with(&XorPeerAddress(peer))
        })
        .code()
    }

    pub fn bind(&mut self, server: &mut Server, now: Instant, n: u16, peer: SocketAddr) -> u16 {
        self.ask(server, now, Method::CHANNEL_BIND, |b| {
            b.with(&ChannelNumber(n)).with(&XorPeerAddress(peer))
        })
        .code()
    }

    /// From the client to the server's listener.
    pub fn push(
        &self,
        server: &mut Server,
        now: Instant,
        bytes: &[u8],
    ) -> Option<(FiveTuple, Vec<u8>)> {
        routed(feed(server, now, self.path, bytes))
    }
}

/// From a peer to a relayed address.
pub fn arrive(
    server: &mut Server,
    now: Instant,
    from: SocketAddr,
    to: SocketAddr,
    data: &[u8],
) -> Option<(FiveTuple, Vec<u8>)> {
    routed(feed(server, now, FiveTuple::udp(to, from), data))
}

pub fn server() -> (Server, Instant) {
    server_with(server_config())
}

pub fn server_with(config: ServerConfig) -> (Server, Instant) {
    let now = Instant::from_secs(1);
    (Server::new(config, [5; 32], now), now)
}

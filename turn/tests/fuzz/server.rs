//! A TURN server with all it can do, two clients that know their passwords, a stranger, and peers.
//!
//! The first byte of a script chooses the server; then come steps, each a byte for the kind and what it
//! needs. Requests are put together and signed as a client would, and what only the server knows
//! (tokens, tickets, connections) is put in from what it said last: no mutation could guess it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, Input, Instant, Transport};
use floe_stun::{
    AttributeType, Builder, Class, ConnectionId, Credentials, Icmp, LongTermClient, Message,
    MessageType, Method, MobilityTicket, ReservationToken, TransactionId,
};
use floe_turn::{Server, ServerConfig, ServerEvent};

const NOW: Instant = Instant::from_secs(1000);
const PORTS: usize = 8;
const LIMIT: usize = 6;
const PASSWORD: &str = "a password that no input holds";

const MESSAGE: u8 = 0;
const RAW: u8 = 1;
const TO_RELAY: u8 = 2;
const TIMEOUT: u8 = 3;
const WAIT: u8 = 4;
const CLOSE: u8 = 5;
const CONNECTED: u8 = 6;
const ACCEPT: u8 = 7;
const DISCONNECTED: u8 = 8;
const CLIENT_CLOSED: u8 = 9;
const ICMP: u8 = 10;
const DRAIN: u8 = 11;

/// Attributes of a script that stand for what the server said last.
const LAST_TOKEN: u8 = 0xF0;
const LAST_TICKET: u8 = 0xF1;
const LAST_CONNECTION: u8 = 0xF2;

/// What a script has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // a set
pub(crate) struct Seen {
    both_families: bool,
    reserved: bool,
    to_peers: bool,
    to_clients: bool,
    icmp: bool,
    moved: bool,
    spliced: bool,
}

impl Seen {
    #[allow(dead_code)] // libFuzzer asks for no more than it finds
    pub(crate) const ALL: Self = Self {
        both_families: true,
        reserved: true,
        to_peers: true,
        to_clients: true,
        icmp: true,
        moved: true,
        spliced: true,
    };

    #[allow(dead_code)]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            both_families: self.both_families | other.both_families,
            reserved: self.reserved | other.reserved,
            to_peers: self.to_peers | other.to_peers,
            to_clients: self.to_clients | other.to_clients,
            icmp: self.icmp | other.icmp,
            moved: self.moved | other.moved,
            spliced: self.spliced | other.spliced,
        }
    }
}

fn listener() -> SocketAddr {
    ([192, 0, 2, 1], 3478).into()
}

/// Two clients, the first of which has three addresses, a stranger, and peers.
fn remotes() -> [SocketAddr; 7] {
    [
        ([198, 51, 100, 5], 40000).into(),
        ([198, 51, 100, 6], 40000).into(),
        ([198, 51, 100, 5], 40001).into(),
        ([198, 51, 100, 5], 40002).into(),
        ([198, 51, 100, 7], 40000).into(),
        ([9, 9, 9, 9], 5000).into(),
        ("2620:fe::fe".parse::<std::net::Ipv6Addr>().unwrap(), 5000).into(),
    ]
}

/// Bytes, and zeros behind them.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    /// As many as the next byte says.
    fn block(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (block, rest) = self.0.split_at(length);
        self.0 = rest;
        block
    }
}

/// What the server said last that nobody can guess.
#[derive(Default)]
struct Said {
    token: [u8; 8],
    ticket: Vec<u8>,
    connection: u32,
}

struct Play {
    server: Driver<Server>,
    /// By remote address, as nonces are.
    clients: Vec<LongTermClient>,
    relays: BTreeSet<SocketAddr>,
    said: Said,
    seen: Seen,
}

/// What must hold of a script.
pub(crate) fn run(data: &[u8]) {
    play(data);
}

/// What a script has reached.
pub(crate) fn play(data: &[u8]) -> Seen {
    let mut script = Script(data);
    let mut play = Play::new(script.byte());
    while !script.0.is_empty() {
        play.step(&mut script);
        play.follow();
    }
    play.end()
}

impl Play {
    fn new(choice: u8) -> Self {
        let ips = vec![listener().ip(), "2001:db8:1::1".parse().unwrap()];
        let mut config = ServerConfig::new(vec![listener()], ips, "floe")
            .with_user("alice", PASSWORD)
            .with_user("bob", PASSWORD);
        config.ports = 50000..=50007;
        config.limits.allocations = LIMIT;
        config.limits.permissions = 4;
        config.limits.channels = 4;
        config.limits.reservations = 2;
        config.limits.connections = 2;
        config.limits.all_connections = 3;
        config.tcp = choice & 1 == 0;
        config.mobility = choice & 2 == 0;
        config.dont_fragment = choice & 4 == 0;
        config.strict_permissions = choice & 8 != 0;
        let client = |at| {
            let name = if at == 1 { "bob" } else { "alice" };
            LongTermClient::new(Credentials::new(name, PASSWORD))
        };
        Self {
            server: Driver::new(Server::new(config, [1; 32], NOW), NOW),
            clients: (0..4).map(client).collect(),
            relays: BTreeSet::new(),
            said: Said::default(),
            seen: Seen::default(),
        }
    }

    /// The address of a client, and over what it comes.
    fn path(script: &mut Script<'_>) -> (usize, FiveTuple) {
        let byte = script.byte();
        let who = usize::from(byte & 15) % remotes().len();
        let transport = match byte >> 4 & 3 {
            0 | 1 => Transport::Udp,
            2 => Transport::Tcp,
            _ => Transport::Tls,
        };
        let path = FiveTuple {
            transport,
            ..FiveTuple::udp(listener(), remotes()[who])
        };
        (who, path)
    }

    fn relay(&self, script: &mut Script<'_>) -> SocketAddr {
        let at = usize::from(script.byte());
        let found = self.relays.iter().nth(at % self.relays.len().max(1));
        found.copied().unwrap_or(([192, 0, 2, 1], 50000).into())
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() {
            MESSAGE => self.message(script),
            RAW => {
                let (_, path) = Self::path(script);
                let before = self.server.machine.stats().opened;
                let input = self.server.input(path, script.block());
                self.seen.to_peers |= matches!(input, Input::Forward(_));
                assert_eq!(self.server.machine.stats().opened, before, "unsigned");
            }
            TO_RELAY => {
                let (_, from) = Self::path(script);
                let path = FiveTuple::udp(self.relay(script), from.remote);
                let input = self.server.input(path, script.block());
                self.seen.to_clients |= matches!(input, Input::Forward(_));
            }
            TIMEOUT => self.server.timeout(),
            WAIT => {
                self.server.now += Duration::from_secs(u64::from(script.byte()) * 4);
                self.server.tell();
            }
            CLOSE => {
                let relayed = self.relay(script);
                self.server.machine.close(relayed);
                self.server.drain();
            }
            CONNECTED => {
                let succeeded = script.byte() & 1 == 0;
                let (now, id) = (self.server.now, self.said.connection);
                self.server.machine.connected(now, id, succeeded);
                self.server.drain();
            }
            ACCEPT => {
                let relayed = self.relay(script);
                let (_, from) = Self::path(script);
                let now = self.server.now;
                if let Some(id) = self.server.machine.accept(now, relayed, from.remote) {
                    self.said.connection = id;
                }
                self.server.drain();
            }
            DISCONNECTED => {
                self.server.machine.disconnected(self.said.connection);
                self.server.drain();
            }
            CLIENT_CLOSED => {
                let (_, path) = Self::path(script);
                let now = self.server.now;
                self.server.machine.client_closed(now, path);
                self.server.drain();
            }
            ICMP => {
                let relayed = self.relay(script);
                let (_, to) = Self::path(script);
                let error = Icmp {
                    kind: script.byte(),
                    code: script.byte(),
                    data: u32::MAX,
                };
                let told = (self.server)
                    .command(|server, now| server.icmp_error(now, relayed, to.remote, error));
                self.seen.icmp |= told.is_ok();
            }
            DRAIN => {
                if script.byte() & 1 == 0 {
                    self.server.machine.drain();
                } else {
                    self.server.machine.resume();
                }
            }
            _ => {}
        }
    }

    /// A message of a method, with attributes, signed or not.
    fn message(&mut self, script: &mut Script<'_>) {
        let (who, path) = Self::path(script);
        let choice = script.byte();
        let signed = choice & 1 == 1 && who < self.clients.len();
        let class = if choice & 2 == 0 {
            Class::Request
        } else {
            Class::Indication
        };
        let method = Method::new(script.byte().into());
        let mut buffer = [0; 4096];
        let kind = MessageType::new(class, method);
        let mut builder = Builder::new(&mut buffer, kind, TransactionId([choice; 12]));
        for _ in 0..script.byte() & 7 {
            let number = script.byte();
            builder = match number {
                LAST_TOKEN => builder.with(&ReservationToken(self.said.token)),
                LAST_TICKET => builder.with(&MobilityTicket(&self.said.ticket)),
                LAST_CONNECTION => builder.with(&ConnectionId(self.said.connection)),
                _ => {
                    // Comprehension-required ones are enough, and two others.
                    let number = match number {
                        0x80 => AttributeType::ADDITIONAL_ADDRESS_FAMILY,
                        0x81 => AttributeType::MOBILITY_TICKET,
                        _ => AttributeType(number.into()),
                    };
                    builder.with_raw(number, script.block())
                }
            };
        }
        if signed {
            builder = self.clients[who].authenticate(builder);
        }
        let Ok(length) = builder.finish() else {
            return;
        };
        self.server.sent.clear();
        let before = self.server.machine.stats().opened;
        let input = self.server.input(path, &buffer[..length]);
        self.seen.to_peers |= matches!(input, Input::Forward(_));
        if !signed {
            assert_eq!(self.server.machine.stats().opened, before, "unsigned");
        }
        let answers: Vec<_> = self.server.sent.iter().cloned().collect();
        for sent in answers.iter().filter(|sent| sent.path == path) {
            let answer = Message::parse(&sent.payload).expect("the server's own message");
            self.learn(&answer, (who < self.clients.len()).then_some(who), signed);
        }
    }

    fn learn(&mut self, answer: &Message<'_>, who: Option<usize>, signed: bool) {
        if answer.class() == Class::Success {
            assert!(signed, "nobody else knows a password");
            if let Some(who) = who {
                assert!(self.clients[who].verify(answer), "the answer is signed too");
            }
        } else if let Some(who) = who {
            let _ = self.clients[who].challenge(answer, signed);
        }
        if let Ok(Some(ReservationToken(token))) = answer.get() {
            self.said.token = token;
        }
        if let Ok(Some(MobilityTicket(ticket))) = answer.get() {
            self.said.ticket = ticket.to_vec();
        }
        let relayed =
            |raw: &floe_stun::RawAttribute<'_>| raw.kind == AttributeType::XOR_RELAYED_ADDRESS;
        self.seen.both_families |= answer.attributes().filter(relayed).count() == 2;
    }

    /// Follows the events, and counts.
    fn follow(&mut self) {
        for event in self.server.events.drain(..) {
            match event {
                ServerEvent::RelayOpened { relayed, .. }
                | ServerEvent::TcpRelayOpened { relayed, .. } => {
                    assert!(self.relays.insert(relayed), "{relayed} opened twice");
                }
                ServerEvent::RelayClosed { relayed, .. } => {
                    assert!(self.relays.remove(&relayed), "{relayed} was not open");
                }
                ServerEvent::Connect { connection, .. } => self.said.connection = connection,
                ServerEvent::ClientMoved { .. } => self.seen.moved = true,
                ServerEvent::Splice { .. } => self.seen.spliced = true,
                _ => {}
            }
        }
        let server = &self.server.machine;
        let reserved = server.reserved_ports();
        self.seen.reserved |= reserved > 0;
        assert_eq!(
            server.free_ports() + self.relays.len() + reserved,
            2 * PORTS
        );
        assert!(self.relays.len() <= LIMIT && reserved <= 2);
        assert!(server.allocations() <= self.relays.len());
        assert!(server.connections() <= 3);
    }

    /// Left alone, it forgets all.
    fn end(mut self) -> Seen {
        for _ in 0..100 {
            self.server.now += Duration::from_secs(3600);
            self.server.tell();
        }
        self.follow();
        let server = &self.server.machine;
        assert_eq!((server.allocations(), server.held()), (0, 0));
        assert_eq!((server.connections(), server.reserved_ports()), (0, 0));
        assert_eq!(server.free_ports(), 2 * PORTS);
        assert_eq!(server.poll_timeout(), None);
        self.seen
    }
}

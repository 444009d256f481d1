//! A TURN client, and a server that knows its keys and says what the script wants.
//!
//! The first byte of a script chooses what the client asks for; then come steps, each a byte for the kind
//! and what it needs. Messages are put together and signed as the server would: no mutation could
//! guess an HMAC.

use std::net::SocketAddr;
use std::time::Duration;

use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, HEADROOM, Input, Instant, TAILROOM, Transport};
use floe_stun::{
    AddressFamily, AttributeType, Builder, ConnectionId, Credentials, Key, Message, MessageType,
    TransactionId,
};
use floe_turn::{Client, ClientConfig, ClientEvent, PeerTransport, RelayPort, Token};

const NOW: Instant = Instant::from_secs(1000);
const MAC_KEY: &[u8] = &[0x5A; 20];

const MESSAGE: u8 = 0;
const RAW: u8 = 1;
const TIMEOUT: u8 = 2;
const WAIT: u8 = 3;
const ALLOCATE: u8 = 4;
const PERMISSION: u8 = 5;
const CHANNEL: u8 = 6;
const REVOKE: u8 = 7;
const RELEASE: u8 = 8;
const SEND: u8 = 9;
const UNFRAGMENTED: u8 = 10;
const ALLOCATE_FROM: u8 = 11;
const REFRESH: u8 = 12;
const RELEASE_FAMILY: u8 = 13;
const MIGRATE: u8 = 14;
const TOKEN: u8 = 15;
const CONNECT: u8 = 16;
const BIND: u8 = 17;
const CLOSE: u8 = 18;
const BROKEN: u8 = 19;

/// What a script has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // a set
pub(crate) struct Seen {
    allocated: bool,
    both_families: bool,
    sent: bool,
    received: bool,
    moved: bool,
    with_token: bool,
    bound: bool,
}

impl Seen {
    #[allow(dead_code)] // libFuzzer asks for no more than it finds
    pub(crate) const ALL: Self = Self {
        allocated: true,
        both_families: true,
        sent: true,
        received: true,
        moved: true,
        with_token: true,
        bound: true,
    };

    #[allow(dead_code)]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            allocated: self.allocated | other.allocated,
            both_families: self.both_families | other.both_families,
            sent: self.sent | other.sent,
            received: self.received | other.received,
            moved: self.moved | other.moved,
            with_token: self.with_token | other.with_token,
            bound: self.bound | other.bound,
        }
    }
}

/// What is left of a script; when it is used up, it gives zeros.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Bytes with their number before them.
    fn block(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.bytes(usize::from(count))
    }

    fn peer(&mut self) -> SocketAddr {
        match self.byte() % 3 {
            0 => ([9, 9, 9, 9], 5000).into(),
            1 => ([9, 9, 9, 9], 5001).into(),
            _ => "[2001:db8::9]:5000".parse().expect("an address"),
        }
    }

    fn path(&mut self, transport: Transport) -> FiveTuple {
        let byte = self.byte();
        FiveTuple {
            transport,
            local: ([198, 51, 100, 5], 40000 + u16::from(byte % 4)).into(),
            remote: ([192, 0, 2, 1], 3478 + u16::from(byte / 128)).into(),
        }
    }

    fn family(&mut self) -> AddressFamily {
        AddressFamily(self.byte() % 4)
    }

    /// A message that may answer the one with this id.
    fn message(&mut self, id: TransactionId) -> (Vec<u8>, bool) {
        let keys = [
            None,
            Some(Key::long_term("alice", "floe", "password")),
            Some(Key::new(MAC_KEY)),
        ];
        let key = &keys[usize::from(self.byte() % 3)];
        let mut buffer = vec![0; 2048];
        let kind = MessageType::from_bits(self.u16() & 0x3fff);
        let mut builder = Builder::new(&mut buffer, kind, id);
        for _ in 0..self.byte() {
            let kind = AttributeType(self.u16());
            builder = builder.with_raw(kind, self.block());
        }
        let builder = match key {
            Some(key) => builder.with_integrity(key),
            None => builder,
        };
        let length = builder.finish().unwrap_or(0);
        buffer.truncate(length);
        (buffer, key.is_some())
    }
}

fn config(choice: u8, transport: Transport) -> ClientConfig {
    let path = Script(&[0]).path(transport);
    let mut config = ClientConfig::new(path, Credentials::new("alice", "password"));
    config.additional_ipv6 = choice & 1 != 0;
    config.dont_fragment = choice & 2 != 0;
    config.mobility = choice & 4 != 0;
    config.third_party = choice & 8 != 0;
    if choice & 16 != 0 {
        config.peers = PeerTransport::Tcp;
    }
    config.port = match choice >> 6 {
        0 => RelayPort::Any,
        1 => RelayPort::Even,
        _ => RelayPort::EvenAndNext,
    };
    config
}

/// What must hold of a script.
pub(crate) fn run(data: &[u8]) {
    play(data);
}

pub(crate) fn play(data: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut script = Script(data);
    let choice = script.byte();
    let transport = match choice & 32 {
        0 => Transport::Udp,
        _ => Transport::Tcp,
    };
    let client = Client::new(config(choice, transport), [1; 32], NOW);
    let mut client = Driver::new(client, NOW);
    let mut connections: Vec<ConnectionId> = Vec::new();
    while !script.0.is_empty() {
        let op = script.byte();
        match op {
            MESSAGE => {
                let own = client.machine.path();
                let (path, id) = client.last().map_or((own, [7; 12]), |sent| {
                    let id = sent.payload.get(8..20).and_then(|id| id.try_into().ok());
                    (sent.path, id.unwrap_or([7; 12]))
                });
                let (bytes, signed) = script.message(TransactionId(id));
                let before = client.machine.relayed();
                let input = client.input(path, &bytes);
                seen.received |= matches!(input, Input::Data(_));
                if !signed && before.is_none() {
                    assert_eq!(client.machine.relayed(), None, "authenticate first");
                }
            }
            RAW => {
                let path = client.machine.path();
                let input = client.input(path, script.block());
                seen.received |= matches!(input, Input::Data(_));
            }
            TIMEOUT => client.timeout(),
            WAIT => {
                client.now += Duration::from_secs(u64::from(script.byte()));
                client.tell();
            }
            SEND | UNFRAGMENTED => {
                let peer = script.peer();
                seen.sent |= send(&mut client, peer, script.block(), op == UNFRAGMENTED);
            }
            BIND => {
                let path = script.path(transport);
                if let Some(&id) = connections.last() {
                    let _ = client.command(|client, now| client.bind_connection(now, id, path));
                }
            }
            CLOSE => {
                if let Some(id) = connections.pop() {
                    client.machine.close_connection(id);
                    client.drain();
                }
            }
            op => command(&mut client, op, &mut script, transport),
        }
        for event in client.events.drain(..) {
            match event {
                ClientEvent::Allocated { additional, .. } => {
                    seen.allocated = true;
                    seen.both_families |= additional.is_some();
                    seen.with_token |= choice & 8 != 0;
                }
                ClientEvent::Moved(_) => seen.moved = true,
                ClientEvent::ConnectionWanted { id, .. } => connections.push(id),
                ClientEvent::ConnectionBound { .. } => seen.bound = true,
                _ => {}
            }
        }
        if let Some(sent) = client.last() {
            let message = Message::parse(&sent.payload).expect("the client's own message");
            assert!(message.verify_fingerprint());
            assert_eq!(sent.path.transport, transport);
        }
        let machine = &client.machine;
        assert_eq!(machine.relayed().is_some(), machine.is_allocated());
        assert_eq!(machine.retry().is_some(), machine.is_ended());
        if machine.is_ended() {
            assert_eq!(
                machine.poll_timeout(),
                None,
                "nothing is pending at the end"
            );
        }
    }
    seen
}

/// The commands that need no more than a peer, a family or a path.
fn command(client: &mut Driver<Client>, op: u8, script: &mut Script<'_>, transport: Transport) {
    let _ = match op {
        ALLOCATE => client.command(Client::allocate),
        PERMISSION => {
            let ip = script.peer().ip();
            client.command(|client, now| client.create_permission(now, ip))
        }
        CHANNEL => {
            let peer = script.peer();
            client.command(|client, now| client.bind_channel(now, peer))
        }
        REVOKE => {
            client.machine.revoke(script.peer().ip());
            client.drain();
            Ok(())
        }
        RELEASE => client.command(Client::release),
        ALLOCATE_FROM => {
            let path = script.path(transport);
            client.command(|client, now| client.allocate_from(now, path))
        }
        REFRESH => {
            let family = Some(script.family()).filter(|family| family.0 > 0);
            client.command(|client, now| client.refresh(now, family))
        }
        RELEASE_FAMILY => {
            let family = script.family();
            client.command(|client, now| client.release_family(now, family))
        }
        MIGRATE => {
            let path = script.path(transport);
            client.command(|client, now| client.migrate(now, path))
        }
        TOKEN => {
            let token = (script.byte() > 0).then(|| Token::new("kid", b"opaque", MAC_KEY));
            client.command(|client, now| client.provide_token(now, token))
        }
        CONNECT => {
            let peer = script.peer();
            client.command(|client, now| client.connect(now, peer))
        }
        BROKEN => {
            let path = script.path(transport);
            client.machine.path_failed(client.now, path);
            client.tell();
            Ok(())
        }
        _ => Ok(()),
    };
}

/// Whether it can be sent.
fn send(client: &mut Driver<Client>, peer: SocketAddr, payload: &[u8], whole: bool) -> bool {
    let mut buffer = vec![0; HEADROOM + 4 + payload.len() + TAILROOM];
    let range = HEADROOM + 4..HEADROOM + 4 + payload.len();
    buffer[range.clone()].copy_from_slice(payload);
    let route = if whole {
        (client.machine).encapsulate_unfragmented(peer, &mut buffer, range)
    } else {
        client.machine.encapsulate(peer, &mut buffer, range)
    };
    client.drain();
    let Ok(route) = route else {
        return false;
    };
    assert_eq!(route.path, client.machine.path());
    let framed = &buffer[route.range()];
    // Behind a header, before the padding.
    let sent = (0..=TAILROOM).any(|padding| {
        let end = framed.len().saturating_sub(padding);
        framed[..end].ends_with(payload)
    });
    assert!(sent, "the payload is in the frame");
    true
}

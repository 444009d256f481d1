//! The relay: a server with many allocations, and packets of theirs in both directions.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use floe_sansio::{Datagram, Entropy, FiveTuple, HEADROOM, Input, Instant, TAILROOM};
use floe_stun::{
    Builder, ChannelNumber, Class, Credentials, LongTermClient, Message, MessageType, Method,
    RequestedTransport, TransactionId, XorPeerAddress, XorRelayedAddress,
};
use floe_turn::{Server, ServerConfig};

/// Bytes of payload of each packet.
pub const PAYLOAD: usize = 160;

/// How many allocations are measured with.
pub const SCALE: [u32; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];

/// Allocations that are busy where not all are.
pub const HOT: u32 = 64;

const CHANNEL: u16 = 0x4000;
const START: Instant = Instant::from_secs(1);
const USER: &str = "user";
const PASSWORD: &str = "a long password";

/// Where clients send to.
fn listener() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), 3478)
}

/// The client with this number: sixteen to an address.
fn client(number: u32) -> SocketAddr {
    let ip = Ipv4Addr::from_bits(0x0B00_0000 + number / 16);
    SocketAddr::new(ip.into(), 40_000 + (number % 16) as u16)
}

/// Its peer.
fn peer(number: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from_bits(0x2C00_0000 + number).into(), 5_000)
}

/// Adds attributes.
type Build<'f> = &'f dyn for<'b> Fn(Builder<'b>) -> Builder<'b>;

/// One allocation, as the world sees it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    number: u32,
    relayed: SocketAddrV4,
}

/// The 5-tuples of packets, as a driver has them: an endless walk that costs no cache miss of its own.
#[derive(Debug)]
pub struct Walk {
    paths: Vec<FiveTuple>,
    next: usize,
}

impl Walk {
    #[inline]
    fn next(&mut self) -> &FiveTuple {
        let at = self.next;
        self.next = if at + 1 == self.paths.len() {
            0
        } else {
            at + 1
        };
        &self.paths[at]
    }
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From clients.
    ToPeer,
    /// From peers.
    ToClient,
}

impl Way {
    fn walk<'m>(self, members: impl Iterator<Item = &'m Member>) -> Walk {
        let path = |&Member { number, relayed }: &Member| match self {
            Self::ToPeer => FiveTuple::udp(listener(), client(number)),
            Self::ToClient => FiveTuple::udp(relayed.into(), peer(number)),
        };
        Walk {
            paths: members.map(path).collect(),
            next: 0,
        }
    }
}

/// A server with allocations that have one channel, and so one permission, each.
#[derive(Clone, Debug)]
pub struct Relay {
    server: Server,
    members: Vec<Member>,
    buffer: [u8; HEADROOM + 4 + PAYLOAD + TAILROOM],
}

impl Relay {
    /// A server with `count` allocations.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let relay_ips = (0..=count / 60_000).map(|n| Ipv4Addr::from_bits(0xC000_0201 + n).into());
        let mut config = ServerConfig::new(vec![listener()], relay_ips.collect(), "example.org")
            .with_user(USER, PASSWORD);
        config.ports = 1024..=u16::MAX;
        config.limits.allocations = usize::MAX;
        config.limits.per_user = usize::MAX;
        config.limits.per_address = usize::MAX;
        config.answers = None;
        let mut this = Self {
            server: Server::new(config, [7; 32], START),
            members: Vec::with_capacity(count as usize),
            buffer: [7; HEADROOM + 4 + PAYLOAD + TAILROOM],
        };
        let header = &mut this.buffer[HEADROOM..HEADROOM + 4];
        header[..2].copy_from_slice(&CHANNEL.to_be_bytes());
        header[2..].copy_from_slice(&(PAYLOAD as u16).to_be_bytes());
        let mut entropy = Entropy::new([9; 32]);
        for number in 0..count {
            let relayed = this.open(number, &mut entropy);
            this.members.push(Member { number, relayed });
        }
        this
    }

    /// Walks over [`HOT`] allocations in turn, which lie as far apart as they can.
    #[must_use]
    pub fn hot(&self, way: Way) -> Walk {
        let step = self.members.len() / HOT as usize;
        let members = self.members.iter().step_by(step.max(1));
        way.walk(members.take(HOT as usize))
    }

    /// Walks over all allocations in random order.
    #[must_use]
    pub fn random(&self, way: Way) -> Walk {
        let mut members = self.members.clone();
        let mut entropy = Entropy::new([1; 32]);
        for at in (1..members.len()).rev() {
            members.swap(at, entropy.below(at as u32 + 1) as usize);
        }
        way.walk(members.iter())
    }

    /// `ChannelData` from a client for its peer; the port and the length of what is forwarded.
    pub fn to_peer(&mut self, walk: &mut Walk) -> (u16, usize) {
        let range = HEADROOM..HEADROOM + 4 + PAYLOAD;
        let datagram = Datagram::new(*walk.next(), &mut self.buffer, range);
        forwarded(&self.server.handle_input(START, datagram))
    }

    /// A datagram from a peer for its client; the port and the length of what is forwarded.
    pub fn to_client(&mut self, walk: &mut Walk) -> (u16, usize) {
        let range = HEADROOM + 4..HEADROOM + 4 + PAYLOAD;
        let datagram = Datagram::new(*walk.next(), &mut self.buffer, range);
        forwarded(&self.server.handle_input(START, datagram))
    }

    /// Lets all allocations expire: how long each call took, and that none is left.
    #[must_use]
    pub fn expire(&mut self) -> Vec<Duration> {
        let mut calls = Vec::new();
        while let Some(at) = self.server.poll_timeout() {
            let began = std::time::Instant::now();
            self.server.handle_timeout(at);
            calls.push(began.elapsed());
            while self.server.poll_event().is_some() {}
        }
        assert_eq!(self.server.allocations(), 0);
        calls
    }

    fn open(&mut self, number: u32, entropy: &mut Entropy) -> SocketAddrV4 {
        let mut auth = LongTermClient::new(Credentials::new(USER, PASSWORD));
        let mut ask = |auth: &LongTermClient, method, build: Build<'_>| {
            self.ask(number, auth, TransactionId::random(entropy), method, build)
        };
        let answer = ask(&auth, Method::ALLOCATE, &|b| b);
        let challenge = Message::parse(&answer).expect("a response");
        auth.challenge(&challenge, false).expect("a challenge");
        let answer = ask(&auth, Method::ALLOCATE, &|b| {
            b.with(&RequestedTransport::UDP)
        });
        let answer = Message::parse(&answer).expect("a response");
        let Ok(Some(XorRelayedAddress(SocketAddr::V4(relayed)))) = answer.get() else {
            panic!("no allocation");
        };
        let answer = ask(&auth, Method::CHANNEL_BIND, &|b| {
            b.with(&ChannelNumber(CHANNEL))
                .with(&XorPeerAddress(peer(number)))
        });
        let answer = Message::parse(&answer).expect("a response");
        assert_eq!(answer.class(), Class::Success);
        relayed
    }

    fn ask(
        &mut self,
        number: u32,
        auth: &LongTermClient,
        id: TransactionId,
        method: Method,
        build: Build<'_>,
    ) -> Vec<u8> {
        let mut buffer = [0; 512];
        let kind = MessageType::new(Class::Request, method);
        let builder = build(Builder::new(&mut buffer, kind, id));
        let len = auth.authenticate(builder).finish().expect("room");
        let path = FiveTuple::udp(listener(), client(number));
        let input = (self.server).handle_input(START, Datagram::new(path, &mut buffer, 0..len));
        assert_eq!(input, Input::Handled);
        while self.server.poll_event().is_some() {}
        let answer = self.server.poll_transmit().expect("an answer");
        answer.payload.to_vec()
    }
}

/// Looks at the answer as a driver does, which copies none of it.
fn forwarded(input: &Input) -> (u16, usize) {
    match input {
        Input::Forward(route) => (route.path.remote.port(), route.range().len()),
        other => panic!("not forwarded: {other:?}"),
    }
}

/// What the memory allows: loads of which each needs the one before it, anywhere in so many bytes.
#[derive(Debug)]
pub struct Loads {
    /// A random cycle through all cache lines.
    lines: Vec<Line>,
    at: u32,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(u32);

impl Loads {
    /// In `bytes`, rounded down to whole lines.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let mut lines: Vec<_> = (0..(bytes / 64) as u32).map(Line).collect();
        // Sattolo's shuffle: one cycle.
        let mut entropy = Entropy::new([2; 32]);
        for at in (1..lines.len()).rev() {
            lines.swap(at, entropy.below(at as u32) as usize);
        }
        Self { lines, at: 0 }
    }

    /// Two loads.
    pub fn two(&mut self) -> u32 {
        let first = self.lines[self.at as usize].0;
        self.at = self.lines[first as usize].0;
        self.at
    }
}

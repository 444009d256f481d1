//! The relay: a server with many allocations, and packets of theirs in both directions.

mod floe;
mod loads;
mod stranger;
#[cfg(feature = "peers")]
mod turn_server_proto;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;

use floe_sansio::{Entropy, FiveTuple, HEADROOM, Instant, TAILROOM};
use floe_stun::{
    Builder, ChannelNumber, Class, Credentials, LongTermClient, Message, MessageType, Method,
    RequestedTransport, TransactionId, XorPeerAddress, XorRelayedAddress,
};

pub use floe::Floe;
pub use loads::Loads;
pub use stranger::{Guess, Strangers};
#[cfg(feature = "peers")]
pub use turn_server_proto::TurnServerProto;

/// A TURN server whose packets are measured.
pub trait Server: fmt::Debug {
    /// Its name and version.
    const NAME: &'static str;

    /// A server for [`USER`] that relays from these addresses.
    fn new(listener: SocketAddr, relay_ips: Vec<IpAddr>) -> Self;

    /// A request of a client, and the response.
    fn ask(&mut self, path: FiveTuple, request: &mut [u8]) -> Vec<u8>;

    /// A packet in `buffer[range]`, made ready to be sent on: the port it goes to, and its length.
    fn relay(&mut self, path: FiveTuple, buffer: &mut [u8], range: Range<usize>) -> (u16, usize);
}

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
pub struct Relay<S = Floe> {
    server: S,
    members: Vec<Member>,
    buffer: [u8; HEADROOM + 4 + PAYLOAD + TAILROOM],
}

impl<S: Server> Relay<S> {
    /// A server with `count` allocations.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let relay_ips = (0..=count / 60_000).map(|n| Ipv4Addr::from_bits(0xC000_0201 + n).into());
        let mut this = Self {
            server: S::new(listener(), relay_ips.collect()),
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

    /// A packet: the port that it goes to, and the length of what is sent there.
    #[inline]
    pub fn packet(&mut self, way: Way, walk: &mut Walk) -> (u16, usize) {
        let header = match way {
            Way::ToPeer => 0,
            Way::ToClient => 4,
        };
        let range = HEADROOM + header..HEADROOM + 4 + PAYLOAD;
        self.server.relay(*walk.next(), &mut self.buffer, range)
    }

    /// The server, to do with it what no packet does.
    pub const fn server(&mut self) -> &mut S {
        &mut self.server
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
            panic!("no allocation: {answer:?}");
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
        self.server.ask(path, &mut buffer[..len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is measured is what a relay does: the payload goes where it should, as long as it should.
    fn relays<S: Server>() {
        let mut relay = Relay::<S>::new(100);
        let [mut out, mut back] = [Way::ToPeer, Way::ToClient].map(|way| relay.random(way));
        for _ in 0..200 {
            assert_eq!(relay.packet(Way::ToPeer, &mut out), (5_000, PAYLOAD));
            let (port, len) = relay.packet(Way::ToClient, &mut back);
            assert!(
                (40_000..40_016).contains(&port) && len == 4 + PAYLOAD,
                "{port} {len}"
            );
        }
    }

    #[test]
    fn floe_relays() {
        relays::<Floe>();
    }

    #[cfg(feature = "peers")]
    #[test]
    fn turn_server_proto_relays() {
        relays::<TurnServerProto>();
    }
}

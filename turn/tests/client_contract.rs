//! The seven promises of the contract, kept by the client in each of its modes, against a server that
//! says now this, now that.

mod support;

use std::any::Any;
use std::collections::VecDeque;
use std::net::SocketAddr;

use floe_sansio::testing::{self, AnyMachine, Runs, World};
use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Client, ClientConfig, ClientEvent, PeerTransport, RelayPort, Token};
use support::*;

const MAC_KEY: &[u8] = &[0x5A; 20];

/// Answers requests with anything that a server may say, signed as it should be.
struct Fickle {
    entropy: Entropy,
    takes_tokens: bool,
    out: VecDeque<Transmit>,
}

impl Fickle {
    fn error<'b>(&mut self, builder: Builder<'b>, key: &Key) -> Builder<'b> {
        let codes = [
            300, 400, 403, 405, 420, 437, 440, 441, 442, 443, 446, 447, 486, 500, 508, 599, 401,
            438, 438, 438,
        ];
        let number = codes[self.entropy.below(codes.len() as u32) as usize];
        let builder = builder.with(&code(number));
        match number {
            300 => builder
                .with(&AlternateServer(addr("192.0.2.1:3479")))
                .with_integrity(key),
            420 => builder
                .with_raw(AttributeType::UNKNOWN_ATTRIBUTES, &[0, 0x1A])
                .with_integrity(key),
            401 | 438 => self.challenge(builder),
            _ => builder.with_integrity(key),
        }
    }

    fn challenge<'b>(&mut self, builder: Builder<'b>) -> Builder<'b> {
        let nonce = format!("{:016x}", self.entropy.u64());
        let builder = builder.with(&Realm(REALM)).with(&Nonce(&nonce));
        let offer = self.takes_tokens.then_some(ThirdPartyAuthorization("turn"));
        builder.with_some(offer.as_ref())
    }

    fn success<'b>(
        &mut self,
        builder: Builder<'b>,
        request: &Message<'_>,
        from: SocketAddr,
    ) -> Builder<'b> {
        let ticket = self.entropy.bytes::<8>();
        let lifetime = Lifetime([600, 600, 61, 10, 0][self.entropy.below(5) as usize]);
        match request.method() {
            Method::ALLOCATE => {
                let both = request
                    .get::<AdditionalAddressFamily>()
                    .ok()
                    .flatten()
                    .is_some();
                let second = XorRelayedAddress(addr("[2001:db8:1::1]:50000"));
                let second = (both && self.entropy.below(3) > 0).then_some(second);
                let missing = AddressErrorCode {
                    family: AddressFamily::IPV6,
                    error: code(508),
                };
                let missing = (both && second.is_none()).then_some(missing);
                builder
                    .with(&XorRelayedAddress(relayed()))
                    .with_some(second.as_ref())
                    .with_some(missing.as_ref())
                    .with(&lifetime)
                    .with(&XorMappedAddress(from))
                    .with(&ReservationToken(ticket))
                    .with(&MobilityTicket(&ticket))
            }
            Method::REFRESH => builder.with(&lifetime).with(&MobilityTicket(&ticket)),
            Method::CONNECT => builder.with(&ConnectionId(self.entropy.below(8))),
            _ => builder,
        }
    }
}

impl Machine for Fickle {
    type Event = ();

    fn handle_input(&mut self, _: Instant, datagram: Datagram<'_>) -> Input {
        let Ok(request) = Message::parse(datagram.payload()) else {
            return Input::Dropped(DropReason::Malformed);
        };
        if request.class() != Class::Request {
            return Input::Dropped(DropReason::Unsupported);
        }
        let from = datagram.path.remote;
        let key = match request.get::<Username<'_>>() {
            Ok(Some(Username("kid"))) => Key::new(MAC_KEY),
            _ => key(),
        };
        let mut buffer = [0; 512];
        let fails = self.entropy.below(4) == 0;
        let class = |fails| if fails { Class::Error } else { Class::Success };
        let built = if request.integrity().is_none() {
            let builder = Builder::response(&mut buffer, &request, Class::Error);
            self.challenge(builder.with(&code(401)))
        } else {
            let builder = Builder::response(&mut buffer, &request, class(fails));
            if fails {
                self.error(builder, &key)
            } else {
                self.success(builder, &request, from).with_integrity(&key)
            }
        };
        let Ok(payload) = built.finish_bytes() else {
            return Input::Dropped(DropReason::Malformed);
        };
        let path = datagram.path;
        self.out.push_back(Transmit { path, payload });
        // What peers do, for those who are permitted to.
        if request.method() == Method::CREATE_PERMISSION {
            let id = ConnectionId(100 + self.entropy.below(8));
            let attempt = indication(Method::CONNECTION_ATTEMPT, |b| {
                b.with(&XorPeerAddress(peer())).with(&id)
            });
            let data = indication(Method::DATA, |b| {
                b.with(&XorPeerAddress(peer())).with(&Data(b"data"))
            });
            for bytes in [attempt, data] {
                let payload = bytes.into();
                self.out.push_back(Transmit { path, payload });
            }
        }
        Input::Handled
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

const DUAL: u8 = 0;
const MOBILE: u8 = 1;
const TCP: u8 = 2;
const TOKEN: u8 = 3;
const TLS: u8 = 4;

struct Mode<const MODE: u8> {
    client: Client,
    server: Fickle,
    waiting: VecDeque<ConnectionId>,
}

/// A path of the client, from one of a few ports, to the server or its alternate.
fn path(config: &ClientConfig, draw: &mut Entropy) -> FiveTuple {
    let mut path = config.path;
    path.local.set_port(40000 + draw.below(4) as u16);
    path.remote.set_port(3478 + u16::from(draw.below(4) == 0));
    path
}

fn config<const MODE: u8>() -> ClientConfig {
    let mut config = ClientConfig::new(client_path(), Credentials::new(USER, PASSWORD));
    match MODE {
        DUAL => {
            config.additional_ipv6 = true;
            config.dont_fragment = true;
            config.early_channels = true;
            config.port = RelayPort::Even;
        }
        MOBILE => config.mobility = true,
        TCP => {
            config.path.transport = Transport::Tcp;
            config.peers = PeerTransport::Tcp;
        }
        TOKEN => config.third_party = true,
        _ => {
            config.path.transport = Transport::Tls;
            config.keepalive = None;
        }
    }
    config
}

impl<const MODE: u8> World for Mode<MODE> {
    const MAX_TRANSMITS: usize = 32;

    fn build(seed: [u8; 32], now: Instant) -> Self {
        let mut entropy = Entropy::new(seed);
        Self {
            client: Client::new(config::<MODE>(), entropy.seed(), now),
            server: Fickle {
                entropy: entropy.child(),
                takes_tokens: MODE == TOKEN,
                out: VecDeque::new(),
            },
            waiting: VecDeque::new(),
        }
    }

    fn machines(&mut self) -> Vec<(SocketAddr, &mut dyn AnyMachine)> {
        vec![(home(), &mut self.client), (listener(), &mut self.server)]
    }

    fn command(&mut self, now: Instant, draw: &mut Entropy) -> testing::Command {
        use testing::Command;
        let client = &mut self.client;
        let peers = [peer(), addr("9.9.9.9:5001"), other_peer(), peer6()];
        let peer = peers[draw.below(4) as usize];
        let family = [AddressFamily::IPV4, AddressFamily::IPV6][draw.below(2) as usize];
        let config = config::<MODE>();
        match draw.below(20) {
            0..3 => client.allocate(now).into(),
            3..6 => client.allocate_from(now, path(&config, draw)).into(),
            6 | 7 => client.create_permission(now, peer.ip()).into(),
            8 | 9 => client.bind_channel(now, peer).into(),
            10 => client.refresh(now, Some(family)).into(),
            11 if draw.below(8) == 0 => client.release(now).into(),
            11 => client.release_family(now, family).into(),
            12 => client.migrate(now, path(&config, draw)).into(),
            13 | 14 => {
                let token = (draw.below(8) > 0).then(|| Token::new("kid", b"opaque", MAC_KEY));
                client.provide_token(now, token).into()
            }
            15 => client.connect(now, peer).into(),
            16 => match self.waiting.front() {
                Some(&id) => {
                    let result = client.bind_connection(now, id, path(&config, draw));
                    if result.is_ok() {
                        self.waiting.pop_front();
                    }
                    result.into()
                }
                None => Command::None,
            },
            17 if draw.below(8) == 0 => {
                client.path_failed(now, path(&config, draw));
                Command::Accepted
            }
            17 => {
                client.revoke(peer.ip());
                Command::Accepted
            }
            _ => match client.wrap(peer, &draw.bytes::<9>()) {
                Ok(transmit) => Command::Sent(transmit),
                Err(_) => Command::Rejected,
            },
        }
    }

    fn retained(&self) -> usize {
        self.waiting.len() + self.server.out.len()
    }

    fn heard(&mut self, _: usize, event: &dyn Any) {
        if let Some(ClientEvent::ConnectionWanted { id, .. }) = event.downcast_ref() {
            self.waiting.push_back(*id);
            self.waiting.truncate(8);
        }
    }
}

fn check<const MODE: u8>() {
    let tally = testing::check::<Mode<MODE>>(&Runs::default());
    assert!(tally.transmits > 1000 && tally.rejected > 100, "{tally:?}");
    assert!(tally.data > 20 || MODE == TCP, "{tally:?}");
}

#[test]
fn with_two_families() {
    check::<DUAL>();
}

#[test]
fn on_the_move() {
    check::<MOBILE>();
}

#[test]
fn with_tcp_to_peers() {
    check::<TCP>();
}

#[test]
fn with_tokens() {
    check::<TOKEN>();
}

#[test]
fn over_a_stream() {
    check::<TLS>();
}

//! The server against a plain reference model: random sequences of what clients, peers and time do. What
//! must be relayed is relayed, nothing else leaves, and free, used and reserved ports are the range.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use floe_sansio::*;
use floe_stun::*;
use floe_turn::{Server, ServerEvent};
use proptest::prelude::*;
use support::*;

const CLIENTS: usize = 4;
/// Of each family.
const PORTS: usize = 8;
const CHANNELS: [u16; 3] = [0x4000, 0x4001, 0x4FFF];

/// Two ports of one host, another host, one of IPv6, and one that is forbidden.
fn peers() -> [SocketAddr; 5] {
    [
        peer(),
        addr("9.9.9.9:5001"),
        other_peer(),
        peer6(),
        addr("10.0.0.1:80"),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Ipv4,
    Ipv6,
    Both,
    Pair,
    Token(usize),
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(usize, Ask),
    Refresh(usize, u32, Option<bool>),
    Permit(usize, Vec<usize>),
    Bind(usize, usize, usize),
    Send(usize, usize),
    Channel(usize, usize),
    /// From a peer to the n-th relayed address of a client.
    Peer(usize, usize, usize),
    Later(u64),
    Timeout,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    let to = 0..5usize;
    let ask = prop_oneof![
        Just(Ask::Ipv4),
        Just(Ask::Ipv6),
        Just(Ask::Both),
        Just(Ask::Pair),
        (0..4usize).prop_map(Ask::Token),
    ];
    let lifetime = prop_oneof![Just(0u32), Just(600), Just(1000), Just(u32::MAX)];
    prop_oneof![
        3 => (client.clone(), ask).prop_map(|(who, ask)| Step::Allocate(who, ask)),
        1 => (client.clone(), lifetime, any::<Option<bool>>())
            .prop_map(|(who, lifetime, family)| Step::Refresh(who, lifetime, family)),
        3 => (client.clone(), prop::collection::vec(to.clone(), 0..3))
            .prop_map(|(who, to)| Step::Permit(who, to)),
        3 => (client.clone(), 0..3usize, to.clone()).prop_map(|(who, n, to)| Step::Bind(who, n, to)),
        4 => (client.clone(), to.clone()).prop_map(|(who, to)| Step::Send(who, to)),
        4 => (client.clone(), 0..3usize).prop_map(|(who, n)| Step::Channel(who, n)),
        4 => (client, 0..2usize, to).prop_map(|(who, n, from)| Step::Peer(who, n, from)),
        2 => prop_oneof![1..40u64, 100..400u64].prop_map(Step::Later),
        1 => Just(Step::Timeout),
    ]
}

/// What one client has, as RFC 8656 tells it.
#[derive(Default)]
struct Allocation {
    /// Relayed addresses, and when they end.
    parts: Vec<(SocketAddr, Instant)>,
    permissions: BTreeMap<IpAddr, Instant>,
    channels: BTreeMap<u16, (SocketAddr, Instant)>,
}

impl Allocation {
    /// Forgets what has ended with its relayed address.
    fn settle(&mut self, now: Instant) {
        self.parts.retain(|&(_, until)| now < until);
        let families: Vec<_> = self.parts.iter().map(|(at, _)| at.is_ipv4()).collect();
        (self.permissions).retain(|ip, _| families.contains(&ip.is_ipv4()));
        (self.channels).retain(|_, (peer, _)| families.contains(&peer.is_ipv4()));
    }

    fn relayed(&self, is_ipv4: bool) -> Option<SocketAddr> {
        let mut parts = self.parts.iter().map(|&(relayed, _)| relayed);
        parts.find(|it| it.is_ipv4() == is_ipv4)
    }

    fn permits(&self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.get(&ip).is_some_and(|&until| now < until)
    }

    fn may_bind(&self, now: Instant, number: u16, peer: SocketAddr) -> bool {
        self.channels.iter().all(|(&other, &(to, until))| {
            (other == number) == (to == peer) || now >= until + secs(300)
        })
    }
}

struct World {
    now: Instant,
    server: Server,
    askers: Vec<Asker>,
    model: Vec<Allocation>,
    /// As the events tell it.
    open: BTreeSet<SocketAddr>,
    /// Tokens, with their ports, until when they are good.
    tokens: Vec<(ReservationToken, SocketAddr, Instant)>,
    relayed: usize,
}

impl World {
    fn new() -> Self {
        let mut config = server_config_v6();
        config.ports = 50000..=50007;
        let (server, now) = server_with(config);
        let home = |n| SocketAddr::new(home().ip(), 1000 + n as u16);
        Self {
            now,
            server,
            askers: (0..CLIENTS).map(|n| Asker::at(home(n))).collect(),
            model: (0..CLIENTS).map(|_| Allocation::default()).collect(),
            open: BTreeSet::new(),
            tokens: Vec::new(),
            relayed: 0,
        }
    }

    fn ask(
        &mut self,
        who: usize,
        method: Method,
        build: impl for<'b> Fn(Builder<'b>) -> Builder<'b>,
    ) -> Answer {
        self.askers[who].ask(&mut self.server, self.now, method, build)
    }

    fn act(&mut self, step: Step) {
        let now = self.now;
        for allocation in &mut self.model {
            allocation.settle(now);
        }
        self.tokens.retain(|&(_, _, until)| now < until);
        match step {
            Step::Allocate(who, ask) => self.allocate(who, ask),
            Step::Refresh(who, lifetime, family) => self.refresh(who, lifetime, family),
            Step::Permit(who, to) => self.permit(who, &to),
            Step::Bind(who, number, to) => self.bind(who, CHANNELS[number], peers()[to]),
            Step::Send(who, to) => {
                let peer = peers()[to];
                let own = &self.model[who];
                let relayed = own.relayed(peer.is_ipv4());
                let expected = relayed.filter(|_| own.permits(now, peer.ip()));
                let sent =
                    (self.askers[who]).push(&mut self.server, now, &send_indication(peer, b"data"));
                self.check_out(expected, peer, sent.as_ref());
            }
            Step::Channel(who, number) => {
                let own = &self.model[who];
                let channel = own.channels.get(&CHANNELS[number]);
                let peer = channel.filter(|it| now < it.1).map(|it| it.0);
                let expected = peer.and_then(|peer| own.relayed(peer.is_ipv4()));
                let data = channel_data(CHANNELS[number], b"data");
                let sent = self.askers[who].push(&mut self.server, now, &data);
                self.check_out(expected, peer.unwrap_or(listener()), sent.as_ref());
            }
            Step::Peer(who, n, from) => self.peer(who, n, peers()[from]),
            Step::Later(seconds) => self.now += secs(seconds),
            Step::Timeout => self.server.handle_timeout(now),
        }
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::RelayOpened { relayed, .. } => assert!(self.open.insert(relayed)),
                ServerEvent::RelayClosed { relayed, .. } => assert!(self.open.remove(&relayed)),
                other => panic!("{other:?}"),
            }
        }
        assert!(self.server.poll_transmit().is_none());
        // Free and used and reserved is the range.
        let server = &self.server;
        let all = server.free_ports() + self.open.len() + server.reserved_ports();
        assert_eq!(all, 2 * PORTS);
        assert!(self.tokens.len() <= server.reserved_ports());
        for (relayed, _) in self.model.iter().flat_map(|it| &it.parts) {
            assert!(self.open.contains(relayed), "{relayed} is not there");
        }
    }

    #[allow(clippy::needless_pass_by_value)] // so that callers need not name what was sent
    fn check_out(
        &mut self,
        expected: Option<SocketAddr>,
        peer: SocketAddr,
        sent: Option<&(FiveTuple, Vec<u8>)>,
    ) {
        let expected = expected.map(|from| (FiveTuple::udp(from, peer), b"data".to_vec()));
        assert_eq!(sent, expected.as_ref());
        self.relayed += usize::from(sent.is_some());
    }

    fn peer(&mut self, who: usize, n: usize, from: SocketAddr) {
        let own = &self.model[who];
        // If there is no such address, to one that is anybody's or nobody's.
        let to = (own.parts.get(n)).map_or(addr("192.0.2.1:50000"), |&(relayed, _)| relayed);
        let has = |it: &&Allocation| it.parts.iter().any(|&(relayed, _)| relayed == to);
        let owner = self.model.iter().position(|it| has(&it));
        let arrived = arrive(&mut self.server, self.now, from, to, b"data");
        let permitted = owner.filter(|&owner| {
            from.is_ipv4() == to.is_ipv4() && self.model[owner].permits(self.now, from.ip())
        });
        assert_eq!(arrived.is_some(), permitted.is_some());
        let (Some((path, bytes)), Some(owner)) = (arrived, permitted) else {
            return;
        };
        self.relayed += 1;
        assert_eq!(path, self.askers[owner].path);
        let channels = &self.model[owner].channels;
        let live = |it: &(&u16, &(SocketAddr, Instant))| it.1.0 == from && self.now < it.1.1;
        if let Some((&number, _)) = channels.iter().find(live) {
            assert_eq!(bytes, channel_data(number, b"data"));
        } else {
            let message = parse(&bytes);
            assert_eq!(message.get().unwrap(), Some(XorPeerAddress(from)));
            assert_eq!(message.get().unwrap(), Some(Data(b"data")));
        }
    }

    fn allocate(&mut self, who: usize, ask: Ask) {
        let now = self.now;
        let token = match ask {
            Ask::Token(n) => self.tokens.get(n).copied(),
            _ => None,
        };
        let value = token.map_or(ReservationToken([9; 8]), |it| it.0);
        let answer = self.ask(who, Method::ALLOCATE, |b| {
            let b = b.with(&RequestedTransport::UDP);
            match ask {
                Ask::Ipv4 => b,
                Ask::Ipv6 => b.with(&RequestedAddressFamily(AddressFamily::IPV6)),
                Ask::Both => b.with(&AdditionalAddressFamily(AddressFamily::IPV6)),
                Ask::Pair => b.with(&EvenPort { reserve_next: true }),
                Ask::Token(_) => b.with(&value),
            }
        });
        if !self.model[who].parts.is_empty() {
            assert_eq!(answer.code(), 437);
            return;
        }
        if answer.code() != 0 {
            assert_eq!(answer.code(), 508);
            assert!(token.is_none(), "a reservation is kept");
            return;
        }
        let message = answer.message();
        let relayed: Vec<_> = message
            .attributes()
            .filter(|raw| raw.kind == AttributeType::XOR_RELAYED_ADDRESS)
            .map(|raw| {
                XorRelayedAddress::decode(raw.value, message.transaction_id())
                    .unwrap()
                    .0
            })
            .collect();
        for &at in &relayed {
            assert!((50000..=50007).contains(&at.port()));
            assert!(
                !self
                    .model
                    .iter()
                    .flat_map(|it| &it.parts)
                    .any(|it| it.0 == at)
            );
            let is_kept = self.tokens.iter().any(|it| it.1 == at);
            assert_eq!(
                is_kept,
                token.is_some_and(|it| it.1 == at),
                "{at} is reserved"
            );
            self.model[who].parts.push((at, now + secs(600)));
        }
        let families: Vec<_> = relayed.iter().map(SocketAddr::is_ipv4).collect();
        match ask {
            Ask::Ipv4 => assert_eq!(families, [true]),
            Ask::Ipv6 => assert_eq!(families, [false]),
            Ask::Both => {
                let lacks = message.get::<AddressErrorCode<'_>>().unwrap().is_some();
                assert_eq!(families.len(), if lacks { 1 } else { 2 });
            }
            Ask::Pair => {
                let at = relayed[0];
                assert_eq!(at.port() % 2, 0);
                let next = SocketAddr::new(at.ip(), at.port() + 1);
                let token = message.get().unwrap().expect("a token");
                self.tokens.push((token, next, now + secs(30)));
            }
            Ask::Token(_) => {
                let (token, at, _) = token.expect("a reservation");
                assert_eq!(relayed, [at]);
                self.tokens.retain(|it| it.0 != token);
            }
        }
    }

    fn refresh(&mut self, who: usize, lifetime: u32, family: Option<bool>) {
        let number = |is_ipv4| {
            RequestedAddressFamily(if is_ipv4 {
                AddressFamily::IPV4
            } else {
                AddressFamily::IPV6
            })
        };
        let answer = self.ask(who, Method::REFRESH, |b| {
            b.with(&Lifetime(lifetime))
                .with_some(family.map(number).as_ref())
        });
        let now = self.now;
        let own = &mut self.model[who];
        let fits = |at: &SocketAddr| family.is_none_or(|is_ipv4| at.is_ipv4() == is_ipv4);
        if own.parts.is_empty() {
            assert_eq!(answer.code(), 437);
        } else if !own.parts.iter().any(|(at, _)| fits(at)) {
            assert_eq!(answer.code(), 443);
        } else if lifetime == 0 {
            assert_eq!((answer.code(), answer.lifetime()), (0, 0));
            own.parts.retain(|(at, _)| !fits(at));
            own.settle(now);
        } else {
            let granted = lifetime.clamp(600, 3600);
            assert_eq!((answer.code(), answer.lifetime()), (0, granted));
            for (_, until) in own.parts.iter_mut().filter(|(at, _)| fits(at)) {
                *until = now + secs(granted.into());
            }
        }
    }

    fn permit(&mut self, who: usize, to: &[usize]) {
        let peers: Vec<_> = to.iter().map(|&n| peers()[n]).collect();
        let answer = self.ask(who, Method::CREATE_PERMISSION, |b| {
            (peers.iter()).fold(b, |b, &peer| b.with(&XorPeerAddress(peer)))
        });
        let now = self.now;
        let own = &mut self.model[who];
        let expected = if own.parts.is_empty() {
            437
        } else if peers.is_empty() {
            400
        } else if peers.iter().any(|it| own.relayed(it.is_ipv4()).is_none()) {
            443
        } else if peers.contains(&self::peers()[4]) {
            403
        } else {
            0
        };
        assert_eq!(answer.code(), expected);
        if expected == 0 {
            for peer in peers {
                own.permissions.insert(peer.ip(), now + secs(300));
            }
        }
    }

    fn bind(&mut self, who: usize, number: u16, peer: SocketAddr) {
        let code = self.askers[who].bind(&mut self.server, self.now, number, peer);
        let now = self.now;
        let own = &mut self.model[who];
        let expected = if own.parts.is_empty() {
            437
        } else if !own.may_bind(now, number, peer) {
            400
        } else if own.relayed(peer.is_ipv4()).is_none() {
            443
        } else if peer == peers()[4] {
            403
        } else {
            0
        };
        assert_eq!(code, expected);
        if expected == 0 {
            own.channels.retain(|_, (to, _)| *to != peer);
            own.channels.insert(number, (peer, now + secs(600)));
            own.permissions.insert(peer.ip(), now + secs(300));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// req: TURN-6-1, TURN-6-2, TURN-6-7, TURN-9-3, TURN-11.3-1, TURN-12-4
    #[test]
    fn the_server_does_what_the_model_says(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.act(step);
        }
        // Left alone, it forgets all.
        world.now += secs(4000);
        while let Some(at) = world.server.poll_timeout() {
            world.server.handle_timeout(at.max(world.now));
        }
        prop_assert_eq!(world.server.free_ports(), 2 * PORTS);
        prop_assert_eq!((world.server.allocations(), world.server.held()), (0, 0));
    }
}

/// A test that relays nothing would prove nothing.
#[test]
fn the_model_relays() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 2000);
    let mut world = World::new();
    for step in steps.new_tree(&mut runner).unwrap().current() {
        world.act(step);
    }
    assert!(world.relayed > 20, "{}", world.relayed);
}

//! The Binding server: what a stranger gets, how often, and what that costs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Transmit, Transport};
use floe_stun::{
    Access, AddressGrid, Algorithm, AlternateDomain, AttributeType, BehaviourService, Budget,
    Builder, Class, Credentials, ErrorCode, LongTermClient, LongTermConfig, MappedAddress, Message,
    MessageType, Method, Nonce, Realm, Redirect, Server, ServerConfig, ServerConfigError,
    ShortTermClient, StaticUsers, StatusCode, TransactionId, XorMappedAddress,
};

const NOW: Instant = Instant::from_secs(1000);
const ID: TransactionId = TransactionId([5; 12]);
const REALM: &str = "floe.test";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// From the server's side.
fn over(transport: Transport, remote: &str) -> FiveTuple {
    let remote = address(remote);
    let local = if remote.is_ipv4() {
        "198.51.100.1:3478"
    } else {
        "[2001:db8::1]:3478"
    };
    FiveTuple {
        transport,
        local: address(local),
        remote,
    }
}

fn path() -> FiveTuple {
    over(Transport::Udp, "192.0.2.1:5000")
}

fn message(class: Class, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let kind = MessageType::new(class, Method::BINDING);
    let len = fill(Builder::new(&mut buffer, kind, ID)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

fn request(fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    message(Class::Request, fill)
}

fn sealed(builder: Builder<'_>) -> Builder<'_> {
    builder.with_fingerprint()
}

fn plain() -> Vec<u8> {
    request(|builder| builder)
}

fn server(config: &ServerConfig) -> Server {
    Server::with_config(config.clone(), [1; 32], NOW).unwrap()
}

fn give(
    server: &mut Server,
    now: Instant,
    path: FiveTuple,
    bytes: &[u8],
) -> (Input, Option<Transmit>) {
    let mut bytes = bytes.to_vec();
    let input = server.handle_input(now, Datagram::whole(path, &mut bytes));
    let answer = server.poll_transmit();
    assert!(server.poll_transmit().is_none());
    (input, answer)
}

/// What a new server answers.
fn answer(config: &ServerConfig, path: FiveTuple, bytes: &[u8]) -> Vec<u8> {
    let (input, answer) = give(&mut server(config), NOW, path, bytes);
    assert_eq!(input, Input::Handled);
    let answer = answer.unwrap();
    assert_eq!(answer.path, path);
    answer.payload.to_vec()
}

#[track_caller]
fn assert_silent(config: &ServerConfig, path: FiveTuple, bytes: &[u8], why: DropReason) {
    let (input, answer) = give(&mut server(config), NOW, path, bytes);
    assert_eq!((input, answer), (Input::Dropped(why), None));
}

fn code(bytes: &[u8]) -> StatusCode {
    let message = Message::parse(bytes).unwrap();
    message.get::<ErrorCode<'_>>().unwrap().unwrap().code
}

/// What is left out is SOFTWARE, which RFC 8489 recommends.
///
/// req: STUN-12-2, STUN-6.3.1.1-5
#[test]
fn by_default_a_stranger_gets_the_address_in_32_bytes_and_nothing_else() {
    let mut basic = Server::new([0; 32], NOW);
    let (_, of_basic) = give(&mut basic, NOW, path(), &plain());
    let answer = answer(&ServerConfig::default(), path(), &plain());
    assert_eq!(of_basic.unwrap().payload, answer);
    assert_eq!(answer.len(), 32);
    let message = Message::parse(&answer).unwrap();
    assert_eq!(
        message.get().unwrap(),
        Some(XorMappedAddress(path().remote))
    );
    assert!(ServerConfig::default().access.is_open());
    assert!(ServerConfig::default().redirect.is_none());
}

/// req: STUN-12-3, STUN-12-4
#[test]
fn a_fingerprint_is_echoed_over_every_transport() {
    use Transport::{Dtls, Tcp, Tls, Udp};
    for transport in [Udp, Tcp, Tls, Dtls] {
        let path = over(transport, "192.0.2.1:5000");
        let config = ServerConfig::default();
        let with = answer(&config, path, &request(sealed));
        assert!(Message::parse(&with).unwrap().verify_fingerprint());
        assert!(
            !Message::parse(&answer(&config, path, &plain()))
                .unwrap()
                .has_fingerprint()
        );
    }
}

/// req: NATDISC-3-1
#[test]
fn classic_clients_are_served_neither_discovery_nor_where_users_are_wanted() {
    let classic = ServerConfig {
        classic: true,
        ..ServerConfig::default()
    };
    assert_eq!(classic.check(), Ok(()));
    let grid = AddressGrid::new(address("192.0.2.1:1"), address("192.0.2.2:2")).unwrap();
    let conflicts = [
        (
            ServerConfig {
                behaviour: Some(BehaviourService::udp(grid)),
                ..classic.clone()
            },
            ServerConfigError::ClassicBehaviour,
        ),
        (
            ServerConfig {
                access: Access::ShortTerm(vec![]),
                ..classic
            },
            ServerConfigError::ClassicUsers,
        ),
    ];
    for (config, error) in conflicts {
        assert_eq!(config.check(), Err(error));
        assert_eq!(Server::with_config(config, [0; 32], NOW).err(), Some(error));
    }
}

/// A Binding request of RFC 3489: 16 bytes of transaction id.
fn classic(attributes: &[u8]) -> Vec<u8> {
    let length = (attributes.len() as u16).to_be_bytes();
    let mut bytes = vec![0, 1, length[0], length[1]];
    bytes.extend(1..=16);
    bytes.extend(attributes);
    bytes
}

fn classic_config() -> ServerConfig {
    ServerConfig {
        classic: true,
        ..ServerConfig::default()
    }
}

/// req: STUN5389-12-1, STUN5389-12.2-1, STUN5389-12.2-2, STUN-12-6
#[test]
fn a_classic_client_gets_its_whole_id_and_a_plain_address() {
    let bytes = answer(&classic_config(), path(), &classic(b""));
    let expected = [
        &[1, 1, 0, 12][..],
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        &[0, 1, 0, 8, 0, 1, 0x13, 0x88, 192, 0, 2, 1],
    ];
    assert_eq!(bytes, expected.concat());
    // Others get what they always get.
    let modern = answer(&classic_config(), path(), &plain());
    assert_eq!(
        Message::parse(&modern).unwrap().get::<MappedAddress>(),
        Ok(None)
    );
    // Off unless switched on, and for UDP only.
    let off = ServerConfig::default();
    assert_silent(&off, path(), &classic(b""), DropReason::NotStun);
    let tcp = over(Transport::Tcp, "192.0.2.1:5000");
    assert_silent(&classic_config(), tcp, &classic(b""), DropReason::NotStun);
    // What only looks a little like it is not STUN.
    for bytes in [
        &classic(b"")[..19],
        &classic(b"xyz"),
        &[0x80; 20],
        &[0; 600],
    ] {
        assert_silent(&classic_config(), path(), bytes, DropReason::NotStun);
    }
}

/// req: STUN-6.3.1.1-2
#[test]
fn an_error_has_the_reason_phrase_of_its_code() {
    let unknown = request(|b| b.with_raw(AttributeType(0x7777), b""));
    let bytes = answer(&ServerConfig::default(), path(), &unknown);
    let message = Message::parse(&bytes).unwrap();
    let error: ErrorCode<'_> = message.get().unwrap().unwrap();
    assert_eq!(error.reason, "Unknown Attribute");
}

/// req: STUN-6.3.1-3
#[test]
fn a_request_that_comes_again_within_40_s_is_answered_with_the_same_bytes() {
    let mut server = server(&short_term());
    let request = signed(&mut alice());
    let first = give(&mut server, NOW, path(), &request);
    for later in [1, 39, 40] {
        let at = NOW + Duration::from_secs(later);
        assert_eq!(give(&mut server, at, path(), &request), first);
    }
    assert!(first.1.is_some());
}

fn credentials() -> Credentials {
    Credentials::new("alice", "a long password")
}

fn short_term() -> ServerConfig {
    ServerConfig {
        access: Access::ShortTerm(vec![credentials()]),
        ..ServerConfig::default()
    }
}

fn alice() -> ShortTermClient {
    ShortTermClient::with_algorithm(&credentials(), Algorithm::Sha256)
}

fn signed(client: &mut ShortTermClient) -> Vec<u8> {
    request(|builder| client.authenticate(builder))
}

/// req: STUN-9.1.3-3, STUN-9.1.3-5, STUN-9.1.3-8
#[test]
fn an_indication_without_valid_short_term_credentials_is_dropped() {
    let of = |name: &str, password: &str| {
        let client = ShortTermClient::new(&Credentials::new(name, password));
        message(Class::Indication, |builder| client.authenticate(builder))
    };
    let nobody = message(Class::Indication, |builder| builder);
    for bytes in [nobody, of("bob", "a long password"), of("alice", "a guess")] {
        assert_silent(&short_term(), path(), &bytes, DropReason::Unauthenticated);
    }
    let genuine = of("alice", "a long password");
    let (input, answer) = give(&mut server(&short_term()), NOW, path(), &genuine);
    assert_eq!((input, answer), (Input::Handled, None));
}

/// What a long-term user gets in the end.
fn authenticated(config: &ServerConfig, path: FiveTuple) -> (LongTermClient, Vec<u8>) {
    let mut server = server(config);
    let mut client = LongTermClient::new(credentials());
    let (_, challenge) = give(&mut server, NOW, path, &plain());
    let challenge = challenge.unwrap().payload;
    assert_eq!(code(&challenge), StatusCode::UNAUTHENTICATED);
    let message = Message::parse(&challenge).unwrap();
    assert!(matches!(message.get::<Realm<'_>>(), Ok(Some(_))));
    assert!(matches!(message.get::<Nonce<'_>>(), Ok(Some(_))));
    client.challenge(&message, false).unwrap();
    let request = request(|builder| client.authenticate(builder));
    let (_, answer) = give(&mut server, NOW, path, &request);
    (client, answer.unwrap().payload.to_vec())
}

fn redirecting(config: ServerConfig) -> ServerConfig {
    ServerConfig {
        redirect: Some(Redirect {
            ipv4: Some("203.0.113.9:3478".parse().unwrap()),
            ipv6: Some("[2001:db8::9]:3478".parse().unwrap()),
            domain: Some("other.example".into()),
        }),
        ..config
    }
}

/// The name must be protected by SHA-256.
///
/// req: STUN-10-4
#[test]
fn the_other_name_is_not_told_where_sha1_signs() {
    let told = |config: LongTermConfig| {
        let users = Arc::new(StaticUsers::new(REALM, &[credentials()]));
        let config = redirecting(ServerConfig {
            access: Access::LongTerm(config, users),
            ..ServerConfig::default()
        });
        let (_, bytes) = authenticated(&config, over(Transport::Tls, "192.0.2.1:5000"));
        assert_eq!(code(&bytes), StatusCode::TRY_ALTERNATE);
        let message = Message::parse(&bytes).unwrap();
        message
            .get::<AlternateDomain<'_>>()
            .unwrap()
            .map(|name| name.0.to_owned())
    };
    let mut config = LongTermConfig::new(REALM);
    assert_eq!(told(config.clone()).as_deref(), Some("other.example"));
    config.algorithms.clear();
    assert_eq!(told(config), None);
}

#[test]
fn the_other_name_is_a_dns_name() {
    let mut bad = redirecting(short_term());
    bad.redirect.as_mut().unwrap().domain = Some("no name".into());
    assert_eq!(bad.check(), Err(ServerConfigError::Domain));
}

fn limited(rate: u32, burst: u32, cells: u32) -> ServerConfig {
    let budget = Budget { rate, burst, cells };
    ServerConfig {
        budget: Some(budget),
        ..ServerConfig::default()
    }
}

fn is_answered(server: &mut Server, now: Instant, remote: &str) -> bool {
    let path = over(Transport::Udp, remote);
    let (input, answer) = give(server, now, path, &plain());
    assert_eq!(input == Input::Handled, answer.is_some());
    assert!(answer.is_some() || input == Input::Dropped(DropReason::Capacity));
    answer.is_some()
}

#[test]
fn a_network_gets_its_burst_and_then_its_rate() {
    let mut server = server(&limited(10, 3, 4096));
    let mut count = |now, remote, tries| {
        (0..tries)
            .filter(|_| is_answered(&mut server, now, remote))
            .count()
    };
    assert_eq!(count(NOW, "192.0.2.1:5000", 10), 3);
    // Another port is the same network, another address is not.
    assert_eq!(count(NOW, "192.0.2.1:5001", 10), 0);
    assert_eq!(count(NOW, "192.0.2.2:5000", 10), 3);
    assert_eq!(
        count(NOW + Duration::from_millis(99), "192.0.2.1:5000", 9),
        0
    );
    assert_eq!(
        count(NOW + Duration::from_millis(100), "192.0.2.1:5000", 9),
        1
    );
    assert_eq!(count(NOW + Duration::from_secs(10), "192.0.2.1:5000", 9), 3);
    // Of IPv6 a /56.
    assert_eq!(count(NOW, "[2001:db8:0:100::1]:1", 2), 2);
    assert_eq!(count(NOW, "[2001:db8:0:1ff::2]:2", 9), 1);
    assert_eq!(count(NOW, "[2001:db8:0:200::1]:1", 9), 3);
    // Time that goes back gives nothing.
    assert_eq!(count(Instant::ZERO, "192.0.2.1:5000", 9), 0);
}

#[test]
fn every_answer_to_a_stranger_counts_and_none_to_a_user() {
    let mut server = server(&ServerConfig {
        budget: limited(1, 2, 64).budget,
        ..short_term()
    });
    let refused = give(&mut server, NOW, path(), &plain());
    assert!(refused.1.is_some());
    assert!(give(&mut server, NOW, path(), &plain()).1.is_some());
    assert!(give(&mut server, NOW, path(), &plain()).1.is_none());
    for _ in 0..10 {
        assert!(
            give(&mut server, NOW, path(), &signed(&mut alice()))
                .1
                .is_some()
        );
    }
}

/// Even with few counters, most networks find one that is not used up.
#[test]
fn a_flood_from_one_network_leaves_others_their_answers() {
    let mut server = server(&limited(1, 4, 256));
    for _ in 0..1000 {
        is_answered(&mut server, NOW, "203.0.113.1:1");
    }
    let answered = (0..200)
        .filter(|n| is_answered(&mut server, NOW, &format!("192.0.2.{n}:1")))
        .count();
    assert!(answered >= 190, "{answered}");
}

/// req: STUN-6.3.1-6
#[test]
fn a_flood_from_any_number_of_sources_leaves_the_memory_as_it_is() {
    let mut server = server(&limited(100, 10, 1024));
    let mut requests: Vec<_> = (0..3)
        .map(|kind| match kind {
            0 => plain(),
            1 => request(sealed),
            _ => request(|b| b.with_raw(AttributeType(0x7777), b"x")),
        })
        .collect();
    // The queue of answers once.
    assert!(give(&mut server, NOW, path(), &plain()).1.is_some());
    let held = allocation_counter::measure(|| {
        for source in 0..100_000_u32 {
            let bytes = &mut requests[source as usize % 3];
            let remote = SocketAddr::new(IpAddr::V4((source << 8 | 1).into()), 5000);
            let path = FiveTuple { remote, ..path() };
            let _ = server.handle_input(NOW, Datagram::whole(path, bytes));
            drop(server.poll_transmit());
        }
    });
    assert_eq!(held.bytes_current, 0);
    assert!(held.count_total > 1000, "there were answers");
}

//! The server side of behaviour discovery (RFC 5780 §6).

use std::net::SocketAddr;

use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Transmit, Transport};
use floe_stun::{
    Access, AddressGrid, Algorithm, AttributeType, BehaviourService, Budget, Builder,
    ChangeRequest, Class, Credentials, ErrorCode, MappedAddress, Message, MessageType, Method,
    OtherAddress, Padding, Redirect, ResponseOrigin, ResponsePort, Server, ServerConfig,
    ServerConfigError, ShortTermClient, StatusCode, TransactionId, UnknownAttributes,
    XorMappedAddress,
};

const NOW: Instant = Instant::from_secs(1000);
const ID: TransactionId = TransactionId([5; 12]);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn client() -> SocketAddr {
    address("203.0.113.7:5000")
}

/// A1:P1, A1:P2, A2:P1, A2:P2.
fn grid() -> AddressGrid {
    AddressGrid::new(address("192.0.2.1:3478"), address("192.0.2.2:3479")).unwrap()
}

fn config() -> ServerConfig {
    ServerConfig {
        behaviour: Some(BehaviourService::udp(grid())),
        ..ServerConfig::default()
    }
}

fn one_address() -> ServerConfig {
    ServerConfig {
        behaviour: Some(BehaviourService::default()),
        ..ServerConfig::default()
    }
}

fn request(fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let len = fill(Builder::new(&mut buffer, kind, ID)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

fn ask_over(
    config: &ServerConfig,
    transport: Transport,
    local: SocketAddr,
    bytes: &[u8],
) -> Transmit {
    let mut server = Server::with_config(config.clone(), [1; 32], NOW).unwrap();
    let mut bytes = bytes.to_vec();
    let path = FiveTuple {
        transport,
        local,
        remote: client(),
    };
    let input = server.handle_input(NOW, Datagram::whole(path, &mut bytes));
    assert_eq!(input, Input::Handled);
    let answer = server.poll_transmit().unwrap();
    assert_eq!(answer.path.transport, transport);
    assert!(server.poll_transmit().is_none());
    answer
}

fn ask(config: &ServerConfig, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Transmit {
    ask_over(config, Transport::Udp, grid().all()[0], &request(fill))
}

fn code(answer: &Transmit) -> StatusCode {
    let message = Message::parse(&answer.payload).unwrap();
    message.get::<ErrorCode<'_>>().unwrap().unwrap().code
}

fn unknown(answer: &Transmit) -> Vec<AttributeType> {
    assert_eq!(code(answer), StatusCode::UNKNOWN_ATTRIBUTE);
    let message = Message::parse(&answer.payload).unwrap();
    message
        .get::<UnknownAttributes<'_>>()
        .unwrap()
        .unwrap()
        .iter()
        .collect()
}

fn has(answer: &Transmit, kind: AttributeType) -> bool {
    let message = Message::parse(&answer.payload).unwrap();
    message.attributes().any(|raw| raw.kind == kind)
}

/// Table 1, for each of the four addresses that can be asked.
///
/// req: NATDISC-6-1, NATDISC-6.1-3, NATDISC-6.1-4, NATDISC-6.1-5
#[test]
fn the_response_comes_from_where_the_flags_say_and_says_so() {
    let [a1p1, a1p2, a2p1, a2p2] = grid().all();
    // For each Da:Dp the others: port, IP and both changed.
    for [none, port, ip, both] in [
        [a1p1, a1p2, a2p1, a2p2],
        [a1p2, a1p1, a2p2, a2p1],
        [a2p1, a2p2, a1p1, a1p2],
        [a2p2, a2p1, a1p2, a1p1],
    ] {
        let flags = |ip, port| Some(ChangeRequest { ip, port });
        for (change, origin) in [
            (None, none),
            (flags(false, false), none),
            (flags(false, true), port),
            (flags(true, false), ip),
            (flags(true, true), both),
        ] {
            let bytes = request(|builder| builder.with_some(change.as_ref()));
            let answer = ask_over(&config(), Transport::Udp, none, &bytes);
            assert_eq!(answer.path, FiveTuple::udp(origin, client()), "{change:?}");
            let message = Message::parse(&answer.payload).unwrap();
            assert_eq!(message.get(), Ok(Some(ResponseOrigin(origin))));
            assert_eq!(message.get(), Ok(Some(OtherAddress(both))));
        }
    }
}

/// req: NATDISC-6.1-1
#[test]
fn the_mapped_address_is_told_hidden_and_in_clear() {
    for config in [config(), one_address()] {
        let answer = ask(&config, |builder| builder);
        let message = Message::parse(&answer.payload).unwrap();
        assert_eq!(message.get(), Ok(Some(MappedAddress(client()))));
        assert_eq!(message.get(), Ok(Some(XorMappedAddress(client()))));
    }
}

/// req: NATDISC-6-3, NATDISC-6-4, NATDISC-6.1-2, NATDISC-7.4-1
#[test]
fn a_server_with_one_address_tells_no_other_and_changes_nothing() {
    let change = ChangeRequest {
        ip: false,
        port: false,
    };
    for config in [one_address(), ServerConfig::default()] {
        let answer = ask(&config, |builder| builder);
        assert!(!has(&answer, AttributeType::OTHER_ADDRESS));
        let answer = ask(&config, |builder| builder.with(&change));
        assert_eq!(unknown(&answer), [AttributeType::CHANGE_REQUEST]);
        assert_eq!(answer.path.local, grid().all()[0]);
    }
    // Nor does one that is asked where it has no other address.
    let elsewhere = address("192.0.2.3:3478");
    let bytes = request(|builder| builder.with(&change));
    let answer = ask_over(&config(), Transport::Udp, elsewhere, &bytes);
    assert_eq!(unknown(&answer), [AttributeType::CHANGE_REQUEST]);
    let bytes = request(|builder| builder);
    let answer = ask_over(&config(), Transport::Udp, elsewhere, &bytes);
    assert!(!has(&answer, AttributeType::OTHER_ADDRESS));
}

/// req: NATDISC-5-2, NATDISC-6-5
#[test]
fn a_server_with_one_address_cannot_be_advertised() {
    let advertised = |grid: Option<AddressGrid>| ServerConfig {
        behaviour: Some(BehaviourService {
            udp: grid,
            advertised: true,
            ..BehaviourService::default()
        }),
        ..ServerConfig::default()
    };
    assert_eq!(advertised(None).check(), Err(ServerConfigError::OneAddress));
    assert_eq!(advertised(Some(grid())).check(), Ok(()));
    let error = Err(ServerConfigError::Grid);
    for (primary, alternate) in [
        ("192.0.2.1:1", "192.0.2.1:2"),
        ("192.0.2.1:1", "192.0.2.2:1"),
        ("192.0.2.1:1", "[2001:db8::1]:2"),
        ("0.0.0.0:1", "192.0.2.2:2"),
        ("192.0.2.1:1", "192.0.2.2:0"),
    ] {
        assert_eq!(
            AddressGrid::new(address(primary), address(alternate)),
            error
        );
    }
}

/// req: NATDISC-6-2
#[test]
fn tcp_and_tls_have_different_ports() {
    let with_tls = |tls: AddressGrid| ServerConfig {
        behaviour: Some(BehaviourService {
            tcp: Some(grid()),
            tls: Some(tls),
            ..BehaviourService::default()
        }),
        ..ServerConfig::default()
    };
    let of = |p1, p2| {
        let [a1, a2] = [grid().all()[0].ip(), grid().all()[2].ip()];
        AddressGrid::new(SocketAddr::new(a1, p1), SocketAddr::new(a2, p2)).unwrap()
    };
    assert_eq!(with_tls(of(5349, 5350)).check(), Ok(()));
    for shared in [of(3478, 5350), of(5349, 3478), of(3479, 3478)] {
        assert_eq!(with_tls(shared).check(), Err(ServerConfigError::SharedPort));
    }
}

/// A connection has one end: the other address is told, and nothing can come from there.
#[test]
fn over_tcp_the_other_address_is_told_and_nothing_else() {
    let config = ServerConfig {
        behaviour: Some(BehaviourService {
            tcp: Some(grid()),
            ..BehaviourService::default()
        }),
        ..ServerConfig::default()
    };
    let [a1p1, .., a2p2] = grid().all();
    let over_tcp = |fill: fn(Builder<'_>) -> Builder<'_>| {
        ask_over(&config, Transport::Tcp, a1p1, &request(fill))
    };
    let answer = over_tcp(|builder| builder);
    let message = Message::parse(&answer.payload).unwrap();
    assert_eq!(message.get(), Ok(Some(OtherAddress(a2p2))));
    let answer = over_tcp(|builder| {
        builder
            .with(&ChangeRequest::default())
            .with(&ResponsePort(1))
    });
    assert_eq!(
        unknown(&answer),
        [AttributeType::CHANGE_REQUEST, AttributeType::RESPONSE_PORT]
    );
}

/// The MTU would make an amplifier of the server; the padding of the request is what it gets back.
///
/// req: NATDISC-6.1-6
#[test]
fn padding_is_answered_with_padding_that_outgrows_no_request() {
    for len in [0, 4, 100, 101, 1500, 9000, 65_000] {
        let padding = vec![0xAA; len];
        let bytes = request(|builder| builder.with(&Padding(&padding)).with_fingerprint());
        for config in [config(), one_address()] {
            let answer = ask_over(&config, Transport::Udp, grid().all()[0], &bytes);
            let message = Message::parse(&answer.payload).unwrap();
            let padding: Padding<'_> = message.get().unwrap().unwrap();
            assert_eq!(padding.0.len() % 4, 0);
            assert!(padding.0.iter().all(|&byte| byte == 0));
            assert!(message.verify_fingerprint());
            let with_none = answer.payload.len() - padding.0.len();
            if bytes.len() < with_none {
                assert!(padding.0.is_empty());
            } else {
                // As long as the request: if that is larger than the MTU, so is the answer.
                assert_eq!(answer.payload.len(), bytes.len());
            }
        }
    }
    let answer = ask(&ServerConfig::default(), |b| b.with(&Padding(&[0; 8])));
    assert_eq!(unknown(&answer), [AttributeType::PADDING]);
}

/// req: NATDISC-6.1-7, NATDISC-7.5-2
#[test]
fn padding_with_response_port_is_a_bad_request() {
    for config in [config(), one_address()] {
        let answer = ask(&config, |builder| {
            builder.with(&ResponsePort(4000)).with(&Padding(&[0; 1500]))
        });
        assert_eq!(code(&answer), StatusCode::BAD_REQUEST);
        // To where it came from.
        assert_eq!(answer.path.remote, client());
        assert!(!has(&answer, AttributeType::PADDING));
    }
}

/// req: NATDISC-7.5-1
#[test]
fn the_response_goes_to_the_port_that_was_asked_for_at_the_same_address() {
    for config in [config(), one_address()] {
        let answer = ask(&config, |builder| builder.with(&ResponsePort(4000)));
        let expected = SocketAddr::new(client().ip(), 4000);
        assert_eq!(answer.path.remote, expected);
        let message = Message::parse(&answer.payload).unwrap();
        assert_eq!(message.get(), Ok(Some(XorMappedAddress(client()))));
        // No packet can go to port 0.
        let answer = ask(&config, |builder| builder.with(&ResponsePort(0)));
        assert_eq!(code(&answer), StatusCode::BAD_REQUEST);
        assert_eq!(answer.path.remote, client());
    }
}

#[test]
fn malformed_attributes_are_bad_requests() {
    for kind in [AttributeType::CHANGE_REQUEST, AttributeType::RESPONSE_PORT] {
        let answer = ask(&config(), |builder| builder.with_raw(kind, &[0; 5]));
        assert_eq!(code(&answer), StatusCode::BAD_REQUEST);
    }
}

/// req: NATDISC-5.2-1, NATDISC-6.1-8
#[test]
fn where_users_are_wanted_answers_are_signed_and_strangers_get_no_discovery() {
    let credentials = Credentials::new("alice", "a long password");
    let config = ServerConfig {
        access: Access::ShortTerm(vec![credentials.clone()]),
        ..config()
    };
    let mut alice = ShortTermClient::with_algorithm(&credentials, Algorithm::Sha256);
    let both = ChangeRequest {
        ip: true,
        port: true,
    };
    let answer = ask(&config, |builder| alice.authenticate(builder.with(&both)));
    assert_eq!(answer.path.local, grid().all()[3]);
    let message = Message::parse(&answer.payload).unwrap();
    assert!(alice.verify(&message, Some(Algorithm::Sha256)));
    assert_eq!(message.get(), Ok(Some(OtherAddress(grid().all()[3]))));

    let answer = ask(&config, |builder| builder.with(&both));
    assert_eq!(code(&answer), StatusCode::BAD_REQUEST);
    assert_eq!(answer.path.local, grid().all()[0]);
    assert!(!has(&answer, AttributeType::OTHER_ADDRESS));
}

/// req: NATDISC-6.1-9
#[test]
fn discovery_and_redirection_exclude_each_other() {
    let config = ServerConfig {
        access: Access::ShortTerm(vec![]),
        redirect: Some(Redirect::default()),
        ..config()
    };
    assert_eq!(config.check(), Err(ServerConfigError::RedirectBehaviour));
}

/// Nothing that a stranger asks for is answered beyond the budget of his network.
#[test]
fn the_second_address_answers_under_the_same_budget() {
    let config = ServerConfig {
        budget: Some(Budget {
            rate: 1,
            burst: 3,
            cells: 64,
        }),
        ..config()
    };
    let mut server = Server::with_config(config, [1; 32], NOW).unwrap();
    let both = ChangeRequest {
        ip: true,
        port: true,
    };
    let mut requests = [
        request(|builder| builder.with(&both)),
        request(|builder| builder.with(&ResponsePort(53))),
        request(|builder| builder.with(&Padding(&[0; 1500]))),
        request(|builder| builder.with(&both)),
    ];
    let mut inputs = vec![];
    for (request, local) in requests.iter_mut().zip(grid().all()) {
        let path = FiveTuple::udp(local, client());
        inputs.push(server.handle_input(NOW, Datagram::whole(path, request)));
    }
    assert_eq!(inputs[..3], [Input::Handled; 3]);
    assert_eq!(inputs[3], Input::Dropped(DropReason::Capacity));
}

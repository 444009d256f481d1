//! The client's side of ALTERNATE-SERVER and ALTERNATE-DOMAIN (RFC 8489 §10).

#[path = "common/client.rs"]
#[allow(dead_code, unreachable_pub)] // shared by several tests
mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Asker, NOW, over};
use floe_sansio::{FiveTuple, Input, Transport};
use floe_stun::{
    Access, AlternateDomain, AlternateServer, AttributeType, Authentication, BindingError, Builder,
    Class, ClientConfig, ClientEvent, ConnectedError, Credentials, ErrorCode, Key, LongTermClient,
    LongTermConfig, MAX_REDIRECTS, Nonce, Realm, Redirect, Server, ServerConfig, ShortTermClient,
    StaticUsers, StatusCode, Username, XorMappedAddress,
};

const DOMAIN: &str = "stun.example.org";
const TRY_ALTERNATE: ClientEvent =
    ClientEvent::Failed(BindingError::Rejected(StatusCode::TRY_ALTERNATE));
const LOOP: ClientEvent = ClientEvent::Failed(BindingError::RedirectLoop);

fn credentials() -> Credentials {
    Credentials::new("alice", "password")
}

/// Follows redirection, with a short-term credential.
fn config(transport: Transport) -> ClientConfig {
    ClientConfig {
        authentication: Authentication::ShortTerm(ShortTermClient::new(&credentials())),
        ..ClientConfig::standalone(over(transport), Some(DOMAIN))
    }
}

fn first() -> SocketAddr {
    over(Transport::Udp).remote
}

fn other() -> SocketAddr {
    "198.51.100.2:3479".parse().unwrap()
}

fn to(server: SocketAddr, transport: Transport) -> FiveTuple {
    FiveTuple {
        remote: server,
        ..over(transport)
    }
}

fn key() -> Key {
    Key::short_term("password")
}

fn refer<'b>(builder: Builder<'b>, servers: &[SocketAddr]) -> Builder<'b> {
    let builder = builder.with(&ErrorCode::of(StatusCode::TRY_ALTERNATE));
    servers.iter().fold(builder, |builder, &server| {
        builder.with(&AlternateServer(server))
    })
}

/// Sends the client on, and proves it.
fn send_on(asker: &mut Asker, servers: &[SocketAddr]) {
    let input = asker.answer(Class::Error, |r| {
        refer(r, servers).with_integrity_sha256(&key())
    });
    assert_eq!(input, Input::Handled);
}

/// Answers with an address.
fn succeed(asker: &mut Asker) {
    let address = XorMappedAddress("203.0.113.7:1234".parse().unwrap());
    let _ = asker.answer(Class::Success, |r| {
        r.with(&address).with_integrity_sha256(&key())
    });
    let event = asker.event();
    assert!(
        matches!(event, Some(ClientEvent::Mapped { .. })),
        "{event:?}"
    );
}

/// req: STUN-10-5, STUN-10-6, STUN-14.15-1
#[test]
fn a_genuine_300_sends_the_request_on_with_the_same_credentials() {
    let mut asker = Asker::asked(config(Transport::Udp));
    let id = asker.id();
    send_on(&mut asker, &[other()]);
    assert_eq!(asker.event(), None);
    assert_eq!(asker.last().path, to(other(), Transport::Udp));
    assert_eq!(asker.client.path(), to(other(), Transport::Udp));
    let request = asker.request();
    assert_ne!(request.transaction_id(), id);
    assert_eq!(request.get().unwrap(), Some(Username("alice")));
    assert!(request.verify(&key(), request.integrity().unwrap()));
    // The old one is over: its retransmission, and its responses.
    let sent = asker.sent.len();
    asker.wait(Duration::from_millis(10));
    assert_eq!(asker.sent.len(), sent);
    succeed(&mut asker);
}

/// Both mechanisms, with servers that mean it.
///
/// req: STUN-10-5, STUN-10-6
#[test]
fn a_server_sends_its_users_on_and_they_arrive() {
    let SocketAddr::V4(ipv4) = other() else {
        panic!("an IPv4 address");
    };
    let long_term = |realm| {
        let users = StaticUsers::new(realm, &[credentials()]);
        Access::LongTerm(LongTermConfig::new(realm), std::sync::Arc::new(users))
    };
    let short_term = || Access::ShortTerm(vec![credentials()]);
    for (old, new) in [
        (short_term(), short_term()),
        (long_term("a"), long_term("a")),
        (long_term("a"), long_term("b")),
    ] {
        let authentication = match old {
            Access::ShortTerm(_) => config(Transport::Udp).authentication,
            _ => Authentication::LongTerm(LongTermClient::new(credentials())),
        };
        let server = |access, redirect, seed| {
            let config = ServerConfig {
                access,
                redirect,
                ..ServerConfig::default()
            };
            Server::with_config(config, [seed; 32], NOW).unwrap()
        };
        let redirect = Redirect {
            ipv4: Some(ipv4),
            ..Redirect::default()
        };
        let mut asker = Asker::asked(ClientConfig {
            authentication,
            ..config(Transport::Udp)
        });
        // Each answers what reaches it; here all that is sent is to the first until it sends on.
        let mut servers = [server(old, Some(redirect), 1), server(new, None, 2)];
        while asker.client.poll_timeout().is_some() {
            let sent = asker.last().clone();
            let at = usize::from(sent.path.remote == other());
            let mut bytes = sent.payload.to_vec();
            let datagram = floe_sansio::Datagram::whole(sent.path.mirrored(), &mut bytes);
            let _ = servers[at].handle_input(asker.now, datagram);
            let answer = servers[at].poll_transmit().unwrap();
            let mut bytes = answer.payload.to_vec();
            let datagram = floe_sansio::Datagram::whole(answer.path.mirrored(), &mut bytes);
            assert_eq!(
                asker.client.handle_input(asker.now, datagram),
                Input::Handled
            );
            asker.collect();
        }
        let event = asker.event();
        assert!(
            matches!(event, Some(ClientEvent::Mapped { .. })),
            "{event:?}"
        );
        assert_eq!(asker.client.path().remote, other());
    }
}

/// req: STUN-14.8-7
#[test]
fn a_forged_300_is_ignored() {
    let mut asker = Asker::asked(config(Transport::Udp));
    let _ = asker.answer(Class::Error, |r| refer(r, &[other()]));
    let _ = asker.answer(Class::Error, |r| {
        refer(r, &[other()]).with_integrity(&Key::short_term("guessed"))
    });
    asker.pass(NOW + Duration::from_millis(39_500));
    assert_eq!(asker.sent.len(), 7, "retransmission goes on");
    assert!(asker.sent.iter().all(|sent| sent.path.remote == first()));
    let violated = ClientEvent::Failed(BindingError::IntegrityViolated);
    assert_eq!(asker.events(), [violated]);
}

/// Whoever has no credentials cannot tell who sends it on.
///
/// req: STUN-14.8-7, STUN-6.3.4-2, STUN-9.2.3.1-2
#[test]
fn without_credentials_a_300_is_a_failure() {
    let mut asker = Asker::asked(ClientConfig {
        authentication: Authentication::None,
        ..config(Transport::Udp)
    });
    let _ = asker.answer(Class::Error, |r| refer(r, &[other()]));
    assert_eq!(asker.events(), [TRY_ALTERNATE]);

    let mut asker = Asker::asked(ClientConfig {
        authentication: Authentication::LongTerm(LongTermClient::new(credentials())),
        ..config(Transport::Udp)
    });
    let _ = asker.answer(Class::Error, |r| refer(r, &[other()]));
    assert_eq!((asker.event(), asker.sent.len()), (None, 1));
    // Once challenged, it can.
    let _ = asker.answer(Class::Error, |r| {
        let code = ErrorCode::of(StatusCode::UNAUTHENTICATED);
        r.with(&code).with(&Realm("a")).with(&Nonce("b"))
    });
    let _ = asker.answer(Class::Error, |r| {
        refer(r, &[other()]).with_integrity(&Key::long_term("alice", "a", "password"))
    });
    assert_eq!(asker.last().path.remote, other());
    // What the first server told of itself is not for the second (RFC 8489 §9.2.3.1).
    assert_eq!(asker.request().get::<Username<'_>>(), Ok(None));
    assert_eq!(asker.request().get::<Nonce<'_>>(), Ok(None));
}

/// Also where it has been learnt by the client of another address of the old one.
///
/// req: STUN-9.2.3.1-2
#[test]
fn what_is_known_of_one_server_is_not_for_the_one_it_sends_to() {
    let asked = |authentication| {
        Asker::asked(ClientConfig {
            authentication,
            ..config(Transport::Udp)
        })
    };
    let fresh = LongTermClient::new(credentials());
    let mut asker = asked(Authentication::LongTerm(fresh));
    let _ = asker.answer(Class::Error, |r| {
        let code = ErrorCode::of(StatusCode::UNAUTHENTICATED);
        r.with(&code).with(&Realm("a")).with(&Nonce("b"))
    });
    let mut asker = asked(asker.client.authentication().clone());
    assert_eq!(asker.request().get(), Ok(Some(Nonce("b"))));
    let _ = asker.answer(Class::Error, |r| {
        refer(r, &[other()]).with_integrity(&Key::long_term("alice", "a", "password"))
    });
    assert_eq!(asker.last().path.remote, other());
    assert_eq!(asker.request().get::<Username<'_>>(), Ok(None));
    assert_eq!(asker.request().get::<Nonce<'_>>(), Ok(None));
}

/// req: STUN-6.3.4-2
#[test]
fn where_the_usage_does_not_follow_a_300_is_a_failure() {
    let mut asker = Asker::asked(ClientConfig {
        redirects: 0,
        ..config(Transport::Udp)
    });
    send_on(&mut asker, &[other()]);
    assert_eq!(asker.events(), [TRY_ALTERNATE]);
    assert_eq!(asker.sent.len(), 1);
}

#[test]
fn only_an_address_that_can_be_reached_is_followed() {
    let ipv6: SocketAddr = "[2001:db8::2]:3478".parse().unwrap();
    let unusable = ["0.0.0.0:3478", "224.0.0.1:3478", "198.51.100.3:0"]
        .map(|address| address.parse().unwrap());
    let [any, many, no_port] = unusable;
    for offer in [
        &[other(), ipv6][..],
        &[ipv6, other()],
        &[any, many, no_port, other()],
    ] {
        let mut asker = Asker::asked(config(Transport::Udp));
        send_on(&mut asker, offer);
        assert_eq!(asker.last().path.remote, other());
    }
    for offer in [&[][..], &[ipv6], &unusable] {
        let mut asker = Asker::asked(config(Transport::Udp));
        send_on(&mut asker, offer);
        let none = ClientEvent::Failed(BindingError::NoAlternate);
        assert_eq!((asker.sent.len(), asker.events()), (1, vec![none]));
    }
}

/// A sends to B; B is asked for its address now and then, and sends back to A at last.
///
/// req: STUN-10-8
#[test]
fn a_server_that_was_asked_less_than_five_minutes_ago_is_not_asked_again() {
    for (seconds, follows) in [(4 * 60 + 59, false), (5 * 60 + 1, true)] {
        let mut asker = Asker::asked(config(Transport::Udp));
        send_on(&mut asker, &[other()]);
        succeed(&mut asker);
        asker.pass(NOW + Duration::from_secs(seconds));
        asker.bind();
        send_on(&mut asker, &[first()]);
        if follows {
            assert_eq!((asker.last().path.remote, asker.event()), (first(), None));
        } else {
            assert_eq!(
                (asker.last().path.remote, asker.events()),
                (other(), vec![LOOP])
            );
        }
    }
}

/// req: STUN-10-8
#[test]
fn a_server_that_sends_to_itself_or_back_makes_no_loop() {
    let mut asker = Asker::asked(config(Transport::Udp));
    send_on(&mut asker, &[first()]);
    assert_eq!((asker.sent.len(), asker.events()), (1, vec![LOOP]));

    let mut asker = Asker::asked(config(Transport::Udp));
    send_on(&mut asker, &[other()]);
    send_on(&mut asker, &[first()]);
    assert_eq!((asker.sent.len(), asker.events()), (2, vec![LOOP]));
}

#[test]
fn a_chain_of_servers_has_an_end() {
    let mut asker = Asker::asked(config(Transport::Udp));
    for port in 1..=MAX_REDIRECTS as u16 {
        send_on(&mut asker, &[SocketAddr::new(other().ip(), port)]);
        assert_eq!(asker.event(), None);
    }
    send_on(&mut asker, &[SocketAddr::new(other().ip(), 1000)]);
    assert_eq!(asker.events(), [LOOP]);
    assert_eq!(asker.sent.len(), 1 + MAX_REDIRECTS);
}

/// The same transport, and nothing before it stands.
///
/// req: STUN-10-5, STUN-6.2.3-8
#[test]
fn over_a_connection_the_owner_is_asked_to_connect_first() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Dtls] {
        let mut asker = Asker::asked(config(transport));
        send_on(&mut asker, &[other()]);
        let path = to(other(), transport);
        let close = ClientEvent::Close {
            path: over(transport),
        };
        assert_eq!(asker.events(), [close, ClientEvent::Connect { path }]);
        asker.wait(Duration::from_secs(10));
        assert_eq!(asker.sent.len(), 1);
        let wrong = asker.client.connected(asker.now, over(transport));
        assert_eq!(wrong, Err(ConnectedError::OtherServer));
        let local = "192.0.2.1:5001".parse().unwrap();
        let connected = FiveTuple { local, ..path };
        asker.client.connected(asker.now, connected).unwrap();
        asker.collect();
        assert_eq!((asker.sent.len(), asker.last().path), (2, connected));
        succeed(&mut asker);
        // Or it does not.
        let mut asker = Asker::asked(config(transport));
        send_on(&mut asker, &[other()]);
        let _ = asker.events();
        asker.client.disconnected(asker.now);
        asker.wait(Duration::from_secs(60));
        let gone = ClientEvent::Failed(BindingError::Disconnected);
        assert_eq!((asker.sent.len(), asker.events()), (1, vec![gone]));
    }
}

/// req: STUN-10-7
#[test]
fn certificates_are_checked_against_the_alternate_domain_else_the_original_one() {
    for transport in [Transport::Tls, Transport::Dtls] {
        let mut asker = Asker::asked(config(transport));
        assert_eq!(asker.client.domain(), Some(DOMAIN));
        let third = "198.51.100.3:3478".parse().unwrap();
        for (server, named, expected) in [
            (other(), Some("other.example.net"), "other.example.net"),
            (third, None, DOMAIN),
        ] {
            let _ = asker.answer(Class::Error, |r| {
                refer(r, &[server])
                    .with_some(named.map(AlternateDomain).as_ref())
                    .with_integrity_sha256(&key())
            });
            assert_eq!(asker.client.domain(), Some(expected));
            let path = to(server, transport);
            asker.client.connected(asker.now, path).unwrap();
            asker.collect();
        }
        // A name that is none is no reason to trust another.
        let mut asker = Asker::asked(config(transport));
        let _ = asker.answer(Class::Error, |r| {
            refer(r, &[other()])
                .with_raw(AttributeType::ALTERNATE_DOMAIN, b"not a name")
                .with_integrity_sha256(&key())
        });
        let unusable = ClientEvent::Failed(BindingError::Unusable);
        assert_eq!(asker.events(), [unusable]);
        assert_eq!(asker.client.path(), over(transport));
        // Without a domain there is nothing to check the next certificate against.
        let nameless = ClientConfig {
            domain: None,
            ..config(transport)
        };
        assert!(nameless.check().is_err());
        let nameless = ClientConfig::standalone(over(transport), None);
        assert_eq!((nameless.check(), nameless.redirects), (Ok(()), 0));
    }
}

//! Where servers find the keys of their users.

use std::sync::Arc;
use std::time::Duration;

use floe_sansio::{Datagram, DropReason, FiveTuple, Input, Instant, Transport};
use floe_stun::{
    Access, Builder, Checked, Class, Credentials, ErrorCode, KeyDerivation, LongTermClient,
    LongTermConfig, LongTermServer, MAX_PARKED, Message, MessageType, Method, Refusal, Server,
    ServerConfig, StaticUsers, StatusCode, TimeLimitedUsers, TransactionId, User, UserAnswer,
    UserHash, UserName, UserQuery, UserWanted, Users,
};

const NOW: Instant = Instant::from_secs(100);
/// Unix time of the epoch of the machines.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);
const ID: TransactionId = TransactionId([7; 12]);
const REALM: &str = "floe.test";

/// Does not know its users itself.
struct Elsewhere;

impl Users for Elsewhere {
    fn find(&self, _: &UserQuery<'_>) -> UserAnswer {
        UserAnswer::Later
    }
}

fn query(name: UserName<'_>, derivation: KeyDerivation) -> UserQuery<'_> {
    UserQuery {
        now: NOW,
        realm: REALM,
        name,
        derivation,
    }
}

fn found(users: &impl Users, name: &str) -> Option<u64> {
    match users.find(&query(UserName::Plain(name), KeyDerivation::Sha256)) {
        UserAnswer::Known(User { id, .. }) => Some(id),
        _ => None,
    }
}

fn time_limited() -> TimeLimitedUsers {
    TimeLimitedUsers::new("north", EPOCH, Duration::from_secs(86_400))
}

/// A whole exchange: challenge, request, check.
fn authenticate(users: &impl Users, credentials: Credentials) -> Result<Checked<'static>, Refusal> {
    let source = "192.0.2.1:5000".parse().unwrap();
    let mut config = LongTermConfig::new(REALM);
    config.algorithms = vec![KeyDerivation::Sha256];
    let server = LongTermServer::new(&config, [1; 32], NOW);
    let mut client = LongTermClient::new(credentials);
    let mut buffer = [0; 512];
    let error = MessageType::new(Class::Error, Method::BINDING);
    let builder =
        Builder::new(&mut buffer, error, ID).with(&ErrorCode::of(StatusCode::UNAUTHENTICATED));
    let len = server
        .with_challenge(builder, NOW, source)
        .finish()
        .unwrap();
    let challenge = Message::parse(&buffer[..len]).unwrap();
    client.challenge(&challenge, false).unwrap();
    let request = MessageType::new(Class::Request, Method::BINDING);
    let mut buffer = [0; 512];
    let len = client
        .authenticate(Builder::new(&mut buffer, request, ID))
        .finish()
        .unwrap();
    let request = Message::parse(&buffer[..len]).unwrap();
    match server.check(NOW, source, &request, users)? {
        Checked::Authenticated { id, seal } => Ok(Checked::Authenticated { id, seal }),
        Checked::Later(claim) => {
            // The owner finds the user in the end, or not.
            assert_eq!(claim.derivation, KeyDerivation::Sha256);
            let users = StaticUsers::new(REALM, &[Credentials::new("alice", "wonderland")]);
            let UserAnswer::Known(user) = users.find(&query(claim.name, claim.derivation)) else {
                return Err(server.verify(&request, &claim, None).unwrap_err());
            };
            let (id, seal) = server.verify(&request, &claim, Some(user))?;
            Ok(Checked::Authenticated { id, seal })
        }
    }
}

fn id(checked: Result<Checked<'_>, Refusal>) -> Result<u64, Refusal> {
    match checked? {
        Checked::Authenticated { id, .. } => Ok(id),
        Checked::Later(claim) => panic!("{claim:?}"),
    }
}

#[test]
fn a_list_finds_users_by_name_and_by_hash() {
    let list = [Credentials::new("alice", "a"), Credentials::new("bob", "b")];
    let users = StaticUsers::new(REALM, &list);
    assert_eq!((users.len(), users.is_empty()), (2, false));
    assert_eq!(found(&users, "bob"), Some(1));
    assert_eq!(found(&users, "carol"), None);
    for derivation in [KeyDerivation::Md5, KeyDerivation::Sha256] {
        let by_hash = query(UserName::Hash(UserHash::of("bob", REALM)), derivation);
        assert!(matches!(
            users.find(&by_hash),
            UserAnswer::Known(User { id: 1, .. })
        ));
    }
    let other_realm = query(
        UserName::Hash(UserHash::of("bob", "other")),
        KeyDerivation::Md5,
    );
    assert!(matches!(users.find(&other_realm), UserAnswer::Unknown));
    assert!(!format!("{users:?}").contains("alice"));
}

#[test]
fn the_owner_may_answer_later() {
    let alice = Credentials::new("alice", "wonderland");
    assert_eq!(id(authenticate(&Elsewhere, alice)), Ok(0));
    for wrong in [
        Credentials::new("alice", "guess"),
        Credentials::new("bob", "wonderland"),
    ] {
        let checked = id(authenticate(&Elsewhere, wrong));
        assert_eq!(checked, Err(Refusal::Unauthenticated));
    }
}

/// A server that does not know its users itself, and a client that it has challenged.
struct Exchange {
    server: Server,
    client: LongTermClient,
    path: FiveTuple,
}

impl Exchange {
    fn new(transport: Transport, credentials: Credentials) -> Self {
        let config = ServerConfig {
            access: Access::LongTerm(LongTermConfig::new(REALM), Arc::new(Elsewhere)),
            ..ServerConfig::default()
        };
        let path = FiveTuple {
            transport,
            local: "192.0.2.2:3478".parse().unwrap(),
            remote: "192.0.2.1:5000".parse().unwrap(),
        };
        let mut exchange = Self {
            server: Server::with_config(config, [3; 32], NOW).unwrap(),
            client: LongTermClient::new(credentials),
            path,
        };
        let first = exchange.request(0);
        assert_eq!(exchange.send(&first), Input::Handled);
        let challenge = exchange.server.poll_transmit().unwrap().payload;
        let challenge = Message::parse(&challenge).unwrap();
        exchange.client.challenge(&challenge, false).unwrap();
        exchange
    }

    fn request(&self, number: u8) -> Vec<u8> {
        let mut buffer = vec![0; 512];
        let request = MessageType::new(Class::Request, Method::BINDING);
        let builder = Builder::new(&mut buffer, request, TransactionId([number; 12]));
        let len = self.client.authenticate(builder).finish().unwrap();
        buffer.truncate(len);
        buffer
    }

    fn send(&mut self, request: &[u8]) -> Input {
        let mut buffer = request.to_vec();
        let datagram = Datagram::whole(self.path, &mut buffer);
        self.server.handle_input(NOW, datagram)
    }
}

fn alice_found(wanted: &UserWanted) -> Option<User> {
    let users = StaticUsers::new(REALM, &[Credentials::new("alice", "wonderland")]);
    let name = match &wanted.name {
        Ok(name) => UserName::Plain(name),
        Err(hash) => UserName::Hash(*hash),
    };
    match users.find(&query(name, wanted.derivation)) {
        UserAnswer::Known(user) => Some(user),
        _ => None,
    }
}

#[test]
fn a_request_waits_until_its_user_is_found() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for (name, class) in [("alice", Class::Success), ("bob", Class::Error)] {
            let mut exchange = Exchange::new(transport, Credentials::new(name, "wonderland"));
            let request = exchange.request(1);
            assert_eq!(exchange.send(&request), Input::Handled);
            assert!(exchange.server.poll_transmit().is_none());
            // The retransmission waits for the same answer.
            let again = exchange.send(&request);
            assert_eq!(again, Input::Dropped(DropReason::Capacity));
            let wanted = exchange.server.poll_event().unwrap();
            assert_eq!(wanted.name.as_deref(), Ok(name));
            assert_eq!(exchange.server.poll_event(), None);

            let found = alice_found(&wanted);
            exchange.server.answer_user(NOW, wanted.ticket, found);
            let response = exchange.server.poll_transmit().unwrap();
            assert_eq!(response.path, exchange.path);
            let response = Message::parse(&response.payload).unwrap();
            assert_eq!(response.class(), class);
            assert_eq!(
                exchange.client.verify(&response),
                class == Class::Success,
                "{name}"
            );
            // A ticket is good once.
            let found = alice_found(&wanted);
            exchange.server.answer_user(NOW, wanted.ticket, found);
            assert!(exchange.server.poll_transmit().is_none());
        }
    }
}

#[test]
fn few_requests_wait_and_not_for_ever() {
    let mut exchange = Exchange::new(Transport::Udp, Credentials::new("alice", "wonderland"));
    for number in 0..MAX_PARKED {
        let request = exchange.request(number as u8 + 1);
        assert_eq!(exchange.send(&request), Input::Handled);
        exchange.server.poll_event().unwrap();
    }
    let one_more = exchange.request(200);
    let full = Input::Dropped(DropReason::Capacity);
    assert_eq!(exchange.send(&one_more), full);
    let later = NOW + Duration::from_millis(39_500);
    let mut buffer = one_more;
    let datagram = Datagram::whole(exchange.path, &mut buffer);
    assert_eq!(
        exchange.server.handle_input(later, datagram),
        Input::Handled
    );
    let wanted = exchange.server.poll_event().unwrap();
    exchange.server.answer_user(later, 1, alice_found(&wanted));
    assert!(exchange.server.poll_transmit().is_none(), "long gone");
}

/// The password is the one that every REST credential service computes; this one with
/// `printf '1800003600:alice' | openssl dgst -sha1 -hmac north -binary | base64`.
#[test]
fn time_limited_credentials_are_those_of_other_services() {
    let end = EPOCH + Duration::from_secs(3600);
    let credentials = time_limited().issue("alice", end);
    assert_eq!(credentials.username, "1800003600:alice");
    assert_eq!(
        credentials.password.expose(),
        include_str!("data/rest-password.txt").trim()
    );
    let users = time_limited();
    let alice = id(authenticate(&users, credentials)).unwrap();
    // The user is what stands behind the colon, whenever the credentials end.
    let later = time_limited().issue("alice", end + Duration::from_secs(1));
    assert_eq!(id(authenticate(&users, later)), Ok(alice));
    let bob = time_limited().issue("bob", end);
    assert_ne!(id(authenticate(&users, bob)), Ok(alice));
    let foreign = TimeLimitedUsers::new("south", EPOCH, Duration::MAX).issue("alice", end);
    assert_eq!(
        id(authenticate(&users, foreign)),
        Err(Refusal::Unauthenticated)
    );
    assert!(!format!("{users:?}").contains("north"));
}

#[test]
fn user_names_that_have_ended_or_would_last_too_long_or_are_no_time_are_nobody() {
    let users = time_limited();
    // It is 1800000100 now.
    for good in [
        "1800000100:a",
        "1800000101:a",
        "1800086500:a",
        "1800000200:a:b",
    ] {
        assert!(found(&users, good).is_some(), "{good}");
    }
    for bad in [
        "1800000099:a",
        "1800086501:a",
        "0:a",
        "",
        ":",
        ":a",
        "1800000200",
        "1800000200:",
        "+1800000200:a",
        "-1800000200:a",
        " 1800000200:a",
        "1800000200.5:a",
        "0x6B49D2C8:a",
        "9223372036854775808:a",
        "18446744073709551615:a",
        "18446744073709551616:a",
        "99999999999999999999999999:a",
        "a:1800000200",
    ] {
        assert_eq!(found(&users, bad), None, "{bad}");
    }
    let hash = UserName::Hash(UserHash::of("1800000200:a", REALM));
    let answer = users.find(&query(hash, KeyDerivation::Md5));
    assert!(matches!(answer, UserAnswer::Unknown));
}

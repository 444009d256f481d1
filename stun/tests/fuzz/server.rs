//! What reaches a Binding server that wants credentials.
//!
//! The first byte chooses the server. Then come messages: a byte that says what is done with it, two
//! bytes of length, the message. It is delivered as it is, or its attributes are put together again and
//! signed as a user would: no mutation could guess the code.

use std::sync::Arc;

use floe_sansio::testing::Driver;
use floe_sansio::{FiveTuple, Instant, Transport};
use floe_stun::{
    Access, AttributeType, Builder, Class, Credentials, LongTermClient, LongTermConfig, Message,
    MessageType, Method, Server, ServerConfig, ShortTermClient, StaticUsers, TransactionId,
};

const NAME: &str = "alice";
const PASSWORD: &str = "a password that no input holds";
const REALM: &str = "example.org";

/// What the user adds.
const CREDENTIALS: [AttributeType; 6] = [
    AttributeType::USERNAME,
    AttributeType::USERHASH,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::PASSWORD_ALGORITHMS,
];

/// The user's half.
enum User {
    Short(ShortTermClient),
    Long(LongTermClient),
}

impl User {
    fn sign<'b>(&self, builder: Builder<'b>) -> Builder<'b> {
        match self {
            Self::Short(user) => user.authenticate(builder),
            Self::Long(user) => user.authenticate(builder),
        }
    }

    fn verifies(&mut self, response: &Message<'_>) -> bool {
        match self {
            Self::Short(user) => user.verify(response, user.algorithm()),
            Self::Long(user) => user.verify(response),
        }
    }
}

/// What must hold of a conversation.
pub(crate) fn run(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let credentials = Credentials::new(NAME, PASSWORD);
    let (access, mut user) = if choice & 1 == 0 {
        let user = User::Short(ShortTermClient::new(&credentials));
        (Access::ShortTerm([credentials].into()), user)
    } else {
        let mut config = LongTermConfig::new(REALM);
        config.anonymity = choice & 2 != 0;
        config.legacy = choice & 4 != 0;
        if choice & 8 != 0 {
            config.algorithms.clear();
        }
        let users = StaticUsers::new(REALM, std::slice::from_ref(&credentials));
        let user = User::Long(LongTermClient::new(credentials));
        (Access::LongTerm(config, Arc::new(users)), user)
    };
    let config = ServerConfig {
        access,
        multiplexed: choice & 16 != 0,
        ..ServerConfig::default()
    };
    let now = Instant::ZERO;
    let Ok(server) = Server::with_config(config, [3; 32], now) else {
        return;
    };
    let mut server = Driver::new(server, now);
    let path = FiveTuple {
        transport: if choice & 32 == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        },
        ..FiveTuple::udp(
            ([192, 0, 2, 1], 3478).into(),
            ([198, 51, 100, 7], 4000).into(),
        )
    };
    // A user of the long-term mechanism asks once and is challenged.
    if let User::Long(user) = &mut user {
        let first = message(Method::BINDING, |builder| builder);
        let _ = server.input(path, &first);
        let challenge = server.last().expect("a challenge").payload.clone();
        let challenge = Message::parse(&challenge).expect("what the server has built");
        user.challenge(&challenge, false).expect("an answer to it");
    }
    while let Some((&[how, high, low], tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(tail.len());
        let (bytes, tail) = tail.split_at(length);
        rest = tail;
        match signed(bytes, &user).filter(|_| how & 1 != 0) {
            Some(bytes) => deliver(&mut server, path, &bytes, &mut user, true),
            None => deliver(&mut server, path, bytes, &mut user, false),
        }
    }
}

/// A request of the user's.
fn message(method: Method, fill: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>) -> Vec<u8> {
    let mut buffer = vec![0; 0x1_0400];
    let kind = MessageType::new(Class::Request, method);
    let builder = Builder::new(&mut buffer, kind, TransactionId([9; 12]));
    let length = fill(builder).with_fingerprint().finish().unwrap_or(0);
    buffer.truncate(length);
    buffer
}

/// The attributes of a message, in a request that the user signs; `None` if it is no message.
fn signed(bytes: &[u8], user: &User) -> Option<Vec<u8>> {
    let given = Message::parse(bytes).ok()?;
    Some(message(given.method(), |mut builder| {
        for raw in given.attributes() {
            if !CREDENTIALS.contains(&raw.kind) {
                builder = builder.with_raw(raw.kind, raw.value);
            }
        }
        user.sign(builder)
    }))
}

fn deliver(
    server: &mut Driver<Server>,
    path: FiveTuple,
    bytes: &[u8],
    user: &mut User,
    is_signed: bool,
) {
    server.sent.clear();
    let _ = server.input(path, bytes);
    let Some(answer) = server.sent.pop_front() else {
        return;
    };
    assert!(server.sent.is_empty(), "one answer to one request");
    assert_eq!(answer.path, path, "to where it came from");
    let request = Message::parse(bytes).expect("only messages are answered");
    assert_eq!(request.class(), Class::Request);
    let response = Message::parse(&answer.payload).expect("what the server has built");
    assert_eq!(response.method(), request.method());
    assert_eq!(response.transaction_id(), request.transaction_id());
    match response.class() {
        Class::Success => {
            assert!(is_signed, "nobody else knows the password");
            assert!(user.verifies(&response), "the response is signed too");
        }
        Class::Error => {}
        other => panic!("a {other:?} is no response"),
    }
    let secret = PASSWORD.as_bytes();
    assert!(
        !answer
            .payload
            .windows(secret.len())
            .any(|part| part == secret)
    );
}

use floe_stun::{
    Algorithm, Attribute, Builder, Class, IceControlled, Key, Message, MessageType, Method,
    Priority, Protocol, Software, TransactionId, Username,
};

use super::{CONTENT, Codec, Content, ID, PASSWORD};

/// floe.
pub struct Floe;

fn get<'a, A: Attribute<'a>>(message: &Message<'a>) -> A {
    message.get().expect("well-formed").expect("present")
}

impl Codec for Floe {
    const NAME: &'static str = "floe";
    type Message<'a> = Message<'a>;
    type Key = Key;

    fn key() -> Key {
        Key::short_term(PASSWORD)
    }

    fn parse(bytes: &[u8]) -> Message<'_> {
        Message::parse(bytes).expect("a well-formed message")
    }

    fn read<T>(message: &Message<'_>, see: impl FnOnce(Content<'_>) -> T) -> T {
        see(Content {
            software: get::<Software<'_>>(message).0,
            priority: get::<Priority>(message).0,
            ice_controlled: get::<IceControlled>(message).0,
            username: get::<Username<'_>>(message).0,
        })
    }

    fn verify_fingerprint(message: &Message<'_>) -> Option<bool> {
        Some(message.verify_fingerprint())
    }

    fn verify_sha1(message: &mut Message<'_>, key: &Key) -> Option<bool> {
        Some(message.verify(key, Algorithm::Sha1))
    }

    fn verify_sha256(message: &mut Message<'_>, key: &Key) -> Option<bool> {
        Some(message.verify(key, Algorithm::Sha256))
    }

    fn build<T>(buffer: &mut [u8], key: &Key, see: impl FnOnce(&[u8]) -> T) -> T {
        let kind = MessageType::new(Class::Request, Method::BINDING);
        let len = Builder::new(buffer, kind, TransactionId(ID))
            .with(&Software(CONTENT.software))
            .with(&Priority(CONTENT.priority))
            .with(&IceControlled(CONTENT.ice_controlled))
            .with(&Username(CONTENT.username))
            .with_integrity(key)
            .with_fingerprint()
            .finish()
            .expect("room for the message");
        see(&buffer[..len])
    }

    fn classify(datagram: &[u8]) -> Option<u8> {
        Some(Protocol::of(datagram) as u8)
    }
}

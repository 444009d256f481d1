use stun::agent::TransactionId;
use stun::attributes::{
    ATTR_ICE_CONTROLLED, ATTR_PRIORITY, ATTR_SOFTWARE, ATTR_USERNAME, AttrType, RawAttribute,
};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{BINDING_REQUEST, Message};
use stun::textattrs::TextAttribute;

use crate::stun::{CONTENT, Codec, Content, ID, PASSWORD};

/// `stun`, of webrtc-rs before its sans-IO rewrite. Parsing copies the message and every value; the HMAC key is made anew
/// for every message.
pub struct Webrtc;

fn number<const N: usize>(message: &Message, kind: AttrType) -> [u8; N] {
    let value = message.get(kind).expect("present");
    value[..].try_into().expect("the right length")
}

fn text(message: &Message, kind: AttrType) -> String {
    TextAttribute::get_from_as(message, kind)
        .expect("present")
        .text
}

impl Codec for Webrtc {
    const NAME: &'static str = "webrtc stun 0.17.2";
    type Message<'a> = Message;
    type Key = MessageIntegrity;

    fn key() -> Self::Key {
        MessageIntegrity::new_short_term_integrity(PASSWORD.into())
    }

    fn parse(bytes: &[u8]) -> Message {
        let mut message = Message::new();
        message
            .unmarshal_binary(bytes)
            .expect("a well-formed message");
        message
    }

    fn read<T>(message: &Message, see: impl FnOnce(Content<'_>) -> T) -> T {
        see(Content {
            software: &text(message, ATTR_SOFTWARE),
            priority: u32::from_be_bytes(number(message, ATTR_PRIORITY)),
            ice_controlled: u64::from_be_bytes(number(message, ATTR_ICE_CONTROLLED)),
            username: &text(message, ATTR_USERNAME),
        })
    }

    fn verify_fingerprint(message: &Message) -> Option<bool> {
        Some(FINGERPRINT.check(message).is_ok())
    }

    fn verify_sha1(message: &mut Message, key: &Self::Key) -> Option<bool> {
        Some(key.check(message).is_ok())
    }

    fn build<T>(_: &mut [u8], key: &Self::Key, see: impl FnOnce(&[u8]) -> T) -> T {
        let mut message = Message::new();
        message
            .build(&[
                Box::new(BINDING_REQUEST),
                Box::new(TransactionId(ID)),
                Box::new(TextAttribute::new(ATTR_SOFTWARE, CONTENT.software.into())),
                Box::new(raw(ATTR_PRIORITY, &CONTENT.priority.to_be_bytes())),
                Box::new(raw(
                    ATTR_ICE_CONTROLLED,
                    &CONTENT.ice_controlled.to_be_bytes(),
                )),
                Box::new(TextAttribute::new(ATTR_USERNAME, CONTENT.username.into())),
                Box::new(key.clone()),
                Box::new(FINGERPRINT),
            ])
            .expect("a well-formed message");
        see(&message.raw)
    }
}

fn raw(typ: AttrType, value: &[u8]) -> RawAttribute {
    RawAttribute {
        typ,
        length: value.len() as u16,
        value: value.into(),
    }
}

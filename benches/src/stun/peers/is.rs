use hmac::{Hmac, KeyInit, Mac};
use is::stun::{StunMessage, StunMessageBuilder, TransId};
use sha1::Sha1;

use crate::stun::{CONTENT, Codec, Content, PASSWORD, REQUEST};

/// `is`, the ICE agent of str0m. It knows a closed set of attributes, all of which it reads when
/// parsing; SOFTWARE is not among them (it gives it another number), and it never checks FINGERPRINT.
/// The HMAC is a closure of the caller's: here one that keeps the key schedule, which the one that
/// comes with the crate does not.
pub struct Is;

/// The kept schedule, and a transaction id, which cannot be made from bytes.
pub struct Key {
    mac: Hmac<Sha1>,
    id: TransId,
}

impl Key {
    fn code(&self, parts: &[&[u8]]) -> [u8; 20] {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl Codec for Is {
    const NAME: &'static str = "is 0.12.0";
    const KNOWS_SOFTWARE: bool = false;
    type Message<'a> = StunMessage<'a>;
    type Key = Key;

    fn key() -> Key {
        Key {
            mac: Hmac::new_from_slice(PASSWORD.as_bytes()).expect("any length"),
            id: Self::parse(&REQUEST).trans_id(),
        }
    }

    fn parse(bytes: &[u8]) -> StunMessage<'_> {
        StunMessage::parse(bytes).expect("a well-formed message")
    }

    fn read<T>(message: &StunMessage<'_>, see: impl FnOnce(Content<'_>) -> T) -> T {
        see(Content {
            software: "",
            priority: message.prio().expect("present"),
            ice_controlled: message.ice_controlled().expect("present"),
            username: message.username().expect("present"),
        })
    }

    fn verify_sha1(message: &mut StunMessage<'_>, key: &Key) -> Option<bool> {
        Some(message.verify(PASSWORD.as_bytes(), |_, parts| key.code(parts)))
    }

    fn build<T>(buffer: &mut [u8], key: &Key, see: impl FnOnce(&[u8]) -> T) -> T {
        let message = StunMessageBuilder::new()
            .binding()
            .request()
            .prio(CONTENT.priority)
            .ice_controlled(CONTENT.ice_controlled)
            .username(CONTENT.username)
            .build(key.id);
        let len = message
            .to_bytes(Some(PASSWORD.as_bytes()), buffer, |_, parts| {
                key.code(parts)
            })
            .expect("room for the message");
        see(&buffer[..len])
    }
}

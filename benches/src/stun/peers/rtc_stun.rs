use rtc_crypto::RTCCryptoProvider;
use rtc_stun::attributes::{
    ATTR_ICE_CONTROLLED, ATTR_PRIORITY, ATTR_SOFTWARE, ATTR_USERNAME, AttrType, RawAttribute,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, TransactionId};
use rtc_stun::textattrs::TextAttribute;

use crate::stun::{CONTENT, Codec, Content, ID, PASSWORD};

/// `rtc-stun`, of webrtc-rs. Parsing copies the message and every value; the HMAC key is made anew
/// for every message.
pub struct RtcStun;

fn number<const N: usize>(message: &Message, kind: AttrType) -> [u8; N] {
    let value = message.get(kind).expect("present");
    value[..].try_into().expect("the right length")
}

fn text(message: &Message, kind: AttrType) -> String {
    TextAttribute::get_from_as(message, kind)
        .expect("present")
        .text
}

impl Codec for RtcStun {
    const NAME: &'static str = "rtc-stun 0.21.1";
    type Message<'a> = Message;
    type Key = std::sync::Arc<dyn RTCCryptoProvider>;

    fn key() -> Self::Key {
        rtc_crypto::default_provider().expect("ring")
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
        Some(MessageIntegrity::check(message, PASSWORD.as_bytes(), key.crypto()).is_ok())
    }

    fn build<T>(_: &mut [u8], key: &Self::Key, see: impl FnOnce(&[u8]) -> T) -> T {
        let integrity =
            MessageIntegrity::new_short_term_integrity_with_provider(PASSWORD.into(), key.crypto());
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
                Box::new(integrity),
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

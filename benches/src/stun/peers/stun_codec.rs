use bytecodec::{DecodeExt, EncodeExt};
use stun_codec::rfc5245::attributes::{IceControlled, Priority};
use stun_codec::rfc5389::attributes::Username;
use stun_codec::rfc5389::attributes::{Fingerprint, MessageIntegrity, Nonce, Realm, Software};
use stun_codec::rfc5389::methods::BINDING;
use stun_codec::rfc5766::attributes::RequestedTransport;
use stun_codec::{Message, MessageClass, MessageDecoder, MessageEncoder, TransactionId};

use crate::stun::{CONTENT, Codec, Content, ID, PASSWORD};

/// `stun_codec`. Parsing copies every value, writes the message again for MESSAGE-INTEGRITY and for
/// FINGERPRINT, and checks FINGERPRINT; the HMAC key is made anew for every message.
pub struct StunCodec;

#[allow(missing_docs, clippy::pedantic)]
mod attributes {
    use super::{
        Fingerprint, IceControlled, MessageIntegrity, Nonce, Priority, Realm, RequestedTransport,
        Software, Username,
    };
    stun_codec::define_attribute_enums!(
        Attribute,
        AttributeDecoder,
        AttributeEncoder,
        [
            Username,
            MessageIntegrity,
            Realm,
            Nonce,
            Software,
            Fingerprint,
            Priority,
            IceControlled,
            RequestedTransport
        ]
    );
}
use attributes::Attribute;

impl Codec for StunCodec {
    const NAME: &'static str = "stun_codec 0.4.0";
    const CHECKS_FINGERPRINT: bool = true;
    type Message<'a> = Message<Attribute>;
    type Key = ();

    fn key() {}

    fn parse(bytes: &[u8]) -> Message<Attribute> {
        let decoded = MessageDecoder::new().decode_from_bytes(bytes);
        decoded.expect("a message").expect("a well-formed message")
    }

    fn read<T>(message: &Message<Attribute>, see: impl FnOnce(Content<'_>) -> T) -> T {
        see(Content {
            software: message
                .get_attribute::<Software>()
                .expect("present")
                .description(),
            priority: message.get_attribute::<Priority>().expect("present").prio(),
            ice_controlled: message
                .get_attribute::<IceControlled>()
                .expect("present")
                .prio(),
            username: message.get_attribute::<Username>().expect("present").name(),
        })
    }

    fn verify_sha1(message: &mut Message<Attribute>, (): &()) -> Option<bool> {
        let integrity = message
            .get_attribute::<MessageIntegrity>()
            .expect("present");
        Some(integrity.check_short_term_credential(PASSWORD).is_ok())
    }

    fn build<T>(_: &mut [u8], (): &(), see: impl FnOnce(&[u8]) -> T) -> T {
        let id = TransactionId::new(ID);
        let mut message = Message::<Attribute>::new(MessageClass::Request, BINDING, id);
        message.add_attribute(Software::new(CONTENT.software.into()).expect("short"));
        message.add_attribute(Priority::new(CONTENT.priority));
        message.add_attribute(IceControlled::new(CONTENT.ice_controlled));
        message.add_attribute(Username::new(CONTENT.username.into()).expect("short"));
        let integrity = MessageIntegrity::new_short_term_credential(&message, PASSWORD);
        message.add_attribute(integrity.expect("a well-formed message"));
        let fingerprint = Fingerprint::new(&message);
        message.add_attribute(fingerprint.expect("a well-formed message"));
        let bytes = MessageEncoder::new().encode_into_bytes(message);
        see(&bytes.expect("a well-formed message"))
    }
}

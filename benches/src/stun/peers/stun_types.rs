use stun_types::attribute::{
    Attribute, AttributeFromRaw, AttributeStaticType, AttributeType, AttributeWrite,
    AttributeWriteExt, RawAttribute, Software, Username,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageType, MessageWrite,
    MessageWriteExt, MessageWriteMutSlice, ShortTermCredentials, StunParseError,
};

use crate::stun::{CONTENT, Codec, Content, ID, PASSWORD};

/// `stun-types`, of librice. Parsing checks FINGERPRINT; it does not look at the top bits and
/// accepts trailing bytes.
pub struct StunTypes;

/// PRIORITY and ICE-CONTROLLED are of the crate `stun-types-ice`; these are like them.
macro_rules! numbers {
    ($($name:ident($type:ty) = $kind:literal;)*) => {$(
        #[derive(Debug)]
        struct $name($type);

        impl AttributeStaticType for $name {
            const TYPE: AttributeType = AttributeType::new($kind);
        }

        impl Attribute for $name {
            fn get_type(&self) -> AttributeType {
                Self::TYPE
            }

            fn length(&self) -> u16 {
                size_of::<$type>() as u16
            }
        }

        impl AttributeFromRaw<'_> for $name {
            fn from_raw_ref(raw: &RawAttribute<'_>) -> Result<Self, StunParseError> {
                const LEN: usize = size_of::<$type>();
                raw.check_type_and_len(Self::TYPE, LEN..=LEN)?;
                let bytes = raw.value[..].try_into().expect("the length was checked");
                Ok(Self(<$type>::from_be_bytes(bytes)))
            }
        }

        impl AttributeWrite for $name {
            fn write_into_unchecked(&self, dest: &mut [u8]) {
                self.write_header_unchecked(dest);
                dest[4..4 + size_of::<$type>()].copy_from_slice(&self.0.to_be_bytes());
            }

            fn to_raw(&self) -> RawAttribute<'_> {
                RawAttribute::new_owned(Self::TYPE, self.0.to_be_bytes().into())
            }
        }
    )*};
}

numbers! {
    Priority(u32) = 0x0024;
    IceControlled(u64) = 0x8029;
}

impl Codec for StunTypes {
    const NAME: &'static str = "stun-types 2.0.4";
    const CHECKS_FINGERPRINT: bool = true;
    type Message<'a> = Message<'a>;
    type Key = IntegrityKey;

    fn key() -> IntegrityKey {
        ShortTermCredentials::new(PASSWORD.into()).make_key()
    }

    fn parse(bytes: &[u8]) -> Message<'_> {
        Message::from_bytes(bytes).expect("a well-formed message")
    }

    fn read<T>(message: &Message<'_>, see: impl FnOnce(Content<'_>) -> T) -> T {
        fn get<'a, A: AttributeFromRaw<'a> + AttributeStaticType>(message: &'a Message<'a>) -> A {
            message.attribute().expect("present")
        }
        see(Content {
            software: get::<Software>(message).software(),
            priority: get::<Priority>(message).0,
            ice_controlled: get::<IceControlled>(message).0,
            username: get::<Username>(message).username(),
        })
    }

    fn verify_sha1(message: &mut Message<'_>, key: &IntegrityKey) -> Option<bool> {
        Some(message.validate_integrity_with_key(key).is_ok())
    }

    fn verify_sha256(message: &mut Message<'_>, key: &IntegrityKey) -> Option<bool> {
        Some(message.validate_integrity_with_key(key).is_ok())
    }

    fn build<T>(buffer: &mut [u8], key: &IntegrityKey, see: impl FnOnce(&[u8]) -> T) -> T {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut id = [0; 16];
        id[4..].copy_from_slice(&ID);
        let id = u128::from_be_bytes(id).into();
        let mut message = Message::builder(kind, id, MessageWriteMutSlice::new(buffer));
        let mut add = |attribute: &dyn AttributeWrite| {
            message
                .add_attribute(attribute)
                .expect("room for the message");
        };
        add(&Software::new(CONTENT.software).expect("short"));
        add(&Priority(CONTENT.priority));
        add(&IceControlled(CONTENT.ice_controlled));
        add(&Username::new(CONTENT.username).expect("short"));
        message
            .add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)
            .and_then(|()| message.add_fingerprint())
            .expect("room for the message");
        let len = message.finish();
        see(&buffer[..len])
    }
}

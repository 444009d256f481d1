//! The longest messages, made of one attribute over and over: what is done with them must cost as
//! much for a byte as with short ones.

use floe_stun::{
    AttributeType, Class, Message, MessageType, Method, RequestedTransport, UnknownRequired,
    Username,
};

/// Sizes that are compared: 1 KiB, and the most that the length field allows for.
pub const SIZES: [usize; 2] = [1024, 65_552];

/// What a TURN server knows, roughly.
const KNOWN: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::MESSAGE_INTEGRITY,
    AttributeType::MESSAGE_INTEGRITY_SHA256,
    AttributeType::LIFETIME,
    AttributeType::REQUESTED_TRANSPORT,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::DATA,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::DONT_FRAGMENT,
    AttributeType::EVEN_PORT,
    AttributeType::RESERVATION_TOKEN,
];

/// A request of `size` bytes that is nothing but empty attributes of the last type that is known
/// and not asked for.
pub fn message(size: usize) -> Vec<u8> {
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let mut bytes = kind.to_bits().to_be_bytes().to_vec();
    bytes.extend(((size - 20) as u16).to_be_bytes());
    bytes.extend(floe_stun::MAGIC_COOKIE.to_be_bytes());
    bytes.extend([7; 12]);
    while bytes.len() < size {
        bytes.extend(AttributeType::RESERVATION_TOKEN.0.to_be_bytes());
        bytes.extend([0, 0]);
    }
    bytes
}

/// Checks the form.
pub fn parse(bytes: &[u8]) -> Message<'_> {
    Message::parse(bytes).expect("a well-formed message")
}

/// Looks for what is not there.
pub fn get(message: &Message<'_>) -> bool {
    matches!(message.get::<Username<'_>>(), Ok(None))
        && matches!(message.get::<RequestedTransport>(), Ok(None))
}

/// Looks for what is not known: everything is.
pub fn unknown(message: &Message<'_>) -> bool {
    UnknownRequired::find(message, KNOWN).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_goes_to_the_end() {
        for size in SIZES {
            let bytes = message(size);
            assert_eq!(bytes.len(), size);
            let message = parse(&bytes);
            assert_eq!(message.attributes().count(), (size - 20) / 4);
            assert!(get(&message) && unknown(&message));
            assert!(UnknownRequired::find(&message, &KNOWN[1..3]).is_some());
        }
    }
}

//! STUN: the request of RFC 5769 §2.1.

use floe_stun::{
    Algorithm, Builder, Class, IceControlled, Key, Message, MessageType, Method, Priority,
    Software, TransactionId, Username,
};

/// The request of RFC 5769 §2.1: 108 bytes with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME,
/// MESSAGE-INTEGRITY and FINGERPRINT.
pub const REQUEST: [u8; 108] = *b"\
    \x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\
    \x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// The key of the request.
pub fn key() -> Key {
    Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")
}

/// Checks the form of the message.
pub fn parse(bytes: &[u8]) -> Message<'_> {
    Message::parse(bytes).expect("a well-formed message")
}

/// Checks the form and reads all that the message says.
pub fn parse_and_read(bytes: &[u8]) -> (Software<'_>, Priority, IceControlled, Username<'_>) {
    fn get<'a, A: floe_stun::Attribute<'a>>(message: &Message<'a>) -> A {
        message.get().expect("well-formed").expect("present")
    }
    let message = parse(bytes);
    (get(&message), get(&message), get(&message), get(&message))
}

/// Whether FINGERPRINT is right; the message has been parsed.
pub fn verify_fingerprint(message: &Message<'_>) -> bool {
    message.verify_fingerprint()
}

/// Whether MESSAGE-INTEGRITY is right; the message has been parsed and the key is kept.
pub fn verify_integrity(message: &Message<'_>, key: &Key) -> bool {
    message.verify(key, Algorithm::Sha1)
}

/// Writes the request again, with MESSAGE-INTEGRITY and FINGERPRINT, and returns its length.
pub fn build(buffer: &mut [u8], key: &Key) -> usize {
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let id = TransactionId(*b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae");
    Builder::new(buffer, kind, id)
        .with(&Software("STUN test client"))
        .with(&Priority(0x6e00_01ff))
        .with(&IceControlled(0x932f_f9b1_5126_3b36))
        .with(&Username("evtj:h6vY"))
        .with_integrity(key)
        .with_fingerprint()
        .finish()
        .expect("room for the message")
}

/// The floor of [`parse`]: the same checks of the form in one strict walk by hand, and where the
/// attributes are that matter, in nothing but a tuple.
pub fn floor(bytes: &[u8]) -> Option<(usize, usize, usize)> {
    let header = bytes.first_chunk::<20>()?;
    if header[0] & 0xc0 != 0 || header[4..8] != [0x21, 0x12, 0xa4, 0x42] {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if length % 4 != 0 || length + 20 != bytes.len() {
        return None;
    }
    let (mut integrity, mut fingerprint, mut end) = (0, 0, bytes.len());
    let mut at = 20;
    while at < bytes.len() {
        let head = bytes.get(at..)?.first_chunk::<4>()?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let next = at + 4 + length.next_multiple_of(4);
        if next > bytes.len() || fingerprint != 0 {
            return None;
        }
        match kind {
            0x0008 if integrity == 0 => {
                if length != 20 {
                    return None;
                }
                (integrity, end) = (at, at);
            }
            0x8028 => {
                if length != 4 {
                    return None;
                }
                fingerprint = at;
                end = end.min(at);
            }
            _ => {}
        }
        at = next;
    }
    Some((end, integrity, fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_what_its_name_says() {
        let (key, message) = (key(), parse(&REQUEST));
        assert!(verify_fingerprint(&message) && verify_integrity(&message, &key));
        assert_eq!(parse_and_read(&REQUEST).3, Username("evtj:h6vY"));
        assert_eq!(floor(&REQUEST), Some((76, 76, 100)));
        assert_eq!(floor(&REQUEST[..104]), None);

        // The padding is ours, so is then what is computed over it.
        let mut buffer = [0; 128];
        let len = build(&mut buffer, &key);
        let built = parse(&buffer[..len]);
        assert_eq!(len, REQUEST.len());
        assert!(verify_fingerprint(&built) && verify_integrity(&built, &key));
        assert_eq!(parse_and_read(&buffer[..len]), parse_and_read(&REQUEST));
    }
}

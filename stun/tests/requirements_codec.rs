//! Rows of the requirement tables about the codec that no other test looks at.

use floe_stun::{
    Builder, Class, ErrorCode, IceControlling, Message, MessageType, Method, Priority, Software,
    StatusCode, TransactionId,
};

const ID: TransactionId = TransactionId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

fn built(kind: MessageType, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
    let mut buffer = vec![0xEE; 512];
    let len = fill(Builder::new(&mut buffer, kind, ID)).finish().unwrap();
    buffer.truncate(len);
    buffer
}

/// By hand, each number with bytes of its own; both ways.
///
/// req: STUN-5-3
#[test]
fn numbers_have_their_most_significant_byte_first() {
    let bytes = [
        &[0x01, 0x11, 0x01, 0x1C][..], // Binding error, 284 bytes
        &[0x21, 0x12, 0xA4, 0x42],
        &ID.0,
        &[0x00, 0x24, 0, 4, 0x6E, 0x7F, 0x1E, 0xFF],
        &[
            0x80, 0x2A, 0, 8, 0x93, 0x2F, 0xF9, 0xB1, 0x51, 0x26, 0x3B, 0x36,
        ],
        &[0x00, 0x09, 0x01, 0x04, 0, 0, 4, 38], // 260 bytes: the length has two
        &[b'r'; 256],
    ]
    .concat();
    let message = Message::parse(&bytes).unwrap();
    let kind = MessageType::new(Class::Error, Method::BINDING);
    let (priority, controlling) = (Priority(0x6E7F_1EFF), IceControlling(0x932F_F9B1_5126_3B36));
    assert_eq!(message.message_type(), kind);
    assert_eq!(message.get(), Ok(Some(priority)));
    assert_eq!(message.get(), Ok(Some(controlling)));
    let error: ErrorCode<'_> = message.get().unwrap().unwrap();
    assert_eq!(error.code, StatusCode::STALE_NONCE);
    assert_eq!(error.reason.len(), 256);

    let raw = [&[0, 0, 4, 38][..], &[b'r'; 256]].concat();
    let again = built(kind, |builder| {
        let builder = builder.with(&priority).with(&controlling);
        builder.with_raw(floe_stun::AttributeType::ERROR_CODE, &raw)
    });
    assert_eq!(again, bytes);
}

/// req: STUN-6.1-3, STUN-14.7-1
#[test]
fn any_message_may_have_software_and_fingerprint() {
    for class in [
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ] {
        let bytes = built(MessageType::new(class, Method::BINDING), |builder| {
            builder.with(&Software("floe")).with_fingerprint()
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.class(), class);
        assert_eq!(message.get(), Ok(Some(Software("floe"))));
        assert!(message.has_fingerprint() && message.verify_fingerprint());
    }
}

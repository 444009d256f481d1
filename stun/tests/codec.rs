//! The wire format: header, attributes, integrity and fingerprint (RFC 8489 §5, §14).

use std::net::SocketAddr;

use floe_stun::{
    Algorithm, AlternateServer, Attribute, AttributeType, BuildError, Builder, Class, ErrorCode,
    Key, MAGIC_COOKIE, MappedAddress, Message, MessageType, Method, ParseErrorKind, Priority,
    StatusCode, TransactionId, UnknownAttributes, UnknownRequired, UseCandidate, Username,
    XorMappedAddress,
};

const ID: TransactionId = TransactionId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
const REQUEST: MessageType = MessageType::new(Class::Request, Method::BINDING);

/// Attributes as they stand on the wire: type, length, value; padding is the caller's.
fn attribute(kind: u16, length: usize, bytes: &[u8]) -> Vec<u8> {
    let mut out = kind.to_be_bytes().to_vec();
    out.extend((length as u16).to_be_bytes());
    out.extend(bytes);
    out
}

fn padded(kind: AttributeType, value: &[u8]) -> Vec<u8> {
    let mut out = attribute(kind.0, value.len(), value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// A Binding request by hand.
fn raw(attributes: &[Vec<u8>]) -> Vec<u8> {
    let body = attributes.concat();
    let mut out = vec![0, 1];
    out.extend((body.len() as u16).to_be_bytes());
    out.extend(MAGIC_COOKIE.to_be_bytes());
    out.extend(ID.0);
    out.extend(body);
    out
}

fn error(bytes: &[u8]) -> (ParseErrorKind, usize) {
    let error = Message::parse(bytes).unwrap_err();
    (error.kind, error.offset)
}

/// Builds a request into a buffer full of rubbish.
fn built(fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Result<Vec<u8>, BuildError> {
    let mut buffer = vec![0xEE; 2048];
    let len = fill(Builder::new(&mut buffer, REQUEST, ID)).finish()?;
    buffer.truncate(len);
    Ok(buffer)
}

fn sealed(builder: Builder<'_>) -> Builder<'_> {
    builder.with_fingerprint()
}

fn with<'a, A: Attribute<'a>>(attribute: &A) -> Result<Vec<u8>, BuildError> {
    built(|builder| builder.with(attribute))
}

/// req: STUN-5-1, STUN-6.3-2
#[test]
fn a_message_starts_with_two_zero_bits() {
    for first in 0..=255u8 {
        let mut bytes = raw(&[]);
        bytes[0] = first;
        match Message::parse(&bytes) {
            Ok(_) => assert!(first < 0x40),
            Err(error) => {
                assert!(first >= 0x40);
                assert_eq!((error.kind, error.offset), (ParseErrorKind::TopBits, 0));
                assert!(error.kind.is_not_stun());
            }
        }
    }
}

/// req: STUN-5-4, STUN-6.3-2
#[test]
fn a_message_has_the_magic_cookie() {
    let bytes = raw(&[]);
    assert_eq!(bytes[4..8], [0x21, 0x12, 0xA4, 0x42]);
    for bit in 0..32 {
        let mut bytes = bytes.clone();
        bytes[4 + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(error(&bytes), (ParseErrorKind::Cookie, 4));
        assert!(ParseErrorKind::Cookie.is_not_stun());
    }
}

/// req: STUN-5-9, STUN-6.3-1
#[test]
fn the_length_field_counts_the_bytes_behind_the_header() {
    for short in 0..20 {
        let bytes = &raw(&[])[..short];
        assert_eq!(error(bytes), (ParseErrorKind::TooShort, short));
    }
    let whole = raw(&[padded(AttributeType::SOFTWARE, b"floe")]);
    assert_eq!(whole.len(), 28);
    for length in 0..=u16::MAX {
        let mut bytes = whole.clone();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        match Message::parse(&bytes) {
            Ok(_) => assert_eq!(length, 8),
            Err(error) => {
                assert_ne!(length, 8);
                assert_eq!((error.kind, error.offset), (ParseErrorKind::Length, 2));
                assert!(!error.kind.is_not_stun());
            }
        }
    }
    // The bytes agree with the field, but it is no multiple of 4.
    for length in 1..4 {
        let mut bytes = raw(&[]);
        bytes[3] = length;
        bytes.resize(20 + usize::from(length), 0);
        assert_eq!(error(&bytes), (ParseErrorKind::Length, 2));
    }
}

/// req: STUN-5-2
#[test]
fn every_message_type_survives_the_wire() {
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..=0xFFF {
        for class in [
            Class::Request,
            Class::Indication,
            Class::Success,
            Class::Error,
        ] {
            let kind = MessageType::new(class, Method::new(number));
            let bits = kind.to_bits();
            // C0 and C1 are bits 4 and 8 (RFC 8489 figure 3).
            assert_eq!(
                bits & 0x10 != 0,
                matches!(class, Class::Indication | Class::Error)
            );
            assert_eq!(
                bits & 0x100 != 0,
                matches!(class, Class::Success | Class::Error)
            );
            assert_eq!(MessageType::from_bits(bits), kind);
            assert!(bits < 0x4000 && seen.insert(bits));
        }
    }
    assert_eq!(seen.len(), 0x4000);
}

/// req: STUN-5-10
#[test]
fn a_method_permits_the_classes_of_its_rfc() {
    let table = [
        (Method::BINDING, "rise"),
        (Method::ALLOCATE, "rse"),
        (Method::REFRESH, "rse"),
        (Method::SEND, "i"),
        (Method::DATA, "i"),
        (Method::CREATE_PERMISSION, "rse"),
        (Method::CHANNEL_BIND, "rse"),
        (Method::CONNECT, "rse"),
        (Method::CONNECTION_BIND, "rse"),
        (Method::CONNECTION_ATTEMPT, "i"),
    ];
    for number in 0..=0xFFF {
        let method = Method::new(number);
        let row = table.iter().find(|(named, _)| *named == method);
        assert_eq!(method.name().is_some(), row.is_some());
        // What is reserved or unknown permits nothing.
        let classes = row.map_or("", |(_, classes)| classes);
        for (class, letter) in [
            (Class::Request, 'r'),
            (Class::Indication, 'i'),
            (Class::Success, 's'),
            (Class::Error, 'e'),
        ] {
            let permitted = classes.contains(letter);
            assert_eq!(method.permits(class), permitted, "{method:?} {class:?}");
        }
    }
}

/// req: STUN-14-6
#[test]
fn an_attribute_does_not_run_past_the_end() {
    let software = AttributeType::SOFTWARE.0;
    // 5 bytes of value need 8, of which the message has 4.
    let bytes = raw(&[
        padded(AttributeType::PRIORITY, &[0; 4]),
        attribute(software, 5, &[0; 4]),
    ]);
    assert_eq!(error(&bytes), (ParseErrorKind::AttributeLength, 28));
    let bytes = raw(&[attribute(software, 0xFFFF, &[0; 4])]);
    assert_eq!(error(&bytes), (ParseErrorKind::AttributeLength, 20));
    let bytes = raw(&[attribute(software, 5, &[0; 8])]);
    assert!(Message::parse(&bytes).is_ok());
}

/// req: STUN-14-1, STUN-14-2, STUN-14-3
#[test]
fn padding_is_zero_and_not_counted() {
    for length in 0..=9 {
        let bytes = built(|b| b.with_raw(AttributeType::SOFTWARE, &vec![7; length])).unwrap();
        assert_eq!(bytes.len(), 24 + length.next_multiple_of(4));
        assert_eq!(bytes[20..24], attribute(0x8022, length, &[]));
        assert_eq!(bytes[24..24 + length], vec![7; length]);
        assert!(bytes[24 + length..].iter().all(|&byte| byte == 0));
        assert_eq!(bytes[2..4], [0, (bytes.len() - 20) as u8]);
    }
}

/// req: STUN-14-4
#[test]
fn padding_is_ignored() {
    let bytes = raw(&[attribute(0x0006, 1, b"u\xFF\xFF\xFF")]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.get().unwrap(), Some(Username("u")));
}

/// req: STUN-14-5
#[test]
fn of_repeated_attributes_the_first_counts() {
    let bytes = built(|b| b.with(&Priority(1)).with(&Priority(2))).unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.get().unwrap(), Some(Priority(1)));
    // A first one that is malformed is not replaced by a second.
    let bytes = built(|b| b.with_raw(AttributeType::PRIORITY, &[1]).with(&Priority(2))).unwrap();
    let malformed = Message::parse(&bytes)
        .unwrap()
        .get::<Priority>()
        .unwrap_err();
    assert_eq!(
        (malformed.attribute, malformed.offset),
        (AttributeType::PRIORITY, 20)
    );
}

/// req: STUN-9-1, STUN-9-2
#[test]
fn what_stands_behind_integrity_is_hidden() {
    let key = Key::short_term("key");
    let sha1 = built(|b| b.with(&Priority(1)).with_integrity(&key)).unwrap();
    let sha256 = built(|b| b.with(&Priority(1)).with_integrity_sha256(&key)).unwrap();
    for (genuine, algorithm) in [(sha1, Algorithm::Sha1), (sha256, Algorithm::Sha256)] {
        for appended in [
            padded(AttributeType::USERNAME, b"mallory"),
            padded(AttributeType(0x7FFF), b""),
            padded(AttributeType::MESSAGE_INTEGRITY, &[0; 20]),
            // Hidden, whatever its length.
            padded(AttributeType::MESSAGE_INTEGRITY, &[0; 3]),
        ] {
            let mut bytes = genuine.clone();
            bytes.extend(appended);
            let length = (bytes.len() - 20) as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            let message = Message::parse(&bytes).unwrap();
            assert_eq!(message.attributes().count(), 1);
            assert_eq!(message.get::<Username<'_>>(), Ok(None));
            assert_eq!(
                message.unknown_required(&[AttributeType::PRIORITY]).count(),
                0
            );
            assert_eq!(message.integrity(), Some(algorithm));
            assert!(message.verify(&key, algorithm));
        }
    }
    // Of two codes of one kind the first counts.
    let mut bytes = built(|b| b.with_integrity_sha256(&key)).unwrap();
    bytes.extend(padded(AttributeType::MESSAGE_INTEGRITY_SHA256, &[0; 32]));
    bytes[3] += 36;
    assert!(
        Message::parse(&bytes)
            .unwrap()
            .verify(&key, Algorithm::Sha256)
    );
}

/// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT behind MESSAGE-INTEGRITY still count.
///
/// req: STUN-9-1, STUN-9.1.3-6, STUN-9.2.4-17
#[test]
fn sha256_takes_precedence_over_sha1() {
    let (right, wrong) = (Key::short_term("right"), Key::short_term("wrong"));
    let both = |sha1, sha256| {
        built(|b| {
            b.with_integrity(sha1)
                .with_integrity_sha256(sha256)
                .with_fingerprint()
        })
        .unwrap()
    };
    let bytes = both(&right, &wrong);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.integrity(), Some(Algorithm::Sha256));
    assert!(message.verify(&right, Algorithm::Sha1) && message.verify_fingerprint());
    assert!(!message.verify(&right, Algorithm::Sha256));

    let bytes = both(&wrong, &right);
    let message = Message::parse(&bytes).unwrap();
    assert!(message.verify(&right, message.integrity().unwrap()));
}

#[test]
fn a_message_without_integrity_never_verifies() {
    let key = Key::short_term("");
    let bytes = built(sealed).unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.integrity(), None);
    assert!(!message.verify(&key, Algorithm::Sha1));
    assert!(!message.verify(&key, Algorithm::Sha256));
    assert!(!message.verify_truncated(&key, Algorithm::Sha256, 0));
}

/// req: STUN-14.6-1
#[test]
fn integrity_has_its_length() {
    for length in 0..=40 {
        let accepted = |kind| match Message::parse(&raw(&[padded(kind, &vec![0; length])])) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(
                    (error.kind, error.offset),
                    (ParseErrorKind::IntegrityLength, 20)
                );
                false
            }
        };
        assert_eq!(accepted(AttributeType::MESSAGE_INTEGRITY), length == 20);
        let sha256 = [16, 20, 24, 28, 32].contains(&length);
        assert_eq!(accepted(AttributeType::MESSAGE_INTEGRITY_SHA256), sha256);
    }
}

/// FINGERPRINT behind it changes the length field, and the code is still right.
///
/// req: STUN-14.5-1, STUN-14.7-2
#[test]
fn the_length_that_integrity_covers_ends_with_it() {
    let key = Key::short_term("key");
    let without = built(|b| b.with(&UseCandidate).with_integrity(&key)).unwrap();
    let with = built(|b| {
        b.with(&UseCandidate)
            .with_integrity(&key)
            .with_fingerprint()
    })
    .unwrap();
    assert_eq!(without[20..], with[20..without.len()]);
    assert!(Message::parse(&with).unwrap().verify(&key, Algorithm::Sha1));
    assert!(Message::parse(&with).unwrap().verify_fingerprint());
    // FINGERPRINT covers the integrity attribute.
    let mut changed = with.clone();
    changed[30] ^= 1;
    assert!(!Message::parse(&changed).unwrap().verify_fingerprint());
}

/// req: STUN-14.7-3
#[test]
fn fingerprint_is_four_bytes_and_last() {
    let kind = AttributeType::FINGERPRINT;
    for length in [0, 3, 5, 8] {
        let bytes = raw(&[padded(kind, &vec![0; length])]);
        assert_eq!(error(&bytes), (ParseErrorKind::FingerprintLength, 20));
    }
    for behind in [
        AttributeType::SOFTWARE,
        AttributeType::MESSAGE_INTEGRITY,
        kind,
    ] {
        let bytes = raw(&[padded(kind, &[0; 4]), padded(behind, &[0; 20])]);
        assert_eq!(error(&bytes), (ParseErrorKind::AfterFingerprint, 28));
    }
}

#[test]
fn the_builder_keeps_the_order_of_the_last_attributes() {
    let key = Key::short_term("key");
    let order = |kind| Err(BuildError::Order(kind));
    let sha1 = AttributeType::MESSAGE_INTEGRITY;
    let sha256 = AttributeType::MESSAGE_INTEGRITY_SHA256;
    let fingerprint = AttributeType::FINGERPRINT;
    assert_eq!(
        built(|b| b.with_integrity(&key).with(&Priority(1))),
        order(AttributeType::PRIORITY)
    );
    assert_eq!(
        built(|b| b.with_fingerprint().with_raw(AttributeType::SOFTWARE, b"")),
        order(AttributeType::SOFTWARE)
    );
    assert_eq!(
        built(|b| b.with_integrity_sha256(&key).with_integrity(&key)),
        order(sha1)
    );
    assert_eq!(
        built(|b| b.with_integrity(&key).with_integrity(&key)),
        order(sha1)
    );
    assert_eq!(
        built(|b| b.with_fingerprint().with_integrity_sha256(&key)),
        order(sha256)
    );
    assert_eq!(
        built(|b| b.with_fingerprint().with_fingerprint()),
        order(fingerprint)
    );
}

#[test]
fn a_message_fits_its_buffer_exactly_or_not_at_all() {
    let key = Key::short_term("key");
    let build = |buffer: &mut [u8]| {
        Builder::new(buffer, REQUEST, ID)
            .with(&Username("user"))
            .with_integrity(&key)
            .with_integrity_sha256(&key)
            .with_fingerprint()
            .finish()
    };
    let needed = build(&mut [0; 256]).unwrap();
    assert_eq!(needed, 20 + 8 + 24 + 36 + 8);
    for room in 0..needed {
        let mut buffer = vec![0; room];
        assert_eq!(build(&mut buffer), Err(BuildError::NoRoom), "{room} bytes");
    }
    assert_eq!(build(&mut vec![0; needed]), Ok(needed));
}

#[test]
fn a_message_does_not_outgrow_its_length_field() {
    let mut buffer = vec![0; 0x2_0000];
    let mut build = |length| {
        let builder = Builder::new(&mut buffer, REQUEST, ID);
        builder
            .with_raw(AttributeType::DATA, &vec![0; length])
            .finish()
    };
    assert_eq!(build(0xFFF8), Ok(20 + 4 + 0xFFF8));
    assert_eq!(build(0xFFF9), Err(BuildError::NoRoom));
    assert_eq!(build(0x1_0004), Err(BuildError::NoRoom));
}

/// req: STUN-14.1-1, STUN-14.1-2, STUN-14.2-2
#[test]
fn addresses_ignore_their_first_byte_and_have_the_length_of_their_family() {
    for length in 0..=21 {
        for family in 0..=3 {
            let mut value = vec![0xFF, family, 0x12, 0x34];
            value.resize(length.max(4), 9);
            value.truncate(length);
            let usable = matches!((family, length), (1, 8) | (2, 20));
            let address = MappedAddress::decode(&value, ID).is_some();
            assert_eq!(address, usable, "family {family}, {length} bytes");
            let address = XorMappedAddress::decode(&value, ID).is_some();
            assert_eq!(address, usable, "family {family}, {length} bytes");
        }
    }
    let bytes = with(&MappedAddress("192.0.2.1:4660".parse().unwrap())).unwrap();
    assert_eq!(bytes[24..], [0, 1, 0x12, 0x34, 192, 0, 2, 1]);
}

/// req: STUN-14.2-1
#[test]
fn xor_addresses_are_masked_with_cookie_and_transaction_id() {
    let v4: SocketAddr = "192.0.2.1:4660".parse().unwrap();
    let bytes = with(&XorMappedAddress(v4)).unwrap();
    // 192.0.2.1 and port 4660, each against the first bytes of the cookie.
    let masked = [0, 1, 0x33, 0x26, 0xE1, 0x12, 0xA6, 0x43];
    assert_eq!(bytes[24..], masked);

    let v6: SocketAddr = "[::]:4660".parse().unwrap();
    let bytes = with(&XorMappedAddress(v6)).unwrap();
    assert_eq!(bytes[24..28], [0, 2, 0x33, 0x26]);
    assert_eq!(bytes[28..32], MAGIC_COOKIE.to_be_bytes());
    assert_eq!(bytes[32..], ID.0);
    assert_eq!(
        Message::parse(&bytes).unwrap().get().unwrap(),
        Some(XorMappedAddress(v6))
    );
}

/// req: STUN-14.15-1
#[test]
fn alternate_server_is_not_masked() {
    let bytes = with(&AlternateServer("192.0.2.1:4660".parse().unwrap())).unwrap();
    assert_eq!(
        bytes[20..],
        [0x80, 0x23, 0, 8, 0, 1, 0x12, 0x34, 192, 0, 2, 1]
    );
}

/// req: STUN-14.8-3, STUN-14.8-4
#[test]
fn an_error_code_is_300_to_699_and_its_reserved_bits_do_not_count() {
    for class in 0..=7u8 {
        for number in 0..=255u8 {
            let value = [0xFF, 0xFF, 0xF8 | class, number];
            let code = ErrorCode::decode(&value, ID);
            if (3..=6).contains(&class) && number <= 99 {
                let expected = u16::from(class) * 100 + u16::from(number);
                assert_eq!(code.unwrap().code.number(), expected);
            } else {
                assert_eq!(code, None, "class {class}, number {number}");
            }
        }
    }
    assert_eq!(ErrorCode::decode(&[0, 0, 4], ID), None);
    assert_eq!((StatusCode::new(299), StatusCode::new(700)), (None, None));
}

/// req: STUN-14.13-1, STUN-14.8-10
#[test]
fn unknown_attributes_are_listed_once_and_padded_with_zeros() {
    let types = [0x7001, 0x7002, 0x7002, 0x8888, 0x7003].map(AttributeType);
    let request = raw(&types.map(|kind| padded(kind, b"")));
    let request = Message::parse(&request).unwrap();
    let unknown = UnknownRequired::find(&request, &[]).unwrap();
    let bytes = with(&unknown.attribute()).unwrap();
    let expected = [0, 0x0A, 0, 6, 0x70, 1, 0x70, 2, 0x70, 3, 0, 0];
    assert_eq!(bytes[20..], expected);
    let message = Message::parse(&bytes).unwrap();
    let list: UnknownAttributes<'_> = message.get().unwrap().unwrap();
    assert!(list.iter().eq([0x7001, 0x7002, 0x7003].map(AttributeType)));
    assert!(UnknownAttributes::decode(&[0, 1, 0], ID).is_none());
}

/// req: STUN-6.3-4
#[test]
fn comprehension_is_required_below_0x8000() {
    for kind in 0..=u16::MAX {
        assert_eq!(
            AttributeType(kind).is_comprehension_required(),
            kind <= 0x7FFF
        );
    }
    let bytes = raw(&[0x8000, 0xFFFE, 0xFFFF].map(|kind| padded(AttributeType(kind), b"")));
    assert!(UnknownRequired::find(&Message::parse(&bytes).unwrap(), &[]).is_none());
}

#[test]
fn secrets_do_not_print() {
    let key = Key::short_term("hunter2");
    assert_eq!(format!("{key:?}"), "Key(..)");
    let bytes = built(|b| b.with(&Username("alice")).with_integrity(&key)).unwrap();
    let printed = format!("{:?}", Message::parse(&bytes).unwrap());
    assert_eq!(printed, "Binding Request [USERNAME]");
}

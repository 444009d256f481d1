//! What a packet dissector can read, also where the parser refuses.

use floe_stun::{AttributeType, Dissection, HEADER_LEN, MAGIC_COOKIE, Message, ParseErrorKind};
use proptest::prelude::*;

/// A message with this length field and these bytes behind the header.
fn message(length: u16, attributes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    bytes.extend(length.to_be_bytes());
    bytes.extend(MAGIC_COOKIE.to_be_bytes());
    bytes.extend([7; 12]);
    bytes.extend(attributes);
    bytes
}

/// A message with these attributes and the length that they have.
fn whole(attributes: &[&[u8]]) -> Vec<u8> {
    let attributes = attributes.concat();
    message(attributes.len() as u16, &attributes)
}

fn errors(bytes: &[u8]) -> Vec<(ParseErrorKind, usize)> {
    let errors = Dissection::of(bytes).errors();
    errors.map(|error| (error.kind, error.offset)).collect()
}

/// An attribute of `length` bytes that are 1.
fn attribute(kind: AttributeType, length: u8) -> Vec<u8> {
    let mut bytes = kind.0.to_be_bytes().to_vec();
    bytes.extend([0, length]);
    bytes.extend(vec![1; usize::from(length)]);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn every_broken_rule_of_the_header_is_named() {
    let mut bytes = message(3, &[]);
    bytes[0] = 0xC0;
    bytes[4] = 0;
    let expected = [
        (ParseErrorKind::TopBits, 0),
        (ParseErrorKind::Cookie, 4),
        (ParseErrorKind::Length, 2),
    ];
    assert_eq!(errors(&bytes), expected);
    assert_eq!(
        errors(&bytes[..2]),
        [(ParseErrorKind::TooShort, 2), expected[0]]
    );
    assert_eq!(errors(&[]), [(ParseErrorKind::TooShort, 0)]);
}

#[test]
fn fields_are_read_as_far_as_they_are_there() {
    let bytes = message(0, &[]);
    for len in 0..bytes.len() {
        let dissection = Dissection::of(&bytes[..len]);
        assert_eq!(dissection.message_type().is_some(), len >= 2);
        assert_eq!(dissection.length().is_some(), len >= 4);
        assert_eq!(dissection.cookie().is_some(), len >= 8);
        assert_eq!(dissection.transaction_id().is_some(), len >= HEADER_LEN);
        assert_eq!(dissection.attributes().count(), 0);
    }
}

#[test]
fn a_value_that_is_cut_short_is_read_as_far_as_it_goes() {
    let bytes = message(8, &[0x80, 0x22, 0, 9, b'f', b'l', b'o', b'e']);
    let dissection = Dissection::of(&bytes);
    let software = dissection.attributes().next().unwrap();
    assert_eq!((software.length, software.value), (9, &b"floe"[..]));
    assert_eq!(software.error, Some(ParseErrorKind::AttributeLength));
    assert_eq!(software.end(), bytes.len());
}

#[test]
fn padding_is_shown_and_belongs_to_no_value() {
    let bytes = message(8, &[0x80, 0x22, 0, 3, b's', b'i', b'm', 0x20]);
    let software = Dissection::of(&bytes).attributes().next().unwrap();
    assert_eq!(
        (software.value, software.padding),
        (&b"sim"[..], &[0x20][..])
    );
    assert_eq!(errors(&bytes), []);
}

#[test]
fn bytes_behind_what_the_header_counts_are_no_attributes() {
    let priority = attribute(AttributeType::PRIORITY, 4);
    let bytes = message(8, &priority.repeat(2));
    assert_eq!(Dissection::of(&bytes).attributes().count(), 1);
    assert_eq!(errors(&bytes), [(ParseErrorKind::Length, 2)]);
}

/// What the parser hides is shown, and said to be hidden (RFC 8489 §14.5, §14.6).
#[test]
fn what_stands_behind_integrity_is_hidden() {
    let sha1 = attribute(AttributeType::MESSAGE_INTEGRITY, 20);
    let sha256 = attribute(AttributeType::MESSAGE_INTEGRITY_SHA256, 32);
    let other = attribute(AttributeType::PRIORITY, 4);
    let fingerprint = attribute(AttributeType::FINGERPRINT, 4);
    let bytes = whole(&[
        &other,
        &sha1,
        &other,
        &sha1,
        &sha256,
        &sha1,
        &sha256,
        &other,
        &fingerprint,
    ]);
    let hidden: Vec<_> = Dissection::of(&bytes)
        .attributes()
        .map(|attribute| u8::from(attribute.hidden))
        .collect();
    assert_eq!(hidden, [0, 0, 1, 1, 0, 1, 1, 1, 0]);
    assert_eq!(errors(&bytes), []);
}

#[test]
fn what_stands_behind_fingerprint_is_an_error_once() {
    let fingerprint = attribute(AttributeType::FINGERPRINT, 4);
    let other = attribute(AttributeType::PRIORITY, 4);
    let bytes = whole(&[&fingerprint, &other, &fingerprint, &other]);
    assert_eq!(errors(&bytes), [(ParseErrorKind::AfterFingerprint, 28)]);
}

#[test]
fn lengths_that_are_forbidden_are_named_where_they_count() {
    let short = attribute(AttributeType::MESSAGE_INTEGRITY, 16);
    let long = attribute(AttributeType::MESSAGE_INTEGRITY_SHA256, 36);
    let fingerprint = attribute(AttributeType::FINGERPRINT, 8);
    let bytes = whole(&[&short, &short, &long, &long, &fingerprint]);
    let expected = [
        (ParseErrorKind::IntegrityLength, 20),
        (ParseErrorKind::IntegrityLength, 60),
        (ParseErrorKind::FingerprintLength, 140),
    ];
    assert_eq!(errors(&bytes), expected);
}

/// Bytes that often are a message, or nearly.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![
        Just(AttributeType::PRIORITY),
        Just(AttributeType::SOFTWARE),
        Just(AttributeType::MESSAGE_INTEGRITY),
        Just(AttributeType::MESSAGE_INTEGRITY_SHA256),
        Just(AttributeType::FINGERPRINT),
    ];
    let lengths = prop_oneof![Just(4), Just(20), Just(32), 0..40_u8];
    let attributes = proptest::collection::vec((kinds, lengths), 0..8);
    let change = proptest::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (attributes, change, 0..4_usize).prop_map(|(attributes, change, cut)| {
        let attributes: Vec<_> = attributes
            .into_iter()
            .map(|(kind, length)| attribute(kind, length))
            .collect();
        let mut bytes = whole(&attributes.iter().map(Vec::as_slice).collect::<Vec<_>>());
        if let Some((at, value)) = change {
            let at = at.index(bytes.len());
            bytes[at] = value;
            bytes.truncate(bytes.len() - cut);
        }
        bytes
    })
}

proptest! {
    /// The dissector is lenient, never the parser: they judge alike.
    #[test]
    fn the_first_error_is_that_of_the_parser(
        bytes in prop_oneof![nearly(), proptest::collection::vec(any::<u8>(), 0..60)],
    ) {
        let first = Dissection::of(&bytes).errors().next();
        prop_assert_eq!(first, Message::parse(&bytes).err());
    }

    /// What the parser shows is what the dissector shows and does not call hidden.
    #[test]
    fn both_read_the_same_attributes(bytes in nearly()) {
        if let Ok(message) = Message::parse(&bytes) {
            let visible = Dissection::of(&bytes)
                .attributes()
                .filter(|attribute| !attribute.hidden)
                .filter(|attribute| !matches!(
                    attribute.kind,
                    AttributeType::MESSAGE_INTEGRITY
                        | AttributeType::MESSAGE_INTEGRITY_SHA256
                        | AttributeType::FINGERPRINT
                ))
                .map(|attribute| (attribute.kind, attribute.offset, attribute.value));
            let parsed = message.attributes().map(|raw| (raw.kind, raw.offset, raw.value));
            prop_assert_eq!(visible.collect::<Vec<_>>(), parsed.collect::<Vec<_>>());
        }
    }
}

//! What holds of every message: parsing, building, tampering. The strategies are those of
//! `floe_stun::testing`.

use floe_stun::testing::{
    AnyAttribute, AnyMessage, Signature, attribute_of, message, message_type, raw_attribute,
    signed_message, transaction_id, unsigned_message,
};
use floe_stun::{
    Algorithm, AttributeType, Builder, Class, Key, MAGIC_COOKIE, Malformed, Message, Method,
    ParseErrorKind, UnknownRequired, read_response,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// What a receiver does that wants integrity: where the bytes end that it took for genuine.
fn accepted(bytes: &[u8], key: &Key) -> Option<usize> {
    let message = Message::parse(bytes).ok()?;
    let algorithm = message.integrity()?;
    message.verify(key, algorithm).then(|| {
        let kind = match algorithm {
            Algorithm::Sha1 => 0x0008,
            Algorithm::Sha256 => 0x001C,
        };
        end_of(bytes, kind).unwrap()
    })
}

/// Where the first attribute of this type ends, found by a walk of its own.
fn end_of(bytes: &[u8], kind: u16) -> Option<usize> {
    let be16 = |at| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let mut at = 20;
    while at < bytes.len() {
        let end = at + 4 + usize::from(be16(at + 2)).next_multiple_of(4);
        if be16(at) == kind {
            return Some(end);
        }
        at = end;
    }
    None
}

/// All but the length field, which the code is not computed over as it stands.
fn covered(bytes: &[u8], end: usize) -> (&[u8], &[u8]) {
    (&bytes[..2], &bytes[4..end])
}

/// Appends raw attributes to a whole message.
fn extend(bytes: &mut Vec<u8>, attributes: &[AnyAttribute]) {
    let mut buffer = vec![0; 0x1000];
    let kind = Message::parse(bytes).unwrap().message_type();
    let id = Message::parse(bytes).unwrap().transaction_id();
    let mut builder = Builder::new(&mut buffer, kind, id);
    for attribute in attributes {
        builder = attribute.append(builder);
    }
    let len = builder.finish().unwrap();
    bytes.extend(&buffer[20..len]);
    fix_length(bytes);
}

fn fix_length(bytes: &mut [u8]) {
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

fn kind_of(bytes: &[u8]) -> ParseErrorKind {
    Message::parse(bytes).unwrap_err().kind
}

/// Builds the same message from what is read of it.
fn rebuild(message: &Message<'_>, signature: Option<&Signature>) -> Vec<u8> {
    let id = message.transaction_id();
    let read = message.attributes().map(|raw| AnyAttribute::read(&raw, id));
    let again = AnyMessage {
        kind: message.message_type(),
        id,
        attributes: read.map(Option::unwrap).collect(),
        signature: signature.cloned(),
        fingerprint: message.has_fingerprint(),
    };
    again.build()
}

/// Reads everything there is to read.
fn exercise(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    let mut end = 20;
    for raw in message.attributes() {
        assert_eq!(raw.offset, end);
        end = raw.offset + 4 + raw.value.len().next_multiple_of(4);
        let _ = AnyAttribute::read(&raw, message.transaction_id());
        let _ = AnyAttribute::get(&message, raw.kind);
    }
    assert!(end <= bytes.len());
    let _ = read_response(&message);
    if let Some(unknown) = UnknownRequired::find(&message, &[AttributeType::USERNAME]) {
        assert!(unknown.attribute().iter().count() <= UnknownRequired::MAX);
    }
    // Nobody can know this key by chance.
    let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    assert!(!message.verify(&key, Algorithm::Sha1));
    assert!(!message.verify(&key, Algorithm::Sha256));
    let _ = message.verify_fingerprint();
    let _ = format!("{message:?}");
}

/// Bytes that pass the checks of the header, with attributes that are mostly whole.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let special = [0x0008, 0x001C, 0x8028].map(AttributeType);
    let known = [AnyAttribute::TYPED, &special].concat();
    let kind = prop_oneof![
        prop::sample::select(known).prop_map(|kind| kind.0),
        any::<u16>()
    ];
    let lie = prop_oneof![9 => Just(0i16), 1 => -4..40i16];
    let attribute = (kind, vec(any::<u8>(), 0..40), lie);
    let attributes = vec(attribute, 0..8);
    (message_type(), transaction_id(), attributes).prop_map(|(kind, id, attributes)| {
        let mut bytes = kind.to_bits().to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(MAGIC_COOKIE.to_be_bytes());
        bytes.extend(id.0);
        for (kind, value, lie) in attributes {
            let length = (value.len() as u16).saturating_add_signed(lie);
            bytes.extend(kind.to_be_bytes());
            bytes.extend(length.to_be_bytes());
            bytes.extend(&value);
            bytes.resize(bytes.len().next_multiple_of(4), 0x20);
        }
        fix_length(&mut bytes);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
    }

    #[test]
    fn any_message_is_read_without_panic(bytes in plausible()) {
        exercise(&bytes);
    }

    /// req: STUN-14-1, STUN-14-2, STUN-14-6
    #[test]
    fn the_walk_covers_what_the_header_counts(bytes in plausible()) {
        // Without integrity and fingerprint nothing is hidden.
        if let Ok(message) = Message::parse(&bytes) {
            if message.integrity().is_none() && !message.has_fingerprint() {
                let walked: usize = message
                    .attributes()
                    .map(|raw| 4 + raw.value.len().next_multiple_of(4))
                    .sum();
                prop_assert_eq!(20 + walked, bytes.len());
            }
        }
    }

    /// req: STUN-5-2, STUN-5-9, STUN-14-1, STUN-14-2
    #[test]
    fn what_was_built_is_read_again(any in message()) {
        let bytes = any.build();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.message_type(), any.kind);
        prop_assert_eq!(message.transaction_id(), any.id);
        let read: Vec<_> = message
            .attributes()
            .map(|raw| AnyAttribute::read(&raw, any.id).expect("well formed"))
            .collect();
        prop_assert_eq!(&read, &any.attributes);
        let (sha1, sha256) = any.signature.as_ref().map_or((false, false), |s| (s.sha1, s.sha256));
        let key = any.signature.as_ref().map_or_else(|| Key::new(b""), |s| s.secret.key());
        prop_assert_eq!(message.verify(&key, Algorithm::Sha1), sha1);
        prop_assert_eq!(message.verify(&key, Algorithm::Sha256), sha256);
        prop_assert_eq!(message.has_fingerprint(), any.fingerprint);
        prop_assert_eq!(message.verify_fingerprint(), any.fingerprint);
    }

    /// req: STUN-14-5
    #[test]
    fn of_every_type_the_first_is_the_one_that_is_read(any in message()) {
        let bytes = any.build();
        let message = Message::parse(&bytes).unwrap();
        for attribute in &any.attributes {
            let kind = attribute.kind();
            let first = any.attributes.iter().find(|other| other.kind() == kind);
            let read = AnyAttribute::get(&message, kind);
            prop_assert_eq!(read.as_ref(), first);
        }
    }

    /// Every type, whatever the other properties happen to draw.
    #[test]
    fn every_type_is_written_and_read_again(
        kind in message_type(),
        id in transaction_id(),
        attributes in AnyAttribute::TYPED.iter().map(|&kind| attribute_of(kind)).collect::<Vec<_>>(),
    ) {
        let any = AnyMessage { kind, id, attributes, signature: None, fingerprint: false };
        let bytes = any.build();
        let message = Message::parse(&bytes).unwrap();
        for attribute in &any.attributes {
            let kind = attribute.kind();
            prop_assert!(kind.name().is_some());
            let read = AnyAttribute::get(&message, kind);
            prop_assert_eq!(read.as_ref(), Some(attribute));
        }
    }

    #[test]
    fn what_is_read_of_canonical_bytes_builds_them_again(any in message()) {
        let bytes = any.build();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(rebuild(&message, any.signature.as_ref()), bytes);
    }

    /// A receiver that requires integrity notices every change in what it covers.
    ///
    /// req: VEC-1-6, STUN-14.5-1, STUN-14.6-2
    #[test]
    fn changed_bits_do_not_verify(
        any in signed_message(),
        changes in vec((any::<Index>(), 1..=255u8), 1..5),
    ) {
        let signature = any.signature.as_ref().unwrap();
        let original = any.build();
        let key = signature.secret.key();
        let end = accepted(&original, &key).expect("as it was signed");
        let mut bytes = original.clone();
        for (index, change) in changes {
            bytes[index.index(end)] ^= change;
        }
        prop_assume!(bytes != original);
        if let Some(end) = accepted(&bytes, &key) {
            // With both codes, what breaks the type of the second leaves the first to be judged.
            prop_assert!(signature.sha1 && signature.sha256);
            prop_assert_eq!(covered(&bytes, end), covered(&original, end));
        }
    }

    /// Nor is there another way: parts removed, doubled, moved, exchanged with those of another message
    /// under the same key, and the length field put right again.
    ///
    /// req: VEC-1-6
    #[test]
    fn mutated_messages_do_not_verify(
        any in signed_message(),
        other in unsigned_message(),
        seed in any::<[u8; 32]>(),
    ) {
        let signature = any.signature.as_ref().unwrap();
        let key = signature.secret.key();
        let original = any.build();
        let other = AnyMessage { signature: any.signature.clone(), ..other }.build();
        let mut bytes = original.clone();
        let mut entropy = floe_sansio::Entropy::new(seed);
        floe_sansio::testing::mutate(&mut bytes, &other, &mut entropy);
        if bytes.len() >= 20 {
            bytes.truncate(bytes.len() / 4 * 4);
            fix_length(&mut bytes);
        }
        if let Some(end) = accepted(&bytes, &key) {
            let genuine = |message: &[u8]| {
                message.len() >= end && covered(message, end) == covered(&bytes, end)
            };
            prop_assert!(genuine(&original) || genuine(&other));
        }
    }

    /// req: STUN-14.5-1, STUN-14.6-2
    #[test]
    fn a_changed_code_does_not_verify(any in signed_message(), at in any::<Index>(), change in 1..=255u8) {
        let signature = any.signature.as_ref().unwrap();
        let key = signature.secret.key();
        let original = any.build();
        for (there, kind, length, algorithm) in [
            (signature.sha1, 0x0008, 20, Algorithm::Sha1),
            (signature.sha256, 0x001C, 32, Algorithm::Sha256),
        ] {
            if there {
                let mut bytes = original.clone();
                let end = end_of(&original, kind).unwrap();
                bytes[end - length + at.index(length)] ^= change;
                prop_assert!(!Message::parse(&bytes).unwrap().verify(&key, algorithm));
            }
        }
    }

    /// req: STUN-14.7-2
    #[test]
    fn a_changed_bit_does_not_pass_the_fingerprint(any in message(), at in any::<Index>(), bit in 0..8u8) {
        let bytes = AnyMessage { fingerprint: true, ..any }.build();
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= 1u8 << bit;
        prop_assert!(!Message::parse(&changed).is_ok_and(|message| message.verify_fingerprint()));
    }

    /// req: STUN-9-1, STUN-9-2
    #[test]
    fn attributes_behind_integrity_are_hidden(
        any in signed_message(),
        behind in vec(raw_attribute(), 1..4),
    ) {
        let any = AnyMessage { fingerprint: false, ..any };
        let mut bytes = any.build();
        extend(&mut bytes, &behind);
        let message = Message::parse(&bytes).unwrap();
        let visible = message.attributes().map(|raw| raw.kind);
        prop_assert!(visible.eq(any.attributes.iter().map(AnyAttribute::kind)));
        let key = any.signature.unwrap().secret.key();
        let algorithm = message.integrity().unwrap();
        prop_assert!(message.verify(&key, algorithm), "and they do not disturb it");
    }

    /// req: STUN-5-1, STUN-5-4
    #[test]
    fn no_message_has_top_bits_or_another_cookie(any in message(), top in 1..4u8, at in 0..4usize, change in 1..=255u8) {
        let mut bytes = any.build();
        bytes[0] |= top << 6;
        prop_assert_eq!(kind_of(&bytes), ParseErrorKind::TopBits);
        bytes[0] &= 0x3F;
        bytes[4 + at] ^= change;
        prop_assert_eq!(kind_of(&bytes), ParseErrorKind::Cookie);
    }

    /// req: STUN-5-9
    #[test]
    fn no_message_has_another_length_than_its_field_says(any in message(), extra in vec(any::<u8>(), 1..40), cut in any::<Index>()) {
        let bytes = any.build();
        let mut longer = bytes.clone();
        longer.extend(&extra);
        prop_assert_eq!(kind_of(&longer), ParseErrorKind::Length);
        // Nor if the field counts them, but is no multiple of 4.
        fix_length(&mut longer);
        if longer.len() % 4 != 0 {
            prop_assert_eq!(kind_of(&longer), ParseErrorKind::Length);
        }
        let shorter = &bytes[..cut.index(bytes.len())];
        let expected = if shorter.len() < 20 { ParseErrorKind::TooShort } else { ParseErrorKind::Length };
        prop_assert_eq!(kind_of(shorter), expected);
    }

    /// req: STUN-14-6
    #[test]
    fn no_attribute_runs_past_the_end(any in unsigned_message(), kind in any::<u16>(), room in 0..4u16, more in 1..0x1000u16) {
        prop_assume!(![0x0008, 0x001C, 0x8028].contains(&kind));
        let mut bytes = AnyMessage { fingerprint: false, ..any }.build();
        let at = bytes.len();
        bytes.extend(kind.to_be_bytes());
        bytes.extend((4 * room + more).to_be_bytes());
        bytes.resize(at + 4 + usize::from(4 * room), 0);
        fix_length(&mut bytes);
        let error = Message::parse(&bytes).unwrap_err();
        prop_assert_eq!((error.kind, error.offset), (ParseErrorKind::AttributeLength, at));
    }

    /// req: STUN-14.7-3
    #[test]
    fn nothing_stands_behind_fingerprint(any in message(), behind in raw_attribute()) {
        let any = AnyMessage { fingerprint: true, ..any };
        let mut bytes = any.build();
        let at = bytes.len();
        extend(&mut bytes, &[behind]);
        let error = Message::parse(&bytes).unwrap_err();
        prop_assert_eq!((error.kind, error.offset), (ParseErrorKind::AfterFingerprint, at));
    }

    /// req: STUN-5-7, STUN-6.3.1.1-6
    #[test]
    fn a_response_has_method_and_id_of_its_request(any in unsigned_message(), success in any::<bool>()) {
        let request = any.build();
        let request = Message::parse(&request).unwrap();
        let class = if success { Class::Success } else { Class::Error };
        let mut buffer = [0; 20];
        let len = Builder::response(&mut buffer, &request, class).finish().unwrap();
        let response = Message::parse(&buffer[..len]).unwrap();
        let method: Method = response.method();
        prop_assert_eq!(method, any.kind.method);
        prop_assert_eq!(response.class(), class);
        prop_assert_eq!(response.transaction_id(), any.id);
    }

    #[test]
    fn what_is_malformed_says_where(bytes in plausible()) {
        if let Ok(message) = Message::parse(&bytes) {
            if let Err(Malformed { attribute, offset }) = message.get::<floe_stun::Priority>() {
                let raw = message.attributes().find(|raw| raw.kind == attribute).unwrap();
                prop_assert_eq!((attribute, offset), (AttributeType::PRIORITY, raw.offset));
                prop_assert_ne!(raw.value.len(), 4);
            }
        }
    }
}

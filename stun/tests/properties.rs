//! What holds of every message: parsing, building, tampering.

use std::net::{IpAddr, SocketAddr};

use floe_stun::{AddressFamily, Malformed};
use floe_stun::{
    Algorithm, AlternateServer, Attribute, AttributeType, Builder, ChannelNumber, Class, Data,
    DontFragment, ErrorCode, EvenPort, IceControlled, IceControlling, Key, Lifetime, MAGIC_COOKIE,
    MappedAddress, Message, MessageType, Method, Nonce, Priority, Protocol, Realm,
    RequestedAddressFamily, RequestedTransport, ReservationToken, Software, StatusCode,
    TransactionId, UnknownAttributes, UnknownRequired, UseCandidate, Username, XorMappedAddress,
    XorPeerAddress, XorRelayedAddress, read_response,
};
use proptest::prelude::*;

/// One attribute, by value.
#[derive(Clone, Debug)]
enum Any {
    Username(String),
    Realm(String),
    Nonce(String),
    Software(String),
    Error(u16, String),
    Address(u8, SocketAddr),
    Number(u8, u64),
    Flag(bool),
    Data(Vec<u8>),
    Raw(u16, Vec<u8>),
}

/// What REALM and NONCE may be made of, or some of it.
const QUOTABLE: &str = r"[ !#-\[\]-~é€𝄞]{0,127}";

fn any_attribute() -> impl Strategy<Value = Any> {
    let address = (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port));
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        "\\PC{0,60}".prop_map(Any::Username),
        QUOTABLE.prop_map(Any::Realm),
        QUOTABLE.prop_map(Any::Nonce),
        "\\PC{0,127}".prop_map(Any::Software),
        (300..700u16, "\\PC{0,127}").prop_map(|(code, reason)| Any::Error(code, reason)),
        (0..5u8, address).prop_map(|(which, address)| Any::Address(which, address)),
        (0..9u8, any::<u64>()).prop_map(|(which, number)| Any::Number(which, number)),
        any::<bool>().prop_map(Any::Flag),
        bytes().prop_map(Any::Data),
        // Types that nobody knows.
        ((0x7000..0x8000u16), bytes()).prop_map(|(kind, value)| Any::Raw(kind, value)),
        ((0xF000..=0xFFFFu16), bytes()).prop_map(|(kind, value)| Any::Raw(kind, value)),
    ]
}

/// Does with the typed attribute what `$then` says.
macro_rules! typed {
    ($any:expr, $attribute:ident => $then:expr, raw($kind:ident, $value:ident) => $raw:expr) => {
        match $any {
            Any::Username(text) => {
                let $attribute = Username(text);
                $then
            }
            Any::Realm(text) => {
                let $attribute = Realm(text);
                $then
            }
            Any::Nonce(text) => {
                let $attribute = Nonce(text);
                $then
            }
            Any::Software(text) => {
                let $attribute = Software(text);
                $then
            }
            Any::Error(code, reason) => {
                let $attribute = ErrorCode {
                    code: StatusCode::new(*code).unwrap(),
                    reason,
                };
                $then
            }
            Any::Address(0, address) => {
                let $attribute = MappedAddress(*address);
                $then
            }
            Any::Address(1, address) => {
                let $attribute = XorMappedAddress(*address);
                $then
            }
            Any::Address(2, address) => {
                let $attribute = XorPeerAddress(*address);
                $then
            }
            Any::Address(3, address) => {
                let $attribute = XorRelayedAddress(*address);
                $then
            }
            Any::Address(_, address) => {
                let $attribute = AlternateServer(*address);
                $then
            }
            Any::Number(0, n) => {
                let $attribute = Priority(*n as u32);
                $then
            }
            Any::Number(1, n) => {
                let $attribute = IceControlled(*n);
                $then
            }
            Any::Number(2, n) => {
                let $attribute = IceControlling(*n);
                $then
            }
            Any::Number(3, n) => {
                let $attribute = Lifetime(*n as u32);
                $then
            }
            Any::Number(4, n) => {
                let $attribute = ChannelNumber(*n as u16);
                $then
            }
            Any::Number(5, n) => {
                let $attribute = RequestedTransport(*n as u8);
                $then
            }
            Any::Number(6, n) => {
                let $attribute = ReservationToken(n.to_be_bytes());
                $then
            }
            Any::Number(7, n) => {
                let $attribute = RequestedAddressFamily(AddressFamily(1 + (*n % 2) as u8));
                $then
            }
            Any::Number(_, n) => {
                let $attribute = EvenPort {
                    reserve_next: n % 2 == 1,
                };
                $then
            }
            Any::Flag(true) => {
                let $attribute = UseCandidate;
                $then
            }
            Any::Flag(false) => {
                let $attribute = DontFragment;
                $then
            }
            Any::Data(bytes) => {
                let $attribute = Data(bytes);
                $then
            }
            Any::Raw($kind, $value) => $raw,
        }
    };
}

fn append<'b>(builder: Builder<'b>, any: &Any) -> Builder<'b> {
    typed!(any, attribute => builder.with(&attribute), raw(kind, value) => {
        builder.with_raw(AttributeType(*kind), value)
    })
}

fn kind(any: &Any) -> AttributeType {
    fn of<'a, A: Attribute<'a>>(_: &A) -> AttributeType {
        A::TYPE
    }
    typed!(any, attribute => of(&attribute), raw(kind, _value) => AttributeType(*kind))
}

/// Whether the message has exactly this value first among those of its type.
fn holds(message: &Message<'_>, any: &Any) -> bool {
    fn get<'a, A: Attribute<'a> + PartialEq>(message: &Message<'a>, expected: &A) -> bool {
        message
            .get::<A>()
            .is_ok_and(|found| found.as_ref() == Some(expected))
    }
    typed!(any, attribute => get(message, &attribute), raw(kind, value) => {
        let kind = AttributeType(*kind);
        message.attributes().find(|raw| raw.kind == kind).is_some_and(|raw| raw.value == value)
    })
}

/// How a message ends: SHA-1, SHA-256, FINGERPRINT.
type Ending = (bool, bool, bool);

fn key() -> Key {
    Key::short_term("VOkJxbRl1RmTxUk/WvJxBt")
}

fn build(
    bits: u16,
    id: [u8; 12],
    attributes: &[Any],
    (sha1, sha256, fingerprint): Ending,
) -> Vec<u8> {
    let mut buffer = vec![0xEE; 0x4000];
    let kind = MessageType::from_bits(bits);
    let mut builder = Builder::new(&mut buffer, kind, TransactionId(id));
    for attribute in attributes {
        builder = append(builder, attribute);
    }
    if sha1 {
        builder = builder.with_integrity(&key());
    }
    if sha256 {
        builder = builder.with_integrity_sha256(&key());
    }
    if fingerprint {
        builder = builder.with_fingerprint();
    }
    let len = builder.finish().unwrap();
    buffer.truncate(len);
    buffer
}

/// An attribute is there, or not, or malformed where it stands.
fn get<'a, A: Attribute<'a>>(message: &Message<'a>) {
    if let Err(Malformed { attribute, offset }) = message.get::<A>() {
        assert_eq!(attribute, A::TYPE);
        assert!(
            message
                .attributes()
                .any(|raw| raw.offset == offset && raw.kind == attribute)
        );
    }
}

/// Reads everything there is to read.
fn exercise(bytes: &[u8]) {
    let _ = Protocol::of(bytes);
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    let mut end = 20;
    for raw in message.attributes() {
        assert_eq!(raw.offset, end);
        end = raw.offset + 4 + raw.value.len().next_multiple_of(4);
    }
    assert!(end <= bytes.len());
    get::<Username<'_>>(&message);
    get::<Realm<'_>>(&message);
    get::<Nonce<'_>>(&message);
    get::<Software<'_>>(&message);
    get::<ErrorCode<'_>>(&message);
    get::<UnknownAttributes<'_>>(&message);
    get::<MappedAddress>(&message);
    get::<XorMappedAddress>(&message);
    get::<XorPeerAddress>(&message);
    get::<XorRelayedAddress>(&message);
    get::<ChannelNumber>(&message);
    get::<Lifetime>(&message);
    get::<EvenPort>(&message);
    get::<RequestedTransport>(&message);
    get::<RequestedAddressFamily>(&message);
    get::<ReservationToken>(&message);
    get::<DontFragment>(&message);
    get::<Data<'_>>(&message);
    get::<Priority>(&message);
    get::<UseCandidate>(&message);
    let _ = read_response(&message);
    if let Some(unknown) = UnknownRequired::find(&message, &[AttributeType::USERNAME]) {
        assert!(unknown.attribute().iter().count() <= UnknownRequired::MAX);
    }
    // Nobody can know this key by chance.
    assert!(!message.verify(&key(), Algorithm::Sha1));
    assert!(!message.verify(&key(), Algorithm::Sha256));
    let _ = message.verify_fingerprint();
    let _ = format!("{message:?}");
}

/// Bytes that pass the checks of the header, with attributes that are mostly whole.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let known = prop_oneof![
        Just(0x0006u16),
        Just(0x0008),
        Just(0x0009),
        Just(0x000A),
        Just(0x0013),
        Just(0x0014),
        Just(0x0015),
        Just(0x001C),
        Just(0x0020),
        Just(0x0024),
        Just(0x8028),
        any::<u16>(),
    ];
    let value = proptest::collection::vec(any::<u8>(), 0..40);
    let attribute = (known, value, prop_oneof![9 => Just(0i16), 1 => -4..40i16]);
    (
        any::<u16>(),
        any::<[u8; 12]>(),
        proptest::collection::vec(attribute, 0..8),
    )
        .prop_map(|(bits, id, attributes)| {
            let mut body = Vec::new();
            for (kind, value, lie) in attributes {
                let length = (value.len() as u16).saturating_add_signed(lie);
                body.extend(kind.to_be_bytes());
                body.extend(length.to_be_bytes());
                body.extend(&value);
                body.resize(body.len().next_multiple_of(4), 0x20);
            }
            let mut bytes = (bits & 0x3FFF).to_be_bytes().to_vec();
            bytes.extend((body.len() as u16).to_be_bytes());
            bytes.extend(MAGIC_COOKIE.to_be_bytes());
            bytes.extend(id);
            bytes.extend(body);
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
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

    #[test]
    fn what_was_built_is_read_again(
        bits in 0..0x4000u16,
        id in any::<[u8; 12]>(),
        attributes in proptest::collection::vec(any_attribute(), 0..12),
        ending in any::<Ending>(),
    ) {
        let bytes = build(bits, id, &attributes, ending);
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.message_type().to_bits(), bits);
        prop_assert_eq!(message.transaction_id(), TransactionId(id));
        prop_assert!(message.attributes().map(|raw| raw.kind).eq(attributes.iter().map(kind)));
        for (index, attribute) in attributes.iter().enumerate() {
            // The first of its type is the one that is read.
            if !attributes[..index].iter().any(|earlier| kind(earlier) == kind(attribute)) {
                prop_assert!(holds(&message, attribute), "{:?}", attribute);
            }
        }
        let (sha1, sha256, fingerprint) = ending;
        prop_assert_eq!(message.verify(&key(), Algorithm::Sha1), sha1);
        prop_assert_eq!(message.verify(&key(), Algorithm::Sha256), sha256);
        prop_assert_eq!(message.verify_fingerprint(), fingerprint);
        let known = message.unknown_required(&[]).all(AttributeType::is_comprehension_required);
        prop_assert!(known);
    }

    /// A receiver that requires integrity notices every change in what it covers.
    ///
    /// req: VEC-1-6
    #[test]
    fn a_changed_message_does_not_verify(
        attributes in proptest::collection::vec(any_attribute(), 0..6),
        sha256 in any::<bool>(),
        fingerprint in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..5),
    ) {
        let original = build(0x0001, [4; 12], &attributes, (!sha256, sha256, fingerprint));
        let mut bytes = original.clone();
        for (index, change) in changes {
            bytes[index.index(original.len())] ^= change;
        }
        prop_assume!(bytes != original);
        let accepted = Message::parse(&bytes).is_ok_and(|message| {
            message.integrity().is_some_and(|algorithm| message.verify(&key(), algorithm))
                && (!fingerprint || message.verify_fingerprint())
        });
        prop_assert!(!accepted);
    }

    /// req: STUN-9-1, STUN-9-2
    #[test]
    fn attributes_behind_integrity_are_hidden(
        before in proptest::collection::vec(any_attribute(), 0..4),
        behind in proptest::collection::vec(any_attribute(), 1..4),
        sha256 in any::<bool>(),
    ) {
        let mut bytes = build(0x0001, [4; 12], &before, (!sha256, sha256, false));
        let appended = build(0x0001, [4; 12], &behind, (false, false, false));
        bytes.extend(&appended[20..]);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let message = Message::parse(&bytes).unwrap();
        prop_assert!(message.attributes().map(|raw| raw.kind).eq(before.iter().map(kind)));
        let algorithm = message.integrity().unwrap();
        prop_assert!(message.verify(&key(), algorithm), "and they do not disturb it");
    }

    /// req: STUN-5-2
    #[test]
    fn a_response_has_method_and_id_of_its_request(method in 0..0x1000u16, id in any::<[u8; 12]>()) {
        let kind = MessageType::new(Class::Request, Method::new(method));
        let request = build(kind.to_bits(), id, &[], (false, false, false));
        let request = Message::parse(&request).unwrap();
        let mut buffer = [0; 20];
        let len = Builder::response(&mut buffer, &request, Class::Error).finish().unwrap();
        let response = Message::parse(&buffer[..len]).unwrap();
        prop_assert_eq!(response.method().number(), method);
        prop_assert_eq!(response.class(), Class::Error);
        prop_assert_eq!(response.transaction_id(), TransactionId(id));
    }
}

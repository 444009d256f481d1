//! Strategies for property tests: every typed attribute, raw attributes, whole messages.
//!
//! What the strategies give may be sent, and is canonical: building it, reading it and building it
//! again gives the same bytes.
//!
//! ```
//! use floe_stun::Message;
//! use floe_stun::testing::{AnyAttribute, message};
//! use proptest::prelude::*;
//!
//! proptest!(|(any in message())| {
//!     let bytes = any.build();
//!     let message = Message::parse(&bytes).unwrap();
//!     let read: Vec<_> = message
//!         .attributes()
//!         .filter_map(|raw| AnyAttribute::read(&raw, any.id))
//!         .collect();
//!     prop_assert_eq!(read, any.attributes);
//! });
//! ```
//!
//! A crate asks for it with `floe-stun = { …, features = ["testing"] }` among its
//! `dev-dependencies`. The feature needs the standard library.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use proptest::collection;
use proptest::option;
use proptest::prelude::*;

use crate::{
    AdditionalAddressFamily, AddressErrorCode, AddressFamily, AlternateDomain, AlternateServer,
    Attribute, AttributeType, Builder, ChangeRequest, ChannelNumber, Class, ConnectionId, Data,
    DontFragment, ErrorCode, EvenPort, IceControlled, IceControlling, Icmp, Key, Lifetime,
    MappedAddress, Message, MessageType, Method, Nonce, OtherAddress, Padding, PasswordAlgorithm,
    PasswordAlgorithms, Priority, RawAttribute, Realm, RequestedAddressFamily, RequestedTransport,
    ReservationToken, ResponseOrigin, ResponsePort, Software, StatusCode, TransactionId,
    UnknownAttributes, UseCandidate, UserHash, Username, XorMappedAddress, XorPeerAddress,
    XorRelayedAddress,
};

/// Declares [`AnyAttribute`] and what is done with it. Two kinds of lines: attributes that are values
/// of their own, and those that borrow, with what owns them, how to borrow and how to own.
macro_rules! attributes {
    (
        values { $($value:ident = $value_strategy:expr;)* }
        borrowed {
            $($name:ident($owned:ty) = $strategy:expr,
                $lent:ident => $lend:expr, $taken:ident => $take:expr;)*
        }
    ) => {
        /// An attribute that owns its value.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum AnyAttribute {
            $(
                #[doc = concat!("See [`", stringify!($value), "`](crate::", stringify!($value), ").")]
                $value($value),
            )*
            $(
                #[doc = concat!("See [`", stringify!($name), "`](crate::", stringify!($name), ").")]
                $name($owned),
            )*
            /// One that no type here stands for.
            Raw(AttributeType, Vec<u8>),
        }

        impl AnyAttribute {
            /// The types that have a variant of their own.
            pub const TYPED: &[AttributeType] = &[
                $($value::TYPE,)*
                $($name::TYPE,)*
            ];

            /// Its type.
            pub const fn kind(&self) -> AttributeType {
                match self {
                    $(Self::$value(_) => $value::TYPE,)*
                    $(Self::$name(_) => $name::TYPE,)*
                    Self::Raw(kind, _) => *kind,
                }
            }

            /// Appends it to a message.
            pub fn append<'b>(&self, builder: Builder<'b>) -> Builder<'b> {
                match self {
                    $(Self::$value(value) => builder.with(value),)*
                    $(Self::$name($lent) => builder.with(&$lend),)*
                    Self::Raw(kind, value) => builder.with_raw(*kind, value),
                }
            }

            /// Reads an attribute of a message with this transaction id; `None` if it is malformed.
            pub fn read(raw: &RawAttribute<'_>, id: TransactionId) -> Option<Self> {
                match raw.kind {
                    $($value::TYPE => $value::decode(raw.value, id).map(Self::$value),)*
                    $($name::TYPE => {
                        let $taken = $name::decode(raw.value, id)?;
                        Some(Self::$name($take))
                    })*
                    kind => Some(Self::Raw(kind, raw.value.to_vec())),
                }
            }

            /// Reads the first attribute of this type as [`Message::get`] does; `None` if there is none
            /// or if it is malformed.
            pub fn get(message: &Message<'_>, kind: AttributeType) -> Option<Self> {
                match kind {
                    $($value::TYPE => message.get::<$value>().ok()?.map(Self::$value),)*
                    $($name::TYPE => {
                        let $taken = message.get::<$name<'_>>().ok()??;
                        Some(Self::$name($take))
                    })*
                    kind => {
                        let raw = message.attributes().find(|raw| raw.kind == kind)?;
                        Some(Self::Raw(kind, raw.value.to_vec()))
                    }
                }
            }
        }

        /// Values that may be sent of the attribute of this type; with a type that is not among
        /// [`AnyAttribute::TYPED`] anything of up to 40 bytes.
        pub fn attribute_of(kind: AttributeType) -> BoxedStrategy<AnyAttribute> {
            match kind {
                $($value::TYPE => $value_strategy.prop_map(AnyAttribute::$value).boxed(),)*
                $($name::TYPE => $strategy.prop_map(AnyAttribute::$name).boxed(),)*
                kind => bytes().prop_map(move |value| AnyAttribute::Raw(kind, value)).boxed(),
            }
        }
    };
}

attributes! {
    values {
        MappedAddress = address().prop_map(MappedAddress);
        XorMappedAddress = address().prop_map(XorMappedAddress);
        XorPeerAddress = address().prop_map(XorPeerAddress);
        XorRelayedAddress = address().prop_map(XorRelayedAddress);
        AlternateServer = address().prop_map(AlternateServer);
        ResponseOrigin = address().prop_map(ResponseOrigin);
        OtherAddress = address().prop_map(OtherAddress);
        ChangeRequest = any::<(bool, bool)>().prop_map(|(ip, port)| ChangeRequest { ip, port });
        ResponsePort = any::<u16>().prop_map(ResponsePort);
        Priority = any::<u32>().prop_map(Priority);
        IceControlled = any::<u64>().prop_map(IceControlled);
        IceControlling = any::<u64>().prop_map(IceControlling);
        UseCandidate = Just(UseCandidate);
        Lifetime = any::<u32>().prop_map(Lifetime);
        ConnectionId = any::<u32>().prop_map(ConnectionId);
        ChannelNumber = (0x4000..0x5000u16).prop_map(ChannelNumber);
        RequestedAddressFamily = family().prop_map(RequestedAddressFamily);
        AdditionalAddressFamily = Just(AdditionalAddressFamily(AddressFamily::IPV6));
        EvenPort = any::<bool>().prop_map(|reserve_next| EvenPort { reserve_next });
        RequestedTransport = any::<u8>().prop_map(RequestedTransport);
        DontFragment = Just(DontFragment);
        ReservationToken = any::<[u8; 8]>().prop_map(ReservationToken);
        UserHash = any::<[u8; 32]>().prop_map(UserHash);
        Icmp = any::<(u8, u8, u32)>().prop_map(|(kind, code, data)| Icmp { kind, code, data });
    }
    borrowed {
        Username(String) = username(), text => Username(text), name => name.0.into();
        Realm(String) = quotable(), text => Realm(text), realm => realm.0.into();
        Nonce(String) = quotable(), text => Nonce(text), nonce => nonce.0.into();
        Software(String) = text(), text => Software(text), software => software.0.into();
        AlternateDomain(String) = domain(), name => AlternateDomain(name), name => name.0.into();
        Data(Vec<u8>) = bytes(), bytes => Data(bytes), data => data.0.into();
        Padding(Vec<u8>) = bytes(), bytes => Padding(bytes), padding => padding.0.into();
        ErrorCode((StatusCode, String)) = error(),
            error => ErrorCode { code: error.0, reason: &error.1 },
            error => (error.code, error.reason.into());
        AddressErrorCode((AddressFamily, StatusCode, String)) =
            (family(), error()).prop_map(|(family, (code, reason))| (family, code, reason)),
            error => AddressErrorCode {
                family: error.0,
                error: ErrorCode { code: error.1, reason: &error.2 },
            },
            error => (error.family, error.error.code, error.error.reason.into());
        UnknownAttributes(Vec<AttributeType>) =
            collection::vec(any::<u16>().prop_map(AttributeType), 0..20),
            list => UnknownAttributes(&wire(list)), list => list.iter().collect();
        PasswordAlgorithm((u16, Vec<u8>)) = password_algorithm(),
            entry => PasswordAlgorithm { number: entry.0, parameters: &entry.1 },
            entry => (entry.number, entry.parameters.into());
        PasswordAlgorithms(Vec<u8>) = password_algorithms(),
            list => PasswordAlgorithms::from_bytes(list).expect("a list"),
            list => list.as_bytes().into();
    }
}

fn wire(list: &[AttributeType]) -> Vec<u8> {
    list.iter().flat_map(|kind| kind.0.to_be_bytes()).collect()
}

/// A value of up to 40 bytes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(any::<u8>(), 0..=40)
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn family() -> impl Strategy<Value = AddressFamily> {
    prop_oneof![Just(AddressFamily::IPV4), Just(AddressFamily::IPV6)]
}

fn error() -> impl Strategy<Value = (StatusCode, String)> {
    let code = (300..700u16).prop_map(|code| StatusCode::new(code).expect("in range"));
    (code, text())
}

/// Up to 508 bytes.
fn username() -> impl Strategy<Value = String> {
    "\\PC{1,127}"
}

/// Fewer than 128 characters.
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,127}"
}

/// Fewer than 128 characters of `qdtext` and `quoted-pair`.
fn quotable() -> impl Strategy<Value = String> {
    r"([ !#-\[\]-~é€𝄞]|\\[ -~]){0,63}"
}

/// MD5, SHA-256, or one that nobody knows, with parameters.
fn password_algorithm() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let unknown = (any::<u16>(), collection::vec(any::<u8>(), 0..10));
    prop_oneof![Just((1, Vec::new())), Just((2, Vec::new())), unknown]
}

/// Up to four algorithms, as they lie in the message.
fn password_algorithms() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(password_algorithm(), 0..4).prop_map(|list| {
        let mut bytes = Vec::new();
        for (number, parameters) in list {
            bytes.extend(number.to_be_bytes());
            bytes.extend((parameters.len() as u16).to_be_bytes());
            bytes.extend(&parameters);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    })
}

fn domain() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?){0,3}"
}

/// An attribute that has a type here.
pub fn typed_attribute() -> impl Strategy<Value = AnyAttribute> {
    prop::sample::select(AnyAttribute::TYPED).prop_flat_map(attribute_of)
}

/// An attribute of a type that is not assigned, comprehension-required or not.
pub fn raw_attribute() -> impl Strategy<Value = AnyAttribute> {
    let kind = prop_oneof![0x7000..0x8000u16, 0xF000..=0xFFFFu16];
    (kind, bytes()).prop_map(|(kind, value)| AnyAttribute::Raw(AttributeType(kind), value))
}

/// An attribute, known or not.
pub fn attribute() -> impl Strategy<Value = AnyAttribute> {
    prop_oneof![6 => typed_attribute(), 1 => raw_attribute()]
}

/// What a message is signed with.
#[derive(Clone, Debug, PartialEq)]
pub enum Secret {
    /// A short-term password.
    ShortTerm {
        /// The password.
        password: String,
    },
    /// Long-term credentials.
    LongTerm {
        /// User name.
        username: String,
        /// Realm.
        realm: String,
        /// Password.
        password: String,
        /// Whether the key is made with SHA-256; else with MD5.
        sha256: bool,
    },
}

impl Secret {
    /// The key.
    pub fn key(&self) -> Key {
        match self {
            Self::ShortTerm { password } => Key::short_term(password),
            Self::LongTerm {
                username,
                realm,
                password,
                sha256: false,
            } => Key::long_term(username, realm, password),
            Self::LongTerm {
                username,
                realm,
                password,
                sha256: true,
            } => Key::long_term_sha256(username, realm, password),
        }
    }
}

/// How a message is signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// With what.
    pub secret: Secret,
    /// Whether it has MESSAGE-INTEGRITY.
    pub sha1: bool,
    /// Whether it has MESSAGE-INTEGRITY-SHA256.
    pub sha256: bool,
}

/// A message that owns its attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct AnyMessage {
    /// Class and method.
    pub kind: MessageType,
    /// Transaction id.
    pub id: TransactionId,
    /// The attributes before integrity and fingerprint, in order.
    pub attributes: Vec<AnyAttribute>,
    /// Integrity, if it has any.
    pub signature: Option<Signature>,
    /// Whether it has FINGERPRINT.
    pub fingerprint: bool,
}

impl AnyMessage {
    /// The bytes of the message.
    ///
    /// # Panics
    ///
    /// If an attribute may not be sent; those of the strategies here may.
    pub fn build(&self) -> Vec<u8> {
        let mut buffer = vec![0xEE; 0x1_0000 + 0x100];
        let mut builder = Builder::new(&mut buffer, self.kind, self.id);
        for attribute in &self.attributes {
            builder = attribute.append(builder);
        }
        if let Some(signature) = &self.signature {
            let key = signature.secret.key();
            if signature.sha1 {
                builder = builder.with_integrity(&key);
            }
            if signature.sha256 {
                builder = builder.with_integrity_sha256(&key);
            }
        }
        if self.fingerprint {
            builder = builder.with_fingerprint();
        }
        let len = builder.finish().expect("what may be sent");
        buffer.truncate(len);
        buffer
    }
}

/// A class.
pub fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        Just(Class::Request),
        Just(Class::Indication),
        Just(Class::Success),
        Just(Class::Error),
    ]
}

/// Class and method, each of the 4096 methods as likely, Binding more.
pub fn message_type() -> impl Strategy<Value = MessageType> {
    let method = prop_oneof![Just(0x001), 0..0x1000u16].prop_map(Method::new);
    (class(), method).prop_map(|(class, method)| MessageType::new(class, method))
}

/// A transaction id.
pub fn transaction_id() -> impl Strategy<Value = TransactionId> {
    any::<[u8; 12]>().prop_map(TransactionId)
}

/// A message without integrity, with up to 12 attributes.
pub fn unsigned_message() -> impl Strategy<Value = AnyMessage> {
    let attributes = collection::vec(attribute(), 0..12);
    (message_type(), transaction_id(), attributes, any::<bool>()).prop_map(
        |(kind, id, attributes, fingerprint)| AnyMessage {
            kind,
            id,
            attributes,
            signature: None,
            fingerprint,
        },
    )
}

/// A message with integrity: short-term or long-term, SHA-1, SHA-256 or both. It begins with the
/// attributes that name the credentials.
pub fn signed_message() -> impl Strategy<Value = AnyMessage> {
    let long_term = option::of((quotable(), quotable(), any::<bool>()));
    let secret = ("[!-~]{1,40}", "[!-~]{1,40}", long_term);
    let codes = prop_oneof![Just((true, false)), Just((false, true)), Just((true, true))];
    (unsigned_message(), secret, codes).prop_map(
        |(mut message, (username, password, long_term), (sha1, sha256))| {
            let mut names = vec![AnyAttribute::Username(username.clone())];
            let secret = match long_term {
                None => Secret::ShortTerm { password },
                Some((realm, nonce, sha256)) => {
                    names.push(AnyAttribute::Realm(realm.clone()));
                    names.push(AnyAttribute::Nonce(nonce));
                    Secret::LongTerm {
                        username,
                        realm,
                        password,
                        sha256,
                    }
                }
            };
            message.attributes.splice(..0, names);
            message.signature = Some(Signature {
                secret,
                sha1,
                sha256,
            });
            message
        },
    )
}

/// Any message.
pub fn message() -> impl Strategy<Value = AnyMessage> {
    prop_oneof![unsigned_message(), signed_message()]
}

//! What attributes have in common: their type, the walk over them, and the trait of the typed ones.

use core::fmt;

use crate::message::{HEADER_LEN, TransactionId};

/// The 16-bit type of an attribute (RFC 8489 §18.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u16);

macro_rules! attribute_types {
    ($($name:ident = $number:literal, $text:literal, $rfc:literal;)*) => {
        impl AttributeType {
            $(
                #[doc = concat!($text, " (RFC ", $rfc, ").")]
                pub const $name: Self = Self($number);
            )*

            /// Its name in the registry, if it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

attribute_types! {
    MAPPED_ADDRESS = 0x0001, "MAPPED-ADDRESS", "8489";
    CHANGE_REQUEST = 0x0003, "CHANGE-REQUEST", "5780";
    USERNAME = 0x0006, "USERNAME", "8489";
    MESSAGE_INTEGRITY = 0x0008, "MESSAGE-INTEGRITY", "8489";
    ERROR_CODE = 0x0009, "ERROR-CODE", "8489";
    UNKNOWN_ATTRIBUTES = 0x000A, "UNKNOWN-ATTRIBUTES", "8489";
    CHANNEL_NUMBER = 0x000C, "CHANNEL-NUMBER", "8656";
    LIFETIME = 0x000D, "LIFETIME", "8656";
    XOR_PEER_ADDRESS = 0x0012, "XOR-PEER-ADDRESS", "8656";
    DATA = 0x0013, "DATA", "8656";
    REALM = 0x0014, "REALM", "8489";
    NONCE = 0x0015, "NONCE", "8489";
    XOR_RELAYED_ADDRESS = 0x0016, "XOR-RELAYED-ADDRESS", "8656";
    REQUESTED_ADDRESS_FAMILY = 0x0017, "REQUESTED-ADDRESS-FAMILY", "8656";
    EVEN_PORT = 0x0018, "EVEN-PORT", "8656";
    REQUESTED_TRANSPORT = 0x0019, "REQUESTED-TRANSPORT", "8656";
    DONT_FRAGMENT = 0x001A, "DONT-FRAGMENT", "8656";
    ACCESS_TOKEN = 0x001B, "ACCESS-TOKEN", "7635";
    MESSAGE_INTEGRITY_SHA256 = 0x001C, "MESSAGE-INTEGRITY-SHA256", "8489";
    PASSWORD_ALGORITHM = 0x001D, "PASSWORD-ALGORITHM", "8489";
    USERHASH = 0x001E, "USERHASH", "8489";
    XOR_MAPPED_ADDRESS = 0x0020, "XOR-MAPPED-ADDRESS", "8489";
    RESERVATION_TOKEN = 0x0022, "RESERVATION-TOKEN", "8656";
    PRIORITY = 0x0024, "PRIORITY", "8445";
    USE_CANDIDATE = 0x0025, "USE-CANDIDATE", "8445";
    PADDING = 0x0026, "PADDING", "5780";
    RESPONSE_PORT = 0x0027, "RESPONSE-PORT", "5780";
    CONNECTION_ID = 0x002A, "CONNECTION-ID", "6062";
    ADDITIONAL_ADDRESS_FAMILY = 0x8000, "ADDITIONAL-ADDRESS-FAMILY", "8656";
    ADDRESS_ERROR_CODE = 0x8001, "ADDRESS-ERROR-CODE", "8656";
    PASSWORD_ALGORITHMS = 0x8002, "PASSWORD-ALGORITHMS", "8489";
    ALTERNATE_DOMAIN = 0x8003, "ALTERNATE-DOMAIN", "8489";
    ICMP = 0x8004, "ICMP", "8656";
    SOFTWARE = 0x8022, "SOFTWARE", "8489";
    ALTERNATE_SERVER = 0x8023, "ALTERNATE-SERVER", "8489";
    CACHE_TIMEOUT = 0x8027, "CACHE-TIMEOUT", "5780";
    FINGERPRINT = 0x8028, "FINGERPRINT", "8489";
    ICE_CONTROLLED = 0x8029, "ICE-CONTROLLED", "8445";
    ICE_CONTROLLING = 0x802A, "ICE-CONTROLLING", "8445";
    RESPONSE_ORIGIN = 0x802B, "RESPONSE-ORIGIN", "5780";
    OTHER_ADDRESS = 0x802C, "OTHER-ADDRESS", "5780";
    THIRD_PARTY_AUTHORIZATION = 0x802E, "THIRD-PARTY-AUTHORIZATION", "7635";
    MOBILITY_TICKET = 0x8030, "MOBILITY-TICKET", "8016";
}

impl AttributeType {
    /// Whether an agent that does not know it must refuse the message (RFC 8489 §14).
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

/// An attribute that was found but cannot be what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which attribute.
    pub attribute: AttributeType,
    /// Byte offset of the attribute from the start of the message.
    pub offset: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "malformed {:?} (at byte {})",
            self.attribute, self.offset
        )
    }
}

impl core::error::Error for Malformed {}

/// An attribute as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// Its type.
    pub kind: AttributeType,
    /// Its value, without padding.
    pub value: &'a [u8],
    /// Byte offset of the attribute from the start of the message.
    pub offset: usize,
}

/// The length of a value with its padding (RFC 8489 §14). Cheaper than `next_multiple_of`, and it is
/// what parsing spends its time on.
pub(crate) const fn padded(length: usize) -> usize {
    (length + 3) & !3
}

/// The walk over the attributes of a message; see [`Message::attributes`](crate::Message::attributes).
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    /// What is still to be walked.
    rest: &'a [u8],
    /// Where it starts in the message.
    offset: usize,
}

impl<'a> Attributes<'a> {
    /// `bytes[..end]` have been checked by the parser.
    pub(crate) fn new(bytes: &'a [u8], end: usize) -> Self {
        Self {
            rest: &bytes[HEADER_LEN..end],
            offset: HEADER_LEN,
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = RawAttribute<'a>;

    fn next(&mut self) -> Option<RawAttribute<'a>> {
        let (&[kind_0, kind_1, length_0, length_1], rest) = self.rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([length_0, length_1]));
        let (value, rest) = rest.split_at_checked(padded(length))?;
        let offset = self.offset;
        self.offset += 4 + value.len();
        self.rest = rest;
        Some(RawAttribute {
            kind: AttributeType(u16::from_be_bytes([kind_0, kind_1])),
            value: value.get(..length)?,
            offset,
        })
    }
}

/// A typed attribute: how its value is read and written.
pub trait Attribute<'a>: Sized {
    /// Its type.
    const TYPE: AttributeType;

    /// Reads the value (without padding); `None` if it is malformed. Some values depend on the
    /// transaction id.
    fn decode(value: &'a [u8], id: TransactionId) -> Option<Self>;

    /// Writes the value (without padding).
    fn encode(&self, value: &mut Value<'_>, id: TransactionId);

    /// The rule that forbids to send this value, if there is one; receivers are more tolerant.
    fn check(&self) -> Result<(), SendRule> {
        Ok(())
    }

    /// Whether the RFC permits to send this value: short for [`Self::check`].
    fn is_sendable(&self) -> bool {
        self.check().is_ok()
    }
}

/// What a value to be sent must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendRule {
    /// USERNAME is shorter than 509 bytes; REALM, NONCE, SOFTWARE and reason phrases are shorter
    /// than 128 characters (RFC 8489 §14.3, §14.8 to §14.10, §14.14).
    Length,
    /// REALM and NONCE consist of `qdtext` and `quoted-pair` (RFC 8489 §14.9, §14.10; RFC 3261
    /// §25.1): no control characters, no bare quote, no backslash that quotes nothing.
    Characters,
    /// ALTERNATE-DOMAIN is a DNS name of at most 255 ASCII characters (RFC 8489 §14.16).
    DomainName,
    /// The family is IPv4 or IPv6; in ADDITIONAL-ADDRESS-FAMILY it is IPv6 (RFC 8656 §18.6, §18.11,
    /// §18.12).
    AddressFamily,
}

impl fmt::Display for SendRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "it is too long",
            Self::Characters => "it is no sequence of qdtext or quoted-pair",
            Self::DomainName => "it is no DNS name of up to 255 ASCII characters",
            Self::AddressFamily => "the address family is not permitted there",
        })
    }
}

/// Where an attribute writes its value: the rest of the caller's buffer.
#[derive(Debug)]
pub struct Value<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Value<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Appends bytes. What does not fit is counted, and the builder reports it.
    pub fn put(&mut self, bytes: &[u8]) {
        if let Some(space) = self.buffer.get_mut(self.len..self.len + bytes.len()) {
            space.copy_from_slice(bytes);
        }
        self.len += bytes.len();
    }

    /// Bytes put so far.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

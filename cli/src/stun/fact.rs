//! What an attribute says, in words and as JSON: the one place that knows how each is printed.

use std::fmt;
use std::net::SocketAddr;

use floe_stun::{
    AddressFamily, AlternateServer, Attribute, AttributeType, ChannelNumber, Class, Data,
    DontFragment, ErrorCode, EvenPort, IceControlled, IceControlling, Lifetime, MappedAddress,
    MessageType, Method, Nonce, OtherAddress, Priority, Realm, RequestedAddressFamily,
    RequestedTransport, ReservationToken, ResponseOrigin, Software, TransactionId,
    UnknownAttributes, UseCandidate, Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};
use serde::{Serialize, Serializer};

use super::hex::Hex;

/// The value of an attribute. What is text is escaped when it is printed: a message may come from
/// anybody, and must not command the terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Fact<'a> {
    Address(SocketAddr),
    Text(&'a str),
    Number(u32),
    #[serde(serialize_with = "as_hex")]
    Long(u64),
    Seconds(u32),
    Channel(u16),
    /// A number with a meaning.
    Code {
        number: u8,
        name: Option<&'static str>,
    },
    Error {
        code: u16,
        /// What the registry calls it.
        name: &'static str,
        /// What the sender calls it.
        reason: &'a str,
    },
    Types(Vec<Type>),
    Bytes(Hex<'a>),
    /// A choice among few.
    Choice(&'static str),
    /// That it is there is all it says.
    Present(bool),
}

/// An attribute type in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Type {
    number: u16,
    name: Option<&'static str>,
}

impl From<AttributeType> for Type {
    fn from(kind: AttributeType) -> Self {
        Self {
            number: kind.0,
            name: kind.name(),
        }
    }
}

/// JSON has no exact integers of 64 bits.
fn as_hex<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#018x}"))
}

impl fmt::Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            // Debug escapes all that is not printable, and the quotes.
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(number) => write!(f, "{number} ({number:#010x})"),
            Self::Long(number) => write!(f, "{number} ({number:#018x})"),
            Self::Seconds(seconds) => write!(f, "{seconds} s"),
            Self::Channel(channel) => write!(f, "{channel:#06x}"),
            Self::Code { number, name } => match name {
                Some(name) => write!(f, "{number} ({name})"),
                None => write!(f, "{number} (unknown)"),
            },
            Self::Error { code, name, reason } => {
                write!(f, "{code}")?;
                if !name.is_empty() {
                    write!(f, " {name}")?;
                }
                if !reason.is_empty() && reason != name {
                    write!(f, ", said as {reason:?}")?;
                }
                Ok(())
            }
            Self::Types(types) => {
                for (i, Type { number, name }) in types.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{number:#06x}")?;
                    if let Some(name) = name {
                        write!(f, " {name}")?;
                    }
                }
                Ok(())
            }
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Choice(text) => f.write_str(text),
            Self::Present(_) => Ok(()),
        }
    }
}

/// Why a value is not what its type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where, from the start of the message.
    pub(crate) offset: usize,
    pub(crate) reason: String,
    pub(crate) section: &'static str,
}

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
enum Form {
    Address,
    Text,
    Error,
    Pairs,
    /// So many bytes.
    Bytes(usize),
}

/// A line for each attribute: how its typed value becomes a fact, what a value must look like, and where
/// that is written.
macro_rules! facts {
    ($($pattern:pat in $attribute:ty => $fact:expr, $form:expr, $section:literal;)*) => {
        $(
            impl<'a> From<$attribute> for Fact<'a> {
                fn from($pattern: $attribute) -> Self {
                    $fact
                }
            }
        )*

        /// What the value of an attribute says, if the type is known; `offset` is that of the value.
        pub(crate) fn read<'a>(
            kind: AttributeType,
            value: &'a [u8],
            offset: usize,
            id: TransactionId,
        ) -> Option<Result<Fact<'a>, Malformed>> {
            $(
                if kind == <$attribute as Attribute<'a>>::TYPE {
                    let fact = <$attribute as Attribute<'a>>::decode(value, id).map(Fact::from);
                    return Some(fact.ok_or_else(|| $form.malformed(value, offset, $section)));
                }
            )*
            None
        }
    };
}

facts! {
    MappedAddress(a) in MappedAddress => Fact::Address(a), Form::Address, "RFC 8489 §14.1";
    XorMappedAddress(a) in XorMappedAddress => Fact::Address(a), Form::Address, "RFC 8489 §14.2";
    Username(text) in Username<'a> => Fact::Text(text), Form::Text, "RFC 8489 §14.3";
    error in ErrorCode<'a> => Fact::error(&error), Form::Error, "RFC 8489 §14.8";
    Realm(text) in Realm<'a> => Fact::Text(text), Form::Text, "RFC 8489 §14.9";
    Nonce(text) in Nonce<'a> => Fact::Text(text), Form::Text, "RFC 8489 §14.10";
    list in UnknownAttributes<'a> => Fact::Types(list.iter().map(Type::from).collect()),
        Form::Pairs, "RFC 8489 §14.13";
    Software(text) in Software<'a> => Fact::Text(text), Form::Text, "RFC 8489 §14.14";
    AlternateServer(a) in AlternateServer => Fact::Address(a), Form::Address, "RFC 8489 §14.15";
    ChannelNumber(number) in ChannelNumber => Fact::Channel(number), Form::Bytes(4), "RFC 8656 §18.1";
    Lifetime(seconds) in Lifetime => Fact::Seconds(seconds), Form::Bytes(4), "RFC 8656 §18.2";
    XorPeerAddress(a) in XorPeerAddress => Fact::Address(a), Form::Address, "RFC 8656 §18.3";
    Data(bytes) in Data<'a> => Fact::Bytes(Hex(bytes)), Form::Bytes(0), "RFC 8656 §18.4";
    XorRelayedAddress(a) in XorRelayedAddress => Fact::Address(a), Form::Address, "RFC 8656 §18.5";
    RequestedAddressFamily(f) in RequestedAddressFamily => Fact::family(f), Form::Bytes(4), "RFC 8656 §18.6";
    port in EvenPort => Fact::even_port(port), Form::Bytes(1), "RFC 8656 §18.7";
    RequestedTransport(protocol) in RequestedTransport => Fact::transport(protocol),
        Form::Bytes(4), "RFC 8656 §18.8";
    DontFragment in DontFragment => Fact::Present(true), Form::Bytes(0), "RFC 8656 §18.9";
    ReservationToken(token) in ReservationToken => Fact::Long(u64::from_be_bytes(token)), Form::Bytes(8), "RFC 8656 §18.10";
    Priority(number) in Priority => Fact::Number(number), Form::Bytes(4), "RFC 8445 §16.1";
    UseCandidate in UseCandidate => Fact::Present(true), Form::Bytes(0), "RFC 8445 §16.1";
    IceControlled(number) in IceControlled => Fact::Long(number), Form::Bytes(8), "RFC 8445 §16.1";
    IceControlling(number) in IceControlling => Fact::Long(number), Form::Bytes(8), "RFC 8445 §16.1";
    ResponseOrigin(a) in ResponseOrigin => Fact::Address(a), Form::Address, "RFC 5780 §7.3";
    OtherAddress(a) in OtherAddress => Fact::Address(a), Form::Address, "RFC 5780 §7.4";
}

impl<'a> Fact<'a> {
    fn error(error: &ErrorCode<'a>) -> Self {
        Self::Error {
            code: error.code.number(),
            name: error.code.reason(),
            reason: error.reason,
        }
    }

    fn family(AddressFamily(number): AddressFamily) -> Self {
        let name = match AddressFamily(number) {
            AddressFamily::IPV4 => Some("IPv4"),
            AddressFamily::IPV6 => Some("IPv6"),
            _ => None,
        };
        Self::Code { number, name }
    }

    fn transport(number: u8) -> Self {
        let name = match RequestedTransport(number) {
            RequestedTransport::UDP => Some("UDP"),
            RequestedTransport::TCP => Some("TCP"),
            _ => None,
        };
        Self::Code { number, name }
    }

    const fn even_port(port: EvenPort) -> Self {
        Self::Choice(if port.reserve_next {
            "an even port, and the next one reserved"
        } else {
            "an even port"
        })
    }
}

/// The families of addresses (RFC 8489 §14.1), and how long a value with one is.
const FAMILIES: [(u8, &str, usize); 2] = [(1, "IPv4", 8), (2, "IPv6", 20)];

/// The longest texts that are accepted, in bytes (RFC 8489 §14.3, §14.8 and others).
const TEXT_MAX: usize = 763;

impl Form {
    fn malformed(self, value: &[u8], offset: usize, section: &'static str) -> Malformed {
        let (at, reason) = self.reason(value);
        Malformed {
            offset: offset + at,
            reason,
            section,
        }
    }

    /// What is wrong, and where in the value.
    fn reason(self, value: &[u8]) -> (usize, String) {
        let length = value.len();
        let exactly = |wanted| (0, format!("{length} bytes where there must be {wanted}"));
        match self {
            Self::Address => match value {
                [_, family, _, _, ..] => match FAMILIES.iter().find(|known| known.0 == *family) {
                    Some((_, name, wanted)) => (
                        0,
                        format!("{length} bytes; with an {name} address there are {wanted}"),
                    ),
                    None => (
                        1,
                        format!("address family {family} is neither 1 (IPv4) nor 2 (IPv6)"),
                    ),
                },
                _ => (0, format!("{length} bytes are too few for an address")),
            },
            Self::Text => text(value, 0),
            Self::Error => match *value {
                [_, _, class, number, ref reason @ ..] => {
                    let class = class & 0x07;
                    if !matches!(class, 3..=6) {
                        (2, format!("class {class} is not from 3 to 6"))
                    } else if number > 99 {
                        (3, format!("number {number} is above 99"))
                    } else {
                        text(reason, 4)
                    }
                }
                _ => (0, format!("{length} bytes are too few for a code")),
            },
            Self::Pairs => (0, format!("{length} bytes are no list of 16-bit types")),
            Self::Bytes(wanted) => exactly(wanted),
        }
    }
}

/// What is wrong with a text that begins `at` bytes into the value.
fn text(text: &[u8], at: usize) -> (usize, String) {
    if text.len() > TEXT_MAX {
        return (
            at,
            format!("{} bytes of text; {TEXT_MAX} are the most", text.len()),
        );
    }
    match std::str::from_utf8(text) {
        Err(error) => (at + error.valid_up_to(), "not UTF-8".to_owned()),
        Ok(_) => (at, "not what it must be".to_owned()),
    }
}

/// The method of a message in words.
pub(crate) fn method(method: Method) -> String {
    match method.name() {
        Some(name) => name.to_owned(),
        None => format!("method {:#05x}", method.number()),
    }
}

/// The class of a message in words.
pub(crate) const fn class(class: Class) -> &'static str {
    match class {
        Class::Request => "request",
        Class::Indication => "indication",
        Class::Success => "success",
        Class::Error => "error",
    }
}

/// Method and class in words.
pub(crate) fn message_type(kind: MessageType) -> String {
    format!("{} {}", method(kind.method), class(kind.class))
}

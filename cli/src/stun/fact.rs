//! What an attribute says, in words and as JSON: the one place that knows how each is printed.

use std::fmt;
use std::net::SocketAddr;

use floe_stun::{
    AdditionalAddressFamily, AddressErrorCode, AddressFamily, AlternateDomain, AlternateServer,
    Attribute, AttributeType, ChangeRequest, ChannelNumber, Class, ConnectionId, Data,
    DontFragment, ErrorCode, EvenPort, IceControlled, IceControlling, Icmp, KeyDerivation,
    Lifetime, MappedAddress, MessageType, Method, Nonce, OtherAddress, Padding, PasswordAlgorithm,
    PasswordAlgorithms, Priority, Realm, RequestedAddressFamily, RequestedTransport,
    ReservationToken, ResponseOrigin, ResponsePort, Software, TransactionId, UnknownAttributes,
    UseCandidate, UserHash, Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};
use serde::{Serialize, Serializer};

use super::form::{Form, Malformed};
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
    Plain(u16),
    Channel(u16),
    /// A number with a meaning.
    Code {
        number: u16,
        name: Option<&'static str>,
    },
    Error {
        code: u16,
        /// What the registry calls it.
        name: &'static str,
        /// What the sender calls it.
        reason: &'a str,
    },
    /// An attribute type.
    Type {
        number: u16,
        name: Option<&'static str>,
    },
    Bytes(Hex<'a>),
    #[serde(serialize_with = "hash_as_hex")]
    Hash([u8; 32]),
    /// A choice among few.
    Choice(&'static str),
    /// That it is there is all it says.
    Present(bool),
    List(Vec<Self>),
    /// Several values with their names.
    #[serde(serialize_with = "as_map")]
    Parts(Vec<(&'static str, Self)>),
}

/// JSON has no exact integers of 64 bits.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn as_hex<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#018x}"))
}

fn hash_as_hex<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    Hex(hash).serialize(serializer)
}

fn as_map<S: Serializer>(
    parts: &[(&'static str, Fact<'_>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parts.iter().map(|(name, fact)| (name, fact)))
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
            Self::Plain(number) => write!(f, "{number}"),
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
            Self::Type { number, name } => {
                write!(f, "{number:#06x}")?;
                name.map_or(Ok(()), |name| write!(f, " {name}"))
            }
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Hash(hash) => write!(f, "{}", Hex(hash)),
            Self::Choice(text) => f.write_str(text),
            Self::Present(_) => Ok(()),
            Self::List(facts) => facts.iter().enumerate().try_for_each(|(i, fact)| {
                let comma = if i == 0 { "" } else { ", " };
                write!(f, "{comma}{fact}")
            }),
            Self::Parts(parts) => parts.iter().enumerate().try_for_each(|(i, (name, fact))| {
                let comma = if i == 0 { "" } else { ", " };
                write!(f, "{comma}{name} {fact}")
            }),
        }
    }
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
    UserHash(hash) in UserHash => Fact::Hash(hash), Form::Bytes(32), "RFC 8489 §14.4";
    error in ErrorCode<'a> => Fact::error(&error), Form::Error, "RFC 8489 §14.8";
    Realm(text) in Realm<'a> => Fact::Text(text), Form::Text, "RFC 8489 §14.9";
    Nonce(text) in Nonce<'a> => Fact::Text(text), Form::Text, "RFC 8489 §14.10";
    list in PasswordAlgorithms<'a> => Fact::List(list.iter().map(Fact::algorithm).collect()), Form::Algorithms, "RFC 8489 §14.11";
    algorithm in PasswordAlgorithm<'a> => Fact::algorithm(algorithm), Form::Algorithms, "RFC 8489 §14.12";
    list in UnknownAttributes<'a> => Fact::List(list.iter().map(Fact::from).collect()), Form::Pairs, "RFC 8489 §14.13";
    Software(text) in Software<'a> => Fact::Text(text), Form::Text, "RFC 8489 §14.14";
    AlternateServer(a) in AlternateServer => Fact::Address(a), Form::Address, "RFC 8489 §14.15";
    AlternateDomain(text) in AlternateDomain<'a> => Fact::Text(text), Form::Domain, "RFC 8489 §14.16";
    ChannelNumber(channel) in ChannelNumber => Fact::Channel(channel), Form::Bytes(4), "RFC 8656 §18.1";
    Lifetime(seconds) in Lifetime => Fact::Seconds(seconds), Form::Bytes(4), "RFC 8656 §18.2";
    XorPeerAddress(a) in XorPeerAddress => Fact::Address(a), Form::Address, "RFC 8656 §18.3";
    Data(bytes) in Data<'a> => Fact::Bytes(Hex(bytes)), Form::Any, "RFC 8656 §18.4";
    XorRelayedAddress(a) in XorRelayedAddress => Fact::Address(a), Form::Address, "RFC 8656 §18.5";
    RequestedAddressFamily(family) in RequestedAddressFamily => Fact::family(family), Form::Bytes(4), "RFC 8656 §18.6";
    port in EvenPort => Fact::even_port(port), Form::Bytes(1), "RFC 8656 §18.7";
    transport in RequestedTransport => Fact::transport(transport), Form::Bytes(4), "RFC 8656 §18.8";
    DontFragment in DontFragment => Fact::Present(true), Form::Bytes(0), "RFC 8656 §18.9";
    ReservationToken(token) in ReservationToken => Fact::Long(u64::from_be_bytes(token)), Form::Bytes(8), "RFC 8656 §18.10";
    AdditionalAddressFamily(family) in AdditionalAddressFamily => Fact::family(family), Form::Bytes(4), "RFC 8656 §18.11";
    error in AddressErrorCode<'a> => Fact::address_error(&error), Form::Error, "RFC 8656 §18.12";
    icmp in Icmp => Fact::icmp(icmp), Form::Bytes(8), "RFC 8656 §18.13";
    ConnectionId(number) in ConnectionId => Fact::Number(number), Form::Bytes(4), "RFC 6062 §6.2.1";
    Priority(number) in Priority => Fact::Number(number), Form::Bytes(4), "RFC 8445 §16.1";
    UseCandidate in UseCandidate => Fact::Present(true), Form::Bytes(0), "RFC 8445 §16.1";
    IceControlled(number) in IceControlled => Fact::Long(number), Form::Bytes(8), "RFC 8445 §16.1";
    IceControlling(number) in IceControlling => Fact::Long(number), Form::Bytes(8), "RFC 8445 §16.1";
    change in ChangeRequest => Fact::change(change), Form::Bytes(4), "RFC 5780 §7.2";
    ResponseOrigin(a) in ResponseOrigin => Fact::Address(a), Form::Address, "RFC 5780 §7.3";
    OtherAddress(a) in OtherAddress => Fact::Address(a), Form::Address, "RFC 5780 §7.4";
    ResponsePort(port) in ResponsePort => Fact::Plain(port), Form::Bytes(4), "RFC 5780 §7.5";
    Padding(bytes) in Padding<'a> => Fact::Bytes(Hex(bytes)), Form::Any, "RFC 5780 §7.6";
}

impl<'a> Fact<'a> {
    fn error(error: &ErrorCode<'a>) -> Self {
        Self::Error {
            code: error.code.number(),
            name: error.code.reason(),
            reason: error.reason,
        }
    }

    fn address_error(error: &AddressErrorCode<'a>) -> Self {
        let family = Self::family(error.family);
        Self::Parts(vec![
            ("family", family),
            ("error", Self::error(&error.error)),
        ])
    }

    fn family(family: AddressFamily) -> Self {
        let name = match family {
            AddressFamily::IPV4 => Some("IPv4"),
            AddressFamily::IPV6 => Some("IPv6"),
            _ => None,
        };
        let number = family.0.into();
        Self::Code { number, name }
    }

    fn transport(transport: RequestedTransport) -> Self {
        let name = match transport {
            RequestedTransport::UDP => Some("UDP"),
            RequestedTransport::TCP => Some("TCP"),
            _ => None,
        };
        let number = transport.0.into();
        Self::Code { number, name }
    }

    fn algorithm(algorithm: PasswordAlgorithm<'a>) -> Self {
        let PasswordAlgorithm { number, parameters } = algorithm;
        let name = KeyDerivation::new(number).map(|derivation| match derivation {
            KeyDerivation::Md5 => "MD5",
            KeyDerivation::Sha256 => "SHA-256",
        });
        let code = Self::Code { number, name };
        if parameters.is_empty() {
            return code;
        }
        let parameters = Self::Bytes(Hex(parameters));
        Self::Parts(vec![("algorithm", code), ("parameters", parameters)])
    }

    fn icmp(icmp: Icmp) -> Self {
        let code = |number: u8| Self::Plain(number.into());
        Self::Parts(vec![
            ("type", code(icmp.kind)),
            ("code", code(icmp.code)),
            ("data", Self::Number(icmp.data)),
        ])
    }

    const fn even_port(port: EvenPort) -> Self {
        Self::Choice(if port.reserve_next {
            "an even port, and the next one reserved"
        } else {
            "an even port"
        })
    }

    const fn change(change: ChangeRequest) -> Self {
        Self::Choice(match (change.ip, change.port) {
            (false, false) => "nothing",
            (true, false) => "address",
            (false, true) => "port",
            (true, true) => "address and port",
        })
    }
}

impl From<AttributeType> for Fact<'_> {
    fn from(kind: AttributeType) -> Self {
        Self::Type {
            number: kind.0,
            name: kind.name(),
        }
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

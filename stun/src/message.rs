//! The message: header, the walk over its attributes, and the view that reads them.

use core::fmt;

use crate::attribute::{Attribute, AttributeType, Attributes, Malformed, padded};
use crate::classify::Protocol;
use crate::{fingerprint, integrity};

/// Bytes of the STUN header.
pub const HEADER_LEN: usize = 20;

/// The magic cookie (RFC 8489 §5).
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// The class of a message (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// Answers a request that was accepted.
    Success,
    /// Answers a request that was not; carries ERROR-CODE.
    Error,
}

/// The 12-bit method of a message (RFC 8489 §18.2). Values above 0xFFF are cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(u16);

impl Method {
    /// Binding (RFC 8489).
    pub const BINDING: Self = Self(0x001);
    /// Allocate (RFC 8656).
    pub const ALLOCATE: Self = Self(0x003);
    /// Refresh (RFC 8656).
    pub const REFRESH: Self = Self(0x004);
    /// Send (RFC 8656), an indication.
    pub const SEND: Self = Self(0x006);
    /// Data (RFC 8656), an indication.
    pub const DATA: Self = Self(0x007);
    /// `CreatePermission` (RFC 8656).
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// `ChannelBind` (RFC 8656).
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// Connect (RFC 6062).
    pub const CONNECT: Self = Self(0x00A);
    /// `ConnectionBind` (RFC 6062).
    pub const CONNECTION_BIND: Self = Self(0x00B);
    /// `ConnectionAttempt` (RFC 6062), an indication.
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);

    /// The method with this number.
    pub const fn new(number: u16) -> Self {
        Self(number & 0x0FFF)
    }

    /// Its number, 0 to 0xFFF.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its name in the registry, if it has one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::BINDING => "Binding",
            Self::ALLOCATE => "Allocate",
            Self::REFRESH => "Refresh",
            Self::SEND => "Send",
            Self::DATA => "Data",
            Self::CREATE_PERMISSION => "CreatePermission",
            Self::CHANNEL_BIND => "ChannelBind",
            Self::CONNECT => "Connect",
            Self::CONNECTION_BIND => "ConnectionBind",
            Self::CONNECTION_ATTEMPT => "ConnectionAttempt",
            _ => return None,
        })
    }

    /// Whether the RFC that defines the method permits messages of this class (RFC 8489 §5, §18.2);
    /// `false` for a method without a name here, of which nothing is known.
    pub const fn permits(self, class: Class) -> bool {
        let is_indication = matches!(class, Class::Indication);
        match self {
            Self::BINDING => true,
            Self::SEND | Self::DATA | Self::CONNECTION_ATTEMPT => is_indication,
            _ => self.name().is_some() && !is_indication,
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Method({:#05x})", self.0),
        }
    }
}

/// Class and method: the first 16 bits of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageType {
    /// What kind of message.
    pub class: Class,
    /// About what.
    pub method: Method,
}

impl MessageType {
    /// Names a message type.
    pub const fn new(class: Class, method: Method) -> Self {
        Self { class, method }
    }

    /// The wire value: the class bits lie between the method bits (RFC 8489 figure 3).
    pub const fn to_bits(self) -> u16 {
        let class = match self.class {
            Class::Request => 0x0000,
            Class::Indication => 0x0010,
            Class::Success => 0x0100,
            Class::Error => 0x0110,
        };
        let m = self.method.0;
        (m & 0x000F) | ((m & 0x0070) << 1) | ((m & 0x0F80) << 2) | class
    }

    /// The type that the first two bytes of a datagram claim, if it may be STUN at all (RFC 7983):
    /// for drivers that choose a machine by it. The machine then parses the message.
    pub fn peek(datagram: &[u8]) -> Option<Self> {
        let &bits = datagram.first_chunk()?;
        let stun = Protocol::of(datagram) == Protocol::Stun;
        stun.then(|| Self::from_bits(u16::from_be_bytes(bits)))
    }

    /// From the wire value; the two top bits, which are zero in STUN, are ignored.
    pub const fn from_bits(bits: u16) -> Self {
        let class = match bits & 0x0110 {
            0x0000 => Class::Request,
            0x0010 => Class::Indication,
            0x0100 => Class::Success,
            _ => Class::Error,
        };
        let method = (bits & 0x000F) | ((bits & 0x00E0) >> 1) | ((bits & 0x3E00) >> 2);
        Self {
            class,
            method: Method(method),
        }
    }
}

/// A 96-bit transaction id (RFC 8489 §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub [u8; 12]);

impl TransactionId {
    /// A new id, unguessable if `entropy` is (RFC 8489 §5).
    pub fn random(entropy: &mut floe_sansio::Entropy) -> Self {
        Self(entropy.bytes())
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why bytes are not a STUN message, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The rule that was broken.
    pub kind: ParseErrorKind,
    /// Byte offset from the start of the message.
    pub offset: usize,
}

/// The rules of the message format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Shorter than a header of 20 bytes.
    TooShort,
    /// The two top bits are not zero (RFC 8489 §5).
    TopBits,
    /// The magic cookie is missing (RFC 8489 §5).
    Cookie,
    /// The length field is no multiple of 4, or does not match the bytes there are (RFC 8489 §5).
    Length,
    /// An attribute runs past the end of the message (RFC 8489 §14).
    AttributeLength,
    /// MESSAGE-INTEGRITY is not 20 bytes, or MESSAGE-INTEGRITY-SHA256 not 16 to 32 in steps of 4
    /// (RFC 8489 §14.5, §14.6).
    IntegrityLength,
    /// FINGERPRINT is not 4 bytes (RFC 8489 §14.7).
    FingerprintLength,
    /// FINGERPRINT is not the last attribute (RFC 8489 §14.7).
    AfterFingerprint,
}

impl ParseErrorKind {
    /// Whether the bytes are no STUN at all, so that another protocol on the same port may have them.
    pub const fn is_not_stun(self) -> bool {
        matches!(self, Self::TooShort | Self::TopBits | Self::Cookie)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ParseErrorKind::TooShort => "shorter than the 20 bytes of a STUN header",
            ParseErrorKind::TopBits => "the two top bits are not zero",
            ParseErrorKind::Cookie => "no magic cookie",
            ParseErrorKind::Length => "the length field does not match the message",
            ParseErrorKind::AttributeLength => "an attribute runs past the end of the message",
            ParseErrorKind::IntegrityLength => "an integrity attribute has a forbidden length",
            ParseErrorKind::FingerprintLength => "FINGERPRINT is not 4 bytes long",
            ParseErrorKind::AfterFingerprint => "an attribute stands behind FINGERPRINT",
        };
        write!(f, "{what} (at byte {})", self.offset)
    }
}

impl core::error::Error for ParseError {}

/// A well-formed STUN message: a view over borrowed bytes.
///
/// Parsing checks the form of the whole message and copies nothing. What the message *means* is for
/// the caller to decide: integrity, fingerprint and unknown attributes are looked at when asked.
/// Attributes behind the integrity attribute are hidden (RFC 8489 §9, §14.5).
///
/// ```
/// use floe_stun::{Class, Message, Method};
///
/// let bytes = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
/// let message = Message::parse(&bytes).unwrap();
/// assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
/// ```
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// End of the attributes that count: the integrity attribute, FINGERPRINT, or the end.
    visible_end: usize,
    /// Offset of MESSAGE-INTEGRITY; 0 if absent.
    sha1: usize,
    /// Offset of MESSAGE-INTEGRITY-SHA256; 0 if absent.
    sha256: usize,
    /// Offset of FINGERPRINT; 0 if absent.
    fingerprint: usize,
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

impl<'a> Message<'a> {
    /// Reads the message that fills `bytes`: one datagram, or one frame of a stream.
    // Always: what reads the message at once finds its parts in registers. Through memory, parsing and
    // four reads take 45 ns instead of 35.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let error = |kind, offset| Err(ParseError { kind, offset });
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return error(ParseErrorKind::TooShort, bytes.len());
        };
        if header[0] & 0xC0 != 0 {
            return error(ParseErrorKind::TopBits, 0);
        }
        if header[4..8] != MAGIC_COOKIE.to_be_bytes() {
            return error(ParseErrorKind::Cookie, 4);
        }
        let length = usize::from(be16(header, 2));
        if length % 4 != 0 || HEADER_LEN + length != bytes.len() {
            return error(ParseErrorKind::Length, 2);
        }

        let mut message = Self {
            bytes,
            visible_end: bytes.len(),
            sha1: 0,
            sha256: 0,
            fingerprint: 0,
        };
        let mut at = HEADER_LEN;
        // The length is a multiple of 4 and so is every step: an attribute header always fits.
        while at < bytes.len() {
            if message.fingerprint != 0 {
                return error(ParseErrorKind::AfterFingerprint, at);
            }
            let length = usize::from(be16(bytes, at + 2));
            let end = at + 4 + padded(length);
            if end > bytes.len() {
                return error(ParseErrorKind::AttributeLength, at);
            }
            match AttributeType(be16(bytes, at)) {
                // Those that do not count are ignored like any other attribute behind integrity.
                AttributeType::MESSAGE_INTEGRITY if message.sha1 == 0 && message.sha256 == 0 => {
                    if length != integrity::SHA1_LEN {
                        return error(ParseErrorKind::IntegrityLength, at);
                    }
                    message.sha1 = at;
                    message.visible_end = at;
                }
                AttributeType::MESSAGE_INTEGRITY_SHA256 if message.sha256 == 0 => {
                    if length % 4 != 0 || !(16..=integrity::SHA256_LEN).contains(&length) {
                        return error(ParseErrorKind::IntegrityLength, at);
                    }
                    message.sha256 = at;
                    message.visible_end = message.visible_end.min(at);
                }
                AttributeType::FINGERPRINT => {
                    if length != 4 {
                        return error(ParseErrorKind::FingerprintLength, at);
                    }
                    message.fingerprint = at;
                    message.visible_end = message.visible_end.min(at);
                }
                _ => {}
            }
            at = end;
        }
        Ok(message)
    }

    /// The bytes of the whole message.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Class and method.
    pub fn message_type(&self) -> MessageType {
        MessageType::from_bits(be16(self.bytes, 0))
    }

    /// The class.
    pub fn class(&self) -> Class {
        self.message_type().class
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.message_type().method
    }

    /// The transaction id.
    pub fn transaction_id(&self) -> TransactionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.bytes[8..HEADER_LEN]);
        TransactionId(id)
    }

    /// The attributes that count, in order: those before integrity and fingerprint.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes, self.visible_end)
    }

    /// The first attribute of type `A` (RFC 8489 §14: later ones do not count); `None` if there is
    /// none.
    pub fn get<A: Attribute<'a>>(&self) -> Result<Option<A>, Malformed> {
        let Some(raw) = self.attributes().find(|raw| raw.kind == A::TYPE) else {
            return Ok(None);
        };
        match A::decode(raw.value, self.transaction_id()) {
            Some(attribute) => Ok(Some(attribute)),
            None => Err(Malformed {
                attribute: A::TYPE,
                offset: raw.offset,
            }),
        }
    }

    /// The comprehension-required attributes that are not among `known`, in order, without
    /// repetition of neighbours (RFC 8489 §6.3.1).
    pub fn unknown_required(
        &self,
        known: &'static [AttributeType],
    ) -> impl Iterator<Item = AttributeType> + use<'a> {
        let mut last = None;
        self.attributes()
            .map(|raw| raw.kind)
            .filter(move |kind| kind.is_comprehension_required() && !known.contains(kind))
            .filter(move |&kind| last.replace(kind) != Some(kind))
    }

    /// The integrity attribute that decides: SHA-256 if there is one, else SHA-1
    /// (RFC 8489 §9.1.3).
    pub const fn integrity(&self) -> Option<integrity::Algorithm> {
        if self.sha256 != 0 {
            Some(integrity::Algorithm::Sha256)
        } else if self.sha1 != 0 {
            Some(integrity::Algorithm::Sha1)
        } else {
            None
        }
    }

    /// Checks the integrity attribute `algorithm` with `key`, in constant time; `false` if there is
    /// none. A truncated SHA-256 code is refused (RFC 8489 §14.6: none of floe's usages permits it);
    /// see [`Self::verify_truncated`].
    pub fn verify(&self, key: &integrity::Key, algorithm: integrity::Algorithm) -> bool {
        let full = match algorithm {
            integrity::Algorithm::Sha1 => integrity::SHA1_LEN,
            integrity::Algorithm::Sha256 => integrity::SHA256_LEN,
        };
        self.verify_truncated(key, algorithm, full)
    }

    /// As [`Self::verify`] for a usage that permits codes of at least `minimum` bytes.
    pub fn verify_truncated(
        &self,
        key: &integrity::Key,
        algorithm: integrity::Algorithm,
        minimum: usize,
    ) -> bool {
        let at = match algorithm {
            integrity::Algorithm::Sha1 => self.sha1,
            integrity::Algorithm::Sha256 => self.sha256,
        };
        if at == 0 {
            return false;
        }
        let length = usize::from(be16(self.bytes, at + 2));
        let code = &self.bytes[at + 4..at + 4 + length];
        length >= minimum && key.verify(algorithm, self.bytes, at, code)
    }

    /// Whether the message has a FINGERPRINT.
    pub const fn has_fingerprint(&self) -> bool {
        self.fingerprint != 0
    }

    /// Whether the message has a FINGERPRINT and it is right (RFC 8489 §14.7).
    pub fn verify_fingerprint(&self) -> bool {
        let at = self.fingerprint;
        at != 0
            && self.bytes[at + 4..at + 8] == fingerprint::compute(&self.bytes[..at]).to_be_bytes()
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.message_type();
        write!(f, "{:?} {:?} [", kind.method, kind.class)?;
        for (i, raw) in self.attributes().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{:?}", raw.kind)?;
        }
        f.write_str("]")
    }
}

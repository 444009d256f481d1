//! Reading what is not a message: for packet dissectors, which must show what the parser refuses.

use crate::attribute::{AttributeType, padded};
use crate::fingerprint;
use crate::integrity::{SHA1_LEN, SHA256_LEN};
use crate::message::{
    HEADER_LEN, MAGIC_COOKIE, MessageType, ParseError, ParseErrorKind, TransactionId, be16,
};

/// All that can be read of bytes, whether they are a message or not, and every rule that they break.
///
/// It never decides what a program acts on: that is for [`Message::parse`](crate::Message::parse). The
/// first of [`Self::errors`] is the error of the parser, and where there is none the parser accepts.
/// Nothing is allocated; the work is linear in the length.
///
/// ```
/// use floe_stun::{AttributeType, Dissection, ParseErrorKind};
///
/// // The value of PRIORITY is cut short.
/// let bytes = [
///     0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, // header
///     0x00, 0x24, 0, 4, 0x6E, 0,
/// ];
/// let dissection = Dissection::of(&bytes);
/// let priority = dissection.attributes().next().unwrap();
/// assert_eq!((priority.kind, priority.value), (AttributeType::PRIORITY, &[0x6E, 0][..]));
/// let errors: Vec<_> = dissection.errors().map(|error| (error.kind, error.offset)).collect();
/// assert_eq!(errors, [(ParseErrorKind::Length, 2), (ParseErrorKind::AttributeLength, 20)]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dissection<'a> {
    bytes: &'a [u8],
}

impl<'a> Dissection<'a> {
    /// Looks at one datagram, or one frame of a stream.
    pub const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The first 16 bits; `None` if they are not there. Their two top bits should be zero.
    pub fn type_bits(&self) -> Option<u16> {
        self.field(0)
    }

    /// Class and method, if they are there.
    pub fn message_type(&self) -> Option<MessageType> {
        self.type_bits().map(MessageType::from_bits)
    }

    /// The length field, if it is there: bytes behind the header.
    pub fn length(&self) -> Option<u16> {
        self.field(2)
    }

    /// The four bytes where the magic cookie should be, if they are there.
    pub fn cookie(&self) -> Option<u32> {
        let cookie = self.bytes.get(4..8)?.first_chunk()?;
        Some(u32::from_be_bytes(*cookie))
    }

    /// The transaction id, if it is there.
    pub fn transaction_id(&self) -> Option<TransactionId> {
        let id = self.bytes.get(8..HEADER_LEN)?.first_chunk()?;
        Some(TransactionId(*id))
    }

    fn field(&self, at: usize) -> Option<u16> {
        (self.bytes.len() >= at + 2).then(|| be16(self.bytes, at))
    }

    /// All attributes that the header counts, as far as they are there; hidden ones too.
    pub fn attributes(&self) -> DissectedAttributes<'a> {
        let length = self.length().unwrap_or(0);
        let end = self.bytes.len().min(HEADER_LEN + usize::from(length));
        DissectedAttributes {
            bytes: &self.bytes[..end],
            at: HEADER_LEN,
            sha1: false,
            sha256: false,
            place: Place::Before,
        }
    }

    /// Every rule of the format that the bytes break, in the order of the parser. They are few,
    /// whatever the length: what follows from a broken rule is not said again.
    pub fn errors(&self) -> impl Iterator<Item = ParseError> + use<'a> {
        let attributes = self.attributes().filter_map(|attribute| {
            let offset = attribute.offset;
            attribute.error.map(|kind| ParseError { kind, offset })
        });
        self.header_errors().into_iter().flatten().chain(attributes)
    }

    fn header_errors(&self) -> [Option<ParseError>; 4] {
        let rule = |broken: bool, kind, offset| broken.then_some(ParseError { kind, offset });
        let short = self.bytes.len() < HEADER_LEN;
        let top = self.bytes.first().is_some_and(|first| first & 0xC0 != 0);
        let cookie = self.cookie().is_some_and(|cookie| cookie != MAGIC_COOKIE);
        let length = self.length().map_or(0, usize::from);
        let length = !short && (length % 4 != 0 || HEADER_LEN + length != self.bytes.len());
        [
            rule(short, ParseErrorKind::TooShort, self.bytes.len()),
            rule(top, ParseErrorKind::TopBits, 0),
            rule(cookie, ParseErrorKind::Cookie, 4),
            rule(length, ParseErrorKind::Length, 2),
        ]
    }

    /// What a FINGERPRINT at byte `offset` must say (RFC 8489 §14.7), in a message whose length field
    /// is right. An offset past the end is taken for the end.
    pub fn fingerprint(&self, offset: usize) -> u32 {
        fingerprint::compute(&self.bytes[..offset.min(self.bytes.len())])
    }
}

/// An attribute of bytes that may not be a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DissectedAttribute<'a> {
    /// Its type.
    pub kind: AttributeType,
    /// Byte offset from the start of the message.
    pub offset: usize,
    /// Its length field, 0 to 65535: bytes of the value.
    pub length: usize,
    /// Its value: shorter than `length` where the bytes end.
    pub value: &'a [u8],
    /// What stands behind the value, up to a multiple of 4 bytes: 0 to 3 bytes, which should be zero
    /// (RFC 8489 §14).
    pub padding: &'a [u8],
    /// Whether receivers ignore it because it stands behind the integrity attribute or FINGERPRINT
    /// (RFC 8489 §14.5, §14.6).
    pub hidden: bool,
    /// The rule that it breaks.
    pub error: Option<ParseErrorKind>,
}

impl DissectedAttribute<'_> {
    /// The first byte behind it.
    pub const fn end(&self) -> usize {
        self.offset + 4 + self.value.len() + self.padding.len()
    }
}

/// The walk over [`DissectedAttribute`]s; see [`Dissection::attributes`].
#[derive(Clone, Debug)]
pub struct DissectedAttributes<'a> {
    /// Up to where the header counts, or to the end.
    bytes: &'a [u8],
    at: usize,
    /// Whether there was one that counts.
    sha1: bool,
    sha256: bool,
    place: Place,
}

/// Where the walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before FINGERPRINT.
    Before,
    /// Just behind it, where the message must end.
    Behind,
    /// Further behind, which has been said.
    Beyond,
}

impl<'a> Iterator for DissectedAttributes<'a> {
    type Item = DissectedAttribute<'a>;

    fn next(&mut self) -> Option<DissectedAttribute<'a>> {
        let offset = self.at;
        let rest = self.bytes.get(offset..)?;
        let (&[kind_0, kind_1, length_0, length_1], rest) = rest.split_first_chunk()?;
        let kind = AttributeType(u16::from_be_bytes([kind_0, kind_1]));
        let length = usize::from(u16::from_be_bytes([length_0, length_1]));
        let (value, rest) = rest.split_at(length.min(rest.len()));
        let padding = &rest[..(padded(length) - length).min(rest.len())];
        let cut = value.len() + padding.len() < padded(length);
        self.at = offset + 4 + value.len() + padding.len();

        let place = self.place;
        self.place = match place {
            Place::Before if kind != AttributeType::FINGERPRINT => Place::Before,
            Place::Before => Place::Behind,
            Place::Behind | Place::Beyond => Place::Beyond,
        };
        let integrity = self.sha1 || self.sha256;
        // Only one of each kind counts, and SHA-1 not behind SHA-256.
        let (hidden, wrong) = match kind {
            _ if place != Place::Before => (true, None),
            AttributeType::MESSAGE_INTEGRITY if !integrity => {
                self.sha1 = true;
                let wrong = length != SHA1_LEN;
                (false, wrong.then_some(ParseErrorKind::IntegrityLength))
            }
            AttributeType::MESSAGE_INTEGRITY_SHA256 if !self.sha256 => {
                self.sha256 = true;
                let wrong = length % 4 != 0 || !(16..=SHA256_LEN).contains(&length);
                (false, wrong.then_some(ParseErrorKind::IntegrityLength))
            }
            AttributeType::FINGERPRINT => {
                let wrong = length != 4;
                (false, wrong.then_some(ParseErrorKind::FingerprintLength))
            }
            _ => (integrity, None),
        };
        let error = if place == Place::Behind {
            Some(ParseErrorKind::AfterFingerprint)
        } else if cut {
            Some(ParseErrorKind::AttributeLength)
        } else {
            wrong
        };
        Some(DissectedAttribute {
            kind,
            offset,
            length,
            value,
            padding,
            hidden,
            error,
        })
    }
}

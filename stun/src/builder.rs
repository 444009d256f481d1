//! Writing a message into the caller's buffer.

use core::fmt;

use bytes::Bytes;

use crate::attribute::{Attribute, AttributeType, SendRule, Value, padded};
use crate::fingerprint;
use crate::integrity::{Algorithm, Key, SHA1_LEN, SHA256_LEN};
use crate::message::{Class, HEADER_LEN, MAGIC_COOKIE, Message, MessageType, TransactionId};
use crate::size_limit::SizeLimit;

/// Why a message could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The buffer is too small.
    NoRoom,
    /// The value of this attribute must not be sent: it breaks this rule of its RFC.
    Value(AttributeType, SendRule),
    /// The message is not below its [`SizeLimit`], in bytes.
    TooLarge(SizeLimit),
    /// This attribute cannot stand behind the integrity attribute or FINGERPRINT.
    Order(AttributeType),
    /// Long-term credentials cannot protect an indication: nobody could challenge it (RFC 8489 §9.2).
    Indication,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom => f.write_str("the buffer is too small for the message"),
            Self::Value(kind, rule) => write!(f, "{kind:?} cannot be sent: {rule}"),
            Self::TooLarge(limit) => {
                write!(f, "the message is not shorter than {} bytes", limit.bytes())
            }
            Self::Order(kind) => {
                write!(f, "{kind:?} cannot stand behind integrity or fingerprint")
            }
            Self::Indication => f.write_str("long-term credentials cannot protect an indication"),
        }
    }
}

impl core::error::Error for BuildError {}

/// What has been written so far decides what may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Attributes,
    Sha1,
    Sha256,
    Fingerprint,
}

/// Writes one message into a buffer, without allocation.
///
/// The first error sticks and comes out of [`Self::finish`].
///
/// ```
/// use floe_stun::{Builder, Class, Key, Message, MessageType, Method, Priority, TransactionId, Username};
///
/// let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
/// let mut buffer = [0; 128];
/// let request = MessageType::new(Class::Request, Method::BINDING);
/// let len = Builder::new(&mut buffer, request, TransactionId([7; 12]))
///     .with(&Username("evtj:h6vY"))
///     .with(&Priority(0x6e00_01ff))
///     .with_integrity(&key)
///     .with_fingerprint()
///     .finish()
///     .unwrap();
///
/// let message = Message::parse(&buffer[..len]).unwrap();
/// assert_eq!(message.get::<Username>().unwrap(), Some(Username("evtj:h6vY")));
/// assert!(message.verify(&key, message.integrity().unwrap()));
/// assert!(message.verify_fingerprint());
/// ```
#[derive(Debug)]
#[must_use = "nothing is written until `finish`"]
pub struct Builder<'b> {
    buffer: &'b mut [u8],
    len: usize,
    class: Class,
    id: TransactionId,
    stage: Stage,
    limit: SizeLimit,
    /// PADDING has been written, which lifts the limit to that of a datagram.
    has_padding: bool,
    error: Option<BuildError>,
}

impl<'b> Builder<'b> {
    /// Starts a message.
    pub fn new(buffer: &'b mut [u8], kind: MessageType, id: TransactionId) -> Self {
        let mut error = None;
        if let Some(header) = buffer.first_chunk_mut::<HEADER_LEN>() {
            header[..2].copy_from_slice(&kind.to_bits().to_be_bytes());
            header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            header[8..].copy_from_slice(&id.0);
        } else {
            error = Some(BuildError::NoRoom);
        }
        Self {
            buffer,
            len: HEADER_LEN,
            class: kind.class,
            id,
            stage: Stage::Attributes,
            limit: SizeLimit::NONE,
            has_padding: false,
            error,
        }
    }

    /// Starts the response to `request`, with its method and transaction id.
    pub fn response(buffer: &'b mut [u8], request: &Message<'_>, class: Class) -> Self {
        let kind = MessageType::new(class, request.method());
        Self::new(buffer, kind, request.transaction_id())
    }

    /// Refuses to finish a message that is not below `limit`, unless it has PADDING (RFC 8489 §6.1,
    /// RFC 5780 §7.6). Without this call a message has no limit.
    pub fn with_limit(mut self, limit: SizeLimit) -> Self {
        self.limit = limit;
        self
    }

    /// Appends an attribute.
    pub fn with<'a, A: Attribute<'a>>(mut self, attribute: &A) -> Self {
        if let Err(rule) = attribute.check() {
            self.fail(BuildError::Value(A::TYPE, rule));
        }
        if self.stage != Stage::Attributes {
            self.fail(BuildError::Order(A::TYPE));
        }
        let id = self.id;
        self.append(A::TYPE, |value| attribute.encode(value, id));
        self
    }

    /// Appends an attribute if there is one.
    pub fn with_some<'a, A: Attribute<'a>>(self, attribute: Option<&A>) -> Self {
        match attribute {
            Some(attribute) => self.with(attribute),
            None => self,
        }
    }

    /// Appends an attribute of any type, known or not.
    pub fn with_raw(mut self, kind: AttributeType, bytes: &[u8]) -> Self {
        if self.stage != Stage::Attributes {
            self.fail(BuildError::Order(kind));
        }
        self.append(kind, |value| value.put(bytes));
        self
    }

    /// Appends MESSAGE-INTEGRITY.
    pub fn with_integrity(mut self, key: &Key) -> Self {
        let kind = AttributeType::MESSAGE_INTEGRITY;
        let at = self.seal(kind, Stage::Sha1, SHA1_LEN);
        if self.error.is_none() {
            let code = key.sha1(self.buffer, at);
            self.buffer[at + 4..at + 4 + SHA1_LEN].copy_from_slice(&code);
        }
        self
    }

    /// Appends the integrity attribute that `request` was authenticated with: the rule of the
    /// short-term mechanism (RFC 8489 §9.1.3).
    pub fn with_integrity_like(self, request: &Message<'_>, key: &Key) -> Self {
        self.with_integrity_by(request.integrity().unwrap_or(Algorithm::Sha1), key)
    }

    /// Appends the integrity attribute of `algorithm`.
    pub fn with_integrity_by(self, algorithm: Algorithm, key: &Key) -> Self {
        match algorithm {
            Algorithm::Sha1 => self.with_integrity(key),
            Algorithm::Sha256 => self.with_integrity_sha256(key),
        }
    }

    /// Appends MESSAGE-INTEGRITY-SHA256, in full length.
    pub fn with_integrity_sha256(mut self, key: &Key) -> Self {
        let kind = AttributeType::MESSAGE_INTEGRITY_SHA256;
        let at = self.seal(kind, Stage::Sha256, SHA256_LEN);
        if self.error.is_none() {
            let code = key.sha256(self.buffer, at);
            self.buffer[at + 4..at + 4 + SHA256_LEN].copy_from_slice(&code);
        }
        self
    }

    /// Appends FINGERPRINT, after which nothing can follow.
    pub fn with_fingerprint(mut self) -> Self {
        let at = self.seal(AttributeType::FINGERPRINT, Stage::Fingerprint, 4);
        if self.error.is_none() {
            self.write_length();
            let crc = fingerprint::compute(&self.buffer[..at]);
            self.buffer[at + 4..at + 8].copy_from_slice(&crc.to_be_bytes());
        }
        self
    }

    /// Completes the message; it fills the first bytes of the buffer, as many as returned.
    pub fn finish(mut self) -> Result<usize, BuildError> {
        self.complete()
    }

    /// Completes the message, in bytes of its own.
    pub fn finish_bytes(mut self) -> Result<Bytes, BuildError> {
        let len = self.complete()?;
        Ok(Bytes::copy_from_slice(&self.buffer[..len]))
    }

    fn complete(&mut self) -> Result<usize, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let limit = if self.has_padding {
            SizeLimit::DATAGRAM
        } else {
            self.limit
        };
        if !limit.permits(self.len) {
            return Err(BuildError::TooLarge(limit));
        }
        self.write_length();
        Ok(self.len)
    }

    /// Refuses what only a request can carry.
    pub(crate) fn requests_only(mut self) -> Self {
        if self.class == Class::Indication {
            self.fail(BuildError::Indication);
        }
        self
    }

    fn fail(&mut self, error: BuildError) {
        self.error.get_or_insert(error);
    }

    /// Appends an attribute that ends a stage; its value is still to be computed.
    fn seal(&mut self, kind: AttributeType, stage: Stage, len: usize) -> usize {
        if self.stage >= stage {
            self.fail(BuildError::Order(kind));
        }
        self.stage = stage;
        let at = self.len;
        self.append(kind, |value| value.put(&[0; SHA256_LEN][..len]));
        at
    }

    fn append(&mut self, kind: AttributeType, encode: impl FnOnce(&mut Value<'_>)) {
        if self.error.is_some() {
            return;
        }
        let at = self.len;
        let Some(space) = self.buffer.get_mut(at + 4..) else {
            return self.fail(BuildError::NoRoom);
        };
        let mut value = Value::new(space);
        encode(&mut value);
        let len = value.len();
        let end = at + 4 + padded(len);
        if end > self.buffer.len() || end - HEADER_LEN > usize::from(u16::MAX) {
            return self.fail(BuildError::NoRoom);
        }
        self.buffer[at..at + 2].copy_from_slice(&kind.0.to_be_bytes());
        self.buffer[at + 2..at + 4].copy_from_slice(&(len as u16).to_be_bytes());
        self.buffer[at + 4 + len..end].fill(0);
        self.has_padding |= kind == AttributeType::PADDING;
        self.len = end;
    }

    fn write_length(&mut self) {
        let length = (self.len - HEADER_LEN) as u16;
        self.buffer[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

use crate::attribute::{Attribute, AttributeType, Value, padded};
use crate::message::TransactionId;

/// How the key of a long-term credential is made of the password: the registry of RFC 8489 §18.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyDerivation {
    /// MD5, a key of 16 bytes; for legacy systems only (RFC 8489 §18.5.1.1).
    Md5,
    /// SHA-256, a key of 32 bytes (RFC 8489 §18.5.1.2).
    Sha256,
}

impl KeyDerivation {
    /// Its number in the registry.
    pub const fn number(self) -> u16 {
        match self {
            Self::Md5 => 0x0001,
            Self::Sha256 => 0x0002,
        }
    }

    /// The derivation with this number, if floe knows it.
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            0x0001 => Some(Self::Md5),
            0x0002 => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// PASSWORD-ALGORITHM: the one that a request uses (RFC 8489 §14.12); also an entry of
/// [`PasswordAlgorithms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordAlgorithm<'a> {
    /// The number in the registry, known or not; see [`Self::derivation`].
    pub number: u16,
    /// The parameters, without padding; empty for MD5 and SHA-256.
    pub parameters: &'a [u8],
}

impl<'a> PasswordAlgorithm<'a> {
    /// The algorithm that the registry lists for `derivation`, without parameters.
    pub const fn of(derivation: KeyDerivation) -> Self {
        Self {
            number: derivation.number(),
            parameters: &[],
        }
    }

    /// What it stands for: `None` if floe does not know it, or if there are parameters where the
    /// registry has none.
    pub const fn derivation(self) -> Option<KeyDerivation> {
        if self.parameters.is_empty() {
            KeyDerivation::new(self.number)
        } else {
            None
        }
    }

    /// The first entry of `list`, and the rest of it; the padding of the last one may be missing.
    fn split(list: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[n0, n1, l0, l1], rest) = list.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let algorithm = Self {
            number: u16::from_be_bytes([n0, n1]),
            parameters: rest.get(..length)?,
        };
        Some((algorithm, &rest[padded(length).min(rest.len())..]))
    }

    fn put(self, value: &mut Value<'_>) {
        let length = self.parameters.len();
        value.put(&self.number.to_be_bytes());
        value.put(&(length as u16).to_be_bytes());
        value.put(self.parameters);
        value.put(&[0; 3][..padded(length) - length]);
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithm<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHM;

    fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
        let (algorithm, rest) = Self::split(value)?;
        rest.is_empty().then_some(algorithm)
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        self.put(value);
    }
}

/// PASSWORD-ALGORITHMS: what a server supports, best first (RFC 8489 §14.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordAlgorithms<'a>(&'a [u8]);

impl<'a> PasswordAlgorithms<'a> {
    /// The list that these bytes hold, each entry padded to four bytes; `None` if one runs past the end.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = PasswordAlgorithm::split(rest)?.1;
        }
        Some(Self(bytes))
    }

    /// The value as it stands in the message: what an echo has to repeat (RFC 8489 §9.2.5).
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The entries, in order.
    pub fn iter(self) -> impl Iterator<Item = PasswordAlgorithm<'a>> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (algorithm, behind) = PasswordAlgorithm::split(rest)?;
            rest = behind;
            Some(algorithm)
        })
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithms<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
        Self::from_bytes(value)
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(self.0);
    }
}

use crate::attribute::{Attribute, AttributeType, Value};
use crate::message::{Message, TransactionId};

/// UNKNOWN-ATTRIBUTES: what a 420 response complains about (RFC 8489 §14.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAttributes<'a>(pub(crate) &'a [u8]);

impl<'a> UnknownAttributes<'a> {
    /// The attribute types in the list.
    pub fn iter(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        self.0
            .chunks_exact(2)
            .map(|pair| AttributeType(u16::from_be_bytes([pair[0], pair[1]])))
    }
}

impl<'a> Attribute<'a> for UnknownAttributes<'a> {
    const TYPE: AttributeType = AttributeType::UNKNOWN_ATTRIBUTES;

    fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
        (value.len() % 2 == 0).then_some(Self(value))
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(self.0);
    }
}

/// The unknown comprehension-required attributes of a request, to be listed in a 420 response
/// (RFC 8489 §6.3.1); gathered without allocation.
///
/// At most [`Self::MAX`] are listed: a response must not outgrow what provoked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRequired {
    bytes: [u8; 2 * Self::MAX],
    len: usize,
}

impl UnknownRequired {
    /// Types listed at most.
    pub const MAX: usize = 16;

    /// Those of `message` that are not among `known`; `None` if there are none.
    pub fn find(message: &Message<'_>, known: &'static [AttributeType]) -> Option<Self> {
        Self::gather(message.unknown_required(known))
    }

    /// Those that a 420 response lists; `None` if there are none.
    pub fn listed(list: &UnknownAttributes<'_>) -> Option<Self> {
        Self::gather(list.iter())
    }

    fn gather(kinds: impl Iterator<Item = AttributeType>) -> Option<Self> {
        let mut list = Self {
            bytes: [0; 2 * Self::MAX],
            len: 0,
        };
        for kind in kinds.take(Self::MAX) {
            list.bytes[list.len..list.len + 2].copy_from_slice(&kind.0.to_be_bytes());
            list.len += 2;
        }
        (list.len > 0).then_some(list)
    }

    /// The attribute for the response.
    pub fn attribute(&self) -> UnknownAttributes<'_> {
        UnknownAttributes(&self.bytes[..self.len])
    }
}

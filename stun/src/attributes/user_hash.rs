use sha2::{Digest, Sha256};

use crate::attribute::{Attribute, AttributeType, Value};
use crate::message::TransactionId;

/// USERHASH: who asks, for those only who know all names (RFC 8489 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserHash(pub [u8; 32]);

impl UserHash {
    /// `SHA-256(username ":" realm)`, of texts that are prepared (RFC 8489 §14.4).
    pub fn of(username: &str, realm: &str) -> Self {
        let mut sha256 = Sha256::new();
        for part in [username, ":", realm] {
            sha256.update(part);
        }
        Self(sha256.finalize().into())
    }
}

impl Attribute<'_> for UserHash {
    const TYPE: AttributeType = AttributeType::USERHASH;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        value.try_into().ok().map(Self)
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(&self.0);
    }
}

use core::time::Duration;

use crate::attribute::{Attribute, AttributeType, Value};
use crate::message::TransactionId;

macro_rules! numbers {
    ($($name:ident($type:ty), $kind:ident, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub $type);

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
                Some(Self(<$type>::from_be_bytes(value.try_into().ok()?)))
            }

            fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
                value.put(&self.0.to_be_bytes());
            }
        }
    )*};
}

numbers! {
    Priority(u32), PRIORITY,
        "The priority that a peer-reflexive candidate found by this check would have (RFC 8445 §16.1).";
    IceControlled(u64), ICE_CONTROLLED,
        "The sender is controlled; its tie-breaker (RFC 8445 §16.1).";
    IceControlling(u64), ICE_CONTROLLING,
        "The sender is controlling; its tie-breaker (RFC 8445 §16.1).";
    Lifetime(u32), LIFETIME,
        "How long the server keeps an allocation without a Refresh, in seconds (RFC 8656 §18.2).";
    ConnectionId(u32), CONNECTION_ID,
        "Which TCP connection to a peer (RFC 6062 §6.2.1).";
}

impl Lifetime {
    /// The same as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

/// The controlling agent nominates this pair (RFC 8445 §16.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseCandidate;

impl Attribute<'_> for UseCandidate {
    const TYPE: AttributeType = AttributeType::USE_CANDIDATE;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        value.is_empty().then_some(Self)
    }

    fn encode(&self, _: &mut Value<'_>, _: TransactionId) {}
}

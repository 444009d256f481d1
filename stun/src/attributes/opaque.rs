//! Attributes that are opaque to all but the one who made them.

use core::fmt;

use crate::attribute::{Attribute, AttributeType, Value};
use crate::message::TransactionId;

macro_rules! opaque {
    ($($name:ident, $kind:ident, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a>(pub &'a [u8]);

        impl<'a> Attribute<'a> for $name<'a> {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
                Some(Self(value))
            }

            fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
                value.put(self.0);
            }
        }

        /// Never prints the bytes: they open something.
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }
    )*};
}

opaque! {
    AccessToken, ACCESS_TOKEN,
        "ACCESS-TOKEN (RFC 7635 §6.2): what an authorization server says of a client, sealed for the server.";
    MobilityTicket, MOBILITY_TICKET,
        "MOBILITY-TICKET (RFC 8016 §3.3): moves an allocation to another address; empty, it asks for one.";
}

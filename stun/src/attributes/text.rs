use core::fmt;

use crate::attribute::{Attribute, AttributeType, Value};
use crate::message::TransactionId;

/// Longest value accepted, in bytes (RFC 8489 §14.3, §14.9, §14.10, §14.14).
const ACCEPTED_MAX: usize = 763;

macro_rules! texts {
    ($($(#[$meta:meta])* $name:ident, $kind:ident, $fits:expr, $doc:literal;)*) => {$(
        #[doc = $doc]
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a>(pub &'a str);

        impl<'a> Attribute<'a> for $name<'a> {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
                if value.len() > ACCEPTED_MAX {
                    return None;
                }
                core::str::from_utf8(value).ok().map(Self)
            }

            fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
                value.put(self.0.as_bytes());
            }

            fn is_sendable(&self) -> bool {
                let fits: fn(&str) -> bool = $fits;
                fits(self.0)
            }
        }
    )*};
}

texts! {
    #[derive(Debug)]
    Username, USERNAME, |text| text.len() < 509,
        "Who asks: UTF-8, up to 508 bytes sent and 763 accepted (RFC 8489 §14.3).";
    #[derive(Debug)]
    Realm, REALM, |text| text.chars().count() < 128,
        "Whose credentials are wanted: UTF-8, fewer than 128 characters sent, 763 bytes accepted (RFC 8489 §14.9).";
    Nonce, NONCE, |text| text.chars().count() < 128,
        "The server's nonce: fewer than 128 characters sent, 763 bytes accepted (RFC 8489 §14.10).";
    #[derive(Debug)]
    Software, SOFTWARE, |text| text.chars().count() < 128,
        "What the sender is: UTF-8, fewer than 128 characters sent, 763 bytes accepted (RFC 8489 §14.14).";
}

/// Never prints the nonce: while it is fresh it is half of a replay.
impl fmt::Debug for Nonce<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

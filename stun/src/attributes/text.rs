use core::fmt;

use crate::attribute::{Attribute, AttributeType, SendRule, Value};
use crate::message::TransactionId;

/// Longest value accepted, in bytes (RFC 8489 §14.3, §14.9, §14.10, §14.14).
const ACCEPTED_MAX: usize = 763;

/// Fewer than 509 bytes (RFC 8489 §14.3).
fn username(text: &str) -> Result<(), SendRule> {
    if text.len() < 509 {
        Ok(())
    } else {
        Err(SendRule::Length)
    }
}

/// Fewer than 128 characters, and so at most 509 bytes (RFC 8489 §14.8, §14.14).
pub(super) fn short(text: &str) -> Result<(), SendRule> {
    if text.len() < 128 || text.chars().count() < 128 {
        Ok(())
    } else {
        Err(SendRule::Length)
    }
}

/// As [`short`], and what may stand between the quotes of a `quoted-string` (RFC 3261 §25.1).
fn quotable(text: &str) -> Result<(), SendRule> {
    short(text)?;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let allowed = match character {
            '"' => false,
            // `quoted-pair`: any ASCII character but the line ends.
            '\\' => characters
                .next()
                .is_some_and(|next| next.is_ascii() && next != '\r' && next != '\n'),
            '\t' => true,
            other => !other.is_ascii_control(),
        };
        if !allowed {
            return Err(SendRule::Characters);
        }
    }
    Ok(())
}

macro_rules! texts {
    ($($(#[$meta:meta])* $name:ident, $kind:ident, $rule:expr, $doc:literal;)*) => {$(
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

            fn check(&self) -> Result<(), SendRule> {
                let rule: fn(&str) -> Result<(), SendRule> = $rule;
                rule(self.0)
            }
        }
    )*};
}

texts! {
    #[derive(Debug)]
    Username, USERNAME, username,
        "Who asks: UTF-8, up to 508 bytes sent and 763 accepted (RFC 8489 §14.3).";
    #[derive(Debug)]
    Realm, REALM, quotable,
        "Whose credentials are wanted: UTF-8, fewer than 128 characters of `qdtext` or `quoted-pair` sent, 763 bytes accepted (RFC 8489 §14.9).";
    Nonce, NONCE, quotable,
        "The server's nonce: fewer than 128 characters of `qdtext` or `quoted-pair` sent, 763 bytes accepted (RFC 8489 §14.10).";
    #[derive(Debug)]
    Software, SOFTWARE, short,
        "What the sender is: UTF-8, fewer than 128 characters sent, 763 bytes accepted (RFC 8489 §14.14).";
    #[derive(Debug)]
    ThirdPartyAuthorization, THIRD_PARTY_AUTHORIZATION, short,
        "The server takes tokens; the name by which whoever issues them knows it (RFC 7635 §6.1). Limits as of SOFTWARE: the RFC has none.";
}

/// Never prints the nonce: while it is fresh it is half of a replay.
impl fmt::Debug for Nonce<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

use core::fmt;

use super::text::short;
use super::turn::AddressFamily;
use crate::attribute::{Attribute, AttributeType, SendRule, Value};
use crate::message::TransactionId;

/// A three-digit code, 300 to 699 (RFC 8489 §14.8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

macro_rules! codes {
    ($($name:ident = $code:literal, $reason:literal, $rfc:literal;)*) => {
        impl StatusCode {
            $(
                #[doc = concat!($reason, " (RFC ", $rfc, ").")]
                pub const $name: Self = Self($code);
            )*

            /// The reason phrase that goes with it; empty for codes without a registration.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

codes! {
    TRY_ALTERNATE = 300, "Try Alternate", "8489";
    BAD_REQUEST = 400, "Bad Request", "8489";
    UNAUTHENTICATED = 401, "Unauthenticated", "8489";
    FORBIDDEN = 403, "Forbidden", "8656";
    MOBILITY_FORBIDDEN = 405, "Mobility Forbidden", "8016";
    UNKNOWN_ATTRIBUTE = 420, "Unknown Attribute", "8489";
    ALLOCATION_MISMATCH = 437, "Allocation Mismatch", "8656";
    STALE_NONCE = 438, "Stale Nonce", "8489";
    ADDRESS_FAMILY_NOT_SUPPORTED = 440, "Address Family not Supported", "8656";
    WRONG_CREDENTIALS = 441, "Wrong Credentials", "8656";
    UNSUPPORTED_TRANSPORT = 442, "Unsupported Transport Protocol", "8656";
    PEER_ADDRESS_FAMILY_MISMATCH = 443, "Peer Address Family Mismatch", "8656";
    CONNECTION_ALREADY_EXISTS = 446, "Connection Already Exists", "6062";
    CONNECTION_TIMEOUT = 447, "Connection Timeout or Failure", "6062";
    ALLOCATION_QUOTA_REACHED = 486, "Allocation Quota Reached", "8656";
    ROLE_CONFLICT = 487, "Role Conflict", "8445";
    SERVER_ERROR = 500, "Server Error", "8489";
    INSUFFICIENT_CAPACITY = 508, "Insufficient Capacity", "8656";
}

impl StatusCode {
    /// The code with this number, if it lies in 300 to 699.
    pub const fn new(number: u16) -> Option<Self> {
        if matches!(number, 300..=699) {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

/// ERROR-CODE: what went wrong, for programs and for people (RFC 8489 §14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    /// For programs.
    pub code: StatusCode,
    /// For people: fewer than 128 characters.
    pub reason: &'a str,
}

impl ErrorCode<'static> {
    /// The code with the reason phrase of the registry.
    pub const fn of(code: StatusCode) -> Self {
        Self {
            code,
            reason: code.reason(),
        }
    }
}

/// Longest reason phrase accepted, in bytes (RFC 8489 §14.8).
const REASON_MAX: usize = 763;

impl<'a> ErrorCode<'a> {
    /// Reads class, number and reason; the reserved bits before them are ignored.
    fn read(value: &'a [u8]) -> Option<Self> {
        let (&[_, _, class, number], reason) = value.split_first_chunk::<4>()?;
        let class = u16::from(class & 0x07);
        if number > 99 || reason.len() > REASON_MAX {
            return None;
        }
        Some(Self {
            code: StatusCode::new(class * 100 + u16::from(number))?,
            reason: core::str::from_utf8(reason).ok()?,
        })
    }

    /// Writes what [`Self::read`] reads, behind `first`, the byte that the two attributes differ in.
    fn write(&self, first: u8, value: &mut Value<'_>) {
        let number = self.code.number();
        value.put(&[first, 0, (number / 100) as u8, (number % 100) as u8]);
        value.put(self.reason.as_bytes());
    }
}

impl<'a> Attribute<'a> for ErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ERROR_CODE;

    fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
        Self::read(value)
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        self.write(0, value);
    }

    fn check(&self) -> Result<(), SendRule> {
        short(self.reason)
    }
}

/// ADDRESS-ERROR-CODE: why there is no relayed address of one family (RFC 8656 §18.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressErrorCode<'a> {
    /// The family that was not allocated.
    pub family: AddressFamily,
    /// Why: 440 or 508.
    pub error: ErrorCode<'a>,
}

impl<'a> Attribute<'a> for AddressErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ADDRESS_ERROR_CODE;

    fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
        Some(Self {
            family: AddressFamily(*value.first()?),
            error: ErrorCode::read(value)?,
        })
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        self.error.write(self.family.0, value);
    }

    fn check(&self) -> Result<(), SendRule> {
        self.family.check()?;
        short(self.error.reason)
    }
}

//! What the value of an attribute must look like, and why one does not.

use super::hex::Count;

/// Why a value is not what its type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Where, from the start of the message.
    pub(crate) offset: usize,
    pub(crate) reason: String,
    pub(crate) section: &'static str,
}

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Address,
    Text,
    Error,
    /// Attribute types.
    Pairs,
    /// Password algorithms with their parameters.
    Algorithms,
    /// A DNS name.
    Domain,
    /// So many bytes.
    Bytes(usize),
    /// Whatever the bytes are.
    Any,
}

/// The families of addresses (RFC 8489 §14.1), and how long a value with one is.
const FAMILIES: [(u8, &str, usize); 2] = [(1, "IPv4", 8), (2, "IPv6", 20)];

/// The longest texts that are accepted, in bytes (RFC 8489 §14.3, §14.8 and others).
const TEXT_MAX: usize = 763;

impl Form {
    pub(super) fn malformed(self, value: &[u8], offset: usize, section: &'static str) -> Malformed {
        let (at, reason) = self.reason(value);
        Malformed {
            offset: offset + at,
            reason,
            section,
        }
    }

    /// What is wrong, and where in the value.
    fn reason(self, value: &[u8]) -> (usize, String) {
        let length = Count(value.len());
        let exactly = |wanted| (0, format!("{length} where there must be {wanted}"));
        match self {
            Self::Address => match value {
                [_, family, _, _, ..] => match FAMILIES.iter().find(|known| known.0 == *family) {
                    Some((_, name, wanted)) => (
                        0,
                        format!("{length}; with an {name} address there are {wanted}"),
                    ),
                    None => (
                        1,
                        format!("address family {family} is neither 1 (IPv4) nor 2 (IPv6)"),
                    ),
                },
                _ => (0, format!("{length}, too few for an address")),
            },
            Self::Text => text(value, 0),
            Self::Error => match *value {
                [_, _, class, number, ref reason @ ..] => {
                    let class = class & 0x07;
                    if !matches!(class, 3..=6) {
                        (2, format!("class {class} is not from 3 to 6"))
                    } else if number > 99 {
                        (3, format!("number {number} is above 99"))
                    } else {
                        text(reason, 4)
                    }
                }
                _ => (0, format!("{length}, too few for a code")),
            },
            Self::Pairs => (0, format!("{length}, no list of 16-bit types")),
            Self::Algorithms => (0, format!("{length}, which its entries do not fill")),
            Self::Domain if value.is_ascii() => (0, "no DNS name of at most 255 bytes".to_owned()),
            Self::Domain => {
                let at = value.iter().position(|byte| !byte.is_ascii());
                (at.unwrap_or(0), "not ASCII".to_owned())
            }
            Self::Bytes(wanted) => exactly(wanted),
            Self::Any => (0, "not what it must be".to_owned()),
        }
    }
}

/// What is wrong with a text that begins `at` bytes into the value.
fn text(text: &[u8], at: usize) -> (usize, String) {
    if text.len() > TEXT_MAX {
        return (
            at,
            format!("{} of text; {TEXT_MAX} are the most", Count(text.len())),
        );
    }
    match std::str::from_utf8(text) {
        Err(error) => (at + error.valid_up_to(), "not UTF-8".to_owned()),
        Ok(_) => (at, "not what it must be".to_owned()),
    }
}

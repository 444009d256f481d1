//! What is wrong with a message: where, which rule, and the bytes around.

use std::ops::Range;

use floe_stun::{
    AttributeType, DissectedAttribute, Dissection, HEADER_LEN, ParseError, ParseErrorKind,
};
use serde::Serialize;

use super::form::Malformed;
use super::hex::{Count, spaced};
use super::report::name;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// From the start of the message.
    pub(super) byte: usize,
    pub(super) rule: String,
    pub(super) section: &'static str,
    /// What there is instead.
    pub(super) found: String,
    /// The bytes that break it, in brackets, and those around.
    pub(super) around: String,
}

impl Fault {
    /// Of the form: what the parser refuses.
    pub(super) fn of_form(error: ParseError, bytes: &[u8]) -> Self {
        let dissection = Dissection::of(bytes);
        let attribute = || {
            let mut attributes = dissection.attributes();
            attributes.find(|attribute| attribute.offset == error.offset)
        };
        let length = dissection.length().map_or(0, usize::from);
        // The length field of an attribute.
        let length_field = error.offset + 2..error.offset + 4;
        let (rule, section, found, guilty) = match error.kind {
            ParseErrorKind::TooShort => (
                "a message must begin with a header of 20 bytes",
                "RFC 8489 §5",
                format!("there are only {}", Count(bytes.len())),
                bytes.len()..bytes.len(),
            ),
            ParseErrorKind::TopBits => (
                "the two top bits must be zero",
                "RFC 8489 §5",
                format!("the first byte is {:#04x}", bytes.first().unwrap_or(&0)),
                0..1,
            ),
            ParseErrorKind::Cookie => (
                "the magic cookie must be 0x2112a442",
                "RFC 8489 §5",
                format!("it is {:#010x}", dissection.cookie().unwrap_or(0)),
                4..8,
            ),
            ParseErrorKind::Length => (
                "the length field must count the bytes behind the header, a multiple of 4",
                "RFC 8489 §5",
                wrong_length(length, bytes.len() - HEADER_LEN),
                2..4,
            ),
            ParseErrorKind::AttributeLength => (
                "an attribute must end within the message",
                "RFC 8489 §14",
                attribute().as_ref().map_or_else(String::new, overrun),
                length_field,
            ),
            ParseErrorKind::IntegrityLength => {
                let sha256 = attribute()
                    .is_some_and(|attribute| attribute.kind != AttributeType::MESSAGE_INTEGRITY);
                let (rule, section) = if sha256 {
                    (
                        "MESSAGE-INTEGRITY-SHA256 must have 16 to 32 bytes in steps of 4",
                        "RFC 8489 §14.6",
                    )
                } else {
                    ("MESSAGE-INTEGRITY must have 20 bytes", "RFC 8489 §14.5")
                };
                (rule, section, its_length(attribute()), length_field)
            }
            ParseErrorKind::FingerprintLength => (
                "FINGERPRINT must have 4 bytes",
                "RFC 8489 §14.7",
                its_length(attribute()),
                length_field,
            ),
            ParseErrorKind::AfterFingerprint => (
                "FINGERPRINT must be the last attribute",
                "RFC 8489 §14.7",
                attribute().map_or_else(String::new, |attribute| {
                    format!("{} stands behind it", name(attribute.kind))
                }),
                error.offset..error.offset + 4,
            ),
            // A rule that is younger than this list.
            _ => {
                let around = around(bytes, error.offset..error.offset + 4);
                return Self {
                    byte: error.offset,
                    rule: error.to_string(),
                    section: "RFC 8489",
                    found: String::new(),
                    around,
                };
            }
        };
        Self {
            byte: guilty.start,
            rule: rule.to_owned(),
            section,
            found,
            around: around(bytes, guilty),
        }
    }

    /// Of a value.
    pub(super) fn of_value(kind: AttributeType, malformed: &Malformed, bytes: &[u8]) -> Self {
        let at = malformed.offset;
        Self {
            byte: at,
            rule: format!("the value of {} is malformed", name(kind)),
            section: malformed.section,
            found: malformed.reason.clone(),
            around: around(bytes, at..at + 1),
        }
    }
}

fn wrong_length(says: usize, there: usize) -> String {
    let odd = if says.is_multiple_of(4) {
        ""
    } else {
        ", no multiple of 4"
    };
    let there = match there.checked_sub(says) {
        Some(0) => String::new(),
        Some(more) => format!("; there are {there}, {more} more"),
        None => format!("; there are {there}, {} fewer", says - there),
    };
    format!("it says {says}{odd}{there}")
}

fn overrun(attribute: &DissectedAttribute<'_>) -> String {
    let (name, length, there) = (
        name(attribute.kind),
        attribute.length,
        attribute.value.len(),
    );
    if there == length {
        format!("the padding of {name} is missing")
    } else {
        format!("{name} says {}; {there} are left", Count(length))
    }
}

fn its_length(attribute: Option<DissectedAttribute<'_>>) -> String {
    attribute.map_or_else(String::new, |attribute| {
        format!("it has {}", attribute.length)
    })
}

/// Bytes shown on each side of those that are wrong.
const CONTEXT: usize = 8;

/// The guilty bytes in brackets, and their neighbours.
fn around(bytes: &[u8], guilty: Range<usize>) -> String {
    let end = guilty.end.min(bytes.len());
    let start = guilty.start.min(end);
    let (first, last) = (
        start.saturating_sub(CONTEXT),
        (end + CONTEXT).min(bytes.len()),
    );
    let mut parts = Vec::new();
    if first > 0 {
        parts.push("…".to_owned());
    }
    if first < start {
        parts.push(spaced(&bytes[first..start]));
    }
    parts.push(format!("[{}]", spaced(&bytes[start..end])));
    if end < last {
        parts.push(spaced(&bytes[end..last]));
    }
    if last < bytes.len() {
        parts.push("…".to_owned());
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_around_end_with_the_message() {
        let bytes: Vec<u8> = (0..24).collect();
        assert_eq!(around(&bytes[..4], 1..2), "00 [01] 02 03");
        assert_eq!(
            around(&bytes, 10..12),
            "… 02 03 04 05 06 07 08 09 [0a 0b] 0c 0d 0e 0f 10 11 12 13 …"
        );
        assert_eq!(around(&bytes[..2], 2..2), "00 01 []");
        assert_eq!(around(&bytes[..2], 8..9), "00 01 []");
    }
}

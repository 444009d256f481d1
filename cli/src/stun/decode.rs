//! `floe stun decode`: one message, readably.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::args::{DecodeArgs, DecodeFormat};
use super::proof::Keys;
use super::report::report;
use super::{input, text};
use crate::error::Error;
use crate::run::Verdict;

pub(crate) fn run(args: &DecodeArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let bytes = input::read(&args.input)?;
    let user = args.user.as_deref().zip(args.realm.as_deref());
    let password = args.password.as_ref();
    let keys = password.map(|password| Keys::new(password, user));
    Ok(print(&bytes, keys.as_ref(), args.format, out)?)
}

fn print(
    bytes: &[u8],
    keys: Option<&Keys>,
    format: DecodeFormat,
    out: &mut impl Write,
) -> io::Result<Verdict> {
    let report = report(bytes, keys);
    match format {
        DecodeFormat::Text => text::print(&report, bytes, out)?,
        DecodeFormat::Json => {
            let json = serde_json::to_string_pretty(&report)?;
            writeln!(out, "{}", harmless(&json))?;
        }
    }
    Ok(report.verdict())
}

/// JSON without characters that a terminal obeys or hides: outside of strings there are none.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        let plain = char == '\n' || !char.is_control() && (char.is_ascii() || is_printable(char));
        if plain {
            text.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").expect("strings take all");
            }
        }
    }
    text
}

/// Whether Debug shows it as it is.
fn is_printable(char: char) -> bool {
    char.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use floe_stun::{Dissection, Message, Protocol};
    use proptest::prelude::*;

    use super::*;

    /// A header that is right, or nearly, and anything behind it.
    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        let attribute = (
            0..0x2b_u8,
            proptest::collection::vec(any::<u8>(), 0..24),
            any::<bool>(),
        );
        let attributes = proptest::collection::vec(attribute, 0..8);
        let head = (
            0..4_u8,
            any::<u8>(),
            prop_oneof![8 => Just(0), 1 => any::<u8>()],
        );
        (head, attributes, 0..4_usize).prop_map(|((first, second, more), attributes, cut)| {
            let mut body = Vec::new();
            for (kind, value, optional) in attributes {
                body.extend([u8::from(optional) << 7, kind, 0, value.len() as u8]);
                body.extend(&value);
                body.resize(body.len().next_multiple_of(4), 0);
            }
            let length = (body.len() as u16).wrapping_add(more.into());
            let mut bytes = vec![first, second];
            bytes.extend(length.to_be_bytes());
            bytes.extend(floe_stun::MAGIC_COOKIE.to_be_bytes());
            bytes.extend([7; 12]);
            bytes.extend(body);
            bytes.truncate(bytes.len() - if more == 0 { 0 } else { cut });
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// What the parser refuses is said to be malformed, with all that it breaks; nothing panics.
        #[test]
        fn what_the_parser_refuses_is_malformed(
            bytes in prop_oneof![any_bytes(), proptest::collection::vec(any::<u8>(), 1..80)],
        ) {
            let keys = Keys::new(&"p".into(), None);
            let mut shown = Vec::new();
            let verdict = print(&bytes, Some(&keys), DecodeFormat::Text, &mut shown).unwrap();
            let shown = String::from_utf8(shown).unwrap();
            if Protocol::of(&bytes) == Protocol::Stun {
                let faults = Dissection::of(&bytes).errors().count();
                prop_assert!(shown.matches("malformed   ").count() >= faults, "{}", shown);
                let refused = Message::parse(&bytes).is_err();
                prop_assert!(!refused || verdict == Verdict::Failed);
            }
            let mut json = Vec::new();
            let same = print(&bytes, Some(&keys), DecodeFormat::Json, &mut json).unwrap();
            prop_assert_eq!(same, verdict);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        }
    }

    #[test]
    fn json_commands_no_terminal_and_means_the_same() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}é😀\u{e0001}\n\"\\";
        let json = harmless(&serde_json::to_string(text).unwrap());
        assert!(
            json.chars()
                .all(|char| !char.is_control() && char != '\u{202e}'),
            "{json}"
        );
        assert!(json.contains("é😀"), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}

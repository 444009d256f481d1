//! `floe stun decode`: one message, readably.

use std::io::Write;

use super::args::{DecodeArgs, DecodeFormat};
use super::proof::Keys;
use super::report::report;
use super::{input, text};
use crate::error::Error;
use crate::run::Verdict;

pub(crate) fn run(args: &DecodeArgs, out: &mut impl Write) -> Result<Verdict, Error> {
    let bytes = input::read(&args.input)?;
    let user = args.user.as_deref().zip(args.realm.as_deref());
    let keys = args
        .password
        .as_ref()
        .map(|password| Keys::new(password, user));
    let report = report(&bytes, keys.as_ref());
    match args.format {
        DecodeFormat::Text => text::print(&report, &bytes, out)?,
        DecodeFormat::Json => {
            let json = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
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
                text += &format!("\\u{unit:04x}");
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
    use super::*;

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

//! Where the bytes of a message come from.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::hex;
use crate::error::Error;

/// What stands for standard input.
const STDIN: &str = "-";

/// Bytes that are read of a file at most: many times a message, also as a dump.
const MAX: u64 = 1 << 20;

/// The bytes that these arguments name. An existing file is read; all else is hex digits.
pub(super) fn read(arguments: &[OsString]) -> Result<Vec<u8>, Error> {
    let bytes = match arguments {
        [one] if one == STDIN => of_file("standard input", io::stdin().lock())?,
        [one] if is_file(Path::new(one)) => {
            let name = format!("{}", Path::new(one).display());
            let file = File::open(one).map_err(|error| unreadable(&name, &error))?;
            of_file(&name, file)?
        }
        _ => of_digits(arguments)?,
    };
    if bytes.is_empty() {
        return Err(Error::Argument("no bytes to decode".to_owned()));
    }
    Ok(bytes)
}

/// Whether it can be read, a pipe too.
fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_dir())
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    Error::Argument(format!("cannot read {name}: {error}"))
}

fn of_digits(arguments: &[OsString]) -> Result<Vec<u8>, Error> {
    // What is no text is no hex either, and the replacement character says where.
    let parts: Vec<_> = arguments
        .iter()
        .map(|part| part.to_string_lossy())
        .collect();
    let text = parts.join(" ");
    hex::parse(&text).map_err(|error| {
        let missing = match arguments {
            [_] => "there is no such file, and as hex digits it is wrong",
            _ => "wrong hex digits",
        };
        Error::Argument(format!("{missing}: {error}"))
    })
}

fn of_file(name: &str, file: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    file.take(MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(name, &error))?;
    if let Some(kind) = capture(&bytes) {
        return Err(Error::Argument(format!(
            "{name} is a capture ({kind}), not one message: take the payload of one packet, as with\n\
             tshark -r FILE -Y stun -T fields -e udp.payload | head -n 1 | floe stun decode -"
        )));
    }
    if bytes.len() as u64 > MAX {
        return Err(Error::Argument(format!(
            "{name} is longer than {MAX} bytes: not one message"
        )));
    }
    match text(&bytes) {
        Some(text) => hex::parse(text).map_err(|error| {
            Error::Argument(format!("{name} is text but not hex digits: {error}"))
        }),
        None => Ok(bytes),
    }
}

/// The kind of capture that begins like this.
fn capture(bytes: &[u8]) -> Option<&'static str> {
    match bytes.first_chunk()? {
        // Of either byte order, with times in microseconds, in nanoseconds, or with more fields.
        [0xA1, 0xB2, 0xC3, 0xD4]
        | [0xD4, 0xC3, 0xB2, 0xA1]
        | [0xA1, 0xB2, 0x3C, 0x4D]
        | [0x4D, 0x3C, 0xB2, 0xA1]
        | [0xA1, 0xB2, 0xCD, 0x34]
        | [0x34, 0xCD, 0xB2, 0xA1] => Some("pcap"),
        [0x0A, 0x0D, 0x0D, 0x0A] => Some("pcapng"),
        _ => None,
    }
}

/// The same as text, if it is: the first byte of a STUN message is none.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let odd = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    (!text.contains(odd)).then_some(text)
}

//! Hex digits, read as people and programs write them, and written.

use std::fmt;

use serde::Serialize;

/// Bytes as hex digits: a few in a row, without spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number of bytes in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} byte{plural}", self.0)
    }
}

/// Bytes as hex digits, with spaces.
pub(super) fn spaced(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// Bytes on a line of a dump.
const ROW: usize = 16;

/// The lines of a dump of `bytes`, of which the first stands at `offset`.
pub(super) fn dump(bytes: &[u8], offset: usize) -> impl Iterator<Item = String> {
    bytes.chunks(ROW).enumerate().map(move |(row, chunk)| {
        let printable = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        let text: String = chunk.iter().map(printable).collect();
        let (at, bytes) = (offset + row * ROW, spaced(chunk));
        format!("{at:5}  {bytes:width$}  {text}", width = 3 * ROW - 1)
    })
}

/// Why text is not hex digits, and where: line and column from 1, in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HexError {
    line: usize,
    column: usize,
    wrong: Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wrong {
    /// Neither a digit nor what may stand between them.
    Digit(char),
    /// Half a byte.
    Half,
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wrong {
            Wrong::Digit(char) => write!(f, "{char:?} is no hex digit")?,
            Wrong::Half => write!(f, "an odd number of hex digits")?,
        }
        write!(f, " (line {}, column {})", self.line, self.column)
    }
}

/// Reads hex digits: spaces, line ends, `:`, `,` and `-` may stand between bytes, `0x` or `\x` before
/// them, and what follows a `#` on its line is a comment. Lines that begin with their offset, as those
/// of a dump do, are read without it and without the text behind the bytes.
pub(super) fn parse(text: &str) -> Result<Vec<u8>, HexError> {
    if let Some(bytes) = parse_dump(text) {
        return Ok(bytes);
    }
    let mut bytes = Vec::new();
    for (line, text) in text.lines().enumerate() {
        digits(text, &mut bytes).map_err(|(column, wrong)| HexError {
            line: line + 1,
            column: column + 1,
            wrong,
        })?;
    }
    Ok(bytes)
}

/// Reads the digits of a line. The error has its column from 0.
fn digits(line: &str, bytes: &mut Vec<u8>) -> Result<(), (usize, Wrong)> {
    let mut chars = line.chars().enumerate().peekable();
    // Where the digits that stand together begin, and the first of a byte.
    let mut group = None;
    let mut high = None;
    while let Some((column, char)) = chars.next() {
        if let Some(digit) = char.to_digit(16) {
            let digit = digit as u8;
            let prefix =
                group.is_none() && digit == 0 && matches!(chars.peek(), Some((_, 'x' | 'X')));
            if prefix {
                chars.next();
                continue;
            }
            group.get_or_insert(column);
            match high.take() {
                Some(high) => bytes.push(high << 4 | digit),
                None => high = Some(digit),
            }
            continue;
        }
        if high.is_some() && !matches!(char, ' ' | '\t' | '\r' | ':' | ',' | '-' | '#' | '\\') {
            return Err((column, Wrong::Digit(char)));
        }
        if let (Some(start), Some(_)) = (group, high) {
            return Err((start, Wrong::Half));
        }
        group = None;
        match char {
            '#' => return Ok(()),
            '\\' if matches!(chars.peek(), Some((_, 'x'))) => {
                chars.next();
            }
            ' ' | '\t' | '\r' | ':' | ',' | '-' => {}
            _ => return Err((column, Wrong::Digit(char))),
        }
    }
    match (group, high) {
        (Some(start), Some(_)) => Err((start, Wrong::Half)),
        _ => Ok(()),
    }
}

/// Reads a dump: every line begins with its offset. `None` if it is none.
fn parse_dump(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    for line in lines.filter(|line| !line.starts_with('#')) {
        let line = line.trim_start();
        let end = line.find(|char: char| !char.is_ascii_hexdigit());
        let (offset, rest) = line.split_at(end.unwrap_or(line.len()));
        let offset = (4..=8)
            .contains(&offset.len())
            .then(|| usize::from_str_radix(offset, 16).ok())??;
        if offset != bytes.len() {
            return None;
        }
        // `xxd` has one blank between groups and two before the text; others end the bytes with a bar,
        // or at least three blanks.
        let data = if let Some(data) = rest.strip_prefix(':') {
            data.trim_start().split("  ").next()?
        } else if rest.is_empty() {
            // The last line of `hexdump -C` is the length.
            rest
        } else {
            let data = rest.strip_prefix("  ")?.trim_start();
            let data = data.split('|').next()?;
            data.split("   ").next()?
        };
        digits(data, &mut bytes).ok()?;
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_may_be_written_in_many_ways() {
        for text in [
            "0001ab",
            "00 01 AB",
            "00:01:ab",
            "0x0001AB",
            "0x00, 0x01, 0xab,",
            "\\x00\\x01\\xab",
            "  0001\n\r\n\tab\n",
            "# a comment, with zeros: 00\n0001 # another\nab#",
            "00-01-ab",
        ] {
            assert_eq!(parse(text), Ok(vec![0, 1, 0xab]), "{text}");
        }
        assert_eq!(parse("# nothing"), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, error) in [
            ("00 0g", "'g' is no hex digit (line 1, column 5)"),
            ("00\n  x1", "'x' is no hex digit (line 2, column 3)"),
            ("00 123 4", "an odd number of hex digits (line 1, column 4)"),
            ("00 0\n1", "an odd number of hex digits (line 1, column 4)"),
            ("é", "'é' is no hex digit (line 1, column 1)"),
            ("00\u{1b}", "'\\u{1b}' is no hex digit (line 1, column 3)"),
            ("00x1", "'x' is no hex digit (line 1, column 3)"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error, "{text}");
        }
    }

    #[test]
    fn dumps_are_read_without_their_offsets() {
        let bytes: Vec<u8> = (0x30..0x45).collect();
        for text in [
            // xxd
            "00000000: 3031 3233 3435 3637 3839 3a3b 3c3d 3e3f  0123456789:;<=>?\n\
             00000010: 4041 4243 44                             @ABCD\n",
            // hexdump -C
            "00000000  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|\n\
             00000010  40 41 42 43 44                                    |@ABCD|\n\
             00000015\n",
            // Wireshark
            "0000   30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f   0123456789:;<=>?\n\
             0010   40 41 42 43 44                                    @ABCD\n",
        ] {
            assert_eq!(parse(text).as_deref(), Ok(&bytes[..]), "{text}");
        }
    }

    #[test]
    fn groups_of_digits_are_no_offsets() {
        assert_eq!(
            parse("00010000 2112a442"),
            Ok(vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42])
        );
        assert_eq!(parse("0000 0001"), Ok(vec![0, 0, 0, 1]));
    }

    #[test]
    fn a_dump_shows_what_is_printable() {
        let lines: Vec<_> = dump(b"floe\x1b[2J and more than a row", 96).collect();
        assert_eq!(
            lines,
            [
                "   96  66 6c 6f 65 1b 5b 32 4a 20 61 6e 64 20 6d 6f 72  floe.[2J and mor",
                "  112  65 20 74 68 61 6e 20 61 20 72 6f 77              e than a row",
            ]
        );
    }
}

//! The words of the grammars of SDP, as `nom` parsers over bytes.
//!
//! Each is a plain function on purpose: what is read millions of times is read by one loop over one table.

use nom::combinator::all_consuming;
use nom::error::ErrorKind;
use nom::{IResult, Parser};

pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T>;
pub(crate) type Failure<'a> = nom::error::Error<&'a [u8]>;

/// A class of bytes: a bit of [`CLASSES`].
#[derive(Clone, Copy)]
pub(crate) struct Class(u16);

/// `token-char` (RFC 8866 §9).
pub(crate) const TOKEN: Class = Class(1);
/// `ice-char` (RFC 8839 §5.1).
pub(crate) const ICE: Class = Class(1 << 1);
/// `non-ws-string`.
pub(crate) const NON_WS: Class = Class(1 << 2);
/// Visible ASCII.
pub(crate) const VISIBLE: Class = Class(1 << 3);
/// `0` to `9`.
pub(crate) const DIGIT: Class = Class(1 << 4);
/// `tls-id-char` (RFC 8842 §4).
pub(crate) const TLS_ID: Class = Class(1 << 5);
/// `uri-reference` (RFC 3986).
pub(crate) const URI: Class = Class(1 << 6);
/// What names a RID or an RID restriction (RFC 8851 §10).
pub(crate) const RID: Class = Class(1 << 7);
/// Hexadecimal digits.
pub(crate) const HEX: Class = Class(1 << 8);
/// What a free text in a structured line may hold: no parentheses or angle brackets.
pub(crate) const SAFE: Class = Class(1 << 9);
/// `base64-char` and `=` (RFC 8866 §9).
pub(crate) const BASE64: Class = Class(1 << 10);
/// Letters and digits.
pub(crate) const ALPHANUMERIC: Class = Class(1 << 11);
/// Printable ASCII and blank but `;`: the value of an RID restriction (RFC 8851 §10).
pub(crate) const RID_VALUE: Class = Class(1 << 12);

static CLASSES: [u16; 256] = classes();

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

const fn classes() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        let alphanumeric = byte.is_ascii_alphanumeric();
        let members = [
            (TOKEN, alphanumeric || contains(b"!#$%&'*+-.^_`{|}~", byte)),
            (ICE, alphanumeric || contains(b"+/", byte)),
            (NON_WS, byte.is_ascii_graphic() || byte >= 0x80),
            (VISIBLE, byte.is_ascii_graphic()),
            (DIGIT, byte.is_ascii_digit()),
            (TLS_ID, alphanumeric || contains(b"+/-_", byte)),
            (
                URI,
                alphanumeric || contains(b"-._~:/?#[]@!$&'()*+,;=%", byte),
            ),
            (RID, alphanumeric || contains(b"-_", byte)),
            (HEX, byte.is_ascii_hexdigit()),
            (SAFE, !contains(b"\0\r\n()<>", byte)),
            (BASE64, alphanumeric || contains(b"+/=", byte)),
            (ALPHANUMERIC, alphanumeric),
            (
                RID_VALUE,
                byte == b' ' || (byte.is_ascii_graphic() && byte != b';'),
            ),
        ];
        let mut member = 0;
        while member < members.len() {
            if members[member].1 {
                table[index] |= members[member].0.0;
            }
            member += 1;
        }
        index += 1;
    }
    table
}

impl Class {
    pub(crate) fn has(self, byte: u8) -> bool {
        CLASSES[usize::from(byte)] & self.0 != 0
    }

    /// Whether `text` is made of at least one byte of this class and of no other.
    pub(crate) fn is(self, text: &[u8]) -> bool {
        !text.is_empty() && text.iter().all(|&byte| self.has(byte))
    }

    /// How many bytes from the start are of this class.
    pub(crate) fn run(self, text: &[u8]) -> usize {
        let end = text.iter().position(|&byte| !self.has(byte));
        end.unwrap_or(text.len())
    }
}

/// Nothing can be read here.
pub(crate) fn fail<T>(at: &[u8]) -> Parsed<'_, T> {
    Err(nom::Err::Error(Failure {
        input: at,
        code: ErrorKind::Verify,
    }))
}

/// Between `min` and `max` bytes of a class, as many as there are.
pub(crate) fn run_of<'a>(
    class: Class,
    min: usize,
    max: usize,
) -> impl Fn(&'a [u8]) -> Parsed<'a, &'a [u8]> {
    move |input| {
        let len = class.run(input);
        let (head, rest) = input.split_at(len);
        if len < min {
            return fail(rest);
        }
        if len > max {
            return fail(input.get(max..).unwrap_or_default());
        }
        Ok((rest, head))
    }
}

/// [`run_of`] as text; every class that is asked for text is ASCII.
pub(crate) fn text_of<'a>(
    class: Class,
    min: usize,
    max: usize,
) -> impl Fn(&'a [u8]) -> Parsed<'a, &'a str> {
    move |input| {
        let (rest, head) = run_of(class, min, max)(input)?;
        match core::str::from_utf8(head) {
            Ok(text) => Ok((rest, text)),
            Err(_) => fail(input),
        }
    }
}

pub(crate) fn token(input: &[u8]) -> Parsed<'_, &str> {
    text_of(TOKEN, 1, usize::MAX)(input)
}

/// Visible ASCII.
pub(crate) fn visible(input: &[u8]) -> Parsed<'_, &str> {
    text_of(VISIBLE, 1, usize::MAX)(input)
}

pub(crate) fn nonws(input: &[u8]) -> Parsed<'_, &[u8]> {
    run_of(NON_WS, 1, usize::MAX)(input)
}

/// Digits of any number, kept as text: the grammar sets no bound.
pub(crate) fn digits(input: &[u8]) -> Parsed<'_, &str> {
    text_of(DIGIT, 1, usize::MAX)(input)
}

/// What is left, at least a byte.
pub(crate) fn remainder(input: &[u8]) -> Parsed<'_, &[u8]> {
    if input.is_empty() {
        return fail(input);
    }
    Ok((&[], input))
}

/// One byte.
pub(crate) fn byte<'a>(expected: u8) -> impl Fn(&'a [u8]) -> Parsed<'a, ()> {
    move |input| match input.split_first() {
        Some((&first, rest)) if first == expected => Ok((rest, ())),
        _ => fail(input),
    }
}

pub(crate) fn space(input: &[u8]) -> Parsed<'_, ()> {
    byte(b' ')(input)
}

/// One or more blanks or tabs.
pub(crate) fn blanks(input: &[u8]) -> Parsed<'_, ()> {
    let len = input.iter().position(|byte| !b" \t".contains(byte));
    match len.unwrap_or(input.len()) {
        0 => fail(input),
        len => Ok((input.get(len..).unwrap_or_default(), ())),
    }
}

/// A text that is read without regard to case; the error is where it differs.
pub(crate) fn keyword<'a>(word: &'static [u8]) -> impl Fn(&'a [u8]) -> Parsed<'a, ()> {
    move |input| match input.split_at_checked(word.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(word) => Ok((rest, ())),
        _ => {
            let mut pairs = input.iter().zip(word);
            let differs = pairs.position(|(byte, known)| !byte.eq_ignore_ascii_case(known));
            let same = differs.unwrap_or(input.len().min(word.len()));
            fail(input.get(same..).unwrap_or_default())
        }
    }
}

/// A decimal number in `min..=max`; leading zeros are allowed.
pub(crate) fn number<'a>(min: u64, max: u64) -> impl Fn(&'a [u8]) -> Parsed<'a, u64> {
    move |input| {
        let mut value = 0u64;
        let mut len = 0;
        for &byte in input {
            if !byte.is_ascii_digit() {
                break;
            }
            let next = value.checked_mul(10);
            let next = next.and_then(|tens| tens.checked_add(u64::from(byte - b'0')));
            match next {
                Some(next) => value = next,
                None => return fail(input),
            }
            len += 1;
        }
        if len == 0 || value < min || value > max {
            return fail(input);
        }
        Ok((input.get(len..).unwrap_or_default(), value))
    }
}

/// A number without leading zeros (the `integer` and `zero-based-integer` of the grammar).
pub(crate) fn plain_number<'a>(min: u64, max: u64) -> impl Fn(&'a [u8]) -> Parsed<'a, u64> {
    move |input| match input {
        [b'0', second, ..] if second.is_ascii_digit() => fail(input),
        _ => number(min, max)(input),
    }
}

/// A number that fits 32 bits.
pub(crate) fn number32<'a>(min: u32, max: u32) -> impl Fn(&'a [u8]) -> Parsed<'a, u32> {
    move |input| {
        let (rest, value) = number(min.into(), max.into())(input)?;
        Ok((rest, value as u32))
    }
}

/// A number that fits 16 bits.
pub(crate) fn number16<'a>(min: u16, max: u16) -> impl Fn(&'a [u8]) -> Parsed<'a, u16> {
    move |input| {
        let (rest, value) = number(min.into(), max.into())(input)?;
        Ok((rest, value as u16))
    }
}

/// A number, with no doubt about the width.
pub(crate) fn port(input: &[u8]) -> Parsed<'_, u16> {
    number16(0, u16::MAX)(input)
}

/// One or more of `item` with `separator` between them; the text of all of them.
pub(crate) fn list<'a, T>(
    separator: u8,
    item: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> impl Fn(&'a [u8]) -> Parsed<'a, &'a [u8]> {
    move |input| {
        let (mut rest, _) = item(input)?;
        while let Ok((after, ())) = byte(separator)(rest) {
            rest = item(after)?.0;
        }
        let len = input.len() - rest.len();
        Ok((rest, input.get(..len).unwrap_or_default()))
    }
}

/// [`list`] as text, for items that are ASCII.
pub(crate) fn text_list<'a, T>(
    separator: u8,
    item: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> impl Fn(&'a [u8]) -> Parsed<'a, &'a str> {
    let list = list(separator, item);
    move |input| {
        let (rest, text) = list(input)?;
        match core::str::from_utf8(text) {
            Ok(text) => Ok((rest, text)),
            Err(_) => fail(input),
        }
    }
}

/// What `item` reads, if it begins with `separator`.
pub(crate) fn after<'a, T>(
    separator: u8,
    item: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> impl Fn(&'a [u8]) -> Parsed<'a, Option<T>> {
    move |input| match byte(separator)(input) {
        Ok((rest, ())) => item(rest).map(|(rest, found)| (rest, Some(found))),
        Err(_) => Ok((input, None)),
    }
}

/// Runs a parser over a whole value; the error is the position where it stopped.
pub(crate) fn whole<'a, T>(
    value: &'a [u8],
    parser: impl Parser<&'a [u8], Output = T, Error = Failure<'a>>,
) -> Result<T, usize> {
    match all_consuming(parser).parse(value) {
        Ok((_, parsed)) => Ok(parsed),
        Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) => {
            Err(value.len() - failure.input.len())
        }
        Err(nom::Err::Incomplete(_)) => Err(value.len()),
    }
}

/// Appends a decimal number.
pub(crate) fn put_number(out: &mut alloc::vec::Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends texts.
pub(crate) fn put(out: &mut alloc::vec::Vec<u8>, texts: &[&[u8]]) {
    for text in texts {
        out.extend_from_slice(text);
    }
}

/// Appends an address.
pub(crate) fn put_ip(out: &mut alloc::vec::Vec<u8>, ip: core::net::IpAddr) {
    match ip {
        core::net::IpAddr::V4(ip) => {
            let mut separator: &[u8] = b"";
            for octet in ip.octets() {
                out.extend_from_slice(separator);
                put_number(out, octet.into());
                separator = b".";
            }
        }
        core::net::IpAddr::V6(ip) => {
            // Canonical spelling is the standard library's business (RFC 5952).
            struct Out<'a>(&'a mut alloc::vec::Vec<u8>);
            impl core::fmt::Write for Out<'_> {
                fn write_str(&mut self, text: &str) -> core::fmt::Result {
                    self.0.extend_from_slice(text.as_bytes());
                    Ok(())
                }
            }
            // A Vec takes everything.
            let _ = core::fmt::Write::write_fmt(&mut Out(out), format_args!("{ip}"));
        }
    }
}

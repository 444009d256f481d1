//! The words of the grammar of RFC 8866 §9 and RFC 8839 §5, as `nom` parsers over bytes.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n, take_while1};
use nom::character::complete::digit1;
use nom::combinator::{all_consuming, map_opt, opt, recognize, verify};
use nom::multi::many0_count;
use nom::sequence::preceded;
use nom::{IResult, Parser};

pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T>;
pub(crate) type Failure<'a> = nom::error::Error<&'a [u8]>;

pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte)
}

pub(crate) fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

pub(crate) fn is_nonws(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte >= 0x80
}

/// ASCII bytes as text; `None` cannot happen for input that a parser of this file has accepted.
fn ascii(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()
}

pub(crate) fn text_of<'a>(
    parser: impl Parser<&'a [u8], Output = &'a [u8], Error = Failure<'a>>,
) -> impl Parser<&'a [u8], Output = &'a str, Error = Failure<'a>> {
    map_opt(parser, ascii)
}

pub(crate) fn space(input: &[u8]) -> Parsed<'_, ()> {
    tag(" ".as_bytes()).map(|_| ()).parse(input)
}

pub(crate) fn token(input: &[u8]) -> Parsed<'_, &str> {
    text_of(take_while1(is_token)).parse(input)
}

pub(crate) fn nonws(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while1(is_nonws).parse(input)
}

/// Visible ASCII.
pub(crate) fn visible(input: &[u8]) -> Parsed<'_, &str> {
    text_of(take_while1(|byte: u8| byte.is_ascii_graphic())).parse(input)
}

pub(crate) fn ice_chars<'a>(
    min: usize,
    max: usize,
) -> impl Parser<&'a [u8], Output = &'a str, Error = Failure<'a>> {
    text_of(take_while_m_n(min, max, is_ice_char))
}

/// Digits of any number, kept as text: the grammar sets no bound.
pub(crate) fn digits(input: &[u8]) -> Parsed<'_, &str> {
    text_of(digit1).parse(input)
}

/// A decimal number in `min..=max`; leading zeros are allowed.
pub(crate) fn number<'a>(
    min: u64,
    max: u64,
) -> impl Parser<&'a [u8], Output = u64, Error = Failure<'a>> {
    map_opt(digit1, move |text: &[u8]| {
        let value = text.iter().try_fold(0u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })?;
        (min..=max).contains(&value).then_some(value)
    })
}

/// A number without leading zeros (the `integer` and `zero-based-integer` of the grammar).
pub(crate) fn plain_number<'a>(
    min: u64,
    max: u64,
) -> impl Parser<&'a [u8], Output = u64, Error = Failure<'a>> {
    map_opt(digit1, move |text: &[u8]| {
        if text.len() > 1 && text.first() == Some(&b'0') {
            return None;
        }
        all_consuming(number(min, max))
            .parse(text)
            .ok()
            .map(|(_, value)| value)
    })
}

/// `0`, or a second of the era since 1900 with at least ten digits (§5.9).
pub(crate) fn instant(input: &[u8]) -> Parsed<'_, &str> {
    verify(digits, |text: &str| {
        text == "0" || (text.len() >= 10 && !text.starts_with('0'))
    })
    .parse(input)
}

/// `typed-time`: digits and an optional unit; the value in seconds if it fits.
pub(crate) fn typed_time(input: &[u8]) -> Parsed<'_, u64> {
    let unit = opt(alt((
        tag("d".as_bytes()).map(|_| 86_400),
        tag("h".as_bytes()).map(|_| 3_600),
        tag("m".as_bytes()).map(|_| 60),
        tag("s".as_bytes()).map(|_| 1),
    )));
    map_opt((number(0, u64::MAX), unit), |(count, unit)| {
        count.checked_mul(unit.unwrap_or(1))
    })
    .parse(input)
}

/// One or more of `item`, with one space before each but the first; the text of all of them.
pub(crate) fn list<'a, T>(
    item: impl Fn(&'a [u8]) -> Parsed<'a, T> + Copy,
) -> impl Parser<&'a [u8], Output = &'a [u8], Error = Failure<'a>> {
    recognize((item, many0_count(preceded(space, item))))
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

/// A number, with no doubt about the width.
pub(crate) fn port(input: &[u8]) -> Parsed<'_, u16> {
    map_opt(number(0, 65_535), |value| u16::try_from(value).ok()).parse(input)
}

/// A number that fits 32 bits.
pub(crate) fn number32<'a>(
    min: u32,
    max: u32,
) -> impl Parser<&'a [u8], Output = u32, Error = Failure<'a>> {
    map_opt(number(min.into(), max.into()), |value| {
        u32::try_from(value).ok()
    })
}

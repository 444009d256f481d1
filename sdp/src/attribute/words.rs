//! What the values of several attributes are made of.

use alloc::vec::Vec;
use core::fmt;

use crate::grammar::{self, Parsed, fail};

/// A password or key that `Debug` does not show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password<'a>(pub(crate) &'a str);

impl<'a> Password<'a> {
    /// A password to be written.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The password itself.
    pub fn reveal(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Password<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Words with a space between them; order and repetitions as in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words<'a>(pub(crate) &'a str);

impl<'a> Words<'a> {
    /// Words to be written: `text` has one space between them.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The words in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }

    /// The words as they stand in the text.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// One or more tokens.
pub(crate) fn tokens(input: &[u8]) -> Parsed<'_, Words<'_>> {
    let (rest, text) = grammar::text_list(b' ', grammar::token)(input)?;
    Ok((rest, Words(text)))
}

/// A number above zero, whole or with decimals: `20`, `29.97` (RFC 8866 §9, `integer` and
/// `non-zero-int-or-real`).
///
/// The text is kept, so that it is written as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal<'a>(&'a str);

impl<'a> Decimal<'a> {
    /// A number from its text; `None` if the grammar does not allow it.
    ///
    /// ```
    /// use floe_sdp::attribute::Decimal;
    ///
    /// assert_eq!(Decimal::new("29.97").unwrap().value(), 29.97);
    /// assert_eq!(Decimal::new("0"), None);
    /// assert_eq!(Decimal::new("1.50"), None);
    /// ```
    pub fn new(text: &'a str) -> Option<Self> {
        grammar::whole(text.as_bytes(), Self::read).ok()
    }

    /// The text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The number; more digits than an `f64` holds are rounded.
    pub fn value(self) -> f64 {
        self.0.parse().unwrap_or(f64::INFINITY)
    }

    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Decimal<'_>> {
        let (rest, whole) = grammar::digits(input)?;
        let (rest, fraction) = grammar::after(b'.', grammar::digits)(rest)?;
        let good = match fraction {
            None => !whole.starts_with('0'),
            Some(fraction) => (whole == "0" || !whole.starts_with('0')) && !fraction.ends_with('0'),
        };
        if !good {
            return fail(input);
        }
        let len = input.len() - rest.len();
        match core::str::from_utf8(input.get(..len).unwrap_or_default()) {
            Ok(text) => Ok((rest, Decimal(text))),
            Err(_) => fail(input),
        }
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

//! What RTSP adds to descriptions.

use alloc::vec::Vec;

use crate::grammar::{self, Parsed, fail, put};

/// `range`: the times a recording covers (RFC 2326 §C.1.5).
///
/// ```
/// use floe_sdp::attribute::AttributeValue;
///
/// let AttributeValue::Range(range) = AttributeValue::read("range", Some(b"npt=0-7.712"))? else { panic!() };
/// assert_eq!((range.unit, range.from, range.to), ("npt", Some("0"), Some("7.712")));
/// # Ok::<(), usize>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<'a> {
    /// `npt`, `clock`, `smpte` or one of its kin.
    pub unit: &'a str,
    /// Start in that unit; none: from the beginning. `now` is a start, too.
    pub from: Option<&'a str>,
    /// End in that unit; none: open.
    pub to: Option<&'a str>,
}

impl Range<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Range<'_>> {
        let (rest, unit) = grammar::token(input)?;
        let (rest, ()) = grammar::byte(b'=')(rest)?;
        let time = |input| {
            let time_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b":.".contains(byte);
            let len = <[u8]>::iter(input).position(|byte| !time_byte(byte));
            let (head, rest) = input.split_at(len.unwrap_or(input.len()));
            match core::str::from_utf8(head) {
                Ok("") => Ok((rest, None)),
                Ok(text) => Ok((rest, Some(text))),
                Err(_) => fail(input),
            }
        };
        let (rest, from) = time(rest)?;
        let (rest, ()) = grammar::byte(b'-')(rest)?;
        let (rest, to) = time(rest)?;
        if from.is_none() && to.is_none() {
            return fail(rest);
        }
        Ok((rest, Range { unit, from, to }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(
            out,
            &[
                self.unit.as_bytes(),
                b"=",
                self.from.unwrap_or_default().as_bytes(),
                b"-",
                self.to.unwrap_or_default().as_bytes(),
            ],
        );
    }
}

//! Image sizes that a side sends or receives.

use alloc::vec::Vec;

use super::simulcast::StreamDirection;
use crate::grammar::{self, Parsed, fail, put};

/// `imageattr`: the image sizes of a format (RFC 6236 §3.1).
///
/// ```
/// use floe_sdp::attribute::{AttributeValue, ImageRange};
///
/// let value = AttributeValue::read("imageattr", Some(b"97 send [x=[480:16:800],y=320,q=0.6] recv *"))?;
/// let AttributeValue::ImageAttr(image) = value else { panic!() };
/// let size = image.send.unwrap().sizes().next().unwrap();
/// assert!(size.x.contains(496) && !size.x.contains(497) && size.y == ImageRange::One(320));
/// assert!(image.receive.unwrap().is_any());
/// # Ok::<(), usize>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageAttr<'a> {
    /// A payload type, or `*` for all.
    pub format: &'a str,
    /// What this side sends.
    pub send: Option<ImageSizes<'a>>,
    /// What it receives. One of the two is there.
    pub receive: Option<ImageSizes<'a>>,
}

/// `*`, or sets of sizes in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSizes<'a>(&'a str);

/// One set of sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageSize<'a> {
    /// Widths in pixels.
    pub x: ImageRange<'a>,
    /// Heights in pixels.
    pub y: ImageRange<'a>,
    /// `sar=…`, `par=…` and `q=…` with commas between them, as they stand.
    pub preferences: &'a str,
}

/// Widths or heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageRange<'a> {
    /// One.
    One(u32),
    /// From, step, to.
    Steps(u32, u32, u32),
    /// Numbers with commas between them.
    OneOf(&'a str),
}

impl ImageRange<'_> {
    /// Whether the number is one of them.
    pub fn contains(self, number: u32) -> bool {
        match self {
            Self::One(one) => one == number,
            Self::Steps(from, step, to) => {
                (from..=to).contains(&number) && (number - from) % step.max(1) == 0
            }
            Self::OneOf(list) => list.split(',').any(|item| item.parse() == Ok(number)),
        }
    }
}

impl<'a> ImageSizes<'a> {
    /// Sizes to be written: `*` or sets in brackets with a space between them.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Whether it says nothing but that any size will do.
    pub fn is_any(self) -> bool {
        self.0 == "*"
    }

    /// The sets in order; none for [`ImageSizes::is_any`].
    pub fn sizes(self) -> impl Iterator<Item = ImageSize<'a>> + use<'a> {
        let mut rest = self.0.as_bytes();
        core::iter::from_fn(move || {
            let (after, size) = size(rest).ok()?;
            rest = grammar::blanks(after).map_or(after, |(rest, ())| rest);
            Some(size)
        })
    }
}

/// `onetonine *5DIGIT`.
fn pixels(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, value) = grammar::plain_number(1, 999_999)(input)?;
    Ok((rest, value as u32))
}

fn range(input: &[u8]) -> Parsed<'_, ImageRange<'_>> {
    let Ok((inside, ())) = grammar::byte(b'[')(input) else {
        return pixels(input).map(|(rest, one)| (rest, ImageRange::One(one)));
    };
    let (rest, first) = pixels(inside)?;
    if let Ok((rest, ())) = grammar::byte(b':')(rest) {
        let (rest, second) = pixels(rest)?;
        let (rest, third) = grammar::after(b':', pixels)(rest)?;
        let (rest, ()) = grammar::byte(b']')(rest)?;
        let steps = match third {
            Some(to) => ImageRange::Steps(first, second, to),
            None => ImageRange::Steps(first, 1, second),
        };
        return Ok((rest, steps));
    }
    let (rest, list) = grammar::text_list(b',', pixels)(inside)?;
    if !list.contains(',') {
        return fail(rest);
    }
    let (rest, ()) = grammar::byte(b']')(rest)?;
    Ok((rest, ImageRange::OneOf(list)))
}

fn decimal(input: &[u8]) -> Parsed<'_, ()> {
    let (rest, _) = grammar::digits(input)?;
    let (rest, _) = grammar::after(b'.', grammar::digits)(rest)?;
    Ok((rest, ()))
}

/// `sar=`, `par=` or `q=`: a number, or in brackets a range or a list of them.
fn preference(input: &[u8]) -> Parsed<'_, ()> {
    let name = [b"sar=".as_slice(), b"par=", b"q="];
    let Some(value) = name.iter().find_map(|name| input.strip_prefix(*name)) else {
        return fail(input);
    };
    let Ok((inside, ())) = grammar::byte(b'[')(value) else {
        return decimal(value);
    };
    let (rest, ()) = decimal(inside)?;
    let rest = match grammar::byte(b'-')(rest) {
        Ok((rest, ())) => decimal(rest)?.0,
        Err(_) => grammar::list(b',', decimal)(inside)?.0,
    };
    grammar::byte(b']')(rest)
}

fn size(input: &[u8]) -> Parsed<'_, ImageSize<'_>> {
    let tagged = |tag: &'static [u8]| {
        move |input| {
            let (rest, ()) = grammar::keyword(tag)(input)?;
            range(rest)
        }
    };
    let (rest, x) = tagged(b"[x=")(input)?;
    let (rest, y) = tagged(b",y=")(rest)?;
    let preferences = grammar::text_list(b',', preference);
    let (rest, preferences) = grammar::after(b',', preferences)(rest)?;
    let (rest, ()) = grammar::byte(b']')(rest)?;
    let size = ImageSize {
        x,
        y,
        preferences: preferences.unwrap_or_default(),
    };
    Ok((rest, size))
}

fn sizes(input: &[u8]) -> Parsed<'_, ImageSizes<'_>> {
    if let Ok((rest, ())) = grammar::byte(b'*')(input) {
        return Ok((rest, ImageSizes("*")));
    }
    let (mut rest, _) = size(input)?;
    while let Ok((after, ())) = grammar::blanks(rest) {
        match after.first() {
            Some(b'[') => rest = size(after)?.0,
            _ => break,
        }
    }
    let text = input.get(..input.len() - rest.len()).unwrap_or_default();
    match core::str::from_utf8(text) {
        Ok(text) => Ok((rest, ImageSizes(text))),
        Err(_) => fail(input),
    }
}

impl ImageAttr<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, ImageAttr<'_>> {
        let (mut rest, format) = match grammar::byte(b'*')(input) {
            Ok((rest, ())) => (rest, "*"),
            Err(_) => grammar::digits(input)?,
        };
        let mut image = ImageAttr {
            format,
            send: None,
            receive: None,
        };
        while !rest.is_empty() {
            let (after, ()) = grammar::blanks(rest)?;
            let (inside, direction) = StreamDirection::read(after)?;
            let (inside, ()) = grammar::blanks(inside)?;
            let (end, found) = sizes(inside)?;
            let slot = match direction {
                StreamDirection::Send => &mut image.send,
                StreamDirection::Receive => &mut image.receive,
            };
            if slot.replace(found).is_some() {
                return fail(after);
            }
            rest = end;
        }
        if image.send.is_none() && image.receive.is_none() {
            return fail(rest);
        }
        Ok((rest, image))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.format.as_bytes());
        for (name, sizes) in [(b" send ", self.send), (b" recv ", self.receive)] {
            if let Some(sizes) = sizes {
                put(out, &[name, sizes.0.as_bytes()]);
            }
        }
    }
}

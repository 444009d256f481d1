//! Restricted streams and simulcast.

use alloc::vec::Vec;

use crate::grammar::{self, Class, Parsed, fail, put};

/// Which way a stream of a `rid` or `simulcast` goes, seen by the side that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamDirection {
    /// `send`.
    Send,
    /// `recv`.
    Receive,
}

impl StreamDirection {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "recv",
        }
    }

    pub(super) fn read(input: &[u8]) -> Parsed<'_, Self> {
        match input.split_at_checked(4) {
            Some((b"send", rest)) => Ok((rest, Self::Send)),
            Some((b"recv", rest)) => Ok((rest, Self::Receive)),
            _ => fail(input),
        }
    }
}

/// `rid`: an encoding and what restricts it (RFC 8851 §10).
///
/// ```
/// use floe_sdp::attribute::{AttributeValue, Rid};
///
/// let value = AttributeValue::read("rid", Some(b"hi send pt=96,97;max-width=1280;max-fps=30"))?;
/// let AttributeValue::Rid(rid) = value else { panic!() };
/// assert_eq!(rid.formats().collect::<Vec<_>>(), ["96", "97"]);
/// assert_eq!(rid.restrictions().nth(1), Some(("max-fps", Some("30"))));
/// # Ok::<(), usize>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rid<'a> {
    /// Letters, digits, `-` and `_`.
    pub id: &'a str,
    /// Which way the stream goes.
    pub direction: StreamDirection,
    formats: &'a str,
    restrictions: &'a str,
}

impl<'a> Rid<'a> {
    /// A stream to be written, without formats and restrictions.
    pub fn new(id: &'a str, direction: StreamDirection) -> Self {
        Self {
            id,
            direction,
            formats: "",
            restrictions: "",
        }
    }

    /// The same, for these formats only: payload types with `,` between them.
    #[must_use]
    pub fn with_formats(self, formats: &'a str) -> Self {
        Self { formats, ..self }
    }

    /// The same with restrictions: `name=value` with `;` between them.
    #[must_use]
    pub fn with_restrictions(self, restrictions: &'a str) -> Self {
        Self {
            restrictions,
            ..self
        }
    }

    /// The formats it may use; none: all.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        words(self.formats, ',')
    }

    /// The restrictions, in order, with their values.
    pub fn restrictions(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        words(self.restrictions, ';').map(|part| match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        })
    }

    pub(crate) fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, id) = grammar::text_of(grammar::RID, 1, usize::MAX)(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, direction) = StreamDirection::read(rest)?;
        let mut rid = Self::new(id, direction);
        let Ok((mut rest, ())) = grammar::space(rest) else {
            return Ok((rest, rid));
        };
        if let Some(formats) = rest.strip_prefix(b"pt=") {
            (rest, rid.formats) = grammar::text_list(b',', grammar::token)(formats)?;
            match grammar::byte(b';')(rest) {
                Ok((more, ())) => rest = more,
                Err(_) => return Ok((rest, rid)),
            }
        }
        (rest, rid.restrictions) = grammar::text_list(b';', restriction)(rest)?;
        Ok((rest, rid))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(
            out,
            &[self.id.as_bytes(), b" ", self.direction.name().as_bytes()],
        );
        if !self.formats.is_empty() {
            put(out, &[b" pt=", self.formats.as_bytes()]);
        }
        if !self.restrictions.is_empty() {
            let before: &[u8] = if self.formats.is_empty() { b" " } else { b";" };
            put(out, &[before, self.restrictions.as_bytes()]);
        }
    }
}

fn words(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).filter(|word| !word.is_empty())
}

/// One `rid-param`; those that RFC 8851 §5 defines have numbers.
fn restriction(input: &[u8]) -> Parsed<'_, ()> {
    let name_byte = |byte: &u8| !(byte.is_ascii_alphanumeric() || *byte == b'-');
    let len = input.iter().position(name_byte).unwrap_or(input.len());
    let (name, rest) = input.split_at(len);
    if name.is_empty() {
        return fail(input);
    }
    let Ok((value, ())) = grammar::byte(b'=')(rest) else {
        return if name == b"depend" {
            fail(rest)
        } else {
            Ok((rest, ()))
        };
    };
    match name {
        b"max-width" | b"max-height" | b"max-fps" | b"max-fs" | b"max-br" | b"max-pps" => {
            grammar::digits(value).map(|(rest, _)| (rest, ()))
        }
        b"max-bpp" => {
            let (rest, _) = grammar::digits(value)?;
            let (rest, ()) = grammar::byte(b'.')(rest)?;
            grammar::digits(rest).map(|(rest, _)| (rest, ()))
        }
        b"depend" => {
            let id = grammar::text_of(grammar::RID, 1, usize::MAX);
            grammar::list(b',', id)(value).map(|(rest, _)| (rest, ()))
        }
        b"pt" => fail(input),
        _ => {
            let class: Class = grammar::RID_VALUE;
            Ok((value.get(class.run(value)..).unwrap_or_default(), ()))
        }
    }
}

/// `simulcast`: the encodings sent or received at once (RFC 8853 §5.1).
///
/// ```
/// use floe_sdp::attribute::AttributeValue;
///
/// let value = AttributeValue::read("simulcast", Some(b"send 1,~4;2 recv 5"))?;
/// let AttributeValue::Simulcast(simulcast) = value else { panic!() };
/// let first: Vec<_> = simulcast.send.unwrap().iter().next().unwrap().collect();
/// assert_eq!((first[1].rid, first[1].paused), ("4", true));
/// # Ok::<(), usize>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulcast<'a> {
    /// What this side sends.
    pub send: Option<SimulcastStreams<'a>>,
    /// What it receives. One of the two is there.
    pub receive: Option<SimulcastStreams<'a>>,
}

/// Streams of a [`Simulcast`] in one direction, each of one or more alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulcastStreams<'a>(&'a str);

/// One alternative of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulcastFormat<'a> {
    /// The `rid` that says what it is.
    pub rid: &'a str,
    /// Whether it is paused at first (`~`).
    pub paused: bool,
}

impl<'a> SimulcastStreams<'a> {
    /// Streams to be written, as the attribute has them: `1,~4;2`.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The streams in order, each with its alternatives in order of preference.
    pub fn iter(
        self,
    ) -> impl Iterator<Item = impl Iterator<Item = SimulcastFormat<'a>> + use<'a>> + use<'a> {
        self.0.split(';').map(|stream| {
            stream.split(',').map(|id| match id.strip_prefix('~') {
                Some(rid) => SimulcastFormat { rid, paused: true },
                None => SimulcastFormat {
                    rid: id,
                    paused: false,
                },
            })
        })
    }
}

impl Simulcast<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Simulcast<'_>> {
        let one = |input| {
            let (rest, direction) = StreamDirection::read(input)?;
            let (rest, ()) = grammar::space(rest)?;
            let format = |input| {
                let rest = input_after_tilde(input);
                grammar::text_of(grammar::RID, 1, usize::MAX)(rest)
            };
            let stream = grammar::list(b',', format);
            let (rest, streams) = grammar::text_list(b';', stream)(rest)?;
            Ok((rest, (direction, SimulcastStreams(streams))))
        };
        let (rest, (first, streams)) = one(input)?;
        let mut simulcast = Simulcast {
            send: None,
            receive: None,
        };
        simulcast.set(first, streams);
        let (after, second) = grammar::after(b' ', one)(rest)?;
        match second {
            Some((direction, _)) if direction == first => {
                return fail(rest.get(1..).unwrap_or_default());
            }
            Some((direction, streams)) => simulcast.set(direction, streams),
            None => {}
        }
        Ok((after, simulcast))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut separator: &[u8] = b"";
        for (name, streams) in [(b"send ", self.send), (b"recv ", self.receive)] {
            if let Some(streams) = streams {
                put(out, &[separator, name, streams.0.as_bytes()]);
                separator = b" ";
            }
        }
    }
}

impl<'a> Simulcast<'a> {
    fn set(&mut self, direction: StreamDirection, streams: SimulcastStreams<'a>) {
        match direction {
            StreamDirection::Send => self.send = Some(streams),
            StreamDirection::Receive => self.receive = Some(streams),
        }
    }
}

fn input_after_tilde(input: &[u8]) -> &[u8] {
    input.strip_prefix(b"~").unwrap_or(input)
}

//! Media sources: streams and synchronisation sources.

use alloc::vec::Vec;

use crate::grammar::{self, Parsed, put, put_number};

/// `msid`: the media stream and track of a section (RFC 8830 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msid<'a> {
    /// The stream, `-` for none; 1 to 64 token characters.
    pub stream: &'a str,
    /// The track; 1 to 64 token characters.
    pub track: Option<&'a str>,
}

impl Msid<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Msid<'_>> {
        let id = grammar::text_of(grammar::TOKEN, 1, 64);
        let (rest, stream) = id(input)?;
        let (rest, track) = grammar::after(b' ', id)(rest)?;
        Ok((rest, Msid { stream, track }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.stream.as_bytes());
        if let Some(track) = self.track {
            put(out, &[b" ", track.as_bytes()]);
        }
    }
}

/// `ssrc`: an attribute of one synchronisation source (RFC 5576 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssrc<'a> {
    /// The source.
    pub id: u32,
    /// Name of its attribute, such as `cname`.
    pub attribute: &'a str,
    /// Value of its attribute.
    pub value: Option<&'a [u8]>,
}

impl Ssrc<'_> {
    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Ssrc<'_>> {
        let (rest, id) = grammar::number32(0, u32::MAX)(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, attribute) = grammar::token(rest)?;
        let (rest, value) = grammar::after(b':', grammar::remainder)(rest)?;
        let source = Ssrc {
            id,
            attribute,
            value,
        };
        Ok((rest, source))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.id.into());
        put(out, &[b" ", self.attribute.as_bytes()]);
        if let Some(value) = self.value {
            put(out, &[b":", value]);
        }
    }
}

/// `ssrc-group`: sources that belong together (RFC 5576 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SsrcGroup<'a> {
    /// Such as `FID`, `FEC`, `SIM`.
    pub semantics: &'a str,
    ids: &'a str,
}

impl<'a> SsrcGroup<'a> {
    /// A group to be written: `ids` are decimal numbers with one space between them.
    pub fn new(semantics: &'a str, ids: &'a str) -> Self {
        Self { semantics, ids }
    }

    /// The sources in order.
    pub fn ids(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ids.split(' ').filter_map(|id| id.parse().ok())
    }

    pub(crate) fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, semantics) = grammar::token(input)?;
        let ids = grammar::text_list(b' ', grammar::number32(0, u32::MAX));
        let (rest, ids) = grammar::after(b' ', ids)(rest)?;
        let ids = ids.unwrap_or_default();
        Ok((rest, SsrcGroup { semantics, ids }))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.semantics.as_bytes());
        if !self.ids.is_empty() {
            put(out, &[b" ", self.ids.as_bytes()]);
        }
    }
}

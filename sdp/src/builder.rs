//! Writing a description line by line.

use alloc::vec::Vec;

use memchr::memchr3;

use crate::attribute::AttributeValue;
use crate::index::Reader;
use crate::line::{NO_NAME, whole_line};
use crate::{
    Bandwidth, Connection, Error, ErrorKind, Field, Limits, MediaLine, Origin, Repeat, Time, Zone,
};

/// Writes a description, and refuses a line that would make it malformed.
///
/// It checks what [`Session::parse`](crate::Session::parse) checks: order, mandatory lines, the grammar
/// of every line, and that no value holds CR, LF or NUL. A refused line leaves what was written as it
/// was. The values of attributes are written as they are; [`SessionBuf`](crate::SessionBuf) checks those
/// too.
///
/// ```
/// use floe_sdp::attribute::AttributeValue;
/// use floe_sdp::{Address, Builder, Connection, Field, MediaLine, Origin, Setup, Time};
/// use std::net::{IpAddr, Ipv4Addr};
///
/// let address = Address::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
/// let mut sdp = Builder::new();
/// sdp.push(Origin {
///     username: b"-",
///     session_id: "4711",
///     session_version: "1",
///     network: "IN",
///     address_type: "IP4",
///     address,
/// })?;
/// sdp.push(Field::Name(b"-"))?.push(Time::PERMANENT)?;
/// sdp.push(MediaLine::new("application", 9, "UDP/DTLS/SCTP", "webrtc-datachannel"))?;
/// sdp.push(Connection { network: "IN", address_type: "IP4", address, ttl: None, count: 1 })?;
/// sdp.push(AttributeValue::Mid("0"))?.push(AttributeValue::Setup(Setup::Actpass))?;
/// assert!(sdp.push(AttributeValue::Mid("1\r\na=evil")).is_err());
/// assert!(sdp.push(Time::PERMANENT).is_err());
///
/// assert_eq!(sdp.finish()?, b"v=0\r\no=- 4711 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
///     m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
///     a=mid:0\r\na=setup:actpass\r\n");
/// # Ok::<(), floe_sdp::Error>(())
/// ```
#[derive(Debug)]
pub struct Builder {
    text: Vec<u8>,
    reader: Reader,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An empty description: `v=0` and nothing else.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// The same, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut builder = Self {
            text: Vec::with_capacity(bytes),
            reader: Reader::new(Limits::NONE, false, false),
        };
        // The first line is always good.
        let _ = builder.push(Field::Version);
        builder
    }

    /// Writes a line.
    ///
    /// The place of an error is that in the description as it would be with the line. `k=` is
    /// always refused (RFC 8866 §5.12).
    pub fn push<'f>(&mut self, field: impl Into<Field<'f>>) -> Result<&mut Self, Error> {
        let start = self.text.len();
        let field = field.into();
        field.write(&mut self.text);
        if let Err(error) = self.check(start, &field) {
            self.text.truncate(start);
            return Err(error);
        }
        Ok(self)
    }

    fn check(&mut self, start: usize, field: &Field<'_>) -> Result<(), Error> {
        if matches!(field, Field::Key) {
            return Err(self.reader.error(ErrorKind::Key, start, start));
        }
        let value = self
            .text
            .get(start + 2..self.text.len() - 2)
            .unwrap_or_default();
        if let Some(at) = memchr3(b'\n', b'\r', 0, value) {
            let at = start + 2 + at;
            return Err(self.reader.error(ErrorKind::ForbiddenByte, start, at));
        }
        // The name of a typed attribute is a good one; with a colon and nothing behind it, it is not.
        let typed = match field {
            Field::Attribute(AttributeValue::Other) => None,
            Field::Attribute(typed) if !value.ends_with(b":") => Some(typed),
            _ => None,
        };
        // Among attributes such a line is right without another reading, but for what stands once.
        let is_direction = matches!(typed, Some(AttributeValue::Direction(_)));
        if typed.is_some() && !is_direction && self.reader.is_at_attributes() {
            self.reader.safe_attribute();
            return Ok(());
        }
        let name_end = typed.map_or(NO_NAME, |typed| typed.name().len() as u32);
        let line = whole_line(&self.text, start, field.letter(), name_end);
        let state = self.reader.state();
        let result = self.reader.line(&self.text, &line);
        result.inspect_err(|_| self.reader.restore(state))
    }

    /// The description, if nothing is missing.
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        self.reader.end(self.text.len())?;
        Ok(self.text)
    }
}

macro_rules! from {
    ($($value:ident $field:ident,)*) => {$(
        impl<'a> From<$value<'a>> for Field<'a> {
            fn from(value: $value<'a>) -> Self {
                Self::$field(value)
            }
        }
    )*};
}

from! {
    Origin Origin,
    Connection Connection,
    Bandwidth Bandwidth,
    Repeat Repeat,
    Zone Zone,
    AttributeValue Attribute,
    MediaLine Media,
}

impl From<Time> for Field<'_> {
    fn from(time: Time) -> Self {
        Self::Time(time)
    }
}

//! The values of the lines that are not attributes (RFC 8866 §5).

use core::net::IpAddr;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n, take_while1};
use nom::combinator::{map_opt, opt, recognize, verify};
use nom::multi::{many0_count, many1_count};
use nom::sequence::{preceded, separated_pair, terminated};

use crate::grammar::{self, Parsed, whole};
use crate::{Error, ErrorKind, Line};

/// `o=`: who made the session, and which version of it this is (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Login of the creator, `-` if there is none.
    pub username: &'a [u8],
    /// Digits; RFC 8866 sets no bound, offer/answer wants a 63-bit number.
    pub session_id: &'a str,
    /// Digits, as the session id.
    pub session_version: &'a str,
    /// `IN`.
    pub network: &'a str,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The creator's host.
    pub address: Address<'a>,
}

/// An address in `o=` or `c=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// An IP address.
    Ip(IpAddr),
    /// A domain name, or whatever an unknown address type uses.
    Name(&'a [u8]),
}

/// `c=`: where media is wanted (§5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// `IN`.
    pub network: &'a str,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address, or the first of several.
    pub address: Address<'a>,
    /// Time to live of IPv4 multicast.
    pub ttl: Option<u8>,
    /// How many contiguous multicast addresses; 1 if the text says nothing.
    pub count: u32,
}

/// `m=`: the line that opens a media section (§5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLine<'a> {
    /// `audio`, `video`, `application`, ….
    pub media: &'a str,
    /// The (first) port; 0 refuses the section, unless an extension says otherwise.
    pub port: u16,
    /// How many ports; 1 if the text says nothing.
    pub port_count: u32,
    /// Such as `UDP/DTLS/SCTP`.
    pub protocol: &'a str,
    formats: &'a str,
}

impl<'a> MediaLine<'a> {
    /// The formats in order of preference; at least one.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.formats.split(' ')
    }
}

fn address(value: &[u8]) -> Address<'_> {
    let ip = core::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok());
    ip.map_or(Address::Name(value), Address::Ip)
}

/// An address of the type named before it, without slashes.
fn unicast<'a>(address_type: &str, value: &'a [u8]) -> Option<Address<'a>> {
    match (address_type, address(value)) {
        ("IP4", Address::Ip(IpAddr::V6(_))) | ("IP6", Address::Ip(IpAddr::V4(_))) => None,
        (_, found) => Some(found),
    }
}

pub(crate) fn origin<'a>(line: Line<'a>) -> Result<Origin<'a>, Error> {
    line.read(ErrorKind::Origin, |input: &'a [u8]| {
        let mut head = (
            terminated(grammar::nonws, grammar::space),
            terminated(grammar::digits, grammar::space),
            terminated(grammar::digits, grammar::space),
            terminated(grammar::token, grammar::space),
            terminated(grammar::token, grammar::space),
        );
        let (rest, (username, session_id, session_version, network, address_type)) =
            head.parse(input)?;
        let (rest, address) =
            map_opt(grammar::nonws, |value| unicast(address_type, value)).parse(rest)?;
        Ok((
            rest,
            Origin {
                username,
                session_id,
                session_version,
                network,
                address_type,
                address,
            },
        ))
    })
}

/// The address part of `c=`: IPv4 multicast has a TTL, IPv6 multicast has none, unicast has no
/// slash; at session level there is only one address (§5.7).
fn connection_address<'a>(
    address_type: &str,
    at_session: bool,
    value: &'a [u8],
) -> Option<(Address<'a>, Option<u8>, u32)> {
    let mut parts = value.split(|&byte| byte == b'/');
    let base = unicast(address_type, parts.next()?)?;
    let number = |part: &[u8], max| whole(part, grammar::number32(0, max)).ok();
    let (ttl, count) = match (base, parts.next(), parts.next(), parts.next()) {
        (Address::Ip(IpAddr::V4(ip)), Some(ttl), count, None) if ip.is_multicast() => {
            (Some(ttl), count)
        }
        (Address::Ip(IpAddr::V6(ip)), count, None, None) if ip.is_multicast() => (None, count),
        (Address::Ip(ip), None, None, None) if !ip.is_multicast() => (None, None),
        (Address::Name(_), ..) => return Some((Address::Name(value), None, 1)),
        _ => return None,
    };
    let ttl = match ttl {
        Some(part) if part.len() <= 3 => Some(u8::try_from(number(part, 255)?).ok()?),
        Some(_) => return None,
        None => None,
    };
    let count = match count {
        Some(_) if at_session => return None,
        Some(part) if part.first() != Some(&b'0') => number(part, u32::MAX)?,
        Some(_) => return None,
        None => 1,
    };
    Some((base, ttl, count))
}

pub(crate) fn connection<'a>(line: Line<'a>, at_session: bool) -> Result<Connection<'a>, Error> {
    line.read(ErrorKind::Connection, |input: &'a [u8]| {
        let (rest, network) = terminated(grammar::token, grammar::space).parse(input)?;
        let (rest, address_type) = terminated(grammar::token, grammar::space).parse(rest)?;
        let (rest, (address, ttl, count)) = map_opt(grammar::nonws, |value| {
            connection_address(address_type, at_session, value)
        })
        .parse(rest)?;
        Ok((
            rest,
            Connection {
                network,
                address_type,
                address,
                ttl,
                count,
            },
        ))
    })
}

pub(crate) fn media(line: Line<'_>) -> Result<MediaLine<'_>, Error> {
    let protocol = grammar::text_of(recognize((
        grammar::token,
        many0_count(preceded(tag("/".as_bytes()), grammar::token)),
    )));
    let count = preceded(tag("/".as_bytes()), grammar::number32(1, u32::MAX));
    let parser = (
        terminated(grammar::token, grammar::space),
        terminated((grammar::port, opt(count)), grammar::space),
        terminated(protocol, grammar::space),
        grammar::text_of(grammar::list(grammar::token)),
    );
    let (media, (port, count), protocol, formats) = line.read(ErrorKind::Media, parser)?;
    Ok(MediaLine {
        media,
        port,
        port_count: count.unwrap_or(1),
        protocol,
        formats,
    })
}

fn uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

fn safe(byte: u8) -> bool {
    !b"()<>".contains(&byte)
}

fn email(input: &[u8]) -> Parsed<'_, ()> {
    // The address itself is only looked at as far as SDP needs it: visible, with one '@' inside.
    let addr = |input| {
        let part = |byte: u8| grammar::is_nonws(byte) && byte != b'@' && safe(byte);
        recognize(separated_pair(
            take_while1(part),
            tag("@".as_bytes()),
            take_while1(part),
        ))
        .parse(input)
    };
    named(input, addr, take_while1(safe), 1)
}

fn phone(input: &[u8]) -> Parsed<'_, ()> {
    let number = |input| {
        let digit = |byte: u8| byte.is_ascii_digit();
        let more = |byte: u8| byte.is_ascii_digit() || byte == b' ' || byte == b'-';
        let number = (
            opt(tag("+".as_bytes())),
            take_while_m_n(1, 1, digit),
            take_while1(more),
        );
        recognize(number).parse(input)
    };
    named(input, number, take_while1(safe), 0)
}

/// `x`, `x (name)` or `name <x>`.
fn named<'a, T>(
    input: &'a [u8],
    item: impl Fn(&'a [u8]) -> Parsed<'a, T>,
    name: impl Parser<&'a [u8], Output = &'a [u8], Error = grammar::Failure<'a>>,
    min_spaces: usize,
) -> Parsed<'a, ()> {
    let spaces = take_while_m_n(min_spaces, usize::MAX, |byte| byte == b' ');
    let (open, close) = (tag("(".as_bytes()), tag(")".as_bytes()));
    if input.last() == Some(&b'>') {
        return (
            take_while1(safe),
            tag("<".as_bytes()),
            item,
            tag(">".as_bytes()),
        )
            .map(|_| ())
            .parse(input);
    }
    let (rest, _) = item(input)?;
    opt((spaces, open, name, close)).map(|_| ()).parse(rest)
}

fn repeat(input: &[u8]) -> Parsed<'_, ()> {
    let interval = verify(grammar::typed_time, |seconds| *seconds > 0);
    let offsets = many1_count(preceded(grammar::space, grammar::typed_time));
    (
        interval,
        preceded(grammar::space, grammar::typed_time),
        offsets,
    )
        .map(|_| ())
        .parse(input)
}

fn zone(input: &[u8]) -> Parsed<'_, ()> {
    let pair = |input| {
        (
            grammar::instant,
            grammar::space,
            opt(tag("-".as_bytes())),
            grammar::typed_time,
        )
            .parse(input)
    };
    grammar::list(pair).map(|_| ()).parse(input)
}

fn key(input: &[u8]) -> Parsed<'_, ()> {
    let any = take_while1(|_| true);
    let method = alt((
        tag("clear:".as_bytes()),
        tag("base64:".as_bytes()),
        tag("uri:".as_bytes()),
    ));
    alt((
        tag("prompt".as_bytes()).map(|_| ()),
        (method, any).map(|_| ()),
    ))
    .parse(input)
}

/// Checks the value of a line whose value the document does not keep.
pub(crate) fn check(line: Line<'_>) -> Result<(), Error> {
    let times = separated_pair(grammar::instant, grammar::space, grammar::instant).map(|_| ());
    let bandwidth =
        separated_pair(grammar::token, tag(":".as_bytes()), grammar::digits).map(|_| ());
    match line.letter() {
        b'v' => line
            .read(ErrorKind::Version, tag("0".as_bytes()))
            .map(|_| ()),
        b'u' => line.read(ErrorKind::Uri, take_while1(uri_byte)).map(|_| ()),
        b'e' => line.read(ErrorKind::Email, email),
        b'p' => line.read(ErrorKind::Phone, phone),
        b'b' => line.read(ErrorKind::Bandwidth, bandwidth),
        b't' => line.read(ErrorKind::Time, times),
        b'r' => line.read(ErrorKind::Repeat, repeat),
        b'z' => line.read(ErrorKind::Zone, zone),
        b'k' => line.read(ErrorKind::Key, key),
        _ => Ok(()), // s= and i= are free text; o= c= m= a= are read by the document itself
    }
}

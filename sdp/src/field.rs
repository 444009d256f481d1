//! The values of the lines (RFC 8866 §5), read and written.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::attribute::{AttributeValue, Words};
use crate::grammar::{self, Parsed, SAFE, fail, put, put_ip, put_number, whole};
use crate::{Error, ErrorKind, Line};

/// The meaning of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Field<'a> {
    /// `v=0` (§5.1); there is no other version.
    Version,
    /// `o=` (§5.2).
    Origin(Origin<'a>),
    /// `s=` (§5.3); a single space or `-` if the session has no name.
    Name(&'a [u8]),
    /// `i=` (§5.4).
    Information(&'a [u8]),
    /// `u=` (§5.5).
    Uri(&'a str),
    /// `e=` (§5.6): an address, with a name or without.
    Email(&'a [u8]),
    /// `p=` (§5.6): a number, with a name or without.
    Phone(&'a [u8]),
    /// `c=` (§5.7).
    Connection(Connection<'a>),
    /// `b=` (§5.8).
    Bandwidth(Bandwidth<'a>),
    /// `t=` (§5.9).
    Time(Time),
    /// `r=` (§5.10), which belongs to the `t=` before it.
    Repeat(Repeat<'a>),
    /// `z=` (§5.11), which belongs to the `r=` before it.
    Zone(Zone<'a>),
    /// `k=` (§5.12): to be discarded, and never written.
    Key,
    /// `a=` (§5.13) with its meaning.
    Attribute(AttributeValue<'a>),
    /// `a=` as name and value, for attributes without a meaning here.
    Generic(&'a str, Option<&'a [u8]>),
    /// `m=` (§5.14).
    Media(MediaLine<'a>),
}

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

/// `b=`: how much bandwidth is wanted (§5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth<'a> {
    /// What is counted.
    pub kind: BandwidthKind<'a>,
    /// Digits, in the unit of the kind; RFC 8866 sets no bound.
    pub value: &'a str,
}

/// What a [`Bandwidth`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandwidthKind<'a> {
    /// `CT`: all media of the session in kbit/s, with IP and UDP headers (§5.8).
    Conference,
    /// `AS`: one medium in kbit/s, with IP and UDP headers (§5.8).
    Application,
    /// `TIAS`: one medium in bit/s, without headers below RTP (RFC 3890 §6.2).
    TransportIndependent,
    /// `RS`: RTCP of senders in bit/s (RFC 3556 §2).
    RtcpSenders,
    /// `RR`: RTCP of receivers in bit/s (RFC 3556 §2).
    RtcpReceivers,
    /// Any other: to be ignored.
    Other(&'a str),
}

/// `t=`: when the session takes place (§5.9), in seconds since 1900; Unix time is 2,208,988,800 less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Start; 0: permanent.
    pub start: u64,
    /// End; 0: unbounded.
    pub stop: u64,
}

/// `r=`: when a session is repeated (§5.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat<'a>(&'a str);

/// `z=`: when clocks change (§5.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone<'a>(&'a str);

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
    formats: Words<'a>,
}

impl<'a> MediaLine<'a> {
    /// A section to be written; `formats` are tokens with a space between them, at least one.
    pub fn new(media: &'a str, port: u16, protocol: &'a str, formats: &'a str) -> Self {
        Self {
            media,
            port,
            port_count: 1,
            protocol,
            formats: Words(formats),
        }
    }

    /// The formats in order of preference; at least one.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.formats.iter()
    }

    /// The ports of RTP: with a count, every other one from the first (§5.14), as far as there are
    /// ports.
    ///
    /// ```
    /// use floe_sdp::MediaLine;
    ///
    /// let mut line = MediaLine::new("video", 49170, "RTP/AVP", "31");
    /// line.port_count = 2;
    /// assert_eq!(line.rtp_ports().collect::<Vec<_>>(), [49170, 49172]);
    /// ```
    pub fn rtp_ports(&self) -> impl Iterator<Item = u16> + use<> {
        let count = usize::try_from(self.port_count).unwrap_or(usize::MAX);
        (self.port..=u16::MAX).step_by(2).take(count)
    }

    /// How many formats there are in a line that [`media`] has read.
    pub(crate) fn format_count(&self) -> usize {
        let blanks = self.formats.0.bytes().filter(|&byte| byte == b' ');
        blanks.count() + 1
    }

    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, media) = grammar::token(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, port) = grammar::port(rest)?;
        let (rest, count) = grammar::after(b'/', grammar::number32(1, u32::MAX))(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, protocol) = grammar::text_list(b'/', grammar::token)(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, formats) = grammar::text_list(b' ', grammar::token)(rest)?;
        let line = Self {
            media,
            port,
            port_count: count.unwrap_or(1),
            protocol,
            formats: Words(formats),
        };
        Ok((rest, line))
    }

    fn write(&self, out: &mut Vec<u8>) {
        put(out, &[self.media.as_bytes(), b" "]);
        put_number(out, self.port.into());
        if self.port_count != 1 {
            out.push(b'/');
            put_number(out, self.port_count.into());
        }
        let formats = self.formats.0.as_bytes();
        put(out, &[b" ", self.protocol.as_bytes(), b" ", formats]);
    }
}

impl<'a> Address<'a> {
    fn of(value: &'a [u8]) -> Self {
        let ip = core::str::from_utf8(value).ok();
        let ip = ip.and_then(|text| text.parse().ok());
        ip.map_or(Self::Name(value), Self::Ip)
    }

    /// An address of the type named before it, without slashes.
    pub(crate) fn unicast(address_type: &str, value: &'a [u8]) -> Option<Self> {
        match (address_type, Self::of(value)) {
            ("IP4", Self::Ip(IpAddr::V6(_))) | ("IP6", Self::Ip(IpAddr::V4(_))) => None,
            (_, found) => Some(found),
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ip(ip) => put_ip(out, *ip),
            Self::Name(name) => out.extend_from_slice(name),
        }
    }
}

impl<'a> Origin<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, username) = grammar::nonws(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, session_id) = grammar::digits(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, session_version) = grammar::digits(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, network) = grammar::token(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, address_type) = grammar::token(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (end, address) = grammar::nonws(rest)?;
        let Some(address) = Address::unicast(address_type, address) else {
            return fail(rest);
        };
        let origin = Self {
            username,
            session_id,
            session_version,
            network,
            address_type,
            address,
        };
        Ok((end, origin))
    }

    fn write(&self, out: &mut Vec<u8>) {
        put(out, &[self.username, b" ", self.session_id.as_bytes()]);
        put(out, &[b" ", self.session_version.as_bytes(), b" "]);
        put(out, &[self.network.as_bytes(), b" "]);
        put(out, &[self.address_type.as_bytes(), b" "]);
        self.address.write(out);
    }
}

impl<'a> Connection<'a> {
    fn read(at_session: bool) -> impl Fn(&'a [u8]) -> Parsed<'a, Self> {
        move |input| {
            let (rest, network) = grammar::token(input)?;
            let (rest, ()) = grammar::space(rest)?;
            let (rest, address_type) = grammar::token(rest)?;
            let (rest, ()) = grammar::space(rest)?;
            let (end, value) = grammar::nonws(rest)?;
            let found = Self::read_address(address_type, at_session, value);
            let Some((address, ttl, count)) = found else {
                return fail(rest);
            };
            let connection = Self {
                network,
                address_type,
                address,
                ttl,
                count,
            };
            Ok((end, connection))
        }
    }

    /// The address part: IPv4 multicast has a TTL, IPv6 multicast has none, unicast has no slash; at
    /// session level there is only one address (§5.7).
    fn read_address(
        address_type: &str,
        at_session: bool,
        value: &'a [u8],
    ) -> Option<(Address<'a>, Option<u8>, u32)> {
        let mut parts = value.split(|&byte| byte == b'/');
        let base = Address::unicast(address_type, parts.next()?)?;
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

    /// The addresses: one, or a run of multicast addresses (§5.7), as far as there are addresses.
    ///
    /// ```
    /// use floe_sdp::{Field, Session};
    ///
    /// let text = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 RTP/AVP 31\r\n\
    ///              c=IN IP4 233.252.0.1/127/3\r\n";
    /// let session = Session::parse(text)?;
    /// let connection = session.media().next().unwrap().connection().unwrap();
    /// let last = connection.addresses().last().unwrap();
    /// assert_eq!(last.to_string(), "233.252.0.3");
    /// # Ok::<(), floe_sdp::Error>(())
    /// ```
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let first = match self.address {
            Address::Ip(ip) => Some(ip),
            Address::Name(_) => None,
        };
        (0..self.count).map_while(move |number| match first? {
            IpAddr::V4(ip) => ip
                .to_bits()
                .checked_add(number)
                .map(|bits| IpAddr::V4(core::net::Ipv4Addr::from_bits(bits))),
            IpAddr::V6(ip) => ip
                .to_bits()
                .checked_add(number.into())
                .map(|bits| IpAddr::V6(core::net::Ipv6Addr::from_bits(bits))),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        put(out, &[self.network.as_bytes(), b" "]);
        put(out, &[self.address_type.as_bytes(), b" "]);
        self.address.write(out);
        let count = (self.count != 1).then_some(self.count);
        for number in self.ttl.map(u32::from).into_iter().chain(count) {
            out.push(b'/');
            put_number(out, number.into());
        }
    }
}

impl<'a> Bandwidth<'a> {
    /// The number, if it fits.
    pub fn number(&self) -> Option<u64> {
        self.value.parse().ok()
    }

    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, kind) = grammar::token(input)?;
        let (rest, ()) = grammar::byte(b':')(rest)?;
        let (rest, value) = grammar::digits(rest)?;
        let kind = match kind {
            "CT" => BandwidthKind::Conference,
            "AS" => BandwidthKind::Application,
            "TIAS" => BandwidthKind::TransportIndependent,
            "RS" => BandwidthKind::RtcpSenders,
            "RR" => BandwidthKind::RtcpReceivers,
            other => BandwidthKind::Other(other),
        };
        Ok((rest, Self { kind, value }))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let kind = self.kind.name().as_bytes();
        put(out, &[kind, b":", self.value.as_bytes()]);
    }
}

impl<'a> BandwidthKind<'a> {
    /// As it is written.
    pub fn name(self) -> &'a str {
        match self {
            Self::Conference => "CT",
            Self::Application => "AS",
            Self::TransportIndependent => "TIAS",
            Self::RtcpSenders => "RS",
            Self::RtcpReceivers => "RR",
            Self::Other(name) => name,
        }
    }
}

/// `0`, or a second of the era since 1900 with at least ten digits (§5.9).
fn instant(input: &[u8]) -> Parsed<'_, u64> {
    let (rest, time) = grammar::plain_number(0, u64::MAX)(input)?;
    if time != 0 && time < 1_000_000_000 {
        return fail(input);
    }
    Ok((rest, time))
}

/// `typed-time`: digits and an optional unit; the value in seconds if it fits.
fn typed_time(input: &[u8]) -> Parsed<'_, u64> {
    let (rest, count) = grammar::number(0, u64::MAX)(input)?;
    let (unit, rest) = match rest.split_first() {
        Some((b'd', rest)) => (86_400, rest),
        Some((b'h', rest)) => (3_600, rest),
        Some((b'm', rest)) => (60, rest),
        Some((b's', rest)) => (1, rest),
        _ => (1, rest),
    };
    match count.checked_mul(unit) {
        Some(seconds) => Ok((rest, seconds)),
        None => fail(input),
    }
}

impl Time {
    /// From always to always (RFC 3264 §5).
    pub const PERMANENT: Self = Self { start: 0, stop: 0 };

    fn read(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, start) = instant(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, stop) = instant(rest)?;
        Ok((rest, Self { start, stop }))
    }

    fn write(self, out: &mut Vec<u8>) {
        put_number(out, self.start);
        out.push(b' ');
        put_number(out, self.stop);
    }
}

impl<'a> Repeat<'a> {
    /// A repetition to be written, as the line has it: `7d 1h 0 25h`; `None` if the grammar does not
    /// allow it.
    ///
    /// ```
    /// use floe_sdp::Repeat;
    ///
    /// let repeat = Repeat::new("7d 1h 0 25h").unwrap();
    /// assert_eq!((repeat.interval(), repeat.duration()), (604_800, 3_600));
    /// assert_eq!(repeat.offsets().collect::<Vec<_>>(), [0, 90_000]);
    /// ```
    pub fn new(text: &'a str) -> Option<Self> {
        whole(text.as_bytes(), Self::read).ok()
    }

    fn seconds(self) -> impl Iterator<Item = u64> + use<'a> {
        let words = self.0.split(' ');
        words.filter_map(|word| whole(word.as_bytes(), typed_time).ok())
    }

    /// Seconds from one start to the next.
    pub fn interval(self) -> u64 {
        self.seconds().next().unwrap_or_default()
    }

    /// Seconds that it takes.
    pub fn duration(self) -> u64 {
        self.seconds().nth(1).unwrap_or_default()
    }

    /// Seconds from the start of `t=`, for each of the starts within an interval.
    pub fn offsets(self) -> impl Iterator<Item = u64> + use<'a> {
        self.seconds().skip(2)
    }

    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        if input.first() == Some(&b'0') {
            return fail(input);
        }
        let (rest, text) = grammar::text_list(b' ', typed_time)(input)?;
        if text.split(' ').count() < 3 {
            return fail(rest);
        }
        Ok((rest, Self(text)))
    }
}

impl<'a> Zone<'a> {
    /// Adjustments to be written, as the line has them: `2882844526 -1h 2898848070 0`; `None` if the
    /// grammar does not allow it.
    ///
    /// ```
    /// use floe_sdp::Zone;
    ///
    /// let zone = Zone::new("2882844526 -1h 2898848070 0").unwrap();
    /// assert_eq!(zone.adjustments().collect::<Vec<_>>(), [(2882844526, -3_600), (2898848070, 0)]);
    /// ```
    pub fn new(text: &'a str) -> Option<Self> {
        whole(text.as_bytes(), Self::read).ok()
    }

    /// When a clock changes, in seconds since 1900, and by how many seconds the repetitions of `r=` are
    /// off from then on, as seen from `t=`: not from the change before.
    pub fn adjustments(self) -> impl Iterator<Item = (u64, i64)> + use<'a> {
        let mut words = self.0.split(' ');
        core::iter::from_fn(move || {
            let time = words.next()?.parse().ok()?;
            let text = words.next()?;
            let (sign, text) = match text.strip_prefix('-') {
                Some(text) => (-1, text),
                None => (1, text),
            };
            let offset = whole(text.as_bytes(), typed_time).ok()?;
            Some((time, sign * i64::try_from(offset).unwrap_or(i64::MAX)))
        })
    }

    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let pair = |input: &'a [u8]| {
            let (rest, _) = instant(input)?;
            let (rest, ()) = grammar::space(rest)?;
            typed_time(rest.strip_prefix(b"-").unwrap_or(rest))
        };
        let (rest, text) = grammar::text_list(b' ', pair)(input)?;
        Ok((rest, Self(text)))
    }
}

/// `x`, `x (name)` or `name <x>`.
fn named<'a, T>(
    input: &'a [u8],
    item: impl Fn(&'a [u8]) -> Parsed<'a, T>,
    spaces: usize,
) -> Parsed<'a, &'a [u8]> {
    let safe = grammar::run_of(SAFE, 1, usize::MAX);
    if input.last() == Some(&b'>') {
        let (rest, _) = safe(input)?;
        let (rest, ()) = grammar::byte(b'<')(rest)?;
        let (rest, _) = item(rest)?;
        let (rest, ()) = grammar::byte(b'>')(rest)?;
        return Ok((rest, input));
    }
    let (rest, _) = item(input)?;
    if rest.is_empty() {
        return Ok((rest, input));
    }
    let blanks = rest.iter().take_while(|&&byte| byte == b' ').count();
    if blanks < spaces {
        return fail(rest);
    }
    let rest = rest.get(blanks..).unwrap_or_default();
    let (rest, ()) = grammar::byte(b'(')(rest)?;
    let (rest, _) = safe(rest)?;
    let (rest, ()) = grammar::byte(b')')(rest)?;
    Ok((rest, input))
}

/// The address itself is only looked at as far as SDP needs it: visible, with one `@` inside.
fn email(input: &[u8]) -> Parsed<'_, &[u8]> {
    let part = |input| {
        let out = |byte: &u8| !grammar::NON_WS.has(*byte) || *byte == b'@' || !SAFE.has(*byte);
        match <[u8]>::iter(input).position(out).unwrap_or(input.len()) {
            0 => fail(input),
            len => Ok((input.get(len..).unwrap_or_default(), ())),
        }
    };
    let address = |input| {
        let (rest, ()) = part(input)?;
        let (rest, ()) = grammar::byte(b'@')(rest)?;
        part(rest)
    };
    named(input, address, 1)
}

fn phone(input: &[u8]) -> Parsed<'_, &[u8]> {
    let number = |input: &'_ [u8]| -> Option<usize> {
        let plus = usize::from(input.first() == Some(&b'+'));
        let digits = input.get(plus..)?;
        let part = |byte: &&u8| byte.is_ascii_digit() || b" -".contains(byte);
        let len = digits.iter().take_while(part).count();
        (digits.first()?.is_ascii_digit() && len >= 2).then_some(plus + len)
    };
    let item = |input| match number(input) {
        Some(len) => Ok((input.get(len..).unwrap_or_default(), ())),
        None => fail(input),
    };
    named(input, item, 0)
}

fn key(input: &[u8]) -> Parsed<'_, ()> {
    if let Some(rest) = input.strip_prefix(b"prompt") {
        return Ok((rest, ()));
    }
    let methods = [b"clear:".as_slice(), b"base64:", b"uri:"];
    let value = methods
        .iter()
        .find_map(|method| input.strip_prefix(*method));
    match value {
        Some(value) => grammar::remainder(value).map(|(rest, _)| (rest, ())),
        None => fail(input),
    }
}

impl Field<'_> {
    /// The type letter of its line.
    pub fn letter(&self) -> u8 {
        match self {
            Self::Version => b'v',
            Self::Origin(_) => b'o',
            Self::Name(_) => b's',
            Self::Information(_) => b'i',
            Self::Uri(_) => b'u',
            Self::Email(_) => b'e',
            Self::Phone(_) => b'p',
            Self::Connection(_) => b'c',
            Self::Bandwidth(_) => b'b',
            Self::Time(_) => b't',
            Self::Repeat(_) => b'r',
            Self::Zone(_) => b'z',
            Self::Key => b'k',
            Self::Attribute(_) | Self::Generic(..) => b'a',
            Self::Media(_) => b'm',
        }
    }

    /// Appends the whole line with CRLF.
    ///
    /// A field that holds what its grammar does not allow is written as it is; [`Builder`](crate::Builder)
    /// refuses it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.letter(), b'=']);
        match self {
            Self::Version => out.push(b'0'),
            Self::Origin(origin) => origin.write(out),
            Self::Name(text) | Self::Information(text) | Self::Email(text) | Self::Phone(text) => {
                out.extend_from_slice(text);
            }
            Self::Uri(text) | Self::Repeat(Repeat(text)) | Self::Zone(Zone(text)) => {
                out.extend_from_slice(text.as_bytes());
            }
            Self::Connection(connection) => connection.write(out),
            Self::Bandwidth(bandwidth) => bandwidth.write(out),
            Self::Time(time) => time.write(out),
            Self::Key => {}
            Self::Attribute(value) => value.write(out),
            Self::Generic(name, value) => {
                out.extend_from_slice(name.as_bytes());
                if let Some(value) = value {
                    put(out, &[b":", value]);
                }
            }
            Self::Media(line) => line.write(out),
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl<'a> Line<'a> {
    /// Reads the value by the grammar that belongs to the letter.
    ///
    /// ```
    /// use floe_sdp::{BandwidthKind, Field, Session};
    ///
    /// let session = Session::parse(b"v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nb=CT:1000\nt=0 0\n")?;
    /// let line = session.lines().find(|line| line.letter() == b'b').unwrap();
    /// let Field::Bandwidth(bandwidth) = line.field()? else { panic!() };
    /// assert_eq!((bandwidth.kind, bandwidth.number()), (BandwidthKind::Conference, Some(1000)));
    /// # Ok::<(), floe_sdp::Error>(())
    /// ```
    pub fn field(&self) -> Result<Field<'a>, Error> {
        let uri = grammar::text_of(grammar::URI, 1, usize::MAX);
        Ok(match self.letter() {
            b'v' => {
                self.read(ErrorKind::Version, grammar::byte(b'0'))?;
                Field::Version
            }
            b'o' => Field::Origin(self.origin()?),
            b's' => Field::Name(self.read(ErrorKind::EmptyValue, grammar::remainder)?),
            b'i' => Field::Information(self.read(ErrorKind::EmptyValue, grammar::remainder)?),
            b'u' => Field::Uri(self.read(ErrorKind::Uri, uri)?),
            b'e' => Field::Email(self.read(ErrorKind::Email, email)?),
            b'p' => Field::Phone(self.read(ErrorKind::Phone, phone)?),
            b'c' => Field::Connection(self.connection(false)?),
            b'b' => Field::Bandwidth(self.read(ErrorKind::Bandwidth, Bandwidth::read)?),
            b't' => Field::Time(self.read(ErrorKind::Time, Time::read)?),
            b'r' => Field::Repeat(self.read(ErrorKind::Repeat, Repeat::read)?),
            b'z' => Field::Zone(self.read(ErrorKind::Zone, Zone::read)?),
            b'k' => {
                self.read(ErrorKind::Key, key)?;
                Field::Key
            }
            b'a' => match self.attribute() {
                Some(attribute) => match attribute.value()? {
                    AttributeValue::Other => Field::Generic(attribute.name(), attribute.text()),
                    value => Field::Attribute(value),
                },
                None => return Err(self.error(ErrorKind::Attribute, 0)),
            },
            b'm' => Field::Media(self.media_line()?),
            _ => return Err(self.error_at_letter(ErrorKind::UnknownType)),
        })
    }

    /// Checks the value of any line but `a=`.
    pub(crate) fn check(&self, at_session: bool) -> Result<(), Error> {
        match self.letter() {
            b'c' => self.connection(at_session).map(|_| ()),
            letter if b"vosiuepcbtrzkm".contains(&letter) => self.field().map(|_| ()),
            _ => Ok(()),
        }
    }

    pub(crate) fn media_line(&self) -> Result<MediaLine<'a>, Error> {
        self.read(ErrorKind::Media, MediaLine::read)
    }

    pub(crate) fn origin(&self) -> Result<Origin<'a>, Error> {
        self.read(ErrorKind::Origin, Origin::read)
    }

    /// At session level there is only one address (§5.7).
    pub(crate) fn connection(&self, at_session: bool) -> Result<Connection<'a>, Error> {
        self.read(ErrorKind::Connection, Connection::read(at_session))
    }
}

//! The URIs of STUN and TURN servers (RFC 7064, RFC 7065).

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use floe_sansio::Transport;

/// Bytes of a host name in a URI, at most (RFC 3986 §3.2.2).
pub const MAX_HOST_LEN: usize = 255;

/// Which protocol a server speaks, and whether over TLS or DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `stun`: STUN over UDP or TCP.
    Stun,
    /// `stuns`: STUN over TLS or DTLS.
    Stuns,
    /// `turn`: TURN over UDP or TCP.
    Turn,
    /// `turns`: TURN over TLS or DTLS.
    Turns,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Stun, Self::Stuns, Self::Turn, Self::Turns];

    /// Its name, in lower case; also that of the DNS service.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Stuns => "stuns",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }

    /// Whether the server is reached over TLS or DTLS, and nothing else.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Stuns | Self::Turns)
    }

    /// Whether the server is a relay.
    pub const fn is_turn(self) -> bool {
        matches!(self, Self::Turn | Self::Turns)
    }

    /// The port where neither URI nor DNS names one: 3478, or 5349 over TLS and DTLS (RFC 8489 §8.1,
    /// RFC 8656 §4.1).
    pub const fn default_port(self) -> u16 {
        if self.is_secure() { 5349 } else { 3478 }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IPv4 address, or an IPv6 address in brackets.
    Ip(IpAddr),
    /// A registered name, in lower case: 1 to [`MAX_HOST_LEN`] bytes of what RFC 3986 allows, which is
    /// more than what DNS does.
    Name(String),
}

/// What `?transport=` says (RFC 7065 §3.1): how the client reaches the relay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportParameter {
    /// `udp`: UDP, or DTLS with `turns` (RFC 7350).
    Udp,
    /// `tcp`: TCP, or TLS with `turns`.
    Tcp,
    /// Something that nobody has defined yet, in lower case.
    Other(String),
}

impl TransportParameter {
    fn name(&self) -> &str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Other(name) => name,
        }
    }
}

/// The URI of a STUN or TURN server: `stun:host`, `stuns:host:port`, `turn:host?transport=udp`.
///
/// Scheme, host and transport compare without regard to case. What is parsed prints in one form, all in
/// lower case, and parses to an equal URI again.
///
/// ```
/// use floe_stun::{Host, Scheme, Uri};
///
/// let uri: Uri = "TURNS:Relay.example.org:443?transport=tcp".parse()?;
/// assert_eq!((uri.scheme(), uri.port()), (Scheme::Turns, Some(443)));
/// assert_eq!(uri.host(), &Host::Name("relay.example.org".into()));
/// assert_eq!(uri.to_string(), "turns:relay.example.org:443?transport=tcp");
///
/// let error = "stun:example.org/path".parse::<Uri>().unwrap_err();
/// assert_eq!(error.to_string(), "a character that has no place here (at byte 16)");
/// # Ok::<(), floe_stun::UriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri {
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    transport: Option<TransportParameter>,
}

impl Uri {
    /// Reads a URI; see also [`str::parse`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let mut parser = Parser { text, at: 0 };
        let scheme = parser.scheme()?;
        let host = parser.host()?;
        let port = if parser.skip(":") {
            parser.port()?
        } else {
            None
        };
        let transport = if scheme.is_turn() && parser.skip("?") {
            Some(parser.transport()?)
        } else {
            None
        };
        if !parser.rest().is_empty() {
            return Err(parser.error(UriErrorKind::Unexpected));
        }
        Ok(Self {
            scheme,
            host: host.into(),
            port,
            transport,
        })
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, 1 to 65535, if the URI names one.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// How the client reaches the relay, if the URI says so; never with `stun` and `stuns`.
    pub const fn transport(&self) -> Option<&TransportParameter> {
        self.transport.as_ref()
    }

    /// Whether this transport may be used: TLS and DTLS with `stuns` and `turns`, UDP and TCP with the
    /// others, and what `?transport=` says (RFC 7064 §3.2, RFC 7065 §3.2, RFC 7350).
    pub fn admits(&self, transport: Transport) -> bool {
        let (secure, parameter) = match transport {
            Transport::Udp => (false, TransportParameter::Udp),
            Transport::Tcp => (false, TransportParameter::Tcp),
            Transport::Dtls => (true, TransportParameter::Udp),
            Transport::Tls => (true, TransportParameter::Tcp),
            _ => return false,
        };
        let named = self.transport.as_ref().is_none_or(|it| *it == parameter);
        secure == self.scheme.is_secure() && named
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.name())?;
        match &self.host {
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::Name(name) => f.write_str(name)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if let Some(transport) = &self.transport {
            write!(f, "?transport={}", transport.name())?;
        }
        Ok(())
    }
}

/// Why text is not the URI of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriError {
    /// The rule that was broken.
    pub kind: UriErrorKind,
    /// Byte offset into the text.
    pub offset: usize,
}

/// The rules of these URIs (RFC 7064 §3.1, RFC 7065 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriErrorKind {
    /// The text does not begin with `stun:`, `stuns:`, `turn:` or `turns:`.
    Scheme,
    /// `//` behind the scheme: these URIs are not hierarchical.
    Hierarchical,
    /// No host, or one longer than [`MAX_HOST_LEN`], or no IPv6 address in the brackets.
    Host,
    /// The port is not 1 to 65535.
    Port,
    /// Behind `?` stands no `transport=` with a name.
    Transport,
    /// A character that has no place here: of a path, user information, a fragment, another script.
    Unexpected,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            UriErrorKind::Scheme => "the scheme is not stun, stuns, turn or turns",
            UriErrorKind::Hierarchical => "no // may follow the scheme",
            UriErrorKind::Host => "the host is missing or malformed",
            UriErrorKind::Port => "the port is not 1 to 65535",
            UriErrorKind::Transport => "the query is not transport= and a name",
            UriErrorKind::Unexpected => "a character that has no place here",
        };
        write!(f, "{what} (at byte {})", self.offset)
    }
}

impl core::error::Error for UriError {}

/// A host before anything is allocated for it.
enum RawHost<'a> {
    Ip(IpAddr),
    Name(&'a str),
}

impl From<RawHost<'_>> for Host {
    fn from(host: RawHost<'_>) -> Self {
        match host {
            RawHost::Ip(address) => Self::Ip(address),
            RawHost::Name(name) => Self::Name(name.to_ascii_lowercase()),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    const fn error(&self, kind: UriErrorKind) -> UriError {
        UriError {
            kind,
            offset: self.at,
        }
    }

    /// Skips `literal`, in any case, if it comes next.
    fn skip(&mut self, literal: &str) -> bool {
        let next = self.rest().get(..literal.len());
        let found = next.is_some_and(|next| next.eq_ignore_ascii_case(literal));
        if found {
            self.at += literal.len();
        }
        found
    }

    /// The ASCII characters that come next and satisfy `wanted`.
    fn take(&mut self, wanted: fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|b| !wanted(b));
        let taken = &rest[..end.unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn scheme(&mut self) -> Result<Scheme, UriError> {
        let name = self.text.split(':').next().unwrap_or_default();
        let named = |scheme: &Scheme| scheme.name().eq_ignore_ascii_case(name);
        let known = Scheme::ALL.into_iter().find(named);
        let scheme = known.ok_or(self.error(UriErrorKind::Scheme))?;
        self.at = name.len();
        if !self.skip(":") {
            return Err(self.error(UriErrorKind::Scheme));
        }
        Ok(scheme)
    }

    /// `IP-literal / IPv4address / reg-name`, the first that fits (RFC 3986 §3.2.2).
    fn host(&mut self) -> Result<RawHost<'a>, UriError> {
        if self.rest().starts_with("//") {
            return Err(self.error(UriErrorKind::Hierarchical));
        }
        let malformed = self.error(UriErrorKind::Host);
        if self.skip("[") {
            let address = self.take(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
            let address: Ipv6Addr = address.parse().map_err(|_| malformed)?;
            if !self.skip("]") {
                return Err(malformed);
            }
            return Ok(RawHost::Ip(address.into()));
        }
        let start = self.at;
        loop {
            self.take(|b| is_unreserved(b) || b"!$&'()*+,;=".contains(&b));
            if !self.skip("%") {
                break;
            }
            for _ in 0..2 {
                if !self.rest().starts_with(|c: char| c.is_ascii_hexdigit()) {
                    return Err(self.error(UriErrorKind::Unexpected));
                }
                self.at += 1;
            }
        }
        let name = &self.text[start..self.at];
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Ok(RawHost::Ip(address.into()));
        }
        if name.len() > MAX_HOST_LEN {
            return Err(malformed);
        }
        if name.is_empty() {
            let end = self.rest().is_empty() || self.rest().starts_with([':', '?']);
            let unexpected = self.error(UriErrorKind::Unexpected);
            return Err(if end { malformed } else { unexpected });
        }
        Ok(RawHost::Name(name))
    }

    /// `*DIGIT`: none is as good as no port (RFC 3986 §3.2.3).
    fn port(&mut self) -> Result<Option<u16>, UriError> {
        let malformed = self.error(UriErrorKind::Port);
        let digits = self.take(|b| b.is_ascii_digit());
        match digits.parse::<u16>() {
            _ if digits.is_empty() => Ok(None),
            Ok(port @ 1..) => Ok(Some(port)),
            _ => Err(malformed),
        }
    }

    fn transport(&mut self) -> Result<TransportParameter, UriError> {
        if !self.skip("transport=") {
            return Err(self.error(UriErrorKind::Transport));
        }
        let malformed = self.error(UriErrorKind::Transport);
        let name = self.take(is_unreserved);
        if name.is_empty() {
            return Err(malformed);
        }
        if !self.rest().is_empty() {
            return Err(self.error(UriErrorKind::Unexpected));
        }
        Ok(if name.eq_ignore_ascii_case("udp") {
            TransportParameter::Udp
        } else if name.eq_ignore_ascii_case("tcp") {
            TransportParameter::Tcp
        } else {
            TransportParameter::Other(name.to_ascii_lowercase())
        })
    }
}

/// RFC 3986 §2.3.
const fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

//! `candidate` (RFC 8839 §5.1, RFC 6544 §4.5).

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use crate::grammar::{self, Parsed, put, put_ip, put_number, whole};

/// A candidate as text says it: what `a=candidate` holds and what browsers signal.
///
/// Reading and writing loses nothing that the grammar gives meaning to; case of the transport
/// `UDP`, spelling of an IP address and leading zeros have none and are normalised.
///
/// ```
/// use floe_sdp::ice::{Candidate, CandidateType};
///
/// let text = "candidate:1 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998 generation 0";
/// let candidate: Candidate = text.parse()?;
/// assert_eq!(candidate.kind, CandidateType::ServerReflexive);
/// assert_eq!(candidate.extension("generation"), Some("0"));
/// assert_eq!(candidate.to_string(), text);
/// # Ok::<(), floe_sdp::ice::CandidateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// 1 to 32 ice-chars, equal for candidates of the same type, base and server.
    pub foundation: String,
    /// 1..=256; 1 is RTP, or all there is.
    pub component: u16,
    /// Transport protocol.
    pub transport: CandidateTransport,
    /// 1..=2³¹−1.
    pub priority: u32,
    /// Address.
    pub address: CandidateAddress,
    /// Port.
    pub port: u16,
    /// Type.
    pub kind: CandidateType,
    /// `raddr`: base of a reflexive, mapped address of a relayed candidate.
    pub related_address: Option<CandidateAddress>,
    /// `rport`.
    pub related_port: Option<u16>,
    /// `tcptype`, directly after the related address.
    pub tcp_type: Option<TcpType>,
    /// All other name/value pairs in order; a value may be empty.
    pub extensions: Vec<(String, String)>,
}

/// Transport protocol of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateTransport<S = String> {
    /// `udp`.
    Udp,
    /// `tcp`.
    Tcp,
    /// Any other token.
    Other(S),
}

/// Address of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CandidateAddress<S = String> {
    /// An IP address.
    Ip(IpAddr),
    /// A domain name (mDNS in browsers) or an address of unknown form.
    Name(S),
}

/// Type of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateType<S = String> {
    /// `host`.
    Host,
    /// `srflx`.
    ServerReflexive,
    /// `prflx`.
    PeerReflexive,
    /// `relay`.
    Relayed,
    /// Any other token.
    Other(S),
}

/// How a TCP candidate connects (RFC 6544 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpType {
    /// Opens the connection.
    Active,
    /// Waits for it.
    Passive,
    /// Both open at once.
    SimultaneousOpen,
}

/// Not a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CandidateError {
    /// Byte of the text where reading stopped.
    pub offset: usize,
}

impl fmt::Display for CandidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed candidate at byte {}", self.offset)
    }
}

impl core::error::Error for CandidateError {}

/// What a trickled message says: browsers deliver the end as a candidate of no characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrickledCandidate {
    /// One more candidate.
    Candidate(Candidate),
    /// There will be no more in this generation.
    EndOfCandidates,
}

impl FromStr for TrickledCandidate {
    type Err = CandidateError;

    /// Reads `candidate:…`, `a=candidate:…`, the empty text, `end-of-candidates` or
    /// `a=end-of-candidates`.
    fn from_str(text: &str) -> Result<Self, CandidateError> {
        match text {
            "" | "end-of-candidates" | "a=end-of-candidates" => Ok(Self::EndOfCandidates),
            _ => text.parse().map(Self::Candidate),
        }
    }
}

impl<S: AsRef<str>> CandidateTransport<S> {
    /// As it is written.
    pub fn name(&self) -> &str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Other(name) => name.as_ref(),
        }
    }
}

impl<S: AsRef<str>> fmt::Display for CandidateTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<S: AsRef<str>> fmt::Display for CandidateAddress<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name.as_ref()),
        }
    }
}

impl<S> From<IpAddr> for CandidateAddress<S> {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl<S: AsRef<str>> CandidateType<S> {
    /// As it is written.
    pub fn name(&self) -> &str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
            Self::Other(name) => name.as_ref(),
        }
    }
}

impl<S: AsRef<str>> fmt::Display for CandidateType<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TcpType {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        }
    }
}

impl fmt::Display for Candidate {
    /// Writes `candidate:…`, the form that browsers signal; `a=` makes it a line of SDP.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            foundation,
            component,
            transport,
            priority,
            address,
            port,
            kind,
            ..
        } = self;
        write!(
            f,
            "candidate:{foundation} {component} {transport} {priority} {address} {port} typ {kind}"
        )?;
        if let Some(address) = &self.related_address {
            write!(f, " raddr {address}")?;
        }
        if let Some(port) = self.related_port {
            write!(f, " rport {port}")?;
        }
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " tcptype {tcp_type}")?;
        }
        self.extensions
            .iter()
            .try_for_each(|(name, value)| write!(f, " {name} {value}"))
    }
}

impl FromStr for Candidate {
    type Err = CandidateError;

    /// Reads `candidate:…` or `a=candidate:…`, without line end.
    fn from_str(text: &str) -> Result<Self, CandidateError> {
        let read = |input| {
            let rest = <[u8]>::strip_prefix(input, b"a=").unwrap_or(input);
            let (rest, ()) = grammar::keyword(b"candidate:")(rest)?;
            CandidateRef::read(rest)
        };
        whole(text.as_bytes(), read)
            .map(Self::from)
            .map_err(|offset| CandidateError { offset })
    }
}

impl Candidate {
    /// The value of the first extension of this name.
    pub fn extension(&self, name: &str) -> Option<&str> {
        self.extensions
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether both are of the same component and transport, at the same address and port: then they
    /// are one candidate (RFC 8840 §4.4).
    pub fn is_at(&self, other: &Self) -> bool {
        self.place() == other.place()
    }

    /// What makes it this candidate: component, transport, address and port, in an order.
    pub(crate) fn place(&self) -> (u16, &str, &CandidateAddress, u16) {
        (
            self.component,
            self.transport.name(),
            &self.address,
            self.port,
        )
    }

    /// Whether the text of this candidate would be read back as this candidate; fields that the
    /// caller has filled may hold what the grammar does not allow.
    pub fn is_valid(&self) -> bool {
        self.to_string().parse().as_ref() == Ok(self)
    }
}

/// A candidate as it stands in a description: what [`Candidate`] keeps, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidateRef<'a> {
    /// 1 to 32 ice-chars.
    pub foundation: &'a str,
    /// 1..=256.
    pub component: u16,
    /// Transport protocol.
    pub transport: CandidateTransport<&'a str>,
    /// 1..=2³¹−1.
    pub priority: u32,
    /// Address.
    pub address: CandidateAddress<&'a str>,
    /// Port.
    pub port: u16,
    /// Type.
    pub kind: CandidateType<&'a str>,
    /// `raddr`.
    pub related_address: Option<CandidateAddress<&'a str>>,
    /// `rport`.
    pub related_port: Option<u16>,
    /// `tcptype`.
    pub tcp_type: Option<TcpType>,
    extensions: &'a str,
}

impl<'a> CandidateRef<'a> {
    /// All other name/value pairs in order; a value may be empty.
    pub fn extensions(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut words = self.extensions.split(' ').skip(1);
        core::iter::from_fn(move || Some((words.next()?, words.next()?)))
    }

    /// What stands after `candidate:`.
    pub(crate) fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, foundation) = grammar::text_of(grammar::ICE, 1, 32)(input)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, component) = grammar::number16(1, 256)(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, transport) = CandidateTransport::read(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, priority) = grammar::number32(1, i32::MAX as u32)(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, address) = address(rest)?;
        let (rest, ()) = grammar::space(rest)?;
        let (rest, port) = grammar::port(rest)?;
        let (rest, ()) = grammar::keyword(b" typ ")(rest)?;
        let (rest, kind) = CandidateType::read(rest)?;
        let mut candidate = Self {
            foundation,
            component,
            transport,
            priority,
            address,
            port,
            kind,
            related_address: None,
            related_port: None,
            tcp_type: None,
            extensions: "",
        };
        let rest = candidate.read_tail(rest)?.0;
        Ok((rest, candidate))
    }

    /// What may stand after the type.
    fn read_tail(&mut self, input: &'a [u8]) -> Parsed<'a, ()> {
        let mut rest = input;
        if let Ok((value, ())) = grammar::keyword(b" raddr ")(rest) {
            let (after, related) = address(value)?;
            (rest, self.related_address) = (after, Some(related));
        }
        if let Ok((value, ())) = grammar::keyword(b" rport ")(rest) {
            let (after, related) = grammar::port(value)?;
            (rest, self.related_port) = (after, Some(related));
        }
        if let Ok((value, ())) = grammar::keyword(b" tcptype ")(rest) {
            let (after, name) = grammar::token(value)?;
            match TcpType::of(name) {
                Some(tcp_type) => (rest, self.tcp_type) = (after, Some(tcp_type)),
                None => return grammar::fail(value),
            }
        }
        let extensions = rest;
        while let Ok((name, ())) = grammar::space(rest) {
            let (value, _) = grammar::token(name)?;
            let (value, ()) = grammar::space(value)?;
            rest = grammar::run_of(grammar::VISIBLE, 0, usize::MAX)(value)?.0;
        }
        let len = extensions.len() - rest.len();
        match core::str::from_utf8(extensions.get(..len).unwrap_or_default()) {
            Ok(text) => self.extensions = text,
            Err(_) => return grammar::fail(extensions),
        }
        Ok((rest, ()))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(out, &[self.foundation.as_bytes(), b" "]);
        put_number(out, self.component.into());
        put(out, &[b" ", self.transport.name().as_bytes(), b" "]);
        put_number(out, self.priority.into());
        out.push(b' ');
        self.address.write(out);
        out.push(b' ');
        put_number(out, self.port.into());
        put(out, &[b" typ ", self.kind.name().as_bytes()]);
        if let Some(address) = &self.related_address {
            out.extend_from_slice(b" raddr ");
            address.write(out);
        }
        if let Some(port) = self.related_port {
            out.extend_from_slice(b" rport ");
            put_number(out, port.into());
        }
        if let Some(tcp_type) = self.tcp_type {
            put(out, &[b" tcptype ", tcp_type.name().as_bytes()]);
        }
        out.extend_from_slice(self.extensions.as_bytes());
    }
}

impl From<CandidateRef<'_>> for Candidate {
    fn from(found: CandidateRef<'_>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let address = |address| match address {
            CandidateAddress::Ip(ip) => CandidateAddress::Ip(ip),
            CandidateAddress::Name(name) => CandidateAddress::Name(String::from(name)),
        };
        Self {
            foundation: found.foundation.to_owned(),
            component: found.component,
            transport: match found.transport {
                CandidateTransport::Udp => CandidateTransport::Udp,
                CandidateTransport::Tcp => CandidateTransport::Tcp,
                CandidateTransport::Other(name) => CandidateTransport::Other(name.to_owned()),
            },
            priority: found.priority,
            address: address(found.address),
            port: found.port,
            kind: match found.kind {
                CandidateType::Host => CandidateType::Host,
                CandidateType::ServerReflexive => CandidateType::ServerReflexive,
                CandidateType::PeerReflexive => CandidateType::PeerReflexive,
                CandidateType::Relayed => CandidateType::Relayed,
                CandidateType::Other(name) => CandidateType::Other(name.to_owned()),
            },
            related_address: found.related_address.map(address),
            related_port: found.related_port,
            tcp_type: found.tcp_type,
            extensions: found.extensions().map(owned).collect(),
        }
    }
}

fn address(input: &[u8]) -> Parsed<'_, CandidateAddress<&str>> {
    let (rest, text) = grammar::visible(input)?;
    Ok((rest, CandidateAddress::of(text)))
}

impl<'a> CandidateAddress<&'a str> {
    fn of(text: &'a str) -> Self {
        grammar::ip(text).map_or(Self::Name(text), Self::Ip)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ip(ip) => put_ip(out, *ip),
            Self::Name(name) => out.extend_from_slice(name.as_bytes()),
        }
    }
}

impl<'a> CandidateTransport<&'a str> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, name) = grammar::run_of(grammar::TOKEN, 1, usize::MAX)(input)?;
        Ok(match name {
            _ if name.eq_ignore_ascii_case(b"udp") => (rest, Self::Udp),
            _ if name.eq_ignore_ascii_case(b"tcp") => (rest, Self::Tcp),
            _ => grammar::token(input).map(|(rest, name)| (rest, Self::Other(name)))?,
        })
    }
}

impl<'a> CandidateType<&'a str> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, name) = grammar::run_of(grammar::TOKEN, 1, usize::MAX)(input)?;
        Ok(match name {
            _ if name.eq_ignore_ascii_case(b"host") => (rest, Self::Host),
            _ if name.eq_ignore_ascii_case(b"srflx") => (rest, Self::ServerReflexive),
            _ if name.eq_ignore_ascii_case(b"prflx") => (rest, Self::PeerReflexive),
            _ if name.eq_ignore_ascii_case(b"relay") => (rest, Self::Relayed),
            _ => grammar::token(input).map(|(rest, name)| (rest, Self::Other(name)))?,
        })
    }
}

impl TcpType {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "active" => Self::Active,
            "passive" => Self::Passive,
            "so" => Self::SimultaneousOpen,
            _ => return None,
        })
    }
}

/// `remote-candidates`: the pairs that the controlling side has selected (RFC 8839 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteCandidates<'a>(&'a str);

/// One of the [`RemoteCandidates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteCandidate<'a> {
    /// 1..=256.
    pub component: u16,
    /// Address.
    pub address: CandidateAddress<&'a str>,
    /// Port.
    pub port: u16,
}

impl<'a> RemoteCandidates<'a> {
    /// Candidates to be written: component, address and port, with one space everywhere.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The candidates in order.
    pub fn iter(self) -> impl Iterator<Item = RemoteCandidate<'a>> + use<'a> {
        let mut words = self.0.split(' ');
        core::iter::from_fn(move || {
            Some(RemoteCandidate {
                component: words.next()?.parse().ok()?,
                address: CandidateAddress::of(words.next()?),
                port: words.next()?.parse().ok()?,
            })
        })
    }

    pub(crate) fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let one = |input| {
            let (rest, _) = grammar::number16(1, 256)(input)?;
            let (rest, ()) = grammar::space(rest)?;
            let (rest, _) = grammar::visible(rest)?;
            let (rest, ()) = grammar::space(rest)?;
            grammar::port(rest)
        };
        let (rest, text) = grammar::text_list(b' ', one)(input)?;
        Ok((rest, Self(text)))
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

//! `candidate` (RFC 8839 §5.1, RFC 6544 §4.5).

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use nom::Parser;
use nom::bytes::complete::{tag, tag_no_case, take_while};
use nom::combinator::{map_opt, opt};
use nom::multi::many0;
use nom::sequence::{preceded, terminated};

use crate::grammar::{self, Parsed, whole};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateTransport {
    /// `udp`.
    Udp,
    /// `tcp`.
    Tcp,
    /// Any other token.
    Other(String),
}

/// Address of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateAddress {
    /// An IP address.
    Ip(IpAddr),
    /// A domain name (mDNS in browsers) or an address of unknown form.
    Name(String),
}

/// Type of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateType {
    /// `host`.
    Host,
    /// `srflx`.
    ServerReflexive,
    /// `prflx`.
    PeerReflexive,
    /// `relay`.
    Relayed,
    /// Any other token.
    Other(String),
}

/// How a TCP candidate connects (RFC 6544 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl fmt::Display for CandidateTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for CandidateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<IpAddr> for CandidateAddress {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl fmt::Display for CandidateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        })
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
        let prefix = (
            opt(tag("a=".as_bytes())),
            tag_no_case("candidate:".as_bytes()),
        );
        whole(text.as_bytes(), preceded(prefix, candidate_value))
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

    /// Whether the text of this candidate would be read back as this candidate; fields that the
    /// caller has filled may hold what the grammar does not allow.
    pub fn is_valid(&self) -> bool {
        self.to_string().parse().as_ref() == Ok(self)
    }
}

fn address(input: &[u8]) -> Parsed<'_, CandidateAddress> {
    let read = |text: &str| match text.parse() {
        Ok(ip) => CandidateAddress::Ip(ip),
        Err(_) => CandidateAddress::Name(text.to_owned()),
    };
    grammar::visible.map(read).parse(input)
}

fn transport(input: &[u8]) -> Parsed<'_, CandidateTransport> {
    let read = |text: &str| match text {
        _ if text.eq_ignore_ascii_case("udp") => CandidateTransport::Udp,
        _ if text.eq_ignore_ascii_case("tcp") => CandidateTransport::Tcp,
        _ => CandidateTransport::Other(text.to_owned()),
    };
    grammar::token.map(read).parse(input)
}

fn kind(input: &[u8]) -> Parsed<'_, CandidateType> {
    let read = |text: &str| match text {
        _ if text.eq_ignore_ascii_case("host") => CandidateType::Host,
        _ if text.eq_ignore_ascii_case("srflx") => CandidateType::ServerReflexive,
        _ if text.eq_ignore_ascii_case("prflx") => CandidateType::PeerReflexive,
        _ if text.eq_ignore_ascii_case("relay") => CandidateType::Relayed,
        _ => CandidateType::Other(text.to_owned()),
    };
    grammar::token.map(read).parse(input)
}

fn tcp_type(name: &str) -> Option<TcpType> {
    Some(match name {
        "active" => TcpType::Active,
        "passive" => TcpType::Passive,
        "so" => TcpType::SimultaneousOpen,
        _ => return None,
    })
}

/// What stands after `candidate:`.
pub(crate) fn candidate_value(input: &[u8]) -> Parsed<'_, Candidate> {
    let word = |name: &'static str| {
        (
            tag(" ".as_bytes()),
            tag_no_case(name.as_bytes()),
            tag(" ".as_bytes()),
        )
    };
    let component = map_opt(grammar::number(1, 256), |number| u16::try_from(number).ok());
    let (rest, (foundation, component, transport, priority, address_, port)) = (
        terminated(grammar::ice_chars(1, 32), grammar::space),
        terminated(component, grammar::space),
        terminated(transport, grammar::space),
        terminated(grammar::number32(1, i32::MAX as u32), grammar::space),
        terminated(address, grammar::space),
        grammar::port,
    )
        .parse(input)?;
    let value = grammar::text_of(take_while(|byte: u8| byte.is_ascii_graphic()));
    let extension = (
        preceded(grammar::space, grammar::token),
        preceded(grammar::space, value),
    );
    let (rest, (kind, related_address, related_port, tcp_type, extensions)) = (
        preceded(word("typ"), kind),
        opt(preceded(word("raddr"), address)),
        opt(preceded(word("rport"), grammar::port)),
        opt(preceded(word("tcptype"), map_opt(grammar::token, tcp_type))),
        many0(extension.map(|(name, value)| (name.to_owned(), value.to_owned()))),
    )
        .parse(rest)?;
    let candidate = Candidate {
        foundation: foundation.to_owned(),
        component,
        transport,
        priority,
        address: address_,
        port,
        kind,
        related_address,
        related_port,
        tcp_type,
        extensions,
    };
    Ok((rest, candidate))
}

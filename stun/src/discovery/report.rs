//! What was found out, in the terms of RFC 4787.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use crate::attributes::StatusCode;

/// One part of a [`Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finding<T> {
    /// This is how it is.
    Known(T),
    /// It was not asked for, or there is nothing to test.
    #[default]
    NotTested,
    /// It could not be found out.
    Failed(Failure),
}

impl<T: Copy> Finding<T> {
    /// What is known.
    pub const fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }
}

/// As its value, "not tested", or the reason of the failure.
impl<T: fmt::Display> fmt::Display for Finding<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::NotTested => f.pad("not tested"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// Why something could not be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// No response came where one was needed.
    Timeout,
    /// The server lacks what the test needs: it told no other address, or knows no CHANGE-REQUEST,
    /// RESPONSE-PORT or PADDING (RFC 5780 §5).
    Unsupported,
    /// The server refused.
    Rejected(StatusCode),
    /// The response holds no mapped address, or an attribute that must be understood and is not.
    Unusable,
    /// The server wants credentials, and there are none or they are refused.
    Credentials,
    /// The owner could open no socket.
    NoSocket,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.pad("failed: no response"),
            Self::Unsupported => f.pad("failed: not supported by the server"),
            Self::Rejected(code) => write!(f, "failed: rejected with {code:?}"),
            Self::Unusable => f.pad("failed: the response is of no use"),
            Self::Credentials => f.pad("failed: the server wants credentials"),
            Self::NoSocket => f.pad("failed: no socket"),
        }
    }
}

/// On what of the other side a mapping or a filter depends (RFC 4787 §4.1, §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependence {
    /// On nothing.
    EndpointIndependent,
    /// On the IP address.
    AddressDependent,
    /// On address and port.
    AddressAndPortDependent,
}

impl Dependence {
    /// Its name: the RFC's, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        }
    }
}

impl fmt::Display for Dependence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What becomes of a packet from the inside to an external address of the NAT (RFC 4787 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hairpinning {
    /// It is lost.
    Unsupported,
    /// It arrives, with its internal source address.
    InternalSource,
    /// It arrives, with an external source address (REQ-9a).
    ExternalSource,
}

impl Hairpinning {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::InternalSource => "internal-source",
            Self::ExternalSource => "external-source",
        }
    }
}

impl fmt::Display for Hairpinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How long a binding lives without traffic: not less than it was seen alive, and less than it was seen
/// expired, give or take two round trips, and retransmissions where packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// It was alive after this.
    pub at_least: Duration,
    /// It was gone after this; `None` if it outlived the search.
    pub less_than: Option<Duration>,
}

/// In seconds.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.at_least.as_secs_f32();
        match self.less_than {
            Some(to) => write!(f, "{from} s to {} s", to.as_secs_f32()),
            None => write!(f, "{from} s or more"),
        }
    }
}

/// What lies between this host and the server. It is true of these sockets at this time, and of others
/// perhaps (RFC 5780 §1): a program must work where it is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Whether UDP gets to the server and back; if not, nothing else is tested.
    pub udp: Finding<bool>,
    /// Where the server sees the first socket.
    pub mapped: Finding<SocketAddr>,
    /// Whether that is another address than the socket's own.
    pub nat: Finding<bool>,
    /// Whether the port is the socket's own.
    pub port_preserved: Finding<bool>,
    /// Which packets share a mapping.
    pub mapping: Finding<Dependence>,
    /// Who is let in.
    pub filtering: Finding<Dependence>,
    /// Whether two hosts behind the NAT reach each other by their mapped addresses.
    pub hairpinning: Finding<Hairpinning>,
    /// How long a binding lives.
    pub lifetime: Finding<Lifetime>,
    /// Whether datagrams larger than the MTU arrive, both ways.
    pub fragments: Finding<bool>,
    /// Whether something on the way rewrites addresses inside packets.
    pub alg: Finding<bool>,
}

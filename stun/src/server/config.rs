//! What a Binding server is told at birth.

use alloc::string::String;
use core::fmt;
use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use floe_sansio::Transport;

use super::{Access, Budget};
use crate::attribute::Attribute;
use crate::attributes::{AlternateDomain, ChangeRequest, Software};

/// What a [`Server`](crate::Server) does beyond RFC 8489 §12.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Behaviour discovery (RFC 5780); `None` knows none of its attributes.
    pub behaviour: Option<BehaviourService>,
    /// SOFTWARE in every answer. RFC 8489 §6.3.1.1 recommends it; off by default, since an answer to a
    /// stranger should be no larger than it must.
    pub software: Option<String>,
    /// Whether clients of RFC 3489 are answered over UDP (RFC 8489 §11, RFC 5389 §12.2).
    pub classic: bool,
    /// Whether other protocols share the port: then FINGERPRINT is used (RFC 8489 §7), so that a
    /// message without one is dropped and every answer has one.
    pub multiplexed: bool,
    /// Whether DTLS is served (RFC 8489 §6.2.3).
    pub dtls: bool,
    /// How often requests that nobody has signed are answered; `None` is without end.
    pub budget: Option<Budget>,
    /// Whom it answers.
    pub access: Access,
    /// Where users are sent instead (RFC 8489 §10); never strangers, so that there must be users.
    pub redirect: Option<Redirect>,
}

/// Another server (RFC 8489 §10). Users whose address family it lacks are answered here.
#[derive(Clone, Debug, Default)]
pub struct Redirect {
    /// Its IPv4 address.
    pub ipv4: Option<SocketAddrV4>,
    /// Its IPv6 address.
    pub ipv6: Option<SocketAddrV6>,
    /// The name in its certificate, if that is not the one of this server: a DNS name of up to 255
    /// ASCII characters.
    pub domain: Option<String>,
}

impl Redirect {
    /// Its address of the family of `source`, and the other one.
    pub fn addresses(&self, source: SocketAddr) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let ipv4 = self.ipv4.map(SocketAddr::V4);
        let ipv6 = self.ipv6.map(SocketAddr::V6);
        match source {
            SocketAddr::V4(_) => (ipv4, ipv6),
            SocketAddr::V6(_) => (ipv6, ipv4),
        }
    }
}

/// Nothing but §12, and the answers under [`Budget::DEFAULT`].
impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            budget: Some(Budget::DEFAULT),
            ..Self::BASIC
        }
    }
}

impl ServerConfig {
    /// Nothing but §12, and no budget.
    pub(super) const BASIC: Self = Self {
        behaviour: None,
        software: None,
        classic: false,
        multiplexed: false,
        dtls: false,
        budget: None,
        access: Access::Open,
        redirect: None,
    };

    /// Whether there can be such a server.
    pub fn check(&self) -> Result<(), ServerConfigError> {
        if self.classic {
            if self.multiplexed {
                return Err(ServerConfigError::ClassicMultiplexed);
            }
            if self.dtls {
                return Err(ServerConfigError::ClassicDtls);
            }
            if self.behaviour.is_some() {
                return Err(ServerConfigError::ClassicBehaviour);
            }
            if !self.access.is_open() {
                return Err(ServerConfigError::ClassicUsers);
            }
        }
        let sendable = |text: &String| Software(text).is_sendable();
        if !self.software.as_ref().is_none_or(sendable) {
            return Err(ServerConfigError::Software);
        }
        if let Some(redirect) = &self.redirect {
            if self.access.is_open() {
                return Err(ServerConfigError::RedirectOpen);
            }
            if self.behaviour.is_some() {
                return Err(ServerConfigError::RedirectBehaviour);
            }
            let fits = |name: &str| AlternateDomain(name).is_sendable();
            if !redirect.domain.as_deref().is_none_or(fits) {
                return Err(ServerConfigError::Domain);
            }
        }
        self.behaviour.map_or(Ok(()), |service| service.check())
    }
}

/// Where a server of RFC 5780 listens. A transport without an entry has one address: RESPONSE-PORT and
/// PADDING are served there, CHANGE-REQUEST is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BehaviourService {
    /// Over UDP.
    pub udp: Option<AddressGrid>,
    /// Over TCP: OTHER-ADDRESS is told, and a response cannot come from there.
    pub tcp: Option<AddressGrid>,
    /// Over TLS: the same.
    pub tls: Option<AddressGrid>,
    /// Whether SRV records name the server `stun-behavior` or `stun-behaviors`: it must then have two
    /// addresses (RFC 5780 §5, §6).
    pub advertised: bool,
}

impl BehaviourService {
    /// With two addresses over UDP.
    pub const fn udp(grid: AddressGrid) -> Self {
        Self {
            udp: Some(grid),
            tcp: None,
            tls: None,
            advertised: false,
        }
    }

    pub(super) const fn grid(&self, transport: Transport) -> Option<AddressGrid> {
        match transport {
            Transport::Udp => self.udp,
            Transport::Tcp => self.tcp,
            Transport::Tls => self.tls,
            _ => None,
        }
    }

    fn check(&self) -> Result<(), ServerConfigError> {
        if self.advertised && self.udp.or(self.tcp).or(self.tls).is_none() {
            return Err(ServerConfigError::OneAddress);
        }
        match (self.tcp, self.tls) {
            (Some(tcp), Some(tls)) if tcp.ports().iter().any(|port| tls.ports().contains(port)) => {
                Err(ServerConfigError::SharedPort)
            }
            _ => Ok(()),
        }
    }
}

/// Two IP addresses with the same two ports on each: A1:P1, A1:P2, A2:P1 and A2:P2 (RFC 5780 §6).
///
/// The owner listens on all four.
///
/// ```
/// use floe_stun::AddressGrid;
///
/// let primary = "192.0.2.1:3478".parse().unwrap();
/// let grid = AddressGrid::new(primary, "192.0.2.2:3479".parse().unwrap()).unwrap();
/// assert_eq!(grid.all().map(|address| address.to_string()), [
///     "192.0.2.1:3478", "192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.2:3479",
/// ]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressGrid {
    primary: SocketAddr,
    alternate: SocketAddr,
}

impl AddressGrid {
    /// A1:P1 and A2:P2; the other two follow.
    ///
    /// # Errors
    ///
    /// The two have an IP address or a port in common or are of two families; one has port 0 or no
    /// address in particular.
    pub fn new(primary: SocketAddr, alternate: SocketAddr) -> Result<Self, ServerConfigError> {
        let differ = primary.ip() != alternate.ip()
            && primary.port() != alternate.port()
            && primary.is_ipv4() == alternate.is_ipv4();
        let named = |address: SocketAddr| address.port() != 0 && !address.ip().is_unspecified();
        if differ && named(primary) && named(alternate) {
            Ok(Self { primary, alternate })
        } else {
            Err(ServerConfigError::Grid)
        }
    }

    /// All four.
    pub fn all(&self) -> [SocketAddr; 4] {
        let [p1, p2] = self.ports();
        let (a1, a2) = (self.primary.ip(), self.alternate.ip());
        [(a1, p1), (a1, p2), (a2, p1), (a2, p2)].map(SocketAddr::from)
    }

    const fn ports(&self) -> [u16; 2] {
        [self.primary.port(), self.alternate.port()]
    }

    /// Where a response leaves to a request that arrived on `local` (RFC 5780 table 1); `None` if
    /// that is none of the four.
    pub(super) fn origin(&self, local: SocketAddr, change: ChangeRequest) -> Option<SocketAddr> {
        let first_ip = side(local.ip(), self.primary.ip(), self.alternate.ip())?;
        let first_port = side(local.port(), self.primary.port(), self.alternate.port())?;
        let pick = |first: bool| if first { self.primary } else { self.alternate };
        Some(SocketAddr::new(
            pick(first_ip != change.ip).ip(),
            pick(first_port != change.port).port(),
        ))
    }
}

/// Whether it is the first of the two; `None` if it is neither.
fn side<T: Copy + PartialEq>(is: T, first: T, second: T) -> Option<bool> {
    if is == first {
        Some(true)
    } else {
        (is == second).then_some(false)
    }
}

/// Why there can be no such server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerConfigError {
    /// RFC 3489 where other protocols share the port (RFC 8489 §7, RFC 5389 §12.2): its messages
    /// cannot be told from theirs.
    ClassicMultiplexed,
    /// RFC 3489 over DTLS (RFC 8489 §11).
    ClassicDtls,
    /// RFC 3489 with behaviour discovery (RFC 5780 §3).
    ClassicBehaviour,
    /// RFC 3489 where users are wanted: its clients cannot say who they are.
    ClassicUsers,
    /// A redirection of everyone (RFC 8489 §14.8).
    RedirectOpen,
    /// A redirection with behaviour discovery (RFC 5780 §6.1).
    RedirectBehaviour,
    /// The domain of a redirection is no DNS name (RFC 8489 §14.16).
    Domain,
    /// SOFTWARE of 128 characters or more (RFC 8489 §14.14).
    Software,
    /// An [`AddressGrid`] needs two IP addresses of one family and two ports.
    Grid,
    /// TCP and TLS on one port (RFC 5780 §6).
    SharedPort,
    /// A server with one address must not be advertised (RFC 5780 §6).
    OneAddress,
}

impl fmt::Display for ServerConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClassicMultiplexed => "RFC 3489 clients cannot share a port with other protocols",
            Self::ClassicDtls => "RFC 3489 clients cannot be served over DTLS",
            Self::ClassicBehaviour => "RFC 3489 clients and behaviour discovery exclude each other",
            Self::ClassicUsers => "RFC 3489 clients cannot say who they are",
            Self::RedirectOpen => "only users can be sent to another server",
            Self::RedirectBehaviour => "redirection and behaviour discovery exclude each other",
            Self::Domain => "the domain of the other server is no DNS name",
            Self::Software => "SOFTWARE has 128 characters or more",
            Self::Grid => "behaviour discovery needs two IP addresses and two ports",
            Self::SharedPort => "TCP and TLS need different ports",
            Self::OneAddress => "a server with one address must not be advertised in SRV records",
        })
    }
}

impl core::error::Error for ServerConfigError {}

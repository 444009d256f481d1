//! The tests of RFC 5780 §4: what each sends from where, and where its answer may come from.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use super::report::Failure;
use crate::attributes::{ChangeRequest, StatusCode};

/// A test: one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Test {
    /// Test I of §4.2, §4.3 and §4.4: is there a server, and where does it see us?
    Connectivity,
    /// Filtering, test II: does an answer from another address and port arrive?
    FilteringAddress,
    /// Filtering, test III: does an answer from another port arrive?
    FilteringPort,
    /// Mapping, test II: where does another address see us?
    MappingAddress,
    /// Mapping, test III: where do another address and port see us?
    MappingPort,
    /// §3.5: does a datagram arrive that is larger than the MTU?
    Fragments,
    /// Where does the server see a second socket?
    Beside,
    /// §3.4: does what the second socket sends to our mapped address arrive?
    Hairpin,
    /// §4.6: a binding is made, to be left alone.
    Bind,
    /// §4.6: is it still there?
    Probe,
}

impl Test {
    /// Its name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connectivity => "connectivity",
            Self::FilteringAddress => "filtering-address",
            Self::FilteringPort => "filtering-port",
            Self::MappingAddress => "mapping-address",
            Self::MappingPort => "mapping-port",
            Self::Fragments => "fragments",
            Self::Beside => "beside",
            Self::Hairpin => "hairpin",
            Self::Bind => "bind",
            Self::Probe => "probe",
        }
    }

    pub(super) const fn socket(self) -> SocketRole {
        match self {
            Self::Beside | Self::Hairpin => SocketRole::Beside,
            Self::Bind => SocketRole::Idle,
            Self::Probe => SocketRole::Probe,
            _ => SocketRole::Main,
        }
    }

    /// From where the server is to answer.
    pub(super) const fn change(self) -> Option<ChangeRequest> {
        match self {
            Self::FilteringAddress => Some(ChangeRequest {
                ip: true,
                port: true,
            }),
            Self::FilteringPort => Some(ChangeRequest {
                ip: false,
                port: true,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What came of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A response came, which says where we were seen.
    Mapped(SocketAddr),
    /// A response came from the address that was asked, though another one was to answer.
    Unchanged,
    /// The request itself came back from this address: a hairpin.
    Looped(SocketAddr),
    /// The response came to the socket that was left alone for so long: its binding lives.
    Alive(Duration),
    /// It did not: the binding is gone.
    Expired(Duration),
    /// Nothing came.
    Silence,
    /// The server refused.
    Rejected(StatusCode),
    /// The test could not be made.
    Failed(Failure),
}

/// What a socket is for. All four are open at once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketRole {
    /// The one whose NAT behaviour is found out.
    Main,
    /// The other end of the hairpin.
    Beside,
    /// The one whose binding is left alone.
    Idle,
    /// The one that asks whether that binding still lives.
    Probe,
}

impl SocketRole {
    pub(super) const ALL: [Self; 4] = [Self::Main, Self::Beside, Self::Idle, Self::Probe];

    /// Its name in traces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Beside => "beside",
            Self::Idle => "idle",
            Self::Probe => "probe",
        }
    }
}

//! Why a request is refused.

use floe_stun::StatusCode;

use crate::policy::PeerRefusal;

macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident = $code:ident;)+) => {
        /// Why a [`Server`](super::Server) answered a request with an error; each is counted
        /// ([`Stats::refused`](super::Stats::refused)). Finer than the code that the client is told.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum RefuseReason {
            $($(#[$doc])+ $name,)+
        }

        impl RefuseReason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// What the client is told.
            pub const fn code(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$code,)+
                }
            }
        }
    };
}

reasons! {
    /// No credentials, or false ones (401).
    Unauthenticated = UNAUTHENTICATED;
    /// The nonce is not, or no longer, good (438).
    StaleNonce = STALE_NONCE;
    /// Malformed, or against the rules of the method (400).
    BadRequest = BAD_REQUEST;
    /// It has an attribute that must be understood and is not (420).
    UnknownAttribute = UNKNOWN_ATTRIBUTE;
    /// There is an allocation already, or none (437).
    Mismatch = ALLOCATION_MISMATCH;
    /// The allocation is another user's (441).
    WrongUser = WRONG_CREDENTIALS;
    /// A relayed transport that is not served (442).
    Transport = UNSUPPORTED_TRANSPORT;
    /// No relayed address of this family (440).
    Family = ADDRESS_FAMILY_NOT_SUPPORTED;
    /// A peer of another family than the relayed address (443).
    PeerFamily = PEER_ADDRESS_FAMILY_MISMATCH;
    /// A port of this server that is not open to this client (403).
    Forbidden = FORBIDDEN;
    /// [`PeerRefusal::NotUnicast`] (403).
    NotUnicast = FORBIDDEN;
    /// [`PeerRefusal::Tunnelled`] (403).
    Tunnelled = FORBIDDEN;
    /// [`PeerRefusal::Denied`] (403).
    Denied = FORBIDDEN;
    /// [`PeerRefusal::Protected`] (403).
    Protected = FORBIDDEN;
    /// [`PeerRefusal::SpecialPurpose`] (403).
    SpecialPurpose = FORBIDDEN;
    /// [`Limits::per_user`](super::Limits::per_user) (486).
    UserQuota = ALLOCATION_QUOTA_REACHED;
    /// [`Limits::per_address`](super::Limits::per_address) (486).
    SourceQuota = ALLOCATION_QUOTA_REACHED;
    /// [`Limits::allocations`](super::Limits::allocations) (508).
    Full = INSUFFICIENT_CAPACITY;
    /// No relayed port is free (508).
    NoPort = INSUFFICIENT_CAPACITY;
    /// A reserved port is not to be had (508).
    NoReservation = INSUFFICIENT_CAPACITY;
    /// [`Limits::permissions`](super::Limits::permissions) (508).
    Permissions = INSUFFICIENT_CAPACITY;
    /// [`Limits::channels`](super::Limits::channels) (508).
    Channels = INSUFFICIENT_CAPACITY;
    /// The server is [draining](super::Server::drain) (508).
    Draining = INSUFFICIENT_CAPACITY;
    /// Another server takes it ([`ServerConfig::alternate`](super::ServerConfig::alternate)) (300).
    Redirected = TRY_ALTERNATE;
    /// Allocations do not move here (405).
    Mobility = MOBILITY_FORBIDDEN;
    /// There is a connection to this peer, or one is being made (446).
    Connected = CONNECTION_ALREADY_EXISTS;
    /// The connection to the peer did not come about (447).
    NotConnected = CONNECTION_TIMEOUT;
    /// [`Limits::connections`](super::Limits::connections) (508).
    Connections = INSUFFICIENT_CAPACITY;
    /// The server contradicts itself (500).
    Internal = SERVER_ERROR;
}

impl From<PeerRefusal> for RefuseReason {
    fn from(refusal: PeerRefusal) -> Self {
        match refusal {
            PeerRefusal::NotUnicast => Self::NotUnicast,
            PeerRefusal::Tunnelled => Self::Tunnelled,
            PeerRefusal::Denied => Self::Denied,
            PeerRefusal::Protected => Self::Protected,
            PeerRefusal::SpecialPurpose => Self::SpecialPurpose,
        }
    }
}

//! The typed attributes.

mod address;
mod behavior;
mod domain;
mod error_code;
mod numbers;
mod opaque;
mod password_algorithm;
mod text;
mod turn;
mod unknown;
mod user_hash;

pub use address::{
    AlternateServer, MappedAddress, OtherAddress, ResponseOrigin, XorMappedAddress, XorPeerAddress,
    XorRelayedAddress,
};
pub use behavior::{ChangeRequest, Padding, ResponsePort};
pub use domain::AlternateDomain;
pub use error_code::{AddressErrorCode, ErrorCode, StatusCode};
pub use numbers::{ConnectionId, IceControlled, IceControlling, Lifetime, Priority, UseCandidate};
pub use opaque::{AccessToken, MobilityTicket};
pub use password_algorithm::{KeyDerivation, PasswordAlgorithm, PasswordAlgorithms};
pub use text::{Nonce, Realm, Software, ThirdPartyAuthorization, Username};
pub use turn::{
    AdditionalAddressFamily, AddressFamily, ChannelNumber, Data, DontFragment, EvenPort, Icmp,
    RequestedAddressFamily, RequestedTransport, ReservationToken,
};
pub use unknown::{UnknownAttributes, UnknownRequired};
pub use user_hash::UserHash;

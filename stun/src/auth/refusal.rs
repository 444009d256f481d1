//! What a server's side of authentication says of a request.

use crate::attributes::StatusCode;
use crate::builder::Builder;
use crate::integrity::{Algorithm, Key};

/// Why a server refuses a request, and with which code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// 401: no credentials, unknown user, or wrong password. In the long-term mechanism the response
    /// carries a challenge.
    Unauthenticated,
    /// 400: attributes that credentials consist of are missing or malformed, or the password
    /// algorithms are not those that were offered.
    BadRequest,
    /// 438: the nonce is not one of ours for this source, or too old. The response carries a
    /// challenge.
    StaleNonce,
}

impl Refusal {
    /// The code of the response.
    pub const fn code(self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHENTICATED,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::StaleNonce => StatusCode::STALE_NONCE,
        }
    }

    /// Whether the response of the long-term mechanism carries REALM and NONCE.
    pub const fn has_challenge(self) -> bool {
        !matches!(self, Self::BadRequest)
    }
}

/// What signs the response to a request that was authenticated.
#[derive(Clone, Debug)]
pub struct Seal {
    pub(super) key: Key,
    pub(super) algorithm: Algorithm,
}

impl Seal {
    /// The integrity attribute of the response.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that the request was signed with.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Appends the one integrity attribute that the response must have (RFC 8489 §9.1.3, §9.2.4).
    pub fn append<'b>(&self, builder: Builder<'b>) -> Builder<'b> {
        builder.with_integrity_by(self.algorithm, &self.key)
    }
}

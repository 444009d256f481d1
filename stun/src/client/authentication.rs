//! Which credential mechanism a client uses, if any.

use crate::attributes::{ErrorCode, StatusCode};
use crate::auth::{ChallengeError, LongTermClient, ShortTermClient, lacks_algorithms};
use crate::builder::Builder;
use crate::integrity::Algorithm;
use crate::message::Message;

/// How a client authenticates its requests, and what of the responses it believes.
#[derive(Clone, Debug, Default)]
#[allow(clippy::large_enum_variant)] // one a client
pub enum Authentication {
    /// Not at all.
    #[default]
    None,
    /// By a short-term credential (RFC 8489 §9.1).
    ShortTerm(ShortTermClient),
    /// By a long-term credential (RFC 8489 §9.2).
    LongTerm(LongTermClient),
}

/// How a request was authenticated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Whether it carried credentials.
    pub(super) authenticated: bool,
    /// Its only integrity attribute, in the short-term mechanism.
    algorithm: Option<Algorithm>,
}

/// What a response is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts.
    Believed,
    /// It asks for credentials, or for better ones.
    Challenge,
    /// Its integrity is missing or wrong.
    Forged,
    /// It counts as never received, and says nothing of integrity.
    Ignored,
}

impl Authentication {
    /// Whether there are no credentials.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The same credentials, for a server of which nothing is known.
    pub(super) fn afresh(&self) -> Self {
        let mut fresh = self.clone();
        if let Self::LongTerm(client) = &mut fresh {
            client.forget();
        }
        fresh
    }

    pub(super) fn authenticate<'b>(&self, builder: Builder<'b>) -> Builder<'b> {
        match self {
            Self::None => builder,
            Self::ShortTerm(client) => client.authenticate(builder),
            Self::LongTerm(client) => client.authenticate(builder),
        }
    }

    /// How a request that leaves now is authenticated.
    pub(super) const fn sent(&self) -> Sent {
        match self {
            Self::None => Sent {
                authenticated: false,
                algorithm: None,
            },
            Self::ShortTerm(client) => Sent {
                authenticated: true,
                algorithm: client.algorithm(),
            },
            Self::LongTerm(client) => Sent {
                authenticated: client.is_challenged(),
                algorithm: None,
            },
        }
    }

    pub(super) fn judge(&mut self, response: &Message<'_>, sent: Sent) -> Verdict {
        let error = response.get::<ErrorCode<'_>>().ok().flatten();
        let code = error.map(|error| error.code);
        let is_unsigned = !self.is_none() && response.integrity().is_none();
        if is_unsigned && code == Some(StatusCode::BAD_REQUEST) {
            // Whoever cannot read the request cannot sign either (RFC 8489 §9.2.5, §14.8).
            return Verdict::Ignored;
        }
        let genuine = match self {
            Self::None => true,
            Self::ShortTerm(client) => client.verify(response, sent.algorithm),
            Self::LongTerm(client) => match code {
                Some(StatusCode::UNAUTHENTICATED | StatusCode::STALE_NONCE) => {
                    return Verdict::Challenge;
                }
                _ if lacks_algorithms(response) => return Verdict::Ignored,
                _ => sent.authenticated && client.verify(response),
            },
        };
        if genuine {
            Verdict::Believed
        } else {
            Verdict::Forged
        }
    }

    pub(super) fn challenge(
        &mut self,
        response: &Message<'_>,
        sent: Sent,
    ) -> Result<(), ChallengeError> {
        match self {
            Self::LongTerm(client) => client.challenge(response, sent.authenticated),
            _ => Err(ChallengeError::NotAChallenge),
        }
    }
}

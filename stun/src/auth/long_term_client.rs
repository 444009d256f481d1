//! The client's side of the long-term credential mechanism (RFC 8489 §9.2.3, §9.2.5).

use alloc::boxed::Box;
use alloc::string::String;

use super::credentials::{Credentials, Secret};
use super::nonce::SecurityFeatures;
use crate::attribute::Attribute;
use crate::attributes::{
    ErrorCode, KeyDerivation, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, StatusCode,
    UserHash, Username,
};
use crate::builder::Builder;
use crate::integrity::{Algorithm, Key};
use crate::message::Message;

/// Why a client does not try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChallengeError {
    /// The response is not a challenge: neither 401 nor 438.
    NotAChallenge,
    /// The challenge lacks REALM or NONCE, or they are malformed.
    Incomplete,
    /// The server refused these credentials (RFC 8489 §9.2.5: no retry with the same).
    Refused,
    /// The nonce announces password algorithms but the list is missing: somebody on the way cut it
    /// out (RFC 8489 §9.2.5).
    BidDown,
    /// The server offers no password algorithm that this client may use.
    NoAlgorithm,
}

impl core::fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotAChallenge => "the response is no challenge",
            Self::Incomplete => "the challenge lacks a usable realm or nonce",
            Self::Refused => "the server refused the credentials",
            Self::BidDown => "the list of password algorithms was cut out on the way",
            Self::NoAlgorithm => "the server offers no password algorithm that may be used",
        })
    }
}

impl core::error::Error for ChallengeError {}

/// Which of the offered password algorithms a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// The first one that it knows, in the server's order (RFC 8489 §9.2.5).
    #[default]
    First,
    /// SHA-256 if it is on the list (RFC 8656 §6).
    Strongest,
    /// SHA-256 or none: also an offer without a list, which means MD5, is declined.
    Sha256Only,
}

/// Answers challenges, authenticates requests, and knows genuine responses.
#[derive(Clone, Debug)]
pub struct LongTermClient {
    credentials: Credentials,
    choice: Choice,
    session: Option<Session>,
}

/// What is known of the server.
#[derive(Clone, Debug)]
struct Session {
    realm: String,
    /// Hidden from `Debug`.
    nonce: Secret,
    key: Key,
    derivation: KeyDerivation,
    /// The server's list, to be echoed; a server of RFC 5389 has none.
    algorithms: Option<Box<[u8]>>,
    hash: Option<UserHash>,
}

impl LongTermClient {
    /// Knows the credentials and nothing of the server.
    pub const fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            choice: Choice::First,
            session: None,
        }
    }

    /// The same with another choice of password algorithms.
    #[must_use]
    pub const fn with_choice(mut self, choice: Choice) -> Self {
        self.choice = choice;
        self
    }

    /// Forgets what is known of the server: the next request is a first one (RFC 8489 §9.2.3.1).
    pub fn forget(&mut self) {
        self.session = None;
    }

    /// Whether requests are authenticated already, i.e. a challenge was answered.
    pub const fn is_challenged(&self) -> bool {
        self.session.is_some()
    }

    /// The key of this session, once a realm is known.
    pub fn key(&self) -> Option<&Key> {
        self.session.as_ref().map(|session| &session.key)
    }

    /// Takes a 401 or 438 response. `Ok` means: send the request again, in a new transaction. After an
    /// error everything is as before.
    ///
    /// `authenticated` says whether the request that was answered carried credentials: a 401 to one
    /// that did, for the same realm, is final (RFC 8489 §9.2.5).
    pub fn challenge(
        &mut self,
        response: &Message<'_>,
        authenticated: bool,
    ) -> Result<(), ChallengeError> {
        let error = response.get::<ErrorCode<'_>>().ok().flatten();
        let stale = match error.map(|error| error.code) {
            Some(StatusCode::STALE_NONCE) => true,
            Some(StatusCode::UNAUTHENTICATED) => false,
            _ => return Err(ChallengeError::NotAChallenge),
        };
        let (Ok(Some(Realm(realm))), Ok(Some(Nonce(nonce)))) =
            (response.get::<Realm<'_>>(), response.get::<Nonce<'_>>())
        else {
            return Err(ChallengeError::Incomplete);
        };
        if !Realm(realm).is_sendable() || !Nonce(nonce).is_sendable() {
            return Err(ChallengeError::Incomplete);
        }
        let features = SecurityFeatures::of(nonce).unwrap_or_default();
        let Ok(algorithms) = response.get::<PasswordAlgorithms<'_>>() else {
            return Err(ChallengeError::Incomplete);
        };
        if features.password_algorithms && algorithms.is_none() {
            return Err(ChallengeError::BidDown);
        }
        let derivation = self.derivation(algorithms)?;
        let same = self.session.as_ref().filter(|known| known.realm == realm);
        if same.is_some() && authenticated && !stale {
            return Err(ChallengeError::Refused);
        }
        let Credentials { username, password } = &self.credentials;
        let key = match same {
            Some(known) if known.derivation == derivation => known.key.clone(),
            _ => Key::long_term_by(derivation, username, realm, password.expose()),
        };
        let anonymous = features.username_anonymity;
        self.session = Some(Session {
            realm: realm.into(),
            nonce: nonce.into(),
            key,
            derivation,
            algorithms: algorithms.map(|list| list.as_bytes().into()),
            hash: anonymous.then(|| UserHash::of(username, realm)),
        });
        Ok(())
    }

    fn derivation(
        &self,
        offered: Option<PasswordAlgorithms<'_>>,
    ) -> Result<KeyDerivation, ChallengeError> {
        let mut offered = match offered {
            Some(list) => list.iter(),
            // A server of RFC 5389 knows nothing but MD5.
            None if self.choice == Choice::Sha256Only => return Err(ChallengeError::NoAlgorithm),
            None => return Ok(KeyDerivation::Md5),
        }
        .filter_map(PasswordAlgorithm::derivation);
        let chosen = match self.choice {
            Choice::First => offered.next(),
            Choice::Strongest => offered.max(),
            Choice::Sha256Only => offered.find(|&one| one == KeyDerivation::Sha256),
        };
        chosen.ok_or(ChallengeError::NoAlgorithm)
    }

    /// Appends USERNAME or USERHASH, REALM, NONCE, the password algorithms where there are some, and
    /// integrity, if a challenge has been answered; the first request carries none of them
    /// (RFC 8489 §9.2.3.1). An indication cannot be built so.
    pub fn authenticate<'b>(&self, builder: Builder<'b>) -> Builder<'b> {
        let Some(session) = &self.session else {
            return builder;
        };
        let builder = builder.requests_only();
        let builder = match &session.hash {
            Some(hash) => builder.with(hash),
            None => builder.with(&Username(&self.credentials.username)),
        };
        let mut builder = builder
            .with(&Realm(&session.realm))
            .with(&Nonce(session.nonce.expose()));
        if let Some(list) = session.algorithms.as_deref() {
            builder = builder
                .with_some(PasswordAlgorithms::from_bytes(list).as_ref())
                .with(&PasswordAlgorithm::of(session.derivation));
        }
        builder.with_integrity_by(session.integrity(), &session.key)
    }

    /// Whether a response to an authenticated request is genuine: it has the integrity attribute that
    /// requests carry, and nobody cut the password algorithms out (RFC 8489 §9.2.5).
    pub fn verify(&self, response: &Message<'_>) -> bool {
        let Some(session) = &self.session else {
            return false;
        };
        !lacks_algorithms(response)
            && response.integrity() == Some(session.integrity())
            && response.verify(&session.key, session.integrity())
    }
}

impl Session {
    /// Whoever offers password algorithms knows SHA-256, and then nothing else counts
    /// (RFC 8489 §9.2.5).
    const fn integrity(&self) -> Algorithm {
        match self.algorithms {
            Some(_) => Algorithm::Sha256,
            None => Algorithm::Sha1,
        }
    }
}

/// Whether a response announces password algorithms that it does not list: it must be ignored
/// (RFC 8489 §9.2.5).
pub fn lacks_algorithms(response: &Message<'_>) -> bool {
    let nonce = response.get::<Nonce<'_>>().ok().flatten();
    nonce
        .and_then(|Nonce(nonce)| SecurityFeatures::of(nonce))
        .is_some_and(|features| features.password_algorithms)
        && !matches!(response.get::<PasswordAlgorithms<'_>>(), Ok(Some(_)))
}

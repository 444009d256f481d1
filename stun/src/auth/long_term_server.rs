//! The server's side of the long-term credential mechanism (RFC 8489 §9.2.4).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::Instant;

use super::nonce::{NonceRing, SecurityFeatures};
use super::refusal::{Refusal, Seal};
use super::users::{User, UserAnswer, UserName, UserQuery, Users};
use crate::attributes::{
    KeyDerivation, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, UserHash, Username,
};
use crate::builder::Builder;
use crate::integrity::{Algorithm, Key};
use crate::message::Message;
use crate::prepare::{PrepareError, Profile};

/// What a [`LongTermServer`] is told at birth.
#[derive(Clone, Debug)]
pub struct LongTermConfig {
    /// Whose credentials are wanted: best the domain name of the provider (RFC 8489 §9.2.4).
    pub realm: String,
    /// How long a nonce is good; an hour at most says RFC 8656 §5.
    pub nonce_lifetime: Duration,
    /// The password algorithms that are offered, best first; if there is none, the feature is off and
    /// every key is made with MD5.
    pub algorithms: Vec<KeyDerivation>,
    /// Whether users are named by USERHASH, so that nobody on the way learns who they are. Needs
    /// [`Users`] that can find them so.
    pub anonymity: bool,
    /// Whether a client that knows no password algorithms may use MD5 where some are offered
    /// (RFC 8489 §9.2.4).
    pub legacy: bool,
}

impl LongTermConfig {
    /// SHA-256 and MD5, legacy clients too, no anonymity, nonces good for an hour. The realm is used as
    /// it is given; what a person typed goes through [`Self::prepared`].
    pub fn new(realm: &str) -> Self {
        Self {
            realm: realm.into(),
            nonce_lifetime: Duration::from_secs(3600),
            algorithms: [KeyDerivation::Sha256, KeyDerivation::Md5].into(),
            anonymity: false,
            legacy: true,
        }
    }

    /// As [`Self::new`], of a realm as a person typed it: it is prepared as `OpaqueString` (RFC 8489
    /// §14.9). What is not ASCII needs the feature `unicode`.
    ///
    /// # Errors
    ///
    /// If the realm cannot be prepared.
    pub fn prepared(realm: &str) -> Result<Self, PrepareError> {
        let realm = Profile::OpaqueString.prepare(realm)?;
        Ok(Self::new(realm.as_str()))
    }
}

/// Challenges, and checks the answers; it keeps nothing for a source that is not authenticated.
///
/// The nonce holds its time of issue and a MAC over that time, the features, the source address and the
/// realm. It is checked before the user is looked up, so that a forged source never reaches the user
/// base. (A deviation from the order in RFC 8489 §9.2.4: a request with an unknown user *and* a stale
/// nonce is answered 438, not 401.)
#[derive(Clone, Debug)]
pub struct LongTermServer {
    realm: String,
    nonces: NonceRing,
    /// The value of PASSWORD-ALGORITHMS; empty if the feature is off.
    algorithms: Vec<u8>,
    anonymity: bool,
    legacy: bool,
    /// What an unknown user is checked against.
    nobody: Key,
}

/// A request that is well formed and fresh; whether it is genuine depends on the user's key.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'m> {
    /// Who it says it comes from.
    pub name: UserName<'m>,
    /// How the key is made.
    pub derivation: KeyDerivation,
    realm_fits: bool,
    /// The integrity attribute that decides.
    integrity: Algorithm,
    /// The one that the response will have.
    response: Algorithm,
}

/// What became of a request.
#[allow(clippy::large_enum_variant)] // it lives for a moment, on the stack
#[derive(Clone, Debug)]
pub enum Checked<'m> {
    /// It is genuine.
    Authenticated {
        /// The user who sent it, as [`Users`] calls it.
        id: u64,
        /// What signs the response.
        seal: Seal,
    },
    /// [`Users`] will know later: see [`LongTermServer::verify`].
    Later(Claim<'m>),
}

impl LongTermServer {
    /// A server whose nonces are sealed with keys from `seed`.
    pub fn new(config: &LongTermConfig, seed: [u8; 32], now: Instant) -> Self {
        let features = SecurityFeatures {
            password_algorithms: !config.algorithms.is_empty(),
            username_anonymity: config.anonymity,
        };
        let number = |one: &KeyDerivation| {
            let [high, low] = one.number().to_be_bytes();
            [high, low, 0, 0]
        };
        Self {
            realm: config.realm.clone(),
            nonces: NonceRing::new(seed, features, config.nonce_lifetime, now),
            algorithms: config.algorithms.iter().flat_map(number).collect(),
            anonymity: config.anonymity,
            legacy: config.legacy,
            nobody: Key::new(&seed),
        }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Notes the time, so that the keys of the nonces are at hand; nothing else depends on it.
    pub fn advance(&mut self, now: Instant) {
        self.nonces.advance(now);
    }

    /// Checks a request from `source`.
    pub fn check<'m>(
        &self,
        now: Instant,
        source: SocketAddr,
        request: &Message<'m>,
        users: &impl Users,
    ) -> Result<Checked<'m>, Refusal> {
        let claim = self.claim(now, source, request)?;
        let query = UserQuery {
            now,
            realm: &self.realm,
            name: claim.name,
            derivation: claim.derivation,
        };
        let user = match users.find(&query) {
            UserAnswer::Known(user) => Some(user),
            UserAnswer::Unknown => None,
            UserAnswer::Later => return Ok(Checked::Later(claim)),
        };
        let (id, seal) = self.verify(request, &claim, user)?;
        Ok(Checked::Authenticated { id, seal })
    }

    /// The part of [`Self::check`] before the user is looked up.
    pub fn claim<'m>(
        &self,
        now: Instant,
        source: SocketAddr,
        request: &Message<'m>,
    ) -> Result<Claim<'m>, Refusal> {
        let Some(integrity) = request.integrity() else {
            return Err(Refusal::Unauthenticated);
        };
        let name = match request.get::<Username<'m>>() {
            Ok(Some(Username(name))) => UserName::Plain(name),
            Ok(None) if self.anonymity => match request.get::<UserHash>() {
                Ok(Some(hash)) => UserName::Hash(hash),
                _ => return Err(Refusal::BadRequest),
            },
            _ => return Err(Refusal::BadRequest),
        };
        let (Ok(Some(Realm(realm))), Ok(Some(Nonce(nonce)))) =
            (request.get::<Realm<'_>>(), request.get::<Nonce<'_>>())
        else {
            return Err(Refusal::BadRequest);
        };
        if !self.nonces.is_fresh(now, source, &self.realm, nonce) {
            return Err(Refusal::StaleNonce);
        }
        let chosen = self.chosen(request)?;
        Ok(Claim {
            name,
            derivation: chosen.unwrap_or(KeyDerivation::Md5),
            realm_fits: realm == self.realm,
            integrity,
            // What was processed as MD5 for lack of a choice is answered with SHA-1.
            response: match chosen {
                Some(_) => Algorithm::Sha256,
                None => Algorithm::Sha1,
            },
        })
    }

    /// The password algorithm that a request chose; `None` if it knows nothing of that.
    fn chosen(&self, request: &Message<'_>) -> Result<Option<KeyDerivation>, Refusal> {
        if self.algorithms.is_empty() {
            return Ok(None);
        }
        let list = request.get::<PasswordAlgorithms<'_>>();
        let choice = request.get::<PasswordAlgorithm<'_>>();
        match (list, choice) {
            (Ok(None), Ok(None)) if self.legacy => Ok(None),
            (Ok(None), Ok(None)) => Err(Refusal::Unauthenticated),
            (Ok(Some(list)), Ok(Some(choice)))
                if list.as_bytes() == self.algorithms && list.iter().any(|one| one == choice) =>
            {
                Ok(choice.derivation())
            }
            _ => Err(Refusal::BadRequest),
        }
    }

    /// The part of [`Self::check`] behind the look-up: whether `request`, whose claim this is, was signed
    /// by `user`. On success the id of the user and what signs the response.
    pub fn verify(
        &self,
        request: &Message<'_>,
        claim: &Claim<'_>,
        user: Option<User>,
    ) -> Result<(u64, Seal), Refusal> {
        let user = user.filter(|_| claim.realm_fits);
        // An unknown user takes as long as a known one: timing must not tell names apart.
        let key = user.as_ref().map_or(&self.nobody, |user| &user.key);
        let genuine = request.verify(key, claim.integrity);
        match user {
            Some(User { id, key }) if genuine => Ok((
                id,
                Seal {
                    key,
                    algorithm: claim.response,
                },
            )),
            _ => Err(Refusal::Unauthenticated),
        }
    }

    /// Appends REALM, a NONCE for `source` and, where the feature is on, PASSWORD-ALGORITHMS: the
    /// challenge of a 401 or 438 response.
    pub fn with_challenge<'b>(
        &self,
        builder: Builder<'b>,
        now: Instant,
        source: SocketAddr,
    ) -> Builder<'b> {
        let nonce = self.nonces.issue(now, source, &self.realm);
        let algorithms = PasswordAlgorithms::from_bytes(&self.algorithms);
        builder
            .with(&Realm(&self.realm))
            .with(&Nonce(nonce.as_str()))
            .with_some(algorithms.filter(|_| !self.algorithms.is_empty()).as_ref())
    }
}

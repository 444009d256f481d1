//! The short-term credential mechanism (RFC 8489 §9.1): both sides.

use super::credentials::Credentials;
use super::refusal::{Refusal, Seal};
use crate::attributes::Username;
use crate::builder::Builder;
use crate::integrity::{Algorithm, Key};
use crate::message::Message;

/// The client's side: it signs requests, knows genuine responses, and learns which integrity
/// attribute the server uses.
#[derive(Clone, Debug)]
pub struct ShortTermClient {
    username: alloc::string::String,
    key: Key,
    /// The only one to be used, if that is known.
    algorithm: Option<Algorithm>,
}

impl ShortTermClient {
    /// A client that knows nothing of the server: its first requests carry both integrity attributes
    /// (RFC 8489 §9.1.2).
    pub fn new(credentials: &Credentials) -> Self {
        Self {
            username: credentials.username.clone(),
            key: Key::short_term(credentials.password.expose()),
            algorithm: None,
        }
    }

    /// A client that has been told which integrity attribute to use, as in ICE (RFC 8489 §9.1.2).
    pub fn with_algorithm(credentials: &Credentials, algorithm: Algorithm) -> Self {
        Self {
            algorithm: Some(algorithm),
            ..Self::new(credentials)
        }
    }

    /// The integrity attribute that requests carry; `None` is both.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Appends USERNAME and integrity to a request or indication.
    pub fn authenticate<'b>(&self, builder: Builder<'b>) -> Builder<'b> {
        let builder = builder.with(&Username(&self.username));
        match self.algorithm {
            Some(algorithm) => builder.with_integrity_by(algorithm, &self.key),
            None => builder
                .with_integrity(&self.key)
                .with_integrity_sha256(&self.key),
        }
    }

    /// Whether a response is genuine. The first one that is decides which integrity attribute later
    /// requests carry (RFC 8489 §9.1.5); one with the other attribute is no more believed (§9.1.4).
    ///
    /// `sent` is what [`Self::algorithm`] was when the request left.
    pub fn verify(&mut self, response: &Message<'_>, sent: Option<Algorithm>) -> bool {
        let Some(algorithm) = response.integrity() else {
            return false;
        };
        if sent.is_some_and(|sent| sent != algorithm) || !response.verify(&self.key, algorithm) {
            return false;
        }
        self.algorithm.get_or_insert(algorithm);
        true
    }
}

/// Checks a request or indication that must carry short-term credentials (RFC 8489 §9.1.3). `key` finds
/// the key of a user name that is valid now.
///
/// A refused indication is dropped, a refused request answered with the code of the refusal and neither
/// integrity nor USERNAME; an accepted one is answered under the [`Seal`].
pub fn check_short_term(
    message: &Message<'_>,
    key: impl FnOnce(&str) -> Option<Key>,
) -> Result<Seal, Refusal> {
    let (Some(algorithm), Ok(Some(Username(name)))) = (message.integrity(), message.get()) else {
        return Err(Refusal::BadRequest);
    };
    let key = key(name).ok_or(Refusal::Unauthenticated)?;
    if message.verify(&key, algorithm) {
        Ok(Seal { key, algorithm })
    } else {
        Err(Refusal::Unauthenticated)
    }
}

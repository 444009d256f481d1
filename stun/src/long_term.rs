//! The long-term credential mechanism (RFC 8489 §9.2): both sides, as machines of their own.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::Instant;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::attribute::{Attribute, AttributeType};
use crate::attributes::{ErrorCode, Nonce, Realm, StatusCode, Username};
use crate::builder::Builder;
use crate::integrity::{Algorithm, Key};
use crate::message::Message;

/// What the nonce of a server begins with that knows RFC 8489 (§9.2).
const NONCE_COOKIE: &str = "obMatJos2";
/// No security feature in use: 24 zero bits.
const NO_FEATURES: &str = "AAAA";
/// Bit 0, "password algorithms", in the first of the four base64 characters: values 32 to 63.
fn announces_password_algorithms(nonce: &str) -> bool {
    nonce
        .strip_prefix(NONCE_COOKIE)
        .and_then(|features| features.bytes().next())
        .is_some_and(|first| matches!(first, b'g'..=b'z' | b'0'..=b'9' | b'+' | b'/'))
}

/// Text that is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A user name and its password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who.
    pub username: String,
    /// The proof.
    pub password: Secret,
}

impl Credentials {
    /// Names a user.
    pub fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }
}

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
}

/// The client's side: it answers challenges and authenticates requests.
#[derive(Clone, Debug)]
pub struct LongTermClient {
    credentials: Credentials,
    session: Option<Session>,
}

#[derive(Clone, Debug)]
struct Session {
    realm: String,
    /// Hidden from `Debug`.
    nonce: Secret,
    key: Key,
}

impl LongTermClient {
    /// Knows the credentials and nothing of the server.
    pub const fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            session: None,
        }
    }

    /// Whether requests are authenticated already, i.e. a challenge was answered.
    pub const fn is_challenged(&self) -> bool {
        self.session.is_some()
    }

    /// The key of this session, once a realm is known.
    pub fn key(&self) -> Option<&Key> {
        self.session.as_ref().map(|session| &session.key)
    }

    /// Takes a 401 or 438 response. `Ok` means: send the request again, in a new transaction.
    ///
    /// `authenticated` says whether the request that was answered carried credentials: a 401 to one
    /// that did, for the same realm, is final (RFC 8489 §9.2.5).
    pub fn challenge(
        &mut self,
        response: &Message<'_>,
        authenticated: bool,
    ) -> Result<(), ChallengeError> {
        let code = response
            .get::<ErrorCode<'_>>()
            .ok()
            .flatten()
            .map(|error| error.code);
        let stale = match code {
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
        let listed = response
            .attributes()
            .any(|raw| raw.kind == AttributeType::PASSWORD_ALGORITHMS);
        if announces_password_algorithms(nonce) && !listed {
            return Err(ChallengeError::BidDown);
        }
        match &mut self.session {
            Some(session) if session.realm == realm => {
                if !stale && authenticated {
                    return Err(ChallengeError::Refused);
                }
                session.nonce = nonce.into();
            }
            _ => {
                let Credentials { username, password } = &self.credentials;
                self.session = Some(Session {
                    realm: realm.into(),
                    nonce: nonce.into(),
                    key: Key::long_term(username, realm, password.expose()),
                });
            }
        }
        Ok(())
    }

    /// Appends USERNAME, REALM, NONCE and MESSAGE-INTEGRITY, if a challenge has been answered; the
    /// first request carries none of them (RFC 8489 §9.2.3.1).
    pub fn authenticate<'b>(&self, builder: Builder<'b>) -> Builder<'b> {
        match &self.session {
            Some(session) => builder
                .with(&Username(&self.credentials.username))
                .with(&Realm(&session.realm))
                .with(&Nonce(session.nonce.expose()))
                .with_integrity(&session.key),
            None => builder,
        }
    }

    /// Whether a response to an authenticated request is genuine.
    pub fn verify(&self, response: &Message<'_>) -> bool {
        match (&self.session, response.integrity()) {
            // Requests go out with SHA-1, so a response with another algorithm is not to be
            // believed (RFC 8489 §9.1.4).
            (Some(session), Some(Algorithm::Sha1)) => {
                response.verify(&session.key, Algorithm::Sha1)
            }
            _ => false,
        }
    }
}

/// Why a server refuses a request, and with which code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// 401: no credentials, unknown user, or wrong password. The response carries a challenge.
    Unauthenticated,
    /// 400: integrity without USERNAME, REALM or NONCE, or one of them malformed.
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

    /// Whether the response carries REALM and NONCE.
    pub const fn has_challenge(self) -> bool {
        !matches!(self, Self::BadRequest)
    }
}

/// The server's side: it keeps nothing for a source that is not authenticated.
///
/// The nonce holds its time of issue and a MAC over that time, the source address and the realm. It
/// is checked before the user is looked up, so that a forged source never reaches the user base.
/// (A deviation from the order in RFC 8489 §9.2.4: a request with an unknown user *and* a stale
/// nonce is answered 438, not 401.)
#[derive(Clone, Debug)]
pub struct LongTermServer {
    realm: String,
    secret: Key,
    nonce_lifetime: Duration,
}

/// Bytes of the MAC in a nonce.
const NONCE_MAC_LEN: usize = 8;
/// Characters of a nonce: cookie, features, 8 of time, two for each byte of the MAC.
const NONCE_LEN: usize = NONCE_COOKIE.len() + NO_FEATURES.len() + 8 + 2 * NONCE_MAC_LEN;

/// A nonce as text, without allocation.
#[derive(Clone, Copy)]
struct NonceText([u8; NONCE_LEN]);

impl NonceText {
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl LongTermServer {
    /// A server for `realm` whose nonces are sealed with `secret` and live for `nonce_lifetime`,
    /// which RFC 8656 §5 wants to be an hour at most.
    pub fn new(realm: &str, secret: [u8; 32], nonce_lifetime: Duration) -> Self {
        Self {
            realm: realm.into(),
            secret: Key::new(&secret),
            nonce_lifetime,
        }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Checks a request from `source`. `user` finds the key of a user by name.
    ///
    /// On success the name and key of the user who sent it.
    pub fn check<'m, 'k>(
        &self,
        now: Instant,
        source: SocketAddr,
        request: &Message<'m>,
        user: impl FnOnce(&str) -> Option<&'k Key>,
    ) -> Result<(&'m str, &'k Key), Refusal> {
        let Some(algorithm) = request.integrity() else {
            return Err(Refusal::Unauthenticated);
        };
        let (Ok(Some(Username(name))), Ok(Some(Realm(realm))), Ok(Some(Nonce(nonce)))) = (
            request.get::<Username<'m>>(),
            request.get::<Realm<'_>>(),
            request.get::<Nonce<'_>>(),
        ) else {
            return Err(Refusal::BadRequest);
        };
        if !self.is_fresh(now, source, nonce) {
            return Err(Refusal::StaleNonce);
        }
        let known = user(name).filter(|_| realm == self.realm);
        // An unknown user takes as long as a known one: timing must not tell names apart.
        let genuine = request.verify(known.unwrap_or(&self.secret), algorithm);
        match known {
            Some(key) if genuine => Ok((name, key)),
            _ => Err(Refusal::Unauthenticated),
        }
    }

    /// Appends REALM and a NONCE for `source`: the challenge of a 401 or 438 response.
    pub fn with_challenge<'b>(
        &self,
        builder: Builder<'b>,
        now: Instant,
        source: SocketAddr,
    ) -> Builder<'b> {
        let nonce = self.nonce(seconds(now), source);
        builder
            .with(&Realm(&self.realm))
            .with(&Nonce(nonce.as_str()))
    }

    fn nonce(&self, issued: u32, source: SocketAddr) -> NonceText {
        let ip = match source.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let mac = self.secret.sha1_of(&[
            &issued.to_be_bytes(),
            &ip,
            &source.port().to_be_bytes(),
            self.realm.as_bytes(),
        ]);
        let mut text = [0; NONCE_LEN];
        let prefix = NONCE_COOKIE.len() + NO_FEATURES.len();
        text[..NONCE_COOKIE.len()].copy_from_slice(NONCE_COOKIE.as_bytes());
        text[NONCE_COOKIE.len()..prefix].copy_from_slice(NO_FEATURES.as_bytes());
        let bytes = issued.to_be_bytes().into_iter().chain(mac);
        for (pair, byte) in text[prefix..].chunks_exact_mut(2).zip(bytes) {
            pair[0] = hex(byte >> 4);
            pair[1] = hex(byte & 0x0F);
        }
        NonceText(text)
    }

    fn is_fresh(&self, now: Instant, source: SocketAddr, nonce: &str) -> bool {
        let prefix = NONCE_COOKIE.len() + NO_FEATURES.len();
        let Some(issued) = nonce
            .get(prefix..prefix + 8)
            .and_then(|time| u32::from_str_radix(time, 16).ok())
        else {
            return false;
        };
        let genuine: bool = self.nonce(issued, source).0.ct_eq(nonce.as_bytes()).into();
        let age = u64::from(seconds(now).wrapping_sub(issued));
        genuine && age <= self.nonce_lifetime.as_secs()
    }
}

/// Whole seconds, wrapping after 136 years; ages are differences, so wrapping does no harm.
fn seconds(now: Instant) -> u32 {
    (now.as_nanos() / 1_000_000_000) as u32
}

const fn hex(nibble: u8) -> u8 {
    b"0123456789abcdef"[nibble as usize]
}

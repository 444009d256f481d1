//! How requests are authenticated: by the long-term credentials, or by a token (RFC 7635).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use floe_sansio::Transport;
use floe_stun::{
    AccessToken, Algorithm, Attribute, Builder, ChallengeError, Choice, Credentials, ErrorCode,
    Key, LongTermClient, Message, Method, Nonce, Realm, Secret, SecurityFeatures, StatusCode,
    ThirdPartyAuthorization, Username,
};

use super::config::is_in_clear;
use super::{AllocateError, ClientConfig};

/// What an authorization server gives a client for one server (RFC 7635 §5, §6.2).
#[derive(Clone)]
pub struct Token {
    /// The key identifier, which travels as USERNAME.
    pub kid: String,
    /// The token, as it is sent; opaque.
    pub token: Vec<u8>,
    /// The key of the session, for MESSAGE-INTEGRITY.
    pub key: Key,
}

impl Token {
    /// Of these parts; `mac_key` is used as it is.
    pub fn new(kid: &str, token: &[u8], mac_key: &[u8]) -> Self {
        Self {
            kid: kid.into(),
            token: token.into(),
            key: Key::new(mac_key),
        }
    }
}

/// Never prints the token or its key.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// A server that takes tokens, and its last nonce.
#[derive(Clone)]
struct Offer {
    server: Box<str>,
    realm: Option<Box<str>>,
    nonce: Secret,
}

/// What a challenge asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The request once more.
    Again,
    /// A token.
    Token,
}

#[derive(Clone)]
pub(super) struct Auth {
    long_term: LongTermClient,
    third_party: bool,
    private_username: bool,
    offer: Option<Offer>,
    token: Option<Token>,
}

impl Auth {
    pub(super) fn new(config: &ClientConfig) -> Self {
        Self {
            long_term: long_term(&config.credentials),
            third_party: config.third_party,
            private_username: config.private_username,
            offer: None,
            token: None,
        }
    }

    /// Whether requests carry credentials.
    pub(super) const fn is_challenged(&self) -> bool {
        match self.offer {
            Some(_) => self.token.is_some(),
            None => self.long_term.is_challenged(),
        }
    }

    /// The name of the server that wants a token.
    pub(super) fn wants_token(&self) -> Option<&str> {
        let offer = self.offer.as_ref().filter(|_| self.token.is_none());
        offer.map(|offer| &*offer.server)
    }

    pub(super) fn set_token(&mut self, token: Token) {
        self.token = Some(token);
    }

    /// Takes a 401 or 438; after an error all is as before.
    pub(super) fn challenge(
        &mut self,
        message: &Message<'_>,
        authenticated: bool,
        transport: Transport,
    ) -> Result<Next, AllocateError> {
        if let Some(next) = self.challenge_token(message, authenticated)? {
            return Ok(next);
        }
        let nonce = message.get::<Nonce<'_>>().ok().flatten();
        let features = nonce
            .and_then(|Nonce(nonce)| SecurityFeatures::of(nonce))
            .unwrap_or_default();
        if self.private_username && is_in_clear(transport) && !features.username_anonymity {
            return Err(AllocateError::Exposed);
        }
        let result = self.long_term.challenge(message, authenticated);
        result.map_err(|error| match error {
            ChallengeError::Refused => AllocateError::Refused,
            ChallengeError::BidDown => AllocateError::BidDown,
            _ => AllocateError::Malformed,
        })?;
        Ok(Next::Again)
    }

    /// The same where the server takes tokens: they go before the credentials (RFC 7635 §6.1).
    fn challenge_token(
        &mut self,
        message: &Message<'_>,
        authenticated: bool,
    ) -> Result<Option<Next>, AllocateError> {
        if !self.third_party {
            return Ok(None);
        }
        let code = message.get::<ErrorCode<'_>>().ok().flatten();
        let stale = code.is_some_and(|error| error.code == StatusCode::STALE_NONCE);
        let offered = message.get::<ThirdPartyAuthorization<'_>>();
        let server: Box<str> = match (offered, &self.offer) {
            (Ok(Some(ThirdPartyAuthorization(server))), _) => server.into(),
            (_, Some(offer)) => offer.server.clone(),
            _ => return Ok(None),
        };
        let Ok(Some(Nonce(nonce))) = message.get::<Nonce<'_>>() else {
            return Err(AllocateError::Malformed);
        };
        let realm = message.get::<Realm<'_>>().ok().flatten();
        let is_sendable = Nonce(nonce).is_sendable() && realm.is_none_or(|r| r.is_sendable());
        if !is_sendable {
            return Err(AllocateError::Malformed);
        }
        self.offer = Some(Offer {
            server,
            realm: realm.map(|Realm(realm)| realm.into()),
            nonce: nonce.into(),
        });
        // A 401 to a token: it has expired, or was refused (RFC 7635 §8).
        if !stale && authenticated {
            self.token = None;
        }
        let has_token = self.token.is_some();
        Ok(Some(if has_token { Next::Again } else { Next::Token }))
    }

    /// Appends credentials and integrity, if a challenge has been answered.
    pub(super) fn authenticate<'b>(&self, builder: Builder<'b>, method: Method) -> Builder<'b> {
        let Some(offer) = &self.offer else {
            return self.long_term.authenticate(builder);
        };
        let Some(Token { kid, token, key }) = &self.token else {
            return builder;
        };
        // Only Allocate and Refresh carry the token (RFC 7635 §9).
        let carries = method == Method::ALLOCATE || method == Method::REFRESH;
        builder
            .with(&Username(kid))
            .with_some(offer.realm.as_deref().map(Realm).as_ref())
            .with(&Nonce(offer.nonce.expose()))
            .with_some(carries.then_some(AccessToken(token)).as_ref())
            .with_integrity(key)
    }

    /// Whether a response to an authenticated request is genuine.
    pub(super) fn verify(&self, response: &Message<'_>) -> bool {
        match (&self.offer, &self.token) {
            (None, _) => self.long_term.verify(response),
            (Some(_), None) => false,
            (Some(_), Some(token)) => {
                response.integrity() == Some(Algorithm::Sha1)
                    && response.verify(&token.key, Algorithm::Sha1)
            }
        }
    }
}

fn long_term(credentials: &Credentials) -> LongTermClient {
    LongTermClient::new(credentials.clone()).with_choice(Choice::Strongest)
}

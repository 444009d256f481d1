//! Clients that somebody else vouches for (RFC 7635): a token holds the key of a session, sealed for this
//! server.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use floe_sansio::{FiveTuple, Instant};
use floe_stun::{
    AccessToken, Checked, ConnectionId, Key, Message, Method, Seal, User, UserName, Username,
};
use zeroize::Zeroize;

use super::allocation::ALONE;
use super::requests::{Caller, Vouched};
use super::{Server, Slot};

/// Bytes of the nonce of AES-GCM.
const NONCE: usize = 12;
/// Bytes of its tag.
const TAG: usize = 16;
/// Bytes of session keys: 20 must be supported (RFC 7635 §6.2), and HMAC-SHA-1 has no use for more than
/// its block.
const KEYS: core::ops::RangeInclusive<usize> = 16..=64;
/// Bytes of what is sealed, without the session key: its length, timestamp and lifetime.
const FIXED: usize = 2 + 8 + 4;
/// How far clocks may differ (RFC 7635 §7).
const DELTA: Duration = Duration::from_secs(5);

/// A key that tokens are sealed with (A256GCM), known to the authorization server and this one.
#[derive(Clone)]
pub struct TokenKey {
    /// How it is called: clients name it in USERNAME.
    pub kid: String,
    /// The key.
    pub key: [u8; 32],
    /// What all whose tokens are sealed with it count as, for quotas and for whose an allocation is. Keys
    /// that follow one another need the same; it must differ from those of the user base.
    pub user: u64,
}

/// Never prints the key.
impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("kid", &self.kid)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Drop for TokenKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Third-party authorisation (RFC 7635). ACCESS-TOKEN carries the token itself; the base64 of §6.2 is
/// for the way from the authorization server to the client.
#[derive(Clone, Debug)]
pub struct ThirdParty {
    /// The name of this server, which tokens are sealed for: THIRD-PARTY-AUTHORIZATION. Up to 255 bytes.
    pub server_name: String,
    /// The keys.
    pub keys: Vec<TokenKey>,
    /// The Unix time of [`Instant::ZERO`].
    pub epoch: Duration,
}

/// What is in a token.
struct Opened {
    user: User,
    until: Instant,
}

/// The session of an allocation: its later requests carry no token (RFC 7635 §9).
#[derive(Clone)]
struct Session {
    kid: Box<str>,
    user: User,
    until: Instant,
}

/// Opens tokens, and keeps what was in those of allocations.
#[derive(Clone)]
pub(super) struct Tokens {
    server_name: String,
    epoch: Duration,
    keys: BTreeMap<String, (Box<Aes256Gcm>, u64)>,
    sessions: BTreeMap<Slot, Session>,
}

impl Tokens {
    pub(super) fn new(config: &ThirdParty) -> Self {
        let key = |it: &TokenKey| {
            let cipher = Box::new(Aes256Gcm::new(&it.key.into()));
            (it.kid.clone(), (cipher, it.user))
        };
        Self {
            server_name: config.server_name.clone(),
            epoch: config.epoch,
            keys: config.keys.iter().map(key).collect(),
            sessions: BTreeMap::new(),
        }
    }

    /// Opens a token that is sealed with the key `kid`. All lengths are checked before anything is
    /// computed.
    fn open(&self, now: Instant, kid: &str, token: &[u8]) -> Option<Opened> {
        let (length, rest) = token.split_first_chunk()?;
        if usize::from(u16::from_be_bytes(*length)) != NONCE {
            return None;
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG>()?;
        if !KEYS.contains(&sealed.len().checked_sub(FIXED)?) {
            return None;
        }
        let (cipher, id) = self.keys.get(kid)?;
        let mut buffer = [0; FIXED + *KEYS.end()];
        let block = &mut buffer[..sealed.len()];
        block.copy_from_slice(sealed);
        let name = self.server_name.as_bytes();
        let (nonce, tag) = ((*nonce).into(), (*tag).into());
        let opened = cipher.decrypt_inout_detached(&nonce, name, (&mut *block).into(), &tag);
        let opened = opened.ok().and_then(|()| self.read(now, block, *id));
        buffer.zeroize();
        opened
    }

    fn read(&self, now: Instant, block: &[u8], id: u64) -> Option<Opened> {
        let (length, rest) = block.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (timestamp, lifetime) = rest.split_first_chunk()?;
        let lifetime = u32::from_be_bytes(lifetime.try_into().ok()?);
        if !KEYS.contains(&key.len()) {
            return None;
        }
        // 48 bits of seconds and 16 of their 64000ths.
        let timestamp = u64::from_be_bytes(*timestamp);
        let fraction = (timestamp & 0xFFFF) * 1_000_000 / 64;
        let issued = Duration::from_secs(timestamp >> 16) + Duration::from_nanos(fraction);
        let age = (self.epoch + Duration::from_nanos(now.as_nanos())).abs_diff(issued);
        let left = (Duration::from_secs(lifetime.into()) + DELTA).checked_sub(age)?;
        (!left.is_zero()).then(|| Opened {
            user: User {
                id,
                key: Key::new(key),
            },
            until: now + left,
        })
    }

    /// The user of the allocation in `slot`, if that was made with a token under this key.
    fn session(&self, now: Instant, slot: Slot, kid: &str) -> Option<Opened> {
        let session = self.sessions.get(&slot)?;
        (*session.kid == *kid && now < session.until).then(|| Opened {
            user: session.user.clone(),
            until: session.until,
        })
    }

    /// The allocation has left `slot`; of a dual one the other part is in `heir`.
    pub(super) fn left(&mut self, slot: Slot, heir: Slot) {
        let session = self.sessions.remove(&slot);
        if let Some(session) = session.filter(|_| heir != ALONE) {
            self.sessions.insert(heir, session);
        }
    }
}

impl Server {
    /// Whether a token vouches for a request: its own, or that of its allocation. `None` if it does not
    /// come with one.
    pub(super) fn check_token<'m>(
        &self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'m>,
    ) -> Option<Vouched<'m>> {
        let tokens = self.tokens.as_ref()?;
        let token = message.get::<AccessToken<'_>>().ok()?;
        let session = match token {
            Some(_) => None,
            None => Some(self.session_of(now, path, message)?),
        };
        // The nonce is checked before anything is opened.
        let claim = match self.auth.claim(now, path.remote, message) {
            Ok(claim) => claim,
            Err(refusal) => return Some(Err(refusal)),
        };
        let opened = match (token, claim.name) {
            (Some(AccessToken(token)), UserName::Plain(kid)) => tokens.open(now, kid, token),
            (Some(_), UserName::Hash(_)) => None,
            (None, _) => session,
        };
        let until = opened.as_ref().map_or(now, |it| it.until);
        let user = opened.map(|it| it.user);
        let verified = self.auth.verify(message, &claim, user);
        Some(verified.map(|(id, seal)| (Checked::Authenticated { id, seal }, until)))
    }

    /// The session of the allocation that a request is about, if it names the same key.
    fn session_of(&self, now: Instant, path: FiveTuple, message: &Message<'_>) -> Option<Opened> {
        let Username(kid) = message.get().ok()??;
        let slot = if message.method() == Method::CONNECTION_BIND {
            let ConnectionId(connection) = message.get().ok()??;
            self.connections.slot(connection)?
        } else {
            self.of_client(now, &path)?.0
        };
        self.tokens.as_ref()?.session(now, slot, kid)
    }

    /// Remembers the session of an allocation that was made or refreshed with a token.
    pub(super) fn keep_session(
        &mut self,
        now: Instant,
        caller: Caller,
        message: &Message<'_>,
        seal: &Seal,
    ) {
        if !matches!(message.get::<AccessToken<'_>>(), Ok(Some(_))) {
            return;
        }
        let slot = self.of_client(now, &caller.path).map(|(slot, _)| slot);
        let kid = message.get::<Username<'_>>();
        if let (Some(slot), Ok(Some(Username(kid))), Some(tokens)) =
            (slot, kid, self.tokens.as_mut())
        {
            let session = Session {
                kid: kid.into(),
                user: User {
                    id: caller.user,
                    key: seal.key().clone(),
                },
                until: caller.until,
            };
            tokens.sessions.insert(slot, session);
        }
    }

    /// The name that tokens are sealed for.
    pub(super) fn token_name(&self) -> Option<&str> {
        self.tokens.as_ref().map(|it| &*it.server_name)
    }
}

/// Never prints keys.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("server_name", &self.server_name)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

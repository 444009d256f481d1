//! Where a server finds the keys of its users.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use base64ct::{Base64, Encoding};
use floe_sansio::Instant;
use zeroize::Zeroize;

use super::credentials::Credentials;
use crate::attributes::{KeyDerivation, UserHash};
use crate::integrity::Key;

/// Who a request says it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserName<'m> {
    /// USERNAME.
    Plain(&'m str),
    /// USERHASH: whoever it is whose name hashes to this (RFC 8489 §14.4).
    Hash(UserHash),
}

/// A key that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct UserQuery<'a> {
    /// Now.
    pub now: Instant,
    /// The realm of the server.
    pub realm: &'a str,
    /// Whose key.
    pub name: UserName<'a>,
    /// How it is made of the password.
    pub derivation: KeyDerivation,
}

/// A user that a [`Users`] found.
#[derive(Clone, Debug)]
pub struct User {
    /// Whatever tells users apart; the same for the same user at all times.
    pub id: u64,
    /// The key of the query.
    pub key: Key,
}

/// What comes of a query.
#[allow(clippy::large_enum_variant)] // it lives for a moment, on the stack
#[derive(Clone, Debug)]
pub enum UserAnswer {
    /// This is the user.
    Known(User),
    /// There is no such user.
    Unknown,
    /// The owner has to ask somebody else and will say so later.
    Later,
}

/// Where a server finds the keys of its users: a list ([`StaticUsers`]), a shared secret
/// ([`TimeLimitedUsers`]), or whatever the owner has. Asked only for requests whose nonce is genuine.
pub trait Users {
    /// The key of one user.
    fn find(&self, query: &UserQuery<'_>) -> UserAnswer;
}

/// Whoever is asked for: what was said of the user of a request that has waited.
impl Users for UserAnswer {
    fn find(&self, _: &UserQuery<'_>) -> UserAnswer {
        self.clone()
    }
}

/// A list of users.
///
/// ```
/// use floe_stun::{Credentials, StaticUsers};
///
/// let users = StaticUsers::new("example.org", &[Credentials::new("alice", "a long password")]);
/// assert_eq!(users.len(), 1);
/// ```
#[derive(Clone, Default)]
pub struct StaticUsers {
    users: Vec<Keys>,
    names: BTreeMap<String, usize>,
    hashes: BTreeMap<UserHash, usize>,
}

/// The keys of one user. The password itself is not kept (RFC 8656 §6).
#[derive(Clone)]
struct Keys {
    md5: Key,
    sha256: Key,
}

impl StaticUsers {
    /// The users of `realm`. The id of each is its place in `list`; of two with one name the later counts.
    pub fn new(realm: &str, list: &[Credentials]) -> Self {
        let mut users = Self::default();
        for (id, Credentials { username, password }) in list.iter().enumerate() {
            let password = password.expose();
            users.users.push(Keys {
                md5: Key::long_term(username, realm, password),
                sha256: Key::long_term_sha256(username, realm, password),
            });
            users.names.insert(username.clone(), id);
            users.hashes.insert(UserHash::of(username, realm), id);
        }
        users
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

impl Users for StaticUsers {
    fn find(&self, query: &UserQuery<'_>) -> UserAnswer {
        let id = match query.name {
            UserName::Plain(name) => self.names.get(name),
            UserName::Hash(hash) => self.hashes.get(&hash),
        };
        let Some(&id) = id else {
            return UserAnswer::Unknown;
        };
        let keys = &self.users[id];
        let key = match query.derivation {
            KeyDerivation::Md5 => &keys.md5,
            KeyDerivation::Sha256 => &keys.sha256,
        };
        UserAnswer::Known(User {
            id: id as u64,
            key: key.clone(),
        })
    }
}

/// How many, and nothing else.
impl fmt::Debug for StaticUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticUsers({})", self.users.len())
    }
}

/// Users whose names are good for a time, all under one secret: what web applications hand out as
/// "REST API" credentials.
///
/// The user name is the Unix time in seconds at which it ends, a colon, and any text; the password is
/// `base64(HMAC-SHA1(secret, user name))`. Users with the same text behind the colon have the same id. Names
/// cannot be found by USERHASH.
#[derive(Clone)]
pub struct TimeLimitedUsers {
    secret: Key,
    ids: Key,
    /// Unix time of [`Instant::ZERO`].
    epoch: Duration,
    longest: Duration,
}

impl TimeLimitedUsers {
    /// Users under `secret`. `epoch` is the Unix time of [`Instant::ZERO`]; a name that would be good for
    /// more than `longest` is refused.
    pub fn new(secret: &str, epoch: Duration, longest: Duration) -> Self {
        let secret = Key::new(secret.as_bytes());
        Self {
            ids: Key::new(&secret.sha1_of(&[b"user id"])),
            secret,
            epoch,
            longest,
        }
    }

    /// The credentials of `user` that end at `end`, in Unix time: what the application hands out.
    pub fn issue(&self, user: &str, end: Duration) -> Credentials {
        let username = alloc::format!("{}:{user}", end.as_secs());
        let mut password = self.password(&username);
        let credentials = Credentials::new(&username, as_text(&password));
        password.zeroize();
        credentials
    }

    fn password(&self, username: &str) -> [u8; 28] {
        let mut text = [0; 28];
        let mut mac = self.secret.sha1_of(&[username.as_bytes()]);
        // 20 bytes are 28 characters.
        let _ = Base64::encode(&mac, &mut text);
        mac.zeroize();
        text
    }

    /// When a user name ends, in Unix time, and the rest of it.
    fn split(username: &str) -> Option<(u64, &str)> {
        let (end, user) = username.split_once(':')?;
        // `parse` takes a sign, which no clock prints.
        let digits = !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
        digits.then_some(())?;
        (!user.is_empty()).then_some((end.parse().ok()?, user))
    }
}

impl Users for TimeLimitedUsers {
    fn find(&self, query: &UserQuery<'_>) -> UserAnswer {
        let UserName::Plain(username) = query.name else {
            return UserAnswer::Unknown;
        };
        let Some((end, user)) = Self::split(username) else {
            return UserAnswer::Unknown;
        };
        let now = self.epoch + Duration::from_nanos(query.now.as_nanos());
        let left = Duration::from_secs(end).checked_sub(now);
        if left.is_none_or(|left| left > self.longest) {
            return UserAnswer::Unknown;
        }
        let mut password = self.password(username);
        let text = as_text(&password);
        let key = Key::long_term_by(query.derivation, username, query.realm, text);
        password.zeroize();
        let mut id = [0; 8];
        id.copy_from_slice(&self.ids.sha1_of(&[user.as_bytes()])[..8]);
        UserAnswer::Known(User {
            id: u64::from_be_bytes(id),
            key,
        })
    }
}

fn as_text(base64: &[u8]) -> &str {
    core::str::from_utf8(base64).unwrap_or_default()
}

/// Tells nothing of the secret.
impl fmt::Debug for TimeLimitedUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeLimitedUsers")
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

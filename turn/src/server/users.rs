//! Where the server finds the keys of its users.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use floe_stun::{Credentials, Message, StaticUsers, UserAnswer, UserQuery, Username, Users};

/// Users of whatever kind: a shared secret ([`TimeLimitedUsers`](floe_stun::TimeLimitedUsers)), a
/// data base, or somebody whom the owner has to ask first. Where they say [`UserAnswer::Later`],
/// [`ServerEvent::UserWanted`](super::ServerEvent::UserWanted) follows, and the request waits for
/// [`Server::answer_user`](super::Server::answer_user).
///
/// ```
/// use core::time::Duration;
/// use floe_stun::TimeLimitedUsers;
/// use floe_turn::UserBase;
///
/// // The Unix time of `Instant::ZERO`, and a day at most.
/// let epoch = Duration::from_secs(1_700_000_000);
/// let users = TimeLimitedUsers::new("a long secret", epoch, Duration::from_secs(86_400));
/// let base = UserBase::new(users);
/// ```
#[derive(Clone)]
pub struct UserBase {
    users: Arc<dyn Users + Send + Sync>,
    knows_hashes: bool,
}

impl UserBase {
    /// Users who are found by their names.
    pub fn new(users: impl Users + Send + Sync + 'static) -> Self {
        Self {
            users: Arc::new(users),
            knows_hashes: false,
        }
    }

    /// Users who are found by USERHASH too, so that clients are asked to hide their names
    /// (RFC 8489 §9.2).
    #[must_use]
    pub const fn with_hashes(mut self) -> Self {
        self.knows_hashes = true;
        self
    }
}

/// Tells nothing of the users.
impl fmt::Debug for UserBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserBase(..)")
    }
}

/// The users of a server.
#[derive(Clone)]
pub(super) enum Directory {
    List {
        keys: StaticUsers,
        /// In the order of `keys`.
        names: Vec<Arc<str>>,
    },
    Base(UserBase),
}

impl Directory {
    pub(super) fn new(realm: &str, list: &[Credentials], base: Option<UserBase>) -> Self {
        match base {
            Some(base) => Self::Base(base),
            None => Self::List {
                keys: StaticUsers::new(realm, list),
                names: list.iter().map(|it| it.username.as_str().into()).collect(),
            },
        }
    }

    /// Whether users are found by USERHASH.
    pub(super) const fn knows_hashes(&self) -> bool {
        match self {
            Self::List { .. } => true,
            Self::Base(base) => base.knows_hashes,
        }
    }

    /// The name of the user who sent a request; empty if he hides it from all but his user base.
    pub(super) fn name(&self, id: u64, request: &Message<'_>) -> Arc<str> {
        let listed = match self {
            Self::List { names, .. } => usize::try_from(id).ok().and_then(|at| names.get(at)),
            Self::Base(_) => None,
        };
        match (listed, request.get::<Username<'_>>()) {
            (Some(name), _) => Arc::clone(name),
            (None, Ok(Some(Username(name)))) => name.into(),
            (None, _) => String::new().into(),
        }
    }
}

impl Users for Directory {
    fn find(&self, query: &UserQuery<'_>) -> UserAnswer {
        match self {
            Self::List { keys, .. } => keys.find(query),
            Self::Base(base) => base.users.find(query),
        }
    }
}

/// How many there are, if it is a list, and nothing else.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List { keys, .. } => keys.fmt(f),
            Self::Base(base) => base.fmt(f),
        }
    }
}

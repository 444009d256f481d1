//! Who is answered.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use floe_sansio::Instant;

use crate::auth::{
    Checked, Claim, Credentials, LongTermConfig, LongTermServer, Refusal, Seal, UserAnswer,
    UserQuery, Users, check_short_term,
};
use crate::integrity::Key;
use crate::message::Message;

/// Whom a [`Server`](crate::Server) answers.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Access {
    /// Everyone, as RFC 8489 §12 recommends for Binding.
    #[default]
    Open,
    /// Who has one of these short-term credentials (RFC 8489 §9.1).
    ShortTerm(Vec<Credentials>),
    /// Who is one of these users (RFC 8489 §9.2). Where they say [`UserAnswer::Later`], the request waits for
    /// [`Server::answer_user`](crate::Server::answer_user).
    LongTerm(LongTermConfig, Arc<dyn Users + Send + Sync>),
}

impl Access {
    /// Whether there are no users.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::ShortTerm(_) => "ShortTerm(..)",
            Self::LongTerm(..) => "LongTerm(..)",
        })
    }
}

/// Checks requests.
#[derive(Clone)]
pub(super) enum Guard {
    Open,
    ShortTerm(BTreeMap<String, Key>),
    LongTerm(Box<LongTermServer>, Shared),
}

#[derive(Clone)]
pub(super) struct Shared(Arc<dyn Users + Send + Sync>);

impl Users for Shared {
    fn find(&self, query: &UserQuery<'_>) -> UserAnswer {
        self.0.find(query)
    }
}

/// What is said of a request.
#[allow(clippy::large_enum_variant)] // it lives for a moment, on the stack
pub(super) enum Pass<'m> {
    /// Whoever it is.
    Anyone,
    /// Who it is, the owner has yet to find out.
    Later(Claim<'m>),
    /// A user; the response is signed.
    User(Seal),
    /// Nobody who is answered otherwise.
    Refused(Refusal),
}

impl Guard {
    pub(super) fn new(access: &Access, seed: [u8; 32], now: Instant) -> Self {
        match access {
            Access::Open => Self::Open,
            Access::ShortTerm(users) => {
                let key = |user: &Credentials| {
                    let key = Key::short_term(user.password.expose());
                    (user.username.clone(), key)
                };
                Self::ShortTerm(users.iter().map(key).collect())
            }
            Access::LongTerm(config, users) => {
                let machine = LongTermServer::new(config, seed, now);
                Self::LongTerm(Box::new(machine), Shared(users.clone()))
            }
        }
    }

    /// `found` is what the owner said of the user in the end, if it was asked.
    pub(super) fn check<'m>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        request: &Message<'m>,
        found: Option<UserAnswer>,
    ) -> Pass<'m> {
        match self {
            Self::Open => Pass::Anyone,
            Self::ShortTerm(users) => {
                match check_short_term(request, |name| users.get(name).cloned()) {
                    Ok(seal) => Pass::User(seal),
                    Err(refusal) => Pass::Refused(refusal),
                }
            }
            Self::LongTerm(machine, users) => {
                machine.advance(now);
                let checked = match found {
                    Some(found) => machine.check(now, source, request, &found),
                    None => machine.check(now, source, request, users),
                };
                match checked {
                    Ok(Checked::Authenticated { seal, .. }) => Pass::User(seal),
                    Ok(Checked::Later(claim)) => Pass::Later(claim),
                    Err(refusal) => Pass::Refused(refusal),
                }
            }
        }
    }

    /// Whether an indication counts. The long-term mechanism cannot protect any (RFC 8489 §9.2).
    pub(super) fn takes(&self, indication: &Message<'_>) -> bool {
        match self {
            Self::ShortTerm(users) => {
                check_short_term(indication, |name| users.get(name).cloned()).is_ok()
            }
            _ => true,
        }
    }

    /// The machine that challenges, where there is one.
    pub(super) fn challenger(&self) -> Option<&LongTermServer> {
        match self {
            Self::LongTerm(machine, _) => Some(machine),
            _ => None,
        }
    }
}

/// Which mechanism, and nothing else.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::ShortTerm(_) => "ShortTerm(..)",
            Self::LongTerm(..) => "LongTerm(..)",
        })
    }
}

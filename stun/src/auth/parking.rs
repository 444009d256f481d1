//! Requests that wait until their owner knows the user ([`UserAnswer::Later`](super::UserAnswer::Later)).

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use floe_sansio::{FiveTuple, Instant};

use super::long_term_server::Claim;
use super::users::UserName;
use crate::attributes::{KeyDerivation, UserHash};
use crate::message::Message;

/// Requests that wait at most. Their sources are proven, since their nonces are genuine, but their users
/// are not.
pub const MAX_PARKED: usize = 64;

/// How long a request waits: its sender has given up by then (RFC 8489 §6.2.1).
const PATIENCE: Duration = Duration::from_millis(39_500);

/// A user that the owner is to find; it answers with the `ticket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserWanted {
    /// Names the request that waits.
    pub ticket: u64,
    /// Who it says it comes from: USERNAME, or the hash of it.
    pub name: Result<String, UserHash>,
    /// How the key is to be made.
    pub derivation: KeyDerivation,
}

/// The requests that wait; a fixed number of them, and nothing needs a timer.
#[derive(Clone, Debug, Default)]
pub struct Parking {
    requests: Vec<Parked>,
    tickets: u64,
}

#[derive(Clone, Debug)]
struct Parked {
    ticket: u64,
    since: Instant,
    path: FiveTuple,
    bytes: Bytes,
}

impl Parking {
    /// Keeps a request, whose claim this is. `None` if it waits already, as when it is
    /// retransmitted, or if there is no room.
    pub fn park(
        &mut self,
        now: Instant,
        path: FiveTuple,
        request: &Message<'_>,
        claim: &Claim<'_>,
    ) -> Option<UserWanted> {
        let bytes = request.as_bytes();
        self.requests.retain(|parked| now - parked.since < PATIENCE);
        let waits = |parked: &Parked| parked.path == path && parked.bytes == bytes;
        if self.requests.len() >= MAX_PARKED || self.requests.iter().any(waits) {
            return None;
        }
        self.tickets += 1;
        self.requests.push(Parked {
            ticket: self.tickets,
            since: now,
            path,
            bytes: Bytes::copy_from_slice(bytes),
        });
        Some(UserWanted {
            ticket: self.tickets,
            name: match claim.name {
                UserName::Plain(name) => Ok(name.into()),
                UserName::Hash(hash) => Err(hash),
            },
            derivation: claim.derivation,
        })
    }

    /// Takes the request out that `ticket` names; `None` if it is there no more.
    pub fn take(&mut self, ticket: u64) -> Option<(FiveTuple, Bytes)> {
        let at = (self.requests.iter()).position(|parked| parked.ticket == ticket)?;
        let parked = self.requests.swap_remove(at);
        Some((parked.path, parked.bytes))
    }
}

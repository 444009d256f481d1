//! What a client has learnt from failures, so that it asks for nothing twice that it cannot get.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::Instant;
use floe_stun::{AddressFamily, StatusCode};

use super::outcome::BACK_OFF;
use super::relays::place;
use super::{AllocateError, Retry};

/// Local addresses that are tried in a row against 437, and how long the server is then left alone
/// (RFC 8656 §7.4).
const MISMATCHES: u8 = 3;
const MISMATCH_PAUSE: Duration = Duration::from_secs(120);
/// How often a request is repeated after a server error (RFC 8489 §6.3.4).
pub(super) const SERVER_ERRORS: u8 = 4;
/// How long a server that sent us away is not returned to (RFC 8489 §10).
const REDIRECT_WINDOW: Duration = Duration::from_secs(300);
/// Servers remembered for that.
const REDIRECTS: usize = 8;

#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Servers that sent us away, and when.
    left: Vec<(SocketAddr, Instant)>,
    mismatches: u8,
    server_errors: u8,
    /// From when on a family may be asked for.
    families: [Option<Instant>; 2],
    pub(super) no_dont_fragment: bool,
    pub(super) no_port: bool,
    pub(super) no_mobility: bool,
}

impl History {
    /// Another server: what this one could not give, that one may.
    pub(super) fn change_server(&mut self) {
        let left = core::mem::take(&mut self.left);
        *self = Self {
            left,
            ..Self::default()
        };
    }

    /// There is an allocation.
    pub(super) fn succeed(&mut self) {
        self.mismatches = 0;
        self.server_errors = 0;
    }

    /// `from` sends us to `to` at `now`.
    pub(super) fn redirect(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
    ) -> AllocateError {
        self.left.retain(|&(_, at)| at + REDIRECT_WINDOW > now);
        self.left.retain(|&(server, _)| server != from);
        if to == from || self.left.len() >= REDIRECTS || self.left.iter().any(|&(s, _)| s == to) {
            return AllocateError::RedirectLoop;
        }
        self.left.push((from, now));
        AllocateError::Redirected(to)
    }

    /// ADDRESS-ERROR-CODE: 440 is final, 508 for a minute (RFC 8656 §7.3).
    pub(super) fn refuse_family(&mut self, now: Instant, family: AddressFamily, code: StatusCode) {
        let until = match code {
            StatusCode::INSUFFICIENT_CAPACITY => now + BACK_OFF,
            _ => Instant::MAX,
        };
        self.families[place(family)] = Some(until);
    }

    pub(super) fn may_ask_for(&self, now: Instant, family: AddressFamily) -> bool {
        self.families[place(family)].is_none_or(|from| from <= now)
    }

    /// What may be done after `error`.
    pub(super) fn retry(&mut self, now: Instant, error: AllocateError, allocating: bool) -> Retry {
        match error {
            AllocateError::Mismatch if allocating => {
                self.mismatches += 1;
                if self.mismatches < MISMATCHES {
                    return Retry::FreshPath(now);
                }
                self.mismatches = 0;
                Retry::FreshPath(now + MISMATCH_PAUSE)
            }
            AllocateError::Mismatch | AllocateError::Disconnected => Retry::FreshPath(now),
            AllocateError::Redirected(server) => Retry::Elsewhere(server),
            error if error.is_server_error() => {
                self.server_errors += 1;
                if self.server_errors > SERVER_ERRORS {
                    Retry::Never
                } else {
                    Retry::From(now + BACK_OFF)
                }
            }
            error => error
                .retry_after()
                .map_or(Retry::Never, |pause| Retry::From(now + pause)),
        }
    }
}

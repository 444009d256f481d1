//! What the server answered, and what becomes of the allocation.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use floe_sansio::{DropReason, Input, Instant, Timers};
use floe_stun::{
    AddressFamily, AttributeType, ChallengeError, Class, ErrorCode, Lifetime, Message, StatusCode,
    Transaction, XorMappedAddress, XorRelayedAddress,
};

use super::channels::CHANNEL_LIFETIME;
use super::{
    AllocateError, BURST_PAUSE, Client, ClientEvent, ClientTimer, Context, Request, State, Want,
};

/// How long the server keeps a permission (RFC 8656 §9).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long before something expires it is refreshed (RFC 8656 §8): more than a transaction takes.
const REFRESH_MARGIN: Duration = Duration::from_secs(60);
/// The pause after a Refresh that failed and may be repeated.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);
/// 401 and 438 responses that one request may meet: the first challenge and three stale nonces.
const MAX_CHALLENGES: u8 = 4;

/// What a response may carry that must be understood.
const KNOWN: &[AttributeType] = &[
    AttributeType::MAPPED_ADDRESS,
    AttributeType::USERNAME,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::XOR_RELAYED_ADDRESS,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::RESERVATION_TOKEN,
];

impl Client {
    pub(super) fn response(&mut self, now: Instant, message: &Message<'_>) -> Input {
        let id = message.transaction_id();
        let Some(transaction) = self.transactions.find(id, self.config.path) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let context = transaction.context;
        if context.request.method() != message.method() {
            return Input::Dropped(DropReason::NoTransaction);
        }
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let code = match message.class() {
            Class::Error => message.get::<ErrorCode<'_>>().ok().flatten(),
            _ => None,
        }
        .map(|error| error.code);
        let is_challenge = matches!(
            code,
            Some(StatusCode::UNAUTHENTICATED | StatusCode::STALE_NONCE)
        );
        // Only a challenge can come without integrity; what else does is not believed, as if it had
        // never been received (RFC 8489 §9.2.5).
        let is_believed = is_challenge || context.authenticated && self.auth.verify(message);
        if !is_believed {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let Some(transaction) = self.transactions.remove(id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let request = context.request;
        if is_challenge {
            self.challenged(now, message, context);
        } else if message.unknown_required(KNOWN).next().is_some() {
            self.fail(now, request, AllocateError::Malformed);
        } else if message.class() == Class::Success {
            self.succeed(now, message, &transaction);
        } else {
            let error = match code {
                Some(StatusCode::ALLOCATION_MISMATCH) => AllocateError::Mismatch,
                Some(code) => AllocateError::Rejected(code),
                None => AllocateError::Malformed,
            };
            self.fail(now, request, error);
        }
        Input::Handled
    }

    /// 401 or 438, on any method: again, with the new nonce.
    fn challenged(&mut self, now: Instant, message: &Message<'_>, context: Context) {
        let challenges = context.challenges + 1;
        let result = if challenges > MAX_CHALLENGES {
            Err(AllocateError::StaleNonce)
        } else {
            self.auth
                .challenge(message, context.authenticated)
                .map_err(|error| match error {
                    ChallengeError::Refused => AllocateError::Refused,
                    ChallengeError::BidDown => AllocateError::BidDown,
                    _ => AllocateError::Malformed,
                })
        };
        match result {
            Ok(()) => self.request(now, context.request, challenges),
            Err(error) => self.fail(now, context.request, error),
        }
    }

    fn succeed(&mut self, now: Instant, message: &Message<'_>, of: &Transaction<Context>) {
        match of.context.request {
            Request::Allocate => self.allocated(now, message, of),
            Request::Refresh => match message.get() {
                Ok(Some(lifetime)) => self.set_lifetime(now, of.started, lifetime),
                _ => self.lose(now, AllocateError::Malformed),
            },
            Request::Release => self.end(None, ClientEvent::Released),
            Request::Want(Want::Permission(ip)) => self.permitted(of.started, ip),
            Request::Want(Want::Channel(peer)) => {
                let Some(channel) = self.channels.get_mut(peer) else {
                    return;
                };
                channel.touch(now);
                let until = of.started + CHANNEL_LIFETIME;
                let is_new = channel.bound_until.replace(until).is_none();
                let again = of.started + CHANNEL_LIFETIME.saturating_sub(REFRESH_MARGIN);
                self.agenda.set(Want::Channel(peer), again);
                self.permitted(of.started, peer.ip());
                if is_new {
                    self.events.push_back(ClientEvent::ChannelBound(peer));
                }
            }
        }
    }

    fn allocated(&mut self, now: Instant, message: &Message<'_>, of: &Transaction<Context>) {
        let abandoned = matches!(self.state, State::Allocating { abandoned: true });
        let parts = (message.get(), message.get(), message.get());
        let (
            Ok(Some(XorRelayedAddress(relayed))),
            Ok(Some(XorMappedAddress(mapped))),
            Ok(Some(lifetime)),
        ) = parts
        else {
            return self.unusable(now, AllocateError::Malformed);
        };
        let family = self.config.family.unwrap_or(AddressFamily::IPV4);
        if relayed.is_ipv4() != (family == AddressFamily::IPV4) {
            return self.unusable(now, AllocateError::Family);
        }
        if abandoned {
            return self.start_release(now, false);
        }
        self.state = State::Allocated { relayed, mapped };
        self.events.push_back(ClientEvent::Allocated {
            relayed,
            mapped,
            round_trip: of.round_trip(now),
        });
        self.set_lifetime(now, of.started, lifetime);
        if !self.is_allocated() {
            return;
        }
        let permissions = self.permissions.keys().copied();
        let wanted: Vec<_> = permissions
            .map(|ip| (ip, Want::Permission(ip)))
            .chain((self.channels.wanted()).map(|peer| (peer.ip(), Want::Channel(peer))))
            .collect();
        for (ip, want) in wanted {
            if ip.is_ipv4() == relayed.is_ipv4() {
                self.agenda.set(want, now);
            } else {
                self.fail(now, Request::Want(want), AllocateError::Family);
            }
        }
        self.work_off(now);
    }

    /// The server gave something that this client cannot use: give it back, and ask no more
    /// (RFC 8656 §7.3).
    fn unusable(&mut self, now: Instant, error: AllocateError) {
        if matches!(self.state, State::Allocating { abandoned: true }) {
            return self.start_release(now, false);
        }
        self.events.push_back(ClientEvent::Failed(error));
        self.start_release(now, true);
    }

    fn permitted(&mut self, asked: Instant, ip: IpAddr) {
        let Some(installed) = self.permissions.get_mut(&ip) else {
            return;
        };
        let is_new = !core::mem::replace(installed, true);
        let again = asked + PERMISSION_LIFETIME.saturating_sub(REFRESH_MARGIN);
        self.agenda.set(Want::Permission(ip), again);
        if is_new {
            self.events.push_back(ClientEvent::PermissionCreated(ip));
        }
    }

    /// The server granted `lifetime`, counted from when it was asked at the earliest.
    fn set_lifetime(&mut self, now: Instant, asked: Instant, lifetime: Lifetime) {
        let lifetime = lifetime.duration();
        let expires = asked + lifetime;
        if expires <= now {
            return self.lose(now, AllocateError::Expired);
        }
        let refresh = asked + lifetime.saturating_sub(REFRESH_MARGIN).max(lifetime / 2);
        // Late is not never, but time must pass.
        let refresh = refresh.max(now + BURST_PAUSE);
        self.timers.set(ClientTimer::Expire, expires);
        self.timers.set(ClientTimer::Refresh, refresh);
    }

    pub(super) fn start_release(&mut self, now: Instant, silent: bool) {
        self.clear();
        self.state = State::Releasing { silent };
        self.request(now, Request::Release, 0);
    }

    /// A request failed for good.
    pub(super) fn fail(&mut self, now: Instant, request: Request, error: AllocateError) {
        match request {
            Request::Allocate => {
                let retry_at = error.retry_after().map(|pause| now + pause);
                match self.state {
                    State::Allocating { abandoned: true } => self.end(None, ClientEvent::Released),
                    _ => self.end(retry_at, ClientEvent::Failed(error)),
                }
            }
            Request::Refresh => match error {
                // There is time for another.
                AllocateError::Timeout => {
                    self.timers.set(ClientTimer::Refresh, now + REFRESH_PAUSE);
                }
                AllocateError::Rejected(code) if code.number() >= 500 => {
                    self.timers.set(ClientTimer::Refresh, now + REFRESH_PAUSE);
                }
                error => self.lose(now, error),
            },
            // 437 says that it is gone (RFC 8656 §8.3); without an answer it will expire.
            Request::Release => self.end(None, ClientEvent::Released),
            Request::Want(_) if error == AllocateError::Mismatch => self.lose(now, error),
            Request::Want(Want::Permission(ip)) => {
                // Only this peer is harmed.
                self.revoke(ip);
                let event = ClientEvent::PermissionRefused(ip, error);
                self.events.push_back(event);
            }
            Request::Want(Want::Channel(peer)) => {
                self.agenda.stop(Want::Channel(peer));
                if let Some(channel) = self.channels.get_mut(peer) {
                    channel.give_up();
                }
                self.events
                    .push_back(ClientEvent::ChannelRefused(peer, error));
                // The permission that the channel would have brought, for indications.
                let ip = peer.ip();
                if self.permissions.get(&ip) == Some(&false) {
                    self.agenda.set(Want::Permission(ip), now);
                    self.work_off(now);
                }
            }
        }
    }

    pub(super) fn lose(&mut self, now: Instant, error: AllocateError) {
        let retry_at = error.retry_after().map(|pause| now + pause);
        self.end(retry_at, ClientEvent::Lost(error));
    }

    pub(super) fn end(&mut self, retry_at: Option<Instant>, event: ClientEvent) {
        let silent = matches!(self.state, State::Releasing { silent: true });
        self.clear();
        self.permissions.clear();
        self.channels.clear();
        self.state = State::Ended { retry_at };
        if !silent {
            self.events.push_back(event);
        }
    }

    /// Asks for nothing any more.
    fn clear(&mut self) {
        self.transactions.clear();
        self.timers = Timers::new();
        self.agenda.clear();
    }
}

//! What the server answered.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::{DropReason, FiveTuple, Input, Instant};
use floe_stun::{
    AddressFamily, AlternateDomain, AlternateServer, Attribute, AttributeType, Class, ErrorCode,
    Lifetime, Message, Method, MobilityTicket, StatusCode, Transaction, UnknownAttributes,
};

use super::auth::Next;
use super::channels::CHANNEL_LIFETIME;
use super::history::SERVER_ERRORS;
use super::requests::{Context, Request, Want};
use super::{AllocateError, Client, ClientEvent, ClientTimer, RelayPort, Retry, State};

/// How long the server keeps a permission (RFC 8656 §9).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long before something expires it is refreshed (RFC 8656 §8): more than a transaction takes.
pub(super) const REFRESH_MARGIN: Duration = Duration::from_secs(60);
/// The pause after a request that failed and may be repeated.
const REPEAT_PAUSE: Duration = Duration::from_secs(5);
/// 401 and 438 responses that one request may meet: the first challenge and three stale nonces.
const MAX_CHALLENGES: u8 = 4;
/// Requests that wait for a token.
const MAX_PARKED: usize = 64;

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
    AttributeType::CONNECTION_ID,
];

impl Client {
    pub(super) fn response(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> Input {
        let id = message.transaction_id();
        let Some(transaction) = self.transactions.find(id, path) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        let context = &transaction.context;
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
        // Only a challenge can come without integrity; what else does is not believed: as if it had
        // never been received, or, where nothing gets lost, the end (RFC 8489 §9.2.5).
        let is_believed = is_challenge || context.authenticated && self.auth.verify(message);
        if !is_believed {
            if context.authenticated && path.transport.is_reliable() {
                self.transactions.distrust(id);
                return Input::Handled;
            }
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let Some(transaction) = self.transactions.remove(id) else {
            return Input::Dropped(DropReason::NoTransaction);
        };
        if is_challenge {
            self.challenged(now, path, message, transaction.context);
        } else if message.unknown_required(KNOWN).next().is_some() {
            self.fail(now, transaction.context.request, AllocateError::Malformed);
        } else if message.class() == Class::Success {
            self.succeed(now, message, &transaction);
        } else {
            self.rejected(now, message, transaction.context.request, code);
        }
        Input::Handled
    }

    /// 401 or 438, on any method: again, with the new nonce, or once there is a token.
    fn challenged(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
        context: Context,
    ) {
        let challenges = context.challenges + 1;
        let result = if challenges > MAX_CHALLENGES {
            Err(AllocateError::StaleNonce)
        } else {
            self.auth
                .challenge(message, context.authenticated, path.transport)
        };
        match result {
            Ok(Next::Again) => self.request(now, context.request, challenges),
            Ok(Next::Token) if self.parked.len() < MAX_PARKED => {
                if self.parked.is_empty() {
                    self.events.push_back(ClientEvent::TokenWanted);
                }
                self.parked.push((context.request, challenges));
            }
            Ok(Next::Token) => self.fail(now, context.request, AllocateError::Refused),
            Err(error) => self.fail(now, context.request, error),
        }
    }

    fn succeed(&mut self, now: Instant, message: &Message<'_>, of: &Transaction<Context>) {
        let bears_ticket = matches!(message.method(), Method::ALLOCATE | Method::REFRESH);
        if self.config.mobility && bears_ticket {
            if let Ok(Some(MobilityTicket(ticket))) = message.get::<MobilityTicket<'_>>() {
                self.ticket = Some(ticket.into());
            }
        }
        match &of.context.request {
            Request::Allocate => self.allocated(now, message, of),
            Request::Refresh(family) => match message.get() {
                Ok(Some(lifetime)) => self.set_lifetime(now, of.started, lifetime, *family),
                _ => self.lose(now, AllocateError::Malformed),
            },
            Request::Release(Some(family)) => {
                self.events.push_back(ClientEvent::FamilyReleased(*family));
            }
            Request::Release(None) => self.released(),
            Request::Move => match message.get::<Lifetime>() {
                Ok(Some(lifetime)) => self.moved(now, of, lifetime),
                _ => self.fail(now, Request::Move, AllocateError::Malformed),
            },
            Request::Permissions(ips) => {
                for &ip in ips {
                    self.permitted(of.started, ip);
                }
            }
            Request::Channel(peer) => self.channel_bound(now, of.started, *peer),
            Request::Connect(peer) => self.connected(now, message, *peer),
            Request::BindConnection(peer) => self.connection_bound(*peer),
        }
    }

    fn permitted(&mut self, asked: Instant, ip: IpAddr) {
        let Some(permission) = self.permissions.get_mut(&ip) else {
            return;
        };
        permission.failures = 0;
        let is_new = !core::mem::replace(&mut permission.installed, true);
        let again = asked + PERMISSION_LIFETIME.saturating_sub(REFRESH_MARGIN);
        self.agenda.set(Want::Permission(ip), again);
        if is_new {
            self.events.push_back(ClientEvent::PermissionCreated(ip));
        }
    }

    fn channel_bound(&mut self, now: Instant, asked: Instant, peer: SocketAddr) {
        let Some(channel) = self.channels.get_mut(peer) else {
            return;
        };
        channel.touch(now);
        channel.failures = 0;
        let until = asked + CHANNEL_LIFETIME;
        let is_new = channel.bound_until.replace(until).is_none();
        let again = asked + CHANNEL_LIFETIME.saturating_sub(REFRESH_MARGIN);
        self.agenda.set(Want::Channel(peer), again);
        self.permitted(asked, peer.ip());
        if is_new {
            self.events.push_back(ClientEvent::ChannelBound(peer));
        }
    }

    /// An error response: asked again without what the server cannot do, or failed.
    fn rejected(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        request: Request,
        code: Option<StatusCode>,
    ) {
        if request == Request::Allocate {
            let retry = match code {
                Some(StatusCode::UNKNOWN_ATTRIBUTE)
                    if self.config.dont_fragment && lists_dont_fragment(message) =>
                {
                    !core::mem::replace(&mut self.history.no_dont_fragment, true)
                }
                Some(StatusCode::INSUFFICIENT_CAPACITY) if self.config.port != RelayPort::Any => {
                    !core::mem::replace(&mut self.history.no_port, true)
                }
                Some(StatusCode::MOBILITY_FORBIDDEN) if self.config.mobility => {
                    !core::mem::replace(&mut self.history.no_mobility, true)
                }
                _ => false,
            };
            if retry {
                return self.request(now, request, 0);
            }
        }
        let error = match code {
            Some(StatusCode::ALLOCATION_MISMATCH) => AllocateError::Mismatch,
            Some(StatusCode::TRY_ALTERNATE) if request == Request::Allocate => {
                self.redirected(now, message)
            }
            Some(code) => AllocateError::Rejected(code),
            None => AllocateError::Malformed,
        };
        self.fail(now, request, error);
    }

    /// 300: to the first alternate server of our own family (RFC 8489 §10).
    fn redirected(&mut self, now: Instant, message: &Message<'_>) -> AllocateError {
        let own = self.path.remote;
        let alternates = message
            .attributes()
            .filter(|raw| raw.kind == AttributeType::ALTERNATE_SERVER)
            .filter_map(|raw| AlternateServer::decode(raw.value, message.transaction_id()));
        let mut alternates = alternates.map(|AlternateServer(server)| server);
        let Some(server) = alternates.find(|server| server.is_ipv4() == own.is_ipv4()) else {
            return AllocateError::Rejected(StatusCode::TRY_ALTERNATE);
        };
        let domain = message.get::<AlternateDomain<'_>>().ok().flatten();
        self.alternate_domain = domain.map(|AlternateDomain(name)| name.into());
        self.history.redirect(now, own, server)
    }

    /// A request failed.
    pub(super) fn fail(&mut self, now: Instant, request: Request, error: AllocateError) {
        match request {
            Request::Allocate => {
                if matches!(self.state, State::Allocating { abandoned: true }) {
                    return self.released();
                }
                let retry = self.history.retry(now, error, true);
                self.end(retry, Some(ClientEvent::Failed(error)));
            }
            Request::Refresh(family) => match error {
                // There is time for another.
                AllocateError::Timeout | AllocateError::Unreachable => {
                    self.refresh_again(now, family);
                }
                error if error.is_server_error() => {
                    // Four in a row are enough; then it expires.
                    self.refresh_failures += 1;
                    if self.refresh_failures <= SERVER_ERRORS {
                        self.refresh_again(now, family);
                    }
                }
                error => self.lose(now, error),
            },
            // 437 says that it is gone (RFC 8656 §8.3); without an answer it will expire.
            Request::Release(None) => self.released(),
            Request::Release(Some(family)) => {
                self.events.push_back(ClientEvent::FamilyReleased(family));
            }
            Request::Move => {
                self.also = None;
                self.events.push_back(ClientEvent::MoveFailed(error));
                if error == AllocateError::Mismatch {
                    self.lose(now, error);
                }
            }
            _ if error == AllocateError::Mismatch => self.lose(now, error),
            Request::Permissions(ips) => self.permissions_failed(now, ips, error),
            Request::Channel(peer) => self.channel_failed(now, peer, error),
            Request::Connect(peer) | Request::BindConnection(peer) => {
                self.connection_failed(now, peer, error);
            }
        }
    }

    fn refresh_again(&mut self, now: Instant, family: Option<AddressFamily>) {
        if let State::Allocated { relays, .. } = &mut self.state {
            for relay in relays.of_mut(family) {
                relay.refresh_at = Some(now + REPEAT_PAUSE);
            }
        }
        self.arm();
    }

    /// Only the peer is harmed that is refused: a request for several is taken apart.
    fn permissions_failed(&mut self, now: Instant, mut ips: Vec<IpAddr>, error: AllocateError) {
        ips.retain(|ip| self.permissions.contains_key(ip));
        let rejected = matches!(error, AllocateError::Rejected(_));
        if rejected && !error.is_server_error() && ips.len() > 1 {
            let second = ips.split_off(ips.len() / 2);
            self.request(now, Request::Permissions(ips), 0);
            self.request(now, Request::Permissions(second), 0);
            return;
        }
        for ip in ips {
            let permission = self.permissions.get_mut(&ip);
            let again = permission
                .filter(|known| error.is_server_error() && known.failures < SERVER_ERRORS);
            if let Some(permission) = again {
                permission.failures += 1;
                self.agenda.set(Want::Permission(ip), now + REPEAT_PAUSE);
                continue;
            }
            self.revoke(ip);
            self.events
                .push_back(ClientEvent::PermissionRefused(ip, error));
        }
    }

    fn channel_failed(&mut self, now: Instant, peer: SocketAddr, error: AllocateError) {
        self.agenda.stop(Want::Channel(peer));
        let Some(channel) = self.channels.get_mut(peer).filter(|known| known.wanted) else {
            return;
        };
        if error.is_server_error() && channel.failures < SERVER_ERRORS {
            channel.failures += 1;
            self.agenda.set(Want::Channel(peer), now + REPEAT_PAUSE);
            return;
        }
        if error == AllocateError::Rejected(StatusCode::BAD_REQUEST)
            && channel.bound_until.is_some()
        {
            // A channel that was bound: the two sides do not agree any more, so start afresh
            // (RFC 8656 §12.3).
            self.events.push_back(ClientEvent::Lost(error));
            return self.start_release(now, Some(Retry::FreshPath(now)));
        }
        channel.give_up();
        self.events
            .push_back(ClientEvent::ChannelRefused(peer, error));
        // The permission that the channel would have brought, for indications.
        let ip = peer.ip();
        if (self.permissions.get(&ip)).is_some_and(|permission| !permission.installed) {
            self.agenda.set(Want::Permission(ip), now);
            self.work_off(now);
        }
    }

    /// The allocation is reached on the other path now: what was under way on the old one is asked
    /// again (RFC 8016 §3.2.3).
    fn moved(&mut self, now: Instant, of: &Transaction<Context>, lifetime: Lifetime) {
        let old = core::mem::replace(&mut self.path, of.path);
        // The server uses the old one until it hears data on the new one.
        self.also = Some(old);
        self.events.push_back(ClientEvent::Moved(of.path));
        let stranded: Vec<_> = (self.transactions.iter())
            .filter(|(_, transaction)| transaction.path == old)
            .map(|(&id, transaction)| (id, transaction.context.request.clone()))
            .collect();
        for (id, request) in stranded {
            self.transactions.remove(id);
            if !matches!(request, Request::Refresh(None)) {
                self.request(now, request, 0);
            }
        }
        self.set_lifetime(now, of.started, lifetime, None);
    }

    /// Restarts the timers of what may expire and be refreshed.
    pub(super) fn arm(&mut self) {
        let State::Allocated { relays, .. } = &self.state else {
            return;
        };
        let expires = relays.iter().map(|relay| relay.expires).min();
        let refresh = relays.iter().filter_map(|relay| relay.refresh_at).min();
        for (timer, at) in [
            (ClientTimer::Expire, expires),
            (ClientTimer::Refresh, refresh),
        ] {
            match at {
                Some(at) => self.timers.set(timer, at),
                None => self.timers.stop(timer),
            }
        }
    }
}

/// Whether a 420 lists DONT-FRAGMENT.
fn lists_dont_fragment(message: &Message<'_>) -> bool {
    let unknown = message.get::<UnknownAttributes<'_>>().ok().flatten();
    unknown.is_some_and(|unknown| {
        unknown
            .iter()
            .any(|kind| kind == AttributeType::DONT_FRAGMENT)
    })
}

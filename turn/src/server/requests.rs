//! Requests: who sends them, and what the server does upon those of peers and channels (RFC 8656 §5,
//! §10.2, §12.2).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use floe_sansio::{DropReason, FiveTuple, Input, Instant, Transmit};
use floe_stun::{
    AlternateServer, Attribute, AttributeType, Builder, ChannelNumber, Checked, Class,
    ConnectionId, ErrorCode, Lifetime, MAX_PARKED, Malformed, Message, Method, MobilityTicket,
    Redirect, Refusal, Seal, Software, StatusCode, ThirdPartyAuthorization, UnknownRequired, User,
    UserAnswer, XorPeerAddress,
};

use super::allocate::Granted;
use super::channels::Channel;
use super::config::ServerEvent;
use super::mobility::Ticket;
use super::refuse::RefuseReason;
use super::{MAX_PENDING, Server, Slot, is_listener};
use crate::policy::{canonical, is_tunnelled, is_unicast};

/// Bytes of the longest response: REALM and SOFTWARE are the largest parts, of 508 bytes each.
const RESPONSE_MAX: usize = 2048;

macro_rules! known {
    ($($more:ident)?) => {
        &[
            AttributeType::USERNAME,
            AttributeType::CHANNEL_NUMBER,
            AttributeType::LIFETIME,
            AttributeType::XOR_PEER_ADDRESS,
            AttributeType::DATA,
            AttributeType::REALM,
            AttributeType::NONCE,
            AttributeType::REQUESTED_ADDRESS_FAMILY,
            AttributeType::EVEN_PORT,
            AttributeType::REQUESTED_TRANSPORT,
            AttributeType::DONT_FRAGMENT,
            AttributeType::PASSWORD_ALGORITHM,
            AttributeType::USERHASH,
            AttributeType::RESERVATION_TOKEN,
            AttributeType::CONNECTION_ID,
            $(AttributeType::$more,)?
        ]
    };
}

/// What a request may carry that must be understood. Whether DONT-FRAGMENT is, Allocate looks in its
/// own time (RFC 8656 §7.2).
const KNOWN: &[AttributeType] = known!();
/// The same where somebody vouches for clients (RFC 7635).
const KNOWN_WITH_TOKENS: &[AttributeType] = known!(ACCESS_TOKEN);

/// Who sends a request, proven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) path: FiveTuple,
    /// As the user base calls him.
    pub(super) user: u64,
    /// Until when his credentials are good.
    pub(super) until: Instant,
}

/// A request that a token vouches for, and until when; or why it does not.
pub(super) type Vouched<'m> = Result<(Checked<'m>, Instant), Refusal>;

/// What a success response carries.
pub(super) enum Success {
    Allocated(Granted),
    Refreshed(Lifetime, Option<Ticket>),
    Connected(u32),
    Done,
    /// No response yet: one follows when the connection has been made, or has not.
    Waits(u32),
}

/// What an error response carries.
pub(super) enum Refused {
    For(RefuseReason),
    Unknown(UnknownRequired),
    DontFragment,
    /// To an address of the client's family, and one of the other.
    Redirected(SocketAddr, Option<SocketAddr>),
}

impl Refused {
    const fn reason(&self) -> RefuseReason {
        match self {
            Self::For(reason) => *reason,
            Self::Unknown(_) | Self::DontFragment => RefuseReason::UnknownAttribute,
            Self::Redirected(..) => RefuseReason::Redirected,
        }
    }

    /// To the other server, if it has an address of the family of `source`; the client cannot use
    /// another alone (RFC 8489 §10).
    pub(super) fn redirected(other: &Redirect, source: SocketAddr, reason: RefuseReason) -> Self {
        match other.addresses(source) {
            (Some(first), second) => Self::Redirected(first, second),
            (None, _) => Self::For(reason),
        }
    }
}

impl From<RefuseReason> for Refused {
    fn from(reason: RefuseReason) -> Self {
        Self::For(reason)
    }
}

impl From<Malformed> for Refused {
    fn from(_: Malformed) -> Self {
        Self::For(RefuseReason::BadRequest)
    }
}

impl Server {
    /// The user of a request that waited is found, or is nobody; see
    /// [`ServerEvent::UserWanted`]. A ticket that is too old does nothing.
    pub fn answer_user(&mut self, now: Instant, ticket: u64, user: Option<User>) {
        let now = self.clock.advance(now);
        let Some((path, bytes)) = self.parking.take(ticket) else {
            return;
        };
        let found = user.map_or(UserAnswer::Unknown, UserAnswer::Known);
        let Ok(message) = Message::parse(&bytes) else {
            return;
        };
        if let Err(reason) = self.answer(now, path, &message, Some(found)) {
            self.stats.count_drop(reason);
        }
    }

    /// A request from a client: authenticated, then answered.
    pub(super) fn request(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> Result<Input, DropReason> {
        let source = path.remote;
        let ip = canonical(source.ip());
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Err(DropReason::Unauthenticated);
        }
        // Addresses that nobody can answer to, our own, and tunnels (RFC 8656 §21.4).
        if source.port() == 0
            || !is_unicast(ip)
            || is_tunnelled(ip)
            || is_listener(&self.config.listeners, &source)
        {
            return Err(DropReason::Forbidden);
        }
        self.answer(now, path, message, None)
    }

    /// `found` is what the owner said of the user, if he was asked.
    fn answer(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
        found: Option<UserAnswer>,
    ) -> Result<Input, DropReason> {
        if self.transmits.len() >= MAX_PENDING {
            return Err(DropReason::Capacity);
        }
        self.auth.advance(now);
        let source = path.remote;
        let vouched = self.check_token(now, path, message);
        let mut until = Instant::MAX;
        let checked = match (vouched, found) {
            (Some(vouched), _) => vouched.map(|(checked, good_until)| {
                until = good_until;
                checked
            }),
            (None, Some(found)) => self.auth.check(now, source, message, &found),
            (None, None) => self.auth.check(now, source, message, &self.users),
        };
        let (user, seal) = match checked {
            Ok(Checked::Authenticated { id, seal }) => (id, seal),
            Ok(Checked::Later(claim)) => {
                let room = self.events.len() < MAX_PARKED;
                let parked = room.then(|| self.parking.park(now, path, message, &claim));
                let wanted = parked.flatten().ok_or(DropReason::Capacity)?;
                self.events.push_back(ServerEvent::UserWanted(wanted));
                return Ok(Input::Handled);
            }
            Err(refusal) => return self.challenge(now, path, message, refusal),
        };
        let caller = Caller { path, user, until };
        let known = if self.token_name().is_some() {
            KNOWN_WITH_TOKENS
        } else {
            KNOWN
        };
        let outcome = match UnknownRequired::find(message, known) {
            Some(unknown) => Err(Refused::Unknown(unknown)),
            None => match message.method() {
                Method::ALLOCATE => self.allocate(now, caller, message),
                Method::REFRESH => self.refresh(now, caller, message),
                Method::CREATE_PERMISSION => self.create_permission(now, caller, message),
                Method::CONNECT => self.connect(now, caller, message),
                Method::CONNECTION_BIND => self.connection_bind(now, caller, message),
                _ => self.channel_bind(now, caller, message),
            },
        };
        match outcome {
            Ok(Success::Waits(connection)) => self.connections.wait(connection, message, seal),
            outcome => {
                if outcome.is_ok() && until != Instant::MAX {
                    self.keep_session(now, caller, message, &seal);
                }
                self.respond(path, message, &seal, outcome);
            }
        }
        Ok(Input::Handled)
    }

    /// Tells a stranger what is wanted of him; within the budget.
    fn challenge(
        &mut self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
        refusal: Refusal,
    ) -> Result<Input, DropReason> {
        let source = path.remote;
        let mut answers = self.answers.as_mut();
        if (answers.as_mut()).is_some_and(|answers| !answers.take(now, source.ip())) {
            return Err(DropReason::OverBudget);
        }
        self.stats.count_refusal(match refusal.code() {
            StatusCode::UNAUTHENTICATED => RefuseReason::Unauthenticated,
            StatusCode::STALE_NONCE => RefuseReason::StaleNonce,
            _ => RefuseReason::BadRequest,
        });
        let mut buffer = [0; RESPONSE_MAX];
        let mut builder =
            Builder::response(&mut buffer, message, Class::Error).with(&bare(refusal.code()));
        if refusal.has_challenge() {
            builder = self.auth.with_challenge(builder, now, source);
        }
        if refusal.code() == StatusCode::UNAUTHENTICATED {
            let vouching = self.token_name().map(ThirdPartyAuthorization);
            builder = builder.with_some(vouching.as_ref());
        }
        self.send_response(path, message, builder);
        Ok(Input::Handled)
    }

    /// The signed answer to a request.
    pub(super) fn respond(
        &mut self,
        path: FiveTuple,
        request: &Message<'_>,
        seal: &Seal,
        outcome: Result<Success, Refused>,
    ) {
        if let Err(refused) = &outcome {
            self.stats.count_refusal(refused.reason());
        }
        let mut buffer = [0; RESPONSE_MAX];
        let class = if outcome.is_ok() {
            Class::Success
        } else {
            Class::Error
        };
        let builder = Builder::response(&mut buffer, request, class);
        let mut builder = match outcome {
            Ok(Success::Allocated(granted)) => granted.append(builder, path.remote),
            Ok(Success::Refreshed(lifetime, ticket)) => builder
                .with(&lifetime)
                .with_some(ticket.as_ref().map(|it| MobilityTicket(it)).as_ref()),
            Ok(Success::Connected(connection)) => builder.with(&ConnectionId(connection)),
            Ok(Success::Done | Success::Waits(_)) => builder,
            Err(Refused::For(reason)) => builder.with(&bare(reason.code())),
            Err(Refused::Unknown(unknown)) => builder
                .with(&bare(StatusCode::UNKNOWN_ATTRIBUTE))
                .with(&unknown.attribute()),
            Err(Refused::DontFragment) => {
                let list = AttributeType::DONT_FRAGMENT.0.to_be_bytes();
                builder
                    .with(&bare(StatusCode::UNKNOWN_ATTRIBUTE))
                    .with_raw(AttributeType::UNKNOWN_ATTRIBUTES, &list)
            }
            Err(Refused::Redirected(first, second)) => builder
                .with(&bare(StatusCode::TRY_ALTERNATE))
                .with(&AlternateServer(first))
                .with_some(second.map(AlternateServer).as_ref()),
        };
        if matches!(request.method(), Method::ALLOCATE | Method::REFRESH) {
            let software = self.config.software.as_deref().map(Software);
            builder = builder.with_some(software.as_ref());
        }
        self.send_response(path, request, seal.append(builder));
    }

    fn send_response(&mut self, path: FiveTuple, request: &Message<'_>, builder: Builder<'_>) {
        let builder = if request.has_fingerprint() {
            builder.with_fingerprint()
        } else {
            builder
        };
        if let Ok(payload) = builder.finish_bytes() {
            self.transmits.push_back(Transmit { path, payload });
        }
    }

    fn create_permission(
        &mut self,
        now: Instant,
        caller: Caller,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        let slot = self.owned(now, caller)?;
        let limit = self.config.limits.permissions;
        let mut ips = Vec::new();
        let peers = message
            .attributes()
            .filter(|raw| raw.kind == AttributeType::XOR_PEER_ADDRESS);
        for (count, raw) in peers.enumerate() {
            let peer = XorPeerAddress::decode(raw.value, message.transaction_id());
            let XorPeerAddress(peer) = peer.ok_or(RefuseReason::BadRequest)?;
            if count >= limit {
                return Err(RefuseReason::Permissions.into());
            }
            ips.push(peer.ip());
        }
        ips.sort_unstable();
        ips.dedup();
        if ips.is_empty() {
            return Err(RefuseReason::BadRequest.into());
        }
        // IPv4 first, as they are sorted; each family has its own part of the allocation.
        let (ipv4, ipv6) = ips.split_at(ips.partition_point(IpAddr::is_ipv4));
        let mut parts = Vec::new();
        for (is_ipv4, ips) in [(true, ipv4), (false, ipv6)] {
            if !ips.is_empty() {
                parts.push((self.part(now, slot, is_ipv4)?, ips));
            }
        }
        ips.iter().try_for_each(|&ip| self.may_permit(ip))?;
        // All or nothing (RFC 8656 §10.2).
        for &(slot, ips) in &parts {
            let permissions = self.permissions(slot).ok_or(RefuseReason::Internal)?;
            if !permissions.make_room(now, ips, limit) {
                return Err(RefuseReason::Permissions.into());
            }
        }
        for (slot, ips) in parts {
            let permissions = self.permissions(slot).ok_or(RefuseReason::Internal)?;
            for &ip in ips {
                permissions.install(now, ip);
            }
        }
        Ok(Success::Done)
    }

    fn channel_bind(
        &mut self,
        now: Instant,
        caller: Caller,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        let slot = self.owned(now, caller)?;
        let limits = self.config.limits;
        let ChannelNumber(number) = message.get()?.ok_or(RefuseReason::BadRequest)?;
        let XorPeerAddress(peer) = message.get()?.ok_or(RefuseReason::BadRequest)?;
        let allocation = (self.allocations.get(slot)).ok_or(RefuseReason::Internal)?;
        // One number leads to one peer, whatever the part of the allocation.
        let is_free = |part: &super::Allocation| part.channels.may_bind(now, number, peer);
        let twin_allows = (self.twin(now, allocation)).is_none_or(|(_, twin)| is_free(twin));
        if !self.config.channels.contains(&number)
            || peer.port() == 0
            // Channels carry datagrams.
            || allocation.is_tcp
            || !is_free(allocation)
            || !twin_allows
        {
            return Err(RefuseReason::BadRequest.into());
        }
        let slot = self.part(now, slot, peer.is_ipv4())?;
        self.may_permit(peer.ip())?;
        self.may_reach(slot, peer)?;
        let is_hairpin = self.relays.contains(canonical(peer.ip()));
        let allocation = (self.allocations.get_mut(slot)).ok_or(RefuseReason::Internal)?;
        let ip = peer.ip();
        if !(allocation.permissions).make_room(now, &[ip], limits.permissions) {
            return Err(RefuseReason::Permissions.into());
        }
        if !(allocation.channels).make_room(now, number, limits.channels) {
            return Err(RefuseReason::Channels.into());
        }
        allocation.permissions.install(now, ip);
        (allocation.channels).bind(Channel::new(now, number, peer, is_hairpin));
        Ok(Success::Done)
    }

    /// The allocation that a request other than Allocate is about, if the user made it (RFC 8656 §5).
    pub(super) fn owned(&self, now: Instant, caller: Caller) -> Result<Slot, Refused> {
        let own = self.of_client(now, &caller.path);
        let (slot, allocation) = own.ok_or(RefuseReason::Mismatch)?;
        if allocation.user != caller.user {
            return Err(RefuseReason::WrongUser.into());
        }
        Ok(slot)
    }

    /// The part of an allocation with a relayed address of this family.
    pub(super) fn part(
        &self,
        now: Instant,
        slot: Slot,
        is_ipv4: bool,
    ) -> Result<Slot, RefuseReason> {
        let own = (self.allocations.get(slot)).ok_or(RefuseReason::Internal)?;
        let mut parts = [Some((slot, own)), self.twin(now, own)]
            .into_iter()
            .flatten();
        parts
            .find(|(_, part)| self.relays.address(part.relayed).is_ipv4() == is_ipv4)
            .map(|(slot, _)| slot)
            .ok_or(RefuseReason::PeerFamily)
    }
}

/// The code without a reason phrase: answers stay small.
pub(super) const fn bare(code: StatusCode) -> ErrorCode<'static> {
    ErrorCode { code, reason: "" }
}

pub(super) fn has(message: &Message<'_>, kind: AttributeType) -> bool {
    message.attributes().any(|raw| raw.kind == kind)
}

/// Nobody vouches for anybody.
#[cfg(not(feature = "third-party"))]
#[allow(clippy::unused_self)]
impl Server {
    fn check_token<'m>(&self, _: Instant, _: FiveTuple, _: &Message<'m>) -> Option<Vouched<'m>> {
        None
    }

    fn keep_session(&mut self, _: Instant, _: Caller, _: &Message<'_>, _: &Seal) {}

    fn token_name(&self) -> Option<&str> {
        None
    }
}

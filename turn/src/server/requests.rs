//! What the server does upon each request (RFC 8656 §7.2, §8.2, §10.2, §12.2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{DropReason, FiveTuple, Input, Instant, Transmit};
use floe_stun::{
    AddressFamily, Attribute, AttributeType, Builder, ChannelNumber, Checked, Class, DontFragment,
    ErrorCode, EvenPort, Lifetime, Malformed, Message, Method, RequestedAddressFamily,
    RequestedTransport, ReservationToken, StatusCode, UnknownRequired, XorMappedAddress,
    XorPeerAddress, XorRelayedAddress,
};

use super::allocation::{Allocation, Origin};
use super::channels::Channel;
use super::config::{CloseCause, ServerEvent};
use super::refuse::RefuseReason;
use super::{MAX_PENDING, Server, Slot, is_listener};
use crate::policy::{canonical, is_tunnelled, is_unicast};

/// Bytes of the longest response: a challenge with a realm of 127 characters.
const RESPONSE_MAX: usize = 1024;

/// What a request may carry that must be understood. DONT-FRAGMENT is not supported, but
/// Allocate looks at it in its own time (RFC 8656 §7.2).
const KNOWN: &[AttributeType] = &[
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
];

/// What a success response carries.
enum Success {
    Allocated {
        relayed: SocketAddr,
        lifetime: Lifetime,
        /// IPv6 was asked for in addition, and is not to be had.
        lacks_additional: bool,
    },
    Refreshed(Lifetime),
    Done,
}

/// What an error response carries.
enum Refused {
    For(RefuseReason),
    Unknown(UnknownRequired),
    DontFragment,
}

impl Refused {
    const fn reason(&self) -> RefuseReason {
        match self {
            Self::For(reason) => *reason,
            Self::Unknown(_) | Self::DontFragment => RefuseReason::UnknownAttribute,
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
            || is_listener(&self.config.listeners, source)
        {
            return Err(DropReason::Forbidden);
        }
        if self.transmits.len() >= MAX_PENDING {
            return Err(DropReason::Capacity);
        }
        self.auth.advance(now);
        let (user, seal) = match self.auth.check(now, source, message, &self.keys) {
            Ok(Checked::Authenticated { id, seal }) => (id, seal),
            // A list of users knows at once.
            Ok(Checked::Later(_)) => return Err(DropReason::Unauthenticated),
            Err(refusal) => {
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
                let mut builder = Builder::response(&mut buffer, message, Class::Error)
                    .with(&bare(refusal.code()));
                if refusal.has_challenge() {
                    builder = self.auth.with_challenge(builder, now, source);
                }
                self.respond(path, message, builder);
                return Ok(Input::Handled);
            }
        };
        let outcome = match UnknownRequired::find(message, KNOWN) {
            Some(unknown) => Err(Refused::Unknown(unknown)),
            None => match message.method() {
                Method::ALLOCATE => self.allocate(now, path, user, message),
                Method::REFRESH => self.refresh(now, path, user, message),
                Method::CREATE_PERMISSION => self.create_permission(now, path, user, message),
                _ => self.channel_bind(now, path, user, message),
            },
        };
        if let Err(refused) = &outcome {
            self.stats.count_refusal(refused.reason());
        }
        let mut buffer = [0; RESPONSE_MAX];
        let class = if outcome.is_ok() {
            Class::Success
        } else {
            Class::Error
        };
        let builder = Builder::response(&mut buffer, message, class);
        let builder = match outcome {
            Ok(Success::Allocated {
                relayed,
                lifetime,
                lacks_additional,
            }) => {
                let builder = builder
                    .with(&XorRelayedAddress(relayed))
                    .with(&lifetime)
                    .with(&XorMappedAddress(source));
                if lacks_additional {
                    // IPv6: 440, without a reason phrase (RFC 8656 §18.12).
                    let value = [AddressFamily::IPV6.0, 0, 4, 40];
                    builder.with_raw(AttributeType::ADDRESS_ERROR_CODE, &value)
                } else {
                    builder
                }
            }
            Ok(Success::Refreshed(lifetime)) => builder.with(&lifetime),
            Ok(Success::Done) => builder,
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
        };
        self.respond(path, message, seal.append(builder));
        Ok(Input::Handled)
    }

    fn respond(&mut self, path: FiveTuple, request: &Message<'_>, builder: Builder<'_>) {
        let builder = if request.has_fingerprint() {
            builder.with_fingerprint()
        } else {
            builder
        };
        if let Ok(payload) = builder.finish_bytes() {
            self.transmits.push_back(Transmit { path, payload });
        }
    }

    /// The checks in the order of RFC 8656 §7.2.
    fn allocate(
        &mut self,
        now: Instant,
        path: FiveTuple,
        user: u64,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        // Room for the living.
        self.reap(now);
        let origin = Origin {
            id: message.transaction_id(),
            digest: digest(message.as_bytes()),
        };
        let wants_ipv6_too = has(message, AttributeType::ADDITIONAL_ADDRESS_FAMILY);
        match self.of_client(now, &path) {
            // A retransmission, whose answer was lost.
            Some((_, own)) if own.origin == origin && own.user == user => {
                return Ok(Success::Allocated {
                    relayed: self.relays.address(own.relayed),
                    lifetime: seconds(own.expires - now),
                    lacks_additional: wants_ipv6_too,
                });
            }
            Some(_) => return Err(RefuseReason::Mismatch.into()),
            None => {}
        }
        if let Some(expired) = self.slot_of(&path) {
            self.remove(expired, CloseCause::Expired);
        }
        match message.get::<RequestedTransport>()? {
            Some(RequestedTransport::UDP) => {}
            Some(_) => return Err(RefuseReason::Transport.into()),
            None => return Err(RefuseReason::BadRequest.into()),
        }
        if message.get::<DontFragment>()?.is_some() {
            return Err(Refused::DontFragment);
        }
        let even_port = message.get::<EvenPort>()?;
        let family = message.get::<RequestedAddressFamily>()?;
        if message.get::<ReservationToken>()?.is_some() {
            // No token is ever given out, so none is valid.
            let clashes = even_port.is_some() || family.is_some() || wants_ipv6_too;
            return Err(Refused::For(if clashes {
                RefuseReason::BadRequest
            } else {
                RefuseReason::NoReservation
            }));
        }
        if family.is_some() && wants_ipv6_too {
            return Err(RefuseReason::BadRequest.into());
        }
        let wants_ipv4 = match family {
            None | Some(RequestedAddressFamily(AddressFamily::IPV4)) => true,
            Some(RequestedAddressFamily(AddressFamily::IPV6)) => false,
            Some(_) => return Err(RefuseReason::Family.into()),
        };
        if !self.relays.has_family(wants_ipv4) {
            return Err(RefuseReason::Family.into());
        }
        if even_port.is_some_and(|even| even.reserve_next) {
            return Err(Refused::For(if wants_ipv6_too {
                RefuseReason::BadRequest
            } else {
                RefuseReason::NoReservation
            }));
        }
        if wants_ipv6_too && !asks_for_ipv6(message) {
            return Err(RefuseReason::BadRequest.into());
        }
        let lifetime = self.lifetime(message.get::<Lifetime>()?);

        if self.is_draining {
            return Err(RefuseReason::Draining.into());
        }
        let limits = self.config.limits;
        let source = path.remote.ip();
        self.quotas.check(&limits, user, source)?;
        if self.by_client.len() >= limits.allocations {
            return Err(RefuseReason::Full.into());
        }
        let slot = self.allocations.next_slot();
        let even = even_port.is_some();
        let place = (self.relays)
            .take(&mut self.entropy, wants_ipv4, even, slot)
            .ok_or(RefuseReason::NoPort)?;

        let expires = now + lifetime;
        (self.allocations).insert(Allocation::new(path, place, user, expires, origin));
        self.by_client.insert(self.by_client.hash(&path), slot);
        self.quotas.add(user, source);
        self.deadlines.set(slot, expires);
        self.stats.opened += 1;
        let relayed = self.relays.address(place);
        let name = usize::try_from(user).ok().and_then(|at| self.names.get(at));
        if let Some(name) = name {
            self.events.push_back(ServerEvent::RelayOpened {
                relayed,
                client: path,
                username: Arc::clone(name),
            });
        }
        Ok(Success::Allocated {
            relayed,
            lifetime: seconds(lifetime),
            lacks_additional: wants_ipv6_too,
        })
    }

    fn refresh(
        &mut self,
        now: Instant,
        path: FiveTuple,
        user: u64,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        let (slot, relayed) = self.owned(now, path, user)?;
        let family = message.get::<RequestedAddressFamily>()?;
        if family.is_some_and(|RequestedAddressFamily(family)| family != family_of(relayed)) {
            return Err(RefuseReason::PeerFamily.into());
        }
        let requested = message.get::<Lifetime>()?;
        if requested == Some(Lifetime(0)) {
            self.remove(slot, CloseCause::Released);
            return Ok(Success::Refreshed(Lifetime(0)));
        }
        let lifetime = self.lifetime(requested);
        let expires = now + lifetime;
        if let Some(allocation) = self.allocations.get_mut(slot) {
            allocation.expires = expires;
        }
        if self.deadlines.get(slot).is_none_or(|at| expires < at) {
            self.deadlines.set(slot, expires);
        }
        Ok(Success::Refreshed(seconds(lifetime)))
    }

    fn create_permission(
        &mut self,
        now: Instant,
        path: FiveTuple,
        user: u64,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        let (slot, relayed) = self.owned(now, path, user)?;
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
        if ips.iter().any(|ip| ip.is_ipv4() != relayed.is_ipv4()) {
            return Err(RefuseReason::PeerFamily.into());
        }
        if !ips.iter().all(|&ip| self.may_permit(ip)) {
            return Err(RefuseReason::Forbidden.into());
        }
        // All or nothing (RFC 8656 §10.2).
        let allocation = (self.allocations.get_mut(slot)).ok_or(RefuseReason::Internal)?;
        if !allocation.permissions.make_room(now, &ips, limit) {
            return Err(RefuseReason::Permissions.into());
        }
        for ip in ips {
            allocation.permissions.install(now, ip);
        }
        Ok(Success::Done)
    }

    fn channel_bind(
        &mut self,
        now: Instant,
        path: FiveTuple,
        user: u64,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        let (slot, relayed) = self.owned(now, path, user)?;
        let limits = self.config.limits;
        let ChannelNumber(number) = message.get()?.ok_or(RefuseReason::BadRequest)?;
        let XorPeerAddress(peer) = message.get()?.ok_or(RefuseReason::BadRequest)?;
        let valid = self.config.channels.contains(&number);
        let allocation = (self.allocations.get(slot)).ok_or(RefuseReason::Internal)?;
        if !valid || peer.port() == 0 || !allocation.channels.may_bind(now, number, peer) {
            return Err(RefuseReason::BadRequest.into());
        }
        if peer.is_ipv4() != relayed.is_ipv4() {
            return Err(RefuseReason::PeerFamily.into());
        }
        if !self.may_permit(peer.ip()) || !self.may_reach(slot, peer) {
            return Err(RefuseReason::Forbidden.into());
        }
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
    fn owned(
        &self,
        now: Instant,
        path: FiveTuple,
        user: u64,
    ) -> Result<(Slot, SocketAddr), Refused> {
        let (slot, allocation) = (self.of_client(now, &path)).ok_or(RefuseReason::Mismatch)?;
        if allocation.user != user {
            return Err(RefuseReason::WrongUser.into());
        }
        Ok((slot, self.relays.address(allocation.relayed)))
    }

    /// The lifetime granted (RFC 8656 §7.2): at least the default, at most the maximum.
    fn lifetime(&self, requested: Option<Lifetime>) -> Duration {
        let requested = requested.map_or(Duration::ZERO, Lifetime::duration);
        requested
            .min(self.config.max_lifetime)
            .max(self.config.default_lifetime)
    }
}

/// The code without a reason phrase: answers stay small.
const fn bare(code: StatusCode) -> ErrorCode<'static> {
    ErrorCode { code, reason: "" }
}

fn seconds(lifetime: Duration) -> Lifetime {
    Lifetime(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX))
}

const fn family_of(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::IPV4
    } else {
        AddressFamily::IPV6
    }
}

fn has(message: &Message<'_>, kind: AttributeType) -> bool {
    message.attributes().any(|raw| raw.kind == kind)
}

/// Whether ADDITIONAL-ADDRESS-FAMILY has its only legal value (RFC 8656 §18.11).
fn asks_for_ipv6(message: &Message<'_>) -> bool {
    let mut attributes = message.attributes();
    attributes
        .find(|raw| raw.kind == AttributeType::ADDITIONAL_ADDRESS_FAMILY)
        .is_some_and(
            |raw| matches!(raw.value, &[family, _, _, _] if family == AddressFamily::IPV6.0),
        )
}

/// FNV-1a, 64 bits. Only who knows the user's password gets here, and a collision harms only him.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

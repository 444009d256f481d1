//! Allocate and Refresh: the life of allocations (RFC 8656 §7.2, §8.2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use floe_sansio::{FiveTuple, Instant};
use floe_stun::{
    AdditionalAddressFamily, AddressErrorCode, AddressFamily, AttributeType, Builder, DontFragment,
    EvenPort, Lifetime, Message, MobilityTicket, RequestedAddressFamily, RequestedTransport,
    ReservationToken, StatusCode, XorMappedAddress, XorRelayedAddress,
};

use super::allocation::{Allocation, Origin};
use super::config::{CloseCause, ServerEvent};
use super::mobility::Ticket;
use super::refuse::RefuseReason;
use super::relays::Place;
use super::requests::{Caller, Refused, Success, bare, has};
use super::{Server, Slot};

/// RFC 8656 §7.2.
const LEAST_RESERVATION: Duration = Duration::from_secs(30);

/// What an Allocate success response carries.
pub(super) struct Granted {
    relayed: [Option<SocketAddr>; 2],
    lifetime: Lifetime,
    token: Option<ReservationToken>,
    /// A family that was asked for and is not to be had, and why.
    lacking: Option<(AddressFamily, StatusCode)>,
    ticket: Option<Ticket>,
}

impl Granted {
    pub(super) fn append<'b>(&self, mut builder: Builder<'b>, source: SocketAddr) -> Builder<'b> {
        for relayed in self.relayed.into_iter().flatten() {
            builder = builder.with(&XorRelayedAddress(relayed));
        }
        let lacking = self.lacking.map(|(family, code)| AddressErrorCode {
            family,
            error: bare(code),
        });
        builder
            .with(&self.lifetime)
            .with(&XorMappedAddress(source))
            .with_some(self.token.as_ref())
            .with_some(lacking.as_ref())
            .with_some(self.ticket.as_ref().map(|it| MobilityTicket(it)).as_ref())
    }
}

/// What is asked for, once the request is found in order.
#[allow(clippy::struct_excessive_bools)] // as many questions
struct Wish {
    is_tcp: bool,
    token: Option<[u8; 8]>,
    even: Option<EvenPort>,
    is_ipv4: bool,
    /// IPv6 too.
    is_dual: bool,
    lifetime: Option<Lifetime>,
    is_mobile: bool,
}

impl Server {
    /// The checks in the order of RFC 8656 §7.2.
    pub(super) fn allocate(
        &mut self,
        now: Instant,
        caller: Caller,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        // Room for the living.
        self.reap(now);
        let path = caller.path;
        let origin = Origin {
            id: message.transaction_id(),
            digest: digest(message.as_bytes()),
        };
        match self.of_client(now, &path) {
            // A retransmission, whose answer was lost.
            Some((slot, own)) if own.origin == origin && own.user == caller.user => {
                let is_dual = has(message, AttributeType::ADDITIONAL_ADDRESS_FAMILY);
                return Ok(Success::Allocated(self.granted(now, slot, is_dual)));
            }
            Some(_) => return Err(RefuseReason::Mismatch.into()),
            None => {}
        }
        while let Some(expired) = self.slot_of(&path) {
            self.remove(expired, CloseCause::Expired);
        }
        let wish = self.wish(now, path, message)?;
        let slot = match self.fulfil(now, caller, &wish, origin, message) {
            Ok(slot) => slot,
            Err(reason) => {
                let is_full = matches!(
                    reason,
                    RefuseReason::Draining | RefuseReason::Full | RefuseReason::NoPort
                );
                return Err(match &self.config.alternate {
                    Some(other) if is_full => Refused::redirected(other, path.remote, reason),
                    _ => reason.into(),
                });
            }
        };
        if wish.is_mobile {
            self.mobility.add(slot, &mut self.entropy);
        }
        Ok(Success::Allocated(self.granted(now, slot, wish.is_dual)))
    }

    /// Whether a request is in order.
    fn wish(&self, now: Instant, path: FiveTuple, message: &Message<'_>) -> Result<Wish, Refused> {
        let is_tcp = match message.get::<RequestedTransport>()? {
            Some(RequestedTransport::UDP) if self.config.udp => false,
            Some(RequestedTransport::UDP) => return Err(RefuseReason::Forbidden.into()),
            Some(RequestedTransport::TCP) if self.config.tcp => true,
            Some(_) => return Err(RefuseReason::Transport.into()),
            None => return Err(RefuseReason::BadRequest.into()),
        };
        let dont_fragment = message.get::<DontFragment>()?;
        let even = message.get::<EvenPort>()?;
        let token = message.get::<ReservationToken>()?;
        if is_tcp {
            let is_udp_only = dont_fragment.is_some() || even.is_some() || token.is_some();
            if is_udp_only || !path.transport.is_reliable() {
                return Err(RefuseReason::BadRequest.into());
            }
        } else if dont_fragment.is_some() && !self.config.dont_fragment {
            return Err(Refused::DontFragment);
        }
        let family = message.get::<RequestedAddressFamily>()?;
        let additional = message.get::<AdditionalAddressFamily>()?;
        let mut reserved = None;
        if let Some(ReservationToken(token)) = token {
            if even.is_some() || family.is_some() || additional.is_some() {
                return Err(RefuseReason::BadRequest.into());
            }
            reserved = self.reservations.place(now, token);
            if reserved.is_none() {
                return Err(RefuseReason::NoReservation.into());
            }
        }
        if family.is_some() && additional.is_some() {
            return Err(RefuseReason::BadRequest.into());
        }
        let is_ipv4 = match (reserved, family) {
            // What was reserved has its family already.
            (Some(place), _) => self.relays.address(place).is_ipv4(),
            (None, None | Some(RequestedAddressFamily(AddressFamily::IPV4))) => true,
            (None, Some(RequestedAddressFamily(AddressFamily::IPV6))) => false,
            (None, Some(_)) => return Err(RefuseReason::Family.into()),
        };
        if !self.relays.has_family(is_ipv4) {
            return Err(RefuseReason::Family.into());
        }
        let is_pair = even.is_some_and(|even| even.reserve_next);
        if additional.is_some() && is_pair {
            return Err(RefuseReason::BadRequest.into());
        }
        if additional.is_some_and(|AdditionalAddressFamily(it)| it != AddressFamily::IPV6) {
            return Err(RefuseReason::BadRequest.into());
        }
        // From IPv4 to IPv6 the DF bit of the client's packets would count, which no datagram shows
        // (RFC 8656 §3.7).
        let has_ipv6 = !is_ipv4 || additional.is_some() && self.relays.has_family(false);
        let is_translated = has_ipv6 && path.remote.is_ipv4() && !path.transport.is_reliable();
        if dont_fragment.is_some() && is_translated {
            return Err(Refused::DontFragment);
        }
        let is_mobile = match message.get::<MobilityTicket<'_>>()? {
            None => false,
            Some(MobilityTicket(ticket)) if !ticket.is_empty() => {
                return Err(RefuseReason::BadRequest.into());
            }
            Some(_) if !self.config.mobility => return Err(RefuseReason::Mobility.into()),
            // A control connection stays where it is.
            Some(_) => !is_tcp,
        };
        Ok(Wish {
            is_tcp,
            token: token.map(|ReservationToken(token)| token),
            even,
            is_ipv4,
            is_dual: additional.is_some(),
            lifetime: message.get::<Lifetime>()?,
            is_mobile,
        })
    }

    /// Makes an allocation; where it lies.
    fn fulfil(
        &mut self,
        now: Instant,
        caller: Caller,
        wish: &Wish,
        origin: Origin,
        message: &Message<'_>,
    ) -> Result<Slot, RefuseReason> {
        if self.is_draining {
            return Err(RefuseReason::Draining);
        }
        let source = caller.path.remote.ip();
        let limits = self.config.limits;
        self.quotas.check(&limits, caller.user, source)?;

        let expires = self.expiry(now, caller, wish.lifetime);
        let name = self.users.name(caller.user, message);
        let mut parts = Vec::new();
        let families = [Some(wish.is_ipv4), wish.is_dual.then_some(!wish.is_ipv4)];
        for is_ipv4 in families.into_iter().flatten() {
            // The second counts as the first does.
            if self.quotas.check(&limits, caller.user, source).is_err() {
                break;
            }
            let slot = self.allocations.next_slot();
            if let Ok(place) = self.take(now, wish, is_ipv4, slot, &origin) {
                let mut part = Allocation::new(caller.path, place, caller.user, expires, origin);
                part.is_tcp = wish.is_tcp;
                self.open(part, &name);
                parts.push(slot);
            } else if !wish.is_dual {
                let is_reserved =
                    wish.token.is_some() || wish.even.is_some_and(|it| it.reserve_next);
                return Err(if is_reserved {
                    RefuseReason::NoReservation
                } else {
                    RefuseReason::NoPort
                });
            }
        }
        let &first = parts.first().ok_or(RefuseReason::NoPort)?;
        self.by_client
            .insert(self.by_client.hash(&caller.path), first);
        if let [first, second] = parts[..] {
            for (one, other) in [(first, second), (second, first)] {
                if let Some(part) = self.allocations.get_mut(one) {
                    part.twin = other;
                }
            }
        }
        Ok(first)
    }

    /// A port for the allocation that will lie in `slot`.
    fn take(
        &mut self,
        now: Instant,
        wish: &Wish,
        is_ipv4: bool,
        slot: Slot,
        origin: &Origin,
    ) -> Result<Place, RefuseReason> {
        if let Some(token) = wish.token {
            let place = self.reservations.take(now, token);
            let place = place.ok_or(RefuseReason::NoReservation)?;
            self.relays.claim(place, slot);
            return Ok(place);
        }
        if wish.even.is_some_and(|even| even.reserve_next) {
            if self.reservations.len() >= self.config.limits.reservations {
                return Err(RefuseReason::NoReservation);
            }
            let pair = self.relays.take_pair(&mut self.entropy, is_ipv4, slot);
            let (place, next) = pair.ok_or(RefuseReason::NoReservation)?;
            let until = now + self.config.reservation_lifetime.max(LEAST_RESERVATION);
            // 64 random bits: that two are alike is not to be expected, and would only lose the port
            // until the older one is over.
            let token = self.entropy.bytes();
            self.reservations.add(token, next, until, *origin);
            return Ok(place);
        }
        let even = wish.even.is_some();
        (self.relays)
            .take(&mut self.entropy, is_ipv4, even, slot)
            .ok_or(RefuseReason::NoPort)
    }

    fn open(&mut self, part: Allocation, name: &Arc<str>) {
        let Allocation {
            client,
            relayed,
            expires,
            user,
            is_tcp,
            ..
        } = part;
        let slot = self.allocations.insert(part);
        self.quotas.add(user, client.remote.ip());
        self.deadlines.set(slot, expires);
        self.stats.opened += 1;
        let relayed = self.relays.address(relayed);
        let username = Arc::clone(name);
        self.events.push_back(if is_tcp {
            ServerEvent::TcpRelayOpened {
                relayed,
                client,
                username,
            }
        } else {
            ServerEvent::RelayOpened {
                relayed,
                client,
                username,
            }
        });
    }

    /// What the client of the allocation in `slot` is told of it.
    fn granted(&self, now: Instant, slot: Slot, is_dual: bool) -> Granted {
        let own = self.allocations.get(slot);
        let twin = own.and_then(|own| self.twin(now, own));
        let of = |part: &Allocation| self.relays.address(part.relayed);
        let relayed = [own.map(of), twin.map(|(_, twin)| of(twin))];
        let lacking = match relayed {
            [Some(first), None] if is_dual => {
                let (family, is_ipv4) = if first.is_ipv4() {
                    (AddressFamily::IPV6, false)
                } else {
                    (AddressFamily::IPV4, true)
                };
                let code = if self.relays.has_family(is_ipv4) {
                    StatusCode::INSUFFICIENT_CAPACITY
                } else {
                    StatusCode::ADDRESS_FAMILY_NOT_SUPPORTED
                };
                Some((family, code))
            }
            _ => None,
        };
        let token = own.and_then(|own| self.reservations.of(now, &own.origin));
        Granted {
            relayed,
            lifetime: seconds(own.map_or(Duration::ZERO, |own| own.expires - now)),
            token: token.map(ReservationToken),
            lacking,
            ticket: self.mobility.ticket(slot),
        }
    }

    pub(super) fn refresh(
        &mut self,
        now: Instant,
        caller: Caller,
        message: &Message<'_>,
    ) -> Result<Success, Refused> {
        let family = message.get::<RequestedAddressFamily>()?;
        let requested = message.get::<Lifetime>()?;
        let moved = match message.get::<MobilityTicket<'_>>()? {
            Some(MobilityTicket(ticket)) => Some(self.moved(now, caller, ticket)?),
            None => None,
        };
        let slot = match moved {
            Some(moved) => moved.slot,
            None => self.owned(now, caller)?,
        };
        let fits = |slot: &Slot| {
            let part = self.allocations.get(*slot);
            part.is_some_and(|part| {
                let relayed = self.relays.address(part.relayed);
                family.is_none_or(|RequestedAddressFamily(family)| family == family_of(relayed))
            })
        };
        let own = (self.allocations.get(slot)).ok_or(RefuseReason::Internal)?;
        let twin = self.twin(now, own).map(|(twin, _)| twin);
        let parts: Vec<Slot> = [Some(slot), twin]
            .into_iter()
            .flatten()
            .filter(fits)
            .collect();
        if parts.is_empty() {
            return Err(RefuseReason::PeerFamily.into());
        }
        if requested == Some(Lifetime(0)) {
            for slot in parts {
                self.remove(slot, CloseCause::Released);
            }
            return Ok(Success::Refreshed(Lifetime(0), None));
        }
        let ticket = moved.and_then(|moved| {
            let entropy = &mut self.entropy;
            self.mobility.depart(now, moved, caller.path, entropy)
        });
        let expires = self.expiry(now, caller, requested);
        for slot in parts {
            if let Some(allocation) = self.allocations.get_mut(slot) {
                allocation.expires = expires;
            }
            if self.deadlines.get(slot).is_none_or(|at| expires < at) {
                self.deadlines.set(slot, expires);
            }
        }
        Ok(Success::Refreshed(seconds(expires - now), ticket))
    }

    /// Until when an allocation is granted (RFC 8656 §7.2): at least the default lifetime, at most the
    /// maximum, and no longer than the credentials are good.
    fn expiry(&self, now: Instant, caller: Caller, requested: Option<Lifetime>) -> Instant {
        let requested = requested.map_or(Duration::ZERO, Lifetime::duration);
        let lifetime = requested
            .min(self.config.max_lifetime)
            .max(self.config.default_lifetime);
        (now + lifetime).min(caller.until)
    }
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

/// FNV-1a, 56 bits of it. Only who knows the user's password gets here, and a collision harms only him.
fn digest(bytes: &[u8]) -> [u8; 7] {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [_, low @ ..] = hash.to_be_bytes();
    low
}

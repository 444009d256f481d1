//! The life of the allocation: granted, prolonged, lost, released.

use alloc::vec::Vec;
use core::net::IpAddr;

use floe_sansio::{Instant, Timers};
use floe_stun::{
    AddressErrorCode, AddressFamily, Attribute, AttributeType, Lifetime, Message, ReservationToken,
    Transaction, XorMappedAddress, XorRelayedAddress,
};

use super::relays::{FAMILIES, Relays, family_of};
use super::requests::{Context, Request, Want};
use super::responses::REFRESH_MARGIN;
use super::{
    AllocateError, BURST_PAUSE, Client, ClientEvent, PeerTransport, RelayPort, Retry, State,
};

/// The families that the last Allocate asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    One(AddressFamily),
    Both,
    /// The one of the reserved port.
    Any,
}

impl Asked {
    fn admits(self, family: AddressFamily) -> bool {
        match self {
            Self::One(asked) => asked == family,
            Self::Both | Self::Any => true,
        }
    }
}

impl Client {
    pub(super) fn allocated(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        of: &Transaction<Context>,
    ) {
        let abandoned = matches!(self.state, State::Allocating { abandoned: true });
        let (Ok(Some(XorMappedAddress(mapped))), Ok(Some(lifetime))) =
            (message.get(), message.get::<Lifetime>())
        else {
            return self.unusable(now, AllocateError::Malformed);
        };
        let id = message.transaction_id();
        let relayed: Vec<_> = (message.attributes())
            .filter(|raw| raw.kind == AttributeType::XOR_RELAYED_ADDRESS)
            .filter_map(|raw| XorRelayedAddress::decode(raw.value, id))
            .map(|XorRelayedAddress(address)| address)
            .collect();
        if relayed.is_empty() {
            return self.unusable(now, AllocateError::Malformed);
        }
        let mut relays = Relays::default();
        for address in relayed {
            if self.asked.admits(family_of(address.ip())) {
                relays.add(address, of.started + lifetime.duration());
            }
        }
        let Some(relayed) = relays.first() else {
            return self.unusable(now, AllocateError::Family);
        };
        if abandoned {
            return self.start_release(now, None);
        }
        self.state = State::Allocated { relays, mapped };
        self.history.succeed();
        self.events.push_back(ClientEvent::Allocated {
            relayed,
            additional: relays.second(),
            mapped,
            round_trip: of.round_trip(now),
        });
        self.note_refused_family(now, message, &relays);
        let token = message.get::<ReservationToken>().ok().flatten();
        if let Some(token) = token.filter(|_| self.config.port == RelayPort::EvenAndNext) {
            self.events.push_back(ClientEvent::Reserved(token));
        }
        // Unless the server gives it up, it is reserved once only.
        if matches!(self.config.port, RelayPort::Reserved(_)) {
            self.history.no_port = true;
        }
        // The Allocate has just been sent: the first look is for what comes after it.
        self.is_idle = false;
        self.keep_alive(now);
        self.is_idle = false;
        self.set_lifetime(now, of.started, lifetime, None);
        if !self.is_allocated() {
            return;
        }
        let permissions = self.permissions.keys().copied();
        let channels = match self.config.peers {
            PeerTransport::Udp => self.channels.wanted().collect(),
            PeerTransport::Tcp => Vec::new(),
        };
        let wanted: Vec<_> = permissions
            .map(|ip| (ip, Want::Permission(ip)))
            .chain((channels.into_iter()).map(|peer| (peer.ip(), Want::Channel(peer))))
            .collect();
        for (ip, want) in wanted {
            if relays.facing(ip).is_some() {
                self.agenda.set(want, now);
                continue;
            }
            let request = match want {
                Want::Channel(peer) => Request::Channel(peer),
                _ => Request::Permissions([ip].into()),
            };
            self.fail(now, request, AllocateError::Family);
        }
        self.work_off(now);
    }

    /// ADDRESS-ERROR-CODE: why one of two families is missing (RFC 8656 §7.3).
    fn note_refused_family(&mut self, now: Instant, message: &Message<'_>, relays: &Relays) {
        let refused = message.get::<AddressErrorCode<'_>>().ok().flatten();
        let refused = refused.filter(|refused| {
            let family = refused.family;
            self.asked == Asked::Both && FAMILIES.contains(&family) && relays.get(family).is_none()
        });
        if let Some(AddressErrorCode { family, error }) = refused {
            self.history.refuse_family(now, family, error.code);
            self.events
                .push_back(ClientEvent::FamilyRefused(family, error.code));
        }
    }

    /// The server gave something that this client cannot use: give it back, and ask no more
    /// (RFC 8656 §7.3).
    fn unusable(&mut self, now: Instant, error: AllocateError) {
        if matches!(self.state, State::Allocating { abandoned: true }) {
            return self.start_release(now, None);
        }
        self.events.push_back(ClientEvent::Failed(error));
        self.start_release(now, Some(Retry::Never));
    }

    /// The server granted `lifetime`, counted from when it was asked at the earliest, to one of two
    /// relayed addresses or to all.
    pub(super) fn set_lifetime(
        &mut self,
        now: Instant,
        asked: Instant,
        lifetime: Lifetime,
        family: Option<AddressFamily>,
    ) {
        let lifetime = lifetime.duration();
        let expires = asked + lifetime;
        let refresh = asked + lifetime.saturating_sub(REFRESH_MARGIN).max(lifetime / 2);
        // Late is not never, but time must pass.
        let refresh = refresh.max(now + BURST_PAUSE);
        self.refresh_failures = 0;
        if let State::Allocated { relays, .. } = &mut self.state {
            for relay in relays.of_mut(family) {
                relay.expires = expires;
                relay.refresh_at = Some(refresh);
            }
        }
        if expires <= now {
            return self.expire(now);
        }
        self.arm();
    }

    /// Takes away the relayed addresses whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        let State::Allocated { relays, .. } = &self.state else {
            return;
        };
        if relays.iter().all(|relay| relay.expires <= now) {
            return self.lose(now, AllocateError::Expired);
        }
        for family in FAMILIES {
            let State::Allocated { relays, .. } = &self.state else {
                return;
            };
            if relays.get(family).is_some_and(|relay| relay.expires <= now) {
                self.drop_family(family);
                let event = ClientEvent::FamilyLost(family, AllocateError::Expired);
                self.events.push_back(event);
            }
        }
        self.arm();
    }

    /// Sends the Refresh that is due.
    pub(super) fn refresh_due(&mut self, now: Instant) {
        while let State::Allocated { relays, .. } = &mut self.state {
            if !relays.is_due(now) {
                break;
            }
            let family = relays.due(now);
            for relay in relays.of_mut(family) {
                relay.refresh_at = None;
            }
            self.request(now, Request::Refresh(family), 0);
        }
        self.arm();
    }

    /// Forgets one of two relayed addresses, with all that belongs to it.
    pub(super) fn drop_family(&mut self, family: AddressFamily) {
        if let State::Allocated { relays, .. } = &mut self.state {
            relays.remove(family);
        }
        let of_family = |ip: &IpAddr| family_of(*ip) == family;
        let ips: Vec<_> = self.permissions.keys().copied().filter(of_family).collect();
        for ip in ips {
            self.revoke(ip);
        }
        self.transactions
            .retain(|context| context.request != Request::Refresh(Some(family)));
        self.arm();
    }

    /// Gives the allocation back; with `retry` the owner knows already that there is none.
    pub(super) fn start_release(&mut self, now: Instant, retry: Option<Retry>) {
        self.clear();
        self.state = State::Releasing { retry };
        self.request(now, Request::Release(None), 0);
    }

    /// It was given back.
    pub(super) fn released(&mut self) {
        if let State::Releasing { retry: Some(retry) } = self.state {
            return self.end(retry, None);
        }
        self.permissions.clear();
        self.channels.clear();
        self.end(Retry::Never, Some(ClientEvent::Released));
    }

    pub(super) fn lose(&mut self, now: Instant, error: AllocateError) {
        let retry = self.history.retry(now, error, false);
        self.end(retry, Some(ClientEvent::Lost(error)));
    }

    /// There is no allocation. What was wanted of it is kept for the next.
    pub(super) fn end(&mut self, retry: Retry, event: Option<ClientEvent>) {
        self.clear();
        self.state = State::Ended { retry };
        self.events.extend(event);
    }

    /// Asks for nothing any more.
    pub(super) fn clear(&mut self) {
        self.transactions.clear();
        self.timers = Timers::new();
        self.agenda.clear();
        self.parked.clear();
        self.connections.clear();
        self.channels.restart();
        for permission in self.permissions.values_mut() {
            *permission = super::Permission::default();
        }
        self.ticket = None;
        self.also = None;
        self.refresh_failures = 0;
    }
}

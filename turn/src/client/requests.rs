//! What the client asks for, and how that is put.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use floe_sansio::{FiveTuple, Instant, Transmit};
use floe_stun::{
    AdditionalAddressFamily, AddressFamily, Builder, ChannelNumber, Class, DontFragment, EvenPort,
    Lifetime, MessageType, Method, MobilityTicket, RequestedAddressFamily, RequestedTransport,
    Software, TransactionId, XorPeerAddress,
};

use super::allocation::Asked;
use super::{AllocateError, BURST, BURST_PAUSE, Client, ClientTimer, PeerTransport, RelayPort};

/// Bytes of the longest request: user name, realm and nonce of 508 bytes each, a ticket or token, and
/// SOFTWARE.
const REQUEST_MAX: usize = 4096;
/// Addresses in one `CreatePermission`: it stays small, and a refusal is soon split.
pub const MAX_BATCH: usize = 8;

/// What is to be asked for, or asked for again, or has its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    Permission(IpAddr),
    Channel(SocketAddr),
    Connection(SocketAddr),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Allocate,
    /// Of one of two relayed addresses, or of all there are.
    Refresh(Option<AddressFamily>),
    Release(Option<AddressFamily>),
    /// To another local address (RFC 8016).
    Move,
    Permissions(Vec<IpAddr>),
    Channel(SocketAddr),
    Connect(SocketAddr),
    BindConnection(SocketAddr),
}

impl Request {
    pub(super) const fn method(&self) -> Method {
        match self {
            Self::Allocate => Method::ALLOCATE,
            Self::Refresh(_) | Self::Release(_) | Self::Move => Method::REFRESH,
            Self::Permissions(_) => Method::CREATE_PERMISSION,
            Self::Channel(_) => Method::CHANNEL_BIND,
            Self::Connect(_) => Method::CONNECT,
            Self::BindConnection(_) => Method::CONNECTION_BIND,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) request: Request,
    /// It carried credentials.
    pub(super) authenticated: bool,
    /// Challenges met so far.
    pub(super) challenges: u8,
}

impl Client {
    pub(super) fn want(&mut self, now: Instant, want: Want) {
        if self.is_allocated() {
            self.agenda.set(want, now);
            self.work_off(now);
        }
    }

    /// Does what is due on the agenda, not too much at once.
    pub(super) fn work_off(&mut self, now: Instant) {
        if now < self.paused_until {
            return;
        }
        let (mut ips, mut channels) = (Vec::new(), Vec::new());
        let is_full = loop {
            if ips.len() / MAX_BATCH + channels.len() >= BURST {
                break true;
            }
            match self.agenda.expire(now) {
                Some(Want::Permission(ip)) => ips.push(ip),
                Some(Want::Channel(peer)) => channels.push(peer),
                Some(Want::Connection(peer)) => self.connection_due(now, peer),
                None => break false,
            }
        };
        for batch in ips.chunks(MAX_BATCH) {
            self.request(now, Request::Permissions(batch.to_vec()), 0);
        }
        for peer in channels {
            self.request(now, Request::Channel(peer), 0);
        }
        if is_full {
            self.paused_until = now + BURST_PAUSE;
        }
    }

    /// The path that a request takes; `None` if it has become pointless.
    fn path_of(&self, request: &Request) -> Option<FiveTuple> {
        match request {
            Request::Move => self.also,
            Request::BindConnection(peer) => Some(self.connections.binding_path(*peer)?.1),
            _ => Some(self.path),
        }
    }

    /// Sends a request in a new transaction.
    pub(super) fn request(&mut self, now: Instant, request: Request, challenges: u8) {
        let Some(path) = self.path_of(&request) else {
            return;
        };
        let id = TransactionId::random(&mut self.entropy);
        let method = request.method();
        let mut buffer = [0; REQUEST_MAX];
        let builder = Builder::new(&mut buffer, MessageType::new(Class::Request, method), id);
        let lifetime = self.config.lifetime.map(|lifetime| {
            // 0 would delete the allocation.
            Lifetime(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).max(1))
        });
        let family = |family: &Option<AddressFamily>| family.map(RequestedAddressFamily);
        let builder = match &request {
            Request::Allocate => {
                let builder = self.ask(now, builder);
                builder.with_some(lifetime.as_ref())
            }
            Request::Refresh(of) => builder
                .with_some(lifetime.as_ref())
                .with_some(family(of).as_ref()),
            Request::Release(of) => builder.with(&Lifetime(0)).with_some(family(of).as_ref()),
            Request::Move => builder
                .with_some(lifetime.as_ref())
                .with_some(self.ticket.as_deref().map(MobilityTicket).as_ref()),
            // The port does not count (RFC 8656 §9).
            Request::Permissions(ips) => ips.iter().fold(builder, |builder, &ip| {
                builder.with(&XorPeerAddress(SocketAddr::new(ip, 0)))
            }),
            Request::Channel(peer) => {
                let Some(channel) = self.channels.get_mut(*peer) else {
                    return;
                };
                channel.touch(now);
                builder
                    .with(&ChannelNumber(channel.number))
                    .with(&XorPeerAddress(*peer))
            }
            Request::Connect(peer) => builder.with(&XorPeerAddress(*peer)),
            Request::BindConnection(peer) => {
                let binding = self.connections.binding_path(*peer);
                builder.with_some(binding.map(|(id, _)| id).as_ref())
            }
        };
        let software = self.config.software.as_deref().map(Software);
        let software = software.filter(|_| matches!(method, Method::ALLOCATE | Method::REFRESH));
        let builder = builder.with_some(software.as_ref());
        let built = self.auth.authenticate(builder, method).with_fingerprint();
        let Ok(payload) = built.finish_bytes() else {
            return self.fail(now, request, AllocateError::Malformed);
        };
        let context = Context {
            request: request.clone(),
            authenticated: self.auth.is_challenged(),
            challenges,
        };
        let schedule = self.config.retransmission;
        let started = self
            .transactions
            .start(now, path, id, payload, schedule, context);
        match started {
            Ok(Some(transmit)) => self.transmit(transmit),
            Ok(None) => {}
            Err(_) => self.fail(now, request, AllocateError::Timeout),
        }
    }

    /// What an Allocate asks for, with what is known of the server.
    fn ask<'b>(&mut self, now: Instant, builder: Builder<'b>) -> Builder<'b> {
        let (v4, v6) = (AddressFamily::IPV4, AddressFamily::IPV6);
        let port = match self.config.port {
            _ if self.history.no_port => RelayPort::Any,
            port => port,
        };
        let may = [v4, v6].map(|family| self.history.may_ask_for(now, family));
        self.asked = match (self.config.family, port, may) {
            (Some(family), ..) => Asked::One(family),
            (None, RelayPort::Reserved(_), _) => Asked::Any,
            (None, _, [true, true]) if self.config.additional_ipv6 => Asked::Both,
            (None, _, [false, true]) if self.config.additional_ipv6 => Asked::One(v6),
            _ => Asked::One(v4),
        };
        // IPv4 needs no mention (RFC 8656 §7.2).
        let family = match self.asked {
            Asked::One(family) if family != v4 || self.config.family.is_some() => Some(family),
            _ => None,
        };
        let (even, token) = match port {
            RelayPort::Any => (None, None),
            RelayPort::Even => (Some(false), None),
            RelayPort::EvenAndNext => (Some(true), None),
            RelayPort::Reserved(token) => (None, Some(token)),
        };
        let transport = match self.config.peers {
            PeerTransport::Udp => RequestedTransport::UDP,
            PeerTransport::Tcp => RequestedTransport::TCP,
        };
        let dont_fragment = self.config.dont_fragment && !self.history.no_dont_fragment;
        let mobility = self.config.mobility && !self.history.no_mobility;
        let both = (self.asked == Asked::Both).then_some(AdditionalAddressFamily(v6));
        builder
            .with(&transport)
            .with_some(family.map(RequestedAddressFamily).as_ref())
            .with_some(both.as_ref())
            .with_some(even.map(|reserve_next| EvenPort { reserve_next }).as_ref())
            .with_some(token.as_ref())
            .with_some(dont_fragment.then_some(DontFragment).as_ref())
            .with_some(mobility.then_some(MobilityTicket(&[])).as_ref())
    }

    /// Sends; what goes to the server keeps the 5-tuple alive.
    pub(super) fn transmit(&mut self, transmit: Transmit) {
        if transmit.path == self.path {
            self.is_idle = false;
        }
        self.transmits.push_back(transmit);
    }

    /// Looks twice an interval whether something was sent since the last look. If not, it sends a
    /// Binding indication: that keeps NATs awake, and wants no answer (RFC 8489 §2).
    pub(super) fn keep_alive(&mut self, now: Instant) {
        let Some(interval) = self.config.keepalive else {
            return;
        };
        // Data is framed without a clock, so that only looking tells when it was sent.
        let next = now + interval.max(Duration::from_secs(1)) / 2;
        self.timers.set(ClientTimer::KeepAlive, next);
        if !core::mem::replace(&mut self.is_idle, true) {
            return;
        }
        let id = TransactionId::random(&mut self.entropy);
        let kind = MessageType::new(Class::Indication, Method::BINDING);
        let mut buffer = [0; 32];
        let built = Builder::new(&mut buffer, kind, id).with_fingerprint();
        if let Ok(payload) = built.finish_bytes() {
            let path = self.path;
            self.transmit(Transmit { path, payload });
        }
    }
}

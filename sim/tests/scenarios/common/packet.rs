//! What an agent sent or received, taken out of the relay if it went through one.

use core::fmt;
use core::net::SocketAddr;
use std::collections::BTreeMap;

use bytes::Bytes;
use floe_ice::Role;
use floe_sansio::{FiveTuple, Instant};
use floe_stun::{
    ChannelNumber, Class, Data, ErrorCode, IceControlled, IceControlling, Message, Method,
    StatusCode, TransactionId, UseCandidate, XorMappedAddress, XorPeerAddress,
};

/// One datagram of an agent.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) at: Instant,
    /// Whether the agent sent it.
    pub(crate) sent: bool,
    /// Whether it goes through the agent's own relay.
    pub(crate) relayed: bool,
    /// The agent's socket.
    pub(crate) local: SocketAddr,
    /// The peer, or the server.
    pub(crate) remote: SocketAddr,
    /// What the peer gets, or got.
    pub(crate) payload: Bytes,
    /// What it says, if it is STUN.
    pub(crate) stun: Option<Stun>,
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.sent { "→" } else { "←" };
        let relay = if self.relayed { " (relay)" } else { "" };
        write!(
            f,
            "{:?} {}{relay} {arrow} {}",
            self.at, self.local, self.remote
        )?;
        let Some(stun) = self.stun else {
            return write!(f, " {} bytes", self.payload.len());
        };
        write!(f, " {:?} {:?}", stun.method, stun.class)?;
        if let Some(role) = stun.role {
            write!(f, ", {role:?}")?;
        }
        if stun.nominates {
            write!(f, ", nominates")?;
        }
        match stun.code {
            Some(code) => write!(f, ", {code:?}"),
            None => Ok(()),
        }
    }
}

/// What a STUN message says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stun {
    pub(crate) class: Class,
    pub(crate) method: Method,
    pub(crate) id: TransactionId,
    pub(crate) nominates: bool,
    pub(crate) role: Option<Role>,
    pub(crate) tie_breaker: u64,
    /// Of an error.
    pub(crate) code: Option<StatusCode>,
    pub(crate) mapped: Option<SocketAddr>,
}

impl Stun {
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let message = Message::parse(payload).ok()?;
        let controlling = message.get::<IceControlling>().ok().flatten();
        let controlled = message.get::<IceControlled>().ok().flatten();
        let (role, tie_breaker) = match (controlling, controlled) {
            (Some(IceControlling(value)), _) => (Some(Role::Controlling), value),
            (None, Some(IceControlled(value))) => (Some(Role::Controlled), value),
            (None, None) => (None, 0),
        };
        let error = message.get::<ErrorCode<'_>>().ok().flatten();
        let mapped = message.get::<XorMappedAddress>().ok().flatten();
        Some(Self {
            class: message.class(),
            method: message.method(),
            id: message.transaction_id(),
            nominates: message.get::<UseCandidate>().ok().flatten().is_some(),
            role,
            tie_breaker,
            code: error.map(|error| error.code),
            mapped: mapped.map(|XorMappedAddress(address)| address),
        })
    }

    /// Whether it is a check, or a request to a STUN server.
    pub(crate) fn is_request(&self) -> bool {
        self.method == Method::BINDING && self.class == Class::Request
    }

    pub(crate) fn is_success(&self) -> bool {
        self.method == Method::BINDING && self.class == Class::Success
    }

    pub(crate) fn is_error(&self) -> bool {
        self.method == Method::BINDING && self.class == Class::Error
    }
}

impl Packet {
    /// Whether it is a check: servers are asked without a role.
    pub(crate) fn is_check(&self) -> bool {
        self.stun
            .is_some_and(|stun| stun.is_request() && stun.role.is_some())
    }

    /// Whether it is the answer to a check, and a good one.
    pub(crate) fn is_success(&self) -> bool {
        self.stun.is_some_and(|stun| stun.is_success())
    }

    pub(crate) fn nominates(&self) -> bool {
        self.is_check() && self.stun.is_some_and(|stun| stun.nominates)
    }

    /// Whether it is data of the application.
    pub(crate) fn is_data(&self) -> bool {
        self.payload.first() == Some(&0xFF)
    }

    pub(crate) const fn pair(&self) -> (SocketAddr, SocketAddr, bool) {
        (self.local, self.remote, self.relayed)
    }
}

/// Takes datagrams out of a relay; it learns the channels from the requests that bind them.
#[derive(Clone, Debug, Default)]
pub(super) struct Unwrapper {
    channels: BTreeMap<u16, SocketAddr>,
}

impl Unwrapper {
    pub(super) fn packet(
        &mut self,
        at: Instant,
        sent: bool,
        path: FiveTuple,
        payload: &Bytes,
    ) -> Packet {
        let inner = self.unwrap(payload);
        let relayed = inner.is_some();
        let (remote, payload) = inner.unwrap_or((path.remote, payload.clone()));
        Packet {
            at,
            sent,
            relayed,
            local: path.local,
            remote,
            stun: Stun::read(&payload),
            payload,
        }
    }

    fn unwrap(&mut self, payload: &Bytes) -> Option<(SocketAddr, Bytes)> {
        let &[high, low, long, short, ..] = &payload[..] else {
            return None;
        };
        if (0x40..0x50).contains(&high) {
            let peer = self.channels.get(&u16::from_be_bytes([high, low]))?;
            let end = 4 + usize::from(u16::from_be_bytes([long, short]));
            return Some((*peer, payload.slice(4..end.min(payload.len()))));
        }
        let message = Message::parse(payload).ok()?;
        let peer = || message.get::<XorPeerAddress>().ok().flatten();
        if message.method() == Method::CHANNEL_BIND && message.class() == Class::Request {
            let channel = message.get::<ChannelNumber>().ok().flatten();
            if let (Some(ChannelNumber(number)), Some(XorPeerAddress(peer))) = (channel, peer()) {
                self.channels.insert(number, peer);
            }
        }
        let is_relayed = [Method::SEND, Method::DATA].contains(&message.method());
        let Data(data) = is_relayed
            .then(|| message.get::<Data<'_>>().ok().flatten())
            .flatten()?;
        let XorPeerAddress(peer) = peer()?;
        Some((peer, Bytes::copy_from_slice(data)))
    }
}

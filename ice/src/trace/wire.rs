//! How calls and configurations are written down: field after field, numbers in as few bytes as they
//! need (LEB128). Each value has one form only, so that no change to a trace goes unnoticed.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::time::Duration;

use bytes::Bytes;
use floe_sansio::{FiveTuple, Instant, Transport};
use floe_sdp::ice as sdp;
use floe_stun::{Credentials as TurnCredentials, Retransmission};

use super::Fault;
use crate::{
    Candidate, CandidateKind, CheckOrder, ComponentId, Config, IceCredentials, Limits,
    LocalAddress, Nat64Prefix, Network, Policy, Probing, RemoteParameters, Role, ServerUse,
    TurnServer,
};
use crate::{TcpType, TcpUse};

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many bytes have been read.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or(Fault::Truncated)?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| Fault::Truncated)
    }
}

/// A value that can be written down.
pub(super) trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn get(from: &mut Reader<'_>) -> Result<Self, Fault>;
}

impl Wire for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = from.array()?;
            let part = Self::from(byte & 0x7F);
            let fits = part << shift >> shift == part;
            if !fits || (byte == 0 && shift > 0) {
                break;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Value("number"))
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                (*self as u64).put(out);
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
                Self::try_from(u64::get(from)?).map_err(|_| Fault::Value(stringify!($type)))
            }
        }
    )*};
}

numbers!(u8, u16, u32, usize);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        match from.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Fault::Value("bool")),
        }
    }
}

impl Wire for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let length = usize::get(from)?;
        from.take(length).map(Self::copy_from_slice)
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let length = usize::get(from)?;
        let text = core::str::from_utf8(from.take(length)?);
        text.map(Into::into).map_err(|_| Fault::Value("text"))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        bool::get(from)?.then(|| T::get(from)).transpose()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for value in self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        // Each value has a byte at least: nothing is made that was not written.
        (0..usize::get(from)?).map(|_| T::get(from)).collect()
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok((A::get(from)?, B::get(from)?))
    }
}

impl Wire for Instant {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_nanos().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        u64::get(from).map(Self::from_nanos)
    }
}

impl Wire for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        (self.as_secs(), self.subsec_nanos()).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let (seconds, nanos) = <(u64, u32)>::get(from)?;
        if nanos >= 1_000_000_000 {
            return Err(Fault::Value("Duration"));
        }
        Ok(Self::new(seconds, nanos))
    }
}

impl Wire for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            Self::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        match from.array()? {
            [4] => Ok(Ipv4Addr::from(from.array::<4>()?).into()),
            [6] => Ok(Ipv6Addr::from(from.array::<16>()?).into()),
            _ => Err(Fault::Value("IpAddr")),
        }
    }
}

impl Wire for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        (self.ip(), self.port()).put(out);
        if let Self::V6(address) = self {
            (address.flowinfo(), address.scope_id()).put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let (ip, port) = Wire::get(from)?;
        Ok(match ip {
            IpAddr::V4(_) => Self::new(ip, port),
            IpAddr::V6(ip) => {
                let (flow, scope) = Wire::get(from)?;
                SocketAddrV6::new(ip, port, flow, scope).into()
            }
        })
    }
}

impl Wire for Nat64Prefix {
    fn put(&self, out: &mut Vec<u8>) {
        let (address, length) = self.parts();
        (IpAddr::from(address), length).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let prefix = match Wire::get(from)? {
            (IpAddr::V6(address), length) => Self::new(address, length),
            _ => None,
        };
        prefix.ok_or(Fault::Value("Nat64Prefix"))
    }
}

impl Wire for IceCredentials {
    fn put(&self, out: &mut Vec<u8>) {
        (self.ufrag().to_string(), self.pwd().to_string()).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let (ufrag, pwd) = <(String, String)>::get(from)?;
        Self::new(&ufrag, &pwd).map_err(|_| Fault::Value("IceCredentials"))
    }
}

impl Wire for TurnCredentials {
    fn put(&self, out: &mut Vec<u8>) {
        (self.username.clone(), self.password.expose().to_string()).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let (username, password) = <(String, String)>::get(from)?;
        Ok(Self::new(&username, &password))
    }
}

/// By its text, which every reader of a description knows.
impl Wire for sdp::Candidate {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_string().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
        let text = String::get(from)?.parse();
        text.map_err(|_| Fault::Value("sdp::Candidate"))
    }
}

macro_rules! choices {
    ($($type:ty { $($code:literal $variant:ident),* })*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                #[allow(unreachable_patterns, reason = "transports may be added to")]
                out.push(match self {
                    $(Self::$variant => $code,)*
                    _ => u8::MAX,
                });
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
                match from.array()? {
                    $([$code] => Ok(Self::$variant),)*
                    _ => Err(Fault::Value(stringify!($type))),
                }
            }
        }
    )*};
}

choices! {
    Transport { 0 Udp, 1 Tcp, 2 Tls, 3 Dtls }
    Role { 0 Controlling, 1 Controlled }
    Policy { 0 All, 1 Relay, 2 NoHost }
    ServerUse { 0 InTurn, 1 All }
    CheckOrder { 0 Priority, 1 LikelyFirst }
    TcpUse { 0 Off, 1 AfterUdp, 2 BeforeUdp }
    TcpType { 0 Active, 1 Passive, 2 SimultaneousOpen }
    CandidateKind { 0 Host, 1 PeerReflexive, 2 ServerReflexive, 3 Relayed }
}

macro_rules! records {
    ($($type:ident { $($field:ident),* $(,)? })*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, Fault> {
                $(let $field = Wire::get(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    )*};
}

// A change of these is a new version of the format.
records! {
    FiveTuple { transport, local, remote }
    ComponentId { stream, component }
    Network { id, cost }
    LocalAddress { address, component, network, unreliable, temporary, transport, deprecated }
    Candidate {
        component, kind, transport, tcp_type, address, base, priority, foundation, related, network,
    }
    RemoteParameters { credentials, pacing, lite, renomination }
    TurnServer { address, transport, credentials }
    Retransmission { rto, count, last, reliable }
    Probing { interval, count, patience, scaled }
    Limits {
        pairs, remote_candidates, peer_reflexive, names, early_checks, components,
        checks_to_silent_address, checks_to_silent_host, accepted_streams,
    }
    Config {
        role, lite, addresses, tcp, tcp_addresses, loopback, stun_servers, turn_servers, policy, pacing, burst,
        settled_pacing, order, probing, nomination_repeat, gathering, servers, server_delay, nat64_prefix,
        gathering_limit, relay_hold, untested_hold, reflexive_hold, consent_interval, keepalive, recovery,
        outage_notice, renomination, dwell, backup_relay, continual, piggyback, limits,
    }
}

//! Messages that no agent sent, signed with whatever password, or not at all.

use core::net::SocketAddr;

use floe_ice::Role;
use floe_stun::{
    Builder, Class, ErrorCode, IceControlled, IceControlling, Key, Message, MessageType, Method,
    Priority, StatusCode, TransactionId, UseCandidate, Username, XorMappedAddress,
};

/// What a check says.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) id: TransactionId,
    pub(crate) username: String,
    pub(crate) priority: u32,
    pub(crate) role: Role,
    pub(crate) tie_breaker: u64,
    pub(crate) nominates: bool,
}

impl Check {
    /// Reads a check.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let stun = super::Stun::read(payload).filter(super::Stun::is_request)?;
        let message = Message::parse(payload).ok()?;
        let Username(username) = message.get().ok()??;
        let Priority(priority) = message.get().ok()??;
        Some(Self {
            id: stun.id,
            username: username.into(),
            priority,
            role: stun.role?,
            tie_breaker: stun.tie_breaker,
            nominates: stun.nominates,
        })
    }

    /// Writes it, signed with this password or not at all.
    pub(crate) fn write(&self, password: Option<&str>) -> Vec<u8> {
        build(Class::Request, self.id, password, |builder| {
            let builder = builder
                .with(&Username(&self.username))
                .with(&Priority(self.priority))
                .with_some(self.nominates.then_some(&UseCandidate));
            match self.role {
                Role::Controlling => builder.with(&IceControlling(self.tie_breaker)),
                Role::Controlled => builder.with(&IceControlled(self.tie_breaker)),
            }
        })
    }
}

/// The answer to a check: it came from there.
pub(crate) fn success(id: TransactionId, mapped: SocketAddr, password: Option<&str>) -> Vec<u8> {
    build(Class::Success, id, password, |builder| {
        builder.with(&XorMappedAddress(mapped))
    })
}

/// The answer to a check: an error.
pub(crate) fn error(id: TransactionId, code: StatusCode, password: Option<&str>) -> Vec<u8> {
    build(Class::Error, id, password, |builder| {
        builder.with(&ErrorCode::of(code))
    })
}

fn build(
    class: Class,
    id: TransactionId,
    password: Option<&str>,
    build: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>,
) -> Vec<u8> {
    let mut buffer = [0; 512];
    let kind = MessageType::new(class, Method::BINDING);
    let mut builder = build(Builder::new(&mut buffer, kind, id));
    let key = password.map(Key::short_term);
    if let Some(key) = &key {
        builder = builder.with_integrity(key);
    }
    let len = builder.with_fingerprint().finish().unwrap();
    buffer[..len].to_vec()
}

//! The attributes of RFC 5780 that are not addresses: what a client asks a server to do, in order to
//! see what the NAT between them does.

use crate::attribute::{Attribute, AttributeType, Value};
use crate::message::TransactionId;

/// CHANGE-REQUEST (RFC 5780 §7.2): from where the response shall come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeRequest {
    /// From another IP address than the request was sent to.
    pub ip: bool,
    /// From another port than the request was sent to.
    pub port: bool,
}

impl ChangeRequest {
    const IP: u32 = 0x04;
    const PORT: u32 = 0x02;
}

impl Attribute<'_> for ChangeRequest {
    const TYPE: AttributeType = AttributeType::CHANGE_REQUEST;

    /// The other 30 bits are ignored.
    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        let bits = u32::from_be_bytes(value.try_into().ok()?);
        Some(Self {
            ip: bits & Self::IP != 0,
            port: bits & Self::PORT != 0,
        })
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        let ip = if self.ip { Self::IP } else { 0 };
        let port = if self.port { Self::PORT } else { 0 };
        value.put(&(ip | port).to_be_bytes());
    }
}

/// RESPONSE-PORT (RFC 5780 §7.5): to which port of the client's address the response shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponsePort(pub u16);

impl Attribute<'_> for ResponsePort {
    const TYPE: AttributeType = AttributeType::RESPONSE_PORT;

    /// The RFC does not say whether the length counts the 2 bytes of padding: both are accepted, and
    /// what the bytes are is ignored.
    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        match *value {
            [high, low] | [high, low, _, _] => Some(Self(u16::from_be_bytes([high, low]))),
            _ => None,
        }
    }

    /// The length counts them.
    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(&self.0.to_be_bytes());
        value.put(&[0, 0]);
    }
}

/// PADDING (RFC 5780 §7.6): bytes that mean nothing, to make a message so long that it is sent in
/// fragments. A message with it may exceed every [`SizeLimit`](crate::SizeLimit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding<'a>(pub &'a [u8]);

impl<'a> Attribute<'a> for Padding<'a> {
    const TYPE: AttributeType = AttributeType::PADDING;

    fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
        Some(Self(value))
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(self.0);
    }
}

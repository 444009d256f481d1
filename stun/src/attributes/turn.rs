//! The attributes of RFC 8656 that are not plain numbers or addresses.

use crate::attribute::{Attribute, AttributeType, SendRule, Value};
use crate::message::TransactionId;

/// CHANNEL-NUMBER (RFC 8656 §18.1): a channel, 0x4000 to 0x4FFF where it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelNumber(pub u16);

impl Attribute<'_> for ChannelNumber {
    const TYPE: AttributeType = AttributeType::CHANNEL_NUMBER;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        let &[high, low, _, _] = value else {
            return None;
        };
        Some(Self(u16::from_be_bytes([high, low])))
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(&self.0.to_be_bytes());
        value.put(&[0, 0]);
    }
}

/// DATA (RFC 8656 §18.4): the payload of a Send or Data indication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a>(pub &'a [u8]);

impl<'a> Attribute<'a> for Data<'a> {
    const TYPE: AttributeType = AttributeType::DATA;

    fn decode(value: &'a [u8], _: TransactionId) -> Option<Self> {
        Some(Self(value))
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(self.0);
    }
}

/// An address family by its number (RFC 8656 §18.6): 1 is IPv4, 2 is IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressFamily(pub u8);

impl AddressFamily {
    /// IPv4.
    pub const IPV4: Self = Self(0x01);
    /// IPv6.
    pub const IPV6: Self = Self(0x02);

    /// Only the two may be sent.
    pub(super) fn check(self) -> Result<(), SendRule> {
        match self {
            Self::IPV4 | Self::IPV6 => Ok(()),
            _ => Err(SendRule::AddressFamily),
        }
    }

    /// Reads the family and the 24 reserved bits behind it, which are ignored.
    fn decode(value: &[u8]) -> Option<Self> {
        let &[family, _, _, _] = value else {
            return None;
        };
        Some(Self(family))
    }

    fn encode(self, value: &mut Value<'_>) {
        value.put(&[self.0, 0, 0, 0]);
    }
}

/// REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedAddressFamily(pub AddressFamily);

impl Attribute<'_> for RequestedAddressFamily {
    const TYPE: AttributeType = AttributeType::REQUESTED_ADDRESS_FAMILY;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        AddressFamily::decode(value).map(Self)
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        self.0.encode(value);
    }

    fn check(&self) -> Result<(), SendRule> {
        self.0.check()
    }
}

/// ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.11): an address of this family too. Only IPv6 may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdditionalAddressFamily(pub AddressFamily);

impl Attribute<'_> for AdditionalAddressFamily {
    const TYPE: AttributeType = AttributeType::ADDITIONAL_ADDRESS_FAMILY;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        AddressFamily::decode(value).map(Self)
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        self.0.encode(value);
    }

    fn check(&self) -> Result<(), SendRule> {
        match self.0 {
            AddressFamily::IPV6 => Ok(()),
            _ => Err(SendRule::AddressFamily),
        }
    }
}

/// EVEN-PORT (RFC 8656 §18.7): an even relayed port, and whether to reserve the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvenPort {
    /// The R bit.
    pub reserve_next: bool,
}

impl Attribute<'_> for EvenPort {
    const TYPE: AttributeType = AttributeType::EVEN_PORT;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        let &[bits] = value else {
            return None;
        };
        Some(Self {
            reserve_next: bits & 0x80 != 0,
        })
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(&[u8::from(self.reserve_next) << 7]);
    }
}

/// REQUESTED-TRANSPORT (RFC 8656 §18.8): the protocol between server and peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedTransport(pub u8);

impl RequestedTransport {
    /// UDP, protocol 17.
    pub const UDP: Self = Self(17);
    /// TCP, protocol 6 (RFC 6062).
    pub const TCP: Self = Self(6);
}

impl Attribute<'_> for RequestedTransport {
    const TYPE: AttributeType = AttributeType::REQUESTED_TRANSPORT;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        let &[protocol, _, _, _] = value else {
            return None;
        };
        Some(Self(protocol))
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(&[self.0, 0, 0, 0]);
    }
}

/// DONT-FRAGMENT (RFC 8656 §18.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DontFragment;

impl Attribute<'_> for DontFragment {
    const TYPE: AttributeType = AttributeType::DONT_FRAGMENT;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        value.is_empty().then_some(Self)
    }

    fn encode(&self, _: &mut Value<'_>, _: TransactionId) {}
}

/// RESERVATION-TOKEN (RFC 8656 §18.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservationToken(pub [u8; 8]);

impl Attribute<'_> for ReservationToken {
    const TYPE: AttributeType = AttributeType::RESERVATION_TOKEN;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        Some(Self(value.try_into().ok()?))
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(&self.0);
    }
}

/// ICMP (RFC 8656 §18.13): an error that came back for what the server sent to a peer.
///
/// The RFC gives no widths for type and code, and its figure draws 7 and 9 bits; read and written
/// here are the 8 and 8 bits that they have in ICMP itself, as other implementations do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// The ICMP type: of `ICMPv4` or `ICMPv6`, by the family of the peer.
    pub kind: u8,
    /// The ICMP code.
    pub code: u8,
    /// The MTU of the next hop, in bytes, where the packet was too big; else 0.
    pub data: u32,
}

impl Attribute<'_> for Icmp {
    const TYPE: AttributeType = AttributeType::ICMP;

    fn decode(value: &[u8], _: TransactionId) -> Option<Self> {
        let &[_, _, kind, code, ref data @ ..] = value else {
            return None;
        };
        Some(Self {
            kind,
            code,
            data: u32::from_be_bytes(data.try_into().ok()?),
        })
    }

    fn encode(&self, value: &mut Value<'_>, _: TransactionId) {
        value.put(&[0, 0, self.kind, self.code]);
        value.put(&self.data.to_be_bytes());
    }
}

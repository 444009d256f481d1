use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::attribute::{Attribute, AttributeType, Value};
use crate::message::{MAGIC_COOKIE, TransactionId};

const IPV4: u8 = 0x01;
const IPV6: u8 = 0x02;

/// Cookie and transaction id: what the address bits are masked with (RFC 8489 §14.2).
fn mask(id: TransactionId) -> u128 {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    bytes[4..].copy_from_slice(&id.0);
    u128::from_be_bytes(bytes)
}

/// Reads a (MAPPED-)ADDRESS value, unmasking it with `mask` (0 for none). The first byte is ignored
/// (RFC 8489 §14.1).
fn decode(value: &[u8], mask: u128) -> Option<SocketAddr> {
    let (&[_, family, high, low], ip) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([high, low]) ^ (mask >> 112) as u16;
    let ip = match family {
        IPV4 => {
            let bits = u32::from_be_bytes(*ip.first_chunk()?) ^ (mask >> 96) as u32;
            (ip.len() == 4).then(|| IpAddr::V4(Ipv4Addr::from_bits(bits)))
        }
        IPV6 => {
            let bits = u128::from_be_bytes(*ip.first_chunk()?) ^ mask;
            (ip.len() == 16).then(|| IpAddr::V6(Ipv6Addr::from_bits(bits)))
        }
        _ => None,
    }?;
    Some(SocketAddr::new(ip, port))
}

fn encode(address: SocketAddr, mask: u128, value: &mut Value<'_>) {
    let family = if address.is_ipv4() { IPV4 } else { IPV6 };
    let port = (address.port() ^ (mask >> 112) as u16).to_be_bytes();
    value.put(&[0, family, port[0], port[1]]);
    match address.ip() {
        IpAddr::V4(ip) => value.put(&(ip.to_bits() ^ (mask >> 96) as u32).to_be_bytes()),
        IpAddr::V6(ip) => value.put(&(ip.to_bits() ^ mask).to_be_bytes()),
    }
}

macro_rules! addresses {
    ($($name:ident, $kind:ident, $mask:expr, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub SocketAddr);

        impl Attribute<'_> for $name {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &[u8], id: TransactionId) -> Option<Self> {
                let mask: fn(TransactionId) -> u128 = $mask;
                decode(value, mask(id)).map(Self)
            }

            fn encode(&self, value: &mut Value<'_>, id: TransactionId) {
                let mask: fn(TransactionId) -> u128 = $mask;
                encode(self.0, mask(id), value);
            }
        }
    )*};
}

addresses! {
    MappedAddress, MAPPED_ADDRESS, |_| 0,
        "The source address of a request, in clear, for RFC 3489 clients (RFC 8489 §14.1).";
    XorMappedAddress, XOR_MAPPED_ADDRESS, mask,
        "The source address of a request as the server saw it (RFC 8489 §14.2).";
    XorPeerAddress, XOR_PEER_ADDRESS, mask,
        "The peer's address as the TURN server sees it (RFC 8656 §18.3).";
    XorRelayedAddress, XOR_RELAYED_ADDRESS, mask,
        "The address that a TURN server allocated (RFC 8656 §18.5).";
    AlternateServer, ALTERNATE_SERVER, |_| 0,
        "Another server to try (RFC 8489 §14.15).";
    ResponseOrigin, RESPONSE_ORIGIN, |_| 0,
        "The address a response was sent from (RFC 5780 §7.3).";
    OtherAddress, OTHER_ADDRESS, |_| 0,
        "The server's other address and port (RFC 5780 §7.4).";
}

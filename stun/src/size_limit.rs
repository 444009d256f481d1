//! How long a message over UDP may be (RFC 8489 §6.1).

use core::net::IpAddr;

/// What the length of a message stays below, so that no router has to cut it into fragments.
///
/// Streams have no limit. A message with PADDING may exceed it, up to [`Self::DATAGRAM`]: it is there
/// to be cut (RFC 5780 §7.6). Give it to [`Builder::with_limit`](crate::Builder::with_limit).
///
/// ```
/// use floe_stun::SizeLimit;
///
/// let remote = "192.0.2.1".parse().unwrap();
/// assert_eq!(SizeLimit::unknown_path(remote, None).bytes(), 548);
/// assert_eq!(SizeLimit::path(remote, 1500).bytes(), 1472);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SizeLimit(usize);

/// Packet size that every IPv4 host takes (RFC 1122 §3.3.2).
const IPV4_PACKET: u16 = 576;
/// Packet size that every IPv6 link carries (RFC 8200 §5).
const IPV6_PACKET: u16 = 1280;
const IPV4_HEADER: u16 = 20;
const IPV6_HEADER: u16 = 40;
const UDP_HEADER: u16 = 8;
/// Bytes of a DTLS record header (RFC 6347 §4.1).
const DTLS_RECORD_HEADER: usize = 13;

impl SizeLimit {
    /// No limit: a stream.
    pub const NONE: Self = Self(usize::MAX);

    /// The largest datagram that IPv4 can carry, in however many fragments: 65507 bytes of message.
    pub const DATAGRAM: Self = Self((u16::MAX - IPV4_HEADER - UDP_HEADER) as usize + 1);

    /// For a path to `remote` whose MTU, in bytes of IP packet, is known.
    pub const fn path(remote: IpAddr, mtu: u16) -> Self {
        let header = match remote {
            IpAddr::V4(_) => IPV4_HEADER,
            IpAddr::V6(_) => IPV6_HEADER,
        };
        Self(mtu.saturating_sub(header + UDP_HEADER) as usize)
    }

    /// For a path to `remote` whose MTU is not known: IPv4 packets of 576 bytes, or the MTU of the
    /// first hop, in bytes, where that is smaller; IPv6 packets of 1280 bytes.
    pub const fn unknown_path(remote: IpAddr, first_hop_mtu: Option<u16>) -> Self {
        let mtu = match (remote, first_hop_mtu) {
            (IpAddr::V4(_), Some(mtu)) if mtu < IPV4_PACKET => mtu,
            (IpAddr::V4(_), _) => IPV4_PACKET,
            (IpAddr::V6(_), _) => IPV6_PACKET,
        };
        Self::path(remote, mtu)
    }

    /// The same inside DTLS: less the record header of 13 bytes and what the cipher adds in
    /// authentication code and padding, in bytes.
    #[must_use]
    pub const fn within_dtls(self, code_and_padding: usize) -> Self {
        Self(
            self.0
                .saturating_sub(DTLS_RECORD_HEADER)
                .saturating_sub(code_and_padding),
        )
    }

    /// The length that a message stays below, in bytes.
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// Whether a message of `len` bytes stays below it.
    pub const fn permits(self, len: usize) -> bool {
        len < self.0
    }
}

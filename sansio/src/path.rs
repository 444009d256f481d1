use core::fmt;
use core::net::SocketAddr;

/// How bytes travel between two transport addresses.
///
/// Encryption belongs to the driver: a machine sees the bytes inside TLS or DTLS, but its framing and
/// its timers depend on what carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// UDP: datagrams, unreliable.
    Udp,
    /// TCP: a stream, reliable; a machine gets one frame a call.
    Tcp,
    /// TLS over TCP: as TCP.
    Tls,
    /// DTLS over UDP: as UDP.
    Dtls,
}

impl Transport {
    /// Whether the transport itself retransmits what was lost, so that a machine must not.
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }
}

/// A 5-tuple: transport, local and remote transport address, seen from the machine that holds it.
///
/// The local address counts: on a host with several, a machine answers from the one that was asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiveTuple {
    /// What carries the bytes.
    pub transport: Transport,
    /// The address on this side.
    pub local: SocketAddr,
    /// The address on the other side.
    pub remote: SocketAddr,
}

impl FiveTuple {
    /// A 5-tuple over UDP.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            transport: Transport::Udp,
            local,
            remote,
        }
    }

    /// The same 5-tuple as the other side sees it, if nothing on the way rewrites addresses.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        Self {
            transport: self.transport,
            local: self.remote,
            remote: self.local,
        }
    }
}

impl fmt::Debug for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} > {}", self.transport, self.local, self.remote)
    }
}

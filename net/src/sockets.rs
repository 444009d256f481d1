//! Many UDP sockets, read as one.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::task::{Context, Poll};

use floe_sansio::FiveTuple;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::rotation::{Place, Rotation};

/// What a driver's sockets and connections have done since they were bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams received, and frames of connections.
    pub received: u64,
    /// Datagrams that the operating system took, and frames that were taken for a connection.
    pub sent: u64,
    /// Datagrams that it refused: no route, a full buffer, a firewall, too long. To the machine they
    /// are lost on the way, as any datagram may be. And frames for connections that are gone, or cannot
    /// keep up.
    pub refused: u64,
    /// Receive calls that failed, for instance because an earlier datagram was answered by ICMP; and
    /// connections that could not be accepted.
    pub failed_receives: u64,
    /// Connections that were closed at once, as there were too many: see
    /// [`StreamLimits`](crate::StreamLimits).
    pub turned_away: u64,
}

impl Counters {
    /// Of two sets of sockets.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            sent: self.sent + other.sent,
            refused: self.refused + other.refused,
            failed_receives: self.failed_receives + other.failed_receives,
            turned_away: self.turned_away + other.turned_away,
        }
    }
}

/// The sockets of one driver, by local address.
///
/// A datagram costs the same however many sockets there are: each wakes its own place in a
/// rotation, and only those that were woken are looked at, one datagram at a time, in turn.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    bound: Vec<Option<Bound>>,
    vacant: Vec<usize>,
    by_address: HashMap<SocketAddr, usize>,
    rotation: Rotation,
    counters: Counters,
}

#[derive(Debug)]
struct Bound {
    socket: UdpSocket,
    local: SocketAddr,
    place: Place,
}

impl Sockets {
    /// Binds a socket to exactly this address, port 0 for any port, and returns the address.
    ///
    /// An IPv6 socket is for IPv6 only: no address comes in two forms.
    pub(crate) fn bind(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;

        let at = self.vacant.pop().unwrap_or_else(|| {
            self.bound.push(None);
            self.bound.len() - 1
        });
        self.bound[at] = Some(Bound {
            socket,
            local,
            place: self.rotation.join(at),
        });
        self.by_address.insert(local, at);
        Ok(local)
    }

    /// Closes the socket of this address; whether there was one.
    pub(crate) fn close(&mut self, local: SocketAddr) -> bool {
        let Some(at) = self.by_address.remove(&local) else {
            return false;
        };
        self.bound[at] = None;
        self.vacant.push(at);
        true
    }

    /// The local addresses, in no order.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.by_address.keys().copied()
    }

    pub(crate) const fn counters(&self) -> Counters {
        self.counters
    }

    /// Sends one datagram; whether the operating system took it. What it refuses is lost, and counted.
    pub(crate) fn send(&mut self, path: FiveTuple, payload: &[u8]) -> bool {
        let bound = self.by_address.get(&path.local);
        let sent = bound
            .and_then(|&at| self.bound[at].as_ref())
            .is_some_and(|bound| {
                // Past tokio's readiness, which a fresh socket does not have yet: there is nothing
                // to wait for, a full buffer is a loss.
                SockRef::from(&bound.socket)
                    .send_to(payload, &SockAddr::from(path.remote))
                    .is_ok()
            });
        let counter = if sent {
            &mut self.counters.sent
        } else {
            &mut self.counters.refused
        };
        *counter += 1;
        sent
    }

    /// The next datagram that arrives on any socket: its path, and its length in `buffer`.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(FiveTuple, usize)> {
        // A socket that is woken while it is looked at waits for the next call: this one ends.
        for _ in 0..self.rotation.begin(cx.waker()) {
            let Some(at) = self.rotation.next() else {
                break;
            };
            // The last one there may have been closed since.
            let Some(bound) = self.bound.get(at).and_then(Option::as_ref) else {
                continue;
            };
            bound.place.leave();
            let mut cx = Context::from_waker(bound.place.waker());
            let mut read = ReadBuf::new(buffer);
            match bound.socket.poll_recv_from(&mut cx, &mut read) {
                Poll::Pending => {}
                Poll::Ready(Ok(remote)) => {
                    bound.place.return_to(&self.rotation);
                    self.counters.received += 1;
                    let path = FiveTuple::udp(bound.local, plain(bound.local, remote));
                    return Poll::Ready((path, read.filled().len()));
                }
                Poll::Ready(Err(_)) => {
                    bound.place.waker().wake_by_ref();
                    self.counters.failed_receives += 1;
                }
            }
        }
        Poll::Pending
    }
}

/// The remote address as signalling and STUN write it, without a zone. A socket that is bound to one
/// address does not need it to answer; one bound to all addresses does.
fn plain(local: SocketAddr, remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V6(v6) if !local.ip().is_unspecified() => {
            SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into()
        }
        _ => remote,
    }
}

#[cfg(test)]
mod tests;

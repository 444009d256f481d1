//! The data path: what clients and peers send each other, framed in place. Nothing here touches the
//! heap or waits.

use core::net::SocketAddr;
use core::ops::Range;

use floe_sansio::{Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Route, Transport};
use floe_stun::{Class, Message, Method, ParseErrorKind, Protocol, TransactionId};

use super::Server;
use super::allocation::Allocation;
use super::meter::{Meter, Pace};
use super::relays::Owner;
use super::slab::{Slab, Slot};
use crate::frame::{self, within};
use crate::policy::canonical;

/// Places in [`Allocation::traffic`].
const TO_PEERS: usize = 0;
const TO_CLIENT: usize = 1;

impl Server {
    /// A datagram, or one frame of a stream, from a client.
    pub(super) fn client_input(
        &mut self,
        now: Instant,
        datagram: Datagram<'_>,
    ) -> Result<Input, DropReason> {
        match Protocol::of(datagram.payload()) {
            Protocol::Channel => self.channel_data(now, datagram),
            Protocol::Stun => {
                let path = datagram.path;
                let message =
                    Message::parse(datagram.payload()).map_err(|error| match error.kind {
                        ParseErrorKind::TooShort
                        | ParseErrorKind::TopBits
                        | ParseErrorKind::Cookie => DropReason::NotStun,
                        _ => DropReason::Malformed,
                    })?;
                match (message.class(), message.method()) {
                    // Not a fault, and not counted as one.
                    (_, Method::BINDING) => Ok(Input::Dropped(DropReason::Unsupported)),
                    (
                        Class::Request,
                        Method::ALLOCATE
                        | Method::REFRESH
                        | Method::CREATE_PERMISSION
                        | Method::CHANNEL_BIND,
                    ) => self.request(now, path, &message),
                    (Class::Indication, Method::SEND) => {
                        let (slot, peer, data) = self.send(now, path, &message)?;
                        let range = within(&datagram.range(), &data);
                        // Whom the policy permits is known; what of our own may be reached is not.
                        if !self.may_reach(slot, peer) {
                            return Err(DropReason::Forbidden);
                        }
                        if self.relays.contains(canonical(peer.ip())) {
                            self.hairpin(now, slot, peer, datagram, range)
                        } else {
                            self.relay_out(now, slot, peer, range)
                        }
                    }
                    _ => Err(DropReason::Unsupported),
                }
            }
            // Beyond what RFC 7983 leaves to TURN, if that is wanted.
            _ if self.is_old_channel(datagram.payload()) => self.channel_data(now, datagram),
            _ => Err(DropReason::NotStun),
        }
    }

    /// Whether a datagram is `ChannelData` of a client of RFC 5766, and such clients are served.
    fn is_old_channel(&self, datagram: &[u8]) -> bool {
        datagram
            .first_chunk()
            .is_some_and(|&channel| self.config.channels.contains(&u16::from_be_bytes(channel)))
    }

    /// `ChannelData` from a client (RFC 8656 §12.6).
    fn channel_data(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<Input, DropReason> {
        let (number, data) = frame::parse_channel_data(datagram.payload(), &self.config.channels)
            .ok_or(DropReason::Malformed)?;
        let (slot, allocation) =
            (self.of_client(now, &datagram.path)).ok_or(DropReason::NoAllocation)?;
        let channel = (allocation.channels.of_number(now, number)).ok_or(DropReason::NoChannel)?;
        let peer = channel.peer();
        if self.config.strict_permissions && !allocation.permissions.permits(now, peer.ip()) {
            return Err(DropReason::NoPermission);
        }
        let range = within(&datagram.range(), &data);
        // ChannelBind has asked whether the peer may be reached: only our own ports change hands.
        if channel.is_hairpin {
            self.hairpin(now, slot, peer, datagram, range)
        } else {
            self.relay_out(now, slot, peer, range)
        }
    }

    /// A Send indication from a client (RFC 8656 §11.2): whose, to whom, and where in the message the
    /// data lies.
    fn send(
        &self,
        now: Instant,
        path: FiveTuple,
        message: &Message<'_>,
    ) -> Result<(Slot, SocketAddr, Range<usize>), DropReason> {
        let (slot, allocation) = self.of_client(now, &path).ok_or(DropReason::NoAllocation)?;
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Err(DropReason::Unauthenticated);
        }
        let indication = frame::parse_indication(message).ok_or(DropReason::Malformed)?;
        let data = indication.data.ok_or(DropReason::Malformed)?;
        let peer = indication.peer;
        if !allocation.permissions.permits(now, peer.ip()) {
            return Err(DropReason::NoPermission);
        }
        Ok((slot, peer, data))
    }

    /// Data of a client goes out from its relayed address.
    fn relay_out(
        &mut self,
        now: Instant,
        slot: Slot,
        peer: SocketAddr,
        data: Range<usize>,
    ) -> Result<Input, DropReason> {
        let allocation = (self.allocations.get_mut(slot)).ok_or(DropReason::NoAllocation)?;
        let meter = metered(allocation, self.pace.as_ref(), now, data.len())?;
        allocation.meter = meter;
        allocation.traffic[TO_PEERS].add(data.len());
        self.stats.to_peers.add(data.len());
        let path = FiveTuple::udp(self.relays.address(allocation.relayed), peer);
        Ok(Input::Forward(Route::new(path, data)))
    }

    /// A datagram from a peer (RFC 8656 §11.3).
    pub(super) fn peer_input(
        &mut self,
        now: Instant,
        mut datagram: Datagram<'_>,
    ) -> Result<Input, DropReason> {
        let FiveTuple {
            transport,
            local,
            remote,
        } = datagram.path;
        let slot = match self.relays.owner(local) {
            Owner::Slot(slot) if transport == Transport::Udp => slot,
            Owner::Free => return Err(DropReason::NoAllocation),
            Owner::Slot(_) | Owner::None => return Err(DropReason::UnknownLocal),
        };
        if remote.port() == 0 {
            return Err(DropReason::Forbidden);
        }
        let range = datagram.range();
        let bytes = range.len();
        let delivery = Delivery {
            now,
            slot,
            peer: SocketAddr::new(remote.ip(), remote.port()),
            pace: self.pace.as_ref(),
        };
        let buffer = datagram.buffer_mut();
        let route = delivery.frame(&mut self.allocations, &mut self.entropy, buffer, range)?;
        self.stats.to_clients.add(bytes);
        Ok(Input::Forward(route))
    }

    /// Data of a client goes to the client of another relayed address: as if it had gone out and come
    /// back in.
    fn hairpin(
        &mut self,
        now: Instant,
        slot: Slot,
        peer: SocketAddr,
        mut datagram: Datagram<'_>,
        data: Range<usize>,
    ) -> Result<Input, DropReason> {
        let peer = SocketAddr::new(canonical(peer.ip()), peer.port());
        let other = (self.relays.owner(peer).slot())
            .filter(|&other| other != slot)
            .ok_or(DropReason::Forbidden)?;
        let bytes = data.len();
        let sender = (self.allocations.get(slot)).ok_or(DropReason::NoAllocation)?;
        let meter = metered(sender, self.pace.as_ref(), now, bytes)?;
        let delivery = Delivery {
            now,
            slot: other,
            peer: self.relays.address(sender.relayed),
            pace: self.pace.as_ref(),
        };
        let buffer = datagram.buffer_mut();
        let route = delivery.frame(&mut self.allocations, &mut self.entropy, buffer, data)?;
        if let Some(sender) = self.allocations.get_mut(slot) {
            sender.meter = meter;
            sender.traffic[TO_PEERS].add(bytes);
        }
        self.stats.to_peers.add(bytes);
        self.stats.to_clients.add(bytes);
        self.stats.hairpin.add(bytes);
        Ok(Input::Forward(route))
    }
}

/// What the allocation has used after a packet of so many bytes more.
fn metered(
    allocation: &Allocation,
    pace: Option<&Pace>,
    now: Instant,
    bytes: usize,
) -> Result<Meter, DropReason> {
    match pace {
        None => Ok(allocation.meter),
        Some(pace) => (allocation.meter.after(now, pace, bytes)).ok_or(DropReason::OverBudget),
    }
}

/// Data of a peer for the client of an allocation.
struct Delivery<'a> {
    now: Instant,
    slot: Slot,
    peer: SocketAddr,
    pace: Option<&'a Pace>,
}

impl Delivery<'_> {
    /// Frames `buffer[range]` for the client, in its channel or else in a Data indication.
    fn frame(
        self,
        allocations: &mut Slab<Allocation>,
        entropy: &mut Entropy,
        buffer: &mut [u8],
        range: Range<usize>,
    ) -> Result<Route, DropReason> {
        let Self {
            now,
            slot,
            peer,
            pace,
        } = self;
        let allocation = (allocations.get_mut(slot))
            .filter(|allocation| now < allocation.expires)
            .ok_or(DropReason::NoAllocation)?;
        if !allocation.permissions.permits(now, peer.ip()) {
            return Err(DropReason::NoPermission);
        }
        let bytes = range.len();
        let meter = metered(allocation, pace, now, bytes)?;
        let client = allocation.client;
        let framed = match allocation.channels.of_peer(now, peer) {
            Some(number) => frame::channel_data(buffer, range, number, client.transport),
            None => frame::indication(buffer, range, Method::DATA, peer, || {
                TransactionId::random(entropy)
            }),
        };
        let range = framed.map_err(|_| DropReason::NoRoom)?;
        allocation.meter = meter;
        allocation.traffic[TO_CLIENT].add(bytes);
        Ok(Route::new(client, range))
    }
}

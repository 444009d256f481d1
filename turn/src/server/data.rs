//! The data path: what clients and peers send each other, framed in place. Nothing here touches the
//! heap or waits.
//!
//! The hot functions return [`Input`] itself and write it where the caller wants it: moving 5-tuples
//! around costs more than all else they do.

use core::net::SocketAddr;
use core::ops::Range;

use floe_sansio::{Datagram, DropReason, Entropy, FiveTuple, Input, Instant, Route, Transport};
use floe_stun::{Class, Message, Method, ParseErrorKind, Protocol, TransactionId};

use super::Server;
use super::allocation::Allocation;
use super::meter::Pace;
use super::relays::Owner;
use super::slab::Slot;
use super::stats::Stats;
use crate::frame::{self, FrameError, within};
use crate::policy::canonical;

/// Places in [`Allocation::traffic`].
pub(super) const TO_PEERS: usize = 0;
const TO_CLIENT: usize = 1;

impl Server {
    /// A datagram, or one frame of a stream, from a client.
    #[inline]
    pub(super) fn client_input(&mut self, now: Instant, datagram: &mut Datagram<'_>) -> Input {
        let input = self.client_message(now, datagram);
        // Whoever sends data from where he was about to be is there (RFC 8016 §3.2.2).
        if !self.mobility.is_still() && matches!(input, Input::Forward(_)) {
            self.arrive(datagram.path);
        }
        input
    }

    #[inline]
    fn client_message(&mut self, now: Instant, datagram: &mut Datagram<'_>) -> Input {
        match Protocol::of(datagram.payload()) {
            Protocol::Channel => self.channel_data(now, datagram),
            Protocol::Stun => self
                .message(now, datagram)
                .unwrap_or_else(|it| self.drop(it)),
            // Beyond what RFC 7983 leaves to TURN, if that is wanted.
            _ if self.is_old_channel(datagram.payload()) => self.channel_data(now, datagram),
            _ => self.drop(DropReason::NotStun),
        }
    }

    #[cold]
    fn drop(&mut self, reason: DropReason) -> Input {
        self.stats.count_drop(reason);
        Input::Dropped(reason)
    }

    /// Whether a datagram is `ChannelData` of a client of RFC 5766, and such clients are served.
    fn is_old_channel(&self, datagram: &[u8]) -> bool {
        datagram
            .first_chunk()
            .is_some_and(|&channel| self.config.channels.contains(&u16::from_be_bytes(channel)))
    }

    /// `ChannelData` from a client (RFC 8656 §12.6).
    fn channel_data(&mut self, now: Instant, datagram: &mut Datagram<'_>) -> Input {
        let Some((number, data)) =
            frame::parse_channel_data(datagram.payload(), &self.config.channels)
        else {
            return self.drop(DropReason::Malformed);
        };
        let path = &datagram.path;
        let Some(slot) = self.slot_of(path).or_else(|| self.mobility.arriving(path)) else {
            return self.drop(DropReason::NoAllocation);
        };
        let data = within(&datagram.range(), &data);
        self.through_channel(now, slot, number, datagram, data, true)
    }

    /// Data in a channel of the allocation in `slot`, or else of its twin.
    #[inline]
    fn through_channel(
        &mut self,
        now: Instant,
        slot: Slot,
        number: u16,
        datagram: &mut Datagram<'_>,
        data: Range<usize>,
        or_twin: bool,
    ) -> Input {
        let Some(allocation) = self.allocations.get_mut(slot) else {
            return self.drop(DropReason::NoAllocation);
        };
        let lives = now < allocation.expires;
        let channel = allocation.channels.of_number(now, number);
        let Some(channel) = channel.filter(|_| lives) else {
            let twin = allocation.twin;
            let twin_lives = (self.allocations.get(twin)).is_some_and(|twin| now < twin.expires);
            if or_twin && twin_lives {
                return self.through_channel(now, twin, number, datagram, data, false);
            }
            let has_allocation = lives || !or_twin;
            return self.drop(if has_allocation {
                DropReason::NoChannel
            } else {
                DropReason::NoAllocation
            });
        };
        if self.config.strict_permissions && !allocation.permissions.permits(now, channel.ip()) {
            return self.drop(DropReason::NoPermission);
        }
        let peer = channel.peer();
        // ChannelBind has asked whether the peer may be reached: only our own ports change hands.
        if channel.is_hairpin {
            return (self.hairpin(now, slot, peer, datagram, data))
                .unwrap_or_else(|reason| self.drop(reason));
        }
        let pace = self.pace.as_ref();
        if !count_out(allocation, pace, &mut self.stats, now, data.len()) {
            return self.drop(DropReason::OverBudget);
        }
        let from = self.relays.address(allocation.relayed);
        Input::Forward(Route::new(FiveTuple::udp(from, peer), data))
    }

    /// A STUN message from a client.
    #[inline(never)]
    fn message(&mut self, now: Instant, datagram: &mut Datagram<'_>) -> Result<Input, DropReason> {
        let path = datagram.path;
        let message = Message::parse(datagram.payload()).map_err(|error| match error.kind {
            ParseErrorKind::TooShort | ParseErrorKind::TopBits | ParseErrorKind::Cookie => {
                DropReason::NotStun
            }
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
            (Class::Request, Method::CONNECT | Method::CONNECTION_BIND) if self.config.tcp => {
                self.request(now, path, &message)
            }
            (Class::Indication, Method::SEND) => {
                let (slot, peer, data, unfragmented) = self.send(now, &path, &message)?;
                let range = within(&datagram.range(), &data);
                // The policy was asked when the permission was made; our own ports change hands.
                (self.may_reach(slot, peer)).map_err(|_| DropReason::Forbidden)?;
                if self.relays.contains(canonical(peer.ip())) {
                    self.hairpin(now, slot, peer, datagram, range)
                } else {
                    let Some(allocation) = self.allocations.get_mut(slot) else {
                        return Err(DropReason::NoAllocation);
                    };
                    let pace = self.pace.as_ref();
                    if !count_out(allocation, pace, &mut self.stats, now, range.len()) {
                        return Err(DropReason::OverBudget);
                    }
                    let from = self.relays.address(allocation.relayed);
                    let route = Route::new(FiveTuple::udp(from, peer), range);
                    let route = if unfragmented {
                        route.unfragmented()
                    } else {
                        route
                    };
                    Ok(Input::Forward(route))
                }
            }
            _ => Err(DropReason::Unsupported),
        }
    }

    /// A Send indication from a client (RFC 8656 §11.2): whose, to whom, and where in the message the
    /// data lies, and whether it must not be fragmented.
    fn send(
        &self,
        now: Instant,
        path: &FiveTuple,
        message: &Message<'_>,
    ) -> Result<(Slot, SocketAddr, Range<usize>, bool), DropReason> {
        let (mut slot, mut allocation) =
            self.of_client(now, path).ok_or(DropReason::NoAllocation)?;
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Err(DropReason::Unauthenticated);
        }
        let indication = frame::parse_indication(message).ok_or(DropReason::Malformed)?;
        let data = indication.data.ok_or(DropReason::Malformed)?;
        // Then it is an attribute like any other that is not understood.
        if indication.dont_fragment && !self.config.dont_fragment {
            return Err(DropReason::Malformed);
        }
        let peer = indication.peer;
        if peer.is_ipv4() != self.relays.address(allocation.relayed).is_ipv4() {
            (slot, allocation) = self.twin(now, allocation).unwrap_or((slot, allocation));
        }
        if !allocation.permissions.permits(now, peer.ip()) {
            return Err(DropReason::NoPermission);
        }
        // Between datagrams of different families, and of IPv6, it is ignored (RFC 8656 §13).
        let counts = path.transport.is_reliable() || path.remote.is_ipv4() && peer.is_ipv4();
        Ok((slot, peer, data, indication.dont_fragment && counts))
    }

    /// A datagram from a peer (RFC 8656 §11.3).
    #[inline]
    pub(super) fn peer_input(&mut self, now: Instant, datagram: &mut Datagram<'_>) -> Input {
        let slot = match self.relays.owner(&datagram.path.local) {
            Owner::Slot(slot) if datagram.path.transport == Transport::Udp => slot,
            Owner::Free => return self.drop(DropReason::NoAllocation),
            Owner::Slot(_) | Owner::None => return self.drop(DropReason::UnknownLocal),
        };
        let peer = datagram.path.remote;
        if peer.port() == 0 {
            return self.drop(DropReason::Forbidden);
        }
        let Some(allocation) = self.allocations.get_mut(slot) else {
            return self.drop(DropReason::NoAllocation);
        };
        let channel = match way_in(allocation, now, peer) {
            Ok(channel) => channel,
            Err(reason) => return self.drop(reason),
        };
        let data = datagram.range();
        let bytes = data.len();
        let client = allocation.client;
        let Ok(range) = framed(
            channel,
            peer,
            client.transport,
            &mut self.entropy,
            datagram.buffer_mut(),
            data,
        ) else {
            return self.drop(DropReason::NoRoom);
        };
        let pace = self.pace.as_ref();
        if pace.is_some_and(|pace| !allocation.meter.take(now, pace, bytes)) {
            return self.drop(DropReason::OverBudget);
        }
        allocation.traffic[TO_CLIENT].add(bytes);
        self.stats.to_clients.add(bytes);
        Input::Forward(Route::new(client, range))
    }

    /// Data of a client goes to the client of another relayed address: as if it had gone out and come
    /// back in.
    fn hairpin(
        &mut self,
        now: Instant,
        slot: Slot,
        peer: SocketAddr,
        datagram: &mut Datagram<'_>,
        data: Range<usize>,
    ) -> Result<Input, DropReason> {
        let peer = SocketAddr::new(canonical(peer.ip()), peer.port());
        let other = (self.relays.owner(&peer).slot())
            .filter(|&other| other != slot)
            .ok_or(DropReason::Forbidden)?;
        let bytes = data.len();
        let pace = self.pace.as_ref();
        let sender = (self.allocations.get(slot)).ok_or(DropReason::NoAllocation)?;
        let from = self.relays.address(sender.relayed);
        let mut meter = sender.meter;
        if pace.is_some_and(|pace| !meter.take(now, pace, bytes)) {
            return Err(DropReason::OverBudget);
        }
        let receiver = (self.allocations.get_mut(other)).ok_or(DropReason::NoAllocation)?;
        let channel = way_in(receiver, now, from)?;
        let client = receiver.client;
        let buffer = datagram.buffer_mut();
        let range = framed(
            channel,
            from,
            client.transport,
            &mut self.entropy,
            buffer,
            data,
        )
        .map_err(|_| DropReason::NoRoom)?;
        // Only what both may relay is counted for either.
        if pace.is_some_and(|pace| !receiver.meter.take(now, pace, bytes)) {
            return Err(DropReason::OverBudget);
        }
        receiver.traffic[TO_CLIENT].add(bytes);
        if let Some(sender) = self.allocations.get_mut(slot) {
            sender.meter = meter;
            sender.traffic[TO_PEERS].add(bytes);
        }
        self.stats.to_peers.add(bytes);
        self.stats.to_clients.add(bytes);
        self.stats.hairpin.add(bytes);
        Ok(Input::Forward(Route::new(client, range)))
    }
}

/// Counts so many bytes of a client on their way out; `false`, and nothing is counted, if they are beyond
/// its budget.
#[inline]
fn count_out(
    allocation: &mut Allocation,
    pace: Option<&Pace>,
    stats: &mut Stats,
    now: Instant,
    bytes: usize,
) -> bool {
    let passes = pace.is_none_or(|pace| allocation.meter.take(now, pace, bytes));
    if passes {
        allocation.traffic[TO_PEERS].add(bytes);
        stats.to_peers.add(bytes);
    }
    passes
}

/// Whether data from `peer` may go to the client, and in which channel, if in any.
#[inline]
fn way_in(
    allocation: &Allocation,
    now: Instant,
    peer: SocketAddr,
) -> Result<Option<u16>, DropReason> {
    if now >= allocation.expires {
        return Err(DropReason::NoAllocation);
    }
    if !allocation.permissions.permits(now, peer.ip()) {
        return Err(DropReason::NoPermission);
    }
    Ok(allocation.channels.of_peer(now, peer))
}

/// Frames `buffer[data]`, which comes from `peer`, for a client: in a channel, or else in a Data
/// indication.
#[inline]
fn framed(
    channel: Option<u16>,
    peer: SocketAddr,
    transport: Transport,
    entropy: &mut Entropy,
    buffer: &mut [u8],
    data: Range<usize>,
) -> Result<Range<usize>, FrameError> {
    match channel {
        Some(number) => frame::channel_data(buffer, data, number, transport),
        None => indication(entropy, buffer, data, peer),
    }
}

#[inline(never)]
fn indication(
    entropy: &mut Entropy,
    buffer: &mut [u8],
    data: Range<usize>,
    peer: SocketAddr,
) -> Result<Range<usize>, FrameError> {
    // Flow label and scope are no part of what the client is told.
    let peer = SocketAddr::new(peer.ip(), peer.port());
    let id = || TransactionId::random(entropy);
    frame::indication(buffer, data, Method::DATA, peer, id)
}

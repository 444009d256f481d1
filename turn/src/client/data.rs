//! The data plane: what goes through the relay, framed and unframed in place.

use alloc::vec;
use core::net::SocketAddr;
use core::ops::Range;

use bytes::Bytes;
use floe_sansio::{Datagram, DropReason, FiveTuple, HEADROOM, Input, Route, TAILROOM, Transmit};
use floe_stun::{Message, Method, TransactionId};

use super::{Client, ClientEvent, PeerTransport, SendError, plain};
use crate::frame::{self, FrameError, within};

impl Client {
    /// Frames `buffer[payload]` for `peer`, in place: as `ChannelData` if a channel is bound, else as
    /// a Send indication. The route says which range to send, and on which path.
    ///
    /// Leave [`HEADROOM`] bytes before the payload and [`TAILROOM`] behind it.
    pub fn encapsulate(
        &mut self,
        peer: SocketAddr,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Route, SendError> {
        let peer = self.may_send(peer)?;
        let path = self.path;
        let framed = if let Some(number) = self.bound_channel(peer) {
            frame::channel_data(buffer, payload, number, path.transport)
        } else {
            let id = || TransactionId::random(&mut self.entropy);
            frame::indication(buffer, payload, Method::SEND, peer, id)
        };
        let range = framed.map_err(send_error)?;
        self.is_idle = false;
        Ok(Route::new(path, range))
    }

    /// As [`Self::encapsulate`], in a Send indication that forbids the server to fragment what it
    /// sends to the peer (RFC 8656 §11.1); for probing the MTU of the path.
    pub fn encapsulate_unfragmented(
        &mut self,
        peer: SocketAddr,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Result<Route, SendError> {
        let peer = self.may_send(peer)?;
        if !self.config.dont_fragment || self.history.no_dont_fragment {
            return Err(SendError::Fragmentation);
        }
        let id = || TransactionId::random(&mut self.entropy);
        let framed = frame::unfragmented(buffer, payload, peer, id);
        let range = framed.map_err(send_error)?;
        self.is_idle = false;
        Ok(Route::new(self.path, range))
    }

    /// Whether datagrams may be sent to a peer; its address as it stands on the wire.
    fn may_send(&self, peer: SocketAddr) -> Result<SocketAddr, SendError> {
        if !self.is_allocated() || self.config.peers != PeerTransport::Udp {
            return Err(SendError::NotAllocated);
        }
        let peer = plain(peer);
        if !self.permissions.contains_key(&peer.ip()) {
            return Err(SendError::NoPermission);
        }
        Ok(peer)
    }

    /// As [`Self::encapsulate`], for the bytes of another machine that are to go through the relay.
    pub fn wrap(&mut self, peer: SocketAddr, payload: &[u8]) -> Result<Transmit, SendError> {
        let mut buffer = vec![0; HEADROOM + payload.len() + TAILROOM];
        let range = HEADROOM..HEADROOM + payload.len();
        buffer[range.clone()].copy_from_slice(payload);
        let route = self.encapsulate(peer, &mut buffer, range)?;
        Ok(Transmit {
            path: route.path,
            payload: Bytes::from(buffer).slice(route.range()),
        })
    }

    /// The number of the channel to `peer`, while data may be sent on it.
    pub(super) fn bound_channel(&self, peer: SocketAddr) -> Option<u16> {
        let channel = self.channels.get(peer)?;
        channel.open(self.clock.now(), self.config.early_channels)
    }

    pub(super) fn channel_data(&self, datagram: &Datagram<'_>) -> Input {
        if !self.is_allocated() {
            return Input::Dropped(DropReason::NoAllocation);
        }
        let Some((number, data)) = frame::parse_channel_data(datagram.payload(), &frame::CHANNELS)
        else {
            return Input::Dropped(DropReason::Malformed);
        };
        let Some(peer) = self.channels.peer(number) else {
            return Input::Dropped(DropReason::NoChannel);
        };
        // A channel that is wanted has a permission, unless the server refused just that.
        if !self.permissions.contains_key(&peer.ip()) {
            return Input::Dropped(DropReason::NoPermission);
        }
        let Some(relayed) = self.relayed_for(peer.ip()) else {
            return Input::Dropped(DropReason::NoAllocation);
        };
        let data = within(&datagram.range(), &data);
        Input::Data(Route::new(FiveTuple::udp(relayed, peer), data))
    }

    pub(super) fn indication(&mut self, message: &Message<'_>, range: &Range<usize>) -> Input {
        if message.method() != Method::DATA {
            return Input::Dropped(DropReason::Unsupported);
        }
        if !self.is_allocated() || self.config.peers != PeerTransport::Udp {
            return Input::Dropped(DropReason::NoAllocation);
        }
        if message.has_fingerprint() && !message.verify_fingerprint() {
            return Input::Dropped(DropReason::Unauthenticated);
        }
        let indication = frame::parse_indication(message).filter(|it| !it.dont_fragment);
        let Some(indication) = indication else {
            return Input::Dropped(DropReason::Malformed);
        };
        let peer = indication.peer;
        if !self.permissions.contains_key(&peer.ip()) {
            return Input::Dropped(DropReason::NoPermission);
        }
        if let Some([_, _, kind, code, data @ ..]) = indication.icmp {
            self.events.push_back(ClientEvent::Unreachable {
                peer,
                kind,
                code,
                data: u32::from_be_bytes(data),
            });
            return Input::Handled;
        }
        match (indication.data, self.relayed_for(peer.ip())) {
            (Some(data), Some(relayed)) => {
                let route = Route::new(FiveTuple::udp(relayed, peer), within(range, &data));
                Input::Data(route)
            }
            (Some(_), None) => Input::Dropped(DropReason::NoAllocation),
            (None, _) => Input::Dropped(DropReason::Malformed),
        }
    }
}

const fn send_error(error: FrameError) -> SendError {
    match error {
        FrameError::NoRoom => SendError::NoRoom,
        FrameError::TooLong => SendError::TooLong,
    }
}

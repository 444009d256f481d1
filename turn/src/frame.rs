//! How relayed bytes are framed, in place: `ChannelData` (RFC 8656 §12.4) and the Send and Data
//! indications (§11).

use core::net::SocketAddr;
use core::ops::{Range, RangeInclusive};

use floe_sansio::Transport;
use floe_stun::{
    Attribute, AttributeType, Builder, CHANNEL_HEADER_LEN, Class, HEADER_LEN, Message, MessageType,
    Method, TransactionId, XorPeerAddress,
};

/// The channels that a client may bind (RFC 8656 §12).
pub const CHANNELS: RangeInclusive<u16> = 0x4000..=0x4FFF;

/// The channels that a client of the older RFC 5766 may bind (its §11).
pub const RFC5766_CHANNELS: RangeInclusive<u16> = 0x4000..=0x7FFF;

/// Bytes of the header of an attribute.
const ATTRIBUTE_HEADER_LEN: usize = 4;

/// Why bytes could not be framed in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// Too little room before or behind the payload.
    NoRoom,
    /// The length does not fit 16 bits.
    TooLong,
}

/// Writes the header of a `ChannelData` message before `buffer[payload]`; the range of the message.
///
/// On a stream the message is padded to a multiple of 4 bytes, on datagrams it is not (§12.5).
#[inline]
pub(crate) fn channel_data(
    buffer: &mut [u8],
    payload: Range<usize>,
    channel: u16,
    transport: Transport,
) -> Result<Range<usize>, FrameError> {
    let length = u16::try_from(payload.len()).map_err(|_| FrameError::TooLong)?;
    let start = payload
        .start
        .checked_sub(CHANNEL_HEADER_LEN)
        .ok_or(FrameError::NoRoom)?;
    let mut end = payload.end;
    if transport.is_reliable() {
        end = payload.start + payload.len().next_multiple_of(4);
        let padding = buffer.get_mut(payload.end..end);
        padding.ok_or(FrameError::NoRoom)?.fill(0);
    }
    let header = buffer
        .get_mut(start..payload.start)
        .ok_or(FrameError::NoRoom)?;
    header[..2].copy_from_slice(&channel.to_be_bytes());
    header[2..].copy_from_slice(&length.to_be_bytes());
    Ok(start..end)
}

/// Reads a `ChannelData` message: the channel, and where the data lies. `None` if it is shorter than
/// it says or its channel is none of `channels` (§12.6). Padding behind the data is ignored.
#[inline]
pub(crate) fn parse_channel_data(
    message: &[u8],
    channels: &RangeInclusive<u16>,
) -> Option<(u16, Range<usize>)> {
    let (channel, length) = floe_stun::channel_header(message)?;
    let end = CHANNEL_HEADER_LEN + length;
    (channels.contains(&channel) && end <= message.len())
        .then_some((channel, CHANNEL_HEADER_LEN..end))
}

/// Writes a Send or Data indication around `buffer[payload]`; the range of the message. Asks for an
/// `id` only if it fits.
pub(crate) fn indication(
    buffer: &mut [u8],
    payload: Range<usize>,
    method: Method,
    peer: SocketAddr,
    id: impl FnOnce() -> TransactionId,
) -> Result<Range<usize>, FrameError> {
    let address_len = ATTRIBUTE_HEADER_LEN + if peer.is_ipv4() { 8 } else { 20 };
    let overhead = HEADER_LEN + address_len + ATTRIBUTE_HEADER_LEN;
    let start = payload
        .start
        .checked_sub(overhead)
        .ok_or(FrameError::NoRoom)?;
    let end = payload.start + payload.len().next_multiple_of(4);
    let data_len = u16::try_from(payload.len()).map_err(|_| FrameError::TooLong)?;
    let message_len = u16::try_from(end - start - HEADER_LEN).map_err(|_| FrameError::TooLong)?;
    buffer
        .get_mut(payload.end..end)
        .ok_or(FrameError::NoRoom)?
        .fill(0);
    let data_at = payload.start - ATTRIBUTE_HEADER_LEN;
    let head = buffer.get_mut(start..data_at).ok_or(FrameError::NoRoom)?;
    Builder::new(head, MessageType::new(Class::Indication, method), id())
        .with(&XorPeerAddress(peer))
        .finish()
        .map_err(|_| FrameError::NoRoom)?;
    // DATA is there already: only its header is missing, and the length that counts it.
    buffer[start + 2..start + 4].copy_from_slice(&message_len.to_be_bytes());
    buffer[data_at..data_at + 2].copy_from_slice(&AttributeType::DATA.0.to_be_bytes());
    buffer[data_at + 2..payload.start].copy_from_slice(&data_len.to_be_bytes());
    Ok(start..end)
}

/// As [`indication`], a Send indication with DONT-FRAGMENT.
pub(crate) fn unfragmented(
    buffer: &mut [u8],
    payload: Range<usize>,
    peer: SocketAddr,
    id: impl FnOnce() -> TransactionId,
) -> Result<Range<usize>, FrameError> {
    // It takes the place of the header of DATA in an indication four bytes longer, and DATA follows.
    let before = payload
        .start
        .checked_sub(ATTRIBUTE_HEADER_LEN)
        .ok_or(FrameError::NoRoom)?;
    let length = u16::try_from(payload.len()).map_err(|_| FrameError::TooLong)?;
    let framed = indication(buffer, before..payload.end, Method::SEND, peer, id)?;
    let flag = before - ATTRIBUTE_HEADER_LEN;
    let [a, b] = AttributeType::DONT_FRAGMENT.0.to_be_bytes();
    let [c, d] = AttributeType::DATA.0.to_be_bytes();
    let [high, low] = length.to_be_bytes();
    buffer[flag..payload.start].copy_from_slice(&[a, b, 0, 0, c, d, high, low]);
    Ok(framed)
}

/// What a Send or Data indication says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Indication {
    pub(crate) peer: SocketAddr,
    /// Where the value of DATA lies in the message.
    pub(crate) data: Option<Range<usize>>,
    /// The value of ICMP (§18.13).
    pub(crate) icmp: Option<[u8; 8]>,
    /// Whether there is DONT-FRAGMENT, which belongs in a Send indication.
    pub(crate) dont_fragment: bool,
}

/// Reads a Send or Data indication in one walk; `None` if XOR-PEER-ADDRESS is missing, something is
/// malformed, or an attribute must be understood and is not.
pub(crate) fn parse_indication(message: &Message<'_>) -> Option<Indication> {
    let (mut peer, mut data, mut icmp) = (None, None, None);
    let mut dont_fragment = false;
    for raw in message.attributes() {
        match raw.kind {
            AttributeType::XOR_PEER_ADDRESS if peer.is_none() => {
                let XorPeerAddress(address) =
                    XorPeerAddress::decode(raw.value, message.transaction_id())?;
                peer = Some(address);
            }
            AttributeType::DATA if data.is_none() => {
                let at = raw.offset + ATTRIBUTE_HEADER_LEN;
                data = Some(at..at + raw.value.len());
            }
            AttributeType::ICMP if icmp.is_none() => icmp = Some(raw.value.try_into().ok()?),
            AttributeType::DONT_FRAGMENT if raw.value.is_empty() => dont_fragment = true,
            // Of several alike the first counts (RFC 8489 §14).
            AttributeType::XOR_PEER_ADDRESS | AttributeType::DATA => {}
            other if other.is_comprehension_required() => return None,
            _ => {}
        }
    }
    Some(Indication {
        peer: peer?,
        data,
        icmp,
        dont_fragment,
    })
}

/// The range `inner`, counted from the start of `outer`.
pub(crate) fn within(outer: &Range<usize>, inner: &Range<usize>) -> Range<usize> {
    outer.start + inner.start..outer.start + inner.end
}

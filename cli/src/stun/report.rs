//! All that there is to say about some bytes.

use std::collections::HashSet;

use floe_stun::{
    Attribute, AttributeType, DissectedAttribute, Dissection, HEADER_LEN, MAGIC_COOKIE,
    MappedAddress, Message, MessageType, Method, ParseErrorKind, Protocol, TransactionId,
};
use serde::Serialize;

use super::fact::{self, Fact};
use super::fault::Fault;
use super::form::Malformed;
use super::hex::{Count, Hex};
use super::proof::{Keys, Proof, ProofResult};
use crate::run::Verdict;

/// What some bytes are.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "protocol", rename_all = "kebab-case")]
pub(super) enum Report<'a> {
    Stun(Stun<'a>),
    ChannelData(ChannelData<'a>),
    Other(Other<'a>),
}

/// A STUN message, or what is left of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stun<'a> {
    pub(super) bytes: usize,
    pub(super) header: Header,
    pub(super) attributes: Vec<Entry<'a>>,
    /// Bytes that belong to no attribute, and where they begin.
    pub(super) leftover: Option<Leftover<'a>>,
    pub(super) errors: Vec<Fault>,
    pub(super) integrity: Vec<Proof>,
    pub(super) fingerprint: Option<Fingerprint>,
    /// A password was given.
    #[serde(skip)]
    pub(super) checked: bool,
}

/// The header, as far as it is there.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Header {
    #[serde(rename = "type")]
    pub(super) type_bits: Option<u16>,
    pub(super) class: Option<&'static str>,
    pub(super) method: Option<u16>,
    pub(super) method_name: Option<&'static str>,
    pub(super) length: Option<u16>,
    pub(super) cookie: Option<String>,
    pub(super) transaction_id: Option<String>,
}

/// An attribute.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry<'a> {
    pub(super) offset: usize,
    #[serde(rename = "type")]
    pub(super) kind: u16,
    pub(super) name: Option<&'static str>,
    pub(super) comprehension_required: bool,
    /// What its length field says.
    pub(super) length: usize,
    pub(super) hex: Hex<'a>,
    pub(super) padding: Hex<'a>,
    pub(super) value: Option<Fact<'a>>,
    /// The address before it is unmasked, if it is masked.
    pub(super) raw: Option<Fact<'a>>,
    pub(super) malformed: Option<String>,
    /// Why receivers ignore it.
    pub(super) ignored: Option<&'static str>,
    /// There was one of this type before, and only the first counts.
    pub(super) repeated: bool,
}

/// Bytes that belong to no attribute.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Leftover<'a> {
    pub(super) offset: usize,
    pub(super) hex: Hex<'a>,
}

/// FINGERPRINT.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fingerprint {
    pub(super) offset: usize,
    pub(super) right: bool,
    pub(super) expected: String,
}

/// TURN `ChannelData` (RFC 8656 §12.4).
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChannelData<'a> {
    pub(super) bytes: usize,
    pub(super) channel: u16,
    pub(super) length: Option<u16>,
    /// As far as it is there.
    pub(super) hex: Hex<'a>,
    /// What the data looks like.
    pub(super) data: &'static str,
    pub(super) error: Option<String>,
}

/// Another protocol.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Other<'a> {
    pub(super) bytes: usize,
    pub(super) name: &'static str,
    pub(super) first_byte: u8,
    pub(super) hex: Hex<'a>,
}

/// Looks at some bytes, at least one.
pub(super) fn report<'a>(bytes: &'a [u8], keys: Option<&Keys>) -> Report<'a> {
    let cookie = Dissection::of(bytes).cookie() == Some(MAGIC_COOKIE);
    match Protocol::of_with_quic(bytes, true) {
        Protocol::Stun => Report::Stun(stun(bytes, keys)),
        Protocol::Channel => {
            let channel = channel(bytes);
            // What has the cookie is STUN whose first bits are broken.
            if channel.error.is_some() && cookie {
                return Report::Stun(stun(bytes, keys));
            }
            Report::ChannelData(channel)
        }
        _ if cookie => Report::Stun(stun(bytes, keys)),
        protocol => Report::Other(Other {
            bytes: bytes.len(),
            name: protocol_name(protocol),
            first_byte: bytes.first().copied().unwrap_or(0),
            hex: Hex(bytes),
        }),
    }
}

const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Stun => "STUN",
        Protocol::Zrtp => "ZRTP",
        Protocol::Dtls => "DTLS",
        Protocol::Channel => "TURN ChannelData",
        Protocol::Rtp => "RTP",
        Protocol::Rtcp => "RTCP",
        Protocol::Quic => "QUIC",
        Protocol::Unknown => "no known protocol",
    }
}

fn channel(bytes: &[u8]) -> ChannelData<'_> {
    let field = |at: usize| {
        let field = bytes.get(at..at + 2)?.first_chunk()?;
        Some(u16::from_be_bytes(*field))
    };
    let length = field(2);
    let rest = bytes.get(4..).unwrap_or_default();
    let says = length.map_or(0, usize::from);
    let data = &rest[..says.min(rest.len())];
    // Over a stream there is padding up to a multiple of 4.
    let error = if length.is_none() {
        Some(format!("{}; the header has 4", Count(bytes.len())))
    } else if rest.len() < says {
        Some(format!(
            "the length field says {says}; there are {}",
            rest.len()
        ))
    } else if rest.len() > says.next_multiple_of(4) {
        let more = rest.len() - says;
        Some(format!(
            "{} more than the {says} of the length field",
            Count(more)
        ))
    } else {
        None
    };
    ChannelData {
        bytes: bytes.len(),
        channel: field(0).unwrap_or_else(|| u16::from(bytes[0]) << 8),
        length,
        hex: Hex(data),
        data: match Protocol::of(data) {
            Protocol::Unknown => "data",
            protocol => protocol_name(protocol),
        },
        error,
    }
}

fn stun<'a>(bytes: &'a [u8], keys: Option<&Keys>) -> Stun<'a> {
    let dissection = Dissection::of(bytes);
    let message = Message::parse(bytes).ok();
    let form = dissection
        .errors()
        .map(|error| Fault::of_form(error, bytes));
    let mut stun = Stun {
        bytes: bytes.len(),
        header: Header::of(&dissection),
        attributes: Vec::new(),
        leftover: None,
        errors: form.collect(),
        integrity: Vec::new(),
        fingerprint: None,
        checked: keys.is_some(),
    };
    let mut end = HEADER_LEN;
    let mut seen = HashSet::new();
    let mut integrity = None;
    for attribute in dissection.attributes() {
        end = attribute.end();
        let kind = attribute.kind;
        let first = seen.insert(kind) || repeats(kind, dissection.message_type());
        let id = dissection
            .transaction_id()
            .unwrap_or(TransactionId([0; 12]));
        let (entry, malformed) = Entry::of(&attribute, id, !first, integrity);
        // A value that is cut short has been said to be.
        let counts = !attribute.hidden && first && attribute.error.is_none();
        if let (Some(malformed), true) = (&malformed, counts) {
            let fault = Fault::of_value(kind, malformed, bytes);
            stun.errors.push(fault);
        }
        stun.attributes.push(entry);
        if attribute.hidden {
            continue;
        }
        let whole = attribute.error.is_none();
        match kind {
            AttributeType::MESSAGE_INTEGRITY | AttributeType::MESSAGE_INTEGRITY_SHA256 if whole => {
                let length = attribute.length;
                let proof = Proof::of(kind, attribute.offset, length, message.as_ref(), keys);
                stun.integrity.push(proof);
            }
            AttributeType::FINGERPRINT if whole => {
                let expected = dissection.fingerprint(attribute.offset);
                stun.fingerprint = Some(Fingerprint {
                    offset: attribute.offset,
                    right: attribute.value == expected.to_be_bytes(),
                    expected: format!("{expected:#010x}"),
                });
            }
            _ => {}
        }
        integrity = behind(kind).or(integrity);
    }
    if bytes.len() > end {
        let hex = Hex(&bytes[end..]);
        stun.leftover = Some(Leftover { offset: end, hex });
    }
    stun
}

/// Why what stands behind this attribute is ignored.
const fn behind(kind: AttributeType) -> Option<&'static str> {
    match kind {
        AttributeType::MESSAGE_INTEGRITY => Some("behind MESSAGE-INTEGRITY (RFC 8489 §14.5)"),
        AttributeType::MESSAGE_INTEGRITY_SHA256 => {
            Some("behind MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6)")
        }
        AttributeType::FINGERPRINT => Some("behind FINGERPRINT (RFC 8489 §14.7)"),
        _ => None,
    }
}

/// Whether each of several counts: peers of a `CreatePermission` (RFC 8656 §10.1), and the two addresses
/// of an Allocate (RFC 8656 §7.3).
fn repeats(kind: AttributeType, message: Option<MessageType>) -> bool {
    let method = message.map(|message| message.method);
    match kind {
        AttributeType::XOR_PEER_ADDRESS => method == Some(Method::CREATE_PERMISSION),
        AttributeType::XOR_RELAYED_ADDRESS => method == Some(Method::ALLOCATE),
        _ => false,
    }
}

impl Header {
    fn of(dissection: &Dissection<'_>) -> Self {
        let kind = dissection.message_type();
        Self {
            type_bits: dissection.type_bits(),
            class: kind.map(|kind| fact::class(kind.class)),
            method: kind.map(|kind| kind.method.number()),
            method_name: kind.and_then(|kind| kind.method.name()),
            length: dissection.length(),
            cookie: dissection.cookie().map(|cookie| format!("{cookie:#010x}")),
            transaction_id: dissection.transaction_id().map(|id| format!("{id:?}")),
        }
    }
}

impl<'a> Entry<'a> {
    /// What it says, and why its value is malformed if it is.
    fn of(
        attribute: &DissectedAttribute<'a>,
        id: TransactionId,
        repeated: bool,
        integrity: Option<&'static str>,
    ) -> (Self, Option<Malformed>) {
        let DissectedAttribute { kind, value, .. } = *attribute;
        let cut = attribute.error == Some(ParseErrorKind::AttributeLength);
        let read = fact::read(kind, value, attribute.offset + 4, id);
        let (fact, malformed) = match read.filter(|_| !cut || attribute.length == value.len()) {
            Some(Ok(fact)) => (Some(fact), None),
            Some(Err(malformed)) => (None, Some(malformed)),
            None => (None, None),
        };
        let raw = match fact {
            Some(Fact::Address(address)) => {
                MappedAddress::decode(value, id).filter(|MappedAddress(raw)| *raw != address)
            }
            _ => None,
        };
        let entry = Self {
            offset: attribute.offset,
            kind: kind.0,
            name: kind.name(),
            comprehension_required: kind.is_comprehension_required(),
            length: attribute.length,
            hex: Hex(value),
            padding: Hex(attribute.padding),
            value: fact,
            raw: raw.map(Fact::from),
            malformed: malformed.as_ref().map(|malformed| malformed.reason.clone()),
            ignored: integrity.filter(|_| attribute.hidden),
            repeated,
        };
        (entry, malformed)
    }
}

/// An attribute type by its name, or its number.
pub(super) fn name(kind: AttributeType) -> String {
    format!("{kind:?}")
}

impl Report<'_> {
    /// What the command's exit status says.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Stun(stun) if !stun.errors.is_empty() => Verdict::Failed,
            Self::Stun(stun) if stun.is_unproven() => Verdict::Unproven,
            Self::Stun(_) => Verdict::Passed,
            Self::ChannelData(channel) if channel.error.is_none() => Verdict::Passed,
            Self::ChannelData(_) | Self::Other(_) => Verdict::Failed,
        }
    }
}

impl Stun<'_> {
    fn is_unproven(&self) -> bool {
        let wrong = |proof: &Proof| proof.result == ProofResult::Wrong;
        let fingerprint = self.fingerprint.as_ref();
        (self.checked && self.integrity.is_empty())
            || self.integrity.iter().any(wrong)
            || fingerprint.is_some_and(|fingerprint| !fingerprint.right)
    }
}

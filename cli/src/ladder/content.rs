//! What a packet says, in words: STUN, TURN, and what is wrapped in TURN.

use std::collections::BTreeMap;

use anstyle::Style;
use floe_sim::{Flags, HostId};
use floe_stun::{
    ChannelNumber, Class, Data, ErrorCode, Lifetime, Message, Method, Protocol, TransactionId,
    UseCandidate, Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
};

use crate::stun::fact::{self, Fact};
use crate::style;

/// What a packet says, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Between a peer and the server.
    Gathering,
    /// From peer to peer.
    Check,
    /// Of the application.
    Data,
}

impl Kind {
    pub(super) const fn style(self) -> Style {
        match self {
            Self::Gathering => style::GATHERING,
            Self::Check => style::CHECK,
            Self::Data => style::DATA,
        }
    }
}

/// Reads packets in the order in which they were sent, and so can say which answers which.
#[derive(Debug, Default)]
pub(super) struct Reader {
    requests: BTreeMap<TransactionId, Request>,
}

#[derive(Clone, Debug)]
struct Request {
    sender: HostId,
    label: String,
    kind: Kind,
}

impl Reader {
    /// Reads a packet that `sender` sent; `label` names it.
    pub(super) fn read(&mut self, sender: HostId, label: &str, payload: &[u8]) -> Content {
        match Protocol::of(payload) {
            Protocol::Stun => match Message::parse(payload) {
                Ok(message) => self.message(sender, label, &message),
                Err(error) => Content {
                    text: format!("broken STUN message: {error}"),
                    kind: Kind::Check,
                },
            },
            Protocol::Channel => match *payload {
                [a, b, c, d, ref data @ ..] => {
                    let channel = u16::from_be_bytes([a, b]);
                    let length = usize::from(u16::from_be_bytes([c, d])).min(data.len());
                    let head = format!("ChannelData {}", Fact::Channel(channel));
                    self.wrapped(sender, label, &head, &data[..length])
                }
                _ => data(payload),
            },
            _ => data(payload),
        }
    }

    /// The same for a TCP segment: one that carries a whole frame is read like a packet.
    pub(super) fn read_segment(
        &mut self,
        sender: HostId,
        label: &str,
        flags: Flags,
        payload: &[u8],
    ) -> Content {
        let is_whole = match (Protocol::of(payload), payload) {
            (Protocol::Stun, _) => Message::parse(payload).is_ok(),
            (Protocol::Channel, &[_, _, c, d, ref rest @ ..]) => {
                let length = usize::from(u16::from_be_bytes([c, d]));
                rest.len() == length.next_multiple_of(4)
            }
            _ => false,
        };
        if is_whole {
            let Content { text, kind } = self.read(sender, label, payload);
            let text = format!("TCP {{ {text} }}");
            return Content { text, kind };
        }
        let text = match payload.len() {
            0 => format!("TCP {flags}"),
            length => format!("TCP, {length} bytes"),
        };
        let kind = Kind::Gathering;
        Content { text, kind }
    }

    fn wrapped(&mut self, sender: HostId, label: &str, head: &str, inner: &[u8]) -> Content {
        let Content { text, kind } = self.read(sender, label, inner);
        Content {
            text: format!("{head} {{ {text} }}"),
            kind,
        }
    }

    fn message(&mut self, sender: HostId, label: &str, message: &Message<'_>) -> Content {
        let (class, method) = (message.class(), message.method());
        if class == Class::Indication {
            let peer = message.get().ok().flatten();
            let inner = message.get().ok().flatten();
            if let (Some(XorPeerAddress(peer)), Some(Data(inner))) = (peer, inner) {
                let way = if method == Method::SEND { "to" } else { "from" };
                return self.wrapped(
                    sender,
                    label,
                    &format!("{} {way} {peer}", fact::method(method)),
                    inner,
                );
            }
            return Content {
                text: fact::message_type(message.message_type()),
                kind: Kind::Check,
            };
        }
        let mut text = fact::message_type(message.message_type());
        for fact in facts(message) {
            text.push(' ');
            text += &fact;
        }
        let id = message.transaction_id();
        let known = self.requests.get(&id);
        let relation = known.map(|first| match class {
            Class::Request if first.sender == sender => format!(" (again {})", first.label),
            Class::Request => format!(" (of {})", first.label),
            _ => format!(" (to {})", first.label),
        });
        text += &relation.unwrap_or_default();
        let kind = match known {
            Some(first) => first.kind,
            None if method == Method::BINDING && has::<Username<'_>>(message) => Kind::Check,
            None if class == Class::Request => Kind::Gathering,
            None => Kind::Check,
        };
        if class == Class::Request {
            let label = label.to_owned();
            let request = Request {
                sender,
                label,
                kind,
            };
            self.requests.entry(id).or_insert(request);
        }
        Content { text, kind }
    }
}

fn has<'a, A: floe_stun::Attribute<'a>>(message: &Message<'a>) -> bool {
    matches!(message.get::<A>(), Ok(Some(_)))
}

fn data(payload: &[u8]) -> Content {
    Content {
        text: format!("data, {} bytes", payload.len()),
        kind: Kind::Data,
    }
}

/// The attributes that carry the story.
fn facts(message: &Message<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    let method = message.method();
    match message.class() {
        Class::Request => {
            if has::<UseCandidate>(message) {
                facts.push("USE-CANDIDATE".to_owned());
            }
            if let Ok(Some(channel)) = message.get::<ChannelNumber>() {
                facts.push(Fact::from(channel).to_string());
            }
            let peers = message
                .attributes()
                .filter(|raw| raw.kind == <XorPeerAddress as floe_stun::Attribute<'_>>::TYPE)
                .filter_map(|raw| floe_stun::Attribute::decode(raw.value, message.transaction_id()))
                .map(|XorPeerAddress(peer)| match method {
                    // Permissions are for addresses, not ports.
                    Method::CREATE_PERMISSION => peer.ip().to_string(),
                    _ => peer.to_string(),
                })
                .collect::<Vec<_>>();
            if !peers.is_empty() {
                facts.push(format!("for {}", peers.join(", ")));
            }
            if method == Method::ALLOCATE {
                let credentials = has::<Username<'_>>(message);
                let how = if credentials { "with" } else { "without" };
                facts.push(format!("{how} credentials"));
            }
            match message.get() {
                Ok(Some(Lifetime(0))) => facts.push("to end it".to_owned()),
                Ok(Some(lifetime)) => facts.push(format!("for {}", Fact::from(lifetime))),
                _ => {}
            }
        }
        Class::Success => {
            if let Ok(Some(relayed)) = message.get::<XorRelayedAddress>() {
                facts.push(format!("relayed {}", Fact::from(relayed)));
            } else if let Ok(Some(mapped)) = message.get::<XorMappedAddress>() {
                facts.push(format!("seen as {}", Fact::from(mapped)));
            }
        }
        _ => {
            if let Ok(Some(error)) = message.get::<ErrorCode<'_>>() {
                facts.push(Fact::from(error).to_string());
            }
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use floe_sim::{Site, Topology};
    use floe_stun::{Builder, MessageType, StatusCode};

    use super::*;

    fn hosts() -> [HostId; 2] {
        let mut world = Topology::new();
        let public = Site::public(floe_sim::Link::IDEAL);
        [world.host("a", public), world.host("b", public)]
    }

    /// A message with what `fill` adds to it.
    fn message(
        class: Class,
        method: Method,
        id: u8,
        fill: impl FnOnce(Builder<'_>) -> Builder<'_>,
    ) -> Vec<u8> {
        let mut buffer = [0; 200];
        let kind = MessageType::new(class, method);
        let builder = Builder::new(&mut buffer, kind, TransactionId([id; 12]));
        let len = fill(builder).finish().unwrap();
        buffer[..len].to_vec()
    }

    #[test]
    fn an_answer_says_what_it_answers() {
        let [a, b] = hosts();
        let mut reader = Reader::default();
        let check = message(Class::Request, Method::BINDING, 1, |builder| {
            builder.with(&Username("x:y")).with(&UseCandidate)
        });
        let content = reader.read(a, "a#0", &check);
        assert_eq!(content.text, "Binding request USE-CANDIDATE");
        assert_eq!(content.kind, Kind::Check);
        let again = reader.read(a, "a#1", &check);
        assert_eq!(again.text, "Binding request USE-CANDIDATE (again a#0)");
        let relayed = reader.read(b, "b#0", &check);
        assert_eq!(relayed.text, "Binding request USE-CANDIDATE (of a#0)");

        let answer = message(Class::Success, Method::BINDING, 1, |builder| {
            builder.with(&XorMappedAddress("192.0.2.1:5".parse().unwrap()))
        });
        let content = reader.read(b, "b#1", &answer);
        assert_eq!(content.text, "Binding success seen as 192.0.2.1:5 (to a#0)");
        assert_eq!(content.kind, Kind::Check);
    }

    #[test]
    fn what_is_wrapped_is_read_too() {
        let [a, _] = hosts();
        let mut reader = Reader::default();
        let inner = message(Class::Request, Method::BINDING, 1, |builder| builder);
        let mut channel = vec![0x40, 0x00, 0, inner.len() as u8];
        channel.extend(&inner);
        let content = reader.read(a, "a#0", &channel);
        assert_eq!(content.text, "ChannelData 0x4000 { Binding request }");

        let send = message(Class::Indication, Method::SEND, 2, |builder| {
            let peer = XorPeerAddress("192.0.2.1:5".parse().unwrap());
            builder.with(&peer).with(&Data(b"\xFFhello"))
        });
        let content = reader.read(a, "a#1", &send);
        assert_eq!(content.text, "Send to 192.0.2.1:5 { data, 6 bytes }");
        assert_eq!(content.kind, Kind::Data);
    }

    #[test]
    fn a_segment_is_read_if_it_is_one_whole_frame() {
        let [a, _] = hosts();
        let mut reader = Reader::default();
        let mut read = |flags, bytes: &[u8]| reader.read_segment(a, "a#0", flags, bytes).text;
        let request = message(Class::Request, Method::BINDING, 1, |builder| builder);
        assert_eq!(read(Flags::SYN | Flags::ACK, b""), "TCP SYN+ACK");
        assert_eq!(read(Flags::ACK, &request), "TCP { Binding request }");
        assert_eq!(read(Flags::ACK, &request[..9]), "TCP, 9 bytes");
        let channel = b"\x40\0\0\x05\xFFhell\0\0\0";
        let whole = "TCP { ChannelData 0x4000 { data, 5 bytes } }";
        assert_eq!(read(Flags::ACK, channel), whole);
        assert_eq!(read(Flags::ACK, &channel[..9]), "TCP, 9 bytes");
    }

    #[test]
    fn errors_say_which_even_if_the_sender_does_not() {
        let [a, _] = hosts();
        let answer = message(Class::Error, Method::ALLOCATE, 1, |builder| {
            builder.with(&ErrorCode {
                code: StatusCode::UNAUTHENTICATED,
                reason: "",
            })
        });
        let content = Reader::default().read(a, "a#0", &answer);
        assert_eq!(content.text, "Allocate error 401 Unauthenticated");
    }

    #[test]
    fn permissions_are_for_addresses() {
        let [a, _] = hosts();
        let request = message(Class::Request, Method::CREATE_PERMISSION, 1, |builder| {
            builder.with(&XorPeerAddress("192.0.2.1:5".parse().unwrap()))
        });
        let content = Reader::default().read(a, "a#0", &request);
        assert_eq!(content.text, "CreatePermission request for 192.0.2.1");
    }

    #[test]
    fn what_is_broken_is_said_to_be() {
        let [a, _] = hosts();
        let mut reader = Reader::default();
        assert!(
            reader
                .read(a, "a#0", &[0; 4])
                .text
                .starts_with("broken STUN message: ")
        );
        assert_eq!(reader.read(a, "a#0", &[0x40, 0]).text, "data, 2 bytes");
        assert_eq!(reader.read(a, "a#0", &[]).text, "data, 0 bytes");
        assert_eq!(
            reader.read(a, "a#0", &[0x40, 0, 0xFF, 0xFF, 0xFF]).text,
            "ChannelData 0x4000 { data, 1 bytes }"
        );
    }
}

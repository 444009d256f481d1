//! The messages of real programs: coturn, aioice, aiortc and Chromium.

use std::collections::HashMap;

use floe_stun::{Algorithm, Class, Data, Key, Message, Protocol, TransactionId, Username};
use serde_json::Value;

#[path = "common/pcap.rs"]
mod pcap;

use pcap::Capture;

fn credentials() -> Value {
    serde_json::from_str(include_str!("data/captures/credentials.json")).unwrap()
}

/// What the integrity of one capture verifies with.
struct Keys {
    long_term: Key,
    /// By the user name fragment of the receiver.
    short_term: HashMap<String, Key>,
}

impl Keys {
    fn of(capture: &str) -> Self {
        let file = credentials();
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let (user, realm, password) = {
            let entry = &file["_long_term"];
            (
                text(&entry["username"]),
                text(&entry["realm"]),
                text(&entry["password"]),
            )
        };
        let sides = file[capture].as_object().into_iter().flatten();
        Self {
            long_term: Key::long_term(&user, &realm, &password),
            short_term: sides
                .map(|(_, side)| (text(&side["ufrag"]), Key::short_term(&text(&side["pwd"]))))
                .collect(),
        }
    }
}

/// What was seen, so that a reader that finds nothing cannot pass.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    messages: usize,
    integrity: usize,
    fingerprints: usize,
    /// Messages without integrity to a request that had it.
    unsigned_responses: usize,
    channel_data: usize,
}

struct Checker {
    keys: Keys,
    /// The key of each request that was authenticated.
    requests: HashMap<TransactionId, Key>,
    seen: Seen,
}

impl Checker {
    fn new(capture: &str) -> Self {
        Self {
            keys: Keys::of(capture),
            requests: HashMap::new(),
            seen: Seen::default(),
        }
    }

    /// One datagram or frame, and what it carries.
    fn check(&mut self, bytes: &[u8]) {
        match Protocol::of(bytes) {
            Protocol::Stun => match Message::parse(bytes) {
                Ok(message) => self.message(message),
                // Application data inside ChannelData may begin with any byte.
                Err(error) => assert!(error.kind.is_not_stun(), "{error}"),
            },
            Protocol::Channel => {
                self.seen.channel_data += 1;
                let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
                self.check(&bytes[4..4 + length]);
            }
            _ => assert!(Message::parse(bytes).unwrap_err().kind.is_not_stun()),
        }
    }

    fn message(&mut self, message: Message<'_>) {
        self.seen.messages += 1;
        if message.has_fingerprint() {
            assert!(message.verify_fingerprint(), "{message:?}");
            self.seen.fingerprints += 1;
        }
        let id = message.transaction_id();
        if let Some(algorithm) = message.integrity() {
            assert_eq!(algorithm, Algorithm::Sha1);
            let key = if message.class() == Class::Request {
                let Username(name) = message.get().unwrap().unwrap();
                let fragment = name.split(':').next().unwrap();
                let key = self.keys.short_term.get(fragment);
                let key = key.unwrap_or(&self.keys.long_term).clone();
                self.requests.insert(id, key.clone());
                key
            } else {
                self.requests[&id].clone()
            };
            assert!(message.verify(&key, algorithm), "{message:?}");
            assert!(!message.verify(&Key::short_term("another"), algorithm));
            self.seen.integrity += 1;
        } else if self.requests.contains_key(&id) {
            self.seen.unsigned_responses += 1;
        }
        if let Some(Data(inner)) = message.get().unwrap() {
            self.check(inner);
        }
    }
}

fn datagrams(name: &str, file: &[u8]) -> Seen {
    let mut checker = Checker::new(name);
    for (_, _, bytes) in Capture::read(file).datagrams {
        checker.check(&bytes);
    }
    checker.seen
}

#[test]
fn coturn_over_udp() {
    let file = include_bytes!("data/captures/coturn-uclient-udp-channel.pcap");
    let seen = datagrams("coturn-uclient-udp-channel", file);
    assert_eq!(
        seen,
        Seen {
            messages: 28,
            integrity: 24,
            fingerprints: 28,
            unsigned_responses: 0,
            channel_data: 0
        }
    );
}

#[test]
fn coturn_over_tcp_whose_frames_follow_the_length_field() {
    let file = include_bytes!("data/captures/coturn-uclient-tcp.pcap");
    let mut checker = Checker::new("coturn-uclient-tcp");
    let capture = Capture::read(file);
    assert!(!capture.streams.is_empty());
    // The two directions are apart: requests first, so that responses find them.
    let mut frames = Vec::new();
    for stream in capture.streams.values() {
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let length = match Protocol::of(rest) {
                Protocol::Stun => 20 + length,
                Protocol::Channel => (4 + length).next_multiple_of(4),
                other => panic!("{other:?}"),
            };
            let (frame, behind) = rest.split_at(length);
            frames.push(frame);
            rest = behind;
        }
    }
    frames.sort_by_key(|frame| {
        let message = Message::parse(frame);
        message.is_ok_and(|message| message.class() != Class::Request)
    });
    for frame in frames {
        checker.check(frame);
    }
    assert_eq!(
        checker.seen,
        Seen {
            messages: 28,
            integrity: 24,
            fingerprints: 28,
            unsigned_responses: 0,
            channel_data: 6
        }
    );
}

#[test]
fn aioice_through_a_relay() {
    let file = include_bytes!("data/captures/ice-aioice-aioice-relay.pcap");
    assert_eq!(
        datagrams("ice-aioice-aioice-relay", file),
        Seen {
            messages: 30,
            integrity: 25,
            fingerprints: 28,
            unsigned_responses: 0,
            channel_data: 31
        }
    );
}

#[test]
fn chromium_and_aiortc() {
    let file = include_bytes!("data/captures/webrtc-chromium-aiortc-datachannel.pcap");
    let seen = datagrams("webrtc-chromium-aiortc-datachannel", file);
    assert_eq!(
        seen,
        Seen {
            messages: 31,
            integrity: 23,
            fingerprints: 23,
            unsigned_responses: 0,
            channel_data: 0
        }
    );
}

//! STUN: one set of operations for floe, for the floors, and (feature `peers`) for the peers, over
//! the same bytes.

mod floe;
mod floor;
pub mod hostile;
#[cfg(feature = "peers")]
pub mod peers;

pub use floe::Floe;
use floe_stun::{
    Builder, Class, IceControlled, Key, MessageType, Method, Nonce, Priority, Realm,
    RequestedTransport, Software, TransactionId, Username,
};
pub use floor::Floor;

/// The request of RFC 5769 §2.1: 108 bytes with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME,
/// MESSAGE-INTEGRITY and FINGERPRINT.
pub const REQUEST: [u8; 108] = *b"\
    \x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\
    \x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// The password of [`REQUEST`].
pub const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// The transaction id of [`REQUEST`].
pub const ID: [u8; 12] = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

/// What [`REQUEST`] says, and what [`Codec::build`] writes.
pub const CONTENT: Content<'static> = Content {
    software: "STUN test client",
    priority: 0x6e00_01ff,
    ice_controlled: 0x932f_f9b1_5126_3b36,
    username: "evtj:h6vY",
};

/// What a Binding request of ICE says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Content<'a> {
    pub software: &'a str,
    pub priority: u32,
    pub ice_controlled: u64,
    pub username: &'a str,
}

/// [`REQUEST`] with MESSAGE-INTEGRITY-SHA256 in the place of MESSAGE-INTEGRITY: 120 bytes.
pub fn request_sha256() -> Vec<u8> {
    let mut buffer = [0; 256];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let len = Builder::new(&mut buffer, kind, TransactionId(ID))
        .with(&Software(CONTENT.software))
        .with(&Priority(CONTENT.priority))
        .with(&IceControlled(CONTENT.ice_controlled))
        .with(&Username(CONTENT.username))
        .with_integrity_sha256(&Key::short_term(PASSWORD))
        .with_fingerprint()
        .finish()
        .expect("room for the message");
    buffer[..len].to_vec()
}

/// An Allocate request with long-term credentials: REQUESTED-TRANSPORT, USERNAME, REALM, NONCE,
/// MESSAGE-INTEGRITY, FINGERPRINT.
pub fn allocate() -> Vec<u8> {
    let mut buffer = [0; 256];
    let kind = MessageType::new(Class::Request, Method::ALLOCATE);
    let len = Builder::new(&mut buffer, kind, TransactionId(ID))
        .with(&RequestedTransport::UDP)
        .with(&Username("alice"))
        .with(&Realm("example.org"))
        .with(&Nonce("obMatJos2AAAAf//499k954d6OL34oL9FSTvy64sA"))
        .with_integrity(&Key::long_term("alice", "example.org", "correct horse"))
        .with_fingerprint()
        .finish()
        .expect("room for the message");
    buffer[..len].to_vec()
}

/// A datagram of each protocol that shares a port with STUN: STUN, DTLS, RTP, `ChannelData`.
pub const DATAGRAMS: [&[u8]; 4] = [
    &REQUEST,
    b"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10",
    b"\x80\x60\x00\x01\x00\x00\x00\x01\x00\x00\x00\x02payload",
    b"\x40\x00\x00\x04data",
];

/// A codec under measurement. What it cannot do gives `None`.
pub trait Codec {
    /// Its name and version.
    const NAME: &'static str;
    /// Whether parsing checks FINGERPRINT.
    const CHECKS_FINGERPRINT: bool = false;
    /// Whether it knows SOFTWARE; if not, it is left out of what is read and built.
    const KNOWS_SOFTWARE: bool = true;
    /// A message that has been parsed.
    type Message<'a>;
    /// What it keeps of a password between messages.
    type Key;

    /// The key of [`REQUEST`].
    fn key() -> Self::Key;
    /// Reads the form of a well-formed message.
    fn parse(bytes: &[u8]) -> Self::Message<'_>;
    /// Reads what the message says, and shows it.
    fn read<T>(message: &Self::Message<'_>, see: impl FnOnce(Content<'_>) -> T) -> T;
    /// Whether FINGERPRINT is right.
    fn verify_fingerprint(_message: &Self::Message<'_>) -> Option<bool> {
        None
    }
    /// Whether MESSAGE-INTEGRITY is right.
    fn verify_sha1(message: &mut Self::Message<'_>, key: &Self::Key) -> Option<bool>;
    /// Whether MESSAGE-INTEGRITY-SHA256 is right.
    fn verify_sha256(_message: &mut Self::Message<'_>, _key: &Self::Key) -> Option<bool> {
        None
    }
    /// Writes a request with [`CONTENT`], MESSAGE-INTEGRITY and FINGERPRINT into `buffer` or into
    /// memory of its own, and shows it.
    fn build<T>(buffer: &mut [u8], key: &Self::Key, see: impl FnOnce(&[u8]) -> T) -> T;
    /// Which of the protocols of a port a datagram is of; 0 is STUN. To say only whether it is STUN,
    /// as some peers do, is not this.
    fn classify(_datagram: &[u8]) -> Option<u8> {
        None
    }
}

/// What is measured of a [`Codec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Codec::parse`] of [`REQUEST`].
    ParseRequest,
    /// [`Codec::parse`] of [`allocate`].
    ParseAllocate,
    /// [`Codec::parse`] of [`REQUEST`] and [`Codec::read`].
    ParseAndRead,
    /// [`Codec::verify_fingerprint`].
    Fingerprint,
    /// [`Codec::verify_sha1`].
    Sha1,
    /// [`Codec::verify_sha256`].
    Sha256,
    /// [`Codec::build`].
    Build,
    /// [`Codec::classify`] of the four [`DATAGRAMS`].
    Classify,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ParseRequest,
        Self::ParseAllocate,
        Self::ParseAndRead,
        Self::Fingerprint,
        Self::Sha1,
        Self::Sha256,
        Self::Build,
        Self::Classify,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ParseRequest => "parse-a",
            Self::ParseAllocate => "parse-d",
            Self::ParseAndRead => "read-a",
            Self::Fingerprint => "fingerprint",
            Self::Sha1 => "integrity",
            Self::Sha256 => "integrity-sha256",
            Self::Build => "build",
            Self::Classify => "classify-4",
        }
    }
}

/// Runs something over and over: a bench, or a counter of instructions or allocations.
pub trait Repeat {
    /// Runs `operation` and hides what it returns from the optimiser.
    fn repeat<T>(&mut self, operation: impl FnMut() -> T);
}

/// Has `operation` of `C` repeated; `false` if the codec has none.
pub fn run<C: Codec>(operation: Operation, repeat: &mut impl Repeat) -> bool {
    use std::hint::black_box;
    let key = C::key();
    let (request, request_sha256, allocate) = (REQUEST, request_sha256(), allocate());
    let mut buffer = [0; 256];
    match operation {
        Operation::ParseRequest => repeat.repeat(|| C::parse(black_box(&request))),
        Operation::ParseAllocate => repeat.repeat(|| C::parse(black_box(&allocate))),
        Operation::ParseAndRead => repeat.repeat(|| {
            let message = C::parse(black_box(&request));
            C::read(&message, |content| {
                black_box(content);
            });
        }),
        Operation::Fingerprint => {
            let message = C::parse(&request);
            if C::verify_fingerprint(&message).is_none() {
                return false;
            }
            repeat.repeat(|| C::verify_fingerprint(black_box(&message)));
        }
        Operation::Sha1 => {
            let mut message = C::parse(&request);
            if C::verify_sha1(&mut message, &key).is_none() {
                return false;
            }
            repeat.repeat(|| C::verify_sha1(black_box(&mut message), black_box(&key)));
        }
        Operation::Sha256 => {
            // Not every codec that cannot verify it can parse it.
            let mut message = C::parse(&request);
            if C::verify_sha256(&mut message, &key).is_none() {
                return false;
            }
            let mut message = C::parse(&request_sha256);
            repeat.repeat(|| C::verify_sha256(black_box(&mut message), black_box(&key)));
        }
        Operation::Build => repeat.repeat(|| {
            C::build(black_box(&mut buffer), black_box(&key), |bytes| {
                black_box(bytes);
            });
        }),
        Operation::Classify => {
            if C::classify(&request).is_none() {
                return false;
            }
            repeat.repeat(|| black_box(&DATAGRAMS).map(C::classify));
        }
    }
    true
}

/// Does something with every codec that is measured.
pub trait ForEach {
    /// Does it with `C`.
    fn codec<C: Codec>(&mut self);
}

/// Calls `each` with every codec, the floors first, then floe.
pub fn for_each(each: &mut impl ForEach) {
    each.codec::<Floor>();
    each.codec::<Floe>();
    #[cfg(feature = "peers")]
    {
        each.codec::<peers::StunTypes>();
        each.codec::<peers::Is>();
        each.codec::<peers::RtcStun>();
        each.codec::<peers::Webrtc>();
        each.codec::<peers::StunCodec>();
    }
}

#[cfg(test)]
mod tests {
    use floe_stun::{Algorithm, Message};

    use super::*;

    struct DoesWhatItsNameSays;

    impl ForEach for DoesWhatItsNameSays {
        fn codec<C: Codec>(&mut self) {
            let name = C::NAME;
            let key = C::key();
            let mut message = C::parse(&REQUEST);
            let mut expected = CONTENT;
            if !C::KNOWS_SOFTWARE {
                expected.software = "";
            }
            C::read(&message, |content| assert_eq!(content, expected, "{name}"));
            assert_ne!(C::verify_fingerprint(&message), Some(false), "{name}");
            assert_eq!(C::verify_sha1(&mut message, &key), Some(true), "{name}");
            C::parse(&allocate());
            if C::verify_sha256(&mut message, &key).is_some() {
                let bytes = request_sha256();
                let mut message = C::parse(&bytes);
                assert_eq!(C::verify_sha256(&mut message, &key), Some(true), "{name}");
            }
            let classes = DATAGRAMS.map(C::classify);
            assert!(matches!(classes[0], None | Some(0)), "{name}");
            assert!(classes[1..].iter().all(|class| *class != Some(0)), "{name}");

            // A wrong bit in what is covered is noticed.
            let mut forged = REQUEST;
            forged[30] ^= 1;
            if C::verify_fingerprint(&message).is_some() {
                let message = C::parse(&forged);
                assert_eq!(C::verify_fingerprint(&message), Some(false), "{name}");
            }
            if !C::CHECKS_FINGERPRINT {
                let mut message = C::parse(&forged);
                assert_eq!(C::verify_sha1(&mut message, &key), Some(false), "{name}");
            }

            // What it builds is what floe builds, but for the order and its own padding.
            C::build(&mut [0; 256], &key, |bytes| {
                let message = Message::parse(bytes).expect(name);
                let left_out = if C::KNOWS_SOFTWARE { 0 } else { 20 };
                assert_eq!(bytes.len() + left_out, REQUEST.len(), "{name}");
                assert!(message.verify_fingerprint(), "{name}");
                let key = Key::short_term(PASSWORD);
                assert!(message.verify(&key, Algorithm::Sha1), "{name}");
                if C::KNOWS_SOFTWARE {
                    Floe::read(&message, |content| assert_eq!(content, CONTENT, "{name}"));
                }
            });
        }
    }

    #[test]
    fn every_operation_does_what_its_name_says() {
        for_each(&mut DoesWhatItsNameSays);
    }

    #[test]
    fn the_packets_are_what_they_are_called() {
        assert_eq!(Floor::parse(&REQUEST).visible_end(), 76);
        assert!(Floor::walk(&REQUEST[..104]).is_none());
        let allocate = allocate();
        let message = Message::parse(&allocate).unwrap();
        let key = Key::long_term("alice", "example.org", "correct horse");
        assert!(message.verify(&key, Algorithm::Sha1) && message.verify_fingerprint());
        assert_eq!(request_sha256().len(), 120);
    }
}

//! The codec allocates nothing.

use allocation_counter::measure;
use floe_stun::{
    Builder, Class, IceControlled, Key, Message, MessageType, Method, Priority, Protocol, Software,
    TransactionId, UnknownRequired, Username, XorMappedAddress, read_response,
};

fn count(run: impl FnOnce()) -> u64 {
    measure(run).count_total
}

fn build(buffer: &mut [u8], key: &Key) -> usize {
    Builder::new(
        buffer,
        MessageType::new(Class::Request, Method::BINDING),
        TransactionId([7; 12]),
    )
    .with(&Software("floe"))
    .with(&Priority(0x6e00_01ff))
    .with(&IceControlled(1))
    .with(&Username("evtj:h6vY"))
    .with(&XorMappedAddress("[2001:db8::1]:3478".parse().unwrap()))
    .with_integrity(key)
    .with_integrity_sha256(key)
    .with_fingerprint()
    .finish()
    .unwrap()
}

#[test]
fn the_counter_counts() {
    assert_eq!(count(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn building_reading_and_verifying_allocate_nothing() {
    let key = Key::short_term("VOkJxbRl1RmTxUk/WvJxBt");
    let mut buffer = [0; 512];
    let mut len = 0;
    assert_eq!(count(|| len = build(&mut buffer, &key)), 0);
    let bytes = &buffer[..len];
    let read = count(|| {
        assert_eq!(Protocol::of(bytes), Protocol::Stun);
        let message = Message::parse(bytes).unwrap();
        assert!(message.get::<Username<'_>>().unwrap().is_some());
        assert!(message.get::<XorMappedAddress>().unwrap().is_some());
        assert!(UnknownRequired::find(&message, &[]).is_some());
        assert!(read_response(&message).is_err());
        assert!(message.verify(&key, message.integrity().unwrap()));
        assert!(message.verify_fingerprint());
    });
    assert_eq!(read, 0);
}

#[test]
fn a_rejected_message_allocates_nothing() {
    let key = Key::short_term("key");
    let mut buffer = [0; 512];
    let len = build(&mut buffer, &key);
    for at in 0..len {
        let mut bytes = buffer;
        bytes[at] ^= 0xFF;
        let rejected = count(|| {
            if let Ok(message) = Message::parse(&bytes[..len]) {
                let algorithm = message.integrity();
                let verified = algorithm.is_some_and(|algorithm| message.verify(&key, algorithm));
                assert!(!verified || !message.verify_fingerprint());
            }
        });
        assert_eq!(rejected, 0);
    }
}

#[test]
fn a_key_allocates_nothing() {
    assert_eq!(count(|| drop(Key::long_term("user", "realm", "pass"))), 0);
}

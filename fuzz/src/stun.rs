//! One datagram, read in every way there is, and given to the Binding machines.

use floe_sansio::{FiveTuple, Instant, Transport};
use floe_stun::{
    Algorithm, AlternateServer, Attribute, AttributeType, Builder, ChannelNumber, Client,
    ClientConfig, Data, ErrorCode, EvenPort, IceControlled, IceControlling, Key, Lifetime,
    MappedAddress, Message, Nonce, Priority, Protocol, Realm, RequestedAddressFamily,
    RequestedTransport, ReservationToken, Server, Software, UnknownAttributes, UnknownRequired,
    UseCandidate, Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress, read_response,
};

use crate::driver::Driver;
use crate::samples;

/// Real packets.
pub fn seeds() -> Vec<Vec<u8>> {
    samples::packets()
}

/// What must hold of a datagram.
pub fn run(data: &[u8]) {
    let protocol = Protocol::of(data);
    match Message::parse(data) {
        Ok(message) => {
            // Types above 0x3ff look like others where several protocols share a port (RFC 7983 §7).
            assert_eq!(protocol == Protocol::Stun, data[0] <= 3);
            read(&message);
            rebuild(&message);
            tamper(data, &message);
        }
        Err(error) => assert!(error.offset <= data.len(), "{error}"),
    }
    machines(data);
}

/// Reads every attribute; a typed value is written again and read again to the same.
fn read(message: &Message<'_>) {
    macro_rules! read {
        ($($kind:ident),*) => {
            $(if let Ok(Some(value)) = message.get::<$kind>() {
                same(message, &value);
            })*
        };
    }
    read!(
        AlternateServer,
        ChannelNumber,
        Data,
        ErrorCode,
        EvenPort,
        IceControlled,
        IceControlling,
        Lifetime,
        MappedAddress,
        Nonce,
        Priority,
        Realm,
        RequestedAddressFamily,
        RequestedTransport,
        ReservationToken,
        Software,
        UnknownAttributes,
        UseCandidate,
        Username,
        XorMappedAddress,
        XorPeerAddress,
        XorRelayedAddress
    );
    let listed =
        UnknownRequired::find(message, &[]).map_or(0, |list| list.attribute().iter().count());
    assert!(listed <= UnknownRequired::MAX);
    let _ = read_response(message);
    let _ = format!("{message:?}");
}

fn same<'a, A: Attribute<'a> + PartialEq + std::fmt::Debug>(message: &Message<'a>, value: &A) {
    let mut buffer = vec![0; 70_000];
    let builder = Builder::new(
        &mut buffer,
        message.message_type(),
        message.transaction_id(),
    );
    // Receivers are more tolerant than senders may be.
    let Ok(length) = builder.with(value).finish() else {
        assert!(!value.is_sendable(), "{value:?} cannot be written");
        return;
    };
    // The buffer outlives nothing: compare what the second reading prints.
    let again = Message::parse(&buffer[..length]).expect("what was built");
    let raw = again.attributes().next().expect("one attribute");
    assert_eq!(raw.kind, A::TYPE);
    let first = message
        .attributes()
        .find(|raw| raw.kind == A::TYPE)
        .expect("as read");
    assert_eq!(again.attributes().count(), 1);
    assert!(raw.value.len() <= first.value.len() + 3, "{value:?} grows");
}

/// The visible attributes, put together again, are read as the same.
fn rebuild(message: &Message<'_>) {
    let mut buffer = vec![0; message.as_bytes().len() + 64];
    let mut builder = Builder::new(
        &mut buffer,
        message.message_type(),
        message.transaction_id(),
    );
    for raw in message.attributes() {
        builder = builder.with_raw(raw.kind, raw.value);
    }
    let key = Key::short_term("password");
    builder = match message.integrity() {
        Some(_) => builder.with_integrity_like(message, &key),
        None => builder,
    };
    if message.has_fingerprint() {
        builder = builder.with_fingerprint();
    }
    let length = builder.finish().expect("no larger than it was");
    let again = Message::parse(&buffer[..length]).expect("what was built");
    let all = |message: &Message<'_>| -> Vec<(AttributeType, Vec<u8>)> {
        message
            .attributes()
            .map(|raw| (raw.kind, raw.value.to_vec()))
            .collect()
    };
    assert_eq!(all(message), all(&again));
    assert_eq!(message.integrity(), again.integrity());
    if let Some(algorithm) = again.integrity() {
        assert!(again.verify(&key, algorithm), "the own integrity");
    }
    assert_eq!(again.has_fingerprint(), again.verify_fingerprint());
}

/// What verifies does not verify when a bit of it is changed.
fn tamper(data: &[u8], message: &Message<'_>) {
    let key = Key::short_term("password");
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
        // Nobody has used this key.
        assert!(!message.verify(&key, algorithm));
    }
    if message.verify_fingerprint() {
        let mut changed = data.to_vec();
        let at = 8 + data.len() % 12;
        changed[at] ^= 1;
        let changed = Message::parse(&changed).expect("another transaction id");
        assert!(!changed.verify_fingerprint());
    }
}

fn machines(data: &[u8]) {
    let now = Instant::ZERO;
    let server = FiveTuple::udp(
        ([192, 0, 2, 1], 3478).into(),
        ([198, 51, 100, 7], 4000).into(),
    );
    for transport in [Transport::Udp, Transport::Tcp] {
        let path = FiveTuple {
            transport,
            ..server
        };
        let _ = Driver::new(Server::new([1; 32], now), now).input(path, data);

        let path = path.mirrored();
        let mut client = Driver::new(Client::new(ClientConfig::new(path), [2; 32], now), now);
        client.machine.bind(now);
        client.drain();
        let _ = client.input(path, data);
        // The same as an answer to the request.
        let id = client.last().and_then(|sent| sent.payload.get(8..20));
        if let (Some(id), true) = (id, data.len() >= 20) {
            let mut answer = data.to_vec();
            answer[8..20].copy_from_slice(id);
            let _ = client.input(path, &answer);
        }
        client.timeout();
    }
}

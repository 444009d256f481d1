//! One datagram, read in every way there is, built again, and changed.

use floe_stun::{
    AdditionalAddressFamily, AddressErrorCode, Algorithm, AlternateDomain, AlternateServer,
    Attribute, AttributeType, Builder, ChangeRequest, ChannelNumber, ConnectionId, Data,
    Dissection, DontFragment, ErrorCode, EvenPort, IceControlled, IceControlling, Icmp, Key,
    Lifetime, MappedAddress, Message, MessageType, Nonce, OtherAddress, Padding, PasswordAlgorithm,
    PasswordAlgorithms, Priority, Protocol, Realm, RequestedAddressFamily, RequestedTransport,
    ReservationToken, ResponseOrigin, ResponsePort, Software, UnknownAttributes, UnknownRequired,
    UseCandidate, UserHash, Username, XorMappedAddress, XorPeerAddress, XorRelayedAddress,
    read_response,
};

/// What must hold of a datagram.
pub(crate) fn run(data: &[u8]) {
    let protocol = Protocol::of(data);
    assert!(Protocol::of_with_quic(data, true) == protocol || protocol == Protocol::Unknown);
    let _ = MessageType::peek(data);
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
    assert_eq!(
        Message::parse(data).err(),
        Dissection::of(data).errors().next(),
        "who shows a message and who reads it agree"
    );
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
        AdditionalAddressFamily,
        AddressErrorCode,
        AlternateDomain,
        AlternateServer,
        ChangeRequest,
        ChannelNumber,
        ConnectionId,
        Data,
        DontFragment,
        ErrorCode,
        EvenPort,
        Icmp,
        IceControlled,
        IceControlling,
        Lifetime,
        MappedAddress,
        Nonce,
        OtherAddress,
        Padding,
        PasswordAlgorithm,
        PasswordAlgorithms,
        Priority,
        Realm,
        RequestedAddressFamily,
        RequestedTransport,
        ReservationToken,
        ResponseOrigin,
        ResponsePort,
        Software,
        UnknownAttributes,
        UseCandidate,
        UserHash,
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

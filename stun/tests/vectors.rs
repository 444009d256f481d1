//! The test vectors of RFC 5769, RFC 8489 appendix B and `tests/data`.

use std::net::SocketAddr;

use floe_stun::{
    Algorithm, AttributeType, Builder, Class, ErrorCode, IceControlled, Key, LongTermServer,
    Message, MessageType, Method, Nonce, ParseErrorKind, Priority, Realm, Retransmission,
    SecurityFeatures, Software, StatusCode, TransactionId, UserHash, Username, XorMappedAddress,
};
use serde_json::Value;

#[path = "common/hex.rs"]
mod hex;

/// A message that verifies, and its credentials.
struct Vector {
    id: String,
    bytes: Vec<u8>,
    key: Key,
    json: Value,
}

impl Vector {
    fn all() -> Vec<Self> {
        let file: Value = serde_json::from_str(include_str!("data/stun_messages.json")).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        vectors.iter().map(Self::of).collect()
    }

    fn of(json: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_string();
        Self {
            id: text(&json["id"]),
            bytes: hex::bytes(&text(&json["hex"])),
            key: Key::new(&hex::bytes(&text(&json["credentials"]["key_hex"]))),
            json: json.clone(),
        }
    }

    fn named(id: &str) -> Self {
        let mut all = Self::all();
        let at = all.iter().position(|vector| vector.id == id).unwrap();
        all.swap_remove(at)
    }

    /// Those that a conforming receiver takes for genuine.
    fn genuine() -> Vec<Self> {
        let broken = ["rfc8489-B.1-as-printed", "derived-stc-mi256-truncated-16"];
        let mut all = Self::all();
        all.retain(|vector| !broken.contains(&vector.id.as_str()));
        assert_eq!(all.len(), 7);
        all
    }

    fn expects_fingerprint(&self) -> bool {
        self.json["verified"]["fingerprint"] == true
    }

    /// What a receiver does that requires integrity, and FINGERPRINT where the vector has one.
    fn accepts(&self, bytes: &[u8]) -> bool {
        Message::parse(bytes).is_ok_and(|message| {
            message
                .integrity()
                .is_some_and(|algorithm| message.verify(&self.key, algorithm))
                && (!self.expects_fingerprint() || message.verify_fingerprint())
        })
    }
}

fn numeric() -> Value {
    serde_json::from_str(include_str!("data/numeric.json")).unwrap()
}

fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}

/// Compares one attribute of a message with what the vector's JSON says of it.
fn compare(message: &Message<'_>, name: &str, expected: &str) {
    let bytes = message.as_bytes();
    match name {
        "SOFTWARE" => assert_eq!(message.get().unwrap(), Some(Software(expected))),
        "USERNAME" => assert_eq!(message.get().unwrap(), Some(Username(expected))),
        "REALM" => assert_eq!(message.get().unwrap(), Some(Realm(expected))),
        "NONCE" => assert_eq!(message.get().unwrap(), Some(Nonce(expected))),
        "PRIORITY" => {
            let value = Priority(number(expected) as u32);
            assert_eq!(message.get().unwrap(), Some(value));
        }
        "ICE-CONTROLLED" => {
            let value = IceControlled(number(expected));
            assert_eq!(message.get().unwrap(), Some(value));
        }
        "XOR-MAPPED-ADDRESS" => {
            let value: SocketAddr = expected.parse().unwrap();
            assert_eq!(message.get().unwrap(), Some(XorMappedAddress(value)));
        }
        "USERHASH" => {
            let raw = message
                .attributes()
                .find(|raw| raw.kind == AttributeType::USERHASH);
            assert_eq!(hex::text(raw.unwrap().value), expected);
        }
        "PASSWORD-ALGORITHM" => {
            let kind = AttributeType::PASSWORD_ALGORITHM;
            let raw = message.attributes().find(|raw| raw.kind == kind);
            assert_eq!(raw.unwrap().value, [0, 2, 0, 0]);
        }
        "PASSWORD-ALGORITHMS" => {
            let kind = AttributeType::PASSWORD_ALGORITHMS;
            let raw = message.attributes().find(|raw| raw.kind == kind);
            assert_eq!(raw.unwrap().value, [0, 2, 0, 0, 0, 1, 0, 0]);
        }
        "MESSAGE-INTEGRITY" | "MESSAGE-INTEGRITY-SHA256" | "FINGERPRINT" => {
            // Hidden from the walk; it lies in the bytes as it was printed.
            assert!(hex::text(bytes).contains(expected), "{name}");
        }
        other => panic!("{other} is not compared"),
    }
}

/// req: VEC-1-1, VEC-1-5, STUN-14.5-1, STUN-14.6-2, STUN-14.7-2, STUN-14-4
#[test]
fn genuine_messages_decode_and_verify() {
    for vector in Vector::genuine() {
        let message = Message::parse(&vector.bytes).unwrap();
        let expect = &vector.json["expect"];
        assert_eq!(
            vector.bytes.len() as u64,
            vector.json["length"],
            "{}",
            vector.id
        );
        let kind = expect["type"].as_str().unwrap();
        let bits = number(kind.split(' ').next().unwrap()) as u16;
        assert_eq!(message.message_type().to_bits(), bits);
        let id = expect["transaction_id"].as_str().unwrap();
        assert_eq!(format!("{:?}", message.transaction_id()), id);

        let listed = expect["attributes"].as_array().unwrap();
        for pair in listed {
            compare(
                &message,
                pair[0].as_str().unwrap(),
                pair[1].as_str().unwrap(),
            );
        }
        let sealed = |name: &Value| {
            let name = name.as_str().unwrap();
            name.starts_with("MESSAGE-INTEGRITY") || name == "FINGERPRINT"
        };
        let walked: Vec<_> = message
            .attributes()
            .filter_map(|raw| raw.kind.name())
            .collect();
        let expected: Vec<_> = listed
            .iter()
            .filter(|pair| !sealed(&pair[0]))
            .map(|pair| pair[0].as_str().unwrap())
            .collect();
        assert_eq!(walked, expected, "{}", vector.id);

        let verified = &vector.json["verified"];
        let has = |name: &str| verified[name] == true;
        assert_eq!(
            message.verify(&vector.key, Algorithm::Sha1),
            has("message_integrity"),
            "{}",
            vector.id
        );
        assert_eq!(
            message.verify(&vector.key, Algorithm::Sha256),
            has("message_integrity_sha256"),
            "{}",
            vector.id
        );
        assert_eq!(
            message.has_fingerprint(),
            has("fingerprint"),
            "{}",
            vector.id
        );
        assert_eq!(
            message.verify_fingerprint(),
            has("fingerprint"),
            "{}",
            vector.id
        );
    }
}

/// Every attribute again, with integrity and fingerprint as the original has them.
fn rebuild(vector: &Vector) -> Vec<u8> {
    let message = Message::parse(&vector.bytes).unwrap();
    let mut buffer = [0xEE; 256];
    let kind = message.message_type();
    let mut builder = Builder::new(&mut buffer, kind, message.transaction_id());
    for raw in message.attributes() {
        builder = builder.with_raw(raw.kind, raw.value);
    }
    let verified = &vector.json["verified"];
    if verified["message_integrity"] == true {
        builder = builder.with_integrity(&vector.key);
    }
    if verified["message_integrity_sha256"] == true {
        builder = builder.with_integrity_sha256(&vector.key);
    }
    if vector.expects_fingerprint() {
        builder = builder.with_fingerprint();
    }
    let len = builder.finish().unwrap();
    buffer[..len].to_vec()
}

/// req: VEC-1-2, VEC-1-5, STUN-14-1, STUN-14-2, STUN-14-3
#[test]
fn messages_padded_with_zeros_are_rebuilt_byte_for_byte_the_others_but_for_it() {
    for vector in Vector::genuine() {
        let rebuilt = rebuild(&vector);
        // RFC 5769 §2.1 to §2.3 are padded with spaces.
        let spaces = ["rfc5769-2.1", "rfc5769-2.2", "rfc5769-2.3"].contains(&vector.id.as_str());
        assert_eq!(rebuilt == vector.bytes, !spaces, "{}", vector.id);
        assert_eq!(rebuilt.len(), vector.bytes.len(), "{}", vector.id);
        assert!(vector.accepts(&rebuilt), "{}", vector.id);
    }
}

/// The typed attributes give the same bytes.
///
/// req: VEC-1-2
#[test]
fn rfc5769_2_4_is_built_from_its_description() {
    let vector = Vector::named("rfc5769-2.4");
    let credentials = &vector.json["credentials"];
    let text = |name: &str| credentials[name].as_str().unwrap();
    let key = Key::long_term(text("username"), text("realm"), text("password_prepared"));
    let id = Message::parse(&vector.bytes).unwrap().transaction_id();
    let mut buffer = [0; 256];
    let kind = MessageType::new(Class::Request, Method::BINDING);
    let len = Builder::new(&mut buffer, kind, id)
        .with(&Username(text("username")))
        .with(&Nonce(text("nonce")))
        .with(&Realm(text("realm")))
        .with_integrity(&key)
        .finish()
        .unwrap();
    assert_eq!(buffer[..len], vector.bytes[..]);
}

/// req: VEC-1-3
#[test]
fn rfc8489_b1_as_printed_is_rejected_for_its_length() {
    let vector = Vector::named("rfc8489-B.1-as-printed");
    let error = Message::parse(&vector.bytes).unwrap_err();
    assert_eq!((error.kind, error.offset), (ParseErrorKind::Length, 2));
}

/// req: STUN-14.6-1, STUN-14.6-3
#[test]
fn a_truncated_code_is_refused_unless_the_usage_permits_it() {
    let vector = Vector::named("derived-stc-mi256-truncated-16");
    let message = Message::parse(&vector.bytes).unwrap();
    assert_eq!(message.integrity(), Some(Algorithm::Sha256));
    assert!(!message.verify(&vector.key, Algorithm::Sha256));
    assert!(message.verify_truncated(&vector.key, Algorithm::Sha256, 16));
    assert!(!message.verify_truncated(&vector.key, Algorithm::Sha256, 20));
    let other = Key::short_term("another");
    assert!(!message.verify_truncated(&other, Algorithm::Sha256, 16));
}

/// All 255 other values of every byte.
///
/// req: VEC-1-6
#[test]
fn any_changed_byte_is_detected() {
    for vector in Vector::genuine() {
        assert!(vector.accepts(&vector.bytes), "{}", vector.id);
        let mut bytes = vector.bytes.clone();
        for at in 0..bytes.len() {
            let original = bytes[at];
            for change in 1..=255 {
                bytes[at] = original ^ change;
                assert!(
                    !vector.accepts(&bytes),
                    "{} byte {at} ^ {change}",
                    vector.id
                );
            }
            bytes[at] = original;
        }
    }
}

#[test]
fn any_cut_or_lengthened_message_is_refused() {
    for vector in Vector::genuine() {
        let bytes = &vector.bytes;
        for len in 0..bytes.len() {
            assert!(
                Message::parse(&bytes[..len]).is_err(),
                "{} cut to {len}",
                vector.id
            );
        }
        for more in 1..=8 {
            let mut bytes = bytes.clone();
            bytes.extend(std::iter::repeat_n(0, more));
            assert!(
                Message::parse(&bytes).is_err(),
                "{} with {more} more",
                vector.id
            );
        }
    }
}

/// req: STUN-5-2
#[test]
fn message_types_of_the_table() {
    let file = numeric();
    let rows = file["stun_message_type"].as_array().unwrap();
    assert_eq!(rows.len(), 11);
    for row in rows {
        let bits = |name: &str| number(row[name].as_str().unwrap()) as u16;
        let method = Method::new(bits("number"));
        for (class, name) in [
            (Class::Request, "request"),
            (Class::Indication, "indication"),
            (Class::Success, "success"),
            (Class::Error, "error"),
        ] {
            assert_eq!(MessageType::new(class, method).to_bits(), bits(name));
        }
        let name = row["method"].as_str().unwrap();
        assert_eq!(method.name().unwrap_or("(max 12-bit 0xfff)"), name);
    }
}

/// req: STUN-9.2.2-1, STUN-9.2.2-2
#[test]
fn long_term_keys_of_the_table() {
    let file = numeric();
    for row in file["long_term_keys"].as_array().unwrap() {
        let text = |name: &str| row[name].as_str().unwrap();
        let (user, realm, password) = (text("username"), text("realm"), text("password"));
        let mut buffer = [0; 128];
        let kind = MessageType::new(Class::Request, Method::BINDING);
        let len = Builder::new(&mut buffer, kind, TransactionId([3; 12]))
            .with_integrity(&Key::new(&hex::bytes(text("md5"))))
            .with_integrity_sha256(&Key::new(&hex::bytes(text("sha256"))))
            .finish()
            .unwrap();
        let message = Message::parse(&buffer[..len]).unwrap();
        let md5 = Key::long_term(user, realm, password);
        let sha256 = Key::long_term_sha256(user, realm, password);
        assert!(message.verify(&md5, Algorithm::Sha1));
        assert!(message.verify(&sha256, Algorithm::Sha256));
        assert!(!message.verify(&sha256, Algorithm::Sha1));
    }
}

#[test]
fn retransmission_totals_of_the_table() {
    let file = numeric();
    for row in file["udp_retransmit"].as_array().unwrap() {
        let number = |name: &str| row[name].as_u64().unwrap();
        let schedule = Retransmission {
            rto: std::time::Duration::from_millis(number("rto_ms")),
            count: number("rc") as u32,
            last: number("rm") as u32,
            ..Retransmission::default()
        };
        assert_eq!(schedule.total().as_millis(), u128::from(number("fail_ms")));
    }
}

/// req: STUN-14.8-2
#[test]
fn error_codes_of_the_table() {
    let file = numeric();
    let rows = file["error_code_value_bytes"].as_array().unwrap();
    assert_eq!(rows.len(), 17);
    for row in rows {
        let code = StatusCode::new(row["code"].as_u64().unwrap() as u16).unwrap();
        assert!(!code.reason().is_empty());
        let mut buffer = [0xEE; 128];
        let kind = MessageType::new(Class::Error, Method::BINDING);
        let len = Builder::new(&mut buffer, kind, TransactionId([3; 12]))
            .with(&ErrorCode::of(code))
            .finish()
            .unwrap();
        let message = Message::parse(&buffer[..len]).unwrap();
        let raw = message.attributes().next().unwrap();
        assert_eq!(
            hex::text(&raw.value[..4]),
            row["first4_hex"].as_str().unwrap()
        );
        assert_eq!(message.get().unwrap(), Some(ErrorCode::of(code)));
    }
}

/// req: STUN-9.2-2, STUN-9.2-3, STUN-9.2.4-6, STUN-9.2.4-8
#[test]
fn the_nonce_of_a_server_starts_with_the_cookie_and_its_features() {
    for row in numeric()["nonce_cookie"].as_array().unwrap() {
        let has = |bit| row["bits"].as_array().unwrap().contains(&bit);
        let (algorithms, anonymity) = (has(0.into()), has(1.into()));
        let mut config = floe_stun::LongTermConfig::new("realm");
        config.anonymity = anonymity;
        if !algorithms {
            config.algorithms.clear();
        }
        let now = floe_sansio::Instant::from_secs(1);
        let server = LongTermServer::new(&config, [1; 32], now);
        let mut buffer = [0; 256];
        let kind = MessageType::new(Class::Error, Method::BINDING);
        let builder = Builder::new(&mut buffer, kind, TransactionId([3; 12]));
        let len = server
            .with_challenge(builder, now, "192.0.2.1:1000".parse().unwrap())
            .finish()
            .unwrap();
        let message = Message::parse(&buffer[..len]).unwrap();
        let Nonce(nonce) = message.get().unwrap().unwrap();
        assert!(nonce.starts_with(row["cookie"].as_str().unwrap()), "{row}");
        let announced = SecurityFeatures::of(nonce).unwrap();
        assert_eq!(announced.password_algorithms, algorithms);
        assert_eq!(announced.username_anonymity, anonymity);
    }
}

/// All of it made from the credentials; the password as `SASLprep` prepares it, see the table's doubtful
/// points.
///
/// req: VEC-1-4
#[test]
fn rfc8489_b1_as_corrected_is_made_from_its_credentials() {
    let vector = Vector::named("rfc8489-B.1-eid6268");
    let message = Message::parse(&vector.bytes).unwrap();
    let text = |name: &str| vector.json["credentials"][name].as_str().unwrap();
    let (user, realm) = (text("username"), text("realm"));
    assert_eq!(message.get(), Ok(Some(UserHash::of(user, realm))));
    assert_eq!(message.integrity(), Some(Algorithm::Sha256));
    let password = text("password_prepared");
    let sha256 = Key::long_term_sha256(user, realm, password);
    assert!(message.verify(&sha256, Algorithm::Sha256));
    let md5 = Key::long_term(user, realm, password);
    assert!(!message.verify(&md5, Algorithm::Sha256));
}

/// What `*.hex` is for: programs that read one message.
#[test]
fn the_hex_files_hold_the_bytes_of_the_messages() {
    for vector in Vector::all() {
        let path = format!(
            "{}/tests/data/{}.hex",
            env!("CARGO_MANIFEST_DIR"),
            vector.id
        );
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(hex::bytes(&text), vector.bytes, "{}", vector.id);
    }
}

//! Whether the integrity attributes of a message are right.

use floe_stun::{Algorithm, AttributeType, Key, Message, Secret};
use serde::Serialize;

/// The keys that a password makes.
#[derive(Clone, Debug)]
pub(super) struct Keys(Vec<(KeyKind, Key)>);

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KeyKind {
    ShortTerm,
    LongTermMd5,
    LongTermSha256,
}

impl KeyKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ShortTerm => "short-term key",
            Self::LongTermMd5 => "long-term MD5 key",
            Self::LongTermSha256 => "long-term SHA-256 key",
        }
    }
}

impl Keys {
    /// The key of the short-term mechanism, or those of the long-term mechanism for a user in a realm.
    pub(super) fn new(password: &Secret, user: Option<(&str, &str)>) -> Self {
        let password = password.expose();
        Self(match user {
            None => vec![(KeyKind::ShortTerm, Key::short_term(password))],
            Some((user, realm)) => vec![
                (KeyKind::LongTermMd5, Key::long_term(user, realm, password)),
                (
                    KeyKind::LongTermSha256,
                    Key::long_term_sha256(user, realm, password),
                ),
            ],
        })
    }
}

/// What became of an integrity attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    pub(super) attribute: &'static str,
    pub(super) offset: usize,
    pub(super) result: ProofResult,
    /// The key that verifies it.
    pub(super) key: Option<KeyKind>,
    /// Bytes of the code, if it is cut.
    pub(super) truncated: Option<usize>,
    /// What else there is to say.
    pub(super) note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProofResult {
    Verified,
    Wrong,
    /// Without a password, or in a malformed message.
    NotChecked,
}

impl Proof {
    /// Looks at an integrity attribute with a code of `length` bytes; `message` is nothing if it is
    /// malformed.
    pub(super) fn of(
        kind: AttributeType,
        offset: usize,
        length: usize,
        message: Option<&Message<'_>>,
        keys: Option<&Keys>,
    ) -> Self {
        let (attribute, algorithm, full) = if kind == AttributeType::MESSAGE_INTEGRITY {
            ("MESSAGE-INTEGRITY", Algorithm::Sha1, 20)
        } else {
            ("MESSAGE-INTEGRITY-SHA256", Algorithm::Sha256, 32)
        };
        let mut proof = Self {
            attribute,
            offset,
            result: ProofResult::NotChecked,
            key: None,
            truncated: (length < full).then_some(length),
            note: None,
        };
        let (Some(message), Some(Keys(keys))) = (message, keys) else {
            let why = match message {
                Some(_) => "no password was given",
                None => "the message is malformed",
            };
            proof.note = Some(why.to_owned());
            return proof;
        };
        let right = keys
            .iter()
            .find(|(_, key)| message.verify_truncated(key, algorithm, length));
        proof.key = right.map(|(kind, _)| *kind);
        proof.result = match proof.key {
            Some(_) => ProofResult::Verified,
            None => ProofResult::Wrong,
        };
        proof.note = match proof.key {
            Some(key) => mismatch(message, key),
            None => advice(message, keys[0].0),
        };
        proof
    }
}

/// What a receiver would not like about a key that verifies: another algorithm is announced
/// (RFC 8489 §9.2.4).
fn mismatch(message: &Message<'_>, key: KeyKind) -> Option<String> {
    if key == KeyKind::ShortTerm {
        return None;
    }
    let announced = message
        .attributes()
        .find(|raw| raw.kind == AttributeType::PASSWORD_ALGORITHM)
        .and_then(|raw| raw.value.first_chunk())
        .map(|number| u16::from_be_bytes(*number));
    let (expected, says) = match announced {
        Some(1) => (KeyKind::LongTermMd5, "PASSWORD-ALGORITHM says MD5"),
        Some(2) => (KeyKind::LongTermSha256, "PASSWORD-ALGORITHM says SHA-256"),
        Some(_) => return Some("PASSWORD-ALGORITHM says something else".to_owned()),
        // A response does not repeat it.
        None if message.class() != floe_stun::Class::Request => return None,
        None => (
            KeyKind::LongTermMd5,
            "without PASSWORD-ALGORITHM it should be MD5",
        ),
    };
    (key != expected).then(|| format!("{says} (RFC 8489 §9.2.4)"))
}

/// Why a key may be the wrong one.
fn advice(message: &Message<'_>, tried: KeyKind) -> Option<String> {
    let realm = message
        .attributes()
        .any(|raw| raw.kind == AttributeType::REALM);
    match tried {
        KeyKind::ShortTerm if realm => Some(
            "the short-term key was tried; the message has REALM: give --user and --realm too"
                .to_owned(),
        ),
        KeyKind::ShortTerm => Some("the short-term key was tried".to_owned()),
        _ => Some("the long-term MD5 and SHA-256 keys were tried".to_owned()),
    }
}

//! Whether the integrity attributes of a message are right.

use std::fmt;

use floe_stun::{
    Algorithm, AttributeType, Class, Key, KeyDerivation, Message, PasswordAlgorithm, Profile,
    Secret, UserHash,
};
use serde::{Serialize, Serializer};

/// The keys that a password makes.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    keys: Vec<(KeyName, Key)>,
    /// What USERHASH must be, for the texts as they were given and as they are prepared.
    hashes: Vec<UserHash>,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyName {
    kind: KeyKind,
    /// How the texts were prepared, if that has changed them.
    preparation: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    ShortTerm,
    LongTerm(KeyDerivation),
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            KeyKind::ShortTerm => "short-term key",
            KeyKind::LongTerm(KeyDerivation::Md5) => "long-term MD5 key",
            KeyKind::LongTerm(KeyDerivation::Sha256) => "long-term SHA-256 key",
        })?;
        self.preparation.map_or(Ok(()), |name| {
            write!(f, " of what {name} makes of the texts")
        })
    }
}

impl Serialize for KeyName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Keys {
    /// The key of the short-term mechanism, or those of the long-term mechanism for a user in a realm;
    /// of the texts as they are given, and as senders prepare them (RFC 8489 §9.1.1, RFC 5389 §15.4).
    pub(super) fn new(password: &Secret, user: Option<(&str, &str)>) -> Self {
        let mut keys = Self {
            keys: Vec::new(),
            hashes: Vec::new(),
        };
        keys.add(password.expose(), user, None);
        for (name, profile) in [
            ("OpaqueString", Profile::OpaqueString),
            ("SASLprep", Profile::SaslPrepStored),
        ] {
            let prepare = |text| profile.prepare(text);
            let Ok(prepared) = prepare(password.expose()) else {
                continue;
            };
            let changed = prepared.as_str() != password.expose();
            match user {
                None if changed => keys.add(prepared.as_str(), None, Some(name)),
                None => {}
                Some((user, realm)) => {
                    let (Ok(user_too), Ok(realm_too)) = (prepare(user), prepare(realm)) else {
                        continue;
                    };
                    let texts = (user_too.as_str(), realm_too.as_str());
                    if changed || texts != (user, realm) {
                        keys.add(prepared.as_str(), Some(texts), Some(name));
                    }
                }
            }
        }
        keys
    }

    fn add(
        &mut self,
        password: &str,
        user: Option<(&str, &str)>,
        preparation: Option<&'static str>,
    ) {
        let mut add = |kind, key| self.keys.push((KeyName { kind, preparation }, key));
        let Some((user, realm)) = user else {
            return add(KeyKind::ShortTerm, Key::short_term(password));
        };
        let md5 = Key::long_term(user, realm, password);
        add(KeyKind::LongTerm(KeyDerivation::Md5), md5);
        let sha256 = Key::long_term_sha256(user, realm, password);
        add(KeyKind::LongTerm(KeyDerivation::Sha256), sha256);
        self.hashes.push(UserHash::of(user, realm));
    }
}

/// What to know of a code that is cut.
const PERMITTED: &str = "only some usages permit that it is truncated (RFC 8489 §14.6)";

/// What became of an integrity attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    pub(super) attribute: &'static str,
    pub(super) offset: usize,
    pub(super) result: ProofResult,
    /// The key that verifies it.
    pub(super) key: Option<KeyName>,
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
        let (Some(message), Some(keys)) = (message, keys) else {
            let why = match message {
                Some(_) => "no password was given",
                None => "the message is malformed",
            };
            proof.note = Some(why.to_owned());
            return proof;
        };
        let right = keys
            .keys
            .iter()
            .find(|(_, key)| message.verify_truncated(key, algorithm, length));
        proof.key = right.map(|(name, _)| *name);
        proof.result = match proof.key {
            Some(_) => ProofResult::Verified,
            None => ProofResult::Wrong,
        };
        proof.note = match proof.key {
            Some(key) => mismatch(message, key.kind)
                .or_else(|| proof.truncated.map(|_| PERMITTED.to_owned())),
            None => Some(advice(message, keys)),
        };
        proof
    }
}

/// What a receiver would not like about a key that verifies: another algorithm is announced
/// (RFC 8489 §9.2.4).
fn mismatch(message: &Message<'_>, key: KeyKind) -> Option<String> {
    let KeyKind::LongTerm(used) = key else {
        return None;
    };
    let (expected, says) = match message.get::<PasswordAlgorithm<'_>>() {
        Ok(Some(announced)) => (announced.derivation(), "PASSWORD-ALGORITHM says otherwise"),
        // A response does not repeat it.
        _ if message.class() != Class::Request => return None,
        _ => (
            Some(KeyDerivation::Md5),
            "without PASSWORD-ALGORITHM it should be MD5",
        ),
    };
    (expected != Some(used)).then(|| format!("{says} (RFC 8489 §9.2.4)"))
}

/// What was tried, and why it may have failed.
fn advice(message: &Message<'_>, keys: &Keys) -> String {
    if keys.hashes.is_empty() {
        let long_term = message
            .attributes()
            .any(|raw| raw.kind == AttributeType::REALM);
        let hint = if long_term {
            "; the message has REALM: give --user and --realm too"
        } else {
            ""
        };
        return format!("the short-term key was tried{hint}");
    }
    let hint = match message.get::<UserHash>() {
        Ok(Some(hash)) if !keys.hashes.contains(&hash) => {
            "; USERHASH is of another user or another realm"
        }
        _ => "",
    };
    format!("the long-term MD5 and SHA-256 keys were tried{hint}")
}

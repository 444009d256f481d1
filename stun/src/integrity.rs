//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.5, §14.6).

use core::fmt;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::attributes::KeyDerivation;
use crate::hmac::{self, BLOCK_LEN, Hmac, State};
use crate::message::HEADER_LEN;

/// Bytes of an HMAC-SHA1 code.
pub(crate) const SHA1_LEN: usize = 20;
/// Bytes of an HMAC-SHA256 code.
pub(crate) const SHA256_LEN: usize = 32;

/// Which integrity attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// MESSAGE-INTEGRITY: HMAC-SHA1.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256.
    Sha256,
}

/// A key for message integrity, ready to use: the HMAC key schedules are computed once and kept, and
/// wiped at the end.
#[derive(Clone)]
pub struct Key {
    sha1: Hmac<hmac::Sha1>,
    sha256: Hmac<hmac::Sha256>,
}

impl Key {
    /// The key whose bytes these are.
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            sha1: Hmac::new(bytes),
            sha256: Hmac::new(bytes),
        }
    }

    /// The key of the short-term mechanism: the password (RFC 8489 §9.1.1).
    pub fn short_term(password: &str) -> Self {
        Self::new(password.as_bytes())
    }

    /// The MD5 key of the long-term mechanism: `MD5(username ":" realm ":" password)`, without
    /// trailing NULs, nor the quotes around user name and realm (RFC 8489 §9.2.2).
    pub fn long_term(username: &str, realm: &str, password: &str) -> Self {
        let (username, realm) = (unquoted(username), unquoted(realm));
        let password = password.trim_end_matches('\0');
        let mut md5 = Md5::new();
        for part in [username, ":", realm, ":", password] {
            md5.update(part);
        }
        let mut digest = md5.finalize();
        let key = Self::new(&digest);
        digest.as_mut_slice().zeroize();
        key
    }

    /// The SHA-256 key of the long-term mechanism: `SHA-256(username ":" realm ":" password)`
    /// (RFC 8489 §18.5.1.2).
    pub fn long_term_sha256(username: &str, realm: &str, password: &str) -> Self {
        let mut sha256 = sha2::Sha256::new();
        for part in [username, ":", realm, ":", password] {
            sha256.update(part);
        }
        let mut digest = sha256.finalize();
        let key = Self::new(&digest);
        digest.as_mut_slice().zeroize();
        key
    }

    /// The key of the long-term mechanism by either derivation (RFC 8489 §9.2.2).
    pub fn long_term_by(
        derivation: KeyDerivation,
        username: &str,
        realm: &str,
        password: &str,
    ) -> Self {
        match derivation {
            KeyDerivation::Md5 => Self::long_term(username, realm, password),
            KeyDerivation::Sha256 => Self::long_term_sha256(username, realm, password),
        }
    }

    /// HMAC-SHA1 of `parts`, one after the other: for tokens of the owner's own, such as nonces.
    pub(crate) fn sha1_of(&self, parts: &[&[u8]]) -> [u8; SHA1_LEN] {
        self.sha1.code(parts)
    }

    /// The code of a message whose integrity attribute of `code_len` bytes stands at `at`: the
    /// header's length field counts up to the end of that attribute.
    pub(crate) fn sha1(&self, message: &[u8], at: usize) -> [u8; SHA1_LEN] {
        code(&self.sha1, message, at, SHA1_LEN)
    }

    /// As [`Self::sha1`], for a full SHA-256 code.
    pub(crate) fn sha256(&self, message: &[u8], at: usize) -> [u8; SHA256_LEN] {
        code(&self.sha256, message, at, SHA256_LEN)
    }

    /// Compares in constant time; a SHA-256 code may be truncated to the `claimed` one's length.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        at: usize,
        claimed: &[u8],
    ) -> bool {
        let is = |code: &[u8]| same(code, claimed);
        match algorithm {
            Algorithm::Sha1 => is(&self.sha1(message, at)),
            Algorithm::Sha256 => code(&self.sha256, message, at, claimed.len())
                .get(..claimed.len())
                .is_some_and(is),
        }
    }
}

/// Without trailing NULs and the quotes around it.
fn unquoted(text: &str) -> &str {
    let text = text.trim_end_matches('\0');
    let inside = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inside.unwrap_or(text)
}

fn code<S: State>(hmac: &Hmac<S>, message: &[u8], at: usize, code_len: usize) -> S::Code {
    // The first block is copied, to put the length right.
    let mut first = [0; BLOCK_LEN];
    let len = at.min(BLOCK_LEN);
    first[..len].copy_from_slice(&message[..len]);
    let length = (at + 4 + code_len - HEADER_LEN) as u16;
    first[2..4].copy_from_slice(&length.to_be_bytes());
    hmac.code(&[&first[..len], &message[len..at]])
}

/// Whether two codes are the same; takes as long if they are not.
fn same(one: &[u8], two: &[u8]) -> bool {
    let difference = one
        .iter()
        .zip(two)
        .fold(0, |all, (one, two)| all | (one ^ two));
    one.len() == two.len() && difference.ct_eq(&0).into()
}

/// Never prints the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

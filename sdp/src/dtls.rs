//! What a description says about the DTLS association: RFC 8122 fingerprints, RFC 4145 / 8842
//! `setup` and `tls-id`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use nom::Parser;
use nom::bytes::complete::{tag, take_while_m_n};
use nom::combinator::{map_opt, verify};
use nom::multi::separated_list1;
use nom::sequence::separated_pair;

use crate::grammar::{self, Parsed, whole};

/// Hash of a certificate (RFC 8122 §5).
///
/// ```
/// use floe_sdp::Fingerprint;
///
/// let text = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
/// let fingerprint: Fingerprint = text.parse()?;
/// assert_eq!(fingerprint.bytes()[0], 0x4A);
/// assert_eq!(fingerprint.to_string(), text);
/// # Ok::<(), floe_sdp::FingerprintError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    algorithm: String,
    bytes: Vec<u8>,
}

/// Not a fingerprint: wrong grammar, or not as many bytes as the hash function yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FingerprintError {
    /// Byte of the text where reading stopped.
    pub offset: usize,
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed fingerprint at byte {}", self.offset)
    }
}

impl core::error::Error for FingerprintError {}

/// Bytes that a hash function yields; `None` for names that are not in RFC 8122.
fn hash_len(algorithm: &str) -> Option<usize> {
    Some(match algorithm {
        "md2" | "md5" => 16,
        "sha-1" => 20,
        "sha-224" => 28,
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => return None,
    })
}

impl Fingerprint {
    /// A fingerprint of SHA-256.
    pub fn sha256(hash: [u8; 32]) -> Self {
        Self {
            algorithm: "sha-256".to_string(),
            bytes: hash.to_vec(),
        }
    }

    /// A fingerprint of any hash function; the name is a token and made lower case.
    pub fn new(algorithm: &str, bytes: &[u8]) -> Result<Self, FingerprintError> {
        whole(algorithm.as_bytes(), grammar::token)
            .map_err(|offset| FingerprintError { offset })?;
        let algorithm = algorithm.to_ascii_lowercase();
        if bytes.is_empty() || hash_len(&algorithm).is_some_and(|len| len != bytes.len()) {
            return Err(FingerprintError {
                offset: algorithm.len(),
            });
        }
        Ok(Self {
            algorithm,
            bytes: bytes.to_vec(),
        })
    }

    /// Name of the hash function in lower case, such as `sha-256`.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The hash.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.algorithm)?;
        for (index, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        whole(text.as_bytes(), fingerprint).map_err(|offset| FingerprintError { offset })
    }
}

/// The value of `a=fingerprint`; lower-case hex is read too, though never written.
pub(crate) fn fingerprint(input: &[u8]) -> Parsed<'_, Fingerprint> {
    let hex = |input| {
        let digits = take_while_m_n(2, 2, |byte: u8| byte.is_ascii_hexdigit());
        map_opt(grammar::text_of(digits), |text| {
            u8::from_str_radix(text, 16).ok()
        })
        .parse(input)
    };
    let pair = separated_pair(
        grammar::token,
        grammar::space,
        separated_list1(tag(":".as_bytes()), hex),
    );
    let lower = pair.map(|(name, bytes)| Fingerprint {
        algorithm: name.to_ascii_lowercase(),
        bytes,
    });
    verify(lower, |found: &Fingerprint| {
        hash_len(&found.algorithm).is_none_or(|len| len == found.bytes.len())
    })
    .parse(input)
}

/// Who opens the association (RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// This side is the DTLS client.
    Active,
    /// This side is the DTLS server.
    Passive,
    /// Either; the answer decides.
    Actpass,
    /// Not now.
    Holdconn,
}

impl Setup {
    /// The role of an attribute value.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "active" => Self::Active,
            "passive" => Self::Passive,
            "actpass" => Self::Actpass,
            "holdconn" => Self::Holdconn,
            _ => return None,
        })
    }

    /// The attribute's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Actpass => "actpass",
            Self::Holdconn => "holdconn",
        }
    }
}

/// Role in the DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// Sends the `ClientHello`.
    Client,
    /// Waits for it.
    Server,
}

pub(crate) fn is_tls_id_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

/// The DTLS side of a description: certificates, role, association.
///
/// On the local side the owner hands it in. `setup` is then the owner's wish for answers to
/// `actpass`: [`Setup::Passive`] makes it the server, anything else the client. Offers always say
/// `actpass` (RFC 9429 §5.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsIdentity {
    /// At least one.
    pub fingerprints: Vec<Fingerprint>,
    /// Role in the handshake.
    pub setup: Setup,
    /// 20 to 255 characters that name the association together with the other side's
    /// (RFC 8842 §4); a new association takes a new one.
    pub tls_id: Option<String>,
}

impl DtlsIdentity {
    /// Whether both name the same association: same certificates, same `tls-id`. An answer leaves
    /// the `tls-id` out for a peer that sent none, so that only two of them can differ.
    pub(crate) fn same_association(&self, other: &Self) -> bool {
        let sorted = |identity: &Self| {
            let mut all = identity.fingerprints.clone();
            all.sort();
            all.dedup();
            all
        };
        let ids = self.tls_id.as_ref().zip(other.tls_id.as_ref());
        ids.is_none_or(|(id, other)| id == other) && sorted(self) == sorted(other)
    }

    pub(crate) fn is_valid(&self) -> bool {
        let tls_id = |id: &String| (20..=255).contains(&id.len()) && id.bytes().all(is_tls_id_char);
        !self.fingerprints.is_empty() && self.tls_id.as_ref().is_none_or(tls_id)
    }
}

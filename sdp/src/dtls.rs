//! What a description says about the DTLS association: RFC 8122 fingerprints, RFC 4145 / 8842
//! `setup` and `tls-id`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::grammar::{self, Parsed, TLS_ID, whole};

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
    const LENGTHS: [(&str, usize); 7] = [
        ("sha-256", 32),
        ("sha-1", 20),
        ("sha-224", 28),
        ("sha-384", 48),
        ("sha-512", 64),
        ("md5", 16),
        ("md2", 16),
    ];
    let known = |(name, _): &&(&str, usize)| algorithm.eq_ignore_ascii_case(name);
    LENGTHS.iter().find(known).map(|(_, len)| *len)
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
        whole(text.as_bytes(), FingerprintRef::read)
            .map(Self::from)
            .map_err(|offset| FingerprintError { offset })
    }
}

/// A fingerprint as it stands in a description; [`Fingerprint`] keeps it.
///
/// Lower-case hex is read too, though [`Fingerprint`] never writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FingerprintRef<'a> {
    /// Name of the hash function, compared without regard to case.
    pub algorithm: &'a str,
    hex: &'a str,
}

impl<'a> FingerprintRef<'a> {
    /// The bytes of the hash.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.hex
            .split(':')
            .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
    }

    pub(crate) fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, algorithm) = grammar::token(input)?;
        let (hex, ()) = grammar::space(rest)?;
        let pair = grammar::run_of(grammar::HEX, 2, 2);
        let (rest, hex) = grammar::text_list(b':', pair)(hex)?;
        match hash_len(algorithm) {
            Some(len) if hex.len() != 3 * len - 1 => grammar::fail(input),
            _ => Ok((rest, Self { algorithm, hex })),
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (algorithm, hex) = (self.algorithm.as_bytes(), self.hex.as_bytes());
        grammar::put(out, &[algorithm, b" ", hex]);
    }
}

impl From<FingerprintRef<'_>> for Fingerprint {
    fn from(found: FingerprintRef<'_>) -> Self {
        Self {
            algorithm: found.algorithm.to_ascii_lowercase(),
            bytes: found.bytes().collect(),
        }
    }
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

    pub(crate) fn read(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, name) = grammar::token(input)?;
        match Self::from_name(name) {
            Some(setup) => Ok((rest, setup)),
            None => grammar::fail(input),
        }
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
        let tls_id = |id: &String| (20..=255).contains(&id.len()) && TLS_ID.is(id.as_bytes());
        !self.fingerprints.is_empty() && self.tls_id.as_ref().is_none_or(tls_id)
    }
}

//! The nonce: what its cookie says, and how a server makes and knows its own (RFC 8489 §9.2).

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use base64ct::{Base64, Encoding};
use floe_sansio::Instant;
use subtle::ConstantTimeEq;

use crate::integrity::Key;

/// What the nonce of a server begins with that knows RFC 8489 (§9.2).
const COOKIE: &[u8; 9] = b"obMatJos2";
/// Characters of the whole nonce cookie, features included.
const COOKIE_LEN: usize = COOKIE.len() + 4;
/// Bytes of the time of issue, in milliseconds: it wraps after 8,900 years.
const TIME_LEN: usize = 6;
/// Bytes of the MAC: 2⁷² guesses for one nonce.
const MAC_LEN: usize = 9;
/// Characters of a nonce of our own.
pub(crate) const NONCE_LEN: usize = COOKIE_LEN + (TIME_LEN + MAC_LEN) / 3 * 4;

/// The security features that a server announces in the cookie of its nonces (RFC 8489 §18.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityFeatures {
    /// Bit 0: requests may choose a password algorithm.
    pub password_algorithms: bool,
    /// Bit 1: requests carry USERHASH instead of USERNAME.
    pub username_anonymity: bool,
}

impl SecurityFeatures {
    /// What `nonce` announces; `None` if it has no cookie, as from a server of RFC 5389. Bits that have no
    /// meaning yet are ignored.
    ///
    /// ```
    /// use floe_stun::SecurityFeatures;
    ///
    /// let features = SecurityFeatures::of("obMatJos2gAAAxyz").unwrap();
    /// assert!(features.password_algorithms && !features.username_anonymity);
    /// assert_eq!(SecurityFeatures::of("xyz"), None);
    /// ```
    pub fn of(nonce: &str) -> Option<Self> {
        let text = nonce.as_bytes().strip_prefix(COOKIE)?.first_chunk::<4>()?;
        let mut bits = [0; 3];
        Base64::decode(text, &mut bits).ok()?;
        Some(Self {
            password_algorithms: bits[0] & 0x80 != 0,
            username_anonymity: bits[0] & 0x40 != 0,
        })
    }

    /// The 24 bits, bit 0 first.
    const fn bytes(self) -> [u8; 3] {
        [
            (self.password_algorithms as u8) << 7 | (self.username_anonymity as u8) << 6,
            0,
            0,
        ]
    }
}

/// A nonce as text, without allocation.
#[derive(Clone, Copy)]
pub(crate) struct NonceText([u8; NONCE_LEN]);

impl NonceText {
    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Makes nonces and knows them again, without remembering any: cookie, time of issue, and a MAC over
/// both, the source address and the realm.
///
/// The key of the MAC is a new one in every period of the nonces' lifetime; the keys of this period and of
/// the one before are at hand, and nothing older can be fresh.
#[derive(Clone, Debug)]
pub(crate) struct NonceRing {
    master: Key,
    features: SecurityFeatures,
    /// In milliseconds.
    lifetime: u64,
    period: u64,
    current: Key,
    previous: Key,
}

impl NonceRing {
    /// Nonces live for `lifetime`, of which whole milliseconds count.
    pub(crate) fn new(
        seed: [u8; 32],
        features: SecurityFeatures,
        lifetime: Duration,
        now: Instant,
    ) -> Self {
        let master = Key::new(&seed);
        let lifetime =
            u64::try_from(lifetime.as_millis()).map_or(TIME_MASK, |ms| ms.clamp(1, TIME_MASK));
        let period = now.as_millis() / lifetime;
        Self {
            features,
            lifetime,
            period,
            current: derive(&master, period),
            previous: derive(&master, period.wrapping_sub(1)),
            master,
        }
    }

    /// Takes the keys of the period of `now`. Nothing depends on it but what a nonce costs.
    pub(crate) fn advance(&mut self, now: Instant) {
        let period = now.as_millis() / self.lifetime;
        if period == self.period {
            return;
        }
        let current = derive(&self.master, period);
        self.previous = if period == self.period + 1 {
            core::mem::replace(&mut self.current, current)
        } else {
            self.current = current;
            derive(&self.master, period.wrapping_sub(1))
        };
        self.period = period;
    }

    /// A nonce for `source`, issued at `now`.
    pub(crate) fn issue(&self, now: Instant, source: SocketAddr, realm: &str) -> NonceText {
        self.nonce(now.as_millis() & TIME_MASK, source, realm)
    }

    /// Whether `nonce` was issued here, for `source`, and not too long ago.
    pub(crate) fn is_fresh(
        &self,
        now: Instant,
        source: SocketAddr,
        realm: &str,
        nonce: &str,
    ) -> bool {
        // The length of a nonce is no secret, nor is when it was issued.
        if nonce.len() != NONCE_LEN {
            return false;
        }
        let mut time = [0; 8];
        let text = &nonce.as_bytes()[COOKIE_LEN..COOKIE_LEN + TIME_LEN / 3 * 4];
        if Base64::decode(text, &mut time[8 - TIME_LEN..]).is_err() {
            return false;
        }
        let issued = u64::from_be_bytes(time);
        let age = (now.as_millis().wrapping_sub(issued)) & TIME_MASK;
        age <= self.lifetime
            && self
                .nonce(issued, source, realm)
                .0
                .ct_eq(nonce.as_bytes())
                .into()
    }

    fn nonce(&self, issued: u64, source: SocketAddr, realm: &str) -> NonceText {
        let ip = match source.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let features = self.features.bytes();
        let time = issued.to_be_bytes();
        let parts: [&[u8]; 5] = [
            &features,
            &time,
            &ip,
            &source.port().to_be_bytes(),
            realm.as_bytes(),
        ];
        let period = issued / self.lifetime;
        let mac = if period == self.period {
            self.current.sha1_of(&parts)
        } else if period + 1 == self.period {
            self.previous.sha1_of(&parts)
        } else {
            derive(&self.master, period).sha1_of(&parts)
        };

        let mut bytes = [0; 3 + TIME_LEN + MAC_LEN];
        bytes[..3].copy_from_slice(&features);
        bytes[3..3 + TIME_LEN].copy_from_slice(&time[8 - TIME_LEN..]);
        bytes[3 + TIME_LEN..].copy_from_slice(&mac[..MAC_LEN]);
        let mut text = [0; NONCE_LEN];
        text[..COOKIE.len()].copy_from_slice(COOKIE);
        // Whole groups of three bytes: it fits and needs no padding.
        let _ = Base64::encode(&bytes, &mut text[COOKIE.len()..]);
        NonceText(text)
    }
}

/// What the time of issue holds.
const TIME_MASK: u64 = (1 << (8 * TIME_LEN)) - 1;

fn derive(master: &Key, period: u64) -> Key {
    Key::new(&master.sha1_of(&[b"nonce", &period.to_be_bytes()]))
}

/// Never prints the nonce: while it is fresh it is half of a replay.
impl fmt::Debug for NonceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceText(..)")
    }
}

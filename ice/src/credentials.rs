//! The user name fragment and password of an agent.

use alloc::string::String;
use core::fmt;

use floe_sansio::Entropy;
use floe_stun::Secret;

/// What authenticates the checks of one side (RFC 8445 §5.3, RFC 8839 §5.4).
#[derive(Clone)]
pub struct Credentials {
    /// The user name fragment: 4 to 256 characters of A–Z, a–z, 0–9, `+`, `/`; not secret.
    pub ufrag: String,
    /// The password: 22 to 256 of the same.
    pub password: Secret,
}

/// The characters of fragments and passwords: 64, so that a byte's low six bits choose one.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Credentials {
    /// Characters of a generated fragment: 48 random bits.
    pub const UFRAG_LEN: usize = 8;
    /// Characters of a generated password: 144 random bits.
    pub const PASSWORD_LEN: usize = 24;

    /// Takes what the other side signalled; `None` if lengths or characters are not allowed.
    pub fn new(ufrag: &str, password: &str) -> Option<Self> {
        let allowed = |text: &str| text.bytes().all(|byte| ICE_CHARS.contains(&byte));
        ((4..=256).contains(&ufrag.len())
            && (22..=256).contains(&password.len())
            && allowed(ufrag)
            && allowed(password))
        .then(|| Self {
            ufrag: ufrag.into(),
            password: password.into(),
        })
    }

    /// New ones: unguessable if `entropy` is.
    pub fn generate(entropy: &mut Entropy) -> Self {
        Self {
            ufrag: random_text(entropy, Self::UFRAG_LEN),
            password: random_text(entropy, Self::PASSWORD_LEN).into(),
        }
    }
}

fn random_text(entropy: &mut Entropy, len: usize) -> String {
    (0..len)
        .map(|_| char::from(ICE_CHARS[(entropy.u32() >> 26) as usize]))
        .collect()
}

/// Never prints the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, ..)", self.ufrag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// req: ICE-5.3-2, ICESDP-5.4-1
    #[test]
    fn generated_credentials_hold_enough_randomness_and_are_valid() {
        let mut entropy = Entropy::new([3; 32]);
        let one = Credentials::generate(&mut entropy);
        let two = Credentials::generate(&mut entropy);
        assert_ne!(one.ufrag, two.ufrag);
        assert_ne!(one.password.expose(), two.password.expose());
        assert!(one.ufrag.len() * 6 >= 24 && one.password.expose().len() * 6 >= 128);
        assert!(Credentials::new(&one.ufrag, one.password.expose()).is_some());
    }

    /// req: ICESDP-5.4-1
    #[test]
    fn lengths_and_characters_are_checked() {
        let long = "a".repeat(256);
        let password = "p".repeat(22);
        assert!(Credentials::new("abcd", &password).is_some());
        assert!(Credentials::new(&long, &long).is_some());
        assert!(Credentials::new("abc", &password).is_none());
        assert!(Credentials::new("ab:d", &password).is_none());
        assert!(Credentials::new("abcd", &password[1..]).is_none());
        assert!(Credentials::new(&(long.clone() + "a"), &password).is_none());
    }

    #[test]
    fn debug_shows_no_password() {
        let secret = "p".repeat(22);
        let credentials = Credentials::new("abcd", &secret).unwrap();
        assert!(!std::format!("{credentials:?}").contains(&secret));
    }
}

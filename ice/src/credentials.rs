//! New credentials for an agent.

use alloc::string::String;

use floe_sansio::Entropy;
use floe_sdp::ice::{CredentialsError, IceCredentials};

/// The characters of fragments and passwords: 64, so that six bits choose one.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Characters of a generated fragment: 48 random bits.
const UFRAG_LEN: usize = 8;
/// Characters of a generated password: 144 random bits.
const PASSWORD_LEN: usize = 24;

/// Credentials of 48 and 144 random bits, unguessable if `entropy` is (RFC 8445 §5.3 wants 24 and
/// 128).
pub(crate) fn generate(entropy: &mut Entropy) -> Result<IceCredentials, CredentialsError> {
    let ufrag = random_text(entropy, UFRAG_LEN);
    IceCredentials::new(&ufrag, &random_text(entropy, PASSWORD_LEN))
}

fn random_text(entropy: &mut Entropy, len: usize) -> String {
    (0..len)
        .map(|_| char::from(ICE_CHARS[(entropy.u32() >> 26) as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// req: ICE-5.3-2, ICESDP-5.4-4, ICESDP-5.4-5
    #[test]
    fn generated_credentials_hold_enough_randomness_and_are_valid() {
        let mut entropy = Entropy::new([3; 32]);
        let one = generate(&mut entropy).unwrap();
        let two = generate(&mut entropy).unwrap();
        assert_ne!(one.ufrag(), two.ufrag());
        assert_ne!(one.pwd(), two.pwd());
        assert!(one.ufrag().len() * 6 >= 24 && one.pwd().len() * 6 >= 128);
        assert!(one.ufrag().len() <= 32);
    }
}

//! HMAC (RFC 2104) from the compression functions of SHA-1 and SHA-256.
//!
//! Of a key only the two states are kept that it leads to: small enough for one in every
//! authenticated 5-tuple, and wiped with it. What is hashed is not buffered first but compressed
//! where it stands.

use zeroize::Zeroize;

/// Bytes of a block of either hash.
pub(crate) const BLOCK_LEN: usize = 64;

type Block = [u8; BLOCK_LEN];

/// The state of a hash with blocks of 64 bytes and a length of 64 bits in the last one.
pub(crate) trait State: Copy + Zeroize + AsRef<[u32]> {
    /// Where the hash starts.
    const INITIAL: Self;
    /// The state in bytes.
    type Code: Default + AsRef<[u8]> + AsMut<[u8]>;

    fn compress(&mut self, blocks: &[Block]);
}

pub(crate) type Sha1 = [u32; 5];
pub(crate) type Sha256 = [u32; 8];

impl State for Sha1 {
    const INITIAL: Self = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    type Code = [u8; 20];

    fn compress(&mut self, blocks: &[Block]) {
        sha1::block_api::compress(self, blocks);
    }
}

impl State for Sha256 {
    const INITIAL: Self = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    type Code = [u8; 32];

    fn compress(&mut self, blocks: &[Block]) {
        sha2::block_api::compress256(self, blocks);
    }
}

/// What a key comes to: the states after its inner and its outer block.
#[derive(Clone)]
pub(crate) struct Hmac<S: State> {
    inner: S,
    outer: S,
}

impl<S: State> Hmac<S> {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK_LEN];
        if key.len() <= BLOCK_LEN {
            block[..key.len()].copy_from_slice(key);
        } else {
            let digest = hash(S::INITIAL, 0, &[key]);
            block[..digest.as_ref().len()].copy_from_slice(digest.as_ref());
        }
        let state = |pad: u8| {
            let mut state = S::INITIAL;
            let mut padded = block.map(|byte| byte ^ pad);
            state.compress(&[padded]);
            padded.zeroize();
            state
        };
        let (inner, outer) = (state(0x36), state(0x5c));
        block.zeroize();
        Self { inner, outer }
    }

    /// The code of `parts`, one after the other.
    pub(crate) fn code(&self, parts: &[&[u8]]) -> S::Code {
        let inner = hash(self.inner, 1, parts);
        hash(self.outer, 1, &[inner.as_ref()])
    }
}

impl<S: State> Drop for Hmac<S> {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// Hashes `parts` from `state` on, which has seen `blocks` blocks already.
fn hash<S: State>(mut state: S, blocks: u64, parts: &[&[u8]]) -> S::Code {
    // What does not fill a block yet; in the end with the padding, which can take one block more.
    let mut tail = [[0; BLOCK_LEN]; 2];
    let mut filled = 0;
    let mut bits = blocks * 8 * BLOCK_LEN as u64;
    for part in parts {
        bits += 8 * part.len() as u64;
        let mut part = *part;
        if filled > 0 {
            let (head, rest) = part.split_at(part.len().min(BLOCK_LEN - filled));
            tail[0][filled..filled + head.len()].copy_from_slice(head);
            filled += head.len();
            part = rest;
            if filled < BLOCK_LEN {
                continue;
            }
            state.compress(&tail[..1]);
            tail[0] = [0; BLOCK_LEN];
        }
        while let Some((block, rest)) = part.split_first_chunk() {
            state.compress(core::slice::from_ref(block));
            part = rest;
        }
        tail[0][..part.len()].copy_from_slice(part);
        filled = part.len();
    }

    tail[0][filled] = 0x80;
    let last = usize::from(filled >= BLOCK_LEN - 8);
    tail[last][BLOCK_LEN - 8..].copy_from_slice(&bits.to_be_bytes());
    state.compress(&tail[..=last]);

    let mut code = S::Code::default();
    for (bytes, word) in code.as_mut().chunks_exact_mut(4).zip(state.as_ref()) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    code
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    const LONG: &[u8] = b"Test Using Larger Than Block-Size Key - Hash Key First";

    #[test]
    fn the_vectors_of_rfc_2202_come_out() {
        let vectors: [(&[u8], &[u8], &str); 4] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b617318655057264e28bc0b6fb378c8ef146be00",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
            ),
            (
                &[0xaa; 80],
                LONG,
                "aa4ae5e15272d00e95705637ce8a3b55ed402112",
            ),
        ];
        for (key, message, code) in vectors {
            assert_eq!(Hmac::<Sha1>::new(key).code(&[message]).to_vec(), hex(code));
        }
    }

    #[test]
    fn the_vectors_of_rfc_4231_come_out() {
        let vectors: [(&[u8], &[u8], &str); 4] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &[0xaa; 131],
                LONG,
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, code) in vectors {
            assert_eq!(
                Hmac::<Sha256>::new(key).code(&[message]).to_vec(),
                hex(code)
            );
        }
    }

    /// Against a plain hash of another implementation, over every length and cut around the block
    /// sizes.
    #[test]
    fn where_the_parts_are_cut_does_not_matter() {
        use sha1::Digest;
        let bytes: Vec<u8> = (0..=255).cycle().take(200).collect();
        for len in 0..bytes.len() {
            let whole = &bytes[..len];
            let sha1: [u8; 20] = sha1::Sha1::digest(whole).into();
            let sha256: [u8; 32] = sha2::Sha256::digest(whole).into();
            for cut in [0, 1, 20, 55, 56, 63, 64, 65, 119, 128, 150] {
                let (one, two) = whole.split_at(cut.min(len));
                for parts in [&[one, two][..], &[&[], one, &[], two, &[]]] {
                    assert_eq!(hash(Sha1::INITIAL, 0, parts), sha1, "{len} cut at {cut}");
                    assert_eq!(
                        hash(Sha256::INITIAL, 0, parts),
                        sha256,
                        "{len} cut at {cut}"
                    );
                }
            }
        }
    }
}
